/* rfc4661_test.c - the examples of RFC 4661, its expressions, and what "what" leaves of a document.
 */
#include "filter/test_filter.h"

#include <stdio.h>

#define SET(inside)                                                                                \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<filter-set xmlns=\"urn:ietf:params:xml:ns:simple-filter\">\n" inside "\n</filter-set>\n"
#define BINDINGS(inside) "<ns-bindings>\n" inside "\n</ns-bindings>\n"
#define BIND(prefix, urn) "<ns-binding prefix=\"" prefix "\" urn=\"" urn "\"/>\n"
#define PIDF BIND("pidf", "urn:ietf:params:xml:ns:pidf")
#define RPID BIND("rpid", "urn:ietf:params:xml:ns:pidf:rpid")

/* Section 6.1. */
#define EXAMPLE_1                                                                                  \
    SET(BINDINGS(                                                                                  \
        PIDF RPID) "<filter id=\"123\" uri=\"sip:presentity@example.com\">\n<what>\n"              \
                   "<include type=\"xpath\">\n /pidf:presence/pidf:tuple[rpid:class=\"IM\" or "    \
                   "rpid:class=\"SMS\"\n or rpid:class=\"MMS\"]/pidf:status/pidf:basic\n "         \
                   "</include>\n"                                                                  \
                   "</what>\n</filter>")
/* Section 6.2. */
#define EXAMPLE_2                                                                                  \
    SET(BINDINGS(PIDF) "<filter id=\"123\" uri=\"sip:presentity@example.com\">\n<trigger>\n"       \
                       "<changed from=\"CLOSED\" to=\"OPEN\">\n "                                  \
                       "/pidf:presence/pidf:tuple/pidf:status/pidf:basic\n "                       \
                       "</changed>\n</trigger>\n</filter>")
/* Section 6.3. */
#define WATCHER "/wi:watcherinfo/wi:watcher-list/wi:watcher"
#define EXAMPLE_3                                                                                  \
    SET(BINDINGS(BIND(                                                                             \
        "wi",                                                                                      \
        "urn:ietf:params:xml:ns:watcherinfo")) "<filter id=\"123\" "                               \
                                               "uri=\"sip:presentity@example.com\">\n<what>\n<"    \
                                               "include>\n " WATCHER                               \
                                               "[@status=\"pending\"\n or @status=\"waiting\"]\n " \
                                               "</include>\n</what>\n<trigger>\n"                  \
                                               "<changed to=\"pending\">\n " WATCHER               \
                                               "/@status\n</changed>\n</trigger>\n<trigger>\n"     \
                                               "<changed to=\"waiting\">\n " WATCHER               \
                                               "/@status\n</changed>\n</trigger>\n</filter>")
/* Section 6.4, for a resource that is no list. */
#define EXAMPLE_4                                                                                  \
    SET("<filter id=\"123\" uri=\"sip:presentity@example.com\">\n<what>\n"                         \
        "<include type=\"namespace\">\n urn:ietf:params:xml:ns:pidf\n </include>\n</what>\n"       \
        "</filter>")
/* Section 6.5: pidf is bound to nothing there. */
#define EXAMPLE_5                                                                                  \
    SET(BINDINGS(                                                                                  \
        BIND("game-ext",                                                                           \
             "urn:ietf:params:xml:ns:game-ext")) "<filter id=\"123\">\n<what>\n<include>\n "       \
                                                 "/pidf:presence/pidf:tuple/\n "                   \
                                                 "pidf:status[game-ext:label=\"game-X\"]\n "       \
                                                 "</include>\n</what>\n</filter>")
/* Section 6.6: the second filter is for another resource of a list, which is refused where there is
 * none. */
#define EXAMPLE_6_A                                                                                \
    "<filter id=\"8439\" uri=\"sip:presentity@example.com\">\n<what>\n<include>\n "                \
    "/pidf:presence/pidf:tuple[rpid:class=\"service\"]/pidf:status/\n pidf:basic\n </include>\n"   \
    "</what>\n</filter>\n"
#define EXAMPLE_6_B(uri)                                                                           \
    "<filter id=\"999\" uri=\"" uri "\">\n<what>\n<include type=\"namespace\">\n "                 \
    "urn:ietf:params:xml:ns:pidf\n </include>\n<exclude>\n /pidf:presence/pidf:tuple/pidf:note\n " \
    "</exclude>\n</what>\n</filter>"

#define PRESENCE(inside)                                                                           \
    "<?xml version=\"1.0\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "                    \
    "xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:g=\"urn:ietf:params:xml:ns:game-ext\" "    \
    "entity=\"pres:p@example.com\">" inside "</presence>"
#define TUPLE(id, basic, class)                                                                    \
    "<tuple id=\"" id "\"><status><basic>" basic                                                   \
    "</basic></status><r:class>" class "</r:class>"                                                \
                                       "<contact>sip:" id "@example.com</contact><note>note " id   \
                                       "</note></tuple>"

/* What a filter leaves of a document; NULL: nothing. */
static char *
cut(const char *filter_text, const char *body)
{
    struct evt_filter *filter = filter_make(XML_TYPE, filter_text, NULL, HD_OK);
    struct evt_doc *doc = doc_of("application/pidf+xml", body), *left = NULL;
    enum evt_chosen chosen;
    const char *reason = NULL;
    char *text = NULL;

    assert_true(filter->cuts);
    assert_int_equal(flt_filter_ops()->cut(filters, filter, doc, &left, &chosen), HD_OK);
    if (left) {
        assert_int_equal(fmt_xml_check(left->body, 65536, &reason), HD_OK);
        text = hd_slice_strdup(left->body);
    }
    evt_doc_unref(left);
    evt_doc_unref(doc);
    filter_drop(filter);
    return text;
}

static void
leaves(const char *filter, const char *body, const char *wanted)
{
    char *text = cut(filter, body);

    assert_non_null(text);
    assert_string_equal(text, wanted);
    free(text);
}

static void
a_status_is_shown_of_the_tuples_that_a_condition_names(void **state)
{
    (void)state;
    leaves(EXAMPLE_1,
           PRESENCE(TUPLE("a", "open", "IM") TUPLE("b", "closed", "voice")
                        TUPLE("c", "closed", "MMS")),
           PRESENCE("<tuple id=\"a\"><status><basic>open</basic></status></tuple>"
                    "<tuple id=\"c\"><status><basic>closed</basic></status></tuple>") "\n");
    assert_null(cut(EXAMPLE_1, PRESENCE(TUPLE("b", "closed", "voice"))));
}

static void
a_change_from_closed_to_open_triggers(void **state)
{
    struct bench b;
    const char *type = "application/pidf+xml";

    (void)state;
    bench_begin(&b, XML_TYPE, EXAMPLE_2);
    assert_true(b.filter->differs && b.filter->triggers && !b.filter->own && !b.filter->cuts);
    assert_int_equal(bench_compare(&b, type, PRESENCE(TUPLE("a", "closed", "")),
                                   PRESENCE(TUPLE("a", "open", ""))),
                     1);
    assert_int_equal(bench_compare(&b, type, PRESENCE(TUPLE("a", "open", "")),
                                   PRESENCE(TUPLE("a", "closed", ""))),
                     0);
    assert_int_equal(bench_compare(&b, type, PRESENCE(TUPLE("a", "open", "")),
                                   PRESENCE(TUPLE("a", "open", "x"))),
                     0);
    /* elements are known by their ids, wherever they stand */
    assert_int_equal(bench_compare(&b, type,
                                   PRESENCE(TUPLE("a", "closed", "") TUPLE("b", "open", "")),
                                   PRESENCE(TUPLE("b", "open", "") TUPLE("a", "closed", ""))),
                     0);
    bench_end(&b);
}

#define WI(inside)                                                                                 \
    "<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"0\" state=\"full\">"      \
    "<watcher-list resource=\"sip:p@example.com\" package=\"presence\">" inside                    \
    "</watcher-list></watcherinfo>"
#define W(id, status)                                                                              \
    "<watcher id=\"" id "\" event=\"subscribe\" status=\"" status "\">sip:" id                     \
    "@example.com</watcher>"

static void
watchers_that_wait_are_told_and_shown(void **state)
{
    struct bench b;
    const char *type = "application/watcherinfo+xml";

    (void)state;
    bench_begin(&b, XML_TYPE, EXAMPLE_3);
    assert_int_equal(bench_compare(&b, type, WI(W("a", "active")), WI(W("a", "pending"))), 1);
    assert_int_equal(
        bench_compare(&b, type, WI(W("a", "active")), WI(W("a", "active") W("b", "waiting"))), 2);
    assert_int_equal(bench_compare(&b, type, WI(W("a", "pending")), WI(W("a", "active"))), 0);
    bench_end(&b);
    leaves(EXAMPLE_3, WI(W("a", "active") W("b", "pending") W("c", "waiting")),
           WI(W("b", "pending") W("c", "waiting")) "\n");
}

static void
a_namespace_is_shown_without_the_others(void **state)
{
    (void)state;
    leaves(EXAMPLE_4, PRESENCE(TUPLE("a", "open", "IM") "<r:person/>"),
           PRESENCE("<tuple id=\"a\"><status><basic>open</basic></status>"
                    "<contact>sip:a@example.com</contact><note>note a</note></tuple>") "\n");
}

static void
a_prefix_that_everybody_knows_may_be_unbound(void **state)
{
    (void)state;
    leaves(EXAMPLE_5,
           PRESENCE("<tuple id=\"a\"><status><g:label>game-X</g:label></status></tuple>"
                    "<tuple id=\"b\"><status><g:label>game-Y</g:label></status></tuple>"),
           PRESENCE("<tuple id=\"a\"><status><g:label>game-X</g:label></status></tuple>") "\n");
    assert_null(filter_make(XML_TYPE,
                            SET("<filter id=\"1\"><what><include>/unheard:of</include></what>"
                                "</filter>"),
                            NULL, HD_EDENIED));
}

static void
an_exclude_takes_away_what_may_be_missing(void **state)
{
    (void)state;
    leaves(SET(BINDINGS(PIDF) EXAMPLE_6_B("sip:presentity@example.com")),
           PRESENCE(TUPLE("a", "open", "IM")),
           PRESENCE("<tuple id=\"a\"><status><basic>open</basic></status>"
                    "<contact>sip:a@example.com</contact></tuple>") "\n");
    /* status is obligatory in a tuple, and so is its id: these steps are taken back */
    leaves(SET(BINDINGS(PIDF) "<filter id=\"1\"><what><include>//pidf:tuple</include>"
                              "<exclude>//pidf:status</exclude><exclude>//pidf:tuple/@id</exclude>"
                              "<exclude type=\"namespace\">urn:ietf:params:xml:ns:pidf:rpid"
                              "</exclude></what></filter>"),
           PRESENCE("<tuple id=\"a\" r:x=\"1\"><status><basic>open</basic></status><r:class>IM"
                    "</r:class></tuple>"),
           PRESENCE("<tuple id=\"a\" r:x=\"1\"><status><basic>open</basic></status></tuple>") "\n");
    leaves(SET(BINDINGS(PIDF) "<filter id=\"1\"><what><include>//pidf:contact</include>"
                              "<exclude>//pidf:contact/@priority</exclude></what></filter>"),
           PRESENCE("<tuple id=\"a\"><status/><contact priority=\"1\">sip:a@b.c</contact></tuple>"),
           PRESENCE("<tuple id=\"a\"><status/><contact >sip:a@b.c</contact></tuple>") "\n");
}

static void
two_filters_for_one_resource_are_refused(void **state)
{
    (void)state;
    assert_null(filter_make(
        XML_TYPE, SET(BINDINGS(PIDF RPID) EXAMPLE_6_A EXAMPLE_6_B("sip:presentity@example.com")),
        NULL, HD_EDENIED));
    assert_null(filter_make(XML_TYPE,
                            SET(BINDINGS(PIDF RPID) EXAMPLE_6_A EXAMPLE_6_B("sip:bob@example.com")),
                            NULL, HD_EDENIED));
    filter_drop(filter_make(XML_TYPE, SET(BINDINGS(PIDF RPID) EXAMPLE_6_A), NULL, HD_OK));
}

static void
a_filter_for_the_resource_goes_before_one_for_its_domain(void **state)
{
    struct evt_filter *filter = filter_make(
        XML_TYPE,
        SET("<filter id=\"1\" domain=\"example.com\"><what><include>//a</include></what></filter>"
            "<filter id=\"2\"><trigger><changed>//b</changed></trigger></filter>"
            "<filter id=\"3\" domain=\"example.net\"><what><include>//c</include></what></filter>"),
        NULL, HD_OK);

    (void)state;
    assert_true(filter->triggers && !filter->cuts);
    struct evt_filter *off =
        filter_make(XML_TYPE, SET("<filter id=\"2\" enabled=\"false\"/>"), filter, HD_OK);
    assert_true(!off->triggers && off->cuts);
    struct evt_filter *gone =
        filter_make(XML_TYPE, SET("<filter id=\"1\" remove=\"true\"/>"), off, HD_OK);
    assert_true(!gone->triggers && !gone->cuts);
    filter_drop(filter);
    filter_drop(off);
    filter_drop(gone);
}

/* --- section 5 -------------------------------------------------------------------------------- */

static unsigned
selected(const char *path, const char *body)
{
    static const struct flt_bindings none = { 0 };
    struct fmt_xml_reader *reader = calloc(1, sizeof(*reader));
    struct fmt_xml_tree tree = { 0 };
    struct flt_xpath *xpath = NULL;
    const char *reason = "";
    uint8_t marks[64], spare[64];
    size_t at;

    assert_int_equal(fmt_xml_tree_read(&tree, reader, hd_slice_str(body)), HD_OK);
    assert_true(tree.n <= sizeof(marks));
    if (flt_xpath_compile(hd_slice_str(path), &none, &xpath, &reason, &at))
        fail_msg("%s: %s at %zu", path, reason, at);
    unsigned n = flt_xpath_select(xpath, &tree, marks, spare);
    flt_xpath_free(xpath);
    fmt_xml_tree_done(&tree);
    free(reader);
    return n;
}

static void
the_examples_of_references_select(void **state)
{
    static const char body[] =
        "<list><watcher duration-subscribed=\"400\" event=\"rejected\"/><tuple "
        "id=\"1\"><type>device"
        "</type><status><basic>open</basic></status></tuple><box><tuple id=\"2\"><type>x</type>"
        "<status><basic>open</basic></status></tuple></box><watcher duration-subscribed=\"600\"/>"
        "</list>";
    static const struct {
        const char *path;
        unsigned n;
    } row[] = {
        { "/list/tuple/status/basic", 1 },
        { "//tuple/status/basic", 2 },
        { "/*/watcher", 2 },
        { "//*[status/basic=\"open\"]", 2 },
        { "/list/tuple[*/basic=\"open\"]", 1 },
        { "//watcher[@duration-subscribed<500]", 1 },
        { "//watcher[@duration-subscribed > 500]", 1 },
        { "/*/watcher[@event=\"rejected\"]", 1 },
        { "//tuple[status/basic=\"open\" and type=\"device\"]", 1 },
        { "//tuple[status/basic=\"shut\" and type=\"device\" or type='x']", 1 },
        { "//watcher/@duration-subscribed", 2 },
        { "//watcher/@event", 1 },
        { "//@id", 2 },
        { "/list//@id", 2 },
        { "//basic[.=\"open\"]", 2 },
        { "//box//basic", 1 },
        { "/watcher", 0 },
        { "/list/basic", 0 },
        { "//*", 12 },
        { "/*", 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
        if (selected(row[i].path, body) != row[i].n)
            fail_msg("%s: %u", row[i].path, selected(row[i].path, body));
}

static void
what_is_no_expression_is_refused_with_its_place(void **state)
{
    static const struct flt_bindings none = { 0 };
    static const struct {
        const char *path;
        size_t at;
        enum hd_err err;
    } row[] = {
        { "", 0, HD_ESYNTAX },        { "a", 0, HD_ESYNTAX },
        { "/", 1, HD_ESYNTAX },       { "/a/", 3, HD_ESYNTAX },
        { "/a[", 3, HD_ESYNTAX },     { "/a[b]", 4, HD_ESYNTAX },
        { "/a[b=1", 6, HD_ESYNTAX },  { "/a[b=\"1]", 8, HD_ESYNTAX },
        { "/a[b<x]", 5, HD_ENOTSUP }, { "/a b", 3, HD_ESYNTAX },
        { "/x:a", 1, HD_ENOTSUP },    { "/a[count(b)=1]", 8, HD_ESYNTAX },
        { "/a/@b/c", 5, HD_ESYNTAX }, { "///a", 2, HD_ESYNTAX },
        { "/a[1]", 3, HD_ESYNTAX },   { "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", 33, HD_ENOTSUP },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct flt_xpath *xpath = NULL;
        const char *reason = "";
        size_t at = 0;
        enum hd_err err = flt_xpath_compile(hd_slice_str(row[i].path), &none, &xpath, &reason, &at);
        if (err != row[i].err || at != row[i].at)
            fail_msg("%s: %s: %s at %zu", row[i].path, hd_err_text(err), reason, at);
    }
}

/* A path of many "//" over a deep document costs steps times elements, and no more. */
static void
an_evil_path_is_cheap(void **state)
{
    char *body = malloc(20000), *p = body;
    struct fmt_xml_reader *reader = calloc(1, sizeof(*reader));
    struct fmt_xml_tree tree = { 0 };
    struct flt_xpath *xpath;
    const char *reason;
    size_t at;

    (void)state;
    for (int chains = 0; chains < 20; chains++) {
        p += snprintf(p, 4, "%s", chains ? "" : "<a>");
        for (int i = 0; i < 60; i++)
            p += snprintf(p, 4, "<a>");
        for (int i = 0; i < 60; i++)
            p += snprintf(p, 5, "</a>");
    }
    (void)snprintf(p, 5, "</a>");
    assert_int_equal(fmt_xml_tree_read(&tree, reader, hd_slice_str(body)), HD_OK);
    uint8_t *marks = malloc(tree.n), *spare = malloc(tree.n);
    assert_int_equal(
        flt_xpath_compile(HD_LIT("//a//a//a//a//a//a//a//a//a//a//a//a//a//a//*//nothing"), NULL,
                          &xpath, &reason, &at),
        HD_OK);
    for (int i = 0; i < 100; i++) /* with backtracking one of these would not end */
        assert_int_equal(flt_xpath_select(xpath, &tree, marks, spare), 0);
    flt_xpath_free(xpath);
    free(marks);
    free(spare);
    fmt_xml_tree_done(&tree);
    free(reader);
    free(body);
}

static void
elements_that_come_and_go_trigger(void **state)
{
    struct bench b;
    const char *type = "application/pidf+xml";

    (void)state;
    bench_begin(&b, XML_TYPE,
                SET(BINDINGS(PIDF) "<filter id=\"1\"><trigger><added>//pidf:tuple</added></trigger>"
                                   "<trigger><removed>//pidf:tuple</removed></trigger></filter>"));
    assert_int_equal(bench_compare(&b, type, PRESENCE(TUPLE("a", "open", "")),
                                   PRESENCE(TUPLE("a", "open", "") TUPLE("b", "open", ""))),
                     1);
    assert_int_equal(
        bench_compare(&b, type, PRESENCE(TUPLE("a", "open", "")), PRESENCE(TUPLE("b", "open", ""))),
        3);
    assert_int_equal(bench_compare(&b, type, PRESENCE(TUPLE("a", "open", "")), PRESENCE("")), 2);
    assert_int_equal(bench_compare(&b, type, PRESENCE(TUPLE("a", "open", "")),
                                   PRESENCE(TUPLE("a", "closed", ""))),
                     0);
    bench_end(&b);
}

/* Section 3.6.1.3: from 6, by 2: at 8 and above, at 4 and below. */
static void
by_is_a_distance_to_either_side(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(
        &b, XML_TYPE,
        SET("<filter id=\"1\"><trigger><changed by=\"2\">/a/b</changed></trigger></filter>"));
    assert_int_equal(bench_compare(&b, "text/xml", "<a><b>6</b></a>", "<a><b>7.9</b></a>"), 0);
    assert_int_equal(bench_compare(&b, "text/xml", "<a><b>6</b></a>", "<a><b>8</b></a>"), 1);
    assert_int_equal(bench_compare(&b, "text/xml", "<a><b>6</b></a>", "<a><b>4</b></a>"), 1);
    assert_int_equal(bench_compare(&b, "text/xml", "<a><b>6</b></a>", "<a><b>4.1</b></a>"), 0);
    bench_end(&b);
    assert_null(
        filter_make(XML_TYPE,
                    SET("<filter id=\"1\"><trigger><changed by=\"2\" to=\"x\">/a/b</changed>"
                        "</trigger></filter>"),
                    NULL, HD_EDENIED));
}

#define XML_TEST(name) cmocka_unit_test_setup_teardown(name, filters_setup, filters_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        XML_TEST(a_status_is_shown_of_the_tuples_that_a_condition_names),
        XML_TEST(a_change_from_closed_to_open_triggers),
        XML_TEST(watchers_that_wait_are_told_and_shown),
        XML_TEST(a_namespace_is_shown_without_the_others),
        XML_TEST(a_prefix_that_everybody_knows_may_be_unbound),
        XML_TEST(an_exclude_takes_away_what_may_be_missing),
        XML_TEST(two_filters_for_one_resource_are_refused),
        XML_TEST(a_filter_for_the_resource_goes_before_one_for_its_domain),
        XML_TEST(the_examples_of_references_select),
        XML_TEST(what_is_no_expression_is_refused_with_its_place),
        XML_TEST(an_evil_path_is_cheap),
        XML_TEST(elements_that_come_and_go_trigger),
        XML_TEST(by_is_a_distance_to_either_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
