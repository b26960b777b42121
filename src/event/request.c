/* request.c - the order in which every request is handled: transaction, digest, method, package,
 * and the rest.
 *
 * The transaction comes first (RFC 3261 17.2.3), so that a retransmission of an authenticated
 * request gets its answer and not a stale nonce.  Records that are their own transactions
 * (subscriptions, publications, registrations) are asked by the method's handler; what left no
 * record is found in the ring. */
#include <stdlib.h>

#include "event/core.h"

/* --- waiting behind a change under way ------------------------------------------------------- */

bool
evt_request_waits(struct evt_shard *shard, const struct evt_request *request,
                  const struct evt_packet *head)
{
    for (const struct evt_packet *p = head; p; p = p->next) {
        if (p->txn == request->txn) {
            EVT_COUNT(shard, absorbed);
            return true;
        }
    }
    return false;
}

void
evt_request_wait(struct evt_shard *shard, struct evt_request *request, struct evt_packet ***end,
                 struct evt_packet **head, uint32_t *count)
{
    if (*count >= evt_limits(shard)->waiting_per_record) {
        EVT_COUNT(shard, refused_busy);
        evt_refuse_later(shard, request, 500, HD_LIT("Too Many Changes Under Way"));
        return;
    }
    if (evt_request_is_too_many(shard, request))
        return;
    struct evt_packet *packet = request->packet;
    if (!packet)
        packet = evt_packet_new(request->flow, request->octets, request->peer, request->arrived_us);
    if (!packet) {
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
        return;
    }
    HD_ASSERT(request->authenticated);
    request->keep_packet = true;
    packet->txn = request->txn;
    packet->next = NULL;
    packet->authenticated = true;
    packet->ask = request->ask;
    packet->trying_sent = packet->trying_sent || packet->ask;
    if (!packet->ask)
        evt_ring_put(shard, request->txn, EVT_RING_WORKING);
    packet->identity = request->identity;
    if (!*head)
        *end = head;
    **end = packet;
    *end = &packet->next;
    (*count)++;
    shard->waiting++;
    evt_gauge(shard, &shard->counters.waiting, 1);
}

/* --- a 100 for who waits long (RFC 4320 4.1) -------------------------------------------------- */

void
evt_request_working(struct evt_shard *shard, const struct evt_request *request)
{
    bool tried = request->packet && request->packet->trying_sent;

    if (request->ask)
        return;
    evt_ring_put(shard, request->txn, tried ? EVT_RING_TRYING : EVT_RING_WORKING);
}

void
evt_request_trying(struct evt_shard *shard, struct evt_request *request)
{
    struct evt_reply reply;

    evt_ring_put(shard, request->txn, EVT_RING_TRYING);
    if (evt_reply_begin(shard, request, 100, hd_slice(NULL, 0), hd_slice(NULL, 0), &reply))
        evt_reply_send(shard, &reply);
}

static void
packet_trying(struct evt_shard *shard, struct evt_packet *packet)
{
    struct hd_slice octets = hd_slice(packet->octets, packet->n);
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;
    struct evt_request request = { .flow = &packet->flow,
                                   .octets = octets,
                                   .msg = &msg,
                                   .txn = packet->txn,
                                   .arrived_us = packet->arrived_us };

    packet->trying_sent = true;
    hd_arena_init(&arena, shard->parse_memory, sizeof(shard->parse_memory));
    if (sip_msg_parse_by_branch(octets, false, &arena, &msg, &fault) == HD_OK)
        evt_request_trying(shard, &request);
}

/* They wait in the order in which they came. */
uint64_t
evt_waiting_due(const struct evt_packet *head)
{
    while (head && head->trying_sent)
        head = head->next;
    return head ? head->arrived_us / 1000 + SIP_TRYING_AFTER_MS : UINT64_MAX;
}

void
evt_waiting_trying(struct evt_shard *shard, struct evt_packet *head)
{
    for (; head && evt_waiting_due(head) <= shard->now_ms; head = head->next)
        if (!head->trying_sent)
            packet_trying(shard, head);
}

struct evt_packet *
evt_waiting_take(struct evt_shard *shard, struct evt_packet **head, struct evt_packet ***end,
                 uint32_t *count)
{
    struct evt_packet *packet = *head;

    if (!packet)
        return NULL;
    *head = packet->next;
    if (!*head)
        *end = head;
    packet->next = NULL;
    if (!packet->ask)
        evt_ring_counted(shard, packet->txn, hd_slice(packet->octets, packet->n));
    (*count)--;
    shard->waiting--;
    evt_gauge(shard, &shard->counters.waiting, -1);
    return packet;
}

/* An old request that was long delayed on its way: what arrives twice must not act twice, and its
 * answer has been given. */
bool
evt_request_outdated(struct evt_shard *shard, const struct evt_request *request)
{
    if (!request->known)
        return false;
    EVT_COUNT(shard, absorbed);
    return true;
}

/* --- who asks -------------------------------------------------------------------------------- */

static void
request_challenge(struct evt_shard *shard, struct evt_request *request, bool stale)
{
    struct evt_reply reply;

    EVT_COUNT(shard, challenges);
    evt_refused(shard, request, 401);
    if (!evt_reply_begin(shard, request, 401, HD_LIT("Unauthorized"), hd_slice(NULL, 0), &reply))
        return;
    shard->ports.policy->challenge(shard->ports.policy_context, shard->config, request->msg,
                                   request->flow, shard->now_us, stale, &reply.out);
    evt_reply_send(shard, &reply);
}

/* The count of a nonce is taken on the shard that holds its window; the request travels there and
 * back. */
static void
request_count_elsewhere(struct evt_shard *shard, struct evt_request *request,
                        const struct evt_auth_result *result, unsigned to)
{
    struct evt_packet *packet = request->packet;

    if (!packet)
        packet = evt_packet_new(request->flow, request->octets, request->peer, request->arrived_us);
    if (!packet) {
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
        return;
    }
    request->keep_packet = true;
    packet->txn = request->txn;
    packet->identity = result->identity;
    packet->nonce_id = result->nonce_id;
    packet->nc = result->nc;
    packet->from_shard = shard->index;
    evt_ring_put(shard, request->txn, EVT_RING_WORKING); /* a repetition meanwhile is absorbed */
    evt_post(shard, to, EVT_MAIL_COUNT, &packet->mail);
}

enum evt_authed
evt_request_authenticate(struct evt_shard *shard, struct evt_request *request)
{
    const struct evt_policy_ops *policy = shard->ports.policy;
    void *context = shard->ports.policy_context;
    struct evt_auth_result result;

    if (request->authenticated)
        return EVT_AUTHED;
    if (request->stale) {
        request_challenge(shard, request, true);
        return EVT_ANSWERED;
    }
    memset(&result, 0, sizeof(result));
    switch (policy->authenticate(context, shard->config, request->msg, request->flow, request->peer,
                                 shard->now_us, &result)) {
    case EVT_AUTH_OK:
        break;
    case EVT_AUTH_SLOWED:
        EVT_COUNT(shard, guesses_slowed);
        request_challenge(shard, request, false);
        return EVT_ANSWERED;
    case EVT_AUTH_CHALLENGE:
    case EVT_AUTH_WRONG:
        request_challenge(shard, request, false);
        return EVT_ANSWERED;
    case EVT_AUTH_STALE:
        request_challenge(shard, request, true);
        return EVT_ANSWERED;
    case EVT_AUTH_BAD:
        evt_refuse(shard, request, 400, hd_slice_str(result.reason));
        return EVT_ANSWERED;
    }
    if (result.has_count && !request->counted) {
        unsigned to = hd_bucket_shard(hd_id_bucket(result.nonce_id), shard->count);
        if (to != shard->index) {
            request_count_elsewhere(shard, request, &result, to);
            return EVT_ANSWERED;
        }
        if (!policy->count(context, result.nonce_id, result.nc, shard->now_us)) {
            request_challenge(shard, request, true);
            return EVT_ANSWERED;
        }
        evt_ring_counted(shard, request->txn, request->octets);
    }
    if (result.identity.authenticated)
        evt_source_good(shard, request->flow); /* gives back what the challenge took */
    request->identity = result.identity;
    request->authenticated = true;
    return EVT_AUTHED;
}

/* --- checks that several methods share ------------------------------------------------------- */

/* RFC 3261 8.2.2.3: the extensions that a request may require, of a REGISTER those of a registrar,
 * of the others Resource-Priority when a namespace is configured (RFC 4412 section 4.3). */
static bool
knows_tag(const struct evt_shard *shard, const struct sip_msg *msg, struct hd_slice tag)
{
    if (msg->method != SIP_REGISTER)
        return shard->config->n_priorities > 0 && hd_slice_ieq(tag, HD_LIT("resource-priority"));
    return hd_slice_ieq(tag, HD_LIT("path")) || hd_slice_ieq(tag, HD_LIT("outbound")) ||
           hd_slice_ieq(tag, HD_LIT("gruu"));
}

static bool
requires_unknown(const struct evt_shard *shard, const struct sip_msg *msg)
{
    struct sip_walk walk = { 0 };
    struct hd_slice item;
    bool any = false;

    while (sip_msg_walk(msg, SIP_HDR_REQUIRE, &walk, &item)) {
        any = true;
        if (!knows_tag(shard, msg, item))
            return true;
    }
    return !any && sip_msg_has(msg, SIP_HDR_REQUIRE);
}

bool
evt_request_unsupported(struct evt_shard *shard, struct evt_request *request)
{
    struct sip_walk walk = { 0 };
    struct evt_reply reply;
    struct hd_slice item;

    if (requires_unknown(shard, request->msg)) {
        evt_refused(shard, request, 420);
        if (!evt_reply_begin(shard, request, 420, HD_LIT("Bad Extension"), hd_slice(NULL, 0),
                             &reply))
            return true;
        sip_out_lit(&reply.out, "Unsupported: ");
        for (bool more = false; sip_msg_walk(request->msg, SIP_HDR_REQUIRE, &walk, &item);) {
            if (knows_tag(shard, request->msg, item))
                continue;
            if (more)
                sip_out_lit(&reply.out, ", ");
            sip_out_unfolded(&reply.out, item);
            more = true;
        }
        sip_out_crlf(&reply.out);
        evt_reply_send(shard, &reply);
        return true;
    }
    memset(&walk, 0, sizeof(walk));
    while (sip_msg_walk(request->msg, SIP_HDR_CONTENT_ENCODING, &walk, &item)) {
        if (hd_slice_ieq(item, HD_LIT("identity")))
            continue;
        evt_refused(shard, request, 415);
        if (!evt_reply_begin(shard, request, 415, HD_LIT("Unsupported Content Encoding"),
                             hd_slice(NULL, 0), &reply))
            return true;
        sip_out_lit(&reply.out, "Accept-Encoding: identity\r\n");
        evt_reply_send(shard, &reply);
        return true;
    }
    return false;
}

static void
refuse_event(struct evt_shard *shard, struct evt_request *request)
{
    struct evt_reply reply;

    evt_refused(shard, request, 489);
    if (!evt_reply_begin(shard, request, 489, HD_LIT("Bad Event"), hd_slice(NULL, 0), &reply))
        return;
    evt_out_allow_events(shard, &reply.out);
    evt_reply_send(shard, &reply);
}

/* RFC 6665 4.2.1.1 and RFC 3903 6: an Event header that is missing, or that names no package of
 * ours. */
const struct evt_package *
evt_request_package(struct evt_shard *shard, struct evt_request *request,
                    struct sip_event *ret_event)
{
    struct hd_slice value = sip_msg_value(request->msg, SIP_HDR_EVENT);

    if (!value.p) {
        refuse_event(shard, request);
        return NULL;
    }
    if (sip_event_parse(value, ret_event)) {
        evt_refuse(shard, request, 400, HD_LIT("Malformed Event Header"));
        return NULL;
    }
    const struct evt_package *package = evt_config_package(shard->config, ret_event->package);
    if (!package)
        refuse_event(shard, request);
    return package;
}

bool
evt_request_address(struct evt_shard *shard, struct evt_request *request, struct hd_slice text,
                    char key[SIP_KEY_MAX], size_t *ret_n)
{
    struct sip_uri uri;

    if (sip_uri_parse(text,
                      &uri)) { /* one that is too long does not come here, see sip_msg_parse */
        evt_refuse(shard, request, 400, HD_LIT("Malformed Request-URI"));
        return false;
    }
    switch (evt_resource_asked(shard, request->flow, &uri, key, ret_n)) {
    case HD_OK:
        return true;
    case HD_EDENIED: /* RFC 5627 section 5.1 */
        evt_refuse(shard, request, 404, HD_LIT("That Temporary GRUU Is Void"));
        return false;
    case HD_ENOTSUP:
        evt_refuse(shard, request, 416, HD_LIT("Unsupported URI Scheme"));
        return false;
    case HD_ENOMATCH:
        evt_refuse(shard, request, 404, HD_LIT("Domain Not Served Here"));
        return false;
    case HD_ERANGE:
        evt_refuse(shard, request, 414, HD_LIT("Request-URI Too Long"));
        return false;
    default:
        evt_refuse(shard, request, 400, HD_LIT("Malformed Request-URI"));
        return false;
    }
}

/* RFC 5630 section 4.1: a sips resource is not served over plain transport, but to a proxy that the
 * operator trusts to have taken TLS off. */
static bool
came_in_the_clear(const struct evt_shard *shard, const struct evt_request *request)
{
    return !evt_flow_is_secure(request->flow) &&
           (evt_direct(shard, request->flow, request->msg) ||
            !evt_listener_trusts(shard->config, request->flow));
}

bool
evt_request_resource(struct evt_shard *shard, struct evt_request *request, char key[SIP_KEY_MAX],
                     size_t *ret_n)
{
    if (!evt_uri_is_sips(request->msg->uri) || !came_in_the_clear(shard, request))
        return evt_request_address(shard, request, request->msg->uri, key, ret_n);
    evt_refuse_sips(shard, request, HD_LIT("SIPS Needs A Secure Transport"));
    return false;
}

enum hd_err
evt_grant_asked(struct evt_shard *shard, uint32_t asked_s, uint32_t min_s, uint32_t default_s,
                uint32_t max_s, bool hour_is_enough, uint32_t *ret_s)
{
    uint32_t asked = default_s, jitter;

    if (asked_s != UINT32_MAX) {
        asked = asked_s;
        if (asked == 0) {
            *ret_s = 0;
            return HD_OK;
        }
        /* RFC 6665 4.2.1.1: 423 only for less than an hour. */
        if (asked < min_s && (!hour_is_enough || asked < 3600))
            return HD_ERANGE;
    }
    if (asked > max_s)
        asked = max_s;
    /* Refreshes of many are spread by granting a little less; never below the minimum, never more.
     */
    jitter = (uint32_t)((uint64_t)asked * evt_limits(shard)->expires_jitter / 100);
    if (jitter > 0 && asked > min_s) {
        if (jitter > asked - min_s)
            jitter = asked - min_s;
        asked -= hd_rng_below(&shard->rng, jitter + 1);
    }
    *ret_s = asked;
    return HD_OK;
}

bool
evt_request_granted(struct evt_shard *shard, struct evt_request *request,
                    const struct evt_package *package, uint32_t default_s, bool hour_is_enough,
                    uint32_t *ret_s)
{
    const struct hd_slice value = sip_msg_value(request->msg, SIP_HDR_EXPIRES);
    uint32_t asked = UINT32_MAX;

    if (value.p && sip_delta_parse(value, &asked)) {
        evt_refuse(shard, request, 400, HD_LIT("Malformed Expires"));
        return false;
    }
    if (value.p && asked == UINT32_MAX)
        asked--; /* as good as any that is too long */
    if (!evt_grant_asked(shard, asked, package->min_expires_s, default_s, package->max_expires_s,
                         hour_is_enough, ret_s))
        return true;
    evt_refuse_brief(shard, request, package->min_expires_s);
    return false;
}

/* --- methods without state ------------------------------------------------------------------- */

/* RFC 4412 section 4.4, behind the other extensions. */
static void
out_priorities(struct evt_shard *shard, struct sip_out *out)
{
    if (shard->config->n_priorities) {
        sip_out_lit(out, ", resource-priority\r\nAccept-Resource-Priority: ");
        sip_out_priorities(out, evt_priorities(shard));
    }
    sip_out_crlf(out);
}

static void
request_options(struct evt_shard *shard, struct evt_request *request)
{
    const struct evt_config *config = shard->config;
    struct evt_reply reply;
    struct sip_uri uri;
    bool first = true;

    /* Any address is answered for: proxies ask by one that may be known to them alone (11.2). */
    if (sip_uri_parse(request->msg->uri, &uri)) {
        evt_refuse(shard, request, 400, HD_LIT("Malformed Request-URI"));
        return;
    }
    if (uri.scheme == SIP_SCHEME_OTHER) {
        evt_refuse(shard, request, 416, HD_LIT("Unsupported URI Scheme"));
        return;
    }
    if (evt_request_unsupported(shard, request))
        return;
    if (!evt_reply_begin(shard, request, 200, HD_LIT("OK"), hd_slice(NULL, 0), &reply))
        return;
    evt_out_allow(shard, &reply.out);
    sip_out_lit(&reply.out, "Accept: ");
    for (size_t i = 0; i < config->n_packages; i++) {
        for (size_t k = 0; k < config->packages[i]->n_types; k++, first = false) {
            if (!first)
                sip_out_lit(&reply.out, ", ");
            sip_out_slice(&reply.out, config->packages[i]->types[k]);
        }
    }
    sip_out_lit(&reply.out, "\r\nAccept-Encoding: identity\r\nAccept-Language: en\r\n"
                            "Supported: path, outbound, gruu");
    out_priorities(shard, &reply.out);
    evt_out_allow_events(shard, &reply.out);
    evt_reply_send(shard, &reply);
}

static void
request_not_allowed(struct evt_shard *shard, struct evt_request *request, unsigned status)
{
    struct evt_reply reply;

    evt_refused(shard, request, status);
    if (!evt_reply_begin(shard, request, status, hd_slice(NULL, 0), hd_slice(NULL, 0), &reply))
        return;
    evt_out_allow(shard, &reply.out);
    evt_reply_send(shard, &reply);
}

/* CANCEL has no effect on a transaction that is not INVITE, but is answered: 200 when it matches
 * one that we are working on or have answered (RFC 3261 9.2).  It travels as a SUBSCRIBE would; a
 * transaction that was routed by its resource is asked for there. */
static void
request_cancel(struct evt_shard *shard, struct evt_request *request)
{
    static const enum sip_method methods[] = { SIP_SUBSCRIBE, SIP_PUBLISH, SIP_REGISTER };
    unsigned status, home;

    for (size_t i = 0; i < HD_ARRAY_LEN(methods); i++) {
        struct evt_reply reply;
        uint64_t txn =
            sip_txn_hash_as(&shard->keys.table, request->msg, sip_method_name(methods[i]));
        if (!evt_ring_find(shard, txn, &status))
            continue;
        if (evt_reply_begin(shard, request, 200, HD_LIT("OK"), hd_slice(NULL, 0), &reply))
            evt_reply_send(shard, &reply);
        return;
    }
    if (!request->rerouted && evt_route_home(shard, request->flow, request->msg->uri, &home) &&
        home != shard->index && evt_forward(shard, request, home))
        return;
    evt_refuse(shard, request, 481, hd_slice(NULL, 0));
}

/* --- all requests ---------------------------------------------------------------------------- */

static bool
request_repeated(struct evt_shard *shard, struct evt_request *request)
{
    unsigned status;

    if (request->packet && (request->authenticated || request->stale))
        return false; /* it is the one that the ring marks as under way */
    if (!evt_ring_find(shard, request->txn, &status))
        return false;
    if (status == EVT_RING_RECORD) {
        request->known = true; /* the record that it made answers, or nobody does */
        return false;
    }
    if (status == EVT_RING_COUNTED) {
        request->counted = evt_ring_is_counted(shard, request->txn, request->octets);
        return false;
    }
    if (status == EVT_RING_IDENTITY)
        return false; /* no transaction's entry */
    if (status == EVT_RING_WORKING) {
        EVT_COUNT(shard, absorbed);
        return true;
    }
    if (status == EVT_RING_TRYING) { /* RFC 3261 17.2.2: the last provisional response again */
        EVT_COUNT(shard, retransmitted);
        evt_request_trying(shard, request);
        return true;
    }
    EVT_COUNT(shard, retransmitted);
    struct evt_reply reply;
    if (!evt_reply_begin(shard, request, status, hd_slice(NULL, 0), hd_slice(NULL, 0), &reply))
        return true;
    if (status == 500 || status == 503)
        sip_out_header_u32(&reply.out, HD_LIT("Retry-After"), evt_limits(shard)->retry_after_s);
    evt_reply_send(shard, &reply);
    return true;
}

void
evt_request_handle(struct evt_shard *shard, struct evt_request *request)
{
    enum sip_method method = request->msg->method;

    if (!request->authenticated &&
        !request->stale) { /* the others were counted when they came first */
        EVT_COUNT(shard, requests);
        EVT_COUNT(shard, by_method[method]);
        evt_rec_request(shard, request);
    }
    if (method == SIP_ACK)
        return; /* never answered */
    if (request_repeated(shard, request))
        return;
    switch (method) {
    case SIP_SUBSCRIBE:
        evt_subscribe(shard, request);
        return;
    case SIP_PUBLISH:
        evt_publish(shard, request);
        return;
    case SIP_REGISTER:
        evt_register(shard, request);
        return;
    case SIP_OPTIONS:
        request_options(shard, request);
        return;
    case SIP_CANCEL:
        request_cancel(shard, request);
        return;
    case SIP_METHOD_UNKNOWN:
    case SIP_METHOD_COUNT:
        request_not_allowed(shard, request, 501);
        return;
    case SIP_INVITE:
    case SIP_ACK:
    case SIP_BYE:
    case SIP_NOTIFY:
    case SIP_MESSAGE:
    case SIP_INFO:
    case SIP_PRACK:
    case SIP_UPDATE:
    case SIP_REFER:
        request_not_allowed(shard, request, 405);
        return;
    }
}
