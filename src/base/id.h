/* id.h - names that carry their address: bucket, random bits, and a keyed check on the wire.
 *
 * An id is 64 bits: 12 of bucket, 52 random.  Its text is id, a 32-bit sequence number and a 96-bit
 * check, 32 characters of the base64url alphabet (RFC 4648 section 5), all of them SIP token
 * characters.  The check is computed from the key and the purpose, never stored, so nobody can make
 * one up and a tag is not good as a branch. Pure; any thread. */
#ifndef HD_BASE_ID_H
#define HD_BASE_ID_H

#include <stdint.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/slice.h"

#define HD_BUCKET_BITS 12
#define HD_BUCKETS (1u << HD_BUCKET_BITS)
#define HD_ID_TEXT 32

/* What a text is good for; part of what the check covers. */
enum hd_id_purpose { HD_ID_TAG = 1, HD_ID_BRANCH, HD_ID_ETAG, HD_ID_NONCE, HD_ID_REPLY_TAG };

/** The only mapping from a bucket to its shard (doc/architecture.md). */
static inline unsigned
hd_bucket_shard(unsigned bucket, unsigned shards)
{
    return bucket * shards >> HD_BUCKET_BITS;
}

static inline unsigned
hd_id_bucket(uint64_t id)
{
    return (unsigned)(id >> (64 - HD_BUCKET_BITS));
}

/** The bucket of a hash: its upper bits. */
static inline unsigned
hd_hash_bucket(uint64_t hash)
{
    return (unsigned)(hash >> (64 - HD_BUCKET_BITS));
}

/** A bucket in the range of a shard, chosen at random. */
unsigned hd_shard_bucket(struct hd_rng *rng, unsigned shard, unsigned shards);
/** A new id in bucket; never 0. */
uint64_t hd_id_new(struct hd_rng *rng, unsigned bucket);
/** Writes the text of an id; ret gets HD_ID_TEXT characters, no NUL. */
void hd_id_text(const struct hd_hash_key *key, enum hd_id_purpose purpose, uint64_t id,
                uint32_t sequence, char ret[HD_ID_TEXT]);
/** Reads a text.  HD_ENOMATCH: not one of ours (length, alphabet or check). */
HD_NODISCARD enum hd_err hd_id_read(const struct hd_hash_key *key, enum hd_id_purpose purpose,
                                    struct hd_slice text, uint64_t *ret_id, uint32_t *ret_sequence);

#endif
