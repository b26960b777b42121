/* test_packages.c - the event packages of the tests' host: bodies are any text, and what a package
 * can ask of the core is one package each. */
#include "event/test_check.h"

enum hd_err
host_text_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
                   const char **ret_reason)
{
    (void)package;
    (void)type;
    if (hd_slice_eq(body, HD_LIT("other")))
        return HD_ENOTSUP;
    if (!hd_slice_eq(body, HD_LIT("bad")))
        return HD_OK;
    *ret_reason = "Bad Body";
    return HD_ESYNTAX;
}

enum hd_err
host_text_compose(const struct evt_package *package, struct hd_slice entity,
                  const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    (void)package;
    (void)entity;
    HD_ASSERT(n > 0);
    if (hd_slice_eq(published[0].doc->body, HD_LIT("alone")))
        return HD_ESYNTAX;
    *ret_doc = evt_doc_ref(published[0].doc);
    return HD_OK;
}

enum hd_err
host_text_neutral(const struct evt_package *package, struct hd_slice entity,
                  struct evt_doc **ret_doc)
{
    (void)entity;
    *ret_doc = NULL;
    if (!package->neutral_body.n)
        return HD_OK;
    *ret_doc = evt_doc_new(HD_LIT("text/plain"), package->neutral_body);
    return *ret_doc ? HD_OK : HD_ENOMEM;
}

const struct evt_package_ops host_text_ops = { .validate = host_text_validate,
                                               .compose = host_text_compose,
                                               .neutral = host_text_neutral };

/* The digit of a body such as "v0: text" is the subscription's to count. */
static bool
count_hole(const struct evt_package *package, const struct evt_doc *doc, struct hd_slice *ret_hole)
{
    (void)package;
    if (doc->body.n < 2 || doc->body.p[0] != 'v')
        return false;
    *ret_hole = hd_slice(doc->body.p + 1, 1);
    return true;
}

static const struct evt_package_ops count_ops = {
    .validate = host_text_validate,
    .compose = host_text_compose,
    .neutral = host_text_neutral,
    .hole = count_hole,
};

/* Who watches, a line "WHO status event" for each, and how many: in the order of their ids. */
uint64_t host_watcher_ids[4];

static enum hd_err
who_watches(const struct evt_package *package, struct hd_slice entity,
            const struct evt_watcher *watchers, size_t n, struct evt_doc **ret_doc)
{
    static const char *const status[] = { "", "pending", "active", "waiting", "terminated" };
    static const char *const event[] = { "",          "subscribe", "approved", "deactivated",
                                         "probation", "rejected",  "timeout",  "giveup",
                                         "noresource" };
    char text[4096];
    size_t at = 0;

    (void)entity;
    CHECK(package->watched);
    for (size_t i = 0; i < n; i++) {
        if (i < HD_ARRAY_LEN(host_watcher_ids))
            host_watcher_ids[i] = watchers[i].id;
        struct hd_slice who = hd_slice_from(watchers[i].uri, 4);
        who.n = hd_slice_find(who, '@');
        if (i < 20)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s %s %s\n", HD_FMT(who),
                                   status[watchers[i].status], event[watchers[i].event]);
    }
    at += (size_t)snprintf(text + at, sizeof(text) - at, "%zu", n);
    *ret_doc = evt_doc_new(HD_LIT("text/plain"), hd_slice(text, at));
    return *ret_doc ? HD_OK : HD_ENOMEM;
}

const struct evt_package_ops host_winfo_ops = {
    .validate = host_text_validate,
    .compose = host_text_compose,
    .neutral = host_text_neutral,
    .watchers = who_watches,
};

const struct hd_slice host_text_types[2] = { { "text/plain", 10 }, { "text/html", 9 } };

#define PACKAGE_OPS(text, own, ...)                                                                \
    {                                                                                              \
        .magic = EVT_PACKAGE_MAGIC, .name = { text, sizeof(text) - 1 }, .ops = &own,               \
        .types = host_text_types, .n_types = 2, .min_expires_s = 60, .default_expires_s = 3600,    \
        .max_expires_s = 86400, .authorisation = EVT_AUTHORISE_ALLOW, __VA_ARGS__                  \
    }
#define PACKAGE(text, ...) PACKAGE_OPS(text, host_text_ops, __VA_ARGS__)
static const struct evt_package packages[HOST_PACKAGES];
static const struct evt_package winfo =
    PACKAGE_OPS("x-state.winfo", host_winfo_ops, .watched = &packages[0],
                .keeper = &evt_watch_keeper, .closed = true);
static const struct evt_package packages[HOST_PACKAGES] = {
    PACKAGE("x-state", .neutral_body = { "(none)", 6 }, .winfo = &winfo),
    PACKAGE("x-every", .delivery = EVT_DELIVER_EVERY, .queue_max = 3),
    PACKAGE("x-paced", .pace_ms = 5000),
    PACKAGE_OPS("x-count", count_ops, .neutral_body = { "v0: none", 8 }),
};
const struct evt_package *const host_packages[HOST_PACKAGES] = { &packages[0], &packages[1],
                                                                 &packages[2], &packages[3] };
