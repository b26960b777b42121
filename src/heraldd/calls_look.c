/* calls_look.c - the calls that list subscriptions, publications and resources: all at once, or
 * piece by piece with a search.
 *
 * A search reads a bounded number of places in each shard and says where the next piece begins
 * (`next`, given back as `from`), so that no question, however large the tables, keeps a shard from
 * its messages.  How many subscriptions a resource has is known to the shards that mirror it: they
 * are asked when its row is there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "heraldd/calls_core.h"

#define LIST_USUAL 1000
#define LIST_MOST 100000
#define PIECE_MOST 1000  /* rows of a piece */
#define PIECE_SCAN 16384 /* places that a shard looks at for it: some milliseconds */
#define FIND_MOST 128    /* octets that are looked for */

enum what { WHAT_SUBS = 0, WHAT_PUBS, WHAT_RESOURCES };

struct part {
    json_t *rows;
    uint32_t *counts; /* resources: subscriptions here, for each row of all */
    uint32_t from, next;
    bool failed;
};

struct looking {
    enum what what;
    struct hd_reply *reply;
    struct hd_daemon *daemon;
    struct hd_key only;
    char package[EVT_PACKAGE_NAME_MAX + 1], find[FIND_MOST];
    size_t package_n, find_n;
    uint32_t limit;
    uint64_t id; /* 0: all */
    bool pieces, sick;
    json_t *all;
    unsigned shards, open; /* open: shards that are not at their end */
    struct part parts[];
};

static void
looking_free(struct looking *l)
{
    json_decref(l->all);
    for (unsigned i = 0; i < l->shards; i++) {
        json_decref(l->parts[i].rows);
        free(l->parts[i].counts);
    }
    free(l);
}

/* --- rows ------------------------------------------------------------------------------ */

static void
part_add(struct part *part, json_t *row)
{
    if (!row || !part->rows || json_array_append_new(part->rows, row) != 0)
        part->failed = true;
}

static void
visit_sub(void *context, const struct evt_sub_row *row)
{
    char id[17];

    (void)snprintf(id, sizeof(id), "%016" PRIx64, row->id);
    part_add(
        context,
        json_pack("{s:o, s:o, s:o, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:s, "
                  "s:o, s:I, s:I, s:I}",
                  "resource", hd_json_slice(row->resource), "package", hd_json_slice(row->package),
                  "watcher", hd_json_slice(row->watcher), "state", row->state, "health",
                  row->health, "expires_s", (json_int_t)row->expires_s, "cseq",
                  (json_int_t)row->cseq, "event_id", hd_json_slice(row->event_id), "call_id",
                  hd_json_slice(row->call_id), "target", hd_json_slice(row->target), "transport",
                  hd_json_slice(hd_transport_name((enum hd_transport)row->flow.transport)), "local",
                  hd_json_addr(&row->flow.local), "remote", hd_json_addr(&row->flow.remote),
                  "shard", (int)row->shard, "id", id, "proof", hd_json_slice(row->proof),
                  "unanswered_ms", (json_int_t)row->unanswered_ms, "backoff_s",
                  (json_int_t)row->backoff_s, "retry_ms", (json_int_t)row->retry_ms));
}

static void
visit_pub(void *context, const struct evt_pub_row *row)
{
    part_add(context,
             json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:I, s:i}", "resource",
                       hd_json_slice(row->resource), "package", hd_json_slice(row->package),
                       "publisher", hd_json_slice(row->publisher), "type", hd_json_slice(row->type),
                       "size", (json_int_t)row->size, "etag", hd_json_slice(row->etag), "expires_s",
                       (json_int_t)row->expires_s, "shard", (int)row->shard));
}

static void
visit_resource(void *context, const struct evt_resource_row *row)
{
    part_add(context, json_pack("{s:o, s:o, s:I, s:o, s:I, s:I, s:i}", "resource",
                                hd_json_slice(row->key), "package", hd_json_slice(row->package),
                                "publications", (json_int_t)row->publications, "type",
                                hd_json_slice(row->type), "size", (json_int_t)row->size, "version",
                                (json_int_t)row->version, "shard", (int)row->shard));
}

/* --- on the shards --------------------------------------------------------------------- */

static void
run_look(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
         uint64_t now_us)
{
    struct looking *l = context;
    struct part *part = &l->parts[shard];
    const struct evt_look look = {
        .resource = hd_key_slice(&l->only),
        .package = hd_slice(l->package, l->package_n),
        .text = hd_slice(l->find, l->find_n),
        .sick = l->sick,
        .id = l->id,
        .from = part->from,
        /* one more tells that there are more; of a piece each gives its share */
        .limit = l->pieces ? (l->limit + l->open - 1) / l->open : l->limit + 1,
        .scan = l->pieces ? PIECE_SCAN : UINT32_MAX,
    };

    (void)net;
    part->rows = json_array();
    part->next = EVT_LOOK_END;
    if (part->from == EVT_LOOK_END)
        return;
    switch (l->what) {
    case WHAT_SUBS:
        part->next = evt_shard_look_subs(evt, &look, now_us, visit_sub, part);
        break;
    case WHAT_PUBS:
        part->next = evt_shard_look_pubs(evt, &look, now_us, visit_pub, part);
        break;
    case WHAT_RESOURCES:
        part->next = evt_shard_look_resources(evt, &look, visit_resource, part);
        break;
    }
}

static struct hd_slice
text_of(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);

    return hd_slice(json_string_value(value), json_string_length(value));
}

static void
run_count(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
          uint64_t now_us)
{
    struct looking *l = context;
    struct part *part = &l->parts[shard];
    const size_t n = json_array_size(l->all);

    (void)net;
    (void)now_us;
    part->counts = calloc(n + 1, sizeof(*part->counts));
    for (size_t i = 0; i < n && part->counts; i++) {
        const json_t *row = json_array_get(l->all, i);
        part->counts[i] =
            evt_shard_count_subs(evt, text_of(row, "resource"), text_of(row, "package"));
    }
}

/* --- together -------------------------------------------------------------------------- */

static bool
sweep(struct looking *l, const struct hd_sweep_ops *ops)
{
    return l->daemon->phase != HD_PHASE_ENDED && hd_host_sweep(l->daemon->host, ops, l) == HD_OK;
}

/* Puts what the shards found into one array, a listing's as far as its limit; false: memory was
 * short. */
static bool
gather(struct looking *l, bool *ret_truncated)
{
    l->all = json_array();
    *ret_truncated = false;
    for (unsigned i = 0; i < l->shards && l->all; i++) {
        struct part *part = &l->parts[i];
        const size_t have = json_array_size(l->all);

        if (!part->rows || part->failed)
            return false;
        while (!l->pieces && json_array_size(part->rows) > l->limit - have) {
            (void)json_array_remove(part->rows, json_array_size(part->rows) - 1);
            *ret_truncated = true;
        }
        if (json_array_extend(l->all, part->rows) != 0)
            return false;
    }
    return l->all != NULL;
}

/* Where the next piece begins; NULL: all was seen, or memory is short. */
static json_t *
next_of(const struct looking *l)
{
    json_t *next = NULL;
    bool more = false;

    for (unsigned i = 0; i < l->shards; i++)
        more = more || l->parts[i].next != EVT_LOOK_END;
    if (more)
        next = json_array();
    for (unsigned i = 0; i < l->shards && next; i++)
        (void)json_array_append_new(next, json_integer((json_int_t)l->parts[i].next));
    return next;
}

static void
answer(struct looking *l, bool good, bool truncated)
{
    static const char *const names[] = { "subs", "pubs", "resources" };
    json_t *next = l->pieces ? next_of(l) : NULL;

    hd_reply_result(l->reply, good ? json_pack("{s:O, s:b, s:o*}", names[l->what], l->all,
                                               "truncated", (int)(truncated || next), "next", next)
                                   : NULL);
    looking_free(l);
}

static void
finish_count(void *context)
{
    struct looking *l = context;
    json_t *row;
    size_t i;
    bool good = true;

    json_array_foreach(l->all, i, row)
    {
        json_int_t sum = 0;
        for (unsigned k = 0; k < l->shards; k++)
            sum += l->parts[k].counts ? l->parts[k].counts[i] : 0;
        good = good && json_object_set_new(row, "subscriptions", json_integer(sum)) == 0;
    }
    answer(l, good, false);
}

static const struct hd_sweep_ops count_ops = { run_count, finish_count };

static void
finish_look(void *context)
{
    struct looking *l = context;
    bool truncated, good = gather(l, &truncated);

    if (good && l->what == WHAT_RESOURCES && sweep(l, &count_ops))
        return; /* finish_count answers */
    answer(l, good, truncated);
}

static const struct hd_sweep_ops look_ops = { run_look, finish_look };

/* --- the calls ------------------------------------------------------------------------- */

static bool
read_text(const struct hd_call *call, const char *key, char *room, size_t most, size_t *ret_n)
{
    const struct hd_slice text = hd_call_arg(call, key);

    *ret_n = 0;
    if (text.n > most) {
        hd_reply_error(call->reply, "%s has at most %zu octets", key, most);
        return false;
    }
    if (text.n)
        memcpy(room, text.p, text.n);
    *ret_n = text.n;
    return true;
}

/* An empty array begins at the beginning. */
static bool
read_from(const struct hd_call *call, struct looking *l)
{
    const json_t *from = json_object_get(call->args, "from");
    const size_t n = json_array_size(from);
    bool good = n == 0 || n == l->shards;

    l->pieces = from || l->what == WHAT_RESOURCES;
    for (unsigned i = 0; i < l->shards && good; i++) {
        const json_t *place = json_array_get(from, i);
        const json_int_t at = n ? json_integer_value(place) : 0;

        good = (!n || json_is_integer(place)) && at >= 0 && at <= UINT32_MAX;
        l->parts[i].from = good ? (uint32_t)at : 0;
        l->open += good && l->parts[i].from != EVT_LOOK_END;
    }
    if (good && l->open)
        return true;
    hd_reply_error(call->reply, "from is what the last answer had in \"next\"");
    return false;
}

static bool
read_limit(const struct hd_call *call, struct looking *l)
{
    const json_t *limit = json_object_get(call->args, "limit");
    const json_int_t most = l->pieces ? PIECE_MOST : LIST_MOST,
                     n = limit ? json_integer_value(limit) : LIST_USUAL;

    l->limit = (uint32_t)n;
    if (n >= 1 && n <= most)
        return true;
    hd_reply_error(call->reply, "limit is out of range; expected 1 to %d", (int)most);
    return false;
}

static bool
read_id(const struct hd_call *call, struct looking *l)
{
    const struct hd_slice id = hd_call_arg(call, "sub");

    l->id = hd_hex_id(id);
    if (l->id || !id.p)
        return true;
    hd_reply_error(call->reply, "sub is 16 hexadecimal digits");
    return false;
}

static void
look(const struct hd_call *call, enum what what)
{
    const unsigned shards = hd_host_shards(call->daemon->host);
    struct looking *l = calloc(1, sizeof(*l) + shards * sizeof(l->parts[0]));

    if (!l) {
        hd_reply_result(call->reply, NULL);
        return;
    }
    l->what = what;
    l->reply = call->reply;
    l->daemon = call->daemon;
    l->shards = shards;
    l->sick = json_is_true(json_object_get(call->args, "sick"));
    if (!read_from(call, l) || !read_id(call, l) || !read_limit(call, l) ||
        !read_text(call, "package", l->package, EVT_PACKAGE_NAME_MAX, &l->package_n) ||
        !read_text(call, "find", l->find, sizeof(l->find), &l->find_n) ||
        (hd_call_arg(call, "resource").p && !hd_call_resource(call, "resource", &l->only))) {
        looking_free(l);
        return;
    }
    if (sweep(l, &look_ops))
        return;
    hd_reply_error(call->reply, "the daemon is about to end");
    looking_free(l);
}

static void
call_subs(const struct hd_call *call)
{
    look(call, WHAT_SUBS);
}

static void
call_pubs(const struct hd_call *call)
{
    look(call, WHAT_PUBS);
}

static void
call_resources(const struct hd_call *call)
{
    look(call, WHAT_RESOURCES);
}

#define KEYS                                                                                       \
    { "resource", JSON_STRING, false }, { "package", JSON_STRING, false },                         \
        { "find", JSON_STRING, false }, { "from", JSON_ARRAY, false },                             \
    {                                                                                              \
        "limit", JSON_INTEGER, false                                                               \
    }
static const struct hd_call_row table[] = {
    { "subs", call_subs, { KEYS, { "sick", JSON_TRUE, false }, { "sub", JSON_STRING, false } } },
    { "pubs", call_pubs, { KEYS } },
    { "resources", call_resources, { KEYS } },
};

const struct hd_call_row *
hd_calls_look(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
