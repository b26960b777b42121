/* cmd_trace.c - `herald trace`: what the daemon's flow recorder knows of somebody, as a ladder, as
 * a file for Wireshark, as a scenario, or for a capture server. */
#include <argp.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "herald/admin.h"
#include "herald/flow.h"
#include "herald/show.h"
#include "herald/text.h"
#include "herald/tool.h"

#define FOLLOW_MS 200 /* between two questions */
#define LIMIT_MOST 20000u
#define CAPTURE_AGENT 5060u /* as we name ourselves to a capture server */

enum {
    KEY_SOCKET = 0x100,
    KEY_JSON,
    KEY_FULL,
    KEY_STABLE,
    KEY_LIMIT,
    KEY_PCAPNG,
    KEY_PLAY,
    KEY_HEP
};

struct options {
    const char *socket, *about;
    const char *pcapng, *play, *hep;
    uint32_t limit;
    bool json, full, stable, follow;
};

static const struct argp_option options[] = {
    { "follow", 'f', NULL, 0, "go on as it happens, until interrupted", 0 },
    { "full", KEY_FULL, NULL, 0, "print the messages too", 0 },
    { "stable", KEY_STABLE, NULL, 0,
      "names that are the same in every run in place of ids, ports and times, for documents", 0 },
    { "limit", KEY_LIMIT, "N", 0, "at most N lines, the newest (default 1000)", 0 },
    { "pcapng", KEY_PCAPNG, "FILE", 0, "write packets for Wireshark (\"-\": standard output)", 0 },
    { "play", KEY_PLAY, "FILE", 0, "write a scenario that `herald play` runs again", 0 },
    { "hep", KEY_HEP, "HOST[:PORT]", 0,
      "send to a capture server (HEP version 3; port 9060); with --follow as it happens", 0 },
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
    case KEY_PCAPNG:
        o->pcapng = arg;
        return 0;
    case KEY_PLAY:
        o->play = arg;
        return 0;
    case KEY_HEP:
        o->hep = arg;
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
        if (o->follow && (o->pcapng || o->play))
            argp_error(state, "a file has an end: leave --follow away");
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

/* --- elsewhere -------------------------------------------------------------------------------- */

static bool
write_file(const char *path, const struct hd_str *text)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
    bool ok = file != NULL;

    if (ok && text->n)
        ok = fwrite(hd_str_text(text), 1, text->n, file) == text->n;
    if (file && file != stdout)
        ok = fclose(file) == 0 && ok;
    else if (file)
        ok = fflush(file) == 0 && ok;
    if (!ok)
        tool_problem("%s: %s", path, strerror(errno));
    return ok;
}

static int
write_files(const struct options *o, const struct flow *flow)
{
    struct hd_str text = { 0 };
    enum hd_err err = HD_OK;
    bool ok = true;

    if (o->pcapng) {
        flow_pcapng(flow, &text);
        err = text.err;
        ok = !err && write_file(o->pcapng, &text);
        hd_str_done(&text);
    }
    if (o->play && ok) {
        json_t *packages = NULL;
        (void)admin_call(o->socket, "package-list", show_args(), &packages);
        err = flow_play(flow, json_object_get(packages, "packages"), &text);
        json_decref(packages);
        ok = !err && write_file(o->play, &text);
        hd_str_done(&text);
    }
    if (err)
        tool_problem("%s", err == HD_EFULL
                               ? "more addresses than a scenario has actors for: ask for "
                                 "less"
                               : hd_err_text(err));
    return ok ? TOOL_OK : TOOL_FAILED;
}

/* A socket to HOST[:PORT]; -1 after a message. */
static int
capture_open(const char *text)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    struct addrinfo *list = NULL;
    char *host, *port;
    int fd = -1;

    tool_host_port(text, "9060", &host, &port);
    const int problem = getaddrinfo(host, port, &hints, &list);
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0)
        tool_problem("%s: %s", text, problem ? gai_strerror(problem) : strerror(errno));
    if (list)
        freeaddrinfo(list);
    free(host);
    free(port);
    return fd;
}

/* What a capture server does not take is lost, as on every wire. */
static void
capture_send(int fd, const struct flow *flow, size_t from)
{
    struct hd_str packet = { 0 };

    for (size_t i = from; i < flow->n; i++) {
        const struct flow_event *event = &flow->events[i];

        if (event->kind != FLOW_MESSAGE)
            continue;
        hd_str_clear(&packet);
        if (!flow_hep(event, CAPTURE_AGENT, &packet))
            tool_problem("a message of %zu octets is too large for the capture server",
                         event->octets.n);
        else if (packet.err || send(fd, hd_str_text(&packet), packet.n, 0) < 0)
            tool_problem("the capture server: %s", strerror(packet.err ? ENOMEM : errno));
    }
    hd_str_done(&packet);
}

/* --- showing ---------------------------------------------------------------------------------- */

static void
wait_a_moment(void)
{
    const struct timespec wait = { .tv_nsec = FOLLOW_MS * 1000000L };

    (void)nanosleep(&wait, NULL);
}

static void
show(const struct options *o, const struct flow *flow, size_t from, const json_t *result,
     struct flow_parties *parties, struct flow_draw *draw)
{
    if (draw->capture >= 0)
        capture_send(draw->capture, flow, from);
    else if (o->json && (from == 0 || flow->n > from))
        show_json(result);
    else if (!o->json)
        flow_ladder(flow, from, parties, draw);
}

/* One answer after the other; the head of the picture again when somebody new is in it. */
static int
follow(const struct options *o, struct flow *flow, struct flow_parties *parties,
       struct flow_draw *draw)
{
    json_t *result = NULL;
    int code = TOOL_OK;

    while (!interrupted && !code && !ferror(draw->to)) {
        const size_t from = flow->n;

        wait_a_moment();
        code = ask(o, flow, &result);
        if (!code)
            show(o, flow, from, result, parties, draw);
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
    const struct sigaction action = { .sa_handler = on_signal };
    struct options o = { 0 };
    struct flow flow = { 0 };
    struct flow_parties parties = { 0 };
    json_t *result = NULL;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.follow) { /* from here on, so that what came before is told whole */
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
    }
    struct flow_draw draw = { .full = o.full, .stable = o.stable, .to = stdout, .capture = -1 };
    if (o.hep && (draw.capture = capture_open(o.hep)) < 0)
        return TOOL_UNREACHABLE;
    int code = ask(&o, &flow, &result);
    if (!code && o.stable && flow_stable(&flow)) {
        tool_problem("out of memory");
        code = TOOL_FAILED;
    }
    if (!code && (o.pcapng || o.play))
        code = write_files(&o, &flow);
    else if (!code)
        show(&o, &flow, 0, result, &parties, &draw);
    json_decref(result);
    if (!code)
        tell_gaps(&o, &flow);
    if (!code && o.follow)
        code = follow(&o, &flow, &parties, &draw);
    else if (!code && flow.n == 0)
        code = TOOL_FAILED;
    if (draw.capture >= 0)
        close(draw.capture);
    flow_done(&flow);
    return code;
}
