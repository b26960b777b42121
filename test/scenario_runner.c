/* scenario_runner.c - plays scenario files against the core in the laboratory.
 *
 *     scenario_runner [-s SHARDS] [-r SEED] [-t] FILE...
 *
 * Each file is played with every number of shards that its "shards" step names (1, 2 and 3 when
 * there is none), or with that of -s alone. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "event/shard.h"
#include "lab.h"

struct options {
    uint32_t shards; /* 0: as the file says */
    uint32_t seed;
    bool trace;
};

static char *
read_file(void *context, const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t cap = 0, n = 0, got = 1;

    (void)context;
    if (!file)
        return NULL;
    while (got > 0) {
        if (cap - n < 4096) {
            char *grown = realloc(text, cap += 65536);

            if (!grown)
                break;
            text = grown;
        }
        got = fread(text + n, 1, cap - n, file);
        n += got;
    }
    (void)fclose(file);
    *ret_len = n;
    return text;
}

/* The peers of actors that the laboratory made. */
static void
free_peers(const struct play *play)
{
    for (struct play_actor *actor = play_actors(play); actor; actor = actor->next) {
        free(actor->host);
        actor->host = NULL;
    }
}

static bool
run_once(const struct play_file *file, const char *path, uint32_t shards,
         const struct options *options)
{
    struct lab_params params = { .shards = shards, .seed = options->seed, .trace = options->trace };
    struct lab *lab = lab_new(&params);
    struct play_params play_params = { .host = { 0 } };
    struct play *play = NULL;
    struct hd_slice failure;
    char problem[512] = "";
    bool good = false;

    if (lab)
        play_params.host = lab_host(lab);
    if (lab && play_new(&play_params, &play) == HD_OK) {
        lab_connect(lab, play);
        good = play_run(play, file) == HD_OK;
        failure = play_failure(play);
        if (good && !lab_finish(lab, problem))
            good = false;
        printf("%s %s with %u shard%s\n", good ? "ok    " : "FAILED", path, shards,
               shards > 1 ? "s" : "");
        if (!good)
            printf("%.*s%s%s", HD_FMT(failure), problem, problem[0] ? "\n" : "");
        free_peers(play);
    } else {
        printf("FAILED %s: memory is short\n", path);
    }
    lab_free(lab);
    play_free(play);
    return good;
}

/* The words of the file's "shards" step, or NULL. */
static const struct play_step *
shards_step(const struct play_file *file)
{
    for (size_t i = 0; i < file->n; i++)
        if (hd_slice_eq(file->steps[i].words[0], HD_LIT("shards")))
            return &file->steps[i];
    return NULL;
}

static bool
run_file(const char *path, const struct options *options)
{
    const struct play_step *step;
    struct play_file file;
    char problem[512];
    bool good = true;
    uint32_t shards;

    if (play_file_read(path, read_file, NULL, &file, problem)) {
        printf("FAILED %s\n", problem);
        return false;
    }
    step = shards_step(&file);
    if (options->shards) {
        good = run_once(&file, path, options->shards, options);
    } else if (step) {
        for (unsigned i = 1; i < step->n_words; i++) {
            if (hd_slice_to_u32(step->words[i], &shards) || shards == 0 ||
                shards > EVT_MAX_SHARDS) {
                printf("FAILED %s:%u: expected: shards NUMBER...\n", path, step->number);
                good = false;
                break;
            }
            good = run_once(&file, path, shards, options) && good;
        }
    } else {
        for (shards = 1; shards <= 3; shards++)
            good = run_once(&file, path, shards, options) && good;
    }
    play_file_done(&file);
    return good;
}

static int
usage(void)
{
    fprintf(stderr, "usage: scenario_runner [-s SHARDS] [-r SEED] [-t] FILE...\n");
    return 2;
}

int
main(int argc, char **argv)
{
    struct options options = { .seed = 1 };
    bool good = true;
    int option;

    while ((option = getopt(argc, argv, "s:r:t")) != -1) {
        if (option == 't')
            options.trace = true;
        else if ((option != 's' && option != 'r') ||
                 hd_slice_to_u32(hd_slice_str(optarg),
                                 option == 's' ? &options.shards : &options.seed) ||
                 options.shards > EVT_MAX_SHARDS)
            return usage();
    }
    if (optind == argc)
        return usage();
    for (int i = optind; i < argc; i++)
        good = run_file(argv[i], &options) && good;
    return good ? 0 : 1;
}
