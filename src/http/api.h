/* api.h - the HTTP face of the broker: a thread that serves requests over HTTP/1.1 and TLS.
 *
 * What it does to event state goes to the core as an evt_ask (event/ask.h): the same resources,
 * rules and answers as over SIP.  What the operator asks goes to the main thread as an api_job.
 * Thread: made, started, stopped and freed by the main thread; functions that say any are for all.
 * Memory: settings are borrowed for its life. */
#ifndef HD_HTTP_API_H
#define HD_HTTP_API_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/addr.h"
#include "base/mailbox.h"
#include "event/ports.h"
#include "event/shard.h"

struct api;

/* What the configuration says. */
struct api_settings {
    bool enabled;
    struct hd_addr addr;
    const char *certificate, *key;  /* PEM files; NULL: in the clear */
    const struct hd_slice *origins; /* of pages of others that may call */
    size_t n_origins;
    uint32_t connections, connections_per_source;
    uint32_t requests_per_s, requests_burst; /* of one source */
    uint32_t head_size;                      /* octets of a request's line and fields */
    uint32_t max_body;
    uint32_t idle_ms, request_ms, stall_ms, ping_ms;
    const struct hd_prefix *reach; /* private addresses that webhooks may be delivered to */
    size_t n_reach;
    uint32_t hook_retry_ms, hook_attempts, hook_timeout_ms;
    const struct hd_prefix *look; /* addresses that may look on without a token */
    size_t n_look;
    bool clear_tokens; /* bearer tokens are taken in the clear from other machines too */
};
struct api_settings api_settings_default(void);

/* What it counts; written by its thread, read by any. */
#define API_COUNTERS(X)                                                                            \
    X(requests, "requests received")                                                               \
    X(refused_source, "requests refused because their source sends too many")                      \
    X(refused_auth, "requests refused for want of credentials, or for wrong ones")                 \
    X(unanswered, "connections refused because the source's budget of failures is spent")          \
    X(slow, "connections closed because a request, or the reading of an answer, took too long")    \
    X(refused_origin, "requests of pages that may not call")                                       \
    X(too_large, "requests whose body is too large")                                               \
    X(events, "events written to event streams")                                                   \
    X(hooks_delivered, "events that webhooks have taken")                                          \
    X(hooks_failed, "deliveries to webhooks that failed")                                          \
    X(hooks_dead, "events that were given up")                                                     \
    X(hooks_superseded, "states that no webhook was told, since a newer one came")                 \
    X(hooks_dropped, "events among the dead that made room, or that the operator dropped")         \
    X(hooks_unkept, "events for webhooks that could not be kept on the disk")
#define API_GAUGES(X)                                                                              \
    X(connections, "connections")                                                                  \
    X(streams, "event streams")                                                                    \
    X(hooks_waiting, "events that wait for webhooks")
#define API_FIELD(name, words) _Atomic uint64_t name;
struct api_counters {
    API_COUNTERS(API_FIELD)
    API_GAUGES(API_FIELD)
};
#undef API_FIELD

/* Something that the main thread is asked for. */
enum api_job_kind { API_JOB_METRICS = 1, API_JOB_CALL, API_JOB_HEALTH };
struct api_job {
    struct hd_mail mail;
    enum api_job_kind kind;
    const char *name;     /* of the call, NUL-terminated */
    struct hd_slice args; /* CALL: a JSON object, as it came; empty: none */
    bool reads;           /* nothing may be changed by it; its keys are words */
    bool looks;           /* nor is event state shown */
    /* the answer: text is taken from the heap; NULL: memory was short */
    bool failed;     /* text says why */
    unsigned status; /* then: of HTTP; 0: 400 */
    char *text;
    size_t n;
    struct api *api;
};
/** Gives a job back.  Any thread. */
void api_job_done(struct api_job *job);

/* Something that the main thread asks for. */
enum api_query_kind {
    API_QUERY_HOOKS = 1,
    API_QUERY_DEAD,
    API_QUERY_REDELIVER,
    API_QUERY_DROP,
    API_QUERY_COPY /* what waits for webhooks, as a file; no result */
};
struct api_query {
    struct hd_mail mail;
    enum api_query_kind kind;
    char id[64];      /* REDELIVER, DROP: of a webhook or an event */
    const char *path; /* COPY: borrowed; there must be no such file */
    enum hd_err
        err; /* COPY: HD_OK; HD_ENOMATCH nothing is kept in a file; HD_EBUSY, HD_EIO, HD_ENOMEM */
    json_t *result; /* NULL: memory was short */
    /** Called on a thread of the face's, or when it goes; the last use. */
    void (*done)(struct api_query *query);
    void *context;
    void (*then)(void *context); /* of whoever asked, on his thread */
    void *then_context;
};

struct api_book;
struct api_params {
    const struct api_settings *settings;
    struct api_book *book; /* a reference is taken */
    struct evt_keys keys;
    uint32_t epoch;
    hd_entropy_f entropy;
    const char *outbox; /* the file that keeps what waits for webhooks; NULL: none */
    bool durable;       /* it is on the disk before it counts as kept */
    /** Hands a job to the main thread, which answers with api_job_done.  Called on the face's
     * thread. */
    void (*post)(void *context, struct api_job *job);
    void *context;
};

/**
 * Opens the socket; nothing is read before api_start.
 * @param ret_problem  one line on HD_EIO
 * @return HD_OK; HD_EIO; HD_ENOMEM
 */
HD_NODISCARD enum hd_err api_new(const struct api_params *params, char ret_problem[256],
                                 struct api **ret_api);
/** Starts the thread.  shard: any of the core's.  HD_OK, HD_EIO. */
HD_NODISCARD enum hd_err api_start(struct api *api, struct evt_shard *shard,
                                   struct evt_config *config);
/** Takes a new configuration; a reference is taken.  Any thread.  HD_ENOMEM. */
HD_NODISCARD enum hd_err api_configure(struct api *api, struct evt_config *config);
/** Takes a new book; a reference is taken.  Any thread.  HD_ENOMEM. */
HD_NODISCARD enum hd_err api_take_book(struct api *api, struct api_book *book);
struct api_certificate;
/**
 * Reads certificate and key of the settings.  Any thread.
 * @param ret_problem      one line on HD_EIO
 * @param ret_certificate  NULL: there are none
 * @return HD_OK; HD_EIO: they cannot be read, or are no pair; HD_ENOMEM
 */
HD_NODISCARD enum hd_err api_certificate_read(const struct api_settings *settings,
                                              char ret_problem[256],
                                              struct api_certificate **ret_certificate);
void api_certificate_free(struct api_certificate *certificate); /* accepts NULL */
/** From now on handshakes are given this one, which is taken; connections keep theirs.  Any thread.
 */
void api_certificate_post(struct api *api, struct api_certificate *certificate);
/** Hands over a query; it is answered in any case.  Any thread, before api_free. */
void api_ask(struct api *api, struct api_query *query);
/** Ends the thread: what is under way is answered, a second at most.  Before the shards stop. */
void api_stop(struct api *api);
/** After the shards are freed; accepts NULL. */
void api_free(struct api *api);
const struct api_counters *api_counters(const struct api *api);

/* The core's port; its context is the struct api. */
extern const struct evt_face_ops api_face_ops;

/* Files of the console, embedded in the program: answered to GET by their path, to everybody. */
struct api_static {
    const char *path; /* "/", "/console.js" */
    const char *type; /* Content-Type */
    const void *octets;
    size_t n;
    bool gzip;        /* the octets are (RFC 1952); who does not take that is answered 406 */
    const char *etag; /* of the octets, without quotes; NULL: none */
};
/** The table, ended by a row without path; tools/console.py makes it. */
extern const struct api_static api_static_table[];

#endif
