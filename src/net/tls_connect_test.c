/* tls_connect_test.c - TLS connections that a shard opens: what waits for the handshake, who the
 * server has to be, and servers that are not or do nothing. */
#include "net/tls_test.h"

struct send {
    struct hd_addr to;
    uint64_t owner;
    const char *text;
    const char *host; /* the name that was looked up; NULL: none */
};

static void
send_tls(struct host *host, void *arg)
{
    const struct send *send = arg;
    struct hd_flow flow = { .transport = HD_TLS, .remote = send->to };

    if (send->host)
        flow.host = net_host(host->net, hd_slice_str(send->host));
    host_send(host, &flow, send->text, strlen(send->text), send->owner);
    net_host_done(host->net, flow.host);
}

/* A shard that only connects. */
static struct host *
start_client(const char *ca, const char *name, bool trusts_all)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();
    struct net_tls *tls = NULL;

    assert_int_equal(try_tls(&(struct net_tls_params){ .client = pair_of(&edge),
                                                       .client_ca = ca,
                                                       .client_name = name,
                                                       .client_trusts_all = trusts_all },
                             &tls),
                     HD_OK);
    params.tls = tls;
    host_start(host, &params);
    (void)net_tls_unref(tls);
    return host;
}

static void
messages_wait_for_the_handshake_and_one_connection_serves_all(void **state)
{
    struct host *to = start_with(new_tls(&server, NULL, NET_TLS_VERIFY_REQUIRE), 10000);
    struct host *from = start_client(authority.certificate, NULL, false);
    struct send first = { net_shard_bound(to->net, 0), 7, "M03one", NULL };
    struct send second = { first.to, 8, "M03two", NULL };
    struct ask ask = { 0 };

    (void)state;
    host_do(from, send_tls, &first);
    host_do(from, send_tls, &second);
    assert_memory_equal(host_packet(from, 0).octets, "M03one", 6); /* the echo */
    assert_memory_equal(host_packet(from, 1).octets, "M03two", 6);
    assert_int_equal(net_shard_counters(to->net)->streams_accepted, 1);
    ask.conn = host_packet(to, 0).flow.conn;
    host_do(to, ask_peer, &ask);
    assert_string_equal(ask.names, "edge.example.test alice@example.test");
    host_stop(from);
    host_stop(to);
}

/* A message reaches a server that shows a certificate when that is good; else the server has
 * nothing of it, and whoever sends is told. */
static void
expect_reached(const struct cert *shown, struct host *from, const char *name, bool good)
{
    struct host *to = start_with(new_tls(shown, NULL, NET_TLS_VERIFY_NO), 10000);
    struct send send = { net_shard_bound(to->net, 0), 7, "M03one", name };

    host_do(from, send_tls, &send);
    if (good) {
        assert_int_equal(host_packet(from, 0).n, 6);
    } else {
        assert_int_equal(host_failure(from, 0).owner, 7);
        assert_int_equal(to->n_packets, 0);
    }
    host_stop(from);
    host_stop(to);
}

static void
server_that_is_not_who_was_meant_gets_nothing(void **state)
{
    static const struct {
        const struct cert *shown;
        const char *name;
        bool known, trusts_all, good;
    } rows[] = {
        { &server, NULL, true, false, true },
        { &server, "server.example.test", true, false, true },
        { &server, "SERVER.example.test", true, false, true },
        { &server, "other.example.test", true, false, false },
        { &other, NULL, true, false, false },   /* not for that address */
        { &server, NULL, false, false, false }, /* of an authority that nobody knows */
        { &expired, NULL, true, false, false },
        { &other, NULL, false, true, true }, /* --insecure */
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct host *from = start_client(rows[i].known ? authority.certificate : edge.certificate,
                                         rows[i].name, rows[i].trusts_all);

        expect_reached(rows[i].shown, from, NULL, rows[i].good);
    }
}

/* What was looked up counts, not what came of it nor the address (RFC 5922 section 7.3). */
static void
server_has_to_be_whom_the_name_was_for(void **state)
{
    static const struct {
        const struct cert *shown;
        const char *name;
        bool good;
    } rows[] = {
        { &server, "server.example.test", true },
        { &server, "Server.Example.TEST.", true },
        { &server, "example.test", false },
        { &server, "other.example.test", false },
        { &server, "x.server.example.test", false },
        { &other, "other.example.test", true },
        { &edge, "edge.example.test", true },  /* of its URIs */
        { &edge, "host.example.test", false }, /* with URIs, DNS names are no identities */
        { &expired, "expired", false },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++)
        expect_reached(rows[i].shown, start_client(authority.certificate, NULL, false),
                       rows[i].name, rows[i].good);
}

/* Several domains at one address: SNI asks for the one that is meant, and a connection serves
 * another only when its certificate names that as well. */
static void
domains_at_one_address_have_connections_of_their_own(void **state)
{
    struct host *to = start_with(new_tls(&server, &other, NET_TLS_VERIFY_NO), 10000);
    struct host *from = start_client(authority.certificate, NULL, false);
    const struct hd_addr at = net_shard_bound(to->net, 0);
    struct send sends[] = {
        { at, 1, "M03one", "server.example.test" }, { at, 2, "M03two", "other.example.test" },
        { at, 3, "M03thr", "server.example.test" }, { at, 4, "M03fou", "other.example.test" },
        { at, 5, "M03fiv", "nobody.example.test" },
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        host_do(from, send_tls, &sends[i]);
        assert_memory_equal(host_packet(from, i).octets, sends[i].text, 6);
    }
    assert_int_equal(net_shard_counters(to->net)->streams_accepted, 2);
    host_do(from, send_tls, &sends[4]);
    assert_int_equal(host_failure(from, 0).owner, 5);
    assert_int_equal(to->n_packets, 4);
    host_stop(from);
    host_stop(to);
}

struct closing {
    uint64_t conn;
};

static void
close_conn(struct host *host, void *arg)
{
    net_close(host->net, ((const struct closing *)arg)->conn);
}

/* The second connection to the same peer takes up the session of the first, and not after the
 * certificates or rules changed; whom the session was with is looked at each time. */
static void
connections_to_a_known_server_resume(void **state)
{
    struct host *to = start_with(new_tls(&server, &other, NET_TLS_VERIFY_NO), 10000);
    struct host *from = start_client(authority.certificate, NULL, false);
    const struct hd_addr at = net_shard_bound(to->net, 0);
    static const struct {
        const char *host;
        bool change;
        uint64_t resumed;
    } rows[] = { { "server.example.test", false, 0 }, { "server.example.test", false, 1 },
                 { "server.example.test", false, 2 }, { "other.example.test", false, 2 },
                 { "other.example.test", false, 3 },  { NULL, false, 3 },
                 { "server.example.test", true, 3 },  { "server.example.test", false, 4 } };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct send send = { at, 1, "M03one", rows[i].host };
        struct change change = { new_tls(&server, NULL, NET_TLS_VERIFY_NO) };
        struct closing closing;

        if (rows[i].change)
            host_do(from, change_tls, &change);
        else
            change.tls = net_tls_unref(change.tls);
        host_do(from, send_tls, &send);
        closing.conn = host_packet(from, i).flow.conn;
        assert_int_equal(net_shard_counters(from->net)->resumed, rows[i].resumed);
        host_do(from, close_conn, &closing);
        (void)host_closed(from, i);
    }
    host_stop(from);
    host_stop(to);
}

static void
server_that_never_shakes_hands_fails_in_time(void **state)
{
    struct net_listener listener = listen_on(HD_TCP, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *from = host_new();
    struct send send = { .owner = 9, .text = "M03one" };
    int silent = peer_listen("127.0.0.1", 1, &send.to);

    (void)state;
    params.tls = new_tls(&server, NULL, NET_TLS_VERIFY_NO);
    params.connect_ms = SHORT_MS;
    host_start(from, &params);
    (void)net_tls_unref(params.tls);
    host_do(from, send_tls, &send);
    assert_int_equal(host_failure(from, 0).owner, 9);
    host_stop(from);
    close(silent);
}

static void
without_certificates_nothing_is_opened(void **state)
{
    struct host *from = host_echo(HD_TCP, "127.0.0.1");
    struct send send = { net_shard_bound(from->net, 0), 9, "M03one", NULL };

    (void)state;
    host_do(from, send_tls, &send);
    assert_int_equal(host_failure(from, 0).err, HD_ENOTSUP);
    host_stop(from);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_wait_for_the_handshake_and_one_connection_serves_all),
        cmocka_unit_test(server_that_is_not_who_was_meant_gets_nothing),
        cmocka_unit_test(server_has_to_be_whom_the_name_was_for),
        cmocka_unit_test(domains_at_one_address_have_connections_of_their_own),
        cmocka_unit_test(connections_to_a_known_server_resume),
        cmocka_unit_test(server_that_never_shakes_hands_fails_in_time),
        cmocka_unit_test(without_certificates_nothing_is_opened),
    };

    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
