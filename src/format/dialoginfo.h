/* dialoginfo.h - documents about calls in progress (RFC 4235): validating, making one document out
 * of several, and finding the version number that each watcher counts for himself.  Pure; any
 * thread.  Memory: bodies are borrowed for the call. */
#ifndef HD_FORMAT_DIALOGINFO_H
#define HD_FORMAT_DIALOGINFO_H

#include "base/slice.h"
#include "base/str.h"

#define FMT_DIALOGINFO_MAX_DIALOGS 256   /* in a published document */
#define FMT_DIALOGINFO_MAX_COMPOSED 1024 /* in a composed one */

/* One publication's document. */
struct fmt_dialoginfo_part {
    struct hd_slice body;
    uint32_t number; /* stable over the publication's life, unlike the others' */
};

/**
 * Checks a published document: XML that passes fmt_xml_check(), root `dialog-info` of
 * urn:ietf:params:xml:ns:dialog-info with `version` (32 bits), `entity` and `state`, which must be
 * "full" because a PUBLISH replaces what was published before (RFC 3903 section 4.4); each dialog
 * with one `state` and an `id` that no other dialog has (RFC 4235 section 4.1.1).  What it does not
 * know it lets through.
 * @param max         octets
 * @param ret_reason  set with HD_ESYNTAX: one line, static
 * @return HD_OK, HD_ESYNTAX
 */
HD_NODISCARD enum hd_err fmt_dialoginfo_validate(struct hd_slice body, size_t max,
                                                 const char **ret_reason);
/** Whether a valid document can be shown to watchers as it is: its entity is this resource and its
 * version the 0 that composed ones have. */
bool fmt_dialoginfo_is_for(struct hd_slice body, struct hd_slice entity);
/** The digits of the root's version; false when there are none. */
bool fmt_dialoginfo_version(struct hd_slice body, struct hd_slice *ret_digits);
/**
 * One full document, version 0, out of n >= 1: all dialogs, then all other children of the roots,
 * in the order of the publications' numbers, octet by octet as they were published.  An id that
 * occurs again is renamed "<id>-<number in hex>" in the publication with the higher number, so that
 * ids stay when publications are refreshed.  Documents that are not valid are left out.
 * @param entity  what the document is about ("sip:alice@example.test")
 * @param max     octets of one document; the result may have about 4 * (input + max), then HD_EFULL
 * @param out     empty
 * @return HD_OK; HD_ESYNTAX none is valid; HD_EFULL too long or too many dialogs; HD_ENOMEM.  On
 * failure out holds nothing of use.
 */
HD_NODISCARD enum hd_err fmt_dialoginfo_compose(struct hd_slice entity,
                                                const struct fmt_dialoginfo_part *parts, size_t n,
                                                size_t max, struct hd_str *out);
/**
 * What changed between two valid documents of the same entity, as a document with state="partial":
 * dialogs that are new or differ, and as terminated those that are gone without having been (RFC
 * 4235 sections 3.7 and 4.1).
 * @return HD_OK; HD_ENOTSUP a full document is to be sent; HD_ENOMEM.  On failure out holds nothing
 * of use.
 */
HD_NODISCARD enum hd_err fmt_dialoginfo_partial(struct hd_slice base, struct hd_slice now,
                                                struct hd_str *out);
/* Dialogs that a subscriber wants to see (RFC 4235 section 3.2). */
struct fmt_dialoginfo_choice {
    struct hd_slice call_id, local_tag;
    struct hd_slice remote_tag; /* p NULL: with any and without one, they come of one INVITE */
};
enum fmt_dialoginfo_chosen {
    FMT_DIALOGINFO_NONE = 0, /* there is no such dialog */
    FMT_DIALOGINFO_LIVING,
    FMT_DIALOGINFO_OVER /* all of them are terminated */
};
/**
 * A document with the dialogs of a choice alone, out of a valid one; what that has beside dialogs
 * goes.  Chosen dialogs are the same octets whether they stand in a document as it was published or
 * in one that fmt_dialoginfo_compose() made of it and others, as long as their ids are the same.
 * @param out  empty
 * @return HD_OK; HD_ESYNTAX not a document that fmt_dialoginfo_validate() lets through; HD_ENOMEM.
 * On failure out holds nothing of use.
 */
HD_NODISCARD enum hd_err fmt_dialoginfo_choose(struct hd_slice body,
                                               const struct fmt_dialoginfo_choice *choice,
                                               struct hd_str *out,
                                               enum fmt_dialoginfo_chosen *ret_chosen);
/**
 * A valid document without the session descriptions of its participants (RFC 4235 section 3.3: not
 * included unless explicitly requested and explicitly authorized).
 * @param out  empty
 * @return HD_OK; HD_ENOMATCH there are none, out is empty; HD_ESYNTAX; HD_ENOMEM
 */
HD_NODISCARD enum hd_err fmt_dialoginfo_without_sessions(struct hd_slice body, struct hd_str *out);
/** Whether a dialog of a valid document is confirmed (RFC 4235 section 3.7.1): somebody is on the
 * phone. */
bool fmt_dialoginfo_is_busy(struct hd_slice body);
/** The document while nothing is published: full, without dialogs. */
void fmt_dialoginfo_neutral(struct hd_slice entity, struct hd_str *out);

#endif
