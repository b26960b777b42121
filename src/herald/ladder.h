/* ladder.h - the picture of a call flow: a column for each party, one for the server, an arrow for
 * each message.  Thread: any. */
#ifndef HERALD_LADDER_H
#define HERALD_LADDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define LADDER_PARTS 8

/* The first party stands left of the server, the others to its right. */
struct ladder {
    const char *server;
    const char *names[LADDER_PARTS];     /* escaped; what is too long for its column is cut */
    const char *addresses[LADDER_PARTS]; /* in a line of their own; NULL or empty: none */
    size_t n;
};

struct ladder_step {
    const char *time; /* at most 12 characters */
    size_t part;      /* between which party and the server */
    bool out;         /* the party sent it */
    bool again;
    const char *summary; /* escaped; as trace_summary() writes it */
};

void ladder_head(const struct ladder *ladder, FILE *to);
void ladder_step(const struct ladder *ladder, const struct ladder_step *step, FILE *to);
/** What happened inside the server: words (escaped) to the right of the picture. */
void ladder_note(const struct ladder *ladder, const char *time, const char *words, FILE *to);
/** A message, line by line (escaped, NUL-terminated), under its arrow. */
void ladder_message(const char *message, FILE *to);

#endif
