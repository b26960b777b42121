/* windows.c - the nonce counts that were used, without letting anybody fill the memory.
 *
 * The problem: a replay must never pass, and yet the table is bounded.  The windows stand in a ring
 * in the order they were made; the oldest goes first.  A nonce's id holds the time of issue, and
 * the time of the youngest nonce that was ever dropped is the watermark: a nonce at or below it
 * that has no window may have been used, so it is refused. Invariants: each window of the ring is
 * in the map once; a nonce whose window was dropped never gets another. */
#include "policy/windows.h"

#include <stdlib.h>

#include "sip/digest.h"

/* Shards read their clocks apart, and a request may wait between two of them. */
#define SLACK_S 10u

struct pol_window {
    uint64_t id;
    struct sip_nc_window seen;
};

enum hd_err
pol_windows_init(struct pol_windows *windows, uint32_t cap, const struct hd_hash_key *key)
{
    HD_ASSERT(cap > 0);
    *windows = (struct pol_windows){ .cap = cap, .key = *key };
    hd_map_init(&windows->places);
    /* calloc of this size gives pages that cost nothing before they are used. */
    windows->ring = calloc(cap, sizeof(*windows->ring));
    return windows->ring ? HD_OK : HD_ENOMEM;
}

void
pol_windows_done(struct pol_windows *windows)
{
    hd_map_done(&windows->places);
    free(windows->ring);
    windows->ring = NULL;
}

static uint64_t
id_hash(const struct pol_windows *windows, uint64_t id)
{
    char octets[sizeof(id)];
    memcpy(octets, &id, sizeof(id));
    return hd_hash(&windows->key, hd_slice(octets, sizeof(octets)));
}

static void
drop_oldest(struct pol_windows *windows)
{
    HD_ASSERT(windows->n > 0);
    const uint64_t id = windows->ring[windows->head].id;
    const uint32_t issued_s = pol_nonce_issued_s(id);
    const bool was = hd_map_remove(&windows->places, id_hash(windows, id), windows->head);

    HD_ASSERT(was);
    if (!windows->dropped || issued_s > windows->watermark_s)
        windows->watermark_s = issued_s;
    windows->dropped = true;
    windows->head = (windows->head + 1) % windows->cap;
    windows->n--;
}

static struct pol_window *
find(const struct pol_windows *windows, uint64_t hash, uint64_t id)
{
    struct hd_map_walk walk;
    for (uint32_t at = hd_map_first(&walk, &windows->places, hash); at != HD_MAP_NONE;
         at = hd_map_more(&walk))
        if (windows->ring[at].id == id)
            return &windows->ring[at];
    return NULL;
}

/* A window for a nonce that has none and never had one; NULL when memory is short. */
static struct pol_window *
add(struct pol_windows *windows, uint64_t hash, uint64_t id)
{
    if (windows->n == windows->cap)
        drop_oldest(windows);
    const uint32_t at = (uint32_t)(((uint64_t)windows->head + windows->n) % windows->cap);
    if (hd_map_put(&windows->places, hash, at))
        return NULL;
    windows->ring[at] = (struct pol_window){ .id = id };
    windows->n++;
    return &windows->ring[at];
}

bool
pol_windows_take(struct pol_windows *windows, uint64_t id, uint32_t nc, uint32_t now_s,
                 uint32_t lifetime_s)
{
    while (lifetime_s > 0 && windows->n > 0 &&
           (uint64_t)pol_nonce_issued_s(windows->ring[windows->head].id) + lifetime_s + SLACK_S <
               now_s)
        drop_oldest(windows);

    const uint64_t hash = id_hash(windows, id);
    struct pol_window *window = find(windows, hash, id);
    if (!window) {
        if (nc == 0 || (windows->dropped && pol_nonce_issued_s(id) <= windows->watermark_s))
            return false;
        window = add(windows, hash, id);
    }
    return window && sip_nc_take(&window->seen, nc);
}
