/* events.c - the event state of a resource over HTTP: published, removed, read.
 *
 * PUT is PUBLISH: its ETag is the publication's entity-tag (RFC 3903), and without If-Match it
 * means the one publication that this publisher has here, so that it may be repeated.  GET is a
 * SUBSCRIBE that is over at once: its ETag names what this watcher sees, and nothing else. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "http/core.h"
#include "sip/header.h"

static const char *const read_params[] = { "when", "filter",   "profile",  "format",
                                           "type", "max-rate", "min-rate", "adaptive-min-rate" };
static const char *const publish_params[] = { "expires" };

static void
answered(struct evt_ask *ask)
{
    struct api_request *request = HD_CONTAINER(ask, struct api_request, ask);

    ask->mail.kind = API_MAIL_ASKED;
    hd_mailbox_post(&request->api->box, &ask->mail);
}

/* --- what is asked for ----------------------------------------------------------------------- */

/* The resource as it is written in a path, "2001" or "sip:2001@example.test": its key. */
static enum hd_err
resource_key(const struct evt_config *config, struct hd_slice text, char ret_key[SIP_KEY_MAX],
             size_t *ret_n)
{
    const struct pol_settings *settings = config->policy;
    struct sip_uri uri;

    if (hd_slice_find(text, ':') == text.n)
        return pol_user_key(settings->book, text, &config->served, ret_key, ret_n);
    if (sip_uri_parse(text, &uri))
        return HD_ESYNTAX;
    return sip_resource_key(&uri, &config->served, ret_key, ret_n);
}

/* Package and resource; false: answered. */
static bool
find_target(struct api_request *request)
{
    const struct evt_config *config = request->api->config;

    request->package = evt_config_package(config, request->target.part[0]);
    if (!request->package) {
        api_problem(request, 404, "there is no such package");
        return false;
    }
    switch (resource_key(config, request->target.part[1], request->key, &request->key_n)) {
    case HD_OK:
        return true;
    case HD_ESYNTAX:
        api_problem(request, 400, "the resource is neither a user's name nor a URI");
        return false;
    case HD_ERANGE:
        api_problem(request, 400, "the resource is too long");
        return false;
    default: /* not ours, or of another scheme */
        api_problem(request, 404, "this resource is not served here");
        return false;
    }
}

static bool
known_params(struct api_request *request, const char *const *known, size_t n)
{
    struct hd_slice name = api_param_unknown(&request->target, known, n);

    if (!name.p)
        return true;
    api_problem(request, 400, "there is no parameter %.*s here", (int)(name.n < 60 ? name.n : 60),
                name.p);
    return false;
}

/* --- publishing ------------------------------------------------------------------------------ */

/* If-Match and If-None-Match: which publication is meant. */
static bool
read_match(struct api_request *request)
{
    struct hd_slice match = api_field(request, "If-Match"),
                    none = api_field(request, "If-None-Match");
    enum api_match what = API_MATCH_NOT_SAID;

    if (match.p && none.p) {
        api_problem(request, 400, "If-Match and If-None-Match exclude each other");
        return false;
    }
    if (match.p) {
        switch (api_etag_read(match, &what, &request->etag, &request->etags)) {
        case HD_OK:
            break;
        case HD_ENOMATCH:
            api_problem(request, 412, "a weak entity-tag matches nothing");
            return false;
        default:
            api_problem(request, 400, "If-Match takes at most %u entity-tags, or *", API_ETAGS_MAX);
            return false;
        }
    } else if (none.p) {
        if (!hd_slice_eq(hd_slice_trim(none), HD_LIT("*"))) {
            api_problem(request, 400, "If-None-Match takes * here");
            return false;
        }
        request->ask.match = EVT_MATCH_NONE;
        return true;
    }
    request->ask.match = what == API_MATCH_ANY   ? EVT_MATCH_ANY
                         : what == API_MATCH_TAG ? EVT_MATCH_ETAG
                                                 : EVT_MATCH_OWN;
    request->ask.etag = request->etag;
    return true;
}

/* How long it is to live: Expires in seconds as in SIP, max-age, or the parameter. */
static bool
read_expires(struct api_request *request)
{
    struct hd_slice param = api_param(&request->target, "expires"),
                    expires = api_field(request, "Expires"),
                    control = api_field(request, "Cache-Control");
    enum hd_err err = HD_ENOMATCH;

    request->ask.expires_s = UINT32_MAX;
    if (param.p)
        err = api_seconds(param, &request->ask.expires_s);
    else if (expires.p)
        err = api_seconds(expires, &request->ask.expires_s);
    else if (control.p)
        err = api_max_age(control, &request->ask.expires_s);
    if (err == HD_ESYNTAX) {
        api_problem(request, 400, "a duration is a number of seconds");
        return false;
    }
    if (request->ask.expires_s == 0) {
        api_problem(request, 400, "a publication of no duration is removed with DELETE");
        return false;
    }
    return true;
}

static void
post_ask(struct api_request *request, enum evt_ask_kind kind)
{
    struct evt_ask *ask = &request->ask;

    ask->kind = kind;
    ask->identity = request->identity;
    ask->flow = request->flow;
    ask->key = hd_slice(request->key, request->key_n);
    ask->package = request->target.part[0];
    ask->answered = answered;
    request->asking = true;
    request->api->out++;
    api_wait(request);
    evt_ask_post(request->api->shard, ask);
}

/* PUT says all of it, PATCH what changes, in the package's way of saying that (RFC 7396). */
static bool
read_type(struct api_request *request, struct hd_slice type)
{
    const struct hd_slice patch = request->package->patch_type;
    const bool patches = patch.n && sip_media_same(type, patch);

    if (patches == (request->method == API_PATCH))
        return true;
    if (patches)
        api_problem(request, 415, "a patch is sent with PATCH");
    else
        api_problem(request, 415, "no patch of this type is taken of this package");
    if (patch.n)
        api_header(request, "Accept-Patch", patch);
    return false;
}

static void
publish(struct api_request *request)
{
    const struct hd_slice type = api_field(request, "Content-Type");
    const bool removes = request->method == API_DELETE;

    if (!(request->scopes & API_SCOPE_PUBLISH)) {
        api_no_scope(request, API_SCOPE_PUBLISH);
        return;
    }
    if (!known_params(request, publish_params, removes ? 0 : HD_ARRAY_LEN(publish_params)) ||
        !read_match(request))
        return;
    if (removes) {
        post_ask(request, EVT_ASK_REMOVE);
        return;
    }
    if (!read_expires(request) || (request->body.n && !read_type(request, type)))
        return;
    if (request->method == API_PATCH && request->ask.match == EVT_MATCH_NONE) {
        api_problem(request, 400, "what is not there cannot be patched");
        return;
    }
    if (request->method == API_PATCH && request->ask.match == EVT_MATCH_OWN)
        request->ask.match = EVT_MATCH_ANY;
    if (api_field(request, "Content-Encoding").p) {
        api_problem(request, 415, "no content coding is taken");
        api_header(request, "Accept-Encoding", HD_LIT("identity"));
        return;
    }
    if (api_field(request, "Content-Range").p) { /* RFC 9110 section 14.5 */
        api_problem(request, 400, "a part of a document is sent with PATCH");
        return;
    }
    request->ask.type = type;
    if (request->body.n) {
        request->ask.body = hd_str_slice(&request->body);
    } else if (request->method == API_PATCH || request->ask.match == EVT_MATCH_OWN ||
               request->ask.match == EVT_MATCH_NONE) {
        api_problem(request, 400, "there is no document; a refresh names what it refreshes");
        return;
    }
    post_ask(request, EVT_ASK_PUBLISH);
}

/* RFC 9110 section 13.1.1: any of the listed tags will do.  The core knows publications by their
 * tags, so each is tried, until one is there.  False: none is left. */
static bool
try_next_tag(struct api_request *request)
{
    struct evt_ask *ask = &request->ask;

    if (ask->status != 412 || ask->match != EVT_MATCH_ETAG ||
        api_etag_next(&request->etags, &ask->etag))
        return false;
    request->asking = true;
    request->api->out++;
    evt_ask_post(request->api->shard, ask);
    return true;
}

/* RFC 9110 section 12.5.1: what would be taken. */
static void
header_accept(struct api_request *request)
{
    const struct evt_package *package =
        evt_config_package(request->api->config, request->target.part[0]);
    struct hd_str text = { 0 };

    for (size_t i = 0; package && i < evt_package_published(package); i++) {
        if (i > 0)
            hd_str_add(&text, HD_LIT(", "));
        hd_str_add(&text, package->types[i]);
    }
    if (!text.err && text.n > 0)
        api_header(request, "Accept", hd_str_slice(&text));
    hd_str_done(&text);
}

void
api_events_asked(struct api_request *request)
{
    const struct evt_ask *ask = &request->ask;
    char body[128];
    int n;

    if (try_next_tag(request))
        return;

    if (ask->status == 412 && !api_field(request, "If-Match").p && request->method == API_PATCH) {
        api_problem(request, 404, "nothing is published that could be patched");
        api_resume(request);
        return;
    }
    if (ask->status != 200) {
        api_refused(request, ask);
        if (ask->status == 415)
            header_accept(request);
        api_resume(request);
        return;
    }
    if (ask->kind == EVT_ASK_REMOVE) {
        api_answer(request, 204, NULL, hd_slice(NULL, 0));
        api_resume(request);
        return;
    }
    n = snprintf(body, sizeof(body), "{\"etag\":\"%.*s\",\"expires_s\":%u}\n", HD_ID_TEXT,
                 ask->etag_text, ask->granted_s);
    api_answer(request, ask->created ? 201 : 200, "application/json", hd_slice(body, (size_t)n));
    api_header_etag(request, hd_slice(ask->etag_text, HD_ID_TEXT));
    api_resume(request);
}

/* --- reading --------------------------------------------------------------------------------- */

static void
read_refused(void *owner, const struct evt_ask *ask)
{
    struct api_request *request = owner;

    request->sub = NULL;
    api_refused(request, ask);
    api_resume(request);
}

static void
read_gone(void *owner)
{
    struct api_request *request = owner;

    request->sub = NULL;
    api_problem(request, 503, "the state cannot be shown now");
    api_resume(request);
}

void
api_version_text(const uint8_t version[16], char ret[32])
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < 16; i++) {
        ret[2 * i] = hex[version[i] >> 4];
        ret[2 * i + 1] = hex[version[i] & 15];
    }
}

/* A polite view and the real one are answered alike: by what is seen. */
static void
answer_state(struct api_request *request, const struct evt_tidings *t)
{
    char tag[32], type[256];

    if (!t->type.n) {
        if (t->pending)
            api_problem(request, 403, "nobody has decided yet whether you may watch this");
        else
            api_problem(request, 404, "there is nothing to see");
        return;
    }
    const struct hd_slice match = api_field(request, "If-Match");
    api_version_text(t->version, tag);
    if (match.p && !api_etag_listed_strong(match, hd_slice(tag, sizeof(tag)))) {
        api_problem(request, 412, "you see another state");
    } else if (api_etag_listed(request->seen, hd_slice(tag, sizeof(tag)))) {
        /* MHD sends the length alone: that of a 200 (RFC 9110 section 8.6). */
        api_answer(request, 304, NULL, t->body);
    } else {
        (void)snprintf(type, sizeof(type), "%.*s", HD_FMT(t->type));
        api_answer(request, 200, type, t->body);
    }
    api_header_etag(request, hd_slice(tag, sizeof(tag)));
}

static void
read_told(void *owner, struct api_tidings *tidings)
{
    struct api_request *request = owner;

    /* The rules may say "pending": then nothing more comes either. */
    answer_state(request, &tidings->t);
    free(tidings);
    api_sub_taken(request->sub);
    api_sub_close(request->sub);
    request->sub = NULL;
    api_resume(request);
}

static const struct api_sub_ops read_ops = { .refused = read_refused,
                                             .told = read_told,
                                             .gone = read_gone };

/* Which of the package's types are taken, a bit each. */
static uint8_t
types_of(const struct evt_package *package, struct hd_slice accept)
{
    uint8_t types = 0;

    if (package->n_types == 0)
        return 0xff;
    for (size_t i = 0; i < evt_package_published(package) && i < EVT_PACKAGE_TYPES_MAX; i++)
        if (api_accepts(accept, package->types[i]))
            types = (uint8_t)(types | 1u << i);
    return types;
}

char *
api_filter_of(struct hd_slice when)
{
    json_t *json = json_pack("{s:s%}", "when", when.p, when.n);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

/* The filter of a subscription: conditions in words, the filter as a document, or a profile. */
static bool
read_filter(struct api_request *request, struct api_wish *wish, char **ret_text)
{
    struct hd_slice when = api_param(&request->target, "when"),
                    filter = api_param(&request->target, "filter");

    wish->profile = api_param(&request->target, "profile");
    if ((when.p != NULL) + (filter.p != NULL) + (wish->profile.p != NULL) > 1) {
        api_problem(request, 400, "when, filter and profile exclude each other");
        return false;
    }
    if (filter.p) {
        wish->filter = filter;
        wish->filter_type = HD_LIT("application/vnd.herald.filter+json");
    }
    if (!when.p)
        return true;
    *ret_text = api_filter_of(when);
    if (!*ret_text) {
        api_problem(request, 400, "the conditions cannot be read");
        return false;
    }
    wish->filter = hd_slice_str(*ret_text);
    wish->filter_type = HD_LIT("application/vnd.herald.filter+json");
    return true;
}

/* How often an event stream is told (RFC 6446), named as in SIP; false: answered. */
static bool
read_rates(struct api_request *request, bool stream, struct sip_rates *ret_rates)
{
    const struct {
        const char *name;
        uint64_t *rate;
    } rows[] = { { "max-rate", &ret_rates->max },
                 { "min-rate", &ret_rates->min },
                 { "adaptive-min-rate", &ret_rates->adaptive } };

    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        const struct hd_slice value = api_param(&request->target, rows[i].name);
        if (!value.p)
            continue;
        if (!stream) {
            api_problem(request, 400, "%s is of an event stream", rows[i].name);
            return false;
        }
        if (sip_rate_parse(value, rows[i].rate)) {
            api_problem(request, 400, "%s is how often in a second, such as 0.2", rows[i].name);
            return false;
        }
    }
    return true;
}

static void
read_state(struct api_request *request)
{
    const struct hd_slice accept = api_field(request, "Accept");
    const bool stream = accept.p && api_accepts(accept, HD_LIT("text/event-stream")) == 3 &&
                        request->method == API_GET;
    const struct hd_slice type = api_param(&request->target, "type"),
                          format = api_param(&request->target, "format");
    struct api_wish wish = { .identity = request->identity,
                             .remote = request->flow.remote,
                             .key = hd_slice(request->key, request->key_n),
                             .package = request->target.part[0],
                             .target = HD_LIT("http:"),
                             .expires_s = stream ? UINT32_MAX : 0 };
    char *text = NULL;

    if (!(request->scopes & API_SCOPE_READ)) {
        api_no_scope(request, API_SCOPE_READ);
        return;
    }
    if (!known_params(request, read_params, HD_ARRAY_LEN(read_params)))
        return;
    if (format.p && !(stream && hd_slice_eq(format, HD_LIT("json")))) {
        api_problem(request, 400, "format is json, of an event stream");
        return;
    }
    wish.types = types_of(request->package, type.p ? type : stream ? hd_slice(NULL, 0) : accept);
    if (!wish.types) {
        api_problem(request, 406, "the package has no such type");
        return;
    }
    if (!read_rates(request, stream, &wish.rates) || !read_filter(request, &wish, &text))
        return;
    request->seen = api_field(request, stream ? "Last-Event-ID" : "If-None-Match");
    if (stream) {
        api_stream_open(request, &wish, format.p != NULL);
    } else {
        request->sub = api_sub_new(request->api, &wish, &read_ops, request);
        if (request->sub)
            api_wait(request);
        else
            api_problem(request, 503, "too many are served now");
    }
    free(text);
}

void
api_events(struct api_request *request)
{
    if (!find_target(request))
        return;
    if (request->method & (API_GET | API_HEAD))
        read_state(request);
    else
        publish(request);
}
