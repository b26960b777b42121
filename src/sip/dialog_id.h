/* dialog_id.h - the dialog that the Event header of a SUBSCRIBE names: the parameters call-id,
 * to-tag and from-tag of the dialog package (RFC 4235 section 3.2).  Pure; any thread. */
#ifndef HD_SIP_DIALOG_ID_H
#define HD_SIP_DIALOG_ID_H

#include "base/err.h"
#include "base/slice.h"
#include "sip/msg.h"

/* As the subscribed user has the dialog: to-tag is matched against his own tag. */
struct sip_dialog_id {
    struct hd_slice call_id;
    struct hd_slice to_tag;
    struct hd_slice from_tag; /* p NULL: the dialogs of one INVITE that he has sent */
};

/**
 * Reads it from the parameters of an Event header.
 * @param memory  for a call-id with escapes; ret_id points into it or into params
 * @return HD_OK; HD_ENOMATCH none is named; HD_ESYNTAX one of the parameters is malformed or there
 * twice, or they name no dialog: call-id and to-tag MUST be present
 */
HD_NODISCARD enum hd_err sip_dialog_id_parse(struct hd_slice params, char memory[SIP_MAX_TOKEN],
                                             struct sip_dialog_id *ret_id);

#endif
