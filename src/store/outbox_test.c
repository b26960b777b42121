/* Tests of outbox.h: what was posted is there after the file was opened again, in order; what
 * failed is told, and what follows is kept. */
#include "outbox.c"

#include <setjmp.h>
#include <stdarg.h>

#include <sched.h>

#include <cmocka.h>

#include "fault_vfs.h"

#define PATH "outbox_test.db"
#define COPY "outbox_test_copy.db"

struct seen {
    unsigned n;
    char text[512];
};

static void
note(void *context, const char *group, uint64_t number, struct hd_slice record)
{
    struct seen *seen = context;
    size_t n = strlen(seen->text);

    seen->n++;
    (void)snprintf(seen->text + n, sizeof(seen->text) - n, "%s/%llu=%.*s ", group,
                   (unsigned long long)number, HD_FMT(record));
}

static struct sto_outbox *
open_it(const char *vfs)
{
    struct sto_outbox *outbox = NULL;
    char problem[256] = "";

    assert_int_equal(
        sto_outbox_open(&(struct sto_outbox_params){ PATH, true, vfs }, problem, &outbox), HD_OK);
    return outbox;
}

static void
expect(struct sto_outbox *outbox, const char *text)
{
    struct seen seen = { 0 };
    char problem[256] = "";

    assert_int_equal(sto_outbox_load(outbox, note, &seen, problem), HD_OK);
    assert_string_equal(seen.text, text);
}

/* --- jobs ------------------------------------------------------------------------------------- */

static _Atomic unsigned done, failed;

static void
on_done(struct sto_outbox_job *job)
{
    if (job->err)
        (void)atomic_fetch_add(&failed, 1);
    (void)atomic_fetch_add(&done, 1);
    free(job);
}

static struct sto_outbox_job *
job_new(const char *group, uint64_t number, const char *record)
{
    struct sto_outbox_job *job = calloc(1, sizeof(*job));

    assert_non_null(job);
    (void)snprintf(job->rows[0].group, sizeof(job->rows[0].group), "%s", group);
    job->rows[0].number = number;
    job->rows[0].record = hd_slice_str(record);
    job->n = 1;
    job->done = on_done;
    return job;
}

static void
put(struct sto_outbox *outbox, const char *group, uint64_t number, const char *record)
{
    sto_outbox_post(outbox, job_new(group, number, record));
}

static int
setup(void **state)
{
    (void)state;
    (void)unlink(PATH);
    (void)unlink(PATH "-wal");
    (void)unlink(COPY);
    done = failed = 0;
    return 0;
}

static void
what_was_posted_is_there_again_in_order(void **state)
{
    struct sto_outbox *outbox = open_it(NULL);
    struct sto_outbox_job *both = job_new("b", 7, "seven");

    (void)state;
    assert_int_equal(sto_outbox_start(outbox), HD_OK);
    put(outbox, "b", 2, "two");
    put(outbox, "a", 300, "last");
    put(outbox, "a", 9, "nine");
    put(outbox, "b", 1, "one");
    both->rows[1] = both->rows[0];
    both->rows[1].number = 2;
    both->rows[1].record = hd_slice(NULL, 0);
    both->n = 2;
    sto_outbox_post(outbox, both);
    put(outbox, "b", 1, "one again");
    sto_outbox_close(outbox);
    assert_int_equal(done, 6);
    assert_int_equal(failed, 0);
    outbox = open_it(NULL);
    expect(outbox, "a/9=nine a/300=last b/1=one again b/7=seven ");
    sto_outbox_close(outbox);
}

static void
a_group_is_forgotten_and_the_others_stay(void **state)
{
    struct sto_outbox *outbox = open_it(NULL);
    struct sto_outbox_job *job = job_new("a", 0, NULL);

    (void)state;
    put(outbox, "a", 1, "x");
    put(outbox, "b", 1, "y");
    put(outbox, "a", 2, "z");
    job->forgets = true;
    job->n = 0;
    sto_outbox_post(outbox, job);
    sto_outbox_stop(outbox); /* never started: done here */
    assert_int_equal(done, 4);
    expect(outbox, "b/1=y ");
    sto_outbox_close(outbox);
}

static void
a_disk_that_fails_is_told_and_tried_again(void **state)
{
    struct fault_disk *disk = fault_disk_new("outbox");
    struct sto_outbox *outbox = open_it("outbox");

    (void)state;
    put(outbox, "a", 1, "kept");
    sto_outbox_stop(outbox);
    assert_int_equal(failed, 0);
    fault_disk_fail(disk, FAULT_WRITE, 0);
    put(outbox, "a", 2, "lost");
    sto_outbox_stop(outbox);
    assert_int_equal(failed, 1);
    fault_disk_fail(disk, FAULT_SYNC, 0);
    put(outbox, "a", 3, "lost");
    sto_outbox_stop(outbox);
    assert_int_equal(failed, 2);
    fault_disk_fail(disk, FAULT_NONE, 0);
    put(outbox, "a", 4, "kept");
    sto_outbox_stop(outbox);
    assert_int_equal(failed, 2);
    expect(outbox, "a/1=kept a/4=kept ");
    fault_disk_fail(disk, FAULT_READ, 0);
    sto_outbox_close(outbox);
    fault_disk_free(disk);
}

/* --- a copy ----------------------------------------------------------------------------------- */

struct copying {
    struct sto_outbox_copy copy;
    _Atomic bool done;
};

static void
on_copied(struct sto_outbox_copy *copy)
{
    HD_CONTAINER(copy, struct copying, copy)->done = true;
}

static void
wait_for(const struct copying *copying)
{
    while (!copying->done)
        (void)sched_yield();
}

/* Those of group a. */
static void
count(void *context, const char *group, uint64_t number, struct hd_slice record)
{
    unsigned *n = context;

    (void)number;
    if (strcmp(group, "a") == 0 && record.n == 3999)
        ++*n;
}

static void
a_copy_holds_what_was_posted_before_it_and_overwrites_nothing(void **state)
{
    char big[4000], problem[256] = "";
    unsigned n = 0;
    struct sto_outbox *outbox = open_it(NULL);
    struct copying one = { .copy = { .path = COPY, .done = on_copied } }, two = one, three = one;

    (void)state;
    memset(big, 'b', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    for (unsigned i = 1; i <= 500; i++) /* more pages than a step has */
        put(outbox, "a", i, big);
    sto_outbox_copy(outbox, &one.copy);
    sto_outbox_copy(outbox, &two.copy);
    assert_int_equal(sto_outbox_start(outbox), HD_OK);
    for (unsigned i = 1; i <= 100; i++)
        put(outbox, "b", i, "later");
    wait_for(&one);
    wait_for(&two);
    assert_int_equal(one.copy.err, HD_OK);
    assert_int_equal(two.copy.err, HD_EBUSY);
    sto_outbox_copy(outbox, &three.copy);
    wait_for(&three);
    assert_int_equal(three.copy.err, HD_EIO); /* it is there */
    sto_outbox_close(outbox);
    assert_int_equal(failed, 0);
    assert_int_equal(rename(COPY, PATH), 0);
    outbox = open_it(NULL);
    assert_int_equal(sto_outbox_load(outbox, count, &n, problem), HD_OK);
    assert_int_equal(n, 500);
    sto_outbox_close(outbox);
}

/* A job that is followed by another as soon as it is done, as long as nothing is copied. */
#define CHAIN_MOST 20000u

struct chain {
    struct sto_outbox_job job;
    struct sto_outbox *outbox;
    const struct copying *until;
    _Atomic unsigned jobs;
    _Atomic bool over;
};

static void
on_link_done(struct sto_outbox_job *job)
{
    struct chain *chain = HD_CONTAINER(job, struct chain, job);

    if (chain->until->done || ++chain->jobs == CHAIN_MOST)
        chain->over = true;
    else
        sto_outbox_post(chain->outbox, job);
}

static void
a_copy_goes_on_while_jobs_keep_coming(void **state)
{
    struct sto_outbox *outbox = open_it(NULL);
    struct copying copying = { .copy = { .path = COPY, .done = on_copied } };
    struct chain chain = {
        .job = { .rows = { { .group = "a", .number = 1 } }, .n = 1, .done = on_link_done },
        .outbox = outbox,
        .until = &copying
    };

    (void)state;
    assert_true(run(outbox->db, "PRAGMA synchronous = OFF"));
    chain.job.rows[0].record = hd_slice_str("again and again");
    sto_outbox_copy(outbox, &copying.copy);
    sto_outbox_post(outbox, &chain.job);
    assert_int_equal(sto_outbox_start(outbox), HD_OK);
    wait_for(&copying);
    while (!chain.over)
        (void)sched_yield();
    assert_int_equal(copying.copy.err, HD_OK);
    assert_true(chain.jobs < CHAIN_MOST);
    sto_outbox_close(outbox);
}

static void
a_copy_under_way_is_broken_off_and_leaves_nothing(void **state)
{
    char big[4000];
    struct sto_outbox *outbox = open_it(NULL);
    struct copying copying = { .copy = { .path = COPY, .done = on_copied } };

    (void)state;
    memset(big, 'b', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    for (unsigned i = 1; i <= 100; i++) /* more pages than a step has */
        put(outbox, "a", i, big);
    sto_outbox_copy(outbox, &copying.copy);
    while (work(outbox))
        ;
    assert_true(copy_some(outbox));
    assert_int_equal(access(COPY, F_OK), 0);
    sto_outbox_stop(outbox);
    assert_true(copying.done);
    assert_int_equal(copying.copy.err, HD_EBUSY);
    assert_int_not_equal(access(COPY, F_OK), 0);
    assert_int_not_equal(access(COPY "-journal", F_OK), 0);
    sto_outbox_close(outbox);
}

static void
a_copy_that_never_began_is_told(void **state)
{
    struct sto_outbox *outbox = open_it(NULL);
    struct copying copying = { .copy = { .path = COPY, .done = on_copied } };

    (void)state;
    put(outbox, "a", 1, "one");
    sto_outbox_copy(outbox, &copying.copy);
    sto_outbox_stop(outbox);
    assert_true(copying.done);
    assert_int_equal(copying.copy.err, HD_EBUSY);
    assert_int_not_equal(access(COPY, F_OK), 0);
    expect(outbox, "a/1=one ");
    sto_outbox_close(outbox);
}

static void
what_cannot_be_opened_says_why(void **state)
{
    struct sto_outbox *outbox = open_it(NULL);
    char problem[256] = "";
    FILE *file;

    (void)state;
    assert_true(run(outbox->db, "PRAGMA user_version = 2"));
    sto_outbox_close(outbox);
    outbox = NULL;
    assert_int_equal(sto_outbox_open(&(struct sto_outbox_params){ .path = PATH }, problem, &outbox),
                     HD_EVERSION);
    assert_non_null(strstr(problem, "newer"));
    file = fopen(PATH, "we");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        (void)fputs("no database", file);
    (void)fclose(file);
    assert_int_equal(sto_outbox_open(&(struct sto_outbox_params){ .path = PATH }, problem, &outbox),
                     HD_EIO);
    assert_non_null(strstr(problem, PATH));
    assert_int_equal(
        sto_outbox_open(&(struct sto_outbox_params){ .path = "/nowhere/x" }, problem, &outbox),
        HD_EIO);
    assert_null(outbox);
    sto_outbox_close(NULL);
    sto_outbox_stop(NULL);
    (void)setup(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_posted_is_there_again_in_order, setup),
        cmocka_unit_test_setup(a_group_is_forgotten_and_the_others_stay, setup),
        cmocka_unit_test_setup(a_disk_that_fails_is_told_and_tried_again, setup),
        cmocka_unit_test_setup(a_copy_holds_what_was_posted_before_it_and_overwrites_nothing,
                               setup),
        cmocka_unit_test_setup(a_copy_goes_on_while_jobs_keep_coming, setup),
        cmocka_unit_test_setup(a_copy_under_way_is_broken_off_and_leaves_nothing, setup),
        cmocka_unit_test_setup(a_copy_that_never_began_is_told, setup),
        cmocka_unit_test_setup(what_cannot_be_opened_says_why, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
