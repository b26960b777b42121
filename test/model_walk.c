/* model_walk.c - see model.h. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"

/* --- states that were seen ------------------------------------------------------------------- */

struct seen {
    uint64_t *hashes;
    size_t n, cap;
};

/* True when it was not there. */
static bool
seen_add(struct seen *seen, uint64_t hash)
{
    if (seen->n * 2 >= seen->cap) {
        struct seen grown = { .cap = seen->cap ? seen->cap * 2 : 1024 };
        grown.hashes = calloc(grown.cap, sizeof(*grown.hashes));
        HD_ASSERT(grown.hashes != NULL);
        for (size_t i = 0; i < seen->cap; i++)
            if (seen->hashes[i])
                (void)seen_add(&grown, seen->hashes[i]);
        free(seen->hashes);
        *seen = grown;
    }
    for (size_t i = hash;; i++) {
        uint64_t *slot = &seen->hashes[i & (seen->cap - 1)];
        if (*slot == hash)
            return false;
        if (*slot)
            continue;
        *slot = hash;
        seen->n++;
        return true;
    }
}

/* A state of the model, by the shortest sequence that leads to it. */
struct place {
    unsigned char sequence[MODEL_SEQUENCE_MAX];
    unsigned n;
};

struct places {
    struct place *at;
    size_t n, cap;
};

static void
places_add(struct places *places, const struct place *place)
{
    if (places->n == places->cap) {
        places->cap = places->cap ? places->cap * 2 : 256;
        places->at = realloc(places->at, places->cap * sizeof(*places->at));
        HD_ASSERT(places->at != NULL);
    }
    places->at[places->n++] = *place;
}

/* --- walks ----------------------------------------------------------------------------------- */

struct walk {
    const struct model_ops *ops;
    const struct model_alphabet *alphabet;
    unsigned depth;
    unsigned char sequence[MODEL_SEQUENCE_MAX];
    unsigned known; /* steps that the sequence has in common with the one played last */
    unsigned long played;
    char *models; /* depth + 2 of them: one for each step, and one to try */
};

static void *
model_at(const struct walk *walk, unsigned at)
{
    return walk->models + at * walk->ops->size;
}

/* Every sequence, depth first; one is played when it can go no further. */
static void
explore(struct walk *walk, unsigned at)
{
    const struct model_ops *ops = walk->ops;
    bool further = false;

    for (unsigned i = 0; at < walk->depth && i < walk->alphabet->n; i++) {
        const unsigned char event = walk->alphabet->events[i];

        if (!ops->can(model_at(walk, at), event))
            continue;
        further = true;
        walk->sequence[at] = event;
        memcpy(model_at(walk, at + 1), model_at(walk, at), ops->size);
        ops->step(model_at(walk, at + 1), event);
        explore(walk, at + 1);
        walk->known = walk->known < at ? walk->known : at;
    }
    if (!further && at > 0) {
        ops->replay(walk->sequence, at, walk->known);
        walk->played++;
        walk->known = at;
    }
}

/* Each event in one state: where it leads to another state that state is gone on with, which plays
 * this step too. */
static void
explore_place(struct walk *walk, struct places *places, struct seen *seen, struct place place)
{
    const struct model_ops *ops = walk->ops;
    void *model = model_at(walk, 0), *next = model_at(walk, 1);

    walk->known = 0;
    ops->begin(model);
    for (unsigned i = 0; i < place.n; i++)
        ops->step(model, place.sequence[i]);
    for (unsigned i = 0; i < walk->alphabet->n; i++) {
        const unsigned char event = walk->alphabet->events[i];

        if (!ops->can(model, event))
            continue;
        memcpy(next, model, ops->size);
        ops->step(next, event);
        struct place there = place;
        there.sequence[there.n++] = event;
        if (seen_add(seen, ops->hash(next)) && there.n < walk->depth) {
            places_add(places, &there);
            continue;
        }
        ops->replay(there.sequence, there.n, walk->known);
        walk->played++;
        walk->known = place.n;
    }
}

/* All states within reach, breadth first, each by its shortest way. */
static void
explore_merged(struct walk *walk)
{
    struct places places = { 0 };
    struct seen seen = { 0 };

    places_add(&places, &(struct place){ .n = 0 });
    for (size_t i = 0; i < places.n; i++)
        explore_place(walk, &places, &seen, places.at[i]);
    printf("%zu states; ", places.n);
    free(places.at);
    free(seen.hashes);
}

static void
explore_all(const struct model_ops *ops, const struct model_alphabet *alphabets, size_t n,
            unsigned depth, bool merge)
{
    /* The last one has all events: for what is merged alone. */
    for (size_t i = merge ? n - 1 : 0; i < (merge ? n : n - 1); i++) {
        struct walk walk = { .ops = ops, .alphabet = &alphabets[i], .depth = depth };

        walk.models = calloc(depth + 2, ops->size);
        HD_ASSERT(walk.models != NULL);
        ops->begin(walk.models);
        if (merge)
            explore_merged(&walk);
        else
            explore(&walk, 0);
        free(walk.models);
        printf("%s, depth %u: %lu sequences agree with the model\n", alphabets[i].name, depth,
               walk.played);
        (void)fflush(stdout);
    }
    ops->end();
}

int
model_walk(int argc, char **argv, const struct model_ops *ops,
           const struct model_alphabet *alphabets, size_t n, unsigned merged)
{
    uint32_t depth = merged;
    int option;

    while ((option = getopt(argc, argv, "d:m:")) != -1) {
        if ((option != 'd' && option != 'm') || hd_slice_to_u32(hd_slice_str(optarg), &depth) ||
            depth == 0 || depth > MODEL_SEQUENCE_MAX)
            return 2;
        explore_all(ops, alphabets, n, depth, option == 'm');
    }
    if (argc == 1)
        explore_all(ops, alphabets, n, merged, true);
    return 0;
}
