/* status.h - the answer to the admin call "status" (doc/admin-protocol.md).
 * Thread: the main thread's. */
#ifndef HD_HERALDD_STATUS_H
#define HD_HERALDD_STATUS_H

#include <jansson.h>

#include "heraldd/daemon.h"

/** The caller's to json_decref; NULL when memory is short.  brief: without the parts of each shard
 * and the words of the counters. */
json_t *hd_status_json(const struct hd_daemon *daemon, bool brief);

#endif
