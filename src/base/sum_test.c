/* sum_test.c - check sums: what was damaged has another one. */
#include "base/sum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

#define MOST 200u

static void
fill(char *octets, size_t n)
{
    uint64_t chance = 1;

    for (size_t i = 0; i < n; i++) {
        chance = hd_hash_mix(chance, i);
        octets[i] = (char)chance;
    }
}

static void
every_bit_counts_at_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n <= MOST; n++) {
        char *exact = malloc(n ? n : 1); /* an octet read too much is seen */
        fill(exact, n);
        uint64_t whole = hd_sum(hd_slice(exact, n));
        for (size_t bit = 0; bit < n * 8; bit++) {
            exact[bit / 8] = (char)(exact[bit / 8] ^ 1 << bit % 8);
            assert_true(hd_sum(hd_slice(exact, n)) != whole);
            exact[bit / 8] = (char)(exact[bit / 8] ^ 1 << bit % 8);
        }
        assert_true(hd_sum(hd_slice(exact, n)) == whole);
        free(exact);
    }
}

static void
length_and_order_count(void **state)
{
    char octets[MOST] = { 0 }, turned[MOST];
    uint64_t sums[MOST];

    (void)state;
    for (size_t n = 0; n < MOST; n++) {
        sums[n] = hd_sum(hd_slice(octets, n));
        for (size_t i = 0; i < n; i++)
            assert_true(sums[i] != sums[n]);
    }
    fill(octets, sizeof(octets));
    for (size_t at = 8; at + 8 <= MOST; at += 8) { /* two words in each other's place */
        memcpy(turned, octets, MOST);
        memcpy(turned, octets + at, 8);
        memcpy(turned + at, octets, 8);
        assert_true(hd_sum(hd_slice(turned, MOST)) != hd_sum(hd_slice(octets, MOST)));
    }
}

/* Files hold them: another sum of the same octets would need another format. */
static void
the_sum_stays_what_it_is(void **state)
{
    char memory[80];

    (void)state;
    assert_true(hd_sum(hd_slice(NULL, 0)) == UINT64_C(0xc4fbd3c264b20a6d));
    assert_true(hd_sum(HD_LIT("herald")) == UINT64_C(0xd8941c542809eab7));
    assert_true(hd_sum(HD_LIT("one PUBLISH into a NOTIFY for everyone")) ==
                UINT64_C(0x28b749fe64aa3318));
    for (size_t shift = 0; shift < 9; shift++) {
        memcpy(memory + shift, "one PUBLISH into a NOTIFY for everyone", 38);
        assert_true(hd_sum(hd_slice(memory + shift, 38)) ==
                    hd_sum(HD_LIT("one PUBLISH into a NOTIFY for everyone")));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_counts_at_every_length),
        cmocka_unit_test(length_and_order_count),
        cmocka_unit_test(the_sum_stays_what_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
