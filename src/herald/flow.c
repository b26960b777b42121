/* flow.c - reads the daemon's answers to `trace`, and draws them. */
#include "herald/flow.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "herald/ladder.h"
#include "herald/text.h"
#include "herald/trace.h"

/* --- reading ---------------------------------------------------------------------------------- */

static struct hd_slice
text_of(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);

    return hd_slice(json_string_value(value), json_string_length(value));
}

static bool
keep(const json_t *json, const char *key, char **ret)
{
    const struct hd_slice text = text_of(json, key);

    *ret = hd_slice_strdup(text);
    return *ret != NULL;
}

static uint64_t
id_of(const json_t *json, const char *key)
{
    const struct hd_slice text = text_of(json, key);
    uint64_t id = 0;

    for (size_t i = 0; i < text.n && i < 16; i++) {
        const int digit = hd_hex_digit(text.p[i]);
        if (digit < 0)
            return 0;
        id = id << 4 | (uint64_t)digit;
    }
    return id;
}

/* "192.0.2.1:5060", "[2001:db8::1]:5060" */
static bool
addr_of(const json_t *json, const char *key, struct hd_addr *ret)
{
    const struct hd_slice text = text_of(json, key);
    uint32_t port;
    size_t colon = text.n;

    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    return colon > 1 && hd_slice_to_u32(hd_slice_from(text, colon), &port) == HD_OK &&
           port <= UINT16_MAX &&
           hd_addr_parse(hd_slice(text.p, colon - 1), (uint16_t)port, ret) == HD_OK;
}

static enum hd_transport
transport_of(const json_t *json)
{
    const struct hd_slice text = text_of(json, "transport");

    for (int t = HD_UDP; t <= HD_WSS; t++)
        if (hd_slice_eq(text, hd_transport_name((enum hd_transport)t)))
            return (enum hd_transport)t;
    return HD_UDP;
}

static enum hd_err
octets_of(const json_t *json, struct hd_slice *ret)
{
    const struct hd_slice text = text_of(json, "message"), hex = text_of(json, "message_hex");
    char *octets = malloc(text.n + hex.n / 2 + 1);

    if (!octets)
        return HD_ENOMEM;
    if (text.n)
        memcpy(octets, text.p, text.n);
    size_t n = text.n;
    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        const int high = hd_hex_digit(hex.p[i]), low = hd_hex_digit(hex.p[i + 1]);
        if (high < 0 || low < 0)
            break;
        octets[n++] = (char)(high << 4 | low);
    }
    *ret = hd_slice(octets, n);
    return HD_OK;
}

static void
event_done(struct flow_event *event)
{
    free((char *)(uintptr_t)event->octets.p);
    free(event->words);
    free(event->subject);
    free(event->resource);
    free(event->package);
    free(event->who);
    free(event->call_id);
    free(event->state);
    free(event->sees);
}

static enum hd_err
read_message(const json_t *json, struct flow_event *event)
{
    event->out = hd_slice_eq(text_of(json, "direction"), HD_LIT("out"));
    event->cut = json_is_true(json_object_get(json, "cut"));
    event->transport = transport_of(json);
    if (!addr_of(json, "local", &event->local) || !addr_of(json, "remote", &event->remote))
        return HD_ESYNTAX;
    return octets_of(json, &event->octets);
}

static enum hd_err
read_subject(const json_t *json, struct flow_event *event)
{
    event->call = id_of(json, "call");
    event->now = json_is_true(json_object_get(json, "now"));
    event->status = (unsigned)json_integer_value(json_object_get(json, "status"));
    return keep(json, "subject", &event->subject) && keep(json, "resource", &event->resource) &&
                   keep(json, "package", &event->package) && keep(json, "who", &event->who) &&
                   keep(json, "call_id", &event->call_id) && keep(json, "words", &event->words) &&
                   keep(json, "state", &event->state) && keep(json, "sees", &event->sees)
               ? HD_OK
               : HD_ENOMEM;
}

/* HD_ESYNTAX: it is of a kind that is not known here. */
static enum hd_err
read_event(const json_t *json, struct flow_event *event)
{
    const struct hd_slice kind = text_of(json, "kind");

    event->at_us = json_integer_value(json_object_get(json, "at_us"));
    event->flow = id_of(json, "flow");
    if (hd_slice_eq(kind, HD_LIT("message"))) {
        event->kind = FLOW_MESSAGE;
        return read_message(json, event);
    }
    if (hd_slice_eq(kind, HD_LIT("subject"))) {
        event->kind = FLOW_SUBJECT;
        return read_subject(json, event);
    }
    event->kind = FLOW_DECISION;
    if (!hd_slice_eq(kind, HD_LIT("decision")))
        return HD_ESYNTAX;
    return keep(json, "words", &event->words) ? HD_OK : HD_ENOMEM;
}

static bool
event_room(struct flow *flow)
{
    if (flow->n < flow->cap)
        return true;
    const size_t cap = flow->cap ? 2 * flow->cap : 64;
    struct flow_event *more = realloc(flow->events, cap * sizeof(*more));
    if (!more)
        return false;
    flow->events = more;
    flow->cap = cap;
    return true;
}

/* A request or answer that was there before, to the octet. */
static bool
seen_before(const struct flow *flow, const struct flow_event *event)
{
    for (size_t i = flow->n; i-- > 0 && flow->n - i < 256;) {
        const struct flow_event *other = &flow->events[i];
        if (other->kind == FLOW_MESSAGE && other->out == event->out && !event->cut &&
            hd_slice_eq(other->octets, event->octets) && hd_addr_eq(&other->remote, &event->remote))
            return true;
    }
    return false;
}

enum hd_err
flow_add(struct flow *flow, const json_t *result)
{
    const json_t *events = json_object_get(result, "events");
    json_t *next = json_object_get(result, "next");
    size_t i;
    json_t *json;

    if (!json_is_array(events) || !json_is_array(next))
        return HD_ESYNTAX;
    json_decref(flow->next);
    flow->next = json_incref(next);
    flow->truncated = json_is_true(json_object_get(result, "truncated"));
    json_array_foreach(events, i, json)
    {
        struct flow_event event = { .at_us = 0 };
        const enum hd_err err = event_room(flow) ? read_event(json, &event) : HD_ENOMEM;

        if (err) {
            event_done(&event);
            if (err == HD_ENOMEM)
                return err;
            continue;
        }
        event.again = event.kind == FLOW_MESSAGE && seen_before(flow, &event);
        flow->events[flow->n++] = event;
    }
    return HD_OK;
}

void
flow_clear(struct flow *flow)
{
    for (size_t i = 0; i < flow->n; i++)
        event_done(&flow->events[i]);
    flow->n = 0;
}

void
flow_done(struct flow *flow)
{
    flow_clear(flow);
    free(flow->events);
    json_decref(flow->next);
    *flow = (struct flow){ 0 };
}

const char *
flow_who(const struct flow *flow, uint64_t id)
{
    const char *who = NULL;

    for (size_t i = 0; i < flow->n; i++) {
        const struct flow_event *event = &flow->events[i];
        if (event->kind == FLOW_SUBJECT && (event->flow == id || event->call == id) &&
            event->who[0])
            who = event->who;
    }
    return who;
}

/* --- parties ---------------------------------------------------------------------------------- */

static void
party_name(struct flow_parties *parties, const struct flow *flow, const struct flow_event *message)
{
    char address[HD_ADDR_TEXT + 1], *who;
    const char *known = flow_who(flow, message->flow);
    const size_t room = sizeof(parties->party[0].name);
    unsigned same = 1;

    address[hd_addr_text(&message->remote, address)] = '\0';
    if (known && hd_slice_starts(hd_slice_str(known), HD_LIT("sip:")))
        known += 4;
    who = known ? text_escaped(hd_slice_str(known), false) : NULL;
    for (size_t i = 0; i < parties->n; i++)
        same += parties->stable && who &&
                hd_slice_starts(hd_slice_str(parties->party[i].name), hd_slice_str(who));
    if (!parties->stable)
        memcpy(parties->party[parties->n].address, address, sizeof(address));
    if (same > 1)
        (void)snprintf(parties->party[parties->n].name, room, "%s (%u)", who, same);
    else
        (void)snprintf(parties->party[parties->n].name, room, "%s",
                       who               ? who
                       : parties->stable ? "somebody"
                                         : "");
    free(who);
}

size_t
flow_party(struct flow_parties *parties, const struct flow *flow, const struct flow_event *message,
           bool *ret_new)
{
    *ret_new = false;
    for (size_t i = 0; i < parties->n; i++)
        if (hd_addr_eq(&parties->party[i].addr, &message->remote))
            return i;
    if (parties->n == FLOW_PARTIES) {
        *ret_new = !parties->overflow;
        parties->overflow = true;
        (void)snprintf(parties->party[FLOW_PARTIES - 1].name, sizeof(parties->party[0].name),
                       "others");
        parties->party[FLOW_PARTIES - 1].address[0] = '\0';
        return FLOW_PARTIES - 1;
    }
    *ret_new = true;
    party_name(parties, flow, message);
    parties->party[parties->n].addr = message->remote;
    return parties->n++;
}

/* --- drawing ---------------------------------------------------------------------------------- */

static void
time_text(const struct flow_draw *draw, int64_t at_us, char ret[32])
{
    const time_t seconds = (time_t)(at_us / 1000000);
    struct tm tm;

    if (draw->stable) {
        (void)snprintf(ret, 32, "%11zu", draw->row);
        return;
    }
    localtime_r(&seconds, &tm);
    const size_t n = strftime(ret, 32, "%H:%M:%S", &tm);
    (void)snprintf(ret + n, 32 - n, ".%03d", (int)(at_us / 1000 % 1000));
}

/* The lines of a message with "| " before each, escaped; NULL when memory is short. */
static char *
message_lines(const struct flow_event *event)
{
    struct hd_slice rest = event->octets;
    char *text = malloc(TEXT_ESCAPED(rest.n) + 3 * rest.n + 32), *to = text;

    if (!text)
        return NULL;
    while (rest.n) {
        struct hd_slice line = hd_slice_cut(&rest, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!line.n && !rest.n)
            break; /* the end of a head without body */
        memcpy(to, "| ", 2);
        to += 2;
        to += text_escape(line, false, to);
        *to++ = '\n';
    }
    if (event->cut) {
        const char missing[] = "| (the rest is not kept)";
        memcpy(to, missing, sizeof(missing) - 1);
        to += sizeof(missing) - 1;
    }
    *to = '\0';
    return text;
}

static void
draw_message(const struct ladder *ladder, size_t part, const struct flow_event *event,
             struct flow_draw *draw, const char *time)
{
    char summary[TRACE_LINE];

    trace_summary(event->octets, summary);
    ladder_step(ladder,
                &(struct ladder_step){ .time = time,
                                       .part = part,
                                       .out = !event->out,
                                       .again = event->again,
                                       .summary = summary },
                draw->to);
    if (draw->full) {
        char *lines = message_lines(event);
        ladder_message(lines, draw->to);
        free(lines);
    }
}

static void
draw_words(const struct ladder *ladder, const struct flow_event *event, struct flow_draw *draw,
           const char *time)
{
    char *words = text_escaped(hd_slice_str(event->words), false);

    if (words && words[0])
        ladder_note(ladder, time, words, draw->to);
    free(words);
}

/* What would be said again of a subject that is known is not. */
static bool
is_news(const struct flow *flow, size_t at)
{
    const struct flow_event *event = &flow->events[at];

    if (event->kind != FLOW_SUBJECT)
        return true;
    if (event->now || strcmp(event->subject, "refused") == 0)
        return false; /* the answer says it */
    for (size_t i = at; i-- > 0;)
        if (flow->events[i].kind == FLOW_SUBJECT && !flow->events[i].now &&
            flow->events[i].flow == event->flow && strcmp(flow->events[i].words, event->words) == 0)
            return false;
    return true;
}

static void
fill_ladder(const struct flow_parties *parties, struct ladder *ladder)
{
    ladder->server = "herald";
    ladder->n = parties->n;
    for (size_t i = 0; i < parties->n; i++) {
        ladder->names[i] = parties->party[i].name;
        ladder->addresses[i] = parties->party[i].address;
    }
}

void
flow_ladder(const struct flow *flow, size_t from, struct flow_parties *parties,
            struct flow_draw *draw)
{
    struct ladder ladder;
    bool changed = false, new;
    char time[32];

    parties->stable = draw->stable;
    for (size_t i = from; i < flow->n; i++)
        if (flow->events[i].kind == FLOW_MESSAGE) {
            (void)flow_party(parties, flow, &flow->events[i], &new);
            changed = changed || new;
        }
    if (!parties->n)
        return;
    fill_ladder(parties, &ladder);
    if (changed)
        ladder_head(&ladder, draw->to);
    for (size_t i = from; i < flow->n; i++) {
        const struct flow_event *event = &flow->events[i];

        if (!is_news(flow, i))
            continue;
        draw->row++;
        time_text(draw, event->at_us, time);
        if (event->kind == FLOW_MESSAGE)
            draw_message(&ladder, flow_party(parties, flow, event, &new), event, draw, time);
        else
            draw_words(&ladder, event, draw, time);
    }
    fflush(draw->to);
}
