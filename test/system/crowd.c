/* crowd.c - thousands of subscribers of one resource and one publisher, each subscription watched
 * by itself.
 *
 *     crowd ADDRESS PORT RESOURCE SUBSCRIPTIONS SOURCES ROUNDS [PID]
 *
 * Subscribers stand on SOURCES sockets, each with an address of its own in 127.0.0.0/8, so that the
 * broker sees as many peers.  A round publishes a document with the round's number and ends when
 * every subscription was notified of it; then the same NOTIFY may come again (a retransmission: the
 * same CSeq), another one with the same document may not.  Ends with one JSON object: what was
 * counted, and the processor time that process PID has used per NOTIFY; status 1 when somebody was
 * left out or notified twice. The broker's listener has to be one without authentication. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OCTETS 4096
#define WINDOW 200u        /* SUBSCRIBEs under way */
#define AGAIN_MS 1000      /* before a request is repeated */
#define PATIENCE_MS 120000 /* for one step */
#define QUIET_MS 1500      /* after the last round: nothing more may come */

struct subscription {
    bool accepted;
    uint64_t sent_ms;
    uint32_t cseq;  /* highest seen */
    uint32_t round; /* newest round that it was notified of, + 1 */
};

struct crowd {
    struct sockaddr_in server;
    const char *host, *resource;
    unsigned port, n, n_sources, rounds;
    int *sockets;
    struct sockaddr_in *at;
    struct subscription *subs;
    int epoll, publisher;
    struct sockaddr_in publisher_at;
    unsigned next, accepted, first,
        reached;    /* subscribed so far, accepted, with a first NOTIFY, reached in this round */
    unsigned round; /* the one under way, from 1 */
    bool published;
    char etag[128];
    uint64_t notifies, repeated, twice, backwards;
};

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(2);
}

static uint64_t
now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int
open_socket(const struct crowd *c, uint32_t address, struct sockaddr_in *ret_at)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(address) } };
    socklen_t n = sizeof(at);
    int buffer = 1 << 18, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
        getsockname(fd, (struct sockaddr *)&at, &n) ||
        connect(fd, (const struct sockaddr *)&c->server, sizeof(c->server)))
        die("socket: %s", strerror(errno));
    *ret_at = at;
    return fd;
}

static void
send_text(int fd, const char *text, int n)
{
    if (n <= 0 || n >= OCTETS)
        die("a message of %d octets", n);
    (void)send(fd, text, (size_t)n, 0); /* what is lost is repeated */
}

/* --- what is sent ---------------------------------------------------------------------------- */

static void
send_subscribe(struct crowd *c, unsigned i)
{
    char text[OCTETS], at[INET_ADDRSTRLEN];
    unsigned s = i % c->n_sources, port = ntohs(c->at[s].sin_port);
    int n;

    (void)inet_ntop(AF_INET, &c->at[s].sin_addr, at, sizeof(at));
    n = snprintf(
        text, sizeof(text),
        "SUBSCRIBE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bKs%u;rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:w%u@%s>;tag=f%u\r\nTo: <%s>\r\nCall-ID: c%u@crowd\r\n"
        "CSeq: 1 SUBSCRIBE\r\nContact: <sip:w%u@%s:%u>\r\nEvent: presence\r\nExpires: 3600\r\n"
        "Accept: application/pidf+xml\r\nContent-Length: 0\r\n\r\n",
        c->resource, at, port, i, i, c->host, i, c->resource, i, i, at, port);
    send_text(c->sockets[s], text, n);
    c->subs[i].sent_ms = now_ms();
}

static void
send_publish(struct crowd *c)
{
    char text[OCTETS], body[512], match[160] = "", at[INET_ADDRSTRLEN];
    unsigned port = ntohs(c->publisher_at.sin_port);
    int n, body_n;

    (void)inet_ntop(AF_INET, &c->publisher_at.sin_addr, at, sizeof(at));
    body_n = snprintf(body, sizeof(body),
                      "<?xml version=\"1.0\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "
                      "entity=\"%s\"><tuple id=\"a\"><status><basic>open</basic></status>"
                      "<note>round=%u;</note></tuple></presence>\r\n",
                      c->resource, c->round);
    if (c->etag[0] != '\0')
        (void)snprintf(match, sizeof(match), "SIP-If-Match: %s\r\n", c->etag);
    n = snprintf(text, sizeof(text),
                 "PUBLISH %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%u;branch=z9hG4bKp%u;rport\r\n"
                 "Max-Forwards: 70\r\nFrom: <%s>;tag=p\r\nTo: <%s>\r\nCall-ID: publisher@crowd\r\n"
                 "CSeq: %u PUBLISH\r\nEvent: presence\r\nExpires: 3600\r\n%s"
                 "Content-Type: application/pidf+xml\r\nContent-Length: %d\r\n\r\n%s",
                 c->resource, at, port, c->round, c->resource, c->resource, c->round, match, body_n,
                 body);
    send_text(c->publisher, text, n);
}

/* A header's value up to the end of its line, for heads that the broker wrote. */
static const char *
header(const char *text, const char *name, int *ret_n)
{
    const char *p = strstr(text, name);

    if (!p)
        die("no %s in\n%s", name + 2, text);
    p += strlen(name);
    *ret_n = (int)strcspn(p, "\r");
    return p;
}

static void
answer(int fd, const char *text)
{
    static const char *const names[] = { "\r\nFrom: ", "\r\nTo: ", "\r\nCall-ID: ", "\r\nCSeq: " };
    char reply[OCTETS];
    int n, value_n;
    const char *value = header(text, "\r\nVia: ", &value_n);

    n = snprintf(reply, sizeof(reply), "SIP/2.0 200 OK\r\nVia: %.*s", value_n, value);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = header(text, names[i], &value_n);
        n += snprintf(reply + n, sizeof(reply) - (size_t)n, "%s%.*s", names[i], value_n, value);
    }
    n += snprintf(reply + n, sizeof(reply) - (size_t)n, "\r\nContent-Length: 0\r\n\r\n");
    send_text(fd, reply, n);
}

/* --- what comes ------------------------------------------------------------------------------ */

static struct subscription *
which(struct crowd *c, const char *text)
{
    int n;
    unsigned long i = strtoul(header(text, "\r\nCall-ID: c", &n), NULL, 10);

    if (i >= c->n)
        die("an unknown Call-ID in\n%s", text);
    return &c->subs[i];
}

static void
take_notify(struct crowd *c, int fd, const char *text)
{
    struct subscription *sub = which(c, text);
    int n;
    uint32_t cseq = (uint32_t)strtoul(header(text, "\r\nCSeq: ", &n), NULL, 10);
    const char *mark = strstr(text, "round=");
    uint32_t round = mark ? (uint32_t)strtoul(mark + 6, NULL, 10) : 0;

    answer(fd, text);
    if (cseq == sub->cseq) {
        c->repeated++;
        return;
    }
    if (cseq < sub->cseq) {
        c->backwards++; /* an old one that was overtaken */
        return;
    }
    sub->cseq = cseq;
    c->notifies++;
    if (sub->round == 0)
        c->first++;
    else if (round + 1 == sub->round)
        c->twice++;
    if (round == c->round && c->round > 0)
        c->reached++;
    sub->round = round + 1;
}

static void
take_response(struct crowd *c, const char *text)
{
    struct subscription *sub;

    if (strncmp(text, "SIP/2.0 200", 11) != 0) {
        if (strncmp(text, "SIP/2.0 100", 11) == 0)
            return;
        die("refused:\n%s", text);
    }
    if (strstr(text, "\r\nCall-ID: publisher@crowd\r\n")) {
        int n;
        const char *etag = header(text, "\r\nSIP-ETag: ", &n);
        char mark[32];

        (void)snprintf(mark, sizeof(mark), "\r\nCSeq: %u ", c->round);
        if (!strstr(text, mark))
            return;
        (void)snprintf(c->etag, sizeof(c->etag), "%.*s", n, etag);
        c->published = true;
        return;
    }
    sub = which(c, text);
    if (!sub->accepted) {
        sub->accepted = true;
        c->accepted++;
    }
}

static void
take(struct crowd *c, int fd)
{
    char text[65536];
    ssize_t n;

    while ((n = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
        text[n] = '\0';
        if (strncmp(text, "NOTIFY ", 7) == 0)
            take_notify(c, fd, text);
        else
            take_response(c, text);
    }
}

static void
turn(struct crowd *c, int timeout_ms)
{
    struct epoll_event events[256];
    int n = epoll_wait(c->epoll, events, 256, timeout_ms);

    for (int i = 0; i < n; i++)
        take(c, events[i].data.fd);
}

/* --- steps ----------------------------------------------------------------------------------- */

static void
watch_socket(const struct crowd *c, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fd } };

    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event))
        die("epoll: %s", strerror(errno));
}

static void
subscribe_all(struct crowd *c)
{
    uint64_t end = now_ms() + PATIENCE_MS, look = 0;

    while (c->accepted < c->n || c->first < c->n) {
        while (c->next < c->n && c->next - c->accepted < WINDOW)
            send_subscribe(c, c->next++);
        turn(c, 20);
        if (now_ms() > end)
            die("%u of %u subscriptions accepted, %u notified", c->accepted, c->n, c->first);
        if (now_ms() < look)
            continue;
        look = now_ms() + 100;
        for (unsigned i = 0; i < c->next; i++)
            if (!c->subs[i].accepted && now_ms() - c->subs[i].sent_ms > AGAIN_MS)
                send_subscribe(c, i);
    }
}

static void
publish_round(struct crowd *c)
{
    uint64_t end = now_ms() + PATIENCE_MS, again = 0;

    c->round++;
    c->reached = 0;
    c->published = false;
    while (!c->published || c->reached < c->n) {
        if (!c->published && now_ms() > again) {
            send_publish(c);
            again = now_ms() + AGAIN_MS;
        }
        turn(c, 20);
        if (now_ms() > end)
            die("round %u: published %d, %u of %u notified", c->round, c->published, c->reached,
                c->n);
    }
}

/* Processor time of a process in microseconds. */
static uint64_t
used_us(const char *pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    FILE *file;
    const char *p;
    size_t n;

    (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    file = fopen(path, "r");
    if (!file)
        die("%s: %s", path, strerror(errno));
    n = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    p = strrchr(text, ')');
    if (!p ||
        sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        die("%s cannot be read", path);
    return (uint64_t)(user + system) * 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
}

int
main(int argc, char **argv)
{
    struct crowd c = { 0 };
    uint64_t begin, used = 0, counted, wall, quiet;
    bool good;

    if (argc < 7)
        die("usage: crowd ADDRESS PORT RESOURCE SUBSCRIPTIONS SOURCES ROUNDS [PID]");
    c.host = argv[1];
    c.port = (unsigned)strtoul(argv[2], NULL, 10);
    c.resource = argv[3];
    c.n = (unsigned)strtoul(argv[4], NULL, 10);
    c.n_sources = (unsigned)strtoul(argv[5], NULL, 10);
    c.rounds = (unsigned)strtoul(argv[6], NULL, 10);
    c.server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)c.port) };
    if (inet_pton(AF_INET, c.host, &c.server.sin_addr) != 1 || c.n == 0 || c.n_sources == 0)
        die("these arguments make no crowd");
    c.subs = calloc(c.n, sizeof(*c.subs));
    c.sockets = calloc(c.n_sources, sizeof(*c.sockets));
    c.at = calloc(c.n_sources, sizeof(*c.at));
    c.epoll = epoll_create1(0);
    if (!c.subs || !c.sockets || !c.at || c.epoll < 0)
        die("no room");
    for (unsigned i = 0; i < c.n_sources; i++) {
        c.sockets[i] = open_socket(&c, 0x7f010001u + i, &c.at[i]);
        watch_socket(&c, c.sockets[i]);
    }
    c.publisher = open_socket(&c, 0x7f000001u, &c.publisher_at);
    watch_socket(&c, c.publisher);

    subscribe_all(&c);
    begin = now_ms();
    counted = c.notifies;
    if (argc > 7)
        used = used_us(argv[7]);
    while (c.round < c.rounds)
        publish_round(&c);
    wall = now_ms() - begin;
    counted = c.notifies - counted;
    if (argc > 7)
        used = used_us(argv[7]) - used;
    quiet = c.notifies;
    for (begin = now_ms(); now_ms() - begin < QUIET_MS;)
        turn(&c, 50);
    good = c.twice == 0 && c.notifies == quiet && c.backwards == 0;
    (void)printf("{\"subscriptions\": %u, \"rounds\": %u, \"notifies\": %" PRIu64
                 ", \"twice\": %" PRIu64 ", \"after\": %" PRIu64 ", \"backwards\": %" PRIu64
                 ", \"repeated\": %" PRIu64 ", \"ms\": %" PRIu64 ", \"cpu_us_per_notify\": %.2f}\n",
                 c.n, c.rounds, c.notifies, c.twice, c.notifies - quiet, c.backwards, c.repeated,
                 wall, counted ? (double)used / (double)counted : 0.0);
    for (unsigned i = 0; i < c.n_sources; i++)
        (void)close(c.sockets[i]);
    (void)close(c.publisher);
    (void)close(c.epoll);
    free(c.subs);
    free(c.sockets);
    free(c.at);
    return good ? 0 : 1;
}
