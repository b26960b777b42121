/* text.c - documents are written front to back without knowing their length before.
 *
 * Invariants: after a failure nothing more is written, so a cut document never passes for a whole
 * one; a text never grows above its bound, so that no input makes us write without limit. */
#include "format/text.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT_FIRST 512

void
fmt_text_done(struct fmt_text *text)
{
    free(text->p);
    text->p = NULL;
    text->n = text->cap = 0;
}

/* Room for n more octets. */
static bool
text_reserve(struct fmt_text *text, size_t n)
{
    if (text->err)
        return false;
    if (n > text->max - text->n) {
        text->err = HD_EFULL;
        return false;
    }
    if (n <= text->cap - text->n)
        return true;
    size_t cap = text->cap ? text->cap : TEXT_FIRST;
    while (cap - text->n < n)
        cap *= 2;
    char *p = realloc(text->p, cap);
    if (!p) {
        text->err = HD_ENOMEM;
        return false;
    }
    text->p = p;
    text->cap = cap;
    return true;
}

void
fmt_text_add(struct fmt_text *text, struct hd_slice s)
{
    if (!text_reserve(text, s.n) || s.n == 0)
        return;
    memcpy(text->p + text->n, s.p, s.n);
    text->n += s.n;
}

void
fmt_text_u32(struct fmt_text *text, uint32_t value)
{
    char digits[16];
    const int n = snprintf(digits, sizeof(digits), "%u", value);
    fmt_text_add(text, hd_slice(digits, (size_t)n));
}

/* What stands for an octet inside XML; empty: itself. */
static struct hd_slice
xml_escape(char c)
{
    switch (c) {
    case '&':
        return HD_LIT("&amp;");
    case '<':
        return HD_LIT("&lt;");
    case '>':
        return HD_LIT("&gt;");
    case '"':
        return HD_LIT("&quot;");
    case '\t':
        return HD_LIT("&#9;");
    case '\n':
        return HD_LIT("&#10;");
    case '\r':
        return HD_LIT("&#13;");
    default:
        return (struct hd_slice){ 0 };
    }
}

void
fmt_text_xml(struct fmt_text *text, struct hd_slice s)
{
    size_t plain = 0;
    for (size_t i = 0; i < s.n; i++) {
        const struct hd_slice escape = xml_escape(s.p[i]);
        if (escape.n == 0)
            continue;
        fmt_text_add(text, hd_slice(s.p + plain, i - plain));
        fmt_text_add(text, escape);
        plain = i + 1;
    }
    fmt_text_add(text, hd_slice_from(s, plain));
}
