/* fuzz_net_ws.c - the request for a WebSocket, and its frames: what is read from a part is read
 * from the whole as well, a head is never believed beyond what it may say, and what is UTF-8 is
 * what a plain decoder says.  The first octet chooses. */
#include "fuzz.h"

#include "net/ws.h"

/* RFC 3629, as slow as it is plain. */
static bool
is_utf8(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned more = p[i] < 0x80    ? 0
                        : p[i] >= 0xf0 ? 3
                        : p[i] >= 0xe0 ? 2
                        : p[i] >= 0xc0 ? 1
                                       : 9;
        static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
        uint32_t value = more == 0 ? p[i] : p[i] & (0x3fu >> more);

        if (more > 3 || more > n - 1 - i || p[i] >= 0xf8)
            return false;
        for (unsigned k = 1; k <= more; k++) {
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
            value = value << 6 | (p[i + k] & 0x3f);
        }
        if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return false;
        i += 1 + more;
    }
    return true;
}

static void
check_upgrade(struct hd_slice text)
{
    static const struct hd_slice origins[] = { { "https://a.test", 14 } };
    char answer[NET_WS_ANSWER_MAX];
    size_t len = 0, n = 0;
    enum hd_err err = net_ws_upgrade(text, origins, 1, &len, answer, &n);

    FUZZ_CHECK(err == HD_OK || err == HD_EAGAIN || err == HD_EDENIED);
    if (err == HD_EAGAIN)
        return;
    FUZZ_CHECK(n > 0 && n <= sizeof(answer));
    FUZZ_CHECK(hd_slice_starts(hd_slice(answer, n), HD_LIT("HTTP/1.1 ")));
    if (err)
        return;
    FUZZ_CHECK(len >= 4 && len <= text.n && memcmp(text.p + len - 4, "\r\n\r\n", 4) == 0);
    FUZZ_CHECK(net_ws_upgrade(hd_slice(text.p, len), origins, 1, &len, answer, &n) == HD_OK);
    FUZZ_CHECK(net_ws_upgrade(hd_slice(text.p, len - 1), origins, 1, &len, answer, &n) ==
               HD_EAGAIN);
}

static void
check_frames(struct hd_slice octets, char *p)
{
    const size_t max = 70000;
    struct net_ws_frame frame, again;

    while (octets.n > 0 && net_ws_frame_read(octets, max, &frame) == HD_OK) {
        FUZZ_CHECK(frame.head >= 6 && frame.head <= 14 && frame.head <= octets.n && frame.n <= max);
        FUZZ_CHECK(frame.fin || frame.opcode < NET_WS_CLOSE);
        FUZZ_CHECK(net_ws_frame_read(hd_slice(octets.p, frame.head), max, &again) == HD_OK);
        FUZZ_CHECK(again.head == frame.head && again.n == frame.n);
        for (size_t n = 0; n < frame.head; n++)
            FUZZ_CHECK(net_ws_frame_read(hd_slice(octets.p, n), max, &again) == HD_EAGAIN);
        if (frame.n > octets.n - frame.head)
            return;
        net_ws_mask(p + frame.head, frame.n, frame.mask);
        (void)net_ws_close_ok(hd_slice(p + frame.head, frame.n));
        p += frame.head + frame.n;
        octets = hd_slice_from(octets, frame.head + frame.n);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hd_slice octets;
    char *p;

    if (size == 0)
        return 0;
    octets = fuzz_copy(data + 1, size - 1, &p);
    switch (data[0] % 3) {
    case 0:
        check_upgrade(octets);
        break;
    case 1:
        check_frames(octets, p);
        break;
    default:
        FUZZ_CHECK(net_ws_is_utf8(octets) == is_utf8((const unsigned char *)octets.p, octets.n));
        break;
    }
    free(p);
    return 0;
}
