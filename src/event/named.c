/* named.c - next hops that are named: RFC 3263 as the core sees it.
 *
 * A name is a next hop like any other, shared by all subscriptions that go there; its flow is that
 * of the target in use.  Until the name is resolved its subscriptions wait with the hop, as those
 * do that its window holds.  When a target fails (Timer F, a transport error, 503: RFC 3263 section
 * 4.3) the hop moves to the next one, and what was in flight goes out anew there: as a new NOTIFY
 * with the newest state, since the old one may have arrived.
 *
 * Invariant: nothing here sends or ends anything from inside a question: a name that leads nowhere
 * is put into a list that the turn goes through. */
#include <stdlib.h>

#include "event/core.h"

#define AGAIN_MS 30000u /* an answer that does not come any more: the old one is used that long */

struct evt_named {
    uint32_t hop, next_nowhere;
    bool asking;   /* an answer will come */
    bool resolved; /* the hop's flow can be used */
    bool nowhere;  /* in the list of those that failed */
    bool back;     /* when it leads nowhere, base is a way to the subscriber */
    bool secure;
    uint8_t transport, at, tried; /* target in use; how many failed in a row */
    uint16_t port;
    uint32_t net_host;   /* the name as net/ knows it; 0: TLS finds nobody */
    uint32_t aliases;    /* changes of evt_aliases when the target was chosen */
    struct hd_flow base; /* how the SUBSCRIBE came */
    struct evt_targets targets;
    struct hd_slice host; /* heap */
};

static struct evt_named *
named_of(struct evt_shard *shard, const struct evt_hop *hop)
{
    struct evt_named *named = hd_table_at(&shard->nameds, hop->named);

    HD_ASSERT(named != NULL);
    return named;
}

void
evt_named_init(struct evt_shard *shard, uint32_t max)
{
    hd_table_init(&shard->nameds, sizeof(struct evt_named), max);
    shard->nowhere = EVT_NONE;
}

/* --- making and freeing ---------------------------------------------------------------------- */

/* Names that lead to the same subscriber by the same ways are one hop. */
static uint32_t
named_hash(const struct evt_shard *shard, const struct evt_way *way)
{
    uint64_t hash = hd_hash(&shard->keys.table, way->name.host);

    hash = hd_hash_mix(hash, (uint64_t)way->name.port << 16 | (uint64_t)way->name.transport << 8 |
                                 (uint64_t)way->name.secure << 1 | way->back);
    hash = hd_hash_mix(hash, hd_addr_hash(&shard->keys.table, &way->flow.local, true));
    if (way->back)
        hash = hd_hash_mix(hash, hd_addr_hash(&shard->keys.table, &way->flow.remote, true) ^
                                     way->flow.conn);
    return (uint32_t)hash;
}

static bool
named_same(const struct evt_named *named, const struct evt_way *way)
{
    return named->port == way->name.port && named->transport == way->name.transport &&
           named->secure == way->name.secure && named->back == way->back &&
           named->base.listener == way->flow.listener &&
           named->base.transport == way->flow.transport &&
           hd_addr_eq(&named->base.local, &way->flow.local) &&
           (!way->back || (named->base.conn == way->flow.conn &&
                           hd_addr_eq(&named->base.remote, &way->flow.remote))) &&
           hd_slice_ieq(named->host, way->name.host);
}

static struct evt_hop *
named_find(struct evt_shard *shard, uint32_t hash, const struct evt_way *way)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->hop_by_flow, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_hop *hop = evt_hop_at(shard, i);
        if (hop->named != EVT_NONE && named_same(named_of(shard, hop), way))
            return hop;
    }
    return NULL;
}

static struct evt_hop *
named_new(struct evt_shard *shard, uint32_t hash, const struct evt_way *way)
{
    struct hd_handle handle;
    struct evt_named *named;
    struct evt_hop *hop;
    void *object;
    char *host = hd_slice_strdup(way->name.host);
    struct hd_flow flow = way->flow;

    flow.conn = 0;
    if (!host || hd_table_add(&shard->nameds, &handle, &object)) {
        free(host);
        return NULL;
    }
    hop = evt_hop_new(shard, &flow, hash);
    if (!hop) {
        free(host);
        hd_table_remove(&shard->nameds, handle.index);
        return NULL;
    }
    hop->named = handle.index;
    hop->proven = false;
    named = object;
    *named = (struct evt_named){ .hop = hop->index,
                                 .next_nowhere = EVT_NONE,
                                 .back = way->back,
                                 .secure = way->name.secure,
                                 .transport = way->name.transport,
                                 .port = way->name.port,
                                 .base = way->flow,
                                 .host = hd_slice(host, way->name.host.n) };
    if (shard->ports.net->host)
        named->net_host = shard->ports.net->host(shard->ports.net_context, named->host);
    return hop;
}

struct evt_hop *
evt_hop_take(struct evt_shard *shard, const struct evt_way *way, struct evt_hop *likely)
{
    if (!way->name.host.p)
        return evt_hop_get(shard, &way->flow, likely);
    uint32_t hash = named_hash(shard, way);
    struct evt_hop *hop = named_find(shard, hash, way);
    if (!hop)
        hop = named_new(shard, hash, way);
    if (hop && hop->subs++ == 0)
        evt_gauge(shard, &shard->counters.hops, 1);
    return hop;
}

bool
evt_named_is(struct evt_shard *shard, const struct evt_hop *hop)
{
    const struct evt_named *named = named_of(shard, hop);
    const struct evt_way way = { .flow = named->base,
                                 .name = { .host = named->host,
                                           .port = named->port,
                                           .transport = named->transport,
                                           .secure = named->secure },
                                 .back = named->back };

    return named->hop == hop->index && named_find(shard, named_hash(shard, &way), &way) == hop;
}

void
evt_named_free(struct evt_shard *shard, struct evt_hop *hop)
{
    struct evt_named *named = named_of(shard, hop);
    uint32_t *next = &shard->nowhere;

    while (named->nowhere && *next != hop->named)
        next = &((struct evt_named *)hd_table_at(&shard->nameds, *next))->next_nowhere;
    if (named->nowhere)
        *next = named->next_nowhere;
    if (named->net_host)
        shard->ports.net->host_done(shard->ports.net_context, named->net_host);
    free((void *)(uintptr_t)named->host.p);
    hd_table_remove(&shard->nameds, hop->named);
    hop->named = EVT_NONE;
}

/* --- which target ---------------------------------------------------------------------------- */

/* The hop goes another way from now on; what is in flight on the old one finds out by the number.
 */
static void
hop_move(struct evt_shard *shard, struct evt_hop *hop, const struct hd_flow *flow)
{
    struct evt_named *named = named_of(shard, hop);

    if (named->resolved && hop->flow.transport == flow->transport && hop->flow.conn == flow->conn &&
        hd_addr_eq(&hop->flow.remote, &flow->remote))
        return;
    if (!evt_hop_set_conn(shard, hop, flow->conn))
        return; /* memory is short: it stays where it is */
    /* What the SUBSCRIBE proved it proved of its source, and of nothing else. */
    if (named->resolved || !hd_addr_eq(&named->base.remote, &flow->remote)) {
        hop->octets_in = hop->octets_out = 0;
        hop->proven = false;
    }
    hop->flow = *flow;
    hop->way++;
    hop->no_tcp_until_s = 0;
    if (flow->conn || evt_listener_trusts(shard->config, flow))
        hop->proven = true;
}

/* Takes the first target from at on that can be used; false: none of the rest can. */
static bool
use_from(struct evt_shard *shard, struct evt_hop *hop, uint8_t at)
{
    struct evt_named *named = named_of(shard, hop);
    struct hd_flow flow;

    for (uint8_t i = at; i < named->targets.n; i++) {
        const struct evt_target *target = &named->targets.target[i];
        if (!evt_notify_flow_to(shard, &named->base, (enum hd_transport)target->transport,
                                &target->addr, &flow))
            continue;
        /* RFC 5922 section 7.3: who is meant is the domain of the URI, whatever it resolved to. */
        flow.host = flow.transport == HD_TLS ? named->net_host : 0;
        if (flow.transport == HD_TLS)
            flow.conn = evt_alias_find(shard, &flow.remote, named->host, hop->flow.conn);
        named->at = i;
        named->aliases = shard->aliases.changes;
        hop_move(shard, hop, &flow);
        return true;
    }
    return false;
}

/* The target in use stays while it is as good as the first one. */
static bool
keep_target(const struct evt_named *named, const struct evt_hop *hop,
            const struct evt_targets *targets, uint8_t *ret_at)
{
    for (uint8_t i = 0; named->resolved && i < targets->n; i++) {
        const struct evt_target *target = &targets->target[i];
        if (target->transport != hop->flow.transport ||
            !hd_addr_eq(&target->addr, &hop->flow.remote))
            continue;
        *ret_at = i;
        return target->rank == targets->target[0].rank &&
               (i < targets->n_good || targets->n_good == 0);
    }
    return false;
}

/* It leads nowhere: the way back where there is one, else its subscriptions hear of it in the turn.
 */
static void
named_nowhere(struct evt_shard *shard, struct evt_hop *hop)
{
    struct evt_named *named = named_of(shard, hop);

    if (named->resolved) { /* what was right until now is used on */
        named->targets.until_ms = shard->now_ms + AGAIN_MS;
        return;
    }
    EVT_COUNT(shard, names_nowhere);
    if (named->back) {
        named->targets = (struct evt_targets){ .until_ms = shard->now_ms + AGAIN_MS };
        hop_move(shard, hop, &named->base);
        named->resolved = true;
        evt_hop_release(shard, hop);
        return;
    }
    if (named->nowhere)
        return;
    named->nowhere = true;
    named->next_nowhere = shard->nowhere;
    shard->nowhere = hop->named;
}

static void
named_take(struct evt_shard *shard, struct evt_hop *hop, const struct evt_targets *targets)
{
    struct evt_named *named = named_of(shard, hop);
    uint8_t at = 0;
    bool keep = targets && keep_target(named, hop, targets, &at);

    if (!targets) {
        named_nowhere(shard, hop);
        return;
    }
    named->targets = *targets;
    named->tried = 0;
    if (keep) {
        named->at = at;
        return;
    }
    if (!use_from(shard, hop, 0)) {
        named_nowhere(shard, hop);
        return;
    }
    named->resolved = true;
    evt_hop_release(shard, hop);
}

static void
named_ask(struct evt_shard *shard, struct evt_hop *hop)
{
    struct evt_named *named = named_of(shard, hop);
    struct hd_handle handle = hd_table_handle(&shard->hops, hop->index);
    struct evt_name name = { .host = named->host,
                             .port = named->port,
                             .transport = named->transport,
                             .secure = named->secure };
    struct evt_targets targets;
    enum hd_err err;

    evt_notify_transports(shard, &named->base, &name);
    err = shard->ports.names->ask(shard->ports.names_context, &name,
                                  (uint64_t)handle.generation << 32 | handle.index, shard->now_ms,
                                  &targets);
    if (err == HD_EAGAIN)
        named->asking = true;
    else
        named_take(shard, hop, err ? NULL : &targets);
}

void
evt_shard_named(struct evt_shard *shard, uint64_t ticket, const struct evt_targets *targets,
                uint64_t now_us)
{
    struct hd_handle handle = { .index = (uint32_t)ticket, .generation = (uint32_t)(ticket >> 32) };
    struct evt_hop *hop;

    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    evt_shard_tick(shard, now_us);
    hop = hd_table_find(&shard->hops, handle);
    if (!hop || hop->named == EVT_NONE || !named_of(shard, hop)->asking)
        return; /* nobody goes there any more */
    named_of(shard, hop)->asking = false;
    named_take(shard, hop, targets);
}

/* --- for who sends --------------------------------------------------------------------------- */

bool
evt_named_ready(struct evt_shard *shard, struct evt_hop *hop)
{
    struct evt_named *named = named_of(shard, hop);
    bool due = !named->resolved || shard->now_ms >= named->targets.until_ms;

    if (due && !named->asking && !named->nowhere && shard->ports.names)
        named_ask(shard, hop);
    if (named->resolved && named->aliases != shard->aliases.changes) {
        named->aliases = shard->aliases.changes;
        (void)use_from(shard, hop, named->at);
    }
    return named->resolved;
}

bool
evt_named_resolved(struct evt_shard *shard, const struct evt_hop *hop)
{
    return named_of(shard, hop)->resolved;
}

void
evt_named_works(struct evt_shard *shard, struct evt_hop *hop)
{
    struct evt_named *named = named_of(shard, hop);

    named->tried = 0;
    if (named->at < named->targets.n && shard->ports.names)
        shard->ports.names->works(shard->ports.names_context, &named->targets.target[named->at],
                                  shard->now_ms);
}

bool
evt_named_next(struct evt_shard *shard, struct evt_hop *hop, uint32_t retry_after_s)
{
    struct evt_named *named = named_of(shard, hop);

    if (named->at >= named->targets.n || !shard->ports.names)
        return false; /* the way back is the only one */
    /* When his own connection is gone, the target may well be there (RFC 5923 section 8.2). */
    const uint8_t used = hop->way;
    if (hop->flow.conn && use_from(shard, hop, named->at) && hop->way != used)
        return true;
    shard->ports.names->failed(shard->ports.names_context, &named->targets.target[named->at],
                               retry_after_s, shard->now_ms);
    EVT_COUNT(shard, targets_failed);
    uint8_t way = hop->way;
    if (++named->tried < named->targets.n) {
        uint8_t at = (uint8_t)(named->at + 1);
        if ((use_from(shard, hop, at) || use_from(shard, hop, 0)) && hop->way != way)
            return true;
    }
    /* All of them failed: whoever tries again asks anew first. */
    named->tried = 0;
    named->targets.until_ms = shard->now_ms;
    return false;
}

/* --- in the turn ----------------------------------------------------------------------------- */

/* Subscriptions whose next hop cannot be found are as badly off as those whose connection is
 * refused. */
void
evt_named_turn(struct evt_shard *shard)
{
    while (shard->nowhere != EVT_NONE) {
        struct evt_named *named = hd_table_at(&shard->nameds, shard->nowhere);
        struct evt_hop *hop = evt_hop_at(shard, named->hop);
        uint32_t index = hop->index;

        shard->nowhere = named->next_nowhere;
        named->next_nowhere = EVT_NONE;
        named->nowhere = false;
        hop->subs++; /* stays until all have heard */
        while (hop->waiting.head != EVT_NONE) {
            struct evt_sub *sub = evt_sub_at(shard, hop->waiting.head);
            evt_dequeue(shard, sub);
            evt_notify_unreachable(shard, sub);
        }
        evt_hop_put(shard, index);
    }
}
