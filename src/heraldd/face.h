/* face.h - the HTTP face in the daemon: opened, started and stopped with it, and what it asks the
 * main thread.  Thread: the main thread's. */
#ifndef HD_HERALDD_FACE_H
#define HD_HERALDD_FACE_H

#include "heraldd/daemon.h"
#include "http/api.h"

struct hd_face;

/**
 * Opens the socket, when the configuration has one; *ret_face stays NULL otherwise.
 * @param wake  makes the main thread call hd_face_collect; from any thread
 * @return HD_OK; HD_EIO with a line in ret_problem; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_face_new(struct hd_daemon *daemon, hd_wake_f wake, void *wake_context,
                                     char ret_problem[256], struct hd_face **ret_face);
/* All of these accept NULL. */
struct api *hd_face_api(struct hd_face *face);
HD_NODISCARD enum hd_err hd_face_start(struct hd_face *face, struct evt_shard *shard,
                                       struct evt_config *config);
/** Takes a new book of tokens and webhooks.  HD_ENOMEM. */
HD_NODISCARD enum hd_err hd_face_book(struct hd_face *face, struct api_book *book);
/** Reads the certificate again, for hd_face_take_certificate.  HD_EIO with a line; HD_ENOMEM. */
HD_NODISCARD enum hd_err hd_face_read_certificate(const struct hd_face *face, char ret_problem[256],
                                                  struct api_certificate **ret_certificate);
/** It counts from the next handshake on; takes it.  NULL: nothing changes. */
void hd_face_take_certificate(struct hd_face *face, struct api_certificate *certificate);
/** Asks the face; then is called on the main thread, never from inside.  False: there is no face.
 */
bool hd_face_ask(struct hd_face *face, struct api_query *query, void (*then)(void *context),
                 void *context);
/** Unguessable octets; cannot fail. */
void hd_face_random(void *octets, size_t n);
/** Answers what the face has asked for. */
void hd_face_collect(struct hd_face *face);
/** Before the shards stop. */
void hd_face_stop(struct hd_face *face);
/** After they are freed. */
void hd_face_free(struct hd_face *face);

#endif
