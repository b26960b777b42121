/* rng_test.c - every octet comes from the source, once, and bounds are kept without a bias. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#include "base/err.h"

/* A source of which every octet can be told: a counter. */
static void
counting(void *context, void *octets, size_t n)
{
    uint8_t *next = context, *to = octets;

    for (size_t i = 0; i < n; i++)
        to[i] = (*next)++;
}

/* Hands out given 32-bit words at the start of each fill. */
struct script {
    const uint32_t *words;
    size_t n;
};

static void
scripted(void *context, void *octets, size_t n)
{
    const struct script *script = context;

    memset(octets, 0, n);
    memcpy(octets, script->words, script->n * sizeof(script->words[0]));
}

static void
octets_come_in_order_and_none_twice(void **state)
{
    static const size_t sizes[] = { 1, 0, 8, 100, 400, 3, 512 };
    struct hd_rng rng;
    uint8_t next = 0, got[600];

    (void)state;
    hd_rng_init(&rng, counting, &next);
    for (size_t i = 0; i < HD_ARRAY_LEN(sizes); i++) {
        hd_rng_octets(&rng, got, sizes[i]);
        /* Either the rest of the pool, or a pool filled anew. */
        for (size_t j = 1; j < sizes[i]; j++)
            assert_int_equal(got[j], (uint8_t)(got[j - 1] + 1));
    }
    hd_rng_octets(&rng, got, 600);
    assert_int_equal(got[599], (uint8_t)(next - 1));
}

static void
what_was_handed_out_is_wiped(void **state)
{
    static const uint8_t zero[64];
    struct hd_rng rng;
    uint8_t next = 1, got[64];

    (void)state;
    hd_rng_init(&rng, counting, &next);
    hd_rng_octets(&rng, got, sizeof(got));
    assert_int_equal(got[0], 1);
    assert_memory_equal(rng.pool, zero, sizeof(zero));
    assert_int_equal(rng.pool[64], 65);
}

static void
a_seeded_source_repeats_itself_and_another_seed_does_not(void **state)
{
    uint64_t seeds[3] = { 42, 42, 43 };
    struct hd_rng rngs[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        hd_rng_init(&rngs[i], hd_entropy_seeded, &seeds[i]);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t a = hd_rng_u64(&rngs[0]);
        assert_true(a == hd_rng_u64(&rngs[1]));
        assert_true(a != hd_rng_u64(&rngs[2]));
    }
}

static void
a_bound_is_kept_and_each_value_below_it_comes_up(void **state)
{
    static const uint32_t bounds[] = { 1, 2, 3, 10, 255 };
    uint64_t seed = 7;
    struct hd_rng rng;

    (void)state;
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    for (size_t i = 0; i < HD_ARRAY_LEN(bounds); i++) {
        unsigned hits[256] = { 0 };
        for (unsigned j = 0; j < bounds[i] * 200; j++) {
            uint32_t got = hd_rng_below(&rng, bounds[i]);
            assert_true(got < bounds[i]);
            hits[got]++;
        }
        for (uint32_t j = 0; j < bounds[i]; j++)
            assert_in_range(hits[j], 100, 320);
    }
    for (unsigned i = 0; i < 100; i++)
        assert_true(hd_rng_below(&rng, UINT32_MAX) < UINT32_MAX);
}

static void
draws_that_would_make_a_bias_are_thrown_away(void **state)
{
    /* For 3: 2^32 mod 3 is 1, so the draw whose product has a low half below 1 is one too many. */
    static const uint32_t words[] = { 0, 0, 0x80000000 };
    /* For 0xc0000000 a quarter of the draws: those whose low half is below 0x40000000. */
    static const uint32_t more[] = { 4, 8, 1 };
    /* For 3 again: the one whose product has a low half of 1 is the first to keep. */
    static const uint32_t edge[] = { 0xaaaaaaab, 1 };
    struct hd_rng rng;

    (void)state;
    hd_rng_init(&rng, scripted, &(struct script){ edge, HD_ARRAY_LEN(edge) });
    assert_int_equal(hd_rng_below(&rng, 3), 2);
    hd_rng_init(&rng, scripted, &(struct script){ words, HD_ARRAY_LEN(words) });
    assert_int_equal(hd_rng_below(&rng, 3), 1);
    hd_rng_init(&rng, scripted, &(struct script){ more, HD_ARRAY_LEN(more) });
    assert_int_equal(hd_rng_below(&rng, 0xc0000000), 0);
    assert_int_equal(rng.left, sizeof(rng.pool) - 12);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_come_in_order_and_none_twice),
        cmocka_unit_test(what_was_handed_out_is_wiped),
        cmocka_unit_test(a_seeded_source_repeats_itself_and_another_seed_does_not),
        cmocka_unit_test(a_bound_is_kept_and_each_value_below_it_comes_up),
        cmocka_unit_test(draws_that_would_make_a_bias_are_thrown_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
