/* reduce_xml.c - what a rule leaves of an XML document.
 *
 * The document is read by the reader that checks it (xml_read.h), and copied tag by tag: names and
 * prefixes stay as they are.  Comments and processing instructions go, for nobody can say what is
 * in them.  What might not be shown is written, and cut off again at its end.  Positions are hidden
 * in a second walk. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/position.h"
#include "format/reduce_path.h"
#include "format/reduce_pidf.h"

#define DECLARATION "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

/* ---- copying ---- */

static void
text_copy(const struct fmt_xml_reader *r, struct hd_str *out)
{
    if (r->cdata)
        hd_str_add_str(out, "<![CDATA[");
    hd_str_add(out, r->token);
    if (r->cdata)
        hd_str_add_str(out, "]]>");
}

/* The start tag without some of its attributes. */
static void
tag_copy(const struct fmt_xml_reader *r, const bool *hidden, struct hd_str *out)
{
    const char *at = r->token.p, *const end = at + r->token.n;

    for (unsigned i = 0; i < r->n_attributes; i++) {
        if (!hidden[i])
            continue;
        const struct fmt_xml_attribute *a = &r->attributes[i];
        hd_str_add(out, hd_slice(at, (size_t)(a->name.qname.p - at)));
        at = a->value.p + a->value.n + 1; /* behind its quote */
    }
    hd_str_add(out, hd_slice(at, (size_t)(end - at)));
}

static void
cut(struct hd_str *out, size_t n)
{
    if (!out->p)
        return;
    out->n = n;
    out->p[n] = '\0';
}

static bool
is_blank(struct hd_slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!memchr(" \t\r\n", text.p[i], 4))
            return false;
    return true;
}

/* ---- permissions and paths ---- */

/* What is known of an open element. */
struct level {
    struct fmt_places hide, only;
    size_t begin; /* where its tag stands in out */
    bool kept;    /* within what stays */
    bool any;     /* something in it stays */
};

struct walk {
    struct fmt_xml_reader r;
    const struct fmt_reduction *reduction;
    struct fmt_permit permit;
    struct fmt_paths hide, only;
    struct hd_str *out;
    unsigned part; /* which child of the root */
    unsigned skip; /* depth of the element that is left out, 0: none */
    struct level levels[FMT_XML_MAX_DEPTH + 1];
};

static void
walk_start(struct walk *w)
{
    const struct fmt_xml_reader *r = &w->r;
    const struct level *above = &w->levels[r->depth - 1];
    struct level *level = &w->levels[r->depth];
    const struct hd_slice name = r->element->name.local;
    bool hidden[FMT_XML_MAX_ATTRIBUTES];

    const bool hide = fmt_paths_step(&w->hide, &above->hide, name, &level->hide);
    level->kept = fmt_paths_step(&w->only, &above->only, name, &level->only) || above->kept;
    level->any = level->kept;
    level->begin = w->out->n;
    /* The root stays: it says what the document is. */
    if (r->depth > 1 &&
        (hide || (w->reduction->n_provide > 0 && !fmt_permit_element(&w->permit, r, w->part)))) {
        w->skip = r->depth;
        return;
    }
    for (unsigned i = 0; i < r->n_attributes; i++) {
        const struct fmt_xml_attribute *a = &r->attributes[i];
        hidden[i] = fmt_paths_attribute(&w->hide, &level->hide, a->name.local) ||
                    (w->reduction->n_provide > 0 && !fmt_permit_attribute(&w->permit, r, a));
        if (fmt_paths_attribute(&w->only, &level->only, a->name.local))
            level->any = true;
    }
    tag_copy(r, hidden, w->out);
}

static void
walk_end(struct walk *w)
{
    const unsigned depth = w->r.depth;
    const struct level *level = &w->levels[depth];

    if (depth == 2)
        w->part++;
    if (w->skip) {
        if (w->skip == depth)
            w->skip = 0;
        return;
    }
    hd_str_add(w->out, w->r.token);
    if (depth > 1 && !level->any)
        cut(w->out, level->begin);
    else
        w->levels[depth - 1].any = true;
}

static void
walk_text(struct walk *w)
{
    if (!w->skip && (w->levels[w->r.depth].kept || is_blank(w->r.token)))
        text_copy(&w->r, w->out);
}

static enum hd_err
paths_walk(struct walk *w)
{
    enum fmt_xml_event event;

    for (;;) {
        if (fmt_xml_next(&w->r, &event))
            return HD_ESYNTAX;
        switch (event) {
        case FMT_XML_START:
            if (!w->skip)
                walk_start(w);
            break;
        case FMT_XML_END:
            walk_end(w);
            break;
        case FMT_XML_TEXT:
            walk_text(w);
            break;
        case FMT_XML_DONE:
            return w->out->err;
        }
    }
}

static enum hd_err
paths_copy(const struct fmt_reduction *reduction, struct hd_slice body, size_t max,
           struct hd_str *out)
{
    struct walk *w = calloc(1, sizeof(*w));
    enum hd_err err = HD_OK;

    if (!w)
        return HD_ENOMEM;
    w->reduction = reduction;
    w->out = out;
    if (!fmt_paths_read(reduction->hide, reduction->n_hide, &w->hide) ||
        !fmt_paths_read(reduction->only, reduction->n_only, &w->only) || body.n > max)
        err = HD_ESYNTAX;
    if (!err && reduction->n_provide > 0)
        err = fmt_permit_read(reduction->provide, reduction->n_provide, body, &w->permit);
    if (!err) {
        fmt_paths_begin(&w->hide, &w->levels[0].hide);
        fmt_paths_begin(&w->only, &w->levels[0].only);
        w->levels[0].kept = w->only.n == 0;
        fmt_xml_open(&w->r, body, max);
        hd_str_add_str(out, DECLARATION);
        err = paths_walk(w);
    }
    free(w);
    return err;
}

/* ---- positions ---- */

/* What stands in a shape or in location-info (RFC 5491 section 5): its points, and how far around
 * them. */
struct shape {
    unsigned n;
    double latitudes, longitudes;    /* sums */
    double south, north, west, east; /* bounds */
    double around_m;
    bool bad, alien; /* unreadable; in another reference system */
    unsigned dimension;
};

static bool
is_shape(struct hd_slice local)
{
    static const struct hd_slice shapes[] = {
        { "Point", 5 },       { "Circle", 6 },   { "Sphere", 6 },      { "Ellipse", 7 },
        { "Ellipsoid", 9 },   { "ArcBand", 7 },  { "Polygon", 7 },     { "Prism", 5 },
        { "LineString", 10 }, { "Curve", 5 },    { "Surface", 7 },     { "Solid", 5 },
        { "MultiPoint", 10 }, { "Envelope", 8 }, { "MultiCurve", 10 }, { "MultiSurface", 12 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(shapes); i++)
        if (hd_slice_eq(local, shapes[i]))
            return true;
    return false;
}

static bool
is_civic(struct hd_slice local)
{
    return hd_slice_eq(local, HD_LIT("civicAddress"));
}

static void
shape_add(struct shape *s, double latitude, double longitude)
{
    if (s->n == 0) {
        s->south = s->north = latitude;
        s->west = s->east = longitude;
    }
    s->south = fmin(s->south, latitude);
    s->north = fmax(s->north, latitude);
    s->west = fmin(s->west, longitude);
    s->east = fmax(s->east, longitude);
    s->latitudes += latitude;
    s->longitudes += longitude;
    s->n++;
}

static bool
word_next(struct hd_slice *rest, struct hd_slice *ret_word)
{
    size_t n = 0;
    while (rest->n && memchr("\r\n\t ", rest->p[0], 4))
        *rest = hd_slice_from(*rest, 1);
    while (n < rest->n && !memchr("\r\n\t ", rest->p[n], 4))
        n++;
    *ret_word = hd_slice(rest->p, n);
    *rest = hd_slice_from(*rest, n);
    return n > 0;
}

/* "lat lon" or "lat lon alt", once or often. */
static void
shape_points(struct shape *s, struct hd_slice text, bool list)
{
    double numbers[3];
    unsigned n = 0, dimension = list ? s->dimension : 0;
    struct hd_slice word;

    while (word_next(&text, &word)) {
        if (n == 3 || fmt_decimal_read(word, &numbers[n])) {
            s->bad = true;
            return;
        }
        if (++n == dimension) {
            shape_add(s, numbers[0], numbers[1]);
            n = 0;
        }
    }
    if (!list && n >= 2)
        shape_add(s, numbers[0], numbers[1]);
    else if (n > 0)
        s->bad = true;
}

static void
shape_start(struct shape *s, const struct fmt_xml_reader *r)
{
    const struct fmt_xml_attribute *system = fmt_xml_attribute(r, HD_LIT("srsName"));
    const struct fmt_xml_attribute *dimension = fmt_xml_attribute(r, HD_LIT("srsDimension"));

    if (dimension)
        s->dimension = hd_slice_eq(dimension->value, HD_LIT("3")) ? 3 : 2;
    if (!system)
        return;
    if (hd_slice_eq(system->value, HD_LIT("urn:ogc:def:crs:EPSG::4979")))
        s->dimension = 3;
    else if (!hd_slice_eq(system->value, HD_LIT("urn:ogc:def:crs:EPSG::4326")))
        s->alien = true;
}

static void
shape_text(struct shape *s, struct hd_slice local, struct hd_slice text)
{
    static const struct hd_slice lengths[] = {
        { "radius", 6 }, { "outerRadius", 11 }, { "semiMajorAxis", 13 }, { "height", 6 }
    };
    struct hd_slice word;
    double length;

    if (is_blank(text))
        return;
    if (hd_slice_eq(local, HD_LIT("pos")))
        shape_points(s, text, false);
    else if (hd_slice_eq(local, HD_LIT("posList")) || hd_slice_eq(local, HD_LIT("coordinates")))
        shape_points(s, text, true);
    else if (hd_slice_eq(local, HD_LIT("lowerCorner")) || hd_slice_eq(local, HD_LIT("upperCorner")))
        shape_points(s, text, false);
    for (size_t i = 0; i < HD_ARRAY_LEN(lengths); i++) {
        if (!hd_slice_eq(local, lengths[i]))
            continue;
        if (!word_next(&text, &word) || fmt_decimal_read(word, &length) || length < 0)
            s->bad = true;
        else
            s->around_m = fmax(s->around_m, length);
    }
}

/* The circle for all of it. */
static bool
shape_hide(const struct shape *s, uint32_t circle_m, struct fmt_position *ret_circle)
{
    if (s->n == 0 || s->bad || s->alien)
        return false;
    const struct fmt_position middle = {
        .latitude = s->latitudes / s->n,
        .longitude = s->longitudes / s->n,
        /* Half of the way around the Earth is as far as it goes: a bound is enough. */
        .uncertainty_m = s->around_m + 111320.0 * hypot(s->north - s->south, s->east - s->west)
    };
    return fmt_position_hide(&middle, circle_m, ret_circle) == HD_OK;
}

static void
circle_write(const struct fmt_position *circle, struct hd_str *out)
{
    hd_str_add_str(out, "<gs:Circle xmlns:gs=\"http://www.opengis.net/pidflo/1.0\" "
                        "xmlns:gml=\"http://www.opengis.net/gml\" "
                        "srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:pos>");
    fmt_degrees_write(out, circle->latitude);
    hd_str_add_char(out, ' ');
    fmt_degrees_write(out, circle->longitude);
    hd_str_addf(out,
                "</gml:pos><gs:radius uom=\"urn:ogc:def:uom:EPSG::9001\">%.0f</gs:radius>"
                "</gs:Circle>",
                circle->uncertainty_m);
}

static const struct hd_slice civic_words[] = { { "none", 4 }, { "country", 7 },  { "region", 6 },
                                               { "city", 4 }, { "building", 8 }, { "full", 4 } };

struct hd_slice
fmt_civic_word(enum fmt_civic civic)
{
    return civic_words[civic];
}

enum hd_err
fmt_civic_read(struct hd_slice word, enum fmt_civic *ret_civic)
{
    for (size_t i = 0; i < HD_ARRAY_LEN(civic_words); i++)
        if (hd_slice_eq(word, civic_words[i])) {
            *ret_civic = (enum fmt_civic)i;
            return HD_OK;
        }
    return HD_ENOMATCH;
}

/* The least level at which an element of a civic address is shown: RFC 6772 section 6.5.1. */
static enum fmt_civic
civic_level(struct hd_slice local)
{
    static const struct {
        struct hd_slice local;
        enum fmt_civic level;
    } row[] = {
        { { "country", 7 }, FMT_CIVIC_COUNTRY }, { { "A1", 2 }, FMT_CIVIC_REGION },
        { { "A2", 2 }, FMT_CIVIC_CITY },         { { "A3", 2 }, FMT_CIVIC_CITY },
        { { "A4", 2 }, FMT_CIVIC_BUILDING },     { { "A5", 2 }, FMT_CIVIC_BUILDING },
        { { "A6", 2 }, FMT_CIVIC_BUILDING },     { { "PRD", 3 }, FMT_CIVIC_BUILDING },
        { { "POD", 3 }, FMT_CIVIC_BUILDING },    { { "STS", 3 }, FMT_CIVIC_BUILDING },
        { { "HNO", 3 }, FMT_CIVIC_BUILDING },    { { "HNS", 3 }, FMT_CIVIC_BUILDING },
        { { "LMK", 3 }, FMT_CIVIC_BUILDING },    { { "PC", 2 }, FMT_CIVIC_BUILDING },
        { { "RD", 2 }, FMT_CIVIC_BUILDING },     { { "RDSEC", 5 }, FMT_CIVIC_BUILDING },
        { { "RDBR", 4 }, FMT_CIVIC_BUILDING },   { { "RDSUBBR", 7 }, FMT_CIVIC_BUILDING },
        { { "PRM", 3 }, FMT_CIVIC_BUILDING },    { { "POM", 3 }, FMT_CIVIC_BUILDING },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (hd_slice_eq(local, row[i].local))
            return row[i].level;
    return FMT_CIVIC_FULL;
}

struct hiding {
    struct fmt_xml_reader r;
    const struct fmt_reduction *reduction;
    struct hd_str *out;
};

/* Skips what stands in the element that was just begun, up to its end; what it says of a position
 * is gathered, and civic addresses are copied as far as they are shown. */
static enum hd_err
gather(struct hiding *h, struct shape *shape, bool civic)
{
    const unsigned depth = h->r.depth;
    unsigned shown = 0; /* depth of a civic element that is being copied */
    enum fmt_xml_event event;
    const bool none[FMT_XML_MAX_ATTRIBUTES] = { false };

    shape_start(shape, &h->r);
    for (;;) {
        if (fmt_xml_next(&h->r, &event) || event == FMT_XML_DONE)
            return HD_ESYNTAX;
        const struct fmt_xml_name *name = &h->r.element->name;
        switch (event) {
        case FMT_XML_START:
            shape_start(shape, &h->r);
            if (shown)
                break; /* no address has parts in its parts */
            if (civic && h->reduction->civic != FMT_CIVIC_NONE && is_civic(name->local)) {
                tag_copy(&h->r, none, h->out);
                civic = false;
            } else if (h->r.depth > depth + 1 && is_civic(h->r.open[h->r.depth - 2].name.local) &&
                       h->reduction->civic != FMT_CIVIC_NONE &&
                       civic_level(name->local) <= h->reduction->civic) {
                tag_copy(&h->r, none, h->out);
                shown = h->r.depth;
            }
            break;
        case FMT_XML_END:
            if (h->r.depth == depth)
                return HD_OK;
            if (shown == h->r.depth ||
                (is_civic(name->local) && !shown && h->reduction->civic != FMT_CIVIC_NONE))
                hd_str_add(h->out, h->r.token);
            if (is_civic(name->local) && !shown)
                civic = true;
            if (shown == h->r.depth)
                shown = 0;
            break;
        case FMT_XML_TEXT:
            shape_text(shape, name->local, h->r.token);
            if (shown == h->r.depth)
                text_copy(&h->r, h->out);
            break;
        case FMT_XML_DONE:
            break;
        }
    }
}

/* Names under which a position may stand elsewhere: what cannot be made a circle goes. */
static bool
is_coordinate(struct hd_slice local)
{
    static const struct hd_slice names[] = {
        { "lat", 3 },     { "latitude", 8 },  { "lon", 3 },      { "lng", 3 },
        { "long", 4 },    { "longitude", 9 }, { "altitude", 8 }, { "alt", 3 },
        { "geohash", 7 }, { "pos", 3 },       { "posList", 7 },  { "geo", 3 }
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(names); i++)
        if (hd_slice_ieq(local, names[i]))
            return true;
    return false;
}

static enum hd_err
element_hide(struct hiding *h)
{
    const struct hd_slice local = h->r.element->name.local;
    const struct hd_slice tag = h->r.token;
    const bool info = hd_slice_eq(local, HD_LIT("location-info"));
    bool hidden[FMT_XML_MAX_ATTRIBUTES];
    struct shape shape = { .dimension = 2 };
    struct fmt_position circle;
    enum hd_err err;

    if (is_coordinate(local) || (!info && is_civic(local) && h->reduction->civic == FMT_CIVIC_NONE))
        return gather(h, &shape, false);
    if (!info && !is_shape(local)) {
        for (unsigned i = 0; i < h->r.n_attributes; i++)
            hidden[i] = is_coordinate(h->r.attributes[i].name.local);
        tag_copy(&h->r, hidden, h->out);
        return HD_OK;
    }
    const bool empty = tag.n > 1 && tag.p[tag.n - 2] == '/';
    if (info)
        hd_str_add(h->out, tag);
    if (info && empty) { /* "<location-info/>": its end has no octets */
        enum fmt_xml_event event;
        return fmt_xml_next(&h->r, &event) ? HD_ESYNTAX : HD_OK;
    }
    err = gather(h, &shape, info);
    if (!err && shape_hide(&shape, h->reduction->circle_m, &circle))
        circle_write(&circle, h->out);
    if (!err && info)
        hd_str_add(h->out, h->r.token);
    return err;
}

static enum hd_err
positions_walk(struct hiding *h)
{
    enum fmt_xml_event event;
    enum hd_err err = HD_OK;

    while (!err) {
        if (fmt_xml_next(&h->r, &event))
            return HD_ESYNTAX;
        switch (event) {
        case FMT_XML_START:
            err = element_hide(h);
            break;
        case FMT_XML_END:
            hd_str_add(h->out, h->r.token);
            break;
        case FMT_XML_TEXT:
            text_copy(&h->r, h->out);
            break;
        case FMT_XML_DONE:
            return h->out->err;
        }
    }
    return err;
}

static enum hd_err
positions_hide(const struct fmt_reduction *reduction, struct hd_slice body, struct hd_str *out)
{
    struct hiding *h = malloc(sizeof(*h));
    enum hd_err err;

    if (!h)
        return HD_ENOMEM;
    h->reduction = reduction;
    h->out = out;
    fmt_xml_open(&h->r, body, body.n);
    hd_str_add_str(out, DECLARATION);
    err = positions_walk(h);
    free(h);
    return err;
}

/* ---- both ---- */

enum hd_err
fmt_reduce_xml(const struct fmt_reduction *reduction, struct hd_slice body, size_t max,
               struct hd_str *out)
{
    struct hd_str left = { 0 };
    enum hd_err err = paths_copy(reduction, body, max, &left);

    if (!err && reduction->circle_m == 0) {
        *out = left;
        return HD_OK;
    }
    if (!err)
        err = positions_hide(reduction, hd_str_slice(&left), out);
    hd_str_done(&left);
    return err;
}
