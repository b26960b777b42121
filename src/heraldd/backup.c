/* backup.c - a folder with a copy of the state folder's files.
 *
 * The live state first, then the audit trail, then what waits for webhooks, each copied by the
 * thread that writes it, between its commits; then herald.db: what the others refer to (users,
 * keys, webhooks) is in a file that is at least as new. Invariants: one is made at a time; done is
 * called once, and after it nothing is left in memory; a folder that failed holds nothing of ours.
 */
#include "heraldd/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "heraldd/daemon.h"
#include "heraldd/face.h"
#include "heraldd/live.h"
#include "store/audit.h"
#include "store/outbox.h"

struct backup {
    struct hd_daemon *daemon;
    hd_backup_done_f done;
    void *context;
    int fd;    /* of the folder */
    bool made; /* the folder is ours */
    struct api_query query;
    char problem[HD_PROBLEM_TEXT];
    size_t folder_n;
    char path[]; /* of the folder, and then of a file in it */
};

/* Everything that SQLite may have made beside the file, too. */
static const char *const files[] = {
    HD_LIVE_FILE,           STO_AUDIT_FILE,  STO_AUDIT_FILE "-journal",  STO_AUDIT_FILE "-wal",
    STO_AUDIT_FILE "-shm",  STO_OUTBOX_FILE, STO_OUTBOX_FILE "-journal", STO_OUTBOX_FILE "-wal",
    STO_OUTBOX_FILE "-shm", HD_STATE_FILE,   HD_STATE_FILE "-journal"
};

static void HD_PRINTF(2, 3) fail(struct backup *backup, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(backup->problem, sizeof(backup->problem), format, args);
    va_end(args);
}

#define NAME_MOST 16 /* octets of a file's name and a slash before it */

/* Borrowed until the next one. */
static const char *
path_of(struct backup *backup, const char *file)
{
    (void)snprintf(backup->path + backup->folder_n, NAME_MOST + 1, "/%s", file);
    return backup->path;
}

static const char *
path_of_folder(struct backup *backup)
{
    backup->path[backup->folder_n] = '\0';
    return backup->path;
}

/* --- the folder ------------------------------------------------------------------------ */

static bool
is_empty(int fd)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = own < 0 ? NULL : fdopendir(own);
    const struct dirent *entry;
    bool empty = folder != NULL;

    while (empty && (entry = readdir(folder)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (folder)
        (void)closedir(folder);
    else if (own >= 0)
        (void)close(own);
    return empty;
}

static bool
open_folder(struct backup *backup, const char *path)
{
    backup->made = mkdir(path, 0700) == 0;
    if (!backup->made && errno != EEXIST) {
        fail(backup, "%.1000s: %s%s", path, strerror(errno),
             errno == EROFS || errno == EACCES
                 ? " (the daemon makes it, as its own user, and where its service may write)"
                 : "");
        return false;
    }
    backup->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (backup->fd < 0)
        fail(backup, "%.1000s: %s", path, strerror(errno));
    else if (!is_empty(backup->fd))
        fail(backup, "%.1000s: there is something in it; expected an empty folder, or none", path);
    /* It holds what passwords are checked with. */
    else if (fchmod(backup->fd, 0700) != 0)
        fail(backup, "%.1000s: %s", path, strerror(errno));
    return backup->problem[0] == '\0';
}

/* Forces what a name in it stands for ("." is itself) to the disk. */
static bool
sync_at(const struct backup *backup, const char *name)
{
    int fd = openat(backup->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static bool
is_there(const struct backup *backup, const char *file)
{
    return faccessat(backup->fd, file, F_OK, 0) == 0;
}

/* For its owner alone, and on the disk. */
static void
seal(struct backup *backup, const char *file)
{
    if (fchmodat(backup->fd, file, 0600, 0) == 0 && sync_at(backup, file))
        return;
    const int number = errno;
    fail(backup, "%.1000s: %s", path_of(backup, file), strerror(number));
}

static void
fail_to_copy(struct backup *backup, const char *file)
{
    fail(backup, "%.1000s: it could not be copied; is the disk full?", path_of(backup, file));
}

static uint64_t
count_octets(const struct backup *backup)
{
    uint64_t octets = 0;
    struct stat st;

    for (size_t i = 0; i < HD_ARRAY_LEN(files); i++)
        if (fstatat(backup->fd, files[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            octets += (uint64_t)st.st_size;
    return octets;
}

/* --- steps ----------------------------------------------------------------------------- */

/* ours: the folder was empty or made here, so what is in it may go when it failed. */
static void
end(struct backup *backup, bool ours)
{
    bool failed = backup->problem[0] != '\0';
    uint64_t octets = failed ? 0 : count_octets(backup);

    if (failed && ours) {
        for (size_t i = 0; i < HD_ARRAY_LEN(files); i++)
            (void)unlinkat(backup->fd, files[i], 0);
    }
    if (backup->fd >= 0)
        (void)close(backup->fd);
    if (failed && backup->made)
        (void)rmdir(path_of_folder(backup));
    if (ours)
        backup->daemon->backing_up = false;
    if (failed)
        HD_LOG(HD_ERROR, "backup failed", hd_f_str("why", backup->problem));
    else
        HD_LOG(HD_INFO, "backup made", hd_f_str("folder", path_of_folder(backup)),
               hd_f_u64("octets", octets));
    backup->done(backup->context, failed ? backup->problem : NULL, octets);
    free(backup);
}

static void
copy_state(struct backup *backup)
{
    enum hd_err err = hd_state_copy(backup->daemon->state, path_of_folder(backup), backup->problem);

    if (!err)
        seal(backup, HD_STATE_FILE);
    if (!backup->problem[0] && (!sync_at(backup, ".") || (backup->made && !sync_at(backup, ".."))))
        fail(backup, "the folder's names cannot be kept: %s", strerror(errno));
    end(backup, true);
}

static void
webhooks_done(void *context)
{
    struct backup *backup = context;
    const enum hd_err err = backup->query.err;

    if (backup->daemon->phase == HD_PHASE_ENDED)
        fail(backup, "the daemon is about to end");
    else if (!err)
        seal(backup, STO_OUTBOX_FILE);
    else if (err != HD_ENOMATCH)
        fail_to_copy(backup, STO_OUTBOX_FILE);
    if (backup->problem[0])
        end(backup, true);
    else
        copy_state(backup);
}

static void
copy_webhooks(struct backup *backup)
{
    backup->query =
        (struct api_query){ .kind = API_QUERY_COPY, .path = path_of(backup, STO_OUTBOX_FILE) };
    if (!hd_face_ask(backup->daemon->face, &backup->query, webhooks_done, backup))
        copy_state(backup); /* there is no HTTP */
}

static void
live_done(void *context, enum hd_err err)
{
    struct backup *backup = context;

    if (backup->daemon->phase == HD_PHASE_ENDED)
        fail(backup, "the daemon is about to end");
    else if (err) /* the trail comes second, and a copy that fails is removed */
        fail_to_copy(backup, is_there(backup, HD_LIVE_FILE) ? STO_AUDIT_FILE : HD_LIVE_FILE);
    else
        seal(backup, HD_LIVE_FILE);
    if (!backup->problem[0] && is_there(backup, STO_AUDIT_FILE))
        seal(backup, STO_AUDIT_FILE);
    if (backup->problem[0])
        end(backup, true);
    else
        copy_webhooks(backup);
}

void
hd_backup(struct hd_daemon *daemon, const char *folder, hd_backup_done_f done, void *context)
{
    const size_t n = strlen(folder);
    struct backup *backup = calloc(1, sizeof(*backup) + n + NAME_MOST + 1);
    enum hd_err err;

    if (!backup) {
        done(context, hd_err_text(HD_ENOMEM), 0);
        return;
    }
    backup->daemon = daemon;
    backup->done = done;
    backup->context = context;
    backup->fd = -1;
    memcpy(backup->path, folder, n);
    backup->folder_n = n;
    if (daemon->phase == HD_PHASE_ENDED)
        fail(backup, "the daemon is about to end");
    else if (daemon->backing_up)
        fail(backup, "another backup is being made");
    else if (folder[0] != '/')
        fail(backup, "%.1000s: expected a path from the root", folder);
    if (backup->problem[0] || !open_folder(backup, folder)) {
        end(backup, false);
        return;
    }
    daemon->backing_up = true;
    if (!hd_host_is_kept(daemon->host)) {
        copy_webhooks(backup);
        return;
    }
    err = hd_host_copy(daemon->host, path_of(backup, HD_LIVE_FILE), live_done, backup);
    if (!err)
        return;
    fail(backup, "%s", hd_err_text(err));
    end(backup, true);
}
