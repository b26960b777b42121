/* watchdog.h - tells the service manager that we live, as long as every shard does
 * (sd_watchdog_enabled(3)). Thread: the main thread's. */
#ifndef HD_HERALDD_WATCHDOG_H
#define HD_HERALDD_WATCHDOG_H

#include <stdbool.h>
#include <uv.h>

struct hd_daemon;

/* Embedded by who runs the daemon; outlives it. */
struct hd_watchdog {
    uv_timer_t timer; /* closed with the daemon's loop */
    struct hd_daemon *daemon;
    bool asked; /* not all shards have answered yet */
};

/** Starts when $WATCHDOG_USEC asks for it, for this process ($WATCHDOG_PID); otherwise nothing
 * happens.  After hd_daemon_start. */
void hd_watchdog_start(struct hd_watchdog *watchdog, struct hd_daemon *daemon);

#endif
