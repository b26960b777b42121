/* watcherinfo_test.c - the document is what RFC 3858 says, whatever names the watchers have. */
#include "format/watcherinfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "format/xml_read.h"

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"0\" state=\"full\">\n"    \
    "<watcher-list resource=\"sip:bob@example.test\" package=\"presence\">\n"
#define TAIL "</watcher-list>\n</watcherinfo>\n"

static char *
written(const struct fmt_watcher *watchers, size_t n)
{
    struct hd_str out = { 0 };
    const char *reason = NULL;

    fmt_watcherinfo_write(HD_LIT("sip:bob@example.test"), HD_LIT("presence"), watchers, n, &out);
    assert_false(out.err);
    assert_int_equal(fmt_xml_check(hd_str_slice(&out), out.n, &reason), HD_OK);
    return hd_str_take(&out);
}

static struct fmt_watcher
watcher(const char *id, const char *uri, const char *name, const char *status)
{
    return (struct fmt_watcher){ .id = hd_slice_str(id),
                                 .uri = hd_slice_str(uri),
                                 .name = hd_slice_str(name),
                                 .status = hd_slice_str(status),
                                 .event = HD_LIT("subscribe") };
}

static void
a_list_of_none_and_of_two(void **state)
{
    const struct fmt_watcher two[] = { watcher("a1", "sip:ann@example.test", "Ann", "active"),
                                       watcher("b2", "sip:ben@example.test", "", "pending") };
    char *none = written(NULL, 0), *both = written(two, 2);

    (void)state;
    assert_string_equal(none, HEAD TAIL);
    assert_string_equal(both, HEAD "<watcher id=\"a1\" status=\"active\" event=\"subscribe\" "
                                   "display-name=\"Ann\">sip:ann@example.test</watcher>\n"
                                   "<watcher id=\"b2\" status=\"pending\" event=\"subscribe\">"
                                   "sip:ben@example.test</watcher>\n" TAIL);
    free(none);
    free(both);
}

static void
hostile_names_are_escaped_or_left_out(void **state)
{
    static const struct {
        const char *name;
        const char *shown; /* NULL: left out */
    } row[] = {
        { "\"><watcher id='x'", "&quot;&gt;&lt;watcher id='x'" },
        { "a&b", "a&amp;b" },
        { "J\xc3\xb6rg", "J\xc3\xb6rg" },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "a\x01", NULL },
        { "a\x7f", NULL },
        { "a\xc2\x85", NULL },        /* a control character of the upper half */
        { "a\xe2\x80\xaez", NULL },   /* turns what stands behind it */
        { "\xc0\xaf", NULL },         /* overlong */
        { "\xe0\x80\xaf", NULL },     /* overlong */
        { "\xf0\x80\x80\xaf", NULL }, /* overlong */
        { "\xed\xa0\x80", NULL },     /* a surrogate */
        { "\xef\xbf\xbf", NULL },     /* U+FFFF */
        { "\xf4\x90\x80\x80", NULL }, /* above U+10FFFF */
        { "\xff", NULL },
        { "cut \xe2\x82", NULL },
        { "\t", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        const struct fmt_watcher one =
            watcher("a", "sip:x\"<y>&z@example.test", row[i].name, "active");
        char *text = written(&one, 1), expected[256];
        assert_non_null(text);
        if (row[i].shown)
            (void)snprintf(expected, sizeof(expected), "event=\"subscribe\" display-name=\"%s\">",
                           row[i].shown);
        else
            (void)snprintf(expected, sizeof(expected), "event=\"subscribe\">");
        assert_non_null(strstr(text, expected));
        assert_null(strstr(text, "sip:x\"<"));
        free(text);
    }
}

static void
partial_has_what_changed(void **state)
{
    const struct fmt_watcher before[] = { watcher("a1", "sip:ann@example.test", "", "active"),
                                          watcher("b2", "sip:ben@example.test", "", "active") };
    const struct fmt_watcher after[] = { watcher("a1", "sip:ann@example.test", "", "active"),
                                         watcher("b2", "sip:ben@example.test", "", "terminated"),
                                         watcher("c3", "sip:cyd@example.test", "", "pending") };
    char *base = written(before, 2), *now = written(after, 3);
    struct hd_str out = { 0 };

    (void)state;
    assert_int_equal(fmt_watcherinfo_partial(hd_slice_str(base), hd_slice_str(now), &out), HD_OK);
    assert_non_null(strstr(hd_str_text(&out), "version=\"0\" state=\"partial\""));
    assert_null(strstr(hd_str_text(&out), "ann"));
    assert_non_null(strstr(hd_str_text(&out), "status=\"terminated\""));
    assert_non_null(strstr(hd_str_text(&out), "sip:cyd@"));
    hd_str_done(&out);
    /* Gone after its end was shown: nothing to say.  Gone without: the whole. */
    char *later = written(after, 1);
    assert_int_equal(fmt_watcherinfo_partial(hd_slice_str(base), hd_slice_str(later), &out),
                     HD_ENOTSUP);
    hd_str_done(&out);
    out = (struct hd_str){ 0 };
    char *ended = written(&after[1], 1), *empty = written(NULL, 0);
    assert_int_equal(fmt_watcherinfo_partial(hd_slice_str(ended), hd_slice_str(empty), &out),
                     HD_OK);
    hd_str_done(&out);
    free(base);
    free(now);
    free(later);
    free(ended);
    free(empty);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_none_and_of_two),
        cmocka_unit_test(hostile_names_are_escaped_or_left_out),
        cmocka_unit_test(partial_has_what_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
