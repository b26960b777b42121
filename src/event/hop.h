/* hop.h - where NOTIFYs go: flow, window, proof, and the names that lead there.  Private to event/;
 * see core.h. */
#ifndef HD_EVENT_HOP_H
#define HD_EVENT_HOP_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "event/shard.h"

struct evt_sub;

#define EVT_HOP_MAGIC 0x45484f50u
#define EVT_NONE HD_TABLE_NONE

/* Subscriptions in a row, or mirrors, linked through themselves; the one at the head knows the last
 * as its previous one.  Those with Resource-Priority (RFC 4412 section 4.5.2) stand before all
 * others. */
struct evt_list {
    uint32_t head;  /* EVT_NONE: empty */
    uint32_t first; /* the last of those that go first, EVT_NONE: there are none */
};
#define EVT_LIST_EMPTY ((struct evt_list){ EVT_NONE, EVT_NONE })

struct evt_hop {
    unsigned magic;
    uint32_t index;
    struct hd_flow flow;
    uint32_t subs;           /* subscriptions that go this way */
    uint32_t came;           /* and whose last SUBSCRIBE came so: it stays for them as well */
    uint32_t in_flight;      /* NOTIFYs that count against the window */
    uint32_t on_conn;        /* of a connection: first subscription with a NOTIFY in flight */
    struct evt_list waiting; /* subscriptions held by the window */
    uint32_t octets_in, octets_out; /* while unproven; they stop at the most */
    uint32_t no_tcp_until_s;        /* a large NOTIFY over TCP failed */
    uint32_t hash;
    uint32_t named; /* see named.c; EVT_NONE: its address was spelt out */
    uint16_t window;
    uint8_t way;     /* of a named one: grows when it moves to another target */
    bool proven : 1; /* DESIGN: an address that answered, returned a nonce, or is a connection */
    bool
        authenticated : 1; /* the next hop of an authenticated request: one transaction at a time */
};
/* A phone has one for each of its listeners. */
static_assert(sizeof(struct evt_hop) <= 120, "what every phone costs");

/** Counts octets that came from there / went there. */
static inline void
evt_octets(uint32_t *total, size_t n)
{
    *total = n < UINT32_MAX - *total ? *total + (uint32_t)n : UINT32_MAX;
}
/* A next hop before it is taken. */
struct evt_way {
    struct hd_flow flow;  /* the way; of a named one, how the SUBSCRIBE came */
    struct evt_name name; /* host p NULL: none; borrowed from what it was read from */
    bool back;            /* a name that leads nowhere: flow leads to the subscriber all the same */
};
/** The hop of a way, a reference (subs) is taken; NULL: full.  likely as below. */
struct evt_hop *evt_hop_take(struct evt_shard *shard, const struct evt_way *way,
                             struct evt_hop *likely);
/** A hop that nobody has yet, without a reference; NULL: full. */
struct evt_hop *evt_hop_new(struct evt_shard *shard, const struct hd_flow *flow, uint32_t hash);
/** Notes under which connection a hop is found; false: memory is short, nothing changed. */
bool evt_hop_set_conn(struct evt_shard *shard, struct evt_hop *hop, uint64_t conn);
/** The hop of a flow, with a reference (subs) taken; NULL: full.  likely: one that it may be, or
 * NULL. */
struct evt_hop *evt_hop_get(struct evt_shard *shard, const struct hd_flow *flow,
                            struct evt_hop *likely);
void evt_hop_put(struct evt_shard *shard, uint32_t hop);
/** The same for the way by which a SUBSCRIBE came. */
struct evt_hop *evt_hop_came(struct evt_shard *shard, const struct hd_flow *flow,
                             struct evt_hop *likely);
void evt_hop_forget(struct evt_shard *shard, uint32_t hop);
struct evt_hop *evt_hop_find(struct evt_shard *shard, const struct hd_flow *flow);
struct evt_hop *evt_hop_at(struct evt_shard *shard, uint32_t index);
bool evt_hop_may_send(struct evt_shard *shard, const struct evt_hop *hop);
/** Lets those who wait go, as far as there is room. */
void evt_hop_release(struct evt_shard *shard, struct evt_hop *hop);
void evt_hop_configure(struct evt_shard *shard);
/** A NOTIFY in flight is noted with the connection that carries it / no longer. */
void evt_hop_carry(struct evt_shard *shard, struct evt_sub *sub);
void evt_hop_drop(struct evt_shard *shard, struct evt_sub *sub);
enum evt_window { EVT_WINDOW_KEEP = 0, EVT_WINDOW_GROW, EVT_WINDOW_SHRINK };
/** A NOTIFY that counted against the window is over. */
void evt_hop_landed(struct evt_shard *shard, struct evt_hop *hop, enum evt_window window);

/* Next hops with a name (named.c): RFC 3263.  All but the first and the turn are for hops with
 * named alone. */
void evt_named_init(struct evt_shard *shard, uint32_t max);
/** Whether it is resolved; asks when it is not, or no longer surely. */
bool evt_named_ready(struct evt_shard *shard, struct evt_hop *hop);
bool evt_named_resolved(struct evt_shard *shard, const struct evt_hop *hop);
/** Its target answered. */
void evt_named_works(struct evt_shard *shard, struct evt_hop *hop);
/** Its target failed: true when it has moved to the next one. */
bool evt_named_next(struct evt_shard *shard, struct evt_hop *hop, uint32_t retry_after_s);
/** Whether it is found by its name. */
bool evt_named_is(struct evt_shard *shard, const struct evt_hop *hop);
void evt_named_free(struct evt_shard *shard, struct evt_hop *hop);
/** Tells the subscriptions of names that lead nowhere. */
void evt_named_turn(struct evt_shard *shard);

#endif
