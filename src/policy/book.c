/* book.c - the book's life, and what may stand in it.
 *
 * The problem: every request looks a user up, so readers may not lock; a tool or a web page changes
 * one entry of a hundred thousand, so an edit may not copy the book: it copies the indexes' arrays
 * of pages, and the one page that changes (index.h). */
#include "policy/book.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "policy/book_core.h"

/* ---- books ---- */

struct pol_book *
pol_book_new(const struct hd_hash_key *key)
{
    struct pol_book *book = calloc(1, sizeof(*book));
    if (!book)
        return NULL;
    book->magic = POL_BOOK_MAGIC;
    atomic_init(&book->refs, 1);
    book->key = *key;
    book->next_rule = 1;
    return book;
}

struct pol_book *
pol_book_ref(struct pol_book *book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    atomic_fetch_add_explicit(&book->refs, 1, memory_order_relaxed);
    return book;
}

struct pol_book *
pol_book_unref(struct pol_book *book)
{
    if (!book)
        return NULL;
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    /* acq_rel: reads made by other threads happen before the free. */
    if (atomic_fetch_sub_explicit(&book->refs, 1, memory_order_acq_rel) == 1) {
        book->magic = 0;
        pol_index_done(&book->users);
        pol_index_done(&book->logins);
        pol_index_done(&book->holders);
        pol_index_done(&book->rules);
        pol_index_done(&book->timed);
        pol_index_done(&book->lists);
        pol_index_done(&book->members);
        pol_index_done(&book->transforms);
        free(book);
    }
    return NULL;
}

struct pol_book *
pol_book_copy(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    struct pol_book *copy = pol_book_new(&book->key);
    if (!copy)
        return NULL;
    copy->next_rule = book->next_rule;
    copy->n_rules = book->n_rules;
    pol_index_copy(&copy->users, &book->users);
    pol_index_copy(&copy->logins, &book->logins);
    pol_index_copy(&copy->holders, &book->holders);
    pol_index_copy(&copy->rules, &book->rules);
    pol_index_copy(&copy->timed, &book->timed);
    pol_index_copy(&copy->lists, &book->lists);
    pol_index_copy(&copy->members, &book->members);
    pol_index_copy(&copy->transforms, &book->transforms);
    memcpy(copy->by_number, book->by_number, sizeof(copy->by_number));
    copy->next_transform = book->next_transform;
    return copy;
}

/* ---- what may stand in a book ---- */

/* Text for people: UTF-8 that shows itself and steers nothing, no blank at the ends. */
bool
pol_text_ok(struct hd_slice text, size_t max)
{
    if (text.n == 0 || text.n > max || text.p[0] == ' ' || text.p[text.n - 1] == ' ')
        return false;
    while (text.n) {
        uint32_t code;
        const size_t n = hd_utf8_take(text, &code);
        if (n == 0 || !hd_utf8_is_shown(code))
            return false;
        text = hd_slice_from(text, n);
    }
    return true;
}

bool
pol_name_ok(struct hd_slice name)
{
    /* A colon would make two (name, realm) pairs with one HA1; "*" is the pattern of rules. */
    return pol_text_ok(name, POL_NAME_MAX) && hd_slice_find(name, ':') == name.n &&
           hd_slice_find(name, '"') == name.n && !hd_slice_eq(name, HD_LIT("*"));
}

/* "sip:" user "@" host, in visible ASCII as the canonical form has it. */
bool
pol_key_ok(struct hd_slice key)
{
    if (key.n > POL_KEY_MAX || !hd_slice_starts(key, HD_LIT("sip:")))
        return false;
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] <= ' ' || key.p[i] >= 0x7f)
            return false;
    const size_t at = hd_slice_find(key, '@');
    return at > 4 && at + 1 < key.n;
}

bool
pol_word_ok(struct hd_slice word)
{
    for (size_t i = 0; i < word.n; i++) {
        const char c = word.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '-' || c == '_' || c == '.'))
            return false;
    }
    return word.n > 0 && word.n <= POL_WORD_MAX;
}

/* ---- loading ---- */

struct hd_slice
pol_text_put(char **at, struct hd_slice s)
{
    const struct hd_slice copy = hd_slice(*at, s.n);
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

enum hd_err
pol_book_load(const struct hd_hash_key *key, const struct pol_contents *contents,
              struct pol_place *ret_place, struct pol_book **ret_book)
{
    struct pol_book *book = pol_book_new(key);
    struct pol_place place = { .part = POL_PART_USER };
    enum hd_err err = HD_ENOMEM;

    if (!book)
        return err;
    err = pol_users_load(book, contents->users, contents->n_users, &place.at);
    if (!err) {
        place.part = POL_PART_LIST;
        err = pol_lists_load(book, contents->lists, contents->n_lists, &place.at);
    }
    if (!err) {
        place.part = POL_PART_TRANSFORM;
        err = pol_transforms_load(book, contents->transforms, contents->n_transforms,
                                  contents->next_transform, &place.at);
    }
    if (!err) {
        place.part = POL_PART_RULE;
        err = pol_rules_load(book, contents->rules, contents->n_rules, contents->next_rule,
                             &place.at);
    }
    if (err) {
        pol_book_unref(book);
        if (ret_place)
            *ret_place = place;
        return err == HD_ENOMATCH || err == HD_EEXIST ? HD_ESYNTAX : err;
    }
    *ret_book = book;
    return HD_OK;
}
