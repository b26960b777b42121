/* cmd_user.c - `herald user`: who may log in, and what they are called. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "herald/admin.h"
#include "herald/grid.h"
#include "herald/show.h"
#include "herald/tool.h"

#define ADDRESSES_MOST 8
#define FILE_MOST ((size_t)48 * 1024 * 1024) /* octets of a file of users */

enum {
    KEY_SOCKET = 0x100,
    KEY_JSON,
    KEY_PASSWORD,
    KEY_PASSWORD_FILE,
    KEY_REALM,
    KEY_USERNAME,
    KEY_ADDRESS,
    KEY_REPLACE
};

struct options {
    const char *socket, *password, *password_file, *realm, *username;
    const char *address[ADDRESSES_MOST];
    unsigned n_addresses;
    bool json, replace;
    const char *word[2];
    unsigned n;
};

static const struct argp_option options[] = {
    { "password", KEY_PASSWORD, "TEXT", 0,
      "the password (others on this machine can see it; default: one is made up and printed)", 1 },
    { "password-file", KEY_PASSWORD_FILE, "FILE", 0,
      "it is the first line of FILE (-: of standard input)", 1 },
    { "realm", KEY_REALM, "REALM", 0, "log in to REALM with it (default: the first one)", 2 },
    { "username", KEY_USERNAME, "NAME", 0, "log in there by NAME (default: the user's name)", 2 },
    { "address", KEY_ADDRESS, "ADDRESS", 0,
      "an address of record, in the place of those that he has (may be repeated; the first is what "
      "he is shown as; default: the one that his name makes)",
      2 },
    { "replace", KEY_REPLACE, NULL, 0, "import: take the file's users for those that are there",
      3 },
    { "socket", KEY_SOCKET, "PATH", 0,
      "the daemon's admin socket (default: $HERALD_SOCKET, run/herald.sock, "
      "/run/herald/herald.sock)",
      10 },
    { "json", KEY_JSON, NULL, 0, "print the daemon's result as JSON", 10 },
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
    case KEY_PASSWORD:
        o->password = arg;
        return 0;
    case KEY_PASSWORD_FILE:
        o->password_file = arg;
        return 0;
    case KEY_REALM:
        o->realm = arg;
        return 0;
    case KEY_USERNAME:
        o->username = arg;
        return 0;
    case KEY_ADDRESS:
        if (o->n_addresses == ADDRESSES_MOST)
            argp_error(state, "--address: at most %d", ADDRESSES_MOST);
        o->address[o->n_addresses++] = arg;
        return 0;
    case KEY_REPLACE:
        o->replace = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->n == HD_ARRAY_LEN(o->word))
            argp_error(state, "too many words");
        o->word[o->n++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = { options,
                                  parse,
                                  "add NAME\nimport FILE\nremove NAME\nlist",
                                  "The users of the broker: who may log in, and what they are "
                                  "called.",
                                  NULL,
                                  NULL,
                                  NULL };

static bool
word_is(const struct options *o, const char *verb, unsigned words)
{
    return o->n == words && strcmp(o->word[0], verb) == 0;
}

static int
user_add(const struct options *o)
{
    json_t *args = show_args(), *result = NULL;
    char *password = NULL;
    size_t n;

    show_set(args, "name", o->word[1]);
    if (o->password_file) {
        password = tool_file(o->password_file, 4096, &n);
        if (!password) {
            json_decref(args);
            return TOOL_FAILED;
        }
        password[strcspn(password, "\r\n")] = '\0';
    }
    show_set(args, "password", password ? password : o->password);
    show_set(args, "realm", o->realm);
    show_set(args, "username", o->username);
    if (o->n_addresses > 0)
        show_set_words(args, "addresses", o->address, o->n_addresses);
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
    int code = admin_call(o->socket, "user-add", args, &result);
    if (code)
        return code;
    if (o->json) {
        show_json(result);
    } else {
        show_text(json_is_true(json_object_get(result, "replaced")) ? "new password for user "
                                                                    : "added user ",
                  json_object_get(result, "resource"));
        if (json_object_get(result, "password"))
            show_text("password: ", json_object_get(result, "password"));
    }
    json_decref(result);
    return TOOL_OK;
}

static int
user_import(const struct options *o)
{
    json_t *args = show_args(), *result = NULL;
    size_t n;
    char *text = tool_file(o->word[1], FILE_MOST, &n);

    if (!text) {
        json_decref(args);
        return TOOL_FAILED;
    }
    json_t *value = json_stringn(text, n);
    explicit_bzero(text, n);
    free(text);
    if (!value) {
        tool_problem("%s: is not UTF-8", o->word[1]);
        json_decref(args);
        return TOOL_FAILED;
    }
    if (json_object_set_new(args, "text", value) != 0) {
        tool_problem("out of memory");
        return TOOL_FAILED;
    }
    show_set(args, "file", o->word[1]);
    show_set_true(args, "replace", o->replace);
    int code = admin_call(o->socket, "user-import", args, &result);
    if (!code && o->json)
        show_json(result);
    else if (!code)
        printf("added %lld users, replaced %lld\n",
               (long long)json_integer_value(json_object_get(result, "added")),
               (long long)json_integer_value(json_object_get(result, "replaced")));
    json_decref(result);
    return code;
}

int
user_main(int argc, char **argv)
{
    static const struct grid_column columns[] = { { "USER", "name", false },
                                                  { "RESOURCE", "resource", false },
                                                  { "REALM", "realm", false } };
    struct options o = { 0 };
    json_t *args, *result = NULL;
    int code;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (word_is(&o, "add", 2))
        return user_add(&o);
    if (word_is(&o, "import", 2))
        return user_import(&o);
    args = show_args();
    if (word_is(&o, "remove", 2)) {
        show_set(args, "name", o.word[1]);
        code = admin_call(o.socket, "user-remove", args, &result);
        if (!code && o.json)
            show_json(result);
        else if (!code)
            show_text("removed user ", json_object_get(result, "name"));
    } else if (word_is(&o, "list", 1)) {
        code = admin_call(o.socket, "user-list", args, &result);
        if (!code)
            code = show_list(o.json, result, "users", columns, HD_ARRAY_LEN(columns));
    } else {
        json_decref(args);
        tool_problem("`herald user --help` says how it is used");
        return TOOL_USAGE;
    }
    json_decref(result);
    return code;
}
