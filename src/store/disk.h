/* disk.h - a file that is read, written and synced at an offset.
 *
 * It goes through SQLite's interface to the operating system (a VFS), which knows how to lock and
 * to sync; so the disk in memory that fails, and remembers what a crash would leave (fault_vfs.h),
 * serves the tests of all that the store writes.  Thread: one at a time. */
#ifndef HD_STORE_DISK_H
#define HD_STORE_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sto_file;

/**
 * Opens a file, or makes it, and takes it for this process alone.
 * @param vfs          name of a SQLite VFS, NULL: the system's
 * @param ret_problem  in words, static, when it fails
 * @return HD_OK; HD_EBUSY another process has it; HD_EIO; HD_ENOMEM
 */
HD_NODISCARD enum hd_err sto_file_open(const char *vfs, const char *path, const char **ret_problem,
                                       struct sto_file **ret_file);
/** Accepts NULL. */
void sto_file_close(struct sto_file *file);
/** Reads n octets; those behind the end are zero.  HD_EIO. */
HD_NODISCARD enum hd_err sto_file_read(struct sto_file *file, uint64_t at, void *to, size_t n);
/** HD_EIO. */
HD_NODISCARD enum hd_err sto_file_write(struct sto_file *file, uint64_t at, const void *from,
                                        size_t n);
/** What was written is on the disk when it returns.  HD_EIO. */
HD_NODISCARD enum hd_err sto_file_sync(struct sto_file *file);
/** HD_EIO. */
HD_NODISCARD enum hd_err sto_file_size(struct sto_file *file, uint64_t *ret_octets);
/** Why the last call failed, in words; static. */
const char *sto_file_problem(const struct sto_file *file);

#endif
