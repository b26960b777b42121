/* notify.h - tells the service manager how far we are (sd_notify(3), the protocol without its
 * library). Thread: any. */
#ifndef HD_HERALDD_NOTIFY_H
#define HD_HERALDD_NOTIFY_H

/** Sends one state, "READY=1" for example, to the socket that $NOTIFY_SOCKET names; without that
 * variable, or when nobody is there, nothing happens. */
void hd_notify(const char *state);
/** "RELOADING=1" with the monotonic time that it wants. */
void hd_notify_reloading(void);

#endif
