/* snapshot.h - versions of a resource's event state, and how subscribers see them.  Private to
 * event/; see core.h. */
#ifndef HD_EVENT_SNAPSHOT_H
#define HD_EVENT_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "event/shard.h"

struct evt_doc;
struct sip_out;

#define EVT_SNAPSHOT_MAGIC 0x45534e41u
#define EVT_VIEW_MAGIC 0x45564945u

/* One immutable version of a resource's event state. */
struct evt_snapshot {
    unsigned magic;
    _Atomic uint32_t refs;
    uint64_t number;     /* grows with every version; unique within its home shard */
    struct evt_doc *doc; /* NULL: nothing to show, NOTIFY without body */
    bool sign;           /* a publisher made it: the resource is alive */
    uint8_t priority;    /* Resource-Priority of what is published in it */
};
struct evt_snapshot *evt_snapshot_new(uint64_t number,
                                      struct evt_doc *doc); /* takes its own reference of doc */
struct evt_snapshot *evt_snapshot_ref(struct evt_snapshot *snapshot);
struct evt_snapshot *evt_snapshot_unref(struct evt_snapshot *snapshot);

/* What a subscriber may see of a snapshot. */
enum evt_transform {
    EVT_SEE_ALL = 0,
    EVT_SEE_NEUTRAL, /* polite block: the document shown while nothing is published */
    EVT_SEE_NOTHING, /* pending: no body */
    EVT_SEE_OWN      /* watcher information: his own entry; all that his own mirror has */
    /* From EVT_TRANSFORM_FIRST on: a transformation of policy's, by its number. */
};
/** Whether who sees this learns of changes: all of it, his own part, or what a transformation
 * leaves. */
static inline bool
evt_sees_state(uint8_t transform)
{
    return transform == EVT_SEE_ALL || transform >= EVT_SEE_OWN;
}
static inline bool
evt_is_transformed(uint8_t transform)
{
    return transform >= EVT_TRANSFORM_FIRST;
}

/* What makes two subscribers share a rendered body. */
struct evt_view_key {
    uint64_t snapshot; /* number */
    uint64_t base;     /* number of the snapshot that a partial document starts from, 0: full */
    uint32_t filter;   /* which filter, 0: none */
    uint8_t types;     /* which of the package's types the subscriber takes: a bit each */
    uint8_t transform; /* enum evt_transform, or a transformation */
};

/* A snapshot rendered for a key.  At most one hole: the version number that some formats count per
 * subscription. */
struct evt_view {
    unsigned magic;
    uint32_t refs; /* views never leave their shard */
    struct evt_view_key key;
    struct evt_doc *doc; /* what the slices point into; NULL: no body */
    struct hd_slice type, before, after;
    bool has_hole;
    uint8_t chosen;        /* enum evt_chosen: of the dialogs that the filter chooses */
    uint64_t recorded;     /* the place of its body in the recorder, see recorder.h */
    uint64_t tag;          /* entity-tag of the whole state that it shows, see suppress.h */
    struct evt_view *next; /* in the mirror's list */
    uint16_t n_tag, n_head;
    char head[]; /* of a NOTIFY: SIP-ETag to "Content-Length: " */
};
struct evt_view *evt_view_unref(struct evt_view *view);
size_t evt_view_size(const struct evt_view *view, uint32_t version);
void evt_view_write(const struct evt_view *view, uint32_t version, struct sip_out *out);

#endif
