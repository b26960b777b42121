/* watcherinfo.c - who watches a resource, as XML.
 *
 * Names of watchers come from outside and are shown to somebody else: everything is escaped, and a
 * name that XML cannot hold is not shown. */
#include "format/watcherinfo.h"

#include "format/xml.h"
#include "format/xml_keyed.h"

#define NS "urn:ietf:params:xml:ns:watcherinfo"

/* The length of the UTF-8 character at the front that XML 1.0 can hold; 0: none. */
static size_t
character(struct hd_slice s)
{
    const unsigned char *const p = (const unsigned char *)s.p;
    const size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c = n == 2 ? p[0] & 0x1fu : n == 3 ? p[0] & 0x0fu : p[0] & 0x07u;

    if (n == 1)
        return p[0] >= ' ' && p[0] != 0x7f ? 1 : 0;
    if (n == 0 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < 0xa0 || (n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
        (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff)
        return 0;
    return n;
}

static bool
is_text(struct hd_slice s)
{
    while (s.n > 0) {
        const size_t n = character(s);
        if (n == 0)
            return false;
        s = hd_slice_from(s, n);
    }
    return true;
}

static void
write_watcher(const struct fmt_watcher *watcher, struct hd_str *out)
{
    hd_str_add_str(out, "<watcher id=\"");
    fmt_xml_escape(out, watcher->id);
    hd_str_add_str(out, "\" status=\"");
    hd_str_add(out, watcher->status);
    hd_str_add_str(out, "\" event=\"");
    hd_str_add(out, watcher->event);
    if (watcher->name.n > 0 && is_text(watcher->name)) {
        hd_str_add_str(out, "\" display-name=\"");
        fmt_xml_escape(out, watcher->name);
    }
    hd_str_add_str(out, "\">");
    fmt_xml_write_uri(out, watcher->uri);
    hd_str_add_str(out, "</watcher>\n");
}

void
fmt_watcherinfo_write(struct hd_slice resource, struct hd_slice package,
                      const struct fmt_watcher *watchers, size_t n, struct hd_str *out)
{
    hd_str_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                        "<watcherinfo xmlns=\"" NS "\" version=\"0\" state=\"full\">\n"
                        "<watcher-list resource=\"");
    fmt_xml_write_uri(out, resource);
    hd_str_add_str(out, "\" package=\"");
    fmt_xml_escape(out, package);
    hd_str_add_str(out, "\">\n");
    for (size_t i = 0; i < n; i++)
        write_watcher(&watchers[i], out);
    hd_str_add_str(out, "</watcher-list>\n</watcherinfo>\n");
}

enum hd_err
fmt_watcherinfo_partial(struct hd_slice base, struct hd_slice now, struct hd_str *out)
{
    static const struct fmt_xml_keyed watchers = { .ns = { NS, sizeof(NS) - 1 },
                                                   .name = { "watcher", 7 },
                                                   .depth = 3,
                                                   .over_attribute = { "status", 6 },
                                                   .over = { "terminated", 10 } };
    return fmt_xml_keyed_changes(&watchers, base, now, out);
}
