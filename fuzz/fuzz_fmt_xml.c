/* fuzz_fmt_xml.c - what passes the check parses, what does not never reaches the library; the
 * root's entity as the reader sees it is what the library sees. */
#include "fuzz.h"

#include <libxml/tree.h>

#include "format/xml.h"

#define MAX 8192

static void
check_entity(struct hd_slice text, xmlDocPtr doc)
{
    struct hd_slice value;
    xmlNode *root = xmlDocGetRootElement(doc);
    xmlChar *parsed = xmlGetNoNsProp(root, (const xmlChar *)"entity");
    const enum hd_err err = fmt_xml_root_attribute(text, HD_LIT("entity"), &value);

    FUZZ_CHECK((err == HD_OK) == (parsed != NULL));
    if (!err)
        FUZZ_CHECK(fuzz_inside(value, text));
    /* without references and blanks to normalise they are the same octets */
    if (!err && hd_slice_find(value, '&') == value.n && hd_slice_find(value, '\n') == value.n &&
        hd_slice_find(value, '\t') == value.n && hd_slice_find(value, '\r') == value.n)
        FUZZ_CHECK(hd_slice_eq(value, hd_slice_str((const char *)parsed)));
    xmlFree(parsed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    const struct hd_slice text = fuzz_copy(data, size, &copy);
    struct fmt_xml *xml = fmt_xml_new();
    const char *reason = NULL;
    xmlDocPtr doc = NULL;

    FUZZ_CHECK(xml != NULL);
    const enum hd_err checked = fmt_xml_check(text, MAX, &reason);
    FUZZ_CHECK((checked == HD_OK) == (reason == NULL));
    const enum hd_err err = fmt_xml_parse(xml, text, MAX, &doc, &reason);
    FUZZ_CHECK(checked == err);
    FUZZ_CHECK((err == HD_OK) == (doc != NULL));
    if (doc)
        check_entity(text, doc);
    xmlFreeDoc(doc);
    fmt_xml_free(xml);
    free(copy);
    return 0;
}
