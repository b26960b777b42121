/* config_unit.h - the numbers of a configuration file: what is counted, and how it is written.
 * Pure; any thread. */
#ifndef HD_HERALDD_CONFIG_UNIT_H
#define HD_HERALDD_CONFIG_UNIT_H

#include <stdint.h>

#include "base/slice.h"

/** What a number counts.  Each is kept as a whole number of the unit that it is named for. */
enum hd_conf_unit {
    HD_CONF_COUNT = 0,
    HD_CONF_SECONDS,
    HD_CONF_MS,
    HD_CONF_US,
    HD_CONF_SIZE,   /* octets */
    HD_CONF_PERCENT /* the sign may be left out */
};

/**
 * Reads a number as the file writes it ("90s", "64KiB", "10%").
 * @return HD_OK; HD_ESYNTAX: not of that unit, or no whole number of it; HD_ERANGE: too large to be
 *         counted
 */
HD_NODISCARD enum hd_err hd_conf_unit_read(enum hd_conf_unit unit, struct hd_slice text,
                                           uint64_t *ret_value);
/** A value as the file would write it, in the largest unit that divides it: in ret, or static. */
const char *hd_conf_unit_show(enum hd_conf_unit unit, uint64_t value, char ret[32]);
/** What is expected of such a value, for a refusal ("a duration such as 250ms, 90s or 5m,"). */
const char *hd_conf_unit_words(enum hd_conf_unit unit);

#endif
