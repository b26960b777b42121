/* out.c - numbers, addresses, dates and header lines for the writer.  What does not fit sets
 * out->full and nothing more is written, so that a message is either whole or refused at
 * sip_out_finish. */
#include "sip/out.h"

#include "sip/chars.h"

void
sip_out_u64(struct sip_out *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    sip_out_slice(out, hd_slice(digits + at, sizeof(digits) - at));
}

void
sip_out_u32(struct sip_out *out, uint32_t value)
{
    sip_out_u64(out, value);
}

void
sip_out_hex(struct sip_out *out, const uint8_t *octets, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    if (out->full || n > (out->cap - out->n) / 2) {
        out->full = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        out->p[out->n++] = digits[octets[i] >> 4];
        out->p[out->n++] = digits[octets[i] & 15];
    }
}

void
sip_out_host(struct sip_out *out, const struct hd_addr *addr)
{
    char text[HD_ADDR_TEXT];
    sip_out_slice(out, hd_slice(text, hd_addr_host_text(addr, text)));
}

void
sip_out_addr(struct sip_out *out, const struct hd_addr *addr)
{
    char text[HD_ADDR_TEXT];
    sip_out_slice(out, hd_slice(text, hd_addr_text(addr, text)));
}

/* RFC 3261 section 7.3.1: a fold and the blanks around it mean one SP.  Any run that holds a CR or
 * LF becomes one blank, so that no octet from a message can end one of our lines. */
void
sip_out_unfolded(struct sip_out *out, struct hd_slice value)
{
    const char *p = value.p;
    const char *end = sip_end(value);
    /* Nearly no value is folded. */
    if (value.n == 0 || (!memchr(p, '\r', value.n) && !memchr(p, '\n', value.n))) {
        sip_out_slice(out, value);
        return;
    }
    while (p < end) {
        const char *q = p;
        while (q < end && *q != '\r' && *q != '\n')
            q++;
        if (q == end) {
            sip_out_slice(out, hd_slice(p, (size_t)(end - p)));
            return;
        }
        const char *text = q;
        while (text > p && sip_is(text[-1], SIP_C_LWS))
            text--;
        sip_out_slice(out, hd_slice(p, (size_t)(text - p)));
        sip_out_char(out, ' ');
        p = sip_skip_lws(q, end);
    }
}

void
sip_out_header(struct sip_out *out, struct hd_slice name, struct hd_slice value)
{
    sip_out_slice(out, name);
    sip_out_lit(out, ": ");
    sip_out_slice(out, value);
    sip_out_crlf(out);
}

void
sip_out_header_u32(struct sip_out *out, struct hd_slice name, uint32_t value)
{
    sip_out_slice(out, name);
    sip_out_lit(out, ": ");
    sip_out_u32(out, value);
    sip_out_crlf(out);
}

/* --- dates ----------------------------------------------------------------------------------- */

static bool
is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The year, of which days is left, counted from 0. */
static unsigned
year_of(unsigned *days)
{
    /* From the first day of a round of 400 years on, which all have the same number of days. */
    unsigned left = *days + 135140; /* 1970-01-01 from 1600-01-01 on */
    unsigned year = 1600 + left / 146097 * 400;

    left %= 146097;
    for (; left >= 365u + is_leap(year); year++)
        left -= 365u + is_leap(year);
    *days = left;
    return year;
}

static unsigned
month_of(unsigned year, unsigned *days)
{
    static const uint8_t length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    unsigned month = 0;

    for (;; month++) {
        const unsigned n = length[month] + (month == 1 && is_leap(year) ? 1u : 0u);
        if (*days < n)
            return month;
        *days -= n;
    }
}

static void
out_digits(struct sip_out *out, unsigned value, unsigned n)
{
    unsigned unit = 1;

    for (; n > 1; n--)
        unit *= 10;
    for (; unit; unit /= 10)
        sip_out_char(out, (char)('0' + value / unit % 10));
}

/* rfc1123-date  =  wkday "," SP date1 SP time SP "GMT" */
void
sip_out_date(struct sip_out *out, uint64_t seconds)
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned days = (unsigned)(seconds / 86400);
    const unsigned second = (unsigned)(seconds % 86400), weekday = days % 7;

    HD_ASSERT(seconds < 253402300800);
    const unsigned year = year_of(&days), month = month_of(year, &days);
    sip_out_slice(out, hd_slice(weekdays + 3 * (size_t)weekday, 3));
    sip_out_lit(out, ", ");
    out_digits(out, days + 1, 2);
    sip_out_char(out, ' ');
    sip_out_slice(out, hd_slice(months + 3 * (size_t)month, 3));
    sip_out_char(out, ' ');
    out_digits(out, year, 4);
    sip_out_char(out, ' ');
    out_digits(out, second / 3600, 2);
    sip_out_char(out, ':');
    out_digits(out, second / 60 % 60, 2);
    sip_out_char(out, ':');
    out_digits(out, second % 60, 2);
    sip_out_lit(out, " GMT");
}

enum hd_err
sip_out_finish(const struct sip_out *out, size_t *ret_len)
{
    if (out->full)
        return HD_ENOSPC;
    *ret_len = out->n;
    return HD_OK;
}
