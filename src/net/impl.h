/* impl.h - the inside of a net_shard: what loop.c, udp.c and tcp.c share.  Nobody else includes it.
 * Thread: the shard's.  None of the functions here calls the owner's events but where it says so:
 * what must be told from inside a commit is kept and told before the next on.turn. */
#ifndef HD_NET_IMPL_H
#define HD_NET_IMPL_H

#include <stdatomic.h>
#include <uv.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/table.h"
#include "base/wheel.h"
#include "net/net.h"
#include "net/peers.h"

#define NET_SHARD_MAGIC 0x6e657453u

/* --- datagrams (udp.c) ---------------------------------------------------------------------- */

#define NET_BATCH_OUT 128             /* datagrams in one batch */
#define NET_BATCH_OCTETS (256u << 10) /* room for their octets; above the largest datagram */

struct net_udp_sock {
    struct net_shard *net;
    uv_poll_t poll;
    int fd;
    uint8_t listener;
    bool wildcard;  /* the local address is in each datagram's control data */
    bool blocked;   /* its send buffer is full: it waits until it is writable */
    uint32_t drops; /* the kernel's count when it was last told */
    struct hd_addr bound;
};

struct net_batch;
struct net_udp_in;
struct net_udp_out;
struct net_recent;

struct net_udp {
    struct net_udp_sock *socks;
    unsigned n_socks;
    struct net_udp_in *in;     /* where batches are read to */
    struct net_udp_out *out;   /* scratch for one sendmmsg */
    struct net_recent *recent; /* datagrams that left lately, for ICMP errors */
    struct net_batch *head, *tail;
    unsigned n_batches;
    char *reserved; /* of the last net_reserve, NULL after its commit */
    size_t reserved_n;
    char *big; /* for messages that do not fit a batch */
    size_t big_cap;
};

/** Opens the datagram listeners; on failure net_udp_done cleans up what there is. */
HD_NODISCARD enum hd_err net_udp_init(struct net_shard *net, char ret_problem[256]);
/** Stops polling and closes the sockets; memory goes in net_udp_free after the loop has run once
 * more. */
void net_udp_done(struct net_shard *net);
void net_udp_free(struct net_shard *net);
char *net_udp_reserve(struct net_shard *net, size_t size);
void net_udp_commit(struct net_shard *net, const struct hd_flow *flow, size_t n, uint64_t owner);
/** Sends what was committed; what a full send buffer refuses stays. */
void net_udp_flush(struct net_shard *net);
/** Whether datagrams wait for room in a send buffer. */
bool net_udp_waiting(const struct net_shard *net);
/** Ends reading; sending goes on. */
void net_udp_drain(struct net_shard *net);

/* --- streams (tcp.c) ------------------------------------------------------------------------ */

#define NET_SCRATCH (64u << 10) /* octets of one read, at most */
#define NET_READS (256u << 10)  /* octets read in one turn from all connections, about */
#define NET_READ_LEAST 2048
#define NET_CLEAR (16u << 10) /* the most that a TLS record holds */

struct net_conn;

struct net_tcp_sock {
    struct net_shard *net;
    uv_poll_t poll;
    int fd; /* -1: closed */
    uint8_t listener;
};

struct net_tcp {
    struct net_tcp_sock *socks;
    unsigned n_socks;
    struct hd_table conns;    /* struct net_conn */
    struct hd_map by_remote;  /* hash of the remote address -> place */
    struct hd_hash_key key;   /* of that hash */
    uint32_t live;            /* connections that count against the cap */
    uint32_t waiting;         /* of these, how many have octets that wait to leave */
    struct net_conn *dirty;   /* have octets that were not yet tried */
    struct net_conn *gone;    /* closed, and the owner has not been told */
    struct hd_timer reaccept; /* runs while accepting rests for lack of descriptors */
    struct hd_log_limit accept_log, secure_log;
    char *scratch;   /* one read */
    char *clear;     /* what TLS made of it */
    char *framed;    /* one frame of a WebSocket */
    uint32_t shakes; /* reads of handshakes in this turn */
    /* Every connection that is readable is read once in a turn, so that none starves, and the less
     * from each the more there were in the turn before, so that a turn does not last. */
    size_t read_size;
    uint32_t reads; /* in this turn */
};

/* What a running timer of the wheel belongs to (hd_timer.kind). */
enum net_timer { NET_TIMER_CONN = 1, NET_TIMER_REACCEPT };

HD_NODISCARD enum hd_err net_tcp_init(struct net_shard *net, char ret_problem[256]);
void net_tcp_done(struct net_shard *net);
void net_tcp_free(struct net_shard *net);
void net_tcp_commit(struct net_shard *net, const struct hd_flow *flow, struct hd_slice octets,
                    uint64_t owner);
void net_tcp_close(struct net_shard *net, uint64_t conn);
struct hd_slice net_tcp_peer(struct net_shard *net, uint64_t conn);
void net_tcp_close_listeners(struct net_shard *net);
void net_tcp_flush(struct net_shard *net);
bool net_tcp_waiting(const struct net_shard *net);
void net_tcp_drain(struct net_shard *net);
/** A timer of the wheel fired.  Calls on.in_use. */
void net_tcp_timer(struct net_shard *net, struct hd_timer *timer);
/** Calls on.closed for connections that are gone. */
void net_tcp_tell(struct net_shard *net);

/* --- questions to name servers (dns.c) ------------------------------------------------------- */

struct net_dns;
HD_NODISCARD enum hd_err net_dns_init(struct net_shard *net, char ret_problem[256]);
/** Ends what is open, without a word; memory goes in net_dns_free after the loop has run once more.
 */
void net_dns_done(struct net_shard *net);
void net_dns_free(struct net_shard *net);
/** A socket of c-ares is ready, or a time has come.  Calls on.dns. */
void net_dns_process(struct net_shard *net, int readable, int writable);

/* --- the shard (loop.c) --------------------------------------------------------------------- */

struct net_failure {
    uint64_t owner;
    struct hd_flow flow;
    enum hd_err err;
};

struct net_shard {
    unsigned magic;
    struct net_params params; /* with its own copy of the listeners */
    struct net_listener *listeners;
    struct hd_addr *bound; /* by listener */
    struct net_tls *tls;   /* NULL: none */
    uv_loop_t loop;
    uv_async_t async;
    uv_timer_t timer;
    bool has_loop, has_async, has_timer;
    bool draining; /* net_shard_run is about to return: nothing is read any more */
    bool stirred;  /* something happened since the last turn */
    _Atomic bool stop;
    uint64_t now_ms;
    struct hd_wheel wheel;
    bool owner_goes_on; /* its last turn asked for the next one at once */
    struct net_udp udp;
    struct net_tcp tcp;
    struct net_names names;        /* whom we connect to by TLS */
    struct net_sessions *sessions; /* NULL until the first connection with TLS is opened */
    struct net_dns *dns;
    struct net_failure *failures; /* to be told */
    size_t n_failures, failures_cap;
    _Alignas(64) struct net_counters counters;
};

/** Called first by everything that the loop calls: a turn is due, and time went on. */
void net_stir(struct net_shard *net);
/** Keeps a failure to be told before the next turn; owner 0 is nobody.  When memory is short it is
 * lost, and the owner's own timers notice. */
void net_fail(struct net_shard *net, uint64_t owner, const struct hd_flow *flow, enum hd_err err);

static inline void
net_count(_Atomic uint64_t *counter, uint64_t n)
{
    /* One writer per shard: no locked instruction is needed. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
