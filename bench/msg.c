/* msg.c - see msg.h.
 *
 * The generator has to cost a third of the server or less: a message is walked once, line by line,
 * a header is told by the length of its name and a letter or two, and the answer to a request is
 * copied together during the same walk. */
#include "msg.h"

#include <string.h>

/* What stands before the number of the event state in a document. */
#define STATE_MARK "state "
#define SUMMARY_MARK "Voice-Message: "

void
out_text(struct out *out, struct text text)
{
    memcpy(out->p, text.p, text.n);
    out->p += text.n;
}

void
out_number(struct out *out, uint64_t n)
{
    char digits[20];
    unsigned at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    out_text(out, (struct text){ digits + at, sizeof(digits) - at });
}

void
out_number10(struct out *out, uint64_t n)
{
    for (unsigned i = 10; i-- > 0; n /= 10)
        out->p[i] = (char)('0' + n % 10);
    out->p += 10;
}

void
out_ip(struct out *out, uint32_t ip)
{
    unsigned char octet[4];

    memcpy(octet, &ip, 4);
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            *out->p++ = '.';
        out_number(out, octet[i]);
    }
}

static uint32_t
read_number(const char *p, const char *end, const char **ret_end)
{
    uint32_t n = 0;

    while (p < end && *p >= '0' && *p <= '9')
        n = n * 10 + (uint32_t)(*p++ - '0');
    *ret_end = p;
    return n;
}

static void
scan_call_id(const char *p, const char *end, uint32_t run, struct msg *msg)
{
    const char *at;
    uint32_t index;

    if (p == end || (*p != 's' && *p != 'p'))
        return;
    index = read_number(p + 1, end, &at);
    if (at == p + 1 || at == end || *at != '-' || read_number(at + 1, end, &at) != run)
        return;
    msg->kind = *p;
    msg->index = index;
}

static struct text
scan_tag(const char *p, const char *end)
{
    const char *close = memchr(p, '>', (size_t)(end - p)), *tag;

    if (!close)
        close = p;
    tag = memmem(close, (size_t)(end - close), ";tag=", 5);
    if (!tag)
        return (struct text){ 0 };
    tag += 5;
    p = memchr(tag, ';', (size_t)(end - tag));
    return (struct text){ tag, (size_t)((p ? p : end) - tag) };
}

static struct text
scan_contact(const char *p, const char *end)
{
    const char *open = memchr(p, '<', (size_t)(end - p)), *close;

    if (!open)
        return (struct text){ p, (size_t)(end - p) };
    close = memchr(open, '>', (size_t)(end - open));
    return close ? (struct text){ open + 1, (size_t)(close - open - 1) } : (struct text){ 0 };
}

static struct text
scan_nonce(const char *p, const char *end)
{
    const char *nonce = memmem(p, (size_t)(end - p), "nonce=\"", 7), *close;

    if (!nonce)
        return (struct text){ 0 };
    nonce += 7;
    close = memchr(nonce, '"', (size_t)(end - nonce));
    return (struct text){ nonce, close ? (size_t)(close - nonce) : 0 };
}

/* Takes what a header says; true when an answer repeats it. */
static bool
scan_header(const char *name, size_t name_len, const char *value, const char *end, uint32_t run,
            struct msg *msg)
{
    const char *at;

    switch (name_len << 8 | (unsigned char)(*name | 0x20)) {
    case 3 << 8 | 'v': /* Via */
    case 1 << 8 | 'v':
        return true;
    case 4 << 8 | 'f': /* From */
    case 1 << 8 | 'f':
        msg->from_tag = scan_tag(value, end);
        return true;
    case 2 << 8 | 't': /* To */
    case 1 << 8 | 't':
        msg->to_tag = scan_tag(value, end);
        return true;
    case 4 << 8 | 'c': /* CSeq */
        msg->cseq = read_number(value, end, &at);
        if (msg->status != 0 && at + 1 < end)
            msg->method = at[1];
        return true;
    case 7 << 8 | 'c': /* Call-ID, Contact */
        if ((name[1] | 0x20) == 'a') {
            scan_call_id(value, end, run, msg);
            return true;
        }
        msg->contact = scan_contact(value, end);
        return false;
    case 1 << 8 | 'i':
        scan_call_id(value, end, run, msg);
        return true;
    case 1 << 8 | 'm':
        msg->contact = scan_contact(value, end);
        return false;
    case 8 << 8 | 's': /* SIP-ETag */
        if ((name[4] | 0x20) == 'e')
            msg->etag = (struct text){ value, (size_t)(end - value) };
        return false;
    case 16 << 8 | 'w': /* WWW-Authenticate */
        msg->nonce = scan_nonce(value, end);
        return false;
    case 18 << 8 | 's': /* Subscription-State */
        msg->terminated = value < end && (*value | 0x20) == 't';
        return false;
    default:
        return false;
    }
}

static void
scan_body(struct msg *msg)
{
    const struct text body = msg->body;
    const char *mark = NULL, *end;

    if (body.n == 0)
        return;
    if (*body.p == 'M')
        mark = memmem(body.p, body.n, SUMMARY_MARK, sizeof(SUMMARY_MARK) - 1);
    if (mark)
        mark += sizeof(SUMMARY_MARK) - 1;
    else if ((mark = memmem(body.p, body.n, STATE_MARK, sizeof(STATE_MARK) - 1)))
        mark += sizeof(STATE_MARK) - 1;
    if (mark)
        msg->round = read_number(mark, body.p + body.n, &end);
}

static bool
scan_start(const char *p, size_t n, struct msg *msg)
{
    const char *end;

    if (n > 12 && memcmp(p, "SIP/2.0 ", 8) == 0)
        msg->status = (int)read_number(p + 8, p + n, &end);
    else if (n > 20 && *p >= 'A' && *p <= 'Z')
        msg->method = *p;
    else
        return false;
    return true;
}

size_t
msg_scan(const char *p, size_t n, uint32_t run, char *answer, struct msg *ret_msg)
{
    const char *const all_end = p + n;
    struct out out = { answer, answer };
    bool answering;

    memset(ret_msg, 0, sizeof(*ret_msg));
    if (!scan_start(p, n, ret_msg))
        return 0;
    answering = answer && ret_msg->status == 0;
    if (answering)
        OUT(&out, "SIP/2.0 200 OK\r\n");
    p = memchr(p, '\n', n);
    while (p && ++p < all_end) {
        const char *line_end = memchr(p, '\n', (size_t)(all_end - p)), *end, *colon, *value;
        if (!line_end)
            break;
        end = line_end > p && line_end[-1] == '\r' ? line_end - 1 : line_end;
        if (end == p) {
            ret_msg->body = (struct text){ line_end + 1, (size_t)(all_end - line_end - 1) };
            break;
        }
        colon = memchr(p, ':', (size_t)(end - p));
        if (colon) {
            value = colon + 1;
            while (value < end && *value == ' ')
                value++;
            if (scan_header(p, (size_t)(colon - p), value, end, run, ret_msg) && answering)
                out_text(&out, (struct text){ p, (size_t)(line_end + 1 - p) });
        }
        p = line_end;
    }
    scan_body(ret_msg);
    if (answering)
        OUT(&out, "Content-Length: 0\r\n\r\n");
    return (size_t)(out.p - out.start);
}

/* --- documents ------------------------------------------------------------------------------ */

struct text
msg_type(enum msg_body body)
{
    static const char *const names[] = { "application/pidf+xml",
                                         "application/simple-message-summary",
                                         "application/x-bench" };

    return (struct text){ names[body], strlen(names[body]) };
}

static void
document_pidf(struct out *out, uint32_t resource, uint32_t round)
{
    OUT(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
             "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "
             "xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" "
             "xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"sip:r");
    out_number(out, resource);
    OUT(out, "@bench.test\">"
             "<tuple id=\"t1\"><status><basic>open</basic></status>"
             "<contact priority=\"0.8\">sip:r");
    out_number(out, resource);
    OUT(out, "@bench.test</contact><note>" STATE_MARK);
    out_number10(out, round);
    OUT(out, "</note></tuple>"
             "<dm:person id=\"p1\"><rpid:activities><rpid:on-the-phone/></rpid:activities>"
             "<dm:note>On the phone</dm:note></dm:person></presence>\r\n");
}

static void
document_summary(struct out *out, uint32_t resource, uint32_t round)
{
    OUT(out, "Messages-Waiting: yes\r\nMessage-Account: sip:r");
    out_number(out, resource);
    OUT(out, "@bench.test\r\n" SUMMARY_MARK);
    out_number(out, round);
    OUT(out, "/8 (0/2)\r\nFax-Message: 0/2 (0/0)\r\n");
}

static void
document_opaque(struct out *out, uint32_t resource, uint32_t round)
{
    OUT(out, STATE_MARK);
    out_number10(out, round);
    OUT(out, " of resource ");
    out_number10(out, resource);
    OUT(out, "\r\n");
    for (unsigned i = 0; i < 8; i++)
        OUT(out, "a line of sixty-four octets of a document that nobody looks at\r\n");
}

void
msg_document(struct out *out, enum msg_body body, uint32_t resource, uint32_t round)
{
    switch (body) {
    case MSG_PIDF:
        document_pidf(out, resource, round);
        break;
    case MSG_SUMMARY:
        document_summary(out, resource, round);
        break;
    case MSG_OPAQUE:
        document_opaque(out, resource, round);
        break;
    }
}
