#include "sip/uri.h"

#include "sip_test.h"

static void
uris_are_split(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        enum sip_scheme scheme;
        const char *user, *password, *host;
        unsigned port;
        const char *params, *headers;
    } row[] = {
        { L("sip:h"), SIP_SCHEME_SIP, "", NULL, "h", 0, "", "" },
        { L("sip:a@h"), SIP_SCHEME_SIP, "a", NULL, "h", 0, "", "" },
        { L("SIPS:a@h:5061"), SIP_SCHEME_SIPS, "a", NULL, "h", 5061, "", "" },
        { L("sip:a:b@h:05060;x;y=z?k=v&l="), SIP_SCHEME_SIP, "a", "b", "h", 5060, ";x;y=z",
          "k=v&l=" },
        { L("sip:a:@h"), SIP_SCHEME_SIP, "a", "", "h", 0, "", "" },
        { L("sip:user;par=u%40example.net@example.com"), SIP_SCHEME_SIP, "user;par=u%40example.net",
          NULL, "example.com", 0, "", "" },
        { L("sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com"), SIP_SCHEME_SIP,
          "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", NULL, "example.com", 0, "", "" },
        { L("sip:a@[2001:db8::10]:5070"), SIP_SCHEME_SIP, "a", NULL, "[2001:db8::10]", 5070, "",
          "" },
        { L("sip:[2001:db8::10:5070]"), SIP_SCHEME_SIP, "", NULL, "[2001:db8::10:5070]", 0, "",
          "" },
        { L("sip:a@[2001:db8:::192.0.2.1]"), SIP_SCHEME_SIP, "a", NULL, "[2001:db8:::192.0.2.1]", 0,
          "", "" },
        { L("sip:a@h_1.example.:1;maddr=[::1]:2"), SIP_SCHEME_SIP, "a", NULL, "h_1.example.", 1,
          ";maddr=[::1]:2", "" },
        { L("sip:a@h;x="), SIP_SCHEME_SIP, "a", NULL, "h", 0, ";x=", "" },
        { L("tel:+1-201(555).0123;ext=4"), SIP_SCHEME_TEL, "+1-201(555).0123", NULL, "", 0,
          ";ext=4", "" },
        { L("tel:*31#"), SIP_SCHEME_TEL, "*31#", NULL, "", 0, "", "" },
        { L("pres:a@h"), SIP_SCHEME_PRES, "a", NULL, "h", 0, "", "" },
        { L("http://a/b"), SIP_SCHEME_OTHER, "", NULL, "", 0, "", "" },
        { L("nobodyKnowsThisScheme:totallyopaquecontent"), SIP_SCHEME_OTHER, "", NULL, "", 0, "",
          "" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_uri uri;
        const enum hd_err err = sip_uri_parse(row[i].in, &uri);
        if (err)
            fail_msg("%.*s: %s", HD_FMT(row[i].in), hd_err_text(err));
        assert_int_equal(uri.scheme, row[i].scheme);
        assert_slice(uri.user, row[i].user);
        assert_slice(uri.password, row[i].password);
        assert_int_equal(uri.password.p != NULL, row[i].password != NULL);
        assert_slice(uri.host, row[i].host);
        assert_int_equal(uri.port, row[i].port);
        assert_slice(uri.params, row[i].params);
        assert_slice(uri.headers, row[i].headers);
    }
}

static void
bad_uris_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        enum hd_err err;
    } row[] = {
        { L(""), HD_ESYNTAX },
        { L("sip"), HD_ESYNTAX },
        { L(":a"), HD_ESYNTAX },
        { L("sip:"), HD_ESYNTAX },
        { L("sip:@h"), HD_ESYNTAX },
        { L("sip::p@h"), HD_ESYNTAX },
        { L("sip:a@"), HD_ESYNTAX },
        { L("sip:a@b@c"), HD_ESYNTAX },
        { L("sip:a b@c"), HD_ESYNTAX },
        { L("sip:a#b@c"), HD_ESYNTAX },
        { L("sip:a\"@c"), HD_ESYNTAX },
        { L("sip:<a>@c"), HD_ESYNTAX },
        { L("sip:a%4@c"), HD_ESYNTAX },
        { L("sip:a%@c"), HD_ESYNTAX },
        { L("sip:a%zz@c"), HD_ESYNTAX },
        { L("sip:a:p/q@c"), HD_ESYNTAX },
        { L("sip:a\xc3\xa4@c"), HD_ESYNTAX },
        { L("sip:2001:db8::10"), HD_ESYNTAX },
        { L("sip:a@[::1"), HD_ESYNTAX },
        { L("sip:a@[]"), HD_ESYNTAX },
        { L("sip:a@[192.0.2.1]"), HD_ESYNTAX },
        { L("sip:a@[fe80::1%25eth0]"), HD_ESYNTAX },
        { L("sip:a@h:"), HD_ESYNTAX },
        { L("sip:a@h:x"), HD_ESYNTAX },
        { L("sip:a@h:0"), HD_ERANGE },
        { L("sip:a@h:65536"), HD_ERANGE },
        { L("sip:a@h:70596"), HD_ERANGE },
        { L("sip:a@h..b"), HD_ESYNTAX },
        { L("sip:a@.b"), HD_ESYNTAX },
        { L("sip:a@h/x"), HD_ESYNTAX },
        { L("sip:a@h;"), HD_ESYNTAX },
        { L("sip:a@h;;b"), HD_ESYNTAX },
        { L("sip:a@h;=b"), HD_ESYNTAX },
        { L("sip:a@h;b=c=d"), HD_ESYNTAX },
        { L("sip:a@h;b=\"c\""), HD_ESYNTAX },
        { L("sip:a@h;transport=udp;Transport=tcp"), HD_ESYNTAX },
        { L("sip:a@h;lr;lr"), HD_ESYNTAX },
        { L("sip:a@h?"), HD_ESYNTAX },
        { L("sip:a@h?a=<b>"), HD_ESYNTAX },
        { L("sip:a@h?a=b@c"), HD_ESYNTAX },
        { L("sip: a@h"), HD_ESYNTAX },
        { L("tel:"), HD_ESYNTAX },
        { L("tel:--"), HD_ESYNTAX },
        { L("tel:1+2"), HD_ESYNTAX },
        { L("tel:+1;ext=1;EXT=2"), HD_ESYNTAX },
        { L("tel:1;phone-context=a.test;phone-context=b.test"), HD_ESYNTAX },
        { L("tel:1;isub=1;isub=1"), HD_ESYNTAX },
        { L("tel:alice"), HD_ESYNTAX },
        { L("pres:h"), HD_ESYNTAX },
        { L("pres:a@h:5060"), HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_uri uri;
        const enum hd_err err = sip_uri_parse(row[i].in, &uri);
        if (err != row[i].err)
            fail_msg("%.*s: %s", HD_FMT(row[i].in), hd_err_text(err));
    }
}

static void
a_uri_longer_than_the_limit_is_out_of_range(void **state)
{
    (void)state;
    char text[SIP_MAX_URI + 1];
    struct sip_uri uri;
    memset(text, 'a', sizeof(text));
    memcpy(text, "sip:", 4);
    assert_int_equal(sip_uri_parse(hd_slice(text, SIP_MAX_URI), &uri), HD_OK);
    assert_int_equal(sip_uri_parse(hd_slice(text, SIP_MAX_URI + 1), &uri), HD_ERANGE);
}

static struct sip_uri
uri_of(const char *text)
{
    struct sip_uri uri;
    if (sip_uri_parse(hd_slice_str(text), &uri))
        fail_msg("%s", text);
    return uri;
}

static void
parameters_give_transport_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        unsigned transport, port;
    } row[] = {
        { "sip:h", HD_UDP, 5060 },
        { "sip:h;transport=udp", HD_UDP, 5060 },
        { "sips:h", HD_TLS, 5061 },
        { "sip:h;transport=TCP", HD_TCP, 5060 },
        { "sip:h;transport=tls", HD_TLS, 5061 },
        { "sip:h:5090;Transport=tls", HD_TLS, 5090 },
        { "sips:h;transport=tcp", HD_TLS, 5061 },
        { "sip:h;transport=ws", HD_WS, 80 },
        { "sips:h;transport=ws", HD_WSS, 443 },
        { "sip:h;transport=wss", HD_WSS, 443 },
        { "sip:h;transport=sctp", 0, 5060 },
        { "sips:h;transport=udp", 0, 5060 },
        { "sip:h;transport", 0, 5060 },
        { "tel:1", HD_UDP, 5060 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct sip_uri uri = uri_of(row[i].in);
        assert_int_equal(sip_uri_transport(&uri), row[i].transport);
        assert_int_equal(sip_uri_port(&uri), row[i].port);
    }
    const struct sip_uri uri = uri_of("sip:h;a;B=c;d=");
    struct hd_slice value;
    assert_true(sip_uri_param(&uri, HD_LIT("A"), &value));
    assert_slice(value, "");
    assert_true(sip_uri_param(&uri, HD_LIT("b"), &value));
    assert_slice(value, "c");
    assert_true(sip_uri_param(&uri, HD_LIT("d"), NULL));
    assert_false(sip_uri_param(&uri, HD_LIT("c"), NULL));
}

/* The examples of RFC 3261 section 19.1.4 and RFC 5954 section 4. */
static void
uris_are_compared_as_the_rfc_shows(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } row[] = {
        { "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp", true },
        { "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true },
        { "sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true },
        { "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
          "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true },
        { "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
          "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true },
        { "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false },
        { "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false },
        { "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false },
        { "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false },
        { "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false },
        { "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false },
        { "sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false },
        { "sip:a@h", "sips:a@h", false },
        { "sip:a@h", "sip:a:@h", false },
        { "sip:a:x@h", "sip:a:y@h", false },
        { "sip:a@h;user=phone", "sip:a@h", false },
        { "sip:a@h", "sip:a@h;ttl=1", false },
        { "sip:a@h", "sip:a@h;maddr=224.0.0.1", false },
        { "sip:a@h;method=INVITE", "sip:a@h", false },
        { "sip:a%3bb@h", "sip:a;b@h", false },
        { "sip:a%3Bb@h", "sip:a%3bb@h", true },
        { "sip:a%2Db@h", "sip:a-b@h", true },
        { "sip:%00@h", "sip:%00%00@h", false },
        { "sip:bob@[2001:db8:0:0:0:0:9:1]", "sip:bob@[2001:db8::9:1]", true },
        { "sip:bob@[2001:DB8::9:01]", "sip:bob@[2001:db8::9:1]", true },
        { "sip:bob@[::ffff:192.0.2.128]", "sip:bob@192.0.2.128", false },
        { "sip:bob@[2001:db8:::192.0.2.1]", "sip:bob@[2001:db8::c000:201]", true },
        { "sip:a@h?x=1", "sip:a@h?x=1&x=1", true },
        { "sip:a@h?x=1&y=2", "sip:a@h?x=1", false },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct sip_uri a = uri_of(row[i].a), b = uri_of(row[i].b);
        if (sip_uri_equal(&a, &b) != row[i].equal || sip_uri_equal(&b, &a) != row[i].equal)
            fail_msg("%s and %s", row[i].a, row[i].b);
        assert_true(sip_uri_equal(&a, &a));
    }
}

static const struct hd_slice domains[] = { L("example.test"), L("other.test"), L("198.51.100.7") };

static struct sip_served
served_of(struct hd_addr own[3])
{
    assert_int_equal(hd_addr_parse(HD_LIT("192.0.2.1"), 5060, &own[0]), HD_OK);
    assert_int_equal(hd_addr_parse(HD_LIT("2001:db8::1"), 5070, &own[1]), HD_OK);
    assert_int_equal(hd_addr_parse(HD_LIT("127.0.0.1"), 5060, &own[2]), HD_OK);
    return (struct sip_served){ domains, HD_ARRAY_LEN(domains), own, 3 };
}

static void
hosts_are_known_by_name_or_by_address_and_port(void **state)
{
    (void)state;
    struct hd_addr own[3];
    const struct sip_served served = served_of(own);
    static const struct {
        struct hd_slice host;
        uint16_t port;
        enum sip_ours ours;
    } row[] = {
        { L("example.test"), 0, SIP_OURS_DOMAIN },
        { L("EXAMPLE.Test."), 9999, SIP_OURS_DOMAIN },
        { L("198.51.100.7"), 0, SIP_OURS_DOMAIN },
        { L("example.tes"), 0, SIP_OURS_NO },
        { L("sub.example.test"), 0, SIP_OURS_NO },
        { L(""), 0, SIP_OURS_NO },
        { L("192.0.2.1"), 0, SIP_OURS_ADDRESS },
        { L("192.0.2.1"), 5060, SIP_OURS_ADDRESS },
        { L("192.0.2.1"), 5061, SIP_OURS_NO },
        { L("192.0.2.2"), 0, SIP_OURS_NO },
        { L("[2001:db8::1]"), 0, SIP_OURS_ADDRESS },
        { L("[2001:DB8:0::0001]"), 5070, SIP_OURS_ADDRESS },
        { L("[2001:db8::1]"), 5060, SIP_OURS_NO },
        { L("localhost"), 0, SIP_OURS_ADDRESS },
        { L("LOCALHOST"), 5060, SIP_OURS_ADDRESS },
        { L("localhost"), 5070, SIP_OURS_NO },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (sip_served_host(&served, row[i].host, row[i].port) != row[i].ours)
            fail_msg("%.*s:%u", HD_FMT(row[i].host), row[i].port);
}

static void
one_resource_has_one_key(void **state)
{
    (void)state;
    struct hd_addr own[3];
    const struct sip_served served = served_of(own);
    static const struct {
        const char *in;
        enum hd_err err;
        const char *key;
        const char *identity; /* NULL: the same as key */
    } row[] = {
        { "sip:alice@example.test", HD_OK, "sip:alice@example.test", NULL },
        { "sip:Alice@EXAMPLE.test", HD_OK, "sip:Alice@example.test", NULL },
        { "sips:alice@example.test", HD_OK, "sip:alice@example.test", NULL },
        { "pres:alice@example.test", HD_OK, "sip:alice@example.test", NULL },
        { "sip:alice:secret@example.test.:5080;transport=tcp;gr=x?a=b", HD_OK,
          "sip:alice@example.test", NULL },
        { "sip:%61lice@example.test", HD_OK, "sip:alice@example.test", NULL },
        { "sip:a%3bb@example.test", HD_OK, "sip:a%3Bb@example.test", NULL },
        { "sip:a%40b@example.test", HD_OK, "sip:a%40b@example.test", NULL },
        { "sip:a%c3%bc@example.test", HD_OK, "sip:a%C3%BC@example.test", NULL },
        { "sip:%00@example.test", HD_OK, "sip:%00@example.test", NULL },
        { "sip:%2561@example.test", HD_OK, "sip:%2561@example.test", NULL },
        { "sip:alice@other.test", HD_OK, "sip:alice@other.test", NULL },
        { "sip:alice@192.0.2.1", HD_OK, "sip:alice@example.test", NULL },
        { "sip:alice@192.0.2.1:5060;transport=udp", HD_OK, "sip:alice@example.test", NULL },
        { "sip:alice@[2001:db8:0::1]:5070", HD_OK, "sip:alice@example.test", NULL },
        { "sip:alice@localhost", HD_OK, "sip:alice@example.test", NULL },
        { "sip:example.test", HD_OK, "sip:example.test", NULL },
        { "sip:192.0.2.1", HD_OK, "sip:example.test", NULL },
        /* numbers (RFC 3966 section 4, RFC 3261 section 19.1.6) */
        { "tel:+1-(201).555-0123", HD_OK, "sip:+12015550123@example.test", NULL },
        { "TEL:+12015550123;tsp=a.b;phone-context=other.test", HD_OK,
          "sip:+12015550123@example.test", NULL },
        { "tel:+1-201-555-0123;ext=1-2;ISUB=7A%2f", HD_OK,
          "sip:+12015550123;isub=7a/;ext=12@example.test", NULL },
        { "tel:+12015550123;ext=12;isub=7a%3b", HD_OK,
          "sip:+12015550123;isub=7a%3B;ext=12@example.test", NULL },
        { "tel:*31#", HD_OK, "sip:*31%23@example.test", NULL },
        { "tel:70-1B", HD_OK, "sip:701b@example.test", NULL },
        { "tel:7042;phone-context=Example.Test", HD_OK, "sip:7042@example.test", NULL },
        { "tel:7042;phone-context=+1-201.5", HD_OK, "sip:7042;phone-context=+12015@example.test",
          NULL },
        { "tel:7042;phone-context=PBX.elsewhere.test", HD_ENOMATCH, NULL,
          "sip:7042@pbx.elsewhere.test" },
        { "sip:+1-(201)555.0123@EXAMPLE.test.;user=phone", HD_OK, "sip:+12015550123@example.test",
          NULL },
        { "sips:%2B1%2D201555%30123:x@192.0.2.1;USER=Phone;a=b", HD_OK,
          "sip:+12015550123@example.test", NULL },
        { "sip:+1-201-555-0123;postd=pp22;ext=9@example.test;user=phone", HD_OK,
          "sip:+12015550123;ext=9@example.test", NULL },
        { "sip:7042;phone-context=example.test@example.test;user=phone", HD_OK,
          "sip:7042@example.test", NULL },
        { "sip:7042;phone-context=Elsewhere.test@example.test;user=phone", HD_OK,
          "sip:7042;phone-context=elsewhere.test@example.test", NULL },
        { "sip:%2a31%23@example.test;user=phone", HD_OK, "sip:*31%23@example.test", NULL },
        /* what is no number, or does not say so, is a name like any other */
        { "sip:+1-201@example.test", HD_OK, "sip:+1-201@example.test", NULL },
        { "sip:+1-201@example.test;user=ip", HD_OK, "sip:+1-201@example.test", NULL },
        { "sip:Al-ice@example.test;user=phone", HD_OK, "sip:Al-ice@example.test", NULL },
        { "sip:+1;ext=1;ext=2@example.test;user=phone", HD_OK, "sip:+1;ext=1;ext=2@example.test",
          NULL },
        { "sip:+1%3Bext=1@example.test;user=phone", HD_OK, "sip:+1%3Bext=1@example.test", NULL },
        { "sip:+1;isub=x%3bext=9@example.test;user=phone", HD_OK,
          "sip:+1;isub=x%3Bext%3D9@example.test", NULL },
        { "sip:alice@Elsewhere.test", HD_ENOMATCH, NULL, "sip:alice@elsewhere.test" },
        { "sip:alice@elsewhere.test:5060", HD_ENOMATCH, NULL, "sip:alice@elsewhere.test" },
        { "sip:alice@elsewhere.test:5070", HD_ENOMATCH, NULL, "sip:alice@elsewhere.test:5070" },
        { "sip:alice@192.0.2.1:5070", HD_ENOMATCH, NULL, "sip:alice@192.0.2.1:5070" },
        { "sip:a@[2001:DB8:0::2]", HD_ENOMATCH, NULL, "sip:a@[2001:db8::2]" },
        { "http://example.test/", HD_ENOTSUP, NULL, NULL },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct sip_uri uri = uri_of(row[i].in);
        char key[SIP_KEY_MAX];
        size_t n;
        const enum hd_err err = sip_resource_key(&uri, &served, key, &n);
        if (err != row[i].err)
            fail_msg("%s: %s", row[i].in, hd_err_text(err));
        if (!err)
            assert_slice(hd_slice(key, n), row[i].key);
        const char *identity = row[i].identity ? row[i].identity : row[i].key;
        assert_int_equal(sip_identity_key(&uri, &served, key, &n), identity ? HD_OK : HD_ENOTSUP);
        if (!identity)
            continue;
        assert_slice(hd_slice(key, n), identity);
        const struct sip_uri again = uri_of(identity); /* a key is its own key */
        assert_int_equal(sip_identity_key(&again, &served, key, &n), HD_OK);
        assert_slice(hd_slice(key, n), identity);
    }
}

static void
a_key_longer_than_the_limit_is_out_of_range(void **state)
{
    (void)state;
    struct hd_addr own[3];
    const struct sip_served served = served_of(own);
    char text[SIP_KEY_MAX + 16], key[SIP_KEY_MAX];
    size_t n;
    const size_t user = SIP_KEY_MAX - strlen("sip:@example.test");
    snprintf(text, sizeof(text), "sip:%0*d@example.test", (int)user, 7);
    struct sip_uri uri = uri_of(text);
    assert_int_equal(sip_resource_key(&uri, &served, key, &n), HD_OK);
    assert_int_equal(n, SIP_KEY_MAX);
    snprintf(text, sizeof(text), "sip:%0*d@example.test", (int)user + 1, 7);
    uri = uri_of(text);
    assert_int_equal(sip_resource_key(&uri, &served, key, &n), HD_ERANGE);
}

static void
without_a_domain_numbers_have_no_home_and_addresses_stay(void **state)
{
    (void)state;
    struct hd_addr own[3];
    (void)served_of(own);
    const struct sip_served served = { NULL, 0, own, 3 };
    char key[SIP_KEY_MAX];
    size_t n;
    struct sip_uri uri = uri_of("tel:123");
    assert_int_equal(sip_resource_key(&uri, &served, key, &n), HD_ENOMATCH);
    uri = uri_of("sip:a@192.0.2.1:5060");
    assert_int_equal(sip_resource_key(&uri, &served, key, &n), HD_OK);
    assert_slice(hd_slice(key, n), "sip:a@192.0.2.1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uris_are_split),
        cmocka_unit_test(bad_uris_are_refused),
        cmocka_unit_test(a_uri_longer_than_the_limit_is_out_of_range),
        cmocka_unit_test(parameters_give_transport_and_port),
        cmocka_unit_test(uris_are_compared_as_the_rfc_shows),
        cmocka_unit_test(hosts_are_known_by_name_or_by_address_and_port),
        cmocka_unit_test(one_resource_has_one_key),
        cmocka_unit_test(a_key_longer_than_the_limit_is_out_of_range),
        cmocka_unit_test(without_a_domain_numbers_have_no_home_and_addresses_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
