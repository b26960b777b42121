/* model_test.c - the state machines of a notifier (RFC 6665 section 4.2) and of non-INVITE
 * transactions (RFC 3261 17.2.2, RFC 4320), run through every short sequence of events and compared
 * with a small model of them that is written apart.  (Publications: model_publish_test.c.)
 *
 * The model is what the RFCs say, as plainly as it can be said: one subscriber, one resource, a
 * clock.  It knows nothing of the core but its constants (granted durations, the first back-off).
 * For each event it says what is to be sent, when, and with what; the core on a fake clock must
 * send exactly that.
 * How sequences are chosen: model.h. */
#include <stdio.h>
#include <stdlib.h>

#include "event/test_host.h"
#include "model.h"

#define DEPTH_MERGED 5
#define SENT_MAX 64
#define LINE_MAX_ 3 /* requests that wait behind a change in this model */

#define T1 500u
#define TIMER_F 32000u
#define LINGER 32000u
#define BACKOFF_FIRST 4000u
#define RETRY_AFTER 7000u
#define GRANTED_S 600u

enum event {
    /* the subscriber */
    SUB = 0, /* SUBSCRIBE outside of a dialog */
    REFRESH,
    END,   /* Expires: 0 */
    AGAIN, /* the octets of the last SUBSCRIBE once more */
    OLD_CSEQ,
    OTHER_EVENT, /* in the dialog, another event package: RFC 6665 4.5.2 */
    ANSWER_200,
    ANSWER_481,
    ANSWER_500,
    LATE_200, /* to the NOTIFY before the one in flight */
    LATE_481,
    /* the store */
    STORE_FAILS, /* from now on / no more */
    STORE_HOLDS,
    STORE_SAYS_OK, /* for the oldest that waits */
    STORE_SAYS_NO,
    /* the publisher, the rules, the clock */
    NEW_STATE,
    ALLOW,
    DENY,
    CONFIRM,
    POLITE,
    TICK, /* 4 seconds */
    LONG, /* 33 seconds */
    EXPIRY,
    EVENTS
};
static const char *const event_names[EVENTS] = {
    "SUB",         "REFRESH",       "END",           "AGAIN",     "OLD_CSEQ", "OTHER_EVENT",
    "ANSWER_200",  "ANSWER_481",    "ANSWER_500",    "LATE_200",  "LATE_481", "STORE_FAILS",
    "STORE_HOLDS", "STORE_SAYS_OK", "STORE_SAYS_NO", "NEW_STATE", "ALLOW",    "DENY",
    "CONFIRM",     "POLITE",        "TICK",          "LONG",      "EXPIRY"
};

/* Which of them are tried; a sequence begins with a watcher who has none, and a state "1". */
static const struct model_alphabet alphabets[] = {
    { "dialog", { SUB, REFRESH, END, AGAIN, OLD_CSEQ, ANSWER_200, LONG, EXPIRY }, 8 },
    { "answers",
      { SUB, REFRESH, ANSWER_200, ANSWER_481, ANSWER_500, LATE_200, LATE_481, NEW_STATE, TICK },
      9 },
    { "rules", { SUB, ALLOW, DENY, CONFIRM, POLITE, NEW_STATE, ANSWER_200, REFRESH, END }, 9 },
    { "store",
      { SUB, REFRESH, END, AGAIN, STORE_HOLDS, STORE_SAYS_OK, STORE_SAYS_NO, TICK, DENY },
      9 },
    { "failures",
      { SUB, REFRESH, END, AGAIN, STORE_FAILS, ANSWER_200, OTHER_EVENT, ALLOW, DENY },
      9 },
    { "all",
      { SUB,         REFRESH,       END,           AGAIN,     OLD_CSEQ, OTHER_EVENT,
        ANSWER_200,  ANSWER_481,    ANSWER_500,    LATE_200,  LATE_481, STORE_FAILS,
        STORE_HOLDS, STORE_SAYS_OK, STORE_SAYS_NO, NEW_STATE, ALLOW,    DENY,
        CONFIRM,     POLITE,        TICK,          LONG,      EXPIRY },
      EVENTS },
};

/* --- the model ------------------------------------------------------------------------------- */

enum see { SEE_STATE = 0, SEE_NEUTRAL, SEE_NOTHING };
enum life { NONE = 0, BEING_KEPT, LIVES, OVER };
enum end { END_NOT = 0, END_TIMEOUT, END_REJECTED };
enum what { WHAT_ANSWER = 1, WHAT_NOTIFY };

/* Something that the broker is to send. */
struct expected {
    uint64_t at_ms;
    enum what what;
    unsigned status;  /* answers */
    uint32_t cseq;    /* answers: of the request */
    enum see see;     /* NOTIFYs */
    uint32_t version; /* of the state shown */
    bool pending, repeated;
    enum end end;
    uint32_t expires_s;
};

struct model_request {
    enum event kind;
    uint32_t cseq;
};

struct model {
    uint64_t now_ms;
    enum life life;
    enum event rule; /* ALLOW, DENY, CONFIRM, POLITE */
    enum see see;
    bool pending;
    uint64_t expires_at_ms, forget_at_ms;
    uint32_t cseq_seen, cseq_next, version, seen_version;
    /* the NOTIFY in flight */
    bool flying, abandoned; /* abandoned: there was one before it to the same target */
    struct expected notify;
    uint64_t sent_ms, resend_ms;
    uint32_t interval_ms;
    bool again; /* failed: the whole state once more */
    uint64_t hold_until_ms;
    uint32_t backoff_ms;
    enum end end;
    /* the store, and what waits for it */
    bool store_fails, store_holds;
    bool changing;
    enum event change_rule; /* in force when it was handed in */
    struct model_request change, line[LINE_MAX_];
    unsigned n_line;
    /* the last request that was answered */
    struct model_request last;
    unsigned last_status;
    uint64_t last_ms;
    bool last_waits;
    /* what is to be sent in this step */
    struct expected out[SENT_MAX];
    unsigned n_out;
};

static struct expected *
model_out(struct model *m, enum what what)
{
    HD_ASSERT(m->n_out < SENT_MAX);
    struct expected *out = &m->out[m->n_out++];
    *out = (struct expected){ .at_ms = m->now_ms, .what = what };
    return out;
}

static void
model_answer(struct model *m, const struct model_request *request, unsigned status)
{
    struct expected *out = model_out(m, WHAT_ANSWER);

    out->status = status;
    out->cseq = request->cseq;
    if (request->cseq == m->last.cseq) {
        m->last_status = status;
        m->last_ms = m->now_ms;
        m->last_waits = false;
    }
}

static void
model_over(struct model *m)
{
    m->life = OVER;
    m->flying = m->again = false;
    m->hold_until_ms = 0;
    m->backoff_ms = 0;
    m->forget_at_ms = m->now_ms + LINGER;
}

/* A NOTIFY that does not wait for the one in flight, whose answer counts no more. */
static void
model_notify(struct model *m)
{
    struct expected *out = model_out(m, WHAT_NOTIFY);

    m->abandoned = m->abandoned || m->flying;
    out->see = m->end == END_REJECTED ? SEE_NOTHING : m->see;
    out->version = m->version;
    out->pending = m->pending;
    out->end = m->end;
    out->expires_s =
        m->expires_at_ms > m->now_ms ? (uint32_t)((m->expires_at_ms - m->now_ms + 999) / 1000) : 0;
    m->seen_version = m->version;
    m->flying = true;
    m->again = false;
    m->hold_until_ms = 0;
    m->notify = *out;
    m->sent_ms = m->now_ms;
    m->interval_ms = T1;
    m->resend_ms = m->now_ms + T1;
}

/* RFC 6665 4.2.2: something changed; it is told when nothing is in flight and no back-off runs. */
static void
model_news(struct model *m)
{
    bool news = m->again || (m->see == SEE_STATE && m->seen_version != m->version);

    if (m->life == LIVES && m->end == END_NOT && news && !m->flying &&
        m->hold_until_ms <= m->now_ms)
        model_notify(m);
}

static void
model_terminate(struct model *m, enum end end)
{
    m->end = end;
    m->backoff_ms = 0;
    model_notify(m);
}

/* False: refused. */
static bool
model_judge(enum event rule, bool *ret_pending, enum see *ret_see)
{
    *ret_pending = rule == CONFIRM;
    *ret_see = rule == ALLOW ? SEE_STATE : rule == POLITE ? SEE_NEUTRAL : SEE_NOTHING;
    return rule != DENY;
}

static void model_take(struct model *m, const struct model_request *request);

static void
model_next_in_line(struct model *m)
{
    while (!m->changing && m->n_line > 0) {
        struct model_request first = m->line[0];
        memmove(m->line, m->line + 1, --m->n_line * sizeof(m->line[0]));
        model_take(m, &first);
    }
}

/* The store has spoken. */
static void
model_kept(struct model *m, bool kept)
{
    struct model_request request = m->change;
    bool pending, allowed;
    enum see see;

    m->changing = false;
    allowed = model_judge(m->rule, &pending, &see);
    if (!kept) {
        if (request.kind == SUB)
            m->life = NONE;
        model_answer(m, &request, 503);
    } else if (m->life == LIVES && m->end != END_NOT) {
        model_answer(m, &request, 481); /* it ended meanwhile */
    } else if (m->life == OVER) {
        model_answer(m, &request, 481);
    } else if (!allowed && request.kind != END && m->rule != m->change_rule) {
        model_answer(m, &request, 403);
        if (request.kind == SUB)
            m->life = NONE;
        else
            model_terminate(m, END_REJECTED);
    } else {
        m->life = LIVES;
        if (request.kind != END) {
            m->pending = pending;
            m->see = see;
        }
        m->cseq_seen = request.cseq;
        m->expires_at_ms = request.kind == END ? m->now_ms : m->now_ms + GRANTED_S * 1000;
        m->backoff_ms = 0;
        model_answer(m, &request, 200);
        if (request.kind == END)
            model_terminate(m, END_TIMEOUT);
        else
            model_notify(m);
    }
    model_next_in_line(m);
}

/* RFC 6665 4.2.1, with RFC 3261 12.2.2 and 17.2.2. */
static void
model_take(struct model *m, const struct model_request *request)
{
    bool pending;
    enum see see;

    if (m->changing) {
        m->line[m->n_line++] = *request;
        return;
    }
    if (request->kind != SUB) {
        if (m->life != LIVES || m->end != END_NOT) {
            model_answer(m, request, 481);
            return;
        }
        if (request->kind == OLD_CSEQ || request->cseq <= m->cseq_seen) {
            model_answer(m, request, 500);
            return;
        }
        if (request->kind == OTHER_EVENT) {
            model_answer(m, request, 403);
            return;
        }
    }
    if (!model_judge(m->rule, &pending, &see)) {
        model_answer(m, request, 403);
        if (request->kind != SUB)
            model_terminate(m, END_REJECTED);
        return;
    }
    if (request->kind == SUB)
        m->life = BEING_KEPT;
    m->changing = true;
    m->change = *request;
    m->change_rule = m->rule;
    if (m->store_fails)
        model_kept(m, false);
    else if (!m->store_holds)
        model_kept(m, true);
}

/* --- the model's clock ----------------------------------------------------------------------- */

static void
model_timeout(struct model *m)
{
    m->flying = false; /* Timer F: nobody is there (RFC 6665 4.2.2) */
    model_over(m);
}

static void
model_resend(struct model *m)
{
    struct expected *out = model_out(m, WHAT_NOTIFY);

    *out = m->notify;
    out->at_ms = m->now_ms;
    out->repeated = true;
    m->interval_ms = m->interval_ms * 2 > 4000 ? 4000 : m->interval_ms * 2;
    m->resend_ms = m->now_ms + m->interval_ms;
}

static uint64_t
sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
model_due(const struct model *m)
{
    uint64_t due = UINT64_MAX;

    if (m->flying)
        due = sooner(m->sent_ms + TIMER_F, m->resend_ms);
    if (m->life == LIVES && m->end == END_NOT && !m->changing)
        due = sooner(due, m->expires_at_ms);
    if (m->hold_until_ms)
        due = sooner(due, m->hold_until_ms);
    if (m->life == OVER && !m->changing)
        due = sooner(due, m->forget_at_ms);
    return due;
}

static void
model_pass(struct model *m, uint64_t ms)
{
    const uint64_t until = m->now_ms + ms;

    for (uint64_t due = model_due(m); due <= until; due = model_due(m)) {
        m->now_ms = due > m->now_ms ? due : m->now_ms;
        if (m->life == OVER && m->forget_at_ms <= m->now_ms) {
            m->life = NONE;
            m->end = END_NOT;
            m->forget_at_ms = 0;
        } else if (m->flying && m->sent_ms + TIMER_F <= m->now_ms) {
            model_timeout(m);
        } else if (m->flying && m->resend_ms <= m->now_ms) {
            model_resend(m);
        } else if (m->life == LIVES && m->end == END_NOT && !m->changing &&
                   m->expires_at_ms <= m->now_ms) {
            model_terminate(m, END_TIMEOUT);
        } else {
            m->hold_until_ms = 0;
            model_news(m);
        }
    }
    m->now_ms = until;
}

/* --- the model's events ---------------------------------------------------------------------- */

static void
model_answered(struct model *m, enum event event)
{
    m->flying = false;
    if (event == ANSWER_481 || m->end != END_NOT) {
        model_over(m); /* ended by it, or it was the last word anyway */
        return;
    }
    if (event == ANSWER_200) {
        m->backoff_ms = 0;
    } else {
        m->backoff_ms = m->backoff_ms ? m->backoff_ms * 2 : BACKOFF_FIRST;
        m->again = true;
        m->hold_until_ms = m->now_ms + (m->backoff_ms > RETRY_AFTER ? m->backoff_ms : RETRY_AFTER);
    }
    model_news(m);
}

static void
model_rule(struct model *m, enum event rule)
{
    bool pending;
    enum see see;

    m->rule = rule;
    bool allowed = model_judge(rule, &pending, &see);
    if (m->life != LIVES)
        return;
    if (m->end != END_NOT) {
        /* The last word shows a state: it is taken back when it may not be seen any more. */
        if (m->end == END_TIMEOUT && m->flying) {
            see = allowed ? see : SEE_NOTHING;
            if (see != m->see && see != SEE_STATE) {
                m->see = see;
                model_notify(m);
            }
        }
        return;
    }
    if (!allowed) {
        model_terminate(m, END_REJECTED);
    } else if (pending != m->pending || see != m->see) {
        m->pending = pending;
        m->see = see;
        m->backoff_ms = 0;
        model_notify(m);
    }
}

/* Whether an event can happen in this state; one that cannot is no step. */
static bool
model_can(const struct model *m, enum event event)
{
    bool dialog = m->life == LIVES || m->life == OVER;

    switch (event) {
    case SUB:
        return m->life == NONE && !m->changing;
    case REFRESH:
    case END:
    case OLD_CSEQ:
    case OTHER_EVENT:
        return dialog && m->n_line < LINE_MAX_;
    case AGAIN:
        return m->last.cseq && (m->last_waits || m->now_ms < m->last_ms + TIMER_F - T1);
    case ANSWER_200:
    case ANSWER_481:
    case ANSWER_500:
        return m->flying;
    case LATE_200:
    case LATE_481:
        return m->flying && m->abandoned;
    case STORE_FAILS:
        return !m->store_holds;
    case STORE_HOLDS:
        return !m->changing && !m->store_fails;
    case STORE_SAYS_OK:
    case STORE_SAYS_NO:
        return m->changing;
    case ALLOW:
    case DENY:
    case CONFIRM:
    case POLITE:
        return m->rule != event;
    case EXPIRY:
        return m->life == LIVES && m->end == END_NOT;
    case NEW_STATE:
        return !m->store_holds && !m->store_fails; /* its publisher's request is kept at once */
    case TICK:
    case LONG:
    case EVENTS:
        break;
    }
    return true;
}

static void
model_step(struct model *m, enum event event)
{
    m->n_out = 0;
    switch (event) {
    case SUB:
    case REFRESH:
    case END:
    case OLD_CSEQ:
    case OTHER_EVENT:
        m->last =
            (struct model_request){ event, event == OLD_CSEQ ? m->cseq_next : ++m->cseq_next };
        m->abandoned = m->abandoned && event != SUB;
        if (event == OLD_CSEQ)
            m->last.cseq = 1; /* the one of the first SUBSCRIBE, another transaction */
        m->last_waits = true;
        model_take(m, &m->last);
        break;
    case AGAIN: /* RFC 3261 17.2.2: its answer once more, and nothing else */
        if (!m->last_waits)
            model_out(m, WHAT_ANSWER)->status = m->last_status;
        if (!m->last_waits)
            m->out[m->n_out - 1].cseq = m->last.cseq;
        break;
    case ANSWER_200:
    case ANSWER_481:
    case ANSWER_500:
        model_answered(m, event);
        break;
    case LATE_200:
        break;     /* RFC 3261 17.1.2: that transaction is over */
    case LATE_481: /* the dialog is gone, whichever NOTIFY says so (RFC 5057 5.1) */
        if (m->end == END_NOT)
            model_over(m);
        break;
    case STORE_FAILS:
        m->store_fails = !m->store_fails;
        break;
    case STORE_HOLDS:
        m->store_holds = !m->store_holds;
        break;
    case STORE_SAYS_OK:
    case STORE_SAYS_NO:
        model_kept(m, event == STORE_SAYS_OK);
        model_pass(m, 0); /* its time may be over meanwhile */
        break;
    case NEW_STATE:
        m->version++;
        model_news(m);
        break;
    case ALLOW:
    case DENY:
    case CONFIRM:
    case POLITE:
        model_rule(m, event);
        break;
    case TICK:
        model_pass(m, 4000);
        break;
    case LONG:
        model_pass(m, 33000);
        break;
    case EXPIRY:
        model_pass(m, GRANTED_S * 1000);
        break;
    case EVENTS:
        break;
    }
}

/* --- the core -------------------------------------------------------------------------------- */

#define WATCHER_PORT 5062
#define TEXT_MAX 1200
#define PLAYED_MAX 50 /* sequences until the core is made anew: its publication expires */

struct bench {
    struct host host;
    char call_id[16], tag[HD_ID_TEXT + 1];
    char etag[HD_ID_TEXT + 1];
    char last[TEXT_MAX]; /* the last SUBSCRIBE */
    size_t last_n;
    uint32_t cseq_next, dialogs, version;
    struct host_sent *flying, *before; /* copies of NOTIFYs, to answer */
    const unsigned char *sequence;
    unsigned step, serial, played;
};

static void
failed(const struct bench *b, const char *what)
{
    fprintf(stderr, "after");
    for (unsigned i = 0; i <= b->step; i++)
        fprintf(stderr, " %s", event_names[b->sequence[i]]);
    fprintf(stderr, ": %s\n", what);
    exit(1);
}

static void
say(struct bench *b, enum event event)
{
    const bool initial = event == SUB;
    struct hd_flow flow = host_flow(WATCHER_PORT);
    char branch[24];

    if (initial) {
        (void)snprintf(b->call_id, sizeof(b->call_id), "c%u", ++b->dialogs);
        b->tag[0] = '\0';
        free(b->flying);
        free(b->before);
        b->flying = b->before = NULL;
    }
    if (event != OLD_CSEQ)
        b->cseq_next++;
    (void)snprintf(branch, sizeof(branch), "b%u", b->serial);
    const struct host_request request = {
        .call_id = b->call_id,
        .branch = branch,
        .to_tag = initial ? NULL : b->tag,
        .cseq = event == OLD_CSEQ ? 1 : b->cseq_next,
        .expires = event == END ? 0 : GRANTED_S,
        .event = event == OTHER_EVENT ? "x-paced" : "x-state",
        .port = WATCHER_PORT,
    };
    b->last_n = host_write(&request, b->last, sizeof(b->last));
    host_receive(&b->host, &flow, hd_slice(b->last, b->last_n));
}

static void
publish(struct bench *b)
{
    char headers[64] = "", body[16], call_id[16];
    struct hd_flow flow = host_flow(5099);
    char text[TEXT_MAX];

    b->version++;
    (void)snprintf(body, sizeof(body), "%u", b->version);
    (void)snprintf(call_id, sizeof(call_id), "p%u", b->version);
    if (b->etag[0])
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", b->etag);
    const struct host_request request = { .method = "PUBLISH",
                                          .from = "bob",
                                          .call_id = call_id,
                                          .expires = 86400,
                                          .headers = headers,
                                          .body = body,
                                          .port = 5099 };
    host_receive(&b->host, &flow, hd_slice(text, host_write(&request, text, sizeof(text))));
}

static void
rule(struct bench *b, enum evt_decision decision)
{
    b->host.n_rules = 2;
    b->host.rules[0] = (struct host_rule){ .user = "sip:alice@example.test", .decision = decision };
    b->host.rules[1] = (struct host_rule){ .decision = EVT_ALLOW };
    host_configure(&b->host, host_config_copy(&b->host), hd_slice(NULL, 0));
}

static void
act(struct bench *b, enum event event)
{
    switch (event) {
    case SUB:
    case REFRESH:
    case END:
    case OLD_CSEQ:
    case OTHER_EVENT:
        say(b, event);
        break;
    case AGAIN: {
        struct hd_flow flow = host_flow(WATCHER_PORT);
        host_receive(&b->host, &flow, hd_slice(b->last, b->last_n));
        break;
    }
    case ANSWER_200:
        host_answer_only(&b->host, b->flying, 200, NULL);
        break;
    case ANSWER_481:
        host_answer_only(&b->host, b->flying, 481, NULL);
        break;
    case ANSWER_500:
        host_answer_only(&b->host, b->flying, 500, "Retry-After: 7\r\n");
        break;
    case LATE_200:
        host_answer_only(&b->host, b->before, 200, NULL);
        break;
    case LATE_481:
        host_answer_only(&b->host, b->before, 481, NULL);
        break;
    case STORE_FAILS:
        b->host.store = b->host.store == HOST_STORE_FAILS ? HOST_STORE_NOW : HOST_STORE_FAILS;
        break;
    case STORE_HOLDS:
        b->host.store = b->host.store == HOST_STORE_LATER ? HOST_STORE_NOW : HOST_STORE_LATER;
        break;
    case STORE_SAYS_OK:
    case STORE_SAYS_NO:
        /* What nobody waits for was put before it, perhaps. */
        while (b->host.puts && b->host.puts->ticket == 0)
            host_store_release(&b->host, 1, HD_OK);
        host_store_release(&b->host, 1, event == STORE_SAYS_OK ? HD_OK : HD_ESTORE);
        break;
    case NEW_STATE:
        publish(b);
        break;
    case ALLOW:
        rule(b, EVT_ALLOW);
        break;
    case DENY:
        rule(b, EVT_DENY);
        break;
    case CONFIRM:
        rule(b, EVT_CONFIRM);
        break;
    case POLITE:
        rule(b, EVT_POLITE);
        break;
    case TICK:
        host_wait(&b->host, 4000);
        break;
    case LONG:
        host_wait(&b->host, 33000);
        break;
    case EXPIRY:
        host_wait(&b->host, GRANTED_S * 1000);
        break;
    case EVENTS:
        break;
    }
    host_settle(&b->host);
}

/* --- what was sent, against what was expected ------------------------------------------------ */

static bool
body_is(const struct host_sent *sent, const struct expected *want)
{
    char version[16];

    (void)snprintf(version, sizeof(version), "%u", want->version);
    return hd_slice_eq(sent->msg.body, want->see == SEE_NOTHING   ? hd_slice(NULL, 0)
                                       : want->see == SEE_NEUTRAL ? HD_LIT("(none)")
                                                                  : hd_slice_str(version));
}

static void
check_notify(struct bench *b, struct host_sent *sent, const struct expected *want)
{
    struct hd_slice value = host_value(sent, SIP_HDR_SUBSCRIPTION_STATE);
    char state[64];

    if (want->end == END_TIMEOUT)
        (void)snprintf(state, sizeof(state), "terminated;reason=timeout");
    else if (want->end == END_REJECTED)
        (void)snprintf(state, sizeof(state), "terminated;reason=rejected");
    else
        (void)snprintf(state, sizeof(state), "%s;expires=%u", want->pending ? "pending" : "active",
                       want->expires_s);
    if (!hd_slice_eq(value, hd_slice_str(state))) {
        fprintf(stderr, "%.*s, not %s\n", HD_FMT(value), state);
        failed(b, "Subscription-State");
    }
    if (!body_is(sent, want)) {
        fprintf(stderr, "body \"%.*s\"\n", HD_FMT(sent->msg.body));
        failed(b, "the body");
    }
    if (want->repeated) {
        if (!b->flying || !hd_slice_eq(b->flying->text, sent->text))
            failed(b, "a NOTIFY that is repeated is another one");
        free(sent);
        return;
    }
    if (b->flying && sent->msg.cseq.number != b->flying->msg.cseq.number + 1)
        failed(b, "the CSeq of a NOTIFY does not follow that of the one before");
    free(b->before);
    b->before = b->flying;
    b->flying = sent;
}

static void
check_answer(struct bench *b, struct host_sent *sent, const struct expected *want)
{
    if (sent->msg.status != want->status || sent->msg.cseq.number != want->cseq) {
        fprintf(stderr, "%u for CSeq %u, not %u for %u\n", sent->msg.status, sent->msg.cseq.number,
                want->status, want->cseq);
        failed(b, "the answer");
    }
    if (sent->msg.status == 200 && !b->tag[0])
        memcpy(b->tag, sent->msg.to_tag.p, HD_ID_TEXT);
    free(sent);
}

/* Takes the oldest message out of the host. */
static struct host_sent *
take(struct bench *b)
{
    struct host_sent *sent = b->host.sent;

    if (!sent)
        return NULL;
    b->host.sent = sent->next;
    if (!b->host.sent)
        b->host.sent_end = &b->host.sent;
    return sent;
}

/* What the publisher hears is not the subscriber's; a 100 is looked at alone. */
static bool
beside(struct bench *b, struct host_sent *sent)
{
    if (sent->msg.request)
        return false;
    struct hd_slice etag = host_value(sent, SIP_HDR_SIP_ETAG);
    if (sent->msg.cseq.method == SIP_PUBLISH) {
        if (etag.n == HD_ID_TEXT)
            memcpy(b->etag, etag.p, HD_ID_TEXT);
        return true;
    }
    return sent->msg.status == 100; /* allowed, not asked for */
}

static void
compare(struct bench *b, const struct model *m)
{
    struct host_sent *sent;
    unsigned i = 0;

    while ((sent = take(b))) {
        if (beside(b, sent)) {
            free(sent);
            continue;
        }
        const struct expected *want = &m->out[i++];
        if (i > m->n_out) {
            fprintf(stderr, "%.*s\n", HD_FMT(sent->text));
            failed(b, "this was not to be sent");
        }
        if (sent->at_ms != want->at_ms) {
            fprintf(stderr, "%.*s\nat %llu, not %llu\n", HD_FMT(sent->text),
                    (unsigned long long)sent->at_ms, (unsigned long long)want->at_ms);
            failed(b, "the time");
        }
        if (sent->msg.request != (want->what == WHAT_NOTIFY)) {
            fprintf(stderr, "%.*s\n", HD_FMT(sent->text));
            failed(b, "an answer instead of a NOTIFY, or the other way");
        }
        if (sent->msg.request)
            check_notify(b, sent, want);
        else
            check_answer(b, sent, want);
    }
    if (i < m->n_out) {
        fprintf(stderr, "%s\n", m->out[i].what == WHAT_NOTIFY ? "a NOTIFY" : "an answer");
        failed(b, "not sent");
    }
}

/* --- sequences ------------------------------------------------------------------------------- */

static struct model
model_begin(uint64_t now_ms, uint32_t version)
{
    struct model m;

    memset(&m, 0, sizeof(m)); /* what is between its fields is compared too */
    m.now_ms = now_ms;
    m.rule = ALLOW;
    m.version = version;
    return m;
}

static void
bench_begin(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    host_init(&b->host, 1);
    publish(b);
    host_settle(&b->host);
    for (struct host_sent *sent; (sent = take(b)); free(sent))
        (void)beside(b, sent);
}

/* Nobody renews anything: all that a sequence began comes to its end. */
static void
bench_rest(struct bench *b)
{
    const struct evt_shard *shard = host_shard(&b->host, 0);

    b->host.store = HOST_STORE_NOW;
    b->host.n_rules = 0;
    host_configure(&b->host, host_config_copy(&b->host), hd_slice(NULL, 0));
    for (unsigned i = 0; i < 3 && shard->subs.count > 0; i++)
        host_wait(&b->host, GRANTED_S * 1000);
    if (shard->subs.count || shard->mirrors.count || shard->hops.count || shard->watchers.used ||
        shard->n_flights || shard->waiting || shard->wheel.count != 1)
        failed(b, "something stays for ever");
    for (struct host_sent *sent; (sent = take(b)); free(sent))
        (void)beside(b, sent);
    free(b->flying);
    free(b->before);
    b->flying = b->before = NULL;
}

/* One sequence from its beginning. */
static void
replay(struct bench *b, const unsigned char *sequence, unsigned n)
{
    if (b->played++ % PLAYED_MAX == 0) {
        if (b->host.n)
            host_done(&b->host);
        bench_begin(b);
        b->played = 1;
    }
    struct model m = model_begin(b->host.now_ms, b->version);
    b->sequence = sequence;
    b->cseq_next = 0;
    for (unsigned i = 0; i < n; i++) {
        b->step = i;
        b->serial++;
        act(b, (enum event)sequence[i]);
        model_step(&m, (enum event)sequence[i]);
        compare(b, &m);
    }
    bench_rest(b);
}

/* The model's state without what only counts. */
static uint64_t
model_hash(const struct model *m)
{
    static const struct hd_hash_key key = { 3, 4 };
    struct model copy = *m;
    const uint64_t now = m->now_ms;

    memset(copy.out, 0, sizeof(copy.out));
    copy.n_out = 0;
    copy.now_ms = 0;
    copy.expires_at_ms -= now;
    copy.forget_at_ms = copy.forget_at_ms ? copy.forget_at_ms - now : 0;
    copy.sent_ms = copy.flying ? copy.sent_ms - now : 0;
    copy.resend_ms = copy.flying ? copy.resend_ms - now : 0;
    copy.hold_until_ms = copy.hold_until_ms ? copy.hold_until_ms - now : 0;
    copy.last_ms = copy.last.cseq ? copy.last_ms - now : 0;
    copy.notify.at_ms = 0;
    copy.seen_version = copy.version - copy.seen_version;
    copy.notify.version = copy.version - copy.notify.version;
    copy.version = 0;
    copy.cseq_seen = copy.cseq_next - copy.cseq_seen;
    copy.last.cseq = copy.cseq_next - copy.last.cseq;
    copy.change.cseq = copy.cseq_next - copy.change.cseq;
    copy.cseq_next = 0;
    return hd_hash(&key, hd_slice((const char *)&copy, sizeof(copy))) | 1;
}

static void
walk_begin(void *model)
{
    const struct model m = model_begin(1000000, 1);

    memcpy(model, &m, sizeof(m));
}

static bool
walk_can(const void *model, unsigned event)
{
    return model_can(model, (enum event)event);
}

static void
walk_step(void *model, unsigned event)
{
    model_step(model, (enum event)event);
}

static uint64_t
walk_hash(const void *model)
{
    return model_hash(model);
}

static struct bench bench;

static void
walk_replay(const unsigned char *sequence, unsigned n)
{
    replay(&bench, sequence, n);
}

static void
walk_end(void)
{
    host_done(&bench.host);
    memset(&bench, 0, sizeof(bench)); /* the next one begins anew */
}

int
main(int argc, char **argv)
{
    static const struct model_ops ops = { .size = sizeof(struct model),
                                          .begin = walk_begin,
                                          .can = walk_can,
                                          .step = walk_step,
                                          .hash = walk_hash,
                                          .replay = walk_replay,
                                          .end = walk_end };

    return model_walk(argc, argv, &ops, alphabets, HD_ARRAY_LEN(alphabets), DEPTH_MERGED);
}
