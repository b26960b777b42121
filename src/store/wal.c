/* wal.c - the format of the log (sqlite.org/fileformat2.html section 4): a header of 32 octets,
 * then frames: 24 octets and a page.  Check sums go on from frame to frame.
 *
 * A frame is chained when its sum follows from the sum that the frame before it says, whether that
 * one was whole or not; so one bit breaks the chain at one frame, or two, and behind them it holds
 * again. A commit is written when the one before it is on the disk: two commits in a piece of chain
 * behind a break say that the first of them had been finished.  What stays of a commit that failed
 * or was cut short is a piece with one commit at most. */
#include "store/wal.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER 32u
#define FRAME 24u
#define PATH_MOST 4200

struct sum {
    uint32_t a, b;
};

struct log {
    int fd;
    bool big_endian; /* the words that are summed */
    uint32_t page;
    struct sum sum;
    uint8_t salt[8];
};

static uint32_t
big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
little32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* n is a multiple of 8. */
static struct sum
sum_add(const struct log *log, struct sum sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        sum.a += (log->big_endian ? big32(p + i) : little32(p + i)) + sum.b;
        sum.b += (log->big_endian ? big32(p + i + 4) : little32(p + i + 4)) + sum.a;
    }
    return sum;
}

static bool
read_whole(int fd, uint8_t *to, size_t n)
{
    size_t have = 0;
    ssize_t got;

    while (have < n && (got = read(fd, to + have, n - have)) > 0)
        have += (size_t)got;
    return have == n;
}

/* false: it is none, or SQLite reads nothing of it. */
static bool
log_begin(struct log *log)
{
    uint8_t header[HEADER];

    if (!read_whole(log->fd, header, HEADER) || (big32(header) & ~UINT32_C(1)) != 0x377f0682)
        return false;
    log->big_endian = big32(header) & 1;
    log->page = big32(header + 8);
    memcpy(log->salt, header + 16, 8);
    log->sum = sum_add(log, (struct sum){ 0, 0 }, header, 24);
    return log->page >= 512 && log->page <= 65536 && (log->page & (log->page - 1)) == 0 &&
           log->sum.a == big32(header + 24) && log->sum.b == big32(header + 28);
}

/* Whether a frame follows from what the one before it says; what it says itself comes next. */
static bool
frame_is_chained(struct log *log, const uint8_t *frame)
{
    struct sum sum = sum_add(log, log->sum, frame, 8);

    sum = sum_add(log, sum, frame + FRAME, log->page);
    log->sum = (struct sum){ big32(frame + 16), big32(frame + 20) };
    return sum.a == log->sum.a && sum.b == log->sum.b;
}

static uint32_t
count_lost(struct log *log, uint8_t *frame)
{
    uint32_t lost = 0, piece = 0;
    bool broken = false;

    while (read_whole(log->fd, frame, FRAME + log->page)) {
        bool chained = frame_is_chained(log, frame) && memcmp(frame + 8, log->salt, 8) == 0;
        if (!chained) {
            lost += piece > 1 ? piece : 0;
            piece = 0;
            broken = true;
        } else if (broken && big32(frame + 4) != 0) {
            piece++; /* the last frame of a commit */
        }
    }
    return lost + (piece > 1 ? piece : 0);
}

uint32_t
sto_wal_lost(const char *path)
{
    char name[PATH_MOST];
    uint32_t lost = 0;

    (void)snprintf(name, sizeof(name), "%.4100s-wal", path);
    struct log log = { .fd = open(name, O_RDONLY | O_CLOEXEC) };
    if (log.fd < 0)
        return 0;
    if (log_begin(&log)) {
        uint8_t *frame = malloc(FRAME + log.page);
        if (frame)
            lost = count_lost(&log, frame);
        free(frame);
    }
    (void)close(log.fd);
    return lost;
}
