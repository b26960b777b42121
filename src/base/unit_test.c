/* unit_test.c - what people write means one thing or is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/unit.h"

static void
durations_become_milliseconds(void **state)
{
    static const struct {
        const char *in;
        enum hd_err err;
        uint64_t out;
    } row[] = {
        { "0", HD_OK, 0 },
        { "30", HD_OK, 30000 },
        { "500ms", HD_OK, 500 },
        { "30s", HD_OK, 30000 },
        { "5m", HD_OK, 300000 },
        { "1h", HD_OK, 3600000 },
        { "2d", HD_OK, 172800000 },
        { "18446744073709551615ms", HD_OK, UINT64_MAX },
        { "18446744073709551616ms", HD_ERANGE, 0 },
        { "18446744073709551s", HD_OK, UINT64_C(18446744073709551000) },
        { "18446744073709552", HD_ERANGE, 0 },
        { "99999999999999999999x", HD_ESYNTAX, 0 },
        { "", HD_ESYNTAX, 0 },
        { "s", HD_ESYNTAX, 0 },
        { "-5s", HD_ESYNTAX, 0 },
        { "5 s", HD_ESYNTAX, 0 },
        { "5s ", HD_ESYNTAX, 0 },
        { "5M", HD_ESYNTAX, 0 },
        { "5sec", HD_ESYNTAX, 0 },
        { "1.5h", HD_ESYNTAX, 0 },
        { "1h30m", HD_ESYNTAX, 0 },
        { "5KiB", HD_ESYNTAX, 0 },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        uint64_t out = 7;

        assert_int_equal(hd_unit_ms(hd_slice_str(row[i].in), &out), row[i].err);
        assert_true(out == (row[i].err ? 7 : row[i].out));
    }
}

static void
sizes_become_octets(void **state)
{
    static const struct {
        const char *in;
        enum hd_err err;
        uint64_t out;
    } row[] = {
        { "0", HD_OK, 0 },
        { "512", HD_OK, 512 },
        { "512B", HD_OK, 512 },
        { "64KiB", HD_OK, 65536 },
        { "1MiB", HD_OK, 1048576 },
        { "2GiB", HD_OK, UINT64_C(2147483648) },
        { "1TiB", HD_OK, UINT64_C(1099511627776) },
        { "16777215TiB", HD_OK, UINT64_C(16777215) << 40 },
        { "16777216TiB", HD_ERANGE, 0 },
        { "64K", HD_ESYNTAX, 0 },
        { "64kB", HD_ESYNTAX, 0 },
        { "64kib", HD_ESYNTAX, 0 },
        { "KiB", HD_ESYNTAX, 0 },
        { "64 KiB", HD_ESYNTAX, 0 },
        { "", HD_ESYNTAX, 0 },
        { "5s", HD_ESYNTAX, 0 },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        uint64_t out = 7;

        assert_int_equal(hd_unit_octets(hd_slice_str(row[i].in), &out), row[i].err);
        assert_true(out == (row[i].err ? 7 : row[i].out));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_become_milliseconds),
        cmocka_unit_test(sizes_become_octets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
