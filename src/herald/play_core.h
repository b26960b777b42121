/* play_core.h - what the parts of the player share: play.c (steps), play_make.c (messages that
 * actors send), play_check.c (messages that they expect).  Private to them and their tests. */
#ifndef HERALD_PLAY_CORE_H
#define HERALD_PLAY_CORE_H

#include "herald/play.h"
#include "sip/out.h"

#define PLAY_PROBLEM 512
#define PLAY_MESSAGE_MAX 70000 /* octets of one message that an actor sends */

/* What requests with one Call-ID share (RFC 3261 section 12 for those that are in a dialog). */
struct play_dialog {
    struct play_dialog *next;
    struct play_actor *actor;
    char *label; /* NULL: none */
    enum sip_method method;
    char *call_id, *from, *to; /* header values; From with its tag, To without */
    char *from_tag;
    char *to_tag;        /* NULL: none yet */
    char *uri;           /* Request-URI of the first request */
    char *target;        /* remote target; NULL: not known yet */
    char *routes;        /* Route header value; NULL: none */
    char *event;         /* Event of the SUBSCRIBE */
    uint32_t cseq;       /* last used */
    uint32_t their_cseq; /* highest CSeq of a NOTIFY that came, */
    char *their_last;    /* and its octets */
    size_t their_last_n;
};

struct play {
    struct play_params params;
    struct play_actor *actors, **actors_last;
    struct play_message *messages; /* all that live, newest first */
    struct play_dialog *dialogs;   /* newest first */
    struct play_vars vars;
    struct hd_str failure;
    const struct play_step *step; /* being run */
    bool failed;
    char *scratch; /* value of the last looked-up name */
};

/* --- play.c ---------------------------------------------------------------------------------- */

/** Notes a failure at a line of the current step (0: its own) and returns HD_ESYNTAX. */
enum hd_err play_fail(struct play *play, unsigned line, const char *format, ...) HD_PRINTF(3, 4);
/** Adds a message to the failure. */
void play_show(struct play *play, const char *title, struct hd_slice octets);
/** Expands one template of the current step; complains.  Caller frees *ret_text by hd_str_done. */
HD_NODISCARD enum hd_err play_text_of(struct play *play, unsigned line, struct hd_slice text,
                                      struct hd_str *ret_text);
/** A copy of octets as a message, parsed when it can be.  NULL when memory is short. */
struct play_message *play_message_new(struct play *play, struct play_actor *actor,
                                      enum hd_transport transport, struct hd_slice octets);
struct play_message *play_message_find(const struct play *play, struct hd_slice label);
/** Replaces *text by a copy; false when memory is short. */
bool play_keep(char **text, struct hd_slice value);
struct play_dialog *play_dialog_find(const struct play *play, const struct play_actor *actor,
                                     struct hd_slice label);
/** By Call-ID. */
struct play_dialog *play_dialog_of(const struct play *play, struct hd_slice call_id);
/** A dialog learns its remote tag, target and routes from a message that came. */
void play_dialog_learn(struct play_dialog *dialog, const struct play_message *message);
/** A line "Name: value" in its parts; false: not a header line. */
bool play_header_line(struct hd_slice text, struct hd_slice *ret_name, struct hd_slice *ret_value);
/** Whether two header names are the same header, compact forms included. */
bool play_same_header(struct hd_slice a, struct hd_slice b);

/* Words of a step behind its first ones, in pairs. */
struct play_options {
    struct hd_slice as, in, to, from, over, nc, times, at;
    struct hd_slice rest[PLAY_WORDS]; /* the host's */
    unsigned n_rest;
};
void play_options_read(const struct hd_slice *words, unsigned n, struct play_options *ret_options);

/** The oldest message in an inbox that counts, after repeats were dropped where they do not. */
struct play_message *play_inbox(struct play *play, struct play_actor *actor);
/** Fails when an actor holds a message that no step expected. */
HD_NODISCARD enum hd_err play_expect_nothing(struct play *play, struct play_actor *actor);

/* --- play_make.c ----------------------------------------------------------------------------- */

/** "alice > ..." */
HD_NODISCARD enum hd_err play_send_step(struct play *play, struct play_actor *actor,
                                        const struct hd_slice *words, unsigned n);
/** Answers a request without a step's lines. */
HD_NODISCARD enum hd_err play_answer(struct play *play, struct play_actor *actor,
                                     struct play_message *request, unsigned status,
                                     const struct play_line *lines, size_t n_lines,
                                     const struct hd_slice *words, unsigned n,
                                     struct hd_slice reason);

/* --- play_check.c ---------------------------------------------------------------------------- */

/** "alice < ..." */
HD_NODISCARD enum hd_err play_expect_step(struct play *play, struct play_actor *actor,
                                          const struct hd_slice *words, unsigned n);
/** The step's indented lines against a message. */
HD_NODISCARD enum hd_err play_check_lines(struct play *play, const struct play_step *step,
                                          const struct play_message *message);

#endif
