/* hop.c - next hops: where the NOTIFYs of one subscription, or of thousands behind one proxy, go.
 *
 * A hop has a window when many subscriptions share it (a phone has one, an edge proxy thousands):
 * it grows with every answer and is halved when a NOTIFY has to be sent again.  A NOTIFY stops
 * counting at its first retransmission, so that the dead behind a hop hold no place of the living.
 * A hop also remembers what is proven of its address: nobody makes us send much to an address that
 * never answered. */
#include "event/core.h"

#define WINDOW_MOST 4096u

struct evt_hop *
evt_hop_at(struct evt_shard *shard, uint32_t index)
{
    struct evt_hop *hop = hd_table_at(&shard->hops, index);
    HD_ASSERT_OBJ(hop, EVT_HOP_MAGIC);
    return hop;
}

static uint32_t
hop_hash(const struct evt_shard *shard, const struct hd_flow *flow)
{
    uint64_t hash = hd_addr_hash(&shard->keys.table, &flow->remote, true);
    hash = hd_hash_mix(hash, hd_addr_hash(&shard->keys.table, &flow->local, true));
    return (uint32_t)hd_hash_mix(hash, flow->conn ^ (uint64_t)flow->transport << 48 ^
                                           (uint64_t)flow->listener << 56);
}

static bool
hop_same(const struct hd_flow *a, const struct hd_flow *b)
{
    return a->transport == b->transport && a->listener == b->listener && a->conn == b->conn &&
           hd_addr_eq(&a->remote, &b->remote) && hd_addr_eq(&a->local, &b->local);
}

struct evt_hop *
evt_hop_find(struct evt_shard *shard, const struct hd_flow *flow)
{
    uint32_t hash = hop_hash(shard, flow);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->hop_by_flow, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_hop *hop = evt_hop_at(shard, i);
        if (hop->named == EVT_NONE && hop_same(&hop->flow, flow))
            return hop;
    }
    return NULL;
}

bool
evt_hop_set_conn(struct evt_shard *shard, struct evt_hop *hop, uint64_t conn)
{
    if (hop->flow.conn == conn)
        return true;
    if (conn && hd_map_put(&shard->hop_by_conn, hd_hash_mix(conn, conn), hop->index))
        return false;
    if (hop->flow.conn)
        hd_map_remove(&shard->hop_by_conn, hd_hash_mix(hop->flow.conn, hop->flow.conn), hop->index);
    hop->flow.conn = conn;
    return true;
}

struct evt_hop *
evt_hop_new(struct evt_shard *shard, const struct hd_flow *flow, uint32_t hash)
{
    struct evt_hop *hop;
    uint32_t index;
    void *object;

    if (hd_table_add_keyed(&shard->hops, &shard->hop_by_flow, hash, &index, &object))
        return NULL;
    hop = object;
    hop->magic = EVT_HOP_MAGIC;
    hop->index = index;
    hop->flow = *flow;
    hop->flow.conn = 0;
    hop->hash = hash;
    hop->window =
        (uint16_t)(evt_limits(shard)->window_start < UINT16_MAX ? evt_limits(shard)->window_start
                                                                : UINT16_MAX);
    hop->waiting = EVT_LIST_EMPTY;
    hop->on_conn = hop->named = EVT_NONE;
    hop->proven = flow->conn != 0 || evt_listener_trusts(shard->config, flow);
    if (!evt_hop_set_conn(shard, hop, flow->conn)) {
        hd_map_remove(&shard->hop_by_flow, hash, index);
        hd_table_remove(&shard->hops, index);
        return NULL;
    }
    return hop;
}

static struct evt_hop *
hop_find_or_new(struct evt_shard *shard, const struct hd_flow *flow, struct evt_hop *likely)
{
    struct evt_hop *hop;

    if (likely && likely->named == EVT_NONE && hop_same(&likely->flow, flow))
        return likely;
    hop = evt_hop_find(shard, flow);
    return hop ? hop : evt_hop_new(shard, flow, hop_hash(shard, flow));
}

struct evt_hop *
evt_hop_get(struct evt_shard *shard, const struct hd_flow *flow, struct evt_hop *likely)
{
    struct evt_hop *hop = hop_find_or_new(shard, flow, likely);

    if (hop && hop->subs++ == 0)
        evt_gauge(shard, &shard->counters.hops, 1);
    return hop;
}

struct evt_hop *
evt_hop_came(struct evt_shard *shard, const struct hd_flow *flow, struct evt_hop *likely)
{
    struct evt_hop *hop = hop_find_or_new(shard, flow, likely);

    if (hop)
        hop->came++;
    return hop;
}

/* How many more NOTIFYs may be in flight to this hop. */
static uint32_t
hop_room(struct evt_shard *shard, const struct evt_hop *hop)
{
    uint32_t most = UINT32_MAX;

    if (hop->named != EVT_NONE && !evt_named_resolved(shard, hop))
        most = 0;
    else if (!hop->proven && hop->authenticated)
        most = 1;
    else if (hop->subs > evt_limits(shard)->window_from)
        most = hop->window;
    return hop->in_flight < most ? most - hop->in_flight : 0;
}

bool
evt_hop_may_send(struct evt_shard *shard, const struct evt_hop *hop)
{
    return hop_room(shard, hop) > 0;
}

/* As many as there is room for get their turn.  Whoever does not use it lets the next one go: this
 * is called for each that had its turn, or left, and whenever room may have grown. */
void
evt_hop_release(struct evt_shard *shard, struct evt_hop *hop)
{
    for (uint32_t room = hop_room(shard, hop); room > 0 && hop->waiting.head != EVT_NONE; room--)
        evt_enqueue(shard, evt_sub_at(shard, hop->waiting.head), EVT_QUEUED_READY,
                    hop->waiting.first != EVT_NONE);
}

void
evt_hop_configure(struct evt_shard *shard)
{
    for (uint32_t i = 0; (i = hd_table_next(&shard->hops, i)) != HD_TABLE_NONE; i++)
        evt_hop_release(shard, evt_hop_at(shard, i));
}

static void
hop_free(struct evt_shard *shard, struct evt_hop *hop)
{
    hd_map_remove(&shard->hop_by_flow, hop->hash, hop->index);
    if (hop->flow.conn)
        hd_map_remove(&shard->hop_by_conn, hd_hash_mix(hop->flow.conn, hop->flow.conn), hop->index);
    if (hop->named != EVT_NONE)
        evt_named_free(shard, hop);
    hop->magic = 0;
    hd_table_remove(&shard->hops, hop->index);
}

void
evt_hop_put(struct evt_shard *shard, uint32_t index)
{
    struct evt_hop *hop = evt_hop_at(shard, index);

    HD_ASSERT(hop->subs > 0);
    if (--hop->subs > 0) {
        evt_hop_release(shard, hop); /* it may have held a place, or few are left */
        return;
    }
    HD_ASSERT(hop->in_flight == 0 && hop->waiting.head == EVT_NONE);
    evt_gauge(shard, &shard->counters.hops, -1);
    if (hop->came == 0)
        hop_free(shard, hop);
}

void
evt_hop_forget(struct evt_shard *shard, uint32_t index)
{
    struct evt_hop *hop = evt_hop_at(shard, index);

    HD_ASSERT(hop->came > 0);
    if (--hop->came == 0 && hop->subs == 0)
        hop_free(shard, hop);
}

void
evt_hop_landed(struct evt_shard *shard, struct evt_hop *hop, enum evt_window window)
{
    HD_ASSERT(hop->in_flight > 0);
    hop->in_flight--;
    switch (window) {
    case EVT_WINDOW_GROW:
        if (hop->window < WINDOW_MOST)
            hop->window++;
        break;
    case EVT_WINDOW_SHRINK:
        hop->window = hop->window > 1 ? hop->window / 2 : 1;
        break;
    case EVT_WINDOW_KEEP:
        break;
    }
    evt_hop_release(shard, hop);
}

/* --- what a connection carries --------------------------------------------------------------- */

void
evt_hop_carry(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_hop *hop = evt_hop_at(shard, sub->hop);
    struct evt_flight *flight = sub->flight;

    HD_ASSERT(!flight->on_conn);
    if (!hop->flow.conn)
        return;
    flight->on_conn = true;
    flight->prev_on_conn = EVT_NONE;
    flight->next_on_conn = hop->on_conn;
    if (hop->on_conn != EVT_NONE)
        evt_sub_at(shard, hop->on_conn)->flight->prev_on_conn = sub->index;
    hop->on_conn = sub->index;
}

void
evt_hop_drop(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_flight *flight = sub->flight;

    if (!flight->on_conn)
        return;
    flight->on_conn = false;
    if (flight->next_on_conn != EVT_NONE)
        evt_sub_at(shard, flight->next_on_conn)->flight->prev_on_conn = flight->prev_on_conn;
    if (flight->prev_on_conn != EVT_NONE)
        evt_sub_at(shard, flight->prev_on_conn)->flight->next_on_conn = flight->next_on_conn;
    else
        evt_hop_at(shard, sub->hop)->on_conn = flight->next_on_conn;
}
