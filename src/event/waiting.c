/* waiting.c - subscriptions that ended before anybody decided about them, kept for their owner to
 * see (RFC 3857 section 4.7.1: the waiting state).
 *
 * They live at the home of their resource and in the store, at most one for a watcher of a resource
 * and package, a bounded number for each watcher and in all, and for a bounded time.  They go when
 * a rule decides, when the watcher asks again, or when they are given up. */
#include <stdlib.h>

#include "event/core.h"
#include "event/record.h"
#include "event/watch.h"

struct hd_slice
evt_waiting_key(const struct evt_waiting *waiting)
{
    return hd_slice(waiting->text, waiting->key_n);
}

struct hd_slice
evt_waiting_package(const struct evt_waiting *waiting)
{
    return hd_slice(waiting->text + waiting->key_n, waiting->package_n);
}

struct hd_slice
evt_waiting_watcher(const struct evt_waiting *waiting)
{
    return hd_slice(waiting->text + waiting->key_n + waiting->package_n, waiting->watcher_n);
}

struct hd_slice
evt_waiting_name(const struct evt_waiting *waiting)
{
    return hd_slice(waiting->text + waiting->key_n + waiting->package_n + waiting->watcher_n,
                    waiting->name_n);
}

static struct evt_waiting *
waiting_at(struct evt_shard *shard, uint32_t index)
{
    struct evt_waiting *waiting = hd_table_at(&shard->waits, index);
    HD_ASSERT_OBJ(waiting, EVT_WAITING_MAGIC);
    return waiting;
}

static struct evt_waiting *
waiting_find(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
             struct hd_slice watcher)
{
    const uint64_t hash = evt_key_hash(shard, key, package);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->waiting_by_key, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_waiting *waiting = waiting_at(shard, i);
        if (hd_slice_eq(evt_waiting_key(waiting), key) &&
            hd_slice_eq(evt_waiting_package(waiting), package) &&
            hd_slice_eq(evt_waiting_watcher(waiting), watcher))
            return waiting;
    }
    return NULL;
}

static uint32_t
waiting_of(const struct evt_shard *shard, uint64_t watcher)
{
    struct hd_map_walk walk;
    uint32_t n = 0;

    for (uint32_t i = hd_map_first(&walk, &shard->waiting_by_watcher, watcher); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        const struct evt_waiting *waiting = hd_table_at(&shard->waits, i);
        n += waiting && waiting->watcher == watcher;
    }
    return n;
}

static void
waiting_free(struct evt_shard *shard, struct evt_waiting *waiting)
{
    hd_wheel_stop(&shard->wheel, &waiting->timer);
    hd_map_remove(&shard->waiting_by_key, waiting->hash, waiting->index);
    hd_map_remove(&shard->waiting_by_watcher, waiting->watcher, waiting->index);
    free(waiting->text);
    waiting->magic = 0;
    hd_table_remove(&shard->waits, waiting->index);
    evt_gauge(shard, &shard->counters.watchers_waiting, -1);
}

/* NULL: full, or memory is short. */
static struct evt_waiting *
waiting_new(struct evt_shard *shard, const struct evt_stored_waiting *stored, uint64_t id)
{
    const struct hd_slice pieces[] = { stored->key, stored->package, stored->watcher,
                                       stored->name };
    char *text = malloc(stored->key.n + stored->package.n + stored->watcher.n + stored->name.n);
    struct evt_waiting *waiting;
    struct hd_handle handle;
    void *object;
    size_t n = 0;

    if (!text || hd_table_add(&shard->waits, &handle, &object)) {
        free(text);
        return NULL;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(pieces); i++) {
        if (pieces[i].n)
            memcpy(text + n, pieces[i].p, pieces[i].n);
        n += pieces[i].n;
    }
    waiting = object;
    *waiting = (struct evt_waiting){ .magic = EVT_WAITING_MAGIC,
                                     .index = handle.index,
                                     .hash = evt_key_hash(shard, stored->key, stored->package),
                                     .id = id,
                                     .watched = stored->watched,
                                     .watcher = hd_hash(&shard->keys.table, stored->watcher),
                                     .since_ms = shard->now_ms,
                                     .key_n = (uint8_t)stored->key.n,
                                     .package_n = (uint8_t)stored->package.n,
                                     .watcher_n = (uint8_t)stored->watcher.n,
                                     .name_n = (uint8_t)stored->name.n,
                                     .proof = stored->proof,
                                     .text = text };
    waiting->timer.kind = EVT_TIMER_WAITING;
    if (hd_map_put(&shard->waiting_by_key, waiting->hash, waiting->index))
        goto no_key;
    if (hd_map_put(&shard->waiting_by_watcher, waiting->watcher, waiting->index))
        goto no_watcher;
    waiting->expires_at_ms = shard->now_ms + stored->left_ms;
    hd_wheel_start(&shard->wheel, &waiting->timer, waiting->expires_at_ms);
    evt_gauge(shard, &shard->counters.watchers_waiting, 1);
    return waiting;
no_watcher:
    hd_map_remove(&shard->waiting_by_key, waiting->hash, waiting->index);
no_key:
    free(text);
    hd_table_remove(&shard->waits, handle.index);
    return NULL;
}

/* It waits no more; the facts say why. */
static void
waiting_end(struct evt_shard *shard, struct evt_waiting *waiting, enum evt_watcher_event event)
{
    struct evt_told *told =
        evt_told_new(waiting->watched, evt_waiting_watcher(waiting), evt_waiting_name(waiting));

    if (told) {
        told->status = EVT_WATCHER_TERMINATED;
        told->event = (uint8_t)event;
        evt_watch_fact(shard, evt_waiting_key(waiting), evt_waiting_package(waiting), told);
        evt_told_free(told);
    } else {
        evt_watch_lost(shard, evt_waiting_key(waiting), evt_waiting_package(waiting));
    }
    (void)!evt_record_remove(shard, EVT_RECORD_WAITING, hd_id_bucket(waiting->id), waiting->id, 0);
    waiting_free(shard, waiting);
}

/* A subscription that ended undecided; false: there is no room for it, it is given up.  One that
 * waits already goes on to do so: who asks once a minute makes no news. */
bool
evt_waiting_add(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                struct evt_told *told)
{
    const struct evt_limits *limits = evt_limits(shard);
    const struct hd_slice watcher = hd_slice(told->text, told->watcher_n);
    struct evt_waiting *waiting = waiting_find(shard, key, package, watcher);

    if (waiting) {
        told->id = waiting->watched;
        return true;
    }
    if (waiting_of(shard, hd_hash(&shard->keys.table, watcher)) < limits->waiting_per_watcher) {
        const unsigned bucket = hd_hash_bucket(hd_hash(&shard->keys.table, key));
        const struct evt_stored_waiting stored = {
            .left_ms = (uint64_t)limits->waiting_keep_s * 1000,
            .proof = told->proof,
            .watched = told->id,
            .key = key,
            .package = package,
            .watcher = watcher,
            .name = hd_slice(told->text + told->watcher_n, told->name_n)
        };
        waiting = waiting_new(shard, &stored, hd_id_new(&shard->rng, bucket));
    }
    if (!waiting) {
        EVT_COUNT(shard, watchers_given_up);
        return false;
    }
    (void)!evt_record_waiting(shard, waiting);
    return true;
}

void
evt_waiting_again(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                  const struct evt_told *told)
{
    struct evt_waiting *waiting =
        waiting_find(shard, key, package, hd_slice(told->text, told->watcher_n));

    if (waiting)
        waiting_end(shard, waiting, EVT_WATCHER_GIVEUP);
}

/* Whether a rule has decided, and how. */
static bool
waiting_decided(struct evt_shard *shard, struct hd_slice key, struct hd_slice name,
                struct hd_slice watcher, uint8_t proof, enum evt_watcher_event *ret_event)
{
    const struct evt_package *package = evt_config_package(shard->config, name);
    struct evt_identity identity = { .key_len = (uint8_t)watcher.n,
                                     .proof = proof,
                                     .authenticated = proof > EVT_PROOF_FROM,
                                     .again = true };

    if (!package) {
        *ret_event = EVT_WATCHER_NORESOURCE;
        return true;
    }
    memcpy(identity.key, watcher.p, watcher.n);
    const struct evt_verdict verdict = shard->ports.policy->subscribe(
        shard->ports.policy_context, shard->config, &identity, key, package);
    switch (verdict.decision) {
    case EVT_CONFIRM:
        return false;
    case EVT_DENY:
        *ret_event = EVT_WATCHER_REJECTED;
        return true;
    case EVT_ALLOW:
    case EVT_POLITE:
    case EVT_OWN:
        break;
    }
    *ret_event = EVT_WATCHER_APPROVED;
    return true;
}

void
evt_waiting_judge(struct evt_shard *shard, struct hd_slice changed)
{
    for (uint32_t i = 0; (i = hd_table_next(&shard->waits, i)) != HD_TABLE_NONE; i++) {
        struct evt_waiting *waiting = waiting_at(shard, i);
        enum evt_watcher_event event;

        if (changed.n && !hd_slice_eq(evt_waiting_key(waiting), changed))
            continue;
        if (waiting_decided(shard, evt_waiting_key(waiting), evt_waiting_package(waiting),
                            evt_waiting_watcher(waiting), waiting->proof, &event))
            waiting_end(shard, waiting, event);
    }
}

void
evt_waiting_fired(struct evt_shard *shard, struct hd_timer *timer)
{
    struct evt_waiting *waiting = HD_CONTAINER(timer, struct evt_waiting, timer);

    HD_ASSERT_OBJ(waiting, EVT_WAITING_MAGIC);
    if (shard->now_ms < waiting->expires_at_ms)
        hd_wheel_start(&shard->wheel, timer, waiting->expires_at_ms);
    else
        waiting_end(shard, waiting, EVT_WATCHER_GIVEUP);
}

/* The facts of a resource begin with those that wait. */
void
evt_waiting_list(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    const uint64_t hash = evt_key_hash(shard, key, package);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->waiting_by_key, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        const struct evt_waiting *waiting = waiting_at(shard, i);
        if (!hd_slice_eq(evt_waiting_key(waiting), key) ||
            !hd_slice_eq(evt_waiting_package(waiting), package))
            continue;
        struct evt_told *told =
            evt_told_new(waiting->watched, evt_waiting_watcher(waiting), evt_waiting_name(waiting));
        if (!told) {
            evt_watch_lost(shard, key, package);
            return;
        }
        told->status = EVT_WATCHER_WAITING;
        told->event = EVT_WATCHER_TIMEOUT;
        evt_watch_fact(shard, key, package, told);
        evt_told_free(told);
    }
}

enum hd_err
evt_waiting_restore(struct evt_shard *shard, uint64_t id, struct hd_slice record, uint64_t age_ms)
{
    struct evt_stored_waiting stored;
    enum evt_watcher_event event;
    enum hd_err err = evt_stored_waiting_read(record, &stored);

    if (err)
        return err;
    /* It was given up meanwhile, a rule decides by now, or fewer may wait. */
    if (stored.left_ms <= age_ms || shard->waits.count >= shard->waits.max ||
        waiting_decided(shard, stored.key, stored.package, stored.watcher, stored.proof, &event)) {
        (void)!evt_record_remove(shard, EVT_RECORD_WAITING, hd_id_bucket(id), id, 0);
        return HD_OK;
    }
    stored.left_ms -= age_ms;
    return waiting_new(shard, &stored, id) ? HD_OK : HD_ENOMEM;
}

void
evt_waiting_done(struct evt_shard *shard)
{
    for (uint32_t i = 0; (i = hd_table_next(&shard->waits, i)) != HD_TABLE_NONE; i++)
        waiting_free(shard, waiting_at(shard, i));
}
