/* reduce_pidf.c - what permissions show of a presence document.
 *
 * A permission only ever shows more (RFC 4745 section 10): without one for it a part is left out, a
 * part that is not known as well.  Which devices, persons and services are shown depends on what
 * stands in them, so the document is read once before it is copied. */
#include "format/reduce_pidf.h"

#include <string.h>

#define PIDF HD_LIT("urn:ietf:params:xml:ns:pidf")
#define DATA_MODEL HD_LIT("urn:ietf:params:xml:ns:pidf:data-model")
#define RPID HD_LIT("urn:ietf:params:xml:ns:pidf:rpid")
#define GEOPRIV HD_LIT("urn:ietf:params:xml:ns:pidf:geopriv10")

enum kind { KIND_OTHER = 0, KIND_SERVICE, KIND_PERSON, KIND_DEVICE };

/* ---- permissions ---- */

/* Attributes that a permission of the same name shows (RFC 5025 section 3.3.2). */
static const struct hd_slice attributes[] = {
    { "activities", 10 }, { "class", 5 },        { "deviceID", 8 },     { "mood", 4 },
    { "place-is", 8 },    { "place-type", 10 },  { "privacy", 7 },      { "relationship", 12 },
    { "sphere", 6 },      { "status-icon", 11 }, { "time-offset", 11 }, { "user-input", 10 },
};

static const struct hd_slice others[] = {
    { "devices", 7 },          { "persons", 7 },
    { "services", 8 },         { "note", 4 },
    { "all-attributes", 14 },  { "location", 8 },
    { "user-input=bare", 15 }, { "user-input=thresholds", 21 },
};

static const struct hd_slice selectors[] = {
    { "devices:class=", 14 },
    { "devices:occurrence-id=", 22 },
    { "devices:deviceID=", 17 },
    { "persons:class=", 14 },
    { "persons:occurrence-id=", 22 },
    { "services:class=", 15 },
    { "services:occurrence-id=", 23 },
    { "services:service-uri=", 21 },
    { "services:service-uri-scheme=", 28 },
};

bool
fmt_provide_ok(struct hd_slice permission)
{
    const struct hd_slice unknown = HD_LIT("unknown=");

    if (permission.n > FMT_PATH_MAX)
        return false;
    for (size_t i = 0; i < permission.n; i++)
        if ((unsigned char)permission.p[i] < ' ' || permission.p[i] == 0x7f)
            return false;
    for (size_t i = 0; i < HD_ARRAY_LEN(attributes); i++)
        if (hd_slice_eq(permission, attributes[i]))
            return true;
    for (size_t i = 0; i < HD_ARRAY_LEN(others); i++)
        if (hd_slice_eq(permission, others[i]))
            return true;
    for (size_t i = 0; i < HD_ARRAY_LEN(selectors); i++)
        if (hd_slice_starts(permission, selectors[i]) && permission.n > selectors[i].n)
            return true;
    return hd_slice_starts(permission, unknown) && permission.n > unknown.n + 1 &&
           hd_slice_find(hd_slice_from(permission, unknown.n), '#') < permission.n - unknown.n - 1;
}

/* "devices:class=a" lies in "devices", and so on. */
static bool
permission_contains(struct hd_slice more, struct hd_slice less)
{
    if (hd_slice_eq(more, less))
        return true;
    if (hd_slice_starts(less, more) && less.n > more.n && less.p[more.n] == ':')
        return true;
    if (hd_slice_eq(less, HD_LIT("user-input=bare")))
        return hd_slice_eq(more, HD_LIT("user-input=thresholds")) ||
               hd_slice_eq(more, HD_LIT("user-input")) ||
               hd_slice_eq(more, HD_LIT("all-attributes"));
    if (hd_slice_eq(less, HD_LIT("user-input=thresholds")))
        return hd_slice_eq(more, HD_LIT("user-input")) ||
               hd_slice_eq(more, HD_LIT("all-attributes"));
    for (size_t i = 0; i < HD_ARRAY_LEN(attributes); i++)
        if (hd_slice_eq(less, attributes[i]))
            return hd_slice_eq(more, HD_LIT("all-attributes"));
    return false;
}

bool
fmt_permits_contain(const struct hd_slice *more, size_t n_more, const struct hd_slice *less,
                    size_t n_less)
{
    for (size_t i = 0; i < n_less; i++) {
        size_t k = 0;
        while (k < n_more && !permission_contains(more[k], less[i]))
            k++;
        if (k == n_more)
            return false;
    }
    return true;
}

static bool
has(const struct fmt_permit *permit, struct hd_slice permission)
{
    for (size_t i = 0; i < permit->n; i++)
        if (hd_slice_eq(permit->provide[i], permission))
            return true;
    return false;
}

/* Whether "KIND:SELECTOR=value" is among them. */
static bool
has_selected(const struct fmt_permit *permit, struct hd_slice start, struct hd_slice value)
{
    for (size_t i = 0; i < permit->n; i++)
        if (hd_slice_starts(permit->provide[i], start) &&
            hd_slice_eq(hd_slice_from(permit->provide[i], start.n), value))
            return true;
    return false;
}

/* "unknown=NAMESPACE#NAME" (RFC 5025 section 3.3.2.14). */
static bool
has_unknown(const struct fmt_permit *permit, const struct fmt_xml_name *name)
{
    const struct hd_slice start = HD_LIT("unknown=");
    for (size_t i = 0; i < permit->n; i++) {
        const struct hd_slice p = permit->provide[i];
        if (hd_slice_starts(p, start) && p.n == start.n + name->ns.n + 1 + name->local.n &&
            hd_slice_eq(hd_slice(p.p + start.n, name->ns.n), name->ns) &&
            p.p[start.n + name->ns.n] == '#' &&
            hd_slice_eq(hd_slice_from(p, start.n + name->ns.n + 1), name->local))
            return true;
    }
    return false;
}

/* ---- which parts ---- */

static enum kind
kind_of(const struct fmt_xml_name *name)
{
    if (fmt_xml_is(name, PIDF, HD_LIT("tuple")))
        return KIND_SERVICE;
    if (fmt_xml_is(name, DATA_MODEL, HD_LIT("person")))
        return KIND_PERSON;
    return fmt_xml_is(name, DATA_MODEL, HD_LIT("device")) ? KIND_DEVICE : KIND_OTHER;
}

static struct hd_slice
kind_word(enum kind kind)
{
    switch (kind) {
    case KIND_SERVICE:
        return HD_LIT("services");
    case KIND_PERSON:
        return HD_LIT("persons");
    case KIND_DEVICE:
        return HD_LIT("devices");
    case KIND_OTHER:
        break;
    }
    return HD_LIT("");
}

/* Whether a value within a part selects it. */
static bool
selects(const struct fmt_permit *permit, enum kind kind, const char *selector,
        struct hd_slice value)
{
    char start[40];
    size_t n = 0;
    const struct hd_slice word = kind_word(kind), rest = hd_slice_str(selector);

    memcpy(start, word.p, word.n);
    n = word.n;
    memcpy(start + n, rest.p, rest.n);
    return has_selected(permit, hd_slice(start, n + rest.n), hd_slice_trim(value));
}

/* A text of a child of a part: does it select it? */
static bool
text_selects(const struct fmt_permit *permit, enum kind kind, const struct fmt_xml_name *child,
             struct hd_slice text)
{
    const struct hd_slice uri = hd_slice_trim(text);

    if (fmt_xml_is(child, RPID, HD_LIT("class")))
        return selects(permit, kind, ":class=", text);
    if (kind == KIND_DEVICE && fmt_xml_is(child, DATA_MODEL, HD_LIT("deviceID")))
        return selects(permit, kind, ":deviceID=", text);
    if (kind != KIND_SERVICE || !fmt_xml_is(child, PIDF, HD_LIT("contact")))
        return false;
    return selects(permit, kind, ":service-uri=", text) ||
           selects(permit, kind, ":service-uri-scheme=", hd_slice(uri.p, hd_slice_find(uri, ':')));
}

/* The start of a part: whether all of its kind are shown, or this one by its id. */
static bool
part_selects(const struct fmt_permit *permit, const struct fmt_xml_reader *r)
{
    const struct fmt_xml_name *name = &r->element->name;
    const enum kind kind = kind_of(name);
    const struct fmt_xml_attribute *id = fmt_xml_attribute(r, HD_LIT("id"));

    if (kind == KIND_OTHER)
        return fmt_xml_is(name, PIDF, HD_LIT("note")) ? has(permit, HD_LIT("note"))
                                                      : has_unknown(permit, name);
    return has(permit, kind_word(kind)) ||
           (id && selects(permit, kind, ":occurrence-id=", id->value));
}

enum hd_err
fmt_permit_read(const struct hd_slice *provide, size_t n, struct hd_slice body,
                struct fmt_permit *ret_permit)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event;
    unsigned part = 0;
    enum kind kind = KIND_OTHER;

    *ret_permit = (struct fmt_permit){ .provide = provide, .n = n };
    fmt_xml_open(&r, body, body.n);
    for (;;) {
        if (fmt_xml_next(&r, &event))
            return HD_ESYNTAX;
        if (event == FMT_XML_DONE)
            return HD_OK;
        if (event == FMT_XML_START && r.depth == 1 &&
            !fmt_xml_is(&r.element->name, PIDF, HD_LIT("presence")))
            return HD_ESYNTAX;
        if (event == FMT_XML_START && r.depth == 2) {
            if (part == FMT_PIDF_PARTS_MAX)
                return HD_ESYNTAX;
            kind = kind_of(&r.element->name);
            ret_permit->shown[part] = part_selects(ret_permit, &r);
        }
        if (event == FMT_XML_TEXT && r.depth == 3 && part < FMT_PIDF_PARTS_MAX &&
            text_selects(ret_permit, kind, &r.element->name, r.token))
            ret_permit->shown[part] = true;
        if (event == FMT_XML_END && r.depth == 2)
            part++;
    }
}

/* ---- what is shown of a part ---- */

/* A child of a tuple, person or device. */
static bool
child_shown(const struct fmt_permit *permit, enum kind kind, const struct fmt_xml_name *name)
{
    /* Always reported (RFC 5025 section 3.3.2); what a status holds is asked for one by one. */
    if (kind == KIND_SERVICE &&
        (fmt_xml_is(name, PIDF, HD_LIT("status")) || fmt_xml_is(name, PIDF, HD_LIT("contact")) ||
         fmt_xml_is(name, PIDF, HD_LIT("timestamp")) ||
         fmt_xml_is(name, RPID, HD_LIT("service-class"))))
        return true;
    if (fmt_xml_is(name, DATA_MODEL, HD_LIT("timestamp")) ||
        (kind == KIND_DEVICE && fmt_xml_is(name, DATA_MODEL, HD_LIT("deviceID"))))
        return true;
    if (fmt_xml_is(name, PIDF, HD_LIT("note")) || fmt_xml_is(name, DATA_MODEL, HD_LIT("note")))
        return has(permit, HD_LIT("note"));
    if (fmt_xml_is(name, GEOPRIV, HD_LIT("geopriv")))
        return has(permit, HD_LIT("location"));
    if (has(permit, HD_LIT("all-attributes")))
        return true;
    if (fmt_xml_is(name, RPID, HD_LIT("user-input")))
        return has(permit, HD_LIT("user-input")) || has(permit, HD_LIT("user-input=bare")) ||
               has(permit, HD_LIT("user-input=thresholds"));
    const bool known =
        hd_slice_eq(name->ns, RPID) || fmt_xml_is(name, DATA_MODEL, HD_LIT("deviceID"));
    for (size_t i = 0; known && i < HD_ARRAY_LEN(attributes); i++)
        if (hd_slice_eq(name->local, attributes[i]))
            return has(permit, name->local);
    return has_unknown(permit, name);
}

bool
fmt_permit_element(const struct fmt_permit *permit, const struct fmt_xml_reader *r, unsigned part)
{
    const struct fmt_xml_name *name = &r->element->name;

    switch (r->depth) {
    case 1:
        return true;
    case 2:
        return part < FMT_PIDF_PARTS_MAX && permit->shown[part];
    case 3:
        return child_shown(permit, kind_of(&r->open[1].name), name);
    case 4:
        if (!fmt_xml_is(&r->open[2].name, PIDF, HD_LIT("status")))
            return true;
        if (fmt_xml_is(name, PIDF, HD_LIT("basic")))
            return true;
        if (fmt_xml_is(name, GEOPRIV, HD_LIT("geopriv")))
            return has(permit, HD_LIT("location"));
        return has(permit, HD_LIT("all-attributes")) || has_unknown(permit, name);
    default:
        return true;
    }
}

bool
fmt_permit_attribute(const struct fmt_permit *permit, const struct fmt_xml_reader *r,
                     const struct fmt_xml_attribute *attribute)
{
    if (r->depth != 3 || !fmt_xml_is(&r->element->name, RPID, HD_LIT("user-input")) ||
        has(permit, HD_LIT("user-input")) || has(permit, HD_LIT("all-attributes")))
        return true;
    if (hd_slice_eq(attribute->name.local, HD_LIT("idle-threshold")))
        return has(permit, HD_LIT("user-input=thresholds"));
    return !hd_slice_eq(attribute->name.local, HD_LIT("since"));
}
