/* tls.h - certificates, keys and rules for TLS, by listener; immutable and reference-counted.
 *
 * A net_tls is read from files once, handed to every shard (net_shard_tls) and used for the
 * connections that begin from then on; those that are open keep what they began with, so files are
 * changed while the shards run.  Versions 1.2 and 1.3, no renegotiation, no compression, no early
 * data.  Sessions resume by tickets whose keys live and end with the net_tls: after a change of
 * certificates or of authorities nobody resumes what the old ones allowed.  Thread: any. */
#ifndef HD_NET_TLS_H
#define HD_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/slice.h"

struct net_tls;

/* PEM files: a certificate with the chain behind it, and its key. */
struct net_tls_pair {
    const char *certificate, *key;
};

/* Whether the peers of a listener show certificates of their own. */
enum net_tls_verify { NET_TLS_VERIFY_NO = 0, NET_TLS_VERIFY_OPTIONAL, NET_TLS_VERIFY_REQUIRE };

struct net_tls_server {
    const struct net_tls_pair *pairs; /* the first is for peers that name no host of the others */
    size_t n_pairs;                   /* 0: this listener has no TLS */
    enum net_tls_verify verify;
    const char *ca; /* PEM file of the authorities for peers' certificates; NULL: the system's */
};

struct net_tls_params {
    const struct net_tls_server *servers; /* by listener */
    size_t n_servers;
    struct net_tls_pair client; /* shown to servers that we connect to; certificate NULL: none */
    const char *client_ca;      /* authorities for their certificates; NULL: the system's */
    const char *client_name;    /* whom their certificates must name; NULL: the address */
    bool client_trusts_all;     /* their certificates are not looked at */
    /** Gets a line for each problem, which names the file and the reason; fatal: it cannot be
     * used so. */
    void (*tell)(void *context, bool fatal, const char *line);
    void *context;
};

/** Reads all files.  @return HD_OK with one reference; HD_EIO: what is wrong was told; HD_ENOMEM */
HD_NODISCARD enum hd_err net_tls_new(const struct net_tls_params *params, struct net_tls **ret_tls);
struct net_tls *net_tls_ref(struct net_tls *tls);
struct net_tls *net_tls_unref(struct net_tls *tls); /* accepts NULL, returns NULL */

/**
 * Makes a key and a certificate that it signs itself, for a first try, when the key's file is not
 * there; both files are whole or not there.  Only the owner may read the key.
 * @param names  host names that it is for; addrs: addresses, their ports do not matter
 * @param ret_problem  one line that names the file and the reason
 * @return HD_OK; HD_EEXIST: both are there already; HD_EIO, HD_ENOMEM
 */
HD_NODISCARD enum hd_err net_tls_self_signed(const struct net_tls_pair *pair,
                                             const struct hd_slice *names, size_t n_names,
                                             const struct hd_addr *addrs, size_t n_addrs,
                                             char ret_problem[256]);

#endif
