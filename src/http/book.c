/* book.c - books of tokens and webhooks.
 *
 * Entries are shared between books, so that a change copies pointers.  What the state folder holds
 * is read as if somebody else had written it. */
#include "http/book.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define BOOK_MAGIC 0x48424f4bu
#define TEXT_MAX 2000u

/* --- words ----------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    unsigned bit;
} scope_rows[] = { { "publish", API_SCOPE_PUBLISH },
                   { "read", API_SCOPE_READ },
                   { "admin", API_SCOPE_ADMIN },
                   { "metrics", API_SCOPE_METRICS },
                   { "look", API_SCOPE_LOOK } };

unsigned
api_scope_read(struct hd_slice word)
{
    for (size_t i = 0; i < HD_ARRAY_LEN(scope_rows); i++)
        if (hd_slice_eq(word, hd_slice_str(scope_rows[i].word)))
            return scope_rows[i].bit;
    return 0;
}

json_t *
api_scope_words(unsigned scopes)
{
    json_t *words = json_array();

    for (size_t i = 0; i < HD_ARRAY_LEN(scope_rows) && words; i++)
        if (scopes & scope_rows[i].bit &&
            json_array_append_new(words, json_string(scope_rows[i].word)) != 0) {
            json_decref(words);
            words = NULL;
        }
    return words;
}

/* --- entries --------------------------------------------------------------------------------- */

struct api_token *
api_token_new(const char *id, struct hd_slice user, const uint8_t hash[API_HASH_SIZE],
              unsigned scopes, uint64_t created_s)
{
    struct api_token *token = calloc(1, sizeof(*token) + user.n + 1);

    if (!token)
        return NULL;
    atomic_init(&token->refs, 1);
    (void)snprintf(token->id, sizeof(token->id), "%s", id);
    memcpy(token->hash, hash, API_HASH_SIZE);
    token->scopes = scopes;
    token->created_s = created_s;
    memcpy(token->user, user.p, user.n);
    return token;
}

static const char *
keep(char **at, const char *text)
{
    char *copy = *at;
    size_t n;

    if (!text)
        return NULL;
    n = strlen(text) + 1; /* our own strings */
    memcpy(copy, text, n);
    *at += n;
    return copy;
}

struct api_hook *
api_hook_new(const struct api_hook *fields)
{
    const char *const texts[] = { fields->user, fields->resource, fields->package,
                                  fields->url,  fields->secret,   fields->when };
    struct api_hook *hook;
    size_t n = 0;
    char *at;

    for (size_t i = 0; i < HD_ARRAY_LEN(texts); i++)
        n += texts[i] ? strlen(texts[i]) + 1 : 0;
    hook = calloc(1, sizeof(*hook) + n);
    if (!hook)
        return NULL;
    at = (char *)(hook + 1);
    atomic_init(&hook->refs, 1);
    memcpy(hook->id, fields->id, sizeof(hook->id));
    hook->created_s = fields->created_s;
    hook->binary = fields->binary;
    hook->user = keep(&at, fields->user);
    hook->resource = keep(&at, fields->resource);
    hook->package = keep(&at, fields->package);
    hook->url = keep(&at, fields->url);
    hook->secret = keep(&at, fields->secret);
    hook->when = keep(&at, fields->when);
    return hook;
}

struct api_hook *
api_hook_ref(struct api_hook *hook)
{
    (void)atomic_fetch_add_explicit(&hook->refs, 1, memory_order_relaxed);
    return hook;
}

void
api_token_unref(struct api_token *token)
{
    /* acq_rel: what other threads read happens before the free. */
    if (token && atomic_fetch_sub_explicit(&token->refs, 1, memory_order_acq_rel) == 1)
        free(token);
}

void
api_hook_unref(struct api_hook *hook)
{
    if (hook && atomic_fetch_sub_explicit(&hook->refs, 1, memory_order_acq_rel) == 1) {
        OPENSSL_cleanse((char *)(uintptr_t)hook->secret, strlen(hook->secret));
        free(hook);
    }
}

/* --- books ----------------------------------------------------------------------------------- */

static struct api_book *
book_new(size_t n_tokens, size_t n_hooks)
{
    struct api_book *book = calloc(1, sizeof(*book));

    if (!book)
        return NULL;
    book->magic = BOOK_MAGIC;
    atomic_init(&book->refs, 1);
    book->tokens = calloc(n_tokens + 1, sizeof(struct api_token *));
    book->hooks = calloc(n_hooks + 1, sizeof(struct api_hook *));
    return book->tokens && book->hooks ? book : api_book_unref(book);
}

struct api_book *
api_book_new(void)
{
    return book_new(0, 0);
}

struct api_book *
api_book_ref(struct api_book *book)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    (void)atomic_fetch_add_explicit(&book->refs, 1, memory_order_relaxed);
    return book;
}

struct api_book *
api_book_unref(struct api_book *book)
{
    if (!book)
        return NULL;
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    if (atomic_fetch_sub_explicit(&book->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < book->n_tokens; i++)
        api_token_unref(book->tokens[i]);
    for (size_t i = 0; i < book->n_hooks; i++)
        api_hook_unref(book->hooks[i]);
    free(book->tokens);
    free(book->hooks);
    book->magic = 0;
    free(book);
    return NULL;
}

/* The same entries but one, with room for one more of each. */
static struct api_book *
copy_without(const struct api_book *before, struct hd_slice id)
{
    struct api_book *after = book_new(before->n_tokens + 1, before->n_hooks + 1);

    for (size_t i = 0; i < before->n_tokens && after; i++) {
        struct api_token *token = before->tokens[i];
        if (hd_slice_eq(hd_slice_str(token->id), id))
            continue;
        (void)atomic_fetch_add_explicit(&token->refs, 1, memory_order_relaxed);
        after->tokens[after->n_tokens++] = token;
    }
    for (size_t i = 0; i < before->n_hooks && after; i++)
        if (!hd_slice_eq(hd_slice_str(before->hooks[i]->id), id))
            after->hooks[after->n_hooks++] = api_hook_ref(before->hooks[i]);
    return after;
}

enum hd_err
api_book_add_token(const struct api_book *before, struct api_token *token,
                   struct api_book **ret_after)
{
    enum hd_err err = before->n_tokens >= API_TOKENS_MAX ? HD_EFULL : HD_OK;
    struct api_book *after = err ? NULL : copy_without(before, hd_slice(NULL, 0));

    if (!after) {
        api_token_unref(token);
        return err ? err : HD_ENOMEM;
    }
    after->tokens[after->n_tokens++] = token;
    *ret_after = after;
    return HD_OK;
}

enum hd_err
api_book_add_hook(const struct api_book *before, struct api_hook *hook, struct api_book **ret_after)
{
    enum hd_err err = before->n_hooks >= API_HOOKS_MAX ? HD_EFULL : HD_OK;
    struct api_book *after = err ? NULL : copy_without(before, hd_slice(NULL, 0));

    if (!after) {
        api_hook_unref(hook);
        return err ? err : HD_ENOMEM;
    }
    after->hooks[after->n_hooks++] = hook;
    *ret_after = after;
    return HD_OK;
}

enum hd_err
api_book_remove(const struct api_book *before, struct hd_slice id, struct api_book **ret_after)
{
    struct api_book *after = copy_without(before, id);

    if (!after)
        return HD_ENOMEM;
    if (after->n_tokens + after->n_hooks == before->n_tokens + before->n_hooks) {
        (void)api_book_unref(after);
        return HD_ENOMATCH;
    }
    *ret_after = after;
    return HD_OK;
}

void
api_token_hash(struct hd_slice text, uint8_t ret[API_HASH_SIZE])
{
    (void)SHA256((const unsigned char *)(text.p ? text.p : ""), text.n, ret);
}

const struct api_token *
api_book_token(const struct api_book *book, struct hd_slice text)
{
    const struct api_token *found = NULL;
    uint8_t hash[API_HASH_SIZE];

    api_token_hash(text, hash);
    for (size_t i = 0; i < book->n_tokens; i++)
        if (CRYPTO_memcmp(book->tokens[i]->hash, hash, API_HASH_SIZE) == 0)
            found = book->tokens[i];
    return found;
}

const struct api_token *
api_book_token_by_id(const struct api_book *book, const char *id)
{
    for (size_t i = 0; i < book->n_tokens; i++)
        if (strcmp(book->tokens[i]->id, id) == 0)
            return book->tokens[i];
    return NULL;
}

const struct api_hook *
api_book_hook(const struct api_book *book, struct hd_slice id)
{
    for (size_t i = 0; i < book->n_hooks; i++)
        if (hd_slice_eq(hd_slice_str(book->hooks[i]->id), id))
            return book->hooks[i];
    return NULL;
}

/* --- JSON ------------------------------------------------------------------------------------ */

json_t *
api_token_json(const struct api_token *token)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * API_HASH_SIZE + 1] = "";

    for (size_t i = 0; i < API_HASH_SIZE; i++) {
        hex[2 * i] = digits[token->hash[i] >> 4];
        hex[2 * i + 1] = digits[token->hash[i] & 15];
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:I}", "id", token->id, "user", token->user, "sha256",
                     hex, "scopes", api_scope_words(token->scopes), "created",
                     (json_int_t)token->created_s);
}

json_t *
api_hook_json(const struct api_hook *hook)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s*, s:s*, s:I}", "id", hook->id, "user",
                     hook->user, "resource", hook->resource, "package", hook->package, "url",
                     hook->url, "secret", hook->secret, "when", hook->when, "mode",
                     hook->binary ? API_MODE_BINARY : NULL, "created", (json_int_t)hook->created_s);
}

/* One entry that is being read. */
struct place {
    const char *list;
    int64_t number;
    char *problem;
    const json_t *json;
};

static enum hd_err
reject(const struct place *place, const char *key, const char *what)
{
    (void)snprintf(place->problem, API_BOOK_PROBLEM, "damaged at %s[%" PRId64 "].%s: %s",
                   place->list, place->number, key, what);
    return HD_ESYNTAX;
}

/* A text without NUL, of bounded length; NULL: rejected. */
static const char *
get_text(const struct place *place, const char *key, size_t most, bool needed, enum hd_err *err)
{
    const json_t *value = json_object_get(place->json, key);
    const char *text = json_string_value(value);

    if (*err || (!value && !needed))
        return NULL;
    if (!text || json_string_length(value) == 0 || json_string_length(value) > most ||
        strlen(text) != json_string_length(value)) {
        *err = reject(place, key, "a text is expected");
        return NULL;
    }
    return text;
}

static bool
is_id(const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return n == API_ENTRY_ID;
}

static uint64_t
get_created(const struct place *place, enum hd_err *err)
{
    const json_t *value = json_object_get(place->json, "created");

    if (!*err && (!json_is_integer(value) || json_integer_value(value) < 0))
        *err = reject(place, "created", "a number is expected");
    return *err ? 0 : (uint64_t)json_integer_value(value);
}

static enum hd_err
read_hash(const struct place *place, uint8_t ret[API_HASH_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    enum hd_err err = HD_OK;
    const char *hex = get_text(place, "sha256", 2 * API_HASH_SIZE, true, &err);

    for (size_t i = 0; i < 2 * API_HASH_SIZE && !err; i++) {
        const char *at = hex[i] ? strchr(digits, hex[i]) : NULL;
        if (!at)
            return reject(place, "sha256", "64 hexadecimal digits are expected");
        ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | (uint8_t)(at - digits));
    }
    return err;
}

static enum hd_err
read_scopes(const struct place *place, unsigned *ret_scopes)
{
    const json_t *words = json_object_get(place->json, "scopes"), *word;
    size_t i;

    *ret_scopes = 0;
    json_array_foreach(words, i, word)
    {
        unsigned bit =
            json_is_string(word) ? api_scope_read(hd_slice_str(json_string_value(word))) : 0;
        if (!bit)
            return reject(place, "scopes", "publish, read, admin, metrics and look are expected");
        *ret_scopes |= bit;
    }
    return json_is_array(words) ? HD_OK : reject(place, "scopes", "a list is expected");
}

static enum hd_err
read_token(const struct place *place, struct api_book *book)
{
    uint8_t hash[API_HASH_SIZE] = { 0 };
    unsigned scopes = 0;
    enum hd_err err = HD_OK;
    const char *id = get_text(place, "id", API_ENTRY_ID, true, &err);
    const char *user = get_text(place, "user", 255, true, &err);
    const uint64_t created_s = get_created(place, &err);

    if (!err && !is_id(id))
        err = reject(place, "id", "8 hexadecimal digits are expected");
    if (!err)
        err = read_hash(place, hash);
    if (!err)
        err = read_scopes(place, &scopes);
    if (err)
        return err;
    struct api_token *token = api_token_new(id, hd_slice_str(user), hash, scopes, created_s);
    if (!token)
        return HD_ENOMEM;
    book->tokens[book->n_tokens++] = token;
    return HD_OK;
}

static enum hd_err
read_hook(const struct place *place, struct api_book *book)
{
    enum hd_err err = HD_OK;
    const char *id = get_text(place, "id", API_ENTRY_ID, true, &err);
    struct api_hook fields = { .user = get_text(place, "user", 255, true, &err),
                               .resource = get_text(place, "resource", 255, true, &err),
                               .package = get_text(place, "package", 255, true, &err),
                               .url = get_text(place, "url", TEXT_MAX, true, &err),
                               .secret = get_text(place, "secret", TEXT_MAX, true, &err),
                               .when = get_text(place, "when", 32768, false, &err),
                               .binary = get_text(place, "mode", 255, false, &err) != NULL,
                               .created_s = get_created(place, &err) };
    const char *mode = json_string_value(json_object_get(place->json, "mode"));
    const char *why = err ? NULL : api_url_problem(hd_slice_str(fields.url));

    if (!err && !is_id(id))
        err = reject(place, "id", "8 hexadecimal digits are expected");
    if (!err && why)
        err = reject(place, "url", why);
    if (!err && mode && strcmp(mode, API_MODE_BINARY) != 0)
        err = reject(place, "mode", "\"binary\" is expected, or none");
    if (err)
        return err;
    memcpy(fields.id, id, API_ENTRY_ID + 1);
    struct api_hook *hook = api_hook_new(&fields);
    if (!hook)
        return HD_ENOMEM;
    book->hooks[book->n_hooks++] = hook;
    return HD_OK;
}

enum hd_err
api_book_read(const struct api_rows *tokens, const struct api_rows *hooks,
              char ret_problem[API_BOOK_PROBLEM], struct api_book **ret_book)
{
    enum hd_err err = HD_OK;
    struct api_book *book;

    if (tokens->n > API_TOKENS_MAX || hooks->n > API_HOOKS_MAX) {
        (void)snprintf(ret_problem, API_BOOK_PROBLEM,
                       "damaged: at most %u tokens and %u webhooks are expected", API_TOKENS_MAX,
                       API_HOOKS_MAX);
        return HD_ESYNTAX;
    }
    book = book_new(tokens->n, hooks->n);
    if (!book)
        return HD_ENOMEM;
    for (size_t i = 0; i < tokens->n && !err; i++)
        err = read_token(
            &(struct place){ "tokens", tokens->numbers[i], ret_problem, tokens->json[i] }, book);
    for (size_t i = 0; i < hooks->n && !err; i++)
        err = read_hook(
            &(struct place){ "webhooks", hooks->numbers[i], ret_problem, hooks->json[i] }, book);
    if (err) {
        (void)api_book_unref(book);
        return err;
    }
    *ret_book = book;
    return HD_OK;
}

const char *
api_url_problem(struct hd_slice url)
{
    struct hd_slice rest = url;

    if (url.n > TEXT_MAX)
        return "it is too long";
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || (unsigned char)url.p[i] >= 0x7f)
            return "it has a character that no URL has";
    if (hd_slice_istarts(url, HD_LIT("https://")))
        rest = hd_slice_from(url, 8);
    else if (hd_slice_istarts(url, HD_LIT("http://")))
        rest = hd_slice_from(url, 7);
    else
        return "http:// or https:// is expected";
    size_t end = 0;
    while (end < rest.n && !strchr("/?#", rest.p[end]))
        end++;
    if (end == 0)
        return "it names no host";
    if (hd_slice_find(hd_slice(rest.p, end), '@') < end)
        return "it has a user name in it";
    return NULL;
}
