/* core.h - what the files of the HTTP face share.  Private to http/.
 * Thread: the face's own, but for the ends of mailboxes. */
#ifndef HD_HTTP_CORE_H
#define HD_HTTP_CORE_H

#include <curl/curl.h>
#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <pthread.h>

#include "base/rng.h"
#include "base/str.h"
#include "event/ask.h"
#include "http/api.h"
#include "http/book.h"
#include "http/route.h"
#include "policy/policy.h"

#define API_MAGIC 0x48415049u
#define API_REQUEST_MAGIC 0x48524551u

enum api_mail_kind {
    API_MAIL_ASKED = 1, /* an ask of a request is answered */
    API_MAIL_SUB,       /* one of a subscription */
    API_MAIL_TIDINGS,
    API_MAIL_JOB,
    API_MAIL_CONFIG,
    API_MAIL_BOOK,
    API_MAIL_QUERY,
    API_MAIL_KEPT, /* what waits for webhooks, or could not be */
    API_MAIL_CERTIFICATE,
    API_MAIL_STOP
};

/* --- subscriptions (sub.c) ------------------------------------------------------------------- */

/* What a subscription was told: on its way between the threads, then its owner's. */
struct api_tidings {
    struct hd_mail mail;
    struct evt_tidings t; /* slices point behind it */
    char octets[];
};

struct api_sub;
struct api_sub_ops {
    /** It was refused, as its ask says; it is closed by this. */
    void (*refused)(void *owner, const struct evt_ask *ask);
    /** What it is told; tidings are the owner's to free.  api_sub_taken says when it has arrived.
     */
    void (*told)(void *owner, struct api_tidings *tidings);
    /** It is gone without a word; it is closed by this. */
    void (*gone)(void *owner);
};
/* What is asked for; copied. */
struct api_wish {
    struct evt_identity identity;
    struct hd_addr remote;
    struct hd_slice key, package, filter, filter_type, profile, target;
    struct sip_rates rates;
    uint32_t expires_s;
    uint8_t types;
};
/** Subscribes; NULL: memory is short, or too many. */
struct api_sub *api_sub_new(struct api *api, const struct api_wish *wish,
                            const struct api_sub_ops *ops, void *owner);
void api_sub_taken(struct api_sub *sub);
/** Ends it, the owner hears no more.  Accepts NULL. */
void api_sub_close(struct api_sub *sub);
void api_sub_answered(struct api *api, struct evt_ask *ask);
void api_sub_told(struct api *api, struct api_tidings *tidings);
/** At the end, when no shard is there any more. */
void api_subs_done(struct api *api);

/* --- requests (request.c) -------------------------------------------------------------------- */

enum api_state {
    API_READING = 0, /* its body */
    API_WAITING,     /* for the core or the main thread; its connection is suspended */
    API_ANSWERED,    /* response and status are there */
    API_STREAMING
};

struct api_conn;
struct api_request {
    unsigned magic;
    struct api *api;
    struct MHD_Connection *connection;
    struct api_conn *conn;
    enum api_state state;
    unsigned method;
    char method_name[12];
    bool dispatched;
    struct hd_slice raw; /* the target as it came, behind the struct */
    struct hd_str body;
    struct hd_flow flow;
    struct evt_identity identity;
    unsigned scopes;              /* enum api_scope */
    char token[API_ENTRY_ID + 1]; /* the token's name; empty: digest */
    char user[POL_NAME_MAX + 1];  /* the token's */
    /* the answer */
    unsigned status;
    struct MHD_Response *response;
    /* what is under way */
    struct evt_ask ask;
    bool asking; /* ask or job is out: it is freed when that is back */
    struct api_job job;
    char *job_name;
    struct api_sub *sub;
    struct api_stream *stream;
    char key[SIP_KEY_MAX];
    size_t key_n;
    const struct evt_package *package; /* valid until it is dispatched */
    struct hd_slice etag, etags;       /* of If-Match, the first and the others; borrowed */
    struct hd_slice seen;              /* If-None-Match or Last-Event-ID; borrowed */
    bool gone;                         /* its connection is */
    struct api_target target;
    char octets[];
};

struct hd_slice api_field(const struct api_request *request, const char *name);
/** Whether somebody without credentials may look on from there; he has the right then. */
bool api_looks_on(struct api_request *request);
/** Answers with a body that is copied; extra fields are added to request->response before the
 * connection goes on. */
void api_answer(struct api_request *request, unsigned status, const char *type,
                struct hd_slice body);
/** application/problem+json (RFC 9457). */
void api_problem(struct api_request *request, unsigned status, const char *format, ...)
    HD_PRINTF(3, 4);
/** 403: its token has no such right (RFC 6750 section 3.1). */
void api_no_scope(struct api_request *request, enum api_scope scope);
void api_header(struct api_request *request, const char *name, struct hd_slice value);
/** ETag, in its quotes. */
void api_header_etag(struct api_request *request, struct hd_slice tag);
void api_header_u32(struct api_request *request, const char *name, uint32_t value);
/** What all answers say. */
void api_common_headers(struct api_request *request);
/** It waits: the connection is suspended. */
void api_wait(struct api_request *request);
/** It goes on: an answer, or a stream, is there. */
void api_resume(struct api_request *request);
void api_request_free(struct api_request *request);
/** The whole request is there. */
void api_dispatch(struct api_request *request);
/** The answer of an ask that was refused, in HTTP's words. */
void api_refused(struct api_request *request, const struct evt_ask *ask);

/* Event state (events.c, stream.c). */
void api_events(struct api_request *request);
void api_events_asked(struct api_request *request);
/** 32 characters, no NUL. */
void api_version_text(const uint8_t version[16], char ret[32]);
void api_stream_open(struct api_request *request, const struct api_wish *wish, bool json);
/** Frees it; its request goes too. */
void api_stream_close(struct api_stream *stream);
/** Ends it for a reason of ours, which is told. */
void api_stream_end(struct api_request *request, struct hd_slice reason);
/** Once a second. */
void api_stream_tick(struct api_request *request);
enum MHD_Result api_stream_begin(struct api_request *request);
/* Who asks (auth.c). */
enum api_known { API_KNOWN = 1, API_UNKNOWN /* answered */ };
enum api_known api_authenticate(struct api_request *request);
/* Embedded files (static.c). */
bool api_static_answer(struct api_request *request);

struct sto_outbox_params;

/* --- webhooks (hook.c) ----------------------------------------------------------------------- */

/** keep: where what waits is kept; NULL: nowhere.  HD_ENOMEM; HD_EIO, HD_EVERSION with a problem.
 */
HD_NODISCARD enum hd_err api_hooks_new(struct api *api, const struct sto_outbox_params *keep,
                                       char problem[256]);
/** HD_EIO. */
HD_NODISCARD enum hd_err api_hooks_start(struct api *api);
/** The book is another. */
void api_hooks_book(struct api *api);
/** Goes on with transfers, and begins those that are due. */
void api_hooks_run(struct api *api);
/** Until it wants to be called again. */
int api_hooks_wait_ms(const struct api *api);
/** Sleeps until a descriptor, or a transfer, has something to do. */
void api_hooks_wait(struct api *api, struct curl_waitfd *fds, unsigned n, int ms);
void api_hooks_query(struct api *api, struct api_query *query);
/** Something is kept. */
void api_hooks_kept(struct api *api, struct hd_mail *mail);
void api_hooks_stop(struct api *api);
/** After the stop: all that was to be kept is, or could not be. */
void api_hooks_settle(struct api *api);
void api_hooks_free(struct api *api); /* after the core's last word */
/** The filter document of a condition in words; NULL: memory is short, or it is no text.  Caller
 * frees. */
char *api_filter_of(struct hd_slice when);
struct sockaddr;
struct hd_addr api_addr_of(const struct sockaddr *sa);

/* --- sources (source.c) ---------------------------------------------------------------------- */

struct api_source {
    uint64_t hash, at_ms;
    uint32_t requests, failures; /* spent, in thousandths */
};
#define API_SOURCES 2048u
/** Takes one request of a source's budget; false: it is spent. */
bool api_source_take(struct api *api, const struct hd_addr *addr);
bool api_source_allowed(struct api *api, const struct hd_addr *addr);
void api_source_failed(struct api *api, const struct hd_addr *addr);

/* --- the whole ------------------------------------------------------------------------------- */

/* A new configuration, or book, with a reference. */
struct api_news {
    struct hd_mail mail;
    struct evt_config *config;
    struct api_book *book;
};

/** A job is back. */
void api_jobs_done(struct api *api, struct api_job *job);

/* --- certificates (certificate.c) ------------------------------------------------------------ */

/** Takes what api_certificate_post handed over. */
void api_certificate_take(struct api *api, struct hd_mail *mail);
/** Gives a handshake the certificate that counts now. */
gnutls_certificate_retrieve_function3 *api_certificate_giver(void);
/** Whose it is; NULL: of nobody, memory was short. */
struct api *api_of_connection(struct MHD_Connection *connection);

/* A connection: how long it may take for what it does now. */
struct api_conn {
    struct api_conn *next, *prev;
    struct api *api;
    struct MHD_Connection *connection;
    int fd;
    uint64_t deadline_ms; /* UINT64_MAX: none */
    struct api_request *request;
};

struct api {
    unsigned magic;
    const struct api_settings *settings;
    struct evt_keys keys;
    struct hd_rng rng;
    void (*post)(void *context, struct api_job *job);
    void *post_context;
    struct MHD_Daemon *daemon;
    int epoll_fd, wake_fd;
    struct hd_addr bound;
    struct hd_mailbox box;
    struct pol_shard *policy;
    struct evt_config *config;
    struct api_book *book;
    struct api_hooks *hooks;
    struct api_certificate *certificate; /* NULL: in the clear */
    uint32_t epoch;
    struct evt_shard *shard;
    pthread_t thread;
    struct hd_mail stop;
    bool runs, stopping, secure;
    uint64_t now_us, now_ms, tick_ms, stop_ms;
    struct api_conn *conns;
    uint32_t out; /* asks and jobs that are not back */
    struct api_sub **subs;
    uint32_t n_subs; /* places */
    uint32_t sub_serial;
    struct api_source sources[API_SOURCES];
    struct api_counters counters;
};

#define API_COUNT(api, name) API_ADD(api, name, 1)
#define API_ADD(api, name, by)                                                                     \
    atomic_store_explicit(&(api)->counters.name,                                                   \
                          atomic_load_explicit(&(api)->counters.name, memory_order_relaxed) +      \
                              (uint64_t)(by),                                                      \
                          memory_order_relaxed)

#endif
