/* log.c - one line from typed fields, as key=value text or as JSON.
 * Peers' octets come in here and may hold anything; they leave as printable characters on one line.
 * Every step that writes does so whole or not at all, and short of the room kept for the end, so a
 * cut line is still a line (and, as JSON, still an object).  No timestamp: the owner of the sink
 * adds it. The sink below is the one piece of changing state at file scope that herald has: a log
 * line must be possible where no context is at hand.  It is set before threads start; only the
 * level changes later. */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/utf8.h"

#define LINE_MAX_LEN 4096
#define LINE_MIN_LEN 64
#define END_ROOM 12 /* the longest end of a cut line: ,"...":true} */
#define LIMIT_BURST 10
#define LIMIT_REFILL_MS 1000

static struct {
    hd_log_sink_f sink;
    void *context;
    enum hd_log_format format;
    _Atomic int most; /* below 0: nothing is wanted */
} log_state = { .most = -1 };

static const char *const level_names[] = {
    [HD_ERROR] = "error", [HD_WARN] = "warn", [HD_INFO] = "info", [HD_DEBUG] = "debug"
};

struct line {
    char *p;
    size_t cap, n;
    bool cut;
};

static bool
line_put(struct line *line, const char *p, size_t n)
{
    if (line->cut || n > line->cap - line->n) {
        line->cut = true;
        return false;
    }
    memcpy(line->p + line->n, p, n);
    line->n += n;
    return true;
}

static bool
line_put_str(struct line *line, const char *text)
{
    return line_put(line, text, strlen(text));
}

static bool
is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static char
short_escape(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

/* How long the character at p is that may stand as it is, 0 when there is none. */
static size_t
shown_len(const unsigned char *p, size_t n)
{
    uint32_t code;
    const size_t len = hd_utf8_take(hd_slice((const char *)p, n), &code);

    return len > 1 && hd_utf8_is_shown(code) ? len : 0;
}

static bool
put_escaped(struct line *line, enum hd_log_format format, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = { '\\', short_escape(c) };

    if (text[1])
        return line_put(line, text, 2);
    if (format == HD_LOG_TEXT) {
        memcpy(text, (char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
        return line_put(line, text, 4);
    }
    memcpy(text, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
    return line_put(line, text, 6);
}

/* A value between quotes; a value that does not fit ends with "..." and its closing quote. */
static void
put_quoted(struct line *line, enum hd_log_format format, struct hd_slice value)
{
    const unsigned char *p = (const unsigned char *)value.p;
    bool ok = line_put(line, "\"", 1);
    bool opened = ok;
    size_t i = 0;

    while (ok && i < value.n) {
        size_t run = 0;

        while (i + run < value.n && is_plain(p[i + run]))
            run++;
        if (run > 0) {
            size_t room = line->cap - line->n;
            if (run > room) {
                (void)line_put(line, value.p + i, room);
                line->cut = true;
                break;
            }
            ok = line_put(line, value.p + i, run);
        } else if (format == HD_LOG_JSON && (run = shown_len(p + i, value.n - i)) > 0) {
            ok = line_put(line, value.p + i, run);
        } else {
            ok = put_escaped(line, format, p[i]);
            run = 1;
        }
        i += run;
    }
    if (!opened)
        return;
    if (!line->cut && line_put(line, "\"", 1))
        return;
    memcpy(line->p + line->n, "...\"", 4); /* the room for the end */
    line->n += 4;
}

static bool
needs_quotes(struct hd_slice value)
{
    for (size_t i = 0; i < value.n; i++)
        if (!is_plain((unsigned char)value.p[i]) || value.p[i] == ' ' || value.p[i] == '=')
            return true;
    return value.n == 0;
}

static void
put_value(struct line *line, enum hd_log_format format, struct hd_slice value, bool number)
{
    if (!number && (format == HD_LOG_JSON || needs_quotes(value) || value.n > line->cap - line->n))
        put_quoted(line, format, value);
    else
        (void)line_put(line, value.p, value.n);
}

/* A field's value as text: either of the slice itself, or written into the buffer. */
static struct hd_slice
field_text(const struct hd_field *field, char buffer[HD_ADDR_TEXT], bool *ret_number)
{
    size_t n = 0;

    *ret_number = true;
    switch (field->type) {
    case HD_FIELD_SLICE:
        *ret_number = false;
        return field->slice;
    case HD_FIELD_U64:
        n = (size_t)snprintf(buffer, HD_ADDR_TEXT, "%llu", (unsigned long long)field->u64);
        break;
    case HD_FIELD_I64:
        n = (size_t)snprintf(buffer, HD_ADDR_TEXT, "%lld", (long long)field->i64);
        break;
    case HD_FIELD_ADDR:
        *ret_number = false;
        if (!field->addr)
            return HD_LIT("-");
        n = hd_addr_text(field->addr, buffer);
        break;
    case HD_FIELD_BOOL:
        return field->u64 ? HD_LIT("true") : HD_LIT("false");
    }
    return hd_slice(buffer, n);
}

static void
put_field(struct line *line, enum hd_log_format format, const char *name, struct hd_slice value,
          bool number)
{
    size_t before = line->n;
    bool ok;

    if (format == HD_LOG_TEXT)
        ok = line_put(line, " ", before > 0) && line_put_str(line, name) && line_put(line, "=", 1);
    else
        ok = line_put_str(line, before > 1 ? ",\"" : "\"") && line_put_str(line, name) &&
             line_put(line, "\":", 2);
    if (ok) {
        size_t named = line->n;
        put_value(line, format, value, number);
        ok = line->n > named;
    }
    if (!ok) /* not even the beginning of the value: no name without one */
        line->n = before;
}

static void
put_end(struct line *line, enum hd_log_format format)
{
    bool in_value = line->cut && line->n >= 4 && memcmp(line->p + line->n - 4, "...\"", 4) == 0;
    const char *end = format == HD_LOG_JSON ? "}" : "";

    if (line->cut && !in_value)
        end = format == HD_LOG_JSON ? ",\"...\":true}" : " ...";
    memcpy(line->p + line->n, end, strlen(end));
    line->n += strlen(end);
}

size_t
hd_log_format(enum hd_log_format format, enum hd_level level, const char *text,
              const struct hd_field *fields, size_t n, char *ret, size_t cap)
{
    struct line line = { .p = ret, .cap = cap - END_ROOM };

    if (cap < LINE_MIN_LEN)
        return 0;
    if (format == HD_LOG_JSON)
        (void)line_put(&line, "{", 1);
    put_field(&line, format, "level", hd_slice_str(level_names[level]), false);
    put_field(&line, format, "msg", hd_slice_str(text), false);
    for (size_t i = 0; i < n && !line.cut; i++) {
        char buffer[HD_ADDR_TEXT];
        bool number;
        struct hd_slice value = field_text(&fields[i], buffer, &number);

        put_field(&line, format, fields[i].name, value, number);
    }
    put_end(&line, format);
    return line.n;
}

void
hd_log_setup(hd_log_sink_f sink, void *context, enum hd_level most, enum hd_log_format format)
{
    log_state.sink = sink;
    log_state.context = context;
    log_state.format = format;
    atomic_store_explicit(&log_state.most, sink ? (int)most : -1, memory_order_release);
}

void
hd_log_level(enum hd_level most)
{
    if (log_state.sink)
        atomic_store_explicit(&log_state.most, (int)most, memory_order_relaxed);
}

bool
hd_log_wanted(enum hd_level level)
{
    return (int)level <= atomic_load_explicit(&log_state.most, memory_order_relaxed);
}

void
hd_log_fields(enum hd_level level, const char *text, const struct hd_field *fields, size_t n)
{
    char line[LINE_MAX_LEN];
    size_t len;

    if (!hd_log_wanted(level))
        return;
    len = hd_log_format(log_state.format, level, text, fields, n, line, sizeof(line));
    log_state.sink(log_state.context, level, hd_slice(line, len));
}

bool
hd_log_allow(struct hd_log_limit *limit, uint64_t now_ms)
{
    uint64_t passed = now_ms > limit->at_ms ? now_ms - limit->at_ms : 0;

    if (limit->told)
        limit->held = 0;
    limit->told = false;
    if (limit->used <= passed / LIMIT_REFILL_MS) {
        limit->used = 0;
        limit->at_ms = now_ms;
    } else {
        limit->used -= (uint32_t)(passed / LIMIT_REFILL_MS);
        limit->at_ms += passed - passed % LIMIT_REFILL_MS;
    }
    if (limit->used >= LIMIT_BURST) {
        if (limit->held < UINT32_MAX)
            limit->held++;
        return false;
    }
    limit->used++;
    limit->told = true;
    return true;
}
