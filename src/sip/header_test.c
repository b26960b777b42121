#include "sip/header.h"

#include "sip_test.h"

static void
parameters_are_cut_one_by_one(void **state)
{
    (void)state;
    struct hd_slice rest = HD_LIT(" ;a=b; flag ;\r\n c = \"x;\\\"y\" ;d=[::1]:5060;e=;f=a=b");
    struct hd_slice name, value;
    static const struct {
        const char *name, *value;
    } want[] = {
        { "a", "b" },          { "flag", NULL }, { "c", "\"x;\\\"y\"" },
        { "d", "[::1]:5060" }, { "e", "" },      { "f", "a=b" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(want); i++) {
        assert_int_equal(sip_param_next(&rest, &name, &value), HD_OK);
        assert_slice(name, want[i].name);
        assert_int_equal(value.p != NULL, want[i].value != NULL);
        assert_slice(value, want[i].value);
    }
    assert_int_equal(sip_param_next(&rest, &name, &value), HD_ENOMATCH);
}

static void
bad_parameters_are_refused(void **state)
{
    (void)state;
    static const struct hd_slice row[] = {
        L(";"),      L(";;a"),       L("a=b"),   L("; ;a"),     L(";a b"),   L(";a=\"b"),
        L(";a=b c"), L(";a=\"b\"c"), L(";a,b"),  L(";a=b,c"),   L(";a=<b>"), L(";=b"),
        L(";\"a\""), L(";a=\"b\\"),  L(";a=b;"), L(";a==b\"c"),
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_slice rest = row[i], name, value;
        enum hd_err err;
        do {
            err = sip_param_next(&rest, &name, &value);
        } while (err == HD_OK);
        if (err != HD_ESYNTAX)
            fail_msg("\"%.*s\" was taken", HD_FMT(row[i]));
    }
}

static void
a_parameter_is_found_by_its_name_in_any_case(void **state)
{
    (void)state;
    struct hd_slice value;
    const struct hd_slice params = HD_LIT(";A=1;b;c=\"d\"");
    assert_true(sip_param_find(params, HD_LIT("a"), &value));
    assert_slice(value, "1");
    assert_true(sip_param_find(params, HD_LIT("B"), &value));
    assert_null(value.p);
    assert_true(sip_param_find(params, HD_LIT("c"), NULL));
    assert_false(sip_param_find(params, HD_LIT("d"), &value));
    assert_false(sip_param_find(hd_slice(NULL, 0), HD_LIT("d"), &value));
}

static void
quotes_are_taken_off_a_quoted_string_only(void **state)
{
    (void)state;
    assert_slice(sip_unquote(HD_LIT("\"a\\\"b\"")), "a\\\"b");
    assert_slice(sip_unquote(HD_LIT("\"\"")), "");
    assert_slice(sip_unquote(HD_LIT("\"")), "\"");
    assert_slice(sip_unquote(HD_LIT("a\"")), "a\"");
    assert_slice(sip_unquote(hd_slice(NULL, 0)), "");
}

static void
lists_are_cut_at_commas_outside_of_quotes_and_brackets(void **state)
{
    (void)state;
    struct hd_slice rest =
        HD_LIT(" a , ,\"b,\\\",c\" <sip:x,y@z>;p=\",\",\r\n d;e=\"f\" ,, <sip:,@\"> , g,");
    struct hd_slice item;
    static const char *const want[] = { "a", "\"b,\\\",c\" <sip:x,y@z>;p=\",\"", "d;e=\"f\"",
                                        "<sip:,@\">", "g" };
    for (size_t i = 0; i < HD_ARRAY_LEN(want); i++) {
        assert_true(sip_list_next(&rest, &item));
        assert_slice(item, want[i]);
    }
    assert_false(sip_list_next(&rest, &item));
    assert_false(sip_list_next(&rest, &item));
}

static void
what_is_never_closed_takes_the_rest_of_the_list(void **state)
{
    (void)state;
    struct hd_slice item, quote = HD_LIT("a, \"b, c, d"), bracket = HD_LIT("<sip:a, b");
    assert_true(sip_list_next(&quote, &item));
    assert_true(sip_list_next(&quote, &item));
    assert_slice(item, "\"b, c, d");
    assert_false(sip_list_next(&quote, &item));
    assert_true(sip_list_next(&bracket, &item));
    assert_slice(item, "<sip:a, b");
}

static void
a_walk_goes_through_all_fields_of_a_header(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p,
               REQUEST("SUBSCRIBE", "Accept: a/b, c/d\r\nX: y\r\nAccept:\r\nACCEPT: e/f;q=1\r\n"));
    struct sip_walk walk = { 0 };
    struct hd_slice item;
    static const char *const want[] = { "a/b", "c/d", "e/f;q=1" };
    for (size_t i = 0; i < HD_ARRAY_LEN(want); i++) {
        assert_true(sip_msg_walk(&p.msg, SIP_HDR_ACCEPT, &walk, &item));
        assert_slice(item, want[i]);
    }
    assert_false(sip_msg_walk(&p.msg, SIP_HDR_ACCEPT, &walk, &item));
    walk = (struct sip_walk){ 0 };
    assert_false(sip_msg_walk(&p.msg, SIP_HDR_CONTACT, &walk, &item));
}

static void
addresses_are_split(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        const char *display, *uri, *params;
        bool brackets;
    } row[] = {
        { L("<sip:a@b>"), "", "sip:a@b", "", true },
        { L("sip:a@b"), "", "sip:a@b", "", false },
        { L("sip:a@b;tag=1;x"), "", "sip:a@b", ";tag=1;x", false },
        { L(" sip:a@b  ; tag = 1 "), "", "sip:a@b", "; tag = 1", false },
        { L("<sip:a@b;lr>;tag=1"), "", "sip:a@b;lr", ";tag=1", true },
        { L("Bob <sip:a@b>"), "Bob", "sip:a@b", "", true },
        { L("Bob<sip:a@b>"), "Bob", "sip:a@b", "", true },
        { L("A. G. Bell <sip:a@b> ;tag=1"), "A. G. Bell", "sip:a@b", ";tag=1", true },
        { L("\"a <x> \\\" \\\\\" <sip:a@b>"), "\"a <x> \\\" \\\\\"", "sip:a@b", "", true },
        { L("\"\"<sip:a@b>"), "\"\"", "sip:a@b", "", true },
        { L("J\xc3\xb6rg <sip:a@b>"), "J\xc3\xb6rg", "sip:a@b", "", true },
        { L("Bob\r\n <sip:a@b>\r\n\t;tag=1"), "Bob", "sip:a@b", ";tag=1", true },
        { L("tel:+123"), "", "tel:+123", "", false },
        { L("<http://x.test/?a,b;c>"), "", "http://x.test/?a,b;c", "", true },
        { L("<sip:a@b?h=v>"), "", "sip:a@b?h=v", "", true },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_addr addr;
        if (sip_addr_parse(row[i].in, &addr))
            fail_msg("\"%.*s\" was refused", HD_FMT(row[i].in));
        assert_slice(addr.display, row[i].display);
        assert_slice(addr.uri, row[i].uri);
        assert_slice(addr.params, row[i].params);
        assert_int_equal(addr.brackets, row[i].brackets);
    }
}

static void
bad_addresses_are_refused(void **state)
{
    (void)state;
    static const struct hd_slice row[] = {
        L(""),
        L("*"),
        L("bob"),
        L("<>"),
        L("<bob>"),
        L("sip:"),
        L(":a@b"),
        L("1sip:a@b"),
        L("<sip:a@b"),
        L("< sip:a@b>"),
        L("<sip:a@b >"),
        L("<sip:a\r\n @b>"),
        L("\"Bob <sip:a@b>"),
        L("\"Bob\" sip:a@b"),
        L("\"Bob\""),
        L("Bell, Alexander <sip:a@b>"),
        L("Bob sip:a@b"),
        L("sip:a@b?h=v"),
        L("sip:a,b@c"),
        L("sip:a@b x"),
        L("<sip:a@b>x"),
        L("<sip:a@b><sip:c@d>"),
        L("<sip:a@b>;;tag=1"),
        L("<sip:a@b>,<sip:c@d>"),
        L("<<sip:a@b>>"),
        L("<sip:a\"b>"),
        L("<sip:a@b\x01>"),
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_addr addr;
        if (sip_addr_parse(row[i], &addr) != HD_ESYNTAX)
            fail_msg("\"%.*s\" was taken", HD_FMT(row[i]));
    }
    struct sip_addr none;
    assert_int_equal(sip_addr_parse(hd_slice(NULL, 0), &none), HD_ESYNTAX);
}

static void
via_values_are_split(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        const char *transport, *host;
        unsigned port;
        const char *branch, *received, *maddr;
        bool rport;
    } row[] = {
        { L("SIP/2.0/UDP h"), "UDP", "h", 0, "", "", "", false },
        { L("SIP/2.0/TCP h:1;branch=z9hG4bKa"), "TCP", "h", 1, "z9hG4bKa", "", "", false },
        { L("sip/2.0/ws a.invalid:65535;rport"), "ws", "a.invalid", 65535, "", "", "", true },
        { L("SIP / 2.0\r\n / UDP \t[2001:db8::1] : 5060 ; BRANCH = x;rport=7"), "UDP",
          "[2001:db8::1]", 5060, "x", "", "", false },
        { L("SIP/2.0/UDP h;received=[::1];maddr=224.0.0.1"), "UDP", "h", 0, "", "[::1]",
          "224.0.0.1", false },
        { L("SIP/2.0/UDP h;received=2001:db8::9:255;alias"), "UDP", "h", 0, "", "2001:db8::9:255",
          "", false },
        { L("SIP/2.0/UDP [2001:db8:::192.0.2.1]:5060"), "UDP", "[2001:db8:::192.0.2.1]", 5060, "",
          "", "", false },
        { L("SIP/7.0/UDP my_host."), "UDP", "my_host.", 0, "", "", "", false },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_via via;
        if (sip_via_parse(row[i].in, &via))
            fail_msg("\"%.*s\" was refused", HD_FMT(row[i].in));
        assert_slice(via.transport, row[i].transport);
        assert_slice(via.host, row[i].host);
        assert_int_equal(via.port, row[i].port);
        assert_slice(via.branch, row[i].branch);
        assert_slice(via.received, row[i].received);
        assert_slice(via.maddr, row[i].maddr);
        assert_int_equal(via.rport, row[i].rport);
    }
}

static void
bad_via_values_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        enum hd_err err;
    } row[] = {
        { L(""), HD_ESYNTAX },
        { L("SIP/2.0/UDP"), HD_ESYNTAX },
        { L("SIP/2.0/UDP "), HD_ESYNTAX },
        { L("SIP/2.0 UDP h"), HD_ESYNTAX },
        { L("HTTP/1.1/TCP h"), HD_ESYNTAX },
        { L("SIP/2.0/ h"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h x"), HD_ESYNTAX },
        { L("SIP/2.0/UDP :5060"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h:"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h:a"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h:0"), HD_ERANGE },
        { L("SIP/2.0/UDP h:65536"), HD_ERANGE },
        { L("SIP/2.0/UDP h:99999999999"), HD_ERANGE },
        { L("SIP/2.0/UDP [::1"), HD_ESYNTAX },
        { L("SIP/2.0/UDP [::g]"), HD_ESYNTAX },
        { L("SIP/2.0/UDP 2001:db8::1"), HD_ESYNTAX },
        { L("SIP/2.0/UDP a..b"), HD_ESYNTAX },
        { L("SIP/2.0/UDP .a"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h;;branch=a"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h;branch=a;branch=b"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h;received=a;received=b"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h;rport;rport=1"), HD_ESYNTAX },
        { L("SIP/2.0/UDP h,"), HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_via via;
        const enum hd_err err = sip_via_parse(row[i].in, &via);
        if (err != row[i].err)
            fail_msg("\"%.*s\": %s", HD_FMT(row[i].in), hd_err_text(err));
    }
}

static void
sent_by_is_read_when_the_parameters_are_bad(void **state)
{
    (void)state;
    struct sip_via via;
    assert_int_equal(sip_via_sent_by(HD_LIT("SIP/2.0/UDP 192.0.2.15:77;;"), &via), HD_OK);
    assert_slice(via.host, "192.0.2.15");
    assert_int_equal(via.port, 77);
    assert_slice(via.params, ";;");
    assert_int_equal(sip_via_sent_by(HD_LIT("SIP/2.0/UDP h x"), &via), HD_ESYNTAX);
}

static void
cseq_is_read_up_to_its_limit(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        enum hd_err err;
        uint32_t number;
        const char *method;
    } row[] = {
        { L("0 NOTIFY"), HD_OK, 0, "NOTIFY" },
        { L("0009\r\n  NEWMETHOD "), HD_OK, 9, "NEWMETHOD" },
        { L("2147483647 A"), HD_OK, 2147483647, "A" },
        { L("2147483648 A"), HD_ERANGE, 0, "" },
        { L("36893488147419103232 A"), HD_ERANGE, 0, "" },
        { L(""), HD_ESYNTAX, 0, "" },
        { L("1"), HD_ESYNTAX, 0, "" },
        { L("1 "), HD_ESYNTAX, 0, "" },
        { L("NOTIFY"), HD_ESYNTAX, 0, "" },
        { L("1NOTIFY"), HD_ESYNTAX, 0, "" },
        { L("-1 NOTIFY"), HD_ESYNTAX, 0, "" },
        { L("1 NOTIFY x"), HD_ESYNTAX, 0, "" },
        { L("1 NO;TIFY"), HD_ESYNTAX, 0, "" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_cseq cseq;
        assert_int_equal(sip_cseq_parse(row[i].in, &cseq), row[i].err);
        if (row[i].err)
            continue;
        assert_int_equal(cseq.number, row[i].number);
        assert_slice(cseq.method_name, row[i].method);
        assert_int_equal(cseq.method, sip_method_find(cseq.method_name));
    }
}

static void
events_are_read_with_their_id(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        enum hd_err err;
        const char *package, *id;
    } row[] = {
        { L("presence"), HD_OK, "presence", NULL },
        { L("presence.winfo"), HD_OK, "presence.winfo", NULL },
        { L(" dialog ; ID = a47 ;sla"), HD_OK, "dialog", "a47" },
        { L("x-inventory"), HD_OK, "x-inventory", NULL },
        { L("x;idx=3"), HD_OK, "x", NULL },
        { L(""), HD_ESYNTAX, NULL, NULL },
        { L(".winfo"), HD_ESYNTAX, NULL, NULL },
        { L("presence."), HD_ESYNTAX, NULL, NULL },
        { L("presence, dialog"), HD_ESYNTAX, NULL, NULL },
        { L("presence dialog"), HD_ESYNTAX, NULL, NULL },
        { L("presence;id=1;id=1"), HD_ESYNTAX, NULL, NULL },
        { L("presence;id"), HD_ESYNTAX, NULL, NULL },
        { L("presence;id="), HD_ESYNTAX, NULL, NULL },
        { L("presence;"), HD_ESYNTAX, NULL, NULL },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_event event;
        if (sip_event_parse(row[i].in, &event) != row[i].err)
            fail_msg("\"%.*s\"", HD_FMT(row[i].in));
        if (row[i].err)
            continue;
        assert_slice(event.package, row[i].package);
        assert_slice(event.id, row[i].id);
        assert_int_equal(event.id.p != NULL, row[i].id != NULL);
    }
}

static void
subscription_state_is_read(void **state)
{
    (void)state;
    struct sip_substate s;
    assert_int_equal(sip_substate_parse(HD_LIT("active;expires=571"), &s), HD_OK);
    assert_slice(s.state, "active");
    assert_true(s.has_expires && s.expires_s == 571 && !s.has_retry_after && !s.reason.p);
    assert_int_equal(sip_substate_parse(HD_LIT("terminated ;reason=probation;Retry-After=60"), &s),
                     HD_OK);
    assert_slice(s.reason, "probation");
    assert_true(s.has_retry_after && s.retry_after_s == 60 && !s.has_expires);
    assert_int_equal(sip_substate_parse(HD_LIT("pending"), &s), HD_OK);
    static const struct hd_slice bad[] = { L(""),
                                           L(";expires=1"),
                                           L("active;expires=x"),
                                           L("terminated;retry-after=x"),
                                           L("active;expires=1;expires=2"),
                                           L("active,pending"),
                                           L("terminated;reason"),
                                           L("terminated;reason=a;reason=b") };
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
        assert_int_equal(sip_substate_parse(bad[i], &s), HD_ESYNTAX);
}

static void
seconds_are_clamped_to_what_fits(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        enum hd_err err, retry_err;
        uint32_t out;
    } row[] = {
        { L("0"), HD_OK, HD_OK, 0 },
        { L(" 3600\r\n "), HD_OK, HD_OK, 3600 },
        { L("4294967295"), HD_OK, HD_OK, UINT32_MAX },
        { L("4294967296"), HD_OK, HD_OK, UINT32_MAX },
        { L("99999999999999999999999"), HD_OK, HD_OK, UINT32_MAX },
        { L(""), HD_ESYNTAX, HD_ESYNTAX, 0 },
        { L("-1"), HD_ESYNTAX, HD_ESYNTAX, 0 },
        { L("1.5"), HD_ESYNTAX, HD_ESYNTAX, 0 },
        { L("60 s"), HD_ESYNTAX, HD_ESYNTAX, 0 },
        { L("120 (I'm \\) in (a) meeting);duration=3600"), HD_ESYNTAX, HD_OK, 120 },
        { L("18000;duration=3600"), HD_ESYNTAX, HD_OK, 18000 },
        { L("5 (open"), HD_ESYNTAX, HD_ESYNTAX, 0 },
        { L("(comment)"), HD_ESYNTAX, HD_ESYNTAX, 0 },
        { L("5;;"), HD_ESYNTAX, HD_ESYNTAX, 0 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        uint32_t s = 7;
        assert_int_equal(sip_delta_parse(row[i].in, &s), row[i].err);
        if (!row[i].err)
            assert_int_equal(s, row[i].out);
        assert_int_equal(sip_retry_after_parse(row[i].in, &s), row[i].retry_err);
        if (!row[i].retry_err)
            assert_int_equal(s, row[i].out);
    }
}

static void
media_types_are_split_and_compared(void **state)
{
    (void)state;
    struct sip_media media;
    assert_int_equal(sip_media_parse(HD_LIT(" application / pidf+xml ;charset=\"utf-8\""), &media),
                     HD_OK);
    assert_slice(media.type, "application");
    assert_slice(media.subtype, "pidf+xml");
    assert_slice(media.params, ";charset=\"utf-8\"");
    static const struct hd_slice bad[] = { L(""),      L("a"),    L("a/"),       L("/b"),
                                           L("a/b c"), L("a/b;"), L("a/b, c/d"), L("a b/c") };
    for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
        assert_int_equal(sip_media_parse(bad[i], &media), HD_ESYNTAX);
    assert_true(sip_media_same(HD_LIT("Text/Plain;a=b"), HD_LIT("text/plain")));
    assert_false(sip_media_same(HD_LIT("text/plain"), HD_LIT("text/plai")));
    assert_false(sip_media_same(HD_LIT("text"), HD_LIT("text")));
}

static void
the_most_specific_accept_range_decides(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        unsigned quality; /* of application/pidf+xml, which is the default type */
    } row[] = {
        { "", 1000 },
        { "Accept:\r\n", 0 },
        { "Accept: application/pidf+xml\r\n", 1000 },
        { "Accept: APPLICATION/PIDF+XML;q=0.5\r\n", 500 },
        { "Accept: text/plain\r\n", 0 },
        { "Accept: */*\r\n", 1000 },
        { "Accept: application/*;q=0.25, */*;q=0.5\r\n", 250 },
        { "Accept: */*\r\nAccept: application/pidf+xml;q=0\r\n", 0 },
        { "Accept: application/pidf+xml;q=0, application/*\r\n", 0 },
        { "Accept: application/xpidf+xml\r\nAccept: application/pidf+xml;q=0.001\r\n", 1 },
        { "Accept: application/pidf+xml;charset=utf-8;q=0.125\r\n", 125 },
        { "Accept: application/pidf+xml;q=1.001\r\n", 0 },
        { "Accept: application/pidf+xml;q=2\r\n", 0 },
        { "Accept: application/pidf+xml;q=0.1234\r\n", 0 },
        { "Accept: application/pidf+xml;q=0.x\r\n", 0 },
        { "Accept: */xml\r\n", 0 },
        { "Accept: garbage, application/pidf+xml\r\n", 1000 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024];
        struct parsed p;
        snprintf(text, sizeof(text), START("SUBSCRIBE") COMMON("SUBSCRIBE") "%s\r\n",
                 row[i].accept);
        parse_good(&p, text);
        const unsigned got = sip_accept_quality(&p.msg, HD_LIT("application/pidf+xml"),
                                                HD_LIT("application/pidf+xml"));
        if (got != row[i].quality)
            fail_msg("%s gives %u", row[i].accept, got);
    }
}

static void
a_type_that_is_none_is_never_accepted(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, REQUEST("SUBSCRIBE", "Accept: */*\r\n"));
    assert_int_equal(sip_accept_quality(&p.msg, HD_LIT("ab"), HD_LIT("ab")), 0);
}

static void
a_type_is_named_or_only_covered(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        unsigned named;
    } row[] = {
        { "", 0 },
        { "Accept: */*\r\n", 0 },
        { "Accept: a/*, c/d\r\n", 0 },
        { "Accept: */*;q=0.2, A/B;q=0.5\r\n", 500 },
        { "Accept: a/b;q=0\r\n", 0 },
        { "Accept: c/d\r\nAccept: a/b;x=y\r\n", 1000 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024];
        struct parsed p;
        snprintf(text, sizeof(text), START("SUBSCRIBE") COMMON("SUBSCRIBE") "%s\r\n",
                 row[i].accept);
        parse_good(&p, text);
        assert_int_equal(sip_accept_named(&p.msg, HD_LIT("a/b")), row[i].named);
    }
}

static void
tags_are_read_with_their_address(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        enum hd_err err;
        const char *tag;
    } row[] = {
        { L("<sip:a@b>"), HD_OK, NULL },
        { L("sip:a@b;x;TAG = t1"), HD_OK, "t1" },
        { L("<sip:a@b;tag=uri>"), HD_OK, NULL },
        { L("<sip:a@b>;tag=_token~1'+`*%!-."), HD_OK, "_token~1'+`*%!-." },
        { L("<sip:a@b>;tag"), HD_EEXIST, NULL },
        { L("<sip:a@b>;tag=a;tag=a"), HD_EEXIST, NULL },
        { L("<sip:a@b>;tag=a:b"), HD_EEXIST, NULL },
        { L("<sip:a@b>;tag=a;;"), HD_ESYNTAX, NULL },
        { L("<sip:a@b;tag=a"), HD_ESYNTAX, NULL },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_addr addr;
        struct hd_slice tag;
        assert_int_equal(sip_addr_tag_parse(row[i].in, &addr, &tag), row[i].err);
        if (row[i].err)
            continue;
        assert_slice(tag, row[i].tag);
        assert_int_equal(tag.p != NULL, row[i].tag != NULL);
    }
}

static void
without_accept_only_the_default_type_is_taken(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, REQUEST("SUBSCRIBE", ""));
    assert_int_equal(sip_accept_quality(&p.msg, HD_LIT("a/b"), HD_LIT("c/d")), 0);
    assert_int_equal(sip_accept_quality(&p.msg, HD_LIT("a/b"), HD_LIT("A/B;x=y")), 1000);
    assert_int_equal(sip_accept_quality(&p.msg, HD_LIT("ab"), HD_LIT("ab")), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_cut_one_by_one),
        cmocka_unit_test(bad_parameters_are_refused),
        cmocka_unit_test(a_parameter_is_found_by_its_name_in_any_case),
        cmocka_unit_test(quotes_are_taken_off_a_quoted_string_only),
        cmocka_unit_test(lists_are_cut_at_commas_outside_of_quotes_and_brackets),
        cmocka_unit_test(what_is_never_closed_takes_the_rest_of_the_list),
        cmocka_unit_test(a_walk_goes_through_all_fields_of_a_header),
        cmocka_unit_test(addresses_are_split),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(via_values_are_split),
        cmocka_unit_test(bad_via_values_are_refused),
        cmocka_unit_test(sent_by_is_read_when_the_parameters_are_bad),
        cmocka_unit_test(cseq_is_read_up_to_its_limit),
        cmocka_unit_test(events_are_read_with_their_id),
        cmocka_unit_test(subscription_state_is_read),
        cmocka_unit_test(seconds_are_clamped_to_what_fits),
        cmocka_unit_test(media_types_are_split_and_compared),
        cmocka_unit_test(the_most_specific_accept_range_decides),
        cmocka_unit_test(a_type_that_is_none_is_never_accepted),
        cmocka_unit_test(a_type_is_named_or_only_covered),
        cmocka_unit_test(tags_are_read_with_their_address),
        cmocka_unit_test(without_accept_only_the_default_type_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
