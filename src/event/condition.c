/* condition.c - subscribers who are told only when a condition fires (RFC 4661 section 3.6, RFC
 * 6447, and our own).
 *
 * The problem: ten thousand subscribers with a hundred distinct thresholds on one resource, and a
 * reading ten times a second of which hardly any matters.  So the conditions of one filter on one
 * mirror are one object with one state, looked at once per snapshot; only when it fires are its
 * subscribers touched.  Who joins later shares the state: while it is on, the crossing was before
 * his time.  Those of who was blocked politely may stand otherwise: then they stay apart for as
 * long as they last.
 *
 * A firing is told once.  Its number is kept with the conditions, and with each subscription the
 * number up to which it was told: with the CSeq and the branch of the NOTIFY that tells it, before
 * that leaves.  After a crash it goes out as the same request; a number that the conditions have
 * and a subscription does not is told then; one that a subscription has already is not told again.
 */
#include <stdlib.h>

#include "event/core.h"
#include "event/record.h"

struct evt_cond *
evt_cond_at(struct evt_shard *shard, uint32_t index)
{
    struct evt_cond *cond = hd_table_at(&shard->conds, index);
    HD_ASSERT_OBJ(cond, EVT_COND_MAGIC);
    return cond;
}

static const struct evt_filter_ops *
ops(const struct evt_shard *shard)
{
    return shard->ports.filter;
}

/* --- making and leaving ---------------------------------------------------------------------- */

static uint64_t
cond_hash(const struct evt_mirror *mirror, const struct evt_filter *filter, uint8_t transform,
          uint64_t apart)
{
    return hd_hash_mix(hd_hash_mix(mirror->hash, apart), (uint64_t)filter->id << 8 | transform);
}

static struct evt_cond *
cond_find(struct evt_shard *shard, const struct evt_mirror *mirror, const struct evt_filter *filter,
          uint8_t transform, uint64_t apart)
{
    uint64_t hash = cond_hash(mirror, filter, transform, apart);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->cond_by_key, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_cond *cond = evt_cond_at(shard, i);
        if (cond->mirror == mirror->index && cond->filter == filter &&
            cond->transform == transform && cond->apart == apart)
            return cond;
    }
    return NULL;
}

static void cond_look(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_cond *cond,
                      struct evt_reading *reading, bool sign);

/* What its subscribers see of a snapshot, read for a filter's conditions; NULL: memory is short. */
static struct evt_reading *
cond_read(struct evt_shard *shard, struct evt_mirror *mirror, const struct evt_filter *filter,
          uint8_t transform, struct evt_doc **ret_doc)
{
    if (evt_mirror_shown(shard, mirror, mirror->snapshot, transform, ret_doc))
        return NULL;
    return ops(shard)->read(shard->ports.filter_context, filter, *ret_doc);
}

static struct evt_cond *
cond_new(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_filter *filter,
         uint8_t transform, uint64_t apart)
{
    struct evt_cond *cond;
    uint32_t index;
    void *object, *state = malloc(filter->state_size);

    if (!state ||
        hd_table_add_keyed(&shard->conds, &shard->cond_by_key,
                           cond_hash(mirror, filter, transform, apart), &index, &object)) {
        free(state);
        return NULL;
    }
    cond = object;
    cond->magic = EVT_COND_MAGIC;
    cond->index = index;
    cond->mirror = mirror->index;
    cond->transform = transform;
    cond->apart = apart;
    cond->filter = filter;
    filter->refs++;
    cond->state = state;
    cond->timer.kind = EVT_TIMER_COND;
    cond->next = mirror->conds;
    if (cond->next != EVT_NONE)
        evt_cond_at(shard, cond->next)->prev = cond->index;
    cond->prev = EVT_NONE;
    mirror->conds = cond->index;
    ops(shard)->begin(filter, state, shard->now_ms);
    evt_gauge(shard, &shard->counters.conditions, 1);
    return cond;
}

static void
cond_free(struct evt_shard *shard, struct evt_cond *cond)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, cond->mirror);

    hd_wheel_stop(&shard->wheel, &cond->timer);
    if (cond->prev == EVT_NONE)
        mirror->conds = cond->next;
    else
        evt_cond_at(shard, cond->prev)->next = cond->next;
    if (cond->next != EVT_NONE)
        evt_cond_at(shard, cond->next)->prev = cond->prev;
    hd_map_remove(&shard->cond_by_key,
                  cond_hash(mirror, cond->filter, cond->transform, cond->apart), cond->index);
    if (cond->stored && !shard->going)
        (void)!evt_record_remove(shard, EVT_RECORD_CONDITION, hd_hash_bucket(mirror->hash),
                                 evt_cond_id(shard, cond), 0);
    ops(shard)->unref(shard->ports.filter_context, cond->filter);
    free(cond->state);
    free(cond->subs);
    cond->magic = 0;
    hd_table_remove(&shard->conds, cond->index);
    evt_gauge(shard, &shard->counters.conditions, -1);
}

/* Unlike that of any other conditions, shards, or number of shards: as what was seen. */
uint64_t
evt_cond_id(const struct evt_shard *shard, const struct evt_cond *cond)
{
    const struct evt_mirror *mirror = hd_table_at(&shard->mirrors, cond->mirror);
    uint64_t id =
        hd_hash_mix(evt_seen_id(shard, mirror), hd_hash(&shard->keys.table, cond->filter->source));

    id = hd_hash_mix(id, (uint64_t)cond->transform + 1);
    return cond->apart ? hd_hash_mix(id, cond->apart) : id;
}

/* False: memory is short. */
static bool
cond_add(struct evt_shard *shard, struct evt_cond *cond, struct evt_sub *sub)
{
    struct evt_filtered *f = evt_sub_filtered(sub);
    struct evt_mirror *mirror = evt_mirror_at(shard, cond->mirror);

    if (cond->n_subs == cond->cap_subs) {
        uint32_t cap = cond->cap_subs ? cond->cap_subs * 2 : 1;
        uint32_t *subs = realloc(cond->subs, cap * sizeof(*subs));
        if (!subs)
            return false;
        cond->subs = subs;
        cond->cap_subs = cap;
    }
    f->cond = cond->index;
    f->place = cond->n_subs;
    cond->subs[cond->n_subs++] = sub->index;
    mirror->n_told++;
    if (f->filter->signs)
        evt_mirror_want_signs(shard, mirror);
    return true;
}

/* Into new ones, for him alone or for all who come; NULL: memory is short. */
static struct evt_cond *
cond_add_new(struct evt_shard *shard, struct evt_sub *sub, uint64_t apart)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct evt_cond *cond =
        cond_new(shard, mirror, evt_sub_filtered(sub)->filter, sub->transform, apart);

    if (!cond || cond_add(shard, cond, sub))
        return cond;
    cond_free(shard, cond);
    return NULL;
}

/* When memory is too short for that, every change is told, until a refresh or another rule finds
 * memory: rather too much than too little. */
void
evt_cond_join(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_filtered *f = evt_sub_filtered(sub);

    if (!f || !f->filter->triggers || f->cond != EVT_NONE)
        return;
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const uint64_t apart = f->apart ? sub->id : 0;
    struct evt_cond *cond = cond_find(shard, mirror, f->filter, sub->transform, apart);
    const bool made = !cond;
    if (made)
        cond = cond_add_new(shard, sub, apart);
    else if (!cond_add(shard, cond, sub))
        return;
    if (!cond)
        return;
    if (!sub->restored)
        f->seq = cond->seq;
    else if (f->seq > cond->seq && !cond->started)
        cond->seq = f->seq; /* as long as their own record says nothing else */
    if (!made || !mirror->snapshot || sub->restored)
        return;
    struct evt_doc *doc;
    struct evt_reading *reading = cond_read(shard, mirror, f->filter, sub->transform, &doc);
    if (reading)
        cond_look(shard, mirror, cond, reading, false);
    ops(shard)->unread(shard->ports.filter_context, reading);
}

void
evt_cond_leave(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_filtered *f = evt_sub_filtered(sub);

    if (!f || f->cond == EVT_NONE)
        return;
    struct evt_cond *cond = evt_cond_at(shard, f->cond);
    uint32_t last = cond->subs[--cond->n_subs];
    HD_ASSERT(cond->subs[f->place] == sub->index || f->place == cond->n_subs);
    if (f->place != cond->n_subs) {
        cond->subs[f->place] = last;
        evt_sub_at(shard, last)->rare->filtered->place = f->place;
    }
    f->cond = EVT_NONE;
    evt_mirror_at(shard, cond->mirror)->n_told--;
    if (cond->n_subs == 0)
        cond_free(shard, cond);
}

void
evt_cond_rejoin(struct evt_shard *shard, struct evt_sub *sub)
{
    const bool told = evt_sub_is_told(sub);

    if (told && evt_cond_at(shard, evt_sub_filtered(sub)->cond)->transform == sub->transform)
        return;
    if (!told && sub->state == EVT_SUB_TERMINATED)
        return;
    evt_cond_leave(shard, sub);
    evt_cond_join(shard, sub);
}

static void cond_rearm(struct evt_shard *shard, struct evt_cond *cond, uint64_t due_ms);

/* The way from what was seen to what is seen from now on, by the state of the conditions. */
static void
cond_turn(struct evt_shard *shard, const struct evt_filtered *f, void *state,
          struct evt_reading *reading, bool sign, const struct evt_doc *doc,
          struct evt_step *ret_step)
{
    struct evt_reading *before = NULL;

    ops(shard)->step(f->filter, state, reading, sign, shard->now_ms, ret_step);
    if (!f->filter->differs || !f->has_last || f->last == doc)
        return;
    if (f->last)
        before = ops(shard)->read(shard->ports.filter_context, f->filter, f->last);
    ret_step->fired |= ops(shard)->compare(f->filter, state, before, reading);
    ops(shard)->unread(shard->ports.filter_context, before);
}

/* As his conditions stood: with those who have come to the same, or alone. */
static void
cond_go_on(struct evt_shard *shard, struct evt_sub *sub, const void *state,
           const struct evt_step *step)
{
    struct evt_filtered *f = evt_sub_filtered(sub);
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct evt_cond *cond = cond_find(shard, mirror, f->filter, sub->transform, 0);

    f->apart = cond && memcmp(cond->state, state, f->filter->state_size) != 0;
    if (cond && !f->apart) {
        if (cond_add(shard, cond, sub))
            f->seq = cond->seq;
        return;
    }
    cond = cond_add_new(shard, sub, f->apart ? sub->id : 0);
    if (!cond)
        return;
    f->seq = cond->seq;
    memcpy(cond->state, state, f->filter->state_size);
    cond->started = true;
    cond->on = step->on;
    cond_rearm(shard, cond, step->due_ms);
    cond->stored = evt_record_cond(shard, mirror, cond) == HD_OK;
}

void
evt_cond_turn(struct evt_shard *shard, struct evt_sub *sub, uint8_t transform, bool sign)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct evt_filtered *f = evt_sub_filtered(sub);
    const struct evt_cond *cond = evt_cond_at(shard, f->cond);
    struct evt_reading *reading = NULL;
    struct evt_step step;
    struct evt_doc *doc;
    void *state = cond->started && mirror->snapshot ? malloc(f->filter->state_size + 1) : NULL;

    if (state)
        reading = cond_read(shard, mirror, f->filter, transform, &doc);
    if (reading) {
        memcpy(state, cond->state, f->filter->state_size);
        cond_turn(shard, f, state, reading, sign, doc, &step);
    }
    evt_cond_leave(shard, sub);
    sub->transform = transform;
    if (reading) {
        f->fired |= step.fired;
        f->cleared = (f->cleared | step.cleared) & ~step.fired;
        f->fresh = f->fresh || (step.fired | step.cleared);
        cond_go_on(shard, sub, state, &step);
    } else {
        evt_cond_join(shard, sub);
    }
    ops(shard)->unread(shard->ports.filter_context, reading);
    free(state);
}

struct evt_filtered *
evt_filtered_new(struct evt_filter *filter)
{
    struct evt_filtered *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->filter = filter;
    f->cond = EVT_NONE;
    return f;
}

void
evt_filtered_free(struct evt_shard *shard, struct evt_filtered *f)
{
    if (!f)
        return;
    HD_ASSERT(f->cond == EVT_NONE);
    ops(shard)->unref(shard->ports.filter_context, f->filter);
    evt_doc_unref(f->last);
    free(f);
}

void
evt_filtered_set(struct evt_shard *shard, struct evt_sub *sub, struct evt_filtered *filtered)
{
    evt_cond_leave(shard, sub);
    evt_filtered_free(shard, evt_sub_filtered(sub));
    HD_ASSERT(sub->rare || !filtered);
    if (sub->rare)
        sub->rare->filtered = filtered;
    evt_cond_join(shard, sub);
}

/* --- looking --------------------------------------------------------------------------------- */

/* Every one of its subscribers is to be told. */
static void
cond_fire(struct evt_shard *shard, struct evt_cond *cond)
{
    EVT_COUNT(shard, firings);
    for (uint32_t i = 0; i < cond->n_subs; i++) {
        struct evt_sub *sub = evt_sub_at(shard, cond->subs[i]);
        struct evt_filtered *f = evt_sub_filtered(sub);
        if (f->seq >= cond->seq) /* told before a crash that the conditions did not survive */
            continue;
        if (sub->state == EVT_SUB_TERMINATED)
            continue;
        f->seq = cond->seq;
        f->fired |= cond->fired;
        f->cleared = (f->cleared | cond->cleared) & ~cond->fired;
        f->fresh = true;
        evt_sub_finish(shard, sub);
    }
}

static void
cond_rearm(struct evt_shard *shard, struct evt_cond *cond, uint64_t due_ms)
{
    if (due_ms == UINT64_MAX)
        hd_wheel_stop(&shard->wheel, &cond->timer);
    else
        hd_wheel_start(&shard->wheel, &cond->timer, due_ms);
}

/* The first look is where it begins, and fires nothing: what is true then is told by the body of
 * the first NOTIFY. */
static void
cond_look(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_cond *cond,
          struct evt_reading *reading, bool sign)
{
    bool first = !cond->started;
    struct evt_step step;

    /* That the resource gave a sign of life is a part of its state, to who may not see that. */
    sign = sign && evt_sees_state(cond->transform);
    ops(shard)->step(cond->filter, cond->state, reading, sign, shard->now_ms, &step);
    evt_rec_cond(shard, cond, reading, first ? 0 : step.fired ? 1 : step.cleared ? 2 : 0);
    EVT_COUNT(shard, conditions_looked_at);
    EVT_COUNT_ADD(shard, conditions_missing, step.missing);
    cond->started = cond->started || reading;
    cond->on = step.on;
    cond_rearm(shard, cond, step.due_ms);
    bool fires = !first && (step.fired | step.cleared);
    if (fires) {
        cond->seq++;
        cond->fired = step.fired;
        cond->cleared = step.cleared;
    }
    if (fires || step.changed || (first && reading))
        cond->stored = evt_record_cond(shard, mirror, cond) == HD_OK || cond->stored;
    if (fires)
        cond_fire(shard, cond);
}

/* Those who wait for a difference to what they were sent: looked at once for each thing that was
 * sent. */
static void
cond_compare(struct evt_shard *shard, struct evt_cond *cond, struct evt_reading *reading,
             struct evt_doc *doc)
{
    const struct evt_doc *known = NULL;
    bool has_known = false;
    uint32_t mask = 0;

    for (uint32_t i = 0; i < cond->n_subs; i++) {
        struct evt_sub *sub = evt_sub_at(shard, cond->subs[i]);
        struct evt_filtered *f = evt_sub_filtered(sub);
        if (!f->has_last || f->last == doc || sub->state == EVT_SUB_TERMINATED)
            continue;
        if (!has_known || known != f->last) {
            struct evt_reading *before =
                f->last ? ops(shard)->read(shard->ports.filter_context, cond->filter, f->last)
                        : NULL;
            mask = ops(shard)->compare(cond->filter, cond->state, before, reading);
            ops(shard)->unread(shard->ports.filter_context, before);
            EVT_COUNT(shard, conditions_looked_at);
            known = f->last;
            has_known = true;
        }
        evt_did(shard, sub->id, EVT_DID_FILTER, mask ? 1 : 0);
        if (!(mask & ~f->fired))
            continue;
        EVT_COUNT(shard, firings);
        f->fired |= mask;
        f->fresh = true;
        evt_sub_finish(shard, sub);
    }
}

void
evt_cond_compare(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct evt_reading *reading = NULL;
    struct evt_doc *doc = NULL;

    if (!evt_sub_is_told(sub) || !evt_sub_filtered(sub)->filter->differs)
        return;
    struct evt_cond *cond = evt_cond_at(shard, evt_sub_filtered(sub)->cond);
    reading = cond_read(shard, mirror, cond->filter, cond->transform, &doc);
    if (reading)
        cond_compare(shard, cond, reading, doc);
    ops(shard)->unread(shard->ports.filter_context, reading);
}

void
evt_cond_snapshot(struct evt_shard *shard, struct evt_mirror *mirror)
{
    struct evt_reading *reading = NULL;
    struct evt_doc *doc = NULL;
    uint8_t transform = 0;
    bool sign = mirror->snapshot->sign, chosen = false;

    for (uint32_t i = mirror->conds, next; i != EVT_NONE; i = next) {
        struct evt_cond *cond = evt_cond_at(shard, i);
        next = cond->next;
        if (reading && (transform != cond->transform || chosen || cond->filter->chooses)) {
            ops(shard)->unread(shard->ports.filter_context, reading);
            reading = NULL;
        }
        transform = cond->transform;
        chosen = cond->filter->chooses;
        if (!reading)
            reading = cond_read(shard, mirror, cond->filter, transform, &doc);
        if (!reading)
            continue; /* memory is short: the next snapshot is looked at again */
        cond_look(shard, mirror, cond, reading, sign);
        if (cond->filter->differs)
            cond_compare(shard, cond, reading, doc);
    }
    ops(shard)->unread(shard->ports.filter_context, reading);
}

/* The resource is alive, and nothing has changed. */
void
evt_cond_sign(struct evt_shard *shard, struct evt_mirror *mirror)
{
    for (uint32_t i = mirror->conds; i != EVT_NONE; i = evt_cond_at(shard, i)->next)
        if (evt_cond_at(shard, i)->filter->signs)
            cond_look(shard, mirror, evt_cond_at(shard, i), NULL, true);
}

void
evt_cond_fired(struct evt_shard *shard, struct evt_cond *cond)
{
    cond_look(shard, evt_mirror_at(shard, cond->mirror), cond, NULL, false);
}

/* --- telling it ------------------------------------------------------------------------------ */

bool
evt_cond_has_news(const struct evt_filtered *f)
{
    return f->fired || f->cleared || f->keep != EVT_KEEP_NOT;
}

bool
evt_cond_is_on(struct evt_shard *shard, const struct evt_filtered *f)
{
    return f->cond != EVT_NONE && evt_cond_at(shard, f->cond)->on;
}

static void
firing_take(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_filtered *f = evt_sub_filtered(sub);
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct evt_doc *doc;

    f->told_fired = f->fired;
    f->told_cleared = f->cleared;
    f->fired = f->cleared = 0;
    f->count += f->fresh;
    f->fresh = false;
    f->cseq = ++sub->cseq_local;
    f->branch = f->told_branch = evt_sub_branch(sub);
    if (f->filter->differs && mirror->snapshot &&
        !evt_mirror_shown(shard, evt_mirror_at(shard, sub->mirror), mirror->snapshot,
                          sub->transform, &doc))
        evt_cond_sent(f, doc);
}

bool
evt_cond_keep(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_filtered *f = evt_sub_filtered(sub);

    if (f->keep != EVT_KEEP_NOT || !(f->fired | f->cleared))
        return f->keep != EVT_KEEP_UNDER_WAY;
    if (sub->change)
        return false; /* when that is kept, a NOTIFY is owed, which tells this too */
    firing_take(shard, sub);
    f->keep = EVT_KEEP_DONE;
    if (!sub->stored)
        return true;
    struct hd_handle handle = hd_table_handle(&shard->subs, sub->index);
    if (evt_record_sub(shard, sub, NULL,
                       evt_ticket(EVT_RECORD_CONDITION, sub->index, handle.generation))) {
        EVT_COUNT(shard, store_failures); /* an alarm does not wait for a disk */
        return true;
    }
    f->keep = EVT_KEEP_UNDER_WAY;
    return false;
}

/* Also when the store could not: the alarm goes out, and may go out again after a crash. */
void
evt_cond_kept(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_filtered *f = evt_sub_filtered(sub);

    if (!f || f->keep != EVT_KEEP_UNDER_WAY)
        return;
    f->keep = EVT_KEEP_DONE;
    evt_sub_finish(shard, sub);
}

void
evt_cond_sent(struct evt_filtered *f, struct evt_doc *doc)
{
    if (f->has_last && f->last == doc)
        return;
    evt_doc_unref(f->last);
    f->last = doc ? evt_doc_ref(doc) : NULL;
    f->has_last = true;
}

/* A NOTIFY that told a firing is over: answered, or to be told again under another CSeq. */
void
evt_cond_landed(struct evt_shard *shard, struct evt_sub *sub, bool failed)
{
    struct evt_filtered *f = evt_sub_filtered(sub);

    if (!f->in_flight)
        return;
    f->in_flight = false;
    f->keep = EVT_KEEP_NOT;
    f->cseq = f->branch = 0;
    if (failed) {
        f->fired |= f->told_fired;
        f->cleared |= f->told_cleared & ~f->fired;
    }
    f->told_fired = f->told_cleared = 0;
    if (!failed && !shard->going && sub->stored && !sub->change && sub->state != EVT_SUB_TERMINATED)
        (void)!evt_record_sub(shard, sub, NULL, 0);
}

/* "Herald-Fired: ekg1.1;seq=17, ekg1.3;seq=17;cleared" */
static void
out_names(const struct evt_shard *shard, const struct evt_filtered *f, uint32_t mask,
          const char *more, bool *any, struct sip_out *out)
{
    for (unsigned i = 0; i < EVT_FILTER_TRIGGERS_MOST; i++) {
        if (!(mask >> i & 1))
            continue;
        sip_out_slice(out, *any ? HD_LIT(", ") : HD_LIT("Herald-Fired: "));
        *any = true;
        sip_out_slice(out, ops(shard)->name(f->filter, i));
        sip_out_lit(out, ";seq=");
        sip_out_u32(out, f->count);
        sip_out_slice(out, hd_slice_str(more));
    }
}

void
evt_cond_out(const struct evt_shard *shard, const struct evt_filtered *f, struct sip_out *out)
{
    bool any = false;

    if (!f->in_flight)
        return;
    out_names(shard, f, f->told_fired, "", &any, out);
    out_names(shard, f, f->told_cleared, ";cleared", &any, out);
    if (any)
        sip_out_crlf(out);
}

/* --- after a restart ------------------------------------------------------------------------- */

/* What a subscription was told, against what there was to tell. */
static void
sub_catch_up(struct evt_sub *sub, const struct evt_cond *cond, const struct evt_stored_cond *stored)
{
    struct evt_filtered *f = evt_sub_filtered(sub);

    if (f->seq < stored->seq) {
        f->fired |= stored->fired;
        f->cleared |= stored->cleared;
        f->fresh = true;
        f->seq = cond->seq;
    } else { /* at most one ahead: the crash came between the two records */
        f->seq = cond->seq + (f->seq > stored->seq);
    }
}

/* Its record, which all shards are given: only one that has subscriptions of that shard cares. */
enum hd_err
evt_cond_restore(struct evt_shard *shard, uint64_t id, struct hd_slice record)
{
    struct evt_stored_cond stored;
    enum hd_err err = evt_stored_cond_read(record, &stored);
    char phrase[EVT_FILTER_PHRASE];
    struct evt_filter *filter = NULL;
    struct evt_cond *cond = NULL;

    if (err)
        return err;
    struct evt_mirror *mirror = evt_mirror_of(shard, &stored.topic);
    if (mirror && ops(shard)) {
        struct evt_filter_request request = { .resource = stored.topic.key,
                                              .package = stored.topic.package,
                                              .before = stored.filter };
        err = ops(shard)->make(shard->ports.filter_context, &request, &filter, phrase);
        if (err == HD_ENOMEM)
            return err;
        cond = err || !filter ? NULL
                              : cond_find(shard, mirror, filter, stored.transform, stored.apart);
        ops(shard)->unref(shard->ports.filter_context, filter);
    }
    bool as_before = stored.shards == shard->count && stored.shard == shard->index;
    if (cond && (as_before || !cond->started)) {
        err = ops(shard)->load(cond->filter, cond->state, shard->now_ms, stored.state);
        if (err)
            return err;
        cond->started = true;
        cond->on = stored.on;
        cond->seq = stored.seq;
        cond->fired = stored.fired;
        cond->cleared = stored.cleared;
        cond->stored = true;
        cond_rearm(shard, cond, shard->now_ms); /* what lasted meanwhile has lasted */
    }
    for (uint32_t i = 0; cond && i < cond->n_subs; i++) {
        struct evt_sub *sub = evt_sub_at(shard, cond->subs[i]);
        if (hd_bucket_shard(hd_id_bucket(sub->id), stored.shards) == stored.shard)
            sub_catch_up(sub, cond, &stored);
    }
    if (as_before && !cond)
        (void)!evt_record_remove(shard, EVT_RECORD_CONDITION, hd_hash_bucket(id), id, 0);
    if (stored.shards != shard->count) {
        if (cond)
            (void)!evt_record_cond(shard, mirror, cond);
        if (hd_bucket_shard(hd_hash_bucket(id), shard->count) == shard->index)
            (void)!evt_record_remove(shard, EVT_RECORD_CONDITION, hd_hash_bucket(id), id, 0);
    }
    return HD_OK;
}
