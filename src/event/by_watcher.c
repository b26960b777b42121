/* by_watcher.c - see by_watcher.h. */
#include "event/by_watcher.h"

#include "event/core.h"

static uint64_t
hash_of(const struct evt_shard *shard, const struct evt_mirror *mirror, struct hd_slice watcher)
{
    return hd_hash_mix(mirror->hash, hd_hash(&shard->keys.table, watcher));
}

static struct hd_slice
watcher_of(const struct evt_sub *sub)
{
    return evt_texts_get(sub->texts, EVT_TEXT_WATCHER);
}

static struct evt_sub *
sub_at_place(struct evt_shard *shard, const struct evt_mirror *mirror, uint32_t place)
{
    return mirror->subs[place] != EVT_NONE ? evt_sub_at(shard, mirror->subs[place]) : NULL;
}

/* Takes out those up to a place, and looks at all of them from now on. */
static void
unmap(struct evt_shard *shard, struct evt_mirror *mirror, uint32_t to)
{
    for (uint32_t i = 0; i < to; i++) {
        const struct evt_sub *sub = sub_at_place(shard, mirror, i);
        if (sub)
            (void)hd_map_remove(&shard->sub_by_watcher, hash_of(shard, mirror, watcher_of(sub)),
                                sub->index);
    }
    mirror->by_watcher = false;
}

/* Memory is short: without the map, until somebody asks again. */
static void
map_all(struct evt_shard *shard, struct evt_mirror *mirror)
{
    mirror->by_watcher = true;
    EVT_COUNT_ADD(shard, watchers_looked_at, mirror->n_subs);
    for (uint32_t i = 0; i < mirror->n_subs; i++) {
        const struct evt_sub *sub = sub_at_place(shard, mirror, i);
        if (sub && hd_map_put(&shard->sub_by_watcher, hash_of(shard, mirror, watcher_of(sub)),
                              sub->index)) {
            unmap(shard, mirror, i);
            return;
        }
    }
}

void
evt_by_watcher_add(struct evt_shard *shard, struct evt_mirror *mirror, const struct evt_sub *sub)
{
    if (!mirror->by_watcher)
        return;
    HD_ASSERT(sub->place == mirror->n_subs - 1);
    if (hd_map_put(&shard->sub_by_watcher, hash_of(shard, mirror, watcher_of(sub)), sub->index))
        unmap(shard, mirror, sub->place);
}

void
evt_by_watcher_remove(struct evt_shard *shard, const struct evt_mirror *mirror,
                      const struct evt_sub *sub)
{
    if (!mirror->by_watcher)
        return;
    const bool was =
        hd_map_remove(&shard->sub_by_watcher, hash_of(shard, mirror, watcher_of(sub)), sub->index);
    HD_ASSERT(was);
}

void
evt_by_watcher_forget(struct evt_shard *shard, struct evt_mirror *mirror)
{
    if (mirror->by_watcher)
        unmap(shard, mirror, mirror->n_subs);
}

/* --- going through them ---------------------------------------------------------------------- */

static struct evt_sub *
next_mapped(struct evt_shard *shard, const struct evt_by_watcher *walk, uint32_t i,
            struct hd_map_walk *at)
{
    for (; i != HD_MAP_NONE; i = hd_map_more(at)) {
        struct evt_sub *sub = evt_sub_at(shard, i);
        EVT_COUNT(shard, watchers_looked_at);
        if (sub->mirror == walk->mirror->index && hd_slice_eq(watcher_of(sub), walk->watcher))
            return sub;
    }
    return NULL;
}

static struct evt_sub *
next_place(struct evt_shard *shard, struct evt_by_watcher *walk)
{
    while (walk->at < walk->mirror->n_subs) {
        struct evt_sub *sub = sub_at_place(shard, walk->mirror, walk->at++);
        EVT_COUNT(shard, watchers_looked_at);
        if (sub && (!walk->watcher.n || hd_slice_eq(watcher_of(sub), walk->watcher)))
            return sub;
    }
    return NULL;
}

struct evt_sub *
evt_by_watcher_first(struct evt_shard *shard, struct evt_mirror *mirror, struct hd_slice watcher,
                     struct evt_by_watcher *walk)
{
    /* In a mirror for an own entry they are all his. */
    if (watcher.n && !mirror->watcher_n && !mirror->by_watcher)
        map_all(shard, mirror);
    *walk = (struct evt_by_watcher){ .mirror = mirror,
                                     .watcher = watcher,
                                     .by_map = watcher.n && mirror->by_watcher };
    if (!walk->by_map)
        return next_place(shard, walk);
    const uint64_t hash = hash_of(shard, mirror, watcher);
    return next_mapped(shard, walk, hd_map_first(&walk->walk, &shard->sub_by_watcher, hash),
                       &walk->walk);
}

struct evt_sub *
evt_by_watcher_next(struct evt_shard *shard, struct evt_by_watcher *walk)
{
    if (!walk->by_map)
        return next_place(shard, walk);
    return next_mapped(shard, walk, hd_map_more(&walk->walk), &walk->walk);
}

unsigned
evt_by_watcher_holds(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct hd_map_walk walk;
    unsigned n = 0;

    for (uint32_t i =
             hd_map_first(&walk, &shard->sub_by_watcher, hash_of(shard, mirror, watcher_of(sub)));
         i != HD_MAP_NONE; i = hd_map_more(&walk))
        n += i == sub->index;
    return n;
}
