/* state.h - what the daemon keeps between two starts beside the live state: its keys, its instance,
 * users and rules.
 *
 * One file, herald.db, in the state folder, with a row for each user, list, rule and so on; a
 * change is one transaction, so that a crash at any moment leaves what was before or what is
 * after.  herald.lock beside it keeps two daemons from sharing a folder.  The file holds HA1 values
 * and keys, never passwords: its mode is 0600.  Its form is described in doc/state-file.md.
 * Thread: the main thread's. */
#ifndef HD_HERALDD_STATE_H
#define HD_HERALDD_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "event/shard.h"
#include "heraldd/problem.h"
#include "policy/book.h"

#define HD_STATE_FILE "herald.db"

struct hd_state;
struct api_book;

/**
 * Opens the state folder, making it (mode 0700, its parent must be there) and the file when they
 * are missing.
 * @param ret_problem  on any error one line that names the file, the place in it and what is wrong
 * @return HD_OK; HD_EBUSY another daemon uses the folder; HD_ESYNTAX the file is damaged;
 * HD_EVERSION another herald wrote it, a newer one or one from before herald.db; HD_EIO a system
 * call failed; HD_ENOMEM.  In no case but HD_OK was anything in the folder changed, except that the
 * folder itself and the lock file may have been made, and a change undone that was cut off.
 */
HD_NODISCARD enum hd_err hd_state_open(const char *folder, char ret_problem[HD_PROBLEM_TEXT],
                                       struct hd_state **ret_state);
/** Gives the folder up; accepts NULL. */
void hd_state_close(struct hd_state *state);

struct evt_keys hd_state_keys(const struct hd_state *state);
/** "urn:uuid:...", as long as the state is open (RFC 4122). */
struct hd_slice hd_state_instance(const struct hd_state *state);
/** A number of this start, unlike those of earlier ones, for nonces: drawn when the state is
 * opened, not kept. */
uint32_t hd_state_epoch(const struct hd_state *state);
/** The book as it was loaded or saved last; borrowed: take a reference to keep it. */
struct pol_book *hd_state_book(const struct hd_state *state);

/**
 * Keeps a book: when it returns HD_OK it is on the disk, and hd_state_book() gives it (a reference
 * is taken).
 * @param ret_problem  on any error one line; the book before is still the one that counts
 * @return HD_OK, HD_EIO, HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_state_save(struct hd_state *state, struct pol_book *book,
                                       char ret_problem[HD_PROBLEM_TEXT]);

/** Tokens and webhooks, as of the last save; borrowed. */
struct api_book *hd_state_http(const struct hd_state *state);
/** As hd_state_save, for these. */
HD_NODISCARD enum hd_err hd_state_save_http(struct hd_state *state, struct api_book *http,
                                            char ret_problem[HD_PROBLEM_TEXT]);

/**
 * Writes what is kept into another folder, as a file of the same name, which must not be there.
 * @param ret_problem  on any error one line
 * @return HD_OK: the file is on the disk, its name as soon as the folder is forced; HD_EIO:
 * nothing is left of it
 */
HD_NODISCARD enum hd_err hd_state_copy(struct hd_state *state, const char *folder,
                                       char ret_problem[HD_PROBLEM_TEXT]);

/**
 * How many users have HA1 values that were made for another realm and so cannot log in.
 * @param ret_line  when there are any: one line that says so, with some of their names and what to
 * do
 */
size_t hd_state_other_realm(const struct pol_book *book, const struct hd_slice *realms,
                            size_t n_realms, char ret_line[HD_PROBLEM_TEXT]);

#endif
