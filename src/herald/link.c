/* link.c - one net_shard under one client.
 *
 * The helper thread only turns signals and lines into mails; whatever they cause happens on the
 * loop's thread.  Lines are read one at a time, when asked for, so that a fast writer into our
 * standard input is held back by the pipe. */
#include "herald/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mailbox.h"
#include "herald/tool.h"
#include "net/net.h"
#include "net/tls.h"
#include "sip/uri.h"

enum mail_kind { MAIL_SIGNAL = 1, MAIL_LINE, MAIL_END };

struct input_mail {
    struct hd_mail mail; /* first */
    size_t n;
    char text[];
};

/* A connection on which something came. */
struct link_conn {
    uint64_t conn;
    struct hd_addr remote;
};
#define LINK_CONNS 64

struct link {
    struct link_params params;
    struct link_conn conns[LINK_CONNS]; /* conn 0: free */
    struct net_tls *tls;
    struct net_shard *net;
    struct ua_client *client;
    struct hd_rng rng;
    struct hd_mailbox box;
    bool begun;
    unsigned signals;
    pthread_t thread;
    bool thread_runs;
    int signal_fd, wake_fd;
    _Atomic bool wanted, ending;
    char buffer[LINK_LINE_MAX + 2]; /* the helper thread's */
    size_t buffer_n;
    bool input_ended;
};

static uint64_t
now_ms(void)
{
    return net_now_us() / 1000;
}

static void
entropy(void *context, void *octets, size_t n)
{
    (void)context;
    char *at = octets;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            tool_problem("no random numbers: %s", strerror(errno));
            abort();
        }
        at += got;
        n -= (size_t)got;
    }
}

/* --- the helper thread ------------------------------------------------------------------------ */

static void
input_post(struct link *link, enum mail_kind kind, const char *text, size_t n)
{
    struct input_mail *mail = tool_alloc(sizeof *mail + n);
    memset(mail, 0, sizeof *mail);
    mail->mail.kind = kind;
    mail->n = n;
    if (n)
        memcpy(mail->text, text, n);
    hd_mailbox_post(&link->box, &mail->mail);
}

/* Posts one line of the buffer when there is one, or the end of the input. */
static bool
input_line(struct link *link)
{
    char *end = memchr(link->buffer, '\n', link->buffer_n);
    size_t n = end ? (size_t)(end - link->buffer) : link->buffer_n;
    if (!end && !link->input_ended && n <= LINK_LINE_MAX)
        return false;
    atomic_store_explicit(&link->wanted, false, memory_order_relaxed);
    if (n > LINK_LINE_MAX) {
        tool_problem("standard input: a line is longer than %u octets", LINK_LINE_MAX);
        link->input_ended = true;
        link->buffer_n = 0;
        n = 0;
    }
    if (!end && n == 0) {
        input_post(link, MAIL_END, NULL, 0);
        return true;
    }
    size_t used = end ? n + 1 : n;
    input_post(link, MAIL_LINE, link->buffer, n && link->buffer[n - 1] == '\r' ? n - 1 : n);
    memmove(link->buffer, link->buffer + used, link->buffer_n - used);
    link->buffer_n -= used;
    return true;
}

static void
input_read(struct link *link)
{
    ssize_t got =
        read(STDIN_FILENO, link->buffer + link->buffer_n, sizeof link->buffer - link->buffer_n);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0)
        link->input_ended = true;
    else
        link->buffer_n += (size_t)got;
}

static void *
input_thread(void *context)
{
    struct link *link = context;
    for (;;) {
        struct signalfd_siginfo info;
        uint64_t count;
        bool wanted = atomic_load_explicit(&link->wanted, memory_order_acquire);
        bool reading = wanted && !input_line(link);
        struct pollfd fd[] = { { .fd = link->signal_fd, .events = POLLIN },
                               { .fd = link->wake_fd, .events = POLLIN },
                               { .fd = reading ? STDIN_FILENO : -1, .events = POLLIN } };
        if (poll(fd, HD_ARRAY_LEN(fd), -1) < 0 && errno != EINTR)
            abort();
        if (fd[0].revents && read(link->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
            input_post(link, MAIL_SIGNAL, NULL, 0);
        if (fd[1].revents && read(link->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
            abort();
        if (atomic_load_explicit(&link->ending, memory_order_acquire))
            return NULL;
        if (fd[2].revents)
            input_read(link);
    }
}

static void
input_wake(struct link *link)
{
    uint64_t one = 1;
    if (write(link->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

void
link_want_line(struct link *link)
{
    atomic_store_explicit(&link->wanted, true, memory_order_release);
    input_wake(link);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void
trace_packet(struct link *link, const struct hd_flow *flow, struct hd_slice octets, bool out,
             unsigned again)
{
    const struct trace *trace = &link->params.peer->trace;
    if (trace->mode != TRACE_OFF)
        trace_print(trace, &(struct trace_step){ .wall_us = trace_wall_us(),
                                                 .out = out,
                                                 .again = again,
                                                 .transport = (enum hd_transport)flow->transport,
                                                 .peer = flow->remote,
                                                 .octets = octets });
}

static void
on_send(void *context, const struct hd_flow *flow, struct hd_slice octets, unsigned again,
        uint64_t owner)
{
    struct link *link = context;
    struct hd_flow by = *flow;
    char *room = net_reserve(link->net, octets.n);
    if (!room)
        return; /* as if lost: it is repeated, or times out */
    memcpy(room, octets.p, octets.n);
    by.listener = flow->transport == HD_UDP ? 0 : 1;
    trace_packet(link, flow, octets, true, again);
    net_commit(link->net, &by, octets.n, owner);
}

static void
on_batch(void *context)
{
    (void)context;
}

static void
conn_keep(struct link *link, const struct hd_flow *flow)
{
    struct link_conn *place = NULL;
    if (flow->conn == 0)
        return;
    for (size_t i = 0; i < LINK_CONNS; i++) {
        if (link->conns[i].conn == flow->conn)
            return;
        if (!place && link->conns[i].conn == 0)
            place = &link->conns[i];
    }
    if (place)
        *place = (struct link_conn){ .conn = flow->conn, .remote = flow->remote };
}

static void
on_packet(void *context, const struct hd_flow *flow, struct hd_slice octets)
{
    struct link *link = context;
    conn_keep(link, flow);
    trace_packet(link, flow, octets, false, 0);
    ua_client_packet(link->client, now_ms(), flow, octets);
}

static void
on_send_failed(void *context, uint64_t owner, const struct hd_flow *flow, enum hd_err err)
{
    struct link *link = context;
    (void)flow;
    (void)err;
    ua_client_failed(link->client, now_ms(), owner);
}

/* Nothing ever came on a connection that is not known here: then it is the one that we opened to
 * the server, unless a known one leads there. */
static void
on_closed(void *context, uint64_t conn)
{
    struct link *link = context;
    struct hd_addr remote = link->params.peer->server;
    bool known = false;
    for (size_t i = 0; i < LINK_CONNS; i++) {
        if (link->conns[i].conn == conn) {
            remote = link->conns[i].remote;
            link->conns[i].conn = 0;
            known = true;
            break;
        }
    }
    for (size_t i = 0; !known && i < LINK_CONNS; i++)
        if (link->conns[i].conn && hd_addr_eq(&link->conns[i].remote, &remote))
            return;
    ua_client_lost(link->client, now_ms(), &remote);
}

static bool
on_in_use(void *context, uint64_t conn)
{
    (void)context;
    (void)conn;
    return true; /* notifications come on the connection that we opened */
}

static enum net_frame
on_frame(struct hd_slice stream, size_t max_body, size_t *ret_len)
{
    switch (sip_frame_find(stream, max_body, ret_len)) {
    case SIP_FRAME_MORE:
        return NET_FRAME_MORE;
    case SIP_FRAME_MESSAGE:
        return NET_FRAME_MESSAGE;
    case SIP_FRAME_PING:
        return NET_FRAME_PING;
    case SIP_FRAME_SKIP:
        return NET_FRAME_SKIP;
    case SIP_FRAME_TOO_LARGE:
        return NET_FRAME_TOO_LARGE;
    case SIP_FRAME_BAD:
        break;
    }
    return NET_FRAME_BAD;
}

static void
mail_handle(struct link *link, const struct input_mail *mail)
{
    void *context = link->params.context;
    switch ((enum mail_kind)mail->mail.kind) {
    case MAIL_SIGNAL:
        link->params.interrupted(context, ++link->signals);
        return;
    case MAIL_LINE:
        link->params.line(context, hd_slice(mail->text, mail->n));
        return;
    case MAIL_END:
        link->params.line(context, hd_slice(NULL, 0));
        return;
    }
}

static uint64_t
on_turn(void *context, uint64_t now_us)
{
    struct link *link = context;
    struct hd_mail *mail;

    hd_mailbox_awake(&link->box);
    uint64_t wait_ms = ua_client_advance(link->client, now_us / 1000);
    if (!link->begun) {
        link->begun = true;
        link->params.begin(link->params.context);
        wait_ms = 0;
    }
    while ((mail = hd_mailbox_take(&link->box)) != NULL) {
        mail_handle(link, (const struct input_mail *)(const void *)mail);
        free(mail);
        wait_ms = 0;
    }
    return hd_mailbox_sleep(&link->box) ? wait_ms : 0;
}

/* --- open and close --------------------------------------------------------------------------- */

static socklen_t
sockaddr_of(const struct hd_addr *addr, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (addr->family == 6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ret;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(addr->port);
        six->sin6_scope_id = addr->scope;
        memcpy(&six->sin6_addr, addr->ip, 16);
        return sizeof *six;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret;
    four->sin_family = AF_INET;
    four->sin_port = htons(addr->port);
    memcpy(&four->sin_addr, addr->ip, 4);
    return sizeof *four;
}

/* The address from which the kernel would send to the server, and a port that is free on it: the
 * same for UDP and TCP, since a peer may switch to TCP for a large message (RFC 3261 18.1.1). */
static bool
local_find(const struct peer *peer, struct hd_addr *ret_local)
{
    struct sockaddr_storage to, own;
    socklen_t n = sockaddr_of(&peer->server, &to), own_n = sizeof own;
    struct hd_addr local = peer->local;
    int family = peer->server.family == 6 ? AF_INET6 : AF_INET;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0;

    if (good && local.family) {
        socklen_t local_n = sockaddr_of(&local, &own);
        good = local.family == peer->server.family &&
               bind(fd, (const struct sockaddr *)(const void *)&own, local_n) == 0;
    }
    good = good && connect(fd, (const struct sockaddr *)(const void *)&to, n) == 0 &&
           getsockname(fd, (struct sockaddr *)(void *)&own, &own_n) == 0;
    if (fd >= 0)
        close(fd);
    if (!good)
        return false;
    memset(&local, 0, sizeof local);
    if (own.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&own;
        local.family = 6;
        local.port = ntohs(six->sin6_port);
        local.scope = six->sin6_scope_id;
        memcpy(local.ip, &six->sin6_addr, 16);
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&own;
        local.family = 4;
        local.port = ntohs(four->sin_port);
        memcpy(local.ip, &four->sin_addr, 4);
    }
    *ret_local = local;
    return true;
}

static void
tell_tls(void *context, bool fatal, const char *line)
{
    (void)context;
    tool_problem("%s%s", fatal ? "" : "warning: ", line);
}

static void
log_line(void *context, enum hd_level level, struct hd_slice line)
{
    (void)context;
    (void)level;
    tool_problem("%.*s", HD_FMT(line));
}

static int
tls_open(struct link *link)
{
    const struct peer_options *o = link->params.options;
    enum hd_err err;

    if (link->params.peer->transport != HD_TLS)
        return TOOL_OK;
    hd_log_setup(log_line, NULL, HD_WARN, HD_LOG_TEXT); /* why a handshake failed */
    err = net_tls_new(&(struct net_tls_params){ .client_ca = o->ca,
                                                .client_name = link->params.peer->server_name,
                                                .client_trusts_all = o->insecure,
                                                .tell = tell_tls },
                      &link->tls);
    if (err == HD_ENOMEM)
        tool_problem("TLS: %s", hd_err_text(err));
    return err ? TOOL_FAILED : TOOL_OK;
}

static int
net_open(struct link *link, struct hd_addr *ret_local)
{
    char problem[256] = "";
    /* The port is free when it is found, and may be taken a moment later by somebody else. */
    for (int i = 0; i < 8; i++) {
        struct hd_addr local;
        if (!local_find(link->params.peer, &local)) {
            tool_problem("no way to the server from here: %s", strerror(errno));
            return TOOL_UNREACHABLE;
        }
        struct net_listener listener[] = { { .transport = HD_UDP, .addr = local },
                                           { .transport = HD_TCP, .addr = local } };
        struct net_params params = { .shards = 1,
                                     .listeners = listener,
                                     .n_listeners = HD_ARRAY_LEN(listener),
                                     .max_body = 1u << 20,
                                     .max_connections = 64,
                                     .idle_ms = 3600000,
                                     .message_ms = 32000,
                                     .connect_ms = 4000,
                                     .handshake_ms = 10000,
                                     .max_queued = 4u << 20,
                                     .tls = link->tls,
                                     .on = { .context = link,
                                             .batch = on_batch,
                                             .packet = on_packet,
                                             .turn = on_turn,
                                             .send_failed = on_send_failed,
                                             .closed = on_closed,
                                             .frame = on_frame,
                                             .in_use = on_in_use } };
        *ret_local = local;
        if (net_shard_new(&params, problem, &link->net) == HD_OK)
            return TOOL_OK;
        if (link->params.peer->local.port)
            break;
    }
    tool_problem("%s", problem);
    return TOOL_FAILED;
}

static int
client_open(struct link *link, const struct hd_addr *local)
{
    const struct peer_options *o = link->params.options;
    const struct peer *peer = link->params.peer;
    struct sip_uri from, who;
    struct hd_slice user = HD_LIT("");
    struct hd_slice username = o->user ? hd_slice_str(o->user) : HD_LIT("");

    if (sip_uri_parse(username, &who) == HD_OK && who.scheme == SIP_SCHEME_SIP)
        username = who.user; /* --user with a whole URI */
    if (sip_uri_parse(hd_slice_str(peer->from), &from) == HD_OK && from.scheme == SIP_SCHEME_SIP)
        user = from.user;
    hd_rng_init(&link->rng, entropy, NULL);
    enum hd_err err = ua_client_new(&(struct ua_params){ .context = link,
                                                         .send = on_send,
                                                         .rng = &link->rng,
                                                         .now_ms = now_ms(),
                                                         .transport = peer->transport,
                                                         .local = *local,
                                                         .server = peer->server,
                                                         .contact_user = user,
                                                         .username = username,
                                                         .password = hd_slice_str(peer->password) },
                                    &link->client);
    if (!err)
        return TOOL_OK;
    tool_problem("user or password: %s", hd_err_text(err));
    return TOOL_FAILED;
}

static bool
input_open(struct link *link)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
        return false;
    link->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return link->signal_fd >= 0 && link->wake_fd >= 0;
}

int
link_open(const struct link_params *params, struct link **ret_link)
{
    struct link *link = tool_alloc(sizeof *link);
    struct hd_addr local;
    int code = TOOL_FAILED;

    memset(link, 0, sizeof *link);
    link->params = *params;
    link->signal_fd = link->wake_fd = -1;
    if (!input_open(link)) {
        tool_problem("signals: %s", strerror(errno));
        goto out;
    }
    code = tls_open(link);
    if (!code)
        code = net_open(link, &local);
    if (code)
        goto out;
    hd_mailbox_init(&link->box, net_shard_wake, link->net);
    code = client_open(link, &local);
    if (code)
        goto out;
    link->thread_runs = pthread_create(&link->thread, NULL, input_thread, link) == 0;
    if (!link->thread_runs) {
        tool_problem("cannot start a thread");
        code = TOOL_FAILED;
        goto out;
    }
    *ret_link = link;
    return TOOL_OK;
out:
    link_close(link);
    return code;
}

struct ua_client *
link_client(struct link *link)
{
    return link->client;
}

void
link_run(struct link *link)
{
    net_shard_wake(link->net); /* the first turn begins */
    net_shard_run(link->net);
}

void
link_stop(struct link *link)
{
    net_shard_stop(link->net);
}

void
link_close(struct link *link)
{
    struct hd_mail *mail;
    if (!link)
        return;
    if (link->thread_runs) {
        atomic_store_explicit(&link->ending, true, memory_order_release);
        input_wake(link);
        pthread_join(link->thread, NULL);
    }
    while (link->net && link->client && (mail = hd_mailbox_take(&link->box)) != NULL)
        free(mail);
    /* The client last: closing sockets may tell it of what is lost. */
    if (link->net)
        net_shard_free(link->net);
    (void)net_tls_unref(link->tls);
    ua_client_free(link->client);
    if (link->signal_fd >= 0)
        close(link->signal_fd);
    if (link->wake_fd >= 0)
        close(link->wake_fd);
    free(link);
}
