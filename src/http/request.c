/* request.c - one request: what it asks for, who may call, and how it is answered.
 *
 * The order is the same for all: origin, route and method, source, credentials, the rest.  A page
 * of another origin that is not allowed is refused before anything happens, so that nobody's
 * browser acts for a page that he did not mean. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "http/core.h"
#include "http/openapi.h"

struct hd_slice
api_field(const struct api_request *request, const char *name)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);

    return hd_slice_str(value);
}

/* --- answers --------------------------------------------------------------------------------- */

void
api_header(struct api_request *request, const char *name, struct hd_slice value)
{
    char *copy = request->response ? hd_slice_strdup(value) : NULL;

    if (copy)
        (void)MHD_add_response_header(request->response, name, copy);
    free(copy);
}

void
api_header_etag(struct api_request *request, struct hd_slice tag)
{
    char text[HD_ID_TEXT + 64];

    if (tag.n > sizeof(text) - 3)
        return;
    (void)snprintf(text, sizeof(text), "\"%.*s\"", HD_FMT(tag));
    api_header(request, "ETag", hd_slice_str(text));
}

void
api_header_u32(struct api_request *request, const char *name, uint32_t value)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", (unsigned)value);
    api_header(request, name, hd_slice_str(text));
}

/* What all answers say: no guessing of types, no frames, and who may read them. */
void
api_common_headers(struct api_request *request)
{
    struct hd_slice origin = api_field(request, "Origin");

    api_header(request, "X-Content-Type-Options", HD_LIT("nosniff"));
    api_header(request, "Vary", HD_LIT("Accept, Authorization, Origin"));
    if (!origin.n ||
        !api_origin_ok(origin, request->api->settings->origins, request->api->settings->n_origins))
        return;
    api_header(request, "Access-Control-Allow-Origin", origin);
    api_header(request, "Access-Control-Expose-Headers", HD_LIT("ETag, Location, Retry-After"));
}

void
api_answer(struct api_request *request, unsigned status, const char *type, struct hd_slice body)
{
    union {
        const char *borrowed;
        void *copied;
    } octets = { .borrowed = body.n ? body.p : "" };

    HD_ASSERT(!request->response);
    request->response =
        MHD_create_response_from_buffer(body.n, octets.copied, MHD_RESPMEM_MUST_COPY);
    if (!request->response) /* nothing can be said: the connection is closed */
        request->response =
            MHD_create_response_from_buffer(0, octets.copied, MHD_RESPMEM_PERSISTENT);
    request->status = status;
    request->state = API_ANSWERED;
    if (type)
        api_header(request, "Content-Type", hd_slice_str(type));
    api_header(request, "Cache-Control", HD_LIT("no-cache"));
    api_common_headers(request);
}

static const char *
title_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } rows[] = { { 400, "Bad Request" },
                 { 401, "Unauthorized" },
                 { 403, "Forbidden" },
                 { 404, "Not Found" },
                 { 405, "Method Not Allowed" },
                 { 406, "Not Acceptable" },
                 { 412, "Precondition Failed" },
                 { 413, "Content Too Large" },
                 { 415, "Unsupported Media Type" },
                 { 429, "Too Many Requests" },
                 { 500, "Internal Server Error" },
                 { 501, "Not Implemented" },
                 { 503, "Service Unavailable" } };

    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].title;
    return "Error";
}

void
api_problem(struct api_request *request, unsigned status, const char *format, ...)
{
    char detail[512], *text;
    va_list args;
    json_t *body;
    int n;

    va_start(args, format);
    n = vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    if (n < 0)
        detail[0] = '\0';
    /* What is not UTF-8 cannot be said back. */
    body = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title", title_of(status),
                     "status", (int)status, "detail", detail);
    if (!body)
        body = json_pack("{s:s, s:s, s:i}", "type", "about:blank", "title", title_of(status),
                         "status", (int)status);
    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    api_answer(request, status, "application/problem+json", hd_slice_str(text ? text : "{}"));
    free(text);
    json_decref(body);
}

void
api_no_scope(struct api_request *request, enum api_scope scope)
{
    json_t *words = api_scope_words(scope);
    const char *word = json_string_value(json_array_get(words, 0));
    char text[128];

    api_problem(request, 403, "a token with the right \"%s\" is needed", word ? word : "");
    (void)snprintf(text, sizeof(text),
                   "Bearer realm=\"herald\", error=\"insufficient_scope\", scope=\"%s\"",
                   word ? word : "");
    if (request->token[0])
        api_header(request, "WWW-Authenticate", hd_slice_str(text));
    json_decref(words);
}

void
api_refused(struct api_request *request, const struct evt_ask *ask)
{
    unsigned status = ask->status;

    switch (status) {
    case 423: /* another thing in HTTP (RFC 4918) */
        api_problem(request, 400, "too brief: at least %u seconds are taken", ask->min_expires_s);
        return;
    case 481:
        status = 404;
        break;
    case 482:
    case 488:
        status = 400;
        break;
    case 500:
        status = 503;
        break;
    default:
        break;
    }
    api_problem(request, status, "%s", ask->phrase);
    if (ask->retry_after_s)
        api_header_u32(request, "Retry-After", ask->retry_after_s);
}

void
api_wait(struct api_request *request)
{
    request->state = API_WAITING;
    if (request->conn)
        request->conn->deadline_ms = UINT64_MAX; /* it is our turn */
    MHD_suspend_connection(request->connection);
}

void
api_resume(struct api_request *request)
{
    HD_ASSERT(request->state == API_ANSWERED || request->state == API_STREAMING);
    if (request->conn) /* the tick would find a deadline that was, until it is queued */
        request->conn->deadline_ms = request->api->now_ms + request->api->settings->stall_ms;
    MHD_resume_connection(request->connection);
}

void
api_request_free(struct api_request *request)
{
    HD_ASSERT_OBJ(request, API_REQUEST_MAGIC);
    if (request->stream)
        api_stream_close(request->stream);
    request->stream = NULL;
    if (request->sub) {
        api_sub_close(request->sub);
        request->sub = NULL;
    }
    if (request->asking)
        return;
    if (request->response)
        MHD_destroy_response(request->response);
    hd_str_done(&request->body);
    free(request->job_name);
    request->magic = 0;
    free(request);
}

/* --- jobs of the main thread ----------------------------------------------------------------- */

static void
post_job(struct api_request *request, enum api_job_kind kind)
{
    request->job.kind = kind;
    request->job.api = request->api;
    request->asking = true;
    request->api->out++;
    api_wait(request);
    request->api->post(request->api->post_context, &request->job);
}

void
api_job_done(struct api_job *job)
{
    job->mail.kind = API_MAIL_JOB;
    hd_mailbox_post(&job->api->box, &job->mail);
}

static void
answer_job(struct api_request *request)
{
    struct api_job *job = &request->job;

    if (!job->text)
        api_problem(request, 503, "memory is short");
    else if (job->failed)
        api_problem(request, job->status ? job->status : 400, "%.*s",
                    (int)(job->n < 400 ? job->n : 400), job->text);
    else
        api_answer(request, 200,
                   job->kind == API_JOB_METRICS
                       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                       : "application/json",
                   hd_slice(job->text, job->n));
}

void
api_jobs_done(struct api *api, struct api_job *job)
{
    struct api_request *request = HD_CONTAINER(job, struct api_request, job);

    (void)api;
    request->asking = false;
    if (!request->gone) {
        answer_job(request);
        api_resume(request);
    }
    free(job->text);
    job->text = NULL;
    if (request->gone)
        api_request_free(request);
}

/* --- who may call ---------------------------------------------------------------------------- */

/* RFC 6454: our own pages, and those that the operator names. */
static bool
origin_ok(const struct api_request *request)
{
    const struct api_settings *s = request->api->settings;
    struct hd_slice origin = api_field(request, "Origin"), host = api_field(request, "Host");
    const struct hd_slice scheme = request->api->secure ? HD_LIT("https://") : HD_LIT("http://");

    if (!origin.n || api_origin_ok(origin, s->origins, s->n_origins))
        return true;
    return hd_slice_starts(origin, scheme) && hd_slice_ieq(hd_slice_from(origin, scheme.n), host);
}

static void
answer_options(struct api_request *request)
{
    char allow[64] = "";
    static const struct {
        unsigned method;
        const char *name;
    } names[] = { { API_GET, "GET, " },      { API_HEAD, "HEAD, " },     { API_PUT, "PUT, " },
                  { API_PATCH, "PATCH, " },  { API_DELETE, "DELETE, " }, { API_POST, "POST, " },
                  { API_OPTIONS, "OPTIONS" } };
    size_t n = 0;

    for (size_t i = 0; i < HD_ARRAY_LEN(names); i++)
        if (request->target.route->methods & names[i].method || names[i].method == API_OPTIONS)
            n += (size_t)snprintf(allow + n, sizeof(allow) - n, "%s", names[i].name);
    if (request->method == API_OPTIONS)
        api_answer(request, 204, NULL, hd_slice(NULL, 0));
    else
        api_problem(request, 405, "this is not done to %s", request->target.route->path);
    api_header(request, "Allow", hd_slice_str(allow));
    if (!api_field(request, "Origin").n)
        return;
    api_header(request, "Access-Control-Allow-Methods", hd_slice_str(allow));
    api_header(request, "Access-Control-Allow-Headers",
               HD_LIT("Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, "
                      "Expires, Cache-Control"));
    api_header(request, "Access-Control-Max-Age", HD_LIT("600"));
}

/* False: answered. */
static bool
find_route(struct api_request *request)
{
    if (!request->method) { /* RFC 9110 section 9.1 */
        api_problem(request, 501, "this method is not known");
        return false;
    }
    switch (api_target_read(request->raw, &request->target)) {
    case HD_OK:
        break;
    case HD_ENOMATCH:
        if (!api_static_answer(request))
            api_problem(request, 404, "there is nothing of this name");
        return false;
    case HD_ERANGE:
        api_problem(request, 400, "the target is too long, or has too many parameters");
        return false;
    default:
        api_problem(request, 400, "the target cannot be read");
        return false;
    }
    if (request->method != API_OPTIONS && request->target.route->methods & request->method)
        return true;
    answer_options(request);
    return false;
}

static bool
no_params(struct api_request *request)
{
    if (request->target.n_params == 0)
        return true;
    api_problem(request, 400, "no parameters are taken here");
    return false;
}

static void
answer_json(struct api_request *request, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text)
        api_answer(request, 200, "application/json", hd_slice_str(text));
    else
        api_problem(request, 503, "memory is short");
    free(text);
    json_decref(json);
}

/* The keys of a call that changes nothing, as words. */
static bool
args_of_params(struct api_request *request)
{
    json_t *args = json_object();
    bool good = args != NULL;
    char *text;

    for (size_t i = 0; i < request->target.n_params && good; i++) {
        const struct api_param *param = &request->target.params[i];
        json_t *value = json_stringn(param->value.p, param->value.n);
        char *name = hd_slice_strdup(param->name);
        good = name && value && json_object_set_new(args, name, value) == 0;
        free(name);
    }
    text = good ? json_dumps(args, JSON_COMPACT) : NULL;
    json_decref(args);
    if (!text) {
        api_problem(request, 400, "the parameters cannot be read");
        return false;
    }
    hd_str_clear(&request->body);
    hd_str_add_str(&request->body, text);
    free(text);
    return true;
}

static void
admin(struct api_request *request)
{
    const bool reads = request->method == API_GET;
    const struct hd_slice type = api_field(request, "Content-Type");

    if (!reads && !no_params(request))
        return;
    if (!reads && request->body.n && !api_is_json(type)) {
        api_problem(request, 415, "the keys of a call are a JSON object");
        return;
    }
    if (reads && !args_of_params(request))
        return;
    request->job_name = hd_slice_strdup(request->target.part[0]);
    if (!request->job_name) {
        api_problem(request, 503, "memory is short");
        return;
    }
    request->job.name = request->job_name;
    request->job.args = hd_str_slice(&request->body);
    request->job.reads = reads;
    request->job.looks = !(request->scopes & API_SCOPE_ADMIN);
    post_job(request, API_JOB_CALL);
}

static void
route(struct api_request *request)
{
    switch (request->target.route->what) {
    case API_EVENTS:
        api_events(request);
        return;
    case API_HEALTH:
        if (no_params(request))
            post_job(request, API_JOB_HEALTH);
        return;
    case API_METRICS:
        if (no_params(request))
            post_job(request, API_JOB_METRICS);
        return;
    case API_ADMIN:
        admin(request);
        return;
    case API_OPENAPI:
        if (no_params(request))
            answer_json(request, api_openapi());
        return;
    }
}

static bool
scope_ok(const struct api_request *request)
{
    switch (request->target.route->need) {
    case API_NEED_NOBODY:
    case API_NEED_USER:
        return true;
    case API_NEED_ADMIN:
        return request->scopes & API_SCOPE_ADMIN ||
               (request->method == API_GET && request->scopes & API_SCOPE_LOOK);
    case API_NEED_METRICS:
        return request->scopes & (API_SCOPE_ADMIN | API_SCOPE_METRICS);
    }
    return false;
}

void
api_dispatch(struct api_request *request)
{
    struct api *api = request->api;

    if (!origin_ok(request)) {
        API_COUNT(api, refused_origin);
        api_answer(request, 403, NULL, hd_slice(NULL, 0));
        return;
    }
    if (!api_source_take(api, &request->flow.remote)) {
        API_COUNT(api, refused_source);
        api_problem(request, 429, "too many requests");
        api_header(request, "Retry-After", HD_LIT("1"));
        return;
    }
    if (request->body.err) {
        api_problem(request, 503, "memory is short");
        return;
    }
    if (!find_route(request))
        return;
    if (request->target.route->need != API_NEED_NOBODY && !api_looks_on(request)) {
        if (!api_source_allowed(api, &request->flow.remote)) {
            API_COUNT(api, unanswered);
            api_problem(request, 429, "too many failures");
            api_header(request, "Retry-After", HD_LIT("1"));
            return;
        }
        if (api_authenticate(request) != API_KNOWN)
            return;
    }
    if (!scope_ok(request)) {
        api_no_scope(request, request->target.route->need == API_NEED_METRICS ? API_SCOPE_METRICS
                                                                              : API_SCOPE_ADMIN);
        return;
    }
    route(request);
}
