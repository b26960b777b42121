/* web_test.c - WebSocket connections of a shard, with real sockets over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/test_cert.h"
#include "net/test_host.h"
#include "net/ws.h"

#define SHORT_MS 40
#define REQUEST                                                                                    \
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n"               \
    "Sec-WebSocket-Version: 13\r\n"
#define ANSWER                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n"

static const struct hd_slice origins[] = { { "https://phone.test", 18 } };

static struct host *
start(struct net_params *params)
{
    struct host *host = host_new();

    host->echo = true;
    host_start(host, params);
    return host;
}

static struct host *
start_plain(void)
{
    struct net_listener listener = listen_on(HD_WS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);

    return start(&params);
}

static int
join(struct host *host)
{
    struct hd_addr to = net_shard_bound(host->net, 0);
    int fd = peer_connect(&to);

    tcp_write(fd, REQUEST "\r\n", strlen(REQUEST "\r\n"));
    tcp_expect(fd, ANSWER, strlen(ANSWER));
    return fd;
}

/* A frame of a client; returns its length. */
static size_t
make_frame(unsigned char first, const char *payload, size_t n, char *ret)
{
    static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    size_t at = 2;

    ret[0] = (char)first;
    if (n < 126) {
        ret[1] = (char)(0x80 | n);
    } else {
        ret[1] = (char)(0x80 | 126);
        ret[2] = (char)(n >> 8);
        ret[3] = (char)n;
        at = 4;
    }
    memcpy(ret + at, mask, 4);
    memcpy(ret + at + 4, payload, n);
    net_ws_mask(ret + at + 4, n, mask);
    return at + 4 + n;
}

static void
frame(int fd, unsigned char first, const char *payload, size_t n)
{
    char *octets = malloc(n + 16);

    tcp_write(fd, octets, make_frame(first, payload, n, octets));
    free(octets);
}

static void
frame_text(int fd, unsigned char first, const char *text)
{
    frame(fd, first, text, strlen(text));
}

static void
expect_frame(int fd, unsigned char first, const char *payload, size_t n)
{
    const char head[] = { (char)first, (char)n };

    tcp_expect(fd, head, 2);
    tcp_expect(fd, payload, n);
}

static void
expect_close(int fd, unsigned code)
{
    const char octets[] = { (char)0x88, 2, (char)(code >> 8), (char)code };

    tcp_expect(fd, octets, sizeof(octets));
    (void)shutdown(fd, SHUT_WR);
    tcp_expect_end(fd);
    close(fd);
}

/* --- messages -----------------------------------------------------------------------------------
 */

static void
messages_are_handed_on_whole_and_answered_in_one_frame(void **state)
{
    struct host *host = start_plain();
    int fd = join(host);
    struct host_packet packet;

    (void)state;
    frame_text(fd, 0x81, "REGISTER");
    expect_frame(fd, 0x81, "REGISTER", 8);
    frame(fd, 0x82, "bin\xff", 4);
    expect_frame(fd, 0x82, "bin\xff", 4); /* not UTF-8: binary */
    frame(fd, 0x82, "text", 4);
    expect_frame(fd, 0x81, "text", 4);
    packet = host_packet(host, 0);
    assert_int_equal(packet.flow.transport, HD_WS);
    assert_true(packet.flow.conn != 0);
    assert_int_equal(net_shard_counters(host->net)->upgraded, 1);
    close(fd);
    assert_int_equal(host_closed(host, 0), packet.flow.conn);
    host_stop(host);
}

static void
octets_may_come_cut_anywhere(void **state)
{
    struct host *host = start_plain();
    struct hd_addr to = net_shard_bound(host->net, 0);
    const struct net_counters *counters = net_shard_counters(host->net);
    int fd = peer_connect(&to);
    char octets[64];
    uint64_t n = strlen(REQUEST "\r\n");
    size_t frame_n;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        tcp_write(fd, &(REQUEST "\r\n")[i], 1);
        wait_counter(&counters->octets_in, i + 1);
    }
    tcp_expect(fd, ANSWER, strlen(ANSWER));
    frame_n = make_frame(0x81, "SUBSCRIBE", 9, octets);
    for (size_t i = 0; i < frame_n; i++) {
        tcp_write(fd, octets + i, 1);
        wait_counter(&counters->octets_in, ++n);
    }
    expect_frame(fd, 0x81, "SUBSCRIBE", 9);
    /* The request and frames behind it in one write. */
    close(fd);
    fd = peer_connect(&to);
    memcpy(octets, "\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b", 14);
    {
        char all[sizeof(REQUEST "\r\n") + 14];
        memcpy(all, REQUEST "\r\n", strlen(REQUEST "\r\n"));
        memcpy(all + strlen(REQUEST "\r\n"), octets, 14);
        tcp_write(fd, all, strlen(REQUEST "\r\n") + 14);
    }
    tcp_expect(fd,
               ANSWER "\x81\x01"
                      "a"
                      "\x81\x01"
                      "b",
               strlen(ANSWER) + 6);
    close(fd);
    host_stop(host);
}

static void
fragments_become_one_message_and_pings_pass_between(void **state)
{
    struct host *host = start_plain();
    int fd = join(host);

    (void)state;
    frame_text(fd, 0x01, "SUB");
    frame_text(fd, 0x89, "are you there");
    frame_text(fd, 0x00, "");
    frame_text(fd, 0x00, "SCR");
    frame_text(fd, 0x8a, "a pong that nobody asked for");
    frame_text(fd, 0x80, "IBE");
    expect_frame(fd, 0x8a, "are you there", 13);
    expect_frame(fd, 0x81, "SUBSCRIBE", 9);
    assert_int_equal(net_shard_counters(host->net)->pings, 1);
    /* A character that is cut between fragments. */
    frame(fd, 0x01, "\xc3", 1);
    frame(fd, 0x80, "\xa4", 1);
    expect_frame(fd, 0x81, "\xc3\xa4", 2);
    close(fd);
    host_stop(host);
}

static void
keep_alives_of_line_ends_are_answered_like_on_other_streams(void **state)
{
    struct host *host = start_plain();
    int fd = join(host);

    (void)state;
    frame_text(fd, 0x81, "\r\n\r\n");
    expect_frame(fd, 0x81, "\r\n", 2);
    frame_text(fd, 0x81, "\r\n");
    frame_text(fd, 0x81, "");
    frame_text(fd, 0x81, "x");
    expect_frame(fd, 0x81, "x", 1);
    assert_int_equal(host->n_packets, 1);
    close(fd);
    host_stop(host);
}

static void
large_messages_fit_up_to_the_limit(void **state)
{
    struct net_listener listener = listen_on(HD_WS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    char *large = malloc(60000);
    int fd;

    (void)state;
    memset(large, 'y', 60000);
    params.max_body = 1000; /* and 64 KiB for a head */
    host = start(&params);
    fd = join(host);
    frame(fd, 0x01, large, 60000);
    frame(fd, 0x80, large, 6000);
    tcp_expect(fd, "\x81\x7f\0\0\0\0\0\x01\x01\xd0", 10); /* 66000 */
    for (size_t i = 0; i < 66000; i += 6000)
        tcp_expect(fd, large, 6000);
    frame(fd, 0x01, large, 60000);
    frame(fd, 0x00, large, 7000);
    expect_close(fd, NET_WS_CODE_TOO_LARGE);
    fd = join(host);
    tcp_write(fd, "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10); /* judged by its head alone */
    expect_close(fd, NET_WS_CODE_TOO_LARGE);
    free(large);
    host_stop(host);
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void
close_is_answered_with_its_code(void **state)
{
    struct host *host = start_plain();
    int fd = join(host);

    (void)state;
    frame(fd, 0x88,
          "\x03\xe9"
          "bye",
          5);
    expect_close(fd, 1001);
    fd = join(host);
    frame(fd, 0x88, "", 0);
    expect_close(fd, 1000);
    assert_int_equal(net_shard_counters(host->net)->frames_bad, 0);
    host_stop(host);
}

static void
what_the_protocol_forbids_ends_the_connection_with_a_code(void **state)
{
    static const struct {
        const char *octets;
        size_t n;
        unsigned code;
    } rows[] = {
        { "\x81\x05hello", 7, 1002 },                             /* not masked */
        { "\xc1\x80mask", 6, 1002 },                              /* compressed */
        { "\x80\x80mask", 6, 1002 },                              /* goes on with nothing */
        { "\x01\x80mask\x81\x80mask", 12, 1002 },                 /* two messages mixed */
        { "\x09\x80mask", 6, 1002 },                              /* a ping in parts */
        { "\x88\x81\0\0\0\0\x03", 7, 1002 },                      /* half a code */
        { "\x88\x82\0\0\0\0\x03\xed", 8, 1002 },                  /* 1005 is never sent */
        { "\x81\x81\0\0\0\0\xff", 7, 1007 },                      /* text that is none */
        { "\x81\xff\x80\0\0\0\0\0\0\0", 10, 1002 },               /* 2^63 octets are no length */
        { "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10, 1009 }, /* one less is too many */
        { "\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0z", 14, 1007 },
    };
    struct host *host = start_plain();

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        int fd = join(host);

        tcp_write(fd, rows[i].octets, rows[i].n);
        expect_close(fd, rows[i].code);
    }
    assert_int_equal(host->n_packets, 0);
    assert_int_equal(net_shard_counters(host->net)->frames_bad, HD_ARRAY_LEN(rows));
    host_stop(host);
}

static void
what_is_no_upgrade_gets_an_answer_of_http(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\n" },
        { "OPTIONS sip:x SIP/2.0\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n" },
        { "\x16\x03\x01\x02", "HTTP/1.1 400 Bad Request\r\n" },
        { REQUEST "Origin: https://evil.test\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n" },
    };
    struct net_listener listener = listen_on(HD_WS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;

    (void)state;
    listener.origins = origins;
    listener.n_origins = 1;
    host = start(&params);
    to = net_shard_bound(host->net, 0);
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        int fd = peer_connect(&to);
        char rest[NET_WS_ANSWER_MAX];

        tcp_write(fd, rows[i].text, strlen(rows[i].text));
        tcp_expect(fd, rows[i].says, strlen(rows[i].says));
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, rest, sizeof(rest), 0) > 0)
            continue;
        close(fd);
    }
    assert_int_equal(net_shard_counters(host->net)->not_upgraded, HD_ARRAY_LEN(rows));
    host_stop(host);
}

/* --- time and memory ----------------------------------------------------------------------------
 */

static void
upgrade_that_does_not_come_ends_at_the_deadline(void **state)
{
    struct net_listener listener = listen_on(HD_WS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    struct hd_addr to;
    int silent, halfway;

    (void)state;
    params.handshake_ms = SHORT_MS;
    host = start(&params);
    to = net_shard_bound(host->net, 0);
    silent = peer_connect(&to);
    halfway = peer_connect(&to);
    tcp_write(halfway, "GET / HTT", 9);
    tcp_expect_end(silent);
    tcp_expect_end(halfway);
    assert_int_equal(net_shard_counters(host->net)->not_upgraded, 2);
    close(silent);
    close(halfway);
    host_stop(host);
}

static void
message_that_is_not_finished_in_time_ends_the_connection(void **state)
{
    struct net_listener listener = listen_on(HD_WS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    int part, fragment;

    (void)state;
    params.message_ms = SHORT_MS;
    host = start(&params);
    part = join(host);
    fragment = join(host);
    tcp_write(part, "\x81\x85mask", 6);
    frame_text(fragment, 0x01, "SUB");
    tcp_expect_end(part);
    tcp_expect_end(fragment);
    close(part);
    close(fragment);
    host_stop(host);
}

static bool
anything_closed(struct host *host)
{
    pthread_mutex_lock(&host->mutex);
    bool closed = host->n_closed > 0;
    pthread_mutex_unlock(&host->mutex);
    return closed;
}

static void
who_pings_and_does_not_read_is_dropped(void **state)
{
    struct net_listener listener = listen_on(HD_WS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host;
    char octets[300];
    size_t n;
    int fd;

    (void)state;
    params.max_queued = 4096;
    host = start(&params);
    fd = join(host);
    memset(octets, 'p', 125);
    {
        char payload[125];
        memcpy(payload, octets, 125);
        n = make_frame(0x89, payload, 125, octets);
    }
    while (send(fd, octets, n, MSG_NOSIGNAL) > 0 && !anything_closed(host))
        continue;
    assert_true(host_closed(host, 0) != 0);
    close(fd);
    host_stop(host);
}

struct send {
    struct hd_flow flow;
};

static void
send_new(struct host *host, void *arg)
{
    struct send *send = arg;

    host_send(host, &send->flow, "NOTIFY", 6, 5);
}

static void
nobody_is_connected_to_by_websocket(void **state)
{
    struct host *host = start_plain();
    struct send send = { { .transport = HD_WS, .remote = net_shard_bound(host->net, 0) } };

    (void)state;
    host_do(host, send_new, &send);
    assert_int_equal(host_failure(host, 0).err, HD_ENOTSUP);
    host_stop(host);
}

/* --- under TLS ----------------------------------------------------------------------------------
 */

static void
all_of_it_works_under_tls(void **state)
{
    struct cert own = cert_make(&(struct cert_params){ .name = "own", .alts = "IP:127.0.0.1" });
    struct net_tls_pair pair = { own.certificate, own.key_file };
    struct net_tls_server server = { .pairs = &pair, .n_pairs = 1 };
    struct net_listener listener = listen_on(HD_WSS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    SSL_CTX *ctx = cert_client(&own, 0, 0);
    SSL *ssl = SSL_new(ctx);
    char octets[64], answer[sizeof(ANSWER)];
    struct host *host;
    struct hd_addr to;
    int fd, n = 0;

    (void)state;
    assert_int_equal(net_tls_new(&(struct net_tls_params){ .servers = &server,
                                                           .n_servers = 1,
                                                           .client_ca = own.certificate },
                                 &params.tls),
                     HD_OK);
    host = start(&params);
    (void)net_tls_unref(params.tls);
    to = net_shard_bound(host->net, 0);
    fd = peer_connect(&to);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    assert_true(SSL_write(ssl, REQUEST "\r\n", (int)strlen(REQUEST "\r\n")) > 0);
    while (n < (int)strlen(ANSWER)) {
        int got = SSL_read(ssl, answer + n, (int)strlen(ANSWER) - n);
        assert_true(got > 0);
        n += got;
    }
    assert_memory_equal(answer, ANSWER, strlen(ANSWER));
    n = (int)make_frame(0x81, "PUBLISH", 7, octets);
    assert_int_equal(SSL_write(ssl, octets, n), n);
    assert_int_equal(SSL_read(ssl, octets, 9), 9); /* one record */
    assert_memory_equal(octets, "\x81\x07PUBLISH", 9);
    assert_int_equal(host_packet(host, 0).flow.transport, HD_WSS);
    n = (int)make_frame(0x88, "", 0, octets);
    assert_int_equal(SSL_write(ssl, octets, n), n);
    assert_int_equal(SSL_read(ssl, octets, 9), 4);
    assert_memory_equal(octets, "\x88\x02\x03\xe8", 4);
    assert_int_equal(SSL_read(ssl, octets, 9), 0);
    assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN); /* close_notify */
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    host_stop(host);
    cert_free(&own);
    cert_folder_remove();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_handed_on_whole_and_answered_in_one_frame),
        cmocka_unit_test(octets_may_come_cut_anywhere),
        cmocka_unit_test(fragments_become_one_message_and_pings_pass_between),
        cmocka_unit_test(keep_alives_of_line_ends_are_answered_like_on_other_streams),
        cmocka_unit_test(large_messages_fit_up_to_the_limit),
        cmocka_unit_test(close_is_answered_with_its_code),
        cmocka_unit_test(what_the_protocol_forbids_ends_the_connection_with_a_code),
        cmocka_unit_test(what_is_no_upgrade_gets_an_answer_of_http),
        cmocka_unit_test(upgrade_that_does_not_come_ends_at_the_deadline),
        cmocka_unit_test(message_that_is_not_finished_in_time_ends_the_connection),
        cmocka_unit_test(who_pings_and_does_not_read_is_dropped),
        cmocka_unit_test(nobody_is_connected_to_by_websocket),
        cmocka_unit_test(all_of_it_works_under_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
