/* core_force.h - fuzz_evt_core at the end of a broker and at its next start: what is in force,
 * which a clean stop must not lose. */
#ifndef HD_FUZZ_CORE_FORCE_H
#define HD_FUZZ_CORE_FORCE_H

#include "event/test_host.h"

/** Who can still be told, what can still be seen; for_ms > 0: for longer than that. */
unsigned core_in_force(struct host *host, uint64_t for_ms);
/** Whether the broker itself ended a subscription of late.  A start does not remember whom it had
 * ended: a repetition of his SUBSCRIBE is a new one, which the rules judge anew. */
bool core_has_ended_some(struct host *host);

#endif
