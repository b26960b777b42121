/* sub.c - the record of a subscription: its one timer, its states, what becomes of a change when
 * the store has it, how it ends.  When it may send is in kick.c, what the rules say of it in
 * judge.c.
 *
 * A subscription is freed by its timer alone, when it has lingered for the retransmissions of its
 * last SUBSCRIBE; so no function that is handed one has to fear that a callee freed it. Exceptions:
 * a creation that the store refused, and the end of the shard. */
#include <stdlib.h>

#include "event/core.h"

struct hd_slice
evt_reason_name(enum evt_reason reason)
{
    switch (reason) {
    case EVT_REASON_DEACTIVATED:
        return HD_LIT("deactivated");
    case EVT_REASON_PROBATION:
        return HD_LIT("probation");
    case EVT_REASON_REJECTED:
        return HD_LIT("rejected");
    case EVT_REASON_TIMEOUT:
        return HD_LIT("timeout");
    case EVT_REASON_GIVEUP:
        return HD_LIT("giveup");
    case EVT_REASON_NORESOURCE:
        return HD_LIT("noresource");
    case EVT_REASON_INVARIANT:
        return HD_LIT("invariant");
    case EVT_REASON_NONE:
    case EVT_REASON_SILENT:
    case EVT_REASON_SUPERSEDED:
        break;
    }
    return hd_slice(NULL, 0);
}

struct hd_slice
evt_proof_word(enum evt_proof proof)
{
    switch (proof) {
    case EVT_PROOF_FROM:
        return HD_LIT("from");
    case EVT_PROOF_DIGEST:
        return HD_LIT("digest");
    case EVT_PROOF_ASSERTED:
        return HD_LIT("asserted");
    case EVT_PROOF_TLS:
        return HD_LIT("tls");
    case EVT_PROOF_TOKEN:
        return HD_LIT("token");
    case EVT_PROOF_NONE:
        break;
    }
    return HD_LIT("none");
}

/* --- quotas ---------------------------------------------------------------------------------- */

void
evt_watcher_prefetch(const struct evt_shard *shard, struct hd_slice watcher)
{
    hd_tally_prefetch(&shard->watchers, hd_hash(&shard->keys.table, watcher));
}

enum hd_err
evt_watcher_take(struct evt_shard *shard, struct hd_slice watcher)
{
    return hd_tally_add(&shard->watchers, hd_hash(&shard->keys.table, watcher),
                        evt_limits(shard)->subscriptions_per_watcher);
}

void
evt_watcher_give(struct evt_shard *shard, struct hd_slice watcher)
{
    hd_tally_drop(&shard->watchers, hd_hash(&shard->keys.table, watcher));
}

/* --- lists ----------------------------------------------------------------------------------- */

static struct evt_list *
list_of(struct evt_shard *shard, const struct evt_sub *sub)
{
    return sub->queued == EVT_QUEUED_READY ? &shard->ready : &evt_hop_at(shard, sub->hop)->waiting;
}

void
evt_dequeue(struct evt_shard *shard, struct evt_sub *sub)
{
    if (sub->queued == EVT_QUEUED_NOT)
        return;
    struct evt_list *list = list_of(shard, sub);
    const bool is_head = list->head == sub->index;
    if (list->first == sub->index)
        list->first = is_head ? EVT_NONE : sub->prev_queued;
    if (is_head)
        list->head = sub->next_queued;
    else
        evt_sub_at(shard, sub->prev_queued)->next_queued = sub->next_queued;
    const uint32_t behind = sub->next_queued != EVT_NONE ? sub->next_queued : list->head;
    if (behind != EVT_NONE)
        evt_sub_at(shard, behind)->prev_queued = sub->prev_queued;
    sub->queued = EVT_QUEUED_NOT;
}

void
evt_enqueue(struct evt_shard *shard, struct evt_sub *sub, enum evt_queued where, bool first)
{
    evt_dequeue(shard, sub);
    sub->queued = (unsigned)(where == EVT_QUEUED_HOP && first ? EVT_QUEUED_HOP_FIRST : where) & 3;
    struct evt_list *list = list_of(shard, sub);
    const uint32_t head = list->head;
    const uint32_t last = head != EVT_NONE ? evt_sub_at(shard, head)->prev_queued : sub->index;
    const bool to_head = head == EVT_NONE || (first && list->first == EVT_NONE);
    sub->prev_queued = to_head || !first ? last : list->first;
    if (to_head) {
        sub->next_queued = head;
        list->head = sub->index;
    } else {
        struct evt_sub *before = evt_sub_at(shard, sub->prev_queued);
        sub->next_queued = before->next_queued;
        before->next_queued = sub->index;
    }
    evt_sub_at(shard, sub->next_queued != EVT_NONE ? sub->next_queued : list->head)->prev_queued =
        sub->index;
    if (first)
        list->first = sub->index;
}

/* --- making and freeing ---------------------------------------------------------------------- */

struct evt_sub *
evt_sub_at(struct evt_shard *shard, uint32_t index)
{
    struct evt_sub *sub = hd_table_at(&shard->subs, index);
    HD_ASSERT_OBJ(sub, EVT_SUB_MAGIC);
    return sub;
}

struct evt_sub *
evt_sub_find(struct evt_shard *shard, uint64_t id)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->sub_by_id, id); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_sub *sub = evt_sub_at(shard, i);
        if (sub->id == id)
            return sub;
    }
    return NULL;
}

uint32_t
evt_sub_call_hash(const struct evt_shard *shard, struct hd_slice call_id, struct hd_slice from_tag)
{
    return (uint32_t)hd_hash_mix(hd_hash(&shard->keys.table, call_id),
                                 hd_hash(&shard->keys.table, from_tag));
}

struct evt_sub *
evt_sub_new(struct evt_shard *shard, uint64_t id, struct evt_texts *texts, uint32_t call_hash,
            enum hd_err *ret_err)
{
    struct hd_handle handle;
    struct evt_sub *sub;
    void *object;

    *ret_err = hd_table_add(&shard->subs, &handle, &object);
    if (*ret_err)
        return NULL;
    *ret_err = HD_ENOMEM;
    if (hd_map_put(&shard->sub_by_id, id, handle.index))
        goto no_id;
    if (hd_map_put(&shard->sub_by_call, call_hash, handle.index))
        goto no_call;
    sub = object;
    sub->magic = EVT_SUB_MAGIC;
    sub->index = handle.index;
    sub->id = id;
    sub->call_hash = call_hash;
    sub->texts = texts;
    sub->mirror = sub->hop = sub->came = EVT_NONE;
    sub->timer.kind = EVT_TIMER_SUB;
    /* Below 2^31 for ever: it would take 2^30 NOTIFYs to get there (RFC 3261 8.1.1.5). */
    sub->cseq_local = hd_rng_below(&shard->rng, 10000);
    sub->born = ++shard->last_born;
    *ret_err = HD_OK;
    return sub;
no_call:
    hd_map_remove(&shard->sub_by_id, id, handle.index);
no_id:
    hd_table_remove(&shard->subs, handle.index);
    return NULL;
}

static void
sub_change_free(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_sub_change *change = sub->change;

    if (!change)
        return;
    sub->change = NULL;
    if (change->hop != EVT_NONE)
        evt_hop_put(shard, change->hop);
    if (change->came != EVT_NONE)
        evt_hop_forget(shard, change->came);
    evt_filtered_free(shard, change->filtered);
    free(change->rated);
    evt_head_free(change->head);
    free(change->texts);
    free(change);
    shard->waiting--;
    evt_gauge(shard, &shard->counters.waiting, -1);
}

struct evt_sub_rare *
evt_sub_rare(struct evt_sub *sub)
{
    if (sub->rare)
        return sub->rare;
    sub->rare = calloc(1, sizeof(*sub->rare));
    if (sub->rare) {
        sub->rare->waiting_end = &sub->rare->waiting;
        sub->rare->first_place = EVT_NONE;
    }
    return sub->rare;
}

void
evt_sub_rare_settle(struct evt_sub *sub)
{
    const struct evt_sub_rare *rare = sub->rare;

    if (!rare || rare->waiting || rare->queue || rare->filtered || rare->rated || rare->match ||
        rare->device || rare->priority || rare->parting ||
        (sub->change && (sub->change->filtered || sub->change->rated || sub->change->match ||
                         sub->change->priority)))
        return;
    free(sub->rare);
    sub->rare = NULL;
}

static struct evt_packet *
sub_waiting_take(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_sub_rare *rare = sub->rare;
    struct evt_packet *packet;

    if (!rare)
        return NULL;
    packet = evt_waiting_take(shard, &rare->waiting, &rare->waiting_end, &rare->n_waiting);
    evt_sub_rare_settle(sub);
    return packet;
}

/* Gives back all that only a living subscription needs. */
static void
sub_release(struct evt_shard *shard, struct evt_sub *sub)
{
    evt_dequeue(shard, sub);
    evt_sub_drop_flight(shard, sub, false);
    evt_cond_leave(shard, sub);
    evt_device_leaves(shard, sub);
    if (evt_sub_filtered(sub)) {
        evt_filtered_free(shard, sub->rare->filtered);
        sub->rare->filtered = NULL;
    }
    evt_queue_free(sub);
    evt_rated_set(sub, NULL);
    evt_match_set(sub, EVT_SUPPRESS_NONE);
    evt_priority_set(shard, sub, SIP_PRIORITY_NONE);
    if (sub->rare)
        sub->rare->parting = SIP_PRIORITY_NONE;
    evt_sub_rare_settle(sub);
    if (sub->in_mirror)
        evt_mirror_unplace(shard, sub);
    if (sub->mirror != EVT_NONE) {
        evt_mirror_leave(shard, sub->mirror);
        sub->mirror = EVT_NONE;
    }
    if (sub->hop != EVT_NONE) {
        evt_hop_put(shard, sub->hop);
        sub->hop = EVT_NONE;
    }
}

void
evt_sub_free(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_packet *packet;

    hd_wheel_stop(&shard->wheel, &sub->timer);
    while ((packet = sub_waiting_take(shard, sub)))
        free(packet);
    sub_change_free(shard, sub);
    sub_release(shard, sub);
    if (sub->came != EVT_NONE)
        evt_hop_forget(shard, sub->came);
    if (!sub->lingering)
        evt_watcher_give(shard, evt_texts_get(sub->texts, EVT_TEXT_WATCHER));
    if (sub->parked)
        evt_gauge(shard, &shard->counters.parked, -1);
    if (sub->state == EVT_SUB_ACTIVE || sub->state == EVT_SUB_PENDING)
        evt_gauge(shard, &shard->counters.subscriptions, -1);
    hd_map_remove(&shard->sub_by_id, sub->id, sub->index);
    hd_map_remove(&shard->sub_by_call, sub->call_hash, sub->index);
    free(sub->texts);
    sub->magic = 0;
    hd_table_remove(&shard->subs, sub->index);
}

/* --- the timer ------------------------------------------------------------------------------- */

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
sub_deadline(struct evt_shard *shard, const struct evt_sub *sub)
{
    uint64_t due = UINT64_MAX;

    /* What came in time is waited for, however long the store takes. */
    if (sub->lingering ||
        ((sub->state == EVT_SUB_ACTIVE || sub->state == EVT_SUB_PENDING) && !sub->change))
        due = sub->expires_at_ms;
    if (sub->flight) {
        due = earlier(due, earlier(sub->flight->next_ms, sub->flight->deadline_ms));
        if (sub->flight->tcp_until_ms)
            due = earlier(due, sub->flight->tcp_until_ms);
    }
    if (sub->hold_until_ms && !sub->lingering)
        due = earlier(due, sub->hold_until_ms);
    if (sub->rare)
        due = earlier(due, evt_rate_due(shard, sub));
    if (!sub->change) /* nobody waits behind it */
        return due;
    if (!sub->change->trying_sent)
        due = earlier(due, sub->change->started_ms + SIP_TRYING_AFTER_MS);
    return earlier(due, evt_waiting_due(evt_sub_first_waiting(sub)));
}

/* The timer is only ever moved to an earlier time: when it fires too early it is set anew.  An
 * answered NOTIFY costs no move. */
void
evt_sub_rearm(struct evt_shard *shard, struct evt_sub *sub)
{
    uint64_t due = sub_deadline(shard, sub);

    if (due == UINT64_MAX || (hd_timer_running(&sub->timer) && sub->timer.due_ms <= due))
        return;
    hd_wheel_start(&shard->wheel, &sub->timer, due);
}

/* Whether what the last SUBSCRIBE came over repeats nothing by itself. */
static bool
sub_came_reliable(struct evt_shard *shard, const struct evt_sub *sub)
{
    return hd_transport_reliable((enum hd_transport)evt_hop_at(shard, sub->came)->flow.transport);
}

/* Over, and everything said: only retransmissions of the last SUBSCRIBE are still answered (64*T1,
 * 0 on reliable transports). */
static void
sub_settle(struct evt_shard *shard, struct evt_sub *sub)
{
    if (sub->state != EVT_SUB_TERMINATED || sub->lingering || sub->flight || sub->owed ||
        sub->change)
        return;
    sub_release(shard, sub);
    evt_watcher_give(shard, evt_texts_get(sub->texts, EVT_TEXT_WATCHER));
    sub->lingering = true;
    sub->hold_until_ms = 0;
    sub->expires_at_ms = shard->now_ms + (sub_came_reliable(shard, sub) ? 0 : EVT_LINGER_MS);
    evt_sub_rearm(shard, sub);
}

/* After anything happened to it: the next NOTIFY, the end, the timer. */
void
evt_sub_finish(struct evt_shard *shard, struct evt_sub *sub)
{
    evt_sub_kick(shard, sub);
    sub_settle(shard, sub);
    evt_sub_rearm(shard, sub);
}

/* The last of it goes, here and in the store. */
static void
sub_bury(struct evt_shard *shard, struct evt_sub *sub)
{
    if (sub->tombstone)
        (void)!evt_record_remove(shard, EVT_RECORD_SUBSCRIPTION, hd_id_bucket(sub->id), sub->id, 0);
    evt_sub_free(shard, sub);
}

void
evt_sub_fired(struct evt_shard *shard, struct evt_sub *sub)
{
    uint64_t now = shard->now_ms;

    if (sub->lingering) {
        if (now >= sub->expires_at_ms && !evt_sub_first_waiting(sub))
            sub_bury(shard, sub);
        else
            evt_sub_rearm(shard, sub);
        return;
    }
    if (sub->change && !sub->change->trying_sent &&
        now >= sub->change->started_ms + SIP_TRYING_AFTER_MS) {
        sub->change->trying_sent = true;
        evt_trying(shard, sub->change->head, sub->change->done.txn);
    }
    if (sub->change)
        evt_waiting_trying(shard, evt_sub_first_waiting(sub));
    if (sub->flight)
        evt_notify_timer(shard, sub);
    if ((sub->state == EVT_SUB_ACTIVE || sub->state == EVT_SUB_PENDING) &&
        now >= sub->expires_at_ms && !sub->change)
        /* A restart has found a reason already when the rules refuse it by now. */
        evt_sub_terminate(shard, sub,
                          sub->reason ? (enum evt_reason)sub->reason : EVT_REASON_TIMEOUT, 0);
    if (sub->hold_until_ms && now >= sub->hold_until_ms) {
        sub->hold_until_ms = 0;
        evt_sub_kick(shard, sub);
    }
    if (sub->rare)
        evt_rate_fired(shard, sub);
    sub_settle(shard, sub);
    evt_sub_rearm(shard, sub);
}

/* --- the NOTIFY in flight -------------------------------------------------------------------- */

void
evt_sub_drop_flight(struct evt_shard *shard, struct evt_sub *sub, bool failed)
{
    struct evt_flight *flight = sub->flight;

    if (!flight)
        return;
    evt_hop_drop(shard, sub);
    sub->flight = NULL;
    if (failed && sub->restored)
        sub->seen = EVT_SEEN_NOTHING; /* that he would have it is known no more */
    if (evt_sub_filtered(sub))
        evt_cond_landed(shard, sub, failed);
    if (flight->event) { /* what may not be seen any more is not kept for later */
        if (failed && sub->state != EVT_SUB_TERMINATED && evt_sees_state(sub->transform))
            evt_queue_give_back(shard, sub, flight->event);
        else
            evt_snapshot_unref(flight->event);
    }
    if (flight->counted)
        evt_hop_landed(shard, evt_hop_at(shard, sub->hop),
                       failed ? EVT_WINDOW_KEEP : EVT_WINDOW_GROW);
    evt_view_unref(flight->view);
    flight->next_free = shard->free_flights;
    shard->free_flights = flight;
    shard->n_flights--;
    evt_gauge(shard, &shard->counters.in_flight, -1);
}

/* --- begin and end --------------------------------------------------------------------------- */

static void
sub_end(struct evt_shard *shard, struct evt_sub *sub, enum evt_reason reason,
        uint32_t retry_after_s, bool tell)
{
    bool was_pending = sub->state == EVT_SUB_PENDING;

    if (sub->state == EVT_SUB_TERMINATED || sub->state == EVT_SUB_INIT)
        return;
    sub->state = EVT_SUB_TERMINATED;
    sub->reason = (uint8_t)reason;
    sub->retry_after_s = (uint16_t)(retry_after_s < UINT16_MAX ? retry_after_s : UINT16_MAX);
    sub->again = sub->again && sub->restored; /* then he is judged yet: evt_restore_compare() */
    evt_device_leaves(shard, sub);
    evt_watch_ended(shard, sub, was_pending);
    if (!sub->fetch)
        evt_audit_note(shard, sub, EVT_AUDIT_ENDED, 0);
    EVT_COUNT(shard, subscriptions_ended);
    evt_gauge(shard, &shard->counters.subscriptions, -1);
    evt_did(shard, sub->id, EVT_DID_END, reason);
    if (sub->stored) {
        sub->stored = false;
        /* Nobody waits for this one: a record that stays behind expires by itself. */
        (void)!evt_record_remove(shard, EVT_RECORD_SUBSCRIPTION, hd_id_bucket(sub->id), sub->id, 0);
    }
    if (!tell) {
        if (sub->parked) {
            sub->parked = false;
            evt_gauge(shard, &shard->counters.parked, -1);
        }
        evt_sub_drop_flight(shard, sub, false);
        sub->owed = false;
    } else {
        evt_sub_owe(shard, sub);
    }
    sub_settle(shard, sub);
    evt_sub_rearm(shard, sub);
}

void
evt_sub_terminate(struct evt_shard *shard, struct evt_sub *sub, enum evt_reason reason,
                  uint32_t retry_after_s)
{
    const bool gone = reason == EVT_REASON_SILENT || reason == EVT_REASON_SUPERSEDED;

    sub_end(shard, sub, reason, retry_after_s, !gone);
}

void
evt_sub_end_quietly(struct evt_shard *shard, struct evt_sub *sub)
{
    sub_end(shard, sub, EVT_REASON_TIMEOUT, 0, false);
}

/* Who watches whom, in the one place where it can be looked up later. */
void
evt_audit_note(struct evt_shard *shard, const struct evt_sub *sub, enum evt_audited what,
               uint32_t rule)
{
    if (!shard->ports.audit)
        return;
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct evt_audit row = { .what = what,
                             .state = sub->state,
                             .transform = sub->transform,
                             .proof = sub->texts->proof,
                             .reason = sub->reason,
                             .rule = rule,
                             .id = sub->id,
                             .resource = mirror->key,
                             .package = mirror->package->name,
                             .watcher = evt_texts_get(sub->texts, EVT_TEXT_WATCHER) };
    if (sub->came != EVT_NONE)
        row.address = evt_hop_at(shard, sub->came)->flow.remote;
    shard->ports.audit->note(shard->ports.audit_context, shard->index, &row);
}

/* RFC 3857 section 4.7.1: what was pending is approved. */
void
evt_sub_enter(struct evt_shard *shard, struct evt_sub *sub, uint8_t state)
{
    if (state == sub->state)
        return;
    bool approved = sub->state == EVT_SUB_PENDING && state == EVT_SUB_ACTIVE;
    sub->state = state;
    sub->approved = approved;
    evt_watch_changed(shard, sub, approved ? EVT_WATCHER_APPROVED : EVT_WATCHER_SUBSCRIBE);
}

/* --- the store's word ------------------------------------------------------------------------ */

void
evt_sub_waiting(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_packet *packet;

    while (!sub->change && (packet = sub_waiting_take(shard, sub)))
        evt_packet_handle(shard, packet);
}

static void
sub_create_failed(struct evt_shard *shard, struct evt_sub *sub, unsigned status)
{
    struct evt_packet *waiting = evt_sub_first_waiting(sub);

    evt_ring_put(shard, sub->change->done.txn, status);
    evt_refuse_head(shard, sub->change->head, status);
    for (const struct evt_packet *p = waiting; p; p = p->next) {
        shard->waiting--;
        evt_gauge(shard, &shard->counters.waiting, -1);
    }
    if (waiting)
        sub->rare->waiting = NULL;
    evt_sub_rare_settle(sub);
    evt_sub_free(shard, sub);
    while (waiting) {
        struct evt_packet *next = waiting->next;
        evt_packet_handle(shard, waiting);
        waiting = next;
    }
}

/* The request is refused after all: the store did not keep it, or its subscription is over. */
static void
sub_change_refused(struct evt_shard *shard, struct evt_sub *sub, unsigned status)
{
    evt_ring_put(shard, sub->change->done.txn, status);
    evt_refuse_head(shard, sub->change->head, status);
    sub_change_free(shard, sub);
}

/* The rules may have changed while it was being kept: those in force when it is applied count.
 * False: they refuse it.  An end is not refused, but its last NOTIFY shows no more than they let
 * through. */
static bool
sub_change_judge(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_sub_change *change = sub->change;

    if (change->judged == shard->configurations)
        return true;
    if (evt_config_package(shard->config, evt_mirror_at(shard, sub->mirror)->package->name) &&
        evt_sub_ask(shard, sub, &change->state, &change->transform)) {
        change->rule = shard->last_rule;
        return true;
    }
    change->transform = EVT_SEE_NOTHING;
    return change->kind == EVT_CHANGE_END;
}

static void
sub_record_remove(struct evt_shard *shard, const struct evt_sub *sub)
{
    (void)!evt_record_remove(shard, EVT_RECORD_SUBSCRIPTION, hd_id_bucket(sub->id), sub->id, 0);
}

/* A creation: takes its place, or leaves nothing behind; false: it is freed. */
static bool
sub_create_stored(struct evt_shard *shard, struct evt_sub *sub, enum hd_err err)
{
    unsigned status = err == HD_ESTORE ? 503 : 500;

    if (!err && (sub->change->merged || !sub_change_judge(shard, sub))) {
        err = HD_EDENIED;
        status = sub->change->merged ? 482 : 403;
    }
    if (!err && !evt_sub_move(shard, sub, sub->change->transform) &&
        !evt_mirror_place(shard, evt_mirror_at(shard, sub->mirror), sub))
        return true;
    if (!err || err == HD_EDENIED)
        sub_record_remove(shard, sub);
    sub_create_failed(shard, sub, status);
    return false;
}

/* A change of one that exists. */
static void
sub_change_stored(struct evt_shard *shard, struct evt_sub *sub, enum hd_err err)
{
    if (err) { /* the record in the store is as it was: the next NOTIFY asks for one */
        sub->leased = 0;
        sub_change_refused(shard, sub, 503);
    } else if (sub->state == EVT_SUB_TERMINATED) { /* it ended meanwhile */
        sub_change_refused(shard, sub, 481);
        sub_record_remove(shard, sub);
    } else if (!sub_change_judge(shard, sub)) {
        sub_change_refused(shard, sub, 403);
        evt_sub_terminate(shard, sub, EVT_REASON_REJECTED, 0);
    } else if (evt_sub_move(shard, sub, sub->change->transform)) {
        sub_change_refused(shard, sub, 500);
        evt_sub_terminate(shard, sub, EVT_REASON_DEACTIVATED, 0);
    } else {
        evt_sub_apply(shard, sub);
        sub_change_free(shard, sub);
    }
}

void
evt_sub_stored(struct evt_shard *shard, struct evt_sub *sub, enum hd_err err)
{
    if (!sub->change)
        return;
    if (sub->change->asked) { /* whether it is merged: the answer brings it here again */
        sub->change->stored = true;
        sub->change->err = err;
        return;
    }
    if (err)
        evt_did(shard, sub->change->head->call, EVT_DID_UNKEPT, 0);
    bool ends = sub->change->ends != shard->ends;
    if (sub->change->kind == EVT_CHANGE_CREATE && !sub_create_stored(shard, sub, err))
        return;
    sub_change_stored(shard, sub, err);
    if (ends)
        evt_shard_end(shard, sub);
    if (evt_sub_is_told(sub))
        evt_sub_kick(shard, sub); /* what fired meanwhile has waited for this */
    sub_settle(shard, sub);
    evt_sub_rearm(shard, sub);
    evt_sub_waiting(shard, sub);
}
