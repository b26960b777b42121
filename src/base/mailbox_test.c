/* mailbox_test.c - each sender's mail arrives in order, and no wake-up is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include "base/mailbox.h"

/* Steps in between when the receiver sets its sleep bit: what a sender on another core can do at
 * that moment. */
static void (*before_sleep_bit)(void), (*after_sleep_bit)(void);

static uint64_t
set_bit_with_steps(_Atomic uint64_t *word, uint64_t bit, memory_order order)
{
    uint64_t was;

    if (before_sleep_bit)
        before_sleep_bit();
    was = atomic_fetch_or_explicit(word, bit, order);
    if (after_sleep_bit)
        after_sleep_bit();
    return was;
}

#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit set_bit_with_steps

#include "mailbox.c"

static void
count_wake(void *context)
{
    ++*(int *)context;
}

static void
mail_comes_out_in_the_order_it_went_in(void **state)
{
    struct hd_mailbox box;
    struct hd_mail mails[5];
    int wakes = 0;

    (void)state;
    hd_mailbox_init(&box, count_wake, &wakes);
    assert_null(hd_mailbox_take(&box));
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 5; i++)
            hd_mailbox_post(&box, &mails[i]);
        assert_int_equal(hd_mailbox_depth(&box), 5);
        for (uint32_t i = 0; i < 5; i++)
            assert_ptr_equal(hd_mailbox_take(&box), &mails[i]);
        assert_null(hd_mailbox_take(&box));
        assert_int_equal(hd_mailbox_depth(&box), 0);
    }
    assert_int_equal(wakes, 0);
}

static void
a_taken_mail_may_be_posted_again_while_others_wait(void **state)
{
    struct hd_mailbox box;
    struct hd_mail a, b;
    int wakes = 0;

    (void)state;
    hd_mailbox_init(&box, count_wake, &wakes);
    hd_mailbox_post(&box, &a);
    hd_mailbox_post(&box, &b);
    for (int i = 0; i < 10; i++) {
        struct hd_mail *mail = hd_mailbox_take(&box);
        assert_ptr_equal(mail, i % 2 ? &b : &a);
        hd_mailbox_post(&box, mail);
    }
    assert_int_equal(hd_mailbox_depth(&box), 2);
}

static void
a_receiver_with_mail_does_not_sleep(void **state)
{
    struct hd_mailbox box;
    struct hd_mail mails[2];
    int wakes = 0;

    (void)state;
    hd_mailbox_init(&box, count_wake, &wakes);
    hd_mailbox_post(&box, &mails[0]);
    hd_mailbox_post(&box, &mails[1]);
    assert_false(hd_mailbox_sleep(&box));
    assert_non_null(hd_mailbox_take(&box));
    assert_false(hd_mailbox_sleep(&box)); /* the last one, without a follower */
    assert_non_null(hd_mailbox_take(&box));
    assert_true(hd_mailbox_sleep(&box));
    hd_mailbox_awake(&box);
    /* A refusal to sleep leaves no sleep bit behind. */
    hd_mailbox_post(&box, &mails[0]);
    assert_false(hd_mailbox_sleep(&box));
    hd_mailbox_post(&box, &mails[1]);
    assert_int_equal(wakes, 0);
}

static struct hd_mailbox racing_box;
static struct hd_mail racing_mail;

static void
post_now(void)
{
    hd_mailbox_post(&racing_box, &racing_mail);
}

static void
mail_posted_while_the_receiver_lies_down_keeps_it_awake_or_wakes_it(void **state)
{
    int wakes;

    (void)state;
    for (int step = 0; step < 2; step++) {
        bool sleeps;

        wakes = 0;
        hd_mailbox_init(&racing_box, count_wake, &wakes);
        before_sleep_bit = step == 0 ? post_now : NULL;
        after_sleep_bit = step == 1 ? post_now : NULL;
        sleeps = hd_mailbox_sleep(&racing_box);
        before_sleep_bit = after_sleep_bit = NULL;
        assert_true(!sleeps || wakes == 1);
        assert_ptr_equal(hd_mailbox_take(&racing_box), &racing_mail);
    }
}

static void
the_first_mail_to_a_sleeper_wakes_it_and_the_others_do_not(void **state)
{
    struct hd_mailbox box;
    struct hd_mail mails[3];
    int wakes = 0;

    (void)state;
    hd_mailbox_init(&box, count_wake, &wakes);
    assert_true(hd_mailbox_sleep(&box));
    for (int i = 0; i < 3; i++)
        hd_mailbox_post(&box, &mails[i]);
    assert_int_equal(wakes, 1);
    while (hd_mailbox_take(&box))
        ;
    assert_true(hd_mailbox_sleep(&box));
    hd_mailbox_awake(&box); /* for another reason, a packet */
    hd_mailbox_post(&box, &mails[0]);
    assert_int_equal(wakes, 1);
}

static void
a_sender_half_way_holds_later_mail_back_and_wakes_when_it_is_done(void **state)
{
    struct hd_mailbox box;
    struct hd_mail first, late, behind;
    struct hd_mail *before;
    int wakes = 0;

    (void)state;
    hd_mailbox_init(&box, count_wake, &wakes);
    hd_mailbox_post(&box, &first);
    /* By hand, the first half of a post. */
    atomic_store(&late.next, NULL);
    before = atomic_exchange(&box.tail, &late);
    hd_mailbox_post(&box, &behind);
    for (int i = 0; i < 3; i++) /* the stub must not join twice */
        assert_null(hd_mailbox_take(&box));
    assert_true(hd_mailbox_sleep(&box));
    assert_int_equal(wakes, 0);
    /* The second half. */
    atomic_store(&before->next, &late);
    announce(&box);
    assert_int_equal(wakes, 1);
    assert_ptr_equal(hd_mailbox_take(&box), &first);
    assert_ptr_equal(hd_mailbox_take(&box), &late);
    assert_ptr_equal(hd_mailbox_take(&box), &behind);
    assert_null(hd_mailbox_take(&box));
}

/* --- four senders, one receiver -------------------------------------------------------------- */

#define SENDERS 4
#define MAILS 100000
#define PATIENCE_S 60

struct numbered {
    struct hd_mail mail;
    uint32_t sender, number;
};

struct stress {
    struct hd_mailbox box;
    sem_t woken;
};

struct sender {
    struct stress *stress;
    uint32_t id;
    pthread_t thread;
};

static void
post_semaphore(void *context)
{
    sem_post(context);
}

static void *
send_all(void *context)
{
    struct sender *sender = context;

    for (uint32_t i = 0; i < MAILS; i++) {
        struct numbered *mail = malloc(sizeof(*mail));
        if (!mail)
            abort();
        mail->sender = sender->id;
        mail->number = i;
        hd_mailbox_post(&sender->stress->box, &mail->mail);
        /* Pauses, so that the receiver gets to sleep many times. */
        if (i % 64 == 63)
            sched_yield();
    }
    return NULL;
}

static bool
sleep_until_woken(struct stress *stress)
{
    struct timespec until;
    int err;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    do
        err = sem_timedwait(&stress->woken, &until);
    while (err != 0 && errno == EINTR);
    return err == 0;
}

static void
four_senders_lose_no_mail_no_order_and_no_wake_up(void **state)
{
    static struct stress stress;
    struct sender senders[SENDERS];
    uint32_t next[SENDERS] = { 0 };
    unsigned sleeps = 0;

    (void)state;
    hd_mailbox_init(&stress.box, post_semaphore, &stress.woken);
    assert_int_equal(sem_init(&stress.woken, 0, 0), 0);
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ .stress = &stress, .id = i };
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    for (unsigned taken = 0; taken < SENDERS * MAILS;) {
        struct hd_mail *mail = hd_mailbox_take(&stress.box);

        if (!mail) {
            if (hd_mailbox_sleep(&stress.box)) {
                sleeps++;
                assert_true(sleep_until_woken(&stress));
            }
            continue;
        }
        struct numbered *numbered = HD_CONTAINER(mail, struct numbered, mail);
        assert_int_equal(numbered->number, next[numbered->sender]++);
        free(numbered);
        taken++;
    }
    for (uint32_t i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    assert_null(hd_mailbox_take(&stress.box));
    assert_int_equal(hd_mailbox_depth(&stress.box), 0);
    assert_true(sleeps > 0);
    sem_destroy(&stress.woken);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_comes_out_in_the_order_it_went_in),
        cmocka_unit_test(a_taken_mail_may_be_posted_again_while_others_wait),
        cmocka_unit_test(a_receiver_with_mail_does_not_sleep),
        cmocka_unit_test(mail_posted_while_the_receiver_lies_down_keeps_it_awake_or_wakes_it),
        cmocka_unit_test(the_first_mail_to_a_sleeper_wakes_it_and_the_others_do_not),
        cmocka_unit_test(a_sender_half_way_holds_later_mail_back_and_wakes_when_it_is_done),
        cmocka_unit_test(four_senders_lose_no_mail_no_order_and_no_wake_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
