/* hash.h - SipHash: keyed, so that nobody outside can choose what collides or forge a check.
 * Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF" (2012).  Pure; any
 * thread. */
#ifndef HD_BASE_HASH_H
#define HD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct hd_hash_key {
    uint64_t k0, k1;
};

/** The 64-bit variant with one round per word and three at the end (SipHash-1-3): for tables and
 * for telling things apart, where nobody outside sees the result. */
uint64_t hd_hash(const struct hd_hash_key *key, struct hd_slice data);
/** The 128-bit variant with two and four (SipHash-2-4): for checks that peers see; ret gets 16
 * octets. */
void hd_hash128(const struct hd_hash_key *key, struct hd_slice data, uint8_t ret[16]);
/** Mixes a second value into a hash; for keys of several parts. */
uint64_t hd_hash_mix(uint64_t a, uint64_t b);

#endif
