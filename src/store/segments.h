/* segments.h - a stream without end in a file that does not grow.
 *
 * The stream is cut into segments of one size.  Each lies in a slot of the file, wherever one was
 * free, behind a header that says which it is; when its head and the stream's tail have gone on,
 * the slot takes another.  What is overwritten was on the disk before, so that a sync has no more
 * to do than to write.  A place in the stream is the number of octets before it. Thread: one at a
 * time. */
#ifndef HD_STORE_SEGMENTS_H
#define HD_STORE_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sto_segments;

/**
 * Opens the file or makes it, and takes it for this process alone.
 * @param vfs          as sto_file_open
 * @param ret_problem  one line that names the file and what is wrong
 * @return HD_OK; HD_EVERSION no file of this herald, or of a newer one: it is as it was; HD_EIO;
 * HD_ENOMEM
 */
HD_NODISCARD enum hd_err sto_segments_open(const char *vfs, const char *path, char ret_problem[256],
                                           struct sto_segments **ret_log);
/** Makes a copy of a stream that is to begin with from: an empty file at path, for which the same
 * rows are right.  It is filled as any other.  Errors as sto_segments_open. */
HD_NODISCARD enum hd_err sto_segments_copy(const struct sto_segments *of, uint64_t from,
                                           const char *path, struct sto_segments **ret_log);
/** Accepts NULL. */
void sto_segments_close(struct sto_segments *log);

/** By chance, one for the file: what is read behind a damaged place is told by it from what was
 * made to look like it. */
uint64_t sto_segments_salt(const struct sto_segments *log);
/** What is needed of the stream begins here, or later: the tail that the newest segment knew of. */
uint64_t sto_segments_first(const struct sto_segments *log);
/** Behind the last octet of the newest segment; what was written last is somewhere before. */
uint64_t sto_segments_limit(const struct sto_segments *log);

/** Reads n octets of the stream; of a segment that is gone they are zero.  HD_EIO. */
HD_NODISCARD enum hd_err sto_segments_read(struct sto_segments *log, uint64_t at, void *to,
                                           size_t n);
/** The next place from at on that is in a segment which is there; the limit when there is none. */
uint64_t sto_segments_next(const struct sto_segments *log, uint64_t at);
/**
 * Writes n octets of the stream.
 * @param tail  what is before is not needed, and what replaces it is on the disk: a segment that is
 * begun says so, and once that is synced the slots of those before are free
 * @return HD_OK; HD_EIO see sto_segments_problem; HD_ENOMEM
 */
HD_NODISCARD enum hd_err sto_segments_write(struct sto_segments *log, uint64_t at, const void *from,
                                            size_t n, uint64_t tail);
/** What was written is on the disk when it returns.  HD_EIO. */
HD_NODISCARD enum hd_err sto_segments_sync(struct sto_segments *log);
/** Writes down where the stream ends; it is on the disk with the next sync.  So a file that was cut
 * is told from one that ends.  HD_EIO. */
HD_NODISCARD enum hd_err sto_segments_note_end(struct sto_segments *log, uint64_t end);
/** Where it ended when that was last written down; 0: it never was. */
uint64_t sto_segments_noted_end(const struct sto_segments *log);
/** A segment was begun that was not synced yet. */
bool sto_segments_begun(const struct sto_segments *log);
/** The stream ends here: segments that begin at end or behind it are given back. */
void sto_segments_cut(struct sto_segments *log, uint64_t end);
/** Why the last call failed, in words; static. */
const char *sto_segments_problem(const struct sto_segments *log);

#endif
