/* lab.c - the broker core on a fake clock.
 *
 * Shards take turns in a fixed order: mails, packets, what the store has to say, timers and
 * fan-out.  What they send is put into the inboxes of actors at once.  The laboratory settles when
 * no shard has anything left to do at this moment; then time may go on, to the next moment that
 * some shard asked for. Invariant: packets, failures and mails are handled in the order in which
 * they came, so a run can be repeated. */
#include "lab_core.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "base/str.h"
#include "event/shard.h"
#include "filter/filters.h"
#include "heraldd/config.h"
#include "lab_dns.h"
#include "package/pkg.h"
#include "policy/policy.h"
#include "store/memory.h"

#define START_US UINT64_C(1000000000)
#define ROUNDS_MAX 100000 /* a laboratory that is still busy then will never rest */
#define CHECK_SUBS_MAX 300

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
        (void)snprintf(problem, LAB_PROBLEM, "%s", line);
}

/* Reads the configuration anew from defaults and the scenario's text. */
bool
lab_conf_read(struct lab *lab, char *problem)
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
            (void)snprintf(problem, LAB_PROBLEM, "configuration: %s", hd_err_text(err));
        return false;
    }
    for (size_t i = 0; i < conf->n_listeners; i++)
        bound[i] = conf->listeners[i].addr;
    if (hd_conf_bind(conf, bound, NULL, 0)) {
        hd_conf_unref(conf);
        (void)snprintf(problem, LAB_PROBLEM, "memory is short");
        return false;
    }
    hd_conf_unref(lab->conf);
    lab->conf = conf;
    return true;
}

uint64_t
lab_wall_s(const struct lab *lab)
{
    return LAB_WALL_S + (lab->now_us - START_US) / 1000000;
}

static uint64_t
wall_s(void *context)
{
    return lab_wall_s(context);
}

/* A new version of what every shard knows. */
bool
lab_publish(struct lab *lab, struct hd_slice changed, char *problem)
{
    struct evt_config *config =
        hd_conf_publish(lab->conf, lab->book, lab_wall_s(lab), ++lab->version,
                        HD_LIT("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));

    if (!config) {
        (void)snprintf(problem, LAB_PROBLEM, "memory is short");
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
wire_open(struct lab *lab, unsigned shard, struct play_actor *actor, const struct hd_flow *flow)
{
    struct lab_wire *wire;

    HD_ASSERT(lab->n_wires < LAB_WIRES_MAX);
    wire = &lab->wires[lab->n_wires++];
    *wire = (struct lab_wire){ .conn = hd_conn_make(shard, 1, (uint32_t)lab->n_wires),
                               .actor = actor,
                               .local = flow->local,
                               .transport = flow->transport,
                               .listener = flow->listener,
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
            lab->wires[i].transport == flow->transport &&
            hd_addr_eq(&lab->wires[i].actor->addr, &flow->remote))
            return &lab->wires[i];
    if (!actor)
        return NULL;
    peer = actor->host;
    *ret_ignored = peer->tcp == TCP_IGNORES;
    return peer->tcp == TCP_ACCEPTS ? wire_open(lab, shard, actor, flow) : NULL;
}

static void
deliver_datagram(struct lab_seat *seat, const struct hd_flow *flow, struct hd_slice octets,
                 uint64_t owner)
{
    struct lab *lab = seat->lab;
    struct play_actor *actor = actor_at(lab, &flow->remote);
    char text[HD_ADDR_TEXT], problem[LAB_PROBLEM];

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
        play_deliver(seat->lab->play, wire->actor, (enum hd_transport)wire->transport, &wire->local,
                     wire->conn, octets);
    else if (!ignored && owner)
        HD_ASSERT(enqueue(&seat->failures, flow, hd_slice(NULL, 0), owner));
}

static struct hd_slice
net_peer_names(void *net, uint64_t conn)
{
    const struct lab_seat *seat = net;
    const struct lab_wire *wire = wire_find(seat->lab, conn);
    const struct lab_peer *peer = wire ? wire->actor->host : NULL;

    return peer ? hd_slice_str(peer->names) : hd_slice(NULL, 0);
}

static const struct evt_net_ops net_ops = { .reserve = net_reserve_room,
                                            .commit = net_commit_octets,
                                            .peer = net_peer_names };

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
    lab->start = 1;
    lab->book = pol_book_new(&key);
    for (unsigned i = 0; i < params->shards; i++) {
        struct lab_seat *seat = &lab->seats[i];

        lab->order[i] = i;
        seat->lab = lab;
        seat->seed = params->seed * 1000 + i;
        seat->policy_seed = params->seed * 1000 + 500 + i;
        seat->names_seed = params->seed * 1000 + 700 + i;
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
lab_seats_end(struct lab *lab)
{
    for (unsigned i = 0; i < lab->params.shards; i++) {
        struct lab_seat *seat = &lab->seats[i];

        evt_shard_free(seat->evt);
        nam_free(seat->names);
        pol_shard_free(seat->policy);
        flt_filters_free(seat->filters);
        seat->evt = NULL;
        seat->names = NULL;
        seat->policy = NULL;
        seat->filters = NULL;
        queue_done(&seat->packets);
        queue_done(&seat->failures);
    }
}

void
lab_free(struct lab *lab)
{
    if (!lab)
        return;
    lab_seats_end(lab);
    lab_dns_done(lab);
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

static void
named(void *context, uint64_t ticket, const struct evt_targets *targets)
{
    struct lab_seat *seat = context;

    evt_shard_named(seat->evt, ticket, targets, seat->lab->now_us);
}

static bool
seat_start(struct lab *lab, unsigned index, const struct evt_keys *keys)
{
    struct lab_seat *seat = &lab->seats[index];
    struct pol_shard_params policy = { .index = index,
                                       .shards = lab->params.shards,
                                       .id_key = keys->id,
                                       .table_key = keys->table,
                                       .epoch = lab->epoch,
                                       .entropy = hd_entropy_seeded,
                                       .entropy_context = &seat->policy_seed };
    struct evt_shard_params params = { .index = index,
                                       .count = lab->params.shards,
                                       .start = lab->start,
                                       .keys = *keys,
                                       .config = lab->config,
                                       .entropy = hd_entropy_seeded,
                                       .entropy_context = &seat->seed,
                                       .now_us = lab->now_us,
                                       .wake = wake };

    struct nam_params names = { .dns = &lab_dns_ops,
                                .dns_context = seat,
                                .key = keys->table,
                                .entropy = hd_entropy_seeded,
                                .entropy_context = &seat->names_seed,
                                .cache_max = lab->conf->names.cache,
                                .questions_max = lab->conf->names.questions,
                                .answer = named,
                                .context = seat };

    seat->policy = pol_shard_new(&policy);
    seat->names = nam_new(&names);
    seat->filters = flt_filters_new();
    if (!seat->policy || !seat->names || !seat->filters)
        return false;
    params.ports = (struct evt_ports){ .net = &net_ops,
                                       .net_context = seat,
                                       .store = &sto_memory_ops,
                                       .store_context = lab->store,
                                       .policy = &pol_ops,
                                       .policy_context = seat->policy,
                                       .names = &nam_ops,
                                       .names_context = seat->names,
                                       .filter = flt_filter_ops(),
                                       .filter_context = seat->filters,
                                       .wall_s = wall_s,
                                       .wall_context = lab };
    if (evt_shard_new(&params, &seat->evt))
        return false;
    sto_memory_attach(lab->store, index, seat->evt);
    return true;
}

bool
lab_seats_begin(struct lab *lab, char *problem)
{
    struct evt_shard *peers[EVT_MAX_SHARDS];
    uint64_t s = lab->params.seed;
    struct evt_keys keys = { .id = { s + 1, s + 2 }, .table = { s + 3, s + 4 } };

    lab->epoch++;
    for (unsigned i = 0; i < lab->params.shards; i++) {
        if (!seat_start(lab, i, &keys)) {
            (void)snprintf(problem, LAB_PROBLEM, "the core does not start");
            return false;
        }
        peers[i] = lab->seats[i].evt;
    }
    for (unsigned i = 0; i < lab->params.shards; i++)
        evt_shard_connect(peers[i], peers);
    return true;
}

/* The core starts with the first step that needs it. */
bool
lab_start(struct lab *lab, char *problem)
{
    struct sto_memory_params store = { .shards = lab->params.shards, .keep = true };

    if (lab->started)
        return true;
    if (!lab_conf_read(lab, problem) || !lab_publish(lab, hd_slice(NULL, 0), problem))
        return false;
    if (sto_memory_new(&store, &lab->store))
        return false;
    lab->started = lab_seats_begin(lab, problem);
    return lab->started;
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
    busy = lab_dns_deliver(seat) || busy;
    sto_memory_clock(lab->store, lab->now_us / 1000);
    if (sto_memory_flush(lab->store, index) > 0) {
        if (!seat->mail_held)
            evt_shard_drain(seat->evt, lab->now_us);
        busy = true;
    }
    wait_ms = evt_shard_turn(seat->evt, lab->now_us);
    busy = sto_memory_flush(lab->store, index) > 0 || busy; /* what timers gave it */
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
            (void)snprintf(problem, LAB_PROBLEM, "the core does not come to rest");
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

bool
lab_check(struct lab *lab, char *problem)
{
    struct evt_shard *shards[EVT_MAX_SHARDS];
    const char *broken = NULL;

    for (unsigned i = 0; i < lab->params.shards && lab->started; i++) {
        broken = evt_shard_check(lab->seats[i].evt);
        if (broken) {
            (void)snprintf(problem, LAB_PROBLEM, "shard %u: %s", i, broken);
            return false;
        }
        shards[i] = lab->seats[i].evt;
    }
    if (lab->started)
        broken = evt_shards_check(shards, lab->params.shards);
    if (broken)
        (void)snprintf(problem, LAB_PROBLEM, "between shards: %s", broken);
    return !broken;
}

static bool
host_settle(void *context, char *problem)
{
    struct lab *lab = context;

    if (!rest(lab, problem))
        return false;
    return !lab->started || gauge_subs(lab) > CHECK_SUBS_MAX || lab_check(lab, problem);
}

static bool
host_pass(void *context, uint64_t ms, char *problem)
{
    struct lab *lab = context;
    uint64_t target = lab->now_us + ms * 1000;

    if (!lab_start(lab, problem))
        return false;
    while (lab->now_us < target) {
        uint64_t next = target;

        if (lab_dns_due_us(lab) < next)
            next = lab_dns_due_us(lab);
        for (unsigned i = 0; i < lab->params.shards; i++)
            if (!lab->seats[i].stopped && lab->seats[i].due_us < next)
                next = lab->seats[i].due_us;
        const struct pol_settings *settings = lab->config->policy;
        const uint64_t change_s = pol_book_next_change(lab->book, settings->now_s);
        if (change_s < lab_wall_s(lab) + (next - lab->now_us) / 1000000)
            next = START_US + (change_s - LAB_WALL_S) * 1000000;
        lab->now_us = next > lab->now_us ? next : lab->now_us + 1000;
        if (change_s <= lab_wall_s(lab) && !lab_publish(lab, hd_slice(NULL, 0), problem))
            return false;
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
    return lab_check(lab, problem);
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

    if (!peer || !lab_start(lab, problem)) {
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
        if (hd_slice_eq(words[i], HD_LIT("certified")) && words[i + 1].n < sizeof(peer->names)) {
            memcpy(peer->names, words[i + 1].p, words[i + 1].n);
            for (char *p = peer->names; (p = strchr(p, ',')); p++)
                *p = ' ';
            continue;
        }
        (void)snprintf(problem, LAB_PROBLEM,
                       "expected after the address: server ADDRESS:PORT, shard N, certified "
                       "NAME,...");
        return false;
    }
    if (find_listener(lab, actor, peer))
        return true;
    (void)snprintf(problem, LAB_PROBLEM, "no listener for %s", actor->name);
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
    if (reply_to && hd_transport_reliable(reply_to->transport)) {
        wire = wire_find(lab, reply_to->path);
    } else if (reply_to && reply_to->transport == HD_UDP) {
        flow.transport = HD_UDP;
        flow.local = reply_to->peer;
    } else if (hd_transport_reliable(actor->transport)) {
        wire = wire_find(lab, peer->conn);
        if (!wire) {
            wire = wire_open(lab, shard, actor, &flow);
            peer->conn = wire->conn;
        }
    }
    if (wire) {
        flow.transport = wire->transport;
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
            (void)snprintf(problem, LAB_PROBLEM, "expected: shard N, source ADDRESS:PORT");
            return false;
        }
    }
    if (n % 2) {
        (void)snprintf(problem, LAB_PROBLEM, "\"%.*s\" is no option", HD_FMT(words[n - 1]));
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
                               .command = lab_command,
                               .trace = lab->params.trace ? host_trace : NULL };
}

void
lab_connect(struct lab *lab, struct play *play)
{
    lab->play = play;
}
