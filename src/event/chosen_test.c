/* chosen_test.c - subscriptions to dialogs that their Event header names (RFC 4235 section 3.2):
 * only what these did is told, and with the last of them they end (section 3.4), whatever else
 * happens on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_dialogs.h"
#include "event/test_setup.h"

#define BOB "sip:bob@example.test"
#define C0 "x-dialogs;call-id=c0;to-tag=l"

static const struct evt_package *const packages[] = { &host_dialog_package };
static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

static int
setup(void **state)
{
    host_setup(state);
    host_dialogs(&host);
    struct evt_config *config = host_config_copy(&host);
    config->packages = packages;
    config->n_packages = HD_ARRAY_LEN(packages);
    host_configure(&host, config, hd_slice(NULL, 0));
    etag[0] = '\0';
    return 0;
}

static void
publish(const char *lines)
{
    host_publish(&host, BOB, "x-dialogs", *etag ? etag : NULL, lines, etag);
}

static void
watch(const char *headers)
{
    host_subscribe(&host,
                   &(struct host_request){ .event = C0, .expires = 3600, .headers = headers }, tag);
}

static void
told(const char *body)
{
    const struct host_sent *sent = host_take_notify(&host);

    assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(body)));
    host_answer(&host, sent, 200, NULL);
}

static void
told_the_end(void)
{
    const struct host_sent *sent = host_take_notify(&host);

    assert_true(host_has(sent, "Subscription-State: terminated;reason=noresource\r\n"));
    host_answer(&host, sent, 200, NULL);
    host_take_nothing(&host);
    assert_int_equal(host_dialogs_named(), 0);
}

static void
only_the_dialog_that_is_named_is_told_until_it_is_over(void **state)
{
    (void)state;
    publish("#1#c0+\n#1#c1+\n");
    watch(NULL);
    publish("#1#c0+\n#2#c1-\n");
    host_take_nothing(&host);
    publish("#3#c0-\n#2#c1-\n");
    told("#3#c0-\n");
    told_the_end();
}

/* What a SUBSCRIBE names counts from its 200 on, and the next one may name another. */
static void
a_refresh_names_another_dialog(void **state)
{
    (void)state;
    publish("#1#c0+\n#1#c1+\n");
    watch(NULL);
    host_request(&host, &(struct host_request){ .event = "x-dialogs;call-id=c1;to-tag=l",
                                                .expires = 3600,
                                                .to_tag = tag,
                                                .cseq = 2 });
    host_take_status(&host, 200);
    told("#1#c1+\n");
    publish("#2#c0-\n#1#c1+\n");
    host_take_nothing(&host);
    assert_int_equal(host_dialogs_named(), 1);
}

/* Of a SUBSCRIBE that came by two ways the second is refused (RFC 3261 section 8.2.2.2), also when
 * nothing came of the first, and nothing of it stays. */
static void
what_a_merged_request_names_is_given_back(void **state)
{
    (void)state;
    host.store = HOST_STORE_FAILS;
    host_request(&host, &(struct host_request){ .event = C0, .expires = 3600 });
    host_take_status(&host, 503);
    host.store = HOST_STORE_NOW;
    host_request(&host, &(struct host_request){ .event = C0, .expires = 3600, .branch = "other" });
    host_take_status(&host, 482);
    assert_int_equal(host_dialogs_named(), 0);
}

/* That he has seen the dialog is not kept, and that he has seen this state is. */
static void
who_has_seen_it_is_told_of_its_end_after_a_crash(void **state)
{
    (void)state;
    publish("#1#c0+\n");
    host_request(&host, &(struct host_request){ .event = C0, .expires = 3600 });
    host_take_status(&host, 200);
    host.store = HOST_STORE_LATER;
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_non_null(host.puts);
    host_store_release(&host, 1, HD_ESTORE);
    assert_null(host.puts);
    host.store = HOST_STORE_NOW;
    host_wait(&host, 5000);
    host_restart(&host, 1, &(struct host_ending){ .down_ms = 1000 });
    host_settle(&host);
    host_take_nothing(&host);
    publish("#2#c1+\n");
    told("(none)");
    told_the_end();
}

/* Who takes no type in which it is told learns of its end all the same. */
static void
who_is_shown_no_body_is_told_of_its_end(void **state)
{
    (void)state;
    publish("#1#c0+\n");
    watch("Accept: text/html\r\n");
    publish("#2#c0-\n");
    told("");
    told_the_end();
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        HOST_TEST_WITH(only_the_dialog_that_is_named_is_told_until_it_is_over, 1, setup),
        HOST_TEST_WITH(a_refresh_names_another_dialog, 1, setup),
        HOST_TEST_WITH(what_a_merged_request_names_is_given_back, 1, setup),
        HOST_TEST_WITH(who_has_seen_it_is_told_of_its_end_after_a_crash, 1, setup),
        HOST_TEST_WITH(who_is_shown_no_body_is_told_of_its_end, 1, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
