/* auth.c - who asks over HTTP: digest with the users of SIP (RFC 7616), or a bearer token (RFC
 * 6750).
 *
 * A challenge costs nothing that is kept: nonces authenticate themselves, and those of this face
 * are good here alone.  Whoever fails too often is not answered any more (source.c). */
#include "http/core.h"

static void
challenge(struct api_request *request, bool stale, bool wrong_token)
{
    struct api *api = request->api;
    char text[2048];
    struct sip_out out;
    size_t n;

    API_COUNT(api, refused_auth);
    api_problem(request, 401, "credentials are needed: digest, or a bearer token");
    sip_out_init(&out, text, sizeof(text));
    pol_ops.challenge(api->policy, api->config, NULL, &request->flow, api->now_us, stale, &out);
    if (sip_out_finish(&out, &n) == HD_OK) {
        struct hd_slice lines = hd_slice(text, n);
        while (lines.n > 0) {
            struct hd_slice line = hd_slice_cut(&lines, '\r');
            lines = hd_slice_from(lines, 1);
            const size_t colon = hd_slice_find(line, ':');
            if (colon < line.n)
                api_header(request, "WWW-Authenticate",
                           hd_slice_trim(hd_slice_from(line, colon + 1)));
        }
    }
    /* RFC 6750 section 3.1: no error to who has shown no token. */
    api_header(request, "WWW-Authenticate",
               wrong_token ? HD_LIT("Bearer realm=\"herald\", error=\"invalid_token\"")
                           : HD_LIT("Bearer realm=\"herald\""));
}

static enum api_known
by_digest(struct api_request *request, struct hd_slice authorization)
{
    struct api *api = request->api;
    const struct pol_http_request shown = {
        .method = hd_slice_str(request->method_name),
        .target = request->raw,
        .authorization = authorization,
        .remote = &request->flow.remote,
    };
    struct evt_auth_result result;

    switch (pol_http_authenticate(api->policy, api->config, &shown, api->now_us, &result)) {
    case EVT_AUTH_OK:
        request->identity = result.identity;
        request->scopes = API_SCOPE_PUBLISH | API_SCOPE_READ;
        return API_KNOWN;
    case EVT_AUTH_CHALLENGE:
        challenge(request, false, false);
        return API_UNKNOWN;
    case EVT_AUTH_STALE:
        challenge(request, true, false);
        return API_UNKNOWN;
    case EVT_AUTH_WRONG:
    case EVT_AUTH_SLOWED:
        api_source_failed(api, &request->flow.remote);
        challenge(request, false, false);
        return API_UNKNOWN;
    case EVT_AUTH_BAD:
        api_source_failed(api, &request->flow.remote);
        api_problem(request, 400, "%s", result.reason);
        return API_UNKNOWN;
    }
    return API_UNKNOWN;
}

/* RFC 6750 section 5.3: what is good for whoever holds it does not travel where others listen. */
static bool
line_is_safe(const struct api_request *request)
{
    static const struct hd_prefix here[] = { { { .ip = { 127 }, .family = 4 }, 8 },
                                             { { .ip = { [15] = 1 }, .family = 6 }, 128 } };
    const struct api *api = request->api;

    return api->secure || api->settings->clear_tokens ||
           hd_prefix_holds(&here[0], &request->flow.remote) ||
           hd_prefix_holds(&here[1], &request->flow.remote);
}

/* A token is its user's, as long as he is there. */
static enum api_known
by_token(struct api_request *request, struct hd_slice text)
{
    struct api *api = request->api;
    const struct pol_settings *settings = api->config->policy;
    const struct api_token *token = api_book_token(api->book, text);
    struct hd_slice user = token ? hd_slice_str(token->user) : hd_slice(NULL, 0);
    size_t n;

    if (!line_is_safe(request)) {
        api_problem(request, 403, "tokens are taken over TLS and from this machine alone");
        return API_UNKNOWN;
    }
    if (!token || user.n > POL_NAME_MAX || !pol_book_user(settings->book, user) ||
        pol_user_key(settings->book, user, &api->config->served, request->identity.key, &n)) {
        api_source_failed(api, &request->flow.remote);
        challenge(request, false, true);
        return API_UNKNOWN;
    }
    request->identity.key_len = (uint8_t)n;
    request->identity.proof = EVT_PROOF_TOKEN;
    request->identity.authenticated = request->identity.proven = true;
    request->scopes = token->scopes;
    memcpy(request->token, token->id, sizeof(request->token));
    memcpy(request->user, user.p, user.n);
    return API_KNOWN;
}

enum api_known
api_authenticate(struct api_request *request)
{
    struct hd_slice authorization = api_field(request, "Authorization");

    if (!authorization.n) {
        challenge(request, false, false);
        return API_UNKNOWN;
    }
    const struct hd_slice bearer = api_bearer(authorization);
    return bearer.p ? by_token(request, bearer) : by_digest(request, authorization);
}

/* --- who looks on without credentials -------------------------------------------------------- */

/* "127.0.0.1:8080", "[::1]", "localhost:8080": an address of a machine, and no name that a page of
 * others may have led here. */
static bool
is_literal(struct hd_slice host)
{
    struct hd_addr addr;
    size_t n = host.n;

    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    if (n > 0 && host.p[n - 1] == ':' && host.p[0] != ':')
        host.n = n - 1;
    return hd_slice_ieq(host, HD_LIT("localhost")) || hd_addr_parse(host, 0, &addr) == HD_OK;
}

/* What a proxy passes on comes from its address and not from whom it came. */
static bool
was_forwarded(const struct api_request *request)
{
    return api_field(request, "Forwarded").n || api_field(request, "X-Forwarded-For").n ||
           api_field(request, "Via").n;
}

bool
api_looks_on(struct api_request *request)
{
    const struct api_settings *s = request->api->settings;
    bool near = false;

    for (size_t i = 0; i < s->n_look; i++)
        near = near || hd_prefix_holds(&s->look[i], &request->flow.remote);
    if (!near || request->method != API_GET || request->target.route->need != API_NEED_ADMIN ||
        api_field(request, "Authorization").n || was_forwarded(request) ||
        !is_literal(api_field(request, "Host")))
        return false;
    request->scopes = API_SCOPE_LOOK;
    return true;
}
