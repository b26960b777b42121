#include "sip_test.h"

static void
a_message_ends_where_its_content_length_says(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        size_t len;
    } row[] = {
        { L("A sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"), 38 },
        { L("A sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nabcNEXT"), 41 },
        { L("A sip:a SIP/2.0\r\nL:\t 3 \r\n\r\nabc"), 30 },
        { L("SIP/2.0 200 OK\r\ncontent-LENGTH :\r\n 2\r\n\r\nab"), 42 },
        { L("A sip:a SIP/2.0\r\nX: y\r\n l: 9\r\nl: 1\r\n\r\na"), 39 },
        { L("A sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 1\r\n\r\na"), 45 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        size_t len = 99;
        assert_int_equal(sip_frame_find(row[i].in, 100, &len), SIP_FRAME_MESSAGE);
        assert_int_equal(len, row[i].len);
    }
}

static void
every_beginning_of_a_message_asks_for_more(void **state)
{
    (void)state;
    const struct hd_slice text =
        HD_LIT("A sip:a SIP/2.0\r\nX: y\r\n z\r\nContent-Length: 4\r\n\r\n\r\n\r\n");
    size_t len;
    for (size_t n = 0; n < text.n; n++) {
        assert_int_equal(sip_frame_find(hd_slice(text.p, n), 100, &len), SIP_FRAME_MORE);
        assert_int_equal(len, 0);
    }
    assert_int_equal(sip_frame_find(text, 100, &len), SIP_FRAME_MESSAGE);
}

static void
line_ends_before_a_message_are_pings_or_skipped(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        enum sip_frame frame;
        size_t len;
    } row[] = {
        { L(""), SIP_FRAME_MORE, 0 },         { L("\r"), SIP_FRAME_MORE, 0 },
        { L("\r\n"), SIP_FRAME_MORE, 0 },     { L("\r\n\r"), SIP_FRAME_MORE, 0 },
        { L("\r\n\r\n"), SIP_FRAME_PING, 4 }, { L("\r\n\r\n\r\n\r\n"), SIP_FRAME_PING, 4 },
        { L("\r\nA"), SIP_FRAME_SKIP, 2 },    { L("\r\n\rA"), SIP_FRAME_SKIP, 2 },
        { L("\rA"), SIP_FRAME_BAD, 0 },       { L("\r\r"), SIP_FRAME_BAD, 0 },
        { L("\n"), SIP_FRAME_BAD, 0 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        size_t len = 99;
        assert_int_equal(sip_frame_find(row[i].in, 100, &len), row[i].frame);
        assert_int_equal(len, row[i].len);
    }
}

static void
what_cannot_be_framed_closes_the_stream(void **state)
{
    (void)state;
    static const struct hd_slice row[] = {
        L("\x16\x03\x01"),
        L(" A"),
        L("GET / HTTP/1.1\r\n"),
        L("A sip:a SIP/2.0\n"),
        L("\xff"),
        L("A sip:a SIP/2.0\r\n\r\n"),
        L("A sip:a SIP/2.0\r\nX: y\r\n\r\n"),
        L("A sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n"),
        L("A sip:a SIP/2.0\r\nContent-Length: five\r\n\r\n"),
        L("A sip:a SIP/2.0\r\nContent-Length:\r\n\r\n"),
        L("A sip:a SIP/2.0\r\nContent-Length: 1, 1\r\n\r\n"),
        L("A sip:a SIP/2.0\r\nContent-Length: 1 1\r\n\r\n"),
        L("A sip:a SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        L("A sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\nab"),
        L("A sip:a SIP/2.0\r\nContent-Lengthy: 1\r\n\r\na"),
        L("A sip:a SIP/2.0\r\nX: y\nContent-Length: 1\r\n\r\na"),
        L("A sip:a SIP/2.0\r\nContent-Length: 1\r\nX: y\rZ: x\r\n\r\na"),
        L("A sip:a SIP/2.0\r\nContent-Length: 1\r\nX: y\r\r\n\r\na"),
        L("A sip:a SIP/2.0\r\nContent-Length: 1\r\n\nX: y\r\n\r\na"),
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        size_t len;
        if (sip_frame_find(row[i], 100, &len) != SIP_FRAME_BAD)
            fail_msg("%.*s", HD_FMT(row[i]));
    }
}

static void
a_body_above_the_limit_leaves_the_head_to_be_answered(void **state)
{
    (void)state;
    const struct hd_slice text = HD_LIT("A sip:a SIP/2.0\r\nContent-Length: 101\r\n\r\nabc");
    size_t len;
    assert_int_equal(sip_frame_find(text, 101, &len), SIP_FRAME_MORE);
    assert_int_equal(sip_frame_find(text, 100, &len), SIP_FRAME_TOO_LARGE);
    assert_int_equal(len, text.n - 3);
}

static void
a_head_above_the_limit_is_too_large(void **state)
{
    (void)state;
    static char text[SIP_MAX_HEAD + 64];
    size_t len;
    memset(text, 'x', sizeof(text));
    memcpy(text, "A sip:a SIP/2.0\r\nl:0\r\nX:", 24);
    memcpy(text + SIP_MAX_HEAD - 4, "\r\n\r\n", 4);
    assert_int_equal(sip_frame_find(hd_slice(text, SIP_MAX_HEAD), 100, &len), SIP_FRAME_MESSAGE);
    assert_int_equal(len, SIP_MAX_HEAD);
    memset(text + SIP_MAX_HEAD - 4, 'x', 4);
    memcpy(text + SIP_MAX_HEAD - 3, "\r\n\r\n", 4);
    assert_int_equal(sip_frame_find(hd_slice(text, SIP_MAX_HEAD - 1), 100, &len), SIP_FRAME_MORE);
    assert_int_equal(sip_frame_find(hd_slice(text, SIP_MAX_HEAD + 1), 100, &len),
                     SIP_FRAME_TOO_LARGE);
    assert_int_equal(len, 0);
}

static void
two_equal_lengths_are_framed_and_then_refused_by_the_parser(void **state)
{
    (void)state;
    const struct hd_slice text = HD_LIT(REQUEST("NOTIFY", "l: 1\r\nContent-Length: 1\r\n") "a");
    size_t len;
    struct parsed p;
    assert_int_equal(sip_frame_find(text, 100, &len), SIP_FRAME_MESSAGE);
    assert_int_equal(len, text.n);
    parse(&p, text, true);
    assert_string_equal(p.fault.reason, "Repeated Content-Length Header");
    assert_true(p.fault.answerable);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_ends_where_its_content_length_says),
        cmocka_unit_test(every_beginning_of_a_message_asks_for_more),
        cmocka_unit_test(line_ends_before_a_message_are_pings_or_skipped),
        cmocka_unit_test(what_cannot_be_framed_closes_the_stream),
        cmocka_unit_test(a_body_above_the_limit_leaves_the_head_to_be_answered),
        cmocka_unit_test(a_head_above_the_limit_is_too_large),
        cmocka_unit_test(two_equal_lengths_are_framed_and_then_refused_by_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
