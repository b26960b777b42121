/* call.h - what the commands that ask the daemon share: --socket, --json and words on their command
 * line, and one call whose result is shown.
 * For the commands, which have nothing to keep: they end with a message when memory is short.
 * Thread: any. */
#ifndef HERALD_CALL_H
#define HERALD_CALL_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "herald/grid.h"

/* The first number for an option without a letter in the commands' own enumerations. */
#define CALL_KEY_FIRST 0x200
#define CALL_WORDS 4

struct call {
    const char *socket;
    bool json;
    const char *word[CALL_WORDS]; /* those that the command's own parser did not take */
    unsigned n;
};

/** For argp.children of a command whose input begins with a struct call. */
extern const struct argp_child call_children[];
/** A command's own parser begins with this: it hands its input on.  ARGP_ERR_UNKNOWN: the key is
 * the command's. */
error_t call_parse(int key, struct argp_state *state);

/** Whether the words are verb and so many more. */
bool call_is(const struct call *call, const char *verb, unsigned more);
/** "`herald COMMAND --help` says how it is used"; returns TOOL_USAGE. */
int call_usage(const char *command);
/**
 * Asks the daemon, and shows the result: as JSON when that was wished, else by show.
 * @param args  taken over
 * @return a tool_exit
 */
int call_ask(const struct call *call, const char *name, json_t *args,
             void (*show)(const json_t *result, const void *context), const void *context);
/** The same with a table of result->key.  prepare, may be NULL: makes the columns out of what the
 * daemon said, when a table is shown. */
int call_list(const struct call *call, const char *name, json_t *args, const char *key,
              const struct grid_column *columns, size_t n, void (*prepare)(json_t *rows));

#endif
