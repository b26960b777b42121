/* message_summary.c - the message-summary package (RFC 3842): the lamp of a mailbox.
 *
 * Invariants: the newest publication counts; every body names its account (a MUST of section 3.5
 * for groups and aliases, and what phones with several lines look at); message headers are never
 * passed on. */
#include "event/package.h"
#include "format/summary.h"
#include "package/body.h"
#include "package/pkg.h"

#define SUMMARY_TYPE HD_LIT("application/simple-message-summary")

static enum hd_err
summary_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
                 const char **ret_reason)
{
    struct fmt_summary summary;
    enum hd_err err = pkg_check_charset(type, ret_reason);
    if (err)
        return err;
    if (body.n > pkg_body_max(package)) {
        *ret_reason = "the document is too large";
        return HD_ESYNTAX;
    }
    err = fmt_summary_parse(body, &summary, ret_reason);
    return err ? HD_ESYNTAX : HD_OK;
}

static enum hd_err
summary_compose(const struct evt_package *package, struct hd_slice entity,
                const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    struct fmt_summary summary;
    struct hd_str out = { 0 };
    const char *reason;

    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    HD_ASSERT(n > 0);
    if (fmt_summary_parse(published[0].doc->body, &summary, &reason))
        return HD_ESYNTAX;
    fmt_summary_write(&summary, entity, &out);
    if (!out.err && hd_slice_eq(hd_str_slice(&out), published[0].doc->body)) {
        hd_str_done(&out);
        *ret_doc = evt_doc_ref(published[0].doc);
        return HD_OK;
    }
    return pkg_doc_take(SUMMARY_TYPE, &out, ret_doc);
}

static enum hd_err
summary_neutral(const struct evt_package *package, struct hd_slice entity, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    fmt_summary_neutral(entity, &out);
    return pkg_doc_take(SUMMARY_TYPE, &out, ret_doc);
}

static const struct evt_package_ops summary_ops = {
    .validate = summary_validate,
    .compose = summary_compose,
    .neutral = summary_neutral,
};

const struct evt_package_ops *
pkg_message_summary_ops(void)
{
    return &summary_ops;
}
