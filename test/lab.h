/* lab.h - the broker core in a laboratory: several shards on one thread, a clock that stands still
 * until it is told to go on, a network that is a list, and a store that obeys.  It is the host of
 * the scenario player. Thread: one.  Everything is deterministic: the same file and seed give the
 * same octets. */
#ifndef TEST_LAB_H
#define TEST_LAB_H

#include "herald/play.h"

struct lab;

struct lab_params {
    unsigned shards;
    uint64_t seed;
    bool trace; /* every message to standard output */
};

/** NULL when memory is short. */
struct lab *lab_new(const struct lab_params *params);
/** Frees the core and everything; after play_free. */
void lab_free(struct lab *lab);
/** What the player calls. */
struct play_host lab_host(struct lab *lab);
/** The play that messages are delivered to; before play_run. */
void lab_connect(struct lab *lab, struct play *play);
/** After the play: the invariants hold, nothing is left to do at this moment.  False with a problem
 * (512 octets). */
bool lab_finish(struct lab *lab, char *problem);

#endif
