/* Tests of the daemon as a whole, in this process: real sockets on loopback, a state folder of its
 * own, the admin socket. */
#include "heraldd/daemon.h"

#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"

static const char usual_conf[] = "listen \"udp://127.0.0.1:0\" { authentication = none }\n"
                                 "listen \"tcp://127.0.0.1:0\" { }\n"
                                 "shards = 3\n"
                                 "limits { max_body = 2KiB }\n"
                                 "package \"presence\" { authorisation = allow }\n";

struct fixture {
    char folder[32], conf[48], run[48], socket[64];
    struct hd_options options;
    struct hd_daemon *daemon;
    struct hd_str told;
    pthread_t client;
    uv_async_t stop;
    void (*talk)(struct fixture *f); /* what the client's thread does */
    unsigned stops;                  /* how often it asked to stop */
};

static void
tell(void *context, const char *line)
{
    struct fixture *f = context;

    hd_str_add_str(&f->told, line);
    hd_str_add_char(&f->told, '\n');
}

static void
write_conf(const struct fixture *f, const char *text)
{
    FILE *file = fopen(f->conf, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/herald-daemon-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->conf, sizeof(f->conf), "%s/x.conf", f->folder);
    (void)snprintf(f->run, sizeof(f->run), "%s/run", f->folder);
    (void)snprintf(f->socket, sizeof(f->socket), "%s/herald.sock", f->run);
    write_conf(f, usual_conf);
    f->options = (struct hd_options){
        .config = f->conf, .run_dir = f->run, .log_level = -1, .first_users = "2001,2002"
    };
    *state = f;
    return 0;
}

static void
empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char file[512];

    while (dir && (entry = readdir(dir))) {
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        (void)unlink(file);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    hd_daemon_free(f->daemon);
    hd_str_done(&f->told);
    empty_folder(f->run);
    empty_folder(f->folder);
    free(f);
    return 0;
}

static void
start(struct fixture *f)
{
    enum hd_err err = hd_daemon_start(&f->options, tell, f, &f->daemon);

    if (err)
        print_error("%s", hd_str_text(&f->told));
    assert_int_equal(err, HD_OK);
    assert_int_equal(f->told.n, 0);
}

/* --- a client of the admin socket, in a thread ----------------------------------------- */

static int
admin_open(const struct fixture *f)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct timeval wait = { .tv_sec = 10 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->socket);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    return fd;
}

/* The next line, without its LF; NULL when the other side has closed. */
static json_t *
admin_read(int fd)
{
    struct hd_str line = { 0 };
    json_t *value = NULL;
    char c;

    while (recv(fd, &c, 1, 0) == 1) {
        if (c == '\n') {
            value = json_loads(hd_str_text(&line), 0, NULL);
            assert_non_null(value);
            break;
        }
        hd_str_add_char(&line, c);
    }
    hd_str_done(&line);
    return value;
}

static void
admin_write(int fd, const char *text)
{
    size_t n = strlen(text);

    assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

/* Asks one line and compares the answer with what is expected, as JSON text; "..." at its end: as
 * far as that. */
static void
expect(const struct fixture *f, const char *ask, const char *answer)
{
    size_t n = strlen(answer);
    bool part = n > 3 && strcmp(answer + n - 3, "...") == 0;
    int fd = admin_open(f);
    json_t *value;
    char *text;

    admin_write(fd, ask);
    admin_write(fd, "\n");
    value = admin_read(fd);
    text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    if (!text || (part ? strncmp(text, answer, n - 3) : strcmp(text, answer)) != 0)
        fail_msg("asked    %s\nanswered %s\nexpected %s", ask, text ? text : "(closed)", answer);
    free(text);
    json_decref(value);
    (void)close(fd);
}

static void *
client_main(void *context)
{
    struct fixture *f = context;

    f->talk(f);
    for (unsigned i = 0; i < f->stops; i++)
        (void)uv_async_send(&f->stop);
    return NULL;
}

static void
on_stop(uv_async_t *async)
{
    hd_daemon_stop(async->data);
}

/* Runs the daemon while talk runs in a thread; then it is stopped. */
static void
run_with(struct fixture *f, void (*talk)(struct fixture *f))
{
    f->talk = talk;
    f->stops = 1;
    assert_int_equal(uv_async_init(&f->daemon->loop, &f->stop, on_stop), 0);
    f->stop.data = f->daemon;
    assert_int_equal(pthread_create(&f->client, NULL, client_main, f), 0);
    hd_daemon_run(f->daemon);
    assert_int_equal(pthread_join(f->client, NULL), 0);
    hd_daemon_free(f->daemon);
    f->daemon = NULL;
}

/* --- start ----------------------------------------------------------------------------- */

static void
talk_nothing(struct fixture *f)
{
    (void)f;
}

static void
first_users_are_made_once(void **state)
{
    struct fixture *f = *state;

    start(f);
    assert_int_equal(f->daemon->n_made, 2);
    assert_string_equal(f->daemon->made[0].name, "2001");
    run_with(f, talk_nothing);
    start(f);
    assert_int_equal(f->daemon->n_made, 0);
    assert_int_equal(pol_book_user_count(hd_state_book(f->daemon->state)), 2);
}

static void
the_admin_socket_is_for_its_owner_alone_and_goes_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    start(f);
    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    run_with(f, talk_nothing);
    assert_int_not_equal(stat(f->socket, &st), 0);
}

static void
a_socket_that_nobody_answers_on_is_replaced(void **state)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct fixture *f = *state;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(mkdir(f->run, 0700), 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->socket);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    (void)close(fd);
    start(f);
}

static void
something_else_in_the_socket_s_place_is_left_alone(void **state)
{
    struct fixture *f = *state;
    FILE *file;

    assert_int_equal(mkdir(f->run, 0700), 0);
    file = fopen(f->socket, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(hd_daemon_start(&f->options, tell, f, &f->daemon), HD_EIO);
    assert_non_null(strstr(hd_str_text(&f->told), "something else is there"));
    assert_int_equal(access(f->socket, F_OK), 0);
}

static void
a_second_daemon_in_the_same_folder_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hd_daemon *second = NULL;

    start(f);
    assert_int_equal(hd_daemon_start(&f->options, tell, f, &second), HD_EBUSY);
    assert_non_null(strstr(hd_str_text(&f->told), "another daemon"));
}

static void
a_second_daemon_on_the_same_admin_socket_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hd_options other;
    struct hd_daemon *second = NULL;
    char text[512], run[128], conf[128];

    start(f);
    (void)snprintf(text, sizeof(text), "%sadmin { socket = \"%s\" }\n", usual_conf, f->socket);
    write_conf(f, text);
    (void)snprintf(run, sizeof(run), "%s/other", f->folder);
    (void)snprintf(conf, sizeof(conf), "%s", f->conf);
    other = f->options;
    other.run_dir = run;
    other.config = conf;
    assert_int_equal(hd_daemon_start(&other, tell, f, &second), HD_EIO);
    assert_non_null(strstr(hd_str_text(&f->told), "another daemon answers"));
    empty_folder(run);
    assert_int_equal(access(f->socket, F_OK), 0);
}

static void
a_taken_port_is_named_and_nothing_is_left_open(void **state)
{
    struct fixture *f = *state;
    struct hd_addr taken;
    char text[256];

    start(f);
    taken = f->daemon->conf->listeners[1].addr;
    (void)snprintf(text, sizeof(text),
                   "listen \"udp://127.0.0.1:0\" { }\nlisten \"tcp://127.0.0.1:%u\" { }\n",
                   (unsigned)taken.port);
    write_conf(f, text);
    (void)snprintf(f->run, sizeof(f->run), "%s/run2", f->folder);
    {
        struct hd_daemon *second = NULL;

        assert_int_equal(hd_daemon_start(&f->options, tell, f, &second), HD_EIO);
    }
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)taken.port);
    assert_non_null(strstr(hd_str_text(&f->told), text));
    empty_folder(f->run);
    (void)snprintf(f->run, sizeof(f->run), "%s/run", f->folder);
    hd_daemon_free(f->daemon);
    f->daemon = NULL;
    empty_folder(f->run);
}

static void
a_wrong_configuration_opens_nothing(void **state)
{
    struct fixture *f = *state;

    write_conf(f, "shards = none\n");
    assert_int_equal(hd_daemon_start(&f->options, tell, f, &f->daemon), HD_ESYNTAX);
    assert_non_null(strstr(hd_str_text(&f->told), "x.conf:1: shards"));
    assert_int_not_equal(access(f->run, F_OK), 0);
}

/* --- changes --------------------------------------------------------------------------- */

static void
talk_reload(struct fixture *f)
{
    char text[600];

    expect(f, "{\"id\":1,\"call\":\"reload\"}", "{\"id\":1,\"result\":{\"version\":2}}");
    write_conf(f, "shards = 3\non_timeout = never\n");
    expect(f, "{\"id\":2,\"call\":\"reload\"}", "{\"id\":2,\"error\":\"...");
    (void)snprintf(text, sizeof(text), "%slisten \"udp://127.0.0.1:5\" { }\n", usual_conf);
    write_conf(f, text);
    expect(f, "{\"id\":3,\"call\":\"reload\"}", "{\"id\":3,\"error\":\"...");
    /* What was refused left no trace; the next good one is taken. */
    (void)snprintf(text, sizeof(text), "%spackage \"x-lab\" { types = \"a/b\" }\n", usual_conf);
    write_conf(f, text);
    expect(f, "{\"id\":4,\"call\":\"reload\"}", "{\"id\":4,\"result\":{\"version\":3}}");
    expect(f,
           "{\"id\":5,\"call\":\"policy-allow\",\"resource\":\"2001\",\"watcher\":\"*\","
           "\"package\":\"x-lab\"}",
           "{\"id\":5,\"result\":{\"rule\":{\"id\":1,\"resource\":\"sip:2001@127.0.0.1\","
           "\"watcher\":\"*\",\"package\":\"x-lab\",\"action\":\"allow\",\"since_s\":...");
}

static void
talk_rules(struct fixture *f)
{
    static const struct {
        const char *ask, *answer;
    } row[] = {
        { "{\"id\":1,\"call\":\"policy-allow\",\"resource\":\"*\",\"watcher\":\"@friends\"}",
          "{\"id\":1,\"error\":\"there is no such list..." },
        { "{\"id\":1,\"call\":\"policy-list-add\",\"name\":\"friends\",\"members\":[\"2002\","
          "\"sip:*@Partner.Example.\"]}",
          "{\"id\":1,\"result\":{\"name\":\"friends\",\"members\":2,\"version\":2}}" },
        { "{\"id\":1,\"call\":\"policy-list-show\",\"name\":\"friends\"}",
          "{\"id\":1,\"result\":{\"lists\":[{\"name\":\"friends\",\"size\":2,\"members\":["
          "\"sip:*@partner.example\",\"sip:2002@127.0.0.1\"]}]}}" },
        { "{\"id\":1,\"call\":\"policy-list-add\",\"name\":\"friends\",\"members\":[\"*\"]}",
          "{\"id\":1,\"error\":\"a list has people in it..." },
        { "{\"id\":1,\"call\":\"policy-list-add\",\"name\":\"a b\",\"members\":[]}",
          "{\"id\":1,\"error\":\"that name cannot be..." },
        { "{\"id\":1,\"call\":\"policy-list-add\",\"name\":\"x\",\"members\":[1]}",
          "{\"id\":1,\"error\":\"members must be an array of strings\"}" },
        { "{\"id\":1,\"call\":\"policy-confirm\",\"resource\":\"*\",\"watcher\":\"@friends\","
          "\"package\":\"presence\",\"except\":[\"sip:eve@partner.example\"]}",
          "{\"id\":1,\"result\":{\"rule\":{\"id\":1,\"resource\":\"*\",\"watcher\":\"@friends\","
          "\"package\":\"presence\",\"action\":\"confirm\",\"since_s\":..." },
        { "{\"id\":1,\"call\":\"policy-list-remove\",\"name\":\"friends\"}",
          "{\"id\":1,\"error\":\"rules use the list friends..." },
        { "{\"id\":1,\"call\":\"policy-polite\",\"resource\":\"2001\",\"watcher\":\"2002\","
          "\"except\":[\"2001\"]}",
          "{\"id\":1,\"error\":\"that rule cannot be..." },
        { "{\"id\":1,\"call\":\"policy-block\",\"resource\":\"2001\",\"watcher\":\"2002\","
          "\"from_s\":-1}",
          "{\"id\":1,\"error\":\"from_s is out of range..." },
        { "{\"id\":1,\"call\":\"policy-block\",\"resource\":\"2001\",\"watcher\":\"2002\","
          "\"shadow\":1}",
          "{\"id\":1,\"error\":\"shadow must be a boolean\"}" },
        { "{\"id\":1,\"call\":\"policy-test\",\"watcher\":\"2002\",\"resource\":\"2001\","
          "\"package\":\"presence\"}",
          "{\"id\":1,\"result\":{\"watcher\":\"sip:2002@127.0.0.1\",\"resource\":"
          "\"sip:2001@127.0.0.1\",\"authenticated\":true,\"answers\":[{\"package\":\"presence\","
          "\"decision\":\"confirm\",\"by\":\"rules\",\"rule\":{\"id\":1,..." },
        { "{\"id\":1,\"call\":\"policy-test\",\"watcher\":\"*\",\"resource\":\"2001\"}",
          "{\"id\":1,\"error\":\"watcher \\\"*\\\"..." },
        { "{\"id\":1,\"call\":\"policy-test\",\"watcher\":\"2002\",\"resource\":\"2001\","
          "\"package\":\"x\"}",
          "{\"id\":1,\"error\":\"there is no package x\"}" },
        { "{\"id\":1,\"call\":\"policy-remove\",\"resource\":\"*\",\"watcher\":\"@friends\"}",
          "{\"id\":1,\"error\":\"there is no such rule..." },
        { "{\"id\":1,\"call\":\"policy-remove\",\"resource\":\"*\",\"watcher\":\"@friends\","
          "\"package\":\"presence\"}",
          "{\"id\":1,\"result\":{\"version\":4}}" },
        { "{\"id\":1,\"call\":\"policy-list-remove\",\"name\":\"friends\",\"members\":[\"2002\"]}",
          "{\"id\":1,\"result\":{\"name\":\"friends\",\"members\":1,\"version\":5}}" },
        { "{\"id\":1,\"call\":\"policy-list-remove\",\"name\":\"friends\"}",
          "{\"id\":1,\"result\":{\"name\":\"friends\",\"members\":0,\"version\":6}}" },
        { "{\"id\":1,\"call\":\"policy-list-show\",\"name\":\"friends\"}",
          "{\"id\":1,\"error\":\"there is no list friends\"}" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        expect(f, row[i].ask, row[i].answer);
}

static void
rules_and_lists_are_set_shown_and_tried(void **state)
{
    struct fixture *f = *state;

    start(f);
    run_with(f, talk_rules);
}

static void
a_reload_is_taken_whole_or_refused(void **state)
{
    struct fixture *f = *state;

    start(f);
    run_with(f, talk_reload);
}

static void
talk_users(struct fixture *f)
{
    expect(f, "{\"id\":\"a\",\"call\":\"user-add\",\"name\":\"bob\",\"password\":\"x\"}",
           "{\"id\":\"a\",\"result\":{\"name\":\"bob\",\"resource\":\"sip:bob@127.0.0.1\","
           "\"replaced\":false,\"version\":2}}");
    expect(f, "{\"id\":2,\"call\":\"user-add\",\"name\":\"bob\"}",
           "{\"id\":2,\"result\":{\"name\":\"bob\",\"resource\":\"sip:bob@127.0.0.1\","
           "\"replaced\":true,\"password\":\"...");
    expect(f, "{\"id\":3,\"call\":\"user-remove\",\"name\":\"2002\"}",
           "{\"id\":3,\"result\":{\"name\":\"2002\",\"version\":4}}");
    expect(f, "{\"id\":4,\"call\":\"user-remove\",\"name\":\"2002\"}",
           "{\"id\":4,\"error\":\"there is no user 2002\"}");
    expect(f,
           "{\"id\":5,\"call\":\"policy-block\",\"resource\":\"bob\",\"watcher\":\"sip:eve@evil."
           "test\"}",
           "{\"id\":5,\"result\":{\"rule\":{\"id\":1,...");
}

static void
users_and_rules_outlive_the_daemon(void **state)
{
    struct fixture *f = *state;
    const struct pol_book *book;
    size_t n = 0;

    start(f);
    run_with(f, talk_users);
    start(f);
    book = hd_state_book(f->daemon->state);
    assert_non_null(pol_book_user(book, HD_LIT("bob")));
    assert_null(pol_book_user(book, HD_LIT("2002")));
    assert_non_null(pol_book_rules(book, HD_LIT("sip:bob@127.0.0.1"), &n));
    assert_int_equal(n, 1);
}

/* --- the admin socket ------------------------------------------------------------------ */

static void
talk_mistakes(struct fixture *f)
{
    static const struct {
        const char *ask, *answer;
    } row[] = {
        { "nonsense", "{\"id\":null,\"error\":\"the line is not a JSON object..." },
        { "[1]", "{\"id\":null,\"error\":\"the line is not a JSON object..." },
        { "{\"id\":1,\"id\":2}", "{\"id\":null,\"error\":\"the line is not a JSON object..." },
        { "{\"id\":1}", "{\"id\":1,\"error\":\"call must be the name of a call\"}" },
        { "{\"id\":{},\"call\":\"status\"}", "{\"id\":null,\"error\":\"id must be..." },
        { "{\"id\":1,\"call\":\"nope\"}",
          "{\"id\":1,\"error\":\"there is no call \\\"nope\\\"\"}" },
        { "{\"id\":1,\"call\":\"user-add\"}", "{\"id\":1,\"error\":\"name is missing..." },
        { "{\"id\":1,\"call\":\"user-add\",\"name\":1}",
          "{\"id\":1,\"error\":\"name must be a string\"}" },
        { "{\"id\":1,\"call\":\"user-add\",\"name\":\"a:b\"}",
          "{\"id\":1,\"error\":\"that name cannot be..." },
        { "{\"id\":1,\"call\":\"user-add\",\"name\":\"a@b.test\"}",
          "{\"id\":1,\"error\":\"that name is at a domain..." },
        { "{\"id\":1,\"call\":\"user-add\",\"name\":\"a\",\"password\":\"\"}",
          "{\"id\":1,\"error\":\"the password is empty\"}" },
        { "{\"id\":1,\"call\":\"status\",\"nmae\":\"x\"}",
          "{\"id\":1,\"error\":\"this call knows no key \\\"nmae\\\"\"}" },
        { "{\"id\":1,\"call\":\"subs\",\"limit\":0}",
          "{\"id\":1,\"error\":\"limit is out of range..." },
        { "{\"id\":1,\"call\":\"subs\",\"limit\":100001}",
          "{\"id\":1,\"error\":\"limit is out of range..." },
        { "{\"id\":1,\"call\":\"subs\",\"limit\":\"1\"}",
          "{\"id\":1,\"error\":\"limit must be an integer\"}" },
        { "{\"id\":1,\"call\":\"subs\",\"resource\":\"sip:a@b.test\"}",
          "{\"id\":1,\"error\":\"resource \\\"sip:a@b.test\\\" is at a domain..." },
        { "{\"id\":1,\"call\":\"policy-allow\",\"resource\":\"a\"}",
          "{\"id\":1,\"error\":\"watcher is missing..." },
        { "{\"id\":1,\"call\":\"policy-allow\",\"resource\":\"a\",\"watcher\":\"sip:\"}",
          "{\"id\":1,\"error\":\"watcher \\\"sip:\\\"..." },
        { "{\"id\":1,\"call\":\"policy-allow\",\"resource\":\"a\",\"watcher\":\"*\",\"package\":"
          "\"x\"}",
          "{\"id\":1,\"error\":\"there is no package x\"}" },
        { "{\"id\":1,\"call\":\"policy-remove\",\"resource\":\"a\",\"watcher\":\"*\"}",
          "{\"id\":1,\"error\":\"there is no such rule..." },
        { "{\"id\":1,\"call\":\"log-level\",\"level\":\"loud\"}",
          "{\"id\":1,\"error\":\"there is no such level..." },
    };

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        expect(f, row[i].ask, row[i].answer);
}

static void
each_wrong_call_is_answered_with_what_is_wrong(void **state)
{
    struct fixture *f = *state;

    start(f);
    run_with(f, talk_mistakes);
}

static void
talk_many(struct fixture *f)
{
    unsigned answered = 0;
    json_t *value;
    int fd = admin_open(f), other;

    /* Two lines in one piece, and one in two. */
    admin_write(fd,
                "\n{\"id\":1,\"call\":\"package-list\"}\n{\"id\":2,\"call\":\"subs\"}\n{\"id\":3,");
    admin_write(fd, "\"call\":\"status\"}\n");
    for (; answered < 3; answered++) {
        value = admin_read(fd);
        assert_non_null(json_object_get(value, "result"));
        json_decref(value);
    }
    (void)close(fd);
    /* A client that goes before its answer, and one that goes in the middle of a line. */
    for (unsigned i = 0; i < 20; i++) {
        other = admin_open(f);
        admin_write(other, "{\"id\":1,\"call\":\"subs\"}\n{\"id\":2,");
        (void)close(other);
    }
    expect(f, "{\"id\":1,\"call\":\"subs\"}",
           "{\"id\":1,\"result\":{\"subs\":[],\"truncated\":false}}");
}

static void
several_calls_and_clients_are_served_and_may_leave(void **state)
{
    struct fixture *f = *state;

    start(f);
    run_with(f, talk_many);
}

static void
talk_long_line(struct fixture *f)
{
    char *line = malloc(HD_ADMIN_LINE_MAX + 1);
    int fd = admin_open(f);
    json_t *value;

    assert_non_null(line);
    /* The longest line that is taken. */
    memset(line, ' ', HD_ADMIN_LINE_MAX);
    memcpy(line, "{\"id\":1,\"call\":\"log-level\"}", 27);
    line[HD_ADMIN_LINE_MAX - 1] = '\0';
    admin_write(fd, line);
    admin_write(fd, "\n");
    value = admin_read(fd);
    assert_non_null(value);
    json_decref(value);
    /* One octet more closes the connection. */
    (void)send(fd, line, HD_ADMIN_LINE_MAX - 1, MSG_NOSIGNAL);
    (void)send(fd, " \n", 2, MSG_NOSIGNAL);
    assert_null(admin_read(fd));
    (void)close(fd);
    free(line);
}

static void
a_line_above_one_mebibyte_closes_the_connection(void **state)
{
    struct fixture *f = *state;

    start(f);
    run_with(f, talk_long_line);
}

/* --- SIP, as far as the wiring goes ---------------------------------------------------- */

static struct sockaddr_in
listener_addr(const struct fixture *f, size_t i)
{
    const struct hd_addr *addr = &f->daemon->conf->listeners[i].addr;
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(addr->port) };

    memcpy(&in.sin_addr, addr->ip, 4);
    return in;
}

/* Sends a request and reads what comes back, once. */
static ssize_t
ask_sip(const struct fixture *f, size_t listener, const char *head, size_t body, char *ret,
        size_t cap)
{
    struct sockaddr_in in = listener_addr(f, listener);
    struct timeval wait = { .tv_sec = 10 };
    int fd = socket(AF_INET, listener == 0 ? SOCK_DGRAM : SOCK_STREAM, 0);
    char text[4096];
    ssize_t n;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    n = snprintf(text, sizeof(text), "%sContent-Length: %zu\r\n\r\n", head, body);
    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    n = recv(fd, ret, cap - 1, 0);
    assert_true(n > 0);
    ret[n] = '\0';
    (void)close(fd);
    return n;
}

#define HEAD(method, transport)                                                                    \
    method " sip:2001@127.0.0.1 SIP/2.0\r\n"                                                       \
           "Via: SIP/2.0/" transport " 127.0.0.1:9;branch=z9hG4bKx;rport\r\n"                      \
           "Max-Forwards: 70\r\nFrom: <sip:2002@127.0.0.1>;tag=a\r\nTo: <sip:2001@127.0.0.1>\r\n"  \
           "Call-ID: daemon-test\r\nCSeq: 1 " method "\r\n"

static void
talk_sip(struct fixture *f)
{
    char got[4096];

    (void)ask_sip(f, 0, HEAD("OPTIONS", "UDP"), 0, got, sizeof(got));
    assert_non_null(strstr(got, "SIP/2.0 200 "));
    (void)ask_sip(f, 1, HEAD("PUBLISH", "TCP") "Event: presence\r\n", 0, got, sizeof(got));
    assert_non_null(strstr(got, "SIP/2.0 401 "));
    /* The body is never sent: the answer comes from the head alone. */
    (void)ask_sip(f, 1, HEAD("PUBLISH", "TCP") "Event: presence\r\n", 4000, got, sizeof(got));
    assert_non_null(strstr(got, "SIP/2.0 413 "));
    assert_non_null(strstr(got, "Call-ID: daemon-test\r\n"));
    assert_non_null(strstr(got, ";tag="));
}

static void
requests_are_answered_over_udp_and_tcp(void **state)
{
    struct fixture *f = *state;

    start(f);
    run_with(f, talk_sip);
}

static void
a_second_stop_ends_it_at_once(void **state)
{
    struct fixture *f = *state;

    start(f);
    hd_daemon_stop(f->daemon);
    assert_int_equal(f->daemon->phase, HD_PHASE_DRAINING);
    hd_daemon_stop(f->daemon);
    assert_int_equal(f->daemon->phase, HD_PHASE_ENDED);
    hd_daemon_run(f->daemon);
}

#define DAEMON_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DAEMON_TEST(first_users_are_made_once),
        DAEMON_TEST(the_admin_socket_is_for_its_owner_alone_and_goes_at_the_end),
        DAEMON_TEST(a_socket_that_nobody_answers_on_is_replaced),
        DAEMON_TEST(something_else_in_the_socket_s_place_is_left_alone),
        DAEMON_TEST(a_second_daemon_in_the_same_folder_is_refused),
        DAEMON_TEST(a_second_daemon_on_the_same_admin_socket_is_refused),
        DAEMON_TEST(a_taken_port_is_named_and_nothing_is_left_open),
        DAEMON_TEST(a_wrong_configuration_opens_nothing),
        DAEMON_TEST(rules_and_lists_are_set_shown_and_tried),
        DAEMON_TEST(a_reload_is_taken_whole_or_refused),
        DAEMON_TEST(users_and_rules_outlive_the_daemon),
        DAEMON_TEST(each_wrong_call_is_answered_with_what_is_wrong),
        DAEMON_TEST(several_calls_and_clients_are_served_and_may_leave),
        DAEMON_TEST(a_line_above_one_mebibyte_closes_the_connection),
        DAEMON_TEST(requests_are_answered_over_udp_and_tcp),
        DAEMON_TEST(a_second_stop_ends_it_at_once),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
