/* reduce_path.h - following many paths at once down a document.  Private to the reductions. */
#ifndef HD_FORMAT_REDUCE_PATH_H
#define HD_FORMAT_REDUCE_PATH_H

#include "format/reduce.h"

struct fmt_path {
    struct hd_slice steps[FMT_STEPS_MAX];
    unsigned n;
    bool anywhere; /* "//" */
};
struct fmt_paths {
    struct fmt_path paths[FMT_PATHS_MAX];
    unsigned n;
};

/* How far each path has come: bit i says that its first i steps have been taken. */
struct fmt_places {
    uint32_t of[FMT_PATHS_MAX];
};

/** Reads paths that were checked by fmt_path_ok(); more than FMT_PATHS_MAX is false. */
bool fmt_paths_read(const struct hd_slice *texts, size_t n, struct fmt_paths *ret_paths);
/** Before the first step. */
void fmt_paths_begin(const struct fmt_paths *paths, struct fmt_places *ret_places);
/** Takes one step; true: it ends one of the paths.  name p NULL: a name that cannot be compared. */
bool fmt_paths_step(const struct fmt_paths *paths, const struct fmt_places *from,
                    struct hd_slice name, struct fmt_places *ret_places);
/** Whether an attribute of the element where they stand ends one of the paths. */
bool fmt_paths_attribute(const struct fmt_paths *paths, const struct fmt_places *at,
                         struct hd_slice name);

#endif
