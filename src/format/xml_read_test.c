#include "format/xml_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"
#include "format/xml_char.h"

#define L(literal) HD_LIT(literal)
#define MAX 65536

/* The document stands in a block of its exact size, so that the sanitizer sees a read behind it. */
static enum hd_err
check(struct hd_slice text)
{
    const char *reason = NULL;
    char *copy = malloc(text.n ? text.n : 1);
    assert_non_null(copy);
    if (text.n)
        memcpy(copy, text.p, text.n);
    const enum hd_err err = fmt_xml_check(hd_slice(copy, text.n), MAX, &reason);
    assert_true((err == HD_OK) == (reason == NULL));
    free(copy);
    return err;
}

static void
the_table_of_octets_says_what_the_productions_say(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const char octet = (char)c;
        const bool low = c < 0x80, letter = low && ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        const bool digit = c >= '0' && c <= '9', blank = c && c < 0x80 && strchr(" \t\r\n", (int)c);
        const bool legal = low && fmt_xml_is_char(c);
        assert_int_equal(fmt_octet_is(octet, FMT_OCTET_BLANK), blank);
        assert_int_equal(fmt_octet_is(octet, FMT_OCTET_CHAR), legal);
        assert_int_equal(fmt_octet_is(octet, FMT_OCTET_NAME_START), letter || c == '_');
        assert_int_equal(fmt_octet_is(octet, FMT_OCTET_NAME),
                         letter || digit || c == '_' || c == '-' || c == '.');
        assert_int_equal(fmt_octet_is(octet, FMT_OCTET_TEXT), legal && !strchr("<&]", (int)c));
        assert_int_equal(fmt_octet_is(octet, FMT_OCTET_VALUE),
                         legal && !strchr("<&\"'\t\r\n", (int)c));
        assert_int_equal(fmt_octet_is(octet, FMT_OCTET_URI),
                         letter || digit || (legal && c && strchr("-._~!$'()*+,;=:/?@", (int)c)));
    }
}

static void
well_formed_documents_pass(void **state)
{
    (void)state;
    static const char *const good[] = {
        "<a/>",
        "<a></a>",
        "<a ></a >",
        "<a\t\r\n/>",
        " \t\r\n<a/> \t\r\n",
        "\xef\xbb\xbf<a/>",
        "\xef\xbb\xbf<?xml version='1.0'?><a/>",
        "<?xml version='1.0'?><a/>",
        "<?xml version='1.1' ?><a/>",
        "<?xml\tversion = '1.0'\nencoding = \"utf-8\"\rstandalone = 'no'\t?><a/>",
        "<?xml version=\"1.0\" encoding=\"utf-8\" standalone='yes' ?>\r\n<a/>\r\n",
        "<?xml version='1.0' standalone='yes'?><a/>",
        "<?xml version=\"1.0\" encoding=\"US-ASCII\"?><a>&#233;</a>",
        "<?xml-stylesheet href='x'?><a/>",
        "<a/><?x?><!----><?y  z?>",
        "<a><?x ?y?></a>",
        "<!-- <!DOCTYPE no> --><a><![CDATA[<!ENTITY]]></a><?pi < ?>",
        "<a><!-- - - --><!-- -></a> --></a>",
        "<a><![CDATA[]]><![CDATA[]]]]><![CDATA[]>&b;]]></a>",
        "<a>]]</a>",
        "<a>]] > ]</a>",
        "<a>></a>",
        "<a>&lt;&gt;&amp;&quot;&apos;</a>",
        "<a>&#9;&#xA;&#xd;&#x20;&#xD7FF;&#xE000;&#xFFFD;&#x10000;&#x10FFFF;&#00000000065;</a>",
        "<a b='&lt;&#10;&#x41;'/>",
        "<a b='>' c='\"' d=\"'\" e=''/>",
        "<a b = 'c'\r\n\td\n=\n'e'/>",
        "<a b='\t\r\n'/>",
        "<a>\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd</a>",
        "<a>\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xf0\x9f\xbf\xbe</a>",
        "<\xc3\xa9l\xc3\xa9ment \xc3\xa9='\xc3\xa9'>\xc3\xa9</\xc3\xa9l\xc3\xa9ment>",
        "<a\xc2\xb7\xcc\x80-.0_/>",
        "<_/>",
        "<a.b-c_d1/>",
        "<xml/>",
        "<a xml='x'/>",
        "<a xml:lang='en' xml:space='odd'/>",
        "<xml:a/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<p:a xmlns:p='urn:x' p:b = \"'>'\" c='\"'><p:d e=''/>&lt;&#65;</p:a>",
        "<a xmlns=''/>",
        "<a xmlns='urn:x'><b xmlns=''/></a>",
        "<a xmlns:p='u' xmlns:q='v' p:b='' q:b='' b=''/>",
        "<a xmlns:p='u'><b xmlns:p='v' p:c=''/><p:b p:c=''/></a>",
        "<a p:b='' xmlns:p='u'/>",
        "<a xmlns='u' b='' xmlns:p='u' p:b=''/>",
        "<a xmlns='http://user:pw@host.example:5060/%7ex?y=z#frag'/>",
        "<a xmlns='http://host'/>",
        "<a xmlns='x/y:z'/>",
        "<a xmlns='/x'/>",
        "<a xmlns='http://3gpp.example/1.2.3.4'/>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(good); i++)
        if (check(hd_slice_str(good[i])) != HD_OK)
            fail_msg("row %zu refused: %s", i, good[i]);
}

static void
what_is_not_well_formed_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "text",
        "<",
        "<a",
        "<a>",
        "<a ",
        "<a/",
        "</a>",
        "</",
        "<a></",
        "<a></a",
        "<a></a></a>",
        "<a/><b/>",
        "<a></a><b></b>",
        "<a/>text",
        "text<a/>",
        "<a/>&#32;",
        "<a/><![CDATA[]]>",
        "<![CDATA[]]><a/>",
        "<a></b>",
        "<a></ab>",
        "<ab></a>",
        "<a></a\xc3\xa9>",
        "<a><b></a></b>",
        "<a></a b>",
        "<a></ a>",
        "< a/>",
        "<a/ >",
        "<a//>",
        "<1/>",
        "<-/>",
        "<./>",
        "<\xc2\xb7/>",
        "<a\xc3\x97/>",
        "<a&b;/>",
        "<a b/>",
        "<a b=/>",
        "<a b=c/>",
        "<a b='c/>",
        "<a b='c\"/>",
        "<a b='c'd='e'/>",
        "<a b='<'/>",
        "<a = 'b'/>",
        "<a 1='b'/>",
        "<a b='&'/>",
        "<a b='&c;'/>",
        "<a b='\x01'/>",
        "<a b='\xff'/>",
        "<a b='1' b='2'/>",
        "<a b='1' c='' b='2'/>",
        "<a>&</a>",
        "<a>&;</a>",
        "<a>&b;</a>",
        "<a>&lt</a>",
        "<a>&LT;</a>",
        "<a>& lt;</a>",
        "<a>&lt ;</a>",
        "<a>&#0;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#X41;</a>",
        "<a>&#6g;</a>",
        "<a>&#41</a>",
        "<a>&#31;</a>",
        "<a>&#xD800;</a>",
        "<a>&#xDFFF;</a>",
        "<a>&#xFFFE;</a>",
        "<a>&#xFFFF;</a>",
        "<a>&#x110000;</a>",
        "<a>&#4294967361;</a>",
        "<a>&#18446744073709551681;</a>",
        "<a>]]></a>",
        "<a>x]]]></a>",
        "<a>\x01</a>",
        "<a>\x0b</a>",
        "<a>\x1f</a>",
        "<a>\x80</a>",
        "<a>\xbf</a>",
        "<a>\xc0\x80</a>",
        "<a>\xc1\xbf</a>",
        "<a>\xc3</a>",
        "<a>\xc3(</a>",
        "<a>\xe0\x9f\xbf</a>",
        "<a>\xed\xa0\x80</a>",
        "<a>\xed\xbf\xbf</a>",
        "<a>\xef\xbf\xbe</a>",
        "<a>\xef\xbf\xbf</a>",
        "<a>\xf0\x8f\xbf\xbf</a>",
        "<a>\xf4\x90\x80\x80</a>",
        "<a>\xf5\x80\x80\x80</a>",
        "<a>\xff</a>",
        "<a>\xe2\x82",
        "<!-- \xff --><a/>",
        "<!-- \x01 --><a/>",
        "<a><!-- </a>",
        "<a><!-- -- --></a>",
        "<a><!-- ---></a>",
        "<a><!- --></a>",
        "<a><!--></a>",
        "<a><![CDATA[ </a>",
        "<a><![cdata[]]></a>",
        "<a><![CDATA[\x01]]></a>",
        "<a><?pi </a>",
        "<a><\?\?></a>",
        "<a><? pi?></a>",
        "<a><?pi=?></a>",
        "<a><?xml?></a>",
        "<a><?XmL version='1.0'?></a>",
        " <?xml version='1.0'?><a/>",
        "<?xml?><a/>",
        "<?xml ?><a/>",
        "<?xml version='1.0'",
        "<?xml version='1.0'>",
        "<?xml version='1.0' encoding='UTF-8'standalone='no'?><a/>",
        "<?xml version='1.0' standalone='no' encoding='UTF-8'?><a/>",
        "<?xml encoding='UTF-8'?><a/>",
        "<?xml version='1.0' version='1.0'?><a/>",
        "<?xml version=''?><a/>",
        "<?xml version='1.'?><a/>",
        "<?xml version='2.0'?><a/>",
        "<?xml version='1.0x'?><a/>",
        "<?xml version='1.0' standalone='maybe'?><a/>",
        "<?xml version='1.0' encoding=UTF-8?><a/>",
        "<?xml version='1.0' encoding=''?><a/>",
        "<?xml version='1.0' other='x'?><a/>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
        if (check(hd_slice_str(bad[i])) != HD_ESYNTAX)
            fail_msg("row %zu passed: %s", i, bad[i]);
    assert_int_equal(check(L("<a>\0</a>")), HD_ESYNTAX);
    assert_int_equal(check(L("<\0a\0/\0>\0")), HD_ESYNTAX);
    assert_int_equal(check(L("<a/>\0")), HD_ESYNTAX);
}

static void
names_without_a_sound_namespace_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "<p:a/>",
        "<a p:b=''/>",
        "<a><b xmlns:p='u'/><p:c/></a>",
        "<:a/>",
        "<a:/>",
        "<a xmlns:a='u' a:='x'/>",
        "<a :b='x'/>",
        "<a:b:c xmlns:a='u'/>",
        "<a:1 xmlns:a='u'/>",
        "<p:a xmlns:p='u'></a>",
        "<p:a xmlns:p='u' xmlns:q='u'></q:a>",
        "<a><?p:i?></a>",
        "<a xmlns:p=''/>",
        "<a xmlns:xmlns='u'/>",
        "<xmlns:a/>",
        "<a xmlns:='u'/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='u' xmlns='v'/>",
        "<a xmlns:p='u' xmlns:p='u'/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
        "<a xmlns:p='u'><b xmlns:q='u' p:b='' c='' q:b=''/></a>",
        "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<a xml:b='' xml:b=''/>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
        if (check(hd_slice_str(bad[i])) != HD_ESYNTAX)
            fail_msg("row %zu passed: %s", i, bad[i]);
}

/* XML allows all of these, or leaves them to the reader. */
static void
what_is_not_for_this_service_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
        "<a><!ELEMENT b ANY></a>",
        "<!doctype a><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
        "<?xml version='1.0' encoding='UTF8'?><a/>",
        "<?xml version='1.0' encoding='US-ASCII'?><a>\xc3\xa9</a>",
        "\xff\xfe<a/>",
        "\xfe\xff<a/>",
        "<a xmlns='a b'/>",
        "<a xmlns='a\nb'/>",
        "<a xmlns='&#97;'/>",
        "<a xmlns='urn:a&amp;b'/>",
        "<a xmlns='urn:\xc3\xa9'/>",
        "<a xmlns='urn:%4'/>",
        "<a xmlns='urn:%g0'/>",
        "<a xmlns='urn:a#b#c'/>",
        "<a xmlns='urn:[x]'/>",
        "<a xmlns=':x'/>",
        "<a xmlns='1:x'/>",
        "<a xmlns='a_b:x'/>",
        "<a xmlns='//x'/>",
        "<a xmlns='http://a:b/'/>",
        "<a xmlns='http://a:/'/>",
        "<a xmlns='http://a:123456/'/>",
        "<a xmlns='http://a@b@c/'/>",
        "<a xmlns='http://192.0.2.1/'/>",
        "<a xmlns='http://1.2.3.4x/'/>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
        if (check(hd_slice_str(bad[i])) != HD_ESYNTAX)
            fail_msg("row %zu passed: %s", i, bad[i]);
}

static void
a_document_that_stops_anywhere_is_refused(void **state)
{
    (void)state;
    static const char whole[] =
        "<?xml version='1.0' encoding='UTF-8'?><!-- c --><p:a xmlns:p='urn:x' b=\"&lt;&#65;\">"
        "text\xc3\xa9&amp;<![CDATA[ ]] ]]><?pi x?><b c='d'/></p:a>";
    assert_int_equal(check(hd_slice_str(whole)), HD_OK);
    for (size_t n = 0; n < sizeof(whole) - 1; n++)
        if (check(hd_slice(whole, n)) != HD_ESYNTAX)
            fail_msg("%zu octets passed", n);
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
        assert_int_equal(check(hd_str_slice(&text)),
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
    assert_int_equal(check(hd_str_slice(&text)), HD_ESYNTAX);
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
    assert_int_equal(check(hd_str_slice(&text)), HD_ESYNTAX);
    hd_str_done(&text);
}

static void
names_are_limited(void **state)
{
    (void)state;
    for (size_t n = FMT_XML_MAX_NAME; n <= FMT_XML_MAX_NAME + 1; n++) {
        struct hd_str text = { 0 };
        hd_str_add_char(&text, '<');
        for (size_t i = 0; i < n; i++)
            hd_str_add_char(&text, 'a');
        hd_str_add_str(&text, "/>");
        assert_int_equal(check(hd_str_slice(&text)), n > FMT_XML_MAX_NAME ? HD_ESYNTAX : HD_OK);
        hd_str_done(&text);
    }
}

static void
size_is_limited(void **state)
{
    (void)state;
    const char *reason = NULL;
    assert_int_equal(fmt_xml_check(L("<a/>"), 4, &reason), HD_OK);
    assert_int_equal(fmt_xml_check(L("<a/>"), 3, &reason), HD_ESYNTAX);
    assert_string_equal(reason, "the document is too large");
}

static void
reasons_say_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } row[] = {
        { "<!DOCTYPE a><a/>", "DOCTYPE, ENTITY and other declarations are not accepted" },
        { "<a>", "an element is not closed" },
        { "<a></b>", "start and end tag differ" },
        { "<a></b", "start and end tag differ" },
        { "<a></a", "a tag is not closed" },
        { "<a>&b;</a>", "an entity that is not defined" },
        { "<a>&#0;</a>", "a character that XML does not allow" },
        { "<a>\x01</a>", "a character that XML does not allow" },
        { "<a>\xff</a>", "not valid UTF-8" },
        { "<a/>x", "text outside of the root element" },
        { "<a/><b/>", "more than one root element" },
        { "<p:a/>", "a namespace prefix that is not declared" },
        { "<a b='' b=''/>", "an attribute stands twice in a tag" },
        { "", "no root element" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const char *reason = "none";
        assert_int_equal(fmt_xml_check(hd_slice_str(row[i].text), MAX, &reason), HD_ESYNTAX);
        assert_string_equal(reason, row[i].reason);
    }
}

/* ---- events ---- */

static void
write_event(struct hd_str *out, const struct fmt_xml_reader *r, enum fmt_xml_event event)
{
    const struct fmt_xml_element *const e = r->element;
    switch (event) {
    case FMT_XML_START:
        hd_str_addf(out, "%u<{%.*s}%.*s", r->depth, HD_FMT(e->name.ns), HD_FMT(e->name.local));
        for (unsigned i = e->first_binding; i < r->n_bindings; i++)
            hd_str_addf(out, " %.*s:=%.*s", HD_FMT(r->bindings[i].prefix),
                        HD_FMT(r->bindings[i].uri));
        for (unsigned i = 0; i < r->n_attributes; i++)
            hd_str_addf(out, " {%.*s}%.*s%s%.*s", HD_FMT(r->attributes[i].name.ns),
                        HD_FMT(r->attributes[i].name.local), r->attributes[i].plain ? "=" : "~",
                        HD_FMT(r->attributes[i].value));
        hd_str_add_str(out, "\n");
        break;
    case FMT_XML_END:
        hd_str_addf(out, "%u> %.*s '%.*s'\n", r->depth, HD_FMT(e->name.qname), HD_FMT(r->token));
        break;
    case FMT_XML_TEXT:
        hd_str_addf(out, "%u%s '%.*s'\n", r->depth, r->cdata ? "!" : ".", HD_FMT(r->token));
        break;
    case FMT_XML_DONE:
        hd_str_addf(out, "%u done\n", r->depth);
        break;
    }
}

static void
a_reader_reports_tags_attributes_and_text(void **state)
{
    (void)state;
    struct fmt_xml_reader r;
    struct hd_str out = { 0 };
    enum fmt_xml_event event = FMT_XML_TEXT;

    fmt_xml_open(
        &r,
        L("<?xml version='1.0'?> <!--c--><a xmlns='urn:x' b='&lt;' xmlns:p=\"urn:p\" p:c='d'>"
          "t&amp;<?pi?><p:e/><f xmlns=''>]<![CDATA[&]]></f ></a>\n"),
        MAX);
    while (event != FMT_XML_DONE) {
        assert_int_equal(fmt_xml_next(&r, &event), HD_OK);
        write_event(&out, &r, event);
    }
    assert_string_equal(hd_str_text(&out), "1<{urn:x}a :=urn:x p:=urn:p {}b~&lt; {urn:p}c=d\n"
                                           "1. 't&amp;'\n"
                                           "2<{urn:p}e\n"
                                           "2> p:e ''\n"
                                           "2<{}f :=\n"
                                           "2. ']'\n"
                                           "2! '&'\n"
                                           "2> f '</f >'\n"
                                           "1> a '</a>'\n"
                                           "0 done\n");
    hd_str_done(&out);
}

static void
a_binding_ends_with_its_element(void **state)
{
    (void)state;
    struct fmt_xml_reader r;
    enum fmt_xml_event event;

    fmt_xml_open(&r, L("<a xmlns:p='u'><b xmlns:p='v'/><c/></a>"), MAX);
    assert_int_equal(fmt_xml_next(&r, &event), HD_OK);
    assert_true(hd_slice_eq(fmt_xml_bound(&r, L("p")), L("u")));
    assert_true(
        hd_slice_eq(fmt_xml_bound(&r, L("xml")), L("http://www.w3.org/XML/1998/namespace")));
    assert_int_equal(fmt_xml_bound(&r, L("")).n, 0);
    assert_int_equal(fmt_xml_next(&r, &event), HD_OK);
    assert_true(hd_slice_eq(fmt_xml_bound(&r, L("p")), L("v")));
    assert_int_equal(fmt_xml_next(&r, &event), HD_OK);
    assert_int_equal(event, FMT_XML_END);
    assert_true(hd_slice_eq(fmt_xml_bound(&r, L("p")), L("v")));
    assert_int_equal(fmt_xml_next(&r, &event), HD_OK);
    assert_int_equal(event, FMT_XML_START);
    assert_true(hd_slice_eq(fmt_xml_bound(&r, L("p")), L("u")));
    assert_non_null(r.element);
    assert_null(fmt_xml_attribute(&r, L("p")));
}

static void
values_are_compared_as_their_readers_see_them(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } row[] = {
        { "", "", true },
        { "a", "a", true },
        { "a", "b", false },
        { "a", "ab", false },
        { "a", "&#97;", true },
        { "a", "&#x61;", true },
        { "&amp;", "&#38;", true },
        { "&amp;", "&amp;amp;", false },
        { "\xc3\xa9", "&#233;", true },
        { "\xc3\xa9", "e", false },
        { "a b", "a\tb", true },
        { "a b", "a\nb", true },
        { "a b", "a\r\nb", true },
        { "a  b", "a\r\rb", true },
        { "a b", "a&#10;b", false },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (fmt_xml_value_eq(hd_slice_str(row[i].a), hd_slice_str(row[i].b)) != row[i].same ||
            fmt_xml_value_eq(hd_slice_str(row[i].b), hd_slice_str(row[i].a)) != row[i].same)
            fail_msg("row %zu", i);
        else if (row[i].same)
            assert_int_equal(fmt_xml_value_hash(hd_slice_str(row[i].a)),
                             fmt_xml_value_hash(hd_slice_str(row[i].b)));
}

static void
an_attribute_of_the_root_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value;
    } row[] = {
        { "<a entity='x'/>", "x" },
        { "<?xml version='1.0'?><!-- <a entity='no'> --><p:a xmlns:p='u' entity=\"y&amp;z\" >",
          "y&amp;z" },
        { "<a entity=''/>", "" },
        { "<a xmlns:p='u' p:entity='x'><b entity='no'/></a>", NULL },
        { "<a entity='x'><b", "x" },
        { "<a b='' b='' entity='x'/>", NULL },
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_octets_says_what_the_productions_say),
        cmocka_unit_test(well_formed_documents_pass),
        cmocka_unit_test(what_is_not_well_formed_is_refused),
        cmocka_unit_test(names_without_a_sound_namespace_are_refused),
        cmocka_unit_test(what_is_not_for_this_service_is_refused),
        cmocka_unit_test(a_document_that_stops_anywhere_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(attributes_in_a_tag_are_limited),
        cmocka_unit_test(namespace_declarations_are_limited),
        cmocka_unit_test(names_are_limited),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(reasons_say_what_is_wrong),
        cmocka_unit_test(a_reader_reports_tags_attributes_and_text),
        cmocka_unit_test(a_binding_ends_with_its_element),
        cmocka_unit_test(values_are_compared_as_their_readers_see_them),
        cmocka_unit_test(an_attribute_of_the_root_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
