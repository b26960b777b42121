/* banner.h - what a person sees after the start: addresses, users, and what to try next.
 * Thread: the main thread's. */
#ifndef HD_HERALDD_BANNER_H
#define HD_HERALDD_BANNER_H

#include <stdio.h>

struct hd_daemon;

/** Prints to a stream; passwords of users made at this start are printed here and nowhere else. */
void hd_banner_print(const struct hd_daemon *daemon, FILE *to);

#endif
