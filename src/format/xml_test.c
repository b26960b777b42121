#include "format/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"

#define L(literal) HD_LIT(literal)
#define MAX 65536

static enum hd_err
guard(struct hd_slice text)
{
    const char *reason = NULL;
    const enum hd_err err = fmt_xml_guard(text, MAX, &reason);
    assert_true((err == HD_OK) == (reason == NULL));
    return err;
}

static enum hd_err
check(struct hd_slice text)
{
    const char *reason = NULL;
    struct fmt_xml *xml = fmt_xml_new();
    assert_non_null(xml);
    const enum hd_err err = fmt_xml_check(xml, text, MAX, &reason);
    assert_true((err == HD_OK) == (reason == NULL));
    fmt_xml_free(xml);
    return err;
}

/* Both the guard and the parser behind it say the same. */
static void
plain_documents_pass(void **state)
{
    (void)state;
    static const char *const good[] = {
        "<a/>",
        "<a></a>",
        "<a ></a >",
        "\xef\xbb\xbf<a/>",
        "<?xml version='1.0'?><a/>",
        "<?xml version=\"1.0\" encoding=\"utf-8\" standalone='yes' ?>\r\n<a/>\r\n",
        "<?xml version=\"1.0\" encoding=\"US-ASCII\"?><a/>",
        "<?xml-stylesheet href='x'?><a/>",
        "<!-- <!DOCTYPE no> --><a><![CDATA[<!ENTITY]]></a><?pi < ?>",
        "<p:a xmlns:p='urn:x' p:b = \"'>'\" c='\"'><p:d e=''/>&lt;&#65;</p:a>",
        "<\xc3\xa9l\xc3\xa9ment>\xc3\xa9</\xc3\xa9l\xc3\xa9ment>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(good); i++) {
        if (guard(hd_slice_str(good[i])) != HD_OK || check(hd_slice_str(good[i])) != HD_OK)
            fail_msg("refused: %s", good[i]);
    }
}

static void
the_guard_refuses_what_must_not_reach_the_parser(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "text",
        "<",
        "<a",
        "<a>",
        "</a>",
        "<a></a></a>",
        "<a/><b/>",
        "<a></a><b></b>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
        "<a><!ELEMENT b ANY></a>",
        "<!doctype a><a/>",
        "<a><!-- </a>",
        "<a><![CDATA[ </a>",
        "<a><?pi </a>",
        "<a b/>",
        "<a b=/>",
        "<a b=c/>",
        "<a b='c/>",
        "<a b='c'd='e'/>",
        "<a b='<'/>",
        "<a = 'b'/>",
        "<a/ >",
        "< a/>",
        "<a></ a>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
        "<?xml version='1.0' encoding=UTF-8?><a/>",
        "<?xml version='1.0'",
        "\xff\xfe<a/>",
        "\xfe\xff<a/>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
        if (guard(hd_slice_str(bad[i])) != HD_ESYNTAX)
            fail_msg("row %zu passed: %s", i, bad[i]);
    assert_int_equal(guard(L("<a>\0</a>")), HD_ESYNTAX);
    assert_int_equal(guard(L("<\0a\0/\0>\0")), HD_ESYNTAX);
}

static void
the_parser_refuses_what_the_guard_lets_through(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "<a>&b;</a>",
        "<a></b>",
        "<a b='1' b='2'/>",
        "<p:a/>",
        "<a>\xff</a>",
        "<a>\x01</a>",
        "<a/>text",
        "<1/>",
        "<a>&#0;</a>",
        "<a><!-- -- --></a>",
        " <?xml version='1.0'?><a/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
        if (check(hd_slice_str(bad[i])) != HD_ESYNTAX)
            fail_msg("row %zu passed: %s", i, bad[i]);
}

static void
depth_is_limited(void **state)
{
    (void)state;
    for (unsigned depth = FMT_XML_MAX_DEPTH - 1; depth <= FMT_XML_MAX_DEPTH + 1; depth++) {
        struct hd_str text;
        hd_str_init(&text);
        for (unsigned i = 1; i < depth; i++)
            hd_str_add_str(&text, "<a>");
        hd_str_add_str(&text, "<b/>");
        for (unsigned i = 1; i < depth; i++)
            hd_str_add_str(&text, "</a>");
        assert_int_equal(guard(hd_str_slice(&text)),
                         depth > FMT_XML_MAX_DEPTH ? HD_ESYNTAX : HD_OK);
        hd_str_done(&text);
    }
}

static void
write_attributes(struct hd_str *text, const char *prefix, unsigned n)
{
    hd_str_add_str(text, "<a");
    for (unsigned i = 0; i < n; i++) {
        hd_str_add_str(text, " ");
        hd_str_add(text, hd_slice_str(prefix));
        hd_str_add_u64(text, i);
        hd_str_add_str(text, "='x'");
    }
    hd_str_add_str(text, "/>");
}

static void
attributes_in_a_tag_are_limited(void **state)
{
    (void)state;
    struct hd_str text;
    hd_str_init(&text);
    write_attributes(&text, "b", FMT_XML_MAX_ATTRIBUTES);
    assert_int_equal(check(hd_str_slice(&text)), HD_OK);
    text.n = 0;
    write_attributes(&text, "b", FMT_XML_MAX_ATTRIBUTES + 1);
    assert_int_equal(guard(hd_str_slice(&text)), HD_ESYNTAX);
    hd_str_done(&text);
}

static void
namespace_declarations_are_limited(void **state)
{
    (void)state;
    struct hd_str text;
    hd_str_init(&text);
    hd_str_add_str(&text, "<r>");
    for (unsigned i = 0; i < FMT_XML_MAX_NAMESPACES / 64; i++)
        write_attributes(&text, "xmlns:b", 64);
    const size_t n = text.n;
    hd_str_add_str(&text, "</r>");
    assert_int_equal(check(hd_str_slice(&text)), HD_OK);
    text.n = n;
    hd_str_add_str(&text, "<a xmlns='x'/></r>");
    assert_int_equal(guard(hd_str_slice(&text)), HD_ESYNTAX);
    hd_str_done(&text);
}

static void
size_is_limited(void **state)
{
    (void)state;
    const char *reason = NULL;
    assert_int_equal(fmt_xml_guard(L("<a/>"), 4, &reason), HD_OK);
    assert_int_equal(fmt_xml_guard(L("<a/>"), 3, &reason), HD_ESYNTAX);
    assert_non_null(reason);
}

static void
a_context_is_good_again_after_a_failure(void **state)
{
    (void)state;
    const char *reason = NULL;
    struct fmt_xml *xml = fmt_xml_new();
    assert_int_equal(fmt_xml_check(xml, L("<a>"), MAX, &reason), HD_ESYNTAX);
    assert_int_equal(fmt_xml_check(xml, L("<a>&b;</a>"), MAX, &reason), HD_ESYNTAX);
    assert_string_equal(reason, "an entity that is not defined");
    assert_int_equal(fmt_xml_check(xml, L("<a/>"), MAX, &reason), HD_OK);
    fmt_xml_free(xml);
    assert_null(fmt_xml_free(NULL));
}

static void
an_attribute_of_the_root_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value;
    } row[] = {
        { "<a entity='x'/>", "x" },
        { "<?xml version='1.0'?><!-- <a entity='no'> --><p:a b='c' entity=\"y&amp;z\" >",
          "y&amp;z" },
        { "<a entity=''/>", "" },
        { "<a p:entity='x'><b entity='no'/></a>", NULL },
        { "<a/>", NULL },
        { "", NULL },
        { "<", NULL },
        { "<a entity='x'", NULL },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_slice value = { 0 };
        const enum hd_err err =
            fmt_xml_root_attribute(hd_slice_str(row[i].text), L("entity"), &value);
        assert_int_equal(err, row[i].value ? HD_OK : HD_ENOMATCH);
        if (row[i].value)
            assert_true(hd_slice_eq(value, hd_slice_str(row[i].value)));
    }
}

static void
text_is_escaped_for_xml(void **state)
{
    (void)state;
    struct hd_str text;
    hd_str_init(&text);
    fmt_xml_escape(&text, L("a<b>&\"\r\n\tc'"));
    assert_true(hd_slice_eq(hd_str_slice(&text), L("a&lt;b&gt;&amp;&quot;&#13;&#10;&#9;c'")));
    hd_str_done(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_documents_pass),
        cmocka_unit_test(the_guard_refuses_what_must_not_reach_the_parser),
        cmocka_unit_test(the_parser_refuses_what_the_guard_lets_through),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(attributes_in_a_tag_are_limited),
        cmocka_unit_test(namespace_declarations_are_limited),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(a_context_is_good_again_after_a_failure),
        cmocka_unit_test(an_attribute_of_the_root_is_found),
        cmocka_unit_test(text_is_escaped_for_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
