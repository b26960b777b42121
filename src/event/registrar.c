/* registrar.c - REGISTER: which contacts an address of record has now (RFC 3261 section 10.3).
 *
 * An account's bindings are one record: a REGISTER adds, refreshes and removes completely or not at
 * all.  While the store keeps a change, further requests for the same address of record wait behind
 * it. */
#include <stdlib.h>

#include "event/binding.h"
#include "event/core.h"
#include "event/record.h"
#include "sip/dialog.h"

#define BINDINGS_OCTETS (EVT_REPLY_MAX - 1024u - EVT_PATH_MAX) /* of all Contacts of an answer */
#define GONE_MS 10000u /* how long a contact that is over is shown, see keep_gone() */

struct evt_account_change {
    struct evt_done done;
    struct evt_head *head;
    struct evt_binding *bindings;
    uint32_t n;
    struct evt_binding *over; /* contacts that this change ends */
    uint32_t n_over;
    struct evt_wishes wishes;
    uint64_t started_ms;
    bool trying_sent;
    struct evt_call *call; /* an operator waits for it; NULL: none */
    struct evt_operated *result;
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
    const uint64_t hash = hd_hash(&shard->keys.table, key);
    struct evt_account *account;
    uint32_t index;
    void *object;
    char *copy = hd_slice_strdup(key);

    if (!copy ||
        hd_table_add_keyed(&shard->accounts, &shard->account_by_key, hash, &index, &object)) {
        free(copy);
        return NULL;
    }
    account = object;
    account->magic = EVT_ACCOUNT_MAGIC;
    account->index = index;
    account->hash = hash;
    account->key = hd_slice(copy, key.n);
    account->timer.kind = EVT_TIMER_ACCOUNT;
    account->waiting_end = &account->waiting;
    return account;
}

static void
account_change_free(struct evt_shard *shard, struct evt_account *account)
{
    struct evt_account_change *change = account->change;

    if (!change)
        return;
    account->change = NULL;
    evt_bindings_free(change->bindings, change->n);
    evt_bindings_free(change->over, change->n_over);
    free((void *)(uintptr_t)change->wishes.path.p);
    free(change->head);
    if (change->call && change->call->done)
        change->call->done(change->call);
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
    evt_bindings_free(account->bindings, account->n);
    evt_bindings_free(account->gone, account->n_gone);
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
    if (account->n_gone && account->gone_until_ms < due)
        due = account->gone_until_ms;
    if (account->n == 0 && !account->change && !account->n_gone)
        due = shard->now_ms + EVT_LINGER_MS; /* for repetitions of the last request, then it goes */
    if (account->change && !account->change->trying_sent &&
        account->change->started_ms + SIP_TRYING_AFTER_MS < due)
        due = account->change->started_ms + SIP_TRYING_AFTER_MS;
    if (evt_waiting_due(account->waiting) < due)
        due = evt_waiting_due(account->waiting);
    if (due != UINT64_MAX)
        hd_wheel_start(&shard->wheel, &account->timer, due);
}

/* --- contacts that are over ------------------------------------------------------------------ */

/* RFC 3680 section 4.7: who watches is told of a contact's end.  It is shown for a while, so that
 * who watches at a pace sees it too, and then left out without a word. */
static void
keep_gone(struct evt_shard *shard, struct evt_account *account, struct evt_binding *binding,
          enum evt_reg_event event, uint32_t retry_after_s)
{
    struct evt_binding *gone = account->gone;

    if (account->n_gone == EVT_GONE_MAX) {
        free((void *)(uintptr_t)gone[0].contact.p);
        memmove(&gone[0], &gone[1], --account->n_gone * sizeof(gone[0]));
    }
    gone = realloc(gone, (account->n_gone + 1) * sizeof(gone[0]));
    if (gone)
        account->gone = gone;
    if (!gone) {
        free((void *)(uintptr_t)binding->contact.p); /* nobody hears of it: it is just not there */
        return;
    }
    gone[account->n_gone] = *binding;
    gone[account->n_gone].event = (uint8_t)event;
    gone[account->n_gone++].retry_after_s = retry_after_s;
    account->gone_until_ms = shard->now_ms + GONE_MS;
}

static void
drop_gone(struct evt_shard *shard, struct evt_account *account)
{
    if (!account->n_gone || shard->now_ms < account->gone_until_ms)
        return;
    evt_bindings_free(account->gone, account->n_gone);
    account->gone = NULL;
    account->n_gone = 0;
    evt_reg_changed(shard, account->key, false);
}

static bool
account_drop_expired(struct evt_shard *shard, struct evt_account *account)
{
    uint32_t n = 0, before = account->n;

    for (uint32_t i = 0; i < account->n; i++) {
        if (account->bindings[i].expires_at_ms > shard->now_ms) {
            account->bindings[n++] = account->bindings[i];
            continue;
        }
        keep_gone(shard, account, &account->bindings[i], EVT_REG_EXPIRED, 0);
        evt_gauge(shard, &shard->counters.bindings, -1);
    }
    account->n = n;
    return n < before;
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
    if (account_drop_expired(shard, account))
        evt_reg_changed(shard, account->key, true);
    drop_gone(shard, account);
    if (account->n == 0 && !account->change && !account->waiting && !had && !account->n_gone) {
        evt_account_free(shard, account);
        return;
    }
    if (had && account->n == 0 && !account->change)
        (void)!evt_record_remove(shard, EVT_RECORD_BINDINGS, hd_hash_bucket(account->hash),
                                 account_id(account), 0);
    account_rearm(shard, account);
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
        if (change->head)
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
        if (change->result)
            change->result->err = HD_OK;
        for (uint32_t i = 0; i < change->n_over; i++)
            keep_gone(shard, account, &change->over[i], (enum evt_reg_event)change->over[i].event,
                      change->over[i].retry_after_s);
        change->n_over = 0;
        evt_reg_changed(shard, account->key, true); /* before the 200: read your writes */
        if (change->head && evt_reply_begin_head(shard, change->head, 200, &reply))
            evt_answer_register(shard, &reply, account, &change->wishes);
    }
    account_change_free(shard, account);
    account_rearm(shard, account);
    while (!account->change &&
           (packet = evt_waiting_take(shard, &account->waiting, &account->waiting_end,
                                      &account->n_waiting)))
        evt_packet_handle(shard, packet);
}

/* --- reading a REGISTER ---------------------------------------------------------------------- */

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

/* Every answer lists all bindings and has to fit. */
static bool
too_many_bindings(const struct evt_shard *shard, const struct evt_account *account,
                  const struct evt_binding *wanted)
{
    const struct evt_account_change *change = account->change;
    size_t octets = evt_binding_room(wanted, account->key);

    for (uint32_t i = 0; i < change->n; i++)
        octets += evt_binding_room(&change->bindings[i], account->key);
    return change->n >= evt_limits(shard)->bindings_per_user || octets > BINDINGS_OCTETS;
}

/* Takes a binding out of the change; it is over with an event, or goes without one. */
static void
binding_remove(struct evt_account_change *change, struct evt_binding *binding,
               enum evt_reg_event event)
{
    struct evt_binding *over = realloc(change->over, (change->n_over + 1) * sizeof(*over));

    if (over) {
        change->over = over;
        over[change->n_over] = *binding;
        over[change->n_over++].event = (uint8_t)event;
    } else {
        free((void *)(uintptr_t)binding->contact.p);
    }
    *binding = change->bindings[--change->n];
}

/* One Contact as it is wanted; its slices point into the message and params. */
struct wanted {
    struct evt_binding binding;
    uint32_t expires_s;
    char params[EVT_PARAMS_MAX];
};

/* RFC 5627 section 5.1: a contact that leads back to its own address would be a loop. */
static bool
leads_back(const struct evt_shard *shard, struct evt_request *request,
           const struct evt_account *account, const struct sip_uri *uri)
{
    char key[SIP_KEY_MAX];
    size_t n;

    /* Without a domain of its own the server's address is one, at any port: another port of it is
     * a phone on the same machine. */
    if (uri->port && uri->port != request->flow->local.port)
        return false;
    return evt_resource_key(shard, request->flow, uri, key, &n) == HD_OK &&
           hd_slice_eq(hd_slice(key, n), account->key);
}

/* reg-id counts only with an instance, and where the first hop keeps the flow (RFC 5626 section 6).
 * False: answered with 439. */
static bool
read_reg_id(struct evt_shard *shard, struct evt_request *request, const struct sip_addr *contact,
            const struct evt_wishes *wishes, struct evt_binding *binding)
{
    struct hd_slice value;
    uint32_t reg_id;

    if (!sip_param_find(contact->params, HD_LIT("reg-id"), &value) || !binding->instance.n ||
        hd_slice_to_u32(value, &reg_id) || reg_id == 0 || reg_id > EVT_REG_ID_MOST)
        return true;
    if (request->msg->n_vias == 1 || evt_path_has_ob(wishes->path)) {
        binding->reg_id = reg_id;
        return true;
    }
    if (!wishes->outbound)
        return true;
    evt_refuse(shard, request, 439, HD_LIT("First Hop Lacks Outbound Support"));
    return false;
}

static bool
read_contact(struct evt_shard *shard, struct evt_request *request,
             const struct evt_account *account, const struct sip_addr *contact,
             const struct evt_wishes *wishes, struct wanted *wanted)
{
    struct evt_binding *binding = &wanted->binding;
    struct sip_uri uri;
    size_t n;

    if (sip_uri_parse(contact->uri, &uri)) {
        evt_refuse(shard, request, 400, HD_LIT("Malformed Contact"));
        return false;
    }
    if (evt_binding_params(contact->params, wanted->params, &n)) {
        evt_refuse(shard, request, 400, HD_LIT("Contact Is Too Long"));
        return false;
    }
    *binding = (struct evt_binding){ .contact = contact->uri,
                                     .call_id = request->msg->call_id,
                                     .params = hd_slice(wanted->params, n),
                                     .path = wishes->path,
                                     .cseq = request->msg->cseq.number,
                                     .q = read_q(contact->params),
                                     .txn = request->txn,
                                     .since_ms = (int64_t)shard->now_ms };
    binding->instance = evt_binding_instance(binding->params);
    if (!contact_expires(shard, request, contact, &wanted->expires_s) ||
        !read_reg_id(shard, request, contact, wishes, binding))
        return false;
    if (binding->instance.n && wanted->expires_s &&
        ((uri.scheme != SIP_SCHEME_SIP && uri.scheme != SIP_SCHEME_SIPS) ||
         leads_back(shard, request, account, &uri))) {
        evt_refuse(shard, request, 403, HD_LIT("Contact Leads Back To The Address"));
        return false;
    }
    binding->expires_at_ms = shard->now_ms + (uint64_t)wanted->expires_s * 1000;
    return true;
}

/* RFC 5627 section 5.1: another Call-ID is another life of the phone, whose earlier temporary GRUUs
 * are void; each REGISTER makes one more, which all contacts of the instance share. */
static void
renew_gruu(struct evt_shard *shard, const struct evt_account *account, struct evt_binding *fresh)
{
    struct evt_account_change *change = account->change;
    const struct evt_binding *newest = NULL;

    if (!fresh->instance.n || !evt_gruu_fits(account->key))
        return;
    for (uint32_t i = 0; i < account->n; i++) {
        const struct evt_binding *binding = &account->bindings[i];
        if (hd_slice_ieq(binding->instance, fresh->instance) &&
            binding->expires_at_ms > shard->now_ms &&
            (!newest || binding->gruu_order >= newest->gruu_order))
            newest = binding;
    }
    fresh->gruu_generation = newest && hd_slice_eq(newest->call_id, fresh->call_id)
                                 ? newest->gruu_generation
                                 : (uint32_t)hd_rng_u64(&shard->rng);
    fresh->gruu_nonce = hd_rng_u64(&shard->rng) | 1;
    fresh->gruu_order = newest ? newest->gruu_order + 1 : 1;
    for (uint32_t i = 0; i < change->n; i++) {
        struct evt_binding *binding = &change->bindings[i];
        if (!hd_slice_ieq(binding->instance, fresh->instance))
            continue;
        binding->gruu_generation = fresh->gruu_generation;
        binding->gruu_nonce = fresh->gruu_nonce;
    }
}

/* A binding in the place of the one that it refreshes, or a new one. */
static enum outcome
binding_put(struct evt_shard *shard, struct evt_account *account, struct evt_binding *old,
            struct evt_binding *wanted)
{
    struct evt_account_change *change = account->change;
    struct evt_binding fresh;

    renew_gruu(shard, account, wanted);
    wanted->id = hd_rng_u64(&shard->rng);
    wanted->event = EVT_REG_REGISTERED;
    if (old && evt_binding_same_uri(old, wanted)) {
        wanted->id = old->id;
        wanted->since_ms = old->since_ms;
        wanted->event =
            wanted->expires_at_ms < old->expires_at_ms ? EVT_REG_SHORTENED : EVT_REG_REFRESHED;
    }
    if (!evt_binding_copy(&fresh, wanted))
        return OUTCOME_NO_MEMORY;
    if (old && old->id == wanted->id) {
        free((void *)(uintptr_t)old->contact.p);
        *old = fresh;
        return OUTCOME_OK;
    }
    if (old) /* the same flow of the same phone, at another place */
        binding_remove(change, old, EVT_REG_UNREGISTERED);
    change->bindings[change->n++] = fresh;
    return OUTCOME_OK;
}

/* One Contact of the request applied to the copy of the bindings (10.3 step 7). */
static enum outcome
apply_contact(struct evt_shard *shard, struct evt_request *request, struct evt_account *account,
              const struct sip_addr *contact, const struct evt_wishes *wishes,
              struct wanted *wanted)
{
    const struct sip_msg *msg = request->msg;
    struct evt_account_change *change = account->change;

    if (!read_contact(shard, request, account, contact, wishes, wanted))
        return OUTCOME_ANSWERED;
    struct evt_binding *binding = evt_binding_find(change->bindings, change->n, &wanted->binding);
    const struct evt_binding *held =
        evt_binding_find(account->bindings, account->n, &wanted->binding);
    if (held && hd_slice_eq(held->call_id, msg->call_id) && msg->cseq.number <= held->cseq) {
        evt_refuse(shard, request, 500, HD_LIT("CSeq Out Of Order"));
        return OUTCOME_ANSWERED;
    }
    if (wanted->expires_s == 0) {
        if (binding)
            binding_remove(change, binding, EVT_REG_UNREGISTERED);
        return OUTCOME_OK;
    }
    if (!binding && too_many_bindings(shard, account, &wanted->binding)) {
        EVT_COUNT(shard, caps_reached);
        evt_refuse(shard, request, 403, HD_LIT("Too Many Contacts"));
        return OUTCOME_ANSWERED;
    }
    return binding_put(shard, account, binding, &wanted->binding);
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
apply_star(struct evt_shard *shard, struct evt_request *request, struct evt_account_change *change)
{
    for (uint32_t i = 0; i < change->n; i++) {
        if (hd_slice_eq(change->bindings[i].call_id, request->msg->call_id) &&
            request->msg->cseq.number <= change->bindings[i].cseq) {
            evt_refuse(shard, request, 500, HD_LIT("CSeq Out Of Order"));
            return OUTCOME_ANSWERED;
        }
    }
    while (change->n > 0)
        binding_remove(change, &change->bindings[0], EVT_REG_UNREGISTERED);
    return OUTCOME_OK;
}

/* RFC 5626 section 6: a flow is registered alone. */
static enum outcome
check_flows(struct evt_shard *shard, struct evt_request *request, unsigned n_living, bool flow)
{
    if (!flow || n_living < 2)
        return OUTCOME_OK;
    evt_refuse(shard, request, 400, HD_LIT("A Flow Is Registered Alone"));
    return OUTCOME_ANSWERED;
}

static enum outcome
apply_request(struct evt_shard *shard, struct evt_request *request, struct evt_account *account,
              struct evt_wishes *wishes)
{
    struct sip_walk walk = { 0 };
    struct sip_addr contact;
    struct wanted wanted;
    struct hd_slice item;
    unsigned n_living = 0, n_sips = 0;
    bool valid;

    if (is_star(request->msg, &valid)) {
        if (valid)
            return apply_star(shard, request, account->change);
        evt_refuse(shard, request, 400, HD_LIT("Contact * Needs Expires 0 And Stands Alone"));
        return OUTCOME_ANSWERED;
    }
    while (sip_msg_walk(request->msg, SIP_HDR_CONTACT, &walk, &item)) {
        if (sip_addr_parse(item, &contact)) {
            evt_refuse(shard, request, 400, HD_LIT("Malformed Contact"));
            return OUTCOME_ANSWERED;
        }
        enum outcome outcome = apply_contact(shard, request, account, &contact, wishes, &wanted);
        if (outcome != OUTCOME_OK)
            return outcome;
        n_living += wanted.expires_s > 0;
        n_sips += wanted.expires_s > 0 && evt_uri_is_sips(contact.uri);
        wishes->flow = wishes->flow || (wanted.expires_s > 0 && wanted.binding.reg_id > 0);
    }
    if (n_sips && !(n_sips == n_living && evt_uri_is_sips(request->msg->uri) &&
                    evt_path_is_sips(wishes->path))) { /* RFC 5630 section 5.2 */
        evt_refuse(shard, request, 400, HD_LIT("SIPS Contact Where Not All Is SIPS"));
        return OUTCOME_ANSWERED;
    }
    return check_flows(shard, request, n_living, wishes->flow);
}

/* A copy of the bindings that the request is applied to, with its answer's head.  request NULL: it
 * is the operator's wish. */
static struct evt_account_change *
change_new(struct evt_shard *shard, struct evt_request *request, const struct evt_account *account)
{
    struct evt_account_change *change = calloc(1, sizeof(*change));

    if (!change)
        return NULL;
    change->done = (struct evt_done){ .txn = request ? request->txn : 0 };
    change->started_ms = request ? request->arrived_us / 1000 : shard->now_ms;
    change->trying_sent = !request || (request->packet && request->packet->trying_sent);
    if (request)
        change->head = evt_head_new(shard, request, hd_slice(NULL, 0), false);
    change->bindings =
        calloc(account->n + evt_limits(shard)->bindings_per_user + 1, sizeof(*change->bindings));
    bool whole = (change->head || !request) && change->bindings;
    for (uint32_t i = 0; whole && i < account->n; i++) {
        const struct evt_binding *b = &account->bindings[i];
        if (b->expires_at_ms <= shard->now_ms)
            continue;
        whole = evt_binding_copy(&change->bindings[change->n], b);
        change->n += whole;
    }
    if (!whole) {
        evt_bindings_free(change->bindings, change->n);
        free(change->head);
        free(change);
        return NULL;
    }
    shard->waiting++;
    evt_gauge(shard, &shard->counters.waiting, 1);
    return change;
}

/* Gives a prepared change to the store. */
static void
change_submit(struct evt_shard *shard, struct evt_account *account)
{
    struct hd_handle handle = hd_table_handle(&shard->accounts, account->index);
    uint64_t ticket = evt_ticket(EVT_RECORD_BINDINGS, account->index, handle.generation);

    if (evt_record_account(shard, account, account->change->done.txn, account->change->bindings,
                           account->change->n, ticket)) {
        EVT_COUNT(shard, store_failures);
        evt_account_stored(shard, account, HD_ESTORE);
        return;
    }
    account_rearm(shard, account);
}

static void
register_change(struct evt_shard *shard, struct evt_request *request, struct evt_account *account)
{
    enum outcome outcome = OUTCOME_NO_MEMORY;
    char path[EVT_PATH_MAX];
    struct evt_wishes wishes;

    if (!evt_wishes_read(shard, request, path, &wishes)) {
        account_rearm(shard, account);
        return;
    }
    account->change = change_new(shard, request, account);
    if (account->change)
        outcome = apply_request(shard, request, account, &wishes);
    if (outcome == OUTCOME_OK) {
        account->change->wishes = wishes;
        account->change->wishes.path =
            hd_slice(wishes.path.n ? hd_slice_strdup(wishes.path) : NULL, wishes.path.n);
        if (wishes.path.n && !account->change->wishes.path.p)
            outcome = OUTCOME_NO_MEMORY;
    }
    if (outcome == OUTCOME_NO_MEMORY)
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
    if (outcome != OUTCOME_OK) {
        account_change_free(shard, account);
        account_rearm(shard, account);
        return;
    }
    evt_request_working(shard, request);
    change_submit(shard, account);
}

static bool
was_answered(const struct evt_account *account, uint64_t txn)
{
    for (uint32_t i = 0; i < account->n; i++)
        if (account->bindings[i].txn == txn)
            return true;
    return account->done[0].txn == txn || account->done[1].txn == txn;
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
    evt_answer_again(shard, request, account);
    return true;
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
    if (!evt_request_resource(shard, request, domain, &domain_n))
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
    if (!evt_request_address(shard, request, request->msg->to.uri, key, &n))
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
        evt_answer_again(shard, request, account);
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
                    const struct evt_stored_binding *binding, uint64_t expires_at_ms,
                    uint64_t since_ms)
{
    struct evt_account *account = account_find(shard, stored->key);
    struct evt_binding *bindings;
    const struct evt_binding wanted = { .contact = binding->contact,
                                        .call_id = binding->call_id,
                                        .params = binding->params,
                                        .path = binding->path,
                                        .id = binding->id,
                                        .txn = binding->txn,
                                        .expires_at_ms = expires_at_ms,
                                        .since_ms = (int64_t)shard->now_ms - (int64_t)since_ms,
                                        .gruu_nonce = binding->gruu_nonce,
                                        .gruu_generation = binding->gruu_generation,
                                        .gruu_order = binding->gruu_order,
                                        .cseq = binding->cseq,
                                        .reg_id = binding->reg_id,
                                        .q = binding->q,
                                        .event = binding->event };

    if (!account)
        account = account_new(shard, stored->key);
    bindings = account ? realloc(account->bindings, (account->n + 1) * sizeof(*bindings)) : NULL;
    if (!bindings)
        return HD_ENOMEM;
    account->bindings = bindings;
    if (!evt_binding_copy(&bindings[account->n], &wanted))
        return HD_ENOMEM;
    account->done[0].txn = stored->txn[0];
    account->done[1].txn = stored->txn[1];
    account->n++;
    evt_gauge(shard, &shard->counters.bindings, 1);
    account_rearm(shard, account);
    return HD_OK;
}

/* --- for others ------------------------------------------------------------------------------ */

const struct evt_account *
evt_account_find(struct evt_shard *shard, struct hd_slice key)
{
    return account_find(shard, key);
}

/* The operator ends contacts (RFC 3680 section 5.3: deactivated, probation, rejected). */
static bool
operator_event(struct hd_slice name, enum evt_reg_event *ret_event)
{
    static const enum evt_reg_event events[] = { EVT_REG_DEACTIVATED, EVT_REG_PROBATION,
                                                 EVT_REG_REJECTED };

    for (size_t i = 0; i < HD_ARRAY_LEN(events); i++)
        if (hd_slice_eq(name, evt_reg_event_name(events[i]))) {
            *ret_event = events[i];
            return true;
        }
    return false;
}

enum hd_err
evt_shard_unregister(struct evt_shard *shard, struct hd_slice key, struct hd_slice contact,
                     struct hd_slice event_name, uint32_t retry_after_s, uint64_t now_us,
                     struct evt_operated *result)
{
    struct evt_account *account;
    struct evt_account_change *change;
    enum evt_reg_event event;

    if (!operator_event(event_name, &event))
        return HD_ESYNTAX;
    evt_shard_tick(shard, now_us);
    account = account_find(shard, key);
    if (!account || account->n == 0)
        return HD_ENOMATCH;
    if (account->change)
        return HD_EBUSY;
    change = account->change = change_new(shard, NULL, account);
    if (!change)
        return HD_ENOMEM;
    const uint32_t before = change->n;
    for (uint32_t i = change->n; i-- > 0;)
        if (!contact.n || hd_slice_eq(change->bindings[i].contact, contact))
            binding_remove(change, &change->bindings[i], event);
    for (uint32_t i = 0; i < change->n_over; i++)
        change->over[i].retry_after_s = event == EVT_REG_PROBATION ? retry_after_s : 0;
    if (change->n == before) {
        account_change_free(shard, account);
        account_rearm(shard, account);
        return HD_ENOMATCH;
    }
    *result = (struct evt_operated){ .err = HD_ESTORE, .n = before - change->n };
    change->result = result;
    change->call = shard->calling;
    shard->calling = NULL;
    change_submit(shard, account);
    return HD_OK;
}
