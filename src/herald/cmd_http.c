/* cmd_http.c - `herald token` and `herald webhook`: who may call over HTTP, and who is called. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "herald/admin.h"
#include "herald/show.h"
#include "herald/tool.h"

enum { KEY_SOCKET = 0x100, KEY_JSON, KEY_SCOPE, KEY_URL, KEY_SECRET, KEY_WHEN, KEY_AS, KEY_MODE };

struct options {
    const char *socket, *package, *url, *secret, *when, *as, *mode;
    json_t *scopes;
    bool json;
    const char *word[4];
    unsigned n;
};

static const struct argp_option common_options[] = {
    { "socket", KEY_SOCKET, "PATH", 0,
      "the daemon's admin socket (default: $HERALD_SOCKET, run/herald.sock, "
      "/run/herald/herald.sock)",
      10 },
    { "json", KEY_JSON, NULL, 0, "print the daemon's result as JSON", 10 },
    { 0 }
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
    case KEY_SOCKET:
        o->socket = arg;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
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
    case ARGP_KEY_ARG:
        if (o->n == HD_ARRAY_LEN(o->word))
            return ARGP_ERR_UNKNOWN;
        o->word[o->n++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp common_argp = { .options = common_options, .parser = parse };
static const struct argp_child children[] = { { &common_argp, 0, NULL, 0 }, { 0 } };

/* argp hands an option to the parser that knows it, and input to all. */
static error_t
parse_own(int key, char *arg, struct argp_state *state)
{
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        return 0;
    }
    return parse(key, arg, state);
}

static bool
word_is(const struct options *o, const char *verb, unsigned more)
{
    return o->n == more + 1 && strcmp(o->word[0], verb) == 0;
}

static int
usage(const char *command)
{
    tool_problem("`herald %s --help` says how it is used", command);
    return TOOL_USAGE;
}

/* A call whose result is one line for people: before, and the value of a key. */
static int
change(const struct options *o, const char *call, json_t *args, const char *before, const char *key)
{
    json_t *result = NULL;
    int code = admin_call(o->socket, call, args, &result);

    const json_t *value = json_object_get(result, key);
    if (!code && o->json) {
        show_json(result);
    } else if (!code) {
        if (json_is_integer(value))
            printf("%s%lld\n", before, (long long)json_integer_value(value));
        else
            show_text(before, value);
        if (json_object_get(result, "token"))
            show_text("token: ", json_object_get(result, "token"));
        if (json_object_get(result, "secret"))
            show_text("secret: ", json_object_get(result, "secret"));
    }
    json_decref(result);
    return code;
}

static int
list(const struct options *o, const char *call, const char *key, const struct grid_column *columns,
     size_t n)
{
    json_t *result = NULL;
    int code = admin_call(o->socket, call, show_args(), &result);

    if (!code)
        code = show_list(o->json, result, key, columns, n);
    json_decref(result);
    return code;
}

static int
token_run(const struct options *o)
{
    static const struct grid_column columns[] = { { "ID", "id", false },
                                                  { "USER", "user", false },
                                                  { "RIGHTS", "scopes", false } };
    json_t *args;

    if (word_is(o, "list", 0))
        return list(o, "token-list", "tokens", columns, HD_ARRAY_LEN(columns));
    if (word_is(o, "remove", 1)) {
        args = show_args();
        show_set(args, "name", o->word[1]);
        return change(o, "token-remove", args, "removed token ", "name");
    }
    if (!word_is(o, "add", 1))
        return usage("token");
    args = show_args();
    show_set(args, "user", o->word[1]);
    if (o->scopes)
        (void)json_object_set(args, "scopes", o->scopes);
    return change(o, "token-add", args, "added token ", "id");
}

int
token_main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = token_options,
        .parser = parse_own,
        .children = children,
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

    show_set(args, "resource", o->word[1]);
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
        .parser = parse_own,
        .children = children,
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
    json_t *args;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (word_is(&o, "add", 1))
        return change(&o, "webhook-add", hook_args(&o), "added webhook ", "id");
    if (word_is(&o, "list", 0))
        return list(&o, "webhook-list", "webhooks", columns, HD_ARRAY_LEN(columns));
    if (word_is(&o, "dead", 0))
        return list(&o, "webhook-dead", "dead", dead, HD_ARRAY_LEN(dead));
    if (!word_is(&o, "remove", 1) && !word_is(&o, "redeliver", 1) && !word_is(&o, "drop", 1))
        return usage("webhook");
    args = show_args();
    show_set(args, "name", o.word[1]);
    if (word_is(&o, "remove", 1))
        return change(&o, "webhook-remove", args, "removed webhook ", "name");
    if (word_is(&o, "drop", 1))
        return change(&o, "webhook-drop", args, "dropped: ", "dropped");
    return change(&o, "webhook-redeliver", args, "sent again: ", "sent");
}
