/* wire.c - what a NOTIFY and its 200 cost when nothing is decided: the floor of every figure.
 *
 *   wire IP:PORT
 *
 * A server that sends datagrams the size of a NOTIFY to the phones of bench/load.c, so many at a
 * time, and takes the answers, in the system calls and batches of heraldd: one recvmmsg of 64 and
 * sendmmsg of 128 between two looks at the socket (epoll_wait).  "WIRE count phones window run "
 * begins; a second one begins anew.  It ends by a signal. */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "io.h"
#include "msg.h"

#define READ_BATCH 64
#define RECEIVE_BUFFER (4 << 20)
#define LOST_MS 300 /* nothing arrives for so long: what is out was lost */

struct wire {
    struct io *io;
    struct io_peer phone; /* whoever asked: its port is that of all */
    uint32_t phones, window, run, out;
    uint64_t count, sent;
};

static void
send_one(struct wire *wire)
{
    uint32_t phone = (uint32_t)(wire->sent % wire->phones);
    uint32_t ip =
        htonl(0x7f010001u + (phone / 62500 << 16) + (phone / 250 % 250 << 8) + phone % 250);
    char *room = io_reserve(wire->io);
    struct out o = { room, room }, *out = &o;

    OUT(out, "NOTIFY sip:w");
    out_number(out, phone);
    OUT(out, "@");
    out_ip(out, ip);
    OUT(out, ":17000 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:18060;rport;branch=z9hG4bK");
    out_number10(out, wire->sent);
    OUT(out,
        "0123456789abcdef\r\nMax-Forwards: 70\r\nFrom: <sip:r0@bench.test>;tag=0123456789abcdef"
        "\r\nTo: \"Desk\" <sip:w0@bench.test>;tag=f0000000000\r\nCall-ID: s");
    out_number(out, phone);
    OUT(out, "-");
    out_number(out, wire->run);
    OUT(out, "@127.1.0.1\r\nCSeq: ");
    out_number(out, wire->sent / wire->phones + 1);
    OUT(out, " NOTIFY\r\nContact: <sip:127.0.0.1:18060>\r\nEvent: presence\r\n"
             "Subscription-State: active;expires=3600\r\nContent-Type: application/pidf+xml\r\n"
             "Content-Length: 560\r\n\r\n");
    msg_document(out, MSG_PIDF, 0, 1);
    io_commit(wire->io, (size_t)(out->p - out->start), 0, (struct io_peer){ ip, wire->phone.port });
    wire->sent++;
    wire->out++;
}

static void
take(struct wire *wire, const struct io_datagram *d)
{
    char line[128];
    unsigned long long count;
    unsigned phones, window, run;

    if (d->n < 5 || memcmp(d->p, "WIRE ", 5) != 0) {
        if (wire->out > 0)
            wire->out--;
        return;
    }
    memcpy(line, d->p, d->n < sizeof(line) ? d->n : sizeof(line) - 1);
    line[d->n < sizeof(line) ? d->n : sizeof(line) - 1] = '\0';
    if (sscanf(line, "WIRE %llu %u %u %u", &count, &phones, &window, &run) != 4 || phones == 0)
        return;
    wire->phone = d->from;
    wire->phones = phones;
    wire->window = window;
    wire->run = run;
    wire->count = count;
    wire->sent = 0;
    wire->out = 0;
}

static void
serve(struct wire *wire)
{
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };

    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, io_fd(wire->io), &event) != 0)
        exit(1);
    for (;;) {
        bool waiting = wire->out >= wire->window || wire->sent >= wire->count;
        bool idle = waiting && wire->out == 0;
        int ready = epoll_wait(poll, &event, 1, idle ? -1 : waiting ? LOST_MS : 0);
        unsigned n = ready > 0 ? io_read(wire->io, READ_BATCH) : 0;

        if (ready == 0 && waiting)
            wire->out = 0;
        for (unsigned i = 0; i < n; i++) {
            struct io_datagram d = io_datagram(wire->io, i);
            take(wire, &d);
        }
        for (unsigned i = 0; i < IO_BATCH && wire->out < wire->window && wire->sent < wire->count;
             i++)
            send_one(wire);
        io_flush(wire->io);
    }
}

int
main(int argc, char **argv)
{
    static struct wire wire;
    char *colon = argc == 2 ? strchr(argv[1], ':') : NULL;
    struct in_addr ip;

    if (!colon) {
        fputs("usage: wire IP:PORT\n", stderr);
        return 2;
    }
    *colon = '\0';
    if (inet_pton(AF_INET, argv[1], &ip) != 1) {
        fprintf(stderr, "wire: %s is not an IPv4 address\n", argv[1]);
        return 2;
    }
    wire.io = io_new((struct io_peer){ ip.s_addr, htons((uint16_t)strtoul(colon + 1, NULL, 10)) },
                     false, RECEIVE_BUFFER);
    if (!wire.io) {
        perror("wire");
        return 1;
    }
    serve(&wire);
    return 0;
}
