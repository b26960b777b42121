/* list_test.c - what a shard holds, as it is listed for people and read piece by piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define ROWS_MOST 64

static struct {
    char who[64], health[16], state[16];
    uint32_t expires_s, unanswered_ms, backoff_s, retry_ms, size;
    uint64_t id;
} rows[ROWS_MOST];
static unsigned n_rows;

static int
setup(void **state)
{
    (void)host_setup(state);
    n_rows = 0;
    return 0;
}

static void
name_row(struct hd_slice who)
{
    assert_true(n_rows < ROWS_MOST);
    (void)snprintf(rows[n_rows].who, sizeof(rows[n_rows].who), "%.*s", HD_FMT(who));
}

static void
note_sub(void *context, const struct evt_sub_row *row)
{
    (void)context;
    name_row(row->watcher);
    (void)snprintf(rows[n_rows].health, sizeof(rows[n_rows].health), "%s", row->health);
    (void)snprintf(rows[n_rows].state, sizeof(rows[n_rows].state), "%s", row->state);
    rows[n_rows].expires_s = row->expires_s;
    rows[n_rows].unanswered_ms = row->unanswered_ms;
    rows[n_rows].backoff_s = row->backoff_s;
    rows[n_rows].retry_ms = row->retry_ms;
    rows[n_rows++].id = row->id;
}

static void
note_pub(void *context, const struct evt_pub_row *row)
{
    (void)context;
    name_row(row->resource);
    rows[n_rows].expires_s = row->expires_s;
    rows[n_rows++].size = row->size;
}

static void
note_binding(void *context, const struct evt_binding_row *row)
{
    (void)context;
    name_row(row->contact);
    rows[n_rows++].expires_s = row->expires_s;
}

static void
note_path(void *context, const struct evt_binding_row *row)
{
    (void)context;
    name_row(row->path);
    n_rows++;
}

static void
note_resource(void *context, const struct evt_resource_row *row)
{
    (void)context;
    name_row(row->key);
    rows[n_rows++].size = row->size;
}

static uint32_t
look(struct evt_look look)
{
    n_rows = 0;
    if (!look.limit)
        look.limit = ROWS_MOST;
    if (!look.scan)
        look.scan = UINT32_MAX;
    return evt_shard_look_subs(host_shard(&host, 0), &look, host.now_ms * 1000, note_sub, NULL);
}

static void
subscribe(const char *from, const char *uri, char tag[HD_ID_TEXT + 1])
{
    host_subscribe(
        &host, &(struct host_request){ .from = from, .uri = uri, .call_id = from, .expires = 600 },
        tag);
}

static void
crowd(unsigned n)
{
    char tag[HD_ID_TEXT + 1], from[16];

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(from, sizeof(from), "user%u", i);
        subscribe(from, i % 2 ? NULL : "sip:carol@example.test", tag);
    }
}

static void
a_listing_in_pieces_has_each_row_once(void **state)
{
    uint32_t at = 0;
    unsigned total = 0, pieces = 0;

    (void)state;
    crowd(10);
    while (at != EVT_LOOK_END) {
        at = look((struct evt_look){ .from = at, .limit = 3 });
        assert_true(n_rows <= 3);
        for (unsigned i = 0; i < n_rows; i++, total++) {
            char name[40];
            (void)snprintf(name, sizeof(name), "sip:user%u@example.test", total);
            assert_string_equal(rows[i].who, name);
        }
        pieces++;
    }
    assert_int_equal(total, 10);
    assert_int_equal(pieces, 4);
    assert_int_equal(look((struct evt_look){ .from = UINT32_MAX - 1 }), EVT_LOOK_END);
    assert_int_equal(n_rows, 0);
}

/* A shard looks at so many places in a turn, whether they fit or not. */
static void
what_does_not_fit_counts_as_looked_at(void **state)
{
    (void)state;
    crowd(10);
    uint32_t at = look((struct evt_look){ .text = HD_LIT("USER9@"), .scan = 4 });
    assert_int_equal(n_rows, 0);
    assert_int_not_equal(at, EVT_LOOK_END);
    at = look((struct evt_look){ .text = HD_LIT("USER9@"), .scan = 6, .from = at });
    assert_int_equal(n_rows, 1);
    assert_int_equal(at, EVT_LOOK_END);
}

static void
rows_are_found_by_resource_package_text_and_id(void **state)
{
    (void)state;
    crowd(10);
    look((struct evt_look){ .resource = HD_LIT("sip:carol@example.test") });
    assert_int_equal(n_rows, 5);
    look((struct evt_look){ .package = HD_LIT("x-state") });
    assert_int_equal(n_rows, 10);
    look((struct evt_look){ .package = HD_LIT("x-stat") });
    assert_int_equal(n_rows, 0);
    look((struct evt_look){ .text = HD_LIT("CAROL"), .package = HD_LIT("x-state") });
    assert_int_equal(n_rows, 5);
    look((struct evt_look){ .text = HD_LIT("a text that is longer than any name in any of the rows "
                                           "of the listing could ever be, by far") });
    assert_int_equal(n_rows, 0);
    look((struct evt_look){ .text = HD_LIT("user3@example.test") });
    assert_int_equal(n_rows, 1);
    const uint64_t id = rows[0].id;
    assert_int_equal(look((struct evt_look){ .id = id }), EVT_LOOK_END);
    assert_int_equal(n_rows, 1);
    assert_string_equal(rows[0].who, "sip:user3@example.test");
    assert_int_equal(look((struct evt_look){ .id = id + 1 }), EVT_LOOK_END);
    assert_int_equal(n_rows, 0);
}

static void
health_says_how_it_stands_with_a_subscriber(void **state)
{
    char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

    (void)state;
    subscribe("alice", NULL, tag);
    look((struct evt_look){ 0 });
    assert_string_equal(rows[0].health, "in-sync");
    assert_string_equal(rows[0].state, "active");
    assert_int_equal(rows[0].expires_s, 600);
    assert_int_equal(rows[0].unanswered_ms, 0);
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, "one", etag);
    struct host_sent *notify = host_take_notify(&host);
    host_wait(&host, 400);
    look((struct evt_look){ 0 });
    assert_string_equal(rows[0].health, "in-flight");
    assert_int_equal(rows[0].unanswered_ms, 400);
    look((struct evt_look){ .sick = true });
    assert_int_equal(n_rows, 0);
    host_answer(&host, notify, 200, NULL);
    look((struct evt_look){ 0 });
    assert_string_equal(rows[0].health, "in-sync");
    /* Refused for now: it waits, with what is owed. */
    host_publish(&host, "sip:bob@example.test", "x-state", etag, "two", etag);
    host_answer(&host, host_take_notify(&host), 503, "Retry-After: 20\r\n");
    host_wait(&host, 5000);
    look((struct evt_look){ .sick = true });
    assert_int_equal(n_rows, 1);
    assert_string_equal(rows[0].health, "behind");
    assert_true(rows[0].backoff_s > 0);
    assert_int_equal(rows[0].retry_ms, 15000);
}

static void
who_does_not_answer_for_two_seconds_is_sick(void **state)
{
    char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

    (void)state;
    subscribe("alice", NULL, tag);
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, "one", etag);
    host_wait(&host, EVT_SICK_MS - 1);
    look((struct evt_look){ .sick = true });
    assert_int_equal(n_rows, 0);
    host_wait(&host, 1);
    look((struct evt_look){ .sick = true });
    assert_int_equal(n_rows, 1);
    assert_int_equal(rows[0].unanswered_ms, EVT_SICK_MS);
    host_drop(&host);
}

static void
what_is_paced_is_behind(void **state)
{
    char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

    (void)state;
    host_subscribe(&host, &(struct host_request){ .event = "x-paced", .expires = 600 }, tag);
    host_publish(&host, "sip:bob@example.test", "x-paced", NULL, "one", etag);
    look((struct evt_look){ 0 });
    assert_string_equal(rows[0].health, "behind");
    assert_int_equal(rows[0].backoff_s, 0);
    look((struct evt_look){ .sick = true });
    assert_int_equal(n_rows, 0);
}

static void
what_lingers_or_is_not_kept_yet_is_no_row(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .expires = 600 });
    look((struct evt_look){ 0 });
    assert_int_equal(n_rows, 0);
    host_store_release(&host, 1, HD_OK);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    look((struct evt_look){ 0 });
    assert_int_equal(n_rows, 1);
    host_drop(&host);
    subscribe("carol", NULL, tag);
    host_request(&host,
                 &(struct host_request){
                     .from = "carol", .call_id = "carol", .to_tag = tag, .cseq = 2, .expires = 0 });
    (void)host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    look((struct evt_look){ 0 });
    assert_int_equal(n_rows, 1);
    assert_string_equal(rows[0].who, "sip:alice@example.test");
    host_drop(&host);
}

static void
publications_and_their_resources_are_listed(void **state)
{
    char etag[HD_ID_TEXT + 1];
    const struct evt_look all = { .limit = ROWS_MOST, .scan = UINT32_MAX };
    const struct evt_look carols = { .text = HD_LIT("Carol"),
                                     .limit = ROWS_MOST,
                                     .scan = UINT32_MAX };
    const struct evt_look one = { .limit = 1, .scan = UINT32_MAX };
    const struct evt_look hers = { .resource = HD_LIT("sip:carol@example.test"),
                                   .limit = 9,
                                   .scan = UINT32_MAX };

    (void)state;
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, "four", etag);
    host_publish(&host, "sip:carol@example.test", "x-state", NULL, "seven..", etag);
    host_wait(&host, 1500); /* begun seconds count whole */
    (void)evt_shard_look_pubs(host_shard(&host, 0), &one, host.now_ms * 1000, note_pub, NULL);
    assert_int_equal(n_rows, 1);
    n_rows = 0;
    (void)evt_shard_look_pubs(host_shard(&host, 0), &hers, host.now_ms * 1000, note_pub, NULL);
    assert_int_equal(n_rows, 1);
    assert_int_equal(rows[0].size, 7);
    assert_int_equal(rows[0].expires_s, 599);
    n_rows = 0;
    assert_int_equal(evt_shard_look_resources(host_shard(&host, 0), &all, note_resource, NULL),
                     EVT_LOOK_END);
    assert_int_equal(n_rows, 2);
    n_rows = 0;
    assert_int_equal(evt_shard_look_resources(host_shard(&host, 0), &carols, note_resource, NULL),
                     EVT_LOOK_END);
    assert_int_equal(n_rows, 1);
    assert_int_equal(rows[0].size, 7);
}

static void
a_resource_is_one_row_whoever_is_shown_his_own_entry(void **state)
{
    static const char *const who[] = { "bob", "alice", "carol" };
    const struct evt_look winfo = { .text = HD_LIT("x-state.winfo"),
                                    .limit = ROWS_MOST,
                                    .scan = UINT32_MAX };
    const struct hd_slice bob = HD_LIT("sip:bob@example.test");

    (void)state;
    host.rules[0] = (struct host_rule){ .user = "sip:bob@example.test", .decision = EVT_ALLOW };
    host.rules[1] = (struct host_rule){ .package = "x-state.winfo", .decision = EVT_OWN };
    host.n_rules = 2;
    for (size_t i = HD_ARRAY_LEN(who); i-- > 0;) {
        n_rows = 0;
        assert_int_equal(
            evt_shard_look_resources(host_shard(&host, 0), &winfo, note_resource, NULL),
            EVT_LOOK_END);
        assert_int_equal(n_rows, 0);
        host_request(&host, &(struct host_request){ .from = who[i],
                                                    .call_id = who[i],
                                                    .event = "x-state.winfo",
                                                    .expires = 600 });
        (void)host_take_status(&host, 200);
        host_answer(&host, host_take_notify(&host), 200, NULL);
    }
    assert_int_equal(evt_shard_look_resources(host_shard(&host, 0), &winfo, note_resource, NULL),
                     EVT_LOOK_END);
    assert_int_equal(n_rows, 1); /* the owner's */
    assert_int_equal(evt_shard_count_subs(host_shard(&host, 0), bob, HD_LIT("x-state.winfo")), 3);
    assert_int_equal(evt_shard_count_subs(host_shard(&host, 0), bob, HD_LIT("x-state")), 0);
}

static void
bindings_are_listed_to_a_limit_and_by_address(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        char contact[64];
        (void)snprintf(contact, sizeof(contact), "<sip:alice@198.51.100.%u>", i + 1);
        host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                    .uri = "sip:example.test",
                                                    .to_uri = "sip:alice@example.test",
                                                    .call_id = "r",
                                                    .cseq = i + 1,
                                                    .contact = contact,
                                                    .expires = 600 });
        (void)host_take_status(&host, 200);
    }
    evt_shard_list_bindings(host_shard(&host, 0), hd_slice(NULL, 0), 2, host.now_ms * 1000,
                            note_binding, NULL);
    assert_int_equal(n_rows, 2);
    n_rows = 0;
    evt_shard_list_bindings(host_shard(&host, 0), HD_LIT("sip:alice@example.test"), 9,
                            host.now_ms * 1000, note_binding, NULL);
    assert_int_equal(n_rows, 3);
    assert_int_equal(rows[2].expires_s, 600);
    n_rows = 0;
    evt_shard_list_bindings(host_shard(&host, 0), HD_LIT("sip:bob@example.test"), 9,
                            host.now_ms * 1000, note_binding, NULL);
    assert_int_equal(n_rows, 0);
}

/* RFC 3327 section 5.3: the one of its last REGISTER, for who routes requests to it. */
static void
a_binding_has_the_path_that_it_is_reached_by(void **state)
{
    static const struct {
        const char *headers, *path;
    } row[] = {
        { "Path: <sip:edge.example.net;lr>\r\nPath: <sip:10.0.0.9;lr>\r\n",
          "<sip:edge.example.net;lr>,<sip:10.0.0.9;lr>" },
        { "Path: <sip:other.example.net;lr>\r\n", "<sip:other.example.net;lr>" },
        { NULL, "" },
    };

    (void)state;
    for (unsigned i = 0; i < HD_ARRAY_LEN(row); i++) {
        host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                    .uri = "sip:example.test",
                                                    .to_uri = "sip:alice@example.test",
                                                    .call_id = "r",
                                                    .cseq = i + 1,
                                                    .headers = row[i].headers,
                                                    .contact = "<sip:alice@198.51.100.1>",
                                                    .expires = 600 });
        (void)host_take_status(&host, 200);
        n_rows = 0;
        evt_shard_list_bindings(host_shard(&host, 0), hd_slice(NULL, 0), 9, host.now_ms * 1000,
                                note_path, NULL);
        assert_int_equal(n_rows, 1);
        assert_string_equal(rows[0].who, row[i].path);
    }
}

/* RFC 6665 section 4.1.3; who cannot be told has none. */
static void
every_reason_that_can_be_said_has_its_word(void **state)
{
    static const struct {
        unsigned reason;
        const char *word;
    } row[] = {
        { EVT_REASON_DEACTIVATED, "deactivated" },
        { EVT_REASON_PROBATION, "probation" },
        { EVT_REASON_REJECTED, "rejected" },
        { EVT_REASON_TIMEOUT, "timeout" },
        { EVT_REASON_GIVEUP, "giveup" },
        { EVT_REASON_NORESOURCE, "noresource" },
        { EVT_REASON_INVARIANT, "invariant" },
        { EVT_REASON_SUPERSEDED, "superseded" },
        { EVT_REASON_SILENT, "" },
        { EVT_REASON_NONE, "" },
        { EVT_REASON_SUPERSEDED + 1, "" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        assert_true(hd_slice_eq(evt_reason_word(row[i].reason), hd_slice_str(row[i].word)));
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 1, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_listing_in_pieces_has_each_row_once),
        TEST(what_does_not_fit_counts_as_looked_at),
        TEST(rows_are_found_by_resource_package_text_and_id),
        TEST(health_says_how_it_stands_with_a_subscriber),
        TEST(who_does_not_answer_for_two_seconds_is_sick),
        TEST(what_is_paced_is_behind),
        TEST(what_lingers_or_is_not_kept_yet_is_no_row),
        TEST(publications_and_their_resources_are_listed),
        TEST(a_resource_is_one_row_whoever_is_shown_his_own_entry),
        TEST(bindings_are_listed_to_a_limit_and_by_address),
        TEST(a_binding_has_the_path_that_it_is_reached_by),
        TEST(every_reason_that_can_be_said_has_its_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
