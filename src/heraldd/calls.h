/* calls.h - what the admin socket can be asked (doc/admin-protocol.md).
 * Thread: the main thread's. */
#ifndef HD_HERALDD_CALLS_H
#define HD_HERALDD_CALLS_H

#include <jansson.h>

#include "heraldd/admin.h"

/** Turns texts of a call's keys into what the call takes there: numbers and booleans, when they are
 * written as such. */
void hd_calls_words(const char *call, json_t *args);
/** Answers one call; context is the struct hd_daemon.  Fits hd_admin_call_f. */
void hd_calls_take(void *context, struct hd_reply *reply, const char *call, json_t *args);
/** The same for somebody who may look on: event state, bodies and the values that filters compare
 * are left out.  The caller has seen to it that the call changes nothing. */
struct hd_daemon;
void hd_calls_look_on(struct hd_daemon *daemon, struct hd_reply *reply, const char *call,
                      json_t *args);

/** Breaks off what reads the audit trail, from now on: who asked, or asks, is told while the loop
 * runs, which need not be for long any more. */
void hd_calls_audit_stop(struct hd_daemon *daemon);

#endif
