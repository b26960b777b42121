/* addr.h - an IP address with a port, and a flow: plain values that every layer shares.
 * Pure; any thread. */
#ifndef HD_BASE_ADDR_H
#define HD_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/slice.h"

struct hd_addr {
    uint8_t ip[16]; /* network order; IPv4 uses the first four, the rest is 0 */
    uint16_t port;  /* host order */
    uint8_t family; /* 0: none, 4, 6 */
    uint8_t pad;
    uint32_t scope; /* IPv6 zone, 0 for none */
};

#define HD_ADDR_TEXT 64 /* enough for any address and port in text */

/** A literal without port: "192.0.2.1", "2001:db8::1" or "[2001:db8::1]" (RFC 3986 section 3.2.2).
 * Mapped addresses stay as written; no zone ("%eth0").  HD_ESYNTAX. */
HD_NODISCARD enum hd_err hd_addr_parse(struct hd_slice host, uint16_t port,
                                       struct hd_addr *ret_addr);
/** Host alone ("192.0.2.1", "[2001:db8::1]" in RFC 5952 form) / with ":port".  Returns the length;
 * buffer of HD_ADDR_TEXT. */
size_t hd_addr_host_text(const struct hd_addr *addr, char ret[HD_ADDR_TEXT]);
size_t hd_addr_text(const struct hd_addr *addr, char ret[HD_ADDR_TEXT]);
bool hd_addr_eq(const struct hd_addr *a, const struct hd_addr *b);      /* with the port */
bool hd_addr_same_ip(const struct hd_addr *a, const struct hd_addr *b); /* without */
bool hd_addr_is_any(const struct hd_addr *a);                           /* 0.0.0.0 or :: */
/** Keyed hash over family, ip and port (port left out when with_port is false). */
uint64_t hd_addr_hash(const struct hd_hash_key *key, const struct hd_addr *addr, bool with_port);
/** Which bucket a datagram's source belongs to: not keyed, since the kernel's steering program
 * computes it too. All in 32 bits: fold = the xor of the address's words (one for IPv4, four for
 * IPv6), each read as big-endian from network order, xor the port; fold * 0x9E3779B1 modulo 2^32;
 * of that the upper 12 bits.  See net/steer.h. */
unsigned hd_addr_bucket(const struct hd_addr *addr);

struct hd_prefix {
    struct hd_addr addr;
    uint8_t bits;
};
/** "127.0.0.0/8", "::1" (the whole address); bits of the address beyond the prefix are cleared.
 * HD_ESYNTAX; HD_ERANGE: more bits than the family has. */
HD_NODISCARD enum hd_err hd_prefix_parse(struct hd_slice text, struct hd_prefix *ret_prefix);
bool hd_prefix_holds(const struct hd_prefix *prefix, const struct hd_addr *addr);

enum hd_transport { HD_UDP = 1, HD_TCP, HD_TLS, HD_WS, HD_WSS, HD_HTTP /* carries no SIP */ };
static inline bool
hd_transport_reliable(enum hd_transport transport)
{
    return transport != HD_UDP;
}
/** Whether messages follow each other in a stream of octets, so that only Content-Length ends one;
 * a datagram and a message of a WebSocket (RFC 7118 section 5) end by themselves. */
static inline bool
hd_transport_is_stream(enum hd_transport transport)
{
    return transport == HD_TCP || transport == HD_TLS;
}
/** "UDP", "TCP", ...: as written in Via. */
struct hd_slice hd_transport_name(enum hd_transport transport);

/* How a peer is reached.  conn names a connection: its shard, place and generation; 0 for
 * datagrams, and for "a connection to remote, whichever, opened when there is none". */
struct hd_flow {
    uint8_t transport; /* enum hd_transport */
    uint8_t listener;  /* index in the configuration: on which listener it came */
    uint16_t pad;
    uint32_t host; /* with TLS and conn 0: whom the peer's certificate must name, a number that net/
                      gave (net_host); 0: his address */
    uint64_t conn;
    struct hd_addr local;  /* our address on that flow, never a wildcard */
    struct hd_addr remote; /* the peer's */
};

#define HD_CONN_SHARD_SHIFT 56
static inline unsigned
hd_conn_shard(uint64_t conn)
{
    return (unsigned)(conn >> HD_CONN_SHARD_SHIFT) - 1;
}
/** shard below 255; place and generation are the shard's own; never 0. */
static inline uint64_t
hd_conn_make(unsigned shard, uint32_t generation, uint32_t place)
{
    return ((uint64_t)(shard + 1) << HD_CONN_SHARD_SHIFT) |
           ((uint64_t)(generation & 0xffffff) << 32) | place;
}

#endif
