/* cmd_sub.c - `herald sub`: subscribes, and prints each notification as it comes. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "herald/link.h"
#include "herald/peer.h"
#include "herald/sub.h"
#include "herald/text.h"
#include "herald/tool.h"
#include "herald/trace.h"
#include "sip/rate.h"

#define FILTER_MAX 60000u

#define EVENT_MAX 1023u

enum {
    KEY_ONCE = 0x200,
    KEY_FETCH,
    KEY_FILTER,
    KEY_FILTER_TYPE,
    KEY_WHEN,
    KEY_TIMEOUT,
    KEY_MAX_RATE,
    KEY_MIN_RATE,
    KEY_ADAPTIVE,
    KEY_PRIORITY
};

struct options {
    struct peer_options peer;
    const char *uri, *package, *accept, *filter, *filter_type, *when, *priority;
    uint32_t expires_s, timeout_s, count;
    struct sip_rates rates;
    bool fetch;
};

struct job {
    struct options options;
    struct peer peer;
    char event[EVENT_MAX];
    char *filter;
    size_t filter_n;
    struct link *link;
    struct ua_sub *sub;
    struct ua_timer timeout;
    uint32_t notified;
    bool leaving, colour;
    bool late; /* out of time, with less than was wanted */
    int code;
};

/* Media types of the packages that people watch most; others are asked for without Accept. */
static const struct {
    const char *package, *accept;
} usual[] = {
    { "presence", "application/pidf+xml" },
    { "message-summary", "application/simple-message-summary" },
    { "dialog", "application/dialog-info+xml" },
    { "reg", "application/reginfo+xml" },
};

/* --- printing --------------------------------------------------------------------------------- */

static json_t *
json_text(struct hd_slice text)
{
    if (text_is_utf8(text))
        return json_stringn(text.p ? text.p : "", text.n);
    char *escaped = text_escaped(text, true);
    json_t *value = json_string(escaped ? escaped : "");
    free(escaped);
    return value;
}

static void
json_set(json_t *object, const char *name, json_t *value)
{
    if (!value || json_object_set_new(object, name, value) != 0) {
        tool_problem("out of memory");
        exit(TOOL_FAILED);
    }
}

static void
wall_text(bool whole, char ret[40])
{
    uint64_t us = trace_wall_us();
    time_t seconds = (time_t)(us / 1000000u);
    struct tm tm;
    size_t n;

    if (whole) {
        gmtime_r(&seconds, &tm);
        n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(ret + n, 40 - n, ".%03uZ", (unsigned)(us / 1000 % 1000));
    } else {
        localtime_r(&seconds, &tm);
        n = strftime(ret, 32, "%H:%M:%S", &tm);
        snprintf(ret + n, 40 - n, ".%03u", (unsigned)(us / 1000 % 1000));
    }
}

/* Which conditions fired, as the broker says. */
static struct hd_slice
fired_of(const struct ua_notification *notification)
{
    const struct sip_msg *msg = notification->msg;

    for (unsigned i = 0; i < msg->n_headers; i++)
        if (hd_slice_ieq(msg->headers[i].name, HD_LIT("Herald-Fired")))
            return msg->headers[i].value;
    return hd_slice(NULL, 0);
}

/* The rates that were granted (RFC 6446). */
static struct sip_rates
rates_of(const struct ua_notification *notification)
{
    struct hd_slice value = sip_msg_value(notification->msg, SIP_HDR_SUBSCRIPTION_STATE);
    struct sip_rates rates = { 0 };

    (void)!sip_rates_parse(hd_slice_from(value, hd_slice_find(value, ';')), &rates);
    return rates;
}

static void
json_set_rate(json_t *line, const char *name, uint64_t rate)
{
    if (rate)
        json_set(line, name, json_real((double)rate / (double)SIP_RATE_ONE));
}

static void
print_json(const struct ua_notification *notification)
{
    const struct sip_substate *state = &notification->state;
    json_t *line = json_object();
    char time[40];

    wall_text(true, time);
    if (!line)
        exit(TOOL_FAILED);
    json_set(line, "time", json_string(time));
    json_set(line, "state", json_text(state->state));
    if (state->reason.p)
        json_set(line, "reason", json_text(state->reason));
    if (state->has_expires)
        json_set(line, "expires", json_integer(state->expires_s));
    if (state->has_retry_after)
        json_set(line, "retry_after", json_integer(state->retry_after_s));
    json_set(line, "cseq", json_integer(notification->cseq));
    const struct sip_rates rates = rates_of(notification);
    json_set_rate(line, "max_rate", rates.max);
    json_set_rate(line, "min_rate", rates.min);
    json_set_rate(line, "adaptive_min_rate", rates.adaptive);
    struct hd_slice fired = fired_of(notification);
    if (fired.n)
        json_set(line, "fired", json_text(fired));
    if (sip_msg_has(notification->msg, SIP_HDR_RESOURCE_PRIORITY))
        json_set(line, "priority",
                 json_text(sip_msg_value(notification->msg, SIP_HDR_RESOURCE_PRIORITY)));
    if (notification->body.n) {
        json_set(line, "type", json_text(notification->type));
        json_set(line, "body", json_text(notification->body));
    }
    char *text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);
    puts(text ? text : "{}");
    free(text);
    json_decref(line);
}

static void
print_slice(struct hd_slice text, bool lines)
{
    char *escaped = text_escaped(text, lines);
    fputs(escaped ? escaped : "", stdout);
    free(escaped);
}

/* ", max-rate=0.2, min-rate=0.05" */
static void
print_rates(const struct sip_rates *rates)
{
    char text[128];
    struct sip_out out;

    sip_out_init(&out, text, sizeof text);
    sip_out_rates(&out, rates);
    for (size_t i = 0; i < out.n; i++) {
        if (text[i] == ';')
            fputs(", ", stdout);
        else
            putchar(text[i]);
    }
}

static void
print_human(const struct job *job, const struct ua_notification *notification)
{
    const struct sip_substate *state = &notification->state;
    char time[40];

    wall_text(false, time);
    printf("%s%s  ", job->colour ? "\033[1m" : "", time);
    print_slice(state->state, false);
    if (state->reason.p) {
        fputs(", ", stdout);
        print_slice(state->reason, false);
    }
    if (state->has_expires)
        printf(", %u s left", (unsigned)state->expires_s);
    if (state->has_retry_after)
        printf(", try again after %u s", (unsigned)state->retry_after_s);
    const struct sip_rates rates = rates_of(notification);
    print_rates(&rates);
    struct hd_slice fired = fired_of(notification);
    if (fired.n) {
        fputs(", fired: ", stdout);
        print_slice(fired, false);
    }
    if (sip_msg_has(notification->msg, SIP_HDR_RESOURCE_PRIORITY)) {
        fputs(", priority ", stdout);
        print_slice(sip_msg_value(notification->msg, SIP_HDR_RESOURCE_PRIORITY), false);
    }
    if (notification->body.n) {
        fputs("  ", stdout);
        print_slice(notification->type, false);
    } else {
        fputs("  (no body)", stdout);
    }
    puts(job->colour ? "\033[0m" : "");
    if (notification->body.n == 0)
        return;
    print_slice(notification->body, true);
    if (notification->body.p[notification->body.n - 1] != '\n')
        putchar('\n');
    putchar('\n');
}

/* --- the life of the subscription ------------------------------------------------------------- */

static void
job_leave(struct job *job)
{
    job->leaving = true;
    ua_sub_leave(job->sub);
}

static void
notified(void *context, const struct ua_notification *notification)
{
    struct job *job = context;
    if (job->options.count && job->notified >= job->options.count)
        return; /* the last words after --count */
    if (job->options.peer.json)
        print_json(notification);
    else
        print_human(job, notification);
    fflush(stdout);
    job->notified++;
    /* Whoever read our output has gone, or has seen enough. */
    if (ferror(stdout) || (job->options.count && job->notified >= job->options.count))
        job_leave(job);
}

static void
reported(void *context, const struct ua_sub_report *report)
{
    struct job *job = context;
    char *reason = text_escaped(report->reason, false);

    switch (report->news) {
    case UA_SUB_ACCEPTED:
        if (job->options.peer.verbose)
            tool_problem("subscribed to %s for %u s", job->peer.uri, (unsigned)report->expires_s);
        break;
    case UA_SUB_REFRESHED:
        if (job->options.peer.verbose)
            tool_problem("refreshed for %u s", (unsigned)report->expires_s);
        break;
    case UA_SUB_TOO_BRIEF:
        tool_problem("the server wants at least %u s, which is asked for now",
                     (unsigned)report->expires_s);
        break;
    case UA_SUB_REFRESH_FAILED:
        peer_explain("refresh", report->answer);
        tool_problem("the subscription is refreshed again in %u s", (unsigned)report->wait_s);
        break;
    case UA_SUB_RETRY:
        if (report->wait_s)
            tool_problem("the subscription ended%s%s; a new one follows in %u s",
                         reason && *reason ? ": " : "", reason ? reason : "",
                         (unsigned)report->wait_s);
        else
            tool_problem("the subscription ended%s%s; a new one follows at once",
                         reason && *reason ? ": " : "", reason ? reason : "");
        break;
    }
    free(reason);
}

static void
ended(void *context, const struct ua_sub_ending *ending)
{
    struct job *job = context;
    char *reason;

    switch (ending->why) {
    case UA_SUB_DONE:
        job->code = TOOL_OK;
        break;
    case UA_SUB_REFUSED:
        job->code = peer_explain(job->leaving ? "unsubscribe" : "subscribe", ending->answer);
        break;
    case UA_SUB_TERMINATED:
        reason = text_escaped(ending->reason, false);
        tool_problem("the server ended the subscription: %s",
                     reason && *reason ? reason : "no reason given");
        job->code = reason && strcmp(reason, "invariant") == 0 ? TOOL_OK : TOOL_FAILED;
        free(reason);
        break;
    case UA_SUB_NO_ANSWER:
        tool_problem("no answer from the server within 32 s");
        job->code = TOOL_TIMEOUT;
        break;
    case UA_SUB_NO_NOTIFY:
        tool_problem(job->leaving ? "no last NOTIFY within 32 s"
                                  : "accepted, but no NOTIFY came within 32 s (Timer N)");
        job->code = TOOL_TIMEOUT;
        break;
    case UA_SUB_UNREACHABLE:
        tool_problem("the server cannot be reached");
        job->code = TOOL_UNREACHABLE;
        break;
    case UA_SUB_BROKEN:
        tool_problem(
            "the request cannot be built (out of memory, or the server's Contact cannot be "
            "used)");
        job->code = TOOL_FAILED;
        break;
    }
    if (job->late) /* is the result, whatever the last words with the server were */
        job->code = TOOL_TIMEOUT;
    link_stop(job->link);
}

static void
timeout_fire(void *context)
{
    struct job *job = context;
    if (job->leaving) {
        link_stop(job->link);
        return;
    }
    job->late = job->notified == 0 || job->notified < job->options.count;
    if (job->late)
        tool_problem("out of time after %u s", (unsigned)job->options.timeout_s);
    job->code = TOOL_TIMEOUT;
    /* The last words get two seconds more. */
    ua_timer_start(link_client(job->link), &job->timeout, 2000);
    job_leave(job);
}

static void
interrupted(void *context, unsigned count)
{
    struct job *job = context;
    if (count > 1) {
        link_stop(job->link);
        return;
    }
    job_leave(job);
}

static void
begin(void *context)
{
    struct job *job = context;
    const struct options *o = &job->options;
    const char *accept = o->accept;

    for (size_t i = 0; !accept && i < HD_ARRAY_LEN(usual); i++)
        if (strcmp(usual[i].package, o->package) == 0)
            accept = usual[i].accept;
    enum hd_err err = ua_sub_new(
        &(struct ua_sub_params){ .client = link_client(job->link),
                                 .uri = hd_slice_str(job->peer.uri),
                                 .from = hd_slice_str(job->peer.from),
                                 .event = hd_slice_str(job->event),
                                 .accept = hd_slice_str(accept),
                                 .priority = hd_slice_str(o->priority ? o->priority : ""),
                                 .expires_s = o->fetch ? 0 : o->expires_s,
                                 .type = hd_slice_str(o->filter_type),
                                 .body = hd_slice(job->filter, job->filter_n),
                                 .context = job,
                                 .notified = notified,
                                 .reported = reported,
                                 .ended = ended },
        &job->sub);
    if (err) {
        tool_problem("subscribe: %s", hd_err_text(err));
        job->code = TOOL_FAILED;
        link_stop(job->link);
        return;
    }
    if (o->timeout_s)
        ua_timer_start(link_client(job->link), &job->timeout, (uint64_t)o->timeout_s * 1000);
    ua_sub_start(job->sub);
}

/* --- the command line ------------------------------------------------------------------------- */

static const struct argp_option options[] = {
    { "package", 'p', "PACKAGE", 0,
      "event package, perhaps with parameters: \"presence\" (default), \"message-summary\", "
      "\"dialog;id=7\"",
      1 },
    { "accept", 'a', "TYPES", 0, "media types to accept, comma-separated (default: the package's)",
      1 },
    { "expires", 'e', "TIME", 0, "duration to ask for (default 1h)", 1 },
    { "filter", KEY_FILTER, "FILE", 0, "send FILE as the body of the SUBSCRIBE", 1 },
    { "filter-type", KEY_FILTER_TYPE, "TYPE", 0,
      "its media type (default: application/simple-filter+xml, or "
      "application/vnd.herald.filter+json for *.json)",
      1 },
    { "when", KEY_WHEN, "CONDITION", 0,
      "tell me only when this becomes true: \"hr above 140 clear 120 for 5s\", \"stock below 20 "
      "clear 40 or stale-for 1h\", \"within 10mi of 41.97,-87.91\" (needs herald at the other end)",
      1 },
    { "max-rate", KEY_MAX_RATE, "N", 0,
      "at most N notifications a second, such as 0.2 (RFC 6446); the newest state is never lost",
      1 },
    { "min-rate", KEY_MIN_RATE, "N", 0,
      "at least N a second: the state again when nothing has changed", 1 },
    { "adaptive-min-rate", KEY_ADAPTIVE, "N", 0,
      "as --min-rate, but the more was sent lately the longer it waits", 1 },
    { "priority", KEY_PRIORITY, "VALUE", 0,
      "Resource-Priority of the requests, such as esnet.1 (RFC 4412)", 1 },
    { "fetch", KEY_FETCH, NULL, 0, "ask for the state once, without a subscription", 2 },
    { "once", KEY_ONCE, NULL, 0, "end after the first notification", 2 },
    { "count", 'n', "N", 0, "end after N notifications", 2 },
    { "timeout", 't', "TIME", 0,
      "end after this time; exit code 3 if nothing, or fewer than --count, came", 2 },
    { 0 }
};

static void
rate_option(struct argp_state *state, const char *name, const char *arg, uint64_t *ret_rate)
{
    if (sip_rate_parse(hd_slice_str(arg), ret_rate) != HD_OK)
        argp_error(state,
                   "%s: \"%s\" is no rate; expected a number above 0 and below 100, with at most "
                   "ten digits behind the point",
                   name, arg);
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->peer;
        return 0;
    case 'p':
        o->package = arg;
        break;
    case 'a':
        o->accept = arg;
        break;
    case 'e':
        if (!tool_seconds("--expires", arg, 1, &o->expires_s))
            exit(TOOL_USAGE);
        return 0;
    case 'n':
        if (hd_slice_to_u32(hd_slice_str(arg), &o->count) != HD_OK || o->count == 0)
            argp_error(state, "--count: \"%s\" is not a number above 0", arg);
        return 0;
    case 't':
        if (!tool_seconds("--timeout", arg, 1, &o->timeout_s))
            exit(TOOL_USAGE);
        return 0;
    case KEY_ONCE:
        o->count = 1;
        return 0;
    case KEY_FETCH:
        o->fetch = true;
        return 0;
    case KEY_FILTER:
        o->filter = arg;
        return 0;
    case KEY_FILTER_TYPE:
        o->filter_type = arg;
        break;
    case KEY_WHEN:
        o->when = arg;
        return 0;
    case KEY_MAX_RATE:
        rate_option(state, "--max-rate", arg, &o->rates.max);
        return 0;
    case KEY_MIN_RATE:
        rate_option(state, "--min-rate", arg, &o->rates.min);
        return 0;
    case KEY_ADAPTIVE:
        rate_option(state, "--adaptive-min-rate", arg, &o->rates.adaptive);
        return 0;
    case KEY_PRIORITY:
        if (!tool_priority(arg))
            exit(TOOL_USAGE);
        o->priority = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->uri)
            argp_error(state, "one URI is enough");
        o->uri = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->uri)
            argp_error(state, "whose state? Give a URI, as in: herald sub sip:2001@127.0.0.1");
        if (o->filter && o->when)
            argp_error(state, "--filter and --when say the same thing: one of them is enough");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (!text_is_line(arg))
        argp_error(state, "a header field cannot hold control characters");
    return 0;
}

static const struct argp_child children[] = { { &peer_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "URI",
    .doc =
        "Subscribe to the event state of URI and print each notification as it comes.\v"
        "Ctrl-C unsubscribes and waits for the last notification; a second one ends at once.\n"
        "Exit codes: 0 done, 1 refused or ended by the server, 2 wrong command line, 3 no answer "
        "or no NOTIFY in time, 4 the server cannot be reached.",
    .children = children
};

/* The broker reads the words; to us they are a text. */
static bool
when_write(struct job *job)
{
    json_t *filter = json_object();
    if (!filter)
        return false;
    json_set(filter, "when", json_text(hd_slice_str(job->options.when)));
    job->filter = json_dumps(filter, JSON_COMPACT);
    json_decref(filter);
    job->filter_n = job->filter ? strlen(job->filter) : 0;
    job->options.filter_type = "application/vnd.herald.filter+json";
    return job->filter != NULL;
}

static bool
filter_read(struct job *job)
{
    struct options *o = &job->options;
    const char *end;
    if (o->when)
        return when_write(job);
    if (!o->filter)
        return true;
    job->filter = tool_file(o->filter, FILTER_MAX, &job->filter_n);
    end = strrchr(o->filter, '.');
    if (!o->filter_type)
        o->filter_type = end && strcmp(end, ".json") == 0 ? "application/vnd.herald.filter+json"
                                                          : "application/simple-filter+xml";
    return job->filter != NULL;
}

/* The package with the rates behind it. */
static bool
event_write(struct job *job)
{
    struct sip_out out;
    size_t n;

    sip_out_init(&out, job->event, sizeof job->event - 1);
    sip_out_slice(&out, hd_slice_str(job->options.package));
    sip_out_rates(&out, &job->options.rates);
    if (sip_out_finish(&out, &n) == HD_OK)
        return true;
    tool_problem("--package: too long");
    return false;
}

int
sub_main(int argc, char **argv)
{
    struct job job = { .options = { .package = "presence", .expires_s = 3600 },
                       .timeout = { .fire = timeout_fire },
                       .code = TOOL_FAILED };
    job.timeout.context = &job;
    argp_parse(&argp, argc, argv, 0, NULL, &job.options);
    job.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    int code = peer_resolve(&job.options.peer, job.options.uri, &job.peer);
    if (!code && (!event_write(&job) || !filter_read(&job)))
        code = TOOL_FAILED;
    if (!code)
        code = link_open(&(struct link_params){ .options = &job.options.peer,
                                                .peer = &job.peer,
                                                .context = &job,
                                                .begin = begin,
                                                .interrupted = interrupted },
                         &job.link);
    if (!code) {
        link_run(job.link);
        code = job.code;
        ua_sub_free(job.sub);
        link_close(job.link);
    }
    free(job.filter);
    peer_done(&job.peer);
    return code;
}
