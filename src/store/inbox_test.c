/* Tests of inbox.h: a mail or a word ends a sleep, a word alone a pause; and what the scheduler is
 * asked leaves alone what was chosen for the process. */
#include "store/inbox.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct sto_inbox inbox;
static struct hd_mail mail;

static int
setup(void **state)
{
    (void)state;
    return sto_inbox_init(&inbox) ? -1 : 0;
}

static int
teardown(void **state)
{
    (void)state;
    sto_inbox_done(&inbox);
    return 0;
}

static void *
post_it(void *unused)
{
    hd_mailbox_post(&inbox.box, &mail);
    return unused;
}

/* It ends at all: nothing else would end it. */
static void
a_mail_ends_a_sleep(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, post_it, NULL), 0);
    struct hd_mail *taken;
    while (!(taken = hd_mailbox_take(&inbox.box)))
        sto_inbox_sleep(&inbox, -1);
    assert_ptr_equal(taken, &mail);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
a_word_ends_the_next_sleep_and_the_next_pause(void **state)
{
    (void)state;
    sto_inbox_wake(&inbox);
    sto_inbox_wake(&inbox);
    sto_inbox_sleep(&inbox, -1);
    sto_inbox_wake(&inbox);
    sto_inbox_pause(&inbox, -1);
    assert_null(hd_mailbox_take(&inbox.box));
}

static void
a_mail_is_no_word_to_one_who_does_not_sleep(void **state)
{
    struct pollfd woken = { .fd = inbox.fd, .events = POLLIN };

    (void)state;
    hd_mailbox_post(&inbox.box, &mail);
    assert_int_equal(poll(&woken, 1, 0), 0);
    sto_inbox_sleep(&inbox, -1); /* it is there already */
    assert_ptr_equal(hd_mailbox_take(&inbox.box), &mail);
}

/* Of a thread of its own: what it gives up it does not get back. */
static void *
ask_the_scheduler(void *ret_policies)
{
    const struct sched_param none = { .sched_priority = 0 };
    int *policies = ret_policies;

    if (sched_setscheduler(0, SCHED_BATCH, &none) != 0)
        return NULL;
    sto_give_way();
    policies[0] = sched_getscheduler(0);
    policies[1] = getpriority(PRIO_PROCESS, 0);
    return policies;
}

static void
the_policy_of_the_process_stays(void **state)
{
    const int nice = getpriority(PRIO_PROCESS, 0);
    int policies[2] = { -1, 0 };
    pthread_t thread;
    void *asked;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, ask_the_scheduler, policies), 0);
    assert_int_equal(pthread_join(thread, &asked), 0);
    if (!asked)
        skip();
    assert_int_equal(policies[0], SCHED_BATCH);
    assert_int_equal(policies[1], nice + 10 < 19 ? nice + 10 : 19);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_mail_ends_a_sleep, setup, teardown),
        cmocka_unit_test_setup_teardown(a_word_ends_the_next_sleep_and_the_next_pause, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_mail_is_no_word_to_one_who_does_not_sleep, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_policy_of_the_process_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
