/* package.h - an event package: a validator and a composer behind one interface, and its
 * definition. Definitions are immutable and live as long as the configuration that holds them.
 * Thread: any; ops are pure functions. */
#ifndef HD_EVENT_PACKAGE_H
#define HD_EVENT_PACKAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define EVT_DOC_MAGIC 0x45444f43u

/* One immutable document: event state with its media type.  Shared by reference between shards. */
struct evt_doc {
    unsigned magic;
    _Atomic uint32_t refs;
    struct hd_slice type; /* Content-Type value; points behind the struct */
    struct hd_slice body; /* points behind the struct */
};
/** A copy of both, one block, one reference that is the caller's.  NULL when memory is short. */
struct evt_doc *evt_doc_new(struct hd_slice type, struct hd_slice body);
struct evt_doc *evt_doc_ref(struct evt_doc *doc);
struct evt_doc *evt_doc_unref(struct evt_doc *doc); /* accepts NULL, returns NULL */

/* One publication as a composer sees it. */
struct evt_published {
    struct evt_doc *doc; /* borrowed; immutable, but a composer may take a reference */
    uint32_t number; /* stable over the publication's life and unlike its neighbours': for renaming
                        ids; 0: nobody published it, it is the broker's own (event/kept.h) */
};

enum evt_delivery {
    EVT_DELIVER_STATE = 0, /* the latest state wins */
    EVT_DELIVER_EVERY /* each event matters: a bounded queue per subscription, drops are counted */
};
enum evt_compose {
    EVT_COMPOSE_LATEST = 0,
    EVT_COMPOSE_LIST,
    EVT_COMPOSE_OWN /* the package's own rule */
};
/* Who may see a resource of which no rule speaks. */
enum evt_authorisation {
    EVT_AUTHORISE_OWNER = 0, /* its owner alone */
    EVT_AUTHORISE_ALLOW,     /* everybody */
    EVT_AUTHORISE_BLOCK,     /* as OWNER, said with more weight */
    EVT_AUTHORISE_CONFIRM    /* pending, until a rule decides */
};

/* A watcher of a resource as watcher information shows it (RFC 3857 section 4.7.1). */
enum evt_watcher_status {
    EVT_WATCHER_PENDING = 1,
    EVT_WATCHER_ACTIVE,
    EVT_WATCHER_WAITING,
    EVT_WATCHER_TERMINATED
};
enum evt_watcher_event {
    EVT_WATCHER_SUBSCRIBE = 1,
    EVT_WATCHER_APPROVED,
    EVT_WATCHER_DEACTIVATED,
    EVT_WATCHER_PROBATION,
    EVT_WATCHER_REJECTED,
    EVT_WATCHER_TIMEOUT,
    EVT_WATCHER_GIVEUP,
    EVT_WATCHER_NORESOURCE
};
struct evt_watcher {
    uint64_t id; /* stable, and unlike that of any other subscription */
    enum evt_watcher_status status;
    enum evt_watcher_event event; /* that led there */
    struct hd_slice uri, name;    /* identity, display name; borrowed */
};

/* Presence from registration: whose state is made of what the broker knows. */
struct evt_derived {
    const struct hd_slice *domains; /* lower case; NULL: all */
    size_t n_domains;
    bool beside; /* also beside what the user publishes himself */
    bool calls;  /* being on the phone shows */
};

struct fmt_rule_path;
struct evt_package;
struct evt_package_ops {
    /**
     * Whether a published document may be kept.  Its media type is already one of the package's
     * types.
     * @return HD_OK, with a phrase in ret_reason when a part of it cannot be composed as the
     * package says, which is counted; HD_ESYNTAX (400) with a static phrase in ret_reason;
     * HD_ENOTSUP (415); HD_ENOMEM
     */
    enum hd_err (*validate)(const struct evt_package *package, struct hd_slice type,
                            struct hd_slice body, const char **ret_reason);
    /**
     * What a publication says after a patch of package->patch_type to what it said.  Whether the
     * outcome may be kept is validate()'s business.
     * @param doc      of the publication; of any type
     * @param ret_doc  one reference, the caller's
     * @return HD_OK; HD_ESYNTAX (400) with a static phrase in ret_reason; HD_ENOTSUP (415): what
     * was said is nothing that this patches; HD_ENOMEM
     */
    enum hd_err (*patch)(const struct evt_package *package, const struct evt_doc *doc,
                         struct hd_slice patch, struct evt_doc **ret_doc, const char **ret_reason);
    /**
     * One document out of n >= 1 publications, newest first.
     * @param entity   the resource's URI ("sip:alice@example.test")
     * @param ret_doc  one reference, the caller's; may be a reference to an input document
     * @return HD_OK, HD_ENOMEM, or HD_ESYNTAX when nothing can be composed (the caller keeps the
     * newest as it is)
     */
    enum hd_err (*compose)(const struct evt_package *package, struct hd_slice entity,
                           const struct evt_published *published, size_t n,
                           struct evt_doc **ret_doc);
    /**
     * The document shown while nothing is published.  *ret_doc NULL: a NOTIFY without body.
     * @return HD_OK, HD_ENOMEM
     */
    enum hd_err (*neutral)(const struct evt_package *package, struct hd_slice entity,
                           struct evt_doc **ret_doc);
    /**
     * Where a document has the number that each subscription counts for itself (RFC 4235 section
     * 4.1): the digits, a part of doc->body, in whose place the number goes.  NULL: the package has
     * none.
     * @return false: this document has none
     */
    bool (*hole)(const struct evt_package *package, const struct evt_doc *doc,
                 struct hd_slice *ret_hole);
    /**
     * A document as a subscriber is shown it who takes these types; one rendering serves all who
     * are shown the same.  NULL: documents are shown as they are.
     * @param types    a bit for each of package->types
     * @param base     what he has acknowledged: a partial document is wanted, that says what
     *                 changed since; asked for with evt_package.partial alone.  NULL: a whole one
     * @param ret_doc  one reference, the caller's
     * @return HD_OK; HD_ENOTSUP: with a base, the whole document goes out; without, the document
     * goes out as it is; HD_ENOMEM.  A partial document that is no shorter than the whole one is
     * not used.
     */
    enum hd_err (*render)(const struct evt_package *package, struct hd_slice entity, uint8_t types,
                          const struct evt_doc *base, struct evt_doc *doc,
                          struct evt_doc **ret_doc);
    /**
     * Template packages: the document of the watchers of a resource in package->watched; the same
     * watchers give the same octets.
     * @param entity  the resource's URI
     * @return HD_OK, HD_ENOMEM
     */
    enum hd_err (*watchers)(const struct evt_package *package, struct hd_slice entity,
                            const struct evt_watcher *watchers, size_t n, struct evt_doc **ret_doc);
};

#define EVT_PACKAGE_MAGIC 0x45504b47u
#define EVT_PACKAGE_NAME_MAX 64 /* with the templates' ".winfo" */
#define EVT_PACKAGE_TYPES_MAX 8

struct evt_package {
    unsigned magic;
    struct hd_slice name; /* "presence" */
    const struct evt_package_ops *ops;
    const struct hd_slice *types; /* media types that may be published and are shown; the first is
                                     the default of Accept */
    size_t n_types;
    size_t n_published; /* of them the first so many may be published; the others are forms in which
                           these are shown to subscribers that name them in Accept.  0: all */
    uint32_t first_version; /* of the first document with a version that a subscription is sent */
    uint32_t min_expires_s, default_expires_s, max_expires_s; /* subscriptions and publications */
    uint32_t max_body;                                        /* octets; 0: the general limit */
    uint32_t pace_ms;   /* least time between two NOTIFYs of one subscription, 0: none */
    uint32_t repeat_ms; /* the same where a subscriber wants the state repeated (RFC 6446 sections 6
                           and 7), when it is longer */
    bool supersede;     /* a device's new subscription ends its former one */
    bool own_entry; /* who watches a resource may see his own entry in its watcher information (RFC
                       3857 section 4.6) */
    enum evt_delivery delivery;
    uint32_t queue_max; /* EVT_DELIVER_EVERY: events kept per subscription */
    enum evt_compose compose;
    const struct fmt_rule_path *rules; /* EVT_COMPOSE_LATEST: paths of which the value is made of
                                          all publications; format/json_compose.h */
    size_t n_rules;
    struct hd_slice
        patch_type; /* with SIP-If-Match: changes what a publication said; empty: none */
    enum evt_authorisation authorisation;
    struct hd_slice neutral_type, neutral_body; /* configured packages; empty type: none */
    const struct hd_slice
        *publishers; /* user names that may publish any resource of this package */
    size_t n_publishers;
    bool partial; /* subscribers are sent what changed since what they acknowledged, see render */
    const struct evt_keeper *keeper;   /* makes documents of the broker's own, see event/kept.h; or
                                          NULL */
    bool closed;                       /* nothing is published from outside: 403 */
    const struct evt_derived *derived; /* for the keeper of presence; NULL: nothing is derived */
    bool dialogs;          /* a SUBSCRIBE may choose some of them, see sip/dialog_id.h */
    struct hd_slice feeds; /* a package whose keeper looks at what is published here; empty: none */
    const struct evt_package *winfo;   /* its template package (RFC 3857), found by its name with
                                          ".winfo" behind it; NULL: there is none */
    const struct evt_package *watched; /* of a template package: whose watchers it shows */
};

/** How many of its types may be published. */
static inline size_t
evt_package_published(const struct evt_package *package)
{
    return package->n_published ? package->n_published : package->n_types;
}

#endif
