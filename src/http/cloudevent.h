/* cloudevent.h - what a webhook is sent: a CloudEvent 1.0 in structured mode, and its signature.
 * Pure; any thread. */
#ifndef HD_HTTP_CLOUDEVENT_H
#define HD_HTTP_CLOUDEVENT_H

#include <stdint.h>

#include "base/slice.h"
#include "base/str.h"

struct api_event {
    struct hd_slice id, resource, package;
    struct hd_slice type, body; /* of the document; type empty: there is nothing to see */
    struct hd_slice fired, version;
    uint64_t at_ms; /* since 1970 */
};
/** Writes it as JSON: a document that is JSON stands in data as such, text as a string, other
 * octets in data_base64.  out->err HD_ENOMEM. */
void api_event_write(const struct api_event *event, struct hd_str *out);

#define API_SIGNATURE_TEXT 48 /* "v1," and 44 characters, NUL among them */
/** HMAC-SHA256 over "id.timestamp.body" in base64, as webhook-signature has it. */
void api_event_sign(struct hd_slice secret, struct hd_slice id, uint64_t timestamp_s,
                    struct hd_slice body, char ret[API_SIGNATURE_TEXT]);

#endif
