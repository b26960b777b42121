#include "store/live.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "store/fault_vfs.h"

#define SHARDS 3
#define TOLD_MOST 8192

/* The core's end of the port: it notes what it is told. */
struct evt_shard {
    pthread_mutex_t lock;
    struct evt_outcome told[TOLD_MOST];
    size_t n, posts;
    unsigned out_of_memory; /* so many posts more */
};

enum hd_err
evt_stored_post(struct evt_shard *shard, const struct evt_outcome *outcomes, size_t n)
{
    enum hd_err err = HD_OK;

    (void)pthread_mutex_lock(&shard->lock);
    if (shard->out_of_memory) {
        shard->out_of_memory--;
        err = HD_ENOMEM;
    } else {
        assert_true(shard->n + n <= TOLD_MOST);
        memcpy(shard->told + shard->n, outcomes, n * sizeof(*outcomes));
        shard->n += n;
        shard->posts++;
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return err;
}

struct fixture {
    char folder[64], path[96], problem[256];
    enum sto_durability durability;
    uint32_t spacing_us;
    struct fault_disk *disk; /* NULL: a real one */
    struct sto_live *store;
    struct evt_shard shard[SHARDS];
};

static atomic_uint_fast64_t ahead_ms; /* of the true time */

static struct sto_stamp
clock_now(void)
{
    const uint64_t now_ms = now_us() / 1000 + ahead_ms;

    return (struct sto_stamp){ .boot_ms = now_ms, .wall_ms = now_ms };
}

static void
open_store(struct fixture *f)
{
    struct sto_live_params params = { .shards = SHARDS,
                                      .file = { .path = f->path,
                                                .boot_id = "boot",
                                                .now = clock_now(),
                                                .durable = f->durability == STO_COMMIT,
                                                .vfs = f->disk ? "faults" : NULL },
                                      .durability = f->durability,
                                      .spacing_us = f->spacing_us,
                                      .clock = clock_now };

    assert_int_equal(sto_live_new(&params, f->problem, &f->store), HD_OK);
    for (unsigned i = 0; i < SHARDS; i++)
        sto_live_attach(f->store, i, &f->shard[i]);
}

static int
setup_with(void **state, enum sto_durability durability, bool faults)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->durability = durability;
    for (unsigned i = 0; i < SHARDS; i++)
        (void)pthread_mutex_init(&f->shard[i].lock, NULL);
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/live_test.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof(f->path), "%s/live-0.log", f->folder);
    f->disk = faults ? fault_disk_new("faults") : NULL;
    open_store(f);
    *state = f;
    return 0;
}

static int
setup(void **state)
{
    return setup_with(state, STO_COMMIT, false);
}

static int
setup_faults(void **state)
{
    return setup_with(state, STO_COMMIT, true);
}

static int
setup_async(void **state)
{
    return setup_with(state, STO_ASYNC, true);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    sto_live_free(f->store);
    fault_disk_free(f->disk);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
    for (unsigned i = 0; i < SHARDS; i++)
        (void)pthread_mutex_destroy(&f->shard[i].lock);
    free(f);
    return 0;
}

static enum hd_err
put(struct fixture *f, unsigned shard, uint64_t id, const char *octets, uint64_t ticket)
{
    return sto_live_ops.put(f->store, shard, 1, EVT_RECORD_SUBSCRIPTION, id, hd_slice_str(octets),
                            ticket);
}

static size_t
told(struct fixture *f, unsigned shard)
{
    size_t n;

    (void)pthread_mutex_lock(&f->shard[shard].lock);
    n = f->shard[shard].n;
    (void)pthread_mutex_unlock(&f->shard[shard].lock);
    return n;
}

/* Waits for so many outcomes; a store that never tells them fails the test by its time limit. */
static void
await_told(struct fixture *f, unsigned shard, size_t n)
{
    while (told(f, shard) < n)
        pause_us(200);
    assert_int_equal(told(f, shard), n);
}

static void
assert_told(const struct fixture *f, unsigned shard, size_t i, uint64_t ticket, enum hd_err err)
{
    assert_true(i < f->shard[shard].n);
    assert_int_equal(f->shard[shard].told[i].ticket, ticket);
    assert_int_equal(f->shard[shard].told[i].err, err);
}

struct found {
    char text[512];
    size_t n;
    uint64_t records, age_ms; /* of the newest */
};

static enum hd_err
note(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id, struct hd_slice record,
     uint64_t age_ms)
{
    struct found *found = context;

    (void)kind;
    found->age_ms = age_ms;
    assert_int_equal(bucket, 1);
    found->records++;
    if (found->n < 400)
        found->n += (size_t)snprintf(found->text + found->n, sizeof(found->text) - found->n,
                                     "%llu=%.*s ", (unsigned long long)id, (int)record.n, record.p);
    return HD_OK;
}

/* What is there after the end and another start. */
static struct found
found_after_restart(struct fixture *f)
{
    struct found found = { 0 };
    struct sto_journal_visitor visitor = { .visit = note, .context = &found };

    sto_live_free(f->store);
    open_store(f);
    assert_int_equal(sto_live_load(f->store, &visitor, f->problem), HD_OK);
    return found;
}

/* --- outcomes ---------------------------------------------------------------------------- */

static void
nothing_is_told_before_the_flush(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sto_live_start(f->store), HD_OK);
    assert_int_equal(put(f, 0, 7, "one", 100), HD_OK);
    pause_us(20000);
    assert_int_equal(told(f, 0), 0);
    assert_int_equal(sto_live_flush(f->store, 0), 0);
    await_told(f, 0, 1);
    assert_told(f, 0, 0, 100, HD_OK);
    assert_string_equal(found_after_restart(f).text, "7=one ");
}

/* What it grants ends when it was promised to (RFC 6665 4.2.2), however long the disk took. */
static void
a_record_ages_while_it_waits(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sto_live_start(f->store), HD_OK);
    assert_int_equal(put(f, 0, 7, "one", 100), HD_OK);
    ahead_ms += 50000;
    assert_int_equal(sto_live_flush(f->store, 0), 0);
    await_told(f, 0, 1);
    ahead_ms += 10000;
    assert_in_range(found_after_restart(f).age_ms, 60000, 3600000);
}

static void
a_flush_of_nothing_does_nothing(void **state)
{
    struct fixture *f = *state;
    struct sto_status status;

    assert_int_equal(sto_live_start(f->store), HD_OK);
    assert_int_equal(sto_live_flush(f->store, 0), 0);
    sto_live_stop(f->store, true);
    sto_live_status(f->store, &status);
    assert_int_equal(status.commits, 0);
}

static void
every_ticket_gets_one_outcome_in_the_order_of_the_puts(void **state)
{
    struct fixture *f = *state;
    enum { TURNS = 40, PUTS = 60 };
    uint64_t ticket[SHARDS] = { 0 };

    assert_int_equal(sto_live_start(f->store), HD_OK);
    for (unsigned turn = 0; turn < TURNS; turn++)
        for (unsigned shard = 0; shard < SHARDS; shard++) {
            for (unsigned i = 0; i < PUTS; i++)
                assert_int_equal(put(f, shard, shard * 10 + i % 3, "state", ++ticket[shard]),
                                 HD_OK);
            (void)sto_live_flush(f->store, shard);
        }
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        await_told(f, shard, (size_t)TURNS * PUTS);
        for (size_t i = 0; i < f->shard[shard].n; i++)
            assert_told(f, shard, i, i + 1, HD_OK);
    }
    pause_us(10000);
    for (unsigned shard = 0; shard < SHARDS; shard++)
        assert_int_equal(told(f, shard), TURNS * PUTS);
    assert_int_equal(found_after_restart(f).records, SHARDS * 3);
}

static void
ticket_0_asks_for_no_outcome(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sto_live_start(f->store), HD_OK);
    assert_int_equal(put(f, 1, 7, "quiet", 0), HD_OK);
    assert_int_equal(put(f, 1, 8, "loud", 5), HD_OK);
    (void)sto_live_flush(f->store, 1);
    await_told(f, 1, 1);
    assert_told(f, 1, 0, 5, HD_OK);
    assert_int_equal(found_after_restart(f).records, 2);
}

static void
a_batch_above_a_commit_is_told_in_pieces_and_whole(void **state)
{
    struct fixture *f = *state;
    const unsigned many = 4 * RECORDS_PER_COMMIT - 24;
    struct sto_status status;

    for (uint64_t i = 1; i <= many; i++)
        assert_int_equal(put(f, 0, i, "many", i), HD_OK);
    (void)sto_live_flush(f->store, 0);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    await_told(f, 0, many);
    sto_live_status(f->store, &status);
    assert_int_equal(status.commits, 4);
    assert_int_equal(status.records, many);
    assert_int_equal(status.live, many);
    assert_int_equal(f->shard[0].posts, 4);
}

static void
the_last_put_of_an_id_wins_also_within_a_batch(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, 0, 7, "first", 1), HD_OK);
    assert_int_equal(put(f, 0, 7, "second", 2), HD_OK);
    assert_int_equal(put(f, 0, 8, "gone", 3), HD_OK);
    assert_int_equal(put(f, 0, 8, "", 4), HD_OK);
    (void)sto_live_flush(f->store, 0);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    await_told(f, 0, 4);
    assert_string_equal(found_after_restart(f).text, "7=second ");
}

static void
records_of_any_length_fit(void **state)
{
    struct fixture *f = *state;
    static const size_t lengths[] = { 1, 7, 8, 9, 4080, 4096, 100000, 300000 };
    char *octets = malloc(300001);

    for (size_t i = 0; i < HD_ARRAY_LEN(lengths); i++) {
        memset(octets, 'a' + (int)i, lengths[i]);
        octets[lengths[i]] = '\0';
        assert_int_equal(put(f, 0, i, octets, i + 1), HD_OK);
    }
    free(octets);
    (void)sto_live_flush(f->store, 0);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    await_told(f, 0, HD_ARRAY_LEN(lengths));
    assert_int_equal(found_after_restart(f).records, HD_ARRAY_LEN(lengths));
}

static void
short_memory_delays_an_outcome_and_loses_none(void **state)
{
    struct fixture *f = *state;

    f->shard[0].out_of_memory = 3;
    assert_int_equal(put(f, 0, 7, "one", 1), HD_OK);
    (void)sto_live_flush(f->store, 0);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    await_told(f, 0, 1);
    assert_told(f, 0, 0, 1, HD_OK);
}

static void
what_was_flushed_is_kept_when_it_stops(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sto_live_start(f->store), HD_OK);
    for (uint64_t i = 1; i <= 600; i++) {
        assert_int_equal(put(f, 0, i, "late", i), HD_OK);
        (void)sto_live_flush(f->store, 0);
    }
    sto_live_stop(f->store, true);
    assert_int_equal(told(f, 0), 600);
    assert_int_equal(found_after_restart(f).records, 600);
}

/* The disk is waited for a few times and not as often as while it runs. */
static void
the_end_commits_much_at_once(void **state)
{
    struct fixture *f = *state;
    struct sto_status status;

    for (uint64_t id = 1; id <= 10000; id++)
        assert_int_equal(put(f, 0, id, "numbers", 0), HD_OK);
    (void)sto_live_flush(f->store, 0);
    sto_live_end(f->store); /* is told when the thread begins */
    assert_int_equal(sto_live_start(f->store), HD_OK);
    sto_live_stop(f->store, false);
    sto_live_status(f->store, &status);
    assert_int_equal(status.records, 10000);
    assert_int_equal(status.commits, 2);
}

static void
one_that_was_never_started_is_freed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, 0, 1, "flushed", 1), HD_OK);
    (void)sto_live_flush(f->store, 0);
    assert_int_equal(put(f, 0, 2, "put", 2), HD_OK);
    assert_int_equal(found_after_restart(f).records, 0);
    assert_int_equal(told(f, 0), 0);
}

static void
commits_keep_their_distance(void **state)
{
    struct fixture *f = *state;
    struct sto_status status;

    f->spacing_us = 50000;
    assert_int_equal(found_after_restart(f).records, 0);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    for (uint64_t i = 1; i <= 300; i++) {
        assert_int_equal(put(f, 0, i, "one", i), HD_OK);
        (void)sto_live_flush(f->store, 0);
        pause_us(100);
    }
    await_told(f, 0, 300);
    sto_live_status(f->store, &status);
    assert_int_equal(status.records, 300);
    assert_true(status.commits < 30); /* without the distance each would be one of its own */
}

/* --- failures ---------------------------------------------------------------------------- */

static void
a_commit_that_fails_refuses_all_that_it_tried_and_service_recovers(void **state)
{
    static const struct {
        enum fault fault;
        const char *problem;
    } row[] = { { FAULT_FULL, "database or disk is full" },
                { FAULT_WRITE, "disk I/O error" },
                { FAULT_TORN, "disk I/O error" },
                { FAULT_SYNC, "disk I/O error" } };
    struct fixture *f = *state;
    struct sto_status status;
    uint64_t ticket = 1;
    static char lost[300001]; /* finds no room in what the file has already */

    memset(lost, 'x', sizeof(lost) - 1);
    assert_int_equal(put(f, 0, 1, "kept", ticket), HD_OK);
    (void)sto_live_flush(f->store, 0);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    await_told(f, 0, 1);
    for (size_t r = 0; r < HD_ARRAY_LEN(row); r++) {
        size_t before = told(f, 0);
        fault_disk_fail(f->disk, row[r].fault, 0);
        for (uint64_t i = 0; i < 300; i++)
            assert_int_equal(put(f, 0, 1000 + i, i ? "lost" : lost, ++ticket), HD_OK);
        assert_int_equal(put(f, 0, 1, "changed", ++ticket), HD_OK);
        assert_int_equal(put(f, 1, 400, lost, 400), HD_OK);
        (void)sto_live_flush(f->store, 0);
        (void)sto_live_flush(f->store, 1);
        await_told(f, 0, before + 301);
        await_told(f, 1, r + 1);
        for (size_t i = 0; i < 301; i++)
            assert_told(f, 0, before + i, ticket - 300 + i, HD_ESTORE);
        assert_told(f, 1, r, 400, HD_ESTORE);
        do
            sto_live_status(f->store, &status);
        while (status.healthy);
        assert_string_equal(status.problem, row[r].problem);
        assert_true(status.failures > r);
        assert_int_equal(status.live, r + 1);
        fault_disk_fail(f->disk, FAULT_NONE, 0);
        assert_int_equal(put(f, 0, 2 + r, "kept", ++ticket), HD_OK);
        (void)sto_live_flush(f->store, 0);
        await_told(f, 0, before + 302);
        assert_told(f, 0, before + 301, ticket, HD_OK);
        do
            sto_live_status(f->store, &status);
        while (!status.healthy);
        assert_string_equal(status.problem, "");
    }
    struct found found = found_after_restart(f);
    assert_int_equal(found.records, 5); /* in the order in which they were written last */
    for (int id = 1; id <= 5; id++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%d=kept ", id);
        assert_non_null(strstr(found.text, text));
    }
}

static bool
is_healthy(struct fixture *f)
{
    struct sto_status status;

    sto_live_status(f->store, &status);
    return status.healthy;
}

/* Puts one record and commits it on this thread. */
static enum hd_err
commit_one(struct fixture *f, uint64_t id, const char *octets)
{
    size_t before = told(f, 0);

    assert_int_equal(put(f, 0, id, octets, id), HD_OK);
    (void)sto_live_flush(f->store, 0);
    take_mails(f->store);
    commit_some(f->store);
    assert_int_equal(told(f, 0), before + 1);
    return f->shard[0].told[before].err;
}

/* A full disk still takes what fits into places that the file has already. */
static void
what_is_small_and_finds_room_does_not_make_a_full_disk_well(void **state)
{
    struct fixture *f = *state;
    static char large[900001];

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (uint64_t id = 1; id <= 20; id++)
        assert_int_equal(commit_one(f, id, "makes some room in the log"), HD_OK);
    fault_disk_fail(f->disk, FAULT_FULL, 1); /* after a first piece of it */
    assert_int_equal(commit_one(f, 100, large), HD_ESTORE);
    assert_false(is_healthy(f));
    assert_int_equal(commit_one(f, 101, "small"), HD_OK);
    assert_false(is_healthy(f));
    f->store->probe_us = 0;
    probe(f->store);
    assert_false(is_healthy(f));
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    assert_int_equal(commit_one(f, 102, "small"), HD_OK);
    assert_false(is_healthy(f)); /* nobody knows yet */
    assert_int_equal(commit_one(f, 103, large), HD_OK);
    assert_true(is_healthy(f));
}

static uint32_t
number_of_next_start(struct fixture *f)
{
    (void)found_after_restart(f);
    return sto_live_start_number(f->store);
}

/* What was lost may have been what the next start would be exact by. */
static void
a_stop_is_no_clean_one_when_something_was_lost(void **state)
{
    struct fixture *f = *state;
    const uint32_t number = sto_live_start_number(f->store);

    assert_int_equal(commit_one(f, 1, "kept"), HD_OK);
    end_start(f->store, true);
    assert_int_equal(number_of_next_start(f), number);
    end_start(f->store, false);
    assert_int_equal(number_of_next_start(f), number + 1);
    fault_disk_fail(f->disk, FAULT_WRITE, 0);
    assert_int_equal(commit_one(f, 2, "lost"), HD_ESTORE);
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    assert_int_equal(commit_one(f, 2, "kept"), HD_OK);
    end_start(f->store, true);
    assert_int_equal(number_of_next_start(f), number + 2);
}

/* The largest commit that failed is what counts, and asking leaves nothing behind. */
static void
a_disk_that_failed_is_asked_for_as_much_as_it_did_not_take(void **state)
{
    struct fixture *f = *state;
    char large[20001];

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    fault_disk_fail(f->disk, FAULT_WRITE, 0);
    assert_int_equal(commit_one(f, 1, large), HD_ESTORE);
    assert_int_equal(commit_one(f, 2, "small"), HD_ESTORE);
    assert_true(f->store->owed_octets >= 20000);
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    probe(f->store); /* it is not time yet */
    assert_false(is_healthy(f));
    f->store->probe_us = 0;
    probe(f->store);
    assert_true(is_healthy(f));
    assert_int_equal(commit_one(f, 3, "kept"), HD_OK);
    assert_string_equal(found_after_restart(f).text, "3=kept ");
}

static void
a_disk_is_found_to_be_well_again_though_nobody_writes(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sto_live_start(f->store), HD_OK);
    fault_disk_fail(f->disk, FAULT_SYNC, 0);
    assert_int_equal(put(f, 0, 1, "lost", 1), HD_OK);
    (void)sto_live_flush(f->store, 0);
    await_told(f, 0, 1);
    assert_false(is_healthy(f));
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    while (!is_healthy(f))
        pause_us(10000);
    assert_int_equal(told(f, 0), 1);
}

/* A disk that does not answer is none that lost something: nothing is rescued, nothing written. */
static void
a_disk_that_cannot_be_read_ends_the_start_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct found found = { 0 };
    struct sto_journal_visitor visitor = { .visit = note, .context = &found };

    for (uint64_t i = 1; i <= 3000; i++)
        assert_int_equal(put(f, 0, i, "a record of some length, so that there are pages", i),
                         HD_OK);
    (void)sto_live_flush(f->store, 0);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    await_told(f, 0, 3000);
    sto_live_free(f->store);
    open_store(f);
    fault_disk_fail(f->disk, FAULT_READ, 2);
    assert_int_equal(sto_live_load(f->store, &visitor, f->problem), HD_EIO);
    assert_true(fault_disk_struck(f->disk) > 0);
    assert_non_null(strstr(f->problem, "disk I/O error"));
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    assert_int_equal(found_after_restart(f).records, 3000);
}

/* A batch of which one commit took a part, when the next one fails. */
static void
what_is_left_of_a_batch_is_refused_once(void **state)
{
    struct fixture *f = *state;
    const unsigned many = RECORDS_PER_COMMIT + 44;

    for (uint64_t i = 1; i <= many; i++)
        assert_int_equal(put(f, 0, i, "many", i), HD_OK);
    (void)sto_live_flush(f->store, 0);
    take_mails(f->store);
    commit_some(f->store);
    assert_int_equal(told(f, 0), RECORDS_PER_COMMIT);
    fault_disk_fail(f->disk, FAULT_WRITE, 0);
    commit_some(f->store);
    assert_int_equal(told(f, 0), many);
    assert_told(f, 0, many - 1, many, HD_ESTORE);
}

static void
a_slow_disk_makes_large_commits_and_not_long_queues(void **state)
{
    struct fixture *f = *state;
    struct sto_status status;

    fault_disk_slow(f->disk, 20000);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    for (uint64_t i = 1; i <= 400; i++) {
        assert_int_equal(put(f, 0, i, "one", i), HD_OK);
        (void)sto_live_flush(f->store, 0);
        pause_us(100);
    }
    await_told(f, 0, 400);
    sto_live_status(f->store, &status);
    assert_true(status.commits < 40);
    assert_true(status.commit_us_most >= 20000);
    assert_int_equal(status.records, 400);
    sto_live_status(f->store, &status);
    assert_int_equal(status.commit_us_most, 0); /* since it was asked last */
}

static void
too_much_that_waits_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t n = 1 << 20;
    char *octets = malloc(n + 1);
    uint64_t taken = 0;

    memset(octets, 'x', n);
    octets[n] = '\0';
    while (put(f, 0, taken, octets, taken + 1) == HD_OK) {
        (void)sto_live_flush(f->store, 0);
        assert_true(++taken < 200);
    }
    free(octets);
    assert_true(taken >= 64);
    assert_int_equal(put(f, 1, 1, "of another shard", 1), HD_ESTORE);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    await_told(f, 0, taken);
    while (put(f, 1, 1, "afterwards", 1) != HD_OK)
        pause_us(1000); /* the last batch is freed after its outcome is told */
}

/* --- STO_ASYNC --------------------------------------------------------------------------- */

static void
async_tells_at_the_flush_and_keeps_soon_after(void **state)
{
    struct fixture *f = *state;

    for (uint64_t i = 1; i <= 200; i++)
        assert_int_equal(put(f, 0, i, "soon", i % 2 ? i : 0), HD_OK);
    assert_int_equal(told(f, 0), 0);
    assert_int_equal(sto_live_flush(f->store, 0), 100);
    assert_int_equal(told(f, 0), 100);
    for (size_t i = 0; i < 100; i++)
        assert_told(f, 0, i, 2 * i + 1, HD_OK);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    sto_live_stop(f->store, true);
    assert_int_equal(told(f, 0), 100);
    assert_int_equal(found_after_restart(f).records, 200);
}

static void
async_keeps_what_it_told_when_the_disk_is_well_again(void **state)
{
    struct fixture *f = *state;
    struct sto_status status;

    fault_disk_fail(f->disk, FAULT_WRITE, 0);
    assert_int_equal(put(f, 0, 1, "promised", 1), HD_OK);
    assert_int_equal(sto_live_flush(f->store, 0), 1);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    do {
        pause_us(1000);
        sto_live_status(f->store, &status);
    } while (status.failures == 0);
    assert_false(status.healthy);
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    do {
        pause_us(1000);
        sto_live_status(f->store, &status);
    } while (status.commits == 0);
    assert_true(status.healthy);
    assert_int_equal(told(f, 0), 1);
    assert_string_equal(found_after_restart(f).text, "1=promised ");
}

static void
async_gives_up_at_the_end_alone(void **state)
{
    struct fixture *f = *state;

    fault_disk_fail(f->disk, FAULT_WRITE, 0);
    assert_int_equal(put(f, 0, 1, "promised", 1), HD_OK);
    assert_int_equal(sto_live_flush(f->store, 0), 1);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    sto_live_stop(f->store, true);
    assert_int_equal(f->store->given_up, 1);
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    assert_int_equal(found_after_restart(f).records, 0);
}

/* What a sync that failed has left in doubt is written once more, though nothing new comes. */
static void
async_writes_again_what_was_not_synced(void **state)
{
    struct fixture *f = *state;

    fault_disk_record(f->disk);
    assert_int_equal(put(f, 0, 1, "promised", 1), HD_OK);
    assert_int_equal(sto_live_flush(f->store, 0), 1);
    take_mails(f->store);
    fault_disk_fail(f->disk, FAULT_SYNC, 0);
    commit_some(f->store);
    assert_true(sto_journal_unsynced(f->store->journal));
    assert_false(is_healthy(f));
    const size_t before = fault_disk_count(f->disk);
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    sync_some(f->store);
    assert_false(sto_journal_unsynced(f->store->journal));
    assert_int_equal(fault_disk_count(f->disk), before + 2); /* a write and a sync */
}

/* --- backup ------------------------------------------------------------------------------ */

struct ended {
    _Atomic int n;
    enum hd_err err;
};

static void
backup_ended(void *context, enum hd_err err)
{
    struct ended *ended = context;

    ended->err = err;
    atomic_fetch_add(&ended->n, 1);
}

static void
a_backup_runs_beside_the_commits(void **state)
{
    struct fixture *f = *state;
    struct ended ended = { 0 }, second = { 0 };
    char copy[128];
    uint64_t n = 0;

    (void)snprintf(copy, sizeof(copy), "%s/copy.db", f->folder);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    for (; n < 3000; n++)
        assert_int_equal(
            put(f, 0, n, "some record of some length or other, so that it takes steps", n + 1),
            HD_OK);
    (void)sto_live_flush(f->store, 0);
    await_told(f, 0, 3000);
    assert_int_equal(sto_live_backup(f->store, copy, backup_ended, &ended), HD_OK);
    while (!atomic_load(&ended.n)) {
        n++;
        assert_int_equal(put(f, 0, n, "while it is copied", n), HD_OK);
        (void)sto_live_flush(f->store, 0);
        pause_us(500);
    }
    assert_int_equal(ended.err, HD_OK);
    await_told(f, 0, n);
    assert_int_equal(sto_live_backup(f->store, copy, backup_ended, &second), HD_OK);
    while (!atomic_load(&second.n))
        pause_us(500);
    assert_int_equal(second.err, HD_ESTORE); /* it is there already */
    (void)snprintf(f->path, sizeof(f->path), "%.90s", copy);
    assert_true(found_after_restart(f).records >= 3000);
}

static void
one_backup_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct ended ended = { 0 };
    char copy[128];

    (void)snprintf(copy, sizeof(copy), "%s/copy.db", f->folder);
    assert_int_equal(sto_live_backup(f->store, copy, backup_ended, &ended), HD_OK);
    assert_int_equal(sto_live_backup(f->store, copy, backup_ended, &ended), HD_EBUSY);
    assert_int_equal(sto_live_start(f->store), HD_OK);
    sto_live_stop(f->store, true);
    assert_int_equal(atomic_load(&ended.n), 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_told_before_the_flush),
        TEST(a_record_ages_while_it_waits),
        TEST(a_flush_of_nothing_does_nothing),
        TEST(every_ticket_gets_one_outcome_in_the_order_of_the_puts),
        TEST(ticket_0_asks_for_no_outcome),
        TEST(a_batch_above_a_commit_is_told_in_pieces_and_whole),
        TEST(the_last_put_of_an_id_wins_also_within_a_batch),
        TEST(records_of_any_length_fit),
        TEST(short_memory_delays_an_outcome_and_loses_none),
        TEST(what_was_flushed_is_kept_when_it_stops),
        TEST(the_end_commits_much_at_once),
        TEST(one_that_was_never_started_is_freed),
        TEST(commits_keep_their_distance),
        cmocka_unit_test_setup_teardown(
            a_commit_that_fails_refuses_all_that_it_tried_and_service_recovers, setup_faults,
            teardown),
        cmocka_unit_test_setup_teardown(what_is_small_and_finds_room_does_not_make_a_full_disk_well,
                                        setup_faults, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_failed_is_asked_for_as_much_as_it_did_not_take,
                                        setup_faults, teardown),
        cmocka_unit_test_setup_teardown(a_disk_is_found_to_be_well_again_though_nobody_writes,
                                        setup_faults, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_cannot_be_read_ends_the_start_and_loses_nothing,
                                        setup_faults, teardown),
        cmocka_unit_test_setup_teardown(what_is_left_of_a_batch_is_refused_once, setup_faults,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_slow_disk_makes_large_commits_and_not_long_queues,
                                        setup_faults, teardown),
        TEST(too_much_that_waits_is_refused),
        cmocka_unit_test_setup_teardown(async_tells_at_the_flush_and_keeps_soon_after, setup_async,
                                        teardown),
        cmocka_unit_test_setup_teardown(async_keeps_what_it_told_when_the_disk_is_well_again,
                                        setup_async, teardown),
        cmocka_unit_test_setup_teardown(async_writes_again_what_was_not_synced, setup_async,
                                        teardown),
        cmocka_unit_test_setup_teardown(async_gives_up_at_the_end_alone, setup_async, teardown),
        TEST(a_backup_runs_beside_the_commits),
        cmocka_unit_test_setup_teardown(a_stop_is_no_clean_one_when_something_was_lost,
                                        setup_faults, teardown),
        TEST(one_backup_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
