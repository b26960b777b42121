/* calls_http.c - the calls of the admin socket about tokens and webhooks.
 *
 * A token is shown once, when it is made; what is kept is its hash.  What webhooks do just now is
 * known to the HTTP face's thread alone: it is asked, and answers by the main thread's mailbox. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filter/filters.h"
#include "heraldd/calls_core.h"
#include "heraldd/face.h"
#include "http/book.h"

#define SECRET_MIN 16

/* --- common ---------------------------------------------------------------------------- */

static void
make_id(char ret[API_ENTRY_ID + 1])
{
    uint32_t number;

    hd_face_random(&number, sizeof(number));
    (void)snprintf(ret, API_ENTRY_ID + 1, "%08x", (unsigned)number);
}

/* "hrld_" or another word, and 43 characters of the base64url alphabet (RFC 4648 section 5). */
static void
make_secret(const char *word, char ret[API_TOKEN_TEXT + 1])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t octets[43];
    size_t n = strlen(word);

    hd_face_random(octets, sizeof(octets));
    memcpy(ret, word, n);
    for (size_t i = 0; i < sizeof(octets) && n < API_TOKEN_TEXT; i++)
        ret[n++] = alphabet[octets[i] & 63];
    ret[n] = '\0';
    explicit_bzero(octets, sizeof(octets));
}

/* Keeps a book and hands it on; takes it and result. */
static void
keep_book(const struct hd_call *call, enum hd_err err, struct api_book *book, json_t *result)
{
    char problem[HD_PROBLEM_TEXT] = "memory is short";

    if (err == HD_EFULL)
        (void)snprintf(problem, sizeof(problem), "there are %u tokens or %u webhooks already",
                       API_TOKENS_MAX, API_HOOKS_MAX);
    if (err == HD_ENOMATCH)
        (void)snprintf(problem, sizeof(problem), "there is none of that name");
    if (!err && !result)
        err = HD_ENOMEM;
    if (!err)
        err = hd_state_save_http(call->daemon->state, book, problem);
    if (!err)
        err = hd_face_book(call->daemon->face, book);
    (void)api_book_unref(book);
    if (!err) {
        hd_reply_result(call->reply, result);
        return;
    }
    json_decref(result);
    hd_reply_error(call->reply, "%s", problem);
}

static const struct api_book *
book_of(const struct hd_call *call)
{
    return hd_state_http(call->daemon->state);
}

/* A text of the call that can be kept: without NUL. */
static bool
is_plain(const struct hd_call *call, const char *key, size_t most)
{
    struct hd_slice text = hd_call_arg(call, key);

    if (!text.p || (text.n > 0 && text.n <= most && !memchr(text.p, '\0', text.n)))
        return true;
    hd_reply_error(call->reply, "%s is empty, longer than %zu octets, or has a NUL in it", key,
                   most);
    return false;
}

static bool
user_is_there(const struct hd_call *call, struct hd_slice user)
{
    if (pol_book_user(hd_call_book(call), user))
        return true;
    hd_reply_error(call->reply, "there is no user %.*s; make one with: herald user add",
                   (int)(user.n < 128 ? user.n : 128), user.p);
    return false;
}

/* --- tokens ---------------------------------------------------------------------------- */

static bool
read_scopes(const struct hd_call *call, unsigned *ret_scopes)
{
    const json_t *words = json_object_get(call->args, "scopes"), *word;
    size_t i;

    *ret_scopes = words ? 0 : API_SCOPE_PUBLISH | API_SCOPE_READ;
    json_array_foreach(words, i, word)
    {
        unsigned bit =
            json_is_string(word) ? api_scope_read(hd_slice_str(json_string_value(word))) : 0;
        if (!bit) {
            hd_reply_error(call->reply, "scopes are publish, read, admin, metrics and look");
            return false;
        }
        *ret_scopes |= bit;
    }
    return true;
}

static void
call_token_add(const struct hd_call *call)
{
    struct hd_slice user = hd_call_arg(call, "user");
    char text[API_TOKEN_TEXT + 1], id[API_ENTRY_ID + 1];
    uint8_t hash[API_HASH_SIZE];
    struct api_book *after = NULL;
    unsigned scopes;

    if (!is_plain(call, "user", POL_NAME_MAX) || !user_is_there(call, user) ||
        !read_scopes(call, &scopes))
        return;
    make_id(id);
    make_secret("hrld_", text);
    api_token_hash(hd_slice_str(text), hash);
    struct api_token *token = api_token_new(id, user, hash, scopes, (uint64_t)time(NULL));
    enum hd_err err = token ? api_book_add_token(book_of(call), token, &after) : HD_ENOMEM;
    keep_book(call, err, after,
              json_pack("{s:s, s:s, s:o, s:o}", "id", id, "token", text, "user",
                        hd_json_slice(user), "scopes", api_scope_words(scopes)));
    explicit_bzero(text, sizeof(text));
}

static void
call_token_list(const struct hd_call *call)
{
    struct hd_rows listing = { .call = call, .rows = json_array() };
    const struct api_book *book = book_of(call);

    for (size_t i = 0; i < book->n_tokens && listing.rows; i++)
        hd_rows_add(&listing, json_pack("{s:s, s:s, s:o, s:I}", "id", book->tokens[i]->id, "user",
                                        book->tokens[i]->user, "scopes",
                                        api_scope_words(book->tokens[i]->scopes), "created_s",
                                        (json_int_t)book->tokens[i]->created_s));
    hd_rows_answer(call, &listing, "tokens");
}

static void
call_remove(const struct hd_call *call)
{
    struct hd_slice id = hd_call_arg(call, "name");
    struct api_book *after = NULL;
    enum hd_err err = api_book_remove(book_of(call), id, &after);

    keep_book(call, err, after, json_pack("{s:o}", "name", hd_json_slice(id)));
}

/* --- webhooks -------------------------------------------------------------------------- */

/* As whom it watches: as said, else as the resource's own user. */
static bool
read_user(const struct hd_call *call, const struct hd_key *key, char ret_user[POL_NAME_MAX + 1])
{
    struct hd_slice user = hd_call_arg(call, "user");

    if (!user.p) {
        user = hd_slice_from(hd_key_slice(key), 4); /* behind "sip:" */
        user.n = hd_slice_find(user, '@');
        if (user.n > POL_NAME_MAX || !pol_book_user(hd_call_book(call), user)) {
            hd_reply_error(call->reply, "say as which user it watches: there is none of the "
                                        "resource's own name");
            return false;
        }
    }
    if (user.n > POL_NAME_MAX || !user_is_there(call, user))
        return false;
    memcpy(ret_user, user.p, user.n);
    ret_user[user.n] = '\0';
    return true;
}

static bool
read_when(const struct hd_call *call)
{
    struct hd_slice when = hd_call_arg(call, "when");
    const char *reason = NULL;
    size_t at = 0;

    if (!when.p || flt_check_when(when, &reason, &at) == HD_OK)
        return true;
    hd_reply_error(call->reply, "when: %s at character %zu", reason ? reason : "it cannot be kept",
                   at + 1);
    return false;
}

static bool
read_mode(const struct hd_call *call, bool *ret_binary)
{
    struct hd_slice mode = hd_call_arg(call, "mode");

    *ret_binary = hd_slice_eq(mode, HD_LIT(API_MODE_BINARY));
    if (!mode.p || *ret_binary || hd_slice_eq(mode, HD_LIT("structured")))
        return true;
    hd_reply_error(call->reply, "mode is structured or binary");
    return false;
}

static bool
read_hook(const struct hd_call *call, struct hd_key *key, char user[POL_NAME_MAX + 1])
{
    struct hd_slice secret = hd_call_arg(call, "secret");
    const char *why = api_url_problem(hd_call_arg(call, "url"));

    if (!hd_call_resource(call, "resource", key) || !is_plain(call, "package", 255) ||
        !is_plain(call, "url", 2000) || !is_plain(call, "secret", 255) ||
        !is_plain(call, "when", 32768) || !is_plain(call, "user", POL_NAME_MAX) || !read_when(call))
        return false;
    if (!evt_config_package(call->daemon->config, hd_call_arg(call, "package"))) {
        hd_reply_error(call->reply, "there is no such package; `herald package` lists them");
        return false;
    }
    if (why) {
        hd_reply_error(call->reply, "url: %s", why);
        return false;
    }
    if (secret.p && secret.n < SECRET_MIN) {
        hd_reply_error(call->reply, "the secret is shorter than %d octets", SECRET_MIN);
        return false;
    }
    return read_user(call, key, user);
}

static void
call_webhook_add(const struct hd_call *call)
{
    char user[POL_NAME_MAX + 1], made[API_TOKEN_TEXT + 1] = "", resource[SIP_KEY_MAX + 1];
    struct hd_slice secret = hd_call_arg(call, "secret");
    struct api_book *after = NULL;
    struct hd_key key = { .n = 0 };
    bool binary;

    if (!read_hook(call, &key, user) || !read_mode(call, &binary))
        return;
    memcpy(resource, key.text, key.n);
    resource[key.n] = '\0';
    if (!secret.p)
        make_secret("whsec_", made);
    struct api_hook fields = { .user = user,
                               .resource = resource,
                               .package = hd_call_arg(call, "package").p,
                               .url = hd_call_arg(call, "url").p,
                               .secret = secret.p ? secret.p : made,
                               .when = hd_call_arg(call, "when").p,
                               .binary = binary,
                               .created_s = (uint64_t)time(NULL) };
    make_id(fields.id);
    struct api_hook *hook = api_hook_new(&fields);
    enum hd_err err = hook ? api_book_add_hook(book_of(call), hook, &after) : HD_ENOMEM;
    json_t *result = json_pack("{s:s, s:s, s:s, s:s*}", "id", fields.id, "resource", resource,
                               "user", user, "secret", made[0] ? made : NULL);
    keep_book(call, err, after, result);
    explicit_bzero(made, sizeof(made));
}

/* --- what the face knows --------------------------------------------------------------- */

struct asking {
    struct api_query query;
    struct hd_daemon *daemon;
    struct hd_reply *reply;
};

/* The book's rows, with what the face says of each. */
static json_t *
join_hooks(const struct api_book *book, const json_t *runs)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < book->n_hooks && rows; i++) {
        const struct api_hook *hook = book->hooks[i];
        json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:s, s:I}", "id", hook->id, "user",
                                hook->user, "resource", hook->resource, "package", hook->package,
                                "url", hook->url, "when", hook->when, "mode",
                                hook->binary ? API_MODE_BINARY : "structured", "created_s",
                                (json_int_t)hook->created_s);
        json_t *run;
        size_t k;

        json_array_foreach(runs, k, run)
        {
            if (row && strcmp(json_string_value(json_object_get(run, "id")), hook->id) == 0)
                (void)json_object_update_missing(row, run);
        }
        if (!row || json_array_append_new(rows, row) != 0) {
            json_decref(rows);
            rows = NULL;
        }
    }
    return rows;
}

static void
answer_query(void *context)
{
    struct asking *asking = context;
    struct api_query *query = &asking->query;
    json_t *result = NULL;

    if (query->result && query->kind == API_QUERY_HOOKS)
        result = json_pack("{s:o}", "webhooks",
                           join_hooks(hd_state_http(asking->daemon->state), query->result));
    else if (query->result)
        result = json_pack("{s:O}",
                           query->kind == API_QUERY_DEAD   ? "dead"
                           : query->kind == API_QUERY_DROP ? "dropped"
                                                           : "sent",
                           query->result);
    json_decref(query->result);
    hd_reply_result(asking->reply, result);
    free(asking);
}

static void
ask_face(const struct hd_call *call, enum api_query_kind kind)
{
    struct asking *asking = calloc(1, sizeof(*asking));
    struct hd_slice id = hd_call_arg(call, "name");

    if (!asking) {
        hd_reply_result(call->reply, NULL);
        return;
    }
    *asking =
        (struct asking){ .query = { .kind = kind }, .daemon = call->daemon, .reply = call->reply };
    if (id.p)
        (void)snprintf(asking->query.id, sizeof(asking->query.id), "%.*s",
                       (int)(id.n < 60 ? id.n : 60), id.p);
    if (hd_face_ask(call->daemon->face, &asking->query, answer_query, asking))
        return;
    if (kind == API_QUERY_HOOKS) {
        asking->query.result = json_array();
        answer_query(asking);
        return;
    }
    free(asking);
    hd_reply_error(call->reply, "there is no http section in the configuration");
}

static void
call_webhook_list(const struct hd_call *call)
{
    ask_face(call, API_QUERY_HOOKS);
}

static void
call_webhook_dead(const struct hd_call *call)
{
    ask_face(call, API_QUERY_DEAD);
}

static void
call_webhook_redeliver(const struct hd_call *call)
{
    ask_face(call, API_QUERY_REDELIVER);
}

static void
call_webhook_drop(const struct hd_call *call)
{
    ask_face(call, API_QUERY_DROP);
}

static const struct hd_call_row table[] = {
    { "token-add",
      call_token_add,
      { { "user", JSON_STRING, true }, { "scopes", JSON_ARRAY, false } } },
    { "token-list", call_token_list, { { NULL, JSON_NULL, false } } },
    { "token-remove", call_remove, { { "name", JSON_STRING, true } } },
    { "webhook-add",
      call_webhook_add,
      { { "resource", JSON_STRING, true },
        { "package", JSON_STRING, true },
        { "url", JSON_STRING, true },
        { "secret", JSON_STRING, false },
        { "when", JSON_STRING, false },
        { "user", JSON_STRING, false },
        { "mode", JSON_STRING, false } } },
    { "webhook-list", call_webhook_list, { { NULL, JSON_NULL, false } } },
    { "webhook-remove", call_remove, { { "name", JSON_STRING, true } } },
    { "webhook-dead", call_webhook_dead, { { NULL, JSON_NULL, false } } },
    { "webhook-redeliver", call_webhook_redeliver, { { "name", JSON_STRING, true } } },
    { "webhook-drop", call_webhook_drop, { { "name", JSON_STRING, true } } },
};

const struct hd_call_row *
hd_calls_http(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
