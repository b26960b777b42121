/* pkg.h - the event packages that are built in, and the one that the configuration declares.
 * Pure; any thread.  The operations are those of struct evt_package_ops; they keep nothing between
 * calls. */
#ifndef HD_PACKAGE_PKG_H
#define HD_PACKAGE_PKG_H

#include "base/slice.h"
#include "event/package.h"

/* Octets of a document when neither the package nor the core bounds it. */
#define PKG_BODY_MAX (1024u * 1024u)

/** presence (RFC 3856): PIDF, composed from all publications; neutral: one closed tuple. */
const struct evt_package_ops *pkg_presence_ops(void);
/** Presence from registration, for packages with evt_package.derived: a tuple that is open while a
 * phone is registered or a published dialog is confirmed, the activity on-the-phone in the latter
 * case; beside what the user publishes as the configuration says. */
const struct evt_keeper *pkg_presence_keeper(void);
/** message-summary (RFC 3842): the newest publication counts; neutral: no messages waiting. */
const struct evt_package_ops *pkg_message_summary_ops(void);
/** dialog (RFC 4235): dialog-info, composed from all publications and always full; neutral: no
 * dialogs. */
const struct evt_package_ops *pkg_dialog_ops(void);
/** reg (RFC 3680): reginfo of our registrar, composed with what others publish; neutral: a
 * registration that is "init". */
const struct evt_package_ops *pkg_reg_ops(void);
const struct evt_keeper *pkg_reg_keeper(void);
/**
 * A package that a section of the configuration declares.  A body whose media type is json or +json
 * must be JSON, one whose type is xml or +xml must be well-formed within the guard's limits, any
 * other is opaque. compose = latest: the newest publication; the next newest when it expires.
 * With rules (format/json_compose.h), the value at a path is made of all publications; JSON alone.
 * compose = list: all publications, newest first: a JSON array of the bodies when all are
 * application/json, else multipart/mixed, its boundary an unquoted token (belle-sip misreads quoted
 * ones).  A list of one is a list, so that its type does not change. Neutral: the configured
 * document, else a NOTIFY without body.
 */
const struct evt_package_ops *pkg_generic_ops(void);

#define PKG_WINFO_NAME 80

/* The template packages of one package. */
struct pkg_winfo {
    struct evt_package package[2];
    char name[2][PKG_WINFO_NAME];
};
/** Applies the template for watcher information to a package, and to itself (RFC 3857 section 4.6:
 * no deeper): application/watcherinfo+xml, kept by the broker, partial where that is shorter, for
 * the owner alone.  winfo has to live as long as the package. */
void pkg_winfo_apply(struct evt_package *package, struct pkg_winfo *winfo);

/** The operations of a package that is built in, by its exact name, or NULL. */
const struct evt_package_ops *pkg_find_builtin(struct hd_slice name);
/** Who makes documents of the broker's own for a package, or NULL. */
const struct evt_keeper *pkg_keeper(struct hd_slice name);
/** The same, and the generic ones for any other name; never NULL. */
const struct evt_package_ops *pkg_ops(struct hd_slice name);
/** The types of presence: PIDF, and the form of it that RFC 5263 sends to who keeps a copy. */
extern const struct hd_slice pkg_presence_types[2];
/** The media type that an absent Accept means in a built-in package (its only type), empty for any
 * other name. */
struct hd_slice pkg_default_type(struct hd_slice name);

#endif
