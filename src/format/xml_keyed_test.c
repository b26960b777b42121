/* xml_keyed_test.c - what changed between two lists, and when that cannot be said. */
#include "format/xml_keyed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NS "urn:x-list"
#define ROOT "<list xmlns=\"" NS "\" version=\"0\" state=\"full\">"
#define PARTIAL "<list xmlns=\"" NS "\" version=\"0\" state=\"partial\">"
#define END "</list>"
#define A(state) "<a id=\"1\"><s>" state "</s></a>"
#define B(state) "<a id=\"2\"><s>" state "</s></a>"
#define C(state) "<a id='x\"3'><s>" state "</s></a>"

static const struct fmt_xml_keyed flat = { .ns = { NS, sizeof(NS) - 1 },
                                           .name = { "a", 1 },
                                           .depth = 2,
                                           .over_child = { "s", 1 },
                                           .over = { "end", 3 },
                                           .say_gone = true };
static const struct fmt_xml_keyed deep = { .ns = { NS, sizeof(NS) - 1 },
                                           .name = { "a", 1 },
                                           .depth = 3,
                                           .over_attribute = { "s", 1 },
                                           .over = { "end", 3 } };

static const struct {
    const struct fmt_xml_keyed *keyed;
    const char *base, *now;
    const char *out; /* NULL: HD_ENOTSUP */
} row[] = {
    /* one of two changed; order is no change */
    { &flat, ROOT A("on") B("on") END, ROOT A("on") B("off") END, PARTIAL "\n" B("off") "\n" END },
    { &flat, ROOT A("on") B("on") END, ROOT B("on") A("on") END, PARTIAL "\n" END },
    /* new ones, the first ones of all too */
    { &flat, ROOT END, ROOT A("on") END, PARTIAL "\n" A("on") "\n" END },
    { &flat, ROOT B("on") END, ROOT A("on") B("on") END, PARTIAL "\n" A("on") "\n" END },
    /* gone: said once, unless it had ended before */
    { &flat, ROOT A("on") C("on") END, ROOT A("on") END, PARTIAL "\n" C("end") "\n" END },
    { &flat, ROOT A("on") C("end") END, ROOT A("on") END, PARTIAL "\n" END },
    { &flat, ROOT A("on") "<a id='2'/>" END, ROOT A("on") END,
      PARTIAL "\n<a id='2'><s>end</s></a>\n" END },
    /* the same id in other words */
    { &flat, ROOT "<a id=\"&#49;\"><s>on</s></a>" END, ROOT A("on") END,
      PARTIAL "\n" A("on") "\n" END },
    /* prefixes: names that are added are the holder's */
    { &flat, "<p:list xmlns:p='" NS "' state='full'><p:a id='1'/></p:list>",
      "<p:list xmlns:p='" NS "' state='full'></p:list>",
      "<p:list xmlns:p='" NS "' state='partial'>\n<p:a id='1'><p:s>end</p:s></p:a>\n</p:list>" },
    /* another holder, something besides, nowhere to put them */
    { &flat, ROOT A("on") END,
      "<list xmlns=\"" NS "\" version=\"0\" state=\"full\" x=\"1\">" A("on") END, NULL },
    { &flat, ROOT "<b/>" END, ROOT A("on") END, NULL },
    { &flat, ROOT A("on") END, ROOT "<b/>" END, NULL },
    { &flat, ROOT "<a/>" END, ROOT A("on") END, NULL },
    { &flat, ROOT END, "<list xmlns=\"" NS "\" state=\"full\"/>", NULL },
    { &flat, "<list xmlns=\"" NS "\">" END, "<list xmlns=\"" NS "\">" END, NULL },
    { &flat, "", ROOT END, NULL },
    { &flat, ROOT END, ROOT A("on"), NULL },
    /* in a list below the root; what is gone without an end cannot be said */
    { &deep, ROOT "<l><a id='1' s='on'/></l>" END, ROOT "<l><a id='1' s='end'/></l>" END,
      PARTIAL "<l>\n<a id='1' s='end'/>\n</l>" END },
    { &deep, ROOT "<l><a id='1' s='end'/></l>" END, ROOT "<l></l>" END, PARTIAL "<l>\n</l>" END },
    { &deep, ROOT "<l><a id='1' s='on'/></l>" END, ROOT "<l></l>" END, NULL },
    { &deep, ROOT "<l><a id='1' s='on'/></l><l></l>" END, ROOT "<l></l>" END, NULL },
    { &deep, ROOT "<l n='1'></l>" END, ROOT "<l n='2'></l>" END, NULL },
    { &deep, ROOT END, ROOT END, NULL },
};

static void
changes_are_what_is_new_and_what_is_gone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct hd_str out = { 0 };
        const enum hd_err err = fmt_xml_keyed_changes(row[i].keyed, hd_slice_str(row[i].base),
                                                      hd_slice_str(row[i].now), &out);
        if (err != (row[i].out ? HD_OK : HD_ENOTSUP))
            print_error("row %zu: %d\n", i, (int)err);
        assert_int_equal(err, row[i].out ? HD_OK : HD_ENOTSUP);
        if (row[i].out)
            assert_string_equal(hd_str_text(&out), row[i].out);
        hd_str_done(&out);
    }
}

/* n elements with one that differs, in the order up or down. */
static void
many(struct hd_str *out, unsigned n, unsigned other, bool down)
{
    hd_str_add_str(out, ROOT);
    for (unsigned i = 0; i < n; i++) {
        const unsigned k = down ? n - 1 - i : i;
        hd_str_addf(out, "<a id=\"%u\"><s>%s</s></a>", k, k == other ? "off" : "on");
    }
    hd_str_add_str(out, END);
}

static void
a_long_list_changes_in_one_place(void **state)
{
    struct hd_str base = { 0 }, now = { 0 }, out = { 0 };

    (void)state;
    many(&base, 3000, 5000, false);
    many(&now, 3000, 1234, true);
    assert_int_equal(fmt_xml_keyed_changes(&flat, hd_str_slice(&base), hd_str_slice(&now), &out),
                     HD_OK);
    assert_string_equal(hd_str_text(&out), PARTIAL "\n<a id=\"1234\"><s>off</s></a>\n" END);
    hd_str_done(&base);
    hd_str_done(&now);
    hd_str_done(&out);
}

static void
the_version_is_the_roots(void **state)
{
    struct hd_slice digits;

    (void)state;
    assert_true(fmt_xml_root_version(HD_LIT("<a version='17'/>"), &digits));
    assert_true(hd_slice_eq(digits, HD_LIT("17")));
    assert_false(fmt_xml_root_version(HD_LIT("<a version='x'/>"), &digits));
    assert_false(fmt_xml_root_version(HD_LIT("<a/>"), &digits));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_what_is_new_and_what_is_gone),
        cmocka_unit_test(a_long_list_changes_in_one_place),
        cmocka_unit_test(the_version_is_the_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
