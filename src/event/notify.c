/* notify.c - NOTIFY: writing it, sending it again, and what its answer means (RFC 6665
 * section 4.2.2, RFC 3261 17.1.2).
 *
 * One NOTIFY is in flight per subscription.  Its record pins the rendered body and holds all else
 * that is in it, so that a retransmission is the same to the octet; a new state makes a new
 * transaction. */
#include <stdlib.h>

#include "event/core.h"
#include "sip/dialog.h"

#define BACKOFF_FIRST_S 4u
#define BACKOFF_MOST_S 600u
#define BACKOFF_MASK ((1u << 17) - 1) /* more than the day that the configuration allows */
#define NO_TCP_S 3600u /* a target that did not take a large NOTIFY over TCP is not asked again */
#define BRANCH_COOKIE "z9hG4bK"
#define EVT_FIRED_ROOM (EVT_FILTER_TRIGGERS_MOST * 2 * 96) /* of Herald-Fired */

/* --- writing it ------------------------------------------------------------------------------ */

static void
out_via(struct sip_out *out, struct evt_shard *shard, const struct evt_sub *sub,
        const struct evt_flight *flight, const struct hd_flow *flow)
{
    char branch[HD_ID_TEXT];

    hd_id_text(&shard->keys.id, HD_ID_BRANCH, sub->id, flight->branch, branch);
    sip_out_lit(out, "Via: SIP/2.0/");
    sip_out_slice(out, hd_transport_name((enum hd_transport)flow->transport));
    sip_out_char(out, ' ');
    evt_out_local(shard, out, &flow->local);
    sip_out_lit(out, ";rport;branch=" BRANCH_COOKIE);
    sip_out_slice(out, hd_slice(branch, HD_ID_TEXT));
    sip_out_lit(out, "\r\nMax-Forwards: 70\r\n");
}

static void
out_route(struct sip_out *out, const struct sip_hop *hop)
{
    if (!hop->route.n && !hop->route_last.n)
        return;
    sip_out_lit(out, "Route: ");
    sip_out_slice(out, hop->route);
    if (hop->route_last.n) { /* strict routing: the target goes last (RFC 3261 12.2.1.1) */
        if (hop->route.n)
            sip_out_lit(out, ", ");
        sip_out_char(out, '<');
        sip_out_slice(out, hop->route_last);
        sip_out_char(out, '>');
    }
    sip_out_crlf(out);
}

static void
out_dialog(struct sip_out *out, const struct evt_shard *shard, const struct evt_sub *sub,
           const struct evt_mirror *mirror, const struct evt_flight *flight)
{
    char tag[HD_ID_TEXT];

    hd_id_text(&shard->keys.id, HD_ID_TAG, sub->id, 0, tag);
    sip_out_lit(out, "From: ");
    sip_out_slice(out, evt_texts_local(sub->texts, mirror));
    sip_out_lit(out, ";tag=");
    sip_out_slice(out, hd_slice(tag, HD_ID_TEXT));
    sip_out_lit(out, "\r\nTo: ");
    sip_out_slice(out, evt_texts_get(sub->texts, EVT_TEXT_REMOTE));
    sip_out_lit(out, "\r\nCall-ID: ");
    sip_out_slice(out, evt_texts_get(sub->texts, EVT_TEXT_CALL_ID));
    sip_out_lit(out, "\r\nCSeq: ");
    sip_out_u32(out, flight->cseq);
    sip_out_lit(out, " NOTIFY\r\n");
}

static void
out_event(struct sip_out *out, const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    sip_out_lit(out, "Event: ");
    sip_out_slice(out, mirror->package->name);
    if (sub->texts->has_event_id) {
        sip_out_lit(out, ";id=");
        sip_out_slice(out, evt_texts_get(sub->texts, EVT_TEXT_EVENT_ID));
    }
    sip_out_crlf(out);
}

/* RFC 6665 8.2.3: expires with active and pending, reason and retry-after with terminated. */
static void
out_state(struct sip_out *out, const struct evt_sub *sub, const struct evt_flight *flight)
{
    sip_out_lit(out, "Subscription-State: ");
    if (flight->state == EVT_SUB_TERMINATED) {
        sip_out_lit(out, "terminated;reason=");
        sip_out_slice(out, evt_reason_name((enum evt_reason)flight->reason));
        if (flight->retry_after_s) {
            sip_out_lit(out, ";retry-after=");
            sip_out_u32(out, flight->retry_after_s);
        }
    } else {
        sip_out_slice(out, flight->state == EVT_SUB_PENDING ? HD_LIT("pending") : HD_LIT("active"));
        sip_out_lit(out, ";expires=");
        sip_out_u32(out, flight->expires_s);
    }
    if (sub->rare && sub->rare->rated)
        sip_out_rates(out, &sub->rare->rated->told);
    sip_out_crlf(out);
}

/* The tag of what there is to see, also when the body of it is suppressed (RFC 5839 section 6.2).
 */
static void
out_body(struct sip_out *out, const struct evt_flight *flight)
{
    const struct evt_view *view = flight->view;

    if (flight->bare) {
        sip_out_slice(out, hd_slice(view->head, view->n_tag));
        sip_out_lit(out, "Content-Length: 0\r\n\r\n");
        return;
    }
    sip_out_slice(out, hd_slice(view->head, view->n_head));
    sip_out_u64(out, evt_view_size(view, flight->version));
    sip_out_lit(out, "\r\n\r\n");
    evt_view_write(view, flight->version, out);
}

/* All that is not fixed is bounded: strings of the record, the view, our configured Contact, and
 * what we add ourselves. */
static size_t
notify_room(const struct evt_shard *shard, const struct evt_sub *sub, const struct hd_flow *came,
            const struct evt_flight *flight)
{
    const struct evt_config *config = shard->config;
    size_t contact = config->instance.n;

    if (came->listener < config->n_listeners)
        contact += config->listeners[came->listener].contact.n;
    return 2048 + contact + evt_view_size(flight->view, flight->version) + flight->view->n_head +
           evt_texts_size(sub->texts) +
           (evt_sub_filtered(sub) && evt_sub_filtered(sub)->in_flight ? EVT_FIRED_ROOM : 0);
}

static bool
notify_write(struct evt_shard *shard, const struct evt_sub *sub, const struct evt_flight *flight,
             const struct hd_flow *flow, struct sip_out *out)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const struct hd_flow *came = &evt_hop_at(shard, sub->came)->flow;
    size_t room = notify_room(shard, sub, came, flight), n;
    char *buffer = shard->ports.net->reserve(shard->ports.net_context, room);
    struct sip_hop hop = { .request_uri = evt_texts_get(sub->texts, EVT_TEXT_TARGET) };
    struct hd_slice route = evt_texts_get(sub->texts, EVT_TEXT_ROUTE);
    const struct hd_slice target = hop.request_uri;

    /* Without a route set the request goes to the target as it stands. */
    if (!buffer || (route.n && sip_dialog_hop(route, target, &hop)))
        return false;
    sip_out_init(out, buffer, room);
    sip_out_lit(out, "NOTIFY ");
    sip_out_slice(out, hop.request_uri);
    sip_out_lit(out, " SIP/2.0\r\n");
    out_via(out, shard, sub, flight, flow);
    out_route(out, &hop);
    out_dialog(out, shard, sub, mirror, flight);
    evt_out_contact(shard, out, came, evt_notify_is_secure(&hop, target));
    out_event(out, sub, mirror);
    out_state(out, sub, flight);
    if (evt_sub_filtered(sub))
        evt_cond_out(shard, evt_sub_filtered(sub), out);
    if (flight->priority)
        sip_out_header(out, HD_LIT("Resource-Priority"), sip_priority_text(flight->priority));
    out_body(out, flight);
    return sip_out_finish(out, &n) == HD_OK;
}

/* --- sending it ------------------------------------------------------------------------------ */

/* The way of a NOTIFY: its hop's, or TCP to the same address while a large one is tried there (RFC
 * 3261 18.1.1). */
static const struct hd_flow *
flight_flow(const struct evt_hop *hop, const struct evt_flight *flight, struct hd_flow *over_tcp)
{
    if (!flight->tcp_until_ms)
        return &hop->flow;
    *over_tcp = hop->flow;
    over_tcp->transport = HD_TCP;
    over_tcp->conn = 0;
    return over_tcp;
}

/* Whether the way repeats nothing by itself. */
static bool
flight_is_reliable(const struct evt_hop *hop, const struct evt_flight *flight)
{
    return flight->tcp_until_ms || hd_transport_reliable((enum hd_transport)hop->flow.transport);
}

/* Nobody makes us send more than three times what he sent to an address that has not proven itself.
 */
static bool
hop_pays(const struct evt_hop *hop, size_t n)
{
    return hop->proven || hop->authenticated || hop->octets_out + n <= 3 * (uint64_t)hop->octets_in;
}

/* Contact and Route that say udp keep even a large NOTIFY there. */
static bool
target_says_udp(const struct evt_sub *sub)
{
    struct sip_hop hop;
    struct hd_slice transport;

    if (sip_dialog_hop(evt_texts_get(sub->texts, EVT_TEXT_ROUTE),
                       evt_texts_get(sub->texts, EVT_TEXT_TARGET), &hop))
        return true;
    return sip_uri_param(&hop.next, HD_LIT("transport"), &transport) &&
           hd_slice_ieq(transport, HD_LIT("udp"));
}

/* Whether a NOTIFY is too large for a datagram and TCP may be tried.  One that left as a datagram
 * goes on so: over TCP it would be another request of the same transaction (RFC 3261 17.1.2.2). */
static bool
flight_is_large(const struct evt_shard *shard, const struct evt_sub *sub, const struct evt_hop *hop,
                size_t n)
{
    return n > evt_limits(shard)->udp_size && hop->flow.transport == HD_UDP &&
           !sub->flight->tcp_until_ms && !sub->flight->on_udp &&
           shard->now_ms / 1000 >= hop->no_tcp_until_s && !target_says_udp(sub);
}

/* False: memory is short, it is to be tried again. */
static bool
flight_transmit(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_hop *hop = evt_hop_at(shard, sub->hop);
    struct hd_flow over_tcp;
    const struct hd_flow *flow = flight_flow(hop, sub->flight, &over_tcp);
    struct sip_out out;

    if (flow->transport == HD_HTTP) {
        if (!evt_ask_tell(shard, sub))
            return false;
        sub->flight->left = true;
        return true;
    }
    if (!notify_write(shard, sub, sub->flight, flow, &out))
        return false;
    if (flight_is_large(shard, sub, hop, out.n)) {
        /* RFC 3261 18.1.1: measured as it would go, Route headers and all; written anew, since
         * its Via names the transport. */
        sub->flight->tcp_until_ms = shard->now_ms + evt_limits(shard)->tcp_try_ms;
        sub->flight->next_ms = UINT64_MAX;
        flow = flight_flow(hop, sub->flight, &over_tcp);
        if (!notify_write(shard, sub, sub->flight, flow, &out))
            return false;
    }
    if (!hop_pays(hop, out.n)) {
        EVT_COUNT(shard, held_unproven);
        evt_did(shard, sub->id, EVT_DID_HOLD, EVT_HELD_UNPROVEN);
        return true; /* Timer E tries again */
    }
    if (!hop->proven)
        evt_octets(&hop->octets_out, out.n);
    sub->flight->left = true;
    sub->flight->on_udp = flow->transport == HD_UDP;
    evt_rec_notify(shard, sub, flow, hd_slice(out.p, out.n));
    evt_send(shard, flow, out.n, out.p, sub->id);
    return true;
}

/* Timers of a transaction that starts now on the way that the flight says. */
static void
flight_start(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_flight *flight = sub->flight;
    const struct evt_hop *hop = evt_hop_at(shard, sub->hop);
    const bool reliable = flight_is_reliable(hop, flight);

    struct evt_filtered *f = evt_sub_filtered(sub);
    if (f && f->branch) {
        flight->branch = f->branch;
        f->branch = 0; /* tried another way, it is another transaction */
    } else {
        flight->branch = evt_sub_branch(sub);
    }
    flight->way = hop->way;
    /* Long before it is used up, so that a store that is late, or refuses for a while, is none that
     * lets a CSeq come twice. */
    if (sub->stored && !sub->change && sub->leased <= EVT_LEASE / 4 * 3)
        (void)!evt_record_sub(shard, sub, NULL, 0);
    flight->on_udp = false;
    flight->interval_ms = SIP_T1_MS;
    flight->next_ms = reliable ? UINT64_MAX : shard->now_ms + SIP_T1_MS;
    flight->deadline_ms = shard->now_ms + SIP_TIMER_F_MS;
    evt_hop_carry(shard, sub);
    if (!flight_transmit(shard, sub))
        flight->next_ms = shard->now_ms + SIP_T1_MS;
}

static struct evt_flight *
flight_new(struct evt_shard *shard)
{
    struct evt_flight *flight = shard->free_flights;

    if (flight)
        shard->free_flights = flight->next_free;
    else
        flight = malloc(sizeof(*flight));
    if (!flight)
        return NULL;
    memset(flight, 0, sizeof(*flight));
    shard->n_flights++;
    evt_gauge(shard, &shard->counters.in_flight, 1);
    return flight;
}

/* A reason that says why there is nothing to see has no body either. */
static uint8_t
flight_transform(const struct evt_sub *sub)
{
    if (sub->state == EVT_SUB_TERMINATED && sub->reason != EVT_REASON_TIMEOUT)
        return EVT_SEE_NOTHING;
    return sub->transform;
}

/* What a partial document can start from: the state of the last NOTIFY, which was answered 2xx.  A
 * SUBSCRIBE is answered with the whole state, and so is whoever may have missed something: his last
 * NOTIFY failed, or his versions made a leap (RFC 4235 section 4.1, RFC 3858 section 4).  What is
 * cut by a filter is whole as well, but for dialogs that were chosen.  0: whole. */
static uint64_t
flight_base(const struct evt_sub *sub, const struct evt_mirror *mirror,
            const struct evt_filtered *f)
{
    if (!mirror->past || sub->owed || sub->again || sub->whole || (f && !f->filter->partial) ||
        !evt_mirror_past(mirror, sub->seen))
        return 0;
    return sub->seen;
}

/* With conditions of our own there is nothing to see but what fired, or is true. */
uint8_t
evt_notify_sees(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_filtered *f = evt_sub_filtered(sub);

    if (f && f->filter->own && f->cond != EVT_NONE && f->keep != EVT_KEEP_DONE &&
        !evt_cond_is_on(shard, f))
        return EVT_SEE_NOTHING;
    return flight_transform(sub);
}

/* What follows from the NOTIFY that leaves for those who wait for conditions. */
static void
flight_tells(struct evt_shard *shard, struct evt_sub *sub, const struct evt_snapshot *shown)
{
    struct evt_filtered *f = evt_sub_filtered(sub);
    struct evt_doc *doc;

    f->in_flight = f->keep == EVT_KEEP_DONE;
    if (f->filter->chooses)
        evt_chosen_sent(f, sub->flight->view);
    if (f->filter->differs && (sub->flight->view->doc || !f->has_last) && shown->number &&
        (!sub->flight->bare || sub->rare->match != EVT_SUPPRESS_ANY) &&
        !evt_mirror_shown(shard, evt_mirror_at(shard, sub->mirror), shown, sub->transform, &doc))
        evt_cond_sent(f, doc);
}

/* Rounded up: a subscriber that refreshes just before this runs out is in time.  Never above what
 * was granted. */
static uint32_t
seconds_left(const struct evt_shard *shard, const struct evt_sub *sub)
{
    if (sub->expires_at_ms <= shard->now_ms)
        return 0;
    uint64_t left = (sub->expires_at_ms - shard->now_ms + 999) / 1000;
    return left > sub->done_expires_s[0] ? sub->done_expires_s[0] : (uint32_t)left;
}

/* Who watches with it is told with it, and so is whoever is shown what was published with it, or,
 * as a polite block begins, what looks like its end. */
static uint8_t
flight_priority(const struct evt_sub *sub, const struct evt_snapshot *shown, uint8_t sees)
{
    const uint8_t own = sub->rare ? sub->rare->priority : SIP_PRIORITY_NONE;
    const uint8_t state = evt_sees_state(sees) ? shown->priority
                          : sub->rare          ? sub->rare->parting
                                               : SIP_PRIORITY_NONE;

    return state > own ? state : own;
}

void
evt_notify_send(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct evt_hop *hop = evt_hop_at(shard, sub->hop);
    struct evt_snapshot nothing = { .magic = EVT_SNAPSHOT_MAGIC, .number = 0 };
    struct evt_snapshot *shown = mirror->snapshot ? mirror->snapshot : &nothing;
    struct evt_filtered *f = evt_sub_filtered(sub);
    struct evt_flight *flight;

    HD_ASSERT(!sub->flight);
    flight = flight_new(shard);
    if (!flight) {
        sub->hold_until_ms = shard->now_ms + SIP_T1_MS; /* memory is short: later */
        evt_sub_rearm(shard, sub);
        return;
    }
    flight->event = evt_sees_state(sub->transform) ? evt_queue_take(sub) : NULL;
    if (flight->event)
        shown = flight->event;
    sub->flight = flight;
    const uint8_t sees = evt_notify_sees(shard, sub);
    flight->view = evt_mirror_view(shard, mirror, shown, flight_base(sub, mirror, f), sees,
                                   sub->types, f ? f->filter : NULL);
    if (!flight->view) {
        evt_sub_drop_flight(shard, sub, true);
        sub->hold_until_ms = shard->now_ms + SIP_T1_MS;
        evt_sub_rearm(shard, sub);
        return;
    }
    flight->bare = sub->rare && sub->rare->match && evt_match_sent(sub, flight->view);
    flight->priority = flight_priority(sub, shown, sees);
    if (flight->priority)
        EVT_COUNT(shard, notifies_first);
    flight->snapshot = shown->number;
    flight->state = sub->state;
    flight->reason = sub->reason;
    flight->retry_after_s = sub->retry_after_s;
    flight->expires_s = seconds_left(shard, sub);
    flight->cseq = f && f->cseq ? f->cseq : ++sub->cseq_local;
    if (f)
        flight_tells(shard, sub, shown);
    if (sub->rare && sub->rare->rated)
        evt_rate_sent(shard, sub);
    /* RFC 4235 section 4.1 counts documents, not NOTIFYs: one without body takes no number. */
    flight->version = mirror->package->first_version + sub->version;
    sub->version += flight->view->has_hole && !flight->bare;
    sub->seen = shown->number;
    sub->owed = false;
    sub->again = false;
    sub->whole = false;
    sub->last_sent_ms = (uint32_t)shard->now_ms ? (uint32_t)shard->now_ms : 1;
    flight->counted = true;
    hop->in_flight++;
    EVT_COUNT(shard, notifies);
    evt_did(shard, sub->id, EVT_DID_SEND, flight->cseq);
    flight_start(shard, sub);
    evt_sub_rearm(shard, sub);
}

void
evt_notify_recall(struct evt_shard *shard, struct evt_sub *sub)
{
    const struct evt_flight *flight = sub->flight;
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    if (!flight || flight->left)
        return;
    if (flight->cseq == sub->cseq_local && !(evt_sub_filtered(sub) && evt_sub_filtered(sub)->cseq))
        sub->cseq_local--;
    sub->version = flight->version - mirror->package->first_version;
    evt_sub_drop_flight(shard, sub, true);
    sub->owed = true;
}

/* --- it goes wrong --------------------------------------------------------------------------- */

/* How long to wait after another failure: twice as long as before. */
static unsigned
backoff_next(const struct evt_sub *sub, uint32_t first_s, uint32_t most_s)
{
    uint32_t next_s = sub->backoff_s ? sub->backoff_s * 2u : first_s;

    return next_s < most_s ? next_s : most_s;
}

/* Failed, and the subscription lives: the whole state again after a time that doubles. */
static void
notify_retry(struct evt_shard *shard, struct evt_sub *sub, uint32_t retry_after_s)
{
    EVT_COUNT(shard, notifies_failed);
    evt_sub_drop_flight(shard, sub, true);
    if (sub->state == EVT_SUB_TERMINATED)
        return; /* that was the last one */
    sub->backoff_s = backoff_next(sub, BACKOFF_FIRST_S, BACKOFF_MOST_S) & BACKOFF_MASK;
    uint32_t wait_s = retry_after_s > sub->backoff_s ? retry_after_s : sub->backoff_s;
    sub->again = true;
    sub->hold_until_ms = shard->now_ms + (uint64_t)wait_s * 1000;
    evt_did(shard, sub->id, EVT_DID_HOLD, EVT_HELD_BACKOFF);
}

static void
notify_park(struct evt_shard *shard, struct evt_sub *sub)
{
    const struct evt_limits *limits = evt_limits(shard);

    evt_sub_drop_flight(shard, sub, true);
    if (!sub->parked) {
        sub->parked = true;
        sub->backoff_s = 0;
        evt_gauge(shard, &shard->counters.parked, 1);
    }
    sub->backoff_s = backoff_next(sub, limits->park_first_s, limits->park_most_s) & BACKOFF_MASK;
    sub->again = true;
    sub->hold_until_ms = shard->now_ms + (uint64_t)sub->backoff_s * 1000;
    evt_did(shard, sub->id, EVT_DID_HOLD, EVT_HELD_PARKED);
}

/* The target of a named hop failed: what is in flight goes to the next one, as a new NOTIFY, for
 * the old one may have arrived.  False: there is no next one, or the hop has no name. */
static bool
notify_moves(struct evt_shard *shard, struct evt_sub *sub, uint32_t retry_after_s)
{
    struct evt_hop *hop = evt_hop_at(shard, sub->hop);

    if (hop->named == EVT_NONE ||
        (sub->flight->way == hop->way && !evt_named_next(shard, hop, retry_after_s)))
        return false;
    EVT_COUNT(shard, notifies_failed);
    evt_sub_drop_flight(shard, sub, true);
    sub->owed = true;
    evt_sub_kick(shard, sub);
    return true;
}

void
evt_notify_unreachable(struct evt_shard *shard, struct evt_sub *sub)
{
    EVT_COUNT(shard, notifies_failed);
    if (sub->state == EVT_SUB_TERMINATED) {
        sub->owed = false; /* nobody is there for the last word */
        evt_sub_drop_flight(shard, sub, true);
    } else {
        notify_park(shard, sub);
    }
    evt_sub_finish(shard, sub);
}

/* Timer F, or 408 which says the same of a hop behind (RFC 5057 5.1). */
static void
notify_timeout(struct evt_shard *shard, struct evt_sub *sub)
{
    bool proven = evt_hop_at(shard, sub->hop)->proven;

    evt_did(shard, sub->id, EVT_DID_TIMEOUT, sub->flight->cseq);
    if (notify_moves(shard, sub, 0))
        return;
    EVT_COUNT(shard, notifies_failed);
    if (sub->state == EVT_SUB_TERMINATED) {
        evt_sub_drop_flight(shard, sub, true);
    } else if (shard->config->on_timeout == EVT_TIMEOUT_PARK && proven) {
        notify_park(shard, sub);
    } else {
        EVT_COUNT(shard, subscriptions_timed_out);
        evt_sub_terminate(shard, sub, EVT_REASON_SILENT, 0);
    }
}

/* TCP did not work for a large NOTIFY: over UDP after all, as a new transaction, and this is
 * remembered for a while. */
static void
notify_fall_back(struct evt_shard *shard, struct evt_sub *sub)
{
    evt_hop_at(shard, sub->hop)->no_tcp_until_s = (uint32_t)(shard->now_ms / 1000) + NO_TCP_S;
    sub->flight->tcp_until_ms = 0;
    flight_start(shard, sub);
}

void
evt_notify_timer(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_flight *flight = sub->flight;

    if (flight->way != evt_hop_at(shard, sub->hop)->way) {
        (void)notify_moves(shard, sub, 0); /* others found out that its target is dead */
        return;
    }
    if (flight->tcp_until_ms && shard->now_ms >= flight->tcp_until_ms) {
        notify_fall_back(shard, sub);
        return;
    }
    if (shard->now_ms >= flight->deadline_ms) {
        notify_timeout(shard, sub);
        return;
    }
    if (shard->now_ms < flight->next_ms)
        return;
    if (flight_is_reliable(evt_hop_at(shard, sub->hop), flight)) {
        /* Nothing is repeated there: memory was short the first time. */
        flight->next_ms = flight_transmit(shard, sub) ? UINT64_MAX : shard->now_ms + SIP_T1_MS;
        return;
    }
    /* The dead hold no place in a window; an address that never answered keeps its one. */
    if (flight->counted && evt_hop_at(shard, sub->hop)->proven) {
        flight->counted = false;
        evt_hop_landed(shard, evt_hop_at(shard, sub->hop), EVT_WINDOW_SHRINK);
    }
    flight->interval_ms = sip_timer_e_next(flight->interval_ms);
    flight->next_ms = shard->now_ms + flight->interval_ms;
    EVT_COUNT(shard, notifies_resent);
    evt_did(shard, sub->id, EVT_DID_RESEND, flight->cseq);
    (void)flight_transmit(shard, sub);
}

/* The way a subscriber came is gone: a new connection to his target; when that fails too he is
 * parked until he refreshes. */
void
evt_notify_send_failed(struct evt_shard *shard, struct evt_sub *sub, const struct hd_flow *flow)
{
    struct evt_hop *hop;
    struct evt_way way;

    if (!sub->flight || sub->hop == EVT_NONE)
        return;
    if (sub->flight->way != evt_hop_at(shard, sub->hop)->way && notify_moves(shard, sub, 0)) {
        evt_sub_finish(shard, sub); /* its target was found to be dead meanwhile */
        return;
    }
    struct hd_flow over_tcp;
    const struct hd_flow *used = flight_flow(evt_hop_at(shard, sub->hop), sub->flight, &over_tcp);
    if (used->transport != flow->transport || used->conn != flow->conn ||
        !hd_addr_eq(&used->remote, &flow->remote))
        return; /* a way that was left meanwhile */
    if (sub->flight->tcp_until_ms) {
        notify_fall_back(shard, sub);
        evt_sub_rearm(shard, sub);
        return;
    }
    if (notify_moves(shard, sub, 0)) {
        evt_sub_finish(shard, sub);
        return;
    }
    if (!hd_transport_reliable((enum hd_transport)flow->transport))
        return; /* an ICMP error may pass: Timer E tries again, Timer F ends it */
    hop = evt_hop_at(shard, sub->hop);
    const struct hd_flow gone = { .transport = hop->flow.transport,
                                  .listener = hop->flow.listener,
                                  .local = hop->flow.local,
                                  .remote = hop->flow.remote };
    if (hop->flow.conn && hop->flow.conn == flow->conn &&
        evt_notify_flow(
            shard,
            &(struct evt_notified){ .came = &gone,
                                    .route = evt_texts_get(sub->texts, EVT_TEXT_ROUTE),
                                    .target = evt_texts_get(sub->texts, EVT_TEXT_TARGET),
                                    .watcher = evt_texts_get(sub->texts, EVT_TEXT_WATCHER) },
            &way) == HD_OK) {
        struct evt_hop *other = evt_hop_take(shard, &way, NULL);
        if (other == hop) {
            evt_hop_put(shard, hop->index); /* memory is short: it could not leave the connection */
        } else if (other) {
            other->authenticated = other->authenticated || hop->authenticated;
            /* It may have arrived: what follows is another request, with the next CSeq. */
            evt_sub_drop_flight(shard, sub, true);
            evt_dequeue(shard, sub);
            evt_hop_put(shard, sub->hop);
            sub->hop = other->index;
            evt_sub_owe(shard, sub);
            evt_sub_finish(shard, sub);
            return;
        }
    }
    if (sub->state == EVT_SUB_TERMINATED)
        evt_sub_drop_flight(shard, sub, true); /* nobody is there for the last word */
    else
        notify_park(shard, sub);
    evt_sub_finish(shard, sub);
}

/* --- its answer ------------------------------------------------------------------------------ */

enum verdict { VERDICT_GOOD, VERDICT_ENDS, VERDICT_TIMEOUT, VERDICT_RETRY };

/* RFC 6665 4.2.2 and RFC 5057 5.1: which failures end the subscription, and which only the
 * transaction. */
static enum verdict
status_verdict(unsigned status)
{
    if (status < 300)
        return VERDICT_GOOD;
    if (status >= 480 && status <= 485)
        return VERDICT_ENDS;
    switch (status) {
    case 404:
    case 405:
    case 410:
    case 416:
    case 489:
    case 501:
    case 502:
    case 604:
        return VERDICT_ENDS;
    case 408:
        return VERDICT_TIMEOUT;
    default:
        return VERDICT_RETRY;
    }
}

/* A 2xx to NOTIFY updates the remote target (RFC 3261 12.2.1.2); one that we could not reach is not
 * taken, and none that makes a sips target one in the clear (RFC 5630 section 5.1.1). */
static void
target_refresh(struct evt_shard *shard, struct evt_sub *sub, const struct sip_msg *msg)
{
    const struct hd_slice target = evt_texts_get(sub->texts, EVT_TEXT_TARGET);
    struct hd_slice pieces[EVT_TEXT_COUNT];
    struct sip_addr contact;
    struct evt_way way;
    struct evt_hop *hop;
    struct evt_texts *texts;

    if (sip_contact_one(msg, &contact) || !evt_notify_reaches(contact.uri) ||
        hd_slice_eq(contact.uri, target) ||
        (evt_uri_is_sips(target) && !evt_uri_is_sips(contact.uri)))
        return;
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    evt_texts_all(sub->texts, mirror, pieces);
    pieces[EVT_TEXT_TARGET] = contact.uri;
    if (evt_notify_flow(shard,
                        &(struct evt_notified){ .came = &evt_hop_at(shard, sub->came)->flow,
                                                .direct = sub->direct,
                                                .route = pieces[EVT_TEXT_ROUTE],
                                                .target = contact.uri,
                                                .watcher = pieces[EVT_TEXT_WATCHER] },
                        &way))
        return;
    texts = evt_texts_new(pieces, sub->texts->has_event_id, sub->texts->proof, mirror->key);
    hop = texts ? evt_hop_take(shard, &way, NULL) : NULL;
    if (!hop) {
        free(texts);
        return;
    }
    hop->authenticated = hop->authenticated || evt_hop_at(shard, sub->hop)->authenticated;
    evt_dequeue(shard, sub);
    evt_hop_put(shard, sub->hop);
    sub->hop = hop->index;
    free(sub->texts);
    sub->texts = texts;
    sub->target_branch = sub->branch + 1;
}

/* What follows for those who asked for more than the state. */
static void
notify_good_rare(struct evt_shard *shard, struct evt_sub *sub, const struct sip_msg *msg)
{
    if (msg)
        evt_rate_answered(shard, sub, msg);
    if (evt_sub_chooses(sub))
        evt_chosen_answered(shard, sub);
}

static void
notify_good(struct evt_shard *shard, struct evt_sub *sub, const struct sip_msg *msg)
{
    EVT_COUNT(shard, notifies_answered);
    evt_sub_drop_flight(shard, sub, false);
    sub->backoff_s = 0;
    if (sub->parked) {
        sub->parked = false;
        evt_gauge(shard, &shard->counters.parked, -1);
    }
    struct evt_hop *hop = evt_hop_at(shard, sub->hop);
    if (hop->named != EVT_NONE)
        evt_named_works(shard, hop);
    if (sub->state == EVT_SUB_TERMINATED)
        return;
    evt_seen_due(shard, evt_mirror_at(shard, sub->mirror));
    if (msg && sip_msg_has(msg, SIP_HDR_CONTACT))
        target_refresh(shard, sub, msg);
    if (sub->rare)
        notify_good_rare(shard, sub, msg);
}

void
evt_notify_taken(struct evt_shard *shard, struct evt_sub *sub, uint32_t branch)
{
    if (sub->lingering || !sub->flight || sub->flight->branch != branch)
        return; /* it was given up for a newer one */
    evt_did(shard, sub->id, EVT_DID_ANSWERED, 200);
    notify_good(shard, sub, NULL);
    evt_sub_finish(shard, sub);
}

static uint32_t
retry_after(const struct sip_msg *msg)
{
    struct hd_slice value = sip_msg_value(msg, SIP_HDR_RETRY_AFTER);
    uint32_t seconds;

    if (!value.p || sip_retry_after_parse(value, &seconds))
        return 0;
    return seconds > 3600 ? 3600 : seconds;
}

/* The answer to a NOTIFY that was abandoned for a newer one: only a code that ends the subscription
 * counts, and only when it went to where the newer ones go and none of those was answered. */
static void
abandoned_response(struct evt_shard *shard, struct evt_sub *sub, unsigned status, uint32_t branch)
{
    if (status_verdict(status) == VERDICT_ENDS && branch >= sub->target_branch &&
        sub->state != EVT_SUB_TERMINATED)
        evt_sub_terminate(shard, sub, EVT_REASON_SILENT, 0);
}

void
evt_notify_response(struct evt_shard *shard, const struct sip_msg *msg, const struct hd_flow *flow,
                    struct evt_sub *sub, uint32_t branch)
{
    unsigned status = msg->status;

    if (sub->lingering || sub->hop == EVT_NONE) {
        EVT_COUNT(shard, strays);
        return;
    }
    struct evt_hop *hop = evt_hop_at(shard, sub->hop);
    if (branch >= sub->target_branch &&
        (hop->flow.conn || hd_addr_same_ip(&hop->flow.remote, &flow->remote)))
        hop->proven = true;
    evt_hop_release(shard, hop);
    if (!sub->flight || sub->flight->branch != branch) {
        if (status >= 300)
            abandoned_response(shard, sub, status, branch);
        else
            EVT_COUNT(shard, strays);
        evt_sub_finish(shard, sub);
        return;
    }
    if (status < 200) { /* RFC 3261 17.1.2.2: Proceeding, Timer E at T2 */
        sub->flight->interval_ms = SIP_T2_MS;
        return;
    }
    /* Completed (RFC 3261 17.1.2.2): another answer to it, or to an older one, finds nobody. */
    sub->target_branch = branch + 1;
    evt_did(shard, sub->id, EVT_DID_ANSWERED, status);
    switch (status_verdict(status)) {
    case VERDICT_GOOD:
        notify_good(shard, sub, msg);
        break;
    case VERDICT_ENDS:
        EVT_COUNT(shard, notifies_failed);
        evt_sub_drop_flight(shard, sub, true);
        evt_sub_terminate(shard, sub, EVT_REASON_SILENT, 0);
        break;
    case VERDICT_TIMEOUT:
        notify_timeout(shard, sub);
        break;
    case VERDICT_RETRY:
        /* RFC 3263 section 4.3: 503 is said of the server, so another one is asked. */
        if (status != 503 || !notify_moves(shard, sub, retry_after(msg)))
            notify_retry(shard, sub, retry_after(msg));
        break;
    }
    evt_sub_finish(shard, sub);
}
