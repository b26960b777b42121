/* reduce_json.c - what a rule leaves of a JSON document.
 *
 * The text is checked first (json.h), so that walking it needs no error but one, and is then copied
 * member by member; numbers and names stay as they were written.  Positions are hidden in a second
 * walk, over what the paths have left.  Invariant: what is not understood goes. */
#include <string.h>

#include "format/json.h"
#include "format/position.h"
#include "format/reduce_path.h"

#define NAME_ROOM 256 /* octets of a member's name that are compared */

/* ---- walking a text that is known to be JSON ---- */

struct walk {
    const char *at, *end;
    struct hd_str *out;
    const struct fmt_paths *hide, *only;
    uint32_t circle_m;
};

static void
skip_blanks(struct walk *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\t' || *w->at == '\n' || *w->at == '\r'))
        w->at++;
}

/* The string at w->at, its quotes included. */
static struct hd_slice
take_string(struct walk *w)
{
    const char *begin = w->at++;
    while (w->at < w->end && *w->at != '"')
        w->at += *w->at == '\\' && w->end - w->at > 1 ? 2 : 1;
    if (w->at < w->end)
        w->at++;
    return hd_slice(begin, (size_t)(w->at - begin));
}

/* The value at w->at, skipped. */
static struct hd_slice
take_value(struct walk *w)
{
    const char *begin = w->at;
    unsigned depth = 0;

    do {
        const char c = w->at < w->end ? *w->at : '\0';
        if (w->at >= w->end)
            break;
        if (c == '"') {
            (void)take_string(w);
            continue;
        }
        if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--;
        else if (depth == 0) {
            while (w->at < w->end && !memchr(" \t\r\n,]}", *w->at, 8))
                w->at++;
            break;
        }
        w->at++;
    } while (depth > 0);
    return hd_slice(begin, (size_t)(w->at - begin));
}

/* Goes to the next element or member of a container, ',' skipped; false: its end, which is
 * skipped. */
static bool
next_child(struct walk *w)
{
    skip_blanks(w);
    if (w->at < w->end && *w->at == ',') {
        w->at++;
        skip_blanks(w);
    }
    if (w->at >= w->end)
        return false;
    if (*w->at != ']' && *w->at != '}')
        return true;
    w->at++;
    return false;
}

/* The name of a member, and ':' skipped. */
static struct hd_slice
take_name(struct walk *w)
{
    const struct hd_slice name = take_string(w);
    skip_blanks(w);
    if (w->at < w->end)
        w->at++;
    skip_blanks(w);
    return name;
}

static size_t
utf8_put(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static uint32_t
hex4(const char *p)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)hd_hex_digit(p[i]);
    return value;
}

/* The character of an escape at p, of n octets; *ret_n of them are its own. */
static uint32_t
escape_read(const char *p, size_t n, size_t *ret_n)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *known = memchr(from, p[1], 5);

    *ret_n = 2;
    if (p[1] != 'u')
        return (unsigned char)(known ? to[known - from] : p[1]);
    if (n < 6)
        return '?';
    *ret_n = 6;
    const uint32_t c = hex4(p + 2);
    if (c < 0xd800 || c > 0xdbff || n < 12 || p[6] != '\\' || p[7] != 'u')
        return c;
    *ret_n = 12;
    return 0x10000 + ((c - 0xd800) << 10) + ((hex4(p + 8) - 0xdc00) & 0x3ff);
}

/* What a string says; p NULL: it is too long to be compared. */
static struct hd_slice
string_plain(struct hd_slice quoted, char room[NAME_ROOM])
{
    const struct hd_slice inside = hd_slice(quoted.p + 1, quoted.n - 2);
    size_t n = 0;

    if (hd_slice_find(inside, '\\') == inside.n)
        return inside;
    for (size_t i = 0, taken; i < inside.n; i += taken) {
        taken = 1;
        if (n + 4 > NAME_ROOM)
            return hd_slice(NULL, 0);
        if (inside.p[i] == '\\' && i + 1 < inside.n)
            n += utf8_put(room + n, escape_read(inside.p + i, inside.n - i, &taken));
        else
            room[n++] = inside.p[i];
    }
    return hd_slice(room, n);
}

/* ---- paths ---- */

struct places {
    struct fmt_places hide, only;
    bool kept; /* within what stays */
};

static bool value_copy(struct walk *w, const struct places *at);

/* Copies a child, or leaves it out; true: something of it is shown.  head: what stands before its
 * value ("name":), copied with it. */
static bool
child_copy(struct walk *w, const struct places *at, struct hd_slice name, struct hd_slice head,
           bool more)
{
    struct places next;
    const size_t before = w->out->n;

    const bool hidden = fmt_paths_step(w->hide, &at->hide, name, &next.hide) ||
                        (!name.p && w->hide->n > 0); /* cannot be compared: it goes */
    next.kept = fmt_paths_step(w->only, &at->only, name, &next.only) || at->kept;
    if (hidden) {
        (void)take_value(w);
        return false;
    }
    if (more)
        hd_str_add_char(w->out, ',');
    hd_str_add(w->out, head);
    if (value_copy(w, &next))
        return true;
    if (w->out->p) { /* nothing in it stays */
        w->out->n = before;
        w->out->p[before] = '\0';
    }
    return false;
}

static bool
array_copy(struct walk *w, const struct places *at)
{
    char number[24];
    bool any = false;

    hd_str_add_char(w->out, '[');
    w->at++;
    for (unsigned i = 0; next_child(w); i++) {
        size_t n = sizeof(number);
        unsigned rest = i;
        do {
            number[--n] = (char)('0' + rest % 10);
            rest /= 10;
        } while (rest > 0);
        if (child_copy(w, at, hd_slice(number + n, sizeof(number) - n), HD_LIT(""), any))
            any = true;
    }
    hd_str_add_char(w->out, ']');
    return any || at->kept;
}

static bool
object_copy(struct walk *w, const struct places *at)
{
    bool any = false;

    hd_str_add_char(w->out, '{');
    w->at++;
    while (next_child(w)) {
        char room[NAME_ROOM];
        const char *begin = w->at;
        const struct hd_slice quoted = take_name(w);
        const struct hd_slice head = hd_slice(begin, (size_t)(w->at - begin));
        if (child_copy(w, at, string_plain(quoted, room), head, any))
            any = true;
    }
    hd_str_add_char(w->out, '}');
    return any || at->kept;
}

/* True: something of it is shown. */
static bool
value_copy(struct walk *w, const struct places *at)
{
    if (*w->at == '{')
        return object_copy(w, at);
    if (*w->at == '[')
        return array_copy(w, at);
    hd_str_add(w->out, take_value(w));
    return at->kept;
}

/* ---- positions ---- */

enum part { PART_NONE = 0, PART_LATITUDE, PART_LONGITUDE, PART_RELATED };

/* What a member's name says of a position; related: what makes it more precise. */
static enum part
part_of(struct hd_slice name)
{
    static const struct {
        struct hd_slice name;
        enum part part;
    } row[] = {
        { { "lat", 3 }, PART_LATITUDE },      { { "latitude", 8 }, PART_LATITUDE },
        { { "lon", 3 }, PART_LONGITUDE },     { { "lng", 3 }, PART_LONGITUDE },
        { { "long", 4 }, PART_LONGITUDE },    { { "longitude", 9 }, PART_LONGITUDE },
        { { "alt", 3 }, PART_RELATED },       { { "altitude", 8 }, PART_RELATED },
        { { "elevation", 9 }, PART_RELATED }, { { "accuracy", 8 }, PART_RELATED },
        { { "radius", 6 }, PART_RELATED },    { { "speed", 5 }, PART_RELATED },
        { { "heading", 7 }, PART_RELATED },   { { "course", 6 }, PART_RELATED },
        { { "bearing", 7 }, PART_RELATED },   { { "geohash", 7 }, PART_RELATED },
        { { "bbox", 4 }, PART_RELATED },      { { "pluscode", 8 }, PART_RELATED },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (hd_slice_ieq(name, row[i].name))
            return row[i].part;
    return PART_NONE;
}

/* A number, or a string that holds one. */
static bool
number_of(struct hd_slice value, double *ret_number)
{
    if (value.n > 1 && value.p[0] == '"')
        value = hd_slice(value.p + 1, value.n - 2);
    return fmt_decimal_read(value, ret_number) == HD_OK;
}

/* What an object, or an array of records (RFC 8428), says of one position. */
struct found {
    unsigned latitudes, longitudes; /* how many there are */
    bool bad;                       /* one is no number */
    struct fmt_position position;
};

static void
found_add(struct found *found, enum part part, struct hd_slice value)
{
    double number = 0;

    if (part != PART_LATITUDE && part != PART_LONGITUDE)
        return;
    found->bad = found->bad || !number_of(value, &number);
    if (part == PART_LATITUDE) {
        found->latitudes++;
        found->position.latitude = number;
    } else {
        found->longitudes++;
        found->position.longitude = number;
    }
}

/* The circle of what was found; false: no whole position, and nothing of it may be shown. */
static bool
found_hide(const struct found *found, uint32_t circle_m, struct fmt_position *ret_circle)
{
    return found->latitudes == 1 && found->longitudes == 1 && !found->bad &&
           fmt_position_hide(&found->position, circle_m, ret_circle) == HD_OK;
}

static struct found
object_look(struct walk w)
{
    struct found found = { 0 };
    w.at++;
    while (next_child(&w)) {
        char room[NAME_ROOM];
        const struct hd_slice name = string_plain(take_name(&w), room);
        found_add(&found, part_of(name), take_value(&w));
    }
    return found;
}

static void value_hide(struct walk *w);

static void
degrees_put(struct walk *w, struct hd_slice as, double degrees)
{
    const bool quoted = as.n > 0 && as.p[0] == '"';
    if (quoted)
        hd_str_add_char(w->out, '"');
    fmt_degrees_write(w->out, degrees);
    if (quoted)
        hd_str_add_char(w->out, '"');
}

/* GeoJSON (RFC 7946 section 3.1): a point becomes the circle's centre, any other shape goes. */
static bool
is_geometry(struct walk w, bool *ret_point)
{
    static const struct hd_slice shapes[] = { { "Point", 5 },       { "MultiPoint", 10 },
                                              { "LineString", 10 }, { "MultiLineString", 15 },
                                              { "Polygon", 7 },     { "MultiPolygon", 12 } };
    bool coordinates = false, shape = false;

    *ret_point = false;
    w.at++;
    while (next_child(&w)) {
        char room[NAME_ROOM];
        const struct hd_slice name = string_plain(take_name(&w), room);
        const struct hd_slice value = take_value(&w);
        coordinates = coordinates || hd_slice_eq(name, HD_LIT("coordinates"));
        if (!hd_slice_eq(name, HD_LIT("type")) || value.n < 2 || value.p[0] != '"')
            continue;
        const struct hd_slice type = string_plain(value, room);
        for (size_t i = 0; i < HD_ARRAY_LEN(shapes); i++)
            shape = shape || hd_slice_eq(type, shapes[i]);
        *ret_point = hd_slice_eq(type, HD_LIT("Point"));
    }
    return coordinates && shape;
}

/* "coordinates": [longitude, latitude, ...]; false: it is none. */
static bool
coordinates_hide(struct walk *w)
{
    struct found found = { 0 };
    struct fmt_position circle;
    unsigned n = 0;

    if (*w->at != '[') {
        (void)take_value(w);
        return false;
    }
    w->at++;
    for (; next_child(w); n++) {
        const struct hd_slice value = take_value(w);
        if (n < 2)
            found_add(&found, n ? PART_LATITUDE : PART_LONGITUDE, value);
    }
    if (!found_hide(&found, w->circle_m, &circle))
        return false;
    hd_str_add_char(w->out, '[');
    fmt_degrees_write(w->out, circle.longitude);
    hd_str_add_char(w->out, ',');
    fmt_degrees_write(w->out, circle.latitude);
    hd_str_add_char(w->out, ']');
    return true;
}

/* A geometry: what it says of itself but its coordinates, or null. */
static void
geometry_hide(struct walk *w, bool point)
{
    const size_t before = w->out->n;
    bool any = false, shown = false;

    hd_str_add_char(w->out, '{');
    w->at++;
    while (next_child(w)) {
        char room[NAME_ROOM];
        const char *begin = w->at;
        const struct hd_slice name = string_plain(take_name(w), room);
        const struct hd_slice head = hd_slice(begin, (size_t)(w->at - begin));
        const bool coordinates = hd_slice_eq(name, HD_LIT("coordinates"));
        if (!coordinates && !hd_slice_eq(name, HD_LIT("type"))) {
            (void)take_value(w); /* "bbox" and whatever else would tell */
            continue;
        }
        if (any)
            hd_str_add_char(w->out, ',');
        any = true;
        hd_str_add(w->out, head);
        if (!coordinates)
            hd_str_add(w->out, take_value(w));
        else if (point)
            shown = coordinates_hide(w);
        else
            (void)take_value(w);
    }
    hd_str_add_char(w->out, '}');
    if (shown || !w->out->p)
        return;
    w->out->n = before;
    hd_str_add_str(w->out, "null");
}

/* An object with a latitude and a longitude gets those of the circle, and its radius. */
static void
members_hide(struct walk *w, const struct found *found)
{
    const bool position = found->latitudes + found->longitudes > 0;
    struct fmt_position circle = { 0 };
    const bool whole = found_hide(found, w->circle_m, &circle);
    bool any = false;

    hd_str_add_char(w->out, '{');
    w->at++;
    while (next_child(w)) {
        char room[NAME_ROOM];
        const char *begin = w->at;
        const struct hd_slice name = string_plain(take_name(w), room);
        const struct hd_slice head = hd_slice(begin, (size_t)(w->at - begin));
        const enum part part = position && name.p ? part_of(name) : PART_NONE;
        if (part == PART_RELATED || (part != PART_NONE && !whole) || (position && !name.p)) {
            (void)take_value(w);
            continue;
        }
        if (any)
            hd_str_add_char(w->out, ',');
        any = true;
        hd_str_add(w->out, head);
        if (part == PART_NONE)
            value_hide(w);
        else
            degrees_put(w, take_value(w),
                        part == PART_LATITUDE ? circle.latitude : circle.longitude);
    }
    if (whole)
        hd_str_addf(w->out, "%s\"radius\":%.0f", any ? "," : "", circle.uncertainty_m);
    hd_str_add_char(w->out, '}');
}

/* A record of RFC 8428 with unit "lat" or "lon": its value; else p NULL. */
static struct hd_slice
record_look(struct walk w, enum part *ret_part)
{
    struct hd_slice v = hd_slice(NULL, 0);

    *ret_part = PART_NONE;
    if (*w.at != '{')
        return v;
    w.at++;
    while (next_child(&w)) {
        char room[NAME_ROOM];
        const struct hd_slice name = string_plain(take_name(&w), room);
        const struct hd_slice value = take_value(&w);
        if (hd_slice_eq(name, HD_LIT("v")))
            v = value;
        if (hd_slice_eq(name, HD_LIT("u")) && hd_slice_eq(value, HD_LIT("\"lat\"")))
            *ret_part = PART_LATITUDE;
        if (hd_slice_eq(name, HD_LIT("u")) && hd_slice_eq(value, HD_LIT("\"lon\"")))
            *ret_part = PART_LONGITUDE;
    }
    return v;
}

static struct found
array_look(struct walk w)
{
    struct found found = { 0 };
    w.at++;
    while (next_child(&w)) {
        enum part part;
        const struct hd_slice v = record_look(w, &part);
        (void)take_value(&w);
        if (part != PART_NONE)
            found_add(&found, part, v);
    }
    return found;
}

/* The record of a latitude or longitude with that of the circle. */
static void
record_hide(struct walk *w, double degrees)
{
    bool any = false;

    hd_str_add_char(w->out, '{');
    w->at++;
    while (next_child(w)) {
        char room[NAME_ROOM];
        const char *begin = w->at;
        const struct hd_slice name = string_plain(take_name(w), room);
        const struct hd_slice head = hd_slice(begin, (size_t)(w->at - begin));
        const struct hd_slice value = take_value(w);
        if (any)
            hd_str_add_char(w->out, ',');
        any = true;
        hd_str_add(w->out, head);
        if (hd_slice_eq(name, HD_LIT("v")))
            fmt_degrees_write(w->out, degrees);
        else
            hd_str_add(w->out, value);
    }
    hd_str_add_char(w->out, '}');
}

static void
elements_hide(struct walk *w)
{
    const struct found found = array_look(*w);
    struct fmt_position circle;
    const bool whole = found_hide(&found, w->circle_m, &circle);
    bool any = false;

    hd_str_add_char(w->out, '[');
    w->at++;
    while (next_child(w)) {
        enum part part;
        (void)record_look(*w, &part);
        if (part != PART_NONE && !whole) {
            (void)take_value(w);
            continue;
        }
        if (any)
            hd_str_add_char(w->out, ',');
        any = true;
        if (part == PART_NONE)
            value_hide(w);
        else
            record_hide(w, part == PART_LATITUDE ? circle.latitude : circle.longitude);
    }
    hd_str_add_char(w->out, ']');
}

static void
value_hide(struct walk *w)
{
    bool point;

    if (*w->at == '[') {
        elements_hide(w);
    } else if (*w->at != '{') {
        hd_str_add(w->out, take_value(w));
    } else if (is_geometry(*w, &point)) {
        geometry_hide(w, point);
    } else {
        const struct found found = object_look(*w);
        members_hide(w, &found);
    }
}

/* ---- both ---- */

static enum hd_err
paths_walk(const struct fmt_reduction *reduction, struct hd_slice body, struct hd_str *out)
{
    struct fmt_paths hide, only;
    struct places at;
    struct walk w = { body.p, body.p + body.n, out, &hide, &only, 0 };

    if (!fmt_paths_read(reduction->hide, reduction->n_hide, &hide) ||
        !fmt_paths_read(reduction->only, reduction->n_only, &only))
        return HD_ESYNTAX;
    fmt_paths_begin(&hide, &at.hide);
    fmt_paths_begin(&only, &at.only);
    at.kept = only.n == 0;
    skip_blanks(&w);
    if (*w.at != '{' && *w.at != '[' && !at.kept)
        return HD_ESYNTAX; /* a value without parts, of which parts would be shown */
    (void)value_copy(&w, &at);
    return out->err;
}

enum hd_err
fmt_reduce_json(const struct fmt_reduction *reduction, struct hd_slice body, size_t max,
                struct hd_str *out)
{
    struct hd_str left = { 0 };
    const char *reason;
    enum hd_err err = fmt_json_check(body, max, &reason);

    if (!err && reduction->n_provide > 0)
        err = HD_ESYNTAX; /* permissions are for presence */
    if (!err)
        err = paths_walk(reduction, body, &left);
    if (!err && reduction->circle_m == 0) {
        *out = left;
        return HD_OK;
    }
    if (!err) {
        struct walk w = {
            .at = left.p, .end = left.p + left.n, .out = out, .circle_m = reduction->circle_m
        };
        value_hide(&w);
        err = out->err;
    }
    hd_str_done(&left);
    return err;
}
