/* restore.c - from what the store kept back to what was: before the sockets open, after a clean
 * stop or a crash.
 *
 * Publications come first, then registrations, then subscriptions, then what was seen.  Nothing is
 * sent by itself but what changed and was not acknowledged, and the last word to those who expired
 * meanwhile, spread over some seconds. CSeq, branch and version go on where they were after a clean
 * stop, and leap over what may have been used after a crash. */
#include <stdlib.h>

#include "event/core.h"
#include "event/record.h"

#define SPREAD_MS 10000u   /* over which those that expired meanwhile are told */
#define STARTS_MOST 65536u /* that a leap counts; more are a number that was damaged */

static struct evt_done
done_of(const struct evt_stored_done *stored)
{
    return (struct evt_done){ .txn = stored->txn,
                              .expires_s = stored->expires_s,
                              .etag = stored->etag };
}

static uint64_t
left_after(uint64_t left_ms, uint64_t age_ms)
{
    return left_ms > age_ms ? left_ms - age_ms : 0;
}

/* --- publications ---------------------------------------------------------------------------- */

/* Into its place among the publications of the resource: the greater order is the newer. */
static void
pub_sort_in(struct evt_shard *shard, struct evt_resource *resource, struct evt_pub *pub)
{
    uint32_t before = EVT_NONE, i = resource->newest;

    while (i != EVT_NONE && (i == pub->index || evt_pub_at(shard, i)->order > pub->order)) {
        if (i != pub->index)
            before = i;
        i = evt_pub_at(shard, i)->older;
    }
    evt_pub_move(shard, pub, before);
}

static enum hd_err
restore_pub(struct evt_shard *shard, uint64_t id, struct hd_slice record, uint64_t age_ms)
{
    struct evt_stored_pub stored;
    enum hd_err err = evt_stored_pub_read(record, &stored);

    if (err)
        return err;
    uint64_t left_ms = left_after(stored.left_ms, age_ms);
    const struct evt_package *package = evt_config_package(shard->config, stored.package);
    if (!package ||
        left_ms == 0) { /* a package that was taken away, or expired while nobody looked */
        (void)!evt_record_remove(shard, EVT_RECORD_PUBLICATION, hd_id_bucket(id), id, 0);
        return HD_OK;
    }
    struct evt_doc *doc = evt_doc_new(stored.type, stored.body);
    struct evt_resource *resource = doc ? evt_resource_get(shard, stored.key, package) : NULL;
    struct evt_pub *pub = resource ? evt_pub_new_as(shard, resource, stored.publisher, id) : NULL;
    if (!pub) {
        evt_doc_unref(doc);
        return HD_ENOMEM;
    }
    pub->doc = doc;
    pub->order = stored.order;
    pub->priority = stored.priority;
    if (stored.order > shard->last_order)
        shard->last_order = stored.order;
    pub->etag = stored.done[0].etag;
    pub->done[0] = done_of(&stored.done[0]);
    pub->done[1] = done_of(&stored.done[1]);
    pub->expires_at_ms = shard->now_ms + left_ms;
    pub->live = !stored.gone;
    pub->gone = pub->tombstone = stored.gone;
    if (pub->live)
        evt_resource_count(shard, resource, 1);
    pub_sort_in(shard, resource, pub);
    hd_wheel_start(&shard->wheel, &pub->timer, pub->expires_at_ms);
    return HD_OK;
}

/* --- registrations --------------------------------------------------------------------------- */

static enum hd_err
restore_account(struct evt_shard *shard, struct hd_slice record, uint64_t age_ms)
{
    struct evt_stored_account stored;
    struct evt_stored_binding binding;
    enum hd_err err = evt_stored_account_read(record, &stored);

    if (err)
        return err;
    for (uint32_t i = 0; i < stored.n && !err; i++) {
        err = evt_stored_binding_next(&stored, &binding);
        uint64_t left_ms = err ? 0 : left_after(binding.left_ms, age_ms);
        if (left_ms > 0)
            err = evt_account_restore(shard, &stored, &binding, shard->now_ms + left_ms,
                                      binding.held_ms + age_ms);
    }
    return err;
}

/* --- subscriptions --------------------------------------------------------------------------- */

/* A connection that is gone: what is sent down there fails at once. */
static uint64_t
conn_gone(const struct evt_shard *shard)
{
    return hd_conn_make(shard->index, 0, UINT32_MAX);
}

/* A connection did not outlive the server: what came over one is reached at its target, by a new
 * one; where only the peer can make that (RFC 7118 section 5, ".invalid"), he is waited for.  A
 * name is looked up again, when there is something to say. */
static enum hd_err
sub_way(struct evt_shard *shard, const struct evt_stored_sub *stored, struct evt_way *ret_way)
{
    struct evt_notified to = { .came = stored->named ? &stored->came : &stored->way,
                               .route = stored->texts[EVT_TEXT_ROUTE],
                               .target = stored->texts[EVT_TEXT_TARGET],
                               .watcher = stored->texts[EVT_TEXT_WATCHER] };

    if (stored->named) {
        to.direct =
            stored->direct && !hd_transport_reliable((enum hd_transport)stored->came.transport);
        return evt_notify_flow(shard, &to, ret_way);
    }
    *ret_way = (struct evt_way){ .flow = stored->way };
    if (!hd_transport_reliable((enum hd_transport)stored->way.transport))
        return HD_OK;
    const enum hd_err err = evt_notify_flow(shard, &to, ret_way);
    if (err != HD_ENOMATCH)
        return err;
    *ret_way = (struct evt_way){ .flow = stored->way };
    ret_way->flow.conn = conn_gone(shard);
    return HD_OK;
}

/* Whoever is over hears it, but not all at once; until then he is shown nothing more. */
static void
sub_ends_soon(struct evt_shard *shard, struct evt_sub *sub)
{
    sub->expires_at_ms = shard->now_ms + 1 + hd_rng_below(&shard->rng, SPREAD_MS);
    sub->hold_until_ms = sub->expires_at_ms;
}

/* What may have been used since the record was written: in each start since then a lease, but for
 * one that ended cleanly, after which the number of the start is the same again. */
static uint32_t
sub_leap(const struct evt_shard *shard, const struct evt_stored_sub *stored)
{
    uint32_t starts = shard->start - stored->start;

    return EVT_LEASE * (starts < STARTS_MOST ? starts : STARTS_MOST);
}

/* Whose numbers are used up (RFC 3261 8.1.1.5) is told 481, and subscribes anew. */
static bool
numbers_fit(const struct evt_stored_sub *stored, uint32_t leap)
{
    uint32_t most = EVT_RECORD_CSEQ_MOST - leap;

    return stored->cseq_local <= most && stored->branch <= most && stored->version <= most;
}

static void
sub_fill(struct evt_shard *shard, struct evt_sub *sub, const struct evt_stored_sub *stored,
         uint64_t age_ms)
{
    uint32_t leap = sub_leap(shard, stored);
    uint64_t left_ms = left_after(stored->left_ms, age_ms);

    sub->state = stored->state;
    sub->transform = stored->transform;
    sub->types = stored->types;
    sub->approved = stored->approved;
    sub->direct = stored->direct;
    sub->stored = true;
    sub->restored = true;
    sub->cseq_local = stored->cseq_local + leap;
    sub->cseq_remote = stored->cseq_remote;
    sub->branch = stored->branch + leap;
    sub->version = stored->version + leap;
    sub->whole = leap > 0;
    sub->leased = EVT_LEASE; /* the next start leaps over what this one uses */
    sub->target_branch = stored->branch;
    for (int i = 0; i < 2; i++) {
        sub->done_txn[i] = stored->done[i].txn;
        sub->done_expires_s[i] = stored->done[i].expires_s;
        sub->quiet = (sub->quiet | (stored->done[i].etag & 1u) << i) & 3u;
    }
    sub->born = stored->born;
    if (stored->born > shard->last_born)
        shard->last_born = stored->born;
    sub->expires_at_ms = shard->now_ms + left_ms;
    if (left_ms == 0)
        sub_ends_soon(shard, sub);
}

/* The rules may have changed since, or their effect was not written down: nothing is shown that
 * they do not allow now, though it was over before the first snapshot came. */
static enum hd_err
sub_judge(struct evt_shard *shard, struct evt_sub *sub)
{
    uint8_t state, transform;

    if (!evt_sub_ask(shard, sub, &state, &transform)) {
        sub->reason = EVT_REASON_REJECTED;
        sub->transform = EVT_SEE_NOTHING;
        sub_ends_soon(shard, sub);
        return HD_OK;
    }
    if (state == sub->state && transform == sub->transform)
        return HD_OK;
    if (evt_sub_is_turn(shard, sub, state, transform)) {
        sub->again = true; /* when the snapshot comes it is seen what that is to him */
        return HD_OK;
    }
    if (evt_sub_move(shard, sub, transform))
        return HD_ENOMEM;
    sub->owed = true; /* sent when the snapshot comes */
    sub->approved = sub->state == EVT_SUB_PENDING && state == EVT_SUB_ACTIVE;
    sub->state = state;
    sub->transform = transform;
    return HD_OK;
}

/* A firing that was being told is told again by the same request. */
static void
sub_firing(struct evt_filtered *f, const struct evt_stored_sub *stored)
{
    f->told_fired = stored->fired;
    f->told_cleared = stored->cleared;
    if (!(stored->fired | stored->cleared))
        return;
    f->keep = EVT_KEEP_DONE;
    f->cseq = stored->fired_cseq;
    f->branch = f->told_branch = stored->fired_branch;
}

/* A filter that this version cannot keep any more is none: rather too much than too little is told.
 */
static enum hd_err
sub_filter(struct evt_shard *shard, struct evt_sub *sub, const struct evt_stored_sub *stored)
{
    struct evt_filter_request request = { .resource = stored->key,
                                          .package = stored->package,
                                          .before = stored->filter };
    char phrase[EVT_FILTER_PHRASE];
    struct evt_filter *filter = NULL;

    if (!stored->filter.n || !shard->ports.filter)
        return HD_OK;
    enum hd_err err =
        shard->ports.filter->make(shard->ports.filter_context, &request, &filter, phrase);
    if (err || !filter)
        return err == HD_ENOMEM ? err : HD_OK;
    struct evt_filtered *f = evt_filtered_new(filter);
    if (!f) {
        shard->ports.filter->unref(shard->ports.filter_context, filter);
        return HD_ENOMEM;
    }
    f->seq = stored->filter_seq;
    f->count = stored->filter_count;
    f->has_last = stored->has_last;
    f->met = stored->met;
    f->apart = stored->apart;
    sub_firing(f, stored);
    if (!evt_sub_rare(sub)) {
        evt_filtered_free(shard, f);
        return HD_ENOMEM;
    }
    sub->rare->filtered = f;
    if (stored->last_type.n) {
        f->last = evt_doc_new(stored->last_type, stored->last_body);
        if (!f->last)
            return HD_ENOMEM;
    }
    evt_cond_join(shard, sub);
    return HD_OK;
}

/* After a crash the last NOTIFY may have left just before it. */
static enum hd_err
sub_rates(struct evt_shard *shard, struct evt_sub *sub, const struct evt_stored_sub *stored,
          uint64_t age_ms)
{
    if (stored->match) {
        if (!evt_sub_rare(sub))
            return HD_ENOMEM;
        evt_match_set(sub, stored->match);
    }
    if (stored->priority) {
        if (!evt_sub_rare(sub))
            return HD_ENOMEM;
        evt_priority_set(shard, sub, stored->priority);
    }
    if (!stored->rated)
        return HD_OK;
    struct evt_rated *rated = evt_rated_new(&stored->rates);
    if (!rated || !evt_sub_rare(sub)) {
        free(rated);
        return HD_ENOMEM;
    }
    evt_rated_set(sub, rated);
    evt_rate_restored(shard, sub, sub_leap(shard, stored) ? 0 : stored->quiet_ms + age_ms);
    return HD_OK;
}

static enum hd_err
restore_sub(struct evt_shard *shard, uint64_t id, struct hd_slice record, uint64_t age_ms)
{
    struct evt_stored_sub stored;
    struct evt_way way;
    enum hd_err err = evt_stored_sub_read(record, &stored);

    if (err)
        return err;
    const struct evt_package *package = evt_config_package(shard->config, stored.package);
    bool over = stored.state == EVT_SUB_TERMINATED;
    if (!package || !numbers_fit(&stored, sub_leap(shard, &stored)) ||
        (over && age_ms >= stored.left_ms) || sub_way(shard, &stored, &way)) {
        (void)!evt_record_remove(shard, EVT_RECORD_SUBSCRIPTION, hd_id_bucket(id), id, 0);
        return HD_OK;
    }
    uint32_t call_hash =
        evt_sub_call_hash(shard, stored.texts[EVT_TEXT_CALL_ID], stored.texts[EVT_TEXT_REMOTE_TAG]);
    /* Places anywhere in large tables, in none of the caches. */
    hd_map_prefetch(&shard->sub_by_id, id);
    hd_map_prefetch(&shard->sub_by_call, call_hash);
    evt_watcher_prefetch(shard, stored.texts[EVT_TEXT_WATCHER]);
    struct evt_texts *texts =
        evt_texts_new(stored.texts, stored.has_event_id, stored.proof, stored.key);
    struct evt_sub *sub = texts ? evt_sub_new(shard, id, texts, call_hash, &err) : NULL;
    if (!sub) {
        free(texts);
        return HD_ENOMEM;
    }
    sub_fill(shard, sub, &stored, age_ms);
    const struct evt_hop *came = evt_hop_came(shard, &stored.came, NULL);
    if (came)
        sub->came = came->index;
    if (over && came) {
        sub->lingering = true;
        sub->tombstone = true;
        evt_sub_rearm(shard, sub);
        return HD_OK;
    }
    evt_gauge(shard, &shard->counters.subscriptions, 1);
    (void)!evt_watcher_take(shard, stored.texts[EVT_TEXT_WATCHER]);
    struct evt_mirror *mirror = evt_mirror_join(
        shard, stored.key, package, evt_own_of(stored.texts[EVT_TEXT_WATCHER], stored.transform));
    if (mirror)
        sub->mirror = mirror->index;
    struct evt_hop *hop =
        mirror && came ? evt_hop_take(shard, &way, evt_hop_at(shard, sub->came)) : NULL;
    if (!hop || evt_mirror_place(shard, mirror, sub)) {
        if (hop)
            sub->hop = hop->index;
        evt_sub_free(shard, sub);
        return HD_ENOMEM;
    }
    hop->proven = hop->proven || (stored.proven && !stored.named);
    hop->authenticated = hop->authenticated || stored.authenticated;
    sub->hop = hop->index;
    evt_device_restored(shard, sub, stored.device);
    err = sub_judge(shard, sub);
    if (!err)
        err = sub_filter(shard, sub, &stored);
    if (!err)
        err = sub_rates(shard, sub, &stored, age_ms);
    evt_sub_rearm(shard, sub);
    return err;
}

/* --- what was seen --------------------------------------------------------------------------- */

static bool
is_exception(const struct evt_stored_seen *seen, uint64_t id)
{
    struct hd_bytes_in rest = seen->rest;

    for (uint32_t i = 0; i < seen->n; i++)
        if (hd_bytes_get_u64(&rest) == id)
            return true;
    return false;
}

/* Its place is taken by what this start writes: with as many shards under the same id; otherwise it
 * goes when the new ones are there. */
static enum hd_err
seen_succeed(struct evt_shard *shard, struct evt_mirror *mirror, const struct evt_stored_seen *seen,
             uint64_t id)
{
    bool mine = hd_bucket_shard(hd_hash_bucket(id), shard->count) == shard->index;

    if (seen->shards == shard->count) {
        if (seen->shard != shard->index)
            return HD_OK;
        if (mirror)
            mirror->seen_stored = true;
        else
            (void)!evt_record_remove(shard, EVT_RECORD_SEEN, hd_hash_bucket(id), id, 0);
        return HD_OK;
    }
    if (mirror)
        evt_seen_due(shard, mirror);
    return mine ? evt_seen_old(shard, id) : HD_OK;
}

/* What it says is noted with each subscription that it means; the snapshot, when it comes, is
 * compared with it. */
static enum hd_err
restore_seen(struct evt_shard *shard, uint64_t id, struct hd_slice record)
{
    struct evt_stored_seen seen;
    enum hd_err err = evt_stored_seen_read(record, &seen);

    if (err)
        return err;
    struct evt_mirror *mirror = evt_mirror_of(shard, &seen.topic);
    for (uint32_t i = 0; mirror && i < mirror->n_subs; i++) {
        if (mirror->subs[i] == EVT_NONE)
            continue;
        struct evt_sub *sub = evt_sub_at(shard, mirror->subs[i]);
        if (hd_bucket_shard(hd_id_bucket(sub->id), seen.shards) == seen.shard &&
            sub->born <= seen.born)
            sub->seen = is_exception(&seen, sub->id) ? 0 : seen.content;
    }
    if (seen.born > shard->last_born)
        shard->last_born = seen.born;
    return seen_succeed(shard, mirror, &seen, id);
}

/* What is noted with it is the content of the state that he has, whatever he sees of it. */
static void
compare_state(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_sub *sub)
{
    const bool sees = evt_sees_state(sub->transform);
    const bool has = sees ? sub->seen == evt_content(shard, mirror->snapshot->doc)
                          : sub->seen != EVT_SEEN_NOTHING;

    sub->again = sees && !has;
    sub->seen = has ? mirror->snapshot->number : EVT_SEEN_NOTHING;
    if (has && evt_sub_chooses(sub))
        evt_chosen_restored(shard, sub);
}

void
evt_sub_compare(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_sub *sub)
{
    const struct evt_filtered *f = evt_sub_filtered(sub);

    sub->restored = false;
    evt_match_restored(sub, sub->seen == evt_content(shard, mirror->snapshot->doc));
    if (sub->rare && sub->rare->match == EVT_SUPPRESS_ANY) {
        sub->again = sub->seen == 0; /* what was not acknowledged said something of itself */
        sub->seen = mirror->snapshot->number;
    } else if (evt_sub_is_told(sub)) {
        sub->again = sub->seen == 0 || (f->filter->differs && !f->has_last);
        sub->seen = mirror->snapshot->number;
    } else {
        compare_state(shard, mirror, sub);
    }
}

/* The first snapshot after the restart: who has acknowledged this very state is in sync.  For whom
 * a polite block began or ended meanwhile it does so now. */
void
evt_restore_compare(struct evt_shard *shard, struct evt_mirror *mirror)
{
    bool turns = false;

    for (uint32_t i = 0; i < mirror->n_subs; i++) {
        struct evt_sub *sub =
            mirror->subs[i] != EVT_NONE ? evt_sub_at(shard, mirror->subs[i]) : NULL;
        if (sub && sub->restored && !sub->again)
            evt_sub_compare(shard, mirror, sub);
        turns = turns || (sub && sub->restored);
    }
    /* From behind: one that leaves may make the others move up. */
    for (uint32_t i = turns ? mirror->n_subs : 0; i-- > 0;) {
        struct evt_sub *sub = i < mirror->n_subs && mirror->subs[i] != EVT_NONE
                                  ? evt_sub_at(shard, mirror->subs[i])
                                  : NULL;
        if (!sub || !sub->restored)
            continue;
        evt_sub_compare(shard, mirror, sub);
        evt_sub_judge(shard, sub);
    }
}

/* --- all of it ------------------------------------------------------------------------------- */

enum hd_err
evt_shard_restore(struct evt_shard *shard, enum evt_record_kind kind, uint64_t id,
                  struct hd_slice record, uint64_t age_ms, uint64_t now_us)
{
    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    evt_shard_tick(shard, now_us);
    switch (kind) {
    case EVT_RECORD_SUBSCRIPTION:
        return restore_sub(shard, id, record, age_ms);
    case EVT_RECORD_PUBLICATION:
        return restore_pub(shard, id, record, age_ms);
    case EVT_RECORD_BINDINGS:
        return restore_account(shard, record, age_ms);
    case EVT_RECORD_SEEN:
        return restore_seen(shard, id, record);
    case EVT_RECORD_WAITING:
        return evt_waiting_restore(shard, id, record, age_ms);
    case EVT_RECORD_CONDITION:
        return evt_cond_restore(shard, id, record);
    }
    return HD_ESYNTAX;
}

/* A change under way is part of it: whoever asked for it was not answered, and may find either. */
static void
settle_sub(struct evt_shard *shard, struct evt_sub *sub)
{
    if (sub->stored && !sub->lingering && sub->leased < EVT_LEASE &&
        !(sub->change && sub->change->kind == EVT_CHANGE_END) &&
        evt_record_sub(shard, sub, sub->change, 0))
        shard->unkept = true;
}

bool
evt_shard_settle_some(struct evt_shard *shard, uint32_t *at, uint32_t n, uint64_t now_us)
{
    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    evt_shard_tick(shard, now_us);
    for (; n > 0 && (*at = hd_table_next(&shard->subs, *at)) != HD_TABLE_NONE; n--, ++*at)
        settle_sub(shard, evt_sub_at(shard, *at));
    return *at != HD_TABLE_NONE;
}

enum hd_err
evt_shard_settle(struct evt_shard *shard, uint64_t now_us)
{
    uint32_t at = 0;

    (void)evt_shard_settle_some(shard, &at, UINT32_MAX, now_us);
    evt_seen_write_all(shard);
    return shard->unkept ? HD_ESTORE : HD_OK;
}
