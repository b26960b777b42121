/* pidf_diff.c - presence documents for those who keep a copy, on request of pidf_diff_test.py.
 *
 * Reads "N M\n" and two documents of that many octets, again and again; writes for each pair what
 * the first is shown as, what the second is, and what makes the one into the other: "N\n" and the
 * text each, -1 where there is none. */
#include <stdio.h>
#include <stdlib.h>

#include "format/pidf_diff.h"

static void
put(enum hd_err err, struct hd_str *out)
{
    if (err)
        printf("-1\n");
    else
        printf("%zu\n%.*s", out->n, (int)out->n, hd_str_text(out));
    hd_str_done(out);
}

/* Of exact size, so that the sanitizer sees a step too far. */
static struct hd_slice
get(size_t n)
{
    char *text = malloc(n ? n : 1);
    if (!text || fread(text, 1, n, stdin) != n)
        exit(1);
    return hd_slice(text, n);
}

int
main(void)
{
    size_t n, m;

    while (scanf("%zu %zu", &n, &m) == 2 && getchar() == '\n') {
        const struct hd_slice base = get(n), now = get(m);
        struct hd_str out = { 0 };
        put(fmt_pidf_full(base, &out), &out);
        put(fmt_pidf_full(now, &out), &out);
        put(fmt_pidf_diff(base, now, &out), &out);
        (void)fflush(stdout);
        free((void *)(uintptr_t)base.p);
        free((void *)(uintptr_t)now.p);
    }
    return 0;
}
