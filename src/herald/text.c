/* text.c - what peers send must not steer the terminal of who looks at it: escape sequences, C1
 * controls, turns of direction and broken UTF-8 are shown, not obeyed. */
#include "herald/text.h"

#include <stdlib.h>

#include "base/utf8.h"

size_t
text_escape(struct hd_slice text, bool lines, char *ret)
{
    static const char digit[] = "0123456789abcdef";
    size_t n = 0;

    while (text.n) {
        uint32_t code = 0;
        size_t step = hd_utf8_take(text, &code);
        bool plain = step && hd_utf8_is_shown(code);
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
        size_t step = hd_utf8_take(text, &code);
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
