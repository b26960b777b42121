/* xpath.h - the subset of XPath that RFC 4661 section 5 allows, compiled once.
 *
 * Evaluation takes sets of elements from step to step, so that no element is visited twice in one
 * step: its cost is bounded by steps times elements.  Pure; a compiled path is immutable and any
 * thread may read it.  Memory: slices of a path point into a copy of its own. */
#ifndef HD_FILTER_XPATH_H
#define HD_FILTER_XPATH_H

#include "format/xml_tree.h"

#define FLT_XPATH_STEPS 16 /* in one path */
#define FLT_XPATH_TERMS 16 /* in one condition in brackets */
#define FLT_XPATH_OCTETS 1024
#define FLT_BINDINGS_MOST 32

/* Prefixes that a filter-set binds (RFC 4661 section 3.3). */
struct flt_binding {
    struct hd_slice prefix, uri;
};
struct flt_bindings {
    unsigned n;
    struct flt_binding binding[FLT_BINDINGS_MOST];
};

struct flt_xpath;
/**
 * Compiles an expression ("selection"; blanks around it do not count).
 * @param bindings  what prefixes stand for; NULL: an unprefixed name stands for any namespace
 * @param ret_at    offset of the fault, with ret_reason (static), on HD_ESYNTAX and HD_ENOTSUP
 * @return HD_OK; HD_ESYNTAX: not an expression; HD_ENOTSUP: one that is not kept; HD_ENOMEM
 */
HD_NODISCARD enum hd_err flt_xpath_compile(struct hd_slice text,
                                           const struct flt_bindings *bindings,
                                           struct flt_xpath **ret_path, const char **ret_reason,
                                           size_t *ret_at);
void flt_xpath_free(struct flt_xpath *path); /* accepts NULL */
/** The attribute that the path ends in, or NULL: it selects elements. */
const struct hd_slice *flt_xpath_attribute(const struct flt_xpath *path);
/**
 * Marks the elements that are selected, or those whose attribute is.
 * @param marks  tree->n octets, written: 1 selected, 0 not
 * @param spare  as many, scratch
 * @return how many are selected
 */
uint32_t flt_xpath_select(const struct flt_xpath *path, const struct fmt_xml_tree *tree,
                          uint8_t *marks, uint8_t *spare);
/** The attribute itself of an element that was selected, or NULL. */
const struct fmt_xml_attribute *flt_xpath_attribute_of(const struct flt_xpath *path,
                                                       const struct fmt_xml_tree *tree,
                                                       const struct fmt_xml_node *node);

#endif
