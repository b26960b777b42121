/* test_host.c - see test_host.h.  Frames of these tests: 'M', two digits that say how many octets
 * follow, those octets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/test_host.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/sock.h"

#define PATIENCE_MS 60000

/* --- the owner ------------------------------------------------------------------------------ */

static void
note(struct host *host, size_t *count, size_t cap, const void *entry, void *array, size_t size)
{
    pthread_mutex_lock(&host->mutex);
    if (*count < cap) {
        memcpy((char *)array + *count * size, entry, size);
        ++*count;
    }
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->mutex);
    host->had_reason = true;
}

static void
on_batch(void *context)
{
    struct host *host = context;

    pthread_mutex_lock(&host->mutex);
    host->n_batches++;
    pthread_mutex_unlock(&host->mutex);
    host->had_reason = true;
}

static void
on_packet(void *context, const struct hd_flow *flow, struct hd_slice octets)
{
    struct host *host = context;
    struct host_packet packet = { .flow = *flow, .n = octets.n };

    memcpy(packet.octets, octets.p, octets.n < KEPT ? octets.n : KEPT);
    note(host, &host->n_packets, HD_ARRAY_LEN(host->packets), &packet, host->packets,
         sizeof(packet));
    if (host->echo)
        host_send(host, flow, octets.p, octets.n, 0);
}

uint64_t
host_turn(void *context, uint64_t now_us)
{
    struct host *host = context;
    host_job_f job;

    pthread_mutex_lock(&host->mutex);
    job = host->job;
    pthread_mutex_unlock(&host->mutex);
    if (job) {
        job(host, host->job_arg);
        pthread_mutex_lock(&host->mutex);
        host->job = NULL;
        pthread_cond_broadcast(&host->changed);
        pthread_mutex_unlock(&host->mutex);
    } else if (!host->had_reason && now_us / 1000 < host->due_ms) {
        host->early++;
    }
    host->turns++;
    host->had_reason = false;
    host->due_ms = host->wait_ms == UINT64_MAX ? UINT64_MAX : now_us / 1000 + host->wait_ms;
    return host->wait_ms;
}

static void
on_failed(void *context, uint64_t owner, const struct hd_flow *flow, enum hd_err err)
{
    struct host *host = context;
    struct host_failure failure = { owner, *flow, err };

    note(host, &host->n_failures, HD_ARRAY_LEN(host->failures), &failure, host->failures,
         sizeof(failure));
    if (host->again)
        host_send(host, flow, "again", 5, owner);
}

static void
on_closed(void *context, uint64_t conn)
{
    struct host *host = context;

    note(host, &host->n_closed, HD_ARRAY_LEN(host->closed), &conn, host->closed, sizeof(conn));
}

static void
on_too_large(void *context, const struct hd_flow *flow, struct hd_slice head)
{
    struct host *host = context;

    pthread_mutex_lock(&host->mutex);
    host->n_large++;
    pthread_mutex_unlock(&host->mutex);
    host_send(host, flow, head.p, head.n, 0);
}

static bool
on_in_use(void *context, uint64_t conn)
{
    struct host *host = context;

    (void)conn;
    host->asked++;
    host->had_reason = true;
    return host->in_use;
}

static enum net_frame
frame(struct hd_slice stream, size_t max_body, size_t *ret_len)
{
    size_t body;

    if (stream.p[0] == '\r') {
        if (stream.n >= 4 && memcmp(stream.p, "\r\n\r\n", 4) == 0) {
            *ret_len = 4;
            return NET_FRAME_PING;
        }
        if (memcmp(stream.p, "\r\n\r\n", stream.n < 4 ? stream.n : 4) == 0)
            return NET_FRAME_MORE;
        *ret_len = 2;
        return NET_FRAME_SKIP;
    }
    if (stream.p[0] != 'M')
        return NET_FRAME_BAD;
    if (stream.n < 3)
        return NET_FRAME_MORE;
    body = (size_t)(stream.p[1] - '0') * 10 + (size_t)(stream.p[2] - '0');
    *ret_len = 3;
    if (body > max_body)
        return NET_FRAME_TOO_LARGE;
    *ret_len = 3 + body;
    return stream.n < 3 + body ? NET_FRAME_MORE : NET_FRAME_MESSAGE;
}

static void *
run_shard(void *context)
{
    net_shard_run(((struct host *)context)->net);
    return NULL;
}

struct net_params
host_params(const struct net_listener *listeners, size_t n)
{
    return (struct net_params){
        .shards = 1,
        .listeners = listeners,
        .n_listeners = n,
        .max_body = 90,
        .max_connections = 1000,
        .idle_ms = 60000,
        .message_ms = 60000,
        .connect_ms = 60000,
        .handshake_ms = 60000,
        .max_queued = 1 << 20,
        .on = { .batch = on_batch,
                .packet = on_packet,
                .turn = host_turn,
                .send_failed = on_failed,
                .closed = on_closed,
                .frame = frame,
                .in_use = on_in_use,
                .too_large = on_too_large },
    };
}

struct net_listener
listen_on(enum hd_transport transport, const char *ip)
{
    return (struct net_listener){ .transport = transport, .addr = addr_of(ip, 0) };
}

void
host_open(struct host *host, const struct net_params *params)
{
    struct net_params own = *params;
    char problem[256];

    pthread_mutex_init(&host->mutex, NULL);
    pthread_cond_init(&host->changed, NULL);
    if (host->wait_ms == 0)
        host->wait_ms = UINT64_MAX;
    own.on.context = host;
    if (net_shard_new(&own, problem, &host->net) != HD_OK)
        fail_msg("%s", problem);
}

void
host_run(struct host *host)
{
    assert_int_equal(pthread_create(&host->thread, NULL, run_shard, host), 0);
}

void
host_start(struct host *host, const struct net_params *params)
{
    host_open(host, params);
    host_run(host);
}

void
host_stop(struct host *host)
{
    net_shard_stop(host->net);
    pthread_join(host->thread, NULL);
    net_shard_free(host->net);
    pthread_mutex_destroy(&host->mutex);
    pthread_cond_destroy(&host->changed);
    free(host);
}

struct host *
host_new(void)
{
    struct host *host = calloc(1, sizeof(*host));

    assert_non_null(host);
    return host;
}

static struct timespec
patience(void)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE_MS / 1000;
    return end;
}

void
host_do(struct host *host, host_job_f job, void *arg)
{
    struct timespec end = patience();
    int result = 0;

    pthread_mutex_lock(&host->mutex);
    host->job_arg = arg;
    host->job = job;
    net_shard_wake(host->net);
    while (host->job && result == 0)
        result = pthread_cond_timedwait(&host->changed, &host->mutex, &end);
    pthread_mutex_unlock(&host->mutex);
    assert_int_equal(result, 0);
}

void
host_wait(struct host *host, const size_t *count, size_t n)
{
    struct timespec end = patience();
    size_t have;
    int result = 0;

    pthread_mutex_lock(&host->mutex);
    while (*count < n && result == 0)
        result = pthread_cond_timedwait(&host->changed, &host->mutex, &end);
    have = *count;
    pthread_mutex_unlock(&host->mutex);
    assert_in_range(have, n, SIZE_MAX);
}

struct host_packet
host_packet(struct host *host, size_t i)
{
    host_wait(host, &host->n_packets, i + 1);
    return host->packets[i]; /* written before the count, and once */
}

struct host_failure
host_failure(struct host *host, size_t i)
{
    host_wait(host, &host->n_failures, i + 1);
    return host->failures[i];
}

uint64_t
host_closed(struct host *host, size_t i)
{
    host_wait(host, &host->n_closed, i + 1);
    return host->closed[i];
}

void
sleep_ms(unsigned ms)
{
    struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

    nanosleep(&time, NULL);
}

void
wait_counter(const _Atomic uint64_t *counter, uint64_t n)
{
    for (unsigned i = 0; i < PATIENCE_MS && *counter < n; i++)
        sleep_ms(1);
    assert_in_range(*counter, n, UINT64_MAX);
}

void
wait_counter_is(const _Atomic uint64_t *counter, uint64_t n)
{
    for (unsigned i = 0; i < PATIENCE_MS && *counter != n; i++)
        sleep_ms(1);
    assert_int_equal(*counter, n);
}

void
host_send(struct host *host, const struct hd_flow *flow, const char *p, size_t n, uint64_t owner)
{
    /* More than is needed is reserved, as a writer does who does not know the length before. */
    char *room = net_reserve(host->net, n + 1000);

    HD_ASSERT(room);
    memcpy(room, p, n);
    net_commit(host->net, flow, n, owner);
}

struct host *
host_echo(enum hd_transport transport, const char *ip)
{
    struct net_listener listener = listen_on(transport, ip);
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();

    host->echo = true;
    host_start(host, &params);
    return host;
}

/* --- peers ---------------------------------------------------------------------------------- */

struct hd_addr
addr_of(const char *ip, uint16_t port)
{
    struct hd_addr addr;

    assert_int_equal(hd_addr_parse(hd_slice_str(ip), port, &addr), HD_OK);
    return addr;
}

struct hd_addr
peer_local(int fd)
{
    union net_sockaddr name;
    socklen_t len = sizeof(name);
    struct hd_addr addr;

    assert_int_equal(getsockname(fd, &name.any, &len), 0);
    assert_true(net_sockaddr_to(&name, &addr));
    return addr;
}

static int
peer_socket(const struct hd_addr *addr, int type)
{
    struct timeval time = { PATIENCE_MS / 1000, 0 };
    int fd = socket(addr->family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static int
peer_bound(const char *ip, int type, struct hd_addr *ret_bound)
{
    struct hd_addr addr = addr_of(ip, 0);
    union net_sockaddr name;
    socklen_t len = net_sockaddr_from(&addr, &name);
    int fd = peer_socket(&addr, type);

    assert_int_equal(bind(fd, &name.any, len), 0);
    *ret_bound = peer_local(fd);
    return fd;
}

bool
peer_has_v6(void)
{
    struct hd_addr addr = addr_of("::1", 0);
    union net_sockaddr name;
    socklen_t len = net_sockaddr_from(&addr, &name);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, &name.any, len) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

int
peer_udp(const char *ip, struct hd_addr *ret_bound)
{
    return peer_bound(ip, SOCK_DGRAM, ret_bound);
}

int
peer_listen(const char *ip, int backlog, struct hd_addr *ret_bound)
{
    int fd = peer_bound(ip, SOCK_STREAM, ret_bound);

    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

int
peer_connect(const struct hd_addr *to)
{
    union net_sockaddr name;
    socklen_t len = net_sockaddr_from(to, &name);
    int fd = peer_socket(to, SOCK_STREAM);

    assert_int_equal(connect(fd, &name.any, len), 0);
    return fd;
}

int
peer_accept(int listener)
{
    struct timeval time = { PATIENCE_MS / 1000, 0 };
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    return fd;
}

int
peer_refusing(struct hd_addr *ret_bound)
{
    return peer_bound("127.0.0.1", SOCK_STREAM, ret_bound);
}

void
peer_deaf(int fd)
{
    struct hd_addr addr = peer_local(fd);
    union net_sockaddr name;
    socklen_t len;

    /* A connected socket takes datagrams of its peer alone. */
    addr.port = 9;
    len = net_sockaddr_from(&addr, &name);
    assert_int_equal(connect(fd, &name.any, len), 0);
}

void
udp_to(int fd, const struct hd_addr *to, const char *p, size_t n)
{
    union net_sockaddr name;
    socklen_t len = net_sockaddr_from(to, &name);

    assert_int_equal(sendto(fd, p, n, 0, &name.any, len), n);
}

size_t
udp_from(int fd, char *ret, size_t cap, struct hd_addr *ret_from)
{
    union net_sockaddr name;
    socklen_t len = sizeof(name);
    ssize_t n = recvfrom(fd, ret, cap, 0, &name.any, &len);

    assert_true(n >= 0);
    if (ret_from)
        assert_true(net_sockaddr_to(&name, ret_from));
    return (size_t)n;
}

void
tcp_write(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        assert_true(sent > 0);
        p += sent;
        n -= (size_t)sent;
    }
}

void
tcp_expect(int fd, const char *p, size_t n)
{
    while (n > 0) {
        char octets[4096];
        ssize_t have = recv(fd, octets, n < sizeof(octets) ? n : sizeof(octets), 0);
        assert_true(have > 0);
        assert_memory_equal(octets, p, (size_t)have);
        p += have;
        n -= (size_t)have;
    }
}

void
tcp_expect_end(int fd)
{
    char octet;
    ssize_t n = recv(fd, &octet, 1, 0);

    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}
