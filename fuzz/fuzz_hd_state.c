/* fuzz_hd_state.c - the rows of herald.db: what is read can be written, and is the same when it is
 * read again.
 *
 * Each line of the input is a row: a letter for the table, its key, a tab, its text. */
#include "fuzz.h"

#include "heraldd/state_rows.h"

static const char letters[] = "auxtrkw"; /* by enum hd_state_table */

/* Takes each line for a row, and then all together. */
static enum hd_err
read_rows(struct hd_slice text, struct hd_state_data *ret_data)
{
    struct hd_state_reader *reader = hd_state_reader_new();
    char problem[HD_STATE_PLACE] = "";
    enum hd_err err = HD_OK;

    FUZZ_CHECK(reader);
    for (int64_t number = 1; text.n && !err; number++) {
        const size_t end = hd_slice_find(text, '\n');
        const struct hd_slice line = hd_slice(text.p, end);
        const char *table = end ? memchr(letters, line.p[0], sizeof(letters) - 1) : NULL;
        text = hd_slice_from(text, end < text.n ? end + 1 : end);
        if (!table)
            continue;
        const size_t tab = hd_slice_find(line, '\t');
        const struct hd_state_row row = {
            .table = (enum hd_state_table)(table - letters),
            .number = number,
            .key = hd_slice(line.p + 1, tab - 1),
            .text = hd_slice_from(line, tab < line.n ? tab + 1 : tab),
        };
        err = hd_state_reader_row(reader, &row, problem);
    }
    if (!err)
        err = hd_state_reader_end(reader, problem, ret_data);
    hd_state_reader_free(reader);
    FUZZ_CHECK((err == HD_OK) == (problem[0] == '\0'));
    return err;
}

static enum hd_err
put_line(void *context, enum hd_state_table table, struct hd_slice key, struct hd_slice text)
{
    FUZZ_CHECK(text.n > 0); /* nothing goes */
    fprintf(context, "%c%.*s\t%.*s\n", letters[table], HD_FMT(key), HD_FMT(text));
    return HD_OK;
}

static char *
write_rows(const struct hd_state_data *data, size_t *ret_n)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, ret_n);
    FUZZ_CHECK(file && hd_state_changes(NULL, data, put_line, file) == HD_OK);
    fclose(file);
    return text;
}

static enum hd_err
put_none(void *context, enum hd_state_table table, struct hd_slice key, struct hd_slice text)
{
    (void)context, (void)table, (void)key, (void)text;
    FUZZ_CHECK(false);
    return HD_OK;
}

static void
data_done(struct hd_state_data *data)
{
    pol_book_unref(data->book);
    (void)api_book_unref(data->http);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    struct hd_state_data first, second;
    const struct hd_slice input = fuzz_copy(data, size, &copy);

    if (read_rows(input, &first) == HD_OK) {
        size_t n, again_n;
        char *text = write_rows(&first, &n);
        FUZZ_CHECK(read_rows(hd_slice(text, n), &second) == HD_OK);
        FUZZ_CHECK(pol_book_user_count(first.book) == pol_book_user_count(second.book));
        FUZZ_CHECK(pol_book_rule_count(first.book) == pol_book_rule_count(second.book));
        FUZZ_CHECK(first.http->n_tokens == second.http->n_tokens &&
                   first.http->n_hooks == second.http->n_hooks);
        char *again = write_rows(&second, &again_n);
        FUZZ_CHECK(hd_slice_eq(hd_slice(text, n), hd_slice(again, again_n)));
        FUZZ_CHECK(hd_state_changes(&first, &first, put_none, NULL) == HD_OK);
        free(again);
        free(text);
        data_done(&first);
        data_done(&second);
    }
    free(copy);
    return 0;
}
