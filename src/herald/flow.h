/* flow.h - what the daemon's flow recorder has told (the call `trace`), as the commands use it:
 * messages, decisions, and what they are about.  Thread: any. */
#ifndef HERALD_FLOW_H
#define HERALD_FLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/slice.h"
#include "base/str.h"

enum flow_kind { FLOW_MESSAGE = 1, FLOW_DECISION, FLOW_SUBJECT };

struct flow_event {
    enum flow_kind kind;
    int64_t at_us; /* since 1970 */
    uint64_t flow; /* what it belongs to */
    /* messages */
    bool out;   /* the server sent it */
    bool cut;   /* the end is missing */
    bool again; /* the same octets were there before */
    enum hd_transport transport;
    struct hd_addr local, remote;
    struct hd_slice octets; /* heap */
    /* decisions and subjects: heap, NUL-terminated, as the daemon said it (not escaped) */
    char *words;
    /* subjects: heap, NUL-terminated */
    uint64_t call; /* the flow of its requests, 0: none */
    char *subject, *resource, *package, *who, *call_id, *state, *sees;
    unsigned status; /* of a refusal */
    bool now;        /* not recorded: what there is now */
};

struct flow {
    struct flow_event *events;
    size_t n, cap;
    json_t *next;   /* since of the next call */
    bool truncated; /* some was left out */
};

/**
 * Adds what an answer of the daemon holds; what is not understood is left out.
 * @return HD_OK; HD_ESYNTAX: it is no answer to `trace`; HD_ENOMEM
 */
HD_NODISCARD enum hd_err flow_add(struct flow *flow, const json_t *result);
void flow_done(struct flow *flow);
/** Forgets the events, and keeps what the next call needs. */
void flow_clear(struct flow *flow);

/** Who stands behind a flow: the who of its subject, NULL: nobody has said. */
const char *flow_who(const struct flow *flow, uint64_t id);

/* Parties of a ladder: one for each address that the server talked with. */
#define FLOW_PARTIES 8
struct flow_parties {
    struct {
        struct hd_addr addr;
        char name[96];                  /* escaped: "bob@example.test"; empty: nobody has said */
        char address[HD_ADDR_TEXT + 1]; /* empty: not to be shown */
    } party[FLOW_PARTIES];
    size_t n;
    bool overflow; /* there were more: they share the last place */
    bool stable;   /* names without addresses */
};
/** The party of a message; adds it when it is new (ret_new). */
size_t flow_party(struct flow_parties *parties, const struct flow *flow,
                  const struct flow_event *message, bool *ret_new);

struct flow_draw {
    bool full;   /* the messages too */
    bool stable; /* numbers in place of times */
    FILE *to;
    size_t row;  /* rows that were drawn */
    int capture; /* a socket that all goes to in place of a picture, -1: none */
};
/** Draws the events from one on; the head when it is new or has changed. */
void flow_ladder(const struct flow *flow, size_t from, struct flow_parties *parties,
                 struct flow_draw *draw);

/**
 * Puts names that are the same in every run in the place of ids, ports, addresses and times, and
 * answers behind their requests.  HD_OK, HD_ENOMEM.
 */
HD_NODISCARD enum hd_err flow_stable(struct flow *flow);

/* --- elsewhere ------------------------------------------------------------------------------- */

/** Appends a pcapng file: a frame of IP and UDP for each message, decisions as comments. */
void flow_pcapng(const struct flow *flow, struct hd_str *out);
#define FLOW_HEP_MOST 65000u /* octets of a message in one packet to a capture server */
/** Appends a packet of HEP version 3; false: the message is too large for one. */
bool flow_hep(const struct flow_event *event, uint32_t agent, struct hd_str *out);
/** Appends a scenario that sends what was sent and expects what was answered (doc/scenarios.md).
 * packages: the answer to `package-list`, so that the laboratory has the same, or NULL. HD_OK;
 * HD_EFULL: more addresses than a scenario has actors for; HD_ENOMEM. */
HD_NODISCARD enum hd_err flow_play(const struct flow *flow, const json_t *packages,
                                   struct hd_str *out);

#endif
