/* answer.c - answers: writing them, sending them the way back, and remembering what left no record.
 *
 * What depends on a request's octets alone is answered without a trace: the same octets give the
 * same answer.  A refusal that depends on state leaves transaction and code in a capped ring for
 * 64*T1, so that a retransmission hears the same (RFC 3261 17.2.2). */
#include <stdlib.h>

#include "event/core.h"
#include "sip/dialog.h"

/* --- the ring -------------------------------------------------------------------------------- */

static struct evt_ring_entry *
ring_set(const struct evt_shard *shard, uint64_t txn)
{
    return &shard->ring[txn % EVT_RING_SETS * EVT_RING_WAYS];
}

static bool
ring_alive(const struct evt_shard *shard, const struct evt_ring_entry *entry)
{
    uint32_t left_ms = entry->until_ms - (uint32_t)shard->now_ms;

    /* Not above what was given: so old an entry does not come to life when the bits come round. */
    return entry->txn && left_ms > 0 && left_ms <= EVT_LINGER_MS;
}

static struct evt_ring_entry *
ring_place(struct evt_shard *shard, uint64_t txn)
{
    struct evt_ring_entry *set = ring_set(shard, txn), *place = &set[0];

    for (unsigned i = 0; i < EVT_RING_WAYS; i++) {
        if (set[i].txn == txn || !ring_alive(shard, &set[i])) {
            place = &set[i];
            if (set[i].txn == txn)
                break;
        } else if (ring_alive(shard, place) && (int32_t)(set[i].until_ms - place->until_ms) < 0) {
            place = &set[i]; /* the oldest goes first */
        }
    }
    return place;
}

void
evt_ring_put(struct evt_shard *shard, uint64_t txn, unsigned status)
{
    if (!txn)
        return; /* it came by no message, so it is not repeated */
    *ring_place(shard, txn) = (struct evt_ring_entry){
        .txn = txn, .until_ms = (uint32_t)shard->now_ms + EVT_LINGER_MS, .status = (uint16_t)status
    };
}

void
evt_ring_counted(struct evt_shard *shard, uint64_t txn, struct hd_slice octets)
{
    *ring_place(shard, txn) =
        (struct evt_ring_entry){ .txn = txn,
                                 .octets = hd_hash(&shard->keys.table, octets),
                                 .until_ms = (uint32_t)shard->now_ms + EVT_LINGER_MS,
                                 .status = EVT_RING_COUNTED };
}

bool
evt_ring_is_counted(struct evt_shard *shard, uint64_t txn, struct hd_slice octets)
{
    const struct evt_ring_entry *set = ring_set(shard, txn);

    for (unsigned i = 0; i < EVT_RING_WAYS; i++)
        if (set[i].txn == txn && ring_alive(shard, &set[i]))
            return set[i].status == EVT_RING_COUNTED &&
                   set[i].octets == hd_hash(&shard->keys.table, octets);
    return false;
}

bool
evt_ring_find(struct evt_shard *shard, uint64_t txn, unsigned *ret_status)
{
    const struct evt_ring_entry *set = ring_set(shard, txn);

    for (unsigned i = 0; i < EVT_RING_WAYS; i++) {
        if (set[i].txn == txn && ring_alive(shard, &set[i])) {
            *ret_status = set[i].status;
            return true;
        }
    }
    return false;
}

void
evt_ring_drop(struct evt_shard *shard, uint64_t txn)
{
    struct evt_ring_entry *set = ring_set(shard, txn);

    for (unsigned i = 0; i < EVT_RING_WAYS; i++)
        if (set[i].txn == txn)
            set[i].txn = 0;
}

bool
evt_ring_first(struct evt_shard *shard, uint64_t identity, uint64_t txn)
{
    const struct evt_ring_entry *set = ring_set(shard, identity);

    for (unsigned i = 0; i < EVT_RING_WAYS; i++)
        if (set[i].txn == identity && ring_alive(shard, &set[i]))
            return set[i].octets == txn;
    *ring_place(shard, identity) =
        (struct evt_ring_entry){ .txn = identity,
                                 .octets = txn,
                                 .until_ms = (uint32_t)shard->now_ms + EVT_LINGER_MS,
                                 .status = EVT_RING_IDENTITY };
    return true;
}

/* --- sending --------------------------------------------------------------------------------- */

/* Octets were written to what ports.net->reserve gave.  A connection of another shard gets them by
 * mail. */
void
evt_send(struct evt_shard *shard, const struct hd_flow *flow, size_t n, char *octets,
         uint64_t owner)
{
    unsigned to = flow->conn ? hd_conn_shard(flow->conn) : shard->index;

    if (to == shard->index || to >= shard->count) {
        shard->ports.net->commit(shard->ports.net_context, flow, n, owner);
        return;
    }
    struct evt_mail_octets *mail = malloc(sizeof(*mail) + n);
    if (!mail)
        return; /* as if the network had lost it: retransmission or the peer's covers it */
    mail->flow = *flow;
    mail->owner = owner;
    mail->n = n;
    memcpy(mail->octets, octets, n);
    evt_post(shard, to, EVT_MAIL_OCTETS, &mail->mail);
}

/* --- beginning and ending an answer ---------------------------------------------------------- */

/* A To-tag for answers outside of dialogs: computed, so that a retransmission gets the same one
 * (RFC 3261 8.2.7). */
static struct hd_slice
reply_tag(const struct evt_shard *shard, const struct evt_request *request, char ret[16])
{
    static const char hex[] = "0123456789abcdef";
    uint64_t tag = hd_hash_mix(request->txn, hd_hash(&shard->keys.id, request->msg->call_id));

    for (int i = 0; i < 16; i++, tag >>= 4)
        ret[i] = hex[tag & 15];
    return hd_slice(ret, 16);
}

static struct hd_flow
reply_flow(const struct evt_request *request)
{
    struct hd_flow flow = *request->flow;

    if (flow.transport == HD_UDP)
        flow.remote = sip_reply_target(request->msg, &request->flow->remote);
    return flow;
}

bool
evt_reply_begin(struct evt_shard *shard, struct evt_request *request, unsigned status,
                struct hd_slice phrase, struct hd_slice to_tag, struct evt_reply *reply)
{
    size_t cap = EVT_REPLY_MAX + request->octets.n;
    char *buffer = shard->ports.net->reserve(shard->ports.net_context, cap);
    char tag[16];

    if (!buffer)
        return false;
    if (!to_tag.n)
        to_tag = reply_tag(shard, request, tag);
    reply->flow = reply_flow(request);
    reply->call = evt_rec_call(shard, request->msg->call_id);
    reply->status = status;
    sip_out_init(&reply->out, buffer, cap);
    sip_reply_begin(&reply->out, request->msg, status, phrase, to_tag, &request->flow->remote);
    return true;
}

static void
out_status(struct sip_out *out, unsigned status)
{
    sip_out_lit(out, "SIP/2.0 ");
    sip_out_u32(out, status);
    sip_out_char(out, ' ');
    sip_out_slice(out, sip_status_phrase(status));
    sip_out_crlf(out);
}

bool
evt_reply_begin_head(struct evt_shard *shard, const struct evt_head *head, unsigned status,
                     struct evt_reply *reply)
{
    size_t cap = EVT_REPLY_MAX + head->n;
    char *buffer = shard->ports.net->reserve(shard->ports.net_context, cap);

    if (!buffer)
        return false;
    reply->flow = head->flow;
    reply->call = head->call;
    reply->status = status;
    sip_out_init(&reply->out, buffer, cap);
    out_status(&reply->out, status);
    sip_out_slice(&reply->out, hd_slice(head->octets, head->n));
    return true;
}

void
evt_reply_send(struct evt_shard *shard, struct evt_reply *reply)
{
    size_t n;

    if (shard->config->server.n)
        sip_out_header(&reply->out, HD_LIT("Server"), shard->config->server);
    sip_reply_end(&reply->out);
    /* The buffer holds the request's own size and more than all we add. */
    if (sip_out_finish(&reply->out, &n))
        return;
    if (reply->status < HD_ARRAY_LEN(shard->counters.by_status))
        EVT_COUNT(shard, by_status[reply->status]);
    evt_rec_reply(shard, reply->call, &reply->flow, hd_slice(reply->out.p, n));
    evt_send(shard, &reply->flow, n, reply->out.p, 0);
}

struct evt_head *
evt_head_new(struct evt_shard *shard, struct evt_request *request, struct hd_slice to_tag,
             bool route)
{
    struct sip_out out;
    char tag[16];
    size_t cap = request->octets.n + 1024, n;
    struct evt_head *head;

    if (request->ask) {
        head = calloc(1, sizeof(*head));
        if (head)
            head->ask = request->ask;
        return head;
    }
    head = malloc(sizeof(*head) + cap);
    if (!head)
        return NULL;
    head->ask = NULL;
    if (!to_tag.n)
        to_tag = reply_tag(shard, request, tag);
    sip_out_init(&out, head->octets, cap);
    sip_reply_begin(&out, request->msg, 200, HD_LIT("OK"), to_tag, &request->flow->remote);
    if (route)
        sip_route_echo(request->msg, &out);
    if (sip_out_finish(&out, &n)) {
        free(head);
        return NULL;
    }
    /* The status line is written anew with each answer. */
    const char *rest = memchr(head->octets, '\n', n);
    HD_ASSERT(rest != NULL);
    head->n = n - (size_t)(rest + 1 - head->octets);
    memmove(head->octets, rest + 1, head->n);
    head->flow = reply_flow(request);
    head->call = evt_rec_call(shard, request->msg->call_id);
    head->arrived_us = request->arrived_us;
    struct hd_slice stamp = sip_msg_value(request->msg, SIP_HDR_TIMESTAMP);
    head->n_stamp = stamp.n;
    if (stamp.n) /* there is room: it is part of the request, and no part of the answer */
        memcpy(head->octets + head->n, stamp.p, stamp.n);
    return head;
}

void
evt_head_free(struct evt_head *head)
{
    if (head && head->ask)
        evt_ask_refuse(head->ask, 503, HD_LIT("Server Is Stopping"), 1);
    free(head);
}

/* --- refusals -------------------------------------------------------------------------------- */

/* Codes that depend on what we hold, not on the request's octets alone. */
static bool
status_needs_trace(unsigned status)
{
    switch (status) {
    case 403:
    case 404:
    case 412:
    case 481:
    case 482:
    case 488:
    case 500:
    case 503:
        return true;
    default:
        return false;
    }
}

void
evt_refused(struct evt_shard *shard, struct evt_request *request, unsigned status)
{
    evt_rec_refused(shard, request, status);
    if (status_needs_trace(status))
        evt_ring_put(shard, request->txn, status);
    if (status >= 400)
        evt_source_failed(shard, request->flow);
}

void
evt_refuse(struct evt_shard *shard, struct evt_request *request, unsigned status,
           struct hd_slice phrase)
{
    struct evt_reply reply;

    evt_refused(shard, request, status);
    if (request->ask)
        evt_ask_refuse(request->ask, status, phrase, 0);
    else if (evt_reply_begin(shard, request, status, phrase, hd_slice(NULL, 0), &reply))
        evt_reply_send(shard, &reply);
}

void
evt_refuse_later(struct evt_shard *shard, struct evt_request *request, unsigned status,
                 struct hd_slice phrase)
{
    struct evt_reply reply;

    evt_rec_refused(shard, request, status);
    if (request->ask) {
        evt_ask_refuse(request->ask, status, phrase, evt_limits(shard)->retry_after_s);
        return;
    }
    evt_ring_put(shard, request->txn, status);
    if (!evt_reply_begin(shard, request, status, phrase, hd_slice(NULL, 0), &reply))
        return;
    sip_out_header_u32(&reply.out, HD_LIT("Retry-After"), evt_limits(shard)->retry_after_s);
    evt_reply_send(shard, &reply);
}

void
evt_refuse_head(struct evt_shard *shard, struct evt_head *head, unsigned status)
{
    struct evt_reply reply;

    if (head->ask) {
        evt_ask_refuse(head->ask, status, sip_status_phrase(status),
                       status >= 500 ? evt_limits(shard)->retry_after_s : 0);
        head->ask = NULL;
        return;
    }
    if (!evt_reply_begin_head(shard, head, status, &reply))
        return;
    if (status >= 500)
        sip_out_header_u32(&reply.out, HD_LIT("Retry-After"), evt_limits(shard)->retry_after_s);
    evt_reply_send(shard, &reply);
}

/* RFC 3261 8.2.6.1: the request's Timestamp, and how long this took in seconds (one that names a
 * delay itself is copied as it is). */
static void
out_timestamp(struct sip_out *out, const struct evt_shard *shard, const struct evt_head *head)
{
    struct hd_slice stamp = hd_slice(head->octets + head->n, head->n_stamp);
    uint64_t delay_ms = (shard->now_us - head->arrived_us) / 1000;

    sip_out_lit(out, "Timestamp: ");
    sip_out_unfolded(out, stamp);
    if (hd_slice_find(stamp, ' ') == stamp.n) {
        sip_out_char(out, ' ');
        sip_out_u64(out, delay_ms / 1000);
        sip_out_char(out, '.');
        for (uint64_t unit = 100, rest = delay_ms % 1000; unit; rest %= unit, unit /= 10)
            sip_out_u64(out, rest / unit);
    }
    sip_out_crlf(out);
}

/* RFC 4320 4.1: a non-INVITE that takes long is told so, once Timer E of the client has reached T2.
 */
void
evt_trying(struct evt_shard *shard, const struct evt_head *head, uint64_t txn)
{
    struct evt_reply reply;

    HD_ASSERT(!head->ask);
    evt_ring_put(shard, txn, EVT_RING_TRYING);
    if (!evt_reply_begin_head(shard, head, 100, &reply))
        return;
    if (head->n_stamp)
        out_timestamp(&reply.out, shard, head);
    evt_reply_send(shard, &reply);
}

void
evt_refuse_brief(struct evt_shard *shard, struct evt_request *request, uint32_t min_s)
{
    struct evt_reply reply;

    evt_refused(shard, request, 423);
    if (request->ask) {
        request->ask->min_expires_s = min_s;
        evt_ask_refuse(request->ask, 423, HD_LIT("Interval Too Brief"), 0);
        return;
    }
    if (!evt_reply_begin(shard, request, 423, HD_LIT("Interval Too Brief"), hd_slice(NULL, 0),
                         &reply))
        return;
    sip_out_header_u32(&reply.out, HD_LIT("Min-Expires"), min_s);
    evt_reply_send(shard, &reply);
}

void
evt_refuse_sips(struct evt_shard *shard, struct evt_request *request, struct hd_slice phrase)
{
    struct evt_reply reply;

    evt_refused(shard, request, 480);
    if (request->ask) {
        evt_ask_refuse(request->ask, 480, phrase, 0);
        return;
    }
    if (!evt_reply_begin(shard, request, 480, phrase, hd_slice(NULL, 0), &reply))
        return;
    sip_out_lit(&reply.out, "Warning: 380 ");
    evt_out_local(shard, &reply.out, &request->flow->local);
    sip_out_lit(&reply.out, " \"SIPS Not Allowed\"\r\n");
    evt_reply_send(shard, &reply);
}

/* --- header fields that several answers share ------------------------------------------------ */

/* Nearly always the address of the last time: its text is kept. */
void
evt_out_local(struct evt_shard *shard, struct sip_out *out, const struct hd_addr *addr)
{
    if (!hd_addr_eq(&shard->local, addr)) {
        shard->local = *addr;
        shard->local_n = hd_addr_text(addr, shard->local_text);
    }
    sip_out_slice(out, hd_slice(shard->local_text, shard->local_n));
}

/* RFC 5630 section 3.1.3: sips means TLS whatever transport says, and transport=tls is for sip
 * alone.  RFC 7118 section 5.2: ws for both kinds. */
static struct hd_slice
contact_transport(enum hd_transport transport, bool secure)
{
    switch (transport) {
    case HD_UDP:
    case HD_HTTP:
        break;
    case HD_TCP:
        return HD_LIT(";transport=tcp");
    case HD_TLS:
        return secure ? HD_LIT("") : HD_LIT(";transport=tls");
    case HD_WS:
    case HD_WSS:
        return HD_LIT(";transport=ws");
    }
    return HD_LIT("");
}

/* Contact: configured, or the address on which the peer reaches us, with our GRUU's parameter (RFC
 * 5627, RFC 6665 4.5.1).  What is configured is a SIP URI. */
void
evt_out_contact(struct evt_shard *shard, struct sip_out *out, const struct hd_flow *flow,
                bool secure)
{
    const struct evt_config *config = shard->config;

    sip_out_lit(out, "Contact: <");
    sip_out_slice(out, secure ? HD_LIT("sips:") : HD_LIT("sip:"));
    if (flow->listener < config->n_listeners && config->listeners[flow->listener].contact.n) {
        sip_out_slice(out, hd_slice_from(config->listeners[flow->listener].contact, 4));
    } else {
        evt_out_local(shard, out, &flow->local);
        sip_out_slice(out, contact_transport((enum hd_transport)flow->transport, secure));
        if (config->instance.n) {
            sip_out_lit(out, ";gr=");
            sip_out_slice(out, config->instance);
        }
    }
    sip_out_lit(out, ">\r\n");
}

void
evt_out_allow_events(struct evt_shard *shard, struct sip_out *out)
{
    const struct evt_config *config = shard->config;

    sip_out_lit(out, "Allow-Events: ");
    for (size_t i = 0; i < config->n_packages; i++) {
        if (i)
            sip_out_lit(out, ", ");
        sip_out_slice(out, config->packages[i]->name);
    }
    sip_out_crlf(out);
}

void
evt_out_accept(const struct evt_package *package, size_t n, struct hd_slice more,
               struct sip_out *out)
{
    sip_out_lit(out, "Accept: ");
    for (size_t i = 0; i < n; i++) {
        if (i)
            sip_out_lit(out, ", ");
        sip_out_slice(out, package->types[i]);
    }
    if (more.n) {
        sip_out_lit(out, ", ");
        sip_out_slice(out, more);
    }
    sip_out_crlf(out);
}

void
evt_out_allow(const struct evt_shard *shard, struct sip_out *out)
{
    sip_out_lit(out, "Allow: SUBSCRIBE, PUBLISH, OPTIONS, CANCEL");
    if (shard->config->registrar.enabled)
        sip_out_lit(out, ", REGISTER");
    sip_out_crlf(out);
}
