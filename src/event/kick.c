/* kick.c - whether the next NOTIFY of a subscription may go now, and what it waits for when it may
 * not: for news, the one in flight, a back-off, a pace, its next hop, its place in the turn.
 *
 * Who is held back is in a list or has a timer, and the recorder is told the reason (evt_did). */
#include "event/core.h"

/* Who sees through a transformation hears of a change only when he sees it: that something happened
 * in what is hidden would tell as well. */
static bool
sub_sees_news(struct evt_shard *shard, struct evt_sub *sub, struct evt_mirror *mirror)
{
    if (evt_mirror_is_news(shard, mirror, sub->transform, sub->seen))
        return true;
    sub->seen = mirror->snapshot->number;
    return false;
}

/* What few ask for: only what their dialogs did is news, or what they do not have. */
static bool
sub_has_already(struct evt_shard *shard, struct evt_sub *sub)
{
    if (evt_sub_chooses(sub) && !evt_chosen_has_news(shard, sub))
        return true;
    return sub->rare->match && evt_sub_has_it(shard, sub);
}

static bool
sub_has_other(struct evt_shard *shard, struct evt_sub *sub, struct evt_mirror *mirror)
{
    if (evt_sub_is_told(sub))
        return mirror->snapshot && evt_cond_has_news(evt_sub_filtered(sub));
    if (!mirror->snapshot)
        return false;
    if (!evt_sees_state(sub->transform)) /* he learns nothing of its changes either */
        return evt_sub_block_is_untold(sub);
    if (mirror->package->delivery == EVT_DELIVER_EVERY)
        return evt_sub_has_events(sub);
    if (mirror->snapshot->number == sub->seen)
        return false;
    return !evt_is_transformed(sub->transform) || sub_sees_news(shard, sub, mirror);
}

/* Whether a NOTIFY has all it needs: a body needs the snapshot. */
static bool
sub_can_say(const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    if (mirror->snapshot)
        return true;
    return sub->state == EVT_SUB_TERMINATED && sub->reason != EVT_REASON_TIMEOUT;
}

static bool
sub_has_news(struct evt_shard *shard, struct evt_sub *sub, struct evt_mirror *mirror)
{
    if (sub->again)
        return sub_can_say(sub, mirror);
    if (!sub_has_other(shard, sub, mirror))
        return false;
    return !sub->rare || !sub_has_already(shard, sub);
}

static void
sub_hold(struct evt_shard *shard, struct evt_sub *sub, uint64_t until_ms, enum evt_held why)
{
    sub->hold_until_ms = until_ms;
    evt_did(shard, sub->id, EVT_DID_HOLD, why);
    evt_sub_rearm(shard, sub);
}

/* A hop whose name is not resolved lets nobody go; true: this one waits for it. */
static bool
sub_waits_for_name(struct evt_shard *shard, struct evt_sub *sub, struct evt_hop *hop)
{
    if (hop->named == EVT_NONE || evt_named_ready(shard, hop))
        return false;
    EVT_COUNT(shard, held_by_name);
    evt_did(shard, sub->id, EVT_DID_HOLD, EVT_HELD_NAME);
    evt_enqueue(shard, sub, EVT_QUEUED_HOP,
                evt_sub_goes_first(sub, evt_mirror_at(shard, sub->mirror)));
    return true;
}

/* An owed NOTIFY does not wait for the one in flight, nor for pace, window or the turn's share;
 * only an address that has not proven itself gets one transaction at a time. */
static void
sub_kick_owed(struct evt_shard *shard, struct evt_sub *sub, const struct evt_mirror *mirror)
{
    struct evt_hop *hop = evt_hop_at(shard, sub->hop);

    if (!sub_can_say(sub, mirror) || sub->hold_until_ms > shard->now_ms)
        return;
    evt_sub_drop_flight(shard, sub, true);
    if (sub_waits_for_name(shard, sub, hop))
        return;
    if (!hop->proven && !evt_hop_may_send(shard, hop)) {
        EVT_COUNT(shard, held_unproven);
        evt_enqueue(shard, sub, EVT_QUEUED_HOP, evt_sub_goes_first(sub, mirror));
        return;
    }
    evt_dequeue(shard, sub);
    if (evt_sub_filtered(sub) && !evt_cond_keep(shard, sub))
        return;
    evt_notify_send(shard, sub);
}

/* Milliseconds until the package's pace lets the next one go. */
static uint32_t
sub_pace_left(const struct evt_shard *shard, const struct evt_sub *sub,
              const struct evt_package *package)
{
    if (!package->pace_ms || !sub->last_sent_ms)
        return 0;
    uint32_t gone_ms = (uint32_t)shard->now_ms - sub->last_sent_ms;
    return gone_ms < package->pace_ms ? package->pace_ms - gone_ms : 0;
}

/* The package's pace or the subscriber's max-rate holds it back; no alarm, and the pace nothing
 * that goes first. */
static bool
sub_is_early(struct evt_shard *shard, struct evt_sub *sub, const struct evt_mirror *mirror)
{
    const uint64_t rate_until_ms = sub->rare ? evt_rate_held_until(shard, sub) : 0;
    uint32_t pace_ms = sub_pace_left(shard, sub, mirror->package);

    if (!pace_ms && !rate_until_ms)
        return false;
    if (sub->rare && evt_sub_alarms(sub))
        return false;
    if (pace_ms && evt_sub_goes_first(sub, mirror))
        pace_ms = 0;
    if (!pace_ms && !rate_until_ms)
        return false;
    if (rate_until_ms > shard->now_ms + pace_ms) {
        EVT_COUNT(shard, held_by_rate);
        sub_hold(shard, sub, rate_until_ms, EVT_HELD_RATE);
    } else {
        EVT_COUNT(shard, held_by_pace);
        sub_hold(shard, sub, shard->now_ms + pace_ms, EVT_HELD_PACE);
    }
    return true;
}

/* Who waits for his next hop goes on waiting, among the first when that is what he is by now. */
static void
sub_waits_on(struct evt_shard *shard, struct evt_sub *sub)
{
    if (sub->queued == EVT_QUEUED_HOP && evt_sub_goes_first(sub, evt_mirror_at(shard, sub->mirror)))
        evt_enqueue(shard, sub, EVT_QUEUED_HOP, true);
}

/* A back-off holds everything; what the package's pace held does not hold what goes first. */
static bool
sub_is_held(const struct evt_shard *shard, const struct evt_sub *sub,
            const struct evt_mirror *mirror)
{
    return sub->hold_until_ms > shard->now_ms && (sub->again || !evt_sub_goes_first(sub, mirror));
}

void
evt_sub_kick(struct evt_shard *shard, struct evt_sub *sub)
{
    if (sub->state == EVT_SUB_INIT || sub->lingering)
        return;
    if (sub->queued >= EVT_QUEUED_HOP) {
        sub_waits_on(shard, sub);
        return;
    }
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    if (sub->owed) {
        sub_kick_owed(shard, sub, mirror);
        return;
    }
    if (sub->state == EVT_SUB_TERMINATED || !sub_has_news(shard, sub, mirror))
        return;
    if (sub->flight) {
        evt_did(shard, sub->id, EVT_DID_HOLD, EVT_HELD_IN_FLIGHT);
        return;
    }
    if (sub_is_held(shard, sub, mirror) || sub_is_early(shard, sub, mirror))
        return;
    struct evt_hop *hop = evt_hop_at(shard, sub->hop);
    if (sub_waits_for_name(shard, sub, hop))
        return;
    if (!evt_hop_may_send(shard, hop)) {
        EVT_COUNT(shard, held_by_window);
        evt_did(shard, sub->id, EVT_DID_HOLD, EVT_HELD_WINDOW);
        evt_enqueue(shard, sub, EVT_QUEUED_HOP, evt_sub_goes_first(sub, mirror));
        return;
    }
    if (shard->sends_left == 0) {
        const bool first = evt_sub_goes_first(sub, mirror);
        if (sub->queued == EVT_QUEUED_NOT || first)
            evt_enqueue(shard, sub, EVT_QUEUED_READY, first);
        return;
    }
    shard->sends_left--;
    if (evt_sub_filtered(sub) && !evt_cond_keep(shard, sub))
        return;
    evt_notify_send(shard, sub);
}

void
evt_sub_owe(struct evt_shard *shard, struct evt_sub *sub)
{
    sub->owed = true;
    sub->hold_until_ms = 0;
    sub->backoff_s = 0;
    if (sub->parked) {
        sub->parked = false;
        evt_gauge(shard, &shard->counters.parked, -1);
    }
    evt_dequeue(shard, sub);
    evt_sub_kick(shard, sub);
}
