/* judge.h - the decision: may this watcher see that resource, and by which rule?
 *
 * The order: the owner sees all of his own.  Then the deny lists, of the resource, of its domain
 * and of all, whichever matches: block before polite-block.  Then what grants: the rules of the
 * resource; when none of them speaks of the watcher those of its domain; when none does those for
 * all; of several that match the maximum (RFC 4745 section 10.2), allow over confirm, all of it
 * over a part, and a part over what it contains.  Then the package's authorisation; of watcher
 * information whose watchers may see their own entries, what is decided of the watched package.
 *
 * A user with several addresses of record is one: the rules of each of them are those of all, at
 * the resource and about the watcher.  (Those of a domain speak of the resources in it alone.)
 * Pure; any thread. */
#ifndef HD_POLICY_JUDGE_H
#define HD_POLICY_JUDGE_H

#include "event/ports.h"
#include "policy/book.h"

/* What was asked. */
struct pol_question {
    const struct pol_book *book;
    struct hd_slice watcher; /* identity key; empty: nobody */
    struct hd_slice resource;
    const struct evt_package *package;
    uint64_t now_s;       /* seconds since 1970: which rules are in force */
    enum evt_proof proof; /* how the watcher has shown who he is */
};

/* What decided.  POL_BY_WATCHED: of an own entry in watcher information, what is decided of the
 * watched package; rule and shadow are that package's. */
enum pol_by { POL_BY_OWNER = 1, POL_BY_DENY, POL_BY_GRANT, POL_BY_PACKAGE, POL_BY_WATCHED };

#define POL_GRANTS_SHOWN 8u /* grants of one place that a judgement names */

struct pol_judgement {
    struct evt_verdict verdict; /* what counts */
    enum pol_by by;
    const struct pol_rule *rule;  /* that decided, or NULL */
    const struct pol_rule *deny;  /* what the deny lists say, or NULL */
    const struct pol_rule *grant; /* what the grants say, or NULL */
    struct evt_verdict granted;   /* what it would be without the deny lists */
    /* What else grants in the same place, and shows no more, or something else. */
    const struct pol_rule *others[POL_GRANTS_SHOWN];
    size_t n_others;
    const struct pol_rule *shadow;  /* the shadow rule that would decide otherwise, or NULL */
    struct evt_verdict with_shadow; /* and what it would be then, else as verdict */
};

/** Whether two identity keys are those of one user. */
bool pol_same_user(const struct pol_book *book, struct hd_slice one, struct hd_slice other);
struct pol_judgement pol_judge(const struct pol_question *question);
/** The rule by which he may publish the resource's state, or NULL. */
const struct pol_rule *pol_judge_publisher(const struct pol_question *question);

#endif
