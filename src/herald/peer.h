/* peer.h - the options that say with which server the tool talks SIP, as whom, and what of it is
 * shown; used by `sub` and `pub`. */
#ifndef HERALD_PEER_H
#define HERALD_PEER_H

#include <argp.h>

#include "base/addr.h"
#include "herald/client.h"
#include "herald/trace.h"

struct peer_options {
    const char *server, *local, *user, *password, *password_file, *from;
    const char *trace_to;
    const char *ca; /* --ca, NULL: the system's authorities */
    bool tcp, tls, insecure, json, verbose;
    enum trace_mode trace;
};

/* A child parser; its input is a struct peer_options. */
extern const struct argp peer_argp;

struct peer {
    struct hd_addr server;
    enum hd_transport transport; /* HD_UDP, HD_TCP or HD_TLS */
    char *server_name;           /* whom the server's certificate has to name */
    struct hd_addr local;        /* port 0: any */
    char *uri, *from;            /* with scheme */
    char *password;
    struct trace trace;
};
/** Makes of the options and the URI on the command line what the client needs.  Returns TOOL_OK, or
 * another tool_exit after a message. */
int peer_resolve(const struct peer_options *options, const char *uri, struct peer *ret_peer);
void peer_done(struct peer *peer);

/** One line on standard error for an answer that is no success: what it was, and what the server
 * says would help.  Returns the tool_exit that belongs to it. */
int peer_explain(const char *what, const struct ua_answer *answer);

#endif
