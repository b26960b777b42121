/* cmd_play.c - `herald play`: plays scenario files against a live server. */
#include <argp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"
#include "herald/play.h"
#include "herald/play_live.h"
#include "herald/text.h"
#include "herald/tool.h"

#define FILES_MAX 256
#define SETS_MAX 32
#define FILE_OCTETS_MAX ((size_t)4 << 20)

enum { KEY_DOMAIN = 0x100, KEY_SET, KEY_FULL, KEY_TIMEOUT };

struct options {
    const char *server, *domain;
    const char *sets[SETS_MAX], *files[FILES_MAX];
    size_t n_sets, n_files;
    uint32_t timeout_s;
    enum live_show show;
};

static const struct argp_option options[] = {
    { "server", 's', "HOST[:PORT]", 0, "SIP server (default: $HERALD_SERVER, 127.0.0.1:5060)", 0 },
    { "domain", KEY_DOMAIN, "NAME", 0, "put NAME in the place of example.test in the files", 0 },
    { "set", KEY_SET, "NAME=VALUE", 0, "set a variable before the first step", 0 },
    { "timeout", KEY_TIMEOUT, "SECONDS", 0, "how long an expected message may take (default: 3)",
      0 },
    { "verbose", 'v', NULL, 0, "print the first line of every message", 0 },
    { "full", KEY_FULL, NULL, 0, "print every message", 0 },
    { 0 }
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 's':
        o->server = arg;
        return 0;
    case 'v':
        o->show = LIVE_SHOW_LINES;
        return 0;
    case KEY_FULL:
        o->show = LIVE_SHOW_MESSAGES;
        return 0;
    case KEY_DOMAIN:
        o->domain = arg;
        return 0;
    case KEY_TIMEOUT:
        if (!tool_seconds("--timeout", arg, 1, &o->timeout_s))
            exit(TOOL_USAGE);
        return 0;
    case KEY_SET:
        if (!strchr(arg, '=') || o->n_sets == SETS_MAX)
            argp_error(state, "\"%s\" is not NAME=VALUE (at most %d of them)", arg, SETS_MAX);
        o->sets[o->n_sets++] = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->n_files == FILES_MAX)
            argp_error(state, "at most %d files", FILES_MAX);
        o->files[o->n_files++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->n_files == 0)
            argp_error(state, "which file?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "FILE...",
    .doc = "Play scenarios against a live SIP server.\v"
           "Each actor of a file gets a socket of its own. What belongs to the laboratory (config, "
           "users, counts) is left out; steps that only the laboratory can do end the play. The "
           "language is described in doc/scenarios.md."
};

/* HOST[:PORT], [IPV6]:PORT; the first address of a name. */
static bool
find_server(const char *text, struct hd_addr *ret_addr)
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list = NULL;
    char *host, *port;
    bool found = false;

    tool_host_port(text, "5060", &host, &port);
    if (getaddrinfo(host, port, &hints, &list) == 0) {
        struct hd_addr addr = { 0 };

        if (list->ai_family == AF_INET) {
            struct sockaddr_in in;

            memcpy(&in, list->ai_addr, sizeof(in));
            memcpy(addr.ip, &in.sin_addr, 4);
            addr.port = ntohs(in.sin_port);
            addr.family = 4;
        } else {
            struct sockaddr_in6 in6;

            memcpy(&in6, list->ai_addr, sizeof(in6));
            memcpy(addr.ip, &in6.sin6_addr, 16);
            addr.port = ntohs(in6.sin6_port);
            addr.scope = in6.sin6_scope_id;
            addr.family = 6;
        }
        *ret_addr = addr;
        found = true;
        freeaddrinfo(list);
    }
    free(host);
    free(port);
    return found;
}

/* Reads a file, with the domain in its place. */
static char *
read_scenario(void *context, const char *path, size_t *ret_len)
{
    const struct options *o = context;
    const struct hd_slice name = HD_LIT("example.test");
    struct hd_str text = { 0 };
    struct hd_slice rest;
    size_t n;
    char *whole;

    whole = tool_file(path, FILE_OCTETS_MAX, &n);
    if (!whole || !o->domain) {
        *ret_len = n;
        return whole;
    }
    for (rest = hd_slice(whole, n); rest.n;) {
        if (hd_slice_starts(rest, name)) {
            hd_str_add_str(&text, o->domain);
            rest = hd_slice_from(rest, name.n);
        } else {
            hd_str_add(&text, hd_slice(rest.p, 1));
            rest = hd_slice_from(rest, 1);
        }
    }
    free(whole);
    *ret_len = text.n;
    return hd_str_take(&text);
}

static enum hd_err
set_variables(const struct options *o, struct play *play)
{
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < o->n_sets && !err; i++) {
        struct hd_slice value = hd_slice_str(o->sets[i]), name = hd_slice_cut(&value, '=');

        err = play_set(play, name, value);
    }
    return err;
}

static void
tell(const char *path, const struct play *play, const struct live *live, bool good)
{
    struct hd_slice failure = play_failure(play);
    char *text = text_escaped(failure, true);

    printf("%s %s", good ? "ok    " : "FAILED", path);
    if (good && live_left_out(live))
        printf(" (%u steps of the laboratory left out)", live_left_out(live));
    printf("\n%s", good || !text ? "" : text);
    free(text);
}

static bool
play_one(struct options *o, const struct live_params *params, const char *path)
{
    struct live *live = live_new(params);
    struct play_file file = { 0 };
    struct play *play = NULL;
    struct play_params play_params = { .real_time = true,
                                       .patience_ms = params->answer_ms,
                                       .domain = hd_slice_str(o->domain) };
    char problem[512], salt[16];
    unsigned char octets[4];
    bool good = false;

    if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
        memset(octets, 0, sizeof(octets));
    (void)snprintf(salt, sizeof(salt), "-%02x%02x%02x%02x", octets[0], octets[1], octets[2],
                   octets[3]);
    play_params.salt = salt;
    if (play_file_read(path, read_scenario, o, &file, problem)) {
        tool_problem("%s", problem);
    } else if (live) {
        play_params.host = live_host(live);
        if (play_new(&play_params, &play) == HD_OK && set_variables(o, play) == HD_OK) {
            live_connect(live, play);
            good = play_run(play, &file) == HD_OK;
            tell(path, play, live, good);
        }
    }
    play_free(play);
    play_file_done(&file);
    live_free(live);
    return good;
}

int
play_main(int argc, char **argv)
{
    struct options o = { .server = getenv("HERALD_SERVER"), .timeout_s = 3 };
    struct live_params params = { 0 };
    int code = TOOL_OK;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (!o.server)
        o.server = "127.0.0.1:5060";
    if (!find_server(o.server, &params.server)) {
        tool_problem("--server: \"%s\" is no address or name that is known", o.server);
        return TOOL_USAGE;
    }
    params.answer_ms = o.timeout_s * 1000;
    params.show = o.show;
    for (size_t i = 0; i < o.n_files; i++)
        if (!play_one(&o, &params, o.files[i]))
            code = TOOL_FAILED;
    return code;
}
