/* book_test.c - tokens and webhooks: found, added, removed, read back; what is damaged is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/book.h"

static struct api_book *
with_token(struct api_book *before, const char *id, const char *text)
{
    uint8_t hash[API_HASH_SIZE];
    struct api_book *after = NULL;

    api_token_hash(hd_slice_str(text), hash);
    assert_int_equal(api_book_add_token(before,
                                        api_token_new(id, HD_LIT("alice"), hash, API_SCOPE_READ, 7),
                                        &after),
                     HD_OK);
    (void)api_book_unref(before);
    return after;
}

static struct api_book *
with_hook(struct api_book *before, const char *id)
{
    struct api_hook fields = { .user = "alice",
                               .resource = "sip:alice@example.test",
                               .package = "presence",
                               .url = "https://example.test/hook",
                               .secret = "0123456789abcdef",
                               .when = "a above 1",
                               .binary = true };
    struct api_book *after = NULL;

    memcpy(fields.id, id, API_ENTRY_ID + 1);
    assert_int_equal(api_book_add_hook(before, api_hook_new(&fields), &after), HD_OK);
    (void)api_book_unref(before);
    return after;
}

static void
a_token_is_found_by_its_text_and_kept_as_its_hash(void **state)
{
    struct api_book *book = with_token(api_book_new(), "00000001", "hrld_secret"), *after = NULL;

    (void)state;
    assert_non_null(api_book_token(book, HD_LIT("hrld_secret")));
    assert_null(api_book_token(book, HD_LIT("hrld_secreT")));
    assert_null(api_book_token(book, HD_LIT("")));
    json_t *json = api_token_json(book->tokens[0]);
    char *text = json_dumps(json, 0);
    assert_null(strstr(text, "hrld_secret"));
    free(text);
    json_decref(json);
    assert_int_equal(api_book_remove(book, HD_LIT("00000002"), &after), HD_ENOMATCH);
    assert_int_equal(api_book_remove(book, HD_LIT("00000001"), &after), HD_OK);
    assert_null(api_book_token(after, HD_LIT("hrld_secret")));
    (void)api_book_unref(after);
    (void)api_book_unref(book);
}

static void
what_was_kept_is_read_back(void **state)
{
    struct api_book *book = with_hook(with_token(api_book_new(), "0000000a", "t"), "0000000b");
    struct api_book *again = NULL;
    json_t *token = api_token_json(book->tokens[0]), *hook = api_hook_json(book->hooks[0]);
    const int64_t number = 1;
    char problem[API_BOOK_PROBLEM];

    (void)state;
    assert_int_equal(api_book_read(&(struct api_rows){ &token, &number, 1 },
                                   &(struct api_rows){ &hook, &number, 1 }, problem, &again),
                     HD_OK);
    assert_non_null(api_book_token(again, HD_LIT("t")));
    assert_int_equal(again->tokens[0]->scopes, API_SCOPE_READ);
    assert_non_null(api_book_hook(again, HD_LIT("0000000b")));
    assert_string_equal(again->hooks[0]->when, "a above 1");
    assert_true(again->hooks[0]->binary);
    (void)api_book_unref(again);
    (void)api_book_unref(book);
    json_decref(token);
    json_decref(hook);
}

static void
what_is_damaged_is_refused(void **state)
{
    static const char *const rows[] = {
        "{}",
        "[1]",
        "1",
        "{\"id\":\"1\"}",
        "{\"id\":\"0000000a\",\"user\":\"\",\"created\":1}",
        "{\"id\":\"0000000a\",\"user\":\"a\",\"created\":-1}",
        "{\"id\":\"0000000A\",\"user\":\"a\",\"created\":1,\"sha256\":\"00\",\"scopes\":[]}",
        "{\"id\":\"0000000a\",\"user\":\"a\",\"created\":1,\"sha256\":\"00\",\"scopes\":[]}",
        "{\"id\":\"0000000a\",\"user\":\"a\",\"created\":1,\"scopes\":[\"root\"],\"sha256\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
        "{\"id\":\"0000000a\",\"user\":\"a\",\"created\":1,\"scopes\":7,\"sha256\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct api_book *book = NULL;
        char problem[API_BOOK_PROBLEM] = "";
        json_t *json = json_loads(rows[i], JSON_DECODE_ANY, NULL);
        const int64_t number = 17;
        const struct api_rows none = { 0 }, one = { &json, &number, 1 };
        assert_non_null(json);
        assert_int_equal(api_book_read(&one, &none, problem, &book), HD_ESYNTAX);
        assert_int_equal(strncmp(problem, "damaged at tokens[17].", 22), 0);
        assert_int_equal(api_book_read(&none, &one, problem, &book), HD_ESYNTAX);
        assert_int_equal(strncmp(problem, "damaged at webhooks[17].", 24), 0);
        json_decref(json);
    }
}

static void
addresses_that_can_be_and_cannot(void **state)
{
    static const struct {
        const char *url;
        bool good;
    } rows[] = {
        { "https://example.test/a?b=c", true },
        { "HTTP://192.0.2.1:8080", true },
        { "http://[::1]/x", true },
        { "ftp://example.test/", false },
        { "file:///etc/passwd", false },
        { "https://", false },
        { "https:///x", false },
        { "https://a:b@example.test/", false },
        { "https://example.test/a b", false },
        { "https://example.test/\r\nX: y", false },
        { "", false },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++)
        assert_int_equal(api_url_problem(hd_slice_str(rows[i].url)) == NULL, rows[i].good);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_found_by_its_text_and_kept_as_its_hash),
        cmocka_unit_test(what_was_kept_is_read_back),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(addresses_that_can_be_and_cannot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
