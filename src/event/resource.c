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

struct evt_resource *
evt_resource_find(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    uint64_t hash = evt_key_hash(shard, key, package);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->resource_by_key, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_resource *resource = evt_resource_at(shard, i);
        if (hd_slice_eq(resource->key, key) && hd_slice_eq(resource->package->name, package))
            return resource;
    }
    return NULL;
}

struct evt_resource *
evt_resource_get(struct evt_shard *shard, struct hd_slice key, const struct evt_package *package)
{
    struct evt_resource *resource = evt_resource_find(shard, key, package->name);
    struct hd_handle handle;
    void *object;
    char *copy;

    if (resource)
        return resource;
    copy = hd_slice_strdup(key);
    if (!copy || hd_table_add(&shard->resources, &handle, &object)) {
        free(copy);
        return NULL;
    }
    resource = object;
    resource->magic = EVT_RESOURCE_MAGIC;
    resource->index = handle.index;
    resource->hash = evt_key_hash(shard, key, package->name);
    resource->config = evt_config_ref(shard->config);
    resource->package = package;
    resource->key = hd_slice(copy, key.n);
    resource->newest = EVT_NONE;
    if (hd_map_put(&shard->resource_by_key, resource->hash, resource->index)) {
        evt_config_unref(resource->config);
        free(copy);
        hd_table_remove(&shard->resources, handle.index);
        return NULL;
    }
    evt_gauge(shard, &shard->counters.resources, 1);
    return resource;
}

void
evt_resource_release(struct evt_shard *shard, struct evt_resource *resource)
{
    if (resource->interested || resource->n_pubs)
        return;
    hd_map_remove(&shard->resource_by_key, resource->hash, resource->index);
    evt_snapshot_unref(resource->snapshot);
    evt_config_unref(resource->config);
    free((void *)(uintptr_t)resource->key.p);
    resource->magic = 0;
    hd_table_remove(&shard->resources, resource->index);
    evt_gauge(shard, &shard->counters.resources, -1);
}

/* --- composing ------------------------------------------------------------------------------- */

/* The document of the live publications, newest first; the neutral one when there is none. */
static struct evt_doc *
resource_document(struct evt_shard *shard, struct evt_resource *resource)
{
    const struct evt_package *package = resource->package;
    struct evt_published published[EVT_PUBLISHED_MAX];
    struct evt_doc *doc = NULL;
    size_t n = 0;

    for (uint32_t i = resource->newest; i != EVT_NONE && n < EVT_PUBLISHED_MAX;) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        if (pub->live)
            published[n++] = (struct evt_published){ .doc = pub->doc, .number = (uint32_t)pub->id };
        i = pub->older;
    }
    if (n == 0) {
        if (package->ops->neutral(package, resource->key, &doc))
            doc = NULL;
        return doc;
    }
    if (package->ops->compose(package, resource->key, published, n, &doc))
        doc = evt_doc_ref((struct evt_doc *)(uintptr_t)published[0].doc);
    return doc;
}

static bool
same_document(const struct evt_doc *a, const struct evt_doc *b)
{
    if (!a || !b)
        return a == b;
    return hd_slice_eq(a->type, b->type) && hd_slice_eq(a->body, b->body);
}

static void
snapshot_post(struct evt_shard *shard, struct hd_slice key, struct hd_slice name,
              struct evt_snapshot *snapshot, unsigned to)
{
    struct evt_mail_snapshot *mail = malloc(sizeof(*mail) + key.n + name.n);

    if (!mail)
        return; /* the mirror stays behind until the next version */
    mail->snapshot = evt_snapshot_ref(snapshot);
    mail->key_n = key.n;
    mail->package_n = name.n;
    memcpy(mail->text, key.p, key.n);
    memcpy(mail->text + key.n, name.p, name.n);
    evt_post(shard, to, EVT_MAIL_SNAPSHOT, &mail->mail);
}

/* event: it is news even when it is as before. */
static void
resource_renew(struct evt_shard *shard, struct evt_resource *resource, bool event)
{
    struct evt_doc *doc = resource_document(shard, resource);
    struct evt_snapshot *snapshot = NULL;

    if (resource->snapshot && !event && same_document(resource->snapshot->doc, doc))
        goto out;
    snapshot = evt_snapshot_new(++shard->last_number, doc);
    if (!snapshot)
        goto out;
    EVT_COUNT(shard, snapshots);
    evt_snapshot_unref(resource->snapshot);
    resource->snapshot = snapshot;
    for (unsigned i = 0; i < shard->count; i++)
        if (resource->interested >> i & 1)
            snapshot_post(shard, resource->key, resource->package->name, snapshot, i);
out:
    evt_doc_unref(doc);
}

/* What did not change is no news, but for packages in which each event matters. */
void
evt_resource_compose(struct evt_shard *shard, struct evt_resource *resource)
{
    resource_renew(shard, resource, resource->package->delivery == EVT_DELIVER_EVERY);
}

void
evt_resource_interest(struct evt_shard *shard, struct hd_slice key, struct hd_slice name,
                      unsigned from, bool on)
{
    const struct evt_package *package = evt_config_package(shard->config, name);
    struct evt_resource *resource = evt_resource_find(shard, key, name);

    if (!on) {
        if (resource) {
            resource->interested &= ~(UINT64_C(1) << from);
            evt_resource_release(shard, resource);
        }
        return;
    }
    if (!resource && package)
        resource = evt_resource_get(shard, key, package);
    if (!resource) { /* the table is full, or the package was taken away: there is nothing to show
                      */
        struct evt_snapshot *nothing = evt_snapshot_new(++shard->last_number, NULL);
        if (nothing)
            snapshot_post(shard, key, name, nothing, from);
        evt_snapshot_unref(nothing);
        return;
    }
    if (!resource->snapshot)
        evt_resource_compose(shard, resource);
    resource->interested |= UINT64_C(1) << from;
    if (resource->snapshot)
        snapshot_post(shard, key, name, resource->snapshot, from);
}

void
evt_resource_configure(struct evt_shard *shard, struct evt_config *config)
{
    for (uint32_t i = 0; (i = hd_table_next(&shard->resources, i)) != HD_TABLE_NONE; i++) {
        struct evt_resource *resource = evt_resource_at(shard, i);
        const struct evt_package *package = evt_config_package(config, resource->package->name);
        if (!package)
            continue;
        evt_config_ref(config);
        evt_config_unref(resource->config);
        resource->config = config;
        resource->package = package;
        /* The rule or the neutral document may be another; that nothing happened is no event. */
        resource_renew(shard, resource, false);
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
    struct hd_handle handle;
    struct evt_pub *pub;
    void *object;
    char *name = hd_slice_strdup(publisher);

    if (!name || hd_table_add(&shard->pubs, &handle, &object)) {
        free(name);
        return NULL;
    }
    pub = object;
    pub->magic = EVT_PUB_MAGIC;
    pub->index = handle.index;
    pub->resource = resource->index;
    pub->timer.kind = EVT_TIMER_PUB;
    pub->publisher = hd_slice(name, publisher.n);
    pub->waiting_end = &pub->waiting;
    pub->id = id;
    if (hd_map_put(&shard->pub_by_id, pub->id, pub->index)) {
        free(name);
        hd_table_remove(&shard->pubs, handle.index);
        return NULL;
    }
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
        free(packet);
    if (pub->change) {
        free(pub->change->head);
        evt_doc_unref(pub->change->doc);
        free(pub->change);
    }
    if (pub->live) {
        resource->n_live--;
        evt_gauge(shard, &shard->counters.publications, -1);
    }
    pub_unlink(shard, resource, pub);
    hd_map_remove(&shard->pub_by_id, pub->id, pub->index);
    evt_doc_unref(pub->doc);
    free((void *)(uintptr_t)pub->publisher.p);
    pub->magic = 0;
    hd_table_remove(&shard->pubs, pub->index);
    resource->n_pubs--;
    evt_resource_release(shard, resource);
}
