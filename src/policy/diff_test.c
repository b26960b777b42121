/* diff_test.c - what differs between two books is told, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/book.h"

#define WHO HD_LIT("sip:alice@example.test")

struct told {
    char text[2048];
    size_t n;
};

static void
note(void *context, const struct pol_change *change)
{
    struct told *told = context;
    char *at = told->text + told->n;
    const size_t room = sizeof(told->text) - told->n;
    const char sign = change->gone ? '-' : '+';
    int n = 0;

    switch (change->part) {
    case POL_PART_USER:
        n = snprintf(at, room, "%cuser %.*s ", sign, HD_FMT(change->user->name));
        break;
    case POL_PART_LIST:
        n = snprintf(at, room, "%clist %.*s:%zu ", sign, HD_FMT(change->list->name),
                     change->list->n);
        break;
    case POL_PART_TRANSFORM:
        n = snprintf(at, room, "%ctransform %.*s:%u ", sign, HD_FMT(change->transform->name),
                     change->transform->number);
        break;
    case POL_PART_RULE:
        n = snprintf(at, room, "%crule %u:%u ", sign, change->rule->id, change->rule->action);
        break;
    }
    told->n += (size_t)n;
    assert_true(told->n < sizeof(told->text));
}

/* Both ways: what makes one the other, and what takes it back. */
static void
expect(const struct pol_book *before, const struct pol_book *after, const char *there,
       const char *back)
{
    struct told told = { .n = 0 };

    pol_book_diff(before, after, note, &told);
    assert_string_equal(told.text, there);
    told = (struct told){ .n = 0 };
    pol_book_diff(after, before, note, &told);
    assert_string_equal(told.text, back);
}

static struct pol_book *
empty_book(void)
{
    struct pol_book *book = pol_book_new(&(struct hd_hash_key){ 1, 2 });
    assert_non_null(book);
    return book;
}

static struct pol_book *
with_rule(const struct pol_book *book, struct hd_slice resource, struct hd_slice watcher,
          enum pol_action action)
{
    const struct pol_rule rule = {
        .resource = resource, .watcher = watcher, .package = HD_LIT("*"), .action = action
    };
    struct pol_book *after;
    assert_int_equal(pol_book_with_rule(book, &rule, NULL, &after), HD_OK);
    return after;
}

static void
rules_are_told_by_what_became_of_each(void **state)
{
    struct pol_book *none = empty_book();
    struct pol_book *one = with_rule(none, WHO, HD_LIT("sip:b@x"), POL_ALLOW);
    struct pol_book *two = with_rule(one, WHO, HD_LIT("sip:a@x"), POL_BLOCK);
    struct pol_book *three = with_rule(two, HD_LIT("*"), HD_LIT("*"), POL_CONFIRM);
    struct pol_book *changed = with_rule(three, WHO, HD_LIT("sip:b@x"), POL_POLITE);
    struct pol_book *without, *bounded;
    const struct pol_rule bound = { .resource = HD_LIT("*"),
                                    .watcher = HD_LIT("*"),
                                    .package = HD_LIT("*"),
                                    .action = POL_CONFIRM,
                                    .until_s = 5 };

    (void)state;
    expect(none, none, "", "");
    expect(none, one, "+rule 1:1 ", "-rule 1:1 ");
    expect(one, two, "+rule 2:4 ", "-rule 2:4 ");
    expect(two, three, "+rule 3:2 ", "-rule 3:2 ");
    expect(three, changed, "+rule 1:3 ", "+rule 1:1 ");
    assert_int_equal(pol_book_without_rule(changed, WHO, 2, &without), HD_OK);
    expect(changed, without, "-rule 2:4 ", "+rule 2:4 ");
    expect(one, without, "+rule 1:3 +rule 3:2 ", "-rule 3:2 +rule 1:1 ");
    assert_int_equal(pol_book_with_rule(without, &bound, NULL, &bounded), HD_OK);
    expect(without, bounded, "+rule 3:2 ", "+rule 3:2 ");
    for (struct pol_book **book =
             (struct pol_book *[]){ none, one, two, three, changed, without, bounded, NULL };
         *book; book++)
        pol_book_unref(*book);
}

static void
users_lists_and_transformations_are_told_by_name(void **state)
{
    const struct pol_user alice = { .name = HD_LIT("alice") }, bob = { .name = HD_LIT("bob") };
    const struct hd_slice member = HD_LIT("sip:bob@x");
    const struct hd_slice hide = HD_LIT("/a");
    struct pol_book *none = empty_book(), *book[5];

    (void)state;
    assert_int_equal(pol_book_with_user(none, &alice, &book[0]), HD_OK);
    assert_int_equal(pol_book_with_user(book[0], &bob, &book[1]), HD_OK);
    assert_int_equal(
        pol_book_with_list(book[1], &(struct pol_list){ HD_LIT("l"), &member, 1 }, &book[2]),
        HD_OK);
    const struct pol_transform t = { .name = HD_LIT("t"),
                                     .reduction = { .hide = &hide, .n_hide = 1 } };
    assert_int_equal(pol_book_with_transform(book[2], &t, &book[3]), HD_OK);
    assert_int_equal(pol_book_without_user(book[3], HD_LIT("alice"), &book[4]), HD_OK);
    expect(none, book[0], "+user alice ", "-user alice ");
    expect(book[0], book[1], "+user bob ", "-user bob ");
    expect(book[1], book[2], "+list l:1 ", "-list l:1 ");
    expect(book[2], book[3], "+transform t:4 ", "-transform t:4 ");
    expect(book[0], book[4], "-user alice +user bob +list l:1 +transform t:4 ",
           "-user bob -list l:1 -transform t:4 +user alice ");
    pol_book_unref(none);
    for (size_t i = 0; i < 5; i++)
        pol_book_unref(book[i]);
}

static void
the_next_change_is_that_of_the_rules_with_a_bound(void **state)
{
    struct pol_book *book = empty_book(), *next;
    struct pol_rule rule = {
        .resource = WHO, .watcher = HD_LIT("sip:b@x"), .package = HD_LIT("*"), .action = POL_ALLOW
    };
    uint32_t id;

    (void)state;
    assert_int_equal(pol_book_next_change(book, 0), UINT64_MAX);
    assert_int_equal(pol_book_with_rule(book, &rule, &id, &next), HD_OK);
    pol_book_unref(book);
    assert_int_equal(pol_book_next_change(next, 0), UINT64_MAX);
    rule.from_s = 10;
    rule.until_s = 20;
    assert_int_equal(pol_book_with_rule(next, &rule, &id, &book), HD_OK);
    pol_book_unref(next);
    assert_int_equal(pol_book_next_change(book, 0), 10);
    assert_int_equal(pol_book_next_change(book, 10), 20);
    assert_int_equal(pol_book_next_change(book, 20), UINT64_MAX);
    rule.watcher = HD_LIT("sip:c@x");
    rule.from_s = 0;
    rule.until_s = 15;
    uint32_t other;
    assert_int_equal(pol_book_with_rule(book, &rule, &other, &next), HD_OK);
    pol_book_unref(book);
    assert_int_equal(pol_book_next_change(next, 10), 15);
    assert_int_equal(pol_book_without_rule(next, WHO, other, &book), HD_OK);
    pol_book_unref(next);
    assert_int_equal(pol_book_next_change(book, 10), 20);
    assert_int_equal(pol_book_without_rule(book, WHO, id, &next), HD_OK);
    assert_int_equal(pol_book_next_change(next, 0), UINT64_MAX);
    assert_int_equal(pol_book_next_change(book, 0), 10); /* the one before is as it was */
    pol_book_unref(book);
    pol_book_unref(next);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_told_by_what_became_of_each),
        cmocka_unit_test(users_lists_and_transformations_are_told_by_name),
        cmocka_unit_test(the_next_change_is_that_of_the_rules_with_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
