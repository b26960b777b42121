/* play_file.h - a scenario file as a list of steps.
 *
 * A step is a line that begins in the first column; lines below it that begin with a blank belong
 * to it.  Empty lines and lines whose first word begins with # are skipped.  "repeat N" and "end"
 * bracket steps.  "include FILE" puts another file's steps in its place. doc/scenarios.md is the
 * truth about what the steps mean. Pure: files come through a callback.  Memory: the file owns all
 * texts; slices live as long as it. */
#ifndef HERALD_PLAY_FILE_H
#define HERALD_PLAY_FILE_H

#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"

#define PLAY_WORDS 32

struct play_line {
    unsigned number;      /* in its file, from 1 */
    struct hd_slice text; /* trimmed on the left; a body line ("|...") on the left only */
};

struct play_step {
    const char *path; /* of the file that it stands in */
    unsigned number;  /* line */
    struct hd_slice text;
    struct hd_slice words[PLAY_WORDS]; /* templates: not expanded yet */
    unsigned n_words;
    struct play_line *lines; /* indented below it */
    size_t n_lines;
    size_t partner; /* "repeat": index of its "end"; "end": of its "repeat" */
};

struct play_file {
    struct play_step *steps;
    size_t n, cap;
    struct play_source *sources; /* texts, in a list */
};

/** Reads a whole file: a heap copy with its length, which the caller frees; NULL when it cannot be
 * read. */
typedef char *(*play_read_f)(void *context, const char *path, size_t *ret_len);

/**
 * Reads a file and what it includes (a path that does not begin with / is taken from the folder of
 * the including file).
 * @param ret_problem  "path:line: what is wrong" when the result is not HD_OK
 * @return HD_OK; HD_ENOMATCH the file cannot be read; HD_ESYNTAX; HD_EFULL includes nest deeper
 * than 8; HD_ENOMEM
 */
HD_NODISCARD enum hd_err play_file_read(const char *path, play_read_f read, void *context,
                                        struct play_file *ret_file, char ret_problem[512]);
void play_file_done(struct play_file *file);

#endif
