/* dns.c - questions to name servers, by c-ares on the shard's own loop: nothing here blocks.
 *
 * Only octets pass: who asked reads the answer himself, for the structures of c-ares say nothing of
 * how long a record may be kept.  c-ares tells which of its sockets want to be read or written;
 * each has a poll handle of ours, and one timer stands for all its timeouts. Invariant: every query
 * that was taken is answered once, but for those that are open at the end. */
#include <ares.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/impl.h"

#define CLASS_IN 1
#define UDP_ANSWER 1232 /* octets that a datagram may have (EDNS) */

struct net_dns_sock {
    uv_poll_t poll;
    struct net_dns_sock *next;
    struct net_shard *net;
    int fd;
};

struct net_dns {
    ares_channel channel;
    uv_timer_t timer;
    struct net_dns_sock *socks;
    bool has_library, has_channel;
    bool going;  /* it is being taken down: nobody is told any more */
    bool asking; /* inside ares_query: what fails at once is told later */
    struct net_dns_query *early, **early_end;
};

struct net_dns_query {
    struct net_shard *net;
    uint64_t ticket;
    struct net_dns_query *next;
};

/* --- the loop -------------------------------------------------------------------------------- */

static void
on_timeout(uv_timer_t *timer)
{
    struct net_shard *net = timer->data;

    net_stir(net);
    net_dns_process(net, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* The next timeout of c-ares, or that of what failed at once. */
static void
rearm(struct net_shard *net)
{
    struct net_dns *dns = net->dns;
    struct timeval wait;

    if (dns->early) {
        (void)uv_timer_start(&dns->timer, on_timeout, 0, 0);
    } else if (ares_timeout(dns->channel, NULL, &wait)) {
        uv_update_time(&net->loop);
        (void)uv_timer_start(&dns->timer, on_timeout,
                             (uint64_t)wait.tv_sec * 1000 + (uint64_t)wait.tv_usec / 1000 + 1, 0);
    } else {
        (void)uv_timer_stop(&dns->timer);
    }
}

static void
tell(struct net_dns_query *query, struct hd_slice octets)
{
    struct net_shard *net = query->net;
    uint64_t ticket = query->ticket;

    free(query);
    if (!net->dns->going && net->params.on.dns)
        net->params.on.dns(net->params.on.context, ticket, octets);
}

void
net_dns_process(struct net_shard *net, int readable, int writable)
{
    struct net_dns *dns = net->dns;
    struct net_dns_query *early = dns->early;

    dns->early = NULL;
    dns->early_end = &dns->early;
    while (early) {
        struct net_dns_query *next = early->next;
        tell(early, hd_slice(NULL, 0));
        early = next;
    }
    ares_process_fd(dns->channel, readable, writable);
    rearm(net);
}

static void
on_ready(uv_poll_t *poll, int status, int events)
{
    struct net_dns_sock *sock = poll->data;
    struct net_shard *net = sock->net;
    int fd = sock->fd;

    net_stir(net);
    if (status < 0) /* c-ares finds out what it is */
        events = UV_READABLE | UV_WRITABLE;
    net_dns_process(net, events & UV_READABLE ? fd : ARES_SOCKET_BAD,
                    events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
}

static void
on_sock_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
sock_close(struct net_dns *dns, struct net_dns_sock *sock)
{
    struct net_dns_sock **next = &dns->socks;

    while (*next != sock)
        next = &(*next)->next;
    *next = sock->next;
    (void)uv_poll_stop(&sock->poll);
    uv_close((uv_handle_t *)&sock->poll, on_sock_closed);
}

static struct net_dns_sock *
sock_open(struct net_shard *net, int fd)
{
    struct net_dns_sock *sock = calloc(1, sizeof(*sock));

    if (!sock || uv_poll_init(&net->loop, &sock->poll, fd)) {
        free(sock);
        return NULL;
    }
    sock->poll.data = sock;
    sock->net = net;
    sock->fd = fd;
    sock->next = net->dns->socks;
    net->dns->socks = sock;
    return sock;
}

/* c-ares says what it waits for; neither: it is about to close the socket. */
static void
on_sock_state(void *context, ares_socket_t fd, int readable, int writable)
{
    struct net_shard *net = context;
    struct net_dns_sock *sock = net->dns->socks;

    while (sock && sock->fd != fd)
        sock = sock->next;
    if (!readable && !writable) {
        if (sock)
            sock_close(net->dns, sock);
        return;
    }
    if (!sock)
        sock = sock_open(net, fd);
    if (sock) /* without one the query times out */
        (void)uv_poll_start(&sock->poll,
                            (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_ready);
}

/* --- questions ------------------------------------------------------------------------------- */

static void
on_answer(void *context, int status, int timeouts, unsigned char *octets, int n)
{
    struct net_dns_query *query = context;
    struct net_dns *dns = query->net->dns;

    (void)status; /* the octets say it themselves; without them there is no answer */
    (void)timeouts;
    if (dns->asking) {
        query->next = NULL;
        *dns->early_end = query;
        dns->early_end = &query->next;
        return;
    }
    tell(query, octets && n > 0 ? hd_slice((const char *)octets, (size_t)n) : hd_slice(NULL, 0));
}

enum hd_err
net_dns_query(struct net_shard *net, const char *name, unsigned type, uint64_t ticket)
{
    struct net_dns_query *query;

    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    if (net->dns->going)
        return HD_EIO;
    query = malloc(sizeof(*query));
    if (!query)
        return HD_ENOMEM;
    *query = (struct net_dns_query){ .net = net, .ticket = ticket };
    net->dns->asking = true;
    ares_query(net->dns->channel, name, CLASS_IN, (int)type, on_answer, query);
    net->dns->asking = false;
    rearm(net);
    return HD_OK;
}

/* --- life ------------------------------------------------------------------------------------ */

/* "192.0.2.1:53,[2001:db8::1]:53" */
static enum hd_err
set_servers(struct net_dns *dns, const struct net_dns_params *params)
{
    char list[NET_DNS_SERVERS * HD_ADDR_TEXT], text[HD_ADDR_TEXT];
    size_t n = 0;

    for (size_t i = 0; i < params->n_servers && i < NET_DNS_SERVERS; i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%.*s", i ? "," : "",
                              (int)hd_addr_text(&params->servers[i], text), text);
    if (n == 0)
        return HD_OK; /* those of /etc/resolv.conf */
    return ares_set_servers_ports_csv(dns->channel, list) == ARES_SUCCESS ? HD_OK : HD_EIO;
}

enum hd_err
net_dns_init(struct net_shard *net, char ret_problem[256])
{
    const struct net_dns_params *params = &net->params.dns;
    struct ares_options options = { .flags =
                                        ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
                                    .timeout = (int)params->timeout_ms,
                                    .tries = (int)params->attempts,
                                    .ednspsz = UDP_ANSWER,
                                    .sock_state_cb = on_sock_state,
                                    .sock_state_cb_data = net };
    int mask = ARES_OPT_FLAGS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ;
    int result;

    if (params->timeout_ms)
        mask |= ARES_OPT_TIMEOUTMS;
    if (params->attempts)
        mask |= ARES_OPT_TRIES;
    net->dns = calloc(1, sizeof(*net->dns));
    if (!net->dns)
        return HD_ENOMEM;
    net->dns->early_end = &net->dns->early;
    result = uv_timer_init(&net->loop, &net->dns->timer);
    HD_ASSERT(result == 0); /* it cannot fail */
    net->dns->timer.data = net;
    result = ares_library_init(ARES_LIB_INIT_ALL);
    net->dns->has_library = result == ARES_SUCCESS;
    if (result == ARES_SUCCESS)
        result = ares_init_options(&net->dns->channel, &options, mask);
    net->dns->has_channel = result == ARES_SUCCESS;
    if (result == ARES_SUCCESS && set_servers(net->dns, params) == HD_OK)
        return HD_OK;
    (void)snprintf(ret_problem, 256, "name servers: %s",
                   result == ARES_SUCCESS ? "they cannot be set" : ares_strerror(result));
    return result == ARES_ENOMEM ? HD_ENOMEM : HD_EIO;
}

void
net_dns_done(struct net_shard *net)
{
    struct net_dns *dns = net->dns;

    if (!dns)
        return;
    dns->going = true;
    if (dns->has_channel)
        ares_destroy(dns->channel); /* every open query is told, its memory goes in tell() */
    while (dns->early) {
        struct net_dns_query *query = dns->early;
        dns->early = query->next;
        free(query);
    }
    while (dns->socks)
        sock_close(dns, dns->socks);
    if (dns->has_library)
        ares_library_cleanup();
    uv_close((uv_handle_t *)&dns->timer, NULL);
}

void
net_dns_free(struct net_shard *net)
{
    free(net->dns);
    net->dns = NULL;
}
