/* rng.c - a pool in front of the entropy source, so that a tag does not cost a system call.
 * What was handed out is wiped from the pool at once: a later leak of memory tells nothing about
 * ids already given. */
#include "base/rng.h"

#include <string.h>

#include "base/err.h"
#include "base/hash.h"

void
hd_rng_init(struct hd_rng *rng, hd_entropy_f fill, void *context)
{
    HD_ASSERT(fill != NULL);
    *rng = (struct hd_rng){ .fill = fill, .context = context };
}

void
hd_rng_octets(struct hd_rng *rng, void *ret_octets, size_t n)
{
    uint8_t *from;

    if (n > sizeof(rng->pool)) {
        rng->fill(rng->context, ret_octets, n);
        return;
    }
    if (n == 0)
        return;
    if (n > rng->left) {
        rng->fill(rng->context, rng->pool, sizeof(rng->pool));
        rng->left = sizeof(rng->pool);
    }
    from = rng->pool + sizeof(rng->pool) - rng->left;
    memcpy(ret_octets, from, n);
    memset(from, 0, n);
    rng->left -= n;
}

uint64_t
hd_rng_u64(struct hd_rng *rng)
{
    uint64_t value;

    hd_rng_octets(rng, &value, sizeof(value));
    return value;
}

uint32_t
hd_rng_below(struct hd_rng *rng, uint32_t bound)
{
    /* The upper half of a 64-bit product (D. Lemire, "Fast random integer generation in an
     * interval", 2019): the first 2^32 mod bound products of each interval are one too many and are
     * drawn again. */
    uint32_t over = (uint32_t)-bound;
    uint32_t draw;
    uint64_t product;

    HD_ASSERT(bound > 0);
    over %= bound;
    do {
        hd_rng_octets(rng, &draw, sizeof(draw));
        product = (uint64_t)draw * bound;
    } while ((uint32_t)product < over);
    return (uint32_t)(product >> 32);
}

void
hd_entropy_seeded(void *context, void *octets, size_t n)
{
    static const struct hd_hash_key key = { UINT64_C(0x68657261), UINT64_C(0x6c640a) };
    uint64_t *seed = context;
    char *to = octets;

    while (n > 0) {
        uint64_t word;
        size_t part = n < sizeof(word) ? n : sizeof(word);

        word = hd_hash(&key, hd_slice((const char *)seed, sizeof(*seed)));
        ++*seed;
        memcpy(to, &word, part);
        to += part;
        n -= part;
    }
}
