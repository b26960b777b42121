/* test_setup.h - one host for the tests of a file, made anew for each of them.
 * Included behind cmocka.h. */
#ifndef HD_EVENT_TEST_SETUP_H
#define HD_EVENT_TEST_SETUP_H

#include "event/test_host.h"

extern struct host host;

/* Set-up and tear-down of cmocka; for the set-up *state is the number of shards. */
int host_setup(void **state);
int host_teardown(void **state);

/* A test with a host of so many shards. */
#define HOST_TEST(name, shards) HOST_TEST_WITH(name, shards, host_setup)
/* The same with a set-up of the file's own, which calls host_setup(). */
#define HOST_TEST_WITH(name, shards, setup)                                                        \
    cmocka_unit_test_prestate_setup_teardown(name, setup, host_teardown,                           \
                                             (void *)(uintptr_t)(shards))

#endif
