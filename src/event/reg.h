/* reg.h - what the registrar knows of an address of record, for the packages that show it (RFC
 * 3680, presence).  Thread: the home shard of the address. */
#ifndef HD_EVENT_REG_H
#define HD_EVENT_REG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct evt_shard;

/* One contact; slices are borrowed for the visit. */
struct evt_reg_contact {
    uint64_t id;
    struct hd_slice contact, call_id;
    struct hd_slice params;              /* of its Contact, with the leading ';' */
    struct hd_slice pub_gruu, temp_gruu; /* p NULL: none */
    struct hd_slice event;               /* the word of RFC 3680 section 5.3 */
    bool over;                           /* its state is "terminated" */
    uint32_t cseq, expires_s, held_s, retry_after_s;
    uint32_t temp_cseq; /* CSeq of the REGISTER that the oldest temporary GRUU came with */
    uint16_t q;         /* thousandths */
};

/* State of a registration (RFC 3680 section 3.1). */
enum evt_reg_state { EVT_REG_INIT = 0, EVT_REG_ACTIVE, EVT_REG_TERMINATED };

typedef void (*evt_reg_visit_f)(void *context, const struct evt_reg_contact *contact);
/** Visits the contacts of an address, those that are over for a while longer; visit may be NULL. */
enum evt_reg_state evt_reg_visit(struct evt_shard *shard, struct hd_slice key,
                                 evt_reg_visit_f visit, void *context);

#endif
