#include "sip/reply.h"

#include "sip_test.h"

static struct hd_addr
addr_of(const char *host, uint16_t port)
{
    struct hd_addr addr;
    assert_int_equal(hd_addr_parse(hd_slice_str(host), port, &addr), HD_OK);
    return addr;
}

static void
a_reply_copies_what_the_rfc_names(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(
        &p,
        START(
            "SUBSCRIBE") "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKb1 , SIP/2.0/TCP\r\n h2\r\n"
                         "Timestamp: 54\r\n"
                         "v: SIP/2.0/UDP h3;x=\"a,b\"\r\n"
                         "f: \"B\"\r\n <sip:bob@example.test> ;tag=f1\r\n"
                         "t:   sip:alice@example.test\r\n"
                         "i: c1\r\nCSeq: 0007\tSUBSCRIBE\r\nEvent: x\r\n\r\n");
    const struct hd_addr source = addr_of("192.0.2.9", 6000);
    char buffer[1024];
    struct sip_out out;
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_reply_begin(&out, &p.msg, 200, HD_LIT(""), HD_LIT("our"), &source);
    sip_reply_end(&out);
    assert_slice(hd_slice(buffer, out.n),
                 "SIP/2.0 200 OK\r\n"
                 "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKb1 , SIP/2.0/TCP h2\r\n"
                 "Via: SIP/2.0/UDP h3;x=\"a,b\"\r\n"
                 "From: \"B\" <sip:bob@example.test> ;tag=f1\r\n"
                 "To: sip:alice@example.test;tag=our\r\n"
                 "Call-ID: c1\r\n"
                 "CSeq: 0007\tSUBSCRIBE\r\n"
                 "Content-Length: 0\r\n\r\n");
}

static void
a_100_has_the_timestamp_and_no_tag(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, REQUEST("SUBSCRIBE", "Timestamp: 54\r\n"));
    const struct hd_addr source = addr_of("192.0.2.9", 5062);
    char buffer[1024];
    struct sip_out out;
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_reply_begin(&out, &p.msg, 100, HD_LIT("Waiting"), HD_LIT("our"), &source);
    assert_slice(hd_slice(buffer, out.n), "SIP/2.0 100 Waiting\r\n" VIA FROM TO CALL_ID CSEQ(
                                              "SUBSCRIBE") "Timestamp: 54\r\n");
}

static void
a_tag_of_the_request_is_kept(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, START("SUBSCRIBE") VIA FROM
               "To: <sip:a@b>;tag=theirs\r\n" CALL_ID CSEQ("SUBSCRIBE") "\r\n");
    const struct hd_addr source = addr_of("192.0.2.9", 5062);
    char buffer[1024];
    struct sip_out out;
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_reply_begin(&out, &p.msg, 481, HD_LIT(""), HD_LIT("our"), &source);
    assert_slice(hd_slice(buffer, out.n), "SIP/2.0 481 Call/Transaction Does Not Exist\r\n" VIA FROM
                                          "To: <sip:a@b>;tag=theirs\r\n" CALL_ID CSEQ("SUBSCRIBE"));
}

static void
the_top_via_says_where_the_request_came_from(void **state)
{
    (void)state;
    static const struct {
        const char *via, *source;
        uint16_t port;
        const char *out;
        uint16_t target;
    } row[] = {
        { "SIP/2.0/UDP 192.0.2.9", "192.0.2.9", 6000, "SIP/2.0/UDP 192.0.2.9", 5060 },
        { "SIP/2.0/UDP 192.0.2.9:7000", "192.0.2.9", 6000, "SIP/2.0/UDP 192.0.2.9:7000", 7000 },
        { "SIP/2.0/UDP 192.0.2.9;rport;branch=b", "192.0.2.9", 6000,
          "SIP/2.0/UDP 192.0.2.9;branch=b;received=192.0.2.9;rport=6000", 6000 },
        { "SIP/2.0/UDP 192.0.2.8", "192.0.2.9", 6000, "SIP/2.0/UDP 192.0.2.8;received=192.0.2.9",
          5060 },
        { "SIP/2.0/UDP h.invalid ; branch = b ; x", "192.0.2.9", 6000,
          "SIP/2.0/UDP h.invalid;branch=b;x;received=192.0.2.9", 5060 },
        { "SIP/2.0/UDP h;received=203.0.113.66;branch=b", "192.0.2.9", 6000,
          "SIP/2.0/UDP h;branch=b;received=192.0.2.9", 5060 },
        { "SIP/2.0/UDP 192.0.2.9;RECEIVED=203.0.113.66", "192.0.2.9", 6000, "SIP/2.0/UDP 192.0.2.9",
          5060 },
        { "SIP/2.0/UDP [2001:db8::9]:7000;rport", "2001:db8::9", 6000,
          "SIP/2.0/UDP [2001:db8::9]:7000;received=2001:db8::9;rport=6000", 6000 },
        { "SIP/2.0/UDP [2001:db8:0::9]", "2001:db8::9", 6000, "SIP/2.0/UDP [2001:db8:0::9]", 5060 },
        { "SIP/2.0/UDP 192.0.2.9;rport=1;branch=b", "192.0.2.9", 6000,
          "SIP/2.0/UDP 192.0.2.9;rport=1;branch=b", 5060 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024], buffer[1024], want[512];
        struct parsed p;
        struct sip_out out;
        snprintf(text, sizeof(text),
                 START("NOTIFY") "Via: %s\r\n" FROM TO CALL_ID CSEQ("NOTIFY") "\r\n", row[i].via);
        parse_good(&p, text);
        const struct hd_addr source = addr_of(row[i].source, row[i].port);
        sip_out_init(&out, buffer, sizeof(buffer));
        sip_reply_begin(&out, &p.msg, 200, HD_LIT(""), HD_LIT("our"), &source);
        snprintf(want, sizeof(want), "SIP/2.0 200 OK\r\nVia: %s\r\n", row[i].out);
        assert_slice(hd_slice(buffer, strlen(want) < out.n ? strlen(want) : out.n), want);
        const struct hd_addr target = sip_reply_target(&p.msg, &source);
        assert_true(hd_addr_same_ip(&target, &source));
        assert_int_equal(target.port, row[i].target);
    }
}

/* RFC 6223 section 4.3: how often keep-alives are welcome is said to whom asks at registration and
 * at the beginning of a dialog, by the first hop alone. */
static void
keep_in_the_top_via_is_told_how_often(void **state)
{
    static const struct {
        const char *method, *via, *more, *out;
        unsigned status;
    } row[] = {
        { "SUBSCRIBE", "SIP/2.0/UDP 192.0.2.9;keep", "", "SIP/2.0/UDP 192.0.2.9;keep=29", 200 },
        { "REGISTER", "SIP/2.0/WSS 192.0.2.9;keep;x", "", "SIP/2.0/WSS 192.0.2.9;keep=120;x", 200 },
        { "SUBSCRIBE", "SIP/2.0/UDP 192.0.2.9;keep=7", "", "SIP/2.0/UDP 192.0.2.9;keep=7", 200 },
        { "SUBSCRIBE", "SIP/2.0/UDP 192.0.2.9;keep", "", "SIP/2.0/UDP 192.0.2.9;keep", 401 },
        { "PUBLISH", "SIP/2.0/UDP 192.0.2.9;keep", "", "SIP/2.0/UDP 192.0.2.9;keep", 200 },
        { "SUBSCRIBE", "SIP/2.0/UDP 192.0.2.9;keep", "Via: SIP/2.0/UDP 10.0.0.1;branch=x\r\n",
          "SIP/2.0/UDP 192.0.2.9;keep", 200 },
        { "SUBSCRIBE", "SIP/2.0/UDP 192.0.2.9;keeper", "", "SIP/2.0/UDP 192.0.2.9;keeper", 200 },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024], buffer[1024], want[512];
        struct parsed p;
        struct sip_out out;
        const struct hd_addr source = addr_of("192.0.2.9", 5060);

        snprintf(text, sizeof(text),
                 "%s sip:x SIP/2.0\r\nVia: %s\r\n%s" FROM TO CALL_ID "CSeq: 1 %s\r\n\r\n",
                 row[i].method, row[i].via, row[i].more, row[i].method);
        parse_good(&p, text);
        sip_out_init(&out, buffer, sizeof(buffer));
        sip_reply_begin(&out, &p.msg, row[i].status, HD_LIT("X"), HD_LIT("our"), &source);
        snprintf(want, sizeof(want), "SIP/2.0 %u X\r\nVia: %s\r\n", row[i].status, row[i].out);
        assert_slice(hd_slice(buffer, strlen(want) < out.n ? strlen(want) : out.n), want);
    }
}

static void
a_refusal_repeats_what_could_not_be_read(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p,
          HD_LIT("NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.15;branch=b;;,;,,\r\n"
                 "To: \"open\r\n <sip:a@b>\r\nFrom: a\rb\r\nCSeq: 99999999999 NOTIFY\r\n\r\n"),
          false);
    assert_true(p.fault.answerable);
    const struct hd_addr source = addr_of("192.0.2.15", 6000);
    char buffer[1024];
    struct sip_out out;
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_reply_begin(&out, &p.msg, 400, hd_slice_str(p.fault.reason), HD_LIT("our"), &source);
    assert_slice(hd_slice(buffer, out.n), "SIP/2.0 400 Bare CR In Header\r\n"
                                          "Via: SIP/2.0/UDP 192.0.2.15;branch=b;;,;,,\r\n"
                                          "From: a b\r\n"
                                          "To: \"open <sip:a@b>\r\n"
                                          "CSeq: 99999999999 NOTIFY\r\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_copies_what_the_rfc_names),
        cmocka_unit_test(a_100_has_the_timestamp_and_no_tag),
        cmocka_unit_test(a_tag_of_the_request_is_kept),
        cmocka_unit_test(the_top_via_says_where_the_request_came_from),
        cmocka_unit_test(keep_in_the_top_via_is_told_how_often),
        cmocka_unit_test(a_refusal_repeats_what_could_not_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
