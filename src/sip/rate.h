/* rate.h - rates of notifications: the parameters max-rate, min-rate and adaptive-min-rate of Event
 * and Subscription-State (RFC 6446 section 9).  Pure; any thread. */
#ifndef HD_SIP_RATE_H
#define HD_SIP_RATE_H

#include "base/err.h"
#include "base/slice.h"
#include "sip/out.h"

/* Rates are counted exactly as they are written: in 10^-10 per second. */
#define SIP_RATE_ONE UINT64_C(10000000000)
#define SIP_RATE_MOST (100 * SIP_RATE_ONE - 1)

/* 0: not said. */
struct sip_rates {
    uint64_t max, min, adaptive;
};

/** 1*2DIGIT ["." 1*10DIGIT], above 0.  HD_ESYNTAX. */
HD_NODISCARD enum hd_err sip_rate_parse(struct hd_slice value, uint64_t *ret_rate);
/** The rates among the parameters of a header field.  HD_ESYNTAX: one of them is no rate, or is
 * there twice. */
HD_NODISCARD enum hd_err sip_rates_parse(struct hd_slice params, struct sip_rates *ret_rates);
/** ";max-rate=0.2;min-rate=0.05": those that are said. */
void sip_out_rates(struct sip_out *out, const struct sip_rates *rates);
/** Milliseconds from one notification to the next at a rate that is not 0, rounded up. */
uint64_t sip_rate_interval_ms(uint64_t rate);
/** The rate of one notification in so many milliseconds, not 0, rounded down; at most
 * SIP_RATE_MOST. */
uint64_t sip_rate_of_interval(uint64_t ms);

#endif
