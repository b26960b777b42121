/* id.c - the text of an id, and the check that proves that we wrote it.
 * 24 octets in base64url: id (8, big-endian), sequence (4, big-endian), and the first 12 octets of
 * SipHash-128 over purpose (1 octet), id and sequence as just written.  24 is a multiple of three,
 * so there is no padding and every text has exactly one reading.  Once per NOTIFY and per response:
 * by tables, no allocation. */
#include "base/id.h"

#define ID_NAMED 12 /* octets of id and sequence, which the check covers */

static const char alphabet[64] = { 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M',
                                   'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z',
                                   'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
                                   'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
                                   '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-', '_' };

/* The value of a character, counted from 1; 0: not of the alphabet. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

unsigned
hd_shard_bucket(struct hd_rng *rng, unsigned shard, unsigned shards)
{
    unsigned first, end;

    HD_ASSERT(shards > 0 && shards <= HD_BUCKETS && shard < shards);
    /* hd_bucket_shard() turned round: the first bucket of a shard is shard * 4096 / shards, rounded
     * up. */
    first = (shard * HD_BUCKETS + shards - 1) / shards;
    end = ((shard + 1) * HD_BUCKETS + shards - 1) / shards;
    return first + hd_rng_below(rng, end - first);
}

uint64_t
hd_id_new(struct hd_rng *rng, unsigned bucket)
{
    uint64_t id;

    HD_ASSERT(bucket < HD_BUCKETS);
    do {
        id = (uint64_t)bucket << (64 - HD_BUCKET_BITS) | hd_rng_u64(rng) >> HD_BUCKET_BITS;
    } while (id == 0);
    return id;
}

/* Big-endian, as the text has it. */
static inline uint64_t
be64(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return word;
#else
    return __builtin_bswap64(word);
#endif
}

/* The check's first 12 octets, as the upper half of a word and a whole one. */
struct check {
    uint32_t high;
    uint64_t low;
};

static struct check
check_of(const struct hd_hash_key *key, enum hd_id_purpose purpose, uint64_t id, uint32_t sequence)
{
    char input[1 + ID_NAMED];
    uint64_t named = be64(id), sum[2];
    uint32_t number = (uint32_t)(be64(sequence) >> 32);

    input[0] = (char)purpose;
    memcpy(input + 1, &named, 8);
    memcpy(input + 9, &number, 4);
    hd_hash128(key, hd_slice(input, sizeof(input)), (uint8_t *)sum);
    sum[0] = be64(sum[0]);
    sum[1] = be64(sum[1]);
    return (struct check){ (uint32_t)(sum[0] >> 32), sum[0] << 32 | sum[1] >> 32 };
}

/* Eight characters of the lower 48 bits. */
static inline void
encode48(uint64_t bits, char *ret)
{
    for (int i = 7; i >= 0; i--, bits >>= 6)
        ret[i] = alphabet[bits & 63];
}

void
hd_id_text(const struct hd_hash_key *key, enum hd_id_purpose purpose, uint64_t id,
           uint32_t sequence, char ret[HD_ID_TEXT])
{
    struct check sum = check_of(key, purpose, id, sequence);
    uint64_t middle = (uint64_t)sequence << 32 | sum.high;

    encode48(id >> 16, ret);
    encode48(id << 32 | middle >> 32, ret + 8);
    encode48(middle << 16 | sum.low >> 48, ret + 16);
    encode48(sum.low, ret + 24);
}

/* 48 bits of eight characters; *ok is cleared when one is not of the alphabet. */
static inline uint64_t
decode48(const char *p, bool *ok)
{
    uint64_t bits = 0;
    bool all = true;

    for (int i = 0; i < 8; i++) {
        unsigned value = values[(unsigned char)p[i]];
        all &= value != 0;
        bits = bits << 6 | ((value - 1) & 63);
    }
    *ok &= all;
    return bits;
}

enum hd_err
hd_id_read(const struct hd_hash_key *key, enum hd_id_purpose purpose, struct hd_slice text,
           uint64_t *ret_id, uint32_t *ret_sequence)
{
    bool ok = true;

    if (text.n != HD_ID_TEXT)
        return HD_ENOMATCH;
    uint64_t a = decode48(text.p, &ok), b = decode48(text.p + 8, &ok);
    uint64_t c = decode48(text.p + 16, &ok), d = decode48(text.p + 24, &ok);
    if (!ok)
        return HD_ENOMATCH;
    uint64_t id = a << 16 | b >> 32;
    uint32_t sequence = (uint32_t)b;
    struct check sum = check_of(key, purpose, id, sequence);
    /* Both parts, whichever differs first: the time taken must not say how much of a guess was
     * right. */
    if ((sum.high ^ (uint32_t)(c >> 16)) | (sum.low ^ (c << 48 | d)))
        return HD_ENOMATCH;
    *ret_id = id;
    *ret_sequence = sequence;
    return HD_OK;
}
