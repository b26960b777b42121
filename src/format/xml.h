/* xml.h - XML from outside: a linear guard, and libxml2 behind it.
 *
 * The guard reads a document once and refuses what would be expensive or dangerous later, so
 * libxml2 only sees small, flat documents in UTF-8 without declarations of its own. Thread: a
 * struct fmt_xml belongs to one thread at a time; the guard is pure. fmt_xml_setup() is called once
 * before threads start. */
#ifndef HD_FORMAT_XML_H
#define HD_FORMAT_XML_H

#include "base/slice.h"
#include "base/str.h"

#define FMT_XML_MAX_DEPTH 64       /* elements inside each other */
#define FMT_XML_MAX_ATTRIBUTES 64  /* in one tag, namespace declarations included */
#define FMT_XML_MAX_NAMESPACES 256 /* declarations in one document */

/**
 * Checks the frame of a document in linear time: at most max octets, UTF-8 or ASCII by its byte
 * order mark and declaration, no NUL, no DOCTYPE, ENTITY or other declaration, tags that are closed
 * in turn, and the limits above.
 * @param ret_reason  set on failure: one line, static
 * @return HD_OK; HD_ESYNTAX with ret_reason.  HD_OK alone does not say well-formed: names,
 * references and namespaces are libxml2's to check.
 */
HD_NODISCARD enum hd_err fmt_xml_guard(struct hd_slice text, size_t max, const char **ret_reason);
/**
 * The value of an attribute without prefix of the root element, as it stands between its quotes
 * (references not replaced). The text must have passed the guard once.  HD_ENOMATCH: none.
 */
HD_NODISCARD enum hd_err fmt_xml_root_attribute(struct hd_slice text, struct hd_slice name,
                                                struct hd_slice *ret_value);

/** Writes character data or an attribute's value: & < > " tab, CR and LF are escaped.  What XML
 * cannot hold at all (other control characters, octets that are not UTF-8) is the caller's to keep
 * out. */
void fmt_xml_escape(struct hd_str *out, struct hd_slice s);

/** Prepares libxml2; once, before threads start.  Parsing works without, but only in one thread. */
void fmt_xml_setup(void);

/* A parser's context, used again for every document.  NULL when memory is short. */
struct fmt_xml;
struct fmt_xml *fmt_xml_new(void);
struct fmt_xml *fmt_xml_free(struct fmt_xml *xml); /* accepts NULL, returns NULL */

struct _xmlDoc;
/**
 * Guard and parse, with namespaces.  Nothing is fetched and no entity is replaced.
 * @param ret_doc     the caller's, to be freed with xmlFreeDoc()
 * @param ret_reason  set with HD_ESYNTAX: one line, static
 * @return HD_OK, HD_ESYNTAX, HD_ENOMEM
 */
HD_NODISCARD enum hd_err fmt_xml_parse(struct fmt_xml *xml, struct hd_slice text, size_t max,
                                       struct _xmlDoc **ret_doc, const char **ret_reason);
/** Whether a document is well-formed, namespaces included; the tree is not kept.  Errors as above.
 */
HD_NODISCARD enum hd_err fmt_xml_check(struct fmt_xml *xml, struct hd_slice text, size_t max,
                                       const char **ret_reason);

#endif
