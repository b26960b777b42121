/* hash.c - SipHash: one round per word and three at the end for tables, two and four for checks.
 * Both widths share the state; the 128-bit variant differs in one constant of the start, one of the
 * end, and the second output word.  Input is read as little-endian words whatever the machine. */
#include "base/hash.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static inline uint64_t
load_le64(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void
store_le64(uint8_t *p, uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(p, &word, sizeof(word));
}

/* Inlined where it is used, so that the state stays in registers: several hashes per message. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void
sip_rounds(struct sip *s, unsigned n)
{
    uint64_t v0 = s->v0, v1 = s->v1, v2 = s->v2, v3 = s->v3;

#pragma GCC unroll 4
    for (; n > 0; n--) {
        v0 += v1;
        v2 += v3;
        v1 = rotl(v1, 13) ^ v0;
        v3 = rotl(v3, 16) ^ v2;
        v0 = rotl(v0, 32);
        v2 += v1;
        v0 += v3;
        v1 = rotl(v1, 17) ^ v2;
        v3 = rotl(v3, 21) ^ v0;
        v2 = rotl(v2, 32);
    }
    *s = (struct sip){ v0, v1, v2, v3 };
}

ALWAYS_INLINE void
sip_word(struct sip *s, uint64_t word, unsigned rounds)
{
    s->v3 ^= word;
    sip_rounds(s, rounds);
    s->v0 ^= word;
}

/* The octets behind the whole words, as the lower part of one. */
ALWAYS_INLINE uint64_t
load_rest(struct hd_slice data)
{
    size_t n = data.n % 8;
    uint64_t word = 0;

    if (n == 0)
        return 0;
    if (data.n > 8) /* read again with what stands before */
        return load_le64(data.p + data.n - 8) >> 8 * (8 - n);
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)(unsigned char)data.p[i] << 8 * i;
    return word;
}

ALWAYS_INLINE struct sip
sip_absorb(const struct hd_hash_key *key, struct hd_slice data, uint64_t start, unsigned rounds)
{
    struct sip s = {
        key->k0 ^ UINT64_C(0x736f6d6570736575),
        key->k1 ^ UINT64_C(0x646f72616e646f6d) ^ start,
        key->k0 ^ UINT64_C(0x6c7967656e657261),
        key->k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = data.n & ~(size_t)7;

    for (size_t i = 0; i < whole; i += 8)
        sip_word(&s, load_le64(data.p + i), rounds);
    sip_word(&s, (uint64_t)data.n << 56 | load_rest(data), rounds);
    return s;
}

ALWAYS_INLINE uint64_t
sip_word_out(const struct sip *s)
{
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t
hd_hash(const struct hd_hash_key *key, struct hd_slice data)
{
    struct sip s = sip_absorb(key, data, 0, 1);

    s.v2 ^= 0xff;
    sip_rounds(&s, 3);
    return sip_word_out(&s);
}

void
hd_hash128(const struct hd_hash_key *key, struct hd_slice data, uint8_t ret[16])
{
    struct sip s = sip_absorb(key, data, 0xee, 2);

    s.v2 ^= 0xee;
    sip_rounds(&s, 4);
    store_le64(ret, sip_word_out(&s));
    s.v1 ^= 0xdd;
    sip_rounds(&s, 4);
    store_le64(ret + 8, sip_word_out(&s));
}

uint64_t
hd_hash_mix(uint64_t a, uint64_t b)
{
    /* The odd constant is 2^64 over the golden ratio; the rotation makes (a, b) and (b, a) differ,
     * the two foldings carry every bit to both ends. */
    uint64_t x = (rotl(a, 23) + b) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}
