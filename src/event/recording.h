/* recording.h - what the core tells the flow recorder, and what is found in it again.
 * Private to event/, see core.h; the rows of a recall are in shard.h.  All of it does nothing while
 * there is no recorder. */
#ifndef HD_EVENT_RECORDING_H
#define HD_EVENT_RECORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "event/ports.h"

struct evt_cond;
struct evt_pub;
struct evt_request;
struct evt_shard;
struct evt_sub;
struct sip_msg;

/** Under what the messages of a Call-ID are found; 0: nothing is recorded. */
uint64_t evt_rec_call(const struct evt_shard *shard, struct hd_slice call_id);
uint64_t evt_rec_request_call(const struct evt_shard *shard, const struct evt_request *request);
/** Under what a resource or somebody is found. */
uint64_t evt_rec_name(const struct evt_shard *shard, struct hd_slice name);
/** Whether a URI in a text has a password. */
bool evt_rec_has_password(struct hd_slice text);
/** A request came; one that could not be parsed with its first line alone. */
void evt_rec_request(struct evt_shard *shard, const struct evt_request *request);
void evt_rec_malformed(struct evt_shard *shard, const struct evt_request *request);
/** An answer of ours leaves. */
void evt_rec_reply(struct evt_shard *shard, uint64_t call, const struct hd_flow *flow,
                   struct hd_slice octets);
/** A NOTIFY in flight leaves, or leaves again. */
void evt_rec_notify(struct evt_shard *shard, const struct evt_sub *sub, const struct hd_flow *flow,
                    struct hd_slice octets);
/** Its answer came. */
void evt_rec_response(struct evt_shard *shard, const struct evt_sub *sub, const struct sip_msg *msg,
                      const struct hd_flow *flow);
/** A decision about a subscription or a publication, with words, which are wire data, or none;
 * as a rule by evt_did(). */
void evt_rec_note(struct evt_shard *shard, uint64_t id, enum evt_did what, uint64_t detail,
                  struct hd_slice words);
/** A filter's conditions were looked at; verdict: as with EVT_DID_FILTER. */
void evt_rec_cond(struct evt_shard *shard, const struct evt_cond *cond, struct evt_reading *reading,
                  unsigned verdict);
/** Under what the conditions of a subscription are found, 0: it has none. */
uint64_t evt_rec_cond_of(struct evt_shard *shard, const struct evt_sub *sub);
/** Who subscribed, published, or was refused. */
void evt_rec_sub(struct evt_shard *shard, const struct evt_sub *sub, uint32_t rule);
void evt_rec_pub(struct evt_shard *shard, const struct evt_pub *pub, uint64_t call);
void evt_rec_refused(struct evt_shard *shard, const struct evt_request *request, unsigned status);
/** Takes the size of the configuration in force. */
void evt_rec_configure(struct evt_shard *shard);

#endif
