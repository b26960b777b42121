/* msg.h - as much SIP as a load generator needs: requests written from few numbers, messages
 * scanned in one pass.
 *
 * It trusts the server: what a message of the server lacks is told as absent, but no more is
 * checked.  Names carry their numbers, so nothing has to be looked up: the Call-ID of subscription
 * 17 is s17-RUN@..., that of publisher 3 is p3-RUN@... */
#ifndef BENCH_MSG_H
#define BENCH_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    const char *p;
    size_t n;
};

/* Appends without a bound of its own: messages are shorter than IO_OCTETS by their construction. */
struct out {
    char *start, *p;
};

void out_text(struct out *out, struct text text);
void out_number(struct out *out, uint64_t n);
/** Ten digits, with leading zeros. */
void out_number10(struct out *out, uint64_t n);
/** An IPv4 address in network byte order, with dots. */
void out_ip(struct out *out, uint32_t ip);
#define OUT(out, literal) out_text((out), (struct text){ "" literal, sizeof(literal) - 1 })

struct msg {
    int status;  /* 0: a request */
    char method; /* of a request: N for NOTIFY, otherwise its first letter; of a response: that of
                    its CSeq */
    char kind;   /* s, p, or 0 when the Call-ID is none of ours */
    uint32_t index; /* of the subscription or publisher */
    uint32_t cseq;
    bool terminated; /* Subscription-State */
    uint32_t round;  /* number of the event state, 0: none in the body */
    struct text to_tag, from_tag, contact, etag, nonce, body;
};

/**
 * Scans a message; with `answer` (room of IO_OCTETS) it also writes the 200 to a request there.
 * @param run  what the Call-IDs of this run carry behind the dash
 * @return octets of the answer; 0 for a response and for what is not SIP
 */
size_t msg_scan(const char *p, size_t n, uint32_t run, char *answer, struct msg *ret_msg);

/* What a document is made of; its length is the same for every round. */
enum msg_body { MSG_PIDF, MSG_SUMMARY, MSG_OPAQUE };
/** Writes the document of a resource; its state number is found again by msg_scan. */
void msg_document(struct out *out, enum msg_body body, uint32_t resource, uint32_t round);
struct text msg_type(enum msg_body body);

#endif
