/* fuzz_hd_state.c - the state file: what is read can be written, and is the same when it is read
 * again. */
#include "fuzz.h"

#include "heraldd/state_json.h"

static char *
write_text(const struct hd_state_data *data, size_t *ret_n)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, ret_n);
    FUZZ_CHECK(file && hd_state_write(file, data) == HD_OK);
    fclose(file);
    return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy, problem[HD_STATE_PLACE] = "";
    struct hd_state_data first, second;
    const struct hd_slice input = fuzz_copy(data, size, &copy);
    const enum hd_err err = hd_state_read(input, problem, &first);

    FUZZ_CHECK((err == HD_OK) == (problem[0] == '\0'));
    if (err == HD_OK) {
        size_t n, again_n;
        char *text = write_text(&first, &n);
        FUZZ_CHECK(hd_state_read(hd_slice(text, n), problem, &second) == HD_OK);
        FUZZ_CHECK(pol_book_user_count(first.book) == pol_book_user_count(second.book));
        FUZZ_CHECK(pol_book_rule_count(first.book) == pol_book_rule_count(second.book));
        char *again = write_text(&second, &again_n);
        FUZZ_CHECK(hd_slice_eq(hd_slice(text, n), hd_slice(again, again_n)));
        free(again);
        free(text);
        pol_book_unref(first.book);
        pol_book_unref(second.book);
        FUZZ_CHECK(first.http->n_tokens == second.http->n_tokens &&
                   first.http->n_hooks == second.http->n_hooks);
        (void)api_book_unref(first.http);
        (void)api_book_unref(second.http);
    }
    free(copy);
    return 0;
}
