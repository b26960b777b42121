/* fault_vfs.h - a disk in memory for SQLite, which fails when it is told to, and remembers every
 * write and every sync, so that a test can see what a crash at any moment would have left.
 *
 * For tests alone.  Thread: faults may be set by any thread; everything else by one at a time. */
#ifndef HD_STORE_FAULT_VFS_H
#define HD_STORE_FAULT_VFS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault_disk;

/** A disk, registered with SQLite under a name of its own (borrowed). */
struct fault_disk *fault_disk_new(const char *name);
/** After all files are closed; accepts NULL. */
void fault_disk_free(struct fault_disk *disk);

/* --- faults ------------------------------------------------------------------------------ */

enum fault {
    FAULT_NONE = 0,
    FAULT_FULL,  /* a write that makes a file longer: disk full; what is there can be overwritten */
    FAULT_WRITE, /* any write: EIO */
    FAULT_TORN,  /* any write: half of it is done, then EIO */
    FAULT_SYNC,  /* any sync: EIO, and what was written since the last one is lost in a crash */
    FAULT_READ   /* any read: EIO */
};
/** From the nth operation of its kind on (0: the next), until it is set to FAULT_NONE. */
void fault_disk_fail(struct fault_disk *disk, enum fault fault, unsigned nth);
/** How long a sync takes. */
void fault_disk_slow(struct fault_disk *disk, uint32_t sync_us);
/** How often the fault has struck. */
unsigned fault_disk_struck(const struct fault_disk *disk);

/* --- crashes ----------------------------------------------------------------------------- */

/** From now on every operation is remembered. */
void fault_disk_record(struct fault_disk *disk);
/** How many operations there were since. */
size_t fault_disk_count(const struct fault_disk *disk);

/* What becomes of writes that no sync followed; those that a sync followed are there in any case.
 */
enum fault_loss {
    FAULT_LOSE_ALL = 0,
    FAULT_LOSE_NONE,
    FAULT_LOSE_SOME,    /* of each sector by chance */
    FAULT_LOSE_LAST,    /* the last write is torn at a sector, those before are there */
    FAULT_LOSE_SHUFFLED /* whole writes by chance: some later ones are there, some earlier not */
};
#define FAULT_LOSSES 5

struct fault_crash;
/** Walks through what was recorded.  onto: the disk that gets the images; it is emptied first. */
struct fault_crash *fault_crash_new(const struct fault_disk *disk, struct fault_disk *onto);
void fault_crash_free(struct fault_crash *crash);
/** Writes onto the other disk what a crash after n operations leaves; n may only grow. */
void fault_crash_at(struct fault_crash *crash, size_t n, enum fault_loss loss, uint64_t chance);

/** Turns over one bit of a file (0 is its first); false: it has not so many. */
bool fault_disk_flip(struct fault_disk *disk, const char *file, uint64_t bit);
/** Cuts a file. */
void fault_disk_cut(struct fault_disk *disk, const char *file, uint64_t size);
uint64_t fault_disk_size(const struct fault_disk *disk, const char *file);
/** Makes onto's files the same. */
void fault_disk_copy(const struct fault_disk *disk, struct fault_disk *onto);

#endif
