/* black.h - targets that failed lately, and until when they are avoided.
 * A fixed number of places: the one whose time is nearest gives way.  Thread: its shard's. */
#ifndef HD_NAMES_BLACK_H
#define HD_NAMES_BLACK_H

#include "event/ports.h"
#include "names/names.h"

struct nam_black_entry {
    struct evt_target target;
    uint64_t until_ms; /* 0: free */
    uint32_t wait_ms;  /* of the last time, doubled at the next failure */
};
struct nam_black {
    struct nam_black_entry entry[NAM_BLACK_MAX];
    unsigned n; /* places ever used */
};

/** Avoids a target from now on; retry_after_s > 0: for that long, else for a time that doubles
 * while it goes on failing. */
void nam_black_add(struct nam_black *black, const struct evt_target *target, uint32_t retry_after_s,
                   uint64_t now_ms);
/** It answered. */
void nam_black_drop(struct nam_black *black, const struct evt_target *target);
bool nam_black_has(struct nam_black *black, const struct evt_target *target, uint64_t now_ms);

#endif
