/* reduce_pidf.h - what permissions show of a presence document (RFC 5025 section 3.3).  Private to
 * the reductions. */
#ifndef HD_FORMAT_REDUCE_PIDF_H
#define HD_FORMAT_REDUCE_PIDF_H

#include "format/reduce.h"
#include "format/xml_read.h"

#define FMT_PIDF_PARTS_MAX 1024u /* children of the root */

/* What is shown of a document; made by fmt_permit_read(). */
struct fmt_permit {
    const struct hd_slice *provide;
    size_t n;
    bool shown[FMT_PIDF_PARTS_MAX]; /* of the root's children, in their order */
};

/** Looks at a document.  HD_ESYNTAX: it is no PIDF, or has too many parts. */
HD_NODISCARD enum hd_err fmt_permit_read(const struct hd_slice *provide, size_t n,
                                         struct hd_slice body, struct fmt_permit *ret_permit);
/** Whether the element that a reader has just begun is shown; part: which child of the root it is
 * or is in.  What stands in one that is not is not asked for. */
bool fmt_permit_element(const struct fmt_permit *permit, const struct fmt_xml_reader *r,
                        unsigned part);
/** Whether an attribute of it is. */
bool fmt_permit_attribute(const struct fmt_permit *permit, const struct fmt_xml_reader *r,
                          const struct fmt_xml_attribute *attribute);

/** Whether each of some permissions is, or lies in, one of others. */
bool fmt_permits_contain(const struct hd_slice *more, size_t n_more, const struct hd_slice *less,
                         size_t n_less);

#endif
