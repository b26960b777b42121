/* journal_impl.h - what journal.c and load.c share of a journal. */
#ifndef HD_STORE_JOURNAL_IMPL_H
#define HD_STORE_JOURNAL_IMPL_H

#include "store/index.h"
#include "store/journal.h"
#include "store/row.h"
#include "store/segments.h"

#define JOURNAL_MAGIC 0x534a4f55u
#define STARTS_UNKNOWN                                                                             \
    256 /* that are counted for those that a copy, or a file without its end, cannot               \
           know of */

/* What an id had before the batch under way touched it. */
struct change {
    unsigned table;
    uint64_t id;
    struct sto_held held;
};

/* Octets of the log that were read at once. */
struct window {
    char *p;
    size_t n, cap;
    uint64_t at;
};

/* What is to be put aside: a row, or octets in which none can be found. */
struct damage {
    uint64_t at, n;
    bool has_id; /* then that id is to be removed */
    unsigned table;
    uint64_t id;
};

struct damages {
    struct damage *p;
    size_t n, cap;
};

/* Which rows of a table count: a bit for each number. */
struct counted {
    uint64_t *bits;
};

struct sto_journal {
    unsigned magic;
    bool durable;
    char *path;
    char *vfs; /* NULL: the system's */
    struct sto_segments *log;
    uint64_t salt;
    struct sto_index index[STO_TABLES];
    uint64_t boot;
    uint32_t start;
    struct sto_stamp opened;
    uint64_t tail, end; /* places in the log; what counts lies between */
    uint64_t tail_synced, end_synced;
    bool sync_failed;
    uint64_t rows;        /* there, of records */
    uint64_t live_octets; /* of the rows that count, each rounded up */
    uint64_t lost;        /* places that could not be read, at the start and since */
    struct window window;
    /* of the batch under way: */
    bool in_batch;
    char *batch; /* what goes behind end */
    size_t batch_n, batch_cap;
    uint64_t fold; /* sum over the checks of its rows */
    struct change *changes;
    size_t n_changes, cap_changes;
    uint64_t tail_before, rows_before, live_before;
    /* from the opening to the load: */
    bool loaded;
    uint64_t scanned; /* number of the first bit */
    uint64_t limit;   /* and of that behind the last */
    struct counted counted[STO_TABLES];
    struct damages damages;
    uint64_t marker_ms; /* newest wall clock in the file */
    /* of a backup under way: */
    struct sto_segments *copy;
    uint64_t copy_from, copied;
    char problem[160];
};

/** Reads the log and finds what counts in it: sets everything above.  HD_ESTORE, HD_ENOMEM. */
HD_NODISCARD enum hd_err sto_journal_scan(struct sto_journal *journal);
/** n octets of the log from a place on, all before limit; borrowed until the next one.  HD_ESTORE,
 * HD_ENOMEM. */
HD_NODISCARD enum hd_err sto_journal_view(struct sto_journal *journal, uint64_t at, uint64_t n,
                                          uint64_t limit, const char **ret);
/** The place of the next row behind one that cannot be read; limit when there is none.  Errors as
 * sto_journal_view. */
HD_NODISCARD enum hd_err sto_journal_search(struct sto_journal *journal, uint64_t from,
                                            uint64_t limit, uint64_t *ret_at);
/** Size of a row as the index has it. */
struct sto_held sto_journal_held(uint64_t number, uint64_t n);
uint64_t sto_journal_octets(struct sto_held held);
/** Notes why; @return err */
enum hd_err sto_journal_failed(struct sto_journal *journal, enum hd_err err);
/** The kind of the records of a table. */
enum evt_record_kind sto_journal_kind(unsigned table);
/** Adds the removal of an id to the batch under way.  Errors as sto_journal_append. */
HD_NODISCARD enum hd_err sto_journal_remove(struct sto_journal *journal, unsigned table,
                                            uint64_t id);

/** What was found is forgotten. */
void sto_journal_scan_done(struct sto_journal *journal);

#endif
