/* book.h - who may log in and who may watch whom: users with their HA1 values, and allow and block
 * entries per resource.
 *
 * A book is immutable and reference-counted: any shard reads it without a lock, an edit makes a new
 * book that shares nearly everything with the old one (its cost does not grow with the number of
 * users). Thread: any; edits return new books.  Memory: a book owns copies of all strings; what it
 * lends lives as long as it. */
#ifndef HD_POLICY_BOOK_H
#define HD_POLICY_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "sip/digest.h"

#define POL_NAME_MAX 128       /* octets of a user name */
#define POL_REALM_MAX 128      /* octets of a realm */
#define POL_BOOK_MAX 10000000u /* users, and resources with rules */
#define POL_RULES_MAX 10000u   /* rules of one resource */

struct pol_book;

/* One user.  In a book all slices are borrowed from it; as a parameter they are copied. */
struct pol_user {
    struct hd_slice
        name; /* "alice"; or "alice@example.test", when phones send that as their user name */
    struct hd_slice realm;                 /* the realm that the HA1 values were made for */
    struct hd_slice ha1[SIP_DIGEST_COUNT]; /* lower-case hex, by enum sip_digest_alg; empty: none
                                              for that algorithm */
    uint64_t created_s;                    /* seconds since 1970 */
};

enum pol_action { POL_ALLOW = 1, POL_BLOCK };

/* One entry of a resource's list. */
struct pol_rule {
    struct hd_slice resource; /* resource key, "sip:alice@example.test" */
    struct hd_slice
        watcher; /* an identity key, "sip:*@domain" (everyone of a domain, in lower case), or "*" */
    struct hd_slice package; /* event package name, or "*" */
    enum pol_action action;
    uint32_t id; /* what a verdict names; never 0 in a book, never used twice */
};

/** An empty book.  key: for its hash tables, any unpredictable value.  One reference, the caller's;
 * NULL when memory is short. */
struct pol_book *pol_book_new(const struct hd_hash_key *key);
struct pol_book *pol_book_ref(struct pol_book *book);
struct pol_book *pol_book_unref(struct pol_book *book); /* accepts NULL, returns NULL */

/**
 * A book with all of these, for loading: later users of a name and later rules of the same
 * resource, watcher and package replace earlier ones.
 * @param next_rule  the first rule id that edits will give out; raised above all ids in rules.  Ids
 * 0 are given one.
 * @param ret_at     where it fails for HD_ESYNTAX: index in users, or n_users + index in rules. May
 * be NULL.
 * @return HD_OK with one reference; HD_ESYNTAX a name, realm, HA1, key or action that cannot be;
 * HD_EFULL; HD_ENOMEM
 */
HD_NODISCARD enum hd_err pol_book_load(const struct hd_hash_key *key, const struct pol_user *users,
                                       size_t n_users, const struct pol_rule *rules, size_t n_rules,
                                       uint32_t next_rule, size_t *ret_at,
                                       struct pol_book **ret_book);

/* Edits: the book is left as it is; *ret_book gets a new one with one reference, on HD_OK only. */

/** Adds a user or replaces the one of that name.  HD_ESYNTAX as in pol_book_load, HD_EFULL,
 * HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_with_user(const struct pol_book *book,
                                            const struct pol_user *user,
                                            struct pol_book **ret_book);
/** HD_ENOMATCH: no such user; HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_without_user(const struct pol_book *book, struct hd_slice name,
                                               struct pol_book **ret_book);
/** Sets the action for (resource, watcher, package); an entry that is there keeps its id.  rule->id
 * is not read.
 *  @param ret_id  the entry's id; may be NULL
 *  @return HD_OK; HD_ESYNTAX; HD_EFULL; HD_ENOMEM */
HD_NODISCARD enum hd_err pol_book_with_rule(const struct pol_book *book,
                                            const struct pol_rule *rule, uint32_t *ret_id,
                                            struct pol_book **ret_book);
/** HD_ENOMATCH: no entry for (resource, watcher, package); HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_without_rule(const struct pol_book *book,
                                               struct hd_slice resource, struct hd_slice watcher,
                                               struct hd_slice package, struct pol_book **ret_book);

/** The user of that name (octet by octet) or NULL. */
const struct pol_user *pol_book_user(const struct pol_book *book, struct hd_slice name);
/** The rules of a resource, by watcher and package: *ret_n of them, NULL when there is none. */
const struct pol_rule *pol_book_rules(const struct pol_book *book, struct hd_slice resource,
                                      size_t *ret_n);

/** The entry for exactly (resource, watcher, package), or NULL. */
const struct pol_rule *pol_book_rule(const struct pol_book *book, struct hd_slice resource,
                                     struct hd_slice watcher, struct hd_slice package);

size_t pol_book_user_count(const struct pol_book *book);
size_t pol_book_rule_count(const struct pol_book *book);
uint32_t pol_book_next_rule(const struct pol_book *book);

/* Walks in no particular order; visit returns false to stop. */
typedef bool (*pol_user_visit_f)(void *context, const struct pol_user *user);
typedef bool (*pol_rule_visit_f)(void *context, const struct pol_rule *rule);
void pol_book_each_user(const struct pol_book *book, pol_user_visit_f visit, void *context);
void pol_book_each_rule(const struct pol_book *book, pol_rule_visit_f visit, void *context);

/** Whether a user name can be: 1 to POL_NAME_MAX octets of valid UTF-8 without control characters,
 * blanks at the ends, ':' or '"'. */
bool pol_name_ok(struct hd_slice name);

#endif
