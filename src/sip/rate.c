/* rate.c - rates of notifications (RFC 6446 section 9.2). */
#include "sip/rate.h"

#include "sip/chars.h"
#include "sip/header.h"

#define FRACTION_DIGITS 10u

/* max-rate-param  =  "max-rate" EQUAL (1*2DIGIT ["." 1*10DIGIT]) */
enum hd_err
sip_rate_parse(struct hd_slice value, uint64_t *ret_rate)
{
    uint64_t rate = 0;
    size_t i = 0, digits = 0;

    for (; i < value.n && sip_is(value.p[i], SIP_C_DIGIT); i++)
        rate = rate * 10 + (uint64_t)(value.p[i] - '0');
    if (i == 0 || i > 2)
        return HD_ESYNTAX;
    if (i < value.n) {
        if (value.p[i] != '.')
            return HD_ESYNTAX;
        for (i++; i < value.n && sip_is(value.p[i], SIP_C_DIGIT) && digits <= FRACTION_DIGITS;
             i++, digits++)
            rate = rate * 10 + (uint64_t)(value.p[i] - '0');
        if (digits == 0 || digits > FRACTION_DIGITS || i < value.n)
            return HD_ESYNTAX;
    }
    for (; digits < FRACTION_DIGITS; digits++)
        rate *= 10;
    if (rate == 0) /* section 5.1: "Zero is not an allowed value." */
        return HD_ESYNTAX;
    *ret_rate = rate;
    return HD_OK;
}

enum hd_err
sip_rates_parse(struct hd_slice params, struct sip_rates *ret_rates)
{
    struct sip_rates rates = { 0 };
    struct hd_slice name, value;
    enum hd_err err;

    while ((err = sip_param_next(&params, &name, &value)) == HD_OK) {
        uint64_t *rate = sip_word(name, "max-rate")            ? &rates.max
                         : sip_word(name, "min-rate")          ? &rates.min
                         : sip_word(name, "adaptive-min-rate") ? &rates.adaptive
                                                               : NULL;
        if (rate && (*rate || sip_rate_parse(value, rate)))
            return HD_ESYNTAX;
    }
    if (err != HD_ENOMATCH)
        return err;
    *ret_rates = rates;
    return HD_OK;
}

static void
out_rate(struct sip_out *out, struct hd_slice name, uint64_t rate)
{
    char digits[FRACTION_DIGITS];
    uint64_t fraction = rate % SIP_RATE_ONE;
    size_t n = FRACTION_DIGITS;

    if (!rate)
        return;
    sip_out_slice(out, name);
    sip_out_u64(out, rate / SIP_RATE_ONE);
    if (!fraction)
        return;
    for (; fraction % 10 == 0; fraction /= 10)
        n--;
    for (size_t i = n; i > 0; i--, fraction /= 10)
        digits[i - 1] = (char)('0' + fraction % 10);
    sip_out_char(out, '.');
    sip_out_slice(out, hd_slice(digits, n));
}

void
sip_out_rates(struct sip_out *out, const struct sip_rates *rates)
{
    out_rate(out, HD_LIT(";max-rate="), rates->max);
    out_rate(out, HD_LIT(";min-rate="), rates->min);
    out_rate(out, HD_LIT(";adaptive-min-rate="), rates->adaptive);
}

uint64_t
sip_rate_interval_ms(uint64_t rate)
{
    return (1000 * SIP_RATE_ONE + rate - 1) / rate;
}

uint64_t
sip_rate_of_interval(uint64_t ms)
{
    uint64_t rate = 1000 * SIP_RATE_ONE / ms;

    return rate > SIP_RATE_MOST ? SIP_RATE_MOST : rate ? rate : 1;
}
