/* admin.h - one call to the daemon over its admin socket (doc/admin-protocol.md).
 * Blocking; thread: any. */
#ifndef HERALD_ADMIN_H
#define HERALD_ADMIN_H

#include <stdint.h>

#include <jansson.h>

/** Where the daemon's socket is: path when given, $HERALD_SOCKET, ./run/herald.sock when there is
 * one, /run/herald/herald.sock. */
const char *admin_socket(const char *path);
/**
 * Sends one call and waits for its answer, at most 30 s.
 * @param args        the call's keys, taken over; "id" and "call" are added
 * @param ret_result  the caller's to json_decref
 * @return TOOL_OK; otherwise, after a message: TOOL_FAILED (the daemon said no, or what it said
 * cannot be understood), TOOL_TIMEOUT, TOOL_UNREACHABLE
 */
int admin_call(const char *path, const char *call, json_t *args, json_t **ret_result);
/** The same for a call that takes its time: wait_s seconds at most. */
int admin_call_long(const char *path, const char *call, json_t *args, uint32_t wait_s,
                    json_t **ret_result);

#endif
