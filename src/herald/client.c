/* client.c - transactions of a user agent (client.h says what for).
 *
 * A transaction is one request until its final response: every challenge that is answered and every
 * change of transport makes a new branch (and CSeq), but stays the same struct txn, so that the
 * caller sees one answer.  Invariants:
 *   - a transaction in the list has Timer F running, and Timer E as well on UDP;
 *   - answer is called once, after the transaction has left the list;
 *   - no transaction is kept after its final response (Timer K): a repeated response finds nothing
 *     and is dropped, which is all that the state Completed is for (RFC 3261 17.1.2.2);
 *   - a request that was answered is answered again with the same octets for 64*T1 (Timer J). */
#include "herald/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "sip/dialog.h"
#include "sip/digest.h"
#include "sip/reply.h"
#include "sip/txn.h"

#define MESSAGE_MAX 65536u  /* octets of one message that we write */
#define HEAD_SCRATCH 16384u /* header array of a parsed message */
#define ANSWERS_MAX 64u     /* answers kept for repetition */
#define TCP_ABOVE 1300u     /* RFC 3261 18.1.1 */
#define STALE_MAX 3u        /* stale challenges answered for one request */
#define CHALLENGE_MAX 2048u
#define TEXT_MAX 255u
#define BRANCH_N 23u /* magic cookie and 16 hex digits */

#define ALLOW "Allow: NOTIFY, OPTIONS\r\n"

/* A challenge that was answered, kept so that later requests carry credentials at once. */
struct credit {
    bool known;
    char text[CHALLENGE_MAX];
    struct sip_digest challenge; /* into text */
    uint32_t nc;
};

enum realm_kind { REALM_UAS = 0, REALM_PROXY, REALM_COUNT };

struct txn {
    struct txn *next;
    uint64_t id;
    struct ua_client *client;
    struct ua_request request; /* headers, type and body point behind the struct */
    struct hd_flow flow;
    char branch[BRANCH_N];
    char *octets; /* as sent */
    size_t octets_n;
    unsigned again;
    uint32_t interval_ms; /* of Timer E */
    bool proceeding;
    bool big;                     /* went to TCP for its size */
    bool udp_only;                /* TCP was refused */
    bool challenged[REALM_COUNT]; /* a challenge was answered for this request */
    unsigned stale;
    struct ua_timer timer_e, timer_f;
    char copy[];
};

struct answered {
    struct answered *next;
    uint64_t hash;
    uint64_t until_ms;
    size_t n;
    char octets[];
};

#define CLIENT_MAGIC 0x5541636cu
struct ua_client {
    unsigned magic;
    void *context;
    ua_send_f send;
    struct hd_rng *rng;
    uint64_t now_ms;
    enum hd_transport transport;
    struct hd_addr local, server;
    char contact_user[TEXT_MAX], username[TEXT_MAX], password[TEXT_MAX];
    size_t contact_user_n, username_n, password_n;
    struct credit credit[REALM_COUNT];
    struct hd_hash_key key;
    struct txn *txns;
    uint64_t last_id;
    struct answered *answers; /* the newest first */
    struct ua_listener *listeners;
    struct hd_wheel wheel;
    char scratch[HEAD_SCRATCH];
    char out[MESSAGE_MAX];
};

/* --- texts and dialogs ------------------------------------------------------------------------ */

enum hd_err
ua_uri_set(struct ua_uri *uri, struct hd_slice text)
{
    if (text.n > sizeof uri->p)
        return HD_ERANGE;
    memmove(uri->p, text.p ? text.p : "", text.n);
    uri->n = text.n;
    return HD_OK;
}

static void
hex_fill(struct hd_rng *rng, char *ret, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i += 16) {
        uint64_t value = hd_rng_u64(rng);
        for (size_t k = i; k < n && k < i + 16; k++, value >>= 4)
            ret[k] = digit[value & 15];
    }
}

enum hd_err
ua_dialog_init(struct ua_dialog *dialog, struct hd_rng *rng, struct hd_slice from,
               struct hd_slice to)
{
    if (from.n > SIP_MAX_URI || to.n > SIP_MAX_URI)
        return HD_ERANGE;
    memset(dialog, 0, sizeof *dialog);
    dialog->call_id_n = 32;
    hex_fill(rng, dialog->call_id, dialog->call_id_n);
    dialog->local_tag_n = 16;
    hex_fill(rng, dialog->local_tag, dialog->local_tag_n);
    dialog->cseq = hd_rng_below(rng, 1000); /* RFC 3261 8.1.1.5: any below 2^31 */
    enum hd_err err = ua_uri_set(&dialog->from, from);
    return err ? err : ua_uri_set(&dialog->to, to);
}

enum hd_err
ua_dialog_create(struct ua_dialog *dialog, const struct sip_msg *notify)
{
    char route[UA_ROUTE_MAX];
    struct sip_out out;
    struct sip_addr contact;
    size_t route_n;

    if (notify->from_tag.n == 0)
        return HD_ESYNTAX;
    if (notify->from_tag.n > sizeof dialog->remote_tag)
        return HD_ERANGE;
    enum hd_err err = sip_contact_one(notify, &contact);
    if (err)
        return HD_ESYNTAX;
    sip_out_init(&out, route, sizeof route);
    err = sip_route_set(notify, hd_slice_istarts(contact.uri, HD_LIT("sips:")), &out);
    if (err)
        return err;
    err = sip_out_finish(&out, &route_n);
    if (err)
        return err;
    err = ua_uri_set(&dialog->target, contact.uri);
    if (err)
        return err;
    memcpy(dialog->route, route, route_n);
    dialog->route_n = route_n;
    memcpy(dialog->remote_tag, notify->from_tag.p, notify->from_tag.n);
    dialog->remote_tag_n = notify->from_tag.n;
    return HD_OK;
}

void
ua_dialog_retarget(struct ua_dialog *dialog, const struct sip_msg *msg)
{
    struct sip_addr contact;
    if (sip_contact_one(msg, &contact) == HD_OK && contact.uri.n &&
        contact.uri.n <= sizeof dialog->target.p) {
        memmove(dialog->target.p, contact.uri.p, contact.uri.n);
        dialog->target.n = contact.uri.n;
    }
}

/* --- the client ------------------------------------------------------------------------------- */

static enum hd_err
text_keep(char ret[TEXT_MAX], size_t *ret_n, struct hd_slice text)
{
    if (text.n > TEXT_MAX)
        return HD_ERANGE;
    memcpy(ret, text.p ? text.p : "", text.n);
    *ret_n = text.n;
    return HD_OK;
}

enum hd_err
ua_client_new(const struct ua_params *params, struct ua_client **ret_client)
{
    enum hd_err err;
    struct ua_client *client = calloc(1, sizeof *client);
    if (!client)
        return HD_ENOMEM;
    client->magic = CLIENT_MAGIC;
    client->context = params->context;
    client->send = params->send;
    client->rng = params->rng;
    client->now_ms = params->now_ms;
    client->transport = params->transport;
    client->local = params->local;
    client->server = params->server;
    err = text_keep(client->contact_user, &client->contact_user_n, params->contact_user);
    if (!err)
        err = text_keep(client->username, &client->username_n, params->username);
    if (!err)
        err = text_keep(client->password, &client->password_n, params->password);
    if (err) {
        free(client);
        return err;
    }
    client->key.k0 = hd_rng_u64(client->rng);
    client->key.k1 = hd_rng_u64(client->rng);
    hd_wheel_init(&client->wheel, params->now_ms);
    *ret_client = client;
    return HD_OK;
}

static void
txn_free(struct txn *txn)
{
    hd_wheel_stop(&txn->client->wheel, &txn->timer_e.timer);
    hd_wheel_stop(&txn->client->wheel, &txn->timer_f.timer);
    free(txn->octets);
    free(txn);
}

void
ua_client_free(struct ua_client *client)
{
    if (!client)
        return;
    HD_ASSERT_OBJ(client, CLIENT_MAGIC);
    while (client->txns) {
        struct txn *txn = client->txns;
        client->txns = txn->next;
        txn_free(txn);
    }
    while (client->answers) {
        struct answered *answered = client->answers;
        client->answers = answered->next;
        free(answered);
    }
    client->magic = 0;
    memset(client->password, 0, sizeof client->password);
    free(client);
}

uint64_t
ua_client_now(const struct ua_client *client)
{
    return client->now_ms;
}

struct hd_rng *
ua_client_rng(struct ua_client *client)
{
    return client->rng;
}

void
ua_timer_start(struct ua_client *client, struct ua_timer *timer, uint64_t after_ms)
{
    hd_wheel_start(&client->wheel, &timer->timer, client->now_ms + after_ms);
}

void
ua_timer_stop(struct ua_client *client, struct ua_timer *timer)
{
    hd_wheel_stop(&client->wheel, &timer->timer);
}

static void
timer_fire(void *context, struct hd_timer *timer)
{
    (void)context;
    struct ua_timer *due = HD_CONTAINER(timer, struct ua_timer, timer);
    due->fire(due->context);
}

uint64_t
ua_client_advance(struct ua_client *client, uint64_t now_ms)
{
    HD_ASSERT_OBJ(client, CLIENT_MAGIC);
    if (now_ms > client->now_ms)
        client->now_ms = now_ms;
    hd_wheel_advance(&client->wheel, client->now_ms, timer_fire, NULL);
    return hd_wheel_wait_ms(&client->wheel);
}

void
ua_client_listen(struct ua_client *client, struct ua_listener *listener)
{
    listener->next = client->listeners;
    client->listeners = listener;
}

void
ua_client_unlisten(struct ua_client *client, struct ua_listener *listener)
{
    struct ua_listener **at = &client->listeners;
    while (*at && *at != listener)
        at = &(*at)->next;
    if (*at)
        *at = listener->next;
}

/* --- transactions ----------------------------------------------------------------------------- */

static struct txn **
txn_place(struct ua_client *client, uint64_t id)
{
    struct txn **at = &client->txns;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static void
txn_unlink(struct txn *txn)
{
    struct txn **at = txn_place(txn->client, txn->id);
    HD_ASSERT(*at == txn);
    *at = txn->next;
    hd_wheel_stop(&txn->client->wheel, &txn->timer_e.timer);
    hd_wheel_stop(&txn->client->wheel, &txn->timer_f.timer);
}

/* The end of a transaction: the caller hears of it when it is out of the list. */
static void
txn_finish(struct txn *txn, enum ua_outcome outcome, const struct sip_msg *msg)
{
    struct ua_answer answer = { .outcome = outcome, .status = msg ? msg->status : 0, .msg = msg };
    txn_unlink(txn);
    txn->request.answer(txn->request.context, &answer);
    txn_free(txn);
}

void
ua_request_forget(struct ua_client *client, uint64_t id)
{
    struct txn *txn = *txn_place(client, id);
    if (txn) {
        txn_unlink(txn);
        txn_free(txn);
    }
}

static void
timer_f_fire(void *context)
{
    txn_finish(context, UA_TIMEOUT, NULL);
}

static void
timer_e_fire(void *context)
{
    struct txn *txn = context;
    struct ua_client *client = txn->client;
    /* RFC 3261 17.1.2.2: doubles up to T2; after a provisional response it is T2. */
    txn->interval_ms = txn->proceeding ? SIP_T2_MS : sip_timer_e_next(txn->interval_ms);
    ua_timer_start(client, &txn->timer_e, txn->interval_ms);
    txn->again++;
    client->send(client->context, &txn->flow, hd_slice(txn->octets, txn->octets_n), txn->again,
                 txn->id);
}

/* TLS is for those who were told to use it: then nothing goes in the clear. */
static bool
can_use(const struct ua_client *client, enum hd_transport transport)
{
    if (client->transport == HD_TLS)
        return transport == HD_TLS;
    return transport == HD_UDP || transport == HD_TCP;
}

/* Which hop a request takes: inside a dialog its route set or target, else the server. */
static enum hd_err
txn_route(struct txn *txn, struct sip_hop *ret_hop)
{
    struct ua_client *client = txn->client;
    const struct ua_dialog *dialog = txn->request.dialog;
    enum hd_transport transport;
    struct hd_addr addr;

    *ret_hop = (struct sip_hop){ .request_uri = txn->request.uri };
    txn->flow = (struct hd_flow){ .transport = (uint8_t)client->transport,
                                  .local = client->local,
                                  .remote = client->server };
    if (dialog->remote_tag_n == 0)
        return HD_OK;
    enum hd_err err = sip_dialog_hop(hd_slice(dialog->route, dialog->route_n),
                                     ua_uri_slice(&dialog->target), ret_hop);
    if (err)
        return err;
    /* A name, a transport that we do not have, or an address that is none: the server we were told
     * to use is taken as an outbound proxy. */
    if (sip_uri_addr(&ret_hop->next, &transport, &addr) != HD_OK || hd_addr_is_any(&addr) ||
        addr.family != client->local.family || !can_use(client, transport))
        return HD_OK;
    if (sip_uri_param(&ret_hop->next, HD_LIT("transport"), NULL))
        txn->flow.transport = (uint8_t)transport;
    txn->flow.remote = addr;
    return HD_OK;
}

static void
contact_write(struct ua_client *client, enum hd_transport transport, bool secure,
              struct sip_out *out)
{
    sip_out_slice(out, secure ? HD_LIT("Contact: <sips:") : HD_LIT("Contact: <sip:"));
    if (client->contact_user_n) {
        sip_out_slice(out, hd_slice(client->contact_user, client->contact_user_n));
        sip_out_lit(out, "@");
    }
    sip_out_addr(out, &client->local);
    if (transport == HD_TCP)
        sip_out_lit(out, ";transport=tcp");
    else if (transport == HD_TLS && !secure)
        sip_out_lit(out, ";transport=tls");
    sip_out_lit(out, ">\r\n");
}

static void
credit_write(struct txn *txn, enum realm_kind kind, struct hd_slice uri, struct sip_out *out)
{
    struct ua_client *client = txn->client;
    struct credit *credit = &client->credit[kind];
    char cnonce[16];

    if (!credit->known || client->username_n == 0)
        return;
    hex_fill(client->rng, cnonce, sizeof cnonce);
    /* RFC 7616 3.4: the count goes up with every request that carries this nonce. */
    credit->nc++;
    sip_digest_authorization(
        out, &credit->challenge, hd_slice(client->username, client->username_n),
        hd_slice(client->password, client->password_n), sip_method_name(txn->request.method), uri,
        hd_slice(cnonce, sizeof cnonce), credit->nc, kind == REALM_PROXY);
}

static void
request_write(struct txn *txn, const struct sip_hop *hop, struct sip_out *out)
{
    struct ua_client *client = txn->client;
    const struct ua_dialog *dialog = txn->request.dialog;
    struct hd_slice method = sip_method_name(txn->request.method);

    sip_out_slice(out, method);
    sip_out_lit(out, " ");
    sip_out_slice(out, hop->request_uri);
    sip_out_lit(out, " SIP/2.0\r\nVia: SIP/2.0/");
    sip_out_slice(out, hd_transport_name((enum hd_transport)txn->flow.transport));
    sip_out_lit(out, " ");
    sip_out_addr(out, &client->local);
    sip_out_lit(out, ";branch=");
    sip_out_slice(out, hd_slice(txn->branch, sizeof txn->branch));
    sip_out_lit(out, ";rport\r\nMax-Forwards: 70\r\n");
    if (hop->route.n || hop->route_last.n) {
        sip_out_lit(out, "Route: ");
        sip_out_slice(out, hop->route);
        if (hop->route_last.n) {
            sip_out_slice(out, hop->route.n ? HD_LIT(", <") : HD_LIT("<"));
            sip_out_slice(out, hop->route_last);
            sip_out_lit(out, ">");
        }
        sip_out_crlf(out);
    }
    sip_out_lit(out, "From: <");
    sip_out_slice(out, ua_uri_slice(&dialog->from));
    sip_out_lit(out, ">;tag=");
    sip_out_slice(out, ua_dialog_local_tag(dialog));
    sip_out_lit(out, "\r\nTo: <");
    sip_out_slice(out, ua_uri_slice(&dialog->to));
    sip_out_lit(out, ">");
    if (dialog->remote_tag_n) {
        sip_out_lit(out, ";tag=");
        sip_out_slice(out, ua_dialog_remote_tag(dialog));
    }
    sip_out_crlf(out);
    sip_out_header(out, HD_LIT("Call-ID"), ua_dialog_call_id(dialog));
    sip_out_lit(out, "CSeq: ");
    sip_out_u32(out, dialog->cseq);
    sip_out_lit(out, " ");
    sip_out_slice(out, method);
    sip_out_crlf(out);
    if (txn->request.contact)
        contact_write(client, client->transport,
                      hd_slice_istarts(hop->request_uri, HD_LIT("sips:")), out);
    sip_out_lit(out, "User-Agent: herald/" HERALD_VERSION "\r\n");
    credit_write(txn, REALM_UAS, hop->request_uri, out);
    credit_write(txn, REALM_PROXY, hop->request_uri, out);
    sip_out_slice(out, txn->request.headers);
    if (txn->request.body.n)
        sip_out_header(out, HD_LIT("Content-Type"), txn->request.type);
    sip_out_header_u32(out, HD_LIT("Content-Length"), (uint32_t)txn->request.body.n);
    sip_out_crlf(out);
    sip_out_slice(out, txn->request.body);
}

/* Writes the request anew (new branch, next CSeq), starts its timers and sends it. */
static enum hd_err
txn_send(struct txn *txn)
{
    struct ua_client *client = txn->client;
    struct sip_hop hop;
    struct sip_out out;
    size_t n;

    enum hd_err err = txn_route(txn, &hop);
    if (err)
        return err;
    memcpy(txn->branch, "z9hG4bK", 7);
    hex_fill(client->rng, txn->branch + 7, sizeof txn->branch - 7);
    txn->request.dialog->cseq++;
    for (;;) {
        uint32_t nc[REALM_COUNT] = { client->credit[0].nc, client->credit[1].nc };
        if (txn->big)
            txn->flow.transport = HD_TCP;
        sip_out_init(&out, client->out, sizeof client->out);
        request_write(txn, &hop, &out);
        err = sip_out_finish(&out, &n);
        if (err)
            return err;
        if (txn->flow.transport != HD_UDP || n <= TCP_ABOVE || txn->udp_only)
            break;
        txn->big = true; /* written again: the transport stands in Via */
        client->credit[0].nc = nc[0];
        client->credit[1].nc = nc[1];
    }
    char *octets = malloc(n);
    if (!octets)
        return HD_ENOMEM;
    memcpy(octets, client->out, n);
    free(txn->octets);
    txn->octets = octets;
    txn->octets_n = n;
    txn->again = 0;
    txn->proceeding = false;
    txn->interval_ms = SIP_T1_MS;
    ua_timer_start(client, &txn->timer_f, SIP_TIMER_F_MS);
    if (hd_transport_reliable((enum hd_transport)txn->flow.transport))
        ua_timer_stop(client, &txn->timer_e);
    else
        ua_timer_start(client, &txn->timer_e, txn->interval_ms);
    client->send(client->context, &txn->flow, hd_slice(txn->octets, txn->octets_n), 0, txn->id);
    return HD_OK;
}

static struct hd_slice
copy_in(char **at, struct hd_slice text)
{
    struct hd_slice copy = hd_slice(*at, text.n);
    if (text.n)
        memcpy(*at, text.p, text.n);
    *at += text.n;
    return copy;
}

enum hd_err
ua_request_send(struct ua_client *client, const struct ua_request *request, uint64_t *ret_txn)
{
    HD_ASSERT_OBJ(client, CLIENT_MAGIC);
    HD_ASSERT(request->answer != NULL && request->dialog != NULL);
    size_t n = request->uri.n + request->headers.n + request->type.n + request->body.n;
    if (n > MESSAGE_MAX)
        return HD_ENOSPC;
    struct txn *txn = calloc(1, sizeof *txn + n);
    if (!txn)
        return HD_ENOMEM;
    char *at = txn->copy;
    txn->client = client;
    txn->id = ++client->last_id;
    txn->request = *request;
    txn->request.uri = copy_in(&at, request->uri);
    txn->request.headers = copy_in(&at, request->headers);
    txn->request.type = copy_in(&at, request->type);
    txn->request.body = copy_in(&at, request->body);
    txn->timer_e = (struct ua_timer){ .fire = timer_e_fire, .context = txn };
    txn->timer_f = (struct ua_timer){ .fire = timer_f_fire, .context = txn };
    txn->next = client->txns;
    client->txns = txn;
    *ret_txn = txn->id;
    enum hd_err err = txn_send(txn);
    if (err) {
        txn_unlink(txn);
        txn_free(txn);
    }
    return err;
}

static void
txn_undelivered(struct txn *txn)
{
    if (txn->big && txn->flow.transport == HD_TCP) {
        /* RFC 3261 18.1.1: a peer that does not take TCP gets the large request over UDP. */
        txn->big = false;
        txn->udp_only = true;
        if (txn_send(txn) == HD_OK)
            return;
    }
    txn_finish(txn, UA_UNREACHABLE, NULL);
}

static void
clock_set(struct ua_client *client, uint64_t now_ms)
{
    HD_ASSERT_OBJ(client, CLIENT_MAGIC);
    if (now_ms > client->now_ms)
        client->now_ms = now_ms;
}

void
ua_client_failed(struct ua_client *client, uint64_t now_ms, uint64_t owner)
{
    clock_set(client, now_ms);
    struct txn *txn = *txn_place(client, owner);
    if (txn)
        txn_undelivered(txn);
}

void
ua_client_lost(struct ua_client *client, uint64_t now_ms, const struct hd_addr *remote)
{
    clock_set(client, now_ms);
    /* A request that an answer causes has a higher id and is not on that connection. */
    uint64_t last = client->last_id;
    struct txn *txn = client->txns;
    while (txn) {
        if (txn->id <= last && hd_transport_reliable((enum hd_transport)txn->flow.transport) &&
            hd_addr_eq(&txn->flow.remote, remote)) {
            txn_undelivered(txn);
            txn = client->txns; /* the list may be another by now */
        } else {
            txn = txn->next;
        }
    }
}

/* --- challenges ------------------------------------------------------------------------------- */

/* The first challenge that we can answer: the server's order is its preference (RFC 8760 2.4). */
static bool
challenge_find(const struct sip_msg *msg, enum realm_kind kind, struct hd_slice *ret_value)
{
    for (unsigned i = 0; i < msg->n_headers; i++) {
        const struct sip_header *header = &msg->headers[i];
        struct sip_digest digest;
        bool fits = kind == REALM_UAS ? header->id == SIP_HDR_WWW_AUTHENTICATE
                                      : hd_slice_ieq(header->name, HD_LIT("Proxy-Authenticate"));
        if (!fits || sip_digest_parse(header->value, &digest) != HD_OK)
            continue;
        if (digest.alg == SIP_DIGEST_NONE || header->value.n > CHALLENGE_MAX)
            continue;
        struct hd_slice offered = digest.qop, one;
        bool auth = !digest.qop.p;
        while (sip_list_next(&offered, &one))
            auth = auth || hd_slice_ieq(one, HD_LIT("auth"));
        if (auth) {
            *ret_value = header->value;
            return true;
        }
    }
    return false;
}

static void
credit_keep(struct credit *credit, struct hd_slice value)
{
    memcpy(credit->text, value.p, value.n);
    enum hd_err err = sip_digest_parse(hd_slice(credit->text, value.n), &credit->challenge);
    HD_ASSERT(err == HD_OK); /* challenge_find parsed the same octets */
    credit->nc = 0;
    credit->known = true;
}

static void
txn_challenged(struct txn *txn, const struct sip_msg *msg)
{
    struct ua_client *client = txn->client;
    enum realm_kind kind = msg->status == 407 ? REALM_PROXY : REALM_UAS;
    struct hd_slice value;
    struct sip_digest digest;

    if (!challenge_find(msg, kind, &value) || sip_digest_parse(value, &digest) != HD_OK) {
        txn_finish(txn, UA_ODD_CHALLENGE, msg);
        return;
    }
    if (client->username_n == 0) {
        txn_finish(txn, UA_NO_PASSWORD, msg);
        return;
    }
    /* Credentials that answered a challenge of this very request and are refused are wrong; those
     * that came from an older challenge may only be out of date, as with stale (RFC 7616 3.3). */
    if (txn->challenged[kind] && (!digest.stale || ++txn->stale > STALE_MAX)) {
        client->credit[kind].known = false;
        txn_finish(txn, UA_BAD_PASSWORD, msg);
        return;
    }
    txn->challenged[kind] = true;
    credit_keep(&client->credit[kind], value);
    if (txn_send(txn) != HD_OK)
        txn_finish(txn, UA_BROKEN, msg);
}

/* --- what arrives ----------------------------------------------------------------------------- */

static void
response_take(struct ua_client *client, const struct sip_msg *msg)
{
    struct txn *txn = client->txns;
    /* RFC 3261 17.1.3: branch of the top Via and method of CSeq; 8.1.3.3: one Via only. */
    while (txn && !(hd_slice_eq(msg->via.branch, hd_slice(txn->branch, sizeof txn->branch)) &&
                    msg->cseq.method == txn->request.method))
        txn = txn->next;
    if (!txn || msg->n_vias != 1)
        return;
    if (msg->status < 200) {
        txn->proceeding = true;
        return;
    }
    if (msg->status == 401 || msg->status == 407)
        txn_challenged(txn, msg);
    else
        txn_finish(txn, UA_ANSWERED, msg);
}

static void
answers_expire(struct ua_client *client)
{
    unsigned kept = 0;
    for (struct answered **at = &client->answers; *at;) {
        struct answered *answered = *at;
        if (answered->until_ms <= client->now_ms || ++kept >= ANSWERS_MAX) {
            *at = answered->next;
            free(answered);
        } else {
            at = &answered->next;
        }
    }
}

static void
reply_send(struct ua_client *client, const struct sip_msg *msg, const struct hd_flow *flow,
           const struct ua_reply *reply)
{
    struct sip_out out;
    struct hd_flow back = *flow;
    char tag[16];
    size_t n;

    hex_fill(client->rng, tag, sizeof tag);
    sip_out_init(&out, client->out, sizeof client->out);
    sip_reply_begin(&out, msg, reply->status, reply->reason, hd_slice(tag, sizeof tag),
                    &flow->remote);
    sip_out_slice(&out, reply->headers);
    sip_reply_end(&out);
    if (sip_out_finish(&out, &n) != HD_OK)
        return;
    if (!hd_transport_reliable((enum hd_transport)flow->transport))
        back.remote = sip_reply_target(msg, &flow->remote);
    answers_expire(client);
    struct answered *answered = malloc(sizeof *answered + n);
    if (answered) {
        answered->next = client->answers;
        answered->hash = sip_txn_hash(&client->key, msg);
        answered->until_ms = client->now_ms + SIP_TIMER_F_MS; /* Timer J, RFC 3261 17.2.2 */
        answered->n = n;
        memcpy(answered->octets, client->out, n);
        client->answers = answered;
    }
    client->send(client->context, &back, hd_slice(client->out, n), 0, 0);
}

/* A request that was answered already gets the same answer (RFC 3261 17.2.2). */
static bool
answered_again(struct ua_client *client, const struct sip_msg *msg, const struct hd_flow *flow)
{
    uint64_t hash = sip_txn_hash(&client->key, msg);
    struct hd_flow back = *flow;
    for (const struct answered *answered = client->answers; answered; answered = answered->next) {
        if (answered->hash != hash || answered->until_ms <= client->now_ms)
            continue;
        if (!hd_transport_reliable((enum hd_transport)flow->transport))
            back.remote = sip_reply_target(msg, &flow->remote);
        client->send(client->context, &back, hd_slice(answered->octets, answered->n), 1, 0);
        return true;
    }
    return false;
}

static void
notify_take(struct ua_client *client, const struct sip_msg *msg, const struct hd_flow *flow)
{
    struct ua_reply reply = { .status = 481, .reason = HD_LIT("Subscription Does Not Exist") };
    for (struct ua_listener *at = client->listeners; at; at = at->next)
        if (at->notify(at->context, msg, flow, &reply))
            break;
    reply_send(client, msg, flow, &reply);
}

static void
request_take(struct ua_client *client, const struct sip_msg *msg, const struct hd_flow *flow)
{
    struct ua_reply reply = { .status = 405, .headers = HD_LIT(ALLOW) };

    if (msg->method == SIP_ACK || answered_again(client, msg, flow))
        return;
    if (msg->method == SIP_NOTIFY) {
        notify_take(client, msg, flow);
        return;
    }
    if (msg->method == SIP_OPTIONS)
        reply.status = 200;
    else if (msg->method == SIP_CANCEL)
        reply = (struct ua_reply){ .status = 481 };
    else if (msg->method == SIP_METHOD_UNKNOWN)
        reply.status = 501;
    reply_send(client, msg, flow, &reply);
}

void
ua_client_packet(struct ua_client *client, uint64_t now_ms, const struct hd_flow *flow,
                 struct hd_slice octets)
{
    HD_ASSERT_OBJ(client, CLIENT_MAGIC);
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault = { 0 };

    if (now_ms > client->now_ms)
        client->now_ms = now_ms;
    hd_arena_init(&arena, client->scratch, sizeof client->scratch);
    enum hd_err err = sip_msg_parse(
        octets, hd_transport_reliable((enum hd_transport)flow->transport), &arena, &msg, &fault);
    if (err) {
        if (err == HD_ESYNTAX && fault.answerable && fault.status && msg.method != SIP_ACK)
            reply_send(
                client, &msg, flow,
                &(struct ua_reply){ .status = fault.status, .reason = hd_slice_str(fault.reason) });
        return;
    }
    if (msg.request)
        request_take(client, &msg, flow);
    else
        response_take(client, &msg);
}
