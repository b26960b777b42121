/* reduce.h - what a rule leaves of a document: parts hidden by path, presence by permission
 * (RFC 5025 section 3.3), positions made less precise (RFC 6772 section 6.5).
 *
 * A document is copied octet by octet but for what goes, so that numbers and names stay as they
 * were written.  What cannot be read gives nothing.  Pure; any thread.
 *
 * A path is "/a/b/c": members of objects in JSON, elements by their local names in XML (whatever
 * their namespace), the root element first.  A step is a name, "*" for any, in JSON an element of
 * an array is a step too ("0", "1", or "*"); "@name" as the last step in XML is an attribute.
 * "//a/b" stands for the path at any depth.  "~1" and "~0" in a step mean "/" and "~" (RFC 6901).
 */
#ifndef HD_FORMAT_REDUCE_H
#define HD_FORMAT_REDUCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

#define FMT_PATHS_MAX 32    /* of hide and of only, each */
#define FMT_STEPS_MAX 16    /* of one path */
#define FMT_PATH_MAX 512    /* octets of one path */
#define FMT_PROVIDES_MAX 64 /* permissions */

/* How much of a civic address is shown: RFC 6772 section 6.5.1. */
enum fmt_civic {
    FMT_CIVIC_NONE = 0,
    FMT_CIVIC_COUNTRY,
    FMT_CIVIC_REGION,
    FMT_CIVIC_CITY,
    FMT_CIVIC_BUILDING,
    FMT_CIVIC_FULL
};

/* Steps in their order: provide, only, hide, circle.  Slices are borrowed. */
struct fmt_reduction {
    const struct hd_slice *hide; /* paths that go */
    const struct hd_slice *only; /* paths that stay; all else goes.  None: all stay */
    const struct hd_slice
        *provide; /* permissions of RFC 5025, see fmt_provide_ok(); a document that
                     is no PIDF then shows nothing.  None: presence as it is */
    size_t n_hide, n_only, n_provide;
    uint32_t circle_m;    /* positions become circles of this radius; 0: as they are */
    enum fmt_civic civic; /* with circle_m: what stays of civic addresses */
};

/** Whether a path can be: begins with '/', no empty step, within the limits. */
bool fmt_path_ok(struct hd_slice path);
/**
 * Whether a permission is known: "devices", "persons", "services" (all of them), the same with
 * ":class=VALUE", ":occurrence-id=VALUE", "devices:deviceID=VALUE", "services:service-uri=VALUE",
 * "services:service-uri-scheme=VALUE"; "activities", "class", "deviceID", "mood", "place-is",
 * "place-type", "privacy", "relationship", "sphere", "status-icon", "time-offset", "note",
 * "user-input" (or "user-input=bare", "user-input=thresholds"), "all-attributes"; "location" (the
 * geopriv element); "unknown=NAMESPACE#NAME".
 */
bool fmt_provide_ok(struct hd_slice permission);
/** The word for a level, and the level that a word names.  HD_ENOMATCH. */
struct hd_slice fmt_civic_word(enum fmt_civic civic);
HD_NODISCARD enum hd_err fmt_civic_read(struct hd_slice word, enum fmt_civic *ret_civic);

/**
 * Whether one reduction leaves of every document at least what another leaves of it, as far as that
 * can be told by what they name: each permission and each path that stays is one of its own, or
 * lies in one; it hides no path that the other does not; positions are as precise, or more.
 */
bool fmt_reduction_contains(const struct fmt_reduction *more, const struct fmt_reduction *less);

/**
 * What is left of a document.
 * @param max  octets of it at most
 * @param out  empty; holds nothing of use on failure
 * @return HD_OK; HD_ESYNTAX it cannot be read, or not as this reduction needs it; HD_ENOMEM
 */
HD_NODISCARD enum hd_err fmt_reduce_json(const struct fmt_reduction *reduction,
                                         struct hd_slice body, size_t max, struct hd_str *out);
HD_NODISCARD enum hd_err fmt_reduce_xml(const struct fmt_reduction *reduction, struct hd_slice body,
                                        size_t max, struct hd_str *out);

#endif
