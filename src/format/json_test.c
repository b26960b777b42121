#include "format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
bodies_are_accepted_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum hd_err err;
    } row[] = {
        { "", HD_ESYNTAX },
        { " ", HD_ESYNTAX },
        { "{}", HD_OK },
        { "[]", HD_OK },
        { " 1 ", HD_OK },
        { "null", HD_OK },
        { "\"\\\"[[[[\"", HD_OK },
        { "{\"a\":1,\"b\":[true,{\"a\":2}]}", HD_OK },
        { "{\"a\":1,\"a\":2}", HD_ESYNTAX },
        { "{\"a\":1,\"\\u0061\":2}", HD_ESYNTAX },
        { "{\"a\":1,}", HD_ESYNTAX },
        { "{\"a\":1} x", HD_ESYNTAX },
        { "{\"a\"", HD_ESYNTAX },
        { "{a:1}", HD_ESYNTAX },
        { "[1e999]", HD_ESYNTAX },
        { "[\"\xff\"]", HD_ESYNTAX },
        { "[\"\x01\"]", HD_ESYNTAX },
        { "NaN", HD_ESYNTAX },
        { "]", HD_ESYNTAX },
        { "\"", HD_ESYNTAX },
        { "\"\\", HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const char *reason = NULL;
        const enum hd_err err = fmt_json_check(hd_slice_str(row[i].in), 100, &reason);
        if (err != row[i].err || (err == HD_OK) != (reason == NULL))
            fail_msg("'%s' gave %s", row[i].in, hd_err_text(err));
    }
    const char *reason;
    assert_int_equal(fmt_json_check(HD_LIT("\"a\0b\""), 100, &reason), HD_ESYNTAX);
    assert_int_equal(fmt_json_check(HD_LIT("[]\0"), 100, &reason), HD_ESYNTAX);
}

static void
nesting_is_limited(void **state)
{
    (void)state;
    char text[2 * (FMT_JSON_MAX_DEPTH + 1)];
    const char *reason;
    for (size_t depth = FMT_JSON_MAX_DEPTH; depth <= FMT_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(fmt_json_check(hd_slice(text, 2 * depth), 1000, &reason),
                         depth > FMT_JSON_MAX_DEPTH ? HD_ESYNTAX : HD_OK);
    }
}

static void
size_is_limited(void **state)
{
    (void)state;
    const char *reason;
    assert_int_equal(fmt_json_check(HD_LIT("[]"), 2, &reason), HD_OK);
    assert_int_equal(fmt_json_check(HD_LIT("[]"), 1, &reason), HD_ESYNTAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_accepted_or_refused),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(size_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
