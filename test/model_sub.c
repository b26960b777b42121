/* model_sub.c - see model_sub.h. */
#include "model_sub.h"

#include <string.h>

#include "base/hash.h"

struct model
model_begin(uint64_t now_ms, uint32_t version)
{
    struct model m;

    memset(&m, 0, sizeof(m)); /* what is between its fields is compared too */
    m.now_ms = now_ms;
    m.rule = ALLOW;
    m.version = version;
    return m;
}

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
    m->before_open = m->flying;
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
            if (see != m->see && see == SEE_NEUTRAL)
                m->see = see; /* that has left, and goes on */
            else if (see != m->see && see != SEE_STATE) {
                m->see = see;
                model_notify(m);
            }
        }
        return;
    }
    if (!allowed) {
        model_terminate(m, END_REJECTED);
    } else if (pending == m->pending && see != m->see &&
               (see == SEE_NEUTRAL || m->see == SEE_NEUTRAL)) {
        /* A polite block begins or ends as the state would change: behind a back-off, and behind
         * what is in flight. */
        m->see = see;
        m->again = true;
        model_news(m);
    } else if (pending != m->pending || see != m->see) {
        m->pending = pending;
        m->see = see;
        m->backoff_ms = 0;
        model_notify(m);
    }
}

/* Whether an event can happen in this state; one that cannot is no step. */
bool
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

void
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
    case LATE_481: /* the dialog is gone, whichever NOTIFY that nobody answered says so
                      (RFC 5057 5.1); of one that was answered the transaction is over */
        if (m->before_open && m->end == END_NOT)
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

uint64_t
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
