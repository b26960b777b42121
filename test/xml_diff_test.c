/* xml_diff_test.c - our XML reader against libxml2, with seeded mutants of known documents.
 *
 * The comparison is the fuzz target's (what we accept the library must accept and read alike; what
 * only it accepts must be refused for a reason listed there); here it runs the same everywhere and
 * every time.  A difference stops the program and prints the document.
 * Usage: xml_diff_test FOLDER-OF-DOCUMENTS [SEED] */
#include "../fuzz/fuzz_fmt_xml_diff.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include "base/rng.h"

#define SEEDS_MAX 64
#define MUTANTS 40000
#define ROOM 2048

struct document {
    size_t n;
    uint8_t octets[ROOM];
};

static const char *folder;
static uint64_t seed = 1;
static struct document seeds[SEEDS_MAX], current;
static size_t n_seeds;

static const char *const tokens[] = {
    "<",
    ">",
    "/>",
    "</",
    "<a>",
    "</a>",
    "<b ",
    "<!--",
    "-->",
    "--",
    "<![CDATA[",
    "]]>",
    "<?x",
    "?>",
    "<?xml version='1.0'?>",
    "encoding='UTF-8'",
    "<!DOCTYPE a>",
    "&amp;",
    "&lt;",
    "&#10;",
    "&#x41;",
    "&#0;",
    "&b;",
    "&",
    ";",
    "'",
    "\"",
    "=",
    ":",
    " ",
    "\n",
    "\t",
    "xmlns",
    " xmlns=''",
    " xmlns:p='u'",
    " xmlns:q='u'",
    " p:b=''",
    " q:b=''",
    " b=''",
    "xml:",
    "p:",
    "http://",
    "1.2.3.4",
    "%41",
    "#",
    "[",
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/",
    "\xef\xbb\xbf",
    "\xef\xbf\xbe",
    "\xed\xa0\x80",
    "\xc3\xa9",
    "\xc2\xb7",
    "\xcc\x80",
    "\xff",
    "\x01",
    "\x7f",
    "]]",
    "-",
    "1",
};

static void
read_seeds(void)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL && n_seeds < SEEDS_MAX;) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        FILE *f = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!f)
            continue;
        seeds[n_seeds].n = fread(seeds[n_seeds].octets, 1, ROOM, f);
        fclose(f);
        n_seeds++;
    }
    closedir(dir);
    assert_true(n_seeds > 3);
}

/* Puts octets in place of some; what does not fit is left as it was. */
static void
splice(struct document *d, size_t at, size_t remove, const void *octets, size_t n)
{
    if (at + remove > d->n || d->n - remove + n > ROOM)
        return;
    memmove(d->octets + at + n, d->octets + at + remove, d->n - at - remove);
    memcpy(d->octets + at, octets, n);
    d->n += n - remove;
}

static void
mutate(struct hd_rng *rng, struct document *d)
{
    const size_t at = hd_rng_below(rng, (uint32_t)d->n + 1);
    const size_t left = d->n - at, some = 1 + hd_rng_below(rng, 8);
    const char *token = tokens[hd_rng_below(rng, HD_ARRAY_LEN(tokens))];
    const uint8_t octet = (uint8_t)hd_rng_below(rng, 256);
    struct document from = *d;

    switch (hd_rng_below(rng, 5)) {
    case 0:
        splice(d, at, some < left ? some : left, "", 0);
        break;
    case 1:
        splice(d, at, left ? 1 : 0, &octet, 1);
        break;
    case 2: { /* a part again, elsewhere */
        const size_t start = hd_rng_below(rng, (uint32_t)from.n + 1);
        const size_t n = hd_rng_below(rng, (uint32_t)(from.n - start) + 1) % 64;
        splice(d, at, 0, from.octets + start, n);
        break;
    }
    case 3:
        splice(d, at, some < left ? some : left, token, strlen(token));
        break;
    default:
        splice(d, at, 0, token, strlen(token));
        break;
    }
}

/* A check of the target failed: show with what. */
static void
show_and_stop(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, current.octets, current.n);
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(1);
}

static void
the_reader_and_libxml2_agree(void **state)
{
    (void)state;
    struct hd_rng rng;
    unsigned accepted = 0;

    read_seeds();
    signal(SIGABRT, show_and_stop);
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    for (unsigned i = 0; i < MUTANTS; i++) {
        const char *reason;
        current = seeds[i % n_seeds];
        for (unsigned k = hd_rng_below(&rng, 4); k > 0; k--)
            mutate(&rng, &current);
        LLVMFuzzerTestOneInput(current.octets, current.n);
        accepted += !fmt_xml_check(hd_slice((const char *)current.octets, current.n), MAX, &reason);
    }
    /* both sides of the comparison were seen */
    assert_in_range(accepted, MUTANTS / 10, MUTANTS * 9 / 10);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_and_libxml2_agree),
    };
    if (argc < 2)
        return 2;
    folder = argv[1];
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
