#include "generic.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sip/multipart.h"

#define ENTITY HD_LIT("sip:widget@stock.example")
#define JSON HD_LIT("application/json")

static struct evt_package
declared(enum evt_compose compose)
{
    return (struct evt_package){
        .magic = EVT_PACKAGE_MAGIC,
        .name = { "x-inventory", 11 },
        .max_body = 1000,
        .compose = compose,
    };
}

static struct evt_doc *
composed(const struct evt_package *package, const struct evt_published *published, size_t n)
{
    struct evt_doc *doc = NULL;
    assert_int_equal(pkg_generic_ops()->compose(package, ENTITY, published, n, &doc), HD_OK);
    assert_non_null(doc);
    return doc;
}

static void
bodies_are_checked_by_their_media_type(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
        enum hd_err err;
    } row[] = {
        { "application/json", "{\"count\":3}", HD_OK },
        { "application/JSON", "{\"count\":3,\"count\":4}", HD_ESYNTAX },
        { "application/json;charset=utf-8", "[", HD_ESYNTAX },
        { "application/json;charset=utf-16", "[]", HD_ENOTSUP },
        { "application/vnd.x+json", "{", HD_ESYNTAX },
        { "application/vnd.x+JSON", "{}", HD_OK },
        { "application/xml", "<a/>", HD_OK },
        { "text/xml", "<a>", HD_ESYNTAX },
        { "application/x+xml", "<!DOCTYPE a><a/>", HD_ESYNTAX },
        { "application/x+xml;charset=\"us-ascii\"", "<a/>", HD_OK },
        { "application/jsonx", "{", HD_OK },
        { "text/plain;charset=iso-8859-1", "\xff", HD_OK },
        { "application/octet-stream", "", HD_OK },
        { "nonsense", "", HD_ENOTSUP },
    };
    const struct evt_package package = declared(EVT_COMPOSE_LATEST);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const char *reason = NULL;
        const enum hd_err err = pkg_generic_ops()->validate(&package, hd_slice_str(row[i].type),
                                                            hd_slice_str(row[i].body), &reason);
        if (err != row[i].err || (err == HD_OK) != (reason == NULL))
            fail_msg("row %zu gave %s", i, hd_err_text(err));
    }
}

static void
a_body_above_the_packages_bound_is_refused(void **state)
{
    (void)state;
    static const char body[1001];
    const struct evt_package package = declared(EVT_COMPOSE_LATEST);
    const char *reason = NULL;
    const struct hd_slice type = HD_LIT("text/plain");
    assert_int_equal(pkg_generic_ops()->validate(&package, type, hd_slice(body, 1000), &reason),
                     HD_OK);
    assert_int_equal(pkg_generic_ops()->validate(&package, type, hd_slice(body, 1001), &reason),
                     HD_ESYNTAX);
}

static void
latest_shows_the_newest_and_falls_back_when_it_goes(void **state)
{
    (void)state;
    const struct evt_package package = declared(EVT_COMPOSE_LATEST);
    struct evt_doc *a = evt_doc_new(JSON, HD_LIT("1")), *b = evt_doc_new(JSON, HD_LIT("2"));
    const struct evt_published both[] = { { b, 2 }, { a, 1 } };
    struct evt_doc *doc = composed(&package, both, 2);
    assert_ptr_equal(doc, b);
    evt_doc_unref(doc);
    doc = composed(&package, both + 1, 1);
    assert_ptr_equal(doc, a);
    evt_doc_unref(doc);
    evt_doc_unref(a);
    evt_doc_unref(b);
}

static void
a_list_of_json_is_an_array(void **state)
{
    (void)state;
    const struct evt_package package = declared(EVT_COMPOSE_LIST);
    struct evt_doc *a = evt_doc_new(JSON, HD_LIT("{\"a\":1}"));
    struct evt_doc *b = evt_doc_new(HD_LIT("Application/JSON; charset=utf-8"), HD_LIT("2"));
    const struct evt_published both[] = { { a, 1 }, { b, 2 } };
    struct evt_doc *doc = composed(&package, both, 2);
    assert_true(hd_slice_eq(doc->type, JSON));
    assert_true(hd_slice_eq(doc->body, HD_LIT("[{\"a\":1},2]")));
    evt_doc_unref(doc);
    doc = composed(&package, both, 1);
    assert_true(hd_slice_eq(doc->body, HD_LIT("[{\"a\":1}]")));
    evt_doc_unref(doc);
    evt_doc_unref(a);
    evt_doc_unref(b);
}

static void
any_other_list_is_multipart_with_an_unquoted_boundary(void **state)
{
    (void)state;
    const struct evt_package package = declared(EVT_COMPOSE_LIST);
    struct evt_doc *a = evt_doc_new(JSON, HD_LIT("{}"));
    struct evt_doc *b =
        evt_doc_new(HD_LIT("text/plain;\r\n charset=utf-8"), HD_LIT("two\r\n--herald-\r\n"));
    const struct evt_published both[] = { { a, 1 }, { b, 2 } };
    struct evt_doc *doc = composed(&package, both, 2);
    struct sip_multipart walk;
    struct sip_part part;

    assert_true(hd_slice_starts(doc->type, HD_LIT("multipart/mixed;boundary=herald-")));
    assert_int_equal(hd_slice_find(doc->type, '"'), doc->type.n);
    assert_int_equal(sip_multipart_begin(doc->type, doc->body, &walk), HD_OK);
    assert_int_equal(sip_multipart_next(&walk, &part), HD_OK);
    assert_true(hd_slice_eq(part.type, JSON));
    assert_true(hd_slice_eq(part.body, HD_LIT("{}")));
    assert_int_equal(sip_multipart_next(&walk, &part), HD_OK);
    assert_true(hd_slice_eq(part.type, HD_LIT("text/plain;   charset=utf-8")));
    assert_true(hd_slice_eq(part.body, b->body));
    assert_int_equal(sip_multipart_next(&walk, &part), HD_ENOMATCH);
    evt_doc_unref(doc);
    evt_doc_unref(a);
    evt_doc_unref(b);
}

static void
a_boundary_that_occurs_in_a_body_is_not_used(void **state)
{
    (void)state;
    char text[BOUNDARY_ROOM], other[BOUNDARY_ROOM];
    struct evt_doc *a = evt_doc_new(JSON, HD_LIT("x"));
    struct evt_published published[] = { { a, 1 } };
    const struct hd_slice first = make_boundary(published, 1, text);
    /* a document that holds its own first choice cannot be made, so the search is tested by itself
     */
    struct evt_doc *b = evt_doc_new(JSON, first);
    published[0].doc = b;
    assert_true(occurs(first, published, 1));
    assert_false(occurs(make_boundary(published, 1, other), published, 1));
    evt_doc_unref(a);
    evt_doc_unref(b);
}

static void
the_same_publications_give_the_same_list(void **state)
{
    (void)state;
    const struct evt_package package = declared(EVT_COMPOSE_LIST);
    struct evt_doc *a = evt_doc_new(HD_LIT("text/plain"), HD_LIT("a"));
    const struct evt_published both[] = { { a, 1 }, { a, 2 } };
    struct evt_doc *one = composed(&package, both, 2), *two = composed(&package, both, 2);
    assert_true(hd_slice_eq(one->type, two->type));
    assert_true(hd_slice_eq(one->body, two->body));
    evt_doc_unref(one);
    evt_doc_unref(two);
    evt_doc_unref(a);
}

static void
the_neutral_document_comes_from_the_configuration(void **state)
{
    (void)state;
    struct evt_package package = declared(EVT_COMPOSE_LATEST);
    struct evt_doc *doc = NULL;
    assert_int_equal(pkg_generic_ops()->neutral(&package, ENTITY, &doc), HD_OK);
    assert_null(doc);
    package.neutral_type = JSON;
    package.neutral_body = HD_LIT("{}");
    assert_int_equal(pkg_generic_ops()->neutral(&package, ENTITY, &doc), HD_OK);
    assert_true(hd_slice_eq(doc->type, JSON));
    assert_true(hd_slice_eq(doc->body, HD_LIT("{}")));
    evt_doc_unref(doc);
}

/* --- rules for paths, patches ---------------------------------------------------------------- */

static const struct fmt_rule_path stock_rules[] = { { { "/stock", 6 }, FMT_RULE_SUM },
                                                    { { "/hr", 3 }, FMT_RULE_MAX } };

static struct evt_package
ruled(void)
{
    struct evt_package package = declared(EVT_COMPOSE_LATEST);
    package.rules = stock_rules;
    package.n_rules = HD_ARRAY_LEN(stock_rules);
    return package;
}

static void
rules_make_one_document_of_the_newest_ones_type(void **state)
{
    (void)state;
    const struct evt_package package = ruled();
    struct evt_doc *a =
        evt_doc_new(HD_LIT("application/x+json"), HD_LIT("{\"stock\":3,\"hr\":70}"));
    struct evt_doc *b = evt_doc_new(JSON, HD_LIT("{\"stock\":4,\"at\":\"b\"}"));
    const struct evt_published both[] = { { a, 1 }, { b, 2 } };
    struct evt_doc *doc = composed(&package, both, 2);
    assert_true(hd_slice_eq(doc->type, a->type));
    assert_true(hd_slice_eq(doc->body, HD_LIT("{\"stock\":7,\"hr\":70}")));
    evt_doc_unref(doc);
    doc = composed(&package, both + 1, 1);
    assert_true(hd_slice_eq(doc->body, b->body));
    evt_doc_unref(doc);
    evt_doc_unref(a);
    evt_doc_unref(b);
}

static void
what_is_not_json_cannot_be_composed_by_rules(void **state)
{
    (void)state;
    const struct evt_package package = ruled();
    struct evt_doc *a = evt_doc_new(HD_LIT("text/plain"), HD_LIT("{}")), *doc = NULL;
    const struct evt_published one[] = { { a, 1 } };
    assert_int_equal(pkg_generic_ops()->compose(&package, ENTITY, one, 1, &doc), HD_ESYNTAX);
    assert_null(doc);
    evt_doc_unref(a);
}

static void
a_value_that_the_rules_cannot_use_is_kept_and_told(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum hd_err err;
        bool told;
    } row[] = { { "{\"stock\":1}", HD_OK, false },       { "{\"stock\":null}", HD_OK, false },
                { "{\"stock\":\"many\"}", HD_OK, true }, { "[]", HD_OK, true },
                { "{\"stock\":1e300}", HD_OK, true },    { "{\"stock\":1e999}", HD_ESYNTAX, true },
                { "{\"stock\":NaN}", HD_ESYNTAX, true }, { "{", HD_ESYNTAX, true } };
    const struct evt_package package = ruled();
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const char *reason = NULL;
        const enum hd_err err =
            pkg_generic_ops()->validate(&package, JSON, hd_slice_str(row[i].body), &reason);
        if (err != row[i].err || (reason != NULL) != row[i].told)
            fail_msg("%s gave %s, %s", row[i].body, hd_err_text(err), reason ? reason : "nothing");
    }
}

static void
more_values_than_a_rule_may_look_at_are_refused(void **state)
{
    (void)state;
    static char body[70000];
    struct evt_package package = ruled();
    const char *reason = NULL;
    package.max_body = sizeof(body);
    memset(body, ',', sizeof(body));
    for (size_t i = 1; i < sizeof(body); i += 2)
        body[i] = '1';
    body[0] = '[';
    body[sizeof(body) - 1] = ']';
    body[sizeof(body) - 2] = ' ';
    assert_int_equal(
        pkg_generic_ops()->validate(&package, JSON, hd_slice(body, sizeof(body)), &reason),
        HD_ESYNTAX);
    assert_string_equal(reason, "JSON: too many values");
}

static void
a_patch_changes_json_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body, *patch;
        enum hd_err err;
        const char *patched;
    } row[] = {
        { "application/json", "{\"a\":1.0,\"b\":2}", "{\"b\":null,\"c\":3}", HD_OK,
          "{\"a\":1.0,\"c\":3}" },
        { "application/x+json;v=1", "[1]", "{\"a\":1}", HD_OK, "{\"a\":1}" },
        { "text/plain", "{}", "{\"a\":1}", HD_ENOTSUP, NULL },
        { "application/json", "{}", "{\"a\":1", HD_ESYNTAX, NULL },
        { "application/json", "{}", "{\"a\":1,\"a\":2}", HD_ESYNTAX, NULL },
        { "application/json", "{}", "", HD_ESYNTAX, NULL },
    };
    const struct evt_package package = declared(EVT_COMPOSE_LATEST);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct evt_doc *before = evt_doc_new(hd_slice_str(row[i].type), hd_slice_str(row[i].body));
        struct evt_doc *after = NULL;
        const char *reason = NULL;
        const enum hd_err err =
            pkg_generic_ops()->patch(&package, before, hd_slice_str(row[i].patch), &after, &reason);
        assert_int_equal(err, row[i].err);
        assert_int_equal(reason != NULL, err == HD_ESYNTAX);
        if (!err) {
            assert_true(hd_slice_eq(after->type, before->type));
            assert_true(hd_slice_eq(after->body, hd_slice_str(row[i].patched)));
        }
        evt_doc_unref(before);
        evt_doc_unref(after);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_checked_by_their_media_type),
        cmocka_unit_test(a_body_above_the_packages_bound_is_refused),
        cmocka_unit_test(latest_shows_the_newest_and_falls_back_when_it_goes),
        cmocka_unit_test(a_list_of_json_is_an_array),
        cmocka_unit_test(any_other_list_is_multipart_with_an_unquoted_boundary),
        cmocka_unit_test(a_boundary_that_occurs_in_a_body_is_not_used),
        cmocka_unit_test(the_same_publications_give_the_same_list),
        cmocka_unit_test(the_neutral_document_comes_from_the_configuration),
        cmocka_unit_test(rules_make_one_document_of_the_newest_ones_type),
        cmocka_unit_test(what_is_not_json_cannot_be_composed_by_rules),
        cmocka_unit_test(a_value_that_the_rules_cannot_use_is_kept_and_told),
        cmocka_unit_test(more_values_than_a_rule_may_look_at_are_refused),
        cmocka_unit_test(a_patch_changes_json_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
