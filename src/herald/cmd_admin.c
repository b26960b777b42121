/* cmd_admin.c - `herald package|subs|pubs|bindings|unregister|watchers|audit|status|backup`: calls
 * to the daemon, shown as tables or as JSON. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "herald/admin.h"
#include "herald/call.h"
#include "herald/show.h"
#include "herald/tool.h"

enum { KEY_LIMIT = CALL_KEY_FIRST, KEY_METRICS, KEY_SINCE, KEY_EVENT, KEY_RETRY_AFTER };

struct options {
    struct call call;
    const char *event;
    uint32_t limit;
    uint64_t since_s, retry_after_s; /* 0: not said */
    bool wide, all, metrics;
};

static const struct argp_option list_options[] = { { "limit", KEY_LIMIT, "N", 0,
                                                     "at most N rows (default 1000)", 1 },
                                                   { "wide", 'w', NULL, 0, "more columns", 1 },
                                                   { 0 } };
static const struct argp_option audit_options[] = {
    { "since", KEY_SINCE, "AGE", 0, "not older than AGE: 90s, 15m, 12h, 30d", 1 },
    { "limit", KEY_LIMIT, "N", 0, "at most N lines, the newest (default 1000)", 1 },
    { "wide", 'w', NULL, 0, "more columns", 1 },
    { 0 }
};
static const struct argp_option unregister_options[] = {
    { "event", KEY_EVENT, "WORD", 0,
      "why, as watchers of reg are told (RFC 3680): deactivated (the default: register again), "
      "probation (later), rejected (not at all)",
      1 },
    { "retry-after", KEY_RETRY_AFTER, "AGE", 0, "with probation: when, such as 90s or 15m", 1 },
    { 0 }
};
static const struct argp_option status_options[] = {
    { "all", 'a', NULL, 0, "every counter, those that are 0 as well", 1 },
    { "metrics", KEY_METRICS, NULL, 0, "every figure as OpenMetrics text, for monitoring", 1 },
    { 0 }
};

/* "90s", "15m", "12h", "30d", "4w"; 0: cannot be read. */
static uint64_t
age_read(const char *text)
{
    static const struct {
        char unit;
        uint32_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 } };
    const struct hd_slice s = hd_slice_str(text);
    uint32_t n;

    if (s.n < 2 || hd_slice_to_u32(hd_slice(s.p, s.n - 1), &n) != HD_OK)
        return 0;
    for (size_t i = 0; i < HD_ARRAY_LEN(units); i++)
        if (s.p[s.n - 1] == units[i].unit)
            return (uint64_t)n * units[i].seconds;
    return 0;
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case 'w':
        o->wide = true;
        return 0;
    case 'a':
        o->all = true;
        return 0;
    case KEY_METRICS:
        o->metrics = true;
        return 0;
    case KEY_LIMIT:
        if (hd_slice_to_u32(hd_slice_str(arg), &o->limit) != HD_OK || o->limit == 0)
            argp_error(state, "--limit: \"%s\" is not a number above 0", arg);
        return 0;
    case KEY_SINCE:
        o->since_s = age_read(arg);
        if (o->since_s == 0)
            argp_error(state, "--since: \"%s\" is no age such as 15m, 12h or 30d", arg);
        return 0;
    case KEY_EVENT:
        o->event = arg;
        return 0;
    case KEY_RETRY_AFTER:
        o->retry_after_s = age_read(arg);
        if (o->retry_after_s == 0)
            argp_error(state, "--retry-after: \"%s\" is no duration such as 90s or 15m", arg);
        return 0;
    default:
        return call_parse(key, state);
    }
}

static const struct argp package_argp = {
    NULL, parse, "list", "The event packages that the broker serves.", call_children, NULL, NULL
};
static const struct argp subs_argp = { list_options,  parse,
                                       "[RESOURCE]",  "The subscriptions that the broker holds.",
                                       call_children, NULL,
                                       NULL };
static const struct argp pubs_argp = { list_options,  parse,
                                       "[RESOURCE]",  "The publications that the broker holds.",
                                       call_children, NULL,
                                       NULL };
static const struct argp bindings_argp = {
    list_options, parse, "[RESOURCE]", "Where the registered phones are.", call_children, NULL, NULL
};
static const struct argp unregister_argp = {
    unregister_options,
    parse,
    "RESOURCE [CONTACT]",
    "Ends the registration of CONTACT, or of all, as if it had run out, and says why.",
    call_children,
    NULL,
    NULL
};
static const struct argp watchers_argp = {
    list_options,
    parse,
    "RESOURCE",
    "Who watches RESOURCE, in which state and from where; those too who asked before anybody "
    "decided (waiting).",
    call_children,
    NULL,
    NULL
};
static const struct argp audit_argp = {
    audit_options,
    parse,
    "[RESOURCE]",
    "The audit trail: who watched what, since when, from which address and under which rule.",
    call_children,
    NULL,
    NULL
};
static const struct argp status_argp = { status_options, parse, "",  "What the daemon is doing.",
                                         call_children,  NULL,  NULL };

static const struct argp backup_argp = {
    NULL,
    parse,
    "FOLDER",
    "Copies what the broker keeps into FOLDER, while it works.  FOLDER is made, or is empty; the "
    "daemon writes it as its own user, under systemd below /var/lib/herald or /var/backups/herald "
    "alone.  A daemon that starts on a copy of it goes on from there.",
    call_children,
    NULL,
    NULL
};

/* --- lists ------------------------------------------------------------------------------------ */

int
package_main(int argc, char **argv)
{
    static const struct grid_column columns[] = {
        { "PACKAGE", "name", false },          { "TYPES", "types", false },
        { "MIN", "min_expires_s", true },      { "DEFAULT", "default_expires_s", true },
        { "MAX", "max_expires_s", true },      { "PACE", "pace_ms", true },
        { "REPEAT", "repeat_ms", true },       { "COMPOSE", "compose", false },
        { "RULES", "rules", false },           { "DELIVERY", "delivery", false },
        { "SEEN BY", "authorisation", false },
    };
    struct options o = { 0 };
    argp_parse(&package_argp, argc, argv, 0, NULL, &o);
    if (!call_is(&o.call, "list", 0))
        return call_usage("package");
    return call_list(&o.call, "package-list", show_args(), "packages", columns,
                     HD_ARRAY_LEN(columns), NULL);
}

/* subs, pubs and bindings: the first n columns, or all with --wide. */
static int
list_call(const struct argp *argp, int argc, char **argv, const char *call,
          const struct grid_column *columns, size_t n, size_t n_wide)
{
    struct options o = { 0 };
    json_t *args;
    argp_parse(argp, argc, argv, 0, NULL, &o);
    if (o.call.n > 1)
        return call_usage(call);
    args = show_args();
    show_set(args, "resource", o.call.n ? o.call.word[0] : NULL);
    show_set_number(args, "limit", o.limit);
    return call_list(&o.call, call, args, call, columns, o.wide ? n_wide : n, NULL);
}

int
subs_main(int argc, char **argv)
{
    static const struct grid_column columns[] = {
        { "RESOURCE", "resource", false },
        { "PACKAGE", "package", false },
        { "WATCHER", "watcher", false },
        { "STATE", "state", false },
        { "HEALTH", "health", false },
        { "LEFT", "expires_s", true },
        { "REMOTE", "remote", false },
        { "OVER", "transport", false },
        { "CSEQ", "cseq", true },
        { "SHARD", "shard", true },
        { "CALL-ID", "call_id", false },
        { "TARGET", "target", false },
        { "ID", "id", false },
    };
    return list_call(&subs_argp, argc, argv, "subs", columns, 7, HD_ARRAY_LEN(columns));
}

int
pubs_main(int argc, char **argv)
{
    static const struct grid_column columns[] = {
        { "RESOURCE", "resource", false },
        { "PACKAGE", "package", false },
        { "PUBLISHER", "publisher", false },
        { "TYPE", "type", false },
        { "SIZE", "size", true },
        { "LEFT", "expires_s", true },
        { "ENTITY-TAG", "etag", false },
        { "SHARD", "shard", true },
    };
    return list_call(&pubs_argp, argc, argv, "pubs", columns, 6, HD_ARRAY_LEN(columns));
}

int
bindings_main(int argc, char **argv)
{
    static const struct grid_column columns[] = { { "RESOURCE", "resource", false },
                                                  { "CONTACT", "contact", false },
                                                  { "LEFT", "expires_s", true },
                                                  { "SHARD", "shard", true },
                                                  { "PATH", "path", false } };
    return list_call(&bindings_argp, argc, argv, "bindings", columns, 3, HD_ARRAY_LEN(columns));
}

static void
show_ended(const json_t *result, const void *context)
{
    printf("ended %lld of the contacts of %s\n",
           (long long)json_integer_value(json_object_get(result, "ended")), (const char *)context);
}

int
unregister_main(int argc, char **argv)
{
    struct options o = { 0 };
    json_t *args;

    argp_parse(&unregister_argp, argc, argv, 0, NULL, &o);
    if (o.call.n < 1 || o.call.n > 2)
        return call_usage("unregister");
    args = show_args();
    show_set(args, "resource", o.call.word[0]);
    show_set(args, "contact", o.call.n > 1 ? o.call.word[1] : NULL);
    show_set(args, "event", o.event);
    show_set_number(args, "retry_after_s", (int64_t)o.retry_after_s);
    return call_ask(&o.call, "unregister", args, show_ended, o.call.word[0]);
}

int
watchers_main(int argc, char **argv)
{
    static const struct grid_column columns[] = {
        { "RESOURCE", "resource", false },
        { "PACKAGE", "package", false },
        { "WATCHER", "watcher", false },
        { "STATUS", "status", false },
        { "LEFT", "expires_s", true },
        { "FROM", "address", false },
        { "ID", "id", false },
    };
    return list_call(&watchers_argp, argc, argv, "watchers", columns, 6, HD_ARRAY_LEN(columns));
}

/* The moment of each line in words, in place of milliseconds. */
static void
audit_times(json_t *rows)
{
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        const time_t at = (time_t)(json_integer_value(json_object_get(row, "at_ms")) / 1000);
        struct tm tm;
        char text[32] = "";

        if (localtime_r(&at, &tm))
            (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
        (void)json_object_set_new(row, "at", json_string(text));
    }
}

int
audit_main(int argc, char **argv)
{
    static const struct grid_column columns[] = {
        { "AT", "at", false },
        { "WHAT", "what", false },
        { "RESOURCE", "resource", false },
        { "PACKAGE", "package", false },
        { "WATCHER", "watcher", false },
        { "SEES", "sees", false },
        { "FROM", "address", false },
        { "RULE", "rule", true },
        { "PROOF", "proof", false },
        { "STATE", "state", false },
        { "REASON", "reason", false },
        { "ID", "id", false },
    };
    struct options o = { 0 };
    json_t *args;
    argp_parse(&audit_argp, argc, argv, 0, NULL, &o);
    if (o.call.n > 1)
        return call_usage("audit");
    args = show_args();
    show_set(args, "resource", o.call.n ? o.call.word[0] : NULL);
    show_set_number(args, "limit", o.limit);
    show_set_number(args, "since_s", (int64_t)o.since_s);
    return call_list(&o.call, "audit", args, "audit", columns, o.wide ? HD_ARRAY_LEN(columns) : 8,
                     audit_times);
}

/* --- status ----------------------------------------------------------------------------------- */

static void
print_uptime(json_int_t s)
{
    printf("  up       ");
    if (s >= 86400)
        printf("%lldd ", (long long)(s / 86400));
    if (s >= 3600)
        printf("%lldh ", (long long)(s / 3600 % 24));
    printf("%lldm %llds\n", (long long)(s / 60 % 60), (long long)(s % 60));
}

static void
print_numbers(const char *title, json_t *numbers, const json_t *words, bool all)
{
    const char *name;
    json_t *value;
    bool any = false;
    json_object_foreach(numbers, name, value)
    {
        const json_t *word = json_object_get(words, name);
        if (!json_is_integer(value) || (!all && json_integer_value(value) == 0))
            continue;
        if (!any)
            printf("\n%s\n", title);
        any = true;
        printf("  %12lld  %-28s", (long long)json_integer_value(value), name);
        show_text(json_is_string(word) ? " " : "", word);
    }
}

static void
print_store(const json_t *store)
{
    show_text("  store    ", json_object_get(store, "durability"));
    if (json_is_false(json_object_get(store, "healthy")))
        show_text("           new state is refused: ", json_object_get(store, "problem"));
    if (json_object_get(store, "live"))
        printf("           %lld records, a commit takes %lld us\n",
               (long long)json_integer_value(json_object_get(store, "live")),
               (long long)json_integer_value(json_object_get(store, "commit_us_mean")));
    if (json_integer_value(json_object_get(store, "lost")) > 0)
        printf("           its log was damaged at the start: at least %lld commits are gone\n",
               (long long)json_integer_value(json_object_get(store, "lost")));
}

static void
print_status(const json_t *result, bool all)
{
    const json_t *words = json_object_get(result, "words");
    const json_t *listeners = json_object_get(result, "listeners");
    static const struct grid_column columns[] = { { "TRANSPORT", "transport", false },
                                                  { "ADDRESS", "address", false },
                                                  { "AUTHENTICATION", "authentication", false } };
    show_text("heraldd ", json_object_get(result, "version"));
    printf("  pid      %lld\n", (long long)json_integer_value(json_object_get(result, "pid")));
    print_uptime(json_integer_value(json_object_get(result, "uptime_s")));
    printf("  shards   %lld\n", (long long)json_integer_value(json_object_get(result, "shards")));
    printf("  users    %lld\n", (long long)json_integer_value(json_object_get(result, "users")));
    printf("  rules    %lld\n", (long long)json_integer_value(json_object_get(result, "rules")));
    print_store(json_object_get(result, "store"));
    putchar('\n');
    if (json_is_array(listeners) && !grid_print(listeners, columns, HD_ARRAY_LEN(columns), stdout))
        tool_problem("out of memory");
    print_numbers("now", json_object_get(result, "gauges"), words, all);
    print_numbers("requests", json_object_get(result, "methods"), words, all);
    print_numbers("final answers", json_object_get(result, "statuses"), words, all);
    print_numbers("since the start", json_object_get(result, "counters"), words, all);
    print_numbers("sockets", json_object_get(result, "net"), words, all);
}

/* Our own daemon wrote it, for a program to read: as it is. */
static int
print_metrics(const json_t *result)
{
    const char *text = json_string_value(json_object_get(result, "text"));

    if (!text) {
        tool_problem("the daemon's answer cannot be shown");
        return TOOL_FAILED;
    }
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0) {
        tool_problem("standard output: it cannot be written");
        return TOOL_FAILED;
    }
    return TOOL_OK;
}

int
status_main(int argc, char **argv)
{
    struct options o = { 0 };
    json_t *result = NULL;
    argp_parse(&status_argp, argc, argv, 0, NULL, &o);
    if (o.call.n)
        return call_usage("status");
    int code = admin_call(o.call.socket, o.metrics ? "metrics" : "status", show_args(), &result);
    if (!code && o.call.json)
        show_json(result);
    else if (!code && o.metrics)
        code = print_metrics(result);
    else if (!code)
        print_status(result, o.all);
    json_decref(result);
    return code;
}

/* --- backup ----------------------------------------------------------------------------------- */

#define BACKUP_MOST_S ((uint32_t)24 * 3600)

/* The daemon works in another folder: a path from here becomes one from the root. */
static char *
from_root(const char *path)
{
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0), *whole;
    size_t room = strlen(path) + (here ? strlen(here) : 0) + 2;

    if (path[0] != '/' && !here)
        return NULL;
    whole = tool_alloc(room);
    snprintf(whole, room, "%s%s%s", here ? here : "", here ? "/" : "", path);
    free(here);
    return whole;
}

int
backup_main(int argc, char **argv)
{
    struct options o = { 0 };
    json_t *args, *result = NULL;
    char *folder;
    int code;

    argp_parse(&backup_argp, argc, argv, 0, NULL, &o);
    if (o.call.n != 1)
        return call_usage("backup");
    folder = from_root(o.call.word[0]);
    if (!folder) {
        tool_problem("the working folder: %s", strerror(errno));
        return TOOL_FAILED;
    }
    args = show_args();
    show_set(args, "folder", folder);
    code = admin_call_long(o.call.socket, "backup", args, BACKUP_MOST_S, &result);
    if (!code && access(folder, F_OK) != 0 && errno == ENOENT) {
        tool_problem("%s: the daemon has made it where it cannot be seen from here (a service has "
                     "a /tmp of its own, which goes when it stops)",
                     folder);
        code = TOOL_FAILED;
    }
    if (!code && o.call.json)
        show_json(result);
    else if (!code)
        printf("%s: %lld octets in %lld ms%s\n", folder,
               (long long)json_integer_value(json_object_get(result, "octets")),
               (long long)json_integer_value(json_object_get(result, "ms")),
               json_is_true(json_object_get(result, "live_state"))
                   ? ""
                   : " (users and rules; the rest is in memory alone)");
    free(folder);
    json_decref(result);
    return code;
}
