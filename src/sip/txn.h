/* txn.h - non-INVITE transaction rules as pure functions (RFC 3261 17, RFC 4320). */
#ifndef HD_SIP_TXN_H
#define HD_SIP_TXN_H

#include "base/hash.h"
#include "sip/msg.h"

#define SIP_T1_MS 500u
#define SIP_T2_MS 4000u
#define SIP_T4_MS 5000u
#define SIP_TIMER_F_MS (64u * SIP_T1_MS)

/** The next interval of Timer E after one of interval_ms (RFC 3261 17.1.2.2): doubles up to T2. */
uint32_t sip_timer_e_next(uint32_t interval_ms);
/** When a server transaction that has not answered may send 100: when Timer E of the client has
 * reached T2 (RFC 4320 4.1): milliseconds after the request arrived. */
#define SIP_TRYING_AFTER_MS (SIP_T1_MS + 2u * SIP_T1_MS + 4u * SIP_T1_MS)
/**
 * What identifies the server transaction of a request (17.2.3): branch, sent-by and method (ACK
 * counts as INVITE).  A branch without the magic cookie: Request-URI, To tag, From tag, Call-ID,
 * CSeq and top Via instead (RFC 2543 peers).
 */
uint64_t sip_txn_hash(const struct hd_hash_key *key, const struct sip_msg *request);
/** The same over the request that a CANCEL names (method taken as given). */
uint64_t sip_txn_hash_as(const struct hd_hash_key *key, const struct sip_msg *request,
                         struct hd_slice method);

#endif
