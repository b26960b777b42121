/* daemon.c - start, change and end of the daemon.
 *
 * Start is whole or not at all: configuration, state folder, sockets, shards, admin socket, in this
 * order, and each failure undoes the ones before.  A change (a reload, an edit of users or rules)
 * makes a new immutable configuration with the next version and posts it to every shard; who asked
 * is answered when all have taken it. Invariants: the book in use is the one that the state folder
 * holds; versions are posted in their order. */
#include "heraldd/daemon.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "heraldd/calls.h"
#include "heraldd/certificates.h"
#include "heraldd/face.h"
#include "net/tls.h"
#include "package/pkg.h"
#include "policy/policy.h"

#define DRAIN_US ((uint64_t)5 * 1000 * 1000)
#define DRAIN_KEPT_US ((uint64_t)1000 * 1000)
#define DRAIN_LOOK_MS 20
#define RULES_LOOK_S 60
#define STATE_FOLDER "/var/lib/herald"
#define SOCKET_PATH "/run/herald/herald.sock"

static void rules_later(struct hd_daemon *daemon);

struct teller {
    hd_line_f tell;
    void *context;
};

static void HD_PRINTF(2, 3) say(const struct teller *teller, const char *format, ...)
{
    char line[HD_PROBLEM_TEXT];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    teller->tell(teller->context, line);
}

static uint64_t
wall_s(void)
{
    return (uint64_t)time(NULL);
}

static void
tell_problem(void *context, const char *line)
{
    const struct teller *teller = context;

    teller->tell(teller->context, line);
}

static enum hd_err
read_conf(const struct hd_options *options, const struct teller *teller, struct hd_conf **ret_conf)
{
    struct teller copy = *teller;
    struct hd_problems problems = { .file = options->config ? options->config : "(defaults)",
                                    .tell = tell_problem,
                                    .context = &copy };
    enum hd_err err = hd_conf_load(options->config, pkg_ops, &problems, ret_conf);

    if (err && problems.count == 0)
        say(teller, "%s: %s", problems.file, hd_err_text(err));
    return err;
}

/* --- start ----------------------------------------------------------------------------- */

/* Shards have their own loop: this wakes the main one. */
static void
wake_main(void *context)
{
    (void)uv_async_send(context);
}

static void
on_async(uv_async_t *async)
{
    struct hd_daemon *daemon = async->data;

    if (daemon->host)
        hd_host_collect(daemon->host);
    if (daemon->phase == HD_PHASE_RUNNING || daemon->phase == HD_PHASE_DRAINING)
        hd_face_collect(daemon->face);
}

static enum hd_err
open_loop(struct hd_daemon *daemon, const struct teller *teller)
{
    int rc = uv_loop_init(&daemon->loop);

    daemon->loop.data = rc == 0 ? daemon : NULL;
    if (rc == 0)
        rc = uv_async_init(&daemon->loop, &daemon->async, on_async);
    if (rc == 0)
        rc = uv_timer_init(&daemon->loop, &daemon->timer);
    if (rc == 0)
        rc = uv_timer_init(&daemon->loop, &daemon->rules);
    if (rc != 0) {
        say(teller, "event loop: %s", uv_strerror(rc));
        return HD_EIO;
    }
    daemon->async.data = daemon;
    daemon->timer.data = daemon;
    daemon->rules.data = daemon;
    return HD_OK;
}

static enum hd_err
open_state(struct hd_daemon *daemon, const struct teller *teller)
{
    char problem[HD_PROBLEM_TEXT] = "";
    enum hd_err err;
    int n;

    if (daemon->options.run_dir)
        n = snprintf(daemon->folder, sizeof(daemon->folder), "%s", daemon->options.run_dir);
    else if (daemon->conf->store_path.n > 0)
        n = snprintf(daemon->folder, sizeof(daemon->folder), "%.*s",
                     HD_FMT(daemon->conf->store_path));
    else
        n = snprintf(daemon->folder, sizeof(daemon->folder), "%s", STATE_FOLDER);
    if (n < 0 || (size_t)n >= sizeof(daemon->folder)) {
        say(teller, "the path of the state folder is longer than %zu octets",
            sizeof(daemon->folder) - 1);
        return HD_EIO;
    }
    err = hd_state_open(daemon->folder, problem, &daemon->state);
    if (err)
        say(teller, "%s", problem[0] ? problem : hd_err_text(err));
    return err;
}

static unsigned
count_cores(void)
{
    cpu_set_t cores;

    if (sched_getaffinity(0, sizeof(cores), &cores) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&cores);
}

static enum hd_err
bind_conf(struct hd_conf *conf, const struct hd_host *host)
{
    struct hd_addr bound[HD_CONF_LISTENERS], *locals = NULL;
    size_t n_locals = 0;
    enum hd_err err;

    for (size_t i = 0; i < conf->n_listeners; i++)
        bound[i] = hd_host_bound(host, i);
    err = hd_conf_locals(&locals, &n_locals);
    if (!err)
        err = hd_conf_bind(conf, bound, locals, n_locals);
    free(locals);
    return err;
}

/* What does not keep TLS from working goes to the log. */
static void
tell_certificate(void *context, bool fatal, const char *line)
{
    const struct teller *teller = context;

    if (fatal)
        say(teller, "%s", line);
    else
        HD_LOG(HD_WARN, "certificates", hd_f_str("why", line));
}

static enum hd_err
load_certificates(struct hd_daemon *daemon, const struct hd_conf *conf, const struct teller *teller,
                  struct net_tls **ret_tls)
{
    struct teller copy = *teller;
    enum hd_err err = hd_certificates_load(conf, daemon->folder, tell_certificate, &copy, ret_tls);

    if (err == HD_ENOMEM)
        say(teller, "certificates: %s", hd_err_text(err));
    return err;
}

static enum hd_err
open_face(struct hd_daemon *daemon, const struct teller *teller)
{
    char problem[256] = "";
    enum hd_err err = hd_face_new(daemon, wake_main, &daemon->async, problem, &daemon->face);

    if (err)
        say(teller, "%s", problem[0] ? problem : hd_err_text(err));
    return err;
}

static enum hd_err
open_host(struct hd_daemon *daemon, const struct teller *teller)
{
    char problem[256] = "";
    struct hd_conf *conf = daemon->conf;
    enum hd_err err;

    err = hd_host_new(&(struct hd_host_params){ .conf = conf,
                                                .shards = conf->shards
                                                              ? conf->shards
                                                              : hd_host_auto_shards(count_cores()),
                                                .tls = daemon->tls,
                                                .face = hd_face_api(daemon->face),
                                                .keys = hd_state_keys(daemon->state),
                                                .epoch = hd_state_epoch(daemon->state),
                                                .folder = daemon->folder,
                                                .wake = wake_main,
                                                .wake_context = &daemon->async },
                      problem, &daemon->host);
    if (!err) {
        err = bind_conf(conf, daemon->host);
        if (err)
            (void)snprintf(problem, sizeof(problem), "addresses of this machine: %s",
                           hd_err_text(err));
    }
    if (err)
        say(teller, "%s", problem[0] ? problem : hd_err_text(err));
    return err;
}

/* Users are made when there are none at all, so that a broker that somebody set up never gets one
 * by itself. */
static enum hd_err
make_first_users(struct hd_daemon *daemon, const struct teller *teller)
{
    char problem[HD_PROBLEM_TEXT] = "";
    struct pol_book *book = NULL;
    enum hd_err err;

    if (pol_book_user_count(hd_state_book(daemon->state)) > 0)
        return HD_OK;
    err = hd_first_users(hd_state_book(daemon->state), daemon->conf, daemon->options.first_users,
                         problem, &daemon->made, &daemon->n_made, &book);
    if (!err && daemon->n_made > 0)
        err = hd_state_save(daemon->state, book, problem);
    pol_book_unref(book);
    if (err)
        say(teller, "first users: %s", problem[0] ? problem : hd_err_text(err));
    return err;
}

static void
warn_other_realm(const struct hd_daemon *daemon)
{
    struct hd_slice realms[HD_CONF_REALMS];
    const size_t n = hd_conf_realms(daemon->conf, realms);
    char line[HD_PROBLEM_TEXT];

    if (hd_state_other_realm(hd_state_book(daemon->state), realms, n, line) > 0)
        HD_LOG(HD_WARN, "users who cannot log in", hd_f_str("why", line));
}

static enum hd_err
start_host(struct hd_daemon *daemon, const struct teller *teller)
{
    char problem[256] = "";
    enum hd_err err = HD_ENOMEM;

    daemon->config = hd_conf_publish(daemon->conf, hd_state_book(daemon->state), wall_s(), 1,
                                     hd_state_instance(daemon->state));
    if (daemon->config)
        err = hd_host_start(daemon->host, daemon->config, problem);
    if (err && problem[0])
        say(teller, "%s", problem);
    else if (err)
        say(teller, "shards: %s", hd_err_text(err));
    return err;
}

static enum hd_err
open_admin(struct hd_daemon *daemon, const struct teller *teller)
{
    const struct hd_conf *conf = daemon->conf;
    char problem[256] = "";
    enum hd_err err = HD_EIO;
    int n;

    if (conf->admin_socket.n > 0)
        n = snprintf(daemon->socket_path, sizeof(daemon->socket_path), "%.*s",
                     HD_FMT(conf->admin_socket));
    else if (daemon->options.run_dir)
        n = snprintf(daemon->socket_path, sizeof(daemon->socket_path), "%s/herald.sock",
                     daemon->options.run_dir);
    else
        n = snprintf(daemon->socket_path, sizeof(daemon->socket_path), "%s", SOCKET_PATH);
    if (n < 0 || (size_t)n >= sizeof(daemon->socket_path))
        (void)snprintf(problem, sizeof(problem), "admin socket: its path is longer than %zu octets",
                       sizeof(daemon->socket_path) - 1);
    else
        err = hd_admin_new(&daemon->loop, daemon->socket_path, hd_calls_take, daemon, problem,
                           &daemon->admin);
    if (err)
        say(teller, "%s", problem[0] ? problem : hd_err_text(err));
    return err;
}

static enum hd_level
wanted_level(const struct hd_daemon *daemon)
{
    return daemon->options.log_level >= 0 ? (enum hd_level)daemon->options.log_level
                                          : daemon->conf->log_level;
}

enum hd_err
hd_daemon_start(const struct hd_options *options, hd_line_f tell, void *context,
                struct hd_daemon **ret_daemon)
{
    const struct teller teller = { tell, context };
    struct hd_daemon *daemon = calloc(1, sizeof(*daemon));
    enum hd_err err;

    if (!daemon)
        return HD_ENOMEM;
    daemon->magic = HD_DAEMON_MAGIC;
    daemon->options = *options;
    daemon->started_us = net_now_us();
    err = open_loop(daemon, &teller);
    if (!err)
        err = read_conf(options, &teller, &daemon->conf);
    if (!err && options->open_log)
        options->open_log(daemon->conf->log_format, wanted_level(daemon));
    if (!err)
        err = open_state(daemon, &teller);
    if (!err)
        err = load_certificates(daemon, daemon->conf, &teller, &daemon->tls);
    if (!err)
        err = open_face(daemon, &teller);
    if (!err)
        err = open_host(daemon, &teller);
    if (!err)
        err = make_first_users(daemon, &teller);
    if (!err)
        err = open_admin(daemon, &teller);
    if (!err)
        err = start_host(daemon, &teller);
    if (!err)
        err = hd_face_start(daemon->face, hd_host_any(daemon->host), daemon->config);
    if (err) {
        hd_daemon_free(daemon);
        return err;
    }
    warn_other_realm(daemon);
    daemon->phase = HD_PHASE_RUNNING;
    rules_later(daemon);
    *ret_daemon = daemon;
    return HD_OK;
}

void
hd_daemon_run(struct hd_daemon *daemon)
{
    HD_ASSERT_OBJ(daemon, HD_DAEMON_MAGIC);
    while (daemon->phase != HD_PHASE_ENDED)
        (void)uv_run(&daemon->loop, UV_RUN_ONCE);
}

/* --- end ------------------------------------------------------------------------------- */

static void
finish_nothing(void *context)
{
    (void)context;
}

static void
run_drain(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
          uint64_t now_us)
{
    struct hd_daemon *daemon = context;

    (void)shard;
    net_shard_close_listeners(net);
    evt_shard_drain_begin(evt);
    /* A store in memory forgets them: whoever subscribes tries again when we are back (RFC 6665
     * section 4.2.2). */
    if (!hd_host_is_kept(daemon->host))
        evt_shard_terminate_all(evt, daemon->conf->limits.retry_after_s, now_us);
}

struct quiet {
    struct hd_daemon *daemon;
    _Atomic unsigned busy;
};

static void
run_quiet(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
          uint64_t now_us)
{
    struct quiet *quiet = context;

    (void)shard;
    (void)net;
    (void)now_us;
    if (!evt_shard_quiet(evt))
        (void)atomic_fetch_add_explicit(&quiet->busy, 1, memory_order_relaxed);
}

static void
finish_quiet(void *context)
{
    struct quiet *quiet = context;
    struct hd_daemon *daemon = quiet->daemon;

    daemon->asking = false;
    if (daemon->phase == HD_PHASE_DRAINING &&
        atomic_load_explicit(&quiet->busy, memory_order_relaxed) == 0) {
        HD_LOG_PLAIN(HD_INFO, "drained");
        daemon->phase = HD_PHASE_ENDED;
    }
    free(quiet);
}

static const struct hd_sweep_ops drain_ops = { run_drain, finish_nothing };
static const struct hd_sweep_ops quiet_ops = { run_quiet, finish_quiet };

static void
on_drain_timer(uv_timer_t *timer)
{
    struct hd_daemon *daemon = timer->data;
    struct quiet *quiet;

    if (net_now_us() >= daemon->drain_end_us) {
        if (!hd_host_is_kept(daemon->host))
            HD_LOG_PLAIN(HD_WARN, "not drained in time: some subscribers have not answered");
        daemon->phase = HD_PHASE_ENDED;
        return;
    }
    if (daemon->asking || daemon->audit_line.n > 0)
        return;
    quiet = calloc(1, sizeof(*quiet));
    if (!quiet)
        return; /* the next tick tries again */
    quiet->daemon = daemon;
    daemon->asking = true;
    if (hd_host_sweep(daemon->host, &quiet_ops, quiet)) {
        daemon->asking = false;
        free(quiet);
    }
}

void
hd_daemon_stop(struct hd_daemon *daemon)
{
    HD_ASSERT_OBJ(daemon, HD_DAEMON_MAGIC);
    if (daemon->phase != HD_PHASE_RUNNING) {
        daemon->phase = HD_PHASE_ENDED;
        return;
    }
    HD_LOG_PLAIN(HD_INFO, "draining");
    daemon->phase = HD_PHASE_DRAINING;
    hd_calls_audit_stop(daemon); /* whoever waits is told while he can be */
    daemon->drain_end_us =
        net_now_us() + (hd_host_is_kept(daemon->host) ? DRAIN_KEPT_US : DRAIN_US);
    if (hd_host_sweep(daemon->host, &drain_ops, daemon) ||
        uv_timer_start(&daemon->timer, on_drain_timer, DRAIN_LOOK_MS, DRAIN_LOOK_MS) != 0)
        daemon->phase = HD_PHASE_ENDED;
}

/* Closes what main has opened in the loop as well: its signal handles are on its stack until here.
 */
static void
close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void
hd_daemon_free(struct hd_daemon *daemon)
{
    if (!daemon)
        return;
    daemon->phase = HD_PHASE_ENDED;
    hd_face_stop(daemon->face);
    if (daemon->host)
        hd_host_stop(daemon->host); /* answers the calls that still wait */
    hd_admin_close(daemon->admin);
    hd_calls_audit_stop(daemon);
    /* One that could not be opened has no data. */
    if (daemon->loop.data) {
        uv_walk(&daemon->loop, close_handle, NULL);
        (void)uv_run(&daemon->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&daemon->loop);
    }
    hd_host_free(daemon->host);
    hd_face_free(daemon->face);
    evt_config_unref(daemon->config);
    hd_conf_unref(daemon->conf);
    (void)net_tls_unref(daemon->tls);
    hd_state_close(daemon->state);
    if (daemon->made)
        explicit_bzero(daemon->made, daemon->n_made * sizeof(*daemon->made));
    free(daemon->made);
    daemon->magic = 0;
    free(daemon);
}

/* --- changes --------------------------------------------------------------------------- */

struct change {
    struct evt_config *config;
    struct hd_conf *conf; /* what config was made from, which holds it */
    struct net_tls *tls;  /* of connections that begin from now on, may be NULL */
    hd_done_f done;
    void *context;
    size_t changed_len;
    char changed[];
};

static void
run_change(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
           uint64_t now_us)
{
    const struct change *change = context;

    (void)shard;
    net_shard_tls(net, change->tls);
    for (size_t i = 0; i < change->conf->n_listeners; i++)
        net_shard_origins(net, i, change->conf->secure[i].origins,
                          change->conf->secure[i].n_origins);
    evt_shard_configure(evt, change->config, hd_slice(change->changed, change->changed_len),
                        now_us);
}

static void
finish_change(void *context)
{
    struct change *change = context;

    change->done(change->context, change->config->version);
    evt_config_unref(change->config);
    (void)net_tls_unref(change->tls);
    free(change);
}

static const struct hd_sweep_ops change_ops = { run_change, finish_change };

/* Makes a change ready to be posted: everything that can fail before anything has changed. */
static struct change *
change_new(struct hd_daemon *daemon, struct hd_conf *conf, struct net_tls *tls,
           struct pol_book *book, struct hd_slice changed, hd_done_f done, void *context)
{
    struct change *change = calloc(1, sizeof(*change) + changed.n);

    if (!change)
        return NULL;
    change->config = hd_conf_publish(conf, book, wall_s(), daemon->config->version + 1,
                                     hd_state_instance(daemon->state));
    if (!change->config) {
        free(change);
        return NULL;
    }
    change->conf = conf;
    change->tls = tls ? net_tls_ref(tls) : NULL;
    change->done = done;
    change->context = context;
    change->changed_len = changed.n;
    if (changed.n > 0)
        memcpy(change->changed, changed.p, changed.n);
    return change;
}

static void
change_free(struct change *change)
{
    if (!change)
        return;
    evt_config_unref(change->config);
    (void)net_tls_unref(change->tls);
    free(change);
}

static enum hd_err
change_post(struct hd_daemon *daemon, struct change *change)
{
    enum hd_err err = hd_host_sweep(daemon->host, &change_ops, change);

    if (err)
        return err;
    evt_config_unref(daemon->config);
    daemon->config = evt_config_ref(change->config);
    if (daemon->face && api_configure(hd_face_api(daemon->face), daemon->config))
        HD_LOG_PLAIN(HD_WARN, "memory is short: HTTP goes on with the configuration before");
    rules_later(daemon);
    return HD_OK;
}

static void
changed_nothing(void *context, uint32_t version)
{
    (void)context;
    (void)version;
}

/* Rules begin and cease to be in force by the clock on the wall.  What has not changed by now, for
 * want of memory, is tried again in a second. */
static void
on_rules_timer(uv_timer_t *timer)
{
    struct hd_daemon *daemon = timer->data;
    struct pol_book *book = hd_state_book(daemon->state);
    const struct pol_settings *settings = daemon->config->policy;
    const uint64_t now_s = wall_s();

    if (daemon->phase != HD_PHASE_RUNNING)
        return;
    if (now_s < settings->now_s || now_s >= pol_book_next_change(book, settings->now_s)) {
        struct change *change = change_new(daemon, daemon->conf, daemon->tls, book,
                                           (struct hd_slice){ 0 }, changed_nothing, NULL);
        if (change && change_post(daemon, change) == HD_OK)
            return;
        change_free(change);
    }
    rules_later(daemon);
}

/* That clock may be set: it is looked at once a minute at least, while any rule depends on it. */
static void
rules_later(struct hd_daemon *daemon)
{
    const struct pol_settings *settings = daemon->config->policy;
    const uint64_t next_s = pol_book_next_change(settings->book, settings->now_s);
    const uint64_t now_s = wall_s();
    uint64_t wait_s = next_s > now_s ? next_s - now_s : 1;

    if (next_s == UINT64_MAX) {
        (void)uv_timer_stop(&daemon->rules);
        return;
    }
    if (wait_s > RULES_LOOK_S)
        wait_s = RULES_LOOK_S;
    (void)uv_timer_start(&daemon->rules, on_rules_timer, wait_s * 1000, 0);
}

enum hd_err
hd_daemon_edit(struct hd_daemon *daemon, struct pol_book *book, struct hd_slice changed,
               hd_done_f done, void *context, char ret_problem[HD_PROBLEM_TEXT])
{
    struct pol_book *before = pol_book_ref(hd_state_book(daemon->state));
    struct change *change = NULL;
    enum hd_err err = HD_EBUSY;

    HD_ASSERT_OBJ(daemon, HD_DAEMON_MAGIC);
    (void)snprintf(ret_problem, HD_PROBLEM_TEXT, "the daemon is about to end");
    if (daemon->phase != HD_PHASE_RUNNING)
        goto out;
    err = HD_ENOMEM;
    (void)snprintf(ret_problem, HD_PROBLEM_TEXT, "memory is short");
    change = change_new(daemon, daemon->conf, daemon->tls, book, changed, done, context);
    if (!change)
        goto out;
    err = hd_state_save(daemon->state, book, ret_problem);
    if (err)
        goto out;
    err = change_post(daemon, change);
    if (err) {
        /* What is on the disk must be what is in use: the old book goes back. */
        (void)snprintf(ret_problem, HD_PROBLEM_TEXT, "memory is short");
        if (hd_state_save(daemon->state, before, ret_problem))
            HD_LOG(HD_ERROR, "the state folder holds a change that is not in use",
                   hd_f_str("why", ret_problem));
        goto out;
    }
    change = NULL;
out:
    change_free(change);
    pol_book_unref(before);
    return err;
}

static enum hd_err
read_face_certificate(struct hd_daemon *daemon, const struct teller *teller,
                      struct api_certificate **ret_certificate)
{
    char problem[256] = "";
    enum hd_err err = hd_face_read_certificate(daemon->face, problem, ret_certificate);

    if (err)
        say(teller, "%s", problem[0] ? problem : hd_err_text(err));
    return err;
}

enum hd_err
hd_daemon_reload(struct hd_daemon *daemon, hd_line_f tell, void *tell_context, hd_done_f done,
                 void *context)
{
    const struct teller teller = { tell, tell_context };
    struct hd_conf *conf = NULL;
    struct net_tls *tls = NULL;
    struct api_certificate *of_face = NULL;
    struct change *change = NULL;
    const char *fixed;
    enum hd_err err;

    HD_ASSERT_OBJ(daemon, HD_DAEMON_MAGIC);
    if (daemon->phase != HD_PHASE_RUNNING) {
        say(&teller, "the daemon is about to end");
        return HD_EBUSY;
    }
    err = read_conf(&daemon->options, &teller, &conf);
    if (err)
        goto out;
    fixed = hd_conf_fixed_change(daemon->conf, conf);
    if (fixed) {
        say(&teller,
            "%s: %s cannot change while the daemon runs; expected as they were at the "
            "start, or a restart",
            daemon->options.config ? daemon->options.config : "(defaults)", fixed);
        err = HD_ENOTSUP;
        goto out;
    }
    err = load_certificates(daemon, conf, &teller, &tls);
    if (!err)
        err = read_face_certificate(daemon, &teller, &of_face);
    if (err)
        goto out;
    err = bind_conf(conf, daemon->host);
    if (!err) {
        change = change_new(daemon, conf, tls, hd_state_book(daemon->state), (struct hd_slice){ 0 },
                            done, context);
        err = change ? change_post(daemon, change) : HD_ENOMEM;
    }
    if (err) {
        change_free(change);
        say(&teller, "%s", hd_err_text(err));
        goto out;
    }
    hd_conf_unref(daemon->conf);
    daemon->conf = hd_conf_ref(conf);
    (void)net_tls_unref(daemon->tls);
    daemon->tls = tls;
    tls = NULL;
    hd_face_take_certificate(daemon->face, of_face);
    of_face = NULL;
    hd_log_level(wanted_level(daemon));
    warn_other_realm(daemon);
out:
    (void)net_tls_unref(tls);
    api_certificate_free(of_face);
    hd_conf_unref(conf);
    return err;
}

enum hd_err
hd_daemon_resource(const struct hd_daemon *daemon, struct hd_slice text, char ret_key[SIP_KEY_MAX],
                   size_t *ret_len)
{
    const struct sip_served *served = &daemon->config->served;
    struct sip_uri uri;
    enum hd_err err;

    if (hd_slice_find(text, ':') == text.n)
        return pol_user_key(hd_state_book(daemon->state), text, served, ret_key, ret_len);
    err = sip_uri_parse(text, &uri);
    if (err)
        return err;
    return sip_resource_key(&uri, served, ret_key, ret_len);
}
