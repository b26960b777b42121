/* pidf_diff.h - presence for those who keep a copy of it: whole, and what changed (RFC 5262).
 * Thread: any.  Memory: documents are borrowed for the call. */
#ifndef HD_FORMAT_PIDF_DIFF_H
#define HD_FORMAT_PIDF_DIFF_H

#include "base/slice.h"
#include "base/str.h"

/** A PIDF document with the root pidf-full and version 1.
 * @return HD_OK; HD_ENOTSUP: it cannot be read, or its root has a version of its own; HD_EFULL: too
 *         many elements; HD_ENOMEM.  On failure out holds nothing of use. */
HD_NODISCARD enum hd_err fmt_pidf_full(struct hd_slice body, struct hd_str *out);
/** A document with the root pidf-diff and version 1 that makes base into now, both PIDF, for
 * whoever was shown base.  Errors as fmt_pidf_full(); HD_ENOTSUP also: now is to be shown whole. */
HD_NODISCARD enum hd_err fmt_pidf_diff(struct hd_slice base, struct hd_slice now,
                                       struct hd_str *out);

#endif
