/* audit.h - the audit trail: who watched which resource, when, from where and under which rule, in
 * a file of its own beside the store's.
 *
 * Lines are only added, by the trail's thread (trail.h), and go when they are old or too many; the
 * broker never changes one.  The file is read by another connection.
 * Thread: an opened trail belongs to one; sto_audit_read() opens its own connection. */
#ifndef HD_STORE_AUDIT_H
#define HD_STORE_AUDIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "event/ports.h"

#define STO_AUDIT_FILE "audit.db"
#define STO_AUDIT_PACKED_MAX 2048u

struct sto_audit;

struct sto_audit_params {
    const char *path;
    uint32_t keep_s; /* how long a line stays */
    uint32_t most;   /* and how many may */
    bool durable;    /* on the disk when committed, not only with the system */
};

/** Opens the file, which the caller has made, empty at first (SQLite would let others read it).
 * HD_EIO with a line in ret_problem; HD_ENOMEM. */
HD_NODISCARD enum hd_err sto_audit_open(const struct sto_audit_params *params,
                                        char ret_problem[256], struct sto_audit **ret_audit);
/** Accepts NULL; what was not committed is lost. */
void sto_audit_close(struct sto_audit *audit);
/** A row as octets, to travel to the thread that owns the trail; borrowed from buffer. */
struct hd_slice sto_audit_pack(const struct evt_audit *row, char buffer[STO_AUDIT_PACKED_MAX]);
/** Adds a packed row.  HD_ESYNTAX, HD_EIO: it is lost. */
HD_NODISCARD enum hd_err sto_audit_add(struct sto_audit *audit, uint64_t wall_ms,
                                       struct hd_slice packed);
/** Commits what was added, and lets some of what is old go.  HD_EIO: what was added is lost. */
HD_NODISCARD enum hd_err sto_audit_commit(struct sto_audit *audit, uint64_t wall_ms);

/**
 * Copies the trail to a path, which must not exist, in steps, between which lines may be added and
 * committed; none is open.  A copy that fails is removed.
 * @param ret_done  false: call again
 * @return HD_OK, HD_EIO
 */
HD_NODISCARD enum hd_err sto_audit_copy(struct sto_audit *audit, const char *path, bool *ret_done);

struct sto_audit_line {
    uint64_t at_ms; /* wall clock */
    uint64_t id;
    enum evt_audited what;
    unsigned state, transform, proof, reason;
    uint32_t rule;
    struct hd_slice resource, package, watcher, address; /* borrowed for the visit */
};
typedef void (*sto_audit_visit_f)(void *context, const struct sto_audit_line *line);
struct sto_audit_query {
    const char *path;
    struct hd_slice resource; /* empty: of all */
    uint64_t since_ms;        /* not older than this (wall clock) */
    uint32_t limit;
    const atomic_bool *stop; /* set by another thread: it is broken off; NULL: never */
};
/**
 * Visits the newest lines, newest first.  There is no index: to look through ten million lines
 * takes seconds.
 * @return HD_OK; HD_ENOMATCH there is no trail; HD_EBUSY it was broken off; HD_EIO
 */
HD_NODISCARD enum hd_err sto_audit_read(const struct sto_audit_query *query,
                                        sto_audit_visit_f visit, void *context);

#endif
