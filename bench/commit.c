/* commit.c - what keeping a record costs: commits of so many records each into a live file, of ids
 * that come by chance, so that the file is trimmed as it is in use.
 *
 *     bench/commit FILE [OCTETS [PER_COMMIT [COMMITS [IDS]]]]
 *
 * CPU time of a record, in user mode and in the kernel, and how long commits take on this disk.
 * Alone under valgrind --tool=callgrind it counts instructions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/hash.h"
#include "store/journal.h"

struct plan {
    const char *path;
    unsigned octets, per_commit, commits, ids;
};

static uint64_t
now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int
by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static enum hd_err
commit_once(const struct plan *plan, struct sto_journal *journal, const char *octets,
            uint64_t *dice)
{
    enum hd_err err = HD_OK;

    sto_journal_begin(journal);
    for (unsigned i = 0; i < plan->per_commit && !err; i++) {
        *dice = hd_hash_mix(*dice, 0x9e3779b97f4a7c15u);
        err = sto_journal_append(journal, EVT_RECORD_SUBSCRIPTION, (unsigned)(*dice % 4096),
                                 1 + (*dice >> 32) % plan->ids, hd_slice(octets, plan->octets),
                                 (struct sto_stamp){ 1000, 1000 });
    }
    return err ? err : sto_journal_commit(journal);
}

static double
spent_us(struct timeval from, struct timeval to)
{
    return (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_usec - from.tv_usec);
}

/* Half of the commits first: what is measured trims as much as it adds. */
static enum hd_err
run(const struct plan *plan, struct sto_journal *journal, const char *octets, uint32_t *took_us)
{
    struct rusage before, after;
    enum hd_err err = HD_OK;
    uint64_t dice = 1, start = 0;

    for (unsigned i = 0; i < 2 * plan->commits && !err; i++) {
        if (i == plan->commits) {
            (void)getrusage(RUSAGE_SELF, &before);
            start = now_us();
        }
        uint64_t at = now_us();
        err = commit_once(plan, journal, octets, &dice);
        took_us[i % plan->commits] = (uint32_t)(now_us() - at);
    }
    (void)getrusage(RUSAGE_SELF, &after);
    if (err)
        return err;
    double n = (double)plan->commits * plan->per_commit, wall = (double)(now_us() - start);
    qsort(took_us, plan->commits, sizeof(*took_us), by_value);
    printf(
        "%u octets, %u per commit: %.2f us a record (%.2f in user mode), %.0f a second; commits "
        "p50 %u us, p99 %u us, most %u us\n",
        plan->octets, plan->per_commit,
        (spent_us(before.ru_utime, after.ru_utime) + spent_us(before.ru_stime, after.ru_stime)) / n,
        spent_us(before.ru_utime, after.ru_utime) / n, n / wall * 1e6, took_us[plan->commits / 2],
        took_us[plan->commits * 99 / 100], took_us[plan->commits - 1]);
    return HD_OK;
}

static enum hd_err
ignore(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
       struct hd_slice record, uint64_t age_ms)
{
    (void)context, (void)kind, (void)bucket, (void)id, (void)record, (void)age_ms;
    return HD_OK;
}

static unsigned
number(int argc, char **argv, int at, unsigned otherwise)
{
    return argc > at ? (unsigned)strtoul(argv[at], NULL, 10) : otherwise;
}

int
main(int argc, char **argv)
{
    const struct plan plan = { argc > 1 ? argv[1] : NULL, number(argc, argv, 2, 400),
                               number(argc, argv, 3, 128), number(argc, argv, 4, 1000),
                               number(argc, argv, 5, 20000) };
    struct sto_journal_params params = { .path = plan.path, .boot_id = "bench", .durable = true };
    const struct sto_journal_visitor nobody = { .visit = ignore };
    struct sto_journal *journal = NULL;
    char problem[256] = "";

    if (!plan.path || !plan.per_commit || !plan.commits || !plan.ids) {
        fprintf(stderr, "usage: commit FILE [OCTETS [PER_COMMIT [COMMITS [IDS]]]]\n");
        return 2;
    }
    char *octets = malloc(plan.octets + 1);
    uint32_t *took_us = calloc(plan.commits, sizeof(*took_us));
    enum hd_err err = octets && took_us ? sto_journal_open(&params, problem, &journal) : HD_ENOMEM;
    if (octets)
        memset(octets, 'x', plan.octets);
    if (!err)
        err = sto_journal_load(journal, &nobody, problem);
    if (!err)
        err = run(&plan, journal, octets, took_us);
    if (err)
        fprintf(stderr, "commit: %s %s\n", problem, journal ? sto_journal_problem(journal) : "");
    sto_journal_close(journal);
    free(octets);
    free(took_us);
    return err != HD_OK;
}
