/* phones.c - see phones.h.
 *
 * Invariants: a subscription or publisher has at most one request out (txn.slot says where in the
 * active list it is); `left` of a publisher counts the live subscriptions that lack its newest
 * state; phase.done counts what was taken off the active list. */
#include "phones.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NONE UINT32_MAX
#define T1_NS 500000000ull
#define T2_NS 4000000000ull
#define TRIES_MAX 10
#define LATE_NS 10000000000ull /* a NOTIFY that is owed to a SUBSCRIBE and does not come */
#define CHECK_NS 50000000ull
#define STOOD_NS 2000000ull /* a turn, which is less than a millisecond of work, took longer */
#define NAP_NS 200000       /* with a pace to keep, between two looks */
#define RECEIVE_BUFFER (128 << 20)
#define COMPLAINTS_MAX 5

/* --- names ---------------------------------------------------------------------------------- */

/* Phones are 127.1.0.1 and up, without the numbers 0 and 251 to 255 in the last octets. */
uint32_t
phones_ip(const struct load *load, uint32_t i)
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

static uint32_t
user_of(uint32_t index)
{
    return index % DIGEST_USERS;
}

/* Who asks: a watcher of his own for each subscription, or one of those who can log in. */
static void
out_watcher(const struct load *load, struct out *out, uint32_t index)
{
    OUT(out, "<sip:");
    *out->p++ = load->digest ? 'u' : 'w';
    out_number(out, load->digest ? user_of(index) : index);
    OUT(out, "@bench.test>;tag=f");
}

static void
out_credentials(const struct load *load, struct out *out, const struct txn *txn, uint32_t index,
                struct text method, struct text uri)
{
    const struct nonce *nonce = &load->nonce[index % load->phones];

    if (txn->nc > 0)
        digest_credentials(load->digest, out, user_of(index),
                           (struct text){ nonce->octets, nonce->n }, txn->nc, method, uri);
}

static void
send_subscribe(struct load *load, uint32_t index)
{
    struct sub *sub = &load->sub[index];
    char *room = io_reserve(load->io);
    struct out o = { room, room }, *out = &o;
    uint32_t ip = phones_ip(load, index), resource = resource_of(load, index);
    struct text uri;

    OUT(out, "SUBSCRIBE ");
    uri.p = out->p;
    if (sub->live && load->contact.n > 0)
        out_text(out, load->contact);
    else
        out_resource(out, resource);
    uri.n = (size_t)(out->p - uri.p);
    out_head(load, out, 's', index, sub->txn.cseq, ip);
    OUT(out, "\r\nFrom: \"Desk ");
    out_number(out, index);
    OUT(out, "\" ");
    out_watcher(load, out, index);
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
    out_credentials(load, out, &sub->txn, index, (struct text){ "SUBSCRIBE", 9 }, uri);
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
    uint32_t ip = phones_ip(load, index);
    struct text uri;

    msg_document(&d, load->body, index, pub->round);
    OUT(out, "PUBLISH ");
    uri.p = out->p;
    out_resource(out, index);
    uri.n = (size_t)(out->p - uri.p);
    out_head(load, out, 'p', index, pub->txn.cseq, ip);
    OUT(out, "\r\nFrom: ");
    if (load->digest) {
        out_watcher(load, out, index);
    } else {
        OUT(out, "<");
        out_resource(out, index);
        OUT(out, ">;tag=f");
    }
    out_number10(out, pub->txn.cseq);
    OUT(out, "\r\nTo: <");
    out_resource(out, index);
    OUT(out, ">\r\nCSeq: ");
    out_number(out, pub->txn.cseq);
    OUT(out, " PUBLISH");
    out_credentials(load, out, &pub->txn, index, (struct text){ "PUBLISH", 7 }, uri);
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
double
phones_latency(const struct histogram *h, double part)
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

static uint64_t
moved_ns(struct moment from, struct moment to)
{
    return to.ns - from.ns - (to.stood_ns - from.stood_ns);
}

static void
note_latency(struct load *load, const struct txn *txn)
{
    histogram_add(&load->phase.latency, load->now.ns - txn->begun.ns);
    histogram_add(&load->phase.moving, moved_ns(txn->begun, load->now));
}

/* Another use of the phone's nonce; a repetition of the request repeats its count as well. */
static void
log_in(struct load *load, struct txn *txn, uint32_t index)
{
    struct nonce *nonce = load->digest ? &load->nonce[index % load->phones] : NULL;

    txn->nc = nonce && nonce->n > 0 ? ++nonce->nc : 0;
}

static void
begin(struct load *load, struct txn *txn, char kind, uint32_t index)
{
    txn->cseq++;
    txn->tries = 0;
    txn->challenges = 0;
    log_in(load, txn, index);
    txn->unanswered = true;
    txn->begun = load->now;
    txn->sent_ns = load->now.ns;
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
    case OP_RATE:
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
    note_latency(load, &sub->txn);
    end(load, &sub->txn);
}

static void
settle_pub(struct load *load, struct pub *pub)
{
    if (pub->txn.slot == NONE || pub->txn.unanswered || pub->left > 0)
        return;
    if (load->phase.name->op != OP_FANOUT)
        note_latency(load, &pub->txn);
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

/* The request once more, as somebody; false: that was tried. */
static bool
take_challenge(struct load *load, struct txn *txn, const struct msg *msg)
{
    struct nonce *nonce = &load->nonce[msg->index % load->phones];

    if (txn->challenges == 2 || msg->nonce.n == 0 || msg->nonce.n > DIGEST_NONCE)
        return false;
    memcpy(nonce->octets, msg->nonce.p, msg->nonce.n);
    nonce->n = (uint8_t)msg->nonce.n;
    nonce->nc = 0;
    txn->challenges++;
    txn->cseq++;
    txn->tries = 0;
    log_in(load, txn, msg->index);
    load->phase.challenged++;
    if (msg->kind == 's')
        send_subscribe(load, msg->index);
    else
        send_publish(load, msg->index);
    return true;
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
    if (msg->status == 401 && load->digest && take_challenge(load, txn, msg))
        return;
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
    note_latency(load, &pub->txn);
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
    if (d->local_ip != phones_ip(load, msg->index))
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
        if (active.kind == 's' && load->now.ns - txn->sent_ns > LATE_NS)
            give_up(load, active);
        return;
    }
    if (load->now.ns - txn->sent_ns < (wait < T2_NS ? wait : T2_NS))
        return;
    if (txn->tries == TRIES_MAX) {
        give_up(load, active);
        return;
    }
    txn->tries++;
    txn->sent_ns = load->now.ns;
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

/* --- running -------------------------------------------------------------------------------- */

static bool
may_begin(const struct load *load)
{
    const struct phase *phase = &load->phase;

    if (phase->next == phase->ops || load->n_active >= load->window || phase->name->op == OP_WIRE)
        return false;
    return load->rate == 0 ||
           (double)phase->next * 1e9 <= (double)moved_ns(phase->begun, load->now) * load->rate;
}

/* A turn is over in less than a millisecond: when it was not, the machine stood, or somebody else
 * had the core. */
static void
look_at_clock(struct load *load)
{
    uint64_t ns = io_now_ns();

    if (ns - load->now.ns > STOOD_NS)
        load->now.stood_ns += ns - load->now.ns;
    load->now.ns = ns;
}

/* One round of answering and asking; whether there was anything to do. */
static bool
turn(struct load *load)
{
    unsigned n = io_read(load->io, IO_BATCH);
    uint64_t begun = load->phase.next;

    if (n > 0) {
        look_at_clock(load);
        load->phase.heard_ns = load->now.ns;
    }
    for (unsigned i = 0; i < n; i++) {
        struct io_datagram d = io_datagram(load->io, i);
        take(load, &d);
    }
    for (unsigned i = 0; i < IO_BATCH && may_begin(load); i++)
        if (!begin_next(load))
            break;
    io_flush(load->io);
    return n > 0 || load->phase.next != begun;
}

/* With a pace to keep.  A core that only looks for work takes its part of what the machine may use
 * in all; where that is less than all of its cores, what is measured stands still for it. */
static void
nap(struct load *load)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
    load->now.ns = io_now_ns();
}

void
phones_run(struct load *load, uint64_t stall_ns)
{
    struct phase *phase = &load->phase;

    load->now = (struct moment){ .ns = io_now_ns() };
    load->checked_ns = phase->heard_ns = load->now.ns;
    phase->begun = load->now;
    while (phase->done < phase->ops) {
        uint64_t before = load->now.ns;
        bool busy = turn(load);

        if (load->now.ns - load->checked_ns > CHECK_NS) {
            load->checked_ns = load->now.ns;
            check_all(load);
            if (load->now.ns - phase->heard_ns > stall_ns ||
                load->now.ns - phase->begun.ns > load->limit_s * 1000000000ull)
                return;
        }
        look_at_clock(load);
        if (busy)
            phase->busy_ns += load->now.ns - before;
        else if (load->rate > 0)
            nap(load);
    }
    phase->complete = true;
}

void
phones_abandon(struct load *load)
{
    while (load->n_active > 0)
        give_up(load, load->active[0]);
}

/* --- set up --------------------------------------------------------------------------------- */

bool
phones_init(struct load *load)
{
    uint32_t pubs = load->resources + load->publishers;

    load->sub = calloc(load->subs, sizeof(*load->sub));
    load->pub = calloc(pubs, sizeof(*load->pub));
    load->io = io_new((struct io_peer){ htonl(INADDR_ANY), load->port }, true, RECEIVE_BUFFER);
    load->nonce = calloc(load->digest ? load->phones : 1, sizeof(*load->nonce));
    if (!load->sub || !load->pub || !load->io || !load->nonce)
        return false;
    for (uint32_t i = 0; i < load->subs; i++)
        load->sub[i].txn.slot = NONE;
    for (uint32_t i = 0; i < pubs; i++)
        load->pub[i].txn.slot = NONE;
    return true;
}

void
phones_done(struct load *load)
{
    io_free(load->io);
    free(load->sub);
    free(load->pub);
    free(load->nonce);
    digest_free(load->digest);
}
