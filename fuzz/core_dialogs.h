/* core_dialogs.h - fuzz_evt_core with subscriptions that name a dialog (RFC 4235 section 3.2): what
 * is published of dialogs, which of them a SUBSCRIBE names, and who may be shown which. */
#ifndef HD_FUZZ_CORE_DIALOGS_H
#define HD_FUZZ_CORE_DIALOGS_H

#include "event/test_dialogs.h"
#include "fuzz.h"

#define CORE_DIALOGS 3 /* that are published: c0, c1, c2 */

/* A set of what SUBSCRIBEs ask for: a bit for each dialog by name. */
#define CORE_NAMES_ANOTHER (1u << CORE_DIALOGS) /* one that is never published */
#define CORE_NAMES_NONE (2u << CORE_DIALOGS)    /* and so all of them are shown */

/* What was said of each of them last. */
struct core_dialogs {
    struct {
        uint32_t mark;
        char state; /* '+' lives, '-' is over, '\0' is not there */
    } of[CORE_DIALOGS];
};

extern const char *const core_dialog_events[10];

/** Writes a document, size > 100, in which the dialogs are as number says; what has changed has the
 * mark. */
void core_dialogs_write(struct core_dialogs *dialogs, unsigned number, uint32_t mark, char *body,
                        size_t size);
/** What a SUBSCRIBE asks for, 0: nothing that is granted. */
uint8_t core_dialogs_named(const struct sip_msg *msg);
/** Whether a NOTIFY shows no other dialogs than those. */
bool core_dialogs_may(const struct sip_msg *msg, uint8_t names);

#endif
