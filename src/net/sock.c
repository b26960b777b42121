/* sock.c - opening sockets, with every step's failure told in one line.
 * Sockets are never blocking and never inherited.  IPv6 sockets are IPv6 only: an IPv4 peer is
 * always seen with its IPv4 address, on a listener that the configuration names. */
#include "net/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/steer.h"

#define BACKLOG 1024
/* A peer that vanished (NAT rebooted) is noticed within about seven minutes, also when its
 * connection is kept for a subscription and nothing is sent. */
#define KEEP_IDLE_S 300
#define KEEP_INTERVAL_S 30
#define KEEP_COUNT 4

socklen_t
net_sockaddr_from(const struct hd_addr *addr, union net_sockaddr *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (addr->family == 4) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(addr->port);
        memcpy(&ret->v4.sin_addr, addr->ip, 4);
        return sizeof(ret->v4);
    }
    if (addr->family == 6) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(addr->port);
        ret->v6.sin6_scope_id = addr->scope;
        memcpy(&ret->v6.sin6_addr, addr->ip, 16);
        return sizeof(ret->v6);
    }
    return 0;
}

bool
net_sockaddr_to(const union net_sockaddr *from, struct hd_addr *ret_addr)
{
    struct hd_addr addr = { 0 };

    if (from->any.sa_family == AF_INET) {
        addr.family = 4;
        addr.port = ntohs(from->v4.sin_port);
        memcpy(addr.ip, &from->v4.sin_addr, 4);
    } else if (from->any.sa_family == AF_INET6) {
        addr.family = 6;
        addr.port = ntohs(from->v6.sin6_port);
        addr.scope = from->v6.sin6_scope_id;
        memcpy(addr.ip, &from->v6.sin6_addr, 16);
    } else {
        return false;
    }
    *ret_addr = addr;
    return true;
}

static int
set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

void
net_sock_tune_stream(int fd)
{
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT);
}

/* Opens a socket that can be bound next; -1 and errno. */
static int
open_socket(const struct net_listener *listener)
{
    bool v6 = listener->addr.family == 6;
    int type = listener->transport == HD_UDP ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if ((v6 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0) ||
        (type == SOCK_STREAM && set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    if (type == SOCK_STREAM)
        net_sock_tune_stream(fd);
    return fd;
}

/* Whether the address can be had by a socket that shares it with nobody; 0, or -1 and errno. */
static int
probe(const struct net_listener *listener, const union net_sockaddr *name, socklen_t name_len)
{
    int fd = open_socket(listener), result, error;

    if (fd < 0)
        return -1;
    result = bind(fd, &name->any, name_len);
    error = errno;
    close(fd);
    errno = error;
    return result;
}

static int
set_up_datagram(int fd, const struct net_listener *listener, const struct net_params *params)
{
    bool v6 = listener->addr.family == 6, wildcard = hd_addr_is_any(&listener->addr);

    /* Only told when a queue ran over; old kernels and sandboxes may lack it. */
    (void)set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    if (params->receive_buffer > 0 &&
        set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, params->receive_buffer) < 0)
        (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, params->receive_buffer);
    if (v6) {
        if (wildcard && set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) < 0)
            return -1;
        return set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    }
    /* A datagram above the path's MTU is fragmented on its way and never lost to a forged
     * "fragmentation needed". */
    (void)set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    if (wildcard && set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) < 0)
        return -1;
    return set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
}

static enum hd_err
tell(char problem[NET_PROBLEM_SIZE], const struct net_listener *listener, const char *step)
{
    static const char *const names[] = {
        [HD_UDP] = "udp", [HD_TCP] = "tcp", [HD_TLS] = "tls", [HD_WS] = "ws", [HD_WSS] = "wss"
    };
    const char *why = strerrordesc_np(errno);
    char text[HD_ADDR_TEXT];

    (void)hd_addr_text(&listener->addr, text);
    (void)snprintf(problem, NET_PROBLEM_SIZE, "%s %s: %s: %s", names[listener->transport], text,
                   step, why ? why : "unknown error");
    return HD_EIO;
}

enum hd_err
net_sock_listen(const struct net_listener *listener, const struct net_params *params,
                char ret_problem[NET_PROBLEM_SIZE], int *ret_fd, struct hd_addr *ret_bound)
{
    union net_sockaddr name;
    socklen_t name_len = net_sockaddr_from(&listener->addr, &name);
    bool datagram = listener->transport == HD_UDP, group = params->shards > 1;
    const char *step = NULL;
    int fd = -1;

    errno = EAFNOSUPPORT;
    if (name_len == 0)
        step = "address";
    else if (group && params->shard == 0 && listener->addr.port != 0 &&
             probe(listener, &name, name_len) < 0)
        step = "bind";
    else if ((fd = open_socket(listener)) < 0)
        step = "socket";
    else if (group && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
        step = "share the port between shards";
    else if (datagram && set_up_datagram(fd, listener, params) < 0)
        step = "socket options";
    else if (bind(fd, &name.any, name_len) < 0)
        step = "bind";
    else if (datagram && group && params->shard == 0 && net_steer_attach(fd, params->shards) < 0)
        step = "steer datagrams";
    else if (!datagram && listen(fd, BACKLOG) < 0)
        step = "listen";
    name_len = sizeof(name);
    if (!step && (getsockname(fd, &name.any, &name_len) < 0 || !net_sockaddr_to(&name, ret_bound)))
        step = "getsockname";
    if (step) {
        enum hd_err err = tell(ret_problem, listener, step);
        if (fd >= 0)
            close(fd);
        return err;
    }
    *ret_fd = fd;
    return HD_OK;
}
