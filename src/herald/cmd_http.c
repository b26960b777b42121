/* cmd_http.c - `herald token` and `herald webhook`: who may call over HTTP, and who is called. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "herald/call.h"
#include "herald/show.h"
#include "herald/tool.h"

enum { KEY_SCOPE = CALL_KEY_FIRST, KEY_URL, KEY_SECRET, KEY_WHEN, KEY_AS, KEY_MODE };

struct options {
    struct call call;
    const char *package, *url, *secret, *when, *as, *mode;
    json_t *scopes;
};

static const struct argp_option token_options[] = {
    { "scope", KEY_SCOPE, "RIGHT", 0,
      "what it is good for: publish, read, admin, metrics, look; may be given several times "
      "(default: publish and read)",
      1 },
    { 0 }
};
static const struct argp_option hook_options[] = {
    { "package", 'p', "PACKAGE", 0, "the event package", 1 },
    { "url", KEY_URL, "URL", 0, "where events are posted to, https:// or http://", 1 },
    { "secret", KEY_SECRET, "TEXT", 0,
      "signs them, 16 characters or more (default: one is made up and printed)", 1 },
    { "when", KEY_WHEN, "CONDITION", 0, "only what matters: \"stock below 20 clear 40\"", 1 },
    { "mode", KEY_MODE, "MODE", 0,
      "structured: an event is one JSON object (default); binary: the document as it is, what is "
      "said of it in header fields",
      1 },
    { "as", KEY_AS, "USER", 0, "the user as whom it watches (default: the resource's own)", 1 },
    { 0 }
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case KEY_SCOPE:
        if (!o->scopes)
            o->scopes = json_array();
        if (!o->scopes || json_array_append_new(o->scopes, json_string(arg)) != 0)
            argp_error(state, "a right is a word");
        return 0;
    case 'p':
        o->package = arg;
        return 0;
    case KEY_URL:
        o->url = arg;
        return 0;
    case KEY_SECRET:
        o->secret = arg;
        return 0;
    case KEY_WHEN:
        o->when = arg;
        return 0;
    case KEY_AS:
        o->as = arg;
        return 0;
    case KEY_MODE:
        o->mode = arg;
        return 0;
    default:
        return call_parse(key, state);
    }
}

/* A result that is one line for people: before, and the value of a key. */
struct line {
    const char *before, *key;
};

static void
show_line(const json_t *result, const void *context)
{
    const struct line *line = context;
    const json_t *value = json_object_get(result, line->key);

    if (json_is_integer(value))
        printf("%s%lld\n", line->before, (long long)json_integer_value(value));
    else
        show_text(line->before, value);
    if (json_object_get(result, "token"))
        show_text("token: ", json_object_get(result, "token"));
    if (json_object_get(result, "secret"))
        show_text("secret: ", json_object_get(result, "secret"));
}

static int
change(const struct options *o, const char *call, json_t *args, const char *before, const char *key)
{
    return call_ask(&o->call, call, args, show_line, &(struct line){ before, key });
}

/* The same for the entry that the second word names. */
static int
change_named(const struct options *o, const char *call, const char *before, const char *key)
{
    json_t *args = show_args();

    show_set(args, "name", o->call.word[1]);
    return change(o, call, args, before, key);
}

static int
token_run(const struct options *o)
{
    static const struct grid_column columns[] = { { "ID", "id", false },
                                                  { "USER", "user", false },
                                                  { "RIGHTS", "scopes", false } };
    json_t *args;

    if (call_is(&o->call, "list", 0))
        return call_list(&o->call, "token-list", show_args(), "tokens", columns,
                         HD_ARRAY_LEN(columns), NULL);
    if (call_is(&o->call, "remove", 1))
        return change_named(o, "token-remove", "removed token ", "name");
    if (!call_is(&o->call, "add", 1))
        return call_usage("token");
    args = show_args();
    show_set(args, "user", o->call.word[1]);
    if (o->scopes)
        (void)json_object_set(args, "scopes", o->scopes);
    return change(o, "token-add", args, "added token ", "id");
}

int
token_main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = token_options,
        .parser = parse,
        .children = call_children,
        .args_doc = "add USER\nlist\nremove ID",
        .doc =
            "Tokens with which programs call over HTTP as a user.  A token is shown once, when it "
            "is made."
    };
    struct options o = { 0 };

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    int code = token_run(&o);
    json_decref(o.scopes);
    return code;
}

static json_t *
hook_args(const struct options *o)
{
    json_t *args = show_args();

    show_set(args, "resource", o->call.word[1]);
    show_set(args, "package", o->package);
    show_set(args, "url", o->url);
    show_set(args, "secret", o->secret);
    show_set(args, "when", o->when);
    show_set(args, "user", o->as);
    show_set(args, "mode", o->mode);
    return args;
}

int
webhook_main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = hook_options,
        .parser = parse,
        .children = call_children,
        .args_doc = "add RESOURCE\nlist\nremove ID\ndead\nredeliver ID\ndrop ID",
        .doc =
            "Addresses on the web that are told of event state (CloudEvents).  redeliver and drop "
            "take a webhook or one of its dead events."
    };
    static const struct grid_column columns[] = {
        { "ID", "id", false },           { "RESOURCE", "resource", false },
        { "PACKAGE", "package", false }, { "AS", "user", false },
        { "STATE", "state", false },     { "SENT", "delivered", true },
        { "FAILED", "failed", true },    { "WAITING", "waiting", true },
        { "DEAD", "dead", true },        { "URL", "url", false },
        { "TROUBLE", "trouble", false },
    };
    static const struct grid_column dead[] = { { "EVENT", "event", false },
                                               { "WEBHOOK", "webhook", false },
                                               { "ATTEMPTS", "attempts", true },
                                               { "WHY", "why", false } };
    struct options o = { 0 };

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (call_is(&o.call, "add", 1))
        return change(&o, "webhook-add", hook_args(&o), "added webhook ", "id");
    if (call_is(&o.call, "list", 0))
        return call_list(&o.call, "webhook-list", show_args(), "webhooks", columns,
                         HD_ARRAY_LEN(columns), NULL);
    if (call_is(&o.call, "dead", 0))
        return call_list(&o.call, "webhook-dead", show_args(), "dead", dead, HD_ARRAY_LEN(dead),
                         NULL);
    if (call_is(&o.call, "remove", 1))
        return change_named(&o, "webhook-remove", "removed webhook ", "name");
    if (call_is(&o.call, "drop", 1))
        return change_named(&o, "webhook-drop", "dropped: ", "dropped");
    if (call_is(&o.call, "redeliver", 1))
        return change_named(&o, "webhook-redeliver", "sent again: ", "sent");
    return call_usage("webhook");
}
