/* calls_explain.h - why somebody was told, or was not.  Thread: a shard's, inside a sweep. */
#ifndef HD_HERALDD_CALLS_EXPLAIN_H
#define HD_HERALDD_CALLS_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "event/shard.h"

/**
 * Adds to json "sentence" and "evidence": what happened last of a subscription.
 * @param wall_us  to be added to the shard's clock: microseconds since 1970
 * @param looks    the values that a filter compared are left out
 * @return false: memory was short
 */
bool hd_explain_sub(struct evt_shard *evt, const struct evt_sub_row *row, uint64_t now_us,
                    int64_t wall_us, bool looks, json_t *json);
/** Of who has none: the sentence, and when it happened by the shard's clock; 0: this shard has
 * recorded nothing. */
uint64_t hd_explain_absent(struct evt_shard *evt, struct hd_slice watcher, struct hd_slice resource,
                           struct hd_slice package, uint64_t now_us, struct hd_str *sentence);

#endif
