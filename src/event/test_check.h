/* test_check.h - what the files of the tests' host have in common. */
#ifndef HD_EVENT_TEST_CHECK_H
#define HD_EVENT_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "event/test_host.h"

/* Of cmocka, when it is there: the test fails and the next one runs. */
extern void _fail(const char *file, const int line) __attribute__((weak));

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            if (_fail)                                                                             \
                _fail(__FILE__, __LINE__);                                                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Of a test whose allocator refuses: what the host itself takes is not meant. */
extern void test_alloc_pause(int by) __attribute__((weak));

static inline void
pause_refusals(int by)
{
    if (test_alloc_pause)
        test_alloc_pause(by);
}

/* The packages of a host (test_packages.c). */
#define HOST_PACKAGES 4
extern const struct evt_package *const host_packages[HOST_PACKAGES];
/* What a shard calls (test_ports.c, test_policy.c). */
extern const struct evt_net_ops host_net_ops;
extern const struct evt_store_ops host_store_ops;
extern const struct evt_policy_ops host_policy_ops;

#endif
