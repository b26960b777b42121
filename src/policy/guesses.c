/* guesses.c - budgets of wrong passwords; see guesses.h. */
#include "policy/guesses.h"

#include <stddef.h>

#define EACH_MS (POL_GUESSES_EVERY_S * 1000)
#define MOST_MS (POL_GUESSES_BURST * EACH_MS)

uint64_t
pol_guess_key(const struct hd_hash_key *key, struct hd_slice username, uint64_t source, bool bound)
{
    return hd_hash_mix(hd_hash_mix(hd_hash(key, username), source), bound ? 1 : 2) | 1;
}

static void
guess_refill(struct pol_guess *guess, uint64_t now_ms)
{
    const uint64_t gone = now_ms > guess->at_ms ? now_ms - guess->at_ms : 0;

    guess->spent = gone >= guess->spent ? 0 : guess->spent - (uint32_t)gone;
    guess->at_ms = now_ms;
}

/* A key has one of two neighbours. */
static struct pol_guess *
guess_pair(struct pol_guesses *guesses, uint64_t key)
{
    return &guesses->place[(key >> 20) % (POL_GUESSES / 2) * 2];
}

static struct pol_guess *
guess_find(struct pol_guesses *guesses, uint64_t key)
{
    struct pol_guess *pair = guess_pair(guesses, key);

    for (int i = 0; i < 2; i++)
        if (pair[i].key == key)
            return &pair[i];
    return NULL;
}

bool
pol_guess_may(struct pol_guesses *guesses, uint64_t key, uint64_t now_us)
{
    struct pol_guess *guess = guess_find(guesses, key);

    if (!guess)
        return true;
    guess_refill(guess, now_us / 1000);
    return guess->spent + EACH_MS <= MOST_MS;
}

void
pol_guess_wrong(struct pol_guesses *guesses, uint64_t key, uint64_t now_us)
{
    const uint64_t now_ms = now_us / 1000;
    struct pol_guess *guess = guess_find(guesses, key);

    if (!guess) {
        struct pol_guess *pair = guess_pair(guesses, key);
        guess_refill(&pair[0], now_ms);
        guess_refill(&pair[1], now_ms);
        guess = pair[0].spent <= pair[1].spent ? &pair[0] : &pair[1];
        *guess = (struct pol_guess){ .key = key, .at_ms = now_ms };
    }
    guess_refill(guess, now_ms);
    guess->spent = guess->spent + EACH_MS > MOST_MS ? MOST_MS : guess->spent + EACH_MS;
}

void
pol_guess_right(struct pol_guesses *guesses, uint64_t key)
{
    struct pol_guess *guess = guess_find(guesses, key);

    if (guess)
        guess->spent = 0;
}
