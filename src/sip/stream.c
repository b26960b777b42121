/* stream.c - where a message ends on a stream (RFC 3261 section 18.3).
 *
 * Looks at the octets that are there and keeps no state, so that a connection needs a buffer and
 * nothing else.  What it cuts is parsed by sip_msg_parse with stream = true, which checks again
 * that Content-Length is there once and is exact: two readings of one stream are refused by one of
 * the two. */
#include "sip/msg.h"

#include "sip/chars.h"

enum length { LENGTH_NONE = 0, LENGTH_GOOD, LENGTH_BAD };

/* CRLF CRLF is a keep-alive (RFC 5626 section 4.4.1); a single one before a message is skipped (RFC
 * 3261 7.5). */
static enum sip_frame
frame_crlf(struct hd_slice stream, size_t *ret_len)
{
    static const char ping[4] = "\r\n\r\n";
    const size_t n = stream.n < 4 ? stream.n : 4;
    size_t same = 0;
    while (same < n && stream.p[same] == ping[same])
        same++;
    if (same == 4) {
        *ret_len = 4;
        return SIP_FRAME_PING;
    }
    if (same == n)
        return SIP_FRAME_MORE;
    if (same >= 2) {
        *ret_len = 2;
        return SIP_FRAME_SKIP;
    }
    return SIP_FRAME_BAD;
}

/* The first line, if it is whole, ends in CRLF and names SIP; anything else will never become a
 * message. */
static bool
start_line_plausible(struct hd_slice stream)
{
    if (!sip_is(stream.p[0], SIP_C_TOKEN))
        return false;
    const char *lf = memchr(stream.p, '\n', stream.n);
    if (!lf)
        return true;
    if (lf[-1] != '\r')
        return false;
    for (const char *p = stream.p; p + 4 <= lf; p++)
        if (p[3] == '/' && hd_slice_istarts(hd_slice(p, 4), HD_LIT("SIP/")))
            return true;
    return false;
}

/* Where the header field that begins at p ends, folds included: behind the CRLF that no blank
 * follows.  NULL: a CR or LF that is not part of a CRLF, at which another reader might see a field
 * begin or not. */
static const char *
field_end(const char *p, const char *end)
{
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf || lf == p || memchr(p, '\r', (size_t)(lf - p)) != lf - 1)
            return NULL;
        p = lf + 1;
        if (p == end || (*p != ' ' && *p != '\t'))
            return p;
    }
    return NULL;
}

/* Finds Content-Length in a whole head. */
static enum length
content_length(struct hd_slice head, uint32_t *ret_length)
{
    const char *end = sip_end(head);
    enum length found = LENGTH_NONE;
    for (const char *p = head.p; p < end;) {
        const char *next = field_end(p, end);
        if (!next)
            return LENGTH_BAD;
        const char *colon = memchr(p, ':', (size_t)(next - p));
        if (colon && sip_hdr_find(sip_trim(p, colon)) == SIP_HDR_CONTENT_LENGTH) {
            uint32_t length;
            if (hd_slice_to_u32(sip_trim(colon + 1, next), &length) ||
                (found == LENGTH_GOOD && length != *ret_length))
                return LENGTH_BAD;
            *ret_length = length;
            found = LENGTH_GOOD;
        }
        p = next;
    }
    return found;
}

enum sip_frame
sip_frame_find(struct hd_slice stream, size_t max_body, size_t *ret_len)
{
    *ret_len = 0;
    if (stream.n == 0)
        return SIP_FRAME_MORE;
    if (stream.p[0] == '\r')
        return frame_crlf(stream, ret_len);
    if (!start_line_plausible(stream))
        return SIP_FRAME_BAD;
    const size_t search = stream.n < SIP_MAX_HEAD ? stream.n : SIP_MAX_HEAD;
    const char *empty = memmem(stream.p, search, "\r\n\r\n", 4);
    if (!empty)
        return stream.n < SIP_MAX_HEAD ? SIP_FRAME_MORE : SIP_FRAME_TOO_LARGE;
    const size_t head = (size_t)(empty - stream.p) + 4;
    uint32_t length = 0;
    if (content_length(hd_slice(stream.p, head - 2), &length) != LENGTH_GOOD)
        return SIP_FRAME_BAD;
    if (length > max_body) {
        *ret_len = head;
        return SIP_FRAME_TOO_LARGE;
    }
    if (stream.n - head < length)
        return SIP_FRAME_MORE;
    *ret_len = head + length;
    return SIP_FRAME_MESSAGE;
}
