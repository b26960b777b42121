/* hash_test.c - SipHash agrees with OpenSSL's at every length, in both widths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/hash.h"

#define OUT_MAX 16

/* The octets 00 to 0f, read as two little-endian words. */
static const struct hd_hash_key paper_key = { UINT64_C(0x0706050403020100),
                                              UINT64_C(0x0f0e0d0c0b0a0908) };

static void
oracle(const struct hd_hash_key *key, struct hd_slice data, size_t size, uint8_t ret[OUT_MAX])
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    unsigned c_rounds = size == 8 ? 1 : 2, d_rounds = size == 8 ? 3 : 4;
    OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                            OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &c_rounds),
                            OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &d_rounds),
                            OSSL_PARAM_END };
    uint8_t octets[16];
    size_t len = 0;

    for (unsigned i = 0; i < 8; i++) {
        octets[i] = (uint8_t)(key->k0 >> 8 * i);
        octets[8 + i] = (uint8_t)(key->k1 >> 8 * i);
    }
    assert_int_equal(EVP_MAC_init(context, octets, sizeof(octets), params), 1);
    assert_int_equal(EVP_MAC_update(context, (const unsigned char *)data.p, data.n), 1);
    assert_int_equal(EVP_MAC_final(context, ret, &len, OUT_MAX), 1);
    assert_int_equal(len, size);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
}

static void
both_widths_agree_with_openssl_at_every_length(void **state)
{
    static const struct hd_hash_key other_key = { UINT64_C(0xfedcba9876543210),
                                                  UINT64_C(0x8000000000000001) };
    char input[300];

    (void)state;
    for (unsigned i = 0; i < sizeof(input); i++)
        input[i] = (char)(i * 7 / 5);
    for (size_t n = 0; n <= sizeof(input); n++) {
        const struct hd_hash_key *key = n % 2 ? &paper_key : &other_key;
        char *exact = malloc(n ? n : 1); /* an octet read too much is seen */
        struct hd_slice data = hd_slice(exact, n);
        uint8_t want[OUT_MAX], got[16];
        uint64_t word = 0;

        memcpy(exact, input, n);
        oracle(key, data, 8, want);
        for (unsigned i = 0; i < 8; i++)
            word |= (uint64_t)want[i] << 8 * i;
        assert_true(hd_hash(key, data) == word);
        oracle(key, data, 16, want);
        hd_hash128(key, data, got);
        assert_memory_equal(got, want, 16);
        free(exact);
    }
}

static void
the_start_of_the_data_may_be_at_any_address(void **state)
{
    char memory[40];
    uint64_t first;

    (void)state;
    memset(memory, 'x', sizeof(memory));
    first = hd_hash(&paper_key, hd_slice(memory, 23));
    for (size_t shift = 1; shift < 9; shift++)
        assert_true(hd_hash(&paper_key, hd_slice(memory + shift, 23)) == first);
    assert_true(hd_hash(&paper_key, hd_slice(NULL, 0)) == hd_hash(&paper_key, HD_LIT("")));
}

static void
mixing_sees_the_order_and_every_bit(void **state)
{
    (void)state;
    assert_true(hd_hash_mix(1, 2) != hd_hash_mix(2, 1));
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t zero = hd_hash_mix(0, 0);
        uint64_t a = hd_hash_mix(UINT64_C(1) << bit, 0) ^ zero;
        uint64_t b = hd_hash_mix(0, UINT64_C(1) << bit) ^ zero;

        /* Both ends are used: the upper bits as bucket, the lower as the place in a map. */
        assert_true(a >> 44 != 0 && (a & 0xfffff) != 0);
        assert_true(b >> 44 != 0 && (b & 0xfffff) != 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_widths_agree_with_openssl_at_every_length),
        cmocka_unit_test(the_start_of_the_data_may_be_at_any_address),
        cmocka_unit_test(mixing_sees_the_order_and_every_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
