/* memory_test.c - every allocation of a whole exchange is refused once, in turn: nothing may crash,
 * leak or wait for ever.  The linker hands malloc, calloc and realloc to this file (--wrap). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "herald/fake.h"
#include "herald/pub.h"
#include "herald/sub.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static unsigned left;
static bool armed, refused;

static bool
passes(void)
{
    if (!armed || left-- > 0)
        return true;
    armed = false;
    refused = true;
    return false;
}

void *
__wrap_malloc(size_t size)
{
    return passes() ? __real_malloc(size) : NULL;
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return passes() ? __real_calloc(n, size) : NULL;
}

void *
__wrap_realloc(void *p, size_t size)
{
    return passes() ? __real_realloc(p, size) : NULL;
}

struct bench {
    struct fake fake;
    unsigned notified, ended, done;
};

static void
count_notified(void *context, const struct ua_notification *notification)
{
    (void)notification;
    ((struct bench *)context)->notified++;
}

static void
no_report(void *context, const struct ua_sub_report *report)
{
    (void)context;
    (void)report;
}

static void
count_ended(void *context, const struct ua_sub_ending *ending)
{
    (void)ending;
    ((struct bench *)context)->ended++;
}

static void
count_done(void *context, const struct ua_pub_result *result)
{
    (void)result;
    ((struct bench *)context)->done++;
}

static void
no_news(void *context, enum ua_pub_news news, uint32_t expires_s)
{
    (void)context;
    (void)news;
    (void)expires_s;
}

/* The last message when it is a request; NULL otherwise. */
static const struct sip_msg *
last_request(struct fake *fake)
{
    if (fake->n_sent == 0)
        return NULL;
    const struct sip_msg *msg = fake_sent(fake, fake->n_sent - 1);
    return msg->request ? msg : NULL;
}

static void
answer_last(struct fake *fake, unsigned status, const char *headers)
{
    if (last_request(fake))
        fake_answer(fake, fake->n_sent - 1, status, headers);
}

#define CHALLENGE                                                                                  \
    "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", algorithm=SHA-256, "            \
    "qop=\"auth\"\r\n"

static void
subscribe_run(struct bench *b)
{
    struct ua_sub *sub = NULL;
    enum hd_err err = ua_sub_new(&(struct ua_sub_params){ .client = b->fake.client,
                                                          .uri = HD_LIT("sip:alice@example.test"),
                                                          .from = HD_LIT("sip:bob@example.test"),
                                                          .event = HD_LIT("presence"),
                                                          .expires_s = 3600,
                                                          .type = HD_LIT("a/b"),
                                                          .body = HD_LIT("filter"),
                                                          .context = b,
                                                          .notified = count_notified,
                                                          .reported = no_report,
                                                          .ended = count_ended },
                                 &sub);
    if (err) {
        assert_int_equal(err, HD_ENOMEM);
        return;
    }
    ua_sub_start(sub);
    answer_last(&b->fake, 401, CHALLENGE);
    answer_last(&b->fake, 200, "Expires: 3600\r\n");
    if (b->fake.n_sent && fake_sent(&b->fake, 0)->request)
        fake_notify(&b->fake, &(struct fake_notify){ .subscribe = fake_sent(&b->fake, 0),
                                                     .cseq = 1,
                                                     .state = "active;expires=100",
                                                     .body = "x" });
    fake_pass(&b->fake, 60000); /* the refresh goes out */
    answer_last(&b->fake, 200, "Expires: 3600\r\n");
    if (ua_sub_state(sub) != UA_SUB_ENDED)
        ua_sub_leave(sub);
    fake_pass(&b->fake, 200000); /* Timers F and N end whatever waits */
    assert_int_equal(b->ended, 1);
    ua_sub_free(sub);
}

static void
publish_run(struct bench *b)
{
    struct ua_pub *pub = NULL;
    enum hd_err err = ua_pub_new(&(struct ua_pub_params){ .client = b->fake.client,
                                                          .uri = HD_LIT("sip:alice@example.test"),
                                                          .from = HD_LIT("sip:bob@example.test"),
                                                          .event = HD_LIT("presence"),
                                                          .expires_s = 3600,
                                                          .context = b,
                                                          .done = count_done,
                                                          .reported = no_news },
                                 &pub);
    if (err) {
        assert_int_equal(err, HD_ENOMEM);
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        unsigned before = b->done;
        err = ua_pub_set(pub, HD_LIT("a/b"), HD_LIT("state"));
        if (err) {
            assert_int_equal(err, HD_ENOMEM);
            assert_false(ua_pub_busy(pub));
            continue;
        }
        answer_last(&b->fake, 401, CHALLENGE);
        answer_last(&b->fake, 200, "SIP-ETag: e\r\nExpires: 3600\r\n");
        assert_int_equal(b->done, before + 1);
    }
    if (ua_pub_live(pub))
        fake_pass(&b->fake, 3600000 - 40000);
    ua_pub_free(pub);
}

static unsigned
exchanges(void (*run)(struct bench *b))
{
    for (unsigned n = 0;; n++) {
        struct bench b = { .notified = 0 };
        fake_init(&b.fake, HD_UDP, "bob", "secret");
        left = n;
        armed = true;
        refused = false;
        run(&b);
        armed = false;
        fake_done(&b.fake);
        if (!refused)
            return n;
    }
}

static void
a_subscription_survives_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(exchanges(subscribe_run) >= 6);
}

static void
a_publication_survives_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(exchanges(publish_run) >= 6);
}

static void
a_client_that_cannot_be_made_says_so(void **state)
{
    (void)state;
    struct ua_client *client = NULL;
    uint64_t seed = 1;
    struct hd_rng rng;
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    left = 0;
    armed = true;
    assert_int_equal(ua_client_new(&(struct ua_params){ .rng = &rng }, &client), HD_ENOMEM);
    armed = false;
    assert_null(client);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscription_survives_each_refused_allocation),
        cmocka_unit_test(a_publication_survives_each_refused_allocation),
        cmocka_unit_test(a_client_that_cannot_be_made_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
