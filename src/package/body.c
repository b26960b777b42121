/* body.c - what the packages share.
 *
 * Invariant: a text that could not be written whole never becomes a document. */
#include "package/body.h"

#include "package/pkg.h"
#include "sip/header.h"

size_t
pkg_body_max(const struct evt_package *package)
{
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    return package->max_body ? package->max_body : PKG_BODY_MAX;
}

enum hd_err
pkg_check_charset(struct hd_slice type, const char **ret_reason)
{
    struct sip_media media;
    struct hd_slice charset;

    if (sip_media_parse(type, &media)) {
        *ret_reason = "the media type cannot be read";
        return HD_ENOTSUP;
    }
    if (!sip_param_find(media.params, HD_LIT("charset"), &charset))
        return HD_OK;
    charset = sip_unquote(charset);
    if (hd_slice_ieq(charset, HD_LIT("utf-8")) || hd_slice_ieq(charset, HD_LIT("us-ascii")))
        return HD_OK;
    *ret_reason = "the charset is not UTF-8";
    return HD_ENOTSUP;
}

enum hd_err
pkg_doc_take(struct hd_slice type, struct hd_str *text, struct evt_doc **ret_doc)
{
    struct evt_doc *doc = text->err ? NULL : evt_doc_new(type, hd_str_slice(text));
    hd_str_done(text);
    if (!doc)
        return HD_ENOMEM;
    *ret_doc = doc;
    return HD_OK;
}
