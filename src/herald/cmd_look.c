/* cmd_look.c - `herald resources|sick|latency`: what the console shows, in a terminal. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "herald/admin.h"
#include "herald/call.h"
#include "herald/show.h"
#include "herald/tool.h"

#define ROWS_USUAL 1000u
#define PIECE 1000u /* rows that the daemon gives at once */

enum { KEY_LIMIT = CALL_KEY_FIRST, KEY_FIND, KEY_LAST };

struct options {
    struct call call;
    const char *find, *package;
    uint32_t limit, last_s;
};

static const struct argp_option list_options[] = {
    { "find", KEY_FIND, "TEXT", 0, "those with TEXT in a name, letters in any case", 1 },
    { "package", 'p', "PACKAGE", 0, "those of one event package", 1 },
    { "limit", KEY_LIMIT, "N", 0, "at most N rows (default 1000)", 1 },
    { 0 }
};
static const struct argp_option latency_options[] = {
    { "last", KEY_LAST, "SECONDS", 0, "of the last SECONDS (default 10, at most 3600)", 1 }, { 0 }
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    uint32_t *number = key == KEY_LIMIT ? &o->limit : &o->last_s;

    switch (key) {
    case KEY_FIND:
        o->find = arg;
        return 0;
    case 'p':
        o->package = arg;
        return 0;
    case KEY_LIMIT:
    case KEY_LAST:
        if (hd_slice_to_u32(hd_slice_str(arg), number) != HD_OK || *number == 0)
            argp_error(state, "\"%s\" is not a number above 0", arg);
        return 0;
    default:
        return call_parse(key, state);
    }
}

/* --- lists, piece by piece -------------------------------------------------------------------- */

static json_t *
args_of(const struct options *o, bool sick, const json_t *from, size_t have)
{
    json_t *args = show_args();
    const uint32_t left = o->limit - (uint32_t)have;

    show_set(args, "resource", o->call.n ? o->call.word[0] : NULL);
    show_set(args, "find", o->find);
    show_set(args, "package", o->package);
    show_set_number(args, "limit", left < PIECE ? left : PIECE);
    show_set_true(args, "sick", sick);
    if (json_object_set_new(args, "from", from ? json_deep_copy(from) : json_array()) != 0) {
        tool_problem("out of memory");
        exit(TOOL_FAILED);
    }
    return args;
}

/* Adds what a piece holds, as far as the limit; the place of the next one, NULL: there is none. */
static json_t *
take_piece(const struct options *o, json_t *rows, const json_t *piece, const char *key)
{
    const json_t *more = json_object_get(piece, key);

    for (size_t i = 0; i < json_array_size(more) && json_array_size(rows) < o->limit; i++)
        if (json_array_append(rows, json_array_get(more, i)) != 0) {
            tool_problem("out of memory");
            exit(TOOL_FAILED);
        }
    return json_array_size(rows) < o->limit ? json_incref(json_object_get(piece, "next")) : NULL;
}

static int
list(struct options *o, const char *call, bool sick, const struct grid_column *columns, size_t n)
{
    json_t *all, *rows, *from = NULL;
    int code;

    if (o->call.n > 1)
        return call_usage(sick ? "sick" : call);
    all = show_args();
    rows = json_array();
    if (!rows || json_object_set_new(all, call, rows) != 0) {
        tool_problem("out of memory");
        exit(TOOL_FAILED);
    }
    do {
        json_t *piece = NULL;
        code =
            admin_call(o->call.socket, call, args_of(o, sick, from, json_array_size(rows)), &piece);
        json_decref(from);
        from = code ? NULL : take_piece(o, rows, piece, call);
        json_decref(piece);
    } while (from);
    if (!code)
        code = show_list(o->call.json, all, call, columns, n);
    json_decref(all);
    return code;
}

int
resources_main(int argc, char **argv)
{
    static const struct argp argp = {
        list_options,  parse, "[RESOURCE]", "The resources that have state or subscribers.",
        call_children, NULL,  NULL
    };
    static const struct grid_column columns[] = {
        { "RESOURCE", "resource", false },    { "PACKAGE", "package", false },
        { "WATCHED", "subscriptions", true }, { "PUBLISHED", "publications", true },
        { "STATE", "type", false },           { "SIZE", "size", true },
        { "SHARD", "shard", true },
    };
    struct options o = { .limit = ROWS_USUAL };

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    return list(&o, "resources", false, columns, HD_ARRAY_LEN(columns));
}

int
sick_main(int argc, char **argv)
{
    static const struct argp argp = { list_options,
                                      parse,
                                      "[RESOURCE]",
                                      "The subscriptions whose subscriber does not answer, and "
                                      "when he is tried again.",
                                      call_children,
                                      NULL,
                                      NULL };
    static const struct grid_column columns[] = {
        { "REMOTE", "remote", false },
        { "WATCHER", "watcher", false },
        { "RESOURCE", "resource", false },
        { "PACKAGE", "package", false },
        { "HEALTH", "health", false },
        { "SILENT MS", "unanswered_ms", true },
        { "PAUSE S", "backoff_s", true },
        { "RETRY MS", "retry_ms", true },
        { "ID", "id", false },
    };
    struct options o = { .limit = ROWS_USUAL };

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    return list(&o, "subs", true, columns, HD_ARRAY_LEN(columns));
}

/* --- latency ---------------------------------------------------------------------------------- */

static void
print_latency(const json_t *result, const void *context)
{
    static const struct {
        const char *key, *words;
    } rows[] = { { "notify", "a PUBLISH until its NOTIFYs leave" },
                 { "held", "the same, held back on purpose" },
                 { "request", "a request until it is answered" },
                 { "answer", "a NOTIFY until its answer" } };
    static const char *const columns[] = { "p50_us", "p90_us", "p99_us", "most_us" };

    (void)context;
    printf("of the last %lld s, in microseconds\n%-36s %8s %8s %8s %8s %8s\n",
           (long long)json_integer_value(json_object_get(result, "last_s")), "", "p50", "p90",
           "p99", "most", "of");
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        const json_t *figures = json_object_get(result, rows[i].key);
        printf("%-36s", rows[i].words);
        for (size_t k = 0; k < HD_ARRAY_LEN(columns); k++) {
            const json_t *us = json_object_get(figures, columns[k]);
            if (us)
                printf(" %8lld", (long long)json_integer_value(us));
            else
                printf(" %8s", "-");
        }
        printf(" %8lld\n", (long long)json_integer_value(json_object_get(figures, "n")));
    }
}

int
latency_main(int argc, char **argv)
{
    static const struct argp argp = {
        latency_options, parse, "",  "How long things took lately, as the flow recorder saw it.",
        call_children,   NULL,  NULL
    };
    struct options o = { .limit = ROWS_USUAL };
    json_t *args;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.call.n)
        return call_usage("latency");
    args = show_args();
    show_set_number(args, "last_s", o.last_s);
    return call_ask(&o.call, "latency", args, print_latency, NULL);
}
