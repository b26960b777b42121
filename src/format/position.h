/* position.h - positions on the ground: reading and writing degrees, and hiding where exactly
 * somebody is (RFC 6772 section 6.5.2).  Pure; any thread. */
#ifndef HD_FORMAT_POSITION_H
#define HD_FORMAT_POSITION_H

#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

#define FMT_CIRCLE_LEAST_M 10u /* radius of a circle that hides something */
#define FMT_CIRCLE_MOST_M 200000u

struct fmt_position {
    double latitude, longitude; /* degrees, WGS 84 */
    double uncertainty_m;       /* radius around it, 0: a point */
};

/** A decimal number, "-12.5" or "1e3", of at most 40 octets.  HD_ESYNTAX. */
HD_NODISCARD enum hd_err fmt_decimal_read(struct hd_slice text, double *ret_value);
/** Writes degrees with six decimals at most. */
void fmt_degrees_write(struct hd_str *out, double degrees);
/**
 * A circle of the radius radius_m, or a multiple of it for a position that is less certain, that
 * the position is in; its centre is on a grid, so that the same place gives the same circle
 * (RFC 6772 sections 6.5.2 and 13.2).
 * @return HD_OK; HD_ERANGE: no position, or one nearer to a pole than the grid goes
 */
HD_NODISCARD enum hd_err fmt_position_hide(const struct fmt_position *position, uint32_t radius_m,
                                           struct fmt_position *ret_circle);

#endif
