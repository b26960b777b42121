/* net_test.c - datagrams, steering, and turns of a shard, with real sockets over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "base/id.h"
#include "net/test_host.h"

/* --- datagrams ------------------------------------------------------------------------------ */

static void
datagram_is_handed_on_and_answered(void **state)
{
    static const char *const ip[] = { "127.0.0.1", "127.0.0.9", "::1" };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(ip) - !peer_has_v6(); i++) {
        struct host *host = host_echo(HD_UDP, ip[i]);
        struct hd_addr to = net_shard_bound(host->net, 0), own, from;
        int fd = peer_udp(i == 2 ? "::1" : "127.0.0.1", &own);
        char octets[64];
        struct host_packet packet;

        udp_to(fd, &to, "hello", 5);
        packet = host_packet(host, 0);
        assert_int_equal(udp_from(fd, octets, sizeof(octets), &from), 5);
        assert_memory_equal(octets, "hello", 5);
        assert_true(hd_addr_eq(&from, &to));
        assert_int_equal(packet.flow.transport, HD_UDP);
        assert_int_equal(packet.flow.conn, 0);
        assert_true(hd_addr_eq(&packet.flow.local, &to));
        assert_true(hd_addr_eq(&packet.flow.remote, &own));
        host_wait(host, &host->n_batches, 1);
        close(fd);
        host_stop(host);
    }
}

static void
thousand_datagrams_come_back_each_once(void **state)
{
    struct host *host = host_echo(HD_UDP, "127.0.0.1");
    struct hd_addr to = net_shard_bound(host->net, 0), own;
    int fd = peer_udp("127.0.0.1", &own);
    bool seen[1000] = { false };

    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 100; i++) {
            char octets[16];
            int n = snprintf(octets, sizeof(octets), "%u", round * 100 + i);
            udp_to(fd, &to, octets, (size_t)n);
        }
        for (unsigned i = 0; i < 100; i++) {
            char octets[16] = "";
            unsigned long number;
            udp_from(fd, octets, sizeof(octets) - 1, NULL);
            number = strtoul(octets, NULL, 10);
            assert_in_range(number, 0, 999);
            assert_false(seen[number]);
            seen[number] = true;
        }
    }
    assert_int_equal(net_shard_counters(host->net)->datagrams_in, 1000);
    wait_counter_is(&net_shard_counters(host->net)->datagrams_out, 1000); /* after the send */
    close(fd);
    host_stop(host);
}

struct burst {
    struct hd_flow flow;
    unsigned n;
    size_t size;
    uint64_t owner;
    const struct hd_addr *remotes; /* n of them, or NULL */
};

/* Commits n messages in one turn; the first two octets of each say which it is. */
static void
send_burst(struct host *host, void *arg)
{
    const struct burst *burst = arg;

    for (unsigned i = 0; i < burst->n; i++) {
        struct hd_flow flow = burst->flow;
        char *p = net_reserve(host->net, burst->size + 100);
        HD_ASSERT(p);
        memset(p, 'x', burst->size);
        p[0] = (char)(i >> 8);
        p[1] = (char)(i & 255);
        if (burst->remotes)
            flow.remote = burst->remotes[i];
        net_commit(host->net, &flow, burst->size, burst->owner ? burst->owner + i : 0);
    }
}

static struct hd_flow
udp_flow(const struct host *host, const struct hd_addr *remote)
{
    return (struct hd_flow){ .transport = HD_UDP,
                             .local = net_shard_bound(host->net, 0),
                             .remote = *remote };
}

static void
more_than_one_batch_leaves_in_one_turn(void **state)
{
    struct host *host = host_echo(HD_UDP, "127.0.0.1");
    struct hd_addr own;
    int fd = peer_udp("127.0.0.1", &own), size = 212992;
    struct burst burst = { .flow = udp_flow(host, &own), .n = 257, .size = 20 };

    (void)state;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    host_do(host, send_burst, &burst);
    for (unsigned i = 0; i < burst.n; i++) {
        unsigned char octets[64];
        assert_int_equal(udp_from(fd, (char *)octets, sizeof(octets), NULL), 20);
        assert_int_equal(octets[0] << 8 | octets[1], i);
    }
    close(fd);
    host_stop(host);
}

static void
octets_of_a_batch_may_be_used_up_before_its_slots(void **state)
{
    struct host *host = host_echo(HD_UDP, "127.0.0.1");
    struct hd_addr own;
    int fd = peer_udp("127.0.0.1", &own), size = 1 << 20;
    struct burst burst = { .flow = udp_flow(host, &own), .n = 6, .size = 60000 };
    char *octets = malloc(65536);

    (void)state;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    for (unsigned round = 0; round < 3; round++) {
        burst.n = 2; /* what the smallest of receive buffers holds */
        host_do(host, send_burst, &burst);
        for (unsigned i = 0; i < burst.n; i++) {
            assert_int_equal(udp_from(fd, octets, 65536, NULL), 60000);
            assert_int_equal(octets[1], i);
        }
    }
    burst.n = 12; /* three times the room of a batch */
    host_do(host, send_burst, &burst);
    wait_counter(&net_shard_counters(host->net)->datagrams_out, 18);
    free(octets);
    close(fd);
    host_stop(host);
}

static void
largest_datagram_goes_both_ways_and_above_it_fails(void **state)
{
    struct host *host = host_echo(HD_UDP, "127.0.0.1");
    struct hd_addr own, to = net_shard_bound(host->net, 0);
    int fd = peer_udp("127.0.0.1", &own);
    struct burst burst = { .flow = udp_flow(host, &own), .n = 1, .size = 65508, .owner = 9 };
    struct host_failure failure;
    char *octets = malloc(70000);

    (void)state;
    memset(octets, 'y', 70000);
    udp_to(fd, &to, octets, 65507);
    assert_int_equal(udp_from(fd, octets, 70000, NULL), 65507);
    host_do(host, send_burst, &burst);
    failure = host_failure(host, 0);
    assert_int_equal(failure.owner, 9);
    assert_int_equal(failure.err, HD_ERANGE);
    burst.size = 300000; /* above a whole batch: also only a failure */
    host_do(host, send_burst, &burst);
    host_wait(host, &host->n_failures, 2);
    burst.size = 100; /* and the next one leaves */
    host_do(host, send_burst, &burst);
    assert_int_equal(udp_from(fd, octets, 70000, NULL), 100);
    free(octets);
    close(fd);
    host_stop(host);
}

static void
wildcard_listener_tells_the_address_and_answers_from_it(void **state)
{
    static const struct {
        const char *listen, *to, *from;
    } row[] = { { "0.0.0.0", "127.0.0.5", "127.0.0.1" }, { "::", "::1", "::1" } };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row) - !peer_has_v6(); i++) {
        struct host *host = host_echo(HD_UDP, row[i].listen);
        struct hd_addr to = addr_of(row[i].to, net_shard_bound(host->net, 0).port), own, from;
        int fd = peer_udp(row[i].from, &own);
        char octets[64];
        struct host_packet packet;

        udp_to(fd, &to, "hello", 5);
        packet = host_packet(host, 0);
        udp_from(fd, octets, sizeof(octets), &from);
        assert_true(hd_addr_eq(&from, &to));
        assert_true(hd_addr_eq(&packet.flow.local, &to));
        close(fd);
        host_stop(host);
    }
}

static void
keep_alive_datagrams_are_not_handed_on(void **state)
{
    struct host *host = host_echo(HD_UDP, "127.0.0.1");
    struct hd_addr to = net_shard_bound(host->net, 0), own;
    int fd = peer_udp("127.0.0.1", &own);
    char octets[64];

    (void)state;
    udp_to(fd, &to, "\r\n\r\n", 4);
    udp_to(fd, &to, "\0", 1);
    udp_to(fd, &to, "", 0);
    udp_to(fd, &to, "\r\nM", 3);
    assert_int_equal(udp_from(fd, octets, sizeof(octets), NULL), 3);
    assert_int_equal(host_packet(host, 0).n, 3);
    assert_int_equal(net_shard_counters(host->net)->pings, 3);
    close(fd);
    host_stop(host);
}

static void
refused_datagram_is_told_to_its_owner(void **state)
{
    static const char *const ip[] = { "127.0.0.1", "::1" };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(ip) - !peer_has_v6(); i++) {
        struct host *host = host_echo(HD_UDP, ip[i]);
        struct hd_addr dead;
        struct burst burst = { .n = 1, .size = 700, .owner = 42 };
        struct host_failure failure;
        int fd;

        fd = peer_udp(ip[i], &dead);
        peer_deaf(fd);
        burst.flow = udp_flow(host, &dead);
        host_do(host, send_burst, &burst);
        failure = host_failure(host, 0);
        assert_int_equal(failure.owner, 42);
        assert_int_equal(failure.err, HD_EIO);
        assert_true(hd_addr_eq(&failure.flow.remote, &dead));
        close(fd);
        host_stop(host);
    }
}

static void
dead_peers_do_not_take_datagrams_of_the_living(void **state)
{
    struct host *host = host_echo(HD_UDP, "127.0.0.1");
    struct hd_addr remotes[60];
    int fd[60];
    struct burst burst = { .n = 60, .size = 40, .owner = 1000, .remotes = remotes };
    char octets[64];

    (void)state;
    for (unsigned i = 0; i < 60; i++)
        fd[i] = peer_udp("127.0.0.1", &remotes[i]);
    for (unsigned i = 0; i < 60; i += 3)
        peer_deaf(fd[i]);
    burst.flow = udp_flow(host, &remotes[0]);
    host_do(host, send_burst, &burst);
    for (unsigned i = 0; i < 60; i++) {
        if (i % 3 == 0)
            continue;
        assert_int_equal(udp_from(fd[i], octets, sizeof(octets), NULL), 40);
        assert_int_equal(octets[1], i);
    }
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal((host_failure(host, i).owner - 1000) % 3, 0);
    for (unsigned i = 0; i < 60; i++)
        close(fd[i]);
    host_stop(host);
}

static void
family_without_a_socket_is_a_failure(void **state)
{
    struct host *host = host_echo(HD_UDP, "127.0.0.1");
    struct hd_addr v6 = addr_of("::1", 5060);
    struct burst burst = { .flow = udp_flow(host, &v6), .n = 1, .size = 10, .owner = 3 };

    (void)state;
    host_do(host, send_burst, &burst);
    assert_int_equal(host_failure(host, 0).err, HD_ENOMATCH);
    burst.flow.transport = HD_TLS;
    host_do(host, send_burst, &burst);
    assert_int_equal(host_failure(host, 1).err, HD_ENOTSUP);
    host_stop(host);
}

/* Holds the shard until the test lets go. */
struct hold {
    pthread_mutex_t mutex;
    _Atomic uint64_t begun;
};

static void
hold_shard(struct host *host, void *arg)
{
    struct hold *hold = arg;

    (void)host;
    hold->begun = 1;
    pthread_mutex_lock(&hold->mutex);
    pthread_mutex_unlock(&hold->mutex);
}

static void
datagrams_that_the_kernel_dropped_are_counted(void **state)
{
    struct net_listener listener = listen_on(HD_UDP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();
    struct hold hold = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    const struct net_counters *counters;
    struct hd_addr own, to;
    int fd = peer_udp("127.0.0.1", &own);
    unsigned sent = 0;

    (void)state;
    params.receive_buffer = 8192;
    host_start(host, &params);
    to = net_shard_bound(host->net, 0);
    counters = net_shard_counters(host->net);
    pthread_mutex_lock(&hold.mutex);
    pthread_mutex_lock(&host->mutex);
    host->job_arg = &hold;
    host->job = hold_shard;
    pthread_mutex_unlock(&host->mutex);
    net_shard_wake(host->net);
    wait_counter(&hold.begun, 1);
    for (; sent < 200; sent++)
        udp_to(fd, &to, "flood", 5);
    pthread_mutex_unlock(&hold.mutex);
    /* The count comes with a later datagram. */
    for (unsigned i = 0; i < 1000 && counters->datagrams_in + counters->receive_drops < sent; i++) {
        udp_to(fd, &to, "more", 4);
        sent++;
        sleep_ms(2);
    }
    assert_true(counters->receive_drops > 0);
    assert_int_equal(counters->datagrams_in + counters->receive_drops, sent);
    close(fd);
    host_stop(host);
}

/* --- steering ------------------------------------------------------------------------------- */

/* Sends from many sources to a group of shards: each arrives where its bucket belongs. */
static void
check_steering(const char *ip, unsigned shards)
{
    struct net_listener listener = listen_on(HD_UDP, ip);
    struct host *host[4];
    struct hd_addr own[48];
    int fd[48];
    size_t expected[4] = { 0 };

    for (unsigned s = 0; s < shards; s++) {
        struct net_params params = host_params(&listener, 1);
        params.shard = s;
        params.shards = shards;
        host[s] = host_new();
        host_open(host[s], &params);
        listener.addr = net_shard_bound(host[s]->net, 0);
    }
    for (unsigned s = 0; s < shards; s++)
        host_run(host[s]);
    for (unsigned i = 0; i < 48; i++) {
        char source[32];
        snprintf(source, sizeof(source), "127.0.%u.%u", i % 5, i + 1);
        fd[i] = peer_udp(listener.addr.family == 4 ? source : "::1", &own[i]);
        for (unsigned n = 0; n < 3; n++)
            udp_to(fd[i], &listener.addr, "steer", 5);
        expected[hd_bucket_shard(hd_addr_bucket(&own[i]), shards)] += 3;
    }
    for (unsigned s = 0; s < shards; s++) {
        assert_true(expected[s] > 0); /* else the sources say nothing */
        host_wait(host[s], &host[s]->n_packets, expected[s]);
    }
    for (unsigned s = 0; s < shards; s++) {
        for (size_t i = 0; i < expected[s]; i++) {
            struct host_packet packet = host_packet(host[s], i);
            assert_int_equal(hd_bucket_shard(hd_addr_bucket(&packet.flow.remote), shards), s);
        }
        assert_int_equal(net_shard_counters(host[s]->net)->datagrams_in, expected[s]);
        host_stop(host[s]);
    }
    for (unsigned i = 0; i < 48; i++)
        close(fd[i]);
}

static void
each_source_reaches_the_shard_of_its_bucket(void **state)
{
    (void)state;
    check_steering("127.0.0.1", 2);
    check_steering("0.0.0.0", 3);
    if (peer_has_v6()) {
        check_steering("::1", 2);
        check_steering("::", 4);
    }
}

/* --- opening -------------------------------------------------------------------------------- */

static void
address_in_use_is_told_in_one_line(void **state)
{
    static const struct {
        enum hd_transport transport;
        unsigned shards;
    } row[] = { { HD_UDP, 1 }, { HD_UDP, 2 }, { HD_TCP, 1 }, { HD_TCP, 2 } };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct net_listener listener[2] = { listen_on(HD_UDP, "127.0.0.1"),
                                            listen_on(row[i].transport, "127.0.0.1") };
        struct net_params params = host_params(listener, 2);
        struct net_shard *first, *second;
        char problem[256], text[HD_ADDR_TEXT];

        params.shards = row[i].shards;
        assert_int_equal(net_shard_new(&params, problem, &first), HD_OK);
        listener[1].addr = net_shard_bound(first, 1);
        assert_int_equal(net_shard_new(&params, problem, &second), HD_EIO);
        hd_addr_text(&listener[1].addr, text);
        assert_non_null(strstr(problem, text));
        assert_non_null(strstr(problem, row[i].transport == HD_UDP ? "udp" : "tcp"));
        assert_non_null(strstr(problem, "in use"));
        net_shard_free(first);
    }
    net_shard_free(NULL);
}

static void
address_that_is_not_ours_is_told(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "192.0.2.77");
    struct net_params params = host_params(&listener, 1);
    struct net_shard *net;
    char problem[256];

    (void)state;
    assert_int_equal(net_shard_new(&params, problem, &net), HD_EIO);
    assert_non_null(strstr(problem, "192.0.2.77"));
}

/* --- turns ---------------------------------------------------------------------------------- */

static void
turn_comes_when_it_is_wanted_and_never_before(void **state)
{
    struct net_listener listener = listen_on(HD_UDP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    static const uint64_t wait_ms[] = { 1, 2, 7, 25 };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(wait_ms); i++) {
        struct host *host = host_new();
        host->wait_ms = wait_ms[i];
        host_start(host, &params);
        wait_counter(&host->turns, 10);
        assert_int_equal(host->early, 0);
        host_stop(host);
    }
}

static void
turn_without_wish_comes_only_when_woken(void **state)
{
    struct net_listener listener = listen_on(HD_UDP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();
    uint64_t turns;

    (void)state;
    host_start(host, &params);
    wait_counter(&host->turns, 1);
    sleep_ms(50);
    turns = host->turns;
    sleep_ms(100);
    assert_int_equal(host->turns, turns);
    net_shard_wake(host->net);
    wait_counter(&host->turns, turns + 1);
    host_stop(host);
}

static uint64_t
busy_turn(void *context, uint64_t now_us)
{
    (void)host_turn(context, now_us);
    return 0;
}

static void
owner_who_always_wants_a_turn_still_gets_packets(void **state)
{
    struct net_listener listener = listen_on(HD_UDP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();
    struct hd_addr own, to;
    int fd = peer_udp("127.0.0.1", &own);
    char octets[8];

    (void)state;
    host->echo = true;
    params.on.turn = busy_turn;
    host_start(host, &params);
    to = net_shard_bound(host->net, 0);
    wait_counter(&host->turns, 100);
    udp_to(fd, &to, "hello", 5);
    assert_int_equal(udp_from(fd, octets, sizeof(octets), NULL), 5);
    close(fd);
    host_stop(host);
}

static void
owner_who_fails_without_end_does_not_stop_the_shard(void **state)
{
    struct net_listener listener = listen_on(HD_UDP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();
    struct hd_addr own, to, v6 = addr_of("::1", 5060);
    struct burst burst = { .n = 3, .size = 10, .owner = 3 };
    int fd = peer_udp("127.0.0.1", &own);
    char octets[8];

    (void)state;
    host->echo = host->again = true;
    host_start(host, &params);
    to = net_shard_bound(host->net, 0);
    burst.flow = udp_flow(host, &v6);
    host_do(host, send_burst, &burst);
    host_wait(host, &host->n_failures, 100);
    udp_to(fd, &to, "hello", 5);
    assert_int_equal(udp_from(fd, octets, sizeof(octets), NULL), 5);
    close(fd);
    host_stop(host);
}

static void
stop_before_run_ends_it_after_one_turn(void **state)
{
    struct net_listener listener = listen_on(HD_UDP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();

    (void)state;
    host_open(host, &params);
    net_shard_stop(host->net);
    host_run(host);
    pthread_join(host->thread, NULL);
    assert_int_equal(host->turns, 1);
    host_run(host); /* host_stop joins it */
    host_stop(host);
}

/* Sends its own shard more than one batch in each turn, as the answers to a fan-out come. */
struct crowd {
    struct host *host;
    int fd;
    struct hd_addr to;
    uint64_t before;       /* datagrams read by the last turn */
    _Atomic uint64_t most; /* datagrams read between two turns */
};

static struct crowd crowd;

static uint64_t
crowd_turn(void *context, uint64_t now_us)
{
    const uint64_t in = net_shard_counters(crowd.host->net)->datagrams_in;

    (void)host_turn(context, now_us);
    if (in - crowd.before > crowd.most)
        crowd.most = in - crowd.before;
    crowd.before = in;
    for (unsigned i = 0; crowd.most < 150 && i < 150; i++)
        udp_to(crowd.fd, &crowd.to, "hello", 5);
    return 0;
}

static void
answers_to_a_fan_out_are_read_as_fast_as_it_sends(void **state)
{
    struct net_listener listener = listen_on(HD_UDP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct hd_addr own;

    (void)state;
    memset(&crowd, 0, sizeof(crowd));
    crowd.host = host_new();
    crowd.fd = peer_udp("127.0.0.1", &own);
    params.on.turn = crowd_turn;
    host_open(crowd.host, &params);
    crowd.to = net_shard_bound(crowd.host->net, 0);
    host_run(crowd.host);
    wait_counter(&crowd.most, 150);
    close(crowd.fd);
    host_stop(crowd.host);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagram_is_handed_on_and_answered),
        cmocka_unit_test(thousand_datagrams_come_back_each_once),
        cmocka_unit_test(more_than_one_batch_leaves_in_one_turn),
        cmocka_unit_test(octets_of_a_batch_may_be_used_up_before_its_slots),
        cmocka_unit_test(largest_datagram_goes_both_ways_and_above_it_fails),
        cmocka_unit_test(wildcard_listener_tells_the_address_and_answers_from_it),
        cmocka_unit_test(keep_alive_datagrams_are_not_handed_on),
        cmocka_unit_test(refused_datagram_is_told_to_its_owner),
        cmocka_unit_test(dead_peers_do_not_take_datagrams_of_the_living),
        cmocka_unit_test(family_without_a_socket_is_a_failure),
        cmocka_unit_test(datagrams_that_the_kernel_dropped_are_counted),
        cmocka_unit_test(each_source_reaches_the_shard_of_its_bucket),
        cmocka_unit_test(address_in_use_is_told_in_one_line),
        cmocka_unit_test(address_that_is_not_ours_is_told),
        cmocka_unit_test(turn_comes_when_it_is_wanted_and_never_before),
        cmocka_unit_test(turn_without_wish_comes_only_when_woken),
        cmocka_unit_test(owner_who_always_wants_a_turn_still_gets_packets),
        cmocka_unit_test(answers_to_a_fan_out_are_read_as_fast_as_it_sends),
        cmocka_unit_test(owner_who_fails_without_end_does_not_stop_the_shard),
        cmocka_unit_test(stop_before_run_ends_it_after_one_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
