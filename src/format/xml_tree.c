/* xml_tree.c - reading XML into flat arrays.
 *
 * Invariants: a node stands behind its parent and before its next; the reader has checked every
 * name and reference on the way; what it bounds (depth, attributes, namespaces) is bounded here
 * too. */
#include "format/xml_tree.h"

#include <stdlib.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct hd_slice
trim(struct hd_slice s)
{
    while (s.n && is_blank(*s.p))
        s = hd_slice_from(s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Room for one more of an array that doubles. */
static enum hd_err
grow(void **array, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return HD_OK;
    uint32_t more = *cap ? *cap * 2 : 32;
    void *grown = realloc(*array, more * size);
    if (!grown)
        return HD_ENOMEM;
    *array = grown;
    *cap = more;
    return HD_OK;
}

static enum hd_err
add_attributes(struct fmt_xml_tree *tree, const struct fmt_xml_reader *r, struct fmt_xml_node *node)
{
    node->first_attribute = tree->n_attributes;
    node->n_attributes = r->n_attributes;
    for (unsigned i = 0; i < r->n_attributes; i++) {
        void *array = tree->attributes;
        enum hd_err err =
            grow(&array, tree->n_attributes, &tree->cap_attributes, sizeof(*tree->attributes));
        tree->attributes = array;
        if (err)
            return err;
        tree->attributes[tree->n_attributes++] = r->attributes[i];
    }
    return HD_OK;
}

static enum hd_err
start(struct fmt_xml_tree *tree, const struct fmt_xml_reader *r, uint32_t *open)
{
    if (tree->n == FMT_XML_NODES_MOST)
        return HD_EFULL;
    void *array = tree->nodes;
    enum hd_err err = grow(&array, tree->n, &tree->cap, sizeof(*tree->nodes));
    tree->nodes = array;
    if (err)
        return err;
    uint32_t index = tree->n++, parent = r->depth > 1 ? open[r->depth - 2] : FMT_XML_NONE;
    struct fmt_xml_node *node = &tree->nodes[index];
    *node = (struct fmt_xml_node){ .name = r->element->name,
                                   .tag = r->element->tag,
                                   .span = r->element->tag,
                                   .parent = parent,
                                   .child = FMT_XML_NONE,
                                   .last = FMT_XML_NONE,
                                   .next = FMT_XML_NONE };
    open[r->depth - 1] = index;
    if (parent != FMT_XML_NONE) {
        struct fmt_xml_node *above = &tree->nodes[parent];
        if (above->last == FMT_XML_NONE)
            above->child = index;
        else
            tree->nodes[above->last].next = index;
        above->last = index;
    }
    return add_attributes(tree, r, node);
}

enum hd_err
fmt_xml_tree_read(struct fmt_xml_tree *tree, struct fmt_xml_reader *r, struct hd_slice text)
{
    uint32_t open[FMT_XML_MAX_DEPTH];
    enum fmt_xml_event event = FMT_XML_DONE;
    enum hd_err err;

    tree->n = tree->n_attributes = 0;
    tree->reason = NULL;
    fmt_xml_open(r, text, text.n);
    do {
        err = fmt_xml_next(r, &event);
        if (err) {
            tree->reason = r->reason;
            tree->at = r->at ? (size_t)(r->at - text.p) : 0;
            return err;
        }
        switch (event) {
        case FMT_XML_START:
            err = start(tree, r, open);
            if (err)
                return err;
            break;
        case FMT_XML_TEXT: {
            struct fmt_xml_node *node = &tree->nodes[open[r->depth - 1]];
            if (!node->text.n && trim(r->token).n) {
                node->text = trim(r->token);
                node->cdata = r->cdata;
            }
            break;
        }
        case FMT_XML_END: {
            struct fmt_xml_node *node = &tree->nodes[open[r->depth - 1]];
            const char *end = r->token.n ? r->token.p + r->token.n : node->tag.p + node->tag.n;
            node->span = hd_slice(node->tag.p, (size_t)(end - node->tag.p));
            break;
        }
        case FMT_XML_DONE:
            break;
        }
    } while (event != FMT_XML_DONE);
    return HD_OK;
}

void
fmt_xml_tree_done(struct fmt_xml_tree *tree)
{
    free(tree->nodes);
    free(tree->attributes);
    *tree = (struct fmt_xml_tree){ 0 };
}

/* --- looking around -------------------------------------------------------------------------- */

const struct fmt_xml_attribute *
fmt_xml_node_attribute(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node,
                       struct hd_slice name)
{
    for (uint32_t i = 0; i < node->n_attributes; i++) {
        const struct fmt_xml_attribute *attribute = &tree->attributes[node->first_attribute + i];
        if (!attribute->name.ns.n && hd_slice_eq(attribute->name.local, name))
            return attribute;
    }
    return NULL;
}

bool
fmt_xml_node_value(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node,
                   struct hd_slice name, struct hd_slice *ret_value)
{
    const struct fmt_xml_attribute *attribute = fmt_xml_node_attribute(tree, node, name);

    *ret_value = attribute ? trim(attribute->value) : hd_slice(NULL, 0);
    return attribute != NULL;
}

const struct fmt_xml_node *
fmt_xml_node_child(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node)
{
    return node && node->child != FMT_XML_NONE ? &tree->nodes[node->child] : NULL;
}

const struct fmt_xml_node *
fmt_xml_node_next(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node)
{
    return node && node->next != FMT_XML_NONE ? &tree->nodes[node->next] : NULL;
}

const struct fmt_xml_node *
fmt_xml_node_find(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node,
                  struct hd_slice ns, struct hd_slice local)
{
    const struct fmt_xml_node *child = fmt_xml_node_child(tree, node);

    while (child && !fmt_xml_is(&child->name, ns, local))
        child = fmt_xml_node_next(tree, child);
    return child;
}

/* --- text ------------------------------------------------------------------------------------ */

static size_t
put_utf8(unsigned code, char out[4])
{
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(first[n] | code);
    return n;
}

/* What stands between '&' and ';' was checked by the reader: one of five names, or a number. */
static unsigned
reference_code(struct hd_slice name)
{
    unsigned code = 0;

    if (name.n && *name.p != '#')
        return hd_slice_eq(name, HD_LIT("lt"))     ? '<'
               : hd_slice_eq(name, HD_LIT("gt"))   ? '>'
               : hd_slice_eq(name, HD_LIT("amp"))  ? '&'
               : hd_slice_eq(name, HD_LIT("quot")) ? '"'
                                                   : '\'';
    bool hex = name.n > 1 && name.p[1] == 'x';
    for (size_t i = hex ? 2 : 1; i < name.n; i++) {
        char c = name.p[i];
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
        if (code < 0x110000)
            code = code * (hex ? 16 : 10) + (digit & 15);
    }
    return code & 0x1fffff;
}

enum hd_err
fmt_xml_text(struct hd_slice written, bool cdata, char *memory, size_t cap,
             struct hd_slice *ret_text)
{
    size_t n = 0;

    written = trim(written);
    if (cdata || hd_slice_find(written, '&') == written.n) {
        *ret_text = written;
        return HD_OK;
    }
    while (written.n) {
        char c[4] = { *written.p };
        size_t more = 1, used = 1;
        if (*written.p == '&') {
            struct hd_slice rest = hd_slice_from(written, 1);
            size_t end = hd_slice_find(rest, ';');
            more = put_utf8(reference_code(hd_slice(rest.p, end)), c);
            used = end + 2;
        }
        if (more > cap - n)
            return HD_ENOSPC;
        memcpy(memory + n, c, more);
        n += more;
        written = hd_slice_from(written, used);
    }
    *ret_text = hd_slice(memory, n);
    return HD_OK;
}
