/* number.h - numbers, durations and lengths as conditions and bodies write them.
 * Pure; any thread.  Slices are looked at, never kept. */
#ifndef HD_FILTER_NUMBER_H
#define HD_FILTER_NUMBER_H

#include "base/slice.h"

#define FLT_FOR_MOST_MS (31u * 24 * 3600 * 1000) /* the longest dwell or silence */

/** A decimal number, all of text: sign, digits, fraction, exponent.  HD_ESYNTAX: anything else,
 * "NaN" and "INF" too; HD_ERANGE: not within a double. */
HD_NODISCARD enum hd_err flt_number(struct hd_slice text, double *ret_value);
/** The same at the front of *text, which is moved behind it. */
HD_NODISCARD enum hd_err flt_number_take(struct hd_slice *text, double *ret_value);
/** "5s", "500ms", "2m", "1h", "10" (seconds): 1 ms to 31 days.  HD_ESYNTAX, HD_ERANGE. */
HD_NODISCARD enum hd_err flt_duration(struct hd_slice text, uint32_t *ret_ms);
/** "300", "300m", "10km", "10mi", "5nmi", "30ft" in metres, above 0 and at most half way around the
 * Earth.  HD_ESYNTAX, HD_ERANGE. */
HD_NODISCARD enum hd_err flt_length(struct hd_slice text, double *ret_m);

#endif
