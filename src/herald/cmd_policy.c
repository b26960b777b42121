/* cmd_policy.c - `herald policy`: who may see and publish what, and what the rules say. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/str.h"
#include "base/unit.h"
#include "herald/call.h"
#include "herald/show.h"
#include "herald/text.h"
#include "herald/tool.h"

enum {
    KEY_RESOURCE = CALL_KEY_FIRST,
    KEY_EXCEPT,
    KEY_FROM,
    KEY_UNTIL,
    KEY_SHADOW,
    KEY_ANONYMOUS,
    KEY_PUBLISH,
    KEY_TRANSFORM,
    KEY_HIDE,
    KEY_ONLY,
    KEY_PROVIDE,
    KEY_CIRCLE,
    KEY_CIVIC,
    KEY_PROOF
};

#define MANY 1024 /* words, watchers and exceptions of one command */

struct options {
    struct call call;
    const char *package, *resource;
    const char *word[MANY], *watcher[MANY], *except[MANY];
    unsigned n, n_watchers, n_except;
    const char *transform, *civic, *hide[MANY], *only[MANY], *provide[MANY];
    unsigned n_hide, n_only, n_provide;
    const char *proof[MANY];
    unsigned n_proof;
    uint32_t circle_m;
    int64_t from_s, until_s;
    bool shadow, anonymous, publish;
};

static const struct argp_option policy_options[] = {
    { "watcher", 'w', "WATCHER", 0, "whom it is about; may be given several times", 1 },
    { "publisher", 0, NULL, OPTION_ALIAS, NULL, 1 },
    { "resource", KEY_RESOURCE, "RESOURCE", 0, "test: whose state", 1 },
    { "package", 'p', "PACKAGE", 0, "only for this event package (default: for all)", 1 },
    { "except", KEY_EXCEPT, "WATCHER", 0,
      "of a WATCHER that means many, who is not meant; may be given several times", 2 },
    { "from", KEY_FROM, "TIME", 0,
      "in force from then on: 2026-12-24T17:00:00+01:00, \"2026-12-24 17:00\" (here), or 2h from "
      "now",
      2 },
    { "until", KEY_UNTIL, "TIME", 0, "in force until then", 2 },
    { "proof", KEY_PROOF, "HOW", 0,
      "only for who has shown who he is by digest, by his certificate (tls), by a token, by the "
      "word "
      "of a trusted hop (asserted) or by saying so (from); may be given several times.  test: how "
      "he "
      "has",
      2 },
    { "shadow", KEY_SHADOW, NULL, 0, "changes nothing, only counts what it would change", 2 },
    { "transform", 't', "NAME", 0, "allow: he sees what this transformation leaves", 2 },
    { "hide", KEY_HIDE, "PATH", 0,
      "transform set: leave this out: /patient/name, //note, /a/*/@b; may be given several times",
      3 },
    { "only", KEY_ONLY, "PATH", 0, "transform set: leave all out but this", 3 },
    { "provide", KEY_PROVIDE, "PERMISSION", 0,
      "transform set: of presence, show this: services, persons, devices, activities, note, ... "
      "(RFC 5025)",
      3 },
    { "circle", KEY_CIRCLE, "METRES", 0,
      "transform set: instead of a position show a circle of this radius that it is in (1km, 500m)",
      3 },
    { "civic", KEY_CIVIC, "LEVEL", 0,
      "with --circle: of a civic address show country, region, city, building or full (default: "
      "nothing)",
      3 },
    { "anonymous", KEY_ANONYMOUS, NULL, 0, "test: he has not proved who he is", 2 },
    { "publish", KEY_PUBLISH, NULL, 0, "remove: the right to publish", 2 },
    { 0 }
};

/* ---- the command line ---- */

/* A time as people write it, as seconds since 1970. */
static bool
time_read(const char *text, int64_t *ret_s)
{
    static const char *const zoned[] = { "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z" };
    static const char *const local[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d" };
    const char *end;
    uint64_t ms;

    for (size_t i = 0; i < HD_ARRAY_LEN(zoned); i++) {
        struct tm tm = { 0 };
        end = strptime(text, zoned[i], &tm);
        if (end && !*end) {
            const long offset = tm.tm_gmtoff;
            *ret_s = (int64_t)timegm(&tm) - offset;
            return *ret_s > 0;
        }
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(local); i++) {
        struct tm tm = { .tm_isdst = -1 };
        end = strptime(text, local[i], &tm);
        if (end && !*end) {
            *ret_s = (int64_t)mktime(&tm);
            return *ret_s > 0;
        }
    }
    if (hd_unit_ms(hd_slice_str(text[0] == '+' ? text + 1 : text), &ms) || ms / 1000 > INT32_MAX)
        return false;
    *ret_s = (int64_t)time(NULL) + (int64_t)(ms / 1000);
    return true;
}

/* "500", "500m", "1km" */
static bool
metres_read(const char *text, uint32_t *ret_m)
{
    struct hd_slice s = hd_slice_str(text);
    uint32_t unit = 1;

    if (s.n > 2 && s.p[s.n - 1] == 'm' && s.p[s.n - 2] == 'k') {
        unit = 1000;
        s.n -= 2;
    } else if (s.n > 1 && s.p[s.n - 1] == 'm') {
        s.n--;
    }
    if (hd_slice_to_u32(s, ret_m) || *ret_m == 0 || *ret_m > 1000000 / unit)
        return false;
    *ret_m *= unit;
    return true;
}

static void
add_word(struct argp_state *state, const char **words, unsigned *n, const char *word)
{
    if (*n == MANY)
        argp_error(state, "too many of them: at most %d", MANY);
    words[(*n)++] = word;
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case 'p':
        o->package = arg;
        return 0;
    case KEY_RESOURCE:
        o->resource = arg;
        return 0;
    case 'w':
        add_word(state, o->watcher, &o->n_watchers, arg);
        return 0;
    case KEY_EXCEPT:
        add_word(state, o->except, &o->n_except, arg);
        return 0;
    case KEY_FROM:
    case KEY_UNTIL:
        if (!time_read(arg, key == KEY_FROM ? &o->from_s : &o->until_s))
            argp_error(state, "\"%s\" is no time; expected 2026-12-24T17:00:00+01:00 or 2h", arg);
        return 0;
    case KEY_SHADOW:
        o->shadow = true;
        return 0;
    case KEY_ANONYMOUS:
        o->anonymous = true;
        return 0;
    case KEY_PUBLISH:
        o->publish = true;
        return 0;
    case 't':
        o->transform = arg;
        return 0;
    case KEY_HIDE:
        add_word(state, o->hide, &o->n_hide, arg);
        return 0;
    case KEY_ONLY:
        add_word(state, o->only, &o->n_only, arg);
        return 0;
    case KEY_PROOF:
        add_word(state, o->proof, &o->n_proof, arg);
        return 0;
    case KEY_PROVIDE:
        add_word(state, o->provide, &o->n_provide, arg);
        return 0;
    case KEY_CIRCLE:
        if (!metres_read(arg, &o->circle_m))
            argp_error(state, "--circle: \"%s\" is no length; expected 500m or 1km", arg);
        return 0;
    case KEY_CIVIC:
        o->civic = arg;
        return 0;
    case ARGP_KEY_ARG:
        add_word(state, o->word, &o->n, arg);
        return 0;
    default:
        return call_parse(key, state);
    }
}

static const struct argp policy_argp = {
    .options = policy_options,
    .parser = parse,
    .children = call_children,
    .args_doc = "allow|confirm|polite|block RESOURCE WATCHER...\n"
                "publish RESOURCE PUBLISHER...\nremove RESOURCE WATCHER...\nshow [RESOURCE]\n"
                "test WATCHER RESOURCE\nlist [show [NAME]]\nlist add NAME WATCHER...\n"
                "list remove NAME [WATCHER...]\ntransform [show]\n"
                "transform set NAME OPTION...\ntransform remove NAME",
    .doc = "Who may see whose event state, and who may publish it.\v"
           "RESOURCE is a URI or a user's name, sip:*@domain for all of a domain, or * for all.  "
           "WATCHER is a URI or a user's name, sip:*@domain for everybody of a domain, @NAME for "
           "those of a list, authenticated, anonymous, or * for everybody.\n\n"
           "block refuses (403); polite refuses without his knowing: he sees what is seen while "
           "nothing is published; confirm lets him wait; allow lets him see.  block and polite "
           "count before confirm and allow, wherever they stand."
};

/* ---- rules ---- */

static void
show_rule(const json_t *result, const void *context)
{
    const json_t *rule = json_object_get(result, "rule");

    (void)context;
    show_text("", json_object_get(rule, "action"));
    show_text("  watcher  ", json_object_get(rule, "watcher"));
    show_text("  resource ", json_object_get(rule, "resource"));
    show_text("  package  ", json_object_get(rule, "package"));
}

static void
show_removed(const json_t *result, const void *context)
{
    (void)result;
    (void)context;
    puts("removed");
}

/* One rule for one watcher. */
static int
rule_change(const struct options *o, const char *call, const char *watcher)
{
    json_t *args = show_args();
    const bool remove = strcmp(call, "policy-remove") == 0;

    show_set(args, "resource", o->word[1]);
    show_set(args, "watcher", watcher);
    show_set(args, "package", o->package);
    show_set_number(args, "from_s", o->from_s);
    show_set_number(args, "until_s", o->until_s);
    show_set_true(args, "shadow", o->shadow);
    show_set_true(args, "publish", remove && o->publish);
    if (o->n_except)
        show_set_words(args, "except", o->except, o->n_except);
    if (o->n_proof)
        show_set_words(args, "proof", o->proof, o->n_proof);
    show_set(args, "transform", o->transform);
    return call_ask(&o->call, call, args, remove ? show_removed : show_rule, NULL);
}

static int
rule_changes(const struct options *o, const char *call)
{
    int code = TOOL_OK;

    for (unsigned i = 2; i < o->n && !code; i++)
        code = rule_change(o, call, o->word[i]);
    for (unsigned i = 0; i < o->n_watchers && !code; i++)
        code = rule_change(o, call, o->watcher[i]);
    return code;
}

static void
add_time(struct hd_str *text, const char *word, const json_t *s)
{
    char buffer[32] = "";
    const time_t at = (time_t)json_integer_value(s);
    struct tm tm;

    if (!json_is_integer(s) || !localtime_r(&at, &tm) ||
        !strftime(buffer, sizeof(buffer), "%Y-%m-%d %H:%M", &tm))
        return;
    hd_str_addf(text, "%s%s %s", text->n ? ", " : "", word, buffer);
}

/* What else a rule says, for its row of the table. */
static void
row_add_more(json_t *row)
{
    const json_t *except = json_object_get(row, "except"), *one;
    struct hd_str text = { 0 };
    size_t i;

    json_array_foreach(except, i, one)
        hd_str_addf(&text, "%s%s", i ? " " : "except ", json_string_value(one));
    if (json_is_string(json_object_get(row, "transform")))
        hd_str_addf(&text, "%sthrough %s", text.n ? ", " : "",
                    json_string_value(json_object_get(row, "transform")));
    add_time(&text, "from", json_object_get(row, "from_s"));
    add_time(&text, "until", json_object_get(row, "until_s"));
    if (json_is_true(json_object_get(row, "shadow")))
        hd_str_addf(&text, "%sshadow, %lld times", text.n ? ", " : "",
                    (long long)json_integer_value(json_object_get(row, "hits")));
    if (json_object_set_new(row, "more", json_stringn(hd_str_text(&text), text.n))) {
        tool_problem("out of memory");
        exit(TOOL_FAILED);
    }
    hd_str_done(&text);
}

static void
rows_add_more(json_t *rows)
{
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) row_add_more(row);
}

static int
rules_show(const struct options *o)
{
    static const struct grid_column columns[] = { { "RULE", "id", true },
                                                  { "ACTION", "action", false },
                                                  { "RESOURCE", "resource", false },
                                                  { "WATCHER", "watcher", false },
                                                  { "PACKAGE", "package", false },
                                                  { "", "more", false } };
    json_t *args = show_args();

    show_set(args, "resource", o->n > 1 ? o->word[1] : NULL);
    return call_list(&o->call, "policy-list", args, "rules", columns, HD_ARRAY_LEN(columns),
                     rows_add_more);
}

/* ---- named lists ---- */

static void
show_members(const json_t *result, const void *context)
{
    printf("list %s: %lld members\n", (const char *)context,
           (long long)json_integer_value(json_object_get(result, "members")));
}

static int
list_change(const struct options *o, const char *call)
{
    const char *words[2 * MANY];
    unsigned n = 0;
    json_t *args = show_args();

    for (unsigned i = 3; i < o->n; i++)
        words[n++] = o->word[i];
    for (unsigned i = 0; i < o->n_watchers; i++)
        words[n++] = o->watcher[i];
    show_set(args, "name", o->word[2]);
    show_set_words(args, "members", words, n);
    return call_ask(&o->call, call, args, show_members, o->word[2]);
}

static int
lists_show(const struct options *o)
{
    static const struct grid_column columns[] = { { "LIST", "name", false },
                                                  { "SIZE", "size", true },
                                                  { "MEMBERS", "members", false } };
    json_t *args = show_args();

    show_set(args, "name", o->n > 2 ? o->word[2] : NULL);
    return call_list(&o->call, "policy-list-show", args, "lists", columns, HD_ARRAY_LEN(columns),
                     NULL);
}

/* ---- transformations ---- */

static void
show_transform(const json_t *result, const void *context)
{
    (void)context;
    show_text("transformation ", json_object_get(result, "name"));
}

static int
transform_set(const struct options *o)
{
    json_t *args = show_args();

    show_set(args, "name", o->word[2]);
    if (o->n_hide)
        show_set_words(args, "hide", o->hide, o->n_hide);
    if (o->n_only)
        show_set_words(args, "only", o->only, o->n_only);
    if (o->n_provide)
        show_set_words(args, "provide", o->provide, o->n_provide);
    show_set_number(args, "circle_m", o->circle_m);
    show_set(args, "civic", o->civic);
    return call_ask(&o->call, "policy-transform-set", args, show_transform, NULL);
}

static int
transform_remove(const struct options *o)
{
    json_t *args = show_args();

    show_set(args, "name", o->word[2]);
    return call_ask(&o->call, "policy-transform-remove", args, show_removed, NULL);
}

static int
transforms_show(const struct options *o)
{
    static const struct grid_column columns[] = {
        { "TRANSFORMATION", "name", false }, { "PROVIDE", "provide", false },
        { "ONLY", "only", false },           { "HIDE", "hide", false },
        { "CIRCLE", "circle_m", true },      { "CIVIC", "civic", false }
    };

    return call_list(&o->call, "policy-transform-show", show_args(), "transforms", columns,
                     HD_ARRAY_LEN(columns), NULL);
}

/* ---- what the rules say ---- */

static void
print_rule(const char *title, const json_t *rule)
{
    if (!json_is_object(rule))
        return;
    printf("%s%lld: ", title, (long long)json_integer_value(json_object_get(rule, "id")));
    for (unsigned i = 0; i < 4; i++) {
        static const char *const keys[] = { "action", "watcher", "resource", "package" };
        static const char *const words[] = { "", " ", " at ", " in " };
        const json_t *value = json_object_get(rule, keys[i]);
        char *text =
            text_escaped(hd_slice(json_string_value(value), json_string_length(value)), false);
        printf("%s%s", words[i], text ? text : "");
        free(text);
    }
    putchar('\n');
}

static const char *
by_words(const char *by)
{
    static const struct {
        const char *by, *words;
    } row[] = { { "owner", "it is his own" },
                { "deny-list", "a deny list" },
                { "rules", "the rules" },
                { "package", "no rule speaks of him: the package's authorisation" },
                { "watched-package", "his own entry, as he may watch" } };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (by && strcmp(by, row[i].by) == 0)
            return row[i].words;
    return "?";
}

static void
print_answer(const json_t *answer)
{
    const json_t *shadow = json_object_get(answer, "shadow");
    const char *by = json_string_value(json_object_get(answer, "by"));

    show_text("", json_object_get(answer, "package"));
    show_text("  answer     ", json_object_get(answer, "decision"));
    printf("  because    %s\n", by_words(by));
    print_rule("  by rule    ", json_object_get(answer, "rule"));
    if (json_is_string(json_object_get(json_object_get(answer, "rule"), "transform")) && by &&
        strcmp(by, "watched-package") != 0) /* his own entry is whole */
        show_text("  he sees    what is left by ",
                  json_object_get(json_object_get(answer, "rule"), "transform"));
    if (json_is_object(json_object_get(answer, "deny"))) {
        show_text("  else       ", json_object_get(answer, "granted"));
        print_rule("  by rule    ", json_object_get(answer, "grant"));
    }
    const json_t *other;
    size_t i;
    json_array_foreach(json_object_get(answer, "others"), i, other)
        print_rule("  no more by ", other);
    if (json_is_object(shadow)) {
        show_text("  in shadow  ", json_object_get(shadow, "decision"));
        print_rule("  by rule    ", json_object_get(shadow, "rule"));
    }
}

static void
show_who(const json_t *result)
{
    show_text("watcher  ", json_object_get(result, "watcher"));
    show_text("resource ", json_object_get(result, "resource"));
}

static void
show_answers(const json_t *result, const void *context)
{
    const json_t *answer;
    size_t i;

    (void)context;
    show_who(result);
    json_array_foreach(json_object_get(result, "answers"), i, answer) print_answer(answer);
}

static int
test_show(const struct options *o)
{
    const char *watcher = o->n > 1 ? o->word[1] : o->n_watchers ? o->watcher[0] : NULL;
    const char *resource = o->n > 2 ? o->word[2] : o->resource;
    json_t *args;

    if (!watcher || !resource || o->n > 3) {
        tool_problem("`herald policy test --watcher WATCHER --resource RESOURCE`");
        return TOOL_USAGE;
    }
    args = show_args();
    show_set(args, "watcher", watcher);
    show_set(args, "resource", resource);
    show_set(args, "package", o->package);
    static const char *const from[] = { "from" };
    if (o->anonymous || o->n_proof)
        show_set_words(args, "proof", o->anonymous ? from : o->proof,
                       o->anonymous ? 1 : o->n_proof);
    return call_ask(&o->call, "policy-test", args, show_answers, NULL);
}

/* ---- explaining ---- */

static const char *
proof_words(const char *proof)
{
    static const struct {
        const char *proof, *words;
    } row[] = { { "digest", "by his password" },
                { "asserted", "a trusted hop says so" },
                { "tls", "by his certificate" },
                { "from", "he says so, where that is enough" } };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (proof && strcmp(proof, row[i].proof) == 0)
            return row[i].words;
    return "?";
}

static void
print_evidence(const json_t *line)
{
    const json_int_t at_us = json_integer_value(json_object_get(line, "at_us"));
    const time_t seconds = (time_t)(at_us / 1000000);
    char time_text[32], *words;
    struct tm tm;

    localtime_r(&seconds, &tm);
    strftime(time_text, sizeof(time_text), "%H:%M:%S", &tm);
    words = text_escaped(hd_slice_str(json_string_value(json_object_get(line, "words"))), false);
    printf("    %s.%03d  %s\n", time_text, (int)(at_us / 1000 % 1000), words ? words : "");
    free(words);
}

/* One sentence, and what it rests on. */
static void
print_why(const json_t *sub)
{
    const json_t *line;
    size_t i;

    if (!json_object_get(sub, "sentence"))
        return;
    show_text("  in short   ", json_object_get(sub, "sentence"));
    json_array_foreach(json_object_get(sub, "evidence"), i, line) print_evidence(line);
}

static void
print_subscription(const json_t *sub)
{
    show_text("subscription in ", json_object_get(sub, "package"));
    show_text("  state      ", json_object_get(sub, "state"));
    show_text("  health     ", json_object_get(sub, "health"));
    printf("  left       %lld s\n",
           (long long)json_integer_value(json_object_get(sub, "expires_s")));
    printf("  who he is  %s\n", proof_words(json_string_value(json_object_get(sub, "proof"))));
    show_text("  from       ", json_object_get(sub, "remote"));
    print_why(sub);
}

static void
print_since(const json_t *answer)
{
    const json_t *since = json_object_get(json_object_get(answer, "rule"), "since_s");
    struct hd_str text = { 0 };

    add_time(&text, "since", since);
    if (text.n)
        printf("  %s\n", hd_str_text(&text));
    hd_str_done(&text);
}

static void
show_explained(const json_t *result, const void *context)
{
    const json_t *row;
    size_t i;

    (void)context;
    show_who(result);
    json_array_foreach(json_object_get(result, "answers"), i, row)
    {
        print_answer(row);
        print_since(row);
    }
    json_array_foreach(json_object_get(result, "subscriptions"), i, row) print_subscription(row);
    if (json_object_get(result, "sentence"))
        show_text("in short ", json_object_get(result, "sentence"));
    else if (json_array_size(json_object_get(result, "subscriptions")) == 0)
        puts("no subscription, and nothing is recorded of one");
}

int
explain_main(int argc, char **argv)
{
    static const struct argp explain_argp = {
        .options = policy_options,
        .parser = parse,
        .children = call_children,
        .args_doc = "WATCHER RESOURCE",
        .doc = "Why a watcher sees what he sees: the rule that decides, since when, what it lets "
               "through, and his subscriptions with how he has shown who he is."
    };
    static struct options o;
    json_t *args;

    argp_parse(&explain_argp, argc, argv, 0, NULL, &o);
    if (o.n != 2)
        return call_usage("explain");
    args = show_args();
    show_set(args, "watcher", o.word[0]);
    show_set(args, "resource", o.word[1]);
    show_set(args, "package", o.package);
    return call_ask(&o.call, "explain", args, show_explained, NULL);
}

/* ---- the command ---- */

static bool
is_word(const struct options *o, unsigned at, const char *word)
{
    return o->n > at && strcmp(o->word[at], word) == 0;
}

static int
list_main(const struct options *o)
{
    if (is_word(o, 1, "add") && o->n > 2)
        return list_change(o, "policy-list-add");
    if (is_word(o, 1, "remove") && o->n > 2)
        return list_change(o, "policy-list-remove");
    if (o->n == 1 || (is_word(o, 1, "show") && o->n <= 3))
        return lists_show(o);
    return call_usage("policy");
}

static int
transform_main(const struct options *o)
{
    if (is_word(o, 1, "set") && o->n == 3)
        return transform_set(o);
    if (is_word(o, 1, "remove") && o->n == 3)
        return transform_remove(o);
    if (o->n == 1 || (is_word(o, 1, "show") && o->n == 2))
        return transforms_show(o);
    return call_usage("policy");
}

int
policy_main(int argc, char **argv)
{
    static const struct {
        const char *word, *call;
    } changes[] = { { "allow", "policy-allow" },     { "confirm", "policy-confirm" },
                    { "polite", "policy-polite" },   { "block", "policy-block" },
                    { "publish", "policy-publish" }, { "remove", "policy-remove" } };
    static struct options o;

    argp_parse(&policy_argp, argc, argv, 0, NULL, &o);
    for (size_t i = 0; i < HD_ARRAY_LEN(changes); i++)
        if (is_word(&o, 0, changes[i].word) && o.n > 1 && o.n - 2 + o.n_watchers > 0)
            return rule_changes(&o, changes[i].call);
    if (is_word(&o, 0, "list"))
        return list_main(&o);
    if (is_word(&o, 0, "transform"))
        return transform_main(&o);
    if (is_word(&o, 0, "show") && o.n <= 2)
        return rules_show(&o);
    if (is_word(&o, 0, "test"))
        return test_show(&o);
    return call_usage("policy");
}
