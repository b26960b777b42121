/* guesses.h - who was wrong about a password lately: a budget for each (source, user name).
 *
 * Guessing is slowed where it happens: another source, and another user at the same one, notice
 * nothing, so nobody can lock a user out from elsewhere.  A user that does not exist is counted
 * like one that does.  A bounded table: what is dropped for room has the more left of its budget.
 * Thread: its shard's. */
#ifndef HD_POLICY_GUESSES_H
#define HD_POLICY_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/slice.h"

#define POL_GUESSES 4096u       /* pairs that are known in a shard */
#define POL_GUESSES_BURST 10u   /* wrong answers in a row */
#define POL_GUESSES_EVERY_S 10u /* then one in that time */

struct pol_guess {
    uint64_t key;
    uint64_t at_ms;
    uint32_t spent; /* milliseconds of waiting that the wrong answers so far have cost */
};
struct pol_guesses {
    struct pol_guess place[POL_GUESSES];
};

/** What one pair is counted under.
 *  @param source  hash of where it comes from
 *  @param bound   it cannot lie about that: it answers a nonce that was sent there, or has a
 *                 connection.  Those who can are counted apart */
uint64_t pol_guess_key(const struct hd_hash_key *key, struct hd_slice username, uint64_t source,
                       bool bound);
/** Whether another answer is looked at. */
bool pol_guess_may(struct pol_guesses *guesses, uint64_t key, uint64_t now_us);
void pol_guess_wrong(struct pol_guesses *guesses, uint64_t key, uint64_t now_us);
/** The password is known there: what was wrong before is forgotten. */
void pol_guess_right(struct pol_guesses *guesses, uint64_t key);

#endif
