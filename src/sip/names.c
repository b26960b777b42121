/* names.c - names of methods, header fields and status codes.
 *
 * A header name is found by a hash of its length and its first and last letter, and then compared
 * in full: a hash alone would let an invented header pass for Via.  Compact forms (RFC 3261
 * section 7.3.3) lead to the same row. */
#include "sip/msg.h"

#include "sip/chars.h"

static const struct hd_slice method_names[SIP_METHOD_COUNT] = {
    [SIP_METHOD_UNKNOWN] = { "", 0 }, [SIP_INVITE] = { "INVITE", 6 },
    [SIP_ACK] = { "ACK", 3 },         [SIP_BYE] = { "BYE", 3 },
    [SIP_CANCEL] = { "CANCEL", 6 },   [SIP_REGISTER] = { "REGISTER", 8 },
    [SIP_OPTIONS] = { "OPTIONS", 7 }, [SIP_SUBSCRIBE] = { "SUBSCRIBE", 9 },
    [SIP_NOTIFY] = { "NOTIFY", 6 },   [SIP_PUBLISH] = { "PUBLISH", 7 },
    [SIP_MESSAGE] = { "MESSAGE", 7 }, [SIP_INFO] = { "INFO", 4 },
    [SIP_PRACK] = { "PRACK", 5 },     [SIP_UPDATE] = { "UPDATE", 6 },
    [SIP_REFER] = { "REFER", 5 },
};

enum sip_method
sip_method_find(struct hd_slice name)
{
    if (name.n < 3 || name.n > 9)
        return SIP_METHOD_UNKNOWN;
    for (unsigned i = SIP_INVITE; i < SIP_METHOD_COUNT; i++)
        if (name.p[0] == method_names[i].p[0] && hd_slice_eq(name, method_names[i]))
            return (enum sip_method)i;
    return SIP_METHOD_UNKNOWN;
}

struct hd_slice
sip_method_name(enum sip_method method)
{
    HD_ASSERT(method < SIP_METHOD_COUNT);
    return method_names[method];
}

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const struct hd_slice hdr_names[SIP_HDR_COUNT] = {
    [SIP_HDR_OTHER] = NAME(""),
    [SIP_HDR_ACCEPT] = NAME("Accept"),
    [SIP_HDR_ACCEPT_ENCODING] = NAME("Accept-Encoding"),
    [SIP_HDR_ACCEPT_RESOURCE_PRIORITY] = NAME("Accept-Resource-Priority"),
    [SIP_HDR_ALLOW] = NAME("Allow"),
    [SIP_HDR_ALLOW_EVENTS] = NAME("Allow-Events"),
    [SIP_HDR_AUTHORIZATION] = NAME("Authorization"),
    [SIP_HDR_CALL_ID] = NAME("Call-ID"),
    [SIP_HDR_CONTACT] = NAME("Contact"),
    [SIP_HDR_CONTENT_DISPOSITION] = NAME("Content-Disposition"),
    [SIP_HDR_CONTENT_ENCODING] = NAME("Content-Encoding"),
    [SIP_HDR_CONTENT_LANGUAGE] = NAME("Content-Language"),
    [SIP_HDR_CONTENT_LENGTH] = NAME("Content-Length"),
    [SIP_HDR_CONTENT_TYPE] = NAME("Content-Type"),
    [SIP_HDR_CSEQ] = NAME("CSeq"),
    [SIP_HDR_DATE] = NAME("Date"),
    [SIP_HDR_EVENT] = NAME("Event"),
    [SIP_HDR_EXPIRES] = NAME("Expires"),
    [SIP_HDR_FROM] = NAME("From"),
    [SIP_HDR_MAX_FORWARDS] = NAME("Max-Forwards"),
    [SIP_HDR_MIME_VERSION] = NAME("MIME-Version"),
    [SIP_HDR_MIN_EXPIRES] = NAME("Min-Expires"),
    [SIP_HDR_P_ASSERTED_IDENTITY] = NAME("P-Asserted-Identity"),
    [SIP_HDR_PATH] = NAME("Path"),
    [SIP_HDR_PRIORITY] = NAME("Priority"),
    [SIP_HDR_PROXY_AUTHORIZATION] = NAME("Proxy-Authorization"),
    [SIP_HDR_PROXY_REQUIRE] = NAME("Proxy-Require"),
    [SIP_HDR_RECORD_ROUTE] = NAME("Record-Route"),
    [SIP_HDR_REQUIRE] = NAME("Require"),
    [SIP_HDR_RESOURCE_PRIORITY] = NAME("Resource-Priority"),
    [SIP_HDR_RETRY_AFTER] = NAME("Retry-After"),
    [SIP_HDR_ROUTE] = NAME("Route"),
    [SIP_HDR_SERVER] = NAME("Server"),
    [SIP_HDR_SIP_ETAG] = NAME("SIP-ETag"),
    [SIP_HDR_SIP_IF_MATCH] = NAME("SIP-If-Match"),
    [SIP_HDR_SUBSCRIPTION_STATE] = NAME("Subscription-State"),
    [SIP_HDR_SUPPORTED] = NAME("Supported"),
    [SIP_HDR_SUPPRESS_IF_MATCH] = NAME("Suppress-If-Match"),
    [SIP_HDR_TIMESTAMP] = NAME("Timestamp"),
    [SIP_HDR_TO] = NAME("To"),
    [SIP_HDR_UNSUPPORTED] = NAME("Unsupported"),
    [SIP_HDR_USER_AGENT] = NAME("User-Agent"),
    [SIP_HDR_VIA] = NAME("Via"),
    [SIP_HDR_WARNING] = NAME("Warning"),
    [SIP_HDR_WWW_AUTHENTICATE] = NAME("WWW-Authenticate"),
};

/* Row of (length + 45 * first letter + 59 * last letter) mod 128; the factors were searched for, so
 * that no two names share a row.  A test looks every name up, so a new header that collides is
 * noticed. */
static const uint8_t hdr_rows[128] = {
    [2] = SIP_HDR_EVENT,
    [3] = SIP_HDR_SERVER,
    [4] = SIP_HDR_PROXY_REQUIRE,
    [8] = SIP_HDR_ACCEPT_RESOURCE_PRIORITY,
    [15] = SIP_HDR_MIME_VERSION,
    [16] = SIP_HDR_SUBSCRIPTION_STATE,
    [17] = SIP_HDR_FROM,
    [26] = SIP_HDR_ALLOW_EVENTS,
    [27] = SIP_HDR_PRIORITY,
    [28] = SIP_HDR_VIA,
    [29] = SIP_HDR_PROXY_AUTHORIZATION,
    [38] = SIP_HDR_P_ASSERTED_IDENTITY,
    [40] = SIP_HDR_UNSUPPORTED,
    [42] = SIP_HDR_CONTACT,
    [44] = SIP_HDR_PATH,
    [47] = SIP_HDR_WARNING,
    [52] = SIP_HDR_CONTENT_ENCODING,
    [53] = SIP_HDR_MIN_EXPIRES,
    [54] = SIP_HDR_MAX_FORWARDS,
    [58] = SIP_HDR_CONTENT_TYPE,
    [59] = SIP_HDR_SIP_IF_MATCH,
    [61] = SIP_HDR_TIMESTAMP,
    [62] = SIP_HDR_CONTENT_LANGUAGE,
    [64] = SIP_HDR_SUPPRESS_IF_MATCH,
    [66] = SIP_HDR_WWW_AUTHENTICATE,
    [73] = SIP_HDR_EXPIRES,
    [76] = SIP_HDR_SUPPORTED,
    [79] = SIP_HDR_ACCEPT,
    [84] = SIP_HDR_CONTENT_DISPOSITION,
    [86] = SIP_HDR_ROUTE,
    [87] = SIP_HDR_USER_AGENT,
    [88] = SIP_HDR_REQUIRE,
    [89] = SIP_HDR_ACCEPT_ENCODING,
    [91] = SIP_HDR_RETRY_AFTER,
    [93] = SIP_HDR_RECORD_ROUTE,
    [95] = SIP_HDR_DATE,
    [109] = SIP_HDR_CONTENT_LENGTH,
    [116] = SIP_HDR_AUTHORIZATION,
    [118] = SIP_HDR_CSEQ,
    [122] = SIP_HDR_CALL_ID,
    [123] = SIP_HDR_TO,
    [124] = SIP_HDR_SIP_ETAG,
    [126] = SIP_HDR_RESOURCE_PRIORITY,
    [127] = SIP_HDR_ALLOW,
};

/* RFC 3261 section 7.3.3 and RFC 6665 section 8.2; 'a' to 'z'. */
static const uint8_t hdr_compact[26] = {
    ['c' - 'a'] = SIP_HDR_CONTENT_TYPE, ['e' - 'a'] = SIP_HDR_CONTENT_ENCODING,
    ['f' - 'a'] = SIP_HDR_FROM,         ['i' - 'a'] = SIP_HDR_CALL_ID,
    ['k' - 'a'] = SIP_HDR_SUPPORTED,    ['l' - 'a'] = SIP_HDR_CONTENT_LENGTH,
    ['m' - 'a'] = SIP_HDR_CONTACT,      ['o' - 'a'] = SIP_HDR_EVENT,
    ['t' - 'a'] = SIP_HDR_TO,           ['u' - 'a'] = SIP_HDR_ALLOW_EVENTS,
    ['v' - 'a'] = SIP_HDR_VIA,
};

static inline uint64_t
load8(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* n octets are the same; without a call for the lengths that names have. */
static inline bool
octets_same(const char *a, const char *b, size_t n)
{
    if (n >= 8 && n <= 16)
        return load8(a) == load8(b) && load8(a + n - 8) == load8(b + n - 8);
    if (n == 2 || n == 3)
        return a[0] == b[0] && a[1] == b[1] && a[n - 1] == b[n - 1];
    return memcmp(a, b, n) == 0;
}

enum sip_hdr
sip_hdr_find(struct hd_slice name)
{
    if (name.n == 0)
        return SIP_HDR_OTHER;
    if (name.n == 1) {
        const char letter = sip_lower(name.p[0]);
        return letter >= 'a' && letter <= 'z' ? (enum sip_hdr)hdr_compact[letter - 'a']
                                              : SIP_HDR_OTHER;
    }
    const unsigned first = (uint8_t)name.p[0] | 0x20u;
    const unsigned last = (uint8_t)name.p[name.n - 1] | 0x20u;
    const enum sip_hdr id =
        (enum sip_hdr)hdr_rows[((unsigned)name.n + 45 * first + 59 * last) & 127];
    const struct hd_slice known = hdr_names[id];
    if (known.n != name.n)
        return SIP_HDR_OTHER;
    /* Nearly everyone writes the name as the RFC does. */
    if (octets_same(known.p, name.p, name.n) || hd_slice_ieq(known, name))
        return id;
    return SIP_HDR_OTHER;
}

struct hd_slice
sip_hdr_name(enum sip_hdr id)
{
    HD_ASSERT(id < SIP_HDR_COUNT);
    return hdr_names[id];
}

/* Ordered by code; RFC 3261 section 21 and the registry of response codes. */
static const struct {
    uint16_t status;
    struct hd_slice phrase;
} phrases[] = {
    { 100, NAME("Trying") },
    { 180, NAME("Ringing") },
    { 181, NAME("Call Is Being Forwarded") },
    { 182, NAME("Queued") },
    { 183, NAME("Session Progress") },
    { 199, NAME("Early Dialog Terminated") },
    { 200, NAME("OK") },
    { 202, NAME("Accepted") },
    { 204, NAME("No Notification") },
    { 300, NAME("Multiple Choices") },
    { 301, NAME("Moved Permanently") },
    { 302, NAME("Moved Temporarily") },
    { 305, NAME("Use Proxy") },
    { 380, NAME("Alternative Service") },
    { 400, NAME("Bad Request") },
    { 401, NAME("Unauthorized") },
    { 402, NAME("Payment Required") },
    { 403, NAME("Forbidden") },
    { 404, NAME("Not Found") },
    { 405, NAME("Method Not Allowed") },
    { 406, NAME("Not Acceptable") },
    { 407, NAME("Proxy Authentication Required") },
    { 408, NAME("Request Timeout") },
    { 410, NAME("Gone") },
    { 412, NAME("Conditional Request Failed") },
    { 413, NAME("Request Entity Too Large") },
    { 414, NAME("Request-URI Too Long") },
    { 415, NAME("Unsupported Media Type") },
    { 416, NAME("Unsupported URI Scheme") },
    { 417, NAME("Unknown Resource-Priority") },
    { 420, NAME("Bad Extension") },
    { 421, NAME("Extension Required") },
    { 422, NAME("Session Interval Too Small") },
    { 423, NAME("Interval Too Brief") },
    { 424, NAME("Bad Location Information") },
    { 428, NAME("Use Identity Header") },
    { 429, NAME("Provide Referrer Identity") },
    { 430, NAME("Flow Failed") },
    { 433, NAME("Anonymity Disallowed") },
    { 436, NAME("Bad Identity-Info") },
    { 437, NAME("Unsupported Certificate") },
    { 438, NAME("Invalid Identity Header") },
    { 439, NAME("First Hop Lacks Outbound Support") },
    { 440, NAME("Max-Breadth Exceeded") },
    { 469, NAME("Bad Info Package") },
    { 470, NAME("Consent Needed") },
    { 480, NAME("Temporarily Unavailable") },
    { 481, NAME("Call/Transaction Does Not Exist") },
    { 482, NAME("Loop Detected") },
    { 483, NAME("Too Many Hops") },
    { 484, NAME("Address Incomplete") },
    { 485, NAME("Ambiguous") },
    { 486, NAME("Busy Here") },
    { 487, NAME("Request Terminated") },
    { 488, NAME("Not Acceptable Here") },
    { 489, NAME("Bad Event") },
    { 491, NAME("Request Pending") },
    { 493, NAME("Undecipherable") },
    { 494, NAME("Security Agreement Required") },
    { 500, NAME("Server Internal Error") },
    { 501, NAME("Not Implemented") },
    { 502, NAME("Bad Gateway") },
    { 503, NAME("Service Unavailable") },
    { 504, NAME("Server Time-out") },
    { 505, NAME("Version Not Supported") },
    { 513, NAME("Message Too Large") },
    { 580, NAME("Precondition Failure") },
    { 600, NAME("Busy Everywhere") },
    { 603, NAME("Decline") },
    { 604, NAME("Does Not Exist Anywhere") },
    { 606, NAME("Not Acceptable") },
};

struct hd_slice
sip_status_phrase(unsigned status)
{
    size_t low = 0, high = HD_ARRAY_LEN(phrases);
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (phrases[middle].status == status)
            return phrases[middle].phrase;
        if (phrases[middle].status < status)
            low = middle + 1;
        else
            high = middle;
    }
    return HD_LIT("");
}
