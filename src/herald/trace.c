/* trace.c - prints messages as a ladder, and merges the ladders of several processes.
 *
 * A trace file has a line per message, "TIME DIRECTION PEER TRANSPORT AGAIN SUMMARY", fields parted
 * by one blank (TIME has none, DIRECTION is -> or <-), and after it, with --full, the message's
 * lines behind "| ".  Everything a peer wrote is escaped when the file is written. */
#include "herald/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "herald/ladder.h"
#include "herald/text.h"
#include "sip/header.h"
#include "sip/msg.h"

#define SCRATCH 16384

uint64_t
trace_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* --- one message ------------------------------------------------------------------------------ */

struct line {
    char *p;
    size_t n, cap; /* cap leaves room for "..." and NUL */
    bool cut;
};

static void
line_add(struct line *line, struct hd_slice text)
{
    char escaped[TEXT_ESCAPED(128)];
    while (text.n && !line->cut) {
        struct hd_slice part = hd_slice(text.p, text.n < 128 ? text.n : 128);
        size_t n = text_escape(part, false, escaped);
        text = hd_slice_from(text, part.n);
        if (line->n + n > line->cap) {
            n = line->cap - line->n;
            line->cut = true;
        }
        memcpy(line->p + line->n, escaped, n);
        line->n += n;
    }
}

static void
line_number(struct line *line, uint32_t value)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%u", (unsigned)value);
    line_add(line, hd_slice(text, (size_t)n));
}

static void
summary_add(struct line *line, const struct sip_msg *msg)
{
    struct hd_slice expires = sip_msg_value(msg, SIP_HDR_EXPIRES);
    if (msg->request) {
        struct hd_slice state = sip_msg_value(msg, SIP_HDR_SUBSCRIPTION_STATE);
        struct hd_slice match = sip_msg_value(msg, SIP_HDR_SIP_IF_MATCH);
        line_add(line, msg->method_name);
        line_add(line, HD_LIT(" "));
        line_add(line, state.n ? state : msg->uri);
        line_add(line, HD_LIT(" (CSeq "));
        line_number(line, msg->cseq.number);
        if (expires.n) {
            line_add(line, HD_LIT(", Expires "));
            line_add(line, expires);
        }
        if (match.n)
            line_add(line, HD_LIT(", SIP-If-Match"));
        if (sip_msg_has(msg, SIP_HDR_AUTHORIZATION))
            line_add(line, HD_LIT(", credentials"));
    } else {
        line_number(line, msg->status);
        line_add(line, HD_LIT(" "));
        line_add(line, msg->reason);
        line_add(line, HD_LIT(" (CSeq "));
        line_number(line, msg->cseq.number);
        line_add(line, HD_LIT(" "));
        line_add(line, msg->cseq.method_name);
        if (expires.n) {
            line_add(line, HD_LIT(", Expires "));
            line_add(line, expires);
        }
    }
    line_add(line, HD_LIT(")"));
}

size_t
trace_summary(struct hd_slice octets, char ret[TRACE_LINE])
{
    struct line line = { .p = ret, .cap = TRACE_LINE - 4 };
    _Alignas(max_align_t) char scratch[SCRATCH];
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;

    hd_arena_init(&arena, scratch, sizeof scratch);
    if (sip_msg_parse(octets, false, &arena, &msg, &fault) == HD_OK) {
        summary_add(&line, &msg);
    } else {
        struct hd_slice rest = octets, first = hd_slice_cut(&rest, '\n');
        if (first.n && first.p[first.n - 1] == '\r')
            first.n--;
        line_add(&line, HD_LIT("malformed: "));
        line_add(&line, first);
    }
    if (line.cut) {
        memcpy(ret + line.n, "...", 3);
        line.n += 3;
    }
    ret[line.n] = '\0';
    return line.n;
}

static void
print_time(FILE *to, uint64_t wall_us, bool file)
{
    time_t seconds = (time_t)(wall_us / 1000000u);
    unsigned us = (unsigned)(wall_us % 1000000u);
    struct tm tm;
    char text[32];

    if (file) {
        gmtime_r(&seconds, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        fprintf(to, "%s.%06u", text, us);
    } else {
        localtime_r(&seconds, &tm);
        strftime(text, sizeof text, "%H:%M:%S", &tm);
        fprintf(to, "%s.%03u", text, us / 1000);
    }
}

static void
print_message(FILE *to, struct hd_slice octets)
{
    while (octets.n) {
        struct hd_slice line = hd_slice_cut(&octets, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        char *escaped = text_escaped(line, false);
        fprintf(to, "| %s\n", escaped ? escaped : "");
        free(escaped);
    }
}

void
trace_print(const struct trace *trace, const struct trace_step *step)
{
    char peer[HD_ADDR_TEXT + 1], summary[TRACE_LINE];

    if (trace->mode == TRACE_OFF)
        return;
    peer[hd_addr_text(&step->peer, peer)] = '\0';
    trace_summary(step->octets, summary);
    print_time(trace->to, step->wall_us, trace->file);
    struct hd_slice transport = hd_transport_name(step->transport);
    if (trace->file)
        fprintf(trace->to, " %s %s %.*s %u %s\n", step->out ? "->" : "<-", peer, HD_FMT(transport),
                step->again, summary);
    else
        fprintf(trace->to, "  me %s %s  %s%s%s\n", step->out ? "->" : "<-", peer, summary,
                step->transport == HD_UDP ? "" : "  over TCP", step->again ? "  (again)" : "");
    if (trace->mode == TRACE_FULL)
        print_message(trace->to, step->octets);
    fflush(trace->to);
}

/* --- the picture of several ------------------------------------------------------------------- */

struct step {
    char *time; /* NUL-terminated, into text */
    bool out, again;
    size_t part, order;
    char *summary;
    char *message; /* lines with "| ", or NULL */
};

struct picture {
    char *text[TRACE_PARTS];
    struct step *steps;
    size_t n, cap;
};

static enum hd_err
file_read(const char *path, char **ret_text)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t n = 0, cap = 0, got;

    if (!file)
        return HD_EIO;
    do {
        if (cap - n < 4096) {
            char *more = realloc(text, cap + 65536);
            if (!more) {
                free(text);
                fclose(file);
                return HD_ENOMEM;
            }
            text = more;
            cap += 65536;
        }
        got = fread(text + n, 1, cap - n - 1, file);
        n += got;
    } while (got);
    bool bad = ferror(file) || memchr(text, 0, n) != NULL;
    fclose(file);
    text[n] = '\0';
    if (bad) {
        free(text);
        return HD_ESYNTAX;
    }
    *ret_text = text;
    return HD_OK;
}

static char *
field_cut(char **at)
{
    char *field = *at, *end = field ? strchr(field, ' ') : NULL;
    if (end)
        *end = '\0';
    *at = end ? end + 1 : NULL;
    return field;
}

static enum hd_err
step_add(struct picture *picture, char *line, size_t part)
{
    if (picture->n == picture->cap) {
        size_t cap = picture->cap ? 2 * picture->cap : 64;
        struct step *more = realloc(picture->steps, cap * sizeof *more);
        if (!more)
            return HD_ENOMEM;
        picture->steps = more;
        picture->cap = cap;
    }
    char *time = field_cut(&line), *arrow = field_cut(&line);
    char *peer = field_cut(&line), *transport = field_cut(&line), *again = field_cut(&line);
    if (!peer || !transport || !again || !line || strlen(time) != 26 ||
        (strcmp(arrow, "->") != 0 && strcmp(arrow, "<-") != 0))
        return HD_ESYNTAX;
    picture->steps[picture->n] = (struct step){ .time = time,
                                                .out = arrow[0] == '-',
                                                .again = strcmp(again, "0") != 0,
                                                .part = part,
                                                .order = picture->n,
                                                .summary = line };
    picture->n++;
    return HD_OK;
}

static enum hd_err
picture_read(struct picture *picture, size_t part)
{
    char *at = picture->text[part];
    size_t before = picture->n;
    while (*at) {
        char *line = at, *end = strchr(at, '\n');
        bool message = line[0] == '|';
        at = end ? end + 1 : at + strlen(at);
        if (message) {
            if (picture->n == before)
                return HD_ESYNTAX;
            /* The lines stay joined and end where the next step begins. */
            if (!picture->steps[picture->n - 1].message)
                picture->steps[picture->n - 1].message = line;
            continue;
        }
        if (line > picture->text[part])
            line[-1] = '\0';
        if (end)
            *end = '\0';
        enum hd_err err = step_add(picture, line, part);
        if (err)
            return err;
    }
    return HD_OK;
}

static int
step_order(const void *left, const void *right)
{
    const struct step *a = left, *b = right;
    int by_time = strcmp(a->time, b->time);
    if (by_time)
        return by_time;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void
picture_draw(const struct picture *picture, const struct trace_part *parts, size_t n_parts,
             const char *server, bool full, FILE *to)
{
    struct ladder ladder = { .server = server, .n = n_parts };

    for (size_t i = 0; i < n_parts; i++)
        ladder.names[i] = parts[i].name;
    ladder_head(&ladder, to);
    for (size_t i = 0; i < picture->n; i++) {
        const struct step *step = &picture->steps[i];
        ladder_step(&ladder,
                    &(struct ladder_step){ .time = step->time + 11,
                                           .part = step->part,
                                           .out = step->out,
                                           .again = step->again,
                                           .summary = step->summary },
                    to);
        if (full)
            ladder_message(step->message, to);
    }
}

enum hd_err
trace_merge(const struct trace_part *parts, size_t n_parts, const char *server, bool full, FILE *to,
            const char **ret_bad)
{
    struct picture picture = { 0 };
    enum hd_err err = n_parts > TRACE_PARTS ? HD_EFULL : HD_OK;

    for (size_t i = 0; !err && i < n_parts; i++) {
        *ret_bad = parts[i].path;
        err = file_read(parts[i].path, &picture.text[i]);
        if (!err)
            err = picture_read(&picture, i);
    }
    if (err)
        goto out;
    if (picture.n)
        qsort(picture.steps, picture.n, sizeof *picture.steps, step_order);
    picture_draw(&picture, parts, n_parts, server, full, to);
out:
    for (size_t i = 0; i < n_parts && i < TRACE_PARTS; i++)
        free(picture.text[i]);
    free(picture.steps);
    return err;
}
