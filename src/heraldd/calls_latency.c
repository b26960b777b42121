/* calls_latency.c - the call `latency`: how long things took in the last seconds.
 *
 * Each shard reads the newest entries of its flow recorder (event/lately.c).  What a shard cannot
 * know alone is put together here: a publication is applied at its resource's home, and its NOTIFYs
 * leave where the subscriptions are. */
#include <stdlib.h>

#include "heraldd/calls_core.h"

#define SPAN_USUAL_S 10
#define SPAN_MOST_S 3600
#define ENTRIES_MOST 8192u /* of a shard: about a millisecond of its time */

struct figures {
    uint64_t *us;
    size_t n, cap;
    bool failed;
};

struct moment {
    struct evt_moment m;
    uint64_t prev_us;          /* of its subscription: what came before; 0: nothing that is known */
    enum evt_moment_kind prev; /* and what that was */
};

struct part {
    struct figures took[2]; /* by enum evt_took */
    struct moment *moments;
    size_t n, cap;
    bool failed;
};

struct latency {
    struct hd_reply *reply;
    uint64_t span_us;
    unsigned shards;
    struct part parts[];
};

/* Room for one more of n; NULL: memory is short, what was there stays. */
static void *
room(void *rows, size_t n, size_t *cap, size_t size)
{
    const size_t more = *cap ? 2 * *cap : 256;
    void *grown = rows;

    if (n < *cap)
        return rows;
    grown = realloc(rows, more * size);
    if (grown)
        *cap = more;
    return grown;
}

static void
figures_add(struct figures *figures, uint64_t us)
{
    uint64_t *grown = room(figures->us, figures->n, &figures->cap, sizeof(*grown));

    figures->failed = figures->failed || !grown;
    if (!grown)
        return;
    figures->us = grown;
    figures->us[figures->n++] = us;
}

/* --- on the shards --------------------------------------------------------------------- */

static void
took(void *context, enum evt_took what, uint64_t us)
{
    struct part *part = context;

    figures_add(&part->took[what], us);
}

static void
see_moment(void *context, const struct evt_moment *moment)
{
    struct part *part = context;
    struct moment *grown = room(part->moments, part->n, &part->cap, sizeof(*grown));

    part->failed = part->failed || !grown;
    if (!grown)
        return;
    part->moments = grown;
    part->moments[part->n++] = (struct moment){ .m = *moment };
}

static void
run_latency(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
            uint64_t now_us)
{
    struct latency *l = context;
    const struct evt_lately lately = { .span_us = l->span_us,
                                       .most = ENTRIES_MOST,
                                       .took = took,
                                       .moment = see_moment,
                                       .context = &l->parts[shard] };

    (void)net;
    evt_shard_lately(evt, &lately, now_us);
}

/* --- together -------------------------------------------------------------------------- */

static int
by_number(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* What happened at one time: a publication before its NOTIFYs. */
static int
by_time(const struct evt_moment *a, const struct evt_moment *b)
{
    return a->at_us != b->at_us ? by_number(a->at_us, b->at_us) : (int)a->kind - (int)b->kind;
}

static int
by_sub(const void *left, const void *right)
{
    const struct moment *a = left, *b = right;

    return a->m.sub != b->m.sub ? by_number(a->m.sub, b->m.sub) : by_time(&a->m, &b->m);
}

static int
by_resource(const void *left, const void *right)
{
    const struct moment *a = left, *b = right;

    return a->m.resource != b->m.resource ? by_number(a->m.resource, b->m.resource)
                                          : by_time(&a->m, &b->m);
}

/* Notes for each moment of a subscription the one before.  While a NOTIFY is repeated, newer state
 * is held back. */
static void
link_subs(struct moment *rows, size_t n)
{
    uint64_t last = 0; /* the octets of the subscription's last NOTIFY */

    qsort(rows, n, sizeof(*rows), by_sub);
    for (size_t i = 0; i < n; i++) {
        const struct moment *prev = i && rows[i - 1].m.sub == rows[i].m.sub ? &rows[i - 1] : NULL;

        if (!rows[i].m.sub)
            continue;
        last = prev ? last : 0;
        if (prev) {
            rows[i].prev_us = prev->m.at_us;
            rows[i].prev = prev->m.kind;
        }
        if (rows[i].m.kind != EVT_MOMENT_NOTIFIED)
            continue;
        if (rows[i].m.octets == last)
            rows[i].m.kind = EVT_MOMENT_HELD;
        last = rows[i].m.octets;
    }
}

/* A NOTIFY is that of the newest publication before it, unless the subscription had another one
 * since, or asked for this one itself.  What was held back on purpose is counted apart. */
static void
measure(struct moment *rows, size_t n, struct figures *notify, struct figures *held)
{
    const struct evt_moment *published = NULL;

    link_subs(rows, n);
    qsort(rows, n, sizeof(*rows), by_resource);
    for (size_t i = 0; i < n; i++) {
        const struct moment *row = &rows[i];

        if (row->m.kind == EVT_MOMENT_PUBLISHED)
            published = &row->m;
        if (row->m.kind != EVT_MOMENT_NOTIFIED || !published ||
            published->resource != row->m.resource)
            continue;
        if (row->prev_us < published->at_us)
            figures_add(notify, row->m.at_us - published->began_us);
        else if (row->prev == EVT_MOMENT_HELD)
            figures_add(held, row->m.at_us - published->began_us);
    }
}

static int
by_us(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return by_number(*a, *b);
}

/* The smallest of which so many of a hundred are no larger. */
static uint64_t
percentile(const struct figures *f, unsigned hundredths)
{
    return f->us[(f->n * hundredths + 99) / 100 - 1];
}

static json_t *
figures_json(struct figures *f)
{
    if (f->failed)
        return NULL;
    if (!f->n)
        return json_pack("{s:i}", "n", 0);
    qsort(f->us, f->n, sizeof(*f->us), by_us);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "n", (json_int_t)f->n, "p50_us",
                     (json_int_t)percentile(f, 50), "p90_us", (json_int_t)percentile(f, 90),
                     "p99_us", (json_int_t)percentile(f, 99), "most_us",
                     (json_int_t)f->us[f->n - 1]);
}

static void
figures_take(struct figures *all, const struct figures *more)
{
    all->failed = all->failed || more->failed;
    for (size_t i = 0; i < more->n; i++)
        figures_add(all, more->us[i]);
}

/* The moments of all shards in one array; NULL: memory is short. */
static struct moment *
all_moments(const struct latency *l, size_t *ret_n)
{
    struct moment *rows;
    size_t n = 0;

    for (unsigned i = 0; i < l->shards; i++) {
        if (l->parts[i].failed)
            return NULL;
        n += l->parts[i].n;
    }
    rows = calloc(n + 1, sizeof(*rows));
    n = 0;
    for (unsigned i = 0; rows && i < l->shards; i++)
        for (size_t k = 0; k < l->parts[i].n; k++)
            rows[n++] = l->parts[i].moments[k];
    *ret_n = n;
    return rows;
}

static void
finish_latency(void *context)
{
    struct latency *l = context;
    struct figures notify = { 0 }, held = { 0 }, answer = { 0 }, request = { 0 };
    size_t n = 0;
    struct moment *rows = all_moments(l, &n);

    notify.failed = !rows;
    if (rows)
        measure(rows, n, &notify, &held);
    for (unsigned i = 0; i < l->shards; i++) {
        figures_take(&answer, &l->parts[i].took[EVT_TOOK_ANSWER]);
        figures_take(&request, &l->parts[i].took[EVT_TOOK_REQUEST]);
        free(l->parts[i].took[0].us);
        free(l->parts[i].took[1].us);
        free(l->parts[i].moments);
    }
    hd_reply_result(l->reply,
                    json_pack("{s:I, s:o, s:o, s:o, s:o}", "last_s",
                              (json_int_t)(l->span_us / 1000000), "notify", figures_json(&notify),
                              "held", figures_json(&held), "answer", figures_json(&answer),
                              "request", figures_json(&request)));
    free(notify.us);
    free(held.us);
    free(answer.us);
    free(request.us);
    free(rows);
    free(l);
}

static const struct hd_sweep_ops latency_ops = { run_latency, finish_latency };

static void
call_latency(const struct hd_call *call)
{
    const unsigned shards = hd_host_shards(call->daemon->host);
    const json_t *last = json_object_get(call->args, "last_s");
    const json_int_t span_s = last ? json_integer_value(last) : SPAN_USUAL_S;
    struct latency *l;

    if (span_s < 1 || span_s > SPAN_MOST_S) {
        hd_reply_error(call->reply, "last_s is out of range; expected 1 to %d", SPAN_MOST_S);
        return;
    }
    l = calloc(1, sizeof(*l) + shards * sizeof(l->parts[0]));
    if (!l) {
        hd_reply_result(call->reply, NULL);
        return;
    }
    l->reply = call->reply;
    l->span_us = (uint64_t)span_s * 1000000;
    l->shards = shards;
    if (call->daemon->phase != HD_PHASE_ENDED &&
        hd_host_sweep(call->daemon->host, &latency_ops, l) == HD_OK)
        return;
    hd_reply_error(call->reply, "the daemon is about to end");
    free(l);
}

static const struct hd_call_row table[] = {
    { "latency", call_latency, { { "last_s", JSON_INTEGER, false } } },
};

const struct hd_call_row *
hd_calls_latency(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
