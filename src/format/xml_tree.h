/* xml_tree.h - an XML document as a flat array of elements that point into it.
 *
 * For selecting parts of a document: one pass of the reader, two arrays that are kept for the next
 * document, no copy.  Thread: any, a tree belongs to one.  Memory: slices point into the text,
 * which must outlive them. */
#ifndef HD_FORMAT_XML_TREE_H
#define HD_FORMAT_XML_TREE_H

#include "format/xml_read.h"

#define FMT_XML_NODES_MOST 16384u /* elements of one document */
#define FMT_XML_NONE UINT32_MAX

struct fmt_xml_node {
    struct fmt_xml_name name;
    struct hd_slice tag;  /* its start tag, '<' to '>' */
    struct hd_slice span; /* from its start tag to its end tag, both included */
    struct hd_slice text; /* its first text of more than blanks, as written; what follows a child is
                             not in it */
    bool cdata;           /* the text is a CDATA section's */
    uint32_t parent;      /* FMT_XML_NONE: the root */
    uint32_t child, last, next; /* elements; FMT_XML_NONE: none */
    uint32_t first_attribute, n_attributes;
};

/* All zero: a tree without memory. */
struct fmt_xml_tree {
    struct fmt_xml_node
        *nodes; /* in document order: a parent before its children; nodes[0] the root */
    uint32_t n, cap;
    struct fmt_xml_attribute *attributes;
    uint32_t n_attributes, cap_attributes;
    const char *reason; /* after HD_ESYNTAX: one line, static */
    size_t at;          /* and where */
};

/** HD_OK; HD_ESYNTAX with reason and at; HD_EFULL: too many elements; HD_ENOMEM. */
HD_NODISCARD enum hd_err fmt_xml_tree_read(struct fmt_xml_tree *tree, struct fmt_xml_reader *reader,
                                           struct hd_slice text);
void fmt_xml_tree_done(struct fmt_xml_tree *tree);
/** An attribute without namespace, or NULL / the value of one, as written; empty and false: none.
 */
const struct fmt_xml_attribute *fmt_xml_node_attribute(const struct fmt_xml_tree *tree,
                                                       const struct fmt_xml_node *node,
                                                       struct hd_slice name);
bool fmt_xml_node_value(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node,
                        struct hd_slice name, struct hd_slice *ret_value);
/** The first child / the next element beside it; NULL: none. */
const struct fmt_xml_node *fmt_xml_node_child(const struct fmt_xml_tree *tree,
                                              const struct fmt_xml_node *node);
const struct fmt_xml_node *fmt_xml_node_next(const struct fmt_xml_tree *tree,
                                             const struct fmt_xml_node *node);
/** The first child of this name; NULL: none. */
const struct fmt_xml_node *fmt_xml_node_find(const struct fmt_xml_tree *tree,
                                             const struct fmt_xml_node *node, struct hd_slice ns,
                                             struct hd_slice local);
/** What text as written means, blanks at both ends left out; into memory when it has references.
 *  HD_ENOSPC: cap octets are too few. */
HD_NODISCARD enum hd_err fmt_xml_text(struct hd_slice written, bool cdata, char *memory, size_t cap,
                                      struct hd_slice *ret_text);

#endif
