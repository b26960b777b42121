/* windows_test.c - nonce counts: no replay passes, reordering does, memory stays bounded. */
#include "policy/windows.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct hd_hash_key test_key = { 3, 4 };

static void
an_id_tells_when_the_nonce_was_issued(void **state)
{
    (void)state;
    const uint64_t id = pol_nonce_id(4095, UINT32_MAX, 0xffffffff);
    assert_int_equal(id, UINT64_MAX);
    assert_int_equal(pol_nonce_issued_s(pol_nonce_id(4095, 0, 0xfffff)), 0);
    assert_int_equal(pol_nonce_issued_s(pol_nonce_id(0, 77, 0x100000)), 77);
    assert_int_equal(pol_nonce_id(5, 1, 2) >> 52, 5);
}

static void
a_count_is_new_once_whatever_the_order(void **state)
{
    (void)state;
    struct pol_windows w;
    const uint64_t id = pol_nonce_id(1, 100, 1), other = pol_nonce_id(1, 100, 2);
    assert_int_equal(pol_windows_init(&w, 4, &test_key), HD_OK);
    static const struct {
        uint32_t nc;
        bool fresh;
    } row[] = { { 0, false }, { 3, true },          { 1, true },   { 1, false },
                { 2, true },  { 3, false },         { 70, true },  { 7, true },
                { 6, false }, { 70, false },        { 71, true },  { 8, true },
                { 0, false }, { UINT32_MAX, true }, { 72, false }, { UINT32_MAX, false } };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (pol_windows_take(&w, id, row[i].nc, 100, 300) != row[i].fresh)
            fail_msg("row %zu", i);
    assert_true(pol_windows_take(&w, other, 3, 100, 300));
    assert_int_equal(w.n, 2);
    pol_windows_done(&w);
}

static void
a_nonce_whose_window_went_for_room_is_never_accepted_again(void **state)
{
    (void)state;
    struct pol_windows w;
    assert_int_equal(pol_windows_init(&w, 4, &test_key), HD_OK);
    for (uint32_t i = 0; i < 5; i++)
        assert_true(pol_windows_take(&w, pol_nonce_id(9, 100 + i, i), 1, 110, 300));
    assert_int_equal(w.n, 4);
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 100, 0), 1, 110, 300)); /* the replay */
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 100, 0), 2, 110, 300));
    /* One as old that was never used cannot be told from it. */
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 100, 77), 1, 110, 300));
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 99, 77), 1, 110, 300));
    assert_int_equal(w.n, 4);
    /* Those that are still there go on. */
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 101, 1), 1, 110, 300));
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 101, 1), 2, 110, 300));
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 105, 78), 1, 110, 300));
    pol_windows_done(&w);
}

static void
an_old_nonce_that_comes_late_does_not_lower_the_watermark(void **state)
{
    (void)state;
    struct pol_windows w;
    assert_int_equal(pol_windows_init(&w, 2, &test_key), HD_OK);
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 200, 1), 1, 201, 300));
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 100, 2), 1, 201, 300));
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 201, 3), 1, 201, 300)); /* drops that of 200 */
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 202, 4), 1, 202, 300)); /* drops that of 100 */
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 200, 1), 1, 202, 300));
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 150, 5), 1, 202, 300));
    pol_windows_done(&w);
}

static void
windows_of_dead_nonces_are_given_back_and_stay_refused(void **state)
{
    (void)state;
    struct pol_windows w;
    assert_int_equal(pol_windows_init(&w, 4, &test_key), HD_OK);
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 100, 1), 1, 100, 300));
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 101, 1), 1, 101, 300));
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 100, 1), 2, 400 + SLACK_S, 300));
    assert_int_equal(w.n, 2);
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 100, 1), 3, 401 + SLACK_S, 300));
    assert_int_equal(w.n, 1);
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 101, 1), 2, 10000, 300));
    assert_int_equal(w.n, 0);
    assert_int_equal(w.places.used, 0);
    assert_true(pol_windows_take(&w, pol_nonce_id(9, 9990, 1), 1, 10000, 300));
    pol_windows_done(&w);
}

static void
a_refused_count_makes_no_window(void **state)
{
    (void)state;
    struct pol_windows w;
    assert_int_equal(pol_windows_init(&w, 4, &test_key), HD_OK);
    assert_false(pol_windows_take(&w, pol_nonce_id(9, 100, 1), 0, 100, 300));
    assert_int_equal(w.n, 0);
    pol_windows_done(&w);
}

static void
many_nonces_pass_through_a_small_table_each_once(void **state)
{
    (void)state;
    struct pol_windows w;
    assert_int_equal(pol_windows_init(&w, 100, &test_key), HD_OK);
    for (uint32_t i = 0; i < 20000; i++) {
        const uint64_t id = pol_nonce_id(i % 4096, 1000 + i, i);
        assert_true(pol_windows_take(&w, id, 1, 1000 + i, 300));
        assert_false(pol_windows_take(&w, id, 1, 1000 + i, 300));
    }
    assert_int_equal(w.n, 100);
    assert_int_equal(w.places.used, 100);
    pol_windows_done(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_tells_when_the_nonce_was_issued),
        cmocka_unit_test(a_count_is_new_once_whatever_the_order),
        cmocka_unit_test(a_nonce_whose_window_went_for_room_is_never_accepted_again),
        cmocka_unit_test(an_old_nonce_that_comes_late_does_not_lower_the_watermark),
        cmocka_unit_test(windows_of_dead_nonces_are_given_back_and_stay_refused),
        cmocka_unit_test(a_refused_count_makes_no_window),
        cmocka_unit_test(many_nonces_pass_through_a_small_table_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
