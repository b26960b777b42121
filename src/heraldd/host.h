/* host.h - the shards of the daemon: their threads, and the wiring of the core to sockets, store
 * and policy.
 *
 * Thread: made and used by the main thread.  What runs on all shards is a sweep: a function that
 * each shard's thread calls, and one that the main thread calls when all have. */
#ifndef HD_HERALDD_HOST_H
#define HD_HERALDD_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "event/shard.h"
#include "heraldd/config.h"
#include "net/net.h"
#include "store/live.h"

struct hd_host;

struct hd_host_params {
    struct hd_conf *conf; /* listeners and limits; a reference is taken */
    unsigned shards;      /* 1 to EVT_MAX_SHARDS */
    struct net_tls *tls;  /* each shard takes a reference; may be NULL */
    struct evt_keys keys;
    uint32_t epoch;     /* this start of the daemon, unlike earlier ones */
    const char *folder; /* the state folder, which holds the live state as well; not kept */
    struct api *face;   /* what subscribers without SIP are told; NULL: nobody */
    hd_wake_f wake;     /* makes the main thread call hd_host_collect; from any thread */
    void *wake_context;
};

/** The number of shards for a machine with this many cores: one up to two cores, cores - 1 up to
 * eight, cores - 2 beyond. */
unsigned hd_host_auto_shards(unsigned cores);
/** Opens the live state and all sockets; nothing is read before hd_host_start.
 *  @return HD_OK; HD_EIO, HD_EVERSION with a line that names the file or the address in
 * ret_problem; HD_ENOMEM */
HD_NODISCARD enum hd_err hd_host_new(const struct hd_host_params *params, char ret_problem[256],
                                     struct hd_host **ret_host);
/** Where listener i is bound. */
struct hd_addr hd_host_bound(const struct hd_host *host, size_t i);
/** Makes the shards of the core, gives them back what was kept, and starts their threads, once.
 *  @param config  a reference is taken by each shard
 *  @param ret_problem  a line, or empty
 *  @return HD_OK; HD_ENOMEM; HD_EIO, HD_EVERSION: the live state cannot be read, or a thread could
 * not be started */
HD_NODISCARD enum hd_err hd_host_start(struct hd_host *host, struct evt_config *config,
                                       char ret_problem[256]);
/** Whether subscriptions outlive the daemon. */
bool hd_host_is_kept(const struct hd_host *host);
/** The live state's file, for operators; false: it is in memory. */
bool hd_host_store(struct hd_host *host, struct sto_status *ret_status);
/**
 * Copies the live state, which is kept, to a file that must not exist, while it is used.
 * @param done  called by hd_host_collect when HD_OK is returned: with HD_OK, or with HD_ESTORE (a
 * part of the file may be there; also when the host stops)
 * @return HD_OK; HD_EBUSY: another copy is under way; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_host_copy(struct hd_host *host, const char *path,
                                      void (*done)(void *context, enum hd_err err), void *context);
/** Ends the threads: what was committed is flushed, nothing else is waited for; then the live state
 * is settled, so that the next start goes on where this one ends.  Sweeps that run are finished,
 * not all of their shards may have run. */
void hd_host_stop(struct hd_host *host);
void hd_host_free(struct hd_host *host); /* stops first; accepts NULL */

unsigned hd_host_shards(const struct hd_host *host);
/** Any of the core's shards, after hd_host_start. */
struct evt_shard *hd_host_any(const struct hd_host *host);
/** Counters, from any thread. */
const struct evt_counters *hd_host_counters(const struct hd_host *host, unsigned shard);
const struct nam_counters *hd_host_names(const struct hd_host *host, unsigned shard);
const struct net_counters *hd_host_net(const struct hd_host *host, unsigned shard);
uint32_t hd_host_mailbox(const struct hd_host *host, unsigned shard);

struct hd_sweep_ops {
    /** On each shard's thread, at once on several; what it writes is kept apart by shard.  */
    void (*run)(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
                uint64_t now_us);
    /** On the main thread, after all have run; frees context. */
    void (*finish)(void *context);
};
/** Runs ops on all shards.  HD_OK: finish will be called, never from inside; HD_ENOMEM: it will
 * not. */
HD_NODISCARD enum hd_err hd_host_sweep(struct hd_host *host, const struct hd_sweep_ops *ops,
                                       void *context);
/** Calls finish of the sweeps that are done; the main thread does this after params.wake. */
void hd_host_collect(struct hd_host *host);

/** The file of the audit trail, NULL: none is kept. */
const char *hd_host_audit_path(const struct hd_host *host);

#endif
