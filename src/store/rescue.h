/* rescue.h - what can still be read of a live file whose structure is damaged.
 *
 * A row that was damaged is put aside by the journal itself. When pages are gone, or point to the
 * wrong place, every row that can be reached and is whole is copied into a new file, which takes
 * the place of the damaged one; that one stays beside it under another name. Thread: one at a time,
 * and the file is open nowhere. */
#ifndef HD_STORE_RESCUE_H
#define HD_STORE_RESCUE_H

#include <stdint.h>

#include "base/err.h"
#include "store/journal.h"

/** What the damaged file is called afterwards: the path with this behind it. */
#define STO_RESCUE_LEFT ".damaged"

struct sto_rescued {
    uint64_t rows;    /* that were copied */
    uint64_t damaged; /* that were met, but are not whole */
    uint64_t missing; /* numbers between those that were met; how many are missing at the end of a
                         table nobody knows */
};

/**
 * Copies what can be read and puts the copy in the file's place. Records whose newest row is gone
 * come back as they were before it.
 * @param ret_problem  one line, when it cannot be done; the file is then as it was
 * @return HD_OK; HD_EIO; HD_ENOMEM; HD_ESYNTAX: not even its tables can be found
 */
HD_NODISCARD enum hd_err sto_rescue(const struct sto_journal_params *params,
                                    struct sto_rescued *ret_rescued, char ret_problem[256]);
/** Ends a rescue that a crash met between its last steps; before the file is opened.  HD_EIO. */
HD_NODISCARD enum hd_err sto_rescue_finish(const char *path);

#endif
