/* watcherinfo.h - documents about who watches a resource (RFC 3858): writing them, and what changed
 * between two.  The broker alone makes them; none is read from outside.  Pure; any thread. */
#ifndef HD_FORMAT_WATCHERINFO_H
#define HD_FORMAT_WATCHERINFO_H

#include "base/slice.h"
#include "base/str.h"

/* One watcher.  Texts are borrowed and may hold anything. */
struct fmt_watcher {
    struct hd_slice id;            /* a token */
    struct hd_slice uri;           /* who: "sip:bob@example.test" */
    struct hd_slice name;          /* display name, empty: none; left out when XML cannot hold it */
    struct hd_slice status, event; /* the words of RFC 3857 section 4.7.1 */
};

/**
 * Writes the whole document, version 0, with one list: the watchers of a resource in a package.
 * The optional durations are left out: they would be wrong by the time the document is read, and
 * make a change out of nothing.
 * @param out  empty; out->err tells whether memory was short
 */
void fmt_watcherinfo_write(struct hd_slice resource, struct hd_slice package,
                           const struct fmt_watcher *watchers, size_t n, struct hd_str *out);
/**
 * What changed between two documents of one resource and package, with state="partial" (RFC 3858
 * section 4).
 * @return HD_OK; HD_ENOTSUP a full document is to be sent: a watcher is gone whose end is in
 * neither; HD_ENOMEM.  On failure out holds nothing of use.
 */
HD_NODISCARD enum hd_err fmt_watcherinfo_partial(struct hd_slice base, struct hd_slice now,
                                                 struct hd_str *out);

#endif
