/* out.h - writing a SIP message into a buffer of the caller; the first error is remembered, checked
 * once at the end. Pure; any thread. */
#ifndef HD_SIP_OUT_H
#define HD_SIP_OUT_H

#include "base/addr.h"
#include "base/slice.h"

struct sip_out {
    char *p;
    size_t n, cap;
    bool full; /* a write did not fit; nothing was written since */
};

static inline void
sip_out_init(struct sip_out *out, char *buffer, size_t cap)
{
    *out = (struct sip_out){ .p = buffer, .n = 0, .cap = cap, .full = false };
}
static inline void
sip_out_slice(struct sip_out *out, struct hd_slice s)
{
    if (out->full || s.n > out->cap - out->n) {
        out->full = true;
        return;
    }
    if (s.n)
        memcpy(out->p + out->n, s.p, s.n);
    out->n += s.n;
}
#define sip_out_lit(out, literal) sip_out_slice(out, HD_LIT(literal))
#define sip_out_crlf(out) sip_out_slice(out, HD_LIT("\r\n"))
static inline void
sip_out_char(struct sip_out *out, char c)
{
    sip_out_slice(out, hd_slice(&c, 1));
}
void sip_out_u32(struct sip_out *out, uint32_t value); /* decimal */
void sip_out_u64(struct sip_out *out, uint64_t value);
void sip_out_hex(struct sip_out *out, const uint8_t *octets, size_t n); /* lower case */
void sip_out_host(struct sip_out *out,
                  const struct hd_addr *addr); /* without port, IPv6 in brackets */
void sip_out_addr(struct sip_out *out, const struct hd_addr *addr); /* with port */
/** A header value from inside a message with its folds written as one blank (so that what we copy
 * is one line). */
void sip_out_unfolded(struct sip_out *out, struct hd_slice value);
/** "Name: value" CRLF. */
void sip_out_header(struct sip_out *out, struct hd_slice name, struct hd_slice value);
void sip_out_header_u32(struct sip_out *out, struct hd_slice name, uint32_t value);
/** "Sat, 13 Nov 2010 23:29:00 GMT" (RFC 3261 section 20.17) for seconds since the beginning of
 * 1970, before the year 10000. */
void sip_out_date(struct sip_out *out, uint64_t seconds);
/** HD_OK with the length, or HD_ENOSPC when any write did not fit. */
HD_NODISCARD enum hd_err sip_out_finish(const struct sip_out *out, size_t *ret_len);

#endif
