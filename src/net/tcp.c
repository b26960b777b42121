/* tcp.c - the streams of a shard: listening, connecting, and finding the connection for a message.
 * A message for an address goes down any open connection to it, so a peer that connected to us is
 * answered on his own connection (RFC 3261 section 18.2.2), and many messages to a peer that is
 * being connected wait together.
 *
 * Invariant: live counts the connections that are not GONE and stays at or below max_connections.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/secure.h"
#include "net/sock.h"

#define ACCEPTS_AT_ONCE 64
#define REACCEPT_MS 100

/* --- connecting ----------------------------------------------------------------------------- */

/* A socket whose connection to remote is under way, or -1. */
static int
start_connect(const struct hd_addr *local, const struct hd_addr *remote)
{
    union net_sockaddr name;
    socklen_t name_len = net_sockaddr_from(remote, &name);
    int fd, one = 1;

    if (name_len == 0)
        return -1;
    fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    net_sock_tune_stream(fd);
    if (local->family == remote->family && !hd_addr_is_any(local)) {
        /* From the address that the peer knows us by; should it be gone, from any. */
        struct hd_addr from = *local;
        union net_sockaddr from_name;
        socklen_t from_len;
        from.port = 0;
        from_len = net_sockaddr_from(&from, &from_name);
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        (void)bind(fd, &from_name.any, from_len);
    }
    if (connect(fd, &name.any, name_len) == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

static enum hd_err
conn_connect(struct net_shard *net, const struct hd_flow *flow, struct net_conn **ret_conn)
{
    int fd;

    /* RFC 7118: nobody is connected to by WebSocket. */
    if (flow->transport != HD_TCP && (flow->transport != HD_TLS || !net->tls))
        return HD_ENOTSUP;
    if (net->tcp.live >= net->params.max_connections)
        return HD_EFULL;
    fd = start_connect(&flow->local, &flow->remote);
    if (fd < 0)
        return HD_EIO;
    return net_conn_new(net, fd, (enum hd_transport)flow->transport, flow->listener, &flow->remote,
                        flow->transport == HD_TLS ? flow->host : 0, NET_CONN_CONNECTING, ret_conn);
}

/* --- what the shard calls ------------------------------------------------------------------- */

/* RFC 5922 section 7.3, RFC 5923 section 8.1: a connection with TLS serves another message only
 * when its peer has shown that he is whom that one is for.  Several domains may live at one
 * address. */
static bool
conn_reaches(const struct net_conn *conn, uint32_t host)
{
    const char *name = net_names_text(&conn->net->names, host);

    if (!conn->secure || conn->host == host || net_secure_trusts_all(conn->secure))
        return true;
    if (!name)
        return conn->accepted;
    return conn->state == NET_CONN_OPEN &&
           net_identity_is(net_secure_peer(conn->secure), hd_slice_str(name));
}

/* A connection to an address, an open one if there is; NULL: none. */
static struct net_conn *
find_remote(struct net_shard *net, uint8_t transport, const struct hd_addr *remote, uint32_t host)
{
    struct net_conn *found = NULL;
    struct hd_map_walk walk;
    uint64_t hash = hd_addr_hash(&net->tcp.key, remote, true);

    for (uint32_t place = hd_map_first(&walk, &net->tcp.by_remote, hash); place != HD_MAP_NONE;
         place = hd_map_more(&walk)) {
        struct net_conn *conn = hd_table_at(&net->tcp.conns, place);
        if (!conn || conn->transport != transport || !hd_addr_eq(&conn->remote, remote) ||
            !conn_reaches(conn, host))
            continue;
        if (conn->state == NET_CONN_OPEN)
            return conn;
        if (conn->state == NET_CONN_CONNECTING)
            found = conn;
    }
    return found;
}

static enum hd_err
choose_conn(struct net_shard *net, const struct hd_flow *flow, struct net_conn **ret_conn)
{
    struct net_conn *conn = flow->conn != 0
                                ? net_conn_find(net, flow->conn)
                                : find_remote(net, flow->transport, &flow->remote, flow->host);

    if (!conn && flow->conn == 0)
        return conn_connect(net, flow, ret_conn);
    if (!conn || conn->shut || conn->parted)
        return HD_ENOMATCH;
    *ret_conn = conn;
    return HD_OK;
}

void
net_tcp_commit(struct net_shard *net, const struct hd_flow *flow, struct hd_slice octets,
               uint64_t owner)
{
    struct net_conn *conn = NULL;
    enum hd_err err = choose_conn(net, flow, &conn);

    if (!err)
        err = net_conn_queue(conn, flow, octets, owner);
    if (err)
        net_fail(net, owner, flow, err);
}

void
net_tcp_close(struct net_shard *net, uint64_t id)
{
    struct net_conn *conn = net_conn_find(net, id);

    if (conn)
        net_conn_close(conn);
}

struct hd_slice
net_tcp_peer(struct net_shard *net, uint64_t id)
{
    const struct net_conn *conn = net_conn_find(net, id);

    return conn && conn->secure ? net_secure_peer(conn->secure) : (struct hd_slice){ 0 };
}

void
net_tcp_tell(struct net_shard *net)
{
    struct net_conn *gone = net->tcp.gone, *next;

    net->tcp.gone = NULL; /* those that go while the owner is told wait for the next turn */
    for (; gone; gone = next) {
        next = gone->next_gone;
        if (gone->was_open && net->params.on.closed)
            net->params.on.closed(net->params.on.context, gone->id);
        gone->told = true;
        net_conn_release(gone);
    }
}

static void
set_read_size(struct net_tcp *tcp)
{
    size_t size = tcp->reads > 0 ? NET_READS / tcp->reads : NET_SCRATCH;

    tcp->read_size = size > NET_SCRATCH      ? NET_SCRATCH
                     : size < NET_READ_LEAST ? NET_READ_LEAST
                                             : size;
    tcp->reads = tcp->shakes = 0;
}

void
net_tcp_flush(struct net_shard *net)
{
    struct net_conn *conn;

    set_read_size(&net->tcp);
    while ((conn = net->tcp.dirty)) {
        net->tcp.dirty = conn->next_dirty;
        conn->is_dirty = false;
        if (conn->state == NET_CONN_OPEN || conn->state == NET_CONN_CLOSING)
            net_conn_write(conn);
        else if (conn->state == NET_CONN_GONE)
            net_conn_release(conn);
    }
}

/* --- listening ------------------------------------------------------------------------------ */

static void on_listener(uv_poll_t *poll, int status, int events);

static void
accepted(struct net_tcp_sock *sock, int fd, const union net_sockaddr *name)
{
    struct net_shard *net = sock->net;
    struct hd_addr remote;
    struct net_conn *conn;

    if (net->tcp.live >= net->params.max_connections || !net_sockaddr_to(name, &remote)) {
        net_count(&net->counters.streams_refused, 1);
        close(fd);
        return;
    }
    /* It has the options of the listening socket. */
    if (net_conn_new(net, fd, net->listeners[sock->listener].transport, sock->listener, &remote, 0,
                     NET_CONN_OPEN, &conn)) {
        net_count(&net->counters.streams_refused, 1);
        return;
    }
    net_count(&net->counters.streams_accepted, 1);
}

/* Without descriptors a connection would stay readable for ever: accepting rests for a while. */
static void
rest_accepting(struct net_shard *net, int error)
{
    if (hd_log_allow(&net->tcp.accept_log, net->now_ms))
        HD_LOG(HD_WARN, "cannot accept connections for now",
               hd_f_str("why", strerrordesc_np(error)), hd_f_u64("open", net->tcp.live));
    for (unsigned i = 0; i < net->tcp.n_socks; i++)
        if (net->tcp.socks[i].fd >= 0)
            (void)uv_poll_stop(&net->tcp.socks[i].poll);
    hd_wheel_start(&net->wheel, &net->tcp.reaccept, net->now_ms + REACCEPT_MS);
}

/* True when there may be more. */
static bool
accept_some(struct net_tcp_sock *sock)
{
    for (unsigned i = 0; i < ACCEPTS_AT_ONCE; i++) {
        union net_sockaddr name;
        socklen_t name_len = sizeof(name);
        int fd = accept4(sock->fd, &name.any, &name_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(sock, fd, &name);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            rest_accepting(sock->net, errno);
            return false;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return false;
        } /* else: that connection is gone already */
    }
    return true;
}

static void
on_listener(uv_poll_t *poll, int status, int events)
{
    struct net_tcp_sock *sock = poll->data;

    (void)events;
    net_stir(sock->net);
    if (status < 0)
        (void)uv_poll_start(&sock->poll, UV_READABLE, on_listener);
    (void)accept_some(sock);
}

static void
close_listener(struct net_tcp_sock *sock)
{
    if (sock->fd < 0)
        return;
    uv_close((uv_handle_t *)&sock->poll, NULL);
    close(sock->fd);
    sock->fd = -1;
}

void
net_tcp_close_listeners(struct net_shard *net)
{
    hd_wheel_stop(&net->wheel, &net->tcp.reaccept);
    for (unsigned i = 0; i < net->tcp.n_socks; i++) {
        /* Those whom the kernel has accepted already. */
        while (net->tcp.socks[i].fd >= 0 && !net->draining && accept_some(&net->tcp.socks[i]))
            continue;
        close_listener(&net->tcp.socks[i]);
    }
    hd_wheel_stop(&net->wheel, &net->tcp.reaccept);
}

static enum hd_err
open_listener(struct net_shard *net, size_t listener, char problem[NET_PROBLEM_SIZE])
{
    struct net_tcp_sock *sock = &net->tcp.socks[net->tcp.n_socks];
    enum hd_err err = net_sock_listen(&net->listeners[listener], &net->params, problem, &sock->fd,
                                      &net->bound[listener]);

    if (err)
        return err;
    sock->net = net;
    sock->listener = (uint8_t)listener;
    if (uv_poll_init(&net->loop, &sock->poll, sock->fd) != 0) {
        close(sock->fd);
        return HD_ENOMEM;
    }
    sock->poll.data = sock;
    net->tcp.n_socks++;
    (void)uv_poll_start(&sock->poll, UV_READABLE, on_listener);
    return HD_OK;
}

void
net_tcp_timer(struct net_shard *net, struct hd_timer *timer)
{
    switch ((enum net_timer)timer->kind) {
    case NET_TIMER_CONN:
        net_conn_timer(HD_CONTAINER(timer, struct net_conn, timer));
        break;
    case NET_TIMER_REACCEPT:
        for (unsigned i = 0; i < net->tcp.n_socks; i++)
            if (net->tcp.socks[i].fd >= 0)
                (void)uv_poll_start(&net->tcp.socks[i].poll, UV_READABLE, on_listener);
        break;
    }
}

bool
net_tcp_waiting(const struct net_shard *net)
{
    return net->tcp.waiting > 0;
}

void
net_tcp_drain(struct net_shard *net)
{
    net_tcp_close_listeners(net);
    for (uint32_t i = hd_table_next(&net->tcp.conns, 0); i != HD_TABLE_NONE;
         i = hd_table_next(&net->tcp.conns, i + 1)) {
        struct net_conn *conn = hd_table_at(&net->tcp.conns, i);
        if (conn->state != NET_CONN_GONE)
            net_conn_watch(conn);
    }
}

enum hd_err
net_tcp_init(struct net_shard *net, char ret_problem[NET_PROBLEM_SIZE])
{
    struct net_tcp *tcp = &net->tcp;
    size_t n = 0;
    enum hd_err err = HD_OK;

    /* The cap is kept by live; places of connections that are gone take one turn to come back. */
    hd_table_init(&tcp->conns, sizeof(struct net_conn), HD_TABLE_NONE - 1);
    hd_map_init(&tcp->by_remote);
    tcp->reaccept.kind = NET_TIMER_REACCEPT;
    if (getrandom(&tcp->key, sizeof(tcp->key), 0) != (ssize_t)sizeof(tcp->key))
        return HD_EIO;
    net_names_init(&net->names, &tcp->key);
    for (size_t i = 0; i < net->params.n_listeners; i++)
        n += net->listeners[i].transport != HD_UDP;
    set_read_size(tcp);
    tcp->scratch = malloc(NET_SCRATCH);
    tcp->clear = malloc(NET_CLEAR);
    tcp->framed = malloc(NET_CLEAR);
    tcp->socks = calloc(n + 1, sizeof(*tcp->socks));
    if (!tcp->scratch || !tcp->clear || !tcp->framed || !tcp->socks)
        return HD_ENOMEM;
    for (size_t i = 0; i < net->params.n_listeners && !err; i++)
        if (net->listeners[i].transport != HD_UDP)
            err = open_listener(net, i, ret_problem);
    return err;
}

void
net_tcp_done(struct net_shard *net)
{
    struct net_tcp *tcp = &net->tcp;

    for (unsigned i = 0; i < tcp->n_socks; i++)
        close_listener(&tcp->socks[i]);
    for (uint32_t i = hd_table_next(&tcp->conns, 0); i != HD_TABLE_NONE;
         i = hd_table_next(&tcp->conns, i + 1)) {
        struct net_conn *conn = hd_table_at(&tcp->conns, i);
        net_conn_drop(conn, HD_EIO);
        conn->told = true;
        conn->is_dirty = false;
        net_conn_release(conn);
    }
    tcp->gone = tcp->dirty = NULL;
}

void
net_tcp_free(struct net_shard *net)
{
    if (net->tcp.scratch) { /* was initialised */
        hd_table_done(&net->tcp.conns);
        net_names_done(&net->names);
    }
    hd_map_done(&net->tcp.by_remote);
    if (net->sessions)
        net_sessions_clear(net->sessions);
    free(net->sessions);
    free(net->tcp.socks);
    free(net->tcp.scratch);
    free(net->tcp.clear);
    free(net->tcp.framed);
}
