/* test_filter.h - filters and documents for the tests of this folder. */
#ifndef HD_FILTER_TEST_FILTER_H
#define HD_FILTER_TEST_FILTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "filter/filters.h"
#include "filter/set.h"

#define RESOURCE "sip:presentity@example.com"
#define XML_TYPE "application/simple-filter+xml"
#define JSON_TYPE "application/vnd.herald.filter+json"

static struct flt_filters *filters;
static char phrase[EVT_FILTER_PHRASE];

/* A filter of one text, in the place of one that was; err is what comes of it. */
static struct evt_filter *
filter_make(const char *type, const char *text, struct evt_filter *before, enum hd_err err)
{
    struct evt_filter_request request = { .resource = HD_LIT(RESOURCE),
                                          .package = HD_LIT("presence") };
    struct evt_filter *filter = NULL;

    if (before)
        request.before = before->source;
    if (type) {
        request.type = hd_slice_str(type);
        request.body = hd_slice_str(text);
    } else {
        request.profile = hd_slice_str(text);
    }
    enum hd_err got = flt_filter_ops()->make(filters, &request, &filter, phrase);
    if (got != err)
        print_message("%s: %s: %s\n", text, hd_err_text(got), phrase);
    assert_int_equal(got, err);
    return filter;
}

static inline void
filter_drop(struct evt_filter *filter)
{
    flt_filter_ops()->unref(filters, filter);
}

/* A filter with its state, fed with documents. */
struct bench {
    struct evt_filter *filter;
    void *state;
    uint64_t now_ms;
    struct evt_step step;
};

static inline void
bench_begin(struct bench *b, const char *type, const char *text)
{
    b->filter = filter_make(type, text, NULL, HD_OK);
    b->state = malloc(b->filter->state_size);
    b->now_ms = 1000000;
    flt_begin(b->filter, b->state, b->now_ms);
}

static inline void
bench_end(struct bench *b)
{
    free(b->state);
    filter_drop(b->filter);
}

static inline struct evt_doc *
doc_of(const char *type, const char *body)
{
    return evt_doc_new(hd_slice_str(type), hd_slice_str(body));
}

/* What fires when this document comes. */
static inline uint32_t
bench_doc(struct bench *b, const char *type, const char *body)
{
    struct evt_doc *doc = doc_of(type, body);
    struct evt_reading *reading = flt_filter_ops()->read(filters, b->filter, doc);

    flt_filter_ops()->step(b->filter, b->state, reading, true, b->now_ms, &b->step);
    flt_filter_ops()->unread(filters, reading);
    evt_doc_unref(doc);
    return b->step.fired;
}

static inline uint32_t
bench_json(struct bench *b, const char *body)
{
    return bench_doc(b, "application/json", body);
}

/* What fires when time goes on. */
static inline uint32_t
bench_wait(struct bench *b, uint64_t ms)
{
    b->now_ms += ms;
    flt_filter_ops()->step(b->filter, b->state, NULL, false, b->now_ms, &b->step);
    return b->step.fired;
}

/* What the way from one document to another fires. */
static inline uint32_t
bench_compare(struct bench *b, const char *type, const char *before, const char *now)
{
    struct evt_doc *d1 = before ? doc_of(type, before) : NULL, *d2 = doc_of(type, now);
    struct evt_reading *r1 = before ? flt_filter_ops()->read(filters, b->filter, d1) : NULL;
    struct evt_reading *r2 = flt_filter_ops()->read(filters, b->filter, d2);
    uint32_t fired = flt_filter_ops()->compare(b->filter, b->state, r1, r2);

    flt_filter_ops()->unread(filters, r1);
    flt_filter_ops()->unread(filters, r2);
    evt_doc_unref(d1);
    evt_doc_unref(d2);
    return fired;
}

static inline int
filters_setup(void **state)
{
    (void)state;
    filters = flt_filters_new();
    return 0;
}

static inline int
filters_teardown(void **state)
{
    (void)state;
    flt_filters_free(filters);
    return 0;
}

#endif
