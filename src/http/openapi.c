/* openapi.c - what is said of each route and method; openapi_test holds it to the routes that are
 * there. */
#include "http/openapi.h"

#include <stdio.h>

#include "http/route.h"

#define PARAMS_MOST 12

struct param {
    const char *name, *in, *words;
    bool needed;
};
struct operation {
    const char *path;
    unsigned method;
    const char *name, *summary;
    const char *in, *out; /* media types; NULL: none */
    const char *statuses; /* with a blank between two */
    struct param params[PARAMS_MOST];
};

#define EVENT_PATH                                                                                 \
    { "package", "path", "name of the event package", true },                                      \
    {                                                                                              \
        "resource", "path", "a user's name, or a URI", true                                        \
    }

static const struct operation operations[] = {
    { "/v1/events/{package}/{resource}",
      API_GET,
      "read",
      "What you may see of the state; with Accept: text/event-stream a subscription to it",
      NULL,
      "*/*",
      "200 304 400 401 403 404 406 412 429 503",
      { EVENT_PATH,
        { "when", "query", "a condition: hr above 140 clear 120", false },
        { "filter", "query", "a filter document", false },
        { "profile", "query", "a filter that the configuration names", false },
        { "type", "query", "the media type of documents in a stream", false },
        { "format", "query", "json: documents of a stream stand in an envelope", false },
        { "max-rate", "query", "how often a stream is told at most, in a second", false },
        { "min-rate", "query", "how often a stream is told at least, in a second", false },
        { "adaptive-min-rate", "query", "the same, less the more is told", false },
        { "If-Match", "header", "the ETag of what you expect to see", false },
        { "If-None-Match", "header", "the ETag of what you have seen", false } } },
    { "/v1/events/{package}/{resource}",
      API_PUT,
      "publish",
      "Publishes a document; the ETag of the answer is the publication's",
      "*/*",
      "application/json",
      "200 201 400 401 403 404 412 413 415 429 503",
      { EVENT_PATH,
        { "expires", "query", "seconds that it is to live", false },
        { "If-Match", "header", "the publication that is meant", false },
        { "If-None-Match", "header", "*: only a new one", false } } },
    { "/v1/events/{package}/{resource}",
      API_PATCH,
      "patch",
      "Changes a part of what a publication says (RFC 7396)",
      "application/merge-patch+json",
      "application/json",
      "200 400 401 403 404 412 413 415 429 503",
      { EVENT_PATH,
        { "expires", "query", "seconds that it is to live", false },
        { "If-Match", "header", "the publication that is meant", false } } },
    { "/v1/events/{package}/{resource}",
      API_DELETE,
      "remove",
      "Removes a publication",
      NULL,
      NULL,
      "204 400 401 403 404 412 429 503",
      { EVENT_PATH, { "If-Match", "header", "the publication that is meant", false } } },
    { "/v1/admin/{call}",
      API_GET,
      "ask",
      "A call of the administration that changes nothing; its keys as parameters",
      NULL,
      "application/json",
      "200 400 401 403 405 429 503",
      { { "call", "path", "its name: status, subs, pubs, watchers, ...", true } } },
    { "/v1/admin/{call}",
      API_POST,
      "call",
      "A call of the administration; its keys as a JSON object",
      "application/json",
      "application/json",
      "200 400 401 403 413 415 429 503",
      { { "call", "path", "its name, as in doc/admin-protocol.md", true } } },
    { "/metrics",
      API_GET,
      "metrics",
      "Figures, as OpenMetrics text",
      NULL,
      "application/openmetrics-text",
      "200 401 403 429 503",
      { { 0 } } },
    { "/healthz",
      API_GET,
      "health",
      "Whether the broker serves, and keeps what it acknowledges",
      NULL,
      "application/json",
      "200 429 503",
      { { 0 } } },
    { "/openapi.json",
      API_GET,
      "description",
      "This page",
      NULL,
      "application/json",
      "200 429",
      { { 0 } } },
};

static const char *
method_word(unsigned method)
{
    switch (method) {
    case API_PUT:
        return "put";
    case API_PATCH:
        return "patch";
    case API_DELETE:
        return "delete";
    case API_POST:
        return "post";
    default:
        return "get";
    }
}

static json_t *
params_of(const struct operation *operation)
{
    json_t *params = json_array();

    for (size_t i = 0; i < PARAMS_MOST && operation->params[i].name; i++) {
        const struct param *param = &operation->params[i];
        (void)json_array_append_new(params, json_pack("{s:s, s:s, s:s, s:b, s:{s:s}}", "name",
                                                      param->name, "in", param->in, "description",
                                                      param->words, "required", param->needed,
                                                      "schema", "type", "string"));
    }
    return params;
}

static json_t *
responses_of(const struct operation *operation)
{
    json_t *responses = json_object();
    struct hd_slice statuses = hd_slice_str(operation->statuses);

    while (statuses.n > 0) {
        const struct hd_slice status = hd_slice_cut(&statuses, ' ');
        const bool good = status.p[0] < '4';
        const char *type = good ? operation->out : "application/problem+json";
        char key[8];
        json_t *response = json_pack("{s:s}", "description", good ? "done" : "refused");

        (void)snprintf(key, sizeof(key), "%.*s", HD_FMT(status));
        if (type && status.p[0] != '3')
            (void)json_object_set_new(response, "content", json_pack("{s:{}}", type));
        (void)json_object_set_new(responses, key, response);
    }
    return responses;
}

static json_t *
operation_json(const struct operation *operation, const struct api_route *route)
{
    json_t *json = json_pack("{s:s, s:s, s:o, s:o}", "operationId", operation->name, "summary",
                             operation->summary, "parameters", params_of(operation), "responses",
                             responses_of(operation));

    if (json && operation->in)
        (void)json_object_set_new(
            json, "requestBody",
            json_pack("{s:b, s:{s:{}}}", "required", 1, "content", operation->in));
    if (json && route->need == API_NEED_NOBODY)
        (void)json_object_set_new(json, "security", json_array());
    return json;
}

json_t *
api_openapi(void)
{
    json_t *paths = json_object();
    size_t n_routes;
    const struct api_route *routes = api_routes(&n_routes);

    for (size_t i = 0; i < n_routes && paths; i++) {
        json_t *path = json_object();
        for (size_t k = 0; k < HD_ARRAY_LEN(operations); k++)
            if (hd_slice_eq(hd_slice_str(operations[k].path), hd_slice_str(routes[i].path)))
                (void)json_object_set_new(path, method_word(operations[k].method),
                                          operation_json(&operations[k], &routes[i]));
        (void)json_object_set_new(paths, routes[i].path, path);
    }
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:[]}, {s:[]}], s:{s:{s:{s:s, s:s}, s:{s:s, "
                     "s:s}}}, s:o}",
                     "openapi", "3.1.0", "info", "title", "herald", "version", HERALD_VERSION,
                     "description", "Event state over HTTP; see doc/http.md", "security", "digest",
                     "token", "components", "securitySchemes", "digest", "type", "http", "scheme",
                     "digest", "token", "type", "http", "scheme", "bearer", "paths", paths);
}
