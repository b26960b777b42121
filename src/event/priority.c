/* priority.c - Resource-Priority (RFC 4412, RFC 7135): who may claim it, and who goes first.
 *
 * All values share one queue (section 4.5.2), and that queue is the front of each that there is:
 * subscriptions whose turn it is, those that wait for a next hop, and fan-outs under way.  A
 * request with it is taken while ordinary ones are answered 503, as far as the reserve goes.  What
 * is published with it makes its state go first, to whoever sees that state; a subscription made
 * with it goes first whatever it is told.  Neither the turn's share nor the package's pace holds
 * back what goes first; a window, a rate that the subscriber wished for, and a back-off do.
 *
 * Who has nothing of it pays for nothing but looking whether there is: a subscription's is in its
 * rare part, and a mirror without such subscriptions has no list of them. */
#include <stdlib.h>

#include "event/core.h"

/* --- who may -------------------------------------------------------------------------------- */

uint32_t
evt_priorities(const struct evt_shard *shard)
{
    const struct evt_config *config = shard->config;
    uint32_t values = 0;

    for (size_t i = 0; i < config->n_priorities; i++)
        values |= config->priorities[i].values;
    return values;
}

/* Those among the values that whoever sent the request may use: what a trusted hop says, or a user
 * whom the namespace names (section 11.2). */
static uint32_t
may_use(struct evt_shard *shard, const struct evt_request *request, uint32_t values)
{
    const struct evt_config *config = shard->config;
    uint32_t may = 0;

    for (size_t i = 0; i < config->n_priorities; i++) {
        const struct evt_priority *of = &config->priorities[i];
        if ((values & of->values) &&
            shard->ports.policy->priority(shard->ports.policy_context, config, &request->identity,
                                          request->flow, request->peer, of))
            may |= values & of->values;
    }
    return may;
}

static bool
requires_priority(const struct sip_msg *msg)
{
    struct sip_walk walk = { 0 };
    struct hd_slice item;

    while (sip_msg_walk(msg, SIP_HDR_REQUIRE, &walk, &item))
        if (hd_slice_ieq(item, HD_LIT("resource-priority")))
            return true;
    return false;
}

/* Section 4.6.2: none of the values is understood, and one has to be. */
static void
refuse_unknown(struct evt_shard *shard, struct evt_request *request)
{
    struct evt_reply reply;

    evt_refused(shard, request, 417);
    if (!evt_reply_begin(shard, request, 417, hd_slice(NULL, 0), hd_slice(NULL, 0), &reply))
        return;
    sip_out_lit(&reply.out, "Accept-Resource-Priority: ");
    sip_out_priorities(&reply.out, evt_priorities(shard));
    sip_out_crlf(&reply.out);
    evt_reply_send(shard, &reply);
}

bool
evt_request_priority(struct evt_shard *shard, struct evt_request *request)
{
    uint32_t values;

    if (!shard->config->n_priorities || !sip_msg_has(request->msg, SIP_HDR_RESOURCE_PRIORITY))
        return true;
    switch (sip_priorities_read(request->msg, SIP_HDR_RESOURCE_PRIORITY, &values)) {
    case HD_OK:
        break;
    case HD_ERANGE:
        evt_refuse(shard, request, 400, HD_LIT("Too Many Resource-Priority Values"));
        return false;
    default:
        evt_refuse(shard, request, 400, HD_LIT("Malformed Resource-Priority"));
        return false;
    }
    values &= evt_priorities(shard);
    if (!values) { /* section 4.6.2: as if it said nothing */
        if (!requires_priority(request->msg))
            return true;
        refuse_unknown(shard, request);
        return false;
    }
    const uint32_t may = may_use(shard, request, values);
    if (!may) { /* section 4.6.4 */
        EVT_COUNT(shard, priorities_refused);
        evt_refuse(shard, request, 403, HD_LIT("Not Allowed To Use This Resource-Priority"));
        return false;
    }
    request->priority = sip_priority_highest(may);
    return true;
}

bool
evt_request_is_too_many(struct evt_shard *shard, struct evt_request *request)
{
    const struct evt_limits *limits = evt_limits(shard);

    if (shard->waiting < limits->waiting)
        return false;
    if (request->priority && shard->waiting - limits->waiting < limits->priority_reserve) {
        EVT_COUNT(shard, requests_from_reserve);
        return false;
    }
    EVT_COUNT(shard, refused_busy);
    evt_refuse_later(shard, request, 503, HD_LIT("Server Busy"));
    return true;
}

/* --- subscriptions that have it -------------------------------------------------------------- */

/* When memory is short it goes first wherever it stands in a queue, but is walked to as others are.
 */
static void
firsts_add(struct evt_mirror *mirror, struct evt_sub *sub)
{
    struct evt_firsts *firsts = mirror->firsts;
    const uint32_t n = firsts ? firsts->n : 0;

    if (!firsts || n == firsts->cap) {
        const uint32_t cap = firsts ? n * 2 : 4;
        firsts = realloc(firsts, sizeof(*firsts) + cap * sizeof(firsts->subs[0]));
        if (!firsts)
            return;
        firsts->n = n;
        firsts->cap = cap;
        mirror->firsts = firsts;
    }
    sub->rare->first_place = n;
    firsts->subs[firsts->n++] = sub->index;
}

static void
firsts_remove(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_sub *sub)
{
    struct evt_firsts *firsts = mirror->firsts;
    const uint32_t place = sub->rare->first_place;

    HD_ASSERT(firsts && place < firsts->n && firsts->subs[place] == sub->index);
    sub->rare->first_place = EVT_NONE;
    firsts->n--;
    if (place < firsts->n) {
        firsts->subs[place] = firsts->subs[firsts->n];
        evt_sub_at(shard, firsts->subs[place])->rare->first_place = place;
    }
    if (firsts->n > 0)
        return;
    free(firsts);
    mirror->firsts = NULL;
}

void
evt_priority_set(struct evt_shard *shard, struct evt_sub *sub, uint8_t priority)
{
    HD_ASSERT(sub->rare || priority == SIP_PRIORITY_NONE);
    if (!sub->rare)
        return;
    sub->rare->priority = priority;
    if (priority && sub->rare->first_place == EVT_NONE)
        firsts_add(evt_mirror_at(shard, sub->mirror), sub);
    else if (!priority && sub->rare->first_place != EVT_NONE)
        firsts_remove(shard, evt_mirror_at(shard, sub->mirror), sub);
}

/* That something was published with it is a part of what was published: who does not see that goes
 * as he would without it, but for the NOTIFY by which a polite block begins: as for the end of the
 * state. */
bool
evt_sub_goes_first(const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    if (sub->rare && (sub->rare->priority || sub->rare->parting ||
                      (sub->rare->queue && sub->rare->queue->urgent)))
        return true;
    return mirror->snapshot && mirror->snapshot->priority && evt_sees_state(sub->transform);
}

void
evt_firsts_ready(struct evt_shard *shard, struct evt_mirror *mirror)
{
    for (uint32_t i = 0; i < mirror->firsts->n; i++) {
        struct evt_sub *sub = evt_sub_at(shard, mirror->firsts->subs[i]);
        if (sub->queued == EVT_QUEUED_NOT)
            evt_enqueue(shard, sub, EVT_QUEUED_READY, true);
    }
}
