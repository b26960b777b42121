/* tls_test.h - what the tests of TLS share: certificates, shards that have them, and OpenSSL's own
 * client as peer. */
#ifndef HD_NET_TLS_TEST_H
#define HD_NET_TLS_TEST_H

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

static struct cert authority, server, other, edge, expired;
static char told[1024];
static unsigned n_fatal, n_warned;

static inline void
tell(void *context, bool fatal, const char *line)
{
    (void)context;
    n_fatal += fatal;
    n_warned += !fatal;
    (void)snprintf(told, sizeof(told), "%s", line);
}

static inline int
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

static inline int
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

static inline struct net_tls_pair
pair_of(const struct cert *cert)
{
    return (struct net_tls_pair){ cert->certificate, cert->key_file };
}

static inline enum hd_err
try_tls(const struct net_tls_params *params, struct net_tls **ret_tls)
{
    struct net_tls_params copy = *params;

    told[0] = '\0';
    n_fatal = n_warned = 0;
    copy.tell = tell;
    return net_tls_new(&copy, ret_tls);
}

/* For one listener with these certificates, and a client that believes the authority. */
static inline struct net_tls *
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

static inline struct host *
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

static inline struct host *
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

static inline struct peer
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

static inline struct peer
peer_greet(const struct host *host, int version)
{
    struct peer peer = peer_open(host, cert_client(&authority, version, version), NULL);

    assert_int_equal(SSL_connect(peer.ssl), 1);
    return peer;
}

static inline void
peer_close(struct peer *peer)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->ctx);
    close(peer->fd);
    ERR_clear_error();
}

static inline void
peer_write(struct peer *peer, const char *p, size_t n)
{
    assert_int_equal(SSL_write(peer->ssl, p, (int)n), n);
}

static inline void
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

struct ask {
    uint64_t conn;
    char names[256];
};

static inline void
ask_peer(struct host *host, void *arg)
{
    struct ask *ask = arg;
    struct hd_slice names = net_peer(host->net, ask->conn);

    (void)snprintf(ask->names, sizeof(ask->names), "%.*s", HD_FMT(names));
}

struct change {
    struct net_tls *tls;
};

static inline void
change_tls(struct host *host, void *arg)
{
    struct change *change = arg;

    net_shard_tls(host->net, change->tls);
    change->tls = net_tls_unref(change->tls);
}

#endif
