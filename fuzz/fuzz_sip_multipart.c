/* Multipart bodies: the first line of the input is the Content-Type, the rest the body. */
#include <stdlib.h>

#include "sip/body.h"
#include "sip/header.h"
#include "sip/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_inside(struct hd_slice part, struct hd_slice whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/* The same as a message's body: what is found in it lies in it and has a type that was asked for.
 */
static void
find(struct hd_slice type, struct hd_slice body)
{
    static const struct hd_slice types[] = { { "text/plain", 10 }, { "application/json", 16 } };
    struct sip_header header = { .name = HD_LIT("Content-Type"),
                                 .value = type,
                                 .id = SIP_HDR_CONTENT_TYPE,
                                 .next = SIP_NO_HEADER };
    struct sip_msg msg = { .headers = &header, .n_headers = 1, .body = body };
    struct sip_body found;

    memset(msg.first, SIP_NO_HEADER, sizeof(msg.first));
    msg.first[SIP_HDR_CONTENT_TYPE] = 0;
    if (sip_body_find(&msg, types, 2, &found) != HD_OK)
        return;
    HD_ASSERT(is_inside(found.octets, body));
    HD_ASSERT(sip_media_same(found.type, types[0]) || sip_media_same(found.type, types[1]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    struct hd_slice body = hd_slice(copy, size);
    const struct hd_slice type = hd_slice_cut(&body, '\n');
    struct sip_multipart walk;
    struct sip_part part;
    size_t total = 0;

    if (sip_multipart_begin(type, body, &walk) == HD_OK) {
        while (sip_multipart_next(&walk, &part) == HD_OK) {
            HD_ASSERT(is_inside(part.body, body) && is_inside(part.type, body));
            HD_ASSERT(is_inside(part.id, body) && is_inside(part.disposition, body));
            total += part.body.n;
        }
        HD_ASSERT(walk.parts <= SIP_MULTIPART_PARTS && total <= body.n);
    }
    find(type, body);
    free(copy);
    return 0;
}
