/* problem.h - what is wrong with a configuration: one line each, "file:line: what is wrong, what is
 * expected". Thread: the main thread's. */
#ifndef HD_HERALDD_PROBLEM_H
#define HD_HERALDD_PROBLEM_H

#include "base/err.h"

#define HD_PROBLEM_TEXT 512

/** Takes one line without newline, borrowed for the call. */
typedef void (*hd_problem_f)(void *context, const char *line);

struct hd_problems {
    const char *file; /* as the user named it */
    hd_problem_f tell;
    void *context;
    unsigned count; /* lines told so far */
};

/** Tells one problem at a line of the file (0: no line is said).  Control octets of the file are
 * shown as '?'. */
void hd_problem(struct hd_problems *problems, unsigned line, const char *format, ...)
    HD_PRINTF(3, 4);

#endif
