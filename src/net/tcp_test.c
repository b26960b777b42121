/* tcp_test.c - streams of a shard, with real sockets over loopback: what comes, deadlines and caps,
 * and how they close.  For frames see test_host.c. */
#include "net/tcp_test.h"

/* --- framing -------------------------------------------------------------------------------- */

static void
message_cut_anywhere_is_handed_on_whole(void **state)
{
    static const char message[] = "M10abcdefghij";
    const size_t n = sizeof(message) - 1;
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);
    uint64_t octets = 0;

    (void)state;
    for (size_t cut = 1; cut < n; cut++) {
        tcp_write(fd, message, cut);
        wait_octets(host, octets += cut);
        tcp_write(fd, message + cut, n - cut);
        octets += n - cut;
        tcp_expect(fd, message, n);
    }
    for (size_t i = 0; i < n; i++) {
        tcp_write(fd, message + i, 1);
        wait_octets(host, ++octets);
    }
    tcp_expect(fd, message, n);
    assert_int_equal(host_packet(host, n - 1).n, n);
    close(fd);
    host_stop(host);
}

static void
packet_names_its_connection_and_both_addresses(void **state)
{
    static const char *const ip[] = { "127.0.0.1", "0.0.0.0", "::1" };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(ip) - !peer_has_v6(); i++) {
        struct host *host = host_echo(HD_TCP, ip[i]);
        struct hd_addr to = addr_of(i == 2 ? "::1" : "127.0.0.1", bound(host).port), own;
        int fd = peer_connect(&to);
        struct hd_flow flow;

        own = peer_local(fd);
        tcp_write(fd, "M01x", 4);
        flow = host_packet(host, 0).flow;
        assert_int_equal(flow.transport, HD_TCP);
        assert_int_equal(hd_conn_shard(flow.conn), 0);
        assert_true(hd_addr_eq(&flow.local, &to));
        assert_true(hd_addr_eq(&flow.remote, &own));
        tcp_expect(fd, "M01x", 4);
        close(fd);
        assert_int_equal(host_closed(host, 0), flow.conn);
        host_stop(host);
    }
}

static void
several_messages_in_one_write_are_told_apart(void **state)
{
    static const char stream[] = "M01aM02bb\r\nM00\r\n\r\nM03ccc";
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);

    (void)state;
    tcp_write(fd, stream, sizeof(stream) - 1);
    tcp_expect(fd, "M01aM02bbM00\r\nM03ccc", 20);
    tcp_write(fd, "M01dM0", 6); /* one and a half */
    tcp_expect(fd, "M01d", 4);
    tcp_write(fd, "1e", 2);
    tcp_expect(fd, "M01e", 4);
    close(fd);
    host_stop(host);
}

static void
many_messages_fill_more_than_one_read(void **state)
{
    enum { N = 20000 };
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);
    char *stream = malloc(N * 5);

    (void)state;
    for (unsigned i = 0; i < N; i++)
        memcpy(stream + i * 5, "M02xy", 5);
    for (unsigned i = 0; i < 10; i++)
        tcp_write(fd, stream + i * N / 10 * 5, N / 10 * 5);
    tcp_expect(fd, stream, N * 5);
    free(stream);
    close(fd);
    host_stop(host);
}

static void
keep_alive_is_answered_and_may_come_in_parts(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);

    (void)state;
    tcp_write(fd, "\r\n\r\n", 4);
    tcp_expect(fd, "\r\n", 2);
    for (uint64_t cut = 1; cut < 4; cut++) {
        tcp_write(fd, "\r\n\r\n", cut);
        wait_octets(host, 4 * cut + cut);
        tcp_write(fd, &"\r\n\r\n"[cut], 4 - cut);
        tcp_expect(fd, "\r\n", 2);
    }
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    assert_int_equal(net_shard_counters(host->net)->pings, 4);
    close(fd);
    host_stop(host);
}

static void
malformed_stream_is_closed_after_what_was_owed(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);

    (void)state;
    tcp_write(fd, "M01xGET / HTTP/1.1\r\n\r\n", 22);
    tcp_expect(fd, "M01x", 4);
    tcp_expect_end(fd);
    assert_int_equal(net_shard_counters(host->net)->frames_bad, 1);
    close(fd);
    host_wait(host, &host->n_closed, 1);
    assert_int_equal(host_packet(host, 0).n, 4);
    host_stop(host);
}

static void
message_above_the_limit_may_be_answered_before_the_end(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);

    (void)state;
    tcp_write(fd, "M01xM91yyyy", 11);
    tcp_expect(fd, "M01xM91", 7);
    tcp_expect_end(fd);
    host_wait(host, &host->n_large, 1);
    close(fd);
    host_stop(host);
}

static void
answer_reaches_a_peer_who_has_ended_his_side(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);

    (void)state;
    tcp_write(fd, "M01xM0", 6);
    shutdown(fd, SHUT_WR);
    tcp_expect(fd, "M01x", 4);
    tcp_expect_end(fd);
    host_wait(host, &host->n_closed, 1);
    close(fd);
    host_stop(host);
}

static void
what_came_before_a_reset_is_handed_on(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    struct linger linger = { .l_onoff = 1 };
    int fd = peer_connect(&to);

    (void)state;
    tcp_write(fd, "M01x", 4);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    host_wait(host, &host->n_closed, 1);
    assert_int_equal(host_packet(host, 0).n, 4);
    assert_int_equal(net_shard_counters(host->net)->streams_open, 0);
    host_stop(host);
}

/* --- deadlines and caps --------------------------------------------------------------------- */

static void
message_that_does_not_become_whole_ends_the_connection(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    int fd, trickling;

    (void)state;
    params.message_ms = SHORT_MS;
    host = start(&params);
    to = bound(host);
    fd = peer_connect(&to);
    tcp_write(fd, "M01xM10abc", 10);
    tcp_expect(fd, "M01x", 4);
    tcp_expect_end(fd);
    close(fd);
    /* More octets of the same message do not move its deadline. */
    trickling = peer_connect(&to);
    tcp_write(trickling, "M90", 3);
    for (unsigned i = 0; i < 80; i++) {
        if (send(trickling, "a", 1, MSG_NOSIGNAL) < 0)
            break;
        sleep_ms(SHORT_MS / 4);
    }
    tcp_expect_end(trickling);
    assert_int_equal(host_packet(host, 0).n, 4);
    wait_counter_is(&net_shard_counters(host->net)->octets_out, 4);
    close(trickling);
    host_stop(host);
}

static void
line_ends_alone_have_no_deadline(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    int fd;

    (void)state;
    params.message_ms = SHORT_MS;
    host = start(&params);
    to = bound(host);
    fd = peer_connect(&to);
    tcp_write(fd, "\r\n", 2);
    sleep_ms(4 * SHORT_MS);
    tcp_write(fd, "\r\n", 2);
    tcp_expect(fd, "\r\n", 2);
    close(fd);
    host_stop(host);
}

static void
idle_connection_is_closed_unless_it_is_in_use(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();
    struct hd_addr to;
    int fd;

    (void)state;
    params.idle_ms = SHORT_MS;
    host->echo = true;
    host->in_use = true;
    host_start(host, &params);
    to = bound(host);
    fd = peer_connect(&to);
    wait_counter(&host->asked, 3);
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    host->in_use = false;
    tcp_expect_end(fd);
    close(fd);
    host_wait(host, &host->n_closed, 1);
    host_stop(host);
}

static void
connections_above_the_cap_are_refused(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    const struct net_counters *counters;
    int fd[3];

    (void)state;
    params.max_connections = 2;
    host = start(&params);
    to = bound(host);
    counters = net_shard_counters(host->net);
    for (unsigned i = 0; i < 2; i++) {
        fd[i] = peer_connect(&to);
        tcp_write(fd[i], "M01x", 4);
        tcp_expect(fd[i], "M01x", 4);
    }
    fd[2] = peer_connect(&to);
    tcp_expect_end(fd[2]);
    close(fd[2]);
    wait_counter_is(&counters->streams_refused, 1);
    close(fd[0]);
    wait_counter_is(&counters->streams_open, 1);
    fd[2] = peer_connect(&to);
    tcp_write(fd[2], "M01y", 4);
    tcp_expect(fd[2], "M01y", 4);
    close(fd[1]);
    close(fd[2]);
    host_stop(host);
}

static void
three_hundred_connections_live_side_by_side(void **state)
{
    enum { N = 300 };
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    const struct net_counters *counters = net_shard_counters(host->net);
    struct hd_addr to = bound(host);
    int fd[N];

    (void)state;
    for (unsigned round = 0; round < 2; round++) { /* places are used again */
        for (unsigned i = 0; i < N; i++) {
            fd[i] = peer_connect(&to);
            tcp_write(fd[i], "M03a", 4);
        }
        for (unsigned i = 0; i < N; i++)
            tcp_write(fd[i], "bc", 2);
        for (unsigned i = 0; i < N; i++)
            tcp_expect(fd[i], "M03abc", 6);
        assert_int_equal(counters->streams_open, N);
        for (unsigned i = 0; i < N; i++)
            close(fd[i]);
        wait_counter_is(&counters->streams_open, 0);
    }
    assert_int_equal(counters->streams_accepted, 2 * N);
    assert_int_equal(counters->streams_closed, 2 * N);
    for (unsigned i = 0; i < N; i++)
        assert_int_not_equal(host_packet(host, i).flow.conn, host_packet(host, N + i).flow.conn);
    host_stop(host);
}

static void
connection_waits_while_descriptors_are_used_up(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    struct rlimit limit, low;
    int fd, last;
    uint64_t turns;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    /* The peer takes the last number that there is. */
    last = dup(0);
    close(last);
    low = limit;
    low.rlim_cur = (rlim_t)last + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    fd = peer_connect(&to);
    tcp_write(fd, "M01x", 4);
    sleep_ms(300);
    turns = host->turns;
    sleep_ms(300);
    assert_in_range(host->turns - turns, 0, 1000); /* it rests, and tries again */
    assert_int_equal(net_shard_counters(host->net)->streams_accepted, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    tcp_expect(fd, "M01x", 4);
    close(fd);
    host_stop(host);
}

/* --- closing -------------------------------------------------------------------------------- */

static void
send_and_close(struct host *host, void *arg)
{
    const struct sends *sends = arg;

    do_sends(host, arg);
    net_close(host->net, sends->flow.conn);
    net_close(host->net, sends->flow.conn);
}

static void
closed_connection_still_sends_what_was_committed(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);
    struct sends sends = { .text = { "M03bye" }, .owner = 1 };

    (void)state;
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    sends.flow = host_packet(host, 0).flow;
    host_do(host, send_and_close, &sends);
    tcp_expect(fd, "M03bye", 6);
    tcp_expect_end(fd);
    host_do(host, do_sends, &sends); /* too late */
    assert_int_equal(host_failure(host, 0).err, HD_ENOMATCH);
    close(fd);
    assert_int_equal(host_closed(host, 0), sends.flow.conn);
    host_stop(host);
}

static void
peer_who_does_not_end_his_side_is_dropped(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to);

    (void)state;
    tcp_write(fd, "!", 1);
    tcp_expect_end(fd);
    host_wait(host, &host->n_closed, 1); /* without our close */
    close(fd);
    host_stop(host);
}

static void
close_in_packet(void *context, const struct hd_flow *flow, struct hd_slice octets)
{
    struct host *host = context;

    host_send(host, flow, octets.p, octets.n, 0);
    net_close(host->net, flow->conn);
}

static void
connection_may_be_closed_while_its_packet_is_handled(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    int fd;

    (void)state;
    params.on.packet = close_in_packet;
    host = start(&params);
    to = bound(host);
    fd = peer_connect(&to);
    tcp_write(fd, "M01aM01b", 8);
    tcp_expect(fd, "M01a", 4);
    tcp_expect_end(fd);
    close(fd);
    host_stop(host);
}

static void
do_close_listeners(struct host *host, void *arg)
{
    (void)arg;
    net_shard_close_listeners(host->net);
    net_shard_close_listeners(host->net);
}

static void
closed_listener_accepts_nobody_and_keeps_who_is_there(void **state)
{
    struct host *host = host_echo(HD_TCP, "127.0.0.1");
    struct hd_addr to = bound(host);
    int fd = peer_connect(&to), late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(to.port) };

    (void)state;
    host_do(host, do_close_listeners, NULL);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(late, (struct sockaddr *)&name, sizeof(name)), -1);
    tcp_write(fd, "M01x", 4);
    tcp_expect(fd, "M01x", 4);
    close(late);
    close(fd);
    host_stop(host);
}

static void
shards_share_a_listener(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct host *host[2];
    int fd[64];

    (void)state;
    for (unsigned s = 0; s < 2; s++) {
        struct net_params params = host_params(&listener, 1);
        params.shard = s;
        params.shards = 2;
        host[s] = start(&params);
        listener.addr = bound(host[s]);
    }
    for (unsigned i = 0; i < 64; i++) {
        fd[i] = peer_connect(&listener.addr);
        tcp_write(fd[i], "M01x", 4);
        tcp_expect(fd[i], "M01x", 4);
    }
    for (unsigned s = 0; s < 2; s++)
        assert_int_equal(hd_conn_shard(host_packet(host[s], 0).flow.conn), s);
    assert_int_equal(net_shard_counters(host[0]->net)->streams_open +
                         net_shard_counters(host[1]->net)->streams_open,
                     64);
    host_stop(host[1]);
    host_stop(host[0]);
    for (unsigned i = 0; i < 64; i++)
        close(fd[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_cut_anywhere_is_handed_on_whole),
        cmocka_unit_test(packet_names_its_connection_and_both_addresses),
        cmocka_unit_test(several_messages_in_one_write_are_told_apart),
        cmocka_unit_test(many_messages_fill_more_than_one_read),
        cmocka_unit_test(keep_alive_is_answered_and_may_come_in_parts),
        cmocka_unit_test(malformed_stream_is_closed_after_what_was_owed),
        cmocka_unit_test(message_above_the_limit_may_be_answered_before_the_end),
        cmocka_unit_test(answer_reaches_a_peer_who_has_ended_his_side),
        cmocka_unit_test(what_came_before_a_reset_is_handed_on),
        cmocka_unit_test(message_that_does_not_become_whole_ends_the_connection),
        cmocka_unit_test(line_ends_alone_have_no_deadline),
        cmocka_unit_test(idle_connection_is_closed_unless_it_is_in_use),
        cmocka_unit_test(connections_above_the_cap_are_refused),
        cmocka_unit_test(connection_waits_while_descriptors_are_used_up),
        cmocka_unit_test(three_hundred_connections_live_side_by_side),
        cmocka_unit_test(closed_connection_still_sends_what_was_committed),
        cmocka_unit_test(peer_who_does_not_end_his_side_is_dropped),
        cmocka_unit_test(connection_may_be_closed_while_its_packet_is_handled),
        cmocka_unit_test(closed_listener_accepts_nobody_and_keeps_who_is_there),
        cmocka_unit_test(shards_share_a_listener),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
