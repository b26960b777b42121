/* state_json.c - the text of herald.state.
 *
 * The problem: a file that people may look at, and that must never be half understood: what is read
 * is all there and in its range, or the place is named and nothing is taken.  One line for each
 * user and rule, so that a place is easy to find. Invariants: no octet of the file stands in a
 * problem line, since it may be a secret; a key that this version does not know is an error, since
 * saving would lose it. */
#include "heraldd/state_json.h"

#include <inttypes.h>
#include <stdlib.h>

#include <jansson.h>

#include "event/ports.h"

#define FORMAT "herald.state"
#define KEY_HEX 32 /* digits of one hash key */

/* One object of the file while it is read. */
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

static struct object
entry(json_t *array, const char *list, size_t i, char *problem)
{
    struct object object = { .json = json_array_get(array, i), .problem = problem };
    snprintf(object.prefix, sizeof(object.prefix), "%s[%zu].", list, i);
    return object;
}

/* What is read of a book; its arrays are freed together. */
struct parts {
    json_t *users_json, *lists_json, *rules_json, *transforms_json;
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

/* The arrays of the file, with room for what is in them. */
static enum hd_err
parts_open(const struct object *root, struct parts *parts)
{
    parts->users_json = json_object_get(root->json, "users");
    parts->rules_json = json_object_get(root->json, "rules");
    parts->lists_json = json_object_get(root->json, "lists");
    parts->transforms_json = json_object_get(root->json, "transforms");
    if (!json_is_array(parts->users_json))
        return reject(root, "users", "an array is expected");
    if (!json_is_array(parts->rules_json))
        return reject(root, "rules", "an array is expected");
    if (parts->lists_json && !json_is_array(parts->lists_json))
        return reject(root, "lists", "an array is expected");
    if (parts->transforms_json && !json_is_array(parts->transforms_json))
        return reject(root, "transforms", "an array is expected");
    parts->n_users = json_array_size(parts->users_json);
    parts->n_rules = json_array_size(parts->rules_json);
    parts->n_lists = json_array_size(parts->lists_json);
    parts->n_transforms = json_array_size(parts->transforms_json);
    parts->transforms = calloc(parts->n_transforms + 1, sizeof(*parts->transforms));
    parts->users = calloc(parts->n_users + 1, sizeof(*parts->users));
    parts->rules = calloc(parts->n_rules + 1, sizeof(*parts->rules));
    parts->lists = calloc(parts->n_lists + 1, sizeof(*parts->lists));
    return parts->users && parts->rules && parts->lists && parts->transforms ? HD_OK : HD_ENOMEM;
}

static enum hd_err
parts_read(const struct object *root, struct parts *parts)
{
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < parts->n_users && !err; i++) {
        const struct object object = entry(parts->users_json, "users", i, root->problem);
        err = read_user(&object, &parts->users[i]);
    }
    for (size_t i = 0; i < parts->n_lists && !err; i++) {
        const struct object object = entry(parts->lists_json, "lists", i, root->problem);
        err = read_list(&object, &parts->lists[i]);
    }
    for (size_t i = 0; i < parts->n_transforms && !err; i++) {
        const struct object object = entry(parts->transforms_json, "transforms", i, root->problem);
        err = read_transform(&object, &parts->transforms[i]);
    }
    for (size_t i = 0; i < parts->n_rules && !err; i++) {
        const struct object object = entry(parts->rules_json, "rules", i, root->problem);
        err = read_rule(&object, &parts->rules[i]);
    }
    return err;
}

static enum hd_err
reject_place(const struct object *root, const struct parts *parts, const struct pol_place *place)
{
    struct object object = { 0 };

    switch (place->part) {
    case POL_PART_USER:
        object = entry(parts->users_json, "users", place->at, root->problem);
        break;
    case POL_PART_LIST:
        object = entry(parts->lists_json, "lists", place->at, root->problem);
        break;
    case POL_PART_TRANSFORM:
        object = entry(parts->transforms_json, "transforms", place->at, root->problem);
        break;
    case POL_PART_RULE:
        object = entry(parts->rules_json, "rules", place->at, root->problem);
        break;
    }
    return reject(&object, "", "a value that cannot be");
}

/* Users, lists and rules into a book. */
static enum hd_err
read_book(const struct object *root, const struct hd_hash_key *key, struct pol_book **ret_book)
{
    struct parts parts = { 0 };
    struct pol_place place = { .at = 0 };
    uint64_t next_rule = 0, next_transform = 0;
    enum hd_err err = parts_open(root, &parts);

    if (!err)
        err = get_number(root, "next_rule", UINT32_MAX, &next_rule);
    if (!err && json_object_get(root->json, "next_transform"))
        err = get_number(root, "next_transform", 255, &next_transform);
    if (!err)
        err = parts_read(root, &parts);
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
    if (err == HD_ESYNTAX)
        err = reject_place(root, &parts, &place);
    else if (err == HD_EFULL)
        err = reject(root, "rules", "more than can be kept");
out:
    parts_done(&parts);
    return err;
}

static enum hd_err
read_root(const struct object *root, struct hd_state_data *ret_data)
{
    static const char *const known[] = { "format",     "version",        "instance", "keys",
                                         "next_rule",  "users",          "rules",    "lists",
                                         "transforms", "next_transform", "tokens",   "webhooks" };
    static const char *const known_keys[] = { "id", "table" };
    struct hd_state_data data = { 0 };
    struct hd_slice text;
    uint64_t version;
    enum hd_err err;

    if (!json_is_object(root->json))
        return reject(root, "the start", "an object is expected");
    err = get_text(root, "format", &text);
    if (!err && !hd_slice_eq(text, HD_LIT(FORMAT)))
        err = reject(root, "format", "this is not the state of a herald");
    if (!err)
        err = get_number(root, "version", INT64_MAX, &version);
    if (err)
        return err;
    /* What else a newer file holds is not ours to judge. */
    if (version > HD_STATE_VERSION) {
        snprintf(root->problem, HD_STATE_PLACE,
                 "written by a newer herald: version %" PRIu64 ", this one reads up to %d", version,
                 HD_STATE_VERSION);
        return HD_EVERSION;
    }
    if (version == 0)
        return reject(root, "version", "a whole number in range is expected");
    err = check_keys(root, known, HD_ARRAY_LEN(known));
    if (!err)
        err = get_text(root, "instance", &text);
    if (!err && !hd_instance_ok(text))
        err = reject(root, "instance", "\"urn:uuid:\" and a UUID are expected");
    if (err)
        return err;
    memcpy(data.instance, text.p, HD_INSTANCE_TEXT);
    const struct object keys = { .json = json_object_get(root->json, "keys"),
                                 .prefix = "keys.",
                                 .problem = root->problem };
    err = check_keys(&keys, known_keys, HD_ARRAY_LEN(known_keys));
    if (!err)
        err = get_key(&keys, "id", &data.keys.id);
    if (!err)
        err = get_key(&keys, "table", &data.keys.table);
    if (!err)
        err = read_book(root, &data.keys.table, &data.book);
    if (!err)
        err = api_book_read(json_object_get(root->json, "tokens"),
                            json_object_get(root->json, "webhooks"), root->problem, &data.http);
    if (err)
        data.book = pol_book_unref(data.book);
    else
        *ret_data = data;
    return err;
}

enum hd_err
hd_state_read(struct hd_slice text, char ret_problem[HD_STATE_PLACE],
              struct hd_state_data *ret_data)
{
    json_error_t error;
    struct object root = { .problem = ret_problem };

    root.json = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &error);
    if (!root.json) {
        if (json_error_code(&error) == json_error_out_of_memory) {
            snprintf(ret_problem, HD_STATE_PLACE, "memory is short");
            return HD_ENOMEM;
        }
        /* The reader's own words end in a piece of the file. */
        snprintf(ret_problem, HD_STATE_PLACE,
                 "damaged at line %d, column %d: not JSON%s; %zu octets were read", error.line,
                 error.column,
                 json_error_code(&error) == json_error_premature_end_of_input
                     ? ", it ends too early"
                     : "",
                 text.n);
        return HD_ESYNTAX;
    }
    const enum hd_err err = read_root(&root, ret_data);
    if (err == HD_ENOMEM)
        snprintf(ret_problem, HD_STATE_PLACE, "memory is short");
    json_decref(root.json);
    return err;
}

/* ---- writing ---- */

struct gather {
    const void **entries;
    size_t n;
};

static bool
gather_user(void *context, const struct pol_user *user)
{
    struct gather *gather = context;
    gather->entries[gather->n++] = user;
    return true;
}

static bool
gather_list(void *context, const struct pol_list *list)
{
    struct gather *gather = context;
    gather->entries[gather->n++] = list;
    return true;
}

static bool
gather_rule(void *context, const struct pol_rule *rule)
{
    struct gather *gather = context;
    gather->entries[gather->n++] = rule;
    return true;
}

static bool
gather_transform(void *context, const struct pol_transform *transform)
{
    struct gather *gather = context;
    gather->entries[gather->n++] = transform;
    return true;
}

static int
compare_users(const void *left, const void *right)
{
    const struct pol_user *a = *(const struct pol_user *const *)left;
    const struct pol_user *b = *(const struct pol_user *const *)right;
    return hd_slice_cmp(a->name, b->name);
}

static int
compare_rules(const void *left, const void *right)
{
    const struct pol_rule *a = *(const struct pol_rule *const *)left;
    const struct pol_rule *b = *(const struct pol_rule *const *)right;
    int order = (a->id > b->id) - (a->id < b->id);
    if (order == 0)
        order = hd_slice_cmp(a->resource, b->resource);
    if (order == 0)
        order = hd_slice_cmp(a->watcher, b->watcher);
    return order ? order : hd_slice_cmp(a->package, b->package);
}

static int
compare_lists(const void *left, const void *right)
{
    const struct pol_list *a = *(const struct pol_list *const *)left;
    const struct pol_list *b = *(const struct pol_list *const *)right;
    return hd_slice_cmp(a->name, b->name);
}

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

static bool
write_user(FILE *file, const struct pol_user *user)
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
    ok = ok && json_dumpf(object, file, JSON_COMPACT) == 0;
    json_decref(object);
    return ok;
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

static bool
write_rule(FILE *file, const struct pol_rule *rule)
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
        (!rule->shadow || json_object_set_new(object, "shadow", json_true()) == 0) &&
        json_dumpf(object, file, JSON_COMPACT) == 0;
    json_decref(object);
    return ok;
}

static bool
write_list(FILE *file, const struct pol_list *list)
{
    json_t *object = json_object();
    const bool ok = object && set_text(object, "name", list->name) &&
                    set_texts(object, "members", list->members, list->n) &&
                    json_dumpf(object, file, JSON_COMPACT) == 0;
    json_decref(object);
    return ok;
}

static bool
write_transform(FILE *file, const struct pol_transform *transform)
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
        (r->civic == FMT_CIVIC_NONE || set_text(object, "civic", fmt_civic_word(r->civic))) &&
        json_dumpf(object, file, JSON_COMPACT) == 0;
    json_decref(object);
    return ok;
}

static bool
write_transform_entry(FILE *file, const void *entry)
{
    return write_transform(file, entry);
}

static bool
write_user_entry(FILE *file, const void *entry)
{
    return write_user(file, entry);
}

static bool
write_list_entry(FILE *file, const void *entry)
{
    return write_list(file, entry);
}

static bool
write_rule_entry(FILE *file, const void *entry)
{
    return write_rule(file, entry);
}

static bool
write_json(FILE *file, json_t *json)
{
    const bool ok = json && json_dumpf(json, file, JSON_COMPACT) == 0;
    json_decref(json);
    return ok;
}

static bool
write_token_entry(FILE *file, const void *entry)
{
    return write_json(file, api_token_json(entry));
}

static bool
write_hook_entry(FILE *file, const void *entry)
{
    return write_json(file, api_hook_json(entry));
}

/* "name":[, each entry on a line of its own, ] */
static bool
write_entries(FILE *file, const char *name, const struct gather *gather,
              bool (*write)(FILE *file, const void *entry))
{
    fprintf(file, "\"%s\":[", name);
    for (size_t i = 0; i < gather->n; i++) {
        fputs(i ? ",\n" : "\n", file);
        if (!write(file, gather->entries[i]))
            return false;
    }
    fputs("]", file);
    return true;
}

/* What the HTTP face has given out, when it has. */
static bool
write_http(FILE *file, const struct api_book *http)
{
    const struct gather tokens = { (const void **)(uintptr_t)http->tokens, http->n_tokens };
    const struct gather hooks = { (const void **)(uintptr_t)http->hooks, http->n_hooks };

    if (tokens.n) {
        fputs(",\n", file);
        if (!write_entries(file, "tokens", &tokens, write_token_entry))
            return false;
    }
    if (!hooks.n)
        return true;
    fputs(",\n", file);
    return write_entries(file, "webhooks", &hooks, write_hook_entry);
}

static void
write_head(FILE *file, const struct hd_state_data *data)
{
    const struct hd_hash_key *id = &data->keys.id, *table = &data->keys.table;

    fprintf(file, "{\"format\":\"" FORMAT "\",\"version\":%d,\n\"instance\":\"%.*s\",\n",
            HD_STATE_VERSION, HD_INSTANCE_TEXT, data->instance);
    fprintf(file,
            "\"keys\":{\"id\":\"%016" PRIx64 "%016" PRIx64 "\",\"table\":\"%016" PRIx64
            "%016" PRIx64 "\"},\n",
            id->k0, id->k1, table->k0, table->k1);
    fprintf(file, "\"next_rule\":%" PRIu32 ",\n", pol_book_next_rule(data->book));
    if (pol_book_next_transform(data->book))
        fprintf(file, "\"next_transform\":%u,\n", pol_book_next_transform(data->book));
}

enum hd_err
hd_state_write(FILE *file, const struct hd_state_data *data)
{
    const struct pol_book *book = data->book;
    struct gather users = { .entries = malloc((pol_book_user_count(book) + 1) * sizeof(void *)) };
    struct gather lists = { .entries = malloc((pol_book_list_count(book) + 1) * sizeof(void *)) };
    struct gather rules = { .entries = malloc((pol_book_rule_count(book) + 1) * sizeof(void *)) };
    struct gather transforms = { .entries = malloc((pol_book_transform_count(book) + 1) *
                                                   sizeof(void *)) };
    enum hd_err err = HD_ENOMEM;

    if (!users.entries || !lists.entries || !rules.entries || !transforms.entries)
        goto out;
    pol_book_each_user(book, gather_user, &users);
    pol_book_each_list(book, gather_list, &lists);
    pol_book_each_rule(book, gather_rule, &rules);
    pol_book_each_transform(book, gather_transform, &transforms);
    qsort(users.entries, users.n, sizeof(void *), compare_users);
    qsort(lists.entries, lists.n, sizeof(void *), compare_lists);
    qsort(rules.entries, rules.n, sizeof(void *), compare_rules);
    write_head(file, data);
    bool ok = write_entries(file, "users", &users, write_user_entry);
    fputs(",\n", file);
    ok = ok && write_entries(file, "lists", &lists, write_list_entry);
    fputs(",\n", file);
    ok = ok && write_entries(file, "transforms", &transforms, write_transform_entry);
    fputs(",\n", file);
    ok = ok && write_entries(file, "rules", &rules, write_rule_entry) &&
         write_http(file, data->http);
    fputs("}\n", file);
    if (fflush(file) != 0 || ferror(file))
        err = HD_EIO;
    else
        err = ok ? HD_OK : HD_ENOMEM;
out:
    free(users.entries);
    free(lists.entries);
    free(rules.entries);
    free(transforms.entries);
    return err;
}
