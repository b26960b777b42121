/* cloudevent.h - what a webhook is sent: a CloudEvent 1.0, in structured mode (one JSON object) or
 * in binary mode (attributes in header fields, the document as the body), and its signature.
 * Pure; any thread. */
#ifndef HD_HTTP_CLOUDEVENT_H
#define HD_HTTP_CLOUDEVENT_H

#include <stdbool.h>
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
/**
 * Its attributes as header fields, "ce-id" and the others, and Content-Type (the HTTP protocol
 * binding of CloudEvents 1.0.2, section 3.1): the body is then the document as it is.
 * @param add  called for each; false ends it.  value is empty: there is no such field
 * @return false: add said so, or memory is short
 */
bool api_event_fields(const struct api_event *event,
                      bool (*add)(void *context, const char *name, const char *value),
                      void *context);

#define API_SIGNATURE_TEXT 48 /* "v1," and 44 characters, NUL among them */
/** HMAC-SHA256 over "id.timestamp.body" in base64, as webhook-signature has it. */
void api_event_sign(struct hd_slice secret, struct hd_slice id, uint64_t timestamp_s,
                    struct hd_slice body, char ret[API_SIGNATURE_TEXT]);

#endif
