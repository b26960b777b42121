/* winfo.c - the template package for watcher information (RFC 3857): who watches a resource in some
 * package, for the owner of the resource.
 *
 * Its documents are made by the broker alone, out of the subscriptions that there are (see
 * event/watch.c); nothing is published.  A template is applied to each package, and once more to
 * the template itself, and no deeper (section 4.6). */
#include <stdio.h>
#include <stdlib.h>

#include "event/kept.h"
#include "event/package.h"
#include "format/watcherinfo.h"
#include "format/xml_keyed.h"
#include "package/body.h"
#include "package/pkg.h"

#define WINFO_TYPE HD_LIT("application/watcherinfo+xml")
#define ID_TEXT 17

static enum hd_err
winfo_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
               const char **ret_reason)
{
    (void)package;
    (void)type;
    (void)body;
    *ret_reason = "watcher information is not published";
    return HD_ESYNTAX;
}

static enum hd_err
winfo_compose(const struct evt_package *package, struct hd_slice entity,
              const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    (void)package;
    (void)entity;
    HD_ASSERT(n > 0);
    *ret_doc = evt_doc_ref(published[n - 1].doc);
    return HD_OK;
}

static struct hd_slice
status_name(enum evt_watcher_status status)
{
    switch (status) {
    case EVT_WATCHER_PENDING:
        return HD_LIT("pending");
    case EVT_WATCHER_ACTIVE:
        return HD_LIT("active");
    case EVT_WATCHER_WAITING:
        return HD_LIT("waiting");
    case EVT_WATCHER_TERMINATED:
        return HD_LIT("terminated");
    }
    HD_ASSERT(false);
    return HD_LIT("");
}

static struct hd_slice
event_name(enum evt_watcher_event event)
{
    switch (event) {
    case EVT_WATCHER_SUBSCRIBE:
        return HD_LIT("subscribe");
    case EVT_WATCHER_APPROVED:
        return HD_LIT("approved");
    case EVT_WATCHER_DEACTIVATED:
        return HD_LIT("deactivated");
    case EVT_WATCHER_PROBATION:
        return HD_LIT("probation");
    case EVT_WATCHER_REJECTED:
        return HD_LIT("rejected");
    case EVT_WATCHER_TIMEOUT:
        return HD_LIT("timeout");
    case EVT_WATCHER_GIVEUP:
        return HD_LIT("giveup");
    case EVT_WATCHER_NORESOURCE:
        return HD_LIT("noresource");
    }
    HD_ASSERT(false);
    return HD_LIT("");
}

static enum hd_err
winfo_watchers(const struct evt_package *package, struct hd_slice entity,
               const struct evt_watcher *watchers, size_t n, struct evt_doc **ret_doc)
{
    struct fmt_watcher *const rows = calloc(n + 1, sizeof(*rows));
    char(*const ids)[ID_TEXT] = calloc(n + 1, sizeof(*ids));
    struct hd_str out = { 0 };

    HD_ASSERT(package->watched != NULL);
    if (!rows || !ids) {
        free(rows);
        free(ids);
        return HD_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(ids[i], ID_TEXT, "%016llx", (unsigned long long)watchers[i].id);
        rows[i] = (struct fmt_watcher){ .id = hd_slice(ids[i], ID_TEXT - 1),
                                        .uri = watchers[i].uri,
                                        .name = watchers[i].name,
                                        .status = status_name(watchers[i].status),
                                        .event = event_name(watchers[i].event) };
    }
    fmt_watcherinfo_write(entity, package->watched->name, rows, n, &out);
    free(rows);
    free(ids);
    return pkg_doc_take(WINFO_TYPE, &out, ret_doc);
}

/* What is shown while facts are not there: nobody.  (A polite block shows the own entry.) */
static enum hd_err
winfo_neutral(const struct evt_package *package, struct hd_slice entity, struct evt_doc **ret_doc)
{
    return winfo_watchers(package, entity, NULL, 0, ret_doc);
}

static bool
winfo_hole(const struct evt_package *package, const struct evt_doc *doc, struct hd_slice *ret_hole)
{
    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    return fmt_xml_root_version(doc->body, ret_hole);
}

static enum hd_err
winfo_render(const struct evt_package *package, struct hd_slice entity, uint8_t types,
             const struct evt_doc *base, struct evt_doc *doc, struct evt_doc **ret_doc)
{
    struct hd_str out = { 0 };

    HD_ASSERT_OBJ(package, EVT_PACKAGE_MAGIC);
    (void)entity;
    (void)types;
    const enum hd_err err =
        base ? fmt_watcherinfo_partial(base->body, doc->body, &out) : HD_ENOTSUP;
    if (!err)
        return pkg_doc_take(WINFO_TYPE, &out, ret_doc);
    hd_str_done(&out);
    return err;
}

static const struct evt_package_ops winfo_ops = {
    .validate = winfo_validate,
    .compose = winfo_compose,
    .neutral = winfo_neutral,
    .hole = winfo_hole,
    .render = winfo_render,
    .watchers = winfo_watchers,
};

/* A template for watched, under the name that stands in name (room for PKG_WINFO_NAME). */
static void
winfo_make(const struct evt_package *watched, char *name, struct evt_package *ret)
{
    static const struct hd_slice type = { "application/watcherinfo+xml", 27 };
    const int n = snprintf(name, PKG_WINFO_NAME, "%.*s.winfo", HD_FMT(watched->name));

    HD_ASSERT(n > 0 && n < PKG_WINFO_NAME);
    *ret = (struct evt_package){ .magic = EVT_PACKAGE_MAGIC,
                                 .name = hd_slice(name, (size_t)n),
                                 .ops = &winfo_ops,
                                 .types = &type,
                                 .n_types = 1,
                                 .min_expires_s = 60,
                                 .default_expires_s = 3600, /* RFC 3857 section 4.4 */
                                 .max_expires_s = 86400,
                                 .pace_ms = 5000, /* section 4.10 */
                                 .delivery = EVT_DELIVER_STATE,
                                 .compose = EVT_COMPOSE_OWN,
                                 .authorisation = EVT_AUTHORISE_OWNER,
                                 .partial = true,
                                 .keeper = &evt_watch_keeper,
                                 .closed = true,
                                 .watched = watched };
}

void
pkg_winfo_apply(struct evt_package *package, struct pkg_winfo *winfo)
{
    winfo_make(package, winfo->name[0], &winfo->package[0]);
    package->winfo = &winfo->package[0];
    winfo_make(&winfo->package[0], winfo->name[1], &winfo->package[1]);
    winfo->package[0].winfo = &winfo->package[1];
}
