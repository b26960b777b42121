/* load.c - phones and publishers by the thousand: what herald and others are measured with.
 *
 *   load --server IP:PORT [--pid PID] [options] PHASE...
 *
 * Phases run one after the other in one process, since a dialog made by one is used by the next:
 *
 *   seed           a first PUBLISH for every resource
 *   subscribe      every subscription: SUBSCRIBE, its 200 and its first NOTIFY
 *   refresh[=N]    N refreshes, each with its NOTIFY (default: one for each subscription)
 *   fanout=N       N rounds: a PUBLISH for each resource, until all its subscriptions have it
 *   publish=N      N modifications, of resources that nobody watches
 *   unsubscribe    every subscription ends
 *   dead=PERCENT   from here on so many phones answer nothing
 *   rate=N         from here on N operations are begun per second, 0: as many as the window allows
 *   memory         the server's memory
 *   pause          until a line comes on standard input
 *   wire=N         N datagrams of bench/wire.c instead of a server
 *
 * Each prints one line of JSON.  The CPU time in it is that of the server's processes; wall time is
 * for the curious, since both share the machine.
 *
 * It never sleeps on its socket: a sleeping receiver is woken by the sender, who pays for it.  With
 * a pace to keep it naps between two looks.  It answers before it asks.  What it costs itself per
 * operation stands in every line (load_us); nearly all of that is the kernel's, so it has to have a
 * core of its own, and is then the faster of the two. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "phones.h"

static const struct op_name op_names[] = {
    { "seed", OP_SEED, false },       { "subscribe", OP_SUBSCRIBE, false },
    { "refresh", OP_REFRESH, false }, { "fanout", OP_FANOUT, true },
    { "publish", OP_PUBLISH, true },  { "unsubscribe", OP_UNSUBSCRIBE, false },
    { "dead", OP_DEAD, true },        { "rate", OP_RATE, true },
    { "memory", OP_MEMORY, false },   { "pause", OP_PAUSE, false },
    { "wire", OP_WIRE, true },
};

/* --- phases --------------------------------------------------------------------------------- */

/* What this program paid: its CPU time less the part of it that looked at an empty socket. */
static double
own_us(const struct phase *phase, uint64_t wall_ns)
{
    double busy = wall_ns ? (double)phase->busy_ns / (double)wall_ns : 1;

    return (double)phase->own_cpu_ns / 1000 * (busy < 1 ? busy : 1);
}

static double
user_part(const struct phase *phase)
{
    uint64_t all = phase->ticks.user + phase->ticks.system;

    return all ? (double)phase->ticks.user / (double)all : 0;
}

static void
report(const struct load *load, uint64_t cpu_ns, uint64_t wall_ns)
{
    const struct phase *p = &load->phase;
    uint64_t count = p->name->op == OP_FANOUT ? p->notifies : p->done - p->failed;
    double n = count ? (double)count : 1;

    printf("{\"label\":\"%s\",\"phase\":\"%s\",\"package\":\"%s\",\"subs\":%u,\"resources\":%u,"
           "\"phones\":%u,\"window\":%u,\"count\":%llu,\"notifies\":%llu,",
           load->label, p->name->name, load->package, load->subs, load->resources, load->phones,
           load->window, (unsigned long long)count, (unsigned long long)p->notifies);
    printf("\"cpu_us\":%.3f,\"user_us\":%.3f,\"cpu_ms\":%.1f,\"wall_ms\":%.1f,"
           "\"per_second\":%.0f,\"load_us\":%.3f,",
           (double)cpu_ns / 1000 / n, (double)cpu_ns / 1000 / n * user_part(p),
           (double)cpu_ns / 1e6, (double)wall_ns / 1e6, n / ((double)wall_ns / 1e9),
           own_us(p, wall_ns) / n);
    printf("\"p50_us\":%.0f,\"p99_us\":%.0f,\"moving_p99_us\":%.0f,\"stood_ms\":%.1f,",
           phones_latency(&p->latency, 0.5), phones_latency(&p->latency, 0.99),
           phones_latency(&p->moving, 0.99), (double)load->now.stood_ns / 1e6);
    printf("\"failed\":%llu,\"missing\":%llu,\"repeated\":%llu,"
           "\"needless\":%llu,\"stray\":%llu,\"misrouted\":%llu,\"retransmitted\":%llu,"
           "\"challenged\":%llu,\"rate\":%u,\"done\":%s}\n",
           (unsigned long long)p->failed, (unsigned long long)p->missing,
           (unsigned long long)p->repeated, (unsigned long long)p->needless,
           (unsigned long long)p->stray, (unsigned long long)p->misrouted,
           (unsigned long long)p->retransmitted, (unsigned long long)p->challenged, load->rate,
           p->complete ? "true" : "false");
    (void)fflush(stdout);
}

static uint64_t
ops_of(const struct load *load, enum op op, uint64_t number)
{
    switch (op) {
    case OP_SEED:
        return load->resources;
    case OP_SUBSCRIBE:
    case OP_UNSUBSCRIBE:
        return load->subs;
    case OP_REFRESH:
        return number ? number : load->subs;
    case OP_FANOUT:
        return number * load->resources;
    case OP_PUBLISH:
    case OP_WIRE:
        return number;
    case OP_DEAD:
    case OP_RATE:
    case OP_MEMORY:
    case OP_PAUSE:
        return 0;
    }
    return 0;
}

static void
kill_phones(struct load *load, uint64_t percent)
{
    for (uint32_t i = 0; i < load->subs; i++)
        load->sub[i].dead = (i % load->phones) * 7919ull % 100 < percent;
}

static void
ask_wire(struct load *load)
{
    char *room = io_reserve(load->io);
    struct out o = { room, room }, *out = &o;

    OUT(out, "WIRE ");
    out_number(out, load->phase.ops);
    OUT(out, " ");
    out_number(out, load->phones);
    OUT(out, " ");
    out_number(out, load->window);
    OUT(out, " ");
    out_number(out, load->run);
    OUT(out, " ");
    io_commit(load->io, (size_t)(out->p - out->start), phones_ip(load, 0), load->server);
}

static uint64_t
own_cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool
do_phase(struct load *load, const struct op_name *name, uint64_t number)
{
    struct proc_ticks ticks;
    uint64_t cpu_ns;

    memset(&load->phase, 0, sizeof(load->phase));
    load->phase.name = name;
    load->phase.ops = ops_of(load, name->op, number);
    if (name->op == OP_MEMORY) {
        printf("{\"label\":\"%s\",\"phase\":\"memory\",\"octets\":%llu}\n", load->label,
               (unsigned long long)proc_memory(&load->tree));
        (void)fflush(stdout);
        return true;
    }
    if (name->op == OP_PAUSE) {
        printf("{\"label\":\"%s\",\"phase\":\"pause\"}\n", load->label);
        (void)fflush(stdout);
        for (int c = getchar(); c != EOF && c != '\n';)
            c = getchar();
        return true;
    }
    if (name->op == OP_RATE) {
        load->rate = (uint32_t)number;
        return true;
    }
    if (name->op == OP_DEAD) {
        kill_phones(load, number);
        return true;
    }
    load->phase.own_cpu_ns = own_cpu_ns();
    ticks = proc_ticks(&load->tree);
    cpu_ns = proc_cpu_ns(&load->tree);
    if (name->op == OP_WIRE)
        ask_wire(load);
    phones_run(load, name->op == OP_WIRE ? 2000000000ull : 12000000000ull);
    cpu_ns = proc_cpu_ns(&load->tree) - cpu_ns;
    load->phase.own_cpu_ns = own_cpu_ns() - load->phase.own_cpu_ns;
    load->phase.ticks = proc_ticks(&load->tree);
    load->phase.ticks.user -= ticks.user;
    load->phase.ticks.system -= ticks.system;
    load->now.ns = io_now_ns();
    if (load->phase.complete || name->op == OP_WIRE) {
        report(load, cpu_ns, load->phase.heard_ns - load->phase.begun.ns);
        return true;
    }
    phones_abandon(load);
    report(load, cpu_ns, load->now.ns - load->phase.begun.ns);
    return false;
}

/* --- command line --------------------------------------------------------------------------- */

static const struct option long_options[] = {
    { "server", required_argument, NULL, 's' },
    { "port", required_argument, NULL, 'p' },
    { "pid", required_argument, NULL, 'P' },
    { "subs", required_argument, NULL, 'n' },
    { "resources", required_argument, NULL, 'r' },
    { "publishers", required_argument, NULL, 'u' },
    { "phones", required_argument, NULL, 'a' },
    { "window", required_argument, NULL, 'w' },
    { "rate", required_argument, NULL, 'R' },
    { "limit", required_argument, NULL, 'l' },
    { "package", required_argument, NULL, 'e' },
    { "label", required_argument, NULL, 'L' },
    { "proxy", no_argument, NULL, 'x' },
    { "digest", no_argument, NULL, 'd' },
    { 0 },
};

static const char usage[] =
    "usage: load --server IP:PORT [--pid PID] [options] PHASE...\n"
    "  --port N        port of all phones (17000)\n"
    "  --subs N        subscriptions (1000)\n"
    "  --resources N   resources that they watch (1)\n"
    "  --publishers N  resources that nobody watches, for `publish` (1000)\n"
    "  --phones N      source addresses (1024)\n"
    "  --proxy         everything comes through 4 proxies instead\n"
    "  --digest        phones log in as u0 to u99, password bench, when they are asked to\n"
    "  --window N      operations that are out at a time (64)\n"
    "  --rate N        operations begun per second, 0: as many as the window allows\n"
    "  --limit S       a phase is cut short after so many seconds (60)\n"
    "  --package NAME  event package (presence); message-summary has a body of its own, others are "
    "opaque\n"
    "  --label TEXT    put into every line\n"
    "phases: seed, subscribe, refresh[=N], fanout=ROUNDS, publish=N, unsubscribe, dead=PERCENT, "
    "rate=N, memory, pause, wire=N\n";

static void
refuse(const char *what, const char *value)
{
    fprintf(stderr, "load: %s: %s\n%s", what, value, usage);
    exit(2);
}

static uint32_t
number_option(const char *value, uint32_t least, uint32_t most)
{
    char *rest;
    unsigned long long n;

    errno = 0;
    n = strtoull(value, &rest, 10);
    if (errno || rest == value || *rest || n < least || n > most)
        refuse("not a number in its range", value);
    return (uint32_t)n;
}

static struct io_peer
server_option(char *value)
{
    char *colon = strchr(value, ':');
    struct in_addr ip;

    if (!colon)
        refuse("expected IP:PORT", value);
    *colon = '\0';
    if (inet_pton(AF_INET, value, &ip) != 1)
        refuse("not an IPv4 address", value);
    return (struct io_peer){ ip.s_addr, htons((uint16_t)number_option(colon + 1, 1, 65535)) };
}

static void
take_option(struct load *load, int c, char *value)
{
    switch (c) {
    case 's':
        load->server = server_option(value);
        break;
    case 'p':
        load->port = htons((uint16_t)number_option(value, 1, 65535));
        break;
    case 'P':
        load->pid = (pid_t)number_option(value, 1, INT32_MAX);
        break;
    case 'n':
        load->subs = number_option(value, 1, 4000000);
        break;
    case 'r':
        load->resources = number_option(value, 1, 4000000);
        break;
    case 'u':
        load->publishers = number_option(value, 1, 4000000);
        break;
    case 'a':
        load->phones = number_option(value, 1, 5000000);
        break;
    case 'w':
        load->window = number_option(value, 1, WINDOW_MAX);
        break;
    case 'R':
        load->rate = number_option(value, 0, 10000000);
        break;
    case 'l':
        load->limit_s = number_option(value, 1, 3600);
        break;
    case 'e':
        load->package = value;
        break;
    case 'L':
        load->label = value;
        break;
    case 'x':
        load->proxy = true;
        break;
    case 'd':
        load->digest = digest_new();
        if (!load->digest)
            refuse("libcrypto has no MD5", "");
        break;
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static const struct op_name *
find_op(const char *arg, uint64_t *ret_number)
{
    const char *equals = strchr(arg, '=');
    size_t n = equals ? (size_t)(equals - arg) : strlen(arg);

    for (unsigned i = 0; i < LEN(op_names); i++)
        if (strlen(op_names[i].name) == n && memcmp(op_names[i].name, arg, n) == 0) {
            *ret_number = equals ? number_option(equals + 1, 0, UINT32_MAX) : 0;
            if (op_names[i].needs_number && !equals)
                refuse("this phase needs a number", arg);
            return &op_names[i];
        }
    refuse("no such phase", arg);
    return NULL;
}

static void
set_up(struct load *load)
{
    if (load->proxy)
        load->phones = 4;
    load->body = strcmp(load->package, "presence") == 0          ? MSG_PIDF
                 : strcmp(load->package, "message-summary") == 0 ? MSG_SUMMARY
                                                                 : MSG_OPAQUE;
    load->run = (uint32_t)(io_now_ns() / 1000 % 1000000000);
    load->tree = proc_tree(load->pid);
    if (load->pid && load->tree.n == 0) {
        fprintf(stderr, "load: no process %d\n", (int)load->pid);
        exit(1);
    }
    if (!phones_init(load)) {
        perror("load");
        exit(1);
    }
}

int
main(int argc, char **argv)
{
    static struct load load = { .package = "presence", .label = "" };
    bool all = true;
    uint64_t number;
    int c;

    load.subs = 1000;
    load.resources = 1;
    load.publishers = 1000;
    load.phones = 1024;
    load.window = 64;
    load.limit_s = 60;
    load.port = htons(17000);
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        take_option(&load, c, optarg);
    if (load.server.port == 0 || optind == argc)
        refuse("a server and a phase are needed", "");
    for (int i = optind; i < argc; i++)
        (void)find_op(argv[i], &number);
    set_up(&load);
    for (int i = optind; i < argc && all; i++) {
        const struct op_name *name = find_op(argv[i], &number);
        all = do_phase(&load, name, number);
    }
    phones_done(&load);
    return all ? 0 : 1;
}
