/* delivery.h - one event on its way to a webhook, and its record: as it lies on the disk.
 *
 * What is read back is what another process wrote, or what a disk made of it: all is checked, and
 * what goes into header fields holds nothing that would end one.
 * Pure; any thread.  Memory: one block each. */
#ifndef HD_HTTP_DELIVERY_H
#define HD_HTTP_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "http/cloudevent.h"

#define API_EVENT_ID 48 /* characters of an event's id, NUL among them */
#define API_WHY 128     /* of the reason why it was given up, NUL among them */
#define API_VERSION_TEXT 32

struct api_delivery {
    struct api_delivery *next; /* of its owner */
    uint64_t serial;           /* its place among those of its webhook */
    struct api_event event;    /* slices point behind the struct; resource and package are empty */
    unsigned attempts;
    bool newest_wins; /* a newer state takes its place */
    bool dead;
    uint64_t dead_s; /* when it was given up, since 1970 */
    char id[API_EVENT_ID], why[API_WHY];
    size_t size; /* of the octets */
    char octets[];
};

/** Copies an event; resource and package are not kept.  NULL: memory is short, or the id is too
 * long. */
struct api_delivery *api_delivery_new(const struct api_event *event);
void api_delivery_free(struct api_delivery *delivery); /* accepts NULL */
/** Its record, appended.  out->err HD_ENOMEM. */
void api_delivery_write(const struct api_delivery *delivery, struct hd_str *out);
/** Reads one back; serial is the caller's to set.  HD_ESYNTAX: it is damaged; HD_ENOMEM. */
HD_NODISCARD enum hd_err api_delivery_read(struct hd_slice record,
                                           struct api_delivery **ret_delivery);

/* What a webhook was told last, kept as its record 0. */
struct api_told {
    uint64_t serial; /* of the newest event that there was */
    bool has_seen;
    uint8_t seen[16]; /* the version of the state in it */
};
#define API_TOLD_SIZE 26
void api_told_write(const struct api_told *told, char ret[API_TOLD_SIZE]);
/** HD_ESYNTAX. */
HD_NODISCARD enum hd_err api_told_read(struct hd_slice record, struct api_told *ret_told);

#endif
