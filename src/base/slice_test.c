/* slice_test.c - octets are compared, cut and counted as written, whatever they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"

static void
letters_match_without_case_and_other_octets_do_not(void **state)
{
    (void)state;
    assert_true(hd_slice_ieq(HD_LIT("Via"), HD_LIT("vIA")));
    assert_true(hd_slice_ieq(hd_slice(NULL, 0), HD_LIT("")));
    assert_false(hd_slice_ieq(HD_LIT("Via"), HD_LIT("Via ")));
    /* Neighbours of the letters, 0x20 apart. */
    assert_false(hd_slice_ieq(HD_LIT("@"), HD_LIT("`")));
    assert_false(hd_slice_ieq(HD_LIT("["), HD_LIT("{")));
    assert_false(hd_slice_ieq(HD_LIT("\xc4"), HD_LIT("\xe4")));
    assert_true(hd_slice_ieq(HD_LIT("az"), HD_LIT("AZ")));
}

static void
equality_sees_octets_behind_a_nul(void **state)
{
    (void)state;
    assert_true(hd_slice_eq(HD_LIT("a\0b"), HD_LIT("a\0b")));
    assert_false(hd_slice_eq(HD_LIT("a\0b"), HD_LIT("a\0c")));
    assert_true(hd_slice_eq(hd_slice(NULL, 0), HD_LIT("")));
}

static void
a_prefix_may_be_the_whole_but_not_longer(void **state)
{
    (void)state;
    assert_true(hd_slice_starts(HD_LIT("sip:a"), HD_LIT("sip:")));
    assert_true(hd_slice_starts(HD_LIT("sip:"), HD_LIT("sip:")));
    assert_true(hd_slice_starts(HD_LIT(""), HD_LIT("")));
    assert_false(hd_slice_starts(HD_LIT("sip"), HD_LIT("sip:")));
    assert_false(hd_slice_starts(HD_LIT("SIP:a"), HD_LIT("sip:")));
    assert_true(hd_slice_istarts(HD_LIT("SIP:a"), HD_LIT("sip:")));
    assert_false(hd_slice_istarts(HD_LIT("si"), HD_LIT("sip:")));
}

static int
sign(int x)
{
    return (x > 0) - (x < 0);
}

static void
order_is_by_octet_and_then_by_length(void **state)
{
    (void)state;
    assert_int_equal(sign(hd_slice_cmp(HD_LIT(""), HD_LIT(""))), 0);
    assert_int_equal(sign(hd_slice_cmp(HD_LIT("a"), HD_LIT("ab"))), -1);
    assert_int_equal(sign(hd_slice_cmp(HD_LIT("b"), HD_LIT("ab"))), 1);
    assert_int_equal(sign(hd_slice_cmp(HD_LIT("\xff"), HD_LIT("a"))), 1);
    assert_int_equal(sign(hd_slice_cmp(hd_slice(NULL, 0), HD_LIT("a"))), -1);
}

static void
the_part_from_an_offset_is_clipped(void **state)
{
    (void)state;
    assert_true(hd_slice_eq(hd_slice_from(HD_LIT("abc"), 1), HD_LIT("bc")));
    assert_int_equal(hd_slice_from(HD_LIT("abc"), 3).n, 0);
    assert_int_equal(hd_slice_from(HD_LIT("abc"), SIZE_MAX).n, 0);
    assert_int_equal(hd_slice_from(hd_slice(NULL, 0), 5).n, 0);
}

static void
trimming_takes_blanks_and_tabs_of_both_ends(void **state)
{
    (void)state;
    assert_true(hd_slice_eq(hd_slice_trim(HD_LIT(" \t a b\t ")), HD_LIT("a b")));
    assert_int_equal(hd_slice_trim(HD_LIT(" \t ")).n, 0);
    assert_int_equal(hd_slice_trim(hd_slice(NULL, 0)).n, 0);
    assert_true(hd_slice_eq(hd_slice_trim(HD_LIT("a\r\n")), HD_LIT("a\r\n")));
}

static void
cutting_gives_what_is_before_and_leaves_what_follows(void **state)
{
    struct hd_slice s = HD_LIT("a,,b");

    (void)state;
    assert_true(hd_slice_eq(hd_slice_cut(&s, ','), HD_LIT("a")));
    assert_true(hd_slice_eq(hd_slice_cut(&s, ','), HD_LIT("")));
    assert_true(hd_slice_eq(hd_slice_cut(&s, ','), HD_LIT("b")));
    assert_int_equal(s.n, 0);
    assert_int_equal(hd_slice_cut(&s, ',').n, 0);
}

static void
find_gives_the_length_when_there_is_none(void **state)
{
    (void)state;
    assert_int_equal(hd_slice_find(HD_LIT("abc"), 'c'), 2);
    assert_int_equal(hd_slice_find(HD_LIT("abc"), 'd'), 3);
    assert_int_equal(hd_slice_find(HD_LIT("a\0c"), 'c'), 2);
    assert_int_equal(hd_slice_find(hd_slice(NULL, 0), 'c'), 0);
}

static void
numbers_are_digits_only_and_checked_into_their_width(void **state)
{
    static const struct {
        const char *in;
        enum hd_err err32, err64;
        uint64_t out;
    } row[] = {
        { "0", HD_OK, HD_OK, 0 },
        { "4294967295", HD_OK, HD_OK, UINT32_MAX },
        { "4294967296", HD_ERANGE, HD_OK, UINT64_C(4294967296) },
        { "18446744073709551615", HD_ERANGE, HD_OK, UINT64_MAX },
        { "18446744073709551616", HD_ERANGE, HD_ERANGE, 0 },
        { "99999999999999999999999999", HD_ERANGE, HD_ERANGE, 0 },
        { "99999999999999999999999999x", HD_ESYNTAX, HD_ESYNTAX, 0 },
        { "000000000000000000000000000060", HD_OK, HD_OK, 60 },
        { "", HD_ESYNTAX, HD_ESYNTAX, 0 },
        { "-1", HD_ESYNTAX, HD_ESYNTAX, 0 },
        { "+1", HD_ESYNTAX, HD_ESYNTAX, 0 },
        { "60 ", HD_ESYNTAX, HD_ESYNTAX, 0 },
        { "\xb1", HD_ESYNTAX, HD_ESYNTAX, 0 },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        uint32_t u32 = 77;
        uint64_t u64 = 77;

        assert_int_equal(hd_slice_to_u32(hd_slice_str(row[i].in), &u32), row[i].err32);
        assert_int_equal(u32, row[i].err32 ? 77 : row[i].out);
        assert_int_equal(hd_slice_to_u64(hd_slice_str(row[i].in), &u64), row[i].err64);
        assert_true(u64 == (row[i].err64 ? 77 : row[i].out));
    }
}

static void
a_copy_ends_with_nul(void **state)
{
    char *copy = hd_slice_strdup(HD_LIT("abc"));
    char *empty = hd_slice_strdup(hd_slice(NULL, 0));

    (void)state;
    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
    free(copy);
    free(empty);
}

static void
a_digit_of_sixteen_has_either_case(void **state)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";

    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *const place = c ? strchr(digits, c) : NULL;
        assert_int_equal(hd_hex_digit((char)c), place ? (int)((place - digits) % 16) : -1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_match_without_case_and_other_octets_do_not),
        cmocka_unit_test(equality_sees_octets_behind_a_nul),
        cmocka_unit_test(a_prefix_may_be_the_whole_but_not_longer),
        cmocka_unit_test(order_is_by_octet_and_then_by_length),
        cmocka_unit_test(the_part_from_an_offset_is_clipped),
        cmocka_unit_test(trimming_takes_blanks_and_tabs_of_both_ends),
        cmocka_unit_test(cutting_gives_what_is_before_and_leaves_what_follows),
        cmocka_unit_test(find_gives_the_length_when_there_is_none),
        cmocka_unit_test(numbers_are_digits_only_and_checked_into_their_width),
        cmocka_unit_test(a_copy_ends_with_nul),
        cmocka_unit_test(a_digit_of_sixteen_has_either_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
