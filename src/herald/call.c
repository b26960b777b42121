/* call.c - see call.h. */
#include "herald/call.h"

#include <string.h>

#include "herald/admin.h"
#include "herald/show.h"
#include "herald/tool.h"

enum { KEY_SOCKET = 0x100, KEY_JSON };

static const struct argp_option options[] = {
    { "socket", KEY_SOCKET, "PATH", 0,
      "the daemon's admin socket (default: $HERALD_SOCKET, run/herald.sock, "
      "/run/herald/herald.sock)",
      10 },
    { "json", KEY_JSON, NULL, 0, "print the daemon's result as JSON", 10 },
    { 0 }
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct call *call = state->input;

    switch (key) {
    case KEY_SOCKET:
        call->socket = arg;
        return 0;
    case KEY_JSON:
        call->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (call->n == CALL_WORDS)
            argp_error(state, "too many words");
        call->word[call->n++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = { .options = options, .parser = parse };
const struct argp_child call_children[] = { { &argp, 0, NULL, 0 }, { 0 } };

error_t
call_parse(int key, struct argp_state *state)
{
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

bool
call_is(const struct call *call, const char *verb, unsigned more)
{
    return call->n == more + 1 && strcmp(call->word[0], verb) == 0;
}

int
call_usage(const char *command)
{
    tool_problem("`herald %s --help` says how it is used", command);
    return TOOL_USAGE;
}

int
call_ask(const struct call *call, const char *name, json_t *args,
         void (*show)(const json_t *result, const void *context), const void *context)
{
    json_t *result = NULL;
    int code = admin_call(call->socket, name, args, &result);

    if (!code && call->json)
        show_json(result);
    else if (!code)
        show(result, context);
    json_decref(result);
    return code;
}

int
call_list(const struct call *call, const char *name, json_t *args, const char *key,
          const struct grid_column *columns, size_t n, void (*prepare)(json_t *rows))
{
    json_t *result = NULL;
    int code = admin_call(call->socket, name, args, &result);

    if (!code && !call->json && prepare)
        prepare(json_object_get(result, key));
    if (!code)
        code = show_list(call->json, result, key, columns, n);
    json_decref(result);
    return code;
}
