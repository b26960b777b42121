/* config_unit_test.c - numbers of a configuration file, read and shown. */
#include "heraldd/config_unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
each_unit_reads_what_is_written_for_it(void **state)
{
    static const struct {
        enum hd_conf_unit unit;
        const char *text;
        enum hd_err err;
        uint64_t value;
    } row[] = {
        { HD_CONF_COUNT, "0", HD_OK, 0 },
        { HD_CONF_COUNT, "18446744073709551615", HD_OK, UINT64_MAX },
        { HD_CONF_COUNT, "18446744073709551616", HD_ERANGE, 0 },
        { HD_CONF_COUNT, "", HD_ESYNTAX, 0 },
        { HD_CONF_COUNT, "5s", HD_ESYNTAX, 0 },
        { HD_CONF_PERCENT, "10%", HD_OK, 10 },
        { HD_CONF_PERCENT, "10", HD_OK, 10 },
        { HD_CONF_PERCENT, "%", HD_ESYNTAX, 0 },
        { HD_CONF_PERCENT, "10%%", HD_ESYNTAX, 0 },
        { HD_CONF_SECONDS, "2m", HD_OK, 120 },
        { HD_CONF_SECONDS, "7", HD_OK, 7 },
        { HD_CONF_SECONDS, "3000ms", HD_OK, 3 },
        { HD_CONF_SECONDS, "1500ms", HD_ESYNTAX, 0 },
        { HD_CONF_MS, "1500ms", HD_OK, 1500 },
        { HD_CONF_MS, "10%", HD_ESYNTAX, 0 },
        { HD_CONF_US, "500us", HD_OK, 500 },
        { HD_CONF_US, "2ms", HD_OK, 2000 },
        { HD_CONF_US, "us", HD_ESYNTAX, 0 },
        { HD_CONF_US, "4294967295ms", HD_OK, UINT64_C(4294967295000) },
        { HD_CONF_US, "4294967296ms", HD_ERANGE, 0 },
        { HD_CONF_SIZE, "64KiB", HD_OK, 65536 },
        { HD_CONF_SIZE, "64K", HD_ESYNTAX, 0 },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        uint64_t value = 77;

        assert_int_equal(hd_conf_unit_read(row[i].unit, hd_slice_str(row[i].text), &value),
                         row[i].err);
        assert_true(value == (row[i].err ? 77 : row[i].value));
    }
}

static void
what_is_shown_reads_as_the_same_value(void **state)
{
    static const struct {
        enum hd_conf_unit unit;
        uint64_t value;
        const char *text;
    } row[] = {
        { HD_CONF_COUNT, UINT64_MAX, "18446744073709551615" },
        { HD_CONF_PERCENT, 50, "50%" },
        { HD_CONF_SECONDS, 0, "0s" },
        { HD_CONF_SECONDS, 86400, "1d" },
        { HD_CONF_SECONDS, 5400, "90m" },
        { HD_CONF_MS, 0, "0s" },
        { HD_CONF_MS, 100, "100ms" },
        { HD_CONF_US, 750, "750us" },
        { HD_CONF_US, 1000000, "1s" },
        { HD_CONF_SIZE, 0, "0" },
        { HD_CONF_SIZE, 1300, "1300B" },
        { HD_CONF_SIZE, 64 << 20, "64MiB" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[32];
        uint64_t value = 77;

        assert_string_equal(hd_conf_unit_show(row[i].unit, row[i].value, text), row[i].text);
        assert_int_equal(hd_conf_unit_read(row[i].unit, hd_slice_str(row[i].text), &value), HD_OK);
        assert_true(value == row[i].value);
        assert_true(hd_conf_unit_words(row[i].unit)[0] != '\0');
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_unit_reads_what_is_written_for_it),
        cmocka_unit_test(what_is_shown_reads_as_the_same_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
