/* reading.c - looking for values in bodies.
 *
 * Invariants: what a body does not have is never guessed; a text that is a number counts as one for
 * numbers and as itself for texts. */
#include "filter/reading.h"

#include <stdlib.h>

#include "filter/number.h"

/* --- which form ------------------------------------------------------------------------------ */

static bool
ends_in(struct hd_slice s, struct hd_slice end)
{
    return s.n >= end.n && hd_slice_ieq(hd_slice_from(s, s.n - end.n), end);
}

static enum flt_form
form_of(struct hd_slice type)
{
    struct hd_slice media = hd_slice_trim(hd_slice(type.p, hd_slice_find(type, ';')));

    if (hd_slice_ieq(media, HD_LIT("application/senml+json")))
        return FLT_FORM_SENML;
    if (ends_in(media, HD_LIT("/json")) || ends_in(media, HD_LIT("+json")))
        return FLT_FORM_JSON;
    if (ends_in(media, HD_LIT("/xml")) || ends_in(media, HD_LIT("+xml")))
        return FLT_FORM_XML;
    return FLT_FORM_NONE;
}

/* SenML that is sent as plain JSON: an array of objects, the first of which has one of its names.
 */
static bool
looks_like_senml(const struct fmt_json_tree *json)
{
    const struct fmt_json_node *first = fmt_json_first(json, &json->nodes[0]);

    return json->nodes[0].kind == FMT_JSON_ARRAY && first &&
           (fmt_json_member(json, first, HD_LIT("n")) ||
            fmt_json_member(json, first, HD_LIT("bn")));
}

void
flt_reading_init(struct flt_reading *reading, struct flt_reader *reader, struct hd_slice type,
                 struct hd_slice body)
{
    reading->form = form_of(type);
    reading->placed = reading->has_place = false;
    switch (reading->form) {
    case FLT_FORM_JSON:
    case FLT_FORM_SENML:
        if (fmt_json_tree_read(&reading->json, body))
            reading->form = FLT_FORM_NONE;
        else if (looks_like_senml(&reading->json))
            reading->form = FLT_FORM_SENML;
        else
            reading->form = FLT_FORM_JSON;
        break;
    case FLT_FORM_XML: {
        uint8_t *marks = NULL;
        if (!fmt_xml_tree_read(&reading->xml, &reader->xml, body))
            marks = realloc(reading->marks, (size_t)reading->xml.n * 2);
        if (!marks) {
            reading->form = FLT_FORM_NONE;
            break;
        }
        reading->marks = marks;
        reading->spare = marks + reading->xml.n;
        break;
    }
    case FLT_FORM_NONE:
        break;
    }
}

void
flt_reading_done(struct flt_reading *reading)
{
    fmt_json_tree_done(&reading->json);
    fmt_xml_tree_done(&reading->xml);
    free(reading->marks);
    reading->marks = reading->spare = NULL;
    reading->form = FLT_FORM_NONE;
}

/* --- values ---------------------------------------------------------------------------------- */

void
flt_value_text(struct hd_slice written, bool cdata, struct flt_value *value)
{
    value->type = FLT_TYPE_TEXT;
    value->unit = hd_slice(NULL, 0);
    if (fmt_xml_text(written, cdata, value->memory, sizeof(value->memory), &value->text))
        value->text = written;
    value->is_number = flt_number(hd_slice_trim(value->text), &value->number) == HD_OK;
    value->truth = hd_slice_eq(value->text, HD_LIT("true"));
}

static bool
json_value(const struct fmt_json_node *node, struct flt_value *value)
{
    if (!node)
        return false;
    value->unit = hd_slice(NULL, 0);
    value->is_number = false;
    value->text = node->text;
    switch ((enum fmt_json_kind)node->kind) {
    case FMT_JSON_NUMBER:
        value->type = FLT_TYPE_NUMBER;
        value->is_number = flt_number(node->text, &value->number) == HD_OK;
        return value->is_number;
    case FMT_JSON_STRING:
        value->type = FLT_TYPE_TEXT;
        if (fmt_json_text(node->text, node->escaped, value->memory, sizeof(value->memory),
                          &value->text))
            value->text = node->text;
        value->is_number = flt_number(value->text, &value->number) == HD_OK;
        return true;
    case FMT_JSON_TRUE:
    case FMT_JSON_FALSE:
        value->type = FLT_TYPE_BOOL;
        value->truth = node->kind == FMT_JSON_TRUE;
        return true;
    case FMT_JSON_NULL:
        value->type = FLT_TYPE_TEXT;
        return true;
    case FMT_JSON_ARRAY:
    case FMT_JSON_OBJECT:
        value->type = FLT_TYPE_TEXT; /* as written: good for "changed" */
        return true;
    }
    return false;
}

/* --- SenML (RFC 8428 section 4) -------------------------------------------------------------- */

static double
senml_number(const struct fmt_json_tree *json, const struct fmt_json_node *record,
             struct hd_slice name, double otherwise)
{
    const struct fmt_json_node *node = fmt_json_member(json, record, name);
    double value;

    return node && node->kind == FMT_JSON_NUMBER && flt_number(node->text, &value) == HD_OK
               ? value
               : otherwise;
}

/* Base name and name are joined (section 4.5.1); the name alone is enough here. */
static bool
senml_named(const struct fmt_json_node *base, const struct fmt_json_node *name,
            struct hd_slice wanted)
{
    struct hd_slice own = name ? name->text : hd_slice(NULL, 0);
    struct hd_slice prefix = base ? base->text : hd_slice(NULL, 0);

    if (name && fmt_json_text_eq(own, name->escaped, wanted))
        return true;
    return wanted.n == prefix.n + own.n && hd_slice_starts(wanted, prefix) &&
           hd_slice_eq(hd_slice_from(wanted, prefix.n), own);
}

static bool
senml_value(const struct fmt_json_tree *json, const struct fmt_json_node *record, double base,
            struct flt_value *value)
{
    const struct fmt_json_node *node = fmt_json_member(json, record, HD_LIT("v"));

    if (node && json_value(node, value)) {
        value->number += base;
        return true;
    }
    if (!node)
        node = fmt_json_member(json, record, HD_LIT("vs"));
    if (!node)
        node = fmt_json_member(json, record, HD_LIT("vb"));
    if (!node)
        node = fmt_json_member(json, record, HD_LIT("vd"));
    return json_value(node, value);
}

/* The newest record of that name; of the same time the last. */
static bool
senml_find(const struct fmt_json_tree *json, struct hd_slice wanted, struct flt_value *ret_value)
{
    const struct fmt_json_node *base = NULL, *unit = NULL, *found = NULL, *found_unit = NULL;
    double base_time = 0, base_value = 0, best = -1e300, found_base = 0;

    for (const struct fmt_json_node *record = fmt_json_first(json, &json->nodes[0]); record;
         record = fmt_json_next(json, record)) {
        const struct fmt_json_node *bn = fmt_json_member(json, record, HD_LIT("bn"));
        const struct fmt_json_node *bu = fmt_json_member(json, record, HD_LIT("bu"));
        const struct fmt_json_node *u = fmt_json_member(json, record, HD_LIT("u"));
        base = bn ? bn : base;
        unit = bu ? bu : unit;
        base_time = senml_number(json, record, HD_LIT("bt"), base_time);
        base_value = senml_number(json, record, HD_LIT("bv"), base_value);
        double time = base_time + senml_number(json, record, HD_LIT("t"), 0);
        if (!senml_named(base, fmt_json_member(json, record, HD_LIT("n")), wanted) || time < best)
            continue;
        found = record;
        found_unit = u ? u : unit;
        found_base = base_value;
        best = time;
    }
    if (!found || !senml_value(json, found, found_base, ret_value))
        return false;
    if (found_unit)
        ret_value->unit = found_unit->text;
    return true;
}

/* --- paths ----------------------------------------------------------------------------------- */

/* A name without a leading slash is a pointer without it: "valueQuantity/value". */
static const struct fmt_json_node *
json_find(const struct fmt_json_tree *json, const struct flt_path *path)
{
    char memory[FLT_XPATH_OCTETS + 1] = "/";

    if (path->is_pointer)
        return fmt_json_pointer(json, &json->nodes[0], path->text);
    if (path->text.n >= sizeof(memory))
        return NULL;
    memcpy(memory + 1, path->text.p, path->text.n);
    return fmt_json_pointer(json, &json->nodes[0], hd_slice(memory, path->text.n + 1));
}

static bool
xml_find(const struct flt_reading *reading, const struct flt_path *path, struct flt_value *value)
{
    if (!path->xpath ||
        flt_xpath_select(path->xpath, &reading->xml, reading->marks, reading->spare) == 0)
        return false;
    const uint8_t *mark = memchr(reading->marks, 1, reading->xml.n);
    const struct fmt_xml_node *node = &reading->xml.nodes[mark - reading->marks];
    const struct fmt_xml_attribute *a = flt_xpath_attribute_of(path->xpath, &reading->xml, node);
    flt_value_text(a ? a->value : node->text, !a && node->cdata, value);
    return true;
}

bool
flt_reading_value(const struct flt_reading *reading, const struct flt_path *path,
                  struct flt_value *ret_value)
{
    switch (reading->form) {
    case FLT_FORM_SENML:
        if (!path->is_pointer)
            return senml_find(&reading->json, path->text, ret_value);
        return json_value(json_find(&reading->json, path), ret_value);
    case FLT_FORM_JSON:
        return json_value(json_find(&reading->json, path), ret_value);
    case FLT_FORM_XML:
        return xml_find(reading, path, ret_value);
    case FLT_FORM_NONE:
        break;
    }
    return false;
}

const struct flt_place *
flt_reading_place(struct flt_reading *reading)
{
    if (!reading->placed) {
        reading->placed = true;
        reading->has_place = flt_place_find(reading, &reading->place);
    }
    return reading->has_place ? &reading->place : NULL;
}
