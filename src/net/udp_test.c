/* udp_test.c - what the kernel does rarely: full send buffers, errors in place of sends, ICMP, no
 * memory. Includes the file that it tests, with the system calls and the allocator replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>

struct fake {
    int script[16]; /* what each call of sendmmsg does: how many it takes, or an errno negated */
    unsigned script_n, script_at;
    unsigned calls;
    unsigned n_sent;
    unsigned char sent[4096]; /* first octet of each datagram that left */
    size_t control[8];        /* length of the control data of the first ones */
    char control_octets[8][128];
    int fds[4096];
    unsigned arrived;      /* datagrams that recvmmsg finds */
    long allocations_left; /* below 0: no limit */
};

static struct fake fake;

static int fake_sendmmsg(int fd, struct mmsghdr *header, unsigned n, int flags);
static int fake_recvmmsg(int fd, struct mmsghdr *header, unsigned n, int flags,
                         struct timespec *timeout);
static void *fake_malloc(size_t size);
static void *fake_calloc(size_t n, size_t size);
static void *fake_realloc(void *old, size_t size);

#define sendmmsg fake_sendmmsg
#define recvmmsg fake_recvmmsg
#define malloc fake_malloc
#define calloc fake_calloc
#define realloc fake_realloc
#include "net/udp.c"
#undef sendmmsg
#undef recvmmsg
#undef malloc
#undef calloc
#undef realloc

static bool
may_allocate(void)
{
    if (fake.allocations_left == 0)
        return false;
    if (fake.allocations_left > 0)
        fake.allocations_left--;
    return true;
}

static void *
fake_malloc(size_t size)
{
    return may_allocate() ? malloc(size) : NULL;
}

static void *
fake_calloc(size_t n, size_t size)
{
    return may_allocate() ? calloc(n, size) : NULL;
}

static void *
fake_realloc(void *old, size_t size)
{
    return may_allocate() ? realloc(old, size) : NULL;
}

/* After its script it takes everything. */
static int
fake_sendmmsg(int fd, struct mmsghdr *header, unsigned n, int flags)
{
    int step = fake.script_at < fake.script_n ? fake.script[fake.script_at++] : (int)n;

    (void)flags;
    fake.calls++;
    if (step < 0) {
        errno = -step;
        return -1;
    }
    if ((unsigned)step < n)
        n = (unsigned)step;
    for (unsigned i = 0; i < n; i++) {
        const struct msghdr *msg = &header[i].msg_hdr;
        if (fake.n_sent < HD_ARRAY_LEN(fake.control)) {
            fake.control[fake.n_sent] = msg->msg_controllen;
            if (msg->msg_controllen > 0)
                memcpy(fake.control_octets[fake.n_sent], msg->msg_control, msg->msg_controllen);
        }
        HD_ASSERT(fake.n_sent < HD_ARRAY_LEN(fake.sent));
        fake.fds[fake.n_sent] = fd;
        fake.sent[fake.n_sent++] = *(const unsigned char *)msg->msg_iov->iov_base;
    }
    return (int)n;
}

static int
fake_recvmmsg(int fd, struct mmsghdr *header, unsigned n, int flags, struct timespec *timeout)
{
    unsigned got = fake.arrived < n ? fake.arrived : n;
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(5060) };

    (void)fd;
    (void)flags;
    (void)timeout;
    if (got == 0) {
        errno = EAGAIN;
        return -1;
    }
    for (unsigned i = 0; i < got; i++) {
        memcpy(header[i].msg_hdr.msg_name, &from, sizeof(from));
        header[i].msg_hdr.msg_controllen = 0;
        memcpy(header[i].msg_hdr.msg_iov->iov_base, "text", 4);
        header[i].msg_len = 4;
    }
    fake.arrived -= got;
    return (int)got;
}

/* --- a shard that never runs ---------------------------------------------------------------- */

static unsigned packets;

static void
on_packet(void *context, const struct hd_flow *flow, struct hd_slice octets)
{
    (void)context;
    (void)flow;
    (void)octets;
    packets++;
}

static uint64_t
on_turn(void *context, uint64_t now_us)
{
    (void)context;
    (void)now_us;
    return UINT64_MAX;
}

static enum net_frame
on_frame(struct hd_slice stream, size_t max_body, size_t *ret_len)
{
    (void)stream;
    (void)max_body;
    (void)ret_len;
    return NET_FRAME_BAD;
}

static struct hd_addr
addr_of(const char *ip, uint16_t port)
{
    struct hd_addr addr;

    assert_int_equal(hd_addr_parse(hd_slice_str(ip), port, &addr), HD_OK);
    return addr;
}

static enum hd_err
try_new(const char *first, const char *second, struct net_shard **ret_net)
{
    struct net_listener listeners[2] = { { .transport = HD_UDP, .addr = addr_of(first, 0) } };
    struct net_params params = { .shards = 1,
                                 .listeners = listeners,
                                 .n_listeners = second ? 2 : 1,
                                 .on = {
                                     .packet = on_packet, .turn = on_turn, .frame = on_frame } };
    char problem[256];

    if (second)
        listeners[1] = (struct net_listener){ .transport = HD_UDP, .addr = addr_of(second, 0) };
    return net_shard_new(&params, problem, ret_net);
}

static struct net_shard *
new_shard(const char *first, const char *second)
{
    struct net_shard *net = NULL;

    memset(&fake, 0, sizeof(fake));
    fake.allocations_left = -1;
    packets = 0;
    assert_int_equal(try_new(first, second, &net), HD_OK);
    return net;
}

static void
script(const int *steps, unsigned n)
{
    memcpy(fake.script, steps, n * sizeof(*steps));
    fake.script_n = n;
    fake.script_at = 0;
}

#define SCRIPT(...)                                                                                \
    script((const int[]){ __VA_ARGS__ }, HD_ARRAY_LEN(((const int[]){ __VA_ARGS__ })))

static struct hd_flow
flow_to(const char *ip, uint16_t port, uint8_t listener)
{
    return (
        struct hd_flow){ .transport = HD_UDP, .listener = listener, .remote = addr_of(ip, port) };
}

static void
commit(struct net_shard *net, const struct hd_flow *flow, unsigned char first, size_t n,
       uint64_t owner)
{
    char *p = net_reserve(net, n);

    assert_non_null(p);
    memset(p, 'x', n);
    p[0] = (char)first;
    net_commit(net, flow, n, owner);
}

/* --- full send buffers ---------------------------------------------------------------------- */

static void
full_send_buffer_delays_the_rest_in_order(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);

    (void)state;
    SCRIPT(3, -EAGAIN);
    for (unsigned char i = 0; i < 5; i++)
        commit(net, &flow, i, 100, 1);
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, 3);
    assert_true(net_udp_waiting(net));
    commit(net, &flow, 5, 100, 1);
    net_udp_flush(net); /* nothing is tried before the socket is writable */
    assert_int_equal(fake.calls, 2);
    udp_ready(&net->udp.socks[0].poll, 0, UV_WRITABLE);
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, 6);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(fake.sent[i], i);
    assert_false(net_udp_waiting(net));
    assert_int_equal(net->n_failures, 0);
    net_shard_free(net);
}

static void
datagrams_wait_up_to_a_limit(void **state)
{
    enum { MAX = BATCHES_MAX * NET_BATCH_OUT };
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);

    (void)state;
    SCRIPT(-EAGAIN);
    for (unsigned i = 0; i < MAX; i++)
        commit(net, &flow, (unsigned char)(i % 251), 100, 1);
    assert_int_equal(net->n_failures, 0);
    commit(net, &flow, 0, 100, 77);
    assert_int_equal(net->n_failures, 1);
    assert_int_equal(net->failures[0].owner, 77);
    assert_int_equal(net->failures[0].err, HD_EFULL);
    udp_ready(&net->udp.socks[0].poll, 0, UV_WRITABLE);
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, MAX);
    for (unsigned i = 0; i < MAX; i++)
        assert_int_equal(fake.sent[i], i % 251);
    assert_int_equal(net->udp.n_batches, 1);
    commit(net, &flow, 9, 100, 1); /* and there is room again */
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, MAX + 1);
    net_shard_free(net);
}

static void
full_socket_does_not_hold_up_another(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", "127.0.0.2");
    struct hd_flow first = flow_to("127.0.0.1", 5060, 0), second = flow_to("127.0.0.1", 5060, 1);

    (void)state;
    SCRIPT(-EAGAIN);
    for (unsigned char i = 0; i < 3; i++) {
        commit(net, &first, i, 10, 1);
        commit(net, &second, (unsigned char)(i + 10), 10, 1);
    }
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fake.sent[i], i + 10);
        assert_int_equal(fake.fds[i], net->udp.socks[1].fd);
    }
    for (unsigned char i = 0; i < 200; i++)
        commit(net, &second, i, 10, 1);
    assert_int_equal(fake.n_sent, 3 + NET_BATCH_OUT - 6); /* flushed when the batch was full */
    net_shard_free(net);
}

static void
sending_in_pieces_loses_nothing(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);

    (void)state;
    SCRIPT(1, 2, -EINTR, 1);
    for (unsigned char i = 0; i < 6; i++)
        commit(net, &flow, i, 10, 1);
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, 6);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(fake.sent[i], i);
    assert_int_equal(net->counters.datagrams_out, 6);
    assert_int_equal(net->counters.octets_out, 60);
    net_shard_free(net);
}

/* --- errors --------------------------------------------------------------------------------- */

static void
error_of_an_earlier_datagram_fails_nothing(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);

    (void)state;
    SCRIPT(-ECONNREFUSED, 1, -EHOSTUNREACH, -ECONNREFUSED);
    for (unsigned char i = 0; i < 3; i++)
        commit(net, &flow, i, 10, 1);
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, 3);
    assert_int_equal(net->n_failures, 0);
    net_shard_free(net);
}

static void
error_that_stays_fails_its_datagram_alone(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);

    (void)state;
    SCRIPT(1, -EINVAL, -EINVAL, -EINVAL, -EINVAL);
    for (unsigned char i = 0; i < 3; i++)
        commit(net, &flow, i, 10, 100u + i);
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, 2);
    assert_int_equal(fake.sent[0], 0);
    assert_int_equal(fake.sent[1], 2);
    assert_int_equal(net->n_failures, 1);
    assert_int_equal(net->failures[0].owner, 101);
    assert_int_equal(net->failures[0].err, HD_EIO);
    assert_int_equal(net->counters.datagram_errors, 1);
    net_shard_free(net);
}

static void
datagram_lost_in_a_full_device_queue_is_no_failure(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);

    (void)state;
    SCRIPT(-ENOBUFS);
    commit(net, &flow, 0, 10, 1);
    commit(net, &flow, 1, 10, 1);
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, 1);
    assert_int_equal(net->n_failures, 0);
    assert_int_equal(net->counters.datagram_errors, 1);
    net_shard_free(net);
}

/* Hands an ICMP error to a socket as the kernel does. */
static void
icmp(struct net_shard *net, const struct hd_addr *remote, uint8_t origin, uint8_t type,
     uint8_t code, const char *quote, size_t n)
{
    struct sock_extended_err error = { .ee_origin = origin, .ee_type = type, .ee_code = code };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(error))] = { 0 };
    union net_sockaddr name;
    struct msghdr msg = { .msg_name = &name,
                          .msg_namelen = net_sockaddr_from(remote, &name),
                          .msg_control = control,
                          .msg_controllen = sizeof(control) };
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

    head->cmsg_level = remote->family == 4 ? IPPROTO_IP : IPPROTO_IPV6;
    head->cmsg_type = remote->family == 4 ? IP_RECVERR : IPV6_RECVERR;
    head->cmsg_len = CMSG_LEN(sizeof(error));
    memcpy(CMSG_DATA(head), &error, sizeof(error));
    take_error(&net->udp.socks[0], &msg, quote, n);
}

static void
icmp_errors_that_count_are_those_of_rfc_3261(void **state)
{
    static const struct {
        uint8_t origin, type, code;
        bool failure;
    } row[] = {
        { SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, true },
        { SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, true },
        { SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, true },
        { SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, true },
        { SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, false },
        { SO_EE_ORIGIN_ICMP, ICMP_PARAMETERPROB, 0, true },
        { SO_EE_ORIGIN_ICMP, ICMP_TIME_EXCEEDED, 0, false },
        { SO_EE_ORIGIN_ICMP, ICMP_SOURCE_QUENCH, 0, false },
        { SO_EE_ORIGIN_ICMP6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT, true },
        { SO_EE_ORIGIN_ICMP6, ICMP6_PARAM_PROB, 0, true },
        { SO_EE_ORIGIN_ICMP6, ICMP6_PACKET_TOO_BIG, 0, false },
        { SO_EE_ORIGIN_ICMP6, ICMP6_TIME_EXCEEDED, 0, false },
        { SO_EE_ORIGIN_LOCAL, 0, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct net_shard *net = new_shard("127.0.0.1", NULL);
        struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);
        commit(net, &flow, 'a', 3, 5);
        net_udp_flush(net);
        icmp(net, &flow.remote, row[i].origin, row[i].type, row[i].code, "axx", 3);
        assert_int_equal(net->n_failures, row[i].failure);
        net_shard_free(net);
    }
}

static void
icmp_error_must_quote_what_was_sent_to_that_address(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0), other = flow_to("127.0.0.1", 5061, 0);
    char quote[RECENT_QUOTE + 8];

    (void)state;
    memset(quote, 'x', sizeof(quote));
    commit(net, &flow, 'a', 1000, 1);
    commit(net, &flow, 'b', 1000, 2);
    commit(net, &flow, 'c', 1000, 0); /* nobody wants to know */
    commit(net, &flow, 'a', 1000, 3);
    net_udp_flush(net);
#define REFUSED SO_EE_ORIGIN_ICMP, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH
    quote[0] = 'a';
    icmp(net, &other.remote, REFUSED, quote, sizeof(quote));
    icmp(net, &flow.remote, REFUSED, quote, 8); /* too little to tell: routers may quote so */
    icmp(net, &flow.remote, REFUSED, quote, RECENT_QUOTE - 1);
    quote[100] = 'y';
    icmp(net, &flow.remote, REFUSED, quote, sizeof(quote));
    quote[100] = 'x';
    quote[0] = 'c';
    icmp(net, &flow.remote, REFUSED, quote, sizeof(quote));
    assert_int_equal(net->n_failures, 0);
    quote[0] = 'a';
    icmp(net, &flow.remote, REFUSED, quote, RECENT_QUOTE); /* the newest of two that fit */
    icmp(net, &flow.remote, REFUSED, quote, sizeof(quote));
    icmp(net, &flow.remote, REFUSED, quote, sizeof(quote)); /* each only once */
    assert_int_equal(net->n_failures, 2);
    assert_int_equal(net->failures[0].owner, 3);
    assert_int_equal(net->failures[1].owner, 1);
    assert_int_equal(net->failures[0].err, HD_EIO);
    assert_int_equal(net->counters.datagram_errors, 8);
    net_shard_free(net);
}

static void
only_the_latest_datagrams_are_remembered(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0), other = flow_to("127.0.0.1", 5061, 0);

    (void)state;
    commit(net, &flow, 'a', 2, 1);
    for (unsigned i = 0; i < RECENT; i++)
        commit(net, &other, 'b', 2, 2);
    net_udp_flush(net);
    icmp(net, &flow.remote, REFUSED, "ax", 2);
    assert_int_equal(net->n_failures, 0);
    icmp(net, &other.remote, REFUSED, "bx", 2);
    assert_int_equal(net->n_failures, 1);
    net_shard_free(net);
}

/* --- addresses ------------------------------------------------------------------------------ */

static void
source_is_named_only_where_the_socket_does_not(void **state)
{
    struct net_shard *net = new_shard("0.0.0.0", "127.0.0.1");
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);
    struct in_pktinfo info;

    (void)state;
    commit(net, &flow, 0, 10, 0); /* no local address known */
    flow.local = addr_of("0.0.0.0", 5060);
    commit(net, &flow, 1, 10, 0);
    flow.local = addr_of("127.0.0.5", 5060);
    commit(net, &flow, 2, 10, 0);
    net_udp_flush(net);
    flow.listener = 1;
    commit(net, &flow, 3, 10, 0);
    net_udp_flush(net);
    assert_int_equal(fake.control[0], 0);
    assert_int_equal(fake.control[1], 0);
    assert_int_equal(fake.control[2], CMSG_SPACE(sizeof(info)));
    assert_int_equal(fake.control[3], 0);
    memcpy(&info, fake.control_octets[2] + CMSG_LEN(0), sizeof(info));
    assert_memory_equal(&info.ipi_spec_dst, flow.local.ip, 4);
    net_shard_free(net);
}

static void
flow_of_another_transport_leaves_from_its_address(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", "127.0.0.2");
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 7); /* a listener for streams */

    (void)state;
    flow.local = addr_of("127.0.0.2", 5060);
    commit(net, &flow, 0, 10, 0);
    net_udp_flush(net);
    assert_int_equal(fake.fds[0], net->udp.socks[1].fd);
    flow.local = addr_of("127.0.0.3", 5060);
    commit(net, &flow, 1, 10, 0);
    net_udp_flush(net);
    assert_int_equal(fake.fds[1], net->udp.socks[0].fd);
    net_shard_free(net);
}

/* --- how much is read ----------------------------------------------------------------------- */

static void
a_batch_is_read_in_a_turn(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);

    (void)state;
    fake.arrived = 200;
    udp_read(&net->udp.socks[0]);
    assert_int_equal(packets, 64);
    udp_read(&net->udp.socks[0]);
    assert_int_equal(packets, 128);
    net_shard_free(net);
}

static void
all_that_is_there_is_read_while_the_owner_goes_on_sending(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);

    (void)state;
    net->owner_goes_on = true;
    fake.arrived = 200;
    udp_read(&net->udp.socks[0]);
    assert_int_equal(packets, 200);
    net_shard_free(net);
}

static void
flood_leaves_the_owner_his_turn(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);

    (void)state;
    net->owner_goes_on = true;
    fake.arrived = 100000;
    udp_read(&net->udp.socks[0]);
    assert_int_equal(packets, 512);
    net_shard_free(net);
}

/* A datagram as recvmmsg leaves it. */
static void
receive(struct net_shard *net, const struct hd_addr *from, int level, int type, const void *info,
        size_t info_n, int flags)
{
    _Alignas(struct cmsghdr) char control[64] = { 0 };
    union net_sockaddr name;
    struct mmsghdr header = { .msg_hdr = { .msg_name = &name,
                                           .msg_namelen = net_sockaddr_from(from, &name),
                                           .msg_control = control,
                                           .msg_controllen = CMSG_SPACE(info_n),
                                           .msg_flags = flags },
                              .msg_len = 4 };
    struct cmsghdr *head = CMSG_FIRSTHDR(&header.msg_hdr);

    head->cmsg_level = level;
    head->cmsg_type = type;
    head->cmsg_len = CMSG_LEN(info_n);
    memcpy(CMSG_DATA(head), info, info_n);
    take_datagram(&net->udp.socks[0], &header, "text");
}

static void
datagrams_that_cannot_be_answered_are_dropped(void **state)
{
    struct net_shard *net = new_shard("0.0.0.0", NULL);
    struct hd_addr peer = addr_of("192.0.2.1", 5060), port0 = addr_of("192.0.2.1", 0);
    struct hd_addr v6 = addr_of("2001:db8::1", 5060);
    struct in_pktinfo own = { .ipi_addr.s_addr = htonl(0xc0000202),
                              .ipi_spec_dst.s_addr = htonl(0xc0000202) };
    struct in_pktinfo broadcast = { .ipi_addr.s_addr = htonl(0xc00002ff),
                                    .ipi_spec_dst.s_addr = htonl(0xc0000202) };
    struct in6_pktinfo own6 = { .ipi6_addr = { { { 0x20, 1 } } } };
    struct in6_pktinfo group6 = { .ipi6_addr = { { { 0xff, 2 } } } };

    (void)state;
    receive(net, &peer, IPPROTO_IP, IP_PKTINFO, &broadcast, sizeof(broadcast), 0);
    receive(net, &v6, IPPROTO_IPV6, IPV6_PKTINFO, &group6, sizeof(group6), 0);
    receive(net, &port0, IPPROTO_IP, IP_PKTINFO, &own, sizeof(own), 0);
    receive(net, &peer, IPPROTO_IP, IP_PKTINFO, &own, sizeof(own), MSG_TRUNC);
    assert_int_equal(packets, 0);
    assert_int_equal(net->counters.datagram_errors, 4);
    receive(net, &peer, IPPROTO_IP, IP_PKTINFO, &own, sizeof(own), 0);
    receive(net, &v6, IPPROTO_IPV6, IPV6_PKTINFO, &own6, sizeof(own6), 0);
    assert_int_equal(packets, 2);
    net_shard_free(net);
}

static void
count_of_drops_may_come_round(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_addr peer = addr_of("192.0.2.1", 5060);
    uint32_t drops = UINT32_MAX - 1;

    (void)state;
    net->udp.socks[0].drops = UINT32_MAX - 3;
    receive(net, &peer, SOL_SOCKET, SO_RXQ_OVFL, &drops, sizeof(drops), 0);
    assert_int_equal(net->counters.receive_drops, 2);
    drops = 4;
    receive(net, &peer, SOL_SOCKET, SO_RXQ_OVFL, &drops, sizeof(drops), 0);
    assert_int_equal(net->counters.receive_drops, 8);
    net_shard_free(net);
}

/* --- memory --------------------------------------------------------------------------------- */

static void
shard_without_memory_is_not_opened(void **state)
{
    struct net_shard *net = NULL;

    (void)state;
    memset(&fake, 0, sizeof(fake));
    for (long i = 0; i < 4; i++) {
        fake.allocations_left = i;
        assert_int_equal(try_new("127.0.0.1", NULL, &net), HD_ENOMEM);
    }
    fake.allocations_left = 4;
    assert_int_equal(try_new("127.0.0.1", NULL, &net), HD_OK);
    net_shard_free(net);
}

static void
message_without_memory_fails_and_the_next_leaves(void **state)
{
    struct net_shard *net = new_shard("127.0.0.1", NULL);
    struct hd_flow flow = flow_to("127.0.0.1", 5060, 0);

    (void)state;
    fake.allocations_left = 0;
    assert_null(net_reserve(net, 100));
    fake.allocations_left = 1; /* room for the message, but for no batch at its commit */
    assert_non_null(net_reserve(net, NET_BATCH_OCTETS + 1));
    net_commit(net, &flow, 100, 6);
    assert_int_equal(net->n_failures, 1);
    assert_int_equal(net->failures[0].err, HD_EFULL);
    fake.allocations_left = 1;
    commit(net, &flow, 'a', 100, 6);
    /* What was reserved larger than a batch is copied into one. */
    assert_non_null(net_reserve(net, NET_BATCH_OCTETS + 1));
    net->udp.reserved[0] = 'b';
    net_commit(net, &flow, 100, 6);
    net_udp_flush(net);
    assert_int_equal(fake.n_sent, 2);
    assert_int_equal(fake.sent[0], 'a');
    assert_int_equal(fake.sent[1], 'b');
    net_shard_free(net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_send_buffer_delays_the_rest_in_order),
        cmocka_unit_test(datagrams_wait_up_to_a_limit),
        cmocka_unit_test(full_socket_does_not_hold_up_another),
        cmocka_unit_test(sending_in_pieces_loses_nothing),
        cmocka_unit_test(error_of_an_earlier_datagram_fails_nothing),
        cmocka_unit_test(error_that_stays_fails_its_datagram_alone),
        cmocka_unit_test(datagram_lost_in_a_full_device_queue_is_no_failure),
        cmocka_unit_test(icmp_errors_that_count_are_those_of_rfc_3261),
        cmocka_unit_test(icmp_error_must_quote_what_was_sent_to_that_address),
        cmocka_unit_test(only_the_latest_datagrams_are_remembered),
        cmocka_unit_test(source_is_named_only_where_the_socket_does_not),
        cmocka_unit_test(flow_of_another_transport_leaves_from_its_address),
        cmocka_unit_test(a_batch_is_read_in_a_turn),
        cmocka_unit_test(all_that_is_there_is_read_while_the_owner_goes_on_sending),
        cmocka_unit_test(flood_leaves_the_owner_his_turn),
        cmocka_unit_test(datagrams_that_cannot_be_answered_are_dropped),
        cmocka_unit_test(count_of_drops_may_come_round),
        cmocka_unit_test(shard_without_memory_is_not_opened),
        cmocka_unit_test(message_without_memory_fails_and_the_next_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
