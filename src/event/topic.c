/* topic.c - what a mirror shows and a resource keeps, by its name. */
#include "event/topic.h"

#include "event/core.h"

static size_t
put(struct hd_slice s, char *text, size_t at)
{
    if (s.n)
        memcpy(text + at, s.p, s.n);
    return at + s.n;
}

struct evt_topic_ends
evt_topic_write(const struct evt_topic *topic, char *text)
{
    const size_t key = put(topic->key, text, 0);
    const size_t package = put(topic->package, text, key);
    const size_t watcher = put(topic->watcher, text, package);

    HD_ASSERT(watcher <= UINT16_MAX);
    return (struct evt_topic_ends){ (uint16_t)key, (uint16_t)package, (uint16_t)watcher };
}

struct evt_topic
evt_topic_read(struct evt_topic_ends ends, const char *text)
{
    return (struct evt_topic){
        .key = hd_slice(text, ends.key),
        .package = hd_slice(text + ends.key, (size_t)(ends.package - ends.key)),
        .watcher = hd_slice(text + ends.package, (size_t)(ends.watcher - ends.package))
    };
}

bool
evt_topic_eq(const struct evt_topic *one, const struct evt_topic *other)
{
    return hd_slice_eq(one->key, other->key) && hd_slice_eq(one->package, other->package) &&
           hd_slice_eq(one->watcher, other->watcher);
}

uint64_t
evt_topic_hash(const struct evt_shard *shard, const struct evt_topic *topic)
{
    const uint64_t hash = evt_key_hash(shard, topic->key, topic->package);

    return topic->watcher.n ? hd_hash_mix(hash, hd_hash(&shard->keys.table, topic->watcher)) : hash;
}
