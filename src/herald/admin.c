/* admin.c - a line of JSON to the daemon, a line back. */
#include "herald/admin.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "herald/text.h"
#include "herald/tool.h"

#define ANSWER_MAX (256u << 20) /* octets; a list of subscriptions may be long */
#define WAIT_S 30

const char *
admin_socket(const char *path)
{
    static const char near[] = "run/herald.sock", installed[] = "/run/herald/herald.sock";
    const char *set = getenv("HERALD_SOCKET");
    if (path)
        return path;
    if (set && *set)
        return set;
    return access(near, F_OK) == 0 ? near : installed;
}

static int
connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof addr.sun_path) {
        tool_problem("%s: the path of a socket has at most %zu octets", path,
                     sizeof addr.sun_path - 1);
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)(const void *)&addr, sizeof addr) == 0)
        return fd;
    tool_problem("%s: %s%s", path, strerror(errno),
                 errno == ENOENT || errno == ECONNREFUSED
                     ? " (is heraldd running? --socket or $HERALD_SOCKET names its socket)"
                     : "");
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool
write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static uint64_t
clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* One line into str; TOOL_OK, or the tool_exit after a message. */
static int
read_line(int fd, struct hd_str *str, uint32_t wait_s)
{
    static char chunk[65536];
    uint64_t until = clock_ms() + (uint64_t)wait_s * 1000;
    while (str->n < ANSWER_MAX) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        uint64_t now = clock_ms();
        if (now >= until) {
            tool_problem("the daemon does not answer");
            return TOOL_TIMEOUT;
        }
        uint64_t left = until - now < WAIT_S * 1000 ? until - now : WAIT_S * 1000;
        if (poll(&ready, 1, (int)left) <= 0)
            continue;
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0) {
            tool_problem("the daemon closed the connection");
            return TOOL_FAILED;
        }
        size_t line = hd_slice_find(hd_slice(chunk, (size_t)got), '\n');
        hd_str_add(str, hd_slice(chunk, line));
        if (str->err) {
            tool_problem("out of memory");
            return TOOL_FAILED;
        }
        if (line < (size_t)got)
            return TOOL_OK;
    }
    tool_problem("the daemon's answer is too long");
    return TOOL_FAILED;
}

static int
answer_read(struct hd_slice line, json_t **ret_result)
{
    json_t *answer = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
    json_t *error = json_object_get(answer, "error");
    json_t *result = json_object_get(answer, "result");
    int code = TOOL_FAILED;

    if (json_is_string(error)) {
        char *shown =
            text_escaped(hd_slice(json_string_value(error), json_string_length(error)), true);
        tool_problem("%s", shown ? shown : "");
        free(shown);
    } else if (result) {
        *ret_result = json_incref(result);
        code = TOOL_OK;
    } else {
        tool_problem("the daemon's answer cannot be understood");
    }
    json_decref(answer);
    return code;
}

int
admin_call(const char *path, const char *call, json_t *args, json_t **ret_result)
{
    return admin_call_long(path, call, args, WAIT_S, ret_result);
}

int
admin_call_long(const char *path, const char *call, json_t *args, uint32_t wait_s,
                json_t **ret_result)
{
    int code = TOOL_UNREACHABLE;
    struct hd_str line;
    char *request = NULL;
    int fd = -1;

    hd_str_init(&line);
    if (!args || json_object_set_new(args, "id", json_integer(1)) ||
        json_object_set_new(args, "call", json_string(call)) ||
        !(request = json_dumps(args, JSON_COMPACT))) {
        tool_problem("%s: an argument is not UTF-8, or memory is short", call);
        code = TOOL_FAILED;
        goto out;
    }
    fd = connect_to(admin_socket(path));
    if (fd < 0)
        goto out;
    if (!write_all(fd, request, strlen(request)) || !write_all(fd, "\n", 1)) {
        tool_problem("the daemon closed the connection: %s", strerror(errno));
        code = TOOL_FAILED;
        goto out;
    }
    code = read_line(fd, &line, wait_s);
    if (!code)
        code = answer_read(hd_str_slice(&line), ret_result);
out:
    if (fd >= 0)
        close(fd);
    if (request)
        explicit_bzero(request, strlen(request)); /* it may hold a password */
    free(request);
    hd_str_done(&line);
    json_decref(args);
    return code;
}
