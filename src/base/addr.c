/* addr.c - addresses as text, as hash and as bucket.
 * Own readers, since those of the system want a NUL and take more than the grammar allows.  Text is
 * written in one way only (RFC 5952), so two equal addresses have equal texts. */
#include "base/addr.h"

#define BUCKET_FACTOR UINT32_C(0x9E3779B1)

/* dec-octet of RFC 3986 section 3.2.2: no leading zero, which elsewhere would mean octal. */
static bool
read_v4(struct hd_slice s, uint8_t ret[4])
{
    size_t i = 0;

    for (unsigned part = 0; part < 4; part++) {
        size_t start;
        unsigned value = 0;

        if (part > 0 && (i == s.n || s.p[i++] != '.'))
            return false;
        for (start = i; i < s.n && i < start + 3; i++) {
            unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
            if (digit > 9)
                break;
            value = value * 10 + digit;
        }
        if (i == start || value > 255 || (i > start + 1 && s.p[start] == '0'))
            return false;
        ret[part] = (uint8_t)value;
    }
    return i == s.n;
}

/* Up to four hexadecimal digits from *at; false when there is none. */
static bool
read_group(struct hd_slice s, size_t *at, unsigned *ret_group)
{
    size_t start = *at, i = start;
    unsigned group = 0;

    for (; i < s.n && i < start + 4; i++) {
        unsigned c = (unsigned char)s.p[i], digit;

        if (c - '0' < 10)
            digit = c - '0';
        else if ((c | 0x20) - 'a' < 6)
            digit = (c | 0x20) - 'a' + 10;
        else
            break;
        group = group << 4 | digit;
    }
    *at = i;
    *ret_group = group;
    return i > start;
}

/* IPv6address of RFC 3986 section 3.2.2: eight groups, of which one run may be left out as "::",
 * the last two possibly as an IPv4 address. */
static bool
read_v6(struct hd_slice s, uint8_t ret[16])
{
    uint8_t octets[16] = { 0 };
    size_t n = 0, gap = SIZE_MAX, i = 0;

    if (hd_slice_starts(s, HD_LIT("::"))) {
        gap = 0;
        i = 2;
    }
    while (i < s.n) {
        size_t start = i;
        unsigned group;

        if (n == 16 || !read_group(s, &i, &group))
            return false;
        if (i < s.n && s.p[i] == '.') {
            if (n > 12 || !read_v4(hd_slice_from(s, start), octets + n))
                return false;
            n += 4;
            break;
        }
        octets[n++] = (uint8_t)(group >> 8);
        octets[n++] = (uint8_t)group;
        if (i == s.n)
            break;
        if (s.p[i++] != ':' || i == s.n)
            return false;
        if (s.p[i] == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = n;
            i++;
        }
    }
    if (gap == SIZE_MAX ? n != 16 : n > 14)
        return false;
    memset(ret, 0, 16);
    if (gap == SIZE_MAX)
        gap = n;
    memcpy(ret, octets, gap);
    memcpy(ret + 16 - (n - gap), octets + gap, n - gap);
    return true;
}

enum hd_err
hd_addr_parse(struct hd_slice host, uint16_t port, struct hd_addr *ret_addr)
{
    struct hd_addr addr = { .port = port };

    if (read_v4(host, addr.ip)) {
        addr.family = 4;
    } else {
        memset(addr.ip, 0, sizeof(addr.ip));
        if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
            host = hd_slice(host.p + 1, host.n - 2);
        if (!read_v6(host, addr.ip))
            return HD_ESYNTAX;
        addr.family = 6;
    }
    *ret_addr = addr;
    return HD_OK;
}

static char *
put_decimal(char *p, unsigned value)
{
    char digits[10];
    unsigned n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (n > 0)
        *p++ = digits[--n];
    return p;
}

static char *
put_v4(char *p, const uint8_t ip[4])
{
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            *p++ = '.';
        p = put_decimal(p, ip[i]);
    }
    return p;
}

static char *
put_group(char *p, unsigned group)
{
    unsigned shift = 12;

    while (shift > 0 && group >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        *p++ = "0123456789abcdef"[group >> shift & 15];
        if (shift == 0)
            return p;
    }
}

static bool
is_mapped(const uint8_t ip[16])
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

    return memcmp(ip, prefix, sizeof(prefix)) == 0;
}

/* RFC 5952 section 4: lower case, no leading zeros, the longest run of two or more zero groups (of
 * equal ones the first) as "::"; section 5: mapped IPv4 addresses in mixed notation. */
static char *
put_v6(char *p, const uint8_t ip[16])
{
    unsigned groups[8], best = 8, best_len = 1, end = is_mapped(ip) ? 6 : 8;

    for (unsigned i = 0; i < 8; i++)
        groups[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
    for (unsigned i = 0; i < 8; i++) {
        unsigned len = 0;
        while (i + len < 8 && groups[i + len] == 0)
            len++;
        if (len > best_len) {
            best = i;
            best_len = len;
        }
        i += len;
    }
    for (unsigned i = 0; i < end; i++) {
        if (i == best) {
            *p++ = ':';
            *p++ = ':';
            i += best_len - 1;
            continue;
        }
        if (i > 0 && i != best + best_len)
            *p++ = ':';
        p = put_group(p, groups[i]);
    }
    if (end == 6) {
        *p++ = ':';
        p = put_v4(p, ip + 12);
    }
    return p;
}

size_t
hd_addr_host_text(const struct hd_addr *addr, char ret[HD_ADDR_TEXT])
{
    char *p = ret;

    if (addr->family == 4) {
        p = put_v4(p, addr->ip);
    } else if (addr->family == 6) {
        *p++ = '[';
        p = put_v6(p, addr->ip);
        *p++ = ']';
    } else {
        *p++ = '-';
    }
    *p = '\0';
    return (size_t)(p - ret);
}

size_t
hd_addr_text(const struct hd_addr *addr, char ret[HD_ADDR_TEXT])
{
    char *p = ret + hd_addr_host_text(addr, ret);

    *p++ = ':';
    p = put_decimal(p, addr->port);
    *p = '\0';
    return (size_t)(p - ret);
}

bool
hd_addr_same_ip(const struct hd_addr *a, const struct hd_addr *b)
{
    return a->family == b->family && a->scope == b->scope &&
           memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool
hd_addr_eq(const struct hd_addr *a, const struct hd_addr *b)
{
    return a->port == b->port && hd_addr_same_ip(a, b);
}

bool
hd_addr_is_any(const struct hd_addr *a)
{
    static const uint8_t zero[16];

    return a->family != 0 && memcmp(a->ip, zero, sizeof(zero)) == 0;
}

uint64_t
hd_addr_hash(const struct hd_hash_key *key, const struct hd_addr *addr, bool with_port)
{
    char input[19] = { (char)addr->family };
    size_t n = 17;

    memcpy(input + 1, addr->ip, 16);
    if (with_port) {
        input[n++] = (char)(addr->port >> 8);
        input[n++] = (char)(addr->port & 0xff);
    }
    return hd_hash(key, hd_slice(input, n));
}

unsigned
hd_addr_bucket(const struct hd_addr *addr)
{
    uint32_t fold = addr->port;

    for (unsigned i = 0; i < (addr->family == 4 ? 4u : 16u); i += 4)
        fold ^= (uint32_t)addr->ip[i] << 24 | (uint32_t)addr->ip[i + 1] << 16 |
                (uint32_t)addr->ip[i + 2] << 8 | (uint32_t)addr->ip[i + 3];
    return (unsigned)(fold * BUCKET_FACTOR >> 20);
}

enum hd_err
hd_prefix_parse(struct hd_slice text, struct hd_prefix *ret_prefix)
{
    size_t slash = hd_slice_find(text, '/');
    struct hd_prefix prefix;
    uint32_t most, bits;
    enum hd_err err = hd_addr_parse(hd_slice(text.p, slash), 0, &prefix.addr);

    if (err)
        return err;
    most = bits = prefix.addr.family == 4 ? 32 : 128;
    if (slash < text.n) {
        err = hd_slice_to_u32(hd_slice_from(text, slash + 1), &bits);
        if (err)
            return err;
    }
    if (bits > most)
        return HD_ERANGE;
    prefix.bits = (uint8_t)bits;
    for (uint32_t i = bits; i < most; i++)
        prefix.addr.ip[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    *ret_prefix = prefix;
    return HD_OK;
}

bool
hd_prefix_holds(const struct hd_prefix *prefix, const struct hd_addr *addr)
{
    unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;

    if (prefix->addr.family != addr->family || memcmp(prefix->addr.ip, addr->ip, whole) != 0)
        return false;
    return rest == 0 || (unsigned)(prefix->addr.ip[whole] ^ addr->ip[whole]) >> (8 - rest) == 0;
}

struct hd_slice
hd_transport_name(enum hd_transport transport)
{
    switch (transport) {
    case HD_UDP:
        return HD_LIT("UDP");
    case HD_TCP:
        return HD_LIT("TCP");
    case HD_TLS:
        return HD_LIT("TLS");
    case HD_WS:
        return HD_LIT("WS");
    case HD_WSS:
        return HD_LIT("WSS");
    case HD_HTTP:
        return HD_LIT("HTTP");
    }
    return HD_LIT("?");
}
