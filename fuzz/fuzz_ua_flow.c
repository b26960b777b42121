/* fuzz_ua_flow.c - what the daemon's recorder tells, in whatever shape: the tool's pictures and
 * files are well formed.  The pcapng is walked block by block and each frame by its lengths, HEP
 * chunk by chunk; what the input says comes out of them again. */
#include "fuzz.h"

#include <stdio.h>

#include "herald/flow.h"

/* A number of the file, in this machine's order. */
static uint32_t
own32(struct hd_slice file, size_t at)
{
    uint32_t value;

    FUZZ_CHECK(at + 4 <= file.n);
    memcpy(&value, file.p + at, sizeof(value));
    return value;
}

static uint32_t
net16(struct hd_slice octets, size_t at)
{
    FUZZ_CHECK(at + 2 <= octets.n);
    return (uint32_t)((unsigned char)octets.p[at] << 8 | (unsigned char)octets.p[at + 1]);
}

static void
check_frame(struct hd_slice frame, uint32_t whole, const struct flow_event *event)
{
    const bool six = (unsigned char)frame.p[0] >> 4 == 6;
    const size_t udp = six ? 40 : 20;

    FUZZ_CHECK(frame.n >= udp + 8 && whole >= frame.n);
    FUZZ_CHECK(six ? net16(frame, 4) + 40 == whole : net16(frame, 2) == whole);
    FUZZ_CHECK(net16(frame, udp + 4) + udp == whole);
    FUZZ_CHECK(frame.n - udp - 8 <= event->octets.n);
    FUZZ_CHECK(memcmp(frame.p + udp + 8, event->octets.p, frame.n - udp - 8) == 0);
    FUZZ_CHECK((whole == frame.n) == (!event->cut && frame.n - udp - 8 == event->octets.n));
}

static void
check_pcapng(const struct flow *flow)
{
    struct hd_str out = { 0 };
    size_t at = 0, i = 0;

    flow_pcapng(flow, &out);
    const struct hd_slice file = hd_str_slice(&out);
    while (at < file.n) {
        const uint32_t type = own32(file, at), n = own32(file, at + 4);
        FUZZ_CHECK(n >= 12 && n % 4 == 0 && n <= file.n - at);
        FUZZ_CHECK(own32(file, at + n - 4) == n);
        if (type == 6) {
            while (i < flow->n && flow->events[i].kind != FLOW_MESSAGE)
                i++;
            FUZZ_CHECK(i < flow->n);
            const uint32_t here = own32(file, at + 20);
            FUZZ_CHECK(28 + here <= n);
            check_frame(hd_slice(file.p + at + 28, here), own32(file, at + 24), &flow->events[i++]);
        }
        at += n;
    }
    while (i < flow->n && flow->events[i].kind != FLOW_MESSAGE)
        i++;
    FUZZ_CHECK(i == flow->n);
    hd_str_done(&out);
}

static void
check_hep(const struct flow_event *event)
{
    struct hd_str out = { 0 };

    if (flow_hep(event, 1, &out)) {
        const struct hd_slice packet = hd_str_slice(&out);
        bool octets = false;
        FUZZ_CHECK(net16(packet, 4) == packet.n);
        for (size_t at = 6; at < packet.n;) {
            const uint32_t n = net16(packet, at + 4);
            FUZZ_CHECK(n >= 6 && n <= packet.n - at);
            if (net16(packet, at + 2) == 15) {
                FUZZ_CHECK(hd_slice_eq(hd_slice(packet.p + at + 6, n - 6), event->octets));
                octets = true;
            }
            at += n;
        }
        FUZZ_CHECK(octets);
    } else {
        FUZZ_CHECK(event->octets.n > FLOW_HEP_MOST);
    }
    hd_str_done(&out);
}

/* No control character gets to a terminal. */
static void
check_ladder(const struct flow *flow, bool stable)
{
    struct flow_parties parties = { 0 };
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);

    FUZZ_CHECK(to != NULL);
    flow_ladder(flow, 0, &parties,
                &(struct flow_draw){ .full = true, .stable = stable, .to = to, .capture = -1 });
    fclose(to);
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK((unsigned char)text[i] >= ' ' || text[i] == '\n' || text[i] == '\t');
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flow flow = { 0 };
    struct hd_str scenario = { 0 };
    json_t *json = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);

    if (json && flow_add(&flow, json) == HD_OK) {
        check_pcapng(&flow);
        for (size_t i = 0; i < flow.n; i++)
            if (flow.events[i].kind == FLOW_MESSAGE)
                check_hep(&flow.events[i]);
        check_ladder(&flow, false);
        FUZZ_CHECK(flow_play(&flow, json_object_get(json, "packages"), &scenario) != HD_ENOMEM);
        FUZZ_CHECK(flow_stable(&flow) == HD_OK);
        check_ladder(&flow, true);
    }
    hd_str_done(&scenario);
    flow_done(&flow);
    json_decref(json);
    return 0;
}
