/* rng.h - unguessable numbers for one shard, from an entropy source that heraldd hands in.
 * Thread: its shard's.  Tests hand in a seeded source, so that a run can be repeated. */
#ifndef HD_BASE_RNG_H
#define HD_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/** Fills n octets with unpredictable ones.  Must not fail: the process cannot go on without. */
typedef void (*hd_entropy_f)(void *context, void *octets, size_t n);

struct hd_rng {
    hd_entropy_f fill;
    void *context;
    size_t left;
    uint8_t pool[512];
};

/** Draws from fill, whose context is borrowed, in pools of 512 octets. */
void hd_rng_init(struct hd_rng *rng, hd_entropy_f fill, void *context);
/** n unguessable octets / 64 unguessable bits. */
void hd_rng_octets(struct hd_rng *rng, void *ret_octets, size_t n);
uint64_t hd_rng_u64(struct hd_rng *rng);
/** Evenly below bound (bound > 0). */
uint32_t hd_rng_below(struct hd_rng *rng, uint32_t bound);
/** An entropy source for tests: a counter run through SipHash; context is a uint64_t seed that it
 * advances. */
void hd_entropy_seeded(void *context, void *octets, size_t n);

#endif
