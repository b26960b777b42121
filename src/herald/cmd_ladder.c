/* cmd_ladder.c - `herald ladder`: one picture of the traces of several processes. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "herald/tool.h"
#include "herald/trace.h"

enum { KEY_FULL = 0x100 };

struct options {
    struct trace_part parts[TRACE_PARTS];
    size_t n;
    const char *server;
    bool full;
};

static const struct argp_option options[] = {
    { "server", 's', "NAME", 0, "name of the column in the middle (default: herald)", 0 },
    { "full", KEY_FULL, NULL, 0, "print the messages too, from files written with --full", 0 },
    { 0 }
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *path;
    switch (key) {
    case 's':
        o->server = arg;
        return 0;
    case KEY_FULL:
        o->full = true;
        return 0;
    case ARGP_KEY_ARG:
        path = strchr(arg, '=');
        if (!path || path == arg || o->n == TRACE_PARTS)
            argp_error(state, "\"%s\" is not NAME=FILE (at most %d of them)", arg, TRACE_PARTS);
        *path = '\0';
        o->parts[o->n++] = (struct trace_part){ .name = arg, .path = path + 1 };
        return 0;
    case ARGP_KEY_END:
        if (o->n == 0)
            argp_error(state, "which files? As in: herald ladder publisher=p.trace phone=s.trace");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "NAME=FILE...",
    .doc =
        "Merge files written by --trace-to into one ladder, sorted by time; the first NAME stands "
        "left of the server, the others to its right."
};

int
ladder_main(int argc, char **argv)
{
    struct options o = { .server = "herald" };
    const char *bad = "";
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    enum hd_err err = trace_merge(o.parts, o.n, o.server, o.full, stdout, &bad);
    if (err == HD_EIO)
        tool_problem("%s: %s", bad, strerror(errno));
    else if (err)
        tool_problem("%s: %s", bad, err == HD_ESYNTAX ? "is no trace of herald" : hd_err_text(err));
    return err ? TOOL_FAILED : TOOL_OK;
}
