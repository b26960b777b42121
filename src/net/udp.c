/* udp.c - datagrams, many per system call both ways.
 *
 * In: one recvmmsg for each readable socket and turn, more of them during a fan-out; the owner
 * works on the octets where they were read.
 *
 * Out: net_reserve gives room inside a batch, a commit fills a slot of it, and the flush at the end
 * of the turn sends the slots with sendmmsg; nothing is copied on the way.  A batch that is full is
 * flushed early.  When a send buffer is full its slots stay, batches are chained up to a limit, and
 * the flush goes on when the socket is writable.
 *
 * ICMP errors come through the sockets' error queues and are matched with the datagrams that left
 * lately, by address and by the quoted octets: nobody can make a peer look dead who has not seen
 * what was sent to him.
 *
 * Invariants: batches hold unsent slots or are the tail; a slot's octets stay where they are until
 * its batch is empty; no function here calls the owner but udp_read. */
#include <errno.h>
#include <time.h>

#include <linux/errqueue.h> /* wants struct timespec */
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/impl.h"
#include "net/sock.h"
#include "net/stun.h"

#define BATCH_IN 64
#define BATCHES_AT_ONCE 8 /* the most that are read of a socket in a turn */
#define DATAGRAM_MAX 65536
/* Not a power of two: buffers that differ in the upper bits only would all fall into the same lines
 * of a cache. */
#define IN_STRIDE (DATAGRAM_MAX + 17 * 64)
#define CONTROL_IN 128
#define CONTROL_OUT 64
#define BATCHES_MAX 16 /* datagrams that may wait for a full send buffer: 2048 */
#define V4_PAYLOAD_MAX 65507
#define V6_PAYLOAD_MAX 65527
#define SEND_TRIES 4
#define RECENT 512       /* datagrams remembered for ICMP errors */
#define RECENT_QUOTE 256 /* octets of each, compared with what the error quotes */
#define ERRORS_AT_ONCE 64

struct net_udp_in {
    struct mmsghdr header[BATCH_IN];
    struct iovec iov[BATCH_IN];
    union net_sockaddr name[BATCH_IN];
    _Alignas(struct cmsghdr) char control[BATCH_IN][CONTROL_IN];
    char octets[BATCH_IN * (size_t)IN_STRIDE];
};

struct net_udp_out {
    struct mmsghdr header[NET_BATCH_OUT];
    struct iovec iov[NET_BATCH_OUT];
    union net_sockaddr name[NET_BATCH_OUT];
    _Alignas(struct cmsghdr) char control[NET_BATCH_OUT][CONTROL_OUT];
    unsigned slot[NET_BATCH_OUT];
};

struct slot {
    struct hd_flow flow;
    uint64_t owner;
    char *p;
    uint32_t n;
    uint16_t sock; /* index of the socket, or SLOT_DONE */
};
#define SLOT_DONE UINT16_MAX

struct net_batch {
    struct net_batch *next;
    unsigned n, left; /* slots filled; of these not yet sent */
    size_t used;
    struct slot slots[NET_BATCH_OUT];
    char octets[NET_BATCH_OCTETS];
};

struct recent {
    struct hd_flow flow;
    uint64_t owner; /* 0: free */
    uint32_t n;     /* of the quote */
    char quote[RECENT_QUOTE];
};

struct net_recent {
    uint32_t next;
    struct recent entry[RECENT];
};

/* --- receiving ------------------------------------------------------------------------------ */

static void
prepare_in(struct net_udp_in *in, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        in->iov[i] = (struct iovec){ in->octets + i * (size_t)IN_STRIDE, DATAGRAM_MAX };
        in->header[i].msg_hdr = (struct msghdr){
            .msg_name = &in->name[i],
            .msg_namelen = sizeof(in->name[i]),
            .msg_iov = &in->iov[i],
            .msg_iovlen = 1,
            .msg_control = in->control[i],
            .msg_controllen = CONTROL_IN,
        };
    }
}

/* Reads the local address of a datagram to a wildcard socket.  False when it was sent to a group or
 * to everyone: nobody here joined one, and an answer would make us a tool against the forged
 * sender. */
static bool
read_pktinfo(struct cmsghdr *control, struct hd_addr *local)
{
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(control), sizeof(info));
        if (info.ipi_spec_dst.s_addr != 0 && info.ipi_spec_dst.s_addr != info.ipi_addr.s_addr)
            return false;
        memcpy(local->ip, &info.ipi_addr, 4);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(control), sizeof(info));
        if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
            return false;
        memcpy(local->ip, &info.ipi6_addr, 16);
        local->scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
    }
    return true;
}

static bool
read_control(struct net_udp_sock *sock, struct msghdr *msg, struct hd_addr *local)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t drops;
            memcpy(&drops, CMSG_DATA(c), sizeof(drops));
            net_count(&sock->net->counters.receive_drops, drops - sock->drops);
            sock->drops = drops;
        } else if (!read_pktinfo(c, local)) {
            return false;
        }
    }
    return true;
}

/* Octets that phones send to keep a NAT open, and that get no answer: line ends and NULs alone. */
static bool
is_keep_alive(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != '\r' && p[i] != '\n' && p[i] != '\0')
            return false;
    return true;
}

/* What begins with an octet that no message of SIP begins with: keep-alives. */
static void
take_other(struct net_udp_sock *sock, const struct hd_flow *flow, struct hd_slice octets)
{
    struct net_shard *net = sock->net;
    char answer[NET_STUN_ANSWER_MAX], *room;
    size_t n;

    if (is_keep_alive(octets.p, octets.n)) {
        net_count(&net->counters.pings, 1);
    } else if (net_stun_is(octets)) {
        net_count(&net->counters.stun, 1);
        n = net_stun_answer(octets, &flow->remote, answer);
        room = n > 0 ? net_reserve(net, n) : NULL;
        if (room) {
            memcpy(room, answer, n);
            net_commit(net, flow, n, 0);
        }
    } else {
        net->params.on.packet(net->params.on.context, flow, octets);
    }
}

static void
take_datagram(struct net_udp_sock *sock, struct mmsghdr *header, const char *p)
{
    struct net_shard *net = sock->net;
    struct hd_flow flow = { .transport = HD_UDP, .listener = sock->listener, .local = sock->bound };
    size_t n = header->msg_len;

    net_count(&net->counters.octets_in, n);
    if (!read_control(sock, &header->msg_hdr, &flow.local) ||
        (header->msg_hdr.msg_flags & MSG_TRUNC) ||
        !net_sockaddr_to(header->msg_hdr.msg_name, &flow.remote) || flow.remote.port == 0) {
        net_count(&net->counters.datagram_errors, 1);
    } else if (n == 0 || (unsigned char)p[0] <= '\r') {
        take_other(sock, &flow, hd_slice(p, n));
    } else {
        net->params.on.packet(net->params.on.context, &flow, hd_slice(p, n));
    }
}

/* Reads a batch; false: nothing more is there. */
static bool
read_batch(struct net_udp_sock *sock)
{
    struct net_shard *net = sock->net;
    struct net_udp_in *in = net->udp.in;
    int n = -1;

    /* An error that ICMP left on the socket is told once, in place of a batch. */
    for (unsigned tries = 0; n < 0 && tries < SEND_TRIES; tries++) {
        n = recvmmsg(sock->fd, in->header, BATCH_IN, MSG_DONTWAIT, NULL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
    }
    if (n <= 0)
        return false;
    net_count(&net->counters.datagrams_in, (uint64_t)n);
    if (net->params.on.batch)
        net->params.on.batch(net->params.on.context);
    for (int i = 0; i < n; i++)
        take_datagram(sock, &in->header[i], in->iov[i].iov_base);
    prepare_in(in, (unsigned)n);
    return n == BATCH_IN;
}

/* One batch in a turn, but while the owner has more to send than fits into turns all that is there:
 * its sends are answered, and more of them go out in a turn than fit into a batch.  What the
 * receive buffer cannot take is lost, and has to be sent again. */
static void
udp_read(struct net_udp_sock *sock)
{
    const unsigned most = sock->net->owner_goes_on ? BATCHES_AT_ONCE : 1;

    for (unsigned i = 0; i < most && read_batch(sock); i++)
        ;
}

/* --- ICMP errors ---------------------------------------------------------------------------- */

static void
remember(struct net_recent *recent, const struct slot *slot)
{
    struct recent *entry = &recent->entry[recent->next++ % RECENT];

    entry->flow = slot->flow;
    entry->owner = slot->owner;
    entry->n = slot->n < RECENT_QUOTE ? slot->n : RECENT_QUOTE;
    memcpy(entry->quote, slot->p, entry->n);
}

/* RFC 3261 section 18.4: unreachable (host, network, port, protocol) and parameter problem are
 * failures, time exceeded and source quench are ignored.  A path that wants smaller packets gets
 * fragments. */
static bool
is_failure(const struct sock_extended_err *error)
{
    if (error->ee_origin == SO_EE_ORIGIN_ICMP)
        return (error->ee_type == ICMP_DEST_UNREACH && error->ee_code != ICMP_FRAG_NEEDED) ||
               error->ee_type == ICMP_PARAMETERPROB;
    if (error->ee_origin == SO_EE_ORIGIN_ICMP6)
        return error->ee_type == ICMP6_DST_UNREACH || error->ee_type == ICMP6_PARAM_PROB;
    return false;
}

/* Errors quote the beginning of what was sent; the newest datagram that fits is the one. */
static void
fail_recent(struct net_shard *net, const struct hd_addr *remote, const char *quote, size_t n)
{
    struct net_recent *recent = net->udp.recent;

    for (uint32_t back = 1; back <= RECENT; back++) {
        struct recent *entry = &recent->entry[(recent->next - back) % RECENT];
        if (entry->owner == 0 || n < entry->n || !hd_addr_eq(&entry->flow.remote, remote) ||
            memcmp(entry->quote, quote, entry->n) != 0)
            continue;
        net_fail(net, entry->owner, &entry->flow, HD_EIO);
        entry->owner = 0;
        return;
    }
}

static void
take_error(struct net_udp_sock *sock, struct msghdr *msg, const char *quote, size_t n)
{
    struct hd_addr remote;

    net_count(&sock->net->counters.datagram_errors, 1);
    if (!net_sockaddr_to(msg->msg_name, &remote))
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        struct sock_extended_err error;
        if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
            !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            continue;
        memcpy(&error, CMSG_DATA(c), sizeof(error));
        if (is_failure(&error))
            fail_recent(sock->net, &remote, quote, n);
    }
}

static void
read_errors(struct net_udp_sock *sock)
{
    for (unsigned i = 0; i < ERRORS_AT_ONCE; i++) {
        char quote[RECENT_QUOTE];
        _Alignas(struct cmsghdr) char control[512];
        union net_sockaddr name;
        struct iovec iov = { quote, sizeof(quote) };
        struct msghdr msg = { .msg_name = &name,
                              .msg_namelen = sizeof(name),
                              .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(sock->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (n < 0)
            return;
        take_error(sock, &msg, quote, (size_t)n);
    }
}

/* --- polling -------------------------------------------------------------------------------- */

static void udp_ready(uv_poll_t *poll, int status, int events);

static void
watch(struct net_udp_sock *sock)
{
    int events = (sock->net->draining ? 0 : UV_READABLE) | (sock->blocked ? UV_WRITABLE : 0);

    if (events)
        (void)uv_poll_start(&sock->poll, events, udp_ready);
    else
        (void)uv_poll_stop(&sock->poll);
}

static void
udp_ready(uv_poll_t *poll, int status, int events)
{
    struct net_udp_sock *sock = poll->data;

    net_stir(sock->net);
    if (status < 0) {
        /* An error is on the socket or in its queue, and libuv has stopped the handle. */
        read_errors(sock);
        sock->blocked = false;
        watch(sock);
    } else if (events & UV_WRITABLE) {
        sock->blocked = false; /* the flush of this turn goes on */
        watch(sock);
    }
    if (!sock->net->draining && (status < 0 || (events & UV_READABLE)))
        udp_read(sock);
}

/* --- sending -------------------------------------------------------------------------------- */

/* How well a socket suits a flow: 0 is not at all.  Its listener's is the one; a flow that came by
 * another transport leaves from the same address. */
static unsigned
suits(const struct net_udp_sock *sock, const struct hd_flow *flow)
{
    if (sock->bound.family != flow->remote.family)
        return 0;
    if (sock->listener == flow->listener)
        return 4;
    if (hd_addr_same_ip(&sock->bound, &flow->local))
        return 3;
    return sock->wildcard ? 2 : 1;
}

static struct net_udp_sock *
choose_sock(struct net_udp *udp, const struct hd_flow *flow)
{
    struct net_udp_sock *best = NULL;
    unsigned most = 0;

    for (unsigned i = 0; i < udp->n_socks && most < 4; i++) {
        unsigned how = suits(&udp->socks[i], flow);
        if (how > most) {
            most = how;
            best = &udp->socks[i];
        }
    }
    return best;
}

static struct net_batch *
add_batch(struct net_udp *udp)
{
    struct net_batch *batch;

    if (udp->n_batches >= BATCHES_MAX)
        return NULL;
    batch = malloc(sizeof(*batch));
    if (!batch)
        return NULL;
    batch->next = NULL;
    batch->n = batch->left = 0;
    batch->used = 0;
    if (udp->tail)
        udp->tail->next = batch;
    else
        udp->head = batch;
    udp->tail = batch;
    udp->n_batches++;
    return batch;
}

static bool
has_room(const struct net_batch *batch, size_t size)
{
    return batch && batch->n < NET_BATCH_OUT && size <= NET_BATCH_OCTETS - batch->used;
}

static char *
reserve_big(struct net_udp *udp, size_t size)
{
    if (size > udp->big_cap) {
        char *big = realloc(udp->big, size);
        if (!big)
            return NULL;
        udp->big = big;
        udp->big_cap = size;
    }
    return udp->big;
}

/* The tail batch with room for size octets, after a flush or with a new one where needed; or NULL.
 */
static struct net_batch *
make_room(struct net_shard *net, size_t size)
{
    struct net_udp *udp = &net->udp;

    if (!has_room(udp->tail, size))
        net_udp_flush(net);
    if (has_room(udp->tail, size))
        return udp->tail;
    return add_batch(udp);
}

char *
net_udp_reserve(struct net_shard *net, size_t size)
{
    struct net_batch *batch = size <= NET_BATCH_OCTETS ? make_room(net, size) : NULL;

    return batch ? batch->octets + batch->used : reserve_big(&net->udp, size ? size : 1);
}

/* The tail batch, whose next free octets hold the message; or NULL. */
static struct net_batch *
settle(struct net_shard *net, size_t n)
{
    struct net_udp *udp = &net->udp;
    struct net_batch *batch = udp->tail;

    if (batch && udp->reserved == batch->octets + batch->used)
        return batch;
    batch = make_room(net, n);
    if (batch)
        memcpy(batch->octets + batch->used, udp->reserved, n);
    return batch;
}

void
net_udp_commit(struct net_shard *net, const struct hd_flow *flow, size_t n, uint64_t owner)
{
    struct net_udp *udp = &net->udp;
    struct net_udp_sock *sock = choose_sock(udp, flow);
    struct net_batch *batch = NULL;
    enum hd_err err = HD_OK;

    if (!sock)
        err = HD_ENOMATCH;
    else if (n > (flow->remote.family == 4 ? V4_PAYLOAD_MAX : V6_PAYLOAD_MAX))
        err = HD_ERANGE;
    else if (!(batch = settle(net, n)))
        err = HD_EFULL;
    if (err) {
        net_count(&net->counters.datagram_errors, 1);
        net_fail(net, owner, flow, err);
        return;
    }
    batch->slots[batch->n++] = (struct slot){ .flow = *flow,
                                              .owner = owner,
                                              .p = batch->octets + batch->used,
                                              .n = (uint32_t)n,
                                              .sock = (uint16_t)(sock - udp->socks) };
    batch->left++;
    batch->used += n;
    if (batch->n == NET_BATCH_OUT)
        net_udp_flush(net);
}

/* Names the source of a datagram that leaves through a wildcard socket; returns the length. */
static size_t
put_pktinfo(char control[CONTROL_OUT], const struct hd_addr *local)
{
    struct cmsghdr head = { 0 };
    size_t space;

    if (local->family == 4) {
        struct in_pktinfo info = { 0 };
        memcpy(&info.ipi_spec_dst, local->ip, 4);
        head = (struct cmsghdr){ .cmsg_level = IPPROTO_IP,
                                 .cmsg_type = IP_PKTINFO,
                                 .cmsg_len = CMSG_LEN(sizeof(info)) };
        memcpy(control + CMSG_LEN(0), &info, sizeof(info));
        space = CMSG_SPACE(sizeof(info));
    } else {
        struct in6_pktinfo info = { .ipi6_ifindex = local->scope };
        memcpy(&info.ipi6_addr, local->ip, 16);
        head = (struct cmsghdr){ .cmsg_level = IPPROTO_IPV6,
                                 .cmsg_type = IPV6_PKTINFO,
                                 .cmsg_len = CMSG_LEN(sizeof(info)) };
        memcpy(control + CMSG_LEN(0), &info, sizeof(info));
        space = CMSG_SPACE(sizeof(info));
    }
    memcpy(control, &head, sizeof(head));
    return space;
}

static void
put_header(struct net_udp_out *out, unsigned i, const struct net_udp_sock *sock,
           const struct slot *slot)
{
    const struct hd_addr *local = &slot->flow.local;
    struct msghdr *msg = &out->header[i].msg_hdr;

    out->iov[i] = (struct iovec){ slot->p, slot->n };
    *msg = (struct msghdr){ .msg_name = &out->name[i],
                            .msg_namelen = net_sockaddr_from(&slot->flow.remote, &out->name[i]),
                            .msg_iov = &out->iov[i],
                            .msg_iovlen = 1 };
    if (sock->wildcard && local->family == sock->bound.family && !hd_addr_is_any(local)) {
        msg->msg_control = out->control[i];
        msg->msg_controllen = put_pktinfo(out->control[i], local);
    }
}

static void
slot_done(struct net_shard *net, struct net_batch *batch, struct slot *slot, bool sent)
{
    slot->sock = SLOT_DONE;
    batch->left--;
    if (sent) {
        net_count(&net->counters.datagrams_out, 1);
        net_count(&net->counters.octets_out, slot->n);
        if (slot->owner != 0)
            remember(net->udp.recent, slot);
    } else {
        net_count(&net->counters.datagram_errors, 1);
    }
}

/* Decides what the failure of the first of the datagrams means; true when it is done with.  An ICMP
 * error about an earlier datagram is told once in place of a send, so most errors are tried again.
 */
static bool
send_error(struct net_udp_sock *sock, struct net_batch *batch, struct slot *slot, unsigned *tries)
{
    int error = errno;

    if (error == EINTR)
        return false;
    if (error == EAGAIN || error == EWOULDBLOCK) {
        sock->blocked = true;
        watch(sock);
        return false;
    }
    if (error != ENOBUFS && error != ENOMEM) {
        if (++*tries < SEND_TRIES)
            return false;
        net_fail(sock->net, slot->owner, &slot->flow, HD_EIO);
    }
    /* A full queue of a device loses a datagram as a network does: the retransmission will do. */
    slot_done(sock->net, batch, slot, false);
    *tries = 0;
    return true;
}

static void
send_slots(struct net_udp_sock *sock, struct net_batch *batch, unsigned n)
{
    struct net_udp_out *out = sock->net->udp.out;
    unsigned at = 0, tries = 0;

    while (at < n && !sock->blocked) {
        int sent = sendmmsg(sock->fd, out->header + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            tries = 0;
        for (int i = 0; i < sent; i++)
            slot_done(sock->net, batch, &batch->slots[out->slot[at++]], true);
        if (sent <= 0 && send_error(sock, batch, &batch->slots[out->slot[at]], &tries))
            at++;
    }
}

static void
flush_batch(struct net_shard *net, struct net_batch *batch)
{
    struct net_udp *udp = &net->udp;

    for (unsigned s = 0; s < udp->n_socks && batch->left > 0; s++) {
        unsigned n = 0;
        if (udp->socks[s].blocked)
            continue;
        for (unsigned i = 0; i < batch->n; i++)
            if (batch->slots[i].sock == s) {
                put_header(udp->out, n, &udp->socks[s], &batch->slots[i]);
                udp->out->slot[n++] = i;
            }
        if (n > 0)
            send_slots(&udp->socks[s], batch, n);
    }
}

void
net_udp_flush(struct net_shard *net)
{
    struct net_udp *udp = &net->udp;
    struct net_batch **link = &udp->head, *batch, *last = NULL;

    while ((batch = *link)) {
        if (batch->left > 0)
            flush_batch(net, batch);
        if (batch->left > 0 || (!batch->next && !last)) {
            last = batch;
            link = &batch->next;
        } else {
            *link = batch->next;
            free(batch);
            udp->n_batches--;
        }
    }
    udp->tail = last;
    if (last && last->left == 0) {
        last->n = 0;
        last->used = 0;
    }
}

bool
net_udp_waiting(const struct net_shard *net)
{
    return net->udp.head && net->udp.head->left > 0;
}

/* --- opening and closing -------------------------------------------------------------------- */

static enum hd_err
open_sock(struct net_shard *net, size_t listener, char problem[NET_PROBLEM_SIZE])
{
    struct net_udp *udp = &net->udp;
    struct net_udp_sock *sock = &udp->socks[udp->n_socks];
    enum hd_err err = net_sock_listen(&net->listeners[listener], &net->params, problem, &sock->fd,
                                      &net->bound[listener]);

    if (err)
        return err;
    sock->net = net;
    sock->listener = (uint8_t)listener;
    sock->bound = net->bound[listener];
    sock->wildcard = hd_addr_is_any(&sock->bound);
    if (uv_poll_init(&net->loop, &sock->poll, sock->fd) != 0) {
        close(sock->fd);
        return HD_ENOMEM;
    }
    sock->poll.data = sock;
    udp->n_socks++;
    watch(sock);
    return HD_OK;
}

enum hd_err
net_udp_init(struct net_shard *net, char ret_problem[NET_PROBLEM_SIZE])
{
    struct net_udp *udp = &net->udp;
    size_t n = 0;
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < net->params.n_listeners; i++)
        n += net->listeners[i].transport == HD_UDP;
    if (n == 0)
        return HD_OK;
    udp->socks = calloc(n, sizeof(*udp->socks));
    udp->in = malloc(sizeof(*udp->in));
    udp->out = calloc(1, sizeof(*udp->out));
    udp->recent = calloc(1, sizeof(*udp->recent));
    if (!udp->socks || !udp->in || !udp->out || !udp->recent)
        return HD_ENOMEM;
    prepare_in(udp->in, BATCH_IN);
    for (size_t i = 0; i < net->params.n_listeners && !err; i++)
        if (net->listeners[i].transport == HD_UDP)
            err = open_sock(net, i, ret_problem);
    return err;
}

void
net_udp_drain(struct net_shard *net)
{
    for (unsigned i = 0; i < net->udp.n_socks; i++)
        watch(&net->udp.socks[i]);
}

void
net_udp_done(struct net_shard *net)
{
    for (unsigned i = 0; i < net->udp.n_socks; i++) {
        uv_close((uv_handle_t *)&net->udp.socks[i].poll, NULL);
        close(net->udp.socks[i].fd);
    }
}

void
net_udp_free(struct net_shard *net)
{
    struct net_udp *udp = &net->udp;

    for (struct net_batch *batch = udp->head, *next; batch; batch = next) {
        next = batch->next;
        free(batch);
    }
    free(udp->socks);
    free(udp->in);
    free(udp->out);
    free(udp->recent);
    free(udp->big);
}
