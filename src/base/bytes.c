/* bytes.c - the cursors over a record.
 * Invariants: octets before min(n, cap) are written and none behind cap; left never counts more
 * than the record holds, and after an error nothing is read or written any more (but counted, so
 * that one failed try says what room to get). */
#include "base/bytes.h"

void
hd_bytes_out_init(struct hd_bytes_out *out, void *memory, size_t cap)
{
    HD_ASSERT(memory != NULL || cap == 0);
    *out = (struct hd_bytes_out){ .p = memory, .cap = cap };
}

/* Where n octets go, or NULL: they are only counted. */
static inline char *
put_room(struct hd_bytes_out *out, size_t n)
{
    if (!out->err && n <= out->cap - out->n) {
        char *p = out->p + out->n;
        out->n += n;
        return p;
    }
    if (out->err != HD_ERANGE && n > SIZE_MAX - out->n)
        out->err = HD_ERANGE;
    if (!out->err)
        out->err = HD_ENOSPC;
    if (out->err != HD_ERANGE)
        out->n += n;
    return NULL;
}

/* Little-endian, whatever the machine. */
static inline void
write_number(char *p, uint64_t value, size_t width)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    memcpy(p, &value, width);
}

static inline void
put_number(struct hd_bytes_out *out, uint64_t value, size_t width)
{
    char *p = put_room(out, width);

    if (p)
        write_number(p, value, width);
}

void
hd_bytes_put_raw(struct hd_bytes_out *out, const void *octets, size_t n)
{
    char *p = put_room(out, n);

    if (p && n > 0)
        memcpy(p, octets, n);
}

void
hd_bytes_put_u8(struct hd_bytes_out *out, uint8_t value)
{
    put_number(out, value, 1);
}

void
hd_bytes_put_u16(struct hd_bytes_out *out, uint16_t value)
{
    put_number(out, value, 2);
}

void
hd_bytes_put_u32(struct hd_bytes_out *out, uint32_t value)
{
    put_number(out, value, 4);
}

void
hd_bytes_put_u64(struct hd_bytes_out *out, uint64_t value)
{
    put_number(out, value, 8);
}

void
hd_bytes_put_slice(struct hd_bytes_out *out, struct hd_slice s)
{
    if (s.n > UINT32_MAX) {
        out->err = HD_ERANGE; /* before HD_ENOSPC: more room would not help */
        return;
    }
    put_number(out, s.n, 4);
    hd_bytes_put_raw(out, s.p, s.n);
}

static size_t
ip_len(uint8_t family)
{
    return family == 4 ? 4 : family == 6 ? 16 : 0;
}

void
hd_bytes_put_addr(struct hd_bytes_out *out, const struct hd_addr *addr)
{
    HD_ASSERT(addr->family == 0 || addr->family == 4 || addr->family == 6);
    put_number(out, addr->family, 1);
    put_number(out, addr->port, 2);
    put_number(out, addr->scope, 4);
    hd_bytes_put_raw(out, addr->ip, ip_len(addr->family));
}

enum hd_err
hd_bytes_out_finish(const struct hd_bytes_out *out, struct hd_slice *ret_record)
{
    if (out->err)
        return out->err;
    *ret_record = hd_slice(out->p, out->n);
    return HD_OK;
}

void
hd_bytes_in_init(struct hd_bytes_in *in, struct hd_slice record)
{
    *in = (struct hd_bytes_in){ .p = record.p, .left = record.n };
}

void
hd_bytes_in_fail(struct hd_bytes_in *in, enum hd_err err)
{
    HD_ASSERT(err != HD_OK);
    if (!in->err)
        in->err = err;
    in->left = 0;
}

struct hd_slice
hd_bytes_get_raw(struct hd_bytes_in *in, size_t n)
{
    struct hd_slice octets;

    if (n > in->left) {
        hd_bytes_in_fail(in, HD_ESYNTAX);
        return hd_slice(NULL, 0);
    }
    octets = hd_slice(in->p, n);
    if (n > 0)
        in->p += n;
    in->left -= n;
    return octets;
}

void
hd_bytes_copy_raw(struct hd_bytes_in *in, void *ret, size_t n)
{
    struct hd_slice octets = hd_bytes_get_raw(in, n);

    if (octets.n > 0)
        memcpy(ret, octets.p, octets.n);
    else if (n > 0)
        memset(ret, 0, n);
}

static inline uint64_t
get_number(struct hd_bytes_in *in, size_t width)
{
    struct hd_slice octets = hd_bytes_get_raw(in, width);
    uint64_t value = 0;

    if (octets.n == 0)
        return 0;
    memcpy(&value, octets.p, width);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

uint8_t
hd_bytes_get_u8(struct hd_bytes_in *in)
{
    return (uint8_t)get_number(in, 1);
}

uint16_t
hd_bytes_get_u16(struct hd_bytes_in *in)
{
    return (uint16_t)get_number(in, 2);
}

uint32_t
hd_bytes_get_u32(struct hd_bytes_in *in)
{
    return (uint32_t)get_number(in, 4);
}

uint64_t
hd_bytes_get_u64(struct hd_bytes_in *in)
{
    return get_number(in, 8);
}

struct hd_slice
hd_bytes_get_slice(struct hd_bytes_in *in)
{
    uint32_t n = hd_bytes_get_u32(in);

    return hd_bytes_get_raw(in, n);
}

struct hd_addr
hd_bytes_get_addr(struct hd_bytes_in *in)
{
    struct hd_addr addr = { .family = hd_bytes_get_u8(in) };

    if (addr.family != 0 && addr.family != 4 && addr.family != 6)
        hd_bytes_in_fail(in, HD_ESYNTAX);
    addr.port = hd_bytes_get_u16(in);
    addr.scope = hd_bytes_get_u32(in);
    hd_bytes_copy_raw(in, addr.ip, ip_len(addr.family));
    return in->err ? (struct hd_addr){ 0 } : addr;
}

enum hd_err
hd_bytes_in_end(const struct hd_bytes_in *in)
{
    if (in->err)
        return in->err;
    return in->left > 0 ? HD_ESYNTAX : HD_OK;
}

enum hd_err
hd_bytes_in_err(const struct hd_bytes_in *in)
{
    return in->err;
}
