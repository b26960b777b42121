/* main.c - `herald`: finds the command and runs it. */
#include <argp.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "herald/tool.h"

static const struct {
    const char *name;
    tool_command_f run;
    const char *summary;
} command[] = {
    { "sub", sub_main, "subscribe to somebody's event state and print it as it changes" },
    { "pub", pub_main, "publish event state and keep it alive" },
    { "user", user_main, "users of the broker: add, remove, list" },
    { "policy", policy_main,
      "who may see whose state: allow, confirm, polite, block, publish, test" },
    { "explain", explain_main, "why a watcher sees what he sees" },
    { "package", package_main, "event packages of the broker" },
    { "subs", subs_main, "subscriptions that the broker holds" },
    { "pubs", pubs_main, "publications that the broker holds" },
    { "bindings", bindings_main, "where the registered phones are" },
    { "unregister", unregister_main, "end a registration" },
    { "watchers", watchers_main, "who watches a resource" },
    { "audit", audit_main, "who watched what, when, from where, under which rule" },
    { "resources", resources_main, "resources that have state or subscribers" },
    { "sick", sick_main, "subscriptions whose subscriber does not answer" },
    { "latency", latency_main, "how long things took lately" },
    { "status", status_main, "what the daemon is doing" },
    { "backup", backup_main, "copy what the broker keeps, while it works" },
    { "token", token_main, "tokens for programs that call over HTTP: add, list, remove" },
    { "webhook", webhook_main, "addresses on the web that are told: add, list, remove, dead" },
    { "play", play_main, "play scenario files against a live server" },
    { "trace", trace_main, "what the broker has recorded of somebody: messages and decisions" },
    { "ladder", ladder_main, "draw the call flow of several traces" },
};

static void
usage(FILE *to)
{
    fputs("herald " HERALD_VERSION " - a SIP event broker's tool\n\n"
          "Usage: herald COMMAND [OPTION...]\n\n",
          to);
    for (size_t i = 0; i < HD_ARRAY_LEN(command); i++)
        fprintf(to, "  %-9s %s\n", command[i].name, command[i].summary);
    fputs("\n`herald COMMAND --help` says more, and herald(1) the rest.\n", to);
}

int
main(int argc, char **argv)
{
    char name[64];

    setlocale(LC_TIME, "");
    argp_err_exit_status = TOOL_USAGE;
    argp_program_version = "herald " HERALD_VERSION;
    if (argc < 2) {
        usage(stderr);
        return TOOL_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 && argc > 2) { /* herald help sub */
        static char help[] = "--help";
        argv[1] = argv[2];
        argv[2] = help;
        argc = 3;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return TOOL_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("herald " HERALD_VERSION);
        return TOOL_OK;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(command); i++) {
        if (strcmp(command[i].name, argv[1]) != 0)
            continue;
        snprintf(name, sizeof name, "herald %s", command[i].name);
        argv[1] = name;
        return command[i].run(argc - 1, argv + 1);
    }
    tool_problem("there is no command \"%s\"; `herald help` lists them", argv[1]);
    return TOOL_USAGE;
}
