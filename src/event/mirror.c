/* mirror.c - the newest snapshot of a resource as one shard knows it, and its fan-out to that
 * shard's subscriptions.
 *
 * The subscriptions are an array of indexes that a fan-out walks; it is walked from where the last
 * walk stopped, once around, so that a new snapshot in the middle of a walk just makes it go around
 * again.  Places of the gone are left empty until no walk is under way. */
#include <stdlib.h>

#include "event/core.h"

#define VIEWS_KEPT 16u    /* renderings of one mirror */
#define EVT_VIEW_HEAD 96u /* octets of what a view's head says beside the type */
#define SHOWN_KEPT 256u   /* what transformations leave of its snapshots */

struct evt_mirror *
evt_mirror_at(struct evt_shard *shard, uint32_t index)
{
    struct evt_mirror *mirror = hd_table_at(&shard->mirrors, index);
    HD_ASSERT_OBJ(mirror, EVT_MIRROR_MAGIC);
    return mirror;
}

struct evt_topic
evt_mirror_topic(const struct evt_mirror *mirror)
{
    return (struct evt_topic){ .key = mirror->key,
                               .package = mirror->package->name,
                               /* behind the key and its bracket */
                               .watcher =
                                   hd_slice(mirror->key.p + mirror->key.n + 1, mirror->watcher_n) };
}

struct evt_mirror *
evt_mirror_of(struct evt_shard *shard, const struct evt_topic *topic)
{
    const uint64_t hash = evt_topic_hash(shard, topic);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->mirror_by_key, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_mirror *mirror = evt_mirror_at(shard, i);
        const struct evt_topic its = evt_mirror_topic(mirror);
        if (evt_topic_eq(&its, topic))
            return mirror;
    }
    return NULL;
}

struct evt_mirror *
evt_mirror_find(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    return evt_mirror_of(shard, &(struct evt_topic){ .key = key, .package = package });
}

struct evt_mirror *
evt_mirror_next_own(struct evt_shard *shard, uint32_t *at, struct hd_slice key,
                    struct hd_slice package)
{
    while (shard->n_own && (*at = hd_table_next(&shard->mirrors, *at)) != HD_TABLE_NONE) {
        struct evt_mirror *mirror = evt_mirror_at(shard, (*at)++);
        if (mirror->watcher_n && hd_slice_eq(mirror->key, key) &&
            hd_slice_eq(mirror->package->name, package))
            return mirror;
    }
    return NULL;
}

/* --- joining and leaving --------------------------------------------------------------------- */

static enum hd_err
mirror_ask(struct evt_shard *shard, const struct evt_mirror *mirror, bool on, bool signs)
{
    const struct evt_topic topic = evt_mirror_topic(mirror);
    struct evt_mail_interest *mail = malloc(sizeof(*mail) + evt_topic_size(&topic));

    if (!mail)
        return HD_ENOMEM;
    mail->from = shard->index;
    mail->on = on;
    mail->signs = signs;
    mail->told = false;
    mail->topic = evt_topic_write(&topic, mail->text);
    evt_post(shard, evt_home(shard, mirror->key), EVT_MAIL_INTEREST, &mail->mail);
    return HD_OK;
}

void
evt_mirror_want_signs(struct evt_shard *shard, struct evt_mirror *mirror)
{
    if (!mirror->wants_signs)
        mirror->wants_signs = mirror_ask(shard, mirror, true, true) == HD_OK;
}

static struct evt_mirror *
mirror_new(struct evt_shard *shard, const struct evt_topic *topic,
           const struct evt_package *package, struct evt_config *config)
{
    const struct hd_slice key = topic->key, watcher = topic->watcher;
    const uint64_t hash = evt_topic_hash(shard, topic);
    struct evt_mirror *mirror;
    uint32_t index;
    void *object;
    char *copy = malloc(key.n + 2 + watcher.n);

    if (!copy ||
        hd_table_add_keyed(&shard->mirrors, &shard->mirror_by_key, hash, &index, &object)) {
        free(copy);
        return NULL;
    }
    mirror = object;
    mirror->magic = EVT_MIRROR_MAGIC;
    mirror->index = index;
    mirror->hash = hash;
    copy[0] = '<'; /* as most From and To have it, see evt_texts_local() */
    memcpy(copy + 1, key.p, key.n);
    copy[key.n + 1] = '>';
    if (watcher.n)
        memcpy(copy + key.n + 2, watcher.p, watcher.n);
    mirror->key = hd_slice(copy + 1, key.n);
    HD_ASSERT(watcher.n <= UINT8_MAX);
    mirror->watcher_n = (uint8_t)watcher.n;
    mirror->config = evt_config_ref(config);
    mirror->package = package;
    mirror->next_walk = mirror->prev_walk = EVT_NONE;
    mirror->seen_next = mirror->seen_prev = mirror->conds = EVT_NONE;
    /* Of those for own entries it is looked up, see watch.c. */
    mirror->watched =
        !watcher.n && shard->asked.count > 0 && evt_watch_asked(shard, mirror->key, package->name);
    if (mirror_ask(shard, mirror, true, false)) {
        evt_config_unref(mirror->config);
        hd_map_remove(&shard->mirror_by_key, hash, index);
        hd_table_remove(&shard->mirrors, index);
        free(copy);
        return NULL;
    }
    shard->n_own += mirror->watcher_n > 0;
    evt_gauge(shard, &shard->counters.mirrors, 1);
    return mirror;
}

/* config: the one that the package is of. */
static struct evt_mirror *
mirror_join(struct evt_shard *shard, struct hd_slice key, const struct evt_package *package,
            struct evt_config *config, struct hd_slice watcher)
{
    const struct evt_topic topic = { .key = key, .package = package->name, .watcher = watcher };
    struct evt_mirror *mirror = evt_mirror_of(shard, &topic);

    if (!mirror)
        mirror = mirror_new(shard, &topic, package, config);
    if (mirror)
        mirror->members++;
    return mirror;
}

struct evt_mirror *
evt_mirror_join(struct evt_shard *shard, struct hd_slice key, const struct evt_package *package,
                struct hd_slice watcher)
{
    return mirror_join(shard, key, package, shard->config, watcher);
}

static void mirror_drop_shown(struct evt_mirror *mirror, uint64_t before);
static void mirror_tidy_shown(struct evt_shard *shard, struct evt_mirror *mirror);

static void
mirror_forget_views(struct evt_mirror *mirror)
{
    while (mirror->views) {
        struct evt_view *next = mirror->views->next;
        evt_view_unref(mirror->views);
        mirror->views = next;
    }
}

/* --- the past, for partial documents --------------------------------------------------------- */

static void
past_forget(struct evt_mirror *mirror)
{
    if (!mirror->past)
        return;
    for (uint32_t i = 0; i < EVT_PAST_KEPT; i++)
        evt_snapshot_unref(mirror->past->ring[i]);
    free(mirror->past);
    mirror->past = NULL;
}

/* Keeps what is about to be replaced.  When memory is short whole documents are sent. */
static void
past_add(struct evt_mirror *mirror)
{
    const struct evt_package *package = mirror->package;

    if (!package->partial || !package->ops->render || package->delivery != EVT_DELIVER_STATE)
        return;
    if (package->n_published && !mirror->formed)
        return; /* only forms have partial documents, and nobody takes one */
    if (!mirror->past)
        mirror->past = calloc(1, sizeof(*mirror->past));
    struct evt_past *past = mirror->past;
    if (!past)
        return;
    past->newest = (past->newest + 1) % EVT_PAST_KEPT;
    evt_snapshot_unref(past->ring[past->newest]);
    past->ring[past->newest] = evt_snapshot_ref(mirror->snapshot);
}

struct evt_snapshot *
evt_mirror_past(const struct evt_mirror *mirror, uint64_t number)
{
    for (uint32_t i = 0; mirror->past && i < EVT_PAST_KEPT; i++)
        if (mirror->past->ring[i] && mirror->past->ring[i]->number == number)
            return mirror->past->ring[i];
    return NULL;
}

static void
mirror_walk_remove(struct evt_shard *shard, struct evt_mirror *mirror)
{
    struct evt_list *walks = &shard->walks;
    const bool is_head = walks->head == mirror->index;

    if (walks->first == mirror->index)
        walks->first = is_head ? EVT_NONE : mirror->prev_walk;
    if (is_head)
        walks->head = mirror->next_walk;
    else
        evt_mirror_at(shard, mirror->prev_walk)->next_walk = mirror->next_walk;
    const uint32_t behind = mirror->next_walk != EVT_NONE ? mirror->next_walk : walks->head;
    if (behind != EVT_NONE)
        evt_mirror_at(shard, behind)->prev_walk = mirror->prev_walk;
    mirror->walking = mirror->walking_first = false;
    mirror->next_walk = mirror->prev_walk = EVT_NONE;
}

static void
mirror_free(struct evt_shard *shard, struct evt_mirror *mirror)
{
    uint32_t index = mirror->index;

    if (mirror->walking)
        mirror_walk_remove(shard, mirror);
    evt_by_watcher_forget(shard, mirror);
    evt_seen_forget(shard, mirror);
    mirror_forget_views(mirror);
    past_forget(mirror);
    evt_snapshot_unref(mirror->snapshot);
    evt_doc_unref(mirror->neutral);
    mirror_drop_shown(mirror, 0);
    shard->n_own -= mirror->watcher_n > 0;
    hd_map_remove(&shard->mirror_by_key, mirror->hash, index);
    evt_config_unref(mirror->config);
    free(mirror->subs);
    free(mirror->firsts);
    free((void *)((uintptr_t)mirror->key.p - 1));
    mirror->magic = 0;
    hd_table_remove(&shard->mirrors, index);
    evt_gauge(shard, &shard->counters.mirrors, -1);
}

/* Goes when nobody needs it any more and the home has been told; when memory is too short for that
 * it stays, and is found again by whoever comes meanwhile. */
static void
mirror_settle(struct evt_shard *shard, struct evt_mirror *mirror)
{
    shard->leaving -= mirror->leaving;
    mirror->leaving = false;
    if (mirror->members > 0)
        return;
    if (mirror_ask(shard, mirror, false, false) == HD_OK) {
        mirror_free(shard, mirror);
        return;
    }
    mirror->leaving = true;
    shard->leaving++;
    evt_catch_up_later(shard);
}

void
evt_mirror_leave(struct evt_shard *shard, uint32_t index)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, index);

    HD_ASSERT(mirror->members > 0);
    if (--mirror->members == 0)
        mirror_settle(shard, mirror);
}

void
evt_mirror_catch_up(struct evt_shard *shard)
{
    for (uint32_t i = 0; shard->leaving && (i = hd_table_next(&shard->mirrors, i)) != HD_TABLE_NONE;
         i++)
        if (evt_mirror_at(shard, i)->leaving)
            mirror_settle(shard, evt_mirror_at(shard, i));
}

/* All of them, at the end of the shard. */
void
evt_mirror_drop_all(struct evt_shard *shard)
{
    for (uint32_t i = 0; (i = hd_table_next(&shard->mirrors, i)) != HD_TABLE_NONE; i++)
        mirror_free(shard, evt_mirror_at(shard, i));
}

/* --- places ---------------------------------------------------------------------------------- */

static void
mirror_compact(struct evt_shard *shard, struct evt_mirror *mirror)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < mirror->n_subs; i++) {
        if (mirror->subs[i] == EVT_NONE)
            continue;
        evt_sub_at(shard, mirror->subs[i])->place = n;
        mirror->subs[n++] = mirror->subs[i];
    }
    mirror->n_subs = n;
    mirror->free_places = 0;
    mirror->walk_at = 0;
}

/* Room for one more place.  HD_ENOMEM. */
static enum hd_err
mirror_room(struct evt_shard *shard, struct evt_mirror *mirror)
{
    if (mirror->n_subs == mirror->cap_subs && mirror->free_places > 0 && !mirror->walking)
        mirror_compact(shard, mirror);
    if (mirror->n_subs == mirror->cap_subs) {
        uint32_t cap = mirror->cap_subs ? mirror->cap_subs * 2 : 4;
        uint32_t *subs = realloc(mirror->subs, cap * sizeof(*subs));
        if (!subs)
            return HD_ENOMEM;
        mirror->subs = subs;
        mirror->cap_subs = cap;
    }
    return HD_OK;
}

enum hd_err
evt_mirror_place(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_sub *sub)
{
    HD_ASSERT(!sub->in_mirror);
    if (mirror_room(shard, mirror))
        return HD_ENOMEM;
    sub->place = mirror->n_subs;
    sub->in_mirror = true;
    evt_gauge(shard, &evt_package_counters(shard, mirror->package->name)->subscriptions, 1);
    mirror->subs[mirror->n_subs++] = sub->index;
    evt_by_watcher_add(shard, mirror, sub);
    mirror->walk_left += mirror->walking; /* one more step, or it would push an old place out */
    return HD_OK;
}

void
evt_mirror_unplace(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    HD_ASSERT(sub->in_mirror && mirror->subs[sub->place] == sub->index);
    evt_by_watcher_remove(shard, mirror, sub);
    mirror->subs[sub->place] = EVT_NONE;
    mirror->free_places++;
    sub->in_mirror = false;
    evt_gauge(shard, &evt_package_counters(shard, mirror->package->name)->subscriptions, -1);
    if (!mirror->walking && mirror->free_places > 32 && mirror->free_places > mirror->n_subs / 2)
        mirror_compact(shard, mirror);
}

enum hd_err
evt_mirror_move(struct evt_shard *shard, struct evt_sub *sub, struct hd_slice watcher)
{
    const uint32_t from = sub->mirror;
    const struct evt_mirror *old = evt_mirror_at(shard, from);
    const uint8_t priority = sub->rare ? sub->rare->priority : SIP_PRIORITY_NONE;
    /* Its package may be gone from the configuration in force. */
    struct evt_mirror *mirror = mirror_join(shard, old->key, old->package, old->config, watcher);

    if (!mirror)
        return HD_ENOMEM;
    if (sub->in_mirror && mirror_room(shard, mirror)) {
        evt_mirror_leave(shard, mirror->index);
        return HD_ENOMEM;
    }
    evt_cond_leave(shard, sub);
    evt_priority_set(shard, sub, SIP_PRIORITY_NONE);
    const bool placed = sub->in_mirror;
    if (placed)
        evt_mirror_unplace(shard, sub);
    sub->mirror = mirror->index;
    sub->seen = EVT_SEEN_NOTHING;
    if (placed)
        (void)!evt_mirror_place(shard, mirror, sub); /* there is room */
    evt_priority_set(shard, sub, priority);
    evt_mirror_leave(shard, from);
    return HD_OK;
}

/* --- snapshots and views --------------------------------------------------------------------- */

/* first: the state has Resource-Priority.  One that goes first keeps its place when an ordinary
 * state replaces what not all have seen. */
static void
mirror_walk_add(struct evt_shard *shard, struct evt_mirror *mirror, bool first)
{
    struct evt_list *walks = &shard->walks;

    mirror->walk_left = mirror->n_subs;
    if (mirror->n_subs == 0 || (mirror->walking && (!first || mirror->walking_first)))
        return;
    if (mirror->walking)
        mirror_walk_remove(shard, mirror);
    mirror->walking = true;
    mirror->walking_first = first;
    const uint32_t head = walks->head;
    const uint32_t last = head != EVT_NONE ? evt_mirror_at(shard, head)->prev_walk : mirror->index;
    const bool to_head = head == EVT_NONE || (first && walks->first == EVT_NONE);
    mirror->prev_walk = to_head || !first ? last : walks->first;
    if (to_head) {
        mirror->next_walk = head;
        walks->head = mirror->index;
    } else {
        struct evt_mirror *before = evt_mirror_at(shard, mirror->prev_walk);
        mirror->next_walk = before->next_walk;
        before->next_walk = mirror->index;
    }
    const uint32_t behind = mirror->next_walk != EVT_NONE ? mirror->next_walk : walks->head;
    evt_mirror_at(shard, behind)->prev_walk = mirror->index;
    if (first)
        walks->first = mirror->index;
}

/* The same state in other words: it is shown from now on, and no news to those who saw it. */
static void
mirror_tidy(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_snapshot *snapshot)
{
    if (snapshot->doc == mirror->snapshot->doc)
        return;
    evt_snapshot_unref(mirror->snapshot);
    mirror->snapshot = evt_snapshot_ref(snapshot);
    mirror_forget_views(mirror);
    mirror_tidy_shown(shard, mirror);
    evt_seen_due(shard, mirror);
}

void
evt_mirror_snapshot(struct evt_shard *shard, struct evt_mirror *mirror,
                    struct evt_snapshot *snapshot)
{
    bool first = mirror->snapshot == NULL;

    if (!first && mirror->snapshot->number == snapshot->number) {
        mirror_tidy(shard, mirror, snapshot);
        return;
    }
    if (!first)
        past_add(mirror);
    if (!first && mirror->package->delivery != EVT_DELIVER_EVERY)
        mirror_drop_shown(mirror, mirror->snapshot->number); /* the last one is compared with */
    evt_snapshot_unref(mirror->snapshot);
    mirror->snapshot = evt_snapshot_ref(snapshot);
    if (mirror->package->delivery == EVT_DELIVER_EVERY && !first) {
        for (uint32_t i = 0; i < mirror->n_subs; i++)
            if (mirror->subs[i] != EVT_NONE)
                evt_sub_queue_event(shard, evt_sub_at(shard, mirror->subs[i]), snapshot);
    } else {
        mirror_forget_views(mirror);
    }
    if (first) {
        mirror->members++; /* it stays while its subscriptions may leave it */
        evt_restore_compare(shard, mirror);
    }
    evt_seen_due(shard, mirror);
    if (mirror->conds != EVT_NONE)
        evt_cond_snapshot(shard, mirror);
    /* Who is told by conditions alone is not walked to, unless the first state is what he waits
     * for. */
    if (first || mirror->n_told < mirror->n_subs - mirror->free_places)
        mirror_walk_add(shard, mirror, snapshot->priority != SIP_PRIORITY_NONE);
    if (mirror->firsts)
        evt_firsts_ready(shard, mirror);
    if (first)
        evt_mirror_leave(shard, mirror->index);
}

/* Which of the package's types a document has, as a bit; one that is none of them (a list of
 * several) is taken by all. */
static uint8_t
type_bit(const struct evt_package *package, const struct evt_doc *doc)
{
    for (size_t i = 0; i < package->n_types; i++)
        if (sip_media_same(package->types[i], doc->type))
            return (uint8_t)(1u << i);
    return 0xff;
}

/* Leaves out the version: it goes in with each NOTIFY. */
static void
view_cut(const struct evt_package *package, struct evt_view *view)
{
    const struct hd_slice body = view->doc->body;
    struct hd_slice hole;

    if (!package->ops->hole || !package->ops->hole(package, view->doc, &hole))
        return;
    const size_t at = (size_t)(hole.p - body.p);
    HD_ASSERT(at <= body.n && hole.n <= body.n - at);
    view->before = hd_slice(body.p, at);
    view->after = hd_slice_from(body, at + hole.n);
    view->has_hole = true;
}

/* --- what transformations leave -------------------------------------------------------------- */

/* What a transformation leaves of a snapshot: made once, for all who see through it. */
struct evt_shown {
    struct evt_shown *next;
    uint64_t snapshot; /* number */
    uint64_t since;    /* of the first snapshot in a row of which it leaves the same */
    uint8_t transform;
    struct evt_doc *doc; /* NULL: nothing */
};

static void
shown_free(struct evt_shown *shown)
{
    evt_doc_unref(shown->doc);
    free(shown);
}

/* Those of snapshots before this one go; of all of them when it is 0. */
static void
mirror_drop_shown(struct evt_mirror *mirror, uint64_t before)
{
    for (struct evt_shown **link = &mirror->shown; *link;) {
        struct evt_shown *shown = *link;
        if (before && shown->snapshot >= before) {
            link = &shown->next;
            continue;
        }
        *link = shown->next;
        shown_free(shown);
    }
}

static bool
doc_same(const struct evt_doc *a, const struct evt_doc *b)
{
    if (!a || !b)
        return a == b;
    return hd_slice_eq(a->type, b->type) && hd_slice_eq(a->body, b->body);
}

/* Makes it, and says since when it is the same. */
static struct evt_shown *
shown_new(struct evt_shard *shard, struct evt_mirror *mirror, const struct evt_snapshot *snapshot,
          uint8_t transform)
{
    struct evt_shown *shown = calloc(1, sizeof(*shown));
    const struct evt_shown *before = NULL;
    unsigned n = 0;

    if (!shown)
        return NULL;
    shown->snapshot = shown->since = snapshot->number;
    shown->transform = transform;
    if (snapshot->doc &&
        shard->ports.policy->transform(shard->ports.policy_context, shard->config, mirror->package,
                                       transform, snapshot->doc, &shown->doc)) {
        free(shown);
        return NULL;
    }
    EVT_COUNT(shard, transformed);
    struct evt_shown **end = &mirror->shown;
    for (; *end && n < SHOWN_KEPT; end = &(*end)->next, n++)
        if ((*end)->transform == transform && (*end)->snapshot < snapshot->number &&
            (!before || before->snapshot < (*end)->snapshot))
            before = *end;
    if (before && doc_same(before->doc, shown->doc))
        shown->since = before->since;
    if (*end) { /* too many: the one that was made first goes */
        shown_free(*end);
        *end = NULL;
    }
    shown->next = mirror->shown;
    mirror->shown = shown;
    return shown;
}

/* Borrowed; NULL when memory is short. */
static struct evt_shown *
mirror_transformed(struct evt_shard *shard, struct evt_mirror *mirror,
                   const struct evt_snapshot *snapshot, uint8_t transform)
{
    for (struct evt_shown *shown = mirror->shown; shown; shown = shown->next)
        if (shown->transform == transform && shown->snapshot == snapshot->number)
            return shown;
    return shown_new(shard, mirror, snapshot, transform);
}

/* The newest snapshot's document is in other words: what is left of it is as well, and no news. */
static void
mirror_tidy_shown(struct evt_shard *shard, struct evt_mirror *mirror)
{
    const struct evt_snapshot *snapshot = mirror->snapshot;

    for (struct evt_shown *shown = mirror->shown; shown; shown = shown->next) {
        struct evt_doc *doc = NULL;
        if (shown->snapshot != snapshot->number)
            continue;
        if (snapshot->doc &&
            shard->ports.policy->transform(shard->ports.policy_context, shard->config,
                                           mirror->package, shown->transform, snapshot->doc, &doc))
            continue; /* memory is short: it stays as it was */
        evt_doc_unref(shown->doc);
        shown->doc = doc;
    }
}

bool
evt_mirror_is_news(struct evt_shard *shard, struct evt_mirror *mirror, uint8_t transform,
                   uint64_t seen)
{
    const struct evt_shown *shown = mirror_transformed(shard, mirror, mirror->snapshot, transform);

    return !shown || seen < shown->since || seen > mirror->snapshot->number;
}

enum hd_err
evt_mirror_shown(struct evt_shard *shard, struct evt_mirror *mirror,
                 const struct evt_snapshot *snapshot, uint8_t transform, struct evt_doc **ret_doc)
{
    const struct evt_package *package = mirror->package;
    enum hd_err err = HD_OK;

    *ret_doc = NULL;
    if (evt_is_transformed(transform)) {
        struct evt_shown *shown = mirror_transformed(shard, mirror, snapshot, transform);
        if (!shown)
            return HD_ENOMEM;
        *ret_doc = shown->doc;
        return HD_OK;
    }
    switch ((enum evt_transform)transform) {
    case EVT_SEE_ALL:
    case EVT_SEE_OWN:
        *ret_doc = snapshot->doc;
        break;
    case EVT_SEE_NEUTRAL:
        if (!mirror->neutral)
            err = package->ops->neutral(package, mirror->key, &mirror->neutral);
        *ret_doc = mirror->neutral;
        break;
    case EVT_SEE_NOTHING:
        break;
    }
    return err;
}

bool
evt_mirror_shows_same(struct evt_shard *shard, struct evt_mirror *mirror, uint8_t one,
                      uint8_t other)
{
    struct evt_doc *a, *b;

    return !evt_mirror_shown(shard, mirror, mirror->snapshot, one, &a) &&
           !evt_mirror_shown(shard, mirror, mirror->snapshot, other, &b) && doc_same(a, b);
}

/* What the subscribers of a key are shown of a document: *ret_doc, one reference, NULL: nothing;
 * and the entity-tag of the whole of it.  base is what they have, or NULL.  HD_OK, HD_ENOMEM. */
static enum hd_err
mirror_rendered(const struct evt_shard *shard, const struct evt_mirror *mirror, uint8_t types,
                const struct evt_doc *base, struct evt_doc *doc, struct evt_doc **ret_doc,
                uint64_t *ret_tag)
{
    const struct evt_package *package = mirror->package;
    struct evt_doc *whole = NULL, *partial = NULL;

    *ret_doc = NULL;
    *ret_tag = evt_tag_of(shard, mirror, NULL);
    if (!doc)
        return HD_OK;
    enum hd_err err = package->ops->render
                          ? package->ops->render(package, mirror->key, types, NULL, doc, &whole)
                          : HD_ENOTSUP;
    if (err == HD_ENOMEM)
        return err;
    if (err)
        whole = evt_doc_ref(doc);
    if (type_bit(package, whole) & types)
        *ret_tag = evt_tag_of(shard, mirror, whole);
    if (base && package->ops->render(package, mirror->key, types, base, doc, &partial) == HD_OK &&
        partial->body.n < whole->body.n && (type_bit(package, partial) & types)) {
        evt_doc_unref(whole);
        whole = partial;
    } else {
        evt_doc_unref(partial);
    }
    if (type_bit(package, whole) & types)
        *ret_doc = whole;
    else
        evt_doc_unref(whole);
    return HD_OK;
}

/* What every NOTIFY with this view says of it. */
static void
view_write_head(struct evt_view *view, size_t cap)
{
    char tag[EVT_TAG_TEXT];
    struct sip_out out;

    evt_tag_text(view->tag, tag);
    sip_out_init(&out, view->head, cap);
    sip_out_header(&out, HD_LIT("SIP-ETag"), hd_slice(tag, EVT_TAG_TEXT));
    view->n_tag = (uint16_t)out.n;
    if (view->doc && view->type.n)
        sip_out_header(&out, HD_LIT("Content-Type"), view->type);
    sip_out_lit(&out, "Content-Length: ");
    HD_ASSERT(!out.full && out.n <= UINT16_MAX);
    view->n_head = (uint16_t)out.n;
}

/* doc is taken. */
static struct evt_view *
view_new(const struct evt_mirror *mirror, const struct evt_view_key *key, struct evt_doc *doc,
         uint64_t tag)
{
    const size_t head = EVT_VIEW_HEAD + (doc ? doc->type.n : 0);
    struct evt_view *view = head <= UINT16_MAX ? calloc(1, sizeof(*view) + head)
                                               : NULL; /* a type is a header's value */

    if (!view) {
        evt_doc_unref(doc);
        return NULL;
    }
    view->magic = EVT_VIEW_MAGIC;
    view->refs = 1;
    view->key = *key;
    if (doc) {
        view->doc = doc;
        view->type = doc->type;
        view->before = doc->body;
        view_cut(mirror->package, view);
    }
    view->tag = tag;
    view_write_head(view, head);
    return view;
}

/* What the subscribers of a key see of a snapshot before it is rendered: *ret_doc, one reference,
 * NULL: nothing.  HD_OK, HD_ENOMEM. */
static enum hd_err
view_sees(struct evt_shard *shard, struct evt_mirror *mirror, const struct evt_view_key *key,
          const struct evt_snapshot *snapshot, const struct evt_filter *filter,
          struct evt_doc **ret_doc, enum evt_chosen *ret_chosen)
{
    struct evt_doc *doc;
    enum hd_err err = evt_mirror_shown(shard, mirror, snapshot, key->transform, &doc);

    *ret_doc = NULL;
    *ret_chosen = EVT_CHOSEN_NONE;
    if (err || !doc)
        return err;
    if (key->filter)
        return shard->ports.filter->cut(shard->ports.filter_context, filter, doc, ret_doc,
                                        ret_chosen);
    *ret_doc = evt_doc_ref(doc);
    return HD_OK;
}

static struct evt_view *
view_render(struct evt_shard *shard, struct evt_mirror *mirror, const struct evt_view_key *key,
            const struct evt_snapshot *snapshot, const struct evt_filter *filter)
{
    const struct evt_snapshot *past = key->base ? evt_mirror_past(mirror, key->base) : NULL;
    struct evt_doc *doc = NULL, *base = NULL, *shown;
    struct evt_view *view = NULL;
    enum evt_chosen chosen;
    uint64_t tag = 0;
    enum hd_err err = HD_OK;

    if (past)
        err = view_sees(shard, mirror, key, past, filter, &base, &chosen);
    if (!err)
        err = view_sees(shard, mirror, key, snapshot, filter, &doc, &chosen);
    if (!err)
        err = mirror_rendered(shard, mirror, key->types, base, doc, &shown, &tag);
    if (!err)
        view = view_new(mirror, key, shown, tag);
    if (view)
        view->chosen = (uint8_t)chosen;
    evt_doc_unref(doc);
    evt_doc_unref(base);
    return view;
}

struct evt_view *
evt_mirror_view(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_snapshot *snapshot,
                uint64_t base, uint8_t transform, uint8_t types, const struct evt_filter *filter)
{
    struct evt_view_key key = { .snapshot = snapshot->number,
                                .base = base,
                                .filter =
                                    filter && (filter->cuts || filter->chooses) ? filter->id : 0,
                                .types = types,
                                .transform = transform };
    struct evt_view **end = &mirror->views, *view;
    const size_t published = evt_package_published(mirror->package);
    unsigned n = 0;

    mirror->formed = mirror->formed || types >> published; /* 0xff, with no types: harmless */

    for (; (view = *end); end = &view->next, n++) {
        if (view->key.snapshot == key.snapshot && view->key.types == types &&
            view->key.transform == transform && view->key.base == key.base &&
            view->key.filter == key.filter) {
            view->refs++;
            return view;
        }
    }
    view = view_render(shard, mirror, &key, snapshot, filter);
    if (!view)
        return NULL;
    EVT_COUNT(shard, views);
    if (n >= VIEWS_KEPT) { /* the oldest goes: it stands first */
        struct evt_view *oldest = mirror->views;
        mirror->views = oldest->next;
        if (end == &oldest->next)
            end = &mirror->views;
        evt_view_unref(oldest);
    }
    *end = view; /* the mirror's reference */
    view->refs++;
    return view;
}

/* --- fan-out --------------------------------------------------------------------------------- */

static void
mirror_step(struct evt_shard *shard, struct evt_mirror *mirror)
{
    if (mirror->walk_at >= mirror->n_subs)
        mirror->walk_at = 0;
    uint32_t at = mirror->walk_at++;
    mirror->walk_left--;
    if (at + 4 < mirror->n_subs && mirror->subs[at + 4] != EVT_NONE)
        __builtin_prefetch(hd_table_at(&shard->subs, mirror->subs[at + 4]));
    if (mirror->subs[at] != EVT_NONE)
        evt_sub_kick(shard, evt_sub_at(shard, mirror->subs[at]));
}

/* Goes on with the one at the head, as far as the turn lets it. */
static void
mirror_walk_head(struct evt_shard *shard)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, shard->walks.head);

    while (mirror->walk_left > 0 && mirror->n_subs > 0 && shard->sends_left > 0)
        mirror_step(shard, mirror);
    if (mirror->walk_left > 0 && mirror->n_subs > 0)
        return;
    mirror_walk_remove(shard, mirror);
    if (mirror->free_places > 32 && mirror->free_places > mirror->n_subs / 2)
        mirror_compact(shard, mirror);
}

void
evt_mirror_walk_first(struct evt_shard *shard)
{
    while (shard->walks.first != EVT_NONE && shard->sends_left > 0)
        mirror_walk_head(shard);
}

void
evt_mirror_walk(struct evt_shard *shard)
{
    while (shard->walks.head != EVT_NONE && shard->sends_left > 0)
        mirror_walk_head(shard);
}

/* A package that the new configuration no longer has lives on for the subscriptions that use it. */
void
evt_mirror_configure(struct evt_shard *shard, struct evt_config *config)
{
    for (uint32_t i = 0; (i = hd_table_next(&shard->mirrors, i)) != HD_TABLE_NONE; i++) {
        struct evt_mirror *mirror = evt_mirror_at(shard, i);
        const struct evt_package *package = evt_config_package(config, mirror->package->name);
        if (!package)
            continue;
        evt_config_ref(config);
        evt_config_unref(mirror->config);
        mirror->config = config;
        mirror->package = package;
        mirror->neutral = evt_doc_unref(mirror->neutral);
        mirror_forget_views(mirror);
        past_forget(mirror);
    }
}
