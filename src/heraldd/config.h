/* config.h - the configuration file of the daemon: read, checked, and handed to the core.
 *
 * hd_conf is what the file says, with defaults for what it leaves out.  The core gets an evt_config
 * made from it and the book of users and rules; each edit of the book makes another one from the
 * same hd_conf. Thread: made by the main thread, immutable once published; references may be
 * dropped by any. Memory: one block; everything in it lives as long as the last reference. */
#ifndef HD_HERALDD_CONFIG_H
#define HD_HERALDD_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/slice.h"
#include "event/config.h"
#include "event/package.h"
#include "heraldd/problem.h"
#include "http/api.h"
#include "net/tls.h"
#include "policy/book.h"
#include "sip/digest.h"

#define HD_CONF_MAGIC 0x48434f4eu
#define HD_CONF_LISTENERS 32           /* at most; a flow names its listener with one octet */
#define HD_CONF_NEXT_HOPS 64           /* sections of domains, looked through by each SUBSCRIBE */
#define HD_CONF_FILE_MAX (1024 * 1024) /* octets of the file */

/* What net/ needs and the core does not; per shard. */
struct hd_conf_net {
    uint32_t connections;
    uint32_t idle_ms, message_ms, connect_ms, handshake_ms;
    uint32_t queue;          /* octets waiting to leave on one connection */
    uint32_t receive_buffer; /* octets asked of the kernel per datagram socket, 0: its default */
};

/* What a listener shows and asks for with TLS, and whom it takes by WebSocket; of those without all
 * is empty. */
struct hd_conf_secure {
    const struct net_tls_pair *pairs; /* in the order of the file */
    size_t n_pairs;
    bool self_signed; /* in place of pairs: made at the first start, in the state folder */
    enum net_tls_verify verify;
    const char *ca;                 /* NULL: the system's */
    const struct hd_slice *origins; /* of pages that may connect by WebSocket; n 0: any */
    size_t n_origins;
};

/* What is shown to servers that herald connects to, and asked of them. */
struct hd_conf_client {
    struct net_tls_pair pair; /* NULL: none */
    const char *ca;           /* NULL: the system's */
    bool trusts_all;
    bool said; /* there is a tls section */
};

/* How names of next hops are looked up; per shard. */
#define HD_CONF_NAME_SERVERS 8
struct hd_conf_names {
    struct hd_addr servers[HD_CONF_NAME_SERVERS]; /* none: those of /etc/resolv.conf */
    size_t n_servers;
    uint32_t timeout_ms, attempts;
    uint32_t cache;     /* names kept */
    uint32_t questions; /* open at once */
};

/* What happens to subscriptions, publications and registrations. */
enum hd_durability {
    HD_KEEP_COMMIT = 0, /* on the disk before the answer */
    HD_KEEP_ASYNC,      /* on the disk soon after the answer */
    HD_KEEP_MEMORY      /* gone at the end */
};

struct hd_conf {
    unsigned magic;
    _Atomic uint32_t refs;
    const struct hd_slice *domains; /* lower case; never empty after hd_conf_bind */
    size_t n_domains;
    unsigned shards; /* 0: by the number of cores */
    struct evt_listener *listeners;
    struct hd_addr *written;       /* their addresses as the file says; port 0 stays 0 */
    struct hd_conf_secure *secure; /* by listener */
    size_t n_listeners;
    const struct evt_next_hop *next_hops; /* by the subscriber's domain */
    size_t n_next_hops;
    struct hd_conf_client client;
    struct hd_slice realm;         /* empty: the first domain */
    const struct hd_slice *realms; /* further ones */
    size_t n_realms;
    const struct evt_priority *priorities; /* namespaces of Resource-Priority */
    size_t n_priorities;
    const struct evt_right *rights; /* to publish */
    size_t n_rights;
    enum sip_digest_alg algorithms[SIP_DIGEST_COUNT];
    size_t n_algorithms;
    uint32_t nonce_lifetime_s;
    struct hd_slice store_path; /* empty: not said */
    enum hd_durability durability;
    uint32_t commit_spacing_us; /* least time between the starts of two commits */
    bool audit;                 /* a trail of who watched what is kept */
    uint32_t audit_keep_s, audit_most;
    struct evt_limits limits;
    struct hd_conf_net net;
    struct hd_conf_names names;
    struct evt_registrar registrar;
    const struct evt_package **packages;
    size_t n_packages;
    struct evt_profile *profiles;
    size_t n_profiles;
    enum evt_on_timeout on_timeout;
    enum hd_level log_level;
    enum hd_log_format log_format;
    struct hd_slice admin_socket; /* empty: not said */
    struct api_settings http;
    const struct hd_slice *first_users;
    size_t n_first_users;
    struct hd_slice server; /* Server header, may be empty */
    struct hd_addr *own;    /* hd_conf_bind */
    size_t n_own;
    struct hd_slice bound_domain; /* what domains points to when the file names none */
    char bound_domain_text[HD_ADDR_TEXT];
};

/** The operations of a package: its own for one that is built in, the generic ones for any other
 * name. */
typedef const struct evt_package_ops *(*hd_conf_ops_f)(struct hd_slice name);

/**
 * Reads a configuration; every problem found is told.
 * @param file  path, NULL: the defaults
 * @return HD_OK with one reference; HD_ESYNTAX: refused, told; HD_EIO: the file cannot be read,
 * told; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_conf_load(const char *file, hd_conf_ops_f ops_of,
                                      struct hd_problems *problems, struct hd_conf **ret_conf);
/** The same for the octets of a file.  HD_OK, HD_ESYNTAX (told), HD_ENOMEM. */
HD_NODISCARD enum hd_err hd_conf_parse(struct hd_slice text, hd_conf_ops_f ops_of,
                                       struct hd_problems *problems, struct hd_conf **ret_conf);
struct hd_conf *hd_conf_ref(struct hd_conf *conf);
struct hd_conf *hd_conf_unref(struct hd_conf *conf); /* accepts NULL, returns NULL */

/**
 * Says where the listeners are bound, before the first hd_conf_publish: what addresses are ours,
 * and the default domain where the file names none (the address of the first listener; for a
 * wildcard 127.0.0.1 or [::1]).
 * @param bound   n_listeners addresses, with the ports that the kernel chose
 * @param locals  addresses of this machine's interfaces, which stand for a wildcard
 * @return HD_OK, HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_conf_bind(struct hd_conf *conf, const struct hd_addr *bound,
                                      const struct hd_addr *locals, size_t n_locals);
/** Addresses of all interfaces that are up, loopback among them.  Caller frees.  HD_EIO, HD_ENOMEM.
 */
HD_NODISCARD enum hd_err hd_conf_locals(struct hd_addr **ret_locals, size_t *ret_n);
/** What differs that a running daemon cannot take on ("the listen sections", ...), or NULL. */
const char *hd_conf_fixed_change(const struct hd_conf *running, const struct hd_conf *wanted);
/** The realm that users log in to. */
struct hd_slice hd_conf_realm(const struct hd_conf *conf);
#define HD_CONF_REALMS 16
/** All realms whose users log in here, that one first; how many. */
size_t hd_conf_realms(const struct hd_conf *conf, struct hd_slice ret_realms[HD_CONF_REALMS]);

/**
 * The core's configuration: conf, a book and a version.  After hd_conf_bind.
 * @param instance  "urn:uuid:...", copied
 * @return one reference, which holds one of conf and one of book; NULL when memory is short
 */
struct evt_config *hd_conf_publish(struct hd_conf *conf, struct pol_book *book, uint64_t now_s,
                                   uint32_t version, struct hd_slice instance);

/** The word of an enum fmt_rule in a package's section: "sum"; empty for what is none. */
const char *hd_package_rule_word(unsigned rule);

#endif
