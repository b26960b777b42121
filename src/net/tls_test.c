/* tls_test.c - TLS of a shard that accepts, with real sockets over loopback and OpenSSL's own
 * client as peer. */
#include "net/tls_test.h"

/* --- certificates and keys ----------------------------------------------------------------------
 */

static void
wrong_files_are_named_with_the_reason(void **state)
{
    struct net_tls_pair pair = pair_of(&server);
    const struct {
        const char *certificate, *key, *ca, *says[2];
    } rows[] = {
        { "/nowhere/a.crt", pair.key, NULL, { "/nowhere/a.crt", "No such file" } },
        { pair.certificate, "/nowhere/a.key", NULL, { "/nowhere/a.key", "No such file" } },
        { pair.key, pair.key, NULL, { pair.key, "no certificate in PEM" } },
        { pair.certificate, pair.certificate, NULL, { pair.certificate, "no private key in PEM" } },
        { pair.certificate, other.key_file, NULL, { other.key_file, "does not belong to" } },
        { pair.certificate, pair.key, "/nowhere/ca", { "ca /nowhere/ca", "No such file" } },
        { pair.certificate, pair.key, pair.key, { pair.key, "no certificate in PEM" } },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct net_tls_pair at = { rows[i].certificate, rows[i].key };
        struct net_tls_server listener = { .pairs = &at,
                                           .n_pairs = 1,
                                           .verify = NET_TLS_VERIFY_REQUIRE,
                                           .ca = rows[i].ca ? rows[i].ca : authority.certificate };
        struct net_tls *tls = NULL;

        assert_int_equal(try_tls(&(struct net_tls_params){ .servers = &listener,
                                                           .n_servers = 1,
                                                           .client_ca = authority.certificate },
                                 &tls),
                         HD_EIO);
        assert_null(tls);
        assert_int_equal(n_fatal, 1);
        assert_non_null(strstr(told, rows[i].says[0]));
        assert_non_null(strstr(told, rows[i].says[1]));
    }
}

static void
key_with_a_passphrase_is_refused_and_nobody_is_asked(void **state)
{
    char path[CERT_PATH];
    struct net_tls_pair pair = { server.certificate, path };
    struct net_tls_server listener = { .pairs = &pair, .n_pairs = 1 };
    struct net_tls *tls = NULL;
    FILE *file;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/secret.key", cert_folder());
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, server.key, EVP_aes_128_cbc(),
                                          (const unsigned char *)"wonder", 6, NULL, NULL),
                     1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(try_tls(&(struct net_tls_params){ .servers = &listener,
                                                       .n_servers = 1,
                                                       .client_ca = authority.certificate },
                             &tls),
                     HD_EIO);
    assert_non_null(strstr(told, "passphrase"));
}

static void
certificate_that_has_expired_is_warned_of(void **state)
{
    struct net_tls *tls = new_tls(&expired, NULL, NET_TLS_VERIFY_NO);

    (void)state;
    assert_int_equal(n_warned, 1);
    assert_non_null(strstr(told, "has expired"));
    (void)net_tls_unref(tls);
}

static void
certificate_of_ones_own_is_made_once_and_works(void **state)
{
    const struct hd_slice names[] = { HD_LIT("localhost"), HD_LIT("192.0.2.9") };
    struct hd_addr addr = addr_of("127.0.0.1", 5061);
    char certificate[CERT_PATH], key[CERT_PATH], problem[256] = "";
    struct net_tls_pair pair = { certificate, key };
    struct cert own = { 0 };
    struct net_tls *tls;
    struct host *host;
    struct stat info;
    struct peer peer;

    (void)state;
    (void)snprintf(certificate, sizeof(certificate), "%s/own.crt", cert_folder());
    (void)snprintf(key, sizeof(key), "%s/own.key", cert_folder());
    assert_int_equal(net_tls_self_signed(&pair, names, 2, &addr, 1, problem), HD_OK);
    assert_int_equal(net_tls_self_signed(&pair, names, 2, &addr, 1, problem), HD_EEXIST);
    assert_int_equal(stat(key, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    memcpy(own.certificate, certificate, sizeof(certificate));
    memcpy(own.key_file, key, sizeof(key));
    tls = new_tls(&own, NULL, NET_TLS_VERIFY_NO);
    host = start_with(tls, 10000);
    peer = peer_open(host, cert_client(&own, 0, 0), NULL);
    assert_int_equal(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(peer.ssl), "127.0.0.1"), 1);
    assert_int_equal(SSL_connect(peer.ssl), 1);
    peer_write(&peer, "M03abc", 6);
    peer_expect(&peer, "M03abc", 6);
    peer_close(&peer);
    host_stop(host);
    pair.key = "/nowhere/x.key";
    assert_int_equal(net_tls_self_signed(&pair, names, 2, &addr, 1, problem), HD_EIO);
    assert_non_null(strstr(problem, "/nowhere/x.key.new: No such file"));
}

static void
identities_are_those_of_rfc_5922(void **state)
{
    static const struct {
        const char *alts, *usage, *expected;
    } rows[] = {
        { NULL, NULL, "leaf" }, /* the common name counts only without any other name */
        { "DNS:a.example.test,DNS:B.example.test", NULL, "a.example.test b.example.test" },
        { "URI:sip:example.test,DNS:host.example.test", NULL, "example.test" },
        { "URI:SIP:Example.test:5061;transport=tls", NULL, "example.test" },
        { "URI:sips:example.test,DNS:host.example.test", NULL, "host.example.test" },
        /* A user is no domain (section 7.1): the domain's name is looked for in the others. */
        { "URI:sip:Alice@Example.test,DNS:host.example.test", NULL,
          "host.example.test Alice@example.test" },
        { "URI:sip:alice@example.test", NULL, "alice@example.test" },
        { "URI:sip:a%20b@example.test,URI:sip:a b@example.test,URI:sip:@example.test", NULL, "" },
        { "URI:sip:a:secret@example.test,URI:sip:a@b@example.test,URI:sip:a@b c", NULL, "" },
        { "URI:http://example.test/,IP:192.0.2.1,email:a@b", NULL, "" },
        { "DNS:*.example.test", NULL, "*.example.test" },
        { "DNS:a.example.test", "serverAuth", "" },
        { "DNS:a.example.test", "clientAuth", "a.example.test" },
        { "DNS:a.example.test", "1.3.6.1.5.5.7.3.20", "a.example.test" },
        { "DNS:a.example.test", "anyExtendedKeyUsage", "a.example.test" },
        { "DNS:a.example.test", "codeSigning", "" },
        { "DNS:a,DNS:b,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g,DNS:h,DNS:i", NULL, "a b c d e f g h" },
        { "DNS:a b,DNS:c\tx,DNS:ok.test", NULL, "ok.test" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct cert leaf = cert_make(&(struct cert_params){
            .name = "leaf", .issuer = &authority, .alts = rows[i].alts, .usage = rows[i].usage });
        char text[NET_IDENTITY_TEXT + 1];
        size_t n = net_identity_read(leaf.x509, false, text);

        text[n] = '\0';
        assert_string_equal(text, rows[i].expected);
        cert_free(&leaf);
    }
    assert_true(net_identity_is(HD_LIT("a.test b.test"), HD_LIT("B.test")));
    assert_false(net_identity_is(HD_LIT("*.test"), HD_LIT("b.test")));
    assert_false(net_identity_is(HD_LIT("b.test"), HD_LIT("a.b.test")));
    assert_false(net_identity_is(HD_LIT(""), HD_LIT("")));
}

/* --- accepting ----------------------------------------------------------------------------------
 */

static void
messages_go_both_ways_with_both_versions(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct host *host = start();

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(versions); i++) {
        struct peer peer = peer_greet(host, versions[i]);
        struct hd_flow flow;

        assert_int_equal(SSL_version(peer.ssl), versions[i]);
        peer_write(&peer, "M03abcM02x", 10);
        peer_write(&peer, "yM00", 4);
        peer_expect(&peer, "M03abcM02xyM00", 14);
        flow = host_packet(host, 3 * i).flow;
        assert_int_equal(flow.transport, HD_TLS);
        struct ask ask = { .conn = flow.conn };
        host_do(host, ask_peer, &ask);
        assert_string_equal(ask.names, "");
        peer_close(&peer);
        assert_int_equal(host_closed(host, i), flow.conn);
    }
    assert_int_equal(net_shard_counters(host->net)->secured, 2);
    host_stop(host);
}

static void
old_versions_are_refused(void **state)
{
    struct host *host = start();
    struct peer peer = peer_open(host, cert_client(NULL, TLS1_VERSION, TLS1_1_VERSION), NULL);

    (void)state;
    SSL_set_security_level(peer.ssl, 0);
    assert_int_not_equal(SSL_connect(peer.ssl), 1);
    peer_close(&peer);
    wait_counter(&net_shard_counters(host->net)->unsecured, 1);
    host_stop(host);
}

/* Everything that travels is cut into single octets. */
static void
octets_may_come_one_by_one(void **state)
{
    struct host *host = start();
    struct hd_addr to = net_shard_bound(host->net, 0);
    SSL_CTX *ctx = cert_client(&authority, 0, 0);
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    int fd = peer_connect(&to), got = 0;
    char octet, answer[6];

    (void)state;
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    for (unsigned turns = 0; got < 6 && turns < 20000; turns++) {
        int n = SSL_is_init_finished(ssl) ? SSL_read(ssl, answer + got, 6 - got)
                                          : SSL_do_handshake(ssl);
        if (SSL_is_init_finished(ssl) && n == 1 && got == 0)
            assert_int_equal(SSL_write(ssl, "M03abc", 6), 6);
        else if (SSL_is_init_finished(ssl) && n > 0)
            got += n;
        while (BIO_read(out, &octet, 1) == 1)
            tcp_write(fd, &octet, 1);
        if (n <= 0 && recv(fd, &octet, 1, 0) == 1)
            assert_int_equal(BIO_write(in, &octet, 1), 1);
    }
    assert_memory_equal(answer, "M03abc", 6);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    host_stop(host);
}

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_get_app_data(ssl);

    SSL_SESSION_free(*kept);
    *kept = session;
    return 1;
}

static SSL_SESSION *
visit(struct host *host, int version, SSL_SESSION *session, bool resumes)
{
    SSL_CTX *ctx = cert_client(&authority, version, version);
    SSL_SESSION *next = NULL;
    struct peer peer;

    (void)SSL_CTX_set_session_cache_mode(ctx,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    peer = peer_open(host, ctx, NULL);
    (void)SSL_set_app_data(peer.ssl, &next);
    if (session)
        assert_int_equal(SSL_set_session(peer.ssl, session), 1);
    assert_int_equal(SSL_connect(peer.ssl), 1);
    peer_write(&peer, "M01x", 4);
    peer_expect(&peer, "M01x", 4);
    assert_int_equal(SSL_session_reused(peer.ssl), resumes);
    (void)SSL_shutdown(peer.ssl);
    peer_close(&peer);
    SSL_SESSION_free(session);
    return next;
}

static void
sessions_resume_until_the_certificates_change(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct host *host = start();

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(versions); i++) {
        SSL_SESSION *session = visit(host, versions[i], NULL, false);

        session = visit(host, versions[i], session, true);
        if (!session) /* 1.2 need not give another */
            session = visit(host, versions[i], NULL, false);
        SSL_SESSION_free(session);
    }
    assert_int_equal(net_shard_counters(host->net)->resumed, 2);
    host_stop(host);
}

static void
changed_certificates_are_for_new_connections_and_nobody_is_dropped(void **state)
{
    struct host *host = start();
    struct peer before = peer_greet(host, TLS1_3_VERSION), after;
    struct change change = { new_tls(&other, NULL, NET_TLS_VERIFY_NO) };
    SSL_SESSION *session = visit(host, TLS1_3_VERSION, NULL, false);

    (void)state;
    host_do(host, change_tls, &change);
    peer_write(&before, "M03old", 6);
    peer_expect(&before, "M03old", 6);
    after = peer_greet(host, TLS1_3_VERSION);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(after.ssl), other.x509), 0);
    peer_close(&after);
    SSL_SESSION_free(visit(host, TLS1_3_VERSION, session, false));
    peer_close(&before);
    host_stop(host);
}

static void
host_that_is_asked_for_chooses_the_certificate(void **state)
{
    static const struct {
        const char *name;
        const struct cert *cert;
    } rows[] = { { NULL, &server },
                 { "server.example.test", &server },
                 { "OTHER.example.test", &other },
                 { "nobody.example.test", &server } };
    struct host *host = start_with(new_tls(&server, &other, NET_TLS_VERIFY_NO), 10000);

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct peer peer = peer_open(host, cert_client(&authority, 0, 0), rows[i].name);

        assert_int_equal(SSL_connect(peer.ssl), 1);
        assert_int_equal(X509_cmp(SSL_get0_peer_certificate(peer.ssl), rows[i].cert->x509), 0);
        peer_close(&peer);
    }
    host_stop(host);
}

/* Connects with a certificate (NULL: none) and says what the shard knows of the peer; "refused". */
static void
who_is(struct host *host, const struct cert *cert, int version, char ret[256])
{
    SSL_CTX *ctx = cert_client(&authority, version, version);
    size_t before = host->n_packets;
    struct ask ask = { 0 };
    struct peer peer;
    char octet;

    if (cert) {
        assert_int_equal(SSL_CTX_use_certificate_file(ctx, cert->certificate, SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, cert->key_file, SSL_FILETYPE_PEM), 1);
    }
    peer = peer_open(host, ctx, NULL);
    (void)snprintf(ret, 256, "refused");
    if (SSL_connect(peer.ssl) == 1 && SSL_write(peer.ssl, "M01w", 4) == 4 &&
        SSL_read(peer.ssl, &octet, 1) == 1) {
        ask.conn = host_packet(host, before).flow.conn;
        host_do(host, ask_peer, &ask);
        memcpy(ret, ask.names, sizeof(ask.names));
    }
    peer_close(&peer);
}

static void
peer_shows_who_he_is(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct cert stranger = cert_make(&(struct cert_params){ .name = "stranger" });
    char who[256];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        bool require = i >= 2;
        struct host *host = start_with(
            new_tls(&server, NULL, require ? NET_TLS_VERIFY_REQUIRE : NET_TLS_VERIFY_OPTIONAL),
            10000);

        who_is(host, &edge, versions[i % 2], who);
        assert_string_equal(who, "edge.example.test alice@example.test");
        who_is(host, NULL, versions[i % 2], who);
        assert_string_equal(who, require ? "refused" : "");
        who_is(host, &stranger, versions[i % 2], who);
        assert_string_equal(who, "refused");
        who_is(host, &expired, versions[i % 2], who);
        assert_string_equal(who, "refused");
        host_stop(host);
    }
    cert_free(&stranger);
}

static void
renegotiation_is_refused(void **state)
{
    struct host *host = start();
    struct peer peer = peer_greet(host, TLS1_2_VERSION);

    (void)state;
    assert_int_equal(SSL_renegotiate(peer.ssl), 1);
    (void)SSL_do_handshake(peer.ssl);
    /* The server says no, and goes on or ends; it shakes no hands a second time. */
    (void)SSL_write(peer.ssl, "M01x", 4);
    assert_int_equal(net_shard_counters(host->net)->secured, 1);
    peer_close(&peer);
    assert_true(host_closed(host, 0) != 0);
    host_stop(host);
}

/* --- what is no TLS -----------------------------------------------------------------------------
 */

static void
garbage_is_answered_with_an_alert_and_closed(void **state)
{
    static const char *const rows[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                        "OPTIONS sip:x SIP/2.0\r\n\r\n",
                                        "\x16\x03\x01\x00\x05hello, world",
                                        "\x80\x2e\x01\x00\x02" };
    struct host *host = start();
    struct hd_addr to = net_shard_bound(host->net, 0);
    struct peer honest = peer_greet(host, TLS1_3_VERSION);

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        int fd = peer_connect(&to);
        char answer[64];
        ssize_t n;

        tcp_write(fd, rows[i], i == 3 ? 5 : strlen(rows[i]));
        if (i == 3)
            (void)shutdown(fd, SHUT_WR);
        while ((n = recv(fd, answer, sizeof(answer), 0)) > 0)
            continue;
        assert_true(n == 0 || errno == ECONNRESET);
        close(fd);
    }
    assert_true(net_shard_counters(host->net)->unsecured >= 3);
    peer_write(&honest, "M01x", 4);
    peer_expect(&honest, "M01x", 4);
    assert_int_equal(host->n_packets, 1);
    peer_close(&honest);
    host_stop(host);
}

static void
handshake_that_stalls_ends_at_its_deadline(void **state)
{
    struct host *host = start_with(new_tls(&server, NULL, NET_TLS_VERIFY_NO), SHORT_MS);
    struct hd_addr to = net_shard_bound(host->net, 0);
    int silent = peer_connect(&to), halfway = peer_connect(&to);

    (void)state;
    tcp_write(halfway, "\x16\x03\x01\x02", 4);
    tcp_expect_end(silent);
    tcp_expect_end(halfway);
    assert_int_equal(net_shard_counters(host->net)->unsecured, 2);
    close(silent);
    close(halfway);
    host_stop(host);
}

static void
part_of_a_record_has_to_become_whole(void **state)
{
    struct net_listener listener = listen_on(HD_TLS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();
    struct peer peer;

    (void)state;
    params.tls = new_tls(&server, NULL, NET_TLS_VERIFY_NO);
    params.handshake_ms = 10000;
    params.message_ms = SHORT_MS;
    host_start(host, &params);
    (void)net_tls_unref(params.tls);
    peer = peer_greet(host, TLS1_2_VERSION);
    tcp_write(peer.fd, "\x17\x03\x03\x40\x00 and no more", 17);
    tcp_expect_end(peer.fd);
    peer_close(&peer);
    host_stop(host);
}

static void
altered_record_ends_the_connection(void **state)
{
    struct host *host = start();
    struct peer peer = peer_greet(host, TLS1_3_VERSION);

    (void)state;
    tcp_write(peer.fd,
              "\x17\x03\x03\x00\x20"
              "abcdefghijklmnopqrstuvwxyzabcdef",
              37);
    assert_true(host_closed(host, 0) != 0);
    assert_int_equal(net_shard_counters(host->net)->frames_bad, 1);
    peer_close(&peer);
    host_stop(host);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_files_are_named_with_the_reason),
        cmocka_unit_test(key_with_a_passphrase_is_refused_and_nobody_is_asked),
        cmocka_unit_test(certificate_that_has_expired_is_warned_of),
        cmocka_unit_test(certificate_of_ones_own_is_made_once_and_works),
        cmocka_unit_test(identities_are_those_of_rfc_5922),
        cmocka_unit_test(messages_go_both_ways_with_both_versions),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(octets_may_come_one_by_one),
        cmocka_unit_test(sessions_resume_until_the_certificates_change),
        cmocka_unit_test(changed_certificates_are_for_new_connections_and_nobody_is_dropped),
        cmocka_unit_test(host_that_is_asked_for_chooses_the_certificate),
        cmocka_unit_test(peer_shows_who_he_is),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(garbage_is_answered_with_an_alert_and_closed),
        cmocka_unit_test(handshake_that_stalls_ends_at_its_deadline),
        cmocka_unit_test(part_of_a_record_has_to_become_whole),
        cmocka_unit_test(altered_record_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
