/* lists.c - named lists of people that rules share.
 *
 * The problem: a SUBSCRIBE asks which lists its sender is in, and there may be thousands of lists
 * with a hundred thousand members; so beside each list there is an entry for each member, with the
 * names of the lists that have him.  Invariant: the two say the same. */
#include <stdlib.h>

#include "policy/book_core.h"

struct list_item {
    struct pol_item item;
    struct pol_list list;
    struct hd_slice members[]; /* sorted, none twice; their text follows */
};

/* The lists of one member, as rules name them: "@name" of each, sorted. */
struct member_item {
    struct pol_item item;
    size_t n;
    struct hd_slice names[]; /* their text follows */
};

static int
compare_slices(const void *left, const void *right)
{
    return hd_slice_cmp(*(const struct hd_slice *)left, *(const struct hd_slice *)right);
}

void
pol_slices_sort(struct hd_slice *slices, size_t n)
{
    if (n > 1)
        qsort(slices, n, sizeof(*slices), compare_slices);
}

bool
pol_slices_have(const struct hd_slice *slices, size_t n, struct hd_slice one)
{
    size_t low = 0;
    while (low < n) {
        const size_t mid = low + (n - low) / 2;
        const int order = hd_slice_cmp(slices[mid], one);
        if (order == 0)
            return true;
        if (order < 0)
            low = mid + 1;
        else
            n = mid;
    }
    return false;
}

/* ---- items ---- */

static struct list_item *
list_item_new(const struct pol_list *list)
{
    size_t text = list->name.n, kept = 0;
    for (size_t i = 0; i < list->n; i++)
        text += list->members[i].n;
    struct list_item *item = malloc(sizeof(*item) + list->n * sizeof(item->members[0]) + text);
    if (!item)
        return NULL;
    char *at = (char *)&item->members[list->n];
    item->list.name = pol_text_put(&at, list->name);
    pol_item_init(&item->item, item->list.name);
    for (size_t i = 0; i < list->n; i++)
        item->members[i] = pol_text_put(&at, list->members[i]);
    pol_slices_sort(item->members, list->n);
    for (size_t i = 0; i < list->n; i++)
        if (kept == 0 || !hd_slice_eq(item->members[kept - 1], item->members[i]))
            item->members[kept++] = item->members[i];
    item->list.members = item->members;
    item->list.n = kept;
    return item;
}

static struct member_item *
member_item_new(struct hd_slice member, const struct hd_slice *names, size_t n)
{
    size_t text = member.n;
    for (size_t i = 0; i < n; i++)
        text += names[i].n;
    struct member_item *item = malloc(sizeof(*item) + n * sizeof(item->names[0]) + text);
    if (!item)
        return NULL;
    char *at = (char *)&item->names[n];
    pol_item_init(&item->item, pol_text_put(&at, member));
    for (size_t i = 0; i < n; i++)
        item->names[i] = pol_text_put(&at, names[i]);
    item->n = n;
    return item;
}

/* A member joins a list or leaves it. */
static enum hd_err
member_change(struct pol_book *book, struct hd_slice member, struct hd_slice name, bool joins)
{
    struct hd_slice names[POL_MEMBER_OF_MAX + 1];
    char text[POL_WORD_MAX + 1], *at = text;
    size_t n_before, n = 0;
    const struct hd_slice *before = pol_book_lists_of(book, member, &n_before);

    if (joins && n_before >= POL_MEMBER_OF_MAX)
        return HD_EFULL;
    (void)pol_text_put(&at, HD_LIT("@"));
    (void)pol_text_put(&at, name);
    name = hd_slice(text, name.n + 1);
    for (size_t i = 0; i < n_before; i++)
        if (!hd_slice_eq(before[i], name))
            names[n++] = before[i];
    if (joins)
        names[n++] = name;
    if (n == 0)
        return pol_index_remove(&book->members, pol_book_hash(book, member), member);
    pol_slices_sort(names, n);
    struct member_item *item = member_item_new(member, names, n);
    if (!item)
        return HD_ENOMEM;
    const enum hd_err err =
        pol_index_put(&book->members, pol_book_hash(book, member), &item->item, SIZE_MAX);
    if (err)
        pol_item_unref(&item->item);
    return err;
}

/* Those of one list who are not in the other join it, or leave. */
static enum hd_err
members_differ(struct pol_book *book, const struct pol_list *one, const struct pol_list *other,
               bool joins)
{
    enum hd_err err = HD_OK;
    for (size_t i = 0; one && i < one->n && !err; i++)
        if (!other || !pol_slices_have(other->members, other->n, one->members[i]))
            err = member_change(book, one->members[i], one->name, joins);
    return err;
}

/* ---- edits ---- */

static bool
list_ok(const struct pol_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (!pol_key_ok(list->members[i]))
            return false;
    return pol_word_ok(list->name);
}

/* Into a book that nobody else sees yet. */
static enum hd_err
book_put_list(struct pol_book *book, const struct pol_list *list)
{
    if (!list_ok(list))
        return HD_ESYNTAX;
    if (list->n > POL_MEMBERS_MAX)
        return HD_EFULL;
    struct list_item *item = list_item_new(list);
    if (!item)
        return HD_ENOMEM;
    const struct pol_list *before = pol_book_list(book, list->name);
    enum hd_err err = members_differ(book, before, &item->list, false);
    if (!err)
        err = members_differ(book, &item->list, before, true);
    if (!err)
        err = pol_index_put(&book->lists, pol_book_hash(book, list->name), &item->item,
                            POL_LISTS_MAX);
    if (err)
        pol_item_unref(&item->item);
    return err;
}

enum hd_err
pol_lists_load(struct pol_book *book, const struct pol_list *lists, size_t n, size_t *ret_at)
{
    enum hd_err err = HD_OK;
    for (size_t i = 0; i < n && !err; i++) {
        *ret_at = i;
        err = book_put_list(book, &lists[i]);
    }
    return err;
}

enum hd_err
pol_book_with_list(const struct pol_book *book, const struct pol_list *list,
                   struct pol_book **ret_book)
{
    struct pol_book *copy = pol_book_copy(book);
    if (!copy)
        return HD_ENOMEM;
    const enum hd_err err = book_put_list(copy, list);
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    *ret_book = copy;
    return HD_OK;
}

struct use {
    struct hd_slice name;
    bool found;
};

static bool
means_list(struct hd_slice pattern, struct hd_slice name)
{
    return pattern.n == name.n + 1 && pattern.p[0] == '@' &&
           hd_slice_eq(hd_slice_from(pattern, 1), name);
}

static bool
visit_use(void *context, const struct pol_rule *rule)
{
    struct use *use = context;
    use->found = means_list(rule->watcher, use->name);
    for (size_t i = 0; i < rule->n_except && !use->found; i++)
        use->found = means_list(rule->except[i], use->name);
    return !use->found;
}

enum hd_err
pol_book_without_list(const struct pol_book *book, struct hd_slice name, struct pol_book **ret_book)
{
    const struct pol_list *list = pol_book_list(book, name);
    struct use use = { .name = name };

    if (!list)
        return HD_ENOMATCH;
    pol_book_each_rule(book, visit_use, &use);
    if (use.found)
        return HD_EBUSY;
    struct pol_book *copy = pol_book_copy(book);
    if (!copy)
        return HD_ENOMEM;
    enum hd_err err = members_differ(copy, list, NULL, false);
    if (!err)
        err = pol_index_remove(&copy->lists, pol_book_hash(copy, name), name);
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    *ret_book = copy;
    return HD_OK;
}

/* ---- reading ---- */

const struct pol_list *
pol_book_list(const struct pol_book *book, struct hd_slice name)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    struct pol_item *item = pol_index_find(&book->lists, pol_book_hash(book, name), name);
    return item ? &HD_CONTAINER(item, struct list_item, item)->list : NULL;
}

const struct hd_slice *
pol_book_lists_of(const struct pol_book *book, struct hd_slice member, size_t *ret_n)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    struct pol_item *item = pol_index_find(&book->members, pol_book_hash(book, member), member);
    const struct member_item *m = item ? HD_CONTAINER(item, struct member_item, item) : NULL;
    *ret_n = m ? m->n : 0;
    return m ? m->names : NULL;
}

bool
pol_book_is_member(const struct pol_book *book, struct hd_slice name, struct hd_slice member)
{
    const struct pol_list *list = pol_book_list(book, name);
    return list && pol_slices_have(list->members, list->n, member);
}

size_t
pol_book_list_count(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    return book->lists.n;
}

struct list_walk {
    pol_list_visit_f visit;
    void *context;
};

static bool
visit_list(void *context, struct pol_item *item)
{
    const struct list_walk *walk = context;
    return walk->visit(walk->context, &HD_CONTAINER(item, struct list_item, item)->list);
}

void
pol_book_each_list(const struct pol_book *book, pol_list_visit_f visit, void *context)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    pol_index_each(&book->lists, visit_list, &(struct list_walk){ visit, context });
}
