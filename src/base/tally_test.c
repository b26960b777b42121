/* tally_test.c - counts go up and down, each for its own hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/test_alloc.h"

#include "tally.c"

#include "base/hash.h"

static uint64_t
draw(uint32_t n)
{
    static const struct hd_hash_key key = { 5, 6 };
    return hd_hash(&key, hd_slice((const char *)&n, sizeof(n)));
}

static void
an_empty_tally_has_counted_nothing(void **state)
{
    struct hd_tally tally;

    (void)state;
    hd_tally_init(&tally);
    assert_int_equal(hd_tally_get(&tally, 7), 0);
    hd_tally_drop(&tally, 7);
    assert_int_equal(tally.used, 0);
    hd_tally_done(&tally);
}

static void
a_count_stops_at_the_most(void **state)
{
    struct hd_tally tally;

    (void)state;
    hd_tally_init(&tally);
    assert_int_equal(hd_tally_add(&tally, 7, 0), HD_EDENIED);
    assert_int_equal(tally.used, 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(hd_tally_add(&tally, 7, 3), HD_OK);
    assert_int_equal(hd_tally_add(&tally, 7, 3), HD_EDENIED);
    assert_int_equal(hd_tally_get(&tally, 7), 3);
    assert_int_equal(hd_tally_add(&tally, 8, 3), HD_OK);
    hd_tally_drop(&tally, 7);
    assert_int_equal(hd_tally_add(&tally, 7, 3), HD_OK);
    assert_int_equal(hd_tally_get(&tally, 8), 1);
    hd_tally_done(&tally);
}

static void
no_limit_reaches_beyond_what_a_word_holds(void **state)
{
    struct hd_tally tally;

    (void)state;
    hd_tally_init(&tally);
    assert_int_equal(hd_tally_add(&tally, 7, UINT32_MAX), HD_OK);
    tally.words[find(&tally, tag_of(7))] |= HD_TALLY_MOST;
    assert_int_equal(hd_tally_add(&tally, 7, UINT32_MAX), HD_EDENIED);
    assert_int_equal(hd_tally_get(&tally, 7), HD_TALLY_MOST);
    hd_tally_done(&tally);
}

static void
random_steps_agree_with_a_plain_list(void **state)
{
    static uint32_t counts[3000];
    struct hd_tally tally;
    uint32_t used = 0;

    (void)state;
    hd_tally_init(&tally);
    for (uint32_t step = 0; step < 200000; step++) {
        uint64_t d = draw(step);
        uint32_t i = (uint32_t)(d % (step < 100000 ? HD_ARRAY_LEN(counts) : 40));
        if (d >> 32 & 1) {
            assert_int_equal(hd_tally_add(&tally, draw(i), 5), counts[i] < 5 ? HD_OK : HD_EDENIED);
            used += counts[i] == 0;
            counts[i] += counts[i] < 5;
        } else {
            hd_tally_drop(&tally, draw(i));
            used -= counts[i] == 1;
            counts[i] -= counts[i] > 0;
        }
        assert_int_equal(tally.used, used);
        assert_int_equal(hd_tally_get(&tally, draw(i)), counts[i]);
    }
    for (uint32_t i = 0; i < HD_ARRAY_LEN(counts); i++) {
        assert_int_equal(hd_tally_get(&tally, draw(i)), counts[i]);
        while (counts[i]-- > 0)
            hd_tally_drop(&tally, draw(i));
    }
    assert_int_equal(tally.used, 0);
    for (uint32_t i = 0; i < tally.cap; i++)
        assert_int_equal(tally.words[i], 0);
    hd_tally_done(&tally);
}

static void
a_refused_allocation_loses_nothing(void **state)
{
    (void)state;
    for (unsigned n = 0;; n++) {
        struct hd_tally tally;
        hd_tally_init(&tally);
        alloc_refuse(n);
        for (uint32_t i = 0; i < 100; i++)
            if (hd_tally_add(&tally, draw(i), 9))
                assert_int_equal(hd_tally_add(&tally, draw(i), 9), HD_OK);
        bool refused = alloc_allow();
        assert_int_equal(tally.used, 100);
        for (uint32_t i = 0; i < 100; i++)
            assert_int_equal(hd_tally_get(&tally, draw(i)), 1);
        hd_tally_done(&tally);
        if (!refused)
            break;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_tally_has_counted_nothing),
        cmocka_unit_test(a_count_stops_at_the_most),
        cmocka_unit_test(no_limit_reaches_beyond_what_a_word_holds),
        cmocka_unit_test(random_steps_agree_with_a_plain_list),
        cmocka_unit_test(a_refused_allocation_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
