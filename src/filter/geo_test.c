/* geo_test.c - places and regions: distances at poles and date line, uncertainty, RFC 6447's
 * triggers. */
#include "base/str.h"
#include "filter/test_filter.h"

#include <math.h>
#include <stdio.h>

/* --- distances ------------------------------------------------------------------------------- */

static void
distances_are_geodesics_everywhere(void **state)
{
    static const struct {
        struct flt_point a, b;
        double m;
    } row[] = {
        { { 0, 0 }, { 0, 1 }, 111319.491 },
        { { 0, 0 }, { 1, 0 }, 110574.389 },
        { { 0, 179.5 }, { 0, -179.5 }, 111319.491 },
        { { 89.5, 0 }, { 89.5, 180 }, 111693.9 },
        { { -90, 0 }, { -90, 77 }, 0 },
        { { 51.5, -0.1 }, { 48.85, 2.35 }, 342500 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        double m = flt_distance(row[i].a, row[i].b), about = flt_distance_about(row[i].a, row[i].b);
        assert_true(fabs(m - row[i].m) <= 0.003 * row[i].m + 0.01);
        assert_true(fabs(m - about) <= 0.007 * m + 0.01);
    }
}

static struct flt_region *
circle(double lat, double lon, double m)
{
    struct flt_region *region = NULL;

    assert_int_equal(flt_region_circle((struct flt_point){ lat, lon }, m, &region), HD_OK);
    return region;
}

static enum flt_side
point_side(const struct flt_region *region, double lat, double lon)
{
    struct flt_place place;

    assert_int_equal(flt_place_point((struct flt_point){ lat, lon }, &place), HD_OK);
    return flt_side(region, &place);
}

static void
circles_are_round_at_the_pole_and_at_the_date_line(void **state)
{
    struct flt_region *pole = circle(89.99, 0, 5000), *line = circle(10, 179.99, 5000);

    (void)state;
    assert_int_equal(point_side(pole, 89.99, 180), FLT_SIDE_IN);
    assert_int_equal(point_side(pole, 89.9, 180), FLT_SIDE_OUT);
    assert_int_equal(point_side(line, 10, -179.98), FLT_SIDE_IN);
    assert_int_equal(point_side(line, 10, -179.9), FLT_SIDE_OUT);
    free(pole);
    free(line);
}

static void
polygons_may_hold_a_pole_or_cross_the_date_line(void **state)
{
    static const struct flt_point cap[] = { { 80, 0 }, { 80, 90 }, { 80, 180 }, { 80, -90 } };
    static const struct flt_point fiji[] = {
        { -16, 179 }, { -18, 179 }, { -18, -179 }, { -16, -179 }, { -16, 179 }
    };
    struct flt_region *a, *b;

    (void)state;
    assert_int_equal(flt_region_polygon(cap, 4, &a), HD_OK);
    assert_int_equal(point_side(a, 90, 0), FLT_SIDE_IN);
    assert_int_equal(point_side(a, 82, 45), FLT_SIDE_OUT); /* beyond the straight edge */
    assert_int_equal(point_side(a, 85, 45), FLT_SIDE_IN);
    assert_int_equal(flt_region_polygon(fiji, 5, &b), HD_OK);
    assert_int_equal(point_side(b, -17, 180), FLT_SIDE_IN);
    assert_int_equal(point_side(b, -17, -179.5), FLT_SIDE_IN);
    assert_int_equal(point_side(b, -17, 178.5), FLT_SIDE_OUT);
    assert_int_equal(point_side(b, -17, 0), FLT_SIDE_OUT);
    free(a);
    free(b);
}

static void
what_is_no_region_is_refused(void **state)
{
    static const struct flt_point thin[] = { { 1, 1 }, { 2, 2 }, { 1, 1 } };
    static const struct flt_point flat[] = { { 0, 0 }, { 0, 1 }, { 0, 2 } };
    struct flt_point many[FLT_CORNERS_MOST + 2], wide[] = { { 0, 0 }, { 0, 120 }, { 0, -120 } };
    struct flt_region *region = NULL;

    (void)state;
    for (unsigned i = 0; i < FLT_CORNERS_MOST + 2; i++)
        many[i] = (struct flt_point){ sin(i / 21.0), cos(i / 21.0) };
    assert_int_equal(flt_region_polygon(thin, 3, &region), HD_ERANGE);
    assert_int_equal(flt_region_polygon(flat, 3, &region), HD_ERANGE);
    assert_int_equal(flt_region_polygon(many, FLT_CORNERS_MOST + 2, &region), HD_ERANGE);
    assert_int_equal(flt_region_polygon(wide, 3, &region), HD_ERANGE);
    assert_int_equal(flt_region_circle((struct flt_point){ 91, 0 }, 5, &region), HD_ERANGE);
    assert_int_equal(flt_region_circle((struct flt_point){ NAN, 0 }, 5, &region), HD_ERANGE);
    assert_int_equal(flt_region_circle((struct flt_point){ 0, 0 }, 0, &region), HD_ERANGE);
    assert_int_equal(flt_region_circle((struct flt_point){ 0, 0 }, INFINITY, &region), HD_ERANGE);
    assert_null(region);
}

/* --- uncertainty ------------------------------------------------------------------------------ */

static void
half_of_an_uncertain_place_decides(void **state)
{
    struct flt_region *region = circle(0, 0, 10000);
    struct flt_place place;

    (void)state;
    /* a small circle whose middle is on the border is half in: neither side has 50 % of 95 % */
    assert_int_equal(flt_place_circle((struct flt_point){ 0, 10000 / 111319.491 }, 100, &place),
                     HD_OK);
    assert_true(fabs(flt_inside(region, &place) - 0.5) < 0.01);
    assert_int_equal(flt_side(region, &place), FLT_SIDE_UNSURE);
    assert_int_equal(flt_place_circle((struct flt_point){ 0, 9980 / 111319.491 }, 100, &place),
                     HD_OK);
    assert_int_equal(flt_side(region, &place), FLT_SIDE_IN);
    assert_int_equal(flt_place_circle((struct flt_point){ 0, 10020 / 111319.491 }, 100, &place),
                     HD_OK);
    assert_int_equal(flt_side(region, &place), FLT_SIDE_OUT);
    /* one that is larger than the region is hardly ever in it */
    assert_int_equal(flt_place_circle((struct flt_point){ 0, 0 }, 20000, &place), HD_OK);
    assert_true(fabs(flt_inside(region, &place) - 0.25) < 0.001);
    assert_int_equal(flt_side(region, &place), FLT_SIDE_OUT);
    free(region);
}

static void
all_shapes_are_measured_alike(void **state)
{
    static const struct flt_point east[] = { { -1, 0 }, { 1, 0 }, { 1, 1 }, { -1, 1 } };
    static const struct flt_point square[] = {
        { -0.1, -0.1 }, { -0.1, 0.1 }, { 0.1, 0.1 }, { 0.1, -0.1 }
    };
    struct flt_region *half;
    struct flt_place place;

    (void)state;
    assert_int_equal(flt_region_polygon(east, 4, &half), HD_OK);
    assert_int_equal(flt_place_ellipse((struct flt_point){ 0, 0 }, 9000, 3000, 30, &place), HD_OK);
    assert_true(fabs(flt_inside(half, &place) - 0.5) < 0.03);
    assert_int_equal(flt_place_polygon(square, 4, &place), HD_OK);
    assert_true(fabs(flt_inside(half, &place) - 0.5) < 0.06);
    assert_int_equal(flt_place_arc_band((struct flt_point){ 0, 0 }, 1000, 5000, 0, 360, &place),
                     HD_OK);
    assert_true(fabs(flt_inside(half, &place) - 0.5) < 0.03);
    /* a sector that looks east from the border is all inside */
    assert_int_equal(flt_place_arc_band((struct flt_point){ 0, 0 }, 1000, 5000, 60, 60, &place),
                     HD_OK);
    assert_true(flt_inside(half, &place) > 0.97);
    assert_int_equal(flt_place_arc_band((struct flt_point){ 0, 0 }, 1000, 5000, 240, 60, &place),
                     HD_OK);
    assert_true(flt_inside(half, &place) < 0.03);
    free(half);
}

/* --- in bodies -------------------------------------------------------------------------------- */

#define PIDF_LO(shape)                                                                             \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' "                                               \
    "xmlns:gp='urn:ietf:params:xml:ns:pidf:geopriv10' "                                            \
    "xmlns:gml='http://www.opengis.net/gml' xmlns:gs='http://www.opengis.net/pidflo/1.0' "         \
    "xmlns:dyn='urn:ietf:params:xml:ns:pidf:geopriv10:dynamic' "                                   \
    "xmlns:ca='urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr' entity='pres:a@example.com'>"      \
    "<tuple id='t'><status><gp:geopriv><gp:location-info>" shape                                   \
    "</gp:location-info><gp:usage-rules/></gp:geopriv></status></tuple></presence>"
#define UOM "uom='urn:ogc:def:uom:EPSG::9001'"

static bool
place_in(const char *type, const char *body, struct flt_place *ret)
{
    struct evt_doc *doc = doc_of(type, body);
    struct flt_reader *reader = calloc(1, sizeof(*reader));
    struct flt_reading reading = { 0 };

    flt_reading_init(&reading, reader, doc->type, doc->body);
    const struct flt_place *place = flt_reading_place(&reading);
    if (place)
        *ret = *place;
    flt_reading_done(&reading);
    free(reader);
    evt_doc_unref(doc);
    return place != NULL;
}

static void
shapes_of_rfc_5491_are_read(void **state)
{
    static const struct {
        const char *body;
        enum flt_shape shape;
        double reach_m;
    } row[] = {
        { PIDF_LO("<gml:Point srsName='urn:ogc:def:crs:EPSG::4326'><gml:pos>-34.407 150.883"
                  "</gml:pos></gml:Point>"),
          FLT_POINT, 0 },
        { PIDF_LO("<gml:Point srsName='urn:ogc:def:crs:EPSG::4979'><gml:pos>-34.407 150.883 24.8"
                  "</gml:pos></gml:Point>"),
          FLT_POINT, 0 },
        { PIDF_LO("<gs:Circle srsName='urn:ogc:def:crs:EPSG::4326'><gml:pos>42.5463 -73.2512"
                  "</gml:pos><gs:radius " UOM ">\n 850.24\n</gs:radius></gs:Circle>"),
          FLT_CIRCLE, 850.24 },
        { PIDF_LO("<gs:Ellipse srsName='urn:ogc:def:crs:EPSG::4326'><gml:pos>42.5463 -73.2512"
                  "</gml:pos><gs:semiMajorAxis " UOM
                  ">1275</gs:semiMajorAxis><gs:semiMinorAxis " UOM
                  ">670</gs:semiMinorAxis><gs:orientation uom='urn:ogc:def:uom:EPSG::9102'>43.2"
                  "</gs:orientation></gs:Ellipse>"),
          FLT_ELLIPSE, 1275 },
        { PIDF_LO("<gs:ArcBand srsName='urn:ogc:def:crs:EPSG::4326'><gml:pos>-43.5723 153.21760"
                  "</gml:pos><gs:innerRadius " UOM ">3594</gs:innerRadius><gs:outerRadius " UOM
                  ">4148</gs:outerRadius><gs:startAngle uom='urn:ogc:def:uom:EPSG::9102'>20"
                  "</gs:startAngle><gs:openingAngle uom='urn:ogc:def:uom:EPSG::9102'>20"
                  "</gs:openingAngle></gs:ArcBand>"),
          FLT_ARC_BAND, 7742 },
        { PIDF_LO("<gml:Polygon srsName='urn:ogc:def:crs:EPSG::4326'><gml:exterior><gml:LinearRing>"
                  "<gml:posList>43.311 -73.422 43.111 -73.322 43.111 -73.222 43.311 -73.122 43.411 "
                  "-73.222 43.411 -73.322 43.311 -73.422</gml:posList></gml:LinearRing>"
                  "</gml:exterior></gml:Polygon>"),
          FLT_POLYGON, -1 },
    };
    static const char *const bad[] = {
        PIDF_LO(
            "<gml:Point srsName='urn:ogc:def:crs:EPSG::4258'><gml:pos>1 2</gml:pos></gml:Point>"),
        PIDF_LO("<gml:Point><gml:pos>91 2</gml:pos></gml:Point>"),
        PIDF_LO("<gml:Point><gml:pos>NaN 2</gml:pos></gml:Point>"),
        PIDF_LO("<gml:Point><gml:pos>1</gml:pos></gml:Point>"),
        PIDF_LO("<gs:Circle><gml:pos>1 2</gml:pos><gs:radius uom='urn:ogc:def:uom:EPSG::9002'>5"
                "</gs:radius></gs:Circle>"),
        PIDF_LO("<gs:Circle><gml:pos>1 2</gml:pos><gs:radius " UOM ">-5</gs:radius></gs:Circle>"),
        PIDF_LO("<ca:civicAddress><ca:country>FR</ca:country></ca:civicAddress>"),
    };
    struct flt_place place;

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        assert_true(place_in("application/pidf+xml", row[i].body, &place));
        assert_int_equal(place.shape, row[i].shape);
        if (row[i].reach_m >= 0)
            assert_true(fabs(place.reach_m - row[i].reach_m) < 0.001);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(place_in("application/pidf+xml", bad[i], &place));
}

static void
positions_of_json_senml_and_geo_uris_are_read(void **state)
{
    static const struct {
        const char *type, *body;
        double reach_m;
    } row[] = {
        { "application/json", "{\"lat\":41.5,\"lon\":-87.5}", 0 },
        { "application/json", "{\"lat\":41.5,\"lon\":-87.5,\"acc\":30}", 30 },
        { "application/json", "{\"location\":{\"lat\":41.5,\"lon\":-87.5,\"uncertainty_m\":18}}",
          18 },
        { "application/json", "{\"position\":\"geo:41.5,-87.5,12;u=7\"}", 7 },
        { "application/senml+json",
          "[{\"bn\":\"truck:\",\"n\":\"lat\",\"u\":\"lat\",\"v\":41.5},{\"n\":\"lon\",\"v\":-87.5}"
          "]",
          0 },
    };
    static const char *const bad[] = { "{\"lat\":141.5,\"lon\":-87.5}", "{\"lat\":41.5}",
                                       "{\"lat\":null,\"lon\":1}", "{\"geo\":\"geo:1;u=2\"}",
                                       "{\"geo\":\"geo:1,2;crs=nad27\"}" };
    struct flt_place place;

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        assert_true(place_in(row[i].type, row[i].body, &place));
        assert_true(fabs(place.at.lat - 41.5) < 1e-9 && fabs(place.at.lon + 87.5) < 1e-9);
        assert_true(fabs(place.reach_m - row[i].reach_m) < 1e-9);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(place_in("application/json", bad[i], &place));
}

/* --- RFC 6447 --------------------------------------------------------------------------------- */

#define LOCATION_FILTER(inside)                                                                    \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<filter-set xmlns=\"urn:ietf:params:xml:ns:simple-filter\"\n"                                 \
    " xmlns:lf=\"urn:ietf:params:xml:ns:location-filter\" "                                        \
    "xmlns:gml=\"http://www.opengis.net/gml\"\n"                                                   \
    " xmlns:gs=\"http://www.opengis.net/pidflo/1.0\">"                                             \
    "<filter id=\"123\" uri=\"sip:presentity@example.com\">" inside "</filter></filter-set>"
#define FIGURE_6                                                                                   \
    LOCATION_FILTER("<trigger><lf:enterOrExit><gs:Circle srsName=\"urn:ogc:def:crs:EPSG::4326\">"  \
                    "<gml:pos>42.5463 -73.2512</gml:pos>\n<gs:radius "                             \
                    "uom=\"urn:ogc:def:uom:EPSG::9001\">\n 850.24\n</gs:radius></gs:Circle>"       \
                    "</lf:enterOrExit></trigger>")

static uint32_t
at(struct bench *b, double lat, double lon, double radius)
{
    char body[1400];

    (void)snprintf(body, sizeof(body),
                   PIDF_LO("<gs:Circle srsName='urn:ogc:def:crs:EPSG::4326'><gml:pos>%.7f %.7f"
                           "</gml:pos><gs:radius " UOM ">%.2f</gs:radius></gs:Circle>"),
                   lat, lon, radius);
    return bench_doc(b, "application/pidf+xml", body);
}

/* RFC 6447 figure 6. */
static void
a_circle_is_entered_and_left(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, XML_TYPE, FIGURE_6);
    assert_true(b.filter->levels && !b.filter->own);
    (void)at(&b, 42.6, -73.25, 10);
    assert_int_equal(at(&b, 42.5463, -73.2512, 10), 1);
    assert_int_equal(at(&b, 42.5470, -73.2512, 10), 0);
    assert_int_equal(at(&b, 42.5463 + 850.24 / 111070, -73.2512, 100), 0); /* on the border */
    assert_int_equal(at(&b, 42.5463, -73.2512, 10), 0);
    assert_int_equal(at(&b, 42.56, -73.2512, 10), 1);
    assert_int_equal(at(&b, 42.57, -73.2512, 10), 0);
    bench_end(&b);
}

/* RFC 6447 figure 7. */
static void
a_polygon_is_entered_and_left(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, XML_TYPE,
                LOCATION_FILTER(
                    "<trigger><lf:enterOrExit><gml:Polygon srsName=\"urn:ogc:def:crs:EPSG::4326\">"
                    "<gml:exterior><gml:LinearRing><gml:pos>43.311 -73.422</gml:pos><!--A-->"
                    "<gml:pos>43.111 -73.322</gml:pos><!--F--><gml:pos>43.111 -73.222</gml:pos>"
                    "<!--E--><gml:pos>43.311 -73.122</gml:pos><!--D--><gml:pos>43.411 -73.222"
                    "</gml:pos><!--C--><gml:pos>43.411 -73.322</gml:pos><!--B--><gml:pos>43.311 "
                    "-73.422</gml:pos><!--A--></gml:LinearRing></gml:exterior></gml:Polygon>"
                    "</lf:enterOrExit></trigger>"));
    (void)at(&b, 43.0, -73.3, 10);
    assert_int_equal(at(&b, 43.3, -73.3, 10), 1);
    assert_int_equal(at(&b, 43.12, -73.41, 10), 1); /* in its box, but not in it */
    assert_int_equal(at(&b, 43.3, -73.2, 10), 1);
    bench_end(&b);
}

/* RFC 6447 figure 1, with height (section 3.1). */
static void
moved_is_measured_from_the_last_notification(void **state)
{
    struct bench b;
    const char *type = "application/pidf+xml";

    (void)state;
    bench_begin(&b, XML_TYPE, LOCATION_FILTER("<trigger><lf:moved>300</lf:moved></trigger>"));
    assert_true(b.filter->differs && !b.filter->own);
    assert_int_equal(
        bench_compare(&b, type, PIDF_LO("<gml:Point><gml:pos>10 20 5</gml:pos></gml:Point>"),
                      PIDF_LO("<gml:Point><gml:pos>10.0027 20 5</gml:pos></gml:Point>")),
        0);
    assert_int_equal(
        bench_compare(&b, type, PIDF_LO("<gml:Point><gml:pos>10 20 5</gml:pos></gml:Point>"),
                      PIDF_LO("<gml:Point><gml:pos>10.0028 20 5</gml:pos></gml:Point>")),
        1);
    assert_int_equal(bench_compare(&b, type,
                                   PIDF_LO("<gml:Point><gml:pos>10 20 5</gml:pos></gml:Point>"),
                                   PIDF_LO("<gml:Point><gml:pos>10 20 305</gml:pos></gml:Point>")),
                     1);
    bench_end(&b);
}

#define BOUND(prefix, urn, inside)                                                                 \
    "<filter-set xmlns=\"urn:ietf:params:xml:ns:simple-filter\"><ns-bindings><ns-binding "         \
    "prefix=\"" prefix "\" urn=\"" urn "\"/></ns-bindings><filter id=\"123\" "                     \
    "uri=\"sip:presentity@example.com\">" inside "</filter></filter-set>"
#define CIVIC(inside) PIDF_LO("<ca:civicAddress>" inside "</ca:civicAddress>")
#define CA "urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr"

/* RFC 6447 figure 2, under the name of RFC 5962's namespace and that of its schema. */
static void
speed_has_both_names_of_its_namespace(void **state)
{
    static const char *const names[] = {
        BOUND("dyn", "urn:ietf:params:xml:schema:pidf:dynamic",
              "<trigger><changed by=\"3\">\n //dyn:speed\n</changed></trigger>"),
        BOUND("dyn", "urn:ietf:params:xml:ns:pidf:geopriv10:dynamic",
              "<trigger><changed by=\"3\">//dyn:speed</changed></trigger>"),
    };
    const char *type = "application/pidf+xml";
    struct bench b;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bench_begin(&b, XML_TYPE, names[i]);
        assert_int_equal(
            bench_compare(&b, type, PIDF_LO("<dyn:Dynamic><dyn:speed>12</dyn:speed></dyn:Dynamic>"),
                          PIDF_LO("<dyn:Dynamic><dyn:speed>14.9</dyn:speed></dyn:Dynamic>")),
            0);
        assert_int_equal(
            bench_compare(&b, type, PIDF_LO("<dyn:Dynamic><dyn:speed>12</dyn:speed></dyn:Dynamic>"),
                          PIDF_LO("<dyn:Dynamic><dyn:speed>9</dyn:speed></dyn:Dynamic>")),
            1);
        bench_end(&b);
    }
}

/* RFC 6447 figures 3, 4 and 5. */
static void
civic_addresses_change_from_any_and_all(void **state)
{
    const char *type = "application/pidf+xml";
    struct bench b;

    (void)state;
    bench_begin(&b, XML_TYPE,
                BOUND("ca", CA, "<trigger><changed from=\"FR\">//ca:country</changed></trigger>"));
    assert_int_equal(bench_compare(&b, type, CIVIC("<ca:country>FR</ca:country>"),
                                   CIVIC("<ca:country>DE</ca:country>")),
                     1);
    assert_int_equal(bench_compare(&b, type, CIVIC("<ca:country>DE</ca:country>"),
                                   CIVIC("<ca:country>FR</ca:country>")),
                     0);
    bench_end(&b);
    bench_begin(&b, XML_TYPE,
                BOUND("ca", CA,
                      "<trigger><changed>//ca:country</changed></trigger>"
                      "<trigger><changed>//ca:A1</changed></trigger>"
                      "<trigger><changed>//ca:A2</changed></trigger>"
                      "<trigger><changed>//ca:A3</changed></trigger>"
                      "<trigger><changed>//ca:PC</changed></trigger>"));
    assert_int_equal(bench_compare(&b, type, CIVIC("<ca:A1>x</ca:A1><ca:PC>1</ca:PC>"),
                                   CIVIC("<ca:A1>x</ca:A1><ca:PC>2</ca:PC>")),
                     16);
    bench_end(&b);
    bench_begin(
        &b, XML_TYPE,
        BOUND("ca", CA, "<trigger><changed>//ca:A3</changed><changed>//ca:PC</changed></trigger>"));
    assert_int_equal(bench_compare(&b, type, CIVIC("<ca:A3>x</ca:A3><ca:PC>1</ca:PC>"),
                                   CIVIC("<ca:A3>x</ca:A3><ca:PC>2</ca:PC>")),
                     0);
    assert_int_equal(bench_compare(&b, type, CIVIC("<ca:A3>x</ca:A3><ca:PC>1</ca:PC>"),
                                   CIVIC("<ca:A3>y</ca:A3><ca:PC>2</ca:PC>")),
                     1);
    bench_end(&b);
}

/* RFC 6447 figure 8. */
static void
an_exact_location_type_leaves_out_the_other(void **state)
{
    struct evt_filter *filter = filter_make(
        XML_TYPE,
        LOCATION_FILTER(
            "<what><lf:locationType exact=\"true\">\n geodetic\n</lf:locationType></what>"),
        NULL, HD_OK);
    struct evt_doc *doc =
        doc_of("application/pidf+xml", PIDF_LO("<gml:Point><gml:pos>1 2</gml:pos></gml:Point>"
                                               "<ca:civicAddress><ca:country>FR</ca:country>"
                                               "</ca:civicAddress>"));
    struct evt_doc *cut = NULL;
    enum evt_chosen chosen;

    (void)state;
    assert_int_equal(flt_filter_ops()->cut(filters, filter, doc, &cut, &chosen), HD_OK);
    assert_non_null(memmem(cut->body.p, cut->body.n, "gml:Point", 9));
    assert_null(memmem(cut->body.p, cut->body.n, "civicAddress", 12));
    evt_doc_unref(cut);
    evt_doc_unref(doc);
    filter_drop(filter);
}

static void
what_rfc_6447_forbids_is_refused(void **state)
{
    static const char *const bad[] = {
        LOCATION_FILTER("<trigger><lf:moved>300</lf:moved></trigger>"
                        "<trigger><lf:moved>200</lf:moved></trigger>"),
        LOCATION_FILTER("<trigger><lf:moved>-1</lf:moved></trigger>"),
        LOCATION_FILTER("<trigger><lf:movedHorz>1</lf:movedHorz></trigger>"),
        LOCATION_FILTER("<trigger><lf:enterOrExit><gml:Point><gml:pos>1 2</gml:pos></gml:Point>"
                        "</lf:enterOrExit></trigger>"),
        LOCATION_FILTER("<trigger><lf:enterOrExit>"
                        "<gs:Circle><gml:pos>1 2</gml:pos><gs:radius>5</gs:radius></gs:Circle>"
                        "<gs:Circle><gml:pos>1 2</gml:pos><gs:radius>5</gs:radius></gs:Circle>"
                        "</lf:enterOrExit></trigger>"),
        LOCATION_FILTER("<trigger><lf:enterOrExit><gs:Circle><gml:pos>1 2</gml:pos><gs:radius "
                        "uom='urn:ogc:def:uom:EPSG::9002'>5</gs:radius></gs:Circle>"
                        "</lf:enterOrExit></trigger>"),
        LOCATION_FILTER("<what><lf:locationType>postal</lf:locationType></what>"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(filter_make(XML_TYPE, bad[i], NULL, HD_EDENIED));
    assert_null(filter_make(XML_TYPE, LOCATION_FILTER("<trigger><lf:enterOrExit/></trigger>"), NULL,
                            HD_ESYNTAX));
}

/* A text with a million times the same in the middle; to be freed. */
static char *
million(const char *begin, const char *corner, const char *end)
{
    struct hd_str text = { 0 };

    hd_str_add_str(&text, begin);
    for (unsigned i = 0; i < 1000000; i++)
        hd_str_add_str(&text, corner);
    hd_str_add_str(&text, end);
    char *taken = hd_str_take(&text);
    assert_non_null(taken);
    return taken;
}

static void
a_polygon_of_a_million_corners_is_refused(void **state)
{
    char *json = million("{\"enters\":{\"polygon\":[[0,0]", ",[0,1]", "]}}");
    char *xml = million("<filter-set xmlns='urn:ietf:params:xml:ns:simple-filter'><filter id='1' "
                        "uri='" RESOURCE "'><trigger><enterOrExit "
                        "xmlns='urn:ietf:params:xml:ns:location-filter' "
                        "xmlns:gml='http://www.opengis.net/gml'><gml:Polygon><gml:exterior>"
                        "<gml:LinearRing><gml:posList>",
                        "1 2 ",
                        "</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>"
                        "</enterOrExit></trigger></filter></filter-set>");

    (void)state;
    assert_null(filter_make(JSON_TYPE, json, NULL, HD_EDENIED));
    assert_string_equal(phrase, "Bad Filter: too large"); /* before it is read */
    assert_null(filter_make(XML_TYPE, xml, NULL, HD_EDENIED));
    assert_string_equal(phrase, "Bad Filter: too large"); /* before it is read */
    free(json);
    free(xml);
}

/* Ten miles around a warehouse: a drive of 200 positions, out, in, out, in, out, with a halt at the
 * border each time, where it jitters by ten metres to either side. */
static void
drive(const char *when, unsigned accuracy_m)
{
    static const double way[] = { 40, 16.093, 16.093, 5, 16.093, 30, 16.093, 2, 16.093, 50 };
    struct bench b;
    char body[160];
    unsigned entries = 0, exits = 0, dice = 7;

    bench_begin(&b, NULL, when);
    for (unsigned i = 0; i < 200; i++) {
        unsigned leg = i / 20;
        double next = leg + 1 < 10 ? way[leg + 1] : way[leg], part = i % 20 / 20.0;
        double km = way[leg] + (next - way[leg]) * part;
        dice = dice * 1103515245u + 12345u;
        km += ((dice >> 16) % 200) / 10000.0 - 0.01;
        (void)snprintf(body, sizeof(body), "{\"lat\":%.7f,\"lon\":-87.9073,\"acc\":%u}",
                       41.9742 + km / 111.07, accuracy_m);
        uint32_t fired = bench_json(&b, body);
        if (i) {
            entries += fired & 1;
            exits += fired >> 1 & 1;
        }
    }
    print_message("%u entries, %u exits\n", entries, exits);
    bench_end(&b);
    assert_int_equal(entries, 2);
    assert_int_equal(exits, 2);
}

static void
a_drive_with_jitter_gives_the_true_entries_and_exits(void **state)
{
    (void)state;
    /* by what is known of the position, as RFC 6447 has it, and by a re-arm level */
    drive("within 10mi of 41.9742,-87.9073 as near or outside 10mi of 41.9742,-87.9073 as far",
          600);
    drive("within 10mi of 41.9742,-87.9073 clear 10.1mi as near "
          "or outside 10mi of 41.9742,-87.9073 clear 9.9mi as far",
          0);
}

#define GEO_TEST(name) cmocka_unit_test_setup_teardown(name, filters_setup, filters_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        GEO_TEST(distances_are_geodesics_everywhere),
        GEO_TEST(circles_are_round_at_the_pole_and_at_the_date_line),
        GEO_TEST(polygons_may_hold_a_pole_or_cross_the_date_line),
        GEO_TEST(what_is_no_region_is_refused),
        GEO_TEST(half_of_an_uncertain_place_decides),
        GEO_TEST(all_shapes_are_measured_alike),
        GEO_TEST(shapes_of_rfc_5491_are_read),
        GEO_TEST(positions_of_json_senml_and_geo_uris_are_read),
        GEO_TEST(a_circle_is_entered_and_left),
        GEO_TEST(a_polygon_is_entered_and_left),
        GEO_TEST(moved_is_measured_from_the_last_notification),
        GEO_TEST(speed_has_both_names_of_its_namespace),
        GEO_TEST(civic_addresses_change_from_any_and_all),
        GEO_TEST(an_exact_location_type_leaves_out_the_other),
        GEO_TEST(what_rfc_6447_forbids_is_refused),
        GEO_TEST(a_polygon_of_a_million_corners_is_refused),
        GEO_TEST(a_drive_with_jitter_gives_the_true_entries_and_exits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
