/* judge_test.c - who may see what: deny lists, grants, places, patterns, validity, shadow rules. */
#include "policy/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ALICE "sip:alice@example.test"
#define BOB "sip:bob@example.org"
#define NOW_S 1700000000u

struct world {
    struct pol_book *book;
    enum evt_authorisation authorisation;
    bool anonymous;
};

static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->book = pol_book_new(&(struct hd_hash_key){ 3, 4 });
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;
    pol_book_unref(w->book);
    free(w);
    return 0;
}

static void
take(struct world *w, struct pol_book *next)
{
    pol_book_unref(w->book);
    w->book = next;
}

static uint32_t
put(struct world *w, struct pol_rule rule)
{
    struct pol_book *next;
    uint32_t id;
    if (!rule.package.n)
        rule.package = HD_LIT("*");
    assert_int_equal(pol_book_with_rule(w->book, &rule, &id, &next), HD_OK);
    take(w, next);
    return id;
}

static uint32_t
set(struct world *w, enum pol_action action, const char *resource, const char *watcher)
{
    return put(w, (struct pol_rule){ .action = action,
                                     .resource = hd_slice_str(resource),
                                     .watcher = hd_slice_str(watcher) });
}

static void
drop(struct world *w, const char *resource, uint32_t id)
{
    struct pol_book *next;
    assert_int_equal(pol_book_without_rule(w->book, hd_slice_str(resource), id, &next), HD_OK);
    take(w, next);
}

static void
set_list(struct world *w, const char *name, const char *member)
{
    const struct hd_slice one = hd_slice_str(member);
    struct pol_book *next;
    assert_int_equal(
        pol_book_with_list(w->book, &(struct pol_list){ hd_slice_str(name), &one, 1 }, &next),
        HD_OK);
    take(w, next);
}

static struct pol_judgement
ask(const struct world *w, const char *watcher, const char *package, uint64_t now_s)
{
    const struct evt_package p = { .magic = EVT_PACKAGE_MAGIC,
                                   .name = hd_slice_str(package),
                                   .authorisation = w->authorisation };
    return pol_judge(
        &(struct pol_question){ .book = w->book,
                                .watcher = hd_slice_str(watcher),
                                .resource = HD_LIT(ALICE),
                                .package = &p,
                                .now_s = now_s,
                                .proof = w->anonymous ? EVT_PROOF_FROM : EVT_PROOF_DIGEST });
}

static enum evt_decision
may(const struct world *w, const char *watcher)
{
    return ask(w, watcher, "presence", NOW_S).verdict.decision;
}

/* ---- the order ---- */

static void
where_no_rule_speaks_the_package_decides(void **state)
{
    struct world *w = *state;
    static const enum evt_decision expected[] = {
        [EVT_AUTHORISE_OWNER] = EVT_DENY,
        [EVT_AUTHORISE_ALLOW] = EVT_ALLOW,
        [EVT_AUTHORISE_BLOCK] = EVT_DENY,
        [EVT_AUTHORISE_CONFIRM] = EVT_CONFIRM,
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(expected); i++) {
        w->authorisation = (enum evt_authorisation)i;
        assert_int_equal(may(w, BOB), expected[i]);
        assert_int_equal(ask(w, BOB, "presence", NOW_S).by, POL_BY_PACKAGE);
        assert_int_equal(may(w, ALICE), EVT_ALLOW);
        assert_int_equal(may(w, ""), EVT_DENY);
    }
}

static void
a_deny_list_of_any_place_overrides_every_grant(void **state)
{
    struct world *w = *state;
    static const char *const places[] = { ALICE, "sip:*@example.test", "*" };
    static const char *const patterns[] = { BOB, "@press", "sip:*@example.org", "authenticated",
                                            "*" };
    set_list(w, "press", BOB);
    w->authorisation = EVT_AUTHORISE_ALLOW;
    for (size_t i = 0; i < HD_ARRAY_LEN(places); i++)
        set(w, POL_ALLOW, places[i], BOB);
    for (size_t i = 0; i < HD_ARRAY_LEN(places); i++)
        for (size_t k = 1; k < HD_ARRAY_LEN(patterns); k++) {
            const uint32_t polite = set(w, POL_POLITE, places[i], patterns[k]);
            struct pol_judgement j = ask(w, BOB, "presence", NOW_S);
            assert_int_equal(j.verdict.decision, EVT_POLITE);
            assert_int_equal(j.verdict.rule, polite);
            assert_int_equal(j.by, POL_BY_DENY);
            assert_int_equal(j.granted.decision, EVT_ALLOW); /* both are shown */
            /* A block comes before, wherever it stands. */
            const uint32_t block = set(w, POL_BLOCK, "*", "sip:*@example.org");
            j = ask(w, BOB, "presence", NOW_S);
            assert_int_equal(j.verdict.decision, EVT_DENY);
            assert_int_equal(j.verdict.rule, block);
            assert_int_equal(may(w, ALICE), EVT_ALLOW);
            drop(w, "*", block);
            if (block != polite)
                drop(w, places[i], polite);
            assert_int_equal(may(w, BOB), EVT_ALLOW);
        }
}

/* RFC 4745 section 10.2: the maximum of those that match in one place. */
static void
grants_of_one_place_combine_to_the_maximum(void **state)
{
    struct world *w = *state;
    const uint32_t confirm = set(w, POL_CONFIRM, ALICE, BOB);
    assert_int_equal(may(w, BOB), EVT_CONFIRM);
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, confirm);
    const uint32_t allow = set(w, POL_ALLOW, ALICE, "*");
    assert_int_equal(may(w, BOB), EVT_ALLOW);
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, allow);
    /* Of those alike the most precise is named. */
    const uint32_t domain = set(w, POL_ALLOW, ALICE, "sip:*@example.org");
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, domain);
    const uint32_t package = put(w, (struct pol_rule){ .action = POL_ALLOW,
                                                       .resource = HD_LIT(ALICE),
                                                       .watcher = HD_LIT("sip:*@example.org"),
                                                       .package = HD_LIT("presence") });
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, package);
    assert_int_equal(ask(w, BOB, "dialog", NOW_S).verdict.rule, domain);
}

static void
set_transform(struct world *w, const char *name, const char *provide, const char *hide,
              uint32_t circle_m)
{
    struct hd_slice permissions[8], paths[8], rest = hd_slice_str(provide);
    struct pol_transform t = { .name = hd_slice_str(name),
                               .reduction = {
                                   .provide = permissions, .hide = paths, .circle_m = circle_m } };
    struct pol_book *next;

    while (rest.n)
        permissions[t.reduction.n_provide++] = hd_slice_cut(&rest, ' ');
    for (rest = hd_slice_str(hide); rest.n;)
        paths[t.reduction.n_hide++] = hd_slice_cut(&rest, ' ');
    assert_int_equal(pol_book_with_transform(w->book, &t, &next), HD_OK);
    take(w, next);
}

static uint32_t
allow_through(struct world *w, const char *watcher, const char *transform)
{
    return put(w, (struct pol_rule){ .action = POL_ALLOW,
                                     .resource = HD_LIT(ALICE),
                                     .watcher = hd_slice_str(watcher),
                                     .transform = hd_slice_str(transform) });
}

/* RFC 4745 section 10.2: the union, where it is what one of the rules shows; never what none shows.
 */
static void
of_several_parts_the_one_that_contains_the_others_is_seen(void **state)
{
    struct world *w = *state;
    set_transform(w, "little", "services:class=work", "", 0);
    set_transform(w, "more", "services note", "", 0);
    set_transform(w, "other", "persons activities", "", 0);
    set_transform(w, "coarse", "", "", 5000);
    set_transform(w, "fine", "", "", 1000);
    const uint32_t bob = allow_through(w, BOB, "little");
    const uint32_t domain = allow_through(w, "sip:*@example.org", "more");
    struct pol_judgement j = ask(w, BOB, "presence", NOW_S);
    assert_int_equal(j.verdict.rule, domain);
    assert_int_equal(j.verdict.transform, pol_book_transform(w->book, HD_LIT("more"))->number);
    assert_int_equal(j.n_others, 1);
    assert_int_equal(j.others[0]->id, bob);
    /* Neither contains the other: the more precise watcher's, among those that contain his. */
    const uint32_t all = allow_through(w, "*", "other");
    j = ask(w, BOB, "presence", NOW_S);
    assert_int_equal(j.verdict.rule, domain);
    assert_int_equal(j.n_others, 2);
    (void)allow_through(w, BOB, "other");
    j = ask(w, BOB, "presence", NOW_S);
    assert_int_equal(j.verdict.rule, bob);
    /* All of it contains every part, wherever in the place it stands. */
    const uint32_t whole = allow_through(w, "authenticated", "");
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, whole);
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.transform, 0);
    drop(w, ALICE, whole);
    /* A lesser circle contains a greater one. */
    (void)allow_through(w, BOB, "coarse");
    (void)allow_through(w, "sip:*@example.org", "fine");
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, domain);
    (void)allow_through(w, BOB, "fine");
    (void)allow_through(w, "sip:*@example.org", "coarse");
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, bob);
    drop(w, ALICE, bob);
    drop(w, ALICE, domain);
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, all);
    assert_int_equal(ask(w, BOB, "presence", NOW_S).n_others, 0);
}

static void
a_judgement_names_as_many_grants_as_it_has_room_for(void **state)
{
    struct world *w = *state;
    char name[16], watcher[32];
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(name, sizeof(name), "l%u", i);
        (void)snprintf(watcher, sizeof(watcher), "@l%u", i);
        set_list(w, name, BOB);
        set(w, POL_CONFIRM, ALICE, watcher);
    }
    const uint32_t all = set(w, POL_ALLOW, ALICE, "*");
    const struct pol_judgement j = ask(w, BOB, "presence", NOW_S);
    assert_int_equal(j.verdict.rule, all);
    assert_int_equal(j.n_others, POL_GRANTS_SHOWN);
}

/* What the owner says of his own counts before what is said for his domain, and that before what is
 * said for all. */
static void
the_nearest_place_that_speaks_of_a_watcher_grants(void **state)
{
    struct world *w = *state;
    w->authorisation = EVT_AUTHORISE_ALLOW;
    const uint32_t all = set(w, POL_CONFIRM, "*", "*");
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, all);
    assert_int_equal(may(w, BOB), EVT_CONFIRM);
    const uint32_t domain = set(w, POL_ALLOW, "sip:*@example.test", "*");
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, domain);
    const uint32_t own = set(w, POL_CONFIRM, ALICE, "sip:*@example.org");
    assert_int_equal(ask(w, BOB, "presence", NOW_S).verdict.rule, own);
    assert_int_equal(may(w, BOB), EVT_CONFIRM);
    assert_int_equal(may(w, "sip:bob@example.net"), EVT_ALLOW);
    set(w, POL_ALLOW, "sip:*@example.com", BOB); /* another domain's */
    assert_int_equal(may(w, BOB), EVT_CONFIRM);
}

/* ---- patterns ---- */

static void
each_pattern_means_whom_it_says(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *pattern, *watcher;
        bool anonymous, means;
    } row[] = {
        { BOB, BOB, false, true },
        { BOB, BOB, true, true }, /* on a listener that takes his word for it */
        { BOB, "sip:Bob@example.org", false, false },
        { BOB, "sip:bob@example.org:5070", false, false },
        { "sip:*@example.org", BOB, false, true },
        { "sip:*@example.org", "sip:bob@sub.example.org", false, false },
        { "sip:*@example.org", "sip:bob@example.org:5070", false, false },
        { "sip:*@example.org", "sip:example.org", false, false },
        { "@press", BOB, false, true },
        { "@press", "sip:bob@example.net", false, false },
        { "@orgs", BOB, false, true },
        { "@orgs", "sip:eve@example.org", false, true },
        { "@orgs", "sip:eve@example.net", false, false },
        { "authenticated", BOB, false, true },
        { "authenticated", BOB, true, false },
        { "authenticated", "sip:anonymous@anonymous.invalid", false, false },
        { "anonymous", BOB, true, true },
        { "anonymous", BOB, false, false },
        { "anonymous", "sip:anonymous@anonymous.invalid", false, true },
        { "*", BOB, true, true },
        { "*", "sip:example.org", false, true },
    };
    set_list(w, "press", BOB);
    set_list(w, "orgs", "sip:*@example.org");
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        w->anonymous = row[i].anonymous;
        w->authorisation = EVT_AUTHORISE_OWNER;
        const uint32_t id = set(w, POL_ALLOW, ALICE, row[i].pattern);
        if ((may(w, row[i].watcher) == EVT_ALLOW) != row[i].means)
            fail_msg("row %zu: allow", i);
        w->authorisation = EVT_AUTHORISE_ALLOW;
        set(w, POL_BLOCK, ALICE, row[i].pattern);
        if ((may(w, row[i].watcher) == EVT_DENY) != row[i].means)
            fail_msg("row %zu: block", i);
        drop(w, ALICE, id);
    }
}

/* RFC 4745 section 7.1.3. */
static void
exceptions_are_not_meant(void **state)
{
    struct world *w = *state;
    const struct hd_slice except[] = { HD_LIT(BOB), HD_LIT("sip:*@example.net"), HD_LIT("@press") };
    set_list(w, "press", "sip:eve@example.com");
    w->authorisation = EVT_AUTHORISE_OWNER;
    put(w, (struct pol_rule){ .action = POL_ALLOW,
                              .resource = HD_LIT(ALICE),
                              .watcher = HD_LIT("*"),
                              .except = except,
                              .n_except = 3 });
    assert_int_equal(may(w, BOB), EVT_DENY);
    assert_int_equal(may(w, "sip:carol@example.org"), EVT_ALLOW);
    assert_int_equal(may(w, "sip:carol@example.net"), EVT_DENY);
    assert_int_equal(may(w, "sip:eve@example.com"), EVT_DENY);
    assert_int_equal(may(w, "sip:fay@example.com"), EVT_ALLOW);
    set_list(w, "press", "sip:fay@example.com"); /* a list that changes changes its rules */
    assert_int_equal(may(w, "sip:eve@example.com"), EVT_ALLOW);
    assert_int_equal(may(w, "sip:fay@example.com"), EVT_DENY);
}

/* RFC 4745 section 7.4. */
static void
a_rule_holds_from_its_beginning_until_before_its_end(void **state)
{
    struct world *w = *state;
    static const struct {
        uint64_t from_s, until_s;
        bool holds;
    } row[] = {
        { 0, 0, true },
        { NOW_S, 0, true },
        { NOW_S + 1, 0, false },
        { 0, NOW_S, false },
        { 0, NOW_S + 1, true },
        { NOW_S - 1, NOW_S + 1, true },
        { NOW_S - 2, NOW_S - 1, false },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        put(w, (struct pol_rule){ .action = POL_ALLOW,
                                  .resource = HD_LIT(ALICE),
                                  .watcher = HD_LIT(BOB),
                                  .from_s = row[i].from_s,
                                  .until_s = row[i].until_s });
        if ((may(w, BOB) == EVT_ALLOW) != row[i].holds)
            fail_msg("row %zu", i);
    }
}

static void
watcher_information_is_granted_by_name_alone_and_denied_by_any(void **state)
{
    struct world *w = *state;
    set(w, POL_ALLOW, ALICE, BOB);
    set(w, POL_CONFIRM, ALICE, "sip:*@example.org");
    assert_int_equal(ask(w, BOB, "presence.winfo", NOW_S).verdict.decision, EVT_DENY);
    assert_int_equal(ask(w, ALICE, "presence.winfo", NOW_S).verdict.decision, EVT_ALLOW);
    put(w, (struct pol_rule){ .action = POL_ALLOW,
                              .resource = HD_LIT(ALICE),
                              .watcher = HD_LIT(BOB),
                              .package = HD_LIT("presence.winfo") });
    assert_int_equal(ask(w, BOB, "presence.winfo", NOW_S).verdict.decision, EVT_ALLOW);
    assert_int_equal(ask(w, BOB, "dialog.winfo", NOW_S).verdict.decision, EVT_DENY);
    set(w, POL_POLITE, "*", "sip:*@example.org");
    assert_int_equal(ask(w, BOB, "presence.winfo", NOW_S).verdict.decision, EVT_POLITE);
    /* Who would be refused anyhow is refused: an empty list would tell him that he is blocked. */
    const struct pol_judgement other = ask(w, BOB, "dialog.winfo", NOW_S);
    assert_int_equal(other.verdict.decision, EVT_DENY);
    assert_null(other.deny);
    assert_int_equal(ask(w, BOB, "dialog", NOW_S).verdict.decision, EVT_POLITE);
    put(w, (struct pol_rule){ .action = POL_POLITE,
                              .resource = HD_LIT(ALICE),
                              .watcher = HD_LIT("sip:*@example.org"),
                              .package = HD_LIT("dialog.winfo") });
    assert_int_equal(ask(w, BOB, "dialog.winfo", NOW_S).verdict.decision, EVT_POLITE);
}

/* ---- own entries ---- */

static struct pol_judgement
ask_own(const struct world *w, const char *watcher, const char *template)
{
    const struct evt_package watched = { .magic = EVT_PACKAGE_MAGIC,
                                         .name = HD_LIT("presence"),
                                         .authorisation = w->authorisation,
                                         .own_entry = true };
    const struct evt_package winfo = { .magic = EVT_PACKAGE_MAGIC,
                                       .name = HD_LIT("presence.winfo"),
                                       .watched = &watched };
    const struct evt_package deeper = { .magic = EVT_PACKAGE_MAGIC,
                                        .name = HD_LIT("presence.winfo.winfo"),
                                        .watched = &winfo };
    return pol_judge(
        &(struct pol_question){ .book = w->book,
                                .watcher = hd_slice_str(watcher),
                                .resource = HD_LIT(ALICE),
                                .package = strcmp(template, ".winfo") == 0 ? &winfo : &deeper,
                                .now_s = NOW_S,
                                .proof = w->anonymous ? EVT_PROOF_FROM : EVT_PROOF_DIGEST });
}

/* RFC 3857 section 4.6: whoever is an authorized subscriber of the watched package. */
static void
who_may_watch_may_see_his_own_entry_where_the_package_says_so(void **state)
{
    struct world *w = *state;
    static const struct {
        enum pol_action action;
        enum evt_decision decision;
    } row[] = { { POL_ALLOW, EVT_OWN },
                { POL_POLITE, EVT_OWN },
                { POL_CONFIRM, EVT_OWN },
                { POL_BLOCK, EVT_DENY } };

    assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, EVT_DENY);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const uint32_t rule = put(w, (struct pol_rule){ .action = row[i].action,
                                                        .resource = HD_LIT(ALICE),
                                                        .watcher = HD_LIT(BOB),
                                                        .package = HD_LIT("presence") });
        const struct pol_judgement own = ask_own(w, BOB, ".winfo");
        assert_int_equal(own.verdict.decision, row[i].decision);
        assert_int_equal(own.verdict.rule, rule);
        assert_int_equal(own.verdict.transform, 0);
        assert_int_equal(own.by, POL_BY_WATCHED);
        assert_non_null(own.rule);
        assert_int_equal(own.rule->id, rule);
        /* Who watches the watchers is for the owner alone. */
        assert_int_equal(ask_own(w, BOB, ".winfo.winfo").verdict.decision, EVT_DENY);
        drop(w, ALICE, rule);
    }
    assert_int_equal(ask_own(w, ALICE, ".winfo").verdict.decision, EVT_ALLOW);
    w->authorisation = EVT_AUTHORISE_ALLOW;
    assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, EVT_OWN);
    w->authorisation = EVT_AUTHORISE_CONFIRM;
    assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, EVT_OWN);
}

static void
a_rule_that_names_watcher_information_counts_before_the_own_entry(void **state)
{
    struct world *w = *state;
    static const struct {
        enum pol_action action;
        enum evt_decision decision;
    } row[] = { { POL_ALLOW, EVT_ALLOW },
                { POL_POLITE, EVT_POLITE },
                { POL_CONFIRM, EVT_CONFIRM },
                { POL_BLOCK, EVT_DENY } };

    w->authorisation = EVT_AUTHORISE_ALLOW;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const uint32_t rule = put(w, (struct pol_rule){ .action = row[i].action,
                                                        .resource = HD_LIT(ALICE),
                                                        .watcher = HD_LIT(BOB),
                                                        .package = HD_LIT("presence.winfo") });
        const struct pol_judgement own = ask_own(w, BOB, ".winfo");
        assert_int_equal(own.verdict.decision, row[i].decision);
        assert_int_equal(own.verdict.rule, rule);
        drop(w, ALICE, rule);
    }
}

static void
a_rule_for_all_packages_means_the_own_entry_as_it_means_the_watched_package(void **state)
{
    struct world *w = *state;
    static const enum pol_action row[] = { POL_ALLOW, POL_POLITE, POL_CONFIRM };

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const uint32_t rule = set(w, row[i], ALICE, BOB);
        const enum evt_decision decision = ask_own(w, BOB, ".winfo").verdict.decision;
        /* Both show the own entry, see evt_sub_verdict(). */
        assert_int_equal(decision, row[i] == POL_POLITE ? EVT_POLITE : EVT_OWN);
        assert_int_equal(ask_own(w, BOB, ".winfo.winfo").verdict.decision, EVT_DENY);
        drop(w, ALICE, rule);
    }
    set(w, POL_BLOCK, ALICE, BOB);
    assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, EVT_DENY);
}

/* The entry is about the watcher: who only says who he is may be anybody (RFC 3857 section 4.6). */
static void
who_only_says_who_he_is_sees_no_entry_of_his_own(void **state)
{
    static const enum pol_action row[] = { POL_ALLOW, POL_POLITE, POL_CONFIRM, POL_BLOCK };
    struct world *w = *state;

    w->anonymous = true;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        for (size_t k = 0; k < 2; k++) {
            const uint32_t rule =
                put(w, (struct pol_rule){ .action = row[i],
                                          .resource = HD_LIT(ALICE),
                                          .watcher = HD_LIT(BOB),
                                          .package = k ? HD_LIT("*") : HD_LIT("presence") });
            assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, EVT_DENY);
            drop(w, ALICE, rule);
        }
    }
    w->authorisation = EVT_AUTHORISE_ALLOW;
    assert_int_equal(may(w, BOB), EVT_ALLOW);
    assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, EVT_DENY);
    /* A rule that names watcher information means whoever it means. */
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        static const enum evt_decision decision[] = { EVT_ALLOW, EVT_POLITE, EVT_CONFIRM,
                                                      EVT_DENY };
        const uint32_t rule = put(w, (struct pol_rule){ .action = row[i],
                                                        .resource = HD_LIT(ALICE),
                                                        .watcher = HD_LIT(BOB),
                                                        .package = HD_LIT("presence.winfo") });
        assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, decision[i]);
        drop(w, ALICE, rule);
    }
}

/* Many have the name of those without one (RFC 3323 section 4.1.1.3). */
static void
nobody_has_an_entry_of_his_own_under_a_name_that_anybody_has(void **state)
{
    struct world *w = *state;
    w->authorisation = EVT_AUTHORISE_ALLOW;
    assert_int_equal(may(w, "sip:anonymous@anonymous.invalid"), EVT_ALLOW);
    assert_int_equal(ask_own(w, "sip:anonymous@anonymous.invalid", ".winfo").verdict.decision,
                     EVT_DENY);
    assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, EVT_OWN);
    /* A polite block would show it as well. */
    put(w, (struct pol_rule){ .action = POL_POLITE,
                              .resource = HD_LIT(ALICE),
                              .watcher = HD_LIT("*"),
                              .package = HD_LIT("presence.winfo") });
    assert_int_equal(ask_own(w, "sip:anonymous@anonymous.invalid", ".winfo").verdict.decision,
                     EVT_DENY);
    assert_int_equal(ask_own(w, BOB, ".winfo").verdict.decision, EVT_POLITE);
    set(w, POL_POLITE, ALICE, "*");
    assert_int_equal(may(w, "sip:anonymous@anonymous.invalid"), EVT_POLITE);
}

/* ---- shadow rules ---- */

static void
a_shadow_rule_changes_nothing_and_says_what_it_would(void **state)
{
    struct world *w = *state;
    w->authorisation = EVT_AUTHORISE_ALLOW;
    const uint32_t shadow = put(w, (struct pol_rule){ .action = POL_BLOCK,
                                                      .resource = HD_LIT("*"),
                                                      .watcher = HD_LIT("sip:*@example.org"),
                                                      .shadow = true });
    struct pol_judgement j = ask(w, BOB, "presence", NOW_S);
    assert_int_equal(j.verdict.decision, EVT_ALLOW);
    assert_int_equal(j.verdict.rule, 0);
    assert_non_null(j.shadow);
    assert_int_equal(j.shadow->id, shadow);
    assert_int_equal(j.with_shadow.decision, EVT_DENY);
    assert_null(ask(w, "sip:bob@example.net", "presence", NOW_S).shadow);

    /* It would block whom something blocks already: no change. */
    const uint32_t block = set(w, POL_BLOCK, ALICE, BOB);
    assert_null(ask(w, BOB, "presence", NOW_S).shadow);
    drop(w, ALICE, block);

    /* It would take the place of the rule for the same watcher and package. */
    set(w, POL_BLOCK, ALICE, "*");
    assert_int_equal(may(w, BOB), EVT_DENY);
    put(w, (struct pol_rule){ .action = POL_ALLOW,
                              .resource = HD_LIT(ALICE),
                              .watcher = HD_LIT("*"),
                              .shadow = true });
    j = ask(w, "sip:bob@example.net", "presence", NOW_S);
    assert_int_equal(j.verdict.decision, EVT_DENY);
    assert_int_equal(j.with_shadow.decision, EVT_ALLOW);
    assert_non_null(j.shadow);
}

/* What a shadow rule would do to somebody, it would do to his own entry among the watchers. */
static void
a_shadow_rule_of_the_watched_package_says_what_becomes_of_the_own_entry(void **state)
{
    struct world *w = *state;
    struct pol_rule shadow = { .action = POL_BLOCK,
                               .resource = HD_LIT(ALICE),
                               .watcher = HD_LIT(BOB),
                               .package = HD_LIT("presence"),
                               .shadow = true };

    w->authorisation = EVT_AUTHORISE_ALLOW;
    const uint32_t block = put(w, shadow);
    struct pol_judgement j = ask_own(w, BOB, ".winfo");
    assert_int_equal(j.verdict.decision, EVT_OWN);
    assert_int_equal(j.with_shadow.decision, EVT_DENY);
    assert_non_null(j.shadow);
    assert_int_equal(j.shadow->id, block);
    assert_null(ask_own(w, "sip:bob@example.net", ".winfo").shadow);

    /* A rule that names watcher information counts before. */
    const uint32_t named = put(w, (struct pol_rule){ .action = POL_ALLOW,
                                                     .resource = HD_LIT(ALICE),
                                                     .watcher = HD_LIT(BOB),
                                                     .package = HD_LIT("presence.winfo") });
    assert_null(ask_own(w, BOB, ".winfo").shadow);
    drop(w, ALICE, named);

    /* A polite block for all packages is one where something lets him in. */
    const uint32_t polite = set(w, POL_POLITE, "*", BOB);
    j = ask_own(w, BOB, ".winfo");
    assert_int_equal(j.verdict.decision, EVT_POLITE);
    assert_int_equal(j.with_shadow.decision, EVT_DENY);
    assert_non_null(j.shadow);
    assert_int_equal(j.shadow->id, block);
    drop(w, "*", polite);

    /* Who is to wait, or is blocked politely, sees the entry all the same. */
    shadow.action = POL_POLITE;
    (void)put(w, shadow);
    assert_null(ask_own(w, BOB, ".winfo").shadow);
    assert_int_equal(ask_own(w, BOB, ".winfo").with_shadow.decision, EVT_OWN);
    /* So it is not what would open a list that another shadow rule would. */
    struct pol_rule of_list = { .action = POL_BLOCK,
                                .resource = HD_LIT(ALICE),
                                .watcher = HD_LIT(BOB),
                                .package = HD_LIT("presence.winfo") };
    const uint32_t closed = put(w, of_list);
    of_list.action = POL_CONFIRM;
    of_list.shadow = true;
    const uint32_t opens = put(w, of_list);
    const uint32_t all = put(w, (struct pol_rule){ .action = POL_ALLOW,
                                                   .resource = HD_LIT(ALICE),
                                                   .watcher = HD_LIT("*"),
                                                   .package = HD_LIT("presence.winfo") });
    j = ask_own(w, BOB, ".winfo");
    assert_int_equal(j.verdict.decision, EVT_DENY);
    assert_int_equal(j.with_shadow.decision, EVT_ALLOW);
    assert_non_null(j.shadow);
    assert_int_equal(j.shadow->id, opens);
    drop(w, ALICE, closed);
    drop(w, ALICE, opens);
    drop(w, ALICE, all);

    /* And who is refused would be let in. */
    w->authorisation = EVT_AUTHORISE_OWNER;
    shadow.action = POL_CONFIRM;
    const uint32_t confirm = put(w, shadow);
    j = ask_own(w, BOB, ".winfo");
    assert_int_equal(j.verdict.decision, EVT_DENY);
    assert_int_equal(j.with_shadow.decision, EVT_OWN);
    assert_non_null(j.shadow);
    assert_int_equal(j.shadow->id, confirm);
}

/* ---- publishing ---- */

static void
a_publishing_right_is_no_right_to_watch_and_the_other_way_round(void **state)
{
    struct world *w = *state;
    const struct evt_package p = { .magic = EVT_PACKAGE_MAGIC, .name = HD_LIT("x-fleet") };
    struct pol_question q = { .watcher = HD_LIT(BOB),
                              .resource = HD_LIT(ALICE),
                              .package = &p,
                              .now_s = NOW_S,
                              .proof = EVT_PROOF_DIGEST };
    set(w, POL_ALLOW, ALICE, BOB);
    q.book = w->book;
    assert_null(pol_judge_publisher(&q));
    const uint32_t fleet = put(w, (struct pol_rule){ .action = POL_PUBLISH,
                                                     .resource = HD_LIT("sip:*@example.test"),
                                                     .watcher = HD_LIT("sip:*@example.org"),
                                                     .package = HD_LIT("x-fleet") });
    q.book = w->book;
    assert_non_null(pol_judge_publisher(&q));
    assert_int_equal(pol_judge_publisher(&q)->id, fleet);
    q.resource = HD_LIT("sip:alice@example.com");
    assert_null(pol_judge_publisher(&q));
    q.resource = HD_LIT(ALICE);
    q.watcher = HD_LIT("sip:bob@example.net");
    assert_null(pol_judge_publisher(&q));
    q.watcher = HD_LIT("");
    assert_null(pol_judge_publisher(&q));
    assert_int_equal(may(w, "sip:eve@example.org"), EVT_DENY);
}

/* A thousand rules of the resource, a hundred thousand in all: found as if there were ten. */
static void
among_a_hundred_thousand_rules_the_right_one_is_found(void **state)
{
    struct world *w = *state;
    enum { OWN = 1000, ALL = 100000 };
    struct pol_rule *rules = calloc(ALL, sizeof(*rules));
    char(*texts)[2][40] = calloc(ALL, sizeof(*texts));

    assert_true(rules && texts);
    for (unsigned i = 0; i < ALL; i++) {
        snprintf(texts[i][0], sizeof(texts[i][0]), i < OWN ? ALICE : "sip:r%u@example.test", i / 9);
        snprintf(texts[i][1], sizeof(texts[i][1]), "sip:w%u@example.org", i);
        rules[i] = (struct pol_rule){ .resource = hd_slice_str(texts[i][0]),
                                      .watcher = hd_slice_str(texts[i][1]),
                                      .package = HD_LIT("*"),
                                      .action = i % 2 ? POL_ALLOW : POL_POLITE,
                                      .id = i + 1 };
    }
    struct pol_book *book = NULL;
    assert_int_equal(pol_book_load(&(struct hd_hash_key){ 3, 4 },
                                   &(struct pol_contents){ .rules = rules, .n_rules = ALL }, NULL,
                                   &book),
                     HD_OK);
    take(w, book);
    assert_int_equal(pol_book_rule_count(book), ALL);
    for (unsigned i = 0; i < OWN; i++) {
        const struct pol_judgement j = ask(w, texts[i][1], "presence", NOW_S);
        if (j.verdict.rule != i + 1 || j.verdict.decision != (i % 2 ? EVT_ALLOW : EVT_POLITE))
            fail_msg("%s: %u", texts[i][1], j.verdict.rule);
    }
    assert_int_equal(may(w, texts[OWN][1]), EVT_DENY);
    free(rules);
    free(texts);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* ---- one user, several addresses ---- */

#define ALIAS "sip:+4930@example.test"
#define BOBS "sip:robert@bob.example"

static void
set_user(struct world *w, const char *name, const char *one, const char *other)
{
    const struct hd_slice addresses[] = { hd_slice_str(one), hd_slice_str(other) };
    struct pol_book *next;

    assert_int_equal(pol_book_with_user(w->book,
                                        &(struct pol_user){ .name = hd_slice_str(name),
                                                            .addresses = addresses,
                                                            .n_addresses = 2 },
                                        &next),
                     HD_OK);
    take(w, next);
}

/* Each kind of rule, about each of his addresses, at each of hers, whichever he and she go by. */
static void
rules_about_one_address_are_those_of_all(void **state)
{
    static const struct {
        enum pol_action action;
        enum evt_decision decision;
    } actions[] = { { POL_ALLOW, EVT_ALLOW },
                    { POL_CONFIRM, EVT_CONFIRM },
                    { POL_POLITE, EVT_POLITE },
                    { POL_BLOCK, EVT_DENY } };
    static const char *const hers[] = { ALICE, ALIAS }, *const his[] = {
        BOB, BOBS, "sip:*@bob.example", "sip:*@example.org", "@press", "@robert"
    };
    struct world *w = *state;

    set_user(w, "alice", ALICE, ALIAS);
    set_user(w, "bob", BOB, BOBS);
    set_list(w, "press", BOB);
    set_list(w, "robert", BOBS);
    for (size_t a = 0; a < HD_ARRAY_LEN(actions); a++) {
        w->authorisation =
            actions[a].decision == EVT_ALLOW ? EVT_AUTHORISE_OWNER : EVT_AUTHORISE_ALLOW;
        for (size_t i = 0; i < HD_ARRAY_LEN(hers); i++)
            for (size_t k = 0; k < HD_ARRAY_LEN(his); k++) {
                const uint32_t id = set(w, actions[a].action, hers[i], his[k]);
                if (may(w, BOB) != actions[a].decision || may(w, BOBS) != actions[a].decision)
                    fail_msg("%zu: %s at %s", a, his[k], hers[i]);
                drop(w, hers[i], id);
            }
    }
}

static void
the_rules_of_a_domain_speak_of_the_addresses_in_it(void **state)
{
    struct world *w = *state;

    set_user(w, "alice", ALICE, "sip:alice@press.example");
    set(w, POL_ALLOW, "sip:*@press.example", "*");
    assert_int_equal(may(w, BOB), EVT_DENY);
    set(w, POL_ALLOW, "sip:*@example.test", "*");
    assert_int_equal(may(w, BOB), EVT_ALLOW);
}

static void
by_any_of_his_addresses_somebody_owns_the_others(void **state)
{
    struct world *w = *state;

    set(w, POL_BLOCK, "*", "*");
    assert_int_equal(may(w, ALIAS), EVT_DENY);
    set_user(w, "alice", ALICE, ALIAS);
    assert_int_equal(may(w, ALIAS), EVT_ALLOW);
    assert_int_equal(ask(w, ALIAS, "presence", NOW_S).by, POL_BY_OWNER);
    assert_int_equal(may(w, BOB), EVT_DENY);
}

static void
an_exception_holds_for_all_addresses(void **state)
{
    const struct hd_slice except = HD_LIT(BOBS);
    struct world *w = *state;

    set_user(w, "bob", BOB, BOBS);
    w->authorisation = EVT_AUTHORISE_ALLOW;
    put(w, (struct pol_rule){ .action = POL_BLOCK,
                              .resource = HD_LIT(ALICE),
                              .watcher = HD_LIT("*"),
                              .except = &except,
                              .n_except = 1 });
    assert_int_equal(may(w, BOB), EVT_ALLOW);
    assert_int_equal(may(w, "sip:eve@example.org"), EVT_DENY);
}

/* ---- how he has shown who he is ---- */

static void
a_rule_may_ask_for_a_proof(void **state)
{
    struct world *w = *state;
    const struct evt_package p = { .magic = EVT_PACKAGE_MAGIC,
                                   .name = HD_LIT("presence"),
                                   .authorisation = EVT_AUTHORISE_OWNER };

    for (unsigned proofs = 0; proofs < 64; proofs += 2) {
        put(w, (struct pol_rule){ .action = POL_ALLOW,
                                  .resource = HD_LIT(ALICE),
                                  .watcher = HD_LIT(BOB),
                                  .proofs = (uint8_t)proofs });
        put(w, (struct pol_rule){ .action = POL_PUBLISH,
                                  .resource = HD_LIT(ALICE),
                                  .watcher = HD_LIT(BOB),
                                  .proofs = (uint8_t)proofs });
        for (unsigned proof = EVT_PROOF_FROM; proof <= EVT_PROOF_TOKEN; proof++) {
            const struct pol_question q = { .book = w->book,
                                            .watcher = HD_LIT(BOB),
                                            .resource = HD_LIT(ALICE),
                                            .package = &p,
                                            .now_s = NOW_S,
                                            .proof = (enum evt_proof)proof };
            const bool counts = proofs == 0 || (proofs >> proof & 1);
            assert_int_equal(pol_judge(&q).verdict.decision, counts ? EVT_ALLOW : EVT_DENY);
            assert_int_equal(pol_judge_publisher(&q) != NULL, counts);
        }
    }
    struct pol_book *next;
    assert_int_equal(pol_book_with_rule(w->book,
                                        &(struct pol_rule){ .action = POL_ALLOW,
                                                            .resource = HD_LIT(ALICE),
                                                            .watcher = HD_LIT(BOB),
                                                            .package = HD_LIT("*"),
                                                            .proofs = 1 },
                                        NULL, &next),
                     HD_ESYNTAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(where_no_rule_speaks_the_package_decides),
        CASE(rules_about_one_address_are_those_of_all),
        CASE(the_rules_of_a_domain_speak_of_the_addresses_in_it),
        CASE(by_any_of_his_addresses_somebody_owns_the_others),
        CASE(an_exception_holds_for_all_addresses),
        CASE(a_rule_may_ask_for_a_proof),
        CASE(a_deny_list_of_any_place_overrides_every_grant),
        CASE(grants_of_one_place_combine_to_the_maximum),
        CASE(of_several_parts_the_one_that_contains_the_others_is_seen),
        CASE(a_judgement_names_as_many_grants_as_it_has_room_for),
        CASE(the_nearest_place_that_speaks_of_a_watcher_grants),
        CASE(each_pattern_means_whom_it_says),
        CASE(exceptions_are_not_meant),
        CASE(a_rule_holds_from_its_beginning_until_before_its_end),
        CASE(watcher_information_is_granted_by_name_alone_and_denied_by_any),
        CASE(who_may_watch_may_see_his_own_entry_where_the_package_says_so),
        CASE(a_rule_that_names_watcher_information_counts_before_the_own_entry),
        CASE(a_rule_for_all_packages_means_the_own_entry_as_it_means_the_watched_package),
        CASE(who_only_says_who_he_is_sees_no_entry_of_his_own),
        CASE(nobody_has_an_entry_of_his_own_under_a_name_that_anybody_has),
        CASE(a_shadow_rule_changes_nothing_and_says_what_it_would),
        CASE(a_shadow_rule_of_the_watched_package_says_what_becomes_of_the_own_entry),
        CASE(a_publishing_right_is_no_right_to_watch_and_the_other_way_round),
        CASE(among_a_hundred_thousand_rules_the_right_one_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
