#include "package/pkg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/package.h"

#define TYPE HD_LIT("application/pidf+xml")
#define ENTITY HD_LIT("sip:alice@example.test")
#define ROOT(entity) "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='" entity "'>"
#define TUPLE(id) "<tuple id='" id "'><status><basic>open</basic></status></tuple>"

static const struct hd_slice types[] = { { "application/pidf+xml", 20 } };
static const struct evt_package package = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "presence", 8 },
    .types = types,
    .n_types = 1,
    .max_body = 4096,
    .compose = EVT_COMPOSE_OWN,
};

static const struct evt_package_ops *
ops(void)
{
    return pkg_presence_ops();
}

static bool
contains(struct hd_slice s, const char *what)
{
    return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

static void
documents_are_accepted_or_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
        enum hd_err err;
    } row[] = {
        { "application/pidf+xml", ROOT("pres:a@b") TUPLE("t") "</presence>", HD_OK },
        { "application/pidf+xml;charset=\"UTF-8\"", ROOT("pres:a@b") "</presence>", HD_OK },
        { "application/pidf+xml;charset=iso-8859-1", ROOT("pres:a@b") "</presence>", HD_ENOTSUP },
        { "application", ROOT("pres:a@b") "</presence>", HD_ENOTSUP },
        { "application/pidf+xml", "", HD_ESYNTAX },
        { "application/pidf+xml", "<presence/>", HD_ESYNTAX },
        { "application/pidf+xml", ROOT("pres:a@b"), HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const char *reason = NULL;
        const enum hd_err err = ops()->validate(&package, hd_slice_str(row[i].type),
                                                hd_slice_str(row[i].body), &reason);
        if (err != row[i].err || (err == HD_OK) != (reason == NULL))
            fail_msg("row %zu gave %s", i, hd_err_text(err));
    }
}

static void
a_document_above_the_packages_bound_is_refused(void **state)
{
    (void)state;
    char body[4097];
    const char *reason = NULL;
    memset(body, ' ', sizeof(body));
    memcpy(body, ROOT("pres:a@b") "</presence>", sizeof(ROOT("pres:a@b") "</presence>") - 1);
    assert_int_equal(ops()->validate(&package, TYPE, hd_slice(body, 4096), &reason), HD_OK);
    assert_int_equal(ops()->validate(&package, TYPE, hd_slice(body, 4097), &reason), HD_ESYNTAX);
    assert_non_null(reason);
}

static void
one_publication_about_the_entity_is_shown_as_it_is(void **state)
{
    (void)state;
    struct evt_doc *in = evt_doc_new(TYPE, HD_LIT(ROOT("pres:alice@example.test") "</presence>"));
    const struct evt_published published[] = { { in, 1 } };
    struct evt_doc *doc = NULL;
    assert_int_equal(ops()->compose(&package, ENTITY, published, 1, &doc), HD_OK);
    assert_ptr_equal(doc, in);
    evt_doc_unref(doc);
    evt_doc_unref(in);
}

static void
several_publications_become_one_document(void **state)
{
    (void)state;
    struct evt_doc *a =
        evt_doc_new(TYPE, HD_LIT(ROOT("pres:alice@example.test") TUPLE("t") "</presence>"));
    struct evt_doc *b =
        evt_doc_new(TYPE, HD_LIT(ROOT("sip:alice@192.0.2.1") TUPLE("t") "</presence>"));
    const struct evt_published published[] = { { a, 1 }, { b, 2 } };
    struct evt_doc *doc = NULL;
    const char *reason;
    assert_int_equal(ops()->compose(&package, ENTITY, published, 2, &doc), HD_OK);
    assert_true(hd_slice_eq(doc->type, TYPE));
    assert_true(contains(doc->body, "entity=\"sip:alice@example.test\""));
    assert_true(contains(doc->body, "id=\"t\""));
    assert_true(contains(doc->body, "id=\"t-00000002\""));
    assert_int_equal(ops()->validate(&package, TYPE, doc->body, &reason), HD_OK);
    evt_doc_unref(doc);
    evt_doc_unref(a);
    evt_doc_unref(b);
}

static void
the_same_publications_give_the_same_document(void **state)
{
    (void)state;
    struct evt_doc *a = evt_doc_new(TYPE, HD_LIT(ROOT("sip:x@y") TUPLE("t") "</presence>"));
    const struct evt_published published[] = { { a, 1 }, { a, 2 } };
    struct evt_doc *one = NULL, *two = NULL;
    assert_int_equal(ops()->compose(&package, ENTITY, published, 2, &one), HD_OK);
    assert_int_equal(ops()->compose(&package, ENTITY, published, 2, &two), HD_OK);
    assert_true(hd_slice_eq(one->body, two->body));
    evt_doc_unref(one);
    evt_doc_unref(two);
    evt_doc_unref(a);
}

static void
what_cannot_be_composed_is_said_so(void **state)
{
    (void)state;
    struct evt_doc *a = evt_doc_new(TYPE, HD_LIT("<presence"));
    const struct evt_published published[] = { { a, 1 }, { a, 2 } };
    struct evt_doc *doc = NULL;
    assert_int_equal(ops()->compose(&package, ENTITY, published, 2, &doc), HD_ESYNTAX);
    assert_null(doc);
    evt_doc_unref(a);
}

static void
nothing_published_shows_closed(void **state)
{
    (void)state;
    struct evt_doc *doc = NULL;
    const char *reason;
    assert_int_equal(ops()->neutral(&package, ENTITY, &doc), HD_OK);
    assert_true(contains(doc->body, "<basic>closed</basic>"));
    assert_int_equal(ops()->validate(&package, doc->type, doc->body, &reason), HD_OK);
    evt_doc_unref(doc);
}

static void
packages_are_found_by_their_exact_name(void **state)
{
    (void)state;
    assert_ptr_equal(pkg_find_builtin(HD_LIT("presence")), pkg_presence_ops());
    assert_ptr_equal(pkg_find_builtin(HD_LIT("message-summary")), pkg_message_summary_ops());
    assert_null(pkg_find_builtin(HD_LIT("Presence")));
    assert_null(pkg_find_builtin(HD_LIT("presence.winfo")));
    assert_null(pkg_find_builtin(HD_LIT("")));
    assert_ptr_equal(pkg_ops(HD_LIT("presence")), pkg_presence_ops());
    assert_ptr_equal(pkg_ops(HD_LIT("x-inventory")), pkg_generic_ops());
    assert_true(hd_slice_eq(pkg_default_type(HD_LIT("presence")), TYPE));
    assert_int_equal(pkg_default_type(HD_LIT("x-inventory")).n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_accepted_or_refused_with_a_reason),
        cmocka_unit_test(a_document_above_the_packages_bound_is_refused),
        cmocka_unit_test(one_publication_about_the_entity_is_shown_as_it_is),
        cmocka_unit_test(several_publications_become_one_document),
        cmocka_unit_test(the_same_publications_give_the_same_document),
        cmocka_unit_test(what_cannot_be_composed_is_said_so),
        cmocka_unit_test(nothing_published_shows_closed),
        cmocka_unit_test(packages_are_found_by_their_exact_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
