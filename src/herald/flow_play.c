/* flow_play.c - a recorded flow as a scenario (doc/scenarios.md) that the player runs again.
 *
 * Each address is an actor; what it sent is sent again, what it was sent is expected: status,
 * state of the subscription, and body.  What the player or the broker makes itself (Via, tags,
 * Call-ID, entity-tags) is left to them.  Challenges and what they were answers to are left out: a
 * laboratory believes From. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "herald/flow.h"
#include "sip/header.h"
#include "sip/msg.h"
#include "sip/uri.h"

#define ACTORS 64u
#define SCRATCH 16384

struct actor {
    struct hd_addr addr;
    char name[40];
    enum hd_transport transport;
};

/* One event of the flow, read. */
struct spoken {
    struct sip_msg msg;
    bool parsed;
    bool skip;
    size_t answer_of; /* index + 1 of the request that it answers */
    size_t actor;
    char *memory;
};

struct playing {
    const struct flow *flow;
    struct spoken *spoken; /* as many as events */
    struct actor actors[ACTORS];
    size_t n_actors;
    int64_t clock_us;  /* of the scenario: when it was recorded */
    int64_t before_us; /* the step before */
    struct hd_str *out;
};

/* --- reading ---------------------------------------------------------------------------------- */

static enum hd_err
read_all(struct playing *p)
{
    for (size_t i = 0; i < p->flow->n; i++) {
        const struct flow_event *event = &p->flow->events[i];
        struct spoken *s = &p->spoken[i];
        struct hd_arena arena;
        struct sip_fault fault;

        if (event->kind != FLOW_MESSAGE)
            continue;
        s->memory = malloc(SCRATCH);
        if (!s->memory)
            return HD_ENOMEM;
        hd_arena_init(&arena, s->memory, SCRATCH);
        s->parsed =
            !event->cut && sip_msg_parse(event->octets, false, &arena, &s->msg, &fault) == HD_OK;
        s->skip = !s->parsed;
    }
    return HD_OK;
}

static bool
same_transaction(const struct playing *p, size_t answer, size_t request)
{
    const struct spoken *a = &p->spoken[answer], *r = &p->spoken[request];

    return r->parsed && r->msg.request &&
           p->flow->events[answer].out != p->flow->events[request].out &&
           a->msg.cseq.number == r->msg.cseq.number &&
           hd_slice_eq(a->msg.cseq.method_name, r->msg.cseq.method_name) &&
           hd_slice_eq(a->msg.call_id, r->msg.call_id);
}

static void
find_answers(struct playing *p)
{
    for (size_t i = 0; i < p->flow->n; i++) {
        struct spoken *s = &p->spoken[i];

        if (!s->parsed || s->msg.request)
            continue;
        for (size_t k = i; k-- > 0 && !s->answer_of;)
            if (same_transaction(p, i, k))
                s->answer_of = k + 1;
        s->skip = s->answer_of == 0 || s->msg.status < 200;
        if (s->msg.status == 401 || s->msg.status == 407) { /* and what it answers */
            s->skip = true;
            if (s->answer_of)
                p->spoken[s->answer_of - 1].skip = true;
        }
    }
}

/* --- actors ----------------------------------------------------------------------------------- */

/* The user of a URI as a word of the language. */
static void
word_of(struct hd_slice uri_text, char ret[24])
{
    struct sip_uri uri;
    size_t n = 0;

    if (sip_uri_parse(uri_text, &uri) == HD_OK)
        for (size_t i = 0; i < uri.user.n && n < 20; i++) {
            const char c = uri.user.p[i];
            if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
                ret[n++] = c;
        }
    ret[n] = '\0';
}

static void
name_actor(struct playing *p, struct actor *actor, const struct flow_event *event,
           const struct sip_msg *msg)
{
    char word[24];
    unsigned same = 1;

    word_of(event->out == msg->request ? msg->to.uri : msg->from.uri, word);
    if (word[0] < 'A') /* none, or it begins with a digit */
        (void)snprintf(actor->name, sizeof(actor->name), "a%s", word);
    else
        (void)snprintf(actor->name, sizeof(actor->name), "%s", word);
    for (size_t i = 0; i < p->n_actors; i++)
        same += strncmp(p->actors[i].name, actor->name, strlen(actor->name)) == 0;
    const size_t n = strlen(actor->name);
    if (same > 1)
        (void)snprintf(actor->name + n, sizeof(actor->name) - n, "_%u", same);
}

static enum hd_err
find_actors(struct playing *p)
{
    for (size_t i = 0; i < p->flow->n; i++) {
        const struct flow_event *event = &p->flow->events[i];
        size_t k = 0;

        if (event->kind != FLOW_MESSAGE || p->spoken[i].skip)
            continue;
        while (k < p->n_actors && !hd_addr_eq(&p->actors[k].addr, &event->remote))
            k++;
        if (k == ACTORS)
            return HD_EFULL;
        p->spoken[i].actor = k;
        if (k < p->n_actors)
            continue;
        p->actors[k] = (struct actor){ .addr = event->remote, .transport = event->transport };
        name_actor(p, &p->actors[k], event, &p->spoken[i].msg);
        p->n_actors++;
    }
    return HD_OK;
}

/* --- the laboratory --------------------------------------------------------------------------- */

static bool
is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == '"' || *text == '{' || *text == '\\')
            return false;
    return true;
}

/* Whether a name is that of a package, or of its watcher information (RFC 3857 section 3.2). */
static bool
is_of_package(const char *name, const char *package)
{
    const size_t n = strlen(package);

    return strncmp(name, package, n) == 0 && (!name[n] || strncmp(name + n, ".winfo", 6) == 0);
}

static bool
speaks_of(const struct flow *flow, const char *package)
{
    for (size_t i = 0; i < flow->n; i++)
        if (flow->events[i].kind == FLOW_SUBJECT && is_of_package(flow->events[i].package, package))
            return true;
    return false;
}

static long long
number_of(const json_t *json, const char *key)
{
    return (long long)json_integer_value(json_object_get(json, key));
}

static void
write_types(struct hd_str *out, const json_t *package)
{
    const json_t *types = json_object_get(package, "types"), *type;
    size_t i;

    hd_str_add_str(out, "  types = {");
    json_array_foreach(types, i, type)
        hd_str_addf(out, "%s \"%s\"", i ? "," : "", json_string_value(type));
    hd_str_addf(out, " }  delivery = %s  compose = %s",
                json_string_value(json_object_get(package, "delivery")),
                json_string_value(json_object_get(package, "compose")));
}

/* What was allowed there is allowed here; what was not is in the rules below. */
static void
write_packages(struct hd_str *out, const struct flow *flow, const json_t *packages)
{
    const json_t *package;
    size_t i;

    json_array_foreach(packages, i, package)
    {
        const char *name = json_string_value(json_object_get(package, "name"));

        if (!name || !is_plain(name) || strstr(name, ".winfo") || !speaks_of(flow, name))
            continue;
        hd_str_addf(out, "    package \"%s\" { authorisation = allow  pace = %lldms", name,
                    number_of(package, "pace_ms"));
        hd_str_addf(out, "  min_expires = %llds  default_expires = %llds  max_expires = %llds",
                    number_of(package, "min_expires_s"), number_of(package, "default_expires_s"),
                    number_of(package, "max_expires_s"));
        if (strncmp(name, "x-", 2) == 0)
            write_types(out, package);
        hd_str_add_str(out, " }\n");
    }
}

/* The rule that makes of somebody in the laboratory what he was there; NULL: none is needed. */
static const char *
action_of(const struct flow_event *subject)
{
    if (strcmp(subject->subject, "refused") == 0)
        return subject->status == 403 ? "block" : NULL;
    /* In watcher information that is his own entry, whatever let him see it there, and however he
     * had shown who he is. */
    if (strcmp(subject->sees, "neutral") == 0 || strcmp(subject->sees, "own") == 0)
        return "polite-block";
    if (strcmp(subject->state, "pending") == 0)
        return "confirm";
    /* Watcher information is the owner's, and to anybody else a rule has opened it. */
    return strstr(subject->package, ".winfo") && strcmp(subject->sees, "all") == 0 &&
                   strcmp(subject->who, subject->resource) != 0
               ? "allow"
               : NULL;
}

/* Whoever was refused, or shown less or more, is so here: by a rule of his own. */
static void
write_rules(struct hd_str *out, const struct flow *flow)
{
    for (size_t i = 0; i < flow->n; i++) {
        const struct flow_event *subject = &flow->events[i];
        bool known = false;

        if (subject->kind != FLOW_SUBJECT || subject->now || !action_of(subject) ||
            !subject->who[0] || !subject->resource[0] || !subject->package[0] ||
            !is_plain(subject->who) || !is_plain(subject->resource) || !is_plain(subject->package))
            continue;
        for (size_t k = 0; k < i && !known; k++) {
            const struct flow_event *other = &flow->events[k];
            known = other->kind == FLOW_SUBJECT && !other->now && action_of(other) &&
                    strcmp(other->who, subject->who) == 0 &&
                    strcmp(other->resource, subject->resource) == 0 &&
                    strcmp(other->package, subject->package) == 0;
        }
        if (!known)
            hd_str_addf(out, "rule %s %s %s %s\n", action_of(subject), subject->who,
                        subject->resource, subject->package);
    }
}

/* Whose resources they are, when it is not the laboratory's usual domain. */
static void
write_domain(struct playing *p)
{
    struct sip_uri uri;

    for (size_t i = 0; i < p->flow->n; i++) {
        const struct spoken *s = &p->spoken[i];

        if (p->flow->events[i].kind != FLOW_MESSAGE || s->skip || !s->msg.request ||
            p->flow->events[i].out || s->msg.to_tag.n || sip_uri_parse(s->msg.uri, &uri))
            continue;
        if (!hd_slice_ieq(uri.host, HD_LIT("example.test")) &&
            hd_slice_find(uri.host, '"') == uri.host.n)
            hd_str_addf(p->out, "    domains = { \"%.*s\" }\n", HD_FMT(uri.host));
        return;
    }
}

/* Addresses of documentation (RFC 5737), whatever they were. */
static void
write_actors(struct playing *p)
{
    for (size_t i = 0; i < p->n_actors; i++)
        hd_str_addf(p->out, "actor %s %s 192.0.2.%zu:5060\n", p->actors[i].name,
                    p->actors[i].transport == HD_UDP ? "udp" : "tcp", 10 + i);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* Text of a template or a pattern. */
static void
write_text(struct hd_str *out, struct hd_slice text, bool pattern)
{
    for (size_t i = 0; i < text.n; i++) {
        const unsigned char c = (unsigned char)text.p[i];

        if (c == '\\' || c == '{' || (c == '*' && pattern)) {
            hd_str_add_char(out, '\\');
            hd_str_add_char(out, (char)c);
        } else if (c == '\n') {
            hd_str_add_str(out, "\\n");
        } else if (c == '\r') {
            hd_str_add_str(out, "\\r");
        } else if (c == '\t') {
            hd_str_add_str(out, "\\t");
        } else if (c < ' ' || c == 0x7f) {
            hd_str_addf(out, "\\x%02X", c);
        } else {
            hd_str_add_char(out, (char)c);
        }
    }
}

/* --- watcher information: ids are the broker's, and so is the order (RFC 3858 section 3) -------
 */

#define WATCHER HD_LIT("<watcher id=\"")
#define WATCHER_END HD_LIT("</watcher>")

/* Where a text begins that stands in another, or the length of that. */
static size_t
find_text(struct hd_slice text, struct hd_slice what)
{
    size_t i = 0;

    while (i < text.n && !hd_slice_starts(hd_slice_from(text, i), what))
        i++;
    return i;
}

/* The watchers that come after the head of a document of several, each by what its id is not; and
 * that there are no more. */
static void
write_watchers(struct hd_str *out, struct hd_slice list)
{
    size_t n = 0;

    for (; find_text(list, WATCHER) < list.n; n++) {
        struct hd_slice one = hd_slice_from(list, find_text(list, WATCHER) + WATCHER.n);
        const size_t end = find_text(one, WATCHER_END);
        list = hd_slice_from(one, end);
        one = hd_slice_from(hd_slice(one.p, end), hd_slice_find(hd_slice(one.p, end), '"'));
        hd_str_add_str(out, "    ~");
        write_text(out, one, true);
        hd_str_add_str(out, "</watcher>\n");
    }
    hd_str_add_str(out, "    !~<watcher id=");
    for (; n > 0; n--)
        hd_str_add_str(out, "*<watcher id=");
    hd_str_add_char(out, '\n');
}

static void
write_watcherinfo(struct hd_str *out, struct hd_slice body)
{
    const size_t head = find_text(body, WATCHER);

    hd_str_add_str(out, "    ~");
    write_text(out, hd_slice(body.p, head), true);
    hd_str_add_char(out, '\n');
    write_watchers(out, hd_slice_from(body, head));
}

static void
write_body(struct hd_str *out, struct hd_slice body, bool pattern)
{
    size_t at = 0;

    if (!body.n)
        return;
    for (size_t i = 0; i <= body.n; i++) {
        const bool end = i == body.n;

        if (!end && !(i + 1 < body.n && body.p[i] == '\r' && body.p[i + 1] == '\n'))
            continue;
        hd_str_add_str(out, "    |");
        write_text(out, hd_slice(body.p + at, i - at), pattern);
        hd_str_add_char(out, '\n');
        at = i + 2;
        i++;
    }
}

static void
write_header(struct hd_str *out, struct hd_slice name, struct hd_slice value, bool pattern)
{
    hd_str_add_str(out, "    ");
    hd_str_add(out, name);
    hd_str_add_str(out, ": ");
    write_text(out, value, pattern);
    hd_str_add_char(out, '\n');
}

/* Entity-tags are the broker's: each gets a variable by the publication's answer. */
static void
write_etag(struct playing *p, struct hd_slice name, struct hd_slice etag)
{
    for (size_t i = 0; i < p->flow->n; i++) {
        const struct spoken *s = &p->spoken[i];

        if (s->parsed && !s->msg.request) {
            struct hd_slice given = { 0 };
            for (unsigned k = 0; k < s->msg.n_headers; k++)
                if (s->msg.headers[k].id == SIP_HDR_SIP_ETAG)
                    given = s->msg.headers[k].value;
            if (given.n && hd_slice_eq(given, etag)) {
                hd_str_addf(p->out, "    %.*s: {etag%zu}\n", HD_FMT(name), i + 1);
                return;
            }
        }
    }
    write_header(p->out, name, etag, false); /* one that was given before */
}

/* --- what was sent ---------------------------------------------------------------------------- */

static bool
is_made_by_player(enum sip_hdr id)
{
    switch (id) {
    case SIP_HDR_VIA:
    case SIP_HDR_MAX_FORWARDS:
    case SIP_HDR_FROM:
    case SIP_HDR_TO:
    case SIP_HDR_CALL_ID:
    case SIP_HDR_CSEQ:
    case SIP_HDR_CONTACT:
    case SIP_HDR_CONTENT_LENGTH:
    case SIP_HDR_AUTHORIZATION:
    case SIP_HDR_PROXY_AUTHORIZATION:
    case SIP_HDR_USER_AGENT:
    case SIP_HDR_ROUTE:
    case SIP_HDR_SIP_IF_MATCH:
        return true;
    default:
        return false;
    }
}

/* The first request of a dialog that this one is in, by Call-ID and From tag; its index + 1. */
static size_t
dialog_of(const struct playing *p, size_t at)
{
    const struct sip_msg *msg = &p->spoken[at].msg;

    for (size_t i = 0; i < at; i++) {
        const struct spoken *s = &p->spoken[i];
        if (s->parsed && !s->skip && s->msg.request && !p->flow->events[i].out &&
            !s->msg.to_tag.n && s->msg.method == msg->method &&
            hd_slice_eq(s->msg.call_id, msg->call_id) &&
            hd_slice_eq(s->msg.from_tag, msg->from_tag))
            return i + 1;
    }
    return 0;
}

static void
write_addresses(struct playing *p, const struct actor *actor, const struct sip_msg *msg)
{
    hd_str_add_str(p->out, "    From: <");
    write_text(p->out, msg->from.uri, false);
    hd_str_addf(p->out, ">;tag=%s\n", actor->name);
    if (!hd_slice_eq(msg->to.uri, msg->uri)) {
        hd_str_add_str(p->out, "    To: <");
        write_text(p->out, msg->to.uri, false);
        hd_str_add_str(p->out, ">\n");
    }
}

static void
write_request(struct playing *p, size_t at)
{
    const struct sip_msg *msg = &p->spoken[at].msg;
    const struct actor *actor = &p->actors[p->spoken[at].actor];
    const size_t dialog = msg->to_tag.n ? dialog_of(p, at) : 0;

    if (msg->to_tag.n && !dialog) {
        hd_str_addf(p->out, "# left out: a %.*s of a dialog that began before\n",
                    HD_FMT(msg->method_name));
        p->spoken[at].skip = true;
        return;
    }
    hd_str_addf(p->out, "%s > %.*s ", actor->name, HD_FMT(msg->method_name));
    if (dialog) {
        hd_str_addf(p->out, "in m%zu as m%zu\n", dialog, at + 1);
    } else {
        write_text(p->out, msg->uri, false);
        hd_str_addf(p->out, " as m%zu\n", at + 1);
        write_addresses(p, actor, msg);
    }
    for (unsigned i = 0; i < msg->n_headers; i++) {
        const struct sip_header *header = &msg->headers[i];
        if (header->id == SIP_HDR_SIP_IF_MATCH)
            write_etag(p, header->name, header->value);
        else if (!is_made_by_player((enum sip_hdr)header->id) &&
                 !(dialog && header->id == SIP_HDR_EVENT))
            write_header(p->out, header->name, header->value, false);
    }
    write_body(p->out, msg->body, false);
}

/* --- what was expected ------------------------------------------------------------------------ */

static void
write_answer(struct playing *p, size_t at)
{
    const struct sip_msg *msg = &p->spoken[at].msg;
    const struct actor *actor = &p->actors[p->spoken[at].actor];

    hd_str_addf(p->out, "%s < %u as m%zu\n", actor->name, msg->status, at + 1);
    for (unsigned i = 0; i < msg->n_headers; i++) {
        const struct sip_header *header = &msg->headers[i];
        if (header->id == SIP_HDR_SIP_ETAG)
            hd_str_addf(p->out, "    SIP-ETag: {etag%zu}\n", at + 1);
        else if (header->id == SIP_HDR_EXPIRES || header->id == SIP_HDR_MIN_EXPIRES)
            write_header(p->out, header->name, header->value, true);
    }
}

/* active and pending have a time that is left, which is another one every time. */
static void
write_state(struct hd_str *out, struct hd_slice state)
{
    struct hd_slice rest = state, word = hd_slice_cut(&rest, ';');

    hd_str_add_str(out, "    Subscription-State: ");
    if (hd_slice_eq(word, HD_LIT("terminated"))) {
        write_text(out, state, true);
    } else {
        write_text(out, word, true);
        hd_str_add_str(out, ";expires=*");
    }
    hd_str_add_char(out, '\n');
}

static void
write_notify(struct playing *p, size_t at)
{
    const struct sip_msg *msg = &p->spoken[at].msg;
    const struct actor *actor = &p->actors[p->spoken[at].actor];

    hd_str_addf(p->out, "%s < %.*s as m%zu\n", actor->name, HD_FMT(msg->method_name), at + 1);
    for (unsigned i = 0; i < msg->n_headers; i++) {
        const struct sip_header *header = &msg->headers[i];
        if (header->id == SIP_HDR_SUBSCRIPTION_STATE)
            write_state(p->out, header->value);
        else if (header->id == SIP_HDR_EVENT || header->id == SIP_HDR_CONTENT_TYPE)
            write_header(p->out, header->name, header->value, true);
    }
    if (find_text(msg->body, WATCHER) < msg->body.n)
        write_watcherinfo(p->out, msg->body);
    else if (msg->body.n)
        write_body(p->out, msg->body, true);
    else
        hd_str_add_str(p->out, "    -body\n");
}

/* --- steps ------------------------------------------------------------------------------------ */

/* The first time that the octets of a repetition were there; its index + 1. */
static size_t
first_of(const struct playing *p, size_t at)
{
    const struct flow_event *event = &p->flow->events[at];

    for (size_t i = 0; i < at; i++) {
        const struct flow_event *other = &p->flow->events[i];
        if (other->kind == FLOW_MESSAGE && !p->spoken[i].skip && other->out == event->out &&
            hd_slice_eq(other->octets, event->octets))
            return i + 1;
    }
    return 0;
}

/* What the broker sends by itself may wait for its time; what others do is spread as it was, in
 * seconds. */
static void
write_wait(struct playing *p, size_t at)
{
    const struct flow_event *event = &p->flow->events[at];
    const bool ours = event->out && p->spoken[at].msg.request;
    const int64_t gone_us = event->at_us - p->clock_us;
    const bool waits = ours ? event->at_us - p->before_us >= 20000 : gone_us >= 1000000;

    p->before_us = event->at_us;
    if (!waits)
        return;
    hd_str_addf(p->out, "wait %lldms\n", (long long)((gone_us + 999) / 1000));
    p->clock_us = event->at_us;
}

static void
write_step(struct playing *p, size_t at)
{
    const struct flow_event *event = &p->flow->events[at];
    const struct spoken *s = &p->spoken[at];
    const char *actor = p->actors[s->actor].name;
    const size_t first = event->again ? first_of(p, at) : 0;

    if (s->answer_of && p->spoken[s->answer_of - 1].skip)
        return; /* its request was left out */
    write_wait(p, at);
    if (first)
        hd_str_addf(p->out, "%s %c again m%zu\n", actor, event->out ? '<' : '>', first);
    else if (s->msg.request && event->out)
        write_notify(p, at);
    else if (s->msg.request)
        write_request(p, at);
    else if (event->out)
        write_answer(p, at);
    else
        hd_str_addf(p->out, "%s > %u to m%zu\n", actor, s->msg.status, s->answer_of);
}

enum hd_err
flow_play(const struct flow *flow, const json_t *packages, struct hd_str *out)
{
    struct playing p = { .flow = flow, .out = out };
    bool begun = false;
    enum hd_err err;

    p.spoken = calloc(flow->n + 1, sizeof(*p.spoken));
    err = p.spoken ? read_all(&p) : HD_ENOMEM;
    if (err)
        goto done;
    find_answers(&p);
    err = find_actors(&p);
    if (err)
        goto done;
    hd_str_add_str(out,
                   "# Recorded by herald trace.  Without credentials: for the laboratory, or a "
                   "listener that believes From.\n");
    hd_str_add_str(out, "config\n    server = \"recorded\"\n");
    write_domain(&p);
    write_packages(out, flow, packages);
    write_rules(out, flow);
    write_actors(&p);
    for (size_t i = 0; i < flow->n; i++) {
        if (flow->events[i].kind != FLOW_MESSAGE || p.spoken[i].skip)
            continue;
        if (!begun)
            p.clock_us = p.before_us = flow->events[i].at_us;
        begun = true;
        write_step(&p, i);
    }
    err = out->err;
done:
    for (size_t i = 0; p.spoken && i < flow->n; i++)
        free(p.spoken[i].memory);
    free(p.spoken);
    return err;
}
