/* xml_patch.h - what makes one XML document into another, as patch operations (RFC 5261).
 *
 * Elements are compared with what stands behind them, children are brought together by name and id,
 * and what differs is told as deep down as it can be.  Selectors are positions (the third child of
 * the second child of the root), which need no prefix and no quote. Whoever applies the operations
 * gets the document to the octet of its canonical form, blanks included. Thread: any.  Memory:
 * documents are borrowed for the call. */
#ifndef HD_FORMAT_XML_PATCH_H
#define HD_FORMAT_XML_PATCH_H

#include "base/str.h"
#include "format/xml_tree.h"

/**
 * Writes add, remove and replace elements, in the order in which they are applied.
 * @param prefix  of the operations' names, bound by whoever writes the root around them
 * @return HD_OK; HD_ENOTSUP: the roots differ in their tags, or have text between their children;
 *         HD_ENOMEM.  On failure out holds nothing of use.
 */
HD_NODISCARD enum hd_err fmt_xml_patch(const struct fmt_xml_tree *base,
                                       const struct fmt_xml_tree *now, struct hd_slice prefix,
                                       struct hd_str *out);
/** What stands between the tags of an element, as written; empty for an empty-element tag. */
struct hd_slice fmt_xml_content(const struct fmt_xml_node *node);

#endif
