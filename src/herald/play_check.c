/* play_check.c - the messages that actors expect: "alice < ..." takes the oldest message of an
 * inbox and holds it against the step. A failure shows what was expected at which line, and the
 * whole message that came. */
#include <stdlib.h>

#include "herald/play_core.h"
#include "sip/header.h"

#define LOOK_MS 20 /* how often "any" looks again */

enum want_kind { WANT_STATUS = 1, WANT_METHOD, WANT_AGAIN };

struct want {
    enum want_kind kind;
    bool any; /* not only the oldest */
    uint32_t status;
    struct hd_slice what;    /* status or method, as the step says it */
    struct hd_slice pattern; /* of phrase or Request-URI; p NULL: any */
    struct hd_slice label;   /* of the message that comes again; empty: the last */
    struct play_options options;
};

static bool
is_option(struct hd_slice word)
{
    static const struct hd_slice name[] = {
        { "as", 2 }, { "over", 4 }, { "from", 4 }, { "times", 5 }, { "at", 2 }
    };

    for (size_t i = 0; i < HD_ARRAY_LEN(name); i++)
        if (hd_slice_eq(word, name[i]))
            return true;
    return false;
}

static enum hd_err
want_read(struct play *play, const struct play_actor *actor, const struct hd_slice *words,
          unsigned n, struct want *ret_want)
{
    struct want want = { .kind = WANT_METHOD };
    unsigned at = 0;

    if (n > 0 && hd_slice_eq(words[0], HD_LIT("any"))) {
        want.any = true;
        at++;
    }
    if (at == n)
        return play_fail(play, 0, "expected: %s < [any] CODE [PHRASE], METHOD [URI] or again",
                         actor->name);
    want.what = words[at++];
    if (hd_slice_eq(want.what, HD_LIT("again")))
        want.kind = WANT_AGAIN;
    else if (hd_slice_to_u32(want.what, &want.status) == HD_OK)
        want.kind = WANT_STATUS;
    want.pattern = hd_slice(NULL, 0);
    if (at < n && !is_option(words[at])) {
        if (want.kind == WANT_AGAIN)
            want.label = words[at++];
        else
            want.pattern = words[at++];
    }
    play_options_read(words + at, n - at, &want.options);
    if (want.options.n_rest)
        return play_fail(play, 0, "\"%.*s\" is no option here", HD_FMT(want.options.rest[0]));
    *ret_want = want;
    return HD_OK;
}

/* The message that "again" means: of that label, or the newest of the same sort that this actor was
 * sent and expected. */
static const struct play_message *
earlier(const struct play *play, const struct play_actor *actor, const struct want *want,
        const struct play_message *message)
{
    if (want->label.n)
        return play_message_find(play, want->label);
    for (const struct play_message *m = play->messages; m; m = m->older)
        if (m->came && m->expected && m->actor == actor && m != message && m->parsed &&
            m->sip.request == message->sip.request)
            return m;
    return NULL;
}

/* Whether the first line is the one that is wanted. */
static bool
start_fits(struct play *play, const struct play_actor *actor, const struct want *want,
           const struct play_message *message)
{
    const struct play_message *before;

    switch (want->kind) {
    case WANT_STATUS:
        return message->parsed && !message->sip.request && message->sip.status == want->status &&
               (!want->pattern.p ||
                play_match(&play->vars, want->pattern, message->sip.reason) == HD_OK);
    case WANT_METHOD:
        return message->parsed && message->sip.request &&
               hd_slice_eq(message->sip.method_name, want->what) &&
               (!want->pattern.p ||
                play_match(&play->vars, want->pattern, message->sip.uri) == HD_OK);
    case WANT_AGAIN:
        before = earlier(play, actor, want, message);
        return before && hd_slice_eq(before->octets, message->octets);
    }
    return false;
}

/* --- indented lines -------------------------------------------------------------------------- */

static enum hd_err
complain(struct play *play, const struct play_line *line, const struct play_message *message,
         const char *what)
{
    enum hd_err err = play_fail(play, line->number, "%s: %.*s", what,
                                (int)(line->text.n > 300 ? 300 : line->text.n), line->text.p);

    play_show(play, "got", message->octets);
    return err;
}

/* One header line: a field of that name that no other line has taken fits. */
static enum hd_err
check_header(struct play *play, const struct play_line *line, const struct play_message *message,
             bool used[SIP_MAX_HEADERS])
{
    struct hd_slice name, pattern;
    bool there = false;
    enum hd_err err;

    if (!play_header_line(line->text, &name, &pattern))
        return complain(play, line, message, "this is no expectation");
    for (unsigned i = 0; i < message->sip.n_headers; i++) {
        const struct sip_header *header = &message->sip.headers[i];

        if (used[i] || !play_same_header(name, header->name))
            continue;
        there = true;
        err = play_match(&play->vars, pattern, header->value);
        if (err == HD_OK) {
            used[i] = true;
            return HD_OK;
        }
        if (err != HD_ENOMATCH)
            return complain(play, line, message, "the pattern cannot be read");
    }
    return complain(play, line, message, there ? "the value differs" : "the header is not there");
}

static enum hd_err
check_absent(struct play *play, const struct play_line *line, const struct play_message *message)
{
    struct hd_slice name = hd_slice_trim(hd_slice_from(line->text, 1));

    if (hd_slice_eq(name, HD_LIT("body")))
        return message->sip.body.n ? complain(play, line, message, "there is a body") : HD_OK;
    for (unsigned i = 0; i < message->sip.n_headers; i++)
        if (play_same_header(name, message->sip.headers[i].name))
            return complain(play, line, message, "the header is there");
    return HD_OK;
}

/* "~text": the body contains it; "!~text": it does not. */
static enum hd_err
check_contains(struct play *play, const struct play_line *line, const struct play_message *message)
{
    bool wanted = line->text.p[0] == '~';
    struct hd_str pattern = { 0 };
    enum hd_err err;

    hd_str_add(&pattern, HD_LIT("*"));
    hd_str_add(&pattern, hd_slice_from(line->text, wanted ? 1 : 2));
    hd_str_add(&pattern, HD_LIT("*"));
    err = pattern.err ? HD_ENOMEM
                      : play_match(&play->vars, hd_str_slice(&pattern), message->sip.body);
    hd_str_done(&pattern);
    if (err != HD_OK && err != HD_ENOMATCH)
        return complain(play, line, message, "the pattern cannot be read");
    if ((err == HD_OK) == wanted)
        return HD_OK;
    return complain(play, line, message,
                    wanted ? "the body does not contain" : "the body contains");
}

/* "size above N", "size below N": octets of the whole message. */
static enum hd_err
check_size(struct play *play, const struct play_line *line, const struct play_message *message)
{
    struct hd_slice words[4];
    uint32_t n;
    bool open;

    if (play_words(line->text, words, 4, &open) != 3 || hd_slice_to_u32(words[2], &n))
        return complain(play, line, message, "expected \"size above N\" or \"size below N\"");
    if (hd_slice_eq(words[1], HD_LIT("above")) ? message->octets.n > n : message->octets.n < n)
        return HD_OK;
    return complain(play, line, message, "the size differs");
}

/* All body lines at once. */
static enum hd_err
check_body(struct play *play, const struct play_step *step, const struct play_message *message)
{
    const struct play_line *first = NULL;
    struct hd_str pattern = { 0 };
    enum hd_err err;

    for (size_t i = 0; i < step->n_lines; i++) {
        if (step->lines[i].text.p[0] != '|')
            continue;
        if (first)
            hd_str_add(&pattern, HD_LIT("\r\n"));
        else
            first = &step->lines[i];
        hd_str_add(&pattern, hd_slice_from(step->lines[i].text, 1));
    }
    if (!first)
        return HD_OK;
    err = pattern.err ? HD_ENOMEM
                      : play_match(&play->vars, hd_str_slice(&pattern), message->sip.body);
    hd_str_done(&pattern);
    return err ? complain(play, first, message, "the body differs") : HD_OK;
}

enum hd_err
play_check_lines(struct play *play, const struct play_step *step,
                 const struct play_message *message)
{
    bool used[SIP_MAX_HEADERS] = { false };
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < step->n_lines && !err; i++) {
        const struct play_line *line = &step->lines[i];

        if (line->text.p[0] == '|')
            continue;
        if (line->text.p[0] == '-')
            err = check_absent(play, line, message);
        else if (line->text.p[0] == '~' || hd_slice_starts(line->text, HD_LIT("!~")))
            err = check_contains(play, line, message);
        else if (hd_slice_starts(line->text, HD_LIT("size ")))
            err = check_size(play, line, message);
        else
            err = check_header(play, line, message, used);
    }
    return err ? err : check_body(play, step, message);
}

/* --- the step -------------------------------------------------------------------------------- */

static enum hd_err
check_options(struct play *play, const struct play_actor *actor, const struct want *want,
              const struct play_message *message)
{
    struct hd_slice over = hd_transport_name(message->transport);
    char addr[HD_ADDR_TEXT];
    size_t n = hd_addr_text(&message->peer, addr);
    enum hd_err err = HD_OK;
    uint64_t at;

    if (want->options.over.n ? !hd_slice_ieq(want->options.over, over)
                             : message->transport != actor->transport)
        err = play_fail(play, 0, "it came over %.*s", HD_FMT(over));
    else if (want->options.from.n && !hd_slice_eq(want->options.from, hd_slice(addr, n)))
        err = play_fail(play, 0, "it came from %.*s", (int)n, addr);
    else if (want->options.at.n && !play->params.real_time &&
             play_duration(want->options.at, &at) == HD_OK && at != message->at_ms)
        err = play_fail(play, 0, "it came at %llums", (unsigned long long)message->at_ms);
    if (err)
        play_show(play, "got", message->octets);
    return err;
}

/* Whether this is the message of the step.  With "any" the lines below the step choose as well. */
static bool
fits(struct play *play, const struct play_actor *actor, const struct want *want,
     const struct play_message *message)
{
    struct play_var *before = play->vars.first;
    size_t failure = play->failure.n;
    bool good = start_fits(play, actor, want, message);

    if (!good || !want->any)
        return good;
    good = play_check_lines(play, play->step, message) == HD_OK;
    play->failure.n = failure;
    play->failed = failure > 0;
    while (play->vars.first != before) { /* captures of a message that may not be the one */
        struct play_var *var = play->vars.first;

        play_vars_unset(&play->vars, hd_slice(var->name, var->name_len));
    }
    return good;
}

static void
inbox_remove(struct play_actor *actor, struct play_message *message)
{
    for (struct play_message **link = &actor->inbox; *link; link = &(*link)->next) {
        if (*link != message)
            continue;
        *link = message->next;
        if (!*link)
            actor->inbox_last = link;
        return;
    }
}

static enum hd_err
keep_challenge(struct play *play, struct play_actor *actor, struct play_message *message)
{
    if (message->sip.request) {
        actor->taken = message;
    } else if (message->sip.status == 401) {
        actor->challenge = message;
    }
    message->dialog = play_dialog_of(play, message->sip.call_id);
    if (message->dialog)
        play_dialog_learn(message->dialog, message);
    return HD_OK;
}

/* The message of the inbox that the step takes.  With "any" it may be one that is still on its way.
 */
static struct play_message *
find(struct play *play, struct play_actor *actor, const struct want *want)
{
    const struct play_host *host = &play->params.host;
    struct play_message *message;
    char problem[PLAY_PROBLEM] = "";

    host->await(host->context, actor, false);
    for (uint32_t waited_ms = 0;; waited_ms += LOOK_MS) {
        message = want->kind == WANT_AGAIN ? actor->inbox : play_inbox(play, actor);
        while (message && !fits(play, actor, want, message))
            message = want->any ? message->next : NULL;
        if (message || !want->any || waited_ms >= play->params.patience_ms ||
            !host->pass(host->context, LOOK_MS, problem))
            return message;
    }
}

static enum hd_err
expect_one(struct play *play, struct play_actor *actor, const struct want *want)
{
    struct play_message *message = find(play, actor, want);
    enum hd_err err;

    if (!message && !actor->inbox)
        return play_fail(play, 0, "nothing came for %s", actor->name);
    if (!message) {
        err = play_fail(play, 0, "another message came for %s", actor->name);
        play_show(play, "got", actor->inbox->octets);
        return err;
    }
    inbox_remove(actor, message);
    message->expected = true;
    actor->got = message;
    err = check_options(play, actor, want, message);
    if (!err)
        err = keep_challenge(play, actor, message);
    if (!err && want->options.as.n && !play_keep(&message->label, want->options.as))
        err = play_fail(play, 0, "memory is short");
    return err ? err : play_check_lines(play, play->step, message);
}

enum hd_err
play_expect_step(struct play *play, struct play_actor *actor, const struct hd_slice *words,
                 unsigned n)
{
    struct want want = { .kind = WANT_METHOD };
    uint32_t times = 1;
    enum hd_err err = want_read(play, actor, words, n, &want);

    if (err)
        return err;
    if (want.options.times.n && hd_slice_to_u32(want.options.times, &times))
        return play_fail(play, 0, "expected: times NUMBER");
    for (uint32_t i = 0; i < times && !err; i++)
        err = expect_one(play, actor, &want);
    return err;
}
