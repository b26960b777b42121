/* wheel.c - timers in rings by the highest octet in which their due time differs from the wheel's.
 * Level n has a slot per value of octet n of the due time.  A timer sits on the level of the
 * highest octet in which due_ms and at_ms differ; when at_ms comes to a slot of an upper level, its
 * timers move down (cascade).  So all timers of one millisecond are always in one ring, in the
 * order of their start.  The top level counts round: what is further away than it reaches (2^40 ms,
 * 34 years) waits in its last slot and is placed again from there; only there the order within a
 * millisecond is not kept.
 * Invariants: levels below the top hold only slots above at_ms's own; every slot of a level comes
 * before every slot of the next; the bit of a slot is set when its ring is not empty.  Hence the
 * next thing to do is the first bit of the lowest level that has one, and idle time is skipped
 * however long it is. */
#include "base/wheel.h"

#include "base/err.h"

#define TOP (HD_WHEEL_LEVELS - 1u)
#define SLOT_MASK (HD_WHEEL_SLOTS - 1u)
#define DUE_MAX ((UINT64_C(1) << 56) - 1)

_Static_assert(sizeof(struct hd_timer) == 24, "a timer is embedded in every subscription");

static void
ring_init(struct hd_timer_link *ring)
{
    ring->next = ring->prev = ring;
}

static void
ring_append(struct hd_timer_link *ring, struct hd_timer_link *link)
{
    link->next = ring;
    link->prev = ring->prev;
    ring->prev->next = link;
    ring->prev = link;
}

static bool
ring_empty(const struct hd_timer_link *ring)
{
    return ring->next == ring;
}

/* Moves all of from, which has some, into the uninitialised to. */
static void
ring_move(struct hd_timer_link *to, struct hd_timer_link *from)
{
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    ring_init(from);
}

static void
mark(struct hd_wheel *wheel, unsigned level, unsigned slot)
{
    wheel->occupied[level][slot / 64] |= UINT64_C(1) << slot % 64;
}

static void
unmark(struct hd_wheel *wheel, unsigned level, unsigned slot)
{
    wheel->occupied[level][slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

static struct hd_timer_link *
ring_of(struct hd_wheel *wheel, unsigned level, unsigned slot)
{
    return &wheel->slots[level * HD_WHEEL_SLOTS + slot];
}

void
hd_wheel_init(struct hd_wheel *wheel, uint64_t now_ms)
{
    *wheel = (struct hd_wheel){ .now_ms = now_ms, .at_ms = now_ms };
    ring_init(&wheel->late);
    for (unsigned i = 0; i < HD_ARRAY_LEN(wheel->slots); i++)
        ring_init(&wheel->slots[i]);
}

/* Takes a timer out of its ring, and clears the slot's bit when it was the last. */
static void
take_out(struct hd_wheel *wheel, struct hd_timer *timer)
{
    struct hd_timer_link *next = timer->link.next, *prev = timer->link.prev;

    prev->next = next;
    next->prev = prev;
    timer->link.next = timer->link.prev = NULL;
    /* Alone between one and the same: that is the ring's head. */
    if (next == prev) {
        uintptr_t offset = (uintptr_t)next - (uintptr_t)wheel->slots;
        if (offset < sizeof(wheel->slots)) {
            unsigned index = (unsigned)(offset / sizeof(wheel->slots[0]));
            if (ring_empty(&wheel->slots[index]))
                unmark(wheel, index / HD_WHEEL_SLOTS, index & SLOT_MASK);
        }
    }
}

/* due_ms is at or after at_ms. */
static void
insert(struct hd_wheel *wheel, struct hd_timer *timer)
{
    uint64_t due = timer->due_ms, differ = due ^ wheel->at_ms;
    unsigned level = differ ? (63 - (unsigned)__builtin_clzll(differ)) / HD_WHEEL_BITS : 0;
    unsigned slot;

    if (level < TOP) {
        slot = (unsigned)(due >> level * HD_WHEEL_BITS) & SLOT_MASK;
    } else {
        uint64_t here = wheel->at_ms >> TOP * HD_WHEEL_BITS;
        uint64_t ahead = (due >> TOP * HD_WHEEL_BITS) - here;

        level = TOP;
        if (ahead > SLOT_MASK)
            ahead = SLOT_MASK;
        slot = (unsigned)(here + ahead) & SLOT_MASK;
    }
    ring_append(ring_of(wheel, level, slot), &timer->link);
    mark(wheel, level, slot);
}

void
hd_wheel_start(struct hd_wheel *wheel, struct hd_timer *timer, uint64_t due_ms)
{
    if (hd_timer_running(timer))
        take_out(wheel, timer);
    else
        wheel->count++;
    if (due_ms <= wheel->now_ms) {
        timer->due_ms = wheel->now_ms & DUE_MAX;
        ring_append(&wheel->late, &timer->link);
    } else {
        timer->due_ms = (due_ms < DUE_MAX ? due_ms : DUE_MAX) & DUE_MAX;
        insert(wheel, timer);
    }
}

void
hd_wheel_stop(struct hd_wheel *wheel, struct hd_timer *timer)
{
    if (!hd_timer_running(timer))
        return;
    take_out(wheel, timer);
    wheel->count--;
}

/* The first occupied slot of a level at or after from, HD_WHEEL_SLOTS when there is none. */
static unsigned
first_slot(const struct hd_wheel *wheel, unsigned level, unsigned from)
{
    const uint64_t *words = wheel->occupied[level];
    unsigned word = from / 64;
    uint64_t bits;

    if (from >= HD_WHEEL_SLOTS)
        return HD_WHEEL_SLOTS;
    bits = words[word] & ~UINT64_C(0) << from % 64;
    while (bits == 0) {
        if (++word == HD_WHEEL_SLOTS / 64)
            return HD_WHEEL_SLOTS;
        bits = words[word];
    }
    return word * 64 + (unsigned)__builtin_ctzll(bits);
}

/* When the next slot comes, and its level; UINT64_MAX when all are empty.  Late timers are not seen
 * here. */
static uint64_t
next_slot(const struct hd_wheel *wheel, unsigned *ret_level)
{
    uint64_t here = wheel->at_ms >> TOP * HD_WHEEL_BITS;
    unsigned slot;

    for (unsigned level = 0; level < TOP; level++) {
        unsigned shift = level * HD_WHEEL_BITS;
        uint64_t at = wheel->at_ms >> shift;

        slot = first_slot(wheel, level, ((unsigned)at & SLOT_MASK) + 1);
        if (slot < HD_WHEEL_SLOTS) {
            *ret_level = level;
            return ((at & ~(uint64_t)SLOT_MASK) | slot) << shift;
        }
    }
    *ret_level = TOP;
    slot = first_slot(wheel, TOP, ((unsigned)here & SLOT_MASK) + 1);
    if (slot == HD_WHEEL_SLOTS)
        slot = first_slot(wheel, TOP, 0);
    if (slot == HD_WHEEL_SLOTS)
        return UINT64_MAX;
    return (here + ((slot - (unsigned)here) & SLOT_MASK)) << TOP * HD_WHEEL_BITS;
}

static void
cascade(struct hd_wheel *wheel, unsigned level)
{
    unsigned slot = (unsigned)(wheel->at_ms >> level * HD_WHEEL_BITS) & SLOT_MASK;
    struct hd_timer_link ring;

    ring_move(&ring, ring_of(wheel, level, slot));
    unmark(wheel, level, slot);
    for (struct hd_timer_link *link = ring.next, *next; link != &ring; link = next) {
        next = link->next;
        insert(wheel, HD_CONTAINER(link, struct hd_timer, link));
    }
}

static size_t
fire_ring(struct hd_wheel *wheel, struct hd_timer_link *ring, hd_timer_f fire, void *context)
{
    size_t fired = 0;

    while (!ring_empty(ring)) {
        struct hd_timer *timer = HD_CONTAINER(ring->next, struct hd_timer, link);
        take_out(wheel, timer);
        wheel->count--;
        fired++;
        fire(context, timer);
    }
    return fired;
}

size_t
hd_wheel_advance(struct hd_wheel *wheel, uint64_t now_ms, hd_timer_f fire, void *context)
{
    size_t fired = 0;
    uint64_t at;
    unsigned level;

    HD_ASSERT(wheel->at_ms == wheel->now_ms);
    if (now_ms > DUE_MAX)
        now_ms = DUE_MAX;
    if (now_ms > wheel->now_ms)
        wheel->now_ms = now_ms;
    if (!ring_empty(&wheel->late)) {
        struct hd_timer_link ring; /* apart, since callbacks may add to late */
        ring_move(&ring, &wheel->late);
        fired += fire_ring(wheel, &ring, fire, context);
    }
    while ((at = next_slot(wheel, &level)) <= wheel->now_ms) {
        wheel->at_ms = at;
        if (level > 0)
            cascade(wheel, level);
        /* Nothing can join this ring while it fires: what is due by now_ms goes to late. */
        fired += fire_ring(wheel, ring_of(wheel, 0, (unsigned)at & SLOT_MASK), fire, context);
    }
    wheel->at_ms = wheel->now_ms;
    return fired;
}

uint64_t
hd_wheel_wait_ms(const struct hd_wheel *wheel)
{
    unsigned level;
    uint64_t at;

    if (!ring_empty(&wheel->late))
        return 0;
    at = next_slot(wheel, &level);
    if (at == UINT64_MAX)
        return UINT64_MAX;
    return at > wheel->now_ms ? at - wheel->now_ms : 0;
}
