/* io.c - see io.h.
 *
 * Nothing is allocated and no header is built for a datagram: the arrays of both system calls are
 * filled once, and a datagram changes a length and two addresses in them. */
#include "io.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Not a power of two, so that buffers do not all fall into the same lines of a cache. */
#define STRIDE (IO_OCTETS + 64)
#define CONTROL CMSG_SPACE(sizeof(struct in_pktinfo))

struct direction {
    struct mmsghdr header[IO_BATCH];
    struct iovec iov[IO_BATCH];
    struct sockaddr_in name[IO_BATCH];
    _Alignas(struct cmsghdr) char control[IO_BATCH][CONTROL];
    char octets[IO_BATCH * STRIDE];
};

struct io {
    int fd;
    bool pktinfo;
    unsigned n_out;
    struct direction in, out;
};

uint64_t
io_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
prepare(struct direction *d, bool pktinfo)
{
    for (unsigned i = 0; i < IO_BATCH; i++) {
        struct msghdr *msg = &d->header[i].msg_hdr;

        d->iov[i] = (struct iovec){ d->octets + (size_t)i * STRIDE, IO_OCTETS };
        d->name[i].sin_family = AF_INET;
        msg->msg_name = &d->name[i];
        msg->msg_namelen = sizeof(d->name[i]);
        msg->msg_iov = &d->iov[i];
        msg->msg_iovlen = 1;
        if (pktinfo) {
            struct cmsghdr head = { .cmsg_level = IPPROTO_IP,
                                    .cmsg_type = IP_PKTINFO,
                                    .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)) };
            memcpy(d->control[i], &head, sizeof(head));
            msg->msg_control = d->control[i];
            msg->msg_controllen = CONTROL;
        }
    }
}

static bool
set_up(struct io *io, struct io_peer bound, int receive_buffer)
{
    struct sockaddr_in name = { .sin_family = AF_INET,
                                .sin_port = bound.port,
                                .sin_addr.s_addr = bound.ip };
    int on = 1;

    if (io->pktinfo && setsockopt(io->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0)
        return false;
    /* Beyond the system's limit where we may, otherwise up to it. */
    if (receive_buffer > 0 && setsockopt(io->fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer,
                                         sizeof(receive_buffer)) != 0)
        (void)setsockopt(io->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    return bind(io->fd, (struct sockaddr *)&name, sizeof(name)) == 0;
}

struct io *
io_new(struct io_peer bound, bool pktinfo, int receive_buffer)
{
    struct io *io = calloc(1, sizeof(*io));
    int error;

    if (!io)
        return NULL;
    io->pktinfo = pktinfo;
    io->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (io->fd >= 0 && set_up(io, bound, receive_buffer)) {
        prepare(&io->in, pktinfo);
        prepare(&io->out, pktinfo);
        return io;
    }
    error = errno;
    io_free(io);
    errno = error;
    return NULL;
}

void
io_free(struct io *io)
{
    if (!io)
        return;
    if (io->fd >= 0)
        close(io->fd);
    free(io);
}

int
io_fd(const struct io *io)
{
    return io->fd;
}

char *
io_reserve(struct io *io)
{
    if (io->n_out == IO_BATCH)
        io_flush(io);
    return io->out.octets + (size_t)io->n_out * STRIDE;
}

void
io_commit(struct io *io, size_t n, uint32_t source_ip, struct io_peer to)
{
    struct direction *out = &io->out;
    unsigned i = io->n_out++;

    out->iov[i].iov_len = n;
    out->name[i].sin_port = to.port;
    out->name[i].sin_addr.s_addr = to.ip;
    if (io->pktinfo) {
        struct in_pktinfo info = { .ipi_spec_dst.s_addr = source_ip };
        memcpy(out->control[i] + CMSG_LEN(0), &info, sizeof(info));
    }
}

void
io_flush(struct io *io)
{
    unsigned at = 0;

    while (at < io->n_out) {
        int n = sendmmsg(io->fd, io->out.header + at, io->n_out - at, MSG_NOSIGNAL);
        if (n > 0)
            at += (unsigned)n;
        else if (errno != EINTR && errno != EAGAIN && errno != ENOBUFS)
            at++; /* an ICMP error about an earlier one, or nobody listens: lost, as on a network */
    }
    io->n_out = 0;
}

unsigned
io_read(struct io *io, unsigned most)
{
    int n = recvmmsg(io->fd, io->in.header, most < IO_BATCH ? most : IO_BATCH, MSG_DONTWAIT, NULL);

    return n > 0 ? (unsigned)n : 0;
}

struct io_datagram
io_datagram(const struct io *io, unsigned i)
{
    const struct direction *in = &io->in;
    struct io_datagram d = { in->iov[i].iov_base,
                             in->header[i].msg_len,
                             0,
                             { in->name[i].sin_addr.s_addr, in->name[i].sin_port } };

    if (io->pktinfo) {
        struct in_pktinfo info;
        memcpy(&info, in->control[i] + CMSG_LEN(0), sizeof(info));
        d.local_ip = info.ipi_addr.s_addr;
    }
    return d;
}
