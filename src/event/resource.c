/* resource.c - the event state of a resource at its home shard: publications, composition,
 * interested shards.
 *
 * One resource record is one address of record and one package.  All publications of an address of
 * record, of whatever package, come to the same shard, which gives the order that RFC 3903 section
 * 6 asks for. */
#include <stdlib.h>

#include "event/core.h"

struct evt_resource *
evt_resource_at(struct evt_shard *shard, uint32_t index)
{
    struct evt_resource *resource = hd_table_at(&shard->resources, index);
    HD_ASSERT_OBJ(resource, EVT_RESOURCE_MAGIC);
    return resource;
}

struct evt_topic
evt_resource_topic(const struct evt_resource *resource)
{
    return (struct evt_topic){ .key = resource->key,
                               .package = resource->package->name,
                               .watcher = hd_slice(resource->key.p + resource->key.n,
                                                   resource->watcher_n) };
}

struct evt_resource *
evt_resource_of(struct evt_shard *shard, const struct evt_topic *topic)
{
    const uint64_t hash = evt_topic_hash(shard, topic);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->resource_by_key, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_resource *resource = evt_resource_at(shard, i);
        const struct evt_topic its = evt_resource_topic(resource);
        if (evt_topic_eq(&its, topic))
            return resource;
    }
    return NULL;
}

struct evt_resource *
evt_resource_find(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    return evt_resource_of(shard, &(struct evt_topic){ .key = key, .package = package });
}

/* Finds or makes it; NULL: full. */
static struct evt_resource *
resource_get(struct evt_shard *shard, const struct evt_topic *topic,
             const struct evt_package *package)
{
    struct evt_resource *resource = evt_resource_of(shard, topic);
    const struct hd_slice key = topic->key, watcher = topic->watcher;
    uint32_t index;
    void *object;

    if (resource)
        return resource;
    const uint64_t hash = evt_topic_hash(shard, topic);
    char *copy = malloc(key.n + watcher.n);
    if (!copy ||
        hd_table_add_keyed(&shard->resources, &shard->resource_by_key, hash, &index, &object)) {
        free(copy);
        return NULL;
    }
    resource = object;
    resource->magic = EVT_RESOURCE_MAGIC;
    resource->index = index;
    resource->hash = hash;
    resource->config = evt_config_ref(shard->config);
    resource->package = package;
    memcpy(copy, key.p, key.n);
    if (watcher.n)
        memcpy(copy + key.n, watcher.p, watcher.n);
    resource->key = hd_slice(copy, key.n);
    HD_ASSERT(watcher.n <= UINT8_MAX);
    resource->watcher_n = (uint8_t)watcher.n;
    resource->newest = EVT_NONE;
    evt_gauge(shard, &shard->counters.resources, 1);
    return resource;
}

struct evt_resource *
evt_resource_get(struct evt_shard *shard, struct hd_slice key, const struct evt_package *package)
{
    return resource_get(shard, &(struct evt_topic){ .key = key, .package = package->name },
                        package);
}

void
evt_resource_release(struct evt_shard *shard, struct evt_resource *resource)
{
    if (resource->interested || resource->n_pubs)
        return;
    hd_map_remove(&shard->resource_by_key, resource->hash, resource->index);
    HD_ASSERT(!resource->kept);
    evt_snapshot_unref(resource->snapshot);
    evt_config_unref(resource->config);
    free((void *)(uintptr_t)resource->key.p);
    resource->magic = 0;
    hd_table_remove(&shard->resources, resource->index);
    evt_gauge(shard, &shard->counters.resources, -1);
}

/* --- composing ------------------------------------------------------------------------------- */

void
evt_resource_count(struct evt_shard *shard, struct evt_resource *resource, int by)
{
    resource->n_live += (uint32_t)by;
    evt_gauge(shard, &shard->counters.publications, by);
    evt_gauge(shard, &evt_package_counters(shard, resource->package->name)->publications, by);
}

/* 0 is the number of what nobody published. */
static uint32_t
number_of(const struct evt_pub *pub)
{
    uint32_t number = (uint32_t)pub->id;

    return number ? number : 1;
}

/* How many publications are composed: all of them where each may count in a sum, else so many that
 * the newest are among them. */
static uint32_t
published_most(const struct evt_resource *resource)
{
    return resource->package->n_rules ? resource->n_live : EVT_PUBLISHED_MAX;
}

static enum hd_err
published_compose(struct evt_resource *resource, const struct evt_published *published, size_t n,
                  struct evt_doc **ret_doc)
{
    const struct evt_package *package = resource->package;
    enum hd_err err = package->ops->compose(package, resource->key, published, n, ret_doc);

    if (err && err != HD_ENOMEM) { /* nothing can be composed: the newest as it is */
        *ret_doc = evt_doc_ref(published[0].doc);
        return HD_OK;
    }
    return err;
}

/* The document of the live publications, newest first, and the kept one behind them; the neutral
 * one, which may be none, when there is none.  ret_priority: the highest of their
 * Resource-Priorities.  HD_OK, HD_ENOMEM. */
static enum hd_err
resource_document(struct evt_shard *shard, struct evt_resource *resource, struct evt_doc **ret_doc,
                  uint8_t *ret_priority)
{
    const uint32_t most = published_most(resource);
    struct evt_published few[EVT_PUBLISHED_MAX + 1], *published = few;
    enum hd_err err;
    size_t n = 0;

    *ret_doc = NULL;
    *ret_priority = SIP_PRIORITY_NONE;
    if (most > EVT_PUBLISHED_MAX)
        published = malloc((most + 1) * sizeof(*published));
    if (!published)
        return HD_ENOMEM;
    for (uint32_t i = resource->newest; i != EVT_NONE && n < most;) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        if (pub->live)
            published[n++] = (struct evt_published){ .doc = pub->doc, .number = number_of(pub) };
        if (pub->live && pub->priority > *ret_priority)
            *ret_priority = pub->priority;
        i = pub->older;
    }
    struct evt_doc *kept = evt_kept_doc(resource, n > 0);
    if (kept)
        published[n++] = (struct evt_published){ .doc = kept };
    if (n == 0)
        err = resource->package->ops->neutral(resource->package, resource->key, ret_doc);
    else
        err = published_compose(resource, published, n, ret_doc);
    if (published != few)
        free(published);
    return err;
}

static bool
same_document(const struct evt_doc *a, const struct evt_doc *b)
{
    if (!a || !b)
        return a == b;
    return hd_slice_eq(a->type, b->type) && hd_slice_eq(a->body, b->body);
}

/* alive: it is as it was, and a publisher gave a sign of life. */
static bool
snapshot_post(struct evt_shard *shard, const struct evt_topic *topic, struct evt_snapshot *snapshot,
              unsigned to, bool alive)
{
    struct evt_mail_snapshot *mail = malloc(sizeof(*mail) + evt_topic_size(topic));

    if (!mail)
        return false;
    mail->snapshot = evt_snapshot_ref(snapshot);
    mail->alive = alive;
    mail->topic = evt_topic_write(topic, mail->text);
    evt_post(shard, to, EVT_MAIL_SNAPSHOT, &mail->mail);
    return true;
}

/* The newest snapshot to some of the interested shards, a bit each. */
static void
resource_post(struct evt_shard *shard, struct evt_resource *resource, uint64_t to, bool alive)
{
    const struct evt_topic topic = evt_resource_topic(resource);

    for (unsigned i = 0; i < shard->count; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (!(to & bit))
            continue;
        resource->missed &= ~bit;
        if (snapshot_post(shard, &topic, resource->snapshot, i, alive))
            continue;
        resource->missed |= bit;
        evt_catch_up_later(shard);
    }
}

/* event: it is news even when it is as before. */
static void
resource_renew(struct evt_shard *shard, struct evt_resource *resource, bool event)
{
    struct evt_doc *doc = NULL;
    struct evt_snapshot *snapshot = NULL;
    uint8_t priority;

    if (resource->kept && !resource->kept->ready)
        return; /* half a state is none */
    enum hd_err err = resource_document(shard, resource, &doc, &priority);
    if (!err && resource->snapshot && !event && same_document(resource->snapshot->doc, doc)) {
        resource->priority = SIP_PRIORITY_NONE;
        goto out;
    }
    if (!err)
        snapshot = evt_snapshot_new(shard->last_number + 1, doc);
    if (!snapshot) {
        resource->behind = true;
        resource->behind_event = resource->behind_event || event;
        evt_catch_up_later(shard);
        goto out;
    }
    snapshot->sign = resource->sign;
    snapshot->priority = resource->priority > priority ? resource->priority : priority;
    shard->last_number++;
    EVT_COUNT(shard, snapshots);
    evt_snapshot_unref(resource->snapshot);
    resource->snapshot = snapshot;
    resource_post(shard, resource, resource->interested, false);
    resource->priority = SIP_PRIORITY_NONE;
out:
    resource->sign = false;
    evt_doc_unref(doc);
}

/* What did not change is no news, but for packages in which each event matters. */
void
evt_resource_compose(struct evt_shard *shard, struct evt_resource *resource)
{
    resource_renew(shard, resource, resource->package->delivery == EVT_DELIVER_EVERY);
    if (resource->package->feeds.n)
        evt_kept_feed(shard, resource);
}

void
evt_resource_show(struct evt_shard *shard, struct evt_resource *resource, bool first)
{
    if (first) /* what was composed while nobody looked is without what is kept */
        resource->snapshot = evt_snapshot_unref(resource->snapshot);
    resource_renew(shard, resource, false);
}

void
evt_resource_tidy(struct evt_shard *shard, struct evt_resource *resource)
{
    struct evt_doc *doc = NULL;
    struct evt_snapshot *snapshot = NULL;
    uint8_t priority;

    if (resource->behind || !resource->snapshot ||
        resource_document(shard, resource, &doc, &priority))
        return; /* the next change does it */
    if (!same_document(resource->snapshot->doc, doc))
        snapshot = evt_snapshot_new(resource->snapshot->number, doc);
    if (snapshot) {
        snapshot->priority = resource->snapshot->priority;
        evt_snapshot_unref(resource->snapshot);
        resource->snapshot = snapshot;
        resource_post(shard, resource, resource->interested, false);
    }
    evt_doc_unref(doc);
}

/* What is as it was is posted again, to those who wait for a sign of life alone. */
void
evt_resource_alive(struct evt_shard *shard, struct evt_resource *resource, bool changed)
{
    const struct evt_snapshot *before = resource->snapshot;

    resource->sign = true;
    if (changed)
        evt_resource_compose(shard, resource);
    resource->sign = false;
    if (resource->lively && resource->snapshot && resource->snapshot == before)
        resource_post(shard, resource, resource->lively, true);
}

/* --- interest -------------------------------------------------------------------------------- */

static struct evt_topic
interest_topic(const struct evt_mail_interest *mail)
{
    return evt_topic_read(mail->topic, mail->text);
}

/* False: not now.  When the table is full, or the package is one that this shard does not know
 * (any more, or not yet), there is nothing to show meanwhile. */
static bool
interest_begin(struct evt_shard *shard, struct evt_mail_interest *mail)
{
    const struct evt_topic topic = interest_topic(mail);
    const struct evt_package *package = evt_config_package(shard->config, topic.package);
    struct evt_resource *resource = evt_resource_of(shard, &topic);

    if (!resource && package)
        resource = resource_get(shard, &topic, package);
    if (resource && !evt_kept_begin(shard, resource)) {
        evt_resource_release(shard, resource);
        return false;
    }
    if (resource) {
        if (!resource->snapshot)
            resource_renew(shard, resource, false);
        resource->interested |= UINT64_C(1) << mail->from;
        if (mail->signs)
            resource->lively |= UINT64_C(1) << mail->from;
        if (resource->snapshot && !(resource->kept && !resource->kept->ready))
            resource_post(shard, resource, UINT64_C(1) << mail->from, false);
        return true;
    }
    if (!mail->told && (!package || shard->resources.count >= shard->resources.max)) {
        struct evt_snapshot *nothing = evt_snapshot_new(++shard->last_number, NULL);
        mail->told = nothing && snapshot_post(shard, &topic, nothing, mail->from, false);
        evt_snapshot_unref(nothing);
    }
    return false;
}

/* One that could not be taken is over as well. */
static void
interest_forget(struct evt_shard *shard, const struct evt_mail_interest *off)
{
    const struct evt_topic over = interest_topic(off);

    for (struct evt_mail_interest **link = &shard->interests; *link;) {
        struct evt_mail_interest *mail = *link;
        const struct evt_topic topic = interest_topic(mail);
        if (mail->from != off->from || !evt_topic_eq(&topic, &over)) {
            link = &mail->next;
            continue;
        }
        *link = mail->next;
        free(mail);
    }
}

static void
interest_end(struct evt_shard *shard, const struct evt_mail_interest *mail)
{
    const struct evt_topic topic = interest_topic(mail);
    struct evt_resource *resource = evt_resource_of(shard, &topic);

    interest_forget(shard, mail);
    if (!resource)
        return;
    resource->interested &= ~(UINT64_C(1) << mail->from);
    resource->missed &= resource->interested;
    resource->lively &= resource->interested;
    if (!resource->interested)
        evt_kept_end(shard, resource);
    evt_resource_release(shard, resource);
}

void
evt_resource_interest(struct evt_shard *shard, struct evt_mail_interest *mail)
{
    if (!mail->on) {
        interest_end(shard, mail);
    } else if (!interest_begin(shard, mail)) {
        mail->next = shard->interests;
        shard->interests = mail;
        evt_catch_up_later(shard);
        return;
    }
    free(mail);
}

void
evt_resource_catch_up(struct evt_shard *shard)
{
    struct evt_mail_interest *mails = shard->interests, *next;

    shard->interests = NULL;
    for (; mails; mails = next) {
        next = mails->next;
        evt_resource_interest(shard, mails);
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->resources, i)) != HD_TABLE_NONE; i++) {
        struct evt_resource *resource = evt_resource_at(shard, i);
        if (resource->interested && !evt_kept_begin(shard, resource)) {
            evt_catch_up_later(shard);
        } else if (resource->behind) {
            bool event = resource->behind_event;
            resource->behind = resource->behind_event = false;
            resource_renew(shard, resource, event);
        }
        if (resource->missed)
            resource_post(shard, resource, resource->missed, false);
    }
}

void
evt_resource_configure(struct evt_shard *shard, struct evt_config *config)
{
    for (uint32_t i = 0; (i = hd_table_next(&shard->resources, i)) != HD_TABLE_NONE; i++) {
        struct evt_resource *resource = evt_resource_at(shard, i);
        const struct evt_package *package = evt_config_package(config, resource->package->name);
        if (!package)
            continue;
        evt_kept_configure(shard, resource, package);
        evt_config_ref(config);
        evt_config_unref(resource->config);
        resource->config = config;
        resource->package = package;
        if (resource->interested && !evt_kept_begin(shard, resource))
            evt_catch_up_later(shard);
        /* The rule or the neutral document may be another; that nothing happened is no event. */
        resource_renew(shard, resource, false);
        if (resource->kept && resource->kept->keeper->fed)
            resource->kept->keeper->fed(shard, resource);
    }
}

/* --- publications ---------------------------------------------------------------------------- */

struct evt_pub *
evt_pub_at(struct evt_shard *shard, uint32_t index)
{
    struct evt_pub *pub = hd_table_at(&shard->pubs, index);
    HD_ASSERT_OBJ(pub, EVT_PUB_MAGIC);
    return pub;
}

struct evt_pub *
evt_pub_find(struct evt_shard *shard, uint64_t id)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->pub_by_id, id); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_pub *pub = evt_pub_at(shard, i);
        if (pub->id == id)
            return pub;
    }
    return NULL;
}

static void
pub_link(struct evt_shard *shard, struct evt_resource *resource, struct evt_pub *pub)
{
    pub->newer = EVT_NONE;
    pub->older = resource->newest;
    if (resource->newest != EVT_NONE)
        evt_pub_at(shard, resource->newest)->newer = pub->index;
    resource->newest = pub->index;
}

static void
pub_unlink(struct evt_shard *shard, struct evt_resource *resource, struct evt_pub *pub)
{
    if (pub->newer == EVT_NONE)
        resource->newest = pub->older;
    else
        evt_pub_at(shard, pub->newer)->older = pub->older;
    if (pub->older != EVT_NONE)
        evt_pub_at(shard, pub->older)->newer = pub->newer;
}

void
evt_pub_move(struct evt_shard *shard, struct evt_pub *pub, uint32_t behind)
{
    struct evt_resource *resource = evt_resource_at(shard, pub->resource);

    pub_unlink(shard, resource, pub);
    if (behind == EVT_NONE) {
        pub_link(shard, resource, pub);
        return;
    }
    struct evt_pub *newer = evt_pub_at(shard, behind);
    pub->newer = behind;
    pub->older = newer->older;
    if (newer->older != EVT_NONE)
        evt_pub_at(shard, newer->older)->newer = pub->index;
    newer->older = pub->index;
}

uint64_t
evt_order(struct evt_shard *shard)
{
    return ++shard->last_order;
}

struct evt_pub *
evt_pub_new(struct evt_shard *shard, struct evt_resource *resource, struct hd_slice publisher)
{
    unsigned bucket = hd_hash_bucket(hd_hash(&shard->keys.table, resource->key));

    return evt_pub_new_as(shard, resource, publisher, hd_id_new(&shard->rng, bucket));
}

struct evt_pub *
evt_pub_new_as(struct evt_shard *shard, struct evt_resource *resource, struct hd_slice publisher,
               uint64_t id)
{
    struct evt_pub *pub;
    uint32_t index;
    void *object;
    char *name = hd_slice_strdup(publisher);

    if (!name || hd_table_add_keyed(&shard->pubs, &shard->pub_by_id, id, &index, &object)) {
        free(name);
        return NULL;
    }
    pub = object;
    pub->magic = EVT_PUB_MAGIC;
    pub->index = index;
    pub->resource = resource->index;
    pub->timer.kind = EVT_TIMER_PUB;
    pub->publisher = hd_slice(name, publisher.n);
    pub->waiting_end = &pub->waiting;
    pub->id = id;
    pub_link(shard, resource, pub);
    resource->n_pubs++;
    return pub;
}

void
evt_pub_free(struct evt_shard *shard, struct evt_pub *pub)
{
    struct evt_resource *resource = evt_resource_at(shard, pub->resource);
    struct evt_packet *packet;

    hd_wheel_stop(&shard->wheel, &pub->timer);
    while ((packet = evt_waiting_take(shard, &pub->waiting, &pub->waiting_end, &pub->n_waiting)))
        evt_packet_drop(packet);
    if (pub->change) {
        evt_head_free(pub->change->head);
        evt_doc_unref(pub->change->doc);
        free(pub->change);
    }
    if (pub->live)
        evt_resource_count(shard, resource, -1);
    pub_unlink(shard, resource, pub);
    hd_map_remove(&shard->pub_by_id, pub->id, pub->index);
    evt_doc_unref(pub->doc);
    free((void *)(uintptr_t)pub->publisher.p);
    pub->magic = 0;
    hd_table_remove(&shard->pubs, pub->index);
    resource->n_pubs--;
    evt_resource_release(shard, resource);
}
