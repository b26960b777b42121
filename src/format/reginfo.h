/* reginfo.h - documents about registrations (RFC 3680, RFC 5628): writing one of our own registrar,
 * validating and composing those of others, and what changed between two.  Pure; any thread.
 * Memory: bodies are borrowed for the call. */
#ifndef HD_FORMAT_REGINFO_H
#define HD_FORMAT_REGINFO_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/str.h"

#define FMT_REGINFO_MAX_CONTACTS 256 /* in a published document */

/* The state of a registration (RFC 3680 section 3.1). */
enum fmt_reginfo_state { FMT_REGINFO_INIT = 0, FMT_REGINFO_ACTIVE, FMT_REGINFO_TERMINATED };

/* One contact to be written; texts without control characters. */
struct fmt_reginfo_contact {
    uint64_t id;
    bool over;             /* state="terminated" */
    struct hd_slice event; /* a word of RFC 3680 section 5.3 */
    struct hd_slice uri, call_id;
    struct hd_slice params;              /* of a Contact, with the leading ';' */
    struct hd_slice pub_gruu, temp_gruu; /* empty: none (RFC 5628) */
    uint32_t cseq, temp_cseq;
    uint32_t expires_s;     /* written with "shortened", where it must be */
    uint32_t retry_after_s; /* with "probation" */
    uint16_t q;             /* thousandths; 1000 is not written */
};

/** Begins a document with one registration, for as many contacts as are written, and ends it. */
void fmt_reginfo_begin(struct hd_str *out, struct hd_slice aor, enum fmt_reginfo_state state);
void fmt_reginfo_add(struct hd_str *out, const struct fmt_reginfo_contact *contact);
void fmt_reginfo_end(struct hd_str *out);

/* One publication's document. */
struct fmt_reginfo_part {
    struct hd_slice body;
    uint32_t number; /* stable over the publication's life, unlike the others' */
};

/**
 * Checks a published document: XML that passes fmt_xml_check(), root `reginfo` of
 * urn:ietf:params:xml:ns:reginfo with `version` and state="full"; each registration with `aor`,
 * `id` and a state; each contact with one `uri`, an `id` that no other has, a state and an event
 * that go together (RFC 3680 section 5).  What it does not know it lets through.
 * @param ret_reason  set with HD_ESYNTAX: one line, static
 * @return HD_OK, HD_ESYNTAX
 */
HD_NODISCARD enum hd_err fmt_reginfo_validate(struct hd_slice body, size_t max,
                                              const char **ret_reason);
/** Whether a valid document is about this address alone, and has the version 0 of ours. */
bool fmt_reginfo_is_for(struct hd_slice body, struct hd_slice aor);
/**
 * One full document of n >= 1: the contacts of all registrations of this address, in the order of
 * the publications' numbers, octet by octet; an id that occurs again gets the number behind it. The
 * registration is active when one of them is, else terminated when one is.
 * @return HD_OK; HD_ESYNTAX none is valid; HD_EFULL; HD_ENOMEM.  On failure out holds nothing of
 * use.
 */
HD_NODISCARD enum hd_err fmt_reginfo_compose(struct hd_slice aor,
                                             const struct fmt_reginfo_part *parts, size_t n,
                                             size_t max, struct hd_str *out);
/** What changed between two valid documents of one address, with state="partial".  HD_ENOTSUP: a
 * full one is to be sent; HD_ENOMEM. */
HD_NODISCARD enum hd_err fmt_reginfo_partial(struct hd_slice base, struct hd_slice now,
                                             struct hd_str *out);

#endif
