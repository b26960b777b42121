/* disk.c - what the disk does alone, as a store that commits before it answers uses it: an area is
 * overwritten in pieces, each followed by fdatasync, while another core is kept busy, as it is by
 * the load generator.
 *
 *     bench/disk FOLDER [OCTETS [PER_SECOND [SECONDS]]]
 *
 * A line of JSON: how long pieces took, in microseconds, and which share of them took longer than 5
 * ms.  No store can answer faster than that. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AREA ((size_t)8 << 20)
#define LONG_US 5000u

static _Atomic int over;

static uint64_t
now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void *
keep_busy(void *unused)
{
    while (!atomic_load(&over))
        (void)now_us();
    return unused;
}

static int
by_time(const void *a, const void *b)
{
    const uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return one < other ? -1 : one > other;
}

static int
write_piece(int fd, const char *octets, size_t n, off_t at)
{
    return pwrite(fd, octets, n, at) == (ssize_t)n && fdatasync(fd) == 0 ? 0 : -1;
}

/* The pieces take their turns at a steady pace, as far as the disk follows. */
static int
measure(int fd, const char *octets, size_t n, uint64_t pace_us, size_t pieces, uint64_t *took_us)
{
    uint64_t due = now_us();

    for (size_t i = 0; i < pieces; i++) {
        uint64_t start = now_us();
        if (write_piece(fd, octets, n, (off_t)(i * n % (AREA / n * n))))
            return -1;
        took_us[i] = now_us() - start;
        due += pace_us;
        start = now_us();
        if (start < due)
            (void)usleep((useconds_t)(due - start));
        else
            due = start;
    }
    return 0;
}

static void
report(size_t n, size_t pieces, double seconds, uint64_t *took_us)
{
    size_t longer = 0;

    for (size_t i = 0; i < pieces; i++)
        longer += took_us[i] > LONG_US;
    qsort(took_us, pieces, sizeof(*took_us), by_time);
    printf("{\"octets\": %zu, \"per_second\": %.0f, \"p50_us\": %llu, \"p99_us\": %llu, "
           "\"most_us\": %llu, \"longer\": %.4f}\n",
           n, (double)pieces / seconds, (unsigned long long)took_us[pieces / 2],
           (unsigned long long)took_us[pieces * 99 / 100], (unsigned long long)took_us[pieces - 1],
           (double)longer / (double)pieces);
}

int
main(int argc, char **argv)
{
    const size_t n = argc > 2 ? (size_t)atol(argv[2]) : 16384;
    const size_t per_second = argc > 3 ? (size_t)atol(argv[3]) : 1000;
    const size_t pieces = per_second * (argc > 4 ? (size_t)atol(argv[4]) : 4);
    char path[4096], *octets = malloc(AREA);
    uint64_t *took_us = calloc(pieces + 1, sizeof(*took_us));
    pthread_t busy;

    if (argc < 2 || n == 0 || n > AREA || per_second == 0 || pieces == 0 || !octets || !took_us) {
        (void)fprintf(stderr, "usage: disk FOLDER [OCTETS [PER_SECOND [SECONDS]]]\n");
        return 2;
    }
    memset(octets, 'x', AREA);
    (void)snprintf(path, sizeof(path), "%s/disk-XXXXXX", argv[1]);
    int fd = mkstemp(path);
    if (fd < 0 || unlink(path) || write_piece(fd, octets, AREA, 0) ||
        pthread_create(&busy, NULL, keep_busy, NULL)) {
        perror(path);
        return 1;
    }
    uint64_t start = now_us();
    int failed = measure(fd, octets, n, 1000000 / per_second, pieces, took_us);
    double seconds = (double)(now_us() - start) / 1e6;
    atomic_store(&over, 1);
    (void)pthread_join(busy, NULL);
    (void)close(fd);
    if (failed)
        perror(argv[1]);
    else
        report(n, pieces, seconds, took_us);
    free(took_us);
    free(octets);
    return failed ? 1 : 0;
}
