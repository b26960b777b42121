/* authenticate.h - who is it: digest, a certificate, or the word of whom the operator trusts.
 * The part of pol_ops that keeps something; the functions are those of evt_policy_ops.
 * Thread: its shard's; the context is a struct pol_shard. */
#ifndef HD_POLICY_AUTHENTICATE_H
#define HD_POLICY_AUTHENTICATE_H

#include "policy/policy.h"

enum evt_auth pol_authenticate(void *policy, const struct evt_config *config,
                               const struct sip_msg *request, const struct hd_flow *flow,
                               struct hd_slice peer, uint64_t now_us,
                               struct evt_auth_result *ret_result);
/** Whether the listener trusts the hop that a flow comes from, by its address or by a domain that
 * its certificate names. */
bool pol_hop_is_trusted(const struct evt_config *config, const struct hd_flow *flow,
                        struct hd_slice peer);
bool pol_count(void *policy, uint64_t nonce_id, uint32_t nc, uint64_t now_us);
void pol_challenge(void *policy, const struct evt_config *config, const struct sip_msg *request,
                   const struct hd_flow *flow, uint64_t now_us, bool stale, struct sip_out *out);

#endif
