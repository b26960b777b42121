/* presence.c - the presence package (RFC 3856): one person, several phones, one document.
 *
 * Invariants: what one phone alone publishes reaches watchers octet by octet; watchers always get a
 * PIDF document, a closed one when nothing is published. */
#include <stdlib.h>

#include "event/package.h"
#include "format/pidf.h"
#include "package/body.h"
#include "package/pkg.h"

#define PIDF_TYPE HD_LIT("application/pidf+xml")

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
            parts[i] = (struct fmt_pidf_part){ published[i].doc->body, published[i].number };
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

static const struct evt_package_ops presence_ops = {
    .validate = presence_validate,
    .compose = presence_compose,
    .neutral = presence_neutral,
};

const struct evt_package_ops *
pkg_presence_ops(void)
{
    return &presence_ops;
}
