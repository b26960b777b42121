/* rate.h - the rates of notifications that a subscriber asked for (RFC 6446).  Private to event/;
 * see core.h. */
#ifndef HD_EVENT_RATE_H
#define HD_EVENT_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "sip/rate.h"

struct evt_package;
struct evt_shard;
struct evt_sub;
struct sip_msg;

#define EVT_RATE_SLOTS                                                                             \
    16u /* the period of adaptive-min-rate, in reciprocals of it (section 7.4)                     \
         */

/* A subscription whose last SUBSCRIBE had one of the parameters. */
struct evt_rated {
    struct sip_rates asked; /* none above 1/max for longer than the subscription lasts */
    struct sip_rates told;  /* in the NOTIFY that was sent last */
    uint64_t sent_ms;       /* when that was */
    /* how many were sent in the last slots; slot is that of the newest, width its length */
    uint64_t slot, width_ms;
    uint16_t sent[EVT_RATE_SLOTS];
};

/** What is asked for, with the duration that is left: section 5.3 raises a max-rate that would let
 * nothing through. */
void evt_rates_bound(struct sip_rates *rates, uint32_t left_s);
/** What the notifier makes of it (sections 5.3, 6.3, 7.3 and 8).  alarms: conditions of ours, which
 * no rate may hold back. */
struct sip_rates evt_rates_granted(const struct sip_rates *asked, const struct evt_package *package,
                                   bool alarms);
/** Nothing was sent yet.  NULL: memory is short. */
struct evt_rated *evt_rated_new(const struct sip_rates *asked);
/** In the place of the one that there was, whose history goes on; takes it; NULL: none. */
void evt_rated_set(struct evt_sub *sub, struct evt_rated *rated);
/** Until when max-rate lets nothing go; 0: not held. */
uint64_t evt_rate_held_until(struct evt_shard *shard, const struct evt_sub *sub);
/** When the state is to be sent though nothing has changed; UINT64_MAX: never, or not for now. */
uint64_t evt_rate_due(struct evt_shard *shard, const struct evt_sub *sub);
/** It is due. */
void evt_rate_fired(struct evt_shard *shard, struct evt_sub *sub);
/** A NOTIFY is about to be written, which tells the rates. */
void evt_rate_sent(struct evt_shard *shard, struct evt_sub *sub);
/** Whether the last NOTIFY said any. */
bool evt_rate_is_told(const struct evt_sub *sub);
/** Whether the rates in force are others than those of the last NOTIFY. */
bool evt_rate_is_news(struct evt_shard *shard, const struct evt_sub *sub);
/** A 2xx to a NOTIFY may say other rates (section 9.3). */
void evt_rate_answered(struct evt_shard *shard, struct evt_sub *sub, const struct sip_msg *msg);
/** After a restart: the last NOTIFY is so old, or as young as can be. */
void evt_rate_restored(struct evt_shard *shard, struct evt_sub *sub, uint64_t age_ms);

#endif
