/* conn.h - one connection: framed reading, gathered writing, deadlines.  Inside net/ only.
 * Thread: the shard's.  Memory: a place of the shard's table, which net_conn_release gives back.
 *
 *   CONNECTING -> OPEN     it succeeded; what was queued meanwhile leaves
 *   OPEN       -> CLOSING  net_close, malformed stream, the peer's end; what is queued leaves
 *   any        -> GONE     net_conn_drop: closed, refused, reset, timed out */
#ifndef HD_NET_CONN_H
#define HD_NET_CONN_H

#include "net/impl.h"

#define NET_CONN_MAGIC 0x636f6e6eu

enum net_conn_state { NET_CONN_CONNECTING = 1, NET_CONN_OPEN, NET_CONN_CLOSING, NET_CONN_GONE };

/* A message that somebody wants to know about, until the peer's TCP has acknowledged it. */
struct net_owed {
    uint64_t owner;
    uint64_t end; /* in octets of the whole stream; UINT64_MAX: it waits until that is ready */
    struct hd_flow flow;
};

struct net_conn {
    unsigned magic;
    enum net_conn_state state;
    struct net_shard *net;
    uint64_t id;
    uint64_t hash; /* of remote */
    uint32_t place;
    uint32_t
        host; /* whom the peer's certificate must name (net_host), a reference; 0: his address */
    int fd;
    int events;        /* what uv_poll watches */
    uint8_t transport; /* enum hd_transport */
    uint8_t listener;
    bool accepted; /* the peer connected to us */
    bool ready;    /* TLS and WebSocket are set up: messages may come and go */
    bool parted;   /* their end has been said */
    bool indexed;
    bool is_dirty;
    bool blocked;      /* waits until it is writable */
    bool was_open;     /* the owner may know its id */
    bool eof;          /* the peer sends nothing more */
    bool shut;         /* we send nothing more */
    bool handle_ended; /* libuv lets go of it */
    bool told;         /* the owner knows that it is gone */
    struct net_conn *next_dirty, *next_gone;
    struct hd_addr local, remote;
    struct hd_timer timer;
    uint64_t since_ms;   /* of the state */
    uint64_t traffic_ms; /* of the last octet either way */
    uint64_t left_ms;    /* since when octets wait without one leaving */
    uint64_t acked_ms;   /* since when no more is known to be acknowledged */
    uint64_t asked_ms;   /* when it was last asked what is acknowledged */
    uint64_t begun_ms;   /* of the first octet of a message that is not whole; 0: none is held */
    struct net_secure *secure; /* NULL: in the clear */
    struct net_web *web;       /* NULL: SIP is framed by itself */
    char *in;                  /* a message that is not whole */
    size_t in_n, in_cap;
    char *out;
    size_t out_at, out_n, out_cap; /* out_at: where what waits begins, out_n: where it ends */
    uint64_t sent;                 /* octets of the stream that have left */
    uint64_t acked;                /* of these, how many the peer is known to have */
    struct net_owed *owed;
    size_t owed_at, owed_n, owed_cap;
    uv_poll_t poll;
};

/**
 * A connection around a socket, which it owns from now on (on failure the socket is closed).
 * @param state  OPEN for one that was accepted, CONNECTING for one that is under way
 * @param host   whom its certificate must name (net_host), 0: the address; a reference is taken
 */
HD_NODISCARD enum hd_err net_conn_new(struct net_shard *net, int fd, enum hd_transport transport,
                                      uint8_t listener, const struct hd_addr *remote, uint32_t host,
                                      enum net_conn_state state, struct net_conn **ret_conn);
/** The connection of an id; NULL when it is gone or another shard's. */
struct net_conn *net_conn_find(const struct net_shard *net, uint64_t id);
/** Octets that wait for the socket. */
size_t net_conn_waiting(const struct net_conn *conn);
struct hd_flow net_conn_flow(const struct net_conn *conn);
/** Queues a message; it leaves with the flush at the end of the turn.
 *  @return HD_ERANGE above max_queued alone; HD_EFULL above it with what waits, HD_EIO: the
 * connection is gone; HD_ENOMEM */
HD_NODISCARD enum hd_err net_conn_queue(struct net_conn *conn, const struct hd_flow *flow,
                                        struct hd_slice octets, uint64_t owner);
/** Octets as they travel, behind those that wait.  False: memory is short. */
bool net_conn_append(struct net_conn *conn, const char *p, size_t n);
/** Messages may come and go from now on; those that waited were just appended. */
void net_conn_ready(struct net_conn *conn);
/** Closes because of what came, counted; with_head: after on.too_large had a look at it. */
void net_conn_refuse(struct net_conn *conn, bool with_head, struct hd_slice head);
/** Writes what the socket takes now; the connection may be GONE afterwards. */
void net_conn_write(struct net_conn *conn);
/** Reads no more, and ends when what is queued has left. */
void net_conn_close(struct net_conn *conn);
/** Ends at once; what is still owed has failed with err. */
void net_conn_drop(struct net_conn *conn, enum hd_err err);
/** Gives the place back once nobody holds the connection any more. */
void net_conn_release(struct net_conn *conn);
/** Has the loop watch what matters in the connection's state. */
void net_conn_watch(struct net_conn *conn);
/** Sees to it that its timer fires early enough. */
void net_conn_arm(struct net_conn *conn);
/** Its timer fired: looks which deadline has passed.  Calls on.in_use. */
void net_conn_timer(struct net_conn *conn);

#endif
