/* wheel.h - hierarchical timing wheel: start, move and stop a timer in constant time.
 * Thread: its shard's.  Time is passed in: milliseconds of a monotonic clock that never goes back.
 * Memory: struct hd_timer is embedded in the object that it belongs to, one per object. */
#ifndef HD_BASE_WHEEL_H
#define HD_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hd_timer_link {
    struct hd_timer_link *next, *prev; /* NULL: not running */
};

/* All zero: a timer that does not run. */
struct hd_timer {
    struct hd_timer_link link;
    uint64_t due_ms : 56;
    uint64_t kind : 8; /* set by the owner: says what object embeds the timer */
};

#define HD_WHEEL_BITS 8
#define HD_WHEEL_SLOTS (1u << HD_WHEEL_BITS)
#define HD_WHEEL_LEVELS 5

struct hd_wheel {
    uint64_t now_ms;
    uint64_t at_ms; /* up to where slots are emptied: now_ms, or behind it while an advance fires */
    uint32_t count; /* running timers */
    struct hd_timer_link late; /* due at now_ms or before: for the next advance */
    uint64_t occupied[HD_WHEEL_LEVELS][HD_WHEEL_SLOTS / 64];      /* one bit per slot in use */
    struct hd_timer_link slots[HD_WHEEL_LEVELS * HD_WHEEL_SLOTS]; /* rings in order of start */
};

/** Called once per expired timer, which is stopped by then and may be started again. */
typedef void (*hd_timer_f)(void *context, struct hd_timer *timer);

/** The wheel must not be moved in memory afterwards. */
void hd_wheel_init(struct hd_wheel *wheel, uint64_t now_ms);
/** Starts a timer, or moves a running one.  due_ms in the past counts as now and fires at the next
 * advance; due times are kept in 56 bits, a later one (UINT64_MAX) never comes. */
void hd_wheel_start(struct hd_wheel *wheel, struct hd_timer *timer, uint64_t due_ms);
/** Stops a timer; nothing happens when it does not run. */
void hd_wheel_stop(struct hd_wheel *wheel, struct hd_timer *timer);
static inline bool
hd_timer_running(const struct hd_timer *timer)
{
    return timer->link.next != NULL;
}
/** Moves time on to now_ms (a smaller value is taken as no time passed) and fires what is due, in
 * order of due time by millisecond and within it in the order of start.  Callbacks may start and
 * stop any timer.  Timers that they start for now (the time passed here) or before fire at the next
 * advance.  A callback must not advance the wheel itself.  Returns how many fired. */
size_t hd_wheel_advance(struct hd_wheel *wheel, uint64_t now_ms, hd_timer_f fire, void *context);
/** Milliseconds until the next timer may be due, 0 when one is due, UINT64_MAX when none runs.
 * Never late; it may be early (by a cascade), so the caller advances and asks again. */
uint64_t hd_wheel_wait_ms(const struct hd_wheel *wheel);

#endif
