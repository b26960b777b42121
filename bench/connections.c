/* connections.c - what connections cost the server, by transport.
 *
 *     connections tcp|tls|ws|wss N
 *
 * A process of its own has a shard with one listener; N clients connect, send one message each, get
 * it back, and stay.  At a tenth, a half and all of them a line of JSON says the resident memory of
 * the server per connection, beside the kernel's; what the server does in a second in which nothing
 * comes; and what a message costs that comes on one and goes back on it, with SAMPLE of them,
 * spread over all, sending at once.  A flat cost is the same at each.  Time is CPU of the server:
 * in a quiet second the least of several, of many rounds of messages the one that a quarter are
 * below.
 */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/net.h"
#include "net/tls.h"

#define YOUNG_S 10 /* deadlines of a connection that begins */
#define MESSAGE "OPTIONS sip:x SIP/2.0\r\n\r\n"
#define REQUEST                                                                                    \
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n"               \
    "Sec-WebSocket-Version: 13\r\n\r\n"
#define UPGRADED 129 /* octets of the answer to it */

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

/* --- the server --------------------------------------------------------------------------------
 */

static struct net_shard *shard;

static void
on_packet(void *context, const struct hd_flow *flow, struct hd_slice octets)
{
    char *room = net_reserve(shard, octets.n);

    (void)context;
    if (!room)
        abort();
    memcpy(room, octets.p, octets.n);
    net_commit(shard, flow, octets.n, 0);
}

static uint64_t
on_turn(void *context, uint64_t now_us)
{
    (void)context;
    (void)now_us;
    return UINT64_MAX;
}

static enum net_frame
on_frame(struct hd_slice stream, size_t max_body, size_t *ret_len)
{
    (void)max_body;
    if (stream.n < sizeof(MESSAGE) - 1)
        return NET_FRAME_MORE;
    *ret_len = sizeof(MESSAGE) - 1;
    return NET_FRAME_MESSAGE;
}

static struct net_tls *
make_tls(const char *folder)
{
    char certificate[128], key[128], problem[256] = "";
    const struct net_tls_pair pair = { certificate, key };
    const struct net_tls_server server = { .pairs = &pair, .n_pairs = 1 };
    const struct hd_slice name = HD_LIT("localhost");
    struct net_tls *tls = NULL;

    (void)snprintf(certificate, sizeof(certificate), "%s/crt", folder);
    (void)snprintf(key, sizeof(key), "%s/key", folder);
    if (net_tls_self_signed(&pair, &name, 1, NULL, 0, problem) ||
        net_tls_new(&(struct net_tls_params){ .servers = &server,
                                              .n_servers = 1,
                                              .client_trusts_all = true },
                    &tls))
        abort();
    (void)unlink(certificate);
    (void)unlink(key);
    return tls;
}

static void
serve(enum hd_transport transport, const char *folder, int tell)
{
    struct net_listener listener = { .transport = transport,
                                     .addr = { .ip = { 127, 0, 0, 1 }, .family = 4 } };
    struct net_params params = { .shards = 1,
                                 .listeners = &listener,
                                 .n_listeners = 1,
                                 .max_body = 65536,
                                 .max_connections = 100000,
                                 .idle_ms = 3600000,
                                 .message_ms = YOUNG_S * 1000,
                                 .connect_ms = 4000,
                                 .handshake_ms = YOUNG_S * 1000,
                                 .max_queued = 1 << 20,
                                 .tls = make_tls(folder),
                                 .on = {
                                     .packet = on_packet, .turn = on_turn, .frame = on_frame } };
    char problem[256];
    struct hd_addr bound;

    if (net_shard_new(&params, problem, &shard))
        abort();
    bound = net_shard_bound(shard, 0);
    if (write(tell, &bound.port, sizeof(bound.port)) != sizeof(bound.port))
        fail("pipe");
    net_shard_run(shard);
    exit(0);
}

/* --- the clients -------------------------------------------------------------------------------
 */

struct client {
    int fd;
    SSL *ssl; /* NULL: without TLS, or forgotten */
};

static void
put(int fd, SSL *ssl, const void *p, size_t n)
{
    if (ssl ? SSL_write(ssl, p, (int)n) != (int)n : send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        fail("send");
}

static void
get(int fd, SSL *ssl, size_t n)
{
    char octets[512];

    while (n > 0) {
        ssize_t got = ssl ? SSL_read(ssl, octets, (int)n) : recv(fd, octets, n, 0);
        if (got <= 0)
            fail("recv");
        n -= (size_t)got;
    }
}

/* One message, in a frame that is masked with zeros where that is wanted. */
static void
send_message(int fd, SSL *ssl, bool web)
{
    char frame[128] = { (char)0x82, (char)(0x80 | (sizeof(MESSAGE) - 1)) };

    if (!web) {
        put(fd, ssl, MESSAGE, sizeof(MESSAGE) - 1);
        return;
    }
    memcpy(frame + 6, MESSAGE, sizeof(MESSAGE) - 1);
    put(fd, ssl, frame, 6 + sizeof(MESSAGE) - 1);
}

/* One client; its socket stays open, its TLS is forgotten unless it is to be kept. */
static struct client
visit(enum hd_transport transport, uint16_t port, SSL_CTX *ctx, bool keep)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    bool web = transport == HD_WS || transport == HD_WSS;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SSL *ssl = NULL;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)&to, sizeof(to)) < 0)
        fail("connect");
    if (transport == HD_TLS || transport == HD_WSS) {
        ssl = SSL_new(ctx);
        if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
            fail("TLS");
    }
    if (web) {
        put(fd, ssl, REQUEST, sizeof(REQUEST) - 1);
        get(fd, ssl, UPGRADED);
    }
    send_message(fd, ssl, web);
    get(fd, ssl, (web ? 2 : 0) + sizeof(MESSAGE) - 1);
    if (!keep) {
        SSL_free(ssl);
        ssl = NULL;
    }
    return (struct client){ fd, ssl };
}

/* CPU time of the server, user and system, in nanoseconds. */
static double
cpu_ns(pid_t pid)
{
    struct timespec time;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &time))
        fail("the server's clock");
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static long
resident_kib(pid_t pid)
{
    char path[64];
    long pages = 0, resident = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        fail(path);
    (void)fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

#define SAMPLE 500u /* connections that send at once */
#define ROUNDS 200
#define SECONDS 3

/* CPU of one message there and back on each of the sample, in ns. */
static double
round_ns(const struct client *clients, unsigned n, bool web, pid_t pid)
{
    const double start = cpu_ns(pid);

    for (unsigned i = 0; i < SAMPLE; i++) {
        const struct client *client = &clients[(uint64_t)i * n / SAMPLE];
        send_message(client->fd, client->ssl, web);
    }
    for (unsigned i = 0; i < SAMPLE; i++) {
        const struct client *client = &clients[(uint64_t)i * n / SAMPLE];
        get(client->fd, client->ssl, (web ? 2 : 0) + sizeof(MESSAGE) - 1);
    }
    return (cpu_ns(pid) - start) / SAMPLE;
}

static int
compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The figures with n connections. */
static void
figures(const char *name, bool web, const struct client *clients, unsigned n, pid_t pid,
        long before)
{
    const double kib = (double)(resident_kib(pid) - before) / n;
    double idle = 1e18, busy[ROUNDS];

    (void)sleep(YOUNG_S + 1); /* each looks once more whether its beginning has ended */
    for (int i = 0; i < SECONDS; i++) {
        const double start = cpu_ns(pid);
        (void)sleep(1);
        const double now = cpu_ns(pid) - start;
        idle = now < idle ? now : idle;
    }
    for (int i = 0; i < ROUNDS; i++)
        busy[i] = round_ns(clients, n, web, pid);
    qsort(busy, ROUNDS, sizeof(busy[0]), compare);
    (void)printf("{\"transport\": \"%s\", \"connections\": %u, \"kib\": %.2f, "
                 "\"idle_us_per_s\": %.0f, \"message_us\": %.2f}\n",
                 name, n, kib, idle / 1000, busy[ROUNDS / 4] / 1000);
    (void)fflush(stdout);
}

/* Whether the next step of the sample can fall on the i-th connection: others forget their TLS,
 * which would cost this process more than the server. */
static bool
sampled(unsigned i, unsigned n)
{
    const unsigned totals[] = { n / 10, n / 2, n };

    for (unsigned k = 0; k < 3; k++)
        for (unsigned s = 0; s < SAMPLE; s++)
            if ((uint64_t)s * totals[k] / SAMPLE == i)
                return true;
    return false;
}

int
main(int argc, char **argv)
{
    static const char *const names[] = { "tcp", "tls", "ws", "wss" };
    char folder[] = "/tmp/herald-connections-XXXXXX";
    struct rlimit limit;
    int transport = 0, tell[2];
    unsigned n = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    uint16_t port;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct client *clients;
    long before;
    pid_t pid = -1;

    for (int i = 0; i < 4 && argc == 3; i++)
        if (strcmp(argv[1], names[i]) == 0)
            transport = HD_TCP + i;
    clients = calloc(n + 1, sizeof(*clients));
    if (!transport || n < 10 * SAMPLE || !clients || !ctx || !mkdtemp(folder)) {
        (void)fprintf(stderr, "usage: connections tcp|tls|ws|wss N, from %u on\n", 10 * SAMPLE);
        return 2;
    }
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (pipe(tell) < 0 || (pid = fork()) < 0)
        fail("fork");
    if (pid == 0)
        serve((enum hd_transport)transport, folder, tell[1]);
    const bool told = read(tell[0], &port, sizeof(port)) == sizeof(port);
    (void)rmdir(folder); /* the server has read and removed what was in it */
    if (!told)
        fail("server");
    const bool web = transport == HD_WS || transport == HD_WSS;
    for (unsigned i = 0; i < 10; i++) /* what is made once */
        (void)visit((enum hd_transport)transport, port, ctx, false);
    before = resident_kib(pid);
    for (unsigned i = 1; i <= n; i++) {
        clients[i - 1] = visit((enum hd_transport)transport, port, ctx, sampled(i - 1, n));
        if (i == n / 10 || i == n / 2 || i == n)
            figures(argv[1], web, clients, i, pid, before);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    for (unsigned i = 0; i < n; i++)
        SSL_free(clients[i].ssl);
    free(clients);
    SSL_CTX_free(ctx);
    return 0;
}
