/* rate_test.c - what is granted of the rates that are asked for, and when a state is due (RFC 6446
 * sections 5.3, 7.4 and 8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

static char tag[HD_ID_TEXT + 1];

static uint64_t
per_s(unsigned seconds)
{
    return SIP_RATE_ONE / seconds;
}

static void
what_contradicts_is_lowered_or_left_out(void **state)
{
    static const struct {
        struct sip_rates asked;
        uint32_t pace_ms, repeat_ms;
        bool alarms;
        struct sip_rates granted;
    } row[] = {
        { { 5, 0, 0 }, 0, 0, false, { 5, 0, 0 } },
        { { SIP_RATE_ONE, 0, 0 }, 5000, 0, false, { SIP_RATE_ONE / 5, 0, 0 } },
        { { 0, SIP_RATE_ONE, 0 }, 5000, 1000, false, { 0, SIP_RATE_ONE / 5, 0 } },
        { { 0, SIP_RATE_ONE, 0 }, 0, 2000, false, { 0, SIP_RATE_ONE / 2, 0 } },
        { { 10, 20, 0 }, 0, 0, false, { 10, 10, 0 } },
        { { 10, 0, 20 }, 0, 0, false, { 10, 0, 10 } },
        { { 10, 20, 30 }, 0, 0, false, { 10, 10, 10 } },
        { { 0, 30, 30 }, 0, 0, false, { 0, 0, 30 } },
        { { 10, 30, 20 }, 0, 0, false, { 10, 0, 10 } },
        { { 0, 5, 30 }, 0, 0, false, { 0, 5, 30 } },
        { { 10, 20, 0 }, 5000, 0, true, { SIP_RATE_MOST, 20, 0 } },
        { { 0, 20, 0 }, 5000, 0, true, { 0, 20, 0 } },
        { { 0, 0, 0 }, 5000, 1000, false, { 0, 0, 0 } },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct evt_package package = { .pace_ms = row[i].pace_ms,
                                             .repeat_ms = row[i].repeat_ms };
        const struct sip_rates got = evt_rates_granted(&row[i].asked, &package, row[i].alarms);
        if (memcmp(&got, &row[i].granted, sizeof(got)))
            print_error("row %zu\n", i);
        assert_memory_equal(&got, &row[i].granted, sizeof(got));
    }
}

static void
a_max_rate_lets_something_through_before_the_end(void **state)
{
    struct sip_rates rates = { .max = 1 };

    (void)state;
    evt_rates_bound(&rates, 0); /* a fetch */
    assert_true(rates.max == 1);
    for (uint32_t left_s = 1; left_s < 4000000; left_s = left_s * 3 + 1) {
        rates.max = 1;
        evt_rates_bound(&rates, left_s);
        assert_true(sip_rate_interval_ms(rates.max) <= (uint64_t)left_s * 1000);
        assert_true(sip_rate_interval_ms(rates.max) > (uint64_t)left_s * 999);
    }
}

/* Answers all repetitions within a time; how many there were. */
static unsigned
repeated(uint64_t ms)
{
    unsigned n = 0;

    for (uint64_t i = 0; i < ms / 50; i++) {
        host_wait(&host, 50);
        for (; host_count(&host); n++)
            host_answer(&host, host_take_notify(&host), 200, NULL);
    }
    return n;
}

static struct evt_rated *
rated(void)
{
    return host_sub(&host, 0)->rare->rated;
}

/* count / (rate^2 * period), with a period of 16 reciprocals. */
static void
the_timeout_is_that_of_the_formula(void **state)
{
    (void)state;
    host_subscribe(
        &host, &(struct host_request){ .event = "x-state;adaptive-min-rate=0.1", .expires = 86400 },
        tag);
    struct evt_shard *shard = host_shard(&host, 0);
    for (unsigned count = 1; count < 200; count += 7) {
        memset(rated()->sent, 0, sizeof(rated()->sent));
        rated()->sent[3] = (uint16_t)count;
        const double formula_s = count / (0.1 * 0.1 * 160);
        uint64_t wait_ms = (uint64_t)(formula_s * 1000 + 0.999);
        if (wait_ms < host.config->packages[0]->repeat_ms)
            wait_ms = host.config->packages[0]->repeat_ms;
        assert_int_equal(evt_rate_due(shard, host_sub(&host, 0)), rated()->sent_ms + wait_ms);
    }
}

static void
a_long_silence_brings_an_adaptive_rate_back_to_itself(void **state)
{
    (void)state;
    host_subscribe(
        &host, &(struct host_request){ .event = "x-state;adaptive-min-rate=0.1", .expires = 86400 },
        tag);
    assert_int_equal(repeated(100000), 10);
    for (unsigned i = 0; i < EVT_RATE_SLOTS; i++) /* three times as many changes as that */
        rated()->sent[i] = 3;
    rated()->sent_ms = host.now_ms;
    assert_int_equal(repeated(29950), 0);
    assert_int_equal(repeated(100), 1);
    (void)repeated(200000);
    assert_in_range(repeated(1000000), 95, 105);
}

static void
nobody_but_who_asked_for_a_rate_has_something_of_it(void **state)
{
    (void)state;
    host_subscribe(&host, &(struct host_request){ .event = "x-state", .expires = 600 }, tag);
    assert_null(host_sub(&host, 0)->rare);
    host_request(&host,
                 &(struct host_request){
                     .to_tag = tag, .cseq = 2, .expires = 600, .event = "x-state;max-rate=0.1" });
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_true(rated()->told.max == per_s(10));
    host_request(&host, &(struct host_request){
                            .to_tag = tag, .cseq = 3, .expires = 600, .event = "x-state" });
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_null(host_sub(&host, 0)->rare ? host_sub(&host, 0)->rare->rated : NULL);
}

/* RFC 6446 section 5.2 excepts approval, and nothing else that a rule does. */
static void
a_rule_that_shows_less_waits_for_the_rate_and_repeats_nothing(void **state)
{
    (void)state;
    host_publish(&host, NULL, NULL, NULL, "one", NULL);
    host_subscribe(&host, &(struct host_request){ .event = "x-state;max-rate=0.1", .expires = 600 },
                   tag);
    host_publish(&host, NULL, NULL, NULL, "two", NULL);
    host_wait(&host, 10000);
    struct host_sent *sent = host_take_notify(&host);
    assert_true(host_has(sent, "\r\n\r\ntwo"));
    host_answer(&host, sent, 200, NULL);
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .decision = EVT_POLITE };
    host_configure(&host, host_config_copy(&host), hd_slice(NULL, 0));
    host_wait(&host, 9999);
    host_take_nothing(&host);
    host_wait(&host, 1);
    sent = host_take_notify(&host);
    assert_false(host_has(sent, "two")); /* is not answered */
    host.rules[0].decision = EVT_CONFIRM;
    host_configure(&host, host_config_copy(&host), hd_slice(NULL, 0));
    host_wait(&host, 9999);
    host_take_nothing(&host);
    host_wait(&host, 1);
    sent = host_take_notify(&host);
    assert_true(host_has(sent, "Subscription-State: pending"));
    host_answer(&host, sent, 200, NULL);
    host.rules[0].decision = EVT_ALLOW;
    host_configure(&host, host_config_copy(&host), hd_slice(NULL, 0));
    sent = host_take_notify(&host);
    assert_true(host_has(sent, "Subscription-State: active"));
    assert_true(host_has(sent, "\r\n\r\ntwo"));
    host_answer(&host, sent, 200, NULL);
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 1)
    const struct CMUnitTest tests[] = {
        TEST(what_contradicts_is_lowered_or_left_out),
        TEST(a_max_rate_lets_something_through_before_the_end),
        TEST(the_timeout_is_that_of_the_formula),
        TEST(a_long_silence_brings_an_adaptive_rate_back_to_itself),
        TEST(nobody_but_who_asked_for_a_rate_has_something_of_it),
        TEST(a_rule_that_shows_less_waits_for_the_rate_and_repeats_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
