/* link.h - runs a client over real sockets (net_shard), with the program's signals and its standard
 * input as events of the same loop.
 * Thread: everything on the caller's; a thread of the link's own waits for signals and lines. */
#ifndef HERALD_LINK_H
#define HERALD_LINK_H

#include "herald/client.h"
#include "herald/peer.h"

struct link;

#define LINK_LINE_MAX 60000u /* octets of one line of standard input */

struct link_params {
    const struct peer_options *options;
    const struct peer *peer;
    void *context;
    /** The client is there and may send. */
    void (*begin)(void *context);
    /** SIGINT, SIGTERM or SIGHUP; count is 1 for the first. */
    void (*interrupted)(void *context, unsigned count);
    /** A line that link_want_line asked for, without its newline; p NULL: standard input ended. */
    void (*line)(void *context, struct hd_slice line);
    bool lines; /* standard input is read at all */
};

/** Opens the sockets.  Returns TOOL_OK, or another tool_exit after a message. */
int link_open(const struct link_params *params, struct link **ret_link);
struct ua_client *link_client(struct link *link);
/** Runs until link_stop. */
void link_run(struct link *link);
void link_stop(struct link *link);
/** Asks for one line. */
void link_want_line(struct link *link);
void link_close(struct link *link);

#endif
