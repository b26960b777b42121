/* trail.c - lines from the shards, written together some times in a second.
 *
 * The first line wakes the thread, which then lets others gather: nobody waits for the trail, and
 * one write to the disk serves them all.  What cannot be written is counted, and told once in the
 * log; what would not fit, while a disk is slow or the cores are busy, is counted alone.
 * Invariants: a commit has as few lines as sto_audit_commit asks for; none is open during a step of
 * a copy; the lines of a shard are in the order in which it noted them. */
#include "store/trail.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "store/inbox.h"

#define TRAIL_MAGIC 0x5354524cu
#define GATHER_MS 100                     /* how long a line waits for others */
#define LINES_PER_COMMIT 4000u            /* fewer packs than a commit can trim */
#define LINES_OCTETS ((size_t)4000)       /* that travel together */
#define WAITING_MOST ((uint64_t)16 << 20) /* octets flushed and not yet written */

enum trail_mail { TRAIL_LINES = 1, TRAIL_COPY, TRAIL_STOP };

/* Some lines of a shard: the length of each, in two octets, and its octets. */
struct lines {
    struct hd_mail mail;
    uint64_t wall_ms; /* when the first was noted */
    size_t used, cap;
    char octets[];
};

struct copy {
    struct hd_mail mail;
    const char *path;
    void (*done)(void *context, enum hd_err err);
    void *context;
};

struct part {
    struct lines *open;
    char apart[64]; /* two shards never write one cache line */
};

struct sto_trail {
    unsigned magic;
    unsigned shards;
    struct sto_stamp (*clock)(void);
    struct sto_audit *audit;
    struct sto_inbox inbox;
    pthread_t thread;
    bool runs;
    _Atomic bool hurry;       /* somebody waits for what comes */
    _Atomic uint64_t lost;    /* lines */
    _Atomic uint64_t waiting; /* octets */
    /* Of the thread. */
    uint32_t added; /* lines that are not committed */
    bool failed, stopping, copying;
    struct hd_mail stop;
    struct copy copy;
    struct part parts[];
};

/* --- the shards' side -------------------------------------------------------------------- */

static void
count_lost(struct sto_trail *trail, uint64_t lines)
{
    /* relaxed: a counter */
    (void)atomic_fetch_add_explicit(&trail->lost, lines, memory_order_relaxed);
}

static struct lines *
lines_room(struct sto_trail *trail, unsigned shard, size_t need)
{
    struct lines **open = &trail->parts[shard].open;

    if (*open && (*open)->cap - (*open)->used < need)
        sto_trail_flush(trail, shard);
    if (*open)
        return *open;
    size_t cap = need > LINES_OCTETS ? need : LINES_OCTETS;
    *open = malloc(sizeof(**open) + cap);
    if (*open) {
        memset(*open, 0, sizeof(**open));
        (*open)->wall_ms = trail->clock().wall_ms;
        (*open)->cap = cap;
    }
    return *open;
}

void
sto_trail_note(struct sto_trail *trail, unsigned shard, const struct evt_audit *row)
{
    char buffer[STO_AUDIT_PACKED_MAX];
    const struct hd_slice packed = sto_audit_pack(row, buffer);
    const uint16_t n = (uint16_t)packed.n;

    HD_ASSERT_OBJ(trail, TRAIL_MAGIC);
    HD_ASSERT(shard < trail->shards);
    /* relaxed: it is a bound, some lines more or less do not matter */
    const bool full = atomic_load_explicit(&trail->waiting, memory_order_relaxed) > WAITING_MOST;
    struct lines *lines = n && !full ? lines_room(trail, shard, sizeof(n) + n) : NULL;
    if (!lines) {
        count_lost(trail, 1);
        return;
    }
    memcpy(lines->octets + lines->used, &n, sizeof(n));
    memcpy(lines->octets + lines->used + sizeof(n), packed.p, n);
    lines->used += sizeof(n) + n;
}

void
sto_trail_flush(struct sto_trail *trail, unsigned shard)
{
    struct lines *lines = trail->parts[shard].open;

    if (!lines)
        return;
    trail->parts[shard].open = NULL;
    (void)atomic_fetch_add_explicit(&trail->waiting, lines->used, memory_order_relaxed);
    lines->mail.kind = TRAIL_LINES;
    hd_mailbox_post(&trail->inbox.box, &lines->mail);
}

uint64_t
sto_trail_lost(const struct sto_trail *trail)
{
    return atomic_load_explicit(&trail->lost, memory_order_relaxed);
}

/* --- the trail's thread ------------------------------------------------------------------ */

static void
note_outcome(struct sto_trail *trail, uint64_t lost, enum hd_err err)
{
    if (err)
        count_lost(trail, lost);
    if (err && !trail->failed)
        HD_LOG(HD_ERROR, "the audit trail cannot be kept", hd_f_str("err", hd_err_text(err)));
    trail->failed = err != HD_OK;
}

/* Also without a line: one that could not be added may have left a transaction open. */
static void
commit(struct sto_trail *trail)
{
    const uint32_t lines = trail->added;
    enum hd_err err = sto_audit_commit(trail->audit, trail->clock().wall_ms);

    trail->added = 0;
    if (lines || err)
        note_outcome(trail, lines, err);
}

static void
add_lines(struct sto_trail *trail, const struct lines *lines)
{
    size_t at = 0;

    while (at < lines->used) {
        uint16_t n;
        memcpy(&n, lines->octets + at, sizeof(n));
        at += sizeof(n);
        enum hd_err err =
            sto_audit_add(trail->audit, lines->wall_ms, hd_slice(lines->octets + at, n));
        at += n;
        if (err)
            note_outcome(trail, 1, err);
        else if (++trail->added == LINES_PER_COMMIT)
            commit(trail);
    }
    (void)atomic_fetch_sub_explicit(&trail->waiting, lines->used, memory_order_relaxed);
}

static void
take_mails(struct sto_trail *trail)
{
    struct hd_mail *mail;

    while ((mail = hd_mailbox_take(&trail->inbox.box))) {
        switch ((enum trail_mail)mail->kind) {
        case TRAIL_LINES:
            add_lines(trail, (struct lines *)(void *)mail);
            free(mail);
            break;
        case TRAIL_COPY:
            trail->copying = true;
            atomic_store(&trail->hurry, false);
            break;
        case TRAIL_STOP:
            trail->stopping = true;
            break;
        }
    }
    commit(trail);
}

static void
end_copy(struct sto_trail *trail, enum hd_err err)
{
    trail->copying = false;
    trail->copy.done(trail->copy.context, err);
}

static void *
trail_run(void *context)
{
    struct sto_trail *trail = context;

    (void)pthread_setname_np(pthread_self(), "trail");
    sto_give_way();
    while (!trail->stopping) {
        bool done = false;
        if (!trail->copying) {
            sto_inbox_sleep(&trail->inbox, -1);
            if (!atomic_load(&trail->hurry))
                sto_inbox_pause(&trail->inbox, GATHER_MS);
        }
        take_mails(trail);
        enum hd_err err =
            trail->copying ? sto_audit_copy(trail->audit, trail->copy.path, &done) : HD_OK;
        if (trail->copying && (err || done))
            end_copy(trail, err);
    }
    if (trail->copying)
        end_copy(trail, HD_EIO);
    return NULL;
}

static void
post_in_a_hurry(struct sto_trail *trail, struct hd_mail *mail, enum trail_mail kind)
{
    mail->kind = (uint32_t)kind;
    atomic_store(&trail->hurry, true);
    hd_mailbox_post(&trail->inbox.box, mail);
    sto_inbox_wake(&trail->inbox);
}

void
sto_trail_copy(struct sto_trail *trail, const char *path,
               void (*done)(void *context, enum hd_err err), void *context)
{
    HD_ASSERT_OBJ(trail, TRAIL_MAGIC);
    trail->copy.path = path;
    trail->copy.done = done;
    trail->copy.context = context;
    post_in_a_hurry(trail, &trail->copy.mail, TRAIL_COPY);
}

/* --- life -------------------------------------------------------------------------------- */

enum hd_err
sto_trail_new(const struct sto_trail_params *params, char ret_problem[256],
              struct sto_trail **ret_trail)
{
    size_t size = sizeof(struct sto_trail) + params->shards * sizeof(struct part);
    struct sto_trail *trail = aligned_alloc(64, (size + 63) / 64 * 64);

    ret_problem[0] = '\0';
    if (!trail)
        return HD_ENOMEM;
    memset(trail, 0, size);
    trail->magic = TRAIL_MAGIC;
    trail->shards = params->shards;
    trail->clock = params->clock;
    enum hd_err err = sto_inbox_init(&trail->inbox);
    if (!err)
        err = sto_audit_open(&params->file, ret_problem, &trail->audit);
    if (err) {
        sto_trail_free(trail);
        return err;
    }
    *ret_trail = trail;
    return HD_OK;
}

enum hd_err
sto_trail_start(struct sto_trail *trail)
{
    HD_ASSERT_OBJ(trail, TRAIL_MAGIC);
    trail->runs = pthread_create(&trail->thread, NULL, trail_run, trail) == 0;
    return trail->runs ? HD_OK : HD_EIO;
}

void
sto_trail_stop(struct sto_trail *trail)
{
    if (!trail || !trail->runs)
        return;
    HD_ASSERT_OBJ(trail, TRAIL_MAGIC);
    post_in_a_hurry(trail, &trail->stop, TRAIL_STOP);
    (void)pthread_join(trail->thread, NULL);
    trail->runs = false;
}

void
sto_trail_free(struct sto_trail *trail)
{
    struct hd_mail *mail;

    if (!trail)
        return;
    HD_ASSERT_OBJ(trail, TRAIL_MAGIC);
    sto_trail_stop(trail);
    while ((mail = hd_mailbox_take(&trail->inbox.box))) /* it never ran */
        free(mail);
    for (unsigned i = 0; i < trail->shards; i++)
        free(trail->parts[i].open);
    sto_audit_close(trail->audit);
    sto_inbox_done(&trail->inbox);
    trail->magic = 0;
    free(trail);
}
