/* server.c - the thread of the HTTP face: its socket, its connections, its mailbox.
 *
 * libmicrohttpd does HTTP and TLS; this thread drives it from one poll, beside the mailbox in which
 * the shards and the main thread answer.  Every connection has a deadline for what it does now: for
 * sending a whole request, for the next one, for reading an answer.  Who misses it is shut down,
 * however slowly he goes on sending or reading.  Invariant: a request whose ask or job is out is
 * suspended, and freed only when that is back. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/core.h"
#include "store/outbox.h"

#define TICK_MS 250u
#define STOP_MS 1000u

struct api_settings
api_settings_default(void)
{
    return (struct api_settings){ .connections = 256,
                                  .connections_per_source = 32,
                                  .requests_per_s = 50,
                                  .requests_burst = 200,
                                  .head_size = 16384,
                                  .idle_ms = 60000,
                                  .request_ms = 15000,
                                  .stall_ms = 30000,
                                  .ping_ms = 15000,
                                  .hook_retry_ms = 1000,
                                  .hook_attempts = 10,
                                  .hook_timeout_ms = 10000 };
}

static uint64_t
clock_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
tick_clock(struct api *api)
{
    api->now_us = clock_us();
    api->now_ms = api->now_us / 1000;
}

/* --- connections ----------------------------------------------------------------------------- */

struct hd_addr
api_addr_of(const struct sockaddr *sa)
{
    struct hd_addr addr = { 0 };

    if (sa && sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        memcpy(addr.ip, &in.sin_addr, 4);
        addr.family = 4;
        addr.port = ntohs(in.sin_port);
    } else if (sa && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        memcpy(addr.ip, &in6.sin6_addr, 16);
        addr.family = 6;
        addr.port = ntohs(in6.sin6_port);
    }
    return addr;
}

static void
conn_begin(struct api *api, struct MHD_Connection *connection, void **socket_context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct api_conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return; /* its requests are refused */
    conn->api = api;
    conn->connection = connection;
    conn->fd = info ? info->connect_fd : -1;
    conn->deadline_ms = api->now_ms + api->settings->request_ms;
    conn->next = api->conns;
    if (conn->next)
        conn->next->prev = conn;
    api->conns = conn;
    *socket_context = conn;
    API_ADD(api, connections, 1);
}

static void
conn_end(struct api *api, struct api_conn *conn)
{
    if (!conn)
        return;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        api->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    API_ADD(api, connections, -1);
    free(conn);
}

static void
on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
              enum MHD_ConnectionNotificationCode code)
{
    struct api *api = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        conn_begin(api, connection, socket_context);
    else
        conn_end(api, *socket_context);
}

/* Before a byte is read: a source that spent its budget of failures is not answered. */
static enum MHD_Result
on_accept(void *context, const struct sockaddr *sa, socklen_t n)
{
    struct api *api = context;
    struct hd_addr addr = api_addr_of(sa);

    (void)n;
    tick_clock(api);
    if (api_source_allowed(api, &addr) && !api->stopping)
        return MHD_YES;
    API_COUNT(api, unanswered);
    return MHD_NO;
}

static struct api_conn *
conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

struct api *
api_of_connection(struct MHD_Connection *connection)
{
    const struct api_conn *conn = connection ? conn_of(connection) : NULL;

    return conn ? conn->api : NULL;
}

/* Ends whatever it does; MHD finds that out and cleans up. */
static void
conn_shut(struct api *api, struct api_conn *conn)
{
    API_COUNT(api, slow);
    conn->deadline_ms = UINT64_MAX;
    if (conn->fd >= 0)
        (void)shutdown(conn->fd, SHUT_RDWR);
}

/* --- requests -------------------------------------------------------------------------------- */

/* The request line is there. */
static void *
on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct api *api = context;
    size_t n = strlen(target); /* MHD's own string */
    struct api_request *request = calloc(1, sizeof(*request) + n);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    if (!request)
        return NULL;
    request->magic = API_REQUEST_MAGIC;
    request->api = api;
    request->connection = connection;
    request->conn = conn_of(connection);
    memcpy(request->octets, target, n);
    request->raw = hd_slice(request->octets, n);
    request->flow = (struct hd_flow){ .transport = HD_HTTP,
                                      .listener = EVT_ASK_NO_LISTENER,
                                      .conn = 1,
                                      .local = api->bound,
                                      .remote = api_addr_of(info ? info->client_addr : NULL) };
    if (request->conn) {
        request->conn->request = request;
        request->conn->deadline_ms = api->now_ms + api->settings->request_ms;
    }
    return request;
}

static void
on_completed(void *context, struct MHD_Connection *connection, void **request_context,
             enum MHD_RequestTerminationCode code)
{
    struct api *api = context;
    struct api_request *request = *request_context;

    (void)connection;
    (void)code;
    if (!request)
        return;
    *request_context = NULL;
    if (request->conn) {
        request->conn->request = NULL;
        request->conn->deadline_ms = api->now_ms + api->settings->idle_ms;
    }
    request->conn = NULL;
    request->connection = NULL;
    request->gone = true;
    api_request_free(request);
}

static enum MHD_Result
queue_answer(struct api_request *request)
{
    enum MHD_Result result;

    if (request->conn)
        request->conn->deadline_ms = request->api->now_ms + request->api->settings->stall_ms;
    if (request->state == API_STREAMING)
        return api_stream_begin(request);
    HD_ASSERT(request->response);
    result = MHD_queue_response(request->connection, request->status, request->response);
    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

/* Takes what has come of the body; false: it is too large, and answered. */
static bool
take_body(struct api_request *request, const char *octets, size_t n)
{
    if (request->body.n + n <= request->api->settings->max_body) {
        hd_str_add(&request->body, hd_slice(octets, n));
        return true;
    }
    if (!request->dispatched) {
        request->dispatched = true;
        API_COUNT(request->api, too_large);
        api_problem(request, 413, "at most %u octets are taken",
                    (unsigned)request->api->settings->max_body);
    }
    return false;
}

static enum MHD_Result
on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *octets, size_t *n, void **request_context)
{
    struct api *api = context;
    struct api_request *request = *request_context;
    size_t method_n = strlen(method);

    (void)url;
    (void)version;
    (void)connection;
    if (!request || !request->conn)
        return MHD_NO; /* memory is short */
    HD_ASSERT_OBJ(request, API_REQUEST_MAGIC);
    if (!request->method_name[0]) { /* the head is there, the body is not */
        memcpy(request->method_name, method,
               method_n < sizeof(request->method_name) ? method_n
                                                       : sizeof(request->method_name) - 1);
        request->method = api_method_read(hd_slice(method, method_n));
        API_COUNT(api, requests);
        return MHD_YES;
    }
    if (*n > 0) { /* one that is too large is read to its end all the same, within its time */
        (void)take_body(request, octets, *n);
        *n = 0;
        return MHD_YES;
    }
    if (!request->dispatched) {
        request->dispatched = true;
        api_dispatch(request);
    }
    switch (request->state) {
    case API_READING:
    case API_WAITING:
        return MHD_YES; /* suspended */
    case API_ANSWERED:
    case API_STREAMING:
        return queue_answer(request);
    }
    return MHD_NO;
}

/* Escapes are undone by our own reader. */
static size_t
keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

/* Streams of tokens that are there no more, nor their user.  Who has shown his password is asked
 * for it again when his subscription ends, as on SIP. */
static void
end_strangers(struct api *api)
{
    const struct pol_settings *settings = api->config->policy;

    for (struct api_conn *conn = api->conns; conn; conn = conn->next) {
        const struct api_request *request = conn->request;
        if (!request || !request->stream || !request->token[0])
            continue;
        if (!pol_book_user(settings->book, hd_slice_str(request->user)) ||
            !api_book_token_by_id(api->book, request->token))
            api_stream_end(conn->request, HD_LIT("rejected"));
    }
}

/* --- the thread ------------------------------------------------------------------------------ */

static void
take_mail(struct api *api, struct hd_mail *mail)
{
    switch ((enum api_mail_kind)mail->kind) {
    case API_MAIL_ASKED: {
        struct evt_ask *ask = HD_CONTAINER(mail, struct evt_ask, mail);
        struct api_request *request = HD_CONTAINER(ask, struct api_request, ask);
        api->out--;
        request->asking = false;
        if (request->gone)
            api_request_free(request);
        else
            api_events_asked(request);
        return;
    }
    case API_MAIL_SUB:
        api_sub_answered(api, HD_CONTAINER(mail, struct evt_ask, mail));
        return;
    case API_MAIL_TIDINGS:
        api_sub_told(api, HD_CONTAINER(mail, struct api_tidings, mail));
        return;
    case API_MAIL_JOB:
        api->out--;
        api_jobs_done(api, HD_CONTAINER(mail, struct api_job, mail));
        return;
    case API_MAIL_CONFIG: {
        struct api_news *news = HD_CONTAINER(mail, struct api_news, mail);
        evt_config_unref(api->config);
        api->config = news->config;
        free(news);
        end_strangers(api);
        return;
    }
    case API_MAIL_BOOK: {
        struct api_news *news = HD_CONTAINER(mail, struct api_news, mail);
        (void)api_book_unref(api->book);
        api->book = news->book;
        free(news);
        if (!api->stopping)
            api_hooks_book(api);
        end_strangers(api);
        return;
    }
    case API_MAIL_QUERY:
        api_hooks_query(api, HD_CONTAINER(mail, struct api_query, mail));
        return;
    case API_MAIL_CERTIFICATE:
        api_certificate_take(api, mail);
        return;
    case API_MAIL_KEPT:
        api_hooks_kept(api, mail);
        return;
    case API_MAIL_STOP:
        api->stopping = true;
        api->stop_ms = api->now_ms + STOP_MS;
        return;
    }
}

static void
drain(struct api *api)
{
    struct hd_mail *mail;

    hd_mailbox_awake(&api->box);
    while ((mail = hd_mailbox_take(&api->box)))
        take_mail(api, mail);
}

/* Whether its peer has gone.  Nobody looks at a connection that is suspended; whoever listens to
 * events and says that he will send no more is gone as well. */
static bool
conn_gone(const struct api_conn *conn)
{
    struct pollfd fd = { .fd = conn->fd, .events = POLLRDHUP };

    return poll(&fd, 1, 0) == 1 && fd.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* Those whose time is over, and streams that have not said anything for a while. */
static void
tick(struct api *api)
{
    struct api_conn *next;

    if (api->now_ms < api->tick_ms)
        return;
    api->tick_ms = api->now_ms + TICK_MS;
    for (struct api_conn *conn = api->conns; conn; conn = next) {
        next = conn->next;
        if (conn->request && conn->request->stream && !conn_gone(conn))
            api_stream_tick(conn->request);
        else if (conn->request && conn->request->stream)
            api_stream_end(conn->request, HD_LIT("gone"));
        if (api->now_ms >= conn->deadline_ms)
            conn_shut(api, conn);
    }
}

static void
end_streams(struct api *api)
{
    for (struct api_conn *conn = api->conns; conn; conn = conn->next)
        if (conn->request && conn->request->stream)
            api_stream_end(conn->request, HD_LIT("stopping"));
}

/* Without connections and webhooks it sleeps until somebody wakes it. */
static int
wait_ms(struct api *api)
{
    unsigned MHD_LONG_LONG until;
    int ms = api->conns ? (int)TICK_MS : api_hooks_wait_ms(api);

    if (api->stopping)
        ms = 20;
    if (MHD_get_timeout(api->daemon, &until) == MHD_YES && until < (unsigned)ms)
        ms = (int)until;
    return ms;
}

static void *
run(void *context)
{
    struct api *api = context;
    struct curl_waitfd fds[2] = { { .fd = api->wake_fd, .events = CURL_WAIT_POLLIN },
                                  { .fd = api->epoll_fd, .events = CURL_WAIT_POLLIN } };
    uint64_t count;

    (void)pthread_setname_np(pthread_self(), "http");
    tick_clock(api);
    api_hooks_book(api);
    for (;;) {
        tick_clock(api);
        drain(api);
        if (api->stopping) {
            end_streams(api);
            api_hooks_stop(api);
            if (api->out == 0 || api->now_ms >= api->stop_ms)
                break;
        }
        (void)MHD_run(api->daemon);
        api_hooks_run(api);
        tick(api);
        if (!hd_mailbox_sleep(&api->box))
            continue;
        api_hooks_wait(api, fds, HD_ARRAY_LEN(fds), wait_ms(api));
        (void)!read(api->wake_fd, &count, sizeof(count));
    }
    (void)MHD_run(api->daemon); /* what was answered last leaves */
    return NULL;
}

/* Called by whoever posts to the mailbox. */
static void
wake(void *context)
{
    const struct api *api = context;
    uint64_t one = 1;

    (void)!write(api->wake_fd, &one, sizeof(one));
}

/* --- opening --------------------------------------------------------------------------------- */

static int
open_socket(const struct hd_addr *addr, struct hd_addr *ret_bound)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t n;
    int one = 1, fd;

    if (addr->family == 4) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(addr->port) };
        memcpy(&in.sin_addr, addr->ip, 4);
        memcpy(&sa, &in, sizeof(in));
        n = sizeof(in);
    } else {
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(addr->port) };
        memcpy(&in6.sin6_addr, addr->ip, 16);
        memcpy(&sa, &in6, sizeof(in6));
        n = sizeof(in6);
    }
    fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (addr->family == 6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&sa, n) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &n) != 0) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return -1;
    }
    *ret_bound = api_addr_of((const struct sockaddr *)&sa);
    return fd;
}

static enum hd_err
open_daemon(struct api *api, char problem[256])
{
    const struct api_settings *s = api->settings;
    char text[HD_ADDR_TEXT];
    const union MHD_DaemonInfo *info;
    int fd = open_socket(&s->addr, &api->bound);

    (void)hd_addr_text(&s->addr, text);
    if (fd < 0) {
        (void)snprintf(problem, 256, "http %s: %s", text, strerror(errno));
        return HD_EIO;
    }
    api->secure = api->certificate != NULL;
    union {
        gnutls_certificate_retrieve_function3 *function;
        void *pointer;
    } giver = { .function = api_certificate_giver() };
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, giver.pointer },
        { MHD_OPTION_END, 0, NULL },
    };
    struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };
    api->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (api->secure ? MHD_USE_TLS : 0), 0, on_accept,
        api, on_request, api, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)s->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)s->connections_per_source, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)s->head_size + 4096, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)((s->idle_ms > s->stall_ms ? s->idle_ms : s->stall_ms) / 1000 + 60),
        MHD_OPTION_URI_LOG_CALLBACK, on_target, api, MHD_OPTION_NOTIFY_COMPLETED, on_completed, api,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, api, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, api, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY,
        api->secure ? tls : none, MHD_OPTION_END);
    if (!api->daemon) {
        (void)snprintf(problem, 256, "http %s: the server cannot be started", text);
        (void)close(fd);
        return HD_EIO;
    }
    info = MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    HD_ASSERT(info);
    api->epoll_fd = info->epoll_fd;
    return HD_OK;
}

enum hd_err
api_new(const struct api_params *params, char ret_problem[256], struct api **ret_api)
{
    struct api *api = calloc(1, sizeof(*api));
    enum hd_err err = HD_ENOMEM;

    if (!api)
        return HD_ENOMEM;
    api->magic = API_MAGIC;
    api->settings = params->settings;
    api->keys = params->keys;
    api->post = params->post;
    api->post_context = params->context;
    hd_rng_init(&api->rng, params->entropy, NULL);
    hd_mailbox_init(&api->box, wake, api);
    tick_clock(api);
    api->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    api->policy = pol_shard_new(&(struct pol_shard_params){ .index = 0,
                                                            .shards = 1,
                                                            .id_key = params->keys.id,
                                                            .table_key = params->keys.table,
                                                            .epoch = ~params->epoch,
                                                            .entropy = params->entropy });
    api->epoch = params->epoch;
    api->book = api_book_ref(params->book);
    if (api->policy && api->wake_fd >= 0)
        err =
            api_hooks_new(api,
                          params->outbox ? &(struct sto_outbox_params){ .path = params->outbox,
                                                                        .durable = params->durable }
                                         : NULL,
                          ret_problem);
    if (!err)
        err = api_certificate_read(api->settings, ret_problem, &api->certificate);
    if (!err)
        err = open_daemon(api, ret_problem);
    if (err) {
        api_free(api);
        return err;
    }
    *ret_api = api;
    return HD_OK;
}

enum hd_err
api_start(struct api *api, struct evt_shard *shard, struct evt_config *config)
{
    sigset_t all, before;

    HD_ASSERT_OBJ(api, API_MAGIC);
    api->shard = shard;
    api->config = evt_config_ref(config);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    api->runs = api_hooks_start(api) == HD_OK && pthread_create(&api->thread, NULL, run, api) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return api->runs ? HD_OK : HD_EIO;
}

enum hd_err
api_configure(struct api *api, struct evt_config *config)
{
    struct api_news *news = calloc(1, sizeof(*news));

    if (!news)
        return HD_ENOMEM;
    news->mail.kind = API_MAIL_CONFIG;
    news->config = evt_config_ref(config);
    hd_mailbox_post(&api->box, &news->mail);
    return HD_OK;
}

enum hd_err
api_take_book(struct api *api, struct api_book *book)
{
    struct api_news *news = calloc(1, sizeof(*news));

    if (!news)
        return HD_ENOMEM;
    news->mail.kind = API_MAIL_BOOK;
    news->book = api_book_ref(book);
    hd_mailbox_post(&api->box, &news->mail);
    return HD_OK;
}

void
api_ask(struct api *api, struct api_query *query)
{
    query->mail.kind = API_MAIL_QUERY;
    hd_mailbox_post(&api->box, &query->mail);
}

void
api_stop(struct api *api)
{
    if (!api || !api->runs)
        return;
    HD_ASSERT_OBJ(api, API_MAGIC);
    api->stop.kind = API_MAIL_STOP;
    hd_mailbox_post(&api->box, &api->stop);
    (void)pthread_join(api->thread, NULL);
    api->runs = false;
    api_hooks_settle(api); /* whoever asked for a copy is told while he can be */
    /* MHD wants nobody suspended when it stops. */
    for (struct api_conn *conn = api->conns; conn; conn = conn->next)
        if (conn->request && conn->request->state == API_WAITING)
            MHD_resume_connection(conn->connection);
    MHD_stop_daemon(api->daemon);
    api->daemon = NULL;
}

void
api_free(struct api *api)
{
    if (!api)
        return;
    api_stop(api);
    if (api->daemon)
        MHD_stop_daemon(api->daemon);
    api->stopping = true;
    for (int i = 0; i < 2; i++) { /* what was still out; it may be the last thing to be kept */
        api_hooks_settle(api);
        drain(api);
    }
    api_hooks_free(api);
    api_subs_done(api);
    pol_shard_free(api->policy);
    evt_config_unref(api->config);
    (void)api_book_unref(api->book);
    api_certificate_free(api->certificate);
    if (api->wake_fd >= 0)
        (void)close(api->wake_fd);
    api->magic = 0;
    free(api);
}

const struct api_counters *
api_counters(const struct api *api)
{
    return &api->counters;
}
