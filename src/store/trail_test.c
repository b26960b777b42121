/* trail_test.c - what the shards note comes into the file, by itself and at the end, in their
 * order; what cannot is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/audit.c"
#include "store/trail.c"

#define SHARDS 2u

static char folder[32], path[64], other[64];
static struct sto_trail *trail;

static struct sto_stamp
stamp(void)
{
    return (struct sto_stamp){ .wall_ms = 5000 };
}

static int
setup(void **state)
{
    char problem[256];

    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/herald-trail-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/" STO_AUDIT_FILE, folder);
    (void)snprintf(other, sizeof(other), "%s/copy.db", folder);
    FILE *file = fopen(path, "w");
    if (!file)
        return -1;
    (void)fclose(file);
    const struct sto_trail_params params = {
        .shards = SHARDS, .clock = stamp, .file = { .path = path, .keep_s = 100, .most = 1000000 }
    };
    return sto_trail_new(&params, problem, &trail) ? -1 : 0;
}

static int
teardown(void **state)
{
    static const char *const names[] = { STO_AUDIT_FILE,        STO_AUDIT_FILE "-wal",
                                         STO_AUDIT_FILE "-shm", "copy.db",
                                         "copy.db-wal",         "copy.db-shm" };
    char name[96];

    (void)state;
    sto_trail_free(trail);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s/%s", folder, names[i]);
        (void)unlink(name);
    }
    return rmdir(folder);
}

static void
note(unsigned shard, uint32_t rule)
{
    const struct evt_audit row = { .what = EVT_AUDIT_BEGAN,
                                   .rule = rule,
                                   .id = shard,
                                   .resource = HD_LIT("sip:alice@example.com"),
                                   .package = HD_LIT("presence"),
                                   .watcher = HD_LIT("sip:bob@example.com"),
                                   .address = { .family = 4 } };

    sto_trail_note(trail, shard, &row);
}

/* Lines of each shard, which must come with falling numbers of rules. */
struct seen {
    unsigned n, of[SHARDS];
    uint32_t next[SHARDS];
    bool ordered;
};

static void
visit(void *context, const struct sto_audit_line *line)
{
    struct seen *seen = context;
    const unsigned shard = (unsigned)line->id;

    seen->ordered = seen->ordered && (seen->of[shard] == 0 || line->rule + 1 == seen->next[shard]);
    seen->next[shard] = line->rule;
    seen->of[shard]++;
    seen->n++;
}

static struct seen
read_it(const char *file)
{
    struct seen seen = { .ordered = true };
    const struct sto_audit_query all = { .path = file, .limit = UINT32_MAX };

    assert_int_equal(sto_audit_read(&all, visit, &seen), HD_OK);
    return seen;
}

static void
lines_come_by_themselves(void **state)
{
    (void)state;
    assert_int_equal(sto_trail_start(trail), HD_OK);
    note(0, 1);
    sto_trail_flush(trail, 0);
    for (unsigned ms = 0; ms < 60000 && read_it(path).n == 0; ms++)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    assert_int_equal(read_it(path).n, 1);
}

static void
all_that_was_flushed_is_there_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(sto_trail_start(trail), HD_OK);
    for (uint32_t i = 0; i < 3 * LINES_PER_COMMIT; i++) {
        note(i % SHARDS, i / SHARDS);
        if (i % 7 == 0)
            sto_trail_flush(trail, i % SHARDS);
    }
    sto_trail_flush(trail, 0);
    sto_trail_flush(trail, 1);
    sto_trail_stop(trail);
    const struct seen seen = read_it(path);
    assert_int_equal(seen.n, 3 * LINES_PER_COMMIT);
    assert_true(seen.ordered);
    assert_int_equal(sto_trail_lost(trail), 0);
}

static void
a_line_that_was_not_flushed_waits(void **state)
{
    (void)state;
    assert_int_equal(sto_trail_start(trail), HD_OK);
    note(0, 1);
    sto_trail_stop(trail);
    assert_int_equal(read_it(path).n, 0);
}

static void
what_waits_is_bounded(void **state)
{
    uint64_t noted = 0;

    (void)state; /* it does not run: a disk that takes nothing */
    while (sto_trail_lost(trail) == 0 && noted < 10000000) {
        note(0, 1);
        noted++;
        sto_trail_flush(trail, 0);
    }
    assert_int_equal(sto_trail_lost(trail), 1);
    assert_true(atomic_load(&trail->waiting) <= WAITING_MOST + LINES_OCTETS);
    note(0, 1);
    assert_int_equal(sto_trail_lost(trail), 2);
    assert_int_equal(sto_trail_start(trail), HD_OK);
    sto_trail_stop(trail);
    assert_int_equal(read_it(path).n, noted - 1);
    note(0, 1); /* there is room again */
    assert_int_equal(sto_trail_lost(trail), 2);
}

struct outcome {
    _Atomic bool told;
    enum hd_err err;
};

static void
told(void *context, enum hd_err err)
{
    struct outcome *outcome = context;

    outcome->err = err;
    atomic_store(&outcome->told, true);
}

static enum hd_err
copy_it(const char *to)
{
    struct outcome outcome = { .err = HD_OK };

    sto_trail_copy(trail, to, told, &outcome);
    while (!atomic_load(&outcome.told))
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    return outcome.err;
}

static void
a_copy_has_what_was_flushed_before(void **state)
{
    (void)state;
    assert_int_equal(sto_trail_start(trail), HD_OK);
    for (uint32_t i = 0; i < 2000; i++)
        note(0, i);
    sto_trail_flush(trail, 0);
    assert_int_equal(copy_it(other), HD_OK);
    assert_int_equal(read_it(other).n, 2000);
    note(0, 2000); /* and it goes on */
    sto_trail_flush(trail, 0);
    assert_int_equal(copy_it(other), HD_EIO); /* it is there */
    sto_trail_stop(trail);
    assert_int_equal(read_it(path).n, 2001);
}

static void
a_copy_under_way_at_the_end_is_told_too(void **state)
{
    struct outcome outcome = { .err = HD_OK };

    (void)state;
    for (uint32_t i = 0; i < 20000; i++)
        note(0, i);
    sto_trail_flush(trail, 0);
    assert_int_equal(sto_trail_start(trail), HD_OK);
    sto_trail_copy(trail, other, told, &outcome);
    sto_trail_stop(trail);
    assert_true(outcome.told);
    assert_int_equal(read_it(path).n, 20000);
}

/* The line that did not fit into the file left a transaction open. */
static void
a_copy_is_made_although_a_line_could_not_be_added(void **state)
{
    (void)state;
    size_t line = 0; /* octets of one */
    while (trail->audit->octets + line <= PACK_MOST) {
        note(0, 1);
        sto_trail_flush(trail, 0);
        take_mails(trail);
        line = line ? line : trail->audit->octets;
    }
    const uint64_t before = (uint64_t)trail->audit->last.lines;
    assert_int_equal(sqlite3_exec(trail->audit->db, "PRAGMA query_only = 1", NULL, NULL, NULL),
                     SQLITE_OK);
    for (unsigned i = 0; i < 3; i++)
        note(0, 2);
    sto_trail_flush(trail, 0);
    take_mails(trail);
    assert_true(sto_trail_lost(trail) > 0);
    assert_false(trail->audit->open);
    assert_int_equal(sqlite3_exec(trail->audit->db, "PRAGMA query_only = 0", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sto_trail_start(trail), HD_OK);
    assert_int_equal(copy_it(other), HD_OK);
    assert_true(read_it(other).n >= before - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_by_themselves, setup, teardown),
        cmocka_unit_test_setup_teardown(all_that_was_flushed_is_there_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_that_was_not_flushed_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(what_waits_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_has_what_was_flushed_before, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_under_way_at_the_end_is_told_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_is_made_although_a_line_could_not_be_added, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
