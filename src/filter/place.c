/* place.c - positions in bodies: the shapes of GML in a PIDF-LO (RFC 4119, RFC 5491), "lat" and
 * "lon" in JSON and SenML, and "geo:" URIs (RFC 5870).
 *
 * Everything comes from outside: a number that is none, a place that is not on the Earth, a unit or
 * a reference system that is not known make it no position. */
#include <math.h>

#include "base/lit.h"
#include "filter/number.h"
#include "filter/reading.h"

#define GML HD_LIT("http://www.opengis.net/gml")
#define GS HD_LIT("http://www.opengis.net/pidflo/1.0")

/* --- numbers in GML -------------------------------------------------------------------------- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
skip_blanks(struct hd_slice *s)
{
    while (s->n && is_blank(*s->p))
        *s = hd_slice_from(*s, 1);
}

/* Up to most numbers with blanks between them, all of text; how many, 0: something else. */
static unsigned
take_numbers(struct hd_slice text, double *numbers, unsigned most)
{
    unsigned n = 0;

    for (skip_blanks(&text); text.n; skip_blanks(&text)) {
        if (n == most || flt_number_take(&text, &numbers[n]) || (text.n && !is_blank(*text.p)))
            return 0;
        n++;
    }
    return n;
}

/* A length in metres; RFC 5491 section 5.2.3: uom is EPSG 9001.  Both ways of writing its name. */
static bool
take_metres(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node, double *ret_m)
{
    struct hd_slice uom;

    if (!node || take_numbers(node->text, ret_m, 1) != 1)
        return false;
    return !fmt_xml_node_value(tree, node, HD_LIT("uom"), &uom) ||
           hd_slice_eq(uom, HD_LIT("urn:ogc:def:uom:EPSG::9001")) ||
           hd_slice_eq(uom, HD_LIT("#m")) || hd_slice_eq(uom, HD_LIT("m"));
}

/* An angle in degrees (EPSG 9102) or radians (9101). */
static bool
take_angle(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node, double *ret_degrees)
{
    struct hd_slice uom;

    if (!node || take_numbers(node->text, ret_degrees, 1) != 1)
        return false;
    if (!fmt_xml_node_value(tree, node, HD_LIT("uom"), &uom) ||
        hd_slice_eq(uom, HD_LIT("urn:ogc:def:uom:EPSG::9102")))
        return true;
    *ret_degrees *= 57.29577951308232;
    return hd_slice_eq(uom, HD_LIT("urn:ogc:def:uom:EPSG::9101"));
}

static const struct fmt_xml_node *
child(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node, struct hd_slice local)
{
    const struct fmt_xml_node *found = fmt_xml_node_find(tree, node, GS, local);

    return found ? found : fmt_xml_node_find(tree, node, GML, local);
}

/* --- GML shapes ------------------------------------------------------------------------------ */

/* RFC 5491 section 5.1: EPSG 4326 in two dimensions, 4979 in three; said nowhere, it is WGS84. */
static bool
crs_fits(const struct fmt_xml_tree *tree, const struct fmt_xml_node *shape)
{
    struct hd_slice crs;

    return !fmt_xml_node_value(tree, shape, HD_LIT("srsName"), &crs) ||
           hd_slice_eq(crs, HD_LIT("urn:ogc:def:crs:EPSG::4326")) ||
           hd_slice_eq(crs, HD_LIT("urn:ogc:def:crs:EPSG::4979"));
}

struct position {
    struct flt_point at;
    double alt;
    bool has_alt;
};

static bool
take_position(const struct fmt_xml_tree *tree, const struct fmt_xml_node *shape,
              struct position *ret)
{
    const struct fmt_xml_node *pos = fmt_xml_node_find(tree, shape, GML, HD_LIT("pos"));
    double numbers[3];
    unsigned n = pos ? take_numbers(pos->text, numbers, 3) : 0;

    if (n < 2)
        return false;
    *ret = (struct position){ .at = { numbers[0], numbers[1] }, .has_alt = n == 3 };
    ret->alt = n == 3 ? numbers[2] : 0;
    return true;
}

static bool
add_corner(struct flt_point *corners, unsigned *n, double lat, double lon)
{
    if (*n > FLT_CORNERS_MOST) /* one more than the most: the closing one */
        return false;
    corners[(*n)++] = (struct flt_point){ lat, lon };
    return true;
}

/* gml:pos for each corner, or a gml:posList of all of them. */
static enum hd_err
take_corners(const struct fmt_xml_tree *tree, const struct fmt_xml_node *polygon,
             struct flt_point corners[FLT_CORNERS_MOST + 1], unsigned *ret_n)
{
    const struct fmt_xml_node *ring = fmt_xml_node_find(
        tree, fmt_xml_node_find(tree, polygon, GML, HD_LIT("exterior")), GML, HD_LIT("LinearRing"));
    struct hd_slice dimension;
    double numbers[3];
    unsigned n = 0;

    if (!ring)
        return HD_ESYNTAX;
    for (const struct fmt_xml_node *c = fmt_xml_node_child(tree, ring); c;
         c = fmt_xml_node_next(tree, c)) {
        if (fmt_xml_is(&c->name, GML, HD_LIT("pos"))) {
            if (take_numbers(c->text, numbers, 3) < 2)
                return HD_ESYNTAX;
            if (!add_corner(corners, &n, numbers[0], numbers[1]))
                return HD_ERANGE;
        } else if (fmt_xml_is(&c->name, GML, HD_LIT("posList"))) {
            struct hd_slice list = c->text;
            bool flat = !fmt_xml_node_value(tree, c, HD_LIT("dimension"), &dimension) &&
                        !fmt_xml_node_value(tree, c, HD_LIT("srsDimension"), &dimension);
            unsigned each = !flat && hd_slice_eq(dimension, HD_LIT("3")) ? 3 : 2;
            for (skip_blanks(&list); list.n; skip_blanks(&list)) {
                for (unsigned i = 0; i < each; i++, skip_blanks(&list))
                    if (flt_number_take(&list, &numbers[i]) || (list.n && !is_blank(*list.p)))
                        return HD_ESYNTAX;
                if (!add_corner(corners, &n, numbers[0], numbers[1]))
                    return HD_ERANGE;
            }
        }
    }
    *ret_n = n;
    return HD_OK;
}

static enum hd_err
read_polygon(const struct fmt_xml_tree *tree, const struct fmt_xml_node *shape,
             struct flt_place *ret_place)
{
    struct flt_point corners[FLT_CORNERS_MOST + 1];
    unsigned n;
    enum hd_err err = take_corners(tree, shape, corners, &n);

    return err ? err : flt_place_polygon(corners, n, ret_place);
}

static enum hd_err
read_ellipse(const struct fmt_xml_tree *tree, const struct fmt_xml_node *shape, struct flt_point at,
             struct flt_place *ret_place)
{
    double major, minor, turn;

    if (!take_metres(tree, child(tree, shape, HD_LIT("semiMajorAxis")), &major) ||
        !take_metres(tree, child(tree, shape, HD_LIT("semiMinorAxis")), &minor) ||
        !take_angle(tree, child(tree, shape, HD_LIT("orientation")), &turn))
        return HD_ESYNTAX;
    return flt_place_ellipse(at, major, minor, turn, ret_place);
}

static enum hd_err
read_arc_band(const struct fmt_xml_tree *tree, const struct fmt_xml_node *shape,
              struct flt_point apex, struct flt_place *ret_place)
{
    double inner, outer, start, opening;

    if (!take_metres(tree, child(tree, shape, HD_LIT("innerRadius")), &inner) ||
        !take_metres(tree, child(tree, shape, HD_LIT("outerRadius")), &outer) ||
        !take_angle(tree, child(tree, shape, HD_LIT("startAngle")), &start) ||
        !take_angle(tree, child(tree, shape, HD_LIT("openingAngle")), &opening))
        return HD_ESYNTAX;
    return flt_place_arc_band(apex, inner, outer, start, opening, ret_place);
}

/* Shapes of three dimensions stand on the ground by their shadow. */
static enum hd_err
read_round(const struct fmt_xml_tree *tree, const struct fmt_xml_node *shape,
           struct flt_place *ret_place)
{
    struct hd_slice local = shape->name.local;
    struct position position;
    enum hd_err err;
    double radius;

    if (!take_position(tree, shape, &position))
        return HD_ESYNTAX;
    if (hd_slice_eq(local, HD_LIT("Point"))) {
        err = flt_place_point(position.at, ret_place);
    } else if (hd_slice_eq(local, HD_LIT("Circle")) || hd_slice_eq(local, HD_LIT("Sphere"))) {
        if (!take_metres(tree, child(tree, shape, HD_LIT("radius")), &radius))
            return HD_ESYNTAX;
        err = flt_place_circle(position.at, radius, ret_place);
    } else if (hd_slice_eq(local, HD_LIT("Ellipse")) || hd_slice_eq(local, HD_LIT("Ellipsoid"))) {
        err = read_ellipse(tree, shape, position.at, ret_place);
    } else {
        return read_arc_band(tree, shape, position.at, ret_place);
    }
    ret_place->has_alt = position.has_alt;
    ret_place->alt = position.alt;
    return err;
}

enum hd_err
flt_place_read(const struct fmt_xml_tree *tree, const struct fmt_xml_node *shape,
               struct flt_place *ret_place)
{
    static const struct hd_slice round[] = { HD_LIT_INIT("Circle"), HD_LIT_INIT("Sphere"),
                                             HD_LIT_INIT("Ellipse"), HD_LIT_INIT("Ellipsoid"),
                                             HD_LIT_INIT("ArcBand") };

    if (!crs_fits(tree, shape))
        return HD_ENOTSUP;
    if (fmt_xml_is(&shape->name, GML, HD_LIT("Point")))
        return read_round(tree, shape, ret_place);
    if (fmt_xml_is(&shape->name, GML, HD_LIT("Polygon")))
        return read_polygon(tree, shape, ret_place);
    for (size_t i = 0; i < sizeof(round) / sizeof(round[0]); i++)
        if (fmt_xml_is(&shape->name, GS, round[i]))
            return read_round(tree, shape, ret_place);
    return HD_ENOTSUP;
}

enum hd_err
flt_region_read(const struct fmt_xml_tree *tree, const struct fmt_xml_node *shape,
                struct flt_region **ret_region, const char **ret_reason)
{
    struct flt_point corners[FLT_CORNERS_MOST + 1];
    struct position position;
    double radius;
    unsigned n;
    enum hd_err err = HD_ESYNTAX;

    *ret_reason = "a region is a circle or a polygon of WGS84";
    if (!crs_fits(tree, shape))
        return HD_ENOTSUP;
    if (fmt_xml_is(&shape->name, GS, HD_LIT("Circle"))) {
        *ret_reason = "a circle has a position and a radius in metres";
        if (take_position(tree, shape, &position) &&
            take_metres(tree, child(tree, shape, HD_LIT("radius")), &radius))
            err = flt_region_circle(position.at, radius, ret_region);
    } else if (fmt_xml_is(&shape->name, GML, HD_LIT("Polygon"))) {
        *ret_reason = "a polygon has 3 to 128 corners and an area";
        err = take_corners(tree, shape, corners, &n);
        if (!err)
            err = flt_region_polygon(corners, n, ret_region);
    } else {
        return HD_ENOTSUP;
    }
    return err;
}

/* --- finding one ----------------------------------------------------------------------------- */

/* RFC 5491 section 3: the first location-info that has a shape counts. */
static bool
find_in_xml(const struct fmt_xml_tree *tree, struct flt_place *ret_place)
{
    for (uint32_t i = 0; i < tree->n; i++) {
        const struct fmt_xml_node *node = &tree->nodes[i];
        if ((hd_slice_eq(node->name.ns, GML) || hd_slice_eq(node->name.ns, GS)) &&
            flt_place_read(tree, node, ret_place) == HD_OK)
            return true;
    }
    return false;
}

static bool
number_at(const struct flt_reading *reading, struct hd_slice name, double *ret)
{
    struct flt_path path = { .text = name };
    struct flt_value value;

    if (!flt_reading_value(reading, &path, &value) || !value.is_number)
        return false;
    *ret = value.number;
    return true;
}

static bool
number_of(const struct flt_reading *reading, const char *const *names, double *ret)
{
    for (; *names; names++)
        if (number_at(reading, hd_slice_str(*names), ret))
            return true;
    return false;
}

/* "geo:48.2,16.37;u=35" (RFC 5870): latitude, longitude, height, uncertainty in metres. */
static bool
find_geo_uri(struct hd_slice text, struct flt_place *ret_place)
{
    struct flt_point at;
    double alt = 0, u = 0;
    bool has_alt = false;

    if (!hd_slice_istarts(text, HD_LIT("geo:")))
        return false;
    text = hd_slice_from(text, 4);
    if (flt_number_take(&text, &at.lat) || !text.n || *text.p != ',')
        return false;
    text = hd_slice_from(text, 1);
    if (flt_number_take(&text, &at.lon))
        return false;
    if (text.n && *text.p == ',') {
        text = hd_slice_from(text, 1);
        if (flt_number_take(&text, &alt))
            return false;
        has_alt = true;
    }
    while (text.n) {
        struct hd_slice parameter = hd_slice_from(text, 1);
        if (*text.p != ';')
            return false;
        text = hd_slice_from(parameter, hd_slice_find(parameter, ';'));
        parameter.n -= text.n;
        if (hd_slice_istarts(parameter, HD_LIT("u=")) &&
            (flt_number(hd_slice_from(parameter, 2), &u) || u < 0))
            return false;
        if (hd_slice_istarts(parameter, HD_LIT("crs=")) &&
            !hd_slice_ieq(parameter, HD_LIT("crs=wgs84")))
            return false;
    }
    if (flt_place_circle(at, u, ret_place))
        return false;
    ret_place->has_alt = has_alt;
    ret_place->alt = alt;
    return true;
}

static bool
find_in_json(const struct flt_reading *reading, struct flt_place *ret_place)
{
    static const char *const lat[] = { "lat", "latitude", "location/lat", "position/lat", NULL };
    static const char *const lon[] = { "lon",          "lng",          "longitude",
                                       "location/lon", "position/lon", NULL };
    static const char *const acc[] = { "acc",           "accuracy",
                                       "uncertainty_m", "location/uncertainty_m",
                                       "position/acc",  NULL };
    static const char *const alt[] = { "alt", "altitude", "location/alt", NULL };
    static const char *const geo[] = { "geo", "location", "position", NULL };
    struct flt_value value;
    struct flt_point at;
    double radius = 0, height;

    for (const char *const *name = geo; *name; name++) {
        struct flt_path path = { .text = hd_slice_str(*name) };
        if (flt_reading_value(reading, &path, &value) && find_geo_uri(value.text, ret_place))
            return true;
    }
    if (!number_of(reading, lat, &at.lat) || !number_of(reading, lon, &at.lon))
        return false;
    if (!number_of(reading, acc, &radius) || radius < 0)
        radius = 0;
    if (flt_place_circle(at, radius, ret_place))
        return false;
    ret_place->has_alt = number_of(reading, alt, &height);
    ret_place->alt = ret_place->has_alt ? height : 0;
    return true;
}

bool
flt_place_find(const struct flt_reading *reading, struct flt_place *ret_place)
{
    switch (reading->form) {
    case FLT_FORM_XML:
        return find_in_xml(&reading->xml, ret_place);
    case FLT_FORM_JSON:
    case FLT_FORM_SENML:
        return find_in_json(reading, ret_place);
    case FLT_FORM_NONE:
        break;
    }
    return false;
}
