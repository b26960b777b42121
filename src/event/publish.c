/* publish.c - PUBLISH: the event state compositor (RFC 3903 section 6).
 *
 * Completely or not at all: a change is prepared, kept, and then applied, composed and answered in
 * one step.  A publication is its own transaction: it knows the last two requests that it answered,
 * and lingers after its end for their repetitions. */
#include <stdlib.h>

#include "event/core.h"
#include "sip/body.h"
#include "sip/chars.h"

/* --- answering ------------------------------------------------------------------------------- */

static void
out_published(struct evt_shard *shard, struct evt_reply *reply, uint64_t id,
              const struct evt_done *done)
{
    char etag[HD_ID_TEXT];

    hd_id_text(&shard->keys.id, HD_ID_ETAG, id, done->etag, etag);
    sip_out_header(&reply->out, HD_LIT("SIP-ETag"), hd_slice(etag, HD_ID_TEXT));
    sip_out_header_u32(&reply->out, HD_LIT("Expires"), done->expires_s);
    evt_reply_send(shard, reply);
}

static void
answer_again(struct evt_shard *shard, struct evt_request *request, const struct evt_pub *pub,
             const struct evt_done *done)
{
    struct evt_reply reply;

    EVT_COUNT(shard, retransmitted);
    if (evt_reply_begin(shard, request, 200, hd_slice(NULL, 0), hd_slice(NULL, 0), &reply))
        out_published(shard, &reply, pub->id, done);
}

static bool
repeated(struct evt_shard *shard, struct evt_request *request, const struct evt_pub *pub)
{
    if (pub->change && pub->change->done.txn == request->txn) {
        EVT_COUNT(shard, absorbed);
        return true;
    }
    for (int i = 0; i < 2; i++) {
        if (pub->done[i].txn == request->txn) {
            answer_again(shard, request, pub, &pub->done[i]);
            return true;
        }
    }
    return false;
}

/* What an ask hears: as above. */
static void
tell_published(struct evt_shard *shard, struct evt_head *head, const struct evt_pub *pub,
               enum evt_change_kind kind)
{
    struct evt_ask *ask = head->ask;

    head->ask = NULL;
    ask->status = 200;
    ask->created = kind == EVT_CHANGE_CREATE;
    ask->granted_s = pub->done[0].expires_s;
    hd_id_text(&shard->keys.id, HD_ID_ETAG, pub->id, pub->done[0].etag, ask->etag_text);
    ask->answered(ask);
}

/* --- the life of a publication --------------------------------------------------------------- */

static void
pub_change_free(struct evt_shard *shard, struct evt_pub *pub)
{
    struct evt_pub_change *change = pub->change;

    if (!change)
        return;
    pub->change = NULL;
    evt_head_free(change->head);
    evt_doc_unref(change->doc);
    free(change);
    shard->waiting--;
    evt_gauge(shard, &shard->counters.waiting, -1);
}

/* While a change is under way the time may run out: what the store says comes first. */
static void
pub_rearm(struct evt_shard *shard, struct evt_pub *pub)
{
    uint64_t due = !pub->change && (pub->live || pub->gone) ? pub->expires_at_ms : UINT64_MAX;

    if (pub->change && !pub->change->trying_sent) {
        uint64_t trying = pub->change->started_ms + SIP_TRYING_AFTER_MS;
        due = trying < due ? trying : due;
    }
    if (evt_waiting_due(pub->waiting) < due)
        due = evt_waiting_due(pub->waiting);
    if (due != UINT64_MAX)
        hd_wheel_start(&shard->wheel, &pub->timer, due);
}

/* Over: what it published is no longer shown; the record stays for repetitions of its last request.
 */
static void
pub_end(struct evt_shard *shard, struct evt_pub *pub)
{
    struct evt_resource *resource = evt_resource_at(shard, pub->resource);

    if (pub->live) {
        pub->live = false;
        EVT_COUNT(shard, publications_ended);
        evt_resource_count(shard, resource, -1);
    }
    pub->gone = true;
    pub->doc = evt_doc_unref(pub->doc);
    resource->priority = pub->priority; /* that it is over is as urgent */
    pub->expires_at_ms = shard->now_ms + EVT_LINGER_MS;
    pub_rearm(shard, pub);
    evt_resource_compose(shard, resource);
}

void
evt_pub_fired(struct evt_shard *shard, struct evt_pub *pub)
{
    if (pub->change && !pub->change->trying_sent &&
        shard->now_ms >= pub->change->started_ms + SIP_TRYING_AFTER_MS) {
        pub->change->trying_sent = true;
        evt_trying(shard, pub->change->head, pub->change->done.txn);
    }
    evt_waiting_trying(shard, pub->waiting);
    if (pub->change || shard->now_ms < pub->expires_at_ms) {
        pub_rearm(shard, pub);
        return;
    }
    if (pub->gone) {
        if (pub->tombstone)
            (void)!evt_record_remove(shard, EVT_RECORD_PUBLICATION, hd_id_bucket(pub->id), pub->id,
                                     0);
        evt_pub_free(shard, pub);
        return;
    }
    /* RFC 3903 section 6: the state expires by itself.  A record that stays behind in the store has
     * expired as well. */
    (void)!evt_record_remove(shard, EVT_RECORD_PUBLICATION, hd_id_bucket(pub->id), pub->id, 0);
    evt_did(shard, pub->id, EVT_DID_EXPIRE, 0);
    pub_end(shard, pub);
}

/* --- the store's word ------------------------------------------------------------------------ */

/* The document has that of the request that made it; one that leaves it as it is may raise it. */
uint8_t
evt_pub_priority_after(const struct evt_pub *pub, const struct evt_pub_change *change)
{
    return change->doc || change->priority > pub->priority ? change->priority : pub->priority;
}

static void
pub_apply(struct evt_shard *shard, struct evt_pub *pub)
{
    struct evt_pub_change *change = pub->change;
    struct evt_resource *resource = evt_resource_at(shard, pub->resource);
    struct evt_reply reply;

    pub->done[1] = pub->done[0];
    pub->done[0] = change->done;
    pub->etag = change->done.etag;
    pub->expires_at_ms = shard->now_ms + (uint64_t)change->done.expires_s * 1000;
    if (change->kind == EVT_CHANGE_CREATE) {
        pub->live = true;
        EVT_COUNT(shard, publications_made);
        evt_resource_count(shard, resource, 1);
    }
    pub->priority = evt_pub_priority_after(pub, change);
    if (change->kind == EVT_CHANGE_END) {
        pub->tombstone = true;
        pub_end(shard, pub);
    } else if (change->doc) {
        evt_doc_unref(pub->doc);
        pub->doc = change->doc;
        pub->order = change->order;
        change->doc = NULL;
        evt_pub_move(shard, pub, EVT_NONE);
        evt_resource_alive(shard, resource, true);
    } else {
        evt_resource_alive(shard, resource, false);
    }
    evt_rec_pub(shard, pub, change->head->call);
    evt_did(shard, pub->id, EVT_DID_PUBLISH, resource->snapshot ? resource->snapshot->number : 0);
    if (change->priority)
        evt_did(shard, pub->id, EVT_DID_PRIORITY, change->priority);
    /* The new state is in the mirrors' mailboxes before the 200 leaves: a fetch after it sees it.
     */
    evt_ring_put(shard, change->done.txn, EVT_RING_RECORD);
    if (change->head->ask)
        tell_published(shard, change->head, pub, change->kind);
    else if (evt_reply_begin_head(shard, change->head, 200, &reply))
        out_published(shard, &reply, pub->id, &pub->done[0]);
}

void
evt_pub_stored(struct evt_shard *shard, struct evt_pub *pub, enum hd_err err)
{
    struct evt_packet *packet;

    if (!pub->change)
        return;
    if (err) { /* the old state is untouched */
        evt_did(shard, pub->change->head->call, EVT_DID_UNKEPT, 0);
        evt_ring_put(shard, pub->change->done.txn, 503);
        evt_refuse_head(shard, pub->change->head, 503);
        if (pub->change->kind == EVT_CHANGE_CREATE) {
            pub_change_free(shard, pub);
            evt_pub_free(shard, pub); /* nobody knows its entity-tag, so nothing waits behind it */
            return;
        }
    } else {
        pub_apply(shard, pub);
    }
    pub_change_free(shard, pub);
    pub_rearm(shard, pub);
    while (!pub->change &&
           (packet = evt_waiting_take(shard, &pub->waiting, &pub->waiting_end, &pub->n_waiting)))
        evt_packet_handle(shard, packet);
}

static void
pub_submit(struct evt_shard *shard, struct evt_pub *pub, struct evt_request *request)
{
    struct hd_handle handle = hd_table_handle(&shard->pubs, pub->index);
    uint64_t ticket = evt_ticket(EVT_RECORD_PUBLICATION, pub->index, handle.generation);
    enum hd_err err;

    evt_request_working(shard, request);
    err = evt_record_pub(shard, pub, pub->change, ticket);
    if (err) {
        EVT_COUNT(shard, store_failures);
        evt_pub_stored(shard, pub, HD_ESTORE);
        return;
    }
    pub_rearm(shard, pub);
}

/* --- reading a PUBLISH ----------------------------------------------------------------------- */

struct wanted {
    const struct evt_package *package;
    struct sip_event event;
    char key[SIP_KEY_MAX];
    size_t key_n;
    uint32_t expires_s;
    struct sip_body body;
    struct evt_doc *patched; /* body is a patch: what the publication says after it; a reference */
    bool has_etag;
    uint64_t id;
    uint32_t etag;
};

/* RFC 3903 section 6 step 4: SIP-If-Match names one publication, or nothing that we know.  The tag
 * is read before the transaction is looked for, and judged after it. */
static bool
read_if_match(struct evt_shard *shard, const struct sip_msg *msg, struct wanted *want)
{
    struct hd_slice value = sip_msg_value(msg, SIP_HDR_SIP_IF_MATCH);

    want->has_etag = value.p != NULL;
    return value.p &&
           hd_id_read(&shard->keys.id, HD_ID_ETAG, value, &want->id, &want->etag) == HD_OK;
}

/* entity-tag = token (RFC 3903 12): one, in one field. */
static bool
is_one_etag(const struct sip_msg *msg)
{
    struct hd_slice value = sip_msg_value(msg, SIP_HDR_SIP_IF_MATCH);

    return sip_msg_count(msg, SIP_HDR_SIP_IF_MATCH) == 1 && value.n > 0 &&
           sip_span(value.p, sip_end(value), SIP_C_TOKEN) == value.n;
}

static bool
read_expires(struct evt_shard *shard, struct evt_request *request, struct wanted *want)
{
    return evt_request_granted(shard, request, want->package, want->package->default_expires_s,
                               false, &want->expires_s);
}

static void
refuse_type(struct evt_shard *shard, struct evt_request *request, const struct evt_package *package)
{
    struct evt_reply reply;

    evt_refused(shard, request, 415);
    if (request->ask) {
        evt_ask_refuse(request->ask, 415, HD_LIT("Unsupported Media Type"), 0);
        return;
    }
    if (!evt_reply_begin(shard, request, 415, HD_LIT("Unsupported Media Type"), hd_slice(NULL, 0),
                         &reply))
        return;
    evt_out_accept(package, evt_package_published(package), package->patch_type, &reply.out);
    evt_reply_send(shard, &reply);
}

/* RFC 5621: the body, or the part of it, that is the package's. */
static bool
find_body(struct evt_shard *shard, struct evt_request *request, struct wanted *want)
{
    const struct evt_package *package = want->package;
    struct hd_slice types[EVT_PACKAGE_TYPES_MAX + 1];
    size_t n = 0;

    HD_ASSERT(package->n_types <= EVT_PACKAGE_TYPES_MAX);
    for (; n < evt_package_published(package); n++)
        types[n] = package->types[n];
    if (package->patch_type.n)
        types[n++] = package->patch_type;
    switch (sip_body_find(request->msg, types, n, &want->body)) {
    case HD_OK:
        if (want->body.octets.n)
            return true;
        evt_refuse(shard, request, 400, HD_LIT("Empty Body"));
        return false;
    case HD_ENOMATCH:
    case HD_ENOTSUP:
        refuse_type(shard, request, package);
        return false;
    case HD_EEXIST:
        evt_refuse(shard, request, 400, HD_LIT("More Than One Document"));
        return false;
    default:
        evt_refuse(shard, request, 400,
                   sip_msg_has(request->msg, SIP_HDR_CONTENT_TYPE)
                       ? HD_LIT("Malformed Content-Type Or Multipart Body")
                       : HD_LIT("Missing Content-Type Header"));
        return false;
    }
}

/* The same of one that came by no message. */
static bool
asked_body(struct evt_shard *shard, struct evt_request *request, struct wanted *want)
{
    const struct evt_package *package = want->package;
    const struct evt_ask *ask = request->ask;

    if (ask->body.n == 0) {
        evt_refuse(shard, request, 400, HD_LIT("Empty Body"));
        return false;
    }
    bool known = package->patch_type.n && sip_media_same(ask->type, package->patch_type);
    for (size_t i = 0; i < evt_package_published(package) && !known; i++)
        known = sip_media_same(ask->type, package->types[i]);
    if (known)
        want->body = (struct sip_body){ .type = ask->type, .octets = ask->body };
    else
        refuse_type(shard, request, package);
    return known;
}

/* A document that cannot be kept, or a patch that cannot be applied. */
static bool
judge_body(struct evt_shard *shard, struct evt_request *request, const struct wanted *want,
           enum hd_err err, const char *reason)
{
    switch (err) {
    case HD_OK:
        return true;
    case HD_ENOTSUP:
        refuse_type(shard, request, want->package);
        return false;
    case HD_ENOMEM:
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
        return false;
    default:
        evt_refuse(shard, request, 400, reason ? hd_slice_str(reason) : HD_LIT("Malformed Body"));
        return false;
    }
}

/* pub NULL: the request names no publication that is there.  A patch (RFC 7396) changes what it
 * said, which nothing else changes before it is kept; what is acknowledged, kept and validated is
 * the outcome. */
static bool
apply_patch(struct evt_shard *shard, struct evt_request *request, struct wanted *want,
            const struct evt_pub *pub, uint32_t most)
{
    const struct evt_package *package = want->package;
    const char *reason = NULL;

    if (!package->patch_type.n || !sip_media_same(want->body.type, package->patch_type))
        return true;
    if (!pub) {
        evt_refuse(shard, request, 400, HD_LIT("A Patch To Nothing That Is Published"));
        return false;
    }
    enum hd_err err =
        package->ops->patch(package, pub->doc, want->body.octets, &want->patched, &reason);
    if (!judge_body(shard, request, want, err, reason))
        return false;
    if (want->patched->body.n > most) {
        evt_refuse(shard, request, 413, HD_LIT("Request Entity Too Large"));
        return false;
    }
    want->body = (struct sip_body){ .type = want->patched->type, .octets = want->patched->body };
    return true;
}

/* The published document: its type, its size, and the package's own word on it. */
static bool
read_body(struct evt_shard *shard, struct evt_request *request, struct wanted *want,
          const struct evt_pub *pub)
{
    const struct evt_package *package = want->package;
    uint32_t most = package->max_body ? package->max_body : evt_limits(shard)->max_body;
    const char *reason = NULL;

    if ((request->ask ? request->ask->body.n : request->msg->body.n) > most) {
        evt_refuse(shard, request, 413, HD_LIT("Request Entity Too Large"));
        return false;
    }
    if (request->ask ? !asked_body(shard, request, want) : !find_body(shard, request, want))
        return false;
    if (!apply_patch(shard, request, want, pub, most))
        return false;
    enum hd_err err = package->ops->validate(package, want->body.type, want->body.octets, &reason);
    if (!judge_body(shard, request, want, err, reason))
        return false;
    if (reason)
        EVT_COUNT(shard, publications_unfit);
    if (want->patched)
        EVT_COUNT(shard, publications_patched);
    return true;
}

static struct evt_pub_change *
change_new(struct evt_shard *shard, struct evt_request *request, const struct wanted *want,
           enum evt_change_kind kind, uint32_t etag, uint64_t order)
{
    struct evt_pub_change *change = calloc(1, sizeof(*change));

    if (!change)
        return NULL;
    change->kind = kind;
    change->started_ms = request->arrived_us / 1000;
    change->trying_sent = request->ask || (request->packet && request->packet->trying_sent);
    change->done =
        (struct evt_done){ .txn = request->txn, .expires_s = want->expires_s, .etag = etag };
    change->head = evt_head_new(shard, request, hd_slice(NULL, 0), false);
    if (want->patched)
        change->doc = evt_doc_ref(want->patched);
    else if (want->body.octets.n)
        change->doc = evt_doc_new(want->body.type, want->body.octets);
    change->order = change->doc ? evt_order(shard) : order;
    change->priority = request->priority;
    if (!change->head || (want->body.octets.n && !change->doc)) {
        free(change->head); /* who asked is told by the caller */
        evt_doc_unref(change->doc);
        free(change);
        return NULL;
    }
    shard->waiting++;
    evt_gauge(shard, &shard->counters.waiting, 1);
    return change;
}

/* --- initial --------------------------------------------------------------------------------- */

/* RFC 3903 section 6 step 6 with Expires: 0: it expires at once, so nothing is kept; the tag is one
 * that no publication has. */
static void
answer_gone_at_once(struct evt_shard *shard, struct evt_request *request, const struct wanted *want)
{
    struct evt_done done = { .txn = request->txn };
    struct evt_reply reply;
    uint64_t bucket = hd_hash_bucket(hd_hash(&shard->keys.table, hd_slice(want->key, want->key_n)));

    /* Computed from the request, so that a repetition hears the same. */
    uint64_t id = bucket << (64 - HD_BUCKET_BITS) | request->txn >> HD_BUCKET_BITS;
    if (evt_reply_begin(shard, request, 200, HD_LIT("OK"), hd_slice(NULL, 0), &reply))
        out_published(shard, &reply, id, &done);
}

/* Those that are not over, also those that are being kept. */
static uint32_t
publications_of(struct evt_shard *shard, const struct evt_resource *resource)
{
    uint32_t n = 0;

    for (uint32_t i = resource->newest; i != EVT_NONE;) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        n += !pub->gone;
        i = pub->older;
    }
    return n;
}

static void
publish_initial(struct evt_shard *shard, struct evt_request *request, const struct wanted *want)
{
    struct evt_resource *resource;
    struct evt_pub *pub;

    if (want->expires_s == 0) {
        answer_gone_at_once(shard, request, want);
        return;
    }
    resource = evt_resource_get(shard, hd_slice(want->key, want->key_n), want->package);
    if (!resource) {
        EVT_COUNT(shard, caps_reached);
        evt_refuse_later(shard, request, 503, HD_LIT("No Room For A Resource"));
        return;
    }
    if (publications_of(shard, resource) >= evt_limits(shard)->publications_per_resource) {
        EVT_COUNT(shard, caps_reached);
        evt_resource_release(shard, resource);
        evt_refuse(shard, request, 403, HD_LIT("Too Many Publications Of This Resource"));
        return;
    }
    struct hd_slice publisher = hd_slice(request->identity.key, request->identity.key_len);
    if (request->ask)
        pub = evt_pub_new_as(shard, resource, publisher, want->id);
    else
        pub = evt_pub_new(shard, resource, publisher);
    if (!pub) {
        EVT_COUNT(shard, caps_reached);
        evt_resource_release(shard, resource);
        evt_refuse_later(shard, request, 503, HD_LIT("No Room For A Publication"));
        return;
    }
    /* An id that was there before begins with another sequence: its old tags are not taken. */
    uint32_t first = request->ask ? 1 + hd_rng_below(&shard->rng, 1u << 31) : 1;
    pub->change = change_new(shard, request, want, EVT_CHANGE_CREATE, first, 0);
    if (!pub->change) {
        evt_pub_free(shard, pub);
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
        return;
    }
    pub_submit(shard, pub, request);
}

/* --- modify, refresh, remove ----------------------------------------------------------------- */

static void
publish_change(struct evt_shard *shard, struct evt_request *request, const struct wanted *want,
               struct evt_pub *pub)
{
    enum evt_change_kind kind = want->expires_s == 0 ? EVT_CHANGE_END : EVT_CHANGE_REFRESH;

    pub->change = change_new(shard, request, want, kind, pub->etag + 1, pub->order);
    if (!pub->change) {
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
        return;
    }
    pub_submit(shard, pub, request);
}

/* Whether the tag is the one in force of a publication of this resource and package. */
static bool
pub_matches(struct evt_shard *shard, const struct evt_pub *pub, const struct wanted *want)
{
    if (!pub || !pub->live || pub->etag != want->etag)
        return false;
    const struct evt_resource *resource = evt_resource_at(shard, pub->resource);
    return hd_slice_eq(resource->key, hd_slice(want->key, want->key_n)) &&
           hd_slice_eq(resource->package->name, want->package->name);
}

/* An initial PUBLISH that was answered, or is being worked on, is found among the publications of
 * its resource. */
static bool
initial_known(struct evt_shard *shard, struct evt_request *request)
{
    struct sip_event event;
    struct sip_uri uri;
    char key[SIP_KEY_MAX];
    size_t n;

    if (sip_uri_parse(request->msg->uri, &uri) ||
        evt_resource_key(shard, request->flow, &uri, key, &n) ||
        sip_event_parse(sip_msg_value(request->msg, SIP_HDR_EVENT), &event))
        return false;
    const struct evt_resource *resource = evt_resource_find(shard, hd_slice(key, n), event.package);
    for (uint32_t i = resource ? resource->newest : EVT_NONE; i != EVT_NONE;) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        if (repeated(shard, request, pub))
            return true;
        i = pub->older;
    }
    return false;
}

/* RFC 3261 8.2 and RFC 3903 6 in their order: Request-URI, Require, Event, and what follows.
 * False: it was answered. */
static bool
read_publish(struct evt_shard *shard, struct evt_request *request, struct wanted *want,
             const struct evt_pub *pub)
{
    if (!evt_request_resource(shard, request, want->key, &want->key_n) ||
        evt_request_unsupported(shard, request))
        return false;
    want->package = evt_request_package(shard, request, &want->event);
    if (!want->package)
        return false;
    if (want->package->closed) {
        evt_refuse(shard, request, 403, HD_LIT("State Of This Package Is Not Published"));
        return false;
    }
    struct evt_verdict verdict =
        shard->ports.policy->publish(shard->ports.policy_context, shard->config, &request->identity,
                                     hd_slice(want->key, want->key_n), want->package);
    if (verdict.decision != EVT_ALLOW) {
        evt_did(shard, evt_rec_request_call(shard, request), EVT_DID_DENY, verdict.rule);
        evt_refuse(shard, request, 403, HD_LIT("Not Allowed To Publish This Resource"));
        return false;
    }
    if (want->has_etag && !is_one_etag(request->msg)) {
        evt_refuse(shard, request, 400, HD_LIT("Not One Entity-Tag"));
        return false;
    }
    if (want->has_etag && !pub_matches(shard, pub, want)) {
        evt_refuse(shard, request, 412, HD_LIT("Conditional Request Failed"));
        return false;
    }
    if (!read_expires(shard, request, want))
        return false;
    if (!want->has_etag && request->msg->body.n == 0) {
        evt_refuse(shard, request, 400, HD_LIT("Initial PUBLISH Without Body"));
        return false;
    }
    if (request->msg->body.n > 0 && !(want->has_etag && want->expires_s == 0) &&
        !read_body(shard, request, want, pub))
        return false;
    if (shard->draining) {
        evt_refuse_later(shard, request, 503, HD_LIT("Server Is Stopping"));
        return false;
    }
    return !evt_request_is_too_many(shard, request);
}

void
evt_publish(struct evt_shard *shard, struct evt_request *request)
{
    struct wanted want;
    struct evt_pub *pub = NULL;

    memset(&want, 0, sizeof(want));
    if (read_if_match(shard, request->msg, &want))
        pub = evt_pub_find(shard, want.id);
    if (pub ? repeated(shard, request, pub) : !want.has_etag && initial_known(shard, request))
        return;
    if ((pub && evt_request_waits(shard, request, pub->waiting)) ||
        evt_request_outdated(shard, request))
        return;
    if (evt_request_authenticate(shard, request) != EVT_AUTHED ||
        !evt_request_priority(shard, request))
        return;
    if (pub && pub->change) {
        evt_request_wait(shard, request, &pub->waiting_end, &pub->waiting, &pub->n_waiting);
        pub_rearm(shard, pub);
        return;
    }
    if (read_publish(shard, request, &want, pub) && !evt_merged(shard, request)) {
        if (want.has_etag)
            publish_change(shard, request, &want, pub);
        else
            publish_initial(shard, request, &want);
    }
    evt_doc_unref(want.patched);
}

/* --- by no message --------------------------------------------------------------------------- */

/* A publisher has one publication of a resource and package that he makes without naming it: its id
 * is made of who and what, so that it is found again after a restart. */
static uint64_t
own_id(const struct evt_shard *shard, const struct evt_request *request, const struct wanted *want)
{
    const struct hd_slice key = hd_slice(want->key, want->key_n);
    uint64_t hash = evt_key_hash(shard, key, want->package->name);

    hash = hd_hash_mix(
        hash, hd_hash(&shard->keys.id, hd_slice(request->identity.key, request->identity.key_len)));
    return (uint64_t)hd_hash_bucket(hd_hash(&shard->keys.table, key)) << (64 - HD_BUCKET_BITS) |
           hash >> HD_BUCKET_BITS;
}

/* Which publication is meant; NULL: none that is there.  want gets its id, and the tag in force. */
static struct evt_pub *
asked_pub(struct evt_shard *shard, const struct evt_request *request, struct wanted *want)
{
    const struct evt_ask *ask = request->ask;
    struct evt_pub *pub;

    want->has_etag = ask->match == EVT_MATCH_ETAG;
    if (want->has_etag)
        return hd_id_read(&shard->keys.id, HD_ID_ETAG, ask->etag, &want->id, &want->etag)
                   ? NULL
                   : evt_pub_find(shard, want->id);
    want->id = own_id(shard, request, want);
    pub = evt_pub_find(shard, want->id);
    if (pub)
        want->etag = pub->etag;
    return pub;
}

/* RFC 9110 section 13.1: what is asked for is there, or is not, as was said. */
static bool
asked_matches(struct evt_shard *shard, struct evt_request *request, const struct wanted *want,
              const struct evt_pub *pub)
{
    const bool there = pub_matches(shard, pub, want);

    switch (request->ask->match) {
    case EVT_MATCH_OWN:
        if (request->ask->kind != EVT_ASK_REMOVE || there)
            return true;
        evt_refuse(shard, request, 404, HD_LIT("Nothing Is Published"));
        return false;
    case EVT_MATCH_NONE:
        if (!there)
            return true;
        break;
    case EVT_MATCH_ANY:
    case EVT_MATCH_ETAG:
        if (there)
            return true;
        break;
    }
    evt_refuse(shard, request, 412, HD_LIT("Conditional Request Failed"));
    return false;
}

static bool
asked_expires(struct evt_shard *shard, struct evt_request *request, struct wanted *want)
{
    const struct evt_package *package = want->package;

    if (request->ask->kind == EVT_ASK_REMOVE)
        return true; /* 0 */
    if (evt_grant_asked(shard, request->ask->expires_s, package->min_expires_s,
                        package->default_expires_s, package->max_expires_s, false,
                        &want->expires_s) == HD_OK)
        return true;
    evt_refuse_brief(shard, request, package->min_expires_s);
    return false;
}

static bool
asked_allowed(struct evt_shard *shard, struct evt_request *request, const struct wanted *want)
{
    struct evt_verdict verdict = { .decision = EVT_DENY };

    if (!want->package->closed)
        verdict = shard->ports.policy->publish(shard->ports.policy_context, shard->config,
                                               &request->identity, hd_slice(want->key, want->key_n),
                                               want->package);
    if (verdict.decision == EVT_ALLOW)
        return true;
    evt_did(shard, evt_rec_request_call(shard, request), EVT_DID_DENY, verdict.rule);
    evt_refuse(shard, request, 403, HD_LIT("Not Allowed To Publish This Resource"));
    return false;
}

static void
publish_asked(struct evt_shard *shard, struct evt_request *request, struct wanted *want)
{
    const struct evt_ask *ask = request->ask;

    want->package = evt_config_package(shard->config, ask->package);
    HD_ASSERT(ask->key.n <= sizeof(want->key));
    memcpy(want->key, ask->key.p, ask->key.n);
    want->key_n = ask->key.n;
    if (!want->package) {
        evt_refuse(shard, request, 404, HD_LIT("No Such Package"));
        return;
    }
    struct evt_pub *pub = asked_pub(shard, request, want);
    if (pub && pub->change) {
        evt_request_wait(shard, request, &pub->waiting_end, &pub->waiting, &pub->n_waiting);
        pub_rearm(shard, pub);
        return;
    }
    if (!asked_allowed(shard, request, want) || !asked_matches(shard, request, want, pub) ||
        !asked_expires(shard, request, want))
        return;
    const bool there = pub_matches(shard, pub, want);
    if ((!there || ask->body.p) && ask->kind != EVT_ASK_REMOVE &&
        !read_body(shard, request, want, there ? pub : NULL))
        return;
    if (shard->draining || shard->waiting >= evt_limits(shard)->waiting) {
        EVT_COUNT(shard, refused_busy);
        evt_refuse_later(shard, request, 503, HD_LIT("Server Busy Or Stopping"));
        return;
    }
    if (there) {
        publish_change(shard, request, want, pub);
        return;
    }
    if (pub && pub->live) { /* another one drew this id by chance */
        evt_refuse_later(shard, request, 500, HD_LIT("Publish Under Another Name"));
        return;
    }
    if (pub) /* the last of it stood there for repetitions of a message */
        evt_pub_free(shard, pub);
    publish_initial(shard, request, want);
}

void
evt_publish_asked(struct evt_shard *shard, struct evt_request *request)
{
    struct wanted want;

    memset(&want, 0, sizeof(want));
    publish_asked(shard, request, &want);
    evt_doc_unref(want.patched);
}
