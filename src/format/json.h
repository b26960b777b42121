/* json.h - JSON from outside: whether a body may be kept.  Pure; any thread. */
#ifndef HD_FORMAT_JSON_H
#define HD_FORMAT_JSON_H

#include "base/slice.h"

#define FMT_JSON_MAX_DEPTH 32 /* arrays and objects inside each other */

/**
 * Checks a JSON text (RFC 8259): any value, UTF-8, no member twice in an object, no NUL, at most
 * max octets.
 * @param ret_reason  set with HD_ESYNTAX: one line, static
 * @return HD_OK, HD_ESYNTAX, HD_ENOMEM
 */
HD_NODISCARD enum hd_err fmt_json_check(struct hd_slice text, size_t max, const char **ret_reason);

#endif
