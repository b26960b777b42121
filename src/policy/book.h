/* book.h - who may log in and who may watch whom: users with their HA1 values, rules, and lists of
 * people that rules share.
 *
 * A book is immutable and reference-counted: any shard reads it without a lock, an edit makes a new
 * book that shares nearly everything with the old one (its cost does not grow with the number of
 * users). Thread: any; edits return new books.  Memory: a book owns copies of all strings; what it
 * lends lives as long as it. */
#ifndef HD_POLICY_BOOK_H
#define HD_POLICY_BOOK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/slice.h"
#include "format/reduce.h"
#include "sip/digest.h"

#define POL_NAME_MAX 128        /* octets of a user name */
#define POL_REALM_MAX 128       /* octets of a realm */
#define POL_BOOK_MAX 10000000u  /* users, and resources with rules */
#define POL_RULES_MAX 10000u    /* rules of one resource */
#define POL_LOGINS_MAX 8u       /* logins of one user */
#define POL_ADDRESSES_MAX 8u    /* addresses of record of one user */
#define POL_EXCEPT_MAX 100u     /* exceptions of one rule */
#define POL_WORD_MAX 64         /* octets of a list's name */
#define POL_LISTS_MAX 10000u    /* named lists */
#define POL_MEMBERS_MAX 100000u /* members of one list */
#define POL_TRANSFORMS_MAX 200u /* transformations */
#define POL_MEMBER_OF_MAX 64u   /* lists that one member is in */

struct pol_book;

/* What a user logs in with in one realm.  Of (realm, username) there is at most one in a book. */
struct pol_login {
    struct hd_slice realm;
    struct hd_slice username; /* as phones send it; empty as a parameter: the user's name */
    struct hd_slice ha1[SIP_DIGEST_COUNT]; /* lower-case hex, by enum sip_digest_alg; empty: none
                                              for that algorithm */
};

/* One user: one person or service, whatever he logs in with and whatever he is called.  In a book
 * all slices and arrays are borrowed from it; as a parameter they are copied. */
struct pol_user {
    struct hd_slice name; /* "alice"; or "alice@example.test" */
    const struct pol_login *logins;
    const struct hd_slice *addresses; /* his addresses of record, identity keys; the first is what
                                         he is shown as.  None: the one that his name makes */
    uint8_t n_logins, n_addresses;
    uint64_t created_s; /* seconds since 1970 */
};

/* What a rule does (RFC 4745 sections 8 and 9, RFC 5025 section 3.2.1).  BLOCK and POLITE make the
 * deny lists, which override; ALLOW and CONFIRM grant, and combine to the maximum. */
enum pol_action {
    POL_ALLOW = 1,
    POL_CONFIRM, /* pending until somebody decides */
    POL_POLITE,  /* active, and shown the neutral state */
    POL_BLOCK,   /* refused */
    POL_PUBLISH  /* no rule about watching: the "watcher" may publish the resource's state */
};
/** Its word in files and on the admin socket. */
struct hd_slice pol_action_word(enum pol_action action);
/** HD_ENOMATCH: there is no such word. */
HD_NODISCARD enum hd_err pol_action_read(struct hd_slice word, enum pol_action *ret_action);

/* A way of showing who one is (enum evt_proof), as a bit. */
#define POL_PROOF(proof) ((uint8_t)(1u << (proof)))
/** HD_ENOMATCH: no word of evt_proof_word() that a rule can have.  Adds its bit to *proofs. */
HD_NODISCARD enum hd_err pol_proof_read(struct hd_slice word, uint8_t *proofs);

/* How often a shadow rule would have changed a decision; shared by all books that have the rule. */
struct pol_hits {
    _Atomic uint32_t refs;
    _Atomic uint64_t n;
};

/* One rule.  Of (resource, watcher, package) there is at most one that acts, one shadow, and one
 * that lets publish. */
struct pol_rule {
    struct hd_slice resource;  /* resource key, "sip:*@domain" (every one of a domain), or "*" */
    struct hd_slice watcher;   /* an identity key; "sip:*@domain" (everyone of a domain, in lower
                                  case); "@name" (those of a named list); "authenticated",
                                  "anonymous"; or "*" */
    struct hd_slice package;   /* event package name, or "*" */
    struct hd_slice transform; /* POL_ALLOW: name of the transformation through which he sees it;
                                  empty: all of it */
    const struct hd_slice *except; /* those of a watcher that means many who are not meant: identity
                                      keys, "sip:*@domain", "@name"; sorted in a book */
    size_t n_except;
    uint64_t from_s, until_s; /* in force from, and before, these seconds since 1970; 0: no bound
                                 (RFC 4745 section 7.4) */
    uint64_t since_s;         /* when it was set */
    enum pol_action action;
    bool shadow;           /* only counts what it would do */
    uint8_t proofs;        /* ways of showing who he is that count, POL_PROOF of each; 0: any */
    uint32_t id;           /* what a verdict names; never 0 in a book, never used twice */
    struct pol_hits *hits; /* of a shadow rule in a book; not read as a parameter */
};

/* A list of people that rules share: "@name" as a watcher. */
struct pol_list {
    struct hd_slice name;           /* letters, digits, '-', '_', '.' */
    const struct hd_slice *members; /* identity keys and "sip:*@domain", sorted in a book */
    size_t n;
};

/* What is left of a document for those whom a rule lets see it so (RFC 4745 section 9). */
struct pol_transform {
    struct hd_slice name; /* as a list's */
    uint8_t number; /* EVT_TRANSFORM_FIRST to 255, another one after each change; not read as a
                       parameter of an edit */
    struct fmt_reduction reduction;
};

/* All that a book is loaded from. */
struct pol_contents {
    const struct pol_user *users;
    const struct pol_list *lists;
    const struct pol_rule *rules;
    const struct pol_transform *transforms; /* their numbers are kept */
    size_t n_users, n_lists, n_rules, n_transforms;
    uint32_t next_rule; /* the first rule id that edits will give out; raised above all in rules */
    uint8_t next_transform; /* from where on edits look for a number */
};

/* Where in them something cannot be. */
enum pol_part { POL_PART_USER = 1, POL_PART_LIST, POL_PART_TRANSFORM, POL_PART_RULE };
struct pol_place {
    enum pol_part part;
    size_t at;
};

/** An empty book.  key: for its hash tables, any unpredictable value.  One reference, the caller's;
 * NULL when memory is short. */
struct pol_book *pol_book_new(const struct hd_hash_key *key);
struct pol_book *pol_book_ref(struct pol_book *book);
struct pol_book *pol_book_unref(struct pol_book *book); /* accepts NULL, returns NULL */

/**
 * A book with all of these, for loading: later users and lists of a name and later rules of the
 * same resource, watcher, package and kind replace earlier ones.  Rule ids 0 are given one.
 * @param ret_place  where it fails for HD_ESYNTAX.  May be NULL.
 * @return HD_OK with one reference; HD_ESYNTAX a name, realm, HA1, key, pattern or action that
 * cannot be, or a rule by a list that is not there; HD_EFULL; HD_ENOMEM
 */
HD_NODISCARD enum hd_err pol_book_load(const struct hd_hash_key *key,
                                       const struct pol_contents *contents,
                                       struct pol_place *ret_place, struct pol_book **ret_book);

/* Edits: the book is left as it is; *ret_book gets a new one with one reference, on HD_OK only. */

/** Adds a user or replaces the one of that name.  HD_ESYNTAX as in pol_book_load; HD_EEXIST: one of
 * his logins or addresses is another user's; HD_EFULL, HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_with_user(const struct pol_book *book,
                                            const struct pol_user *user,
                                            struct pol_book **ret_book);
/** The same with many, all or none.  *ret_at: with which it failed. */
HD_NODISCARD enum hd_err pol_book_with_users(const struct pol_book *book,
                                             const struct pol_user *users, size_t n, size_t *ret_at,
                                             struct pol_book **ret_book);
/** HD_ENOMATCH: no such user; HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_without_user(const struct pol_book *book, struct hd_slice name,
                                               struct pol_book **ret_book);
/** Sets the rule for (resource, watcher, package) and its kind; one that is there keeps its id.
 * rule->id and hits are not read.
 *  @param ret_id  the rule's id; may be NULL
 *  @return HD_OK; HD_ESYNTAX; HD_ENOMATCH: a list or transformation that is not there; HD_EFULL;
 * HD_ENOMEM */
HD_NODISCARD enum hd_err pol_book_with_rule(const struct pol_book *book,
                                            const struct pol_rule *rule, uint32_t *ret_id,
                                            struct pol_book **ret_book);
/** Removes the rule of that id, resource being its own.  HD_ENOMATCH: there is none; HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_without_rule(const struct pol_book *book,
                                               struct hd_slice resource, uint32_t id,
                                               struct pol_book **ret_book);

/** Sets a list whole; n 0 is an empty list.  HD_ESYNTAX, HD_EFULL, HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_with_list(const struct pol_book *book,
                                            const struct pol_list *list,
                                            struct pol_book **ret_book);
/** HD_ENOMATCH: there is none; HD_EBUSY: rules use it; HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_without_list(const struct pol_book *book, struct hd_slice name,
                                               struct pol_book **ret_book);

/** Sets a transformation; those who see through it see through the new one.  HD_ESYNTAX, HD_EFULL,
 * HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_with_transform(const struct pol_book *book,
                                                 const struct pol_transform *transform,
                                                 struct pol_book **ret_book);
/** HD_ENOMATCH: there is none; HD_EBUSY: rules use it; HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_book_without_transform(const struct pol_book *book,
                                                    struct hd_slice name,
                                                    struct pol_book **ret_book);

/** The user of that name (octet by octet) or NULL. */
const struct pol_user *pol_book_user(const struct pol_book *book, struct hd_slice name);
/** Who logs in with that name in that realm (both octet by octet), or NULL.  *ret_login: with what.
 */
const struct pol_user *pol_book_login(const struct pol_book *book, struct hd_slice realm,
                                      struct hd_slice username, const struct pol_login **ret_login);
/** The user who has that identity key among his addresses of record, or NULL. */
const struct pol_user *pol_book_holder(const struct pol_book *book, struct hd_slice key);
/** What the holder of an identity key is shown as: his first address, or the key itself. */
struct hd_slice pol_book_primary(const struct pol_book *book, struct hd_slice key);
/** The rules of a resource, by watcher and package: *ret_n of them, NULL when there is none. */
const struct pol_rule *pol_book_rules(const struct pol_book *book, struct hd_slice resource,
                                      size_t *ret_n);

/* Which of the rules of one (resource, watcher, package). */
enum pol_kind { POL_KIND_ACTS = 0, POL_KIND_SHADOW, POL_KIND_PUBLISH };
enum pol_kind pol_rule_kind(const struct pol_rule *rule);
/** The rule for exactly (resource, watcher, package) and kind, or NULL. */
const struct pol_rule *pol_book_rule(const struct pol_book *book, struct hd_slice resource,
                                     struct hd_slice watcher, struct hd_slice package,
                                     enum pol_kind kind);
/** The list of that name, or NULL. */
const struct pol_list *pol_book_list(const struct pol_book *book, struct hd_slice name);
/** The transformation of that name or number, or NULL. */
const struct pol_transform *pol_book_transform(const struct pol_book *book, struct hd_slice name);
const struct pol_transform *pol_book_transform_at(const struct pol_book *book, uint8_t number);
/** Whether a list of that name has this very member. */
bool pol_book_is_member(const struct pol_book *book, struct hd_slice name, struct hd_slice member);
/** The lists that have this very member, as rules name them ("@name"): *ret_n of them, NULL when
 * there is none. */
const struct hd_slice *pol_book_lists_of(const struct pol_book *book, struct hd_slice member,
                                         size_t *ret_n);
/**
 * When a rule begins or ceases to be in force next.
 * @return seconds since 1970, later than after_s; UINT64_MAX: never
 */
uint64_t pol_book_next_change(const struct pol_book *book, uint64_t after_s);
/** Whether a rule is in force at a time. */
bool pol_rule_holds(const struct pol_rule *rule, uint64_t now_s);

size_t pol_book_user_count(const struct pol_book *book);
size_t pol_book_rule_count(const struct pol_book *book);
size_t pol_book_list_count(const struct pol_book *book);
uint8_t pol_book_next_transform(const struct pol_book *book);
uint32_t pol_book_next_rule(const struct pol_book *book);

/* Walks in no particular order; visit returns false to stop. */
typedef bool (*pol_user_visit_f)(void *context, const struct pol_user *user);
typedef bool (*pol_rule_visit_f)(void *context, const struct pol_rule *rule);
typedef bool (*pol_list_visit_f)(void *context, const struct pol_list *list);
void pol_book_each_user(const struct pol_book *book, pol_user_visit_f visit, void *context);
void pol_book_each_rule(const struct pol_book *book, pol_rule_visit_f visit, void *context);
void pol_book_each_list(const struct pol_book *book, pol_list_visit_f visit, void *context);

/** The transformations by number, until visit says no. */
typedef bool (*pol_transform_visit_f)(void *context, const struct pol_transform *transform);
void pol_book_each_transform(const struct pol_book *book, pol_transform_visit_f visit,
                             void *context);

/* What one book has and another has not, or not so. */
struct pol_change {
    enum pol_part part;
    bool gone; /* it is of the book before; else of the one after */
    union {    /* by part */
        const struct pol_user *user;
        const struct pol_list *list;
        const struct pol_transform *transform;
        const struct pol_rule *rule;
    };
};
typedef void (*pol_change_f)(void *context, const struct pol_change *change);
/** Visits what makes one book the other: first what goes, then what comes or takes the place of
 * what has its name (rules: its id).  Both have the same key.  The cost does not grow with what
 * both share. */
void pol_book_diff(const struct pol_book *before, const struct pol_book *after, pol_change_f visit,
                   void *context);

/** Whether a user name can be: 1 to POL_NAME_MAX octets of valid UTF-8 without control characters,
 * blanks at the ends, ':' or '"'. */
bool pol_name_ok(struct hd_slice name);
/** Whether a word can name a list: 1 to POL_WORD_MAX letters, digits, '-', '_' and '.'. */
bool pol_word_ok(struct hd_slice word);
/** Whether it is an identity or resource key, "sip:*@domain" included. */
bool pol_key_ok(struct hd_slice key);

#endif
