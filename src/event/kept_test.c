/* kept_test.c - state that the broker makes itself is made while somebody looks, shown whole or not
 * at all, composed with what is published, and gone with the last who looked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define BOB "sip:bob@example.test"

/* --- a keeper that a test leads by the hand -------------------------------------------------- */

static struct {
    unsigned begun, ended;
    const char *at_once; /* set from inside begin */
} keeper;

static void
set(const char *text, bool tidy)
{
    struct evt_shard *shard = host_shard(&host, host_home(&host, BOB));
    struct evt_doc *doc = text ? evt_doc_new(HD_LIT("text/plain"), hd_slice_str(text)) : NULL;

    if (tidy)
        evt_kept_tidy(shard, HD_LIT(BOB), HD_LIT("x-kept"), doc);
    else
        evt_kept_set(shard, HD_LIT(BOB), HD_LIT("x-kept"), doc);
    evt_doc_unref(doc);
}

static bool
keeper_begin(struct evt_shard *shard, struct evt_resource *resource)
{
    (void)shard;
    keeper.begun++;
    resource->kept->facts = malloc(1);
    if (keeper.at_once)
        set(keeper.at_once, false);
    return true;
}

static void
keeper_end(struct evt_shard *shard, struct evt_resource *resource)
{
    (void)shard;
    keeper.ended++;
    free(resource->kept->facts);
}

static const struct evt_keeper test_keeper = { .begin = keeper_begin, .end = keeper_end };

/* All bodies, newest first, with '+' between them. */
static enum hd_err
join(const struct evt_package *package, struct hd_slice entity,
     const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    char text[256];
    size_t at = 0;

    (void)package;
    (void)entity;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s", i ? "+" : "",
                               HD_FMT(published[i].doc->body));
    *ret_doc = evt_doc_new(HD_LIT("text/plain"), hd_slice(text, at));
    return HD_OK;
}

static const struct evt_package_ops ops = { .validate = host_text_validate,
                                            .compose = join,
                                            .neutral = host_text_neutral };
static const struct hd_slice types[] = { { "text/plain", 10 } };
static const struct evt_package kept_package = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "x-kept", 6 },
    .ops = &ops,
    .types = types,
    .n_types = 1,
    .neutral_body = { "nobody", 6 },
    .min_expires_s = 60,
    .default_expires_s = 3600,
    .max_expires_s = 86400,
    .authorisation = EVT_AUTHORISE_ALLOW,
    .keeper = &test_keeper,
};
static const struct evt_package closed_package = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "x-closed", 8 },
    .ops = &ops,
    .types = types,
    .n_types = 1,
    .neutral_body = { "nobody", 6 },
    .max_expires_s = 86400,
    .closed = true,
};
/* What it was before it had a keeper. */
static const struct evt_package plain_package = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "x-kept", 6 },
    .ops = &ops,
    .types = types,
    .n_types = 1,
    .neutral_body = { "nobody", 6 },
    .min_expires_s = 60,
    .default_expires_s = 3600,
    .max_expires_s = 86400,
    .authorisation = EVT_AUTHORISE_ALLOW,
};
static const struct evt_package *const with_keeper[] = { &kept_package, &closed_package };
static const struct evt_package *const without_keeper[] = { &plain_package, &closed_package };

static void
configure(const struct evt_package *const *packages)
{
    struct evt_config *config = host_config_copy(&host);

    config->packages = packages;
    config->n_packages = 2;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
}

static int
setup(void **state)
{
    (void)host_setup(state);
    memset(&keeper, 0, sizeof(keeper));
    configure(with_keeper);
    return 0;
}

/* SUBSCRIBE on a shard; its 200 is taken, a NOTIFY is not waited for. */
static void
watch(const char *call_id, unsigned shard, int64_t expires, const char *to_tag, uint32_t cseq,
      char ret_tag[HD_ID_TEXT + 1])
{
    host_request(&host, &(struct host_request){ .call_id = call_id,
                                                .event = "x-kept",
                                                .expires = expires,
                                                .to_tag = to_tag,
                                                .cseq = cseq,
                                                .port = host_port_of(&host, shard) });
    const struct host_sent *sent = host_take_status(&host, 200);
    if (ret_tag)
        (void)snprintf(ret_tag, HD_ID_TEXT + 1, "%.*s", HD_FMT(sent->msg.to_tag));
}

static void
expect_body(const char *body)
{
    const struct host_sent *sent = host_take_notify(&host);

    assert_int_equal(sent->msg.body.n, strlen(body));
    assert_memory_equal(sent->msg.body.p, body, strlen(body));
    host_answer(&host, sent, 200, NULL);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void
nothing_is_shown_before_the_keeper_has_spoken(void **state)
{
    (void)state;
    watch("c1", 0, 3600, NULL, 1, NULL);
    watch("c2", 1, 3600, NULL, 1, NULL);
    host_take_nothing(&host);
    assert_int_equal(keeper.begun, 1);
    set("two phones", false);
    host_settle(&host);
    expect_body("two phones");
    expect_body("two phones");
    host_take_nothing(&host);
}

static void
it_may_speak_at_once_and_what_did_not_change_is_no_news(void **state)
{
    (void)state;
    keeper.at_once = "one";
    watch("c1", 1, 3600, NULL, 1, NULL);
    expect_body("one");
    set("one", false);
    host_settle(&host);
    host_take_nothing(&host);
    set("two", false);
    host_settle(&host);
    expect_body("two");
    set(NULL, false);
    host_settle(&host);
    expect_body("nobody");
}

static void
it_is_composed_with_what_is_published_and_stands_behind_it(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    host_publish(&host, NULL, "x-kept", NULL, "else", etag);
    assert_int_equal(keeper.begun, 0); /* nobody looks: nothing is made */
    keeper.at_once = "here";
    watch("c1", 0, 3600, NULL, 1, NULL);
    expect_body("else+here");
    set("there", false);
    host_settle(&host);
    expect_body("else+there");
}

static void
a_publication_does_not_show_half_a_state(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    watch("c1", 0, 3600, NULL, 1, NULL);
    host_publish(&host, NULL, "x-kept", NULL, "else", etag);
    host_take_nothing(&host);
    set("here", false);
    host_settle(&host);
    expect_body("else+here");
}

static void
it_ends_with_the_last_who_looked_and_begins_anew(void **state)
{
    char tag[HD_ID_TEXT + 1], other[HD_ID_TEXT + 1];
    struct evt_shard *home = host_shard(&host, host_home(&host, BOB));

    (void)state;
    keeper.at_once = "one";
    watch("c1", 0, 3600, NULL, 1, tag);
    expect_body("one");
    watch("c2", 1, 3600, NULL, 1, other);
    expect_body("one");
    watch("c1", 0, 0, tag, 2, NULL);
    expect_body("one");
    assert_int_equal(keeper.ended, 0);
    assert_true(evt_kept_wanted(home, HD_LIT(BOB), HD_LIT("x-kept")));
    watch("c2", 1, 0, other, 2, NULL);
    expect_body("one");
    host_wait(&host, 40000);
    assert_int_equal(keeper.ended, 1);
    assert_false(evt_kept_wanted(home, HD_LIT(BOB), HD_LIT("x-kept")));
    set("unheard", false);
    keeper.at_once = "new";
    watch("c3", 0, 3600, NULL, 1, NULL);
    expect_body("new");
    assert_int_equal(keeper.begun, 2);
}

static void
other_words_for_the_same_are_shown_to_who_comes_and_told_to_nobody(void **state)
{
    (void)state;
    keeper.at_once = "ann, and zoe who left";
    watch("c1", 0, 3600, NULL, 1, NULL);
    expect_body("ann, and zoe who left");
    set("ann", true);
    host_settle(&host);
    host_take_nothing(&host);
    watch("c2", 0, 3600, NULL, 1, NULL);
    expect_body("ann");
    watch("c3", 1, 3600, NULL, 1, NULL);
    expect_body("ann");
    set("ann, ben", false);
    host_settle(&host);
    for (int i = 0; i < 3; i++)
        expect_body("ann, ben");
}

static void
a_configuration_gives_and_takes_a_keeper(void **state)
{
    (void)state;
    keeper.at_once = "kept";
    watch("c1", 0, 3600, NULL, 1, NULL);
    expect_body("kept");
    configure(without_keeper);
    expect_body("nobody");
    assert_int_equal(keeper.ended, 1);
    configure(with_keeper);
    expect_body("kept");
}

static void
what_is_kept_cannot_be_published(void **state)
{
    (void)state;
    host_request(&host,
                 &(struct host_request){
                     .method = "PUBLISH", .event = "x-closed", .expires = 3600, .body = "me" });
    (void)host_take_status(&host, 403);
    host_take_nothing(&host);
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 2, setup)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_shown_before_the_keeper_has_spoken),
        TEST(it_may_speak_at_once_and_what_did_not_change_is_no_news),
        TEST(it_is_composed_with_what_is_published_and_stands_behind_it),
        TEST(a_publication_does_not_show_half_a_state),
        TEST(it_ends_with_the_last_who_looked_and_begins_anew),
        TEST(other_words_for_the_same_are_shown_to_who_comes_and_told_to_nobody),
        TEST(a_configuration_gives_and_takes_a_keeper),
        TEST(what_is_kept_cannot_be_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
