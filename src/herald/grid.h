/* grid.h - rows of JSON as a table for people.
 * Thread: any. */
#ifndef HERALD_GRID_H
#define HERALD_GRID_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct grid_column {
    const char *title;
    const char *key; /* of each row's object */
    bool right;      /* numbers stand at the right */
};

/**
 * Prints an array of objects, one row each, columns as wide as they need.  Strings are escaped;
 * arrays are joined with commas; what is missing is "-".  Nothing in the array: one line that says
 * none.
 * @return false: memory was short
 */
bool grid_print(const json_t *rows, const struct grid_column *columns, size_t n, FILE *to);

#endif
