/* web.c - see web.h.
 *
 * A frame that is a whole message, as nearly all are, is unmasked and handed on where it was read;
 * only fragments are gathered.  Control frames may come between fragments.
 *
 *   REQUEST -> FRAMES    101 was sent; messages may come and go
 *   any     -> closing   a close frame came or went, or the request was refused (net_conn_close)
 *
 * Invariants: what is gathered is at most the largest message; opcode is that of the message whose
 * fragments are gathered, CONTINUATION when there is none; a close frame goes out once. */
#include "net/web.h"

#include <stdlib.h>
#include <string.h>

#include "net/stack.h"
#include "net/ws.h"

#define WEB_MAGIC 0x77656273u
/* A message is a head and a body: heads are far below this (sip/msg.h has the real bounds). */
#define HEAD_MARGIN (64u << 10)

struct net_web {
    unsigned magic;
    bool upgraded;
    bool refused; /* it never became a WebSocket: no close frame */
    uint16_t close_code;
    enum net_ws_opcode opcode;
    char *message; /* fragments so far */
    size_t message_n, message_cap;
};

enum hd_err
net_web_new(struct net_web **ret_web)
{
    struct net_web *web = calloc(1, sizeof(*web));

    if (!web)
        return HD_ENOMEM;
    web->magic = WEB_MAGIC;
    web->close_code = NET_WS_CODE_AWAY;
    *ret_web = web;
    return HD_OK;
}

void
net_web_free(struct net_web *web)
{
    if (!web)
        return;
    HD_ASSERT_OBJ(web, WEB_MAGIC);
    free(web->message);
    web->magic = 0;
    free(web);
}

bool
net_web_holds(const struct net_web *web)
{
    return web->opcode != NET_WS_CONTINUATION;
}

static size_t
most(const struct net_conn *conn)
{
    return conn->net->params.max_body + HEAD_MARGIN;
}

/* --- the request --------------------------------------------------------------------------------
 */

static void
count_refused(struct net_conn *conn)
{
    conn->web->refused = true;
    net_count(&conn->net->counters.not_upgraded, 1);
}

void
net_web_late(struct net_conn *conn)
{
    count_refused(conn);
}

static size_t
take_request(struct net_conn *conn, const char *p, size_t n)
{
    const struct net_listener *listener = &conn->net->listeners[conn->listener];
    char answer[NET_WS_ANSWER_MAX];
    size_t len = 0, answer_n = 0;
    enum hd_err err = net_ws_upgrade(hd_slice(p, n), listener->origins, listener->n_origins, &len,
                                     answer, &answer_n);

    if (err == HD_EAGAIN)
        return 0;
    if (net_stack_put_octets(conn, hd_slice(answer, answer_n))) {
        net_conn_drop(conn, HD_ENOMEM);
        return 0;
    }
    if (err) {
        count_refused(conn);
        net_conn_close(conn);
        return 0;
    }
    conn->web->upgraded = true;
    net_count(&conn->net->counters.upgraded, 1);
    net_conn_ready(conn);
    return len;
}

/* --- frames out ---------------------------------------------------------------------------------
 */

/* Head and payload leave together where TLS would make two records of them. */
static enum hd_err
put_frame(struct net_conn *conn, enum net_ws_opcode opcode, struct hd_slice payload)
{
    char head[NET_WS_FRAME_HEAD], *whole = conn->net->tcp.framed;
    size_t head_n = net_ws_frame_head(opcode, payload.n, head);
    enum hd_err err;

    if (head_n + payload.n <= NET_CLEAR) {
        memcpy(whole, head, head_n);
        if (payload.n > 0)
            memcpy(whole + head_n, payload.p, payload.n);
        return net_stack_put_octets(conn, hd_slice(whole, head_n + payload.n));
    }
    err = net_stack_put_octets(conn, hd_slice(head, head_n));
    return err ? err : net_stack_put_octets(conn, payload);
}

enum hd_err
net_web_put(struct net_conn *conn, struct hd_slice message)
{
    if (!conn->web->upgraded)
        return HD_EIO;
    return put_frame(conn, net_ws_is_utf8(message) ? NET_WS_TEXT : NET_WS_BINARY, message);
}

void
net_web_end(struct net_conn *conn)
{
    const struct net_web *web = conn->web;
    const char code[2] = { (char)(web->close_code >> 8), (char)web->close_code };

    if (web->upgraded && !web->refused)
        (void)!put_frame(conn, NET_WS_CLOSE, hd_slice(code, sizeof(code)));
}

/* --- frames in ----------------------------------------------------------------------------------
 */

static void
fail(struct net_conn *conn, uint16_t code)
{
    conn->web->close_code = code;
    net_conn_refuse(conn, false, (struct hd_slice){ 0 });
}

static bool
is_line_ends(struct hd_slice message)
{
    for (size_t i = 0; i < message.n; i++)
        if (message.p[i] != '\r' && message.p[i] != '\n')
            return false;
    return true;
}

/* A whole message: of SIP, or the keep-alive that some clients have from other streams (RFC 5626
 * section 4.4.1). */
static void
deliver(struct net_conn *conn, enum net_ws_opcode opcode, struct hd_slice message)
{
    const struct net_params *params = &conn->net->params;
    const struct hd_flow flow = net_conn_flow(conn);

    if (opcode == NET_WS_TEXT && !net_ws_is_utf8(message))
        fail(conn, NET_WS_CODE_NOT_UTF8);
    else if (!is_line_ends(message))
        params->on.packet(params->on.context, &flow, message);
    else if (message.n >= 4)
        net_intake_pong(conn);
}

static bool
gather(struct net_conn *conn, struct hd_slice payload)
{
    struct net_web *web = conn->web;

    if (payload.n > most(conn) - web->message_n) {
        fail(conn, NET_WS_CODE_TOO_LARGE);
        return false;
    }
    if (payload.n > web->message_cap - web->message_n) {
        size_t cap = web->message_cap ? web->message_cap : 1024;
        char *message;

        while (cap < web->message_n + payload.n)
            cap *= 2;
        message = realloc(web->message, cap);
        if (!message) {
            net_conn_drop(conn, HD_ENOMEM);
            return false;
        }
        web->message = message;
        web->message_cap = cap;
    }
    if (payload.n > 0)
        memcpy(web->message + web->message_n, payload.p, payload.n);
    web->message_n += payload.n;
    return true;
}

/* The memory of a fragmented message is not kept for the next. */
static void
deliver_gathered(struct net_conn *conn)
{
    struct net_web *web = conn->web;
    struct hd_slice message = hd_slice(web->message, web->message_n);
    enum net_ws_opcode opcode = web->opcode;
    char *memory = web->message;

    web->message = NULL;
    web->message_n = web->message_cap = 0;
    web->opcode = NET_WS_CONTINUATION;
    deliver(conn, opcode, message);
    free(memory);
}

static void
take_data(struct net_conn *conn, const struct net_ws_frame *frame, struct hd_slice payload)
{
    struct net_web *web = conn->web;
    bool goes_on = frame->opcode == NET_WS_CONTINUATION;

    /* RFC 6455 section 5.4: fragments of two messages do not mix. */
    if (goes_on != (web->opcode != NET_WS_CONTINUATION)) {
        fail(conn, NET_WS_CODE_PROTOCOL);
        return;
    }
    if (!goes_on && frame->fin) {
        deliver(conn, frame->opcode, payload);
        return;
    }
    if (!goes_on)
        web->opcode = frame->opcode;
    if (gather(conn, payload) && frame->fin)
        deliver_gathered(conn);
}

static void
take_close(struct net_conn *conn, struct hd_slice payload)
{
    if (!net_ws_close_ok(payload)) {
        fail(conn, NET_WS_CODE_PROTOCOL);
        return;
    }
    conn->web->close_code =
        payload.n == 0
            ? NET_WS_CODE_NORMAL
            : (uint16_t)((unsigned)(unsigned char)payload.p[0] << 8 | (unsigned char)payload.p[1]);
    net_conn_close(conn);
}

static void
answer_ping(struct net_conn *conn, struct hd_slice payload)
{
    net_count(&conn->net->counters.pings, 1);
    if (net_conn_waiting(conn) > conn->net->params.max_queued)
        net_conn_drop(conn, HD_EFULL); /* he asks and does not read */
    else if (put_frame(conn, NET_WS_PONG, payload) == HD_ENOMEM)
        net_conn_drop(conn, HD_ENOMEM);
}

static void
take_payload(struct net_conn *conn, const struct net_ws_frame *frame, struct hd_slice payload)
{
    switch (frame->opcode) {
    case NET_WS_CONTINUATION:
    case NET_WS_TEXT:
    case NET_WS_BINARY:
        take_data(conn, frame, payload);
        break;
    case NET_WS_CLOSE:
        take_close(conn, payload);
        break;
    case NET_WS_PING:
        answer_ping(conn, payload);
        break;
    case NET_WS_PONG:
        break;
    }
}

/* Returns the octets of the frame; 0: it is not whole, or the connection is closed. */
static size_t
take_frame(struct net_conn *conn, char *p, size_t n)
{
    struct net_ws_frame frame;
    enum hd_err err = net_ws_frame_read(hd_slice(p, n), most(conn), &frame);

    if (err == HD_ESYNTAX || err == HD_ERANGE)
        fail(conn, err == HD_ERANGE ? NET_WS_CODE_TOO_LARGE : NET_WS_CODE_PROTOCOL);
    if (err || n - frame.head < frame.n)
        return 0;
    net_ws_mask(p + frame.head, frame.n, frame.mask);
    take_payload(conn, &frame, hd_slice(p + frame.head, frame.n));
    return frame.head + frame.n;
}

size_t
net_web_take(struct net_conn *conn, char *p, size_t n)
{
    size_t at = 0, done;

    HD_ASSERT_OBJ(conn->web, WEB_MAGIC);
    while (at < n && conn->state == NET_CONN_OPEN) {
        done = conn->web->upgraded ? take_frame(conn, p + at, n - at)
                                   : take_request(conn, p + at, n - at);
        if (done == 0)
            break;
        at += done;
    }
    return at;
}
