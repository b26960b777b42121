/* windows.h - which nonce counts were used: one window per nonce, in a bounded table (RFC 7616
 * section 3.4, RFC 3261 section 22).
 *
 * A window is made when a nonce comes back in right credentials for the first time, so that nobody
 * without a password takes memory.  When a window is dropped, for age or for room, no nonce as old
 * as that one can be told from a used one: it is refused from then on, and its owner gets a new one
 * without being asked for his password (stale=true). Thread: its shard's. */
#ifndef HD_POLICY_WINDOWS_H
#define HD_POLICY_WINDOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/map.h"

#define POL_WINDOWS_MAX 65536u

/* A nonce's id says where its window lives and when it was given out: 12 bits of bucket, 32 of
 * issued_s, 20 of a count. */
static inline uint64_t
pol_nonce_id(unsigned bucket, uint32_t issued_s, uint32_t count)
{
    return (uint64_t)bucket << 52 | (uint64_t)issued_s << 20 | (count & 0xfffff);
}
static inline uint32_t
pol_nonce_issued_s(uint64_t id)
{
    return (uint32_t)(id >> 20);
}

struct pol_window;
struct pol_windows {
    struct pol_window *ring; /* in the order they were made */
    uint32_t cap, head, n;
    struct hd_map places; /* from the hash of an id to its place in the ring */
    struct hd_hash_key key;
    bool dropped;         /* watermark_s holds */
    uint32_t watermark_s; /* nonces issued at or before it have their window here or are refused */
};

/** cap: windows kept, > 0.  HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_windows_init(struct pol_windows *windows, uint32_t cap,
                                          const struct hd_hash_key *key);
void pol_windows_done(struct pol_windows *windows);
/**
 * Takes a count of a nonce.
 * @param now_s       the clock that issued_s is of
 * @param lifetime_s  windows of nonces older than this are dropped; 0: for room alone
 * @return true when it is new; false: seen, 0, too far below the highest, or of a nonce whose
 * window was dropped
 */
bool pol_windows_take(struct pol_windows *windows, uint64_t id, uint32_t nc, uint32_t now_s,
                      uint32_t lifetime_s);

#endif
