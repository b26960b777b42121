/* ws_test.c - upgrades and frames of WebSocket as octets, with wslay as a second opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <wslay/wslay.h>

#include "net/ws.h"

#define GET "GET /sip HTTP/1.1\r\n"
#define HOST "Host: herald.example.test:5062\r\n"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define SIP "Sec-WebSocket-Protocol: sip\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define END "\r\n"

/* --- the upgrade --------------------------------------------------------------------------------
 */

static enum hd_err
upgrade(const char *text, const struct hd_slice *origins, size_t n_origins,
        char answer[NET_WS_ANSWER_MAX + 1], size_t *ret_len)
{
    size_t n = strlen(text), answer_n = 0;
    char *copy = malloc(n ? n : 1);
    enum hd_err err;

    memcpy(copy, text, n);
    err = net_ws_upgrade(hd_slice(copy, n), origins, n_origins, ret_len, answer, &answer_n);
    answer[answer_n] = '\0';
    free(copy);
    return err;
}

static void
request_of_rfc_6455_is_answered_with_its_accept(void **state)
{
    char answer[NET_WS_ANSWER_MAX + 1];
    size_t len;

    (void)state;
    assert_int_equal(upgrade(GET HOST UP KEY SIP V13 END "rest", NULL, 0, answer, &len), HD_OK);
    assert_int_equal(len, strlen(GET HOST UP KEY SIP V13 END));
    assert_string_equal(answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                "Sec-WebSocket-Protocol: sip\r\n\r\n");
}

static void
each_request_is_taken_or_told_what_is_wrong(void **state)
{
    static const struct hd_slice origins[] = { { "https://phone.example.test", 26 } };
    static const struct {
        const char *text;
        size_t n_origins;
        const char *says; /* NULL: taken */
    } rows[] = {
        { "GET / HTTP/1.1\r\nhost:x\r\nupgrade: h2c, WebSocket\r\n"
          "connection: keep-alive, upgrade\r\n" KEY "sec-websocket-protocol: xmpp ,sip\r\n" V13 END,
          0, NULL },
        { GET HOST UP KEY SIP V13 "Sec-WebSocket-Extensions: permessage-deflate\r\n" END, 0, NULL },
        { GET HOST UP KEY SIP V13 "Origin: https://phone.example.test\r\n" END, 1, NULL },
        { GET HOST UP KEY SIP V13 "Origin: HTTPS://PHONE.example.test\r\n" END, 1, NULL },
        { GET HOST UP KEY SIP V13 END, 1, NULL },
        { GET HOST UP KEY SIP V13 "Origin: https://evil.test\r\n" END, 0, NULL },
        { GET HOST UP KEY SIP V13 "Origin: https://evil.test\r\n" END, 1, "403 Forbidden" },
        { GET HOST UP KEY SIP V13 "Origin: null\r\n" END, 1, "403 Forbidden" },
        { GET HOST END, 0, "426 Upgrade Required\r\nUpgrade: websocket" },
        { GET HOST "Upgrade: websocket\r\n" KEY SIP V13 END, 0, "426 Upgrade Required" },
        { GET HOST "Connection: upgrade\r\n" KEY SIP V13 END, 0, "426 Upgrade Required" },
        { GET HOST "Upgrade: websockets\r\nConnection: Upgrade\r\n" KEY SIP V13 END, 0, "426" },
        { GET HOST UP KEY SIP "Sec-WebSocket-Version: 8\r\n" END, 0, "Sec-WebSocket-Version: 13" },
        { GET HOST UP KEY SIP END, 0, "Sec-WebSocket-Version: 13" },
        { GET HOST UP KEY V13 END, 0, "has to offer sip" },
        { GET HOST UP KEY V13 "Sec-WebSocket-Protocol: SIPS, sip2\r\n" END, 0, "offer sip" },
        { GET HOST UP SIP V13 END, 0, "400 Bad Request" },
        { GET HOST UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" SIP V13 END, 0, "base64" },
        { GET HOST UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n" SIP V13 END, 0, "base64" },
        { GET HOST UP "Sec-WebSocket-Key: dGhl!HNhbXBsZSBub25jZQ==\r\n" SIP V13 END, 0, "base64" },
        { GET HOST UP KEY KEY SIP V13 END, 0, "there twice" },
        { GET UP KEY SIP V13 END, 0, "400 Bad Request" },
        { "POST / HTTP/1.1\r\n" HOST UP KEY SIP V13 END, 0, "405 Method Not Allowed" },
        { "GET / HTTP/1.0\r\n" HOST UP KEY SIP V13 END, 0, "505 HTTP" },
        { "GET / HTTP/2\r\n" HOST UP KEY SIP V13 END, 0, "505 HTTP" },
        { "OPTIONS sip:x SIP/2.0\r\nTo: x\r\n\r\n", 0, "400 Bad Request" },
        { "GET /\r\n" HOST END, 0, "400 Bad Request" },
        { "\x16\x03\x01 a TLS greeting", 0, "400 Bad Request" },
        { "\r\n\r\n", 0, "400 Bad Request" },
        { "LOWERCASEMETHODLONG", 0, "400 Bad Request" },
        { GET "Host : x\r\n" UP KEY SIP V13 END, 0, "header field cannot be read" },
        { GET HOST " folded\r\n" UP KEY SIP V13 END, 0, "header field cannot be read" },
        { GET HOST "no colon\r\n" UP KEY SIP V13 END, 0, "header field cannot be read" },
        { GET HOST ": empty\r\n" UP KEY SIP V13 END, 0, "header field cannot be read" },
        { GET HOST "A: b\n" UP KEY SIP V13 END, 0, "no CR before its LF" },
    };
    char answer[NET_WS_ANSWER_MAX + 1];
    size_t len;

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        enum hd_err err = upgrade(rows[i].text, origins, rows[i].n_origins, answer, &len);

        if (err != (rows[i].says ? HD_EDENIED : HD_OK) ||
            (rows[i].says && !strstr(answer, rows[i].says)))
            fail_msg("row %zu: %s\n%s", i, hd_err_text(err), answer);
        assert_null(strstr(answer, "xtensions"));
    }
}

static void
request_may_come_in_any_parts_but_not_without_end(void **state)
{
    static const char whole[] = GET HOST UP KEY SIP V13 END;
    char answer[NET_WS_ANSWER_MAX + 1], part[sizeof(whole)], *large;
    size_t len;

    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        memcpy(part, whole, n);
        part[n] = '\0';
        assert_int_equal(upgrade(part, NULL, 0, answer, &len), HD_EAGAIN);
    }
    large = malloc(NET_WS_HEAD_MAX + 2);
    memset(large, 'a', NET_WS_HEAD_MAX + 1);
    memcpy(large, GET "X: ", strlen(GET "X: "));
    large[NET_WS_HEAD_MAX + 1] = '\0';
    assert_int_equal(upgrade(large, NULL, 0, answer, &len), HD_EDENIED);
    assert_non_null(strstr(answer, "431"));
    large[NET_WS_HEAD_MAX] = '\0';
    assert_int_equal(upgrade(large, NULL, 0, answer, &len), HD_EAGAIN);
    free(large);
}

/* --- frames -------------------------------------------------------------------------------------
 */

static void
heads_of_frames_are_judged_before_anything_is_kept(void **state)
{
    static const struct {
        const char *octets;
        size_t n, max;
        enum hd_err err;
        size_t head, payload;
    } rows[] = {
        { "\x81\x85mask", 6, 100, HD_OK, 6, 5 },
        { "\x01\x80mask", 6, 100, HD_OK, 6, 0 },
        { "\x81\xfe\x00\x7emask", 8, 200, HD_OK, 8, 126 },
        { "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00mask", 14, 1 << 20, HD_OK, 14, 65536 },
        { "\x8a\xfdmask", 6, 1000, HD_OK, 6, 125 },
        { "\x81\x85mas", 5, 100, HD_EAGAIN, 0, 0 },
        { "\x81", 1, 100, HD_EAGAIN, 0, 0 },
        { "", 0, 100, HD_EAGAIN, 0, 0 },
        { "\x81\xfe\x00", 3, 200, HD_EAGAIN, 0, 0 },
        { "\x81\xff\x00\x00\x00\x00\x00\x01\x00", 9, 1 << 20, HD_EAGAIN, 0, 0 },
        { "\x81\x05hello", 7, 100, HD_ESYNTAX, 0, 0 },        /* not masked */
        { "\xc1\x85mask", 6, 100, HD_ESYNTAX, 0, 0 },         /* RSV1: an extension */
        { "\xa1", 1, 100, HD_ESYNTAX, 0, 0 },                 /* RSV2 */
        { "\x91", 1, 100, HD_ESYNTAX, 0, 0 },                 /* RSV3 */
        { "\x83", 1, 100, HD_ESYNTAX, 0, 0 },                 /* a reserved opcode */
        { "\x8b", 1, 100, HD_ESYNTAX, 0, 0 },                 /* a reserved control opcode */
        { "\x08\x80mask", 6, 100, HD_ESYNTAX, 0, 0 },         /* a control frame in parts */
        { "\x89\xfe\x00\x7emask", 8, 200, HD_ESYNTAX, 0, 0 }, /* a long control frame */
        { "\x89\xfe", 2, 200, HD_ESYNTAX, 0, 0 },
        { "\x81\xfe\x00\x7dmask", 8, 200, HD_ESYNTAX, 0, 0 }, /* not the shortest form */
        { "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", 10, 1 << 20, HD_ESYNTAX, 0, 0 },
        { "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00", 10, SIZE_MAX, HD_ESYNTAX, 0, 0 },
        { "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10, 1 << 20, HD_ERANGE, 0, 0 },
        { "\x81\xfe\x00\xc9", 4, 200, HD_ERANGE, 0, 0 }, /* before its mask is there */
        { "\x81\xe5mask", 6, 100, HD_ERANGE, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct net_ws_frame frame = { 0 };
        char *copy = malloc(rows[i].n ? rows[i].n : 1);
        enum hd_err err;

        memcpy(copy, rows[i].octets, rows[i].n);
        err = net_ws_frame_read(hd_slice(copy, rows[i].n), rows[i].max, &frame);
        if (err != rows[i].err || frame.head != rows[i].head || frame.n != rows[i].payload)
            fail_msg("row %zu: %s, head %zu, payload %zu", i, hd_err_text(err), frame.head,
                     frame.n);
        free(copy);
    }
}

static void
only_utf_8_is_utf_8(void **state)
{
    static const char *const good[] = { "",
                                        "abc",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "a\xc3\xa4z" };
    static const char *const bad[] = { "\x80",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xc2",
                                       "\xc2z",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xe2\x82",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xff",
                                       "a\xfe",
                                       "\xf0\x90\x80",
                                       "\xe2\x28\xa1" };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(good); i++)
        assert_true(net_ws_is_utf8(hd_slice_str(good[i])));
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
        assert_false(net_ws_is_utf8(hd_slice_str(bad[i])));
    assert_true(net_ws_is_utf8(HD_LIT("a\0b")));
}

static void
codes_of_close_frames_are_those_that_may_be_sent(void **state)
{
    static const unsigned good[] = { 1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999 };
    static const unsigned bad[] = { 0, 999, 1004, 1005, 1006, 1015, 1100, 2999, 5000, 65535 };

    (void)state;
    assert_true(net_ws_close_ok(HD_LIT("")));
    assert_false(net_ws_close_ok(HD_LIT("\x03")));
    for (size_t i = 0; i < HD_ARRAY_LEN(good); i++) {
        const char text[] = { (char)(good[i] >> 8), (char)good[i], 'b', 'y', 'e', '\xff' };
        assert_true(net_ws_close_ok(hd_slice(text, 5)));
        assert_false(net_ws_close_ok(hd_slice(text, 6)));
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++) {
        const char text[] = { (char)(bad[i] >> 8), (char)bad[i] };
        assert_false(net_ws_close_ok(hd_slice(text, 2)));
    }
}

/* --- a second opinion ---------------------------------------------------------------------------
 */

struct wire {
    char octets[300000];
    size_t n, at;
    char *message; /* what wslay took */
    size_t message_n;
    uint8_t opcode;
};

static ssize_t
wire_write(wslay_event_context_ptr ctx, const uint8_t *data, size_t n, int flags, void *user)
{
    struct wire *wire = user;

    (void)ctx;
    (void)flags;
    assert_true(n <= sizeof(wire->octets) - wire->n);
    memcpy(wire->octets + wire->n, data, n);
    wire->n += n;
    return (ssize_t)n;
}

static ssize_t
wire_read(wslay_event_context_ptr ctx, uint8_t *data, size_t n, int flags, void *user)
{
    struct wire *wire = user;
    size_t left = wire->n - wire->at;

    (void)flags;
    if (left == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    n = n < left ? n : left;
    memcpy(data, wire->octets + wire->at, n);
    wire->at += n;
    return (ssize_t)n;
}

static int
wire_mask(wslay_event_context_ptr ctx, uint8_t *mask, size_t n, void *user)
{
    (void)ctx;
    (void)user;
    for (size_t i = 0; i < n; i++)
        mask[i] = (uint8_t)(0xa5 + 71 * i);
    return 0;
}

static void
wire_took(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct wire *wire = user;

    (void)ctx;
    free(wire->message);
    wire->message = malloc(arg->msg_length + 1);
    memcpy(wire->message, arg->msg, arg->msg_length);
    wire->message_n = arg->msg_length;
    wire->opcode = arg->opcode;
}

static const struct wslay_event_callbacks callbacks = { .recv_callback = wire_read,
                                                        .send_callback = wire_write,
                                                        .genmask_callback = wire_mask,
                                                        .on_msg_recv_callback = wire_took };
static const size_t lengths[] = { 1, 2, 125, 126, 127, 1300, 65535, 65536, 70000 };

static void
frames_of_wslay_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(lengths); i++) {
        struct wire *wire = calloc(1, sizeof(*wire));
        char *text = malloc(lengths[i]);
        wslay_event_context_ptr ctx;
        struct net_ws_frame frame;

        for (size_t k = 0; k < lengths[i]; k++)
            text[k] = (char)('a' + k % 26);
        assert_int_equal(wslay_event_context_client_init(&ctx, &callbacks, wire), 0);
        assert_int_equal(
            wslay_event_queue_msg(
                ctx, &(struct wslay_event_msg){ WSLAY_BINARY_FRAME, (uint8_t *)text, lengths[i] }),
            0);
        assert_int_equal(wslay_event_send(ctx), 0);
        assert_int_equal(net_ws_frame_read(hd_slice(wire->octets, wire->n), 1 << 20, &frame),
                         HD_OK);
        assert_true(frame.fin && frame.opcode == NET_WS_BINARY);
        assert_int_equal(frame.n, lengths[i]);
        assert_int_equal(frame.head + frame.n, wire->n);
        net_ws_mask(wire->octets + frame.head, frame.n, frame.mask);
        assert_memory_equal(wire->octets + frame.head, text, lengths[i]);
        wslay_event_context_free(ctx);
        free(text);
        free(wire);
    }
}

static void
our_frames_are_read_by_wslay(void **state)
{
    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(lengths); i++) {
        struct wire *wire = calloc(1, sizeof(*wire));
        wslay_event_context_ptr ctx;

        wire->n = net_ws_frame_head(NET_WS_TEXT, lengths[i], wire->octets);
        memset(wire->octets + wire->n, 'x', lengths[i]);
        wire->n += lengths[i];
        assert_int_equal(wslay_event_context_client_init(&ctx, &callbacks, wire), 0);
        assert_int_equal(wslay_event_recv(ctx), 0);
        assert_int_equal(wire->message_n, lengths[i]);
        assert_int_equal(wire->opcode, WSLAY_TEXT_FRAME);
        wslay_event_context_free(ctx);
        free(wire->message);
        free(wire);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_of_rfc_6455_is_answered_with_its_accept),
        cmocka_unit_test(each_request_is_taken_or_told_what_is_wrong),
        cmocka_unit_test(request_may_come_in_any_parts_but_not_without_end),
        cmocka_unit_test(heads_of_frames_are_judged_before_anything_is_kept),
        cmocka_unit_test(only_utf_8_is_utf_8),
        cmocka_unit_test(codes_of_close_frames_are_those_that_may_be_sent),
        cmocka_unit_test(frames_of_wslay_are_read),
        cmocka_unit_test(our_frames_are_read_by_wslay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
