/* show.h - what the commands that ask the daemon share: building a call's keys, showing its result.
 * For the commands, which have nothing to keep: they end with a message when memory is short.
 * Thread: any. */
#ifndef HERALD_SHOW_H
#define HERALD_SHOW_H

#include <jansson.h>
#include <stdbool.h>

#include "herald/grid.h"

/** An empty object for the keys of a call. */
json_t *show_args(void);
/** Adds a string; NULL: nothing.  What is not UTF-8 ends the program with a message. */
void show_set(json_t *args, const char *key, const char *value);
/** Adds a number above 0; a true; an array of strings.  0 and false: nothing. */
void show_set_number(json_t *args, const char *key, int64_t number);
void show_set_true(json_t *args, const char *key, bool value);
void show_set_words(json_t *args, const char *key, const char *const *words, unsigned n);
/** Prints the daemon's result as it is. */
int show_json(const json_t *result);
/** A line: title and an escaped string. */
void show_text(const char *title, const json_t *value);
/** A list of result->key as a table, or the result as JSON. */
int show_list(bool json, const json_t *result, const char *key, const struct grid_column *columns,
              size_t n);

#endif
