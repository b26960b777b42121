/* fuzz_hd_admin.c - the admin socket: whatever a client sends, in pieces of any size, each line has
 * one answer, which is one line of JSON with the id that it was asked with; calls that are answered
 * later, or never before the client has gone, leave nothing behind. */
#include "fuzz.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "heraldd/admin.h"

#define LATER_MAX 16
#define ROUNDS 64

struct bench {
    uv_loop_t loop;
    struct hd_admin *admin;
    char path[64];
    struct hd_reply *later[LATER_MAX];
    unsigned n_later;
};

static struct bench bench;

static void
take_call(void *context, struct hd_reply *reply, const char *call, json_t *args)
{
    struct bench *b = context;

    if (strcmp(call, "later") == 0 && b->n_later < LATER_MAX)
        b->later[b->n_later++] = reply;
    else if (strcmp(call, "echo") == 0)
        hd_reply_result(reply, json_incref(args));
    else
        hd_reply_error(reply, "no call is named %s", call);
}

static void
answer_later(struct bench *b)
{
    while (b->n_later > 0)
        hd_reply_result(b->later[--b->n_later], json_string("at last"));
}

static void
bench_close(void)
{
    hd_admin_close(bench.admin);
    (void)uv_run(&bench.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&bench.loop);
    (void)unlink(bench.path);
}

static void
bench_open(struct bench *b)
{
    char problem[256];

    if (b->admin)
        return;
    FUZZ_CHECK(uv_loop_init(&b->loop) == 0);
    (void)snprintf(b->path, sizeof(b->path), "/tmp/fuzz-admin-%d.sock", (int)getpid());
    FUZZ_CHECK(hd_admin_new(&b->loop, b->path, take_call, b, problem, &b->admin) == HD_OK);
    (void)atexit(bench_close);
}

/* A client's end, whose other one the daemon has taken. */
static int
client_open(struct bench *b)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    FUZZ_CHECK(fd >= 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", b->path);
    FUZZ_CHECK(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0);
    return fd;
}

static void
run_loop(struct bench *b)
{
    for (unsigned i = 0; i < ROUNDS && uv_run(&b->loop, UV_RUN_NOWAIT); i++)
        if (uv_backend_timeout(&b->loop) != 0 && i > 3)
            break;
}

/* Lines that are to be answered: those that are not empty. */
static size_t
count_lines(const uint8_t *data, size_t size)
{
    size_t n = 0, begin = 0;

    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\n')
            continue;
        n += i > begin;
        begin = i + 1;
    }
    return n;
}

static size_t
check_answers(const char *text, size_t n)
{
    size_t lines = 0;

    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        json_error_t error;
        FUZZ_CHECK(end != NULL);
        json_t *answer = json_loadb(text, (size_t)(end - text), JSON_ALLOW_NUL, &error);
        FUZZ_CHECK(json_is_object(answer) && json_object_size(answer) == 2);
        FUZZ_CHECK(json_object_get(answer, "id") != NULL);
        FUZZ_CHECK(json_object_get(answer, "result") || json_object_get(answer, "error"));
        json_decref(answer);
        n -= (size_t)(end + 1 - text);
        text = end + 1;
        lines++;
    }
    return lines;
}

static void
take_answers(int fd, char **text, size_t *n)
{
    char piece[4096];

    for (ssize_t got; (got = read(fd, piece, sizeof(piece))) > 0; *n += (size_t)got) {
        char *grown = realloc(*text, *n + (size_t)got);
        FUZZ_CHECK(grown != NULL);
        memcpy(grown + *n, piece, (size_t)got);
        *text = grown;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench *b = &bench;
    char *text = NULL;
    size_t n = 0, sent = 0;

    if (size < 2)
        return 0;
    const size_t piece = 1 + data[0] * 16u;
    const bool leaves = data[1] & 1;
    data += 2;
    size -= 2;
    bench_open(b);
    int fd = client_open(b);
    while (sent < size) {
        const size_t most = size - sent < piece ? size - sent : piece;
        const ssize_t put = write(fd, data + sent, most);
        FUZZ_CHECK(put >= 0);
        sent += (size_t)put;
        run_loop(b);
        take_answers(fd, &text, &n);
    }
    run_loop(b);
    if (leaves) { /* before all are answered */
        (void)close(fd);
        run_loop(b);
        answer_later(b);
    } else {
        answer_later(b);
        run_loop(b);
        take_answers(fd, &text, &n);
        FUZZ_CHECK(check_answers(text, n) == count_lines(data, size));
        (void)close(fd);
    }
    run_loop(b);
    free(text);
    return 0;
}
