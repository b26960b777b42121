/* xml.h - writing XML, and libxml2's trees of documents that have been checked.
 *
 * Documents are checked and looked at with format/xml_read.h; a tree is only for those that are put
 * together.  Thread: a struct fmt_xml belongs to one thread at a time.  fmt_xml_setup() is called
 * once before threads start. */
#ifndef HD_FORMAT_XML_H
#define HD_FORMAT_XML_H

#include "base/slice.h"
#include "base/str.h"
#include "format/xml_read.h"

/** Writes character data or an attribute's value: & < > " tab, CR and LF are escaped.  What XML
 * cannot hold at all (other control characters, octets that are not UTF-8) is the caller's to keep
 * out. */
void fmt_xml_escape(struct hd_str *out, struct hd_slice s);

/** The same for a URI: what a URI cannot hold is percent-encoded, so that the document is
 * well-formed whatever comes in. */
void fmt_xml_write_uri(struct hd_str *out, struct hd_slice uri);

/** Prepares libxml2; once, before threads start.  Parsing works without, but only in one thread. */
void fmt_xml_setup(void);

/* A parser's context, used again for every document.  NULL when memory is short. */
struct fmt_xml;
struct fmt_xml *fmt_xml_new(void);
struct fmt_xml *fmt_xml_free(struct fmt_xml *xml); /* accepts NULL, returns NULL */

struct _xmlDoc;
/**
 * Checks as fmt_xml_check() does and parses.  Nothing is fetched and no entity is replaced.
 * @param ret_doc     the caller's, to be freed with xmlFreeDoc()
 * @param ret_reason  set with HD_ESYNTAX: one line, static
 * @return HD_OK, HD_ESYNTAX, HD_ENOMEM
 */
HD_NODISCARD enum hd_err fmt_xml_parse(struct fmt_xml *xml, struct hd_slice text, size_t max,
                                       struct _xmlDoc **ret_doc, const char **ret_reason);

#endif
