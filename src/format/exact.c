/* exact.c - decimal numbers without rounding, as limbs of nine digits around a fixed point.
 *
 * Invariant: the limbs of a number that was read have one sign and are below 10^9, so that numbers
 * compare limb by limb; a sum carries only when it is written. */
#include "format/exact.h"

#include <stdio.h>

#define LIMB 1000000000
#define WHOLE_SAFE 18 /* digits that 64 bits hold whatever they are */
#define DIGITS 9
#define WHOLE 5 /* limbs before the point */
#define PLACE_MOST (WHOLE * DIGITS - 1)
#define PLACE_LEAST (-(FMT_EXACT_LIMBS - WHOLE) * DIGITS)

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t
digits_at(struct hd_slice text, size_t i)
{
    size_t n = 0;

    while (i + n < text.n && is_digit(text.p[i + n]))
        n++;
    return n;
}

/* Puts digit * 10^place into its limb; HD_ERANGE: there is none. */
static enum hd_err
put_digit(struct fmt_exact *number, char c, long place, bool negative)
{
    static const int64_t powers[DIGITS] = { 1,      10,      100,      1000,     10000,
                                            100000, 1000000, 10000000, 100000000 };

    if (c == '0')
        return HD_OK;
    if (place > PLACE_MOST || place < PLACE_LEAST)
        return HD_ERANGE;
    const long from_top = PLACE_MOST - place;
    const int64_t value = (c - '0') * powers[DIGITS - 1 - from_top % DIGITS];
    number->limb[from_top / DIGITS] += negative ? -value : value;
    return HD_OK;
}

/* exp = ("e" / "E") [ "-" / "+" ] 1*DIGIT; HD_ESYNTAX also when something follows. */
static enum hd_err
read_exponent(struct hd_slice text, size_t i, long *ret_exponent)
{
    long e = 0;

    *ret_exponent = 0;
    if (i == text.n)
        return HD_OK;
    if (text.p[i] != 'e' && text.p[i] != 'E')
        return HD_ESYNTAX;
    i++;
    const bool negative = i < text.n && text.p[i] == '-';
    i += i < text.n && (text.p[i] == '-' || text.p[i] == '+');
    const size_t n = digits_at(text, i);
    if (n == 0 || i + n != text.n)
        return HD_ESYNTAX;
    for (; i < text.n; i++)
        if (e < 100000000) /* more digits than a text has octets */
            e = e * 10 + (text.p[i] - '0');
    *ret_exponent = negative ? -e : e;
    return HD_OK;
}

enum hd_err
fmt_exact_read(struct hd_slice text, struct fmt_exact *ret_number)
{
    struct fmt_exact number = { 0 };
    const bool negative = text.n > 0 && text.p[0] == '-';
    const size_t whole = negative, n_whole = digits_at(text, whole);
    size_t fraction = whole + n_whole, n_fraction = 0;
    long exponent;

    if (n_whole == 0)
        return HD_ESYNTAX;
    if (fraction < text.n && text.p[fraction] == '.') {
        n_fraction = digits_at(text, ++fraction);
        if (n_fraction == 0)
            return HD_ESYNTAX;
    }
    enum hd_err err = read_exponent(text, fraction + n_fraction, &exponent);
    for (size_t i = 0; !err && i < n_whole; i++)
        err = put_digit(&number, text.p[whole + i], exponent + (long)(n_whole - 1 - i), negative);
    for (size_t i = 0; !err && i < n_fraction; i++)
        err = put_digit(&number, text.p[fraction + i], exponent - 1 - (long)i, negative);
    if (!err)
        *ret_number = number;
    return err;
}

void
fmt_exact_add(struct fmt_exact *sum, const struct fmt_exact *number)
{
    for (size_t i = 0; i < FMT_EXACT_LIMBS; i++)
        sum->limb[i] += number->limb[i];
}

int
fmt_exact_cmp(const struct fmt_exact *a, const struct fmt_exact *b)
{
    for (size_t i = 0; i < FMT_EXACT_LIMBS; i++)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* Carries, so that all limbs but the first are from 0 to 10^9 - 1; the first has the sign. */
static void
carry(struct fmt_exact *sum)
{
    for (size_t i = FMT_EXACT_LIMBS - 1; i > 0; i--) {
        int64_t up = sum->limb[i] / LIMB;
        if (sum->limb[i] % LIMB < 0)
            up--;
        sum->limb[i] -= up * LIMB;
        sum->limb[i - 1] += up;
    }
}

void
fmt_exact_write(struct hd_str *out, const struct fmt_exact *sum)
{
    static const struct fmt_exact zero;
    struct fmt_exact whole = *sum;
    char text[32 + FMT_EXACT_LIMBS * DIGITS];
    int n = 0;

    carry(&whole);
    const bool negative = whole.limb[0] < 0;
    if (negative) { /* the first limb alone is below zero: the same from the other side */
        for (size_t i = 0; i < FMT_EXACT_LIMBS; i++)
            whole.limb[i] = -sum->limb[i];
        carry(&whole);
    }
    for (size_t i = 0; i < FMT_EXACT_LIMBS; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%09lld", (long long)whole.limb[i]);
    struct hd_slice digits = hd_slice(text, (size_t)n);
    size_t point = digits.n - (FMT_EXACT_LIMBS - WHOLE) * DIGITS;
    for (; point > 1 && *digits.p == '0'; point--)
        digits = hd_slice_from(digits, 1);
    while (digits.n > point && digits.p[digits.n - 1] == '0')
        digits.n--;
    if (negative && fmt_exact_cmp(&whole, &zero))
        hd_str_add_char(out, '-');
    hd_str_add(out, hd_slice(digits.p, point));
    if (digits.n > point) {
        hd_str_add_char(out, '.');
        hd_str_add(out, hd_slice_from(digits, point));
    } else if (point > WHOLE_SAFE) {
        hd_str_add_str(out, ".0");
    }
}
