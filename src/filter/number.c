/* number.c - decimal text to double, without the C library's locale and its look for a NUL.
 *
 * Eighteen digits of the mantissa count, the rest only moves the point; the scaling is done in long
 * double, so the result is within one unit of the last place.  What is not finite never leaves. */
#include "filter/number.h"

#include <math.h>

#include "base/lit.h"
#include "base/unit.h"

#define EARTH_HALF_M 20037508.0

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* 10^e for |e| <= 4000, by squaring. */
static long double
power_of_ten(int e)
{
    long double base = 10, result = 1;

    for (unsigned n = (unsigned)(e < 0 ? -e : e); n; n >>= 1, base *= base)
        if (n & 1)
            result *= base;
    return e < 0 ? 1 / result : result;
}

struct decimal {
    uint64_t mantissa;
    int exponent; /* of ten */
    unsigned digits;
    bool negative;
};

static void
take_digits(struct hd_slice *text, struct decimal *d, bool fraction)
{
    for (; text->n && is_digit(*text->p); text->p++, text->n--) {
        if (d->digits < 1000000)
            d->digits++;
        if (d->mantissa < UINT64_C(100000000000000000)) {
            d->mantissa = d->mantissa * 10 + (uint64_t)(*text->p - '0');
            d->exponent -= fraction;
        } else if (!fraction && d->exponent < 100000) {
            d->exponent++;
        }
    }
}

static enum hd_err
take_exponent(struct hd_slice *text, struct decimal *d)
{
    struct hd_slice s = hd_slice_from(*text, 1);
    bool negative = s.n && *s.p == '-';
    int e = 0;

    if (s.n && (*s.p == '-' || *s.p == '+'))
        s = hd_slice_from(s, 1);
    if (!s.n || !is_digit(*s.p))
        return HD_ESYNTAX;
    for (; s.n && is_digit(*s.p); s.p++, s.n--)
        if (e < 100000)
            e = e * 10 + (*s.p - '0');
    d->exponent += negative ? -e : e;
    *text = s;
    return HD_OK;
}

enum hd_err
flt_number_take(struct hd_slice *text, double *ret_value)
{
    struct decimal d = { 0 };
    struct hd_slice s = *text;

    if (s.n && (*s.p == '-' || *s.p == '+')) {
        d.negative = *s.p == '-';
        s = hd_slice_from(s, 1);
    }
    take_digits(&s, &d, false);
    if (s.n && *s.p == '.' && s.n > 1 && is_digit(s.p[1])) {
        s = hd_slice_from(s, 1);
        take_digits(&s, &d, true);
    }
    if (!d.digits)
        return HD_ESYNTAX;
    if (s.n && (*s.p == 'e' || *s.p == 'E') && take_exponent(&s, &d))
        return HD_ESYNTAX;
    long double value = 0;
    if (d.mantissa && d.exponent > 400)
        return HD_ERANGE;
    if (d.mantissa && d.exponent > -400)
        value = (long double)d.mantissa * power_of_ten(d.exponent);
    double result = (double)(d.negative ? -value : value);
    if (!isfinite(result))
        return HD_ERANGE;
    *text = s;
    *ret_value = result;
    return HD_OK;
}

enum hd_err
flt_number(struct hd_slice text, double *ret_value)
{
    double value;
    enum hd_err err = flt_number_take(&text, &value);

    if (err)
        return err;
    if (text.n)
        return HD_ESYNTAX;
    *ret_value = value;
    return HD_OK;
}

enum hd_err
flt_duration(struct hd_slice text, uint32_t *ret_ms)
{
    uint64_t ms;
    enum hd_err err = hd_unit_ms(text, &ms);

    if (err)
        return err;
    if (ms == 0 || ms > FLT_FOR_MOST_MS)
        return HD_ERANGE;
    *ret_ms = (uint32_t)ms;
    return HD_OK;
}

enum hd_err
flt_length(struct hd_slice text, double *ret_m)
{
    static const struct {
        struct hd_slice name;
        double m;
    } units[] = { { HD_LIT_INIT(""), 1 },       { HD_LIT_INIT("m"), 1 },
                  { HD_LIT_INIT("km"), 1000 },  { HD_LIT_INIT("mi"), 1609.344 },
                  { HD_LIT_INIT("nmi"), 1852 }, { HD_LIT_INIT("ft"), 0.3048 } };
    double value;
    enum hd_err err = flt_number_take(&text, &value);

    if (err)
        return err;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!hd_slice_eq(units[i].name, text))
            continue;
        value *= units[i].m;
        if (!(value > 0 && value <= EARTH_HALF_M))
            return HD_ERANGE;
        *ret_m = value;
        return HD_OK;
    }
    return HD_ESYNTAX;
}
