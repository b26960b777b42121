/* steer.h - datagrams of one source always reach the same shard: a classic BPF program that the
 * kernel runs to choose a socket of the SO_REUSEPORT group.  No privilege is needed.  Inside net/
 * only. */
#ifndef HD_NET_STEER_H
#define HD_NET_STEER_H

#include <linux/filter.h>

#define NET_STEER_MAX 32

/**
 * Writes the program that returns hd_bucket_shard(hd_addr_bucket(source), shards); same for IPv4
 * and IPv6 sockets. A number that no socket of the group has lets the kernel choose by its own
 * hash, which is as steady: that is what the program returns where it cannot find the UDP header
 * (IPv6 extension headers).
 * @param shards  1 to 255
 * @return instructions written, at most NET_STEER_MAX
 */
unsigned short net_steer_program(unsigned shards, struct sock_filter ret[NET_STEER_MAX]);
/** Attaches it to the group of a bound socket.  Sockets are numbered in the order of their bind. -1
 * and errno. */
int net_steer_attach(int fd, unsigned shards);

#endif
