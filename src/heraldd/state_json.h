/* state_json.h - the text of herald.state, read and written (doc/state-file.md).
 * Pure but for the stream that is written to; the main thread's. */
#ifndef HD_HERALDD_STATE_JSON_H
#define HD_HERALDD_STATE_JSON_H

#include <stdint.h>
#include <stdio.h>

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

/**
 * Reads a whole file.
 * @param ret_problem  on an error: the place and what is wrong with it, without the file's name, no
 * octet of the text in it
 * @param ret_data     with one reference of each book, the caller's
 * @return HD_OK; HD_ESYNTAX it is damaged; HD_EVERSION newer than HD_STATE_VERSION; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_state_read(struct hd_slice text, char ret_problem[HD_STATE_PLACE],
                                       struct hd_state_data *ret_data);
/** Writes it, users by name and rules by id, so that two versions can be compared.  HD_OK, HD_EIO,
 * HD_ENOMEM. */
HD_NODISCARD enum hd_err hd_state_write(FILE *file, const struct hd_state_data *data);

/** Whether text is "urn:uuid:" and a UUID in lower case (RFC 4122 section 3). */
bool hd_instance_ok(struct hd_slice text);

#endif
