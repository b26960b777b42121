#include "format/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <libxml/tree.h>

#include "base/str.h"

#define L(literal) HD_LIT(literal)
#define MAX 65536

static enum hd_err
parse(struct fmt_xml *xml, struct hd_slice text, size_t max, const char **ret_reason)
{
    xmlDoc *doc = NULL;
    const enum hd_err err = fmt_xml_parse(xml, text, max, &doc, ret_reason);
    assert_true((err == HD_OK) == (doc != NULL));
    xmlFreeDoc(doc);
    return err;
}

static void
a_context_is_good_again_after_a_failure(void **state)
{
    (void)state;
    const char *reason = NULL;
    struct fmt_xml *xml = fmt_xml_new();
    assert_int_equal(parse(xml, L("<a>"), MAX, &reason), HD_ESYNTAX);
    assert_int_equal(parse(xml, L("<a>&b;</a>"), MAX, &reason), HD_ESYNTAX);
    assert_string_equal(reason, "an entity that is not defined");
    assert_int_equal(parse(xml, L("<a/>"), MAX, &reason), HD_OK);
    assert_int_equal(parse(xml, L("<a/>"), 3, &reason), HD_ESYNTAX);
    fmt_xml_free(xml);
    assert_null(fmt_xml_free(NULL));
}

static void
a_tree_has_names_and_namespaces(void **state)
{
    (void)state;
    const char *reason = NULL;
    struct fmt_xml *xml = fmt_xml_new();
    xmlDoc *doc = NULL;
    assert_int_equal(fmt_xml_parse(xml, L("<p:a xmlns:p='urn:x'/>"), MAX, &doc, &reason), HD_OK);
    const xmlNode *root = xmlDocGetRootElement(doc);
    assert_string_equal((const char *)root->name, "a");
    assert_string_equal((const char *)root->ns->href, "urn:x");
    xmlFreeDoc(doc);
    fmt_xml_free(xml);
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
        cmocka_unit_test(a_context_is_good_again_after_a_failure),
        cmocka_unit_test(a_tree_has_names_and_namespaces),
        cmocka_unit_test(text_is_escaped_for_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
