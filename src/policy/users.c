/* users.c - the users of the book: by name, by what they log in with, by their addresses of record.
 *
 * The problem: a person has several addresses and may log in to several realms, and is one for
 * rules, quotas and lists all the same; so beside each user there is an entry for each login and
 * each address that leads to him.  Invariants: the three say the same; of (realm, username) and of
 * an address there is one user. */
#include <stdlib.h>

#include "policy/book_core.h"

#define LOGIN_KEY_MAX (POL_REALM_MAX + 1 + POL_NAME_MAX)

struct user_item {
    struct pol_item item;
    struct pol_user user;
    struct pol_login logins[]; /* the addresses follow, then all text */
};

/* What leads to a user. */
struct user_ref {
    struct pol_item item;
    struct pol_item *user; /* a reference */
    uint8_t at;            /* which of his logins */
    char text[];
};

/* ---- what may stand in a book ---- */

static bool
ha1_ok(struct hd_slice ha1, size_t n)
{
    if (ha1.n == 0)
        return true;
    for (size_t i = 0; i < ha1.n; i++)
        if (!((ha1.p[i] >= '0' && ha1.p[i] <= '9') || (ha1.p[i] >= 'a' && ha1.p[i] <= 'f')))
            return false;
    return ha1.n == n;
}

static bool
login_ok(const struct pol_login *login)
{
    return (login->username.n == 0 || pol_name_ok(login->username)) &&
           pol_text_ok(login->realm, POL_REALM_MAX) && ha1_ok(login->ha1[SIP_DIGEST_NONE], 0) &&
           ha1_ok(login->ha1[SIP_DIGEST_MD5], 32) && ha1_ok(login->ha1[SIP_DIGEST_SHA256], 64);
}

static bool
user_ok(const struct pol_user *user)
{
    bool ok = pol_name_ok(user->name) && user->n_logins <= POL_LOGINS_MAX &&
              user->n_addresses <= POL_ADDRESSES_MAX;

    for (size_t i = 0; ok && i < user->n_logins; i++)
        ok = login_ok(&user->logins[i]);
    for (size_t i = 0; ok && i < user->n_addresses; i++)
        ok = pol_key_ok(user->addresses[i]) &&
             !hd_slice_starts(user->addresses[i], HD_LIT("sip:*@"));
    return ok;
}

/* ---- items ---- */

static struct hd_slice
login_name(const struct pol_user *user, const struct pol_login *login)
{
    return login->username.n ? login->username : user->name;
}

static struct user_item *
user_item_new(const struct pol_user *user)
{
    const size_t head = sizeof(struct user_item) + user->n_logins * sizeof(struct pol_login) +
                        user->n_addresses * sizeof(struct hd_slice);
    size_t n = user->name.n;

    for (size_t i = 0; i < user->n_addresses; i++)
        n += user->addresses[i].n;
    for (size_t i = 0; i < user->n_logins; i++) {
        n += user->logins[i].realm.n + login_name(user, &user->logins[i]).n;
        for (unsigned a = 0; a < SIP_DIGEST_COUNT; a++)
            n += user->logins[i].ha1[a].n;
    }
    struct user_item *u = malloc(head + n);
    if (!u)
        return NULL;
    struct hd_slice *addresses = (struct hd_slice *)(void *)&u->logins[user->n_logins];
    char *at = (char *)u + head;
    u->user = (struct pol_user){ .name = pol_text_put(&at, user->name),
                                 .logins = u->logins,
                                 .addresses = addresses,
                                 .n_logins = user->n_logins,
                                 .n_addresses = user->n_addresses,
                                 .created_s = user->created_s };
    pol_item_init(&u->item, u->user.name);
    for (size_t i = 0; i < user->n_addresses; i++)
        addresses[i] = pol_text_put(&at, user->addresses[i]);
    for (size_t i = 0; i < user->n_logins; i++) {
        struct pol_login *login = &u->logins[i];
        login->realm = pol_text_put(&at, user->logins[i].realm);
        login->username = pol_text_put(&at, login_name(user, &user->logins[i]));
        for (unsigned a = 0; a < SIP_DIGEST_COUNT; a++)
            login->ha1[a] = pol_text_put(&at, user->logins[i].ha1[a]);
    }
    return u;
}

static void
ref_release(struct pol_item *item)
{
    pol_item_unref(HD_CONTAINER(item, struct user_ref, item)->user);
}

static struct user_ref *
ref_new(struct user_item *user, struct hd_slice key, size_t at)
{
    struct user_ref *ref = malloc(sizeof(*ref) + key.n);
    if (!ref)
        return NULL;
    char *text = ref->text;
    pol_item_init(&ref->item, pol_text_put(&text, key));
    ref->item.release = ref_release;
    ref->user = pol_item_ref(&user->item);
    ref->at = (uint8_t)at;
    return ref;
}

/* "realm LF username": neither has a control character. */
static struct hd_slice
login_key(struct hd_slice realm, struct hd_slice username, char buffer[LOGIN_KEY_MAX])
{
    char *at = buffer;

    if (realm.n > POL_REALM_MAX || username.n > POL_NAME_MAX)
        return HD_LIT("");
    (void)pol_text_put(&at, realm);
    *at++ = '\n';
    (void)pol_text_put(&at, username);
    return hd_slice(buffer, (size_t)(at - buffer));
}

/* ---- into a book that nobody else sees yet ---- */

static const struct user_ref *
ref_find(const struct pol_book *book, const struct pol_index *index, struct hd_slice key)
{
    struct pol_item *item = pol_index_find(index, pol_book_hash(book, key), key);
    return item ? HD_CONTAINER(item, struct user_ref, item) : NULL;
}

static enum hd_err
ref_put(struct pol_book *book, struct pol_index *index, struct user_item *user, struct hd_slice key,
        size_t at)
{
    if (ref_find(book, index, key))
        return HD_EEXIST;
    struct user_ref *ref = ref_new(user, key, at);
    if (!ref)
        return HD_ENOMEM;
    const enum hd_err err = pol_index_put(index, pol_book_hash(book, key), &ref->item, SIZE_MAX);
    if (err)
        pol_item_unref(&ref->item);
    return err;
}

/* What leads to a user goes. */
static enum hd_err
refs_remove(struct pol_book *book, const struct pol_user *user)
{
    char buffer[LOGIN_KEY_MAX];
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < user->n_logins && !err; i++) {
        const struct hd_slice key =
            login_key(user->logins[i].realm, user->logins[i].username, buffer);
        err = pol_index_remove(&book->logins, pol_book_hash(book, key), key);
    }
    for (size_t i = 0; i < user->n_addresses && !err; i++)
        err = pol_index_remove(&book->holders, pol_book_hash(book, user->addresses[i]),
                               user->addresses[i]);
    return err;
}

static enum hd_err
refs_put(struct pol_book *book, struct user_item *u)
{
    const struct pol_user *user = &u->user;
    char buffer[LOGIN_KEY_MAX];
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < user->n_logins && !err; i++)
        err = ref_put(book, &book->logins, u,
                      login_key(user->logins[i].realm, user->logins[i].username, buffer), i);
    for (size_t i = 0; i < user->n_addresses && !err; i++)
        err = ref_put(book, &book->holders, u, user->addresses[i], 0);
    return err;
}

static enum hd_err
book_put_user(struct pol_book *book, const struct pol_user *user)
{
    if (!user_ok(user))
        return HD_ESYNTAX;
    const struct pol_user *before = pol_book_user(book, user->name);
    struct user_item *u = user_item_new(user);
    enum hd_err err = u ? HD_OK : HD_ENOMEM;

    if (!err && before)
        err = refs_remove(book, before);
    if (!err)
        err = refs_put(book, u);
    if (!err)
        err = pol_index_put(&book->users, pol_book_hash(book, user->name), &u->item, POL_BOOK_MAX);
    if (err && u)
        pol_item_unref(&u->item);
    return err;
}

enum hd_err
pol_users_load(struct pol_book *book, const struct pol_user *users, size_t n, size_t *ret_at)
{
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < n && !err; i++) {
        *ret_at = i;
        err = book_put_user(book, &users[i]);
    }
    return err;
}

/* ---- edits ---- */

enum hd_err
pol_book_with_users(const struct pol_book *book, const struct pol_user *users, size_t n,
                    size_t *ret_at, struct pol_book **ret_book)
{
    struct pol_book *copy = pol_book_copy(book);

    *ret_at = 0;
    if (!copy)
        return HD_ENOMEM;
    const enum hd_err err = pol_users_load(copy, users, n, ret_at);
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    *ret_book = copy;
    return HD_OK;
}

enum hd_err
pol_book_with_user(const struct pol_book *book, const struct pol_user *user,
                   struct pol_book **ret_book)
{
    size_t at;
    return pol_book_with_users(book, user, 1, &at, ret_book);
}

enum hd_err
pol_book_without_user(const struct pol_book *book, struct hd_slice name, struct pol_book **ret_book)
{
    const struct pol_user *user = pol_book_user(book, name);

    if (!user)
        return HD_ENOMATCH;
    struct pol_book *copy = pol_book_copy(book);
    if (!copy)
        return HD_ENOMEM;
    enum hd_err err = refs_remove(copy, user);
    if (!err)
        err = pol_index_remove(&copy->users, pol_book_hash(copy, name), name);
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    *ret_book = copy;
    return HD_OK;
}

/* ---- reading ---- */

static const struct pol_user *
user_of(struct pol_item *item)
{
    return &HD_CONTAINER(item, struct user_item, item)->user;
}

const struct pol_user *
pol_book_user(const struct pol_book *book, struct hd_slice name)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    struct pol_item *item = pol_index_find(&book->users, pol_book_hash(book, name), name);
    return item ? user_of(item) : NULL;
}

const struct pol_user *
pol_book_login(const struct pol_book *book, struct hd_slice realm, struct hd_slice username,
               const struct pol_login **ret_login)
{
    char buffer[LOGIN_KEY_MAX];

    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    const struct user_ref *ref = ref_find(book, &book->logins, login_key(realm, username, buffer));
    if (!ref)
        return NULL;
    *ret_login = &user_of(ref->user)->logins[ref->at];
    return user_of(ref->user);
}

const struct pol_user *
pol_book_holder(const struct pol_book *book, struct hd_slice key)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    if (book->holders.n == 0)
        return NULL;
    const struct user_ref *ref = ref_find(book, &book->holders, key);
    return ref ? user_of(ref->user) : NULL;
}

struct hd_slice
pol_book_primary(const struct pol_book *book, struct hd_slice key)
{
    const struct pol_user *holder = pol_book_holder(book, key);
    return holder ? holder->addresses[0] : key;
}

size_t
pol_book_user_count(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    return book->users.n;
}

struct user_walk {
    pol_user_visit_f visit;
    void *context;
};

static bool
visit_user(void *context, struct pol_item *item)
{
    const struct user_walk *walk = context;
    return walk->visit(walk->context, user_of(item));
}

void
pol_book_each_user(const struct pol_book *book, pol_user_visit_f visit, void *context)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    pol_index_each(&book->users, visit_user, &(struct user_walk){ visit, context });
}
