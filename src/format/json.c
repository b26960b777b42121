/* json.c - deciding about a JSON body once, when it is published.
 *
 * The problem: readers disagree about a member that stands twice and break on deep nesting.  Both
 * are refused at the door. Invariant: nesting is counted before jansson sees the text, so its
 * recursion is bounded. */
#include "format/json.h"

#include <jansson.h>

/* Whether arrays and objects nest too deeply; brackets inside strings do not count. */
static bool
is_deep(struct hd_slice text)
{
    unsigned depth = 0;
    bool string = false;
    for (size_t i = 0; i < text.n; i++) {
        const char c = text.p[i];
        if (string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                string = false;
        } else if (c == '"') {
            string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > FMT_JSON_MAX_DEPTH)
                return true;
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return false;
}

static const char *
error_reason(enum json_error_code code)
{
    if (code == json_error_duplicate_key)
        return "JSON: a member stands twice in an object";
    if (code == json_error_numeric_overflow)
        return "JSON: a number is too large";
    if (code == json_error_invalid_utf8)
        return "JSON: not valid UTF-8";
    if (code == json_error_premature_end_of_input)
        return "JSON: the text ends too early";
    if (code == json_error_null_character || code == json_error_null_byte_in_key)
        return "JSON: a NUL octet";
    return "JSON: not well-formed";
}

enum hd_err
fmt_json_check(struct hd_slice text, size_t max, const char **ret_reason)
{
    json_error_t error;

    if (text.n > max) {
        *ret_reason = "JSON: the document is too large";
        return HD_ESYNTAX;
    }
    if (text.n == 0) {
        *ret_reason = "JSON: the text ends too early";
        return HD_ESYNTAX;
    }
    if (is_deep(text)) {
        *ret_reason = "JSON: nested too deeply";
        return HD_ESYNTAX;
    }
    json_t *value = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value) {
        json_decref(value);
        return HD_OK;
    }
    const enum json_error_code code = json_error_code(&error);
    if (code == json_error_out_of_memory)
        return HD_ENOMEM;
    *ret_reason = error_reason(code);
    return HD_ESYNTAX;
}
