/* random_test.c - long scenarios that chance writes: watchers come, refresh, go, fall silent;
 * publishers publish; the store stalls and fails, mail and whole shards are late, connections
 * close.  What must hold is simple: the invariants after each step, CSeqs that grow, and at the
 * end, when everything works again, every watcher that did nothing wrong has seen the newest state
 * of what he watches.
 *
 *     random_test [-n SCENARIOS] [-r SEED] [-k]     -k prints the scenario of that seed instead of
 * playing it */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/str.h"
#include "lab.h"

#define GOOD 8
#define BAD 8
#define RESOURCES 4
#define STEPS 400

struct writer {
    struct hd_str text;
    struct hd_rng rng;
    unsigned shards;
    bool held; /* the store */
    bool watching[GOOD], bad_began[BAD];
    unsigned body, edge_subs;
};

static unsigned
below(struct writer *w, unsigned n)
{
    return hd_rng_below(&w->rng, n);
}

static void
write_actors(struct writer *w)
{
    static const char *const paces[] = { "", "pace = 100ms", "pace = 2s" };

    hd_str_addf(&w->text,
                "config\n    limits { window_start = 2  window_from = 2\n"
                "        publications_per_resource = 1000 }\n    on_timeout = %s\n"
                "    package \"x-state\" { types = { \"text/plain\" } authorisation = allow %s }\n",
                below(w, 2) ? "park" : "end", paces[below(w, HD_ARRAY_LEN(paces))]);
    hd_str_addf(&w->text, "actor edge udp 192.0.2.50:5060\nedge answers 200\nedge careless\n");
    for (unsigned i = 0; i < GOOD; i++)
        hd_str_addf(&w->text,
                    "actor good%u udp 192.0.2.%u:5060\ngood%u answers 200\ngood%u careless\n", i,
                    10 + i, i, i);
    for (unsigned i = 0; i < BAD; i++)
        hd_str_addf(&w->text,
                    "actor bad%u %s 198.51.100.%u:%u\nbad%u answers 200\nbad%u careless\n", i,
                    i % 2 ? "tcp" : "udp", 10 + i, 5060 + i, i, i);
    for (unsigned i = 0; i < RESOURCES; i++)
        hd_str_addf(&w->text, "actor r%u udp 203.0.113.%u:5060\nr%u careless\n", i, 10 + i, i);
}

static void
publish(struct writer *w, unsigned resource)
{
    hd_str_addf(&w->text,
                "r%u > PUBLISH sip:r%u@example.test\n    Event: x-state\n    Expires: 86400\n"
                "    Content-Type: text/plain\n    |r%u %u\n",
                resource, resource, resource, ++w->body);
    if (below(w, 8) == 0) /* one above 1300 octets */
        hd_str_addf(&w->text, "    fill 1500\n");
}

/* RFC 6446, now and then. */
static const char *
rates(struct writer *w)
{
    static const char *const some[] = { ";max-rate=2", ";min-rate=0.05",
                                        ";max-rate=0.5;adaptive-min-rate=0.1" };

    return below(w, 3) ? "" : some[below(w, HD_ARRAY_LEN(some))];
}

static void
subscribe(struct writer *w, const char *kind, unsigned i, unsigned resource, bool begun)
{
    if (!begun || below(w, 4) == 0)
        hd_str_addf(
            &w->text,
            "%s%u > SUBSCRIBE sip:r%u@example.test\n    Event: x-state%s\n    Expires: 86400\n",
            kind, i, resource, rates(w));
    else
        hd_str_addf(&w->text, "%s%u > SUBSCRIBE in dialog\n    Expires: 86400\n", kind, i);
}

/* A good watcher watches one resource, in one dialog at a time. */
static void
good_does(struct writer *w, unsigned i)
{
    if (!w->watching[i]) {
        hd_str_addf(&w->text,
                    "good%u > SUBSCRIBE sip:r%u@example.test\n    Event: x-state%s\n"
                    "    Expires: 86400\n",
                    i, i % RESOURCES, rates(w));
        w->watching[i] = true;
    } else if (!w->held) {
        hd_str_addf(&w->text, "good%u > SUBSCRIBE in dialog\n    Expires: 86400\n", i);
    }
    if (below(w, 3) == 0)
        hd_str_addf(&w->text, "good%u > again shard %u\n", i, below(w, w->shards));
    if (below(w, 3) == 0)
        hd_str_addf(&w->text, "good%u answers %u\n", i, below(w, 2) ? 200 : 500);
}

/* Many watchers behind one next hop, with and without a route. */
static void
edge_does(struct writer *w)
{
    if (below(w, 6) == 0) {
        hd_str_addf(&w->text, "edge %s\n", below(w, 3) ? "hears" : "deaf");
        return;
    }
    if (w->edge_subs++ > 30)
        return;
    hd_str_addf(
        &w->text,
        "edge > SUBSCRIBE sip:r%u@example.test\n    Event: x-state\n    Expires: 86400\n"
        "    From: <sip:e%u@example.test>;tag=e%u\n    Contact: <sip:e%u@192.0.2.50:5060>\n",
        below(w, RESOURCES), w->edge_subs, w->edge_subs, w->edge_subs);
    if (below(w, 2))
        hd_str_addf(&w->text, "    Record-Route: <sip:192.0.2.50:5060;lr>\n");
}

static void
bad_does(struct writer *w, unsigned i)
{
    static const char *const moods[] = { "deaf",           "hears",       "loses 1",
                                         "loses 3",        "answers 200", "answers 500",
                                         "answers 481",    "answers 503", "answers 408",
                                         "answers nothing" };

    switch (below(w, 5)) {
    case 0:
    case 1:
        if (w->held)
            break;
        subscribe(w, "bad", i, below(w, RESOURCES), w->bad_began[i]);
        w->bad_began[i] = true;
        break;
    case 2:
        if (w->bad_began[i] && !w->held)
            hd_str_addf(&w->text, "bad%u > SUBSCRIBE in dialog\n    Expires: 0\n", i);
        break;
    case 3: /* answers nothing leaves messages that no step expects: deaf is the same for the broker
             */
        hd_str_addf(&w->text, "bad%u %s\n", i, moods[below(w, HD_ARRAY_LEN(moods) - 1)]);
        break;
    default:
        if (i % 2)
            hd_str_addf(&w->text, "bad%u %s tcp\nbad%u closes\n", i,
                        below(w, 2) ? "accepts" : "refuses", i);
    }
}

static void
trouble(struct writer *w)
{
    switch (below(w, 8)) {
    case 6:
        hd_str_addf(&w->text, "store fail %u\n", 1 + below(w, 3));
        break;
    case 7:
        hd_str_addf(&w->text, "store refuse %u\n", 1 + below(w, 3));
        break;
    case 0:
        hd_str_addf(&w->text, "store hold\n");
        w->held = true;
        break;
    case 1:
        hd_str_addf(&w->text, "store newest all\n");
        break;
    case 2:
        hd_str_addf(&w->text, "mail hold %u\n", below(w, w->shards));
        break;
    case 3:
        hd_str_addf(&w->text, "mail go %u\n", below(w, w->shards));
        break;
    case 4:
        hd_str_addf(&w->text, "shard stop %u\n", below(w, w->shards));
        break;
    default:
        hd_str_addf(&w->text, "shard go %u\n", below(w, w->shards));
    }
}

static void
heal(struct writer *w)
{
    hd_str_addf(&w->text, "store fail 0\nstore refuse 0\nstore go\nstore release all\n");
    for (unsigned i = 0; i < w->shards; i++)
        hd_str_addf(&w->text, "mail go %u\nshard go %u\n", i, i);
    w->held = false;
}

static void
write_scenario(struct writer *w)
{
    write_actors(w);
    for (unsigned i = 0; i < RESOURCES; i++)
        publish(w, i);
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned dice = below(w, 100);

        if (dice < 30)
            publish(w, below(w, RESOURCES));
        else if (dice < 45)
            good_does(w, below(w, GOOD));
        else if (dice < 65)
            bad_does(w, below(w, BAD));
        else if (dice < 75)
            edge_does(w);
        else if (dice < 83)
            trouble(w);
        else if (dice < 88)
            heal(w);
        else
            hd_str_addf(&w->text, "wait %ums\n", 1u << below(w, 13));
    }
    heal(w);
    for (unsigned i = 0; i < BAD; i++)
        hd_str_addf(&w->text, "bad%u hears\nbad%u loses 0\nbad%u answers 200\nbad%u accepts tcp\n",
                    i, i, i, i);
    hd_str_addf(&w->text, "edge hears\n");
    for (unsigned i = 0; i < GOOD; i++) { /* whoever was refused by the store comes again */
        w->watching[i] = false;
        good_does(w, i);
        hd_str_addf(&w->text, "good%u answers 200\n", i);
    }
    hd_str_addf(&w->text, "wait 15m\nsettled\nactor fetcher udp 192.0.2.60:5060\n");
    for (unsigned i = 0; i < RESOURCES; i++) /* what a fetch sees, everybody has seen */
        hd_str_addf(&w->text,
                    "fetcher > SUBSCRIBE sip:r%u@example.test\n    Event: x-state\n    Expires: 0\n"
                    "fetcher < 200\nfetcher < NOTIFY\n    |{body%u}\nfetcher > 200\n",
                    i, i);
    for (unsigned i = 0; i < GOOD; i++)
        hd_str_addf(&w->text, "good%u last\n    |{body%u}\n", i, i % RESOURCES);
    for (unsigned i = 0; i < RESOURCES; i++)
        hd_str_addf(&w->text,
                    "r%u > PUBLISH sip:r%u@example.test\n    Event: x-state\n"
                    "    Content-Type: text/plain\n    |the last of r%u\n",
                    i, i, i);
    hd_str_addf(&w->text, "wait 15m\nsettled\ncheck\n");
    for (unsigned i = 0; i < GOOD; i++)
        hd_str_addf(&w->text, "good%u last\n    |the last of r%u\n", i, i % RESOURCES);
}

static char *
read_text(void *context, const char *path, size_t *ret_len)
{
    const struct hd_str *text = context;

    (void)path;
    *ret_len = text->n;
    return hd_slice_strdup(hd_str_slice(text));
}

static bool
play_text(struct hd_str *text, unsigned shards, uint32_t seed)
{
    struct lab_params params = { .shards = shards, .seed = seed };
    struct lab *lab = lab_new(&params);
    struct play_params play_params = { .host = { 0 } };
    struct play_file file = { 0 };
    struct play *play = NULL;
    char problem[512] = "", name[32];
    bool good = false;

    (void)snprintf(name, sizeof(name), "seed-%u", seed);
    if (!lab || play_file_read(name, read_text, text, &file, problem)) {
        printf("%s\n", problem);
        lab_free(lab);
        return false;
    }
    play_params.host = lab_host(lab);
    if (play_new(&play_params, &play) == HD_OK) {
        lab_connect(lab, play);
        good = play_run(play, &file) == HD_OK && lab_finish(lab, problem);
        if (!good) {
            struct hd_slice failure = play_failure(play);

            printf("seed %u with %u shards:\n%.*s%s\n", seed, shards, HD_FMT(failure), problem);
        }
        for (struct play_actor *actor = play_actors(play); actor; actor = actor->next)
            free(actor->host);
    }
    lab_free(lab);
    play_free(play);
    play_file_done(&file);
    return good;
}

static bool
one(uint32_t seed, bool print)
{
    uint64_t counter = seed;
    struct writer w = { .shards = 1 + seed % 4 };
    bool good = true;

    hd_rng_init(&w.rng, hd_entropy_seeded, &counter);
    write_scenario(&w);
    if (w.text.err)
        good = false;
    else if (print)
        printf("shards %u\n%.*s", w.shards, HD_FMT(hd_str_slice(&w.text)));
    else
        good = play_text(&w.text, w.shards, seed);
    hd_str_done(&w.text);
    return good;
}

int
main(int argc, char **argv)
{
    uint32_t n = 20, seed = 1, failed = 0;
    bool print = false;
    int option;

    while ((option = getopt(argc, argv, "n:r:k")) != -1) {
        if (option == 'k')
            print = true;
        else if ((option != 'n' && option != 'r') ||
                 hd_slice_to_u32(hd_slice_str(optarg), option == 'n' ? &n : &seed))
            return 2;
    }
    if (print)
        return one(seed, true) ? 0 : 1;
    for (uint32_t i = 0; i < n; i++)
        failed += !one(seed + i, false);
    printf("%u scenarios, %u failed\n", n, failed);
    return failed ? 1 : 0;
}
