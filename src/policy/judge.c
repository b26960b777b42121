/* judge.c - the decision about a watcher.
 *
 * The problem: a thousand rules may speak of a resource and a hundred thousand of others, and the
 * answer may not take longer than a microsecond, nor may its time tell a polite block from an
 * allow. So the watcher is turned into the few patterns under which a rule can mean him (himself,
 * his lists, his domain, everybody), each is looked up in three places, and all of them always are:
 * what was found decides only at the end. */
#include "policy/judge.h"

#include <string.h>

#include "policy/book_core.h"

enum scope { SCOPE_RESOURCE = 0, SCOPE_DOMAIN, SCOPE_ALL, SCOPES };
#define PATTERNS_MAX (2 + POL_ADDRESSES_MAX * (2 + 2 * POL_MEMBER_OF_MAX))
#define PLACES_MAX (POL_ADDRESSES_MAX + 2)

/* RFC 3261 section 8.1.1.3 and RFC 3323 section 4.1.1.3 have a name for those without one. */
#define ANONYMOUS HD_LIT("sip:anonymous@anonymous.invalid")

/* The patterns that mean a watcher, the most precise first. */
struct who {
    struct hd_slice patterns[PATTERNS_MAX];
    size_t n;
    char domains[POL_ADDRESSES_MAX][POL_KEY_MAX + 1];
};

/* Where rules that speak of a resource stand. */
struct place {
    enum scope scope;
    struct hd_slice key;
};
struct places {
    struct place place[PLACES_MAX];
    size_t n;
    char domain[POL_KEY_MAX + 1];
};

/* What the rules say together. */
struct tally {
    const struct pol_rule *block, *polite;
    bool polite_opens; /* it means this package in particular, or none of which that is asked */
    const struct pol_rule *grant[SCOPES];
    /* all that grant there, as far as there is room */
    const struct pol_rule *grants[SCOPES][POL_GRANTS_SHOWN];
    uint8_t n_grants[SCOPES];
};

/* "sip:*@domain" of a key; empty when it has no user part. */
static struct hd_slice
domain_pattern(struct hd_slice key, char buffer[POL_KEY_MAX + 1])
{
    static const char start[] = "sip:*";
    const size_t at = hd_slice_find(key, '@'), head = sizeof(start) - 1;

    if (at == key.n || key.n - at + head > POL_KEY_MAX + 1)
        return HD_LIT("");
    memcpy(buffer, start, head);
    memcpy(buffer + head, key.p + at, key.n - at);
    return hd_slice(buffer, head + key.n - at);
}

static void
who_add_lists(struct who *who, const struct pol_book *book, struct hd_slice member)
{
    size_t n;
    const struct hd_slice *names = pol_book_lists_of(book, member, &n);
    for (size_t i = 0; i < n; i++)
        who->patterns[who->n++] = names[i];
}

static bool
is_anonymous(const struct pol_question *q)
{
    return q->proof <= EVT_PROOF_FROM || hd_slice_eq(q->watcher, ANONYMOUS);
}

/* All addresses of record of whoever has this one. */
static const struct hd_slice *
addresses_of(const struct pol_book *book, const struct hd_slice *key, size_t *ret_n)
{
    const struct pol_user *user = pol_book_holder(book, *key);

    *ret_n = user ? user->n_addresses : 1;
    return user ? user->addresses : key;
}

static void
who_add_domain(struct who *who, size_t i, const struct pol_question *q, struct hd_slice address,
               bool lists)
{
    const struct hd_slice domain = domain_pattern(address, who->domains[i]);

    if (domain.n == 0)
        return;
    for (size_t k = 0; k < who->n; k++)
        if (hd_slice_eq(who->patterns[k], domain))
            return;
    who->patterns[who->n++] = domain;
    if (lists)
        who_add_lists(who, q->book, domain);
}

static void
who_fill(struct who *who, const struct pol_question *q)
{
    const bool lists = pol_book_list_count(q->book) > 0;
    size_t n;
    const struct hd_slice *addresses = addresses_of(q->book, &q->watcher, &n);

    who->n = 0;
    for (size_t i = 0; i < n; i++)
        who->patterns[who->n++] = addresses[i];
    for (size_t i = 0; lists && i < n; i++)
        who_add_lists(who, q->book, addresses[i]);
    for (size_t i = 0; i < n; i++)
        who_add_domain(who, i, q, addresses[i], lists);
    who->patterns[who->n++] = is_anonymous(q) ? HD_LIT("anonymous") : HD_LIT("authenticated");
    who->patterns[who->n++] = HD_LIT("*");
}

static void
places_fill(struct places *places, const struct pol_question *q)
{
    size_t n;
    const struct hd_slice *addresses = addresses_of(q->book, &q->resource, &n);

    for (size_t i = 0; i < n; i++)
        places->place[i] = (struct place){ SCOPE_RESOURCE, addresses[i] };
    places->place[n++] =
        (struct place){ SCOPE_DOMAIN, domain_pattern(q->resource, places->domain) };
    places->place[n++] = (struct place){ SCOPE_ALL, HD_LIT("*") };
    places->n = n;
}

/* Whether a rule speaks of this watcher now, where the pattern already does. */
static bool
means_now(const struct pol_rule *rule, const struct pol_question *q)
{
    return pol_rule_holds(rule, q->now_s) &&
           (rule->proofs == 0 || (rule->proofs & POL_PROOF(q->proof)));
}

/* Whether a rule leaves this watcher out. */
static bool
is_excepted(const struct pol_rule *rule, const struct who *who)
{
    for (size_t i = 0; rule->n_except > 0 && i < who->n; i++)
        if (pol_slices_have(rule->except, rule->n_except, who->patterns[i]))
            return true;
    return false;
}

/* The first rule that means no watcher before this one. */
static size_t
rules_lower(const struct pol_rule *rules, size_t n, struct hd_slice watcher)
{
    size_t low = 0;
    while (low < n) {
        const size_t mid = low + (n - low) / 2;
        if (hd_slice_cmp(rules[mid].watcher, watcher) < 0)
            low = mid + 1;
        else
            n = mid;
    }
    return low;
}

/* Watcher information tells who watches: to open it, it must be named (RFC 3857 section 4.6). */
static bool
is_watcher_information(struct hd_slice package)
{
    const struct hd_slice template = HD_LIT(".winfo");
    return package.n > template.n &&
           hd_slice_eq(hd_slice_from(package, package.n - template.n), template);
}

/* Whether what one rule lets see has at least all that another lets see. */
static bool
shows_as_much(const struct pol_book *book, const struct pol_rule *rule, const struct pol_rule *than)
{
    if (rule->transform.n == 0)
        return true;
    if (than->transform.n == 0)
        return false;
    if (hd_slice_eq(rule->transform, than->transform))
        return true;
    const struct pol_transform *one = pol_book_transform(book, rule->transform);
    const struct pol_transform *other = pol_book_transform(book, than->transform);
    HD_ASSERT(one && other); /* what a rule names is there */
    return fmt_reduction_contains(&one->reduction, &other->reduction);
}

/* Whether a grant shows more than another (RFC 4745 section 10.2): allow over confirm, all over a
 * part, a part over what it contains; among those alike, and where neither part contains the other,
 * the one for the more precise watcher stands, which came first, and the one that names the
 * package. */
static bool
grants_more(const struct pol_book *book, const struct pol_rule *rule, const struct pol_rule *than)
{
    if (!than || rule->action != than->action)
        return !than || rule->action == POL_ALLOW;
    const bool more = shows_as_much(book, rule, than), less = shows_as_much(book, than, rule);
    if (more != less)
        return more;
    return hd_slice_eq(rule->watcher, than->watcher) && hd_slice_eq(than->package, HD_LIT("*"));
}

static void
tally_grant(struct tally *tally, enum scope scope, const struct pol_book *book,
            const struct pol_rule *rule)
{
    if (tally->n_grants[scope] < POL_GRANTS_SHOWN)
        tally->grants[scope][tally->n_grants[scope]++] = rule;
    if (grants_more(book, rule, tally->grant[scope]))
        tally->grant[scope] = rule;
}

static void
tally_add(struct tally *tally, enum scope scope, const struct pol_book *book,
          const struct pol_rule *rule, bool opens)
{
    switch (rule->action) {
    case POL_BLOCK:
        if (!tally->block)
            tally->block = rule;
        break;
    case POL_POLITE:
        if (!tally->polite || (opens && !tally->polite_opens)) {
            tally->polite = rule;
            tally->polite_opens = opens;
        }
        break;
    case POL_ALLOW:
    case POL_CONFIRM:
        if (opens)
            tally_grant(tally, scope, book, rule);
        break;
    case POL_PUBLISH:
        break;
    }
}

/* Both tallies: by the rules that act, and as if the shadow rules acted in the place of those that
 * they would replace. */
struct tallies {
    struct tally acts, shadow;
    const struct pol_rule *any_shadow; /* that matches */
};

/* The rules of one place that mean the watcher. */
static void
tally_rules(struct tallies *t, enum scope scope, const struct pol_question *q,
            const struct who *who, const struct pol_rule *rules, size_t n)
{
    const bool winfo = is_watcher_information(q->package->name);

    for (size_t p = 0; p < who->n; p++) {
        const struct pol_rule *replaced = NULL;
        /* From behind: a shadow rule stands behind the one that it would replace. */
        const size_t from = rules_lower(rules, n, who->patterns[p]);
        size_t to = from;
        while (to < n && hd_slice_eq(rules[to].watcher, who->patterns[p]))
            to++;
        while (to-- > from) {
            const struct pol_rule *rule = &rules[to];
            const bool every = hd_slice_eq(rule->package, HD_LIT("*"));
            if (rule->action == POL_PUBLISH ||
                !(every || hd_slice_eq(rule->package, q->package->name)) || !means_now(rule, q) ||
                is_excepted(rule, who))
                continue;
            const bool opens = !(every && winfo);
            if (rule->shadow) {
                t->any_shadow = replaced = rule;
                tally_add(&t->shadow, scope, q->book, rule, opens);
                continue;
            }
            tally_add(&t->acts, scope, q->book, rule, opens);
            if (!replaced || !hd_slice_eq(replaced->package, rule->package))
                tally_add(&t->shadow, scope, q->book, rule, opens);
        }
    }
}

static struct tallies
tally_all(const struct pol_question *q)
{
    struct places places;
    struct tallies t = { 0 };
    struct who who;
    bool known = false;

    places_fill(&places, q);
    for (size_t i = 0; i < places.n; i++) {
        size_t n;
        const struct pol_rule *rules = pol_book_rules(q->book, places.place[i].key, &n);
        if (n == 0)
            continue;
        if (!known)
            who_fill(&who, q);
        known = true;
        tally_rules(&t, places.place[i].scope, q, &who, rules, n);
    }
    return t;
}

static struct evt_verdict
verdict_of(enum evt_decision decision, const struct pol_rule *rule)
{
    return (struct evt_verdict){ .decision = decision, .rule = rule ? rule->id : 0 };
}

/* An allow, as far as its transformation lets see. */
static struct evt_verdict
verdict_allowed(const struct pol_question *q, const struct pol_rule *grant)
{
    struct evt_verdict verdict = verdict_of(EVT_ALLOW, grant);

    if (grant->transform.n == 0)
        return verdict;
    const struct pol_transform *transform = pol_book_transform(q->book, grant->transform);
    HD_ASSERT(transform != NULL); /* what a rule names is there */
    verdict.transform = transform->number;
    return verdict;
}

/* What is decided of an own entry: what counts, what it would be with the shadow rules of the
 * watched package, and the one of them that would decide otherwise, or NULL. */
struct own {
    bool asked; /* the watched package shows it; else this is all nothing */
    struct evt_verdict acts, shadow;
    const struct pol_rule *rule, *shadow_rule;
};

/* What it means for the own entry that somebody may watch, or may not. */
static struct evt_verdict
own_verdict(struct evt_verdict watched)
{
    if (watched.decision != EVT_DENY)
        watched.decision = EVT_OWN;
    watched.transform = 0;
    return watched;
}

/* Who may watch a resource, even if he sees nothing of it yet or a polite answer, may see his own
 * entry among its watchers, where the package says so (RFC 3857 section 4.6), and the entry is the
 * same for all of them.  It is about him and not about the resource, so that he has to show who he
 * is (the same section), and a name that anybody has is nobody's own. */
static struct own
own_entry(const struct pol_question *q)
{
    struct pol_question watched = *q;

    watched.package = q->package->watched;
    if (!watched.package || !watched.package->own_entry || is_anonymous(q))
        return (struct own){ .asked = false };
    const struct pol_judgement judgement = pol_judge(&watched);
    const struct evt_verdict acts = own_verdict(judgement.verdict),
                             shadow = own_verdict(judgement.with_shadow);
    return (struct own){ .asked = true,
                         .acts = acts,
                         .shadow = shadow,
                         .rule = judgement.rule,
                         .shadow_rule =
                             shadow.decision != acts.decision ? judgement.shadow : NULL };
}

/* Of who is granted nothing by rules. */
static struct evt_verdict
verdict_of_package(const struct evt_package *package, const struct evt_verdict *own)
{
    switch (package->authorisation) {
    case EVT_AUTHORISE_ALLOW:
        return verdict_of(EVT_ALLOW, NULL);
    case EVT_AUTHORISE_CONFIRM:
        return verdict_of(EVT_CONFIRM, NULL);
    case EVT_AUTHORISE_OWNER:
    case EVT_AUTHORISE_BLOCK:
        break;
    }
    return *own;
}

static struct evt_verdict
verdict_granted(const struct pol_question *q, const struct pol_rule *grant,
                const struct evt_verdict *own)
{
    if (grant && grant->action == POL_ALLOW)
        return verdict_allowed(q, grant);
    if (grant)
        return verdict_of(EVT_CONFIRM, grant);
    return verdict_of_package(q->package, own);
}

/* Watcher information that others are refused is refused to him too, or it would tell him what he
 * is. */
static const struct pol_rule *
polite_rule(const struct tally *tally, const struct evt_verdict *granted)
{
    return tally->polite_opens || granted->decision != EVT_DENY ? tally->polite : NULL;
}

/* What is polite in watcher information is the own entry (evt_sub_verdict), and under a name that
 * anybody has that would be everybody's: they are refused, as they are without any rule. */
static enum evt_decision
denied(const struct pol_question *q, const struct tally *tally)
{
    if (tally->block || (q->package->watched && hd_slice_eq(q->watcher, ANONYMOUS)))
        return EVT_DENY;
    return EVT_POLITE;
}

/* By the rules of a tally, and with what is decided of the own entry. */
static void
judge_by(const struct pol_question *q, const struct tally *tally, const struct own *own,
         const struct evt_verdict *entry, struct pol_judgement *judgement)
{
    judgement->grant = NULL;
    judgement->n_others = 0;
    for (size_t scope = 0; scope < SCOPES && !judgement->grant; scope++) {
        judgement->grant = tally->grant[scope];
        for (size_t i = 0; i < tally->n_grants[scope]; i++)
            if (tally->grants[scope][i] != judgement->grant)
                judgement->others[judgement->n_others++] = tally->grants[scope][i];
    }
    judgement->granted = verdict_granted(q, judgement->grant, entry);
    judgement->deny = tally->block ? tally->block : polite_rule(tally, &judgement->granted);
    judgement->rule = judgement->deny    ? judgement->deny
                      : judgement->grant ? judgement->grant
                                         : own->rule;
    judgement->by = judgement->deny    ? POL_BY_DENY
                    : judgement->grant ? POL_BY_GRANT
                    : own->asked       ? POL_BY_WATCHED
                                       : POL_BY_PACKAGE;
    judgement->verdict =
        judgement->deny ? verdict_of(denied(q, tally), judgement->deny) : judgement->granted;
}

/* The same as if the shadow rules acted, those of the watched package as well. */
static void
judge_shadow(const struct pol_question *q, const struct tallies *t, const struct own *own,
             struct pol_judgement *judgement)
{
    struct pol_judgement other = { .by = POL_BY_PACKAGE };

    judgement->with_shadow = judgement->verdict;
    if (!t->any_shadow && !own->shadow_rule)
        return;
    judge_by(q, &t->shadow, own, &own->shadow, &other);
    judgement->with_shadow = other.verdict;
    if (other.verdict.decision == judgement->verdict.decision &&
        other.verdict.transform == judgement->verdict.transform)
        return;
    if (other.rule && other.rule->shadow)
        judgement->shadow = other.rule;
    else
        judgement->shadow = own->shadow_rule ? own->shadow_rule : t->any_shadow;
}

bool
pol_same_user(const struct pol_book *book, struct hd_slice one, struct hd_slice other)
{
    if (hd_slice_eq(one, other))
        return true;
    const struct pol_user *user = pol_book_holder(book, one);
    return user && user == pol_book_holder(book, other);
}

struct pol_judgement
pol_judge(const struct pol_question *q)
{
    struct pol_judgement judgement = { .by = POL_BY_PACKAGE };

    if (q->watcher.n == 0)
        return judgement;
    /* Nobody can lock himself out of his own state. */
    if (pol_same_user(q->book, q->watcher, q->resource))
        return (struct pol_judgement){ .verdict = verdict_of(EVT_ALLOW, NULL),
                                       .granted = verdict_of(EVT_ALLOW, NULL),
                                       .by = POL_BY_OWNER };
    const struct tallies t = tally_all(q);
    const struct own own = own_entry(q);
    judge_by(q, &t.acts, &own, &own.acts, &judgement);
    judge_shadow(q, &t, &own, &judgement);
    return judgement;
}

/* Of the rules of one place the one by which he may publish, or NULL. */
static const struct pol_rule *
publisher_rule(const struct pol_question *q, const struct who *who, const struct pol_rule *rules,
               size_t n)
{
    for (size_t p = 0; p < who->n; p++)
        for (size_t i = rules_lower(rules, n, who->patterns[p]);
             i < n && hd_slice_eq(rules[i].watcher, who->patterns[p]); i++)
            if (rules[i].action == POL_PUBLISH &&
                (hd_slice_eq(rules[i].package, HD_LIT("*")) ||
                 hd_slice_eq(rules[i].package, q->package->name)) &&
                means_now(&rules[i], q) && !is_excepted(&rules[i], who))
                return &rules[i];
    return NULL;
}

const struct pol_rule *
pol_judge_publisher(const struct pol_question *q)
{
    struct places places;
    struct who who;

    if (q->watcher.n == 0)
        return NULL;
    who_fill(&who, q);
    places_fill(&places, q);
    for (size_t i = 0; i < places.n; i++) {
        size_t n;
        const struct pol_rule *rules = pol_book_rules(q->book, places.place[i].key, &n);
        const struct pol_rule *rule = n ? publisher_rule(q, &who, rules, n) : NULL;
        if (rule)
            return rule;
    }
    return NULL;
}
