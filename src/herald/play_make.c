/* play_make.c - the messages that actors send: a request gets the headers that it needs unless the
 * step gives them, a response copies what RFC 3261 section 8.2.6 says. What a step gives: "Name:
 * value" in place of the default, "+Name: value" beside it, "-Name" neither; "|" lines are the
 * body. */
#include <stdio.h>
#include <stdlib.h>

#include "herald/play_core.h"
#include "sip/header.h"

/* The lines of up to two steps: a retry adds to those of the request that it repeats. */
struct given {
    const struct play_line *lines[2];
    size_t n[2];
};

struct draft {
    struct play *play;
    struct play_actor *actor;
    struct given given;
    struct hd_str out;
};

/* --- lines of the step ----------------------------------------------------------------------- */

static const struct play_line *
given_at(const struct given *given, size_t i)
{
    if (i < given->n[0])
        return &given->lines[0][i];
    i -= given->n[0];
    return i < given->n[1] ? &given->lines[1][i] : NULL;
}

/* The name on a line that gives, adds or removes a header; mode is ':', '+' or '-'. */
static bool
line_name(const struct play_line *line, char *ret_mode, struct hd_slice *ret_name,
          struct hd_slice *ret_value)
{
    struct hd_slice text = line->text;
    char mode = ':';

    if (text.n == 0 || text.p[0] == '|')
        return false;
    if (text.p[0] == '-') {
        *ret_mode = '-';
        *ret_name = hd_slice_trim(hd_slice_from(text, 1));
        *ret_value = hd_slice(NULL, 0);
        return true;
    }
    if (text.p[0] == '+') {
        mode = '+';
        text = hd_slice_from(text, 1);
    }
    *ret_mode = mode;
    return play_header_line(text, ret_name, ret_value);
}

/* Whether the default of a header is wanted. */
static bool
default_wanted(const struct given *given, struct hd_slice name)
{
    const struct play_line *line;
    struct hd_slice other, value;
    char mode;

    for (size_t i = 0; (line = given_at(given, i)); i++)
        if (line_name(line, &mode, &other, &value) && mode != '+' && play_same_header(name, other))
            return false;
    return true;
}

/* The value that a step gives for a header, as a template; p NULL: none. */
static struct hd_slice
given_value(const struct given *given, struct hd_slice name, unsigned *ret_line)
{
    struct hd_slice found = { NULL, 0 }, other, value;
    const struct play_line *line;
    char mode;

    for (size_t i = 0; (line = given_at(given, i)); i++) {
        if (!line_name(line, &mode, &other, &value) || !play_same_header(name, other))
            continue;
        found = mode == '-' ? hd_slice(NULL, 0) : value;
        *ret_line = line->number;
    }
    return found;
}

static void
add_default(struct draft *draft, struct hd_slice name, struct hd_slice value)
{
    if (!default_wanted(&draft->given, name))
        return;
    hd_str_add(&draft->out, name);
    hd_str_add(&draft->out, HD_LIT(": "));
    hd_str_add(&draft->out, value);
    hd_str_add(&draft->out, HD_LIT("\r\n"));
}

/* A header of a second block takes the place of those in the first. */
static bool
is_replaced(const struct given *given, size_t i, struct hd_slice name)
{
    const struct play_line *line;
    struct hd_slice other, value;
    char mode;

    if (i >= given->n[0])
        return false;
    for (size_t k = given->n[0]; (line = given_at(given, k)); k++)
        if (line_name(line, &mode, &other, &value) && mode != '+' && play_same_header(name, other))
            return true;
    return false;
}

static enum hd_err
add_given(struct draft *draft)
{
    struct hd_slice name, value, unset = { NULL, 0 };
    const struct play_line *line;
    enum hd_err err;
    char mode;

    for (size_t i = 0; (line = given_at(&draft->given, i)); i++) {
        if (line->text.p[0] == '|' || hd_slice_starts(line->text, HD_LIT("fill ")))
            continue;
        if (!line_name(line, &mode, &name, &value))
            return play_fail(draft->play, line->number,
                             "expected \"Name: value\", \"+Name: value\", \"-Name\" or \"|body\"");
        if (mode == '-' || is_replaced(&draft->given, i, name))
            continue;
        hd_str_add(&draft->out, name);
        hd_str_add(&draft->out, HD_LIT(": "));
        err = play_expand(&draft->play->vars, value, &draft->out, &unset);
        if (err)
            return play_fail(draft->play, line->number, "cannot use \"%.*s\": %s %.*s",
                             HD_FMT(value), err == HD_ENOMATCH ? "not set:" : hd_err_text(err),
                             HD_FMT(unset));
        hd_str_add(&draft->out, HD_LIT("\r\n"));
    }
    return HD_OK;
}

/* "fill N" lengthens the body to N octets. */
static enum hd_err
body_fill(struct draft *draft, const struct play_line *line, struct hd_str *body)
{
    struct hd_slice words[3];
    bool open;
    uint32_t n;

    if (play_words(line->text, words, 3, &open) != 2 || hd_slice_to_u32(words[1], &n) ||
        n > PLAY_MESSAGE_MAX)
        return play_fail(draft->play, line->number, "expected: fill OCTETS");
    while (body->n < n && !body->err)
        hd_str_add(body, HD_LIT("x"));
    return HD_OK;
}

/* The body lines, joined by CRLF. */
static enum hd_err
make_body(struct draft *draft, struct hd_str *body)
{
    struct hd_slice unset = { NULL, 0 };
    const struct play_line *line;
    bool begun = false;
    enum hd_err err;

    for (size_t i = 0; (line = given_at(&draft->given, i)); i++) {
        if (hd_slice_starts(line->text, HD_LIT("fill "))) {
            err = body_fill(draft, line, body);
            if (err)
                return err;
            continue;
        }
        if (line->text.p[0] != '|')
            continue;
        if (begun)
            hd_str_add(body, HD_LIT("\r\n"));
        begun = true;
        err = play_expand(&draft->play->vars, hd_slice_from(line->text, 1), body, &unset);
        if (err)
            return play_fail(draft->play, line->number, "cannot use this line: %s %.*s",
                             err == HD_ENOMATCH ? "not set:" : hd_err_text(err), HD_FMT(unset));
    }
    return HD_OK;
}

/* Content-Length, the empty line and the body. */
static enum hd_err
add_body(struct draft *draft)
{
    struct hd_str body = { 0 };
    char length[24];
    enum hd_err err = make_body(draft, &body);

    if (!err) {
        (void)snprintf(length, sizeof(length), "%zu", body.n);
        add_default(draft, HD_LIT("Content-Length"), hd_slice_str(length));
        hd_str_add(&draft->out, HD_LIT("\r\n"));
        hd_str_add(&draft->out, hd_str_slice(&body));
        if (body.err || draft->out.err)
            err = play_fail(draft->play, 0, "memory is short");
    }
    hd_str_done(&body);
    return err;
}

/* --- dialogs --------------------------------------------------------------------------------- */

static const char *
salt(const struct play *play)
{
    return play->params.salt ? play->params.salt : "";
}

static struct play_dialog *
dialog_new(struct play *play, struct play_actor *actor, enum sip_method method, struct hd_slice uri,
           struct hd_slice label)
{
    struct hd_slice domain = play->params.domain.n ? play->params.domain : HD_LIT("example.test");
    struct play_dialog *dialog = calloc(1, sizeof(*dialog));
    struct hd_str text = { 0 };
    char host[HD_ADDR_TEXT];
    unsigned number = ++actor->numbers;
    size_t host_len = hd_addr_host_text(&actor->addr, host);
    bool ok;

    if (!dialog)
        return NULL;
    dialog->actor = actor;
    dialog->method = method;
    hd_str_addf(&text, "%s-%u%s@%.*s", actor->name, number, salt(play), (int)host_len, host);
    ok = play_keep(&dialog->call_id, hd_str_slice(&text));
    text.n = 0;
    hd_str_addf(&text, "%s-t%u%s", actor->name, number, salt(play));
    ok = ok && play_keep(&dialog->from_tag, hd_str_slice(&text));
    text.n = 0;
    hd_str_addf(&text, "<sip:%s@%.*s>;tag=%s", actor->name, HD_FMT(domain),
                ok ? dialog->from_tag : "");
    ok = ok && play_keep(&dialog->from, hd_str_slice(&text));
    text.n = 0;
    if (method == SIP_REGISTER)
        hd_str_addf(&text, "<sip:%s@%.*s>", actor->name, HD_FMT(domain));
    else
        hd_str_addf(&text, "<%.*s>", HD_FMT(uri));
    ok = ok && play_keep(&dialog->to, hd_str_slice(&text)) && play_keep(&dialog->uri, uri) &&
         (label.n == 0 || play_keep(&dialog->label, label));
    ok = ok && !text.err;
    hd_str_done(&text);
    dialog->next = play->dialogs;
    play->dialogs = dialog; /* freed with the play, also when it is not whole */
    return ok ? dialog : NULL;
}

/* --- requests -------------------------------------------------------------------------------- */

/* The Authorization line, when the actor can make one and the step does not forbid it. */
static enum hd_err
add_authorization(struct draft *draft, struct hd_slice method, struct hd_slice uri,
                  struct hd_slice nc)
{
    struct play_actor *actor = draft->actor;
    const struct sip_header *header;
    struct sip_digest digest;
    struct sip_out out;
    char line[2048];
    uint32_t count;

    if (!actor->user || !actor->challenge ||
        !default_wanted(&draft->given, HD_LIT("Authorization")))
        return HD_OK;
    header = sip_msg_header(&actor->challenge->sip, SIP_HDR_WWW_AUTHENTICATE);
    for (; header; header = sip_msg_next(&actor->challenge->sip, header))
        if (sip_digest_parse(header->value, &digest) == HD_OK && digest.alg != SIP_DIGEST_NONE &&
            (actor->alg == SIP_DIGEST_NONE || actor->alg == digest.alg))
            break;
    if (!header)
        return play_fail(draft->play, 0, "the last challenge has no algorithm for %s", actor->name);
    if (!actor->nonce || !hd_slice_eq(hd_slice_str(actor->nonce), digest.nonce)) {
        if (!play_keep(&actor->nonce, digest.nonce))
            return HD_ENOMEM;
        actor->nc = 0;
    }
    count = ++actor->nc;
    if (nc.n && hd_slice_to_u32(nc, &count))
        return play_fail(draft->play, 0, "expected: nc NUMBER");
    sip_out_init(&out, line, sizeof(line));
    sip_digest_authorization(&out, &digest, hd_slice_str(actor->user),
                             hd_slice_str(actor->password), method, uri, HD_LIT("0a4f113b"), count,
                             false);
    if (out.full)
        return play_fail(draft->play, 0, "the credentials are too long");
    hd_str_add(&draft->out, hd_slice(line, out.n));
    return HD_OK;
}

static void
add_via(struct draft *draft)
{
    struct play_actor *actor = draft->actor;
    struct hd_slice transport = hd_transport_name(actor->transport);
    struct hd_str value = { 0 };
    char addr[HD_ADDR_TEXT];
    size_t n = hd_addr_text(&actor->addr, addr);

    hd_str_addf(&value, "SIP/2.0/%.*s %.*s;rport;branch=z9hG4bK-%s-%u%s", HD_FMT(transport), (int)n,
                addr, actor->name, ++actor->numbers, salt(draft->play));
    add_default(draft, HD_LIT("Via"), hd_str_slice(&value));
    hd_str_done(&value);
}

static void
add_contact(struct draft *draft)
{
    struct play_actor *actor = draft->actor;
    struct hd_str value = { 0 };
    char addr[HD_ADDR_TEXT];
    size_t n = hd_addr_text(&actor->addr, addr);

    hd_str_addf(&value, "<sip:%s@%.*s%s>", actor->name, (int)n, addr,
                actor->transport == HD_TCP   ? ";transport=tcp"
                : actor->transport == HD_TLS ? ";transport=tls"
                                             : "");
    add_default(draft, HD_LIT("Contact"), hd_str_slice(&value));
    hd_str_done(&value);
}

/* CSeq: the next number, or the one that the step gives, from which the dialog then counts on. */
static void
add_cseq(struct draft *draft, struct play_dialog *dialog, struct hd_slice method)
{
    char value[64];
    struct hd_slice given;
    unsigned line = 0;
    uint32_t number;

    dialog->cseq++;
    (void)snprintf(value, sizeof(value), "%u %.*s", dialog->cseq,
                   (int)(method.n > 40 ? 40 : method.n), method.p);
    add_default(draft, HD_LIT("CSeq"), hd_slice_str(value));
    given = given_value(&draft->given, HD_LIT("CSeq"), &line);
    if (given.n && hd_slice_to_u32(hd_slice_cut(&given, ' '), &number) == HD_OK)
        dialog->cseq = number;
}

static bool
needs_contact(enum sip_method method)
{
    return method == SIP_SUBSCRIBE || method == SIP_REGISTER || method == SIP_INVITE;
}

static enum hd_err
make_request(struct draft *draft, struct play_dialog *dialog, struct hd_slice method,
             struct hd_slice uri, bool in_dialog, struct hd_slice nc)
{
    struct hd_str to = { 0 };
    enum sip_method known = sip_method_find(method);
    enum hd_err err;

    hd_str_add(&draft->out, method);
    hd_str_add(&draft->out, HD_LIT(" "));
    hd_str_add(&draft->out, uri);
    hd_str_add(&draft->out, HD_LIT(" SIP/2.0\r\n"));
    add_via(draft);
    add_default(draft, HD_LIT("Max-Forwards"), HD_LIT("70"));
    add_default(draft, HD_LIT("From"), hd_slice_str(dialog->from));
    hd_str_add(&to, hd_slice_str(dialog->to));
    if (in_dialog && dialog->to_tag)
        hd_str_addf(&to, ";tag=%s", dialog->to_tag);
    add_default(draft, HD_LIT("To"), hd_str_slice(&to));
    hd_str_done(&to);
    add_default(draft, HD_LIT("Call-ID"), hd_slice_str(dialog->call_id));
    add_cseq(draft, dialog, method);
    if (needs_contact(known))
        add_contact(draft);
    if (in_dialog && dialog->routes)
        add_default(draft, HD_LIT("Route"), hd_slice_str(dialog->routes));
    if (in_dialog && dialog->event && known == SIP_SUBSCRIBE)
        add_default(draft, HD_LIT("Event"), hd_slice_str(dialog->event));
    err = add_authorization(draft, method, uri, nc);
    if (!err)
        err = add_given(draft);
    if (!err)
        err = add_body(draft);
    return err;
}

/* Sends what was drafted; the message is remembered as the actor's last request when it is one. */
static enum hd_err
send_octets(struct play *play, struct play_actor *actor, struct play_message *reply_to,
            struct hd_slice octets, const struct play_options *options, struct play_dialog *dialog)
{
    struct play_message *message = play_message_new(play, actor, actor->transport, octets);
    char problem[PLAY_PROBLEM] = "";

    if (!message)
        return play_fail(play, 0, "memory is short");
    if (options->as.n && !play_keep(&message->label, options->as))
        return play_fail(play, 0, "memory is short");
    message->step = play->step;
    message->dialog = dialog;
    message->at_ms = play->params.host.now_ms(play->params.host.context);
    if (reply_to)
        reply_to->answered = true;
    else
        actor->sent = message;
    if (play->params.host.trace)
        play->params.host.trace(play->params.host.context, actor, true, message->octets);
    if (!play->params.host.send(play->params.host.context, actor, reply_to, message->octets,
                                options->rest, options->n_rest, problem))
        return play_fail(play, 0, "cannot send: %s", problem);
    return HD_OK;
}

/* The dialog takes over what its SUBSCRIBE said, for those that follow. */
static enum hd_err
dialog_note(struct play *play, struct play_dialog *dialog, struct hd_slice octets,
            const struct play_options *options)
{
    char memory[8192];
    struct hd_arena arena;
    struct sip_fault fault;
    struct sip_msg sip;
    bool ok = true;

    if (options->as.n)
        ok = play_keep(&dialog->label, options->as);
    hd_arena_init(&arena, memory, sizeof(memory));
    if (sip_msg_parse(octets, false, &arena, &sip, &fault) == HD_OK) {
        if (sip_msg_has(&sip, SIP_HDR_EVENT))
            ok = ok && play_keep(&dialog->event, sip_msg_value(&sip, SIP_HDR_EVENT));
        ok = ok && play_keep(&dialog->call_id, sip.call_id) &&
             play_keep(&dialog->from, sip.from.value);
        if (sip.to_tag.n == 0)
            ok = ok && play_keep(&dialog->to, sip.to.value);
    }
    return ok ? HD_OK : play_fail(play, 0, "memory is short");
}

static enum hd_err
send_request(struct play *play, struct play_actor *actor, const struct hd_slice *words, unsigned n)
{
    struct draft draft = { .play = play, .actor = actor };
    struct hd_slice method = words[0], uri = { NULL, 0 };
    struct play_dialog *dialog = NULL;
    struct play_options options;
    enum sip_method known = sip_method_find(method);
    bool in_dialog;
    enum hd_err err;

    /* "SUBSCRIBE URI ..." or "SUBSCRIBE in DIALOG ..." or "SUBSCRIBE URI in DIALOG" */
    if (n > 1 && !hd_slice_eq(words[1], HD_LIT("in"))) {
        uri = words[1];
        play_options_read(words + 2, n - 2, &options);
    } else {
        play_options_read(words + 1, n - 1, &options);
    }
    in_dialog = options.in.n > 0;
    if (in_dialog) {
        dialog = play_dialog_find(play, actor, options.in);
        if (!dialog)
            return play_fail(play, 0, "%s has no dialog \"%.*s\"", actor->name, HD_FMT(options.in));
        if (uri.n == 0)
            uri = hd_slice_str(dialog->target ? dialog->target : dialog->uri);
    }
    if (uri.n == 0)
        return play_fail(play, 0, "expected: %s > %.*s URI, or ... in DIALOG", actor->name,
                         HD_FMT(method));
    if (known == SIP_REGISTER && !in_dialog)
        dialog = actor->registration;
    if (!dialog)
        dialog = dialog_new(play, actor, known, uri, options.as);
    if (!dialog)
        return play_fail(play, 0, "memory is short");
    if (known == SIP_REGISTER)
        actor->registration = dialog;
    draft.given.lines[0] = play->step->lines;
    draft.given.n[0] = play->step->n_lines;
    err = make_request(&draft, dialog, method, uri, in_dialog, options.nc);
    if (!err && !in_dialog)
        err = dialog_note(play, dialog, hd_str_slice(&draft.out), &options);
    if (!err)
        err = send_octets(play, actor, NULL, hd_str_slice(&draft.out), &options, dialog);
    hd_str_done(&draft.out);
    return err;
}

/* "alice > retry": the last request anew, with credentials for the last challenge (RFC 3261
 * section 22.2: CSeq goes up). */
static enum hd_err
send_retry(struct play *play, struct play_actor *actor, const struct hd_slice *words, unsigned n)
{
    struct play_message *last = actor->sent;
    struct draft draft = { .play = play, .actor = actor };
    struct play_options options;
    enum hd_err err;

    play_options_read(words + 1, n - 1, &options);
    if (!last || !last->parsed || !last->dialog || !last->step)
        return play_fail(play, 0, "%s has sent nothing that can be tried again", actor->name);
    draft.given.lines[0] = last->step->lines;
    draft.given.n[0] = last->step->n_lines;
    if (last->step != play->step) {
        draft.given.lines[1] = play->step->lines;
        draft.given.n[1] = play->step->n_lines;
    }
    err = make_request(&draft, last->dialog, last->sip.method_name, last->sip.uri,
                       last->sip.to_tag.n > 0, options.nc);
    if (!err)
        err = send_octets(play, actor, NULL, hd_str_slice(&draft.out), &options, last->dialog);
    if (!err && last->step != play->step)
        actor->sent->step = last->step;
    hd_str_done(&draft.out);
    return err;
}

/* "alice > again [LABEL]": the same octets once more. */
static enum hd_err
send_again(struct play *play, struct play_actor *actor, const struct hd_slice *words, unsigned n)
{
    struct play_message *message = actor->sent;
    struct play_options options;
    char problem[PLAY_PROBLEM] = "";
    unsigned used = 1;

    if (n > 1 && !hd_slice_eq(words[1], HD_LIT("shard")) &&
        !hd_slice_eq(words[1], HD_LIT("from"))) {
        message = play_message_find(play, words[1]);
        used = 2;
    }
    play_options_read(words + used, n - used, &options);
    if (!message)
        return play_fail(play, 0, "no such message was sent");
    if (play->params.host.trace)
        play->params.host.trace(play->params.host.context, actor, true, message->octets);
    if (!play->params.host.send(play->params.host.context, actor, NULL, message->octets,
                                options.rest, options.n_rest, problem))
        return play_fail(play, 0, "cannot send: %s", problem);
    return HD_OK;
}

static enum hd_err
send_raw(struct play *play, struct play_actor *actor, const struct hd_slice *words, unsigned n)
{
    struct draft draft = { .play = play, .actor = actor };
    struct play_options options;
    enum hd_err err;

    play_options_read(words + 1, n - 1, &options);
    draft.given.lines[0] = play->step->lines;
    draft.given.n[0] = play->step->n_lines;
    err = make_body(&draft, &draft.out);
    if (!err)
        err = send_octets(play, actor, NULL, hd_str_slice(&draft.out), &options, NULL);
    hd_str_done(&draft.out);
    return err;
}

/* --- responses ------------------------------------------------------------------------------- */

enum hd_err
play_answer(struct play *play, struct play_actor *actor, struct play_message *request,
            unsigned status, const struct play_line *lines, size_t n_lines,
            const struct hd_slice *words, unsigned n, struct hd_slice reason)
{
    struct draft draft = { .play = play,
                           .actor = actor,
                           .given = { .lines = { lines, NULL }, .n = { n_lines, 0 } } };
    struct play_options options;
    const struct sip_header *via;
    struct hd_str to = { 0 };
    enum hd_err err;

    play_options_read(words, n, &options);
    hd_str_addf(&draft.out, "SIP/2.0 %u ", status);
    hd_str_add(&draft.out, reason.n ? reason : sip_status_phrase(status));
    hd_str_add(&draft.out, HD_LIT("\r\n"));
    for (via = sip_msg_header(&request->sip, SIP_HDR_VIA); via;
         via = sip_msg_next(&request->sip, via))
        add_default(&draft, HD_LIT("Via"), via->value);
    add_default(&draft, HD_LIT("From"), request->sip.from.value);
    hd_str_add(&to, request->sip.to.value);
    if (request->sip.to_tag.n == 0)
        hd_str_addf(&to, ";tag=%s-r%u", actor->name, ++actor->numbers);
    add_default(&draft, HD_LIT("To"), hd_str_slice(&to));
    hd_str_done(&to);
    add_default(&draft, HD_LIT("Call-ID"), request->sip.call_id);
    add_default(&draft, HD_LIT("CSeq"), sip_msg_value(&request->sip, SIP_HDR_CSEQ));
    err = add_given(&draft);
    if (!err)
        err = add_body(&draft);
    if (!err)
        err = send_octets(play, actor, request, hd_str_slice(&draft.out), &options, NULL);
    hd_str_done(&draft.out);
    return err;
}

static enum hd_err
send_response(struct play *play, struct play_actor *actor, unsigned status,
              const struct hd_slice *words, unsigned n)
{
    struct play_message *request = actor->taken;
    struct hd_slice reason = { NULL, 0 };
    struct play_options options;
    unsigned used = 1;

    if (n > 1 && !hd_slice_eq(words[1], HD_LIT("to")) && !hd_slice_eq(words[1], HD_LIT("as")) &&
        !hd_slice_eq(words[1], HD_LIT("from")) && !hd_slice_eq(words[1], HD_LIT("shard"))) {
        reason = words[1];
        used = 2;
    }
    play_options_read(words + used, n - used, &options);
    if (options.to.n)
        request = play_message_find(play, options.to);
    if (!request || !request->sip.request)
        return play_fail(play, 0, "%s has got no request to answer: expect it first", actor->name);
    return play_answer(play, actor, request, status, play->step->lines, play->step->n_lines,
                       words + used, n - used, reason);
}

enum hd_err
play_send_step(struct play *play, struct play_actor *actor, const struct hd_slice *words,
               unsigned n)
{
    uint32_t status;

    if (n == 0)
        return play_fail(play, 0, "expected: %s > METHOD URI, CODE, again, retry or raw",
                         actor->name);
    if (hd_slice_eq(words[0], HD_LIT("raw")))
        return send_raw(play, actor, words, n);
    if (hd_slice_eq(words[0], HD_LIT("again")))
        return send_again(play, actor, words, n);
    if (hd_slice_eq(words[0], HD_LIT("retry")))
        return send_retry(play, actor, words, n);
    if (hd_slice_to_u32(words[0], &status) == HD_OK && status >= 100 && status < 700)
        return send_response(play, actor, status, words, n);
    return send_request(play, actor, words, n);
}
