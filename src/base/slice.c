/* slice.c - comparing, cutting and counting in borrowed octets.
 * Nothing here looks for a NUL or for the locale: letters are those of ASCII, as the grammars of
 * RFC 3261 section 25 have them. */
#include "base/slice.h"

#include <stdlib.h>

static unsigned
fold(char c)
{
    unsigned octet = (unsigned char)c;

    return octet - 'A' < 26 ? octet | 0x20 : octet;
}

/* What is the same octet by octet, as nearly always, needs no look at each. */
static bool
same_folded(const char *a, const char *b, size_t n)
{
    if (n == 0)
        return true;
    if (fold(a[0]) != fold(b[0]))
        return false;
    if (memcmp(a, b, n) == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (fold(a[i]) != fold(b[i]))
            return false;
    return true;
}

bool
hd_slice_ieq(struct hd_slice a, struct hd_slice b)
{
    return a.n == b.n && same_folded(a.p, b.p, a.n);
}

bool
hd_slice_starts(struct hd_slice a, struct hd_slice prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

bool
hd_slice_istarts(struct hd_slice a, struct hd_slice prefix)
{
    return a.n >= prefix.n && same_folded(a.p, prefix.p, prefix.n);
}

int
hd_slice_cmp(struct hd_slice a, struct hd_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    if (order)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

struct hd_slice
hd_slice_from(struct hd_slice s, size_t offset)
{
    if (offset > s.n)
        offset = s.n;
    return hd_slice(offset ? s.p + offset : s.p, s.n - offset);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct hd_slice
hd_slice_trim(struct hd_slice s)
{
    while (s.n > 0 && is_blank(s.p[0]))
        s = hd_slice_from(s, 1);
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

size_t
hd_slice_find(struct hd_slice s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : s.n;
}

struct hd_slice
hd_slice_cut(struct hd_slice *s, char c)
{
    size_t at = hd_slice_find(*s, c);
    struct hd_slice before = hd_slice(s->p, at);

    *s = hd_slice_from(*s, at < s->n ? at + 1 : at);
    return before;
}

#define DIGITS_SURE 19u /* so many digits are never above 64 bits */

enum hd_err
hd_slice_to_u64(struct hd_slice s, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool above = false;
    size_t i = 0;

    if (s.n == 0)
        return HD_ESYNTAX;
    for (; i < s.n && i < DIGITS_SURE; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9)
            return HD_ESYNTAX;
        value = value * 10 + digit;
    }
    /* To the end even when the number is too large: a wrong octet behind it is the grammar's error.
     */
    for (; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9)
            return HD_ESYNTAX;
        if (value > (UINT64_MAX - digit) / 10)
            above = true;
        else
            value = value * 10 + digit;
    }
    if (above)
        return HD_ERANGE;
    *ret_value = value;
    return HD_OK;
}

enum hd_err
hd_slice_to_u32(struct hd_slice s, uint32_t *ret_value)
{
    uint64_t value;
    enum hd_err err = hd_slice_to_u64(s, &value);

    if (err)
        return err;
    if (value > UINT32_MAX)
        return HD_ERANGE;
    *ret_value = (uint32_t)value;
    return HD_OK;
}

char *
hd_slice_strdup(struct hd_slice s)
{
    char *copy = malloc(s.n + 1);

    if (!copy)
        return NULL;
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}
