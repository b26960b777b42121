/* alias.h - connections by which their peers can be reached (RFC 5923).  Private to event/; see
 * core.h.
 *
 * Thread: the shard's.  The shard that holds a connection says what it is good for; every shard has
 * a copy. */
#ifndef HD_EVENT_ALIAS_H
#define HD_EVENT_ALIAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/mailbox.h"
#include "base/map.h"
#include "base/slice.h"
#include "base/table.h"

struct evt_shard;

#define EVT_ALIASES_MAX 4096u /* connections that are known to be good for it */

struct evt_aliases {
    struct hd_table table;
    struct hd_map by_conn, by_addr;
    uint32_t changes; /* grows with each that comes and goes */
};

/* The owner's word to another shard. */
struct evt_mail_alias {
    struct hd_mail mail;
    struct evt_mail_alias *next; /* the owner's, as long as it keeps it */
    unsigned to;
    uint64_t conn;
    struct hd_addr at;
    size_t n; /* octets of the names; 0: the connection is gone */
    char names[];
};

void evt_aliases_init(struct evt_shard *shard);
void evt_aliases_done(struct evt_shard *shard);
/**
 * The peer of a connection of this shard says that requests for an address of his may come down
 * that connection; the first address that he says counts.  Without effect when memory is short or
 * there are too many.
 * @param at     his address, with the port of his sent-by
 * @param names  the domains of his verified certificate, a blank between two; not empty
 */
void evt_alias_note(struct evt_shard *shard, uint64_t conn, const struct hd_addr *at,
                    struct hd_slice names);
/** The same of a connection of another shard. */
void evt_alias_copy(struct evt_shard *shard, const struct evt_mail_alias *mail);
/** A connection is gone; the owner tells the others. */
void evt_alias_end(struct evt_shard *shard, uint64_t conn);
/** Whether a connection of this shard is one that its peer can be reached by. */
bool evt_alias_has(const struct evt_shard *shard, uint64_t conn);
/**
 * The connection for requests by TLS to an address that a host was resolved to; 0: none.
 * @param used  what was found before, which stays as long as it is good, or 0
 */
uint64_t evt_alias_find(const struct evt_shard *shard, const struct hd_addr *at,
                        struct hd_slice host, uint64_t used);

#endif
