/* gather.h - a SQLite VFS in front of another one, which writes in large pieces.
 *
 * SQLite writes each page of a commit with two calls, and each page of a checkpoint with one. Here
 * what follows octet by octet is gathered, and written when a sync, a read or a write elsewhere
 * wants it to be there.  For files whose commits end in a sync: what was gathered and not synced is
 * in no file yet. Thread: that of the connection.  Memory: freed after all its files are closed. */
#ifndef HD_STORE_GATHER_H
#define HD_STORE_GATHER_H

#include "base/err.h"

struct sto_gather;

/** @param behind  name of the VFS that does the work, borrowed; NULL: the system's
 *  @return HD_OK; HD_ENOMATCH there is none of that name; HD_ENOMEM */
HD_NODISCARD enum hd_err sto_gather_new(const char *behind, struct sto_gather **ret_gather);
/** Accepts NULL. */
void sto_gather_free(struct sto_gather *gather);
/** The name under which SQLite knows it; borrowed. */
const char *sto_gather_name(const struct sto_gather *gather);

#endif
