/* gather.c - writes that follow one another become one, a file that nobody wrote into is not
 * synced, and a checkpoint finds in memory what it reads of the log.
 *
 * Invariants: what is gathered of a file lies in one piece behind another, and is written before
 * anything else is asked of that file; so the order of its writes stays, and only their borders
 * change.  A piece that could not be written is forgotten, and whoever caused the write is told:
 * SQLite gives the commit up and writes all of it anew.  The first image_n octets of the log are in
 * its image as well, those that are gathered among them. */
#include "store/gather.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's own VFS writes less than 128 KiB in one call, and takes this in one. */
#define GATHERED_MOST ((size_t)124 << 10)
#define IMAGE ((size_t)4 << 20) /* of a log; a checkpoint comes before it has as much */

struct sto_gather {
    sqlite3_vfs vfs; /* the first: it is found by this */
    sqlite3_vfs *behind;
    char name[32];
};

/* An open file; that of the VFS behind follows. */
struct handle {
    sqlite3_file base;
    sqlite3_file *behind;
    bool dirty;   /* something may have been written since the last sync that succeeded */
    char *octets; /* what is gathered, where it is not in the image */
    size_t n;
    sqlite3_int64 at;
    bool in_image;
    char *image; /* NULL: not a log */
    size_t image_n;
};

static struct handle *
handle_of(sqlite3_file *file)
{
    return (struct handle *)(void *)file;
}

static void
image_cut(struct handle *handle, sqlite3_int64 size)
{
    if (handle->image_n > (size_t)size)
        handle->image_n = (size_t)size;
}

static int
write_gathered(struct handle *handle)
{
    const char *octets = handle->in_image ? handle->image + handle->at : handle->octets;
    size_t n = handle->n;

    if (n == 0)
        return SQLITE_OK;
    handle->n = 0;
    int code = handle->behind->pMethods->xWrite(handle->behind, octets, (int)n, handle->at);
    if (code)
        image_cut(handle, handle->at);
    return code;
}

static int
io_close(sqlite3_file *file)
{
    struct handle *handle = handle_of(file);
    int code = write_gathered(handle);
    int closed = handle->behind->pMethods->xClose(handle->behind);

    free(handle->octets);
    free(handle->image);
    return code ? code : closed;
}

static int
io_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    struct handle *handle = handle_of(file);

    if ((size_t)at + (size_t)n <= handle->image_n) {
        memcpy(to, handle->image + at, (size_t)n);
        return SQLITE_OK;
    }
    int code = write_gathered(handle);
    return code ? code : handle->behind->pMethods->xRead(handle->behind, to, n, at);
}

/* Whether it can be part of the image: no gap is before it. */
static bool
image_has_room(const struct handle *handle, sqlite3_int64 at, size_t n)
{
    return handle->image && (size_t)at <= handle->image_n && (size_t)at + n <= IMAGE;
}

static void
gather(struct handle *handle, const void *octets, size_t n)
{
    const size_t end = (size_t)handle->at + handle->n + n;

    memcpy((handle->in_image ? handle->image + handle->at : handle->octets) + handle->n, octets, n);
    handle->n += n;
    if (handle->in_image && handle->image_n < end)
        handle->image_n = end;
}

static int
io_write(sqlite3_file *file, const void *octets, int n, sqlite3_int64 at)
{
    struct handle *handle = handle_of(file);
    size_t size = (size_t)n;
    bool in_image = image_has_room(handle, at, size);

    handle->dirty = true;
    if (handle->n > 0 && (at != handle->at + (sqlite3_int64)handle->n ||
                          size > GATHERED_MOST - handle->n || in_image != handle->in_image)) {
        int code = write_gathered(handle);
        if (code)
            return code;
    }
    if (size > GATHERED_MOST || !in_image)
        image_cut(handle, at);
    if (size > GATHERED_MOST)
        return handle->behind->pMethods->xWrite(handle->behind, octets, n, at);
    if (handle->n == 0)
        handle->at = at;
    handle->in_image = in_image;
    gather(handle, octets, size);
    return SQLITE_OK;
}

static int
io_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct handle *handle = handle_of(file);
    int code = write_gathered(handle);

    handle->dirty = true;
    image_cut(handle, size);
    return code ? code : handle->behind->pMethods->xTruncate(handle->behind, size);
}

/* A checkpoint begins with a sync of the log, which the commit before it has synced. */
static int
io_sync(sqlite3_file *file, int flags)
{
    struct handle *handle = handle_of(file);
    int code = write_gathered(handle);

    if (!code && handle->dirty)
        code = handle->behind->pMethods->xSync(handle->behind, flags);
    if (!code)
        handle->dirty = false;
    return code;
}

static int
io_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    struct handle *handle = handle_of(file);
    int code = write_gathered(handle);

    return code ? code : handle->behind->pMethods->xFileSize(handle->behind, ret);
}

static int
io_lock(sqlite3_file *file, int how)
{
    sqlite3_file *behind = handle_of(file)->behind;

    return behind->pMethods->xLock(behind, how);
}

static int
io_unlock(sqlite3_file *file, int how)
{
    sqlite3_file *behind = handle_of(file)->behind;

    return behind->pMethods->xUnlock(behind, how);
}

static int
io_check_lock(sqlite3_file *file, int *ret)
{
    sqlite3_file *behind = handle_of(file)->behind;

    return behind->pMethods->xCheckReservedLock(behind, ret);
}

/* Among what passes here are hints of the size that a file will have: they may come early. */
static int
io_control(sqlite3_file *file, int op, void *arg)
{
    sqlite3_file *behind = handle_of(file)->behind;

    return behind->pMethods->xFileControl(behind, op, arg);
}

static int
io_sector(sqlite3_file *file)
{
    sqlite3_file *behind = handle_of(file)->behind;

    return behind->pMethods->xSectorSize(behind);
}

static int
io_device(sqlite3_file *file)
{
    sqlite3_file *behind = handle_of(file)->behind;

    return behind->pMethods->xDeviceCharacteristics(behind);
}

/* Of the first version: no shared memory, and no view of the file that would pass by. */
static const sqlite3_io_methods io = {
    .iVersion = 1,
    .xClose = io_close,
    .xRead = io_read,
    .xWrite = io_write,
    .xTruncate = io_truncate,
    .xSync = io_sync,
    .xFileSize = io_size,
    .xLock = io_lock,
    .xUnlock = io_unlock,
    .xCheckReservedLock = io_check_lock,
    .xFileControl = io_control,
    .xSectorSize = io_sector,
    .xDeviceCharacteristics = io_device,
};

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    sqlite3_vfs *behind = ((struct sto_gather *)(void *)vfs)->behind;
    struct handle *handle = handle_of(file);

    if (!(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
        return behind->xOpen(behind, name, file, flags, ret_flags);
    *handle = (struct handle){ .behind = (sqlite3_file *)(void *)(handle + 1), .dirty = true };
    handle->octets = malloc(GATHERED_MOST);
    handle->image = flags & SQLITE_OPEN_WAL ? malloc(IMAGE) : NULL;
    bool has_room = handle->octets && (handle->image || !(flags & SQLITE_OPEN_WAL));
    int code =
        has_room ? behind->xOpen(behind, name, handle->behind, flags, ret_flags) : SQLITE_NOMEM;
    if (code) {
        if (has_room && handle->behind->pMethods)
            (void)handle->behind->pMethods->xClose(handle->behind);
        free(handle->octets);
        free(handle->image);
        return code;
    }
    handle->base.pMethods = &io;
    return SQLITE_OK;
}

enum hd_err
sto_gather_new(const char *behind, struct sto_gather **ret_gather)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(behind);
    struct sto_gather *gather = vfs ? calloc(1, sizeof(*gather)) : NULL;

    if (!gather)
        return vfs ? HD_ENOMEM : HD_ENOMATCH;
    /* What is not about octets of files is done by the one behind, with its own pAppData. */
    gather->vfs = *vfs;
    gather->behind = vfs;
    (void)snprintf(gather->name, sizeof(gather->name), "gather-%p", (void *)gather);
    gather->vfs.zName = gather->name;
    gather->vfs.pNext = NULL;
    gather->vfs.szOsFile = (int)sizeof(struct handle) + vfs->szOsFile;
    gather->vfs.xOpen = vfs_open;
    if (sqlite3_vfs_register(&gather->vfs, 0)) {
        free(gather);
        return HD_ENOMEM;
    }
    *ret_gather = gather;
    return HD_OK;
}

void
sto_gather_free(struct sto_gather *gather)
{
    if (!gather)
        return;
    (void)sqlite3_vfs_unregister(&gather->vfs);
    free(gather);
}

const char *
sto_gather_name(const struct sto_gather *gather)
{
    return gather->name;
}
