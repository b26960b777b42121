/* geo.h - places with their uncertainty, regions, and whether one is inside the other (WGS84).
 *
 * Pure; any thread.  Latitudes and longitudes are degrees, distances metres, bearings degrees from
 * north to east. */
#ifndef HD_FILTER_GEO_H
#define HD_FILTER_GEO_H

#include <stdbool.h>

#include "base/err.h"

#define FLT_CORNERS_MOST 128        /* of a polygon, the closing one not counted */
#define FLT_REGION_MOST_M 5000000.0 /* from the middle of a polygon to its farthest corner */

struct flt_point {
    double lat, lon;
};

enum flt_shape { FLT_POINT = 0, FLT_CIRCLE, FLT_ELLIPSE, FLT_ARC_BAND, FLT_POLYGON };

/* Where something is, as far as that is known (RFC 5491 section 5). */
struct flt_place {
    enum flt_shape shape;
    struct flt_point at; /* of a polygon: its middle; of an arc band: the middle of the band */
    double alt;
    bool has_alt;
    double reach_m;       /* the farthest that it can be from at */
    double confidence;    /* 0 to 1; a point is certain */
    double minor_m, turn; /* of an ellipse: the smaller half axis, and the bearing of the greater */
    double inner_m, outer_m, start, opening; /* of an arc band, around apex */
    struct flt_point apex;
    unsigned n; /* of a polygon: corners as metres east and north of at */
    struct {
        float east, north;
    } corner[FLT_CORNERS_MOST];
};

/* A circle, or a polygon. */
struct flt_region {
    struct flt_point at;
    double reach_m; /* the circle's radius, or the farthest corner */
    unsigned n;     /* corners; 0: a circle */
    struct {
        double east, north;
    } corner[];
};

/** Whether a latitude and a longitude are on the Earth; longitudes of 180 to 360 are brought back.
 */
bool flt_point_fits(struct flt_point *point);
/** HD_ERANGE: not a circle on the Earth; HD_ENOMEM.  To be freed. */
HD_NODISCARD enum hd_err flt_region_circle(struct flt_point at, double radius_m,
                                           struct flt_region **ret_region);
/** The closing corner may be given or not.  HD_ERANGE: fewer than three corners, too many, without
 * an area, or larger than FLT_REGION_MOST_M; HD_ENOMEM. */
HD_NODISCARD enum hd_err flt_region_polygon(const struct flt_point *corners, unsigned n,
                                            struct flt_region **ret_region);

/** Places.  HD_ERANGE: no such shape on the Earth. */
HD_NODISCARD enum hd_err flt_place_point(struct flt_point at, struct flt_place *ret_place);
HD_NODISCARD enum hd_err flt_place_circle(struct flt_point at, double radius_m,
                                          struct flt_place *ret_place);
HD_NODISCARD enum hd_err flt_place_ellipse(struct flt_point at, double major_m, double minor_m,
                                           double turn, struct flt_place *ret_place);
HD_NODISCARD enum hd_err flt_place_arc_band(struct flt_point apex, double inner_m, double outer_m,
                                            double start, double opening,
                                            struct flt_place *ret_place);
HD_NODISCARD enum hd_err flt_place_polygon(const struct flt_point *corners, unsigned n,
                                           struct flt_place *ret_place);

/** Metres along the ellipsoid. */
double flt_distance(struct flt_point a, struct flt_point b);
/** The same within one percent, quicker. */
double flt_distance_about(struct flt_point a, struct flt_point b);
/** Metres between two places, height included where both say it (RFC 6447 section 3.1). */
double flt_moved(const struct flt_place *a, const struct flt_place *b);
/** Which part of a place lies within a region: 0 to 1. */
double flt_inside(const struct flt_region *region, const struct flt_place *place);
/** Inside, outside, or neither with a confidence of at least 50 % (RFC 6447 section 3.4). */
enum flt_side { FLT_SIDE_UNSURE = 0, FLT_SIDE_IN, FLT_SIDE_OUT };
enum flt_side flt_side(const struct flt_region *region, const struct flt_place *place);

#endif
