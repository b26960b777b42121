/* config_read.c - see config_read.h.
 * libconfuse does the grammar; every value reaches us as text with its line, and is read and
 * bounded here, so that each refusal can say what was expected. */
#include "heraldd/config_read.h"

#include <stdio.h>
#include <string.h>

#include "policy/book.h"

#define PATH_MAX_OCTETS 4000
#define YEAR_S (UINT64_C(366) * 24 * 3600)

const struct hd_value *
hd_read_value(cfg_t *sec, const char *key)
{
    return sec && cfg_size(sec, key) > 0 ? cfg_getptr(sec, key) : NULL;
}

struct hd_slice
hd_value_slice(const struct hd_value *value)
{
    return hd_slice(value->text, value->n);
}

struct hd_slice
hd_read_keep(struct hd_reader *r, struct hd_slice text)
{
    struct hd_slice copy = { 0 };

    if (hd_arena_dup(r->arena, text, &copy))
        r->no_space = true;
    return copy;
}

const char *
hd_read_keep_text(struct hd_reader *r, struct hd_slice text)
{
    char *copy = hd_arena_take(r->arena, text.n + 1);

    if (!copy) {
        r->no_space = true;
        return NULL;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

void *
hd_read_room(struct hd_reader *r, size_t n, size_t size)
{
    void *p = hd_arena_take(r->arena, n * size);

    if (p)
        memset(p, 0, n * size);
    else
        r->no_space = true;
    return p;
}

void
hd_read_number(struct hd_reader *r, cfg_t *sec, const char *key, enum hd_conf_unit unit,
               uint64_t min, uint64_t max, uint32_t *number)
{
    const struct hd_value *value = hd_read_value(sec, key);
    char low[32], high[32];
    uint64_t v = 0;
    enum hd_err err;

    if (!value)
        return;
    err = hd_conf_unit_read(unit, hd_value_slice(value), &v);
    if (err || v < min || v > max)
        hd_problem(r->problems, value->line, "%s = \"%s\"%s; expected %s from %s to %s", key,
                   value->text, err == HD_ESYNTAX ? " cannot be read" : " is out of range",
                   hd_conf_unit_words(unit), hd_conf_unit_show(unit, min, low),
                   hd_conf_unit_show(unit, max, high));
    else
        *number = (uint32_t)v;
}

int
hd_read_word(struct hd_reader *r, cfg_t *sec, const char *key, const char *const *words, size_t n,
             int otherwise)
{
    const struct hd_value *value = hd_read_value(sec, key);
    char all[160] = "";
    size_t used = 0;

    if (!value)
        return otherwise;
    for (size_t i = 0; i < n; i++)
        if (hd_slice_eq(hd_value_slice(value), hd_slice_str(words[i])))
            return (int)i;
    for (size_t i = 0; i < n && used < sizeof(all); i++) {
        int more = snprintf(all + used, sizeof(all) - used, "%s%s",
                            i == 0       ? ""
                            : i + 1 == n ? " or "
                                         : ", ",
                            words[i]);

        used += more > 0 ? (size_t)more : 0;
    }
    hd_problem(r->problems, value->line, "%s = \"%s\"; expected %s", key, value->text, all);
    return otherwise;
}

bool
hd_read_bool(struct hd_reader *r, cfg_t *sec, const char *key, bool otherwise)
{
    static const char *const words[] = { "no", "yes", "off", "on", "false", "true" };

    return hd_read_word(r, sec, key, words, HD_ARRAY_LEN(words), otherwise) % 2 == 1;
}

void
hd_read_text(struct hd_reader *r, cfg_t *sec, const char *key, size_t max, struct hd_slice *text)
{
    const struct hd_value *value = hd_read_value(sec, key);

    if (!value)
        return;
    for (size_t i = 0; i < value->n; i++)
        if ((unsigned char)value->text[i] < 0x20 || value->text[i] == 0x7f) {
            hd_problem(r->problems, value->line,
                       "%s holds a control character; expected one line of text", key);
            return;
        }
    if (value->n > max)
        hd_problem(r->problems, value->line, "%s has %zu octets; expected at most %zu", key,
                   value->n, max);
    else
        *text = hd_read_keep(r, hd_value_slice(value));
}

void
hd_read_list(struct hd_reader *r, cfg_t *sec, const char *key, hd_check_f check,
             const struct hd_slice **list, size_t *n)
{
    unsigned count = sec ? cfg_size(sec, key) : 0;
    struct hd_slice *kept;
    size_t used = 0;

    if (count == 0)
        return;
    kept = hd_read_room(r, count, sizeof(*kept));
    for (unsigned i = 0; i < count && kept; i++) {
        const struct hd_value *value = cfg_getnptr(sec, key, i);

        if (!check(r, key, value))
            continue;
        for (size_t k = 0; k < used; k++)
            if (hd_slice_eq(kept[k], hd_value_slice(value)))
                hd_problem(r->problems, value->line, "%s names \"%s\" twice; expected once", key,
                           value->text);
        kept[used++] = hd_read_keep(r, hd_value_slice(value));
    }
    *list = kept;
    *n = used;
}

void
hd_read_path(struct hd_reader *r, cfg_t *sec, const char *key, const char **path)
{
    const struct hd_value *value = hd_read_value(sec, key);
    struct hd_slice text = { 0 };

    if (!value)
        return;
    hd_read_text(r, sec, key, PATH_MAX_OCTETS, &text);
    if (value->n == 0)
        hd_problem(r->problems, value->line, "%s is empty; expected the path of a file", key);
    *path = hd_read_keep_text(r, text);
}

bool
hd_check_name(struct hd_reader *r, const char *key, const struct hd_value *value)
{
    if (pol_name_ok(hd_value_slice(value)))
        return true;
    hd_problem(r->problems, value->line,
               "%s holds \"%s\"; expected a user name without blanks at its ends, ':' and '\"'",
               key, value->text);
    return false;
}

/* Each of three durations is bounded by itself; then their order. */
void
hd_read_expires(struct hd_reader *r, cfg_t *sec, const char *what, unsigned line, uint32_t *min,
                uint32_t *usual, uint32_t *max)
{
    unsigned before = r->problems->count;

    hd_read_number(r, sec, "min_expires", HD_CONF_SECONDS, 1, YEAR_S, min);
    hd_read_number(r, sec, "default_expires", HD_CONF_SECONDS, 1, YEAR_S, usual);
    hd_read_number(r, sec, "max_expires", HD_CONF_SECONDS, 1, YEAR_S, max);
    if (r->problems->count == before && (*min > *usual || *usual > *max))
        hd_problem(r->problems, line,
                   "%s has min_expires %us, default_expires %us, max_expires %us; expected each "
                   "at most the next",
                   what, *min, *usual, *max);
}
