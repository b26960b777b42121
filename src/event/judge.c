/* judge.c - what the rules in force say of a subscription: whether it goes on, pending or active,
 * and what its subscriber sees.  Asked when it is made, refreshed or restored, and for each new
 * version of the rules. */
#include "event/core.h"

/* What a decision means for what a subscriber sees; false: nothing, he is refused. */
bool
evt_sub_verdict(const struct evt_verdict *verdict, const struct evt_package *package,
                uint8_t *ret_state, uint8_t *ret_transform)
{
    switch (verdict->decision) {
    case EVT_DENY:
        return false;
    case EVT_ALLOW:
        *ret_state = EVT_SUB_ACTIVE;
        *ret_transform =
            verdict->transform >= EVT_TRANSFORM_FIRST ? verdict->transform : EVT_SEE_ALL;
        return true;
    case EVT_CONFIRM:
        *ret_state = EVT_SUB_PENDING;
        *ret_transform = EVT_SEE_NOTHING;
        return true;
    case EVT_POLITE:
        *ret_state = EVT_SUB_ACTIVE;
        /* A list of watchers without himself would tell him what he is not to know. */
        *ret_transform = package->watched ? EVT_SEE_OWN : EVT_SEE_NEUTRAL;
        return true;
    case EVT_OWN:
        HD_ASSERT(package->watched != NULL);
        *ret_state = EVT_SUB_ACTIVE;
        *ret_transform = EVT_SEE_OWN;
        return true;
    }
    return false;
}

/* What the rules in force say of a subscription. */
bool
evt_sub_ask(struct evt_shard *shard, const struct evt_sub *sub, uint8_t *ret_state,
            uint8_t *ret_transform)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct hd_slice watcher = evt_texts_get(sub->texts, EVT_TEXT_WATCHER);
    struct evt_identity identity = { .key_len = (uint8_t)watcher.n,
                                     .proof = sub->texts->proof,
                                     .authenticated = sub->texts->proof > EVT_PROOF_FROM,
                                     .again = true };

    memcpy(identity.key, watcher.p, watcher.n);
    struct evt_verdict verdict = shard->ports.policy->subscribe(
        shard->ports.policy_context, shard->config, &identity, mirror->key, mirror->package);
    shard->last_rule = verdict.rule;
    shard->last_polite = verdict.decision == EVT_POLITE;
    return evt_sub_verdict(&verdict, mirror->package, ret_state, ret_transform);
}

/* Of whom its mirror is to show the own entry alone; empty: it shows all. */
static struct hd_slice
sub_own(const struct evt_sub *sub, const struct evt_mirror *mirror, uint8_t transform)
{
    if (transform == EVT_SEE_OWN || (transform == EVT_SEE_NOTHING && mirror->watcher_n))
        return evt_texts_get(sub->texts, EVT_TEXT_WATCHER);
    return hd_slice(NULL, 0);
}

static bool
sub_moves(struct evt_shard *shard, const struct evt_sub *sub, uint8_t transform)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    return (sub_own(sub, mirror, transform).n > 0) != (mirror->watcher_n > 0);
}

enum hd_err
evt_sub_move(struct evt_shard *shard, struct evt_sub *sub, uint8_t transform)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    if (!sub_moves(shard, sub, transform))
        return HD_OK;
    if (evt_mirror_move(shard, sub, sub_own(sub, mirror, transform)))
        return HD_ENOMEM;
    evt_sub_drop_flight(shard, sub, true); /* it shows what he had there */
    /* A first snapshot, with which what he had is compared, comes no more where one is. */
    sub->restored = sub->restored && !evt_mirror_at(shard, sub->mirror)->snapshot;
    return HD_OK;
}

/* --- a polite block that begins or ends ------------------------------------------------------ *
 *
 * Whoever is blocked politely from now on, or no more, is to see the state change as by itself:
 * when a change of it would be told, and not as soon as a rule is set; not at all when it shows him
 * what he has; and a NOTIFY that has left is repeated until it is answered, as it would be. */

/* In watcher information it shows him his own entry.  That he may see because the list is withdrawn
 * from him is no polite block, and he is told at once. */
bool
evt_sub_is_turn(const struct evt_shard *shard, const struct evt_sub *sub, uint8_t state,
                uint8_t transform)
{
    if (state != sub->state)
        return false;
    if (transform == EVT_SEE_NEUTRAL || sub->transform == EVT_SEE_NEUTRAL)
        return true;
    return sub->transform == EVT_SEE_OWN || (transform == EVT_SEE_OWN && shard->last_polite);
}

/* Whether the last NOTIFY that was sent shows what he may see now. */
static bool
has_newest(struct evt_shard *shard, const struct evt_sub *sub, struct evt_mirror *mirror)
{
    if (!mirror->snapshot || sub->restored || evt_sub_has_events(sub))
        return false;
    if (evt_is_transformed(sub->transform))
        return !evt_mirror_is_news(shard, mirror, sub->transform, sub->seen);
    return !evt_sees_state(sub->transform) || sub->seen == mirror->snapshot->number;
}

/* To the mirror that has his own entry, or back to that of all: its first state is compared with
 * what he has. */
static enum hd_err
turn_mirror(struct evt_shard *shard, struct evt_sub *sub, uint8_t transform)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    uint64_t content = 0;

    if (!sub->again && evt_sub_is_told(sub))
        content = 1; /* his conditions compare, he has seen nothing that is not his */
    else if (!sub->again && has_newest(shard, sub, mirror))
        content = evt_content(shard, mirror->snapshot->doc);
    if (evt_mirror_move(shard, sub, sub_own(sub, mirror, transform)))
        return HD_ENOMEM;
    sub->transform = transform;
    sub->again = false;
    sub->seen = content;
    sub->restored = true;
    evt_cond_rejoin(shard, sub);
    mirror = evt_mirror_at(shard, sub->mirror);
    if (!mirror->snapshot)
        return HD_OK;
    evt_sub_compare(shard, mirror, sub);
    evt_cond_compare(shard, sub);
    return HD_OK;
}

/* Whether he notices nothing, since both show the same and he has it. */
static bool
turn_is_silent(struct evt_shard *shard, struct evt_sub *sub, uint8_t transform)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    return has_newest(shard, sub, mirror) &&
           evt_mirror_shows_same(shard, mirror, sub->transform, transform);
}

/* The end of a state with Resource-Priority is told with it as well, and so is what looks like it.
 * Where memory is short it is told without. */
static void
turn_priority(struct evt_sub *sub, const struct evt_mirror *mirror, uint8_t transform, bool silent)
{
    if (sub->rare)
        sub->rare->parting = SIP_PRIORITY_NONE;
    if (!silent && mirror->snapshot && mirror->snapshot->priority &&
        evt_sees_state(sub->transform) && !evt_sees_state(transform) && evt_sub_rare(sub))
        sub->rare->parting = mirror->snapshot->priority;
}

/* He sees through another transformation of the same mirror. */
static void
turn_transform(struct evt_shard *shard, struct evt_sub *sub, uint8_t transform)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const bool silent = turn_is_silent(shard, sub, transform);
    /* A change that he was not told before a block came is still to be told when that goes. */
    const bool untold = !evt_sub_is_told(sub) && evt_sub_block_is_untold(sub);

    turn_priority(sub, mirror, transform, silent);
    if (!evt_sees_state(transform))
        evt_queue_clear(sub);
    if (evt_sub_is_told(sub))
        evt_cond_turn(shard, sub, transform, !silent && evt_sees_state(transform));
    sub->transform = transform;
    evt_cond_rejoin(shard, sub);
    if (!mirror->snapshot) {
        sub->seen = EVT_SEEN_NOTHING;
    } else if (silent && !untold) {
        sub->seen = mirror->snapshot->number;
    } else {
        sub->seen = EVT_SEEN_NOTHING;
        evt_seen_due(shard, evt_mirror_at(shard, sub->mirror));
        if (mirror->package->delivery == EVT_DELIVER_EVERY)
            evt_sub_queue_event(shard, sub, mirror->snapshot);
    }
}

static enum hd_err
sub_turn(struct evt_shard *shard, struct evt_sub *sub, uint8_t transform)
{
    evt_notify_recall(shard, sub);
    if (sub_moves(shard, sub, transform)) {
        if (turn_mirror(shard, sub, transform))
            return HD_ENOMEM;
    } else {
        turn_transform(shard, sub, transform);
    }
    if (sub->stored && !sub->change)
        (void)!evt_record_sub(shard, sub, NULL, 0); /* a restart is no second turn */
    evt_sub_kick(shard, sub);
    return HD_OK;
}

/* --- judging --------------------------------------------------------------------------------- */

/* It is over, and its last NOTIFY shows a state that may have to be withdrawn: then another one,
 * which shows less, takes its place. */
static void
sub_judge_last(struct evt_shard *shard, struct evt_sub *sub)
{
    uint8_t state, transform;

    if (sub->lingering || sub->reason != EVT_REASON_TIMEOUT || !(sub->flight || sub->owed))
        return;
    if (!evt_sub_ask(shard, sub, &state, &transform))
        transform = EVT_SEE_NOTHING;
    if (transform == sub->transform || transform == EVT_SEE_ALL)
        return;
    if (sub->flight && transform != EVT_SEE_NOTHING &&
        evt_sub_is_turn(shard, sub, EVT_SUB_TERMINATED, transform)) {
        if (sub_turn(shard, sub, transform)) /* where another way has to be tried */
            sub->transform = EVT_SEE_NOTHING;
        return;
    }
    if (evt_sub_move(shard, sub, transform))
        transform = EVT_SEE_NOTHING;
    sub->transform = transform;
    evt_cond_rejoin(shard, sub);
    evt_sub_owe(shard, sub);
    evt_sub_rearm(shard, sub);
}

/* He is approved, waits for a decision from now on, or sees another part.  HD_ENOMEM: nothing. */
static enum hd_err
sub_decided(struct evt_shard *shard, struct evt_sub *sub, uint8_t state, uint8_t transform)
{
    /* RFC 6446 section 5.2 excepts what approves a subscription, not what shows less or more. */
    const bool approves = sub->state == EVT_SUB_PENDING && state == EVT_SUB_ACTIVE;

    if (evt_sub_move(shard, sub, transform))
        return HD_ENOMEM;
    const bool waits = !approves && sub->rare && evt_rate_held_until(shard, sub);
    evt_sub_enter(shard, sub, state);
    if (sub->rare) {
        sub->rare->parting = SIP_PRIORITY_NONE; /* this looks like no end of a state */
        evt_sub_rare_settle(sub);
    }
    sub->transform = transform;
    evt_cond_rejoin(shard, sub);
    if (waits) {
        evt_sub_drop_flight(shard, sub, true);
        sub->again = true;
        evt_sub_kick(shard, sub);
    } else {
        evt_sub_owe(shard, sub);
    }
    return HD_OK;
}

void
evt_sub_judge(struct evt_shard *shard, struct evt_sub *sub)
{
    uint8_t state, transform;

    if (sub->state == EVT_SUB_TERMINATED)
        sub_judge_last(shard, sub);
    if (sub->state != EVT_SUB_ACTIVE && sub->state != EVT_SUB_PENDING)
        return;
    if (!evt_config_package(shard->config, evt_mirror_at(shard, sub->mirror)->package->name)) {
        evt_sub_terminate(shard, sub, EVT_REASON_NORESOURCE, 0);
        return;
    }
    if (!evt_sub_ask(shard, sub, &state, &transform)) {
        evt_sub_terminate(shard, sub, EVT_REASON_REJECTED, 0);
        return;
    }
    if (state == sub->state && transform == sub->transform)
        return;
    if (sub->restored && evt_sub_is_turn(shard, sub, state, transform)) {
        sub->again = true; /* once it is known what he has: evt_restore_compare() */
        return;
    }
    if (evt_sub_is_turn(shard, sub, state, transform) ? sub_turn(shard, sub, transform)
                                                      : sub_decided(shard, sub, state, transform)) {
        /* Memory is short for showing him something else: he asks anew. */
        evt_sub_terminate(shard, sub, EVT_REASON_DEACTIVATED, 0);
        return;
    }
    evt_audit_note(shard, sub, EVT_AUDIT_CHANGED, shard->last_rule);
    evt_sub_rearm(shard, sub);
}
