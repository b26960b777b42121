/* stun.h - the one use of STUN that a SIP server has on its port: a client keeps its NAT binding
 * open with binding requests and learns when its address changes (RFC 5389, RFC 5626
 * section 4.4.2).  Pure; any thread.  Inside net/, its test and fuzz target. */
#ifndef HD_NET_STUN_H
#define HD_NET_STUN_H

#include "base/addr.h"

#define NET_STUN_ANSWER_MAX 80

/** Whether a datagram is STUN and not SIP: its first two bits are 0 and the magic cookie is there.
 */
bool net_stun_is(struct hd_slice datagram);
/**
 * Writes the answer to a binding request: the address that it came from, or 420 when it holds an
 * attribute that has to be understood and is not.  Never above three times the request.
 * @return its length; 0: nothing is to be said (an indication, an answer, damaged)
 */
size_t net_stun_answer(struct hd_slice request, const struct hd_addr *source,
                       char ret[NET_STUN_ANSWER_MAX]);

#endif
