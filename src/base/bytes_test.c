/* bytes_test.c - a record reads back as it was written, and a damaged one is an error and never
 * more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static void
put_sample(struct hd_bytes_out *out)
{
    static const struct hd_addr v4 = { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = 4 };
    static const struct hd_addr v6 = {
        .ip = { 0xfe, 0x80, [15] = 1 }, .port = 5061, .family = 6, .scope = 3
    };
    static const struct hd_addr none;

    hd_bytes_put_u8(out, 0xfe);
    hd_bytes_put_u16(out, 0x1234);
    hd_bytes_put_u32(out, UINT32_MAX - 1);
    hd_bytes_put_u64(out, UINT64_C(0x8000000000000001));
    hd_bytes_put_slice(out, HD_LIT("a\0b"));
    hd_bytes_put_slice(out, hd_slice(NULL, 0));
    hd_bytes_put_raw(out, "xyz", 3);
    hd_bytes_put_addr(out, &v4);
    hd_bytes_put_addr(out, &v6);
    hd_bytes_put_addr(out, &none);
}

static void
get_sample(struct hd_bytes_in *in)
{
    char xyz[3];
    struct hd_addr addr;
    char text[HD_ADDR_TEXT];

    assert_int_equal(hd_bytes_get_u8(in), 0xfe);
    assert_int_equal(hd_bytes_get_u16(in), 0x1234);
    assert_int_equal(hd_bytes_get_u32(in), UINT32_MAX - 1);
    assert_true(hd_bytes_get_u64(in) == UINT64_C(0x8000000000000001));
    assert_true(hd_slice_eq(hd_bytes_get_slice(in), HD_LIT("a\0b")));
    assert_int_equal(hd_bytes_get_slice(in).n, 0);
    hd_bytes_copy_raw(in, xyz, 3);
    assert_memory_equal(xyz, "xyz", 3);
    addr = hd_bytes_get_addr(in);
    hd_addr_text(&addr, text);
    assert_string_equal(text, "192.0.2.1:5060");
    addr = hd_bytes_get_addr(in);
    hd_addr_text(&addr, text);
    assert_string_equal(text, "[fe80::1]:5061");
    assert_int_equal(addr.scope, 3);
    assert_int_equal(hd_bytes_get_addr(in).family, 0);
}

static void
a_record_reads_back_as_it_was_written(void **state)
{
    char memory[200];
    struct hd_bytes_out out;
    struct hd_bytes_in in;
    struct hd_slice record;

    (void)state;
    hd_bytes_out_init(&out, memory, sizeof(memory));
    put_sample(&out);
    assert_int_equal(hd_bytes_out_finish(&out, &record), HD_OK);
    assert_ptr_equal(record.p, memory);
    hd_bytes_in_init(&in, record);
    get_sample(&in);
    assert_int_equal(hd_bytes_in_end(&in), HD_OK);
}

static void
numbers_are_little_endian_without_gaps(void **state)
{
    char memory[32];
    struct hd_bytes_out out;
    struct hd_slice record;

    (void)state;
    hd_bytes_out_init(&out, memory, sizeof(memory));
    hd_bytes_put_u8(&out, 1);
    hd_bytes_put_u16(&out, 0x0203);
    hd_bytes_put_u32(&out, 0x04050607);
    hd_bytes_put_u64(&out, UINT64_C(0x08090a0b0c0d0e0f));
    hd_bytes_put_slice(&out, HD_LIT("z"));
    assert_int_equal(hd_bytes_out_finish(&out, &record), HD_OK);
    assert_true(hd_slice_eq(record, HD_LIT("\1\3\2\7\6\5\4\17\16\15\14\13\12\11\10\1\0\0\0z")));
}

static void
a_buffer_that_is_too_small_by_any_amount_is_an_error_and_says_the_need(void **state)
{
    struct hd_bytes_out count;
    struct hd_slice record;

    (void)state;
    hd_bytes_out_init(&count, NULL, 0);
    put_sample(&count);
    assert_int_equal(hd_bytes_out_finish(&count, &record), HD_ENOSPC);
    for (size_t cap = 0; cap <= count.n; cap++) {
        struct hd_bytes_out out;
        char *memory = malloc(cap ? cap : 1); /* of the exact size */

        hd_bytes_out_init(&out, memory, cap);
        put_sample(&out);
        assert_int_equal(out.n, count.n);
        assert_int_equal(hd_bytes_out_finish(&out, &record), cap == count.n ? HD_OK : HD_ENOSPC);
        free(memory);
    }
}

static void
a_record_cut_anywhere_is_an_error(void **state)
{
    char memory[200];
    struct hd_bytes_out out;
    struct hd_slice record;

    (void)state;
    hd_bytes_out_init(&out, memory, sizeof(memory));
    put_sample(&out);
    assert_int_equal(hd_bytes_out_finish(&out, &record), HD_OK);
    for (size_t n = 0; n < record.n; n++) {
        char *copy = malloc(n ? n : 1);
        struct hd_bytes_in in;

        memcpy(copy, record.p, n);
        hd_bytes_in_init(&in, hd_slice(copy, n));
        (void)hd_bytes_get_u8(&in);
        (void)hd_bytes_get_u16(&in);
        (void)hd_bytes_get_u32(&in);
        (void)hd_bytes_get_u64(&in);
        (void)hd_bytes_get_slice(&in);
        (void)hd_bytes_get_slice(&in);
        (void)hd_bytes_get_raw(&in, 3);
        for (int i = 0; i < 3; i++)
            (void)hd_bytes_get_addr(&in);
        assert_int_equal(hd_bytes_in_end(&in), HD_ESYNTAX);
        free(copy);
    }
}

static void
a_length_beyond_the_record_is_an_error_and_stays_one(void **state)
{
    struct hd_bytes_in in;

    (void)state;
    hd_bytes_in_init(&in, HD_LIT("\xff\xff\xff\xff"
                                 "abcdefgh"));
    assert_int_equal(hd_bytes_get_slice(&in).n, 0);
    assert_int_equal(hd_bytes_get_u8(&in), 0); /* not 'a' */
    assert_int_equal(hd_bytes_in_end(&in), HD_ESYNTAX);
    assert_int_equal(hd_bytes_in_err(&in), HD_ESYNTAX);
}

static void
octets_left_over_are_an_error_only_where_the_end_is_asked(void **state)
{
    struct hd_bytes_in in;

    (void)state;
    hd_bytes_in_init(&in, HD_LIT("ab"));
    assert_int_equal(hd_bytes_get_u8(&in), 'a');
    assert_int_equal(hd_bytes_in_err(&in), HD_OK);
    assert_int_equal(hd_bytes_in_end(&in), HD_ESYNTAX);
    hd_bytes_in_init(&in, hd_slice(NULL, 0));
    assert_int_equal(hd_bytes_in_end(&in), HD_OK);
}

static void
the_first_error_is_the_one_remembered(void **state)
{
    struct hd_bytes_in in;

    (void)state;
    hd_bytes_in_init(&in, HD_LIT("ab"));
    hd_bytes_in_fail(&in, HD_EVERSION);
    assert_int_equal(hd_bytes_get_u8(&in), 0);
    assert_int_equal(hd_bytes_in_end(&in), HD_EVERSION);
}

static void
an_address_of_another_family_is_an_error(void **state)
{
    struct hd_bytes_in in;
    struct hd_addr addr;

    (void)state;
    hd_bytes_in_init(&in, HD_LIT("\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
    addr = hd_bytes_get_addr(&in);
    assert_int_equal(addr.family, 0);
    assert_int_equal(hd_bytes_in_err(&in), HD_ESYNTAX);
}

static void
raw_octets_after_an_error_are_zero(void **state)
{
    char got[4] = "zzz";
    struct hd_bytes_in in;

    (void)state;
    hd_bytes_in_init(&in, HD_LIT("ab"));
    hd_bytes_copy_raw(&in, got, 4);
    assert_memory_equal(got, "\0\0\0\0", 4);
}

static void
a_slice_too_long_for_its_length_field_is_out_of_range(void **state)
{
    static char octet;
    struct hd_bytes_out out;
    struct hd_slice record;

    (void)state;
    hd_bytes_out_init(&out, NULL, 0);
    hd_bytes_put_slice(&out, hd_slice(&octet, (size_t)UINT32_MAX + 1));
    hd_bytes_put_u8(&out, 1);
    assert_int_equal(hd_bytes_out_finish(&out, &record), HD_ERANGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_reads_back_as_it_was_written),
        cmocka_unit_test(numbers_are_little_endian_without_gaps),
        cmocka_unit_test(a_buffer_that_is_too_small_by_any_amount_is_an_error_and_says_the_need),
        cmocka_unit_test(a_record_cut_anywhere_is_an_error),
        cmocka_unit_test(a_length_beyond_the_record_is_an_error_and_stays_one),
        cmocka_unit_test(octets_left_over_are_an_error_only_where_the_end_is_asked),
        cmocka_unit_test(the_first_error_is_the_one_remembered),
        cmocka_unit_test(an_address_of_another_family_is_an_error),
        cmocka_unit_test(raw_octets_after_an_error_are_zero),
        cmocka_unit_test(a_slice_too_long_for_its_length_field_is_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
