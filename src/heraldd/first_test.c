/* Tests of the users of a first start, the number of shards, and the words to the service manager.
 */
#include "heraldd/first.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "heraldd/host.h"
#include "heraldd/notify.h"
#include "package/pkg.h"

static void
no_problem(void *context, const char *line)
{
    (void)context;
    fail_msg("%s", line);
}

static struct hd_conf *
conf_of(const char *text)
{
    struct hd_problems problems = { .file = "x.conf", .tell = no_problem };
    struct hd_conf *conf = NULL;
    struct hd_addr bound[HD_CONF_LISTENERS];

    assert_int_equal(hd_conf_parse(hd_slice_str(text), pkg_ops, &problems, &conf), HD_OK);
    for (size_t i = 0; i < conf->n_listeners; i++)
        bound[i] = conf->listeners[i].addr;
    assert_int_equal(hd_conf_bind(conf, bound, NULL, 0), HD_OK);
    return conf;
}

static struct pol_book *
empty_book(void)
{
    static const struct hd_hash_key key = { 1, 2 };
    struct pol_book *book = pol_book_new(&key);

    assert_non_null(book);
    return book;
}

static void
a_password_can_be_read_out_and_is_another_each_time(void **state)
{
    char a[HD_PASSWORD_TEXT], b[HD_PASSWORD_TEXT];

    (void)state;
    hd_password_make(a);
    hd_password_make(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 22);
    for (size_t i = 0; i < 22; i++) {
        if (i % 5 == 4)
            assert_int_equal(a[i], '-');
        else if (i < 20)
            assert_non_null(strchr(i % 5 % 2 ? "aeiou" : "bdfghjklmnprstvz", a[i]));
        else
            assert_in_range(a[i], '0', '9');
    }
}

static void
first_users_of_the_configuration_can_log_in_with_what_is_printed(void **state)
{
    struct hd_conf *conf =
        conf_of("first_users = { \"2001\", \"2002\" }\nauthentication { realm = \"lab\" }");
    struct pol_book *book = empty_book(), *after = NULL;
    struct hd_made_user *made = NULL;
    char problem[HD_PROBLEM_TEXT], ha1[SIP_DIGEST_HEX];
    const struct pol_user *user;
    size_t n = 0, len = 0;

    (void)state;
    assert_int_equal(hd_first_users(book, conf, NULL, problem, &made, &n, &after), HD_OK);
    assert_int_equal(n, 2);
    assert_string_equal(made[1].name, "2002");
    assert_int_equal(pol_book_user_count(book), 0);
    assert_int_equal(pol_book_user_count(after), 2);
    user = pol_book_user(after, HD_LIT("2002"));
    assert_non_null(user);
    assert_true(hd_slice_eq(user->logins[0].realm, HD_LIT("lab")));
    sip_digest_ha1(SIP_DIGEST_SHA256, HD_LIT("2002"), HD_LIT("lab"), hd_slice_str(made[1].password),
                   ha1, &len);
    assert_true(hd_slice_eq(user->logins[0].ha1[SIP_DIGEST_SHA256], hd_slice(ha1, len)));
    free(made);
    pol_book_unref(after);
    pol_book_unref(book);
    hd_conf_unref(conf);
}

static void
names_of_the_command_line_stand_in_for_those_of_the_configuration(void **state)
{
    static const struct {
        const char *names;
        enum hd_err err;
        size_t n;
    } row[] = {
        { NULL, HD_OK, 1 },       { "", HD_OK, 0 },   { "a", HD_OK, 1 },
        { "a,b, c", HD_OK, 3 },   { "a,", HD_OK, 1 }, { "a,,b", HD_ESYNTAX, 0 },
        { "a:b", HD_ESYNTAX, 0 },
    };
    struct hd_conf *conf = conf_of("first_users = 2001");
    struct pol_book *book = empty_book();

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct pol_book *after = NULL;
        struct hd_made_user *made = NULL;
        char problem[HD_PROBLEM_TEXT];
        size_t n = 0;

        assert_int_equal(hd_first_users(book, conf, row[i].names, problem, &made, &n, &after),
                         row[i].err);
        assert_int_equal(n, row[i].n);
        if (row[i].err == HD_OK)
            assert_int_equal(pol_book_user_count(after), row[i].n);
        free(made);
        pol_book_unref(after);
    }
    pol_book_unref(book);
    hd_conf_unref(conf);
}

static void
shards_leave_cores_to_the_rest_of_the_machine(void **state)
{
    static const struct {
        unsigned cores, shards;
    } row[] = {
        { 0, 1 }, { 1, 1 }, { 2, 1 }, { 3, 2 }, { 8, 7 }, { 9, 7 }, { 64, 62 }, { 500, 64 }
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        assert_int_equal(hd_host_auto_shards(row[i].cores), row[i].shards);
}

/* The service manager's end, in the abstract namespace or at a path. */
static int
manager(const char *name)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    size_t n = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(addr.sun_path, name, n);
    if (name[0] == '@')
        addr.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
                     0);
    return fd;
}

static void
the_service_manager_hears_it_by_path_and_by_abstract_name(void **state)
{
    char path[64], abstract[64], got[128];
    const char *names[] = { path, abstract };

    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/herald-notify-%d", (int)getpid());
    (void)snprintf(abstract, sizeof(abstract), "@herald-notify-%d", (int)getpid());
    for (size_t i = 0; i < 2; i++) {
        int fd = manager(names[i]);
        ssize_t n;

        assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
        hd_notify("READY=1");
        hd_notify_reloading();
        n = recv(fd, got, sizeof(got), 0);
        assert_true(hd_slice_eq(hd_slice(got, (size_t)n), HD_LIT("READY=1")));
        n = recv(fd, got, sizeof(got), 0);
        assert_true(
            hd_slice_starts(hd_slice(got, (size_t)n), HD_LIT("RELOADING=1\nMONOTONIC_USEC=")));
        (void)close(fd);
    }
    (void)unlink(path);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    hd_notify("READY=1"); /* nobody there: nothing happens */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_can_be_read_out_and_is_another_each_time),
        cmocka_unit_test(first_users_of_the_configuration_can_log_in_with_what_is_printed),
        cmocka_unit_test(names_of_the_command_line_stand_in_for_those_of_the_configuration),
        cmocka_unit_test(shards_leave_cores_to_the_rest_of_the_machine),
        cmocka_unit_test(the_service_manager_hears_it_by_path_and_by_abstract_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
