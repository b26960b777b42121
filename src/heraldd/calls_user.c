/* calls_user.c - the calls of the admin socket about users: who may log in, and what they are
 * called. */
#include <stdlib.h>
#include <time.h>

#include "heraldd/calls_core.h"
#include "policy/import.h"
#include "policy/policy.h"

static const struct sip_served *
served_of(const struct hd_call *call)
{
    return &call->daemon->config->served;
}

/* --- one user ----------------------------------------------------------------------------- */

/* What a user-add makes of a user; logins and addresses are its own. */
struct edited {
    struct pol_login logins[POL_LOGINS_MAX];
    struct hd_slice addresses[POL_ADDRESSES_MAX];
    struct hd_key keys[POL_ADDRESSES_MAX];
    struct pol_user user;
};

/* Addresses that the call names, or those that he has; false: answered. */
static bool
take_addresses(const struct hd_call *call, const struct pol_user *before, struct edited *e)
{
    const json_t *array = json_object_get(call->args, "addresses");
    const size_t n = json_array_size(array);

    e->user.addresses = e->addresses;
    for (size_t i = 0; !array && before && i < before->n_addresses; i++)
        e->addresses[e->user.n_addresses++] = before->addresses[i];
    if (n > POL_ADDRESSES_MAX) {
        hd_reply_error(call->reply, "too many addresses; expected at most %u", POL_ADDRESSES_MAX);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(array, i);
        const struct hd_slice text = hd_slice(json_string_value(value), json_string_length(value));
        struct hd_key *key = &e->keys[i];
        if (!json_is_string(value) || hd_daemon_resource(call->daemon, text, key->text, &key->n) ||
            hd_slice_starts(hd_key_slice(key), HD_LIT("sip:*@"))) {
            hd_reply_error(call->reply,
                           "address \"%.*s\" cannot be; expected USER or sip:USER@DOMAIN of a "
                           "domain that is served here",
                           hd_call_shown(text), text.p ? text.p : "");
            return false;
        }
        e->addresses[e->user.n_addresses++] = hd_key_slice(key);
    }
    return true;
}

/* The logins that he has, with this one in the place of the one of its realm and user name. */
static bool
take_logins(const struct hd_call *call, const struct pol_user *before,
            const struct pol_login *login, struct edited *e)
{
    size_t at = 0, n = before ? before->n_logins : 0;

    e->user.logins = e->logins;
    for (size_t i = 0; i < n; i++)
        e->logins[i] = before->logins[i];
    while (at < n && !(hd_slice_eq(e->logins[at].realm, login->realm) &&
                       hd_slice_eq(e->logins[at].username, login->username)))
        at++;
    if (at == POL_LOGINS_MAX) {
        hd_reply_error(call->reply, "this user has too many logins; expected at most %u",
                       POL_LOGINS_MAX);
        return false;
    }
    e->logins[at] = *login;
    e->user.n_logins = (uint8_t)(at < n ? n : n + 1);
    return true;
}

static bool
names_ok(const struct hd_call *call, struct hd_slice name, struct hd_slice username)
{
    if (pol_name_ok(name) && pol_name_ok(username))
        return true;
    hd_reply_error(call->reply,
                   "that name cannot be; expected 1 to %d characters without "
                   "blanks at the ends, ':', '\"' and control characters",
                   POL_NAME_MAX);
    return false;
}

/* The realm of a call, the first one when it names none; false: answered. */
static bool
realm_ok(const struct hd_call *call, struct hd_slice *ret_realm)
{
    struct hd_slice realms[HD_CONF_REALMS];
    const size_t n = hd_conf_realms(call->daemon->conf, realms);
    const struct hd_slice realm = hd_call_arg(call, "realm");

    for (size_t i = 0; i < n; i++)
        if (!realm.p || hd_slice_eq(realms[i], realm)) {
            *ret_realm = realms[i];
            return true;
        }
    hd_reply_error(call->reply, "there is no realm %.*s; the configuration names those that are",
                   hd_call_shown(realm), realm.p);
    return false;
}

/* Makes the book with the user; false: answered. */
static bool
user_put(const struct hd_call *call, const struct pol_user *user, struct pol_book **ret_after)
{
    const enum hd_err err = pol_book_with_user(hd_call_book(call), user, ret_after);
    const struct hd_slice other =
        err ? hd_slice(NULL, 0) : pol_user_clash(*ret_after, user, served_of(call));

    if (err == HD_EEXIST || other.p)
        hd_reply_error(call->reply, "one of his logins or addresses is %s%.*s",
                       other.p ? "that of user " : "another user's", hd_call_shown(other),
                       other.p ? other.p : "");
    else if (!err)
        return true;
    else
        hd_reply_error(call->reply, "%s", hd_err_text(err));
    if (other.p)
        pol_book_unref(*ret_after);
    return false;
}

static void
user_add(const struct hd_call *call, struct hd_slice name, const struct pol_login *login,
         const char *made)
{
    const struct pol_user *before = pol_book_user(hd_call_book(call), name);
    struct edited e = { .user = { .name = name, .created_s = (uint64_t)time(NULL) } };
    struct pol_book *after = NULL;
    struct hd_key key;

    if (!take_addresses(call, before, &e) || !take_logins(call, before, login, &e))
        return;
    if (e.user.n_addresses == 0 && pol_name_key(name, served_of(call), key.text, &key.n)) {
        hd_reply_error(call->reply, "that name is at a domain that is not served here");
        return;
    }
    if (!user_put(call, &e.user, &after))
        return;
    const struct hd_slice resource = e.user.n_addresses ? e.addresses[0] : hd_key_slice(&key);
    json_t *result = json_pack("{s:o, s:o, s:b}", "name", hd_json_slice(name), "resource",
                               hd_json_slice(resource), "replaced", before != NULL);
    if (result && made[0] && json_object_set_new(result, "password", json_string(made)) != 0) {
        json_decref(result);
        result = NULL;
    }
    /* His addresses may have changed: what others may see of him as well. */
    hd_call_edit(call, HD_OK, after,
                 e.user.n_addresses || (before && before->n_addresses) ? (struct hd_slice){ 0 }
                                                                       : resource,
                 result);
}

static void
call_user_add(const struct hd_call *call)
{
    struct hd_slice name = hd_call_arg(call, "name"), password = hd_call_arg(call, "password"),
                    username = hd_call_arg(call, "username"), realm;
    char made[HD_PASSWORD_TEXT] = "";
    struct pol_made login;

    if (!username.p)
        username = name;
    if (!names_ok(call, name, username) || !realm_ok(call, &realm))
        return;
    if (password.p && password.n == 0) {
        hd_reply_error(call->reply, "the password is empty");
        return;
    }
    if (!password.p) {
        hd_password_make(made);
        password = hd_slice_str(made);
    }
    pol_login_make(username, realm, password, &login);
    user_add(call, name, &login.login, made);
    explicit_bzero(&login, sizeof(login));
    explicit_bzero(made, sizeof(made));
}

static void
call_user_remove(const struct hd_call *call)
{
    struct hd_slice name = hd_call_arg(call, "name");
    struct pol_book *after = NULL;
    enum hd_err err = pol_book_without_user(hd_call_book(call), name, &after);

    if (err == HD_ENOMATCH) {
        hd_reply_error(call->reply, "there is no user %.*s", hd_call_shown(name), name.p);
        return;
    }
    hd_call_edit(call, err, after, (struct hd_slice){ 0 },
                 json_pack("{s:o}", "name", hd_json_slice(name)));
}

/* --- many users ---------------------------------------------------------------------------- */

/* How many of them the book has already. */
static size_t
count_there(const struct pol_book *book, const struct pol_import *import, size_t *ret_first)
{
    size_t n = 0;

    for (size_t i = 0; i < import->n; i++)
        if (pol_book_user(book, import->users[i].name) && n++ == 0)
            *ret_first = i;
    return n;
}

/* Makes the book with all of them; false: answered. */
static bool
import_put(const struct hd_call *call, struct hd_slice file, const struct pol_import *import,
           struct pol_book **ret_after)
{
    struct hd_slice other = { 0 };
    size_t at = 0;
    const enum hd_err err =
        pol_book_with_users(hd_call_book(call), import->users, import->n, &at, ret_after);

    for (size_t i = 0; !err && !other.p && i < import->n; i++) {
        other = pol_user_clash(*ret_after, &import->users[i], served_of(call));
        at = i;
    }
    if (!err && !other.p)
        return true;
    if (err == HD_EFULL || err == HD_ENOMEM)
        hd_reply_error(call->reply, "%s", hd_err_text(err));
    else
        hd_reply_error(call->reply, "%.*s:%u: %s%.*s", hd_call_shown(file), file.p ? file.p : "",
                       import->lines[at],
                       other.p ? "one of the addresses is that of user "
                       : err == HD_EEXIST
                           ? "a login or an address is another user's, or stands twice"
                           : "a value that cannot be",
                       hd_call_shown(other), other.p ? other.p : "");
    if (!err)
        pol_book_unref(*ret_after);
    return false;
}

static void
import_all(const struct hd_call *call, struct hd_slice file, const struct pol_import *import)
{
    struct pol_book *after = NULL;
    size_t first = 0;
    const size_t there = count_there(hd_call_book(call), import, &first);

    if (there > 0 && !json_is_true(json_object_get(call->args, "replace"))) {
        const struct hd_slice name = import->users[first].name;
        hd_reply_error(call->reply,
                       "%.*s:%u: there is a user %.*s; replace takes the file's users "
                       "in the place of those that are there",
                       hd_call_shown(file), file.p ? file.p : "", import->lines[first],
                       hd_call_shown(name), name.p);
        return;
    }
    if (!import_put(call, file, import, &after))
        return;
    hd_call_edit(call, HD_OK, after, (struct hd_slice){ 0 },
                 json_pack("{s:I, s:I}", "added", (json_int_t)(import->n - there), "replaced",
                           (json_int_t)there));
}

static void
call_user_import(const struct hd_call *call)
{
    const struct hd_slice file = hd_call_arg(call, "file");
    const struct pol_import_params params = { .realm = hd_conf_realm(call->daemon->conf),
                                              .served = served_of(call),
                                              .created_s = (uint64_t)time(NULL) };
    char problem[POL_IMPORT_PROBLEM];
    struct pol_import import;
    unsigned line = 0;

    if (pol_import_read(hd_call_arg(call, "text"), &params, problem, &line, &import)) {
        hd_reply_error(call->reply, "%.*s:%u: %s", hd_call_shown(file), file.p ? file.p : "", line,
                       problem);
        return;
    }
    import_all(call, file, &import);
    pol_import_done(&import);
}

/* --- listing ---------------------------------------------------------------------------------- */

static json_t *
logins_json(const struct pol_user *user)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < user->n_logins; i++)
        if (json_array_append_new(array, json_pack("{s:o, s:o}", "realm",
                                                   hd_json_slice(user->logins[i].realm), "username",
                                                   hd_json_slice(user->logins[i].username))) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static bool
show_user(void *context, const struct pol_user *user)
{
    struct hd_rows *rows = context;
    struct hd_key key = { .n = 0 };
    json_t *resource = NULL;

    if (!pol_user_key(hd_call_book(rows->call), user->name, served_of(rows->call), key.text,
                      &key.n))
        resource = hd_json_slice(hd_key_slice(&key));
    hd_rows_add(rows, json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "name", hd_json_slice(user->name),
                                "resource", resource ? resource : json_null(), "realm",
                                hd_json_slice(user->n_logins ? user->logins[0].realm : HD_LIT("")),
                                "logins", logins_json(user), "addresses",
                                hd_json_slices(user->addresses, user->n_addresses), "created_s",
                                (json_int_t)user->created_s));
    return !rows->failed;
}

static void
call_user_list(const struct hd_call *call)
{
    struct hd_rows rows = { .call = call, .rows = json_array() };

    if (rows.rows)
        pol_book_each_user(hd_call_book(call), show_user, &rows);
    hd_rows_answer(call, &rows, "users");
}

/* --- the table ---------------------------------------------------------------------------------
 */

static const struct hd_call_row table[] = {
    { "user-add",
      call_user_add,
      { { "name", JSON_STRING, true },
        { "password", JSON_STRING, false },
        { "realm", JSON_STRING, false },
        { "username", JSON_STRING, false },
        { "addresses", JSON_ARRAY, false } } },
    { "user-import",
      call_user_import,
      { { "text", JSON_STRING, true },
        { "file", JSON_STRING, false },
        { "replace", JSON_TRUE, false } } },
    { "user-remove", call_user_remove, { { "name", JSON_STRING, true } } },
    { "user-list", call_user_list, { { NULL, JSON_NULL, false } } },
};

const struct hd_call_row *
hd_calls_user(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
