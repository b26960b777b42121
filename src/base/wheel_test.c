/* wheel_test.c - timers fire in their millisecond, in order, and not otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wheel.h"

#include "base/err.h"
#include "base/rng.h"

#define LOG_LEN 64

/* What fired, in order; and what a timer does when it fires, by its kind. */
struct run {
    struct hd_wheel wheel;
    struct hd_timer t[8];
    int fired[LOG_LEN];
    size_t n;
    void (*then)(struct run *run, struct hd_timer *timer);
};

static void
fire(void *context, struct hd_timer *timer)
{
    struct run *run = context;

    assert_false(hd_timer_running(timer));
    assert_true(run->n < LOG_LEN);
    run->fired[run->n++] = (int)(timer - run->t);
    if (run->then)
        run->then(run, timer);
}

static void
start_run(struct run *run, uint64_t now_ms)
{
    memset(run, 0, sizeof(*run));
    hd_wheel_init(&run->wheel, now_ms);
}

static size_t
advance(struct run *run, uint64_t now_ms)
{
    run->n = 0;
    return hd_wheel_advance(&run->wheel, now_ms, fire, run);
}

static void
a_timer_fires_in_its_millisecond_and_once(void **state)
{
    static struct run run;
    static const uint64_t dues[] = { 1,
                                     255,
                                     256,
                                     257,
                                     65535,
                                     65536,
                                     65537,
                                     1 << 24,
                                     (1 << 24) + 1,
                                     UINT32_MAX,
                                     UINT64_C(1) << 32,
                                     (UINT64_C(1) << 40) - 1,
                                     UINT64_C(1) << 40,
                                     (UINT64_C(1) << 40) + 77,
                                     UINT64_C(1) << 45 };

    (void)state;
    for (uint64_t now = 0; now < 1000; now += 333)
        for (size_t i = 0; i < HD_ARRAY_LEN(dues); i++) {
            start_run(&run, now);
            hd_wheel_start(&run.wheel, &run.t[0], now + dues[i]);
            assert_int_equal(run.wheel.count, 1);
            assert_int_equal(advance(&run, now + dues[i] - 1), 0);
            assert_true(hd_timer_running(&run.t[0]));
            assert_int_equal(advance(&run, now + dues[i]), 1);
            assert_int_equal(run.wheel.count, 0);
            assert_int_equal(advance(&run, now + dues[i] + 100000), 0);
            assert_true(hd_wheel_wait_ms(&run.wheel) == UINT64_MAX);
        }
}

static void
a_due_time_in_the_past_or_now_fires_at_the_next_advance(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 1000);
    hd_wheel_start(&run.wheel, &run.t[0], 1000);
    hd_wheel_start(&run.wheel, &run.t[1], 3);
    assert_true(hd_wheel_wait_ms(&run.wheel) == 0);
    assert_int_equal(advance(&run, 1000), 2);
    assert_int_equal(run.fired[0], 0);
    assert_int_equal(run.fired[1], 1);
}

static void
time_that_goes_back_is_no_time(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 1000);
    hd_wheel_start(&run.wheel, &run.t[0], 1001);
    assert_int_equal(advance(&run, 10), 0);
    assert_true(run.wheel.now_ms == 1000);
    assert_int_equal(advance(&run, 1001), 1);
}

static void
the_order_is_by_due_time_and_within_it_by_start(void **state)
{
    static struct run run;
    static const int want[] = { 3, 1, 2, 4, 0 };

    (void)state;
    start_run(&run, 250);
    hd_wheel_start(&run.wheel, &run.t[0], 70000);
    hd_wheel_start(&run.wheel, &run.t[1], 600);
    hd_wheel_start(&run.wheel, &run.t[2], 600);
    hd_wheel_start(&run.wheel, &run.t[3], 251);
    /* The first two have moved down by now, this one starts on the lower level at once. */
    assert_int_equal(advance(&run, 251), 1);
    assert_int_equal(run.fired[0], want[0]);
    assert_int_equal(advance(&run, 590), 0);
    hd_wheel_start(&run.wheel, &run.t[4], 600);
    assert_int_equal(advance(&run, 80000), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(run.fired[i], want[i + 1]);
}

static void
a_stopped_timer_does_not_fire(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 0);
    for (unsigned i = 0; i < 3; i++)
        hd_wheel_start(&run.wheel, &run.t[i], 10);
    hd_wheel_stop(&run.wheel, &run.t[1]);
    hd_wheel_stop(&run.wheel, &run.t[1]);
    hd_wheel_stop(&run.wheel, &run.t[7]);
    assert_int_equal(run.wheel.count, 2);
    assert_int_equal(advance(&run, 10), 2);
    assert_int_equal(run.fired[1], 2);
}

static void
stopping_the_last_timer_leaves_nothing_to_wait_for(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 77);
    for (uint64_t due = 78; due < UINT64_C(1) << 50; due *= 3) {
        hd_wheel_start(&run.wheel, &run.t[0], due);
        assert_true(hd_wheel_wait_ms(&run.wheel) != UINT64_MAX);
        hd_wheel_stop(&run.wheel, &run.t[0]);
        assert_true(hd_wheel_wait_ms(&run.wheel) == UINT64_MAX);
    }
    hd_wheel_start(&run.wheel, &run.t[0], 1);
    hd_wheel_stop(&run.wheel, &run.t[0]);
    assert_true(hd_wheel_wait_ms(&run.wheel) == UINT64_MAX);
}

static void
a_running_timer_that_is_started_again_moves(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 0);
    hd_wheel_start(&run.wheel, &run.t[0], 10);
    hd_wheel_start(&run.wheel, &run.t[1], 10);
    hd_wheel_start(&run.wheel, &run.t[0], 10);
    hd_wheel_start(&run.wheel, &run.t[2], 10);
    hd_wheel_start(&run.wheel, &run.t[2], 20);
    assert_int_equal(run.wheel.count, 3);
    assert_int_equal(advance(&run, 10), 2);
    assert_int_equal(run.fired[0], 1);
    assert_int_equal(run.fired[1], 0);
    assert_int_equal(advance(&run, 20), 1);
}

static void
stop_the_others(struct run *run, struct hd_timer *timer)
{
    for (unsigned i = 0; i < HD_ARRAY_LEN(run->t); i++)
        if (&run->t[i] != timer)
            hd_wheel_stop(&run->wheel, &run->t[i]);
}

static void
a_callback_may_stop_timers_due_in_the_same_advance(void **state)
{
    static struct run run;
    static const uint64_t dues[] = { 0, 10, 11, 300 };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(dues); i++) {
        start_run(&run, 0);
        run.then = stop_the_others;
        hd_wheel_start(&run.wheel, &run.t[0], dues[i] ? 10 : 0);
        hd_wheel_start(&run.wheel, &run.t[1], dues[i]);
        hd_wheel_start(&run.wheel, &run.t[2], dues[i]);
        assert_int_equal(advance(&run, 400), 1);
        assert_int_equal(run.wheel.count, 0);
        assert_true(hd_wheel_wait_ms(&run.wheel) == UINT64_MAX);
    }
}

static void
start_for_now(struct run *run, struct hd_timer *timer)
{
    hd_wheel_start(&run->wheel, timer, run->wheel.now_ms);
}

static void
what_a_callback_starts_for_now_waits_for_the_next_advance(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 0);
    run.then = start_for_now;
    hd_wheel_start(&run.wheel, &run.t[0], 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(advance(&run, 100), 1);
        assert_true(hd_wheel_wait_ms(&run.wheel) == 0);
    }
}

static void
start_next_for_between(struct run *run, struct hd_timer *timer)
{
    /* After this timer's time, but before the time that the advance goes to. */
    hd_wheel_start(&run->wheel, timer, timer->due_ms + 1);
}

static void
what_a_callback_starts_for_before_now_waits_too(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 0);
    run.then = start_next_for_between;
    hd_wheel_start(&run.wheel, &run.t[0], 5);
    assert_int_equal(advance(&run, 1000), 1);
    assert_int_equal(advance(&run, 1000), 1);
}

static void
pull_the_others_forward(struct run *run, struct hd_timer *timer)
{
    for (unsigned i = 0; i < HD_ARRAY_LEN(run->t); i++)
        if (&run->t[i] != timer && hd_timer_running(&run->t[i]))
            hd_wheel_start(&run->wheel, &run->t[i], run->wheel.now_ms + 1000);
}

static void
a_callback_may_move_timers_due_in_the_same_advance(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 0);
    run.then = pull_the_others_forward;
    for (unsigned i = 0; i < 4; i++)
        hd_wheel_start(&run.wheel, &run.t[i], 10 + i / 2);
    assert_int_equal(advance(&run, 20), 1);
    assert_int_equal(advance(&run, 1019), 0);
    run.then = NULL;
    assert_int_equal(advance(&run, 1020), 3);
}

static void
the_wait_is_exact_when_near_and_never_late(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 1024);
    hd_wheel_start(&run.wheel, &run.t[0], 1024 + 200);
    assert_true(hd_wheel_wait_ms(&run.wheel) == 200);
    hd_wheel_start(&run.wheel, &run.t[0], 1024 + 5000);
    for (int steps = 0;; steps++) {
        uint64_t wait = hd_wheel_wait_ms(&run.wheel);

        assert_true(steps < 5);
        assert_true(wait > 0 && run.wheel.now_ms + wait <= 1024 + 5000);
        if (advance(&run, run.wheel.now_ms + wait))
            break;
    }
    assert_true(run.wheel.now_ms == 1024 + 5000);
}

static void
a_jump_of_years_costs_no_more_than_the_timers(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 12345);
    for (unsigned i = 0; i < 3; i++)
        hd_wheel_start(&run.wheel, &run.t[i], UINT64_C(86400000) * 365 * (i + 1));
    /* A wheel that went by milliseconds would not end within the time of a test run. */
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(advance(&run, UINT64_C(86400000) * 364 + i * 86), 0);
    assert_int_equal(advance(&run, UINT64_C(1) << 50), 3);
}

static void
never_is_a_due_time(void **state)
{
    static struct run run;

    (void)state;
    start_run(&run, 1);
    hd_wheel_start(&run.wheel, &run.t[0], UINT64_MAX);
    assert_int_equal(advance(&run, UINT64_C(1) << 55), 0);
    assert_true(hd_timer_running(&run.t[0]));
    hd_wheel_stop(&run.wheel, &run.t[0]);
    assert_int_equal(run.wheel.count, 0);
}

/* --- against a list -------------------------------------------------------------------------- */

#define MODEL_TIMERS 48
#define MODEL_STEPS 100000

/* The same promise kept by looking through all timers: due, and a count that says in which order
 * they were started. */
struct model {
    struct hd_wheel wheel;
    struct hd_rng rng;
    struct hd_timer t[MODEL_TIMERS];
    struct {
        bool running;
        bool held; /* started by a callback for now: not in this advance */
        uint64_t due_ms, order;
    } m[MODEL_TIMERS];
    uint64_t order;
    bool in_advance;
};

static uint64_t
model_due(struct model *model)
{
    uint64_t now = model->wheel.now_ms;
    unsigned shift = hd_rng_below(&model->rng, 44);
    uint64_t ahead = hd_rng_u64(&model->rng) & ((UINT64_C(2) << shift) - 1);

    switch (hd_rng_below(&model->rng, 8)) {
    case 0:
        return now - (ahead < now ? ahead : now);
    case 1:
        return now;
    case 2: /* crowds at one millisecond */
        return (now | 0x3f) + 1;
    case 3:
        return (now | 0xffff) + hd_rng_below(&model->rng, 3);
    default:
        return now + ahead;
    }
}

static void
model_act(struct model *model)
{
    unsigned i = hd_rng_below(&model->rng, MODEL_TIMERS);

    if (hd_rng_below(&model->rng, 4) == 0) {
        hd_wheel_stop(&model->wheel, &model->t[i]);
        model->m[i].running = false;
    } else {
        uint64_t now = model->wheel.now_ms, due = model_due(model);

        hd_wheel_start(&model->wheel, &model->t[i], due);
        model->m[i].running = true;
        model->m[i].held = model->in_advance && due <= now;
        model->m[i].due_ms = due > now ? due : now;
        model->m[i].order = ++model->order;
    }
}

/* The timer that must fire next in an advance to now, or MODEL_TIMERS. */
static unsigned
model_next(const struct model *model)
{
    unsigned best = MODEL_TIMERS;

    for (unsigned i = 0; i < MODEL_TIMERS; i++) {
        if (!model->m[i].running || model->m[i].held || model->m[i].due_ms > model->wheel.now_ms)
            continue;
        if (best == MODEL_TIMERS || model->m[i].due_ms < model->m[best].due_ms ||
            (model->m[i].due_ms == model->m[best].due_ms &&
             model->m[i].order < model->m[best].order))
            best = i;
    }
    return best;
}

static void
model_fire(void *context, struct hd_timer *timer)
{
    struct model *model = context;
    unsigned i = (unsigned)(timer - model->t);

    assert_int_equal(i, model_next(model));
    model->m[i].running = false;
    for (unsigned n = hd_rng_below(&model->rng, 4); n > 0; n--)
        model_act(model);
}

static void
model_check(const struct model *model)
{
    uint64_t soonest = UINT64_MAX, wait = hd_wheel_wait_ms(&model->wheel);
    uint32_t running = 0;

    for (unsigned i = 0; i < MODEL_TIMERS; i++) {
        assert_int_equal(hd_timer_running(&model->t[i]), model->m[i].running);
        if (!model->m[i].running)
            continue;
        running++;
        if (model->m[i].due_ms < soonest)
            soonest = model->m[i].due_ms;
    }
    assert_int_equal(model->wheel.count, running);
    if (running == 0)
        assert_true(wait == UINT64_MAX);
    else
        assert_true(wait <= soonest - model->wheel.now_ms);
}

static uint64_t
model_step_ms(struct model *model)
{
    switch (hd_rng_below(&model->rng, 6)) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2: /* as a daemon does it */
        return hd_wheel_wait_ms(&model->wheel) & ((UINT64_C(1) << 41) - 1);
    case 3:
        return hd_rng_below(&model->rng, 300);
    case 4:
        return hd_rng_below(&model->rng, 100000);
    default:
        return hd_rng_below(&model->rng, 64)
                   ? 5
                   : hd_rng_u64(&model->rng) >> (23 + hd_rng_below(&model->rng, 30));
    }
}

static void
random_steps_agree_with_a_list(void **state)
{
    static struct model model;
    uint64_t seed = 20240229;

    (void)state;
    hd_rng_init(&model.rng, hd_entropy_seeded, &seed);
    hd_wheel_init(&model.wheel, 1234567);
    for (unsigned step = 0; step < MODEL_STEPS; step++) {
        if (hd_rng_below(&model.rng, 4)) {
            model_act(&model);
        } else {
            uint64_t now = model.wheel.now_ms + model_step_ms(&model);

            model.in_advance = true;
            hd_wheel_advance(&model.wheel, now, model_fire, &model);
            model.in_advance = false;
            assert_int_equal(model_next(&model), MODEL_TIMERS);
            for (unsigned i = 0; i < MODEL_TIMERS; i++)
                model.m[i].held = false;
        }
        model_check(&model);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_in_its_millisecond_and_once),
        cmocka_unit_test(a_due_time_in_the_past_or_now_fires_at_the_next_advance),
        cmocka_unit_test(time_that_goes_back_is_no_time),
        cmocka_unit_test(the_order_is_by_due_time_and_within_it_by_start),
        cmocka_unit_test(a_stopped_timer_does_not_fire),
        cmocka_unit_test(stopping_the_last_timer_leaves_nothing_to_wait_for),
        cmocka_unit_test(a_running_timer_that_is_started_again_moves),
        cmocka_unit_test(a_callback_may_stop_timers_due_in_the_same_advance),
        cmocka_unit_test(what_a_callback_starts_for_now_waits_for_the_next_advance),
        cmocka_unit_test(what_a_callback_starts_for_before_now_waits_too),
        cmocka_unit_test(a_callback_may_move_timers_due_in_the_same_advance),
        cmocka_unit_test(the_wait_is_exact_when_near_and_never_late),
        cmocka_unit_test(a_jump_of_years_costs_no_more_than_the_timers),
        cmocka_unit_test(never_is_a_due_time),
        cmocka_unit_test(random_steps_agree_with_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
