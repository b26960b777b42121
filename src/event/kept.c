/* kept.c - event state that the broker makes itself, at the home shard of its resource. */
#include "event/kept.h"

#include <stdlib.h>

#include "event/core.h"

bool
evt_kept_begin(struct evt_shard *shard, struct evt_resource *resource)
{
    const struct evt_keeper *keeper = resource->package->keeper;

    if (resource->kept || !keeper ||
        (keeper->wants && !keeper->wants(resource->package, resource->key)))
        return true;
    resource->kept = calloc(1, sizeof(*resource->kept));
    if (!resource->kept)
        return false;
    resource->kept->keeper = keeper;
    if (keeper->begin(shard, resource))
        return true;
    free(resource->kept);
    resource->kept = NULL;
    return false;
}

void
evt_kept_end(struct evt_shard *shard, struct evt_resource *resource)
{
    if (!resource->kept)
        return;
    resource->kept->keeper->end(shard, resource);
    evt_doc_unref(resource->kept->doc);
    evt_doc_unref(resource->kept->beside);
    free(resource->kept);
    resource->kept = NULL;
}

struct evt_doc *
evt_kept_doc(const struct evt_resource *resource, bool published)
{
    const struct evt_kept *kept = resource->kept;

    if (!kept)
        return NULL;
    return published ? kept->beside : kept->doc;
}

void
evt_kept_configure(struct evt_shard *shard, struct evt_resource *resource,
                   const struct evt_package *package)
{
    const struct evt_keeper *keeper = package->keeper;

    if (keeper != resource->package->keeper ||
        (keeper && keeper->wants && !keeper->wants(package, resource->key)))
        evt_kept_end(shard, resource);
}

void
evt_kept_feed(struct evt_shard *shard, const struct evt_resource *from)
{
    struct evt_resource *resource = evt_resource_find(shard, from->key, from->package->feeds);

    if (resource && resource->kept && resource->kept->keeper->fed)
        resource->kept->keeper->fed(shard, resource);
}

struct hd_slice
evt_kept_key(const struct evt_resource *resource)
{
    return resource->key;
}

struct hd_slice
evt_kept_package(const struct evt_resource *resource)
{
    return resource->package->name;
}

const struct evt_package *
evt_kept_definition(const struct evt_resource *resource)
{
    return resource->package;
}

bool
evt_kept_wanted(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    const struct evt_resource *resource = evt_resource_find(shard, key, package);

    return resource && resource->kept;
}

static void
kept_set(struct evt_shard *shard, struct evt_resource *resource, struct evt_doc *doc,
         struct evt_doc *beside, bool tidy)
{
    if (!resource || !resource->kept)
        return;
    struct evt_kept *kept = resource->kept;
    struct evt_doc *old = kept->doc, *old_beside = kept->beside;
    bool first = !kept->ready;
    kept->doc = doc ? evt_doc_ref(doc) : NULL;
    kept->beside = beside ? evt_doc_ref(beside) : NULL;
    kept->ready = true;
    evt_doc_unref(old);
    evt_doc_unref(old_beside);
    if (tidy && !first)
        evt_resource_tidy(shard, resource);
    else
        evt_resource_show(shard, resource, first);
}

void
evt_kept_set(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
             struct evt_doc *doc)
{
    kept_set(shard, evt_resource_find(shard, key, package), doc, doc, false);
}

void
evt_kept_set_both(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                  struct evt_doc *doc, struct evt_doc *beside)
{
    kept_set(shard, evt_resource_find(shard, key, package), doc, beside, false);
}

void
evt_kept_tidy(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
              struct evt_doc *doc)
{
    kept_set(shard, evt_resource_find(shard, key, package), doc, doc, true);
}

void
evt_kept_show(struct evt_shard *shard, struct evt_resource *resource, struct evt_doc *doc,
              bool tidy)
{
    kept_set(shard, resource, doc, doc, tidy);
}

void
evt_kept_published(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                   evt_kept_visit_f visit, void *context)
{
    const struct evt_resource *resource = evt_resource_find(shard, key, package);

    for (uint32_t i = resource ? resource->newest : EVT_NONE; i != EVT_NONE;) {
        const struct evt_pub *pub = evt_pub_at(shard, i);
        if (pub->live)
            visit(context, pub->doc);
        i = pub->older;
    }
}
