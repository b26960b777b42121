/* tool.h - what the commands of `herald` share: exit codes, messages, the table of commands. */
#ifndef HERALD_TOOL_H
#define HERALD_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum tool_exit {
    TOOL_OK = 0,
    TOOL_FAILED = 1,      /* the server refused, or something else failed */
    TOOL_USAGE = 2,       /* the command line is wrong */
    TOOL_TIMEOUT = 3,     /* no answer in time */
    TOOL_UNREACHABLE = 4, /* cannot connect */
};

/** A command: argv[0] is "herald NAME".  Returns a tool_exit. */
typedef int (*tool_command_f)(int argc, char **argv);
int sub_main(int argc, char **argv);
int pub_main(int argc, char **argv);
int trace_main(int argc, char **argv);
int ladder_main(int argc, char **argv);
int resources_main(int argc, char **argv);
int sick_main(int argc, char **argv);
int latency_main(int argc, char **argv);
int play_main(int argc, char **argv);
int user_main(int argc, char **argv);
int policy_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int package_main(int argc, char **argv);
int subs_main(int argc, char **argv);
int pubs_main(int argc, char **argv);
int bindings_main(int argc, char **argv);
int unregister_main(int argc, char **argv);
int watchers_main(int argc, char **argv);
int audit_main(int argc, char **argv);
int status_main(int argc, char **argv);
int backup_main(int argc, char **argv);
int token_main(int argc, char **argv);
int webhook_main(int argc, char **argv);

/** "herald: ..." and a newline on standard error.  Wire data must be escaped before. */
void tool_problem(const char *format, ...) HD_PRINTF(1, 2);
/** A duration option of at least least_s and at most 2^31-1 seconds; false after a message. */
bool tool_seconds(const char *option, const char *text, uint32_t least_s, uint32_t *ret_s);
/** Whether a text can be the value of Resource-Priority (RFC 4412 section 3.1); a line on stderr
 * when not. */
#define TOOL_PRIORITY_MAX 255u
bool tool_priority(const char *text);
/** HOST[:PORT] or [IPV6]:PORT in two strings, which the caller frees. */
void tool_host_port(const char *text, const char *usual_port, char **ret_host, char **ret_port);
/** The whole of a file ("-": standard input), at most max octets; NULL after a message.  Caller
 * frees. */
char *tool_file(const char *path, size_t max, size_t *ret_n);
/** malloc that ends the program with a message instead of failing: for the commands, which have
 * nothing to keep. */
void *tool_alloc(size_t size);

#endif
