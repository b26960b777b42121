/* index.c - items by key that many threads read while one edits.
 *
 * The problem: every request looks something up, so readers may not lock; a tool changes one entry
 * of a hundred thousand, so an edit may not copy all.  Invariants: a page or item with more than
 * one reference is never written; a page's slots are sorted by hash; the upper bits of the hash
 * choose the page. */
#include "policy/index.h"

#include <stdlib.h>

struct slot {
    uint64_t hash;
    struct pol_item *item;
};

struct pol_page {
    _Atomic uint32_t refs;
    uint32_t n, cap;
    struct slot slots[];
};

void
pol_item_init(struct pol_item *item, struct hd_slice key)
{
    atomic_init(&item->refs, 1);
    item->key = key;
    item->release = NULL;
}

struct pol_item *
pol_item_ref(struct pol_item *item)
{
    atomic_fetch_add_explicit(&item->refs, 1, memory_order_relaxed);
    return item;
}

void
pol_item_unref(struct pol_item *item)
{
    /* acq_rel: reads made by other threads happen before the free. */
    if (!item || atomic_fetch_sub_explicit(&item->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (item->release)
        item->release(item);
    free(item);
}

static void
page_unref(struct pol_page *page)
{
    if (!page || atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < page->n; i++)
        pol_item_unref(page->slots[i].item);
    free(page);
}

/* The first slot whose hash is not below. */
static uint32_t
page_lower(const struct pol_page *page, uint64_t hash)
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
page_find(const struct pol_page *page, uint64_t hash, struct hd_slice key, uint32_t *ret_at)
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

/* A page of this index alone with room for one slot more, in place of *place; NULL when memory is
 * short. */
static struct pol_page *
page_own(struct pol_page **place)
{
    struct pol_page *old = *place;
    /* With one reference it is ours: nobody else can come by another. */
    const bool mine = old && atomic_load_explicit(&old->refs, memory_order_acquire) == 1;

    if (mine && old->n < old->cap)
        return old;
    const uint32_t n = old ? old->n : 0, cap = n + 2 + n / 4;
    struct pol_page *page = malloc(sizeof(*page) + cap * sizeof(page->slots[0]));
    if (!page)
        return NULL;
    atomic_init(&page->refs, 1);
    page->n = n;
    page->cap = cap;
    for (uint32_t i = 0; i < n; i++) {
        page->slots[i].hash = old->slots[i].hash;
        page->slots[i].item = pol_item_ref(old->slots[i].item);
    }
    page_unref(old);
    *place = page;
    return page;
}

struct pol_item *
pol_index_find(const struct pol_index *index, uint64_t hash, struct hd_slice key)
{
    const struct pol_page *page = index->pages[hash >> (64 - POL_PAGE_BITS)];
    uint32_t at;
    return page_find(page, hash, key, &at) ? page->slots[at].item : NULL;
}

enum hd_err
pol_index_put(struct pol_index *index, uint64_t hash, struct pol_item *item, size_t max)
{
    struct pol_page **place = &index->pages[hash >> (64 - POL_PAGE_BITS)];
    struct pol_page *page = page_own(place);
    uint32_t at;

    if (!page)
        return HD_ENOMEM;
    if (page_find(page, hash, item->key, &at)) {
        pol_item_unref(page->slots[at].item);
        page->slots[at].item = item;
        return HD_OK;
    }
    if (index->n >= max)
        return HD_EFULL;
    at = page_lower(page, hash);
    memmove(&page->slots[at + 1], &page->slots[at], (page->n - at) * sizeof(page->slots[0]));
    page->slots[at] = (struct slot){ hash, item };
    page->n++;
    index->n++;
    return HD_OK;
}

enum hd_err
pol_index_remove(struct pol_index *index, uint64_t hash, struct hd_slice key)
{
    struct pol_page **place = &index->pages[hash >> (64 - POL_PAGE_BITS)];
    uint32_t at;

    if (!page_find(*place, hash, key, &at))
        return HD_ENOMATCH;
    struct pol_page *page = page_own(place);
    if (!page)
        return HD_ENOMEM;
    pol_item_unref(page->slots[at].item);
    page->n--;
    memmove(&page->slots[at], &page->slots[at + 1], (page->n - at) * sizeof(page->slots[0]));
    index->n--;
    return HD_OK;
}

void
pol_index_copy(struct pol_index *to, const struct pol_index *from)
{
    to->n = from->n;
    for (unsigned i = 0; i < POL_PAGES; i++) {
        to->pages[i] = from->pages[i];
        if (to->pages[i])
            atomic_fetch_add_explicit(&to->pages[i]->refs, 1, memory_order_relaxed);
    }
}

void
pol_index_done(struct pol_index *index)
{
    for (unsigned i = 0; i < POL_PAGES; i++)
        page_unref(index->pages[i]);
}

void
pol_index_each(const struct pol_index *index, bool (*visit)(void *context, struct pol_item *item),
               void *context)
{
    for (unsigned p = 0; p < POL_PAGES; p++)
        for (uint32_t i = 0; index->pages[p] && i < index->pages[p]->n; i++)
            if (!visit(context, index->pages[p]->slots[i].item))
                return;
}

void
pol_index_diff(const struct pol_index *index, const struct pol_index *than,
               void (*visit)(void *context, struct pol_item *item, struct pol_item *other),
               void *context)
{
    for (unsigned p = 0; p < POL_PAGES; p++) {
        const struct pol_page *page = index->pages[p];
        if (page == than->pages[p])
            continue;
        for (uint32_t i = 0; page && i < page->n; i++) {
            struct pol_item *item = page->slots[i].item;
            struct pol_item *other = pol_index_find(than, page->slots[i].hash, item->key);
            if (item != other)
                visit(context, item, other);
        }
    }
}
