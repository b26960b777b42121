/* state_rows.h - what the daemon keeps beside the live state, as rows of herald.db
 * (doc/state-file.md): each user, list, transformation, rule, token and webhook is one row, a JSON
 * object under its name or id.
 *
 * Pure; the main thread's. */
#ifndef HD_HERALDD_STATE_ROWS_H
#define HD_HERALDD_STATE_ROWS_H

#include <stdint.h>

#include "base/slice.h"
#include "event/shard.h"
#include "http/book.h"
#include "policy/book.h"

#define HD_STATE_VERSION 1
#define HD_STATE_PLACE 256  /* octets of a problem line without the name of the file */
#define HD_INSTANCE_TEXT 45 /* "urn:uuid:" and 36 characters, no NUL */

struct hd_state_data {
    struct evt_keys keys;
    char instance[HD_INSTANCE_TEXT];
    struct pol_book *book;
    struct api_book *http; /* tokens and webhooks; never NULL once it is read */
};

/* In the order in which they are read. */
enum hd_state_table {
    HD_STATE_ABOUT = 0, /* keys, instance, the next numbers: by name */
    HD_STATE_USERS,
    HD_STATE_LISTS,
    HD_STATE_TRANSFORMS,
    HD_STATE_RULES,
    HD_STATE_TOKENS,
    HD_STATE_WEBHOOKS,
    HD_STATE_TABLES /* how many there are */
};
const char *hd_state_table_name(enum hd_state_table table);
/** The member of a row's text that is its key, NUL-terminated; empty: it has none. */
struct hd_slice hd_state_table_key(enum hd_state_table table);

struct hd_state_row {
    enum hd_state_table table;
    int64_t number; /* of the row in its table; what a problem line names */
    struct hd_slice key, text;
};

/* ---- reading ---- */

struct hd_state_reader;
/** NULL: memory is short. */
struct hd_state_reader *hd_state_reader_new(void);
void hd_state_reader_free(struct hd_state_reader *reader); /* accepts NULL */
/**
 * Takes one row; table by table.
 * @param ret_problem  on an error: the row and what is wrong with it, no octet of it in the line
 * @return HD_OK; HD_ESYNTAX it is damaged; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_state_reader_row(struct hd_state_reader *reader,
                                             const struct hd_state_row *row,
                                             char ret_problem[HD_STATE_PLACE]);
/** What all rows say together.  ret_data: with one reference of each book, the caller's.
 * HD_ESYNTAX, HD_EFULL, HD_ENOMEM. */
HD_NODISCARD enum hd_err hd_state_reader_end(const struct hd_state_reader *reader,
                                             char ret_problem[HD_STATE_PLACE],
                                             struct hd_state_data *ret_data);

/* ---- writing ---- */

/** Keeps a row in the place of the one with its key; text of no octets: that one goes.  An error
 * ends the walk. */
typedef enum hd_err (*hd_state_put_f)(void *context, enum hd_state_table table, struct hd_slice key,
                                      struct hd_slice text);
/**
 * The rows that make what was kept before what is to be kept now; their number is that of the
 * entries that changed.
 * @param before  NULL: nothing was
 * @return HD_OK; HD_ENOMEM; what put returned
 */
HD_NODISCARD enum hd_err hd_state_changes(const struct hd_state_data *before,
                                          const struct hd_state_data *after, hd_state_put_f put,
                                          void *context);

/** Whether text is "urn:uuid:" and a UUID in lower case (RFC 4122 section 3). */
bool hd_instance_ok(struct hd_slice text);

#endif
