/* subscribe.c - SUBSCRIBE: creating, refreshing, fetching and ending subscriptions (RFC 6665
 * section 4.2.1).
 *
 * A change is prepared, given to the store, and applied in one step when it is kept: only then
 * state changes, the answer leaves, and the NOTIFY that it owes is sent.  A fetch is kept nowhere
 * and applied at once. */
#include <stdlib.h>

#include "event/core.h"
#include "event/wanted.h"
#include "sip/dialog.h"

#define ROUTE_MAX 2048 /* octets of a route set */

/* --- answering ------------------------------------------------------------------------------- */

static void
out_accepted(struct evt_shard *shard, struct evt_reply *reply, const struct evt_sub *sub,
             uint32_t expires_s)
{
    const struct hd_flow *came = &evt_hop_at(shard, sub->came)->flow;
    const struct hd_slice target = evt_texts_get(sub->texts, EVT_TEXT_TARGET);
    const struct hd_slice route = evt_texts_get(sub->texts, EVT_TEXT_ROUTE);
    struct sip_hop hop = { 0 };

    if (route.n)
        (void)!sip_dialog_hop(route, target, &hop);
    evt_out_contact(shard, &reply->out, came, evt_notify_is_secure(&hop, target));
    sip_out_header_u32(&reply->out, HD_LIT("Expires"), expires_s);
    evt_out_allow_events(shard, &reply->out); /* RFC 6665 4.4.4 */
    evt_reply_send(shard, reply);
}

/* A repeated SUBSCRIBE hears what the first one heard. */
static void
answer_again(struct evt_shard *shard, struct evt_request *request, const struct evt_sub *sub,
             unsigned status, uint32_t expires_s)
{
    struct evt_reply reply;
    char tag[HD_ID_TEXT];

    EVT_COUNT(shard, retransmitted);
    hd_id_text(&shard->keys.id, HD_ID_TAG, sub->id, 0, tag);
    if (!evt_reply_begin(shard, request, status, hd_slice(NULL, 0), hd_slice(tag, HD_ID_TEXT),
                         &reply))
        return;
    sip_route_echo(request->msg, &reply.out);
    out_accepted(shard, &reply, sub, expires_s);
}

/* True when the request is a repetition of one that this subscription has answered or is working
 * on. */
static bool
repeated(struct evt_shard *shard, struct evt_request *request, const struct evt_sub *sub)
{
    if (sub->change && sub->change->done.txn == request->txn) {
        EVT_COUNT(shard, absorbed);
        return true;
    }
    for (int i = 0; i < 2; i++) {
        if (sub->done_txn[i] == request->txn) {
            answer_again(shard, request, sub, sub->quiet >> i & 1 ? 204 : 200,
                         sub->done_expires_s[i]);
            return true;
        }
    }
    return false;
}

/* --- applying -------------------------------------------------------------------------------- */

static void
sub_take_came(struct evt_shard *shard, struct evt_sub *sub, struct evt_sub_change *change)
{
    if (sub->came != EVT_NONE)
        evt_hop_forget(shard, sub->came);
    sub->came = change->came;
    change->came = EVT_NONE;
}

/* A subscription that goes another way than before takes its place in the window along. */
static void
sub_take_hop(struct evt_shard *shard, struct evt_sub *sub, uint32_t hop)
{
    if (sub->hop == hop) {
        evt_hop_put(shard, hop); /* it had one reference already */
        return;
    }
    evt_dequeue(shard, sub);
    evt_sub_drop_flight(shard, sub, true);
    if (sub->hop != EVT_NONE)
        evt_hop_put(shard, sub->hop);
    sub->hop = hop;
}

/* Whether NOTIFYs go elsewhere from now on: what was sent before says nothing about the new target.
 */
static bool
change_moves(const struct evt_sub *sub, const struct evt_sub_change *change)
{
    if (!sub->texts || (change->hop != EVT_NONE && change->hop != sub->hop))
        return true;
    return change->texts && !(hd_slice_eq(evt_texts_get(change->texts, EVT_TEXT_TARGET),
                                          evt_texts_get(sub->texts, EVT_TEXT_TARGET)) &&
                              hd_slice_eq(evt_texts_get(change->texts, EVT_TEXT_ROUTE),
                                          evt_texts_get(sub->texts, EVT_TEXT_ROUTE)));
}

/* RFC 5839 section 6.3: in a dialog, when he has what he would be sent, and its header says nothing
 * new either. */
static bool
change_is_quiet(struct evt_shard *shard, const struct evt_sub *sub,
                const struct evt_sub_change *change, bool changed)
{
    return change->match && change->kind != EVT_CHANGE_CREATE && !changed && !sub->owed &&
           !sub->again && !evt_sub_has_events(sub) && evt_match_is_true(shard, sub, change->match);
}

/* What the store was told of the answer was a guess: by now it is another. */
static void
quiet_settle(struct evt_shard *shard, struct evt_sub *sub, bool quiet)
{
    const bool guessed = sub->change->done.quiet;

    sub->quiet = (sub->quiet << 1 | (quiet ? 1u : 0u)) & 3u;
    if (guessed == quiet || !sub->stored)
        return;
    struct evt_sub_change *change = sub->change;
    sub->change = NULL; /* as it is from now on */
    (void)!evt_record_sub(shard, sub, NULL, 0);
    sub->change = change;
}

/* Nothing follows the 204, which has been sent. */
static void
sub_go_on_quietly(struct evt_shard *shard, struct evt_sub *sub, uint32_t expires_s)
{
    EVT_COUNT(shard, suppressed);
    sub->seen = evt_mirror_at(shard, sub->mirror)->snapshot->number;
    sub->backoff_s = 0;
    if (expires_s == 0)
        evt_sub_end_quietly(shard, sub);
}

void
evt_sub_apply(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_sub_change *change = sub->change;
    struct evt_reply reply;

    HD_ASSERT(change != NULL && sub->state != EVT_SUB_TERMINATED);
    bool changed = sub->state != change->state;
    if (change_moves(sub, change))
        sub->target_branch = sub->branch + 1;
    if (change->kind == EVT_CHANGE_CREATE) {
        EVT_COUNT(shard, subscriptions_made);
        evt_gauge(shard, &shard->counters.subscriptions, 1);
    }
    if (change->texts) {
        free(sub->texts);
        sub->texts = change->texts;
        change->texts = NULL;
    }
    if (change->hop != EVT_NONE) {
        sub_take_hop(shard, sub, change->hop);
        change->hop = EVT_NONE;
    }
    sub_take_came(shard, sub, change);
    const struct hd_flow *came = &evt_hop_at(shard, sub->came)->flow;
    sub->direct = change->direct;
    evt_sub_enter(shard, sub, change->state);
    sub->transform = change->transform;
    if (change->refilters) {
        struct evt_filtered *filtered = change->filtered;
        change->filtered = NULL;
        evt_filtered_set(shard, sub, filtered);
    } else {
        evt_cond_rejoin(shard, sub);
    }
    if (sub->rare) {
        changed = changed || (!change->rated && evt_rate_is_told(sub));
        evt_rated_set(sub, change->rated);
        change->rated = NULL;
        evt_match_set(sub, change->match);
        evt_priority_set(shard, sub, change->priority);
        changed = changed || evt_rate_is_news(shard, sub);
    }
    sub->types = change->types;
    sub->cseq_remote = change->cseq;
    sub->done_txn[1] = sub->done_txn[0];
    sub->done_expires_s[1] = sub->done_expires_s[0];
    sub->done_txn[0] = change->done.txn;
    sub->done_expires_s[0] = change->done.expires_s;
    sub->expires_at_ms = shard->now_ms + (uint64_t)change->done.expires_s * 1000;
    /* One that came by no message ends with who asked for it. */
    sub->stored = change->kind != EVT_CHANGE_END && !sub->fetch && !change->head->ask;
    const bool quiet = change_is_quiet(shard, sub, change, changed);
    quiet_settle(shard, sub, quiet);
    sub->tombstone = change->kind == EVT_CHANGE_END &&
                     !hd_transport_reliable((enum hd_transport)came->transport);
    if (change->kind == EVT_CHANGE_CREATE) {
        evt_device_begins(shard, sub);
        evt_audit_note(shard, sub, sub->fetch ? EVT_AUDIT_FETCHED : EVT_AUDIT_BEGAN, change->rule);
    }
    evt_ring_put(shard, change->done.txn, EVT_RING_RECORD);
    evt_rec_sub(shard, sub, change->rule);
    evt_did(shard, sub->id, EVT_DID_ACCEPT, change->done.expires_s);
    if (change->priority)
        evt_did(shard, sub->id, EVT_DID_PRIORITY, change->priority);
    if (change->head->ask) {
        evt_ask_subscribed(change->head, sub, change->done.expires_s);
    } else if (evt_reply_begin_head(shard, change->head, quiet ? 204 : 200, &reply)) {
        evt_octets(&evt_hop_at(shard, sub->hop)->octets_out, reply.out.n);
        out_accepted(shard, &reply, sub, change->done.expires_s);
    }
    if (quiet) {
        sub_go_on_quietly(shard, sub, change->done.expires_s);
        return;
    }
    if (change->done.expires_s == 0) {
        evt_sub_terminate(shard, sub, EVT_REASON_TIMEOUT, 0);
        return;
    }
    /* Through a Route an edge may let the NOTIFY overtake the 2xx: the first one waits a little. */
    if (change->kind == EVT_CHANGE_CREATE && evt_texts_get(sub->texts, EVT_TEXT_ROUTE).n &&
        evt_limits(shard)->route_delay_ms) {
        sub->owed = true;
        sub->hold_until_ms = shard->now_ms + evt_limits(shard)->route_delay_ms;
        evt_did(shard, sub->id, EVT_DID_HOLD, EVT_HELD_ROUTE);
        return;
    }
    evt_sub_owe(shard, sub);
}

/* --- preparing a change ---------------------------------------------------------------------- */

/* Strings of the new subscription. */
static struct evt_texts *
initial_texts(const struct evt_request *request, const struct evt_wanted *want,
              struct hd_slice route)
{
    const struct sip_msg *msg = request->msg;
    const struct hd_slice pieces[EVT_TEXT_COUNT] = {
        [EVT_TEXT_CALL_ID] = msg->call_id,
        [EVT_TEXT_REMOTE] = msg->from.value,
        [EVT_TEXT_REMOTE_TAG] = msg->from_tag,
        [EVT_TEXT_LOCAL] = msg->to.value,
        [EVT_TEXT_TARGET] = want->contact.uri,
        [EVT_TEXT_ROUTE] = route,
        [EVT_TEXT_EVENT_ID] = want->event.id,
        [EVT_TEXT_WATCHER] = hd_slice(request->identity.key, request->identity.key_len),
    };

    return evt_texts_new(pieces, want->event.id.p != NULL, request->identity.proof,
                         hd_slice(want->key, want->key_n));
}

/* Strings after this request, which has moved the target or shown another proof; the route set is
 * kept from the first SUBSCRIBE of the dialog (RFC 3261 12.2). */
static struct evt_texts *
moved_texts(struct evt_shard *shard, const struct evt_request *request,
            const struct evt_wanted *want, const struct evt_sub *sub)
{
    struct hd_slice pieces[EVT_TEXT_COUNT];

    evt_texts_all(sub->texts, evt_mirror_at(shard, sub->mirror), pieces);
    pieces[EVT_TEXT_TARGET] = want->contact.uri;
    return evt_texts_new(pieces, sub->texts->has_event_id, request->identity.proof,
                         hd_slice(want->key, want->key_n));
}

/* What is proven of the way by this request. */
static void
hop_learn(struct evt_hop *hop, const struct evt_request *request)
{
    bool same = hop->flow.conn != 0 || hd_addr_eq(&hop->flow.remote, &request->flow->remote);

    if (same && request->identity.proven)
        hop->proven = true;
    if (request->identity.authenticated)
        hop->authenticated = true;
    if (same)
        evt_octets(&hop->octets_in, request->octets.n);
}

/* For what few subscriptions have: applying it needs no memory. */
static bool
has_room(struct evt_sub *sub, const struct evt_request *request, const struct evt_wanted *want)
{
    return !(want->filter || want->device || evt_wanted_has_rates(want) || want->match ||
             request->priority) ||
           evt_sub_rare(sub);
}

static struct evt_sub_change *
change_new(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want,
           enum evt_change_kind kind, struct hd_slice tag, const struct evt_way *way,
           uint32_t before)
{
    struct evt_sub_change *change = calloc(1, sizeof(*change));

    if (!change)
        return NULL;
    if (want->filter) {
        change->filtered = evt_filtered_new(want->filter);
        if (!change->filtered) {
            free(change);
            return NULL;
        }
        want->filter = NULL;
    }
    if (evt_wanted_has_rates(want)) {
        change->rated = evt_rated_new(&want->rates);
        if (!change->rated) {
            evt_filtered_free(shard, change->filtered);
            free(change);
            return NULL;
        }
    }
    change->match = want->match;
    change->refilters = want->refilters;
    change->kind = kind;
    change->done = (struct evt_done){ .txn = request->txn, .expires_s = want->expires_s };
    change->started_ms = request->arrived_us / 1000;
    change->trying_sent = request->packet && request->packet->trying_sent;
    change->cseq = request->msg->cseq.number;
    change->state = want->state;
    change->transform = want->transform;
    change->types = want->types;
    change->priority = request->priority;
    change->direct = evt_direct(shard, request->flow, request->msg);
    change->judged = shard->configurations;
    change->rule = want->rule;
    change->ends = shard->ends;
    change->head = evt_head_new(shard, request, tag, true);
    struct evt_hop *likely = before != EVT_NONE ? evt_hop_at(shard, before) : NULL;
    struct evt_hop *hop = change->head ? evt_hop_take(shard, way, likely) : NULL;
    struct evt_hop *came = hop ? evt_hop_came(shard, request->flow, hop) : NULL;
    if (!came) {
        if (hop)
            evt_hop_put(shard, hop->index);
        evt_filtered_free(shard, change->filtered);
        free(change->rated);
        free(change->head);
        free(change);
        return NULL;
    }
    hop_learn(hop, request);
    if (hop->named != EVT_NONE)
        (void)evt_named_ready(shard, hop); /* looked up while the store works */
    change->hop = hop->index;
    change->came = came->index;
    shard->waiting++;
    evt_gauge(shard, &shard->counters.waiting, 1);
    return change;
}

/* Gives a prepared change to the store, or applies it at once when nothing is to be kept. */
static void
change_submit(struct evt_shard *shard, struct evt_sub *sub, struct evt_request *request)
{
    struct hd_handle handle = hd_table_handle(&shard->subs, sub->index);
    uint64_t ticket = evt_ticket(EVT_RECORD_SUBSCRIPTION, sub->index, handle.generation);
    enum hd_err err;

    evt_request_working(shard, request);
    if (sub->change->match)
        sub->change->done.quiet = change_is_quiet(shard, sub, sub->change, false);
    if (sub->fetch) {
        evt_sub_stored(shard, sub, HD_OK);
        return;
    }
    /* The end is kept as long as its repetitions may come; on reliable transports none will. */
    if (sub->change->kind == EVT_CHANGE_END &&
        hd_transport_reliable((enum hd_transport)request->flow->transport))
        err = evt_record_remove(shard, EVT_RECORD_SUBSCRIPTION, hd_id_bucket(sub->id), sub->id,
                                ticket);
    else
        err = evt_record_sub(shard, sub, sub->change, ticket);
    if (err) {
        EVT_COUNT(shard, store_failures);
        evt_sub_stored(shard, sub, HD_ESTORE);
        return;
    }
    evt_sub_rearm(shard, sub);
}

/* --- a new subscription ---------------------------------------------------------------------- */

static bool
same_call(const struct evt_sub *sub, const struct sip_msg *msg)
{
    return hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_CALL_ID), msg->call_id) &&
           hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_REMOTE_TAG), msg->from_tag);
}

/* Retransmissions are found by Call-ID and From tag, then by transaction (RFC 3261 17.2.3). */
static bool
initial_known(struct evt_shard *shard, struct evt_request *request, uint32_t call_hash)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->sub_by_call, call_hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        if (same_call(sub, request->msg) && repeated(shard, request, sub))
            return true;
    }
    return false;
}

/* The same request by another way while its subscription lives (8.2.2.2); by a shorter memory
 * merged.c finds those that another shard took. */
static bool
initial_merged(struct evt_shard *shard, struct evt_request *request, uint64_t call_hash)
{
    struct hd_slice watcher = hd_slice(request->identity.key, request->identity.key_len);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->sub_by_call, call_hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        uint32_t cseq = sub->change ? sub->change->cseq : sub->cseq_remote;
        if (!same_call(sub, request->msg) || cseq != request->msg->cseq.number || sub->lingering ||
            !hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_WATCHER), watcher))
            continue;
        evt_refuse(shard, request, 482, HD_LIT("Merged Request"));
        return true;
    }
    return false;
}

/* Where NOTIFYs go; false: answered, since there is nowhere to send them. */
static bool
read_way(struct evt_shard *shard, struct evt_request *request, const struct evt_wanted *want,
         struct hd_slice route, struct evt_way *ret_way)
{
    const struct evt_notified to = { .came = request->flow,
                                     .direct = evt_direct(shard, request->flow, request->msg),
                                     .route = route,
                                     .target = want->contact.uri,
                                     .watcher = hd_slice(request->identity.key,
                                                         request->identity.key_len) };
    const enum hd_err err = evt_notify_flow(shard, &to, ret_way);

    if (err == HD_ENOTSUP)
        evt_refuse_sips(shard, request, HD_LIT("SIPS Contact Needs A Secure Transport"));
    else if (err)
        evt_refuse(shard, request, 400, HD_LIT("Contact Cannot Be Reached"));
    return !err;
}

static bool
initial_way(struct evt_shard *shard, struct evt_request *request, const struct evt_wanted *want,
            char route_text[ROUTE_MAX], struct hd_slice *ret_route, struct evt_way *ret_way)
{
    struct sip_out out;
    size_t n;

    /* An edge that took TLS off is reached in the clear, as it wishes. */
    const bool secure = evt_uri_is_sips(want->contact.uri) && evt_flow_is_secure(request->flow);
    sip_out_init(&out, route_text, ROUTE_MAX);
    if (sip_route_set(request->msg, secure, &out) || sip_out_finish(&out, &n)) {
        evt_refuse(shard, request, 400, HD_LIT("Malformed Record-Route"));
        return false;
    }
    *ret_route = hd_slice(route_text, n);
    return read_way(shard, request, want, *ret_route, ret_way);
}

/* Makes the record with its change under way; the table's refusals become answers. */
static struct evt_sub *
initial_prepare(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want,
                uint32_t call_hash)
{
    struct hd_slice watcher = hd_slice(request->identity.key, request->identity.key_len), route;
    char route_text[ROUTE_MAX], tag[HD_ID_TEXT];
    struct evt_way way;
    struct evt_sub *sub = NULL;
    enum hd_err err = HD_ENOMEM;

    if (!initial_way(shard, request, want, route_text, &route, &way))
        return NULL;
    err = evt_watcher_take(shard, watcher);
    if (err == HD_EDENIED) {
        EVT_COUNT(shard, caps_reached);
        evt_refuse(shard, request, 403, HD_LIT("Too Many Subscriptions Of This Watcher"));
        return NULL;
    }
    if (err) {
        evt_refuse_later(shard, request, 500, HD_LIT("No Room For A Subscription"));
        return NULL;
    }
    uint64_t id = hd_id_new(&shard->rng, evt_route_bucket(shard, request->flow, request->msg));
    struct evt_texts *texts = initial_texts(request, want, route);
    if (texts)
        sub = evt_sub_new(shard, id, texts, call_hash, &err);
    if (!sub) {
        free(texts);
        evt_watcher_give(shard, watcher);
        if (err == HD_EFULL)
            EVT_COUNT(shard, caps_reached);
        evt_refuse_later(shard, request, err == HD_EFULL ? 503 : 500,
                         HD_LIT("No Room For A Subscription"));
        return NULL;
    }
    const struct evt_mirror *mirror =
        evt_mirror_join(shard, hd_slice(want->key, want->key_n), want->package,
                        evt_own_of(watcher, want->transform));
    if (mirror)
        sub->mirror = mirror->index;
    hd_id_text(&shard->keys.id, HD_ID_TAG, id, 0, tag);
    const bool room = has_room(sub, request, want);
    if (room && want->device)
        sub->rare->device = want->device;
    if (mirror && room)
        sub->change = change_new(shard, request, want, EVT_CHANGE_CREATE, hd_slice(tag, HD_ID_TEXT),
                                 &way, EVT_NONE);
    if (!sub->change) {
        EVT_COUNT(shard, caps_reached);
        evt_sub_free(shard, sub);
        evt_refuse_later(shard, request, 503, HD_LIT("No Room For A Subscription"));
        return NULL;
    }
    return sub;
}

static void
subscribe_initial(struct evt_shard *shard, struct evt_request *request)
{
    uint32_t call_hash = evt_sub_call_hash(shard, request->msg->call_id, request->msg->from_tag);
    struct evt_wanted want;

    memset(&want, 0, sizeof(want));
    if (initial_known(shard, request, call_hash) || evt_request_outdated(shard, request))
        return;
    if (evt_request_authenticate(shard, request) != EVT_AUTHED ||
        !evt_request_priority(shard, request))
        return;
    /* RFC 3261 8.2 in its order: Request-URI, merged, Require, then what the method asks for. */
    if (!evt_request_resource(shard, request, want.key, &want.key_n) ||
        initial_merged(shard, request, call_hash) || evt_request_unsupported(shard, request))
        return;
    want.package = evt_request_package(shard, request, &want.event);
    if (!want.package || !evt_wanted_contact(shard, request, &want) ||
        !evt_wanted_accept(shard, request, &want) || !evt_wanted_body(shard, request, &want) ||
        !evt_wanted_dialogs(shard, request, &want) || !evt_wanted_expires(shard, request, &want) ||
        !evt_wanted_rates(shard, request, &want) || !evt_wanted_match(shard, request, &want) ||
        !evt_wanted_verdict(shard, request, &want, NULL))
        return;
    if (shard->draining) {
        evt_refuse_later(shard, request, 503, HD_LIT("Server Is Stopping"));
        return;
    }
    if (evt_request_is_too_many(shard, request) || !evt_wanted_filter(shard, request, &want, NULL))
        return;
    const bool here = evt_merged_here(shard, request->msg);
    if (here && evt_merged(shard, request)) {
        evt_wanted_drop(shard, &want);
        return;
    }
    if (want.package->supersede && want.expires_s)
        want.device = evt_device_hash(
            shard, evt_key_hash(shard, hd_slice(want.key, want.key_n), want.package->name),
            want.event.id, hd_slice(request->identity.key, request->identity.key_len),
            &want.contact);
    struct evt_sub *sub = initial_prepare(shard, request, &want, call_hash);
    evt_wanted_drop(shard, &want);
    if (!sub)
        return;
    sub->fetch = want.expires_s == 0;
    if (!here)
        evt_merged_ask(shard, sub, request->msg);
    change_submit(shard, sub, request);
}

/* --- in a dialog ----------------------------------------------------------------------------- */

static struct evt_sub *
dialog_find(struct evt_shard *shard, const struct sip_msg *msg)
{
    uint64_t id;
    uint32_t sequence;

    if (hd_id_read(&shard->keys.id, HD_ID_TAG, msg->to_tag, &id, &sequence))
        return NULL;
    struct evt_sub *sub = evt_sub_find(shard, id);
    /* The tag only finds the record; the dialog is Call-ID and both tags (RFC 3261 12.2.2). */
    if (!sub || !hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_CALL_ID), msg->call_id) ||
        !hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_REMOTE_TAG), msg->from_tag))
        return NULL;
    return sub;
}

/* RFC 6665 4.5.2: one dialog carries one subscription; a second one in it is refused, the first
 * lives on. */
static bool
dialog_same_event(struct evt_shard *shard, struct evt_request *request, const struct evt_sub *sub,
                  const struct evt_wanted *want)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    if (hd_slice_eq(mirror->package->name, want->event.package) &&
        sub->texts->has_event_id == (want->event.id.p != NULL) &&
        hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_EVENT_ID), want->event.id))
        return true;
    evt_refuse(shard, request, 403, HD_LIT("One Subscription Per Dialog"));
    return false;
}

static bool
dialog_same_watcher(struct evt_shard *shard, struct evt_request *request, const struct evt_sub *sub)
{
    if (hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_WATCHER),
                    hd_slice(request->identity.key, request->identity.key_len)))
        return true;
    evt_refuse(shard, request, 403, HD_LIT("Not The Subscriber"));
    return false;
}

static void
dialog_prepare(struct evt_shard *shard, struct evt_request *request, struct evt_sub *sub,
               struct evt_wanted *want)
{
    struct hd_slice route = evt_texts_get(sub->texts, EVT_TEXT_ROUTE);
    struct evt_way way;

    if (!read_way(shard, request, want, route, &way))
        return;
    bool moved = !hd_slice_eq(want->contact.uri, evt_texts_get(sub->texts, EVT_TEXT_TARGET)) ||
                 request->identity.proof != sub->texts->proof;
    struct evt_texts *texts = moved ? moved_texts(shard, request, want, sub) : NULL;
    if ((texts || !moved) && has_room(sub, request, want))
        sub->change =
            change_new(shard, request, want, want->expires_s ? EVT_CHANGE_REFRESH : EVT_CHANGE_END,
                       hd_slice(NULL, 0), &way, sub->hop);
    if (!sub->change) {
        free(texts);
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
        return;
    }
    sub->change->texts = texts;
    change_submit(shard, sub, request);
}

static void
dialog_wait(struct evt_shard *shard, struct evt_request *request, struct evt_sub *sub)
{
    struct evt_sub_rare *rare = evt_sub_rare(sub);

    if (rare)
        evt_request_wait(shard, request, &rare->waiting_end, &rare->waiting, &rare->n_waiting);
    else
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
}

static void
subscribe_in_dialog(struct evt_shard *shard, struct evt_request *request)
{
    struct evt_sub *sub = dialog_find(shard, request->msg);
    struct evt_wanted want;

    memset(&want, 0, sizeof(want));
    if ((sub && (repeated(shard, request, sub) ||
                 evt_request_waits(shard, request, evt_sub_first_waiting(sub)))) ||
        evt_request_outdated(shard, request))
        return;
    if (evt_request_authenticate(shard, request) != EVT_AUTHED ||
        !evt_request_priority(shard, request))
        return;
    if (sub && sub->change) {
        dialog_wait(shard, request, sub);
        evt_sub_rearm(shard, sub);
        return;
    }
    if (!sub || sub->state == EVT_SUB_TERMINATED) {
        evt_refuse(shard, request, 481, HD_LIT("Subscription Does Not Exist"));
        return;
    }
    if (request->msg->cseq.number <= sub->cseq_remote) {
        evt_refuse(shard, request, 500, HD_LIT("CSeq Out Of Order")); /* RFC 3261 12.2.2 */
        return;
    }
    want.package = evt_request_package(shard, request, &want.event);
    if (!want.package || evt_request_unsupported(shard, request) ||
        !dialog_same_watcher(shard, request, sub) || !dialog_same_event(shard, request, sub, &want))
        return;
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    memcpy(want.key, mirror->key.p, mirror->key.n);
    want.key_n = mirror->key.n;
    if (!evt_wanted_contact(shard, request, &want) || !evt_wanted_body(shard, request, &want) ||
        !evt_wanted_dialogs(shard, request, &want) || !evt_wanted_expires(shard, request, &want) ||
        !evt_wanted_rates(shard, request, &want) || !evt_wanted_match(shard, request, &want) ||
        !evt_wanted_verdict(shard, request, &want, sub))
        return;
    want.types = sub->types;
    if (sip_msg_has(request->msg, SIP_HDR_ACCEPT) && !evt_wanted_accept(shard, request, &want))
        return;
    if (evt_request_is_too_many(shard, request) || !evt_wanted_filter(shard, request, &want, sub))
        return;
    dialog_prepare(shard, request, sub, &want);
    evt_wanted_drop(shard, &want);
}

void
evt_subscribe(struct evt_shard *shard, struct evt_request *request)
{
    if (request->msg->to_tag.n)
        subscribe_in_dialog(shard, request);
    else
        subscribe_initial(shard, request);
}
