/* xml.c - making XML that a stranger sent safe and cheap to parse.
 *
 * The problem: libxml2 compares each attribute of a tag with all others and each name with all
 * namespaces in scope, declarations can multiply text, and encodings can hide what a scanner sees.
 * So a scanner that touches each octet once goes first.  Invariants: it knows tags, attributes,
 * comments, CDATA and processing instructions exactly as XML 1.0 does (a tag that it cannot read is
 * refused, never skipped), so what libxml2 sees afterwards has the shape that was counted. */
#include "format/xml.h"

#include <stdlib.h>

#include <libxml/parser.h>

/* One pass over a document.  rest is what was not read yet. */
struct scan {
    struct hd_slice rest;
    unsigned depth;
    unsigned namespaces;
    bool root_seen; /* a start tag was read */
    const char *reason;
};

/* One attribute while a start tag is read. */
struct attribute {
    struct hd_slice name, value;
};

static enum hd_err
refuse(struct scan *s, const char *reason)
{
    s->reason = reason;
    return HD_ESYNTAX;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
skip(struct hd_slice *s, size_t n)
{
    *s = hd_slice_from(*s, n);
}

/* Blanks at the front; whether there was one. */
static bool
skip_blanks(struct hd_slice *s)
{
    size_t n = 0;
    while (n < s->n && is_blank(s->p[n]))
        n++;
    skip(s, n);
    return n > 0;
}

static bool
ends_name(char c)
{
    switch (c) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
    case '=':
    case '/':
    case '>':
    case '<':
    case '"':
    case '\'':
    case '&':
    case '?':
    case '!':
        return true;
    default:
        return false;
    }
}

/* What may be a Name; whether it is one is checked by libxml2. */
static struct hd_slice
take_name(struct hd_slice *s)
{
    size_t n = 0;
    while (n < s->n && !ends_name(s->p[n]))
        n++;
    const struct hd_slice name = hd_slice(s->p, n);
    skip(s, n);
    return name;
}

/* Attribute ::= Name Eq AttValue */
static enum hd_err
take_attribute(struct scan *s, struct attribute *ret)
{
    ret->name = take_name(&s->rest);
    skip_blanks(&s->rest);
    if (ret->name.n == 0 || s->rest.n == 0 || s->rest.p[0] != '=')
        return refuse(s, "an attribute without a value");
    skip(&s->rest, 1);
    skip_blanks(&s->rest);
    if (s->rest.n == 0 || (s->rest.p[0] != '"' && s->rest.p[0] != '\''))
        return refuse(s, "an attribute's value without quotes");
    const char quote = s->rest.p[0];
    skip(&s->rest, 1);
    const size_t n = hd_slice_find(s->rest, quote);
    if (n == s->rest.n)
        return refuse(s, "an attribute's value is not closed");
    ret->value = hd_slice(s->rest.p, n);
    if (hd_slice_find(ret->value, '<') != n)
        return refuse(s, "'<' inside an attribute's value");
    skip(&s->rest, n + 1);
    return HD_OK;
}

/* STag ::= '<' Name (S Attribute)* S? '>';  EmptyElemTag the same with '/>'.  The '<' is still
 * there. wanted may be NULL; its value is set when the tag has an attribute of its name. */
static enum hd_err
scan_start_tag(struct scan *s, struct attribute *wanted)
{
    skip(&s->rest, 1);
    if (take_name(&s->rest).n == 0)
        return refuse(s, "a tag without a name");
    for (unsigned attributes = 0;; attributes++) {
        const bool blank = skip_blanks(&s->rest);
        if (s->rest.n == 0)
            return refuse(s, "a tag is not closed");
        if (s->rest.p[0] == '>') {
            skip(&s->rest, 1);
            if (++s->depth > FMT_XML_MAX_DEPTH)
                return refuse(s, "elements are nested too deeply");
            return HD_OK;
        }
        if (hd_slice_starts(s->rest, HD_LIT("/>"))) {
            skip(&s->rest, 2);
            if (s->depth + 1 > FMT_XML_MAX_DEPTH)
                return refuse(s, "elements are nested too deeply");
            return HD_OK;
        }
        struct attribute attribute;
        if (!blank)
            return refuse(s, "no blank before an attribute");
        if (attributes == FMT_XML_MAX_ATTRIBUTES)
            return refuse(s, "too many attributes in a tag");
        const enum hd_err err = take_attribute(s, &attribute);
        if (err)
            return err;
        if (hd_slice_starts(attribute.name, HD_LIT("xmlns")) &&
            ++s->namespaces > FMT_XML_MAX_NAMESPACES)
            return refuse(s, "too many namespace declarations");
        if (wanted && hd_slice_eq(attribute.name, wanted->name))
            wanted->value = attribute.value;
    }
}

/* ETag ::= '</' Name S? '>' */
static enum hd_err
scan_end_tag(struct scan *s)
{
    skip(&s->rest, 2);
    if (take_name(&s->rest).n == 0)
        return refuse(s, "a tag without a name");
    skip_blanks(&s->rest);
    if (s->rest.n == 0 || s->rest.p[0] != '>')
        return refuse(s, "a tag is not closed");
    skip(&s->rest, 1);
    if (s->depth == 0)
        return refuse(s, "an end tag without its start tag");
    s->depth--;
    return HD_OK;
}

/* Skips to behind the end mark of a comment, CDATA section or processing instruction. */
static enum hd_err
skip_past(struct scan *s, size_t open, struct hd_slice end)
{
    skip(&s->rest, open);
    const char *hit = s->rest.n ? memmem(s->rest.p, s->rest.n, end.p, end.n) : NULL;
    if (!hit)
        return refuse(s, "a comment, CDATA section or instruction is not closed");
    skip(&s->rest, (size_t)(hit - s->rest.p) + end.n);
    return HD_OK;
}

/* The next piece of markup; s->rest begins with '<'. */
static enum hd_err
scan_markup(struct scan *s)
{
    if (hd_slice_starts(s->rest, HD_LIT("<!--")))
        return skip_past(s, 4, HD_LIT("-->"));
    if (hd_slice_starts(s->rest, HD_LIT("<![CDATA[")))
        return skip_past(s, 9, HD_LIT("]]>"));
    if (hd_slice_starts(s->rest, HD_LIT("<!")))
        return refuse(s, "DOCTYPE, ENTITY and other declarations are not accepted");
    if (hd_slice_starts(s->rest, HD_LIT("<?")))
        return skip_past(s, 2, HD_LIT("?>"));
    if (hd_slice_starts(s->rest, HD_LIT("</")))
        return scan_end_tag(s);
    if (s->depth == 0 && s->root_seen)
        return refuse(s, "more than one root element");
    s->root_seen = true;
    return scan_start_tag(s, NULL);
}

/* XMLDecl ::= '<?xml' VersionInfo EncodingDecl? SDDecl? S? '?>', and a byte order mark before it.
 */
static enum hd_err
scan_declaration(struct scan *s)
{
    if (hd_slice_starts(s->rest, HD_LIT("\xef\xbb\xbf")))
        skip(&s->rest, 3);
    else if (hd_slice_starts(s->rest, HD_LIT("\xfe\xff")) ||
             hd_slice_starts(s->rest, HD_LIT("\xff\xfe")))
        return refuse(s, "the encoding is not UTF-8");
    if (!hd_slice_starts(s->rest, HD_LIT("<?xml")) || s->rest.n == 5 || !is_blank(s->rest.p[5]))
        return HD_OK;
    skip(&s->rest, 5);
    for (;;) {
        struct attribute attribute;
        skip_blanks(&s->rest);
        if (hd_slice_starts(s->rest, HD_LIT("?>"))) {
            skip(&s->rest, 2);
            return HD_OK;
        }
        const enum hd_err err = take_attribute(s, &attribute);
        if (err)
            return err;
        if (hd_slice_eq(attribute.name, HD_LIT("encoding")) &&
            !hd_slice_ieq(attribute.value, HD_LIT("UTF-8")) &&
            !hd_slice_ieq(attribute.value, HD_LIT("US-ASCII")))
            return refuse(s, "the encoding is not UTF-8");
    }
}

static enum hd_err
scan_document(struct scan *s)
{
    enum hd_err err = scan_declaration(s);
    while (!err) {
        skip(&s->rest, hd_slice_find(s->rest, '<'));
        if (s->rest.n == 0)
            break;
        err = scan_markup(s);
    }
    if (err)
        return err;
    if (!s->root_seen)
        return refuse(s, "no root element");
    return s->depth ? refuse(s, "an element is not closed") : HD_OK;
}

enum hd_err
fmt_xml_guard(struct hd_slice text, size_t max, const char **ret_reason)
{
    struct scan s = { .rest = text };
    enum hd_err err;

    if (text.n > max || text.n > INT32_MAX)
        err = refuse(&s, "the document is too large");
    else if (text.n && memchr(text.p, '\0', text.n))
        err = refuse(&s, "a NUL octet");
    else
        err = scan_document(&s);
    if (err)
        *ret_reason = s.reason;
    return err;
}

enum hd_err
fmt_xml_root_attribute(struct hd_slice text, struct hd_slice name, struct hd_slice *ret_value)
{
    struct scan s = { .rest = text };
    struct attribute wanted = { .name = name };

    if (scan_declaration(&s))
        return HD_ENOMATCH;
    for (;;) {
        skip(&s.rest, hd_slice_find(s.rest, '<'));
        if (s.rest.n < 2)
            return HD_ENOMATCH;
        if (s.rest.p[1] != '!' && s.rest.p[1] != '?')
            break;
        if (scan_markup(&s))
            return HD_ENOMATCH;
    }
    if (scan_start_tag(&s, &wanted) || !wanted.value.p)
        return HD_ENOMATCH;
    *ret_value = wanted.value;
    return HD_OK;
}

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

/* The usual mistakes in words of our own; the library's texts quote the document. */
static const char *
error_reason(int code)
{
    switch (code) {
    case XML_ERR_DOCUMENT_EMPTY:
    case XML_ERR_DOCUMENT_END:
        return "text outside of the root element";
    case XML_ERR_TAG_NAME_MISMATCH:
        return "start and end tag differ";
    case XML_ERR_UNDECLARED_ENTITY:
        return "an entity that is not defined";
    case XML_ERR_INVALID_CHAR:
    case XML_ERR_INVALID_CHARREF:
        return "a character that XML does not allow";
    case XML_ERR_INVALID_ENCODING:
        return "not valid UTF-8";
    case XML_ERR_ATTRIBUTE_REDEFINED:
    case XML_NS_ERR_ATTRIBUTE_REDEFINED:
        return "an attribute stands twice in a tag";
    case XML_NS_ERR_UNDEFINED_NAMESPACE:
        return "a namespace prefix that is not declared";
    default:
        return "not well-formed";
    }
}

enum hd_err
fmt_xml_parse(struct fmt_xml *xml, struct hd_slice text, size_t max, xmlDocPtr *ret_doc,
              const char **ret_reason)
{
    HD_ASSERT_OBJ(xml, XML_MAGIC);
    const enum hd_err err = fmt_xml_guard(text, max, ret_reason);
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
    *ret_reason = error_reason(xml->ctxt->lastError.code);
    return HD_ESYNTAX;
}

enum hd_err
fmt_xml_check(struct fmt_xml *xml, struct hd_slice text, size_t max, const char **ret_reason)
{
    xmlDocPtr doc = NULL;
    const enum hd_err err = fmt_xml_parse(xml, text, max, &doc, ret_reason);
    if (!err)
        xmlFreeDoc(doc);
    return err;
}
