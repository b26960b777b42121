#include "package/pkg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/package.h"

#define TYPE HD_LIT("application/simple-message-summary")
#define ENTITY HD_LIT("sip:2001@pbx.example")

static const struct evt_package package = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "message-summary", 15 },
    .max_body = 100,
    .compose = EVT_COMPOSE_OWN,
};

static void
assert_composed(const char *newest, const char *older, const char *want, bool same)
{
    const struct evt_package_ops *ops = pkg_message_summary_ops();
    struct evt_doc *a = evt_doc_new(TYPE, hd_slice_str(newest)), *doc = NULL;
    struct evt_doc *b = evt_doc_new(TYPE, hd_slice_str(older));
    const struct evt_published published[] = { { a, 9 }, { b, 1 } };
    assert_int_equal(ops->compose(&package, ENTITY, published, 2, &doc), HD_OK);
    assert_true(hd_slice_eq(doc->type, TYPE));
    if (!hd_slice_eq(doc->body, hd_slice_str(want)))
        fail_msg("composed: %.*s", HD_FMT(doc->body));
    assert_int_equal(doc == a, same);
    evt_doc_unref(doc);
    evt_doc_unref(a);
    evt_doc_unref(b);
}

static void
the_newest_publication_counts(void **state)
{
    (void)state;
    static const char newest[] =
        "Messages-Waiting: no\r\nMessage-Account: sip:box@vm.example\r\nVoice-Message: 0/1\r\n";
    assert_composed(newest, "Messages-Waiting: yes\r\nVoice-Message: 5/5\r\n", newest, true);
}

static void
the_account_is_supplied_and_message_headers_are_dropped(void **state)
{
    (void)state;
    assert_composed("Messages-Waiting: yes\nVoice-Message:2/8\n\nFrom: bob\n",
                    "Messages-Waiting: no",
                    "Messages-Waiting: yes\r\nMessage-Account: sip:2001@pbx.example\r\n"
                    "Voice-Message: 2/8\r\n",
                    false);
}

static void
bodies_are_accepted_or_refused_with_a_reason(void **state)
{
    (void)state;
    static const char filler[100] = "Messages-Waiting: yes\r\n\r\n";
    const struct evt_package_ops *ops = pkg_message_summary_ops();
    const char *reason = NULL;
    assert_int_equal(ops->validate(&package, TYPE, HD_LIT("Messages-Waiting: yes"), &reason),
                     HD_OK);
    assert_int_equal(ops->validate(&package, TYPE, hd_slice(filler, 100), &reason), HD_OK);
    assert_null(reason);
    assert_int_equal(ops->validate(&package, TYPE, HD_LIT("Messages-Waiting: ?"), &reason),
                     HD_ESYNTAX);
    assert_non_null(reason);
    reason = NULL;
    assert_int_equal(
        ops->validate(
            &package, TYPE,
            HD_LIT("Messages-Waiting: yes\r\nA: 1/1\r\nB: 1/1\r\nC: 1/1\r\nD: 1/1\r\nE: 1/1\r\n"
                   "F: 1/1\r\nG: 1/1\r\nH: 1/1\r\nI: 1/1\r\nJ: 1/1\r\n"),
            &reason),
        HD_ESYNTAX);
    assert_string_equal(reason, "the document is too large");
    assert_int_equal(ops->validate(&package,
                                   HD_LIT("application/simple-message-summary;charset=utf-16"),
                                   HD_LIT("Messages-Waiting: yes"), &reason),
                     HD_ENOTSUP);
}

static void
a_body_that_is_no_summary_cannot_be_composed(void **state)
{
    (void)state;
    struct evt_doc *a = evt_doc_new(TYPE, HD_LIT("x")), *doc = NULL;
    const struct evt_published published[] = { { a, 1 } };
    assert_int_equal(pkg_message_summary_ops()->compose(&package, ENTITY, published, 1, &doc),
                     HD_ESYNTAX);
    assert_null(doc);
    evt_doc_unref(a);
}

static void
nothing_published_means_no_messages(void **state)
{
    (void)state;
    struct evt_doc *doc = NULL;
    assert_int_equal(pkg_message_summary_ops()->neutral(&package, ENTITY, &doc), HD_OK);
    assert_true(hd_slice_eq(
        doc->body, HD_LIT("Messages-Waiting: no\r\nMessage-Account: sip:2001@pbx.example\r\n")));
    evt_doc_unref(doc);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_publication_counts),
        cmocka_unit_test(the_account_is_supplied_and_message_headers_are_dropped),
        cmocka_unit_test(bodies_are_accepted_or_refused_with_a_reason),
        cmocka_unit_test(a_body_that_is_no_summary_cannot_be_composed),
        cmocka_unit_test(nothing_published_means_no_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
