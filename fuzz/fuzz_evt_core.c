/* fuzz_evt_core.c - a broker of one to three shards lives through what the input says: requests
 * from templates with odd values, answers, repetitions, raw octets, a store that is late or fails,
 * rules and limits that change, connections that break, clean stops and crashes with another number
 * of shards afterwards, and time.
 *
 * What must hold: the invariants of all shards after every step, and between them; whoever may not
 * see a state is never shown it, and nobody is shown what the store has not kept; who named a
 * dialog is shown no other, and ends with it (core_dialogs.h); NOTIFYs of a dialog come in order,
 * and what is sent again is the same to the octet; a request that comes twice acts once, also when
 * there was a start between; a clean stop loses nothing; everything that is sent is a SIP message;
 * every request is answered or dropped for a reason that is counted; and when nobody renews
 * anything, all tables are empty in the end. */
#include "core_dialogs.h"
#include "core_force.h"
#include "event/test_host.h"
#include "fuzz.h"

#define STEPS_MAX 300
#define DIALOGS 12
#define ETAGS 8
#define REQUESTS 8
#define NOTIFIES 12
#define ASKED 1024 /* requests that an answer is awaited for; a power of two */
#define SHOWN 256  /* dialogs whose NOTIFYs are compared */

struct dialog {
    char tag[HD_ID_TEXT + 1], call_id[8], from[8];
    const char *event;
    uint32_t cseq;
    uint16_t port;
};

struct kept {
    struct hd_flow flow;
    size_t n;
    char text[6000];
};

/* A request that was handed in, by what makes its transaction (RFC 3261 17.2.3). */
struct asked {
    uint64_t key, octets; /* key 0: free */
    uint64_t at_ms;
    unsigned status;          /* of its final answer, 0: none yet */
    bool outside;             /* of a dialog */
    bool passing;             /* a fetch: nothing of it is kept (DECISIONS 6) */
    uint8_t names;            /* CORE_NAMES: the dialogs that it is for */
    uint64_t dialog, granted; /* that it is in; that its first 200 was about */
};

#define STATUS_LOST 1 /* it was under way when the broker ended */

/* The newest NOTIFY of a dialog. */
struct shown {
    uint64_t dialog, branch, octets;
    uint32_t cseq;
    uint8_t transport;
    uint8_t names; /* CORE_NAMES: what it may show */
};

struct run {
    struct host host;
    const uint8_t *p;
    size_t left;
    struct dialog dialogs[DIALOGS];
    char etags[ETAGS][HD_ID_TEXT + 1];
    struct kept requests[REQUESTS];
    struct host_sent *notifies[NOTIFIES];
    unsigned n_dialogs, n_etags, n_requests, n_notifies;
    uint32_t serial;
    struct asked asked[ASKED];
    struct shown shown[SHOWN];
    bool names_dialogs;
    struct core_dialogs said;
    bool unkept;       /* the store has refused something */
    bool refused_room; /* the net had no room at some time: what was to be sent then is lost */
};

static unsigned
take(struct run *run, unsigned below)
{
    if (run->left == 0)
        return 0;
    run->left--;
    return *run->p++ % below;
}

#define PICK(run, table) ((table)[take(run, HD_ARRAY_LEN(table))])

static const char *const users[] = { "alice", "bob", "carol", "d%61ve" };
static const char *const resources[] = { "sip:bob@example.test",
                                         "sip:ann@example.test",
                                         "sip:b%6Fb@EXAMPLE.test;x=y",
                                         "sips:bob@example.test",
                                         "tel:+1-23",
                                         "sip:example.test",
                                         "sip:x@elsewhere.test" };
static const char *const events[] = { "x-state", "x-every", "x-paced",      "x-state;id=1",
                                      "none",    "",        "x-state.winfo" };
static const int64_t durations[] = { 600, 0, 60, 3600, -1, 1, 4294967295, 99999999999 };
static const char *const contacts[] = { NULL,
                                        NULL,
                                        "<sip:a@198.51.100.9:5062>",
                                        "<sip:a@10.1.2.3>",
                                        "<sip:a@host.invalid;transport=tcp>",
                                        "<sip:a@198.51.100.9;transport=tcp>",
                                        "*",
                                        "<sip:a@1.1.1.1>, <sip:b@1.1.1.1>",
                                        "<sip:a@1.1.1.1>;expires=0",
                                        "<sip:a@1.1.1.1>;q=0.5;expires=70",
                                        "<sips:a@[2001:db8::1]:99>",
                                        "" };
static const char *const extras[] = {
    "",
    "",
    "",
    "Accept: text/html\r\n",
    "Accept: a/b\r\n",
    "Require: gruu\r\n",
    "Content-Encoding: gzip\r\n",
    "Record-Route: <sip:198.51.100.200;lr>\r\nVia: SIP/2.0/UDP 9.9.9.9;branch=z9hG4bKup\r\n",
    "Record-Route: <sip:198.51.100.200>, <sip:9.9.9.9;lr>\r\n",
    "Record-Route: nonsense\r\n",
    "Event: x-state\r\n",
    "SIP-If-Match: a, b\r\n",
};
static const char *const auths[] = { "", "Authorization: 1\r\n", "Authorization: 2\r\n",
                                     "Authorization: 3\r\n", "Authorization: x\r\n" };
static const uint64_t steps_ms[] = { 1,    15,   499,   500,   1000,  3500,
                                     4000, 5000, 16000, 32000, 60000, 600000 };
static const unsigned codes[] = { 200, 100, 202, 481, 500, 503, 408, 404, 302, 401, 489, 699 };
static const char *const answers[] = { "",
                                       "",
                                       "Retry-After: 7\r\n",
                                       "Contact: <sip:n@198.51.100.9:5070>\r\n",
                                       "Contact: <sip:n@198.51.100.77>\r\n",
                                       "Contact: nonsense\r\n",
                                       "Contact: <sip:n@1.2.3.4;transport=tcp>\r\n" };

/* Durations that end before the run does. */
#define PACKAGE(text, ...)                                                                         \
    {                                                                                              \
        .magic = EVT_PACKAGE_MAGIC, .name = { text, sizeof(text) - 1 }, .ops = &host_text_ops,     \
        .types = host_text_types, .n_types = 2, .min_expires_s = 60, .default_expires_s = 1800,    \
        .max_expires_s = 3600, .authorisation = EVT_AUTHORISE_ALLOW, __VA_ARGS__                   \
    }
static const struct evt_package short_ones[4];
static const struct evt_package short_winfo = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "x-state.winfo", 13 },
    .ops = &host_winfo_ops,
    .types = host_text_types,
    .n_types = 2,
    .min_expires_s = 60,
    .default_expires_s = 1800,
    .max_expires_s = 3600,
    .authorisation = EVT_AUTHORISE_ALLOW,
    .watched = &short_ones[0],
    .keeper = &evt_watch_keeper,
    .closed = true,
};
static const struct evt_package short_ones[4] = {
    PACKAGE("x-state", .neutral_body = { "(none)", 6 }, .winfo = &short_winfo),
    PACKAGE("x-every", .delivery = EVT_DELIVER_EVERY, .queue_max = 3),
    PACKAGE("x-paced", .pace_ms = 5000),
    PACKAGE("x-state", .pace_ms = 700),
};
static const struct evt_package *const all_packages[] = { &short_ones[0], &short_ones[1],
                                                          &short_ones[2] };
static const struct evt_package *const other_packages[] = { &short_ones[1], &short_ones[3] };
static const struct evt_package *const dialog_packages[] = { &host_dialog_package, &short_ones[0] };

/* --- what is asked and answered -------------------------------------------------------------- */

static const struct hd_hash_key plain_key = { 1, 2 };

static uint64_t
hash_of(struct hd_slice text)
{
    return hd_hash(&plain_key, text) | 1;
}

/* Its transaction, whichever side it is seen from; 0: a branch that makes none. */
static uint64_t
transaction_of(const struct sip_msg *msg)
{
    if (!hd_slice_istarts(msg->via.branch, HD_LIT("z9hG4bK")))
        return 0;
    const uint64_t way = hd_hash_mix(hash_of(msg->via.host), msg->via.port);
    return hd_hash_mix(hash_of(msg->via.branch), hd_hash_mix(way, hash_of(msg->cseq.method_name))) |
           1;
}

static struct asked *
asked_find(struct run *run, uint64_t key, bool make)
{
    for (unsigned i = 0; i < ASKED; i++) {
        struct asked *asked = &run->asked[(key / 2 + i) % ASKED];
        if (asked->key == key)
            return asked;
        if (asked->key)
            continue;
        if (make)
            asked->key = key;
        return make ? asked : NULL;
    }
    return NULL;
}

/* The newest NOTIFY of a dialog by our tag, or a place for it: with dialog 0, or another's when
 * there are too many. */
static struct shown *
shown_find(struct run *run, uint64_t dialog)
{
    unsigned i = 0;

    while (i < SHOWN - 1 && run->shown[i].dialog != dialog && run->shown[i].dialog)
        i++;
    return &run->shown[i];
}

/* A SUBSCRIBE that was handed in: from now on it may be granted, what it names. */
static void
note_names(struct run *run, struct asked *asked, const struct sip_msg *msg)
{
    const uint8_t names = core_dialogs_named(msg);

    asked->names |= names;
    if (!msg->to_tag.n)
        return;
    asked->dialog = hash_of(msg->to_tag);
    struct shown *shown = shown_find(run, asked->dialog);
    if (shown->dialog == asked->dialog)
        shown->names |= names;
}

/* It was granted: from now on what it names, or what another asks for that was not answered, and
 * nothing else (RFC 4235 section 3.2). */
static void
note_granted(struct run *run, struct asked *asked, const struct sip_msg *msg)
{
    const uint64_t dialog = hash_of(msg->to_tag);
    struct shown *shown = shown_find(run, dialog);

    if (asked->granted == dialog)
        return; /* the same 200 again */
    asked->granted = dialog;
    if (shown->dialog != dialog)
        *shown = (struct shown){ .dialog = dialog };
    shown->names = asked->names;
    for (unsigned i = 0; i < ASKED; i++)
        if (run->asked[i].dialog == dialog && run->asked[i].status <= STATUS_LOST)
            shown->names |= run->asked[i].names;
}

/* Notes a request that has to be answered; ACK never is (RFC 3261 17). */
static struct asked *
note_asked(struct run *run, struct hd_slice text)
{
    char memory[8192];
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;

    hd_arena_init(&arena, memory, sizeof(memory));
    if (sip_msg_parse(text, false, &arena, &msg, &fault) || !msg.request || msg.method == SIP_ACK ||
        !transaction_of(&msg))
        return NULL;
    struct asked *asked = asked_find(run, transaction_of(&msg), true);
    if (asked && !asked->octets) {
        asked->octets = hash_of(text);
        asked->at_ms = run->host.now_ms;
        asked->outside = msg.to_tag.n == 0;
    }
    if (asked && run->names_dialogs)
        note_names(run, asked, &msg);
    return asked;
}

static void
note_answered(struct run *run, const struct host_sent *sent)
{
    struct asked *asked = asked_find(run, transaction_of(&sent->msg), false);

    if (!asked || sent->msg.status < 200)
        return;
    if (asked->status <= STATUS_LOST)
        asked->status = sent->msg.status;
    if (run->names_dialogs && sent->msg.status == 200 && sent->msg.cseq.method == SIP_SUBSCRIBE)
        note_granted(run, asked, &sent->msg);
    asked->passing = asked->outside && sent->msg.cseq.method == SIP_SUBSCRIBE &&
                     hd_slice_eq(sip_msg_value(&sent->msg, SIP_HDR_EXPIRES), HD_LIT("0"));
}

/* Every request is answered, or dropped for a reason that is counted. */
static void
check_answered(const struct run *run)
{
    uint64_t missing = 0, dropped = 0;

    for (unsigned i = 0; i < ASKED; i++)
        missing += run->asked[i].key && !run->asked[i].status;
    for (unsigned i = 0; i < run->host.n; i++)
        dropped += HOST_COUNT(&run->host, i, unanswered);
    FUZZ_CHECK(run->refused_room || missing <= dropped);
}

static uint64_t
made(const struct run *run)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < run->host.n; i++)
        n += HOST_COUNT(&run->host, i, subscriptions_made) +
             HOST_COUNT(&run->host, i, publications_made);
    return n;
}

/* --- what was sent --------------------------------------------------------------------------- */

/* The octets of a publication, a line, are shown to nobody before the store has kept them. */
static void
check_kept_line(const struct run *run, struct hd_slice line)
{
    const size_t end = line.n > 1 ? hd_slice_find(hd_slice_from(line, 1), '#') + 1 : 0;
    const struct hd_slice name = hd_slice(line.p, end);

    if (!end || *line.p != '#')
        return;
    for (const struct host_put *put = run->host.kept; put; put = put->next)
        if (put->stored && put->record.n && memmem(put->record.p, put->record.n, name.p, name.n))
            return;
    FUZZ_CHECK(false); /* a state that the store has not kept was shown */
}

static void
check_kept(const struct run *run, struct hd_slice body)
{
    while (body.n > 0) {
        const size_t end = hd_slice_find(body, '\n');
        check_kept_line(run, hd_slice(body.p, end));
        body = hd_slice_from(body, end < body.n ? end + 1 : end);
    }
}

/* In a dialog NOTIFYs come in order, and one that is repeated is the same to the octet; who named a
 * dialog is shown no other. */
static void
check_order(struct run *run, const struct host_sent *sent)
{
    const uint64_t dialog = hash_of(sent->msg.from_tag), branch = hash_of(sent->msg.via.branch);
    struct shown *shown = shown_find(run, dialog);

    if (shown->dialog != dialog)
        *shown = (struct shown){ .names = CORE_NAMES_NONE };
    FUZZ_CHECK(sent->msg.cseq.number >= shown->cseq);
    if (branch == shown->branch)
        FUZZ_CHECK(hash_of(sent->text) == shown->octets);
    else /* the same one by another transport is a transaction of its own */
        FUZZ_CHECK(sent->msg.cseq.number > shown->cseq || sent->flow.transport != shown->transport);
    if (run->names_dialogs && sent->msg.cseq.number > shown->cseq)
        FUZZ_CHECK(core_dialogs_may(&sent->msg, shown->names));
    *shown = (struct shown){ .dialog = dialog,
                             .branch = branch,
                             .octets = hash_of(sent->text),
                             .cseq = sent->msg.cseq.number,
                             .transport = sent->flow.transport,
                             .names = shown->names };
}

/* The spellings of a user's name that the templates have. */
static struct hd_slice
folded(struct hd_slice user)
{
    return hd_slice_eq(user, HD_LIT("d%61ve")) ? HD_LIT("dave") : user;
}

/* A list of watchers (who_watches() in test_packages.c) has nobody but one, however he wrote
 * himself. */
static void
check_own(struct hd_slice list, struct hd_slice uri)
{
    const size_t at = hd_slice_find(uri, ':') + 1;
    const struct hd_slice user = folded(hd_slice(uri.p + at, hd_slice_find(uri, '@') - at));

    for (size_t n; (n = hd_slice_find(list, '\n')) < list.n; list = hd_slice_from(list, n + 1))
        FUZZ_CHECK(hd_slice_eq(folded(hd_slice(list.p, hd_slice_find(list, ' '))), user));
}

/* Whether it was sent before, by the same way or another. */
static bool
is_repeated(struct run *run, const struct host_sent *sent)
{
    const uint64_t dialog = hash_of(sent->msg.from_tag);
    const struct shown *shown = shown_find(run, dialog);

    return shown->dialog == dialog && shown->cseq == sent->msg.cseq.number;
}

/* A body of a state is for those who may see it, and who may see his own part of it is shown that
 * alone.  What was sent before a polite block is repeated as it was (DECISIONS 10). */
static void
check_shown(struct run *run, const struct host_sent *sent)
{
    const struct hd_slice event = sip_msg_value(&sent->msg, SIP_HDR_EVENT);
    const struct hd_slice package = hd_slice(event.p, hd_slice_find(event, ';'));
    struct evt_identity who = { .key_len = (uint8_t)sent->msg.to.uri.n };

    if (sent->msg.body.n == 0 || hd_slice_eq(sent->msg.body, HD_LIT("(none)")))
        return;
    FUZZ_CHECK(sent->msg.to.uri.n < sizeof(who.key));
    memcpy(who.key, sent->msg.to.uri.p, sent->msg.to.uri.n);
    const enum evt_decision decision = host_judge(&run->host, &who, HD_LIT(""), package).decision;
    if (decision == EVT_POLITE && is_repeated(run, sent))
        return;
    if (hd_slice_eq(package, short_winfo.name) && (decision == EVT_OWN || decision == EVT_POLITE))
        check_own(sent->msg.body, sent->msg.to.uri);
    else
        FUZZ_CHECK(decision == EVT_ALLOW);
}

static void
note_dialog(struct run *run, const struct host_sent *sent)
{
    struct dialog *dialog = &run->dialogs[run->n_dialogs++ % DIALOGS];

    if (sent->msg.to_tag.n != HD_ID_TEXT || sent->msg.call_id.n >= sizeof(dialog->call_id))
        return;
    memset(dialog, 0, sizeof(*dialog));
    memcpy(dialog->tag, sent->msg.to_tag.p, HD_ID_TEXT);
    memcpy(dialog->call_id, sent->msg.call_id.p, sent->msg.call_id.n);
    for (size_t i = 0; i < HD_ARRAY_LEN(users); i++) {
        char uri[40];
        (void)snprintf(uri, sizeof(uri), "sip:%s@example.test", users[i]);
        if (hd_slice_eq(sent->msg.from.uri, hd_slice_str(uri)))
            (void)snprintf(dialog->from, sizeof(dialog->from), "%s", users[i]);
    }
    dialog->cseq = sent->msg.cseq.number;
    dialog->event = events[0];
    dialog->port = sent->flow.remote.port;
}

/* Takes what was sent: tags, entity-tags and NOTIFYs are noted for later steps. */
static void
look(struct run *run)
{
    struct host_sent *sent;

    while ((sent = run->host.sent)) {
        run->host.sent = sent->next;
        if (!run->host.sent)
            run->host.sent_end = &run->host.sent;
        if (getenv("FUZZ_SHOW")) /* for whoever looks into one input */
            fprintf(stderr, "--- %llu shard %u of %u\n%.*s\n", (unsigned long long)sent->at_ms,
                    sent->shard, run->host.n, HD_FMT(sent->text));
        if (sent->msg.request) {
            check_shown(run, sent);
            check_kept(run, sent->msg.body);
            check_order(run, sent);
            struct host_sent **place = &run->notifies[run->n_notifies++ % NOTIFIES];
            free(*place);
            *place = sent;
            continue;
        }
        note_answered(run, sent);
        if (sent->msg.status == 200 && sent->msg.cseq.method == SIP_SUBSCRIBE)
            note_dialog(run, sent);
        struct hd_slice etag = sip_msg_value(&sent->msg, SIP_HDR_SIP_ETAG);
        if (etag.n == HD_ID_TEXT)
            memcpy(run->etags[run->n_etags++ % ETAGS], etag.p, HD_ID_TEXT);
        free(sent);
    }
}

static void
check(struct run *run)
{
    struct evt_shard *shards[HOST_SHARDS];

    for (unsigned i = 0; i < run->host.n; i++) {
        const char *fault = evt_shard_check(run->host.seats[i].shard);
        if (fault)
            fprintf(stderr, "shard %u: %s\n", i, fault);
        FUZZ_CHECK(!fault);
        fault = run->names_dialogs ? host_dialogs_check(run->host.seats[i].shard) : NULL;
        if (fault)
            fprintf(stderr, "shard %u: %s\n", i, fault);
        FUZZ_CHECK(!fault);
        shards[i] = run->host.seats[i].shard;
    }
    const char *fault = evt_shards_check(shards, run->host.n);
    if (fault)
        fprintf(stderr, "between shards: %s\n", fault);
    FUZZ_CHECK(!fault);
}

/* --- requests -------------------------------------------------------------------------------- */

static void
hand_in(struct run *run, const struct kept *kept)
{
    if (getenv("FUZZ_SHOW"))
        fprintf(stderr, ">>> %llu\n%.*s\n", (unsigned long long)run->host.now_ms, (int)kept->n,
                kept->text);
    (void)note_asked(run, hd_slice(kept->text, kept->n));
    host_receive(&run->host, &kept->flow, hd_slice(kept->text, kept->n));
}

static void
request(struct run *run, struct host_request *r)
{
    struct kept *kept = &run->requests[run->n_requests++ % REQUESTS];
    char headers[400];
    const char *tcp[] = { "", "", "", "t" };

    (void)snprintf(headers, sizeof(headers), "%s%s%s", r->headers ? r->headers : "",
                   PICK(run, extras), run->host.needs_digest ? PICK(run, auths) : "");
    r->headers = headers;
    if (!r->port)
        r->port = host_port_of(&run->host, take(run, run->host.n));
    kept->flow = host_flow(r->port);
    if (*PICK(run, tcp)) {
        r->transport = HD_TCP;
        kept->flow.transport = HD_TCP;
        kept->flow.listener = 1;
        kept->flow.conn = hd_conn_make(take(run, run->host.n), 1, take(run, 2));
    }
    kept->n = host_write(r, kept->text, sizeof(kept->text));
    hand_in(run, kept);
}

static const char *
pick_event(struct run *run)
{
    return run->names_dialogs ? PICK(run, core_dialog_events) : PICK(run, events);
}

static void
initial(struct run *run)
{
    char call_id[8];
    struct host_request r = { .uri = PICK(run, resources),
                              .from = PICK(run, users),
                              .event = pick_event(run),
                              .expires = PICK(run, durations),
                              .contact = PICK(run, contacts),
                              .cseq = 1 };

    (void)snprintf(call_id, sizeof(call_id), "i%u", run->serial++ % 64);
    r.call_id = call_id;
    if (take(run, 16) == 1)
        r.body = "body";
    request(run, &r);
}

static void
in_dialog(struct run *run)
{
    struct dialog *dialog = &run->dialogs[take(run, DIALOGS)];

    if (!dialog->tag[0])
        return;
    dialog->cseq += take(run, 4);
    struct host_request r = { .from = dialog->from[0] ? dialog->from : NULL,
                              .to_tag = dialog->tag,
                              .call_id = dialog->call_id,
                              .cseq = dialog->cseq,
                              .event = pick_event(run),
                              .expires = PICK(run, durations),
                              .port = dialog->port,
                              .contact = PICK(run, contacts) };
    request(run, &r);
}

static void
publish(struct run *run)
{
    char call_id[8], headers[64] = "", body[3000];
    const char *etag = run->etags[take(run, ETAGS)];
    const unsigned size = take(run, 64);

    (void)snprintf(call_id, sizeof(call_id), "p%u", run->serial++ % 100);
    if (*etag && take(run, 3))
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %.32s\r\n", etag);
    memset(body, 'a' + (int)take(run, 4), sizeof(body));
    (void)snprintf(body, 16, "#%u#", run->serial);
    body[strlen(body)] = 'b';
    body[size * 40] = '\0';
    struct host_request r = { .method = "PUBLISH",
                              .uri = PICK(run, resources),
                              .from = PICK(run, users),
                              .event = pick_event(run),
                              .expires = PICK(run, durations),
                              .call_id = call_id,
                              .headers = headers,
                              .body = size ? body : NULL };
    if (run->names_dialogs && size)
        core_dialogs_write(&run->said, size, run->serial, body, sizeof(body));
    request(run, &r);
}

static void
registers(struct run *run)
{
    char call_id[8];
    struct host_request r = { .method = "REGISTER",
                              .uri = "sip:example.test",
                              .to_uri = PICK(run, resources),
                              .from = PICK(run, users),
                              .expires = PICK(run, durations),
                              .contact = PICK(run, contacts) };

    (void)snprintf(call_id, sizeof(call_id), "r%u", take(run, 4));
    r.call_id = call_id;
    r.cseq = 1 + run->serial++ % 50;
    request(run, &r);
}

static void
other(struct run *run)
{
    static const char *const methods[] = { "CANCEL", "OPTIONS", "ACK", "INVITE", "BREW", "NOTIFY" };
    struct host_request r = { .method = PICK(run, methods),
                              .uri = PICK(run, resources),
                              .expires = -1 };

    if (run->n_requests && take(run, 2))
        r.branch = "SUBSCRIBE-i1-1";
    request(run, &r);
}

static void
again(struct run *run)
{
    const struct kept *kept = &run->requests[take(run, REQUESTS)];
    struct asked *asked;

    if (!kept->n)
        return;
    if (take(run, 2)) {
        hand_in(run, kept);
        return;
    }
    host_settle(&run->host);
    look(run);
    asked = note_asked(run, hd_slice(kept->text, kept->n));
    const bool known = asked && asked->status == 200 && kept->flow.transport == HD_UDP &&
                       asked->octets == hash_of(hd_slice(kept->text, kept->n)) &&
                       run->host.now_ms < asked->at_ms + SIP_TIMER_F_MS - SIP_T1_MS;
    const uint64_t before = made(run);
    hand_in(run, kept);
    host_settle(&run->host);
    FUZZ_CHECK(!known || made(run) == before);
}

static void
mangled(struct run *run)
{
    struct kept kept = run->requests[take(run, REQUESTS)];

    if (!kept.n)
        return;
    for (unsigned n = take(run, 4) + 1; n > 0; n--) {
        const size_t at = (take(run, 256) * 256u + take(run, 256)) % kept.n;
        kept.text[at] = (char)take(run, 256);
    }
    if (take(run, 4) == 1)
        kept.n = (take(run, 256) * 256u + take(run, 256)) % kept.n;
    hand_in(run, &kept);
}

static void
raw(struct run *run)
{
    struct kept kept = { .flow = host_flow(host_port_of(&run->host, 0)) };

    kept.n = take(run, 256);
    if (kept.n > run->left)
        kept.n = run->left;
    memcpy(kept.text, run->p, kept.n);
    run->p += kept.n;
    run->left -= kept.n;
    hand_in(run, &kept);
}

/* --- everything else ------------------------------------------------------------------------- */

static void
answer(struct run *run)
{
    struct host_sent *notify = run->notifies[take(run, NOTIFIES)];
    const unsigned code = PICK(run, codes);

    if (notify)
        host_answer_only(&run->host, notify, code, PICK(run, answers));
}

static void
answer_new(struct run *run)
{
    if (run->n_notifies && run->notifies[(run->n_notifies - 1) % NOTIFIES])
        host_answer_only(&run->host, run->notifies[(run->n_notifies - 1) % NOTIFIES], 200, "");
}

static void
breaks(struct run *run)
{
    const struct host_sent *notify = run->notifies[take(run, NOTIFIES)];
    const unsigned shard = take(run, run->host.n);

    if (notify && take(run, 2))
        evt_shard_send_failed(host_shard(&run->host, shard), notify->owner, &notify->flow,
                              run->host.now_ms * 1000);
    else
        evt_shard_closed(host_shard(&run->host, shard), hd_conn_make(shard, 1, take(run, 2)),
                         run->host.now_ms * 1000);
}

/* --- the end of a broker and its next start -------------------------------------------------- */

/* Connections end with the broker; clients make new ones, to shards that are there. */
static void
reconnect(const struct run *run, struct hd_flow *flow)
{
    if (flow->conn)
        flow->conn = hd_conn_make(hd_conn_shard(flow->conn) % run->host.n, 1, 0);
}

static void
restarts(struct run *run)
{
    struct host_ending ending = { .clean = take(run, 2), .down_ms = PICK(run, steps_ms) };
    const unsigned n = 1 + take(run, HOST_SHARDS);

    if (run->host.store == HOST_STORE_FAILS || run->host.store == HOST_STORE_REFUSES)
        ending.clean = false; /* it would want to, but cannot write */
    if (!ending.clean)
        ending.kept = take(run, 6);
    else if (take(run, 2)) {
        ending.down_ms = 0;
        run->host.store = HOST_STORE_NOW;
        host_settle(&run->host);
    }
    look(run);
    const unsigned before = core_in_force(&run->host, 0),
                   sure = core_in_force(&run->host, run->host.late_ms);
    const bool unsure = run->unkept || run->host.puts, ended = core_has_ended_some(&run->host);
    if (getenv("FUZZ_SHOW"))
        fprintf(stderr, "=== %s, %u records kept, %u shards, %llu ms\n",
                ending.clean ? "clean" : "crash", ending.kept, n,
                (unsigned long long)ending.down_ms);
    host_restart(&run->host, n, &ending);
    /* A removal that the store refused leaves somebody who ended; he is told so by his 481.  What
     * is granted from the answer is kept from the request, so that no start makes it longer. */
    const unsigned after = core_in_force(&run->host, 0);
    FUZZ_CHECK(!ending.clean || ending.down_ms > 0 || run->unkept ||
               (sure <= after && after <= before));
    /* What let a CSeq go may be lost with the records that were not kept; its branch is used up. */
    for (unsigned i = 0; i < SHOWN && !ending.clean && unsure; i++)
        run->shown[i].cseq = 0;
    for (unsigned i = 0; i < ASKED; i++) {
        if (run->asked[i].passing || ended)
            run->asked[i].octets = run->asked[i].status = 0;
        if (!run->asked[i].status)
            run->asked[i].status = STATUS_LOST;
    }
    for (unsigned i = 0; i < REQUESTS; i++)
        reconnect(run, &run->requests[i].flow);
    for (unsigned i = 0; i < NOTIFIES; i++)
        if (run->notifies[i])
            reconnect(run, &run->notifies[i]->flow);
}

static void
releases(struct run *run)
{
    const unsigned n = take(run, 4) + 1;
    const enum hd_err err = take(run, 3) == 1 ? HD_ESTORE : HD_OK;

    run->unkept = run->unkept || err;
    host_store_release(&run->host, n, err);
}

static void
store(struct run *run)
{
    const unsigned what = take(run, 6);

    run->unkept = run->unkept || what == 1 || what == 2;
    switch (what) {
    case 0:
        run->host.store = HOST_STORE_LATER;
        break;
    case 1:
        run->host.store = HOST_STORE_FAILS;
        break;
    case 2:
        run->host.store = HOST_STORE_REFUSES;
        break;
    case 3:
        run->host.store = HOST_STORE_NOW;
        break;
    case 4:
        restarts(run);
        break;
    default:
        releases(run);
    }
}

static void
use_packages(const struct run *run, struct evt_config *config, bool others)
{
    config->packages = others               ? other_packages
                       : run->names_dialogs ? dialog_packages
                                            : all_packages;
    config->n_packages = others               ? HD_ARRAY_LEN(other_packages)
                         : run->names_dialogs ? HD_ARRAY_LEN(dialog_packages)
                                              : HD_ARRAY_LEN(all_packages);
}

static void
configures(struct run *run)
{
    struct evt_config *config = host_config_copy(&run->host);
    static const char *const rule_users[] = { NULL, "sip:alice@example.test",
                                              "sip:bob@example.test" };

    switch (take(run, 6)) {
    case 0:
        run->host.n_rules = 0;
        break;
    case 1:
        run->host.n_rules = 1;
        run->host.rules[0] = (struct host_rule){ .user = PICK(run, rule_users) };
        run->host.rules[0].decision = (enum evt_decision)take(run, 4);
        break;
    case 2:
        run->host.n_rules = 2;
        run->host.rules[0] = (struct host_rule){ .package = "x-state.winfo" };
        run->host.rules[0].user = PICK(run, rule_users);
        run->host.rules[0].decision = (enum evt_decision)take(run, EVT_OWN + 1);
        run->host.rules[1] = (struct host_rule){ .user = PICK(run, rule_users) };
        run->host.rules[1].decision = (enum evt_decision)take(run, 4);
        break;
    case 3:
        config->limits.window_start = 1 + take(run, 3);
        config->limits.window_from = take(run, 4);
        config->limits.sends_per_turn = 1 + take(run, 4);
        break;
    case 4:
        config->limits.waiting_per_record = take(run, 4);
        config->limits.publications_per_resource = take(run, 4);
        config->limits.bindings_per_user = 1 + take(run, 3);
        config->limits.subscriptions_per_watcher = 1 + take(run, 8);
        config->limits.failures_burst = take(run, 3) * 5;
        config->on_timeout = take(run, 2) ? EVT_TIMEOUT_PARK : EVT_TIMEOUT_END;
        break;
    default:
        use_packages(run, config, take(run, 2));
    }
    host_configure(&run->host, config, hd_slice(NULL, 0));
}

static void
partial(struct run *run)
{
    struct evt_shard *shard = host_shard(&run->host, take(run, run->host.n));

    switch (take(run, 4)) {
    case 0:
        evt_shard_drain(shard, run->host.now_ms * 1000);
        break;
    case 1:
        (void)evt_shard_turn(shard, run->host.now_ms * 1000);
        break;
    case 2:
        run->host.now_ms += PICK(run, steps_ms);
        break;
    default:
        evt_watch_catch_up(shard);
    }
}

static void
step(struct run *run)
{
    switch (take(run, 18)) {
    case 0:
    case 1:
        initial(run);
        break;
    case 2:
    case 3:
        in_dialog(run);
        break;
    case 4:
        publish(run);
        break;
    case 5:
        registers(run);
        break;
    case 6:
        other(run);
        break;
    case 7:
        again(run);
        break;
    case 8:
        mangled(run);
        break;
    case 9:
        raw(run);
        break;
    case 10:
        answer(run);
        break;
    case 11:
        answer_new(run);
        break;
    case 12:
        breaks(run);
        break;
    case 13:
        store(run);
        break;
    case 14:
        configures(run);
        break;
    case 15:
        partial(run);
        return; /* in the middle of things */
    case 16:
        if (take(run, 4) == 0)
            evt_shard_terminate_all(host_shard(&run->host, take(run, run->host.n)), take(run, 2),
                                    run->host.now_ms * 1000);
        run->host.reserve_fails = take(run, 4) == 1;
        run->refused_room = run->refused_room || run->host.reserve_fails;
        break;
    default:
        host_wait(&run->host, PICK(run, steps_ms));
    }
    if (take(run, 3))
        host_settle(&run->host);
}

/* Nobody renews anything: all that is held goes. */
static void
let_go(struct run *run)
{
    run->host.store = HOST_STORE_NOW;
    run->host.reserve_fails = false;
    host_settle(&run->host);
    look(run);
    for (unsigned i = 0; i < 60; i++) {
        host_wait(&run->host, 200000);
        look(run);
        check(run);
    }
    for (unsigned i = 0; i < run->host.n; i++) {
        const struct evt_shard *shard = host_shard(&run->host, i);
        FUZZ_CHECK(shard->subs.count == 0 && shard->pubs.count == 0 && shard->accounts.count == 0);
        FUZZ_CHECK(shard->hops.count == 0 && shard->mirrors.count == 0 &&
                   shard->resources.count == 0 && shard->watchers.used == 0);
        FUZZ_CHECK(shard->waits.count == 0);
        FUZZ_CHECK(shard->n_flights == 0 && shard->waiting == 0);
        FUZZ_CHECK(shard->wheel.count == 0);
        FUZZ_CHECK(evt_shard_quiet(shard));
    }
    FUZZ_CHECK(host_dialogs_named() == 0);
    check_answered(run);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *run = calloc(1, sizeof(*run));
    struct evt_config *config;

    FUZZ_CHECK(run != NULL);
    run->p = data;
    run->left = size;
    host_init(&run->host, 1 + take(run, HOST_SHARDS));
    const unsigned flags = take(run, 256);
    run->host.needs_digest = flags & 1;
    run->host.counts = flags & 2;
    run->host.unproven = flags & 4;
    run->host.anonymous = flags & 8;
    run->host.nonce_id = flags & 16 ? UINT64_MAX : 1;
    config = host_config_copy(&run->host);
    config->registrar.max_expires_s = 3600;
    config->limits.waiting_keep_s = 3600;
    run->names_dialogs = size > 0 && data[0] >= 192 && flags & 64;
    use_packages(run, config, false);
    if (run->names_dialogs)
        host_dialogs(&run->host);
    if (flags & 32)
        config->limits.udp_size = 600;
    host_configure(&run->host, config, hd_slice(NULL, 0));
    for (unsigned i = 0; i < STEPS_MAX && run->left > 0; i++) {
        step(run);
        look(run);
        check(run);
    }
    let_go(run);
    for (unsigned i = 0; i < NOTIFIES; i++)
        free(run->notifies[i]);
    host_done(&run->host);
    free(run);
    return 0;
}
