/* wanted.h - what a SUBSCRIBE asks for, read and checked (RFC 6665 section 4.2.1).  Private to
 * event/; see core.h.
 *
 * Each step fills its part; false: the request is answered, and nothing further is to be done but
 * evt_wanted_drop(). */
#ifndef HD_EVENT_WANTED_H
#define HD_EVENT_WANTED_H

#include <stdbool.h>
#include <stdint.h>

#include "sip/body.h"
#include "sip/header.h"
#include "sip/rate.h"
#include "sip/uri.h"

struct evt_filter;
struct evt_package;
struct evt_request;
struct evt_shard;
struct evt_sub;

/* Its slices point into the message. */
struct evt_wanted {
    const struct evt_package *package;
    struct sip_event event;
    struct sip_addr contact;
    char key[SIP_KEY_MAX];
    size_t key_n;
    uint32_t expires_s;
    uint8_t types, state, transform;
    uint32_t rule;
    struct hd_slice profile;     /* of the Event header; p NULL: none */
    bool chooses;                /* the Event header names dialogs */
    bool filters;                /* the body or the Event header says something of a filter */
    struct sip_body filter_body; /* type empty: none */
    bool refilters;              /* the filter will be another than it was */
    struct evt_filter *filter;   /* then: it, a reference, or NULL: none */
    uint64_t device;             /* evt_device_hash(), 0: it ends no other */
    struct sip_rates rates;
    uint64_t match; /* Suppress-If-Match */
};

/** The one Contact: a SIP or SIPS URI, a SIPS one where the Request-URI is. */
bool evt_wanted_contact(struct evt_shard *shard, struct evt_request *request,
                        struct evt_wanted *want);
/** Which dialogs the Event header names, for a package that has them (RFC 4235 section 3.2). */
bool evt_wanted_dialogs(struct evt_shard *shard, struct evt_request *request,
                        struct evt_wanted *want);
/** The duration that is granted; of dialogs that are named a longer one. */
bool evt_wanted_expires(struct evt_shard *shard, struct evt_request *request,
                        struct evt_wanted *want);
/** Rates of the Event header (RFC 6446 section 9.2); after the duration, which bounds them. */
bool evt_wanted_rates(struct evt_shard *shard, struct evt_request *request,
                      struct evt_wanted *want);
/** Whether there are any. */
bool evt_wanted_has_rates(const struct evt_wanted *want);
/** Suppress-If-Match (RFC 5839 section 5). */
bool evt_wanted_match(struct evt_shard *shard, struct evt_request *request,
                      struct evt_wanted *want);
/** Which types of the package are acceptable (RFC 6665 section 4.2.1.1). */
bool evt_wanted_accept(struct evt_shard *shard, struct evt_request *request,
                       struct evt_wanted *want);
/** The body: none, or one with a filter. */
bool evt_wanted_body(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want);
/** The filter that the subscription (sub, NULL: a new one) has from now on; it is looked at last,
 * since it is the dearest.  A reference is in want until it is taken, or evt_wanted_drop(). */
bool evt_wanted_filter(struct evt_shard *shard, struct evt_request *request,
                       struct evt_wanted *want, const struct evt_sub *sub);
void evt_wanted_drop(struct evt_shard *shard, struct evt_wanted *want);
/** Who may: state, transformation and rule.  False: refused with 403, and the subscription (NULL: a
 * new one) ends (RFC 6665 section 4.2.1.4). */
bool evt_wanted_verdict(struct evt_shard *shard, struct evt_request *request,
                        struct evt_wanted *want, struct evt_sub *sub);

#endif
