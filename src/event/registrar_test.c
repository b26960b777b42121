/* registrar_test.c - bindings of an address of record (RFC 3261 section 10.3): completely or not at
 * all, with the time that each has left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

static struct host_sent *
ask(uint32_t cseq, const char *contact, int64_t expires, unsigned status)
{
    host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                .uri = "sip:example.test",
                                                .to_uri = "sip:alice@example.test",
                                                .cseq = cseq,
                                                .contact = contact,
                                                .expires = expires });
    return host_take_status(&host, status);
}

static unsigned
bindings(void)
{
    return (unsigned)HOST_COUNT(&host, 0, bindings);
}

static void
a_contact_is_added_refreshed_and_removed(void **state)
{
    (void)state;
    assert_true(
        host_has(ask(1, "<sip:a@1.1.1.1>", 600, 200), "Contact: <sip:a@1.1.1.1>;expires=600\r\n"));
    host_wait(&host, 100000);
    assert_true(host_has(ask(2, "<sip:b@1.1.1.1>;q=0.25;expires=70", 600, 200),
                         "Contact: <sip:a@1.1.1.1>;expires=500\r\n"));
    assert_true(host_has(ask(3, "<sip:A@1.1.1.1>", 600, 200), ";expires=70;q=0.250\r\n"));
    assert_int_equal(bindings(), 3); /* the user part has its case */
    assert_false(host_has(ask(4, "<sip:a@1.1.1.1;transport=UDP>;expires=0", 600, 200), "nothing"));
    assert_int_equal(bindings(), 3); /* one more or less parameter is another URI */
    ask(5, "<sip:a@1.1.1.1>", 0, 200);
    assert_int_equal(bindings(), 2);
}

static void
a_request_that_is_refused_changes_nothing_at_all(void **state)
{
    static const struct {
        const char *contact;
        int64_t expires;
        unsigned status;
    } row[] = {
        { "<sip:b@1.1.1.1>, <sip:c@1.1.1.1>;expires=5", 600, 423 },
        { "<sip:b@1.1.1.1>, nonsense<", 600, 400 },
        { "<sip:b@1.1.1.1>, *", 0, 400 },
        { "*", 600, 400 },
        { "*, *", 0, 400 },
        { "<sip:b@1.1.1.1>, <sip:a b@1.1.1.1>", 600, 400 },
    };

    (void)state;
    ask(1, "<sip:a@1.1.1.1>", 600, 200);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        ask((uint32_t)(i + 2), row[i].contact, row[i].expires, row[i].status);
        assert_int_equal(bindings(), 1);
    }
    assert_int_equal(HOST_COUNT(&host, 0, waiting), 0);
}

static void
an_older_request_of_the_same_call_is_500(void **state)
{
    (void)state;
    ask(5, "<sip:a@1.1.1.1>", 600, 200);
    ask(4, "<sip:a@1.1.1.1>", 0, 500);
    assert_int_equal(bindings(), 1);
}

static void
the_same_contact_twice_in_one_request_is_one(void **state)
{
    (void)state;
    ask(1, "<sip:a@1.1.1.1>;expires=100, <sip:a@1.1.1.1>;expires=200", 600, 200);
    assert_int_equal(bindings(), 1);
}

static void
a_star_removes_all(void **state)
{
    (void)state;
    ask(1, "<sip:a@1.1.1.1>, <sip:b@1.1.1.1>", 600, 200);
    ask(2, "*", 0, 200);
    assert_int_equal(bindings(), 0);
    host_wait(&host, 33000);
    assert_int_equal(host_shard(&host, 0)->accounts.count, 0);
    assert_int_equal(host_record(&host, EVT_RECORD_BINDINGS)->record.n, 0);
}

static void
without_contact_it_is_a_question(void **state)
{
    (void)state;
    assert_false(host_has(ask(1, "", -1, 200), "Contact"));
    assert_int_equal(host_shard(&host, 0)->accounts.count, 0);
    ask(2, "<sip:a@1.1.1.1>", 600, 200);
    const unsigned puts = host.n_puts;
    assert_true(host_has(ask(3, "", -1, 200), "<sip:a@1.1.1.1>;expires=600"));
    assert_int_equal(host.n_puts, puts);
}

static void
bindings_expire_one_by_one(void **state)
{
    (void)state;
    ask(1, "<sip:a@1.1.1.1>;expires=100, <sip:b@1.1.1.1>;expires=200", 600, 200);
    host_wait(&host, 100000);
    assert_int_equal(bindings(), 1);
    host_wait(&host, 100000);
    assert_int_equal(bindings(), 0);
    host_wait(&host, 33000);
    assert_int_equal(host_shard(&host, 0)->accounts.count, 0);
}

static void
one_that_expires_while_the_store_works_is_not_brought_back(void **state)
{
    (void)state;
    ask(1, "<sip:a@1.1.1.1>;expires=60, <sip:b@1.1.1.1>;expires=600", 600, 200);
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                .uri = "sip:example.test",
                                                .to_uri = "sip:alice@example.test",
                                                .cseq = 2,
                                                .contact = "<sip:c@1.1.1.1>",
                                                .expires = 600 });
    host_wait(&host, 61000);
    host_take_status(&host, 100);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    assert_false(host_has(host_take_status(&host, 200), "sip:a@"));
    host_wait(&host, 1);
    assert_int_equal(bindings(), 2);
}

static void
what_the_store_did_not_keep_leaves_all_as_it_was(void **state)
{
    (void)state;
    ask(1, "<sip:a@1.1.1.1>", 600, 200);
    host.store = HOST_STORE_FAILS;
    ask(2, "<sip:b@1.1.1.1>", 600, 503);
    host.store = HOST_STORE_REFUSES;
    ask(3, "*", 0, 503);
    assert_int_equal(bindings(), 1);
}

static void
a_user_has_a_bound_of_bindings(void **state)
{
    char contact[64];

    (void)state;
    for (uint32_t i = 0; i < 16; i++) {
        (void)snprintf(contact, sizeof(contact), "<sip:a@1.1.1.%u>", i);
        ask(i + 1, contact, 600, 200);
    }
    ask(17, "<sip:a@2.2.2.2>", 600, 403);
    ask(18, "<sip:a@1.1.1.3>", 600, 200); /* one that is there already */
    assert_int_equal(bindings(), 16);
}

/* An answer lists them all, and has to fit into a datagram. */
static void
contacts_that_are_as_long_as_they_may_be_are_answered(void **state)
{
    char contact[1100], user[1011];
    unsigned accepted = 0;

    (void)state;
    for (uint32_t i = 0; i < 16; i++) {
        memset(user, 'a' + (int)i, sizeof(user) - 1);
        user[sizeof(user) - 1] = '\0';
        (void)snprintf(contact, sizeof(contact), "<sip:%s@1.1.1.1>", user);
        host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                    .uri = "sip:example.test",
                                                    .to_uri = "sip:alice@example.test",
                                                    .cseq = i + 1,
                                                    .contact = contact,
                                                    .expires = 600 });
        struct host_sent *sent = host_take(&host);
        assert_non_null(sent);
        assert_true(sent->msg.status == 200 || sent->msg.status == 403);
        accepted += sent->msg.status == 200;
    }
    assert_int_equal(bindings(), accepted);
    assert_true(accepted >= 10);
    ask(20, "", -1, 200);
}

/* --- GRUUs ------------------------------------------------------------------------------------ */

static size_t
temporary(const char *address, uint32_t generation, uint64_t nonce, char key[SIP_KEY_MAX])
{
    struct sip_out out;
    size_t n;

    sip_out_init(&out, key, SIP_KEY_MAX);
    evt_gruu_temporary(host_shard(&host, 0), &out, hd_slice_str(address),
                       &(struct evt_binding){ .gruu_generation = generation, .gruu_nonce = nonce });
    assert_int_equal(sip_out_finish(&out, &n), HD_OK);
    return n - 3; /* as a key it has no ";gr" */
}

static void
a_temporary_gruu_is_read_back_by_whoever_has_the_keys(void **state)
{
    char key[SIP_KEY_MAX];
    uint32_t generation = 0;
    size_t n = temporary("sip:alice@example.test", 7, 99, key);

    (void)state;
    assert_int_equal(evt_gruu_read(host_shard(&host, 0), key, &n, &generation), HD_OK);
    assert_int_equal(generation, 7);
    assert_true(hd_slice_eq(hd_slice(key, n), HD_LIT("sip:alice@example.test")));
    n = 22;
    assert_int_equal(evt_gruu_read(host_shard(&host, 0), key, &n, &generation), HD_ENOMATCH);
}

static void
every_other_character_makes_it_another_one(void **state)
{
    char good[SIP_KEY_MAX], key[SIP_KEY_MAX];
    uint32_t generation;
    const size_t whole = temporary("sip:alice@example.test", 7, 99, good);

    (void)state;
    for (size_t i = 10; i < whole; i++) {
        size_t n = whole;
        memcpy(key, good, whole);
        key[i] = key[i] == 'a' ? 'b' : 'a';
        if (key[i] == '@' || good[i] == '@')
            continue;
        assert_int_equal(evt_gruu_read(host_shard(&host, 0), key, &n, &generation), HD_ESYNTAX);
    }
    for (size_t n = 11; n < whole; n++) {
        size_t cut = n;
        memcpy(key, good, whole);
        assert_int_not_equal(evt_gruu_read(host_shard(&host, 0), key, &cut, &generation), HD_OK);
    }
}

/* RFC 5627 section 5.1: two of one address look like two of any. */
static void
two_of_one_address_share_nothing(void **state)
{
    char a[SIP_KEY_MAX], b[SIP_KEY_MAX];
    size_t n = temporary("sip:alice@example.test", 7, 1, a), same = 0;

    (void)state;
    assert_int_equal(temporary("sip:alice@example.test", 7, UINT64_MAX, b), n);
    for (size_t i = 10; i < n - 13; i++)
        same += a[i] == b[i];
    assert_true(same < 25); /* of 72 hexadecimal digits each 16th agrees by chance */
}

static void
an_address_that_is_too_long_has_no_temporary_gruu(void **state)
{
    char address[SIP_KEY_MAX];

    (void)state;
    memset(address, 'a', sizeof(address));
    memcpy(address, "sip:", 4);
    memcpy(address + 200, "@example.test", 13);
    assert_false(evt_gruu_fits(hd_slice(address, 213)));
    assert_true(evt_gruu_fits(HD_LIT("sip:alice@example.test")));
    assert_false(evt_gruu_fits(HD_LIT("sip:example.test")));
}

static void
the_operator_ends_contacts(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    const struct hd_slice key = HD_LIT("sip:alice@example.test");
    const uint64_t now_us = host.now_ms * 1000;
    struct evt_operated did;

    (void)state;
    ask(1, "<sip:a@1.1.1.1>, <sip:b@1.1.1.1>", 600, 200);
    assert_int_equal(evt_shard_unregister(shard, key, HD_LIT("sip:c@1.1.1.1"), HD_LIT("rejected"),
                                          0, now_us, &did),
                     HD_ENOMATCH);
    assert_int_equal(evt_shard_unregister(shard, key, HD_LIT("sip:a@1.1.1.1"), HD_LIT("expired?"),
                                          0, now_us, &did),
                     HD_ESYNTAX);
    assert_int_equal(evt_shard_unregister(shard, key, HD_LIT("sip:a@1.1.1.1"), HD_LIT("probation"),
                                          60, now_us, &did),
                     HD_OK);
    assert_int_equal(did.n, 1);
    assert_int_equal(did.err, HD_ESTORE); /* not yet */
    host_settle(&host);
    assert_int_equal(did.err, HD_OK);
    assert_int_equal(bindings(), 1);
    assert_int_equal(
        evt_shard_unregister(shard, key, hd_slice(NULL, 0), HD_LIT("deactivated"), 0, now_us, &did),
        HD_OK);
    host_settle(&host);
    assert_int_equal(bindings(), 0);
    assert_int_equal(
        evt_shard_unregister(shard, key, hd_slice(NULL, 0), HD_LIT("deactivated"), 0, now_us, &did),
        HD_ENOMATCH);
    host_wait(&host, 60000);
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 1)
    const struct CMUnitTest tests[] = {
        TEST(a_contact_is_added_refreshed_and_removed),
        TEST(a_request_that_is_refused_changes_nothing_at_all),
        TEST(an_older_request_of_the_same_call_is_500),
        TEST(the_same_contact_twice_in_one_request_is_one),
        TEST(a_star_removes_all),
        TEST(without_contact_it_is_a_question),
        TEST(bindings_expire_one_by_one),
        TEST(one_that_expires_while_the_store_works_is_not_brought_back),
        TEST(what_the_store_did_not_keep_leaves_all_as_it_was),
        TEST(a_user_has_a_bound_of_bindings),
        TEST(contacts_that_are_as_long_as_they_may_be_are_answered),
        TEST(a_temporary_gruu_is_read_back_by_whoever_has_the_keys),
        TEST(every_other_character_makes_it_another_one),
        TEST(two_of_one_address_share_nothing),
        TEST(an_address_that_is_too_long_has_no_temporary_gruu),
        TEST(the_operator_ends_contacts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
