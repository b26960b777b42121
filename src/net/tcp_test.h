/* tcp_test.h - what the tests of streams share. */
#ifndef HD_NET_TCP_TEST_H
#define HD_NET_TCP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/test_host.h"

#define SHORT_MS 40

/* Waits until the shard has read n octets in all, so that the next write is a read of its own. */
static inline void
wait_octets(struct host *host, uint64_t n)
{
    wait_counter(&net_shard_counters(host->net)->octets_in, n);
}

static inline struct host *
start(struct net_params *params)
{
    struct host *host = host_new();

    host->echo = true;
    host_start(host, params);
    return host;
}

static inline struct hd_addr
bound(const struct host *host)
{
    return net_shard_bound(host->net, 0);
}

struct sends {
    struct hd_flow flow;
    const char *text[4]; /* messages, NULL after the last */
    uint64_t owner;
};

static inline void
do_sends(struct host *host, void *arg)
{
    const struct sends *sends = arg;

    for (unsigned i = 0; i < HD_ARRAY_LEN(sends->text) && sends->text[i]; i++)
        host_send(host, &sends->flow, sends->text[i], strlen(sends->text[i]), sends->owner);
}

static inline struct hd_flow
to_remote(const struct hd_addr *remote)
{
    return (struct hd_flow){ .transport = HD_TCP, .remote = *remote };
}

#endif
