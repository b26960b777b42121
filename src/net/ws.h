/* ws.h - WebSocket as octets: the HTTP request that asks for one, and frames (RFC 6455, RFC 7118).
 * Pure functions; any thread.  Inside net/, its tests and fuzz targets. */
#ifndef HD_NET_WS_H
#define HD_NET_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* --- the upgrade (RFC 6455 section 4.2) ---------------------------------------------------------
 */

#define NET_WS_HEAD_MAX 8192 /* octets of a request's head */
#define NET_WS_ANSWER_MAX 512
#define NET_WS_HEADERS_MAX 64

/**
 * Reads the request that is to become a WebSocket for SIP, and writes the answer to it.
 * @param stream   what has come so far; not changed
 * @param origins  those that browsers may come from ("https://phone.example.test"); n 0: any
 * @param ret_len  octets of the request, when it is whole
 * @param ret_answer, ret_answer_n  the answer: 101, or a refusal that says what is wanted
 * @return HD_OK: 101; HD_EAGAIN: more is needed; HD_EDENIED: refused, close after the answer
 */
HD_NODISCARD enum hd_err net_ws_upgrade(struct hd_slice stream, const struct hd_slice *origins,
                                        size_t n_origins, size_t *ret_len,
                                        char ret_answer[NET_WS_ANSWER_MAX], size_t *ret_answer_n);

/* --- frames (RFC 6455 section 5) ----------------------------------------------------------------
 */

enum net_ws_opcode {
    NET_WS_CONTINUATION = 0,
    NET_WS_TEXT = 1,
    NET_WS_BINARY = 2,
    NET_WS_CLOSE = 8,
    NET_WS_PING = 9,
    NET_WS_PONG = 10
};

/* Why a connection is closed (RFC 6455 section 7.4.1). */
#define NET_WS_CODE_NORMAL 1000
#define NET_WS_CODE_AWAY 1001
#define NET_WS_CODE_PROTOCOL 1002
#define NET_WS_CODE_NOT_UTF8 1007
#define NET_WS_CODE_TOO_LARGE 1009

struct net_ws_frame {
    bool fin;
    enum net_ws_opcode opcode;
    uint8_t mask[4];
    size_t head; /* octets of the frame's head */
    size_t n;    /* octets of the payload behind it */
};

/**
 * Reads the head of a frame from a client.
 * @param max  octets that a payload may have
 * @return HD_OK; HD_EAGAIN: more is needed; HD_ESYNTAX: not masked, reserved bits or opcodes, a
 * control frame that is cut or long, a length that is not the shortest (close 1002); HD_ERANGE:
 * longer than max (close 1009)
 */
HD_NODISCARD enum hd_err net_ws_frame_read(struct hd_slice octets, size_t max,
                                           struct net_ws_frame *ret_frame);
/** Takes the mask off, or puts it on. */
void net_ws_mask(char *p, size_t n, const uint8_t mask[4]);

#define NET_WS_FRAME_HEAD 10 /* octets of the head of a frame from a server, at most */
/** Writes the head of a whole frame to a client; returns its length. */
size_t net_ws_frame_head(enum net_ws_opcode opcode, size_t n, char ret[NET_WS_FRAME_HEAD]);

/** Whether octets are UTF-8 as RFC 3629 has it: no surrogates, nothing longer than needed. */
bool net_ws_is_utf8(struct hd_slice octets);
/** Whether the payload of a close frame is well-formed: empty, or a code that may be sent and a
 * reason in UTF-8 (RFC 6455 sections 5.5.1 and 7.4). */
bool net_ws_close_ok(struct hd_slice payload);

#endif
