/* rate.c - the rates of notifications that a subscriber asked for (RFC 6446): max-rate, min-rate
 * and adaptive-min-rate.
 *
 * max-rate holds back what is new until its time has come, and then the newest state goes: the last
 * change is always delivered.  It holds nothing that answers a SUBSCRIBE, approves a watcher or
 * ends a subscription (section 5.2), and no alarm of our own conditions: for these the highest rate
 * that there is is granted.  min-rate and adaptive-min-rate send the state again when nothing was
 * sent for too long.  What a subscriber is granted is computed when it is needed, from what he
 * asked for and from the package as it is configured now.
 *
 * All of it hangs off the rare part of a subscription: who asked for no rate pays nothing. */
#include "event/rate.h"

#include <stdlib.h>

#include "event/core.h"

#define SPREAD_MS 10000u /* over which repetitions that became due before a restart are sent */
#define POSTPONE_MS 1000u

/* --- what is granted ------------------------------------------------------------------------- */

static uint64_t
lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
evt_rates_bound(struct sip_rates *rates, uint32_t left_s)
{
    if (!rates->max || !left_s)
        return;
    const uint64_t once = (SIP_RATE_ONE + left_s - 1) / left_s;
    if (rates->max < once)
        rates->max = once;
}

/* The package's pace, and how often a state may be repeated. */
static uint64_t
least_ms(const struct evt_package *package)
{
    return package->pace_ms > package->repeat_ms ? package->pace_ms : package->repeat_ms;
}

struct sip_rates
evt_rates_granted(const struct sip_rates *asked, const struct evt_package *package, bool alarms)
{
    struct sip_rates rates = *asked;
    const uint64_t least = least_ms(package);
    uint64_t most = least ? sip_rate_of_interval(least) : SIP_RATE_MOST;

    if (rates.max && alarms)
        rates.max = SIP_RATE_MOST;
    else if (rates.max && package->pace_ms)
        rates.max = lower(rates.max, sip_rate_of_interval(package->pace_ms));
    if (rates.max)
        most = lower(most, rates.max);
    /* Section 8: such a min-rate is not considered. */
    if (rates.adaptive && rates.min >= rates.adaptive)
        rates.min = 0;
    rates.min = lower(rates.min, most);
    rates.adaptive = lower(rates.adaptive, most);
    return rates;
}

static struct evt_rated *
rated_of(const struct evt_sub *sub)
{
    return sub->rare ? sub->rare->rated : NULL;
}

static struct sip_rates
granted(struct evt_shard *shard, const struct evt_sub *sub)
{
    return evt_rates_granted(&rated_of(sub)->asked, evt_mirror_at(shard, sub->mirror)->package,
                             evt_sub_alarms(sub));
}

struct evt_rated *
evt_rated_new(const struct sip_rates *asked)
{
    struct evt_rated *rated = calloc(1, sizeof(*rated));

    if (rated)
        rated->asked = *asked;
    return rated;
}

void
evt_rated_set(struct evt_sub *sub, struct evt_rated *rated)
{
    struct evt_rated *before = rated_of(sub);

    if (before && rated) {
        before->asked = rated->asked;
        free(rated);
        return;
    }
    free(before);
    HD_ASSERT(sub->rare || !rated);
    if (sub->rare)
        sub->rare->rated = rated;
}

/* --- how many were sent ---------------------------------------------------------------------- */

/* Section 7.2, step 1: it begins with a history of as many as the rate says.  The slot at hand is
 * left for the NOTIFY that is about to go. */
static void
history_begin(struct evt_rated *rated, uint64_t width_ms, uint64_t slot)
{
    rated->width_ms = width_ms;
    rated->slot = slot;
    for (unsigned i = 0; i < EVT_RATE_SLOTS; i++)
        rated->sent[i] = 1;
    rated->sent[slot % EVT_RATE_SLOTS] = 0;
}

static void
history_add(struct evt_rated *rated, uint64_t width_ms, uint64_t now_ms)
{
    const uint64_t slot = now_ms / width_ms;

    if (rated->width_ms != width_ms || slot < rated->slot)
        history_begin(rated, width_ms, slot);
    if (slot - rated->slot >= EVT_RATE_SLOTS)
        rated->slot = slot - EVT_RATE_SLOTS;
    while (rated->slot < slot)
        rated->sent[++rated->slot % EVT_RATE_SLOTS] = 0;
    uint16_t *count = &rated->sent[slot % EVT_RATE_SLOTS];
    *count = (uint16_t)(*count + (*count < UINT16_MAX));
}

/* Section 7.4: count / (adaptive-min-rate ^ 2 * period), where the period is as many reciprocals of
 * the rate as there are slots. */
static uint64_t
adaptive_timeout_ms(const struct evt_rated *rated)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < EVT_RATE_SLOTS; i++)
        count += rated->sent[i];
    return (count * rated->width_ms + EVT_RATE_SLOTS - 1) / EVT_RATE_SLOTS;
}

/* --- when to send ---------------------------------------------------------------------------- */

uint64_t
evt_rate_held_until(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_rated *rated = rated_of(sub);

    if (!rated || !rated->asked.max || !rated->sent_ms || evt_sub_alarms(sub))
        return 0;
    const uint64_t until_ms = rated->sent_ms + sip_rate_interval_ms(granted(shard, sub).max);
    return until_ms > shard->now_ms ? until_ms : 0;
}

/* When it is due if nothing is sent until then. */
static uint64_t
repeat_due(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_rated *rated = rated_of(sub);
    const struct sip_rates rates = granted(shard, sub);
    uint64_t wait_ms = UINT64_MAX, least = least_ms(evt_mirror_at(shard, sub->mirror)->package);

    if (rates.min)
        wait_ms = sip_rate_interval_ms(rates.min);
    if (rates.adaptive && rated->width_ms)
        wait_ms = lower(wait_ms, adaptive_timeout_ms(rated));
    if (wait_ms == UINT64_MAX)
        return UINT64_MAX;
    if (rates.max && sip_rate_interval_ms(rates.max) > least) /* section 7.4, equation 2 */
        least = sip_rate_interval_ms(rates.max);
    return rated->sent_ms + (wait_ms > least ? wait_ms : least);
}

uint64_t
evt_rate_due(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_rated *rated = rated_of(sub);

    /* What is on its way, or held until a time, comes before. */
    if (!rated || !rated->sent_ms || sub->flight || sub->owed || sub->again || sub->hold_until_ms ||
        sub->fetch || (sub->state != EVT_SUB_ACTIVE && sub->state != EVT_SUB_PENDING))
        return UINT64_MAX;
    return repeat_due(shard, sub);
}

void
evt_rate_fired(struct evt_shard *shard, struct evt_sub *sub)
{
    if (evt_rate_due(shard, sub) > shard->now_ms)
        return;
    if (!evt_mirror_at(shard, sub->mirror)->snapshot) { /* after a restart: it is on its way */
        rated_of(sub)->sent_ms += POSTPONE_MS;
        return;
    }
    if (evt_sub_is_suppressed(shard, sub)) { /* RFC 6446 section 6.2 with RFC 5839 */
        rated_of(sub)->sent_ms = shard->now_ms;
        return;
    }
    EVT_COUNT(shard, repeated);
    sub->again = true;
    evt_sub_kick(shard, sub);
}

void
evt_rate_sent(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_rated *rated = rated_of(sub);

    rated->told = granted(shard, sub);
    rated->sent_ms = shard->now_ms ? shard->now_ms : 1;
    if (rated->told.adaptive)
        history_add(rated, sip_rate_interval_ms(rated->told.adaptive), shard->now_ms);
}

bool
evt_rate_is_told(const struct evt_sub *sub)
{
    const struct evt_rated *rated = rated_of(sub);

    return rated && (rated->told.max || rated->told.min || rated->told.adaptive);
}

bool
evt_rate_is_news(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_rated *rated = rated_of(sub);

    if (!rated)
        return false;
    const struct sip_rates rates = granted(shard, sub);
    return rates.max != rated->told.max || rates.min != rated->told.min ||
           rates.adaptive != rated->told.adaptive;
}

/* --- another word of the subscriber ---------------------------------------------------------- */

/* Section 4.1: who said nothing of rates in his last SUBSCRIBE says nothing here.  All that he
 * wishes is in the header; what is no rate, or of another package, changes nothing. */
void
evt_rate_answered(struct evt_shard *shard, struct evt_sub *sub, const struct sip_msg *msg)
{
    struct evt_rated *rated = rated_of(sub);
    struct sip_event event;
    struct sip_rates rates;

    if (!rated || !sip_msg_has(msg, SIP_HDR_EVENT))
        return;
    if (sip_event_parse(sip_msg_value(msg, SIP_HDR_EVENT), &event) ||
        !hd_slice_eq(event.package, evt_mirror_at(shard, sub->mirror)->package->name) ||
        sip_rates_parse(event.params, &rates)) {
        EVT_COUNT(shard, rates_ignored);
        return;
    }
    if (sub->expires_at_ms > shard->now_ms)
        evt_rates_bound(&rates, (uint32_t)((sub->expires_at_ms - shard->now_ms + 999) / 1000));
    if (!memcmp(&rates, &rated->asked, sizeof(rates)))
        return;
    rated->asked = rates;
    if (sub->stored && !sub->change)
        (void)!evt_record_sub(shard, sub, NULL, 0);
}

void
evt_rate_restored(struct evt_shard *shard, struct evt_sub *sub, uint64_t age_ms)
{
    struct evt_rated *rated = rated_of(sub);

    rated->sent_ms = shard->now_ms > age_ms ? shard->now_ms - age_ms : 1;
    rated->told = granted(shard, sub);
    if (rated->told.adaptive) {
        const uint64_t width_ms = sip_rate_interval_ms(rated->told.adaptive);
        history_begin(rated, width_ms, shard->now_ms / width_ms);
        rated->sent[rated->slot % EVT_RATE_SLOTS] = 1;
    }
    const uint64_t due_ms = repeat_due(shard, sub);
    if (due_ms <= shard->now_ms)
        rated->sent_ms += shard->now_ms - due_ms + 1 + hd_rng_below(&shard->rng, SPREAD_MS);
}
