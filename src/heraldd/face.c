/* face.c - between the HTTP face's thread and the main thread.
 *
 * A job comes by a mailbox, is done here, and goes back, at once or when the shards have been
 * asked. Invariant: a job is given back once, also when the daemon ends. */
#include "heraldd/face.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/str.h"
#include "heraldd/calls.h"
#include "heraldd/metrics.h"
#include "store/outbox.h"

enum mail_kind { MAIL_JOB = 1, MAIL_QUERY };

struct hd_face {
    struct hd_daemon *daemon;
    struct hd_conf *conf; /* of the start: the face uses its strings */
    struct api *api;
    struct hd_mailbox box;
    char outbox[4096]; /* the file's path */
};

/* There is no going on without entropy. */
static void
fill_entropy(void *context, void *octets, size_t n)
{
    char *p = octets;

    (void)context;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        HD_ASSERT(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

/* On the face's thread. */
static void
post(void *context, struct api_job *job)
{
    struct hd_face *face = context;

    job->mail.kind = MAIL_JOB;
    hd_mailbox_post(&face->box, &job->mail);
}

static void
query_done(struct api_query *query)
{
    struct hd_face *face = query->context;

    query->mail.kind = MAIL_QUERY;
    hd_mailbox_post(&face->box, &query->mail);
}

/* In the state folder, as long as anything is kept there. */
static const char *
outbox_path(struct hd_face *face)
{
    const struct hd_daemon *daemon = face->daemon;
    int n = snprintf(face->outbox, sizeof(face->outbox), "%s/" STO_OUTBOX_FILE, daemon->folder);

    if (daemon->conf->durability == HD_KEEP_MEMORY || n < 0 || (size_t)n >= sizeof(face->outbox))
        return NULL;
    return face->outbox;
}

enum hd_err
hd_face_new(struct hd_daemon *daemon, hd_wake_f wake, void *wake_context, char ret_problem[256],
            struct hd_face **ret_face)
{
    struct hd_face *face;
    enum hd_err err;

    if (!daemon->conf->http.enabled)
        return HD_OK;
    face = calloc(1, sizeof(*face));
    if (!face)
        return HD_ENOMEM;
    face->daemon = daemon;
    hd_mailbox_init(&face->box, wake, wake_context);
    (void)hd_mailbox_sleep(&face->box);
    err = api_new(&(struct api_params){ .settings = &daemon->conf->http,
                                        .book = hd_state_http(daemon->state),
                                        .keys = hd_state_keys(daemon->state),
                                        .epoch = hd_state_epoch(daemon->state),
                                        .entropy = fill_entropy,
                                        .outbox = outbox_path(face),
                                        .durable = daemon->conf->durability == HD_KEEP_COMMIT,
                                        .post = post,
                                        .context = face },
                  ret_problem, &face->api);
    if (err) {
        free(face);
        return err;
    }
    face->conf = hd_conf_ref(daemon->conf);
    *ret_face = face;
    return HD_OK;
}

struct api *
hd_face_api(struct hd_face *face)
{
    return face ? face->api : NULL;
}

enum hd_err
hd_face_start(struct hd_face *face, struct evt_shard *shard, struct evt_config *config)
{
    return face ? api_start(face->api, shard, config) : HD_OK;
}

/* --- jobs ------------------------------------------------------------------------------ */

static void
job_metrics(struct hd_face *face, struct api_job *job)
{
    struct hd_str text = { 0 };

    hd_metrics_write(face->daemon, &text);
    job->n = text.n;
    job->text = hd_str_take(&text);
    api_job_done(job);
}

/* It goes through the main thread, so that an answer says something of that as well. */
static void
job_health(const struct hd_face *face, struct api_job *job)
{
    struct sto_status store;
    const char *text = "{\"status\":\"ok\"}\n";

    job->failed = true;
    job->status = 503;
    if (face->daemon->phase != HD_PHASE_RUNNING)
        text = "the broker is stopping";
    else if (hd_host_store(face->daemon->host, &store) && !store.healthy)
        text = "what is to be kept cannot be kept";
    else
        job->failed = false;
    job->text = hd_slice_strdup(hd_slice_str(text));
    job->n = strlen(text);
    api_job_done(job);
}

static void
call_answered(void *context, bool failed, char *text, size_t n)
{
    struct api_job *job = context;

    job->failed = failed;
    job->text = text;
    job->n = n;
    api_job_done(job);
}

/* Calls that change nothing, and those that are not for the network. */
static const char *const reading[] = { "status",
                                       "subs",
                                       "pubs",
                                       "resources",
                                       "latency",
                                       "bindings",
                                       "watchers",
                                       "audit",
                                       "user-list",
                                       "package-list",
                                       "token-list",
                                       "webhook-list",
                                       "webhook-dead",
                                       "explain",
                                       "policy-list",
                                       "policy-test",
                                       "policy-list-show",
                                       "policy-transform-show",
                                       "trace" };
/* Of these, what is shown to who may look on: no event state, no names of users and tokens. */
static const char *const looking[] = { "status",   "subs",     "pubs",        "resources",
                                       "bindings", "watchers", "audit",       "package-list",
                                       "latency",  "explain",  "policy-list", "policy-test",
                                       "trace" };
static const char *const local[] = { "backup", "metrics" };

static bool
is_one(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void
refuse_job(struct api_job *job, unsigned status, const char *why)
{
    job->failed = true;
    job->status = status;
    job->text = hd_slice_strdup(hd_slice_str(why));
    job->n = job->text ? strlen(job->text) : 0;
    api_job_done(job);
}

/* The keys of a call: a JSON object. */
static void
job_call(struct hd_face *face, struct api_job *job)
{
    json_t *args = job->args.n ? json_loadb(job->args.p, job->args.n,
                                            JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)
                               : json_object();
    struct hd_reply *reply = NULL;

    if (is_one(job->name, local, HD_ARRAY_LEN(local)))
        refuse_job(job, 403, "this call is for the admin socket alone");
    else if (job->reads && !is_one(job->name, reading, HD_ARRAY_LEN(reading)))
        refuse_job(job, 405, "this call is made with POST, or is not there");
    else if (job->looks && !is_one(job->name, looking, HD_ARRAY_LEN(looking)))
        refuse_job(job, 403, "a token with the right admin is needed");
    else if (!(reply = hd_reply_new(call_answered, job)))
        api_job_done(job);
    if (!reply) {
        json_decref(args);
        return;
    }
    if (job->reads)
        hd_calls_words(job->name, args);
    if (!json_is_object(args))
        hd_reply_error(reply, "the body is not a JSON object");
    else if (job->looks)
        hd_calls_look_on(face->daemon, reply, job->name, args);
    else
        hd_calls_take(face->daemon, reply, job->name, args);
    json_decref(args);
}

static void
job_run(struct hd_face *face, struct api_job *job)
{
    switch (job->kind) {
    case API_JOB_METRICS:
        job_metrics(face, job);
        return;
    case API_JOB_CALL:
        job_call(face, job);
        return;
    case API_JOB_HEALTH:
        job_health(face, job);
        return;
    }
}

/* stops: nothing is done any more, all is given back. */
static void
collect(struct hd_face *face, bool stops)
{
    struct hd_mail *mail;

    while ((mail = hd_mailbox_take(&face->box))) {
        if (mail->kind == MAIL_QUERY) {
            struct api_query *query = HD_CONTAINER(mail, struct api_query, mail);
            query->then(query->then_context);
        } else if (stops) {
            api_job_done(HD_CONTAINER(mail, struct api_job, mail));
        } else {
            job_run(face, HD_CONTAINER(mail, struct api_job, mail));
        }
    }
}

void
hd_face_collect(struct hd_face *face)
{
    if (!face)
        return;
    hd_mailbox_awake(&face->box);
    do {
        collect(face, false);
    } while (!hd_mailbox_sleep(&face->box));
}

enum hd_err
hd_face_book(struct hd_face *face, struct api_book *book)
{
    return face ? api_take_book(face->api, book) : HD_OK;
}

enum hd_err
hd_face_read_certificate(const struct hd_face *face, char ret_problem[256],
                         struct api_certificate **ret_certificate)
{
    *ret_certificate = NULL;
    return face ? api_certificate_read(&face->conf->http, ret_problem, ret_certificate) : HD_OK;
}

void
hd_face_take_certificate(struct hd_face *face, struct api_certificate *certificate)
{
    if (certificate)
        api_certificate_post(face->api, certificate);
}

bool
hd_face_ask(struct hd_face *face, struct api_query *query, void (*then)(void *context),
            void *context)
{
    if (!face)
        return false;
    query->done = query_done;
    query->context = face;
    query->then = then;
    query->then_context = context;
    api_ask(face->api, query);
    return true;
}

void
hd_face_random(void *octets, size_t n)
{
    fill_entropy(NULL, octets, n);
}

void
hd_face_stop(struct hd_face *face)
{
    if (!face)
        return;
    collect(face, true); /* or the face would wait for it */
    api_stop(face->api);
    collect(face, true); /* what was asked: the loop is woken no more when it is closed */
}

void
hd_face_free(struct hd_face *face)
{
    if (!face)
        return;
    hd_face_stop(face);
    collect(face, true);
    api_free(face->api); /* answers what was still asked */
    collect(face, true);
    (void)hd_conf_unref(face->conf);
    free(face);
}
