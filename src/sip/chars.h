/* chars.h - classes of octets (RFC 3261 section 25.1), one table for every reader of this layer.
 * Pure; any thread. */
#ifndef HD_SIP_CHARS_H
#define HD_SIP_CHARS_H

#include "base/slice.h"

enum sip_class {
    SIP_C_TOKEN = 1 << 0,    /* token */
    SIP_C_CALL_ID = 1 << 1,  /* word, and the '@' between two of them */
    SIP_C_LWS = 1 << 2,      /* SP, HTAB, and CR and LF, which are only left inside of folds */
    SIP_C_DIGIT = 1 << 3,    /* 0 to 9 */
    SIP_C_HOST = 1 << 4,     /* letters, digits, '-', '.', and the '_' that some networks use */
    SIP_C_USER = 1 << 5,     /* unreserved and user-unreserved */
    SIP_C_PASSWORD = 1 << 6, /* what a password may hold without an escape */
    SIP_C_PARAM = 1 << 7,    /* unreserved and param-unreserved */
    SIP_C_HEADERS = 1 << 8,  /* hname, hvalue, '=' and '&' */
    SIP_C_URI = 1 << 9,    /* any visible ASCII octet that cannot end a URI in brackets or quotes */
    SIP_C_VALUE = 1 << 10, /* an unquoted parameter value: all that cannot end it */
    SIP_C_DISPLAY = 1 << 11, /* display name without quotes: token, blanks, UTF-8 */
    SIP_C_SCHEME = 1 << 12,  /* letters, digits, '+', '-', '.' */
    SIP_C_HEX = 1 << 13,
    SIP_C_TEL =
        1 << 14 /* digits, visual separators, hex digits, '*', '#', '+' (RFC 3966 section 3) */
};

extern const uint16_t sip_chars[256];

static inline bool
sip_is(char c, unsigned class)
{
    return (sip_chars[(uint8_t)c] & class) != 0;
}

/** Whether an octet of a user part means the same escaped or not, and stands as it is in a key: ";"
 * and "=" set parameters of a number apart (RFC 3261 section 19.1.4, RFC 3966 section 3). */
static inline bool
sip_is_plain(char c)
{
    return sip_is(c, SIP_C_USER) && c != ';' && c != '=';
}

/** How many octets from p on, before end, are of the class. */
static inline size_t
sip_span(const char *p, const char *end, unsigned class)
{
    const char *q = p;
    while (end - q >= 4 && (sip_chars[(uint8_t)q[0]] & sip_chars[(uint8_t)q[1]] &
                            sip_chars[(uint8_t)q[2]] & sip_chars[(uint8_t)q[3]] & class))
        q += 4;
    while (q < end && sip_is(*q, class))
        q++;
    return (size_t)(q - p);
}

static inline const char *
sip_skip_lws(const char *p, const char *end)
{
    while (p < end && sip_is(*p, SIP_C_LWS))
        p++;
    return p;
}

/** Behind the last octet; good for the slice of nothing as well. */
static inline const char *
sip_end(struct hd_slice s)
{
    return s.n ? s.p + s.n : s.p;
}

/** How many octets from p on are a host name or an IPv4 address; 0 when a label is empty.  The root
 * dot is taken. */
static inline size_t
sip_host_span(const char *p, const char *end)
{
    const char *q = p;
    while (q < end && sip_is(*q, SIP_C_HOST)) {
        if (*q == '.' && (q == p || q[-1] == '.'))
            return 0;
        q++;
    }
    return (size_t)(q - p);
}

/** Without blanks and folds at both ends. */
static inline struct hd_slice
sip_trim(const char *p, const char *end)
{
    p = sip_skip_lws(p, end);
    while (end > p && sip_is(end[-1], SIP_C_LWS))
        end--;
    return hd_slice(p, (size_t)(end - p));
}

/** Whether s is the word of a literal in any case; most senders write it as the RFC does. */
#define sip_word(s, literal) sip_word_n(s, "" literal, sizeof(literal) - 1)
static inline bool
sip_word_n(struct hd_slice s, const char *word, size_t n)
{
    return s.n == n && (memcmp(s.p, word, n) == 0 || hd_slice_ieq(s, hd_slice(word, n)));
}

/** The letter in lower case, another octet unchanged. */
static inline char
sip_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/** The end of a quoted string that begins at p ("\"...\""), or NULL when it does not end before
 * end. */
const char *sip_quoted_end(const char *p, const char *end);

#endif
