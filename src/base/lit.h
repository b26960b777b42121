/* lit.h - slices of string literals where C wants a constant: in the initialiser of something
 * static. Thread: any. */
#ifndef HD_BASE_LIT_H
#define HD_BASE_LIT_H

#include "base/slice.h"

/* As HD_LIT(), which is a compound literal and so no constant. */
#define HD_LIT_INIT(literal)                                                                       \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

#endif
