#include "sip/dialog.h"

#include "sip_test.h"

static void
the_route_set_is_the_record_route_in_its_order(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, REQUEST("SUBSCRIBE",
                           "Record-Route: <sip:p1.example.test;lr;transport=tcp>;x=\"a,b\"\r\n"
                           "Record-Route: P \r\n <sip:192.0.2.2;lr> , <sips:p3>\r\n"));
    char buffer[512];
    struct sip_out out;
    sip_out_init(&out, buffer, sizeof(buffer));
    assert_int_equal(sip_route_set(&p.msg, false, &out), HD_OK);
    assert_slice(hd_slice(buffer, out.n),
                 "<sip:p1.example.test;lr;transport=tcp>;x=\"a,b\",P <sip:192.0.2.2;lr>,<sips:p3>");
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_route_echo(&p.msg, &out);
    assert_slice(hd_slice(buffer, out.n),
                 "Record-Route: <sip:p1.example.test;lr;transport=tcp>;x=\"a,b\"\r\n"
                 "Record-Route: P <sip:192.0.2.2;lr> , <sips:p3>\r\n");
}

static void
for_a_sips_target_the_route_set_is_sips_throughout(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, REQUEST("SUBSCRIBE", "Record-Route: <sip:p1.example.test:5061;lr>;x=sip:y\r\n"
                                        "Record-Route: \"sip:P\" \r\n <SIP:192.0.2.2;lr>, "
                                        "<sips:p3;lr>\r\n"));
    char buffer[512];
    struct sip_out out;
    sip_out_init(&out, buffer, sizeof(buffer));
    assert_int_equal(sip_route_set(&p.msg, true, &out), HD_OK);
    assert_slice(hd_slice(buffer, out.n),
                 "<sips:p1.example.test:5061;lr>;x=sip:y,\"sip:P\" <sips:192.0.2.2;lr>,"
                 "<sips:p3;lr>");
}

static void
without_record_route_there_is_no_route_set(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, REQUEST("SUBSCRIBE", ""));
    char buffer[8];
    struct sip_out out;
    sip_out_init(&out, buffer, sizeof(buffer));
    assert_int_equal(sip_route_set(&p.msg, false, &out), HD_OK);
    sip_route_echo(&p.msg, &out);
    assert_int_equal(out.n, 0);
}

static void
a_record_route_that_is_no_sip_uri_in_brackets_is_refused(void **state)
{
    (void)state;
    static const char *const row[] = { "sip:p1;lr", "<tel:123>",      "<sip:p1",
                                       "<sip:>",    "<sip:ok;lr>, x", "<http://p/>" };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024], buffer[512];
        struct parsed p;
        struct sip_out out;
        snprintf(text, sizeof(text),
                 START("SUBSCRIBE") COMMON("SUBSCRIBE") "Record-Route: %s\r\n\r\n", row[i]);
        parse_good(&p, text);
        sip_out_init(&out, buffer, sizeof(buffer));
        if (sip_route_set(&p.msg, false, &out) != HD_ESYNTAX)
            fail_msg("%s", row[i]);
    }
}

static void
the_hop_is_the_first_route_or_the_target(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice route, target;
        const char *uri, *route_out, *last, *next;
    } row[] = {
        { L(""), L("sip:bob@192.0.2.9"), "sip:bob@192.0.2.9", "", "", "192.0.2.9" },
        { L("<sip:p1;lr>"), L("sip:bob@h"), "sip:bob@h", "<sip:p1;lr>", "", "p1" },
        { L("<sip:p1;lr=on;ftag=x>,<sip:p2>"), L("sip:bob@h"), "sip:bob@h",
          "<sip:p1;lr=on;ftag=x>,<sip:p2>", "", "p1" },
        { L("<sip:p1>,<sip:p2;lr>"), L("sip:bob@h"), "sip:p1", "<sip:p2;lr>", "sip:bob@h", "p1" },
        { L("<sip:p1;x?h=v>"), L("sip:bob@h"), "sip:p1;x", "", "sip:bob@h", "p1" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_hop hop;
        assert_int_equal(sip_dialog_hop(row[i].route, row[i].target, &hop), HD_OK);
        assert_slice(hop.request_uri, row[i].uri);
        assert_slice(hop.route, row[i].route_out);
        assert_slice(hop.route_last, row[i].last);
        assert_slice(hop.next.host, row[i].next);
    }
    struct sip_hop hop;
    assert_int_equal(sip_dialog_hop(hd_slice(NULL, 0), HD_LIT("bob"), &hop), HD_ESYNTAX);
    assert_int_equal(sip_dialog_hop(HD_LIT("<sip:p1;lr>"), HD_LIT("bob"), &hop), HD_ESYNTAX);
    assert_int_equal(sip_dialog_hop(HD_LIT("<sip:p1:x;lr>"), HD_LIT("sip:bob@h"), &hop),
                     HD_ESYNTAX);
}

static void
a_literal_host_gives_an_address_with_the_default_port(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        enum hd_err err;
        unsigned transport;
        const char *addr;
    } row[] = {
        { "sip:192.0.2.1", HD_OK, HD_UDP, "192.0.2.1:5060" },
        { "sip:a@192.0.2.1:7;transport=tcp", HD_OK, HD_TCP, "192.0.2.1:7" },
        { "sips:[2001:db8::1]", HD_OK, HD_TLS, "[2001:db8::1]:5061" },
        { "sip:a@192.0.2.1;maddr=203.0.113.66", HD_OK, HD_UDP, "192.0.2.1:5060" },
        { "sip:a@h.test", HD_ENOMATCH, 0, NULL },
        { "tel:123", HD_ENOMATCH, 0, NULL },
        { "sip:192.0.2.1;transport=sctp", HD_ENOTSUP, 0, NULL },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_uri uri;
        enum hd_transport transport;
        struct hd_addr addr;
        char text[HD_ADDR_TEXT];
        assert_int_equal(sip_uri_parse(hd_slice_str(row[i].uri), &uri), HD_OK);
        assert_int_equal(sip_uri_addr(&uri, &transport, &addr), row[i].err);
        if (row[i].err)
            continue;
        assert_int_equal(transport, row[i].transport);
        assert_slice(hd_slice(text, hd_addr_text(&addr, text)), row[i].addr);
    }
}

static void
a_request_has_exactly_one_contact(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        enum hd_err err;
    } row[] = {
        { "", HD_ENOMATCH },
        { "Contact:\r\n", HD_ENOMATCH },
        { "m: <sip:a,b@c>;x=\",\"\r\n", HD_OK },
        { "Contact: <sip:a@b>, <sip:c@d>\r\n", HD_EEXIST },
        { "Contact: <sip:a@b>\r\nm: <sip:c@d>\r\n", HD_EEXIST },
        { "Contact: *\r\n", HD_ESYNTAX },
        { "Contact: <sip:a@b\r\n", HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024];
        struct parsed p;
        struct sip_addr contact;
        snprintf(text, sizeof(text), START("SUBSCRIBE") COMMON("SUBSCRIBE") "%s\r\n", row[i].lines);
        parse_good(&p, text);
        assert_int_equal(sip_contact_one(&p.msg, &contact), row[i].err);
        if (!row[i].err)
            assert_slice(contact.uri, "sip:a,b@c");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_route_set_is_the_record_route_in_its_order),
        cmocka_unit_test(for_a_sips_target_the_route_set_is_sips_throughout),
        cmocka_unit_test(without_record_route_there_is_no_route_set),
        cmocka_unit_test(a_record_route_that_is_no_sip_uri_in_brackets_is_refused),
        cmocka_unit_test(the_hop_is_the_first_route_or_the_target),
        cmocka_unit_test(a_literal_host_gives_an_address_with_the_default_port),
        cmocka_unit_test(a_request_has_exactly_one_contact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
