/* backup.h - a copy of everything that the daemon keeps, made while it works.
 * Thread: the main thread's. */
#ifndef HD_HERALDD_BACKUP_H
#define HD_HERALDD_BACKUP_H

#include <stdint.h>

struct hd_daemon;

/** Tells how it ended: problem is NULL when the copy is whole and on the disk, otherwise one line
 * (borrowed).  octets: its size. */
typedef void (*hd_backup_done_f)(void *context, const char *problem, uint64_t octets);

/**
 * Copies the live state, as far as it is kept, and then herald.db into a folder that a daemon
 * can start on.
 * @param folder  absolute; made with mode 0700, or empty.  What a copy that fails has made is
 * removed
 * @param done    called once, perhaps from inside
 */
void hd_backup(struct hd_daemon *daemon, const char *folder, hd_backup_done_f done, void *context);

#endif
