/* io.h - one UDP socket that is thousands of phones: datagrams in batches, each from and to an
 * address of its own.
 *
 * The socket is bound to the wildcard address; a phone's address is named as the source of what it
 * sends (IP_PKTINFO) and is read from what arrives.  IPv4 only: 127.0.0.0/8 holds more phones than
 * anybody measures. Addresses and ports are in network byte order, as the kernel has them. */
#ifndef BENCH_IO_H
#define BENCH_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IO_BATCH 128
#define IO_OCTETS 4096 /* room for one datagram, either way */

struct io_peer {
    uint32_t ip;
    uint16_t port;
};

struct io_datagram {
    const char *p;
    size_t n;
    uint32_t local_ip; /* where it was sent to; 0 without IP_PKTINFO */
    struct io_peer from;
};

struct io;

/**
 * Opens a socket and asks for receive_buffer octets of it (0: what the system gives).
 * @param pktinfo  whether sources are chosen for each datagram, and the addresses of what arrives
 * are told
 * @return NULL with errno set
 */
struct io *io_new(struct io_peer bound, bool pktinfo, int receive_buffer);
void io_free(struct io *io);
int io_fd(const struct io *io);

/** Room of IO_OCTETS for the next datagram; a full batch is sent first. */
char *io_reserve(struct io *io);
/** Queues n octets of the last reserve. */
void io_commit(struct io *io, size_t n, uint32_t source_ip, struct io_peer to);
/** Sends what is queued; a full send buffer is waited for, in a loop. */
void io_flush(struct io *io);
/** Reads at most `most` datagrams without waiting; they are valid until the next call.  Returns
 * their number. */
unsigned io_read(struct io *io, unsigned most);
/** Datagram i of the last io_read. */
struct io_datagram io_datagram(const struct io *io, unsigned i);

/** Monotonic clock in nanoseconds. */
uint64_t io_now_ns(void);

#endif
