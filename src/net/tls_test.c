/* tls_test.c - TLS of a shard, with real sockets over loopback and OpenSSL's own client as peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "net/secure.h"
#include "net/test_cert.h"
#include "net/test_host.h"

#define SHORT_MS 40

/* --- what all tests share -----------------------------------------------------------------------
 */

static struct cert authority, server, other, edge, expired;
static char told[1024];
static unsigned n_fatal, n_warned;

static void
tell(void *context, bool fatal, const char *line)
{
    (void)context;
    n_fatal += fatal;
    n_warned += !fatal;
    (void)snprintf(told, sizeof(told), "%s", line);
}

static int
make_certs(void **state)
{
    (void)state;
    authority = cert_make(&(struct cert_params){ .name = "authority" });
    server = cert_make(&(struct cert_params){ .name = "server.example.test",
                                              .issuer = &authority,
                                              .alts = "DNS:server.example.test,IP:127.0.0.1" });
    other = cert_make(&(struct cert_params){
        .name = "other.example.test", .issuer = &authority, .alts = "DNS:other.example.test" });
    edge = cert_make(&(struct cert_params){
        .name = "edge",
        .issuer = &authority,
        .alts = "URI:sip:Edge.example.test,URI:sip:alice@example.test,DNS:host.example.test",
        .usage = "clientAuth,serverAuth" });
    expired = cert_make(&(struct cert_params){
        .name = "expired", .issuer = &authority, .alts = "IP:127.0.0.1", .days = -1 });
    return 0;
}

static int
remove_certs(void **state)
{
    (void)state;
    cert_free(&authority);
    cert_free(&server);
    cert_free(&other);
    cert_free(&edge);
    cert_free(&expired);
    cert_folder_remove();
    return 0;
}

static struct net_tls_pair
pair_of(const struct cert *cert)
{
    return (struct net_tls_pair){ cert->certificate, cert->key_file };
}

static enum hd_err
try_tls(const struct net_tls_params *params, struct net_tls **ret_tls)
{
    struct net_tls_params copy = *params;

    told[0] = '\0';
    n_fatal = n_warned = 0;
    copy.tell = tell;
    return net_tls_new(&copy, ret_tls);
}

/* For one listener with these certificates, and a client that believes the authority. */
static struct net_tls *
new_tls(const struct cert *first, const struct cert *second, enum net_tls_verify verify)
{
    const struct net_tls_pair pairs[] = { pair_of(first), pair_of(second ? second : first) };
    const struct net_tls_server servers[] = {
        { .pairs = pairs, .n_pairs = second ? 2 : 1, .verify = verify, .ca = authority.certificate }
    };
    struct net_tls *tls = NULL;

    assert_int_equal(try_tls(&(struct net_tls_params){ .servers = servers,
                                                       .n_servers = 1,
                                                       .client_ca = authority.certificate },
                             &tls),
                     HD_OK);
    return tls;
}

static struct host *
start_with(struct net_tls *tls, uint32_t handshake_ms)
{
    struct net_listener listener = listen_on(HD_TLS, "127.0.0.1");
    struct net_params params = host_params(&listener, 1);
    struct host *host = host_new();

    params.tls = tls;
    params.handshake_ms = handshake_ms;
    host->echo = true;
    host_start(host, &params);
    (void)net_tls_unref(tls);
    return host;
}

static struct host *
start(void)
{
    return start_with(new_tls(&server, NULL, NET_TLS_VERIFY_NO), 10000);
}

/* A peer with OpenSSL's client. */
struct peer {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
};

static struct peer
peer_open(const struct host *host, SSL_CTX *ctx, const char *name)
{
    struct hd_addr to = net_shard_bound(host->net, 0);
    struct timeval patience = { .tv_sec = 10 };
    struct peer peer = { .fd = peer_connect(&to), .ctx = ctx };

    assert_int_equal(setsockopt(peer.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    peer.ssl = SSL_new(ctx);
    assert_non_null(peer.ssl);
    assert_int_equal(SSL_set_fd(peer.ssl, peer.fd), 1);
    if (name) {
        char asked[256]; /* the library's macro wants octets that may be changed */

        snprintf(asked, sizeof asked, "%s", name);
        assert_int_equal(SSL_set_tlsext_host_name(peer.ssl, asked), 1);
    }
    return peer;
}

static struct peer
peer_greet(const struct host *host, int version)
{
    struct peer peer = peer_open(host, cert_client(&authority, version, version), NULL);

    assert_int_equal(SSL_connect(peer.ssl), 1);
    return peer;
}

static void
peer_close(struct peer *peer)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->ctx);
    close(peer->fd);
    ERR_clear_error();
}

static void
peer_write(struct peer *peer, const char *p, size_t n)
{
    assert_int_equal(SSL_write(peer->ssl, p, (int)n), n);
}

static void
peer_expect(struct peer *peer, const char *p, size_t n)
{
    char *got = malloc(n);
    size_t at = 0;

    while (at < n) {
        int some = SSL_read(peer->ssl, got + at, (int)(n - at));
        assert_true(some > 0);
        at += (size_t)some;
    }
    assert_memory_equal(got, p, n);
    free(got);
}

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

struct ask {
    uint64_t conn;
    char names[256];
};

static void
ask_peer(struct host *host, void *arg)
{
    struct ask *ask = arg;
    struct hd_slice names = net_peer(host->net, ask->conn);

    (void)snprintf(ask->names, sizeof(ask->names), "%.*s", HD_FMT(names));
}

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

struct change {
    struct net_tls *tls;
};

static void
change_tls(struct host *host, void *arg)
{
    struct change *change = arg;

    net_shard_tls(host->net, change->tls);
    change->tls = net_tls_unref(change->tls);
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

/* --- connecting ---------------------------------------------------------------------------------
 */

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
        struct host *to = start_with(new_tls(rows[i].shown, NULL, NET_TLS_VERIFY_NO), 10000);
        struct host *from = start_client(rows[i].known ? authority.certificate : edge.certificate,
                                         rows[i].name, rows[i].trusts_all);
        struct send send = { net_shard_bound(to->net, 0), 7, "M03one", NULL };

        host_do(from, send_tls, &send);
        if (rows[i].good) {
            assert_int_equal(host_packet(from, 0).n, 6);
        } else {
            assert_int_equal(host_failure(from, 0).owner, 7);
            assert_int_equal(to->n_packets, 0);
        }
        host_stop(from);
        host_stop(to);
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
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct host *to = start_with(new_tls(rows[i].shown, NULL, NET_TLS_VERIFY_NO), 10000);
        struct host *from = start_client(authority.certificate, NULL, false);
        struct send send = { net_shard_bound(to->net, 0), 7, "M03one", rows[i].name };

        host_do(from, send_tls, &send);
        if (rows[i].good) {
            assert_int_equal(host_packet(from, 0).n, 6);
        } else {
            assert_int_equal(host_failure(from, 0).owner, 7);
            assert_int_equal(to->n_packets, 0);
        }
        host_stop(from);
        host_stop(to);
    }
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
