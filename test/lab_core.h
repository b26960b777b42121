/* lab_core.h - what the files of the laboratory know of each other (lab.h says what it is). */
#ifndef TEST_LAB_CORE_H
#define TEST_LAB_CORE_H

#include "base/str.h"
#include "event/shard.h"
#include "heraldd/config.h"
#include "lab.h"
#include "names/names.h"
#include "policy/policy.h"
#include "store/memory.h"

#define LAB_PROBLEM 512
#define LAB_MESSAGE_MAX 70000
#define LAB_WIRES_MAX 1024

enum lab_tcp { TCP_REFUSES = 0, TCP_ACCEPTS, TCP_IGNORES };

/* What the laboratory knows of an actor. */
struct lab_peer {
    enum lab_tcp tcp;
    bool unreachable;
    struct hd_addr server;
    uint8_t listener;
    uint64_t conn;   /* the connection that it opened, 0: none */
    int on_shard;    /* where its connections are accepted; -1: by its address */
    char names[128]; /* of the certificate that it shows, a blank between two; empty: none */
};

struct lab_wire {
    uint64_t conn;
    struct play_actor *actor;
    struct hd_addr local;
    uint8_t transport; /* enum hd_transport: tcp or tls, which is only said here */
    uint8_t listener;
    bool open;
};

struct lab_packet {
    struct lab_packet *next;
    struct hd_flow flow;
    uint64_t owner; /* failures only */
    size_t n;
    char octets[];
};

struct lab_queue {
    struct lab_packet *first, **last;
};

struct lab_seat {
    struct lab *lab;
    struct evt_shard *evt;
    struct nam_resolver *names;
    struct pol_shard *policy;
    struct flt_filters *filters;
    uint64_t seed, policy_seed, names_seed;
    struct lab_queue packets, failures;
    uint64_t due_us; /* next turn */
    bool stopped, mail_held;
    char buffer[LAB_MESSAGE_MAX];
};

struct lab {
    struct lab_params params;
    struct play *play;
    struct sto_memory *store;
    struct hd_str conf_text; /* of the scenario's config steps since the last one was applied */
    struct hd_conf *conf;
    struct pol_book *book;
    struct evt_config *config;
    uint32_t version;
    uint32_t epoch; /* how often it was started */
    uint32_t start; /* the same, but for starts after a clean end */
    uint64_t now_us;
    bool started;
    struct lab_record *dns;    /* what the name servers know, see lab_dns.c */
    struct lab_query *queries; /* questions under way, in the order of their answers */
    struct lab_wire wires[LAB_WIRES_MAX];
    size_t n_wires;
    unsigned order[EVT_MAX_SHARDS];
    struct lab_seat seats[];
};

#define LAB_WALL_S UINT64_C(1700000000) /* the clock on the wall when a scenario begins */

/* Each of these is false with a line in problem (LAB_PROBLEM octets). */

/** Reads the configuration that the scenario has given so far. */
bool lab_conf_read(struct lab *lab, char *problem);
/** Gives every shard the configuration and the book; changed: the resource whose rules changed. */
bool lab_publish(struct lab *lab, struct hd_slice changed, char *problem);
/** The lab's clock on the wall, seconds since 1970. */
uint64_t lab_wall_s(const struct lab *lab);
/** Makes the shards when there are none yet. */
bool lab_start(struct lab *lab, char *problem);
/** The shards, with nothing in them, on what the store has / their end: packets under way go too.
 */
bool lab_seats_begin(struct lab *lab, char *problem);
void lab_seats_end(struct lab *lab);
/** A step "restart clean|crash [DURATION]": the end of the broker and its next start. */
enum hd_err lab_restart(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem);
/** Whether the invariants hold. */
bool lab_check(struct lab *lab, char *problem);

/** A step that only the laboratory knows, for struct play_host.  HD_ENOMATCH: none of its own. */
enum hd_err lab_command(void *context, struct play *play, const struct play_step *step,
                        const struct hd_slice *words, unsigned n, char *problem);

#endif
