/* xml_value.c - values compared as who reads them understands them: references replaced, blanks
 * normalised. */
#include "format/xml_char.h"
#include "format/xml_read.h"

/* The next character of a value as its reader sees it, FMT_NO_CHARACTER at the end. */
static uint32_t
value_next(struct hd_slice *value)
{
    uint32_t c;

    if (value->n == 0)
        return FMT_NO_CHARACTER;
    const char *at = value->p;
    const char *const end = at + value->n;
    if (*at == '&') {
        c = fmt_xml_reference(&at, end);
    } else if ((uint8_t)*at & 0x80) {
        c = fmt_xml_decode(&at, end);
    } else {
        /* a line end of two octets is one character (XML section 2.11) */
        if (*at == '\r' && end - at > 1 && at[1] == '\n')
            at++;
        c = fmt_octet_is(*at, FMT_OCTET_BLANK) ? ' ' : (uint8_t)*at;
        at++;
    }
    *value = fmt_xml_between(at, end);
    return c;
}

bool
fmt_xml_value_eq(struct hd_slice a, struct hd_slice b)
{
    uint32_t c;
    do {
        c = value_next(&a);
        if (c != value_next(&b))
            return false;
    } while (c != FMT_NO_CHARACTER);
    return true;
}

uint32_t
fmt_xml_value_hash(struct hd_slice value)
{
    uint32_t hash = 2166136261u; /* FNV-1a, by characters */
    for (uint32_t c; (c = value_next(&value)) != FMT_NO_CHARACTER;)
        hash = (hash ^ c) * 16777619u;
    return hash;
}
