/* calls_audit.c - the call `audit`: who watched what, and when.
 *
 * To look through ten million lines takes seconds, so a thread of libuv's pool does it, over a
 * connection of its own, and writes the answer, while the main thread goes on.  One reading at a
 * time, so that who asks again and again takes one core at the most; some wait in line, and more
 * are refused. Invariant: each is answered once, on the main thread; when the daemon ends, all are
 * broken off.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "heraldd/calls_core.h"
#include "store/audit.h"

#define LINES_USUAL 1000
#define LINES_MOST 100000
#define READINGS_MOST 8u /* that run or wait */

struct hd_audit_reading {
    struct hd_audit_reading *next;
    struct hd_daemon *daemon;
    struct hd_reply *reply;
    uv_work_t work;
    struct sto_audit_query query;
    struct hd_key resource; /* of query */
    /* what the thread makes of it */
    enum hd_err err;
    struct hd_str text; /* the answer */
    uint32_t n;         /* lines in it */
    bool truncated;     /* there are more */
    bool failed;        /* memory was short */
};

/* --- on the pool's thread -------------------------------------------------------------- */

static const char *
word_of(const char *const *words, size_t n, unsigned at)
{
    return at < n ? words[at] : "";
}

static json_t *
line_json(const struct sto_audit_line *line)
{
    static const char *const what[] = { "", "began", "fetched", "changed", "ended" };
    static const char *const states[] = { "", "pending", "active", "terminated" };
    static const char *const sees[] = { "all", "neutral", "nothing", "own" };
    static const char *const proofs[] = { "", "from", "digest", "asserted", "tls", "token" };
    char id[17];

    (void)snprintf(id, sizeof(id), "%016" PRIx64, line->id);
    return json_pack(
        "{s:I, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:I, s:o, s:s}", "at_ms",
        (json_int_t)line->at_ms, "what", word_of(what, HD_ARRAY_LEN(what), (unsigned)line->what),
        "resource", hd_json_slice(line->resource), "package", hd_json_slice(line->package),
        "watcher", hd_json_slice(line->watcher), "address", hd_json_slice(line->address), "state",
        word_of(states, HD_ARRAY_LEN(states), line->state), "sees",
        line->transform < HD_ARRAY_LEN(sees) ? sees[line->transform] : "part", "proof",
        word_of(proofs, HD_ARRAY_LEN(proofs), line->proof), "rule", (json_int_t)line->rule,
        "reason", hd_json_slice(evt_reason_word(line->reason)), "id", id);
}

static int
add_octets(const char *octets, size_t n, void *text)
{
    hd_str_add(text, hd_slice(octets, n));
    return 0;
}

static void
visit_line(void *context, const struct sto_audit_line *line)
{
    struct hd_audit_reading *reading = context;

    if (reading->n + 1 == reading->query.limit) { /* it is read to know that there are more */
        reading->truncated = true;
        return;
    }
    json_t *row = line_json(line);
    if (reading->n++ > 0)
        hd_str_add_char(&reading->text, ',');
    if (!row || json_dump_callback(row, add_octets, &reading->text, JSON_COMPACT) != 0)
        reading->failed = true;
    json_decref(row);
}

/* The answer is written here to its last octet: to write 100,000 lines takes half a second. */
static void
read_trail(uv_work_t *work)
{
    struct hd_audit_reading *reading = work->data;

    hd_str_add_str(&reading->text, "{\"audit\":[");
    reading->err = sto_audit_read(&reading->query, visit_line, reading);
    hd_str_add_str(&reading->text,
                   reading->truncated ? "],\"truncated\":true}" : "],\"truncated\":false}");
}

/* --- the line -------------------------------------------------------------------------- */

static void
answer(struct hd_audit_reading *reading)
{
    const size_t n = reading->text.n;

    if (reading->err == HD_EBUSY)
        hd_reply_error(reading->reply, "the daemon is about to end");
    else if (reading->err == HD_EIO)
        hd_reply_error(reading->reply, "the audit trail cannot be read");
    else
        hd_reply_text(reading->reply, reading->failed ? NULL : hd_str_take(&reading->text), n);
    hd_str_done(&reading->text);
    free(reading);
}

static void begin_first(struct hd_audit_line *line);

static void
after_reading(uv_work_t *work, int status)
{
    struct hd_audit_reading *reading = work->data;
    struct hd_audit_line *line = &reading->daemon->audit_line;

    (void)status; /* none is cancelled */
    line->first = reading->next;
    line->n--;
    answer(reading);
    begin_first(line);
}

static void
begin_first(struct hd_audit_line *line)
{
    struct hd_audit_reading *first = line->first;
    int rc;

    if (!first)
        return;
    rc = uv_queue_work(&first->daemon->loop, &first->work, read_trail, after_reading);
    HD_ASSERT(rc == 0); /* it fails for want of a function alone */
}

static void
stand_in_line(struct hd_audit_reading *reading)
{
    struct hd_audit_line *line = &reading->daemon->audit_line;
    struct hd_audit_reading **end = &line->first;

    while (*end)
        end = &(*end)->next;
    *end = reading;
    if (line->n++ == 0)
        begin_first(line);
}

void
hd_calls_audit_stop(struct hd_daemon *daemon)
{
    atomic_store_explicit(&daemon->audit_line.stop, true, memory_order_relaxed);
}

/* --- the call -------------------------------------------------------------------------- */

/* The wall clock is a matter of the edges: since is told as an age. */
static uint64_t
wall_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* NULL: memory is short, which is answered. */
static struct hd_audit_reading *
reading_new(const struct hd_call *call, const char *path, uint64_t since_ms, uint32_t limit)
{
    struct hd_audit_reading *reading = calloc(1, sizeof(*reading));

    if (!reading) {
        hd_reply_result(call->reply, NULL);
        return NULL;
    }
    reading->daemon = call->daemon;
    reading->reply = call->reply;
    reading->work.data = reading;
    reading->query = (struct sto_audit_query){ .path = path,
                                               .since_ms = since_ms,
                                               .limit = limit + 1,
                                               .stop = &call->daemon->audit_line.stop };
    return reading;
}

/* Since the beginning, when that is longer ago than the clock knows. */
static uint64_t
since_ms(uint64_t now_ms, uint64_t age_s)
{
    return age_s < now_ms / 1000 ? now_ms - age_s * 1000 : 0;
}

static void
call_audit(const struct hd_call *call)
{
    const char *path = hd_host_audit_path(call->daemon->host);
    json_t *limit = json_object_get(call->args, "limit"),
           *since = json_object_get(call->args, "since_s");
    json_int_t n = limit ? json_integer_value(limit) : LINES_USUAL;
    const json_int_t age_s = since ? json_integer_value(since) : INT64_MAX;
    struct hd_key key = { 0 };
    const uint64_t now_ms = wall_ms();

    if (hd_call_arg(call, "resource").p && !hd_call_resource(call, "resource", &key))
        return;
    if (n < 1 || n > LINES_MOST || age_s < 0) {
        hd_reply_error(call->reply, "limit or since_s is out of range");
    } else if (!path) {
        hd_reply_error(call->reply, "no audit trail is kept: audit { enabled = no }, or "
                                    "durability = memory");
    } else if (call->daemon->audit_line.n >= READINGS_MOST) {
        hd_reply_error(call->reply, "%u readings of the audit trail run or wait already; try again",
                       READINGS_MOST);
    } else {
        struct hd_audit_reading *reading =
            reading_new(call, path, since_ms(now_ms, (uint64_t)age_s), (uint32_t)n);
        if (!reading)
            return;
        reading->resource = key;
        reading->query.resource = hd_key_slice(&reading->resource);
        stand_in_line(reading);
    }
}

static const struct hd_call_row table[] = { { "audit",
                                              call_audit,
                                              { { "resource", JSON_STRING, false },
                                                { "since_s", JSON_INTEGER, false },
                                                { "limit", JSON_INTEGER, false } } } };

const struct hd_call_row *
hd_calls_audit(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
