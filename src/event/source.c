/* source.c - budgets of failures: a source that only causes refusals is no longer answered, and a
 * counter says so.
 *
 * One fixed table, keyed by address without port; the colder of two places is given up when both
 * are taken, so that a flood from many addresses cannot make it grow.  A challenge counts as a
 * failure and the good answer to it gives that back. */
#include "event/core.h"

#define THOUSANDTHS 1000u

bool
evt_listener_trusts(const struct evt_config *config, const struct hd_flow *flow)
{
    if (flow->listener >= config->n_listeners)
        return false;
    const struct evt_listener *listener = &config->listeners[flow->listener];
    for (size_t i = 0; i < listener->n_trusted; i++)
        if (hd_prefix_holds(&listener->trusted[i], &flow->remote))
            return true;
    return false;
}

static void
source_refill(struct evt_shard *shard, struct evt_source *source)
{
    uint64_t back = (shard->now_ms - source->at_ms) * evt_limits(shard)->failures_per_s;
    source->spent = back >= source->spent ? 0 : source->spent - (uint32_t)back;
    source->at_ms = shard->now_ms;
}

/* The place of a source: one of two neighbours.  make: takes the one with less spent when it has
 * none. */
static struct evt_source *
source_find(struct evt_shard *shard, const struct hd_flow *flow, bool make)
{
    uint64_t hash = hd_addr_hash(&shard->keys.table, &flow->remote, false) | 1;
    struct evt_source *pair = &shard->sources[(hash >> 20) % (EVT_SOURCES / 2) * 2];

    for (int i = 0; i < 2; i++) {
        if (pair[i].hash == hash) {
            source_refill(shard, &pair[i]);
            return &pair[i];
        }
    }
    if (!make)
        return NULL;
    source_refill(shard, &pair[0]);
    source_refill(shard, &pair[1]);
    struct evt_source *source = pair[0].spent <= pair[1].spent ? &pair[0] : &pair[1];
    *source = (struct evt_source){ .hash = hash, .at_ms = shard->now_ms, .spent = 0 };
    return source;
}

bool
evt_source_allowed(struct evt_shard *shard, const struct hd_flow *flow)
{
    uint32_t burst = evt_limits(shard)->failures_burst;
    if (burst == 0)
        return true;
    const struct evt_source *source = source_find(shard, flow, false);
    /* One more has to fit: a source that stays at its bound is answered at the rate of refill. */
    return !source || source->spent + THOUSANDTHS <= burst * THOUSANDTHS ||
           evt_listener_trusts(shard->config, flow);
}

void
evt_source_failed(struct evt_shard *shard, const struct hd_flow *flow)
{
    uint32_t most = evt_limits(shard)->failures_burst * THOUSANDTHS;
    struct evt_source *source = source_find(shard, flow, true);

    source->spent = source->spent + THOUSANDTHS > most ? most : source->spent + THOUSANDTHS;
}

void
evt_source_good(struct evt_shard *shard, const struct hd_flow *flow)
{
    struct evt_source *source = source_find(shard, flow, false);

    if (source)
        source->spent -= source->spent > THOUSANDTHS ? THOUSANDTHS : source->spent;
}
