/* fuzz_fmt_json.c - JSON that passes the check still passes inside of an array, as a list of
 * publications holds it. */
#include "fuzz.h"

#include "base/str.h"
#include "format/json.h"

#define MAX 65536

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    const struct hd_slice text = fuzz_copy(data, size, &copy);
    const char *reason = NULL;

    const enum hd_err err = fmt_json_check(text, MAX, &reason);
    FUZZ_CHECK((err == HD_OK) == (reason == NULL));
    if (!err) {
        struct hd_str list = { 0 };
        hd_str_add_char(&list, '[');
        hd_str_add(&list, text);
        hd_str_add_char(&list, ',');
        hd_str_add(&list, text);
        hd_str_add_char(&list, ']');
        const enum hd_err listed = fmt_json_check(hd_str_slice(&list), 3 * MAX, &reason);
        FUZZ_CHECK(!listed || strstr(reason, "too "));
        hd_str_done(&list);
    }
    free(copy);
    return 0;
}
