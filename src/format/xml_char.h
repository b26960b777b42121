/* xml_char.h - octets and characters of XML, for the files that read it, inline, since most of what
 * is read is read here.  Private to format/. */
#ifndef HD_FORMAT_XML_CHAR_H
#define HD_FORMAT_XML_CHAR_H

#include "base/slice.h"

#define FMT_NO_CHARACTER UINT32_MAX

/* Classes of octets; those of 0x80 and above belong to none and are decoded. */
enum {
    FMT_OCTET_BLANK = 0x01,      /* S */
    FMT_OCTET_NAME_START = 0x02, /* of NCName */
    FMT_OCTET_NAME = 0x04,       /* of NCName */
    FMT_OCTET_TEXT = 0x08,       /* stands for itself in text: Char but '<', '&' and ']' */
    FMT_OCTET_VALUE =
        0x10, /* stands for itself in a value: Char but '<', '&', quotes, tab, line ends */
    FMT_OCTET_CHAR = 0x20, /* Char */
    FMT_OCTET_URI = 0x40   /* of a URI, without '%', '#', '&' and brackets */
};
static const uint8_t fmt_octet_classes[256] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29, 0x29, 0x00, 0x00, 0x29, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x39, 0x78, 0x28, 0x38, 0x78, 0x38, 0x20, 0x68, 0x78, 0x78, 0x78, 0x78, 0x78, 0x7c, 0x7c, 0x78,
    0x7c, 0x7c, 0x7c, 0x7c, 0x7c, 0x7c, 0x7c, 0x7c, 0x7c, 0x7c, 0x78, 0x78, 0x20, 0x78, 0x38, 0x78,
    0x78, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e,
    0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x38, 0x38, 0x30, 0x38, 0x7e,
    0x38, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e,
    0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x7e, 0x38, 0x38, 0x38, 0x78, 0x38,
};

static inline bool
fmt_octet_is(char c, unsigned class)
{
    return fmt_octet_classes[(uint8_t)c] & class;
}

/* Behind the octets of a class; four in a step, for most of a document is read here. */
static inline const char *
fmt_octet_skip(const char *p, const char *end, unsigned class)
{
    for (size_t steps = (size_t)(end - p) / 4; steps; steps--) {
        if (!fmt_octet_is(p[0], class))
            return p;
        if (!fmt_octet_is(p[1], class))
            return p + 1;
        if (!fmt_octet_is(p[2], class))
            return p + 2;
        if (!fmt_octet_is(p[3], class))
            return p + 3;
        p += 4;
    }
    while (p < end && fmt_octet_is(*p, class))
        p++;
    return p;
}

static inline struct hd_slice
fmt_xml_between(const char *from, const char *to)
{
    return hd_slice(from, (size_t)(to - from));
}

/* Char ::= #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF] */
static inline bool
fmt_xml_is_char(uint32_t c)
{
    if (c < 0x20)
        return c == 0x9 || c == 0xa || c == 0xd;
    return c <= 0xd7ff || (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

/** The character of more than one octet that *at begins with, which is moved behind it (RFC 3629
 * section 4).  FMT_NO_CHARACTER: not UTF-8, or nothing that XML may hold. */
static inline uint32_t
fmt_xml_decode(const char **at, const char *end)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const uint8_t first = (uint8_t) * *at;
    const unsigned n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;

    if (first < 0xc2 || first > 0xf4 || (size_t)(end - *at) < n)
        return FMT_NO_CHARACTER;
    uint32_t c = first & (0xffu >> (n + 1));
    for (unsigned i = 1; i < n; i++) {
        const uint8_t octet = (uint8_t)(*at)[i];
        if ((octet & 0xc0) != 0x80)
            return FMT_NO_CHARACTER;
        c = c << 6 | (octet & 0x3f);
    }
    if (c < least[n] || !fmt_xml_is_char(c))
        return FMT_NO_CHARACTER;
    *at += n;
    return c;
}

/* The number of "#65;" or "#x41;" behind its '&', FMT_NO_CHARACTER when it is none; moves *at
 * behind it. */
static inline uint32_t
fmt_xml_char_ref(const char **at, const char *end)
{
    const char *p = *at + 1;
    const bool hex = p < end && *p == 'x';
    uint32_t value = 0;

    p += hex;
    const char *const digits = p;
    for (; p < end && *p != ';'; p++) {
        unsigned digit;
        if (*p >= '0' && *p <= '9')
            digit = (unsigned)(*p - '0');
        else if (hex && (*p | 0x20) >= 'a' && (*p | 0x20) <= 'f')
            digit = (unsigned)((*p | 0x20) - 'a') + 10;
        else
            return FMT_NO_CHARACTER;
        value = value * (hex ? 16 : 10) + digit;
        if (value > 0x10ffff)
            return FMT_NO_CHARACTER;
    }
    if (p == end || p == digits || !fmt_xml_is_char(value))
        return FMT_NO_CHARACTER;
    *at = p + 1;
    return value;
}

/* Reference ::= '&' Name ';' | '&#' [0-9]+ ';' | '&#x' [0-9a-fA-F]+ ';'
 * The five names that need no declaration.  *at is at the '&', and moved behind the reference;
 * FMT_NO_CHARACTER: no such. */
static inline uint32_t
fmt_xml_reference(const char **at, const char *end)
{
    static const struct {
        struct hd_slice name;
        char c;
    } entities[] = {
        { { "amp;", 4 }, '&' },  { { "lt;", 3 }, '<' },    { { "gt;", 3 }, '>' },
        { { "quot;", 5 }, '"' }, { { "apos;", 5 }, '\'' },
    };
    const struct hd_slice rest = fmt_xml_between(*at + 1, end);

    if (rest.n && *rest.p == '#') {
        const char *p = rest.p;
        const uint32_t c = fmt_xml_char_ref(&p, end);
        *at = p;
        return c;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(entities); i++) {
        const struct hd_slice name = entities[i].name;
        if (rest.n >= name.n && memcmp(rest.p, name.p, name.n) == 0) {
            *at = rest.p + name.n;
            return (uint32_t)entities[i].c;
        }
    }
    return FMT_NO_CHARACTER;
}

/** URI-reference of RFC 3986 section 4.1, but for literal addresses and "//" without a scheme
 * (xml_uri.c). */
bool fmt_xml_is_uri(struct hd_slice s);

#endif
