/* scan.h - finds the next octet that matters to the head of a message, sixteen at a time where the
 * processor can. Half of the time of a parse is this search.  Pure; any thread. */
#ifndef HD_SIP_SCAN_H
#define HD_SIP_SCAN_H

#include <stddef.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/**
 * The first CR, LF or NUL from p on, or end.  *colon, when it is NULL, becomes the first ':' before
 * that. Reads no octet at or behind end.
 */
static inline const char *
sip_scan(const char *p, const char *end, const char **colon)
{
#if defined(__SSE2__)
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
    const __m128i nul = _mm_setzero_si128(), colons = _mm_set1_epi8(':');
    for (; end - p >= 16; p += 16) {
        const __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        const __m128i found =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, cr), _mm_cmpeq_epi8(block, lf)),
                         _mm_cmpeq_epi8(block, nul));
        const unsigned stop = (unsigned)_mm_movemask_epi8(found);
        if (!*colon) {
            unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, colons));
            /* Only those before the stop: the bits below its lowest one. */
            if (stop)
                mask &= (stop & -stop) - 1;
            if (mask)
                *colon = p + __builtin_ctz(mask);
        }
        if (stop)
            return p + __builtin_ctz(stop);
    }
#endif
    for (; p < end; p++) {
        if (*p == '\r' || *p == '\n' || *p == '\0')
            return p;
        if (*p == ':' && !*colon)
            *colon = p;
    }
    return end;
}

#endif
