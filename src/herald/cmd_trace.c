/* cmd_trace.c - `herald trace`: what the daemon's flow recorder knows of somebody, as a ladder. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "herald/admin.h"
#include "herald/flow.h"
#include "herald/show.h"
#include "herald/text.h"
#include "herald/tool.h"

#define FOLLOW_MS 200 /* between two questions */
#define LIMIT_MOST 20000u

enum { KEY_SOCKET = 0x100, KEY_JSON, KEY_FULL, KEY_STABLE, KEY_LIMIT };

struct options {
    const char *socket, *about;
    uint32_t limit;
    bool json, full, stable, follow;
};

static const struct argp_option options[] = {
    { "follow", 'f', NULL, 0, "go on as it happens, until interrupted", 0 },
    { "full", KEY_FULL, NULL, 0, "print the messages too", 0 },
    { "stable", KEY_STABLE, NULL, 0,
      "names that are the same in every run in place of ids, ports and times, for documents", 0 },
    { "limit", KEY_LIMIT, "N", 0, "at most N lines, the newest (default 1000)", 0 },
    { "json", KEY_JSON, NULL, 0, "print JSON", 1 },
    { "socket", KEY_SOCKET, "PATH", 0, "the daemon's admin socket", 1 },
    { 0 }
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'f':
        o->follow = true;
        return 0;
    case KEY_FULL:
        o->full = true;
        return 0;
    case KEY_STABLE:
        o->stable = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_SOCKET:
        o->socket = arg;
        return 0;
    case KEY_LIMIT:
        if (hd_slice_to_u32(hd_slice_str(arg), &o->limit) != HD_OK || o->limit == 0 ||
            o->limit > LIMIT_MOST)
            argp_error(state, "--limit: \"%s\" is not a number from 1 to %u", arg, LIMIT_MOST);
        return 0;
    case ARGP_KEY_ARG:
        if (o->about)
            argp_error(state, "too many words");
        o->about = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->about)
            argp_error(state, "of whom? As in: herald trace sip:alice@example.test");
        if (o->follow && o->stable)
            argp_error(state, "--follow has no names that stay: leave --stable away");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "RESOURCE|WATCHER|SUBSCRIPTION|CALL-ID",
    .doc =
        "Show the messages and decisions that the broker has recorded of a resource, of somebody "
        "who watches or publishes, of a subscription (its id, as `herald subs --json` has it), "
        "or of a Call-ID."
};

/* --- asking ----------------------------------------------------------------------------------- */

static int
ask(const struct options *o, struct flow *flow, json_t **ret_result)
{
    json_t *args = show_args(), *result = NULL;

    show_set(args, "about", o->about);
    if (o->limit)
        (void)json_object_set_new(args, "limit", json_integer(o->limit));
    if (flow->next)
        (void)json_object_set(args, "since", flow->next);
    int code = admin_call(o->socket, "trace", args, &result);
    if (code)
        return code;
    const enum hd_err err = flow_add(flow, result);
    if (err) {
        tool_problem("the daemon's answer: %s", hd_err_text(err));
        json_decref(result);
        return TOOL_FAILED;
    }
    *ret_result = result;
    return TOOL_OK;
}

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void
wait_a_moment(void)
{
    const struct timespec wait = { .tv_nsec = FOLLOW_MS * 1000000L };

    (void)nanosleep(&wait, NULL);
}

/* One answer after the other; the head of the picture again when somebody new is in it. */
static int
follow(const struct options *o, struct flow *flow, struct flow_parties *parties,
       struct flow_draw *draw)
{
    const struct sigaction action = { .sa_handler = on_signal };
    json_t *result = NULL;
    int code = TOOL_OK;

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    while (!interrupted && !code && !ferror(draw->to)) {
        const size_t from = flow->n;

        wait_a_moment();
        code = ask(o, flow, &result);
        if (!code && o->json && flow->n > from)
            show_json(result);
        else if (!code)
            flow_ladder(flow, from, parties, draw);
        if (fflush(draw->to))
            break;
        json_decref(result);
        result = NULL;
    }
    json_decref(result);
    return code;
}

static void
tell_gaps(const struct options *o, const struct flow *flow)
{
    if (flow->n == 0 && !o->follow)
        tool_problem("nothing is recorded of %s%s", o->about,
                     flow->truncated ? " (is the recorder off?)" : "");
    else if (flow->truncated)
        tool_problem("there is more than is shown: --limit says how much");
}

int
trace_main(int argc, char **argv)
{
    struct options o = { 0 };
    struct flow flow = { 0 };
    struct flow_parties parties = { 0 };
    json_t *result = NULL;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    struct flow_draw draw = { .full = o.full, .stable = o.stable, .to = stdout };
    int code = ask(&o, &flow, &result);
    if (!code && o.stable && flow_stable(&flow)) {
        tool_problem("out of memory");
        code = TOOL_FAILED;
    }
    if (!code && o.json)
        show_json(result);
    else if (!code)
        flow_ladder(&flow, 0, &parties, &draw);
    json_decref(result);
    if (!code)
        tell_gaps(&o, &flow);
    if (!code && o.follow)
        code = follow(&o, &flow, &parties, &draw);
    else if (!code && flow.n == 0)
        code = TOOL_FAILED;
    flow_done(&flow);
    return code;
}
