/* exact_test.c - decimal numbers without rounding. */
#include "format/exact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
numbers_are_read_as_json_writes_them_and_written_without_rounding(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum hd_err err;
        const char *out;
    } row[] = {
        { "0", HD_OK, "0" },
        { "-0", HD_OK, "0" },
        { "0.10", HD_OK, "0.1" },
        { "-0.5", HD_OK, "-0.5" },
        { "1000000000", HD_OK, "1000000000" },
        { "-1000000000.000000001", HD_OK, "-1000000000.000000001" },
        { "1e2", HD_OK, "100" },
        { "1.50E-3", HD_OK, "0.0015" },
        { "12345678901234567.8901234567890123", HD_OK, "12345678901234567.8901234567890123" },
        { "9007199254740993", HD_OK, "9007199254740993" },
        { "1e18", HD_OK, "1000000000000000000.0" },
        { "1e44", HD_OK, "100000000000000000000000000000000000000000000.0" },
        { "1e45", HD_ERANGE, NULL },
        { "1e-45", HD_OK, "0.000000000000000000000000000000000000000000001" },
        { "1e-46", HD_ERANGE, NULL },
        { "0e999999999999999999999", HD_OK, "0" },
        { "1e99999999999999999999", HD_ERANGE, NULL },
        { "1e-99999999999999999999", HD_ERANGE, NULL },
        { "", HD_ESYNTAX, NULL },
        { "-", HD_ESYNTAX, NULL },
        { "1.", HD_ESYNTAX, NULL },
        { ".5", HD_ESYNTAX, NULL },
        { "1e", HD_ESYNTAX, NULL },
        { "1e+", HD_ESYNTAX, NULL },
        { "1 ", HD_ESYNTAX, NULL },
        { "NaN", HD_ESYNTAX, NULL },
        { "Infinity", HD_ESYNTAX, NULL },
        { "0x10", HD_ESYNTAX, NULL },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct fmt_exact number;
        struct hd_str out = { 0 };
        const enum hd_err err = fmt_exact_read(hd_slice_str(row[i].in), &number);
        if (err != row[i].err)
            fail_msg("'%s' gave %s", row[i].in, hd_err_text(err));
        if (err)
            continue;
        fmt_exact_write(&out, &number);
        assert_string_equal(hd_str_text(&out), row[i].out);
        hd_str_done(&out);
    }
}

static void
sums_are_those_of_decimal_arithmetic(void **state)
{
    (void)state;
    static const struct {
        const char *numbers, *sum;
    } row[] = {
        { "0.1 0.2", "0.3" },
        { "1 -1", "0" },
        { "0.1 -0.3", "-0.2" },
        { "1000000000 -0.000000001", "999999999.999999999" },
        { "-1000000000 0.000000001", "-999999999.999999999" },
        { "9223372036854775807 1", "9223372036854775808.0" },
        { "999999999999999999 1", "1000000000000000000.0" },
        { "-999999999 -1", "-1000000000" },
        { "1e44 1e44 -2e44 7", "7" },
        { "9e44 9e44", "1800000000000000000000000000000000000000000000.0" },
        { "1e-45 -1e-45", "0" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct hd_slice rest = hd_slice_str(row[i].numbers);
        struct fmt_exact sum = { 0 }, number;
        struct hd_str out = { 0 };
        while (rest.n) {
            assert_int_equal(fmt_exact_read(hd_slice_cut(&rest, ' '), &number), HD_OK);
            fmt_exact_add(&sum, &number);
        }
        fmt_exact_write(&out, &sum);
        assert_string_equal(hd_str_text(&out), row[i].sum);
        hd_str_done(&out);
    }
}

static void
numbers_are_ordered_by_what_they_are(void **state)
{
    (void)state;
    static const char *const order[] = { "-1e44", "-10",   "-9.5", "-1e-45",
                                         "0",     "1e-45", "9.5",  "9.50000000000000000000001",
                                         "1e1" };
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
            struct fmt_exact a, b;
            assert_int_equal(fmt_exact_read(hd_slice_str(order[i]), &a), HD_OK);
            assert_int_equal(fmt_exact_read(hd_slice_str(order[k]), &b), HD_OK);
            assert_int_equal(fmt_exact_cmp(&a, &b), (i > k) - (i < k));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_as_json_writes_them_and_written_without_rounding),
        cmocka_unit_test(sums_are_those_of_decimal_arithmetic),
        cmocka_unit_test(numbers_are_ordered_by_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
