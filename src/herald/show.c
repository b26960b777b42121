/* show.c - what the commands that ask the daemon share: building a call's keys, showing its result.
 */
#include "herald/show.h"

#include <stdio.h>
#include <stdlib.h>

#include "herald/text.h"
#include "herald/tool.h"

json_t *
show_args(void)
{
    json_t *args = json_object();
    if (!args) {
        tool_problem("out of memory");
        exit(TOOL_FAILED);
    }
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
    if (json_object_set_new(args, key, json_string(value))) {
        tool_problem("out of memory");
        exit(TOOL_FAILED);
    }
}

int
show_json(const json_t *result)
{
    char *text = json_dumps(result, JSON_INDENT(2));
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
