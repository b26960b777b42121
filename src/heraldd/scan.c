/* scan.c - braces, duplicates and comments of a configuration file.
 *
 * One pass over the octets makes tokens (word, string, one of "={},"); a small stack of open braces
 * knows whether one holds a section or a list.  Everything else about the grammar is libconfuse's,
 * which reads the text that this pass leaves behind: same octets, comments blanked, so that its
 * line numbers are those of the file. Invariant: a key or section is noted with the section that it
 * stands in, so that equal keys in two sections are no duplicates. */
#include "heraldd/scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define SCAN_DEPTH 8

enum token {
    TOKEN_NONE = 0,
    TOKEN_WORD,
    TOKEN_STRING,
    TOKEN_EQUAL,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA
};

struct brace {
    bool list;
    unsigned line;
    unsigned section; /* number of the section that it opens or stands in */
};

struct entry {
    struct hd_slice name, title;
    unsigned section; /* in which it stands, 0: the file */
    unsigned line;
};

struct scanner {
    struct hd_problems *problems;
    char *text;
    size_t n, at;
    unsigned line;
    struct brace open[SCAN_DEPTH];
    unsigned depth;
    enum token last, before; /* the last token and the one before it */
    struct hd_slice word;    /* the last word: a key or the name of a section */
    unsigned word_line;
    struct hd_slice title; /* the last string */
    unsigned n_numbered;   /* sections opened so far */
    struct entry *entries;
    size_t n_entries, cap_entries;
    struct hd_scan_section *sections;
    size_t n_sections, cap_sections;
    bool no_memory;
};

static bool
grow(void **array, size_t n, size_t *cap, size_t size)
{
    void *more;

    if (n < *cap)
        return true;
    more = realloc(*array, (*cap ? *cap * 2 : 32) * size);
    if (!more)
        return false;
    *array = more;
    *cap = *cap ? *cap * 2 : 32;
    return true;
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '%';
}

static unsigned
in_section(const struct scanner *s)
{
    unsigned depth = s->depth < SCAN_DEPTH ? s->depth : SCAN_DEPTH; /* deeper was told, not kept */

    return depth ? s->open[depth - 1].section : 0;
}

/* Notes a key or a section and refuses the second of a kind. */
static void
note_entry(struct scanner *s, struct hd_slice name, struct hd_slice title, unsigned line)
{
    unsigned section = in_section(s);

    for (size_t i = 0; i < s->n_entries; i++) {
        const struct entry *e = &s->entries[i];

        if (e->section != section || !hd_slice_eq(e->name, name) || !hd_slice_eq(e->title, title))
            continue;
        if (title.p)
            hd_problem(s->problems, line,
                       "%.*s \"%.*s\" is there already, in line %u; expected once", HD_FMT(name),
                       HD_FMT(title), e->line);
        else
            hd_problem(s->problems, line, "%.*s is there already, in line %u; expected once",
                       HD_FMT(name), e->line);
        return;
    }
    if (!grow((void **)&s->entries, s->n_entries, &s->cap_entries, sizeof(*s->entries))) {
        s->no_memory = true;
        return;
    }
    s->entries[s->n_entries++] = (struct entry){ name, title, section, line };
}

static void
note_section(struct scanner *s, struct hd_slice title)
{
    note_entry(s, s->word, title, s->word_line);
    if (s->depth > 0)
        return; /* libconfuse refuses sections in sections: none of ours has any */
    if (!grow((void **)&s->sections, s->n_sections, &s->cap_sections, sizeof(*s->sections))) {
        s->no_memory = true;
        return;
    }
    s->sections[s->n_sections++] =
        (struct hd_scan_section){ .name = s->word, .title = title, .line = s->word_line };
}

static void
open_brace(struct scanner *s)
{
    bool list = s->last == TOKEN_EQUAL;
    unsigned section = in_section(s);

    if (!list) {
        note_section(s, s->last == TOKEN_STRING && s->before == TOKEN_WORD
                            ? s->title
                            : (struct hd_slice){ 0 });
        section = ++s->n_numbered;
    }
    if (s->depth < SCAN_DEPTH)
        s->open[s->depth] = (struct brace){ list, s->line, section };
    else if (s->depth == SCAN_DEPTH)
        hd_problem(s->problems, s->line, "more than %d braces inside each other", SCAN_DEPTH);
    s->depth++;
}

static void
close_brace(struct scanner *s)
{
    if (s->depth == 0)
        hd_problem(s->problems, s->line, "a '}' closes nothing; expected one '{' for each '}'");
    else
        s->depth--;
}

static void
take(struct scanner *s, enum token token)
{
    switch (token) {
    case TOKEN_EQUAL:
        if (s->last == TOKEN_WORD)
            note_entry(s, s->word, (struct hd_slice){ 0 }, s->word_line);
        break;
    case TOKEN_OPEN:
        open_brace(s);
        break;
    case TOKEN_CLOSE:
        close_brace(s);
        break;
    case TOKEN_NONE:
    case TOKEN_WORD:
    case TOKEN_STRING:
    case TOKEN_COMMA:
        break;
    }
    s->before = s->last;
    s->last = token;
}

static void
blank_until(struct scanner *s, size_t end)
{
    for (; s->at < end; s->at++) {
        if (s->text[s->at] == '\n')
            s->line++;
        else
            s->text[s->at] = ' ';
    }
}

static bool
skip_comment(struct scanner *s)
{
    struct hd_slice rest = hd_slice(s->text + s->at, s->n - s->at);
    unsigned line = s->line;

    if (rest.p[0] == '#' || hd_slice_starts(rest, HD_LIT("//"))) {
        blank_until(s, s->at + hd_slice_find(rest, '\n'));
        return true;
    }
    if (!hd_slice_starts(rest, HD_LIT("/*")))
        return false;
    for (size_t i = 2; i + 1 < rest.n; i++)
        if (rest.p[i] == '*' && rest.p[i + 1] == '/') {
            blank_until(s, s->at + i + 2);
            return true;
        }
    hd_problem(s->problems, line, "the comment that begins here has no end; expected '*/'");
    blank_until(s, s->n);
    return true;
}

static void
scan_string(struct scanner *s)
{
    char quote = s->text[s->at];
    unsigned line = s->line;
    size_t from = ++s->at;

    for (; s->at < s->n; s->at++) {
        char c = s->text[s->at];

        if (c == quote) {
            s->title = hd_slice(s->text + from, s->at - from);
            s->at++;
            take(s, TOKEN_STRING);
            return;
        }
        if (c == '\n')
            s->line++;
        if (c == '\\' && s->at + 1 < s->n && s->text[s->at + 1] != '\n')
            s->at++;
    }
    hd_problem(s->problems, line, "the text that begins here has no end; expected %c", quote);
}

static void
scan_word(struct scanner *s)
{
    size_t from = s->at;

    while (s->at < s->n && is_word(s->text[s->at]))
        s->at++;
    s->word = hd_slice(s->text + from, s->at - from);
    s->word_line = s->line;
    take(s, TOKEN_WORD);
}

static void
scan_other(struct scanner *s)
{
    unsigned char c = (unsigned char)s->text[s->at];

    if (c > 0x20 && c < 0x7f)
        hd_problem(s->problems, s->line,
                   "'%c' cannot stand here; texts with other characters than letters, digits, "
                   "'_', '-', '.' and '%%' are expected in double quotes",
                   c);
    else
        hd_problem(s->problems, s->line,
                   "octet 0x%02x cannot stand here; expected plain text in UTF-8", c);
    /* One line says enough about a run of such octets. */
    while (s->at < s->n && s->text[s->at] != '\n')
        s->at++;
}

static void
scan_text(struct scanner *s)
{
    while (s->at < s->n) {
        char c = s->text[s->at];

        if (c == '\n') {
            s->line++;
            s->at++;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            s->at++;
        } else if ((c == '#' || c == '/') && skip_comment(s)) {
            continue;
        } else if (c == '"' || c == '\'') {
            scan_string(s);
        } else if (is_word(c)) {
            scan_word(s);
        } else if (c == '=' || c == '{' || c == '}' || c == ',') {
            s->at++;
            take(s, c == '='   ? TOKEN_EQUAL
                    : c == '{' ? TOKEN_OPEN
                    : c == '}' ? TOKEN_CLOSE
                               : TOKEN_COMMA);
        } else {
            scan_other(s);
        }
    }
    if (s->depth > 0 && s->depth <= SCAN_DEPTH)
        hd_problem(s->problems, s->open[s->depth - 1].line,
                   "the '{' in this line is not closed; expected '}' before the end of the file");
}

enum hd_err
hd_scan_run(struct hd_slice file, struct hd_problems *problems, struct hd_scan *ret_scan)
{
    struct scanner s = { .problems = problems, .n = file.n, .line = 1 };
    unsigned before = problems->count;
    enum hd_err err = HD_OK;

    s.text = malloc(file.n + 1);
    if (!s.text)
        return HD_ENOMEM;
    if (file.n > 0)
        memcpy(s.text, file.p, file.n);
    s.text[file.n] = '\0';
    for (size_t i = 0; i < file.n; i++)
        if (s.text[i] == '\0') {
            hd_problem(problems, 0, "the file holds a zero octet; expected plain text");
            err = HD_ESYNTAX;
            goto out;
        }
    scan_text(&s);
    if (s.no_memory)
        err = HD_ENOMEM;
    else if (problems->count > before)
        err = HD_ESYNTAX;
    if (err)
        goto out;
    *ret_scan = (struct hd_scan){ s.text, s.n, s.sections, s.n_sections };
    s.text = NULL;
    s.sections = NULL;
out:
    free(s.text);
    free(s.sections);
    free(s.entries);
    return err;
}

void
hd_scan_done(struct hd_scan *scan)
{
    free(scan->text);
    free(scan->sections);
    *scan = (struct hd_scan){ 0 };
}

unsigned
hd_scan_line(const struct hd_scan *scan, const char *name, unsigned nth)
{
    for (size_t i = 0; i < scan->n_sections; i++)
        if (hd_slice_eq(scan->sections[i].name, hd_slice_str(name)) && nth-- == 0)
            return scan->sections[i].line;
    return 0;
}
