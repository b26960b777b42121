/* secure.h - the TLS of one connection, between octets that travel and octets that mean something.
 * Inside net/ only.  Thread: the shard's.  Nothing here knows sockets: octets that arrived are
 * given with net_secure_feed, octets that are to leave come out through a callback.
 *
 *   HANDSHAKE -> OPEN    the peer is who he has to be; what was written meanwhile is sealed
 *   any       -> BROKEN  an alert, garbage, a certificate that is not accepted */
#ifndef HD_NET_SECURE_H
#define HD_NET_SECURE_H

#include <stdint.h>

#include "net/tls.h"

struct net_secure;

/** Takes octets for the peer; false: they cannot be kept, and the stream is broken. */
typedef bool (*net_secure_out_f)(void *context, const char *p, size_t n);

enum net_secure_did {
    NET_SECURE_MORE = 0, /* all that was fed is used up */
    NET_SECURE_OPENED,   /* the handshake is done: told once, then read on */
    NET_SECURE_OCTETS,   /* ret_n octets are in the buffer */
    NET_SECURE_END,      /* the peer has said that nothing more comes */
    NET_SECURE_BROKEN    /* close; an alert for the peer may have come out */
};

struct net_sessions;

/* Whom a connection is to reach. */
struct net_secure_peer_params {
    const struct hd_addr *remote;
    const char *name; /* that was looked up, NULL: what the net_tls says, or the address; copied */
    struct net_sessions *sessions; /* to take one from and to put new ones; lives as long as the
                                      connection.  NULL: each handshake is a whole one */
    uint64_t session_hash;
};

/** The side that accepted / that connected.  HD_ENOTSUP: the listener has no certificate;
 * HD_ENOMEM. */
HD_NODISCARD enum hd_err net_secure_accept(struct net_tls *tls, uint8_t listener,
                                           net_secure_out_f out, void *context,
                                           struct net_secure **ret_secure);
HD_NODISCARD enum hd_err net_secure_connect(struct net_tls *tls,
                                            const struct net_secure_peer_params *peer,
                                            net_secure_out_f out, void *context,
                                            struct net_secure **ret_secure);
void net_secure_free(struct net_secure *secure); /* accepts NULL */

/** Octets that arrived, borrowed until net_secure_read has returned NET_SECURE_MORE. */
void net_secure_feed(struct net_secure *secure, const char *p, size_t n);
/** Goes on with what was fed; the first call of a client sends its greeting. */
enum net_secure_did net_secure_read(struct net_secure *secure, char *buffer, size_t cap,
                                    size_t *ret_n);
/** Seals octets; before the handshake is done they are kept.  HD_EIO: the stream is broken or
 * ended; HD_ENOMEM. */
HD_NODISCARD enum hd_err net_secure_write(struct net_secure *secure, struct hd_slice octets);
/** After OPENED: seals what waited for it.  HD_EIO. */
HD_NODISCARD enum hd_err net_secure_flush(struct net_secure *secure);
/** Says that nothing more comes from us, once. */
void net_secure_end(struct net_secure *secure);

bool net_secure_is_open(const struct net_secure *secure);
bool net_secure_was_resumed(const struct net_secure *secure);
/** Whether the peer's certificate was not looked at, by configuration. */
bool net_secure_trusts_all(const struct net_secure *secure);
/** Octets that wait for the end of the handshake. */
size_t net_secure_waiting(const struct net_secure *secure);
/** Whether a part of a record is held. */
bool net_secure_holds(const struct net_secure *secure);
/** The SIP domains that the peer's verified certificate names (RFC 5922 section 7.1), in lower case
 * with a blank between them; empty: none, or it was not asked for. */
struct hd_slice net_secure_peer(const struct net_secure *secure);
/** Why it broke; static or the library's storage, never NULL. */
const char *net_secure_problem(const struct net_secure *secure);

/* What secure.c needs of tls.c. */
struct ssl_ctx_st;
struct x509_st;
struct bio_method_st;
struct bio_method_st *net_secure_bio_method(void); /* NULL: memory is short */
struct ssl_st;
struct ssl_session_st;
int net_secure_on_session(struct ssl_st *ssl, struct ssl_session_st *session);
const struct bio_method_st *net_tls_bio(const struct net_tls *tls);
struct ssl_ctx_st *net_tls_server(const struct net_tls *tls, uint8_t listener); /* NULL: none */
struct ssl_ctx_st *net_tls_client(const struct net_tls *tls);
const char *net_tls_client_name(const struct net_tls *tls); /* NULL: the address counts */
bool net_tls_trusts_all(const struct net_tls *tls);

/* identity.c: RFC 5922 section 7.1. */
#define NET_IDENTITIES_MAX 8   /* of one certificate */
#define NET_IDENTITY_TEXT 2048 /* octets of all of them with the blanks */
/**
 * The SIP domain identities of a certificate that was verified: hosts of sip: URIs without a user,
 * else DNS names, else (no subjectAltName at all) the common name; lower case, a blank between two,
 * those after the eighth left out.  None when its extended key usage is for something else
 * (RFC 5924).
 * @param server  what the certificate is used as
 * @return the length
 */
size_t net_identity_read(const struct x509_st *cert, bool server, char ret[NET_IDENTITY_TEXT]);
/** Whether one of the identities is this name (RFC 5922 section 7.2: whole, no wildcard). */
bool net_identity_is(struct hd_slice identities, struct hd_slice name);

#endif
