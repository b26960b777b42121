/* check.c - the invariants of a shard's tables, for tests, fuzzing and the debug build.
 *
 * What is checked is what an operator would notice when it did not hold: a subscription that is in
 * no table or in two, a timer that is not there, a NOTIFY that is owed and that nobody will send, a
 * gauge that shows what is not there.  Everything is read, nothing is changed. */
#include "event/core.h"

static uint64_t
gauge(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* How often a map has an index under a hash. */
static unsigned
map_holds(const struct hd_map *map, uint64_t hash, uint32_t index)
{
    struct hd_map_walk walk;
    unsigned n = 0;

    for (uint32_t i = hd_map_first(&walk, map, hash); i != HD_MAP_NONE; i = hd_map_more(&walk))
        n += i == index;
    return n;
}

/* --- subscriptions --------------------------------------------------------------------------- */

/* Over and said: it holds nothing of the living any more. */
static const char *
check_lingering(const struct evt_sub *sub)
{
    if (sub->state != EVT_SUB_TERMINATED || sub->flight || sub->change || sub->owed ||
        sub->in_mirror || sub->mirror != EVT_NONE || sub->hop != EVT_NONE ||
        evt_sub_has_events(sub) || sub->queued != EVT_QUEUED_NOT)
        return "a lingering subscription holds what the living need";
    return hd_timer_running(&sub->timer) ? NULL : "a lingering subscription has no timer";
}

static const char *
check_flight(const struct evt_sub *sub)
{
    const struct evt_flight *flight = sub->flight;
    uint64_t due = flight->deadline_ms;

    if (!flight->view)
        return "a NOTIFY in flight has no body to repeat";
    if (flight->branch > sub->branch || flight->cseq > sub->cseq_local)
        return "a NOTIFY in flight is newer than the last one";
    due = flight->next_ms < due ? flight->next_ms : due;
    return hd_timer_running(&sub->timer) && sub->timer.due_ms <= due
               ? NULL
               : "nobody will look after a NOTIFY in flight";
}

/* Whether there is something that this subscriber is to be told. */
static bool
has_news(const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    if (sub->owed)
        return mirror->snapshot ||
               (sub->state == EVT_SUB_TERMINATED && sub->reason != EVT_REASON_TIMEOUT);
    if (sub->state == EVT_SUB_TERMINATED)
        return false;
    if (sub->again)
        return mirror->snapshot != NULL;
    if (evt_sub_is_told(sub))
        return mirror->snapshot && evt_cond_has_news(evt_sub_filtered(sub));
    if (mirror->snapshot && sub->transform == EVT_SEE_NEUTRAL)
        return evt_sub_block_is_untold(sub);
    if ((sub->transform != EVT_SEE_ALL && sub->transform != EVT_SEE_OWN) || !mirror->snapshot)
        return false;
    if (mirror->package->delivery == EVT_DELIVER_EVERY)
        return evt_sub_has_events(sub);
    return mirror->snapshot->number != sub->seen;
}

/* Nothing owed is forgotten: it is in flight, waits in a queue, or for a time at which the timer
 * fires. */
static const char *
check_owed(const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    const struct evt_filtered *f = evt_sub_filtered(sub);

    if (sub->queued != EVT_QUEUED_NOT || mirror->walking || !has_news(sub, mirror))
        return NULL;
    if (f && (f->keep == EVT_KEEP_UNDER_WAY || (sub->change && (f->fired | f->cleared))))
        return NULL; /* the store's word releases it */
    if (sub->hold_until_ms)
        return hd_timer_running(&sub->timer) && sub->timer.due_ms <= sub->hold_until_ms
                   ? NULL
                   : "a NOTIFY is held for ever";
    if (sub->flight && !sub->owed)
        return NULL; /* its answer releases what is new */
    return sub->owed ? "an owed NOTIFY is forgotten" : "a state that was not seen is forgotten";
}

static const char *
check_in_force(const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    if (!sub->in_mirror || sub->hop == EVT_NONE)
        return "a subscription is in force without place or next hop";
    /* Who waits for the store waits without a timer when his time is over. */
    if (!hd_timer_running(&sub->timer) && !sub->change &&
        !(sub->state == EVT_SUB_TERMINATED && sub->owed))
        return "a subscription has no timer";
    if (sub->state != EVT_SUB_TERMINATED && !sub->change && sub->timer.due_ms > sub->expires_at_ms)
        return "a subscription outlives what was granted";
    return check_owed(sub, mirror);
}

/* Who is told by conditions stands with them, once. */
static const char *
check_told(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_filtered *f = evt_sub_filtered(sub);

    if (!f || f->cond == EVT_NONE)
        return NULL;
    const struct evt_cond *cond = evt_cond_at(shard, f->cond);
    if (f->place >= cond->n_subs || cond->subs[f->place] != sub->index)
        return "a subscription is not at its place with its conditions";
    if (cond->mirror != sub->mirror || cond->filter != f->filter)
        return "a subscription is with the conditions of another filter";
    if (cond->apart != (f->apart ? sub->id : 0) || (f->apart && cond->n_subs != 1))
        return "a subscription is with another one's conditions";
    return NULL;
}

/* Who may see his own entry alone is a subscriber of what has that alone, and nobody else is. */
static const char *
check_own(const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    const struct evt_topic topic = evt_mirror_topic(mirror);

    if (!topic.watcher.n)
        return sub->transform == EVT_SEE_OWN ? "a watcher is shown more than his own entry" : NULL;
    if (!hd_slice_eq(topic.watcher, evt_texts_get(sub->texts, EVT_TEXT_WATCHER)))
        return "a watcher is shown another one's entry";
    return sub->transform == EVT_SEE_OWN || sub->transform == EVT_SEE_NOTHING ||
                   sub->state == EVT_SUB_INIT
               ? NULL
               : "a watcher who may see more is shown his own entry";
}

static const char *
check_sub(struct evt_shard *shard, const struct evt_sub *sub)
{
    const char *fault;

    if (map_holds(&shard->sub_by_id, sub->id, sub->index) != 1 ||
        map_holds(&shard->sub_by_call, sub->call_hash, sub->index) != 1 ||
        evt_sub_find(shard, sub->id) != sub)
        return "a subscription is not found by its id and its call, once";
    if (sub->rare && map_holds(&shard->sub_by_device, sub->rare->device, sub->index) !=
                         (sub->rare->device_noted ? 1 : 0))
        return "a subscription is not found by its device, once";
    if (hd_bucket_shard(hd_id_bucket(sub->id), shard->count) != shard->index)
        return "a subscription is another shard's";
    if (hd_timer_running(&sub->timer) && sub->timer.kind != EVT_TIMER_SUB)
        return "a subscription's timer is another's";
    if (sub->lingering)
        return check_lingering(sub);
    if (sub->mirror == EVT_NONE)
        return "a subscription has no mirror";
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    if (sub->in_mirror && (sub->place >= mirror->n_subs || mirror->subs[sub->place] != sub->index))
        return "a subscription is not at its place in the mirror";
    if (evt_by_watcher_holds(shard, sub) != (sub->in_mirror && mirror->by_watcher ? 1 : 0))
        return "a subscription is not found by its watcher, once";
    if ((fault = check_own(sub, mirror)))
        return fault;
    if ((sub->flight && (fault = check_flight(sub))) || (fault = check_told(shard, sub)))
        return fault;
    if (sub->state == EVT_SUB_INIT)
        return sub->change && !sub->flight ? NULL : "a subscription that is not kept does not wait";
    return check_in_force(sub, mirror);
}

/* One that lists itself: every member says that it is in it, and nobody else does. */
static const char *
check_list(struct evt_shard *shard, const struct evt_list *list, enum evt_queued where,
           uint32_t hop, uint32_t *count)
{
    uint32_t before = EVT_NONE;
    bool first = list->first != EVT_NONE;

    for (uint32_t i = list->head; i != EVT_NONE;) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        const enum evt_queued here =
            where == EVT_QUEUED_HOP && first ? EVT_QUEUED_HOP_FIRST : where;
        if (sub->queued != here || (i != list->head && sub->prev_queued != before) ||
            (where == EVT_QUEUED_HOP && sub->hop != hop))
            return "a queue holds a subscription that is not in it";
        first = first && i != list->first;
        before = i;
        i = sub->next_queued;
        if (++*count > shard->subs.count)
            return "a queue has no end";
    }
    if (first || (before != EVT_NONE && evt_sub_at(shard, list->head)->prev_queued != before))
        return "a queue ends elsewhere";
    return NULL;
}

static const char *
check_queues(struct evt_shard *shard)
{
    uint32_t count = 0, queued = 0;
    const char *fault = check_list(shard, &shard->ready, EVT_QUEUED_READY, EVT_NONE, &count);

    for (uint32_t i = 0; !fault && (i = hd_table_next(&shard->hops, i)) != HD_TABLE_NONE; i++)
        fault = check_list(shard, &evt_hop_at(shard, i)->waiting, EVT_QUEUED_HOP, i, &count);
    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++)
        queued += evt_sub_at(shard, i)->queued != EVT_QUEUED_NOT;
    if (!fault && queued != count)
        fault = "a subscription waits in no queue";
    return fault;
}

static const char *
check_subs(struct evt_shard *shard)
{
    uint32_t flights = 0, parked = 0, in_force = 0, members = 0, counted = 0;
    const char *fault = NULL;

    for (uint32_t i = 0; !fault && (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        fault = check_sub(shard, sub);
        flights += sub->flight != NULL;
        parked += sub->parked;
        in_force += sub->state == EVT_SUB_ACTIVE || sub->state == EVT_SUB_PENDING;
        members += !sub->lingering;
    }
    for (uint32_t i = 0; i < shard->watchers.cap; i++)
        counted += (uint32_t)(shard->watchers.words[i] & HD_TALLY_MOST);
    if (fault)
        return fault;
    if (shard->sub_by_id.used != shard->subs.count || shard->sub_by_call.used != shard->subs.count)
        return "a map of subscriptions holds what is not there";
    if (flights != shard->n_flights || flights != gauge(&shard->counters.in_flight))
        return "NOTIFYs in flight are miscounted";
    if (parked != gauge(&shard->counters.parked))
        return "parked subscriptions are miscounted";
    if (in_force != gauge(&shard->counters.subscriptions))
        return "subscriptions are miscounted";
    if (counted > members) /* a restart takes what a quota would not allow any more */
        return "subscriptions of watchers are miscounted";
    return check_queues(shard);
}

/* --- mirrors and hops ------------------------------------------------------------------------ */

static const char *
check_walks(struct evt_shard *shard)
{
    uint32_t walking = 0, listed = 0, last = EVT_NONE, first = EVT_NONE;

    for (uint32_t i = 0; (i = hd_table_next(&shard->mirrors, i)) != HD_TABLE_NONE; i++)
        walking += evt_mirror_at(shard, i)->walking;
    for (uint32_t i = shard->walks.head; i != EVT_NONE && listed <= walking; listed++) {
        const struct evt_mirror *mirror = evt_mirror_at(shard, i);
        if (listed > 0 && mirror->prev_walk != last)
            return "a fan-out under way does not know the one before";
        if (mirror->walking_first) {
            if (first != last)
                return "a fan-out that goes first stands behind one that does not";
            first = i;
        }
        last = i;
        i = mirror->next_walk;
    }
    if (shard->walks.first != first)
        return "the fan-outs that go first end elsewhere";
    return listed == walking &&
                   (listed == 0 || evt_mirror_at(shard, shard->walks.head)->prev_walk == last)
               ? NULL
               : "a fan-out under way is not in the list";
}

static const char *
check_mirrors(struct evt_shard *shard)
{
    uint32_t members = 0, places = 0, in_force = 0, leaving = 0, own = 0, by_watcher = 0;
    uint64_t counted = 0;

    for (size_t i = 0; i < HD_ARRAY_LEN(shard->counters.by_package); i++)
        counted += gauge(&shard->counters.by_package[i].subscriptions);
    for (uint32_t i = 0; (i = hd_table_next(&shard->mirrors, i)) != HD_TABLE_NONE; i++) {
        const struct evt_mirror *mirror = evt_mirror_at(shard, i);
        members += mirror->members;
        leaving += mirror->leaving;
        own += mirror->watcher_n > 0;
        if (evt_config_package(mirror->config, mirror->package->name) != mirror->package)
            return "a mirror's package is not one of its configuration";
        if (mirror->by_watcher && mirror->watcher_n)
            return "a mirror of one watcher's finds them by their watcher";
        if (mirror->watched && mirror->watcher_n)
            return "a mirror for an own entry notes that all watchers are asked for";
        uint32_t empty = 0;
        for (uint32_t k = 0; k < mirror->n_subs; k++)
            empty += mirror->subs[k] == EVT_NONE;
        if (empty != mirror->free_places)
            return "a mirror miscounts its free places";
        places += mirror->n_subs - empty;
        by_watcher += mirror->by_watcher ? mirror->n_subs - empty : 0;
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
    if (leaving != shard->leaving || (leaving && !shard->catch_up_ms))
        return "a mirror that nobody needs is forgotten";
    if (own != shard->n_own)
        return "mirrors for own entries are miscounted";
    if (by_watcher != shard->sub_by_watcher.used)
        return "the map of watchers holds what is not there";
    if (shard->mirror_by_key.used != shard->mirrors.count ||
        gauge(&shard->counters.mirrors) != shard->mirrors.count)
        return "mirrors are miscounted";
    if (places != in_force)
        return "mirrors hold places of subscriptions that are not there";
    return check_walks(shard);
}

/* Those that a connection carries are found by it. */
static const char *
check_carried(struct evt_shard *shard, const struct evt_hop *hop, uint32_t *carried)
{
    uint32_t before = EVT_NONE;

    for (uint32_t i = hop->on_conn; i != EVT_NONE;) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        if (!sub->flight || !sub->flight->on_conn || sub->hop != hop->index ||
            sub->flight->prev_on_conn != before)
            return "a connection carries a NOTIFY that is not in flight on it";
        before = i;
        i = sub->flight->next_on_conn;
        if (++*carried > shard->subs.count)
            return "what a connection carries has no end";
    }
    return NULL;
}

static const char *
check_hops(struct evt_shard *shard)
{
    uint32_t subs = 0, came = 0, in_flight = 0, counted = 0, conns = 0, carried = 0, ways = 0,
             named = 0;
    const char *fault = NULL;

    for (uint32_t i = 0; !fault && (i = hd_table_next(&shard->hops, i)) != HD_TABLE_NONE; i++) {
        const struct evt_hop *hop = evt_hop_at(shard, i);
        subs += hop->subs;
        came += hop->came;
        ways += hop->subs > 0;
        if (!hop->subs && !hop->came)
            return "a hop is kept that nobody needs";
        in_flight += hop->in_flight;
        conns += hop->flow.conn != 0;
        named += hop->named != EVT_NONE;
        if (hop->named != EVT_NONE ? !evt_named_is(shard, hop)
                                   : evt_hop_find(shard, &hop->flow) != hop)
            return "a next hop is not found by its flow or name";
        if (hop->waiting.head != EVT_NONE && shard->ready.head == EVT_NONE &&
            evt_hop_may_send(shard, hop))
            return "a hop has room, and some wait for it";
        fault = check_carried(shard, hop, &carried);
    }
    if (fault)
        return fault;
    if (named != shard->nameds.count)
        return "a name is kept that no next hop has";
    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        subs -= (sub->hop != EVT_NONE) + (sub->change && sub->change->hop != EVT_NONE);
        came -= (sub->came != EVT_NONE) + (sub->change && sub->change->came != EVT_NONE);
        counted += sub->flight && sub->flight->counted;
        carried -= sub->flight && sub->flight->on_conn;
    }
    if (subs || came)
        return "hops count subscriptions that are not there";
    if (carried)
        return "connections carry what is not in flight";
    if (shard->hop_by_flow.used != shard->hops.count || shard->hop_by_conn.used != conns ||
        gauge(&shard->counters.hops) != ways)
        return "hops are miscounted";
    return in_flight == counted ? NULL : "hops count NOTIFYs that are not in flight";
}

/* --- publications and registrations ---------------------------------------------------------- */

static const char *
check_pub(struct evt_shard *shard, const struct evt_pub *pub)
{
    if (map_holds(&shard->pub_by_id, pub->id, pub->index) != 1 ||
        evt_pub_find(shard, pub->id) != pub)
        return "a publication is not found by its id, once";
    if (pub->live && pub->gone)
        return "a publication lives and is over";
    if (pub->live && !pub->doc)
        return "a publication has no document";
    if (!pub->live && !pub->gone && !pub->change)
        return "a publication that is not kept does not wait";
    if (!hd_timer_running(&pub->timer) && !pub->change)
        return "a publication has no timer";
    return NULL;
}

static const char *
check_resource(struct evt_shard *shard, const struct evt_resource *resource)
{
    uint32_t n = 0, live = 0, before = EVT_NONE;

    const struct evt_topic topic = evt_resource_topic(resource);
    if (evt_resource_of(shard, &topic) != resource)
        return "a resource is not found by its key";
    for (uint32_t i = resource->newest; i != EVT_NONE;) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        if (pub->resource != resource->index || pub->newer != before || n++ > shard->pubs.count)
            return "a resource lists a publication that is not its own";
        live += pub->live;
        before = i;
        i = pub->older;
    }
    if (n != resource->n_pubs || live != resource->n_live)
        return "a resource miscounts its publications";
    if (!n && !resource->interested)
        return "a resource that nobody needs stays";
    return NULL;
}

static const char *
check_resources(struct evt_shard *shard)
{
    uint64_t listed = 0, live = 0, counted = 0;
    const char *fault = NULL;

    for (uint32_t i = 0; !fault && (i = hd_table_next(&shard->pubs, i)) != HD_TABLE_NONE; i++)
        fault = check_pub(shard, evt_pub_at(shard, i));
    for (uint32_t i = 0; !fault && (i = hd_table_next(&shard->resources, i)) != HD_TABLE_NONE;
         i++) {
        const struct evt_resource *resource = evt_resource_at(shard, i);
        fault = check_resource(shard, resource);
        listed += resource->n_pubs;
        live += resource->n_live;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(shard->counters.by_package); i++)
        counted += gauge(&shard->counters.by_package[i].publications);
    if (fault)
        return fault;
    if (listed != shard->pubs.count || shard->pub_by_id.used != shard->pubs.count ||
        live != gauge(&shard->counters.publications) || live != counted)
        return "publications are miscounted";
    if (shard->resource_by_key.used != shard->resources.count ||
        gauge(&shard->counters.resources) != shard->resources.count)
        return "resources are miscounted";
    return NULL;
}

static const char *
check_accounts(struct evt_shard *shard)
{
    uint64_t bindings = 0;

    for (uint32_t i = 0; (i = hd_table_next(&shard->accounts, i)) != HD_TABLE_NONE; i++) {
        const struct evt_account *account = evt_account_at(shard, i);
        bindings += account->n;
        if (map_holds(&shard->account_by_key, account->hash, account->index) != 1)
            return "a registration is not found by its key, once";
        if (account->n > 0 && !hd_timer_running(&account->timer) && !account->change)
            return "a registration has no timer";
    }
    if (shard->account_by_key.used != shard->accounts.count ||
        bindings != gauge(&shard->counters.bindings))
        return "bindings are miscounted";
    return NULL;
}

/* --- the whole ------------------------------------------------------------------------------- */

static const char *
check_counts(struct evt_shard *shard)
{
    uint32_t waiting = 0, timers = evt_watch_timers(shard);

    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_sub *sub = evt_sub_at(shard, i);
        waiting += (sub->rare ? sub->rare->n_waiting : 0) + (sub->change != NULL);
        timers += hd_timer_running(&sub->timer);
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->pubs, i)) != HD_TABLE_NONE; i++) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        waiting += pub->n_waiting + (pub->change != NULL);
        timers += hd_timer_running(&pub->timer);
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->accounts, i)) != HD_TABLE_NONE; i++) {
        const struct evt_account *account = evt_account_at(shard, i);
        waiting += account->n_waiting + (account->change != NULL);
        timers += hd_timer_running(&account->timer);
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->conds, i)) != HD_TABLE_NONE; i++) {
        timers += hd_timer_running(&evt_cond_at(shard, i)->timer);
        if (evt_cond_at(shard, i)->n_subs == 0)
            return "conditions are kept that tell nobody";
    }
    if (waiting != shard->waiting || waiting != gauge(&shard->counters.waiting))
        return "waiting requests are miscounted";
    return timers == shard->wheel.count ? NULL : "the wheel holds other timers than the records";
}

const char *
evt_shard_check(struct evt_shard *shard)
{
    static const char *(*const parts[])(struct evt_shard * shard) = {
        check_subs, check_mirrors, check_hops, check_resources, check_accounts, check_counts
    };
    const char *fault = NULL;

    HD_ASSERT_OBJ(shard, EVT_SHARD_MAGIC);
    for (size_t i = 0; !fault && i < HD_ARRAY_LEN(parts); i++)
        fault = parts[i](shard);
    return fault;
}

/* --- between shards -------------------------------------------------------------------------- */

/* A mirror shows what its home has, and the home knows of it. */
static const char *
check_mirrored(struct evt_shard *shard, struct evt_mirror *mirror)
{
    struct evt_shard *home = shard->peers[evt_home(shard, mirror->key)];
    const uint64_t bit = (uint64_t)1 << shard->index;

    if (mirror->leaving)
        return NULL;
    const struct evt_topic topic = evt_mirror_topic(mirror);
    const struct evt_resource *resource = evt_resource_of(home, &topic);
    if (!resource || !(resource->interested & bit))
        return home->interests ? NULL : "a home has forgotten a shard that mirrors its resource";
    if (resource->missed & bit || resource->behind)
        return home->catch_up_ms ? NULL : "a home does not catch up";
    if (resource->kept && !resource->snapshot && !mirror->snapshot)
        return NULL; /* who keeps it has not spoken yet */
    if (!mirror->snapshot || !resource->snapshot ||
        mirror->snapshot->number != resource->snapshot->number)
        return "a mirror shows another state than its home";
    return NULL;
}

static const char *
check_interest(struct evt_shard *home, const struct evt_resource *resource)
{
    const struct evt_topic topic = evt_resource_topic(resource);

    for (unsigned i = 0; i < home->count; i++) {
        if (!(resource->interested >> i & 1))
            continue;
        if (!evt_mirror_of(home->peers[i], &topic))
            return "a home posts to a shard that mirrors nothing";
    }
    return NULL;
}

const char *
evt_shards_check(struct evt_shard *const *shards, unsigned n)
{
    const char *fault = NULL;

    for (unsigned i = 0; i < n; i++)
        if (hd_mailbox_depth(&shards[i]->box) > 0)
            return NULL; /* what they know of each other is on its way */
    for (unsigned s = 0; s < n; s++) {
        struct evt_shard *shard = shards[s];
        for (uint32_t i = 0; !fault && (i = hd_table_next(&shard->mirrors, i)) != HD_TABLE_NONE;
             i++)
            fault = check_mirrored(shard, evt_mirror_at(shard, i));
        for (uint32_t i = 0; !fault && (i = hd_table_next(&shard->resources, i)) != HD_TABLE_NONE;
             i++)
            fault = check_interest(shard, evt_resource_at(shard, i));
    }
    return fault;
}
