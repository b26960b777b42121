/* utf8.h - UTF-8 that comes from outside (RFC 3629), and which of its characters may be shown as
 * they are.  Pure; any thread. */
#ifndef HD_BASE_UTF8_H
#define HD_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/** The length of the well-formed sequence at the front of a text that is not empty, 0: there is
 * none (too long a form, a surrogate, above U+10FFFF, cut off). */
size_t hd_utf8_take(struct hd_slice text, uint32_t *ret_code);
/** Whether a character shows itself and does nothing else: no control character (C0, DEL, C1), none
 * that turns the direction of what stands around it (Unicode standard annex 9), no separator of
 * lines. */
bool hd_utf8_is_shown(uint32_t code);

#endif
