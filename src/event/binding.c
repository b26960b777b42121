/* binding.c - a contact of a REGISTER: which of its parameters stay, where its Path leads, and
 * which binding it is for. */
#include "event/binding.h"

#include <stdlib.h>

#include "event/core.h"

#define EXTRA 96u /* octets of a line beside what varies */

struct hd_slice
evt_reg_event_name(enum evt_reg_event event)
{
    static const struct hd_slice names[EVT_REG_COUNT] = {
        { "registered", 10 }, { "created", 7 },       { "refreshed", 9 },
        { "shortened", 9 },   { "expired", 7 },       { "deactivated", 11 },
        { "probation", 9 },   { "unregistered", 12 }, { "rejected", 8 }
    };

    HD_ASSERT(event < EVT_REG_COUNT);
    return names[event];
}

bool
evt_binding_copy(struct evt_binding *to, const struct evt_binding *from)
{
    const struct hd_slice pieces[] = { from->contact, from->call_id, from->params, from->path };
    struct hd_slice *places[] = { &to->contact, &to->call_id, &to->params, &to->path };
    size_t n = 1;
    char *p;

    for (size_t i = 0; i < HD_ARRAY_LEN(pieces); i++)
        n += pieces[i].n;
    p = malloc(n);
    if (!p)
        return false;
    *to = *from;
    for (size_t i = 0; i < HD_ARRAY_LEN(pieces); i++) {
        if (pieces[i].n)
            memcpy(p, pieces[i].p, pieces[i].n);
        *places[i] = hd_slice(p, pieces[i].n);
        p += pieces[i].n;
    }
    to->instance = evt_binding_instance(to->params);
    return true;
}

void
evt_bindings_free(struct evt_binding *bindings, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        free((void *)(uintptr_t)bindings[i].contact.p);
    free(bindings);
}

size_t
evt_binding_room(const struct evt_binding *binding, struct hd_slice key)
{
    size_t gruus = binding->instance.n ? 3 * binding->instance.n + 4 * key.n + 192 : 0;

    return EXTRA + binding->contact.n + binding->params.n + gruus;
}

enum hd_err
evt_binding_params(struct hd_slice params, char ret[EVT_PARAMS_MAX], size_t *ret_n)
{
    static const struct hd_slice others[] = {
        { "expires", 7 }, { "q", 1 }, { "pub-gruu", 8 }, { "temp-gruu", 9 }
    };
    struct hd_slice name, value;
    struct sip_out out;

    sip_out_init(&out, ret, EVT_PARAMS_MAX);
    while (sip_param_next(&params, &name, &value) == HD_OK) {
        bool ours = false;
        for (size_t i = 0; i < HD_ARRAY_LEN(others); i++)
            ours = ours || hd_slice_ieq(name, others[i]);
        if (ours)
            continue;
        sip_out_char(&out, ';');
        sip_out_unfolded(&out, name);
        if (value.p) {
            sip_out_char(&out, '=');
            sip_out_unfolded(&out, value);
        }
    }
    return sip_out_finish(&out, ret_n);
}

/* +sip.instance="<urn:uuid:...>" (RFC 5626 section 4.1) */
struct hd_slice
evt_binding_instance(struct hd_slice params)
{
    struct hd_slice value;

    if (!sip_param_find(params, HD_LIT("+sip.instance"), &value) || value.n < 5 ||
        value.p[0] != '"' || value.p[1] != '<' || value.p[value.n - 2] != '>' ||
        value.p[value.n - 1] != '"')
        return hd_slice(NULL, 0);
    value = hd_slice(value.p + 2, value.n - 4);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] <= ' ' || value.p[i] == '"' || value.p[i] == '<' || value.p[i] == '>' ||
            value.p[i] == '\\' || (unsigned char)value.p[i] > '~')
            return hd_slice(NULL, 0);
    return value;
}

static bool
path_item_fits(struct hd_slice item, struct sip_uri *ret_uri)
{
    struct sip_addr addr;

    return sip_addr_parse(item, &addr) == HD_OK && addr.brackets &&
           sip_uri_parse(addr.uri, ret_uri) == HD_OK &&
           (ret_uri->scheme == SIP_SCHEME_SIP || ret_uri->scheme == SIP_SCHEME_SIPS);
}

enum hd_err
evt_path_read(const struct sip_msg *msg, char ret[EVT_PATH_MAX], size_t *ret_n)
{
    struct sip_walk walk = { 0 };
    struct hd_slice item;
    struct sip_out out;
    struct sip_uri uri;

    sip_out_init(&out, ret, EVT_PATH_MAX);
    while (sip_msg_walk(msg, SIP_HDR_PATH, &walk, &item)) {
        if (!path_item_fits(item, &uri))
            return HD_ESYNTAX;
        if (out.n)
            sip_out_char(&out, ',');
        sip_out_unfolded(&out, item);
    }
    return sip_out_finish(&out, ret_n);
}

bool
evt_path_is_sips(struct hd_slice path)
{
    struct hd_slice item;
    struct sip_uri uri;

    while (sip_list_next(&path, &item))
        if (!path_item_fits(item, &uri) || uri.scheme != SIP_SCHEME_SIPS)
            return false;
    return true;
}

bool
evt_path_fits(struct hd_slice path)
{
    struct hd_slice item;
    struct sip_uri uri;

    while (sip_list_next(&path, &item))
        if (!path_item_fits(item, &uri))
            return false;
    return true;
}

/* Each proxy puts itself in front (RFC 3327 section 5.2), so the phone's edge is the last one; RFC
 * 5626 section 6 speaks of the first.  They differ only where there are several: either is taken.
 */
bool
evt_path_has_ob(struct hd_slice path)
{
    struct hd_slice item;
    struct sip_uri uri;
    bool first = true, ob = false;

    while (sip_list_next(&path, &item)) {
        bool has = path_item_fits(item, &uri) && sip_uri_param(&uri, HD_LIT("ob"), NULL);
        if (first && has)
            return true;
        first = false;
        ob = has;
    }
    return ob;
}

static bool
same_uri(const struct evt_binding *a, const struct evt_binding *b, bool fold_sips)
{
    struct sip_uri x, y;

    if (sip_uri_parse(a->contact, &x) || sip_uri_parse(b->contact, &y))
        return false;
    /* Of schemes that are not ours only the text is known. */
    if (x.scheme == SIP_SCHEME_OTHER || y.scheme == SIP_SCHEME_OTHER)
        return hd_slice_eq(a->contact, b->contact);
    if (fold_sips && x.scheme == SIP_SCHEME_SIPS)
        x.scheme = SIP_SCHEME_SIP;
    if (fold_sips && y.scheme == SIP_SCHEME_SIPS)
        y.scheme = SIP_SCHEME_SIP;
    return sip_uri_equal(&x, &y);
}

bool
evt_binding_same_uri(const struct evt_binding *a, const struct evt_binding *b)
{
    return same_uri(a, b, false);
}

struct evt_binding *
evt_binding_find(struct evt_binding *bindings, uint32_t n, const struct evt_binding *wanted)
{
    for (uint32_t i = 0; i < n && wanted->reg_id; i++)
        if (bindings[i].reg_id == wanted->reg_id &&
            hd_slice_ieq(bindings[i].instance, wanted->instance))
            return &bindings[i];
    for (uint32_t i = 0; i < n; i++) {
        /* Two flows are two bindings, also when their Contact is the same. */
        if (wanted->reg_id && bindings[i].reg_id)
            continue;
        if (same_uri(&bindings[i], wanted, true))
            return &bindings[i];
    }
    return NULL;
}
