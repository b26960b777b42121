/* steer.c - hd_addr_bucket as a classic BPF program.
 * The kernel runs it with the packet's data beginning at the UDP payload, so the headers are read
 * relative to the network header (SKF_NET_OFF).  The version nibble there says which kind of packet
 * it is, so one program serves both families.  Registers have 32 bits and wrap as hd_addr_bucket
 * does. */
#include "net/steer.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/id.h"

#define BUCKET_FACTOR 0x9E3779B1u /* as in base/addr.c; the tests compare what the two do */
#define NET(offset) ((uint32_t)SKF_NET_OFF + (offset))

#define V4_SOURCE 12
#define V6_NEXT_HEADER 6
#define V6_SOURCE 8
#define V6_LEN 40

unsigned short
net_steer_program(unsigned shards, struct sock_filter ret[NET_STEER_MAX])
{
    const struct sock_filter program[] = {
        /*  0 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(0)),
        /*  1 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
        /*  2 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 15, 0), /* to 18 */
        /* IPv6: four words, then the port. */
        /*  3 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(V6_NEXT_HEADER)),
        /*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 23), /* to 28 */
        /*  5 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(V6_SOURCE)),
        /*  6 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
        /*  7 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(V6_SOURCE + 4)),
        /*  8 */ BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
        /*  9 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
        /* 10 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(V6_SOURCE + 8)),
        /* 11 */ BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
        /* 12 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
        /* 13 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(V6_SOURCE + 12)),
        /* 14 */ BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
        /* 15 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
        /* 16 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, NET(V6_LEN)),
        /* 17 */ BPF_JUMP(BPF_JMP | BPF_JA, 4, 0, 0), /* to 22 */
        /* IPv4: the header's length is in its first octet (options are rare, but legal). */
        /* 18 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, NET(0)),
        /* 19 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, NET(0)),
        /* 20 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
        /* 21 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NET(V4_SOURCE)),
        /* The fold is in A and X: the bucket, then its shard. */
        /* 22 */ BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
        /* 23 */ BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, BUCKET_FACTOR),
        /* 24 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 32 - HD_BUCKET_BITS),
        /* 25 */ BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, shards),
        /* 26 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, HD_BUCKET_BITS),
        /* 27 */ BPF_STMT(BPF_RET | BPF_A, 0),
        /* 28 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    static_assert(HD_ARRAY_LEN(program) <= NET_STEER_MAX, "room for the program");

    memcpy(ret, program, sizeof(program));
    return HD_ARRAY_LEN(program);
}

int
net_steer_attach(int fd, unsigned shards)
{
    struct sock_filter code[NET_STEER_MAX];
    struct sock_fprog program = { .len = net_steer_program(shards, code), .filter = code };

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
}
