/* metrics.h - the daemon's figures as OpenMetrics text, for whoever collects them.
 * Thread: the main thread's; it reads what the shards count while they count. */
#ifndef HD_HERALDD_METRICS_H
#define HD_HERALDD_METRICS_H

#include "base/str.h"
#include "heraldd/daemon.h"

/** Appends every counter and gauge, "# EOF" as the last line.  Memory that is short is remembered
 * by out.  The names and labels stay as they are from version to version. */
void hd_metrics_write(const struct hd_daemon *daemon, struct hd_str *out);

#endif
