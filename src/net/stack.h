/* stack.h - what lies between the octets of a connection and its messages: TLS, WebSocket, framing.
 * Inside net/ only.  Thread: the shard's. */
#ifndef HD_NET_STACK_H
#define HD_NET_STACK_H

#include "net/conn.h"

/** What a connection's transport needs.  HD_ENOTSUP: the listener has no certificate, or there is
 * no way to connect so; HD_ENOMEM. */
HD_NODISCARD enum hd_err net_stack_new(struct net_conn *conn);
void net_stack_free(struct net_conn *conn);
/** The connection has opened: whoever speaks first does. */
void net_stack_begin(struct net_conn *conn);
/** Octets that were read; the connection may be GONE afterwards.  They are changed. */
void net_stack_take(struct net_conn *conn, char *p, size_t n);
/** A message on its way out.  HD_EIO: the connection takes nothing more; HD_ENOMEM. */
HD_NODISCARD enum hd_err net_stack_put(struct net_conn *conn, struct hd_slice message);
/** Octets as they are, through TLS when there is.  HD_EIO, HD_ENOMEM. */
HD_NODISCARD enum hd_err net_stack_put_octets(struct net_conn *conn, struct hd_slice octets);
/** Octets that wait until the connection is ready. */
size_t net_stack_waiting(const struct net_conn *conn);
/** Says that nothing more comes from us. */
void net_stack_end(struct net_conn *conn);
/** The connection was not ready in time: counts it. */
void net_stack_late(struct net_conn *conn);
/** Whether a read is wanted now: handshakes are the dear ones, so a turn has few. */
bool net_stack_may_read(struct net_conn *conn);

/** Octets of SIP or of a WebSocket, taken where they are, or behind what is held (intake.c). */
void net_intake_take(struct net_conn *conn, char *p, size_t n);
/** Answers a keep-alive (RFC 5626 section 4.4.1). */
void net_intake_pong(struct net_conn *conn);

#endif
