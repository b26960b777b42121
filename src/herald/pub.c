/* pub.c - keeps one publication alive at an event state compositor.
 *
 * Invariants:
 *   - one PUBLISH at a time (RFC 3903 section 4): op is UA_PUB_NONE exactly when none is under way;
 *   - the entity-tag is that of the last 2xx, or empty when nothing is published;
 *   - the last state is kept, so that a 412 is followed by one initial publication of it
 *     (section 5), never by the same request again. */
#include "herald/pub.h"

#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 2048u
#define EVENT_MAX 255u
#define PRIORITY_MAX 255u
#define ETAG_MAX 255u
#define BRIEF_MAX 3u
#define EXPIRES_DEFAULT_S 3600u /* for the refresh, when nobody said a duration */

#define PUB_MAGIC 0x55417062u
struct ua_pub {
    unsigned magic;
    struct ua_pub_params params; /* its slices point into the texts below */
    struct ua_client *client;
    struct ua_dialog dialog; /* Call-ID and CSeq; never a dialog */
    enum ua_pub_op op;
    bool anew;      /* op follows a 412: not a second time */
    unsigned brief; /* 423 in a row */
    uint64_t txn;
    uint32_t expires_s; /* to ask for; raised by 423 */
    uint64_t ends_ms;
    char etag[ETAG_MAX];
    size_t etag_n;
    char *state; /* type, then body */
    size_t type_n, body_n;
    struct ua_timer refresh;
    struct ua_uri uri, from;
    char event[EVENT_MAX], priority[PRIORITY_MAX];
};

static enum hd_err pub_send(struct ua_pub *pub, enum ua_pub_op op);

static void
pub_done(struct ua_pub *pub, const struct ua_pub_result *result)
{
    pub->op = UA_PUB_NONE;
    pub->brief = 0;
    pub->anew = false;
    pub->params.done(pub->params.context, result);
}

static void
pub_forget(struct ua_pub *pub)
{
    pub->etag_n = 0;
    ua_timer_stop(pub->client, &pub->refresh);
}

static bool
pub_retry(struct ua_pub *pub, enum ua_pub_op op, enum ua_pub_news news)
{
    pub->params.reported(pub->params.context, news, pub->expires_s);
    return pub_send(pub, op) == HD_OK;
}

static void
pub_accepted(struct ua_pub *pub, const struct ua_answer *answer)
{
    struct ua_pub_result result = { .op = pub->op, .ok = true, .answer = answer };
    struct hd_slice etag = sip_msg_value(answer->msg, SIP_HDR_SIP_ETAG);
    uint32_t granted = pub->expires_s ? pub->expires_s : EXPIRES_DEFAULT_S;

    if (pub->op == UA_PUB_REMOVE) {
        pub_forget(pub);
        pub_done(pub, &result);
        return;
    }
    if (etag.n == 0 || etag.n > ETAG_MAX) { /* section 6 step 6 wants one in each 2xx */
        pub_forget(pub);
        result.ok = false;
        result.final = true;
        result.problem = "the server gave no entity-tag, so the publication cannot be kept up";
        pub_done(pub, &result);
        return;
    }
    uint32_t s;
    if (sip_delta_parse(sip_msg_value(answer->msg, SIP_HDR_EXPIRES), &s) == HD_OK &&
        (s < granted || pub->expires_s == 0))
        granted = s;
    memcpy(pub->etag, etag.p, etag.n);
    pub->etag_n = etag.n;
    pub->ends_ms = ua_client_now(pub->client) + (uint64_t)granted * 1000;
    ua_timer_start(pub->client, &pub->refresh, ua_refresh_after_ms(granted));
    result.expires_s = granted;
    result.etag = etag;
    pub_done(pub, &result);
}

/* A refresh that failed for now: tried again while the publication lasts, then published anew. */
static void
pub_refresh_failed(struct ua_pub *pub, const struct ua_answer *answer)
{
    uint64_t now = ua_client_now(pub->client);
    uint64_t left_s = pub->ends_ms > now ? (pub->ends_ms - now) / 1000 : 0;
    uint32_t wait_s = (uint32_t)(left_s / 2 < 30 ? left_s / 2 : 30), s;

    if (answer->msg &&
        sip_retry_after_parse(sip_msg_value(answer->msg, SIP_HDR_RETRY_AFTER), &s) == HD_OK)
        wait_s = s;
    wait_s = wait_s ? wait_s : 1;
    ua_timer_start(pub->client, &pub->refresh, (uint64_t)wait_s * 1000);
    pub_done(pub,
             &(struct ua_pub_result){ .op = UA_PUB_REFRESH, .answer = answer, .wait_s = wait_s });
}

static bool
pub_too_brief(struct ua_pub *pub, const struct ua_answer *answer)
{
    uint32_t least;
    if (pub->op == UA_PUB_REMOVE || ++pub->brief > BRIEF_MAX ||
        sip_delta_parse(sip_msg_value(answer->msg, SIP_HDR_MIN_EXPIRES), &least) != HD_OK ||
        least <= pub->expires_s)
        return false;
    pub->expires_s = least;
    return pub_retry(pub, pub->op, UA_PUB_TOO_BRIEF);
}

static void
answered(void *context, const struct ua_answer *answer)
{
    struct ua_pub *pub = context;
    enum ua_pub_op op = pub->op;

    pub->txn = 0;
    if (answer->outcome == UA_ANSWERED && answer->status < 300) {
        pub_accepted(pub, answer);
        return;
    }
    if (answer->outcome == UA_ANSWERED && answer->status == 423 && pub_too_brief(pub, answer))
        return;
    if (answer->outcome == UA_ANSWERED && answer->status == 412) {
        pub_forget(pub); /* section 5: the tag is discarded, an initial publication follows */
        if (op == UA_PUB_REMOVE) {
            pub_done(pub, &(struct ua_pub_result){ .op = op, .ok = true, .answer = answer });
            return;
        }
        if (!pub->anew && pub->body_n) {
            pub->anew = true;
            if (pub_retry(pub, UA_PUB_INITIAL, UA_PUB_ANEW))
                return;
        }
    }
    bool later = answer->outcome == UA_TIMEOUT || answer->outcome == UA_UNREACHABLE ||
                 (answer->outcome == UA_ANSWERED &&
                  (answer->status == 408 || (answer->status >= 500 && answer->status < 600)));
    if (op == UA_PUB_REFRESH && later) {
        pub_refresh_failed(pub, answer);
        return;
    }
    pub_done(pub, &(struct ua_pub_result){ .op = op, .final = true, .answer = answer });
}

static void
refresh_fire(void *context)
{
    struct ua_pub *pub = context;
    if (pub->op != UA_PUB_NONE || pub->etag_n == 0)
        return;
    bool expired = pub->ends_ms <= ua_client_now(pub->client);
    if (expired) {
        pub_forget(pub);
        pub->anew = true;
        pub->params.reported(pub->params.context, UA_PUB_ANEW, 0);
    }
    if (pub_send(pub, expired ? UA_PUB_INITIAL : UA_PUB_REFRESH) != HD_OK)
        pub_done(pub, &(struct ua_pub_result){ .op = UA_PUB_REFRESH,
                                               .final = true,
                                               .problem = "the refresh cannot be sent" });
}

/* RFC 3903 table 1. */
static enum hd_err
pub_send(struct ua_pub *pub, enum ua_pub_op op)
{
    bool body = op == UA_PUB_INITIAL || op == UA_PUB_MODIFY;
    char headers[HEADERS_MAX];
    struct sip_out out;
    size_t n;

    sip_out_init(&out, headers, sizeof headers);
    sip_out_header(&out, HD_LIT("Event"), pub->params.event);
    if (pub->params.priority.n)
        sip_out_header(&out, HD_LIT("Resource-Priority"), pub->params.priority);
    if (op == UA_PUB_REMOVE)
        sip_out_lit(&out, "Expires: 0\r\n");
    else if (pub->expires_s)
        sip_out_header_u32(&out, HD_LIT("Expires"), pub->expires_s);
    if (op != UA_PUB_INITIAL)
        sip_out_header(&out, HD_LIT("SIP-If-Match"), hd_slice(pub->etag, pub->etag_n));
    enum hd_err err = sip_out_finish(&out, &n);
    if (err)
        return err;
    err = ua_request_send(
        pub->client,
        &(struct ua_request){ .method = SIP_PUBLISH,
                              .dialog = &pub->dialog,
                              .uri = pub->params.uri,
                              .headers = hd_slice(headers, n),
                              .type = hd_slice(pub->state, pub->type_n),
                              .body = body ? hd_slice(pub->state + pub->type_n, pub->body_n)
                                           : HD_LIT(""),
                              .answer = answered,
                              .context = pub },
        &pub->txn);
    if (!err)
        pub->op = op;
    return err;
}

enum hd_err
ua_pub_new(const struct ua_pub_params *params, struct ua_pub **ret_pub)
{
    if (params->event.n > EVENT_MAX || params->priority.n > PRIORITY_MAX)
        return HD_ERANGE;
    struct ua_pub *pub = calloc(1, sizeof *pub);
    if (!pub)
        return HD_ENOMEM;
    pub->magic = PUB_MAGIC;
    pub->params = *params;
    pub->client = params->client;
    pub->expires_s = params->expires_s;
    memcpy(pub->event, params->event.p, params->event.n);
    pub->params.event = hd_slice(pub->event, params->event.n);
    if (params->priority.n)
        memcpy(pub->priority, params->priority.p, params->priority.n);
    pub->params.priority = hd_slice(pub->priority, params->priority.n);
    pub->refresh = (struct ua_timer){ .fire = refresh_fire, .context = pub };
    enum hd_err err = ua_uri_set(&pub->uri, params->uri);
    if (!err)
        err = ua_uri_set(&pub->from, params->from);
    if (!err)
        err = ua_dialog_init(&pub->dialog, ua_client_rng(pub->client), params->from, params->uri);
    if (err) {
        free(pub);
        return err;
    }
    pub->params.uri = ua_uri_slice(&pub->uri);
    pub->params.from = ua_uri_slice(&pub->from);
    *ret_pub = pub;
    return HD_OK;
}

void
ua_pub_free(struct ua_pub *pub)
{
    if (!pub)
        return;
    HD_ASSERT_OBJ(pub, PUB_MAGIC);
    ua_timer_stop(pub->client, &pub->refresh);
    if (pub->txn)
        ua_request_forget(pub->client, pub->txn);
    free(pub->state);
    pub->magic = 0;
    free(pub);
}

enum hd_err
ua_pub_set(struct ua_pub *pub, struct hd_slice type, struct hd_slice body)
{
    HD_ASSERT_OBJ(pub, PUB_MAGIC);
    if (pub->op != UA_PUB_NONE)
        return HD_EBUSY;
    char *state = malloc(type.n + body.n + 1);
    if (!state)
        return HD_ENOMEM;
    if (type.n)
        memcpy(state, type.p, type.n);
    if (body.n)
        memcpy(state + type.n, body.p, body.n);
    free(pub->state);
    pub->state = state;
    pub->type_n = type.n;
    pub->body_n = body.n;
    if (pub->etag_n && pub->ends_ms <= ua_client_now(pub->client))
        pub_forget(pub);
    return pub_send(pub, pub->etag_n ? UA_PUB_MODIFY : UA_PUB_INITIAL);
}

enum hd_err
ua_pub_remove(struct ua_pub *pub)
{
    HD_ASSERT_OBJ(pub, PUB_MAGIC);
    if (pub->op != UA_PUB_NONE)
        return HD_EBUSY;
    if (pub->etag_n == 0)
        return HD_ENOMATCH;
    return pub_send(pub, UA_PUB_REMOVE);
}

bool
ua_pub_busy(const struct ua_pub *pub)
{
    return pub->op != UA_PUB_NONE;
}

bool
ua_pub_live(const struct ua_pub *pub)
{
    return pub->etag_n != 0;
}
