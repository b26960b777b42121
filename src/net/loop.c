/* loop.c - the turns of a shard: poll, read, tell, work, flush.
 * One turn is one pass of the libuv loop (its callbacks read packets and hand them on), then timers
 * of connections, then what could not be sent, then on.turn, then one flush for all that was
 * committed.
 *
 * Invariants: the owner is called from the loop's callbacks and from here, never from
 * inside a function that it called itself; every such call is followed by on.turn before the loop
 * sleeps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/impl.h"
#include "net/tls.h"

/* How long net_shard_run may take at its end to get rid of what was committed. */
#define DRAIN_MS 1000

uint64_t
net_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void
net_stir(struct net_shard *net)
{
    net->stirred = true;
    net->now_ms = net_now_us() / 1000;
}

void
net_fail(struct net_shard *net, uint64_t owner, const struct hd_flow *flow, enum hd_err err)
{
    if (owner == 0)
        return;
    if (net->n_failures == net->failures_cap) {
        size_t cap = net->failures_cap ? net->failures_cap * 2 : 64;
        struct net_failure *failures = realloc(net->failures, cap * sizeof(*failures));
        if (!failures)
            return;
        net->failures = failures;
        net->failures_cap = cap;
    }
    net->failures[net->n_failures++] = (struct net_failure){ owner, *flow, err };
}

/* Tells what has failed so far; what fails while it is told waits for the next turn. */
static void
tell_failures(struct net_shard *net)
{
    size_t n = net->n_failures;

    for (size_t i = 0; i < n; i++) {
        struct net_failure failure = net->failures[i]; /* the array may move */
        net->params.on.send_failed(net->params.on.context, failure.owner, &failure.flow,
                                   failure.err);
    }
    net->n_failures -= n;
    if (n > 0)
        memmove(net->failures, net->failures + n, net->n_failures * sizeof(*net->failures));
}

static void
on_async(uv_async_t *async)
{
    net_stir(async->data);
}

static void
on_timer(uv_timer_t *timer)
{
    (void)timer; /* it only ends the sleep */
}

static void
on_wheel(void *context, struct hd_timer *timer)
{
    net_tcp_timer(context, timer);
}

/* Lets the loop run once; it sleeps at most until due_ms (UINT64_MAX: without end). */
static void
poll_once(struct net_shard *net, uint64_t due_ms)
{
    uint64_t now_ms = net_now_us() / 1000;

    if (due_ms <= now_ms) {
        (void)uv_run(&net->loop, UV_RUN_NOWAIT);
        return;
    }
    if (due_ms != UINT64_MAX) {
        uv_update_time(&net->loop);
        (void)uv_timer_start(&net->timer, on_timer, due_ms - now_ms, 0);
    }
    (void)uv_run(&net->loop, UV_RUN_ONCE);
    (void)uv_timer_stop(&net->timer);
}

static uint64_t
later(uint64_t now_ms, uint64_t wait_ms)
{
    return wait_ms > UINT64_MAX - 1 - now_ms ? UINT64_MAX : now_ms + wait_ms;
}

/* Everything of a turn but the polling.  Returns when the next is due. */
static uint64_t
turn(struct net_shard *net)
{
    uint64_t now_us = net_now_us(), wait_ms, due_ms, wheel_due_ms;

    net->stirred = false;
    net->now_ms = now_us / 1000;
    (void)hd_wheel_advance(&net->wheel, net->now_ms, on_wheel, net);
    tell_failures(net);
    net_tcp_tell(net);
    wait_ms = net->params.on.turn(net->params.on.context, now_us);
    net->owner_goes_on = wait_ms == 0;
    due_ms = later(net->now_ms, wait_ms);
    net_udp_flush(net);
    net_tcp_flush(net);
    wheel_due_ms = later(net->wheel.now_ms, hd_wheel_wait_ms(&net->wheel));
    if (net->n_failures > 0 || net->tcp.gone)
        return 0;
    return due_ms < wheel_due_ms ? due_ms : wheel_due_ms;
}

static void
drain(struct net_shard *net)
{
    uint64_t end_ms = net_now_us() / 1000 + DRAIN_MS;

    net->draining = true;
    net_udp_drain(net);
    net_tcp_drain(net);
    for (;;) {
        net_udp_flush(net);
        net_tcp_flush(net);
        if ((!net_udp_waiting(net) && !net_tcp_waiting(net)) || net_now_us() / 1000 >= end_ms)
            return;
        poll_once(net, end_ms);
    }
}

void
net_shard_run(struct net_shard *net)
{
    uint64_t due_ms = 0;

    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    do {
        poll_once(net, due_ms);
        /* The loop's clock may be a little behind: a sleep that ended early goes on. */
        while (!net->stirred && due_ms > net_now_us() / 1000)
            poll_once(net, due_ms);
        due_ms = turn(net);
    } while (!atomic_load_explicit(&net->stop, memory_order_acquire));
    drain(net);
}

void
net_shard_stop(struct net_shard *net)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    atomic_store_explicit(&net->stop, true, memory_order_release);
    (void)uv_async_send(&net->async);
}

void
net_shard_wake(void *context)
{
    struct net_shard *net = context;

    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    (void)uv_async_send(&net->async);
}

static enum hd_err
copy_listeners(struct net_shard *net, const struct net_params *params)
{
    size_t n = params->n_listeners;

    HD_ASSERT(n < UINT8_MAX); /* the configuration has checked it */
    net->listeners = calloc(n + 1, sizeof(*net->listeners));
    net->bound = calloc(n + 1, sizeof(*net->bound));
    if (!net->listeners || !net->bound)
        return HD_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        net->listeners[i] = params->listeners[i];
    }
    net->params.listeners = net->listeners;
    return HD_OK;
}

static enum hd_err
open_loop(struct net_shard *net, char problem[256])
{
    int result = uv_loop_init(&net->loop);

    net->has_loop = result == 0;
    if (result == 0) {
        result = uv_async_init(&net->loop, &net->async, on_async);
        net->has_async = result == 0;
        net->async.data = net;
    }
    if (result == 0) {
        result = uv_timer_init(&net->loop, &net->timer);
        net->has_timer = result == 0;
    }
    if (result == 0)
        return HD_OK;
    (void)snprintf(problem, 256, "event loop: %s", uv_strerror(result));
    return result == UV_ENOMEM ? HD_ENOMEM : HD_EIO;
}

enum hd_err
net_shard_new(const struct net_params *params, char ret_problem[256], struct net_shard **ret_net)
{
    struct net_shard *net = aligned_alloc(64, (sizeof(*net) + 63) & ~(size_t)63);
    enum hd_err err;

    HD_ASSERT(params->shards > 0 && params->shard < params->shards && params->shards < 255);
    HD_ASSERT(params->on.turn && params->on.packet && params->on.frame);
    ret_problem[0] = '\0';
    if (!net)
        return HD_ENOMEM;
    memset(net, 0, sizeof(*net));
    net->magic = NET_SHARD_MAGIC;
    net->params = *params;
    net->tls = params->tls ? net_tls_ref(params->tls) : NULL;
    net->now_ms = net_now_us() / 1000;
    hd_wheel_init(&net->wheel, net->now_ms);
    err = copy_listeners(net, params);
    if (!err)
        err = open_loop(net, ret_problem);
    if (!err)
        err = net_udp_init(net, ret_problem);
    if (!err)
        err = net_tcp_init(net, ret_problem);
    if (!err)
        err = net_dns_init(net, ret_problem);
    if (err) {
        net_shard_free(net);
        return err;
    }
    *ret_net = net;
    return HD_OK;
}

void
net_shard_free(struct net_shard *net)
{
    if (!net)
        return;
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    net->draining = true;
    net_udp_done(net);
    net_tcp_done(net);
    net_dns_done(net);
    if (net->has_async)
        uv_close((uv_handle_t *)&net->async, NULL);
    if (net->has_timer)
        uv_close((uv_handle_t *)&net->timer, NULL);
    if (net->has_loop) {
        /* Only closing is left, so this returns once each handle's end has been told. */
        (void)uv_run(&net->loop, UV_RUN_DEFAULT);
        HD_ASSERT(uv_loop_close(&net->loop) == 0);
    }
    net_udp_free(net);
    net_tcp_free(net);
    (void)net_tls_unref(net->tls);
    net_dns_free(net);
    free(net->failures);
    free(net->listeners);
    free(net->bound);
    net->magic = 0;
    free(net);
}

struct hd_addr
net_shard_bound(const struct net_shard *net, size_t i)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    HD_ASSERT(i < net->params.n_listeners);
    return net->bound[i];
}

void
net_shard_close_listeners(struct net_shard *net)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    net_tcp_close_listeners(net);
}

char *
net_reserve(struct net_shard *net, size_t size)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    net->udp.reserved = net_udp_reserve(net, size);
    net->udp.reserved_n = size;
    return net->udp.reserved;
}

void
net_commit(struct net_shard *net, const struct hd_flow *flow, size_t n, uint64_t owner)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    HD_ASSERT(net->udp.reserved && n > 0 && n <= net->udp.reserved_n);
    if (flow->transport == HD_UDP)
        net_udp_commit(net, flow, n, owner);
    else if (flow->transport >= HD_TCP && flow->transport <= HD_WSS)
        net_tcp_commit(net, flow, hd_slice(net->udp.reserved, n), owner);
    else
        net_fail(net, owner, flow, HD_ENOTSUP);
    net->udp.reserved = NULL;
}

void
net_shard_tls(struct net_shard *net, struct net_tls *tls)
{
    struct net_tls *before = net->tls;

    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    net->tls = tls ? net_tls_ref(tls) : NULL;
    if (net->sessions) /* what the old rules allowed is looked at anew */
        net_sessions_clear(net->sessions);
    (void)net_tls_unref(before);
}

void
net_shard_origins(struct net_shard *net, size_t listener, const struct hd_slice *origins, size_t n)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    HD_ASSERT(listener < net->params.n_listeners);
    net->listeners[listener].origins = origins;
    net->listeners[listener].n_origins = n;
}

uint32_t
net_host(struct net_shard *net, struct hd_slice name)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    return net_names_get(&net->names, name);
}

void
net_host_done(struct net_shard *net, uint32_t host)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    net_names_put(&net->names, host);
}

struct hd_slice
net_peer(struct net_shard *net, uint64_t conn)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    return net_tcp_peer(net, conn);
}

void
net_close(struct net_shard *net, uint64_t conn)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    net_tcp_close(net, conn);
}

const struct net_counters *
net_shard_counters(const struct net_shard *net)
{
    HD_ASSERT_OBJ(net, NET_SHARD_MAGIC);
    return &net->counters;
}
