/* watchdog.c - a shard that hangs must end the daemon, not only the phones that it serves.
 *
 * Four times in the manager's interval all shards are asked, by a sweep, and the manager is told
 * only when all have answered since the last time.  A main loop that hangs asks nobody, so that is
 * noticed as well. */
#include "heraldd/watchdog.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/slice.h"
#include "heraldd/daemon.h"
#include "heraldd/notify.h"

static void
run_answer(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
           uint64_t now_us)
{
    (void)context;
    (void)shard;
    (void)evt;
    (void)net;
    (void)now_us;
}

static void
finish_answer(void *context)
{
    struct hd_watchdog *watchdog = context;

    watchdog->asked = false;
}

static const struct hd_sweep_ops answer_ops = { run_answer, finish_answer };

static void
on_watchdog(uv_timer_t *timer)
{
    struct hd_watchdog *watchdog = timer->data;

    if (watchdog->asked || watchdog->daemon->phase == HD_PHASE_ENDED)
        return;
    hd_notify("WATCHDOG=1");
    /* Without memory for it the next tick tells the manager once more, and tries again. */
    watchdog->asked = true;
    if (hd_host_sweep(watchdog->daemon->host, &answer_ops, watchdog))
        watchdog->asked = false;
}

/* The interval in milliseconds, 0: nobody asks us. */
static uint64_t
wanted_ms(void)
{
    const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t us = 0, whose = 0;

    if (!interval || hd_slice_to_u64(hd_slice_str(interval), &us))
        return 0;
    if (pid && (hd_slice_to_u64(hd_slice_str(pid), &whose) || whose != (uint64_t)getpid()))
        return 0;
    return us / 1000;
}

void
hd_watchdog_start(struct hd_watchdog *watchdog, struct hd_daemon *daemon)
{
    uint64_t every_ms = wanted_ms() / 4;

    *watchdog = (struct hd_watchdog){ .daemon = daemon };
    if (every_ms == 0)
        return;
    if (uv_timer_init(&daemon->loop, &watchdog->timer) == 0) {
        watchdog->timer.data = watchdog;
        if (uv_timer_start(&watchdog->timer, on_watchdog, every_ms, every_ms) == 0)
            return;
    }
    HD_LOG_PLAIN(HD_WARN, "the service manager's watchdog cannot be served");
}
