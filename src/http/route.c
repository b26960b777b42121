/* route.c - targets and fields of requests, read once and by one reader.
 *
 * A path is cut at its slashes before its escapes are undone, so that an escaped slash is no
 * border; what is decoded has no control characters, and what is escaped wrongly is no path at all.
 * Nothing is repaired. */
#include "http/route.h"

/* In the order in which they are tried; no two have a path in common. */
static const struct api_route routes[] = {
    { "/v1/events/{package}/{resource}", API_EVENTS,
      API_GET | API_HEAD | API_PUT | API_PATCH | API_DELETE | API_OPTIONS, API_NEED_USER,
      "The event state of a resource: read, subscribed to (text/event-stream), published, "
      "removed" },
    { "/v1/admin/{call}", API_ADMIN, API_GET | API_POST | API_OPTIONS, API_NEED_ADMIN,
      "Calls of the administration" },
    { "/openapi.json", API_OPENAPI, API_GET | API_HEAD, API_NEED_NOBODY,
      "This face, described for programs" },
    { "/metrics", API_METRICS, API_GET | API_HEAD, API_NEED_METRICS, "Figures, as OpenMetrics" },
    { "/healthz", API_HEALTH, API_GET | API_HEAD, API_NEED_NOBODY, "Whether the broker serves" },
};

const struct api_route *
api_routes(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(routes);
    return routes;
}

unsigned
api_method_read(struct hd_slice name)
{
    static const struct {
        const char *name;
        unsigned method;
    } rows[] = { { "GET", API_GET },        { "HEAD", API_HEAD },     { "PUT", API_PUT },
                 { "PATCH", API_PATCH },    { "DELETE", API_DELETE }, { "POST", API_POST },
                 { "OPTIONS", API_OPTIONS } };

    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++)
        if (hd_slice_eq(name, hd_slice_str(rows[i].name)))
            return rows[i].method;
    return 0;
}

/* --- escapes --------------------------------------------------------------------------------- */

/* Undoes the escapes of a part into room.  plus: a '+' is a blank, as forms write it. */
static enum hd_err
decode(struct api_target *target, struct hd_slice part, bool plus, struct hd_slice *ret)
{
    char *out = target->room + target->room_n;
    size_t n = 0;

    if (part.n > sizeof(target->room) - target->room_n)
        return HD_ERANGE;
    for (size_t i = 0; i < part.n; i++) {
        unsigned char c = (unsigned char)part.p[i];
        if (c == '%') {
            int high = i + 2 < part.n ? hd_hex_digit(part.p[i + 1]) : -1;
            int low = high >= 0 ? hd_hex_digit(part.p[i + 2]) : -1;
            if (low < 0)
                return HD_ESYNTAX;
            c = (unsigned char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c < ' ' || c == 0x7f)
            return HD_ESYNTAX;
        out[n++] = (char)c;
    }
    target->room_n += n;
    *ret = hd_slice(out, n);
    return HD_OK;
}

/* --- paths ----------------------------------------------------------------------------------- */

/* The route's path and the target's, piece by piece; HD_ENOMATCH: another path. */
static enum hd_err
match(const struct api_route *route, struct hd_slice path, struct api_target *target)
{
    struct hd_slice wanted = hd_slice_str(route->path);
    size_t n = 0;
    enum hd_err err = HD_OK;

    while (wanted.n > 0 || path.n > 0) {
        struct hd_slice want = hd_slice_cut(&wanted, '/'), have = hd_slice_cut(&path, '/');
        if (want.n == 0 || want.p[0] != '{') {
            if (!hd_slice_eq(want, have) || (wanted.n > 0) != (path.n > 0))
                return HD_ENOMATCH;
            continue;
        }
        if (have.n == 0 || (wanted.n > 0) != (path.n > 0))
            return HD_ENOMATCH;
        HD_ASSERT(n < HD_ARRAY_LEN(target->part));
        if (!err)
            err = decode(target, have, false, &target->part[n++]);
    }
    return err;
}

static enum hd_err
read_params(struct hd_slice query, struct api_target *target)
{
    while (query.n > 0) {
        struct hd_slice value = hd_slice_cut(&query, '&'), name = hd_slice_cut(&value, '=');
        struct api_param *param = &target->params[target->n_params];
        enum hd_err err;

        if (target->n_params == API_PARAMS_MAX)
            return HD_ERANGE;
        if (name.n == 0)
            return HD_ESYNTAX;
        err = decode(target, name, true, &param->name);
        if (!err)
            err = decode(target, value, true, &param->value);
        if (err)
            return err;
        for (size_t i = 0; i < target->n_params; i++)
            if (hd_slice_eq(target->params[i].name, param->name))
                return HD_ESYNTAX;
        target->n_params++;
    }
    return HD_OK;
}

enum hd_err
api_target_read(struct hd_slice text, struct api_target *ret_target)
{
    const size_t end = hd_slice_find(text, '?');
    const struct hd_slice path = hd_slice(text.p, end);

    ret_target->route = NULL;
    ret_target->n_params = ret_target->room_n = 0;
    ret_target->part[0] = ret_target->part[1] = hd_slice(NULL, 0);
    if (text.n > API_TARGET_MAX)
        return HD_ERANGE;
    /* A slash at the end would be lost in the cutting. */
    if (path.n == 0 || path.p[0] != '/' || (path.n > 1 && path.p[path.n - 1] == '/'))
        return HD_ENOMATCH;
    for (size_t i = 0; i < HD_ARRAY_LEN(routes); i++) {
        ret_target->room_n = 0;
        enum hd_err err = match(&routes[i], path, ret_target);
        if (err == HD_ENOMATCH)
            continue;
        if (!err)
            err = read_params(end < text.n ? hd_slice_from(text, end + 1) : hd_slice(NULL, 0),
                              ret_target);
        if (!err)
            ret_target->route = &routes[i];
        return err;
    }
    return HD_ENOMATCH;
}

struct hd_slice
api_param(const struct api_target *target, const char *name)
{
    for (size_t i = 0; i < target->n_params; i++)
        if (hd_slice_eq(target->params[i].name, hd_slice_str(name)))
            return target->params[i].value;
    return hd_slice(NULL, 0);
}

struct hd_slice
api_param_unknown(const struct api_target *target, const char *const *known, size_t n)
{
    for (size_t i = 0; i < target->n_params; i++) {
        bool found = false;
        for (size_t k = 0; k < n && !found; k++)
            found = hd_slice_eq(target->params[i].name, hd_slice_str(known[k]));
        if (!found)
            return target->params[i].name;
    }
    return hd_slice(NULL, 0);
}

/* --- fields ---------------------------------------------------------------------------------- */

/* entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE; cuts one from the front. */
static enum hd_err
cut_etag(struct hd_slice *rest, bool *ret_weak, struct hd_slice *ret_tag)
{
    *ret_weak = hd_slice_starts(*rest, HD_LIT("W/"));
    if (*ret_weak)
        *rest = hd_slice_from(*rest, 2);
    if (rest->n < 2 || rest->p[0] != '"')
        return HD_ESYNTAX;
    *rest = hd_slice_from(*rest, 1);
    const size_t end = hd_slice_find(*rest, '"');
    if (end == rest->n)
        return HD_ESYNTAX;
    *ret_tag = hd_slice(rest->p, end);
    *rest = hd_slice_from(*rest, end + 1);
    return HD_OK;
}

static struct hd_slice
skip_commas(struct hd_slice list)
{
    list = hd_slice_trim(list);
    while (list.n > 0 && list.p[0] == ',')
        list = hd_slice_trim(hd_slice_from(list, 1));
    return list;
}

/* One of a list, and what separates it from the next; empty elements are none (RFC 9110 section
 * 5.6.1.2). */
static enum hd_err
cut_listed(struct hd_slice *list, bool *ret_weak, struct hd_slice *ret_tag)
{
    enum hd_err err;

    *list = skip_commas(*list);
    err = cut_etag(list, ret_weak, ret_tag);
    if (err)
        return err;
    *list = hd_slice_trim(*list);
    if (list->n > 0 && list->p[0] != ',')
        return HD_ESYNTAX;
    *list = skip_commas(*list);
    return HD_OK;
}

enum hd_err
api_etag_next(struct hd_slice *list, struct hd_slice *ret_tag)
{
    bool weak = true;

    while (weak) {
        if (list->n == 0)
            return HD_ENOMATCH;
        if (cut_listed(list, &weak, ret_tag))
            return HD_ESYNTAX;
    }
    return HD_OK;
}

enum hd_err
api_etag_read(struct hd_slice value, enum api_match *ret_match, struct hd_slice *ret_tag,
              struct hd_slice *ret_rest)
{
    struct hd_slice rest = hd_slice_trim(value), tag;
    unsigned n = 0;
    bool weak;

    if (hd_slice_eq(rest, HD_LIT("*"))) {
        *ret_match = API_MATCH_ANY;
        return HD_OK;
    }
    do { /* all of it, before any of it counts */
        if (++n > API_ETAGS_MAX || cut_listed(&rest, &weak, &tag))
            return HD_ESYNTAX;
    } while (rest.n > 0);
    *ret_match = API_MATCH_TAG;
    *ret_rest = hd_slice_trim(value);
    return api_etag_next(ret_rest, ret_tag);
}

static bool
is_listed(struct hd_slice list, struct hd_slice tag, bool strong)
{
    struct hd_slice one;
    bool weak;

    list = hd_slice_trim(list);
    if (hd_slice_eq(list, HD_LIT("*")))
        return true;
    while (list.n > 0 && cut_listed(&list, &weak, &one) == HD_OK)
        if (hd_slice_eq(one, tag) && !(strong && weak))
            return true;
    return false;
}

bool
api_etag_listed(struct hd_slice value, struct hd_slice tag)
{
    return is_listed(value, tag, false);
}

bool
api_etag_listed_strong(struct hd_slice value, struct hd_slice tag)
{
    return is_listed(value, tag, true);
}

/* "q=0", with or without decimals, in the parameters of a range. */
static bool
is_refused(struct hd_slice params)
{
    while (params.n > 0) {
        struct hd_slice param = hd_slice_trim(hd_slice_cut(&params, ';'));
        if (!hd_slice_istarts(param, HD_LIT("q=")))
            continue;
        for (size_t i = 2; i < param.n; i++)
            if (param.p[i] != '0' && param.p[i] != '.')
                return false;
        return true;
    }
    return false;
}

unsigned
api_accepts(struct hd_slice accept, struct hd_slice type)
{
    unsigned best = 0;
    bool refused = false;

    if (!accept.p)
        return 1;
    type = hd_slice_trim(hd_slice_cut(&type, ';'));
    const struct hd_slice major = hd_slice(type.p, hd_slice_find(type, '/'));
    while (accept.n > 0) {
        struct hd_slice params = hd_slice_cut(&accept, ',');
        const struct hd_slice range = hd_slice_trim(hd_slice_cut(&params, ';'));
        const size_t slash = hd_slice_find(range, '/');
        unsigned how = 0;

        if (hd_slice_ieq(range, type))
            how = 3;
        else if (hd_slice_eq(range, HD_LIT("*/*")))
            how = 1;
        else if (hd_slice_ieq(hd_slice(range.p, slash), major) &&
                 hd_slice_eq(hd_slice_from(range, slash), HD_LIT("/*")))
            how = 2;
        if (how > best || (how && how == best && !refused)) {
            best = how;
            refused = is_refused(params);
        }
    }
    return refused ? 0 : best;
}

bool
api_accepts_coding(struct hd_slice encodings, struct hd_slice coding)
{
    while (encodings.n > 0) {
        struct hd_slice params = hd_slice_cut(&encodings, ',');
        const struct hd_slice name = hd_slice_trim(hd_slice_cut(&params, ';'));
        if (hd_slice_ieq(name, coding) || hd_slice_eq(name, HD_LIT("*")))
            return !is_refused(params);
    }
    return false;
}

enum hd_err
api_seconds(struct hd_slice expires, uint32_t *ret_s)
{
    uint64_t seconds;
    enum hd_err err = hd_slice_to_u64(hd_slice_trim(expires), &seconds);

    if (err == HD_ERANGE || (!err && seconds >= UINT32_MAX))
        seconds = UINT32_MAX - 1; /* as long as may be */
    else if (err)
        return HD_ESYNTAX;
    *ret_s = (uint32_t)seconds;
    return HD_OK;
}

enum hd_err
api_max_age(struct hd_slice cache_control, uint32_t *ret_s)
{
    while (cache_control.n > 0) {
        struct hd_slice directive = hd_slice_trim(hd_slice_cut(&cache_control, ','));
        if (hd_slice_istarts(directive, HD_LIT("max-age=")))
            return api_seconds(hd_slice_from(directive, 8), ret_s);
    }
    return HD_ENOMATCH;
}

bool
api_is_json(struct hd_slice content_type)
{
    return hd_slice_ieq(hd_slice_trim(hd_slice_cut(&content_type, ';')),
                        HD_LIT("application/json"));
}

struct hd_slice
api_bearer(struct hd_slice authorization)
{
    struct hd_slice rest = hd_slice_trim(authorization);

    if (!hd_slice_istarts(rest, HD_LIT("Bearer ")))
        return hd_slice(NULL, 0);
    return hd_slice_trim(hd_slice_from(rest, 7));
}

bool
api_origin_ok(struct hd_slice origin, const struct hd_slice *origins, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (hd_slice_eq(origins[i], origin))
            return true;
    return false;
}
