/* admin.c - clients of the admin socket: lines in, lines out.
 *
 * A client may send the next call before the last is answered; each call gets a reply object that
 * refers to the client, and a client's memory goes when its socket is closed and its last reply is
 * given.  What a client can make us keep is bounded: clients, waiting calls, the line that it
 * sends, and the answers that it does not read. Invariant: a client that is closing gets no further
 * writes and makes no further calls. */
#include "heraldd/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

#define ADMIN_MAGIC 0x41444d4eu
#define CLIENT_MAGIC 0x41434c49u
#define QUEUE_MAX ((size_t)256 * 1024 * 1024) /* octets of answers that a client has not read */
#define ERROR_TEXT 4096

struct client {
    unsigned magic;
    struct hd_admin *admin;
    struct client *next, *prev;
    uv_pipe_t pipe;
    bool closing, closed;
    unsigned calls; /* replies that are out */
    char *line;     /* what has come of the next line */
    size_t n, cap;
    char chunk[16 * 1024];
};

struct hd_admin {
    unsigned magic;
    uv_pipe_t pipe;
    hd_admin_call_f call;
    void *context;
    struct client *clients;
    unsigned n_clients;
    unsigned objects; /* clients and the socket: the memory goes with the last */
    bool closing;
};

struct hd_reply {
    struct client *client; /* NULL: take gets the answer */
    json_t *id;
    hd_reply_f take;
    void *context;
};

struct answer {
    uv_write_t write;
    char *head, *text; /* heap */
    char end[2];
};

json_t *
hd_json_slice(struct hd_slice octets)
{
    static const char unknown[] = "\xef\xbf\xbd";
    json_t *value = json_stringn(octets.p ? octets.p : "", octets.n);
    struct hd_str text = { 0 };
    size_t i = 0;

    if (value)
        return value;
    /* The longest prefixes that are UTF-8, and a mark for each octet between them. */
    while (i < octets.n) {
        size_t n = (unsigned char)octets.p[i] < 0x80 ? 1 : 4;
        json_t *part = NULL;

        for (n = n < octets.n - i ? n : octets.n - i; n > 0 && !part; n--) {
            part = json_stringn(octets.p + i, n);
            if (part)
                break;
        }
        if (part) {
            hd_str_add(&text, hd_slice(octets.p + i, n));
            json_decref(part);
            i += n;
        } else {
            hd_str_add(&text, hd_slice(unknown, sizeof(unknown) - 1));
            i++;
        }
    }
    value = text.err ? NULL : json_stringn(hd_str_text(&text), text.n);
    hd_str_done(&text);
    return value;
}

json_t *
hd_json_slices(const struct hd_slice *slices, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n && array; i++)
        if (json_array_append_new(array, hd_json_slice(slices[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    return array;
}

json_t *
hd_json_addr(const struct hd_addr *addr)
{
    char text[HD_ADDR_TEXT];

    return json_stringn(text, hd_addr_text(addr, text));
}

/* --- lives ----------------------------------------------------------------------------- */

static void
admin_drop(struct hd_admin *admin)
{
    if (--admin->objects > 0)
        return;
    admin->magic = 0;
    free(admin);
}

static void
client_drop(struct client *client)
{
    struct hd_admin *admin = client->admin;

    if (!client->closed || client->calls > 0)
        return;
    client->magic = 0;
    free(client->line);
    free(client);
    admin_drop(admin);
}

static void
client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;

    client->closed = true;
    client_drop(client);
}

static void
client_close(struct client *client)
{
    struct hd_admin *admin = client->admin;

    HD_ASSERT_OBJ(client, CLIENT_MAGIC);
    if (client->closing)
        return;
    client->closing = true;
    if (client->prev)
        client->prev->next = client->next;
    else
        admin->clients = client->next;
    if (client->next)
        client->next->prev = client->prev;
    admin->n_clients--;
    uv_close((uv_handle_t *)&client->pipe, client_closed);
}

/* --- answers --------------------------------------------------------------------------- */

static void
answer_free(struct answer *answer)
{
    if (!answer)
        return;
    free(answer->head);
    free(answer->text);
    free(answer);
}

static void
answer_written(uv_write_t *write, int status)
{
    struct answer *answer = HD_CONTAINER(write, struct answer, write);
    struct client *client = write->handle->data;

    answer_free(answer);
    if (status != 0)
        client_close(client);
}

/* What stands in front of the value; NULL: memory is short. */
static char *
head_of(const json_t *id, const char *key)
{
    char *text = json_dumps(id, JSON_COMPACT | JSON_ENCODE_ANY);
    struct hd_str head = { 0 };

    if (!text)
        return NULL;
    hd_str_add_str(&head, "{\"id\":");
    hd_str_add_str(&head, text);
    hd_str_addf(&head, ",\"%s\":", key);
    free(text);
    return hd_str_take(&head);
}

/* Takes text, a JSON value; NULL: memory was short, and the client is closed. */
static void
client_send(struct client *client, const json_t *id, const char *key, char *text, size_t n)
{
    struct answer *answer = calloc(1, sizeof(*answer));

    if (!answer) {
        free(text);
        client_close(client);
        return;
    }
    *answer = (struct answer){ .head = head_of(id, key), .text = text, .end = { '}', '\n' } };
    if (!answer->head || !text || client->closing ||
        uv_stream_get_write_queue_size((uv_stream_t *)&client->pipe) > QUEUE_MAX)
        goto out;
    const uv_buf_t bufs[] = { { .base = answer->head, .len = strlen(answer->head) },
                              { .base = text, .len = n },
                              { .base = answer->end, .len = sizeof(answer->end) } };
    if (uv_write(&answer->write, (uv_stream_t *)&client->pipe, bufs, HD_ARRAY_LEN(bufs),
                 answer_written) == 0)
        return;
out:
    answer_free(answer);
    client_close(client);
}

/* Takes text; NULL: memory was short. */
static void
reply_send(struct hd_reply *reply, bool failed, char *text, size_t n)
{
    struct client *client = reply->client;

    if (!client) {
        reply->take(reply->context, failed, text, n);
        free(reply);
        return;
    }
    HD_ASSERT_OBJ(client, CLIENT_MAGIC);
    client_send(client, reply->id, failed ? "error" : "result", text, n);
    json_decref(reply->id);
    free(reply);
    client->calls--;
    client_drop(client);
}

struct hd_reply *
hd_reply_new(hd_reply_f take, void *context)
{
    struct hd_reply *reply = calloc(1, sizeof(*reply));

    if (reply) {
        reply->take = take;
        reply->context = context;
    }
    return reply;
}

void
hd_reply_text(struct hd_reply *reply, char *text, size_t n)
{
    if (text)
        reply_send(reply, false, text, n);
    else
        hd_reply_error(reply, "memory is short");
}

void
hd_reply_result(struct hd_reply *reply, json_t *result)
{
    char *text = result ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    json_decref(result);
    hd_reply_text(reply, text, text ? strlen(text) : 0);
}

void
hd_reply_error(struct hd_reply *reply, const char *format, ...)
{
    char line[ERROR_TEXT], *text = NULL;
    json_t *value;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0)
        n = 0;
    value = hd_json_slice(hd_slice(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1));
    if (reply->client)
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    else if (value)
        text = hd_slice_strdup(hd_slice(json_string_value(value), json_string_length(value)));
    json_decref(value);
    reply_send(reply, true, text, text ? strlen(text) : 0);
}

/* --- calls ----------------------------------------------------------------------------- */

/* One line without its LF.  The client may be closed by it, not freed. */
static void
client_call(struct client *client, struct hd_slice line)
{
    struct hd_reply *reply = calloc(1, sizeof(*reply));
    json_t *args, *id, *call;
    json_error_t error;

    if (!reply) {
        client_close(client);
        return;
    }
    reply->client = client;
    reply->id = json_null();
    client->calls++;
    args = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!json_is_object(args)) {
        hd_reply_error(reply, "the line is not a JSON object: %s",
                       args ? "it is another value" : error.text);
        json_decref(args);
        return;
    }
    id = json_object_get(args, "id");
    call = json_object_get(args, "call");
    if (json_is_integer(id) || json_is_string(id))
        reply->id = json_incref(id);
    if (id && json_is_null(reply->id))
        hd_reply_error(reply, "id must be an integer or a string");
    else if (!json_is_string(call))
        hd_reply_error(reply, "call must be the name of a call");
    else if (client->calls > HD_ADMIN_CALLS)
        hd_reply_error(reply, "more than %d calls wait for their answer", HD_ADMIN_CALLS);
    else
        client->admin->call(client->admin->context, reply, json_string_value(call), args);
    json_decref(args);
}

static bool
client_keep(struct client *client, struct hd_slice octets)
{
    if (octets.n == 0)
        return true;
    if (client->n + octets.n >= HD_ADMIN_LINE_MAX) /* the LF counts */
        return false;
    if (client->n + octets.n > client->cap) {
        size_t cap = (client->n + octets.n) * 2;
        char *line = realloc(client->line, cap);

        if (!line)
            return false;
        client->line = line;
        client->cap = cap;
    }
    memcpy(client->line + client->n, octets.p, octets.n);
    client->n += octets.n;
    return true;
}

static void
client_take(struct client *client, struct hd_slice octets)
{
    while (octets.n > 0 && !client->closing) {
        size_t end = hd_slice_find(octets, '\n');
        bool whole = end < octets.n;

        if (!client_keep(client, hd_slice(octets.p, end))) {
            HD_LOG_PLAIN(HD_WARN, "a client of the admin socket sent a line that is too long");
            client_close(client);
            return;
        }
        octets = hd_slice_from(octets, whole ? end + 1 : end);
        if (!whole)
            return;
        if (client->n > 0)
            client_call(client, hd_slice(client->line, client->n));
        client->n = 0;
    }
}

static void
client_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *client = handle->data;

    (void)suggested;
    *buf = uv_buf_init(client->chunk, sizeof(client->chunk));
}

static void
client_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = stream->data;

    HD_ASSERT_OBJ(client, CLIENT_MAGIC);
    if (n < 0) {
        client_close(client);
        return;
    }
    client->calls++; /* holds the client while its calls are answered at once */
    client_take(client, hd_slice(buf->base, (size_t)n));
    client->calls--;
    client_drop(client);
}

static void
accept_client(uv_stream_t *stream, int status)
{
    struct hd_admin *admin = stream->data;
    struct client *client;

    if (status != 0 || admin->closing)
        return;
    client = calloc(1, sizeof(*client));
    if (!client)
        return;
    client->magic = CLIENT_MAGIC;
    client->admin = admin;
    client->pipe.data = client;
    if (uv_pipe_init(stream->loop, &client->pipe, 0) != 0) {
        free(client);
        return;
    }
    client->pipe.data = client;
    client->next = admin->clients;
    if (client->next)
        client->next->prev = client;
    admin->clients = client;
    admin->n_clients++;
    admin->objects++;
    if (uv_accept(stream, (uv_stream_t *)&client->pipe) != 0 ||
        admin->n_clients > HD_ADMIN_CLIENTS ||
        uv_read_start((uv_stream_t *)&client->pipe, client_room, client_read) != 0)
        client_close(client);
}

/* --- the socket ------------------------------------------------------------------------ */

/* Removes a socket that nobody answers on; one that somebody answers on is a live daemon's. */
static enum hd_err
clear_path(const char *path, char problem[256])
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct stat st;
    int fd, rc, why;

    if (lstat(path, &st) != 0)
        return HD_OK; /* binding will say what is wrong */
    if (!S_ISSOCK(st.st_mode)) {
        (void)snprintf(problem, 256, "admin socket %s: something else is there", path);
        return HD_EIO;
    }
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        (void)snprintf(problem, 256, "admin socket %s: %s", path, strerror(errno));
        return HD_EIO;
    }
    rc = connect(fd, (const struct sockaddr *)&addr, sizeof(addr));
    why = errno;
    (void)close(fd);
    if (rc != 0 && why == ECONNREFUSED)
        (void)unlink(path);
    else if (rc == 0 || why == EAGAIN) {
        (void)snprintf(problem, 256, "admin socket %s: another daemon answers on it", path);
        return HD_EIO;
    }
    return HD_OK;
}

static void
admin_closed(uv_handle_t *handle)
{
    admin_drop(handle->data);
}

enum hd_err
hd_admin_new(uv_loop_t *loop, const char *path, hd_admin_call_f call, void *context,
             char ret_problem[256], struct hd_admin **ret_admin)
{
    struct hd_admin *admin;
    mode_t mask;
    int rc;

    if (clear_path(path, ret_problem))
        return HD_EIO;
    admin = calloc(1, sizeof(*admin));
    if (!admin)
        return HD_ENOMEM;
    admin->magic = ADMIN_MAGIC;
    admin->call = call;
    admin->context = context;
    admin->objects = 1;
    if (uv_pipe_init(loop, &admin->pipe, 0) != 0) {
        free(admin);
        return HD_ENOMEM;
    }
    admin->pipe.data = admin;
    /* The mode is right from the first moment: nobody else gets in between bind and chmod. */
    mask = umask(0177);
    rc = uv_pipe_bind(&admin->pipe, path);
    (void)umask(mask);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&admin->pipe, 16, accept_client);
    if (rc != 0) {
        (void)snprintf(ret_problem, 256, "admin socket %s: %s", path, uv_strerror(rc));
        hd_admin_close(admin);
        return HD_EIO;
    }
    *ret_admin = admin;
    return HD_OK;
}

void
hd_admin_close(struct hd_admin *admin)
{
    if (!admin)
        return;
    HD_ASSERT_OBJ(admin, ADMIN_MAGIC);
    if (admin->closing)
        return;
    admin->closing = true;
    while (admin->clients)
        client_close(admin->clients);
    uv_close((uv_handle_t *)&admin->pipe, admin_closed);
}
