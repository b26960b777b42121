/* live.c - the store behind one face, and the way back at a start.
 *
 * At a start the file is read before any thread runs: publications, registrations, subscriptions,
 * and then what was seen, each to the shard that its bucket belongs to now, whatever the number of
 * shards was when it was written.  A record that cannot be read is put aside and told in the log;
 * one that a newer herald wrote ends the start, since going on would lose it. */
#include "heraldd/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/id.h"
#include "base/log.h"
#include "heraldd/heap.h"
#include "store/memory.h"

#define LIVE_MAGIC 0x4c495645u
#define SETTLED_AT_ONCE 4096u /* subscriptions at the end, before the store takes them */

struct hd_live {
    unsigned magic;
    unsigned shards;
    enum hd_durability durability;
    bool started;
    struct sto_memory *memory; /* one of the two */
    struct sto_live *store;
    struct evt_shard *evt[EVT_MAX_SHARDS];
    char path[4096], audit_path[4096]; /* empty: none is kept */
};

/* --- clocks ------------------------------------------------------------------------------ */

static uint64_t
clock_ms(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct sto_stamp
stamp_now(void)
{
    return (struct sto_stamp){ .boot_ms = clock_ms(CLOCK_BOOTTIME),
                               .wall_ms = clock_ms(CLOCK_REALTIME) };
}

/* 32 digits with dashes between them. */
static bool
boot_id_parse(const char *text, size_t n, uint8_t ret[STO_BOOT_ID])
{
    unsigned digits = 0;

    memset(ret, 0, STO_BOOT_ID);
    for (size_t i = 0; i < n && digits < 2 * STO_BOOT_ID; i++) {
        int digit = hd_hex_digit(text[i]);
        if (text[i] == '-')
            continue;
        if (digit < 0)
            return false;
        ret[digits / 2] = (uint8_t)(ret[digits / 2] << 4 | digit);
        digits++;
    }
    return digits == 2 * STO_BOOT_ID;
}

/* Where the kernel does not tell it, every start counts as one after a reboot: then the wall clock
 * decides how old things are. */
static void
boot_id_read(uint8_t ret[STO_BOOT_ID])
{
    char text[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

    if (fd >= 0)
        (void)close(fd);
    if (n > 0 && boot_id_parse(text, (size_t)n, ret))
        return;
    while (getrandom(ret, STO_BOOT_ID, 0) < 0 && errno == EINTR)
        ;
}

/* --- opening ----------------------------------------------------------------------------- */

/* SQLite would make the file readable for others. */
static enum hd_err
make_file(const char *path, char problem[256])
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        (void)snprintf(problem, 256, "%.160s: %s", path, strerror(errno));
        return HD_EIO;
    }
    (void)close(fd);
    return HD_OK;
}

static enum hd_err
open_store(struct hd_live *live, const struct hd_live_params *params, char problem[256])
{
    struct sto_live_params file = {
        .shards = params->shards,
        .file = { .path = live->path,
                  .now = stamp_now(),
                  .durable = params->durability == HD_KEEP_COMMIT },
        .durability = params->durability == HD_KEEP_COMMIT ? STO_COMMIT : STO_ASYNC,
        .spacing_us = params->spacing_us,
        .clock = stamp_now,
        .audit = { .path = live->audit_path[0] ? live->audit_path : NULL,
                   .keep_s = params->audit_keep_s,
                   .most = params->audit_most,
                   .durable = params->durability == HD_KEEP_COMMIT }
    };
    enum hd_err err = make_file(live->path, problem);

    if (!err && live->audit_path[0])
        err = make_file(live->audit_path, problem);

    boot_id_read(file.file.boot_id);
    return err ? err : sto_live_new(&file, problem, &live->store);
}

enum hd_err
hd_live_open(const struct hd_live_params *params, char ret_problem[256], struct hd_live **ret_live)
{
    struct hd_live *live = calloc(1, sizeof(*live));
    enum hd_err err;
    int n;

    HD_ASSERT(params->shards > 0 && params->shards <= EVT_MAX_SHARDS);
    ret_problem[0] = '\0';
    if (!live)
        return HD_ENOMEM;
    live->magic = LIVE_MAGIC;
    live->shards = params->shards;
    live->durability = params->durability;
    n = snprintf(live->path, sizeof(live->path), "%s/" HD_LIVE_FILE,
                 params->folder ? params->folder : "");
    if (params->durability == HD_KEEP_MEMORY) {
        struct sto_memory_params memory = { .shards = params->shards };
        err = sto_memory_new(&memory, &live->memory);
        if (!err && params->folder && access(live->path, F_OK) == 0)
            HD_LOG(HD_WARN, "the live state of an earlier start is left aside: durability = memory",
                   hd_f_str("file", live->path));
    } else if (n < 0 || (size_t)n >= sizeof(live->path)) {
        (void)snprintf(ret_problem, 256, "the path of the state folder is too long");
        err = HD_EIO;
    } else {
        if (params->audit)
            (void)snprintf(live->audit_path, sizeof(live->audit_path), "%.4000s/" STO_AUDIT_FILE,
                           params->folder);
        err = open_store(live, params, ret_problem);
    }
    if (err) {
        hd_live_free(live);
        return err;
    }
    *ret_live = live;
    return HD_OK;
}

void
hd_live_free(struct hd_live *live)
{
    if (!live)
        return;
    HD_ASSERT_OBJ(live, LIVE_MAGIC);
    sto_memory_free(live->memory);
    sto_live_free(live->store);
    live->magic = 0;
    free(live);
}

bool
hd_live_is_kept(const struct hd_live *live)
{
    return live->durability != HD_KEEP_MEMORY;
}

const struct evt_store_ops *
hd_live_ops(const struct hd_live *live)
{
    return live->memory ? &sto_memory_ops : &sto_live_ops;
}

const struct evt_audit_ops *
hd_live_audit_ops(const struct hd_live *live)
{
    return live->audit_path[0] ? &sto_live_audit_ops : NULL;
}

const char *
hd_live_audit_path(const struct hd_live *live)
{
    return live->audit_path[0] ? live->audit_path : NULL;
}

void *
hd_live_context(struct hd_live *live)
{
    return live->memory ? (void *)live->memory : (void *)live->store;
}

void
hd_live_attach(struct hd_live *live, unsigned shard, struct evt_shard *evt)
{
    HD_ASSERT(shard < live->shards);
    live->evt[shard] = evt;
    if (live->memory)
        sto_memory_attach(live->memory, shard, evt);
    else
        sto_live_attach(live->store, shard, evt);
}

/* --- the way back ------------------------------------------------------------------------ */

struct restore {
    struct hd_live *live;
    uint64_t now_us;
    uint64_t records[EVT_RECORD_CONDITION + 1]; /* by kind */
    uint64_t damaged;
    bool newer;
    uint32_t given; /* since the heap was looked at */
    struct hd_heap heap;
};

#define HEAP_LOOKED_AT 1024u /* records between two looks: less than a step of it */

/* What was seen and what has fired is every shard's business; the rest belongs to the shard of its
 * bucket. */
static enum hd_err
give_back(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
          struct hd_slice record, uint64_t age_ms)
{
    struct restore *restore = context;
    struct hd_live *live = restore->live;
    unsigned first = 0, end = live->shards;
    enum hd_err err = HD_OK;

    if (bucket >= HD_BUCKETS)
        return HD_ESYNTAX;
    if (++restore->given % HEAP_LOOKED_AT == 0)
        hd_heap_grown(&restore->heap);
    if (kind != EVT_RECORD_SEEN && kind != EVT_RECORD_CONDITION) {
        first = hd_bucket_shard(bucket, live->shards);
        end = first + 1;
    }
    for (unsigned i = first; i < end && !err; i++)
        err = evt_shard_restore(live->evt[i], kind, id, record, age_ms, restore->now_us);
    if (!err)
        restore->records[kind]++;
    restore->newer = restore->newer || err == HD_EVERSION;
    return err;
}

static void
tell_damaged(void *context, const char *table, uint64_t row)
{
    struct restore *restore = context;

    /* The first ones by name, so that a file that is damaged all over does not fill the log. */
    if (restore->damaged++ < 100)
        HD_LOG(HD_ERROR, "a damaged record was put aside", hd_f_str("file", restore->live->path),
               hd_f_str("table", table), hd_f_u64("row", row));
}

enum hd_err
hd_live_restore(struct hd_live *live, uint64_t now_us, char ret_problem[256])
{
    struct restore restore = { .live = live, .now_us = now_us };
    struct sto_journal_visitor visitor = { give_back, tell_damaged, &restore };
    uint64_t start_ms = clock_ms(CLOCK_MONOTONIC);
    enum hd_err err;

    HD_ASSERT_OBJ(live, LIVE_MAGIC);
    ret_problem[0] = '\0';
    if (live->memory)
        return HD_OK;
    err = sto_live_load(live->store, &visitor, ret_problem);
    hd_heap_done(&restore.heap);
    if (restore.newer)
        (void)snprintf(ret_problem, 256, "%.160s: holds records of a newer herald", live->path);
    if (err)
        return err;
    HD_LOG(restore.damaged ? HD_WARN : HD_INFO, "restored",
           hd_f_u64("subscriptions", restore.records[EVT_RECORD_SUBSCRIPTION]),
           hd_f_u64("publications", restore.records[EVT_RECORD_PUBLICATION]),
           hd_f_u64("registrations", restore.records[EVT_RECORD_BINDINGS]),
           hd_f_u64("damaged", restore.damaged),
           hd_f_u64("ms", clock_ms(CLOCK_MONOTONIC) - start_ms));
    return HD_OK;
}

/* --- while it runs ----------------------------------------------------------------------- */

enum hd_err
hd_live_start(struct hd_live *live)
{
    enum hd_err err = live->store ? sto_live_start(live->store) : HD_OK;

    live->started = !err;
    return err;
}

uint32_t
hd_live_start_number(const struct hd_live *live)
{
    return live->store ? sto_live_start_number(live->store) : 1;
}

bool
hd_live_flush(struct hd_live *live, unsigned shard)
{
    return (live->memory ? sto_memory_flush(live->memory, shard)
                         : sto_live_flush(live->store, shard)) > 0;
}

bool
hd_live_pending(const struct hd_live *live, unsigned shard)
{
    return live->memory && sto_memory_pending(live->memory, shard);
}

/* In pieces, so that what a million subscriptions write is never in memory as a whole.  Whether it
 * is all there. */
static bool
settle_shard(struct hd_live *live, unsigned shard, uint64_t now_us)
{
    uint32_t at = 0;

    while (evt_shard_settle_some(live->evt[shard], &at, SETTLED_AT_ONCE, now_us)) {
        (void)sto_live_flush(live->store, shard);
        sto_live_await(live->store);
    }
    const bool exact = !evt_shard_settle(live->evt[shard], now_us);
    (void)sto_live_flush(live->store, shard);
    return exact;
}

void
hd_live_settle(struct hd_live *live, uint64_t now_us)
{
    if (!live->started || !live->store)
        return;
    bool exact = true;

    live->started = false;
    sto_live_end(live->store);
    for (unsigned i = 0; i < live->shards; i++)
        exact = settle_shard(live, i, now_us) && exact;
    sto_live_stop(live->store, exact);
}

bool
hd_live_status(struct hd_live *live, struct sto_status *ret_status)
{
    if (live->memory)
        return false;
    sto_live_status(live->store, ret_status);
    return true;
}

enum hd_err
hd_live_backup(struct hd_live *live, const char *path, void (*done)(void *context, enum hd_err err),
               void *context)
{
    HD_ASSERT_OBJ(live, LIVE_MAGIC);
    HD_ASSERT(live->store != NULL && live->started);
    return sto_live_backup(live->store, path, done, context);
}
