/* journal_impl.h - what journal.c and load.c share of a journal. */
#ifndef HD_STORE_JOURNAL_IMPL_H
#define HD_STORE_JOURNAL_IMPL_H

#include <sqlite3.h>

#include "store/copy.h"
#include "store/index.h"
#include "store/journal.h"
#include "store/row.h"

#define JOURNAL_MAGIC 0x534a4f55u

/* What an id had before the batch under way touched it. */
struct change {
    unsigned table;
    uint64_t id;
    uint32_t row; /* its lower half; 0: it did not live */
};

struct lane {
    sqlite3_stmt *insert, *tail, *trim;
    struct sto_index index;
    uint64_t first, next; /* rows that exist lie in [first, next) */
    /* of the batch under way: */
    uint64_t first_before;
    uint64_t first_new;
    uint64_t limit; /* rows that it may hold: by what lived before */
    char *pack;     /* of STO_PACK_MOST octets or one row; written when it is full, or at the end */
    size_t pack_n, pack_cap;
    uint64_t pack_row; /* number of its first row */
    int64_t credit;    /* rows that may be taken off the tail; a whole pack is, so it may be < 0 */
};

struct sto_journal {
    unsigned magic;
    struct sto_gather *gather; /* NULL: commits do not wait for the disk */
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *rollback;
    struct lane lanes[STO_TABLES];
    int64_t boot;   /* number of this boot in the file */
    uint32_t start; /* and of this start */
    uint32_t lost;  /* commits that a damaged log held */
    int log_pages;  /* in the write-ahead log, after the last commit */
    bool start_kept;
    struct sto_stamp opened;
    uint64_t marker_ms;     /* newest wall clock in the file */
    struct change *changes; /* of the batch under way */
    size_t n_changes, cap_changes;
    uint64_t added; /* rows of the batch */
    bool in_batch;
    bool loaded;          /* what lives is known */
    struct sto_copy copy; /* a backup under way */
    char problem[160];
};

/** Notes what SQLite says of the last call.  @return HD_ESTORE */
enum hd_err sto_journal_failed(struct sto_journal *journal);
/** HD_OK, HD_ESTORE. */
HD_NODISCARD enum hd_err sto_journal_run(struct sto_journal *journal, const char *sql);
/** What a table holds. */
enum evt_record_kind sto_journal_kind(unsigned table);

#endif
