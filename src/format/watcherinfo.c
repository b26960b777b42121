/* watcherinfo.c - who watches a resource, as XML.
 *
 * Names of watchers come from outside and are shown to somebody else: everything is escaped, and a
 * name that XML cannot hold, or that turns the direction of what stands around it, is not shown. */
#include "format/watcherinfo.h"

#include "base/utf8.h"
#include "format/xml.h"
#include "format/xml_keyed.h"

#define NS "urn:ietf:params:xml:ns:watcherinfo"

/* What XML 1.0 can hold, and what shows itself alone: the owner decides by what he reads. */
static bool
is_text(struct hd_slice s)
{
    while (s.n > 0) {
        uint32_t code;
        const size_t n = hd_utf8_take(s, &code);
        if (n == 0 || !hd_utf8_is_shown(code) || code == 0xfffe || code == 0xffff)
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
