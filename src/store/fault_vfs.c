/* fault_vfs.c - a disk in memory.
 *
 * A file is a block of octets with a name.  There is no shared memory, so SQLite takes it for a
 * write-ahead log only in exclusive mode, as the store does. Invariants: a record of an operation
 * is made when it has been done; octets of recorded writes are kept until the disk is freed. */
#include "store/fault_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/hash.h"

#define FILES 8
#define NAME_MOST 128
#define SECTOR 512u

enum op_kind { OP_WRITE = 1, OP_TRUNCATE, OP_SYNC, OP_CREATE, OP_DELETE };

struct op {
    enum op_kind kind;
    unsigned file;
    uint64_t at, n;
    uint8_t *octets;
};

struct file {
    char name[NAME_MOST];
    bool there;
    uint8_t *octets;
    uint64_t n, cap;
};

struct fault_disk {
    sqlite3_vfs vfs;
    struct file files[FILES];
    bool records;
    struct op *ops;
    size_t n_ops, cap_ops;
    _Atomic int fault;
    _Atomic unsigned left, struck;
    _Atomic uint32_t sync_us;
};

/* What SQLite holds of an open file. */
struct handle {
    sqlite3_file base;
    struct fault_disk *disk;
    unsigned file;
};

/* --- octets ------------------------------------------------------------------------------ */

static void
file_room(struct file *file, uint64_t n)
{
    if (n <= file->cap)
        return;
    uint64_t cap = file->cap ? file->cap : 65536;
    while (cap < n)
        cap *= 2;
    file->octets = realloc(file->octets, cap);
    HD_ASSERT(file->octets != NULL);
    file->cap = cap;
}

static void
file_resize(struct file *file, uint64_t n)
{
    file_room(file, n);
    if (n > file->n)
        memset(file->octets + file->n, 0, n - file->n);
    file->n = n;
}

static void
file_write(struct file *file, uint64_t at, const uint8_t *octets, uint64_t n)
{
    if (at + n > file->n)
        file_resize(file, at + n);
    memcpy(file->octets + at, octets, n);
}

static void
file_copy(struct file *to, const struct file *from)
{
    uint8_t *octets = to->octets;
    uint64_t cap = to->cap;

    *to = *from;
    to->octets = octets;
    to->cap = cap;
    file_room(to, from->n);
    if (from->n)
        memcpy(to->octets, from->octets, from->n);
}

static void
remember(struct fault_disk *disk, enum op_kind kind, unsigned file, uint64_t at, const void *octets,
         uint64_t n)
{
    if (!disk->records)
        return;
    if (disk->n_ops == disk->cap_ops) {
        disk->cap_ops = disk->cap_ops ? disk->cap_ops * 2 : 4096;
        disk->ops = realloc(disk->ops, disk->cap_ops * sizeof(*disk->ops));
        HD_ASSERT(disk->ops != NULL);
    }
    struct op *op = &disk->ops[disk->n_ops++];
    *op = (struct op){ .kind = kind, .file = file, .at = at, .n = n };
    if (octets) {
        op->octets = malloc(n);
        HD_ASSERT(op->octets != NULL);
        memcpy(op->octets, octets, n);
    }
}

/* --- faults ------------------------------------------------------------------------------ */

void
fault_disk_fail(struct fault_disk *disk, enum fault fault, unsigned nth)
{
    atomic_store(&disk->left, nth);
    atomic_store(&disk->fault, (int)fault);
}

void
fault_disk_slow(struct fault_disk *disk, uint32_t sync_us)
{
    atomic_store(&disk->sync_us, sync_us);
}

unsigned
fault_disk_struck(const struct fault_disk *disk)
{
    return atomic_load(&disk->struck);
}

static bool
strikes(struct fault_disk *disk, enum fault fault)
{
    if (atomic_load(&disk->fault) != (int)fault)
        return false;
    if (atomic_load(&disk->left) > 0) {
        atomic_fetch_sub(&disk->left, 1);
        return false;
    }
    atomic_fetch_add(&disk->struck, 1);
    return true;
}

/* --- what SQLite calls ------------------------------------------------------------------- */

static struct file *
file_of(sqlite3_file *base)
{
    struct handle *handle = (struct handle *)(void *)base;

    return &handle->disk->files[handle->file];
}

static int
io_close(sqlite3_file *base)
{
    (void)base;
    return SQLITE_OK;
}

static int
io_read(sqlite3_file *base, void *to, int n, sqlite3_int64 at)
{
    struct handle *handle = (struct handle *)(void *)base;
    const struct file *file = file_of(base);
    uint64_t from = (uint64_t)at, have = from < file->n ? file->n - from : 0;

    if (strikes(handle->disk, FAULT_READ))
        return SQLITE_IOERR_READ;
    if (have >= (uint64_t)n) {
        memcpy(to, file->octets + from, (size_t)n);
        return SQLITE_OK;
    }
    memset(to, 0, (size_t)n);
    if (have)
        memcpy(to, file->octets + from, have);
    return SQLITE_IOERR_SHORT_READ;
}

static int
io_write(sqlite3_file *base, const void *octets, int n, sqlite3_int64 at)
{
    struct handle *handle = (struct handle *)(void *)base;
    struct file *file = file_of(base);
    uint64_t size = (uint64_t)n, to = (uint64_t)at;

    if (strikes(handle->disk, FAULT_WRITE))
        return SQLITE_IOERR_WRITE;
    if (to + size > file->n && strikes(handle->disk, FAULT_FULL))
        return SQLITE_FULL;
    bool torn = strikes(handle->disk, FAULT_TORN);
    if (torn)
        size /= 2;
    file_write(file, to, octets, size);
    remember(handle->disk, OP_WRITE, handle->file, to, octets, size);
    return torn ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int
io_truncate(sqlite3_file *base, sqlite3_int64 n)
{
    struct handle *handle = (struct handle *)(void *)base;

    file_resize(file_of(base), (uint64_t)n);
    remember(handle->disk, OP_TRUNCATE, handle->file, (uint64_t)n, NULL, 0);
    return SQLITE_OK;
}

static int
io_sync(sqlite3_file *base, int flags)
{
    struct handle *handle = (struct handle *)(void *)base;
    uint32_t us = atomic_load(&handle->disk->sync_us);

    (void)flags;
    if (us)
        (void)nanosleep(
            &(struct timespec){ .tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000 },
            NULL);
    if (strikes(handle->disk, FAULT_SYNC))
        return SQLITE_IOERR_FSYNC;
    remember(handle->disk, OP_SYNC, handle->file, 0, NULL, 0);
    return SQLITE_OK;
}

static int
io_size(sqlite3_file *base, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)file_of(base)->n;
    return SQLITE_OK;
}

static int
io_lock(sqlite3_file *base, int how)
{
    (void)base;
    (void)how;
    return SQLITE_OK;
}

static int
io_check_lock(sqlite3_file *base, int *ret)
{
    (void)base;
    *ret = 0;
    return SQLITE_OK;
}

static int
io_control(sqlite3_file *base, int op, void *arg)
{
    (void)base;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int
io_sector(sqlite3_file *base)
{
    (void)base;
    return 4096;
}

/* As SQLite takes disks of this system: octets beside a write never change. */
static int
io_device(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods io = {
    .iVersion = 1,
    .xClose = io_close,
    .xRead = io_read,
    .xWrite = io_write,
    .xTruncate = io_truncate,
    .xSync = io_sync,
    .xFileSize = io_size,
    .xLock = io_lock,
    .xUnlock = io_lock,
    .xCheckReservedLock = io_check_lock,
    .xFileControl = io_control,
    .xSectorSize = io_sector,
    .xDeviceCharacteristics = io_device,
};

static unsigned
file_find(const struct fault_disk *disk, const char *name)
{
    for (unsigned i = 0; i < FILES; i++)
        if (disk->files[i].there && strcmp(disk->files[i].name, name) == 0)
            return i;
    return FILES;
}

static unsigned
file_make(struct fault_disk *disk, const char *name)
{
    unsigned i = 0;

    while (i < FILES && disk->files[i].name[0] && strcmp(disk->files[i].name, name) != 0)
        i++;
    HD_ASSERT(i < FILES && strlen(name) < NAME_MOST);
    (void)snprintf(disk->files[i].name, NAME_MOST, "%s", name);
    disk->files[i].there = true;
    disk->files[i].n = 0;
    remember(disk, OP_CREATE, i, 0, NULL, 0);
    return i;
}

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *ret_flags)
{
    struct fault_disk *disk = vfs->pAppData;
    struct handle *handle = (struct handle *)(void *)base;
    unsigned file = file_find(disk, name ? name : "temporary");

    base->pMethods = NULL;
    if (file == FILES && !(flags & SQLITE_OPEN_CREATE))
        return SQLITE_CANTOPEN;
    if (file == FILES)
        file = file_make(disk, name ? name : "temporary");
    handle->disk = disk;
    handle->file = file;
    base->pMethods = &io;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    struct fault_disk *disk = vfs->pAppData;
    unsigned file = file_find(disk, name);

    (void)sync_folder;
    if (file == FILES)
        return SQLITE_IOERR_DELETE_NOENT;
    disk->files[file].there = false;
    disk->files[file].n = 0;
    remember(disk, OP_DELETE, file, 0, NULL, 0);
    return SQLITE_OK;
}

static int
vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    (void)flags;
    *ret = file_find(vfs->pAppData, name) < FILES;
    return SQLITE_OK;
}

static int
vfs_name(sqlite3_vfs *vfs, const char *name, int n, char *ret)
{
    (void)vfs;
    (void)snprintf(ret, (size_t)n, "%s", name);
    return SQLITE_OK;
}

static int
vfs_random(sqlite3_vfs *vfs, int n, char *ret)
{
    (void)vfs;
    memset(ret, 7, (size_t)n);
    return n;
}

static int
vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int
vfs_time(sqlite3_vfs *vfs, double *ret)
{
    (void)vfs;
    *ret = 2460000.5;
    return SQLITE_OK;
}

static int
vfs_error(sqlite3_vfs *vfs, int n, char *text)
{
    (void)vfs;
    (void)n;
    (void)text;
    return 0;
}

struct fault_disk *
fault_disk_new(const char *name)
{
    struct fault_disk *disk = calloc(1, sizeof(*disk));

    HD_ASSERT(disk != NULL);
    disk->vfs = (sqlite3_vfs){ .iVersion = 1,
                               .szOsFile = sizeof(struct handle),
                               .mxPathname = NAME_MOST,
                               .zName = name,
                               .pAppData = disk,
                               .xOpen = vfs_open,
                               .xDelete = vfs_delete,
                               .xAccess = vfs_access,
                               .xFullPathname = vfs_name,
                               .xRandomness = vfs_random,
                               .xSleep = vfs_sleep,
                               .xCurrentTime = vfs_time,
                               .xGetLastError = vfs_error };
    HD_ASSERT(sqlite3_vfs_register(&disk->vfs, 0) == SQLITE_OK);
    return disk;
}

void
fault_disk_free(struct fault_disk *disk)
{
    if (!disk)
        return;
    (void)sqlite3_vfs_unregister(&disk->vfs);
    for (unsigned i = 0; i < FILES; i++)
        free(disk->files[i].octets);
    for (size_t i = 0; i < disk->n_ops; i++)
        free(disk->ops[i].octets);
    free(disk->ops);
    free(disk);
}

/* --- crashes ----------------------------------------------------------------------------- */

void
fault_disk_record(struct fault_disk *disk)
{
    disk->records = true;
}

size_t
fault_disk_count(const struct fault_disk *disk)
{
    return disk->n_ops;
}

struct fault_crash {
    const struct fault_disk *disk;
    struct fault_disk *onto;
    size_t at;                 /* operations walked through */
    struct file synced[FILES]; /* as of each file's last sync */
    size_t since[FILES];       /* its first operation that no sync followed */
};

struct fault_crash *
fault_crash_new(const struct fault_disk *disk, struct fault_disk *onto)
{
    struct fault_crash *crash = calloc(1, sizeof(*crash));

    HD_ASSERT(crash != NULL);
    crash->disk = disk;
    crash->onto = onto;
    return crash;
}

void
fault_crash_free(struct fault_crash *crash)
{
    for (unsigned i = 0; i < FILES; i++)
        free(crash->synced[i].octets);
    free(crash);
}

static bool
by_chance(uint64_t *chance)
{
    *chance = hd_hash_mix(*chance, 0x9e3779b97f4a7c15u);
    return *chance >> 40 & 1;
}

static void
apply(struct file *file, const struct op *op)
{
    if (op->kind == OP_WRITE)
        file_write(file, op->at, op->octets, op->n);
    else if (op->kind == OP_TRUNCATE)
        file_resize(file, op->at);
}

/* Sector by sector, some of them. */
static void
apply_some(struct file *file, const struct op *op, uint64_t *chance)
{
    if (op->kind != OP_WRITE) {
        if (by_chance(chance))
            apply(file, op);
        return;
    }
    for (uint64_t done = 0; done < op->n;) {
        uint64_t n = SECTOR - (op->at + done) % SECTOR;
        if (n > op->n - done)
            n = op->n - done;
        if (by_chance(chance))
            file_write(file, op->at + done, op->octets + done, n);
        done += n;
    }
}

static void
apply_loss(struct file *file, const struct op *op, enum fault_loss loss, bool last,
           uint64_t *chance)
{
    switch (loss) {
    case FAULT_LOSE_ALL:
        break;
    case FAULT_LOSE_NONE:
        apply(file, op);
        break;
    case FAULT_LOSE_SOME:
        apply_some(file, op, chance);
        break;
    case FAULT_LOSE_LAST:
        if (last)
            apply_some(file, op, chance);
        else
            apply(file, op);
        break;
    case FAULT_LOSE_SHUFFLED:
        if (by_chance(chance))
            apply(file, op);
        break;
    }
}

static void
walk(struct fault_crash *crash, size_t n)
{
    for (; crash->at < n; crash->at++) {
        const struct op *op = &crash->disk->ops[crash->at];
        struct file *file = &crash->synced[op->file];
        switch (op->kind) {
        case OP_WRITE:
        case OP_TRUNCATE:
            break;
        case OP_SYNC:
            for (size_t i = crash->since[op->file]; i < crash->at; i++)
                if (crash->disk->ops[i].file == op->file)
                    apply(file, &crash->disk->ops[i]);
            crash->since[op->file] = crash->at + 1;
            break;
        case OP_CREATE:
            memcpy(file->name, crash->disk->files[op->file].name, NAME_MOST);
            file->there = true;
            file->n = 0;
            crash->since[op->file] = crash->at + 1;
            break;
        case OP_DELETE:
            file->there = false;
            file->n = 0;
            crash->since[op->file] = crash->at + 1;
            break;
        }
    }
}

void
fault_crash_at(struct fault_crash *crash, size_t n, enum fault_loss loss, uint64_t chance)
{
    HD_ASSERT(n >= crash->at && n <= crash->disk->n_ops);
    walk(crash, n);
    for (unsigned f = 0; f < FILES; f++) {
        struct file *file = &crash->onto->files[f];
        file_copy(file, &crash->synced[f]);
        for (size_t i = crash->since[f]; i < n; i++)
            if (crash->disk->ops[i].file == f)
                apply_loss(file, &crash->disk->ops[i], loss, i + 1 == n, &chance);
    }
}

/* --- damage ------------------------------------------------------------------------------ */

bool
fault_disk_flip(struct fault_disk *disk, const char *file, uint64_t bit)
{
    unsigned f = file_find(disk, file);

    if (f == FILES || bit / 8 >= disk->files[f].n)
        return false;
    disk->files[f].octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    return true;
}

void
fault_disk_cut(struct fault_disk *disk, const char *file, uint64_t size)
{
    unsigned f = file_find(disk, file);

    HD_ASSERT(f < FILES && size <= disk->files[f].n);
    disk->files[f].n = size;
}

uint64_t
fault_disk_size(const struct fault_disk *disk, const char *file)
{
    unsigned f = file_find(disk, file);

    return f < FILES ? disk->files[f].n : 0;
}

void
fault_disk_copy(const struct fault_disk *disk, struct fault_disk *onto)
{
    for (unsigned f = 0; f < FILES; f++)
        file_copy(&onto->files[f], &disk->files[f]);
}
