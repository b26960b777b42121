/* stun.c - see stun.h.
 *
 *  0                   1                   2                   3
 *  |0 0|     STUN Message Type     |         Message Length        |
 *  |                         Magic Cookie                          |
 *  |                     Transaction ID (96 bits)                  |
 *  attributes, each: type and length (16 bits each), value, padding to 4
 *
 * Authentication is not asked for (RFC 5626 section 8): what it would need is passed over. */
#include "net/stun.h"

#include <string.h>

#define COOKIE 0x2112a442u
#define HEAD 20u
#define BINDING_REQUEST 0x0001u
#define BINDING_SUCCESS 0x0101u
#define BINDING_ERROR 0x0111u
#define USERNAME 0x0006u
#define MESSAGE_INTEGRITY 0x0008u
#define ERROR_CODE 0x0009u
#define UNKNOWN_ATTRIBUTES 0x000au
#define REALM 0x0014u
#define NONCE 0x0015u
#define XOR_MAPPED_ADDRESS 0x0020u
#define OPTIONAL 0x8000u /* from here on an attribute need not be understood */
#define FINGERPRINT 0x8028u
#define FINGERPRINT_XOR 0x5354554eu
#define UNKNOWN_MAX 4u

struct out {
    unsigned char *p;
    size_t n;
};

static unsigned
get16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t
get32(const unsigned char *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void
put16(struct out *out, unsigned value)
{
    out->p[out->n++] = (unsigned char)(value >> 8);
    out->p[out->n++] = (unsigned char)value;
}

static void
put32(struct out *out, uint32_t value)
{
    put16(out, value >> 16);
    put16(out, value & 0xffff);
}

/* ITU-T V.42, as section 15.5 asks for. */
static uint32_t
crc32_of(const unsigned char *p, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

bool
net_stun_is(struct hd_slice datagram)
{
    const unsigned char *p = (const unsigned char *)datagram.p;

    return datagram.n >= HEAD && p[0] < 0x40 && get32(p + 4) == COOKIE;
}

static bool
is_known(unsigned type)
{
    return type == USERNAME || type == MESSAGE_INTEGRITY || type == REALM || type == NONCE ||
           type >= OPTIONAL;
}

struct request {
    unsigned unknown[UNKNOWN_MAX];
    size_t n_unknown;
    bool fingerprint;
};

/* Walks the attributes; false when they do not fill the message, or the fingerprint is wrong or not
 * the last. */
static bool
read_attributes(const unsigned char *p, size_t n, struct request *r)
{
    size_t at = HEAD;

    while (at < n) {
        unsigned type, len;

        if (n - at < 4 || r->fingerprint)
            return false;
        type = get16(p + at);
        len = get16(p + at + 2);
        if (len > n - at - 4)
            return false;
        if (type == FINGERPRINT) {
            if (len != 4 || get32(p + at + 4) != (crc32_of(p, at) ^ FINGERPRINT_XOR))
                return false;
            r->fingerprint = true;
        } else if (!is_known(type) && r->n_unknown < UNKNOWN_MAX) {
            r->unknown[r->n_unknown++] = type;
        }
        at += 4 + ((len + 3) & ~3u);
    }
    return at == n;
}

/* Section 15.2: the address is masked, so that no translator on the way rewrites it. */
static void
put_address(struct out *out, const unsigned char *request, const struct hd_addr *source)
{
    size_t n = source->family == 4 ? 4 : 16;

    put16(out, XOR_MAPPED_ADDRESS);
    put16(out, (unsigned)(4 + n));
    put16(out, source->family == 4 ? 1 : 2);
    put16(out, source->port ^ COOKIE >> 16);
    for (size_t i = 0; i < n; i++)
        out->p[out->n++] = source->ip[i] ^ request[4 + i]; /* cookie, then transaction id */
}

static void
put_unknown(struct out *out, const struct request *r)
{
    static const char reason[] = "Unknown Attribute";
    size_t n = sizeof(reason) - 1;

    put16(out, ERROR_CODE);
    put16(out, (unsigned)(4 + n));
    put16(out, 0);
    put16(out, 4u << 8 | 20);
    memcpy(out->p + out->n, reason, n);
    out->n += n;
    while (out->n & 3)
        out->p[out->n++] = 0;
    put16(out, UNKNOWN_ATTRIBUTES);
    put16(out, (unsigned)(2 * r->n_unknown));
    for (size_t i = 0; i < r->n_unknown; i++)
        put16(out, r->unknown[i]);
    if (r->n_unknown & 1)
        put16(out, 0);
}

static void
set_len(struct out *out, size_t len)
{
    out->p[2] = (unsigned char)(len >> 8);
    out->p[3] = (unsigned char)len;
}

size_t
net_stun_answer(struct hd_slice octets, const struct hd_addr *source, char ret[NET_STUN_ANSWER_MAX])
{
    const unsigned char *p = (const unsigned char *)octets.p;
    struct out out = { .p = (unsigned char *)ret };
    struct request r = { 0 };

    if (!net_stun_is(octets) || get16(p) != BINDING_REQUEST || get16(p + 2) != octets.n - HEAD ||
        (octets.n & 3) || !read_attributes(p, octets.n, &r))
        return 0;
    put16(&out, r.n_unknown ? BINDING_ERROR : BINDING_SUCCESS);
    put16(&out, 0);
    memcpy(out.p + out.n, p + 4, 16);
    out.n += 16;
    if (r.n_unknown)
        put_unknown(&out, &r);
    else
        put_address(&out, p, source);
    set_len(&out, out.n - HEAD);
    if (r.fingerprint) {
        set_len(&out, out.n - HEAD + 8);
        uint32_t crc = crc32_of(out.p, out.n) ^ FINGERPRINT_XOR;
        put16(&out, FINGERPRINT);
        put16(&out, 4);
        put32(&out, crc);
    }
    return out.n;
}
