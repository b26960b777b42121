/* priority.h - who and what goes before all others (RFC 4412, RFC 7135).  Private to event/; see
 * core.h. */
#ifndef HD_EVENT_PRIORITY_H
#define HD_EVENT_PRIORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "sip/priority.h"

struct evt_mirror;
struct evt_request;
struct evt_shard;
struct evt_sub;

/* Subscriptions of a mirror whose last SUBSCRIBE had Resource-Priority. */
struct evt_firsts {
    uint32_t n, cap;
    uint32_t subs[];
};

/** All values that are understood here, a bit each; 0: no namespace is configured. */
uint32_t evt_priorities(const struct evt_shard *shard);
/** Reads the Resource-Priority of an authenticated request into request->priority.  False: it was
 * answered with 400, 403 or 417. */
bool evt_request_priority(struct evt_shard *shard, struct evt_request *request);
/** Whether so many wait that a request is refused; one with Resource-Priority has a reserve.  True:
 * it was answered with 503. */
bool evt_request_is_too_many(struct evt_shard *shard, struct evt_request *request);

/** Notes what the last SUBSCRIBE said; there is a rare part, or it is SIP_PRIORITY_NONE. */
void evt_priority_set(struct evt_shard *shard, struct evt_sub *sub, uint8_t priority);
/** Whether what a subscription is to be told goes before what others are: it has Resource-Priority,
 * or what was published has. */
bool evt_sub_goes_first(const struct evt_sub *sub, const struct evt_mirror *mirror);
/** There is a new snapshot: those among its subscriptions that have it get their turn first. */
void evt_firsts_ready(struct evt_shard *shard, struct evt_mirror *mirror);

#endif
