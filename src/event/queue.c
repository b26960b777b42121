/* queue.c - events that wait for a subscription of a package where each of them matters (delivery =
 * every): a bounded ring, and a count of what did not fit. */
#include <stdlib.h>

#include "event/core.h"

static struct evt_queue *
queue_new(uint32_t cap)
{
    struct evt_queue *queue = calloc(1, sizeof(*queue) + cap * sizeof(queue->ring[0]));
    if (queue)
        queue->cap = cap;
    return queue;
}

/* The place of an event, counted from the oldest. */
static struct evt_snapshot **
queue_at(struct evt_queue *queue, uint32_t i)
{
    return &queue->ring[(queue->first + i) % queue->cap];
}

/* A full queue drops what comes, but for an event with Resource-Priority: in its place the newest
 * goes that has none.  False: all of them have it. */
static bool
queue_make_room(struct evt_shard *shard, struct evt_queue *queue)
{
    uint32_t i = queue->n;

    while (i > 0 && (*queue_at(queue, i - 1))->priority)
        i--;
    if (i == 0)
        return false;
    EVT_COUNT(shard, events_dropped);
    queue->dropped++;
    evt_snapshot_unref(*queue_at(queue, i - 1));
    for (; i < queue->n; i++)
        *queue_at(queue, i - 1) = *queue_at(queue, i);
    queue->n--;
    return true;
}

/* Whether there is no place for an event. */
static bool
queue_is_full(struct evt_shard *shard, struct evt_queue *queue, const struct evt_snapshot *event)
{
    return queue->n == queue->cap && !(event->priority && queue_make_room(shard, queue));
}

void
evt_sub_queue_event(struct evt_shard *shard, struct evt_sub *sub, struct evt_snapshot *snapshot)
{
    uint32_t cap = evt_mirror_at(shard, sub->mirror)->package->queue_max;

    if (!evt_sees_state(sub->transform) || sub->state == EVT_SUB_TERMINATED || evt_sub_is_told(sub))
        return;
    if (sub->rare && sub->rare->match == EVT_SUPPRESS_ANY) /* he wants none of them */
        return;
    struct evt_sub_rare *rare = evt_sub_rare(sub);
    if (rare && !rare->queue)
        rare->queue = queue_new(cap ? cap : 1);
    struct evt_queue *queue = rare ? rare->queue : NULL;
    if (!queue || queue_is_full(shard, queue, snapshot)) {
        EVT_COUNT(shard, events_dropped);
        evt_did(shard, sub->id, EVT_DID_DROP, snapshot->number);
        if (queue)
            queue->dropped++;
        return;
    }
    queue->urgent += snapshot->priority != SIP_PRIORITY_NONE;
    queue->ring[(queue->first + queue->n++) % queue->cap] = evt_snapshot_ref(snapshot);
}

/* An event whose NOTIFY was not acknowledged comes first again. */
void
evt_queue_give_back(struct evt_shard *shard, struct evt_sub *sub, struct evt_snapshot *event)
{
    struct evt_queue *queue = sub->rare ? sub->rare->queue : NULL;

    HD_ASSERT(queue != NULL);
    if (queue_is_full(shard, queue, event)) {
        EVT_COUNT(shard, events_dropped);
        queue->dropped++;
        evt_snapshot_unref(event);
        return;
    }
    queue->first = (queue->first + queue->cap - 1) % queue->cap;
    queue->ring[queue->first] = event;
    queue->urgent += event->priority != SIP_PRIORITY_NONE;
    queue->n++;
}

struct evt_snapshot *
evt_queue_take(const struct evt_sub *sub)
{
    if (!evt_sub_has_events(sub))
        return NULL;
    struct evt_queue *queue = sub->rare->queue;
    struct evt_snapshot *event = queue->ring[queue->first];
    queue->first = (queue->first + 1) % queue->cap;
    queue->urgent -= event->priority != SIP_PRIORITY_NONE;
    queue->n--;
    return event;
}

void
evt_queue_clear(struct evt_sub *sub)
{
    while (evt_sub_has_events(sub))
        evt_snapshot_unref(evt_queue_take(sub));
}

void
evt_queue_free(struct evt_sub *sub)
{
    struct evt_queue *queue = sub->rare ? sub->rare->queue : NULL;

    if (!queue)
        return;
    evt_queue_clear(sub);
    free(queue);
    sub->rare->queue = NULL;
}
