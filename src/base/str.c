/* str.c - a heap string that doubles.
 * Invariants: p is NULL and cap 0, or n < cap and p[n] is NUL; after an error the text stays what
 * it was before the write that failed. */
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

#define STR_CAP_MIN 64

void
hd_str_init(struct hd_str *str)
{
    *str = (struct hd_str){ 0 };
}

void
hd_str_done(struct hd_str *str)
{
    free(str->p);
    hd_str_init(str);
}

void
hd_str_clear(struct hd_str *str)
{
    str->n = 0;
    str->err = HD_OK;
    if (str->p)
        str->p[0] = '\0';
}

/* Room for n more octets and the NUL. */
static bool
reserve(struct hd_str *str, size_t n)
{
    size_t cap = str->cap ? str->cap : STR_CAP_MIN;
    char *p;

    if (str->err)
        return false;
    if (n < str->cap - str->n)
        return true;
    if (n > SIZE_MAX / 4 - str->n) {
        str->err = HD_ENOMEM;
        return false;
    }
    while (cap - str->n <= n)
        cap *= 2;
    p = realloc(str->p, cap);
    if (!p) {
        str->err = HD_ENOMEM;
        return false;
    }
    p[str->n] = '\0';
    str->p = p;
    str->cap = cap;
    return true;
}

void
hd_str_add(struct hd_str *str, struct hd_slice s)
{
    if (s.n == 0 || !reserve(str, s.n))
        return;
    memcpy(str->p + str->n, s.p, s.n);
    str->n += s.n;
    str->p[str->n] = '\0';
}

void
hd_str_add_str(struct hd_str *str, const char *text)
{
    hd_str_add(str, hd_slice_str(text));
}

void
hd_str_add_char(struct hd_str *str, char c)
{
    hd_str_add(str, hd_slice(&c, 1));
}

void
hd_str_add_u64(struct hd_str *str, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    hd_str_add(str, hd_slice(digits + at, sizeof(digits) - at));
}

void
hd_str_addv(struct hd_str *str, const char *format, va_list args)
{
    va_list again;
    size_t room;
    int len;

    if (!reserve(str, 0))
        return;
    /* Most fit at the first try; the others say how much room they want. */
    va_copy(again, args);
    room = str->cap - str->n;
    len = vsnprintf(str->p + str->n, room, format, args);
    if (len < 0) {
        str->err = HD_ESYNTAX;
    } else if ((size_t)len < room || reserve(str, (size_t)len)) {
        if ((size_t)len >= room)
            (void)vsnprintf(str->p + str->n, (size_t)len + 1, format, again);
        str->n += (size_t)len;
    }
    str->p[str->n] = '\0';
    va_end(again);
}

void
hd_str_addf(struct hd_str *str, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    hd_str_addv(str, format, args);
    va_end(args);
}

struct hd_slice
hd_str_slice(const struct hd_str *str)
{
    return hd_slice(str->p, str->n);
}

const char *
hd_str_text(const struct hd_str *str)
{
    return str->p ? str->p : "";
}

char *
hd_str_take(struct hd_str *str)
{
    char *text = NULL;

    if (reserve(str, 0)) {
        text = str->p;
        str->p = NULL;
    }
    hd_str_done(str);
    return text;
}
