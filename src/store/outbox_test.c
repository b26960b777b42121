/* Tests of outbox.h: what was posted is there after the file was opened again, in order; what
 * failed is told, and what follows is kept. */
#include "outbox.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "fault_vfs.h"

#define PATH "outbox_test.db"

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
        cmocka_unit_test_setup(what_cannot_be_opened_says_why, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
