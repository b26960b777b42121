/* xml_join.c - elements move from their own root to another's without being written anew.
 *
 * The problem: what a name means is said by declarations far above it.  An element that is copied
 * must find the same meanings above it, for names in attributes and text too, which nobody but its
 * reader can tell from other text.  Invariant: behind a start tag written here every prefix that
 * the document's root bound, and the default namespace, mean what they meant there. */
#include "format/xml_join.h"

#define NS_XML HD_LIT("http://www.w3.org/XML/1998/namespace")

static const struct fmt_xml_binding *
find_prefix(const struct fmt_xml_binding *bindings, unsigned n, struct hd_slice prefix)
{
    for (unsigned i = 0; i < n; i++)
        if (hd_slice_eq(bindings[i].prefix, prefix))
            return &bindings[i];
    return NULL;
}

/* "xml" is bound everywhere. */
static bool
may_move(const struct fmt_xml_binding *binding)
{
    return binding->prefix.n > 0 && !hd_slice_eq(binding->uri, NS_XML);
}

void
fmt_xml_join_add(struct fmt_xml_join *join, const struct fmt_xml_reader *r)
{
    HD_ASSERT(r->depth == 1);
    for (unsigned i = 0; i < r->n_bindings && join->n_bindings < FMT_XML_JOIN_PREFIXES; i++)
        if (may_move(&r->bindings[i]) &&
            !find_prefix(join->bindings, join->n_bindings, r->bindings[i].prefix))
            join->bindings[join->n_bindings++] = r->bindings[i];
}

/* xml:lang, xml:space and xml:base hold for what is inside; xml:id names the root alone. */
void
fmt_xml_root_take(struct fmt_xml_root *root, const struct fmt_xml_reader *r)
{
    HD_ASSERT(r->depth == 1);
    root->n_bindings = r->n_bindings;
    root->n_inherited = 0;
    for (unsigned i = 0; i < r->n_attributes && root->n_inherited < FMT_XML_JOIN_INHERITED; i++) {
        const struct fmt_xml_name *const name = &r->attributes[i].name;
        if (hd_slice_eq(name->ns, NS_XML) && !hd_slice_eq(name->local, HD_LIT("id")))
            root->inherited[root->n_inherited++] = r->attributes[i];
    }
}

/* Names of namespaces have no quotes, '&' or '<' in them, the reader sees to that. */
static void
write_binding(struct hd_slice prefix, struct hd_slice uri, struct hd_str *out)
{
    hd_str_add_str(out, prefix.n ? " xmlns:" : " xmlns");
    hd_str_add(out, prefix);
    hd_str_add_str(out, "=\"");
    hd_str_add(out, uri);
    hd_str_add_str(out, "\"");
}

void
fmt_xml_join_declare(const struct fmt_xml_join *join, struct hd_str *out)
{
    write_binding(hd_slice(NULL, 0), join->ns, out);
    for (unsigned i = 0; i < join->n_bindings; i++)
        write_binding(join->bindings[i].prefix, join->bindings[i].uri, out);
}

static void
write_bindings(const struct fmt_xml_join *join, const struct fmt_xml_root *root,
               const struct fmt_xml_reader *r, struct hd_str *out)
{
    const struct fmt_xml_binding *const own = &r->bindings[r->element->first_binding];
    const unsigned n_own = r->n_bindings - r->element->first_binding;
    const struct fmt_xml_binding *const by_default =
        find_prefix(r->bindings, root->n_bindings, hd_slice(NULL, 0));
    const struct hd_slice uri = by_default ? by_default->uri : hd_slice(NULL, 0);

    if (!hd_slice_eq(uri, join->ns) && !find_prefix(own, n_own, hd_slice(NULL, 0)))
        write_binding(hd_slice(NULL, 0), uri, out);
    for (unsigned i = 0; i < root->n_bindings; i++) {
        const struct fmt_xml_binding *const theirs = &r->bindings[i];
        const struct fmt_xml_binding *const ours =
            find_prefix(join->bindings, join->n_bindings, theirs->prefix);
        if (may_move(theirs) && !(ours && hd_slice_eq(ours->uri, theirs->uri)) &&
            !find_prefix(own, n_own, theirs->prefix))
            write_binding(theirs->prefix, theirs->uri, out);
    }
}

static bool
has_attribute(const struct fmt_xml_attribute *attributes, unsigned n,
              const struct fmt_xml_name *name)
{
    for (unsigned i = 0; i < n; i++)
        if (fmt_xml_is(&attributes[i].name, name->ns, name->local))
            return true;
    return false;
}

/* The value keeps its quotes. */
static void
write_attribute(const struct fmt_xml_attribute *a, struct hd_str *out)
{
    hd_str_add_str(out, " ");
    hd_str_add(out, a->name.qname);
    hd_str_add_str(out, "=");
    hd_str_add(out, hd_slice(a->value.p - 1, a->value.n + 2));
}

/* Another prefix than "xml" cannot be bound to their namespace. */
static void
write_inherited(const struct fmt_xml_root *root, const struct fmt_xml_attribute *attributes,
                unsigned n, struct hd_str *out)
{
    for (unsigned i = 0; i < root->n_inherited; i++)
        if (!has_attribute(attributes, n, &root->inherited[i].name))
            write_attribute(&root->inherited[i], out);
}

void
fmt_xml_join_tag(const struct fmt_xml_join *join, const struct fmt_xml_root *root,
                 const struct fmt_xml_reader *r, const struct fmt_xml_attribute *changed,
                 struct hd_slice value, struct hd_str *out)
{
    HD_ASSERT(r->depth >= 2);
    const struct hd_slice tag = r->element->tag;
    size_t at = 1 + r->element->name.qname.n;

    hd_str_add(out, hd_slice(tag.p, at));
    write_bindings(join, root, r, out);
    write_inherited(root, r->attributes, r->n_attributes, out);
    if (changed) {
        const size_t from = (size_t)(changed->value.p - tag.p);
        hd_str_add(out, hd_slice(tag.p + at, from - at));
        hd_str_add(out, value);
        at = from + changed->value.n;
    }
    hd_str_add(out, hd_slice_from(tag, at));
}

/* --- one element alone ----------------------------------------------------------------------- */

void
fmt_xml_tag_take(struct fmt_xml_tag *tag, const struct fmt_xml_reader *r)
{
    tag->qname = r->element->name.qname;
    tag->content = r->token.p + r->token.n;
    tag->n_attributes = r->n_attributes;
    memcpy(tag->attributes, r->attributes, r->n_attributes * sizeof(r->attributes[0]));
}

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

/* Whether "prefix:" stands in it, and not as the end of a longer word. */
static bool
mentions(struct hd_slice text, struct hd_slice prefix)
{
    const char *const begin = text.p;

    while (text.n > prefix.n) {
        const char *const at = memmem(text.p, text.n - 1, prefix.p, prefix.n);
        if (!at)
            return false;
        if (at[prefix.n] == ':' && (at == begin || !is_name_char(at[-1])))
            return true;
        text = hd_slice_from(text, (size_t)(at - text.p) + 1);
    }
    return false;
}

/* Its declarations do not count: they may be another's, who needed them. */
static bool
tag_mentions(const struct fmt_xml_tag *tag, struct hd_slice content, struct hd_slice prefix)
{
    if (mentions(tag->qname, prefix) || mentions(content, prefix))
        return true;
    for (unsigned i = 0; i < tag->n_attributes; i++)
        if (mentions(tag->attributes[i].name.qname, prefix) ||
            mentions(tag->attributes[i].value, prefix))
            return true;
    return false;
}

/* The binding in force of the least prefix behind one; NULL: there is none. */
static const struct fmt_xml_binding *
next_prefix(const struct fmt_xml_reader *r, struct hd_slice behind)
{
    const struct fmt_xml_binding *next = NULL;

    for (unsigned i = 0; i < r->n_bindings; i++)
        if (may_move(&r->bindings[i]) && hd_slice_cmp(r->bindings[i].prefix, behind) > 0 &&
            (!next || hd_slice_cmp(r->bindings[i].prefix, next->prefix) <= 0))
            next = &r->bindings[i];
    return next;
}

void
fmt_xml_join_alone(struct hd_slice ns, const struct fmt_xml_root *root,
                   const struct fmt_xml_tag *tag, const struct fmt_xml_reader *r,
                   struct hd_str *out)
{
    const char *const end = r->token.p + r->token.n;
    const struct hd_slice content = hd_slice(tag->content, (size_t)(end - tag->content));
    const struct hd_slice by_default = fmt_xml_bound(r, hd_slice(NULL, 0));
    const struct fmt_xml_binding *binding = next_prefix(r, HD_LIT(""));

    hd_str_add_str(out, "<");
    hd_str_add(out, tag->qname);
    if (!hd_slice_eq(by_default, ns))
        write_binding(hd_slice(NULL, 0), by_default, out);
    for (; binding; binding = next_prefix(r, binding->prefix))
        if (tag_mentions(tag, content, binding->prefix))
            write_binding(binding->prefix, binding->uri, out);
    write_inherited(root, tag->attributes, tag->n_attributes, out);
    for (unsigned i = 0; i < tag->n_attributes; i++)
        write_attribute(&tag->attributes[i], out);
    hd_str_add_str(out, content.n ? ">" : "/>");
    hd_str_add(out, content);
}
