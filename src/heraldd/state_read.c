/* state_read.c - the rows of herald.db, read.
 *
 * The problem: what was kept must never be half understood: what is read is all there and in its
 * range, or the row is named and nothing is taken.  Invariants: no octet of a row stands in a
 * problem line, since it may be a secret; a key that this version does not know is an error, since
 * saving would lose it; a row stands under the name that its text has. */
#include "heraldd/state_rows.h"

#include <inttypes.h>
#include <stdlib.h>

#include <jansson.h>

#include "event/ports.h"

#define KEY_HEX 32 /* digits of one hash key */

/* One object while it is read. */
struct object {
    json_t *json;
    char prefix[64]; /* "", "keys.", "users[3]." */
    char *problem;
};

static enum hd_err
reject(const struct object *object, const char *key, const char *what)
{
    snprintf(object->problem, HD_STATE_PLACE, "damaged at %s%s: %s", object->prefix, key, what);
    return HD_ESYNTAX;
}

/* ---- reading values ---- */

/* Whether it is an object with no keys but these. */
static enum hd_err
check_keys(const struct object *object, const char *const *known, size_t n)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object->json))
        return reject(object, "", "an object is expected");
    json_object_foreach(object->json, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < n && !found; i++)
            found = strcmp(key, known[i]) == 0;
        if (!found)
            return reject(object, "", "there is a key that is not of this version");
    }
    return HD_OK;
}

static enum hd_err
get_text(const struct object *object, const char *key, struct hd_slice *ret_text)
{
    const json_t *value = json_object_get(object->json, key);
    if (!json_is_string(value))
        return reject(object, key, "a string is expected");
    *ret_text = hd_slice(json_string_value(value), json_string_length(value));
    return HD_OK;
}

static enum hd_err
get_number(const struct object *object, const char *key, uint64_t most, uint64_t *ret_number)
{
    const json_t *value = json_object_get(object->json, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > most)
        return reject(object, key, "a whole number in range is expected");
    *ret_number = (uint64_t)json_integer_value(value);
    return HD_OK;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum hd_err
get_key(const struct object *object, const char *key, struct hd_hash_key *ret_key)
{
    struct hd_slice text;
    uint64_t half[2] = { 0 };
    const enum hd_err err = get_text(object, key, &text);

    if (err)
        return err;
    for (size_t i = 0; i < text.n && i < KEY_HEX; i++) {
        const int digit = hex_digit(text.p[i]);
        if (digit < 0)
            break;
        half[i / 16] = half[i / 16] << 4 | (unsigned)digit;
        if (i == KEY_HEX - 1 && text.n == KEY_HEX) {
            *ret_key = (struct hd_hash_key){ half[0], half[1] };
            return HD_OK;
        }
    }
    return reject(object, key, "32 lower-case hexadecimal digits are expected");
}

bool
hd_instance_ok(struct hd_slice text)
{
    const struct hd_slice urn = HD_LIT("urn:uuid:");
    if (text.n != HD_INSTANCE_TEXT || !hd_slice_starts(text, urn))
        return false;
    const struct hd_slice uuid = hd_slice_from(text, urn.n);
    for (size_t i = 0; i < uuid.n; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? uuid.p[i] != '-' : hex_digit(uuid.p[i]) < 0)
            return false;
    }
    return true;
}

/* ---- reading entries ---- */

/* An array of strings, the caller's to free; NULL with *ret_n 0 when the key is not there. */
static enum hd_err
get_texts(const struct object *object, const char *key, struct hd_slice **ret_texts, size_t *ret_n)
{
    const json_t *array = json_object_get(object->json, key);
    const size_t n = json_array_size(array);

    *ret_texts = NULL;
    *ret_n = 0;
    if (!array)
        return HD_OK;
    if (!json_is_array(array))
        return reject(object, key, "an array of strings is expected");
    struct hd_slice *texts = calloc(n + 1, sizeof(*texts));
    if (!texts)
        return HD_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_string(value)) {
            free(texts);
            return reject(object, key, "an array of strings is expected");
        }
        texts[i] = hd_slice(json_string_value(value), json_string_length(value));
    }
    *ret_texts = texts;
    *ret_n = n;
    return HD_OK;
}

/* Realm and HA1 values, of a user or of one of his further logins. */
static enum hd_err
read_ha1(const struct object *object, struct pol_login *ret_login)
{
    static const char *const ha1_keys[SIP_DIGEST_COUNT] = { NULL, "md5", "sha256" };
    enum hd_err err = get_text(object, "realm", &ret_login->realm);

    for (unsigned a = SIP_DIGEST_MD5; !err && a < SIP_DIGEST_COUNT; a++)
        if (json_object_get(object->json, ha1_keys[a]))
            err = get_text(object, ha1_keys[a], &ret_login->ha1[a]);
    return err;
}

static enum hd_err
read_login(const struct object *object, struct pol_login *ret_login)
{
    static const char *const known[] = { "realm", "username", "md5", "sha256" };
    enum hd_err err = check_keys(object, known, HD_ARRAY_LEN(known));

    if (!err && json_object_get(object->json, "username"))
        err = get_text(object, "username", &ret_login->username);
    return err ? err : read_ha1(object, ret_login);
}

/* What he logs in with: one login beside his name, further ones in an array. */
static enum hd_err
read_logins(const struct object *object, struct pol_user *user)
{
    json_t *more = json_object_get(object->json, "logins");
    const size_t n = json_array_size(more);
    size_t k = 0;
    enum hd_err err = HD_OK;

    if (more && (!json_is_array(more) || n > POL_LOGINS_MAX))
        return reject(object, "logins", "an array of at most 8 objects is expected");
    struct pol_login *logins = calloc(n + 1, sizeof(*logins));
    if (!logins)
        return HD_ENOMEM;
    user->logins = logins;
    if (!more || json_object_get(object->json, "realm"))
        err = read_ha1(object, &logins[k++]);
    for (size_t i = 0; i < n && !err; i++) {
        struct object login = { .json = json_array_get(more, i), .problem = object->problem };
        (void)snprintf(login.prefix, sizeof(login.prefix), "%.30slogins[%u].", object->prefix,
                       (unsigned)i);
        err = read_login(&login, &logins[k++]);
    }
    user->n_logins = (uint8_t)k;
    return err;
}

/* Its arrays are the caller's to free, also on an error. */
static enum hd_err
read_user(const struct object *object, struct pol_user *ret_user)
{
    static const char *const known[] = { "name",   "realm",   "md5",      "sha256",
                                         "logins", "created", "addresses" };
    struct hd_slice *addresses = NULL;
    size_t n = 0;
    enum hd_err err = check_keys(object, known, HD_ARRAY_LEN(known));

    *ret_user = (struct pol_user){ 0 };
    if (!err)
        err = get_text(object, "name", &ret_user->name);
    if (!err)
        err = read_logins(object, ret_user);
    if (!err)
        err = get_number(object, "created", INT64_MAX, &ret_user->created_s);
    if (!err)
        err = get_texts(object, "addresses", &addresses, &n);
    ret_user->addresses = addresses;
    if (!err && n > POL_ADDRESSES_MAX)
        err = reject(object, "addresses", "an array of at most 8 strings is expected");
    ret_user->n_addresses = err ? 0 : (uint8_t)n;
    return err;
}

static enum hd_err
read_proofs(const struct object *object, struct pol_rule *rule)
{
    struct hd_slice *words;
    size_t n;
    enum hd_err err = get_texts(object, "proof", &words, &n);

    if (err)
        return err;
    for (size_t i = 0; i < n && !err; i++)
        err = pol_proof_read(words[i], &rule->proofs);
    free(words);
    return err ? reject(object, "proof",
                        "\"from\", \"digest\", \"asserted\" \"tls\" or \"token\" is expected")
               : HD_OK;
}

/* What a rule need not have. */
static enum hd_err
read_rule_options(const struct object *object, struct pol_rule *rule)
{
    const json_t *shadow = json_object_get(object->json, "shadow");
    struct hd_slice *except;
    enum hd_err err = HD_OK;

    if (json_object_get(object->json, "from"))
        err = get_number(object, "from", INT64_MAX, &rule->from_s);
    if (!err && json_object_get(object->json, "until"))
        err = get_number(object, "until", INT64_MAX, &rule->until_s);
    if (!err && json_object_get(object->json, "since"))
        err = get_number(object, "since", INT64_MAX, &rule->since_s);
    if (!err && shadow && !json_is_true(shadow))
        err = reject(object, "shadow", "true is expected");
    rule->shadow = shadow != NULL;
    if (!err && json_object_get(object->json, "transform"))
        err = get_text(object, "transform", &rule->transform);
    if (!err && json_object_get(object->json, "proof"))
        err = read_proofs(object, rule);
    if (!err)
        err = get_texts(object, "except", &except, &rule->n_except);
    if (!err)
        rule->except = except;
    return err;
}

/* Its exceptions are the caller's to free, also on an error. */
static enum hd_err
read_rule(const struct object *object, struct pol_rule *ret_rule)
{
    static const char *const known[] = { "id",     "resource", "watcher",   "package",
                                         "action", "since",    "from",      "until",
                                         "except", "shadow",   "transform", "proof" };
    struct hd_slice action = { 0 };
    uint64_t id = 0;
    enum hd_err err = check_keys(object, known, HD_ARRAY_LEN(known));

    *ret_rule = (struct pol_rule){ 0 };
    if (!err)
        err = get_number(object, "id", UINT32_MAX - 1, &id);
    if (!err)
        err = get_text(object, "resource", &ret_rule->resource);
    if (!err)
        err = get_text(object, "watcher", &ret_rule->watcher);
    if (!err)
        err = get_text(object, "package", &ret_rule->package);
    if (!err)
        err = get_text(object, "action", &action);
    if (err)
        return err;
    if (pol_action_read(action, &ret_rule->action))
        return reject(object, "action",
                      "\"allow\", \"confirm\", \"polite-block\", \"block\" or \"publish\" is "
                      "expected");
    ret_rule->id = (uint32_t)id;
    if (!id)
        return reject(object, "id", "a whole number in range is expected");
    return read_rule_options(object, ret_rule);
}

/* Its arrays are the caller's to free, also on an error. */
static enum hd_err
read_transform(const struct object *object, struct pol_transform *ret_transform)
{
    static const char *const known[] = { "name",    "number", "hide", "only",
                                         "provide", "circle", "civic" };
    struct fmt_reduction *r = &ret_transform->reduction;
    struct hd_slice *hide, *only, *provide, civic;
    uint64_t number = 0, circle_m = 0;
    enum hd_err err = check_keys(object, known, HD_ARRAY_LEN(known));

    *ret_transform = (struct pol_transform){ 0 };
    if (!err)
        err = get_text(object, "name", &ret_transform->name);
    if (!err)
        err = get_number(object, "number", 255, &number);
    if (!err && json_object_get(object->json, "circle"))
        err = get_number(object, "circle", UINT32_MAX, &circle_m);
    if (!err && json_object_get(object->json, "civic")) {
        err = get_text(object, "civic", &civic);
        if (!err && fmt_civic_read(civic, &r->civic))
            err = reject(object, "civic", "a level of civic addresses is expected");
    }
    if (!err && !(err = get_texts(object, "hide", &hide, &r->n_hide)))
        r->hide = hide;
    if (!err && !(err = get_texts(object, "only", &only, &r->n_only)))
        r->only = only;
    if (!err && !(err = get_texts(object, "provide", &provide, &r->n_provide)))
        r->provide = provide;
    ret_transform->number = (uint8_t)number;
    r->circle_m = (uint32_t)circle_m;
    return err;
}

/* Its members are the caller's to free. */
static enum hd_err
read_list(const struct object *object, struct pol_list *ret_list)
{
    static const char *const known[] = { "name", "members" };
    struct hd_slice *members = NULL;
    enum hd_err err = check_keys(object, known, HD_ARRAY_LEN(known));

    *ret_list = (struct pol_list){ 0 };
    if (!err)
        err = get_text(object, "name", &ret_list->name);
    if (!err)
        err = get_texts(object, "members", &members, &ret_list->n);
    if (!err && !members)
        err = reject(object, "members", "an array of strings is expected");
    ret_list->members = members;
    return err;
}

/* The rows of one table, as they came. */
struct rows {
    json_t **json;
    int64_t *numbers;
    size_t n, cap;
};

struct hd_state_reader {
    struct rows tables[HD_STATE_TABLES];
    json_t *about; /* its rows are members of one object */
};

static struct object
entry(const struct hd_state_reader *reader, enum hd_state_table table, size_t i, char *problem)
{
    const struct rows *rows = &reader->tables[table];
    struct object object = { .json = rows->json[i], .problem = problem };

    (void)snprintf(object.prefix, sizeof(object.prefix), "%s[%" PRId64 "].",
                   hd_state_table_name(table), rows->numbers[i]);
    return object;
}

/* What is read of a book; its arrays are freed together. */
struct parts {
    struct pol_user *users;
    struct pol_list *lists;
    struct pol_rule *rules;
    struct pol_transform *transforms;
    size_t n_users, n_lists, n_rules, n_transforms;
};

static void
free_array(const void *array)
{
    free((void *)(uintptr_t)array);
}

static void
parts_done(struct parts *parts)
{
    for (size_t i = 0; parts->users && i < parts->n_users; i++) {
        free_array(parts->users[i].logins);
        free_array(parts->users[i].addresses);
    }
    for (size_t i = 0; parts->lists && i < parts->n_lists; i++)
        free_array(parts->lists[i].members);
    for (size_t i = 0; parts->rules && i < parts->n_rules; i++)
        free_array(parts->rules[i].except);
    for (size_t i = 0; parts->transforms && i < parts->n_transforms; i++) {
        free_array(parts->transforms[i].reduction.hide);
        free_array(parts->transforms[i].reduction.only);
        free_array(parts->transforms[i].reduction.provide);
    }
    free(parts->transforms);
    free(parts->users);
    free(parts->lists);
    free(parts->rules);
}

/* Room for what is in the rows. */
static enum hd_err
parts_open(const struct hd_state_reader *reader, struct parts *parts)
{
    parts->n_users = reader->tables[HD_STATE_USERS].n;
    parts->n_lists = reader->tables[HD_STATE_LISTS].n;
    parts->n_rules = reader->tables[HD_STATE_RULES].n;
    parts->n_transforms = reader->tables[HD_STATE_TRANSFORMS].n;
    parts->transforms = calloc(parts->n_transforms + 1, sizeof(*parts->transforms));
    parts->users = calloc(parts->n_users + 1, sizeof(*parts->users));
    parts->rules = calloc(parts->n_rules + 1, sizeof(*parts->rules));
    parts->lists = calloc(parts->n_lists + 1, sizeof(*parts->lists));
    return parts->users && parts->rules && parts->lists && parts->transforms ? HD_OK : HD_ENOMEM;
}

static enum hd_err
parts_read(const struct hd_state_reader *reader, struct parts *parts, char *problem)
{
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < parts->n_users && !err; i++) {
        const struct object object = entry(reader, HD_STATE_USERS, i, problem);
        err = read_user(&object, &parts->users[i]);
    }
    for (size_t i = 0; i < parts->n_lists && !err; i++) {
        const struct object object = entry(reader, HD_STATE_LISTS, i, problem);
        err = read_list(&object, &parts->lists[i]);
    }
    for (size_t i = 0; i < parts->n_transforms && !err; i++) {
        const struct object object = entry(reader, HD_STATE_TRANSFORMS, i, problem);
        err = read_transform(&object, &parts->transforms[i]);
    }
    for (size_t i = 0; i < parts->n_rules && !err; i++) {
        const struct object object = entry(reader, HD_STATE_RULES, i, problem);
        err = read_rule(&object, &parts->rules[i]);
    }
    return err;
}

static enum hd_state_table
table_of(enum pol_part part)
{
    switch (part) {
    case POL_PART_USER:
        return HD_STATE_USERS;
    case POL_PART_LIST:
        return HD_STATE_LISTS;
    case POL_PART_TRANSFORM:
        return HD_STATE_TRANSFORMS;
    case POL_PART_RULE:
        break;
    }
    return HD_STATE_RULES;
}

/* Users, lists and rules into a book. */
static enum hd_err
read_book(const struct hd_state_reader *reader, const struct object *about,
          const struct hd_hash_key *key, struct pol_book **ret_book)
{
    struct parts parts = { 0 };
    struct pol_place place = { .at = 0 };
    uint64_t next_rule = 0, next_transform = 0;
    enum hd_err err = parts_open(reader, &parts);

    if (!err)
        err = get_number(about, "next_rule", UINT32_MAX, &next_rule);
    if (!err)
        err = get_number(about, "next_transform", 255, &next_transform);
    if (!err)
        err = parts_read(reader, &parts, about->problem);
    if (err)
        goto out;
    err = pol_book_load(key,
                        &(struct pol_contents){ .users = parts.users,
                                                .lists = parts.lists,
                                                .rules = parts.rules,
                                                .n_users = parts.n_users,
                                                .n_lists = parts.n_lists,
                                                .n_rules = parts.n_rules,
                                                .transforms = parts.transforms,
                                                .n_transforms = parts.n_transforms,
                                                .next_transform = (uint8_t)next_transform,
                                                .next_rule = (uint32_t)next_rule },
                        &place, ret_book);
    if (err == HD_ESYNTAX) {
        const struct object object = entry(reader, table_of(place.part), place.at, about->problem);
        err = reject(&object, "", "a value that cannot be");
    } else if (err == HD_EFULL) {
        (void)snprintf(about->problem, HD_STATE_PLACE, "damaged: more rules than can be kept");
    }
out:
    parts_done(&parts);
    return err;
}

/* What stands in the table "about". */
static enum hd_err
read_about(const struct object *about, struct hd_state_data *data)
{
    static const char *const known[] = { "instance", "keys", "next_rule", "next_transform" };
    static const char *const known_keys[] = { "id", "table" };
    const struct object keys = { .json = json_object_get(about->json, "keys"),
                                 .prefix = "about.keys.",
                                 .problem = about->problem };
    struct hd_slice text;
    enum hd_err err = check_keys(about, known, HD_ARRAY_LEN(known));

    if (!err)
        err = get_text(about, "instance", &text);
    if (!err && !hd_instance_ok(text))
        err = reject(about, "instance", "\"urn:uuid:\" and a UUID are expected");
    if (err)
        return err;
    memcpy(data->instance, text.p, HD_INSTANCE_TEXT);
    err = check_keys(&keys, known_keys, HD_ARRAY_LEN(known_keys));
    if (!err)
        err = get_key(&keys, "id", &data->keys.id);
    return err ? err : get_key(&keys, "table", &data->keys.table);
}

/* ---- rows ---- */

struct hd_slice
hd_state_table_key(enum hd_state_table table)
{
    switch (table) {
    case HD_STATE_USERS:
    case HD_STATE_LISTS:
    case HD_STATE_TRANSFORMS:
        return HD_LIT("name");
    case HD_STATE_RULES:
    case HD_STATE_TOKENS:
    case HD_STATE_WEBHOOKS:
        return HD_LIT("id");
    case HD_STATE_ABOUT:
    case HD_STATE_TABLES:
        break;
    }
    return HD_LIT("");
}

const char *
hd_state_table_name(enum hd_state_table table)
{
    static const char *const names[HD_STATE_TABLES] = { "about", "users",  "lists",   "transforms",
                                                        "rules", "tokens", "webhooks" };
    return names[table];
}

struct hd_state_reader *
hd_state_reader_new(void)
{
    struct hd_state_reader *reader = calloc(1, sizeof(*reader));

    if (reader)
        reader->about = json_object();
    if (reader && reader->about)
        return reader;
    hd_state_reader_free(reader);
    return NULL;
}

void
hd_state_reader_free(struct hd_state_reader *reader)
{
    if (!reader)
        return;
    for (unsigned t = 0; t < HD_STATE_TABLES; t++) {
        for (size_t i = 0; i < reader->tables[t].n; i++)
            json_decref(reader->tables[t].json[i]);
        free(reader->tables[t].json);
        free(reader->tables[t].numbers);
    }
    json_decref(reader->about);
    free(reader);
}

/* Takes the reference. */
static bool
rows_add(struct rows *rows, json_t *json, int64_t number)
{
    if (rows->n == rows->cap) {
        const size_t cap = rows->cap ? 2 * rows->cap : 64;
        json_t **more = realloc(rows->json, cap * sizeof(json_t *));
        if (more)
            rows->json = more;
        int64_t *more_numbers = realloc(rows->numbers, cap * sizeof(*rows->numbers));
        if (more_numbers)
            rows->numbers = more_numbers;
        if (!more || !more_numbers) {
            json_decref(json);
            return false;
        }
        rows->cap = cap;
    }
    rows->numbers[rows->n] = number;
    rows->json[rows->n++] = json;
    return true;
}

/* Whether a row stands under its own name. */
static bool
has_key(enum hd_state_table table, const json_t *json, struct hd_slice key)
{
    const json_t *own = json_object_get(json, hd_state_table_key(table).p);
    char digits[24];

    if (json_is_integer(own)) {
        const int n =
            snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(own));
        return hd_slice_eq(hd_slice(digits, (size_t)n), key);
    }
    return json_is_string(own) &&
           hd_slice_eq(hd_slice(json_string_value(own), json_string_length(own)), key);
}

enum hd_err
hd_state_reader_row(struct hd_state_reader *reader, const struct hd_state_row *row,
                    char ret_problem[HD_STATE_PLACE])
{
    struct object object = { .problem = ret_problem };
    json_error_t error;

    (void)snprintf(object.prefix, sizeof(object.prefix), "%s[%" PRId64 "]",
                   hd_state_table_name(row->table), row->number);
    object.json = json_loadb(row->text.p ? row->text.p : "", row->text.n,
                             JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    /* The reader's own words end in a piece of the row. */
    if (!object.json && json_error_code(&error) != json_error_out_of_memory)
        return reject(&object, "", "not JSON");
    if (!object.json)
        goto short_of_memory;
    if (row->table != HD_STATE_ABOUT && !has_key(row->table, object.json, row->key)) {
        json_decref(object.json);
        return reject(&object, "", "it stands under another name than its own");
    }
    if (row->table == HD_STATE_ABOUT
            ? json_object_setn_new_nocheck(reader->about, row->key.p, row->key.n, object.json) == 0
            : rows_add(&reader->tables[row->table], object.json, row->number))
        return HD_OK;
short_of_memory:
    (void)snprintf(ret_problem, HD_STATE_PLACE, "memory is short");
    return HD_ENOMEM;
}

enum hd_err
hd_state_reader_end(const struct hd_state_reader *reader, char ret_problem[HD_STATE_PLACE],
                    struct hd_state_data *ret_data)
{
    const struct object about = { .json = reader->about,
                                  .prefix = "about.",
                                  .problem = ret_problem };
    const struct rows *tokens = &reader->tables[HD_STATE_TOKENS];
    const struct rows *hooks = &reader->tables[HD_STATE_WEBHOOKS];
    struct hd_state_data data = { 0 };
    enum hd_err err = read_about(&about, &data);

    if (!err)
        err = read_book(reader, &about, &data.keys.table, &data.book);
    if (!err)
        err = api_book_read(&(struct api_rows){ tokens->json, tokens->numbers, tokens->n },
                            &(struct api_rows){ hooks->json, hooks->numbers, hooks->n },
                            ret_problem, &data.http);
    if (err == HD_ENOMEM)
        (void)snprintf(ret_problem, HD_STATE_PLACE, "memory is short");
    if (err)
        data.book = pol_book_unref(data.book);
    else
        *ret_data = data;
    return err;
}
