/* cut.c - the part of an XML document that a filter's "what" asks for (RFC 4661 section 3.5).
 *
 * The result is made of pieces of the document as they stand, so what was valid stays so: an
 * element that is shown brings its parents, with their attributes, and what its schema makes
 * obligatory; an exclude that would take away such a thing is not done.  Schemas are known as far
 * as the packages of this server need them. */
#include <stdlib.h>

#include "base/lit.h"
#include "filter/set.h"

#define PIDF HD_LIT("urn:ietf:params:xml:ns:pidf")
#define CIVIC HD_LIT("urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr")

enum {
    SHOWN = 1, /* its tags, and what is shown inside */
    WHOLE = 2, /* all of it */
    TEXT = 4,  /* its own text */
    GONE = 8   /* nothing of it */
};

struct cutter {
    const struct flt_set *set;
    const struct fmt_xml_tree *tree;
    uint8_t *marks, *spare; /* of one selection */
    uint8_t *keep;
    struct hd_str *out;
};

/* An element that its parent must have (RFC 3863 section 4.1, RFC 4235 section 4.4, RFC 4479). */
static bool
is_obligatory(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node)
{
    static const struct {
        struct hd_slice ns, parent, child;
    } known[] = {
        { HD_LIT_INIT("urn:ietf:params:xml:ns:pidf"), HD_LIT_INIT("tuple"), HD_LIT_INIT("status") },
        { HD_LIT_INIT("urn:ietf:params:xml:ns:dialog-info"), HD_LIT_INIT("dialog"),
          HD_LIT_INIT("state") },
        { HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:data-model"), HD_LIT_INIT("device"),
          HD_LIT_INIT("deviceID") },
        { HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:geopriv10"), HD_LIT_INIT("geopriv"),
          HD_LIT_INIT("location-info") },
        { HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:geopriv10"), HD_LIT_INIT("geopriv"),
          HD_LIT_INIT("usage-rules") },
    };

    if (node->parent == FMT_XML_NONE)
        return true;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (fmt_xml_is(&node->name, known[i].ns, known[i].child) &&
            fmt_xml_is(&tree->nodes[node->parent].name, known[i].ns, known[i].parent))
            return true;
    return false;
}

static void
show_parents(struct cutter *c, uint32_t i)
{
    while (c->tree->nodes[i].parent != FMT_XML_NONE) {
        i = c->tree->nodes[i].parent;
        if (c->keep[i] & SHOWN)
            return;
        c->keep[i] |= SHOWN;
    }
}

/* --- selecting ------------------------------------------------------------------------------- */

static void
include(struct cutter *c, const struct flt_what *what)
{
    if (what->xpath)
        flt_xpath_select(what->xpath, c->tree, c->marks, c->spare);
    for (uint32_t i = 0; i < c->tree->n; i++) {
        bool in = what->xpath ? c->marks[i] : hd_slice_eq(c->tree->nodes[i].name.ns, what->ns);
        if (!in)
            continue;
        show_parents(c, i);
        if (!what->xpath)
            c->keep[i] |= SHOWN | TEXT;
        else
            c->keep[i] |= flt_xpath_attribute(what->xpath) ? SHOWN : SHOWN | WHOLE;
    }
}

static void
exclude(struct cutter *c, const struct flt_what *what)
{
    if (what->xpath && flt_xpath_attribute(what->xpath))
        return; /* attributes go when the tags are written */
    if (what->xpath)
        flt_xpath_select(what->xpath, c->tree, c->marks, c->spare);
    for (uint32_t i = 0; i < c->tree->n; i++) {
        const struct fmt_xml_node *node = &c->tree->nodes[i];
        bool out = what->xpath ? c->marks[i] : hd_slice_eq(node->name.ns, what->ns);
        if (out && !is_obligatory(c->tree, node))
            c->keep[i] |= GONE;
    }
}

static void
exclude_location(struct cutter *c)
{
    for (uint32_t i = 0; i < c->tree->n; i++) {
        const struct fmt_xml_node *node = &c->tree->nodes[i];
        if (node->parent == FMT_XML_NONE ||
            !hd_slice_eq(c->tree->nodes[node->parent].name.local, HD_LIT("location-info")))
            continue;
        bool civic = hd_slice_eq(node->name.ns, CIVIC);
        if (c->set->geodetic_only ? civic : !civic)
            c->keep[i] |= GONE;
    }
}

/* True: something is shown. */
static bool
select_all(struct cutter *c)
{
    bool includes = false, any = false;

    memset(c->keep, 0, c->tree->n);
    for (uint32_t i = 0; i < c->set->n_whats; i++) {
        if (c->set->whats[i].exclude)
            continue;
        includes = true;
        include(c, &c->set->whats[i]);
    }
    if (!includes)
        c->keep[0] |= SHOWN | WHOLE;
    for (uint32_t i = 0; i < c->set->n_whats; i++)
        if (c->set->whats[i].exclude)
            exclude(c, &c->set->whats[i]);
    if (c->set->geodetic_only || c->set->civic_only)
        exclude_location(c);
    for (uint32_t i = 0; i < c->tree->n; i++) {
        const struct fmt_xml_node *node = &c->tree->nodes[i];
        any = any || (c->keep[i] & (SHOWN | GONE)) == SHOWN;
        if (node->parent != FMT_XML_NONE && (c->keep[node->parent] & SHOWN) &&
            is_obligatory(c->tree, node))
            c->keep[i] |= SHOWN | WHOLE;
    }
    return any;
}

/* --- writing --------------------------------------------------------------------------------- */

static struct hd_slice
piece(const char *begin, const char *end)
{
    return hd_slice(begin, (size_t)(end - begin));
}

/* Attributes that name an element are never left out. */
static bool
attribute_is_gone(const struct cutter *c, const struct fmt_xml_attribute *a, uint32_t index)
{
    if (hd_slice_eq(a->name.local, HD_LIT("id")) || hd_slice_eq(a->name.local, HD_LIT("entity")))
        return false;
    for (uint32_t i = 0; i < c->set->n_whats; i++) {
        const struct flt_what *what = &c->set->whats[i];
        if (!what->exclude || !what->xpath || !flt_xpath_attribute(what->xpath))
            continue;
        flt_xpath_select(what->xpath, c->tree, c->marks, c->spare);
        if (c->marks[index] &&
            flt_xpath_attribute_of(what->xpath, c->tree, &c->tree->nodes[index]) == a)
            return true;
    }
    return false;
}

static void
write_tag(struct cutter *c, uint32_t index)
{
    const struct fmt_xml_node *node = &c->tree->nodes[index];
    const char *at = node->tag.p;

    for (uint32_t i = 0; i < node->n_attributes; i++) {
        const struct fmt_xml_attribute *a = &c->tree->attributes[node->first_attribute + i];
        if (!attribute_is_gone(c, a, index))
            continue;
        hd_str_add(c->out, piece(at, a->name.qname.p));
        at = a->value.p + a->value.n + 1;
    }
    hd_str_add(c->out, piece(at, node->tag.p + node->tag.n));
}

static bool
is_empty_tag(const struct fmt_xml_node *node)
{
    return node->tag.n == node->span.n;
}

/* All of an element but what is gone. */
static void
write_whole(struct cutter *c, uint32_t index)
{
    const struct fmt_xml_node *node = &c->tree->nodes[index];
    const char *at = node->tag.p + node->tag.n;

    write_tag(c, index);
    for (uint32_t i = node->child; i != FMT_XML_NONE; i = c->tree->nodes[i].next) {
        const struct fmt_xml_node *child = &c->tree->nodes[i];
        hd_str_add(c->out, piece(at, child->span.p));
        if (!(c->keep[i] & GONE))
            write_whole(c, i);
        at = child->span.p + child->span.n;
    }
    hd_str_add(c->out, piece(at, node->span.p + node->span.n));
}

static void
write_shown(struct cutter *c, uint32_t index)
{
    const struct fmt_xml_node *node = &c->tree->nodes[index];

    if (c->keep[index] & GONE)
        return;
    if (c->keep[index] & WHOLE) {
        write_whole(c, index);
        return;
    }
    if (!(c->keep[index] & SHOWN))
        return;
    write_tag(c, index);
    if (is_empty_tag(node))
        return;
    if ((c->keep[index] & TEXT) && node->text.n) {
        hd_str_add(c->out, node->cdata ? HD_LIT("<![CDATA[") : HD_LIT(""));
        hd_str_add(c->out, node->text);
        hd_str_add(c->out, node->cdata ? HD_LIT("]]>") : HD_LIT(""));
    }
    for (uint32_t i = node->child; i != FMT_XML_NONE; i = c->tree->nodes[i].next)
        write_shown(c, i);
    hd_str_add(c->out, HD_LIT("</"));
    hd_str_add(c->out, node->name.qname);
    hd_str_add(c->out, HD_LIT(">"));
}

enum hd_err
flt_cut(const struct flt_set *set, struct flt_reading *reading, struct hd_slice body,
        struct hd_str *out)
{
    struct cutter c = { .set = set,
                        .tree = &reading->xml,
                        .marks = reading->marks,
                        .spare = reading->spare,
                        .out = out };

    if (reading->form != FLT_FORM_XML)
        return HD_ENOTSUP;
    c.keep = malloc(c.tree->n);
    if (!c.keep)
        return HD_ENOMEM;
    bool any = select_all(&c);
    if (any) {
        hd_str_add(out, piece(body.p, c.tree->nodes[0].tag.p));
        write_shown(&c, 0);
        hd_str_add(out, HD_LIT("\n"));
    }
    free(c.keep);
    return out->err ? out->err : any ? HD_OK : HD_ENOMATCH;
}
