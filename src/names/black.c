/* black.c - a target that failed goes behind the others for a while (RFC 3263 section 4.3 leaves
 * open for how long): 30 s, twice as long each time it fails again, at most 10 minutes, or what its
 * 503 said in Retry-After.  What is no longer avoided is remembered as long again, so that a target
 * that stays dead is not tried every 30 s. */
#include "names/black.h"

static bool
same(const struct evt_target *a, const struct evt_target *b)
{
    return a->transport == b->transport && hd_addr_eq(&a->addr, &b->addr);
}

static struct nam_black_entry *
find(struct nam_black *black, const struct evt_target *target)
{
    for (unsigned i = 0; i < black->n; i++)
        if (black->entry[i].until_ms && same(&black->entry[i].target, target))
            return &black->entry[i];
    return NULL;
}

static struct nam_black_entry *
place(struct nam_black *black)
{
    struct nam_black_entry *first = &black->entry[0];

    if (black->n < NAM_BLACK_MAX)
        return &black->entry[black->n++];
    for (unsigned i = 1; i < black->n; i++)
        if (black->entry[i].until_ms < first->until_ms)
            first = &black->entry[i];
    return first;
}

void
nam_black_add(struct nam_black *black, const struct evt_target *target, uint32_t retry_after_s,
              uint64_t now_ms)
{
    struct nam_black_entry *entry = find(black, target);
    uint64_t wait_ms = (uint64_t)retry_after_s * 1000;

    if (entry && now_ms < entry->until_ms)
        return; /* others that went to it say the same now */
    if (!entry) {
        entry = place(black);
        *entry = (struct nam_black_entry){ .target = *target };
    } else if (now_ms >= entry->until_ms + entry->wait_ms) {
        entry->wait_ms = 0; /* that was long ago */
    }
    entry->wait_ms = entry->wait_ms ? entry->wait_ms * 2 : NAM_BLACK_FIRST_MS;
    if (entry->wait_ms > NAM_BLACK_MOST_MS)
        entry->wait_ms = NAM_BLACK_MOST_MS;
    if (wait_ms > NAM_BLACK_MOST_MS)
        wait_ms = NAM_BLACK_MOST_MS;
    entry->until_ms = now_ms + (wait_ms ? wait_ms : entry->wait_ms);
}

void
nam_black_drop(struct nam_black *black, const struct evt_target *target)
{
    struct nam_black_entry *entry = black->n ? find(black, target) : NULL;

    if (entry)
        entry->until_ms = 0;
}

bool
nam_black_has(struct nam_black *black, const struct evt_target *target, uint64_t now_ms)
{
    const struct nam_black_entry *entry = find(black, target);

    return entry && now_ms < entry->until_ms;
}
