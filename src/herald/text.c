/* text.c - what peers send must not steer the terminal of who looks at it: escape sequences, C1
 * controls and broken UTF-8 are shown, not obeyed. */
#include "herald/text.h"

#include <stdlib.h>

/* Length of the valid UTF-8 sequence at the start, 0 when there is none (RFC 3629 section 4). */
static size_t
sequence(struct hd_slice s, uint32_t *ret_code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = (unsigned char)s.p[0];
    size_t n = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t code = n == 1 ? first : first & (0xffu >> (n + 1));

    if (n == 0 || first > 0xf4 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)s.p[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return n;
}

size_t
text_escape(struct hd_slice text, bool lines, char *ret)
{
    static const char digit[] = "0123456789abcdef";
    size_t n = 0;

    while (text.n) {
        uint32_t code = 0;
        size_t step = sequence(text, &code);
        bool plain = step && code >= 0x20 && code != 0x7f && !(code >= 0x80 && code < 0xa0);
        if (lines && step == 1 && (code == '\n' || code == '\t'))
            plain = true;
        if (lines && code == '\r' && text.n > 1 && text.p[1] == '\n') {
            text = hd_slice_from(text, 1);
            continue;
        }
        step = step ? step : 1;
        for (size_t i = 0; i < step; i++) {
            unsigned char octet = (unsigned char)text.p[i];
            if (plain) {
                ret[n++] = (char)octet;
                continue;
            }
            ret[n++] = '\\';
            ret[n++] = 'x';
            ret[n++] = digit[octet >> 4];
            ret[n++] = digit[octet & 15];
        }
        text = hd_slice_from(text, step);
    }
    ret[n] = '\0';
    return n;
}

char *
text_escaped(struct hd_slice text, bool lines)
{
    char *ret = malloc(TEXT_ESCAPED(text.n));
    if (ret)
        text_escape(text, lines, ret);
    return ret;
}

bool
text_is_utf8(struct hd_slice text)
{
    while (text.n) {
        uint32_t code;
        size_t step = sequence(text, &code);
        if (step == 0)
            return false;
        text = hd_slice_from(text, step);
    }
    return true;
}

bool
text_is_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}
