/* out.c - numbers, addresses and header lines for the writer.  What does not fit sets out->full and
 * nothing more is written, so that a message is either whole or refused at sip_out_finish. */
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

enum hd_err
sip_out_finish(const struct sip_out *out, size_t *ret_len)
{
    if (out->full)
        return HD_ENOSPC;
    *ret_len = out->n;
    return HD_OK;
}
