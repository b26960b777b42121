/* book.c - users and rules that many threads read while one edits.
 *
 * The problem: every request looks a user up, so readers may not lock; a tool or a web page changes
 * one entry of a hundred thousand, so an edit may not copy the book.  Entries are immutable and
 * reference-counted; they hang in pages, sorted by their keyed hash, and a book is a fixed array of
 * pages.  An edit copies that array and the one page that changes; all else is shared with the book
 * before. Invariants: a page or entry with more than one reference is never written; a page's slots
 * are sorted by hash; the upper bits of the hash choose the page; the rules of a resource are one
 * entry, sorted by watcher and package, none twice. */
#include "policy/book.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BOOK_MAGIC 0x504f424bu
#define PAGE_BITS 10
#define PAGES (1u << PAGE_BITS)
#define KEY_MAX 255    /* octets of a resource or identity key */
#define PACKAGE_MAX 64 /* octets of an event package name */

/* What a page holds: a user, or the rules of one resource.  The first member of both. */
struct item {
    _Atomic uint32_t refs;
    struct hd_slice key; /* user name or resource key */
};

struct user_item {
    struct item item;
    struct pol_user user;
    char text[];
};

struct list_item {
    struct item item;
    size_t n;
    struct pol_rule rules[]; /* their text follows */
};

struct slot {
    uint64_t hash;
    struct item *item;
};

struct page {
    _Atomic uint32_t refs;
    uint32_t n, cap;
    struct slot slots[];
};

struct index {
    size_t n; /* items */
    struct page *pages[PAGES];
};

struct pol_book {
    unsigned magic;
    _Atomic uint32_t refs;
    struct hd_hash_key key;
    uint32_t next_rule;
    size_t n_rules;
    struct index users, lists;
};

/* ---- items and pages ---- */

static struct item *
item_ref(struct item *item)
{
    atomic_fetch_add_explicit(&item->refs, 1, memory_order_relaxed);
    return item;
}

static void
item_unref(struct item *item)
{
    /* acq_rel: reads made by other threads happen before the free. */
    if (item && atomic_fetch_sub_explicit(&item->refs, 1, memory_order_acq_rel) == 1)
        free(item);
}

static void
page_unref(struct page *page)
{
    if (!page || atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < page->n; i++)
        item_unref(page->slots[i].item);
    free(page);
}

/* The first slot whose hash is not below. */
static uint32_t
page_lower(const struct page *page, uint64_t hash)
{
    uint32_t low = 0, high = page->n;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (page->slots[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool
page_find(const struct page *page, uint64_t hash, struct hd_slice key, uint32_t *ret_at)
{
    if (!page)
        return false;
    for (uint32_t i = page_lower(page, hash); i < page->n && page->slots[i].hash == hash; i++)
        if (hd_slice_eq(page->slots[i].item->key, key)) {
            *ret_at = i;
            return true;
        }
    return false;
}

/* A page of this book alone with room for one slot more, in place of *place; NULL when memory is
 * short. */
static struct page *
page_own(struct page **place)
{
    struct page *old = *place;
    /* With one reference it is ours: nobody else can come by another. */
    const bool mine = old && atomic_load_explicit(&old->refs, memory_order_acquire) == 1;

    if (mine && old->n < old->cap)
        return old;
    const uint32_t n = old ? old->n : 0, cap = n + 2 + n / 4;
    struct page *page = malloc(sizeof(*page) + cap * sizeof(page->slots[0]));
    if (!page)
        return NULL;
    atomic_init(&page->refs, 1);
    page->n = n;
    page->cap = cap;
    for (uint32_t i = 0; i < n; i++) {
        page->slots[i].hash = old->slots[i].hash;
        page->slots[i].item = item_ref(old->slots[i].item);
    }
    page_unref(old);
    *place = page;
    return page;
}

/* ---- the index of a book that nobody else sees yet ---- */

static struct item *
index_find(const struct index *index, uint64_t hash, struct hd_slice key)
{
    const struct page *page = index->pages[hash >> (64 - PAGE_BITS)];
    uint32_t at;
    return page_find(page, hash, key, &at) ? page->slots[at].item : NULL;
}

/* Adds the item or puts it in the place of the one with its key; takes the reference on HD_OK. */
static enum hd_err
index_put(struct index *index, uint64_t hash, struct item *item)
{
    struct page **place = &index->pages[hash >> (64 - PAGE_BITS)];
    struct page *page = page_own(place);
    uint32_t at;

    if (!page)
        return HD_ENOMEM;
    if (page_find(page, hash, item->key, &at)) {
        item_unref(page->slots[at].item);
        page->slots[at].item = item;
        return HD_OK;
    }
    if (index->n >= POL_BOOK_MAX)
        return HD_EFULL;
    at = page_lower(page, hash);
    memmove(&page->slots[at + 1], &page->slots[at], (page->n - at) * sizeof(page->slots[0]));
    page->slots[at] = (struct slot){ hash, item };
    page->n++;
    index->n++;
    return HD_OK;
}

static enum hd_err
index_remove(struct index *index, uint64_t hash, struct hd_slice key)
{
    struct page **place = &index->pages[hash >> (64 - PAGE_BITS)];
    uint32_t at;

    if (!page_find(*place, hash, key, &at))
        return HD_ENOMATCH;
    struct page *page = page_own(place);
    if (!page)
        return HD_ENOMEM;
    item_unref(page->slots[at].item);
    page->n--;
    memmove(&page->slots[at], &page->slots[at + 1], (page->n - at) * sizeof(page->slots[0]));
    index->n--;
    return HD_OK;
}

static void
index_copy(struct index *to, const struct index *from)
{
    to->n = from->n;
    for (unsigned i = 0; i < PAGES; i++) {
        to->pages[i] = from->pages[i];
        if (to->pages[i])
            atomic_fetch_add_explicit(&to->pages[i]->refs, 1, memory_order_relaxed);
    }
}

static void
index_done(struct index *index)
{
    for (unsigned i = 0; i < PAGES; i++)
        page_unref(index->pages[i]);
}

/* ---- books ---- */

struct pol_book *
pol_book_new(const struct hd_hash_key *key)
{
    struct pol_book *book = calloc(1, sizeof(*book));
    if (!book)
        return NULL;
    book->magic = BOOK_MAGIC;
    atomic_init(&book->refs, 1);
    book->key = *key;
    book->next_rule = 1;
    return book;
}

struct pol_book *
pol_book_ref(struct pol_book *book)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    atomic_fetch_add_explicit(&book->refs, 1, memory_order_relaxed);
    return book;
}

struct pol_book *
pol_book_unref(struct pol_book *book)
{
    if (!book)
        return NULL;
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    /* acq_rel: reads made by other threads happen before the free. */
    if (atomic_fetch_sub_explicit(&book->refs, 1, memory_order_acq_rel) == 1) {
        book->magic = 0;
        index_done(&book->users);
        index_done(&book->lists);
        free(book);
    }
    return NULL;
}

static struct pol_book *
book_copy(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    struct pol_book *copy = pol_book_new(&book->key);
    if (!copy)
        return NULL;
    copy->next_rule = book->next_rule;
    copy->n_rules = book->n_rules;
    index_copy(&copy->users, &book->users);
    index_copy(&copy->lists, &book->lists);
    return copy;
}

/* ---- what may stand in a book ---- */

/* One character of UTF-8 (RFC 3629 section 4): its length, 0 when it is none, a control character
 * or a noncharacter of it. */
static size_t
utf8_length(struct hd_slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n;
    uint32_t c;

    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        n = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        n = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (s.n < n)
        return 0;
    c = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < 0xa0 || (n == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
        (n == 4 && (c < 0x10000 || c > 0x10ffff)))
        return 0;
    return n;
}

/* Text for people: UTF-8 without control characters, no blank at the ends. */
static bool
text_ok(struct hd_slice text, size_t max)
{
    if (text.n == 0 || text.n > max || text.p[0] == ' ' || text.p[text.n - 1] == ' ')
        return false;
    for (size_t i = 0, n; i < text.n; i += n)
        if ((n = utf8_length(hd_slice_from(text, i))) == 0)
            return false;
    return true;
}

bool
pol_name_ok(struct hd_slice name)
{
    /* A colon would make two (name, realm) pairs with one HA1; "*" is the pattern of rules. */
    return text_ok(name, POL_NAME_MAX) && hd_slice_find(name, ':') == name.n &&
           hd_slice_find(name, '"') == name.n && !hd_slice_eq(name, HD_LIT("*"));
}

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
user_ok(const struct pol_user *user)
{
    return pol_name_ok(user->name) && text_ok(user->realm, POL_REALM_MAX) &&
           ha1_ok(user->ha1[SIP_DIGEST_NONE], 0) && ha1_ok(user->ha1[SIP_DIGEST_MD5], 32) &&
           ha1_ok(user->ha1[SIP_DIGEST_SHA256], 64);
}

/* "sip:" user "@" host, in visible ASCII as the canonical form has it. */
static bool
key_ok(struct hd_slice key)
{
    if (key.n > KEY_MAX || !hd_slice_starts(key, HD_LIT("sip:")))
        return false;
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] <= ' ' || key.p[i] >= 0x7f)
            return false;
    const size_t at = hd_slice_find(key, '@');
    return at > 4 && at + 1 < key.n;
}

static bool
package_ok(struct hd_slice package)
{
    if (package.n == 0 || package.n > PACKAGE_MAX)
        return false;
    for (size_t i = 0; i < package.n; i++)
        if (package.p[i] <= ' ' || package.p[i] >= 0x7f)
            return false;
    return true;
}

static bool
rule_ok(const struct pol_rule *rule)
{
    return key_ok(rule->resource) &&
           (hd_slice_eq(rule->watcher, HD_LIT("*")) || key_ok(rule->watcher)) &&
           package_ok(rule->package) && (rule->action == POL_ALLOW || rule->action == POL_BLOCK);
}

/* ---- making items ---- */

static struct hd_slice
text_put(char **at, struct hd_slice s)
{
    const struct hd_slice copy = hd_slice(*at, s.n);
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static struct user_item *
user_item_new(const struct pol_user *user)
{
    size_t n = user->name.n + user->realm.n;
    for (unsigned a = 0; a < SIP_DIGEST_COUNT; a++)
        n += user->ha1[a].n;
    struct user_item *u = malloc(sizeof(*u) + n);
    if (!u)
        return NULL;
    char *at = u->text;
    atomic_init(&u->item.refs, 1);
    u->user.name = u->item.key = text_put(&at, user->name);
    u->user.realm = text_put(&at, user->realm);
    for (unsigned a = 0; a < SIP_DIGEST_COUNT; a++)
        u->user.ha1[a] = text_put(&at, user->ha1[a]);
    u->user.created_s = user->created_s;
    return u;
}

/* Rules of one resource, in order, copied into one block. */
static struct list_item *
list_item_new(const struct pol_rule *const *rules, size_t n)
{
    size_t text = rules[0]->resource.n;
    for (size_t i = 0; i < n; i++)
        text += rules[i]->watcher.n + rules[i]->package.n;
    struct list_item *list = malloc(sizeof(*list) + n * sizeof(list->rules[0]) + text);
    if (!list)
        return NULL;
    char *at = (char *)&list->rules[n];
    atomic_init(&list->item.refs, 1);
    list->item.key = text_put(&at, rules[0]->resource);
    list->n = n;
    for (size_t i = 0; i < n; i++) {
        struct pol_rule *rule = &list->rules[i];
        rule->resource = list->item.key;
        rule->watcher = text_put(&at, rules[i]->watcher);
        rule->package = text_put(&at, rules[i]->package);
        rule->action = rules[i]->action;
        rule->id = rules[i]->id;
    }
    return list;
}

static int
rule_order(const struct pol_rule *rule, struct hd_slice watcher, struct hd_slice package)
{
    const int order = hd_slice_cmp(rule->watcher, watcher);
    return order ? order : hd_slice_cmp(rule->package, package);
}

/* Where (watcher, package) stands or belongs among sorted rules; true when it is there. */
static bool
rules_find(const struct pol_rule *rules, size_t n, struct hd_slice watcher, struct hd_slice package,
           size_t *ret_at)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = rule_order(&rules[mid], watcher, package);
        if (order == 0) {
            *ret_at = mid;
            return true;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_at = low;
    return false;
}

static enum hd_err
book_put_user(struct pol_book *book, const struct pol_user *user)
{
    struct user_item *u = user_item_new(user);
    if (!u)
        return HD_ENOMEM;
    const enum hd_err err = index_put(&book->users, hd_hash(&book->key, user->name), &u->item);
    if (err)
        item_unref(&u->item);
    return err;
}

/* Puts the rules of one resource, n > 0, in place of those that it had. */
static enum hd_err
book_put_list(struct pol_book *book, const struct pol_rule *const *rules, size_t n, size_t before)
{
    struct list_item *list = list_item_new(rules, n);
    if (!list)
        return HD_ENOMEM;
    const enum hd_err err =
        index_put(&book->lists, hd_hash(&book->key, list->item.key), &list->item);
    if (err) {
        item_unref(&list->item);
        return err;
    }
    book->n_rules += n - before;
    return HD_OK;
}

/* ---- loading ---- */

/* For qsort: by resource, watcher, package, and then as they came. */
static int
rule_compare(const void *left, const void *right)
{
    const struct pol_rule *a = *(const struct pol_rule *const *)left;
    const struct pol_rule *b = *(const struct pol_rule *const *)right;
    int order = hd_slice_cmp(a->resource, b->resource);
    if (order == 0)
        order = rule_order(a, b->watcher, b->package);
    return order ? order : (a > b) - (a < b);
}

static bool
rule_same(const struct pol_rule *a, const struct pol_rule *b)
{
    return hd_slice_eq(a->resource, b->resource) && rule_order(a, b->watcher, b->package) == 0;
}

/* Sorted rules, numbered where they were not, of several that are the same the last: *n of them. */
static void
rules_unique(const struct pol_rule **rules, size_t *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (kept > 0 && rule_same(rules[kept - 1], rules[i]))
            kept--;
        rules[kept++] = rules[i];
    }
    *n = kept;
}

/* Sorted and unique rules become one list for each resource. */
static enum hd_err
load_lists(struct pol_book *book, const struct pol_rule **rules, size_t n)
{
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && hd_slice_eq(rules[from]->resource, rules[to]->resource);)
            to++;
        if (to - from > POL_RULES_MAX)
            return HD_EFULL;
        const enum hd_err err = book_put_list(book, rules + from, to - from, 0);
        if (err)
            return err;
    }
    return HD_OK;
}

/* next_rule above every id that is given; ids of 0 are numbered from there, in copy. */
static enum hd_err
number_rules(struct pol_book *book, struct pol_rule *copy, size_t n, uint32_t next_rule)
{
    uint64_t next = next_rule ? next_rule : 1;
    for (size_t i = 0; i < n; i++)
        if (copy[i].id >= next)
            next = (uint64_t)copy[i].id + 1;
    for (size_t i = 0; i < n; i++)
        if (copy[i].id == 0 && next < UINT32_MAX)
            copy[i].id = (uint32_t)next++;
        else if (copy[i].id == 0)
            return HD_EFULL;
    /* UINT32_MAX is never given out: it says that the ids are used up. */
    book->next_rule = next > UINT32_MAX ? UINT32_MAX : (uint32_t)next;
    return HD_OK;
}

static enum hd_err
load_rules(struct pol_book *book, const struct pol_rule *rules, size_t n, uint32_t next_rule)
{
    const struct pol_rule **sorted = malloc((n + 1) * sizeof(struct pol_rule *));
    struct pol_rule *copy = malloc((n + 1) * sizeof(*copy));
    enum hd_err err = HD_ENOMEM;

    if (!sorted || !copy)
        goto out;
    for (size_t i = 0; i < n; i++) {
        copy[i] = rules[i];
        sorted[i] = &copy[i];
    }
    err = number_rules(book, copy, n, next_rule);
    if (err)
        goto out;
    qsort(sorted, n, sizeof(struct pol_rule *), rule_compare);
    rules_unique(sorted, &n);
    err = load_lists(book, sorted, n);
out:
    free(copy);
    free(sorted);
    return err;
}

enum hd_err
pol_book_load(const struct hd_hash_key *key, const struct pol_user *users, size_t n_users,
              const struct pol_rule *rules, size_t n_rules, uint32_t next_rule, size_t *ret_at,
              struct pol_book **ret_book)
{
    size_t unused;
    enum hd_err err = HD_ENOMEM;
    struct pol_book *book = pol_book_new(key);

    if (!book)
        goto out;
    if (!ret_at)
        ret_at = &unused;
    for (size_t i = 0; i < n_users; i++) {
        *ret_at = i;
        err = user_ok(&users[i]) ? book_put_user(book, &users[i]) : HD_ESYNTAX;
        if (err)
            goto out;
    }
    for (size_t i = 0; i < n_rules; i++) {
        *ret_at = n_users + i;
        err = rule_ok(&rules[i]) ? HD_OK : HD_ESYNTAX;
        if (err)
            goto out;
    }
    err = load_rules(book, rules, n_rules, next_rule);
    if (err)
        goto out;
    *ret_book = book;
    book = NULL;
out:
    pol_book_unref(book);
    return err;
}

/* ---- edits ---- */

enum hd_err
pol_book_with_user(const struct pol_book *book, const struct pol_user *user,
                   struct pol_book **ret_book)
{
    if (!user_ok(user))
        return HD_ESYNTAX;
    struct pol_book *copy = book_copy(book);
    if (!copy)
        return HD_ENOMEM;
    const enum hd_err err = book_put_user(copy, user);
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    *ret_book = copy;
    return HD_OK;
}

enum hd_err
pol_book_without_user(const struct pol_book *book, struct hd_slice name, struct pol_book **ret_book)
{
    struct pol_book *copy = book_copy(book);
    if (!copy)
        return HD_ENOMEM;
    const enum hd_err err = index_remove(&copy->users, hd_hash(&copy->key, name), name);
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    *ret_book = copy;
    return HD_OK;
}

static const struct list_item *
book_list(const struct pol_book *book, struct hd_slice resource)
{
    struct item *item = index_find(&book->lists, hd_hash(&book->key, resource), resource);
    return item ? HD_CONTAINER(item, struct list_item, item) : NULL;
}

/* A copy of the book in which the resource has these rules, n of them in order, instead of before
 * others. */
static enum hd_err
book_with_list(const struct pol_book *book, struct hd_slice resource,
               const struct pol_rule *const *rules, size_t n, size_t before,
               struct pol_book **ret_book)
{
    struct pol_book *copy = book_copy(book);
    enum hd_err err;

    if (!copy)
        return HD_ENOMEM;
    if (n > 0)
        err = book_put_list(copy, rules, n, before);
    else {
        err = index_remove(&copy->lists, hd_hash(&copy->key, resource), resource);
        copy->n_rules -= before;
    }
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    *ret_book = copy;
    return HD_OK;
}

enum hd_err
pol_book_with_rule(const struct pol_book *book, const struct pol_rule *rule, uint32_t *ret_id,
                   struct pol_book **ret_book)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    if (!rule_ok(rule))
        return HD_ESYNTAX;
    const struct list_item *list = book_list(book, rule->resource);
    const size_t n = list ? list->n : 0;
    size_t at = 0;
    const bool there = list && rules_find(list->rules, n, rule->watcher, rule->package, &at);
    struct pol_rule added = *rule;

    if (!there && (n >= POL_RULES_MAX || book->next_rule == UINT32_MAX))
        return HD_EFULL;
    added.id = there ? list->rules[at].id : book->next_rule;
    const struct pol_rule **rules = malloc((n + 1) * sizeof(struct pol_rule *));
    if (!rules)
        return HD_ENOMEM;
    size_t k = 0;
    for (size_t i = 0; i < at; i++)
        rules[k++] = &list->rules[i];
    rules[k++] = &added;
    for (size_t i = there ? at + 1 : at; i < n; i++)
        rules[k++] = &list->rules[i];

    struct pol_book *copy = NULL;
    const enum hd_err err = book_with_list(book, rule->resource, rules, k, n, &copy);
    free(rules);
    if (err)
        return err;
    if (!there)
        copy->next_rule++;
    if (ret_id)
        *ret_id = added.id;
    *ret_book = copy;
    return HD_OK;
}

enum hd_err
pol_book_without_rule(const struct pol_book *book, struct hd_slice resource,
                      struct hd_slice watcher, struct hd_slice package, struct pol_book **ret_book)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    const struct list_item *list = book_list(book, resource);
    size_t at, k = 0;

    if (!list || !rules_find(list->rules, list->n, watcher, package, &at))
        return HD_ENOMATCH;
    const struct pol_rule **rules = malloc(list->n * sizeof(struct pol_rule *));
    if (!rules)
        return HD_ENOMEM;
    for (size_t i = 0; i < list->n; i++)
        if (i != at)
            rules[k++] = &list->rules[i];
    const enum hd_err err = book_with_list(book, resource, rules, k, list->n, ret_book);
    free(rules);
    return err;
}

/* ---- reading ---- */

const struct pol_user *
pol_book_user(const struct pol_book *book, struct hd_slice name)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    struct item *item = index_find(&book->users, hd_hash(&book->key, name), name);
    return item ? &HD_CONTAINER(item, struct user_item, item)->user : NULL;
}

const struct pol_rule *
pol_book_rules(const struct pol_book *book, struct hd_slice resource, size_t *ret_n)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    const struct list_item *list = book_list(book, resource);
    *ret_n = list ? list->n : 0;
    return list ? list->rules : NULL;
}

const struct pol_rule *
pol_book_rule(const struct pol_book *book, struct hd_slice resource, struct hd_slice watcher,
              struct hd_slice package)
{
    size_t n, at;
    const struct pol_rule *rules = pol_book_rules(book, resource, &n);
    return rules_find(rules, n, watcher, package, &at) ? &rules[at] : NULL;
}

size_t
pol_book_user_count(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    return book->users.n;
}

size_t
pol_book_rule_count(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    return book->n_rules;
}

uint32_t
pol_book_next_rule(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    return book->next_rule;
}

/* Visits items until visit says no. */
static void
index_each(const struct index *index, bool (*visit)(void *context, struct item *item),
           void *context)
{
    for (unsigned p = 0; p < PAGES; p++)
        for (uint32_t i = 0; index->pages[p] && i < index->pages[p]->n; i++)
            if (!visit(context, index->pages[p]->slots[i].item))
                return;
}

struct user_walk {
    pol_user_visit_f visit;
    void *context;
};

static bool
visit_user(void *context, struct item *item)
{
    const struct user_walk *walk = context;
    return walk->visit(walk->context, &HD_CONTAINER(item, struct user_item, item)->user);
}

void
pol_book_each_user(const struct pol_book *book, pol_user_visit_f visit, void *context)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    index_each(&book->users, visit_user, &(struct user_walk){ visit, context });
}

struct rule_walk {
    pol_rule_visit_f visit;
    void *context;
};

static bool
visit_list(void *context, struct item *item)
{
    const struct rule_walk *walk = context;
    const struct list_item *list = HD_CONTAINER(item, struct list_item, item);
    for (size_t i = 0; i < list->n; i++)
        if (!walk->visit(walk->context, &list->rules[i]))
            return false;
    return true;
}

void
pol_book_each_rule(const struct pol_book *book, pol_rule_visit_f visit, void *context)
{
    HD_ASSERT_OBJ(book, BOOK_MAGIC);
    index_each(&book->lists, visit_list, &(struct rule_walk){ visit, context });
}
