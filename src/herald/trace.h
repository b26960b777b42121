/* trace.h - the call flow as a ladder: one line per message, or every message whole; and the merge
 * of the traces of several processes into one picture. Thread: one per trace. */
#ifndef HERALD_TRACE_H
#define HERALD_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/slice.h"
#include "herald/ladder.h"

enum trace_mode { TRACE_OFF = 0, TRACE_LADDER, TRACE_FULL };

struct trace {
    enum trace_mode mode;
    FILE *to;
    bool file; /* a trace file: UTC with date and microseconds, for trace_merge */
};

/* One message on the ladder. */
struct trace_step {
    uint64_t wall_us; /* microseconds since 1970, UTC */
    bool out;         /* we sent it */
    unsigned again;   /* number of the repetition, 0: the first */
    enum hd_transport transport;
    struct hd_addr peer;
    struct hd_slice octets;
};

#define TRACE_LINE 512
/**
 * What a message says in short: "SUBSCRIBE sip:2001@example.test (CSeq 1)", "401 Unauthorized (CSeq
 * 1 SUBSCRIBE)", "NOTIFY active;expires=60 (CSeq 2)".  Escaped; cut with "..." when too long; NUL
 * at the end.  Returns the length.
 */
size_t trace_summary(struct hd_slice octets, char ret[TRACE_LINE]);
/** Prints one step as the trace's mode says, and flushes. */
void trace_print(const struct trace *trace, const struct trace_step *step);
/** A trace step of now. */
uint64_t trace_wall_us(void);

/* A process whose trace file is one column of the picture. */
struct trace_part {
    const char *name;
    const char *path;
};
#define TRACE_PARTS LADDER_PARTS
/**
 * Merges trace files by time into one ladder with the columns of the parts and, between the first
 * and the others, one for the server that all of them talked to.
 * @param server  the name of that column
 * @param full    print the messages too, where the files have them
 * @return HD_OK; HD_EIO a file cannot be read (errno says why, ret_bad names it); HD_ESYNTAX a file
 * is no trace (ret_bad); HD_ENOMEM; HD_EFULL more than TRACE_PARTS
 */
HD_NODISCARD enum hd_err trace_merge(const struct trace_part *parts, size_t n_parts,
                                     const char *server, bool full, FILE *to, const char **ret_bad);

#endif
