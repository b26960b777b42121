/* uri.h - SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966, RFC 5954), and the resource key.
 * Pure; any thread.  Slices point into what was parsed. */
#ifndef HD_SIP_URI_H
#define HD_SIP_URI_H

#include "base/addr.h"
#include "base/slice.h"
#include "sip/out.h"

enum sip_scheme {
    SIP_SCHEME_OTHER = 0,
    SIP_SCHEME_SIP,
    SIP_SCHEME_SIPS,
    SIP_SCHEME_TEL,
    SIP_SCHEME_PRES
};

struct sip_uri {
    enum sip_scheme scheme;
    struct hd_slice user;     /* as written, escapes in place; the number for tel */
    struct hd_slice password; /* p NULL: none */
    struct hd_slice host;     /* IPv6 with brackets */
    uint16_t port;            /* 0: not given */
    struct hd_slice params;   /* with the leading ';', or empty */
    struct hd_slice headers;  /* after '?', or empty */
};

/** HD_ESYNTAX; HD_ERANGE longer than SIP_MAX_URI or a port above 65535.  SIP_SCHEME_OTHER is HD_OK
 * with only scheme set. */
HD_NODISCARD enum hd_err sip_uri_parse(struct hd_slice text, struct sip_uri *ret_uri);
/** The address that a host names literally, IPv6 with brackets; "[2001:db8:::192.0.2.1]" is read
 * with two colons (RFC 5118 section 4.10).  HD_ESYNTAX: a name, or bad. */
HD_NODISCARD enum hd_err sip_host_addr(struct hd_slice host, uint16_t port,
                                       struct hd_addr *ret_addr);
/** A URI parameter by name (any case): true when there; ret_value empty for a flag.  ret_value may
 * be NULL. */
bool sip_uri_param(const struct sip_uri *uri, struct hd_slice name, struct hd_slice *ret_value);
/** The transport parameter, or what the scheme implies (UDP; sips: TLS).  0 for one that is not
 * ours. */
enum hd_transport sip_uri_transport(const struct sip_uri *uri);
/** The port, or 5060 / 5061 by transport. */
uint16_t sip_uri_port(const struct sip_uri *uri);
/** Compares as RFC 3261 19.1.4 with RFC 5954. */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);

/* What this broker serves: domains by name, and the addresses that it listens on. */
struct sip_served {
    const struct hd_slice *domains; /* lower case; the first is the default domain */
    size_t n_domains;
    const struct hd_addr *own; /* addresses with port; never wildcards */
    size_t n_own;
};

enum sip_ours { SIP_OURS_NO = 0, SIP_OURS_DOMAIN, SIP_OURS_ADDRESS };
/** Whether host (and port, 0 = not given) is ours: a served domain (any port), or one of our
 * addresses with a port we listen on. */
enum sip_ours sip_served_host(const struct sip_served *served, struct hd_slice host, uint16_t port);

#define SIP_KEY_MAX 255
/**
 * Writes the resource key of a URI: "sip:user@domain" (RFC 3261 10.3 step 5): parameters, headers
 * and password removed, escapes folded, host in lower case, our own addresses and ports folded to
 * the default domain, the user's case kept; sips and pres give the sip key.  A number (tel, or
 * user=phone) is written as in number.h; one of a tel URI is at the domain of its phone-context,
 * else at the default domain.
 * @return HD_OK; HD_ESYNTAX; HD_ERANGE above SIP_KEY_MAX; HD_ENOMATCH not a domain or address of
 * ours; HD_ENOTSUP a scheme that is not ours.
 */
HD_NODISCARD enum hd_err sip_resource_key(const struct sip_uri *uri,
                                          const struct sip_served *served,
                                          char ret_key[SIP_KEY_MAX], size_t *ret_len);
/** The same folding for an identity that may belong to any domain (a watcher): foreign domains are
 * kept. */
HD_NODISCARD enum hd_err sip_identity_key(const struct sip_uri *uri,
                                          const struct sip_served *served,
                                          char ret_key[SIP_KEY_MAX], size_t *ret_len);

#endif
