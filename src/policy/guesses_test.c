/* guesses_test.c - wrong passwords slow where they come from, and nobody else. */
#include "policy/guesses.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct hd_hash_key KEY = { 1, 2 };
#define SECOND UINT64_C(1000000)

static uint64_t
key_of(const char *name, uint64_t source, bool bound)
{
    return pol_guess_key(&KEY, hd_slice_str(name), source, bound);
}

static struct pol_guesses *
guesses_new(void)
{
    struct pol_guesses *guesses = calloc(1, sizeof(*guesses));
    assert_non_null(guesses);
    return guesses;
}

static unsigned
looked_at(struct pol_guesses *guesses, uint64_t key, unsigned tries, uint64_t now_us)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++) {
        if (!pol_guess_may(guesses, key, now_us))
            continue;
        n++;
        pol_guess_wrong(guesses, key, now_us);
    }
    return n;
}

static void
a_burst_is_looked_at_and_then_one_in_a_while(void **state)
{
    struct pol_guesses *guesses = guesses_new();
    const uint64_t key = key_of("alice", 7, true);

    (void)state;
    assert_int_equal(looked_at(guesses, key, 1000, SECOND), POL_GUESSES_BURST);
    assert_int_equal(looked_at(guesses, key, 1000, SECOND * POL_GUESSES_EVERY_S), 0);
    assert_int_equal(looked_at(guesses, key, 1000, SECOND * (POL_GUESSES_EVERY_S + 1)), 1);
    /* A day's guesses, ten thousand tries a second or one: */
    unsigned n = 0;
    for (uint64_t s = 0; s < 86400; s += 5)
        n += looked_at(guesses, key, 3, SECOND * (100 + s));
    assert_in_range(n, 8640, 8640 + POL_GUESSES_BURST);
    free(guesses);
}

static void
another_source_another_user_and_who_answers_a_challenge_notice_nothing(void **state)
{
    struct pol_guesses *guesses = guesses_new();

    (void)state;
    looked_at(guesses, key_of("alice", 7, false), 1000, SECOND);
    assert_false(pol_guess_may(guesses, key_of("alice", 7, false), SECOND));
    assert_true(pol_guess_may(guesses, key_of("alice", 8, false), SECOND));
    assert_true(pol_guess_may(guesses, key_of("bob", 7, false), SECOND));
    assert_true(pol_guess_may(guesses, key_of("alice", 7, true), SECOND));
    free(guesses);
}

static void
who_knows_it_begins_anew(void **state)
{
    struct pol_guesses *guesses = guesses_new();
    const uint64_t key = key_of("alice", 7, true);

    (void)state;
    assert_int_equal(looked_at(guesses, key, POL_GUESSES_BURST - 1, SECOND), POL_GUESSES_BURST - 1);
    assert_true(pol_guess_may(guesses, key, SECOND));
    pol_guess_right(guesses, key);
    assert_int_equal(looked_at(guesses, key, 1000, SECOND), POL_GUESSES_BURST);
    pol_guess_right(guesses, key_of("nobody", 1, true)); /* one that is not there */
    free(guesses);
}

/* A flood from everywhere cannot make the table grow, nor clear those who are slowed before it has
 * spent as much at their places. */
static void
a_flood_of_names_keeps_who_is_slowed(void **state)
{
    struct pol_guesses *guesses = guesses_new();
    const uint64_t key = key_of("alice", 7, true);
    char name[16];

    (void)state;
    looked_at(guesses, key, 1000, SECOND);
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        pol_guess_wrong(guesses, key_of(name, i, true), SECOND);
    }
    assert_false(pol_guess_may(guesses, key, SECOND));
    /* Time that goes backwards, as another shard's clock may, is no time. */
    assert_false(pol_guess_may(guesses, key, 0));
    free(guesses);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_looked_at_and_then_one_in_a_while),
        cmocka_unit_test(another_source_another_user_and_who_answers_a_challenge_notice_nothing),
        cmocka_unit_test(who_knows_it_begins_anew),
        cmocka_unit_test(a_flood_of_names_keeps_who_is_slowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
