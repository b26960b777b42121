/* xml_keyed.h - lists of elements with ids in XML documents, and what changed between two of them.
 *
 * Several formats say "partial" for a document that has only those elements that changed: dialogs
 * (RFC 4235), watchers (RFC 3858), registrations (RFC 3680).  Documents are valid, ids in a list
 * are different.  Thread: any.  Memory: slices point into the documents. */
#ifndef HD_FORMAT_XML_KEYED_H
#define HD_FORMAT_XML_KEYED_H

#include "base/str.h"
#include "format/xml_read.h"

/* Where the elements are, and what says that one is over. */
struct fmt_xml_keyed {
    struct hd_slice ns, name; /* of an element, which has an attribute "id" */
    unsigned depth;           /* of an element; that of what holds them all is one less */
    struct hd_slice over_child, over_attribute; /* a child or an attribute of the element ... */
    struct hd_slice over;                       /* ... with this value: it has ended */
    bool say_gone; /* one that is gone without having ended is written as having ended, in a child;
                      false: that cannot be said */
};

/**
 * Writes the document that tells whoever has base what is new in now: now with state="partial" in
 * its root, and of the elements those alone that are new or differ.
 * @return HD_OK; HD_ENOTSUP: the whole document is to be sent (what holds the elements differs,
 *         there is more than elements, or one is gone and that cannot be said); HD_ENOMEM.  On
 *         failure out holds nothing of use.
 */
HD_NODISCARD enum hd_err fmt_xml_keyed_changes(const struct fmt_xml_keyed *keyed,
                                               struct hd_slice base, struct hd_slice now,
                                               struct hd_str *out);
/** The digits of the root's version, the number that each subscription counts for itself; false
 * when there are none. */
bool fmt_xml_root_version(struct hd_slice text, struct hd_slice *ret_digits);

#endif
