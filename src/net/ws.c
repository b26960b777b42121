/* ws.c - see ws.h.
 *
 * Whoever sends HTTP gets an answer in HTTP that says what is wrong, since he may be a person with
 * a browser.  A frame is judged by its head alone, before memory is spent on it: its length is
 * known then.  Extensions are not taken: permessage-deflate would cost a window per browser. */
#include "net/ws.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

/* --- the upgrade --------------------------------------------------------------------------------
 */

struct request {
    bool host, upgrade, connection, sip, key_twice;
    struct hd_slice key, version, origin;
    unsigned headers;
};

/* Whether a comma separated list (RFC 9110 section 5.6.1) has a token. */
static bool
has_token(struct hd_slice list, struct hd_slice token, bool any_case)
{
    while (list.n > 0) {
        struct hd_slice item = hd_slice_trim(hd_slice_cut(&list, ','));

        if (any_case ? hd_slice_ieq(item, token) : hd_slice_eq(item, token))
            return true;
    }
    return false;
}

/* One line of the head; false when it is none that HTTP allows. */
static bool
read_header(struct request *r, struct hd_slice line)
{
    size_t colon = hd_slice_find(line, ':');
    struct hd_slice name = hd_slice(line.p, colon), value;

    if (colon == 0 || colon == line.n || ++r->headers > NET_WS_HEADERS_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 0x7f)
            return false; /* also a blank before the colon, and a folded line */
    value = hd_slice_trim(hd_slice_from(line, colon + 1));
    if (hd_slice_ieq(name, HD_LIT("Host"))) {
        r->host = true;
    } else if (hd_slice_ieq(name, HD_LIT("Upgrade"))) {
        r->upgrade = r->upgrade || has_token(value, HD_LIT("websocket"), true);
    } else if (hd_slice_ieq(name, HD_LIT("Connection"))) {
        r->connection = r->connection || has_token(value, HD_LIT("upgrade"), true);
    } else if (hd_slice_ieq(name, HD_LIT("Sec-WebSocket-Key"))) {
        r->key_twice = r->key_twice || r->key.p != NULL;
        r->key = value;
    } else if (hd_slice_ieq(name, HD_LIT("Sec-WebSocket-Version"))) {
        r->version = value;
    } else if (hd_slice_ieq(name, HD_LIT("Sec-WebSocket-Protocol"))) {
        r->sip = r->sip || has_token(value, HD_LIT("sip"), false);
    } else if (hd_slice_ieq(name, HD_LIT("Origin"))) {
        r->origin = value;
    }
    return true;
}

/* Octets of the head with the empty line that ends it; 0: it is not whole. */
static size_t
head_len(struct hd_slice stream)
{
    const char *end = stream.n >= 4 ? memmem(stream.p, stream.n, "\r\n\r\n", 4) : NULL;

    return end ? (size_t)(end - stream.p) + 4 : 0;
}

/* Whether what has come can be the beginning of a request at all. */
static bool
looks_like_http(struct hd_slice stream)
{
    for (size_t i = 0; i < stream.n && i < 16; i++) {
        char c = stream.p[i];

        if (c == ' ')
            return i > 0;
        if (c < 'A' || c > 'Z')
            return false;
    }
    return stream.n < 16;
}

/* base64 of 16 octets (RFC 6455 section 4.1): 22 characters and "==". */
static bool
key_ok(struct hd_slice key)
{
    unsigned char octets[18];
    char text[25];

    if (key.n != 24)
        return false;
    memcpy(text, key.p, 24);
    text[24] = '\0';
    return memcmp(text + 22, "==", 2) == 0 &&
           EVP_DecodeBlock(octets, (const unsigned char *)text, 24) == 18;
}

static void
write_accept(struct hd_slice key, char ret[29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char octets[24 + sizeof(guid) - 1], hash[SHA_DIGEST_LENGTH];

    memcpy(octets, key.p, 24);
    memcpy(octets + 24, guid, sizeof(guid) - 1);
    (void)SHA1(octets, sizeof(octets), hash);
    (void)EVP_EncodeBlock((unsigned char *)ret, hash, sizeof(hash));
}

static enum hd_err
refuse(const char *status, const char *headers, const char *words, char answer[NET_WS_ANSWER_MAX],
       size_t *answer_n)
{
    int n = snprintf(answer, NET_WS_ANSWER_MAX,
                     "HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Type: text/plain\r\n"
                     "Content-Length: %zu\r\n\r\n%s\n",
                     status, headers, strlen(words) + 1, words);

    HD_ASSERT(n > 0 && n < NET_WS_ANSWER_MAX);
    *answer_n = (size_t)n;
    return HD_EDENIED;
}

static bool
origin_ok(struct hd_slice origin, const struct hd_slice *origins, size_t n_origins)
{
    for (size_t i = 0; i < n_origins; i++)
        if (hd_slice_ieq(origins[i], origin))
            return true;
    /* What is no browser sends none (RFC 6455 section 10.2), and could send any. */
    return n_origins == 0 || origin.p == NULL;
}

/* Judges what was read: NULL when it becomes a WebSocket. */
static enum hd_err
judge(const struct request *r, const struct hd_slice *origins, size_t n_origins,
      char answer[NET_WS_ANSWER_MAX], size_t *answer_n)
{
    if (!r->host || r->key_twice)
        return refuse("400 Bad Request", "", "Host or Sec-WebSocket-Key is missing or there twice.",
                      answer, answer_n);
    if (!r->upgrade || !r->connection)
        return refuse("426 Upgrade Required", "Upgrade: websocket\r\n",
                      "This is SIP over WebSocket (RFC 7118): connect with a SIP program.", answer,
                      answer_n);
    if (!hd_slice_eq(r->version, HD_LIT("13")))
        return refuse("426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                      "The version of WebSocket here is 13.", answer, answer_n);
    if (!key_ok(r->key))
        return refuse("400 Bad Request", "", "Sec-WebSocket-Key is not 16 octets in base64.",
                      answer, answer_n);
    if (!r->sip)
        return refuse("400 Bad Request", "", "Sec-WebSocket-Protocol has to offer sip (RFC 7118).",
                      answer, answer_n);
    if (!origin_ok(r->origin, origins, n_origins))
        return refuse("403 Forbidden", "", "Pages of this origin may not connect here.", answer,
                      answer_n);
    return HD_OK;
}

/* Request line = method SP request-target SP HTTP-version */
static enum hd_err
judge_line(struct hd_slice line, char answer[NET_WS_ANSWER_MAX], size_t *answer_n)
{
    struct hd_slice rest = line, method = hd_slice_cut(&rest, ' '), path = hd_slice_cut(&rest, ' ');

    if (path.n == 0 || !hd_slice_starts(rest, HD_LIT("HTTP/")))
        return refuse("400 Bad Request", "", "That is no request of HTTP.", answer, answer_n);
    if (!hd_slice_eq(rest, HD_LIT("HTTP/1.1")))
        return refuse("505 HTTP Version Not Supported", "", "The version of HTTP here is 1.1.",
                      answer, answer_n);
    if (!hd_slice_eq(method, HD_LIT("GET")))
        return refuse("405 Method Not Allowed", "Allow: GET\r\n", "Only GET with an upgrade.",
                      answer, answer_n);
    return HD_OK;
}

static enum hd_err
read_head(struct hd_slice head, struct request *r, char answer[NET_WS_ANSWER_MAX], size_t *answer_n)
{
    struct hd_slice line = hd_slice_cut(&head, '\n');
    enum hd_err err;

    line.n -= line.n > 0 && line.p[line.n - 1] == '\r';
    err = judge_line(line, answer, answer_n);
    while (!err && head.n > 0) {
        line = hd_slice_cut(&head, '\n');
        if (line.n == 0 || line.p[line.n - 1] != '\r')
            return refuse("400 Bad Request", "", "A line has no CR before its LF.", answer,
                          answer_n);
        line.n--;
        if (line.n > 0 && !read_header(r, line))
            return refuse("400 Bad Request", "", "A header field cannot be read.", answer,
                          answer_n);
    }
    return err;
}

enum hd_err
net_ws_upgrade(struct hd_slice stream, const struct hd_slice *origins, size_t n_origins,
               size_t *ret_len, char ret_answer[NET_WS_ANSWER_MAX], size_t *ret_answer_n)
{
    size_t n = head_len(stream);
    struct request r = { 0 };
    char accept[29];
    enum hd_err err;

    *ret_len = n;
    if (n == 0 && stream.n <= NET_WS_HEAD_MAX && looks_like_http(stream))
        return HD_EAGAIN;
    if (n == 0 && stream.n <= NET_WS_HEAD_MAX)
        return refuse("400 Bad Request", "", "That is no request of HTTP.", ret_answer,
                      ret_answer_n);
    if (n == 0 || n > NET_WS_HEAD_MAX)
        return refuse("431 Request Header Fields Too Large", "", "The head is above 8192 octets.",
                      ret_answer, ret_answer_n);
    err = read_head(hd_slice(stream.p, n), &r, ret_answer, ret_answer_n);
    if (!err)
        err = judge(&r, origins, n_origins, ret_answer, ret_answer_n);
    if (err)
        return err;
    write_accept(r.key, accept);
    *ret_answer_n = (size_t)snprintf(ret_answer, NET_WS_ANSWER_MAX,
                                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                                     "Sec-WebSocket-Protocol: sip\r\n\r\n",
                                     accept);
    return HD_OK;
}

/* --- frames -------------------------------------------------------------------------------------
 */

static bool
is_control(unsigned opcode)
{
    return (opcode & 8) != 0;
}

static bool
first_ok(unsigned char first)
{
    unsigned opcode = first & 0x0f;

    if (first & 0x70) /* no extension was agreed on */
        return false;
    if (is_control(opcode))
        return (first & 0x80) && opcode <= NET_WS_PONG;
    return opcode <= NET_WS_BINARY;
}

/* The length in its shortest form (section 5.2). */
static enum hd_err
read_len(const unsigned char *p, size_t n, size_t *at, uint64_t *ret_len)
{
    uint64_t len = p[1] & 0x7f;
    size_t more = len == 126 ? 2 : len == 127 ? 8 : 0;

    if (more > 0 && is_control(p[0] & 0x0f))
        return HD_ESYNTAX;
    if (n < 2 + more)
        return HD_EAGAIN;
    if (more > 0)
        len = 0;
    for (size_t i = 0; i < more; i++)
        len = len << 8 | p[2 + i];
    if ((more == 2 && len < 126) || (more == 8 && (len <= UINT16_MAX || len >> 63)))
        return HD_ESYNTAX;
    *at = 2 + more;
    *ret_len = len;
    return HD_OK;
}

enum hd_err
net_ws_frame_read(struct hd_slice octets, size_t max, struct net_ws_frame *ret_frame)
{
    const unsigned char *p = (const unsigned char *)octets.p;
    uint64_t len = 0;
    size_t at = 0;
    enum hd_err err;

    if (octets.n > 0 && !first_ok(p[0]))
        return HD_ESYNTAX;
    if (octets.n < 2)
        return HD_EAGAIN;
    if (!(p[1] & 0x80)) /* section 5.1: a client masks */
        return HD_ESYNTAX;
    err = read_len(p, octets.n, &at, &len);
    if (!err && len > max)
        err = HD_ERANGE;
    if (!err && octets.n < at + 4)
        err = HD_EAGAIN;
    if (err)
        return err;
    *ret_frame = (struct net_ws_frame){ .fin = (p[0] & 0x80) != 0,
                                        .opcode = (enum net_ws_opcode)(p[0] & 0x0f),
                                        .head = at + 4,
                                        .n = (size_t)len };
    memcpy(ret_frame->mask, p + at, 4);
    return HD_OK;
}

void
net_ws_mask(char *p, size_t n, const uint8_t mask[4])
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(p[i] ^ (char)mask[i & 3]);
}

size_t
net_ws_frame_head(enum net_ws_opcode opcode, size_t n, char ret[NET_WS_FRAME_HEAD])
{
    unsigned more = n < 126 ? 0 : n <= UINT16_MAX ? 2 : 8;

    ret[0] = (char)(0x80 | opcode);
    ret[1] = (char)(more == 0 ? n : more == 2 ? 126 : 127);
    for (unsigned i = 0; i < more; i++)
        ret[2 + i] = (char)((uint64_t)n >> 8 * (more - 1 - i));
    return 2 + more;
}

bool
net_ws_is_utf8(struct hd_slice octets)
{
    const unsigned char *p = (const unsigned char *)octets.p;
    size_t i = 0;

    while (i < octets.n) {
        unsigned char c = p[i];
        unsigned more = c < 0x80   ? 0
                        : c < 0xc2 ? 9
                        : c < 0xe0 ? 1
                        : c < 0xf0 ? 2
                        : c < 0xf5 ? 3
                                   : 9;
        /* The second octet has the bounds that keep out what is too long, surrogates and what lies
         * beyond U+10FFFF. */
        unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

        if (more > octets.n - 1 - i)
            return false;
        for (unsigned k = 1; k <= more; k++) {
            if (p[i + k] < low || p[i + k] > high)
                return false;
            low = 0x80;
            high = 0xbf;
        }
        i += 1 + more;
    }
    return true;
}

bool
net_ws_close_ok(struct hd_slice payload)
{
    const unsigned char *p = (const unsigned char *)payload.p;
    unsigned code;

    if (payload.n == 0)
        return true;
    if (payload.n == 1)
        return false;
    code = (unsigned)p[0] << 8 | p[1];
    if (code < 1000 || (code >= 1004 && code <= 1006) || (code >= 1015 && code < 3000) ||
        code >= 5000)
        return false;
    return net_ws_is_utf8(hd_slice_from(payload, 2));
}
