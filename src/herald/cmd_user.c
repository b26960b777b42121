/* cmd_user.c - `herald user`: who may log in, and what they are called. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "herald/call.h"
#include "herald/show.h"
#include "herald/tool.h"

#define ADDRESSES_MOST 8
#define FILE_MOST ((size_t)48 * 1024 * 1024) /* octets of a file of users */

enum {
    KEY_PASSWORD = CALL_KEY_FIRST,
    KEY_PASSWORD_FILE,
    KEY_REALM,
    KEY_USERNAME,
    KEY_ADDRESS,
    KEY_REPLACE
};

struct options {
    struct call call;
    const char *password, *password_file, *realm, *username;
    const char *address[ADDRESSES_MOST];
    unsigned n_addresses;
    bool replace;
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
    { 0 }
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
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
    default:
        return call_parse(key, state);
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = call_children,
    .args_doc = "add NAME\nimport FILE\nremove NAME\nlist",
    .doc = "The users of the broker: who may log in, and what they are called."
};

static void
show_added(const json_t *result, const void *context)
{
    (void)context;
    show_text(json_is_true(json_object_get(result, "replaced")) ? "new password for user "
                                                                : "added user ",
              json_object_get(result, "resource"));
    if (json_object_get(result, "password"))
        show_text("password: ", json_object_get(result, "password"));
}

static int
user_add(const struct options *o)
{
    json_t *args = show_args();
    char *password = NULL;
    size_t n;

    show_set(args, "name", o->call.word[1]);
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
    return call_ask(&o->call, "user-add", args, show_added, NULL);
}

static void
show_imported(const json_t *result, const void *context)
{
    (void)context;
    printf("added %lld users, replaced %lld\n",
           (long long)json_integer_value(json_object_get(result, "added")),
           (long long)json_integer_value(json_object_get(result, "replaced")));
}

static int
user_import(const struct options *o)
{
    json_t *args = show_args();
    size_t n;
    char *text = tool_file(o->call.word[1], FILE_MOST, &n);

    if (!text) {
        json_decref(args);
        return TOOL_FAILED;
    }
    json_t *value = json_stringn(text, n);
    explicit_bzero(text, n);
    free(text);
    if (!value) {
        tool_problem("%s: is not UTF-8", o->call.word[1]);
        json_decref(args);
        return TOOL_FAILED;
    }
    if (json_object_set_new(args, "text", value) != 0) {
        tool_problem("out of memory");
        return TOOL_FAILED;
    }
    show_set(args, "file", o->call.word[1]);
    show_set_true(args, "replace", o->replace);
    return call_ask(&o->call, "user-import", args, show_imported, NULL);
}

static void
show_removed(const json_t *result, const void *context)
{
    (void)context;
    show_text("removed user ", json_object_get(result, "name"));
}

int
user_main(int argc, char **argv)
{
    static const struct grid_column columns[] = { { "USER", "name", false },
                                                  { "RESOURCE", "resource", false },
                                                  { "REALM", "realm", false } };
    struct options o = { 0 };
    json_t *args;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (call_is(&o.call, "add", 1))
        return user_add(&o);
    if (call_is(&o.call, "import", 1))
        return user_import(&o);
    if (call_is(&o.call, "list", 0))
        return call_list(&o.call, "user-list", show_args(), "users", columns, HD_ARRAY_LEN(columns),
                         NULL);
    if (!call_is(&o.call, "remove", 1))
        return call_usage("user");
    args = show_args();
    show_set(args, "name", o.call.word[1]);
    return call_ask(&o.call, "user-remove", args, show_removed, NULL);
}
