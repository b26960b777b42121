/* topic.h - what a mirror shows and a resource keeps: the state of an address of record in an event
 * package; in watcher information perhaps that of one watcher alone.  Private to event/.
 *
 * Whoever is shown his own entry (RFC 3857 section 4.6) is a subscriber of a topic of his own, with
 * a record, snapshots and mirrors of its own: nothing that others do, not even how many they are or
 * when they come, is in what he sees. */
#ifndef HD_EVENT_TOPIC_H
#define HD_EVENT_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct evt_shard;

struct evt_topic {
    struct hd_slice key, package;
    struct hd_slice watcher; /* whose own entry it is; empty, as a rule: all of the state */
};

/* Where its strings end that stand one behind another, as in a mail. */
struct evt_topic_ends {
    uint16_t key, package, watcher;
};

/** Octets of its strings. */
static inline size_t
evt_topic_size(const struct evt_topic *topic)
{
    return topic->key.n + topic->package.n + topic->watcher.n;
}
/** Writes its strings into text, which has room for them. */
struct evt_topic_ends evt_topic_write(const struct evt_topic *topic, char *text);
/** Borrows from text. */
struct evt_topic evt_topic_read(struct evt_topic_ends ends, const char *text);
bool evt_topic_eq(const struct evt_topic *one, const struct evt_topic *other);
/** Under what it is found in a shard's maps; without a watcher that of evt_key_hash(). */
uint64_t evt_topic_hash(const struct evt_shard *shard, const struct evt_topic *topic);

#endif
