/* summary.h - application/simple-message-summary (RFC 3842 section 5.2): what a voicemail lamp
 * shows. Pure; any thread.  A parsed summary points into the octets that were parsed. */
#ifndef HD_FORMAT_SUMMARY_H
#define HD_FORMAT_SUMMARY_H

#include "base/slice.h"
#include "base/str.h"

#define FMT_SUMMARY_LINES 16 /* summary lines in one body */

/* One message-context-class (RFC 3458 section 6.2): "Voice-Message: 2/8 (0/2)". */
struct fmt_summary_line {
    struct hd_slice name; /* the class as written; any case is meant */
    uint32_t unread, old; /* messages; a larger count is read as 2^32-1 (RFC 3842 section 3.5) */
    bool has_urgent;
    uint32_t urgent_unread, urgent_old;
};
struct fmt_summary {
    bool waiting;
    struct hd_slice account; /* URI without brackets; empty: none */
    struct fmt_summary_line lines[FMT_SUMMARY_LINES];
    unsigned n_lines;
};

/**
 * Reads a body.  Lines end with CRLF or LF, the last one may end with the body; the status line
 * comes first, a class at most once. Message headers (what follows an empty line) are not read.
 * @param ret_reason  set on failure: one line, static
 * @return HD_OK; HD_ESYNTAX; HD_EFULL more than FMT_SUMMARY_LINES classes
 */
HD_NODISCARD enum hd_err fmt_summary_parse(struct hd_slice body, struct fmt_summary *ret_summary,
                                           const char **ret_reason);
/** The line of a class (any case), or NULL. */
const struct fmt_summary_line *fmt_summary_find(const struct fmt_summary *summary,
                                                struct hd_slice name);
/**
 * Writes a body with CRLF.  The account is the summary's own, else the one given (empty: none is
 * written).  Message headers are never written: RFC 3842 section 3.5 forbids them in a first
 * NOTIFY, and later ones may only name what is new to that one subscription, so a body that all
 * subscribers share has none.
 */
void fmt_summary_write(const struct fmt_summary *summary, struct hd_slice account,
                       struct hd_str *out);
/** The body while nothing is published: no messages waiting, for this account. */
void fmt_summary_neutral(struct hd_slice account, struct hd_str *out);

#endif
