/* reading.h - a body as conditions look at it: JSON, SenML or XML, read once for all of them.
 *
 * Thread: its shard's.  Memory: slices point into the body, which must outlive the reading. */
#ifndef HD_FILTER_READING_H
#define HD_FILTER_READING_H

#include "filter/geo.h"
#include "filter/xpath.h"
#include "format/json_tree.h"
#include "format/xml_tree.h"

enum flt_form { FLT_FORM_NONE = 0, FLT_FORM_JSON, FLT_FORM_SENML, FLT_FORM_XML };

struct flt_reading {
    enum flt_form form;
    struct fmt_json_tree json;
    struct fmt_xml_tree xml;
    uint8_t *marks, *spare; /* xml.n octets each */
    bool placed;            /* place was looked for */
    bool has_place;
    struct flt_place place;
};

/* Where a condition finds its value.  One text, and what it means in each form of body. */
struct flt_path {
    struct hd_slice text;    /* as written; the owner's memory */
    struct flt_xpath *xpath; /* NULL: it is none */
    bool is_pointer;         /* a JSON Pointer */
};

enum flt_type { FLT_TYPE_NONE = 0, FLT_TYPE_NUMBER, FLT_TYPE_TEXT, FLT_TYPE_BOOL };
struct flt_value {
    enum flt_type type;
    double number; /* of text too when it is one, see is_number */
    bool is_number, truth;
    struct hd_slice text; /* as it means, or as far as it fits into memory */
    struct hd_slice unit; /* SenML's, empty: none */
    char memory[128];
};

/* The reader of XML is large and kept with whoever reads many. */
struct flt_reader {
    struct fmt_xml_reader xml;
};

/**
 * Reads a body.  One that cannot be read, or of another form, has nothing in it: form NONE.
 * @param type  its media type
 */
void flt_reading_init(struct flt_reading *reading, struct flt_reader *reader, struct hd_slice type,
                      struct hd_slice body);
/** Gives back what it holds. */
void flt_reading_done(struct flt_reading *reading);
/** The value at a path.  False: the body lacks it. */
bool flt_reading_value(const struct flt_reading *reading, const struct flt_path *path,
                       struct flt_value *ret_value);
/** Text or number of an element or attribute. */
void flt_value_text(struct hd_slice written, bool cdata, struct flt_value *ret_value);
/** Where the resource is; NULL: the body does not say. */
const struct flt_place *flt_reading_place(struct flt_reading *reading);

/* place.c */
/** A shape of GML (RFC 5491 section 5.2): HD_OK; HD_ESYNTAX, HD_ERANGE, HD_ENOTSUP: none that is
 * known.
 */
HD_NODISCARD enum hd_err flt_place_read(const struct fmt_xml_tree *tree,
                                        const struct fmt_xml_node *shape,
                                        struct flt_place *ret_place);
/** A circle or polygon as a region (RFC 6447 section 3.4); ret_reason is static. */
HD_NODISCARD enum hd_err flt_region_read(const struct fmt_xml_tree *tree,
                                         const struct fmt_xml_node *shape,
                                         struct flt_region **ret_region, const char **ret_reason);
/** Looks for a position in a reading. */
bool flt_place_find(const struct flt_reading *reading, struct flt_place *ret_place);

#endif
