/* play.h - plays a scenario: actors that send and expect SIP messages, against whatever the host
 * puts in front of them.
 *
 * The host is the core on a fake clock (test/scenario_runner.c) or a socket (play_live.c): it
 * carries octets, lets time pass, and knows the commands that are its own.  doc/scenarios.md
 * describes the language. Thread: one.  Memory: the play owns actors and messages; a message lives
 * as long as the play, but for those that an actor answers by itself. */
#ifndef HERALD_PLAY_H
#define HERALD_PLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "herald/play_file.h"
#include "herald/play_text.h"
#include "sip/digest.h"
#include "sip/msg.h"

struct play;
struct play_message;
struct play_dialog;

struct play_actor {
    struct play_actor *next;
    char *name;
    enum hd_transport transport;
    struct hd_addr addr;            /* its own; a host with sockets sets the port that it got */
    struct hd_addr server;          /* where it sends to; family 0: the host's choice */
    void *host;                     /* the host's own */
    char *user, *password;          /* digest; NULL: none */
    enum sip_digest_alg alg;        /* NONE: the first that is offered */
    struct play_message *challenge; /* the last 401 */
    char *nonce;                    /* for which nc counts; NULL: none used yet */
    uint32_t nc;
    struct play_message *inbox, **inbox_last; /* received, not yet expected */
    struct play_message *taken;               /* the last request that was expected */
    struct play_message *got;                 /* the last message that was expected */
    struct play_message *sent;                /* the last request that it sent */
    struct play_dialog *registration;
    unsigned answers;          /* status with which it answers NOTIFY by itself, 0: by hand */
    uint64_t notified;         /* answered by itself and not yet counted by a step */
    struct play_message *last; /* the last of those */
    uint32_t numbers;          /* for branches, tags and Call-IDs */
    bool deaf;                 /* loses all that comes */
    bool careless;             /* takes note of responses and forgets them */
    uint32_t lose;             /* loses the next n */
};

/* One message, sent or received. */
struct play_message {
    struct play_message *next;  /* in an inbox */
    struct play_message *older; /* all of a play */
    struct play_actor *actor;
    char *label; /* "as NAME"; NULL: none */
    struct hd_slice octets;
    struct sip_msg sip; /* zero when raw or broken */
    bool parsed, answered;
    bool came;     /* received, not sent */
    bool expected; /* a step took it */
    enum hd_transport transport;
    struct hd_addr peer; /* received: the server's address that it came from */
    uint64_t path;       /* the host's: answers go back there */
    uint64_t at_ms;
    const struct play_step *step; /* sent: what it was made from */
    struct play_dialog *dialog;
    struct hd_arena arena;
    char *memory;
};

/* What the host does.  problem: 512 octets for one line. */
struct play_host {
    void *context;
    /** A new actor; words behind the address are the host's.  False with a problem. */
    bool (*actor)(void *context, struct play_actor *actor, const struct hd_slice *words, unsigned n,
                  char *problem);
    /** Sends from an actor.  @param reply_to  the message that it answers, or NULL
     *  @param words  options of the step that are not the player's.  False with a problem. */
    bool (*send)(void *context, struct play_actor *actor, const struct play_message *reply_to,
                 struct hd_slice octets, const struct hd_slice *words, unsigned n, char *problem);
    /** Waits until the actor's inbox holds something, no longer than the host thinks right.
     *  silence: nothing is hoped for, so it need not wait long */
    void (*await)(void *context, struct play_actor *actor, bool silence);
    /** All that can happen now happens.  False with a problem (the core's invariants do not hold).
     */
    bool (*settle)(void *context, char *problem);
    /** Lets time pass. */
    bool (*pass)(void *context, uint64_t ms, char *problem);
    uint64_t (*now_ms)(void *context); /* since the play began */
    /** A step that the player does not know, words expanded; lines are templates of its own.
     *  HD_OK; HD_ENOMATCH unknown; anything else with a problem. */
    enum hd_err (*command)(void *context, struct play *play, const struct play_step *step,
                           const struct hd_slice *words, unsigned n, char *problem);
    /** Sees every message; may be NULL. */
    void (*trace)(void *context, const struct play_actor *actor, bool sent, struct hd_slice octets);
};

struct play_params {
    struct play_host host;
    const char *salt;       /* makes Call-IDs, tags and branches unlike those of another run */
    struct hd_slice domain; /* of the actors' own URIs; empty: example.test */
    uint32_t patience_ms;   /* how long "any" waits for more on a host whose time is real, else 0 */
    bool real_time; /* octets that came before are dropped unless "again" is expected, and "at" is
                       not checked: for real networks */
};

/** HD_OK, HD_ENOMEM. */
HD_NODISCARD enum hd_err play_new(const struct play_params *params, struct play **ret_play);
void play_free(struct play *play); /* accepts NULL */
/**
 * Runs all steps, and then expects every inbox to be empty.
 * @return HD_OK; anything else: the scenario failed, play_failure() says where and why
 */
HD_NODISCARD enum hd_err play_run(struct play *play, const struct play_file *file);
/** Several lines that end with a newline: "path:line: what was expected", then the message that
 * came. */
struct hd_slice play_failure(const struct play *play);
/** Before play_run: a variable. */
HD_NODISCARD enum hd_err play_set(struct play *play, struct hd_slice name, struct hd_slice value);

/** A message came for an actor; octets are copied.  The actor may answer at once (host.send). */
void play_deliver(struct play *play, struct play_actor *actor, enum hd_transport transport,
                  const struct hd_addr *peer, uint64_t path, struct hd_slice octets);
/** Actors, by name or all (struct play_actor.next). */
struct play_actor *play_actor_find(const struct play *play, struct hd_slice name);
struct play_actor *play_actors(const struct play *play);
/** For hosts: the failure of a step that is told from a callback without a result. */
void play_fault(struct play *play, const char *problem);

#endif
