/* judge.c - what a decision costs: a resource with a thousand rules, a hundred thousand in all.
 *
 *     bench/judge [ROUNDS] [CASE]     nanoseconds for one decision, by case; one case alone for
 *                                     valgrind --tool=callgrind (see PROFILE.md) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/judge.h"

#define OWN 1000u
#define ALL 100000u
#define RESOURCE "sip:resource@example.test"

static struct pol_book *
book_make(void)
{
    struct pol_rule *rules = calloc(ALL, sizeof(*rules));
    char(*texts)[2][48] = calloc(ALL, sizeof(*texts));
    const struct hd_slice member = HD_LIT("sip:listed@example.net");
    const struct pol_list list = { HD_LIT("friends"), &member, 1 };
    struct pol_book *book = NULL;

    if (!rules || !texts)
        return NULL;
    for (unsigned i = 0; i < ALL; i++) {
        snprintf(texts[i][0], sizeof(texts[i][0]), i < OWN ? RESOURCE : "sip:other%u@example.test",
                 i / 9);
        snprintf(texts[i][1], sizeof(texts[i][1]), "sip:watcher%06u@example.org", i);
        rules[i] = (struct pol_rule){ .resource = hd_slice_str(texts[i][0]),
                                      .watcher = hd_slice_str(texts[i][1]),
                                      .package = HD_LIT("*"),
                                      .action = i % 2 ? POL_ALLOW : POL_POLITE,
                                      .id = i + 1 };
    }
    rules[ALL - 2] = (struct pol_rule){ .resource = HD_LIT(RESOURCE),
                                        .watcher = HD_LIT("@friends"),
                                        .package = HD_LIT("presence"),
                                        .action = POL_ALLOW,
                                        .id = ALL - 1 };
    rules[ALL - 1] = (struct pol_rule){ .resource = HD_LIT("*"),
                                        .watcher = HD_LIT("sip:*@press.example"),
                                        .package = HD_LIT("*"),
                                        .action = POL_BLOCK,
                                        .id = ALL };
    (void)!pol_book_load(
        &(struct hd_hash_key){ 1, 2 },
        &(struct pol_contents){ .rules = rules, .n_rules = ALL, .lists = &list, .n_lists = 1 },
        NULL, &book);
    free(rules);
    free(texts);
    return book;
}

/* Of CPU: what else the machine does is left out. */
static double
seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        struct hd_slice watcher, resource;
        enum evt_decision decision;
    } cases[] = {
        { "allowed", { "sip:watcher000501@example.org", 29 }, { RESOURCE, 25 }, EVT_ALLOW },
        { "polite", { "sip:watcher000500@example.org", 29 }, { RESOURCE, 25 }, EVT_POLITE },
        { "by-list", { "sip:listed@example.net", 22 }, { RESOURCE, 25 }, EVT_ALLOW },
        { "blocked", { "sip:eve@press.example", 21 }, { RESOURCE, 25 }, EVT_DENY },
        { "no-rule", { "sip:nobody@example.com", 22 }, { RESOURCE, 25 }, EVT_DENY },
        { "no-rules", { "sip:nobody@example.com", 22 }, { "sip:x@example.test", 18 }, EVT_DENY },
        { "owner", { RESOURCE, 25 }, { RESOURCE, 25 }, EVT_ALLOW },
    };
    const unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
    const struct evt_package package = { .magic = EVT_PACKAGE_MAGIC, .name = HD_LIT("presence") };
    struct pol_book *book = book_make();

    if (!book)
        return 1;
    for (size_t c = 0; c < HD_ARRAY_LEN(cases); c++) {
        if (argc > 2 && strcmp(argv[2], cases[c].name) != 0)
            continue;
        const struct pol_question q = { .book = book,
                                        .watcher = cases[c].watcher,
                                        .resource = cases[c].resource,
                                        .package = &package,
                                        .now_s = 1700000000,
                                        .proof = EVT_PROOF_DIGEST };
        const double begin = seconds();
        unsigned right = 0;
        for (unsigned i = 0; i < rounds; i++)
            right += pol_judge(&q).verdict.decision == cases[c].decision;
        printf("%-10s %7.0f ns%s\n", cases[c].name, (seconds() - begin) / rounds * 1e9,
               right == rounds ? "" : "  WRONG");
    }
    pol_book_unref(book);
    return 0;
}
