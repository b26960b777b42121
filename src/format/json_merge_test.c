/* json_merge_test.c - merge patches (RFC 7396). */
#include "format/json_merge.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of exact size, so that the sanitizer sees a step too far. */
static struct hd_slice
exact(const char *text)
{
    const size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    return hd_slice(copy, n);
}

static enum hd_err
merged(const char *target, const char *patch, struct hd_str *out)
{
    const struct hd_slice a = exact(target), b = exact(patch);
    *out = (struct hd_str){ 0 };
    const enum hd_err err = fmt_json_merge(a, b, out);
    free((void *)(uintptr_t)a.p);
    free((void *)(uintptr_t)b.p);
    return err;
}

static void
expect(const char *target, const char *patch, const char *result)
{
    struct hd_str out;
    assert_int_equal(merged(target, patch, &out), HD_OK);
    assert_string_equal(hd_str_text(&out), result);
    hd_str_done(&out);
}

static void
the_examples_of_rfc_7396_appendix_a(void **state)
{
    (void)state;
    static const struct {
        const char *target, *patch, *result;
    } row[] = {
        { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
        { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
        { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
        { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
        { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
        { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
        { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
        { "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
        { "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
        { "{\"a\":\"foo\"}", "null", "null" },
        { "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
        { "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
        { "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
        { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        expect(row[i].target, row[i].patch, row[i].result);
}

static void
the_example_of_rfc_7396_section_3(void **state)
{
    (void)state;
    expect("{\"title\": \"Goodbye!\", \"author\" : {\"givenName\" : \"John\", \"familyName\" : "
           "\"Doe\"}, \"tags\":[ \"example\", \"sample\" ], \"content\": \"This will be "
           "unchanged\"}",
           "{\"title\": \"Hello!\", \"phoneNumber\": \"+01-123-456-7890\", \"author\": "
           "{\"familyName\": null}, \"tags\": [ \"example\" ]}",
           "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},\"tags\":[ \"example\" ],"
           "\"content\":\"This will be unchanged\",\"phoneNumber\":\"+01-123-456-7890\"}");
}

static void
what_the_patch_leaves_alone_stays_as_it_was_written(void **state)
{
    (void)state;
    expect("{\"a\":0.10,\"\\u0062\":1E+2,\"c\":[ 1 , 2 ]}", "{\"b\":\"\\n\"}",
           "{\"a\":0.10,\"\\u0062\":\"\\n\",\"c\":[ 1 , 2 ]}");
}

static void
what_is_not_json_is_no_patch(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "{", "{\"a\"}", "{\"a\":NaN}", "{\"a\":1,}" };
    struct hd_str out;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(merged("{}", bad[i], &out), HD_ESYNTAX);
        hd_str_done(&out);
        assert_int_equal(merged(bad[i], "{}", &out), HD_ESYNTAX);
        hd_str_done(&out);
    }
}

/* The same names in the opposite order: what would be looked for one by one is sorted instead. */
static void
ten_thousand_members_in_the_opposite_order_are_merged(void **state)
{
    (void)state;
    struct hd_str target = { 0 }, patch = { 0 }, out = { 0 };
    for (int i = 0; i < 10000; i++) {
        hd_str_addf(&target, "%c\"k%d\":%d", i ? ',' : '{', i, i);
        hd_str_addf(&patch, "%c\"k%d\":%d", i ? ',' : '{', 9999 - i, i);
    }
    hd_str_add_char(&target, '}');
    hd_str_add_char(&patch, '}');
    assert_int_equal(fmt_json_merge(hd_str_slice(&target), hd_str_slice(&patch), &out), HD_OK);
    assert_true(hd_slice_starts(hd_str_slice(&out), HD_LIT("{\"k0\":9999,\"k1\":9998,")));
    hd_str_done(&target);
    hd_str_done(&patch);
    hd_str_done(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_7396_appendix_a),
        cmocka_unit_test(the_example_of_rfc_7396_section_3),
        cmocka_unit_test(what_the_patch_leaves_alone_stays_as_it_was_written),
        cmocka_unit_test(what_is_not_json_is_no_patch),
        cmocka_unit_test(ten_thousand_members_in_the_opposite_order_are_merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
