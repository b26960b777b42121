/* slice.h - a borrowed run of octets: wire data is a slice, never a C string.
 * Thread: any.  Memory: a slice owns nothing; it is as valid as what it points into. */
#ifndef HD_BASE_SLICE_H
#define HD_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct hd_slice {
    const char *p; /* may be NULL when n is 0 */
    size_t n;      /* octets */
};

/* A slice of a string literal; the terminating NUL is not part of it. */
#define HD_LIT(literal) ((struct hd_slice){ "" literal, sizeof(literal) - 1 })
/* Arguments for printf's "%.*s", for tests and tools. */
#define HD_FMT(slice) (int)(slice).n, (slice).p

static inline struct hd_slice
hd_slice(const char *p, size_t n)
{
    return (struct hd_slice){ p, n };
}

/** A slice of a NUL-terminated string of our own (never of wire data); NULL gives an empty slice.
 */
static inline struct hd_slice
hd_slice_str(const char *text)
{
    return (struct hd_slice){ text, text ? strlen(text) : 0 };
}

static inline bool
hd_slice_eq(struct hd_slice a, struct hd_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/** Equal but for the case of ASCII letters. */
bool hd_slice_ieq(struct hd_slice a, struct hd_slice b);
/** a begins with prefix / the same without regard to ASCII case. */
bool hd_slice_starts(struct hd_slice a, struct hd_slice prefix);
bool hd_slice_istarts(struct hd_slice a, struct hd_slice prefix);
/** Orders octet by octet, the shorter first: <0, 0, >0. */
int hd_slice_cmp(struct hd_slice a, struct hd_slice b);
/** The part from offset on (clipped) / without blanks and tabs at both ends. */
struct hd_slice hd_slice_from(struct hd_slice s, size_t offset);
struct hd_slice hd_slice_trim(struct hd_slice s);
/** Offset of the first c, or s.n when there is none. */
size_t hd_slice_find(struct hd_slice s, char c);
/** Cuts *s at the first c: returns what was before, *s becomes what follows (empty when none). */
struct hd_slice hd_slice_cut(struct hd_slice *s, char c);

/** A decimal number, digits only.  HD_ESYNTAX: empty or another octet; HD_ERANGE: above the type.
 */
HD_NODISCARD enum hd_err hd_slice_to_u32(struct hd_slice s, uint32_t *ret_value);
HD_NODISCARD enum hd_err hd_slice_to_u64(struct hd_slice s, uint64_t *ret_value);
/** 0 to 15 for a hexadecimal digit of either case, or -1. */
static inline int
hd_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** A NUL-terminated heap copy for interfaces that want one; NULL when memory is short.  Caller
 * frees. */
char *hd_slice_strdup(struct hd_slice s);

#endif
