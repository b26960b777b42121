/* pidf_diff.c - pidf-full and pidf-diff documents (RFC 5262 section 3).
 *
 * Both are made from the root tag of the PIDF document, octet by octet: another name, a prefix for
 * it that the tag does not use, and the version.  So names in the document and in its patches mean
 * the same as they did. */
#include "format/pidf_diff.h"

#include <stdlib.h>

#include "format/xml_patch.h"

/* A document that was read. */
struct pidf {
    struct fmt_xml_tree tree;
    struct hd_slice text;
};

static enum hd_err
pidf_read(struct pidf *pidf, struct fmt_xml_reader *reader, struct hd_slice text)
{
    enum hd_err err = fmt_xml_tree_read(&pidf->tree, reader, text);

    pidf->text = text;
    if (err)
        return err == HD_ESYNTAX ? HD_ENOTSUP : err;
    if (fmt_xml_node_attribute(&pidf->tree, pidf->tree.nodes, HD_LIT("version")))
        return HD_ENOTSUP;
    return HD_OK;
}

static bool
tag_has(struct hd_slice tag, const char *text, size_t n)
{
    return memmem(tag.p, tag.n, text, n) != NULL;
}

/* "p", or what the tag does not use: "pa" to "pz"; empty: it uses all of them. */
static struct hd_slice
prefix_of(struct hd_slice tag, char room[2])
{
    char look[] = "xmlns:p?";

    room[0] = 'p';
    for (char c = 'a'; c <= 'z'; c++) {
        room[1] = look[7] = c;
        if (c == 'a' && !tag_has(tag, look, 7))
            return hd_slice(room, 1);
        if (!tag_has(tag, look, 8))
            return hd_slice(room, 2);
    }
    return hd_slice(room, 0);
}

static void
add_name(struct hd_str *out, struct hd_slice prefix, const char *name)
{
    hd_str_add(out, prefix);
    hd_str_add_char(out, ':');
    hd_str_add_str(out, name);
}

/* The root tag with another name, a declaration and a version; up to its '>', or "/>". */
static void
add_root(struct hd_str *out, const struct fmt_xml_node *root, struct hd_slice prefix,
         const char *name)
{
    hd_str_add_char(out, '<');
    add_name(out, prefix, name);
    hd_str_add_str(out, " xmlns:");
    hd_str_add(out, prefix);
    hd_str_add_str(out, "=\"urn:ietf:params:xml:ns:pidf-diff\" version=\"1\"");
    hd_str_add(out, hd_slice_from(root->tag, 1 + root->name.qname.n));
}

static bool
is_empty_tag(const struct fmt_xml_node *node)
{
    return node->tag.n > 1 && node->tag.p[node->tag.n - 2] == '/';
}

static void
add_end(struct hd_str *out, struct hd_slice prefix, const char *name)
{
    hd_str_add_str(out, "</");
    add_name(out, prefix, name);
    hd_str_add_char(out, '>');
}

enum hd_err
fmt_pidf_full(struct hd_slice body, struct hd_str *out)
{
    struct fmt_xml_reader *reader = malloc(sizeof(*reader));
    struct pidf pidf = { 0 };
    char room[2];

    enum hd_err err = reader ? pidf_read(&pidf, reader, body) : HD_ENOMEM;
    if (!err) {
        const struct fmt_xml_node *root = pidf.tree.nodes;
        const struct hd_slice prefix = prefix_of(root->tag, room);
        hd_str_add(out, hd_slice(body.p, (size_t)(root->span.p - body.p)));
        add_root(out, root, prefix, "pidf-full");
        hd_str_add(out, fmt_xml_content(root));
        if (!is_empty_tag(root))
            add_end(out, prefix, "pidf-full");
        err = prefix.n ? out->err : HD_ENOTSUP;
    }
    fmt_xml_tree_done(&pidf.tree);
    free(reader);
    return err;
}

static enum hd_err
diff_write(const struct pidf *base, const struct pidf *now, struct hd_str *out)
{
    const struct fmt_xml_node *root = now->tree.nodes;
    char room[2];
    const struct hd_slice prefix = prefix_of(root->tag, room);

    if (prefix.n == 0 || is_empty_tag(root))
        return HD_ENOTSUP;
    hd_str_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    add_root(out, root, prefix, "pidf-diff");
    hd_str_add_char(out, '\n');
    enum hd_err err = fmt_xml_patch(&base->tree, &now->tree, prefix, out);
    add_end(out, prefix, "pidf-diff");
    return err ? err : out->err;
}

enum hd_err
fmt_pidf_diff(struct hd_slice base, struct hd_slice now, struct hd_str *out)
{
    struct fmt_xml_reader *reader = malloc(sizeof(*reader));
    struct pidf old = { 0 }, new = { 0 };

    enum hd_err err = reader ? pidf_read(&old, reader, base) : HD_ENOMEM;
    if (!err)
        err = pidf_read(&new, reader, now);
    if (!err)
        err = diff_write(&old, &new, out);
    fmt_xml_tree_done(&old.tree);
    fmt_xml_tree_done(&new.tree);
    free(reader);
    return err;
}
