/* model.h - explores a state machine: every short sequence of events is played by the core and by a
 * small model of it that is written apart, and both must do the same.
 *
 *     x_test [-m DEPTH] [-d DEPTH]
 *
 * -m (what the model says when nothing is said): the events of the last alphabet, which has all;
 * sequences that lead to the same state of the model are gone on with once: so each event is seen
 * in each state within reach of DEPTH events.
 * -d: every sequence of the events of each smaller alphabet up to DEPTH, whatever it leads to. */
#ifndef HD_TEST_MODEL_H
#define HD_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_EVENTS_MAX 32
#define MODEL_SEQUENCE_MAX 12

/* Which events are tried. */
struct model_alphabet {
    const char *name;
    unsigned char events[MODEL_EVENTS_MAX];
    unsigned n;
};

struct model_ops {
    size_t size; /* of a model's state, which is copied as it is */
    void (*begin)(void *model);
    /* Whether an event can happen in this state; one that cannot is no step. */
    bool (*can)(const void *model, unsigned event);
    void (*step)(void *model, unsigned event);
    /* The same for states that differ in what only counts; not 0. */
    uint64_t (*hash)(const void *model);
    /* One sequence from its beginning, by the core and a model of its own; exits where they
     * differ.  The sequence before it began with the same steps, so many as are known: what comes
     * of them need not be looked at in full once more. */
    void (*replay)(const unsigned char *sequence, unsigned n, unsigned known);
    /* What replay has kept for the next one goes. */
    void (*end)(void);
};

/** The main program of a model: its exit status.  merged: the depth of -m when nothing is said. */
int model_walk(int argc, char **argv, const struct model_ops *ops,
               const struct model_alphabet *alphabets, size_t n, unsigned merged);

#endif
