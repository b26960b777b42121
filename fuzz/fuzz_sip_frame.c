/* fuzz_sip_frame.c - framing on a stream: what is found does not depend on how the octets arrive,
 * and what is cut is what the parser takes. */
#include "fuzz.h"

#include "sip/msg.h"

#define MAX_BODY 4096

/* A verdict that was given on a part of the stream stands when more has come. */
static void
check_prefixes(struct hd_slice stream, enum sip_frame whole, size_t whole_len)
{
    const size_t step = stream.n / 64 + 1;
    for (size_t n = 0; n < stream.n; n += step) {
        size_t len;
        const enum sip_frame part = sip_frame_find(hd_slice(stream.p, n), MAX_BODY, &len);
        FUZZ_CHECK(part == SIP_FRAME_MORE || (part == whole && len == whole_len));
    }
    FUZZ_CHECK(whole_len <= stream.n);
}

static void
check_message(struct hd_slice octets)
{
    char memory[SIP_MAX_HEADERS * sizeof(struct sip_header) + 16];
    struct hd_arena arena;
    struct sip_msg msg, datagram;
    struct sip_fault fault;
    hd_arena_init(&arena, memory, sizeof(memory));
    const enum hd_err err = sip_msg_parse(octets, true, &arena, &msg, &fault);
    const struct hd_slice body = msg.body;
    if (err)
        return;
    hd_arena_init(&arena, memory, sizeof(memory));
    FUZZ_CHECK(sip_msg_parse(octets, false, &arena, &datagram, &fault) == HD_OK);
    FUZZ_CHECK(hd_slice_eq(datagram.body, body));
    FUZZ_CHECK(body.p + body.n == octets.p + octets.n);
    FUZZ_CHECK(body.n <= MAX_BODY);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    if (size > 65535)
        return 0;
    struct hd_slice stream = fuzz_copy(data, size, &copy);
    for (unsigned frames = 0; stream.n && frames < 64; frames++) {
        size_t len;
        const enum sip_frame frame = sip_frame_find(stream, MAX_BODY, &len);
        check_prefixes(stream, frame, len);
        if (frame == SIP_FRAME_MESSAGE)
            check_message(hd_slice(stream.p, len));
        if (frame != SIP_FRAME_MESSAGE && frame != SIP_FRAME_PING && frame != SIP_FRAME_SKIP)
            break;
        FUZZ_CHECK(len > 0);
        stream = hd_slice_from(stream, len);
    }
    free(copy);
    return 0;
}
