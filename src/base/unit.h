/* unit.h - durations and sizes with their units, as people write them in a configuration.
 * Pure; any thread. */
#ifndef HD_BASE_UNIT_H
#define HD_BASE_UNIT_H

#include <stdint.h>

#include "base/slice.h"

/** Milliseconds of "500ms", "30s", "5m", "1h", "2d", or "30" (seconds): digits and at most one
 * unit, no blank. HD_ESYNTAX: anything else; HD_ERANGE: more than 2^64 - 1 milliseconds. */
HD_NODISCARD enum hd_err hd_unit_ms(struct hd_slice text, uint64_t *ret_ms);
/** Octets of "512", "512B", "64KiB", "1MiB", "2GiB", "1TiB" (factors of 1024).  "64K" and "64kB"
 * mean two things to two people and are HD_ESYNTAX, as is anything else; HD_ERANGE: more than 2^64
 * - 1 octets. */
HD_NODISCARD enum hd_err hd_unit_octets(struct hd_slice text, uint64_t *ret_octets);

#endif
