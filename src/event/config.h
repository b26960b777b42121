/* config.h - what the core needs to know of the configuration: immutable, reference-counted.
 * A new version is posted to every shard; what holds the old one keeps it alive.  Thread: any, read
 * only. */
#ifndef HD_EVENT_CONFIG_H
#define HD_EVENT_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/addr.h"
#include "base/slice.h"
#include "event/package.h"
#include "sip/uri.h"

#define EVT_CONFIG_MAGIC 0x45434647u

/* Whether NOTIFYs to a subscriber who came straight by a datagram go to where he came from instead
 * of what his Contact says. */
enum evt_nat {
    EVT_NAT_ASKED = 0, /* when his Contact has ob (RFC 5626 section 4.3) */
    EVT_NAT_PRIVATE,   /* also when it names a private address that is not his source */
    EVT_NAT_ALWAYS,
    EVT_NAT_NEVER
};

struct evt_listener {
    enum hd_transport transport;
    struct hd_addr addr; /* as bound; may be a wildcard */
    bool authenticate; /* false: identity from From, for sources in trusted; others are held to the
                          bound for unproven addresses */
    const struct hd_prefix *trusted;
    size_t n_trusted;
    const struct hd_slice *trusted_names; /* SIP domains whose verified certificate (RFC 5922) makes
                                             a connection's requests those of From */
    size_t n_trusted_names;
    const struct hd_slice *certified; /* SIP domains: a peer whose verified certificate speaks for
                                         From, at one of them, is who From says */
    size_t n_certified;
    enum evt_nat nat;
    struct hd_slice
        next_hop;            /* SIP or SIPS URI of the proxy for NOTIFYs that no Record-Route, no
                                connection and no translator says the way of; empty: Contact says */
    struct hd_slice contact; /* configured Contact URI, empty: made from the local address */
};

/* The proxy for NOTIFYs to subscribers of a domain, in place of that of their listener. */
struct evt_next_hop {
    struct hd_slice domain; /* in lower case */
    struct hd_slice proxy;  /* SIP or SIPS URI */
};

/* What happens to a subscription whose NOTIFY is never answered (RFC 6665 4.2.2). */
enum evt_on_timeout { EVT_TIMEOUT_END = 0, EVT_TIMEOUT_PARK };

struct evt_limits {
    uint32_t max_body;                          /* octets of a body, any request */
    uint32_t subscriptions;                     /* per shard */
    uint32_t subscriptions_per_watcher;         /* per shard */
    uint32_t resources, publications, bindings; /* per shard */
    uint32_t publications_per_resource;
    uint32_t bindings_per_user;
    uint32_t waiting_per_record; /* requests queued behind one change: 16 */
    uint32_t waiting;            /* requests waiting for the store in one shard: 8192 */
    uint32_t priority_reserve;   /* beyond waiting, for those with Resource-Priority: 1024 */
    uint32_t retry_after_s;      /* said with 500 and 503 */
    uint32_t failures_burst; /* refused requests of one source in a row before it is not answered;
                                0: no bound */
    uint32_t failures_per_s; /* how fast that budget fills again */
    uint32_t sends_per_turn; /* 128 */
    uint32_t window_start;   /* per next hop: 32 */
    uint32_t window_from;    /* a next hop with more subscriptions than this has a window: 16 */
    uint32_t udp_size;       /* above this a NOTIFY tries TCP: 1300 */
    uint32_t tcp_try_ms;     /* for this long: 3000 */
    uint32_t expires_jitter; /* percent that a granted duration may be shortened by, 0: exact */
    uint32_t park_first_s, park_most_s; /* retries of a parked subscription: 30, 600 */
    uint32_t route_delay_ms;            /* first NOTIFY through a Route: 15 */
    /* subscriptions that ended before anybody decided about them: in a shard, of one watcher there,
     * and how long they are kept */
    uint32_t waiting_watchers, waiting_per_watcher, waiting_keep_s;
    uint32_t recorder; /* octets of each shard's flow recorder, 0: none */
};

/* A filter in words, for subscribers who can send none; Event parameter herald-profile names it. */
struct evt_profile {
    struct hd_slice name;
    struct hd_slice package; /* empty: any */
    struct hd_slice when;
};

/* Who may publish what, beside the owners and the publishers of a package. */
struct evt_right {
    struct hd_slice resource;          /* a resource key, or "sip:*@domain" */
    const struct hd_slice *publishers; /* names of users, or addresses */
    size_t n_publishers;
    const struct hd_slice *packages; /* none: all */
    size_t n_packages;
};

/* A namespace of Resource-Priority that is understood here, and who may use it (RFC 4412). */
struct evt_priority {
    uint32_t values;              /* a bit each, see sip/priority.h; not 0 */
    bool trusted;                 /* trusted hops may, for whomever they speak */
    const struct hd_slice *users; /* names of users, or addresses */
    size_t n_users;
};

struct evt_registrar {
    bool enabled;
    uint32_t min_expires_s, default_expires_s, max_expires_s;
    uint32_t flow_timer_s;         /* said with flows (RFC 5626 section 6), 0: not said */
    const struct hd_slice *agents; /* users that may register any address */
    size_t n_agents;
};

struct evt_config {
    unsigned magic;
    _Atomic uint32_t refs;
    uint32_t version;
    struct sip_served served;
    const struct evt_listener *listeners;
    size_t n_listeners;
    const struct evt_next_hop *next_hops;
    size_t n_next_hops;
    const struct evt_package *const *packages;
    size_t n_packages;
    const struct evt_profile *profiles;
    size_t n_profiles;
    const struct evt_right *rights;
    size_t n_rights;
    const struct evt_priority *priorities;
    size_t n_priorities; /* 0: Resource-Priority is not understood */
    struct evt_limits limits;
    struct evt_registrar registrar;
    enum evt_on_timeout on_timeout;
    bool has_tls;                            /* connections with TLS can be opened */
    struct hd_slice server;                  /* Server header value, empty: none */
    struct hd_slice instance;                /* "urn:uuid:...": the gr parameter of our Contact */
    const void *policy;                      /* what the policy layer reads; released by free */
    void (*free)(struct evt_config *config); /* called when the last reference goes */
};

struct evt_config *evt_config_ref(struct evt_config *config);
struct evt_config *
evt_config_unref(struct evt_config *config); /* NULL, for  x = evt_config_unref(x); */
/** A package by its Event header value (case-sensitive token, RFC 6665 8.2.1 compares octet by
 * octet), or NULL.  Template packages hang off those that they are applied to. */
const struct evt_package *evt_config_package(const struct evt_config *config, struct hd_slice name);
/** What a profile says for a package; false: there is none of that name. */
bool evt_config_profile(const struct evt_config *config, struct hd_slice package,
                        struct hd_slice name, struct hd_slice *ret_when);
/** The limits that hold when nothing is configured. */
struct evt_limits evt_limits_default(void);

#endif
