/* load.c - phones and publishers by the thousand: what herald and others are measured with.
 *
 *   load --server IP:PORT [--pid PID] [options] PHASE...
 *
 * Phases run one after the other in one process, since a dialog made by one is used by the next:
 *
 *   seed           a first PUBLISH for every resource
 *   subscribe      every subscription: SUBSCRIBE, its 200 and its first NOTIFY
 *   refresh[=N]    N refreshes, each with its NOTIFY (default: one for each subscription)
 *   fanout=N       N rounds: for each resource a PUBLISH, until each of its subscriptions has the
 * new state publish=N      N modifications, of resources that nobody watches unsubscribe    every
 * subscription ends dead=PERCENT   from here on so many phones answer nothing memory         the
 * server's memory wire=N         N datagrams of bench/wire.c instead of a server
 *
 * Each prints one line of JSON.  The CPU time in it is that of the server's processes; wall time is
 * for the curious, since both share the machine.
 *
 * It never sleeps: a sleeping receiver is woken by the sender, who pays for it.  It answers before
 * it asks.  What it costs itself per operation stands in every line (load_us), and has to be a
 * third of the server's or less for the rates to mean something.
 *
 * Invariants: a subscription or publisher has at most one request out (txn.slot says where in the
 * active list it is); `left` of a publisher counts the live subscriptions that lack its newest
 * state; phase.done counts what was taken off the active list. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "msg.h"
#include "proc.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define WINDOW_MAX 8192
#define TAG_MAX 80
#define NONE UINT32_MAX
#define T1_NS 500000000ull
#define T2_NS 4000000000ull
#define TRIES_MAX 10
#define LATE_NS 10000000000ull /* a NOTIFY that is owed to a SUBSCRIBE and does not come */
#define CHECK_NS 50000000ull
#define RECEIVE_BUFFER (128 << 20)
#define COMPLAINTS_MAX 5
#define BINS 16 /* per power of two of a histogram */

struct txn {
    uint64_t sent_ns;
    uint32_t cseq;
    uint32_t slot; /* in the active list, or NONE */
    uint8_t tries;
    bool unanswered;
};

struct sub {
    struct txn txn;
    uint32_t notify_cseq;
    uint32_t round; /* newest event state that it was told */
    bool owed;      /* a NOTIFY for the request that is out */
    bool live, dead;
    uint8_t tag_n;
    char tag[TAG_MAX];
};

struct pub {
    struct txn txn;
    uint32_t round;
    uint32_t left;
    uint64_t since_ns; /* when the first copy of the newest state left */
    uint8_t etag_n;
    char etag[TAG_MAX];
};

enum op {
    OP_SEED,
    OP_SUBSCRIBE,
    OP_REFRESH,
    OP_FANOUT,
    OP_PUBLISH,
    OP_UNSUBSCRIBE,
    OP_DEAD,
    OP_MEMORY,
    OP_PAUSE,
    OP_WIRE
};

static const struct op_name {
    const char *name;
    enum op op;
    bool needs_number;
} op_names[] = {
    { "seed", OP_SEED, false },       { "subscribe", OP_SUBSCRIBE, false },
    { "refresh", OP_REFRESH, false }, { "fanout", OP_FANOUT, true },
    { "publish", OP_PUBLISH, true },  { "unsubscribe", OP_UNSUBSCRIBE, false },
    { "dead", OP_DEAD, true },        { "memory", OP_MEMORY, false },
    { "pause", OP_PAUSE, false },     { "wire", OP_WIRE, true },
};

struct histogram {
    uint64_t n;
    uint32_t bin[64 * BINS];
};

struct phase {
    const struct op_name *name;
    uint64_t number;          /* as given */
    uint64_t ops, next, done; /* to do, begun, ended */
    uint64_t notifies, failed, missing, repeated, needless, stray, retransmitted, misrouted;
    uint64_t begun_ns, heard_ns, busy_ns;
    uint64_t own_cpu_ns; /* of this program, idle turns included */
    bool complete;
    struct histogram latency;
};

struct active {
    char kind; /* s or p */
    uint32_t index;
};

struct load {
    struct io *io;
    struct io_peer server;
    uint16_t port; /* network byte order */
    pid_t pid;
    struct proc_tree tree;
    uint32_t run, subs, resources, publishers, phones, window, rate, limit_s;
    bool proxy;
    const char *package, *label;
    enum msg_body body;
    uint64_t now_ns, checked_ns;
    struct sub *sub;
    struct pub *pub; /* of the resources, then of those that nobody watches */
    uint32_t n_active;
    struct active active[WINDOW_MAX];
    struct text contact; /* of the server, from its last response that had one */
    char contact_room[256];
    unsigned complaints;
    struct phase phase;
};

/* --- names ---------------------------------------------------------------------------------- */

/* Phones are 127.1.0.1 and up, without the numbers 0 and 251 to 255 in the last octets. */
static uint32_t
phone_ip(const struct load *load, uint32_t i)
{
    uint32_t phone = i % load->phones;

    if (load->proxy)
        return htonl(0x7f640001u + phone);
    return htonl(0x7f010001u + (phone / 62500 << 16) + (phone / 250 % 250 << 8) + phone % 250);
}

static uint32_t
resource_of(const struct load *load, uint32_t sub)
{
    return (uint32_t)((uint64_t)sub * load->resources / load->subs);
}

static uint32_t
first_sub(const struct load *load, uint32_t resource)
{
    return (uint32_t)(((uint64_t)resource * load->subs + load->resources - 1) / load->resources);
}

/* --- requests ------------------------------------------------------------------------------- */

static void
out_resource(struct out *out, uint32_t resource)
{
    OUT(out, "sip:r");
    out_number(out, resource);
    OUT(out, "@bench.test");
}

static void
out_phone(const struct load *load, struct out *out, uint32_t ip)
{
    out_ip(out, ip);
    *out->p++ = ':';
    out_number(out, ntohs(load->port));
}

/* Via, Max-Forwards and Call-ID.  Behind a proxy the phone has an address that only the proxy
 * reaches. */
static void
out_head(const struct load *load, struct out *out, char kind, uint32_t index, uint32_t cseq,
         uint32_t ip)
{
    OUT(out, " SIP/2.0\r\nVia: SIP/2.0/UDP ");
    out_phone(load, out, ip);
    OUT(out, ";rport;branch=z9hG4bK-");
    *out->p++ = kind;
    out_number10(out, index);
    *out->p++ = '-';
    out_number(out, load->run);
    *out->p++ = '-';
    out_number(out, cseq);
    if (load->proxy) {
        OUT(out, "\r\nVia: SIP/2.0/UDP 10.1.2.3:5060;branch=z9hG4bK-behind-");
        out_number10(out, index);
        OUT(out, "\r\nRecord-Route: <sip:");
        out_phone(load, out, ip);
        OUT(out, ";lr>");
    }
    OUT(out, "\r\nMax-Forwards: 70\r\nCall-ID: ");
    *out->p++ = kind;
    out_number(out, index);
    *out->p++ = '-';
    out_number(out, load->run);
    *out->p++ = '@';
    out_ip(out, ip);
}

static void
out_event(const struct load *load, struct out *out)
{
    OUT(out, "\r\nEvent: ");
    out_text(out, (struct text){ load->package, strlen(load->package) });
}

static void
send_subscribe(struct load *load, uint32_t index)
{
    struct sub *sub = &load->sub[index];
    char *room = io_reserve(load->io);
    struct out o = { room, room }, *out = &o;
    uint32_t ip = phone_ip(load, index), resource = resource_of(load, index);

    OUT(out, "SUBSCRIBE ");
    if (sub->live && load->contact.n > 0)
        out_text(out, load->contact);
    else
        out_resource(out, resource);
    out_head(load, out, 's', index, sub->txn.cseq, ip);
    OUT(out, "\r\nFrom: \"Desk ");
    out_number(out, index);
    OUT(out, "\" <sip:w");
    out_number(out, index);
    OUT(out, "@bench.test>;tag=f");
    out_number10(out, index);
    OUT(out, "\r\nTo: <");
    out_resource(out, resource);
    OUT(out, ">");
    if (sub->live) {
        OUT(out, ";tag=");
        out_text(out, (struct text){ sub->tag, sub->tag_n });
    }
    OUT(out, "\r\nCSeq: ");
    out_number(out, sub->txn.cseq);
    OUT(out, " SUBSCRIBE\r\nContact: <sip:w");
    out_number(out, index);
    *out->p++ = '@';
    if (load->proxy)
        OUT(out, "10.1.2.3:5060");
    else
        out_phone(load, out, ip);
    OUT(out, ">");
    out_event(load, out);
    OUT(out, "\r\nAccept: ");
    out_text(out, msg_type(load->body));
    OUT(out, "\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO"
             "\r\nSupported: replaces, timer\r\nUser-Agent: bench phone 1.0");
    if (load->phase.name->op == OP_UNSUBSCRIBE)
        OUT(out, "\r\nExpires: 0");
    else
        OUT(out, "\r\nExpires: 3600");
    OUT(out, "\r\nContent-Length: 0\r\n\r\n");
    io_commit(load->io, (size_t)(out->p - out->start), ip, load->server);
}

static void
send_publish(struct load *load, uint32_t index)
{
    struct pub *pub = &load->pub[index];
    char document[IO_OCTETS / 2], *room = io_reserve(load->io);
    struct out o = { room, room }, *out = &o, d = { document, document };
    uint32_t ip = phone_ip(load, index);

    msg_document(&d, load->body, index, pub->round);
    OUT(out, "PUBLISH ");
    out_resource(out, index);
    out_head(load, out, 'p', index, pub->txn.cseq, ip);
    OUT(out, "\r\nFrom: <");
    out_resource(out, index);
    OUT(out, ">;tag=f");
    out_number10(out, pub->txn.cseq);
    OUT(out, "\r\nTo: <");
    out_resource(out, index);
    OUT(out, ">\r\nCSeq: ");
    out_number(out, pub->txn.cseq);
    OUT(out, " PUBLISH");
    out_event(load, out);
    OUT(out, "\r\nExpires: 3600\r\nUser-Agent: bench publisher 1.0\r\n");
    if (pub->etag_n > 0) {
        OUT(out, "SIP-If-Match: ");
        out_text(out, (struct text){ pub->etag, pub->etag_n });
        OUT(out, "\r\n");
    }
    OUT(out, "Content-Type: ");
    out_text(out, msg_type(load->body));
    OUT(out, "\r\nContent-Length: ");
    out_number(out, (uint64_t)(d.p - d.start));
    OUT(out, "\r\n\r\n");
    out_text(out, (struct text){ d.start, (size_t)(d.p - d.start) });
    io_commit(load->io, (size_t)(out->p - out->start), ip, load->server);
}

/* --- operations ----------------------------------------------------------------------------- */

static void
histogram_add(struct histogram *h, uint64_t ns)
{
    unsigned shift = ns < BINS ? 0 : (unsigned)(63 - __builtin_clzll(ns)) - 4;

    h->n++;
    h->bin[shift * BINS +
           (ns >> shift)]++; /* from the second power on the upper bit counts one on */
}

/* Upper edge of the bin that holds the part of all, in microseconds. */
static double
histogram_part(const struct histogram *h, double part)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < LEN(h->bin); i++) {
        seen += h->bin[i];
        if (seen > 0 && (double)seen >= part * (double)h->n) {
            unsigned shift = i < 2 * BINS ? 0 : i / BINS - 1;
            return (double)(((uint64_t)(i - shift * BINS) + 1) << shift) / 1000;
        }
    }
    return 0;
}

static void
begin(struct load *load, struct txn *txn, char kind, uint32_t index)
{
    txn->cseq++;
    txn->tries = 0;
    txn->unanswered = true;
    txn->sent_ns = load->now_ns;
    txn->slot = load->n_active;
    load->active[load->n_active++] = (struct active){ kind, index };
}

static struct txn *
txn_of(struct load *load, struct active active)
{
    return active.kind == 's' ? &load->sub[active.index].txn : &load->pub[active.index].txn;
}

static void
end(struct load *load, struct txn *txn)
{
    struct active *last = &load->active[--load->n_active];

    load->active[txn->slot] = *last;
    txn_of(load, *last)->slot = txn->slot;
    txn->slot = NONE;
    load->phase.done++;
}

static void
begin_sub(struct load *load, uint32_t index)
{
    struct sub *sub = &load->sub[index];

    begin(load, &sub->txn, 's', index);
    sub->owed = true;
    send_subscribe(load, index);
}

static uint32_t
count_live(const struct load *load, uint32_t resource)
{
    uint32_t n = 0, to = first_sub(load, resource + 1);

    for (uint32_t i = first_sub(load, resource); i < to; i++)
        n += load->sub[i].live && !load->sub[i].dead;
    return n;
}

static void
begin_pub(struct load *load, uint32_t index)
{
    struct pub *pub = &load->pub[index];

    begin(load, &pub->txn, 'p', index);
    pub->round++;
    pub->left = load->phase.name->op == OP_FANOUT ? count_live(load, index) : 0;
    pub->since_ns = load->now_ns;
    send_publish(load, index);
}

/* Begins the next operation of the phase; false: its subject is busy. */
static bool
begin_next(struct load *load)
{
    struct phase *phase = &load->phase;
    uint32_t index;

    switch (phase->name->op) {
    case OP_SUBSCRIBE:
    case OP_REFRESH:
    case OP_UNSUBSCRIBE:
        index = (uint32_t)(phase->next % load->subs);
        if (load->sub[index].txn.slot != NONE)
            return false;
        if (phase->name->op != OP_SUBSCRIBE && (!load->sub[index].live || load->sub[index].dead))
            phase->done++;
        else
            begin_sub(load, index);
        break;
    case OP_SEED:
    case OP_FANOUT:
    case OP_PUBLISH:
        index = phase->name->op == OP_PUBLISH
                    ? load->resources + (uint32_t)(phase->next % load->publishers)
                    : (uint32_t)(phase->next % load->resources);
        if (load->pub[index].txn.slot != NONE)
            return false;
        begin_pub(load, index);
        break;
    case OP_WIRE:
    case OP_DEAD:
    case OP_MEMORY:
    case OP_PAUSE:
        break;
    }
    phase->next++;
    return true;
}

/* An operation ends when everything that it causes has come. */
static void
settle_sub(struct load *load, struct sub *sub)
{
    if (sub->txn.slot == NONE || sub->txn.unanswered || sub->owed)
        return;
    histogram_add(&load->phase.latency, load->now_ns - sub->txn.sent_ns);
    end(load, &sub->txn);
}

static void
settle_pub(struct load *load, struct pub *pub)
{
    if (pub->txn.slot == NONE || pub->txn.unanswered || pub->left > 0)
        return;
    if (load->phase.name->op != OP_FANOUT)
        histogram_add(&load->phase.latency, load->now_ns - pub->since_ns);
    end(load, &pub->txn);
}

/* --- what arrives --------------------------------------------------------------------------- */

static void
complain(struct load *load, const struct io_datagram *d)
{
    const char *eol = memchr(d->p, '\r', d->n);

    if (load->complaints++ < COMPLAINTS_MAX)
        fprintf(stderr, "load: %s: %.*s\n", load->phase.name->name,
                (int)(eol ? eol - d->p : (ptrdiff_t)d->n), d->p);
}

static uint8_t
keep(char room[TAG_MAX], struct text text)
{
    if (text.n > TAG_MAX) {
        fprintf(stderr, "load: a tag or entity-tag of %zu octets\n", text.n);
        exit(1);
    }
    memcpy(room, text.p, text.n);
    return (uint8_t)text.n;
}

static void
keep_contact(struct load *load, struct text contact)
{
    if (contact.n == 0 || contact.n > sizeof(load->contact_room) ||
        (contact.n == load->contact.n && memcmp(contact.p, load->contact.p, contact.n) == 0))
        return;
    memcpy(load->contact_room, contact.p, contact.n);
    load->contact = (struct text){ load->contact_room, contact.n };
}

static void
take_sub_response(struct load *load, struct sub *sub, const struct msg *msg)
{
    if (msg->status >= 300) {
        load->phase.failed++;
        end(load, &sub->txn);
        return;
    }
    sub->txn.unanswered = false;
    keep_contact(load, msg->contact);
    if (!sub->live) {
        sub->tag_n = keep(sub->tag, msg->to_tag);
        sub->live = true;
    }
    settle_sub(load, sub);
}

static void
take_response(struct load *load, const struct io_datagram *d, const struct msg *msg)
{
    struct txn *txn;

    if (msg->status < 200)
        return;
    if (msg->kind == 0 ||
        msg->index >= (msg->kind == 's' ? load->subs : load->resources + load->publishers)) {
        load->phase.stray++;
        return;
    }
    txn = txn_of(load, (struct active){ msg->kind, msg->index });
    if (txn->slot == NONE || !txn->unanswered || msg->cseq != txn->cseq) {
        load->phase.repeated++;
        return;
    }
    if (msg->status >= 300)
        complain(load, d);
    if (msg->kind == 's') {
        take_sub_response(load, &load->sub[msg->index], msg);
    } else if (msg->status >= 300) {
        load->phase.failed++;
        end(load, txn);
    } else {
        struct pub *pub = &load->pub[msg->index];
        pub->etag_n = keep(pub->etag, msg->etag);
        txn->unanswered = false;
        settle_pub(load, pub);
    }
}

/* A new state of the resource, or the same once more. */
static void
take_round(struct load *load, struct sub *sub, uint32_t index, uint32_t round)
{
    struct pub *pub = &load->pub[resource_of(load, index)];

    if (round <= sub->round) {
        load->phase.needless++;
        return;
    }
    sub->round = round;
    if (round != pub->round || pub->left == 0)
        return;
    pub->left--;
    histogram_add(&load->phase.latency, load->now_ns - pub->since_ns);
    settle_pub(load, pub);
}

static void
take_notify(struct load *load, const struct io_datagram *d, const struct msg *msg, size_t answer_n)
{
    struct phase *phase = &load->phase;
    struct sub *sub = msg->kind == 's' && msg->index < load->subs ? &load->sub[msg->index] : NULL;

    if (sub && sub->dead)
        return;
    io_commit(load->io, answer_n, d->local_ip, d->from);
    if (!sub) {
        phase->stray++;
        return;
    }
    if (d->local_ip != phone_ip(load, msg->index))
        phase->misrouted++;
    if (msg->cseq <= sub->notify_cseq) {
        phase->repeated++;
        return;
    }
    sub->notify_cseq = msg->cseq;
    phase->notifies++;
    if (phase->name->op == OP_WIRE) {
        phase->done++;
        return;
    }
    if (!sub->live) { /* overtook the 200 */
        sub->tag_n = keep(sub->tag, msg->from_tag);
        sub->live = true;
    }
    if (phase->name->op == OP_FANOUT)
        take_round(load, sub, msg->index, msg->round);
    else
        sub->round = msg->round;
    if (phase->name->op == OP_UNSUBSCRIBE ? msg->terminated : sub->owed)
        sub->owed = false;
    if (msg->terminated)
        sub->live = false;
    settle_sub(load, sub);
}

static void
take(struct load *load, const struct io_datagram *d)
{
    char *answer = io_reserve(load->io);
    struct msg msg;
    size_t n = msg_scan(d->p, d->n, load->run, answer, &msg);

    if (msg.status != 0)
        take_response(load, d, &msg);
    else if (msg.method == 'N' && n > 0)
        take_notify(load, d, &msg, n);
    else
        load->phase.stray++;
}

/* --- time ----------------------------------------------------------------------------------- */

static void
give_up(struct load *load, struct active active)
{
    struct txn *txn = txn_of(load, active);

    if (txn->unanswered)
        load->phase.failed++;
    else
        load->phase.missing += active.kind == 's' ? 1 : load->pub[active.index].left;
    end(load, txn);
}

static void
check_one(struct load *load, struct active active)
{
    struct txn *txn = txn_of(load, active);
    uint64_t wait = T1_NS << txn->tries;

    if (!txn->unanswered) {
        if (active.kind == 's' && load->now_ns - txn->sent_ns > LATE_NS)
            give_up(load, active);
        return;
    }
    if (load->now_ns - txn->sent_ns < (wait < T2_NS ? wait : T2_NS))
        return;
    if (txn->tries == TRIES_MAX) {
        give_up(load, active);
        return;
    }
    txn->tries++;
    txn->sent_ns = load->now_ns;
    load->phase.retransmitted++;
    if (active.kind == 's')
        send_subscribe(load, active.index);
    else
        send_publish(load, active.index);
}

static void
check_all(struct load *load)
{
    for (uint32_t i = load->n_active;
         i-- > 0;) /* what ends is replaced by one that was looked at */
        check_one(load, load->active[i]);
}

/* --- phases --------------------------------------------------------------------------------- */

static bool
may_begin(const struct load *load)
{
    const struct phase *phase = &load->phase;

    if (phase->next == phase->ops || load->n_active >= load->window || phase->name->op == OP_WIRE)
        return false;
    return load->rate == 0 ||
           (double)phase->next * 1e9 <= (double)(load->now_ns - phase->begun_ns) * load->rate;
}

/* One round of answering and asking; whether there was anything to do. */
static bool
turn(struct load *load)
{
    unsigned n = io_read(load->io, IO_BATCH);
    uint64_t begun = load->phase.next;

    for (unsigned i = 0; i < n; i++) {
        struct io_datagram d = io_datagram(load->io, i);
        take(load, &d);
    }
    if (n > 0)
        load->phase.heard_ns = load->now_ns;
    for (unsigned i = 0; i < IO_BATCH && may_begin(load); i++)
        if (!begin_next(load))
            break;
    io_flush(load->io);
    return n > 0 || load->phase.next != begun;
}

static void
run_phase(struct load *load, uint64_t stall_ns)
{
    struct phase *phase = &load->phase;

    load->checked_ns = phase->begun_ns = phase->heard_ns = load->now_ns = io_now_ns();
    while (phase->done < phase->ops) {
        uint64_t before = load->now_ns;
        bool busy = turn(load);

        if (load->now_ns - load->checked_ns > CHECK_NS) {
            load->checked_ns = load->now_ns;
            check_all(load);
            if (load->now_ns - phase->heard_ns > stall_ns ||
                load->now_ns - phase->begun_ns > load->limit_s * 1000000000ull)
                return;
        }
        load->now_ns = io_now_ns();
        if (busy)
            phase->busy_ns += load->now_ns - before;
    }
    phase->complete = true;
}

/* What is still out when a phase was cut short is missing, and forgotten. */
static void
abandon(struct load *load)
{
    while (load->n_active > 0)
        give_up(load, load->active[0]);
}

/* What this program paid: its CPU time less the part of it that looked at an empty socket. */
static double
own_us(const struct phase *phase, uint64_t wall_ns)
{
    double busy = wall_ns ? (double)phase->busy_ns / (double)wall_ns : 1;

    return (double)phase->own_cpu_ns / 1000 * (busy < 1 ? busy : 1);
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
    printf("\"cpu_us\":%.3f,\"cpu_ms\":%.1f,\"wall_ms\":%.1f,\"per_second\":%.0f,\"load_us\":%.3f,",
           (double)cpu_ns / 1000 / n, (double)cpu_ns / 1e6, (double)wall_ns / 1e6,
           n / ((double)wall_ns / 1e9), own_us(p, wall_ns) / n);
    printf("\"p50_us\":%.0f,\"p99_us\":%.0f,\"failed\":%llu,\"missing\":%llu,\"repeated\":%llu,"
           "\"needless\":%llu,\"stray\":%llu,\"misrouted\":%llu,\"retransmitted\":%llu,"
           "\"done\":%s}\n",
           histogram_part(&p->latency, 0.5), histogram_part(&p->latency, 0.99),
           (unsigned long long)p->failed, (unsigned long long)p->missing,
           (unsigned long long)p->repeated, (unsigned long long)p->needless,
           (unsigned long long)p->stray, (unsigned long long)p->misrouted,
           (unsigned long long)p->retransmitted, p->complete ? "true" : "false");
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
    io_commit(load->io, (size_t)(out->p - out->start), phone_ip(load, 0), load->server);
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
    uint64_t cpu_ns;

    memset(&load->phase, 0, sizeof(load->phase));
    load->phase.name = name;
    load->phase.number = number;
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
    if (name->op == OP_DEAD) {
        kill_phones(load, number);
        return true;
    }
    load->phase.own_cpu_ns = own_cpu_ns();
    cpu_ns = proc_cpu_ns(&load->tree);
    if (name->op == OP_WIRE)
        ask_wire(load);
    run_phase(load, name->op == OP_WIRE ? 2000000000ull : 12000000000ull);
    cpu_ns = proc_cpu_ns(&load->tree) - cpu_ns;
    load->phase.own_cpu_ns = own_cpu_ns() - load->phase.own_cpu_ns;
    load->now_ns = io_now_ns();
    if (load->phase.complete || name->op == OP_WIRE) {
        report(load, cpu_ns, load->phase.heard_ns - load->phase.begun_ns);
        return true;
    }
    abandon(load);
    report(load, cpu_ns, load->now_ns - load->phase.begun_ns);
    return false;
}

/* --- command line --------------------------------------------------------------------------- */

static const struct option long_options[] = {
    { "server", required_argument, NULL, 's' },    { "port", required_argument, NULL, 'p' },
    { "pid", required_argument, NULL, 'P' },       { "subs", required_argument, NULL, 'n' },
    { "resources", required_argument, NULL, 'r' }, { "publishers", required_argument, NULL, 'u' },
    { "phones", required_argument, NULL, 'a' },    { "window", required_argument, NULL, 'w' },
    { "rate", required_argument, NULL, 'R' },      { "limit", required_argument, NULL, 'l' },
    { "package", required_argument, NULL, 'e' },   { "label", required_argument, NULL, 'L' },
    { "proxy", no_argument, NULL, 'x' },           { 0 },
};

static const char usage[] =
    "usage: load --server IP:PORT [--pid PID] [options] PHASE...\n"
    "  --port N        port of all phones (17000)\n"
    "  --subs N        subscriptions (1000)\n"
    "  --resources N   resources that they watch (1)\n"
    "  --publishers N  resources that nobody watches, for `publish` (1000)\n"
    "  --phones N      source addresses (1024)\n"
    "  --proxy         everything comes through 4 proxies instead\n"
    "  --window N      operations that are out at a time (64)\n"
    "  --rate N        operations begun per second, 0: as many as the window allows\n"
    "  --limit S       a phase is cut short after so many seconds (60)\n"
    "  --package NAME  event package (presence); message-summary has a body of its own, others are "
    "opaque\n"
    "  --label TEXT    put into every line\n"
    "phases: seed, subscribe, refresh[=N], fanout=ROUNDS, publish=N, unsubscribe, dead=PERCENT, "
    "memory, wire=N\n";

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
            *ret_number = equals ? number_option(equals + 1, 1, UINT32_MAX) : 0;
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
    uint32_t pubs = load->resources + load->publishers;

    if (load->proxy)
        load->phones = 4;
    load->body = strcmp(load->package, "presence") == 0          ? MSG_PIDF
                 : strcmp(load->package, "message-summary") == 0 ? MSG_SUMMARY
                                                                 : MSG_OPAQUE;
    load->run = (uint32_t)(io_now_ns() / 1000 % 1000000000);
    load->tree = proc_tree(load->pid);
    load->sub = calloc(load->subs, sizeof(*load->sub));
    load->pub = calloc(pubs, sizeof(*load->pub));
    load->io = io_new((struct io_peer){ htonl(INADDR_ANY), load->port }, true, RECEIVE_BUFFER);
    if (!load->sub || !load->pub || !load->io || (load->pid && load->tree.n == 0)) {
        fprintf(stderr, "load: %s\n",
                load->pid && load->tree.n == 0 ? "no such process" : strerror(errno));
        exit(1);
    }
    for (uint32_t i = 0; i < load->subs; i++)
        load->sub[i].txn.slot = NONE;
    for (uint32_t i = 0; i < pubs; i++)
        load->pub[i].txn.slot = NONE;
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
    io_free(load.io);
    free(load.sub);
    free(load.pub);
    return all ? 0 : 1;
}
