/* show.c - what the commands that ask the daemon share: building a call's keys, showing its result.
 */
#include "herald/show.h"

#include <stdio.h>
#include <stdlib.h>

#include "herald/text.h"
#include "herald/tool.h"

static void
end_without_memory(void)
{
    tool_problem("out of memory");
    exit(TOOL_FAILED);
}

json_t *
show_args(void)
{
    json_t *args = json_object();
    if (!args)
        end_without_memory();
    return args;
}

/* Not UTF-8: the key stays out, and the daemon would say that it is missing; say what it is. */
void
show_set(json_t *args, const char *key, const char *value)
{
    if (!value)
        return;
    if (!text_is_utf8(hd_slice_str(value))) {
        tool_problem("%s is not UTF-8", key);
        exit(TOOL_USAGE);
    }
    if (json_object_set_new(args, key, json_string(value)))
        end_without_memory();
}

void
show_set_number(json_t *args, const char *key, int64_t number)
{
    if (number && json_object_set_new(args, key, json_integer(number)))
        end_without_memory();
}

void
show_set_true(json_t *args, const char *key, bool value)
{
    if (value && json_object_set_new(args, key, json_true()))
        end_without_memory();
}

void
show_set_words(json_t *args, const char *key, const char *const *words, unsigned n)
{
    json_t *array = json_array();
    bool ok = array != NULL;

    for (unsigned i = 0; i < n && ok; i++) {
        if (!text_is_utf8(hd_slice_str(words[i]))) {
            tool_problem("%s is not UTF-8", key);
            exit(TOOL_USAGE);
        }
        ok = json_array_append_new(array, json_string(words[i])) == 0;
    }
    if (!ok || json_object_set_new(args, key, array))
        end_without_memory();
}

int
show_json(const json_t *result)
{
    char *text = json_dumps(result, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    puts(text ? text : "null");
    free(text);
    return TOOL_OK;
}

void
show_text(const char *title, const json_t *value)
{
    char *text = text_escaped(hd_slice(json_string_value(value), json_string_length(value)), false);
    printf("%s%s\n", title, text ? text : "");
    free(text);
}

int
show_list(bool json, const json_t *result, const char *key, const struct grid_column *columns,
          size_t n)
{
    const json_t *rows = json_object_get(result, key);
    if (json)
        return show_json(result);
    if (!json_is_array(rows) || !grid_print(rows, columns, n, stdout)) {
        tool_problem("the daemon's answer cannot be shown");
        return TOOL_FAILED;
    }
    if (json_is_true(json_object_get(result, "truncated")))
        tool_problem("there are more; --limit shows them");
    return TOOL_OK;
}
