/* by_watcher.h - the subscriptions of a mirror, found by who watches.  Private to event/.
 *
 * Who is shown his own entry asks for his subscriptions alone, and on a resource with ten thousand
 * watchers who do so nobody can look at all of them for each.  So the first such question puts the
 * mirror's subscriptions into a map of the shard, where they stay as long as the mirror does; a
 * mirror of which nobody asks that costs nothing.  A subscription's watcher is the same for its
 * whole life. */
#ifndef HD_EVENT_BY_WATCHER_H
#define HD_EVENT_BY_WATCHER_H

#include <stdbool.h>

#include "base/map.h"
#include "base/slice.h"

struct evt_mirror;
struct evt_shard;
struct evt_sub;

/** One that takes its place in its mirror, or leaves it. */
void evt_by_watcher_add(struct evt_shard *shard, struct evt_mirror *mirror,
                        const struct evt_sub *sub);
void evt_by_watcher_remove(struct evt_shard *shard, const struct evt_mirror *mirror,
                           const struct evt_sub *sub);
/** The mirror goes: none of its subscriptions has a place any more. */
void evt_by_watcher_forget(struct evt_shard *shard, struct evt_mirror *mirror);

struct evt_by_watcher {
    struct evt_mirror *mirror;
    struct hd_slice watcher; /* empty: all */
    bool by_map;
    struct hd_map_walk walk;
    uint32_t at; /* without the map: the place that is looked at next */
};
/** The subscriptions with a place in a mirror, of one watcher or (empty) of all, in any order; no
 * place may be taken or left meanwhile.  NULL: no more. */
struct evt_sub *evt_by_watcher_first(struct evt_shard *shard, struct evt_mirror *mirror,
                                     struct hd_slice watcher, struct evt_by_watcher *walk);
struct evt_sub *evt_by_watcher_next(struct evt_shard *shard, struct evt_by_watcher *walk);
/** For the check of the invariants: how often one stands in the map. */
unsigned evt_by_watcher_holds(struct evt_shard *shard, const struct evt_sub *sub);

#endif
