/* str_test.c - text grows as it is written, and an error stays until it is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/test_alloc.h"

#include "str.c"

static void
an_unwritten_string_is_empty_text(void **state)
{
    struct hd_str str = { 0 };

    (void)state;
    assert_string_equal(hd_str_text(&str), "");
    assert_int_equal(hd_str_slice(&str).n, 0);
    hd_str_add(&str, hd_slice(NULL, 0));
    hd_str_add_str(&str, NULL);
    assert_int_equal(str.err, HD_OK);
    hd_str_done(&str);
}

static void
pieces_of_each_kind_follow_each_other(void **state)
{
    struct hd_str str;

    (void)state;
    hd_str_init(&str);
    hd_str_add(&str, HD_LIT("a"));
    hd_str_add_char(&str, '=');
    hd_str_add_u64(&str, 0);
    hd_str_add_str(&str, ",");
    hd_str_add_u64(&str, UINT64_MAX);
    hd_str_addf(&str, " %s%d", "x", -5);
    assert_string_equal(hd_str_text(&str), "a=0,18446744073709551615 x-5");
    hd_str_done(&str);
    assert_string_equal(hd_str_text(&str), "");
}

static void
octets_behind_a_nul_are_kept(void **state)
{
    struct hd_str str = { 0 };

    (void)state;
    hd_str_add(&str, HD_LIT("a\0b"));
    assert_true(hd_slice_eq(hd_str_slice(&str), HD_LIT("a\0b")));
    hd_str_done(&str);
}

static void
a_printf_of_any_length_fits(void **state)
{
    (void)state;
    for (int before = 0; before < 70; before++)
        for (int len = 0; len < 200; len += 13) {
            struct hd_str str = { 0 };

            hd_str_addf(&str, "%*s", before, "");
            hd_str_addf(&str, "%0*d", len, 7);
            assert_int_equal(str.n, before + (len ? len : 1));
            assert_int_equal(str.p[str.n - 1], '7');
            assert_int_equal(str.p[str.n], '\0');
            hd_str_done(&str);
        }
}

static void
clearing_keeps_the_memory_and_forgets_the_error(void **state)
{
    struct hd_str str = { 0 };
    char *p;

    (void)state;
    hd_str_add(&str, HD_LIT("text"));
    p = str.p;
    str.err = HD_ENOMEM;
    hd_str_clear(&str);
    assert_string_equal(hd_str_text(&str), "");
    hd_str_add(&str, HD_LIT("other"));
    assert_ptr_equal(str.p, p);
    assert_string_equal(hd_str_text(&str), "other");
    hd_str_done(&str);
}

static void
taken_text_belongs_to_the_caller(void **state)
{
    struct hd_str str = { 0 };
    char *text, *empty;

    (void)state;
    hd_str_add(&str, HD_LIT("text"));
    text = hd_str_take(&str);
    assert_string_equal(text, "text");
    assert_null(str.p);
    empty = hd_str_take(&str);
    assert_string_equal(empty, "");
    free(text);
    free(empty);
    str.err = HD_ENOMEM;
    assert_null(hd_str_take(&str));
    assert_int_equal(str.err, HD_OK);
}

static void
a_refused_allocation_is_remembered_and_nothing_is_half_written(void **state)
{
    (void)state;
    for (unsigned n = 0;; n++) {
        struct hd_str str = { 0 };
        bool refused;

        alloc_refuse(n);
        hd_str_add(&str, HD_LIT("first"));
        hd_str_addf(&str, "%0100d", 5);
        hd_str_addf(&str, "%0500d", 5);
        hd_str_add(&str, HD_LIT("last"));
        refused = alloc_allow();
        assert_int_equal(str.err, refused ? HD_ENOMEM : HD_OK);
        if (refused)
            assert_int_equal(str.n, n == 0 ? 0 : n == 1 ? 5 : 105);
        assert_int_equal(hd_str_text(&str)[str.n], '\0');
        hd_str_done(&str);
        if (!refused) {
            assert_int_equal(n, 3);
            break;
        }
    }
}

static void
an_absurd_length_is_out_of_memory(void **state)
{
    struct hd_str str = { 0 };
    volatile size_t absurd = SIZE_MAX; /* the compiler need not know */

    (void)state;
    hd_str_add(&str, HD_LIT("x"));
    hd_str_add(&str, hd_slice("x", absurd));
    assert_int_equal(str.err, HD_ENOMEM);
    assert_string_equal(hd_str_text(&str), "x");
    hd_str_done(&str);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unwritten_string_is_empty_text),
        cmocka_unit_test(pieces_of_each_kind_follow_each_other),
        cmocka_unit_test(octets_behind_a_nul_are_kept),
        cmocka_unit_test(a_printf_of_any_length_fits),
        cmocka_unit_test(clearing_keeps_the_memory_and_forgets_the_error),
        cmocka_unit_test(taken_text_belongs_to_the_caller),
        cmocka_unit_test(a_refused_allocation_is_remembered_and_nothing_is_half_written),
        cmocka_unit_test(an_absurd_length_is_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
