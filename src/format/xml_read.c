/* xml_read.c - what strangers send as XML is checked in one pass, and reported while it is.
 *
 * The problem: a parser that builds a tree costs a hundred instructions an octet, has paths that
 * are quadratic, and answers a question that a broker seldom asks, for most documents are passed on
 * as they came.  What must be known is whether they are well-formed (Extensible Markup
 * Language 1.0, fifth edition; Namespaces in XML 1.0) and what a few of their tags say. Invariants:
 * whatever is reported lies inside the document; work per octet is bounded (by the limits of a
 * tag's attributes and of bindings); whatever is accepted here any conforming parser accepts, which
 * is compared with libxml2.  Productions stand above the functions that read them. What octets and
 * characters are is in xml_char.h, the names of namespaces are in xml_uri.c. */
#include "format/xml_read.h"

#include "format/xml_char.h"

#define NS_XML HD_LIT("http://www.w3.org/XML/1998/namespace")
#define NS_XMLNS HD_LIT("http://www.w3.org/2000/xmlns/")

static enum hd_err
refuse(struct fmt_xml_reader *r, const char *reason)
{
    r->reason = reason;
    return HD_ESYNTAX;
}

static inline bool
ahead(const struct fmt_xml_reader *r, struct hd_slice text)
{
    return (size_t)(r->end - r->at) >= text.n && memcmp(r->at, text.p, text.n) == 0;
}

static inline bool
ahead_char(const struct fmt_xml_reader *r, char c)
{
    return r->at < r->end && *r->at == c;
}

/* Whether there was one. */
static inline bool
skip_blanks(struct fmt_xml_reader *r)
{
    if (r->at == r->end || !fmt_octet_is(*r->at, FMT_OCTET_BLANK))
        return false;
    r->at = fmt_octet_skip(r->at + 1, r->end, FMT_OCTET_BLANK);
    return true;
}

/* ---- characters ---- */

/* One character that no class of octets covers. */
static enum hd_err
read_rare(struct fmt_xml_reader *r, const char **at, uint32_t *ret)
{
    if (!((uint8_t) * *at & 0x80))
        return refuse(r, "a character that XML does not allow");
    if (r->ascii)
        return refuse(r, "not US-ASCII as the declaration says");
    *ret = fmt_xml_decode(at, r->end);
    if (*ret == FMT_NO_CHARACTER)
        return refuse(r, "not valid UTF-8");
    return HD_OK;
}

static enum hd_err
read_reference(struct fmt_xml_reader *r, const char **at)
{
    const bool number = r->end - *at > 1 && (*at)[1] == '#';
    if (fmt_xml_reference(at, r->end) != FMT_NO_CHARACTER)
        return HD_OK;
    return refuse(r,
                  number ? "a character that XML does not allow" : "an entity that is not defined");
}

/* ---- names ---- */

/* NameStartChar ::= ":" | [A-Z] | "_" | [a-z] | ... and what NameChar adds to it; of more than one
 * octet. */
static bool
is_name_char(uint32_t c, bool first)
{
    static const struct {
        uint32_t from, to;
    } start[] = {
        { 0xc0, 0xd6 },     { 0xd8, 0xf6 },     { 0xf8, 0x2ff },    { 0x370, 0x37d },
        { 0x37f, 0x1fff },  { 0x200c, 0x200d }, { 0x2070, 0x218f }, { 0x2c00, 0x2fef },
        { 0x3001, 0xd7ff }, { 0xf900, 0xfdcf }, { 0xfdf0, 0xfffd }, { 0x10000, 0xeffff },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(start); i++)
        if (c >= start[i].from && c <= start[i].to)
            return true;
    return !first && (c == 0xb7 || (c >= 0x300 && c <= 0x36f) || (c >= 0x203f && c <= 0x2040));
}

/* The rest of a name from its first character of more than one octet on, NULL: refused. */
static const char *
wide_name(struct fmt_xml_reader *r, const char *from, const char *p)
{
    while (p < r->end && (uint8_t)*p & 0x80) {
        uint32_t c;
        const bool first = p == from;
        if (read_rare(r, &p, &c))
            return NULL;
        if (!is_name_char(c, first)) {
            (void)refuse(r, "a character that no name may have");
            return NULL;
        }
        p = fmt_octet_skip(p, r->end, FMT_OCTET_NAME);
    }
    return p;
}

/* NCName ::= NameStartChar (NameChar)*, without colons */
static inline enum hd_err
read_ncname(struct fmt_xml_reader *r)
{
    const char *const from = r->at;
    const char *p = fmt_octet_skip(from, r->end, FMT_OCTET_NAME);

    if (p < r->end && (uint8_t)*p & 0x80) {
        p = wide_name(r, from, p);
        if (!p)
            return HD_ESYNTAX;
    }
    if (p == from || (!fmt_octet_is(*from, FMT_OCTET_NAME_START) && !((uint8_t)*from & 0x80)))
        return refuse(r, "a name is missing or begins wrongly");
    if (p - from > FMT_XML_MAX_NAME)
        return refuse(r, "a name is too long");
    r->at = p;
    return HD_OK;
}

/* QName ::= (NCName ':')? NCName;  its namespace is not known yet. */
static enum hd_err
read_qname(struct fmt_xml_reader *r, struct fmt_xml_name *ret)
{
    const char *const from = r->at;
    const char *local = from;
    enum hd_err err = read_ncname(r);

    if (!err && ahead_char(r, ':')) {
        local = ++r->at;
        err = read_ncname(r);
    }
    if (err)
        return err;
    ret->qname = fmt_xml_between(from, r->at);
    ret->local = fmt_xml_between(local, r->at);
    ret->ns = hd_slice(NULL, 0);
    return HD_OK;
}

/* What stands before the colon, or nothing. */
static struct hd_slice
prefix_of(const struct fmt_xml_name *name)
{
    const size_t n = name->qname.n - name->local.n;
    return hd_slice(name->qname.p, n ? n - 1 : 0);
}

/* ---- namespaces ---- */

struct hd_slice
fmt_xml_bound(const struct fmt_xml_reader *r, struct hd_slice prefix)
{
    for (unsigned i = r->n_bindings; i-- > 0;)
        if (hd_slice_eq(r->bindings[i].prefix, prefix))
            return r->bindings[i].uri;
    return hd_slice_eq(prefix, HD_LIT("xml")) ? NS_XML : hd_slice(NULL, 0);
}

/* Namespaces in XML sections 3 and 5; first is that of the tag's own declarations. */
static enum hd_err
declare(struct fmt_xml_reader *r, struct hd_slice prefix, const struct fmt_xml_attribute *a,
        unsigned first)
{
    const struct hd_slice uri = a->value;
    const bool is_xml = hd_slice_eq(prefix, HD_LIT("xml"));

    for (unsigned i = first; i < r->n_bindings; i++)
        if (hd_slice_eq(r->bindings[i].prefix, prefix))
            return refuse(r, "an attribute stands twice in a tag");
    if (hd_slice_eq(prefix, HD_LIT("xmlns")) || hd_slice_eq(uri, NS_XMLNS) ||
        is_xml != hd_slice_eq(uri, NS_XML))
        return refuse(r, "a reserved namespace or prefix is declared");
    if (prefix.n && uri.n == 0)
        return refuse(r, "a prefix of no namespace");
    if (!a->plain || !fmt_xml_is_uri(uri))
        return refuse(r, "a namespace that is not a plain URI");
    if (++r->declarations > FMT_XML_MAX_NAMESPACES)
        return refuse(r, "too many namespace declarations");
    r->bindings[r->n_bindings++] = (struct fmt_xml_binding){ prefix, uri };
    return HD_OK;
}

static enum hd_err
resolve(struct fmt_xml_reader *r, struct fmt_xml_name *name)
{
    name->ns = fmt_xml_bound(r, prefix_of(name));
    if (name->ns.n == 0 && name->local.p != name->qname.p)
        return refuse(r, "a namespace prefix that is not declared");
    return HD_OK;
}

/* Attributes without prefix are in no namespace; of the others no two may have the same name. */
static enum hd_err
resolve_attributes(struct fmt_xml_reader *r)
{
    for (unsigned i = 0; i < r->n_attributes; i++) {
        struct fmt_xml_name *name = &r->attributes[i].name;
        if (name->local.p == name->qname.p)
            continue;
        const enum hd_err err = resolve(r, name);
        if (err)
            return err;
        for (unsigned k = 0; k < i; k++)
            if (fmt_xml_is(&r->attributes[k].name, name->ns, name->local))
                return refuse(r, "an attribute stands twice in a tag");
    }
    return HD_OK;
}

/* ---- tags ---- */

/* AttValue ::= '"' ([^<&"] | Reference)* '"' | "'" ([^<&'] | Reference)* "'" */
static enum hd_err
read_value(struct fmt_xml_reader *r, struct fmt_xml_attribute *a)
{
    if (r->at == r->end || (*r->at != '"' && *r->at != '\''))
        return refuse(r, "an attribute's value without quotes");
    const char quote = *r->at;
    const char *p = r->at + 1;
    enum hd_err err = HD_OK;

    a->plain = true;
    for (; !err;) {
        uint32_t c;
        p = fmt_octet_skip(p, r->end, FMT_OCTET_VALUE);
        if (p == r->end)
            return refuse(r, "an attribute's value is not closed");
        if (*p == quote)
            break;
        if (*p == '&') {
            a->plain = false;
            err = read_reference(r, &p);
        } else if (*p == '<') {
            err = refuse(r, "'<' inside an attribute's value");
        } else if (fmt_octet_is(*p, FMT_OCTET_CHAR)) {
            a->plain = a->plain && !fmt_octet_is(*p, FMT_OCTET_BLANK);
            p++;
        } else {
            err = read_rare(r, &p, &c);
        }
    }
    if (err)
        return err;
    a->value = fmt_xml_between(r->at + 1, p);
    r->at = p + 1;
    return HD_OK;
}

/* Eq ::= S? '=' S? */
static inline enum hd_err
read_equals(struct fmt_xml_reader *r)
{
    skip_blanks(r);
    if (!ahead_char(r, '='))
        return refuse(r, "an attribute without a value");
    r->at++;
    skip_blanks(r);
    return HD_OK;
}

/* Attribute ::= NSAttName Eq AttValue | QName Eq AttValue */
static enum hd_err
read_attribute(struct fmt_xml_reader *r, unsigned first_binding)
{
    struct fmt_xml_attribute *const a = &r->attributes[r->n_attributes];
    enum hd_err err = read_qname(r, &a->name);
    if (!err)
        err = read_equals(r);
    if (!err)
        err = read_value(r, a);
    if (err)
        return err;
    const struct hd_slice qname = a->name.qname;
    if (qname.n >= 5 && memcmp(qname.p, "xmlns", 5) == 0) {
        if (qname.n == 5)
            return declare(r, hd_slice(qname.p, 0), a, first_binding);
        if (qname.p[5] == ':')
            return declare(r, a->name.local, a, first_binding);
    }
    for (unsigned i = 0; i < r->n_attributes; i++)
        if (hd_slice_eq(r->attributes[i].name.qname, qname))
            return refuse(r, "an attribute stands twice in a tag");
    r->n_attributes++;
    return HD_OK;
}

/* The blanks and attributes of a tag up to its '>' or '/>'. */
static enum hd_err
read_attributes(struct fmt_xml_reader *r, unsigned first_binding)
{
    r->n_attributes = 0;
    for (unsigned n = 0; !ahead_char(r, '>'); n++) {
        const bool blank = skip_blanks(r);
        if (r->at == r->end)
            return refuse(r, "a tag is not closed");
        if (*r->at == '>' || *r->at == '/')
            break;
        if (!blank)
            return refuse(r, "no blank before an attribute");
        if (n == FMT_XML_MAX_ATTRIBUTES)
            return refuse(r, "too many attributes in a tag");
        const enum hd_err err = read_attribute(r, first_binding);
        if (err)
            return err;
    }
    return HD_OK;
}

/* STag ::= '<' QName (S Attribute)* S? '>';  EmptyElemTag the same with '/>' */
static enum hd_err
read_start_tag(struct fmt_xml_reader *r)
{
    const char *const from = r->at++;
    if (r->depth == FMT_XML_MAX_DEPTH)
        return refuse(r, "elements are nested too deeply");
    if (r->depth == 0 && r->root_seen)
        return refuse(r, "more than one root element");
    struct fmt_xml_element *const element = &r->open[r->depth];
    element->first_binding = r->n_bindings;
    enum hd_err err = read_qname(r, &element->name);
    if (!err)
        err = read_attributes(r, element->first_binding);
    if (!err)
        err = resolve(r, &element->name);
    if (!err)
        err = resolve_attributes(r);
    if (err)
        return err;
    r->empty = *r->at == '/';
    r->at += r->empty;
    if (!ahead_char(r, '>'))
        return refuse(r, "a tag is not closed");
    r->at++;
    r->root_seen = true;
    r->depth++;
    r->element = element;
    r->token = element->tag = fmt_xml_between(from, r->at);
    return HD_OK;
}

/* ETag ::= '</' QName S? '>' */
static enum hd_err
read_end_tag(struct fmt_xml_reader *r)
{
    const char *const from = r->at;
    if (r->depth == 0)
        return refuse(r, "an end tag without its start tag");
    r->at += 2;
    const struct hd_slice name = r->element->name.qname;
    if (!ahead(r, name))
        return refuse(r, "start and end tag differ");
    r->at += name.n;
    if (!ahead_char(r, '>')) {
        const bool blank = skip_blanks(r);
        if (!ahead_char(r, '>'))
            return refuse(r, blank || r->at == r->end ? "a tag is not closed"
                                                      : "start and end tag differ");
    }
    r->at++;
    r->token = fmt_xml_between(from, r->at);
    r->closing = true;
    return HD_OK;
}

/* ---- what is not a tag ---- */

/* Characters up to a mark, which is skipped; *ret is what stood before it. */
static enum hd_err
read_until(struct fmt_xml_reader *r, struct hd_slice mark, struct hd_slice *ret)
{
    const char *p = r->at;
    for (;;) {
        uint32_t c;
        while (p < r->end && fmt_octet_is(*p, FMT_OCTET_CHAR) && *p != *mark.p)
            p++;
        if ((size_t)(r->end - p) < mark.n)
            return refuse(r, "a comment, CDATA section or instruction is not closed");
        if (memcmp(p, mark.p, mark.n) == 0)
            break;
        if (*p == *mark.p) {
            p++;
            continue;
        }
        const enum hd_err err = read_rare(r, &p, &c);
        if (err)
            return err;
    }
    *ret = fmt_xml_between(r->at, p);
    r->at = p + mark.n;
    return HD_OK;
}

/* Comment ::= '<!--' ((Char - '-') | ('-' (Char - '-')))* '-->' */
static enum hd_err
read_comment(struct fmt_xml_reader *r)
{
    struct hd_slice text;
    r->at += 4;
    const enum hd_err err = read_until(r, HD_LIT("--"), &text);
    if (err)
        return err;
    if (!ahead_char(r, '>'))
        return refuse(r, "two hyphens inside a comment");
    r->at++;
    return HD_OK;
}

/* PI ::= '<?' PITarget (S (Char* - (Char* '?>' Char*)))? '?>';  PITarget has no colon and is not
 * "xml" in whatever case */
static enum hd_err
read_instruction(struct fmt_xml_reader *r)
{
    struct hd_slice text;
    r->at += 2;
    const char *const from = r->at;
    const enum hd_err err = read_ncname(r);
    if (err)
        return err;
    if (hd_slice_ieq(fmt_xml_between(from, r->at), HD_LIT("xml")))
        return refuse(r, "an XML declaration that is not at the beginning");
    if (!ahead(r, HD_LIT("?>")) && !skip_blanks(r))
        return refuse(r, "an instruction's name is not followed by a blank");
    return read_until(r, HD_LIT("?>"), &text);
}

/* CDSect ::= '<![CDATA[' (Char* - (Char* ']]>' Char*)) ']]>' */
static enum hd_err
read_cdata(struct fmt_xml_reader *r)
{
    if (r->depth == 0)
        return refuse(r, "text outside of the root element");
    r->at += 9;
    r->cdata = true;
    return read_until(r, HD_LIT("]]>"), &r->token);
}

/* CharData ::= [^<&]* - ([^<&]* ']]>' [^<&]*), and references */
static enum hd_err
read_text(struct fmt_xml_reader *r)
{
    const char *p = r->at;
    enum hd_err err = HD_OK;

    for (; !err;) {
        uint32_t c;
        p = fmt_octet_skip(p, r->end, FMT_OCTET_TEXT);
        if (p == r->end || *p == '<')
            break;
        if (*p == '&')
            err = read_reference(r, &p);
        else if (*p != ']')
            err = read_rare(r, &p, &c);
        else if (r->end - p >= 3 && memcmp(p, "]]>", 3) == 0)
            err = refuse(r, "\"]]>\" in text");
        else
            p++;
    }
    if (err)
        return err;
    r->token = fmt_xml_between(r->at, p);
    r->cdata = false;
    r->at = p;
    return HD_OK;
}

/* Misc outside of the root: only blanks. */
static enum hd_err
skip_outside(struct fmt_xml_reader *r)
{
    skip_blanks(r);
    if (r->at < r->end && *r->at != '<')
        return refuse(r, "text outside of the root element");
    return HD_OK;
}

/* ---- the XML declaration ---- */

/* S 'name' Eq ('"' value '"'), when it is what follows; the value is empty otherwise. */
static enum hd_err
read_pseudo(struct fmt_xml_reader *r, struct hd_slice name, struct hd_slice *ret)
{
    struct fmt_xml_attribute a;
    const char *const from = r->at;
    const bool blank = skip_blanks(r);

    *ret = hd_slice(NULL, 0);
    if (!blank || !ahead(r, name)) {
        r->at = from;
        return HD_OK;
    }
    r->at += name.n;
    enum hd_err err = read_equals(r);
    if (!err)
        err = read_value(r, &a);
    if (!err && a.value.n == 0)
        err = refuse(r, "the XML declaration cannot be read");
    if (!err)
        *ret = a.value;
    return err;
}

/* VersionNum ::= '1.' [0-9]+;  a 1.0 reader takes any of them (XML section 2.8) */
static bool
is_version(struct hd_slice s)
{
    if (s.n < 3 || s.n > 8 || memcmp(s.p, "1.", 2) != 0)
        return false;
    for (size_t i = 2; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

/* XMLDecl ::= '<?xml' VersionInfo EncodingDecl? SDDecl? S? '?>', and a byte order mark before it.
 */
static enum hd_err
read_declaration(struct fmt_xml_reader *r)
{
    struct hd_slice version, encoding, standalone;

    if (ahead(r, HD_LIT("\xef\xbb\xbf")))
        r->at += 3;
    else if (ahead(r, HD_LIT("\xfe\xff")) || ahead(r, HD_LIT("\xff\xfe")))
        return refuse(r, "the encoding is not UTF-8");
    if (!ahead(r, HD_LIT("<?xml")) || r->end - r->at < 6 ||
        !fmt_octet_is(r->at[5], FMT_OCTET_BLANK))
        return HD_OK;
    r->at += 5;
    enum hd_err err = read_pseudo(r, HD_LIT("version"), &version);
    if (!err)
        err = read_pseudo(r, HD_LIT("encoding"), &encoding);
    if (!err)
        err = read_pseudo(r, HD_LIT("standalone"), &standalone);
    if (err)
        return err;
    skip_blanks(r);
    if (!ahead(r, HD_LIT("?>")) || !is_version(version) ||
        (standalone.n && !hd_slice_eq(standalone, HD_LIT("yes")) &&
         !hd_slice_eq(standalone, HD_LIT("no"))))
        return refuse(r, "the XML declaration cannot be read");
    r->at += 2;
    r->ascii = hd_slice_ieq(encoding, HD_LIT("US-ASCII"));
    if (encoding.n && !r->ascii && !hd_slice_eq(encoding, HD_LIT("UTF-8")) &&
        !hd_slice_ieq(encoding, HD_LIT("UTF-8")))
        return refuse(r, "the encoding is not UTF-8");
    return HD_OK;
}

/* ---- the document ---- */

void
fmt_xml_open(struct fmt_xml_reader *r, struct hd_slice text, size_t max)
{
    r->element = NULL;
    r->depth = 0;
    r->token = hd_slice(NULL, 0);
    r->cdata = false;
    r->n_attributes = 0;
    r->n_bindings = 0;
    r->reason = NULL;
    r->at = text.n ? text.p : "";
    r->end = r->at + text.n;
    r->declarations = 0;
    r->ascii = r->root_seen = r->empty = r->closing = false;
    if (text.n > max)
        (void)refuse(r, "the document is too large");
    else
        (void)!read_declaration(r);
}

/* The element whose end was reported is closed. */
static void
pop(struct fmt_xml_reader *r)
{
    r->n_bindings = r->element->first_binding;
    r->depth--;
    r->element = r->depth ? &r->open[r->depth - 1] : NULL;
    r->closing = false;
}

static enum hd_err
finish(struct fmt_xml_reader *r)
{
    if (r->depth)
        return refuse(r, "an element is not closed");
    return r->root_seen ? HD_OK : refuse(r, "no root element");
}

/* What begins with "<!" and is no CDATA section. */
static enum hd_err
read_declared(struct fmt_xml_reader *r)
{
    if (ahead(r, HD_LIT("<!--")))
        return read_comment(r);
    return refuse(r, "DOCTYPE, ENTITY and other declarations are not accepted");
}

/* The next event, over what has none. */
static enum hd_err
read_event(struct fmt_xml_reader *r, enum fmt_xml_event *ret_event)
{
    for (;;) {
        enum hd_err err = r->depth == 0 ? skip_outside(r) : HD_OK;
        if (err)
            return err;
        if (r->at == r->end) {
            *ret_event = FMT_XML_DONE;
            return finish(r);
        }
        if (*r->at != '<') {
            *ret_event = FMT_XML_TEXT;
            return read_text(r);
        }
        switch (r->end - r->at > 1 ? r->at[1] : '\0') {
        case '/':
            *ret_event = FMT_XML_END;
            return read_end_tag(r);
        case '?':
            err = read_instruction(r);
            break;
        case '!':
            *ret_event = FMT_XML_TEXT;
            if (ahead(r, HD_LIT("<![CDATA[")))
                return read_cdata(r);
            err = read_declared(r);
            break;
        default:
            *ret_event = FMT_XML_START;
            return read_start_tag(r);
        }
        if (err)
            return err;
    }
}

enum hd_err
fmt_xml_next(struct fmt_xml_reader *r, enum fmt_xml_event *ret_event)
{
    if (r->reason)
        return HD_ESYNTAX;
    if (r->closing)
        pop(r);
    if (!r->empty)
        return read_event(r, ret_event);
    r->empty = false;
    r->closing = true;
    r->token = hd_slice(r->at, 0);
    *ret_event = FMT_XML_END;
    return HD_OK;
}

/* ---- for those who read ---- */

bool
fmt_xml_is(const struct fmt_xml_name *name, struct hd_slice ns, struct hd_slice local)
{
    return hd_slice_eq(name->local, local) && hd_slice_eq(name->ns, ns);
}

const struct fmt_xml_attribute *
fmt_xml_attribute(const struct fmt_xml_reader *r, struct hd_slice name)
{
    for (unsigned i = 0; i < r->n_attributes; i++)
        if (hd_slice_eq(r->attributes[i].name.qname, name))
            return &r->attributes[i];
    return NULL;
}

enum hd_err
fmt_xml_check(struct hd_slice text, size_t max, const char **ret_reason)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event = FMT_XML_TEXT;
    enum hd_err err = HD_OK;

    fmt_xml_open(&r, text, max);
    while (!err && event != FMT_XML_DONE)
        err = fmt_xml_next(&r, &event);
    if (err)
        *ret_reason = r.reason;
    return err;
}

enum hd_err
fmt_xml_root_attribute(struct hd_slice text, struct hd_slice name, struct hd_slice *ret_value)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event;

    fmt_xml_open(&r, text, text.n);
    if (fmt_xml_next(&r, &event) || event != FMT_XML_START)
        return HD_ENOMATCH;
    const struct fmt_xml_attribute *const a = fmt_xml_attribute(&r, name);
    if (!a)
        return HD_ENOMATCH;
    *ret_value = a->value;
    return HD_OK;
}
