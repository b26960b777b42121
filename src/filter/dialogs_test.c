/* dialogs_test.c - filters by the dialogs that an Event header names (RFC 4235 section 3.2), alone
 * and with what a body says beside. */
#include <stdio.h>

#include "event/test_refuse.h"
#include "filter/test_filter.h"

#define DIALOG_TYPE "application/dialog-info+xml"
#define ROOT                                                                                       \
    "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" "      \
    "entity=\"sip:p@example.com\">"
#define PROLOG "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define HEAD PROLOG ROOT "\n" /* of what is chosen */
#define DIALOG(call, tag, state)                                                                   \
    "<dialog id=\"" call tag "\" call-id=\"" call "\" local-tag=\"l\" remote-tag=\"" tag           \
    "\"><state>" state "</state><local/></dialog>"
#define DOC(first, second)                                                                         \
    ROOT DIALOG("c", "r1", first) DIALOG("c", "r2", second)                                        \
        DIALOG("x", "r1", "trying") "</dialog-"                                                    \
                                    "info>"
#define FILTER(inside)                                                                             \
    "<filter-set xmlns=\"urn:ietf:params:xml:ns:simple-filter\" package=\"dialog\"><ns-bindings>"  \
    "<ns-binding prefix=\"d\" urn=\"urn:ietf:params:xml:ns:dialog-info\"/></ns-bindings>"          \
    "<filter id=\"f\">" inside "</filter></filter-set>"
#define WHAT FILTER("<what><include>/d:dialog-info/d:dialog/d:state</include></what>")
#define TRIGGER FILTER("<trigger><changed>/d:dialog-info/d:dialog/d:state</changed></trigger>")

static const struct sip_dialog_id none = { { 0 }, { 0 }, { 0 } };
static const struct sip_dialog_id both = { { "c", 1 }, { "l", 1 }, { NULL, 0 } };
static const struct sip_dialog_id second = { { "c", 1 }, { "l", 1 }, { "r2", 2 } };

static enum hd_err
make_one(const struct evt_filter *before, const struct sip_dialog_id *dialog, const char *xml,
         struct evt_filter **ret_filter)
{
    struct evt_filter_request request = { .resource = HD_LIT(RESOURCE),
                                          .package = HD_LIT("dialog"),
                                          .dialog = dialog };

    if (before)
        request.before = before->source;
    if (xml) {
        request.type = HD_LIT(XML_TYPE);
        request.body = hd_slice_str(xml);
    }
    *ret_filter = NULL;
    return flt_filter_ops()->make(filters, &request, ret_filter, phrase);
}

static struct evt_filter *
made(const struct evt_filter *before, const struct sip_dialog_id *dialog, const char *xml)
{
    struct evt_filter *filter;

    assert_int_equal(make_one(before, dialog, xml, &filter), HD_OK);
    return filter;
}

/* What a filter leaves of a document. */
static void
leaves(const struct evt_filter *filter, const char *body, enum evt_chosen chosen,
       const char *wanted)
{
    struct evt_doc *doc = doc_of(DIALOG_TYPE, body), *left = NULL;
    enum evt_chosen got;

    assert_int_equal(flt_filter_ops()->cut(filters, filter, doc, &left, &got), HD_OK);
    assert_int_equal(got, chosen);
    if (wanted)
        assert_true(hd_slice_eq(left->body, hd_slice_str(wanted)));
    else
        assert_null(left);
    evt_doc_unref(left);
    evt_doc_unref(doc);
}

static void
the_same_dialogs_are_the_same_filter(void **state)
{
    struct evt_filter *one = made(NULL, &both, NULL), *same = made(NULL, &both, NULL);
    struct evt_filter *other = made(NULL, &second, NULL);

    (void)state;
    assert_ptr_equal(one, same);
    assert_ptr_not_equal(one, other);
    assert_true(one->chooses && one->partial);
    assert_false(one->cuts || one->triggers);
    assert_null(made(NULL, &none, NULL));
    assert_null(made(one, &none, NULL));             /* a refresh without them */
    struct evt_filter *kept = made(one, NULL, NULL); /* as the store has it */
    assert_ptr_equal(kept, one);
    filter_drop(kept);
    struct evt_filter *moved = made(one, &second, NULL);
    assert_ptr_equal(moved, other);
    filter_drop(moved);
    filter_drop(one);
    filter_drop(same);
    filter_drop(other);
}

static void
dialogs_are_what_is_left(void **state)
{
    struct evt_filter *one = made(NULL, &second, NULL), *two = made(NULL, &both, NULL);

    (void)state;
    leaves(one, DOC("early", "confirmed"), EVT_CHOSEN_LIVING,
           HEAD DIALOG("c", "r2", "confirmed") "\n</dialog-info>\n");
    leaves(two, DOC("terminated", "confirmed"), EVT_CHOSEN_LIVING,
           HEAD DIALOG("c", "r1", "terminated") "\n" DIALOG("c", "r2",
                                                            "confirmed") "\n"
                                                                         "</dialog-info>\n");
    leaves(two, DOC("terminated", "terminated"), EVT_CHOSEN_OVER,
           HEAD DIALOG("c", "r1", "terminated") "\n" DIALOG("c", "r2",
                                                            "terminated") "\n"
                                                                          "</dialog-info>\n");
    leaves(one, ROOT "</dialog-info>", EVT_CHOSEN_NONE, HEAD "</dialog-info>\n");
    leaves(one, "no document about dialogs", EVT_CHOSEN_NONE, NULL);
    filter_drop(one);
    filter_drop(two);
}

static void
a_body_says_what_is_shown_of_them_and_stays_when_they_change(void **state)
{
    struct evt_filter *one = made(NULL, &second, WHAT);

    (void)state;
    assert_true(one->chooses && one->cuts);
    assert_false(one->partial);
    leaves(one, DOC("early", "confirmed"), EVT_CHOSEN_LIVING,
           PROLOG ROOT "<dialog id=\"cr2\" call-id=\"c\" local-tag=\"l\" remote-tag=\"r2\">"
                       "<state>confirmed</state></dialog></dialog-info>\n");
    struct evt_filter *all = made(one, &none, NULL), *alone = made(NULL, &none, WHAT);
    assert_ptr_equal(all, alone);
    assert_false(all->chooses);
    filter_drop(one);
    filter_drop(all);
    filter_drop(alone);
}

static uint32_t
fires(struct bench *b, const char *before, const char *now)
{
    return bench_compare(b, DIALOG_TYPE, before, now);
}

static void
a_trigger_looks_at_them_alone(void **state)
{
    struct bench b = { .filter = made(NULL, &second, TRIGGER) };

    (void)state;
    b.state = malloc(b.filter->state_size);
    flt_begin(b.filter, b.state, 1);
    assert_int_equal(fires(&b, DOC("early", "early"), DOC("confirmed", "early")), 0);
    assert_int_equal(fires(&b, DOC("early", "early"), DOC("early", "confirmed")), 1);
    bench_end(&b);
}

static void
what_is_too_large_with_them_is_refused(void **state)
{
    char name[300], *text = malloc(EVT_FILTER_SOURCE_MOST + 1);
    struct evt_filter *filter;
    struct sip_dialog_id dialog = both;
    const size_t n = strlen(WHAT);

    (void)state;
    memset(name, 'n', sizeof(name));
    dialog.call_id = hd_slice(name, 255);
    memcpy(text, WHAT, n);
    memset(text + n, ' ', EVT_FILTER_SOURCE_MOST - n);
    text[EVT_FILTER_SOURCE_MOST - 100] = '\0';
    filter = made(NULL, &none, text);
    filter_drop(filter);
    assert_int_equal(make_one(NULL, &dialog, text, &filter), HD_EDENIED);
    assert_string_equal(phrase, "Bad Filter: too large");
    free(text);
}

static void
what_the_store_has_and_is_no_source_is_refused(void **state)
{
    static const struct {
        const char *octets;
        size_t n;
    } row[] = {
        { "D\0\0\0\0\0\0\0\1l\0\0\0\0", 14 },           /* no call-id */
        { "D\0\0\0\1c\0\0\0\0\0\0\0\0", 14 },           /* no to-tag */
        { "D\0\0\0\1c\0\0\0\1l", 11 },                  /* cut off */
        { "D\0\0\0\1c\0\0\0\1l\0\0\0\0W\0\0\0\0", 20 }, /* something behind it */
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct evt_filter before = { .source = { row[i].octets, row[i].n } };
        struct evt_filter *filter;
        assert_int_equal(make_one(&before, NULL, NULL, &filter), HD_ESYNTAX);
    }
}

static void
every_allocation_is_refused_once(void **state)
{
    bool was_refused = true;

    (void)state;
    for (unsigned n = 0; was_refused; n++) {
        struct evt_doc *doc = doc_of(DIALOG_TYPE, DOC("early", "early")), *left = NULL;
        struct evt_filter *filter = NULL;
        enum evt_chosen chosen;
        refuse_begin(n);
        enum hd_err err = make_one(NULL, &second, NULL, &filter);
        if (!err)
            err = flt_filter_ops()->cut(filters, filter, doc, &left, &chosen);
        was_refused = refuse_end();
        assert_true(err == HD_OK || (was_refused && err == HD_ENOMEM));
        assert_true(n > 4 || was_refused);
        evt_doc_unref(left);
        evt_doc_unref(doc);
        filter_drop(filter);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_dialogs_are_the_same_filter, filters_setup,
                                        filters_teardown),
        cmocka_unit_test_setup_teardown(dialogs_are_what_is_left, filters_setup, filters_teardown),
        cmocka_unit_test_setup_teardown(
            a_body_says_what_is_shown_of_them_and_stays_when_they_change, filters_setup,
            filters_teardown),
        cmocka_unit_test_setup_teardown(a_trigger_looks_at_them_alone, filters_setup,
                                        filters_teardown),
        cmocka_unit_test_setup_teardown(what_is_too_large_with_them_is_refused, filters_setup,
                                        filters_teardown),
        cmocka_unit_test_setup_teardown(what_the_store_has_and_is_no_source_is_refused,
                                        filters_setup, filters_teardown),
        cmocka_unit_test_setup_teardown(every_allocation_is_refused_once, filters_setup,
                                        filters_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
