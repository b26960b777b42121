/* reduce_path.c - following many paths at once down a document: each is a word of bits, moved on by
 * a step. */
#include "format/reduce_path.h"

#include <string.h>

/* Cuts the first step off; false: an empty one. */
static bool
step_cut(struct hd_slice *rest, struct hd_slice *ret_step)
{
    *ret_step = hd_slice_cut(rest, '/');
    return ret_step->n > 0;
}

static bool
path_read(struct hd_slice text, struct fmt_path *path)
{
    if (text.n < 2 || text.n > FMT_PATH_MAX || text.p[0] != '/')
        return false;
    path->anywhere = text.p[1] == '/';
    struct hd_slice rest = hd_slice_from(text, path->anywhere ? 2 : 1);
    if (rest.n == 0 || rest.p[rest.n - 1] == '/')
        return false;
    for (path->n = 0; rest.n > 0; path->n++)
        if (path->n == FMT_STEPS_MAX || !step_cut(&rest, &path->steps[path->n]))
            return false;
    for (unsigned i = 0; i + 1 < path->n; i++)
        if (path->steps[i].p[0] == '@')
            return false;
    return true;
}

bool
fmt_path_ok(struct hd_slice text)
{
    struct fmt_path path;
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    return path_read(text, &path);
}

bool
fmt_paths_read(const struct hd_slice *texts, size_t n, struct fmt_paths *ret_paths)
{
    if (n > FMT_PATHS_MAX)
        return false;
    ret_paths->n = (unsigned)n;
    for (size_t i = 0; i < n; i++)
        if (!path_read(texts[i], &ret_paths->paths[i]))
            return false;
    return true;
}

void
fmt_paths_begin(const struct fmt_paths *paths, struct fmt_places *ret_places)
{
    for (unsigned i = 0; i < paths->n; i++)
        ret_places->of[i] = 1;
}

/* Whether a step is this name: "~1" is '/', "~0" is '~'. */
static bool
step_is(struct hd_slice step, struct hd_slice name)
{
    size_t k = 0;
    if (hd_slice_eq(step, HD_LIT("*")))
        return true;
    for (size_t i = 0; i < step.n; i++, k++) {
        char c = step.p[i];
        if (c == '~' && i + 1 < step.n && (step.p[i + 1] == '0' || step.p[i + 1] == '1'))
            c = step.p[++i] == '0' ? '~' : '/';
        if (k == name.n || name.p[k] != c)
            return false;
    }
    return name.p && k == name.n;
}

bool
fmt_paths_step(const struct fmt_paths *paths, const struct fmt_places *from, struct hd_slice name,
               struct fmt_places *ret_places)
{
    bool ends = false;
    for (unsigned i = 0; i < paths->n; i++) {
        const struct fmt_path *path = &paths->paths[i];
        uint32_t next = path->anywhere;
        for (unsigned k = 0; k < path->n && from->of[i] >> k; k++)
            if ((from->of[i] >> k & 1) && path->steps[k].p[0] != '@' &&
                step_is(path->steps[k], name))
                next |= UINT32_C(1) << (k + 1);
        ret_places->of[i] = next;
        ends = ends || next >> path->n & 1;
    }
    return ends;
}

bool
fmt_paths_attribute(const struct fmt_paths *paths, const struct fmt_places *at,
                    struct hd_slice name)
{
    for (unsigned i = 0; i < paths->n; i++) {
        const struct fmt_path *path = &paths->paths[i];
        const struct hd_slice last = path->steps[path->n - 1];
        if (last.p[0] == '@' && (at->of[i] >> (path->n - 1) & 1) &&
            step_is(hd_slice_from(last, 1), name))
            return true;
    }
    return false;
}
