/* book_test.c - the book of users and rules: edits make new books, old ones stay as they were. */
#include <stdlib.h>

/* Allocations count down to a failure; below zero none fails. */
static int allocations_left = -1;

static int
allocation_fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

static void *
test_malloc_(size_t n)
{
    return allocation_fails() ? NULL : malloc(n);
}

static void *
test_calloc_(size_t n, size_t size)
{
    return allocation_fails() ? NULL : calloc(n, size);
}

#define malloc test_malloc_
#define calloc test_calloc_
#include "policy/book.c"
#include "policy/index.c"
#include "policy/lists.c"
#include "policy/rules.c"
#include "policy/transforms.c"
#undef malloc
#undef calloc

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MD5 "0123456789abcdef0123456789abcdef"
#define SHA MD5 MD5

static const struct hd_hash_key test_key = { 11, 22 };

static struct pol_user
user(const char *name)
{
    static const struct pol_login login = {
        .realm = { "example.test", 12 },
        .ha1 = { [SIP_DIGEST_MD5] = { MD5, 32 }, [SIP_DIGEST_SHA256] = { SHA, 64 } },
    };
    return (struct pol_user){
        .name = hd_slice_str(name), .logins = &login, .n_logins = 1, .created_s = 1700000000
    };
}

static struct pol_rule
rule(const char *resource, const char *watcher, const char *package, enum pol_action action)
{
    return (struct pol_rule){ .resource = hd_slice_str(resource),
                              .watcher = hd_slice_str(watcher),
                              .package = hd_slice_str(package),
                              .action = action };
}

static struct pol_book *
with_user(struct pol_book *book, const char *name)
{
    struct pol_book *next = NULL;
    const struct pol_user u = user(name);
    assert_int_equal(pol_book_with_user(book, &u, &next), HD_OK);
    pol_book_unref(book);
    return next;
}

static struct pol_book *
with_rule(struct pol_book *book, const char *resource, const char *watcher, const char *package,
          enum pol_action action, uint32_t *ret_id)
{
    struct pol_book *next = NULL;
    const struct pol_rule r = rule(resource, watcher, package, action);
    assert_int_equal(pol_book_with_rule(book, &r, ret_id, &next), HD_OK);
    pol_book_unref(book);
    return next;
}

static enum hd_err
load(const struct pol_user *users, size_t n_users, const struct pol_rule *rules, size_t n_rules,
     uint32_t next_rule, struct pol_place *ret_place, struct pol_book **ret_book)
{
    return pol_book_load(&test_key,
                         &(struct pol_contents){ .users = users,
                                                 .n_users = n_users,
                                                 .rules = rules,
                                                 .n_rules = n_rules,
                                                 .next_rule = next_rule },
                         ret_place, ret_book);
}

static void
a_user_that_was_added_is_found_and_no_other(void **state)
{
    (void)state;
    struct pol_book *book = with_user(pol_book_new(&test_key), "alice");
    const struct pol_user *u = pol_book_user(book, HD_LIT("alice"));
    assert_non_null(u);
    assert_true(hd_slice_eq(u->logins[0].ha1[SIP_DIGEST_SHA256], HD_LIT(SHA)));
    assert_true(hd_slice_eq(u->logins[0].ha1[SIP_DIGEST_MD5], HD_LIT(MD5)));
    assert_int_equal(u->logins[0].ha1[SIP_DIGEST_NONE].n, 0);
    assert_true(hd_slice_eq(u->logins[0].realm, HD_LIT("example.test")));
    assert_int_equal(u->created_s, 1700000000);
    assert_null(pol_book_user(book, HD_LIT("Alice")));
    assert_null(pol_book_user(book, HD_LIT("alic")));
    assert_null(pol_book_user(book, HD_LIT("")));
    pol_book_unref(book);
}

static void
an_edit_leaves_the_old_book_as_it_was(void **state)
{
    (void)state;
    struct pol_book *one = with_user(pol_book_new(&test_key), "alice"), *two = NULL, *three = NULL;
    struct pol_user changed = user("alice");
    changed.created_s = 5;
    assert_int_equal(pol_book_with_user(one, &changed, &two), HD_OK);
    assert_int_equal(pol_book_without_user(one, HD_LIT("alice"), &three), HD_OK);
    assert_int_equal(pol_book_user(one, HD_LIT("alice"))->created_s, 1700000000);
    assert_int_equal(pol_book_user(two, HD_LIT("alice"))->created_s, 5);
    assert_int_equal(pol_book_user_count(two), 1);
    assert_null(pol_book_user(three, HD_LIT("alice")));
    assert_int_equal(pol_book_user_count(three), 0);
    pol_book_unref(one);
    assert_int_equal(pol_book_user(two, HD_LIT("alice"))->created_s, 5);
    pol_book_unref(two);
    pol_book_unref(three);
}

static void
removing_who_is_not_there_says_so(void **state)
{
    (void)state;
    struct pol_book *book = pol_book_new(&test_key), *next = NULL;
    assert_int_equal(pol_book_without_user(book, HD_LIT("alice"), &next), HD_ENOMATCH);
    assert_int_equal(pol_book_without_rule(book, HD_LIT("sip:a@b"), 1, &next), HD_ENOMATCH);
    assert_int_equal(pol_book_without_list(book, HD_LIT("staff"), &next), HD_ENOMATCH);
    assert_null(next);
    pol_book_unref(book);
}

static void
names_that_two_readers_could_read_differently_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice name;
        bool ok;
    } row[] = {
        { { "", 0 }, false },
        { { "a", 1 }, true },
        { { "*", 1 }, false },
        { { "a b", 3 }, true },
        { { " a", 2 }, false },
        { { "a ", 2 }, false },
        { { "a:b", 3 }, false },
        { { "a\"b", 3 }, false },
        { { "a\0b", 3 }, false },
        { { "a\nb", 3 }, false },
        { { "\x7f", 1 }, false },
        { { "\xc3\xa4", 2 }, true },
        { { "\xc3", 1 }, false },
        { { "\xc3\x28", 2 }, false },
        { { "\xc0\x80", 2 }, false },
        { { "\xc2\x85", 2 }, false },
        { { "\xe2\x80\xae", 3 }, false },
        { { "\xe2\x82\xac", 3 }, true },
        { { "\xe0\x80\x80", 3 }, false },
        { { "\xed\xa0\x80", 3 }, false },
        { { "\xf0\x9f\x98\x80", 4 }, true },
        { { "\xf4\x90\x80\x80", 4 }, false },
        { { "\xf8\x88\x80\x80\x80", 5 }, false },
        { { "alice@example.test", 18 }, true },
    };
    char longest[POL_NAME_MAX + 1];
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (pol_name_ok(row[i].name) != row[i].ok)
            fail_msg("row %zu", i);
    memset(longest, 'x', sizeof(longest));
    assert_true(pol_name_ok(hd_slice(longest, POL_NAME_MAX)));
    assert_false(pol_name_ok(hd_slice(longest, POL_NAME_MAX + 1)));
}

static void
a_user_with_a_broken_ha1_or_realm_is_refused(void **state)
{
    (void)state;
    struct pol_book *book = pol_book_new(&test_key), *next = NULL;
    struct pol_user u = user("alice");
    struct pol_login login = u.logins[0];
    u.logins = &login;
    login.ha1[SIP_DIGEST_MD5] =
        HD_LIT("0123456789ABCDEF0123456789abcdef"); /* hashed as text: the case counts */
    assert_int_equal(pol_book_with_user(book, &u, &next), HD_ESYNTAX);
    login.ha1[SIP_DIGEST_MD5] = HD_LIT("0123");
    assert_int_equal(pol_book_with_user(book, &u, &next), HD_ESYNTAX);
    login.ha1[SIP_DIGEST_MD5] = HD_LIT("");
    assert_int_equal(pol_book_with_user(book, &u, &next), HD_OK);
    next = pol_book_unref(next);
    login.realm = HD_LIT("");
    assert_int_equal(pol_book_with_user(book, &u, &next), HD_ESYNTAX);
    pol_book_unref(book);
}

static void
a_rule_is_found_by_resource_watcher_and_package(void **state)
{
    (void)state;
    uint32_t first, second;
    size_t n;
    struct pol_book *book = with_rule(pol_book_new(&test_key), "sip:alice@example.test",
                                      "sip:bob@example.test", "presence", POL_ALLOW, &first);
    book = with_rule(book, "sip:alice@example.test", "*", "*", POL_BLOCK, &second);
    assert_int_not_equal(first, 0);
    assert_int_not_equal(first, second);
    const struct pol_rule *rules = pol_book_rules(book, HD_LIT("sip:alice@example.test"), &n);
    assert_int_equal(n, 2);
    assert_int_equal(rules[0].id, second); /* "*" sorts first */
    const struct pol_rule *r =
        pol_book_rule(book, HD_LIT("sip:alice@example.test"), HD_LIT("sip:bob@example.test"),
                      HD_LIT("presence"), POL_KIND_ACTS);
    assert_non_null(r);
    assert_int_equal(r->id, first);
    assert_int_equal(r->action, POL_ALLOW);
    assert_null(pol_book_rule(book, HD_LIT("sip:alice@example.test"),
                              HD_LIT("sip:bob@example.test"), HD_LIT("*"), POL_KIND_ACTS));
    assert_null(pol_book_rules(book, HD_LIT("sip:bob@example.test"), &n));
    assert_int_equal(n, 0);
    pol_book_unref(book);
}

static void
a_rule_that_is_set_again_keeps_its_id_and_ids_are_never_used_twice(void **state)
{
    (void)state;
    uint32_t first, again, other;
    struct pol_book *book =
                        with_rule(pol_book_new(&test_key), "sip:a@b", "*", "*", POL_ALLOW, &first),
                    *next;
    book = with_rule(book, "sip:a@b", "*", "*", POL_BLOCK, &again);
    assert_int_equal(first, again);
    assert_int_equal(pol_book_rule_count(book), 1);
    assert_int_equal(
        pol_book_rule(book, HD_LIT("sip:a@b"), HD_LIT("*"), HD_LIT("*"), POL_KIND_ACTS)->action,
        POL_BLOCK);
    assert_int_equal(pol_book_without_rule(book, HD_LIT("sip:a@b"), first, &next), HD_OK);
    pol_book_unref(book);
    assert_int_equal(pol_book_rule_count(next), 0);
    book = with_rule(next, "sip:a@b", "*", "*", POL_ALLOW, &other);
    assert_int_not_equal(other, first);
    pol_book_unref(book);
}

static void
rules_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *resource, *watcher, *package;
        unsigned action;
    } row[] = {
        { "", "*", "*", POL_ALLOW },
        { "alice", "*", "*", POL_ALLOW },
        { "sip:@b", "*", "*", POL_ALLOW },
        { "sip:a@", "*", "*", POL_ALLOW },
        { "tel:1@b", "*", "*", POL_ALLOW },
        { "sip:a@b c", "*", "*", POL_ALLOW },
        { "sip:a@b", "", "*", POL_ALLOW },
        { "sip:a@b", "bob", "*", POL_ALLOW },
        { "sip:a@b", "*", "", POL_ALLOW },
        { "sip:a@b", "*", "x y", POL_ALLOW },
        { "sip:a@b", "*", "*", 0 },
        { "sip:a@b", "*", "*", 6 },
        { "*@b", "*", "*", POL_ALLOW },
        { "sip:a@b", "@", "*", POL_ALLOW },
        { "sip:a@b", "@a b", "*", POL_ALLOW },
        { "sip:a@b", "nobody", "*", POL_ALLOW },
    };
    struct pol_book *book = pol_book_new(&test_key), *next = NULL;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct pol_rule r =
            rule(row[i].resource, row[i].watcher, row[i].package, (enum pol_action)row[i].action);
        if (pol_book_with_rule(book, &r, NULL, &next) != HD_ESYNTAX)
            fail_msg("row %zu", i);
    }
    pol_book_unref(book);
}

static void
loading_takes_the_last_of_equal_entries_and_numbers_those_without_id(void **state)
{
    (void)state;
    struct pol_user users[] = { user("alice"), user("bob"), user("alice") };
    users[2].created_s = 7;
    struct pol_rule rules[] = {
        rule("sip:b@x", "*", "*", POL_ALLOW),
        rule("sip:a@x", "sip:c@x", "*", POL_ALLOW),
        rule("sip:a@x", "sip:*@y", "*", POL_BLOCK),
        rule("sip:a@x", "sip:c@x", "*", POL_BLOCK),
    };
    rules[3].id = 9;
    struct pol_book *book = NULL;
    size_t n;
    assert_int_equal(load(users, 3, rules, 4, 3, NULL, &book), HD_OK);
    assert_int_equal(pol_book_user_count(book), 2);
    assert_int_equal(pol_book_user(book, HD_LIT("alice"))->created_s, 7);
    assert_int_equal(pol_book_rule_count(book), 3);
    const struct pol_rule *r = pol_book_rules(book, HD_LIT("sip:a@x"), &n);
    assert_int_equal(n, 2);
    assert_true(hd_slice_eq(r[0].watcher, HD_LIT("sip:*@y")));
    assert_int_equal(r[1].id, 9);
    assert_int_equal(r[1].action, POL_BLOCK);
    assert_true(r[0].id > 9 && r[0].id < pol_book_next_rule(book));
    pol_book_unref(book);
}

static void
loading_says_where_it_fails(void **state)
{
    (void)state;
    struct pol_user users[] = { user("alice"), user("a:b") };
    struct pol_rule rules[] = { rule("sip:a@b", "*", "*", POL_ALLOW),
                                rule("x", "*", "*", POL_ALLOW) };
    struct pol_book *book = NULL;
    struct pol_place place = { .at = 0 };
    assert_int_equal(load(users, 2, rules, 2, 1, &place, &book), HD_ESYNTAX);
    assert_int_equal(place.part, POL_PART_USER);
    assert_int_equal(place.at, 1);
    assert_int_equal(load(users, 1, rules, 2, 1, &place, &book), HD_ESYNTAX);
    assert_int_equal(place.part, POL_PART_RULE);
    assert_int_equal(place.at, 1);
    assert_null(book);
}

static void
ids_that_are_used_up_are_not_used_again(void **state)
{
    (void)state;
    struct pol_rule r = rule("sip:a@b", "*", "*", POL_ALLOW);
    struct pol_book *book = NULL, *next = NULL;
    r.id = UINT32_MAX - 1;
    assert_int_equal(load(NULL, 0, &r, 1, 1, NULL, &book), HD_OK);
    r = rule("sip:a@b", "sip:c@b", "*", POL_ALLOW);
    assert_int_equal(pol_book_with_rule(book, &r, NULL, &next), HD_EFULL);
    r = rule("sip:a@b", "*", "*", POL_BLOCK);
    assert_int_equal(pol_book_with_rule(book, &r, NULL, &next), HD_OK);
    pol_book_unref(next);
    pol_book_unref(book);
}

static bool
count_user(void *context, const struct pol_user *u)
{
    unsigned *count = context;
    (void)u;
    return ++*count != 7;
}

static bool
count_rule(void *context, const struct pol_rule *r)
{
    unsigned *count = context;
    (void)r;
    return ++*count != 3;
}

static void
thousands_of_edits_keep_every_user_findable(void **state)
{
    (void)state;
    enum { N = 5000 };
    struct pol_book *book = pol_book_new(&test_key);
    char name[16];
    unsigned count = 7;

    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "u%d", i);
        book = with_user(book, name);
    }
    for (int i = 0; i < N; i += 2) {
        struct pol_book *next = NULL;
        snprintf(name, sizeof(name), "u%d", i);
        assert_int_equal(pol_book_without_user(book, hd_slice_str(name), &next), HD_OK);
        pol_book_unref(book);
        book = next;
    }
    assert_int_equal(pol_book_user_count(book), N / 2);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "u%d", i);
        if (!pol_book_user(book, hd_slice_str(name)) != (i % 2 == 0))
            fail_msg("%s", name);
    }
    pol_book_each_user(book, count_user, &count);
    assert_int_equal(count, 7 + N / 2);
    count = 0;
    pol_book_each_user(book, count_user, &count);
    assert_int_equal(count, 7);
    pol_book_unref(book);
}

static void
a_walk_over_rules_sees_all_or_stops_when_told(void **state)
{
    (void)state;
    struct pol_book *book = pol_book_new(&test_key);
    book = with_rule(book, "sip:a@b", "*", "*", POL_ALLOW, NULL);
    book = with_rule(book, "sip:a@b", "sip:c@b", "*", POL_ALLOW, NULL);
    book = with_rule(book, "sip:b@b", "*", "*", POL_ALLOW, NULL);
    book = with_rule(book, "sip:c@b", "*", "*", POL_ALLOW, NULL);
    unsigned count = 3;
    pol_book_each_rule(book, count_rule, &count);
    assert_int_equal(count, 7);
    count = 0;
    pol_book_each_rule(book, count_rule, &count);
    assert_int_equal(count, 3);
    pol_book_unref(book);
}

static void
a_hundred_thousand_users_load_and_share_their_pages_with_an_edit(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct pol_user *users = calloc(N, sizeof(*users));
    char(*names)[16] = calloc(N, sizeof(*names));
    struct pol_book *book = NULL, *next = NULL;
    unsigned shared = 0;

    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "u%d", i);
        users[i] = user(names[i]);
    }
    assert_int_equal(load(users, N, NULL, 0, 1, NULL, &book), HD_OK);
    assert_int_equal(pol_book_user_count(book), N);
    const struct pol_user u = user("new");
    assert_int_equal(pol_book_with_user(book, &u, &next), HD_OK);
    for (unsigned i = 0; i < POL_PAGES; i++)
        shared += book->users.pages[i] == next->users.pages[i];
    assert_int_equal(shared, POL_PAGES - 1);
    assert_int_equal(pol_book_user_count(next), N + 1);
    pol_book_unref(book);
    assert_non_null(pol_book_user(next, HD_LIT("u99999")));
    pol_book_unref(next);
    free(users);
    free(names);
}

/* Each allocation of an edit fails once, in turn: the old book is whole, and nothing leaks (the
 * sanitizer looks). */
static void
a_failed_allocation_leaves_the_book_whole(void **state)
{
    (void)state;
    struct pol_book *book = with_user(pol_book_new(&test_key), "alice"), *next = NULL;
    book = with_rule(book, "sip:a@b", "*", "*", POL_ALLOW, NULL);
    const struct pol_user u = user("bob");
    const struct pol_rule r = rule("sip:a@b", "sip:c@b", "*", POL_ALLOW);
    const struct pol_rule rules[] = { r, rule("sip:b@b", "*", "*", POL_BLOCK) };

    const struct hd_slice members[] = { HD_LIT("sip:c@b"), HD_LIT("sip:*@x") };
    const struct pol_list l = { HD_LIT("staff"), members, 2 };
    assert_int_equal(pol_book_with_list(book, &l, &next), HD_OK);
    pol_book_unref(book);
    book = next;
    next = NULL;
    struct pol_rule shadow = rule("sip:a@b", "*", "*", POL_BLOCK);
    shadow.shadow = true;
    shadow.except = members;
    shadow.n_except = 2;

    for (int step = 0; step < 8; step++) {
        enum hd_err err = HD_ENOMEM;
        int left;
        for (left = 0; err == HD_ENOMEM; left++) {
            assert_true(left < 30);
            allocations_left = left;
            switch (step) {
            case 0:
                err = pol_book_with_user(book, &u, &next);
                break;
            case 1:
                err = pol_book_without_user(book, HD_LIT("alice"), &next);
                break;
            case 2:
                err = pol_book_with_rule(book, &r, NULL, &next);
                break;
            case 3:
                err = pol_book_without_rule(book, HD_LIT("sip:a@b"), 1, &next);
                break;
            case 4:
                err = load(&u, 1, rules, 2, 1, NULL, &next);
                break;
            case 5:
                err = pol_book_with_rule(book, &shadow, NULL, &next);
                break;
            case 6:
                err = pol_book_with_list(
                    book, &(struct pol_list){ HD_LIT("staff"), members + 1, 1 }, &next);
                break;
            case 7:
                err = pol_book_without_list(book, HD_LIT("staff"), &next);
                break;
            }
            allocations_left = -1;
            assert_int_equal(pol_book_user_count(book), 1);
            assert_int_equal(pol_book_rule_count(book), 1);
            assert_non_null(pol_book_user(book, HD_LIT("alice")));
            assert_true(pol_book_is_member(book, HD_LIT("staff"), HD_LIT("sip:c@b")));
        }
        assert_int_equal(err, HD_OK);
        assert_true(left > 2);
        next = pol_book_unref(next);
    }
    pol_book_unref(book);
}

static struct pol_book *
with_list(struct pol_book *book, const char *name, const struct hd_slice *members, size_t n)
{
    struct pol_book *next = NULL;
    assert_int_equal(
        pol_book_with_list(book, &(struct pol_list){ hd_slice_str(name), members, n }, &next),
        HD_OK);
    pol_book_unref(book);
    return next;
}

static void
a_list_and_the_entries_of_its_members_say_the_same(void **state)
{
    (void)state;
    const struct hd_slice bob = HD_LIT("sip:bob@x"), org = HD_LIT("sip:*@org"),
                          eve = HD_LIT("sip:eve@x");
    const struct hd_slice one[] = { bob, org, bob }, two[] = { bob }, three[] = { eve, bob };
    struct pol_book *book = with_list(pol_book_new(&test_key), "staff", one, 3);
    size_t n;

    book = with_list(book, "press", two, 1);
    assert_int_equal(pol_book_list(book, HD_LIT("staff"))->n, 2); /* none twice */
    const struct hd_slice *lists = pol_book_lists_of(book, bob, &n);
    assert_int_equal(n, 2);
    assert_true(hd_slice_eq(lists[0], HD_LIT("@press")));
    assert_true(hd_slice_eq(lists[1], HD_LIT("@staff")));
    assert_true(pol_book_is_member(book, HD_LIT("staff"), org));
    assert_false(pol_book_is_member(book, HD_LIT("press"), org));
    assert_false(pol_book_is_member(book, HD_LIT("nobody"), org));

    book = with_list(book, "staff", three, 2);
    assert_null(pol_book_lists_of(book, org, &n));
    assert_non_null(pol_book_lists_of(book, eve, &n));
    (void)pol_book_lists_of(book, bob, &n);
    assert_int_equal(n, 2);
    book = with_list(book, "staff", NULL, 0);
    (void)pol_book_lists_of(book, bob, &n);
    assert_int_equal(n, 1);
    assert_int_equal(pol_book_list_count(book), 2);
    pol_book_unref(book);
}

static void
a_list_that_rules_use_stays_and_one_that_is_not_there_makes_no_rule(void **state)
{
    (void)state;
    const struct hd_slice bob = HD_LIT("sip:bob@x"), staff = HD_LIT("@staff");
    struct pol_book *book = pol_book_new(&test_key), *next = NULL;
    struct pol_rule r = rule("sip:a@b", "@staff", "*", POL_ALLOW);
    assert_int_equal(pol_book_with_rule(book, &r, NULL, &next), HD_ENOMATCH);
    book = with_list(book, "staff", &bob, 1);
    book = with_rule(book, "sip:a@b", "@staff", "*", POL_ALLOW, NULL);
    assert_int_equal(pol_book_without_list(book, HD_LIT("staff"), &next), HD_EBUSY);
    assert_int_equal(pol_book_without_rule(book, HD_LIT("sip:a@b"), 1, &next), HD_OK);
    pol_book_unref(book);
    book = next;
    r = rule("sip:a@b", "*", "*", POL_ALLOW);
    r.except = &staff;
    r.n_except = 1;
    assert_int_equal(pol_book_with_rule(book, &r, NULL, &next), HD_OK);
    pol_book_unref(book);
    book = next;
    assert_int_equal(pol_book_without_list(book, HD_LIT("staff"), &next), HD_EBUSY);
    pol_book_unref(book);
}

static void
a_member_is_in_so_many_lists_and_no_more(void **state)
{
    (void)state;
    const struct hd_slice bob = HD_LIT("sip:bob@x");
    struct pol_book *book = pol_book_new(&test_key), *next = NULL;
    char name[16];
    for (unsigned i = 0; i < POL_MEMBER_OF_MAX; i++) {
        snprintf(name, sizeof(name), "l%u", i);
        book = with_list(book, name, &bob, 1);
    }
    assert_int_equal(pol_book_with_list(book, &(struct pol_list){ HD_LIT("more"), &bob, 1 }, &next),
                     HD_EFULL);
    book = with_list(book, "l7", NULL, 0);
    book = with_list(book, "more", &bob, 1);
    pol_book_unref(book);
}

static void
a_rule_keeps_all_that_it_was_given(void **state)
{
    (void)state;
    const struct hd_slice except[] = { HD_LIT("sip:z@b"), HD_LIT("sip:*@c") };
    struct pol_book *book = pol_book_new(&test_key), *next = NULL;
    struct pol_rule r = rule("*", "authenticated", "dialog", POL_CONFIRM);
    uint32_t id;
    r.from_s = 100;
    r.until_s = 200;
    r.since_s = 50;
    r.except = except;
    r.n_except = 2;
    assert_int_equal(pol_book_with_rule(book, &r, &id, &next), HD_OK);
    pol_book_unref(book);
    book = with_rule(next, "*", "authenticated", "dialog", POL_PUBLISH, NULL);
    struct pol_rule s = rule("*", "authenticated", "dialog", POL_BLOCK);
    s.shadow = true;
    assert_int_equal(pol_book_with_rule(book, &s, NULL, &next), HD_OK);
    pol_book_unref(book);
    book = next;
    assert_int_equal(pol_book_rule_count(book), 3);
    const struct pol_rule *got =
        pol_book_rule(book, HD_LIT("*"), HD_LIT("authenticated"), HD_LIT("dialog"), POL_KIND_ACTS);
    assert_int_equal(got->id, id);
    assert_int_equal(got->action, POL_CONFIRM);
    assert_int_equal(got->from_s, 100);
    assert_int_equal(got->until_s, 200);
    assert_int_equal(got->since_s, 50);
    assert_int_equal(got->n_except, 2);
    assert_true(hd_slice_eq(got->except[0], except[1])); /* sorted */
    assert_false(pol_rule_holds(got, 99));
    assert_true(pol_rule_holds(got, 100));
    assert_true(pol_rule_holds(got, 199));
    assert_false(pol_rule_holds(got, 200));
    assert_int_equal(pol_book_next_change(book, 0), 100);
    assert_int_equal(pol_book_next_change(book, 100), 200);
    assert_true(pol_book_next_change(book, 200) == UINT64_MAX);
    assert_non_null(
        pol_book_rule(book, HD_LIT("*"), HD_LIT("authenticated"), HD_LIT("dialog"), POL_KIND_SHADOW)
            ->hits);
    r.until_s = 100; /* over before it begins */
    assert_int_equal(pol_book_with_rule(book, &r, NULL, &next), HD_ESYNTAX);
    r.until_s = 0;
    r.watcher = HD_LIT("sip:one@b"); /* one has no exceptions */
    assert_int_equal(pol_book_with_rule(book, &r, NULL, &next), HD_ESYNTAX);
    pol_book_unref(book);
}

static void
a_shadow_rule_keeps_its_count_when_others_change(void **state)
{
    (void)state;
    struct pol_book *book = pol_book_new(&test_key), *next = NULL;
    struct pol_rule s = rule("sip:a@b", "*", "*", POL_BLOCK);
    s.shadow = true;
    assert_int_equal(pol_book_with_rule(book, &s, NULL, &next), HD_OK);
    pol_book_unref(book);
    book = next;
    atomic_fetch_add(
        &pol_book_rule(book, HD_LIT("sip:a@b"), HD_LIT("*"), HD_LIT("*"), POL_KIND_SHADOW)->hits->n,
        3);
    struct pol_book *old = pol_book_ref(book);
    book = with_rule(book, "sip:a@b", "sip:c@b", "*", POL_ALLOW, NULL);
    /* A shard that has not taken the new book yet counts in the same place. */
    atomic_fetch_add(
        &pol_book_rule(old, HD_LIT("sip:a@b"), HD_LIT("*"), HD_LIT("*"), POL_KIND_SHADOW)->hits->n,
        1);
    assert_int_equal(
        pol_book_rule(book, HD_LIT("sip:a@b"), HD_LIT("*"), HD_LIT("*"), POL_KIND_SHADOW)->hits->n,
        4);
    pol_book_unref(old);
    pol_book_unref(book);
}

/* ---- logins and addresses ---- */

static enum hd_err
put_user(struct pol_book **book, const char *name, const struct pol_login *logins, uint8_t n_logins,
         const struct hd_slice *addresses, uint8_t n_addresses)
{
    struct pol_book *next;
    const enum hd_err err = pol_book_with_user(
        *book,
        &(struct pol_user){ hd_slice_str(name), logins, addresses, n_logins, n_addresses, 1 },
        &next);

    if (!err) {
        pol_book_unref(*book);
        *book = next;
    }
    return err;
}

static void
a_login_and_an_address_belong_to_one_user(void **state)
{
    const struct pol_login logins[] = { { .realm = HD_LIT("one") },
                                        { .realm = HD_LIT("two"), .username = HD_LIT("a") } };
    const struct hd_slice addresses[] = { HD_LIT("sip:a@b"), HD_LIT("sip:c@d") };
    struct pol_book *book = pol_book_new(&test_key), *next;
    const struct pol_login *login = NULL;

    (void)state;
    assert_int_equal(put_user(&book, "anna", logins, 2, addresses, 2), HD_OK);
    const struct pol_user *anna = pol_book_user(book, HD_LIT("anna"));
    assert_ptr_equal(pol_book_login(book, HD_LIT("one"), HD_LIT("anna"), &login), anna);
    assert_ptr_equal(login, &anna->logins[0]);
    assert_ptr_equal(pol_book_login(book, HD_LIT("two"), HD_LIT("a"), &login), anna);
    assert_ptr_equal(login, &anna->logins[1]);
    assert_null(pol_book_login(book, HD_LIT("one"), HD_LIT("a"), &login));
    assert_null(pol_book_login(book, HD_LIT("two"), HD_LIT("anna"), &login));
    assert_null(pol_book_login(book, HD_LIT(""), HD_LIT(""), &login));
    assert_ptr_equal(pol_book_holder(book, addresses[1]), anna);
    assert_true(hd_slice_eq(pol_book_primary(book, addresses[1]), addresses[0]));
    assert_true(hd_slice_eq(pol_book_primary(book, HD_LIT("sip:x@y")), HD_LIT("sip:x@y")));

    /* Nobody else gets one of them, and a refused edit leaves all as it was. */
    assert_int_equal(put_user(&book, "a", &logins[1], 1, NULL, 0), HD_EEXIST);
    assert_int_equal(put_user(&book, "a", NULL, 0, &addresses[1], 1), HD_EEXIST);
    const struct hd_slice twice[] = { HD_LIT("sip:x@y"), HD_LIT("sip:x@y") };
    assert_int_equal(put_user(&book, "x", NULL, 0, twice, 2), HD_EEXIST);
    const struct hd_slice many = HD_LIT("sip:*@y");
    assert_int_equal(put_user(&book, "x", NULL, 0, &many, 1), HD_ESYNTAX);
    assert_int_equal(put_user(&book, "x", NULL, POL_LOGINS_MAX + 1, NULL, 0), HD_ESYNTAX);
    assert_int_equal(put_user(&book, "x", NULL, 0, NULL, POL_ADDRESSES_MAX + 1), HD_ESYNTAX);
    assert_null(pol_book_user(book, HD_LIT("a")));

    /* What he gives up is free. */
    assert_int_equal(put_user(&book, "anna", logins, 1, addresses, 1), HD_OK);
    assert_null(pol_book_holder(book, addresses[1]));
    assert_null(pol_book_login(book, HD_LIT("two"), HD_LIT("a"), &login));
    assert_int_equal(put_user(&book, "a", &logins[1], 1, &addresses[1], 1), HD_OK);
    assert_int_equal(pol_book_without_user(book, HD_LIT("anna"), &next), HD_OK);
    pol_book_unref(book);
    assert_null(pol_book_holder(next, addresses[0]));
    assert_null(pol_book_login(next, HD_LIT("one"), HD_LIT("anna"), &login));
    assert_non_null(pol_book_holder(next, addresses[1]));
    pol_book_unref(next);
}

static void
many_users_are_taken_together_or_not_at_all(void **state)
{
    const struct pol_login logins[] = { { .realm = HD_LIT("one") } };
    const struct pol_user users[] = { { HD_LIT("a"), logins, NULL, 1, 0, 1 },
                                      { HD_LIT("b"), logins, NULL, 1, 0, 1 },
                                      { HD_LIT("a:"), logins, NULL, 1, 0, 1 } };
    struct pol_book *book = with_user(pol_book_new(&test_key), "a"), *next = NULL;
    size_t at = 9;

    (void)state;
    assert_int_equal(pol_book_with_users(book, users, 3, &at, &next), HD_ESYNTAX);
    assert_int_equal(at, 2);
    assert_int_equal(pol_book_user_count(book), 1);
    assert_int_equal(pol_book_user(book, HD_LIT("a"))->created_s, 1700000000);
    assert_int_equal(pol_book_with_users(book, users, 2, &at, &next), HD_OK);
    assert_int_equal(pol_book_user_count(next), 2);
    assert_int_equal(pol_book_user(next, HD_LIT("a"))->created_s, 1);
    pol_book_unref(book);
    pol_book_unref(next);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_that_was_added_is_found_and_no_other),
        cmocka_unit_test(an_edit_leaves_the_old_book_as_it_was),
        cmocka_unit_test(removing_who_is_not_there_says_so),
        cmocka_unit_test(names_that_two_readers_could_read_differently_are_refused),
        cmocka_unit_test(a_user_with_a_broken_ha1_or_realm_is_refused),
        cmocka_unit_test(a_rule_is_found_by_resource_watcher_and_package),
        cmocka_unit_test(a_rule_that_is_set_again_keeps_its_id_and_ids_are_never_used_twice),
        cmocka_unit_test(rules_that_cannot_be_are_refused),
        cmocka_unit_test(loading_takes_the_last_of_equal_entries_and_numbers_those_without_id),
        cmocka_unit_test(loading_says_where_it_fails),
        cmocka_unit_test(ids_that_are_used_up_are_not_used_again),
        cmocka_unit_test(thousands_of_edits_keep_every_user_findable),
        cmocka_unit_test(a_walk_over_rules_sees_all_or_stops_when_told),
        cmocka_unit_test(a_hundred_thousand_users_load_and_share_their_pages_with_an_edit),
        cmocka_unit_test(a_failed_allocation_leaves_the_book_whole),
        cmocka_unit_test(a_list_and_the_entries_of_its_members_say_the_same),
        cmocka_unit_test(a_list_that_rules_use_stays_and_one_that_is_not_there_makes_no_rule),
        cmocka_unit_test(a_member_is_in_so_many_lists_and_no_more),
        cmocka_unit_test(a_rule_keeps_all_that_it_was_given),
        cmocka_unit_test(a_shadow_rule_keeps_its_count_when_others_change),
        cmocka_unit_test(a_login_and_an_address_belong_to_one_user),
        cmocka_unit_test(many_users_are_taken_together_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
