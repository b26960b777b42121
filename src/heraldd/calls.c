/* calls.c - the calls of the admin socket.
 *
 * One table says which keys a call takes and of which type, so that a misspelt key is refused
 * instead of ignored.  Calls that need the shards (listings) run a sweep and answer when it is
 * done; calls that change something answer when every shard has taken the change. Everything shown
 * may have come from a peer: it is written by the JSON library, which escapes it. */
#include "heraldd/calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "format/json_compose.h"
#include "heraldd/backup.h"
#include "heraldd/calls_core.h"
#include "heraldd/metrics.h"
#include "heraldd/status.h"
#include "policy/policy.h"
#include "sip/msg.h"

#define LIST_USUAL 1000
#define LIST_MOST 100000

/* --- arguments ------------------------------------------------------------------------- */

struct hd_slice
hd_call_arg(const struct hd_call *call, const char *key)
{
    json_t *value = json_object_get(call->args, key);

    return value ? hd_slice(json_string_value(value), json_string_length(value))
                 : (struct hd_slice){ 0 };
}

/* Turns a resource of the caller into its key, or answers why not. */
bool
hd_call_resource(const struct hd_call *call, const char *name, struct hd_key *ret_key)
{
    struct hd_slice text = hd_call_arg(call, name);
    enum hd_err err = hd_daemon_resource(call->daemon, text, ret_key->text, &ret_key->n);

    if (!err)
        return true;
    hd_reply_error(call->reply, "%s \"%.*s\" %s; expected a user name or sip:USER@DOMAIN", name,
                   hd_call_shown(text), text.p ? text.p : "",
                   err == HD_ENOMATCH  ? "is at a domain that is not served here"
                   : err == HD_ENOTSUP ? "has another scheme"
                   : err == HD_ERANGE  ? "is too long"
                                       : "cannot be read");
    return false;
}

/* --- changes --------------------------------------------------------------------------- */

/* A call that waits until every shard has taken a change. */
struct waiting {
    struct hd_reply *reply;
    json_t *result;
};

static void
answer_version(void *context, uint32_t version)
{
    struct waiting *waiting = context;

    if (waiting->result &&
        json_object_set_new(waiting->result, "version", json_integer(version)) != 0) {
        json_decref(waiting->result);
        waiting->result = NULL;
    }
    hd_reply_result(waiting->reply, waiting->result);
    free(waiting);
}

void
hd_call_edit(const struct hd_call *call, enum hd_err err, struct pol_book *book,
             struct hd_slice changed, json_t *result)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    char problem[HD_PROBLEM_TEXT] = "";

    if (!waiting || !result)
        err = HD_ENOMEM;
    if (err) {
        (void)snprintf(problem, sizeof(problem), "%s", hd_err_text(err));
    } else {
        *waiting = (struct waiting){ call->reply, result };
        err = hd_daemon_edit(call->daemon, book, changed, answer_version, waiting, problem);
    }
    pol_book_unref(book);
    if (!err)
        return;
    free(waiting);
    json_decref(result);
    hd_reply_error(call->reply, "%s", problem);
}

struct pol_book *
hd_call_book(const struct hd_call *call)
{
    return hd_state_book(call->daemon->state);
}

void
hd_rows_add(struct hd_rows *rows, json_t *row)
{
    if (!row || json_array_append_new(rows->rows, row) != 0)
        rows->failed = true;
}

void
hd_rows_answer(const struct hd_call *call, struct hd_rows *listing, const char *key)
{
    json_t *result = NULL;

    if (listing->rows && !listing->failed)
        result = json_pack("{s:O}", key, listing->rows);
    json_decref(listing->rows);
    hd_reply_result(call->reply, result);
}

/* --- packages -------------------------------------------------------------------------- */

/* "sum /stock", as its section says it. */
static json_t *
rule_words(const struct evt_package *package)
{
    json_t *words = json_array();

    for (size_t i = 0; words && i < package->n_rules; i++) {
        const struct fmt_rule_path *rule = &package->rules[i];
        if (json_array_append_new(words, json_sprintf("%s %.*s", hd_package_rule_word(rule->rule),
                                                      HD_FMT(rule->path)))) {
            json_decref(words);
            words = NULL;
        }
    }
    return words;
}

static void
call_package_list(const struct hd_call *call)
{
    static const char *const deliveries[] = { "state", "every" };
    static const char *const composes[] = { "latest", "list", "own" };
    static const char *const authorisations[] = { "owner", "allow", "block", "confirm" };
    const struct evt_config *config = call->daemon->config;
    struct hd_rows listing = { .call = call, .rows = json_array() };

    for (size_t i = 0; i < config->n_packages && listing.rows; i++) {
        const struct evt_package *p = config->packages[i];

        hd_rows_add(
            &listing,
            json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s:s, s:o}", "name",
                      hd_json_slice(p->name), "types", hd_json_slices(p->types, p->n_types),
                      "min_expires_s", (json_int_t)p->min_expires_s, "default_expires_s",
                      (json_int_t)p->default_expires_s, "max_expires_s",
                      (json_int_t)p->max_expires_s, "max_body",
                      (json_int_t)(p->max_body ? p->max_body : config->limits.max_body), "pace_ms",
                      (json_int_t)p->pace_ms, "repeat_ms", (json_int_t)p->repeat_ms, "delivery",
                      deliveries[p->delivery], "compose", composes[p->compose], "rules",
                      rule_words(p), "authorisation", authorisations[p->authorisation],
                      "publishers", hd_json_slices(p->publishers, p->n_publishers)));
    }
    hd_rows_answer(call, &listing, "packages");
}

/* --- listings of the shards ------------------------------------------------------------ */

enum what { WHAT_BINDINGS = 0, WHAT_WATCHERS };

struct part {
    json_t *rows;
    bool failed;
};

struct query {
    enum what what;
    struct hd_reply *reply;
    struct hd_key only;
    uint32_t limit;
    unsigned shards;
    struct part parts[];
};

static void
part_add(struct part *part, json_t *row)
{
    if (!row || !part->rows || json_array_append_new(part->rows, row) != 0)
        part->failed = true;
}

static void
visit_watcher(void *context, const struct evt_watcher_row *row)
{
    char id[17];

    (void)snprintf(id, sizeof(id), "%016" PRIx64, row->id);
    part_add(
        context,
        json_pack("{s:o, s:o, s:o, s:s, s:I, s:o, s:s}", "resource", hd_json_slice(row->resource),
                  "package", hd_json_slice(row->package), "watcher", hd_json_slice(row->watcher),
                  "status", row->status, "expires_s", (json_int_t)row->expires_s, "address",
                  row->address.family ? hd_json_addr(&row->address) : json_string(""), "id", id));
}

static void
visit_binding(void *context, const struct evt_binding_row *row)
{
    part_add(context,
             json_pack("{s:o, s:o, s:o, s:I, s:i}", "resource", hd_json_slice(row->resource),
                       "contact", hd_json_slice(row->contact), "path", hd_json_slice(row->path),
                       "expires_s", (json_int_t)row->expires_s, "shard", (int)row->shard));
}

static void
run_query(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
          uint64_t now_us)
{
    struct query *query = context;
    struct part *part = &query->parts[shard];
    struct hd_slice only = hd_key_slice(&query->only);
    uint32_t limit = query->limit + 1; /* one more tells that there are more */

    (void)net;
    part->rows = json_array();
    switch (query->what) {
    case WHAT_BINDINGS:
        evt_shard_list_bindings(evt, only, limit, now_us, visit_binding, part);
        break;
    case WHAT_WATCHERS:
        evt_shard_list_watchers(evt, only, limit, now_us, visit_watcher, part);
        break;
    }
}

static void
finish_query(void *context)
{
    static const char *const names[] = { "bindings", "watchers" };
    struct query *query = context;
    json_t *all = json_array(), *result = NULL;
    bool truncated = false, failed = !all;

    for (unsigned i = 0; i < query->shards; i++) {
        struct part *part = &query->parts[i];
        size_t room = all ? query->limit - json_array_size(all) : 0;

        if (!part->rows || part->failed) {
            failed = true;
            continue;
        }
        truncated = truncated || json_array_size(part->rows) > room;
        while (json_array_size(part->rows) > room)
            (void)json_array_remove(part->rows, json_array_size(part->rows) - 1);
        failed = failed || json_array_extend(all, part->rows) != 0;
    }
    if (!failed)
        result = json_pack("{s:O, s:b}", names[query->what], all, "truncated", truncated);
    json_decref(all);
    for (unsigned i = 0; i < query->shards; i++)
        json_decref(query->parts[i].rows);
    hd_reply_result(query->reply, result);
    free(query);
}

static const struct hd_sweep_ops query_ops = { run_query, finish_query };

static void
list(const struct hd_call *call, enum what what)
{
    unsigned shards = hd_host_shards(call->daemon->host);
    struct query *query = calloc(1, sizeof(*query) + shards * sizeof(query->parts[0]));
    json_t *limit = json_object_get(call->args, "limit");

    if (!query) {
        hd_reply_result(call->reply, NULL);
        return;
    }
    *query = (struct query){ .what = what, .reply = call->reply, .shards = shards };
    query->limit = LIST_USUAL;
    if (limit && (json_integer_value(limit) < 1 || json_integer_value(limit) > LIST_MOST)) {
        hd_reply_error(call->reply, "limit is out of range; expected 1 to %d", LIST_MOST);
        free(query);
        return;
    }
    if (limit)
        query->limit = (uint32_t)json_integer_value(limit);
    if (hd_call_arg(call, "resource").p && !hd_call_resource(call, "resource", &query->only)) {
        free(query);
        return;
    }
    if (call->daemon->phase == HD_PHASE_ENDED ||
        hd_host_sweep(call->daemon->host, &query_ops, query)) {
        hd_reply_error(call->reply, "the daemon is about to end");
        free(query);
    }
}

static void
call_bindings(const struct hd_call *call)
{
    list(call, WHAT_BINDINGS);
}

/* --- figures --------------------------------------------------------------------------- */

static void
call_status(const struct hd_call *call)
{
    const bool brief = json_is_true(json_object_get(call->args, "brief"));

    hd_reply_result(call->reply, hd_status_json(call->daemon, brief));
}

static void
call_metrics(const struct hd_call *call)
{
    struct hd_str text = { 0 };

    hd_metrics_write(call->daemon, &text);
    hd_reply_result(call->reply,
                    text.err ? NULL : json_pack("{s:s#}", "text", hd_str_text(&text), (int)text.n));
    hd_str_done(&text);
}

/* --- the daemon ------------------------------------------------------------------------ */

static void
call_log_level(const struct hd_call *call)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    struct hd_slice wanted = hd_call_arg(call, "level");
    int level = -1;

    for (int i = 0; i < (int)HD_ARRAY_LEN(names); i++) {
        if (wanted.p && hd_slice_eq(wanted, hd_slice_str(names[i])))
            level = i;
        if (!wanted.p && hd_log_wanted((enum hd_level)i))
            level = i;
    }
    if (wanted.p && level < 0) {
        hd_reply_error(call->reply, "there is no such level; expected error, warn, info or debug");
        return;
    }
    if (wanted.p) {
        hd_log_level((enum hd_level)level);
        call->daemon->options.log_level = level; /* stays over a reload */
    }
    hd_reply_result(call->reply, json_pack("{s:s}", "level", level < 0 ? "none" : names[level]));
}

static void
keep_line(void *context, const char *line)
{
    struct hd_str *lines = context;

    if (lines->n > 0)
        hd_str_add_char(lines, '\n');
    hd_str_add_str(lines, line);
}

static void
call_reload(const struct hd_call *call)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    struct hd_str lines = { 0 };

    if (!waiting || !(waiting->result = json_object())) {
        free(waiting);
        hd_reply_result(call->reply, NULL);
        return;
    }
    waiting->reply = call->reply;
    if (hd_daemon_reload(call->daemon, keep_line, &lines, answer_version, waiting)) {
        json_decref(waiting->result);
        free(waiting);
        hd_reply_error(call->reply, "%s", hd_str_text(&lines));
    }
    hd_str_done(&lines);
}

struct copying {
    struct hd_reply *reply;
    uint64_t start_us;
    bool kept;
};

static void
answer_backup(void *context, const char *problem, uint64_t octets)
{
    struct copying *copying = context;

    if (problem)
        hd_reply_error(copying->reply, "%s", problem);
    else
        hd_reply_result(copying->reply,
                        json_pack("{s:I, s:I, s:b}", "octets", (json_int_t)octets, "ms",
                                  (json_int_t)((net_now_us() - copying->start_us) / 1000),
                                  "live_state", (int)copying->kept));
    free(copying);
}

static void
call_backup(const struct hd_call *call)
{
    struct hd_slice folder = hd_call_arg(call, "folder");
    struct copying *copying = calloc(1, sizeof(*copying));

    if (!copying) {
        hd_reply_result(call->reply, NULL);
        return;
    }
    if (strlen(folder.p) != folder.n) {
        hd_reply_error(call->reply, "folder: a path has no NUL in it");
        free(copying);
        return;
    }
    *copying = (struct copying){ call->reply, net_now_us(), hd_host_is_kept(call->daemon->host) };
    hd_backup(call->daemon, folder.p, answer_backup, copying);
}

static void
call_watchers(const struct hd_call *call)
{
    list(call, WHAT_WATCHERS);
}

/* --- the table ------------------------------------------------------------------------- */

/* Calls about users are in calls_user.c, those about rules in calls_policy.c and calls_transform.c,
 * those that ask them in calls_judge.c, those about
 * registrations in calls_register.c, those about what was recorded in calls_trace.c, the listings
 * that can be searched in calls_look.c, that of the audit trail in calls_audit.c. */
static const struct hd_call_row *(*const others[])(size_t *ret_n) = {
    hd_calls_user,  hd_calls_policy, hd_calls_transform, hd_calls_judge,   hd_calls_register,
    hd_calls_trace, hd_calls_http,   hd_calls_look,      hd_calls_latency, hd_calls_audit
};
static const struct hd_call_row table[] = {
    { "package-list", call_package_list, { { NULL, JSON_NULL, false } } },
    { "bindings",
      call_bindings,
      { { "resource", JSON_STRING, false }, { "limit", JSON_INTEGER, false } } },
    { "watchers",
      call_watchers,
      { { "resource", JSON_STRING, false }, { "limit", JSON_INTEGER, false } } },
    { "status", call_status, { { "brief", JSON_TRUE, false } } },
    { "metrics", call_metrics, { { NULL, JSON_NULL, false } } },
    { "log-level", call_log_level, { { "level", JSON_STRING, false } } },
    { "reload", call_reload, { { NULL, JSON_NULL, false } } },
    { "backup", call_backup, { { "folder", JSON_STRING, true } } },
};

static const struct hd_call_type *
find_arg(const struct hd_call_type *args, const char *name)
{
    for (size_t i = 0; i < HD_CALL_ARGS_MAX && args[i].name; i++)
        if (strcmp(args[i].name, name) == 0)
            return &args[i];
    return NULL;
}

static const char *
type_words(json_type type)
{
    return type == JSON_INTEGER ? "an integer"
           : type == JSON_ARRAY ? "an array"
           : type == JSON_TRUE  ? "a boolean"
                                : "a string";
}

/* Answers with what is wrong, or says that the arguments are as they should be. */
static bool
args_ok(const struct hd_call *call, const struct hd_call_type *args)
{
    const char *name;
    json_t *value;

    json_object_foreach(call->args, name, value)
    {
        const struct hd_call_type *arg = find_arg(args, name);

        if (strcmp(name, "id") == 0 || strcmp(name, "call") == 0)
            continue;
        if (!arg) {
            hd_reply_error(call->reply, "this call knows no key \"%.100s\"", name);
            return false;
        }
        if (json_typeof(value) != arg->type &&
            !(arg->type == JSON_TRUE && json_is_boolean(value))) {
            hd_reply_error(call->reply, "%s must be %s", name, type_words(arg->type));
            return false;
        }
    }
    for (size_t i = 0; i < HD_CALL_ARGS_MAX && args[i].name; i++)
        if (args[i].needed && !json_object_get(call->args, args[i].name)) {
            hd_reply_error(call->reply, "%s is missing; expected %s", args[i].name,
                           type_words(args[i].type));
            return false;
        }
    return true;
}

static const struct hd_call_row *
find_row(const struct hd_call_row *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* Those of all files. */
static const struct hd_call_row *
find_call(const char *name)
{
    const struct hd_call_row *row = find_row(table, HD_ARRAY_LEN(table), name);

    for (size_t i = 0; i < HD_ARRAY_LEN(others) && !row; i++) {
        size_t n;
        const struct hd_call_row *rows = others[i](&n);
        row = find_row(rows, n, name);
    }
    return row;
}

/* "3,17": an array of numbers; "": an empty one.  NULL: it is no such thing. */
static json_t *
numbers_of_word(struct hd_slice word)
{
    json_t *numbers = json_array();
    uint64_t number;

    while (word.n > 0 && numbers) {
        if (hd_slice_to_u64(hd_slice_cut(&word, ','), &number) || number > INT64_MAX ||
            json_array_append_new(numbers, json_integer((json_int_t)number)) != 0) {
            json_decref(numbers);
            numbers = NULL;
        }
    }
    return numbers;
}

static json_t *
value_of_word(json_type type, struct hd_slice word)
{
    uint64_t number;

    if (type == JSON_ARRAY)
        return numbers_of_word(word);

    if (type == JSON_INTEGER && hd_slice_to_u64(word, &number) == HD_OK && number <= INT64_MAX)
        return json_integer((json_int_t)number);
    if (type == JSON_TRUE && hd_slice_eq(word, HD_LIT("true")))
        return json_true();
    if (type == JSON_TRUE && hd_slice_eq(word, HD_LIT("false")))
        return json_false();
    return NULL;
}

void
hd_calls_words(const char *call, json_t *args)
{
    const struct hd_call_row *row = find_call(call);

    for (size_t i = 0; row && i < HD_CALL_ARGS_MAX && row->args[i].name; i++) {
        const json_t *word = json_object_get(args, row->args[i].name);
        json_t *value = json_is_string(word)
                            ? value_of_word(row->args[i].type, hd_slice(json_string_value(word),
                                                                        json_string_length(word)))
                            : NULL;
        if (value)
            (void)json_object_set_new(args, row->args[i].name, value);
    }
}

static void
take(struct hd_daemon *daemon, struct hd_reply *reply, const char *name, json_t *args, bool looks)
{
    struct hd_call call = { .daemon = daemon, .reply = reply, .args = args, .looks = looks };

    HD_ASSERT_OBJ(call.daemon, HD_DAEMON_MAGIC);
    if (!call.daemon->config) {
        hd_reply_error(reply, "the daemon is not ready yet");
        return;
    }
    const struct hd_call_row *row = find_call(name);
    if (!row)
        hd_reply_error(reply, "there is no call \"%.100s\"", name);
    else if (args_ok(&call, row->args))
        row->run(&call);
}

void
hd_calls_take(void *context, struct hd_reply *reply, const char *name, json_t *args)
{
    take(context, reply, name, args, false);
}

void
hd_calls_look_on(struct hd_daemon *daemon, struct hd_reply *reply, const char *name, json_t *args)
{
    take(daemon, reply, name, args, true);
}
