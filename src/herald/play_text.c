/* play_text.c - variables, templates and patterns of scenario files.
 * A pattern is first cut into pieces (literal octets, wildcard, capture), in which set variables
 * have become literals; then the pieces are matched with backtracking.  Patterns are lines that a
 * person wrote, so their number of pieces is small and capped. */
#include "herald/play_text.h"

#include <stdlib.h>

#define PIECES_MAX 64

/* --- variables ------------------------------------------------------------------------------- */

void
play_vars_done(struct play_vars *vars)
{
    while (vars->first) {
        struct play_var *var = vars->first;

        vars->first = var->next;
        free(var->name);
        free(var->value);
        free(var);
    }
}

static struct play_var *
var_find(const struct play_vars *vars, struct hd_slice name)
{
    for (struct play_var *var = vars->first; var; var = var->next)
        if (hd_slice_eq(hd_slice(var->name, var->name_len), name))
            return var;
    return NULL;
}

enum hd_err
play_vars_set(struct play_vars *vars, struct hd_slice name, struct hd_slice value)
{
    struct play_var *var = var_find(vars, name);
    char *copy = hd_slice_strdup(value);

    if (!copy)
        return HD_ENOMEM;
    if (!var) {
        var = calloc(1, sizeof(*var));
        if (var)
            var->name = hd_slice_strdup(name);
        if (!var || !var->name) {
            free(var);
            free(copy);
            return HD_ENOMEM;
        }
        var->name_len = name.n;
        var->next = vars->first;
        vars->first = var;
    }
    free(var->value);
    var->value = copy;
    var->value_len = value.n;
    return HD_OK;
}

void
play_vars_unset(struct play_vars *vars, struct hd_slice name)
{
    for (struct play_var **link = &vars->first; *link; link = &(*link)->next) {
        struct play_var *var = *link;

        if (!hd_slice_eq(hd_slice(var->name, var->name_len), name))
            continue;
        *link = var->next;
        free(var->name);
        free(var->value);
        free(var);
        return;
    }
}

bool
play_vars_find(const struct play_vars *vars, struct hd_slice name, struct hd_slice *ret_value)
{
    const struct play_var *var = var_find(vars, name);

    if (var) {
        *ret_value = hd_slice(var->value, var->value_len);
        return true;
    }
    return vars->more && vars->more(vars->context, name, ret_value);
}

/* --- templates and patterns ------------------------------------------------------------------ */

/* Cuts one escape (after its backslash) from *rest.  A backslash before anything else stands for
 * itself, since SIP uses it in quoted strings. */
static enum hd_err
escape_take(struct hd_slice *rest, struct hd_str *out)
{
    static const char from[] = "rnt\\{}*", to[] = "\r\n\t\\{}*";
    const char *at;
    char octet;

    if (rest->n == 0)
        return HD_ESYNTAX;
    if (rest->p[0] == 'x') {
        int high = rest->n > 2 ? hd_hex_digit(rest->p[1]) : -1;
        int low = rest->n > 2 ? hd_hex_digit(rest->p[2]) : -1;

        if (high < 0 || low < 0)
            return HD_ESYNTAX;
        octet = (char)(high * 16 + low);
        *rest = hd_slice_from(*rest, 3);
    } else {
        at = memchr(from, rest->p[0], sizeof(from) - 1);
        if (!at) {
            hd_str_add(out, HD_LIT("\\"));
            return HD_OK;
        }
        octet = to[at - from];
        *rest = hd_slice_from(*rest, 1);
    }
    hd_str_add(out, hd_slice(&octet, 1));
    return HD_OK;
}

/* Cuts "{name}" from *rest, which begins behind the brace.  JSON has braces too: what is no name is
 * no variable, and then *ret_name is empty and nothing is cut. */
static void
name_take(struct hd_slice *rest, struct hd_slice *ret_name)
{
    size_t n = 0;

    while (n < rest->n &&
           ((rest->p[n] >= 'a' && rest->p[n] <= 'z') || (rest->p[n] >= 'A' && rest->p[n] <= 'Z') ||
            (rest->p[n] >= '0' && rest->p[n] <= '9') || rest->p[n] == '_' || rest->p[n] == '.'))
        n++;
    if (n == 0 || n == rest->n || rest->p[n] != '}') {
        *ret_name = hd_slice(rest->p, 0);
        return;
    }
    *ret_name = hd_slice(rest->p, n);
    *rest = hd_slice_from(*rest, n + 1);
}

enum hd_err
play_expand(const struct play_vars *vars, struct hd_slice text, struct hd_str *out,
            struct hd_slice *ret_name)
{
    struct hd_slice rest = text, name, value;
    enum hd_err err;

    while (rest.n) {
        char c = rest.p[0];

        rest = hd_slice_from(rest, 1);
        if (c == '\\') {
            err = escape_take(&rest, out);
            if (err)
                return err;
            continue;
        }
        if (c == '{') {
            name_take(&rest, &name);
            if (name.n) {
                if (!play_vars_find(vars, name, &value)) {
                    *ret_name = name;
                    return HD_ENOMATCH;
                }
                hd_str_add(out, value);
                continue;
            }
        }
        hd_str_add(out, hd_slice(&c, 1));
    }
    return out->err ? HD_ENOMEM : HD_OK;
}

enum piece_kind { PIECE_LITERAL = 1, PIECE_ANY, PIECE_CAPTURE };

struct piece {
    enum piece_kind kind;
    size_t from, n;        /* PIECE_LITERAL: where in the literals */
    struct hd_slice name;  /* PIECE_CAPTURE */
    struct hd_slice value; /* what it captured */
};

struct pattern {
    struct piece pieces[PIECES_MAX];
    unsigned n;
    struct hd_str literals;
};

static struct piece *
piece_add(struct pattern *pattern, enum piece_kind kind)
{
    if (pattern->n == PIECES_MAX)
        return NULL;
    pattern->pieces[pattern->n] = (struct piece){ .kind = kind, .from = pattern->literals.n };
    return &pattern->pieces[pattern->n++];
}

/* The literal piece that is being written, a new one when another kind came last. */
static struct piece *
piece_literal(struct pattern *pattern)
{
    if (pattern->n && pattern->pieces[pattern->n - 1].kind == PIECE_LITERAL)
        return &pattern->pieces[pattern->n - 1];
    return piece_add(pattern, PIECE_LITERAL);
}

/* One step of pattern_read: *rest begins with c already cut. */
static enum hd_err
pattern_take(const struct play_vars *vars, struct pattern *pattern, char c, struct hd_slice *rest)
{
    struct hd_slice name, value;
    struct piece *piece;
    enum hd_err err = HD_OK;

    if (c == '*')
        return piece_add(pattern, PIECE_ANY) ? HD_OK : HD_ESYNTAX;
    if (c == '{') {
        name_take(rest, &name);
        if (name.n && !play_vars_find(vars, name, &value)) {
            piece = piece_add(pattern, PIECE_CAPTURE);
            if (!piece)
                return HD_ESYNTAX;
            piece->name = name;
            return HD_OK;
        }
        if (name.n == 0)
            value = HD_LIT("{");
        piece = piece_literal(pattern);
        if (!piece)
            return HD_ESYNTAX;
        hd_str_add(&pattern->literals, value);
        piece->n = pattern->literals.n - piece->from;
        return HD_OK;
    }
    piece = piece_literal(pattern);
    if (!piece)
        return HD_ESYNTAX;
    if (c == '\\')
        err = escape_take(rest, &pattern->literals);
    else
        hd_str_add(&pattern->literals, hd_slice(&c, 1));
    piece->n = pattern->literals.n - piece->from;
    return err;
}

static bool
pieces_match(struct pattern *pattern, unsigned at, struct hd_slice text)
{
    struct piece *piece = &pattern->pieces[at];
    struct hd_slice literal;

    if (at == pattern->n)
        return text.n == 0;
    if (piece->kind == PIECE_LITERAL) {
        literal = hd_slice(pattern->literals.p + piece->from, piece->n);
        return hd_slice_starts(text, literal) &&
               pieces_match(pattern, at + 1, hd_slice_from(text, literal.n));
    }
    for (size_t n = piece->kind == PIECE_CAPTURE ? 1 : 0; n <= text.n; n++) {
        if (pieces_match(pattern, at + 1, hd_slice_from(text, n))) {
            piece->value = hd_slice(text.p, n);
            return true;
        }
    }
    return false;
}

enum hd_err
play_match(struct play_vars *vars, struct hd_slice pattern_text, struct hd_slice text)
{
    struct pattern pattern = { .n = 0 };
    struct hd_slice rest = pattern_text;
    enum hd_err err = HD_OK;

    while (rest.n && !err) {
        char c = rest.p[0];

        rest = hd_slice_from(rest, 1);
        err = pattern_take(vars, &pattern, c, &rest);
    }
    if (!err && pattern.literals.err)
        err = HD_ENOMEM;
    if (!err && !pieces_match(&pattern, 0, text))
        err = HD_ENOMATCH;
    for (unsigned i = 0; i < pattern.n && !err; i++)
        if (pattern.pieces[i].kind == PIECE_CAPTURE)
            err = play_vars_set(vars, pattern.pieces[i].name, pattern.pieces[i].value);
    hd_str_done(&pattern.literals);
    return err;
}

/* --- words ----------------------------------------------------------------------------------- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

unsigned
play_words(struct hd_slice line, struct hd_slice *ret_words, unsigned max, bool *ret_open)
{
    unsigned n = 0;
    size_t end;

    *ret_open = false;
    for (;;) {
        while (line.n && is_blank(line.p[0]))
            line = hd_slice_from(line, 1);
        if (line.n == 0 || line.p[0] == '#')
            return n;
        if (n == max)
            return max + 1;
        if (line.p[0] == '"') {
            line = hd_slice_from(line, 1);
            end = hd_slice_find(line, '"');
            if (end == line.n) {
                *ret_open = true;
                return 0;
            }
            ret_words[n++] = hd_slice(line.p, end);
            line = hd_slice_from(line, end + 1);
            continue;
        }
        for (end = 0; end < line.n && !is_blank(line.p[end]); end++)
            ;
        ret_words[n++] = hd_slice(line.p, end);
        line = hd_slice_from(line, end);
    }
}

enum hd_err
play_duration(struct hd_slice word, uint64_t *ret_ms)
{
    static const struct {
        struct hd_slice unit;
        uint32_t ms;
    } row[] = {
        { { "ms", 2 }, 1 }, { { "s", 1 }, 1000 }, { { "m", 1 }, 60000 }, { { "h", 1 }, 3600000 }
    };
    size_t digits = 0;
    uint32_t number;
    enum hd_err err;

    while (digits < word.n && word.p[digits] >= '0' && word.p[digits] <= '9')
        digits++;
    err = hd_slice_to_u32(hd_slice(word.p, digits), &number);
    if (err)
        return err;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        if (hd_slice_eq(hd_slice_from(word, digits), row[i].unit)) {
            *ret_ms = (uint64_t)number * row[i].ms;
            return HD_OK;
        }
    }
    return HD_ESYNTAX;
}
