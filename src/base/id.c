/* id.c - the text of an id, and the check that proves that we wrote it.
 * 24 octets in base64url: id (8, big-endian), sequence (4, big-endian), and the first 12 octets of
 * SipHash-128 over purpose (1 octet), id and sequence as just written.  24 is a multiple of three,
 * so there is no padding and every text has exactly one reading.  Once per NOTIFY and per response:
 * by tables, no allocation. */
#include "base/id.h"

#define ID_OCTETS 24
#define ID_NAMED 12 /* id and sequence; the check follows */
#define ID_CHECK 12

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

static void
check(const struct hd_hash_key *key, enum hd_id_purpose purpose, const uint8_t named[ID_NAMED],
      uint8_t ret[16])
{
    char input[1 + ID_NAMED];

    input[0] = (char)purpose;
    memcpy(input + 1, named, ID_NAMED);
    hd_hash128(key, hd_slice(input, sizeof(input)), ret);
}

void
hd_id_text(const struct hd_hash_key *key, enum hd_id_purpose purpose, uint64_t id,
           uint32_t sequence, char ret[HD_ID_TEXT])
{
    uint8_t octets[ID_OCTETS], sum[16];

    for (unsigned i = 0; i < 8; i++)
        octets[i] = (uint8_t)(id >> (56 - 8 * i));
    for (unsigned i = 0; i < 4; i++)
        octets[8 + i] = (uint8_t)(sequence >> (24 - 8 * i));
    check(key, purpose, octets, sum);
    memcpy(octets + ID_NAMED, sum, ID_CHECK);
    for (unsigned i = 0, o = 0; i < ID_OCTETS; i += 3, o += 4) {
        uint32_t three =
            (uint32_t)octets[i] << 16 | (uint32_t)octets[i + 1] << 8 | (uint32_t)octets[i + 2];
        ret[o] = alphabet[three >> 18];
        ret[o + 1] = alphabet[three >> 12 & 63];
        ret[o + 2] = alphabet[three >> 6 & 63];
        ret[o + 3] = alphabet[three & 63];
    }
}

static bool
decode(struct hd_slice text, uint8_t ret[ID_OCTETS])
{
    bool ok = true;

    for (unsigned i = 0, o = 0; o < ID_OCTETS; i += 4, o += 3) {
        uint32_t four = 0;
        for (unsigned j = 0; j < 4; j++) {
            unsigned value = values[(unsigned char)text.p[i + j]];
            ok &= value != 0;
            four = four << 6 | (uint32_t)((value - 1) & 63);
        }
        ret[o] = (uint8_t)(four >> 16);
        ret[o + 1] = (uint8_t)(four >> 8);
        ret[o + 2] = (uint8_t)four;
    }
    return ok;
}

enum hd_err
hd_id_read(const struct hd_hash_key *key, enum hd_id_purpose purpose, struct hd_slice text,
           uint64_t *ret_id, uint32_t *ret_sequence)
{
    uint8_t octets[ID_OCTETS], sum[16];
    unsigned differ = 0;
    uint64_t id = 0;
    uint32_t sequence = 0;

    if (text.n != HD_ID_TEXT || !decode(text, octets))
        return HD_ENOMATCH;
    check(key, purpose, octets, sum);
    /* All octets, whichever differs first: the time taken must not say how much of a guess was
     * right. */
    for (unsigned i = 0; i < ID_CHECK; i++)
        differ |= (unsigned)(octets[ID_NAMED + i] ^ sum[i]);
    if (differ)
        return HD_ENOMATCH;
    for (unsigned i = 0; i < 8; i++)
        id = id << 8 | octets[i];
    for (unsigned i = 8; i < ID_NAMED; i++)
        sequence = sequence << 8 | octets[i];
    *ret_id = id;
    *ret_sequence = sequence;
    return HD_OK;
}
