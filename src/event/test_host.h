/* test_host.h - a host for the tests of event/: shards on a fake clock, with ports that record what
 * was sent, keep records when they are told to, and allow by a table.
 *
 * test_host.c begins, ends and runs it; test_packages.c, test_policy.c and test_ports.c are what
 * its shards call; test_wire.c is its peers; test_restart.c the next start. A test whose functions
 * share one host takes it from test_setup.h.
 *
 * Everything happens in host_settle() and host_wait(): shards take turns in order until none has
 * anything left to do.  Nothing is random: the entropy is seeded. */
#ifndef HD_EVENT_TEST_HOST_H
#define HD_EVENT_TEST_HOST_H

#include "event/core.h"

#define HOST_SHARDS 3
#define HOST_TEXT 70000

enum host_store {
    HOST_STORE_NOW = 0, /* kept at the end of each round */
    HOST_STORE_LATER,   /* waits for host_store_release() */
    HOST_STORE_FAILS,   /* the outcome is HD_ESTORE */
    HOST_STORE_REFUSES  /* put says HD_ESTORE at once */
};

/* A message that a shard sent. */
struct host_sent {
    struct host_sent *next;
    unsigned shard;
    uint64_t at_ms, owner;
    struct hd_flow flow;
    struct hd_arena arena;
    struct sip_msg msg;
    struct hd_slice text;
    char memory[8192];
    char octets[];
};

/* A record that was put. */
struct host_put {
    struct host_put *next;
    unsigned shard, bucket;
    enum evt_record_kind kind;
    uint64_t id, ticket;
    uint64_t at_ms;         /* when it was put */
    struct hd_slice record; /* empty: removed */
    struct host_put *copy;  /* in host.kept */
    bool stored;            /* of a copy: the core was told so */
    bool superseded;
    char octets[];
};

struct host_rule {
    const char *user, *resource, *package; /* keys and name; NULL: any */
    enum evt_decision decision;
};

struct host;
struct host_seat {
    struct host *host;
    unsigned index;
    struct evt_shard *shard;
    struct hd_rng *rng;
    char buffer[HOST_TEXT];
};

struct host {
    unsigned n;
    uint32_t start;           /* which one it is; a clean end takes it back */
    uint64_t now_ms, wait_ms; /* wait_ms: until some shard wants a turn */
    uint64_t seed;
    struct host_seat seats[HOST_SHARDS];
    struct evt_config *config;
    /* the net */
    struct host_sent *sent, **sent_end;
    bool reserve_fails;
    unsigned commits;
    /* the store */
    enum host_store store;
    struct host_put *puts, **puts_end; /* waiting for their outcome */
    struct host_put *kept;             /* all records that were put and not refused, newest first */
    unsigned n_puts;
    uint64_t late_ms; /* the longest that something put had to wait until it was kept */
    bool lost;        /* since the start, of what was put */
    size_t (*flush)(void *context, unsigned shard); /* of another store; NULL: none */
    void *flush_context;
    /* policy */
    struct host_rule rules[16]; /* the first that fits decides; none: allowed */
    unsigned n_rules;
    unsigned transforms; /* how often policy was asked for one */
    bool needs_digest;   /* a request without Authorization is challenged */
    bool counts;         /* "Authorization: N" takes count N of a nonce */
    bool unproven, anonymous;
    uint64_t nonce_id;
    uint32_t seen_counts[64];
    unsigned n_counts;
    unsigned settled;                 /* how often it came to rest */
    unsigned asked;                   /* how often a rule about SUBSCRIBE was asked for */
    bool unchecked;                   /* the invariants need not be looked at, for now */
    bool made_up;                     /* the test hands mirrors states that no home has */
    void (*begun)(struct host *host); /* shards were made, nothing is in them; or NULL */
};

/* A request, as text that is put together. */
struct host_request {
    const char *method;  /* NULL: SUBSCRIBE */
    const char *uri;     /* NULL: sip:bob@example.test */
    const char *from;    /* user; NULL: alice */
    const char *to_uri;  /* NULL: as uri */
    const char *to_tag;  /* NULL: none */
    const char *call_id; /* NULL: c1 */
    uint32_t cseq;       /* 0: 1 */
    const char *branch;  /* NULL: made of method, Call-ID and CSeq */
    const char *event;   /* NULL: x-state; "": none */
    int64_t expires;     /* -1: no header */
    const char *contact; /* NULL: the source; "": none */
    const char *headers; /* further lines, with CRLF */
    const char *body;
    const char *type;  /* of the body; NULL: text/plain */
    uint16_t port;     /* of the source, 0: 5062; says the shard too */
    uint8_t transport; /* enum hd_transport, 0: HD_UDP */
    uint64_t conn;
    bool no_via_change;
};

/* Of the last document of x-state.winfo: lines "WHO status event" and how many they are. */
extern uint64_t host_watcher_ids[4];

/* n shards, all of them connected; free with host_done. */
void host_init(struct host *host, unsigned n);
/* The same, as one more start of a broker whose store another host had; 1: the first. */
void host_init_start(struct host *host, unsigned n, uint32_t start);
void host_done(struct host *host);
struct evt_shard *host_shard(struct host *host, unsigned index);
/* How a host ends before its next start. */
struct host_ending {
    bool clean;       /* all is kept, and what makes the next start exact; else it is a crash */
    unsigned kept;    /* in a crash: so many of those that wait for the store, the oldest */
    uint64_t down_ms; /* until the new start */
};
/** Ends all shards and begins anew with n of them and what the store has: the newest record of each
 * kind and id that was kept.  Rules, configuration and what was sent stay; connections and mails do
 * not.  (test_restart.c) */
void host_restart(struct host *host, unsigned n, const struct host_ending *ending);
/* Its halves: the shards of a host, and their end. */
void host_shards_begin(struct host *host, unsigned n);
void host_shards_end(struct host *host);
void host_free_puts(struct host_put **list);
/** A copy of the configuration in force for a test to change; taken by host_configure. */
struct evt_config *host_config_copy(struct host *host);
void host_configure(struct host *host, struct evt_config *config, struct hd_slice changed);

/* Operations of the host's packages, for those of a test's own: "bad" and "other" are no bodies,
 * the newest publication counts (and cannot when it is "alone"), the neutral state is
 * evt_package.neutral_body. */
HD_NODISCARD enum hd_err host_text_validate(const struct evt_package *package, struct hd_slice type,
                                            struct hd_slice body, const char **ret_reason);
HD_NODISCARD enum hd_err host_text_compose(const struct evt_package *package,
                                           struct hd_slice entity,
                                           const struct evt_published *published, size_t n,
                                           struct evt_doc **ret_doc);
HD_NODISCARD enum hd_err host_text_neutral(const struct evt_package *package,
                                           struct hd_slice entity, struct evt_doc **ret_doc);
/* All three; and those of a package of watchers (see host_watcher_ids). */
extern const struct evt_package_ops host_text_ops, host_winfo_ops;
extern const struct hd_slice host_text_types[2];

/** What the host's rules say of somebody; package empty: none is meant. */
struct evt_verdict host_judge(const struct host *host, const struct evt_identity *who,
                              struct hd_slice resource, struct hd_slice package);

/** A source whose datagrams are steered to a shard: its port. */
uint16_t host_port_of(const struct host *host, unsigned shard);
struct hd_flow host_flow(uint16_t port);
/** The home shard of a key. */
unsigned host_home(struct host *host, const char *key);

/** Hands a text to the shard that its source is steered to, or to one; nothing else is done. */
void host_receive(struct host *host, const struct hd_flow *flow, struct hd_slice text);
void host_receive_on(struct host *host, unsigned shard, const struct hd_flow *flow,
                     struct hd_slice text);
/** Writes a request; returns its length. */
size_t host_write(const struct host_request *request, char *text, size_t cap);
/** Writes it, hands it in, and settles. */
void host_request(struct host *host, const struct host_request *request);
/** Answers a NOTIFY that was sent, and settles.  extra: further header lines or NULL. */
void host_answer(struct host *host, const struct host_sent *notify, unsigned status,
                 const char *extra);

/** The same without settling. */
void host_answer_only(struct host *host, const struct host_sent *notify, unsigned status,
                      const char *extra);

/** Lets all shards work until nothing is left to do now; checks their invariants (each time with up
 * to 200 subscriptions, one time in n with n times as many). */
void host_settle(struct host *host);
/** Lets time go on by ms, from deadline to deadline. */
void host_wait(struct host *host, uint64_t ms);

/** The oldest message that was sent and not yet taken, freed at the next take; NULL: none. */
struct host_sent *host_take(struct host *host);
/** The same, which must be there: a response with this status / a NOTIFY. */
struct host_sent *host_take_status(struct host *host, unsigned status);
struct host_sent *host_take_notify(struct host *host);
void host_take_nothing(struct host *host);
/** How many wait to be taken. */
unsigned host_count(const struct host *host);
/** Drops all. */
void host_drop(struct host *host);
struct hd_slice host_value(const struct host_sent *sent, enum sip_hdr id);
bool host_has(const struct host_sent *sent, const char *text);

/** SUBSCRIBE and its 200 with its NOTIFY answered: the To tag of the dialog is copied. */
void host_subscribe(struct host *host, const struct host_request *request,
                    char ret_tag[HD_ID_TEXT + 1]);
/** PUBLISH of a body (etag NULL: initial), its 200 taken; the entity-tag is copied. */
void host_publish(struct host *host, const char *uri, const char *event, const char *etag,
                  const char *body, char ret_etag[HD_ID_TEXT + 1]);

/** Outcomes of the n oldest that wait. */
void host_store_release(struct host *host, unsigned n, enum hd_err err);
/** What was put is kept from now on. */
void host_put_kept(struct host *host, const struct host_put *put);

/** The newest record of a kind; NULL: none. */
const struct host_put *host_record(const struct host *host, enum evt_record_kind kind);

/** The first subscription of a shard that is there; NULL: none. */
struct evt_sub *host_sub(struct host *host, unsigned shard);
uint32_t host_subs(struct host *host);
#define HOST_COUNT(host, at, name)                                                                 \
    atomic_load_explicit(&(host)->seats[at].shard->counters.name, memory_order_relaxed)

#endif
