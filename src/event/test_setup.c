/* test_setup.c - see test_setup.h. */
#include "event/test_setup.h"

struct host host;

int
host_setup(void **state)
{
    host_init(&host, (unsigned)(uintptr_t)*state);
    return 0;
}

int
host_teardown(void **state)
{
    (void)state;
    host_done(&host);
    return 0;
}
