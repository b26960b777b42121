/* auth.c - who asks over HTTP: digest with the users of SIP (RFC 7616), or a bearer token (RFC
 * 6750).
 *
 * A challenge costs nothing that is kept: nonces authenticate themselves, and those of this face
 * are good here alone.  Whoever fails too often is not answered any more (source.c). */
#include "http/core.h"

static void
challenge(struct api_request *request, bool stale)
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
    api_header(request, "WWW-Authenticate", HD_LIT("Bearer realm=\"herald\""));
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
        request->scope_publish = request->scope_read = true;
        return API_KNOWN;
    case EVT_AUTH_CHALLENGE:
        challenge(request, false);
        return API_UNKNOWN;
    case EVT_AUTH_STALE:
        challenge(request, true);
        return API_UNKNOWN;
    case EVT_AUTH_WRONG:
    case EVT_AUTH_SLOWED:
        api_source_failed(api, &request->flow.remote);
        challenge(request, false);
        return API_UNKNOWN;
    case EVT_AUTH_BAD:
        api_source_failed(api, &request->flow.remote);
        api_problem(request, 400, "%s", result.reason);
        return API_UNKNOWN;
    }
    return API_UNKNOWN;
}

enum api_known
api_authenticate(struct api_request *request)
{
    struct hd_slice authorization = api_field(request, "Authorization");

    if (!authorization.n) {
        challenge(request, false);
        return API_UNKNOWN;
    }
    return by_digest(request, authorization);
}
