/* sub.c - the subscriber's side of a subscription.
 *
 * Invariants:
 *   - at most one SUBSCRIBE is under way (txn is not 0);
 *   - from sending a SUBSCRIBE until a NOTIFY comes Timer N runs (RFC 6665 4.1.2.4);
 *   - what the server grants is followed downwards only by what it says: the 2xx's Expires, then
 * the expires parameter of each NOTIFY; the refresh timer is set anew each time;
 *   - ended is called once and last. */
#include "herald/sub.h"

#include <stdlib.h>
#include <string.h>

#include "sip/txn.h"

#define TIMER_N_MS (64u * SIP_T1_MS)
#define RETRY_DEFAULT_S 30u /* probation and giveup without retry-after */
#define BRIEF_MAX 3u        /* 423 followed in a row */
#define SHORT_LIFE_MS 10000u
#define BACKOFF_MAX_S 60u
#define HEADERS_MAX 2048u
#define EVENT_MAX 255u
#define PRIORITY_MAX 255u
#define ACCEPT_MAX 1024u
#define ETAG_MAX 128u

#define SUB_MAGIC 0x55417362u
struct ua_sub {
    unsigned magic;
    struct ua_sub_params params; /* its slices point into the texts below */
    struct ua_client *client;
    struct ua_listener listener;
    struct ua_dialog dialog;
    enum ua_sub_state state;
    bool leaving;         /* the end is wanted */
    bool closing;         /* SUBSCRIBE with Expires: 0 went out */
    bool terminated;      /* the last NOTIFY came while a SUBSCRIBE was under way */
    bool ever;            /* a NOTIFY has come, in this subscription or one before it */
    bool known;           /* the initial SUBSCRIBE was accepted */
    bool answering;       /* a NOTIFY is being taken: what it causes is sent behind its answer */
    bool told;            /* a NOTIFY said how long it lasts since the last SUBSCRIBE went out */
    uint64_t txn;         /* SUBSCRIBE under way, or 0 */
    uint32_t expires_s;   /* to ask for; raised by 423 */
    uint64_t ends_ms;     /* when the subscription expires */
    uint64_t born_ms;     /* first NOTIFY of this dialog */
    unsigned brief;       /* 423 in a row */
    unsigned short_lived; /* subscriptions in a row that ended soon */
    char etag[ETAG_MAX];  /* of the last NOTIFY (RFC 5839), etag_n octets; 0: none */
    size_t etag_n;
    uint32_t cseq; /* of the last NOTIFY taken; valid with has_cseq */
    bool has_cseq;
    struct ua_timer refresh, timer_n, expiry, retry;
    struct ua_uri uri, from;
    char event[EVENT_MAX], accept[ACCEPT_MAX], priority[PRIORITY_MAX];
    struct sip_event package; /* into event */
    char copy[];
};

static void sub_send(struct ua_sub *sub);

static void
state_set(struct ua_sub *sub, enum ua_sub_state state)
{
    HD_ASSERT(sub->state != UA_SUB_ENDED);
    sub->state = state;
}

static void
timers_stop(struct ua_sub *sub)
{
    ua_timer_stop(sub->client, &sub->refresh);
    ua_timer_stop(sub->client, &sub->timer_n);
    ua_timer_stop(sub->client, &sub->expiry);
    ua_timer_stop(sub->client, &sub->retry);
}

static void
sub_end(struct ua_sub *sub, const struct ua_sub_ending *ending)
{
    timers_stop(sub);
    if (sub->txn)
        ua_request_forget(sub->client, sub->txn);
    sub->txn = 0;
    state_set(sub, UA_SUB_ENDED);
    sub->params.ended(sub->params.context, ending);
}

static void
sub_end_as(struct ua_sub *sub, enum ua_sub_end why)
{
    sub_end(sub, &(struct ua_sub_ending){ .why = why });
}

static void
report(struct ua_sub *sub, const struct ua_sub_report *news)
{
    sub->params.reported(sub->params.context, news);
}

/* A new subscription in place of one that ended: new Call-ID, new From tag (RFC 6665 4.1.2.2). */
static void
sub_again(struct ua_sub *sub, struct hd_slice reason, uint32_t wait_s)
{
    timers_stop(sub);
    if (sub->txn)
        ua_request_forget(sub->client, sub->txn);
    sub->txn = 0;
    if (sub->leaving || sub->params.expires_s == 0) {
        sub_end_as(sub, UA_SUB_DONE);
        return;
    }
    /* Subscriptions that are ended as soon as they begin would make a loop of this. */
    bool brief = sub->born_ms == 0 || ua_client_now(sub->client) - sub->born_ms < SHORT_LIFE_MS;
    sub->short_lived = brief ? sub->short_lived + 1 : 0;
    if (sub->short_lived > 1) {
        unsigned steps = sub->short_lived - 2;
        uint32_t least = steps < 6 ? 1u << steps : BACKOFF_MAX_S;
        wait_s = wait_s > least ? wait_s : least;
    }
    state_set(sub, UA_SUB_RETRY_WAIT);
    ua_timer_start(sub->client, &sub->retry, (uint64_t)wait_s * 1000);
    report(sub,
           &(struct ua_sub_report){ .news = UA_SUB_RETRY, .reason = reason, .wait_s = wait_s });
}

static void
duration_take(struct ua_sub *sub, uint32_t expires_s)
{
    uint64_t now = ua_client_now(sub->client);
    sub->ends_ms = now + (uint64_t)expires_s * 1000;
    ua_timer_start(sub->client, &sub->refresh, ua_refresh_after_ms(expires_s));
    ua_timer_start(sub->client, &sub->expiry, (uint64_t)expires_s * 1000);
}

/* RFC 6665 4.1.2.2: these codes end the subscription, others leave it as it is. */
static bool
status_ends(unsigned status)
{
    return status == 404 || status == 405 || status == 410 || status == 416 ||
           (status >= 480 && status <= 485) || status == 489 || status == 501 || status == 604;
}

static uint32_t
retry_after(const struct ua_answer *answer, uint32_t otherwise_s)
{
    uint32_t s;
    if (answer->msg && sip_msg_has(answer->msg, SIP_HDR_RETRY_AFTER) &&
        sip_retry_after_parse(sip_msg_value(answer->msg, SIP_HDR_RETRY_AFTER), &s) == HD_OK)
        return s;
    return otherwise_s;
}

/* A refresh did not work but the subscription is still valid: tried again while it lasts. */
static void
refresh_failed(struct ua_sub *sub, const struct ua_answer *answer)
{
    uint64_t now = ua_client_now(sub->client);
    uint64_t left_s = sub->ends_ms > now ? (sub->ends_ms - now) / 1000 : 0;
    uint32_t wait_s = retry_after(answer, (uint32_t)(left_s / 2 < 30 ? left_s / 2 : 30));

    wait_s = wait_s ? wait_s : 1;
    ua_timer_start(sub->client, &sub->refresh, (uint64_t)wait_s * 1000);
    report(sub, &(struct ua_sub_report){
                    .news = UA_SUB_REFRESH_FAILED, .answer = answer, .wait_s = wait_s });
}

/* 423: the shortest duration the server takes (RFC 6665 4.2.1.1).  False: it does not help. */
static bool
too_brief(struct ua_sub *sub, const struct ua_answer *answer)
{
    uint32_t least;
    if (sub->closing || ++sub->brief > BRIEF_MAX ||
        sip_delta_parse(sip_msg_value(answer->msg, SIP_HDR_MIN_EXPIRES), &least) != HD_OK ||
        least <= sub->expires_s)
        return false;
    sub->expires_s = least;
    report(sub, &(struct ua_sub_report){ .news = UA_SUB_TOO_BRIEF, .expires_s = least });
    sub_send(sub);
    return true;
}

static void
accepted(struct ua_sub *sub, const struct ua_answer *answer)
{
    uint32_t granted = sub->closing ? 0 : sub->expires_s;
    bool initial = !sub->known;

    sub->known = true;
    sub->brief = 0;
    if (answer->status == 204) { /* RFC 5839 7: no NOTIFY follows */
        ua_timer_stop(sub->client, &sub->timer_n);
        if (sub->closing) {
            sub_end_as(sub, UA_SUB_DONE);
            return;
        }
    }
    if (sip_msg_has(answer->msg, SIP_HDR_EXPIRES)) {
        uint32_t s;
        if (sip_delta_parse(sip_msg_value(answer->msg, SIP_HDR_EXPIRES), &s) == HD_OK &&
            s < granted) /* "cannot be larger", RFC 6665 4.1.2.1 */
            granted = s;
    }
    if (sub->dialog.remote_tag_n)
        ua_dialog_retarget(&sub->dialog, answer->msg);
    if (sub->terminated) { /* the last NOTIFY was faster than this */
        sub_end_as(sub, UA_SUB_DONE);
        return;
    }
    if (sub->closing)
        return; /* Timer N runs, the last NOTIFY ends it */
    /* A NOTIFY that overtook this is the newer word. */
    if (sub->params.expires_s && granted && !sub->told)
        duration_take(sub, granted);
    report(sub, &(struct ua_sub_report){ .news = initial ? UA_SUB_ACCEPTED : UA_SUB_REFRESHED,
                                         .expires_s = granted,
                                         .answer = answer });
    if (sub->leaving && sub->dialog.remote_tag_n)
        sub_send(sub);
}

static void
answered(void *context, const struct ua_answer *answer)
{
    struct ua_sub *sub = context;
    bool dialog = sub->dialog.remote_tag_n != 0;

    sub->txn = 0;
    if (answer->outcome == UA_ANSWERED && answer->status < 300) {
        accepted(sub, answer);
        return;
    }
    if (sub->terminated) {
        sub_end_as(sub, UA_SUB_DONE);
        return;
    }
    /* No NOTIFY is owed for a SUBSCRIBE that was refused. */
    ua_timer_stop(sub->client, &sub->timer_n);
    if (answer->outcome == UA_ANSWERED && answer->status == 423 && too_brief(sub, answer))
        return;
    if (dialog && !sub->closing) {
        if (answer->status == 481) {
            sub_again(sub, HD_LIT("unknown to the server (481)"), 0);
            return;
        }
        if (!status_ends(answer->status) && answer->outcome != UA_NO_PASSWORD &&
            answer->outcome != UA_BAD_PASSWORD) {
            refresh_failed(sub, answer);
            return;
        }
    }
    if (sub->closing && answer->status == 481) {
        sub_end_as(sub, UA_SUB_DONE); /* it was gone already */
        return;
    }
    /* A server that we knew is away for now: whoever watches for days does not give up. */
    if (!dialog && sub->ever && !sub->leaving) {
        bool away = answer->outcome == UA_TIMEOUT || answer->outcome == UA_UNREACHABLE;
        if (away || answer->status == 408 || (answer->status >= 500 && answer->status < 600)) {
            sub_again(sub,
                      answer->outcome == UA_TIMEOUT       ? HD_LIT("no answer")
                      : answer->outcome == UA_UNREACHABLE ? HD_LIT("the server cannot be reached")
                                                          : answer->msg->reason,
                      retry_after(answer, 0));
            return;
        }
    }
    sub_end(sub,
            &(struct ua_sub_ending){ .why = answer->outcome == UA_TIMEOUT       ? UA_SUB_NO_ANSWER
                                            : answer->outcome == UA_UNREACHABLE ? UA_SUB_UNREACHABLE
                                                                                : UA_SUB_REFUSED,
                                     .answer = answer });
}

static void
sub_send(struct ua_sub *sub)
{
    const struct ua_sub_params *params = &sub->params;
    char headers[HEADERS_MAX];
    struct sip_out out;
    size_t n;

    sub->closing = sub->leaving && sub->dialog.remote_tag_n;
    sip_out_init(&out, headers, sizeof headers);
    sip_out_header(&out, HD_LIT("Event"), params->event);
    sip_out_header_u32(&out, HD_LIT("Expires"), sub->closing ? 0 : sub->expires_s);
    if (params->accept.n)
        sip_out_header(&out, HD_LIT("Accept"), params->accept);
    if (params->priority.n)
        sip_out_header(&out, HD_LIT("Resource-Priority"), params->priority);
    /* What we have is not sent again; the end is to be shown (RFC 6665 section 4.1.2.3). */
    if (sub->dialog.remote_tag_n && sub->etag_n && !sub->closing)
        sip_out_header(&out, HD_LIT("Suppress-If-Match"), hd_slice(sub->etag, sub->etag_n));
    if (sip_out_finish(&out, &n) != HD_OK ||
        ua_request_send(sub->client,
                        &(struct ua_request){ .method = SIP_SUBSCRIBE,
                                              .dialog = &sub->dialog,
                                              .uri = params->uri,
                                              .headers = hd_slice(headers, n),
                                              .type = params->type,
                                              .body = sub->closing ? HD_LIT("") : params->body,
                                              .contact = true,
                                              .answer = answered,
                                              .context = sub },
                        &sub->txn) != HD_OK) {
        sub_end_as(sub, UA_SUB_BROKEN);
        return;
    }
    sub->told = false;
    ua_timer_stop(sub->client, &sub->refresh);
    ua_timer_start(sub->client, &sub->timer_n, TIMER_N_MS);
}

static void
retry_fire(void *context)
{
    ua_sub_start(context);
}

static void
refresh_fire(void *context)
{
    struct ua_sub *sub = context;
    if (sub->dialog.remote_tag_n && !sub->txn && !sub->closing && sub->params.expires_s)
        sub_send(sub); /* with Expires: 0 when the end is wanted */
}

static void
expiry_fire(void *context)
{
    struct ua_sub *sub = context;
    /* Refreshes failed until its end came: it exists no more on the server. */
    if (sub->closing)
        return;
    if (sub->state == UA_SUB_NOTIFY_WAIT)
        return; /* Timer N decides */
    sub_again(sub, HD_LIT("expired"), 0);
}

static void
timer_n_fire(void *context)
{
    struct ua_sub *sub = context;
    if (sub->txn) {
        /* A challenge or a retry made the SUBSCRIBE younger than Timer N thought: Timer F of the
         * transaction ends it. */
        ua_timer_start(sub->client, &sub->timer_n, TIMER_N_MS);
        return;
    }
    if ((sub->state != UA_SUB_NOTIFY_WAIT || sub->ever) && !sub->closing) {
        sub_again(sub, HD_LIT("no NOTIFY came"), 0);
        return;
    }
    sub_end_as(sub, UA_SUB_NO_NOTIFY);
}

/* --- NOTIFY ----------------------------------------------------------------------------------- */

/* RFC 6665 8.2.1: the same event type, and the same id or none. */
static bool
event_same(const struct ua_sub *sub, const struct sip_msg *msg)
{
    struct sip_event event;
    if (sip_event_parse(sip_msg_value(msg, SIP_HDR_EVENT), &event) != HD_OK)
        return false;
    return hd_slice_eq(event.package, sub->package.package) &&
           (event.id.p != NULL) == (sub->package.id.p != NULL) &&
           hd_slice_eq(event.id, sub->package.id);
}

static void
terminated(struct ua_sub *sub, const struct sip_substate *state)
{
    static const struct {
        struct hd_slice reason;
        bool again, after;
    } row[] = {
        /* RFC 6665 4.1.3; what is not in the table may be tried again */
        { { "deactivated", 11 }, true, false }, { { "timeout", 7 }, true, false },
        { { "probation", 9 }, true, true },     { { "giveup", 6 }, true, true },
        { { "rejected", 8 }, false, false },    { { "noresource", 10 }, false, false },
        { { "invariant", 9 }, false, false },
    };
    bool again = true, after = true;
    uint32_t wait_s = state->has_retry_after ? state->retry_after_s : RETRY_DEFAULT_S;

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        if (hd_slice_ieq(row[i].reason, state->reason)) {
            again = row[i].again;
            after = row[i].after;
        }
    }
    if (sub->leaving || sub->params.expires_s == 0) {
        if (sub->txn) { /* its 2xx is still on the way: wait for it, so that it is not repeated */
            sub->terminated = true;
            return;
        }
        sub_end_as(sub, UA_SUB_DONE);
        return;
    }
    if (again)
        sub_again(sub, state->reason, after ? wait_s : 0);
    else
        sub_end(sub, &(struct ua_sub_ending){ .why = UA_SUB_TERMINATED, .reason = state->reason });
}

static void
state_take(struct ua_sub *sub, const struct sip_substate *state)
{
    if (hd_slice_ieq(state->state, HD_LIT("terminated"))) {
        terminated(sub, state);
        return;
    }
    bool pending = hd_slice_ieq(state->state, HD_LIT("pending"));
    state_set(sub, pending ? UA_SUB_PENDING : UA_SUB_ACTIVE);
    if (state->has_expires && !sub->closing && sub->params.expires_s) {
        sub->told = true;
        duration_take(sub, state->expires_s); /* authoritative, RFC 6665 4.1.3 */
    } else if (!sub->txn && !hd_timer_running(&sub->refresh.timer)) {
        ua_timer_start(sub->client, &sub->refresh, 0); /* came due before there was a dialog */
    }
    if (sub->leaving && !sub->closing && !sub->txn)
        ua_timer_start(sub->client, &sub->refresh, 0);
}

static struct ua_reply
refusal(unsigned status, struct hd_slice reason)
{
    return (struct ua_reply){ .status = status, .reason = reason };
}

/* What a NOTIFY of our dialog must have; HD_OK or with the refusal. */
static enum hd_err
notify_check(struct ua_sub *sub, const struct sip_msg *msg, struct sip_substate *ret_state,
             struct ua_reply *ret_reply)
{
    struct hd_slice encoding = sip_msg_value(msg, SIP_HDR_CONTENT_ENCODING);

    if (sip_msg_has(msg, SIP_HDR_REQUIRE)) {
        *ret_reply = refusal(420, HD_LIT("")); /* we support no extension that could be required */
        return HD_ENOTSUP;
    }
    if (sip_msg_count(msg, SIP_HDR_SUBSCRIPTION_STATE) != 1 ||
        sip_substate_parse(sip_msg_value(msg, SIP_HDR_SUBSCRIPTION_STATE), ret_state) != HD_OK) {
        *ret_reply = refusal(400, HD_LIT("Missing or Bad Subscription-State"));
        return HD_ESYNTAX;
    }
    if (encoding.n && !hd_slice_ieq(encoding, HD_LIT("identity"))) {
        *ret_reply = refusal(415, HD_LIT(""));
        ret_reply->headers = HD_LIT("Accept-Encoding: identity\r\n");
        return HD_ENOTSUP;
    }
    if (sub->dialog.remote_tag_n == 0 && ua_dialog_create(&sub->dialog, msg) != HD_OK) {
        *ret_reply = refusal(400, HD_LIT("Missing or Bad Contact or Record-Route"));
        return HD_ESYNTAX;
    }
    return HD_OK;
}

static void
etag_take(struct ua_sub *sub, const struct sip_msg *msg)
{
    struct hd_slice etag = sip_msg_value(msg, SIP_HDR_SIP_ETAG);

    sub->etag_n = etag.n <= ETAG_MAX ? etag.n : 0;
    if (sub->etag_n)
        memcpy(sub->etag, etag.p, etag.n);
}

static bool
notify_take(void *context, const struct sip_msg *msg, const struct hd_flow *flow,
            struct ua_reply *ret_reply)
{
    struct ua_sub *sub = context;
    struct sip_substate state;

    (void)flow;
    /* RFC 6665 4.4.1: Call-ID, our tag, and Event; then the peer's tag: the first NOTIFY makes the
     * dialog, those of another fork get 481. */
    if (sub->state != UA_SUB_NOTIFY_WAIT && sub->state != UA_SUB_PENDING &&
        sub->state != UA_SUB_ACTIVE)
        return false;
    if (!hd_slice_eq(msg->call_id, ua_dialog_call_id(&sub->dialog)) ||
        !hd_slice_eq(msg->to_tag, ua_dialog_local_tag(&sub->dialog)) || !event_same(sub, msg) ||
        sub->terminated)
        return false;
    if (sub->dialog.remote_tag_n && !hd_slice_eq(msg->from_tag, ua_dialog_remote_tag(&sub->dialog)))
        return false;
    /* RFC 3261 12.2.2: out of order.  The same number under a new branch is the same notification.
     */
    if (sub->has_cseq && msg->cseq.number < sub->cseq) {
        *ret_reply = refusal(500, HD_LIT("CSeq Out of Order"));
        return true;
    }
    if (notify_check(sub, msg, &state, ret_reply) != HD_OK)
        return true;
    *ret_reply = refusal(200, HD_LIT(""));
    if (sub->has_cseq && msg->cseq.number == sub->cseq)
        return true;
    if (!sub->has_cseq)
        sub->born_ms = ua_client_now(sub->client);
    sub->has_cseq = true;
    sub->ever = true;
    sub->cseq = msg->cseq.number;
    etag_take(sub, msg);
    ua_dialog_retarget(&sub->dialog, msg);
    ua_timer_stop(sub->client, &sub->timer_n);
    if (sub->closing || sub->params.expires_s == 0) /* perhaps not yet the last one */
        ua_timer_start(sub->client, &sub->timer_n, TIMER_N_MS);
    sub->answering = true;
    sub->params.notified(sub->params.context, &(struct ua_notification){
                                                  .state = state,
                                                  .type = sip_msg_value(msg, SIP_HDR_CONTENT_TYPE),
                                                  .body = msg->body,
                                                  .cseq = msg->cseq.number,
                                                  .msg = msg });
    state_take(sub, &state);
    sub->answering = false;
    return true;
}

/* --- from outside ----------------------------------------------------------------------------- */

static struct hd_slice
keep(char *at, struct hd_slice text)
{
    if (text.n)
        memcpy(at, text.p, text.n);
    return hd_slice(at, text.n);
}

enum hd_err
ua_sub_new(const struct ua_sub_params *params, struct ua_sub **ret_sub)
{
    if (params->event.n > EVENT_MAX || params->accept.n > ACCEPT_MAX ||
        params->priority.n > PRIORITY_MAX)
        return HD_ERANGE;
    struct ua_sub *sub = calloc(1, sizeof *sub + params->type.n + params->body.n);
    if (!sub)
        return HD_ENOMEM;
    sub->magic = SUB_MAGIC;
    sub->params = *params;
    sub->client = params->client;
    sub->expires_s = params->expires_s;
    sub->params.event = keep(sub->event, params->event);
    sub->params.accept = keep(sub->accept, params->accept);
    sub->params.priority = keep(sub->priority, params->priority);
    sub->params.type = keep(sub->copy, params->type);
    sub->params.body = keep(sub->copy + params->type.n, params->body);
    sub->refresh = (struct ua_timer){ .fire = refresh_fire, .context = sub };
    sub->timer_n = (struct ua_timer){ .fire = timer_n_fire, .context = sub };
    sub->expiry = (struct ua_timer){ .fire = expiry_fire, .context = sub };
    sub->retry = (struct ua_timer){ .fire = retry_fire, .context = sub };
    enum hd_err err = ua_uri_set(&sub->uri, params->uri);
    if (!err)
        err = ua_uri_set(&sub->from, params->from);
    if (!err)
        err = sip_event_parse(sub->params.event, &sub->package);
    if (err) {
        free(sub);
        return err;
    }
    sub->params.uri = ua_uri_slice(&sub->uri);
    sub->params.from = ua_uri_slice(&sub->from);
    sub->listener = (struct ua_listener){ .context = sub, .notify = notify_take };
    ua_client_listen(sub->client, &sub->listener);
    *ret_sub = sub;
    return HD_OK;
}

void
ua_sub_free(struct ua_sub *sub)
{
    if (!sub)
        return;
    HD_ASSERT_OBJ(sub, SUB_MAGIC);
    timers_stop(sub);
    if (sub->txn)
        ua_request_forget(sub->client, sub->txn);
    ua_client_unlisten(sub->client, &sub->listener);
    sub->magic = 0;
    free(sub);
}

void
ua_sub_start(struct ua_sub *sub)
{
    HD_ASSERT_OBJ(sub, SUB_MAGIC);
    HD_ASSERT(sub->state == UA_SUB_INIT || sub->state == UA_SUB_RETRY_WAIT);
    if (ua_dialog_init(&sub->dialog, ua_client_rng(sub->client), sub->params.from,
                       sub->params.uri) != HD_OK) {
        sub_end_as(sub, UA_SUB_BROKEN);
        return;
    }
    sub->has_cseq = false;
    sub->etag_n = 0;
    sub->known = false;
    sub->born_ms = 0;
    sub->brief = 0;
    state_set(sub, UA_SUB_NOTIFY_WAIT);
    sub_send(sub);
}

void
ua_sub_leave(struct ua_sub *sub)
{
    HD_ASSERT_OBJ(sub, SUB_MAGIC);
    if (sub->leaving || sub->state == UA_SUB_ENDED)
        return;
    sub->leaving = true;
    if (sub->state == UA_SUB_INIT || sub->state == UA_SUB_RETRY_WAIT) {
        sub_end_as(sub, UA_SUB_DONE);
        return;
    }
    /* With a SUBSCRIBE under way, or before the dialog is there, the answer or the NOTIFY goes on
     * (RFC 6665 4.4.1: the dialog is made by the NOTIFY). */
    if (sub->dialog.remote_tag_n && !sub->txn && !sub->answering)
        sub_send(sub);
}

enum ua_sub_state
ua_sub_state(const struct ua_sub *sub)
{
    HD_ASSERT_OBJ(sub, SUB_MAGIC);
    return sub->state;
}
