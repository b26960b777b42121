/* play_live.h - a scenario against a live server: each actor is a socket of its own.
 * Thread: the caller's; it blocks in poll. */
#ifndef HERALD_PLAY_LIVE_H
#define HERALD_PLAY_LIVE_H

#include "herald/play.h"

struct live;

enum live_show { LIVE_SHOW_NOTHING = 0, LIVE_SHOW_LINES, LIVE_SHOW_MESSAGES };

struct live_params {
    struct hd_addr server;
    uint32_t answer_ms; /* how long an expected message may take */
    enum live_show show;
};

/** NULL when memory is short. */
struct live *live_new(const struct live_params *params);
/** Closes all sockets; accepts NULL.  After play_free. */
void live_free(struct live *live);
struct play_host live_host(struct live *live);
/** Before play_run. */
void live_connect(struct live *live, struct play *play);
/** How many steps could not be done outside of the laboratory and were left out (settings and
 * counts). */
unsigned live_left_out(const struct live *live);

#endif
