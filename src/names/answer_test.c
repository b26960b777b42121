/* answer_test.c - what name servers say, edges first. */
#include "names/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Octets are written as a string; H is the header of an answer with one question and n answers. */
#define H(n, auth) "\x12\x34\x81\x80\0\1\0" n "\0" auth "\0\0"
#define HOST "\1h\7example\0"
#define ASK_A HOST "\0\1\0\1"
#define A_RR(ip) "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" ip
#define SOA "\xc0\x0c\0\6\0\1\0\0\0\x78\0\x16\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x1e"

static struct nam_answer answer;

/* From a block of exactly its size, so that a read beyond is seen. */
static enum hd_err
read_as(const char *octets, size_t n, const char *name, enum nam_type type)
{
    char *copy = malloc(n ? n : 1);
    enum hd_err err;

    assert_non_null(copy);
    memcpy(copy, octets, n);
    err = nam_answer_read(hd_slice(copy, n), hd_slice_str(name), type, &answer);
    free(copy);
    return err;
}
#define READ(text, name, type) read_as(text, sizeof(text) - 1, name, type)

static void
an_address_is_read_with_its_ttl(void **state)
{
    (void)state;
    assert_int_equal(READ(H("\1", "\0") ASK_A A_RR("\xc0\0\2\1"), "h.example", NAM_A), HD_OK);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.ttl_s, 60);
    assert_int_equal(answer.record[0].addr.family, 4);
    assert_memory_equal(answer.record[0].addr.ip, "\xc0\0\2\1", 4);
    assert_false(answer.more);
}

static void
every_beginning_of_an_answer_is_refused(void **state)
{
    static const char text[] = H("\1", "\0") ASK_A A_RR("\xc0\0\2\1");

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_int_equal(read_as(text, n, "h.example", NAM_A), HD_ESYNTAX);
}

static void
nothing_is_kept_as_long_as_the_soa_says(void **state)
{
    (void)state;
    assert_int_equal(READ("\x12\x34\x81\x83\0\1\0\0\0\1\0\0" ASK_A SOA, "h.example", NAM_A), HD_OK);
    assert_int_equal(answer.n, 0);
    assert_int_equal(answer.ttl_s, 30);
    assert_int_equal(READ(H("\0", "\0") ASK_A, "h.example", NAM_A), HD_OK);
    assert_int_equal(answer.n, 0);
    assert_int_equal(answer.ttl_s, 60);
}

static void
a_failure_is_no_answer(void **state)
{
    (void)state;
    assert_int_equal(READ("\x12\x34\x81\x82\0\1\0\0\0\0\0\0" ASK_A, "h.example", NAM_A), HD_EAGAIN);
    assert_int_equal(READ("\x12\x34\x81\x85\0\1\0\0\0\0\0\0" ASK_A, "h.example", NAM_A), HD_EAGAIN);
}

static void
another_questions_answer_is_refused(void **state)
{
    static const char text[] = H("\1", "\0") ASK_A A_RR("\xc0\0\2\1");

    (void)state;
    assert_int_equal(READ(H("\1", "\0") ASK_A A_RR("\xc0\0\2\1"), "g.example", NAM_A), HD_ESYNTAX);
    assert_int_equal(read_as(text, sizeof(text) - 1, "h.example", NAM_AAAA), HD_ESYNTAX);
    /* a question is no answer; none or two questions; another class */
    assert_int_equal(READ("\x12\x34\1\0\0\1\0\0\0\0\0\0" ASK_A, "h.example", NAM_A), HD_ESYNTAX);
    assert_int_equal(READ("\x12\x34\x81\x80\0\0\0\0\0\0\0\0", "h.example", NAM_A), HD_ESYNTAX);
    assert_int_equal(READ("\x12\x34\x81\x80\0\2\0\0\0\0\0\0" ASK_A ASK_A, "h.example", NAM_A),
                     HD_ESYNTAX);
    assert_int_equal(READ(H("\0", "\0") HOST "\0\1\0\3", "h.example", NAM_A), HD_ESYNTAX);
}

static void
records_of_other_names_and_types_are_left_out(void **state)
{
    (void)state;
    assert_int_equal(READ(H("\3", "\0") ASK_A
                          "\1g\xc0\x0e\0\1\0\1\0\0\0\x3c\0\4\1\1\1\1"
                          "\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\2\1x" A_RR("\2\2\2\2"),
                          "h.example", NAM_A),
                     HD_OK);
    assert_int_equal(answer.n, 1);
    assert_memory_equal(answer.record[0].addr.ip, "\2\2\2\2", 4);
}

static void
an_address_of_another_length_or_of_nobody_is_left_out(void **state)
{
    (void)state;
    assert_int_equal(READ(H("\2", "\0") ASK_A
                          "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\5\1\1\1\1\1" A_RR("\0\0\0\0"),
                          "h.example", NAM_A),
                     HD_OK);
    assert_int_equal(answer.n, 0);
}

static void
aliases_are_followed_in_any_order(void **state)
{
    /* g.example has the address and comes first, then h is an alias of g */
    (void)state;
    assert_int_equal(READ(H("\2", "\0") ASK_A "\1g\xc0\x0e\0\1\0\1\0\0\0\x3c\0\4\7\7\7\7"
                                              "\xc0\x0c\0\5\0\1\0\0\0\x0a\0\4\1g\xc0\x0e",
                          "h.example", NAM_A),
                     HD_OK);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.ttl_s, 10);
    assert_int_equal(answer.alias_n, 0);
}

static void
an_alias_that_ends_in_nothing_names_its_end(void **state)
{
    (void)state;
    assert_int_equal(
        READ(H("\1", "\0") ASK_A "\xc0\x0c\0\5\0\1\0\0\0\x0a\0\4\1G\xc0\x0e", "h.example", NAM_A),
        HD_OK);
    assert_int_equal(answer.n, 0);
    assert_int_equal(answer.alias_n, 9);
    assert_memory_equal(answer.text + answer.alias, "g.example", 9);
}

static void
aliases_in_a_circle_are_refused(void **state)
{
    (void)state;
    assert_int_equal(
        READ(H("\1", "\0") ASK_A "\xc0\x0c\0\5\0\1\0\0\0\x0a\0\2\xc0\x0c", "h.example", NAM_A),
        HD_ESYNTAX);
    assert_int_equal(READ(H("\2", "\0") ASK_A "\xc0\x0c\0\5\0\1\0\0\0\x0a\0\4\1g\xc0\x0e"
                                              "\1g\xc0\x0e\0\5\0\1\0\0\0\x0a\0\2\xc0\x0c",
                          "h.example", NAM_A),
                     HD_ESYNTAX);
}

static void
a_pointer_only_goes_backwards(void **state)
{
    (void)state;
    /* to itself, forwards, into the header */
    assert_int_equal(
        READ(H("\1", "\0") ASK_A "\xc0\x1b\0\1\0\1\0\0\0\1\0\4\1\1\1\1", "h.example", NAM_A),
        HD_ESYNTAX);
    assert_int_equal(
        READ(H("\1", "\0") ASK_A "\xc0\x40\0\1\0\1\0\0\0\1\0\4\1\1\1\1", "h.example", NAM_A),
        HD_ESYNTAX);
    assert_int_equal(
        READ(H("\1", "\0") ASK_A "\xc0\0\0\1\0\1\0\0\0\1\0\4\1\1\1\1", "h.example", NAM_A),
        HD_ESYNTAX);
}

static void
a_service_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        READ(H("\1", "\0") "\4_sip\4_udp\7example\0\0\x21\0\1"
                           "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0a\0\x0a\0\5\x13\xc4\1h\xc0\x16",
             "_sip._udp.example", NAM_SRV),
        HD_OK);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.record[0].order, 10);
    assert_int_equal(answer.record[0].weight, 5);
    assert_int_equal(answer.record[0].port, 5060);
    assert_true(hd_slice_eq(nam_record_name(&answer, &answer.record[0]), HD_LIT("h.example")));
}

static void
a_target_that_is_no_hosts_name_is_left_out(void **state)
{
    (void)state;
    assert_int_equal(
        READ(H("\1", "\0") "\4_sip\4_udp\7example\0\0\x21\0\1"
                           "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0b\0\1\0\1\0\1\2\r\n\xc0\x16",
             "_sip._udp.example", NAM_SRV),
        HD_OK);
    assert_int_equal(answer.n, 0);
}

static void
naptr_says_transport_and_next_name(void **state)
{
    (void)state;
    assert_int_equal(
        READ(H("\2", "\0") "\7example\0\0\x23\0\1"
                           "\xc0\x0c\0\x23\0\1\0\0\0\x3c\0\x13\0\1\0\2\1s\7SIP+D2T\0\1h\xc0\x0c"
                           "\xc0\x0c\0\x23\0\1\0\0\0\x3c\0\x14\0\3\0\4\1S\10sips+d2t\0\1h\xc0\x0c",
             "example", NAM_NAPTR),
        HD_OK);
    assert_int_equal(answer.n, 2);
    assert_int_equal(answer.record[0].transport, HD_TCP);
    assert_false(answer.record[0].secure);
    assert_int_equal(answer.record[1].transport, HD_TLS);
    assert_true(answer.record[1].secure);
    assert_int_equal(answer.record[1].order, 3);
    assert_int_equal(answer.record[1].weight, 4);
}

static void
naptr_of_others_is_no_service_of_ours(void **state)
{
    (void)state;
    /* ENUM's: flag "u" with an expression */
    assert_int_equal(
        READ(H("\1", "\0") "\7example\0\0\x23\0\1"
                           "\xc0\x0c\0\x23\0\1\0\0\0\x3c\0\x15\0\1\0\2\1u\7E2U+sip\5!^.*$\0",
             "example", NAM_NAPTR),
        HD_OK);
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.record[0].transport, 0);
}

static void
what_is_beyond_the_bounds_is_told(void **state)
{
    static const char rr[] = A_RR("\1\2\3\4");
    const size_t each = sizeof(rr) - 1;
    static const char head[] = "\x12\x34\x81\x80\0\1\x03\xe8\0\0\0\0" ASK_A;
    char *text = malloc(sizeof(head) + 1000 * each);

    (void)state;
    assert_non_null(text);
    memcpy(text, head, sizeof(head) - 1);
    for (size_t i = 0; i < 1000; i++)
        memcpy(text + sizeof(head) - 1 + i * each, rr, each);
    assert_int_equal(read_as(text, sizeof(head) - 1 + 1000 * each, "h.example", NAM_A), HD_OK);
    assert_int_equal(answer.n, NAM_RECORDS_MAX);
    assert_true(answer.more);
    free(text);
}

static void
a_ttl_with_its_upper_bit_counts_as_0(void **state)
{
    (void)state;
    assert_int_equal(
        READ(H("\1", "\0") ASK_A "\xc0\x0c\0\1\0\1\x80\0\0\x3c\0\4\1\1\1\1", "h.example", NAM_A),
        HD_OK);
    assert_int_equal(answer.ttl_s, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_with_its_ttl),
        cmocka_unit_test(every_beginning_of_an_answer_is_refused),
        cmocka_unit_test(nothing_is_kept_as_long_as_the_soa_says),
        cmocka_unit_test(a_failure_is_no_answer),
        cmocka_unit_test(another_questions_answer_is_refused),
        cmocka_unit_test(records_of_other_names_and_types_are_left_out),
        cmocka_unit_test(an_address_of_another_length_or_of_nobody_is_left_out),
        cmocka_unit_test(aliases_are_followed_in_any_order),
        cmocka_unit_test(an_alias_that_ends_in_nothing_names_its_end),
        cmocka_unit_test(aliases_in_a_circle_are_refused),
        cmocka_unit_test(a_pointer_only_goes_backwards),
        cmocka_unit_test(a_service_is_read),
        cmocka_unit_test(a_target_that_is_no_hosts_name_is_left_out),
        cmocka_unit_test(naptr_says_transport_and_next_name),
        cmocka_unit_test(naptr_of_others_is_no_service_of_ours),
        cmocka_unit_test(what_is_beyond_the_bounds_is_told),
        cmocka_unit_test(a_ttl_with_its_upper_bit_counts_as_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
