/* calls_explain.c - why somebody was told, or was not: one sentence, and what it rests on.
 *
 * On the shard of a subscription its record says how it stands, and the flow recorder what happened
 * last: the NOTIFY and its answer, what held one back, what the filter saw.  Of who has no
 * subscription the recorder says whether he was refused, or how it ended. */
#include "heraldd/calls_explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "heraldd/calls_core.h"

#define LAST 400u   /* entries that are looked through */
#define EVIDENCE 6u /* of them, the newest, that are shown */
#define LINE 400u
#define SEES_NEUTRAL 1u /* enum evt_transform */

/* What happened last of each kind; 0: never. */
struct lately {
    struct hd_slice resource, package; /* of the subject that is looked for; empty: any */
    uint64_t now_us;
    uint64_t told_us, answered_us, held_us, filter_us, refused_us, ended_us, denied_us, timeout_us;
    unsigned status, refused;
    uint64_t held, rule, ended, denied;
    bool fired, looks;
    uint8_t sees;
    uint64_t subject; /* key of the newest subject that fits */
    char filter[LINE];
    char priority[32]; /* of the last NOTIFY; empty: none */
    struct {
        uint64_t at_us;
        char words[LINE];
    } line[EVIDENCE];
    unsigned n_lines;
};

static void
add_line(struct lately *l, uint64_t at_us, struct hd_slice words)
{
    const unsigned at = l->n_lines++ % EVIDENCE;

    l->line[at].at_us = at_us;
    (void)snprintf(l->line[at].words, LINE, "%.*s", (int)(words.n < LINE ? words.n : LINE - 1),
                   words.p);
}

static unsigned
status_of(struct hd_slice octets)
{
    uint32_t status = 0;

    if (octets.n < 12 || !hd_slice_starts(octets, HD_LIT("SIP/2.0 ")) ||
        hd_slice_to_u32(hd_slice(octets.p + 8, 3), &status))
        return 0;
    return status;
}

/* Our own NOTIFY: the field is written in one way. */
static void
see_priority(struct lately *l, struct hd_slice octets)
{
    const struct hd_slice name = HD_LIT("Resource-Priority: ");

    l->priority[0] = '\0';
    while (octets.n) {
        struct hd_slice line = hd_slice_cut(&octets, '\n');
        if (line.n < 2)
            return; /* the body follows */
        if (!hd_slice_starts(line, name))
            continue;
        line = hd_slice_from(line, name.n);
        (void)snprintf(l->priority, sizeof(l->priority), "%.*s", (int)hd_slice_find(line, '\r'),
                       line.p);
    }
}

static void
see_message(struct lately *l, const struct evt_recalled *row)
{
    struct hd_slice rest = row->octets, line = hd_slice_cut(&rest, '\r');
    char words[LINE];

    if (row->out && hd_slice_starts(line, HD_LIT("NOTIFY "))) {
        l->told_us = row->at_us;
        see_priority(l, row->octets);
        line = HD_LIT("NOTIFY");
    } else if (!row->out && status_of(row->octets)) {
        l->answered_us = row->at_us;
        l->status = status_of(row->octets);
    }
    const int n = snprintf(words, sizeof(words), "%s: %.*s", row->out ? "sent" : "received",
                           (int)(line.n < 200 ? line.n : 200), line.p);
    add_line(l, row->at_us, hd_slice(words, (size_t)n));
}

static void
see_decision(struct lately *l, const struct evt_recalled *row)
{
    struct hd_str words = { 0 };

    switch ((enum evt_did)row->what) {
    case EVT_DID_HOLD:
        l->held_us = row->at_us;
        l->held = row->detail;
        break;
    case EVT_DID_FILTER:
        l->filter_us = row->at_us;
        l->fired = row->detail != 0;
        (void)snprintf(l->filter, LINE, "%.*s",
                       (int)(row->octets.n < LINE ? row->octets.n : LINE - 1),
                       row->octets.p ? row->octets.p : "");
        break;
    case EVT_DID_END:
        l->ended_us = row->at_us;
        l->ended = row->detail;
        break;
    case EVT_DID_TIMEOUT:
        l->timeout_us = row->at_us;
        break;
    case EVT_DID_DENY:
        l->denied_us = row->at_us;
        l->denied = row->detail;
        break;
    case EVT_DID_TELL:
        l->told_us = l->answered_us = row->at_us;
        l->status = 200;
        break;
    case EVT_DID_ACCEPT:
    case EVT_DID_REFUSE:
    case EVT_DID_SEND:
    case EVT_DID_RESEND:
    case EVT_DID_ANSWERED:
    case EVT_DID_DROP:
    case EVT_DID_PUBLISH:
    case EVT_DID_EXPIRE:
    case EVT_DID_UNKEPT:
    case EVT_DID_PRIORITY:
        break;
    }
    hd_did_words(NULL, row, &words);
    if (words.n)
        add_line(l, row->at_us, hd_str_slice(&words));
    hd_str_done(&words);
}

static void
see(void *context, const struct evt_recalled *row)
{
    struct lately *l = context;
    struct evt_recalled shown;

    switch (row->kind) {
    case EVT_RECALLED_MESSAGE:
        see_message(l, row);
        return;
    case EVT_RECALLED_DID:
        shown = hd_did_for(row, l->looks);
        see_decision(l, &shown);
        return;
    case EVT_RECALLED_SUBJECT:
        if (row->place)
            l->rule = row->rule;
        else
            l->sees = row->transform;
        return;
    }
}

/* --- sentences -------------------------------------------------------------------------------- */

static void
add_ago(struct hd_str *out, uint64_t now_us, uint64_t at_us)
{
    const uint64_t s = (now_us - at_us) / 1000000;

    if (s < 120)
        hd_str_addf(out, "%" PRIu64 " s ago", s);
    else
        hd_str_addf(out, "%" PRIu64 " min ago", s / 60);
}

/* Whether he is told at all; false: a sentence says why not. */
static bool
say_standing(const struct evt_sub_row *row, const struct lately *l, struct hd_str *out)
{
    if (strcmp(row->state, "pending") == 0) {
        hd_str_add_str(out, "is told nothing of the state: nobody has decided about him yet");
        return false;
    }
    if (l->sees == SEES_NEUTRAL) {
        hd_str_add_str(out,
                       "sees the neutral state and hears of no change: he is blocked politely");
        if (l->rule)
            hd_str_addf(out, " by rule %" PRIu64, l->rule);
        return false;
    }
    if (strcmp(row->health, "parked") == 0) {
        hd_str_add_str(out, "is not told: his NOTIFYs were not answered, and his subscription is "
                            "parked");
        if (l->timeout_us) {
            hd_str_add_str(out, " since the last one timed out ");
            add_ago(out, l->now_us, l->timeout_us);
        }
        return false;
    }
    return true;
}

static void
say_told(const struct evt_sub_row *row, const struct lately *l, struct hd_str *out)
{
    if (!l->told_us) {
        hd_str_add_str(out, strcmp(row->health, "in-sync") == 0
                                ? "knows the newest state; his last NOTIFY is older than what is "
                                  "recorded"
                                : "was sent no NOTIFY that is recorded");
        return;
    }
    hd_str_add_str(out, "was sent a NOTIFY ");
    if (l->priority[0]) {
        hd_str_add_str(out, "before those of others (Resource-Priority ");
        hd_str_add_str(out, l->priority);
        hd_str_add_str(out, ") ");
    }
    add_ago(out, l->now_us, l->told_us);
    if (l->answered_us >= l->told_us && l->status)
        hd_str_addf(out, " and answered %u", l->status);
    else
        hd_str_add_str(out, ", which he has not answered");
    if (strcmp(row->health, "in-sync") == 0)
        hd_str_add_str(out, ": he knows the newest state");
    else if (strcmp(row->health, "behind") == 0)
        hd_str_add_str(out, "; a newer state waits");
}

static void
say_sub(const struct evt_sub_row *row, const struct lately *l, struct hd_str *out)
{
    if (!say_standing(row, l, out))
        return;
    if (l->filter_us > l->told_us && !l->fired) {
        hd_str_add_str(out, "was not told: his filter does not fire");
        if (l->filter[0])
            hd_str_addf(out, ": %s", l->filter);
        return;
    }
    if (l->held_us > l->told_us && strcmp(row->health, "in-sync") != 0) {
        hd_str_add_str(out, "is not told yet: ");
        hd_str_add_str(out, hd_held_words(l->held));
        return;
    }
    say_told(row, l, out);
}

/* --- for the call ----------------------------------------------------------------------------- */

static bool
set_text(json_t *json, const char *key, const struct hd_str *text)
{
    return !text->err && json_object_set_new(json, key, hd_json_slice(hd_str_slice(text))) == 0;
}

static bool
set_evidence(json_t *json, const struct lately *l, int64_t wall_us)
{
    json_t *lines = json_array();
    const unsigned n = l->n_lines < EVIDENCE ? l->n_lines : EVIDENCE;
    bool ok = lines != NULL;

    for (unsigned i = l->n_lines - n; ok && i < l->n_lines; i++)
        ok = json_array_append_new(
                 lines,
                 json_pack("{s:I, s:o}", "at_us", (json_int_t)l->line[i % EVIDENCE].at_us + wall_us,
                           "words", hd_json_slice(hd_slice_str(l->line[i % EVIDENCE].words)))) == 0;
    if (ok)
        return json_object_set_new(json, "evidence", lines) == 0;
    json_decref(lines);
    return false;
}

bool
hd_explain_sub(struct evt_shard *evt, const struct evt_sub_row *row, uint64_t now_us,
               int64_t wall_us, bool looks, json_t *json)
{
    const struct evt_recall recall = { .id = row->id, .limit = LAST };
    struct lately l = { .now_us = now_us, .looks = looks };
    struct hd_str sentence = { 0 };
    uint64_t next;

    (void)evt_shard_recall(evt, &recall, now_us, see, &l, &next);
    hd_str_add(&sentence, row->watcher);
    hd_str_add_char(&sentence, ' ');
    say_sub(row, &l, &sentence);
    const bool ok = set_text(json, "sentence", &sentence) && set_evidence(json, &l, wall_us);
    hd_str_done(&sentence);
    return ok;
}

/* --- who has no subscription ------------------------------------------------------------------ */

/* The newest refusal, or the newest subscription, of him there. */
static void
see_subject(void *context, const struct evt_recalled *row)
{
    struct lately *l = context;

    if (row->kind == EVT_RECALLED_SUBJECT && row->place &&
        hd_slice_eq(row->resource, l->resource) &&
        (!l->package.n || hd_slice_eq(row->package, l->package)) &&
        strcmp(row->subject, "publication") != 0 && row->status != 401) {
        l->subject = row->key;
        l->refused = row->status;
        l->refused_us = row->at_us;
    } else if (row->kind == EVT_RECALLED_DID && row->key == l->subject) {
        see_decision(l, row);
    } else if (row->kind == EVT_RECALLED_DID && row->what == EVT_DID_DENY) {
        see_decision(l, row);
    }
}

uint64_t
hd_explain_absent(struct evt_shard *evt, struct hd_slice watcher, struct hd_slice resource,
                  struct hd_slice package, uint64_t now_us, struct hd_str *sentence)
{
    const struct evt_recall recall = { .name = watcher, .limit = 10 * LAST };
    struct lately l = { .now_us = now_us, .resource = resource, .package = package };
    uint64_t next;

    (void)evt_shard_recall(evt, &recall, now_us, see_subject, &l, &next);
    if (!l.subject)
        return 0;
    hd_str_add(sentence, watcher);
    if (l.refused) {
        hd_str_addf(sentence, " has no subscription: he was refused with %u ", l.refused);
        add_ago(sentence, now_us, l.refused_us);
        if (l.refused == 403 && l.denied)
            hd_str_addf(sentence, ", by rule %" PRIu64, l.denied);
    } else if (l.ended_us) {
        const struct hd_slice reason = evt_reason_word((unsigned)l.ended);
        hd_str_add_str(sentence, " has no subscription any more: it ended ");
        add_ago(sentence, now_us, l.ended_us);
        hd_str_add_str(sentence, ", ");
        hd_str_add(sentence, reason.n ? reason : HD_LIT("since he did not answer or is gone"));
    } else {
        hd_str_add_str(sentence, " has no subscription: he asked for the state once ");
        add_ago(sentence, now_us, l.refused_us);
    }
    return l.refused_us;
}
