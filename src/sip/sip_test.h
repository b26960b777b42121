/* sip_test.h - what the tests of this layer share. */
#ifndef HD_SIP_TEST_H
#define HD_SIP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sip/msg.h"
#include "sip/out.h"

/* A slice as an initialiser of a static table. */
#define L(literal)                                                                                 \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

#define assert_slice(got, text)                                                                    \
    do {                                                                                           \
        const struct hd_slice got_ = (got), want_ = hd_slice_str(text);                            \
        if (!hd_slice_eq(got_, want_))                                                             \
            fail_msg("%s is \"%.*s\", expected \"%.*s\"", #got, HD_FMT(got_), HD_FMT(want_));      \
    } while (0)

/* One parsed message with the memory that it needs. */
struct parsed {
    char memory[SIP_MAX_HEADERS * sizeof(struct sip_header) + 64];
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;
    enum hd_err err;
};

static inline void
parse(struct parsed *p, struct hd_slice octets, bool stream)
{
    hd_arena_init(&p->arena, p->memory, sizeof(p->memory));
    p->err = sip_msg_parse(octets, stream, &p->arena, &p->msg, &p->fault);
}

static inline void
parse_good(struct parsed *p, const char *text)
{
    parse(p, hd_slice_str(text), false);
    if (p->err)
        fail_msg("refused: %s\n%s", p->fault.reason ? p->fault.reason : hd_err_text(p->err), text);
}

/* Lines that every request has but for the start line and what a test adds. */
#define VIA "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKb1\r\n"
#define FROM "From: <sip:bob@example.test>;tag=f1\r\n"
#define TO "To: <sip:alice@example.test>\r\n"
#define CALL_ID "Call-ID: c1@192.0.2.9\r\n"
#define CSEQ(method) "CSeq: 7 " method "\r\n"
#define START(method) method " sip:alice@example.test SIP/2.0\r\n"
#define COMMON(method) VIA FROM TO CALL_ID CSEQ(method)
#define REQUEST(method, more) START(method) COMMON(method) more "\r\n"
#define RESPONSE(line, more) line "\r\n" COMMON("NOTIFY") more "\r\n"

#endif
