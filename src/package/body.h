/* body.h - what the packages share: bounds, charsets, documents out of text.  Pure; any thread. */
#ifndef HD_PACKAGE_BODY_H
#define HD_PACKAGE_BODY_H

#include "base/str.h"
#include "event/package.h"

/** Octets that a document of the package may have. */
size_t pkg_body_max(const struct evt_package *package);
/** HD_ENOTSUP with a reason when a Content-Type value cannot be read or names a charset other than
 * UTF-8 and US-ASCII. */
HD_NODISCARD enum hd_err pkg_check_charset(struct hd_slice type, const char **ret_reason);
/** A document of this type with the text, which is freed.  HD_ENOMEM, also when writing the text
 * had failed. */
HD_NODISCARD enum hd_err pkg_doc_take(struct hd_slice type, struct hd_str *text,
                                      struct evt_doc **ret_doc);

#endif
