/* kept.c - event state that the broker makes itself, at the home shard of its resource. */
#include "event/kept.h"

#include <stdlib.h>

#include "event/core.h"

bool
evt_kept_begin(struct evt_shard *shard, struct evt_resource *resource)
{
    const struct evt_keeper *keeper = resource->package->keeper;

    if (resource->kept || !keeper)
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
    free(resource->kept);
    resource->kept = NULL;
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

bool
evt_kept_wanted(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    const struct evt_resource *resource = evt_resource_find(shard, key, package);

    return resource && resource->kept;
}

static void
kept_set(struct evt_shard *shard, struct hd_slice key, struct hd_slice package, struct evt_doc *doc,
         bool tidy)
{
    struct evt_resource *resource = evt_resource_find(shard, key, package);

    if (!resource || !resource->kept)
        return;
    struct evt_kept *kept = resource->kept;
    struct evt_doc *old = kept->doc;
    bool first = !kept->ready;
    kept->doc = doc ? evt_doc_ref(doc) : NULL;
    kept->ready = true;
    evt_doc_unref(old);
    if (tidy && !first)
        evt_resource_tidy(shard, resource);
    else
        evt_resource_show(shard, resource, first);
}

void
evt_kept_set(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
             struct evt_doc *doc)
{
    kept_set(shard, key, package, doc, false);
}

void
evt_kept_tidy(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
              struct evt_doc *doc)
{
    kept_set(shard, key, package, doc, true);
}
