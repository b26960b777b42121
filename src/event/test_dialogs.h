/* test_dialogs.h - dialogs that a SUBSCRIBE names (RFC 4235 section 3.2), for the tests' host; see
 * test_host.h.  One host at a time. */
#ifndef HD_EVENT_TEST_DIALOGS_H
#define HD_EVENT_TEST_DIALOGS_H

#include "event/test_host.h"

/* A line of a document: "#MARK#CALL-ID+" while the dialog lives, "#MARK#CALL-ID-" when it is over.
 */
struct host_dialog {
    struct hd_slice line, call_id;
    bool lives;
};

/* x-dialogs: bodies are such lines, durations end within an hour. */
extern const struct evt_package host_dialog_package;

/** A filter port for a host's shards, now and after each start, that knows dialogs by their Call-ID
 * and nothing else. */
void host_dialogs(struct host *host);
/** How many filters there are. */
unsigned host_dialogs_named(void);
/** Takes the next line off a document that is a dialog; false: there is none. */
bool host_dialog_next(struct hd_slice *lines, struct host_dialog *ret_dialog);
/** The first subscription to a dialog by name that is told nothing further and should be: its
 * dialog is over, and it is not (section 3.4).  NULL: none. */
const char *host_dialogs_check(struct evt_shard *shard);

#endif
