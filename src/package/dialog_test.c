#include "package/pkg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/package.h"
#include "format/dialoginfo.h"

#define TYPE HD_LIT("application/dialog-info+xml")
#define ENTITY HD_LIT("sip:bob@example.test")
#define ROOT(version, entity)                                                                      \
    "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='" version                    \
    "' state='full' entity='" entity "'>"
#define DIALOG(id) "<dialog id='" id "'><state>confirmed</state></dialog>"

static const struct hd_slice types[] = { { "application/dialog-info+xml", 27 } };
static const struct evt_package package = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "dialog", 6 },
    .types = types,
    .n_types = 1,
    .max_body = 4096,
    .compose = EVT_COMPOSE_OWN,
};

static const struct evt_package_ops *
ops(void)
{
    return pkg_dialog_ops();
}

static void
the_package_is_built_in(void **state)
{
    (void)state;
    assert_ptr_equal(pkg_find_builtin(HD_LIT("dialog")), pkg_dialog_ops());
    assert_true(hd_slice_eq(pkg_default_type(HD_LIT("dialog")), TYPE));
}

static void
documents_are_accepted_or_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
        enum hd_err err;
    } row[] = {
        { "application/dialog-info+xml", ROOT("0", "sip:a@b") DIALOG("d") "</dialog-info>", HD_OK },
        { "application/dialog-info+xml;charset=utf-8", ROOT("7", "sip:a@b") "</dialog-info>",
          HD_OK },
        { "application/dialog-info+xml;charset=iso-8859-1", ROOT("7", "sip:a@b") "</dialog-info>",
          HD_ENOTSUP },
        { "application/dialog-info+xml", "", HD_ESYNTAX },
        { "application/dialog-info+xml", ROOT("0", "sip:a@b"), HD_ESYNTAX },
        { "application/dialog-info+xml", ROOT("x", "sip:a@b") "</dialog-info>", HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const char *reason = NULL;
        const enum hd_err err = ops()->validate(&package, hd_slice_str(row[i].type),
                                                hd_slice_str(row[i].body), &reason);
        if (err != row[i].err || (err == HD_OK) != (reason == NULL))
            fail_msg("row %zu gave %s", i, hd_err_text(err));
    }
}

static struct evt_doc *
composed(const char *one, const char *two)
{
    struct evt_published published[2] = { { NULL, 2 }, { NULL, 1 } };
    struct evt_doc *doc = NULL;
    published[0].doc = evt_doc_new(TYPE, hd_slice_str(one));
    published[1].doc = two ? evt_doc_new(TYPE, hd_slice_str(two)) : NULL;
    assert_int_equal(ops()->compose(&package, ENTITY, published, two ? 2 : 1, &doc), HD_OK);
    evt_doc_unref(published[0].doc);
    evt_doc_unref(published[1].doc);
    return doc;
}

static void
one_publication_of_version_0_is_passed_on_as_it_is(void **state)
{
    (void)state;
    static const char text[] = ROOT("0", "sip:bob@example.test") "<!-- c --></dialog-info>";
    struct evt_doc *doc = composed(text, NULL);
    assert_true(hd_slice_eq(doc->body, hd_slice_str(text)));
    evt_doc_unref(doc);
}

/* A phone numbers its documents; to watchers that is no news. */
static void
another_version_makes_no_other_event_state(void **state)
{
    (void)state;
    struct evt_doc *seven =
        composed(ROOT("7", "sip:bob@example.test") DIALOG("d") "</dialog-info>", NULL);
    struct evt_doc *eight =
        composed(ROOT("8", "sip:bob@example.test") DIALOG("d") "</dialog-info>", NULL);
    assert_true(hd_slice_eq(seven->body, eight->body));
    assert_true(hd_slice_eq(seven->type, TYPE));
    evt_doc_unref(seven);
    evt_doc_unref(eight);
}

static void
a_document_about_somebody_else_is_made_about_the_resource(void **state)
{
    (void)state;
    struct evt_doc *doc =
        composed(ROOT("0", "sip:eve@example.test") DIALOG("d") "</dialog-info>", NULL);
    assert_non_null(memmem(doc->body.p, doc->body.n, "entity=\"sip:bob@example.test\"", 29));
    assert_null(memmem(doc->body.p, doc->body.n, "eve", 3));
    evt_doc_unref(doc);
}

static void
every_document_has_a_hole_where_its_version_stands(void **state)
{
    (void)state;
    struct evt_doc *docs[3] = { NULL };
    docs[0] = composed(ROOT("0", "sip:bob@example.test") "</dialog-info>", NULL);
    docs[1] = composed(ROOT("7", "sip:bob@example.test") DIALOG("d") "</dialog-info>",
                       ROOT("3", "sip:bob@example.test") DIALOG("d") "</dialog-info>");
    assert_int_equal(ops()->neutral(&package, ENTITY, &docs[2]), HD_OK);
    for (size_t i = 0; i < HD_ARRAY_LEN(docs); i++) {
        struct hd_slice hole;
        assert_true(ops()->hole(&package, docs[i], &hole));
        assert_true(hd_slice_eq(hole, HD_LIT("0")));
        assert_true(hole.p > docs[i]->body.p && hole.p < docs[i]->body.p + docs[i]->body.n);
        assert_memory_equal(hole.p - 9, "version=", 8);
        evt_doc_unref(docs[i]);
    }
}

static void
what_was_kept_and_is_not_valid_is_shown_as_it_is(void **state)
{
    (void)state;
    struct evt_doc *doc = composed("<no", NULL);
    struct hd_slice hole;
    assert_true(hd_slice_eq(doc->body, HD_LIT("<no")));
    assert_false(ops()->hole(&package, doc, &hole));
    evt_doc_unref(doc);
}

static void
nobody_is_shown_a_session_description(void **state)
{
    static const char sdp[] =
        ROOT("0", "sip:bob@example.test") "<dialog id='d'><state>confirmed</state><local>"
                                          "<session-description type='application/sdp'>"
                                          "a=crypto:1</session-description></local></dialog>"
                                          "</dialog-info>";

    (void)state;
    for (unsigned two = 0; two <= 1; two++) {
        struct evt_doc *doc =
            composed(sdp, two ? ROOT("0", "sip:bob@example.test") "</dialog-info>" : NULL);
        assert_null(memmem(doc->body.p, doc->body.n, "crypto", 6));
        assert_non_null(memmem(doc->body.p, doc->body.n, "<local></local></dialog>", 24));
        assert_true(hd_slice_eq(doc->type, TYPE));
        evt_doc_unref(doc);
    }
}

/* Whatever cannot be made one document: the newest is shown, without them as well. */
static void
nobody_is_shown_a_session_description_of_what_is_too_much_for_one_document(void **state)
{
    enum { HALF = FMT_DIALOGINFO_MAX_COMPOSED / 2 + 1 };
    static const char row[] = "<dialog id='%u'><state>early</state><local><session-description>"
                              "a=crypto:1</session-description></local></dialog>";
    const size_t cap = 256 + HALF * (sizeof(row) + 8);
    char *text = malloc(cap);
    int n = snprintf(text, cap, "%s", ROOT("0", "sip:bob@example.test"));

    (void)state;
    for (unsigned i = 0; i < HALF; i++)
        n += snprintf(text + n, cap - (size_t)n, row, i);
    (void)snprintf(text + n, cap - (size_t)n, "</dialog-info>");
    struct evt_doc *doc = composed(text, text);
    assert_null(memmem(doc->body.p, doc->body.n, "crypto", 6));
    assert_non_null(memmem(doc->body.p, doc->body.n, "<dialog id='7'>", 15));
    evt_doc_unref(doc);
    free(text);
    /* Of what is no document at all nobody can say where they are. */
    doc = composed("<no session-description", NULL);
    assert_null(memmem(doc->body.p, doc->body.n, "session", 7));
    evt_doc_unref(doc);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_package_is_built_in),
        cmocka_unit_test(documents_are_accepted_or_refused_with_a_reason),
        cmocka_unit_test(one_publication_of_version_0_is_passed_on_as_it_is),
        cmocka_unit_test(another_version_makes_no_other_event_state),
        cmocka_unit_test(a_document_about_somebody_else_is_made_about_the_resource),
        cmocka_unit_test(every_document_has_a_hole_where_its_version_stands),
        cmocka_unit_test(nobody_is_shown_a_session_description),
        cmocka_unit_test(
            nobody_is_shown_a_session_description_of_what_is_too_much_for_one_document),
        cmocka_unit_test(what_was_kept_and_is_not_valid_is_shown_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
