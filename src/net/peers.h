/* peers.h - whom a shard connects to by TLS: the names that their certificates must have, and the
 * sessions that can be taken up again.  Inside net/ only.  Thread: the shard's. */
#ifndef HD_NET_PEERS_H
#define HD_NET_PEERS_H

#include <stdint.h>

#include "base/addr.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/slice.h"
#include "base/table.h"

/* --- names ----------------------------------------------------------------------------------- */

struct net_names {
    struct hd_table names;
    struct hd_map by_hash;
    struct hd_hash_key key;
};

void net_names_init(struct net_names *names, const struct hd_hash_key *key);
void net_names_done(struct net_names *names);
/** The number of a name, in lower case and without a final dot; a reference is taken.  0: memory is
 * short, or it is no name. */
uint32_t net_names_get(struct net_names *names, struct hd_slice name);
/** One more reference of a number that is held; 0 stays 0. */
uint32_t net_names_ref(struct net_names *names, uint32_t number);
void net_names_put(struct net_names *names, uint32_t number); /* accepts 0 */
/** Its text, with a NUL behind it; NULL for 0. */
const char *net_names_text(const struct net_names *names, uint32_t number);

/* --- sessions of TLS ------------------------------------------------------------------------- */

#define NET_SESSIONS 256u /* kept in a shard; a newer one takes the place of an older one */

struct ssl_session_st;
struct net_sessions {
    struct {
        uint64_t hash;
        struct ssl_session_st *session;
    } kept[NET_SESSIONS];
};

/** Keeps a session for the next connection; it is taken over. */
void net_sessions_put(struct net_sessions *sessions, uint64_t hash, struct ssl_session_st *session);
/** Hands over a session, which is no longer kept (RFC 8446 appendix C.4); NULL: none. */
struct ssl_session_st *net_sessions_take(struct net_sessions *sessions, uint64_t hash);
/** Frees all of them, not sessions itself. */
void net_sessions_clear(struct net_sessions *sessions);

#endif
