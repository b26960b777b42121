/* reply.h - the part of a response that is copied from its request (RFC 3261 8.2.6).
 * Pure; any thread. */
#ifndef HD_SIP_REPLY_H
#define HD_SIP_REPLY_H

#include "sip/msg.h"
#include "sip/out.h"

/**
 * Writes the status line, all Via fields (the topmost with received and rport as RFC 3261 18.2.1
 * and RFC 3581 4 say), From, To, Call-ID, CSeq and, for 100, Timestamp.  Further headers,
 * Content-Length and the empty line are the caller's.
 * @param reason  empty: the registered phrase
 * @param to_tag  appended when the request's To has none and the status is above 100; may be empty
 * @param source  where the request came from
 */
void sip_reply_begin(struct sip_out *out, const struct sip_msg *request, unsigned status,
                     struct hd_slice reason, struct hd_slice to_tag, const struct hd_addr *source);
/** "Content-Length: 0" and the empty line. */
void sip_reply_end(struct sip_out *out);
/**
 * Where a response to a datagram goes (RFC 3261 18.2.2, RFC 3581): the source address, and its port
 * when rport was asked for, else the port of sent-by (5060 when none).  maddr is not followed.
 */
struct hd_addr sip_reply_target(const struct sip_msg *request, const struct hd_addr *source);

#endif
