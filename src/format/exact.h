/* exact.h - decimal numbers as they are written, added and compared without rounding.
 * Pure; any thread.
 *
 * 45 digits before the point and 45 behind it: 0.1 and 0.2 are 0.3, and the count of a warehouse
 * never becomes the nearest double. */
#ifndef HD_FORMAT_EXACT_H
#define HD_FORMAT_EXACT_H

#include "base/slice.h"
#include "base/str.h"

#define FMT_EXACT_LIMBS 10
#define FMT_EXACT_ADDENDS 1000000u /* numbers in one sum at most */

/* Nine decimal digits each, the most significant first; five before the point. */
struct fmt_exact {
    int64_t limb[FMT_EXACT_LIMBS];
};

/** Reads a number as JSON writes it (RFC 8259 section 6).
 * @return HD_OK; HD_ESYNTAX: it is none; HD_ERANGE: more digits than there is room for */
HD_NODISCARD enum hd_err fmt_exact_read(struct hd_slice text, struct fmt_exact *ret_number);
/** Adds a number that was read to a sum, which begins as all zero. */
void fmt_exact_add(struct fmt_exact *sum, const struct fmt_exact *number);
/** Orders numbers that were read: <0, 0, >0. */
int fmt_exact_cmp(const struct fmt_exact *a, const struct fmt_exact *b);
/** Writes a sum as a JSON number: no exponent, no zero that says nothing.  A whole number of more
 * than 18 digits, which 64 bits may not hold, ends in ".0", since many readers refuse it otherwise.
 */
void fmt_exact_write(struct hd_str *out, const struct fmt_exact *sum);

#endif
