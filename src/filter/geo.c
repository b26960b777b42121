/* geo.c - distances on WGS84, and how much of an uncertain place lies within a region.
 *
 * Distances are geodesics (geodesic.h of PROJ), after a great circle with a margin has decided most
 * cases. A plane is only used around a point, with distances and bearings from that point exact: so
 * nothing is special at the poles or at the date line.  A polygon's corners are joined by straight
 * lines of such a plane around its middle; RFC 5491 section 5.2.2 asks for corners close enough for
 * that not to matter. A place is taken to be as likely anywhere in its shape. */
#include "filter/geo.h"

#include <geodesic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RADIUS_M 6371008.8
#define FLATTENING_MARGIN 0.01 /* a great circle is within 0.6 % of the geodesic */
#define SAMPLES 256u
#define HALF_WAY_M 20004000.0

#ifndef M_PI
#define M_PI 3.14159265358979323846
#endif

static double
radians(double degrees)
{
    return degrees * (M_PI / 180);
}

bool
flt_point_fits(struct flt_point *point)
{
    if (!(point->lat >= -90 && point->lat <= 90 && point->lon >= -360 && point->lon <= 360))
        return false;
    if (point->lon > 180)
        point->lon -= 360;
    if (point->lon < -180)
        point->lon += 360;
    return true;
}

/* --- distances ------------------------------------------------------------------------------- */

double
flt_distance_about(struct flt_point a, struct flt_point b)
{
    double dlat = radians(b.lat - a.lat) / 2, dlon = radians(b.lon - a.lon) / 2;
    double h =
        sin(dlat) * sin(dlat) + cos(radians(a.lat)) * cos(radians(b.lat)) * sin(dlon) * sin(dlon);

    return 2 * RADIUS_M * asin(h >= 1 ? 1 : sqrt(h));
}

/* Distance, and the bearings at both ends. */
static double
inverse(struct flt_point a, struct flt_point b, double *azimuth_a, double *azimuth_b)
{
    struct geod_geodesic wgs84;
    double s;

    geod_init(&wgs84, 6378137.0, 1 / 298.257223563);
    geod_inverse(&wgs84, a.lat, a.lon, b.lat, b.lon, &s, azimuth_a, azimuth_b);
    return s;
}

static struct flt_point
direct(struct flt_point from, double azimuth, double s)
{
    struct geod_geodesic wgs84;
    struct flt_point to;

    geod_init(&wgs84, 6378137.0, 1 / 298.257223563);
    geod_direct(&wgs84, from.lat, from.lon, azimuth, s, &to.lat, &to.lon, NULL);
    return to;
}

double
flt_distance(struct flt_point a, struct flt_point b)
{
    return inverse(a, b, NULL, NULL);
}

double
flt_moved(const struct flt_place *a, const struct flt_place *b)
{
    double along = flt_distance(a->at, b->at);
    double up = a->has_alt && b->has_alt ? b->alt - a->alt : 0;

    return sqrt(along * along + up * up);
}

/* --- regions --------------------------------------------------------------------------------- */

static bool
length_fits(double m)
{
    return m >= 0 && m <= HALF_WAY_M;
}

enum hd_err
flt_region_circle(struct flt_point at, double radius_m, struct flt_region **ret_region)
{
    if (!flt_point_fits(&at) || !length_fits(radius_m) || radius_m == 0)
        return HD_ERANGE;
    struct flt_region *region = calloc(1, sizeof(*region));
    if (!region)
        return HD_ENOMEM;
    region->at = at;
    region->reach_m = radius_m;
    *ret_region = region;
    return HD_OK;
}

/* A point in the middle: the mean of the corners as vectors, so that poles and date line are like
 * any other place. */
static bool
middle(const struct flt_point *corners, unsigned n, struct flt_point *ret)
{
    double x = 0, y = 0, z = 0;

    for (unsigned i = 0; i < n; i++) {
        double lat = radians(corners[i].lat), lon = radians(corners[i].lon);
        x += cos(lat) * cos(lon);
        y += cos(lat) * sin(lon);
        z += sin(lat);
    }
    if (x * x + y * y + z * z < 1e-6 * n * n)
        return false;
    ret->lat = atan2(z, sqrt(x * x + y * y)) * (180 / M_PI);
    ret->lon = atan2(y, x) * (180 / M_PI);
    return true;
}

/* Metres east and north of a point, with distance and bearing from it exact. */
static double
around(struct flt_point from, struct flt_point to, double *east, double *north)
{
    double azimuth, s = inverse(from, to, &azimuth, NULL);

    *east = s * sin(radians(azimuth));
    *north = s * cos(radians(azimuth));
    return s;
}

static bool
same_point(struct flt_point a, struct flt_point b)
{
    return a.lat == b.lat && a.lon == b.lon;
}

/* Checks the corners and finds their middle; n without the closing one. */
static enum hd_err
corners_check(const struct flt_point *corners, unsigned *n, struct flt_point fit[FLT_CORNERS_MOST],
              struct flt_point *ret_middle)
{
    if (*n > 1 && same_point(corners[0], corners[*n - 1]))
        --*n;
    if (*n < 3 || *n > FLT_CORNERS_MOST)
        return HD_ERANGE;
    for (unsigned i = 0; i < *n; i++) {
        fit[i] = corners[i];
        if (!flt_point_fits(&fit[i]))
            return HD_ERANGE;
    }
    return middle(fit, *n, ret_middle) ? HD_OK : HD_ERANGE;
}

enum hd_err
flt_region_polygon(const struct flt_point *corners, unsigned n, struct flt_region **ret_region)
{
    struct flt_point fit[FLT_CORNERS_MOST], at;
    double area = 0;
    enum hd_err err = corners_check(corners, &n, fit, &at);

    if (err)
        return err;
    struct flt_region *region = calloc(1, sizeof(*region) + n * sizeof(region->corner[0]));
    if (!region)
        return HD_ENOMEM;
    region->at = at;
    region->n = n;
    for (unsigned i = 0; i < n; i++) {
        double s = around(at, fit[i], &region->corner[i].east, &region->corner[i].north);
        region->reach_m = s > region->reach_m ? s : region->reach_m;
    }
    for (unsigned i = 0, j = n - 1; i < n; j = i++)
        area += region->corner[j].east * region->corner[i].north -
                region->corner[i].east * region->corner[j].north;
    if (fabs(area) < 1e-3 || region->reach_m > FLT_REGION_MOST_M) {
        free(region);
        return HD_ERANGE;
    }
    *ret_region = region;
    return HD_OK;
}

/* Inside by the number of edges to the east. */
static bool
plane_inside(const struct flt_region *region, double east, double north)
{
    bool inside = false;

    if (region->n == 0)
        return east * east + north * north <= region->reach_m * region->reach_m;
    for (unsigned i = 0, j = region->n - 1; i < region->n; j = i++) {
        double yi = region->corner[i].north, yj = region->corner[j].north;
        if ((yi > north) != (yj > north) &&
            east < (region->corner[j].east - region->corner[i].east) * (north - yi) / (yj - yi) +
                       region->corner[i].east)
            inside = !inside;
    }
    return inside;
}

/* --- places ---------------------------------------------------------------------------------- */

static enum hd_err
place_new(struct flt_point at, enum flt_shape shape, double reach_m, struct flt_place *ret_place)
{
    if (!flt_point_fits(&at) || !length_fits(reach_m))
        return HD_ERANGE;
    ret_place->shape = shape;
    ret_place->at = at;
    ret_place->reach_m = reach_m;
    ret_place->confidence = shape == FLT_POINT ? 1 : 0.95; /* RFC 5491 section 5 */
    ret_place->has_alt = false;
    ret_place->alt = 0;
    ret_place->n = 0;
    return HD_OK;
}

enum hd_err
flt_place_point(struct flt_point at, struct flt_place *ret_place)
{
    return place_new(at, FLT_POINT, 0, ret_place);
}

enum hd_err
flt_place_circle(struct flt_point at, double radius_m, struct flt_place *ret_place)
{
    return place_new(at, radius_m > 0 ? FLT_CIRCLE : FLT_POINT, radius_m, ret_place);
}

enum hd_err
flt_place_ellipse(struct flt_point at, double major_m, double minor_m, double turn,
                  struct flt_place *ret_place)
{
    if (!(minor_m >= 0 && minor_m <= major_m) || !isfinite(turn))
        return HD_ERANGE;
    ret_place->minor_m = minor_m;
    ret_place->turn = turn;
    return place_new(at, FLT_ELLIPSE, major_m, ret_place);
}

enum hd_err
flt_place_arc_band(struct flt_point apex, double inner_m, double outer_m, double start,
                   double opening, struct flt_place *ret_place)
{
    if (!flt_point_fits(&apex) || !(inner_m >= 0 && inner_m <= outer_m) || !length_fits(outer_m) ||
        !(opening > 0 && opening <= 360) || !(start >= -360 && start <= 360))
        return HD_ERANGE;
    ret_place->apex = apex;
    ret_place->inner_m = inner_m;
    ret_place->outer_m = outer_m;
    ret_place->start = start;
    ret_place->opening = opening;
    /* A wide band goes around its apex; of a narrow one the middle is in the band. */
    struct flt_point at =
        opening >= 180 ? apex : direct(apex, start + opening / 2, (inner_m + outer_m) / 2);
    return place_new(at, FLT_ARC_BAND, opening >= 180 ? outer_m : outer_m + inner_m, ret_place);
}

enum hd_err
flt_place_polygon(const struct flt_point *corners, unsigned n, struct flt_place *ret_place)
{
    struct flt_point fit[FLT_CORNERS_MOST], at;
    double reach = 0;
    enum hd_err err = corners_check(corners, &n, fit, &at);

    if (!err)
        err = place_new(at, FLT_POLYGON, 0, ret_place);
    if (err)
        return err;
    for (unsigned i = 0; i < n; i++) {
        double east, north, s = around(at, fit[i], &east, &north);
        ret_place->corner[i].east = (float)east;
        ret_place->corner[i].north = (float)north;
        reach = s > reach ? s : reach;
    }
    ret_place->n = n;
    ret_place->reach_m = reach;
    return reach <= FLT_REGION_MOST_M ? HD_OK : HD_ERANGE;
}

/* --- how much is inside ---------------------------------------------------------------------- */

/* Area of the lens of two circles over that of the second: radii r and u, distance d. */
static double
circle_part(double r, double u, double d)
{
    if (d >= r + u)
        return 0;
    if (d <= r - u)
        return 1;
    if (d <= u - r)
        return r * r / (u * u);
    double a = (d * d + r * r - u * u) / (2 * d * r), b = (d * d + u * u - r * r) / (2 * d * u);
    a = a > 1 ? 1 : a < -1 ? -1 : a;
    b = b > 1 ? 1 : b < -1 ? -1 : b;
    double alpha = acos(a), beta = acos(b);
    double area = r * r * (alpha - sin(2 * alpha) / 2) + u * u * (beta - sin(2 * beta) / 2);
    return area / (M_PI * u * u);
}

static bool
place_polygon_has(const struct flt_place *place, double east, double north)
{
    bool inside = false;

    for (unsigned i = 0, j = place->n - 1; i < place->n; j = i++) {
        double yi = place->corner[i].north, yj = place->corner[j].north;
        double xi = place->corner[i].east, xj = place->corner[j].east;
        if ((yi > north) != (yj > north) && east < (xj - xi) * (north - yi) / (yj - yi) + xi)
            inside = !inside;
    }
    return inside;
}

/* Sample i of SAMPLES, metres around the place: equal areas of the shape, the same ones every time.
 */
static bool
sample(const struct flt_place *place, unsigned i, double *east, double *north)
{
    double part = (i + 0.5) / SAMPLES, angle = i * 2.399963229728653; /* the golden angle */

    switch (place->shape) {
    case FLT_POINT:
        *east = *north = 0;
        return i == 0;
    case FLT_CIRCLE:
        *east = place->reach_m * sqrt(part) * sin(angle);
        *north = place->reach_m * sqrt(part) * cos(angle);
        return true;
    case FLT_ELLIPSE: {
        double along = place->reach_m * sqrt(part) * cos(angle);
        double across = place->minor_m * sqrt(part) * sin(angle);
        double turn = radians(place->turn);
        *east = along * sin(turn) + across * cos(turn);
        *north = along * cos(turn) - across * sin(turn);
        return true;
    }
    case FLT_ARC_BAND: {
        double inner2 = place->inner_m * place->inner_m, outer2 = place->outer_m * place->outer_m;
        double r = sqrt(inner2 + (outer2 - inner2) * part);
        double turn = radians(place->start + place->opening * fmod(i * 0.618033988749895, 1));
        double apex_east = 0, apex_north = 0;
        if (place->opening < 180) {
            double mid = radians(place->start + place->opening / 2);
            double back = (place->inner_m + place->outer_m) / 2;
            apex_east = -back * sin(mid);
            apex_north = -back * cos(mid);
        }
        *east = apex_east + r * sin(turn);
        *north = apex_north + r * cos(turn);
        return true;
    }
    case FLT_POLYGON:
        *east = place->reach_m * sqrt(part) * sin(angle);
        *north = place->reach_m * sqrt(part) * cos(angle);
        return place_polygon_has(place, *east, *north);
    }
    return false;
}

/* The part of the samples that lies inside.  The place's metres become the region's: along the line
 * between them, and across it. */
static double
sampled(const struct flt_region *region, const struct flt_place *place)
{
    double out, here, s = inverse(region->at, place->at, &out, &here);
    double sin_out = sin(radians(out)), cos_out = cos(radians(out));
    double sin_here = sin(radians(here)), cos_here = cos(radians(here));
    unsigned n = 0, inside = 0;

    for (unsigned i = 0; i < SAMPLES; i++) {
        double east, north;
        if (!sample(place, i, &east, &north))
            continue;
        double along = s + east * sin_here + north * cos_here;
        double across = east * cos_here - north * sin_here;
        n++;
        inside += plane_inside(region, along * sin_out + across * cos_out,
                               along * cos_out - across * sin_out);
    }
    if (n == 0) /* a polygon too thin for a sample: its middle stands for it */
        return plane_inside(region, s * sin_out, s * cos_out);
    return (double)inside / n;
}

double
flt_inside(const struct flt_region *region, const struct flt_place *place)
{
    double about = flt_distance_about(region->at, place->at);

    if (about * (1 - FLATTENING_MARGIN) > region->reach_m + place->reach_m)
        return 0;
    if (region->n == 0) {
        if (about * (1 + FLATTENING_MARGIN) + place->reach_m < region->reach_m)
            return 1;
        if (place->shape == FLT_POINT)
            return flt_distance(region->at, place->at) <= region->reach_m;
        if (place->shape == FLT_CIRCLE)
            return circle_part(region->reach_m, place->reach_m,
                               flt_distance(region->at, place->at));
    }
    return sampled(region, place);
}

/* That a place lies within 95 % says nothing of the other five: both sides have to reach half. */
enum flt_side
flt_side(const struct flt_region *region, const struct flt_place *place)
{
    double inside = flt_inside(region, place);

    if (inside * place->confidence >= 0.5)
        return FLT_SIDE_IN;
    return (1 - inside) * place->confidence >= 0.5 ? FLT_SIDE_OUT : FLT_SIDE_UNSURE;
}
