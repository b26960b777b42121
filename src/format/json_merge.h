/* json_merge.h - a merge patch applied to a JSON document (RFC 7396).  Pure; any thread. */
#ifndef HD_FORMAT_JSON_MERGE_H
#define HD_FORMAT_JSON_MERGE_H

#include "base/slice.h"
#include "base/str.h"

/**
 * The target with the patch applied (RFC 7396 section 2); what the patch leaves alone stays as it
 * was written.
 * @param out  empty; holds nothing of use on failure
 * @return HD_OK; HD_ESYNTAX: one of them is not JSON; HD_EFULL: too many values; HD_ENOMEM
 */
HD_NODISCARD enum hd_err fmt_json_merge(struct hd_slice target, struct hd_slice patch,
                                        struct hd_str *out);

#endif
