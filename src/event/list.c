/* list.c - what a shard holds, for people: listings, and the check of its invariants. */
#include <stdio.h>

#include "event/core.h"

static uint32_t
seconds_until(const struct evt_shard *shard, uint64_t at_ms)
{
    return at_ms > shard->now_ms ? (uint32_t)((at_ms - shard->now_ms + 999) / 1000) : 0;
}

static const char *
sub_health(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    if (sub->parked)
        return "parked";
    if (sub->flight)
        return "in-flight";
    if (sub->owed || sub->again || evt_sub_has_events(sub) ||
        (sub->transform == EVT_SEE_ALL && mirror->snapshot &&
         mirror->snapshot->number != sub->seen))
        return "behind";
    return "in-sync";
}

void
evt_shard_list_subs(struct evt_shard *shard, struct hd_slice resource, uint32_t limit,
                    uint64_t now_us, evt_sub_visit_f visit, void *context)
{
    static const char *const states[] = { "init", "pending", "active", "terminated" };

    evt_shard_tick(shard, now_us);
    for (uint32_t i = 0; limit > 0 && (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        if (sub->state == EVT_SUB_INIT || sub->lingering)
            continue;
        const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
        if (resource.n && !hd_slice_eq(resource, mirror->key))
            continue;
        struct evt_sub_row row = {
            .resource = mirror->key,
            .package = mirror->package->name,
            .watcher = evt_texts_get(sub->texts, EVT_TEXT_WATCHER),
            .call_id = evt_texts_get(sub->texts, EVT_TEXT_CALL_ID),
            .target = evt_texts_get(sub->texts, EVT_TEXT_TARGET),
            .event_id = evt_texts_get(sub->texts, EVT_TEXT_EVENT_ID),
            .state = states[sub->state],
            .health = sub_health(shard, sub),
            .expires_s =
                sub->state == EVT_SUB_TERMINATED ? 0 : seconds_until(shard, sub->expires_at_ms),
            .cseq = sub->cseq_local,
            .shard = shard->index,
            .id = sub->id,
            .flow = evt_hop_at(shard, sub->hop)->flow,
        };
        visit(context, &row);
        limit--;
    }
}

void
evt_shard_list_pubs(struct evt_shard *shard, struct hd_slice resource, uint32_t limit,
                    uint64_t now_us, evt_pub_visit_f visit, void *context)
{
    evt_shard_tick(shard, now_us);
    for (uint32_t i = 0; limit > 0 && (i = hd_table_next(&shard->pubs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        if (!pub->live)
            continue;
        const struct evt_resource *of = evt_resource_at(shard, pub->resource);
        if (resource.n && !hd_slice_eq(resource, of->key))
            continue;
        char etag[HD_ID_TEXT];
        hd_id_text(&shard->keys.id, HD_ID_ETAG, pub->id, pub->etag, etag);
        struct evt_pub_row row = {
            .resource = of->key,
            .package = of->package->name,
            .type = pub->doc->type,
            .etag = hd_slice(etag, HD_ID_TEXT),
            .publisher = pub->publisher,
            .expires_s = seconds_until(shard, pub->expires_at_ms),
            .size = (uint32_t)pub->doc->body.n,
            .shard = shard->index,
        };
        visit(context, &row);
        limit--;
    }
}

void
evt_shard_list_bindings(struct evt_shard *shard, struct hd_slice resource, uint32_t limit,
                        uint64_t now_us, evt_binding_visit_f visit, void *context)
{
    evt_shard_tick(shard, now_us);
    for (uint32_t i = 0; limit > 0 && (i = hd_table_next(&shard->accounts, i)) != HD_TABLE_NONE;
         i++) {
        const struct evt_account *account = evt_account_at(shard, i);
        if (resource.n && !hd_slice_eq(resource, account->key))
            continue;
        for (uint32_t k = 0; k < account->n && limit > 0; k++, limit--) {
            struct evt_binding_row row = {
                .resource = account->key,
                .contact = account->bindings[k].contact,
                .expires_s = seconds_until(shard, account->bindings[k].expires_at_ms),
                .shard = shard->index,
            };
            visit(context, &row);
        }
    }
}

/* --- invariants ------------------------------------------------------------------------------ */

static const char *
check_sub(struct evt_shard *shard, const struct evt_sub *sub)
{
    if (evt_sub_find(shard, sub->id) != sub)
        return "a subscription is not found by its id";
    if (sub->lingering)
        return hd_timer_running(&sub->timer) ? NULL : "a lingering subscription has no timer";
    if (sub->mirror == EVT_NONE)
        return "a subscription has no mirror";
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    if (sub->in_mirror && (sub->place >= mirror->n_subs || mirror->subs[sub->place] != sub->index))
        return "a subscription is not at its place in the mirror";
    if (sub->state == EVT_SUB_INIT)
        return sub->change ? NULL : "a subscription that is not kept has no change under way";
    if (!sub->in_mirror || sub->hop == EVT_NONE)
        return "a subscription is in force without place or next hop";
    /* Who waits for the store waits without a timer when his time is over. */
    if (!hd_timer_running(&sub->timer) && !sub->change &&
        !(sub->state == EVT_SUB_TERMINATED && sub->owed))
        return "a subscription has no timer";
    if (sub->queued != EVT_QUEUED_NOT)
        return NULL;
    bool can =
        mirror->snapshot || (sub->state == EVT_SUB_TERMINATED && sub->reason != EVT_REASON_TIMEOUT);
    if (sub->owed && can && !sub->hold_until_ms && !mirror->walking)
        return "an owed NOTIFY is forgotten";
    return NULL;
}

static const char *
check_mirrors(struct evt_shard *shard)
{
    uint32_t members = 0, places = 0, in_force = 0;
    uint64_t counted = 0;

    for (size_t i = 0; i < HD_ARRAY_LEN(shard->counters.by_package); i++)
        counted += atomic_load_explicit(&shard->counters.by_package[i].subscriptions,
                                        memory_order_relaxed);

    for (uint32_t i = 0; (i = hd_table_next(&shard->mirrors, i)) != HD_TABLE_NONE; i++) {
        const struct evt_mirror *mirror = evt_mirror_at(shard, i);
        members += mirror->members;
        uint32_t empty = 0;
        for (uint32_t k = 0; k < mirror->n_subs; k++)
            empty += mirror->subs[k] == EVT_NONE;
        if (empty != mirror->free_places)
            return "a mirror miscounts its free places";
        places += mirror->n_subs - empty;
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        members -= !sub->lingering;
        in_force += sub->in_mirror;
    }
    if (counted != in_force)
        return "subscriptions are miscounted by package";
    if (members)
        return "mirrors count members that are not there";
    return places == in_force ? NULL : "mirrors hold places of subscriptions that are not there";
}

static const char *
check_hops(struct evt_shard *shard)
{
    uint32_t subs = 0, came = 0, in_flight = 0, counted = 0;

    for (uint32_t i = 0; (i = hd_table_next(&shard->hops, i)) != HD_TABLE_NONE; i++) {
        const struct evt_hop *hop = evt_hop_at(shard, i);
        subs += hop->subs;
        came += hop->came;
        if (!hop->subs && !hop->came)
            return "a hop is kept that nobody needs";
        in_flight += hop->in_flight;
        if (hop->waiting.head != EVT_NONE && shard->ready.head == EVT_NONE &&
            evt_hop_may_send(shard, hop))
            return "a hop has room, and some wait for it";
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        subs -= (sub->hop != EVT_NONE) + (sub->change && sub->change->hop != EVT_NONE);
        came -= (sub->came != EVT_NONE) + (sub->change && sub->change->came != EVT_NONE);
        counted += sub->flight && sub->flight->counted;
    }
    if (subs || came)
        return "hops count subscriptions that are not there";
    return in_flight == counted ? NULL : "hops count NOTIFYs that are not in flight";
}

const char *
evt_shard_check(struct evt_shard *shard)
{
    const char *fault = NULL;
    uint32_t flights = 0, waiting = 0;

    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    for (uint32_t i = 0; !fault && (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        fault = check_sub(shard, sub);
        flights += sub->flight != NULL;
        waiting += (sub->rare ? sub->rare->n_waiting : 0) + (sub->change != NULL);
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->pubs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        waiting += pub->n_waiting + (pub->change != NULL);
        if (!fault && !hd_timer_running(&pub->timer) && !pub->change)
            fault = "a publication has no timer";
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->accounts, i)) != HD_TABLE_NONE; i++) {
        const struct evt_account *account = evt_account_at(shard, i);
        waiting += account->n_waiting + (account->change != NULL);
    }
    if (!fault && flights != shard->n_flights)
        fault = "NOTIFYs in flight are miscounted";
    if (!fault && waiting != shard->waiting)
        fault = "waiting requests are miscounted";
    if (!fault &&
        shard->subs.count + shard->pubs.count + shard->accounts.count < shard->wheel.count)
        fault = "more timers run than there are records";
    if (!fault)
        fault = check_mirrors(shard);
    if (!fault)
        fault = check_hops(shard);
    return fault;
}
