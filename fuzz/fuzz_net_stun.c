/* fuzz_net_stun.c - STUN: an answer is STUN itself, no request, and small against what was asked.
 */
#include "fuzz.h"

#include "net/stun.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hd_addr sources[] = {
        { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = 4 },
        { .ip = { 0x20, 1, 0xd, 0xb8 }, .port = 65535, .family = 6 },
    };
    char *p, ret[NET_STUN_ANSWER_MAX], again[NET_STUN_ANSWER_MAX];
    struct hd_slice octets = fuzz_copy(data, size, &p);

    for (size_t i = 0; i < HD_ARRAY_LEN(sources); i++) {
        size_t n = net_stun_answer(octets, &sources[i], ret);

        FUZZ_CHECK(n <= sizeof(ret) && n <= 3 * octets.n);
        FUZZ_CHECK(n == 0 || (net_stun_is(octets) && net_stun_is(hd_slice(ret, n)) && n % 4 == 0));
        FUZZ_CHECK(n == 0 || memcmp(ret + 4, octets.p + 4, 16) == 0);
        FUZZ_CHECK(net_stun_answer(hd_slice(ret, n), &sources[i], again) == 0);
    }
    free(p);
    return 0;
}
