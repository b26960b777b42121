/* flow_pcapng.c - messages as packets: for Wireshark in a pcapng file, for a capture server as HEP.
 *
 * What came over TCP, TLS or WebSocket is one packet for each message as well: UDP in a raw IP
 * frame that never was on a wire.  What the server decided on the way to a message is the packet's
 * comment.  pcapng: draft-ietf-opsawg-pcapng; HEP version 3: Homer's document of chunks. */
#include <string.h>

#include "herald/flow.h"

#define IP4_HEAD 20u
#define IP6_HEAD 40u
#define UDP_HEAD 8u
#define UDP_MOST 65535u

/* --- numbers ---------------------------------------------------------------------------------- */

static void
put16(struct hd_str *out, uint32_t value) /* as on the wire */
{
    hd_str_add_char(out, (char)(value >> 8));
    hd_str_add_char(out, (char)value);
}

static void
put32(struct hd_str *out, uint32_t value)
{
    put16(out, value >> 16);
    put16(out, value & 0xffff);
}

/* Of this machine, which the section's magic tells. */
static void
own16(struct hd_str *out, uint16_t value)
{
    hd_str_add(out, hd_slice((const char *)&value, sizeof(value)));
}

static void
own32(struct hd_str *out, uint32_t value)
{
    hd_str_add(out, hd_slice((const char *)&value, sizeof(value)));
}

static void
pad4(struct hd_str *out, size_t n)
{
    for (; n % 4; n++)
        hd_str_add_char(out, 0);
}

/* --- frames ----------------------------------------------------------------------------------- */

/* RFC 1071: 16-bit words, the last octet filled up. */
static uint32_t
sum_octets(struct hd_slice octets, uint32_t sum)
{
    for (size_t i = 0; i + 1 < octets.n; i += 2)
        sum += (uint32_t)((unsigned char)octets.p[i] << 8 | (unsigned char)octets.p[i + 1]);
    if (octets.n % 2)
        sum += (uint32_t)(unsigned char)octets.p[octets.n - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void
set16(struct hd_str *out, size_t at, uint32_t value)
{
    if (out->err)
        return;
    out->p[at] = (char)(value >> 8);
    out->p[at + 1] = (char)value;
}

static void
put_ip4(struct hd_str *out, const struct hd_addr *from, const struct hd_addr *to, size_t udp_n)
{
    const size_t at = out->n;

    hd_str_add_char(out, 0x45);
    hd_str_add_char(out, 0);
    put16(out, (uint32_t)(IP4_HEAD + udp_n));
    put32(out, 0);
    hd_str_add_char(out, 64);
    hd_str_add_char(out, 17);
    put16(out, 0);
    hd_str_add(out, hd_slice((const char *)from->ip, 4));
    hd_str_add(out, hd_slice((const char *)to->ip, 4));
    if (!out->err)
        set16(out, at + 10, ~sum_octets(hd_slice(out->p + at, IP4_HEAD), 0));
}

static void
put_ip6(struct hd_str *out, const struct hd_addr *from, const struct hd_addr *to, size_t udp_n)
{
    put32(out, 6u << 28);
    put16(out, (uint32_t)udp_n);
    hd_str_add_char(out, 17);
    hd_str_add_char(out, 64);
    hd_str_add(out, hd_slice((const char *)from->ip, 16));
    hd_str_add(out, hd_slice((const char *)to->ip, 16));
}

/* The frame of a message; returns how long it would be if all of it were there. */
static size_t
put_frame(struct hd_str *out, const struct flow_event *event)
{
    const struct hd_addr *from = event->out ? &event->local : &event->remote;
    const struct hd_addr *to = event->out ? &event->remote : &event->local;
    const size_t ip_n = from->family == 6 ? IP6_HEAD : IP4_HEAD, begin = out->n;
    const size_t most = UDP_MOST - UDP_HEAD - (from->family == 6 ? 0 : IP4_HEAD) - 1;
    const size_t n = event->octets.n < most ? event->octets.n : most;
    const size_t missing = event->cut || n < event->octets.n ? 1 : 0; /* shown as cut, not as bad */
    const size_t udp_n = UDP_HEAD + n + missing;

    if (from->family == 6)
        put_ip6(out, from, to, udp_n);
    else
        put_ip4(out, from, to, udp_n);
    const size_t udp = out->n;
    put16(out, from->port);
    put16(out, to->port);
    put16(out, (uint32_t)udp_n);
    put16(out, 0);
    hd_str_add(out, hd_slice(event->octets.p, n));
    if (!out->err && !missing) {
        uint32_t sum = sum_octets(hd_slice((const char *)from->ip, from->family == 6 ? 16 : 4), 17);
        sum = sum_octets(hd_slice((const char *)to->ip, from->family == 6 ? 16 : 4), sum);
        sum = sum_octets(hd_slice(out->p + udp, out->n - udp), sum + (uint32_t)udp_n) ^ 0xffff;
        set16(out, udp + 6, sum ? sum : 0xffff);
    }
    HD_ASSERT(out->err || out->n - begin == ip_n + udp_n - missing);
    return ip_n + udp_n;
}

/* --- pcapng ----------------------------------------------------------------------------------- */

/* A block: its type, room for its length, which block_end() fills in and repeats. */
static size_t
block_begin(struct hd_str *out, uint32_t type)
{
    const size_t at = out->n;

    own32(out, type);
    own32(out, 0);
    return at;
}

static void
block_end(struct hd_str *out, size_t at)
{
    const uint32_t n = (uint32_t)(out->n - at + 4);

    own32(out, n);
    if (!out->err)
        memcpy(out->p + at + 4, &n, sizeof(n));
}

static void
put_option(struct hd_str *out, uint16_t code, struct hd_slice value)
{
    own16(out, code);
    own16(out, (uint16_t)value.n);
    hd_str_add(out, value);
    pad4(out, value.n);
}

static void
put_packet(struct hd_str *out, const struct flow_event *event, struct hd_slice comment)
{
    const size_t block = block_begin(out, 6);
    const uint32_t direction = event->out ? 2 : 1;

    own32(out, 0);
    own32(out, (uint32_t)((uint64_t)event->at_us >> 32));
    own32(out, (uint32_t)event->at_us);
    const size_t lengths = out->n;
    own32(out, 0);
    own32(out, 0);
    const size_t frame = out->n;
    const uint32_t whole = (uint32_t)put_frame(out, event);
    const uint32_t here = (uint32_t)(out->n - frame);
    pad4(out, here);
    if (!out->err) {
        memcpy(out->p + lengths, &here, sizeof(here));
        memcpy(out->p + lengths + 4, &whole, sizeof(whole));
    }
    if (comment.n)
        put_option(out, 1, comment);
    put_option(out, 2, hd_slice((const char *)&direction, sizeof(direction)));
    put_option(out, 0, hd_slice(NULL, 0));
    block_end(out, block);
}

/* What stands in a packet's comment: at most what an option holds. */
static void
add_comment(struct hd_str *comment, struct hd_slice words)
{
    if (comment->n + words.n > 8000)
        return;
    if (comment->n)
        hd_str_add_char(comment, '\n');
    hd_str_add(comment, words);
}

static void
put_section(struct hd_str *out)
{
    size_t block = block_begin(out, 0x0a0d0d0a);

    own32(out, 0x1a2b3c4d);
    own16(out, 1);
    own16(out, 0);
    own32(out, UINT32_MAX); /* the section's length is not said */
    own32(out, UINT32_MAX);
    put_option(out, 4, HD_LIT("herald " HERALD_VERSION));
    put_option(out, 0, hd_slice(NULL, 0));
    block_end(out, block);
    block = block_begin(out, 1);
    own16(out, 101); /* LINKTYPE_RAW: IPv4 or IPv6 */
    own16(out, 0);
    own32(out, 0);
    put_option(out, 2, HD_LIT("herald"));
    put_option(out, 0, hd_slice(NULL, 0));
    block_end(out, block);
}

void
flow_pcapng(const struct flow *flow, struct hd_str *out)
{
    struct hd_str comment = { 0 };

    put_section(out);
    for (size_t i = 0; i < flow->n; i++) {
        const struct flow_event *event = &flow->events[i];

        if (event->kind != FLOW_MESSAGE) {
            /* A refusal is said by the packet. */
            if (!event->now && (event->kind == FLOW_DECISION || strcmp(event->subject, "refused")))
                add_comment(&comment, hd_slice_str(event->words));
            continue;
        }
        if (event->transport != HD_UDP) {
            add_comment(&comment, HD_LIT("it came over"));
            comment.n -= event->out ? strlen("it came over") : 0;
            if (event->out)
                hd_str_add(&comment, HD_LIT("it went over"));
            hd_str_add_char(&comment, ' ');
            hd_str_add(&comment, hd_transport_name(event->transport));
        }
        put_packet(out, event, hd_str_slice(&comment));
        hd_str_clear(&comment);
    }
    if (comment.err && !out->err)
        out->err = comment.err;
    hd_str_done(&comment);
}

/* --- HEP version 3 ---------------------------------------------------------------------------- */

static void
put_chunk(struct hd_str *out, uint32_t type, struct hd_slice value)
{
    put16(out, 0); /* of no vendor */
    put16(out, type);
    put16(out, (uint32_t)(6 + value.n));
    hd_str_add(out, value);
}

static void
put_chunk32(struct hd_str *out, uint32_t type, uint32_t value)
{
    const unsigned char octets[] = { (unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                     (unsigned char)(value >> 8), (unsigned char)value };

    put_chunk(out, type, hd_slice((const char *)octets, 4));
}

static void
put_chunk16(struct hd_str *out, uint32_t type, uint32_t value)
{
    const unsigned char octets[] = { (unsigned char)(value >> 8), (unsigned char)value };

    put_chunk(out, type, hd_slice((const char *)octets, 2));
}

static void
put_chunk8(struct hd_str *out, uint32_t type, uint32_t value)
{
    const char octet = (char)value;

    put_chunk(out, type, hd_slice(&octet, 1));
}

bool
flow_hep(const struct flow_event *event, uint32_t agent, struct hd_str *out)
{
    const struct hd_addr *from = event->out ? &event->local : &event->remote;
    const struct hd_addr *to = event->out ? &event->remote : &event->local;
    const bool six = from->family == 6;
    const size_t at = out->n;

    if (event->octets.n > FLOW_HEP_MOST)
        return false;
    hd_str_add(out, HD_LIT("HEP3"));
    put16(out, 0);
    put_chunk8(out, 1, six ? 10 : 2);
    put_chunk8(out, 2, event->transport == HD_UDP ? 17 : 6);
    put_chunk(out, six ? 5 : 3, hd_slice((const char *)from->ip, six ? 16 : 4));
    put_chunk(out, six ? 6 : 4, hd_slice((const char *)to->ip, six ? 16 : 4));
    put_chunk16(out, 7, from->port);
    put_chunk16(out, 8, to->port);
    put_chunk32(out, 9, (uint32_t)(event->at_us / 1000000));
    put_chunk32(out, 10, (uint32_t)(event->at_us % 1000000));
    put_chunk8(out, 11, 1); /* SIP */
    put_chunk32(out, 12, agent);
    put_chunk(out, 15, event->octets);
    set16(out, at + 4, (uint32_t)(out->n - at));
    return true;
}
