/* log_test.c - whatever a peer sends, a line is one line, and JSON is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/log.h"

#include "base/rng.h"

static void
expect(enum hd_log_format format, const char *text, const struct hd_field *fields, size_t n,
       const char *want)
{
    char line[512];
    size_t len = hd_log_format(format, HD_INFO, text, fields, n, line, sizeof(line));

    assert_true(len < sizeof(line));
    line[len] = '\0';
    assert_string_equal(line, want);
}

static void
text_quotes_only_what_needs_it(void **state)
{
    const struct hd_field fields[] = { hd_f_str("a", "plain-1.2;x"), hd_f_str("b", "two words"),
                                       hd_f_str("c", ""), hd_f_str("d", "x=y") };

    (void)state;
    expect(HD_LOG_TEXT, "no such publication", fields, HD_ARRAY_LEN(fields),
           "level=info msg=\"no such publication\" a=plain-1.2;x b=\"two words\" c=\"\" d=\"x=y\"");
}

static void
text_escapes_what_is_not_printable_ascii(void **state)
{
    const struct hd_field fields[] = { hd_f_slice("a", HD_LIT("\"\\\n\r\t")),
                                       hd_f_slice("b", HD_LIT("\x00\x1b\x7f\x80\xff")),
                                       hd_f_slice("c", HD_LIT("\xc3\xa4")) };

    (void)state;
    expect(HD_LOG_TEXT, "x", fields, HD_ARRAY_LEN(fields),
           "level=info msg=x a=\"\\\"\\\\\\n\\r\\t\" b=\"\\x00\\x1b\\x7f\\x80\\xff\" "
           "c=\"\\xc3\\xa4\"");
}

static void
json_keeps_utf8_and_escapes_octets_that_are_not(void **state)
{
    const struct hd_field fields[] = {
        hd_f_slice("a", HD_LIT("\"\\\n\x01\x7f")),
        hd_f_slice("b", HD_LIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\x9e")),
        hd_f_slice("c", HD_LIT("\xc3")),             /* cut */
        hd_f_slice("d", HD_LIT("\xc0\x80")),         /* overlong */
        hd_f_slice("e", HD_LIT("\xed\xa0\x80")),     /* half of a surrogate pair */
        hd_f_slice("f", HD_LIT("\xc2\x9b")),         /* a control character */
        hd_f_slice("g", HD_LIT("\xf4\x90\x80\x80")), /* above the last */
        hd_f_slice("h", HD_LIT("\xe2\x80\xae")),     /* turns what stands behind it */
    };

    (void)state;
    expect(
        HD_LOG_JSON, "x", fields, HD_ARRAY_LEN(fields),
        "{\"level\":\"info\",\"msg\":\"x\",\"a\":\"\\\"\\\\\\n\\u0001\\u007f\","
        "\"b\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\x9e\",\"c\":\"\\u00c3\",\"d\":\"\\u00c0\\u0080\","
        "\"e\":\"\\u00ed\\u00a0\\u0080\",\"f\":\"\\u00c2\\u009b\",\"g\":"
        "\"\\u00f4\\u0090\\u0080\\u0080\",\"h\":\"\\u00e2\\u0080\\u00ae\"}");
}

static void
fields_are_written_by_their_type(void **state)
{
    struct hd_addr addr;
    struct hd_field fields[] = { hd_f_u64("u", UINT64_MAX), hd_f_i64("i", INT64_MIN),
                                 hd_f_addr("s", &addr),     hd_f_bool("t", true),
                                 hd_f_err(HD_ENOMATCH),     hd_f_addr("z", NULL) };

    (void)state;
    assert_int_equal(hd_addr_parse(HD_LIT("::1"), 5060, &addr), HD_OK);
    expect(HD_LOG_TEXT, "x", fields, HD_ARRAY_LEN(fields),
           "level=info msg=x u=18446744073709551615 i=-9223372036854775808 s=[::1]:5060 t=true "
           "err=\"no match\" z=-");
    expect(
        HD_LOG_JSON, "x", fields, HD_ARRAY_LEN(fields),
        "{\"level\":\"info\",\"msg\":\"x\",\"u\":18446744073709551615,\"i\":-9223372036854775808,"
        "\"s\":\"[::1]:5060\",\"t\":true,\"err\":\"no match\",\"z\":\"-\"}");
}

static void
a_line_that_does_not_fit_says_so(void **state)
{
    const struct hd_field fields[] = { hd_f_str("a", "0123456789012345678901234567890123456789"),
                                       hd_f_str("b", "0123456789012345678901234567890123456789") };
    char line[80];
    size_t len;

    (void)state;
    len = hd_log_format(HD_LOG_TEXT, HD_INFO, "x", fields, 2, line, sizeof(line));
    assert_true(len <= sizeof(line));
    assert_memory_equal(line + len - 4, "...\"", 4);
    len = hd_log_format(HD_LOG_JSON, HD_INFO, "x", fields, 2, line, sizeof(line));
    assert_memory_equal(line + len - 5, "...\"}", 5);
    assert_int_equal(hd_log_format(HD_LOG_JSON, HD_INFO, "x", fields, 2, line, 63), 0);
}

static void
a_number_is_never_cut_but_left_out(void **state)
{
    const struct hd_field fields[] = { hd_f_str("a", "0123456789"), hd_f_u64("n", UINT64_MAX),
                                       hd_f_u64("m", UINT64_MAX) };
    char line[70];
    size_t len;

    (void)state;
    len = hd_log_format(HD_LOG_TEXT, HD_INFO, "x", fields, 3, line, sizeof(line));
    assert_true(hd_slice_eq(hd_slice(line, len),
                            HD_LIT("level=info msg=x a=0123456789 n=18446744073709551615 ...")));
    len = hd_log_format(HD_LOG_JSON, HD_INFO, "x", fields, 3, line, sizeof(line));
    assert_true(hd_slice_eq(
        hd_slice(line, len),
        HD_LIT("{\"level\":\"info\",\"msg\":\"x\",\"a\":\"0123456789\",\"...\":true}")));
}

static void
json_is_valid_at_every_length_and_for_every_octet(void **state)
{
    uint64_t seed = 9;
    struct hd_rng rng;

    (void)state;
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    for (unsigned i = 0; i < 20000; i++) {
        char octets[40];
        size_t n = hd_rng_below(&rng, sizeof(octets) + 1), cap = 64 + hd_rng_below(&rng, 300), len;
        struct hd_field fields[] = { hd_f_slice("a", hd_slice(octets, n)), hd_f_u64("n", i),
                                     hd_f_slice("b", hd_slice(octets, n / 2)),
                                     hd_f_bool("c", true) };
        char *line = malloc(cap); /* of the exact size */
        json_t *json;

        hd_rng_octets(&rng, octets, sizeof(octets));
        if (i % 3 == 0)
            for (size_t j = 0; j < n; j++)
                octets[j] = "\xe2\x82\xac\"\\a"[hd_rng_below(&rng, 6)];
        len =
            hd_log_format(HD_LOG_JSON, HD_WARN, "a text", fields, HD_ARRAY_LEN(fields), line, cap);
        assert_true(len > 0 && len <= cap);
        json = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        if (!json)
            print_message("line: %.*s\n", (int)len, line);
        assert_non_null(json);
        json_decref(json);
        len =
            hd_log_format(HD_LOG_TEXT, HD_WARN, "a text", fields, HD_ARRAY_LEN(fields), line, cap);
        assert_true(len > 0 && len <= cap);
        for (size_t j = 0; j < len; j++)
            assert_true(line[j] >= 0x20 && line[j] < 0x7f);
        free(line);
    }
}

struct got {
    unsigned lines;
    enum hd_level level;
    char last[200];
};

static void
keep(void *context, enum hd_level level, struct hd_slice line)
{
    struct got *got = context;

    got->lines++;
    got->level = level;
    snprintf(got->last, sizeof(got->last), "%.*s", HD_FMT(line));
}

static void
lines_above_the_level_are_left_out(void **state)
{
    struct got got = { 0 };

    (void)state;
    assert_false(hd_log_wanted(HD_ERROR));
    hd_log_setup(keep, &got, HD_INFO, HD_LOG_TEXT);
    HD_LOG(HD_DEBUG, "x", hd_f_u64("n", 1));
    assert_int_equal(got.lines, 0);
    HD_LOG(HD_INFO, "x", hd_f_u64("n", 1), hd_f_u64("m", 2));
    assert_int_equal(got.lines, 1);
    assert_int_equal(got.level, HD_INFO);
    assert_string_equal(got.last, "level=info msg=x n=1 m=2");
    hd_log_level(HD_DEBUG);
    HD_LOG_PLAIN(HD_DEBUG, "y");
    assert_string_equal(got.last, "level=debug msg=y");
    hd_log_setup(NULL, NULL, HD_DEBUG, HD_LOG_TEXT);
    HD_LOG_PLAIN(HD_ERROR, "z");
    hd_log_level(HD_DEBUG);
    HD_LOG_PLAIN(HD_ERROR, "z");
    assert_int_equal(got.lines, 2);
}

static void
a_limit_lets_ten_lines_through_and_then_one_per_second(void **state)
{
    struct hd_log_limit limit = { 0 };
    unsigned let = 0;

    (void)state;
    for (unsigned i = 0; i < 25; i++)
        let += hd_log_allow(&limit, 50);
    assert_int_equal(let, 10);
    assert_int_equal(limit.held, 15);
    assert_false(hd_log_allow(&limit, 1049));
    assert_true(hd_log_allow(&limit, 1050));
    assert_int_equal(limit.held, 16); /* to be said in this line */
    assert_false(hd_log_allow(&limit, 1999));
    assert_int_equal(limit.held, 1);
    assert_true(hd_log_allow(&limit, 2050));
    assert_false(hd_log_allow(&limit, 2051));
    /* A quiet time fills it up, and not over. */
    let = 0;
    for (unsigned i = 0; i < 25; i++)
        let += hd_log_allow(&limit, 10000000);
    assert_int_equal(let, 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_quotes_only_what_needs_it),
        cmocka_unit_test(text_escapes_what_is_not_printable_ascii),
        cmocka_unit_test(json_keeps_utf8_and_escapes_octets_that_are_not),
        cmocka_unit_test(fields_are_written_by_their_type),
        cmocka_unit_test(a_line_that_does_not_fit_says_so),
        cmocka_unit_test(a_number_is_never_cut_but_left_out),
        cmocka_unit_test(json_is_valid_at_every_length_and_for_every_octet),
        cmocka_unit_test(lines_above_the_level_are_left_out),
        cmocka_unit_test(a_limit_lets_ten_lines_through_and_then_one_per_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
