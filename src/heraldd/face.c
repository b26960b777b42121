/* face.c - between the HTTP face's thread and the main thread.
 *
 * A job comes by a mailbox, is done here, and goes back, at once or when the shards have been
 * asked. Invariant: a job is given back once, also when the daemon ends. */
#include "heraldd/face.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/str.h"
#include "heraldd/metrics.h"

struct hd_face {
    struct hd_daemon *daemon;
    struct hd_conf *conf; /* of the start: the face uses its strings */
    struct api *api;
    struct hd_mailbox box;
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

    hd_mailbox_post(&face->box, &job->mail);
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
                                        .keys = hd_state_keys(daemon->state),
                                        .epoch = hd_state_epoch(daemon->state),
                                        .entropy = fill_entropy,
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

static void
job_run(struct hd_face *face, struct api_job *job)
{
    switch (job->kind) {
    case API_JOB_METRICS:
        job_metrics(face, job);
        return;
    case API_JOB_CALL:
        api_job_done(job);
        return;
    }
}

void
hd_face_collect(struct hd_face *face)
{
    struct hd_mail *mail;

    if (!face)
        return;
    hd_mailbox_awake(&face->box);
    do {
        while ((mail = hd_mailbox_take(&face->box)))
            job_run(face, HD_CONTAINER(mail, struct api_job, mail));
    } while (!hd_mailbox_sleep(&face->box));
}

void
hd_face_stop(struct hd_face *face)
{
    if (face)
        api_stop(face->api);
}

void
hd_face_free(struct hd_face *face)
{
    struct hd_mail *mail;

    if (!face)
        return;
    api_stop(face->api);
    while ((mail = hd_mailbox_take(&face->box)))
        api_job_done(HD_CONTAINER(mail, struct api_job, mail));
    api_free(face->api);
    (void)hd_conf_unref(face->conf);
    free(face);
}
