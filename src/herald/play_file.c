/* play_file.c - cuts scenario files into steps.  Texts are kept as they were read; every step and
 * line points into one. */
#include "herald/play_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "herald/play_text.h"

#define NEST_MAX 8 /* includes and repeats */

struct play_source {
    struct play_source *next;
    char *path, *text;
};

struct reader {
    struct play_file *file;
    play_read_f read;
    void *context;
    char *problem;
    unsigned depth;
    size_t open[NEST_MAX]; /* steps of the repeats that are not ended */
    unsigned n_open;
};

static enum hd_err read_one(struct reader *r, const char *path, const char *from, unsigned line);

static enum hd_err
complain(struct reader *r, enum hd_err err, const char *path, unsigned line, const char *what,
         struct hd_slice word)
{
    (void)snprintf(r->problem, 512, "%s:%u: %s%s%.*s", path, line, what, word.n ? ": " : "",
                   (int)(word.n > 200 ? 200 : word.n), word.p);
    return err;
}

static enum hd_err
step_add(struct reader *r, const char *path, unsigned line, struct hd_slice text)
{
    struct play_file *file = r->file;
    struct play_step *step;
    bool open;

    if (file->n == file->cap) {
        size_t cap = file->cap ? file->cap * 2 : 64;
        struct play_step *grown = realloc(file->steps, cap * sizeof(*grown));

        if (!grown)
            return complain(r, HD_ENOMEM, path, line, "memory is short", HD_LIT(""));
        file->steps = grown;
        file->cap = cap;
    }
    step = &file->steps[file->n];
    *step = (struct play_step){ .path = path, .number = line, .text = text };
    step->n_words = play_words(text, step->words, PLAY_WORDS, &open);
    if (open)
        return complain(r, HD_ESYNTAX, path, line, "a quote is not closed", text);
    if (step->n_words > PLAY_WORDS)
        return complain(r, HD_ESYNTAX, path, line, "too many words", text);
    file->n++;
    return HD_OK;
}

static enum hd_err
line_add(struct reader *r, const char *path, unsigned line, struct hd_slice text)
{
    struct play_step *step;
    struct play_line *grown;

    if (r->file->n == 0 || r->file->steps[r->file->n - 1].path != path)
        return complain(r, HD_ESYNTAX, path, line, "an indented line without a step above it",
                        text);
    step = &r->file->steps[r->file->n - 1];
    grown = realloc(step->lines, (step->n_lines + 1) * sizeof(*grown));
    if (!grown)
        return complain(r, HD_ENOMEM, path, line, "memory is short", HD_LIT(""));
    step->lines = grown;
    step->lines[step->n_lines++] = (struct play_line){ .number = line, .text = text };
    return HD_OK;
}

/* "repeat" and "end" find each other. */
static enum hd_err
block_mark(struct reader *r, struct play_step *step)
{
    size_t index = (size_t)(step - r->file->steps);

    if (hd_slice_eq(step->words[0], HD_LIT("repeat"))) {
        if (r->n_open == NEST_MAX)
            return complain(r, HD_ESYNTAX, step->path, step->number, "repeats nest too deep",
                            HD_LIT(""));
        r->open[r->n_open++] = index;
    } else if (hd_slice_eq(step->words[0], HD_LIT("end"))) {
        if (r->n_open == 0)
            return complain(r, HD_ESYNTAX, step->path, step->number, "end without repeat",
                            HD_LIT(""));
        step->partner = r->open[--r->n_open];
        r->file->steps[step->partner].partner = index;
    }
    return HD_OK;
}

/* The step that was just added is an include: it is replaced by the file's steps. */
static enum hd_err
include(struct reader *r)
{
    struct play_step step = r->file->steps[r->file->n - 1];
    const char *slash = strrchr(step.path, '/');
    size_t folder = slash ? (size_t)(slash - step.path) + 1 : 0;
    char path[1024];

    if (step.n_words != 2)
        return complain(r, HD_ESYNTAX, step.path, step.number, "expected: include FILE", step.text);
    if (step.words[1].p[0] == '/')
        folder = 0;
    if (folder + step.words[1].n >= sizeof(path))
        return complain(r, HD_ESYNTAX, step.path, step.number, "the path is too long", step.text);
    (void)snprintf(path, sizeof(path), "%.*s%.*s", (int)folder, step.path, HD_FMT(step.words[1]));
    r->file->n--;
    return read_one(r, path, step.path, step.number);
}

static enum hd_err
read_line(struct reader *r, const char *path, unsigned number, struct hd_slice line)
{
    struct hd_slice trimmed = hd_slice_trim(line);
    struct play_step *step;
    enum hd_err err;

    if (trimmed.n == 0 || trimmed.p[0] == '#')
        return HD_OK;
    if (line.p[0] == ' ' || line.p[0] == '\t') {
        if (trimmed.p[0] == '|') /* blanks at the end of a body line count */
            trimmed = hd_slice(trimmed.p, (size_t)(line.p + line.n - trimmed.p));
        return line_add(r, path, number, trimmed);
    }
    err = step_add(r, path, number, trimmed);
    if (err)
        return err;
    step = &r->file->steps[r->file->n - 1];
    if (hd_slice_eq(step->words[0], HD_LIT("include")))
        return include(r);
    return block_mark(r, step);
}

/* Keeps the text and a copy of the path for as long as the file lives; takes text over. */
static struct play_source *
source_add(struct play_file *file, const char *path, char *text)
{
    struct play_source *source = calloc(1, sizeof(*source));

    if (source)
        source->path = hd_slice_strdup(hd_slice_str(path));
    if (!source || !source->path) {
        free(source);
        free(text);
        return NULL;
    }
    source->text = text;
    source->next = file->sources;
    file->sources = source;
    return source;
}

static enum hd_err
read_one(struct reader *r, const char *path, const char *from, unsigned from_line)
{
    struct play_source *source;
    struct hd_slice rest, line;
    size_t len;
    char *text;
    enum hd_err err = HD_OK;
    unsigned number = 0;

    if (r->depth == NEST_MAX)
        return complain(r, HD_EFULL, from, from_line, "includes nest too deep", hd_slice_str(path));
    text = r->read(r->context, path, &len);
    if (!text)
        return complain(r, HD_ENOMATCH, from, from_line, "cannot read the file",
                        hd_slice_str(path));
    source = source_add(r->file, path, text);
    if (!source)
        return complain(r, HD_ENOMEM, from, from_line, "memory is short", HD_LIT(""));
    r->depth++;
    for (rest = hd_slice(text, len); rest.n && !err;) {
        line = hd_slice_cut(&rest, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        err = read_line(r, source->path, ++number, line);
    }
    r->depth--;
    return err;
}

enum hd_err
play_file_read(const char *path, play_read_f read, void *context, struct play_file *ret_file,
               char ret_problem[512])
{
    struct play_file file = { 0 };
    struct reader r = { .file = &file, .read = read, .context = context, .problem = ret_problem };
    enum hd_err err = read_one(&r, path, path, 0);

    if (!err && r.n_open) {
        const struct play_step *step = &file.steps[r.open[r.n_open - 1]];

        err = complain(&r, HD_ESYNTAX, step->path, step->number, "repeat without end", HD_LIT(""));
    }
    if (err)
        play_file_done(&file);
    else
        *ret_file = file;
    return err;
}

void
play_file_done(struct play_file *file)
{
    for (size_t i = 0; i < file->n; i++)
        free(file->steps[i].lines);
    free(file->steps);
    while (file->sources) {
        struct play_source *source = file->sources;

        file->sources = source->next;
        free(source->path);
        free(source->text);
        free(source);
    }
    *file = (struct play_file){ 0 };
}
