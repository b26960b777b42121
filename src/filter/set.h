/* set.h - a compiled filter: what is shown, and the triggers with their conditions.
 *
 * Thread: its shard's; immutable once it is made.  Memory: a set owns all that it points to. */
#ifndef HD_FILTER_SET_H
#define HD_FILTER_SET_H

#include "base/str.h"
#include "event/ports.h"
#include "filter/reading.h"

#define FLT_LEAVES_MOST 64u
#define FLT_NODES_MOST 128u
#define FLT_WHATS_MOST 64u
#define FLT_NAME_MOST 64u /* octets of a trigger's name */

enum flt_kind {
    /* levels: true or not, with a state */
    FLT_ABOVE = 0,
    FLT_BELOW,
    FLT_IS,
    FLT_ENTERS, /* a band of numbers, or a region */
    FLT_LEAVES,
    FLT_STALE,
    /* a moment, of a state */
    FLT_CROSSES, /* in or out of a region: RFC 6447 enterOrExit */
    /* a moment, against what was sent last */
    FLT_CHANGED,
    FLT_ADDED,
    FLT_REMOVED,
    FLT_MOVED
};

struct flt_leaf {
    enum flt_kind kind;
    struct flt_path path;
    struct hd_slice unit; /* SenML's; empty: any */
    double value,
        clear; /* above and below: level and re-arm level; a band: low and high; moved: metres */
    uint32_t for_ms; /* dwell, or silence */
    struct flt_region *region;
    struct flt_region *clear_region; /* a circle's re-arm level; NULL: the region itself */
    /* is, and changed */
    struct hd_slice from, to;
    bool has_from, has_to, has_by, to_is_number;
    double by, to_number;
};

enum flt_join { FLT_LEAF = 0, FLT_ALL, FLT_ANY };
struct flt_node {
    enum flt_join join;
    uint16_t leaf;        /* FLT_LEAF */
    uint16_t child, next; /* 0: none; node 0 is never a child */
};

struct flt_trigger {
    uint16_t root;
    bool moment;       /* has leaves that are true for a moment: fires each time */
    bool compares;     /* some of these compare with what was sent */
    bool own;          /* of ours, not of an RFC */
    bool clear_notify; /* the re-arm is told */
    struct hd_slice name;
};

/* An include or exclude (RFC 4661 section 3.5). */
struct flt_what {
    bool exclude;
    struct flt_xpath *xpath; /* NULL: a namespace */
    struct hd_slice ns;
};

struct flt_string {
    struct flt_string *next;
    char octets[];
};

struct flt_set {
    struct evt_filter head;
    uint64_t hash;            /* of source, and of the resource when it is bound to one */
    struct flt_set *next;     /* of the same hash slot */
    bool bound;               /* another resource may have another filter by the same text */
    struct hd_slice resource; /* when bound */
    uint32_t n_leaves, n_nodes, n_triggers, n_whats;
    struct flt_leaf *leaves;
    struct flt_node *nodes;
    struct flt_trigger *triggers;
    struct flt_what *whats;
    bool geodetic_only, civic_only; /* RFC 6447 section 3.5 */
    struct sip_dialog_id dialog;    /* the Event header names it; call_id.p NULL: none */
    struct flt_string *strings;
};

/* The state of a set's conditions. */
enum flt_phase { FLT_UNKNOWN = 0, FLT_ARMED, FLT_PENDING, FLT_FIRED };
struct flt_leaf_state {
    uint64_t since_ms; /* pending: since when it is true */
    uint8_t phase;
    bool moment; /* it happened with the document that was looked at last */
};
struct flt_state {
    uint64_t sign_ms; /* the last sign of life */
    uint32_t on;
    struct flt_leaf_state leaf[];
};

/* Why a filter is refused. */
struct flt_fault {
    const char *reason; /* static */
    size_t at;          /* offset in what was sent */
};

/* --- making one (set.c) ---------------------------------------------------------------------- */

struct flt_set *flt_set_new(void);
void flt_set_free(struct flt_set *set); /* accepts NULL */
/** A copy that lives as long as the set; p NULL: memory is short. */
struct hd_slice flt_set_string(struct flt_set *set, struct hd_slice text);
/** HD_EDENIED: too many; HD_ENOMEM. */
HD_NODISCARD enum hd_err flt_set_add_leaf(struct flt_set *set, uint16_t *ret_leaf);
HD_NODISCARD enum hd_err flt_set_add_node(struct flt_set *set, enum flt_join join, uint16_t leaf,
                                          uint16_t *ret_node);
/** Puts a node in, as the last below its parent. */
void flt_set_hang(struct flt_set *set, uint16_t parent, uint16_t node);
HD_NODISCARD enum hd_err flt_set_add_trigger(struct flt_set *set, uint16_t root,
                                             struct hd_slice name, bool own,
                                             struct flt_trigger **ret_trigger);
HD_NODISCARD enum hd_err flt_set_add_what(struct flt_set *set, struct flt_what **ret_what);
/** Fills in what the core looks at, when all is in it. */
void flt_set_finish(struct flt_set *set);

/* --- a condition in words (condition.c) ------------------------------------------------------ */

#define FLT_PARAMETERS_MOST 12

/* "above" with path, value, clear, for: the same from XML, JSON and words. */
struct flt_spec {
    struct hd_slice op;
    size_t at; /* where it stands */
    unsigned n;
    struct {
        struct hd_slice name, value;
        size_t at;
    } parameter[FLT_PARAMETERS_MOST];
    struct flt_region *region;           /* from shapes; taken when the condition is made */
    const struct flt_bindings *bindings; /* of its path; NULL: names stand for any namespace */
    bool strict;                         /* the path is one of RFC 4661 and nothing else */
};
/** Whether a name is that of a condition. */
bool flt_condition_known(struct hd_slice op);
void flt_spec_add(struct flt_spec *spec, struct hd_slice name, struct hd_slice value, size_t at);
bool flt_spec_get(const struct flt_spec *spec, struct hd_slice name, struct hd_slice *ret_value,
                  size_t *ret_at);
/** Makes a condition; name and clear-notify are its trigger's.  HD_ESYNTAX, HD_EDENIED with
 * ret_fault; HD_ENOMEM. */
HD_NODISCARD enum hd_err flt_condition_add(struct flt_set *set, struct flt_spec *spec,
                                           uint16_t *ret_node, struct flt_fault *ret_fault);
/** Sets a trigger's name and clear-notify as a condition has them. */
HD_NODISCARD enum hd_err flt_condition_name(struct flt_set *set, struct flt_trigger *trigger,
                                            const struct flt_spec *spec,
                                            struct flt_fault *ret_fault);
bool flt_name_fits(struct hd_slice name);

/* --- the three ways to say it ---------------------------------------------------------------- */

/** when.c: "hr above 140 clear 120 for 5s or lead_off is true". */
HD_NODISCARD enum hd_err flt_read_when(struct flt_set *set, struct hd_slice text,
                                       struct flt_fault *ret_fault);
/** from_json.c: application/vnd.herald.filter+json. */
HD_NODISCARD enum hd_err flt_read_json(struct flt_set *set, struct hd_slice text,
                                       struct flt_fault *ret_fault);

/* from_xml.c: application/simple-filter+xml.  Documents are read in the order in which they came;
 * the later ones change, switch or remove filters of the earlier by their ids (RFC 4660
 * section 3.3.3). */
#define FLT_DOCUMENTS_MOST 16u
struct flt_xml_documents {
    unsigned n;
    struct hd_slice text[FLT_DOCUMENTS_MOST];
    bool needed[FLT_DOCUMENTS_MOST]; /* written: something of it still counts */
};
/** The last document's faults are the request's.  resource is a canonical key. */
HD_NODISCARD enum hd_err flt_read_xml(struct flt_set *set, struct flt_reader *reader,
                                      struct flt_xml_documents *documents, struct hd_slice resource,
                                      struct hd_slice package, struct flt_fault *ret_fault);

/* --- looking at documents (eval.c, cut.c) ---------------------------------------------------- */

void flt_begin(const struct evt_filter *filter, void *state, uint64_t now_ms);
void flt_step(const struct evt_filter *filter, void *state, struct flt_reading *reading, bool sign,
              uint64_t now_ms, struct evt_step *ret_step);
uint32_t flt_compare(const struct evt_filter *filter, const void *state, struct flt_reading *before,
                     struct flt_reading *now);
void flt_save(const struct evt_filter *filter, const void *state, uint64_t now_ms,
              struct hd_bytes_out *out);
HD_NODISCARD enum hd_err flt_load(const struct evt_filter *filter, void *state, uint64_t now_ms,
                                  struct hd_slice saved);
/** HD_OK; HD_ENOMATCH: nothing of it is wanted; HD_ENOMEM. */
HD_NODISCARD enum hd_err flt_cut(const struct flt_set *set, struct flt_reading *reading,
                                 struct hd_slice body, struct hd_str *out);

/** The conditions in words, with the values of a document that they were compared with; NULL: none
 * was looked at.  Writes at most cap octets (> 0) with a NUL; returns the length. */
size_t flt_say(const struct evt_filter *filter, const void *state, struct flt_reading *reading,
               char *text, size_t cap);

static inline const struct flt_set *
flt_set_of(const struct evt_filter *filter)
{
    HD_ASSERT_OBJ(filter, EVT_FILTER_MAGIC);
    return (const struct flt_set *)(const void *)filter;
}

#endif
