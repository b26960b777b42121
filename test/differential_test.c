/* differential_test.c - our parser against libsofia-sip-ua and libosip2.
 *
 * Messages of known clients (data/sip/) are changed by a seeded mutator: some changes must not
 * change what the message means (case, compact forms, folds, order), others break it anywhere.
 * Every parser reads every message.  What two parsers both accept must have the same values.  What
 * we refuse and another accepts must be refused for a reason that is listed here with why we are
 * stricter; a wrong value or an unlisted reason fails the test and prints the message.
 *
 * The other parsers run as programs (oracle.h); what one of them died on does not count.
 * Usage: differential_test SOFIA_PROGRAM OSIP_PROGRAM [SEED] */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "oracle.h"
#include "sip/header.h"
#include "sip/msg.h"
#include "sip/uri.h"

#define SEEDS_MAX 64
#define MUTANTS 4000

/* Escapes undone and in lower case where asked: the libraries keep some in one form and some in the
 * other. */
static struct text
text_plain(const struct text *in, bool lower)
{
    struct text out = { .there = in->there };
    for (unsigned i = 0; i < in->n; i++) {
        char c = in->p[i];
        unsigned octet;
        char hex[3] = { 0 };
        if (c == '%' && i + 2 < in->n) {
            memcpy(hex, in->p + i + 1, 2);
            if (sscanf(hex, "%2x", &octet) == 1 && strspn(hex, "0123456789abcdefABCDEF") == 2) {
                c = (char)octet;
                i += 2;
            }
        }
        if (lower && c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        out.p[out.n++] = c;
    }
    return out;
}

static bool
text_same(const struct text *a, const struct text *b, bool lower)
{
    const struct text x = text_plain(a, lower), y = text_plain(b, lower);
    return x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
}

/* ---- the three readers ---- */

static void
read_ours(const struct message *in, struct view *view, const char **ret_fault)
{
    char memory[SIP_MAX_HEADERS * sizeof(struct sip_header) + 16];
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;
    memset(view, 0, sizeof(*view));
    view->ran = true;
    hd_arena_init(&arena, memory, sizeof(memory));
    view->ok = sip_msg_parse(hd_slice(in->text, in->n), false, &arena, &msg, &fault) == HD_OK;
    *ret_fault = fault.reason;
    if (!view->ok)
        return;
    view->request = msg.request;
    view->status = msg.status;
    text_set(&view->method, msg.method_name.p, msg.method_name.n);
    struct sip_uri uri;
    if (msg.request) {
        if (sip_uri_parse(msg.uri, &uri)) {
            view->ok = false;
            *ret_fault = "Request-URI";
            return;
        }
        text_set(&view->user, uri.user.p, uri.user.n);
        text_set(&view->host, uri.host.p, uri.host.n);
        view->port = uri.port;
    }
    text_set(&view->call_id, msg.call_id.p, msg.call_id.n);
    view->cseq = msg.cseq.number;
    text_set(&view->cseq_method, msg.cseq.method_name.p, msg.cseq.method_name.n);
    text_set(&view->from_tag, msg.from_tag.p, msg.from_tag.n);
    text_set(&view->to_tag, msg.to_tag.p, msg.to_tag.n);
    text_set(&view->via_host, msg.via.host.p, msg.via.host.n);
    view->via_port = msg.via.port;
    text_set(&view->branch, msg.via.branch.p, msg.via.branch.n);
    uint32_t number;
    const struct hd_slice length = sip_msg_value(&msg, SIP_HDR_CONTENT_LENGTH);
    if (length.p && hd_slice_to_u32(length, &number) == HD_OK) {
        view->has_length = true;
        view->length = number;
    }
    view->body_n = msg.body.n;
    const struct hd_slice expires = sip_msg_value(&msg, SIP_HDR_EXPIRES);
    if (expires.p && sip_delta_parse(expires, &number) == HD_OK) {
        view->has_expires = true;
        view->expires = number;
    }
    struct sip_event event;
    const struct hd_slice value = sip_msg_value(&msg, SIP_HDR_EVENT);
    if (value.p && sip_event_parse(value, &event) == HD_OK) {
        text_set(&view->package, event.package.p, event.package.n);
        text_set(&view->event_id, event.id.p, event.id.n);
    }
}

/* Asks a program about all messages.  One that dies takes only its message with it. */
static void
read_by(const char *program, const struct message *in, size_t n, struct view *views)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(in, sizeof(*in), n, file), n);
    assert_int_equal(fflush(file), 0);
    for (size_t at = 0; at < n;) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        assert_true(lseek(fileno(file), (off_t)(at * sizeof(*in)), SEEK_SET) >= 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const int null = open("/dev/null", O_WRONLY);
            dup2(fileno(file), STDIN_FILENO);
            dup2(ends[1], STDOUT_FILENO);
            dup2(null, STDERR_FILENO);
            close(ends[0]);
            execl(program, program, (char *)NULL);
            _exit(127);
        }
        close(ends[1]);
        FILE *answers = fdopen(ends[0], "rb");
        assert_non_null(answers);
        at += fread(&views[at], sizeof(*views), n - at, answers);
        fclose(answers);
        int status;
        assert_true(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
            fail_msg("cannot run %s", program);
        if (at < n)
            memset(&views[at++], 0, sizeof(*views));
    }
    fclose(file);
}

/* ---- comparing ---- */

static const char *
host_of(const struct view *v, bool via, struct text *ret_host)
{
    /* The libraries give IPv6 with or without brackets. */
    const struct text *host = via ? &v->via_host : &v->host;
    *ret_host = *host;
    if (host->n > 2 && host->p[0] == '[') {
        ret_host->n = (unsigned short)(host->n - 2);
        memcpy(ret_host->p, host->p + 1, ret_host->n);
    }
    return ret_host->p;
}

/* The name of the first value that differs, or NULL. */
static const char *
difference(const struct view *a, const struct view *b, bool osip)
{
    struct text x, y;
    if (a->request != b->request)
        return "kind";
    if (a->status != b->status)
        return "status";
    if (!text_same(&a->method, &b->method, false))
        return "method";
    /* A URI of another scheme is not split by us (416). */
    if (a->request && a->host.there) {
        /* libosip2 undoes escapes in a C string, which ends at a NUL. */
        const bool nul = osip && memmem(a->user.p, a->user.n, "%00", 3);
        if (!nul && !text_same(&a->user, &b->user, false))
            return "Request-URI user";
        host_of(a, false, &x);
        host_of(b, false, &y);
        if (!text_same(&x, &y, true))
            return "Request-URI host";
        if (a->port != b->port)
            return "Request-URI port";
    }
    if (a->call_id.n != b->call_id.n || memcmp(a->call_id.p, b->call_id.p, a->call_id.n) != 0)
        return "Call-ID";
    if (a->cseq != b->cseq)
        return "CSeq number";
    if (!text_same(&a->cseq_method, &b->cseq_method, false))
        return "CSeq method";
    if (!text_same(&a->from_tag, &b->from_tag, false))
        return "From tag";
    if (!text_same(&a->to_tag, &b->to_tag, false))
        return "To tag";
    host_of(a, true, &x);
    host_of(b, true, &y);
    if (!text_same(&x, &y, true))
        return "Via host";
    if (a->via_port != b->via_port)
        return "Via port";
    if (!text_same(&a->branch, &b->branch, false))
        return "branch";
    if (a->has_length && b->has_length && a->length != b->length)
        return "Content-Length";
    /* What is above 32 bits is a long time, however long (20.19). */
    if (a->has_expires && b->has_expires && a->expires != b->expires && a->expires != UINT32_MAX)
        return "Expires";
    if (osip)
        return NULL;
    if (a->body_n != b->body_n)
        return "body";
    if (a->package.there && b->package.there && !text_same(&a->package, &b->package, false))
        return "Event";
    if (a->package.there && b->package.there && !text_same(&a->event_id, &b->event_id, false))
        return "Event id";
    return NULL;
}

/* Why we refuse what others take: each on purpose, with the section of RFC 3261.  That a header is
 * missing, or that a line has no colon, is not among them: there the other parser must see the
 * same. */
static const struct {
    const char *reason, *why;
} strict[] = {
    { "Bare LF In Header", "7: lines end in CRLF; a reader that takes LF sees other fields" },
    { "Bare CR In Header", "7: the same" },
    { "NUL In Header", "25.1: only in a quoted-pair; a reader of C strings ends there" },
    { "Bad Request-Line", "25.1: a method is a token, then one SP" },
    { "Bad Request-URI", "25.1: no blanks, quotes, brackets, controls or octets above 126" },
    { "Request-URI", "19.1.1: what sip_uri_parse refuses is an identity that two readers could "
                     "split in two ways" },
    { "Bad SIP-Version In Request-Line", "7.1: \"SIP/2.0\" and nothing behind" },
    { "Version Not Supported", "7.1: another version is another protocol (505)" },
    { "Bad Status Code", "7.2: three digits below 700" },
    { "Bad Header Field Name",
      "7.3.1: a name is a token, and a line that begins with a blank continues a field" },
    { "Header Field Without Colon",
      "7.1: a start line is not folded, and no field is without a colon" },
    { "Missing Empty Line", "7: an empty line ends the head, whatever follows" },
    { "Bad Via Header", "25.1: SIP / version / transport, a host without empty labels, a port "
                        "above 0, no empty parameter, none twice" },
    { "Bad From Header", "25.1: a URI has a scheme and visible ASCII only; commas and question "
                         "marks are in brackets" },
    { "Bad To Header", "25.1: the same" },
    { "Bad From Tag", "25.1: a tag is a token, there once" },
    { "Bad To Tag", "25.1: the same" },
    { "Bad Call-ID Header", "25.1: word [ \"@\" word ]" },
    { "Bad CSeq Header", "25.1: 1*DIGIT LWS Method" },
    { "CSeq Number Too Large", "8.1.1.5: below 2^31" },
    { "CSeq Method Does Not Match", "8.1.1.5: the method of the request" },
    { "Bad Max-Forwards Header", "25.1: 1*DIGIT" },
    { "Bad Content-Length Header", "25.1: 1*DIGIT; a framing error on streams" },
    { "Content-Length Larger Than Message", "18.3: the datagram was cut" },
    { "Repeated Call-ID Header", "7.3.1: there once, or two readers take one each" },
    { "Repeated CSeq Header", "7.3.1: the same" },
    { "Repeated From Header", "7.3.1: the same" },
    { "Repeated To Header", "7.3.1: the same" },
    { "Repeated Max-Forwards Header", "7.3.1: the same" },
    { "Repeated Content-Length Header", "7.3.1: the same" },
    { "Repeated Content-Type Header", "7.3.1: the same" },
    { "Repeated Content-Disposition Header", "7.3.1: the same" },
    { "Repeated Event Header", "7.3.1: the same" },
    { "Repeated Expires Header", "7.3.1: the same" },
    { "Repeated Subscription-State Header", "7.3.1: the same" },
    { "Via Branch Too Long", "our limit, as for tags and Call-ID" },
};

static bool
strict_on_purpose(const char *reason)
{
    for (size_t i = 0; i < HD_ARRAY_LEN(strict); i++)
        if (reason && strcmp(strict[i].reason, reason) == 0)
            return true;
    return false;
}

/* ---- messages ---- */

static size_t
load_seeds(struct message seeds[SEEDS_MAX])
{
    char path[1024];
    size_t n = 0;
    struct dirent **names;
    const int found = scandir(TEST_DATA "/sip", &names, NULL, alphasort);
    assert_true(found > 0);
    for (int i = 0; i < found; i++) {
        const size_t length = strlen(names[i]->d_name);
        if (length > 4 && strcmp(names[i]->d_name + length - 4, ".sip") == 0) {
            assert_true(n < SEEDS_MAX);
            snprintf(path, sizeof(path), TEST_DATA "/sip/%s", names[i]->d_name);
            FILE *file = fopen(path, "rb");
            assert_non_null(file);
            seeds[n].n = fread(seeds[n].text, 1, MESSAGE_MAX, file);
            fclose(file);
            assert_true(seeds[n].n > 0 && seeds[n].n < MESSAGE_MAX / 2);
            n++;
        }
        free(names[i]);
    }
    free(names);
    return n;
}

static void
text_splice(struct message *m, size_t at, size_t gone, const char *p, size_t n)
{
    if (m->n - gone + n > MESSAGE_MAX || at + gone > m->n)
        return;
    memmove(m->text + at + n, m->text + at + gone, m->n - at - gone);
    memcpy(m->text + at, p, n);
    m->n = m->n - gone + n;
}

/* The head without its empty line. */
static size_t
head_of(const struct message *m)
{
    const char *end = memmem(m->text, m->n, "\r\n\r\n", 4);
    return end ? (size_t)(end - m->text) + 2 : m->n;
}

/* The beginning of a random header line, and its length with CRLF; folds are their own lines. */
static size_t
line_pick(const struct message *m, struct hd_rng *rng, size_t *ret_len)
{
    const size_t head = head_of(m);
    size_t starts[64], n = 0;
    for (size_t i = 0; i + 2 < head && n < 64; i++)
        if (m->text[i] == '\r' && m->text[i + 1] == '\n' && m->text[i + 2] != ' ' &&
            m->text[i + 2] != '\t')
            starts[n++] = i + 2;
    if (n == 0) {
        *ret_len = 0;
        return 0;
    }
    const unsigned which = hd_rng_below(rng, (uint32_t)n);
    const size_t end = which + 1 < n ? starts[which + 1] : head;
    *ret_len = end > starts[which] ? end - starts[which] : 0;
    return starts[which];
}

/* The long name of a header becomes its compact form (7.3.3). */
static void
compact_name(struct message *m, size_t at, size_t name_n)
{
    static const char *const forms[][2] = {
        { "Via", "v" },          { "From", "f" },    { "To", "t" },
        { "Call-ID", "i" },      { "Contact", "m" }, { "Content-Length", "l" },
        { "Content-Type", "c" }, { "Event", "o" },   { "Supported", "k" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(forms); i++)
        if (name_n == strlen(forms[i][0]) && memcmp(m->text + at, forms[i][0], name_n) == 0) {
            text_splice(m, at, name_n, forms[i][1], 1);
            return;
        }
}

/* A line moves to the end of the head; fields of one name keep their order only when there is one.
 */
static void
move_line(struct message *m, size_t at, size_t len)
{
    char copy[MESSAGE_MAX];
    if (memcmp(m->text + at, "Contact", 7) != 0 && memcmp(m->text + at, "Call-ID", 7) != 0 &&
        memcmp(m->text + at, "CSeq", 4) != 0 && memcmp(m->text + at, "Event", 5) != 0 &&
        memcmp(m->text + at, "Expires", 7) != 0 && memcmp(m->text + at, "From", 4) != 0)
        return;
    memcpy(copy, m->text + at, len);
    text_splice(m, at, len, "", 0);
    text_splice(m, head_of(m), 0, copy, len);
}

/* A change that every reader must see through. */
static void
mutate_mildly(struct message *m, struct hd_rng *rng)
{
    size_t len;
    const size_t at = line_pick(m, rng, &len);
    if (len < 4)
        return;
    char *colon = memchr(m->text + at, ':', len);
    if (!colon)
        return;
    const size_t value = (size_t)(colon - m->text) + 1;
    switch (hd_rng_below(rng, 7)) {
    case 0: /* case of the name */
        for (size_t i = at; m->text + i < colon; i++)
            if (hd_rng_below(rng, 2) && m->text[i] >= 'a' && m->text[i] <= 'z')
                m->text[i] = (char)(m->text[i] - 32);
        break;
    case 1: /* blanks behind the colon */
        text_splice(m, value, 0, "  \t", 1 + hd_rng_below(rng, 3));
        break;
    case 2: /* a fold behind the colon */
        text_splice(m, value, 0, "\r\n ", 3);
        break;
    case 3: /* a header that nobody knows */
        text_splice(m, at, 0, "X-Unknown: some; thing=\"else\"\r\n", 31);
        break;
    case 4: /* blanks at the end */
        text_splice(m, at + len - 2, 0, "  ", 2);
        break;
    case 5:
        compact_name(m, at, value - 1 - at);
        break;
    case 6:
        move_line(m, at, len);
        break;
    }
}

/* A change anywhere in the head. */
static void
mutate_wildly(struct message *m, struct hd_rng *rng)
{
    static const char *const words[] = {
        ";tag=x",
        ";branch=z9hG4bKq",
        "\r\n",
        "\r",
        "\n",
        " ",
        "\t",
        ":",
        ";",
        ",",
        "\"",
        "<",
        ">",
        "@",
        "%41",
        "%00",
        "[",
        "]",
        "[::1]",
        ":5060",
        ":99999",
        "SIP/2.0",
        "0",
        "99999999999",
        "Via: SIP/2.0/UDP h;branch=z9hG4bKz\r\n",
        "To: <sip:x@y>\r\n",
        "i: other\r\n",
        "l: 0\r\n",
        "Content-Length: 5\r\n",
        "CSeq: 1 NOTIFY\r\n",
        "\r\n ",
        "(",
        ")",
        "\\",
        "=",
        "?",
        "*",
        "/",
        "\xc3\xa4",
        "Expires: 7\r\n",
        "Event: dialog\r\n",
        "o: x;id=1\r\n",
        ";id=2",
        ";rport",
        ";received=192.0.2.77",
    };
    const size_t head = head_of(m);
    const size_t at = hd_rng_below(rng, (uint32_t)head);
    size_t len;
    switch (hd_rng_below(rng, 6)) {
    case 0:
        m->text[at] = (char)hd_rng_below(rng, 256);
        break;
    case 1:
        text_splice(m, at, 1 + hd_rng_below(rng, 3), "", 0);
        break;
    case 2: {
        const char *word = words[hd_rng_below(rng, (uint32_t)HD_ARRAY_LEN(words))];
        text_splice(m, at, 0, word, strlen(word));
        break;
    }
    case 3: { /* a line goes */
        const size_t line = line_pick(m, rng, &len);
        text_splice(m, line, len, "", 0);
        break;
    }
    case 4: { /* a line comes twice */
        char copy[MESSAGE_MAX];
        const size_t line = line_pick(m, rng, &len);
        memcpy(copy, m->text + line, len);
        text_splice(m, line, 0, copy, len);
        break;
    }
    case 5: { /* a word at the beginning of a line or of its value */
        const char *word = words[hd_rng_below(rng, (uint32_t)HD_ARRAY_LEN(words))];
        const size_t line = line_pick(m, rng, &len);
        const char *colon = len ? memchr(m->text + line, ':', len) : NULL;
        text_splice(m, colon && hd_rng_below(rng, 2) ? (size_t)(colon - m->text) + 2 : line, 0,
                    word, strlen(word));
        break;
    }
    }
}

/* ---- the tests ---- */

static const char *programs[2];
static uint64_t seed_given = 4475;
static const char *const names[2] = { "sofia", "osip" };

struct fixture {
    struct message seeds[SEEDS_MAX];
    size_t n_seeds;
    struct message mutants[MUTANTS];
    struct view ours[MUTANTS], others[2][MUTANTS];
    const char *faults[MUTANTS]; /* why we refused it */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        return -1;
    f->n_seeds = load_seeds(f->seeds);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    free(*state);
    return 0;
}

static void
read_all(struct fixture *f, size_t n)
{
    for (size_t i = 0; i < n; i++)
        read_ours(&f->mutants[i], &f->ours[i], &f->faults[i]);
    for (unsigned k = 0; k < 2; k++)
        read_by(programs[k], f->mutants, n, f->others[k]);
}

static void
show(const struct message *m)
{
    fprintf(stderr, "---\n%.*s\n---\n", (int)m->n, m->text);
}

/* Every pair over n messages; how many of them failed. */
static unsigned
compare_all(const struct fixture *f, size_t n)
{
    unsigned bad = 0, alike[2] = { 0 }, stricter[2] = { 0 }, died[2] = { 0 };
    for (size_t i = 0; i < n; i++) {
        for (unsigned k = 0; k < 2; k++) {
            const struct view *other = &f->others[k][i];
            const char *what = NULL;
            died[k] += !other->ran;
            if (!other->ok)
                continue;
            if (!f->ours[i].ok && strict_on_purpose(f->faults[i])) {
                stricter[k]++;
                continue;
            }
            if (f->ours[i].ok)
                what = difference(&f->ours[i], other, k == 1);
            if (f->ours[i].ok && !what) {
                alike[k]++;
                continue;
            }
            fprintf(stderr, "message %zu, %s: %s\n", i, names[k], what ? what : f->faults[i]);
            show(&f->mutants[i]);
            bad++;
        }
    }
    for (unsigned k = 0; k < 2; k++)
        printf("%zu messages: %u read as %s does, %u it takes refused on purpose, it died of %u\n",
               n, alike[k], names[k], stricter[k], died[k]);
    return bad;
}

static void
messages_of_known_clients_are_read_alike(void **state)
{
    struct fixture *f = *state;
    memcpy(f->mutants, f->seeds, f->n_seeds * sizeof(struct message));
    read_all(f, f->n_seeds);
    for (size_t i = 0; i < f->n_seeds; i++) {
        if (!f->ours[i].ok) {
            show(&f->seeds[i]);
            fail_msg("we refuse it: %s", f->faults[i]);
        }
        for (unsigned k = 0; k < 2; k++)
            if (!f->others[k][i].ok) {
                show(&f->seeds[i]);
                fail_msg("%s refuses it", names[k]);
            }
    }
    assert_int_equal(compare_all(f, f->n_seeds), 0);
}

static void
changes_without_meaning_change_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = ~seed_given;
    struct hd_rng rng;
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    for (size_t i = 0; i < MUTANTS / 4; i++) {
        struct message *m = &f->mutants[i];
        *m = f->seeds[i % f->n_seeds];
        for (unsigned k = 1 + hd_rng_below(&rng, 8); k > 0; k--)
            mutate_mildly(m, &rng);
    }
    read_all(f, MUTANTS / 4);
    for (size_t i = 0; i < MUTANTS / 4; i++) {
        static struct view seed_view;
        const char *what = f->faults[i], *ignored;
        read_ours(&f->seeds[i % f->n_seeds], &seed_view, &ignored);
        if (f->ours[i].ok)
            what = difference(&seed_view, &f->ours[i], false);
        if (what) {
            show(&f->mutants[i]);
            fail_msg("%s", what);
        }
    }
    assert_int_equal(compare_all(f, MUTANTS / 4), 0);
}

static void
broken_messages_are_read_alike_or_refused_on_purpose(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = seed_given;
    struct hd_rng rng;
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    for (size_t i = 0; i < MUTANTS; i++) {
        struct message *m = &f->mutants[i];
        *m = f->seeds[i % f->n_seeds];
        for (unsigned k = 1 + hd_rng_below(&rng, 2); k > 0; k--)
            mutate_wildly(m, &rng);
    }
    read_all(f, MUTANTS);
    assert_int_equal(compare_all(f, MUTANTS), 0);
}

int
main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: differential_test SOFIA_PROGRAM OSIP_PROGRAM [SEED]\n");
        return 2;
    }
    programs[0] = argv[1];
    programs[1] = argv[2];
    if (argc == 4)
        seed_given = strtoull(argv[3], NULL, 10) << 32; /* runs of two seeds do not overlap */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_of_known_clients_are_read_alike, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_without_meaning_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_messages_are_read_alike_or_refused_on_purpose, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
