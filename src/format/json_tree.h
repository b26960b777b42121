/* json_tree.h - a JSON text as a flat array of values that point into it.
 *
 * For reading a few values out of a body: one pass, one array that is kept for the next text, no
 * copy. Thread: any, a tree belongs to one.  Memory: slices point into the text, which must outlive
 * them. */
#ifndef HD_FORMAT_JSON_TREE_H
#define HD_FORMAT_JSON_TREE_H

#include "base/slice.h"

#define FMT_JSON_NODES_MOST 32768u /* values in one text */

enum fmt_json_kind {
    FMT_JSON_NULL = 1,
    FMT_JSON_FALSE,
    FMT_JSON_TRUE,
    FMT_JSON_NUMBER,
    FMT_JSON_STRING,
    FMT_JSON_ARRAY,
    FMT_JSON_OBJECT
};

struct fmt_json_node {
    uint8_t kind;         /* enum fmt_json_kind */
    bool escaped;         /* a string: text has backslashes */
    bool key_escaped;     /* the same of its name */
    uint32_t child, next; /* first inside, next beside it; 0: none */
    struct hd_slice key;  /* name in its object as written, without quotes */
    struct hd_slice text; /* number as written, string without quotes, else the whole value */
};

/* All zero: a tree without memory. */
struct fmt_json_tree {
    struct fmt_json_node *nodes; /* nodes[0] is the value of the text */
    uint32_t n, cap;
    const char *reason; /* after HD_ESYNTAX: one line, static */
    size_t at;          /* and where */
};

/**
 * Reads a text (RFC 8259), nested at most as deep as json.h says.  UTF-8 and members that stand
 * twice are fmt_json_check()'s business.
 * @return HD_OK; HD_ESYNTAX with reason and at; HD_EFULL: too many values; HD_ENOMEM
 */
HD_NODISCARD enum hd_err fmt_json_tree_read(struct fmt_json_tree *tree, struct hd_slice text);
void fmt_json_tree_done(struct fmt_json_tree *tree);
/** A member of an object / an element of an array, counted from 0; NULL: none, or of another kind.
 */
const struct fmt_json_node *fmt_json_member(const struct fmt_json_tree *tree,
                                            const struct fmt_json_node *object,
                                            struct hd_slice name);
const struct fmt_json_node *fmt_json_element(const struct fmt_json_tree *tree,
                                             const struct fmt_json_node *array, uint32_t index);
/** The first inside / the next beside a value; NULL: none. */
const struct fmt_json_node *fmt_json_first(const struct fmt_json_tree *tree,
                                           const struct fmt_json_node *node);
const struct fmt_json_node *fmt_json_next(const struct fmt_json_tree *tree,
                                          const struct fmt_json_node *node);
/** Whether a string as written means this text. */
bool fmt_json_text_eq(struct hd_slice written, bool escaped, struct hd_slice text);
/** Orders two strings as written by what they mean, octet by octet, the shorter first. */
int fmt_json_text_cmp(struct hd_slice a, bool a_escaped, struct hd_slice b, bool b_escaped);
/** What a string means; into memory when it has escapes.  HD_ENOSPC: cap octets are too few. */
HD_NODISCARD enum hd_err fmt_json_text(struct hd_slice written, bool escaped, char *memory,
                                       size_t cap, struct hd_slice *ret_text);
/**
 * The value at a JSON Pointer (RFC 6901) from node on; "" is node itself.  NULL: there is none.
 */
const struct fmt_json_node *fmt_json_pointer(const struct fmt_json_tree *tree,
                                             const struct fmt_json_node *node,
                                             struct hd_slice pointer);
/** Whether a text is a pointer: "" or "/..." with each '~' followed by 0 or 1. */
bool fmt_json_pointer_fits(struct hd_slice pointer);

#endif
