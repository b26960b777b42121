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

#define FORMAT "herald.state"
#define KEY_HEX 32 /* digits of one hash key */

/* One object of the file while it is read. */
struct object {
    json_t *json;
    char prefix[32]; /* "", "keys.", "users[3]." */
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

static enum hd_err
read_user(const struct object *object, struct pol_user *ret_user)
{
    static const char *const known[] = { "name", "realm", "md5", "sha256", "created" };
    static const char *const ha1_keys[SIP_DIGEST_COUNT] = { NULL, "md5", "sha256" };
    enum hd_err err = check_keys(object, known, HD_ARRAY_LEN(known));

    *ret_user = (struct pol_user){ 0 };
    if (!err)
        err = get_text(object, "name", &ret_user->name);
    if (!err)
        err = get_text(object, "realm", &ret_user->realm);
    if (!err)
        err = get_number(object, "created", INT64_MAX, &ret_user->created_s);
    for (unsigned a = SIP_DIGEST_MD5; !err && a < SIP_DIGEST_COUNT; a++)
        if (json_object_get(object->json, ha1_keys[a]))
            err = get_text(object, ha1_keys[a], &ret_user->ha1[a]);
    return err;
}

static enum hd_err
read_rule(const struct object *object, struct pol_rule *ret_rule)
{
    static const char *const known[] = { "id", "resource", "watcher", "package", "action" };
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
    if (hd_slice_eq(action, HD_LIT("allow")))
        ret_rule->action = POL_ALLOW;
    else if (hd_slice_eq(action, HD_LIT("block")))
        ret_rule->action = POL_BLOCK;
    else
        return reject(object, "action", "\"allow\" or \"block\" is expected");
    ret_rule->id = (uint32_t)id;
    return id ? HD_OK : reject(object, "id", "a whole number in range is expected");
}

static struct object
entry(json_t *array, const char *list, size_t i, char *problem)
{
    struct object object = { .json = json_array_get(array, i), .problem = problem };
    snprintf(object.prefix, sizeof(object.prefix), "%s[%zu].", list, i);
    return object;
}

/* Users and rules into a book. */
static enum hd_err
read_book(const struct object *root, const struct hd_hash_key *key, struct pol_book **ret_book)
{
    json_t *users_json = json_object_get(root->json, "users");
    json_t *rules_json = json_object_get(root->json, "rules");
    struct pol_user *users = NULL;
    struct pol_rule *rules = NULL;
    uint64_t next_rule;
    size_t bad = 0;
    enum hd_err err;

    if (!json_is_array(users_json))
        return reject(root, "users", "an array is expected");
    if (!json_is_array(rules_json))
        return reject(root, "rules", "an array is expected");
    err = get_number(root, "next_rule", UINT32_MAX, &next_rule);
    if (err)
        return err;
    const size_t n_users = json_array_size(users_json), n_rules = json_array_size(rules_json);
    users = calloc(n_users + 1, sizeof(*users));
    rules = calloc(n_rules + 1, sizeof(*rules));
    if (!users || !rules) {
        err = HD_ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < n_users && !err; i++) {
        const struct object object = entry(users_json, "users", i, root->problem);
        err = read_user(&object, &users[i]);
    }
    for (size_t i = 0; i < n_rules && !err; i++) {
        const struct object object = entry(rules_json, "rules", i, root->problem);
        err = read_rule(&object, &rules[i]);
    }
    if (err)
        goto out;
    err = pol_book_load(key, users, n_users, rules, n_rules, (uint32_t)next_rule, &bad, ret_book);
    if (err == HD_ESYNTAX) {
        const struct object object = bad < n_users
                                         ? entry(users_json, "users", bad, root->problem)
                                         : entry(rules_json, "rules", bad - n_users, root->problem);
        reject(&object, "", "a value that cannot be");
    } else if (err == HD_EFULL) {
        err = reject(root, "rules", "more than can be kept");
    }
out:
    free(users);
    free(rules);
    return err;
}

static enum hd_err
read_root(const struct object *root, struct hd_state_data *ret_data)
{
    static const char *const known[] = { "format",    "version", "instance", "keys",
                                         "next_rule", "users",   "rules" };
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
gather_rule(void *context, const struct pol_rule *rule)
{
    struct gather *gather = context;
    gather->entries[gather->n++] = rule;
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

static bool
set_text(json_t *object, const char *key, struct hd_slice text)
{
    return json_object_set_new(object, key, json_stringn(text.p, text.n)) == 0;
}

static bool
write_user(FILE *file, const struct pol_user *user)
{
    const struct hd_slice md5 = user->ha1[SIP_DIGEST_MD5], sha256 = user->ha1[SIP_DIGEST_SHA256];
    json_t *object = json_object();
    const bool ok =
        object && set_text(object, "name", user->name) && set_text(object, "realm", user->realm) &&
        json_object_set_new(object, "created", json_integer((json_int_t)user->created_s)) == 0 &&
        (md5.n == 0 || set_text(object, "md5", md5)) &&
        (sha256.n == 0 || set_text(object, "sha256", sha256)) &&
        json_dumpf(object, file, JSON_COMPACT) == 0;
    json_decref(object);
    return ok;
}

static bool
write_rule(FILE *file, const struct pol_rule *rule)
{
    json_t *object = json_object();
    const bool ok =
        object && json_object_set_new(object, "id", json_integer(rule->id)) == 0 &&
        set_text(object, "resource", rule->resource) &&
        set_text(object, "watcher", rule->watcher) && set_text(object, "package", rule->package) &&
        set_text(object, "action", rule->action == POL_ALLOW ? HD_LIT("allow") : HD_LIT("block")) &&
        json_dumpf(object, file, JSON_COMPACT) == 0;
    json_decref(object);
    return ok;
}

static bool
write_users(FILE *file, const struct gather *users)
{
    for (size_t i = 0; i < users->n; i++) {
        fputs(i ? ",\n" : "\n", file);
        if (!write_user(file, users->entries[i]))
            return false;
    }
    return true;
}

static bool
write_rules(FILE *file, const struct gather *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        fputs(i ? ",\n" : "\n", file);
        if (!write_rule(file, rules->entries[i]))
            return false;
    }
    return true;
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
}

enum hd_err
hd_state_write(FILE *file, const struct hd_state_data *data)
{
    struct gather users = { .entries =
                                malloc((pol_book_user_count(data->book) + 1) * sizeof(void *)) };
    struct gather rules = { .entries =
                                malloc((pol_book_rule_count(data->book) + 1) * sizeof(void *)) };
    enum hd_err err = HD_ENOMEM;

    if (!users.entries || !rules.entries)
        goto out;
    pol_book_each_user(data->book, gather_user, &users);
    pol_book_each_rule(data->book, gather_rule, &rules);
    qsort(users.entries, users.n, sizeof(void *), compare_users);
    qsort(rules.entries, rules.n, sizeof(void *), compare_rules);
    write_head(file, data);
    fputs("\"users\":[", file);
    bool ok = write_users(file, &users);
    fputs("],\n\"rules\":[", file);
    ok = ok && write_rules(file, &rules);
    fputs("]}\n", file);
    if (fflush(file) != 0 || ferror(file))
        err = HD_EIO;
    else
        err = ok ? HD_OK : HD_ENOMEM;
out:
    free(users.entries);
    free(rules.entries);
    return err;
}
