/* sock.h - sockets as the kernel sees them: addresses turned both ways, and listening sockets
 * opened. Inside net/ only.  Thread: any. */
#ifndef HD_NET_SOCK_H
#define HD_NET_SOCK_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "net/net.h"

union net_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

#define NET_PROBLEM_SIZE 256

/** Fills in the kernel's form of an address; returns its length, 0 when addr has no family. */
socklen_t net_sockaddr_from(const struct hd_addr *addr, union net_sockaddr *ret);
/** The other way; false for a family that is neither IPv4 nor IPv6. */
bool net_sockaddr_to(const union net_sockaddr *from, struct hd_addr *ret_addr);

/**
 * Opens, sets up and binds the socket of a listener; a stream socket listens.
 * With several shards the socket joins the SO_REUSEPORT group of its address.  The first shard sees
 * first that nobody else holds the address, since the group would be shared silently with another
 * process of the same user.
 * @param ret_problem  with HD_EIO: one line that names the address, the step and why
 * @param ret_bound    the address that it got (port 0: chosen by the kernel)
 */
HD_NODISCARD enum hd_err net_sock_listen(const struct net_listener *listener,
                                         const struct net_params *params,
                                         char ret_problem[NET_PROBLEM_SIZE], int *ret_fd,
                                         struct hd_addr *ret_bound);
/** Sets what each of our stream sockets has: no delay, keep-alive probes.  Accepted ones have it
 * from their listening socket.  Failures do not matter. */
void net_sock_tune_stream(int fd);

#endif
