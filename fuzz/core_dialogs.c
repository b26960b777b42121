/* core_dialogs.c - see core_dialogs.h. */
#include "core_dialogs.h"

#include "sip/dialog_id.h"
#include "sip/header.h"

/* Several times what is asked for most. */
const char *const core_dialog_events[10] = {
    "x-dialogs;call-id=c0;to-tag=l",
    "x-dialogs",
    "x-dialogs;call-id=c1;to-tag=l",
    "x-dialogs;call-id=c0;to-tag=l",
    "x-dialogs;call-id=\"c\\0\";to-tag=l;from-tag=r",
    "x-dialogs;call-id=c1;to-tag=l;id=1",
    "x-dialogs;call-id=other;to-tag=l",
    "x-dialogs;call-id=c2",
    "x-state;call-id=c0;to-tag=l",
    "x-dialogs",
};

void
core_dialogs_write(struct core_dialogs *dialogs, unsigned number, uint32_t mark, char *body,
                   size_t size)
{
    static const char states[] = { '+', '-', '\0' };
    size_t at = 0;

    for (unsigned i = 0; i < CORE_DIALOGS; i++, number /= 3) {
        const char state = states[number % 3];
        if (dialogs->of[i].state != state) {
            dialogs->of[i].state = state;
            dialogs->of[i].mark = mark;
        }
        if (state)
            at += (size_t)snprintf(body + at, size - at, "#%u#c%u%c\n", dialogs->of[i].mark, i,
                                   state);
    }
    if (at == 0)
        (void)snprintf(body, size, "(none)");
}

/* Which of the published dialogs a Call-ID is; CORE_DIALOGS: another. */
static unsigned
which(struct hd_slice call_id)
{
    if (call_id.n != 2 || call_id.p[0] != 'c' || call_id.p[1] < '0' ||
        call_id.p[1] >= '0' + CORE_DIALOGS)
        return CORE_DIALOGS;
    return (unsigned)(call_id.p[1] - '0');
}

uint8_t
core_dialogs_named(const struct sip_msg *msg)
{
    char memory[SIP_MAX_TOKEN];
    struct sip_event event;
    struct sip_dialog_id dialog;

    if (msg->method != SIP_SUBSCRIBE ||
        sip_event_parse(sip_msg_value(msg, SIP_HDR_EVENT), &event) ||
        !hd_slice_eq(event.package, host_dialog_package.name))
        return 0;
    switch (sip_dialog_id_parse(event.params, memory, &dialog)) {
    case HD_OK:
        return (uint8_t)(1u << which(dialog.call_id));
    case HD_ENOMATCH:
        return CORE_NAMES_NONE;
    default:
        return 0;
    }
}

bool
core_dialogs_may(const struct sip_msg *msg, uint8_t names)
{
    struct hd_slice lines = msg->body;
    struct host_dialog dialog;
    struct sip_event event;

    if (names & CORE_NAMES_NONE || sip_event_parse(sip_msg_value(msg, SIP_HDR_EVENT), &event) ||
        !hd_slice_eq(event.package, host_dialog_package.name))
        return true;
    while (host_dialog_next(&lines, &dialog))
        if (!(names & 1u << which(dialog.call_id)))
            return false;
    return true;
}
