/* fence.c - what the position of a moving resource costs: 100,000 subscriptions with a circle each,
 * over 10,000 resources, and over one.
 *
 *     bench/fence [ROUNDS] [CASE]     nanoseconds for one position with the conditions that watch
 * it, by case; one case alone for valgrind --tool=callgrind (see PROFILE.md)
 *
 * Each subscription has a circle of its own, so that no two conditions are one; positions walk a
 * few metres at a time with a jump over the border now and then, and how many conditions fired is
 * told, since what fires is notified. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filter/filters.h"

#define SUBSCRIPTIONS 100000u

struct watch {
    struct evt_filter *filter;
    void *state;
};

struct fleet {
    struct flt_filters *filters;
    unsigned resources, each; /* circles over one resource */
    struct watch *watches;
};

static double
latitude_of(unsigned resource)
{
    return 30.0 + resource % 200 * 0.1;
}

static double
longitude_of(unsigned resource)
{
    return -100.0 + resource / 200 * 0.1;
}

/* Circles of 1 to 11 km around where the resource drives, each a little off. */
static bool
watch_make(struct fleet *fleet, unsigned resource, unsigned k)
{
    struct watch *w = &fleet->watches[resource * fleet->each + k];
    char text[160], phrase[EVT_FILTER_PHRASE];
    const int n =
        snprintf(text, sizeof(text),
                 "{\"enters\":{\"lat\":%.6f,\"lon\":%.6f,\"within\":\"%um\"},\"name\":\"near\"}",
                 latitude_of(resource) + (k % 100) * 1e-4,
                 longitude_of(resource) + (k / 100) * 1e-4, 1000 + k % 10 * 1000);
    const struct evt_filter_request request = { .resource = HD_LIT("sip:truck@example.test"),
                                                .package = HD_LIT("x-position"),
                                                .type =
                                                    HD_LIT("application/vnd.herald.filter+json"),
                                                .body = hd_slice(text, (size_t)n) };

    if (flt_filter_ops()->make(fleet->filters, &request, &w->filter, phrase)) {
        fprintf(stderr, "%s: %s\n", text, phrase);
        return false;
    }
    w->state = malloc(w->filter->state_size);
    if (!w->state)
        return false;
    flt_filter_ops()->begin(w->filter, w->state, 1000);
    return true;
}

/* One position: read once, and each condition that watches the resource is looked at. */
static unsigned
update(struct fleet *fleet, unsigned resource, double off, uint64_t now_ms)
{
    const struct evt_filter_ops *ops = flt_filter_ops();
    char text[200];
    const int n = snprintf(text, sizeof(text),
                           "{\"vehicle\":\"truck-%u\",\"lat\":%.6f,\"lon\":%.6f,\"accuracy\":12,"
                           "\"speed\":17.5,\"heading\":270,\"at\":\"2026-11-30T12:00:00Z\"}",
                           resource, latitude_of(resource) + off, longitude_of(resource));
    struct evt_doc *doc = evt_doc_new(HD_LIT("application/json"), hd_slice(text, (size_t)n));
    struct evt_reading *reading = doc ? ops->read(fleet->filters, doc) : NULL;
    unsigned fired = 0;

    for (unsigned k = 0; reading && k < fleet->each; k++) {
        struct watch *w = &fleet->watches[resource * fleet->each + k];
        struct evt_step step;
        ops->step(w->filter, w->state, reading, true, now_ms, &step);
        fired += step.fired != 0;
    }
    ops->unread(fleet->filters, reading);
    evt_doc_unref(doc);
    return fired;
}

static double
seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool
run(const char *name, unsigned resources, unsigned each, unsigned rounds)
{
    struct fleet fleet = { .filters = flt_filters_new(), .resources = resources, .each = each };
    unsigned long fired = 0;

    fleet.watches = calloc((size_t)resources * each, sizeof(*fleet.watches));
    if (!fleet.filters || !fleet.watches)
        return false;
    for (unsigned r = 0; r < resources; r++)
        for (unsigned k = 0; k < each; k++)
            if (!watch_make(&fleet, r, k))
                return false;
    const double begin = seconds();
    for (unsigned i = 0; i < rounds; i++) {
        /* Every fiftieth step of a resource is 30 km away and back. */
        const unsigned turn = i / resources;
        const double off = turn % 50 == 49 ? 0.3 : (turn % 50) * 2e-5;
        fired += update(&fleet, i % resources, off, 1000 + i);
    }
    const double each_ns = (seconds() - begin) / rounds * 1e9;
    printf("%-8s %6u resources, %6u circles each: %9.0f ns of CPU a position, %6.1f ns a circle, "
           "%lu fired\n",
           name, resources, each, each_ns, each_ns / each, fired);
    for (size_t i = 0; i < (size_t)resources * each; i++) {
        flt_filter_ops()->unref(fleet.filters, fleet.watches[i].filter);
        free(fleet.watches[i].state);
    }
    free(fleet.watches);
    flt_filters_free(fleet.filters);
    return true;
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        unsigned resources, share; /* of the rounds: 1 / share */
    } cases[] = { { "fleet", 10000, 1 },
                  { "alone", SUBSCRIPTIONS, 1 },
                  { "hundred", 100, 100 },
                  { "ten", 10, 1000 },
                  { "one", 1, 10000 } };
    const unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;

    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        if (argc > 2 && strcmp(argv[2], cases[c].name) != 0)
            continue;
        const unsigned own = rounds / cases[c].share;
        if (!run(cases[c].name, cases[c].resources, SUBSCRIPTIONS / cases[c].resources,
                 own > 100 ? own : 100))
            return 1;
    }
    return 0;
}
