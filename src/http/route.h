/* route.h - what a request's target and fields mean: routes, parameters, entity-tags, durations.
 * Pure; any thread.  The grammar is that of RFC 3986, RFC 9110 and RFC 9111; what two readers could
 * read differently is refused. */
#ifndef HD_HTTP_ROUTE_H
#define HD_HTTP_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define API_TARGET_MAX 4096u /* octets of a request's target */
#define API_PARAMS_MAX 16u

enum api_method {
    API_GET = 1,
    API_HEAD = 2,
    API_PUT = 4,
    API_PATCH = 8,
    API_DELETE = 16,
    API_POST = 32,
    API_OPTIONS = 64
}; /* bits */
/** 0: a method that no route has. */
unsigned api_method_read(struct hd_slice name);

enum api_what {
    API_EVENTS = 1, /* the state of a resource */
    API_ADMIN,      /* a call of the tool */
    API_METRICS,
    API_HEALTH,
    API_OPENAPI
};
enum api_need { API_NEED_NOBODY = 0, API_NEED_USER, API_NEED_ADMIN, API_NEED_METRICS };

/* One route: a path whose parts in braces are taken from the target. */
struct api_route {
    const char *path;
    enum api_what what;
    unsigned methods; /* bits */
    enum api_need need;
    const char *summary;
};
const struct api_route *api_routes(size_t *ret_n);

struct api_param {
    struct hd_slice name, value;
};
/* A target, read; slices point into room. */
struct api_target {
    const struct api_route *route;
    struct hd_slice part[2]; /* what stands for the braces, in their order; decoded */
    struct api_param params[API_PARAMS_MAX];
    size_t n_params;
    size_t room_n;
    char room[API_TARGET_MAX];
};
/**
 * Reads the target of a request as it came: path and query.
 * @return HD_OK; HD_ENOMATCH: no route has this path; HD_ESYNTAX: an escape that is none, a control
 * character or a NUL, or a parameter that comes twice; HD_ERANGE: too long, or too many parameters
 */
HD_NODISCARD enum hd_err api_target_read(struct hd_slice target, struct api_target *ret_target);
/** The value of a parameter; p NULL: it is not there. */
struct hd_slice api_param(const struct api_target *target, const char *name);
/** The first parameter that is none of these, p NULL: there is none. */
struct hd_slice api_param_unknown(const struct api_target *target, const char *const *known,
                                  size_t n);

/* If-Match and If-None-Match (RFC 9110 section 13.1). */
enum api_match { API_MATCH_NOT_SAID = 0, API_MATCH_ANY, API_MATCH_TAG };
#define API_ETAGS_MAX 8u
/**
 * Reads "*", or a list of entity-tags that are compared strongly: a weak one matches nothing.
 * @param ret_tag   the first
 * @param ret_rest  the others, for api_etag_next
 * @return HD_OK; HD_ESYNTAX: neither, or more than API_ETAGS_MAX; HD_ENOMATCH: weak ones alone
 */
HD_NODISCARD enum hd_err api_etag_read(struct hd_slice value, enum api_match *ret_match,
                                       struct hd_slice *ret_tag, struct hd_slice *ret_rest);
/** Cuts the next one that is not weak off a list.  HD_ENOMATCH: there is none; HD_ESYNTAX. */
HD_NODISCARD enum hd_err api_etag_next(struct hd_slice *list, struct hd_slice *ret_tag);
/** Whether a list of entity-tags holds this one, weak or not, or is "*". */
bool api_etag_listed(struct hd_slice value, struct hd_slice tag);
/** The same, compared strongly. */
bool api_etag_listed_strong(struct hd_slice value, struct hd_slice tag);
/** How well a media type is taken by an Accept field: 0 not at all, 1 by a range, 2 by its type,
 * 3 by its name; p NULL takes all. */
unsigned api_accepts(struct hd_slice accept, struct hd_slice type);
/** Whether a content coding stands in an Accept-Encoding field, and is not refused (RFC 9110
 * section 12.5.3). */
bool api_accepts_coding(struct hd_slice encodings, struct hd_slice coding);
/** Seconds: digits alone (Expires as SIP has it), or the max-age of Cache-Control.  HD_ESYNTAX;
 * HD_ENOMATCH: Cache-Control has none. */
HD_NODISCARD enum hd_err api_seconds(struct hd_slice expires, uint32_t *ret_s);
HD_NODISCARD enum hd_err api_max_age(struct hd_slice cache_control, uint32_t *ret_s);
/** The media type of a Content-Type without blanks around, and whether it is one; charset and other
 * parameters stay. */
bool api_is_json(struct hd_slice content_type);
/** The token of "Bearer TOKEN" (RFC 6750 section 2.1); p NULL: another scheme, or none. */
struct hd_slice api_bearer(struct hd_slice authorization);
/** Whether an Origin is in a list. */
bool api_origin_ok(struct hd_slice origin, const struct hd_slice *origins, size_t n);

#endif
