/* fuzz_pol_import.c - users from a text: what is taken is what a book takes, and the problem of
 * what is not has a line of the text. */
#include "fuzz.h"

#include "policy/import.h"

static const struct hd_slice domains[] = { { "example.test", 12 }, { "fleet.example", 13 } };
static const struct sip_served served = { .domains = domains, .n_domains = 2 };

static void
check_users(const struct pol_import *import)
{
    static const struct hd_hash_key key = { 5, 6 };
    struct pol_book *book = pol_book_new(&key), *next = NULL;
    size_t at = 0;

    FUZZ_CHECK(book != NULL);
    for (size_t i = 0; i < import->n; i++) {
        FUZZ_CHECK(pol_name_ok(import->users[i].name) && import->lines[i] > 0);
        FUZZ_CHECK(i == 0 || hd_slice_cmp(import->users[i - 1].name, import->users[i].name) < 0);
    }
    const enum hd_err err = pol_book_with_users(book, import->users, import->n, &at, &next);
    /* A realm that cannot be, and what two of them want. */
    FUZZ_CHECK(err == HD_OK || ((err == HD_ESYNTAX || err == HD_EEXIST) && at < import->n));
    if (!err)
        FUZZ_CHECK(pol_book_user_count(next) == import->n);
    pol_book_unref(next);
    pol_book_unref(book);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pol_import_params params = { .realm = HD_LIT("example.test"),
                                              .served = &served,
                                              .created_s = 7 };
    char *p, problem[POL_IMPORT_PROBLEM] = "";
    const struct hd_slice text = fuzz_copy(data, size, &p);
    struct pol_import import;
    unsigned line = 0, lines = 1;

    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    if (pol_import_read(text, &params, problem, &line, &import)) {
        FUZZ_CHECK(line > 0 && line <= lines && problem[0] != '\0');
    } else {
        check_users(&import);
        pol_import_done(&import);
    }
    free(p);
    return 0;
}
