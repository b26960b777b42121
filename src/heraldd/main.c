/* main.c - heraldd: command line, log, signals.
 *
 * Standard output carries what a person reads after the start; standard error carries the log, one
 * line each.  What keeps the daemon from starting goes to standard error as "heraldd: ..." and the
 * exit status is 1; a wrong command line is 2. */
#include <argp.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "format/xml.h"
#include "heraldd/banner.h"
#include "heraldd/certificates.h"
#include "heraldd/daemon.h"
#include "heraldd/notify.h"
#include "heraldd/watchdog.h"
#include "package/pkg.h"

#define EXIT_WRONG_USE 2
#define LOG_LINE 5000

enum { KEY_CHECK = 0x100, KEY_RUN_DIR, KEY_LOG_LEVEL, KEY_FIRST_USERS, KEY_TOOL };

struct command_line {
    struct hd_options options;
    bool check;
};

static const struct argp_option options[] = {
    { "config", 'c', "FILE", 0, "read the configuration from FILE (herald.conf(5))", 0 },
    { "check", KEY_CHECK, NULL, 0, "say what is wrong with the configuration, and end", 0 },
    { "run-dir", KEY_RUN_DIR, "DIR", 0,
      "keep the state and the admin socket in DIR (made when missing)", 0 },
    { "log-level", KEY_LOG_LEVEL, "LEVEL", 0,
      "error, warn, info or debug, whatever the configuration says", 0 },
    { "first-users", KEY_FIRST_USERS, "NAME,...", 0,
      "users to make when there are none, with passwords that are printed", 0 },
    { "tool", KEY_TOOL, "COMMAND", 0, "how the tool is called in what is printed (herald)", 0 },
    { 0 },
};

static int
find_level(const char *name)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };

    for (int i = 0; i < (int)HD_ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static error_t
take_option(int key, char *arg, struct argp_state *state)
{
    struct command_line *line = state->input;

    switch (key) {
    case 'c':
        line->options.config = arg;
        return 0;
    case KEY_CHECK:
        line->check = true;
        return 0;
    case KEY_RUN_DIR:
        line->options.run_dir = arg;
        return 0;
    case KEY_LOG_LEVEL:
        line->options.log_level = find_level(arg);
        if (line->options.log_level < 0)
            argp_error(state, "--log-level=%s; expected error, warn, info or debug", arg);
        return 0;
    case KEY_FIRST_USERS:
        line->options.first_users = arg;
        return 0;
    case KEY_TOOL:
        line->options.tool = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is not expected; a configuration is named with -c", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = options,
    .parser = take_option,
    .doc = "heraldd is a SIP event broker: it takes SUBSCRIBE and PUBLISH and sends NOTIFY.\v"
           "Without a configuration it listens on 127.0.0.1, UDP and TCP port 5060.\n"
           "SIGHUP reads the configuration again, SIGTERM and SIGINT drain and end it.",
};

/* --- log ------------------------------------------------------------------------------- */

/* One write per line, so that lines of several threads do not mix. */
static void
write_with_time(const char *before, const char *after, struct hd_slice line)
{
    char text[LOG_LINE], when[40];
    struct timespec now;
    struct tm tm;
    int n;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    n = snprintf(text, sizeof(text), "%s%s.%03ldZ%s%.*s\n", before, when, now.tv_nsec / 1000000,
                 after, HD_FMT(line));
    if (n <= 0)
        return;
    if ((size_t)n >= sizeof(text)) {
        n = sizeof(text) - 1;
        text[n - 1] = '\n';
    }
    if (write(STDERR_FILENO, text, (size_t)n) < 0)
        return; /* nobody reads the log: there is nowhere to say so */
}

static void
write_text(void *context, enum hd_level level, struct hd_slice line)
{
    (void)context;
    (void)level;
    write_with_time("time=", " ", line);
}

/* The time goes inside of the object, in front of its other fields. */
static void
write_json(void *context, enum hd_level level, struct hd_slice line)
{
    (void)context;
    (void)level;
    write_with_time("{\"time\":\"", "\",", hd_slice_from(line, 1));
}

static void
open_log(enum hd_log_format format, enum hd_level most)
{
    hd_log_setup(format == HD_LOG_JSON ? write_json : write_text, NULL, most, format);
}

/* --- signals --------------------------------------------------------------------------- */

static void
log_line(void *context, const char *line)
{
    (void)context;
    HD_LOG(HD_ERROR, "the configuration was not taken, the old one stays", hd_f_str("why", line));
}

static void
reloaded(void *context, uint32_t version)
{
    (void)context;
    HD_LOG(HD_INFO, "configuration read again", hd_f_u64("version", version));
    hd_notify("READY=1");
}

static void
on_hangup(uv_signal_t *handle, int number)
{
    (void)number;
    hd_notify_reloading();
    if (hd_daemon_reload(handle->data, log_line, NULL, reloaded, NULL))
        hd_notify("READY=1");
}

static void
on_end(uv_signal_t *handle, int number)
{
    struct hd_daemon *daemon = handle->data;

    HD_LOG(HD_INFO, "signal", hd_f_str("name", number == SIGINT ? "SIGINT" : "SIGTERM"));
    hd_notify("STOPPING=1");
    hd_daemon_stop(daemon);
}

static bool
watch(struct hd_daemon *daemon, uv_signal_t *handle, uv_signal_cb call, int number)
{
    if (uv_signal_init(&daemon->loop, handle) != 0)
        return false;
    handle->data = daemon;
    return uv_signal_start(handle, call, number) == 0;
}

/* --- start ----------------------------------------------------------------------------- */

static void
print_line(void *context, const char *line)
{
    (void)context;
    (void)fprintf(stderr, "heraldd: %s\n", line);
}

static void
print_problem(void *context, const char *line)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", line);
}

static void
print_certificate(void *context, bool fatal, const char *line)
{
    const struct hd_problems *problems = context;

    (void)fprintf(stderr, "%s: %s%s\n", problems->file, fatal ? "" : "warning: ", line);
}

static enum hd_err
check_face(const struct hd_conf *conf, const struct hd_problems *problems)
{
    struct api_certificate *certificate;
    char problem[256] = "";
    enum hd_err err = api_certificate_read(&conf->http, problem, &certificate);

    if (problem[0])
        (void)fprintf(stderr, "%s: %s\n", problems->file, problem);
    api_certificate_free(certificate);
    return err;
}

static int
check(const struct hd_options *o)
{
    struct hd_problems problems = { .file = o->config ? o->config : "(defaults)",
                                    .tell = print_problem };
    struct hd_conf *conf = NULL;
    struct net_tls *tls = NULL;
    enum hd_err err = hd_conf_load(o->config, pkg_ops, &problems, &conf);

    if (err && problems.count == 0)
        (void)fprintf(stderr, "%s: %s\n", problems.file, hd_err_text(err));
    if (!err)
        err = hd_certificates_load(conf, NULL, print_certificate, &problems, &tls);
    if (!err)
        err = check_face(conf, &problems);
    if (!err)
        (void)printf("OK\n");
    (void)net_tls_unref(tls);
    hd_conf_unref(conf);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Each connection is a descriptor: the bound is what the system lets us have. */
static void
raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int
run(const struct hd_options *o)
{
    struct hd_daemon *daemon = NULL;
    uv_signal_t hangup, terminate, interrupt;
    struct hd_watchdog watchdog;
    sigset_t late;

    if (hd_daemon_start(o, print_line, NULL, &daemon))
        return EXIT_FAILURE;
    if (!watch(daemon, &hangup, on_hangup, SIGHUP) || !watch(daemon, &terminate, on_end, SIGTERM) ||
        !watch(daemon, &interrupt, on_end, SIGINT)) {
        print_line(NULL, "signals cannot be watched");
        hd_daemon_free(daemon);
        return EXIT_FAILURE;
    }
    hd_banner_print(daemon, stdout);
    HD_LOG(HD_INFO, "started", hd_f_str("version", HERALD_VERSION),
           hd_f_u64("shards", hd_host_shards(daemon->host)));
    hd_watchdog_start(&watchdog, daemon);
    hd_notify("READY=1");
    hd_daemon_run(daemon);
    /* Nobody listens to signals any more: one that hurries us must not make this a crash. */
    (void)sigemptyset(&late);
    (void)sigaddset(&late, SIGTERM);
    (void)sigaddset(&late, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &late, NULL);
    hd_daemon_free(daemon);
    HD_LOG_PLAIN(HD_INFO, "ended");
    return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    struct command_line line = { .options = { .log_level = -1, .open_log = open_log } };

    argp_program_version = "heraldd " HERALD_VERSION;
    argp_err_exit_status = EXIT_WRONG_USE;
    (void)argp_parse(&parser, argc, argv, 0, NULL, &line);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on files is as a disk that is full */
    json_object_seed(0);
    fmt_xml_setup();
    raise_descriptors();
    return line.check ? check(&line.options) : run(&line.options);
}
