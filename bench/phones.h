/* phones.h - the phones and publishers of bench/load.c: their dialogs, what they ask and what they
 * answer. */
#ifndef BENCH_PHONES_H
#define BENCH_PHONES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "digest.h"
#include "io.h"
#include "msg.h"
#include "proc.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define WINDOW_MAX 8192
#define TAG_MAX 80
#define BINS 16 /* per power of two of a histogram */

/* Of the monotonic clock, and how much of the time until then this program stood still. */
struct moment {
    uint64_t ns, stood_ns;
};

struct txn {
    struct moment begun;
    uint64_t sent_ns; /* the last time */
    uint32_t cseq;
    uint32_t slot; /* in the active list, or NONE */
    uint32_t nc;   /* of the credentials that it carries, 0: none */
    uint8_t tries, challenges;
    bool unanswered;
};

struct sub {
    struct txn txn;
    uint32_t notify_cseq;
    uint32_t round; /* newest event state that it was told */
    bool owed;      /* a NOTIFY for the request that is out */
    bool live, dead;
    uint8_t tag_n;
    char tag[TAG_MAX];
};

struct pub {
    struct txn txn;
    uint32_t round;
    uint32_t left;
    uint8_t etag_n;
    char etag[TAG_MAX];
};

/* What a phone may log in with once more. */
struct nonce {
    uint32_t nc; /* the last that was used */
    uint8_t n;   /* 0: none yet */
    char octets[DIGEST_NONCE];
};

enum op {
    OP_SEED,
    OP_SUBSCRIBE,
    OP_REFRESH,
    OP_FANOUT,
    OP_PUBLISH,
    OP_UNSUBSCRIBE,
    OP_DEAD,
    OP_RATE,
    OP_MEMORY,
    OP_PAUSE,
    OP_WIRE
};

struct op_name {
    const char *name;
    enum op op;
    bool needs_number;
};

struct histogram {
    uint64_t n;
    uint32_t bin[64 * BINS];
};

struct phase {
    const struct op_name *name;
    uint64_t ops, next, done; /* to do, begun, ended */
    uint64_t notifies, failed, missing, repeated, needless, stray, retransmitted, misrouted,
        challenged;
    struct moment begun;
    uint64_t heard_ns, busy_ns;
    struct proc_ticks ticks;
    uint64_t own_cpu_ns; /* of this program, idle turns included */
    bool complete;
    struct histogram latency;
    struct histogram moving; /* the same without the time in which the machine stood */
};

struct active {
    char kind; /* s or p */
    uint32_t index;
};

struct load {
    struct io *io;
    struct io_peer server;
    uint16_t port; /* network byte order */
    pid_t pid;
    struct proc_tree tree;
    uint32_t run, subs, resources, publishers, phones, window, rate, limit_s;
    bool proxy;
    const char *package, *label;
    enum msg_body body;
    struct moment now;
    uint64_t checked_ns;
    struct sub *sub;
    struct digest *digest; /* NULL: nobody logs in */
    struct nonce *nonce;   /* of each phone */
    struct pub *pub;       /* of the resources, then of those that nobody watches */
    uint32_t n_active;
    struct active active[WINDOW_MAX];
    struct text contact; /* of the server, from its last response that had one */
    char contact_room[256];
    unsigned complaints;
    struct phase phase;
};

/** Room for all, and the socket; false with errno set. */
bool phones_init(struct load *load);
void phones_done(struct load *load);
/** The source address of a phone, in network byte order. */
uint32_t phones_ip(const struct load *load, uint32_t i);
/**
 * Works on load->phase until all of it is done, nothing was heard for stall_ns, or the time limit
 * is reached. load->phase.complete tells which.
 */
void phones_run(struct load *load, uint64_t stall_ns);
/** After a phase that was cut short: what is still out is missing, and forgotten. */
void phones_abandon(struct load *load);
/** The value that the part (0 to 1) of all is not above, in microseconds. */
double phones_latency(const struct histogram *h, double part);

#endif
