/* segments.c - see segments.h.
 *
 * A slot is a header, which stands there twice, and the octets of its segment.  In memory a ring
 * says for each segment of the stream, from the first that is needed to the newest, in which slot
 * it lies.
 *
 * Invariants: a slot that is free belongs to a segment before the tail that a header on the disk
 * knows of, so that no crash can find one missing between there and the newest.  Of two slots that
 * say they are the same segment (one was given back after a write had failed) the one that was
 * begun later counts. */
#include "store/segments.h"

#include <endian.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "base/sum.h"
#include "store/disk.h"
#include "store/row.h"

#define FORMAT 4
#define MAGIC UINT64_C(0x45564c4448524548) /* "HERHDLVE", read little-endian */
#define HEADER 1024u
#define COPY 512u /* where in it, in another sector, the header stands again */
#ifndef SEGMENT   /* a test of crashes has smaller ones, so that more happens in less */
#define SEGMENT ((uint64_t)1 << 20)
#endif
#define OCTETS (SEGMENT - HEADER) /* of the stream in one */
#ifndef FIRST
#define FIRST 1u /* so that no row has the number 0 */
#endif
#ifndef AHEAD
#define AHEAD ((uint64_t)256 << 10) /* octets that the file is made longer by at once */
#endif
#define NOWHERE UINT32_MAX
#define SPAN_MOST ((UINT64_C(1) << 32) * STO_UNIT) /* octets between the tail and the end */

enum word { W_MAGIC = 0, W_FORMAT, W_SALT, W_SEGMENT, W_TAIL, W_TURN, W_END, W_CHECK, WORDS };

struct header {
    uint64_t format, salt, segment, tail;
    uint64_t turn; /* how many were begun before it */
    uint64_t end;  /* of the stream, when that was last written down: in the first slot alone */
};

struct sto_segments {
    struct sto_file *file;
    uint64_t salt;
    uint64_t turn;
    uint64_t first; /* place that is needed first, as the newest header says */
    uint64_t end;   /* that is written down */
    struct header first_slot;
    uint64_t base; /* segment that slot_of[0] is of */
    uint32_t *slot_of;
    size_t n, cap;
    uint32_t slots; /* in the file */
    uint64_t size;  /* of the file */
    uint32_t *free;
    size_t n_free;
    size_t begun; /* how many of the last were begun since the last sync */
    const char *problem;
};

/* --- headers ----------------------------------------------------------------------------- */

static void
header_write(char to[HEADER], const struct header *header)
{
    const uint64_t words[] = { MAGIC,        header->format, header->salt, header->segment,
                               header->tail, header->turn,   header->end };

    memset(to, 0, HEADER);
    for (unsigned i = 0; i < W_CHECK; i++)
        memcpy(to + i * 8, &(uint64_t){ htole64(words[i]) }, 8);
    uint64_t check = htole64(hd_sum(hd_slice(to, W_CHECK * 8)));
    memcpy(to + W_CHECK * 8, &check, 8);
    memcpy(to + COPY, to, WORDS * 8);
}

static bool
one_read(const char *from, struct header *ret)
{
    uint64_t words[WORDS];

    for (unsigned i = 0; i < WORDS; i++) {
        memcpy(&words[i], from + i * 8, 8);
        words[i] = le64toh(words[i]);
    }
    *ret = (struct header){ words[W_FORMAT], words[W_SALT], words[W_SEGMENT],
                            words[W_TAIL],   words[W_TURN], words[W_END] };
    return words[W_MAGIC] == MAGIC && words[W_CHECK] == hd_sum(hd_slice(from, W_CHECK * 8));
}

/* false: it is none. */
static bool
header_read(const char from[HEADER], struct header *ret)
{
    return one_read(from, ret) || one_read(from + COPY, ret);
}

static enum hd_err
failed(struct sto_segments *log, enum hd_err err)
{
    if (err == HD_ENOMEM)
        log->problem = "out of memory";
    else if (err == HD_ERANGE)
        log->problem = "its segments do not belong together";
    else if (err)
        log->problem = sto_file_problem(log->file);
    return err == HD_ERANGE ? HD_EIO : err;
}

/* --- opening ----------------------------------------------------------------------------- */

/* What the slots of a file say. */
struct census {
    struct header *headers; /* turn 0: the slot has none */
    uint64_t newest;        /* segment */
};

static bool
grow(struct sto_segments *log, size_t n)
{
    if (n > log->cap) {
        size_t cap = n * 2 + 16;
        uint32_t *slot_of = realloc(log->slot_of, cap * sizeof(*slot_of));
        if (!slot_of)
            return false;
        log->slot_of = slot_of;
        log->cap = cap;
    }
    return true;
}

static bool
free_room(struct sto_segments *log, size_t n)
{
    uint32_t *room = realloc(log->free, n * sizeof(*room));

    if (room)
        log->free = room;
    return room != NULL;
}

/* A header that was hit: any row of the segment says where it is.  most: what is no row says
 * anything, but hardly a segment near the others. */
static enum hd_err
find_by_rows(struct sto_segments *log, uint32_t slot, uint64_t most, struct header *ret)
{
    char *octets = malloc(OCTETS);
    enum hd_err err = octets ? HD_OK : HD_ENOMEM;

    if (!err)
        err = sto_file_read(log->file, slot * SEGMENT + HEADER, octets, OCTETS);
    for (uint64_t at = 0; !err && at + STO_ROW_HEAD <= OCTETS; at += STO_UNIT) {
        uint64_t place = sto_row_number(octets + at, log->salt) * STO_UNIT;
        if (place / OCTETS < FIRST || place / OCTETS > most || place % OCTETS != at)
            continue;
        struct sto_row row;
        if (!sto_row_read(octets + at, log->salt, place / STO_UNIT, &row) || row.n > OCTETS)
            continue;
        *ret = (struct header){ FORMAT, log->salt, place / OCTETS, 0, 1, 0 };
        break;
    }
    free(octets);
    return err;
}

static enum hd_err
read_headers(struct sto_segments *log, struct census *census)
{
    char octets[HEADER];
    enum hd_err err = HD_OK;

    for (uint32_t i = 0; i < log->slots && !err; i++) {
        struct header *header = &census->headers[i];
        err = sto_file_read(log->file, i * SEGMENT, octets, sizeof(octets));
        if (err || !header_read(octets, header)) {
            *header = (struct header){ .turn = 0 };
            continue;
        }
        log->salt = header->salt;
        if (header->segment > census->newest)
            census->newest = header->segment;
    }
    return err;
}

/* The newest segment says what is needed; those whose header was hit know no tail. */
static enum hd_err
read_slots(struct sto_segments *log, struct census *census)
{
    enum hd_err err = read_headers(log, census);
    const uint64_t most = census->newest + log->slots;

    for (uint32_t i = 0; i < log->slots && !err; i++) {
        struct header *header = &census->headers[i];
        if (!header->turn)
            err = find_by_rows(log, i, most, header);
        if (header->turn > log->turn)
            log->turn = header->turn;
        if (header->turn && header->segment > census->newest)
            census->newest = header->segment;
        if (header->turn && header->tail > log->first)
            log->first = header->tail;
    }
    log->first_slot = census->headers[0];
    log->end = log->first_slot.end;
    return err;
}

/* Which slot each segment lies in, from the first that is needed on; the others are free. */
static enum hd_err
place_slots(struct sto_segments *log, const struct census *census)
{
    log->base = log->first / OCTETS;
    log->n = (size_t)(census->newest - log->base + 1);
    if (log->n > SPAN_MOST / OCTETS)
        return HD_ERANGE;
    if (!grow(log, log->n) || !free_room(log, log->slots))
        return HD_ENOMEM;
    for (size_t i = 0; i < log->n; i++)
        log->slot_of[i] = NOWHERE;
    for (uint32_t i = 0; i < log->slots; i++) {
        const struct header *header = &census->headers[i];
        uint32_t *slot = header->turn && header->segment >= log->base
                             ? &log->slot_of[header->segment - log->base]
                             : NULL;
        if (slot && *slot != NOWHERE && census->headers[*slot].turn < header->turn) {
            log->free[log->n_free++] = *slot;
            *slot = i;
        } else if (slot && *slot == NOWHERE) {
            *slot = i;
        } else {
            log->free[log->n_free++] = i;
        }
    }
    return HD_OK;
}

/* The stream begins with its first segment, which the first write makes. */
static void
begin_new(struct sto_segments *log)
{
    sqlite3_randomness((int)sizeof(log->salt), &log->salt);
    log->base = FIRST;
    log->first = FIRST * OCTETS;
    log->slots = 0;
}

/* Whether a file was just being made when a crash came: nothing was kept in it yet. */
static bool
never_began(const char octets[HEADER], uint64_t size)
{
    uint64_t first;

    memcpy(&first, octets, sizeof(first));
    return size == 0 || (size <= HEADER + STO_ROW_HEAD && (first == 0 || le64toh(first) == MAGIC));
}

/* What the file is, by the first header that can be read. */
static enum hd_err
check_format(struct sto_segments *log, const char *path, uint64_t size, char problem[256],
             bool *ret_new)
{
    char octets[HEADER];
    struct header header = { .format = 0 };
    enum hd_err err = HD_OK;

    *ret_new = size == 0;
    for (uint64_t at = 0; at < size && !err && !header.format; at += SEGMENT) {
        err = sto_file_read(log->file, at, octets, sizeof(octets));
        if (!err && !header_read(octets, &header))
            header.format = 0;
        *ret_new = !err && !header.format && never_began(octets, size);
    }
    if (err || *ret_new || header.format == FORMAT)
        return err;
    if (header.format)
        (void)snprintf(problem, 256,
                       "%.120s: written by %s herald (format %llu, this one knows %d)", path,
                       header.format > FORMAT ? "a newer" : "an older",
                       (unsigned long long)header.format, FORMAT);
    else
        (void)snprintf(problem, 256, "%.120s: no live file of herald", path);
    return HD_EVERSION;
}

static enum hd_err
read_file(struct sto_segments *log, const char *path, char problem[256])
{
    struct census census = { .newest = 0 };
    uint64_t size = 0;
    bool is_new = true;
    enum hd_err err = failed(log, sto_file_size(log->file, &size));

    if (!err)
        err = failed(log, check_format(log, path, size, problem, &is_new));
    if (err)
        return err;
    if (is_new) {
        begin_new(log);
        return HD_OK;
    }
    log->size = size;
    log->slots = (uint32_t)((size + SEGMENT - 1) / SEGMENT);
    census.headers = calloc(log->slots, sizeof(*census.headers));
    err = failed(log, census.headers ? read_slots(log, &census) : HD_ENOMEM);
    if (!err)
        err = failed(log, place_slots(log, &census));
    free(census.headers);
    return err;
}

enum hd_err
sto_segments_open(const char *vfs, const char *path, char ret_problem[256],
                  struct sto_segments **ret_log)
{
    struct sto_segments *log = calloc(1, sizeof(*log));
    const char *words = "out of memory";

    ret_problem[0] = '\0';
    if (!log)
        return HD_ENOMEM;
    enum hd_err err = sto_file_open(vfs, path, &words, &log->file);
    if (err == HD_EBUSY)
        (void)snprintf(ret_problem, 256, "%.120s: another process uses it", path);
    else if (err)
        (void)snprintf(ret_problem, 256, "%.120s: %.120s", path, words);
    else
        err = read_file(log, path, ret_problem);
    if (!err) {
        *ret_log = log;
        return HD_OK;
    }
    if (!ret_problem[0])
        (void)snprintf(ret_problem, 256, "%.120s: %.120s", path, log->problem);
    sto_segments_close(log);
    return err == HD_EBUSY ? HD_EIO : err;
}

enum hd_err
sto_segments_copy(const struct sto_segments *of, uint64_t from, const char *path,
                  struct sto_segments **ret_log)
{
    char problem[256];
    enum hd_err err = sto_segments_open(NULL, path, problem, ret_log);

    if (err)
        return err;
    (*ret_log)->salt = of->salt;
    (*ret_log)->base = from / OCTETS;
    (*ret_log)->first = from;
    (*ret_log)->end = UINT64_MAX; /* until it is finished, something is missing */
    return HD_OK;
}

void
sto_segments_close(struct sto_segments *log)
{
    if (!log)
        return;
    sto_file_close(log->file);
    free(log->slot_of);
    free(log->free);
    free(log);
}

uint64_t
sto_segments_salt(const struct sto_segments *log)
{
    return log->salt;
}

uint64_t
sto_segments_first(const struct sto_segments *log)
{
    return log->first;
}

uint64_t
sto_segments_limit(const struct sto_segments *log)
{
    return (log->base + log->n) * OCTETS;
}

/* --- reading and writing ----------------------------------------------------------------- */

/* Octets from a place to the end of its segment, at most n. */
static size_t
piece(uint64_t at, size_t n)
{
    uint64_t rest = OCTETS - at % OCTETS;

    return n < rest ? n : (size_t)rest;
}

static uint32_t
slot_at(const struct sto_segments *log, uint64_t at)
{
    uint64_t segment = at / OCTETS;

    return segment >= log->base && segment - log->base < log->n ? log->slot_of[segment - log->base]
                                                                : NOWHERE;
}

enum hd_err
sto_segments_read(struct sto_segments *log, uint64_t at, void *to, size_t n)
{
    char *p = to;

    while (n > 0) {
        size_t m = piece(at, n);
        uint32_t slot = slot_at(log, at);
        if (slot == NOWHERE)
            memset(p, 0, m);
        else if (sto_file_read(log->file, slot * SEGMENT + HEADER + at % OCTETS, p, m))
            return failed(log, HD_EIO);
        at += m;
        p += m;
        n -= m;
    }
    return HD_OK;
}

uint64_t
sto_segments_next(const struct sto_segments *log, uint64_t at)
{
    while (at < sto_segments_limit(log) && slot_at(log, at) == NOWHERE)
        at = (at / OCTETS + 1) * OCTETS;
    return at;
}

/* Gives a segment a slot that is free, or one at the end of the file. */
static enum hd_err
place_segment(struct sto_segments *log, uint64_t segment, uint64_t tail, uint32_t *ret_slot)
{
    struct header header = { FORMAT, log->salt, segment, tail, ++log->turn, log->end };
    char octets[HEADER];

    if (!log->n_free && !free_room(log, log->slots + 1))
        return HD_ENOMEM;
    if (!log->n_free)
        log->free[log->n_free++] = log->slots++;
    uint32_t slot = log->free[log->n_free - 1];
    header_write(octets, &header);
    if (sto_file_write(log->file, slot * SEGMENT, octets, sizeof(octets)))
        return HD_EIO;
    if (slot == 0)
        log->first_slot = header;
    log->n_free--;
    *ret_slot = slot;
    return HD_OK;
}

static enum hd_err
begin_segment(struct sto_segments *log, uint64_t tail)
{
    if (!grow(log, log->n + 1))
        return HD_ENOMEM;
    enum hd_err err = place_segment(log, log->base + log->n, tail, &log->slot_of[log->n]);
    if (err)
        return err;
    log->n++;
    log->begun++;
    log->first = tail;
    return HD_OK;
}

/* The slot to write to: that of the next segment, or of one that was gone, is made. */
static enum hd_err
slot_to_write(struct sto_segments *log, uint64_t at, uint64_t tail, uint32_t *ret_slot)
{
    uint64_t segment = at / OCTETS;
    enum hd_err err = HD_OK;

    HD_ASSERT(segment >= log->base && segment - log->base <= log->n);
    if (segment - log->base == log->n)
        err = begin_segment(log, tail);
    else if (log->slot_of[segment - log->base] == NOWHERE)
        err = place_segment(log, segment, log->first, &log->slot_of[segment - log->base]);
    if (!err)
        *ret_slot = log->slot_of[segment - log->base];
    return err;
}

/* A file that grows with each write needs the journal of its file system with each sync.  So it
 * grows ahead, with zeros, as far as the disk lets it. */
static void
make_longer(struct sto_segments *log, uint64_t end)
{
    static const char nothing[AHEAD];
    uint64_t rest = SEGMENT - end % SEGMENT, n = rest < AHEAD ? rest : AHEAD;

    if (end <= log->size)
        return;
    log->size = end;
    if (rest < SEGMENT && !sto_file_write(log->file, end, nothing, n))
        log->size += n;
}

enum hd_err
sto_segments_write(struct sto_segments *log, uint64_t at, const void *from, size_t n, uint64_t tail)
{
    const char *p = from;

    while (n > 0) {
        size_t m = piece(at, n);
        uint32_t slot;
        enum hd_err err = slot_to_write(log, at, tail, &slot);
        const uint64_t to = slot * SEGMENT + HEADER + at % OCTETS;
        if (!err)
            err = sto_file_write(log->file, to, p, m);
        if (err)
            return failed(log, err);
        make_longer(log, to + m);
        at += m;
        p += m;
        n -= m;
    }
    return HD_OK;
}

/* The slots of what is before the tail that is written down; there is room for all of them. */
static void
free_slots(struct sto_segments *log)
{
    size_t n = (size_t)(log->first / OCTETS - log->base);

    for (size_t i = 0; i < n; i++)
        if (log->slot_of[i] != NOWHERE)
            log->free[log->n_free++] = log->slot_of[i];
    log->n -= n;
    log->base += n;
    if (log->n)
        memmove(log->slot_of, log->slot_of + n, log->n * sizeof(*log->slot_of));
}

enum hd_err
sto_segments_sync(struct sto_segments *log)
{
    enum hd_err err = failed(log, sto_file_sync(log->file));

    if (!err && log->begun) {
        log->begun = 0;
        free_slots(log);
    }
    return err;
}

enum hd_err
sto_segments_note_end(struct sto_segments *log, uint64_t end)
{
    char octets[HEADER];

    if (!log->first_slot.turn)
        return HD_OK; /* its header was hit, and there is no other place that is never cut off */
    log->first_slot.end = log->end = end;
    header_write(octets, &log->first_slot);
    return failed(log, sto_file_write(log->file, 0, octets, sizeof(octets)));
}

uint64_t
sto_segments_noted_end(const struct sto_segments *log)
{
    return log->end;
}

bool
sto_segments_begun(const struct sto_segments *log)
{
    return log->begun > 0;
}

void
sto_segments_cut(struct sto_segments *log, uint64_t end)
{
    while (log->n > 0 && (log->base + log->n - 1) * OCTETS >= end) {
        uint32_t slot = log->slot_of[--log->n];
        if (slot != NOWHERE)
            log->free[log->n_free++] = slot;
        log->begun -= log->begun > 0;
    }
}

const char *
sto_segments_problem(const struct sto_segments *log)
{
    return log->problem;
}
