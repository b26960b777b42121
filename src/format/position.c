/* position.c - hiding where exactly somebody is.
 *
 * The problem: a circle that is drawn anew each time gives its centre away to whoever waits; so
 * centres are points of a grid, chosen by the algorithm of RFC 6772 section 6.5.2, and nothing is
 * left to chance: where it offers two points the first is taken. */
#include "format/position.h"

#include <math.h>

#define PI 3.14159265358979323846
#define DEGREE_M 110600.0    /* of latitude, as the example of RFC 6772 section 7.5 takes it */
#define MERIDIAN_M 6367500.0 /* the Earth's average meridional radius */
#define POLAR 86.0           /* degrees: nearer to a pole the grid's distortion exceeds 1.5 */

/* ---- numbers ---- */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits from *at on: their value, and how many there were. */
static double
digits_read(struct hd_slice text, size_t *at, unsigned *ret_n)
{
    double value = 0;
    *ret_n = 0;
    for (; *at < text.n && is_digit(text.p[*at]); (*at)++, (*ret_n)++)
        value = value * 10 + (text.p[*at] - '0');
    return value;
}

static bool
sign_read(struct hd_slice text, size_t *at)
{
    const bool minus = *at < text.n && text.p[*at] == '-';
    if (*at < text.n && (text.p[*at] == '-' || text.p[*at] == '+'))
        (*at)++;
    return minus;
}

enum hd_err
fmt_decimal_read(struct hd_slice text, double *ret_value)
{
    size_t at = 0;
    unsigned n, n_fraction = 0;

    if (text.n > 40)
        return HD_ESYNTAX;
    const bool minus = sign_read(text, &at);
    double value = digits_read(text, &at, &n);
    if (at < text.n && text.p[at] == '.') {
        at++;
        const double fraction = digits_read(text, &at, &n_fraction);
        value += fraction / pow(10, n_fraction);
    }
    if (n + n_fraction == 0)
        return HD_ESYNTAX;
    if (at < text.n && (text.p[at] == 'e' || text.p[at] == 'E')) {
        at++;
        const bool less = sign_read(text, &at);
        const double exponent = digits_read(text, &at, &n);
        if (n == 0 || n > 3)
            return HD_ESYNTAX;
        value *= pow(10, less ? -exponent : exponent);
    }
    if (at != text.n || !isfinite(value))
        return HD_ESYNTAX;
    *ret_value = minus ? -value : value;
    return HD_OK;
}

/* Without printf: the point is a point in every locale. */
void
fmt_degrees_write(struct hd_str *out, double degrees)
{
    const double micro = fabs(degrees) * 1e6 + 0.5;
    const uint64_t n = micro < 1e15 ? (uint64_t)micro : 0;
    uint64_t fraction = n % 1000000;

    if (degrees < 0 && n > 0)
        hd_str_add_char(out, '-');
    hd_str_add_u64(out, n / 1000000);
    if (fraction == 0)
        return;
    hd_str_add_char(out, '.');
    for (uint64_t unit = 100000; fraction > 0; unit /= 10) {
        hd_str_add_char(out, (char)('0' + fraction / unit));
        fraction %= unit;
    }
}

/* ---- the grid ---- */

/* The latitude at which the grid begins that holds this one: those of RFC 6772 section 7.5, and on
 * towards the poles by steps that keep the distortion below 1.5. */
static double
grid_origin(double latitude)
{
    static const double origins[] = { 85, 83, 80, 75, 70, 60, 55, 45, 25 };
    for (size_t i = 0; i < HD_ARRAY_LEN(origins); i++)
        if (latitude >= origins[i])
            return origins[i];
    return 0;
}

/* Which corner of its square a position gets: steps 5 and 6 of RFC 6772 section 6.5.2.  x and y are
 * its place in the square, from 0 to 1. */
static void
corner(double x, double y, unsigned *ret_right, unsigned *ret_up)
{
    const double p = 0.2887, q = 0.7113;

    *ret_right = *ret_up = 0; /* C1: SW; C2: SW or SE; C4: SW or NW */
    if (q <= x && y < p) {    /* C3: SE */
        *ret_right = 1;
    } else if (p <= y && y < q && y < x && 1 - x <= y) { /* C5: SE or NE */
        *ret_right = 1;
    } else if (x < p && q <= y) { /* C6: NW */
        *ret_up = 1;
    } else if (p <= x && x < q && x <= y && 1 - x <= y) { /* C7: NW or NE */
        *ret_up = 1;
    } else if (q <= x && q <= y) { /* C8: NE */
        *ret_right = *ret_up = 1;
    }
}

enum hd_err
fmt_position_hide(const struct fmt_position *position, uint32_t radius_m,
                  struct fmt_position *ret_circle)
{
    const double latitude = fabs(position->latitude), longitude = position->longitude;
    unsigned right, up;

    if (!isfinite(latitude) || !isfinite(longitude) || !isfinite(position->uncertainty_m) ||
        latitude > POLAR || fabs(longitude) > 180 || position->uncertainty_m < 0 ||
        position->uncertainty_m > 1e8)
        return HD_ERANGE;
    const double origin = grid_origin(latitude);
    const double wide = radius_m / (PI / 180 * MERIDIAN_M * cos(origin * PI / 180));
    const double high = radius_m / DEGREE_M;
    const double column = floor(longitude / wide), row = floor((latitude - origin) / high);
    corner(longitude / wide - column, (latitude - origin) / high - row, &right, &up);
    const double north = origin + (row + up) * high;
    double east = (column + right) * wide;
    if (east < -180)
        east += 360;
    if (east > 180)
        east -= 360;
    ret_circle->latitude = position->latitude < 0 ? -north : north;
    ret_circle->longitude = east;
    ret_circle->uncertainty_m = radius_m * (1 + ceil(position->uncertainty_m / radius_m));
    return HD_OK;
}
