/* shard.c - the life of a shard: mails, timers, turns, configuration. */
#include <stdlib.h>

#include "event/core.h"

void
evt_shard_tick(struct evt_shard *shard, uint64_t now_us)
{
    if (now_us > shard->now_us) {
        shard->now_us = now_us;
        shard->now_ms = now_us / 1000;
    }
}

#define CATCH_UP_MS 500u

void
evt_catch_up_later(struct evt_shard *shard)
{
    if (!shard->catch_up_ms)
        shard->catch_up_ms = shard->now_ms + CATCH_UP_MS;
}

static void
catch_up(struct evt_shard *shard)
{
    shard->catch_up_ms = 0;
    evt_resource_catch_up(shard);
    evt_mirror_catch_up(shard);
    evt_watch_catch_up(shard);
}

/* For a host that polls. */
static void
wake_nobody(void *context)
{
    (void)context;
}

enum hd_err
evt_shard_new(const struct evt_shard_params *params, struct evt_shard **ret_shard)
{
    HD_ASSERT(params->count > 0 && params->count <= EVT_MAX_SHARDS &&
              params->index < params->count);
    struct evt_shard *shard = aligned_alloc(64, (sizeof(*shard) + 63) / 64 * 64);
    if (!shard)
        return HD_ENOMEM;
    memset(shard, 0, sizeof(*shard));
    shard->ring = calloc((size_t)EVT_RING_SETS * EVT_RING_WAYS, sizeof(*shard->ring));
    shard->sources = calloc(EVT_SOURCES, sizeof(*shard->sources));
    if (!shard->ring || !shard->sources) {
        free(shard->ring);
        free(shard->sources);
        free(shard);
        return HD_ENOMEM;
    }
    shard->magic = EVT_SHARD_MAGIC;
    shard->index = params->index;
    shard->count = params->count;
    shard->start = params->start;
    shard->keys = params->keys;
    shard->ports = params->ports;
    shard->config = evt_config_ref(params->config);
    evt_shard_tick(shard, params->now_us);
    hd_rng_init(&shard->rng, params->entropy, params->entropy_context);
    hd_wheel_init(&shard->wheel, shard->now_ms);
    hd_mailbox_init(&shard->box, params->wake ? params->wake : wake_nobody, params->wake_context);

    const struct evt_limits *limits = evt_limits(shard);
    hd_table_init(&shard->subs, sizeof(struct evt_sub), limits->subscriptions);
    hd_table_init(&shard->mirrors, sizeof(struct evt_mirror), limits->resources);
    /* The way that a subscription came, and the one that it goes, may be two. */
    uint32_t hops = limits->subscriptions < EVT_NONE / 2 ? limits->subscriptions * 2 : EVT_NONE - 1;
    hd_table_init(&shard->hops, sizeof(struct evt_hop), hops);
    evt_named_init(shard, hops);
    evt_aliases_init(shard);
    hd_table_init(&shard->resources, sizeof(struct evt_resource), limits->resources);
    hd_table_init(&shard->pubs, sizeof(struct evt_pub), limits->publications);
    hd_table_init(&shard->accounts, sizeof(struct evt_account), limits->bindings);
    hd_table_init(&shard->conds, sizeof(struct evt_cond), limits->subscriptions);
    hd_map_init(&shard->cond_by_key);
    hd_map_init(&shard->sub_by_id);
    hd_map_init(&shard->sub_by_call);
    hd_map_init(&shard->sub_by_device);
    hd_map_init(&shard->sub_by_watcher);
    hd_map_init(&shard->mirror_by_key);
    hd_map_init(&shard->hop_by_flow);
    hd_map_init(&shard->resource_by_key);
    hd_map_init(&shard->pub_by_id);
    hd_map_init(&shard->account_by_key);
    hd_tally_init(&shard->watchers);
    hd_map_init(&shard->hop_by_conn);
    hd_table_init(&shard->asked, sizeof(struct evt_asked), limits->resources);
    hd_table_init(&shard->waits, sizeof(struct evt_waiting), limits->waiting_watchers);
    hd_map_init(&shard->asked_by_key);
    hd_map_init(&shard->waiting_by_key);
    hd_map_init(&shard->waiting_by_watcher);
    shard->ready = shard->walks = EVT_LIST_EMPTY;
    shard->seen_head = shard->seen_tail = EVT_NONE;
    shard->end_at = EVT_NONE;
    shard->peers[shard->index] = shard;
    evt_rec_configure(shard); /* without, when memory is short */
    /* Numbers of snapshots differ between shards and starts, so that none is taken for another. */
    shard->last_number = hd_rng_u64(&shard->rng) >> 16;
    *ret_shard = shard;
    return HD_OK;
}

void
evt_shard_connect(struct evt_shard *shard, struct evt_shard *const *peers)
{
    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    for (unsigned i = 0; i < shard->count; i++)
        shard->peers[i] = peers[i];
    HD_ASSERT(shard->peers[shard->index] == shard);
}

void
evt_shard_free(struct evt_shard *shard)
{
    struct hd_mail *mail;

    if (!shard)
        return;
    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    shard->going = true;
    for (unsigned i = 0; i < shard->count; i++)
        shard->peers[i] = shard; /* the others may be gone: what is still said stays here */
    while ((mail = hd_mailbox_take(&shard->box)))
        evt_mail_free(mail);
    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++)
        evt_sub_free(shard, evt_sub_at(shard, i));
    evt_mirror_drop_all(shard);
    for (uint32_t i = 0; (i = hd_table_next(&shard->pubs, i)) != HD_TABLE_NONE; i++)
        evt_pub_free(shard, evt_pub_at(shard, i));
    for (uint32_t i = 0; (i = hd_table_next(&shard->resources, i)) != HD_TABLE_NONE; i++) {
        struct evt_resource *resource = evt_resource_at(shard, i);
        resource->interested = 0;
        evt_kept_end(shard, resource);
        evt_resource_release(shard, resource);
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->accounts, i)) != HD_TABLE_NONE; i++)
        evt_account_free(shard, evt_account_at(shard, i));
    evt_recorder_free(shard->recorder);
    evt_watch_done(shard);
    evt_waiting_done(shard);
    while (shard->interests) {
        struct evt_mail_interest *next = shard->interests->next;
        free(shard->interests);
        shard->interests = next;
    }
    /* What was freed above may have left mails for this shard. */
    while ((mail = hd_mailbox_take(&shard->box)))
        evt_mail_free(mail);
    while (shard->free_flights) {
        struct evt_flight *next = shard->free_flights->next_free;
        free(shard->free_flights);
        shard->free_flights = next;
    }
    hd_table_done(&shard->nameds);
    evt_aliases_done(shard);
    struct hd_table *tables[] = { &shard->subs,      &shard->mirrors, &shard->hops,
                                  &shard->resources, &shard->pubs,    &shard->accounts,
                                  &shard->asked,     &shard->waits,   &shard->conds };
    for (size_t i = 0; i < HD_ARRAY_LEN(tables); i++)
        hd_table_done(tables[i]);
    struct hd_map *maps[] = { &shard->sub_by_id,          &shard->sub_by_call,
                              &shard->sub_by_device,      &shard->sub_by_watcher,
                              &shard->mirror_by_key,      &shard->hop_by_flow,
                              &shard->resource_by_key,    &shard->pub_by_id,
                              &shard->account_by_key,     &shard->hop_by_conn,
                              &shard->asked_by_key,       &shard->waiting_by_key,
                              &shard->waiting_by_watcher, &shard->cond_by_key };
    for (size_t i = 0; i < HD_ARRAY_LEN(maps); i++)
        hd_map_done(maps[i]);
    hd_tally_done(&shard->watchers);
    evt_config_unref(shard->config);
    free(shard->ring);
    free(shard->sources);
    free(shard->old_seen);
    shard->magic = 0;
    free(shard);
}

struct hd_mailbox *
evt_shard_mailbox(struct evt_shard *shard)
{
    return &shard->box;
}

unsigned
evt_shard_index(const struct evt_shard *shard)
{
    return shard->index;
}

const struct evt_counters *
evt_shard_counters(const struct evt_shard *shard)
{
    return &shard->counters;
}

static bool
row_is(const struct evt_package_counters *row, struct hd_slice name)
{
    return row->name[name.n] == '\0' && memcmp(row->name, name.p, name.n) == 0;
}

/* Few rows, and asked only when something begins or ends.  A row is written before it is counted,
 * so that whoever reads sees whole names. */
struct evt_package_counters *
evt_package_counters(struct evt_shard *shard, struct hd_slice name)
{
    struct evt_counters *counters = &shard->counters;
    uint32_t n = atomic_load_explicit(&counters->n_packages, memory_order_relaxed);
    struct evt_package_counters *row = counters->by_package;

    if (name.n > EVT_PACKAGE_NAME_MAX)
        name.n = EVT_PACKAGE_NAME_MAX;
    for (uint32_t i = 0; i < n; i++, row++)
        if (row_is(row, name))
            return row;
    if (n == EVT_PACKAGES_COUNTED)
        return row - 1;
    if (n == EVT_PACKAGES_COUNTED - 1)
        name = HD_LIT("other");
    memcpy(row->name, name.p, name.n);
    /* release: the name before the number. */
    atomic_store_explicit(&counters->n_packages, n + 1, memory_order_release);
    return row;
}

/* --- mails ----------------------------------------------------------------------------------- */

static void
mail_stored(struct evt_shard *shard, const struct evt_mail_stored *mail)
{
    for (size_t i = 0; i < mail->n; i++) {
        uint64_t ticket = mail->outcomes[i].ticket;
        uint32_t index = (uint32_t)ticket;
        const struct hd_table *table;

        if (ticket == 0)
            continue;
        enum evt_record_kind kind = (enum evt_record_kind)(ticket >> 56);
        if (kind == EVT_RECORD_SEEN || kind == EVT_RECORD_WAITING)
            continue; /* nobody waits for these */
        table = kind == EVT_RECORD_SUBSCRIPTION || kind == EVT_RECORD_CONDITION ? &shard->subs
                : kind == EVT_RECORD_PUBLICATION                                ? &shard->pubs
                                                                                : &shard->accounts;
        if (!hd_table_at(table, index) ||
            (hd_table_handle(table, index).generation & 0xffffff) != (ticket >> 32 & 0xffffff))
            continue;
        if (mail->outcomes[i].err)
            EVT_COUNT(shard, store_failures);
        switch (kind) {
        case EVT_RECORD_SUBSCRIPTION:
            evt_sub_stored(shard, evt_sub_at(shard, index), mail->outcomes[i].err);
            break;
        case EVT_RECORD_PUBLICATION:
            evt_pub_stored(shard, evt_pub_at(shard, index), mail->outcomes[i].err);
            break;
        case EVT_RECORD_SEEN:
        case EVT_RECORD_WAITING:
            break;
        case EVT_RECORD_CONDITION: /* a subscription's, with the firing that it is told */
            evt_cond_kept(shard, evt_sub_at(shard, index));
            break;
        case EVT_RECORD_BINDINGS:
            evt_account_stored(shard, evt_account_at(shard, index), mail->outcomes[i].err);
            break;
        }
    }
}

static void
mail_octets(struct evt_shard *shard, const struct evt_mail_octets *mail)
{
    char *buffer = shard->ports.net->reserve(shard->ports.net_context, mail->n);

    if (!buffer)
        return;
    memcpy(buffer, mail->octets, mail->n);
    shard->ports.net->commit(shard->ports.net_context, &mail->flow, mail->n, mail->owner);
}

static void
mail_snapshot(struct evt_shard *shard, const struct evt_mail_snapshot *mail)
{
    const struct evt_topic topic = evt_topic_read(mail->topic, mail->text);
    struct evt_mirror *mirror = evt_mirror_of(shard, &topic);

    if (!mirror)
        return;
    evt_mirror_snapshot(shard, mirror, mail->snapshot);
    /* Who was judged by a first snapshot may have left it, the last one with it. */
    mirror = mail->alive ? evt_mirror_of(shard, &topic) : NULL;
    if (mirror)
        evt_cond_sign(shard, mirror);
}

/* Failures are counted here, where they happen: so is the budget asked here too. */
static void
mail_packet(struct evt_shard *shard, struct evt_packet *packet)
{
    bool response = hd_slice_istarts(hd_slice(packet->octets, packet->n), HD_LIT("SIP/"));

    if (response || evt_source_allowed(shard, &packet->flow)) {
        evt_packet_handle(shard, packet);
        return;
    }
    EVT_COUNT(shard, unanswered);
    free(packet);
}

static void
mail_handle(struct evt_shard *shard, struct hd_mail *mail)
{
    struct evt_packet *packet = (struct evt_packet *)(void *)mail;

    switch ((enum evt_mail_kind)mail->kind) {
    case EVT_MAIL_PACKET:
        mail_packet(shard, packet);
        return;
    case EVT_MAIL_COUNT:
        packet->authenticated = shard->ports.policy->count(
            shard->ports.policy_context, packet->nonce_id, packet->nc, shard->now_us);
        packet->stale = !packet->authenticated;
        evt_post(shard, packet->from_shard, EVT_MAIL_COUNTED, &packet->mail);
        return;
    case EVT_MAIL_COUNTED:
        evt_ring_drop(shard, packet->txn);
        if (packet->authenticated) {
            evt_ring_counted(shard, packet->txn, hd_slice(packet->octets, packet->n));
            evt_source_good(shard, &packet->flow);
        }
        evt_packet_handle(shard, packet);
        return;
    case EVT_MAIL_ASK:
        EVT_COUNT(shard, asks);
        evt_ask_handle(shard, HD_CONTAINER(mail, struct evt_ask, mail));
        return;
    case EVT_MAIL_INTEREST:
        evt_resource_interest(shard, (struct evt_mail_interest *)(void *)mail);
        return;
    case EVT_MAIL_SNAPSHOT:
        mail_snapshot(shard, (struct evt_mail_snapshot *)(void *)mail);
        evt_snapshot_unref(((struct evt_mail_snapshot *)(void *)mail)->snapshot);
        break;
    case EVT_MAIL_STORED:
        mail_stored(shard, (struct evt_mail_stored *)(void *)mail);
        break;
    case EVT_MAIL_OCTETS:
        mail_octets(shard, (struct evt_mail_octets *)(void *)mail);
        break;
    case EVT_MAIL_FAILED: {
        const struct evt_mail_failed *failed = (struct evt_mail_failed *)(void *)mail;
        evt_shard_send_failed(shard, failed->owner, &failed->flow, shard->now_us);
        break;
    }
    case EVT_MAIL_WATCH:
        evt_watch_question(shard, (struct evt_mail_watch *)(void *)mail);
        return;
    case EVT_MAIL_TOLD:
        evt_watch_answer(shard, (struct evt_mail_told *)(void *)mail);
        return;
    case EVT_MAIL_MERGED:
        evt_merged_judge(shard, (struct evt_mail_merged *)(void *)mail);
        return;
    case EVT_MAIL_JUDGED:
        evt_merged_judged(shard, (struct evt_mail_merged *)(void *)mail);
        return;
    case EVT_MAIL_ALIAS: {
        const struct evt_mail_alias *alias = (struct evt_mail_alias *)(void *)mail;
        if (alias->n)
            evt_alias_copy(shard, alias);
        else
            evt_shard_closed(shard, alias->conn, shard->now_us);
        break;
    }
    case EVT_MAIL_DEVICE:
        evt_device_mail(shard, (struct evt_mail_device *)(void *)mail);
        return;
    case EVT_MAIL_CALL: {
        struct evt_call *call = (struct evt_call *)(void *)mail;
        shard->calling = call;
        call->run(shard, call, shard->now_us);
        if (shard->calling && call->done) /* nobody keeps it until the store has answered */
            call->done(call);
        shard->calling = NULL;
        return;
    }
    }
    free(mail);
}

void
evt_shard_drain(struct evt_shard *shard, uint64_t now_us)
{
    struct hd_mail *mail;

    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    evt_shard_tick(shard, now_us);
    while ((mail = hd_mailbox_take(&shard->box)))
        mail_handle(shard, mail);
}

/* --- sending that failed, connections that closed -------------------------------------------- */

void
evt_shard_send_failed(struct evt_shard *shard, uint64_t owner, const struct hd_flow *flow,
                      uint64_t now_us)
{
    unsigned to = hd_bucket_shard(hd_id_bucket(owner), shard->count);

    evt_shard_tick(shard, now_us);
    if (to != shard->index) {
        struct evt_mail_failed *mail = malloc(sizeof(*mail));
        if (!mail)
            return; /* Timer F will find it out */
        mail->owner = owner;
        mail->flow = *flow;
        evt_post(shard, to, EVT_MAIL_FAILED, &mail->mail);
        return;
    }
    struct evt_sub *sub = evt_sub_find(shard, owner);
    if (sub)
        evt_notify_send_failed(shard, sub, flow);
}

/* A way over this connection with a NOTIFY in flight, or NULL. */
static struct evt_hop *
hop_carrying(struct evt_shard *shard, uint64_t conn)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->hop_by_conn, hd_hash_mix(conn, conn));
         i != HD_MAP_NONE; i = hd_map_more(&walk)) {
        struct evt_hop *hop = hd_table_at(&shard->hops, i);
        if (hop && hop->flow.conn == conn && hop->on_conn != EVT_NONE)
            return hop;
    }
    return NULL;
}

/* What was in flight on a connection, from the first to the last: the hop may go another way from
 * the first one on, and carry it there again. */
static void
hop_lost(struct evt_shard *shard, struct evt_hop *hop)
{
    const struct hd_flow flow = hop->flow;
    uint32_t next;

    hop->subs++; /* stays until all have heard */
    for (uint32_t i = hop->on_conn; i != EVT_NONE; i = next) {
        struct evt_sub *sub = evt_sub_at(shard, i);
        next = sub->flight->next_on_conn;
        evt_notify_send_failed(shard, sub, &flow);
    }
    evt_hop_put(shard, hop->index);
}

/* A closed connection ends no subscription: what was in flight on it goes out again another way,
 * and so does the next NOTIFY of the others (see notify.c). */
void
evt_shard_closed(struct evt_shard *shard, uint64_t conn, uint64_t now_us)
{
    struct evt_hop *hop;

    evt_shard_tick(shard, now_us);
    evt_alias_end(shard, conn);
    while ((hop = hop_carrying(shard, conn)))
        hop_lost(shard, hop);
}

bool
evt_shard_conn_in_use(const struct evt_shard *shard, uint64_t conn)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->hop_by_conn, hd_hash_mix(conn, conn));
         i != HD_MAP_NONE; i = hd_map_more(&walk)) {
        const struct evt_hop *hop = hd_table_at(&shard->hops, i);
        if (hop && hop->flow.conn == conn && hop->subs > 0)
            return true;
    }
    return evt_alias_has(shard, conn);
}

/* --- turns ----------------------------------------------------------------------------------- */

static void
timer_fired(void *context, struct hd_timer *timer)
{
    struct evt_shard *shard = context;

    switch ((enum evt_timer_kind)timer->kind) {
    case EVT_TIMER_SUB:
        evt_sub_fired(shard, HD_CONTAINER(timer, struct evt_sub, timer));
        break;
    case EVT_TIMER_PUB:
        evt_pub_fired(shard, HD_CONTAINER(timer, struct evt_pub, timer));
        break;
    case EVT_TIMER_ACCOUNT:
        evt_account_fired(shard, HD_CONTAINER(timer, struct evt_account, timer));
        break;
    case EVT_TIMER_WATCH:
        evt_watch_fired(shard, timer);
        break;
    case EVT_TIMER_WAITING:
        evt_waiting_fired(shard, timer);
        break;
    case EVT_TIMER_COND:
        evt_cond_fired(shard, HD_CONTAINER(timer, struct evt_cond, timer));
        break;
    }
}

void
evt_shard_end(struct evt_shard *shard, struct evt_sub *sub)
{
    evt_sub_terminate(shard, sub,
                      shard->end_retry_after_s ? EVT_REASON_PROBATION : EVT_REASON_DEACTIVATED,
                      shard->end_retry_after_s);
}

/* Ends subscriptions of a store in memory, as many as a turn has sends. */
static void
turn_terminate(struct evt_shard *shard)
{
    while (shard->end_at != EVT_NONE && shard->sends_left > 0) {
        uint32_t i = hd_table_next(&shard->subs, shard->end_at);
        if (i == HD_TABLE_NONE) {
            shard->end_at = EVT_NONE;
            return;
        }
        shard->end_at = i + 1;
        struct evt_sub *sub = evt_sub_at(shard, i);
        if (sub->state == EVT_SUB_ACTIVE || sub->state == EVT_SUB_PENDING) {
            evt_shard_end(shard, sub);
            shard->sends_left--;
        }
    }
}

static void
turn_of(struct evt_shard *shard, struct evt_sub *sub)
{
    evt_dequeue(shard, sub);
    evt_sub_kick(shard, sub);
    evt_hop_release(shard, evt_hop_at(shard, sub->hop)); /* it may have had nothing to say */
}

/* What has Resource-Priority, before all others: who waits, then states whose fan-out is under way.
 */
static void
turn_first(struct evt_shard *shard)
{
    while (shard->ready.first != EVT_NONE && shard->sends_left > 0)
        turn_of(shard, evt_sub_at(shard, shard->ready.head));
    evt_mirror_walk_first(shard);
}

static void
turn_ready(struct evt_shard *shard)
{
    while (shard->ready.head != EVT_NONE && shard->sends_left > 0)
        turn_of(shard, evt_sub_at(shard, shard->ready.head));
}

uint64_t
evt_shard_turn(struct evt_shard *shard, uint64_t now_us)
{
    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    evt_shard_tick(shard, now_us);
    shard->sends_left = evt_limits(shard)->sends_per_turn;
    hd_wheel_advance(&shard->wheel, shard->now_ms, timer_fired, shard);
    turn_first(shard);
    turn_ready(shard);
    evt_named_turn(shard);
    evt_mirror_walk(shard);
    turn_terminate(shard);
    if (shard->catch_up_ms && shard->now_ms >= shard->catch_up_ms)
        catch_up(shard);
    evt_seen_write_due(shard);
    if (shard->ready.head != EVT_NONE || shard->walks.head != EVT_NONE ||
        shard->end_at != EVT_NONE || shard->nowhere != EVT_NONE)
        return 0;
    uint64_t wait_ms = hd_wheel_wait_ms(&shard->wheel), seen_ms = evt_seen_wait_ms(shard);
    if (seen_ms < wait_ms)
        wait_ms = seen_ms;
    if (shard->catch_up_ms && shard->catch_up_ms - shard->now_ms < wait_ms)
        wait_ms = shard->catch_up_ms - shard->now_ms;
    return wait_ms;
}

void
evt_shard_configure(struct evt_shard *shard, struct evt_config *config, struct hd_slice changed,
                    uint64_t now_us)
{
    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    evt_shard_tick(shard, now_us);
    if (config != shard->config) {
        struct evt_config *old = shard->config;
        shard->config = evt_config_ref(config);
        evt_mirror_configure(shard, config);
        evt_resource_configure(shard, config);
        catch_up(shard); /* a package may be known now */
        evt_config_unref(old);
    }
    evt_rec_configure(shard);
    shard->configurations++;
    evt_waiting_judge(shard, changed);
    evt_hop_configure(shard);
    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        struct evt_sub *sub = evt_sub_at(shard, i);
        if (sub->state == EVT_SUB_INIT || sub->lingering)
            continue; /* one that is being kept is judged when it is */
        if (!changed.n || hd_slice_eq(evt_mirror_at(shard, sub->mirror)->key, changed))
            evt_sub_judge(shard, sub);
    }
}

void
evt_shard_drain_begin(struct evt_shard *shard)
{
    shard->draining = true;
}

void
evt_shard_terminate_all(struct evt_shard *shard, uint32_t retry_after_s, uint64_t now_us)
{
    evt_shard_tick(shard, now_us);
    shard->end_at = 0;
    shard->ends++;
    shard->end_retry_after_s = retry_after_s;
}

bool
evt_shard_quiet(const struct evt_shard *shard)
{
    return shard->n_flights == 0 && shard->waiting == 0 && shard->end_at == EVT_NONE &&
           shard->ready.head == EVT_NONE && shard->walks.head == EVT_NONE;
}
