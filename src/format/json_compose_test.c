/* json_compose_test.c - one JSON document of several, each path by a rule. */
#include "format/json_compose.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/reduce.h"

static const char *const words[] = { "latest", "list", "sum", "max", "min" };

/* "sum /stock max /hr" */
static size_t
rules_of(const char *text, struct fmt_rule_path rules[FMT_PATHS_MAX])
{
    struct hd_slice rest = hd_slice_str(text);
    size_t n = 0;
    while (rest.n) {
        const struct hd_slice word = hd_slice_cut(&rest, ' ');
        for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            if (hd_slice_eq(word, hd_slice_str(words[i])))
                rules[n].rule = (enum fmt_rule)i;
        rules[n++].path = hd_slice_cut(&rest, ' ');
    }
    return n;
}

/* The newest first, '|' between documents. */
static enum hd_err
compose(const char *rules_text, const char *documents_text, struct hd_str *out, uint32_t *ret_unfit)
{
    struct fmt_rule_path rules[FMT_PATHS_MAX];
    struct hd_slice documents[8];
    size_t n = 0;
    const size_t len = strlen(documents_text);
    char *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, documents_text, len);
    struct hd_slice rest = hd_slice(copy, len);
    while (rest.n)
        documents[n++] = hd_slice_cut(&rest, '|');
    *out = (struct hd_str){ 0 };
    const enum hd_err err =
        fmt_json_compose(rules, rules_of(rules_text, rules), documents, n, out, ret_unfit);
    free(copy);
    return err;
}

struct row {
    const char *rules, *documents, *composed;
    uint32_t unfit;
};

static void
expect(const struct row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hd_str out;
        uint32_t unfit = 99;
        const enum hd_err err = compose(row[i].rules, row[i].documents, &out, &unfit);
        if (err || strcmp(hd_str_text(&out), row[i].composed) != 0 || unfit != row[i].unfit)
            fail_msg("row %zu: %s of %s gave %s, %s, %u", i, row[i].rules, row[i].documents,
                     hd_err_text(err), hd_str_text(&out), unfit);
        hd_str_done(&out);
    }
}
#define EXPECT(row) expect(row, sizeof(row) / sizeof((row)[0]))

static void
each_rule_makes_one_value_of_all(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "sum /n", "{\"n\":1}|{\"n\":2}|{\"n\":3}", "{\"n\":6}", 0 },
        { "max /n", "{\"n\":1}|{\"n\":3.0}|{\"n\":2}", "{\"n\":3.0}", 0 },
        { "min /n", "{\"n\":-1}|{\"n\":-1.5e0}|{\"n\":2}", "{\"n\":-1.5e0}", 0 },
        { "list /n", "{\"n\":1}|{\"n\":\"b\"}|{\"n\":[3]}", "{\"n\":[1,\"b\",[3]]}", 0 },
        { "latest /n", "{\"m\":1}|{\"n\":2}|{\"n\":3}", "{\"m\":1,\"n\":2}", 0 },
        { "sum /n", "{\"n\":0.1}|{\"n\":0.2}", "{\"n\":0.3}", 0 },
        { "sum /n", "{\"n\":9007199254740993}|{\"n\":2}", "{\"n\":9007199254740995}", 0 },
    };
    EXPECT(row);
}

static void
one_document_stays_as_it_was_written_but_for_lists(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "sum /n max /m", "{\"n\":1e2,\"m\":1.50,\"o\":[ 1 ]}",
          "{\"n\":1e2,\"m\":1.50,\"o\":[ 1 ]}", 0 },
        { "list /n", "{\"n\":1}", "{\"n\":[1]}", 0 },
        { "sum /n", "{}", "{}", 0 },
    };
    EXPECT(row);
}

static void
what_no_path_leads_to_is_the_newest_documents(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "sum /n", "{\"at\":\"b\",\"n\":1}|{\"at\":\"a\",\"n\":2,\"old\":1}",
          "{\"at\":\"b\",\"n\":3}", 0 },
        { "sum /s/n", "{\"s\":{\"n\":1,\"x\":1}}|{\"s\":{\"n\":1,\"y\":1}}",
          "{\"s\":{\"n\":2,\"x\":1}}", 0 },
    };
    EXPECT(row);
}

static void
a_member_that_some_lack_is_made_of_the_others(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "sum /n", "{\"at\":1}|{\"n\":2}|{\"n\":3}", "{\"at\":1,\"n\":5}", 0 },
        { "sum /n", "{\"n\":null}|{\"n\":3}", "{\"n\":3}", 0 },
        { "sum /n list /l", "{\"n\":null,\"l\":null}", "{\"n\":null,\"l\":null}", 0 },
        { "sum /a/b/c", "{}|{\"a\":{\"b\":{\"c\":1},\"x\":1}}|{\"a\":{\"b\":{\"c\":2}}}",
          "{\"a\":{\"b\":{\"c\":3}}}", 0 },
        { "sum /a/b/c", "{\"q\":1}|{\"a\":{\"b\":{}}}", "{\"q\":1}", 0 },
    };
    EXPECT(row);
}

static void
a_value_of_another_type_is_counted_and_hides_nothing_else(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "sum /n", "{\"n\":\"many\"}|{\"n\":2}|{\"n\":3}", "{\"n\":5}", 1 },
        { "sum /n", "{\"n\":\"many\"}|{\"n\":true}", "{\"n\":\"many\"}", 2 },
        { "max /n", "{\"n\":1e300}|{\"n\":3}", "{\"n\":3}", 1 },
        { "sum /n", "[1]|{\"n\":2}|{\"n\":3}", "{\"n\":5}", 1 },
        { "sum /n", "[1]|2", "[1]", 2 },
        { "sum /a/n", "{\"a\":7}|{\"a\":{\"n\":1,\"x\":2}}|{\"a\":{\"n\":2}}", "{\"a\":{\"n\":3}}",
          1 },
        { "sum /a/n", "{\"a\":7}|{\"b\":1}", "{\"a\":7}", 1 },
    };
    EXPECT(row);
}

static void
a_star_is_every_member_and_the_plainer_path_counts(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "sum /stock/*",
          "{\"stock\":{\"bolts\":1,\"nuts\":5}}|{\"stock\":{\"bolts\":2,\"pins\":7}}",
          "{\"stock\":{\"bolts\":3,\"nuts\":5,\"pins\":7}}", 0 },
        { "sum /stock/* max /stock/bolts",
          "{\"stock\":{\"bolts\":1,\"nuts\":5}}|{\"stock\":{\"bolts\":2,\"nuts\":7}}",
          "{\"stock\":{\"bolts\":2,\"nuts\":12}}", 0 },
        { "sum /*/n", "{\"a\":{\"n\":1}}|{\"a\":{\"n\":2},\"b\":{\"n\":3}}",
          "{\"a\":{\"n\":3},\"b\":{\"n\":3}}", 0 },
    };
    EXPECT(row);
}

static void
names_are_compared_by_what_they_mean(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "sum /n", "{\"\\u006e\":1}|{\"n\":2}", "{\"\\u006e\":3}", 0 },
        { "sum /a~1b", "{\"a/b\":1}|{\"a\\/b\":2}", "{\"a/b\":3}", 0 },
    };
    EXPECT(row);
}

static void
paths_are_bounded_and_do_not_meet(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool ok;
    } row[] = { { "/a", true },   { "/a/b", true },   { "/a/*", true }, { "", false },
                { "/", false },   { "a", false },     { "//a", false }, { "/a/", false },
                { "/@a", false }, { "/a/@b", false }, { "/a@b", true } };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        assert_int_equal(fmt_rule_path_ok(hd_slice_str(row[i].path)), row[i].ok);
    assert_true(fmt_rule_paths_collide(HD_LIT("/a"), HD_LIT("/a")));
    assert_true(fmt_rule_paths_collide(HD_LIT("/a/b"), HD_LIT("/a")));
    assert_false(fmt_rule_paths_collide(HD_LIT("/ab"), HD_LIT("/a")));
    assert_false(fmt_rule_paths_collide(HD_LIT("/a/b"), HD_LIT("/a/c")));
}

static void
what_is_not_json_is_an_error(void **state)
{
    (void)state;
    struct hd_str out;
    uint32_t unfit;
    assert_int_equal(compose("sum /n", "{\"n\":1}|{", &out, &unfit), HD_ESYNTAX);
    hd_str_done(&out);
}

static struct hd_str
big_object(int from, int step)
{
    struct hd_str text = { 0 };
    for (int i = 0; i < 5000; i++)
        hd_str_addf(&text, "%s\"k%d\":1", i ? "," : "{\"s\":{", from + i * step);
    hd_str_add_str(&text, "}}");
    return text;
}

/* Cost by sorting: 40 documents of 5,000 names each in opposite orders. */
static void
many_members_in_opposite_orders_are_summed(void **state)
{
    (void)state;
    struct hd_str up = big_object(0, 1), down = big_object(4999, -1), out = { 0 };
    const struct fmt_rule_path rule = { .path = HD_LIT("/s/*"), .rule = FMT_RULE_SUM };
    struct hd_slice documents[40];
    uint32_t unfit;
    for (size_t i = 0; i < 40; i++)
        documents[i] = hd_str_slice(i % 2 ? &up : &down);
    assert_int_equal(fmt_json_compose(&rule, 1, documents, 40, &out, &unfit), HD_OK);
    assert_true(hd_slice_starts(hd_str_slice(&out), HD_LIT("{\"s\":{\"k4999\":40,\"k4998\":40,")));
    hd_str_done(&up);
    hd_str_done(&down);
    hd_str_done(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_makes_one_value_of_all),
        cmocka_unit_test(one_document_stays_as_it_was_written_but_for_lists),
        cmocka_unit_test(what_no_path_leads_to_is_the_newest_documents),
        cmocka_unit_test(a_member_that_some_lack_is_made_of_the_others),
        cmocka_unit_test(a_value_of_another_type_is_counted_and_hides_nothing_else),
        cmocka_unit_test(a_star_is_every_member_and_the_plainer_path_counts),
        cmocka_unit_test(names_are_compared_by_what_they_mean),
        cmocka_unit_test(paths_are_bounded_and_do_not_meet),
        cmocka_unit_test(what_is_not_json_is_an_error),
        cmocka_unit_test(many_members_in_opposite_orders_are_summed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
