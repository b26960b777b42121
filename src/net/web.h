/* web.h - the WebSocket of one connection: its upgrade, its frames, its end (RFC 6455, RFC 7118).
 * Inside net/ only.  Thread: the shard's. */
#ifndef HD_NET_WEB_H
#define HD_NET_WEB_H

#include "net/conn.h"

/** HD_ENOMEM. */
HD_NODISCARD enum hd_err net_web_new(struct net_web **ret_web);
void net_web_free(struct net_web *web); /* accepts NULL */
/** Takes what is whole of what has come: first the request, then frames, which are unmasked where
 * they are.  Returns how many octets are done with. */
size_t net_web_take(struct net_conn *conn, char *p, size_t n);
/** A message on its way out, as one frame: text when it is UTF-8 (RFC 7118 section 4.2). */
HD_NODISCARD enum hd_err net_web_put(struct net_conn *conn, struct hd_slice message);
/** Says why nothing more comes from us, once. */
void net_web_end(struct net_conn *conn);
/** The upgrade did not come in time: counts it. */
void net_web_late(struct net_conn *conn);
/** Whether a part of a message is held. */
bool net_web_holds(const struct net_web *web);

#endif
