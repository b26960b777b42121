/* xml_read.h - reading XML 1.0 with namespaces, without a parser's tree.
 *
 * One pass over a document that was received: everything that makes it well-formed and
 * namespace-well-formed is checked on the way, and start tags, end tags and text are reported as
 * slices of it.  Nothing is allocated, no octet is looked at more than a bounded number of times.
 * Thread: any, a reader belongs to one.  Memory: all slices point into the document.
 *
 * Stricter than XML allows, on purpose: no DOCTYPE or other declaration, UTF-8 or US-ASCII only
 * (and a document that says US-ASCII has no other octets), no NUL, the limits below, and names of
 * namespaces are plain URIs without references, literal addresses or non-ASCII characters. */
#ifndef HD_FORMAT_XML_READ_H
#define HD_FORMAT_XML_READ_H

#include "base/slice.h"

#define FMT_XML_MAX_DEPTH 64       /* elements inside each other */
#define FMT_XML_MAX_ATTRIBUTES 64  /* in one tag, namespace declarations included */
#define FMT_XML_MAX_NAMESPACES 256 /* declarations in one document */
#define FMT_XML_MAX_NAME 1024      /* octets of one name */

/* The name of an element or attribute. */
struct fmt_xml_name {
    struct hd_slice qname; /* as written, "dm:person" */
    struct hd_slice local; /* its part behind the colon */
    struct hd_slice ns;    /* name of its namespace; empty: none */
};

struct fmt_xml_attribute {
    struct fmt_xml_name name;
    struct hd_slice value; /* between the quotes as written, references not replaced */
    bool plain;            /* the value means what is written: no reference, tab or line end */
};

/* A namespace declaration; an attribute of its tag, but not among the attributes. */
struct fmt_xml_binding {
    struct hd_slice prefix; /* empty: the default */
    struct hd_slice uri;    /* empty: the default is none */
};

/* An element that is open. */
struct fmt_xml_element {
    struct fmt_xml_name name;
    struct hd_slice tag;    /* its start tag, '<' to '>' */
    unsigned first_binding; /* what its tag declares: from here on in the reader's bindings */
};

enum fmt_xml_event {
    FMT_XML_START, /* a start tag was read: element, attributes and bindings describe it */
    FMT_XML_END,   /* the end of element, of "<a/>" too, where token is empty */
    FMT_XML_TEXT,  /* text in element, blanks too: one run without markup, or one CDATA section */
    FMT_XML_DONE   /* the document is complete */
};

/* Embedded; its arrays are not cleared.  Other fields than those described are the reader's own. */
struct fmt_xml_reader {
    /* what was reported last */
    const struct fmt_xml_element *element; /* the innermost open one */
    unsigned depth;                        /* how many are open, element included: the root is 1 */
    struct hd_slice token;                 /* tag or text as written, CDATA without its marks */
    bool cdata;                            /* text: of a CDATA section, where '&' is no reference */
    unsigned n_attributes;                 /* of the start tag, without declarations */
    unsigned n_bindings;                   /* in scope, outermost first */
    const char *reason;                    /* after HD_ESYNTAX: one line, static */

    const char *at, *end;
    unsigned declarations; /* in the whole document so far */
    bool ascii, root_seen, empty, closing;
    struct fmt_xml_attribute attributes[FMT_XML_MAX_ATTRIBUTES];
    struct fmt_xml_binding bindings[FMT_XML_MAX_NAMESPACES];
    struct fmt_xml_element open[FMT_XML_MAX_DEPTH];
};

/** Begins to read a document of at most max octets; a larger one is refused by fmt_xml_next(). */
void fmt_xml_open(struct fmt_xml_reader *r, struct hd_slice text, size_t max);
/**
 * Reads on to the next event.  Not to be called again after an error or FMT_XML_DONE.
 * @return HD_OK; HD_ESYNTAX with r->reason.  Only FMT_XML_DONE says that all is well-formed.
 */
HD_NODISCARD enum hd_err fmt_xml_next(struct fmt_xml_reader *r, enum fmt_xml_event *ret_event);

/** Whether a name is this one in this namespace. */
bool fmt_xml_is(const struct fmt_xml_name *name, struct hd_slice ns, struct hd_slice local);
/** An attribute without prefix of the start tag just read, or NULL. */
const struct fmt_xml_attribute *fmt_xml_attribute(const struct fmt_xml_reader *r,
                                                  struct hd_slice name);
/** What a prefix (empty: the default) is bound to; empty when it is not. */
struct hd_slice fmt_xml_bound(const struct fmt_xml_reader *r, struct hd_slice prefix);
/** Whether two values are the same once references are replaced and blanks normalised (XML section
 * 3.3.3).  Both were read by a reader. */
bool fmt_xml_value_eq(struct hd_slice a, struct hd_slice b);
/** The same number for values that are the same in that sense; not against those who look for
 * others. */
uint32_t fmt_xml_value_hash(struct hd_slice value);

/** Whether a document is well-formed, namespaces included.  Errors as fmt_xml_next(). */
HD_NODISCARD enum hd_err fmt_xml_check(struct hd_slice text, size_t max, const char **ret_reason);
/**
 * The value of an attribute without prefix of the root element, as written.  Only what stands up to
 * the end of the root's tag is read.  HD_ENOMATCH: none, or not well-formed so far.
 */
HD_NODISCARD enum hd_err fmt_xml_root_attribute(struct hd_slice text, struct hd_slice name,
                                                struct hd_slice *ret_value);

#endif
