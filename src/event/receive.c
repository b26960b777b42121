/* receive.c - from octets to the shard that owns them.
 *
 * A message names its owner: a response by the branch of its Via, a request inside a dialog by its
 * To-tag, PUBLISH and REGISTER by their resource, another SUBSCRIBE by the way it came.  A message
 * of another shard's travels as a copy and is parsed again there. */
#include <stdlib.h>

#include "event/core.h"

/* --- routing --------------------------------------------------------------------------------- */

unsigned
evt_home(const struct evt_shard *shard, struct hd_slice key)
{
    return hd_bucket_shard(hd_hash_bucket(hd_hash(&shard->keys.table, key)), shard->count);
}

uint64_t
evt_key_hash(const struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    return hd_hash_mix(hd_hash(&shard->keys.table, key), hd_hash(&shard->keys.table, package));
}

/* What we serve, and the address to which the message came: it is ours whatever was known of it at
 * the start (a wildcard listener takes what comes to any address that the machine has by then). */
static enum hd_err
resource_key(const struct evt_shard *shard, const struct hd_flow *flow, const struct sip_uri *uri,
             char key[SIP_KEY_MAX], size_t *ret_n, bool *ret_temporary, uint32_t *ret_generation)
{
    struct sip_served served = shard->config->served;
    enum hd_err err = sip_resource_key(uri, &served, key, ret_n);

    *ret_temporary = false;
    if (err == HD_ENOMATCH) {
        served.own = &flow->local;
        served.n_own = 1;
        err = sip_resource_key(uri, &served, key, ret_n);
    }
    if (err || key[4] != 't') /* none begins otherwise: "sip:tgruu." */
        return err;
    /* RFC 5627: a temporary GRUU stands for its address of record; one that we never made for
     * nothing. */
    switch (evt_gruu_read(shard, key, ret_n, ret_generation)) {
    case HD_OK:
        *ret_temporary = true;
        return HD_OK;
    case HD_ESYNTAX:
        return HD_ENOMATCH;
    default:
        return HD_OK;
    }
}

enum hd_err
evt_resource_key(const struct evt_shard *shard, const struct hd_flow *flow,
                 const struct sip_uri *uri, char key[SIP_KEY_MAX], size_t *ret_n)
{
    uint32_t generation;
    bool temporary;

    return resource_key(shard, flow, uri, key, ret_n, &temporary, &generation);
}

enum hd_err
evt_resource_asked(struct evt_shard *shard, const struct hd_flow *flow, const struct sip_uri *uri,
                   char key[SIP_KEY_MAX], size_t *ret_n)
{
    uint32_t generation;
    bool temporary;
    enum hd_err err = resource_key(shard, flow, uri, key, ret_n, &temporary, &generation);

    if (!err && temporary && evt_home(shard, hd_slice(key, *ret_n)) == shard->index &&
        !evt_gruu_is_current(shard, hd_slice(key, *ret_n), generation))
        return HD_EDENIED;
    return err;
}

bool
evt_route_home(struct evt_shard *shard, const struct hd_flow *flow, struct hd_slice text,
               unsigned *ret_shard)
{
    struct sip_uri uri;
    char key[SIP_KEY_MAX];
    size_t n;

    if (sip_uri_parse(text, &uri) || evt_resource_key(shard, flow, &uri, key, &n))
        return false;
    *ret_shard = evt_home(shard, hd_slice(key, n));
    return true;
}

/* Whether a request came straight from its sender: no proxy in between, neither seen (one Via) nor
 * configured. */
bool
evt_direct(const struct evt_shard *shard, const struct hd_flow *flow, const struct sip_msg *msg)
{
    (void)shard;
    (void)flow;
    return msg->n_vias == 1 && !sip_msg_has(msg, SIP_HDR_RECORD_ROUTE);
}

/* Whether the user of a URI may be that of a temporary GRUU; a look, without parsing. */
static bool
looks_temporary(struct hd_slice uri)
{
    size_t at = hd_slice_find(uri, ':') + 1;

    if (at + 6 >= uri.n || (uri.p[at] != 't' && uri.p[at] != '%'))
        return false;
    uri = hd_slice_from(uri, at);
    return hd_slice_starts(uri, HD_LIT("tgruu.")) || memchr(uri.p, '%', 6);
}

unsigned
evt_route_bucket(struct evt_shard *shard, const struct hd_flow *flow, const struct sip_msg *msg)
{
    struct sip_uri uri;
    char key[SIP_KEY_MAX];
    size_t n;

    /* Only its home knows whether a temporary GRUU is void. */
    if (looks_temporary(msg->uri) && !sip_uri_parse(msg->uri, &uri) &&
        !evt_resource_key(shard, flow, &uri, key, &n))
        return hd_hash_bucket(hd_hash(&shard->keys.table, hd_slice(key, n)));
    if (!evt_direct(shard, flow, msg))
        return hd_hash_bucket(hd_hash(&shard->keys.table, msg->call_id));
    if (flow->conn)
        return hd_shard_bucket(&shard->rng, hd_conn_shard(flow->conn), shard->count);
    return hd_addr_bucket(&flow->remote);
}

static unsigned
route_request(struct evt_shard *shard, const struct hd_flow *flow, const struct sip_msg *msg)
{
    uint64_t id;
    uint32_t sequence;
    unsigned to = shard->index;

    switch (msg->method) {
    case SIP_PUBLISH:
        evt_route_home(shard, flow, msg->uri, &to);
        return to;
    case SIP_REGISTER:
        evt_route_home(shard, flow, msg->to.uri, &to);
        return to;
    case SIP_SUBSCRIBE:
    case SIP_CANCEL:
        if (!msg->to_tag.n)
            return hd_bucket_shard(evt_route_bucket(shard, flow, msg), shard->count);
        if (hd_id_read(&shard->keys.id, HD_ID_TAG, msg->to_tag, &id, &sequence) == HD_OK)
            return hd_bucket_shard(hd_id_bucket(id), shard->count);
        return shard->index;
    default:
        return shard->index;
    }
}

bool
evt_forward(struct evt_shard *shard, struct evt_request *request, unsigned to)
{
    struct evt_packet *packet = request->packet;

    if (!packet)
        packet = evt_packet_new(request->flow, request->octets, request->peer, request->arrived_us);
    if (!packet)
        return false;
    request->keep_packet = true;
    packet->rerouted = true;
    EVT_COUNT(shard, forwarded);
    evt_post(shard, to, EVT_MAIL_PACKET, &packet->mail);
    return true;
}

/* Whom the certificate of the connection names; asked of net/ on the shard that has it. */
static struct hd_slice
conn_peer(struct evt_shard *shard, const struct hd_flow *flow)
{
    if ((flow->transport != HD_TLS && flow->transport != HD_WSS) || !shard->ports.net->peer)
        return hd_slice(NULL, 0);
    return shard->ports.net->peer(shard->ports.net_context, flow->conn);
}

static void
forward_octets(struct evt_shard *shard, const struct hd_flow *flow, struct hd_slice octets,
               unsigned to)
{
    struct evt_packet *packet = evt_packet_new(flow, octets, conn_peer(shard, flow), shard->now_us);

    if (!packet)
        return; /* as if it had been lost on the way: the sender repeats it */
    EVT_COUNT(shard, forwarded);
    evt_post(shard, to, EVT_MAIL_PACKET, &packet->mail);
}

/* --- responses ------------------------------------------------------------------------------- */

/* Whether sent-by is what we write into our Via: the local address of a flow. */
static bool
sent_by_us(const struct evt_shard *shard, const struct hd_flow *flow, const struct sip_via *via)
{
    struct hd_addr addr;

    if (hd_addr_parse(via->host, via->port ? via->port : 5060, &addr) == HD_OK &&
        hd_addr_eq(&addr, &flow->local))
        return true;
    return sip_served_host(&shard->config->served, via->host, via->port) != SIP_OURS_NO;
}

/* Only an answer to what we sent: one Via, ours, with a branch that only we can have made (RFC
 * 3261 18.1.2, 8.1.3.3). */
static bool
response_owner(const struct evt_shard *shard, const struct hd_flow *flow, const struct sip_msg *msg,
               uint64_t *ret_id, uint32_t *ret_branch)
{
    struct hd_slice branch = msg->via.branch;

    if (msg->n_vias != 1 || msg->cseq.method != SIP_NOTIFY || branch.n != 7 + HD_ID_TEXT ||
        !hd_slice_starts(branch, HD_LIT("z9hG4bK")) || !sent_by_us(shard, flow, &msg->via))
        return false;
    return hd_id_read(&shard->keys.id, HD_ID_BRANCH, hd_slice_from(branch, 7), ret_id,
                      ret_branch) == HD_OK;
}

static void
receive_response(struct evt_shard *shard, const struct hd_flow *flow, struct hd_slice octets,
                 const struct sip_msg *msg)
{
    uint64_t id;
    uint32_t branch;

    if (!response_owner(shard, flow, msg, &id, &branch)) {
        EVT_COUNT(shard, strays);
        return;
    }
    unsigned to = hd_bucket_shard(hd_id_bucket(id), shard->count);
    if (to != shard->index) {
        forward_octets(shard, flow, octets, to);
        return;
    }
    EVT_COUNT(shard, responses);
    struct evt_sub *sub = evt_sub_find(shard, id);
    if (!sub) {
        EVT_COUNT(shard, strays);
        return;
    }
    evt_rec_response(shard, sub, msg, flow);
    evt_notify_response(shard, msg, flow, sub, branch);
}

/* --- requests -------------------------------------------------------------------------------- */

/* A request that could not be parsed: answered when what an answer is copied from could be read
 * (RFC 3261 8.2, 18.3). */
static void
receive_malformed(struct evt_shard *shard, const struct hd_flow *flow, struct hd_slice octets,
                  const struct sip_msg *msg, const struct sip_fault *fault)
{
    EVT_COUNT(shard, malformed);
    if (!fault->answerable || fault->status == 0 || msg->method == SIP_ACK) {
        evt_source_failed(shard, flow);
        return;
    }
    struct evt_request request = {
        .flow = flow, .octets = octets, .msg = msg, .arrived_us = shard->now_us
    };
    request.txn = sip_txn_hash(&shard->keys.table, msg);
    evt_rec_malformed(shard, &request);
    evt_refuse(shard, &request, fault->status, hd_slice_str(fault->reason));
}

static void
receive_request(struct evt_shard *shard, const struct hd_flow *flow, struct hd_slice octets,
                const struct sip_msg *msg, struct evt_packet *packet)
{
    struct evt_request request = { .flow = flow, .octets = octets, .msg = msg, .packet = packet };

    request.txn = sip_txn_hash(&shard->keys.table, msg);
    request.arrived_us = packet ? packet->arrived_us : shard->now_us;
    if (packet) {
        request.rerouted = packet->rerouted;
        request.authenticated = packet->authenticated;
        request.stale = packet->stale;
        request.identity = packet->identity;
        request.peer = hd_slice(packet->octets + packet->n, packet->n_peer);
    } else {
        request.peer = conn_peer(shard, flow);
    }
    evt_request_handle(shard, &request);
    if (packet && !request.keep_packet)
        free(packet);
}

void
evt_packet_handle(struct evt_shard *shard, struct evt_packet *packet)
{
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;
    struct hd_slice octets = hd_slice(packet->octets, packet->n);

    if (packet->ask) {
        struct evt_ask *ask = packet->ask;
        free(packet);
        evt_ask_handle(shard, ask);
        return;
    }
    hd_arena_init(&arena, shard->parse_memory, sizeof(shard->parse_memory));
    /* It was parsed as a whole message before it travelled. */
    if (sip_msg_parse_by_branch(octets, false, &arena, &msg, &fault)) {
        free(packet);
        return;
    }
    if (msg.request) {
        receive_request(shard, &packet->flow, octets, &msg, packet);
        return;
    }
    receive_response(shard, &packet->flow, octets, &msg);
    free(packet);
}

/* RFC 7118 section 5: a message of a WebSocket holds one message of SIP and nothing behind it;
 * Content-Length need not be there. */
static enum hd_err
parse(const struct hd_flow *flow, struct hd_slice octets, struct hd_arena *arena,
      struct sip_msg *msg, struct sip_fault *fault)
{
    const enum hd_transport transport = (enum hd_transport)flow->transport;
    enum hd_err err =
        sip_msg_parse_by_branch(octets, hd_transport_is_stream(transport), arena, msg, fault);

    if (err || transport == HD_UDP || hd_transport_is_stream(transport) ||
        msg->body.p + msg->body.n == octets.p + octets.n)
        return err;
    *fault = (struct sip_fault){ .status = 400,
                                 .reason = "Content-Length Smaller Than Message",
                                 .answerable = true };
    return HD_ESYNTAX;
}

/* RFC 5923 section 8.2: a peer with a certificate may say in his Via that requests for its sent-by
 * can come down his own connection.  A name has to be one of his; an address the one he comes from.
 */
static void
note_alias(struct evt_shard *shard, const struct hd_flow *flow, const struct sip_msg *msg)
{
    struct hd_addr addr, at = flow->remote;
    struct hd_slice names, rest;
    bool proved = false;

    if (!sip_param_find(msg->via.params, HD_LIT("alias"), NULL))
        return;
    names = rest = conn_peer(shard, flow);
    if (sip_host_addr(msg->via.host, 0, &addr) == HD_OK)
        proved = names.n && hd_addr_same_ip(&addr, &flow->remote);
    while (!proved && rest.n)
        proved = hd_slice_ieq(hd_slice_cut(&rest, ' '), msg->via.host);
    if (!proved)
        return;
    at.port = msg->via.port ? msg->via.port : 5061;
    evt_alias_note(shard, flow->conn, &at, names);
}

void
evt_shard_receive(struct evt_shard *shard, const struct hd_flow *flow, struct hd_slice octets,
                  uint64_t now_us)
{
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;

    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    evt_shard_tick(shard, now_us);
    bool response = hd_slice_istarts(octets, HD_LIT("SIP/"));
    if (!response && !evt_source_allowed(shard, flow)) {
        EVT_COUNT(shard, unanswered);
        return;
    }
    hd_arena_init(&arena, shard->parse_memory, sizeof(shard->parse_memory));
    if (parse(flow, octets, &arena, &msg, &fault)) {
        if (response)
            EVT_COUNT(shard, malformed);
        else
            receive_malformed(shard, flow, octets, &msg, &fault);
        return;
    }
    if (!msg.request) {
        receive_response(shard, flow, octets, &msg);
        return;
    }
    if (flow->transport == HD_TLS)
        note_alias(shard, flow, &msg);
    unsigned to = route_request(shard, flow, &msg);
    if (to != shard->index) {
        forward_octets(shard, flow, octets, to);
        return;
    }
    receive_request(shard, flow, octets, &msg, NULL);
}
