/* stack.c - a connection's octets on their way up to messages and down again.
 *
 * Up: what was read is opened by TLS into the shard's buffer and framed there, by SIP or by
 * WebSocket.  Down: a message, in a frame of its own on a WebSocket, is sealed into the octets that
 * wait for the socket; before the handshake is done it waits in clear, in memory.
 *
 * A handshake costs a thousand times a message, so a turn has at most a few of them: whoever floods
 * a shard with beginnings waits behind the messages of the others.  Invariant: nothing that a peer
 * sends while he has not shown that he speaks the protocol makes more than the memory of one
 * connection, and his time is bounded by handshake_ms. */
#include "net/stack.h"

#include <stdlib.h>

#include "net/secure.h"
#include "net/web.h"

#define SHAKES_PER_TURN 8

static bool
secure_out(void *context, const char *p, size_t n)
{
    return net_conn_append(context, p, n);
}

/* Sessions are for the same peer by the same certificates and rules. */
static uint64_t
session_hash(const struct net_conn *conn)
{
    const struct net_shard *net = conn->net;
    const char *name = net_names_text(&net->names, conn->host); /* numbers are given again */
    uint64_t hash = hd_hash_mix(conn->hash, name ? hd_hash(&net->tcp.key, hd_slice_str(name)) : 0);

    return hd_hash_mix(hash, (uint64_t)(uintptr_t)net->tls);
}

static enum hd_err
connect_secure(struct net_conn *conn)
{
    struct net_shard *net = conn->net;

    if (!net->sessions) /* without room for them they are just not kept */
        net->sessions = calloc(1, sizeof(*net->sessions));
    conn->hash = hd_addr_hash(&net->tcp.key, &conn->remote, true);
    return net_secure_connect(
        net->tls,
        &(struct net_secure_peer_params){ .remote = &conn->remote,
                                          .name = net_names_text(&net->names, conn->host),
                                          .sessions = net->sessions,
                                          .session_hash = session_hash(conn) },
        secure_out, conn, &conn->secure);
}

enum hd_err
net_stack_new(struct net_conn *conn)
{
    struct net_shard *net = conn->net;

    enum hd_err err;

    switch ((enum hd_transport)conn->transport) {
    case HD_TCP:
        conn->ready = true;
        return HD_OK;
    case HD_WS:
        return conn->accepted ? net_web_new(&conn->web) : HD_ENOTSUP;
    case HD_WSS:
        err = conn->accepted ? net_web_new(&conn->web) : HD_ENOTSUP;
        if (!err)
            err = net_secure_accept(net->tls, conn->listener, secure_out, conn, &conn->secure);
        return err;
    case HD_TLS:
        return conn->accepted
                   ? net_secure_accept(net->tls, conn->listener, secure_out, conn, &conn->secure)
                   : connect_secure(conn);
    case HD_UDP:
    case HD_HTTP:
        break;
    }
    return HD_ENOTSUP;
}

void
net_stack_free(struct net_conn *conn)
{
    net_secure_free(conn->secure);
    net_web_free(conn->web);
    conn->secure = NULL;
    conn->web = NULL;
}

/* --- up -----------------------------------------------------------------------------------------
 */

/* One line for many: whoever is not understood may come again at once. */
static void
tell_insecure(struct net_conn *conn, const char *why)
{
    struct net_shard *net = conn->net;

    net_count(&net->counters.unsecured, 1);
    if (hd_log_allow(&net->tcp.secure_log, net->now_ms))
        HD_LOG(HD_WARN, "TLS failed", hd_f_addr("remote", &conn->remote),
               hd_f_addr("local", &conn->local), hd_f_str("why", why),
               hd_f_u64("held_back", net->tcp.secure_log.held));
}

static void
secured(struct net_conn *conn)
{
    struct net_shard *net = conn->net;

    net_count(&net->counters.secured, 1);
    if (net_secure_was_resumed(conn->secure))
        net_count(&net->counters.resumed, 1);
    if (net_secure_flush(conn->secure))
        net_conn_drop(conn, HD_EIO);
    else if (!conn->web)
        net_conn_ready(conn);
}

/* Reads on until all that came is used up; false when the connection is not to be read any more. */
static bool
secure_read(struct net_conn *conn)
{
    struct net_tcp *tcp = &conn->net->tcp;
    bool was_open = net_secure_is_open(conn->secure);
    size_t n = 0;

    switch (net_secure_read(conn->secure, tcp->clear, NET_CLEAR, &n)) {
    case NET_SECURE_MORE:
        return false;
    case NET_SECURE_OPENED:
        secured(conn);
        break;
    case NET_SECURE_OCTETS:
        net_intake_take(conn, tcp->clear, n);
        break;
    case NET_SECURE_END:
        net_conn_close(conn);
        break;
    case NET_SECURE_BROKEN:
        if (!was_open)
            tell_insecure(conn, net_secure_problem(conn->secure));
        else
            net_count(&conn->net->counters.frames_bad, 1);
        net_conn_close(conn); /* behind the alert */
        break;
    }
    return conn->state == NET_CONN_OPEN;
}

/* A part of a record is as good as a part of a message: it has to become whole in time. */
static void
secure_take(struct net_conn *conn, const char *p, size_t n)
{
    net_secure_feed(conn->secure, p, n);
    while (secure_read(conn))
        continue;
    if (conn->state == NET_CONN_OPEN && conn->ready && conn->begun_ms == 0 &&
        net_secure_holds(conn->secure)) {
        conn->begun_ms = conn->net->now_ms;
        net_conn_arm(conn);
    }
}

void
net_stack_begin(struct net_conn *conn)
{
    if (conn->secure && !conn->accepted)
        secure_take(conn, "", 0);
}

void
net_stack_take(struct net_conn *conn, char *p, size_t n)
{
    if (conn->secure)
        secure_take(conn, p, n);
    else
        net_intake_take(conn, p, n);
}

bool
net_stack_may_read(struct net_conn *conn)
{
    struct net_tcp *tcp = &conn->net->tcp;

    if (!conn->secure || net_secure_is_open(conn->secure))
        return true;
    if (tcp->shakes >= SHAKES_PER_TURN)
        return false; /* the loop tells again that it is readable */
    tcp->shakes++;
    return true;
}

void
net_stack_late(struct net_conn *conn)
{
    if (conn->secure && !net_secure_is_open(conn->secure))
        tell_insecure(conn, "the handshake takes too long");
    else if (conn->web)
        net_web_late(conn);
}

/* --- down ---------------------------------------------------------------------------------------
 */

enum hd_err
net_stack_put_octets(struct net_conn *conn, struct hd_slice octets)
{
    enum hd_err err;

    if (!conn->secure)
        return net_conn_append(conn, octets.p, octets.n) ? HD_OK : HD_ENOMEM;
    err = net_secure_write(conn->secure, octets);
    if (err == HD_EIO)
        net_conn_drop(conn, HD_EIO); /* half a record has no meaning */
    return err;
}

enum hd_err
net_stack_put(struct net_conn *conn, struct hd_slice message)
{
    if (conn->parted)
        return HD_EIO;
    return conn->web ? net_web_put(conn, message) : net_stack_put_octets(conn, message);
}

size_t
net_stack_waiting(const struct net_conn *conn)
{
    return conn->secure ? net_secure_waiting(conn->secure) : 0;
}

void
net_stack_end(struct net_conn *conn)
{
    if (conn->web)
        net_web_end(conn);
    if (conn->secure)
        net_secure_end(conn->secure);
}
