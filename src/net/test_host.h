/* test_host.h - a shard on its own thread with an owner that records what it is told, and plain
 * sockets as its peers.  Assertions are for the test's thread only.  Waits are bounded by ten
 * seconds and end as soon as what they wait for is there. */
#ifndef HD_NET_TEST_HOST_H
#define HD_NET_TEST_HOST_H

#include <pthread.h>

#include "net/net.h"

#define KEPT 96 /* octets kept of a packet */

struct host_packet {
    struct hd_flow flow;
    size_t n;
    char octets[KEPT];
};

struct host_failure {
    uint64_t owner;
    struct hd_flow flow;
    enum hd_err err;
};

struct host;
typedef void (*host_job_f)(struct host *host, void *arg);

struct host {
    struct net_shard *net;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Set by the test before the shard runs. */
    _Atomic bool echo;   /* every packet goes back on its flow */
    bool again;          /* what failed is committed again on the same flow */
    uint64_t wait_ms;    /* what turn returns */
    _Atomic bool in_use; /* what in_use returns */
    _Atomic uint64_t turns;
    _Atomic uint64_t early; /* turns that came before they were wanted, without a reason */
    _Atomic uint64_t asked; /* calls of in_use */
    uint64_t due_ms;
    bool had_reason; /* on the shard's thread */
    /* Under the mutex. */
    host_job_f job;
    void *job_arg;
    size_t n_batches, n_packets, n_failures, n_closed, n_large;
    struct host_packet packets[2048];
    struct host_failure failures[512];
    uint64_t closed[512];
};

/* Parameters with long deadlines; the test changes what it is about. */
struct net_params host_params(const struct net_listener *listeners, size_t n);
struct net_listener listen_on(enum hd_transport transport, const char *ip);
/** A zeroed host, for the test to set up. */
struct host *host_new(void);
/** Opens the sockets; its owner is host. */
void host_open(struct host *host, const struct net_params *params);
/** Runs it on a thread. */
void host_run(struct host *host);
/** Both. */
void host_start(struct host *host, const struct net_params *params);
/** Stops it, waits for its thread and frees all. */
void host_stop(struct host *host);
/** A host that echoes, with one listener. */
struct host *host_echo(enum hd_transport transport, const char *ip);
/** Runs a function on the shard's thread and waits for its end. */
void host_do(struct host *host, host_job_f job, void *arg);
/** Waits for the packet / failure / closed connection of that number and returns it. */
struct host_packet host_packet(struct host *host, size_t i);
struct host_failure host_failure(struct host *host, size_t i);
uint64_t host_closed(struct host *host, size_t i);
/** Waits until a size_t of the host (under its mutex) is at least n. */
void host_wait(struct host *host, const size_t *count, size_t n);
/** Waits until a counter is at least / exactly n. */
void wait_counter(const _Atomic uint64_t *counter, uint64_t n);
void wait_counter_is(const _Atomic uint64_t *counter, uint64_t n);
void sleep_ms(unsigned ms);

/** The owner's turn, for tests that wrap it. */
uint64_t host_turn(void *context, uint64_t now_us);

/* From a job. */
void host_send(struct host *host, const struct hd_flow *flow, const char *p, size_t n,
               uint64_t owner);

/* Peers. */
/** Whether this machine has IPv6 on its loopback. */
bool peer_has_v6(void);
int peer_udp(const char *ip, struct hd_addr *ret_bound);
int peer_listen(const char *ip, int backlog, struct hd_addr *ret_bound);
int peer_connect(const struct hd_addr *to);
int peer_accept(int fd);
struct hd_addr peer_local(int fd);
struct hd_addr addr_of(const char *ip, uint16_t port);
/** An address where connections are refused, while the socket that is returned holds its port. */
int peer_refusing(struct hd_addr *ret_bound);
/** Has a datagram socket hear nobody any more: what is sent to it is refused. */
void peer_deaf(int fd);
void udp_to(int fd, const struct hd_addr *to, const char *p, size_t n);
/** One datagram; its length, and its source when wanted. */
size_t udp_from(int fd, char *ret, size_t cap, struct hd_addr *ret_from);
void tcp_write(int fd, const char *p, size_t n);
/** Reads exactly n octets and compares them. */
void tcp_expect(int fd, const char *p, size_t n);
/** The peer's end of stream or a reset comes, and nothing before it. */
void tcp_expect_end(int fd);

#endif
