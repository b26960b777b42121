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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
