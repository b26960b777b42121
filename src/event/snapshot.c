/* snapshot.c - immutable versions of event state, and their renderings.
 *
 * A snapshot is shared by all shards; a view belongs to one shard's mirror and to the NOTIFYs in
 * flight that pin it. */
#include <stdlib.h>

#include "event/core.h"

struct evt_snapshot *
evt_snapshot_new(uint64_t number, struct evt_doc *doc)
{
    struct evt_snapshot *snapshot = malloc(sizeof(*snapshot));
    if (!snapshot)
        return NULL;
    snapshot->magic = EVT_SNAPSHOT_MAGIC;
    atomic_init(&snapshot->refs, 1);
    snapshot->number = number;
    snapshot->sign = false;
    snapshot->doc = doc ? evt_doc_ref(doc) : NULL;
    return snapshot;
}

struct evt_snapshot *
evt_snapshot_ref(struct evt_snapshot *snapshot)
{
    HD_ASSERT_OBJ(snapshot, EVT_SNAPSHOT_MAGIC);
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

struct evt_snapshot *
evt_snapshot_unref(struct evt_snapshot *snapshot)
{
    if (!snapshot)
        return NULL;
    HD_ASSERT_OBJ(snapshot, EVT_SNAPSHOT_MAGIC);
    /* acq_rel: reads made by other shards happen before the free. */
    if (atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) == 1) {
        evt_doc_unref(snapshot->doc);
        snapshot->magic = 0;
        free(snapshot);
    }
    return NULL;
}

struct evt_view *
evt_view_unref(struct evt_view *view)
{
    if (!view)
        return NULL;
    HD_ASSERT_OBJ(view, EVT_VIEW_MAGIC);
    if (--view->refs == 0) {
        evt_doc_unref(view->doc);
        view->magic = 0;
        free(view);
    }
    return NULL;
}

static size_t
digits(uint32_t value)
{
    size_t n = 1;
    while (value >= 10) {
        value /= 10;
        n++;
    }
    return n;
}

size_t
evt_view_size(const struct evt_view *view, uint32_t version)
{
    return view->before.n + (view->has_hole ? digits(version) : 0) + view->after.n;
}

void
evt_view_write(const struct evt_view *view, uint32_t version, struct sip_out *out)
{
    sip_out_slice(out, view->before);
    if (view->has_hole)
        sip_out_u32(out, version);
    sip_out_slice(out, view->after);
}
