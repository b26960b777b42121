/* generic.c - an event package without code of its own: its section in the configuration says all
 * there is to say.
 *
 * The problem: applications bring their own state (a count, a reading, a position), and the broker
 * must carry it whole without knowing it.  Invariants: bodies are never changed but by a patch, and
 * where a rule of the package says how several become one; the same
 * publications give the same octets, boundary included, so that watchers are not told about a
 * change that is none; a boundary never occurs in a body. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "event/package.h"
#include "format/json.h"
#include "format/json_compose.h"
#include "format/json_merge.h"
#include "format/xml_read.h"
#include "package/body.h"
#include "package/pkg.h"
#include "sip/header.h"

#define BOUNDARY_ROOM 64

/* ---- validating ---- */

static bool
ends_with(struct hd_slice s, struct hd_slice end)
{
    return s.n >= end.n && hd_slice_ieq(hd_slice_from(s, s.n - end.n), end);
}

static bool
is_json(struct hd_slice type)
{
    struct sip_media media;

    return !sip_media_parse(type, &media) && (hd_slice_ieq(media.subtype, HD_LIT("json")) ||
                                              ends_with(media.subtype, HD_LIT("+json")));
}

static bool
is_xml(struct hd_slice type)
{
    struct sip_media media;

    return !sip_media_parse(type, &media) &&
           (hd_slice_ieq(media.subtype, HD_LIT("xml")) || ends_with(media.subtype, HD_LIT("+xml")));
}

/* Whether the rules of a package can use a document: it is composed alone. */
static enum hd_err
check_rules(const struct evt_package *package, struct hd_slice body, const char **ret_reason)
{
    struct hd_str out = { 0 };
    uint32_t unfit = 0;

    enum hd_err err = fmt_json_compose(package->rules, package->n_rules, &body, 1, &out, &unfit);
    hd_str_done(&out);
    if (err == HD_EFULL || err == HD_ESYNTAX) {
        *ret_reason = err == HD_EFULL ? "JSON: too many values" : "JSON: not well-formed";
        return HD_ESYNTAX;
    }
    if (!err && unfit)
        *ret_reason = "a value that the package's rules cannot use";
    return err;
}

static enum hd_err
generic_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
                 const char **ret_reason)
{
    const size_t max = pkg_body_max(package);
    const bool json = is_json(type);
    struct sip_media media;

    if (sip_media_parse(type, &media)) {
        *ret_reason = "the media type cannot be read";
        return HD_ENOTSUP;
    }
    if (json || is_xml(type)) {
        enum hd_err err = pkg_check_charset(type, ret_reason);
        if (!err)
            err =
                json ? fmt_json_check(body, max, ret_reason) : fmt_xml_check(body, max, ret_reason);
        if (!err && json && package->n_rules)
            err = check_rules(package, body, ret_reason);
        return err;
    }
    if (body.n > max) {
        *ret_reason = "the document is too large";
        return HD_ESYNTAX;
    }
    return HD_OK;
}

/* ---- patching ---- */

/* RFC 7396: what is there stays as it was written, and its type stays. */
static enum hd_err
generic_patch(const struct evt_package *package, const struct evt_doc *doc, struct hd_slice patch,
              struct evt_doc **ret_doc, const char **ret_reason)
{
    struct hd_str out = { 0 };

    if (!is_json(doc->type))
        return HD_ENOTSUP;
    enum hd_err err = fmt_json_check(patch, pkg_body_max(package), ret_reason);
    if (!err)
        err = fmt_json_merge(doc->body, patch, &out);
    if (!err)
        return pkg_doc_take(doc->type, &out, ret_doc);
    hd_str_done(&out);
    if (err == HD_EFULL) {
        *ret_reason = "JSON: too many values";
        return HD_ESYNTAX;
    }
    return err;
}

/* ---- composing ---- */

static enum hd_err
compose_json_array(const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };
    hd_str_add_char(&out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            hd_str_add_char(&out, ',');
        hd_str_add(&out, published[i].doc->body);
    }
    hd_str_add_char(&out, ']');
    return pkg_doc_take(HD_LIT("application/json"), &out, ret_doc);
}

static bool
occurs(struct hd_slice boundary, const struct evt_published *published, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct hd_slice body = published[i].doc->body;
        if (body.n && memmem(body.p, body.n, boundary.p, boundary.n))
            return true;
    }
    return false;
}

/* A token that occurs in none of the bodies and depends on nothing else.  A publisher who wanted to
 * write it into his body would have to know the hash of a body that holds it. */
static struct hd_slice
make_boundary(const struct evt_published *published, size_t n, char ret[BOUNDARY_ROOM])
{
    static const struct hd_hash_key key = { 0x68657261, 0x6c64 };
    uint64_t hash = n;
    struct hd_slice boundary;

    for (size_t i = 0; i < n; i++)
        hash = hd_hash_mix(hash, hd_hash(&key, published[i].doc->body));
    do {
        const int len = snprintf(ret, BOUNDARY_ROOM, "herald-%016llx", (unsigned long long)hash++);
        boundary = hd_slice(ret, (size_t)len);
    } while (occurs(boundary, published, n));
    return boundary;
}

/* A header value on one line: folds, which cannot stand in a part's header of ours, become blanks.
 */
static void
add_unfolded(struct hd_str *out, struct hd_slice value)
{
    for (size_t i = 0; i < value.n; i++)
        hd_str_add_char(out, value.p[i] == '\r' || value.p[i] == '\n' ? ' ' : value.p[i]);
}

/* RFC 2046 section 5.1.3: independent parts in an order. */
static enum hd_err
compose_multipart(const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    static const char prefix[] = "multipart/mixed;boundary=";
    char text[BOUNDARY_ROOM], type[sizeof(prefix) + BOUNDARY_ROOM];
    const struct hd_slice boundary = make_boundary(published, n, text);
    struct hd_str out = { 0 };

    for (size_t i = 0; i < n; i++) {
        hd_str_add_str(&out, "--");
        hd_str_add(&out, boundary);
        hd_str_add_str(&out, "\r\nContent-Type: ");
        add_unfolded(&out, published[i].doc->type);
        hd_str_add_str(&out, "\r\n\r\n");
        hd_str_add(&out, published[i].doc->body);
        hd_str_add_str(&out, "\r\n");
    }
    hd_str_add_str(&out, "--");
    hd_str_add(&out, boundary);
    hd_str_add_str(&out, "--\r\n");
    const int len = snprintf(type, sizeof(type), "%s%.*s", prefix, HD_FMT(boundary));
    return pkg_doc_take(hd_slice(type, (size_t)len), &out, ret_doc);
}

static bool
all_are_json(const struct evt_published *published, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!sip_media_same(published[i].doc->type, HD_LIT("application/json")))
            return false;
    return true;
}

/* The rules of the package, for JSON alone; HD_ESYNTAX: the newest stands for all. */
static enum hd_err
compose_by_rules(const struct evt_package *package, const struct evt_published *published, size_t n,
                 struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };
    uint32_t unfit;

    struct hd_slice *documents = malloc(n * sizeof(*documents));
    if (!documents)
        return HD_ENOMEM;
    enum hd_err err = HD_OK;
    for (size_t i = 0; i < n; i++) {
        documents[i] = published[i].doc->body;
        if (!is_json(published[i].doc->type))
            err = HD_ESYNTAX; /* of an earlier configuration */
    }
    if (!err)
        err = fmt_json_compose(package->rules, package->n_rules, documents, n, &out, &unfit);
    free(documents);
    if (!err)
        return pkg_doc_take(published[0].doc->type, &out, ret_doc);
    hd_str_done(&out);
    return err;
}

static enum hd_err
generic_compose(const struct evt_package *package, struct hd_slice entity,
                const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    HD_ASSERT(n > 0);
    (void)entity;
    switch (package->compose) {
    case EVT_COMPOSE_LIST:
        return all_are_json(published, n) ? compose_json_array(published, n, ret_doc)
                                          : compose_multipart(published, n, ret_doc);
    case EVT_COMPOSE_LATEST:
        if (package->n_rules)
            return compose_by_rules(package, published, n, ret_doc);
        break;
    case EVT_COMPOSE_OWN:
        break;
    }
    *ret_doc = evt_doc_ref(published[0].doc);
    return HD_OK;
}

static enum hd_err
generic_neutral(const struct evt_package *package, struct hd_slice entity, struct evt_doc **ret_doc)
{
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    (void)entity;
    if (package->neutral_type.n == 0) {
        *ret_doc = NULL;
        return HD_OK;
    }
    struct evt_doc *doc = evt_doc_new(package->neutral_type, package->neutral_body);
    if (!doc)
        return HD_ENOMEM;
    *ret_doc = doc;
    return HD_OK;
}

static const struct evt_package_ops generic_ops = {
    .validate = generic_validate,
    .patch = generic_patch,
    .compose = generic_compose,
    .neutral = generic_neutral,
};

const struct evt_package_ops *
pkg_generic_ops(void)
{
    return &generic_ops;
}
