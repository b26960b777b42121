/* calls_core.h - what the files of the admin calls share.  Private to them.
 * Thread: the main thread's. */
#ifndef HD_HERALDD_CALLS_CORE_H
#define HD_HERALDD_CALLS_CORE_H

#include "base/str.h"
#include "heraldd/calls.h"
#include "heraldd/daemon.h"

struct hd_call {
    struct hd_daemon *daemon;
    struct hd_reply *reply;
    json_t *args;
    bool looks; /* by somebody who may see what goes on, but not event state */
};

#define HD_CALL_ARGS_MAX 12
struct hd_call_type {
    const char *name;
    json_type type; /* JSON_TRUE: a boolean */
    bool needed;
};
struct hd_call_row {
    const char *name;
    void (*run)(const struct hd_call *call);
    struct hd_call_type args[HD_CALL_ARGS_MAX]; /* up to the first without a name */
};
/** The calls about users, about rules and lists, about transformations, and those that ask what the
 * rules say. */
const struct hd_call_row *hd_calls_user(size_t *ret_n);
const struct hd_call_row *hd_calls_policy(size_t *ret_n);
const struct hd_call_row *hd_calls_transform(size_t *ret_n);
const struct hd_call_row *hd_calls_judge(size_t *ret_n);
/** A decision in words; config NULL: without the words of a rule. / Why a NOTIFY is held back. */
void hd_did_words(const struct evt_config *config, const struct evt_recalled *row,
                  struct hd_str *out);
const char *hd_held_words(uint64_t why);
/** A decision as somebody may see it: who looks on is not told what a filter compared. */
struct evt_recalled hd_did_for(const struct evt_recalled *row, bool looks);
/** Microseconds to be added to the shards' clock for those since 1970. */
int64_t hd_wall_offset_us(void);
/** The call that reads the flow recorder. */
const struct hd_call_row *hd_calls_trace(size_t *ret_n);

/** The calls about registrations. */
const struct hd_call_row *hd_calls_register(size_t *ret_n);
/** How long things took. */
const struct hd_call_row *hd_calls_latency(size_t *ret_n);
/** The number of 16 hexadecimal digits; 0: they are none. */
uint64_t hd_hex_id(struct hd_slice text);
/** The listings that can be searched. */
const struct hd_call_row *hd_calls_look(size_t *ret_n);
/** The one about the audit trail. */
const struct hd_call_row *hd_calls_audit(size_t *ret_n);
/** Those about tokens and webhooks. */
const struct hd_call_row *hd_calls_http(size_t *ret_n);

/** A string of the call; p NULL: it is not there. */
struct hd_slice hd_call_arg(const struct hd_call *call, const char *key);

/** How many octets of it an error repeats. */
static inline int
hd_call_shown(struct hd_slice text)
{
    return (int)(text.n < 300 ? text.n : 300);
}

struct hd_key {
    char text[SIP_KEY_MAX];
    size_t n;
};
static inline struct hd_slice
hd_key_slice(const struct hd_key *key)
{
    return hd_slice(key->text, key->n);
}
/** Turns a resource of the caller into its key, or answers why not. */
bool hd_call_resource(const struct hd_call *call, const char *name, struct hd_key *ret_key);

/** The book in use, borrowed. */
struct pol_book *hd_call_book(const struct hd_call *call);
/** Hands a book to the daemon and answers later with result and the version.  Takes over book and
 * result.
 *  @param err  what making the book gave; on an error that is the answer */
void hd_call_edit(const struct hd_call *call, enum hd_err err, struct pol_book *book,
                  struct hd_slice changed, json_t *result);

/* Rows of a listing. */
struct hd_rows {
    const struct hd_call *call;
    json_t *rows;
    struct hd_slice only; /* key, empty: all */
    bool failed;
};
void hd_rows_add(struct hd_rows *rows, json_t *row); /* takes over row */
/** Answers with {key: rows}. */
void hd_rows_answer(const struct hd_call *call, struct hd_rows *rows, const char *key);

#endif
