/* fake.h - the other side of a client in tests: keeps what the client sent, answers it, and sends
 * requests of its own, on a clock that the test moves. */
#ifndef HERALD_FAKE_H
#define HERALD_FAKE_H

#include "base/arena.h"
#include "herald/client.h"

#define FAKE_SENT 256

struct fake_sent {
    struct hd_flow flow;
    unsigned again;
    uint64_t owner;
    char octets[8192];
    size_t n;
};

struct fake {
    struct ua_client *client;
    struct hd_rng rng;
    uint64_t seed, now_ms;
    struct hd_addr local, server;
    enum hd_transport transport;
    struct fake_sent *sent; /* FAKE_SENT of them */
    size_t n_sent;
    size_t seen; /* messages that fake_request has returned */
    uint32_t branches;
    /* the message that was parsed last */
    struct sip_msg msg;
    _Alignas(16) char scratch[16384];
};

/** A client at 192.0.2.9:5062 with the server 192.0.2.1:5060; username NULL: no credentials. */
void fake_init(struct fake *fake, enum hd_transport transport, const char *username,
               const char *password);
void fake_done(struct fake *fake);
/** Moves the clock in steps of what the client asks for. */
void fake_pass(struct fake *fake, uint64_t ms);
/** Message i that the client sent, parsed; asserts that it is there. */
const struct sip_msg *fake_sent(struct fake *fake, size_t i);
/** The oldest message not yet looked at; asserts that there is one. */
const struct sip_msg *fake_next(struct fake *fake);
/** Asserts that the client sent nothing that was not looked at. */
void fake_quiet(struct fake *fake);
/** Answers message i: status line, the headers that are copied, tag in To, then headers (each with
 * CRLF) and no body. */
void fake_answer(struct fake *fake, size_t i, unsigned status, const char *headers);
/** Answers the message that fake_next returned last. */
void fake_reply(struct fake *fake, unsigned status, const char *headers);

/* A request of the server. */
struct fake_notify {
    const struct sip_msg
        *subscribe;       /* whose dialog: a message returned by fake_sent, still valid */
    const char *from_tag; /* NULL: "srv" */
    uint32_t cseq;
    uint32_t branch;     /* 0: a new one */
    const char *event;   /* NULL: "presence" */
    const char *state;   /* Subscription-State; NULL: left out */
    const char *headers; /* further ones, or NULL */
    const char *body;    /* or NULL */
    const char *call_id; /* NULL: that of subscribe */
};
/** Delivers it; returns its branch number. */
uint32_t fake_notify(struct fake *fake, const struct fake_notify *notify);
/** Delivers octets as they are. */
void fake_deliver(struct fake *fake, const char *octets);

/** The value of a header as a C string in a buffer of the fake's (overwritten by the next 4 calls).
 */
const char *fake_value(const struct sip_msg *msg, const char *name);

#endif
