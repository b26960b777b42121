/* fuzz_api_delivery.c - an event that waits for a webhook, as it lies on the disk: what is accepted
 * is written as the same record again, and its fields can be sent as header fields. */
#include "fuzz.h"

#include "http/delivery.h"

static bool
add(void *context, const char *name, const char *value)
{
    (void)context;
    FUZZ_CHECK(*name);
    for (; *value; value++)
        FUZZ_CHECK((unsigned char)*value >= ' ' && *value != 0x7f);
    return true;
}

static void
check(struct hd_slice whole, const struct api_delivery *delivery)
{
    struct hd_str again = { 0 };

    api_delivery_write(delivery, &again);
    if (!again.err)
        FUZZ_CHECK(hd_slice_eq(hd_str_slice(&again), whole));
    hd_str_clear(&again);
    api_event_write(&delivery->event, &again);
    (void)api_event_fields(&delivery->event, add, NULL);
    hd_str_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    const struct hd_slice whole = fuzz_copy(data, size, &copy);
    struct api_delivery *delivery = NULL;
    struct api_told told;
    char record[API_TOLD_SIZE];

    if (api_delivery_read(whole, &delivery) == HD_OK)
        check(whole, delivery);
    api_delivery_free(delivery);
    if (api_told_read(whole, &told) == HD_OK) {
        api_told_write(&told, record);
        FUZZ_CHECK(hd_slice_eq(hd_slice(record, sizeof(record)), whole));
    }
    free(copy);
    return 0;
}
