/* model_watch_test.c - two things that end a subscription from outside: a later one of the same
 * device, and the end of the dialog that it names (RFC 4235 section 3.4).  Run through every short
 * sequence of events and compared with a small model that is written apart.
 *
 * The watcher has two devices, and subscribes by way of two shards, so that who supersedes whom is
 * settled between shards.  Each NOTIFY is answered at once; what comes of answers is explored by
 * model_test.c.  For each event the model says what each dialog hears, and how many subscriptions
 * live.  How sequences are chosen: model.h. */
#include <stdio.h>
#include <stdlib.h>

#include "event/test_dialogs.h"
#include "model.h"

#define DEPTH_MERGED 4
#define SUBS MODEL_SEQUENCE_MAX /* that one sequence can begin */
#define PENDING_MOST 2
#define OUT_MAX 32
#define GRANTED_S 600u
#define SEEN_KEPT_MS 5000u /* until then it is kept what was told and answered */
#define BODY_MAX 64
#define TEXT_MAX 1400
#define PLAYED_MAX 200 /* sequences until the core is made anew */

enum event {
    /* the watcher: outside of a dialog */
    SUB_A = 0,   /* device A, names c0 */
    SUB_A_OTHER, /* device A by the other shard, names c1 */
    SUB_A_ALL,   /* device A, all dialogs */
    SUB_B,       /* device B, names c0 */
    /* in the newest of his dialogs, and in the one before it */
    REFRESH,
    RENAME, /* the refresh names the other dialog */
    END,    /* Expires: 0 */
    REFRESH_FORMER,
    /* the publisher */
    C0_CHANGES, /* and begins, when it was not there */
    C0_ENDS,
    C0_GOES, /* and was not said to be over */
    C1_CHANGES,
    C1_GOES,
    /* the store */
    STORE_HOLDS,   /* from now on / no more */
    STORE_SAYS_OK, /* for the oldest that waits */
    STORE_SAYS_NO,
    /* the clock, the broker */
    EXPIRY,
    STOP,  /* a clean stop and a start */
    CRASH, /* when it was kept what everybody has seen */
    EVENTS
};
static const char *const event_names[EVENTS] = {
    "SUB_A",         "SUB_A_OTHER", "SUB_A_ALL",      "SUB_B",       "REFRESH",
    "RENAME",        "END",         "REFRESH_FORMER", "C0_CHANGES",  "C0_ENDS",
    "C0_GOES",       "C1_CHANGES",  "C1_GOES",        "STORE_HOLDS", "STORE_SAYS_OK",
    "STORE_SAYS_NO", "EXPIRY",      "STOP",           "CRASH"
};

static const struct model_alphabet alphabets[] = {
    { "devices", { SUB_A, SUB_A_OTHER, SUB_B, REFRESH, END, REFRESH_FORMER }, 6 },
    { "late",
      { SUB_A, SUB_A_OTHER, REFRESH, REFRESH_FORMER, STORE_HOLDS, STORE_SAYS_OK, STORE_SAYS_NO },
      7 },
    { "dialogs", { SUB_A, RENAME, C0_CHANGES, C0_ENDS, C0_GOES, C1_CHANGES, CRASH }, 7 },
    { "all",
      { SUB_A, SUB_A_OTHER, SUB_A_ALL, SUB_B, REFRESH, RENAME, END, REFRESH_FORMER, C0_CHANGES,
        C0_ENDS, C0_GOES, C1_CHANGES, C1_GOES, STORE_HOLDS, STORE_SAYS_OK, STORE_SAYS_NO, EXPIRY,
        STOP, CRASH },
      EVENTS },
};

/* --- the model ------------------------------------------------------------------------------- */

enum device { DEVICE_A = 0, DEVICE_B };
enum names { C0 = 0, C1, ALL };
enum dialog { ABSENT = 0, LIVING, ENDED };
enum life { NONE = 0, BEING_KEPT, LIVES, OVER };
enum what { ANSWER = 1, STATE, TIMEOUT, NORESOURCE };

struct sub {
    enum life life;
    enum device device;
    enum names names;
    bool met; /* its dialog was there when he was told last, or before */
    bool changing;
    uint64_t expires_at_ms;
};

struct pending {
    enum event kind;
    unsigned sub;
};

/* What a dialog is to hear. */
struct expected {
    enum what what;
    unsigned sub, status;
    char body[BODY_MAX]; /* of STATE */
};

struct model {
    uint64_t now_ms;
    struct sub subs[SUBS];
    unsigned n_subs;
    enum dialog dialogs[2];
    uint32_t marks[2], version; /* of what was published, 0: nothing */
    bool store_holds;
    struct pending pending[PENDING_MOST];
    unsigned n_pending;
    struct expected out[OUT_MAX];
    unsigned n_out;
};

static struct expected *
model_out(struct model *m, unsigned sub, enum what what)
{
    HD_ASSERT(m->n_out < OUT_MAX);
    struct expected *out = &m->out[m->n_out++];

    out->what = what;
    out->sub = sub;
    return out;
}

static void
model_answer(struct model *m, unsigned sub, unsigned status)
{
    model_out(m, sub, ANSWER)->status = status;
}

static int
write_line(const struct model *m, unsigned dialog, char *text, size_t cap)
{
    text[0] = '\0';
    if (m->dialogs[dialog] == ABSENT)
        return 0;
    return snprintf(text, cap, "#%u#c%u%c\n", m->marks[dialog], dialog,
                    m->dialogs[dialog] == LIVING ? '+' : '-');
}

/* What is published; a line of its own says which version it is. */
static void
write_all(const struct model *m, char text[BODY_MAX])
{
    int n = snprintf(text, BODY_MAX, "#%u#z+\n", m->version);

    for (unsigned i = 0; i < 2; i++)
        n += write_line(m, i, text + n, BODY_MAX - (size_t)n);
}

static void
model_end(struct model *m, unsigned at, enum what what)
{
    m->subs[at].life = OVER;
    model_out(m, at, what);
}

/* A NOTIFY and its 200.  Who has been told that his dialog is over hears nothing further
 * (RFC 4235 section 3.4); one that was never there may still begin. */
static void
model_tell(struct model *m, unsigned at)
{
    struct sub *sub = &m->subs[at];
    char *body = model_out(m, at, STATE)->body;

    if (sub->names == ALL && m->version)
        write_all(m, body);
    else if (sub->names == ALL || !write_line(m, sub->names, body, BODY_MAX))
        (void)snprintf(body, BODY_MAX, "(none)");
    if (sub->names == ALL)
        return;
    const enum dialog dialog = m->dialogs[sub->names];
    if (dialog == ENDED || (dialog == ABSENT && sub->met))
        model_end(m, at, NORESOURCE);
    else if (dialog == LIVING)
        sub->met = true;
}

/* The store has spoken about the oldest that waits. */
static void
model_kept(struct model *m, bool kept)
{
    const struct pending first = m->pending[0];
    struct sub *sub = &m->subs[first.sub];

    memmove(m->pending, m->pending + 1, --m->n_pending * sizeof(m->pending[0]));
    memset(&m->pending[m->n_pending], 0, sizeof(m->pending[0]));
    sub->changing = false;
    if (!kept) {
        sub->life = sub->life == BEING_KEPT ? NONE : sub->life;
        model_answer(m, first.sub, 503);
        return;
    }
    if (sub->life == OVER) { /* superseded while it was being kept */
        model_answer(m, first.sub, 481);
        return;
    }
    for (unsigned i = 0; sub->life == BEING_KEPT && i < m->n_subs; i++)
        if (m->subs[i].life == LIVES && m->subs[i].device == sub->device)
            m->subs[i].life = OVER; /* and nobody is told */
    sub->life = LIVES;
    sub->expires_at_ms = m->now_ms + GRANTED_S * 1000;
    model_answer(m, first.sub, 200);
    if (first.kind == RENAME) {
        sub->names = sub->names == C0 ? C1 : C0;
        sub->met = false;
    }
    if (first.kind == END)
        model_end(m, first.sub, TIMEOUT);
    else
        model_tell(m, first.sub);
}

static bool
is_initial(enum event kind)
{
    return kind == SUB_A || kind == SUB_A_OTHER || kind == SUB_A_ALL || kind == SUB_B;
}

/* Which of the subscriptions a request is about. */
static unsigned
sub_of(const struct model *m, enum event kind)
{
    return is_initial(kind) ? m->n_subs : kind == REFRESH_FORMER ? m->n_subs - 2 : m->n_subs - 1;
}

static void
model_ask(struct model *m, enum event kind)
{
    const unsigned at = sub_of(m, kind);
    struct sub *sub = &m->subs[at];

    if (is_initial(kind)) {
        m->n_subs++;
        sub->life = BEING_KEPT;
        sub->device = kind == SUB_B ? DEVICE_B : DEVICE_A;
        sub->names = kind == SUB_A_OTHER ? C1 : kind == SUB_A_ALL ? ALL : C0;
    } else if (sub->life != LIVES) {
        model_answer(m, at, 481);
        return;
    }
    sub->changing = true;
    m->pending[m->n_pending++] = (struct pending){ kind, at };
    if (!m->store_holds)
        model_kept(m, true);
}

static void
model_publish(struct model *m, unsigned dialog, enum dialog now)
{
    m->version++;
    m->dialogs[dialog] = now;
    m->marks[dialog] = m->version;
    for (unsigned i = 0; i < m->n_subs; i++)
        if (m->subs[i].life == LIVES && (m->subs[i].names == dialog || m->subs[i].names == ALL))
            model_tell(m, i);
}

static void
model_pass(struct model *m, uint64_t ms)
{
    m->now_ms += ms;
    for (unsigned i = 0; i < m->n_subs; i++)
        if (m->subs[i].life == LIVES && m->subs[i].expires_at_ms <= m->now_ms)
            model_end(m, i, TIMEOUT);
}

/* When the first of them expires; UINT64_MAX: never. */
static uint64_t
model_due(const struct model *m)
{
    uint64_t due = UINT64_MAX;

    for (unsigned i = 0; i < m->n_subs; i++)
        if (m->subs[i].life == LIVES && m->subs[i].expires_at_ms < due)
            due = m->subs[i].expires_at_ms;
    return due;
}

/* --- the model's events ---------------------------------------------------------------------- */

static bool
can_ask(const struct model *m, enum event kind)
{
    const unsigned at = sub_of(m, kind);

    return at < m->n_subs && !m->subs[at].changing &&
           (m->subs[at].life == LIVES || m->subs[at].life == OVER) &&
           (kind != RENAME || m->subs[at].names != ALL) && m->n_pending < PENDING_MOST;
}

static bool
model_can(const void *model, unsigned event)
{
    const struct model *m = model;

    switch ((enum event)event) {
    case SUB_A:
    case SUB_A_OTHER:
    case SUB_A_ALL:
    case SUB_B:
        return m->n_pending < PENDING_MOST;
    case REFRESH:
    case RENAME:
    case END:
    case REFRESH_FORMER:
        return can_ask(m, (enum event)event);
    case C0_CHANGES:
    case C1_CHANGES:
        return !m->store_holds; /* what is published is kept at once */
    case C0_ENDS:
    case C0_GOES:
        return !m->store_holds && m->dialogs[0] == LIVING;
    case C1_GOES:
        return !m->store_holds && m->dialogs[1] == LIVING;
    case STORE_HOLDS:
        return m->n_pending == 0;
    case STORE_SAYS_OK:
    case STORE_SAYS_NO:
        return m->n_pending > 0;
    case EXPIRY:
        return !m->store_holds && model_due(m) != UINT64_MAX;
    case STOP:
        return !m->store_holds;
    case CRASH:
        return !m->store_holds && model_due(m) > m->now_ms + SEEN_KEPT_MS;
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
    case SUB_A:
    case SUB_A_OTHER:
    case SUB_A_ALL:
    case SUB_B:
    case REFRESH:
    case RENAME:
    case END:
    case REFRESH_FORMER:
        model_ask(m, (enum event)event);
        break;
    case C0_CHANGES:
        model_publish(m, 0, LIVING);
        break;
    case C0_ENDS:
        model_publish(m, 0, ENDED);
        break;
    case C0_GOES:
        model_publish(m, 0, ABSENT);
        break;
    case C1_CHANGES:
        model_publish(m, 1, LIVING);
        break;
    case C1_GOES:
        model_publish(m, 1, ABSENT);
        break;
    case STORE_HOLDS:
        m->store_holds = !m->store_holds;
        break;
    case STORE_SAYS_OK:
    case STORE_SAYS_NO:
        model_kept(m, event == STORE_SAYS_OK);
        break;
    case EXPIRY:
        model_pass(m, model_due(m) - m->now_ms);
        break;
    case CRASH:
        model_pass(m, SEEN_KEPT_MS);
        break;
    case STOP: /* all was kept, and nobody notices */
    case EVENTS:
        break;
    }
}

static void
model_begin(void *model)
{
    struct model *m = model;

    memset(m, 0, sizeof(*m));
    m->now_ms = 1000000;
}

/* Subscriptions that are over matter as long as one of the last two is meant. */
static uint64_t
model_hash(const void *model)
{
    static const struct hd_hash_key key = { 3, 4 };
    const struct model *m = model;
    struct model copy = *m;

    memset(copy.out, 0, sizeof(copy.out));
    memset(copy.subs, 0, sizeof(copy.subs));
    copy.n_out = copy.n_subs = 0;
    for (unsigned i = 0; i < m->n_subs; i++) {
        struct sub *sub = &copy.subs[copy.n_subs];
        if (m->subs[i].life != LIVES && !m->subs[i].changing && i + 2 < m->n_subs)
            continue;
        for (unsigned k = 0; k < m->n_pending; k++)
            if (m->pending[k].sub == i)
                copy.pending[k].sub = copy.n_subs;
        memcpy(sub, &m->subs[i], sizeof(*sub));
        sub->expires_at_ms = sub->life == LIVES ? sub->expires_at_ms - m->now_ms : 0;
        copy.n_subs++;
    }
    memset(copy.marks, 0, sizeof(copy.marks));
    copy.version = m->version > 0;
    copy.now_ms = 0;
    return hd_hash(&key, hd_slice((const char *)&copy, sizeof(copy))) | 1;
}

/* --- the core -------------------------------------------------------------------------------- */

static struct evt_package package;
static const struct evt_package *const packages[] = { &package };

static struct bench {
    struct host host;
    char tags[SUBS][HD_ID_TEXT + 1];
    uint32_t cseqs[SUBS];
    char etag[HD_ID_TEXT + 1];
    unsigned played, base; /* base: of the Call-IDs */
    uint32_t publishes;
    bool heard[OUT_MAX];
    const unsigned char *sequence;
    unsigned step;
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

static void
say(const struct model *m, enum event kind)
{
    const unsigned at = sub_of(m, kind);
    const bool initial = is_initial(kind);
    const uint16_t port = host_port_of(&bench.host, kind == SUB_A_OTHER ? 1 : 0);
    enum names names = initial ? kind == SUB_A_OTHER ? C1
                                 : kind == SUB_A_ALL ? ALL
                                                     : C0
                               : m->subs[at].names;
    char call_id[16], contact[96], event[48], text[TEXT_MAX];

    if (kind == RENAME)
        names = names == C0 ? C1 : C0;
    if (initial) {
        bench.tags[at][0] = '\0';
        bench.cseqs[at] = 0;
    }
    (void)snprintf(call_id, sizeof(call_id), "w%u", bench.base + at);
    (void)snprintf(contact, sizeof(contact),
                   "<sip:x@198.51.100.9:%u>;+sip.instance=\"<urn:uuid:%u>\"", port,
                   initial ? kind == SUB_B : (unsigned)m->subs[at].device);
    (void)snprintf(event, sizeof(event),
                   names == ALL ? "x-dialogs" : "x-dialogs;call-id=c%u;to-tag=l", (unsigned)names);
    const struct host_request request = { .call_id = call_id,
                                          .to_tag = initial ? NULL : bench.tags[at],
                                          .cseq = ++bench.cseqs[at],
                                          .expires = kind == END ? 0 : GRANTED_S,
                                          .event = event,
                                          .contact = contact,
                                          .port = port };
    const struct hd_flow flow = host_flow(port);
    host_receive(&bench.host, &flow, hd_slice(text, host_write(&request, text, sizeof(text))));
}

/* The publication as the model has it, or its end (body NULL). */
static void
publish(const char *body)
{
    char headers[64] = "", call_id[16], text[TEXT_MAX];
    const struct hd_flow flow = host_flow(5099);

    (void)snprintf(call_id, sizeof(call_id), "p%u", ++bench.publishes);
    if (bench.etag[0])
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", bench.etag);
    const struct host_request request = { .method = "PUBLISH",
                                          .from = "carol",
                                          .call_id = call_id,
                                          .event = "x-dialogs",
                                          .expires = body ? 86400 : 0,
                                          .headers = headers,
                                          .body = body,
                                          .port = 5099 };
    host_receive(&bench.host, &flow, hd_slice(text, host_write(&request, text, sizeof(text))));
}

/* before and after: what the model is before this event and after it. */
static void
act(const struct model *before, const struct model *after, enum event event)
{
    struct host *host = &bench.host;
    char body[BODY_MAX];

    switch (event) {
    case SUB_A:
    case SUB_A_OTHER:
    case SUB_A_ALL:
    case SUB_B:
    case REFRESH:
    case RENAME:
    case END:
    case REFRESH_FORMER:
        say(before, event);
        break;
    case C0_CHANGES:
    case C0_ENDS:
    case C0_GOES:
    case C1_CHANGES:
    case C1_GOES:
        write_all(after, body);
        publish(body);
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
    case EXPIRY:
        host_wait(host, after->now_ms - before->now_ms);
        break;
    case STOP:
    case CRASH:
        if (event == CRASH)
            host_wait(host, SEEN_KEPT_MS);
        host_restart(host, 2, &(struct host_ending){ .clean = event == STOP });
        break;
    case EVENTS:
        break;
    }
    host_settle(host);
}

/* --- what was heard, against what was expected ----------------------------------------------- */

static bool
is_expected(const struct host_sent *sent, const struct expected *want)
{
    const struct hd_slice state = host_value(sent, SIP_HDR_SUBSCRIPTION_STATE);

    switch (want->what) {
    case ANSWER:
        return !sent->msg.request && sent->msg.status == want->status;
    case STATE:
        return sent->msg.request && hd_slice_starts(state, HD_LIT("active;expires=")) &&
               hd_slice_eq(sent->msg.body, hd_slice_str(want->body));
    case TIMEOUT:
        return hd_slice_eq(state, HD_LIT("terminated;reason=timeout"));
    case NORESOURCE:
        return hd_slice_eq(state, HD_LIT("terminated;reason=noresource"));
    }
    return false;
}

/* The next that its dialog was to hear. */
static void
check_sent(const struct model *m, const struct host_sent *sent)
{
    char call_id[16];

    for (unsigned i = 0; i < m->n_out; i++) {
        (void)snprintf(call_id, sizeof(call_id), "w%u", bench.base + m->out[i].sub);
        if (bench.heard[i] || !hd_slice_eq(sent->msg.call_id, hd_slice_str(call_id)))
            continue;
        if (!is_expected(sent, &m->out[i])) {
            fprintf(stderr, "%.*s\n", HD_FMT(sent->text));
            failed("something else was to be sent");
        }
        bench.heard[i] = true;
        if (sent->msg.status == 200)
            memcpy(bench.tags[m->out[i].sub], sent->msg.to_tag.p, HD_ID_TEXT);
        return;
    }
    fprintf(stderr, "%.*s\n", HD_FMT(sent->text));
    failed("this was not to be sent");
}

/* Hears all that was sent, and answers each NOTIFY. */
static void
hear(const struct model *m)
{
    const struct host_sent *sent;

    memset(bench.heard, 0, sizeof(bench.heard));
    while (host_count(&bench.host) > 0) {
        sent = host_take(&bench.host);
        if (sent->msg.cseq.method == SIP_PUBLISH) {
            const struct hd_slice etag = host_value(sent, SIP_HDR_SIP_ETAG);
            if (etag.n == HD_ID_TEXT)
                memcpy(bench.etag, etag.p, HD_ID_TEXT);
            continue;
        }
        if (m && (sent->msg.request || sent->msg.status != 100))
            check_sent(m, sent);
        if (sent->msg.request)
            host_answer(&bench.host, sent, 200, NULL);
    }
    for (unsigned i = 0; m && i < m->n_out; i++)
        if (!bench.heard[i]) {
            fprintf(stderr, "to w%u: %d %u %s\n", bench.base + m->out[i].sub, (int)m->out[i].what,
                    m->out[i].status, m->out[i].body);
            failed("not sent");
        }
}

static void
check_living(const struct model *m)
{
    uint64_t living = 0;

    for (unsigned i = 0; i < bench.host.n; i++)
        living += HOST_COUNT(&bench.host, i, subscriptions);
    for (unsigned i = 0; i < m->n_subs; i++)
        living -= m->subs[i].life == LIVES;
    if (living)
        failed("another number of subscriptions lives");
}

/* --- sequences ------------------------------------------------------------------------------- */

static void
begin(void)
{
    memset(&bench, 0, sizeof(bench));
    host_init(&bench.host, 2);
    host_dialogs(&bench.host);
    memcpy(&package, &host_dialog_package, sizeof(package));
    package.supersede = true;
    package.max_expires_s = 86400;
    struct evt_config *config = host_config_copy(&bench.host);
    config->packages = packages;
    config->n_packages = HD_ARRAY_LEN(packages);
    host_configure(&bench.host, config, hd_slice(NULL, 0));
}

/* What was published goes, and nobody renews anything: all comes to its end. */
static void
rest(void)
{
    struct host *host = &bench.host;

    host->store = HOST_STORE_NOW;
    host_settle(host);
    hear(NULL);
    if (bench.etag[0])
        publish(NULL);
    for (unsigned i = 0; i < 3; i++) {
        host_wait(host, GRANTED_S * 500);
        hear(NULL);
    }
    for (unsigned i = 0; i < host->n; i++) {
        const struct evt_shard *shard = host_shard(host, i);
        if (shard->subs.count || shard->mirrors.count || shard->pubs.count ||
            shard->resources.count || shard->hops.count || shard->wheel.count)
            failed("something stays for ever");
    }
    if (host_dialogs_named())
        failed("a dialog is named by nobody");
    host_free_puts(&host->kept);
    bench.etag[0] = '\0';
}

static void
replay(const unsigned char *sequence, unsigned n, unsigned known)
{
    struct model m, before;

    if (bench.played % PLAYED_MAX == 0) {
        if (bench.host.n)
            host_done(&bench.host);
        begin();
    }
    bench.played++;
    model_begin(&m);
    m.now_ms = bench.host.now_ms;
    bench.sequence = sequence;
    for (unsigned i = 0; i < n; i++) {
        bench.step = i;
        bench.host.unchecked = i < known;
        memcpy(&before, &m, sizeof(m));
        model_step(&m, sequence[i]);
        act(&before, &m, (enum event)sequence[i]);
        hear(&m);
        check_living(&m);
    }
    rest();
    bench.base += m.n_subs;
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
