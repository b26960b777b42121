/* reach.c - the inside of a network is not reached through us (RFC 6890 and the registries that it
 * keeps).  What is not known to be public is not. */
#include "http/reach.h"

#define FOUR(a, b, c, bits)                                                                        \
    {                                                                                              \
        { .ip = { a, b, c }, .family = 4 }, bits                                                   \
    }

bool
api_addr_is_public(const struct hd_addr *addr)
{
    static const struct hd_prefix four[] = {
        FOUR(0, 0, 0, 8),      FOUR(10, 0, 0, 8),     FOUR(100, 64, 0, 10), FOUR(127, 0, 0, 8),
        FOUR(169, 254, 0, 16), FOUR(172, 16, 0, 12),  FOUR(192, 0, 0, 24),  FOUR(192, 0, 2, 24),
        FOUR(192, 88, 99, 24), FOUR(192, 168, 0, 16), FOUR(198, 18, 0, 15), FOUR(198, 51, 100, 24),
        FOUR(203, 0, 113, 24), FOUR(224, 0, 0, 4),    FOUR(240, 0, 0, 4),
    };
    /* Global unicast is 2000::/3 alone; in it 6to4 and Teredo lead elsewhere, and the rest is for
     * documentation and protocols. */
    static const struct hd_prefix global = { { .ip = { 0x20 }, .family = 6 }, 3 };
    static const struct hd_prefix six[] = {
        { { .ip = { 0x20, 0x01, 0x00 }, .family = 6 }, 23 },
        { { .ip = { 0x20, 0x01, 0x0d, 0xb8 }, .family = 6 }, 32 },
        { { .ip = { 0x20, 0x02 }, .family = 6 }, 16 },
        { { .ip = { 0x3f, 0xff }, .family = 6 }, 20 },
    };

    if (addr->family == 4) {
        for (size_t i = 0; i < HD_ARRAY_LEN(four); i++)
            if (hd_prefix_holds(&four[i], addr))
                return false;
        return true;
    }
    if (addr->family != 6 || !hd_prefix_holds(&global, addr))
        return false;
    for (size_t i = 0; i < HD_ARRAY_LEN(six); i++)
        if (hd_prefix_holds(&six[i], addr))
            return false;
    return true;
}

bool
api_reaches(const struct hd_addr *addr, const struct hd_prefix *allowed, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (hd_prefix_holds(&allowed[i], addr))
            return true;
    return api_addr_is_public(addr);
}
