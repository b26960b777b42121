/* xml.c - writing XML, and libxml2 for the documents that must be taken apart and put together.
 *
 * The problem: libxml2 compares each attribute of a tag with all others and each name with all
 * namespaces in scope, declarations can multiply text, and encodings can hide what a scanner sees.
 * Invariant: it only ever reads what fmt_xml_check() has found well-formed and within its limits.
 */
#include "format/xml.h"

#include <stdio.h>
#include <stdlib.h>

#include <libxml/parser.h>

/* ---- writing ---- */

/* What stands for an octet inside XML; empty: itself. */
static struct hd_slice
xml_escape(char c)
{
    switch (c) {
    case '&':
        return HD_LIT("&amp;");
    case '<':
        return HD_LIT("&lt;");
    case '>':
        return HD_LIT("&gt;");
    case '"':
        return HD_LIT("&quot;");
    case '\t':
        return HD_LIT("&#9;");
    case '\n':
        return HD_LIT("&#10;");
    case '\r':
        return HD_LIT("&#13;");
    default:
        return (struct hd_slice){ 0 };
    }
}

void
fmt_xml_escape(struct hd_str *out, struct hd_slice s)
{
    size_t plain = 0;
    for (size_t i = 0; i < s.n; i++) {
        const struct hd_slice escape = xml_escape(s.p[i]);
        if (escape.n == 0)
            continue;
        hd_str_add(out, hd_slice(s.p + plain, i - plain));
        hd_str_add(out, escape);
        plain = i + 1;
    }
    hd_str_add(out, hd_slice_from(s, plain));
}

void
fmt_xml_write_uri(struct hd_str *out, struct hd_slice uri)
{
    for (size_t i = 0; i < uri.n; i++) {
        const uint8_t c = (uint8_t)uri.p[i];
        char encoded[4];
        if (c > ' ' && c < 0x7f) {
            fmt_xml_escape(out, hd_slice(uri.p + i, 1));
        } else {
            snprintf(encoded, sizeof(encoded), "%%%02X", c);
            hd_str_add(out, hd_slice(encoded, 3));
        }
    }
}

/* ---- libxml2 ---- */

#define XML_MAGIC 0x464d5858u

struct fmt_xml {
    unsigned magic;
    xmlParserCtxtPtr ctxt;
};

void
fmt_xml_setup(void)
{
    xmlInitParser();
}

struct fmt_xml *
fmt_xml_new(void)
{
    struct fmt_xml *xml = calloc(1, sizeof(*xml));
    if (!xml)
        return NULL;
    xml->magic = XML_MAGIC;
    xml->ctxt = xmlNewParserCtxt();
    if (!xml->ctxt) {
        free(xml);
        return NULL;
    }
    return xml;
}

struct fmt_xml *
fmt_xml_free(struct fmt_xml *xml)
{
    if (!xml)
        return NULL;
    HD_ASSERT_OBJ(xml, XML_MAGIC);
    xmlFreeParserCtxt(xml->ctxt);
    xml->magic = 0;
    free(xml);
    return NULL;
}

enum hd_err
fmt_xml_parse(struct fmt_xml *xml, struct hd_slice text, size_t max, xmlDocPtr *ret_doc,
              const char **ret_reason)
{
    HD_ASSERT_OBJ(xml, XML_MAGIC);
    const enum hd_err err = fmt_xml_check(text, max < INT32_MAX ? max : INT32_MAX, ret_reason);
    if (err)
        return err;
    /* The tree is edited later, which XML_PARSE_COMPACT forbids. */
    const xmlDocPtr doc =
        xmlCtxtReadMemory(xml->ctxt, text.p, (int)text.n, NULL, "UTF-8",
                          XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (doc && xml->ctxt->wellFormed && xml->ctxt->nsWellFormed) {
        *ret_doc = doc;
        return HD_OK;
    }
    xmlFreeDoc(doc);
    /* Failing before the first octet, libxml2 leaves no error behind. */
    if (xml->ctxt->lastError.code == XML_ERR_NO_MEMORY || xml->ctxt->lastError.code == XML_ERR_OK)
        return HD_ENOMEM;
    *ret_reason = "not well-formed";
    return HD_ESYNTAX;
}
