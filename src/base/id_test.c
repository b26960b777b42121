/* id_test.c - only texts that we wrote, for the purpose we wrote them, are read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/id.h"

static const struct hd_hash_key key = { 11, 22 };

static struct hd_rng
seeded(uint64_t *seed)
{
    struct hd_rng rng;

    hd_rng_init(&rng, hd_entropy_seeded, seed);
    return rng;
}

static void
a_text_reads_back_to_its_id_and_sequence(void **state)
{
    static const struct {
        uint64_t id;
        uint32_t sequence;
    } row[] = { { 0, 0 },
                { UINT64_MAX, UINT32_MAX },
                { 1, 0 },
                { 0, 1 },
                { UINT64_C(0x0123456789abcdef), 0x89abcdef },
                { UINT64_C(1) << 63, UINT32_C(1) << 31 } };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[HD_ID_TEXT];
        uint64_t id = 5;
        uint32_t sequence = 5;

        hd_id_text(&key, HD_ID_TAG, row[i].id, row[i].sequence, text);
        assert_int_equal(hd_id_read(&key, HD_ID_TAG, hd_slice(text, sizeof(text)), &id, &sequence),
                         HD_OK);
        assert_true(id == row[i].id);
        assert_int_equal(sequence, row[i].sequence);
    }
}

static void
the_text_begins_with_id_and_sequence_in_base64url(void **state)
{
    char text[HD_ID_TEXT];

    (void)state;
    hd_id_text(&key, HD_ID_TAG, UINT64_C(0xfbff000000000000), 0xffffffff, text);
    assert_memory_equal(text, "-_8AAAAAAAD_____", 16);
}

static void
the_check_is_the_keyed_hash_over_purpose_id_and_sequence(void **state)
{
    static const char input[] = { HD_ID_ETAG, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2 };
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[HD_ID_TEXT];
    uint8_t sum[16];

    (void)state;
    hd_id_text(&key, HD_ID_ETAG, 1, 2, text);
    hd_hash128(&key, hd_slice(input, sizeof(input)), sum);
    for (unsigned i = 0; i < 16; i++) {
        unsigned bit = i * 6, two = (unsigned)sum[bit / 8] << 8 | sum[bit / 8 + 1];
        assert_int_equal(text[16 + i], letters[two >> (10 - bit % 8) & 63]);
    }
}

static void
a_change_of_any_bit_of_any_character_is_noticed(void **state)
{
    char text[HD_ID_TEXT];
    uint64_t id = 99;
    uint32_t sequence = 99;

    (void)state;
    hd_id_text(&key, HD_ID_BRANCH, UINT64_C(0xdeadbeef12345678), 3, text);
    for (unsigned i = 0; i < HD_ID_TEXT; i++)
        for (unsigned c = 0; c < 256; c++) {
            char copy[HD_ID_TEXT];
            if ((char)c == text[i])
                continue;
            memcpy(copy, text, sizeof(copy));
            copy[i] = (char)c;
            assert_int_equal(
                hd_id_read(&key, HD_ID_BRANCH, hd_slice(copy, sizeof(copy)), &id, &sequence),
                HD_ENOMATCH);
        }
    assert_true(id == 99 && sequence == 99);
}

static void
a_text_is_not_good_for_another_purpose_or_under_another_key(void **state)
{
    static const struct hd_hash_key other = { 11, 23 };
    char text[HD_ID_TEXT];
    uint64_t id;
    uint32_t sequence;

    (void)state;
    hd_id_text(&key, HD_ID_TAG, 7, 7, text);
    assert_int_equal(hd_id_read(&key, HD_ID_BRANCH, hd_slice(text, 32), &id, &sequence),
                     HD_ENOMATCH);
    assert_int_equal(hd_id_read(&other, HD_ID_TAG, hd_slice(text, 32), &id, &sequence),
                     HD_ENOMATCH);
}

static void
a_text_of_another_length_is_refused(void **state)
{
    char text[HD_ID_TEXT + 1];
    uint64_t id;
    uint32_t sequence;

    (void)state;
    hd_id_text(&key, HD_ID_TAG, 7, 7, text);
    text[HD_ID_TEXT] = '=';
    for (size_t n = 0; n <= HD_ID_TEXT + 1; n++)
        if (n != HD_ID_TEXT)
            assert_int_equal(hd_id_read(&key, HD_ID_TAG, hd_slice(text, n), &id, &sequence),
                             HD_ENOMATCH);
    assert_int_equal(hd_id_read(&key, HD_ID_TAG, hd_slice(NULL, 0), &id, &sequence), HD_ENOMATCH);
}

static void
a_new_id_is_in_its_bucket(void **state)
{
    uint64_t seed = 1;
    struct hd_rng rng = seeded(&seed);

    (void)state;
    for (unsigned bucket = 0; bucket < HD_BUCKETS; bucket++) {
        uint64_t id = hd_id_new(&rng, bucket);
        assert_int_equal(hd_id_bucket(id), bucket);
        assert_true(id != hd_id_new(&rng, bucket));
    }
}

static void
zeros_then_ones(void *context, void *octets, size_t n)
{
    int *calls = context;

    memset(octets, (*calls)++ ? 0xff : 0, n);
}

static void
a_new_id_is_never_zero(void **state)
{
    int calls = 0;
    struct hd_rng rng;

    (void)state;
    hd_rng_init(&rng, zeros_then_ones, &calls);
    assert_true(hd_id_new(&rng, 0) == UINT64_MAX >> HD_BUCKET_BITS);
}

static void
a_random_bucket_is_in_the_range_of_its_shard_and_reaches_its_ends(void **state)
{
    static const unsigned counts[] = { 1, 2, 3, 7, 16, 255, 4096 };
    uint64_t seed = 1;
    struct hd_rng rng = seeded(&seed);

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(counts); i++) {
        unsigned shards = counts[i];
        for (unsigned shard = 0; shard < shards; shard++) {
            unsigned low = HD_BUCKETS, high = 0;
            unsigned draws = shards < 16 ? 40 : 4;
            for (unsigned j = 0; j < draws; j++) {
                unsigned bucket = hd_shard_bucket(&rng, shard, shards);
                assert_true(bucket < HD_BUCKETS);
                assert_int_equal(hd_bucket_shard(bucket, shards), shard);
                low = bucket < low ? bucket : low;
                high = bucket > high ? bucket : high;
            }
            if (shards < 16)
                assert_true(high - low > HD_BUCKETS / shards / 2);
        }
    }
}

/* The same 32-bit word for ever. */
static void
constant(void *context, void *octets, size_t n)
{
    char *to = octets;

    for (size_t i = 0; i + 4 <= n; i += 4)
        memcpy(to + i, context, 4);
}

static void
the_lowest_and_the_highest_draw_give_the_ends_of_the_range(void **state)
{
    (void)state;
    for (unsigned shards = 1; shards <= 64; shards++)
        for (unsigned shard = 0; shard < shards; shard++) {
            uint32_t low = 1, high = UINT32_MAX;
            struct hd_rng rng;
            unsigned bucket;

            hd_rng_init(&rng, constant, &low);
            bucket = hd_shard_bucket(&rng, shard, shards);
            assert_true(bucket == 0 || hd_bucket_shard(bucket - 1, shards) == shard - 1);
            hd_rng_init(&rng, constant, &high);
            bucket = hd_shard_bucket(&rng, shard, shards);
            assert_true(bucket == HD_BUCKETS - 1 ||
                        hd_bucket_shard(bucket + 1, shards) == shard + 1);
        }
}

static void
every_bucket_has_a_shard_and_the_shards_are_even(void **state)
{
    (void)state;
    for (unsigned shards = 1; shards <= 64; shards++) {
        unsigned sizes[64] = { 0 };
        for (unsigned bucket = 0; bucket < HD_BUCKETS; bucket++)
            sizes[hd_bucket_shard(bucket, shards)]++;
        for (unsigned shard = 0; shard < shards; shard++)
            assert_in_range(sizes[shard], HD_BUCKETS / shards, HD_BUCKETS / shards + 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_reads_back_to_its_id_and_sequence),
        cmocka_unit_test(the_text_begins_with_id_and_sequence_in_base64url),
        cmocka_unit_test(the_check_is_the_keyed_hash_over_purpose_id_and_sequence),
        cmocka_unit_test(a_change_of_any_bit_of_any_character_is_noticed),
        cmocka_unit_test(a_text_is_not_good_for_another_purpose_or_under_another_key),
        cmocka_unit_test(a_text_of_another_length_is_refused),
        cmocka_unit_test(a_new_id_is_in_its_bucket),
        cmocka_unit_test(a_new_id_is_never_zero),
        cmocka_unit_test(a_random_bucket_is_in_the_range_of_its_shard_and_reaches_its_ends),
        cmocka_unit_test(the_lowest_and_the_highest_draw_give_the_ends_of_the_range),
        cmocka_unit_test(every_bucket_has_a_shard_and_the_shards_are_even),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
