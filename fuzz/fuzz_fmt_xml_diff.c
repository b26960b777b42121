/* fuzz_fmt_xml_diff.c - our reader against libxml2.
 *
 * What the reader accepts libxml2 must find well-formed with its namespaces, and both must see the
 * same elements and attributes.  What libxml2 accepts and the reader refuses must be refused for a
 * reason that is listed here, each of them a limit or a rule that is meant. */
#include "fuzz.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "base/str.h"
#include "format/xml.h"

#define MAX 8192

/* Where the reader is stricter than XML, in the words of its reasons. */
static bool
is_meant(const char *reason)
{
    static const char *const meant[] = {
        /* declarations can multiply text and fetch things */
        "DOCTYPE, ENTITY and other declarations are not accepted",
        /* limits */
        "the document is too large",
        "elements are nested too deeply",
        "too many attributes in a tag",
        "too many namespace declarations",
        "a name is too long",
        /* watchers get documents as they came: each must mean one thing to all */
        "the encoding is not UTF-8",
        "not US-ASCII as the declaration says",
        /* references, blanks and IRIs in the names of namespaces are compared differently */
        "a namespace that is not a plain URI",
        /* libxml2 wants no blank behind an encoding that it does not use, which XML does */
        "the XML declaration cannot be read",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(meant); i++)
        if (strcmp(meant[i], reason) == 0)
            return true;
    return false;
}

static bool
same_text(struct hd_slice s, const xmlChar *text)
{
    return hd_slice_eq(s, hd_slice_str((const char *)text));
}

/* The library's value is written as XML again, so that the reader's own comparison can be used. */
static void
check_value(const xmlNode *node, const xmlAttr *a, struct hd_slice value)
{
    xmlChar *parsed = xmlNodeListGetString(node->doc, a->children, 1);
    struct hd_str written = { 0 };
    fmt_xml_escape(&written, hd_slice_str((const char *)parsed));
    FUZZ_CHECK(fmt_xml_value_eq(value, hd_str_slice(&written)));
    hd_str_done(&written);
    xmlFree(parsed);
}

static void
check_element(const struct fmt_xml_reader *r, const xmlNode *node)
{
    const struct fmt_xml_name *name = &r->element->name;
    const xmlAttr *a = node->properties;

    FUZZ_CHECK(same_text(name->local, node->name));
    FUZZ_CHECK(same_text(name->ns, node->ns ? node->ns->href : NULL));
    for (unsigned i = 0; i < r->n_attributes; i++, a = a->next) {
        const struct fmt_xml_attribute *own = &r->attributes[i];
        FUZZ_CHECK(a != NULL);
        FUZZ_CHECK(same_text(own->name.local, a->name));
        FUZZ_CHECK(same_text(own->name.ns, a->ns ? a->ns->href : NULL));
        check_value(node, a, own->value);
    }
    FUZZ_CHECK(a == NULL);
}

static const xmlNode *
next_element(const xmlNode *node)
{
    while (node && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

/* Both walks, side by side. */
static void
check_tree(struct hd_slice text, const xmlDoc *doc)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event = FMT_XML_TEXT;
    const xmlNode *next = xmlDocGetRootElement(doc), *parent = NULL;

    fmt_xml_open(&r, text, MAX);
    while (event != FMT_XML_DONE) {
        FUZZ_CHECK(fmt_xml_next(&r, &event) == HD_OK);
        FUZZ_CHECK(fuzz_inside(r.token, text));
        if (event == FMT_XML_START) {
            FUZZ_CHECK(next != NULL);
            check_element(&r, next);
            parent = next;
            next = next_element(parent->children);
        } else if (event == FMT_XML_END) {
            FUZZ_CHECK(next == NULL && parent != NULL);
            FUZZ_CHECK(same_text(r.element->name.local, parent->name));
            next = next_element(parent->next);
            parent = r.depth > 1 ? parent->parent : NULL;
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    const struct hd_slice text = fuzz_copy(data, size, &copy);
    const char *reason = NULL;
    const enum hd_err err = fmt_xml_check(text, MAX, &reason);
    FUZZ_CHECK((err == HD_OK) == (reason == NULL));

    xmlParserCtxtPtr ctxt = size > MAX ? NULL : xmlNewParserCtxt();
    if (ctxt) {
        const xmlDocPtr doc =
            xmlCtxtReadMemory(ctxt, text.p, (int)text.n, NULL, "UTF-8",
                              XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
        const bool theirs = doc && ctxt->wellFormed && ctxt->nsWellFormed;
        if (!err && !theirs)
            fprintf(stderr, "accepted, but libxml2 says: %s\n", ctxt->lastError.message);
        FUZZ_CHECK(err || theirs);
        /* libxml2 takes a NUL outside of the root for the end of its input */
        if (err && theirs && hd_slice_find(text, '\0') == text.n) {
            if (!is_meant(reason))
                fprintf(stderr, "refused: %s\n", reason);
            FUZZ_CHECK(is_meant(reason));
        }
        if (!err)
            check_tree(text, doc);
        xmlFreeDoc(doc);
        xmlFreeParserCtxt(ctxt);
    }
    free(copy);
    return 0;
}
