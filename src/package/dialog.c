/* dialog.c - the dialog package (RFC 4235): the calls of a user's phones, for busy lamps.
 *
 * Invariants: what a SUBSCRIBE is answered with is whole (state="full"), without dialogs when
 * nothing is published; who has acknowledged one state is told what changed (state="partial", RFC
 * 4235 section 3.7) where that is shorter; its version is not part of the event state: each
 * subscription counts its own (section 4.1), so a publication that differs in nothing else is no
 * news. */
#include <stdlib.h>

#include "event/package.h"
#include "format/dialoginfo.h"
#include "package/body.h"
#include "package/pkg.h"

#define DIALOG_TYPE HD_LIT("application/dialog-info+xml")

static enum hd_err
dialog_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
                const char **ret_reason)
{
    const enum hd_err err = pkg_check_charset(type, ret_reason);
    return err ? err : fmt_dialoginfo_validate(body, pkg_body_max(package), ret_reason);
}

/* One document out of several, or of one that is not about this resource. */
static enum hd_err
join(const struct evt_package *package, struct hd_slice entity,
     const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    struct fmt_dialoginfo_part *parts = calloc(n, sizeof(*parts));
    struct hd_str out = { 0 };

    if (!parts)
        return HD_ENOMEM;
    for (size_t i = 0; i < n; i++)
        parts[i] = (struct fmt_dialoginfo_part){ published[i].doc->body, published[i].number };
    const enum hd_err err = fmt_dialoginfo_compose(entity, parts, n, pkg_body_max(package), &out);
    free(parts);
    if (!err)
        return pkg_doc_take(DIALOG_TYPE, &out, ret_doc);
    hd_str_done(&out);
    return err == HD_ENOMEM ? err : HD_ESYNTAX;
}

/* Nobody is authorized to see session descriptions, which may hold keys: there is no rule that says
 * so, and Event's include-session-description alone does not (RFC 4235 section 3.3). */
static enum hd_err
leave_sessions_out(struct evt_doc **doc)
{
    struct hd_str out = { 0 };
    struct evt_doc *left;
    enum hd_err err = fmt_dialoginfo_without_sessions((*doc)->body, &out);

    if (!err)
        err = pkg_doc_take((*doc)->type, &out, &left);
    else
        hd_str_done(&out);
    if (!err) {
        evt_doc_unref(*doc);
        *doc = left;
    }
    return err == HD_ENOMATCH ? HD_OK : err;
}

static enum hd_err
dialog_neutral(const struct evt_package *package, struct hd_slice entity, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    fmt_dialoginfo_neutral(entity, &out);
    return pkg_doc_take(DIALOG_TYPE, &out, ret_doc);
}

static enum hd_err
dialog_compose(const struct evt_package *package, struct hd_slice entity,
               const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    struct evt_doc *doc;
    enum hd_err err = HD_OK;

    HD_ASSERT(n > 0);
    if (n == 1 && fmt_dialoginfo_is_for(published[0].doc->body, entity))
        doc = evt_doc_ref(published[0].doc);
    else
        err = join(package, entity, published, n, &doc);
    if (err == HD_ESYNTAX) { /* it cannot be done: the newest as it is */
        doc = evt_doc_ref(published[0].doc);
        err = HD_OK;
    }
    if (err)
        return err;
    err = leave_sessions_out(&doc);
    if (!err) {
        *ret_doc = doc;
        return HD_OK;
    }
    evt_doc_unref(doc);
    return err == HD_ENOMEM ? err : dialog_neutral(package, entity, ret_doc);
}

static bool
dialog_hole(const struct evt_package *package, const struct evt_doc *doc, struct hd_slice *ret_hole)
{
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    return fmt_dialoginfo_version(doc->body, ret_hole);
}

static enum hd_err
dialog_render(const struct evt_package *package, struct hd_slice entity, uint8_t types,
              const struct evt_doc *base, struct evt_doc *doc, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };

    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    (void)entity;
    (void)types;
    const enum hd_err err = base ? fmt_dialoginfo_partial(base->body, doc->body, &out) : HD_ENOTSUP;
    if (!err)
        return pkg_doc_take(doc->type, &out, ret_doc);
    hd_str_done(&out);
    return err;
}

static const struct evt_package_ops dialog_ops = {
    .validate = dialog_validate,
    .compose = dialog_compose,
    .neutral = dialog_neutral,
    .hole = dialog_hole,
    .render = dialog_render,
};

const struct evt_package_ops *
pkg_dialog_ops(void)
{
    return &dialog_ops;
}
