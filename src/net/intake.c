/* intake.c - from the octets of a stream to whole messages.
 * A message is framed where it was read; only what is not whole is held, so an idle connection
 * holds nothing.
 *
 * Invariant: in[] begins with a message, or with line ends between two. */
#include "net/conn.h"

#include <stdlib.h>
#include <string.h>

#include "net/stack.h"
#include "net/web.h"

/* A head and a body are bounded by the framer; this only bounds one that never decides. */
#define HELD_MARGIN (256u << 10)

/* Only line ends: the beginning of a keep-alive, which may take its time. */
static bool
is_line_ends(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != '\r' && p[i] != '\n')
            return false;
    return true;
}

void
net_intake_pong(struct net_conn *conn)
{
    net_count(&conn->net->counters.pings, 1);
    /* Too much waits: he asks and does not read. */
    if (net_conn_queue(conn, NULL, HD_LIT("\r\n"), 0))
        net_conn_drop(conn, HD_EFULL);
}

void
net_conn_refuse(struct net_conn *conn, bool with_head, struct hd_slice head)
{
    struct net_shard *net = conn->net;
    struct hd_flow flow = net_conn_flow(conn);

    net_count(&net->counters.frames_bad, 1);
    if (with_head && net->params.on.too_large)
        net->params.on.too_large(net->params.on.context, &flow, head);
    net_conn_close(conn);
}

/* Hands on what is whole in the stream; returns how many octets are done with. */
static size_t
conn_frames(struct net_conn *conn, struct hd_slice stream)
{
    const struct net_params *params = &conn->net->params;
    const struct hd_flow flow = net_conn_flow(conn);
    size_t at = 0;

    while (at < stream.n && conn->state == NET_CONN_OPEN) {
        struct hd_slice rest = hd_slice_from(stream, at);
        size_t len = 0;
        switch (params->on.frame(rest, params->max_body, &len)) {
        case NET_FRAME_MORE:
            if (rest.n > params->max_body + HELD_MARGIN)
                net_conn_refuse(conn, false, rest);
            return at;
        case NET_FRAME_MESSAGE:
            HD_ASSERT(len > 0 && len <= rest.n);
            params->on.packet(params->on.context, &flow, hd_slice(rest.p, len));
            break;
        case NET_FRAME_PING:
            HD_ASSERT(len > 0 && len <= rest.n);
            net_intake_pong(conn);
            break;
        case NET_FRAME_SKIP:
            HD_ASSERT(len > 0 && len <= rest.n);
            break;
        case NET_FRAME_TOO_LARGE:
            HD_ASSERT(len <= rest.n);
            net_conn_refuse(conn, len > 0, hd_slice(rest.p, len));
            return at;
        case NET_FRAME_BAD:
            net_conn_refuse(conn, false, rest);
            return at;
        }
        at += len;
    }
    return at;
}

static bool
conn_hold(struct net_conn *conn, const char *p, size_t n)
{
    if (n > conn->in_cap - conn->in_n) {
        size_t cap = conn->in_cap ? conn->in_cap : 1024;
        char *in;
        while (cap < conn->in_n + n)
            cap *= 2;
        in = realloc(conn->in, cap);
        if (!in)
            return false;
        conn->in = in;
        conn->in_cap = cap;
    }
    memcpy(conn->in + conn->in_n, p, n);
    conn->in_n += n;
    return true;
}

/* The first octets of what is held are done with. */
static void
conn_let_go(struct net_conn *conn, size_t n)
{
    conn->in_n -= n;
    if (n > 0 && conn->in_n > 0)
        memmove(conn->in, conn->in + n, conn->in_n);
    if (conn->in_n == 0) {
        free(conn->in);
        conn->in = NULL;
        conn->in_cap = 0;
    }
}

static size_t
take_whole(struct net_conn *conn, char *p, size_t n)
{
    return conn->web ? net_web_take(conn, p, n) : conn_frames(conn, hd_slice(p, n));
}

/* A message that is not whole has its time from its first octet on. */
static void
set_begun(struct net_conn *conn, bool begins_anew)
{
    if (conn->web && net_web_holds(conn->web))
        begins_anew = false; /* fragments came, the rest has not */
    else if (is_line_ends(conn->in, conn->in_n)) {
        conn->begun_ms = 0;
        return;
    }
    if (conn->begun_ms == 0 || begins_anew)
        conn->begun_ms = conn->net->now_ms;
}

void
net_intake_take(struct net_conn *conn, char *p, size_t n)
{
    bool direct = conn->in_n == 0;
    size_t done;

    if (direct) {
        done = take_whole(conn, p, n);
    } else if (conn_hold(conn, p, n)) {
        done = take_whole(conn, conn->in, conn->in_n);
    } else {
        net_conn_drop(conn, HD_ENOMEM);
        return;
    }
    if (conn->state != NET_CONN_OPEN)
        return;
    if (!direct)
        conn_let_go(conn, done);
    else if (done < n && !conn_hold(conn, p + done, n - done)) {
        net_conn_drop(conn, HD_ENOMEM);
        return;
    }
    set_begun(conn, done > 0);
    net_conn_arm(conn);
}
