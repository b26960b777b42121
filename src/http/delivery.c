/* delivery.c - see delivery.h. */
#include "http/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define VERSION 1u

enum flag { FLAG_NEWEST_WINS = 1, FLAG_DEAD = 2, FLAGS = 3 };

static struct hd_slice
keep(char **at, struct hd_slice s)
{
    char *copy = *at;

    if (s.n)
        memcpy(copy, s.p, s.n);
    *at += s.n;
    return hd_slice(copy, s.n);
}

struct api_delivery *
api_delivery_new(const struct api_event *event)
{
    const size_t size = event->type.n + event->body.n + event->fired.n + event->version.n;
    struct api_delivery *delivery;
    char *at;

    if (event->id.n >= API_EVENT_ID)
        return NULL;
    delivery = calloc(1, sizeof(*delivery) + size);
    if (!delivery)
        return NULL;
    (void)snprintf(delivery->id, sizeof(delivery->id), "%.*s", HD_FMT(event->id));
    delivery->size = size;
    at = delivery->octets;
    delivery->event = (struct api_event){ .id = hd_slice_str(delivery->id),
                                          .type = keep(&at, event->type),
                                          .body = keep(&at, event->body),
                                          .fired = keep(&at, event->fired),
                                          .version = keep(&at, event->version),
                                          .at_ms = event->at_ms };
    return delivery;
}

void
api_delivery_free(struct api_delivery *delivery)
{
    free(delivery);
}

/* --- records ---------------------------------------------------------------------------------- */

static void
put(struct hd_bytes_out *out, const struct api_delivery *delivery)
{
    const struct api_event *event = &delivery->event;

    hd_bytes_put_u8(out, VERSION);
    hd_bytes_put_u8(out, (uint8_t)((delivery->newest_wins ? FLAG_NEWEST_WINS : 0) |
                                   (delivery->dead ? FLAG_DEAD : 0)));
    hd_bytes_put_u32(out, delivery->attempts);
    hd_bytes_put_u64(out, event->at_ms);
    hd_bytes_put_u64(out, delivery->dead_s);
    hd_bytes_put_slice(out, hd_slice_str(delivery->why));
    hd_bytes_put_slice(out, event->id);
    hd_bytes_put_slice(out, event->version);
    hd_bytes_put_slice(out, event->type);
    hd_bytes_put_slice(out, event->fired);
    hd_bytes_put_slice(out, event->body);
}

void
api_delivery_write(const struct api_delivery *delivery, struct hd_str *out)
{
    struct hd_bytes_out record;
    struct hd_slice written;
    char *room;

    hd_bytes_out_init(&record, NULL, 0);
    put(&record, delivery);
    room = malloc(record.n);
    hd_bytes_out_init(&record, room, room ? record.n : 0);
    put(&record, delivery);
    if (room && hd_bytes_out_finish(&record, &written) == HD_OK)
        hd_str_add(out, written);
    else
        out->err = HD_ENOMEM;
    free(room);
}

/* What stands in a header field, or in a line for people. */
static bool
is_line(struct hd_slice text, size_t most)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    return text.n <= most;
}

enum hd_err
api_delivery_read(struct hd_slice record, struct api_delivery **ret_delivery)
{
    struct hd_bytes_in in;
    struct api_event event = { .at_ms = 0 };

    hd_bytes_in_init(&in, record);
    const uint8_t version = hd_bytes_get_u8(&in), flags = hd_bytes_get_u8(&in);
    const uint32_t attempts = hd_bytes_get_u32(&in);
    event.at_ms = hd_bytes_get_u64(&in);
    const uint64_t dead_s = hd_bytes_get_u64(&in);
    const struct hd_slice why = hd_bytes_get_slice(&in);
    event.id = hd_bytes_get_slice(&in);
    event.version = hd_bytes_get_slice(&in);
    event.type = hd_bytes_get_slice(&in);
    event.fired = hd_bytes_get_slice(&in);
    event.body = hd_bytes_get_slice(&in);
    if (hd_bytes_in_end(&in) || version != VERSION || flags & ~FLAGS || !event.id.n ||
        event.version.n != API_VERSION_TEXT || !is_line(event.id, API_EVENT_ID - 1) ||
        !is_line(why, API_WHY - 1) || !is_line(event.version, API_VERSION_TEXT) ||
        !is_line(event.type, 255) || !is_line(event.fired, 1024))
        return HD_ESYNTAX;
    struct api_delivery *delivery = api_delivery_new(&event);
    if (!delivery)
        return HD_ENOMEM;
    delivery->attempts = attempts;
    delivery->newest_wins = flags & FLAG_NEWEST_WINS;
    delivery->dead = flags & FLAG_DEAD;
    delivery->dead_s = dead_s;
    (void)snprintf(delivery->why, sizeof(delivery->why), "%.*s", HD_FMT(why));
    *ret_delivery = delivery;
    return HD_OK;
}

void
api_told_write(const struct api_told *told, char ret[API_TOLD_SIZE])
{
    struct hd_bytes_out out;

    hd_bytes_out_init(&out, ret, API_TOLD_SIZE);
    hd_bytes_put_u8(&out, VERSION);
    hd_bytes_put_u64(&out, told->serial);
    hd_bytes_put_u8(&out, told->has_seen);
    hd_bytes_put_raw(&out, told->seen, sizeof(told->seen));
}

enum hd_err
api_told_read(struct hd_slice record, struct api_told *ret_told)
{
    struct hd_bytes_in in;
    struct api_told told;

    hd_bytes_in_init(&in, record);
    const uint8_t version = hd_bytes_get_u8(&in);
    told.serial = hd_bytes_get_u64(&in);
    const uint8_t has_seen = hd_bytes_get_u8(&in);
    told.has_seen = has_seen == 1;
    hd_bytes_copy_raw(&in, told.seen, sizeof(told.seen));
    if (hd_bytes_in_end(&in) || version != VERSION || has_seen > 1 || told.serial > INT64_MAX)
        return HD_ESYNTAX;
    *ret_told = told;
    return HD_OK;
}
