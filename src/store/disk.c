/* disk.c - see disk.h. */
#include "store/disk.h"

#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10) /* SQLite's own files take less than 128 KiB at a time */

struct sto_file {
    sqlite3_file *file; /* as large as the VFS says */
    const char *name;   /* as SQLite wants names: with parameters behind it */
    int code;           /* of the last call that failed */
};

/* A file that was just made is found again only when its folder has been synced. */
static bool
sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + (slash == path) : 1;

    if (n >= sizeof(folder))
        return false;
    memcpy(folder, slash ? path : ".", n);
    folder[n] = '\0';
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool synced = fsync(fd) == 0;
    (void)close(fd);
    return synced;
}

static int
open_and_lock(struct sto_file *file, sqlite3_vfs *vfs)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB;
    int code = vfs->xOpen(vfs, file->name, file->file, flags, NULL);

    if (code)
        return code;
    code = file->file->pMethods->xLock(file->file, SQLITE_LOCK_SHARED);
    if (!code)
        code = file->file->pMethods->xLock(file->file, SQLITE_LOCK_EXCLUSIVE);
    return code;
}

enum hd_err
sto_file_open(const char *vfs_name, const char *path, const char **ret_problem,
              struct sto_file **ret_file)
{
    sqlite3_vfs *vfs = sqlite3_initialize() ? NULL : sqlite3_vfs_find(vfs_name);
    struct sto_file *file = calloc(1, sizeof(*file));
    char full[PATH_MAX];

    *ret_problem = sqlite3_errstr(SQLITE_CANTOPEN);
    if (!vfs || !file || vfs->xFullPathname(vfs, path, (int)sizeof(full), full)) {
        free(file);
        return vfs && !file ? HD_ENOMEM : HD_EIO;
    }
    file->file = calloc(1, (size_t)vfs->szOsFile);
    file->name = sqlite3_create_filename(full, "", "", 0, NULL);
    if (!file->file || !file->name) {
        sto_file_close(file);
        return HD_ENOMEM;
    }
    int code = open_and_lock(file, vfs);
    if (!code && !vfs_name && !sync_folder(full))
        code = SQLITE_IOERR_DIR_FSYNC;
    if (code) {
        *ret_problem = sqlite3_errstr(code);
        sto_file_close(file);
        return (code & 0xff) == SQLITE_BUSY ? HD_EBUSY : HD_EIO;
    }
    *ret_file = file;
    return HD_OK;
}

void
sto_file_close(struct sto_file *file)
{
    if (!file)
        return;
    if (file->file && file->file->pMethods) {
        (void)file->file->pMethods->xUnlock(file->file, SQLITE_LOCK_NONE);
        (void)file->file->pMethods->xClose(file->file);
    }
    free(file->file);
    sqlite3_free_filename(file->name);
    free(file);
}

static enum hd_err
outcome(struct sto_file *file, int code)
{
    if (!code)
        return HD_OK;
    file->code = code;
    return HD_EIO;
}

enum hd_err
sto_file_read(struct sto_file *file, uint64_t at, void *to, size_t n)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < n && !code; i += PIECE) {
        int m = (int)(n - i < PIECE ? n - i : PIECE);
        code = file->file->pMethods->xRead(file->file, (char *)to + i, m, (sqlite3_int64)(at + i));
        if (code == SQLITE_IOERR_SHORT_READ) /* the rest is zero */
            code = SQLITE_OK;
    }
    return outcome(file, code);
}

enum hd_err
sto_file_write(struct sto_file *file, uint64_t at, const void *from, size_t n)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < n && !code; i += PIECE) {
        int m = (int)(n - i < PIECE ? n - i : PIECE);
        code = file->file->pMethods->xWrite(file->file, (const char *)from + i, m,
                                            (sqlite3_int64)(at + i));
    }
    return outcome(file, code);
}

enum hd_err
sto_file_sync(struct sto_file *file)
{
    return outcome(
        file, file->file->pMethods->xSync(file->file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY));
}

enum hd_err
sto_file_size(struct sto_file *file, uint64_t *ret_octets)
{
    sqlite3_int64 size = 0;
    enum hd_err err = outcome(file, file->file->pMethods->xFileSize(file->file, &size));

    *ret_octets = (uint64_t)size;
    return err;
}

const char *
sto_file_problem(const struct sto_file *file)
{
    return sqlite3_errstr(file->code);
}
