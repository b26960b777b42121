/* state.c - the state folder: herald.db, and the lock that keeps the folder ours.
 *
 * The problem: what was acknowledged must be there after a crash at any moment, and one rule of a
 * hundred thousand must not cost what all of them do.  A change becomes the rows that it changes,
 * in one transaction (store/tables.h).  The first start makes the file under another name, with
 * what must be in it, and renames it: a herald.db that is there is whole, or damaged.  Invariants:
 * state->data is what the file holds, or state->doubtful; herald.db.new is never read; the lock is
 * held from before the first look into the folder until hd_state_close(). */
#include "heraldd/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "heraldd/state_rows.h"
#include "sip/out.h"
#include "store/tables.h"

#define STATE_MAGIC 0x53544154u
#define FILE_NAME HD_STATE_FILE
#define NEW_NAME FILE_NAME ".new"
#define LOCK_NAME "herald.lock"
#define OLD_NAME "herald.state" /* of builds before herald.db */
#define APPLICATION 0x68726c64u /* "hrld" */

struct hd_state {
    unsigned magic;
    int folder_fd, lock_fd;
    uint32_t epoch;
    struct hd_state_data data;
    struct sto_tables *tables;
    bool doubtful; /* a commit failed: the file may have it, or not */
    char *folder;  /* as it was named */
};

/* ---- problems ---- */

static enum hd_err
problem(char text[HD_PROBLEM_TEXT], const struct hd_state *state, const char *name, enum hd_err err,
        const char *what)
{
    snprintf(text, HD_PROBLEM_TEXT, "%s%s%s: %s", state->folder, *name ? "/" : "", name, what);
    return err;
}

/* What errno says, after a system call that failed. */
static enum hd_err
failed(char text[HD_PROBLEM_TEXT], const struct hd_state *state, const char *name,
       const char *doing)
{
    char what[HD_STATE_PLACE];
    snprintf(what, sizeof(what), "%s: %s", doing, strerror(errno));
    return problem(text, state, name, HD_EIO, what);
}

/* ---- the folder and its lock ---- */

static enum hd_err
folder_open(struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    const bool made = mkdir(state->folder, 0700) == 0;

    if (!made && errno != EEXIST)
        return failed(text, state, "", "cannot make the state folder");
    state->folder_fd = open(state->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state->folder_fd < 0)
        return failed(text, state, "", "cannot open the state folder");
    if (made) {
        /* Its name must last as long as what will be in it. */
        const int parent = openat(state->folder_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool ok = parent >= 0 && fsync(parent) == 0;
        if (!ok)
            failed(text, state, "", "cannot keep the state folder");
        if (parent >= 0)
            close(parent);
        if (!ok)
            return HD_EIO;
    }
    return HD_OK;
}

static enum hd_err
lock_busy(const struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    char pid[16] = "", what[96];
    const ssize_t n = pread(state->lock_fd, pid, sizeof(pid) - 1, 0);
    size_t digits = 0;

    while (n > 0 && digits < (size_t)n && pid[digits] >= '0' && pid[digits] <= '9')
        digits++;
    snprintf(what, sizeof(what), "another daemon uses this state folder%s%.*s",
             digits ? ", process " : "", (int)digits, pid);
    return problem(text, state, "", HD_EBUSY, what);
}

/* The lock goes with the process, however it ends; the number in the file is for people. */
static enum hd_err
lock_take(struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    state->lock_fd =
        openat(state->folder_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (state->lock_fd < 0)
        return failed(text, state, LOCK_NAME, "cannot open the lock");
    if (flock(state->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return lock_busy(state, text);
        return failed(text, state, LOCK_NAME, "cannot take the lock");
    }
    char pid[16];
    const int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(state->lock_fd, 0) != 0 || pwrite(state->lock_fd, pid, (size_t)n, 0) != n)
        return failed(text, state, LOCK_NAME, "cannot write the lock");
    return HD_OK;
}

/* ---- the file ---- */

/* "folder/name", the caller's to free; NULL: memory is short. */
static char *
path_of(const struct hd_state *state, const char *name)
{
    const size_t n = strlen(state->folder) + strlen(name) + 2;
    char *path = malloc(n);

    if (path)
        (void)snprintf(path, n, "%s/%s", state->folder, name);
    return path;
}

typedef enum hd_err (*open_f)(const struct sto_tables_params *params, char ret_problem[STO_PROBLEM],
                              struct sto_tables **ret_tables);

/* Opens or makes the tables in a file of the folder. */
static enum hd_err
tables_open(const struct hd_state *state, const char *name, open_f open_tables,
            char text[HD_PROBLEM_TEXT], struct sto_tables **ret_tables)
{
    static const char *const keys[HD_STATE_TABLES] = { "name TEXT", "name TEXT",  "name TEXT",
                                                       "name TEXT", "id INTEGER", "id TEXT",
                                                       "id TEXT" };
    struct sto_table tables[HD_STATE_TABLES];
    char what[STO_PROBLEM] = "";
    char *path = path_of(state, name);

    if (!path)
        return problem(text, state, name, HD_ENOMEM, "memory is short");
    for (unsigned i = 0; i < HD_STATE_TABLES; i++)
        tables[i] = (struct sto_table){ hd_state_table_name((enum hd_state_table)i), keys[i] };
    const enum hd_err err = open_tables(&(struct sto_tables_params){ .path = path,
                                                                     .tables = tables,
                                                                     .n = HD_STATE_TABLES,
                                                                     .application = APPLICATION,
                                                                     .version = HD_STATE_VERSION },
                                        what, ret_tables);
    free(path);
    return err ? problem(text, state, name, err == HD_ESTORE ? HD_EIO : err, what) : HD_OK;
}

/* HA1 values are as good as passwords for this realm. */
static void
close_to_others(const struct hd_state *state, int fd, const struct stat *st)
{
    if ((st->st_mode & 077) == 0)
        return;
    if (fchmod(fd, 0600) == 0)
        HD_LOG(HD_WARN, "the state file was open to others; its mode is 0600 now",
               hd_f_str("folder", state->folder));
    else
        HD_LOG(HD_WARN, "the state file is open to others", hd_f_str("folder", state->folder));
}

/* Whether the file is there, and can be one.  HD_ENOMATCH: there is none.  It is closed again
 * before SQLite opens it: a process that closes a file loses all its locks on it (fcntl(2)). */
static enum hd_err
look_at_file(const struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    struct stat st;
    enum hd_err err = HD_OK;
    const int fd = openat(state->folder_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOENT ? HD_ENOMATCH : failed(text, state, FILE_NAME, "cannot open");
    if (fstat(fd, &st) != 0)
        err = failed(text, state, FILE_NAME, "cannot look at it");
    else if (!S_ISREG(st.st_mode))
        err = problem(text, state, FILE_NAME, HD_EIO, "not a file");
    else
        close_to_others(state, fd, &st);
    close(fd);
    return err;
}

struct loading {
    struct hd_state_reader *reader;
    char problem[HD_STATE_PLACE];
};

static enum hd_err
load_row(void *context, const struct sto_row_place *place, struct hd_slice key,
         struct hd_slice entry)
{
    struct loading *loading = context;

    return hd_state_reader_row(
        loading->reader,
        &(struct hd_state_row){ (enum hd_state_table)place->table, place->number, key, entry },
        loading->problem);
}

/* HD_ENOMATCH: there is none. */
static enum hd_err
load(struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    struct loading loading = { .reader = NULL };
    enum hd_err err = look_at_file(state, text);

    if (!err)
        err = tables_open(state, FILE_NAME, sto_tables_open, text, &state->tables);
    if (err)
        return err;
    loading.reader = hd_state_reader_new();
    if (!loading.reader)
        return problem(text, state, FILE_NAME, HD_ENOMEM, "memory is short");
    err = sto_tables_read(state->tables, load_row, &loading, loading.problem);
    if (!err)
        err = hd_state_reader_end(loading.reader, loading.problem, &state->data);
    hd_state_reader_free(loading.reader);
    return err ? problem(text, state, FILE_NAME, err == HD_ESTORE ? HD_EIO : err, loading.problem)
               : HD_OK;
}

static enum hd_err
put_row(void *context, enum hd_state_table table, struct hd_slice key, struct hd_slice entry)
{
    struct hd_state *state = context;

    return entry.n ? sto_tables_put(state->tables, table, key, entry)
                   : sto_tables_remove(state->tables, table, key);
}

/* What there is takes the place of what the file holds.  When it is not known what that is, all of
 * it does. */
static enum hd_err
save(struct hd_state *state, const struct hd_state_data *data, char text[HD_PROBLEM_TEXT])
{
    enum hd_err err = state->doubtful ? sto_tables_clear(state->tables) : HD_OK;
    bool committing = false;

    if (!err)
        err = hd_state_changes(state->doubtful ? NULL : &state->data, data, put_row, state);
    if (!err) {
        committing = true;
        err = sto_tables_commit(state->tables);
    }
    if (!err) {
        state->doubtful = false;
        return HD_OK;
    }
    if (err == HD_ENOMEM)
        (void)problem(text, state, FILE_NAME, err, "memory is short");
    else
        (void)problem(text, state, FILE_NAME, err, sto_tables_why(state->tables));
    state->doubtful = state->doubtful || committing;
    sto_tables_rollback(state->tables);
    return err == HD_ENOMEM ? err : HD_EIO;
}

/* ---- the first start ---- */

/* Octets from the kernel; up to 256 come whole (getrandom(2)). */
static enum hd_err
draw(const struct hd_state *state, void *octets, size_t n, char text[HD_PROBLEM_TEXT])
{
    ssize_t got;
    do {
        got = getrandom(octets, n, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)n ? HD_OK : failed(text, state, "", "cannot draw random numbers");
}

/* Version 4, variant 1: RFC 4122 section 4.4. */
static void
write_instance(uint8_t uuid[16], char ret[HD_INSTANCE_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 9;

    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
    memcpy(ret, "urn:uuid:", n);
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            ret[n++] = '-';
        ret[n++] = hex[uuid[i] >> 4];
        ret[n++] = hex[uuid[i] & 15];
    }
    HD_ASSERT(n == HD_INSTANCE_TEXT);
}

static enum hd_err
draw_identity(struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    uint8_t uuid[16];
    enum hd_err err = draw(state, &state->data.keys, sizeof(state->data.keys), text);

    if (!err)
        err = draw(state, uuid, sizeof(uuid), text);
    if (err)
        return err;
    write_instance(uuid, state->data.instance);
    state->data.book = pol_book_new(&state->data.keys.table);
    state->data.http = api_book_new();
    if (!state->data.book || !state->data.http)
        return problem(text, state, "", HD_ENOMEM, "memory is short");
    return HD_OK;
}

/* An empty file for its owner alone; SQLite would let others read it, and its journal gets the
 * mode that it has. */
static enum hd_err
make_new(const struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    const int fd = openat(state->folder_fd, NEW_NAME,
                          O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return failed(text, state, NEW_NAME, "cannot make");
    close(fd);
    return HD_OK;
}

/* What a first start that was cut off has left. */
static enum hd_err
remove_new(const struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    if (unlinkat(state->folder_fd, NEW_NAME, 0) != 0 && errno != ENOENT)
        return failed(text, state, NEW_NAME, "cannot remove");
    return HD_OK;
}

static bool
force(const struct hd_state *state, const char *name)
{
    const int fd = openat(state->folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    const bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

/* A file that is whole before it has its name. */
static enum hd_err
create(struct hd_state *state, char text[HD_PROBLEM_TEXT])
{
    enum hd_err err;

    /* Who was refused by a rule in it must not be let in for want of it. */
    if (faccessat(state->folder_fd, OLD_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return problem(text, state, OLD_NAME, HD_EVERSION,
                       "users and rules of an earlier build, which this one does not read; remove "
                       "it, then they are to be set anew");
    err = draw_identity(state, text);
    if (!err)
        err = remove_new(state, text);
    if (!err)
        err = make_new(state, text);
    if (!err)
        err = tables_open(state, NEW_NAME, sto_tables_make, text, &state->tables);
    if (err)
        return err;
    err = hd_state_changes(NULL, &state->data, put_row, state);
    if (!err)
        err = sto_tables_commit(state->tables);
    if (err)
        return problem(text, state, NEW_NAME, HD_EIO, sto_tables_why(state->tables));
    sto_tables_close(state->tables);
    state->tables = NULL;
    if (!force(state, NEW_NAME))
        return failed(text, state, NEW_NAME, "cannot write");
    if (renameat(state->folder_fd, NEW_NAME, state->folder_fd, FILE_NAME) != 0)
        return failed(text, state, FILE_NAME, "cannot give it its name");
    if (fsync(state->folder_fd) != 0)
        return failed(text, state, FILE_NAME, "cannot keep its name");
    return tables_open(state, FILE_NAME, sto_tables_open, text, &state->tables);
}

/* ---- public ---- */

enum hd_err
hd_state_open(const char *folder, char ret_problem[HD_PROBLEM_TEXT], struct hd_state **ret_state)
{
    struct hd_state *state = calloc(1, sizeof(*state));
    enum hd_err err;

    snprintf(ret_problem, HD_PROBLEM_TEXT, "%s: memory is short", folder);
    if (!state)
        return HD_ENOMEM;
    state->magic = STATE_MAGIC;
    state->folder_fd = state->lock_fd = -1;
    state->folder = hd_slice_strdup(hd_slice_str(folder));
    if (!state->folder) {
        err = HD_ENOMEM;
        goto out;
    }
    err = folder_open(state, ret_problem);
    if (!err)
        err = lock_take(state, ret_problem);
    if (!err)
        err = draw(state, &state->epoch, sizeof(state->epoch), ret_problem);
    if (!err) {
        err = load(state, ret_problem);
        if (err == HD_ENOMATCH)
            err = create(state, ret_problem);
    }
    if (err)
        goto out;
    *ret_state = state;
    state = NULL;
out:
    hd_state_close(state);
    return err;
}

void
hd_state_close(struct hd_state *state)
{
    if (!state)
        return;
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    state->magic = 0;
    sto_tables_close(state->tables);
    pol_book_unref(state->data.book);
    (void)api_book_unref(state->data.http);
    /* The lock file stays: removing it would let two daemons lock two files of that name. */
    if (state->lock_fd >= 0)
        close(state->lock_fd);
    if (state->folder_fd >= 0)
        close(state->folder_fd);
    free(state->folder);
    free(state);
}

struct evt_keys
hd_state_keys(const struct hd_state *state)
{
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    return state->data.keys;
}

struct hd_slice
hd_state_instance(const struct hd_state *state)
{
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    return hd_slice(state->data.instance, sizeof(state->data.instance));
}

uint32_t
hd_state_epoch(const struct hd_state *state)
{
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    return state->epoch;
}

struct pol_book *
hd_state_book(const struct hd_state *state)
{
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    return state->data.book;
}

enum hd_err
hd_state_save(struct hd_state *state, struct pol_book *book, char ret_problem[HD_PROBLEM_TEXT])
{
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    struct hd_state_data data = state->data;
    data.book = book;
    const enum hd_err err = save(state, &data, ret_problem);
    if (err)
        return err;
    pol_book_ref(book);
    pol_book_unref(state->data.book);
    state->data.book = book;
    return HD_OK;
}

struct api_book *
hd_state_http(const struct hd_state *state)
{
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    return state->data.http;
}

enum hd_err
hd_state_save_http(struct hd_state *state, struct api_book *http, char ret_problem[HD_PROBLEM_TEXT])
{
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    struct hd_state_data data = state->data;
    data.http = http;
    const enum hd_err err = save(state, &data, ret_problem);
    if (err)
        return err;
    (void)api_book_ref(http);
    (void)api_book_unref(state->data.http);
    state->data.http = http;
    return HD_OK;
}

enum hd_err
hd_state_copy(struct hd_state *state, const char *folder, char ret_problem[HD_PROBLEM_TEXT])
{
    HD_ASSERT_OBJ(state, STATE_MAGIC);
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof(path), "%s/" FILE_NAME, folder);

    if (n < 0 || (size_t)n >= sizeof(path))
        return problem(ret_problem, state, FILE_NAME, HD_EIO, "the folder's name is too long");
    return sto_tables_copy(state->tables, path)
               ? problem(ret_problem, state, FILE_NAME, HD_EIO,
                         "it could not be copied; is the disk full?")
               : HD_OK;
}

/* ---- users of another realm ---- */

struct realm_walk {
    const struct hd_slice *realms;
    size_t n_realms;
    size_t n;
    struct sip_out names;
};

static bool
visit_user(void *context, const struct pol_user *user)
{
    struct realm_walk *walk = context;
    for (size_t i = 0; i < user->n_logins; i++)
        for (size_t k = 0; k < walk->n_realms; k++)
            if (hd_slice_eq(user->logins[i].realm, walk->realms[k]))
                return true;
    if (walk->n < 3) {
        sip_out_slice(&walk->names, walk->n ? HD_LIT(", ") : HD_LIT(" ("));
        sip_out_slice(&walk->names, user->name);
    }
    walk->n++;
    return true;
}

size_t
hd_state_other_realm(const struct pol_book *book, const struct hd_slice *realms, size_t n_realms,
                     char ret_line[HD_PROBLEM_TEXT])
{
    char names[3 * (POL_NAME_MAX + 2)];
    struct realm_walk walk = { .realms = realms, .n_realms = n_realms };

    sip_out_init(&walk.names, names, sizeof(names));
    pol_book_each_user(book, visit_user, &walk);
    if (walk.n > 0)
        snprintf(
            ret_line, HD_PROBLEM_TEXT,
            "%zu of %zu users%.*s%s cannot log in: their passwords were set for another realm; "
            "set them again with: herald user add NAME",
            walk.n, pol_book_user_count(book), (int)walk.names.n, names,
            walk.n > 3 ? ", ...)" : ")");
    return walk.n;
}
