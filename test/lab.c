/* lab.c - the broker core on a fake clock.
 *
 * Shards take turns in a fixed order: mails, packets, what the store has to say, timers and
 * fan-out.  What they send is put into the inboxes of actors at once.  The laboratory settles when
 * no shard has anything left to do at this moment; then time may go on, to the next moment that
 * some shard asked for. Invariant: packets, failures and mails are handled in the order in which
 * they came, so a run can be repeated. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "base/str.h"
#include "event/shard.h"
#include "heraldd/config.h"
#include "package/pkg.h"
#include "policy/policy.h"
#include "store/memory.h"

#define PROBLEM 512
#define START_US UINT64_C(1000000000)
#define MESSAGE_MAX 70000
#define WIRES_MAX 1024
#define ROUNDS_MAX 100000 /* a laboratory that is still busy then will never rest */
#define CHECK_SUBS_MAX 300

enum lab_tcp { TCP_REFUSES = 0, TCP_ACCEPTS, TCP_IGNORES };

/* What the laboratory knows of an actor. */
struct lab_peer {
    enum lab_tcp tcp;
    bool unreachable;
    struct hd_addr server;
    uint8_t listener;
    uint64_t conn; /* the connection that it opened, 0: none */
    int on_shard;  /* where its connections are accepted; -1: by its address */
};

struct lab_wire {
    uint64_t conn;
    struct play_actor *actor;
    struct hd_addr local;
    uint8_t listener;
    bool open;
};

struct lab_packet {
    struct lab_packet *next;
    struct hd_flow flow;
    uint64_t owner; /* failures only */
    size_t n;
    char octets[];
};

struct lab_queue {
    struct lab_packet *first, **last;
};

struct lab_seat {
    struct lab *lab;
    struct evt_shard *evt;
    struct pol_shard *policy;
    uint64_t seed, policy_seed;
    struct lab_queue packets, failures;
    uint64_t due_us; /* next turn */
    bool stopped, mail_held;
    char buffer[MESSAGE_MAX];
};

struct lab {
    struct lab_params params;
    struct play *play;
    struct sto_memory *store;
    struct hd_str conf_text; /* of the scenario's config steps since the last one was applied */
    struct hd_conf *conf;
    struct pol_book *book;
    struct evt_config *config;
    uint32_t version;
    uint64_t now_us;
    bool started;
    struct lab_wire wires[WIRES_MAX];
    size_t n_wires;
    unsigned order[EVT_MAX_SHARDS];
    struct lab_seat seats[];
};

/* --- configuration --------------------------------------------------------------------------- */

/* What holds unless the scenario's configuration says it itself. */
static const struct {
    const char *key; /* a scenario with a line that begins so replaces it */
    const char *text;
} lab_defaults[] = {
    { "domains", "domains = { \"example.test\" }\n" },
    { "listen", "listen \"udp://192.0.2.1:5060\" { authentication = none\n"
                "  trusted = { \"0.0.0.0/0\", \"::/0\" } }\n"
                "listen \"tcp://192.0.2.1:5060\" { authentication = none\n"
                "  trusted = { \"0.0.0.0/0\", \"::/0\" } }\n" },
    { "package \"presence\"", "package \"presence\" { authorisation = allow }\n" },
    { "package \"message-summary\"", "package \"message-summary\" { authorisation = allow }\n" },
    { "package \"x-state\"", "package \"x-state\" { types = { \"text/plain\" }\n"
                             "  authorisation = allow }\n" },
    { "package \"x-every\"", "package \"x-every\" { types = { \"text/plain\" }\n"
                             "  authorisation = allow  delivery = every }\n" },
    { "registrar", "registrar { enabled = true }\n" },
};

static bool
has_line(struct hd_slice text, struct hd_slice key)
{
    while (text.n)
        if (hd_slice_starts(hd_slice_trim(hd_slice_cut(&text, '\n')), key))
            return true;
    return false;
}

static void
tell_problem(void *context, const char *line)
{
    char *problem = context;

    if (problem[0] == '\0')
        (void)snprintf(problem, PROBLEM, "%s", line);
}

/* Reads the configuration anew from defaults and the scenario's text. */
static bool
conf_read(struct lab *lab, char *problem)
{
    struct hd_problems problems = { .file = "configuration",
                                    .tell = tell_problem,
                                    .context = problem };
    struct hd_addr bound[HD_CONF_LISTENERS];
    struct hd_conf *conf = NULL;
    struct hd_str text = { 0 };
    enum hd_err err;

    problem[0] = '\0';
    hd_str_add(&text, hd_str_slice(&lab->conf_text));
    for (size_t i = 0; i < HD_ARRAY_LEN(lab_defaults); i++)
        if (!has_line(hd_str_slice(&lab->conf_text), hd_slice_str(lab_defaults[i].key)))
            hd_str_add_str(&text, lab_defaults[i].text);
    err = text.err ? text.err : hd_conf_parse(hd_str_slice(&text), pkg_ops, &problems, &conf);
    hd_str_done(&text);
    if (err) {
        if (problem[0] == '\0')
            (void)snprintf(problem, PROBLEM, "configuration: %s", hd_err_text(err));
        return false;
    }
    for (size_t i = 0; i < conf->n_listeners; i++)
        bound[i] = conf->listeners[i].addr;
    if (hd_conf_bind(conf, bound, NULL, 0)) {
        hd_conf_unref(conf);
        (void)snprintf(problem, PROBLEM, "memory is short");
        return false;
    }
    hd_conf_unref(lab->conf);
    lab->conf = conf;
    return true;
}

/* A new version of what every shard knows. */
static bool
publish(struct lab *lab, struct hd_slice changed, char *problem)
{
    struct evt_config *config =
        hd_conf_publish(lab->conf, lab->book, ++lab->version,
                        HD_LIT("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));

    if (!config) {
        (void)snprintf(problem, PROBLEM, "memory is short");
        return false;
    }
    evt_config_unref(lab->config);
    lab->config = config;
    if (lab->started)
        for (unsigned i = 0; i < lab->params.shards; i++)
            evt_shard_configure(lab->seats[i].evt, config, changed, lab->now_us);
    return true;
}

/* --- what the core calls --------------------------------------------------------------------- */

static char *
net_reserve_room(void *net, size_t size)
{
    struct lab_seat *seat = net;

    return size <= sizeof(seat->buffer) ? seat->buffer : NULL;
}

static bool
enqueue(struct lab_queue *queue, const struct hd_flow *flow, struct hd_slice octets, uint64_t owner)
{
    struct lab_packet *packet = malloc(sizeof(*packet) + octets.n);

    if (!packet)
        return false;
    *packet = (struct lab_packet){ .flow = *flow, .owner = owner, .n = octets.n };
    if (octets.n)
        memcpy(packet->octets, octets.p, octets.n);
    *queue->last = packet;
    queue->last = &packet->next;
    return true;
}

static struct lab_packet *
dequeue(struct lab_queue *queue)
{
    struct lab_packet *packet = queue->first;

    if (packet) {
        queue->first = packet->next;
        if (!queue->first)
            queue->last = &queue->first;
    }
    return packet;
}

static struct play_actor *
actor_at(const struct lab *lab, const struct hd_addr *addr)
{
    for (struct play_actor *actor = play_actors(lab->play); actor; actor = actor->next)
        if (hd_addr_eq(&actor->addr, addr))
            return actor;
    return NULL;
}

static struct lab_wire *
wire_find(struct lab *lab, uint64_t conn)
{
    for (size_t i = 0; i < lab->n_wires; i++)
        if (lab->wires[i].conn == conn && lab->wires[i].open)
            return &lab->wires[i];
    return NULL;
}

static struct lab_wire *
wire_open(struct lab *lab, unsigned shard, struct play_actor *actor, const struct hd_addr *local,
          uint8_t listener)
{
    struct lab_wire *wire;

    HD_ASSERT(lab->n_wires < WIRES_MAX);
    wire = &lab->wires[lab->n_wires++];
    *wire = (struct lab_wire){ .conn = hd_conn_make(shard, 1, (uint32_t)lab->n_wires),
                               .actor = actor,
                               .local = *local,
                               .listener = listener,
                               .open = true };
    return wire;
}

/* The connection that octets for a stream leave on; NULL: refused, or *ret_ignored. */
static struct lab_wire *
wire_for(struct lab_seat *seat, const struct hd_flow *flow, bool *ret_ignored)
{
    struct lab *lab = seat->lab;
    struct play_actor *actor = actor_at(lab, &flow->remote);
    unsigned shard = evt_shard_index(seat->evt);
    struct lab_peer *peer;

    *ret_ignored = false;
    if (flow->conn)
        return wire_find(lab, flow->conn);
    for (size_t i = 0; i < lab->n_wires; i++)
        if (lab->wires[i].open && hd_conn_shard(lab->wires[i].conn) == shard &&
            hd_addr_eq(&lab->wires[i].actor->addr, &flow->remote))
            return &lab->wires[i];
    if (!actor)
        return NULL;
    peer = actor->host;
    *ret_ignored = peer->tcp == TCP_IGNORES;
    return peer->tcp == TCP_ACCEPTS ? wire_open(lab, shard, actor, &flow->local, flow->listener)
                                    : NULL;
}

static void
deliver_datagram(struct lab_seat *seat, const struct hd_flow *flow, struct hd_slice octets,
                 uint64_t owner)
{
    struct lab *lab = seat->lab;
    struct play_actor *actor = actor_at(lab, &flow->remote);
    char text[HD_ADDR_TEXT], problem[PROBLEM];

    if (!actor) {
        (void)snprintf(problem, sizeof(problem),
                       "a datagram went to %.*s, where no actor is; it begins \"%.*s\"",
                       (int)hd_addr_text(&flow->remote, text), text,
                       (int)hd_slice_find(octets, '\r'), octets.p);
        play_fault(lab->play, problem);
        return;
    }
    if (((struct lab_peer *)actor->host)->unreachable) {
        if (owner)
            HD_ASSERT(enqueue(&seat->failures, flow, hd_slice(NULL, 0), owner));
        return;
    }
    play_deliver(lab->play, actor, HD_UDP, &flow->local, 0, octets);
}

static void
net_commit_octets(void *net, const struct hd_flow *flow, size_t n, uint64_t owner)
{
    struct lab_seat *seat = net;
    struct lab_wire *wire;
    struct hd_slice octets = hd_slice(seat->buffer, n);
    bool ignored;

    HD_ASSERT(n <= sizeof(seat->buffer));
    if (flow->transport == HD_UDP) {
        deliver_datagram(seat, flow, octets, owner);
        return;
    }
    wire = wire_for(seat, flow, &ignored);
    if (wire)
        play_deliver(seat->lab->play, wire->actor, HD_TCP, &wire->local, wire->conn, octets);
    else if (!ignored && owner)
        HD_ASSERT(enqueue(&seat->failures, flow, hd_slice(NULL, 0), owner));
}

static const struct evt_net_ops net_ops = { .reserve = net_reserve_room,
                                            .commit = net_commit_octets };

/* --- start and end --------------------------------------------------------------------------- */

struct lab *
lab_new(const struct lab_params *params)
{
    struct lab *lab = calloc(1, sizeof(*lab) + params->shards * sizeof(lab->seats[0]));
    struct hd_hash_key key = { params->seed, 1 };

    if (!lab)
        return NULL;
    lab->params = *params;
    lab->now_us = START_US;
    lab->book = pol_book_new(&key);
    for (unsigned i = 0; i < params->shards; i++) {
        struct lab_seat *seat = &lab->seats[i];

        lab->order[i] = i;
        seat->lab = lab;
        seat->seed = params->seed * 1000 + i;
        seat->policy_seed = params->seed * 1000 + 500 + i;
        seat->packets.last = &seat->packets.first;
        seat->failures.last = &seat->failures.first;
    }
    if (lab->book)
        return lab;
    lab_free(lab);
    return NULL;
}

static void
queue_done(struct lab_queue *queue)
{
    struct lab_packet *packet;

    while ((packet = dequeue(queue)))
        free(packet);
}

void
lab_free(struct lab *lab)
{
    if (!lab)
        return;
    for (unsigned i = 0; i < lab->params.shards; i++) {
        evt_shard_free(lab->seats[i].evt);
        pol_shard_free(lab->seats[i].policy);
        queue_done(&lab->seats[i].packets);
        queue_done(&lab->seats[i].failures);
    }
    sto_memory_free(lab->store);
    evt_config_unref(lab->config);
    hd_conf_unref(lab->conf);
    pol_book_unref(lab->book);
    hd_str_done(&lab->conf_text);
    free(lab);
}

/* The laboratory looks at every mailbox by itself. */
static void
wake(void *context)
{
    (void)context;
}

static bool
seat_start(struct lab *lab, unsigned index, const struct evt_keys *keys)
{
    struct lab_seat *seat = &lab->seats[index];
    struct pol_shard_params policy = { .index = index,
                                       .shards = lab->params.shards,
                                       .id_key = keys->id,
                                       .table_key = keys->table,
                                       .epoch = 1,
                                       .entropy = hd_entropy_seeded,
                                       .entropy_context = &seat->policy_seed };
    struct evt_shard_params params = { .index = index,
                                       .count = lab->params.shards,
                                       .keys = *keys,
                                       .config = lab->config,
                                       .entropy = hd_entropy_seeded,
                                       .entropy_context = &seat->seed,
                                       .now_us = lab->now_us,
                                       .wake = wake };

    seat->policy = pol_shard_new(&policy);
    if (!seat->policy)
        return false;
    params.ports = (struct evt_ports){ .net = &net_ops,
                                       .net_context = seat,
                                       .store = &sto_memory_ops,
                                       .store_context = lab->store,
                                       .policy = &pol_ops,
                                       .policy_context = seat->policy };
    if (evt_shard_new(&params, &seat->evt))
        return false;
    sto_memory_attach(lab->store, index, seat->evt);
    return true;
}

/* The core starts with the first step that needs it. */
static bool
start(struct lab *lab, char *problem)
{
    struct evt_shard *peers[EVT_MAX_SHARDS];
    struct sto_memory_params store = { .shards = lab->params.shards, .keep = true };
    uint64_t s = lab->params.seed;
    struct evt_keys keys = { .id = { s + 1, s + 2 }, .table = { s + 3, s + 4 } };

    if (lab->started)
        return true;
    if (!conf_read(lab, problem) || !publish(lab, hd_slice(NULL, 0), problem))
        return false;
    if (sto_memory_new(&store, &lab->store))
        return false;
    for (unsigned i = 0; i < lab->params.shards; i++) {
        if (!seat_start(lab, i, &keys)) {
            (void)snprintf(problem, PROBLEM, "the core does not start");
            return false;
        }
        peers[i] = lab->seats[i].evt;
    }
    for (unsigned i = 0; i < lab->params.shards; i++)
        evt_shard_connect(peers[i], peers);
    lab->started = true;
    return true;
}

/* --- turns ----------------------------------------------------------------------------------- */

/* One turn of a shard; true when it did something or wants another one now. */
static bool
turn(struct lab_seat *seat)
{
    struct lab *lab = seat->lab;
    unsigned index = evt_shard_index(seat->evt);
    struct lab_packet *packet;
    bool busy = false;
    uint64_t wait_ms;

    if (!seat->mail_held && hd_mailbox_depth(evt_shard_mailbox(seat->evt)) > 0) {
        evt_shard_drain(seat->evt, lab->now_us);
        busy = true;
    }
    while ((packet = dequeue(&seat->packets))) {
        evt_shard_receive(seat->evt, &packet->flow, hd_slice(packet->octets, packet->n),
                          lab->now_us);
        free(packet);
        busy = true;
    }
    while ((packet = dequeue(&seat->failures))) {
        evt_shard_send_failed(seat->evt, packet->owner, &packet->flow, lab->now_us);
        free(packet);
        busy = true;
    }
    if (sto_memory_flush(lab->store, index) > 0) {
        if (!seat->mail_held)
            evt_shard_drain(seat->evt, lab->now_us);
        busy = true;
    }
    wait_ms = evt_shard_turn(seat->evt, lab->now_us);
    seat->due_us = wait_ms == UINT64_MAX ? UINT64_MAX : lab->now_us + wait_ms * 1000;
    return busy || wait_ms == 0;
}

static bool
rest(struct lab *lab, char *problem)
{
    bool busy = lab->started;

    for (unsigned round = 0; busy; round++) {
        busy = false;
        if (round == ROUNDS_MAX) {
            (void)snprintf(problem, PROBLEM, "the core does not come to rest");
            return false;
        }
        for (unsigned i = 0; i < lab->params.shards; i++) {
            struct lab_seat *seat = &lab->seats[lab->order[i]];

            if (!seat->stopped && turn(seat))
                busy = true;
        }
    }
    return true;
}

static uint64_t
gauge_subs(const struct lab *lab)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < lab->params.shards; i++)
        sum += atomic_load_explicit(&evt_shard_counters(lab->seats[i].evt)->subscriptions,
                                    memory_order_relaxed);
    return sum;
}

static bool
check(struct lab *lab, char *problem)
{
    for (unsigned i = 0; i < lab->params.shards && lab->started; i++) {
        const char *broken = evt_shard_check(lab->seats[i].evt);

        if (broken) {
            (void)snprintf(problem, PROBLEM, "shard %u: %s", i, broken);
            return false;
        }
    }
    return true;
}

static bool
host_settle(void *context, char *problem)
{
    struct lab *lab = context;

    if (!rest(lab, problem))
        return false;
    return !lab->started || gauge_subs(lab) > CHECK_SUBS_MAX || check(lab, problem);
}

static bool
host_pass(void *context, uint64_t ms, char *problem)
{
    struct lab *lab = context;
    uint64_t target = lab->now_us + ms * 1000;

    if (!start(lab, problem))
        return false;
    while (lab->now_us < target) {
        uint64_t next = target;

        for (unsigned i = 0; i < lab->params.shards; i++)
            if (!lab->seats[i].stopped && lab->seats[i].due_us < next)
                next = lab->seats[i].due_us;
        lab->now_us = next > lab->now_us ? next : lab->now_us + 1000;
        if (!rest(lab, problem))
            return false;
    }
    return true;
}

static uint64_t
host_now(void *context)
{
    const struct lab *lab = context;

    return (lab->now_us - START_US) / 1000;
}

static void
host_await(void *context, struct play_actor *actor, bool silence)
{
    (void)context;
    (void)silence;
    (void)actor; /* the laboratory has settled: what comes has come */
}

bool
lab_finish(struct lab *lab, char *problem)
{
    return check(lab, problem);
}

/* --- actors ---------------------------------------------------------------------------------- */

static bool
parse_addr(struct hd_slice word, struct hd_addr *ret_addr)
{
    size_t colon = word.n;
    uint32_t port;

    while (colon > 0 && word.p[colon - 1] != ':')
        colon--;
    return colon > 0 && hd_slice_to_u32(hd_slice_from(word, colon), &port) == HD_OK &&
           port <= UINT16_MAX &&
           hd_addr_parse(hd_slice(word.p, colon - 1), (uint16_t)port, ret_addr) == HD_OK;
}

/* The listener that an actor sends to: the first of its transport and family, or the one with the
 * address it names. */
static bool
find_listener(const struct lab *lab, const struct play_actor *actor, struct lab_peer *peer)
{
    for (size_t i = 0; i < lab->config->n_listeners; i++) {
        const struct evt_listener *listener = &lab->config->listeners[i];

        if (listener->transport != actor->transport || listener->addr.family != actor->addr.family)
            continue;
        if (actor->server.family && !hd_addr_eq(&actor->server, &listener->addr))
            continue;
        peer->listener = (uint8_t)i;
        peer->server = listener->addr;
        return true;
    }
    return false;
}

static bool
host_actor(void *context, struct play_actor *actor, const struct hd_slice *words, unsigned n,
           char *problem)
{
    struct lab *lab = context;
    struct lab_peer *peer = calloc(1, sizeof(*peer));
    uint32_t shard;

    if (!peer || !start(lab, problem)) {
        free(peer);
        return false;
    }
    actor->host = peer;
    peer->on_shard = -1;
    for (unsigned i = 0; i + 1 < n; i += 2) {
        if (hd_slice_eq(words[i], HD_LIT("server")) && parse_addr(words[i + 1], &actor->server))
            continue;
        if (hd_slice_eq(words[i], HD_LIT("shard")) &&
            hd_slice_to_u32(words[i + 1], &shard) == HD_OK) {
            peer->on_shard = (int)(shard % lab->params.shards);
            continue;
        }
        (void)snprintf(problem, PROBLEM,
                       "expected after the address: server ADDRESS:PORT, shard N");
        return false;
    }
    if (find_listener(lab, actor, peer))
        return true;
    (void)snprintf(problem, PROBLEM, "no listener for %s", actor->name);
    return false;
}

/* Where an actor's octets arrive, and how they look there. */
static unsigned
flow_from(struct lab *lab, struct play_actor *actor, const struct play_message *reply_to,
          struct hd_flow *ret_flow)
{
    struct lab_peer *peer = actor->host;
    unsigned shards = lab->params.shards;
    unsigned shard = hd_bucket_shard(hd_addr_bucket(&actor->addr), shards);
    struct lab_wire *wire = NULL;
    struct hd_flow flow = { .transport = (uint8_t)actor->transport,
                            .listener = peer->listener,
                            .local = peer->server,
                            .remote = actor->addr };

    if (peer->on_shard >= 0)
        shard = (unsigned)peer->on_shard;
    if (reply_to && reply_to->transport == HD_TCP) {
        wire = wire_find(lab, reply_to->path);
    } else if (reply_to && reply_to->transport == HD_UDP) {
        flow.transport = HD_UDP;
        flow.local = reply_to->peer;
    } else if (actor->transport == HD_TCP) {
        wire = wire_find(lab, peer->conn);
        if (!wire) {
            wire = wire_open(lab, shard, actor, &peer->server, peer->listener);
            peer->conn = wire->conn;
        }
    }
    if (wire) {
        flow.transport = HD_TCP;
        flow.conn = wire->conn;
        flow.local = wire->local;
        flow.listener = wire->listener;
        shard = hd_conn_shard(wire->conn);
    }
    *ret_flow = flow;
    return shard;
}

static bool
host_send(void *context, struct play_actor *actor, const struct play_message *reply_to,
          struct hd_slice octets, const struct hd_slice *words, unsigned n, char *problem)
{
    struct lab *lab = context;
    struct hd_flow flow;
    unsigned shard = flow_from(lab, actor, reply_to, &flow);
    uint32_t number;

    for (unsigned i = 0; i + 1 < n; i += 2) {
        if (hd_slice_eq(words[i], HD_LIT("shard")) &&
            hd_slice_to_u32(words[i + 1], &number) == HD_OK) {
            shard = number % lab->params.shards;
        } else if (hd_slice_eq(words[i], HD_LIT("source")) &&
                   parse_addr(words[i + 1], &flow.remote)) {
            shard = hd_bucket_shard(hd_addr_bucket(&flow.remote), lab->params.shards);
        } else {
            (void)snprintf(problem, PROBLEM, "expected: shard N, source ADDRESS:PORT");
            return false;
        }
    }
    if (n % 2) {
        (void)snprintf(problem, PROBLEM, "\"%.*s\" is no option", HD_FMT(words[n - 1]));
        return false;
    }
    return enqueue(&lab->seats[shard].packets, &flow, octets, 0);
}

static void
host_trace(void *context, const struct play_actor *actor, bool sent, struct hd_slice octets)
{
    struct lab *lab = context;

    if (lab->params.trace)
        printf("--- %llums %s %s\n%.*s\n", (unsigned long long)host_now(lab), actor->name,
               sent ? "sends" : "gets", HD_FMT(octets));
}

/* --- commands -------------------------------------------------------------------------------- */

static enum hd_err
bad(char *problem, const char *expected)
{
    (void)snprintf(problem, PROBLEM, "expected: %s", expected);
    return HD_ESYNTAX;
}

static enum hd_err
do_config(struct lab *lab, const struct play_step *step, char *problem)
{
    if (lab->started)
        hd_str_clear(&lab->conf_text);
    for (size_t i = 0; i < step->n_lines; i++) {
        hd_str_add(&lab->conf_text, step->lines[i].text);
        hd_str_add_char(&lab->conf_text, '\n');
    }
    if (lab->conf_text.err)
        return lab->conf_text.err;
    if (!lab->started)
        return HD_OK;
    return conf_read(lab, problem) && publish(lab, hd_slice(NULL, 0), problem) ? HD_OK : HD_ESYNTAX;
}

static enum hd_err
book_take(struct lab *lab, enum hd_err err, struct pol_book *book, struct hd_slice changed,
          char *problem)
{
    if (err) {
        (void)snprintf(problem, PROBLEM, "the book refuses this: %s", hd_err_text(err));
        return err;
    }
    pol_book_unref(lab->book);
    lab->book = book;
    if (lab->started && !publish(lab, changed, problem))
        return HD_ENOMEM;
    return HD_OK;
}

static enum hd_err
do_user(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    char hex[SIP_DIGEST_COUNT][SIP_DIGEST_HEX];
    struct pol_book *book = NULL;
    struct pol_user user;
    enum hd_err err;

    if (n == 3 && hd_slice_eq(words[1], HD_LIT("remove"))) {
        err = pol_book_without_user(lab->book, words[2], &book);
        return book_take(lab, err, book, hd_slice(NULL, 0), problem);
    }
    if (n != 3)
        return bad(problem, "user NAME PASSWORD, or user remove NAME");
    if (!lab->conf && !conf_read(lab, problem))
        return HD_ESYNTAX;
    pol_user_make(words[1], hd_conf_realm(lab->conf), words[2], 1, hex, &user);
    err = pol_book_with_user(lab->book, &user, &book);
    return book_take(lab, err, book, hd_slice(NULL, 0), problem);
}

static enum hd_err
do_rule(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    struct pol_rule rule = { 0 };
    struct pol_book *book = NULL;
    enum hd_err err;

    if (n != 5)
        return bad(problem, "rule allow|block|remove WATCHER RESOURCE PACKAGE");
    rule.watcher = words[2];
    rule.resource = words[3];
    rule.package = words[4];
    if (hd_slice_eq(words[1], HD_LIT("remove"))) {
        err = pol_book_without_rule(lab->book, rule.resource, rule.watcher, rule.package, &book);
    } else {
        rule.action = hd_slice_eq(words[1], HD_LIT("allow")) ? POL_ALLOW : POL_BLOCK;
        err = pol_book_with_rule(lab->book, &rule, NULL, &book);
    }
    return book_take(lab, err, book, words[3], problem);
}

/* Releases n records, whichever shards they wait in; SIZE_MAX: all. */
static size_t
release(struct lab *lab, size_t n, bool newest)
{
    size_t done = 0;

    for (unsigned i = 0; i < lab->params.shards && done < n; i++)
        done += newest ? sto_memory_release_newest(lab->store, i, n - done)
                       : sto_memory_release(lab->store, i, n - done);
    return done;
}

static uint64_t
store_sum(const struct lab *lab, size_t (*of)(const struct sto_memory *store, unsigned shard))
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < lab->params.shards; i++)
        sum += of(lab->store, i);
    return sum;
}

static enum hd_err
expect_number(const char *what, uint64_t got, uint32_t want, char *problem)
{
    if (got == want)
        return HD_OK;
    (void)snprintf(problem, PROBLEM, "%s: %llu, not %u", what, (unsigned long long)got, want);
    return HD_ESYNTAX;
}

static enum hd_err
do_store(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    static const char usage[] =
        "store hold|go|release N|release all|newest N|fail N|refuse N|keeps N|waiting N";
    bool all = n == 3 && hd_slice_eq(words[2], HD_LIT("all"));
    uint32_t number = 0;

    if (!start(lab, problem))
        return HD_ESYNTAX;
    if (n < 2 || n > 3 || (n == 3 && !all && hd_slice_to_u32(words[2], &number)))
        return bad(problem, usage);
    if (hd_slice_eq(words[1], HD_LIT("hold")) || hd_slice_eq(words[1], HD_LIT("go"))) {
        for (unsigned i = 0; i < lab->params.shards; i++)
            sto_memory_hold(lab->store, i, words[1].p[0] == 'h');
        return HD_OK;
    }
    if (hd_slice_eq(words[1], HD_LIT("keeps")))
        return expect_number("records kept", store_sum(lab, sto_memory_count), number, problem);
    if (hd_slice_eq(words[1], HD_LIT("waiting")))
        return expect_number("records waiting", store_sum(lab, sto_memory_waiting), number,
                             problem);
    if (hd_slice_eq(words[1], HD_LIT("release")) || hd_slice_eq(words[1], HD_LIT("newest"))) {
        size_t done = release(lab, all ? SIZE_MAX : number, words[1].p[0] == 'n');

        return all ? HD_OK : expect_number("records released", done, number, problem);
    }
    for (unsigned i = 0; i < lab->params.shards; i++) {
        if (hd_slice_eq(words[1], HD_LIT("fail")))
            sto_memory_fail(lab->store, i, number);
        else if (hd_slice_eq(words[1], HD_LIT("refuse")))
            sto_memory_refuse(lab->store, i, number);
        else
            return bad(problem, usage);
    }
    return HD_OK;
}

/* "shard stop|go N", "mail hold|go N" */
static enum hd_err
do_shard(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    bool stop = n == 3 && !hd_slice_eq(words[1], HD_LIT("go"));
    struct lab_seat *seat;
    uint32_t number;

    if (n != 3 || hd_slice_to_u32(words[2], &number))
        return bad(problem, "shard stop|go N, or mail hold|go N");
    seat = &lab->seats[number % lab->params.shards];
    if (words[0].p[0] == 's')
        seat->stopped = stop;
    else
        seat->mail_held = stop;
    return HD_OK;
}

/* "order 2 0 1": in which order shards take their turns. */
static enum hd_err
do_order(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    bool seen[EVT_MAX_SHARDS] = { false };
    uint32_t number;

    if (n != lab->params.shards + 1)
        return bad(problem, "order, and each shard once");
    for (unsigned i = 1; i < n; i++) {
        if (hd_slice_to_u32(words[i], &number) || number >= lab->params.shards || seen[number])
            return bad(problem, "order, and each shard once");
        seen[number] = true;
        lab->order[i - 1] = number;
    }
    return HD_OK;
}

/* "count NAME N": a counter or gauge, summed over the shards. */
static enum hd_err
do_count(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    static const struct {
        const char *name;
        size_t offset;
    } row[] = {
#define ROW(name, words) { #name, offsetof(struct evt_counters, name) },
        EVT_COUNTERS(ROW) EVT_GAUGES(ROW)
#undef ROW
    };
    uint32_t want;
    uint64_t sum = 0;

    if (n != 3 || hd_slice_to_u32(words[2], &want))
        return bad(problem, "count NAME NUMBER");
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        if (!hd_slice_eq(words[1], hd_slice_str(row[i].name)))
            continue;
        for (unsigned k = 0; k < lab->params.shards; k++) {
            const char *counters = (const char *)evt_shard_counters(lab->seats[k].evt);

            sum += atomic_load_explicit(
                (const _Atomic uint64_t *)(const void *)(counters + row[i].offset),
                memory_order_relaxed);
        }
        return expect_number(row[i].name, sum, want, problem);
    }
    return bad(problem, "a counter of src/event/counters.h");
}

struct sub_wanted {
    const struct hd_slice *words; /* "state=active" */
    unsigned n;
    unsigned found, seen;
    struct hd_str rows;
};

static bool
sub_has(const struct evt_sub_row *row, struct hd_slice word)
{
    struct hd_slice value = word, name = hd_slice_cut(&value, '=');
    char number[16];
    const struct {
        struct hd_slice name, value;
    } field[] = {
        { HD_LIT("state"), hd_slice_str(row->state) },
        { HD_LIT("health"), hd_slice_str(row->health) },
        { HD_LIT("package"), row->package },
        { HD_LIT("watcher"), row->watcher },
        { HD_LIT("target"), row->target },
        { HD_LIT("id"), row->event_id },
    };

    for (size_t i = 0; i < HD_ARRAY_LEN(field); i++)
        if (hd_slice_eq(name, field[i].name))
            return hd_slice_eq(value, field[i].value);
    (void)snprintf(number, sizeof(number), "%u", row->expires_s);
    return hd_slice_eq(name, HD_LIT("expires")) && hd_slice_eq(value, hd_slice_str(number));
}

static void
sub_visit(void *context, const struct evt_sub_row *row)
{
    struct sub_wanted *wanted = context;
    bool fits = true;

    wanted->seen++;
    for (unsigned i = 0; i < wanted->n; i++)
        fits = fits && sub_has(row, wanted->words[i]);
    wanted->found += fits;
    hd_str_addf(&wanted->rows, "; %s %s watcher=%.*s target=%.*s expires=%u", row->state,
                row->health, HD_FMT(row->watcher), HD_FMT(row->target), row->expires_s);
}

/* "settled": nothing is in flight or waits, and every subscription has seen the newest state. */
static enum hd_err
do_settled(struct lab *lab, char *problem)
{
    struct hd_slice word = HD_LIT("health=in-sync");
    struct sub_wanted wanted = { .words = &word, .n = 1 };
    enum hd_err err = HD_OK;

    for (unsigned i = 0; i < lab->params.shards && !err; i++) {
        if (!evt_shard_quiet(lab->seats[i].evt)) {
            (void)snprintf(problem, PROBLEM, "shard %u is not quiet", i);
            err = HD_ESYNTAX;
        }
        evt_shard_list_subs(lab->seats[i].evt, hd_slice(NULL, 0), UINT32_MAX, lab->now_us,
                            sub_visit, &wanted);
    }
    if (!err && wanted.found != wanted.seen) {
        (void)snprintf(problem, PROBLEM, "%u of %u subscriptions are in sync%s", wanted.found,
                       wanted.seen, hd_str_text(&wanted.rows));
        err = HD_ESYNTAX;
    }
    hd_str_done(&wanted.rows);
    return err;
}

/* "subs RESOURCE N [FIELD=VALUE...]": so many subscriptions of a resource look like this. */
static enum hd_err
do_subs(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    struct sub_wanted wanted = { .words = words + 3 };
    enum hd_err err = HD_OK;
    uint32_t want;

    if (n < 3 || hd_slice_to_u32(words[2], &want))
        return bad(problem, "subs RESOURCE NUMBER [state=S] [health=H] [watcher=W] ...");
    wanted.n = n - 3;
    for (unsigned i = 0; i < lab->params.shards; i++)
        evt_shard_list_subs(lab->seats[i].evt, words[1], UINT32_MAX, lab->now_us, sub_visit,
                            &wanted);
    if (wanted.found != want) {
        (void)snprintf(problem, PROBLEM, "%u subscriptions look like this, not %u%s", wanted.found,
                       want, hd_str_text(&wanted.rows));
        err = HD_ESYNTAX;
    }
    hd_str_done(&wanted.rows);
    return err;
}

static enum hd_err
close_connections(struct lab *lab, struct play_actor *actor)
{
    struct lab_peer *peer = actor->host;

    for (size_t i = 0; i < lab->n_wires; i++) {
        struct lab_wire *wire = &lab->wires[i];

        if (wire->actor != actor || !wire->open)
            continue;
        wire->open = false;
        evt_shard_closed(lab->seats[hd_conn_shard(wire->conn)].evt, wire->conn, lab->now_us);
    }
    peer->conn = 0;
    return HD_OK;
}

/* "alice closes", "alice accepts|refuses|ignores tcp", "alice unreachable|reachable" */
static enum hd_err
do_actor(struct lab *lab, struct play_actor *actor, const struct hd_slice *words, unsigned n,
         char *problem)
{
    static const struct hd_slice tcp[] = { { "refuses", 7 }, { "accepts", 7 }, { "ignores", 7 } };
    struct lab_peer *peer = actor->host;

    if (n == 2 && hd_slice_eq(words[1], HD_LIT("closes")))
        return close_connections(lab, actor);
    if (n == 2 && (hd_slice_eq(words[1], HD_LIT("unreachable")) ||
                   hd_slice_eq(words[1], HD_LIT("reachable")))) {
        peer->unreachable = words[1].p[0] == 'u';
        return HD_OK;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(tcp) && n == 3; i++) {
        if (hd_slice_eq(words[1], tcp[i]) && hd_slice_eq(words[2], HD_LIT("tcp"))) {
            peer->tcp = (enum lab_tcp)i;
            return HD_OK;
        }
    }
    return bad(problem, "closes, accepts tcp, refuses tcp, ignores tcp, unreachable or reachable");
}

static enum hd_err
do_end(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    uint32_t retry = 0;

    if (n > 2 || (n == 2 && hd_slice_to_u32(words[1], &retry)))
        return bad(problem, "terminate [RETRY-AFTER], or drain");
    for (unsigned i = 0; i < lab->params.shards; i++) {
        if (words[0].p[0] == 'd')
            evt_shard_drain_begin(lab->seats[i].evt);
        else
            evt_shard_terminate_all(lab->seats[i].evt, retry, lab->now_us);
    }
    return HD_OK;
}

static enum hd_err
host_command(void *context, struct play *play, const struct play_step *step,
             const struct hd_slice *words, unsigned n, char *problem)
{
    struct lab *lab = context;
    struct play_actor *actor = play_actor_find(play, words[0]);

    if (hd_slice_eq(words[0], HD_LIT("shards")))
        return HD_OK; /* read before the play began */
    if (hd_slice_eq(words[0], HD_LIT("config")))
        return do_config(lab, step, problem);
    if (hd_slice_eq(words[0], HD_LIT("user")))
        return do_user(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("rule")))
        return do_rule(lab, words, n, problem);
    if (!start(lab, problem))
        return HD_ESYNTAX;
    if (actor)
        return do_actor(lab, actor, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("store")))
        return do_store(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("shard")) || hd_slice_eq(words[0], HD_LIT("mail")))
        return do_shard(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("order")))
        return do_order(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("count")))
        return do_count(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("subs")))
        return do_subs(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("settled")))
        return do_settled(lab, problem);
    if (hd_slice_eq(words[0], HD_LIT("drain")) || hd_slice_eq(words[0], HD_LIT("terminate")))
        return do_end(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("check")))
        return check(lab, problem) ? HD_OK : HD_ESYNTAX;
    return HD_ENOMATCH;
}

struct play_host
lab_host(struct lab *lab)
{
    return (struct play_host){ .context = lab,
                               .actor = host_actor,
                               .send = host_send,
                               .await = host_await,
                               .settle = host_settle,
                               .pass = host_pass,
                               .now_ms = host_now,
                               .command = host_command,
                               .trace = lab->params.trace ? host_trace : NULL };
}

void
lab_connect(struct lab *lab, struct play *play)
{
    lab->play = play;
}
