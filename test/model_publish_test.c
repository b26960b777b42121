/* model_publish_test.c - an event state compositor (RFC 3903 section 6) and the transactions of its
 * PUBLISH (RFC 3261 17.2.2), over restarts and crashes too: run through every short sequence of
 * events and compared with a small model that is written apart.
 *
 * The model is what the RFC says, as plainly as it can be said: two publishers of one resource and
 * package, a store, a clock.  For each event it says what is to be answered and when; after each
 * event a fetch must be shown what the model says is published.  How sequences are chosen: model.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "event/test_host.h"
#include "model.h"

#define DEPTH_MERGED 4
#define LINE_MOST 2 /* requests that wait behind a change in this model */
#define OUT_MAX 8
#define TAGS 256
#define GRANTED_S 600u
#define LINGER_MS 32000u
#define T1_MS 500u

enum event {
    /* alice, who has one publication at most */
    INITIAL = 0,
    REFRESH, /* SIP-If-Match, no body */
    MODIFY,
    REMOVE,  /* Expires: 0 */
    OLD_TAG, /* the one before the one in force */
    NO_TAG,  /* SIP-If-Match with what was never given */
    NO_BODY, /* initial without a document: RFC 3903 6 step 5 */
    BRIEF,   /* initial with Expires: 1 */
    AT_ONCE, /* initial with Expires: 0 */
    AGAIN,   /* the octets of her last request, as when its answer was lost */
    AGAIN_OLD /* and of the one before it */,
    /* bob, who has another one */
    OTHER,
    OTHER_REMOVE,
    /* the store */
    STORE_FAILS, /* from now on / no more */
    STORE_HOLDS,
    STORE_SAYS_OK, /* for the oldest that waits */
    STORE_SAYS_NO,
    /* the rule for alice, the clock */
    DENY, /* or allow again */
    TICK, /* 4 seconds */
    LONG, /* 33 seconds */
    EXPIRY,
    /* the broker */
    STOP,       /* a clean stop and a start */
    CRASH,      /* what waits for the store is lost */
    CRASH_KEPT, /* it is in the file, and nobody heard */
    EVENTS
};
static const char *const event_names[EVENTS] = {
    "INITIAL",      "REFRESH",     "MODIFY",      "REMOVE",        "OLD_TAG",       "NO_TAG",
    "NO_BODY",      "BRIEF",       "AT_ONCE",     "AGAIN",         "AGAIN_OLD",     "OTHER",
    "OTHER_REMOVE", "STORE_FAILS", "STORE_HOLDS", "STORE_SAYS_OK", "STORE_SAYS_NO", "DENY",
    "TICK",         "LONG",        "EXPIRY",      "STOP",          "CRASH",         "CRASH_KEPT"
};

static const struct model_alphabet alphabets[] = {
    { "life", { INITIAL, REFRESH, MODIFY, REMOVE, OLD_TAG, AGAIN, LONG, EXPIRY }, 8 },
    { "two", { INITIAL, MODIFY, REMOVE, OTHER, OTHER_REMOVE, REFRESH, EXPIRY, STOP }, 8 },
    { "refusals", { INITIAL, NO_TAG, NO_BODY, BRIEF, AT_ONCE, AGAIN, DENY, REFRESH }, 8 },
    { "store",
      { INITIAL, REFRESH, REMOVE, AGAIN, STORE_HOLDS, STORE_SAYS_OK, STORE_SAYS_NO, STORE_FAILS },
      8 },
    { "crashes",
      { INITIAL, MODIFY, REMOVE, AGAIN, AGAIN_OLD, STORE_HOLDS, STORE_SAYS_OK, CRASH, CRASH_KEPT },
      9 },
    { "all",
      { INITIAL,      REFRESH,     MODIFY,      REMOVE,        OLD_TAG,       NO_TAG,
        NO_BODY,      BRIEF,       AT_ONCE,     AGAIN,         AGAIN_OLD,     OTHER,
        OTHER_REMOVE, STORE_FAILS, STORE_HOLDS, STORE_SAYS_OK, STORE_SAYS_NO, DENY,
        TICK,         LONG,        EXPIRY,      STOP,          CRASH,         CRASH_KEPT },
      EVENTS },
};

/* --- the model ------------------------------------------------------------------------------- */

enum who { ALICE = 0, BOB };
enum change { CREATE, CHANGE, END };

/* An entity-tag: of which publication, and the how manieth. */
struct tag {
    uint32_t publication, serial;
};

struct request {
    enum event kind;
    enum who who;
    uint32_t number; /* CSeq; what it publishes, if anything; 0: none */
    struct tag tag;  /* in its SIP-If-Match */
    unsigned status; /* of its answer, 0: none */
    struct tag given;
    uint32_t expires_s;
    uint64_t answered_ms;
    bool waits; /* for the store, or behind what does */
    bool known; /* its repetition hears the same, and nothing else happens */
};

struct publication {
    bool live, changing;
    struct tag tag;
    uint64_t expires_at_ms;
    uint32_t shown, order;
    struct request line[LINE_MOST];
    unsigned n_line;
};

struct pending {
    struct request request;
    enum change change;
    uint32_t order;
    uint64_t put_ms;
};

struct expected {
    uint64_t at_ms;
    unsigned status;
    uint32_t number, expires_s;
    struct tag tag;
};

struct model {
    uint64_t now_ms;
    uint32_t publications, requests, orders;
    struct publication pubs[2];
    struct tag told[2]; /* what each publisher was told last */
    bool store_fails, store_holds, denied;
    struct pending pending[2]; /* in the store's order: one for each publication */
    unsigned n_pending;
    struct request last[2]; /* of alice, the newest first */
    struct expected out[OUT_MAX];
    unsigned n_out;
};

static void
model_answer(struct model *m, struct request *request, unsigned status)
{
    HD_ASSERT(m->n_out < OUT_MAX);
    request->status = status;
    request->answered_ms = m->now_ms;
    request->waits = false;
    /* 400 and 423 are made of the octets alone (RFC 3261 8.2.7), and so is a state that expires at
     * once: who asks again is looked at again. */
    if (status == 200 && request->kind != AT_ONCE)
        m->told[request->who] = request->given;
    request->known = status == 403 || status == 412 || status == 503 ||
                     (status == 200 && request->kind != AT_ONCE);
    m->out[m->n_out++] = (struct expected){ .at_ms = m->now_ms,
                                            .status = status,
                                            .number = request->number,
                                            .tag = request->given,
                                            .expires_s = request->expires_s };
    for (int i = 0; i < 2; i++)
        if (m->last[i].number == request->number)
            m->last[i] = *request;
}

static void model_take(struct model *m, struct request request);

/* The store has spoken about the oldest that waits. */
static void
model_kept(struct model *m, bool kept)
{
    struct pending first = m->pending[0];
    struct request *request = &first.request;
    struct publication *pub = &m->pubs[request->who];

    memmove(m->pending, m->pending + 1, --m->n_pending * sizeof(m->pending[0]));
    memset(&m->pending[m->n_pending], 0, sizeof(m->pending[0]));
    pub->changing = false;
    if (!kept) {
        model_answer(m, request, 503); /* all is as it was */
    } else {
        request->expires_s = first.change == END ? 0 : GRANTED_S;
        pub->live = first.change != END;
        pub->tag.serial++;
        pub->expires_at_ms = m->now_ms + GRANTED_S * 1000;
        if (request->kind == INITIAL || request->kind == OTHER || request->kind == MODIFY) {
            pub->shown = request->number;
            pub->order = first.order;
        }
        request->given = pub->tag;
        model_answer(m, request, 200);
    }
    struct request line[LINE_MOST];
    const unsigned n = pub->n_line;
    memcpy(line, pub->line, sizeof(line));
    memset(pub->line, 0, sizeof(pub->line));
    pub->n_line = 0;
    for (unsigned i = 0; i < n; i++)
        model_take(m, line[i]);
}

static bool
is_initial(enum event kind)
{
    return kind == INITIAL || kind == NO_BODY || kind == BRIEF || kind == AT_ONCE || kind == OTHER;
}

/* RFC 3903 section 6, step by step. */
static void
model_take(struct model *m, struct request request)
{
    struct publication *pub = &m->pubs[request.who];
    const bool named = !is_initial(request.kind) && request.kind != NO_TAG &&
                       request.tag.publication == pub->tag.publication;

    if (named && pub->changing) { /* one after the other: RFC 3903 6 */
        HD_ASSERT(pub->n_line < LINE_MOST);
        pub->line[pub->n_line++] = request;
        return;
    }
    if (request.who == ALICE && m->denied) {
        model_answer(m, &request, 403);
        return;
    }
    if (!is_initial(request.kind) &&
        (!named || !pub->live || pub->tag.serial != request.tag.serial)) {
        model_answer(m, &request, 412);
        return;
    }
    if (request.kind == BRIEF) {
        model_answer(m, &request, 423);
        return;
    }
    if (request.kind == NO_BODY) {
        model_answer(m, &request, 400);
        return;
    }
    if (request.kind == AT_ONCE) {
        request.given = (struct tag){ 0, request.number };
        model_answer(m, &request, 200);
        return;
    }
    if (is_initial(request.kind))
        pub->tag = (struct tag){ ++m->publications, 0 };
    pub->changing = true;
    m->pending[m->n_pending++] = (struct pending){
        .request = request,
        .change = is_initial(request.kind)                                 ? CREATE
                  : request.kind == REMOVE || request.kind == OTHER_REMOVE ? END
                                                                           : CHANGE,
        .order = ++m->orders,
        .put_ms = m->now_ms,
    };
    if (m->store_fails)
        model_kept(m, false);
    else if (!m->store_holds)
        model_kept(m, true);
}

/* RFC 3903 6: what is not refreshed goes; while the store is asked, what it says comes first. */
static void
model_pass(struct model *m, uint64_t ms)
{
    m->now_ms += ms;
    for (int i = 0; i < 2; i++) {
        struct publication *pub = &m->pubs[i];
        if (pub->live && !pub->changing && pub->expires_at_ms <= m->now_ms)
            pub->live = false;
    }
}

static void
model_ask(struct model *m, enum event kind)
{
    const enum who who = kind == OTHER || kind == OTHER_REMOVE ? BOB : ALICE;
    struct request request = { .kind = kind, .who = who, .number = ++m->requests, .waits = true };

    if (!is_initial(kind))
        request.tag = m->told[who];
    if (kind == OLD_TAG)
        request.tag.serial--;
    if (who == ALICE) {
        m->last[1] = m->last[0];
        m->last[0] = request;
    }
    model_take(m, request);
}

static void
model_again(struct model *m, unsigned which)
{
    struct request *request = &m->last[which];

    if (request->waits)
        return; /* it is being worked on */
    if (request->known) {
        struct request copy = *request;
        const uint64_t answered_ms = copy.answered_ms;
        model_answer(m, &copy, copy.status);
        m->last[which].answered_ms = answered_ms; /* its time runs from the first answer */
        return;
    }
    request->waits = true;
    model_take(m, *request);
}

/* What waited is lost, or kept without anybody hearing of it. */
static void
model_crash(struct model *m, bool kept)
{
    for (unsigned i = 0; i < m->n_pending; i++) {
        struct pending *pending = &m->pending[i];
        struct publication *pub = &m->pubs[pending->request.who];
        struct request request = pending->request;
        if (kept) {
            struct model alone = *m;
            alone.n_pending = 1;
            alone.pending[0] = *pending;
            memset(alone.pubs[request.who].line, 0, sizeof(alone.pubs[0].line));
            alone.pubs[request.who].n_line = 0;
            model_kept(&alone, true);
            *pub = alone.pubs[request.who];
            /* Nobody heard of a later time; what is over by now is not there any more. */
            pub->expires_at_ms = pending->put_ms + GRANTED_S * 1000;
            for (int k = 0; k < 2; k++) {
                if (m->last[k].number != request.number)
                    continue;
                m->last[k] = alone.last[k];
                m->last[k].known = !pub->live || pub->expires_at_ms > m->now_ms;
            }
        } else if (pending->change == CREATE) {
            pub->live = false;
        }
        pub->changing = false;
        pub->n_line = 0;
        memset(pub->line, 0, sizeof(pub->line));
    }
    memset(m->pending, 0, sizeof(m->pending));
    m->n_pending = 0;
    m->n_out = 0;
    for (int k = 0; k < 2; k++) { /* refusals are not kept */
        m->last[k].waits = false;
        m->last[k].known = m->last[k].known && m->last[k].status == 200;
    }
    model_pass(m, 0); /* its time may have been over while the store was asked */
}

/* --- the model's events ---------------------------------------------------------------------- */

static bool
can_repeat(const struct model *m, unsigned which)
{
    const struct request *request = &m->last[which];

    if (!request->number)
        return false;
    if (request->waits)
        return true;
    if (request->status && m->now_ms >= request->answered_ms + LINGER_MS - T1_MS)
        return false;
    /* It would be taken for a new one: she has one publication, and a line has an end. */
    const struct publication *pub = &m->pubs[ALICE];
    return request->known ||
           (is_initial(request->kind) ? !pub->live && !pub->changing : pub->n_line < LINE_MOST);
}

static bool
model_can(const void *model, unsigned event)
{
    const struct model *m = model;
    const struct publication *alice = &m->pubs[ALICE], *bob = &m->pubs[BOB];

    switch ((enum event)event) {
    case INITIAL:
    case NO_BODY:
    case BRIEF:
    case AT_ONCE:
        return !alice->live && !alice->changing;
    case REFRESH:
    case MODIFY:
    case REMOVE:
        return m->told[ALICE].serial > 0 && alice->n_line < LINE_MOST;
    case OLD_TAG:
        return m->told[ALICE].serial > 1 && alice->n_line < LINE_MOST;
    case AGAIN:
        return can_repeat(m, 0);
    case AGAIN_OLD:
        return can_repeat(m, 1);
    case OTHER:
        return !bob->live && !bob->changing;
    case OTHER_REMOVE:
        return m->told[BOB].serial > 0 && !bob->changing;
    case STORE_FAILS:
        return !m->store_holds;
    case STORE_HOLDS:
        return m->n_pending == 0 && !m->store_fails;
    case STORE_SAYS_OK:
    case STORE_SAYS_NO:
        return m->n_pending > 0;
    case STOP:
        return m->n_pending == 0 && !m->store_fails;
    case NO_TAG:
    case DENY:
    case TICK:
    case LONG:
    case EXPIRY:
    case CRASH:
        return true;
    case CRASH_KEPT:
        return m->n_pending > 0;
    case EVENTS:
        break;
    }
    return false;
}

static void
model_step(void *model, unsigned event)
{
    struct model *m = model;

    m->n_out = 0;
    memset(m->out, 0, sizeof(m->out));
    switch ((enum event)event) {
    case INITIAL:
    case REFRESH:
    case MODIFY:
    case REMOVE:
    case OLD_TAG:
    case NO_TAG:
    case NO_BODY:
    case BRIEF:
    case AT_ONCE:
    case OTHER:
    case OTHER_REMOVE:
        model_ask(m, (enum event)event);
        break;
    case AGAIN:
        model_again(m, 0);
        break;
    case AGAIN_OLD:
        model_again(m, 1);
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
        model_pass(m, 0);
        break;
    case DENY:
        m->denied = !m->denied;
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
    case STOP:
    case CRASH:
        model_crash(m, false);
        break;
    case CRASH_KEPT:
        model_crash(m, true);
        break;
    case EVENTS:
        break;
    }
}

static uint32_t
model_shown(const struct model *m)
{
    const struct publication *a = &m->pubs[ALICE], *b = &m->pubs[BOB];

    if (a->live && b->live)
        return a->order > b->order ? a->shown : b->shown;
    return a->live ? a->shown : b->live ? b->shown : 0;
}

static void
model_begin(void *model)
{
    struct model *m = model;

    memset(m, 0, sizeof(*m));
    m->now_ms = 1000000;
}

/* A request without what only counts. */
static void
normal_request(const struct model *m, struct request *request)
{
    request->answered_ms = request->status ? m->now_ms - request->answered_ms : 0;
    request->number = request->number ? m->requests - request->number + 1 : 0;
    request->tag.publication = m->publications - request->tag.publication;
    request->given = (struct tag){ m->publications - request->given.publication,
                                   request->given.publication ? request->given.serial : 0 };
}

static uint64_t
model_hash(const void *model)
{
    static const struct hd_hash_key key = { 3, 4 };
    const struct model *m = model;
    struct model copy = *m;

    memset(copy.out, 0, sizeof(copy.out));
    copy.n_out = 0;
    for (int i = 0; i < 2; i++) {
        struct publication *pub = &copy.pubs[i];
        copy.told[i].publication = m->publications - copy.told[i].publication;
        pub->expires_at_ms = pub->live ? pub->expires_at_ms - m->now_ms : 0;
        pub->shown = pub->live ? m->requests - pub->shown : 0;
        pub->order = pub->live ? m->orders - pub->order : 0;
        pub->tag.publication = m->publications - pub->tag.publication;
        for (unsigned k = 0; k < pub->n_line; k++)
            normal_request(m, &pub->line[k]);
        normal_request(m, &copy.last[i]);
    }
    for (unsigned i = 0; i < copy.n_pending; i++) {
        normal_request(m, &copy.pending[i].request);
        copy.pending[i].order = m->orders - copy.pending[i].order;
        copy.pending[i].put_ms = m->now_ms - copy.pending[i].put_ms;
    }
    copy.now_ms = 0;
    copy.publications = copy.requests = copy.orders = 0;
    return hd_hash(&key, hd_slice((const char *)&copy, sizeof(copy))) | 1;
}

/* --- the core -------------------------------------------------------------------------------- */

#define TEXT_MAX 1200
#define PLAYED_MAX 1000 /* sequences until the core is made anew */

static struct bench {
    struct host host;
    char tags[TAGS][HD_ID_TEXT + 1]; /* as they were given: by publication and serial */
    struct sent_text {
        char text[TEXT_MAX];
        size_t n;
    } last[2];
    unsigned played, fetches;
    const unsigned char *sequence;
    unsigned step;
    unsigned base; /* of the CSeqs: none comes twice in the life of a host */
} bench;

static void
failed(const char *what)
{
    fprintf(stderr, "after");
    for (unsigned i = 0; i <= bench.step; i++)
        fprintf(stderr, " %s", event_names[bench.sequence[i]]);
    fprintf(stderr, ": %s\n", what);
    exit(1);
}

/* The text of a tag; one that expired at once has a place of its own. */
static char *
text_of(struct tag tag)
{
    const unsigned place = tag.publication ? tag.publication * 16 + tag.serial : tag.serial;

    HD_ASSERT(place < TAGS && tag.serial < 16);
    return bench.tags[place];
}

static void
hand_in(const struct sent_text *sent)
{
    const struct hd_flow flow = host_flow(5099);

    host_receive(&bench.host, &flow, hd_slice(sent->text, sent->n));
}

static void
say(const struct request *request)
{
    char headers[64] = "", body[16], call_id[16];
    const bool initial = is_initial(request->kind);
    struct sent_text sent;

    (void)snprintf(body, sizeof(body), "#%u#", bench.base + request->number);
    (void)snprintf(call_id, sizeof(call_id), "p%u", bench.base + request->number);
    if (!initial)
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n",
                       request->kind == NO_TAG ? "never-given" : text_of(request->tag));
    const bool has_body = (initial && request->kind != NO_BODY) || request->kind == MODIFY;
    const struct host_request r = { .method = "PUBLISH",
                                    .from = request->who == BOB ? "bob" : "alice",
                                    .call_id = call_id,
                                    .cseq = bench.base + request->number,
                                    .expires = request->kind == BRIEF ? 1
                                               : request->kind == AT_ONCE ||
                                                       request->kind == REMOVE ||
                                                       request->kind == OTHER_REMOVE
                                                   ? 0
                                                   : GRANTED_S,
                                    .headers = headers,
                                    .body = has_body ? body : NULL,
                                    .port = 5099 };
    sent.n = host_write(&r, sent.text, sizeof(sent.text));
    if (request->who == ALICE) {
        bench.last[1] = bench.last[0];
        bench.last[0] = sent;
    }
    hand_in(&sent);
}

static void
act(const struct model *m, enum event event)
{
    struct host *host = &bench.host;
    struct model after = *m;

    switch (event) {
    case INITIAL:
    case REFRESH:
    case MODIFY:
    case REMOVE:
    case OLD_TAG:
    case NO_TAG:
    case NO_BODY:
    case BRIEF:
    case AT_ONCE:
    case OTHER:
    case OTHER_REMOVE: {
        /* Which tag it names is the model's to say: the newest that its publisher was given. */
        struct request request = { .kind = event,
                                   .who = event == OTHER || event == OTHER_REMOVE ? BOB : ALICE,
                                   .number = ++after.requests };
        request.tag = after.told[request.who];
        if (event == OLD_TAG)
            request.tag.serial--;
        say(&request);
        break;
    }
    case AGAIN:
        hand_in(&bench.last[0]);
        break;
    case AGAIN_OLD:
        hand_in(&bench.last[1]);
        break;
    case STORE_FAILS:
        host->store = host->store == HOST_STORE_FAILS ? HOST_STORE_NOW : HOST_STORE_FAILS;
        break;
    case STORE_HOLDS:
        host->store = host->store == HOST_STORE_LATER ? HOST_STORE_NOW : HOST_STORE_LATER;
        break;
    case STORE_SAYS_OK:
    case STORE_SAYS_NO:
        while (host->puts && host->puts->ticket == 0) /* what nobody waits for */
            host_store_release(host, 1, HD_OK);
        host_store_release(host, 1, event == STORE_SAYS_OK ? HD_OK : HD_ESTORE);
        break;
    case DENY:
        host->n_rules = !host->n_rules;
        host->rules[0] =
            (struct host_rule){ .user = "sip:alice@example.test", .decision = EVT_DENY };
        host_configure(host, host_config_copy(host), hd_slice(NULL, 0));
        break;
    case TICK:
        host_wait(host, 4000);
        break;
    case LONG:
        host_wait(host, 33000);
        break;
    case EXPIRY:
        host_wait(host, GRANTED_S * 1000);
        break;
    case STOP:
        host_restart(host, 1, &(struct host_ending){ .clean = true });
        break;
    case CRASH:
        host_restart(host, 1, &(struct host_ending){ .kept = 0 });
        break;
    case CRASH_KEPT:
        host_restart(host, 1, &(struct host_ending){ .kept = UINT32_MAX });
        break;
    case EVENTS:
        break;
    }
    host_settle(host);
}

/* --- what was answered, against what was expected -------------------------------------------- */

static struct host_sent *
take(void)
{
    struct host_sent *sent = bench.host.sent;

    if (!sent)
        return NULL;
    bench.host.sent = sent->next;
    if (!bench.host.sent)
        bench.host.sent_end = &bench.host.sent;
    return sent;
}

/* A tag that was given before is the same to the octet; a new one is like none before it. */
static void
check_tag(struct hd_slice etag, struct tag tag)
{
    char *text = text_of(tag);

    if (etag.n != HD_ID_TEXT)
        failed("no entity-tag");
    if (text[0]) {
        if (!hd_slice_eq(etag, hd_slice_str(text)))
            failed("another entity-tag than before");
        return;
    }
    for (unsigned i = 0; i < TAGS; i++)
        if (hd_slice_eq(etag, hd_slice_str(bench.tags[i])))
            failed("an entity-tag that another state had");
    memcpy(text, etag.p, HD_ID_TEXT);
}

static void
check_answer(const struct host_sent *sent, const struct expected *want)
{
    char expires[16];

    if (sent->msg.request || sent->msg.status != want->status ||
        sent->msg.cseq.number != bench.base + want->number) {
        fprintf(stderr, "%.*s\nnot %u for CSeq %u\n", HD_FMT(sent->text), want->status,
                bench.base + want->number);
        failed("the answer");
    }
    if (sent->at_ms != want->at_ms)
        failed("the time of the answer");
    if (want->status != 200)
        return;
    (void)snprintf(expires, sizeof(expires), "%u", want->expires_s);
    if (!hd_slice_eq(host_value(sent, SIP_HDR_EXPIRES), hd_slice_str(expires)))
        failed("the duration that was granted");
    check_tag(host_value(sent, SIP_HDR_SIP_ETAG), want->tag);
}

static void
compare(const struct model *m)
{
    unsigned i = 0;

    for (struct host_sent *sent; (sent = take()); free(sent)) {
        if (!sent->msg.request && sent->msg.status == 100)
            continue; /* allowed, not asked for */
        if (i == m->n_out) {
            fprintf(stderr, "%.*s\n", HD_FMT(sent->text));
            failed("this was not to be sent");
        }
        check_answer(sent, &m->out[i++]);
    }
    if (i < m->n_out) {
        fprintf(stderr, "%u for CSeq %u\n", m->out[i].status, bench.base + m->out[i].number);
        failed("not sent");
    }
}

/* A fetch sees what the model says, and nothing that is not kept. */
static void
check_shown(const struct model *m)
{
    char call_id[16], body[16] = "(none)";
    struct host_sent *sent;

    (void)snprintf(call_id, sizeof(call_id), "f%u", ++bench.fetches);
    host_request(&bench.host, &(struct host_request){ .from = "carol", .call_id = call_id });
    sent = take();
    if (!sent || sent->msg.status != 200)
        failed("a fetch is refused");
    free(sent);
    sent = take();
    if (!sent || !sent->msg.request)
        failed("a fetch is told nothing");
    if (model_shown(m))
        (void)snprintf(body, sizeof(body), "#%u#", bench.base + model_shown(m));
    if (!hd_slice_eq(sent->msg.body, hd_slice_str(body))) {
        fprintf(stderr, "\"%.*s\", not \"%s\"\n", HD_FMT(sent->msg.body), body);
        failed("what is shown");
    }
    host_answer(&bench.host, sent, 200, NULL);
    free(sent);
}

/* --- sequences ------------------------------------------------------------------------------- */

/* Nobody renews anything: all that a sequence began comes to its end. */
static void
rest(void)
{
    const struct evt_shard *shard;

    bench.host.store = HOST_STORE_NOW;
    bench.host.n_rules = 0;
    host_configure(&bench.host, host_config_copy(&bench.host), hd_slice(NULL, 0));
    host_wait(&bench.host, GRANTED_S * 1000);
    host_wait(&bench.host, LINGER_MS * 2);
    shard = host_shard(&bench.host, 0);
    if (shard->pubs.count || shard->resources.count || shard->mirrors.count || shard->subs.count ||
        shard->hops.count || shard->waiting || shard->wheel.count)
        failed("something stays for ever");
    host_drop(&bench.host);
    host_free_puts(&bench.host.kept); /* of what is over: a start has nothing to read */
    memset(bench.tags, 0, sizeof(bench.tags));
}

static void
replay(const unsigned char *sequence, unsigned n, unsigned known)
{
    struct model m;

    if (bench.played++ % PLAYED_MAX == 0) {
        if (bench.host.n)
            host_done(&bench.host);
        host_init(&bench.host, 1);
        bench.base = 0;
    }
    model_begin(&m);
    m.now_ms = bench.host.now_ms;
    bench.sequence = sequence;
    for (unsigned i = 0; i < n; i++) {
        bench.step = i;
        bench.host.unchecked = i < known;
        act(&m, (enum event)sequence[i]);
        model_step(&m, sequence[i]);
        compare(&m);
        if (i >= known)
            check_shown(&m);
    }
    rest();
    bench.base += m.requests;
}

static void
end(void)
{
    host_done(&bench.host);
    memset(&bench, 0, sizeof(bench));
}

int
main(int argc, char **argv)
{
    static const struct model_ops ops = { .size = sizeof(struct model),
                                          .begin = model_begin,
                                          .can = model_can,
                                          .step = model_step,
                                          .hash = model_hash,
                                          .replay = replay,
                                          .end = end };

    return model_walk(argc, argv, &ops, alphabets, HD_ARRAY_LEN(alphabets), DEPTH_MERGED);
}
