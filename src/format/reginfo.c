/* reginfo.c - who is registered, for whoever watches it.
 *
 * Contacts of several registrars become one registration of the address.  Invariants: no contact id
 * occurs twice; the same publications give the same octets, whoever was last; what changes by
 * itself (how long a contact has left) is not written, so that a document is news when something
 * happened. */
#include "format/reginfo.h"

#include <stdlib.h>

#include "format/xml.h"
#include "format/xml_join.h"
#include "format/xml_keyed.h"

#define NS "urn:ietf:params:xml:ns:reginfo"
#define GRUU_NS "urn:ietf:params:xml:ns:gruuinfo"

static const struct hd_slice state_names[] = { { "init", 4 },
                                               { "active", 6 },
                                               { "terminated", 10 } };

/* ---- writing ---- */

/* Text of a message; what XML or a reader could not take becomes a question mark. */
static void
write_text(struct hd_str *out, struct hd_slice text)
{
    while (text.n) {
        size_t n = 0;
        while (n < text.n && text.p[n] >= ' ' && text.p[n] <= '~')
            n++;
        fmt_xml_escape(out, hd_slice(text.p, n));
        if (n < text.n) {
            hd_str_add_char(out, '?');
            n++;
        }
        text = hd_slice_from(text, n);
    }
}

static void
write_attribute(struct hd_str *out, const char *name, struct hd_slice value)
{
    hd_str_addf(out, " %s=\"", name);
    write_text(out, value);
    hd_str_add_char(out, '"');
}

static void
write_root(struct hd_str *out, const struct fmt_xml_join *join)
{
    hd_str_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<reginfo");
    fmt_xml_join_declare(join, out);
    hd_str_add_str(out, " version=\"0\" state=\"full\">\n");
}

static void
write_registration(struct hd_str *out, struct hd_slice aor, enum fmt_reginfo_state state)
{
    hd_str_add_str(out, " <registration");
    hd_str_add_str(out, " aor=\"");
    fmt_xml_write_uri(out, aor);
    hd_str_addf(out, "\" id=\"r%08x\"", fmt_xml_value_hash(aor));
    write_attribute(out, "state", state_names[state]);
    hd_str_add_str(out, ">\n");
}

void
fmt_reginfo_begin(struct hd_str *out, struct hd_slice aor, enum fmt_reginfo_state state)
{
    const struct fmt_xml_join join = { .ns = HD_LIT(NS),
                                       .n_bindings = 1,
                                       .bindings = { { HD_LIT("gr"), HD_LIT(GRUU_NS) } } };

    write_root(out, &join);
    write_registration(out, aor, state);
}

/* Parameters that say what the phone is (RFC 3680 section 5.3.4). */
static void
write_params(struct hd_str *out, struct hd_slice params)
{
    while (params.n) {
        size_t n = 1;
        bool quoted = false;

        while (n < params.n && (quoted || params.p[n] != ';')) {
            if (params.p[n] == '\\' && quoted && n + 1 < params.n)
                n++;
            else if (params.p[n] == '"')
                quoted = !quoted;
            n++;
        }
        struct hd_slice value = hd_slice(params.p + 1, n - 1), name = hd_slice_cut(&value, '=');
        params = hd_slice_from(params, n);
        hd_str_add_str(out, "   <unknown-param");
        write_attribute(out, "name", name);
        hd_str_add_char(out, '>');
        write_text(out, value);
        hd_str_add_str(out, "</unknown-param>\n");
    }
}

static void
write_gruus(struct hd_str *out, const struct fmt_reginfo_contact *contact)
{
    if (contact->pub_gruu.n) {
        hd_str_add_str(out, "   <gr:pub-gruu");
        write_attribute(out, "uri", contact->pub_gruu);
        hd_str_add_str(out, "/>\n");
    }
    if (contact->temp_gruu.n) {
        hd_str_add_str(out, "   <gr:temp-gruu");
        write_attribute(out, "uri", contact->temp_gruu);
        hd_str_addf(out, " first-cseq=\"%u\"/>\n", contact->temp_cseq);
    }
}

void
fmt_reginfo_add(struct hd_str *out, const struct fmt_reginfo_contact *contact)
{
    hd_str_addf(out, "  <contact id=\"%016llx\"", (unsigned long long)contact->id);
    write_attribute(out, "state",
                    state_names[contact->over ? FMT_REGINFO_TERMINATED : FMT_REGINFO_ACTIVE]);
    write_attribute(out, "event", contact->event);
    if (hd_slice_eq(contact->event, HD_LIT("shortened")))
        hd_str_addf(out, " expires=\"%u\"", contact->expires_s);
    if (contact->retry_after_s)
        hd_str_addf(out, " retry-after=\"%u\"", contact->retry_after_s);
    if (contact->q < 1000)
        hd_str_addf(out, " q=\"0.%03u\"", contact->q);
    write_attribute(out, "callid", contact->call_id);
    hd_str_addf(out, " cseq=\"%u\">\n   <uri>", contact->cseq);
    write_text(out, contact->uri);
    hd_str_add_str(out, "</uri>\n");
    write_params(out, contact->params);
    write_gruus(out, contact);
    hd_str_add_str(out, "  </contact>\n");
}

void
fmt_reginfo_end(struct hd_str *out)
{
    hd_str_add_str(out, " </registration>\n</reginfo>\n");
}

/* ---- validating ---- */

struct check {
    struct fmt_xml_reader reader;
    struct hd_slice ids[FMT_REGINFO_MAX_CONTACTS];
    size_t n_ids;
    unsigned root_bindings;
    bool in_registration, in_contact;
    unsigned uris; /* of that contact */
};

static enum hd_err
refuse(struct check *c, const char *reason)
{
    c->reader.reason = reason;
    return HD_ESYNTAX;
}

static bool
is_element(const struct fmt_xml_reader *r, const char *name)
{
    return fmt_xml_is(&r->element->name, HD_LIT(NS), hd_slice_str(name));
}

static bool
is_value(const struct fmt_xml_attribute *a, struct hd_slice value)
{
    return a && fmt_xml_value_eq(a->value, value);
}

/* Which of the states an attribute names; 3: none. */
static unsigned
read_state(const struct fmt_xml_reader *r)
{
    const struct fmt_xml_attribute *const a = fmt_xml_attribute(r, HD_LIT("state"));
    unsigned i = 0;

    while (i < HD_ARRAY_LEN(state_names) && !is_value(a, state_names[i]))
        i++;
    return i;
}

static enum hd_err
check_root(struct check *c)
{
    const struct fmt_xml_attribute *const version =
        fmt_xml_attribute(&c->reader, HD_LIT("version"));
    uint32_t number;

    c->root_bindings = c->reader.n_bindings;
    if (!is_element(&c->reader, "reginfo"))
        return refuse(c, "reginfo: the root is not reginfo of " NS);
    if (!version || hd_slice_to_u32(version->value, &number))
        return refuse(c, "reginfo: version is not a number of 32 bits");
    if (!is_value(fmt_xml_attribute(&c->reader, HD_LIT("state")), HD_LIT("full")))
        return refuse(c, "reginfo: a PUBLISH replaces the earlier one, its state must be full");
    return HD_OK;
}

static enum hd_err
check_registration(struct check *c)
{
    const struct fmt_xml_attribute *const aor = fmt_xml_attribute(&c->reader, HD_LIT("aor"));

    if (!aor || aor->value.n == 0 || !fmt_xml_attribute(&c->reader, HD_LIT("id")))
        return refuse(c, "reginfo: a registration without aor or id");
    if (read_state(&c->reader) > FMT_REGINFO_TERMINATED)
        return refuse(c, "reginfo: a registration whose state is not init, active or terminated");
    if (c->reader.n_bindings != c->root_bindings)
        return refuse(c, "reginfo: namespaces are declared in the root or in a contact");
    return HD_OK;
}

/* RFC 3680 section 5.3.2: which events lead to which state. */
static bool
event_fits(const struct fmt_xml_attribute *event, bool over)
{
    static const struct {
        struct hd_slice name;
        bool over;
    } row[] = { { { "registered", 10 }, false }, { { "created", 7 }, false },
                { { "refreshed", 9 }, false },   { { "shortened", 9 }, false },
                { { "expired", 7 }, true },      { { "deactivated", 11 }, true },
                { { "probation", 9 }, true },    { { "unregistered", 12 }, true },
                { { "rejected", 8 }, true } };

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (is_value(event, row[i].name))
            return row[i].over == over;
    return false;
}

static enum hd_err
check_contact(struct check *c)
{
    const struct fmt_xml_attribute *const id = fmt_xml_attribute(&c->reader, HD_LIT("id"));
    const unsigned state = read_state(&c->reader);

    if (!id || id->value.n == 0)
        return refuse(c, "reginfo: a contact without id");
    if (state != FMT_REGINFO_ACTIVE && state != FMT_REGINFO_TERMINATED)
        return refuse(c, "reginfo: a contact whose state is not active or terminated");
    if (!event_fits(fmt_xml_attribute(&c->reader, HD_LIT("event")),
                    state == FMT_REGINFO_TERMINATED))
        return refuse(c, "reginfo: a contact whose event does not lead to its state");
    for (size_t i = 0; i < c->n_ids; i++)
        if (fmt_xml_value_eq(c->ids[i], id->value))
            return refuse(c, "reginfo: a contact's id stands twice");
    if (c->n_ids == FMT_REGINFO_MAX_CONTACTS)
        return refuse(c, "reginfo: too many contacts");
    c->ids[c->n_ids++] = id->value;
    c->uris = 0;
    return HD_OK;
}

static enum hd_err
check_start(struct check *c)
{
    switch (c->reader.depth) {
    case 1:
        return check_root(c);
    case 2:
        c->in_registration = is_element(&c->reader, "registration");
        return c->in_registration ? check_registration(c) : HD_OK;
    case 3:
        c->in_contact = c->in_registration && is_element(&c->reader, "contact");
        return c->in_contact ? check_contact(c) : HD_OK;
    case 4:
        c->uris += is_element(&c->reader, "uri");
        return HD_OK;
    default:
        return HD_OK;
    }
}

enum hd_err
fmt_reginfo_validate(struct hd_slice body, size_t max, const char **ret_reason)
{
    struct check c;
    enum fmt_xml_event event = FMT_XML_TEXT;
    enum hd_err err = HD_OK;

    c.n_ids = 0;
    c.in_registration = c.in_contact = false;
    c.uris = 0;
    fmt_xml_open(&c.reader, body, max);
    while (!err && event != FMT_XML_DONE) {
        err = fmt_xml_next(&c.reader, &event);
        if (!err && event == FMT_XML_START)
            err = check_start(&c);
        else if (!err && event == FMT_XML_END && c.reader.depth == 3 && c.in_contact && c.uris != 1)
            err = refuse(&c, "reginfo: a contact without exactly one uri");
    }
    if (err)
        *ret_reason = c.reader.reason;
    return err;
}

/* ---- composing ---- */

bool
fmt_reginfo_is_for(struct hd_slice body, struct hd_slice aor)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event = FMT_XML_TEXT;
    unsigned registrations = 0;
    bool fits = true;

    fmt_xml_open(&r, body, body.n);
    while (event != FMT_XML_DONE) {
        if (fmt_xml_next(&r, &event))
            return false;
        if (event != FMT_XML_START || r.depth > 2)
            continue;
        if (r.depth == 1)
            fits = is_value(fmt_xml_attribute(&r, HD_LIT("version")), HD_LIT("0"));
        else if (is_element(&r, "registration") && ++registrations == 1)
            fits = fits && is_value(fmt_xml_attribute(&r, HD_LIT("aor")), aor);
        else
            fits = false;
    }
    return fits && registrations == 1;
}

struct compose {
    struct hd_slice aor;
    const struct fmt_reginfo_part **parts; /* the valid ones, by number */
    size_t n;
    struct fmt_xml_join join;
    bool has[3]; /* states of the registrations */
    struct hd_slice *ids;
    size_t n_ids, cap_ids;
    struct hd_str *out;
    size_t bound;
};

static int
by_number(const void *a, const void *b)
{
    const struct fmt_reginfo_part *const *x = a, *const *y = b;
    return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

static bool
is_ours(const struct compose *c, const struct fmt_xml_reader *r)
{
    return is_element(r, "registration") && is_value(fmt_xml_attribute(r, HD_LIT("aor")), c->aor);
}

/* Prefixes of a document, states of its registrations of the address, and how many contacts. */
static void
survey(struct compose *c, struct hd_slice body)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event = FMT_XML_TEXT;
    bool ours = false;

    fmt_xml_open(&r, body, body.n);
    while (event != FMT_XML_DONE) {
        const enum hd_err err = fmt_xml_next(&r, &event);
        HD_ASSERT(!err); /* it is valid */
        if (event != FMT_XML_START)
            continue;
        if (r.depth == 1)
            fmt_xml_join_add(&c->join, &r);
        if (r.depth == 2) {
            ours = is_ours(c, &r);
            if (ours)
                c->has[read_state(&r)] = true;
        }
        c->cap_ids += r.depth == 3 && ours && is_element(&r, "contact");
    }
}

/* The start tag of a contact under an id that nobody has; false: it is left out. */
static bool
write_contact_tag(struct compose *c, const struct fmt_xml_root *root,
                  const struct fmt_xml_reader *r, uint32_t number)
{
    const struct fmt_xml_attribute *const id = fmt_xml_attribute(r, HD_LIT("id"));
    struct hd_str renamed = { 0 };
    bool taken = false;

    for (size_t i = 0; i < c->n_ids; i++)
        taken = taken || fmt_xml_value_eq(c->ids[i], id->value);
    if (taken) {
        hd_str_add(&renamed, id->value);
        hd_str_addf(&renamed, "-%08x", number);
        for (size_t i = 0; i < c->n_ids; i++)
            if (renamed.err || fmt_xml_value_eq(c->ids[i], hd_str_slice(&renamed))) {
                hd_str_done(&renamed);
                return false;
            }
    }
    hd_str_add_str(c->out, "  ");
    fmt_xml_join_tag(&c->join, root, r, taken ? id : NULL, hd_str_slice(&renamed), c->out);
    hd_str_done(&renamed);
    c->ids[c->n_ids++] = id->value;
    return true;
}

static enum hd_err
write_contacts(struct compose *c, const struct fmt_reginfo_part *part)
{
    struct fmt_xml_reader r;
    struct fmt_xml_root root = { 0 };
    enum fmt_xml_event event = FMT_XML_TEXT;
    const char *content = NULL; /* behind the start tag of a contact that is written */
    bool ours = false;
    enum hd_err err = HD_OK;

    fmt_xml_open(&r, part->body, part->body.n);
    while (!err && event != FMT_XML_DONE) {
        err = fmt_xml_next(&r, &event);
        HD_ASSERT(!err); /* it is valid */
        if (event == FMT_XML_START && r.depth == 1) {
            fmt_xml_root_take(&root, &r);
        } else if (event == FMT_XML_START && r.depth == 2) {
            ours = is_ours(c, &r);
        } else if (event == FMT_XML_START && r.depth == 3 && ours && is_element(&r, "contact")) {
            if (write_contact_tag(c, &root, &r, part->number))
                content = r.token.p + r.token.n;
        } else if (event == FMT_XML_END && r.depth == 3 && content) {
            const char *const end = r.token.p + r.token.n;
            hd_str_add(c->out, hd_slice(content, (size_t)(end - content)));
            hd_str_add_str(c->out, "\n");
            content = NULL;
            err = c->out->n > c->bound ? HD_EFULL : c->out->err;
        }
    }
    return err;
}

static enum hd_err
compose_documents(struct compose *c)
{
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < c->n; i++)
        survey(c, c->parts[i]->body);
    c->ids = calloc(c->cap_ids + 1, sizeof(*c->ids));
    if (!c->ids)
        return HD_ENOMEM;
    write_root(c->out, &c->join);
    write_registration(c->out, c->aor,
                       c->has[FMT_REGINFO_ACTIVE]       ? FMT_REGINFO_ACTIVE
                       : c->has[FMT_REGINFO_TERMINATED] ? FMT_REGINFO_TERMINATED
                                                        : FMT_REGINFO_INIT);
    for (size_t i = 0; i < c->n && !err; i++)
        err = write_contacts(c, c->parts[i]);
    fmt_reginfo_end(c->out);
    free(c->ids);
    return err ? err : c->out->err;
}

enum hd_err
fmt_reginfo_compose(struct hd_slice aor, const struct fmt_reginfo_part *parts, size_t n, size_t max,
                    struct hd_str *out)
{
    struct compose c = { .aor = aor,
                         .join = { .ns = HD_LIT(NS),
                                   .n_bindings =
                                       1, /* as in ours, so that what changed can be told */
                                   .bindings = { { HD_LIT("gr"), HD_LIT(GRUU_NS) } } },
                         .out = out };
    size_t input = 0;

    HD_ASSERT(n > 0);
    c.parts = calloc(n, sizeof(const struct fmt_reginfo_part *));
    if (!c.parts)
        return HD_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *reason;
        input += parts[i].body.n;
        if (!fmt_reginfo_validate(parts[i].body, max, &reason))
            c.parts[c.n++] = &parts[i];
    }
    c.bound = 4 * (input + max);
    qsort(c.parts, c.n, sizeof(const struct fmt_reginfo_part *), by_number);
    const enum hd_err err = c.n ? compose_documents(&c) : HD_ESYNTAX;
    free(c.parts);
    return err;
}

enum hd_err
fmt_reginfo_partial(struct hd_slice base, struct hd_slice now, struct hd_str *out)
{
    static const struct fmt_xml_keyed contacts = { .ns = { NS, sizeof(NS) - 1 },
                                                   .name = { "contact", 7 },
                                                   .depth = 3,
                                                   .over_attribute = { "state", 5 },
                                                   .over = { "terminated", 10 },
                                                   .say_gone = false };
    return fmt_xml_keyed_changes(&contacts, base, now, out);
}
