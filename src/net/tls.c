/* tls.c - from files to what TLS connections begin with.
 *
 * A listener has a context per pair of certificate and key; a peer that names a host (SNI, RFC 6066
 * section 3) gets the first whose certificate is for it, any other the first of all.  Sessions are
 * kept by the peers themselves, in tickets: no shard waits for another's lock, and a thousand
 * phones that come back cost no memory.
 *
 * Invariants: nothing of a net_tls changes after net_tls_new; a key that wants a passphrase is an
 * error, never a question on the terminal. */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/secure.h"

#define TLS_MAGIC 0x746c7363u
#define LINE_MAX_OCTETS 512
/* A session that was verified once is taken for as long as this without looking again. */
#define SESSION_S 7200
#define TICKET_KEYS_MAX 128

struct server {
    SSL_CTX **contexts; /* by pair */
    size_t n;
};

struct net_tls {
    unsigned magic;
    _Atomic uint32_t refs;
    struct server *servers;
    size_t n_servers;
    SSL_CTX *client;
    BIO_METHOD *bio;
    char *client_name;
    bool trusts_all;
};

struct loading {
    const struct net_tls_params *params;
    bool failed, short_of_memory;
};

/* --- telling ------------------------------------------------------------------------------------
 */

static void HD_PRINTF(3, 4) tell(struct loading *l, bool fatal, const char *format, ...)
{
    char line[LINE_MAX_OCTETS];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    l->failed = l->failed || fatal;
    if (l->params->tell)
        l->params->tell(l->params->context, fatal, line);
}

static bool
is_error(unsigned long error, int lib, int number)
{
    return ERR_GET_LIB(error) == lib && ERR_GET_REASON(error) == number;
}

/* What the library's errors mean to somebody who has a file before him; what: nothing of that kind
 * is in it. */
static const char *
reason(const char *what)
{
    const char *text = NULL;
    unsigned long error;
    bool nothing = false, secret = false;

    while ((error = ERR_get_error()) != 0) {
        secret = secret || is_error(error, ERR_LIB_PEM, PEM_R_BAD_PASSWORD_READ);
        nothing = nothing || is_error(error, ERR_LIB_PEM, PEM_R_NO_START_LINE) ||
                  is_error(error, ERR_LIB_X509, X509_R_NO_CERTIFICATE_OR_CRL_FOUND) ||
                  is_error(error, ERR_LIB_OSSL_DECODER, ERR_R_UNSUPPORTED);
        if (!text)
            text = ERR_reason_error_string(error);
    }
    if (secret)
        return "it wants a passphrase; expected a key without one";
    return nothing || !text ? what : text;
}

/* Whether a file can be read at all; the reasons of the library are less clear. */
static bool
readable(struct loading *l, const char *what, const char *path)
{
    FILE *file = fopen(path, "re");
    const char *why = file ? NULL : strerrordesc_np(errno);

    if (file)
        (void)fclose(file);
    else
        tell(l, true, "%s %s: %s", what, path, why ? why : "cannot be read");
    return file != NULL;
}

static int
no_passphrase(char *buffer, int size, int rwflag, void *context)
{
    (void)buffer;
    (void)size;
    (void)rwflag;
    (void)context;
    return -1;
}

/* --- a context ----------------------------------------------------------------------------------
 */

static SSL_CTX *
context_new(struct loading *l, bool server)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    if (!ctx) {
        l->short_of_memory = true;
        return NULL;
    }
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(ctx, SESSION_S);
    (void)SSL_CTX_set_num_tickets(ctx, 1);
    (void)SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    /* What a certificate may be used for is looked at with its identities (identity.c), since
     * SIP has a usage of its own (RFC 5924). */
    (void)SSL_CTX_set_purpose(ctx, X509_PURPOSE_ANY);
    return ctx;
}

static void
warn_of_time(struct loading *l, const char *path, const X509 *cert)
{
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        tell(l, false, "certificate %s: it has expired", path);
    else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        tell(l, false, "certificate %s: it is not valid yet", path);
}

static void
use_pair(struct loading *l, SSL_CTX *ctx, const struct net_tls_pair *pair)
{
    ERR_clear_error();
    if (!readable(l, "certificate", pair->certificate) || !readable(l, "key", pair->key))
        return;
    if (SSL_CTX_use_certificate_chain_file(ctx, pair->certificate) != 1) {
        tell(l, true, "certificate %s: %s", pair->certificate,
             reason("it holds no certificate in PEM"));
        return;
    }
    warn_of_time(l, pair->certificate, SSL_CTX_get0_certificate(ctx));
    if (SSL_CTX_use_PrivateKey_file(ctx, pair->key, SSL_FILETYPE_PEM) != 1) {
        if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
            tell(l, true, "key %s: it does not belong to certificate %s", pair->key,
                 pair->certificate);
        else
            tell(l, true, "key %s: %s", pair->key, reason("it holds no private key in PEM"));
    }
}

/* Whom to believe: the authorities of a file, or the system's. */
static void
use_ca(struct loading *l, SSL_CTX *ctx, const char *path, bool server)
{
    STACK_OF(X509_NAME) * names;

    ERR_clear_error();
    if (!path) {
        (void)SSL_CTX_set_default_verify_paths(ctx);
        return;
    }
    if (!readable(l, "ca", path))
        return;
    names = SSL_load_client_CA_file(path);
    if (!names || SSL_CTX_load_verify_file(ctx, path) != 1)
        tell(l, true, "ca %s: %s", path, reason("it holds no certificate in PEM"));
    if (names && server)
        SSL_CTX_set_client_CA_list(ctx, names); /* takes them */
    else
        sk_X509_NAME_pop_free(names, X509_NAME_free);
}

/* --- servers ------------------------------------------------------------------------------------
 */

/* Picks the certificate for the host that the peer names. */
static int
on_servername(SSL *ssl, int *alert, void *arg)
{
    const struct server *server = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < server->n; i++)
        if (X509_check_host(SSL_CTX_get0_certificate(server->contexts[i]), name, 0, 0, NULL) == 1) {
            (void)SSL_set_SSL_CTX(ssl, server->contexts[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK;
}

static int
verify_mode(enum net_tls_verify verify)
{
    switch (verify) {
    case NET_TLS_VERIFY_NO:
        return SSL_VERIFY_NONE;
    case NET_TLS_VERIFY_OPTIONAL:
        return SSL_VERIFY_PEER;
    case NET_TLS_VERIFY_REQUIRE:
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    return SSL_VERIFY_NONE;
}

/* Tickets hold what was verified: they are good for this net_tls and this listener only.  The
 * keys are those of the context that a connection began with, whatever name it asks for. */
static void
use_tickets(struct loading *l, SSL_CTX *ctx, const unsigned char *id, unsigned n_id)
{
    unsigned char keys[TICKET_KEYS_MAX];
    long n = SSL_CTX_get_tlsext_ticket_keys(ctx, NULL, 0);

    HD_ASSERT(n > 0 && n <= TICKET_KEYS_MAX);
    if (RAND_bytes(keys, (int)n) != 1 || SSL_CTX_set_tlsext_ticket_keys(ctx, keys, n) != 1 ||
        SSL_CTX_set_session_id_context(ctx, id, n_id) != 1)
        l->short_of_memory = true;
    OPENSSL_cleanse(keys, sizeof(keys));
}

static void
load_server(struct loading *l, const struct net_tls_server *from, struct server *server)
{
    unsigned char id[16];

    if (from->n_pairs == 0)
        return;
    server->contexts = calloc(from->n_pairs, sizeof(SSL_CTX *));
    if (!server->contexts || RAND_bytes(id, sizeof(id)) != 1) {
        l->short_of_memory = true;
        return;
    }
    for (size_t i = 0; i < from->n_pairs; i++) {
        SSL_CTX *ctx = context_new(l, true);

        if (!ctx)
            return;
        server->contexts[server->n++] = ctx;
        use_pair(l, ctx, &from->pairs[i]);
        SSL_CTX_set_verify(ctx, verify_mode(from->verify), NULL);
        if (from->verify != NET_TLS_VERIFY_NO)
            use_ca(l, ctx, from->ca, true);
        use_tickets(l, ctx, id, sizeof(id));
    }
    (void)SSL_CTX_set_tlsext_servername_callback(server->contexts[0], on_servername);
    (void)SSL_CTX_set_tlsext_servername_arg(server->contexts[0], server);
}

static void
load_client(struct loading *l, struct net_tls *tls)
{
    const struct net_tls_params *params = l->params;

    tls->trusts_all = params->client_trusts_all;
    if (params->client_name && !(tls->client_name = strdup(params->client_name)))
        l->short_of_memory = true;
    tls->client = context_new(l, false);
    if (!tls->client)
        return;
    SSL_CTX_set_verify(tls->client, tls->trusts_all ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (!tls->trusts_all)
        use_ca(l, tls->client, params->client_ca, false);
    if (params->client.certificate)
        use_pair(l, tls->client, &params->client);
    /* Sessions are kept by whoever connects (peers.c), not by the library. */
    (void)SSL_CTX_set_session_cache_mode(tls->client,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->client, net_secure_on_session);
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static void
tls_free(struct net_tls *tls)
{
    for (size_t i = 0; i < tls->n_servers; i++) {
        for (size_t k = 0; k < tls->servers[i].n; k++)
            SSL_CTX_free(tls->servers[i].contexts[k]);
        free(tls->servers[i].contexts);
    }
    SSL_CTX_free(tls->client);
    BIO_meth_free(tls->bio);
    free(tls->servers);
    free(tls->client_name);
    tls->magic = 0;
    free(tls);
}

enum hd_err
net_tls_new(const struct net_tls_params *params, struct net_tls **ret_tls)
{
    struct net_tls *tls = calloc(1, sizeof(*tls));
    struct loading l = { .params = params };

    if (!tls)
        return HD_ENOMEM;
    tls->magic = TLS_MAGIC;
    atomic_init(&tls->refs, 1);
    tls->servers = calloc(params->n_servers + 1, sizeof(*tls->servers));
    tls->bio = net_secure_bio_method();
    if (!tls->servers || !tls->bio) {
        tls_free(tls);
        return HD_ENOMEM;
    }
    tls->n_servers = params->n_servers;
    for (size_t i = 0; i < params->n_servers; i++)
        load_server(&l, &params->servers[i], &tls->servers[i]);
    load_client(&l, tls);
    ERR_clear_error();
    if (l.short_of_memory || l.failed) {
        tls_free(tls);
        return l.failed ? HD_EIO : HD_ENOMEM;
    }
    *ret_tls = tls;
    return HD_OK;
}

struct net_tls *
net_tls_ref(struct net_tls *tls)
{
    HD_ASSERT_OBJ(tls, TLS_MAGIC);
    (void)atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

struct net_tls *
net_tls_unref(struct net_tls *tls)
{
    if (!tls)
        return NULL;
    HD_ASSERT_OBJ(tls, TLS_MAGIC);
    /* acq_rel: what other threads read happens before the free. */
    if (atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) == 1)
        tls_free(tls);
    return NULL;
}

SSL_CTX *
net_tls_server(const struct net_tls *tls, uint8_t listener)
{
    HD_ASSERT_OBJ(tls, TLS_MAGIC);
    return listener < tls->n_servers && tls->servers[listener].n > 0
               ? tls->servers[listener].contexts[0]
               : NULL;
}

const BIO_METHOD *
net_tls_bio(const struct net_tls *tls)
{
    return tls->bio;
}

SSL_CTX *
net_tls_client(const struct net_tls *tls)
{
    HD_ASSERT_OBJ(tls, TLS_MAGIC);
    return tls->client;
}

const char *
net_tls_client_name(const struct net_tls *tls)
{
    return tls->client_name;
}

bool
net_tls_trusts_all(const struct net_tls *tls)
{
    return tls->trusts_all;
}
