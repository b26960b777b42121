/* parse.c - what reading one SUBSCRIBE costs, without a socket: a message of 900 octets as a desk
 * phone behind a proxy sends it, parsed so many times in a row.
 *
 *   parse COUNT
 *
 * Prints one line of JSON.  The figure is the least of ten parts of the count, in CPU time. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sip/msg.h"

#define ROOM 8192
#define PARTS 10

static const char message[] =
    "SUBSCRIBE sip:2001@example.test SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK6f2a.4b7d2f11.0\r\n"
    "Via: SIP/2.0/UDP 198.51.100.117:5062;received=203.0.113.9;rport=40212;"
    "branch=z9hG4bK3e5c9d2a71b04f68\r\n"
    "Record-Route: <sip:192.0.2.20;lr;ftag=8a1c0b2f4d>\r\n"
    "From: \"Front Desk\" <sip:2002@example.test>;tag=8a1c0b2f4d\r\n"
    "To: <sip:2001@example.test>\r\n"
    "Call-ID: 0f7b1a62-3d94-4c55-9b0e-77a2c1d4e8f3@198.51.100.117\r\n"
    "CSeq: 20731 SUBSCRIBE\r\n"
    "Contact: "
    "<sip:2002@198.51.100.117:5062;transport=udp>;+sip.instance=\"<urn:uuid:0a1b2c3d>\"\r\n"
    "Max-Forwards: 69\r\n"
    "Event: presence\r\n"
    "Accept: application/pidf+xml, multipart/related, application/rlmi+xml\r\n"
    "Supported: replaces, timer, eventlist, outbound\r\n"
    "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, UPDATE\r\n"
    "Allow-Events: presence, dialog, message-summary\r\n"
    "User-Agent: Acme Desk 480 4.2.1.0 (0004f2)\r\n"
    "Expires: 3600\r\n"
    "Content-Length: 0\r\n"
    "\r\n";

static double
cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of one parse, the mean of n. */
static double
parse_many(unsigned long n)
{
    static _Alignas(16) char room[ROOM];
    double begun = cpu_ns();

    for (unsigned long i = 0; i < n; i++) {
        struct hd_arena arena;
        struct sip_msg msg;
        struct sip_fault fault;

        hd_arena_init(&arena, room, sizeof(room));
        if (sip_msg_parse_by_branch(hd_slice(message, sizeof(message) - 1), false, &arena, &msg,
                                    &fault)) {
            fprintf(stderr, "parse: refused: %s\n", fault.reason);
            exit(1);
        }
    }
    return (cpu_ns() - begun) / (double)n;
}

int
main(int argc, char **argv)
{
    unsigned long n = argc == 2 ? strtoul(argv[1], NULL, 10) / PARTS : 0;
    double best = 0;

    if (n == 0) {
        fprintf(stderr, "usage: parse COUNT   (%d at least)\n", PARTS);
        return 2;
    }
    for (unsigned part = 0; part < PARTS; part++) {
        double ns = parse_many(n);
        if (part == 0 || ns < best)
            best = ns;
    }
    printf("{\"octets\":%zu,\"count\":%lu,\"ns\":%.1f}\n", sizeof(message) - 1, n * PARTS, best);
    return 0;
}
