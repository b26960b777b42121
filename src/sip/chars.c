/* chars.c - the table of octet classes.  The compiler computes it from the rules below, so that
 * each class can be read beside the grammar of RFC 3261 section 25.1. */
#include "sip/chars.h"

/* clang-format off */
#define UPPER(c) ((c) >= 'A' && (c) <= 'Z')
#define LOWER(c) ((c) >= 'a' && (c) <= 'z')
#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define ALNUM(c) (UPPER(c) || LOWER(c) || DIGIT(c))
#define HEX(c) (DIGIT(c) || ((c) >= 'a' && (c) <= 'f') || ((c) >= 'A' && (c) <= 'F'))
#define LWS(c) ((c) == ' ' || (c) == '\t' || (c) == '\r' || (c) == '\n')
#define MARK(c) ((c) == '-' || (c) == '_' || (c) == '.' || (c) == '!' || (c) == '~' || (c) == '*' || \
                 (c) == '\'' || (c) == '(' || (c) == ')')
#define UNRESERVED(c) (ALNUM(c) || MARK(c))
#define TOKEN(c) (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '!' || (c) == '%' || (c) == '*' || \
                  (c) == '_' || (c) == '+' || (c) == '`' || (c) == '\'' || (c) == '~')
#define WORD(c) (TOKEN(c) || (c) == '(' || (c) == ')' || (c) == '<' || (c) == '>' || (c) == ':' || \
                 (c) == '\\' || (c) == '"' || (c) == '/' || (c) == '[' || (c) == ']' || (c) == '?' || \
                 (c) == '{' || (c) == '}')
#define PASSWORD(c) (UNRESERVED(c) || (c) == '&' || (c) == '=' || (c) == '+' || (c) == '$' || (c) == ',')
#define USER(c) (PASSWORD(c) || (c) == ';' || (c) == '?' || (c) == '/')
#define BRACKETS(c) ((c) == '[' || (c) == ']' || (c) == '/' || (c) == ':' || (c) == '+' || (c) == '$')
#define PARAM(c) (UNRESERVED(c) || BRACKETS(c) || (c) == '&')
#define HEADERS(c) (UNRESERVED(c) || BRACKETS(c) || (c) == '?' || (c) == '=' || (c) == '&')
#define VISIBLE(c) ((c) > 0x20 && (c) < 0x7f)
#define URI(c) (VISIBLE(c) && (c) != '<' && (c) != '>' && (c) != '"')
#define VALUE(c) ((VISIBLE(c) || (c) >= 0x80) && (c) != '<' && (c) != '>' && (c) != '"' && \
                  (c) != ';' && (c) != ',')
#define SEPARATOR(c) ((c) == '-' || (c) == '.' || (c) == '(' || (c) == ')')

#define CLASS(c)                                                                       \
    ((uint16_t)((TOKEN(c) ? SIP_C_TOKEN : 0) |                                         \
                (WORD(c) || (c) == '@' ? SIP_C_CALL_ID : 0) |                          \
                (LWS(c) ? SIP_C_LWS : 0) | (DIGIT(c) ? SIP_C_DIGIT : 0) |              \
                (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' ? SIP_C_HOST : 0) | \
                (USER(c) ? SIP_C_USER : 0) | (PASSWORD(c) ? SIP_C_PASSWORD : 0) |      \
                (PARAM(c) ? SIP_C_PARAM : 0) | (HEADERS(c) ? SIP_C_HEADERS : 0) |      \
                (URI(c) ? SIP_C_URI : 0) | (VALUE(c) ? SIP_C_VALUE : 0) |              \
                (TOKEN(c) || LWS(c) || (c) >= 0x80 ? SIP_C_DISPLAY : 0) |              \
                (ALNUM(c) || (c) == '+' || (c) == '-' || (c) == '.' ? SIP_C_SCHEME : 0) | \
                (HEX(c) ? SIP_C_HEX : 0) |                                             \
                (HEX(c) || SEPARATOR(c) || (c) == '*' || (c) == '#' || (c) == '+' ? SIP_C_TEL : 0)))
#define FOUR(c) CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define SIXTEEN(c) FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)
#define SIXTY_FOUR(c) SIXTEEN(c), SIXTEEN((c) + 16), SIXTEEN((c) + 32), SIXTEEN((c) + 48)

const uint16_t sip_chars[256] = { SIXTY_FOUR(0), SIXTY_FOUR(64), SIXTY_FOUR(128), SIXTY_FOUR(192) };
/* clang-format on */

/* quoted-string = SWS DQUOTE *(qdtext / quoted-pair ) DQUOTE */
const char *
sip_quoted_end(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\')
            p++;
    }
    return NULL;
}
