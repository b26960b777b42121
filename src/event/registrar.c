/* registrar.c - REGISTER: which contacts an address of record has now (RFC 3261 section 10.3).
 *
 * An account's bindings are one record: a REGISTER adds, refreshes and removes completely or not at
 * all.  While the store keeps a change, further requests for the same address of record wait behind
 * it. */
#include <stdlib.h>

#include "event/core.h"
#include "event/record.h"
#include "sip/dialog.h"

#define BINDING_EXTRA 64u                       /* octets of a line beside the URI */
#define BINDINGS_OCTETS (EVT_REPLY_MAX - 1024u) /* of all lines of an answer */

struct evt_account_change {
    struct evt_done done;
    struct evt_head *head;
    struct evt_binding *bindings;
    uint32_t n;
    uint64_t started_ms;
    bool trying_sent;
};

/* --- accounts -------------------------------------------------------------------------------- */

struct evt_account *
evt_account_at(struct evt_shard *shard, uint32_t index)
{
    struct evt_account *account = hd_table_at(&shard->accounts, index);
    HD_ASSERT_OBJ(account, EVT_ACCOUNT_MAGIC);
    return account;
}

static struct evt_account *
account_find(struct evt_shard *shard, struct hd_slice key)
{
    uint64_t hash = hd_hash(&shard->keys.table, key);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->account_by_key, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_account *account = evt_account_at(shard, i);
        if (hd_slice_eq(account->key, key))
            return account;
    }
    return NULL;
}

static struct evt_account *
account_new(struct evt_shard *shard, struct hd_slice key)
{
    struct hd_handle handle;
    struct evt_account *account;
    void *object;
    char *copy = hd_slice_strdup(key);

    if (!copy || hd_table_add(&shard->accounts, &handle, &object)) {
        free(copy);
        return NULL;
    }
    account = object;
    account->magic = EVT_ACCOUNT_MAGIC;
    account->index = handle.index;
    account->hash = hd_hash(&shard->keys.table, key);
    account->key = hd_slice(copy, key.n);
    account->timer.kind = EVT_TIMER_ACCOUNT;
    account->waiting_end = &account->waiting;
    if (hd_map_put(&shard->account_by_key, account->hash, account->index)) {
        free(copy);
        hd_table_remove(&shard->accounts, handle.index);
        return NULL;
    }
    return account;
}

static void
bindings_free(struct evt_binding *bindings, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        free((void *)(uintptr_t)bindings[i].contact.p);
    free(bindings);
}

static void
account_change_free(struct evt_shard *shard, struct evt_account *account)
{
    struct evt_account_change *change = account->change;

    if (!change)
        return;
    account->change = NULL;
    bindings_free(change->bindings, change->n);
    free(change->head);
    free(change);
    shard->waiting--;
    evt_gauge(shard, &shard->counters.waiting, -1);
}

void
evt_account_free(struct evt_shard *shard, struct evt_account *account)
{
    struct evt_packet *packet;

    hd_wheel_stop(&shard->wheel, &account->timer);
    while ((packet = evt_waiting_take(shard, &account->waiting, &account->waiting_end,
                                      &account->n_waiting)))
        free(packet);
    account_change_free(shard, account);
    evt_gauge(shard, &shard->counters.bindings, -(int64_t)account->n);
    bindings_free(account->bindings, account->n);
    hd_map_remove(&shard->account_by_key, account->hash, account->index);
    free((void *)(uintptr_t)account->key.p);
    account->magic = 0;
    hd_table_remove(&shard->accounts, account->index);
}

/* Its own id in the store: an address of record has one record. */
static uint64_t
account_id(const struct evt_account *account)
{
    return account->hash;
}

static void
account_rearm(struct evt_shard *shard, struct evt_account *account)
{
    uint64_t due = UINT64_MAX;

    for (uint32_t i = 0; i < account->n; i++)
        if (account->bindings[i].expires_at_ms < due)
            due = account->bindings[i].expires_at_ms;
    if (account->n == 0 && !account->change)
        due = shard->now_ms + EVT_LINGER_MS; /* for repetitions of the last request, then it goes */
    if (account->change && !account->change->trying_sent &&
        account->change->started_ms + SIP_TRYING_AFTER_MS < due)
        due = account->change->started_ms + SIP_TRYING_AFTER_MS;
    if (evt_waiting_due(account->waiting) < due)
        due = evt_waiting_due(account->waiting);
    if (due != UINT64_MAX)
        hd_wheel_start(&shard->wheel, &account->timer, due);
}

static void
account_drop_expired(struct evt_shard *shard, struct evt_account *account)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < account->n; i++) {
        if (account->bindings[i].expires_at_ms > shard->now_ms) {
            account->bindings[n++] = account->bindings[i];
            continue;
        }
        free((void *)(uintptr_t)account->bindings[i].contact.p);
        evt_gauge(shard, &shard->counters.bindings, -1);
    }
    account->n = n;
}

void
evt_account_fired(struct evt_shard *shard, struct evt_account *account)
{
    bool had = account->n > 0;

    if (account->change && !account->change->trying_sent &&
        shard->now_ms >= account->change->started_ms + SIP_TRYING_AFTER_MS) {
        account->change->trying_sent = true;
        evt_trying(shard, account->change->head, account->change->done.txn);
    }
    evt_waiting_trying(shard, account->waiting);
    account_drop_expired(shard, account);
    if (account->n == 0 && !account->change && !account->waiting && !had) {
        evt_account_free(shard, account);
        return;
    }
    if (had && account->n == 0 && !account->change)
        (void)!evt_record_remove(shard, EVT_RECORD_BINDINGS, hd_hash_bucket(account->hash),
                                 account_id(account), 0);
    account_rearm(shard, account);
}

/* --- answering ------------------------------------------------------------------------------- */

/* RFC 3261 10.3 step 8: all current bindings with the time that each has left. */
static void
out_bindings(struct evt_shard *shard, struct evt_reply *reply, const struct evt_binding *bindings,
             uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (bindings[i].expires_at_ms <= shard->now_ms)
            continue;
        sip_out_lit(&reply->out, "Contact: <");
        sip_out_slice(&reply->out, bindings[i].contact);
        sip_out_lit(&reply->out, ">;expires=");
        sip_out_u64(&reply->out, (bindings[i].expires_at_ms - shard->now_ms + 999) / 1000);
        if (bindings[i].q < 1000) {
            static const char digit[] = "0123456789";
            char q[4] = { digit[bindings[i].q / 100], digit[bindings[i].q / 10 % 10],
                          digit[bindings[i].q % 10] };
            sip_out_lit(&reply->out, ";q=0.");
            sip_out_slice(&reply->out, hd_slice(q, 3));
        }
        sip_out_crlf(&reply->out);
    }
    evt_reply_send(shard, reply);
}

static void
answer_bindings(struct evt_shard *shard, struct evt_request *request,
                const struct evt_account *account)
{
    struct evt_reply reply;

    if (evt_reply_begin(shard, request, 200, HD_LIT("OK"), hd_slice(NULL, 0), &reply))
        out_bindings(shard, &reply, account ? account->bindings : NULL, account ? account->n : 0);
}

/* --- the store's word ------------------------------------------------------------------------ */

void
evt_account_stored(struct evt_shard *shard, struct evt_account *account, enum hd_err err)
{
    struct evt_account_change *change = account->change;
    struct evt_packet *packet;
    struct evt_reply reply;

    if (!change)
        return;
    if (err) {
        evt_ring_put(shard, change->done.txn, 503);
        evt_refuse_head(shard, change->head, 503);
    } else {
        struct evt_binding *old = account->bindings;
        uint32_t n_old = account->n;
        account->bindings = change->bindings;
        account->n = change->n;
        change->bindings = old;
        change->n = n_old;
        evt_gauge(shard, &shard->counters.bindings, (int64_t)account->n - (int64_t)n_old);
        account->done[1] = account->done[0];
        account->done[0] = change->done;
        evt_ring_put(shard, change->done.txn, EVT_RING_RECORD);
        if (evt_reply_begin_head(shard, change->head, 200, &reply))
            out_bindings(shard, &reply, account->bindings, account->n);
    }
    account_change_free(shard, account);
    account_rearm(shard, account);
    while (!account->change &&
           (packet = evt_waiting_take(shard, &account->waiting, &account->waiting_end,
                                      &account->n_waiting)))
        evt_packet_handle(shard, packet);
}

/* --- reading a REGISTER ---------------------------------------------------------------------- */

static bool
binding_copy(struct evt_binding *binding, struct hd_slice contact, struct hd_slice call_id,
             uint32_t cseq, uint16_t q, uint64_t txn, uint64_t expires_at_ms)
{
    char *block = malloc(contact.n + call_id.n + 1);

    if (!block)
        return false;
    memcpy(block, contact.p, contact.n);
    memcpy(block + contact.n, call_id.p, call_id.n);
    *binding = (struct evt_binding){ .contact = hd_slice(block, contact.n),
                                     .call_id = hd_slice(block + contact.n, call_id.n),
                                     .cseq = cseq,
                                     .q = q,
                                     .txn = txn,
                                     .expires_at_ms = expires_at_ms };
    return true;
}

/* qvalue as thousandths (RFC 3261 25.1); what is no qvalue counts as 1. */
static uint16_t
read_q(struct hd_slice params)
{
    struct hd_slice value;
    unsigned q = 0, scale = 100;

    if (!sip_param_find(params, HD_LIT("q"), &value) || value.n == 0 || value.p[0] != '0')
        return 1000;
    for (size_t i = 2; i < value.n && i < 5 && value.p[i] >= '0' && value.p[i] <= '9';
         i++, scale /= 10)
        q += (unsigned)(value.p[i] - '0') * scale;
    return (uint16_t)q;
}

enum outcome { OUTCOME_OK, OUTCOME_ANSWERED, OUTCOME_NO_MEMORY };

/* Duration of one contact: its expires parameter, the Expires header, the default (10.2.1.1).
 * False: answered with 423. */
static bool
contact_expires(struct evt_shard *shard, struct evt_request *request,
                const struct sip_addr *contact, uint32_t *ret_s)
{
    const struct evt_registrar *registrar = &shard->config->registrar;
    struct hd_slice value;
    uint32_t expires_s = registrar->default_expires_s;

    if ((!sip_param_find(contact->params, HD_LIT("expires"), &value) ||
         sip_delta_parse(value, &expires_s)) &&
        (value = sip_msg_value(request->msg, SIP_HDR_EXPIRES)).p &&
        sip_delta_parse(value, &expires_s))
        expires_s =
            registrar->default_expires_s; /* 10.3 step 7: malformed is as if it were not there */
    if (expires_s > 0 && expires_s < registrar->min_expires_s && expires_s < 3600) {
        evt_refuse_brief(shard, request, registrar->min_expires_s);
        return false;
    }
    *ret_s = expires_s > registrar->max_expires_s ? registrar->max_expires_s : expires_s;
    return true;
}

static struct evt_binding *
same_contact(struct evt_binding *bindings, uint32_t n, struct hd_slice text)
{
    struct sip_uri a, b;

    if (sip_uri_parse(text, &a))
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (sip_uri_parse(bindings[i].contact, &b) == HD_OK && sip_uri_equal(&a, &b))
            return &bindings[i];
    return NULL;
}

/* Every answer lists all bindings and has to fit. */
static bool
too_many_bindings(const struct evt_shard *shard, const struct evt_account_change *change,
                  struct hd_slice contact)
{
    size_t octets = contact.n + BINDING_EXTRA;

    for (uint32_t i = 0; i < change->n; i++)
        octets += change->bindings[i].contact.n + BINDING_EXTRA;
    return change->n >= evt_limits(shard)->bindings_per_user || octets > BINDINGS_OCTETS;
}

static void
binding_remove(struct evt_account_change *change, struct evt_binding *binding)
{
    free((void *)(uintptr_t)binding->contact.p);
    *binding = change->bindings[--change->n];
}

/* One Contact of the request applied to the copy of the bindings (10.3 step 7). */
static enum outcome
apply_contact(struct evt_shard *shard, struct evt_request *request,
              const struct evt_account *account, const struct sip_addr *contact)
{
    const struct sip_msg *msg = request->msg;
    struct evt_account_change *change = account->change;
    struct evt_binding *binding = same_contact(change->bindings, change->n, contact->uri), fresh;
    const struct evt_binding *held = same_contact(account->bindings, account->n, contact->uri);
    struct sip_uri uri;
    uint32_t expires_s;

    if (sip_uri_parse(contact->uri, &uri)) {
        evt_refuse(shard, request, 400, HD_LIT("Malformed Contact"));
        return OUTCOME_ANSWERED;
    }
    if (!contact_expires(shard, request, contact, &expires_s))
        return OUTCOME_ANSWERED;
    if (held && hd_slice_eq(held->call_id, msg->call_id) && msg->cseq.number <= held->cseq) {
        evt_refuse(shard, request, 500, HD_LIT("CSeq Out Of Order"));
        return OUTCOME_ANSWERED;
    }
    if (expires_s == 0) {
        if (binding)
            binding_remove(change, binding);
        return OUTCOME_OK;
    }
    if (!binding && too_many_bindings(shard, change, contact->uri)) {
        EVT_COUNT(shard, caps_reached);
        evt_refuse(shard, request, 403, HD_LIT("Too Many Contacts"));
        return OUTCOME_ANSWERED;
    }
    if (!binding_copy(&fresh, contact->uri, msg->call_id, msg->cseq.number, read_q(contact->params),
                      request->txn, shard->now_ms + (uint64_t)expires_s * 1000))
        return OUTCOME_NO_MEMORY;
    if (binding)
        binding_remove(change, binding);
    change->bindings[change->n++] = fresh;
    return OUTCOME_OK;
}

/* "Contact: *" with Expires: 0 and nothing else removes all (10.2.2). */
static bool
is_star(const struct sip_msg *msg, bool *ret_valid)
{
    struct sip_walk walk = { 0 };
    struct hd_slice item, value = sip_msg_value(msg, SIP_HDR_EXPIRES);
    uint32_t expires_s = 1;
    unsigned n = 0;
    bool star = false;

    while (sip_msg_walk(msg, SIP_HDR_CONTACT, &walk, &item)) {
        n++;
        star = star || hd_slice_eq(item, HD_LIT("*"));
    }
    *ret_valid = n == 1 && value.p && sip_delta_parse(value, &expires_s) == HD_OK && expires_s == 0;
    return star;
}

static enum outcome
apply_request(struct evt_shard *shard, struct evt_request *request,
              const struct evt_account *account)
{
    struct evt_account_change *change = account->change;
    struct sip_walk walk = { 0 };
    struct sip_addr contact;
    struct hd_slice item;
    bool valid;

    if (is_star(request->msg, &valid)) {
        if (!valid) {
            evt_refuse(shard, request, 400, HD_LIT("Contact * Needs Expires 0 And Stands Alone"));
            return OUTCOME_ANSWERED;
        }
        for (uint32_t i = 0; i < change->n; i++) {
            if (hd_slice_eq(change->bindings[i].call_id, request->msg->call_id) &&
                request->msg->cseq.number <= change->bindings[i].cseq) {
                evt_refuse(shard, request, 500, HD_LIT("CSeq Out Of Order"));
                return OUTCOME_ANSWERED;
            }
        }
        while (change->n > 0)
            binding_remove(change, &change->bindings[0]);
        return OUTCOME_OK;
    }
    while (sip_msg_walk(request->msg, SIP_HDR_CONTACT, &walk, &item)) {
        if (sip_addr_parse(item, &contact)) {
            evt_refuse(shard, request, 400, HD_LIT("Malformed Contact"));
            return OUTCOME_ANSWERED;
        }
        enum outcome outcome = apply_contact(shard, request, account, &contact);
        if (outcome != OUTCOME_OK)
            return outcome;
    }
    return OUTCOME_OK;
}

/* A copy of the bindings that the request is applied to, with its answer's head. */
static struct evt_account_change *
change_new(struct evt_shard *shard, struct evt_request *request, const struct evt_account *account)
{
    struct evt_account_change *change = calloc(1, sizeof(*change));

    if (!change)
        return NULL;
    change->done = (struct evt_done){ .txn = request->txn };
    change->started_ms = request->arrived_us / 1000;
    change->trying_sent = request->packet && request->packet->trying_sent;
    change->head = evt_head_new(shard, request, hd_slice(NULL, 0), false);
    change->bindings =
        calloc(account->n + evt_limits(shard)->bindings_per_user + 1, sizeof(*change->bindings));
    bool whole = change->head && change->bindings;
    for (uint32_t i = 0; whole && i < account->n; i++) {
        const struct evt_binding *b = &account->bindings[i];
        if (b->expires_at_ms <= shard->now_ms)
            continue;
        whole = binding_copy(&change->bindings[change->n], b->contact, b->call_id, b->cseq, b->q,
                             b->txn, b->expires_at_ms);
        change->n += whole;
    }
    if (!whole) {
        bindings_free(change->bindings, change->n);
        free(change->head);
        free(change);
        return NULL;
    }
    shard->waiting++;
    evt_gauge(shard, &shard->counters.waiting, 1);
    return change;
}

static void
register_change(struct evt_shard *shard, struct evt_request *request, struct evt_account *account)
{
    struct hd_handle handle = hd_table_handle(&shard->accounts, account->index);
    uint64_t ticket = evt_ticket(EVT_RECORD_BINDINGS, account->index, handle.generation);
    enum outcome outcome = OUTCOME_NO_MEMORY;

    account->change = change_new(shard, request, account);
    if (account->change)
        outcome = apply_request(shard, request, account);
    if (outcome == OUTCOME_NO_MEMORY)
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
    if (outcome != OUTCOME_OK) {
        account_change_free(shard, account);
        account_rearm(shard, account);
        return;
    }
    evt_request_working(shard, request);
    if (evt_record_account(shard, account, request->txn, account->change->bindings,
                           account->change->n, ticket)) {
        EVT_COUNT(shard, store_failures);
        evt_account_stored(shard, account, HD_ESTORE);
        return;
    }
    account_rearm(shard, account);
}

static bool
was_answered(const struct evt_account *account, uint64_t txn)
{
    for (uint32_t i = 0; i < account->n; i++)
        if (account->bindings[i].txn == txn)
            return true;
    return account->done[0].txn == txn || account->done[1].txn == txn;
}

/* A repetition of an answered REGISTER hears the bindings as they are. */
static bool
repeated(struct evt_shard *shard, struct evt_request *request, const struct evt_account *account)
{
    if (account->change && account->change->done.txn == request->txn) {
        EVT_COUNT(shard, absorbed);
        return true;
    }
    /* Many devices may register one address of record: each binding knows its request, also after a
     * restart, and the ring knows those that removed one. */
    if (!request->known && !was_answered(account, request->txn))
        return false;
    EVT_COUNT(shard, retransmitted);
    answer_bindings(shard, request, account);
    return true;
}

/* Whether two resource keys are of one domain (10.3 step 5). */
static bool
same_domain(struct hd_slice a, struct hd_slice b)
{
    const char *at_a = memrchr(a.p, '@', a.n), *at_b = memrchr(b.p, '@', b.n);

    /* "sip:domain" or "sip:user@domain" */
    a = hd_slice_from(a, at_a ? (size_t)(at_a - a.p) + 1 : 4);
    b = hd_slice_from(b, at_b ? (size_t)(at_b - b.p) + 1 : 4);
    return hd_slice_eq(a, b);
}

void
evt_register(struct evt_shard *shard, struct evt_request *request)
{
    char key[SIP_KEY_MAX], domain[SIP_KEY_MAX];
    size_t n, domain_n;
    struct evt_account *account = NULL;
    struct sip_uri uri;

    if (sip_uri_parse(request->msg->to.uri, &uri) == HD_OK &&
        evt_resource_key(shard, request->flow, &uri, key, &n) == HD_OK)
        account = account_find(shard, hd_slice(key, n));
    if (account &&
        (repeated(shard, request, account) || evt_request_waits(shard, request, account->waiting)))
        return;
    if (!account && evt_request_outdated(shard, request))
        return;
    if (!shard->config->registrar.enabled) {
        struct evt_reply reply;
        evt_refused(shard, request, 405);
        if (evt_reply_begin(shard, request, 405, hd_slice(NULL, 0), hd_slice(NULL, 0), &reply)) {
            evt_out_allow(shard, &reply.out);
            evt_reply_send(shard, &reply);
        }
        return;
    }
    if (!evt_request_resource(shard, request, request->msg->uri, domain, &domain_n))
        return;
    if (evt_request_authenticate(shard, request) != EVT_AUTHED)
        return;
    if (account && account->change) {
        evt_request_wait(shard, request, &account->waiting_end, &account->waiting,
                         &account->n_waiting);
        account_rearm(shard, account);
        return;
    }
    if (evt_request_unsupported(shard, request))
        return;
    if (!evt_request_resource(shard, request, request->msg->to.uri, key, &n))
        return;
    if (!same_domain(hd_slice(domain, domain_n), hd_slice(key, n))) {
        evt_refuse(shard, request, 404, HD_LIT("Not Of The Domain In The Request-URI"));
        return;
    }
    struct evt_verdict verdict = shard->ports.policy->registration(
        shard->ports.policy_context, shard->config, &request->identity, hd_slice(key, n));
    if (verdict.decision != EVT_ALLOW) {
        evt_refuse(shard, request, 403, HD_LIT("Not Allowed To Register This Address"));
        return;
    }
    if (!sip_msg_has(request->msg,
                     SIP_HDR_CONTACT)) { /* a question, nothing changes (10.3 step 6) */
        answer_bindings(shard, request, account);
        return;
    }
    if (shard->draining) {
        evt_refuse_later(shard, request, 503, HD_LIT("Server Is Stopping"));
        return;
    }
    if (shard->waiting >= evt_limits(shard)->waiting) {
        EVT_COUNT(shard, refused_busy);
        evt_refuse_later(shard, request, 503, HD_LIT("Server Busy"));
        return;
    }
    if (!account)
        account = account_new(shard, hd_slice(key, n));
    if (!account) {
        EVT_COUNT(shard, caps_reached);
        evt_refuse_later(shard, request, 503, HD_LIT("No Room For A Registration"));
        return;
    }
    register_change(shard, request, account);
}

/* --- after a restart ------------------------------------------------------------------------- */

enum hd_err
evt_account_restore(struct evt_shard *shard, const struct evt_stored_account *stored,
                    const struct evt_stored_binding *binding, uint64_t expires_at_ms)
{
    struct evt_account *account = account_find(shard, stored->key);
    struct evt_binding *bindings;

    if (!account)
        account = account_new(shard, stored->key);
    bindings = account ? realloc(account->bindings, (account->n + 1) * sizeof(*bindings)) : NULL;
    if (!bindings)
        return HD_ENOMEM;
    account->bindings = bindings;
    if (!binding_copy(&bindings[account->n], binding->contact, binding->call_id, binding->cseq,
                      binding->q, binding->txn, expires_at_ms))
        return HD_ENOMEM;
    account->done[0].txn = stored->txn[0];
    account->done[1].txn = stored->txn[1];
    account->n++;
    evt_gauge(shard, &shard->counters.bindings, 1);
    account_rearm(shard, account);
    return HD_OK;
}
