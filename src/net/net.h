/* net.h - sockets of one shard: datagrams in batches both ways, and streams.
 *
 * A net_shard is a libuv loop with a UDP socket per datagram listener (SO_REUSEPORT, steered by a
 * classic BPF program with hd_addr_bucket, so that a peer's packets always arrive at the same
 * shard), a listening socket per stream listener, and its connections. One turn: read a batch ->
 * on.batch -> on.packet for each -> on.turn -> flush what was committed. Thread: everything here is
 * called on the shard's own thread, but for net_shard_wake and net_shard_stop. */
#ifndef HD_NET_NET_H
#define HD_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/slice.h"

struct net_shard;
struct net_tls;

struct net_listener {
    enum hd_transport transport;
    struct hd_addr addr; /* may be a wildcard; port 0: chosen by the kernel (first shard), see
                            net_shard_bound */
    const struct hd_slice *origins; /* WebSocket: the pages that may connect; n 0: any.  Outlives
                                       the shard, or until net_shard_origins() */
    size_t n_origins;
};

/* What a framer says about the octets that a stream holds; same meaning as in sip/msg.h. */
enum net_frame {
    NET_FRAME_MORE = 0,
    NET_FRAME_MESSAGE,
    NET_FRAME_PING,
    NET_FRAME_SKIP,
    NET_FRAME_TOO_LARGE,
    NET_FRAME_BAD
};

/* What the shard's owner hands in; context is passed to each. */
struct net_events {
    void *context;
    /** A batch was read and its packets follow: the owner drains its mailbox first. */
    void (*batch)(void *context);
    /** One datagram or one framed message; octets are borrowed for the call.  Keep-alives never
     * come here. */
    void (*packet)(void *context, const struct hd_flow *flow, struct hd_slice octets);
    /** Once per turn, after packets and wake-ups.  Returns milliseconds until it wants to be called
     * again, 0: at once (after reading), UINT64_MAX: not by itself. */
    uint64_t (*turn)(void *context, uint64_t now_us);
    /** What was committed with this owner (not 0) could not be sent: connection refused, reset,
     * timed out (what the peer's TCP has not acknowledged counts as not sent), ICMP error.  Told
     * before the next turn, never from inside a commit. HD_ENOMATCH: the connection is gone, or no
     * socket fits; HD_ERANGE: longer than a datagram or the queue may be; HD_EFULL: a cap
     *  (connections, queue, datagrams that wait); HD_ENOTSUP: the transport; HD_ENOMEM; HD_EIO: the
     * rest. */
    void (*send_failed)(void *context, uint64_t owner, const struct hd_flow *flow, enum hd_err err);
    /** A connection is gone; told after the failures of what was queued on it. */
    void (*closed)(void *context, uint64_t conn);
    /** Frames a stream; ret_len octets are consumed. */
    enum net_frame (*frame)(struct hd_slice stream, size_t max_body, size_t *ret_len);
    /** Whether an idle connection must stay (it carries a subscription). */
    bool (*in_use)(void *context, uint64_t conn);
    /** May be NULL.  A stream's message is above the limits (NET_FRAME_TOO_LARGE) and its head is
     * here whole: a last chance to answer it (RFC 3261 section 21.5.7), the connection is closed
     * after what is committed in this call. */
    void (*too_large)(void *context, const struct hd_flow *flow, struct hd_slice head);
    /** May be NULL.  The answer to a net_dns_query() as it came, borrowed for the call; p NULL:
     * there is none. */
    void (*dns)(void *context, uint64_t ticket, struct hd_slice octets);
};

#define NET_DNS_SERVERS 8u
struct net_dns_params {
    const struct hd_addr *servers; /* with ports; borrowed for net_shard_new */
    size_t n_servers;              /* 0: those of /etc/resolv.conf */
    uint32_t timeout_ms, attempts; /* of one server, and of all of them; 0: as the library has it */
};

struct net_params {
    unsigned shard, shards;
    const struct net_listener *listeners;
    size_t n_listeners;
    size_t max_body;          /* octets, for framing */
    uint32_t max_connections; /* per shard; more are refused at accept and counted */
    uint32_t idle_ms;         /* a connection without traffic is closed after this */
    uint32_t message_ms;      /* a message must be whole within this after its first octet */
    uint32_t connect_ms;      /* a connection attempt may take this long, and TLS as long again */
    uint32_t handshake_ms;    /* who connects to us must be ready for messages within this */
    size_t max_queued;        /* octets waiting to leave on one connection; above it is closed */
    int receive_buffer;       /* SO_RCVBUF asked for, 0: leave */
    struct net_tls *tls;      /* a reference is taken; NULL: no listener has TLS, none is opened */
    struct net_dns_params dns;
    struct net_events on;
};

/* Counters of one shard; read by other threads without order (relaxed). */
struct net_counters {
    _Atomic uint64_t datagrams_in, datagrams_out, datagram_errors, receive_drops /* SO_RXQ_OVFL */;
    _Atomic uint64_t streams_accepted, streams_refused, streams_opened, streams_closed,
        streams_open;
    _Atomic uint64_t octets_in, octets_out, frames_bad, pings;
    _Atomic uint64_t secured, resumed, unsecured; /* handshakes of TLS */
    _Atomic uint64_t upgraded, not_upgraded;      /* requests for a WebSocket */
    _Atomic uint64_t stun;                        /* datagrams of STUN */
};

/**
 * Opens all sockets of a shard.  Shard 0 first: with port 0 the others pass the port that it got.
 * @return HD_OK; HD_EIO with one line in ret_problem (static size) that names the address and why;
 * HD_ENOMEM.
 */
HD_NODISCARD enum hd_err net_shard_new(const struct net_params *params, char ret_problem[256],
                                       struct net_shard **ret_net);
/** Closes sockets and connections.  After net_shard_run returned. */
void net_shard_free(struct net_shard *net);
/** The address that listener i is bound to. */
struct hd_addr net_shard_bound(const struct net_shard *net, size_t i);
/** Runs until net_shard_stop; then what was committed is flushed (for at most a second, should
 * peers be slow) and it returns. */
void net_shard_run(struct net_shard *net);
/** Ends the run; from any thread. */
void net_shard_stop(struct net_shard *net);
/** Makes a turn happen; from any thread; cheap when one is already asked for.  Fits hd_wake_f
 * (context: struct net_shard). Not after net_shard_free began. */
void net_shard_wake(void *net);
/** Stops accepting connections and reading datagrams from new peers is not possible to tell apart:
 * only accepting ends. */
void net_shard_close_listeners(struct net_shard *net);

/** Room for one message of up to size octets, contiguous; valid until the next reserve.  NULL when
 * memory is short. */
char *net_reserve(struct net_shard *net, size_t size);
/**
 * Sends n octets of the last reserve at the end of the turn (datagrams: one sendmmsg for many).
 * UDP: from flow->local (by IP_PKTINFO, through the socket of flow->listener) to flow->remote. A
 * stream: down flow->conn when it is not 0 (gone: send_failed); with conn 0 over an open connection
 * to flow->remote, or a new one.
 * @param owner  0: nobody wants to know; otherwise send_failed tells
 */
void net_commit(struct net_shard *net, const struct hd_flow *flow, size_t n, uint64_t owner);
/** Has pages of these origins alone connect to a listener from now on; borrowed, until it is called
 * again. */
void net_shard_origins(struct net_shard *net, size_t listener, const struct hd_slice *origins,
                       size_t n);
/**
 * A number for the name of a host that was looked up, to be put into flows: a connection with TLS
 * that is opened or chosen for such a flow is to one whose certificate names it (RFC 5922 section
 * 7.3), and asks for it by SNI.  A reference is taken.  0: memory is short; such a flow finds
 * nobody.
 */
uint32_t net_host(struct net_shard *net, struct hd_slice name);
void net_host_done(struct net_shard *net, uint32_t host); /* accepts 0 */
/** Has connections that begin from now on use these certificates and rules; a reference is taken.
 */
void net_shard_tls(struct net_shard *net, struct net_tls *tls);
/** The SIP domains that the certificate of a connection's peer names, verified (RFC 5922), with a
 * blank between two; empty: none.  Borrowed until the connection is gone. */
struct hd_slice net_peer(struct net_shard *net, uint64_t conn);
/**
 * Asks the name servers for one name and type (the number of the wire, class IN).  on.dns is called
 * for it once, never from inside.
 * @param name  a host's name, ends with NUL
 * @return HD_OK; HD_ENOMEM, HD_EIO: on.dns is not called
 */
HD_NODISCARD enum hd_err net_dns_query(struct net_shard *net, const char *name, unsigned type,
                                       uint64_t ticket);
/** Closes a connection after what is queued was sent (malformed stream). */
void net_close(struct net_shard *net, uint64_t conn);
const struct net_counters *net_shard_counters(const struct net_shard *net);
/** Monotonic clock in microseconds, as given to turn. */
uint64_t net_now_us(void);

#endif
