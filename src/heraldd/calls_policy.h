/* calls_policy.h - what the calls about rules and those that ask them share.
 * Thread: the main thread's. */
#ifndef HD_HERALDD_CALLS_POLICY_H
#define HD_HERALDD_CALLS_POLICY_H

#include "heraldd/calls_core.h"

struct pol_rule;

/** A word that means many, or a list: "*", "authenticated", "anonymous", "@list". */
bool hd_policy_is_word(struct hd_slice text);
/** The key of somebody, here or elsewhere: a user name, sip:USER@DOMAIN, sip:*@DOMAIN.  HD_ESYNTAX
 * and others of sip_identity_key(). */
HD_NODISCARD enum hd_err hd_policy_watcher_key(const struct hd_call *call, struct hd_slice text,
                                               struct hd_key *ret_key);
/** There is such a package, or it is "*"; false: answered. */
bool hd_policy_package_ok(const struct hd_call *call, struct hd_slice package);
/** The array `proof` of the call, a bit for each; false: answered. */
bool hd_policy_proofs_ok(const struct hd_call *call, uint8_t *ret_proofs);
/** A rule, as it is shown; NULL: memory is short. */
json_t *hd_policy_rule_json(const struct pol_rule *rule);
/** The same, or null when there is none. */
json_t *hd_policy_rule_or_null(const struct pol_rule *rule);

#endif
