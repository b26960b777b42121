/* play_live.c - actors as sockets.  A datagram actor has a socket bound to the address from which
 * the server is reached; a stream actor has one connection to the server, opened with the actor.
 * Waiting is a poll over all of them, so that an actor that answers by itself does so whoever is
 * waited for. Invariant: what a socket brings is delivered in the order in which it came. */
#include "herald/play_live.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "herald/text.h"
#include "sip/msg.h"

#define PROBLEM 512
#define ACTORS_MAX 512
#define OCTETS_MAX 70000
#define SILENCE_MS 300 /* what does not come within this does not come */

struct socket {
    struct play_actor *actor;
    int fd; /* -1: closed */
    char *stream;
    size_t n;
};

struct live {
    struct live_params params;
    struct play *play;
    uint64_t begun_ms;
    unsigned left_out;
    size_t n;
    struct socket sockets[ACTORS_MAX];
    struct pollfd poll[ACTORS_MAX];
    char octets[OCTETS_MAX];
};

static uint64_t
clock_ms(void)
{
    struct timespec now = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool
problem_errno(char *problem, const char *what)
{
    (void)snprintf(problem, PROBLEM, "%s: %s", what, strerror(errno));
    return false;
}

/* --- addresses ------------------------------------------------------------------------------- */

static socklen_t
to_sockaddr(const struct hd_addr *addr, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (addr->family == 4) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(addr->port) };

        memcpy(&in.sin_addr, addr->ip, 4);
        memcpy(ret, &in, sizeof(in));
        return sizeof(in);
    }
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                                .sin6_port = htons(addr->port),
                                .sin6_scope_id = addr->scope };
    memcpy(&in6.sin6_addr, addr->ip, 16);
    memcpy(ret, &in6, sizeof(in6));
    return sizeof(in6);
}

static struct hd_addr
from_sockaddr(const struct sockaddr_storage *from)
{
    struct hd_addr addr = { 0 };

    if (from->ss_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, from, sizeof(in));
        memcpy(addr.ip, &in.sin_addr, 4);
        addr.port = ntohs(in.sin_port);
        addr.family = 4;
    } else if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, from, sizeof(in6));
        memcpy(addr.ip, &in6.sin6_addr, 16);
        addr.port = ntohs(in6.sin6_port);
        addr.family = 6;
    }
    return addr;
}

static bool
own_addr(int fd, struct hd_addr *ret_addr)
{
    struct sockaddr_storage name;
    socklen_t n = sizeof(name);

    if (getsockname(fd, (struct sockaddr *)&name, &n) != 0)
        return false;
    *ret_addr = from_sockaddr(&name);
    return true;
}

/* --- actors ---------------------------------------------------------------------------------- */

/* A socket that is connected to the server; of a datagram one this tells the address that we have
 * there. */
static int
connected(const struct live *live, int type)
{
    struct sockaddr_storage server;
    socklen_t n = to_sockaddr(&live->params.server, &server);
    int fd = socket(server.ss_family, type | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&server, n) != 0) {
        int kept = errno;

        (void)close(fd);
        errno = kept;
        return -1;
    }
    return fd;
}

static int
open_datagram(const struct live *live)
{
    struct hd_addr local = { 0 };
    struct sockaddr_storage name;
    int probe = connected(live, SOCK_DGRAM), fd;
    socklen_t n;

    if (probe < 0)
        return -1;
    if (!own_addr(probe, &local)) {
        (void)close(probe);
        return -1;
    }
    (void)close(probe);
    local.port = 0;
    n = to_sockaddr(&local, &name);
    fd = socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&name, n) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool
live_actor(void *context, struct play_actor *actor, const struct hd_slice *words, unsigned n,
           char *problem)
{
    struct live *live = context;
    struct socket *socket;

    (void)words; /* which listener and shard: the laboratory's business */
    (void)n;
    if (actor->transport == HD_TLS) {
        (void)snprintf(problem, PROBLEM, "only the laboratory has actors with TLS");
        return false;
    }
    if (live->n == ACTORS_MAX) {
        (void)snprintf(problem, PROBLEM, "more than %d actors", ACTORS_MAX);
        return false;
    }
    socket = &live->sockets[live->n];
    *socket = (struct socket){ .actor = actor };
    socket->fd = actor->transport == HD_TCP ? connected(live, SOCK_STREAM) : open_datagram(live);
    if (socket->fd < 0)
        return problem_errno(problem, "cannot reach the server");
    live->n++;
    if (actor->transport == HD_TCP)
        socket->stream = malloc(OCTETS_MAX);
    if (!own_addr(socket->fd, &actor->addr) || (actor->transport == HD_TCP && !socket->stream))
        return problem_errno(problem, "cannot use the socket");
    actor->host = socket;
    return true;
}

static bool
live_send(void *context, struct play_actor *actor, const struct play_message *reply_to,
          struct hd_slice octets, const struct hd_slice *words, unsigned n, char *problem)
{
    struct live *live = context;
    struct socket *socket = actor->host;
    const struct hd_addr *to = reply_to ? &reply_to->peer : &live->params.server;
    struct sockaddr_storage name;
    socklen_t name_n = to_sockaddr(to, &name);
    ssize_t sent;

    if (n && !hd_slice_eq(words[0], HD_LIT("shard"))) {
        (void)snprintf(problem, PROBLEM, "\"%.*s\" works in the laboratory only", HD_FMT(words[0]));
        return false;
    }
    if (socket->fd < 0) {
        (void)snprintf(problem, PROBLEM, "the connection is closed");
        return false;
    }
    if (actor->transport == HD_UDP) {
        sent = sendto(socket->fd, octets.p, octets.n, 0, (struct sockaddr *)&name, name_n);
        return sent >= 0 || problem_errno(problem, "sendto");
    }
    while (octets.n) {
        sent = send(socket->fd, octets.p, octets.n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return problem_errno(problem, "send");
        octets = hd_slice_from(octets, (size_t)sent);
    }
    return true;
}

/* --- what comes ------------------------------------------------------------------------------ */

static void
read_datagram(struct live *live, struct socket *socket)
{
    struct sockaddr_storage from;
    socklen_t from_n = sizeof(from);
    ssize_t n = recvfrom(socket->fd, live->octets, sizeof(live->octets), MSG_DONTWAIT,
                         (struct sockaddr *)&from, &from_n);
    struct hd_addr peer;

    if (n <= 4) /* keep-alives */
        return;
    peer = from_sockaddr(&from);
    play_deliver(live->play, socket->actor, HD_UDP, &peer, 0, hd_slice(live->octets, (size_t)n));
}

/* Hands out the whole messages at the front of a stream. */
static void
cut_stream(struct live *live, struct socket *socket)
{
    bool more = true;

    while (more && socket->n) {
        struct hd_slice stream = hd_slice(socket->stream, socket->n);
        size_t n = 0;

        switch (sip_frame_find(stream, OCTETS_MAX, &n)) {
        case SIP_FRAME_MESSAGE:
            play_deliver(live->play, socket->actor, HD_TCP, &live->params.server, 0,
                         hd_slice(stream.p, n));
            break;
        case SIP_FRAME_PING:
        case SIP_FRAME_SKIP:
            break;
        case SIP_FRAME_MORE:
            more = false;
            break;
        case SIP_FRAME_TOO_LARGE:
        case SIP_FRAME_BAD:
            play_fault(live->play, "the stream cannot be cut into messages");
            n = socket->n;
            break;
        }
        memmove(socket->stream, socket->stream + n, socket->n - n);
        socket->n -= n;
    }
}

static void
read_stream(struct live *live, struct socket *socket)
{
    ssize_t n = recv(socket->fd, socket->stream + socket->n, OCTETS_MAX - socket->n, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        (void)close(socket->fd);
        socket->fd = -1;
        return;
    }
    socket->n += (size_t)n;
    cut_stream(live, socket);
}

/* Reads what is there, or comes within wait_ms. */
static void
look(struct live *live, uint64_t wait_ms)
{
    for (size_t i = 0; i < live->n; i++)
        live->poll[i] = (struct pollfd){ .fd = live->sockets[i].fd, .events = POLLIN };
    if (poll(live->poll, (nfds_t)live->n, (int)(wait_ms > 60000 ? 60000 : wait_ms)) <= 0)
        return;
    for (size_t i = 0; i < live->n; i++) {
        if (!live->poll[i].revents || live->sockets[i].fd < 0)
            continue;
        if (live->sockets[i].actor->transport == HD_TCP)
            read_stream(live, &live->sockets[i]);
        else
            read_datagram(live, &live->sockets[i]);
    }
}

static void
live_await(void *context, struct play_actor *actor, bool silence)
{
    struct live *live = context;
    uint64_t now = clock_ms(), until = now + (silence ? SILENCE_MS : live->params.answer_ms);

    /* A repeat that nobody wants does not end the wait: the player drops it and asks again. */
    while (!actor->inbox && now < until) {
        look(live, until - now);
        now = clock_ms();
    }
}

static bool
live_settle(void *context, char *problem)
{
    (void)problem;
    look(context, 0);
    return true;
}

static bool
live_pass(void *context, uint64_t ms, char *problem)
{
    struct live *live = context;
    uint64_t now = clock_ms(), until = now + ms;

    (void)problem;
    for (; now < until; now = clock_ms())
        look(live, until - now);
    return true;
}

static uint64_t
live_now(void *context)
{
    return clock_ms() - ((struct live *)context)->begun_ms;
}

/* --- steps of the laboratory ----------------------------------------------------------------- */

static enum hd_err
live_command(void *context, struct play *play, const struct play_step *step,
             const struct hd_slice *words, unsigned n, char *problem)
{
    /* The server has its own settings; what it counts inside is not ours to see. */
    static const struct hd_slice left_out[] = {
        { "config", 6 }, { "user", 4 },  { "rule", 4 }, { "list", 4 },  { "transform", 9 },
        { "shards", 6 }, { "count", 5 }, { "subs", 4 }, { "check", 5 }, { "settled", 7 }
    };
    static const struct hd_slice never[] = { { "store", 5 }, { "shard", 5 }, { "mail", 4 },
                                             { "order", 5 }, { "drain", 5 }, { "terminate", 9 } };
    struct live *live = context;

    (void)step;
    for (size_t i = 0; i < HD_ARRAY_LEN(left_out); i++) {
        if (hd_slice_eq(words[0], left_out[i])) {
            live->left_out++;
            return HD_OK;
        }
    }
    if (n == 3 && hd_slice_eq(words[0], HD_LIT("store")) &&
        hd_slice_eq(words[1], HD_LIT("keeps"))) {
        live->left_out++;
        return HD_OK;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(never); i++) {
        if (hd_slice_eq(words[0], never[i]) || play_actor_find(play, words[0])) {
            (void)snprintf(problem, PROBLEM,
                           "this step works in the laboratory only, not against a live server");
            return HD_ENOTSUP;
        }
    }
    return HD_ENOMATCH;
}

static void
live_trace(void *context, const struct play_actor *actor, bool sent, struct hd_slice octets)
{
    struct live *live = context;
    struct hd_slice shown = octets;
    char *text;

    if (live->params.show == LIVE_SHOW_LINES)
        shown.n = hd_slice_find(octets, '\r');
    text = text_escaped(shown, true);
    printf("%8llums  %s %s %s%s", (unsigned long long)live_now(live), actor->name, sent ? ">" : "<",
           text ? text : "?", live->params.show == LIVE_SHOW_MESSAGES ? "\n\n" : "\n");
    free(text);
}

/* --- all of it ------------------------------------------------------------------------------- */

struct live *
live_new(const struct live_params *params)
{
    struct live *live = calloc(1, sizeof(*live));

    if (live) {
        live->params = *params;
        live->begun_ms = clock_ms();
    }
    return live;
}

void
live_free(struct live *live)
{
    if (!live)
        return;
    for (size_t i = 0; i < live->n; i++) {
        if (live->sockets[i].fd >= 0)
            (void)close(live->sockets[i].fd);
        free(live->sockets[i].stream);
    }
    free(live);
}

struct play_host
live_host(struct live *live)
{
    return (struct play_host){ .context = live,
                               .actor = live_actor,
                               .send = live_send,
                               .await = live_await,
                               .settle = live_settle,
                               .pass = live_pass,
                               .now_ms = live_now,
                               .command = live_command,
                               .trace =
                                   live->params.show == LIVE_SHOW_NOTHING ? NULL : live_trace };
}

void
live_connect(struct live *live, struct play *play)
{
    live->play = play;
}

unsigned
live_left_out(const struct live *live)
{
    return live->left_out;
}
