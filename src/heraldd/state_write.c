/* state_write.c - the rows of herald.db, written: those that a change changes.
 *
 * The problem: one rule of a hundred thousand is set, and keeping it may not cost what keeping all
 * would.  What differs is found by what the books before and after do not share (policy/diff.c,
 * http/book.h), so that nobody has to say what he changed.  Rows that go come before those that
 * take their place. */
#include "heraldd/state_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "event/ports.h"

/* ---- entries ---- */

static bool
set_text(json_t *object, const char *key, struct hd_slice text)
{
    return json_object_set_new(object, key, json_stringn(text.p, text.n)) == 0;
}

static bool
set_texts(json_t *object, const char *key, const struct hd_slice *texts, size_t n)
{
    json_t *array = json_array();
    bool ok = array != NULL;

    for (size_t i = 0; i < n && ok; i++)
        ok = json_array_append_new(array, json_stringn(texts[i].p, texts[i].n)) == 0;
    ok = ok && json_object_set(object, key, array) == 0;
    json_decref(array);
    return ok;
}

static bool
set_login(json_t *object, const struct pol_login *login)
{
    const struct hd_slice md5 = login->ha1[SIP_DIGEST_MD5], sha256 = login->ha1[SIP_DIGEST_SHA256];

    return set_text(object, "realm", login->realm) &&
           (md5.n == 0 || set_text(object, "md5", md5)) &&
           (sha256.n == 0 || set_text(object, "sha256", sha256));
}

static bool
set_logins(json_t *object, const struct pol_login *logins, size_t n)
{
    json_t *array = json_array();
    bool ok = array != NULL;

    for (size_t i = 0; i < n && ok; i++) {
        json_t *login = json_object();
        ok = login && set_text(login, "username", logins[i].username) &&
             set_login(login, &logins[i]) && json_array_append(array, login) == 0;
        json_decref(login);
    }
    ok = ok && json_object_set(object, "logins", array) == 0;
    json_decref(array);
    return ok;
}

/* The object when all that belongs in it is; takes it. */
static json_t *
finished(json_t *object, bool ok)
{
    if (ok)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *
user_json(const struct pol_user *user)
{
    json_t *object = json_object();
    bool ok =
        object && set_text(object, "name", user->name) &&
        json_object_set_new(object, "created", json_integer((json_int_t)user->created_s)) == 0;
    /* Nearly everybody has one login, by his name. */
    const bool plain = user->n_logins > 0 && hd_slice_eq(user->logins[0].username, user->name);

    if (ok && plain)
        ok = set_login(object, &user->logins[0]);
    if (ok && (!plain || user->n_logins > 1))
        ok = set_logins(object, user->logins + plain, user->n_logins - (size_t)plain);
    if (ok && user->n_addresses > 0)
        ok = set_texts(object, "addresses", user->addresses, user->n_addresses);
    return finished(object, ok);
}

static bool
set_number(json_t *object, const char *key, uint64_t number)
{
    return number == 0 || json_object_set_new(object, key, json_integer((json_int_t)number)) == 0;
}

static bool
set_proofs(json_t *object, uint8_t proofs)
{
    struct hd_slice words[EVT_PROOF_TOKEN + 1];
    size_t n = 0;

    for (unsigned proof = EVT_PROOF_FROM; proof <= EVT_PROOF_TOKEN; proof++)
        if (proofs & POL_PROOF(proof))
            words[n++] = evt_proof_word((enum evt_proof)proof);
    return n == 0 || set_texts(object, "proof", words, n);
}

static json_t *
rule_json(const struct pol_rule *rule)
{
    json_t *object = json_object();
    const bool ok =
        object && json_object_set_new(object, "id", json_integer(rule->id)) == 0 &&
        set_text(object, "resource", rule->resource) &&
        set_text(object, "watcher", rule->watcher) && set_text(object, "package", rule->package) &&
        set_text(object, "action", pol_action_word(rule->action)) &&
        set_number(object, "since", rule->since_s) && set_number(object, "from", rule->from_s) &&
        set_number(object, "until", rule->until_s) &&
        (rule->transform.n == 0 || set_text(object, "transform", rule->transform)) &&
        (rule->n_except == 0 || set_texts(object, "except", rule->except, rule->n_except)) &&
        set_proofs(object, rule->proofs) &&
        (!rule->shadow || json_object_set_new(object, "shadow", json_true()) == 0);
    return finished(object, ok);
}

static json_t *
list_json(const struct pol_list *list)
{
    json_t *object = json_object();
    const bool ok = object && set_text(object, "name", list->name) &&
                    set_texts(object, "members", list->members, list->n);
    return finished(object, ok);
}

static json_t *
transform_json(const struct pol_transform *transform)
{
    const struct fmt_reduction *r = &transform->reduction;
    json_t *object = json_object();
    const bool ok =
        object && set_text(object, "name", transform->name) &&
        set_number(object, "number", transform->number) &&
        (r->n_hide == 0 || set_texts(object, "hide", r->hide, r->n_hide)) &&
        (r->n_only == 0 || set_texts(object, "only", r->only, r->n_only)) &&
        (r->n_provide == 0 || set_texts(object, "provide", r->provide, r->n_provide)) &&
        set_number(object, "circle", r->circle_m) &&
        (r->civic == FMT_CIVIC_NONE || set_text(object, "civic", fmt_civic_word(r->civic)));
    return finished(object, ok);
}

/* ---- rows ---- */

struct writing {
    hd_state_put_f put;
    void *context;
    enum hd_err err; /* the first one; nothing is put after it */
};

static void
put_text(struct writing *writing, enum hd_state_table table, struct hd_slice key,
         struct hd_slice text)
{
    if (!writing->err)
        writing->err = writing->put(writing->context, table, key, text);
}

/* Takes the object, or the text that stands for it; NULL: memory is short. */
static void
put_json(struct writing *writing, enum hd_state_table table, struct hd_slice key, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (text)
        put_text(writing, table, key, hd_slice_str(text));
    else if (!writing->err)
        writing->err = HD_ENOMEM;
    free(text);
    json_decref(json);
}

static void
put_number(struct writing *writing, struct hd_slice key, uint32_t number)
{
    put_json(writing, HD_STATE_ABOUT, key, json_integer(number));
}

/* Keys and instance, which never change. */
static void
put_identity(struct writing *writing, const struct hd_state_data *data)
{
    const struct hd_hash_key *id = &data->keys.id, *table = &data->keys.table;
    char hex[2][33];

    (void)snprintf(hex[0], sizeof(hex[0]), "%016" PRIx64 "%016" PRIx64, id->k0, id->k1);
    (void)snprintf(hex[1], sizeof(hex[1]), "%016" PRIx64 "%016" PRIx64, table->k0, table->k1);
    put_json(writing, HD_STATE_ABOUT, HD_LIT("instance"),
             json_stringn(data->instance, HD_INSTANCE_TEXT));
    put_json(writing, HD_STATE_ABOUT, HD_LIT("keys"),
             json_pack("{s:s, s:s}", "id", hex[0], "table", hex[1]));
}

static void
put_rule(struct writing *writing, const struct pol_change *change)
{
    char digits[16];
    const int n = snprintf(digits, sizeof(digits), "%" PRIu32, change->rule->id);
    const struct hd_slice key = hd_slice(digits, (size_t)n);

    if (change->gone)
        put_text(writing, HD_STATE_RULES, key, HD_LIT(""));
    else
        put_json(writing, HD_STATE_RULES, key, rule_json(change->rule));
}

/* What has its name for a key. */
static void
put_named(struct writing *writing, enum hd_state_table table, struct hd_slice name, bool gone,
          json_t *json)
{
    if (gone)
        put_text(writing, table, name, HD_LIT(""));
    else
        put_json(writing, table, name, json);
}

static void
put_change(void *context, const struct pol_change *change)
{
    struct writing *writing = context;
    const bool gone = change->gone;

    if (writing->err)
        return;
    switch (change->part) {
    case POL_PART_USER:
        put_named(writing, HD_STATE_USERS, change->user->name, gone,
                  gone ? NULL : user_json(change->user));
        return;
    case POL_PART_LIST:
        put_named(writing, HD_STATE_LISTS, change->list->name, gone,
                  gone ? NULL : list_json(change->list));
        return;
    case POL_PART_TRANSFORM:
        put_named(writing, HD_STATE_TRANSFORMS, change->transform->name, gone,
                  gone ? NULL : transform_json(change->transform));
        return;
    case POL_PART_RULE:
        put_rule(writing, change);
        return;
    }
}

static void
put_book(struct writing *writing, const struct pol_book *before, const struct pol_book *after,
         const struct hd_hash_key *key)
{
    struct pol_book *empty = before ? NULL : pol_book_new(key);

    if (!before && !empty) {
        writing->err = HD_ENOMEM;
        return;
    }
    if (!before || pol_book_next_rule(before) != pol_book_next_rule(after))
        put_number(writing, HD_LIT("next_rule"), pol_book_next_rule(after));
    if (!before || pol_book_next_transform(before) != pol_book_next_transform(after))
        put_number(writing, HD_LIT("next_transform"), pol_book_next_transform(after));
    pol_book_diff(before ? before : empty, after, put_change, writing);
    pol_book_unref(empty);
}

/* Whether a book has this very entry: a change makes another book from the same ones. */
static bool
has_token(const struct api_book *book, const struct api_token *token)
{
    for (size_t i = 0; book && i < book->n_tokens; i++)
        if (book->tokens[i] == token)
            return true;
    return false;
}

static bool
has_hook(const struct api_book *book, const struct api_hook *hook)
{
    for (size_t i = 0; book && i < book->n_hooks; i++)
        if (book->hooks[i] == hook)
            return true;
    return false;
}

static void
put_http(struct writing *writing, const struct api_book *before, const struct api_book *after)
{
    if (before == after)
        return;
    for (size_t i = 0; before && i < before->n_tokens; i++)
        if (!has_token(after, before->tokens[i]))
            put_text(writing, HD_STATE_TOKENS, hd_slice_str(before->tokens[i]->id), HD_LIT(""));
    for (size_t i = 0; before && i < before->n_hooks; i++)
        if (!has_hook(after, before->hooks[i]))
            put_text(writing, HD_STATE_WEBHOOKS, hd_slice_str(before->hooks[i]->id), HD_LIT(""));
    for (size_t i = 0; i < after->n_tokens; i++)
        if (!has_token(before, after->tokens[i]))
            put_json(writing, HD_STATE_TOKENS, hd_slice_str(after->tokens[i]->id),
                     api_token_json(after->tokens[i]));
    for (size_t i = 0; i < after->n_hooks; i++)
        if (!has_hook(before, after->hooks[i]))
            put_json(writing, HD_STATE_WEBHOOKS, hd_slice_str(after->hooks[i]->id),
                     api_hook_json(after->hooks[i]));
}

enum hd_err
hd_state_changes(const struct hd_state_data *before, const struct hd_state_data *after,
                 hd_state_put_f put, void *context)
{
    struct writing writing = { .put = put, .context = context };

    if (!before)
        put_identity(&writing, after);
    put_book(&writing, before ? before->book : NULL, after->book, &after->keys.table);
    put_http(&writing, before ? before->http : NULL, after->http);
    return writing.err;
}
