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

enum hd_err
evt_sub_move(struct evt_shard *shard, struct evt_sub *sub, uint8_t transform)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const struct hd_slice own = sub_own(sub, mirror, transform);

    if ((own.n > 0) == (mirror->watcher_n > 0))
        return HD_OK;
    return evt_mirror_move(shard, sub, own);
}

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
    if (evt_sub_move(shard, sub, transform))
        transform = EVT_SEE_NOTHING;
    sub->transform = transform;
    evt_cond_rejoin(shard, sub);
    evt_sub_owe(shard, sub);
    evt_sub_rearm(shard, sub);
}

/* Who is blocked politely from now on, or no more, sees the state change as by itself: that comes
 * when a change of it would, and not as soon as a rule is set. */
static bool
looks_like_a_change(const struct evt_sub *sub, uint8_t state, uint8_t transform)
{
    return state == sub->state &&
           (transform == EVT_SEE_NEUTRAL || sub->transform == EVT_SEE_NEUTRAL);
}

/* And a change that shows him what he was shown last is none, so that he hears nothing.  Who sees
 * a part of the state, which may be none of it, is told: a state was there. */
static bool
looks_like_nothing(struct evt_shard *shard, const struct evt_sub *sub, uint8_t transform)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    if (evt_is_transformed(transform) || evt_is_transformed(sub->transform))
        return false;
    if (!mirror->snapshot || sub->restored || sub->flight || sub->owed || sub->again ||
        evt_sub_has_events(sub))
        return false;
    return (sub->transform == EVT_SEE_NEUTRAL || sub->seen == mirror->snapshot->number) &&
           evt_mirror_shows_same(shard, mirror, sub->transform, transform);
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
    if (evt_sub_move(shard, sub, transform)) {
        /* Memory is short for showing him something else: he asks anew. */
        evt_sub_terminate(shard, sub, EVT_REASON_DEACTIVATED, 0);
        return;
    }
    /* RFC 6446 section 5.2 excepts what approves a subscription, not what shows less or more. */
    bool approves = sub->state == EVT_SUB_PENDING && state == EVT_SUB_ACTIVE;
    bool waits = looks_like_a_change(sub, state, transform) ||
                 (!approves && sub->rare && evt_rate_held_until(shard, sub));
    /* Who is told by conditions alone is told of that change when it is one to them. */
    const bool told = looks_like_a_change(sub, state, transform) && evt_sub_is_told(sub);
    const bool silent = !told && looks_like_a_change(sub, state, transform) &&
                        looks_like_nothing(shard, sub, transform);
    evt_sub_enter(shard, sub, state);
    if (told)
        evt_cond_turn(shard, sub, transform);
    sub->transform = transform;
    evt_cond_rejoin(shard, sub);
    evt_audit_note(shard, sub, EVT_AUDIT_CHANGED, shard->last_rule);
    if (silent) {
        sub->seen = evt_mirror_at(shard, sub->mirror)->snapshot->number;
        (void)!evt_record_sub(shard, sub, NULL, 0); /* nor is it one after a restart */
    } else if (told && !sub->flight && !sub->again) {
        evt_sub_kick(shard, sub);
    } else if (waits) {
        evt_sub_drop_flight(shard, sub, true);
        sub->again = true;
        evt_sub_kick(shard, sub);
    } else {
        evt_sub_owe(shard, sub);
    }
    evt_sub_rearm(shard, sub);
}
