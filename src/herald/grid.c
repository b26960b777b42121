/* grid.c - tables of what the daemon holds.  Everything in it may come from a peer, so every cell
 * is escaped; its width counts characters, not octets. */
#include "herald/grid.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "herald/text.h"

#define COLUMNS_MAX 16

static void
value_add(struct hd_str *str, const json_t *value)
{
    const json_t *item;
    size_t i;
    if (json_is_string(value)) {
        char *text =
            text_escaped(hd_slice(json_string_value(value), json_string_length(value)), false);
        hd_str_add_str(str, text ? text : "");
        free(text);
    } else if (json_is_integer(value)) {
        hd_str_addf(str, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        hd_str_addf(str, "%.1f", json_real_value(value));
    } else if (json_is_boolean(value)) {
        hd_str_add_str(str, json_is_true(value) ? "yes" : "no");
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            if (i)
                hd_str_add_str(str, ",");
            value_add(str, item);
        }
    }
}

/* The cell's text; the caller frees it.  NULL when memory is short. */
static char *
cell(const json_t *row, const char *key)
{
    struct hd_str str;
    hd_str_init(&str);
    value_add(&str, json_object_get(row, key));
    if (str.n == 0)
        hd_str_add_str(&str, "-");
    return hd_str_take(&str);
}

/* Characters of UTF-8 text. */
static size_t
width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void
print_cell(const char *text, size_t width, bool right, bool last, FILE *to)
{
    size_t own = width_of(text);
    int pad = own < width ? (int)(width - own) : 0;
    if (right)
        fprintf(to, "%*s%s", pad, "", text);
    else if (last)
        fputs(text, to);
    else
        fprintf(to, "%s%*s", text, pad, "");
    fputs(last ? "\n" : "  ", to);
}

bool
grid_print(const json_t *rows, const struct grid_column *columns, size_t n, FILE *to)
{
    size_t width[COLUMNS_MAX], n_rows = json_array_size(rows);
    bool whole = true;

    HD_ASSERT(n > 0 && n <= COLUMNS_MAX);
    if (n_rows == 0) {
        fputs("none\n", to);
        return true;
    }
    char **cells = calloc(n_rows * n, sizeof *cells);
    if (!cells)
        return false;
    for (size_t c = 0; c < n; c++)
        width[c] = width_of(columns[c].title);
    for (size_t i = 0; i < n_rows * n && whole; i++) {
        cells[i] = cell(json_array_get(rows, i / n), columns[i % n].key);
        whole = cells[i] != NULL;
        if (whole && width_of(cells[i]) > width[i % n])
            width[i % n] = width_of(cells[i]);
    }
    for (size_t c = 0; c < n && whole; c++)
        print_cell(columns[c].title, width[c], columns[c].right, c + 1 == n, to);
    for (size_t i = 0; i < n_rows * n && whole; i++)
        print_cell(cells[i], width[i % n], columns[i % n].right, i % n + 1 == n, to);
    for (size_t i = 0; i < n_rows * n; i++)
        free(cells[i]);
    free(cells);
    return whole;
}
