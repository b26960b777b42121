/* book.h - tokens and webhooks: what the operator has given out, immutable and shared.
 *
 * A change makes another book from the same entries; the state folder holds the newest, and the
 * HTTP face is given it.  A token is kept as its hash alone.  A webhook's secret is kept as it is,
 * since it signs.  Thread: any may read; references are counted. */
#ifndef HD_HTTP_BOOK_H
#define HD_HTTP_BOOK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/slice.h"

#define API_TOKENS_MAX 1000u
#define API_HOOKS_MAX 256u
#define API_ENTRY_ID 8    /* characters of an entry's name, NUL not among them */
#define API_TOKEN_TEXT 48 /* characters of a token */
#define API_HASH_SIZE 32
#define API_BOOK_PROBLEM 160
#define API_MODE_BINARY "binary"

enum api_scope {
    API_SCOPE_PUBLISH = 1,
    API_SCOPE_READ = 2,
    API_SCOPE_ADMIN = 4,
    API_SCOPE_METRICS = 8,
    API_SCOPE_LOOK = 16 /* calls of the administration that change nothing and show no state */
};
/** The bit of a scope's word, 0: there is none. */
unsigned api_scope_read(struct hd_slice word);
/** The words of scopes: an array. */
json_t *api_scope_words(unsigned scopes);

struct api_token {
    _Atomic uint32_t refs;
    char id[API_ENTRY_ID + 1];
    uint8_t hash[API_HASH_SIZE];
    unsigned scopes;
    uint64_t created_s;
    char user[]; /* NUL-terminated, as are the others */
};
struct api_hook {
    _Atomic uint32_t refs;
    char id[API_ENTRY_ID + 1];
    uint64_t created_s;
    /* behind the struct */
    const char *user, *resource, *package, *url, *secret;
    const char *when; /* a condition; NULL: none */
    bool binary;      /* events in the binary mode of CloudEvents, not in one JSON object */
};
struct api_book {
    unsigned magic;
    _Atomic uint32_t refs;
    struct api_token **tokens;
    struct api_hook **hooks;
    size_t n_tokens, n_hooks;
};

/** An empty one; NULL: memory is short. */
struct api_book *api_book_new(void);
struct api_book *api_book_ref(struct api_book *book);
struct api_book *api_book_unref(struct api_book *book); /* accepts NULL, returns NULL */

/** One entry, with one reference; NULL: memory is short. */
struct api_token *api_token_new(const char *id, struct hd_slice user,
                                const uint8_t hash[API_HASH_SIZE], unsigned scopes,
                                uint64_t created_s);
struct api_hook *api_hook_new(const struct api_hook *fields);
struct api_hook *api_hook_ref(struct api_hook *hook);
void api_token_unref(struct api_token *token);
void api_hook_unref(struct api_hook *hook);

/** Books with one entry more, which is taken in any case, or less.  HD_EFULL; HD_ENOMATCH: there is
 * none of that name; HD_ENOMEM. */
HD_NODISCARD enum hd_err api_book_add_token(const struct api_book *before, struct api_token *token,
                                            struct api_book **ret_after);
HD_NODISCARD enum hd_err api_book_add_hook(const struct api_book *before, struct api_hook *hook,
                                           struct api_book **ret_after);
HD_NODISCARD enum hd_err api_book_remove(const struct api_book *before, struct hd_slice id,
                                         struct api_book **ret_after);

/** The hash under which a token is kept. */
void api_token_hash(struct hd_slice text, uint8_t ret[API_HASH_SIZE]);
/** The token with this text; looks at all of them in the same way.  NULL: none. */
const struct api_token *api_book_token(const struct api_book *book, struct hd_slice text);
const struct api_token *api_book_token_by_id(const struct api_book *book, const char *id);
const struct api_hook *api_book_hook(const struct api_book *book, struct hd_slice id);

/** As the state folder keeps them. */
json_t *api_token_json(const struct api_token *token);
json_t *api_hook_json(const struct api_hook *hook);
/* Entries as they are kept, each with the number that a problem line calls it by. */
struct api_rows {
    json_t *const *json;
    const int64_t *numbers;
    size_t n;
};
/**
 * Reads them back.
 * @param ret_problem  on HD_ESYNTAX: the place and what is wrong with it
 * @return HD_OK; HD_ESYNTAX; HD_ENOMEM
 */
HD_NODISCARD enum hd_err api_book_read(const struct api_rows *tokens, const struct api_rows *hooks,
                                       char ret_problem[API_BOOK_PROBLEM],
                                       struct api_book **ret_book);
/** Why an address of a webhook cannot be one; NULL: it can. */
const char *api_url_problem(struct hd_slice url);

#endif
