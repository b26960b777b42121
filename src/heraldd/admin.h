/* admin.h - the admin socket: lines of JSON over a Unix stream socket (doc/admin-protocol.md).
 *
 * Thread: the main thread's, inside its loop.  A call is answered once, at once or later; the
 * client may be gone by then. */
#ifndef HD_HERALDD_ADMIN_H
#define HD_HERALDD_ADMIN_H

#include <jansson.h>
#include <uv.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/slice.h"

#define HD_ADMIN_LINE_MAX                                                                          \
    ((size_t)64 * 1024 * 1024) /* octets of a line, LF included: a file of users */
#define HD_ADMIN_CLIENTS 64    /* at the same time */
#define HD_ADMIN_CALLS 64      /* of one client that wait for their answer */

struct hd_admin;
struct hd_reply; /* the place for one answer */

/** Takes one call: answers it by hd_reply_result or hd_reply_error, now or later.
 *  @param call  its name, borrowed for the call
 *  @param args  the whole object, borrowed for the call */
typedef void (*hd_admin_call_f)(void *context, struct hd_reply *reply, const char *call,
                                json_t *args);

/**
 * Opens the socket with mode 0600.  One that nobody answers on is replaced.
 * @param path         at most 107 octets (the configuration has checked it)
 * @param ret_problem  one line on HD_EIO
 * @return HD_OK; HD_EIO: it cannot be opened, or another daemon answers on it; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_admin_new(uv_loop_t *loop, const char *path, hd_admin_call_f call,
                                      void *context, char ret_problem[256],
                                      struct hd_admin **ret_admin);
/** Closes the socket and all clients; replies that are out stay valid.  The memory goes when the
 * loop has run its closing callbacks and the last reply was given.  Accepts NULL. */
void hd_admin_close(struct hd_admin *admin);

/** Answers; the reply is used up.  result is taken over (NULL: memory was short, an error is sent).
 */
void hd_reply_result(struct hd_reply *reply, json_t *result);
/** The same with a result that is written already, perhaps by another thread: n octets of JSON
 * without a line end, on the heap, taken over (NULL: memory was short). */
void hd_reply_text(struct hd_reply *reply, char *text, size_t n);
/** Answers with one line for people; the reply is used up. */
void hd_reply_error(struct hd_reply *reply, const char *format, ...) HD_PRINTF(2, 3);

/** Takes one answer, the result as JSON or a line for people: n octets and a NUL on the heap, to be
 * freed (NULL: memory is short). */
typedef void (*hd_reply_f)(void *context, bool failed, char *text, size_t n);
/** A place for an answer that goes elsewhere: take is called once.  NULL: memory is short. */
struct hd_reply *hd_reply_new(hd_reply_f take, void *context);

/** A string of octets that may not be UTF-8: what is not is shown as U+FFFD.  NULL when memory is
 * short. */
json_t *hd_json_slice(struct hd_slice octets);
/** An array of them; NULL when memory is short. */
json_t *hd_json_slices(const struct hd_slice *slices, size_t n);
/** "192.0.2.1:5060". */
json_t *hd_json_addr(const struct hd_addr *addr);

#endif
