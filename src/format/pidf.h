/* pidf.h - presence documents (RFC 3863, data model of RFC 4479): validating, and making one
 * document out of several. Thread: that of the struct fmt_xml.  Memory: bodies are borrowed for the
 * call. */
#ifndef HD_FORMAT_PIDF_H
#define HD_FORMAT_PIDF_H

#include "base/slice.h"
#include "base/str.h"
#include "format/xml.h"

#define FMT_PIDF_MAX_IDS 256 /* tuples, persons and devices with an id in a published document */

/* One publication's document. */
struct fmt_pidf_part {
    struct hd_slice body;
    uint32_t number; /* stable over the publication's life, unlike the others' */
    bool kept;       /* of the broker itself: the activities of its person are put into those of the
                        person that is published */
};

/**
 * Checks a published document: XML that passes fmt_xml_check(), root `presence` of
 * urn:ietf:params:xml:ns:pidf with an `entity`, each tuple with one `status` and an `id` that no
 * other tuple has (RFC 3863 section 4.1), ids of persons and of devices alike unique among
 * themselves (RFC 4479 section 3), at most FMT_PIDF_MAX_IDS of them.  What it does not know it lets
 * through.  Pure; nothing is allocated.
 * @param max         octets
 * @param ret_reason  set with HD_ESYNTAX: one line, static
 * @return HD_OK, HD_ESYNTAX
 */
HD_NODISCARD enum hd_err fmt_pidf_validate(struct hd_slice body, size_t max,
                                           const char **ret_reason);
/** Whether a document's entity is this resource, the schemes pres:, sip: and sips: taken as the
 * same (RFC 3856 section 5). A look at the root tag, without parsing; false when in doubt. */
bool fmt_pidf_is_for(struct hd_slice body, struct hd_slice entity);
/**
 * One document out of n >= 1, newest first.  A single document whose entity matches is copied octet
 * by octet.  Otherwise: all tuples, all presence-level notes and all elements that we do not know;
 * the persons of the newest publication that has one (their activities with those of a kept part);
 * of devices with the same deviceID the newest
 * publication's.  An id that occurs again is renamed "<id>-<number in hex>" in the publication with
 * the higher number, whichever is newer, so that ids stay when publications are refreshed.
 * Documents that are not valid are left out.
 * @param entity  what the document is about ("sip:alice@example.test")
 * @param max     octets of one document; the result may have about 4 * (input + max), then HD_EFULL
 * @param out     empty
 * @return HD_OK; HD_ESYNTAX none is valid; HD_EFULL; HD_ENOMEM.  On failure out holds nothing of
 * use.
 */
HD_NODISCARD enum hd_err fmt_pidf_compose(struct fmt_xml *xml, struct hd_slice entity,
                                          const struct fmt_pidf_part *parts, size_t n, size_t max,
                                          struct hd_str *out);
/** What the broker knows of a user's reachability. */
struct fmt_pidf_reach {
    bool tuple, open; /* a tuple with this basic status */
    bool on_phone;    /* a person whose activity is on-the-phone (RFC 4480 section 3.2) */
};
/** A document that says this. */
void fmt_pidf_reachable(struct hd_slice entity, const struct fmt_pidf_reach *reach,
                        struct hd_str *out);
/** The document while nothing is published: one tuple, closed, so that a phone shows the entity as
 * offline. */
void fmt_pidf_neutral(struct hd_slice entity, struct hd_str *out);

#endif
