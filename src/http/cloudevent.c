/* cloudevent.c - CloudEvents 1.0 with the JSON format or the HTTP binding's binary mode, signed as
 * "Standard Webhooks" are: a receiver takes the library that he has for either. */
#include "http/cloudevent.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static json_t *
text_of(struct hd_slice s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

static bool
is_json(struct hd_slice type)
{
    struct hd_slice name = hd_slice_trim(hd_slice_cut(&type, ';'));

    return hd_slice_ieq(name, HD_LIT("application/json")) ||
           (name.n > 5 && hd_slice_ieq(hd_slice_from(name, name.n - 5), HD_LIT("+json")));
}

static json_t *
base64_of(struct hd_slice body)
{
    unsigned char *text = malloc(4 * ((body.n + 2) / 3) + 1);
    json_t *json = NULL;

    if (text && body.n <= INT32_MAX / 2) {
        int n = EVP_EncodeBlock(text, (const unsigned char *)body.p, (int)body.n);
        json = json_stringn((const char *)text, (size_t)n);
    }
    free(text);
    return json;
}

/* The document in the way that loses least of it. */
static bool
set_data(json_t *event, const struct api_event *from)
{
    json_t *data = is_json(from->type)
                       ? json_loadb(from->body.p, from->body.n,
                                    JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)
                       : NULL;

    if (!data)
        data = text_of(from->body);
    if (data)
        return json_object_set_new(event, "data", data) == 0;
    data = base64_of(from->body);
    return data && json_object_set_new(event, "data_base64", data) == 0;
}

static void
time_text(uint64_t at_ms, char ret[96])
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;

    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(ret, 96, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(at_ms % 1000));
}

static const char *
type_of(const struct api_event *event)
{
    return event->type.n ? "herald.state" : "herald.nothing";
}

void
api_event_write(const struct api_event *from, struct hd_str *out)
{
    char at[96], *text;
    json_t *event;
    bool good;

    time_text(from->at_ms, at);
    event = json_pack("{s:s, s:o, s:o, s:s, s:o, s:s, s:o}", "specversion", "1.0", "id",
                      text_of(from->id), "source", text_of(from->resource), "type", type_of(from),
                      "subject", text_of(from->package), "time", at, "statehash",
                      text_of(from->version));
    good = event != NULL;
    if (good && from->fired.n)
        good = json_object_set_new(event, "fired", text_of(from->fired)) == 0;
    if (good && from->type.n)
        good = json_object_set_new(event, "datacontenttype", text_of(from->type)) == 0 &&
               set_data(event, from);
    text = good ? json_dumps(event, JSON_COMPACT) : NULL;
    if (text)
        hd_str_add_str(out, text);
    else
        out->err = HD_ENOMEM;
    free(text);
    json_decref(event);
}

/* Section 3.1.3.2 of the binding: a blank, a quote, '%', and what is not printable in ASCII goes
 * as its octets in UTF-8, each "%" and two digits. */
static void
out_escaped(struct hd_str *out, struct hd_slice text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.n; i++) {
        const unsigned char c = (unsigned char)text.p[i];
        if (c > ' ' && c < 0x7f && c != '"' && c != '%') {
            hd_str_add_char(out, text.p[i]);
            continue;
        }
        hd_str_add_char(out, '%');
        hd_str_add_char(out, digits[c >> 4]);
        hd_str_add_char(out, digits[c & 15]);
    }
}

bool
api_event_fields(const struct api_event *from,
                 bool (*add)(void *context, const char *name, const char *value), void *context)
{
    char at[96];
    struct hd_str text = { 0 };

    time_text(from->at_ms, at);
    const struct {
        const char *name;
        struct hd_slice value;
    } rows[] = { { "ce-specversion", HD_LIT("1.0") }, { "ce-id", from->id },
                 { "ce-source", from->resource },     { "ce-type", hd_slice_str(type_of(from)) },
                 { "ce-subject", from->package },     { "ce-time", hd_slice_str(at) },
                 { "ce-statehash", from->version },   { "ce-fired", from->fired } };
    bool good = true;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows) && good; i++) {
        if (!rows[i].value.n)
            continue;
        hd_str_clear(&text);
        out_escaped(&text, rows[i].value);
        good = !text.err && add(context, rows[i].name, hd_str_text(&text));
    }
    hd_str_clear(&text);
    hd_str_add(&text, from->type); /* as it is: no attribute but the body's own field */
    good = good && !text.err && add(context, "Content-Type", hd_str_text(&text));
    hd_str_done(&text);
    return good;
}

void
api_event_sign(struct hd_slice secret, struct hd_slice id, uint64_t timestamp_s,
               struct hd_slice body, char ret[API_SIGNATURE_TEXT])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    struct hd_str text = { 0 };
    unsigned n = 0;

    ret[0] = '\0';
    hd_str_add(&text, id);
    hd_str_add_char(&text, '.');
    hd_str_add_u64(&text, timestamp_s);
    hd_str_add_char(&text, '.');
    hd_str_add(&text, body);
    if (!text.err && HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)text.p,
                          text.n, mac, &n)) {
        memcpy(ret, "v1,", 3);
        (void)EVP_EncodeBlock((unsigned char *)ret + 3, mac, (int)n);
    }
    hd_str_done(&text);
}
