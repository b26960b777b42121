/* scan.h - the outer form of a configuration file, checked before libconfuse reads it.
 *
 * libconfuse accepts a file whose last brace is missing, merges two sections of one title, takes
 * the last of two equal keys, and counts lines twice inside comments.  This scan refuses the first
 * three and blanks the comments. Thread: any; pure but for the heap. */
#ifndef HD_HERALDD_SCAN_H
#define HD_HERALDD_SCAN_H

#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"
#include "heraldd/problem.h"

struct hd_scan_section {
    struct hd_slice name;  /* "listen"; points into text */
    struct hd_slice title; /* inside of the quotes as written, empty: none */
    unsigned line;         /* where it begins */
};

struct hd_scan {
    char *text; /* the file with blanks in place of comments, NUL at the end; same lines, same
                   columns */
    size_t n;
    struct hd_scan_section *sections; /* in the order of the file */
    size_t n_sections;
};

/**
 * Scans a file.  All problems found are told.
 * @param file  its octets, copied
 * @return HD_OK: ret_scan is the caller's, hd_scan_done() frees it; HD_ESYNTAX: told; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_scan_run(struct hd_slice file, struct hd_problems *problems,
                                     struct hd_scan *ret_scan);
void hd_scan_done(struct hd_scan *scan);
/** Line of the nth section of a name, counted from 0; 0 when there is none. */
unsigned hd_scan_line(const struct hd_scan *scan, const char *name, unsigned nth);

#endif
