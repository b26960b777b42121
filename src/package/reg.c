/* reg.c - the reg package (RFC 3680, RFC 5628): which phones are registered under an address, and
 * how they came and went.
 *
 * What our own registrar knows is a kept document, what other registrars publish stands beside it.
 * Invariants: an answer to a SUBSCRIBE is whole (state="full"), with the registration "init" when
 * nothing was ever known; a contact that is over is shown with the event that ended it, and left
 * out a while later without a word. */
#include <stdlib.h>

#include "event/kept.h"
#include "event/package.h"
#include "event/reg.h"
#include "format/reginfo.h"
#include "format/xml_keyed.h"
#include "package/body.h"
#include "package/pkg.h"

#define REG_TYPE HD_LIT("application/reginfo+xml")

static enum hd_err
reg_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
             const char **ret_reason)
{
    const enum hd_err err = pkg_check_charset(type, ret_reason);
    return err ? err : fmt_reginfo_validate(body, pkg_body_max(package), ret_reason);
}

static enum hd_err
reg_compose(const struct evt_package *package, struct hd_slice entity,
            const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };

    HD_ASSERT(n > 0);
    if (n == 1 && fmt_reginfo_is_for(published[0].doc->body, entity)) {
        *ret_doc = evt_doc_ref(published[0].doc);
        return HD_OK;
    }
    struct fmt_reginfo_part *parts = calloc(n, sizeof(*parts));
    if (!parts)
        return HD_ENOMEM;
    for (size_t i = 0; i < n; i++)
        parts[i] = (struct fmt_reginfo_part){ published[i].doc->body, published[i].number };
    const enum hd_err err = fmt_reginfo_compose(entity, parts, n, pkg_body_max(package), &out);
    free(parts);
    if (!err)
        return pkg_doc_take(REG_TYPE, &out, ret_doc);
    hd_str_done(&out);
    return err == HD_ENOMEM ? err : HD_ESYNTAX;
}

static enum hd_err
reg_neutral(const struct evt_package *package, struct hd_slice entity, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };

    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    fmt_reginfo_begin(&out, entity, FMT_REGINFO_INIT);
    fmt_reginfo_end(&out);
    return pkg_doc_take(REG_TYPE, &out, ret_doc);
}

static bool
reg_hole(const struct evt_package *package, const struct evt_doc *doc, struct hd_slice *ret_hole)
{
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    return fmt_xml_root_version(doc->body, ret_hole);
}

static enum hd_err
reg_render(const struct evt_package *package, struct hd_slice entity, uint8_t types,
           const struct evt_doc *base, struct evt_doc *doc, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };

    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    (void)entity;
    (void)types;
    const enum hd_err err = base ? fmt_reginfo_partial(base->body, doc->body, &out) : HD_ENOTSUP;
    if (!err)
        return pkg_doc_take(doc->type, &out, ret_doc);
    hd_str_done(&out);
    return err;
}

/* --- what our registrar knows ---------------------------------------------------------------- */

static void
add_contact(void *context, const struct evt_reg_contact *contact)
{
    fmt_reginfo_add(context, &(struct fmt_reginfo_contact){ .id = contact->id,
                                                            .over = contact->over,
                                                            .event = contact->event,
                                                            .uri = contact->contact,
                                                            .call_id = contact->call_id,
                                                            .params = contact->params,
                                                            .pub_gruu = contact->pub_gruu,
                                                            .temp_gruu = contact->temp_gruu,
                                                            .cseq = contact->cseq,
                                                            .temp_cseq = contact->temp_cseq,
                                                            .expires_s = contact->expires_s,
                                                            .retry_after_s = contact->retry_after_s,
                                                            .q = contact->q });
}

/* *ret_doc NULL: nothing was ever registered.  False: memory is short. */
static bool
own_document(struct evt_shard *shard, struct hd_slice key, struct evt_doc **ret_doc)
{
    static const enum fmt_reginfo_state states[] = { [EVT_REG_INIT] = FMT_REGINFO_INIT,
                                                     [EVT_REG_ACTIVE] = FMT_REGINFO_ACTIVE,
                                                     [EVT_REG_TERMINATED] =
                                                         FMT_REGINFO_TERMINATED };
    struct hd_str out = { 0 };
    enum evt_reg_state state = evt_reg_visit(shard, key, NULL, NULL);

    *ret_doc = NULL;
    if (state == EVT_REG_INIT)
        return true;
    fmt_reginfo_begin(&out, key, states[state]);
    (void)evt_reg_visit(shard, key, add_contact, &out);
    fmt_reginfo_end(&out);
    return pkg_doc_take(REG_TYPE, &out, ret_doc) == HD_OK;
}

static bool
show(struct evt_shard *shard, struct evt_resource *resource, bool news)
{
    struct hd_slice key = evt_kept_key(resource);
    struct evt_doc *doc;

    if (!own_document(shard, key, &doc))
        return false;
    if (news)
        evt_kept_set(shard, key, evt_kept_package(resource), doc);
    else
        evt_kept_tidy(shard, key, evt_kept_package(resource), doc);
    evt_doc_unref(doc);
    return true;
}

/* When memory is short what was shown stays, until the next change. */
static void
reg_registered(struct evt_shard *shard, struct evt_resource *resource, bool news)
{
    (void)show(shard, resource, news);
}

static bool
reg_begin(struct evt_shard *shard, struct evt_resource *resource)
{
    return show(shard, resource, true);
}

static void
reg_end(struct evt_shard *shard, struct evt_resource *resource)
{
    (void)shard;
    (void)resource;
}

static const struct evt_keeper reg_keeper = { .begin = reg_begin,
                                              .end = reg_end,
                                              .registered = reg_registered };

const struct evt_keeper *
pkg_reg_keeper(void)
{
    return &reg_keeper;
}

static const struct evt_package_ops reg_ops = {
    .validate = reg_validate,
    .compose = reg_compose,
    .neutral = reg_neutral,
    .hole = reg_hole,
    .render = reg_render,
};

const struct evt_package_ops *
pkg_reg_ops(void)
{
    return &reg_ops;
}
