/* log.h - log lines with typed fields; peers' octets are escaped in one place.
 * Thread: any; the sink is set once before threads start.  Use:
 *     HD_LOG(HD_INFO, "no such publication", hd_f_slice("etag", tag), hd_f_u64("n", n));
 * Error = someone must act, warn = degraded, info = lifecycle, debug = per message. */
#ifndef HD_BASE_LOG_H
#define HD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/slice.h"

enum hd_level { HD_ERROR = 0, HD_WARN, HD_INFO, HD_DEBUG };

enum hd_field_type { HD_FIELD_SLICE = 1, HD_FIELD_U64, HD_FIELD_I64, HD_FIELD_ADDR, HD_FIELD_BOOL };

struct hd_field {
    const char *name;
    enum hd_field_type type;
    struct hd_slice slice;
    uint64_t u64;
    int64_t i64;
    const struct hd_addr *addr;
};

static inline struct hd_field
hd_f_slice(const char *name, struct hd_slice value)
{
    return (struct hd_field){ .name = name, .type = HD_FIELD_SLICE, .slice = value };
}
static inline struct hd_field
hd_f_str(const char *name, const char *value)
{
    return hd_f_slice(name, hd_slice_str(value));
}
static inline struct hd_field
hd_f_u64(const char *name, uint64_t value)
{
    return (struct hd_field){ .name = name, .type = HD_FIELD_U64, .u64 = value };
}
static inline struct hd_field
hd_f_i64(const char *name, int64_t value)
{
    return (struct hd_field){ .name = name, .type = HD_FIELD_I64, .i64 = value };
}
static inline struct hd_field
hd_f_addr(const char *name, const struct hd_addr *value)
{
    return (struct hd_field){ .name = name, .type = HD_FIELD_ADDR, .addr = value };
}
static inline struct hd_field
hd_f_bool(const char *name, bool value)
{
    return (struct hd_field){ .name = name, .type = HD_FIELD_BOOL, .u64 = value };
}
static inline struct hd_field
hd_f_err(enum hd_err err)
{
    return hd_f_slice("err", hd_slice_str(hd_err_text(err)));
}

/** Takes one formatted line without newline; called from any thread. */
typedef void (*hd_log_sink_f)(void *context, enum hd_level level, struct hd_slice line);

enum hd_log_format { HD_LOG_TEXT = 0, HD_LOG_JSON };

/** Sets where lines go (NULL: nowhere), what is left out, and the form.  Before threads start;
 * level may change later. */
void hd_log_setup(hd_log_sink_f sink, void *context, enum hd_level most, enum hd_log_format format);
/** Changes what is left out / whether a line of that level goes anywhere / one line, its fields
 * escaped: what HD_LOG calls.  Any thread. */
void hd_log_level(enum hd_level most);
bool hd_log_wanted(enum hd_level level);
void hd_log_fields(enum hd_level level, const char *text, const struct hd_field *fields, size_t n);
/** One line in the given form into a buffer; what does not fit is cut with "...", and JSON stays
 * valid JSON. Returns the length, 0 when cap is below 64.  No NUL.  For tests and the sink. */
size_t hd_log_format(enum hd_log_format format, enum hd_level level, const char *text,
                     const struct hd_field *fields, size_t n, char *ret, size_t cap);

#define HD_LOG(level, text, ...)                                                                   \
    do {                                                                                           \
        if (hd_log_wanted(level)) {                                                                \
            const struct hd_field hd_log_f_[] = { __VA_ARGS__ };                                   \
            hd_log_fields(level, text, hd_log_f_, HD_ARRAY_LEN(hd_log_f_));                        \
        }                                                                                          \
    } while (0)

/* A line without fields. */
#define HD_LOG_PLAIN(level, text)                                                                  \
    do {                                                                                           \
        if (hd_log_wanted(level))                                                                  \
            hd_log_fields(level, text, NULL, 0);                                                   \
    } while (0)

/* A bound on lines that a peer can cause: a bucket of lines that fills again with time. */
struct hd_log_limit {
    uint64_t at_ms;
    uint32_t used; /* of the 10; all zero is a limit that has not been used */
    uint32_t held; /* lines kept back since the last one that was written */
    bool told;     /* the last answer was true: held has been read */
};
/** True when a line may be written now (at most 10 at once, then one per second).  Then limit->held
 * says how many were kept back before it, for a field of that line.  Thread: the owner's of limit.
 */
bool hd_log_allow(struct hd_log_limit *limit, uint64_t now_ms);

#endif
