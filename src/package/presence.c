/* presence.c - the presence package (RFC 3856): one person, several phones, one document.
 *
 * Where the configuration says so, presence is also made of what the broker knows itself: whether a
 * phone is registered, and whether a dialog is published that is confirmed.
 *
 * Invariants: what one phone alone publishes reaches watchers octet by octet; watchers always get a
 * PIDF document, a closed one when nothing is published and nothing known. */
#include <stdlib.h>

#include "event/kept.h"
#include "event/package.h"
#include "event/reg.h"
#include "format/dialoginfo.h"
#include "format/pidf.h"
#include "format/pidf_diff.h"
#include "format/xml_keyed.h"
#include "package/body.h"
#include "package/pkg.h"
#include "sip/header.h"

#define PIDF_TYPE HD_LIT("application/pidf+xml")
#define PIDF_DIFF_TYPE HD_LIT("application/pidf-diff+xml")
#define PIDF_DIFF_BIT 2u /* the second of the types */

static enum hd_err
presence_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
                  const char **ret_reason)
{
    const enum hd_err err = pkg_check_charset(type, ret_reason);
    return err ? err : fmt_pidf_validate(body, pkg_body_max(package), ret_reason);
}

static enum hd_err
compose_several(const struct evt_package *package, struct hd_slice entity,
                const struct evt_published *published, size_t n, struct hd_str *out)
{
    struct fmt_pidf_part *parts = calloc(n, sizeof(*parts));
    struct fmt_xml *xml = fmt_xml_new();
    enum hd_err err = HD_ENOMEM;

    if (parts && xml) {
        for (size_t i = 0; i < n; i++)
            parts[i] = (struct fmt_pidf_part){ .body = published[i].doc->body,
                                               .number = published[i].number,
                                               .kept = published[i].number == 0 };
        err = fmt_pidf_compose(xml, entity, parts, n, pkg_body_max(package), out);
    }
    fmt_xml_free(xml);
    free(parts);
    return err;
}

static enum hd_err
presence_compose(const struct evt_package *package, struct hd_slice entity,
                 const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };

    HD_ASSERT(n > 0);
    if (n == 1 && fmt_pidf_is_for(published[0].doc->body, entity)) {
        *ret_doc = evt_doc_ref(published[0].doc);
        return HD_OK;
    }
    const enum hd_err err = compose_several(package, entity, published, n, &out);
    if (!err)
        return pkg_doc_take(PIDF_TYPE, &out, ret_doc);
    hd_str_done(&out);
    return err == HD_ENOMEM ? err : HD_ESYNTAX;
}

static enum hd_err
presence_neutral(const struct evt_package *package, struct hd_slice entity,
                 struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    fmt_pidf_neutral(entity, &out);
    return pkg_doc_take(PIDF_TYPE, &out, ret_doc);
}

/* --- presence from registration --------------------------------------------------------------- */

static bool
presence_wants(const struct evt_package *package, struct hd_slice key)
{
    const struct evt_derived *derived = package->derived;
    struct hd_slice domain = hd_slice_from(key, hd_slice_find(key, '@'));

    if (!derived || domain.n < 2)
        return false;
    domain = hd_slice_from(domain, 1);
    for (size_t i = 0; derived->domains && i < derived->n_domains; i++)
        if (hd_slice_eq(derived->domains[i], domain))
            return true;
    return !derived->domains;
}

static void
look_for_call(void *context, const struct evt_doc *doc)
{
    bool *on_phone = context;

    *on_phone = *on_phone || fmt_dialoginfo_is_busy(doc->body);
}

/* NULL in *ret_doc: there is nothing to say.  False: memory is short. */
static bool
reach_document(struct hd_slice key, const struct fmt_pidf_reach *reach, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };

    *ret_doc = NULL;
    if (!reach->tuple && !reach->on_phone)
        return true;
    fmt_pidf_reachable(key, reach, &out);
    return pkg_doc_take(PIDF_TYPE, &out, ret_doc) == HD_OK;
}

/* Who is on the phone can be reached, whoever keeps his registration.  What he publishes himself
 * says by itself whether he can: beside it only being on the phone is told, unless the
 * configuration wants the registration there too. */
static bool
presence_show(struct evt_shard *shard, struct evt_resource *resource)
{
    const struct evt_derived *derived = evt_kept_definition(resource)->derived;
    struct hd_slice key = evt_kept_key(resource);
    struct evt_doc *alone = NULL, *beside = NULL;
    struct fmt_pidf_reach reach = { 0 };
    bool shown;

    if (derived->calls)
        evt_kept_published(shard, key, HD_LIT("dialog"), look_for_call, &reach.on_phone);
    reach.open = reach.on_phone || evt_reg_visit(shard, key, NULL, NULL) == EVT_REG_ACTIVE;
    reach.tuple = reach.open; /* closed is what the neutral document says */
    shown = reach_document(key, &reach, &alone);
    reach.tuple = reach.open && derived->beside;
    shown = shown && reach_document(key, &reach, &beside);
    if (shown)
        evt_kept_set_both(shard, key, evt_kept_package(resource), alone, beside);
    evt_doc_unref(alone);
    evt_doc_unref(beside);
    return shown;
}

/* When memory is short what was shown stays, until the next change. */
static void
presence_fed(struct evt_shard *shard, struct evt_resource *resource)
{
    (void)presence_show(shard, resource);
}

static void
presence_registered(struct evt_shard *shard, struct evt_resource *resource, bool news)
{
    if (news)
        (void)presence_show(shard, resource);
}

static void
presence_end(struct evt_shard *shard, struct evt_resource *resource)
{
    (void)shard;
    (void)resource;
}

static const struct evt_keeper presence_keeper = { .wants = presence_wants,
                                                   .begin = presence_show,
                                                   .end = presence_end,
                                                   .registered = presence_registered,
                                                   .fed = presence_fed };

const struct evt_keeper *
pkg_presence_keeper(void)
{
    return &presence_keeper;
}

/* RFC 5263 section 4.4: what those are shown who keep a copy. */
static enum hd_err
presence_render(const struct evt_package *package, struct hd_slice entity, uint8_t types,
                const struct evt_doc *base, struct evt_doc *doc, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };

    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    (void)entity;
    if (!(types & PIDF_DIFF_BIT) || !sip_media_same(doc->type, PIDF_TYPE))
        return HD_ENOTSUP;
    const enum hd_err err =
        base ? fmt_pidf_diff(base->body, doc->body, &out) : fmt_pidf_full(doc->body, &out);
    if (!err)
        return pkg_doc_take(PIDF_DIFF_TYPE, &out, ret_doc);
    hd_str_done(&out);
    return err;
}

static bool
presence_hole(const struct evt_package *package, const struct evt_doc *doc,
              struct hd_slice *ret_hole)
{
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    return sip_media_same(doc->type, PIDF_DIFF_TYPE) && fmt_xml_root_version(doc->body, ret_hole);
}

static const struct evt_package_ops presence_ops = {
    .validate = presence_validate,
    .compose = presence_compose,
    .neutral = presence_neutral,
    .hole = presence_hole,
    .render = presence_render,
};

const struct evt_package_ops *
pkg_presence_ops(void)
{
    return &presence_ops;
}
