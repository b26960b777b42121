/* fuzz_fmt_watcherinfo.c - who watches: names come from outside and are shown to somebody else.
 * Whatever they hold, what is written is well-formed and says how many watchers there are; what
 * changed between two documents is well-formed too.
 *
 * Two lists, cut by a line of '%'; a line for each watcher: a letter for his status, his URI, a
 * blank, his name. */
#include "fuzz.h"

#include "format/watcherinfo.h"
#include "format/xml_keyed.h"

#define MAX ((size_t)1 << 20)
#define WATCHERS 16

/* The key of a URI is printable ASCII (sip_resource_key). */
static bool
is_key(struct hd_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0;
}

/* The watcher of a line, with one of the words of RFC 3857 section 4.7.1. */
static struct fmt_watcher
watcher_of(struct hd_slice line)
{
    static const struct hd_slice status[] = {
        { "active", 6 }, { "pending", 7 }, { "waiting", 7 }, { "terminated", 10 }
    };
    const struct hd_slice rest = hd_slice_from(line, line.n > 0);
    const size_t at = hd_slice_find(rest, ' ');
    const struct hd_slice uri = hd_slice(rest.p, at);

    return (struct fmt_watcher){ .id = is_key(uri) ? uri : HD_LIT("none"),
                                 .uri = is_key(uri) ? uri : HD_LIT("sip:none@example.test"),
                                 .name = hd_slice_from(rest, at < rest.n ? at + 1 : at),
                                 .status = status[line.n > 0 ? line.p[0] & 3 : 0],
                                 .event = HD_LIT("subscribe") };
}

static unsigned
count(struct hd_slice text, struct hd_slice what)
{
    unsigned n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += hd_slice_starts(hd_slice_from(text, i), what);
    return n;
}

static void
write_list(struct hd_slice lines, struct hd_str *out)
{
    struct fmt_watcher watchers[WATCHERS];
    const char *reason;
    unsigned n = 0;

    while (lines.n > 0 && n < WATCHERS) {
        const size_t end = hd_slice_find(lines, '\n');
        watchers[n++] = watcher_of(hd_slice(lines.p, end));
        lines = hd_slice_from(lines, end < lines.n ? end + 1 : end);
    }
    fmt_watcherinfo_write(HD_LIT("sip:bob@example.test"), HD_LIT("presence"), watchers, n, out);
    FUZZ_CHECK(!out->err && fmt_xml_check(hd_str_slice(out), MAX, &reason) == HD_OK);
    FUZZ_CHECK(count(hd_str_slice(out), HD_LIT("<watcher ")) == n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    struct hd_slice pieces[2];
    const size_t n = fuzz_split(fuzz_copy(data, size, &copy), pieces, 2);
    struct hd_str docs[2] = { { 0 }, { 0 } }, partial = { 0 };
    const char *reason;

    for (size_t i = 0; i < n; i++)
        write_list(pieces[i], &docs[i]);
    if (n > 1 &&
        fmt_watcherinfo_partial(hd_str_slice(&docs[0]), hd_str_slice(&docs[1]), &partial) == HD_OK)
        FUZZ_CHECK(fmt_xml_check(hd_str_slice(&partial), MAX, &reason) == HD_OK);
    hd_str_done(&docs[0]);
    hd_str_done(&docs[1]);
    hd_str_done(&partial);
    free(copy);
    return 0;
}
