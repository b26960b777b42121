/* reduce_order.c - which of two reductions shows more.
 *
 * The problem: when several rules let somebody see a part, he is to see as much as one of them
 * shows, and what no rule shows as a whole he is not to see (RFC 4745 section 10.2 takes the union
 * of sets; here that is the set that contains the others, when there is one).  So two are compared
 * by what they name, step by step in their order, and each step leaves less of less.  When in doubt
 * neither contains the other. */
#include "format/reduce_pidf.h"

static bool
has_path(const struct hd_slice *paths, size_t n, struct hd_slice path)
{
    for (size_t i = 0; i < n; i++)
        if (hd_slice_eq(paths[i], path))
            return true;
    return false;
}

static bool
paths_contain(const struct hd_slice *more, size_t n_more, const struct hd_slice *less,
              size_t n_less)
{
    for (size_t i = 0; i < n_less; i++)
        if (!has_path(more, n_more, less[i]))
            return false;
    return true;
}

/* None of them: everything. */
static bool
provides_more(const struct fmt_reduction *more, const struct fmt_reduction *less)
{
    return more->n_provide == 0 ||
           (less->n_provide > 0 &&
            fmt_permits_contain(more->provide, more->n_provide, less->provide, less->n_provide));
}

static bool
keeps_more(const struct fmt_reduction *more, const struct fmt_reduction *less)
{
    return more->n_only == 0 ||
           (less->n_only > 0 && paths_contain(more->only, more->n_only, less->only, less->n_only));
}

static bool
is_as_precise(const struct fmt_reduction *more, const struct fmt_reduction *less)
{
    return more->circle_m == 0 || (less->circle_m >= more->circle_m && more->civic >= less->civic);
}

bool
fmt_reduction_contains(const struct fmt_reduction *more, const struct fmt_reduction *less)
{
    return provides_more(more, less) && keeps_more(more, less) &&
           paths_contain(less->hide, less->n_hide, more->hide, more->n_hide) &&
           is_as_precise(more, less);
}
