/* tcp_send_test.c - what is sent over streams of a shard: connections that it opens and those that
 * there are, and peers who refuse, do not read or are gone. */
#include "net/tcp_test.h"

static void
refused_connection_is_told_to_each_owner(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr dead;
    int fd = peer_refusing(&dead);
    struct sends sends = { to_remote(&dead), { "M01a", "M01b" }, 7 };

    (void)state;
    host_do(host, do_sends, &sends);
    for (unsigned i = 0; i < 2; i++) {
        struct host_failure failure = host_failure(host, i);
        assert_int_equal(failure.owner, 7);
        assert_int_equal(failure.err, HD_EIO);
        assert_true(hd_addr_eq(&failure.flow.remote, &dead));
    }
    close(fd);
    assert_int_equal(host->n_closed, 0); /* nobody knew of it */
    assert_int_equal(net_shard_counters(host->net)->streams_open, 0);
    host_stop(host);
}

static void
connection_attempt_has_a_deadline(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    int server = peer_listen("127.0.0.1", 0, &to), filler;
    struct sends sends = { .text = { "M01a" }, .owner = 8 };

    (void)state;
    /* The kernel lets one wait and ignores who comes then. */
    filler = peer_connect(&to);
    params.connect_ms = SHORT_MS;
    host = start(&params);
    sends.flow = to_remote(&to);
    host_do(host, do_sends, &sends);
    assert_int_equal(host_failure(host, 0).owner, 8);
    close(filler);
    close(server);
    host_stop(host);
}

static void
messages_to_a_connecting_peer_wait_together(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to;
    int server = peer_listen("127.0.0.1", 5, &to), fd;
    struct sends sends = { to_remote(&to), { "M01a", "M01b", "M01c" }, 9 };
    struct host_packet packet;

    (void)state;
    host_do(host, do_sends, &sends);
    fd = peer_accept(server);
    tcp_expect(fd, "M01aM01bM01c", 12);
    /* The same connection again, and answers on it are packets. */
    host_do(host, do_sends, &sends);
    tcp_expect(fd, "M01aM01bM01c", 12);
    host->echo = false;
    tcp_write(fd, "M02ok", 5);
    packet = host_packet(host, 0);
    assert_int_equal(packet.n, 5);
    assert_true(hd_addr_eq(&packet.flow.remote, &to));
    assert_int_equal(net_shard_counters(host->net)->streams_opened, 1);
    assert_int_equal(host->n_failures, 0);
    close(fd);
    close(server);
    host_stop(host);
}

static void
shard_without_listeners_opens_connections(void **state)
{
    struct net_listener listener = listen_on(HD_UDP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    int server = peer_listen("127.0.0.1", 5, &to), fd;
    struct sends sends = { to_remote(&to), { "M01a" }, 1 };

    (void)state;
    host = start(&params);
    host_do(host, do_sends, &sends);
    fd = peer_accept(server);
    tcp_expect(fd, "M01a", 4);
    tcp_write(fd, "M01b", 4);
    tcp_expect(fd, "M01b", 4); /* its echo */
    close(fd);
    host_wait(host, &host->n_closed, 1);
    host_stop(host);
    params.n_listeners = 0; /* no socket at all */
    host = start(&params);
    host_do(host, do_sends, &sends);
    fd = peer_accept(server);
    tcp_expect(fd, "M01a", 4);
    close(fd);
    close(server);
    host_stop(host);
}

static void
new_connection_leaves_from_the_local_address(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to, source = addr_of("127.0.0.7", 5060);
    int server = peer_listen("127.0.0.1", 5, &to), fd;
    struct sends sends = { to_remote(&to), { "M01a" }, 1 };
    struct host_packet packet;

    (void)state;
    sends.flow.local = source;
    sends.flow.listener = 5;
    host_do(host, do_sends, &sends);
    fd = peer_accept(server);
    tcp_expect(fd, "M01a", 4);
    tcp_write(fd, "M01b", 4);
    packet = host_packet(host, 0);
    assert_true(hd_addr_same_ip(&packet.flow.local, &source));
    assert_int_equal(packet.flow.listener, 5);
    close(fd);
    close(server);
    host_stop(host);
}

static void
message_for_an_address_uses_the_peers_own_connection(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host), own;
    int fd = peer_connect(&to);
    struct sends sends = { .text = { "M02hi" }, .owner = 1 };

    (void)state;
    own = peer_local(fd);
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    sends.flow = to_remote(&own);
    host_do(host, do_sends, &sends);
    tcp_expect(fd, "M02hi", 5);
    assert_int_equal(net_shard_counters(host->net)->streams_opened, 0);
    close(fd);
    host_stop(host);
}

static void
connection_that_is_gone_fails_the_message(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);
    struct sends sends = { .text = { "M01x" }, .owner = 11 };
    uint64_t old, next;

    (void)state;
    tcp_write(fd, "M01x", 4);
    sends.flow = host_packet(host, 0).flow;
    old = sends.flow.conn;
    close(fd);
    assert_int_equal(host_closed(host, 0), old);
    host_do(host, do_sends, &sends);
    assert_int_equal(host_failure(host, 0).err, HD_ENOMATCH);
    /* Nor does it find who has its place now. */
    fd = peer_connect(&to);
    tcp_write(fd, "M01y", 4);
    tcp_expect(fd, "M01y", 4);
    next = host_packet(host, 1).flow.conn;
    assert_int_equal((uint32_t)next, (uint32_t)old);
    host_do(host, do_sends, &sends);
    assert_int_equal(host_failure(host, 1).err, HD_ENOMATCH);
    sends.flow.conn = next + ((uint64_t)1 << HD_CONN_SHARD_SHIFT); /* another shard's */
    host_do(host, do_sends, &sends);
    assert_int_equal(host_failure(host, 2).err, HD_ENOMATCH);
    assert_int_equal(host_failure(host, 2).owner, 11);
    close(fd);
    host_stop(host);
}

static void
cap_holds_for_connections_that_we_open(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    int server = peer_listen("127.0.0.1", 5, &to);
    struct sends sends = { to_remote(&to), { "M01a" }, 12 };

    (void)state;
    params.max_connections = 0;
    host = start(&params);
    host_do(host, do_sends, &sends);
    assert_int_equal(host_failure(host, 0).err, HD_EFULL);
    close(server);
    host_stop(host);
}

static void
flood(struct host *host, void *arg)
{
    const struct sends *sends = arg;
    size_t size = 50000;

    for (unsigned i = 0; i < 2000; i++) { /* 100 MB: more than any socket's buffers */
        char *p = net_reserve(host->net, size);
        HD_ASSERT(p);
        memset(p, 'z', size);
        net_commit(host->net, &sends->flow, size, sends->owner + i);
    }
}

static void
peer_who_does_not_read_loses_his_connection(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);
    struct sends sends = { .owner = 100 };

    (void)state;
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    sends.flow = host_packet(host, 0).flow;
    host_do(host, flood, &sends);
    assert_int_equal(host_failure(host, 0).err, HD_EFULL);
    host_wait(host, &host->n_closed, 1);
    /* What has left does not fail, and each failure is told once, in order. */
    assert_true(host_failure(host, 0).owner > 100);
    for (unsigned i = 1; i < 100; i++)
        assert_int_equal(host_failure(host, i).owner, host_failure(host, 0).owner + i);
    close(fd);
    host_stop(host);
}

static void
send_forty(struct host *host, void *arg)
{
    const struct sends *sends = arg;

    for (unsigned i = 0; i < 40; i++) {
        char *p = net_reserve(host->net, 50000);
        HD_ASSERT(p);
        memset(p, 'z', 50000);
        net_commit(host->net, &sends->flow, 50000, sends->owner + i);
    }
}

static void
what_the_kernel_took_and_the_peer_did_not_fails_too(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    struct sends sends = { .owner = 100 };
    struct linger linger = { .l_onoff = 1 };
    uint64_t first, out;
    int fd, small = 8192;

    (void)state;
    params.max_queued = 4 << 20;
    host = start(&params);
    to = bound(host);
    fd = peer_connect(&to);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    sends.flow = host_packet(host, 0).flow;
    host_do(host, send_forty, &sends);
    wait_counter(&net_shard_counters(host->net)->octets_out, 100000);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    host_wait(host, &host->n_closed, 1);
    first = host_failure(host, 0).owner - 100;
    out = net_shard_counters(host->net)->octets_out;
    assert_true((first + 1) * 50000 < out);
    for (unsigned i = 0; first + i < 40; i++)
        assert_int_equal(host_failure(host, i).owner, 100 + first + i);
    host_stop(host);
}

static void
slow_reader_gets_everything_in_order(void **state)
{
    enum { N = 150, SIZE = 100000 }; /* more than the kernel's buffers take */
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    struct sends sends = { .owner = 1 };
    char *text = malloc(SIZE + 1);
    int fd;

    (void)state;
    params.max_queued = (size_t)N * SIZE * 2;
    host = start(&params);
    to = bound(host);
    fd = peer_connect(&to);
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    sends.flow = host_packet(host, 0).flow;
    sends.text[0] = text;
    text[SIZE] = '\0';
    for (unsigned i = 0; i < N; i++) {
        memset(text, 'a' + (int)(i % 26), SIZE);
        host_do(host, do_sends, &sends);
    }
    for (unsigned i = 0; i < N; i++) {
        memset(text, 'a' + (int)(i % 26), SIZE);
        tcp_expect(fd, text, SIZE);
    }
    assert_int_equal(host->n_failures, 0);
    free(text);
    close(fd);
    host_stop(host);
}

static void
do_sends_and_stop(struct host *host, void *arg)
{
    do_sends(host, arg);
    net_shard_stop(host->net);
}

static void
what_is_queued_leaves_before_the_run_ends(void **state)
{
    enum { SIZE = 500000 };
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    char *text = malloc(SIZE + 1);
    int fd = peer_connect(&to);
    struct sends sends = { .text = { text }, .owner = 1 };

    (void)state;
    memset(text, 'q', SIZE);
    text[SIZE] = '\0';
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    sends.flow = host_packet(host, 0).flow;
    host_do(host, do_sends_and_stop, &sends);
    tcp_expect(fd, text, SIZE);
    host_stop(host);
    tcp_expect_end(fd);
    free(text);
    close(fd);
}

static void
peer_who_does_not_read_does_not_keep_the_run_from_ending(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    struct sends sends = { .owner = 0 };
    int fd;

    (void)state;
    params.max_queued = 128 << 20;
    host = start(&params);
    to = bound(host);
    fd = peer_connect(&to);
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    sends.flow = host_packet(host, 0).flow;
    host_do(host, flood, &sends);
    host_stop(host);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_connection_is_told_to_each_owner),
        cmocka_unit_test(connection_attempt_has_a_deadline),
        cmocka_unit_test(messages_to_a_connecting_peer_wait_together),
        cmocka_unit_test(shard_without_listeners_opens_connections),
        cmocka_unit_test(new_connection_leaves_from_the_local_address),
        cmocka_unit_test(message_for_an_address_uses_the_peers_own_connection),
        cmocka_unit_test(connection_that_is_gone_fails_the_message),
        cmocka_unit_test(cap_holds_for_connections_that_we_open),
        cmocka_unit_test(peer_who_does_not_read_loses_his_connection),
        cmocka_unit_test(what_the_kernel_took_and_the_peer_did_not_fails_too),
        cmocka_unit_test(slow_reader_gets_everything_in_order),
        cmocka_unit_test(what_is_queued_leaves_before_the_run_ends),
        cmocka_unit_test(peer_who_does_not_read_does_not_keep_the_run_from_ending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
