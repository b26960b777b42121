/* model_test.c - the state machines of a notifier (RFC 6665 section 4.2) and of non-INVITE
 * transactions (RFC 3261 17.2.2, RFC 4320), run through every short sequence of events and compared
 * with a small model of them that is written apart.  (Publications: model_publish_test.c.)
 *
 * For each event the model (model_sub.h) says what is to be sent, when, and with what; the core on
 * a fake clock must send exactly that.  How sequences are chosen: model.h. */
#include <stdio.h>
#include <stdlib.h>

#include "event/test_host.h"
#include "model.h"
#include "model_sub.h"

#define DEPTH_MERGED 5
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
replay(struct bench *b, const unsigned char *sequence, unsigned n, unsigned known)
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
        b->host.unchecked = i < known;
        b->serial++;
        act(b, (enum event)sequence[i]);
        model_step(&m, (enum event)sequence[i]);
        compare(b, &m);
    }
    bench_rest(b);
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
walk_replay(const unsigned char *sequence, unsigned n, unsigned known)
{
    replay(&bench, sequence, n, known);
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
