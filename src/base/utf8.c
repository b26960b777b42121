/* utf8.c - one reader of UTF-8 for all that names, logs and shows what peers have sent: where two
 * readers differ, one of them takes for a name what the other one obeys. */
#include "base/utf8.h"

size_t
hd_utf8_take(struct hd_slice text, uint32_t *ret_code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char first = (unsigned char)text.p[0];
    const size_t n = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t code = n == 1 ? first : first & (0xffu >> (n + 1));

    if (n == 0 || first > 0xf4 || n > text.n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        const unsigned char next = (unsigned char)text.p[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return n;
}

bool
hd_utf8_is_shown(uint32_t code)
{
    const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    const bool turns = code == 0x061c || code == 0x200e || code == 0x200f ||
                       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);

    return !control && !turns && code != 0x2028 && code != 0x2029;
}
