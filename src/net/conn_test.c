/* conn_test.c - a connection whose writes stop in the middle, and whose memory runs short.
 * Includes the file that it tests, with the system calls and the allocator replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uv.h>

struct fake {
    int script[16]; /* what each send does: octets that it takes, or an errno negated */
    unsigned script_n, script_at, calls;
    size_t n_sent;
    char sent[65536];
    long allocations_left; /* below 0: no limit */
    bool no_poll;
    int unacked; /* what SIOCOUTQ says */
};

static struct fake fake;

static ssize_t fake_send(int fd, const void *p, size_t n, int flags);
static void *fake_realloc(void *old, size_t size);
static int fake_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd);
static int fake_ioctl(int fd, unsigned long request, int *ret);

#define ioctl fake_ioctl
#define send fake_send
#define realloc fake_realloc
#define uv_poll_init fake_poll_init
#include "net/conn.c"
#include "net/intake.c"
#undef ioctl
#undef send
#undef realloc
#undef uv_poll_init

/* After its script it takes everything. */
static ssize_t
fake_send(int fd, const void *p, size_t n, int flags)
{
    int step = fake.script_at < fake.script_n ? fake.script[fake.script_at++] : (int)n;

    (void)fd;
    assert_true(flags & MSG_NOSIGNAL);
    fake.calls++;
    if (step < 0) {
        errno = -step;
        return -1;
    }
    if ((size_t)step < n)
        n = (size_t)step;
    assert_true(n <= sizeof(fake.sent) - fake.n_sent);
    memcpy(fake.sent + fake.n_sent, p, n);
    fake.n_sent += n;
    return (ssize_t)n;
}

static void *
fake_realloc(void *old, size_t size)
{
    if (fake.allocations_left == 0)
        return NULL;
    if (fake.allocations_left > 0)
        fake.allocations_left--;
    return realloc(old, size);
}

static int
fake_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd)
{
    return fake.no_poll ? UV_EINVAL : uv_poll_init(loop, poll, fd);
}

static int
fake_ioctl(int fd, unsigned long request, int *ret)
{
    (void)fd;
    assert_int_equal(request, SIOCOUTQ);
    *ret = fake.unacked;
    return 0;
}

/* --- a shard that never runs, and one connection --------------------------------------------- */

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

/* Lines; one of a "p" alone is a keep-alive. */
static enum net_frame
on_frame(struct hd_slice stream, size_t max_body, size_t *ret_len)
{
    size_t at = hd_slice_find(stream, '\n');

    (void)max_body;
    if (at == stream.n)
        return NET_FRAME_MORE;
    *ret_len = at + 1;
    return at == 1 && stream.p[0] == 'p' ? NET_FRAME_PING : NET_FRAME_MESSAGE;
}

struct pair {
    struct net_shard *net;
    struct net_conn *conn;
    struct hd_flow flow;
    int peer;
};

static struct net_shard *
new_shard(void)
{
    struct net_params params = { .shards = 1,
                                 .max_connections = 10,
                                 .max_queued = 1000,
                                 .idle_ms = 1000,
                                 .message_ms = 100,
                                 .on = {
                                     .packet = on_packet, .turn = on_turn, .frame = on_frame } };
    struct net_shard *net = NULL;
    char problem[256];

    memset(&fake, 0, sizeof(fake));
    fake.allocations_left = -1;
    packets = 0;
    assert_int_equal(net_shard_new(&params, problem, &net), HD_OK);
    return net;
}

static struct pair
new_pair(void)
{
    struct pair pair = { .net = new_shard() };
    struct hd_addr remote = { .family = 4, .ip = { 192, 0, 2, 1 }, .port = 5060 };
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    pair.peer = fd[1];
    assert_int_equal(
        net_conn_new(pair.net, fd[0], HD_TCP, 3, &remote, 0, NET_CONN_OPEN, &pair.conn), HD_OK);
    pair.flow = net_conn_flow(pair.conn);
    return pair;
}

static void
free_pair(struct pair *pair)
{
    close(pair->peer);
    net_shard_free(pair->net);
}

#define SCRIPT(...)                                                                                \
    do {                                                                                           \
        const int steps[] = { __VA_ARGS__ };                                                       \
        memcpy(fake.script, steps, sizeof(steps));                                                 \
        fake.script_n = HD_ARRAY_LEN(steps);                                                       \
    } while (0)

static enum hd_err
queue(struct pair *pair, const char *text, uint64_t owner)
{
    return net_conn_queue(pair->conn, &pair->flow, hd_slice_str(text), owner);
}

/* Moves the shard's clock and lets the timers fire, as a turn does. */
static void
pass(struct pair *pair, uint64_t ms)
{
    pair->net->now_ms += ms;
    net_conn_arm(pair->conn);
    if (hd_timer_running(&pair->conn->timer) && pair->conn->timer.due_ms <= pair->net->now_ms) {
        hd_wheel_stop(&pair->net->wheel, &pair->conn->timer);
        net_conn_timer(pair->conn);
    }
}

/* --- writing -------------------------------------------------------------------------------- */

static void
messages_of_a_turn_leave_in_one_write(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    assert_int_equal(queue(&pair, "one", 1), HD_OK);
    assert_int_equal(queue(&pair, "two", 2), HD_OK);
    assert_int_equal(fake.calls, 0);
    assert_true(net_tcp_waiting(pair.net));
    net_tcp_flush(pair.net);
    assert_int_equal(fake.calls, 1);
    assert_memory_equal(fake.sent, "onetwo", 6);
    assert_false(net_tcp_waiting(pair.net));
    assert_null(pair.conn->out); /* an idle connection holds no memory */
    pass(&pair, ASK_MS);
    assert_null(pair.conn->owed);
    free_pair(&pair);
}

static void
what_has_left_whole_does_not_fail_with_its_connection(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    SCRIPT(4, -EAGAIN, -EINTR, 1, -EAGAIN, -ECONNRESET);
    assert_int_equal(queue(&pair, "one", 1), HD_OK);
    assert_int_equal(queue(&pair, "two", 2), HD_OK);
    assert_int_equal(queue(&pair, "three", 3), HD_OK);
    net_tcp_flush(pair.net);
    assert_int_equal(fake.n_sent, 4);
    assert_int_equal(pair.conn->events, UV_READABLE | UV_WRITABLE);
    net_tcp_flush(pair.net); /* nothing is tried before the socket is writable */
    assert_int_equal(fake.calls, 2);
    conn_ready(&pair.conn->poll, 0, UV_WRITABLE);
    net_tcp_flush(pair.net);
    assert_int_equal(fake.n_sent, 5);
    assert_int_equal(queue(&pair, "four", 4), HD_OK);
    conn_ready(&pair.conn->poll, 0, UV_WRITABLE);
    net_tcp_flush(pair.net);
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    assert_int_equal(pair.net->n_failures, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pair.net->failures[i].owner, i + 2);
    assert_false(net_tcp_waiting(pair.net));
    free_pair(&pair);
}

static void
queue_goes_on_after_a_part_has_left(void **state)
{
    struct pair pair = new_pair();
    char text[801];

    (void)state;
    memset(text, 'a', 800);
    text[800] = '\0';
    SCRIPT(700, -EAGAIN);
    assert_int_equal(queue(&pair, text, 1), HD_OK);
    net_tcp_flush(pair.net);
    memset(text, 'b', 800);
    assert_int_equal(queue(&pair, text, 2), HD_OK); /* 900 wait: below the cap */
    conn_ready(&pair.conn->poll, 0, UV_WRITABLE);
    net_tcp_flush(pair.net);
    assert_int_equal(fake.n_sent, 1600);
    assert_int_equal(fake.sent[799], 'a');
    assert_int_equal(fake.sent[800], 'b');
    assert_int_equal(pair.net->n_failures, 0);
    free_pair(&pair);
}

static void
queue_above_its_cap_ends_the_connection(void **state)
{
    struct pair pair = new_pair();
    char text[1002];

    (void)state;
    memset(text, 'a', 1001);
    text[1001] = '\0';
    assert_int_equal(queue(&pair, text, 1), HD_ERANGE); /* alone too long: only it fails */
    assert_int_equal(pair.conn->state, NET_CONN_OPEN);
    text[900] = '\0';
    assert_int_equal(queue(&pair, text, 2), HD_OK);
    assert_int_equal(queue(&pair, text, 3), HD_OK); /* the first leaves at once */
    assert_int_equal(fake.n_sent, 900);
    SCRIPT(100, -EAGAIN, -EAGAIN);
    assert_int_equal(queue(&pair, text, 4), HD_EFULL);
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    assert_int_equal(pair.net->n_failures, 1); /* the caller tells of 4 */
    assert_int_equal(pair.net->failures[0].owner, 3);
    assert_int_equal(pair.net->failures[0].err, HD_EFULL);
    free_pair(&pair);
}

static void
peer_who_pings_and_does_not_read_is_dropped(void **state)
{
    struct pair pair = new_pair();
    char ping[] = "p\n", more[] = "p\np\nline\n";

    (void)state;
    SCRIPT(-EAGAIN, -EAGAIN);
    for (unsigned i = 0; i < 500; i++)
        net_intake_take(pair.conn, ping, 2);
    net_tcp_flush(pair.net);
    assert_int_equal(pair.conn->state, NET_CONN_OPEN);
    assert_int_equal(conn_queued(pair.conn), 1000);
    net_intake_take(pair.conn, more, 9);
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    assert_int_equal(packets, 0);
    free_pair(&pair);
}

/* --- deadlines on a clock of the test ------------------------------------------------------- */

static void
give(struct pair *pair, const char *text)
{
    char *copy = strdup(text);

    net_intake_take(pair->conn, copy, strlen(text));
    free(copy);
    pair->conn->traffic_ms = pair->net->now_ms;
}

static void
deadline_of_a_message_begins_with_its_first_octet(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    give(&pair, "whole\nhalf");
    pass(&pair, 60);
    give(&pair, " and more");
    pass(&pair, 30);
    give(&pair, "\nnext"); /* whole in time, and another begins */
    assert_int_equal(packets, 2);
    pass(&pair, 99);
    assert_int_equal(pair.conn->state, NET_CONN_OPEN);
    pass(&pair, 1);
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    free_pair(&pair);
}

static void
idle_time_begins_with_the_last_octet(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    pass(&pair, 999);
    give(&pair, "line\n");
    pass(&pair, 999);
    assert_int_equal(pair.conn->state, NET_CONN_OPEN);
    pass(&pair, 1);
    assert_int_equal(pair.conn->state, NET_CONN_CLOSING);
    net_tcp_flush(pair.net);
    assert_true(pair.conn->shut);
    pass(&pair, LINGER_MS - 1);
    assert_int_equal(pair.conn->state, NET_CONN_CLOSING);
    pass(&pair, 1);
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    free_pair(&pair);
}

static void
octets_that_do_not_leave_end_the_connection_in_use(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    pair.net->params.idle_ms = 0;
    SCRIPT(1, -EAGAIN, 1, -EAGAIN);
    assert_int_equal(queue(&pair, "text", 0), HD_OK);
    net_tcp_flush(pair.net);
    pass(&pair, STUCK_MS - 1);
    assert_int_equal(pair.conn->state, NET_CONN_OPEN);
    conn_set_dirty(pair.conn);
    net_tcp_flush(pair.net); /* one octet leaves */
    pass(&pair, STUCK_MS - 1);
    assert_int_equal(pair.conn->state, NET_CONN_OPEN);
    pass(&pair, 1);
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    free_pair(&pair);
}

static void
what_a_peer_never_acknowledged_fails_with_the_connection(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    pair.net->params.idle_ms = 0;
    assert_int_equal(queue(&pair, "one", 1), HD_OK);
    assert_int_equal(queue(&pair, "two", 2), HD_OK);
    assert_int_equal(queue(&pair, "three", 3), HD_OK);
    assert_int_equal(queue(&pair, "four", 0), HD_OK);
    net_tcp_flush(pair.net);
    fake.unacked = 12; /* "one" has arrived, and a part of "two" counts for nothing */
    net_conn_drop(pair.conn, HD_EIO);
    assert_int_equal(pair.net->n_failures, 2);
    assert_int_equal(pair.net->failures[0].owner, 2);
    assert_int_equal(pair.net->failures[1].owner, 3);
    free_pair(&pair);
}

static void
end_of_our_side_is_not_an_octet_of_a_message(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    assert_int_equal(queue(&pair, "bye", 1), HD_OK);
    net_conn_close(pair.conn);
    net_tcp_flush(pair.net);
    assert_true(pair.conn->shut);
    fake.unacked = 1;
    net_conn_drop(pair.conn, HD_EIO);
    assert_int_equal(pair.net->n_failures, 0);
    free_pair(&pair);
}

static void
peer_who_acknowledges_nothing_is_given_up(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    pair.net->params.idle_ms = 0;
    fake.unacked = 3;
    assert_int_equal(queue(&pair, "one", 1), HD_OK);
    net_tcp_flush(pair.net);
    for (unsigned ms = 0; ms + ASK_MS < STUCK_MS; ms += ASK_MS) {
        pass(&pair, ASK_MS);
        assert_int_equal(pair.conn->state, NET_CONN_OPEN);
        assert_int_equal(queue(&pair, "more", 2), HD_OK); /* that it leaves is no sign of life */
        net_tcp_flush(pair.net);
        fake.unacked += 4;
    }
    pass(&pair, ASK_MS);
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    assert_int_equal(pair.net->n_failures, 8);
    free_pair(&pair);
}

static void
notes_of_owners_do_not_grow_with_what_is_acknowledged(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    for (unsigned i = 1; i < 1000; i++) {
        assert_int_equal(queue(&pair, "12345", i), HD_OK);
        net_tcp_flush(pair.net);
        fake.unacked = 10; /* always the last two */
        assert_true(pair.conn->owed_cap <= 8);
    }
    net_conn_drop(pair.conn, HD_EIO);
    assert_int_equal(pair.net->n_failures, 2);
    assert_int_equal(pair.net->failures[0].owner, 998);
    assert_int_equal(pair.net->failures[1].owner, 999);
    free_pair(&pair);
}

static void
stream_that_never_decides_is_refused(void **state)
{
    struct pair pair = new_pair();
    char *text = malloc(60001);

    (void)state;
    memset(text, 'R', 60000);
    text[60000] = '\0';
    for (unsigned i = 0; i < HELD_MARGIN / 60000; i++)
        give(&pair, text);
    assert_int_equal(pair.conn->state, NET_CONN_OPEN);
    give(&pair, text);
    assert_int_equal(pair.conn->state, NET_CONN_CLOSING);
    assert_int_equal(pair.net->counters.frames_bad, 1);
    free(text);
    free_pair(&pair);
}

/* --- memory --------------------------------------------------------------------------------- */

static void
message_without_memory_fails_alone(void **state)
{
    (void)state;
    for (long i = 0; i < 2; i++) { /* the queue, then the note of its owner */
        struct pair pair = new_pair();
        fake.allocations_left = i;
        assert_int_equal(queue(&pair, "one", 1), HD_ENOMEM);
        fake.allocations_left = -1;
        assert_int_equal(queue(&pair, "two", 2), HD_OK);
        net_tcp_flush(pair.net);
        assert_int_equal(fake.n_sent, 3);
        assert_memory_equal(fake.sent, "two", 3);
        free_pair(&pair);
    }
}

static void
stream_that_cannot_be_held_is_dropped(void **state)
{
    struct pair pair = new_pair();

    (void)state;
    fake.allocations_left = 0;
    give(&pair, "whole\n"); /* needs none */
    assert_int_equal(packets, 1);
    give(&pair, "half");
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    free_pair(&pair);
    pair = new_pair();
    fake.allocations_left = 1;
    give(&pair, "half");
    assert_int_equal(pair.conn->state, NET_CONN_OPEN);
    for (unsigned i = 0; i < 400 && pair.conn->state == NET_CONN_OPEN; i++)
        give(&pair, "more");
    assert_int_equal(pair.conn->state, NET_CONN_GONE);
    free_pair(&pair);
}

static void
connection_that_cannot_be_polled_is_not_made(void **state)
{
    struct net_shard *net = new_shard();
    struct hd_addr remote = { .family = 4 };
    struct net_conn *conn = NULL;
    int fd[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    fake.no_poll = true;
    assert_int_equal(net_conn_new(net, fd[0], HD_TCP, 0, &remote, 0, NET_CONN_OPEN, &conn),
                     HD_ENOMEM);
    assert_int_equal(close(fd[0]), -1); /* closed already */
    assert_int_equal(net->tcp.live, 0);
    close(fd[1]);
    net_shard_free(net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_a_turn_leave_in_one_write),
        cmocka_unit_test(what_has_left_whole_does_not_fail_with_its_connection),
        cmocka_unit_test(queue_goes_on_after_a_part_has_left),
        cmocka_unit_test(queue_above_its_cap_ends_the_connection),
        cmocka_unit_test(peer_who_pings_and_does_not_read_is_dropped),
        cmocka_unit_test(deadline_of_a_message_begins_with_its_first_octet),
        cmocka_unit_test(idle_time_begins_with_the_last_octet),
        cmocka_unit_test(octets_that_do_not_leave_end_the_connection_in_use),
        cmocka_unit_test(what_a_peer_never_acknowledged_fails_with_the_connection),
        cmocka_unit_test(end_of_our_side_is_not_an_octet_of_a_message),
        cmocka_unit_test(peer_who_acknowledges_nothing_is_given_up),
        cmocka_unit_test(notes_of_owners_do_not_grow_with_what_is_acknowledged),
        cmocka_unit_test(stream_that_never_decides_is_refused),
        cmocka_unit_test(message_without_memory_fails_alone),
        cmocka_unit_test(stream_that_cannot_be_held_is_dropped),
        cmocka_unit_test(connection_that_cannot_be_polled_is_not_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
