/* seen.c - who has seen what, kept for a restart, lazily.
 *
 * Never one write per NOTIFY: when something changed for a mirror (a new state, a new subscription,
 * an answer) a record is due within a second.  It says which state all of this shard's
 * subscriptions have acknowledged, named by its content, and which have not.  After a clean stop it
 * is exact; after a crash at most what was acknowledged in the last second is sent again, and
 * nothing is skipped: a subscription that is younger than the record counts as an exception (they
 * are numbered in the order of their making). */
#include <stdlib.h>

#include "event/core.h"
#include "event/record.h"

#define SEEN_DELAY_MS 1000u
#define SEEN_PER_TURN 16u /* mirrors that one turn writes down */
#define SEEN_OLD_MS 30000u

/* A state by its content: the same over a restart, with the same keys. */
uint64_t
evt_content(const struct evt_shard *shard, const struct evt_doc *doc)
{
    if (!doc)
        return 1;
    return hd_hash_mix(hd_hash(&shard->keys.table, doc->type),
                       hd_hash(&shard->keys.table, doc->body)) |
           1;
}

/* Unlike that of any other shard, also when their number is another. */
uint64_t
evt_seen_id(const struct evt_shard *shard, const struct evt_mirror *mirror)
{
    return hd_hash_mix(mirror->hash, (uint64_t)shard->count << 8 | (shard->index + 1));
}

/* Something changed: a record is due, in the order in which the mirrors changed. */
void
evt_seen_due(struct evt_shard *shard, struct evt_mirror *mirror)
{
    if (mirror->seen_due_ms)
        return;
    mirror->seen_due_ms = shard->now_ms + SEEN_DELAY_MS;
    mirror->seen_next = EVT_NONE;
    mirror->seen_prev = shard->seen_tail;
    if (shard->seen_tail == EVT_NONE)
        shard->seen_head = mirror->index;
    else
        evt_mirror_at(shard, shard->seen_tail)->seen_next = mirror->index;
    shard->seen_tail = mirror->index;
}

static void
seen_unlink(struct evt_shard *shard, struct evt_mirror *mirror)
{
    if (!mirror->seen_due_ms)
        return;
    if (mirror->seen_prev == EVT_NONE)
        shard->seen_head = mirror->seen_next;
    else
        evt_mirror_at(shard, mirror->seen_prev)->seen_next = mirror->seen_next;
    if (mirror->seen_next == EVT_NONE)
        shard->seen_tail = mirror->seen_prev;
    else
        evt_mirror_at(shard, mirror->seen_next)->seen_prev = mirror->seen_prev;
    mirror->seen_due_ms = 0;
}

static bool
sub_is_behind(const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    if (evt_sub_is_told(sub))
        return sub->flight || sub->owed || sub->again || evt_cond_has_news(evt_sub_filtered(sub));
    if (sub->transform == EVT_SEE_NEUTRAL)
        return sub->flight || sub->owed || sub->again || evt_sub_block_is_untold(sub);
    if (!evt_sees_state(sub->transform))
        return false;
    return sub->flight || sub->owed || sub->again || sub->seen != mirror->snapshot->number ||
           evt_sub_has_events(sub);
}

static void
seen_write(struct evt_shard *shard, struct evt_mirror *mirror)
{
    uint64_t exceptions[EVT_RECORD_SEEN_MOST];
    uint64_t content, sum;
    uint32_t n = 0;

    if (!mirror->snapshot)
        return;
    content = sum = evt_content(shard, mirror->snapshot->doc);
    for (uint32_t i = 0; i < mirror->n_subs; i++) {
        if (mirror->subs[i] == EVT_NONE)
            continue;
        const struct evt_sub *sub = evt_sub_at(shard, mirror->subs[i]);
        if (!sub->stored)
            continue;
        sum = hd_hash_mix(sum, sub->id ^ sub_is_behind(sub, mirror));
        if (!sub_is_behind(sub, mirror))
            continue;
        if (n == EVT_RECORD_SEEN_MOST)
            return; /* far behind: the older record stands, and says too little rather than too much
                     */
        exceptions[n++] = sub->id;
    }
    if (sum == mirror->seen_sum)
        return;
    if (evt_record_seen(shard, mirror, content, exceptions, n) == HD_OK) {
        mirror->seen_sum = sum;
        mirror->seen_stored = true;
    }
}

void
evt_seen_write_due(struct evt_shard *shard)
{
    if (shard->n_old_seen && shard->now_ms >= shard->old_seen_until_ms)
        evt_seen_drop_old(shard);
    for (unsigned n = 0; n < SEEN_PER_TURN && shard->seen_head != EVT_NONE; n++) {
        struct evt_mirror *mirror = evt_mirror_at(shard, shard->seen_head);
        if (mirror->seen_due_ms > shard->now_ms)
            return;
        seen_unlink(shard, mirror);
        seen_write(shard, mirror);
    }
}

/* Milliseconds until a record is due. */
uint64_t
evt_seen_wait_ms(struct evt_shard *shard)
{
    if (shard->seen_head == EVT_NONE)
        return UINT64_MAX;
    uint64_t due = evt_mirror_at(shard, shard->seen_head)->seen_due_ms;
    return due > shard->now_ms ? due - shard->now_ms : 0;
}

/* A record that another number of shards wrote: it goes when the new ones are surely written. */
enum hd_err
evt_seen_old(struct evt_shard *shard, uint64_t id)
{
    if (shard->n_old_seen == shard->cap_old_seen) {
        uint32_t cap = shard->cap_old_seen ? shard->cap_old_seen * 2 : 64;
        uint64_t *old = realloc(shard->old_seen, cap * sizeof(*old));
        if (!old)
            return HD_ENOMEM;
        shard->old_seen = old;
        shard->cap_old_seen = cap;
    }
    shard->old_seen[shard->n_old_seen++] = id;
    shard->old_seen_until_ms = shard->now_ms + SEEN_OLD_MS;
    return HD_OK;
}

void
evt_seen_drop_old(struct evt_shard *shard)
{
    for (uint32_t i = 0; i < shard->n_old_seen; i++)
        (void)!evt_record_remove(shard, EVT_RECORD_SEEN, hd_hash_bucket(shard->old_seen[i]),
                                 shard->old_seen[i], 0);
    free(shard->old_seen);
    shard->old_seen = NULL;
    shard->n_old_seen = shard->cap_old_seen = 0;
}

/* The mirror goes: so does what was written of it. */
void
evt_seen_forget(struct evt_shard *shard, struct evt_mirror *mirror)
{
    seen_unlink(shard, mirror);
    if (mirror->seen_stored && !shard->going)
        (void)!evt_record_remove(shard, EVT_RECORD_SEEN, hd_hash_bucket(mirror->hash),
                                 evt_seen_id(shard, mirror), 0);
}

void
evt_seen_write_all(struct evt_shard *shard)
{
    for (uint32_t i = 0; (i = hd_table_next(&shard->mirrors, i)) != HD_TABLE_NONE; i++) {
        struct evt_mirror *mirror = evt_mirror_at(shard, i);
        seen_unlink(shard, mirror);
        seen_write(shard, mirror);
    }
    evt_seen_drop_old(shard);
}
