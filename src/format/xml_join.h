/* xml_join.h - children of several documents' roots behind one root tag, octet by octet.
 *
 * The documents stay as they are; only a child's start tag may get declarations that its own root
 * made and the new one does not make alike.  Thread: any.  Memory: slices point into the documents,
 * which must live as long as the join. */
#ifndef HD_FORMAT_XML_JOIN_H
#define HD_FORMAT_XML_JOIN_H

#include "base/str.h"
#include "format/xml_read.h"

#define FMT_XML_JOIN_PREFIXES 56 /* what the new root declares at most, fewer than a tag may */
#define FMT_XML_JOIN_INHERITED 4 /* attributes such as xml:lang of one root that are carried on */

/* The new root: its default namespace, and prefixes as the documents have them. */
struct fmt_xml_join {
    struct hd_slice ns;
    unsigned n_bindings;
    struct fmt_xml_binding bindings[FMT_XML_JOIN_PREFIXES];
};

/* What a document's root says for all of its children. */
struct fmt_xml_root {
    unsigned n_bindings; /* the reader's first so many are the root's */
    unsigned n_inherited;
    struct fmt_xml_attribute inherited[FMT_XML_JOIN_INHERITED];
};

/* A start tag that was read: what the reader does not know any more at the element's end. */
struct fmt_xml_tag {
    struct hd_slice qname;
    const char *content; /* behind it */
    unsigned n_attributes;
    struct fmt_xml_attribute attributes[FMT_XML_MAX_ATTRIBUTES];
};

/** Both to be called when the start of a root has been read.  The first document that binds a
 * prefix decides what it means behind the new root. */
void fmt_xml_join_add(struct fmt_xml_join *join, const struct fmt_xml_reader *r);
void fmt_xml_root_take(struct fmt_xml_root *root, const struct fmt_xml_reader *r);

/** Writes the declarations of the new root, each with a blank before it. */
void fmt_xml_join_declare(const struct fmt_xml_join *join, struct hd_str *out);
/**
 * Writes the start tag of a child of the root that has just been read, so that all names in it keep
 * their namespaces, and inherited attributes their values.
 * @param changed  an attribute of the tag that gets another value, or NULL
 * @param value    that value, as it may stand between the quotes that are there
 */
void fmt_xml_join_tag(const struct fmt_xml_join *join, const struct fmt_xml_root *root,
                      const struct fmt_xml_reader *r, const struct fmt_xml_attribute *changed,
                      struct hd_slice value, struct hd_str *out);

/** To be called when the start of an element has been read. */
void fmt_xml_tag_take(struct fmt_xml_tag *tag, const struct fmt_xml_reader *r);
/**
 * Writes a child of the root whose end has just been read, behind a root that declares the default
 * namespace ns and nothing else: in the same octets out of whichever document it has come by
 * fmt_xml_join_tag().  It declares itself the prefixes that its names, values and text may use, in
 * the order of their octets; its content is written as it stands.  (Which text is a name nobody can
 * tell: a word before a colon that another document happens to bind is declared as well.)
 */
void fmt_xml_join_alone(struct hd_slice ns, const struct fmt_xml_root *root,
                        const struct fmt_xml_tag *tag, const struct fmt_xml_reader *r,
                        struct hd_str *out);

#endif
