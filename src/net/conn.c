/* conn.c - what happens on one connection between its opening and its end.
 * The socket is polled by uv_poll, read and written here: one buffer serves all reads of a shard,
 * an idle connection holds none, and all that one turn queues leaves in one write.
 *
 * Invariants: the memory of a connection stays until libuv has told the end of its handle, the
 * owner has been told (on.closed), and the list of dirty ones has let go, so a callback may close
 * the connection that it is called for; a GONE connection is in no index and its id finds nothing;
 * octets before out_at have left; owed[] is in the order of the stream and holds all that is not
 * known to be acknowledged. */
#include "net/conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/sock.h"
#include "net/stack.h"

/* After our end was closed the peer may take this long to read what was sent and close his. */
#define LINGER_MS 2000
/* Octets that could not leave, or are not acknowledged, for 64*T1 are of transactions that have
 * failed (RFC 3261 section 17.1.2.2, Timer F). */
#define STUCK_MS 32000
/* How often the kernel is asked what the peer has acknowledged, while somebody wants to know. */
#define ASK_MS 4000

static void conn_ready(uv_poll_t *poll, int status, int events);

struct net_conn *
net_conn_find(const struct net_shard *net, uint64_t id)
{
    struct net_conn *conn;

    if (id == 0 || hd_conn_shard(id) != net->params.shard)
        return NULL;
    conn = hd_table_at(&net->tcp.conns, (uint32_t)id);
    if (!conn || conn->id != id || conn->state == NET_CONN_GONE)
        return NULL;
    HD_ASSERT_OBJ(conn, NET_CONN_MAGIC);
    return conn;
}

struct hd_flow
net_conn_flow(const struct net_conn *conn)
{
    return (struct hd_flow){ .transport = conn->transport,
                             .listener = conn->listener,
                             .conn = conn->id,
                             .local = conn->local,
                             .remote = conn->remote };
}

static size_t
conn_queued(const struct net_conn *conn)
{
    return conn->out_n - conn->out_at;
}

size_t
net_conn_waiting(const struct net_conn *conn)
{
    return conn_queued(conn);
}

static bool
conn_owes(const struct net_conn *conn)
{
    return conn->owed_at < conn->owed_n;
}

/* --- timers --------------------------------------------------------------------------------- */

static uint64_t
sooner(uint64_t due_ms, uint64_t from_ms, uint64_t wait_ms)
{
    return wait_ms != 0 && from_ms + wait_ms < due_ms ? from_ms + wait_ms : due_ms;
}

/* Since when a closing connection has made no progress. */
static uint64_t
closing_since(const struct net_conn *conn)
{
    return conn->since_ms > conn->left_ms ? conn->since_ms : conn->left_ms;
}

/* How long TLS and the upgrade to a WebSocket may take together: who connects to us gets the time
 * of a person's bad network, whom we connect to no more than the connection itself. */
static uint64_t
ready_within_ms(const struct net_conn *conn)
{
    const struct net_params *params = &conn->net->params;

    return conn->accepted ? params->handshake_ms : params->connect_ms;
}

/* When the connection must be looked at if nothing happens before. */
static uint64_t
conn_due(const struct net_conn *conn)
{
    const struct net_params *params = &conn->net->params;
    uint64_t due_ms = UINT64_MAX;

    switch (conn->state) {
    case NET_CONN_CONNECTING:
        return sooner(due_ms, conn->since_ms, params->connect_ms);
    case NET_CONN_OPEN:
        due_ms = sooner(due_ms, conn->traffic_ms, params->idle_ms);
        if (!conn->ready)
            due_ms = sooner(due_ms, conn->since_ms, ready_within_ms(conn));
        if (conn->begun_ms != 0)
            due_ms = sooner(due_ms, conn->begun_ms, params->message_ms);
        if (conn_queued(conn) > 0)
            due_ms = sooner(due_ms, conn->left_ms, STUCK_MS);
        if (conn_owes(conn))
            due_ms = sooner(due_ms, conn->asked_ms, ASK_MS);
        return due_ms;
    case NET_CONN_CLOSING:
        return closing_since(conn) + LINGER_MS;
    case NET_CONN_GONE:
        break;
    }
    return UINT64_MAX;
}

/* Sees to it that the timer fires early enough.  A due time that moves away costs nothing: the
 * timer fires at the old one and is started again. */
void
net_conn_arm(struct net_conn *conn)
{
    uint64_t due_ms = conn_due(conn);

    if (due_ms != UINT64_MAX && (!hd_timer_running(&conn->timer) || due_ms < conn->timer.due_ms))
        hd_wheel_start(&conn->net->wheel, &conn->timer, due_ms);
}

static void
conn_set_state(struct net_conn *conn, enum net_conn_state state)
{
    conn->state = state;
    conn->since_ms = conn->net->now_ms;
    net_conn_arm(conn);
}

/* --- the life of a connection --------------------------------------------------------------- */

void
net_conn_release(struct net_conn *conn)
{
    struct net_shard *net = conn->net;

    if (!conn->handle_ended || !conn->told || conn->is_dirty)
        return;
    net_stack_free(conn);
    net_names_put(&net->names, conn->host);
    free(conn->in);
    free(conn->out);
    free(conn->owed);
    conn->magic = 0;
    hd_table_remove(&net->tcp.conns, conn->place);
}

static void
on_handle_end(uv_handle_t *handle)
{
    struct net_conn *conn = handle->data;

    conn->handle_ended = true;
    net_conn_release(conn);
}

static void
conn_set_waiting(struct net_conn *conn, bool before)
{
    bool after = conn->state != NET_CONN_GONE && conn_queued(conn) > 0;

    if (after && !before)
        conn->net->tcp.waiting++;
    else if (before && !after)
        conn->net->tcp.waiting--;
}

/* Strikes off what the peer has acknowledged, so that what a dead peer never got has failed though
 * it has left: his messages go another way at once, not when their transactions time out. */
static void
conn_settle(struct net_conn *conn)
{
    int unacked = 0;
    uint64_t acked;

    conn->asked_ms = conn->net->now_ms;
    if (ioctl(conn->fd, SIOCOUTQ, &unacked) < 0 || unacked < 0)
        unacked = 0;
    else if (conn->shut && unacked > 0)
        unacked--; /* the end of the stream counts as an octet */
    acked = conn->sent > (uint64_t)unacked ? conn->sent - (uint64_t)unacked : 0;
    if (conn->acked < acked) {
        conn->acked = acked;
        conn->acked_ms = conn->net->now_ms;
    }
    while (conn_owes(conn) && conn->owed[conn->owed_at].end <= conn->acked)
        conn->owed_at++;
    if (conn_owes(conn))
        return;
    free(conn->owed);
    conn->owed = NULL;
    conn->owed_at = conn->owed_n = conn->owed_cap = 0;
}

void
net_conn_drop(struct net_conn *conn, enum hd_err err)
{
    struct net_shard *net = conn->net;
    bool waited = conn_queued(conn) > 0;

    if (conn->state == NET_CONN_GONE)
        return;
    hd_wheel_stop(&net->wheel, &conn->timer);
    if (conn_owes(conn) && conn->was_open)
        conn_settle(conn);
    conn_set_state(conn, NET_CONN_GONE);
    conn_set_waiting(conn, waited);
    for (size_t i = conn->owed_at; i < conn->owed_n; i++)
        net_fail(net, conn->owed[i].owner, &conn->owed[i].flow, err);
    conn->owed_at = conn->owed_n;
    if (conn->indexed)
        (void)hd_map_remove(&net->tcp.by_remote, conn->hash, conn->place);
    uv_close((uv_handle_t *)&conn->poll, on_handle_end);
    close(conn->fd);
    net->tcp.live--;
    if (conn->was_open) {
        net_count(&net->counters.streams_closed, 1);
        net_count(&net->counters.streams_open, UINT64_MAX);
    }
    conn->next_gone = net->tcp.gone;
    net->tcp.gone = conn;
}

void
net_conn_watch(struct net_conn *conn)
{
    int events = 0;

    if (conn->state == NET_CONN_CONNECTING || conn->blocked)
        events |= UV_WRITABLE;
    if (conn->state != NET_CONN_CONNECTING && !conn->eof && !conn->net->draining)
        events |= UV_READABLE;
    if (events == conn->events)
        return;
    conn->events = events;
    if (events)
        (void)uv_poll_start(&conn->poll, events, conn_ready);
    else
        (void)uv_poll_stop(&conn->poll);
}

static void
conn_opened(struct net_conn *conn)
{
    union net_sockaddr name;
    socklen_t name_len = sizeof(name);

    conn->was_open = true;
    net_count(&conn->net->counters.streams_open, 1);
    if (getsockname(conn->fd, &name.any, &name_len) == 0)
        (void)net_sockaddr_to(&name, &conn->local);
    conn->traffic_ms = conn->left_ms = conn->net->now_ms;
    conn_set_state(conn, NET_CONN_OPEN);
    net_conn_watch(conn);
    net_stack_begin(conn);
}

enum hd_err
net_conn_new(struct net_shard *net, int fd, enum hd_transport transport, uint8_t listener,
             const struct hd_addr *remote, uint32_t host, enum net_conn_state state,
             struct net_conn **ret_conn)
{
    struct net_tcp *tcp = &net->tcp;
    struct hd_handle handle;
    struct net_conn *conn;
    void *object;
    enum hd_err err = hd_table_add(&tcp->conns, &handle, &object);

    if (err) {
        close(fd);
        return err;
    }
    conn = object;
    conn->net = net;
    conn->place = handle.index;
    if (uv_poll_init(&net->loop, &conn->poll, fd) != 0) {
        hd_table_remove(&tcp->conns, handle.index);
        close(fd);
        return HD_ENOMEM;
    }
    conn->magic = NET_CONN_MAGIC;
    conn->poll.data = conn;
    conn->id = hd_conn_make(net->params.shard, handle.generation, handle.index);
    conn->fd = fd;
    conn->transport = (uint8_t)transport;
    conn->accepted = state == NET_CONN_OPEN;
    conn->listener = listener;
    conn->remote = *remote;
    conn->host = net_names_ref(&net->names, host);
    err = net_stack_new(conn);
    if (err) {
        uv_close((uv_handle_t *)&conn->poll, on_handle_end);
        conn->told = true;
        conn->state = NET_CONN_GONE;
        close(fd);
        return err;
    }
    conn->timer.kind = NET_TIMER_CONN;
    conn->traffic_ms = net->now_ms;
    conn->hash = hd_addr_hash(&tcp->key, remote, true);
    /* Without an entry it is merely not found by address. */
    conn->indexed = hd_map_put(&tcp->by_remote, conn->hash, conn->place) == HD_OK;
    tcp->live++;
    if (state == NET_CONN_OPEN)
        conn_opened(conn);
    else
        conn_set_state(conn, state);
    net_conn_watch(conn);
    *ret_conn = conn;
    return HD_OK;
}

/* --- writing -------------------------------------------------------------------------------- */

static void
conn_set_dirty(struct net_conn *conn)
{
    if (conn->is_dirty)
        return;
    conn->is_dirty = true;
    conn->next_dirty = conn->net->tcp.dirty;
    conn->net->tcp.dirty = conn;
}

void
net_conn_close(struct net_conn *conn)
{
    if (conn->state != NET_CONN_OPEN)
        return; /* the id of one that connects is known to nobody */
    conn_set_state(conn, NET_CONN_CLOSING);
    conn_set_dirty(conn);
}

/* Room for n more octets behind what is queued.  What has left before it is given up when the end
 * is reached; then half the room is free or it is doubled, so an octet is moved about once. */
static bool
make_room(struct net_conn *conn, size_t n)
{
    size_t queued = conn_queued(conn), cap = conn->out_cap ? conn->out_cap : 1024;
    char *out;

    if (n <= conn->out_cap - conn->out_n)
        return true;
    if (conn->out_at > 0) {
        memmove(conn->out, conn->out + conn->out_at, queued);
        conn->out_at = 0;
        conn->out_n = queued;
        if (queued + n <= conn->out_cap / 2)
            return true;
    }
    do
        cap *= 2;
    while (cap < queued + n);
    out = realloc(conn->out, cap);
    if (!out)
        return false;
    conn->out = out;
    conn->out_cap = cap;
    return true;
}

static bool
make_room_owed(struct net_conn *conn)
{
    size_t cap;
    struct net_owed *owed;

    if (conn->owed_n < conn->owed_cap)
        return true;
    if (conn_owes(conn))
        conn_settle(conn);
    if (conn->owed_at > conn->owed_cap / 2) {
        conn->owed_n -= conn->owed_at;
        memmove(conn->owed, conn->owed + conn->owed_at, conn->owed_n * sizeof(*owed));
        conn->owed_at = 0;
        return true;
    }
    cap = conn->owed_cap ? conn->owed_cap * 2 : 2;
    owed = realloc(conn->owed, cap * sizeof(*owed));
    if (!owed)
        return false;
    conn->owed = owed;
    conn->owed_cap = cap;
    return true;
}

bool
net_conn_append(struct net_conn *conn, const char *p, size_t n)
{
    bool waited = conn_queued(conn) > 0;

    if (!make_room(conn, n))
        return false;
    if (!waited)
        conn->left_ms = conn->net->now_ms;
    memcpy(conn->out + conn->out_n, p, n);
    conn->out_n += n;
    conn_set_waiting(conn, waited);
    if (conn->state != NET_CONN_CONNECTING)
        conn_set_dirty(conn);
    return true;
}

/* Everything has left: the connection keeps no memory for octets. */
static void
conn_emptied(struct net_conn *conn)
{
    free(conn->out);
    conn->out = NULL;
    conn->out_at = conn->out_n = conn->out_cap = 0;
}

static void
conn_sent(struct net_conn *conn, size_t n)
{
    struct net_shard *net = conn->net;

    conn->out_at += n;
    conn->sent += n;
    conn->traffic_ms = conn->left_ms = net->now_ms;
    net_count(&net->counters.octets_out, n);
    conn_set_waiting(conn, true);
    if (conn_queued(conn) == 0)
        conn_emptied(conn);
}

void
net_conn_write(struct net_conn *conn)
{
    if (conn->state == NET_CONN_CLOSING && !conn->parted) {
        conn->parted = true;
        net_stack_end(conn);
    }
    while (conn_queued(conn) > 0) {
        ssize_t n = send(conn->fd, conn->out + conn->out_at, conn_queued(conn),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            conn_sent(conn, (size_t)n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            net_conn_drop(conn, HD_EIO);
            return;
        }
    }
    conn->blocked = conn_queued(conn) > 0;
    if (conn->state == NET_CONN_CLOSING && !conn->blocked) {
        /* Closing with unread octets would reset the connection and could take our last answer
         * away from the peer, so he is given time to close his end. */
        if (!conn->shut)
            (void)shutdown(conn->fd, SHUT_WR);
        conn->shut = true;
        if (conn->eof) {
            net_conn_drop(conn, HD_EIO);
            return;
        }
    }
    net_conn_watch(conn);
    net_conn_arm(conn);
}

/* --- reading -------------------------------------------------------------------------------- */

/* One read; false when there is nothing more for now, or ever. */
static bool
conn_read(struct net_conn *conn)
{
    struct net_shard *net = conn->net;
    ssize_t n;

    if (!net_stack_may_read(conn))
        return false;
    n = recv(conn->fd, net->tcp.scratch, net->tcp.read_size, MSG_DONTWAIT);
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            net_conn_drop(conn, HD_EIO);
        return false;
    }
    if (n == 0) {
        /* What he asked before may be answered in this turn. */
        conn->eof = true;
        if (conn->state == NET_CONN_CLOSING)
            conn_set_dirty(conn);
        net_conn_close(conn);
        net_conn_watch(conn);
        return false;
    }
    net->tcp.reads++;
    net_count(&net->counters.octets_in, (uint64_t)n);
    conn->traffic_ms = net->now_ms;
    if (conn->state != NET_CONN_OPEN)
        return true; /* after a malformed message the rest has no meaning */
    if (net->params.on.batch)
        net->params.on.batch(net->params.on.context);
    net_stack_take(conn, net->tcp.scratch, (size_t)n);
    return conn->state != NET_CONN_GONE;
}

/* --- queueing ------------------------------------------------------------------------------- */

enum hd_err
net_conn_queue(struct net_conn *conn, const struct hd_flow *flow, struct hd_slice octets,
               uint64_t owner)
{
    size_t max = conn->net->params.max_queued;
    enum hd_err err;

    if (octets.n > max)
        return HD_ERANGE;
    if (conn_queued(conn) + octets.n > max && conn_queued(conn) > 0 && conn->state == NET_CONN_OPEN)
        net_conn_write(conn); /* what waits only for the end of the turn does not count */
    if (conn->state == NET_CONN_GONE)
        return HD_EIO;
    if (conn_queued(conn) + net_stack_waiting(conn) + octets.n > max) {
        net_conn_drop(conn, HD_EFULL);
        return HD_EFULL;
    }
    if (owner != 0 && !make_room_owed(conn))
        return HD_ENOMEM;
    err = net_stack_put(conn, octets);
    if (err)
        return err;
    if (owner != 0 && !conn_owes(conn))
        conn->asked_ms = conn->acked_ms = conn->net->now_ms;
    if (owner != 0)
        conn->owed[conn->owed_n++] =
            (struct net_owed){ .owner = owner,
                               .end = conn->ready ? conn->sent + conn_queued(conn) : UINT64_MAX,
                               .flow = *flow };
    return HD_OK;
}

void
net_conn_ready(struct net_conn *conn)
{
    conn->ready = true;
    for (size_t i = conn->owed_at; i < conn->owed_n; i++)
        conn->owed[i].end = conn->sent + conn_queued(conn);
    net_conn_arm(conn);
}

/* --- what the loop and the wheel tell ------------------------------------------------------- */

/* The outcome of a connection attempt. */
static void
conn_connected(struct net_conn *conn)
{
    int error = 0;
    socklen_t error_len = sizeof(error);
    union net_sockaddr name;
    socklen_t name_len = sizeof(name);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0 || error != 0 ||
        getpeername(conn->fd, &name.any, &name_len) < 0) {
        net_conn_drop(conn, HD_EIO);
        return;
    }
    net_count(&conn->net->counters.streams_opened, 1);
    conn_opened(conn);
    conn_set_dirty(conn);
}

static void
conn_ready(uv_poll_t *poll, int status, int events)
{
    struct net_conn *conn = poll->data;

    net_stir(conn->net);
    if (status < 0)
        conn->events = 0; /* an error is on the socket, and libuv has stopped the handle */
    if (conn->state == NET_CONN_CONNECTING) {
        conn_connected(conn);
        return;
    }
    if (status < 0) {
        /* A reset: what arrived before it still counts; reading ends with the error. */
        while (!conn->net->draining && conn_read(conn))
            continue;
        net_conn_drop(conn, HD_EIO);
        return;
    }
    if (events & UV_WRITABLE)
        conn_set_dirty(conn);
    if ((events & UV_READABLE) && !conn->net->draining)
        (void)conn_read(conn);
}

static bool
passed(uint64_t from_ms, uint64_t wait_ms, uint64_t now_ms)
{
    return wait_ms != 0 && now_ms >= from_ms + wait_ms;
}

void
net_conn_timer(struct net_conn *conn)
{
    struct net_shard *net = conn->net;
    const struct net_params *params = &net->params;
    uint64_t now_ms = net->now_ms;

    switch (conn->state) {
    case NET_CONN_CONNECTING:
        if (passed(conn->since_ms, params->connect_ms, now_ms))
            net_conn_drop(conn, HD_EIO);
        break;
    case NET_CONN_OPEN:
        if (conn_owes(conn) && passed(conn->asked_ms, ASK_MS, now_ms))
            conn_settle(conn);
        if (!conn->ready && passed(conn->since_ms, ready_within_ms(conn), now_ms)) {
            net_stack_late(conn);
            net_conn_drop(conn, HD_EIO);
        } else if ((conn->begun_ms != 0 && passed(conn->begun_ms, params->message_ms, now_ms)) ||
                   (conn_queued(conn) > 0 && passed(conn->left_ms, STUCK_MS, now_ms)) ||
                   (conn_owes(conn) && passed(conn->acked_ms, STUCK_MS, now_ms))) {
            net_conn_drop(conn, HD_EIO);
        } else if (passed(conn->traffic_ms, params->idle_ms, now_ms)) {
            if (params->on.in_use && params->on.in_use(params->on.context, conn->id))
                conn->traffic_ms = now_ms; /* asked again after as long */
            else
                net_conn_close(conn);
        }
        break;
    case NET_CONN_CLOSING:
        if (passed(closing_since(conn), LINGER_MS, now_ms))
            net_conn_drop(conn, HD_EIO);
        break;
    case NET_CONN_GONE:
        break;
    }
    net_conn_arm(conn);
}
