/* route_test.c - targets and fields: what is read, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/route.h"

static struct api_target target;

static void
assert_slice(struct hd_slice have, const char *want)
{
    if (!hd_slice_eq(have, hd_slice_str(want)))
        print_error("have \"%.*s\", want \"%s\"\n", HD_FMT(have), want ? want : "");
    assert_true(hd_slice_eq(have, hd_slice_str(want)));
}

static void
a_path_names_package_and_resource(void **state)
{
    static const struct {
        const char *in, *package, *resource;
    } row[] = {
        { "/v1/events/presence/2001", "presence", "2001" },
        { "/v1/events/presence/sip:2001@127.0.0.1", "presence", "sip:2001@127.0.0.1" },
        { "/v1/events/x-a/sip%3A2001%40example.test?when=a%20above+1", "x-a",
          "sip:2001@example.test" },
        { "/v1/events/presence/a%2Fb", "presence", "a/b" },
        { "/v1/events/presence/%C3%A9", "presence", "\xc3\xa9" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        assert_int_equal(api_target_read(hd_slice_str(row[i].in), &target), HD_OK);
        assert_int_equal(target.route->what, API_EVENTS);
        assert_slice(target.part[0], row[i].package);
        assert_slice(target.part[1], row[i].resource);
    }
    assert_int_equal(api_target_read(HD_LIT("/healthz"), &target), HD_OK);
    assert_int_equal(target.route->what, API_HEALTH);
}

static void
what_is_no_path_is_refused(void **state)
{
    static const struct {
        const char *in;
        enum hd_err err;
    } row[] = {
        { "", HD_ENOMATCH },
        { "/", HD_ENOMATCH },
        { "*", HD_ENOMATCH },
        { "healthz", HD_ENOMATCH },
        { "/healthz/", HD_ENOMATCH },
        { "//healthz", HD_ENOMATCH },
        { "/Healthz", HD_ENOMATCH },
        { "/healthz/x", HD_ENOMATCH },
        { "/v1/events/presence", HD_ENOMATCH },
        { "/v1/events/presence/", HD_ENOMATCH },
        { "/v1/events//2001", HD_ENOMATCH },
        { "/v1/events/presence/2001/", HD_ENOMATCH },
        { "/v1/events/presence/2001/x", HD_ENOMATCH },
        { "/v1/events/presence/%", HD_ESYNTAX },
        { "/v1/events/presence/%2", HD_ESYNTAX },
        { "/v1/events/presence/%zz", HD_ESYNTAX },
        { "/v1/events/presence/a%00", HD_ESYNTAX },
        { "/v1/events/presence/a%0d%0aX:y", HD_ESYNTAX },
        { "/v1/events/presence/a%7f", HD_ESYNTAX },
        { "/healthz?a=1&a=2", HD_ESYNTAX },
        { "/healthz?=1", HD_ESYNTAX },
        { "/healthz?&", HD_ESYNTAX },
        { "/healthz?a=%0a", HD_ESYNTAX },
        { "/healthz?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q", HD_ERANGE },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        assert_int_equal(api_target_read(hd_slice_str(row[i].in), &target), row[i].err);
}

static void
a_target_that_is_too_long_is_refused(void **state)
{
    char *text = malloc(API_TARGET_MAX + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', API_TARGET_MAX + 1);
    memcpy(text, "/healthz?", 9);
    assert_int_equal(api_target_read(hd_slice(text, API_TARGET_MAX + 1), &target), HD_ERANGE);
    assert_int_equal(api_target_read(hd_slice(text, API_TARGET_MAX), &target), HD_OK);
    free(text);
}

static void
parameters_are_found_by_name(void **state)
{
    static const char *const known[] = { "when", "b" };

    (void)state;
    assert_int_equal(api_target_read(HD_LIT("/healthz?when=a+b%3D1&b=&c"), &target), HD_OK);
    assert_slice(api_param(&target, "when"), "a b=1");
    assert_non_null(api_param(&target, "b").p);
    assert_int_equal(api_param(&target, "b").n, 0);
    assert_null(api_param(&target, "d").p);
    assert_slice(api_param_unknown(&target, known, 2), "c");
}

static void
entity_tags(void **state)
{
    enum api_match match;
    struct hd_slice rest = { 0 }, tag;

    (void)state;
    assert_int_equal(api_etag_read(HD_LIT(" \"abc\" "), &match, &tag, &rest), HD_OK);
    assert_int_equal(match, API_MATCH_TAG);
    assert_slice(tag, "abc");
    assert_int_equal(api_etag_read(HD_LIT("*"), &match, &tag, &rest), HD_OK);
    assert_int_equal(match, API_MATCH_ANY);
    assert_int_equal(api_etag_read(HD_LIT("W/\"abc\""), &match, &tag, &rest), HD_ENOMATCH);
    assert_int_equal(api_etag_read(HD_LIT("abc"), &match, &tag, &rest), HD_ESYNTAX);
    assert_int_equal(api_etag_read(HD_LIT(""), &match, &tag, &rest), HD_ESYNTAX);
    assert_int_equal(api_etag_read(HD_LIT("\"abc"), &match, &tag, &rest), HD_ESYNTAX);
    assert_int_equal(api_etag_read(HD_LIT("\"a\" \"b\""), &match, &tag, &rest), HD_ESYNTAX);
    assert_int_equal(api_etag_read(HD_LIT(", ,"), &match, &tag, &rest), HD_ESYNTAX);
    assert_int_equal(api_etag_read(HD_LIT("\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\""),
                                   &match, &tag, &rest),
                     HD_ESYNTAX);
    assert_int_equal(
        api_etag_read(HD_LIT("W/\"w\", \"a\",, W/\"x\" , \"b\","), &match, &tag, &rest), HD_OK);
    assert_true(hd_slice_eq(tag, HD_LIT("a")));
    assert_int_equal(api_etag_next(&rest, &tag), HD_OK);
    assert_true(hd_slice_eq(tag, HD_LIT("b")));
    assert_int_equal(api_etag_next(&rest, &tag), HD_ENOMATCH);
    rest = HD_LIT("a");
    assert_int_equal(api_etag_next(&rest, &tag), HD_ESYNTAX);
    assert_true(api_etag_listed_strong(HD_LIT("\"a\", \"b\","), HD_LIT("b")));
    assert_true(api_etag_listed_strong(HD_LIT("*"), HD_LIT("b")));
    assert_false(api_etag_listed_strong(HD_LIT("\"a\", W/\"b\""), HD_LIT("b")));
    assert_true(api_etag_listed(HD_LIT("\"a\", W/\"b\",\"c\""), HD_LIT("c")));
    assert_true(api_etag_listed(HD_LIT("\"a\", W/\"b\""), HD_LIT("b")));
    assert_true(api_etag_listed(HD_LIT("*"), HD_LIT("x")));
    assert_false(api_etag_listed(HD_LIT("\"a\" \"b\""), HD_LIT("b")));
    assert_false(api_etag_listed(HD_LIT("b"), HD_LIT("b")));
    assert_false(api_etag_listed(HD_LIT(""), HD_LIT("")));
}

static void
media_types_that_are_taken(void **state)
{
    const struct hd_slice pidf = HD_LIT("application/pidf+xml");

    (void)state;
    assert_int_equal(api_accepts(hd_slice(NULL, 0), pidf), 1);
    assert_int_equal(api_accepts(HD_LIT("*/*"), pidf), 1);
    assert_int_equal(api_accepts(HD_LIT("text/html, application/*;q=0.1"), pidf), 2);
    assert_int_equal(api_accepts(HD_LIT("text/html,Application/PIDF+xml"), pidf), 3);
    assert_int_equal(api_accepts(HD_LIT("application/pidf+xml;q=0.0, */*"), pidf), 0);
    assert_int_equal(api_accepts(HD_LIT("text/*"), pidf), 0);
    assert_int_equal(api_accepts(HD_LIT(""), pidf), 0);
    assert_true(api_accepts_coding(HD_LIT("br, gzip"), HD_LIT("gzip")));
    assert_false(api_accepts_coding(HD_LIT("br, gzip;q=0"), HD_LIT("gzip")));
    assert_false(api_accepts_coding(HD_LIT(""), HD_LIT("gzip")));
}

static void
durations(void **state)
{
    uint32_t s = 7;

    (void)state;
    assert_int_equal(api_seconds(HD_LIT("3600"), &s), HD_OK);
    assert_int_equal(s, 3600);
    assert_int_equal(api_seconds(HD_LIT("99999999999999999999999"), &s), HD_OK);
    assert_int_equal(s, UINT32_MAX - 1);
    assert_int_equal(api_seconds(HD_LIT("Thu, 01 Dec 1994 16:00:00 GMT"), &s), HD_ESYNTAX);
    assert_int_equal(api_seconds(HD_LIT("-1"), &s), HD_ESYNTAX);
    assert_int_equal(api_max_age(HD_LIT("no-cache, max-age=60"), &s), HD_OK);
    assert_int_equal(s, 60);
    assert_int_equal(api_max_age(HD_LIT("no-cache"), &s), HD_ENOMATCH);
    assert_int_equal(api_max_age(HD_LIT("max-age="), &s), HD_ESYNTAX);
}

static void
tokens_methods_and_origins(void **state)
{
    const struct hd_slice origins[] = { HD_LIT("https://a.test"), HD_LIT("https://b.test") };

    (void)state;
    assert_slice(api_bearer(HD_LIT("Bearer abc")), "abc");
    assert_slice(api_bearer(HD_LIT("bearer  abc ")), "abc");
    assert_null(api_bearer(HD_LIT("Digest abc")).p);
    assert_null(api_bearer(HD_LIT("Bearer")).p);
    assert_int_equal(api_method_read(HD_LIT("PATCH")), API_PATCH);
    assert_int_equal(api_method_read(HD_LIT("patch")), 0);
    assert_int_equal(api_method_read(HD_LIT("BREW")), 0);
    assert_true(api_origin_ok(HD_LIT("https://b.test"), origins, 2));
    assert_false(api_origin_ok(HD_LIT("https://b.test.evil"), origins, 2));
    assert_true(api_is_json(HD_LIT(" application/json; charset=utf-8")));
    assert_false(api_is_json(HD_LIT("text/json")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_names_package_and_resource),
        cmocka_unit_test(what_is_no_path_is_refused),
        cmocka_unit_test(a_target_that_is_too_long_is_refused),
        cmocka_unit_test(parameters_are_found_by_name),
        cmocka_unit_test(entity_tags),
        cmocka_unit_test(media_types_that_are_taken),
        cmocka_unit_test(durations),
        cmocka_unit_test(tokens_methods_and_origins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
