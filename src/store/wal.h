/* wal.h - whether the write-ahead log that a crash has left can be read to its end.
 *
 * SQLite reads the log up to the first place whose check sum is wrong and takes what follows for
 * the remains of a commit that was cut short.  After a crash that is right; when a bit was turned
 * over it drops commits that were acknowledged, without a word.  Thread: any. */
#ifndef HD_STORE_WAL_H
#define HD_STORE_WAL_H

#include <stdint.h>

/**
 * Reads a log before SQLite does; nothing is changed.
 * @param path  of the database; its log is the file beside it
 * @return how many commits, at least, SQLite is going to drop though they had been finished: one
 * may be missing, the one that was hit; 0: none, or there is no log.  When the last commit of a log
 * or the one before it is hit, that can not be told from one that was cut short.
 */
uint32_t sto_wal_lost(const char *path);

#endif
