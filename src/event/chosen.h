/* chosen.h - subscriptions to dialogs that their Event header names (RFC 4235 section 3.2).
 * Private to event/; see core.h. */
#ifndef HD_EVENT_CHOSEN_H
#define HD_EVENT_CHOSEN_H

#include <stdbool.h>

struct evt_filtered;
struct evt_shard;
struct evt_sub;
struct evt_view;

/** Whether the newest snapshot shows something else of its dialogs than what was sent last; when
 * not, it counts as seen. */
bool evt_chosen_has_news(struct evt_shard *shard, struct evt_sub *sub);
/** A NOTIFY leaves with this view. */
void evt_chosen_sent(struct evt_filtered *filtered, const struct evt_view *view);
/** It was answered 2xx: with the last of its dialogs the subscription ends (section 3.4). */
void evt_chosen_answered(struct evt_shard *shard, struct evt_sub *sub);
/** After a restart: the NOTIFY with the newest snapshot was answered before it. */
void evt_chosen_restored(struct evt_shard *shard, struct evt_sub *sub);

#endif
