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
        ((sub->transform == EVT_SEE_ALL || sub->transform == EVT_SEE_OWN) && mirror->snapshot &&
         mirror->snapshot->number != sub->seen) ||
        (mirror->snapshot && evt_sub_block_is_untold(sub)))
        return "behind";
    return "in-sync";
}

/* --- what is looked for --------------------------------------------------------------------- */

static bool
holds(struct hd_slice text, struct hd_slice wanted)
{
    for (; text.n >= wanted.n; text = hd_slice_from(text, 1))
        if (hd_slice_ieq(hd_slice(text.p, wanted.n), wanted))
            return true;
    return false;
}

/* The key and package fit, and one of n names holds the text. */
static bool
is_wanted(const struct evt_look *look, const struct hd_slice *names, size_t n)
{
    if (look->resource.n && !hd_slice_eq(look->resource, names[0]))
        return false;
    if (look->package.n && !hd_slice_eq(look->package, names[1]))
        return false;
    for (size_t i = 0; i < n && look->text.n; i++)
        if (holds(names[i], look->text))
            return true;
    return look->text.n == 0;
}

/* Goes through a table from look->from on; visit says whether it was a row. */
static uint32_t
walk(struct evt_shard *shard, const struct hd_table *table, const struct evt_look *look,
     bool (*visit)(struct evt_shard *shard, const struct evt_look *look, uint32_t index,
                   void *context),
     void *context)
{
    uint32_t rows = 0, at = look->from;

    for (uint32_t seen = 0; rows < look->limit && seen < look->scan; seen++) {
        const uint32_t index = hd_table_next(table, at);
        if (index == HD_TABLE_NONE)
            return EVT_LOOK_END;
        if (visit(shard, look, index, context))
            rows++;
        at = index + 1;
    }
    return hd_table_next(table, at) == HD_TABLE_NONE ? EVT_LOOK_END : at;
}

/* --- subscriptions -------------------------------------------------------------------------- */

struct visiting_subs {
    evt_sub_visit_f visit;
    void *context;
};

static uint32_t
unanswered_ms(const struct evt_shard *shard, const struct evt_sub *sub)
{
    const uint64_t end_ms = sub->flight ? sub->flight->deadline_ms : 0;

    if (!end_ms || end_ms == UINT64_MAX || end_ms < SIP_TIMER_F_MS)
        return 0;
    const uint64_t since_ms = end_ms - SIP_TIMER_F_MS;
    return since_ms < shard->now_ms ? (uint32_t)(shard->now_ms - since_ms) : 0;
}

static bool
is_sick(const struct evt_shard *shard, const struct evt_sub *sub)
{
    return sub->parked || sub->backoff_s || unanswered_ms(shard, sub) >= EVT_SICK_MS;
}

static bool
visit_sub(struct evt_shard *shard, const struct evt_look *look, uint32_t index, void *context)
{
    static const char *const states[] = { "init", "pending", "active", "terminated" };
    const struct visiting_subs *visiting = context;
    const struct evt_sub *sub = evt_sub_at(shard, index);

    if (sub->state == EVT_SUB_INIT || sub->lingering || (look->sick && !is_sick(shard, sub)))
        return false;
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const struct hd_slice names[] = { mirror->key, mirror->package->name,
                                      evt_texts_get(sub->texts, EVT_TEXT_WATCHER),
                                      evt_texts_get(sub->texts, EVT_TEXT_TARGET),
                                      evt_texts_get(sub->texts, EVT_TEXT_CALL_ID) };
    if (!is_wanted(look, names, HD_ARRAY_LEN(names)))
        return false;
    const struct evt_sub_row row = {
        .resource = mirror->key,
        .package = mirror->package->name,
        .watcher = names[2],
        .target = names[3],
        .call_id = names[4],
        .event_id = evt_texts_get(sub->texts, EVT_TEXT_EVENT_ID),
        .state = states[sub->state],
        .proof = evt_proof_word((enum evt_proof)sub->texts->proof),
        .health = sub_health(shard, sub),
        .expires_s =
            sub->state == EVT_SUB_TERMINATED ? 0 : seconds_until(shard, sub->expires_at_ms),
        .cseq = sub->cseq_local,
        .unanswered_ms = unanswered_ms(shard, sub),
        .backoff_s = sub->backoff_s,
        .retry_ms = sub->hold_until_ms > shard->now_ms && sub->backoff_s
                        ? (uint32_t)(sub->hold_until_ms - shard->now_ms)
                        : 0,
        .shard = shard->index,
        .id = sub->id,
        .flow = evt_hop_at(shard, sub->hop)->flow,
    };
    visiting->visit(visiting->context, &row);
    return true;
}

uint32_t
evt_shard_look_subs(struct evt_shard *shard, const struct evt_look *look, uint64_t now_us,
                    evt_sub_visit_f visit, void *context)
{
    struct visiting_subs visiting = { visit, context };
    const struct evt_sub *sub = look->id ? evt_sub_find(shard, look->id) : NULL;

    evt_shard_tick(shard, now_us);
    if (sub)
        (void)visit_sub(shard, look, sub->index, &visiting);
    if (look->id)
        return EVT_LOOK_END;
    return walk(shard, &shard->subs, look, visit_sub, &visiting);
}

void
evt_shard_list_subs(struct evt_shard *shard, struct hd_slice resource, uint32_t limit,
                    uint64_t now_us, evt_sub_visit_f visit, void *context)
{
    const struct evt_look look = { .resource = resource, .limit = limit, .scan = UINT32_MAX };

    (void)evt_shard_look_subs(shard, &look, now_us, visit, context);
}

uint32_t
evt_shard_count_subs(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    const struct evt_package *of = evt_config_package(shard->config, package);
    const struct evt_mirror *mirror = evt_mirror_find(shard, key, package);
    uint32_t n = mirror ? mirror->n_subs - mirror->free_places : 0, at = 0;

    while (of && of->watched && /* others have none of these, and all mirrors are looked at */
           (mirror = evt_mirror_next_own(shard, &at, key, package)))
        n += mirror->n_subs - mirror->free_places;
    return n;
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

/* --- publications and resources ------------------------------------------------------------- */

struct visiting_pubs {
    evt_pub_visit_f visit;
    void *context;
};

static bool
visit_pub(struct evt_shard *shard, const struct evt_look *look, uint32_t index, void *context)
{
    const struct visiting_pubs *visiting = context;
    const struct evt_pub *pub = evt_pub_at(shard, index);
    char etag[HD_ID_TEXT];

    if (!pub->live)
        return false;
    const struct evt_resource *of = evt_resource_at(shard, pub->resource);
    const struct hd_slice names[] = { of->key, of->package->name, pub->publisher, pub->doc->type };
    if (!is_wanted(look, names, HD_ARRAY_LEN(names)))
        return false;
    hd_id_text(&shard->keys.id, HD_ID_ETAG, pub->id, pub->etag, etag);
    const struct evt_pub_row row = {
        .resource = of->key,
        .package = of->package->name,
        .type = pub->doc->type,
        .etag = hd_slice(etag, HD_ID_TEXT),
        .publisher = pub->publisher,
        .expires_s = seconds_until(shard, pub->expires_at_ms),
        .size = (uint32_t)pub->doc->body.n,
        .shard = shard->index,
    };
    visiting->visit(visiting->context, &row);
    return true;
}

uint32_t
evt_shard_look_pubs(struct evt_shard *shard, const struct evt_look *look, uint64_t now_us,
                    evt_pub_visit_f visit, void *context)
{
    struct visiting_pubs visiting = { visit, context };

    evt_shard_tick(shard, now_us);
    return walk(shard, &shard->pubs, look, visit_pub, &visiting);
}

struct visiting_resources {
    evt_resource_visit_f visit;
    void *context;
};

static bool
visit_resource(struct evt_shard *shard, const struct evt_look *look, uint32_t index, void *context)
{
    const struct visiting_resources *visiting = context;
    const struct evt_resource *resource = evt_resource_at(shard, index);
    const struct hd_slice names[] = { resource->key, resource->package->name };
    const struct evt_doc *doc = resource->snapshot ? resource->snapshot->doc : NULL;

    /* What a watcher is shown of himself is no resource: who lists them sees its subscriptions. */
    if (resource->watcher_n || !is_wanted(look, names, HD_ARRAY_LEN(names)))
        return false;
    const struct evt_resource_row row = {
        .key = resource->key,
        .package = resource->package->name,
        .type = doc ? doc->type : hd_slice(NULL, 0),
        .publications = resource->n_live,
        .size = doc ? (uint32_t)doc->body.n : 0,
        .version = resource->snapshot ? resource->snapshot->number : 0,
        .shard = shard->index,
    };
    visiting->visit(visiting->context, &row);
    return true;
}

uint32_t
evt_shard_look_resources(struct evt_shard *shard, const struct evt_look *look,
                         evt_resource_visit_f visit, void *context)
{
    struct visiting_resources visiting = { visit, context };

    return walk(shard, &shard->resources, look, visit_resource, &visiting);
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
                .path = account->bindings[k].path,
                .expires_s = seconds_until(shard, account->bindings[k].expires_at_ms),
                .shard = shard->index,
            };
            visit(context, &row);
        }
    }
}
