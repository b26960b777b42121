/* flow_stable.c - a call flow as it can stand in a document: what differs from run to run (ids,
 * ports, times, sequence numbers) gets a name by the order in which it appears, in all messages the
 * same.  Answers are put behind their requests, for how they overtake each other differs too. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "herald/flow.h"

#define SERVER_PORT 5060
#define PARTY_PORT 5071

struct token {
    char *old, *new;
    size_t n;
};

struct names {
    struct token *tokens;
    size_t n, cap;
    unsigned count[16]; /* how many of a kind have a name */
    struct hd_addr addrs[64];
    size_t n_addrs;
    bool failed;
};

enum token_kind { TAG = 0, BRANCH, CALL, ETAG, NONCE, ID, UUID, STAMP, LOCAL, REMOTE };

/* --- the table -------------------------------------------------------------------------------- */

static const struct token *
find_token(const struct names *names, struct hd_slice old)
{
    for (size_t i = 0; i < names->n; i++)
        if (hd_slice_eq(hd_slice(names->tokens[i].old, names->tokens[i].n), old))
            return &names->tokens[i];
    return NULL;
}

static void
put_token(struct names *names, struct hd_slice old, struct hd_slice new)
{
    if (names->n == names->cap) {
        const size_t cap = names->cap ? 2 * names->cap : 64;
        struct token *more = realloc(names->tokens, cap * sizeof(*more));
        if (!more) {
            names->failed = true;
            return;
        }
        names->tokens = more;
        names->cap = cap;
    }
    struct token *token = &names->tokens[names->n];
    *token = (struct token){ hd_slice_strdup(old), hd_slice_strdup(new), old.n };
    names->failed = names->failed || !token->old || !token->new;
    names->n++;
}

/* Gives it a name, when it has none. */
static void
name_token(struct names *names, enum token_kind kind, struct hd_slice old)
{
    char text[64];
    int n = 0;

    if (!old.n || find_token(names, old))
        return;
    const unsigned number = ++names->count[kind];
    switch (kind) {
    case TAG:
        n = snprintf(text, sizeof(text), "tag-%u", number);
        break;
    case BRANCH:
        n = snprintf(text, sizeof(text), "z9hG4bK-%u", number);
        break;
    case CALL:
        n = snprintf(text, sizeof(text), "call-%u", number);
        break;
    case ETAG:
        n = snprintf(text, sizeof(text), "etag-%u", number);
        break;
    case NONCE:
        n = snprintf(text, sizeof(text), "nonce-%u", number);
        break;
    case ID:
        n = snprintf(text, sizeof(text), "id-%u", number);
        break;
    case UUID:
        n = snprintf(text, sizeof(text), "urn:uuid:00000000-0000-4000-8000-%012u", number);
        break;
    case STAMP:
        n = snprintf(text, sizeof(text), "2026-01-01T00:%02u:%02uZ", number / 60 % 60, number % 60);
        break;
    case LOCAL:
    case REMOTE:
        break;
    }
    put_token(names, old, hd_slice(text, (size_t)n));
}

static void
name_addr(struct names *names, const struct hd_addr *addr, bool local)
{
    char old[HD_ADDR_TEXT], new[HD_ADDR_TEXT], port[32];
    struct hd_addr stable = *addr;

    for (size_t i = 0; i < names->n_addrs; i++)
        if (hd_addr_eq(&names->addrs[i], addr))
            return;
    if (names->n_addrs == HD_ARRAY_LEN(names->addrs))
        return;
    names->addrs[names->n_addrs++] = *addr;
    stable.port = (uint16_t)(local ? SERVER_PORT + names->count[LOCAL]++
                                   : PARTY_PORT + names->count[REMOTE]++);
    put_token(names, hd_slice(old, hd_addr_text(addr, old)),
              hd_slice(new, hd_addr_text(&stable, new)));
    int n = snprintf(port, sizeof(port), "rport=%u", addr->port);
    const size_t new_n = (size_t)snprintf(new, sizeof(new), "rport=%u", stable.port);
    put_token(names, hd_slice(port, (size_t)n), hd_slice(new, new_n));
}

/* --- what is to be named ---------------------------------------------------------------------- */

static size_t
value_end(struct hd_slice text, size_t at)
{
    while (at < text.n && (unsigned char)text.p[at] > ' ' && !strchr(";,>\"", text.p[at]))
        at++;
    return at;
}

/* Names every value that stands behind a key. */
static void
name_values(struct names *names, enum token_kind kind, struct hd_slice text, struct hd_slice key)
{
    for (size_t i = 0; i + key.n <= text.n; i++) {
        if (!hd_slice_starts(hd_slice_from(text, i), key))
            continue;
        const size_t end = value_end(text, i + key.n);
        name_token(names, kind, hd_slice(text.p + i + key.n, end - i - key.n));
        i = end;
    }
}

static bool
fits(struct hd_slice text, size_t at, const char *pattern)
{
    for (size_t i = 0; pattern[i]; i++) {
        if (at + i >= text.n)
            return false;
        const char c = text.p[at + i];
        const bool digit = c >= '0' && c <= '9',
                   hex = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (pattern[i] == '9' ? !digit : pattern[i] == 'x' ? !hex : c != pattern[i])
            return false;
    }
    return true;
}

/* RFC 3339: with a fraction or without, in UTC or elsewhere. */
static size_t
stamp_length(struct hd_slice text, size_t at)
{
    size_t n = 19;

    if (!fits(text, at, "9999-99-99T99:99:99"))
        return 0;
    if (at + n < text.n && text.p[at + n] == '.')
        for (n++; at + n < text.n && text.p[at + n] >= '0' && text.p[at + n] <= '9';)
            n++;
    if (at + n < text.n && text.p[at + n] == 'Z')
        return n + 1;
    return fits(text, at + n, "+99:99") || fits(text, at + n, "-99:99") ? n + 6 : n;
}

/* An id of XML that a program made up: eight characters and more, with a number in them. */
static size_t
random_id(struct hd_slice text, size_t at)
{
    size_t n = 0, digits = 0;

    if (!fits(text, at, " id=\""))
        return 0;
    for (at += 5; at + n < text.n && text.p[at + n] != '"'; n++)
        digits += text.p[at + n] >= '0' && text.p[at + n] <= '9';
    return at + n < text.n && n >= 8 && n <= 64 && digits >= 2 ? n : 0;
}

static void
name_patterns(struct names *names, struct hd_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        size_t n = stamp_length(text, i);

        if (n) {
            name_token(names, STAMP, hd_slice(text.p + i, n));
            i += n - 1;
        } else if ((n = random_id(text, i))) {
            name_token(names, ID, hd_slice(text.p + i + 5, n));
            i += n + 4;
        } else if (fits(text, i, "urn:uuid:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")) {
            name_token(names, UUID, hd_slice(text.p + i, 45));
            i += 44;
        }
    }
}

static size_t
head_length(struct hd_slice text)
{
    for (size_t i = 0; i + 4 <= text.n; i++)
        if (memcmp(text.p + i, "\r\n\r\n", 4) == 0)
            return i + 4;
    return text.n;
}

/* The value of a header field by its name; empty: there is none. */
static struct hd_slice
header_of(struct hd_slice head, struct hd_slice name)
{
    while (head.n) {
        struct hd_slice line = hd_slice_cut(&head, '\n');
        if (line.n > name.n && hd_slice_istarts(line, name) && line.p[name.n] == ':')
            return hd_slice_trim(hd_slice(
                line.p + name.n + 1, line.n - name.n - 1 - (line.p[line.n - 1] == '\r' ? 1 : 0)));
    }
    return hd_slice(NULL, 0);
}

static struct hd_slice
call_id_of(struct hd_slice head)
{
    const struct hd_slice call_id = header_of(head, HD_LIT("Call-ID"));

    return call_id.n ? call_id : header_of(head, HD_LIT("i"));
}

static void
name_message(struct names *names, const struct flow_event *event)
{
    const struct hd_slice head = hd_slice(event->octets.p, head_length(event->octets));

    name_addr(names, &event->local, true);
    name_addr(names, &event->remote, false);
    name_token(names, CALL, call_id_of(head));
    name_values(names, BRANCH, head, HD_LIT("branch="));
    name_values(names, TAG, head, HD_LIT("tag="));
    name_token(names, ETAG, header_of(head, HD_LIT("SIP-ETag")));
    name_token(names, ETAG, header_of(head, HD_LIT("SIP-If-Match")));
    name_values(names, NONCE, head, HD_LIT("nonce=\""));
    name_values(names, NONCE, head, HD_LIT("opaque=\""));
    name_patterns(names, event->octets);
}

/* --- sequence numbers ------------------------------------------------------------------------- */

/* In a dialog each side counts from where it likes: here from 1. */
static uint32_t
stable_cseq(const struct flow *flow, size_t at, struct hd_slice head)
{
    uint32_t numbers[64], number, n = 0;
    const struct hd_slice call_id = call_id_of(head);
    const bool notify = hd_slice_find(header_of(head, HD_LIT("CSeq")), 'Y') <
                        header_of(head, HD_LIT("CSeq")).n; /* NOTIFY: the server's side */

    for (size_t i = 0; i <= at; i++) {
        const struct flow_event *event = &flow->events[i];
        if (event->kind != FLOW_MESSAGE)
            continue;
        const struct hd_slice other = hd_slice(event->octets.p, head_length(event->octets));
        struct hd_slice cseq = header_of(other, HD_LIT("CSeq"));
        if (!hd_slice_eq(call_id_of(other), call_id) ||
            (hd_slice_find(cseq, 'Y') < cseq.n) != notify)
            continue;
        if (hd_slice_to_u32(hd_slice_cut(&cseq, ' '), &number))
            continue;
        uint32_t k = 0;
        while (k < n && numbers[k] != number)
            k++;
        if (k == n && n < HD_ARRAY_LEN(numbers))
            numbers[n++] = number;
        if (i == at)
            return k + 1;
    }
    return 1;
}

/* --- writing anew ----------------------------------------------------------------------------- */

static bool
in_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The longest token that stands at a place. */
static const struct token *
token_at(const struct names *names, struct hd_slice text, size_t at)
{
    const struct token *best = NULL;

    if (at && in_word(text.p[at - 1]) && in_word(text.p[at]))
        return NULL;
    for (size_t i = 0; i < names->n; i++) {
        const struct token *token = &names->tokens[i];
        if (token->old[0] == text.p[at] && token->n <= text.n - at &&
            memcmp(token->old, text.p + at, token->n) == 0 && (!best || token->n > best->n) &&
            !(at + token->n < text.n && in_word(text.p[at + token->n]) &&
              in_word(token->old[token->n - 1])))
            best = token;
    }
    return best;
}

static void
write_named(const struct names *names, struct hd_slice text, struct hd_str *out)
{
    for (size_t i = 0; i < text.n;) {
        const struct token *token = token_at(names, text, i);

        if (token) {
            hd_str_add_str(out, token->new);
            i += token->n;
        } else {
            hd_str_add_char(out, text.p[i++]);
        }
    }
}

/* What is left of a duration depends on the moment: up to the next ten seconds. */
static void
write_state(struct hd_slice line, struct hd_str *out)
{
    const struct hd_slice key = HD_LIT("expires=");

    for (size_t i = 0; i < line.n; i++) {
        uint32_t seconds;
        const struct hd_slice rest = hd_slice_from(line, i + key.n);

        if (!hd_slice_starts(hd_slice_from(line, i), key))
            continue;
        const size_t n = value_end(rest, 0);
        if (hd_slice_to_u32(hd_slice(rest.p, n), &seconds))
            break;
        hd_str_add(out, hd_slice(line.p, i + key.n));
        hd_str_add_u64(out, ((uint64_t)seconds + 9) / 10 * 10);
        hd_str_add(out, hd_slice_from(rest, n));
        return;
    }
    hd_str_add(out, line);
}

static void
write_line(const struct names *names, struct hd_slice line, uint32_t cseq, size_t body_n,
           struct hd_str *out)
{
    if (hd_slice_istarts(line, HD_LIT("CSeq:"))) {
        struct hd_slice rest = hd_slice_trim(hd_slice_from(line, 5));
        (void)hd_slice_cut(&rest, ' ');
        hd_str_addf(out, "CSeq: %u ", cseq);
        hd_str_add(out, rest);
    } else if (hd_slice_istarts(line, HD_LIT("Content-Length:"))) {
        hd_str_addf(out, "Content-Length: %zu\r", body_n);
    } else if (hd_slice_istarts(line, HD_LIT("Subscription-State:"))) {
        write_state(line, out);
    } else {
        write_named(names, line, out);
    }
}

static void
write_message(struct names *names, struct flow_event *event, uint32_t cseq)
{
    const size_t head_n = head_length(event->octets);
    struct hd_slice head = hd_slice(event->octets.p, head_n);
    struct hd_str body = { 0 }, out = { 0 };

    write_named(names, hd_slice_from(event->octets, head_n), &body);
    while (head.n) {
        write_line(names, hd_slice_cut(&head, '\n'), cseq, body.n, &out);
        hd_str_add_char(&out, '\n');
    }
    hd_str_add(&out, hd_str_slice(&body));
    names->failed = names->failed || body.err || out.err;
    const size_t n = out.n;
    char *octets = hd_str_take(&out);
    if (octets) {
        free((char *)(uintptr_t)event->octets.p);
        event->octets = hd_slice(octets, n);
    }
    hd_str_done(&body);
}

/* --- answers behind their requests ------------------------------------------------------------ */

static bool
answers(const struct flow_event *answer, const struct flow_event *request)
{
    const struct hd_slice a = hd_slice(answer->octets.p, head_length(answer->octets));
    const struct hd_slice b = hd_slice(request->octets.p, head_length(request->octets));

    return request->kind == FLOW_MESSAGE && request->out != answer->out &&
           !hd_slice_starts(b, HD_LIT("SIP/")) &&
           hd_slice_eq(header_of(a, HD_LIT("CSeq")), header_of(b, HD_LIT("CSeq"))) &&
           hd_slice_eq(call_id_of(a), call_id_of(b));
}

/* Decisions that were made on the way to an answer stay between. */
static void
order_answer(struct flow *flow, size_t at)
{
    const struct flow_event answer = flow->events[at];
    size_t to = at;

    while (to > 0 && !answers(&answer, &flow->events[to - 1]))
        to--;
    if (to == 0)
        return;
    while (to < at && flow->events[to].kind != FLOW_MESSAGE)
        to++;
    memmove(&flow->events[to + 1], &flow->events[to], (at - to) * sizeof(flow->events[0]));
    flow->events[to] = answer;
}

enum hd_err
flow_stable(struct flow *flow)
{
    struct names names = { 0 };
    uint32_t *cseqs = calloc(flow->n + 1, sizeof(*cseqs));

    if (!cseqs)
        return HD_ENOMEM;
    for (size_t i = 0; i < flow->n; i++)
        if (flow->events[i].kind == FLOW_MESSAGE &&
            hd_slice_starts(flow->events[i].octets, HD_LIT("SIP/")))
            order_answer(flow, i);
    for (size_t i = 0; i < flow->n; i++) {
        const struct flow_event *event = &flow->events[i];
        if (event->kind != FLOW_MESSAGE)
            continue;
        name_message(&names, event);
        cseqs[i] = stable_cseq(flow, i, hd_slice(event->octets.p, head_length(event->octets)));
    }
    for (size_t i = 0; i < flow->n && !names.failed; i++)
        if (flow->events[i].kind == FLOW_MESSAGE)
            write_message(&names, &flow->events[i], cseqs[i]);
    for (size_t i = 0; i < names.n; i++) {
        free(names.tokens[i].old);
        free(names.tokens[i].new);
    }
    free(names.tokens);
    free(cseqs);
    return names.failed ? HD_ENOMEM : HD_OK;
}
