/* calls_trace.c - the call `trace`: what the shards have recorded, in one order and in words.
 *
 * Each shard reads its own recorder on its own thread; what it found is put into one order by time
 * here.  Decisions are told in words, so that every face of the daemon says the same.  What peers
 * wrote goes through the JSON library, which escapes it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/str.h"
#include "heraldd/calls_core.h"
#include "net/net.h"
#include "policy/book.h"
#include "policy/policy.h"
#include "sip/priority.h"
#include "sip/uri.h"

#define LIMIT_USUAL 1000u
#define LIMIT_MOST 20000u

struct row {
    uint64_t at_us, place;
    unsigned shard;
    json_t *json;
};

struct part {
    struct trace *trace;
    unsigned shard;
    struct row *rows;
    size_t n, cap;
    uint64_t since, next;
    bool failed, truncated;
};

struct trace {
    struct hd_reply *reply;
    struct evt_config *config; /* for the words about rules */
    char *about;
    char name[SIP_KEY_MAX];
    struct evt_recall recall;
    int64_t wall_us; /* to be added to the shards' clock */
    bool looks;      /* see struct hd_call */
    unsigned shards;
    struct part parts[];
};

/* --- who decided ------------------------------------------------------------------------------ */

struct wanted_rule {
    uint32_t id;
    const struct pol_rule *rule;
};

static bool
visit_rule(void *context, const struct pol_rule *rule)
{
    struct wanted_rule *wanted = context;

    if (rule->id == wanted->id)
        wanted->rule = rule;
    return wanted->rule == NULL;
}

static void
rule_words(const struct evt_config *config, uint32_t id, struct hd_str *out)
{
    const struct pol_settings *settings = config ? config->policy : NULL;
    struct wanted_rule wanted = { .id = id };

    if (!id) {
        hd_str_add_str(out, "no rule fits, the package's default or ownership decides");
        return;
    }
    if (settings && settings->book)
        pol_book_each_rule(settings->book, visit_rule, &wanted);
    hd_str_addf(out, "rule %" PRIu32 " decides", id);
    if (!wanted.rule) {
        hd_str_add_str(out, config ? " (it is no more)" : "");
        return;
    }
    hd_str_add_str(out, " (");
    hd_str_add(out, pol_action_word(wanted.rule->action));
    hd_str_add_str(out, " ");
    hd_str_add(out, wanted.rule->watcher);
    hd_str_add_str(out, ")");
}

/* --- decisions in words ----------------------------------------------------------------------- */

const char *
hd_held_words(uint64_t why)
{
    switch ((enum evt_held)why) {
    case EVT_HELD_IN_FLIGHT:
        return "held back: the NOTIFY before it is not answered yet; the newest state follows";
    case EVT_HELD_PACE:
        return "held back: the package's pace; the newest state follows when it allows";
    case EVT_HELD_WINDOW:
        return "held back: the window of its next hop is full";
    case EVT_HELD_BACKOFF:
        return "held back: the last NOTIFY failed; the whole state follows after a pause";
    case EVT_HELD_PARKED:
        return "parked: its next hop does not answer; tried again later";
    case EVT_HELD_UNPROVEN:
        return "held back: the address has not proven itself, and was sent enough";
    case EVT_HELD_ROUTE:
        return "held back a moment: through a proxy the NOTIFY might overtake the 200";
    case EVT_HELD_NAME:
        return "held back: the name of its next hop is being looked up";
    case EVT_HELD_RATE:
        return "held back: the subscriber's max-rate; the newest state follows when it allows";
    }
    return "held back";
}

static void
end_words(const struct evt_recalled *row, struct hd_str *out)
{
    const struct hd_slice reason = evt_reason_word((unsigned)row->detail);

    hd_str_add_str(out, "the subscription ended");
    if (reason.n) {
        hd_str_add_str(out, ": ");
        hd_str_add(out, reason);
    } else {
        hd_str_add_str(out, ": its subscriber is gone, nobody is told");
    }
}

void
hd_did_words(const struct evt_config *config, const struct evt_recalled *row, struct hd_str *out)
{
    switch ((enum evt_did)row->what) {
    case EVT_DID_ACCEPT:
        if (row->detail)
            hd_str_addf(out, "kept by the store; granted for %" PRIu64 " s", row->detail);
        else
            hd_str_add_str(out, "asked with Expires 0: one NOTIFY, and it is over");
        break;
    case EVT_DID_TIMEOUT:
        hd_str_add_str(out, "no answer within 32 s (Timer F)");
        break;
    case EVT_DID_HOLD:
        hd_str_add_str(out, hd_held_words(row->detail));
        break;
    case EVT_DID_DROP:
        hd_str_add_str(out, "an event was dropped: the queue is full");
        break;
    case EVT_DID_END:
        end_words(row, out);
        break;
    case EVT_DID_PUBLISH:
        hd_str_add_str(out, "kept by the store; the state is composed anew");
        break;
    case EVT_DID_EXPIRE:
        hd_str_add_str(out, "the publication expired; the state is composed without it");
        break;
    case EVT_DID_TELL:
        hd_str_add_str(out, "told over HTTP");
        break;
    case EVT_DID_FILTER:
        hd_str_add_str(out, row->detail == 1   ? "the filter fires"
                            : row->detail == 2 ? "the filter is armed again"
                                               : "the filter does not fire");
        break;
    case EVT_DID_DENY:
        hd_str_add_str(out, "not allowed: ");
        rule_words(config, (uint32_t)row->detail, out);
        break;
    case EVT_DID_UNKEPT:
        hd_str_add_str(out, "the store could not keep it: nothing has changed");
        break;
    case EVT_DID_PRIORITY:
        hd_str_add_str(out, "its Resource-Priority ");
        hd_str_add(out, sip_priority_text((unsigned)row->detail));
        hd_str_add_str(out, " is allowed: its NOTIFYs go before those of others");
        break;
    case EVT_DID_REFUSE:
    case EVT_DID_SEND:
    case EVT_DID_RESEND:
    case EVT_DID_ANSWERED:
        break;
    }
    if (row->octets.n && out->n)
        hd_str_add_str(out, ": ");
    hd_str_add(out, row->octets);
}

static const char *
did_name(unsigned what)
{
    static const char *const names[] = {
        [EVT_DID_ACCEPT] = "accept",     [EVT_DID_REFUSE] = "refuse",
        [EVT_DID_SEND] = "send",         [EVT_DID_RESEND] = "resend",
        [EVT_DID_ANSWERED] = "answered", [EVT_DID_TIMEOUT] = "timeout",
        [EVT_DID_HOLD] = "hold",         [EVT_DID_DROP] = "drop",
        [EVT_DID_END] = "end",           [EVT_DID_PUBLISH] = "publish",
        [EVT_DID_EXPIRE] = "expire",     [EVT_DID_UNKEPT] = "unkept",
        [EVT_DID_FILTER] = "filter",     [EVT_DID_DENY] = "deny",
        [EVT_DID_TELL] = "tell",         [EVT_DID_PRIORITY] = "priority",
    };

    return what < HD_ARRAY_LEN(names) && names[what] ? names[what] : "unknown";
}

static void
subject_words(const struct evt_config *config, const struct evt_recalled *row, struct hd_str *out)
{
    static const char *const sees[] = { "all", "the neutral state", "nothing yet",
                                        "his own entry" };

    if (strcmp(row->subject, "refused") == 0) {
        hd_str_addf(out, "refused with %u", row->status);
        return;
    }
    hd_str_add(out, row->who);
    if (strcmp(row->subject, "publication") == 0) {
        hd_str_add_str(out, " may publish ");
        hd_str_add(out, row->package);
        return;
    }
    hd_str_add_str(out, " (known by ");
    hd_str_add(out, row->proof);
    hd_str_add_str(out, ") watches ");
    hd_str_add(out, row->package);
    hd_str_addf(out, " and sees %s: ",
                row->transform < HD_ARRAY_LEN(sees) ? sees[row->transform] : "a part");
    if (row->place)
        rule_words(config, row->rule, out);
    else
        hd_str_add_str(out, "accepted before what is recorded");
}

/* --- rows ------------------------------------------------------------------------------------- */

static bool
set_words(json_t *json, struct hd_str *words)
{
    json_t *value = words->err ? NULL : hd_json_slice(hd_str_slice(words));
    const bool ok = value && json_object_set_new(json, "words", value) == 0;

    hd_str_done(words);
    return ok;
}

/* Octets that are not text travel in hexadecimal. */
static bool
set_octets(json_t *json, struct hd_slice octets)
{
    static const char hex[] = "0123456789abcdef";
    const bool plain = octets.n > 0 && !memchr(octets.p, 0, octets.n);
    json_t *text = plain ? json_stringn(octets.p, octets.n) : NULL;
    struct hd_str out = { 0 };
    bool ok;

    if (text)
        return json_object_set_new(json, "message", text) == 0;
    for (size_t i = 0; i < octets.n; i++) {
        hd_str_add_char(&out, hex[(unsigned char)octets.p[i] >> 4]);
        hd_str_add_char(&out, hex[(unsigned char)octets.p[i] & 15]);
    }
    ok = !out.err && json_object_set_new(json, "message_hex", json_string(hd_str_text(&out))) == 0;
    hd_str_done(&out);
    return ok;
}

/* Up to the empty line. */
static struct hd_slice
head_of(struct hd_slice octets)
{
    for (size_t i = 0; i + 4 <= octets.n; i++)
        if (memcmp(octets.p + i, "\r\n\r\n", 4) == 0)
            return hd_slice(octets.p, i + 4);
    return octets;
}

static json_t *
message_json(const struct evt_recalled *row, bool looks)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:b}", "kind", "message", "direction", row->out ? "out" : "in",
        "transport", hd_json_slice(hd_transport_name((enum hd_transport)row->transport)), "local",
        hd_json_addr(&row->local), "remote", hd_json_addr(&row->remote), "cut", (int)row->cut);
    const struct hd_slice shown = looks ? head_of(row->octets) : row->octets;

    if (json && set_octets(json, shown) &&
        (!looks || json_object_set_new(json, "body_octets",
                                       json_integer((json_int_t)(row->octets.n - shown.n))) == 0))
        return json;
    json_decref(json);
    return NULL;
}

/* What a filter compared is event state. */
struct evt_recalled
hd_did_for(const struct evt_recalled *row, bool looks)
{
    struct evt_recalled shown = *row;

    if (looks && row->kind == EVT_RECALLED_DID && row->what == EVT_DID_FILTER)
        shown.octets = hd_slice(NULL, 0);
    return shown;
}

static json_t *
did_json(const struct evt_config *config, const struct evt_recalled *row)
{
    json_t *json = json_pack("{s:s, s:s, s:I}", "kind", "decision", "what", did_name(row->what),
                             "detail", (json_int_t)row->detail);
    struct hd_str words = { 0 };

    hd_did_words(config, row, &words);
    if (set_words(json, &words))
        return json;
    json_decref(json);
    return NULL;
}

static const char *
sees_name(uint8_t transform)
{
    static const char *const names[] = { "all", "neutral", "nothing", "own" };

    return transform < HD_ARRAY_LEN(names) ? names[transform] : "part";
}

static json_t *
subject_json(const struct evt_config *config, const struct evt_recalled *row)
{
    char call[17];
    struct hd_str words = { 0 };

    (void)snprintf(call, sizeof(call), "%016" PRIx64, row->call);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:i, s:i, s:b}", "kind", "subject",
        "subject", row->subject, "call", call, "call_id", hd_json_slice(row->call_id), "resource",
        hd_json_slice(row->resource), "package", hd_json_slice(row->package), "who",
        hd_json_slice(row->who), "proof", hd_json_slice(row->proof), "state",
        row->state ? row->state : "", "sees", sees_name(row->transform), "rule", (int)row->rule,
        "status", (int)row->status, "now", row->place == 0);
    subject_words(config, row, &words);
    if (json && set_words(json, &words))
        return json;
    hd_str_done(&words);
    json_decref(json);
    return NULL;
}

static json_t *
row_json(const struct trace *trace, const struct evt_recalled *row)
{
    const struct evt_recalled shown = hd_did_for(row, trace->looks);

    switch (row->kind) {
    case EVT_RECALLED_MESSAGE:
        return message_json(row, trace->looks);
    case EVT_RECALLED_DID:
        return did_json(trace->config, &shown);
    case EVT_RECALLED_SUBJECT:
        return subject_json(trace->config, row);
    }
    return NULL;
}

static bool
part_room(struct part *part)
{
    if (part->n < part->cap)
        return true;
    const size_t cap = part->cap ? 2 * part->cap : 64;
    struct row *more = realloc(part->rows, cap * sizeof(*more));
    if (!more)
        return false;
    part->rows = more;
    part->cap = cap;
    return true;
}

static void
visit_recalled(void *context, const struct evt_recalled *row)
{
    struct part *part = context;
    char flow[17];

    if (part->failed)
        return;
    json_t *json = row_json(part->trace, row);
    (void)snprintf(flow, sizeof(flow), "%016" PRIx64, row->key);
    if (!json || !part_room(part) ||
        json_object_set_new(json, "at_us",
                            json_integer((json_int_t)row->at_us + part->trace->wall_us)) ||
        json_object_set_new(json, "shard", json_integer(part->shard)) ||
        json_object_set_new(json, "flow", json_string(flow))) {
        json_decref(json);
        part->failed = true;
        return;
    }
    /* What there is now comes first: it is not told when it began. */
    part->rows[part->n++] = (struct row){ .at_us = row->place ? row->at_us : 0,
                                          .place = row->place,
                                          .shard = part->shard,
                                          .json = json };
}

static void
run_trace(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
          uint64_t now_us)
{
    struct trace *trace = context;
    struct part *part = &trace->parts[shard];
    struct evt_recall recall = trace->recall;

    (void)net;
    recall.since = part->since;
    part->trace = trace;
    part->shard = shard;
    part->truncated = evt_shard_recall(evt, &recall, now_us, visit_recalled, part, &part->next);
}

/* --- one order -------------------------------------------------------------------------------- */

static int
by_time(const void *left, const void *right)
{
    const struct row *a = left, *b = right;

    if (a->at_us != b->at_us)
        return a->at_us < b->at_us ? -1 : 1;
    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

/* All rows in one array that is sorted; NULL: memory was short. */
static struct row *
all_rows(struct trace *trace, size_t *ret_n)
{
    struct row *rows;
    size_t n = 0;

    for (unsigned i = 0; i < trace->shards; i++) {
        if (trace->parts[i].failed)
            return NULL;
        n += trace->parts[i].n;
    }
    rows = calloc(n + 1, sizeof(*rows));
    if (!rows)
        return NULL;
    n = 0;
    for (unsigned i = 0; i < trace->shards; i++)
        for (size_t k = 0; k < trace->parts[i].n; k++)
            rows[n++] = trace->parts[i].rows[k];
    qsort(rows, n, sizeof(*rows), by_time);
    *ret_n = n;
    return rows;
}

static json_t *
trace_result(struct trace *trace)
{
    json_t *events = json_array(), *next = json_array();
    bool truncated = false, ok = events && next;
    size_t n = 0;
    struct row *rows = ok ? all_rows(trace, &n) : NULL;
    const size_t most = trace->recall.limit;

    ok = ok && rows;
    for (size_t i = n > most ? n - most : 0; ok && i < n; i++)
        ok = json_array_append(events, rows[i].json) == 0;
    free(rows);
    for (unsigned i = 0; ok && i < trace->shards; i++) {
        truncated = truncated || trace->parts[i].truncated;
        ok = json_array_append_new(next, json_integer((json_int_t)trace->parts[i].next)) == 0;
    }
    if (ok)
        return json_pack("{s:o, s:o, s:b}", "events", events, "next", next, "truncated",
                         (int)(truncated || n > most));
    json_decref(events);
    json_decref(next);
    return NULL;
}

static void
trace_free(struct trace *trace)
{
    for (unsigned i = 0; i < trace->shards; i++) {
        for (size_t k = 0; k < trace->parts[i].n; k++)
            json_decref(trace->parts[i].rows[k].json);
        free(trace->parts[i].rows);
    }
    evt_config_unref(trace->config);
    free(trace->about);
    free(trace);
}

static void
finish_trace(void *context)
{
    struct trace *trace = context;

    hd_reply_result(trace->reply, trace_result(trace));
    trace_free(trace);
}

static const struct hd_sweep_ops trace_ops = { run_trace, finish_trace };

/* --- the call --------------------------------------------------------------------------------- */

uint64_t
hd_hex_id(struct hd_slice text)
{
    uint64_t id = 0;

    if (text.n != 16)
        return 0;
    for (size_t i = 0; i < text.n; i++) {
        const int digit = hd_hex_digit(text.p[i]);
        if (digit < 0)
            return 0;
        id = id << 4 | (uint64_t)digit;
    }
    return id;
}

/* A text may be a user, an address here or elsewhere, an id, or a Call-ID: whatever it can be is
 * looked for. */
static void
read_about(const struct hd_call *call, struct trace *trace)
{
    const struct hd_slice text = hd_slice_str(trace->about);
    struct sip_uri uri;
    size_t n = 0;

    trace->recall.call_id = text;
    trace->recall.id = hd_hex_id(text);
    if (hd_daemon_resource(call->daemon, text, trace->name, &n) == HD_OK ||
        (sip_uri_parse(text, &uri) == HD_OK &&
         sip_identity_key(&uri, &trace->config->served, trace->name, &n) == HD_OK))
        trace->recall.name = hd_slice(trace->name, n);
}

static bool
read_since(const struct hd_call *call, struct trace *trace)
{
    const json_t *since = json_object_get(call->args, "since");

    if (!since)
        return true;
    if (json_array_size(since) != trace->shards)
        return false;
    for (unsigned i = 0; i < trace->shards; i++) {
        const json_t *place = json_array_get(since, i);
        if (!json_is_integer(place) || json_integer_value(place) < 0)
            return false;
        trace->parts[i].since = (uint64_t)json_integer_value(place);
    }
    return true;
}

int64_t
hd_wall_offset_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - (int64_t)net_now_us();
}

static void
call_trace(const struct hd_call *call)
{
    const unsigned shards = hd_host_shards(call->daemon->host);
    const json_t *limit = json_object_get(call->args, "limit");
    const json_int_t most = limit ? json_integer_value(limit) : LIMIT_USUAL;
    struct trace *trace;

    if (most < 1 || most > LIMIT_MOST) {
        hd_reply_error(call->reply, "limit is from 1 to %u", LIMIT_MOST);
        return;
    }
    trace = calloc(1, sizeof(*trace) + shards * sizeof(trace->parts[0]));
    char *about = trace ? hd_slice_strdup(hd_call_arg(call, "about")) : NULL;
    if (!about) {
        free(trace);
        hd_reply_result(call->reply, NULL);
        return;
    }
    trace->reply = call->reply;
    trace->config = evt_config_ref(call->daemon->config);
    trace->about = about;
    trace->looks = call->looks;
    trace->shards = shards;
    trace->recall.limit = (uint32_t)most;
    trace->wall_us = hd_wall_offset_us();
    read_about(call, trace);
    if (!read_since(call, trace)) {
        hd_reply_error(call->reply, "since is what the last answer had in \"next\"");
        trace_free(trace);
    } else if (call->daemon->phase == HD_PHASE_ENDED ||
               hd_host_sweep(call->daemon->host, &trace_ops, trace)) {
        hd_reply_error(call->reply, "the daemon is about to end");
        trace_free(trace);
    }
}

static const struct hd_call_row table[] = {
    { "trace",
      call_trace,
      { { "about", JSON_STRING, true },
        { "since", JSON_ARRAY, false },
        { "limit", JSON_INTEGER, false } } },
};

const struct hd_call_row *
hd_calls_trace(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
