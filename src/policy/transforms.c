/* transforms.c - the transformations of the book: by name for rules and people, by number for those
 * who see through them.
 *
 * A number stands for one transformation as it is: a change gives it another, so that whoever sees
 * through it is seen to see something else.  Numbers are few (a subscription keeps one in an octet)
 * and are used again, but as late as can be. */
#include <stdlib.h>

#include "event/ports.h"
#include "format/position.h"
#include "policy/book_core.h"

struct transform_item {
    struct pol_item item;
    struct pol_transform transform;
    struct hd_slice slices[]; /* hide, only, provide; their text follows */
};

static bool
reduction_ok(const struct fmt_reduction *r)
{
    if (r->n_hide > FMT_PATHS_MAX || r->n_only > FMT_PATHS_MAX || r->n_provide > FMT_PROVIDES_MAX ||
        r->civic > FMT_CIVIC_FULL || (r->civic != FMT_CIVIC_NONE && r->circle_m == 0) ||
        (r->circle_m != 0 && (r->circle_m < FMT_CIRCLE_LEAST_M || r->circle_m > FMT_CIRCLE_MOST_M)))
        return false;
    for (size_t i = 0; i < r->n_hide; i++)
        if (!fmt_path_ok(r->hide[i]))
            return false;
    for (size_t i = 0; i < r->n_only; i++)
        if (!fmt_path_ok(r->only[i]))
            return false;
    for (size_t i = 0; i < r->n_provide; i++)
        if (!fmt_provide_ok(r->provide[i]))
            return false;
    return r->n_hide + r->n_only + r->n_provide + r->circle_m > 0;
}

static size_t
text_size(const struct hd_slice *slices, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += slices[i].n;
    return size;
}

static const struct hd_slice *
slices_put(const struct hd_slice *from, size_t n, struct hd_slice **to, char **at)
{
    const struct hd_slice *first = *to;
    for (size_t i = 0; i < n; i++)
        *(*to)++ = pol_text_put(at, from[i]);
    return first;
}

static struct transform_item *
transform_item_new(const struct pol_transform *t)
{
    const struct fmt_reduction *r = &t->reduction;
    const size_t n = r->n_hide + r->n_only + r->n_provide;
    struct transform_item *item = malloc(
        sizeof(*item) + n * sizeof(item->slices[0]) + t->name.n + text_size(r->hide, r->n_hide) +
        text_size(r->only, r->n_only) + text_size(r->provide, r->n_provide));
    if (!item)
        return NULL;
    struct hd_slice *slices = item->slices;
    char *at = (char *)&item->slices[n];
    item->transform = *t;
    item->transform.name = pol_text_put(&at, t->name);
    pol_item_init(&item->item, item->transform.name);
    item->transform.reduction.hide = slices_put(r->hide, r->n_hide, &slices, &at);
    item->transform.reduction.only = slices_put(r->only, r->n_only, &slices, &at);
    item->transform.reduction.provide = slices_put(r->provide, r->n_provide, &slices, &at);
    return item;
}

/* The first number from where it stopped that nobody has. */
static uint8_t
number_find(const struct pol_book *book)
{
    unsigned number = book->next_transform;
    for (unsigned i = 0; i < 256; i++, number++) {
        if (number > 255 || number < EVT_TRANSFORM_FIRST)
            number = EVT_TRANSFORM_FIRST;
        if (!book->by_number[number])
            return (uint8_t)number;
    }
    return 0;
}

/* Into a book that nobody else sees yet. */
static enum hd_err
book_put_transform(struct pol_book *book, const struct pol_transform *transform, uint8_t number)
{
    const struct pol_transform *before = pol_book_transform(book, transform->name);
    struct transform_item *item = transform_item_new(transform);

    if (!item)
        return HD_ENOMEM;
    const uint8_t old = before ? before->number : 0;
    item->transform.number = number;
    const enum hd_err err = pol_index_put(&book->transforms, pol_book_hash(book, transform->name),
                                          &item->item, POL_TRANSFORMS_MAX);
    if (err) {
        pol_item_unref(&item->item);
        return err;
    }
    if (old)
        book->by_number[old] = NULL;
    book->by_number[number] = &item->transform;
    return HD_OK;
}

enum hd_err
pol_transforms_load(struct pol_book *book, const struct pol_transform *transforms, size_t n,
                    uint8_t next_transform, size_t *ret_at)
{
    for (size_t i = 0; i < n; i++) {
        const struct pol_transform *t = &transforms[i];
        *ret_at = i;
        if (!pol_word_ok(t->name) || !reduction_ok(&t->reduction) ||
            t->number < EVT_TRANSFORM_FIRST || book->by_number[t->number])
            return HD_ESYNTAX;
        const enum hd_err err = book_put_transform(book, t, t->number);
        if (err)
            return err;
    }
    book->next_transform = next_transform;
    return HD_OK;
}

enum hd_err
pol_book_with_transform(const struct pol_book *book, const struct pol_transform *transform,
                        struct pol_book **ret_book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    if (!pol_word_ok(transform->name) || !reduction_ok(&transform->reduction))
        return HD_ESYNTAX;
    struct pol_book *copy = pol_book_copy(book);
    if (!copy)
        return HD_ENOMEM;
    const uint8_t number = number_find(copy);
    const enum hd_err err = number ? book_put_transform(copy, transform, number) : HD_EFULL;
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    copy->next_transform = (uint8_t)(number + 1);
    *ret_book = copy;
    return HD_OK;
}

struct transform_use {
    struct hd_slice name;
    bool found;
};

static bool
visit_transform_use(void *context, const struct pol_rule *rule)
{
    struct transform_use *use = context;
    use->found = hd_slice_eq(rule->transform, use->name);
    return !use->found;
}

enum hd_err
pol_book_without_transform(const struct pol_book *book, struct hd_slice name,
                           struct pol_book **ret_book)
{
    const struct pol_transform *transform = pol_book_transform(book, name);
    struct transform_use use = { .name = name };

    if (!transform)
        return HD_ENOMATCH;
    pol_book_each_rule(book, visit_transform_use, &use);
    if (use.found)
        return HD_EBUSY;
    struct pol_book *copy = pol_book_copy(book);
    if (!copy)
        return HD_ENOMEM;
    const enum hd_err err = pol_index_remove(&copy->transforms, pol_book_hash(copy, name), name);
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    copy->by_number[transform->number] = NULL;
    *ret_book = copy;
    return HD_OK;
}

/* ---- reading ---- */

const struct pol_transform *
pol_book_transform(const struct pol_book *book, struct hd_slice name)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    struct pol_item *item = pol_index_find(&book->transforms, pol_book_hash(book, name), name);
    return item ? &HD_CONTAINER(item, struct transform_item, item)->transform : NULL;
}

const struct pol_transform *
pol_book_transform_at(const struct pol_book *book, uint8_t number)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    return book->by_number[number];
}

uint8_t
pol_book_next_transform(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    return book->next_transform;
}

void
pol_book_each_transform(const struct pol_book *book, pol_transform_visit_f visit, void *context)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    for (unsigned i = 0; i < 256; i++)
        if (book->by_number[i] && !visit(context, book->by_number[i]))
            return;
}
