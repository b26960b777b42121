/* sum.h - check sums against damage: of a disk, of a file that was cut short.  Not against people:
 * whoever may write the octets can make any sum come out; hash.h has what keeps them off.
 * Pure; any thread. */
#ifndef HD_BASE_SUM_H
#define HD_BASE_SUM_H

#include <stdint.h>

#include "base/slice.h"

/** The sum of some octets, the same on every machine.  Damage within one aligned word of eight
 * octets always changes it, any other misses it once in 2^64. */
uint64_t hd_sum(struct hd_slice data);

#endif
