/* suppress.h - conditional notification (RFC 5839): entity-tags of what subscribers see, and those
 * who have it already.  Private to event/; see core.h. */
#ifndef HD_EVENT_SUPPRESS_H
#define HD_EVENT_SUPPRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct evt_doc;
struct evt_mirror;
struct evt_shard;
struct evt_sub;
struct evt_view;
struct sip_msg;

/* A Suppress-If-Match condition: one of these, or an entity-tag. */
#define EVT_SUPPRESS_NONE 0u
#define EVT_SUPPRESS_ANY 1u /* "*" */
#define EVT_TAG_TEXT 11u    /* octets of an entity-tag */

/** The entity-tag of a whole document as it is shown, NULL: nothing: a keyed hash, the same over a
 * restart; the number that each subscription counts for itself is no part of it. */
uint64_t evt_tag_of(const struct evt_shard *shard, const struct evt_mirror *mirror,
                    const struct evt_doc *doc);
void evt_tag_text(uint64_t tag, char ret[EVT_TAG_TEXT]);
/** The condition of a SUBSCRIBE; a tag that is none of ours is EVT_SUPPRESS_NONE.  HD_ESYNTAX. */
HD_NODISCARD enum hd_err evt_match_read(const struct sip_msg *msg, uint64_t *ret_match);
/** Whether a condition is true for what a subscriber would be shown now; false as well when that is
 * not known. */
bool evt_match_is_true(struct evt_shard *shard, const struct evt_sub *sub, uint64_t match);
/** The same for the one that it has: nothing is to be told to it. */
bool evt_sub_is_suppressed(struct evt_shard *shard, const struct evt_sub *sub);
/** Whether it has the newest snapshot already, which is no news to it then, but an alarm is (RFC
 * 5839 section 6.3); when so, it counts as seen. */
bool evt_sub_has_it(struct evt_shard *shard, struct evt_sub *sub);
/** A NOTIFY is about to leave with a view: true: without its body.  Otherwise the condition is
 * over. */
bool evt_match_sent(struct evt_sub *sub, const struct evt_view *view);
/** There is room for it in rare when it is a condition. */
void evt_match_set(struct evt_sub *sub, uint64_t match);
/** The first snapshot after a restart is there; in_sync: the subscriber has acknowledged it. */
void evt_match_restored(struct evt_sub *sub, bool in_sync);

#endif
