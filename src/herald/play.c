/* play.c - runs the steps of a scenario.  What happens between steps is the host's: after each step
 * it settles, so that a simple scenario is a list of messages and nothing else. */
#include "herald/play.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "herald/play_core.h"
#include "sip/header.h"

#define NEST_MAX 8

/* --- helpers that the other parts use -------------------------------------------------------- */

bool
play_keep(char **text, struct hd_slice value)
{
    char *copy = hd_slice_strdup(value);

    if (!copy)
        return false;
    free(*text);
    *text = copy;
    return true;
}

enum hd_err
play_fail(struct play *play, unsigned line, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (play->step)
        hd_str_addf(&play->failure, "%s:%u: %s\n", play->step->path,
                    line ? line : play->step->number, text);
    else
        hd_str_addf(&play->failure, "%s\n", text);
    if (play->step && !play->failed)
        hd_str_addf(&play->failure, "    in the step: %.*s\n", HD_FMT(play->step->text));
    play->failed = true;
    return HD_ESYNTAX;
}

void
play_fault(struct play *play, const char *problem)
{
    (void)play_fail(play, 0, "%s", problem);
}

void
play_show(struct play *play, const char *title, struct hd_slice octets)
{
    struct hd_slice rest = octets, line;

    hd_str_addf(&play->failure, "    %s:\n", title);
    while (rest.n) {
        line = hd_slice_cut(&rest, '\n');
        hd_str_add(&play->failure, HD_LIT("    | "));
        for (size_t i = 0; i < line.n; i++) {
            unsigned char c = (unsigned char)line.p[i];

            if (c == '\r' && i + 1 == line.n)
                continue;
            if (c < 0x20 || c >= 0x7f)
                hd_str_addf(&play->failure, "\\x%02x", c);
            else
                hd_str_add(&play->failure, hd_slice(&line.p[i], 1));
        }
        hd_str_add(&play->failure, HD_LIT("\n"));
    }
}

enum hd_err
play_text_of(struct play *play, unsigned line, struct hd_slice text, struct hd_str *ret_text)
{
    struct hd_slice unset = { NULL, 0 };
    enum hd_err err = play_expand(&play->vars, text, ret_text, &unset);

    if (err)
        return play_fail(play, line, "cannot use \"%.*s\": %s %.*s", HD_FMT(text),
                         err == HD_ENOMATCH ? "not set:" : hd_err_text(err), HD_FMT(unset));
    return HD_OK;
}

bool
play_header_line(struct hd_slice text, struct hd_slice *ret_name, struct hd_slice *ret_value)
{
    size_t colon = hd_slice_find(text, ':');

    if (colon == 0 || colon == text.n)
        return false;
    for (size_t i = 0; i < colon; i++)
        if (text.p[i] == ' ' || text.p[i] == '\t')
            return false;
    *ret_name = hd_slice(text.p, colon);
    *ret_value = hd_slice_trim(hd_slice_from(text, colon + 1));
    return true;
}

bool
play_same_header(struct hd_slice a, struct hd_slice b)
{
    enum sip_hdr id = sip_hdr_find(a);

    return id == SIP_HDR_OTHER ? hd_slice_ieq(a, b) : id == sip_hdr_find(b);
}

void
play_options_read(const struct hd_slice *words, unsigned n, struct play_options *ret_options)
{
    struct play_options options = { .n_rest = 0 };
    const struct {
        struct hd_slice name;
        struct hd_slice *value;
    } row[] = {
        { HD_LIT("as"), &options.as },       { HD_LIT("in"), &options.in },
        { HD_LIT("to"), &options.to },       { HD_LIT("from"), &options.from },
        { HD_LIT("over"), &options.over },   { HD_LIT("nc"), &options.nc },
        { HD_LIT("times"), &options.times }, { HD_LIT("at"), &options.at },
    };

    for (unsigned i = 0; i < n; i++) {
        size_t k = 0;

        while (k < HD_ARRAY_LEN(row) && !hd_slice_eq(words[i], row[k].name))
            k++;
        if (k < HD_ARRAY_LEN(row) && i + 1 < n)
            *row[k].value = words[++i];
        else
            options.rest[options.n_rest++] = words[i];
    }
    *ret_options = options;
}

/* --- actors, messages, dialogs --------------------------------------------------------------- */

struct play_actor *
play_actor_find(const struct play *play, struct hd_slice name)
{
    for (struct play_actor *actor = play->actors; actor; actor = actor->next)
        if (hd_slice_eq(hd_slice_str(actor->name), name))
            return actor;
    return NULL;
}

struct play_actor *
play_actors(const struct play *play)
{
    return play->actors;
}

struct play_message *
play_message_new(struct play *play, struct play_actor *actor, enum hd_transport transport,
                 struct hd_slice octets)
{
    const size_t arena = 16384;
    struct play_message *message = calloc(1, sizeof(*message));
    struct sip_fault fault;

    if (message)
        message->memory = malloc(arena + octets.n + 1);
    if (!message || !message->memory) {
        free(message);
        return NULL;
    }
    memcpy(message->memory + arena, octets.p, octets.n);
    message->octets = hd_slice(message->memory + arena, octets.n);
    message->actor = actor;
    message->transport = transport;
    hd_arena_init(&message->arena, message->memory, arena);
    message->parsed = sip_msg_parse(message->octets, hd_transport_reliable(transport),
                                    &message->arena, &message->sip, &fault) == HD_OK;
    message->older = play->messages;
    play->messages = message;
    return message;
}

static void
message_free(struct play_message *message)
{
    free(message->label);
    free(message->memory);
    free(message);
}

/* A message that no label, actor or dialog needs any more. */
static void
message_forget(struct play *play, struct play_message *message)
{
    for (struct play_message **link = &play->messages; *link; link = &(*link)->older) {
        if (*link != message)
            continue;
        *link = message->older;
        message_free(message);
        return;
    }
}

struct play_message *
play_message_find(const struct play *play, struct hd_slice label)
{
    for (struct play_message *m = play->messages; m; m = m->older)
        if (m->label && hd_slice_eq(hd_slice_str(m->label), label))
            return m;
    return NULL;
}

struct play_dialog *
play_dialog_find(const struct play *play, const struct play_actor *actor, struct hd_slice label)
{
    bool latest = hd_slice_eq(label, HD_LIT("dialog"));

    for (struct play_dialog *d = play->dialogs; d; d = d->next) {
        if (latest && d->actor == actor && d->method == SIP_SUBSCRIBE)
            return d;
        if (!latest && d->label && hd_slice_eq(hd_slice_str(d->label), label))
            return d;
    }
    return NULL;
}

struct play_dialog *
play_dialog_of(const struct play *play, struct hd_slice call_id)
{
    for (struct play_dialog *d = play->dialogs; d; d = d->next)
        if (hd_slice_eq(hd_slice_str(d->call_id), call_id))
            return d;
    return NULL;
}

/* The route set of a UAC is the response's Record-Route in reverse (RFC 3261 section 12.1.2). */
static void
learn_routes(struct play_dialog *dialog, const struct sip_msg *sip)
{
    struct hd_str routes = { 0 };
    struct sip_walk walk = { 0 };
    struct hd_slice item[SIP_MAX_VIAS];
    unsigned n = 0;

    while (n < HD_ARRAY_LEN(item) && sip_msg_walk(sip, SIP_HDR_RECORD_ROUTE, &walk, &item[n]))
        n++;
    while (n-- > 0) {
        hd_str_add(&routes, item[n]);
        if (n)
            hd_str_add(&routes, HD_LIT(", "));
    }
    if (routes.n && !routes.err)
        (void)play_keep(&dialog->routes, hd_str_slice(&routes));
    hd_str_done(&routes);
}

void
play_dialog_learn(struct play_dialog *dialog, const struct play_message *message)
{
    const struct sip_msg *sip = &message->sip;
    struct hd_slice tag = sip->request ? sip->from_tag : sip->to_tag;
    struct sip_addr contact;
    struct hd_slice value;

    if (dialog->method != SIP_SUBSCRIBE)
        return;
    if (sip->request ? sip->method != SIP_NOTIFY : (sip->status < 200 || sip->status > 299))
        return;
    if (tag.n && !dialog->to_tag) {
        (void)play_keep(&dialog->to_tag, tag);
        if (!sip->request)
            learn_routes(dialog, sip);
    }
    value = sip_msg_value(sip, SIP_HDR_CONTACT);
    if (value.n && sip_addr_parse(value, &contact) == HD_OK)
        (void)play_keep(&dialog->target, contact.uri);
}

/* A NOTIFY of a dialog counts up, or is the same octets again (RFC 3261 section 12.2.2). */
static void
watch_cseq(struct play *play, const struct play_message *message)
{
    struct play_dialog *dialog;

    if (!message->parsed || !message->sip.request || message->sip.method != SIP_NOTIFY)
        return;
    dialog = play_dialog_of(play, message->sip.call_id);
    if (!dialog || !dialog->to_tag ||
        !hd_slice_eq(hd_slice_str(dialog->to_tag), message->sip.from_tag))
        return; /* another dialog with that Call-ID, or none yet */
    if (message->sip.cseq.number > dialog->their_cseq) {
        dialog->their_cseq = message->sip.cseq.number;
        if (play_keep(&dialog->their_last, message->octets))
            dialog->their_last_n = message->octets.n;
        return;
    }
    if (hd_slice_eq(hd_slice(dialog->their_last, dialog->their_last_n), message->octets))
        return;
    (void)play_fail(play, 0, "a NOTIFY for %s has a CSeq that is not new", message->actor->name);
    play_show(play, "got", message->octets);
}

/* The actor answers by itself, and the message is not kept but for the last one. */
static void
answer_alone(struct play *play, struct play_actor *actor, struct play_message *message)
{
    actor->notified++;
    if (play_answer(play, actor, message, actor->answers, NULL, 0, NULL, 0, hd_slice(NULL, 0)))
        return;
    message_forget(play, play->messages); /* the answer */
    if (actor->answers >= 300) {          /* not taken */
        message_forget(play, message);
        return;
    }
    if (actor->last)
        message_forget(play, actor->last);
    actor->last = message;
}

void
play_deliver(struct play *play, struct play_actor *actor, enum hd_transport transport,
             const struct hd_addr *peer, uint64_t path, struct hd_slice octets)
{
    struct play_message *message;
    struct play_dialog *dialog;

    if (play->params.host.trace)
        play->params.host.trace(play->params.host.context, actor, false, octets);
    if (actor->deaf)
        return;
    if (actor->lose) {
        actor->lose--;
        return;
    }
    message = play_message_new(play, actor, transport, octets);
    if (!message) {
        (void)play_fail(play, 0, "memory is short");
        return;
    }
    message->came = true;
    message->peer = *peer;
    message->path = path;
    message->at_ms = play->params.host.now_ms(play->params.host.context);
    watch_cseq(play, message);
    if (actor->answers && message->parsed && message->sip.request &&
        message->sip.method == SIP_NOTIFY) {
        dialog = play_dialog_of(play, message->sip.call_id);
        if (dialog)
            play_dialog_learn(dialog, message);
        answer_alone(play, actor, message);
        return;
    }
    if (actor->careless && message->parsed && !message->sip.request) {
        dialog = play_dialog_of(play, message->sip.call_id);
        if (dialog)
            play_dialog_learn(dialog, message);
        message_forget(play, message);
        return;
    }
    *actor->inbox_last = message;
    actor->inbox_last = &message->next;
}

static bool
is_repeat(const struct play *play, const struct play_message *message)
{
    for (const struct play_message *m = play->messages; m; m = m->older)
        if (m != message && m->came && m->expected && m->actor == message->actor &&
            hd_slice_eq(m->octets, message->octets))
            return true;
    return false;
}

struct play_message *
play_inbox(struct play *play, struct play_actor *actor)
{
    while (play->params.real_time && actor->inbox && is_repeat(play, actor->inbox)) {
        actor->inbox = actor->inbox->next;
        if (!actor->inbox)
            actor->inbox_last = &actor->inbox;
    }
    return actor->inbox;
}

enum hd_err
play_expect_nothing(struct play *play, struct play_actor *actor)
{
    const struct play_message *message = play_inbox(play, actor);
    enum hd_err err;

    if (!message)
        return HD_OK;
    err = play_fail(play, 0, "%s holds a message that no step expected, since %llums", actor->name,
                    (unsigned long long)message->at_ms);
    play_show(play, "got", message->octets);
    return err;
}

static enum hd_err
expect_all_empty(struct play *play)
{
    enum hd_err err = HD_OK;

    for (struct play_actor *actor = play->actors; actor && !err; actor = actor->next)
        err = play_expect_nothing(play, actor);
    return err;
}

/* --- names with a dot ------------------------------------------------------------------------ */

static bool
actor_field(const struct play_actor *actor, struct hd_slice field, struct hd_str *out,
            struct hd_slice domain)
{
    char text[HD_ADDR_TEXT];

    if (hd_slice_eq(field, HD_LIT("addr")))
        hd_str_add(out, hd_slice(text, hd_addr_text(&actor->addr, text)));
    else if (hd_slice_eq(field, HD_LIT("host")))
        hd_str_add(out, hd_slice(text, hd_addr_host_text(&actor->addr, text)));
    else if (hd_slice_eq(field, HD_LIT("port")))
        hd_str_addf(out, "%u", actor->addr.port);
    else if (hd_slice_eq(field, HD_LIT("uri")))
        hd_str_addf(out, "sip:%s@%.*s", actor->name, HD_FMT(domain));
    else
        return false;
    return true;
}

static bool
dialog_field(const struct play_dialog *dialog, struct hd_slice field, struct hd_str *out)
{
    const struct {
        struct hd_slice name;
        const char *value;
    } row[] = {
        { HD_LIT("call_id"), dialog->call_id },
        { HD_LIT("from_tag"), dialog->from_tag },
        { HD_LIT("to_tag"), dialog->to_tag ? dialog->to_tag : "" },
        { HD_LIT("target"), dialog->target ? dialog->target : "" },
    };

    if (hd_slice_eq(field, HD_LIT("cseq"))) {
        hd_str_addf(out, "%u", dialog->cseq);
        return true;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        if (hd_slice_eq(field, row[i].name)) {
            hd_str_add(out, hd_slice_str(row[i].value));
            return true;
        }
    }
    return false;
}

static bool
message_field(const struct play_message *message, struct hd_slice field, struct hd_str *out)
{
    if (hd_slice_eq(field, HD_LIT("branch")))
        hd_str_add(out, message->sip.via.branch);
    else if (hd_slice_eq(field, HD_LIT("via")))
        hd_str_add(out, message->sip.via.value);
    else if (hd_slice_eq(field, HD_LIT("cseq")))
        hd_str_addf(out, "%u", message->sip.cseq.number);
    else if (hd_slice_eq(field, HD_LIT("body")))
        hd_str_add(out, message->sip.body);
    else if (hd_slice_eq(field, HD_LIT("size")))
        hd_str_addf(out, "%zu", message->octets.n);
    else
        return false;
    return true;
}

/* "alice.addr", "work.call_id", "first.branch": a field of a message, a dialog or an actor. */
static bool
look_up(void *context, struct hd_slice name, struct hd_slice *ret_value)
{
    struct play *play = context;
    struct hd_slice field = name, head = hd_slice_cut(&field, '.');
    struct hd_slice domain = play->params.domain.n ? play->params.domain : HD_LIT("example.test");
    const struct play_message *message = play_message_find(play, head);
    const struct play_actor *actor = play_actor_find(play, head);
    const struct play_dialog *dialog = play_dialog_find(play, NULL, head);
    struct hd_str out = { 0 };
    bool found;

    if (field.n == 0)
        return false;
    if (!dialog && actor)
        dialog = play_dialog_find(play, actor, HD_LIT("dialog"));
    found = (message && message->parsed && message_field(message, field, &out)) ||
            (dialog && dialog_field(dialog, field, &out)) ||
            (actor && actor_field(actor, field, &out, domain));
    found = found && !out.err && play_keep(&play->scratch, hd_str_slice(&out));
    hd_str_done(&out);
    if (found)
        *ret_value = hd_slice_str(play->scratch);
    return found;
}

/* --- steps ----------------------------------------------------------------------------------- */

static enum hd_err
step_actor(struct play *play, const struct hd_slice *words, unsigned n)
{
    struct play_actor *actor;
    struct hd_slice host;
    char problem[PLAY_PROBLEM] = "";
    uint32_t port;
    size_t colon;

    if (n < 4)
        return play_fail(play, 0, "expected: actor NAME udp|tcp|tls ADDRESS:PORT");
    if (play_actor_find(play, words[1]))
        return play_fail(play, 0, "there is an actor %.*s already", HD_FMT(words[1]));
    actor = calloc(1, sizeof(*actor));
    if (!actor || !play_keep(&actor->name, words[1])) {
        free(actor);
        return play_fail(play, 0, "memory is short");
    }
    actor->inbox_last = &actor->inbox;
    *play->actors_last = actor;
    play->actors_last = &actor->next;
    if (hd_slice_eq(words[2], HD_LIT("udp")))
        actor->transport = HD_UDP;
    else if (hd_slice_eq(words[2], HD_LIT("tcp")))
        actor->transport = HD_TCP;
    else if (hd_slice_eq(words[2], HD_LIT("tls")))
        actor->transport = HD_TLS;
    else
        return play_fail(play, 0, "the transport is udp, tcp or tls");
    for (colon = words[3].n; colon > 0 && words[3].p[colon - 1] != ':'; colon--)
        ;
    host = hd_slice(words[3].p, colon ? colon - 1 : 0);
    if (hd_slice_to_u32(hd_slice_from(words[3], colon), &port) || port > 65535 ||
        hd_addr_parse(host, (uint16_t)port, &actor->addr))
        return play_fail(play, 0, "\"%.*s\" is no ADDRESS:PORT", HD_FMT(words[3]));
    if (!play->params.host.actor(play->params.host.context, actor, words + 4, n - 4, problem))
        return play_fail(play, 0, "%s", problem);
    return HD_OK;
}

static enum hd_err
actor_login(struct play *play, struct play_actor *actor, const struct hd_slice *words, unsigned n)
{
    if (n < 2 || n > 3)
        return play_fail(play, 0, "expected: %s login USER PASSWORD [ALGORITHM]", actor->name);
    if (!play_keep(&actor->user, words[0]) || !play_keep(&actor->password, words[1]))
        return play_fail(play, 0, "memory is short");
    actor->alg = n == 3 ? sip_digest_find(words[2]) : SIP_DIGEST_NONE;
    return HD_OK;
}

/* The last NOTIFY that it answered by itself, against the lines of the step. */
static enum hd_err
actor_last(struct play *play, const struct play_actor *actor)
{
    if (!actor->last)
        return play_fail(play, 0, "%s has answered nothing by itself", actor->name);
    return play_check_lines(play, play->step, actor->last);
}

static enum hd_err
actor_notified(struct play *play, struct play_actor *actor, const struct hd_slice *words,
               unsigned n)
{
    uint32_t want;
    uint64_t got = actor->notified;

    if (n != 1 || hd_slice_to_u32(words[0], &want))
        return play_fail(play, 0, "expected: %s notified NUMBER", actor->name);
    actor->notified = 0;
    if (got != want)
        return play_fail(play, 0, "%s was notified %llu times", actor->name,
                         (unsigned long long)got);
    return play->step->n_lines ? actor_last(play, actor) : HD_OK;
}

/* What an actor does besides sending and expecting; HD_ENOMATCH: not the player's. */
static enum hd_err
step_of_actor(struct play *play, struct play_actor *actor, const struct hd_slice *words, unsigned n)
{
    uint32_t number;

    if (n == 0)
        return HD_ENOMATCH;
    if (hd_slice_eq(words[0], HD_LIT(">")))
        return play_send_step(play, actor, words + 1, n - 1);
    if (hd_slice_eq(words[0], HD_LIT("<")))
        return play_expect_step(play, actor, words + 1, n - 1);
    if (hd_slice_eq(words[0], HD_LIT("silent"))) {
        play->params.host.await(play->params.host.context, actor, true);
        return play_expect_nothing(play, actor);
    }
    if (hd_slice_eq(words[0], HD_LIT("login")))
        return actor_login(play, actor, words + 1, n - 1);
    if (hd_slice_eq(words[0], HD_LIT("notified")))
        return actor_notified(play, actor, words + 1, n - 1);
    if (hd_slice_eq(words[0],
                    HD_LIT("forget"))) { /* the challenge: the next request has no credentials */
        actor->challenge = NULL;
        return HD_OK;
    }
    if (hd_slice_eq(words[0], HD_LIT("last")) && n == 1)
        return actor_last(play, actor);
    if (hd_slice_eq(words[0], HD_LIT("careless"))) {
        actor->careless = true;
        return HD_OK;
    }
    if (hd_slice_eq(words[0], HD_LIT("deaf")) || hd_slice_eq(words[0], HD_LIT("hears"))) {
        actor->deaf = words[0].p[0] == 'd';
        return HD_OK;
    }
    if (hd_slice_eq(words[0], HD_LIT("loses")) && n == 2 &&
        hd_slice_to_u32(words[1], &number) == HD_OK) {
        actor->lose = number;
        return HD_OK;
    }
    if (hd_slice_eq(words[0], HD_LIT("answers")) && n == 2) {
        if (hd_slice_eq(words[1], HD_LIT("nothing")))
            number = 0;
        else if (hd_slice_to_u32(words[1], &number) || number < 200 || number > 699)
            return play_fail(play, 0, "expected: %s answers CODE, or nothing", actor->name);
        actor->answers = number;
        return HD_OK;
    }
    return HD_ENOMATCH;
}

static enum hd_err
step_time(struct play *play, const struct hd_slice *words, unsigned n)
{
    const struct play_host *host = &play->params.host;
    uint64_t ms, now = host->now_ms(host->context);
    char problem[PLAY_PROBLEM] = "";
    bool absolute = hd_slice_eq(words[0], HD_LIT("at"));
    enum hd_err err;

    if (n != 2 || play_duration(words[1], &ms))
        return play_fail(play, 0, "expected: %.*s DURATION, such as 500ms, 32s, 5m or 1h",
                         HD_FMT(words[0]));
    if (absolute && ms < now)
        return play_fail(play, 0, "it is %llums already", (unsigned long long)now);
    err = expect_all_empty(play);
    if (err)
        return err;
    if (!host->pass(host->context, absolute ? ms - now : ms, problem))
        return play_fail(play, 0, "%s", problem);
    return HD_OK;
}

static enum hd_err
run_words(struct play *play, const struct hd_slice *words, unsigned n)
{
    const struct play_host *host = &play->params.host;
    struct play_actor *actor = play_actor_find(play, words[0]);
    char problem[PLAY_PROBLEM] = "";
    enum hd_err err = HD_ENOMATCH;

    if (hd_slice_eq(words[0], HD_LIT("actor")))
        return step_actor(play, words, n);
    if (hd_slice_eq(words[0], HD_LIT("wait")) || hd_slice_eq(words[0], HD_LIT("at")))
        return step_time(play, words, n);
    if (hd_slice_eq(words[0], HD_LIT("set")) && n == 3)
        return play_vars_set(&play->vars, words[1], words[2]);
    if (hd_slice_eq(words[0], HD_LIT("unset"))) {
        for (unsigned i = 1; i < n; i++)
            play_vars_unset(&play->vars, words[i]);
        return HD_OK;
    }
    if (hd_slice_eq(words[0], HD_LIT("same")) || hd_slice_eq(words[0], HD_LIT("differ"))) {
        bool same = n == 3 && hd_slice_eq(words[1], words[2]);

        if (n != 3 || same != (words[0].p[0] == 's'))
            return play_fail(play, 0, "\"%.*s\" and \"%.*s\"", HD_FMT(words[1]),
                             HD_FMT(words[n > 2 ? 2 : 1]));
        return HD_OK;
    }
    if (actor)
        err = step_of_actor(play, actor, words + 1, n - 1);
    if (err == HD_ENOMATCH)
        err = host->command(host->context, play, play->step, words, n, problem);
    if (err == HD_ENOMATCH)
        return play_fail(play, 0, "this is no step that is known here");
    if (err && problem[0])
        return play_fail(play, 0, "%s", problem);
    return err;
}

/* Whether a word of an expectation is a pattern: what follows neither an option's name nor is one.
 */
static bool
is_pattern(const struct play_step *step, unsigned i)
{
    static const struct hd_slice option[] = { { "as", 2 },    { "over", 4 }, { "from", 4 },
                                              { "times", 5 }, { "at", 2 },   { "again", 5 } };

    if (i < 3 || !hd_slice_eq(step->words[1], HD_LIT("<")))
        return false;
    for (size_t k = 0; k < HD_ARRAY_LEN(option); k++)
        if (hd_slice_eq(step->words[i - 1], option[k]))
            return false;
    return true;
}

/* Expands the words; patterns stay as they are. */
static enum hd_err
run_step(struct play *play, const struct play_step *step)
{
    struct hd_slice words[PLAY_WORDS];
    struct hd_str texts[PLAY_WORDS];
    enum hd_err err = HD_OK;

    memset(texts, 0, sizeof(texts));
    for (unsigned i = 0; i < step->n_words && !err; i++) {
        words[i] = step->words[i];
        if (is_pattern(step, i))
            continue;
        err = play_text_of(play, 0, step->words[i], &texts[i]);
        words[i] = hd_str_slice(&texts[i]);
    }
    if (!err)
        err = run_words(play, words, step->n_words);
    for (unsigned i = 0; i < PLAY_WORDS; i++)
        hd_str_done(&texts[i]);
    return err;
}

struct loop {
    size_t begin;
    uint32_t turn, turns;
};

static enum hd_err
loop_begin(struct play *play, size_t at, struct loop *loop)
{
    const struct play_step *step = play->step;
    struct hd_str count = { 0 };
    enum hd_err err;

    *loop = (struct loop){ .begin = at, .turn = 1 };
    if (step->n_words != 2)
        return play_fail(play, 0, "expected: repeat NUMBER");
    err = play_text_of(play, 0, step->words[1], &count);
    if (!err && hd_slice_to_u32(hd_str_slice(&count), &loop->turns))
        err = play_fail(play, 0, "expected: repeat NUMBER");
    hd_str_done(&count);
    return err;
}

static enum hd_err
loop_variable(struct play *play, const struct loop *loop, unsigned depth)
{
    static const char name[] = "ijklmnop";
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", loop->turn);
    return play_vars_set(&play->vars, hd_slice(&name[depth], 1), hd_slice_str(text));
}

static enum hd_err
run_steps(struct play *play, const struct play_file *file)
{
    const struct play_host *host = &play->params.host;
    struct loop loops[NEST_MAX];
    unsigned depth = 0;
    char problem[PLAY_PROBLEM] = "";
    enum hd_err err = HD_OK;

    for (size_t at = 0; at < file->n && !err; at++) {
        const struct play_step *step = &file->steps[at];

        play->step = step;
        if (hd_slice_eq(step->words[0], HD_LIT("repeat"))) {
            err = loop_begin(play, at, &loops[depth]);
            if (!err && loops[depth].turns == 0)
                at = step->partner;
            else if (!err) {
                err = loop_variable(play, &loops[depth], depth);
                depth++;
            }
            continue;
        }
        if (hd_slice_eq(step->words[0], HD_LIT("end"))) {
            struct loop *loop = &loops[depth - 1];

            if (loop->turn++ == loop->turns) {
                depth--;
                continue;
            }
            at = loop->begin;
            err = loop_variable(play, loop, depth - 1);
            continue;
        }
        err = run_step(play, step);
        if (!err && !host->settle(host->context, problem))
            err = play_fail(play, 0, "%s", problem);
        if (!err && play->failed)
            err = HD_ESYNTAX; /* told from a callback */
    }
    return err;
}

enum hd_err
play_run(struct play *play, const struct play_file *file)
{
    enum hd_err err = run_steps(play, file);

    if (!err)
        err = expect_all_empty(play);
    if (err && !play->failed)
        (void)play_fail(play, 0, "%s", hd_err_text(err));
    return err;
}

/* --- the play -------------------------------------------------------------------------------- */

enum hd_err
play_new(const struct play_params *params, struct play **ret_play)
{
    struct play *play = calloc(1, sizeof(*play));

    if (!play)
        return HD_ENOMEM;
    play->params = *params;
    play->actors_last = &play->actors;
    play->vars.more = look_up;
    play->vars.context = play;
    *ret_play = play;
    return HD_OK;
}

static void
actor_free(struct play_actor *actor)
{
    free(actor->name);
    free(actor->user);
    free(actor->password);
    free(actor->nonce);
    free(actor);
}

static void
dialog_free(struct play_dialog *dialog)
{
    free(dialog->label);
    free(dialog->call_id);
    free(dialog->from);
    free(dialog->to);
    free(dialog->from_tag);
    free(dialog->to_tag);
    free(dialog->uri);
    free(dialog->target);
    free(dialog->routes);
    free(dialog->event);
    free(dialog->their_last);
    free(dialog);
}

void
play_free(struct play *play)
{
    if (!play)
        return;
    while (play->actors) {
        struct play_actor *actor = play->actors;

        play->actors = actor->next;
        actor_free(actor);
    }
    while (play->messages) {
        struct play_message *message = play->messages;

        play->messages = message->older;
        message_free(message);
    }
    while (play->dialogs) {
        struct play_dialog *dialog = play->dialogs;

        play->dialogs = dialog->next;
        dialog_free(dialog);
    }
    play_vars_done(&play->vars);
    hd_str_done(&play->failure);
    free(play->scratch);
    free(play);
}

struct hd_slice
play_failure(const struct play *play)
{
    return hd_str_slice(&play->failure);
}

enum hd_err
play_set(struct play *play, struct hd_slice name, struct hd_slice value)
{
    return play_vars_set(&play->vars, name, value);
}
