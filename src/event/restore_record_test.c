/* restore_record_test.c - what a start makes of publications and registrations, of records that
 * another number of shards wrote, and of those that nobody can use. */
#include "event/restore_test.h"

/* --- publications ---------------------------------------------------------------------------- */

static void
a_publication_goes_on_with_its_entity_tag(void **state)
{
    (void)state;
    publish(was, NULL, "one");
    restart(CRASH, 1, 10000);
    publish(is, etag, "two");
    assert_int_equal(HOST_COUNT(is, 0, publications), 1);
    host_request(is, &(struct host_request){ .call_id = "fetch", .expires = 0 });
    host_take_status(is, 200);
    assert_says(host_take_notify(is), "\r\n\r\ntwo");
}

static void
a_publication_that_expired_meanwhile_is_gone(void **state)
{
    (void)state;
    publish(was, NULL, "old state");
    restart(CLEAN, 1, 600000);
    assert_int_equal(HOST_COUNT(is, 0, publications), 0);
    host_request(is, &(struct host_request){ .call_id = "fetch", .expires = 0 });
    host_take_status(is, 200);
    assert_false(host_has(host_take_notify(is), "old state"));
    /* Its record goes, too. */
    assert_non_null(host_record(is, EVT_RECORD_PUBLICATION));
    assert_int_equal(host_record(is, EVT_RECORD_PUBLICATION)->record.n, 0);
}

static void
the_newest_of_several_publications_is_the_newest_still(void **state)
{
    char first[HD_ID_TEXT + 1], second[HD_ID_TEXT + 1];

    (void)state;
    host_publish(was, NULL, NULL, NULL, "first", first);
    host_publish(was, NULL, NULL, NULL, "second", second);
    host_publish(was, NULL, NULL, first, "first again", NULL);
    restart(CRASH, 1, 0);
    host_request(is, &(struct host_request){ .call_id = "f1", .expires = 0 });
    host_take_status(is, 200);
    assert_says(host_take_notify(is), "\r\n\r\nfirst again");
    host_publish(is, NULL, NULL, second, "second again", NULL);
    host_request(is, &(struct host_request){ .call_id = "f2", .expires = 0 });
    host_take_status(is, 200);
    assert_says(host_take_notify(is), "\r\n\r\nsecond again");
}

/* --- registrations --------------------------------------------------------------------------- */

static void
a_repeated_register_hears_the_bindings(void **state)
{
    const struct host_request request = { .method = "REGISTER",
                                          .uri = "sip:example.test",
                                          .to_uri = "sip:alice@example.test",
                                          .event = "",
                                          .expires = 600 };

    (void)state;
    host_request(was, &request);
    host_take_status(was, 200);
    restart(CRASH, 1, 1000);
    assert_int_equal(HOST_COUNT(is, 0, bindings), 1);
    host_request(is, &request);
    assert_says(host_take_status(is, 200), ";expires=599\r\n");
}

/* Which Contact lines an answer has, but for the time that is left. */
static void
has_path(void *context, const struct evt_binding_row *row)
{
    *(bool *)context = hd_slice_eq(row->path, HD_LIT("<sip:edge.test;lr>"));
}

static void
all_of_a_contact_is_there_again(void **state)
{
    struct host_request request = { .method = "REGISTER",
                                    .uri = "sip:example.test",
                                    .to_uri = "sip:alice@example.test",
                                    .event = "",
                                    .headers =
                                        "Supported: gruu, outbound\r\nPath: <sip:edge.test;lr>\r\n",
                                    .contact =
                                        "<sip:a@1.1.1.1>;reg-id=3;+sip.instance=\"<urn:uuid:1>\"",
                                    .expires = 600 };
    char before[4096], *end;
    bool has_edge = false;

    (void)state;
    host_request(was, &request);
    struct hd_slice line = host_value(host_take_status(was, 200), SIP_HDR_CONTACT);
    (void)snprintf(before, sizeof(before), "%.*s", HD_FMT(line));
    assert_non_null(strstr(before, "temp-gruu="));
    end = strstr(before, ";expires=");
    assert_non_null(end);
    *end = '\0';
    restart(CRASH, 1, 1000);
    request.contact = "";
    request.cseq = 2;
    host_request(is, &request);
    struct host_sent *sent = host_take_status(is, 200);
    assert_says(sent, before);
    evt_shard_list_bindings(host_shard(is, 0), hd_slice(NULL, 0), 9, is->now_ms * 1000, has_path,
                            &has_edge);
    assert_true(has_edge);
    /* The same flow is refreshed, not doubled; another Call-ID voids the temporary GRUUs. */
    request.contact = "<sip:a@2.2.2.2>;reg-id=3;+sip.instance=\"<urn:uuid:1>\"";
    request.cseq = 3;
    host_request(is, &request);
    assert_says(host_take_status(is, 200), "Contact: <sip:a@2.2.2.2>;reg-id=3;");
    assert_int_equal(HOST_COUNT(is, 0, bindings), 1);
}

/* --- another number of shards ---------------------------------------------------------------- */

/* The one that started is the one that ends next. */
static void
go_on(void)
{
    struct host *spare = was;

    host_done(was);
    memset(spare, 0, sizeof(*spare));
    was = is;
    is = spare;
}

static void
everything_finds_its_shard_whatever_their_number(void **state)
{
    static const unsigned shards[] = { 1, 3, 2, 1, 2 };
    char tags[8][HD_ID_TEXT + 1], etags[8][HD_ID_TEXT + 1], uri[8][40], call[8][16];

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(uri[i], sizeof(uri[i]), "sip:user%u@example.test", i);
        (void)snprintf(call[i], sizeof(call[i]), "call-%u", i);
        host_publish(was, uri[i], NULL, NULL, uri[i], etags[i]);
        host_subscribe(was,
                       &(struct host_request){ .uri = uri[i], .call_id = call[i], .expires = 3600 },
                       tags[i]);
    }
    for (unsigned round = 1; round < HD_ARRAY_LEN(shards); round++) {
        restart(CLEAN, shards[round], 0);
        host_wait(is, 2000);
        host_take_nothing(is);
        for (unsigned i = 0; i < 8; i++) {
            host_request(is, &(struct host_request){ .uri = uri[i],
                                                     .call_id = call[i],
                                                     .to_tag = tags[i],
                                                     .cseq = 1 + round,
                                                     .expires = 3600 });
            host_take_status(is, 200);
            struct host_sent *sent = host_take_notify(is);
            assert_says(sent, uri[i]);
            host_answer(is, sent, 200, NULL);
        }
        go_on();
    }
}

/* One store, one end after the other: what was seen is known through all of them. */
static void
what_was_seen_is_known_through_several_numbers_of_shards(void **state)
{
    static const struct {
        enum ending ending;
        unsigned shards;
    } row[] = {
        { CLEAN, 3 }, { CLEAN, 2 }, { CRASH, 1 }, { CLEAN, 3 }, { CRASH, 3 }, { CRASH, 2 }
    };
    char uri[8][40], call[8][16];

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(uri[i], sizeof(uri[i]), "sip:user%u@example.test", i);
        (void)snprintf(call[i], sizeof(call[i]), "call-%u", i);
        host_publish(was, uri[i], NULL, NULL, uri[i], NULL);
        host_subscribe(was,
                       &(struct host_request){ .uri = uri[i],
                                               .call_id = call[i],
                                               .port = (uint16_t)(6000 + 37 * i),
                                               .expires = 3600 },
                       tag);
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        restart(row[i].ending, row[i].shards, 0);
        host_wait(is, i % 2 ? 2000 : 40000); /* longer than records of other numbers stay */
        host_take_nothing(is);
        go_on();
    }
}

/* --- packages and records that are no more --------------------------------------------------- */

static void
a_package_that_is_gone_takes_its_records_with_it(void **state)
{
    (void)state;
    publish(was, NULL, "one");
    subscribe(3600);
    end(CLEAN, 1);
    struct evt_config *config = host_config_copy(is);
    config->n_packages = 0;
    host_configure(is, config, hd_slice(NULL, 0));
    start(0);
    host_take_nothing(is);
    assert_int_equal(host_subs(is), 0);
    assert_int_equal(host_record(is, EVT_RECORD_SUBSCRIPTION)->record.n, 0);
    assert_int_equal(host_record(is, EVT_RECORD_PUBLICATION)->record.n, 0);
}

/* Exact-size blocks, so that a read behind the end is found. */
static enum hd_err
try_record(const struct host_put *put, const char *octets, size_t n)
{
    struct host_put copy = *put;
    char *exact = malloc(n ? n : 1);
    enum hd_err err;

    if (n)
        memcpy(exact, octets, n);
    copy.record = hd_slice(exact, n);
    err = give_back(&copy, 0);
    free(exact);
    return err;
}

static void
a_record_that_was_cut_or_changed_is_refused_or_read_and_never_more(void **state)
{
    (void)state;
    publish(was, NULL, "one");
    subscribe_rated("x-state;max-rate=0.5;adaptive-min-rate=0.1");
    host_request(was, &(struct host_request){ .method = "REGISTER",
                                              .uri = "sip:example.test",
                                              .to_uri = "sip:alice@example.test",
                                              .event = "",
                                              .expires = 600 });
    end(CLEAN, 1);
    for (enum evt_record_kind kind = EVT_RECORD_SUBSCRIPTION; kind <= EVT_RECORD_SEEN; kind++) {
        const struct host_put *put = host_record(was, kind);
        assert_non_null(put);
        for (size_t n = 0; n < put->record.n; n++)
            assert_int_equal(try_record(put, put->record.p, n), HD_ESYNTAX);
        char *changed = malloc(put->record.n + 1);
        for (size_t bit = 0; bit < put->record.n * 8; bit++) {
            memcpy(changed, put->record.p, put->record.n);
            changed[bit / 8] = (char)(changed[bit / 8] ^ 1 << bit % 8);
            host_done(is);
            host_init(is, 1);
            is->reserve_fails = true; /* what it would say is not looked at */
            enum hd_err err = try_record(put, changed, put->record.n);
            assert_true(err == HD_OK || err == HD_ESYNTAX || (err == HD_EVERSION && bit < 8));
            host_settle(is);
            host_drop(is);
            assert_null(evt_shard_check(host_shard(is, 0)));
        }
        memcpy(changed, put->record.p, put->record.n);
        changed[put->record.n] = 0;
        assert_int_equal(try_record(put, changed, put->record.n + 1), HD_ESYNTAX);
        changed[0] = EVT_RECORD_VERSION + 1;
        assert_int_equal(try_record(put, changed, put->record.n), HD_EVERSION);
        free(changed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(a_publication_goes_on_with_its_entity_tag),
        TEST(a_publication_that_expired_meanwhile_is_gone),
        TEST(the_newest_of_several_publications_is_the_newest_still),
        TEST(a_repeated_register_hears_the_bindings),
        TEST(all_of_a_contact_is_there_again),
        TEST(everything_finds_its_shard_whatever_their_number),
        TEST(what_was_seen_is_known_through_several_numbers_of_shards),
        TEST(a_package_that_is_gone_takes_its_records_with_it),
        TEST(a_record_that_was_cut_or_changed_is_refused_or_read_and_never_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
