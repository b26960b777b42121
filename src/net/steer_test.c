/* steer_test.c - the program run by a small machine of the test's own, on packets that loopback
 * cannot make; what the kernel does with it is in net_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/steer.h"

#include "base/addr.h"
#include "base/id.h"
#include "base/rng.h"

struct packet {
    uint8_t octets[128]; /* from the network header on */
    size_t n;
};

static uint32_t
load(const struct packet *packet, uint32_t offset, unsigned size)
{
    uint32_t at = offset - (uint32_t)SKF_NET_OFF, value = 0;

    assert_true(at + size <= packet->n);
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | packet->octets[at + i];
    return value;
}

static unsigned
load_size(uint16_t code)
{
    return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* The instructions that the program uses, as the kernel's documentation has them. */
static uint32_t
run(const struct sock_filter *code, unsigned n, const struct packet *packet)
{
    uint32_t a = 0, x = 0;

    for (unsigned pc = 0; pc < n; pc++) {
        const struct sock_filter *f = &code[pc];
        uint32_t operand = BPF_SRC(f->code) == BPF_X ? x : f->k;
        switch (BPF_CLASS(f->code)) {
        case BPF_LD:
            a = load(packet, f->k + (BPF_MODE(f->code) == BPF_IND ? x : 0), load_size(f->code));
            break;
        case BPF_LDX:
            assert_int_equal(BPF_MODE(f->code), BPF_MSH);
            x = 4 * (load(packet, f->k, 1) & 15);
            break;
        case BPF_ALU:
            if (BPF_OP(f->code) == BPF_RSH)
                a >>= operand;
            else if (BPF_OP(f->code) == BPF_MUL)
                a *= operand;
            else if (BPF_OP(f->code) == BPF_XOR)
                a ^= operand;
            else
                fail();
            break;
        case BPF_JMP:
            if (BPF_OP(f->code) == BPF_JA)
                pc += f->k;
            else
                pc += a == f->k ? f->jt : f->jf;
            break;
        case BPF_MISC:
            x = a;
            break;
        case BPF_RET:
            return BPF_RVAL(f->code) == BPF_A ? a : f->k;
        default:
            fail();
        }
    }
    fail();
    return 0;
}

/* A datagram with options octets between the address and the UDP header. */
static struct packet
make_packet(const struct hd_addr *source, unsigned options)
{
    struct packet packet = { .n = 0 };
    size_t head;

    memset(packet.octets, 0xa5, sizeof(packet.octets));
    if (source->family == 4) {
        head = 20 + options;
        packet.octets[0] = (uint8_t)(0x40 | head / 4);
        memcpy(packet.octets + 12, source->ip, 4);
    } else {
        head = 40;
        packet.octets[0] = 0x60;
        packet.octets[6] = 17;
        memcpy(packet.octets + 8, source->ip, 16);
    }
    packet.octets[head] = (uint8_t)(source->port >> 8);
    packet.octets[head + 1] = (uint8_t)source->port;
    packet.n = head + 8;
    return packet;
}

static struct hd_addr
any_addr(struct hd_rng *rng, uint8_t family)
{
    struct hd_addr addr = { .family = family };

    hd_rng_octets(rng, addr.ip, family == 4 ? 4 : 16);
    addr.port = (uint16_t)hd_rng_below(rng, 65536);
    return addr;
}

static void
program_chooses_the_shard_that_the_bucket_says(void **state)
{
    static const unsigned shards[] = { 1, 2, 3, 7, 254 };
    uint64_t seed = 20;
    struct hd_rng rng;

    (void)state;
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    for (size_t s = 0; s < HD_ARRAY_LEN(shards); s++) {
        struct sock_filter code[NET_STEER_MAX];
        unsigned n = net_steer_program(shards[s], code);
        for (unsigned i = 0; i < 500; i++) {
            struct hd_addr addr = any_addr(&rng, i % 2 ? 4 : 6);
            struct packet packet = make_packet(&addr, i % 5 * 4);
            assert_int_equal(run(code, n, &packet),
                             hd_bucket_shard(hd_addr_bucket(&addr), shards[s]));
        }
    }
}

static void
extension_header_leaves_the_choice_to_the_kernel(void **state)
{
    struct hd_addr addr = { .family = 6, .ip = { 0x20, 1 }, .port = 5060 };
    struct sock_filter code[NET_STEER_MAX];
    unsigned n = net_steer_program(4, code);
    struct packet packet = make_packet(&addr, 0);

    (void)state;
    packet.octets[6] = 60; /* destination options */
    assert_int_equal(run(code, n, &packet), UINT32_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_chooses_the_shard_that_the_bucket_says),
        cmocka_unit_test(extension_header_leaves_the_choice_to_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
