/* list.c - what a shard holds, listed for people. */
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
    if (evt_sub_is_told(sub))
        return sub->owed || sub->again || evt_cond_has_news(evt_sub_filtered(sub)) ? "behind"
                                                                                   : "in-sync";
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
            .proof = evt_proof_word((enum evt_proof)sub->texts->proof),
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

struct hd_slice
evt_reason_word(unsigned reason)
{
    if (reason == EVT_REASON_SUPERSEDED)
        return HD_LIT("superseded");
    return reason <= EVT_REASON_SILENT ? evt_reason_name((enum evt_reason)reason)
                                       : hd_slice(NULL, 0);
}

void
evt_shard_list_watchers(struct evt_shard *shard, struct hd_slice resource, uint32_t limit,
                        uint64_t now_us, evt_watcher_visit_f visit, void *context)
{
    evt_shard_tick(shard, now_us);
    for (uint32_t i = 0; limit > 0 && (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        if (sub->fetch || (sub->state != EVT_SUB_ACTIVE && sub->state != EVT_SUB_PENDING))
            continue;
        const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
        if (resource.n && !hd_slice_eq(resource, mirror->key))
            continue;
        const struct evt_watcher_row row = {
            .resource = mirror->key,
            .package = mirror->package->name,
            .watcher = evt_texts_get(sub->texts, EVT_TEXT_WATCHER),
            .status = sub->state == EVT_SUB_ACTIVE ? "active" : "pending",
            .expires_s = seconds_until(shard, sub->expires_at_ms),
            .id = sub->id,
            .address = evt_hop_at(shard, sub->came)->flow.remote,
        };
        visit(context, &row);
        limit--;
    }
    for (uint32_t i = 0; limit > 0 && (i = hd_table_next(&shard->waits, i)) != HD_TABLE_NONE; i++) {
        const struct evt_waiting *waiting = hd_table_at(&shard->waits, i);
        if (resource.n && !hd_slice_eq(resource, evt_waiting_key(waiting)))
            continue;
        const struct evt_watcher_row row = {
            .resource = evt_waiting_key(waiting),
            .package = evt_waiting_package(waiting),
            .watcher = evt_waiting_watcher(waiting),
            .status = "waiting",
            .expires_s = seconds_until(shard, waiting->expires_at_ms),
            .id = waiting->watched,
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
