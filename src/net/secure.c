/* secure.c - one TLS connection over octets that somebody else moves.
 *
 * The library reads and writes through a BIO of ours: what was fed is read where it lies, what it
 * writes goes straight to where octets wait for the socket, so no octet is copied for the BIO's
 * sake and none is buffered twice.  It never waits: reading ends when the octets do, writing always
 * succeeds or the stream is broken.
 *
 * Invariants: octets that were fed are used up before net_secure_read says MORE; the net_tls lives
 * as long as the connection, since the choice by name looks into it; after BROKEN or END nothing
 * more is read. */
#include "net/secure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/peers.h"

#define SECURE_MAGIC 0x73656375u

enum state { HANDSHAKE = 0, OPEN, BROKEN };

struct net_secure {
    unsigned magic;
    enum state state;
    bool server, ended, resumed;
    struct net_tls *tls;
    SSL *ssl;
    net_secure_out_f out;
    void *context;
    const char *in; /* fed and not read yet */
    size_t in_n;
    char *early; /* written before the handshake was done */
    size_t early_n;
    char *peer;
    size_t peer_n;
    const char *problem;
    struct hd_addr remote; /* of a client, as what follows */
    char *name;            /* whom the certificate must name; NULL: the address */
    struct net_sessions *sessions;
    uint64_t session_hash;
};

/* --- the BIO ------------------------------------------------------------------------------------
 */

static int
bio_read(BIO *bio, char *buffer, size_t size, size_t *ret_n)
{
    struct net_secure *secure = BIO_get_data(bio);
    size_t n = secure->in_n < size ? secure->in_n : size;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(buffer, secure->in, n);
    secure->in += n;
    secure->in_n -= n;
    *ret_n = n;
    return 1;
}

static int
bio_write(BIO *bio, const char *octets, size_t n, size_t *ret_n)
{
    struct net_secure *secure = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (n > 0 && !secure->out(secure->context, octets, n))
        return 0;
    *ret_n = n;
    return 1;
}

static long
bio_ctrl(BIO *bio, int command, long n, void *p)
{
    (void)bio;
    (void)n;
    (void)p;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *
net_secure_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "herald");

    if (method && BIO_meth_set_read_ex(method, bio_read) &&
        BIO_meth_set_write_ex(method, bio_write) && BIO_meth_set_ctrl(method, bio_ctrl))
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* --- beginning and end --------------------------------------------------------------------------
 */

void
net_secure_free(struct net_secure *secure)
{
    if (!secure)
        return;
    HD_ASSERT_OBJ(secure, SECURE_MAGIC);
    SSL_free(secure->ssl);
    (void)net_tls_unref(secure->tls);
    free(secure->early);
    free(secure->peer);
    free(secure->name);
    secure->magic = 0;
    free(secure);
}

static enum hd_err
secure_new(struct net_tls *tls, SSL_CTX *ctx, bool server, net_secure_out_f out, void *context,
           struct net_secure **ret_secure)
{
    struct net_secure *secure = calloc(1, sizeof(*secure));
    BIO *bio = NULL;

    if (!secure)
        return HD_ENOMEM;
    secure->magic = SECURE_MAGIC;
    secure->server = server;
    secure->tls = net_tls_ref(tls);
    secure->out = out;
    secure->context = context;
    secure->problem = "";
    secure->ssl = SSL_new(ctx);
    if (secure->ssl)
        bio = BIO_new(net_tls_bio(tls));
    if (!bio) {
        net_secure_free(secure);
        ERR_clear_error();
        return HD_ENOMEM;
    }
    BIO_set_data(bio, secure);
    BIO_set_init(bio, 1);
    SSL_set_bio(secure->ssl, bio, bio); /* takes it */
    if (server)
        SSL_set_accept_state(secure->ssl);
    else
        SSL_set_connect_state(secure->ssl);
    *ret_secure = secure;
    return HD_OK;
}

enum hd_err
net_secure_accept(struct net_tls *tls, uint8_t listener, net_secure_out_f out, void *context,
                  struct net_secure **ret_secure)
{
    SSL_CTX *ctx = tls ? net_tls_server(tls, listener) : NULL;

    return ctx ? secure_new(tls, ctx, true, out, context, ret_secure) : HD_ENOTSUP;
}

/* RFC 6066 section 3: a name that is an address is not sent. */
static void
ask_by_name(struct net_secure *secure)
{
    struct hd_addr addr;

    if (secure->name && hd_addr_parse(hd_slice_str(secure->name), 0, &addr) != HD_OK)
        (void)SSL_set_tlsext_host_name(secure->ssl, secure->name);
}

static void
take_up_session(struct net_secure *secure)
{
    SSL_SESSION *session =
        secure->sessions ? net_sessions_take(secure->sessions, secure->session_hash) : NULL;

    if (session)
        (void)SSL_set_session(secure->ssl, session); /* it takes a reference */
    SSL_SESSION_free(session);
}

/* The library has made or received a session: for the next connection to this peer. */
int
net_secure_on_session(SSL *ssl, SSL_SESSION *session)
{
    struct net_secure *secure = SSL_get_app_data(ssl);

    if (!secure || !secure->sessions || secure->state == BROKEN)
        return 0;
    net_sessions_put(secure->sessions, secure->session_hash, session);
    return 1; /* taken over */
}

enum hd_err
net_secure_connect(struct net_tls *tls, const struct net_secure_peer_params *peer,
                   net_secure_out_f out, void *context, struct net_secure **ret_secure)
{
    const char *name = peer->name ? peer->name : tls ? net_tls_client_name(tls) : NULL;
    struct net_secure *secure;
    enum hd_err err;

    if (!tls)
        return HD_ENOTSUP;
    err = secure_new(tls, net_tls_client(tls), false, out, context, &secure);
    if (err)
        return err;
    secure->remote = *peer->remote;
    secure->sessions = peer->sessions;
    secure->session_hash = peer->session_hash;
    if (name && !(secure->name = strdup(name))) {
        net_secure_free(secure);
        return HD_ENOMEM;
    }
    (void)SSL_set_app_data(secure->ssl, secure);
    ask_by_name(secure);
    take_up_session(secure);
    *ret_secure = secure;
    return HD_OK;
}

/* --- who the peer is ----------------------------------------------------------------------------
 */

/* The SIP domains of the peer's certificate, which the library has verified. */
static void
read_peer(struct net_secure *secure, const X509 *cert)
{
    char text[NET_IDENTITY_TEXT];
    size_t n = net_identity_read(cert, !secure->server, text);

    secure->peer = n > 0 ? malloc(n) : NULL;
    if (!secure->peer)
        return; /* memory is short: as if nothing were known of him */
    memcpy(secure->peer, text, n);
    secure->peer_n = n;
}

/* RFC 5922 section 7.3: the server is the one that we meant to reach, which is the domain that was
 * looked up and no name that came of it (RFC 3263 section 4.1). */
static bool
is_expected(const struct net_secure *secure, X509 *cert)
{
    const char *name = secure->name;
    char host[HD_ADDR_TEXT];
    struct hd_addr addr = secure->remote;
    size_t n;

    if (name && hd_addr_parse(hd_slice_str(name), 0, &addr) != HD_OK)
        return net_identity_is(net_secure_peer(secure), hd_slice_str(name));
    n = hd_addr_host_text(&addr, host);
    return X509_check_ip(cert, addr.ip, addr.family == 4 ? 4 : 16, 0) == 1 ||
           net_identity_is(net_secure_peer(secure), hd_slice(host, n));
}

/* The handshake is done: false when the peer is not who he has to be. */
static bool
accept_peer(struct net_secure *secure)
{
    X509 *cert = SSL_get0_peer_certificate(secure->ssl);

    secure->resumed = SSL_session_reused(secure->ssl) == 1;
    if (!secure->server && net_tls_trusts_all(secure->tls))
        return true;
    if (!cert)
        return secure->server; /* where one is required the library has seen to it */
    if (SSL_get_verify_result(secure->ssl) == X509_V_OK)
        read_peer(secure, cert);
    if (secure->server || is_expected(secure, cert))
        return true;
    secure->problem = "its certificate is for another host";
    return false;
}

/* --- reading ------------------------------------------------------------------------------------
 */

void
net_secure_feed(struct net_secure *secure, const char *p, size_t n)
{
    HD_ASSERT_OBJ(secure, SECURE_MAGIC);
    secure->in = p;
    secure->in_n = n;
}

static enum net_secure_did
broken(struct net_secure *secure)
{
    unsigned long error = ERR_peek_last_error();
    long verified = SSL_get_verify_result(secure->ssl);
    const char *text = ERR_reason_error_string(error);

    if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
        text = X509_verify_cert_error_string(verified);
    if (!secure->problem[0])
        secure->problem = text ? text : "the stream is broken";
    secure->state = BROKEN;
    secure->in_n = 0;
    ERR_clear_error();
    return NET_SECURE_BROKEN;
}

/* What a call of the library that did not succeed means. */
static enum net_secure_did
stopped(struct net_secure *secure, int result)
{
    switch (SSL_get_error(secure->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return NET_SECURE_MORE;
    case SSL_ERROR_ZERO_RETURN:
        secure->in_n = 0;
        return NET_SECURE_END;
    default:
        return broken(secure);
    }
}

static enum net_secure_did
shake_hands(struct net_secure *secure)
{
    int result = SSL_do_handshake(secure->ssl);

    if (result != 1)
        return stopped(secure, result);
    if (!accept_peer(secure)) {
        (void)SSL_shutdown(secure->ssl);
        return broken(secure);
    }
    secure->state = OPEN;
    return NET_SECURE_OPENED;
}

enum net_secure_did
net_secure_read(struct net_secure *secure, char *buffer, size_t cap, size_t *ret_n)
{
    int result;

    HD_ASSERT_OBJ(secure, SECURE_MAGIC);
    ERR_clear_error();
    switch (secure->state) {
    case HANDSHAKE:
        return shake_hands(secure);
    case OPEN:
        result = SSL_read_ex(secure->ssl, buffer, cap, ret_n);
        return result == 1 ? NET_SECURE_OCTETS : stopped(secure, result);
    case BROKEN:
        break;
    }
    return NET_SECURE_BROKEN;
}

/* --- writing ------------------------------------------------------------------------------------
 */

static enum hd_err
keep_early(struct net_secure *secure, struct hd_slice octets)
{
    char *early = realloc(secure->early, secure->early_n + octets.n);

    if (!early)
        return HD_ENOMEM;
    memcpy(early + secure->early_n, octets.p, octets.n);
    secure->early = early;
    secure->early_n += octets.n;
    return HD_OK;
}

static enum hd_err
seal(struct net_secure *secure, struct hd_slice octets)
{
    size_t written;

    ERR_clear_error();
    if (SSL_write_ex(secure->ssl, octets.p, octets.n, &written) == 1)
        return HD_OK;
    (void)broken(secure);
    return HD_EIO;
}

enum hd_err
net_secure_write(struct net_secure *secure, struct hd_slice octets)
{
    HD_ASSERT_OBJ(secure, SECURE_MAGIC);
    if (secure->ended || octets.n == 0)
        return secure->ended ? HD_EIO : HD_OK;
    switch (secure->state) {
    case HANDSHAKE:
        return keep_early(secure, octets);
    case OPEN:
        return seal(secure, octets);
    case BROKEN:
        break;
    }
    return HD_EIO;
}

enum hd_err
net_secure_flush(struct net_secure *secure)
{
    struct hd_slice early = hd_slice(secure->early, secure->early_n);
    enum hd_err err = HD_OK;

    HD_ASSERT(secure->state == OPEN);
    if (early.n > 0)
        err = seal(secure, early);
    free(secure->early);
    secure->early = NULL;
    secure->early_n = 0;
    return err;
}

void
net_secure_end(struct net_secure *secure)
{
    HD_ASSERT_OBJ(secure, SECURE_MAGIC);
    if (secure->state == OPEN && !secure->ended)
        (void)SSL_shutdown(secure->ssl);
    secure->ended = true;
    ERR_clear_error();
}

/* --- what is known ------------------------------------------------------------------------------
 */

bool
net_secure_is_open(const struct net_secure *secure)
{
    return secure->state == OPEN;
}

bool
net_secure_trusts_all(const struct net_secure *secure)
{
    return !secure->server && net_tls_trusts_all(secure->tls);
}

bool
net_secure_was_resumed(const struct net_secure *secure)
{
    return secure->resumed;
}

size_t
net_secure_waiting(const struct net_secure *secure)
{
    return secure->early_n;
}

bool
net_secure_holds(const struct net_secure *secure)
{
    return SSL_has_pending(secure->ssl) == 1;
}

struct hd_slice
net_secure_peer(const struct net_secure *secure)
{
    return hd_slice(secure->peer, secure->peer_n);
}

const char *
net_secure_problem(const struct net_secure *secure)
{
    return secure->problem[0] ? secure->problem : "none";
}
