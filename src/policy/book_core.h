/* book_core.h - what the files of the book share: book.c (its life), users.c, rules.c, lists.c,
 * transforms.c.
 * Private to them and their test. */
#ifndef HD_POLICY_BOOK_CORE_H
#define HD_POLICY_BOOK_CORE_H

#include "policy/book.h"
#include "policy/index.h"

#define POL_BOOK_MAGIC 0x504f424bu
#define POL_KEY_MAX 255    /* octets of a resource or identity key */
#define POL_PACKAGE_MAX 64 /* octets of an event package name */

struct pol_book {
    unsigned magic;
    _Atomic uint32_t refs;
    struct hd_hash_key key;
    uint32_t next_rule;
    size_t n_rules;
    struct pol_index users;                     /* struct user_item, by name */
    struct pol_index logins;                    /* struct user_ref, by realm and user name */
    struct pol_index holders;                   /* struct user_ref, by address of record */
    struct pol_index rules;                     /* struct pol_rule_list, by resource */
    struct pol_index timed;                     /* those of them that have a bound in time */
    struct pol_index lists;                     /* struct list_item of lists.c, by name */
    struct pol_index members;                   /* which lists have a member, by member */
    struct pol_index transforms;                /* struct transform_item, by name */
    const struct pol_transform *by_number[256]; /* of these */
    uint8_t next_transform;
};

/* The rules of one resource, of a domain, or of all: sorted by watcher, package and kind, none
 * twice. */
struct pol_rule_list {
    struct pol_item item;
    size_t n;
    struct pol_rule rules[]; /* the slices of their exceptions follow, then all text */
};

/** A copy that nobody else sees yet; NULL when memory is short. */
struct pol_book *pol_book_copy(const struct pol_book *book);
/** Of a key of an index of this book. */
static inline uint64_t
pol_book_hash(const struct pol_book *book, struct hd_slice key)
{
    return hd_hash(&book->key, key);
}
/** Text for people: 1 to max octets of UTF-8 without control characters, no blank at the ends. */
bool pol_text_ok(struct hd_slice text, size_t max);
/** Copies a text to *at and moves on. */
struct hd_slice pol_text_put(char **at, struct hd_slice s);
/** Slices in the order of hd_slice_cmp(), and whether sorted ones have this one. */
void pol_slices_sort(struct hd_slice *slices, size_t n);
bool pol_slices_have(const struct hd_slice *slices, size_t n, struct hd_slice one);
/** Compares as rules are sorted: watcher, package, kind. */
int pol_rule_order(const struct pol_rule *a, const struct pol_rule *b);

/* Into a book that nobody else sees yet.  HD_ESYNTAX with *ret_at, HD_ENOMATCH (a list is missing),
 * HD_EEXIST (a login or an address is another user's), HD_EFULL, HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_rules_load(struct pol_book *book, const struct pol_rule *rules,
                                        size_t n, uint32_t next_rule, size_t *ret_at);
HD_NODISCARD enum hd_err pol_users_load(struct pol_book *book, const struct pol_user *users,
                                        size_t n, size_t *ret_at);
HD_NODISCARD enum hd_err pol_transforms_load(struct pol_book *book,
                                             const struct pol_transform *transforms, size_t n,
                                             uint8_t next_transform, size_t *ret_at);
HD_NODISCARD enum hd_err pol_lists_load(struct pol_book *book, const struct pol_list *lists,
                                        size_t n, size_t *ret_at);

#endif
