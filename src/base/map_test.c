/* map_test.c - every value put under a hash is found under it, and no other but for one in 2^32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/test_alloc.h"

#include "map.c"

#include "base/hash.h"

static unsigned
count(const struct hd_map *map, uint64_t hash)
{
    struct hd_map_walk walk;
    unsigned n = 0;

    for (uint32_t v = hd_map_first(&walk, map, hash); v != HD_MAP_NONE; v = hd_map_more(&walk))
        n++;
    return n;
}

static void
an_empty_map_has_nothing(void **state)
{
    struct hd_map map;
    struct hd_map_walk walk;

    (void)state;
    hd_map_init(&map);
    assert_int_equal(hd_map_first(&walk, &map, 0), HD_MAP_NONE);
    assert_int_equal(hd_map_more(&walk), HD_MAP_NONE);
    assert_false(hd_map_remove(&map, 0, 0));
    hd_map_done(&map);
}

static void
a_walk_gives_each_value_of_its_hash_once(void **state)
{
    struct hd_map map;
    struct hd_map_walk walk;
    unsigned seen = 0;

    (void)state;
    hd_map_init(&map);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(hd_map_put(&map, 5, i), HD_OK);
        assert_int_equal(hd_map_put(&map, 6, 100 + i), HD_OK);
    }
    for (uint32_t v = hd_map_first(&walk, &map, 5); v != HD_MAP_NONE; v = hd_map_more(&walk))
        seen |= 1u << v;
    assert_int_equal(seen, 0xff);
    assert_int_equal(hd_map_more(&walk), HD_MAP_NONE);
    hd_map_done(&map);
}

static void
hashes_that_differ_in_one_half_only_are_told_apart(void **state)
{
    struct hd_map map;

    (void)state;
    hd_map_init(&map);
    assert_int_equal(hd_map_put(&map, UINT64_C(0x100000007), 1), HD_OK);
    assert_int_equal(hd_map_put(&map, UINT64_C(0x200000007), 2), HD_OK);
    assert_int_equal(hd_map_put(&map, UINT64_C(0x100000017), 3), HD_OK);
    assert_int_equal(count(&map, UINT64_C(0x100000007)), 1);
    assert_int_equal(count(&map, UINT64_C(0x200000007)), 1);
    assert_int_equal(count(&map, UINT64_C(0x7)), 0);
    assert_false(hd_map_remove(&map, UINT64_C(0x7), 1));
    assert_false(hd_map_remove(&map, UINT64_C(0x100000007), 2));
    hd_map_done(&map);
}

static void
the_same_pair_twice_is_two_entries(void **state)
{
    struct hd_map map;

    (void)state;
    hd_map_init(&map);
    assert_int_equal(hd_map_put(&map, 9, 4), HD_OK);
    assert_int_equal(hd_map_put(&map, 9, 4), HD_OK);
    assert_int_equal(count(&map, 9), 2);
    assert_true(hd_map_remove(&map, 9, 4));
    assert_int_equal(count(&map, 9), 1);
    assert_true(hd_map_remove(&map, 9, 4));
    assert_false(hd_map_remove(&map, 9, 4));
    hd_map_done(&map);
}

/* A hash whose probe begins at a place of a map of the least size. */
static uint64_t
hash_at(uint32_t at, uint32_t which)
{
    uint64_t hash = 0;

    for (uint32_t found = 0;; hash++)
        if ((uint64_t)tag_of(hash) * MAP_CAP_MIN >> 32 == at && found++ == which)
            return hash;
}

static void
a_probe_goes_on_past_a_removed_entry(void **state)
{
    struct hd_map map;

    (void)state;
    hd_map_init(&map);
    for (uint32_t i = 0; i < 4; i++) /* over the end */
        assert_int_equal(hd_map_put(&map, hash_at(15, i), i), HD_OK);
    assert_true(hd_map_remove(&map, hash_at(15, 1), 1));
    assert_int_equal(map.gone, 1);
    assert_int_equal(count(&map, hash_at(15, 3)), 1);
    /* When the end of the run goes, its tombstones go too. */
    assert_true(hd_map_remove(&map, hash_at(15, 3), 3));
    assert_true(hd_map_remove(&map, hash_at(15, 2), 2));
    assert_int_equal(map.gone, 0);
    assert_int_equal(count(&map, hash_at(15, 0)), 1);
    hd_map_done(&map);
}

static void
coming_and_going_does_not_make_the_map_grow(void **state)
{
    struct hd_map map;

    (void)state;
    hd_map_init(&map);
    for (uint32_t i = 0; i < 100000; i++) {
        if (i >= 100)
            assert_true(hd_map_remove(&map, i - 100, i - 100));
        assert_int_equal(hd_map_put(&map, i, i), HD_OK);
        assert_true(map.used + map.gone <= map.cap - map.cap / 5);
        assert_true(map.cap <= 100 * 5 / 3 + 1);
    }
    assert_int_equal(map.used, 100);
    hd_map_done(&map);
}

/* What many subscriptions cost: between 10 and 14 octets each. */
static void
a_large_map_is_three_to_four_fifths_full(void **state)
{
    struct hd_map map;

    (void)state;
    hd_map_init(&map);
    for (uint32_t i = 0; i < 100000; i++) {
        assert_int_equal(hd_map_put(&map, i, i), HD_OK);
        assert_true(i < 100 || (map.used * 100 >= map.cap * 59 && map.used * 5 <= map.cap * 4 + 5));
    }
    for (uint32_t i = 0; i < 100000; i += 7)
        assert_int_equal(count(&map, i), 1);
    hd_map_done(&map);
}

static void
the_place_of_a_removed_entry_is_used_again(void **state)
{
    struct hd_map map;

    (void)state;
    hd_map_init(&map);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(hd_map_put(&map, 5, i), HD_OK);
    assert_true(hd_map_remove(&map, 5, 0));
    assert_int_equal(map.gone, 1);
    assert_int_equal(hd_map_put(&map, 5, 9), HD_OK);
    assert_int_equal(map.gone, 0);
    assert_int_equal(count(&map, 5), 3);
    hd_map_done(&map);
}

/* 12 bits of hash for 2000 values: many of each, and long runs. */
static void
random_steps_agree_with_a_plain_list(void **state)
{
    static uint64_t hashes[2000];
    static bool in[2000];
    static const struct hd_hash_key key = { 3, 4 };
    struct hd_map map;
    uint32_t used = 0;

    (void)state;
    hd_map_init(&map);
    for (uint32_t step = 0; step < 60000; step++) {
        uint64_t draw = hd_hash(&key, hd_slice((const char *)&step, sizeof(step)));
        uint32_t v = (uint32_t)(draw % HD_ARRAY_LEN(in));

        if (in[v]) {
            assert_true(hd_map_remove(&map, hashes[v], v));
            used--;
        } else {
            hashes[v] = (draw >> 32 & 0x3f) | (draw & 0x3f) << 58;
            assert_int_equal(hd_map_put(&map, hashes[v], v), HD_OK);
            used++;
        }
        in[v] = !in[v];
        assert_int_equal(map.used, used);
        if (step % 500 == 0) {
            unsigned want = 0;
            for (uint32_t i = 0; i < HD_ARRAY_LEN(in); i++)
                want += in[i] && hashes[i] == hashes[v];
            assert_int_equal(count(&map, hashes[v]), want);
        }
    }
    for (uint32_t i = 0; i < HD_ARRAY_LEN(in); i++)
        assert_int_equal(hd_map_remove(&map, hashes[i], i), in[i]);
    assert_int_equal(map.used, 0);
    hd_map_done(&map);
}

static void
a_refused_allocation_loses_nothing(void **state)
{
    unsigned refusals = 0;

    (void)state;
    for (unsigned n = 0;; n++) {
        struct hd_map map;
        bool refused;

        hd_map_init(&map);
        alloc_refuse(n);
        for (uint32_t i = 0; i < 100; i++) {
            enum hd_err err = hd_map_put(&map, i * UINT64_C(77), i);
            if (err) {
                assert_int_equal(err, HD_ENOMEM);
                assert_int_equal(map.used, i);
                assert_int_equal(hd_map_put(&map, i * UINT64_C(77), i), HD_OK);
            }
        }
        for (uint32_t i = 0; i < 100; i++)
            assert_int_equal(count(&map, i * UINT64_C(77)), 1);
        refused = alloc_allow();
        hd_map_done(&map);
        if (!refused)
            break;
        refusals++;
    }
    assert_int_equal(refusals, 8); /* 16, 22, 31, 42, 57, 77, 104, 141 */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(a_walk_gives_each_value_of_its_hash_once),
        cmocka_unit_test(hashes_that_differ_in_one_half_only_are_told_apart),
        cmocka_unit_test(the_same_pair_twice_is_two_entries),
        cmocka_unit_test(a_probe_goes_on_past_a_removed_entry),
        cmocka_unit_test(coming_and_going_does_not_make_the_map_grow),
        cmocka_unit_test(a_large_map_is_three_to_four_fifths_full),
        cmocka_unit_test(the_place_of_a_removed_entry_is_used_again),
        cmocka_unit_test(random_steps_agree_with_a_plain_list),
        cmocka_unit_test(a_refused_allocation_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
