/* daemon.h - the running daemon: configuration, state folder, shards, admin socket, and how they
 * change and end. Thread: the main thread's. */
#ifndef HD_HERALDD_DAEMON_H
#define HD_HERALDD_DAEMON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "heraldd/admin.h"
#include "heraldd/config.h"
#include "heraldd/first.h"
#include "heraldd/host.h"
#include "heraldd/state.h"

#define HD_DAEMON_MAGIC 0x48444d4eu

/* What the command line says; strings outlive the daemon. */
struct hd_options {
    const char *config;  /* NULL: the defaults */
    const char *run_dir; /* state and socket are under it; NULL: what the configuration says, or the
                            system's folders */
    int log_level;       /* enum hd_level, -1: what the configuration says */
    void (*open_log)(enum hd_log_format format,
                     enum hd_level most); /* once the configuration is read; may be NULL */
    const char *first_users;              /* "2001,2002"; NULL: what the configuration says */
    const char *tool;                     /* how the tool is called, in what is printed */
};

enum hd_phase { HD_PHASE_STARTING = 0, HD_PHASE_RUNNING, HD_PHASE_DRAINING, HD_PHASE_ENDED };

/* What reads the audit trail, one after the other (calls_audit.c). */
struct hd_audit_reading;
struct hd_audit_line {
    struct hd_audit_reading *first; /* the one that runs */
    unsigned n;
    atomic_bool stop; /* read by its thread */
};

struct hd_daemon {
    unsigned magic;
    enum hd_phase phase; /* STARTING -> RUNNING hd_daemon_start; RUNNING -> DRAINING hd_daemon_stop;
                            any -> ENDED */
    struct hd_options options;
    uv_loop_t loop;
    uv_async_t async; /* a shard wants hd_host_collect */
    uv_timer_t timer; /* of the drain */
    uv_timer_t rules; /* when a rule begins or ceases to be in force */
    struct hd_state *state;
    char folder[4096]; /* of the state */
    struct hd_host *host;
    struct hd_face *face; /* HTTP; NULL: none */
    struct hd_admin *admin;
    struct net_tls *tls;       /* of conf, may be NULL */
    struct hd_conf *conf;      /* the one in use */
    struct evt_config *config; /* made from conf and the state's book */
    uint64_t started_us, drain_end_us;
    struct hd_audit_line audit_line;
    bool asking;               /* shards are asked whether they are quiet */
    bool backing_up;           /* a backup is being made (backup.c) */
    char socket_path[108];     /* of the admin socket */
    struct hd_made_user *made; /* users made at this start */
    size_t n_made;
};

/** Takes a line that says why it failed. */
typedef void (*hd_line_f)(void *context, const char *line);

/**
 * Reads the configuration and the state, opens all sockets and starts the shards; whole or not at
 * all.
 * @param tell  gets the lines that say what is wrong
 * @return HD_OK; otherwise what was opened is closed again
 */
HD_NODISCARD enum hd_err hd_daemon_start(const struct hd_options *options, hd_line_f tell,
                                         void *context, struct hd_daemon **ret_daemon);
/** Runs the loop until the daemon has ended. */
void hd_daemon_run(struct hd_daemon *daemon);
/** Drains: no new subscriptions and publications.  What is kept goes on at the next start, so only
 * what is under way is waited for, a second at most; what is in memory alone is ended, and all are
 * told, within 5 seconds.  Then the loop ends.  Called again: it ends at once. */
void hd_daemon_stop(struct hd_daemon *daemon);
void hd_daemon_free(struct hd_daemon *daemon); /* accepts NULL */

/** Called on the main thread when every shard has taken the version. */
typedef void (*hd_done_f)(void *context, uint32_t version);

/**
 * Keeps a book and hands it to every shard.
 * @param book     with the change; a reference is taken
 * @param changed  the resource whose rules changed, empty: any may have
 * @param done     called once when HD_OK is returned, never from inside
 * @return HD_OK; HD_EIO it could not be kept, HD_ENOMEM, with a line in ret_problem: nothing has
 * changed
 */
HD_NODISCARD enum hd_err hd_daemon_edit(struct hd_daemon *daemon, struct pol_book *book,
                                        struct hd_slice changed, hd_done_f done, void *context,
                                        char ret_problem[HD_PROBLEM_TEXT]);
/**
 * Reads the configuration again and hands it to every shard.
 * @param tell  gets the lines that say what is wrong
 * @return HD_OK; HD_ESYNTAX, HD_EIO, HD_ENOTSUP (something else that cannot change while it runs),
 * HD_ENOMEM: the old one stays
 */
HD_NODISCARD enum hd_err hd_daemon_reload(struct hd_daemon *daemon, hd_line_f tell,
                                          void *tell_context, hd_done_f done, void *context);

/** A resource as people write it, "2001" or "sip:2001@127.0.0.1": its key.  HD_ESYNTAX, HD_ERANGE,
 * HD_ENOMATCH (not ours), HD_ENOTSUP (another scheme). */
HD_NODISCARD enum hd_err hd_daemon_resource(const struct hd_daemon *daemon, struct hd_slice text,
                                            char ret_key[SIP_KEY_MAX], size_t *ret_len);

#endif
