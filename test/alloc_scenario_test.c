/* alloc_scenario_test.c - every allocation of an evening with more than 200 messages is refused
 * once, in turn: in sip/, in event/ and in the store behind it.  Nobody crashes, nothing leaks, a
 * request that was refused for it changed nothing, and whoever asks again comes to the state that
 * he wanted.  The same for the file that the daemon keeps: what was committed is in it, and what
 * was not is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "event/test_dialogs.h"
#include "event/test_refuse.h"
#include "store/journal.h"
#include "store/live.h"
#include "store/memory.h"

#define WATCHERS 8
#define RESOURCES 3
#define MESSAGES 200
#define TRIES 8

static struct host host;
static struct sto_memory *memory;
static struct sto_live *file;
static char folder[64], path[80], copy[80];
static unsigned messages;

/* --- what SQLite takes ----------------------------------------------------------------------- */

static sqlite3_mem_methods library; /* its own allocator */
static atomic_bool library_refuses; /* its allocations are meant too */

static void *
library_malloc(int n)
{
    return library_refuses && !refuse_passes() ? NULL : library.xMalloc(n);
}

static void *
library_realloc(void *p, int n)
{
    return library_refuses && !refuse_passes() ? NULL : library.xRealloc(p, n);
}

/* Before SQLite is used for the first time. */
static int
library_begin(void **state)
{
    sqlite3_mem_methods ours;

    (void)state;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &library), SQLITE_OK);
    ours = library;
    ours.xMalloc = library_malloc;
    ours.xRealloc = library_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
    return 0;
}

/* --- the peers ------------------------------------------------------------------------------- */

/* Who watches: a dialog each. */
static struct watcher {
    char call_id[8], tag[HD_ID_TEXT + 1], shown[32];
    uint32_t cseq;
    bool over;
} watchers[WATCHERS];
static struct publication {
    char etag[HD_ID_TEXT + 1], body[32];
} publications[RESOURCES];

static unsigned answered;
static uint32_t answered_cseq;
static char answered_tag[HD_ID_TEXT + 1], answered_etag[HD_ID_TEXT + 1];

static void
note_answer(const struct host_sent *sent)
{
    const struct hd_slice etag = sip_msg_value(&sent->msg, SIP_HDR_SIP_ETAG);

    if (sent->msg.status < 200)
        return;
    answered = sent->msg.status;
    answered_cseq = sent->msg.cseq.number;
    if (sent->msg.to_tag.n == HD_ID_TEXT)
        memcpy(answered_tag, sent->msg.to_tag.p, HD_ID_TEXT);
    if (etag.n == HD_ID_TEXT)
        memcpy(answered_etag, etag.p, HD_ID_TEXT);
}

static void
note_notify(const struct host_sent *sent)
{
    for (unsigned i = 0; i < WATCHERS; i++) {
        struct watcher *watcher = &watchers[i];
        if (!hd_slice_eq(sent->msg.call_id, hd_slice_str(watcher->call_id)))
            continue;
        (void)snprintf(watcher->shown, sizeof(watcher->shown), "%.*s", HD_FMT(sent->msg.body));
        watcher->over = watcher->over || host_has(sent, "Subscription-State: terminated");
    }
}

static void
pump(void)
{
    struct host_sent *sent;

    while ((sent = host_take(&host))) {
        messages++;
        if (!sent->msg.request) {
            note_answer(sent);
            continue;
        }
        note_notify(sent);
        messages++;
        host_answer(&host, sent, 200, NULL);
    }
}

static void
pass(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        host_wait(&host, 1000);
        pump();
    }
}

/* Until there is a final answer; what failed for want of memory is asked again as a new request. */
static void
ask(struct host_request *request, uint32_t *cseq, unsigned expected)
{
    for (unsigned tries = 0; tries < TRIES; tries++) {
        request->cseq = ++*cseq;
        answered = 0;
        for (unsigned repeats = 0; repeats < 10 && !answered; repeats++) {
            messages++;
            host_request(&host, request);
            pump();
            if (!answered)
                host_wait(&host, 500);
            pump();
        }
        assert_int_equal(answered_cseq, *cseq);
        if (answered == expected)
            return;
        assert_true(answered == 500 || answered == 503);
        pass(5);
    }
    fail();
}

static const char *
resource_of(unsigned i)
{
    static const char *const uris[RESOURCES] = { "sip:r0@example.test", "sip:r1@example.test",
                                                 "sip:r2@example.test" };
    return uris[i % RESOURCES];
}

static void
subscribe(unsigned i, int64_t expires)
{
    struct watcher *watcher = &watchers[i];

    (void)snprintf(watcher->call_id, sizeof(watcher->call_id), "w%u", i);
    ask(&(struct host_request){ .uri = resource_of(i),
                                .from = i % 2 ? "alice" : "carol",
                                .to_tag = watcher->tag[0] ? watcher->tag : NULL,
                                .call_id = watcher->call_id,
                                .event = i == 3 ? "x-every" : "x-state",
                                .headers =
                                    i == 4 ? "Record-Route: <sip:198.51.100.9:5062;lr>\r\n" : NULL,
                                .expires = expires,
                                .transport = i == 5 ? HD_TCP : HD_UDP,
                                .conn = i == 5 ? hd_conn_make(0, 1, 1) : 0,
                                .port = host_port_of(&host, i % 2) },
        &watcher->cseq, 200);
    memcpy(watcher->tag, answered_tag, HD_ID_TEXT);
}

static void
publish(unsigned i, const char *event, const char *body, int64_t expires)
{
    static uint32_t cseq;
    struct publication *publication = &publications[i];
    char headers[64] = "", call_id[8];

    (void)snprintf(call_id, sizeof(call_id), "p%u", i);
    if (publication->etag[0])
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", publication->etag);
    ask(&(struct host_request){ .method = "PUBLISH",
                                .uri = resource_of(i),
                                .from = "bob",
                                .event = event,
                                .headers = headers,
                                .call_id = call_id,
                                .body = body,
                                .expires = expires },
        &cseq, 200);
    memcpy(publication->etag, answered_etag, HD_ID_TEXT);
    if (body)
        (void)snprintf(publication->body, sizeof(publication->body), "%s", body);
    if (expires == 0)
        publication->etag[0] = '\0';
}

static void
registers(const char *contact, int64_t expires)
{
    static uint32_t cseq;

    ask(&(struct host_request){ .method = "REGISTER",
                                .uri = "sip:example.test",
                                .to_uri = "sip:alice@example.test",
                                .call_id = "r",
                                .contact = contact,
                                .expires = expires },
        &cseq, 200);
}

static void
asks_in_vain(void)
{
    static uint32_t cseq;

    ask(&(struct host_request){ .method = "OPTIONS", .call_id = "o", .expires = -1 }, &cseq, 200);
    ask(&(struct host_request){ .method = "MESSAGE", .call_id = "o", .expires = -1 }, &cseq, 405);
    ask(&(struct host_request){ .uri = "sip:x@elsewhere.test", .call_id = "o", .expires = 60 },
        &cseq, 404);
    ask(&(struct host_request){ .event = "none", .call_id = "o", .expires = 60 }, &cseq, 489);
    ask(&(struct host_request){ .method = "PUBLISH",
                                .call_id = "o",
                                .headers = "SIP-If-Match: none\r\n",
                                .body = "x",
                                .expires = 60 },
        &cseq, 412);
}

/* Every watcher of x-state has been shown the newest state. */
static void
assert_all_shown(void)
{
    for (unsigned i = 0; i < WATCHERS; i++)
        if (i != 3)
            assert_string_equal(watchers[i].shown, publications[i % RESOURCES].body);
}

/* --- a folder for files ---------------------------------------------------------------------- */

static void
file_remove(const char *name)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
    char each[96];

    for (size_t i = 0; i < HD_ARRAY_LEN(ends); i++) {
        (void)snprintf(each, sizeof(each), "%s%s", name, ends[i]);
        (void)unlink(each);
    }
}

/* Where a commit costs nothing, when there is such a place. */
static void
folder_begin(void)
{
    (void)snprintf(folder, sizeof(folder), "%s/herald-alloc-XXXXXX",
                   access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/live", folder);
    (void)snprintf(copy, sizeof(copy), "%s/copy", folder);
}

static void
folder_end(void)
{
    assert_int_equal(rmdir(folder), 0);
}

/* --- the evening ----------------------------------------------------------------------------- */

static size_t
flush(void *context, unsigned shard)
{
    return sto_memory_flush(context, shard);
}

/* What the broker's own store does is done by a thread: the host waits until it has spoken. */
static size_t
flush_file(void *context, unsigned shard)
{
    (void)sto_live_flush(context, shard);
    for (unsigned tries = 0; tries < 100000; tries++) {
        uint32_t waiting = 0;
        for (unsigned i = 0; i < host.n; i++) {
            if (hd_mailbox_depth(&host_shard(&host, i)->box) > 0)
                return 1;
            waiting += host_shard(&host, i)->waiting;
        }
        if (waiting == 0)
            return 0;
        (void)sto_live_flush(context, 1 - shard); /* the other may have put what is waited for */
        (void)nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
    }
    return 0;
}

static struct sto_stamp
file_clock(void)
{
    return (struct sto_stamp){ 1000, 1000 };
}

static void
evening_store(const struct evt_store_ops *ops, void *context,
              size_t (*flush_it)(void *context, unsigned shard))
{
    for (unsigned i = 0; i < host.n; i++) {
        struct evt_shard *shard = host_shard(&host, i);
        shard->ports.store = ops;
        shard->ports.store_context = context;
    }
    host.flush = flush_it;
    host.flush_context = context;
}

static enum hd_err
visit_none(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
           struct hd_slice record, uint64_t age_ms)
{
    (void)context;
    (void)kind;
    (void)bucket;
    (void)id;
    (void)record;
    (void)age_ms;
    return HD_EBUSY; /* it is a new file */
}

static void
evening_file(void)
{
    const struct sto_live_params params = { .shards = 2,
                                            .file = { .path = path, .now = { 1000, 1000 } },
                                            .clock = file_clock };
    const struct sto_journal_visitor visitor = { .visit = visit_none };
    char problem[256];

    assert_int_equal(sto_live_new(&params, problem, &file), HD_OK);
    assert_int_equal(sto_live_load(file, &visitor, problem), HD_OK);
    for (unsigned i = 0; i < 2; i++)
        sto_live_attach(file, i, host_shard(&host, i));
    assert_int_equal(sto_live_start(file), HD_OK);
    evening_store(&sto_live_ops, file, flush_file);
}

static void
evening_begin(bool with_file)
{
    const struct sto_memory_params params = { .shards = 2, .keep = true };

    host_init(&host, 2);
    memset(watchers, 0, sizeof(watchers));
    memset(publications, 0, sizeof(publications));
    messages = 0;
    if (with_file) {
        evening_file();
        return;
    }
    assert_int_equal(sto_memory_new(&params, &memory), HD_OK);
    for (unsigned i = 0; i < 2; i++)
        sto_memory_attach(memory, i, host_shard(&host, i));
    evening_store(&sto_memory_ops, memory, flush);
}

static void
evening(void)
{
    char body[16];

    for (unsigned i = 0; i < RESOURCES; i++)
        publish(i, "x-state", "one", 600);
    for (unsigned i = 0; i < WATCHERS; i++)
        subscribe(i, 600);
    registers(NULL, 600);
    asks_in_vain();
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < RESOURCES; i++) {
            (void)snprintf(body, sizeof(body), "%u of %u", round, i);
            publish(i, "x-state", body, 600);
        }
        pass(1);
    }
    pass(9);
    assert_all_shown();
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .user = "sip:carol@example.test", .decision = EVT_POLITE };
    host_configure(&host, host_config_copy(&host), hd_slice(NULL, 0));
    pass(9);
    assert_string_equal(watchers[0].shown, "(none)");
    host.n_rules = 0;
    host_configure(&host, host_config_copy(&host), hd_slice(NULL, 0));
    pass(9);
    assert_all_shown();
    for (unsigned i = 0; i < WATCHERS; i++)
        subscribe(i, 300);
    for (unsigned i = 0; i < RESOURCES; i++) {
        publish(i, "x-state", NULL, 600); /* refreshed */
        publish(i, "x-state", NULL, 0);
        (void)snprintf(publications[i].body, sizeof(publications[i].body), "(none)");
    }
    pass(9);
    assert_all_shown();
    registers("*", 0);
    for (unsigned i = 0; i < WATCHERS; i++)
        subscribe(i, 0);
    pass(9);
    for (unsigned i = 0; i < WATCHERS; i++)
        assert_true(watchers[i].over);
}

static void
evening_end(void)
{
    pass(40);
    host_wait(&host, 700000);
    pump();
    host_wait(&host, 40000);
    for (unsigned i = 0; i < host.n; i++) {
        const struct evt_shard *shard = host_shard(&host, i);
        assert_int_equal(shard->subs.count + shard->pubs.count + shard->accounts.count, 0);
        assert_int_equal(shard->mirrors.count + shard->resources.count + shard->hops.count, 0);
        assert_int_equal(shard->wheel.count + shard->waiting + shard->watchers.used, 0);
    }
    if (file)
        sto_live_stop(file, true);
    host_done(&host);
    sto_memory_free(memory);
    sto_live_free(file);
    memory = NULL;
    file = NULL;
}

/* --- the night ---------------------------------------------------------------------------------
 */

static const struct evt_package *night_packages[8];
static struct evt_package dialogs;

static void
night_begin(void)
{
    struct evt_config *config = host_config_copy(&host);

    host_dialogs(&host);
    memcpy(&dialogs, &host_dialog_package, sizeof(dialogs));
    dialogs.supersede = true;
    memcpy(night_packages, config->packages, config->n_packages * sizeof(night_packages[0]));
    night_packages[config->n_packages] = &dialogs;
    config->packages = night_packages;
    HD_ASSERT(++config->n_packages <= HD_ARRAY_LEN(night_packages));
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .package = "x-state.winfo", .decision = EVT_OWN };
    host_configure(&host, config, hd_slice(NULL, 0));
}

/* One device, by way of two shards. */
static void
night_subscribe(unsigned i, const char *from, const char *event, int64_t expires)
{
    const uint16_t port = host_port_of(&host, i % 2);
    struct watcher *watcher = &watchers[i];
    char contact[96];

    (void)snprintf(watcher->call_id, sizeof(watcher->call_id), "w%u", i);
    (void)snprintf(contact, sizeof(contact),
                   "<sip:x@198.51.100.9:%u>;+sip.instance=\"<urn:uuid:1>\"", port);
    ask(&(struct host_request){ .uri = resource_of(0),
                                .from = from,
                                .to_tag = watcher->tag[0] ? watcher->tag : NULL,
                                .call_id = watcher->call_id,
                                .event = event,
                                .contact = contact,
                                .expires = expires,
                                .port = port },
        &watcher->cseq, 200);
    memcpy(watcher->tag, answered_tag, HD_ID_TEXT);
}

/* A watcher who sees his own entry; a device whose subscription is superseded, and who names a
 * dialog, then another, which ends (RFC 3857 section 4.6, RFC 4235 section 3). */
static void
night(void)
{
    night_begin();
    night_subscribe(0, "alice", "x-state", 600);
    night_subscribe(1, "carol", "x-state", 600);
    night_subscribe(2, "alice", "x-state.winfo", 600);
    publish(0, "x-dialogs", "#1#c0+\n#1#c1+\n", 600);
    night_subscribe(3, "alice", "x-dialogs;call-id=c0;to-tag=l", 600);
    night_subscribe(4, "alice", "x-dialogs;call-id=c0;to-tag=l", 600);
    pass(9);
    assert_string_equal(watchers[2].shown, "alice active subscribe\n1");
    assert_string_equal(watchers[4].shown, "#1#c0+\n");
    night_subscribe(4, "alice", "x-dialogs;call-id=c1;to-tag=l", 600);
    publish(0, "x-dialogs", "#2#c0+\n#2#c1+\n", 600);
    pass(9);
    assert_string_equal(watchers[4].shown, "#2#c1+\n");
    assert_false(watchers[4].over);
    publish(0, "x-dialogs", "#3#c0+\n#3#c1-\n", 600);
    pass(9);
    assert_true(watchers[4].over);
    publish(0, "x-dialogs", NULL, 0);
    for (unsigned i = 0; i < 3; i++)
        night_subscribe(i, i == 1 ? "carol" : "alice", i == 2 ? "x-state.winfo" : "x-state", 0);
    pass(9);
    for (unsigned i = 0; i < 3; i++)
        assert_true(watchers[i].over);
}

/* --- each in turn ------------------------------------------------------------------------------
 */

static unsigned
each_refused(void (*exchange)(void), bool with_file)
{
    unsigned n = 0;

    for (bool more = true; more; n++) {
        evening_begin(with_file);
        print_message("refused: %u\n", n);
        refuse_begin(n);
        exchange();
        more = refuse_end();
        evening_end();
        if (with_file)
            file_remove(path);
    }
    return n;
}

static void
each_allocation_of_an_evening_is_refused_once(void **state)
{
    (void)state;
    assert_true(each_refused(evening, false) > 300);
    assert_true(messages >= MESSAGES);
}

static void
each_allocation_of_a_night_is_refused_once(void **state)
{
    (void)state;
    assert_true(each_refused(night, false) > 100);
}

/* The same with the store that the daemon has; what its thread takes is refused as well. */
static void
each_allocation_of_an_evening_with_a_file_is_refused_once(void **state)
{
    (void)state;
    folder_begin();
    assert_true(each_refused(evening, true) > 300);
    folder_end();
}

/* --- the file -------------------------------------------------------------------------------- */

#define ROWS 8

/* What is in it: of record i the batch that wrote it last, 0: none. */
struct content {
    unsigned batch[ROWS], n;
};

static enum hd_err
visit(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
      struct hd_slice record, uint64_t age_ms)
{
    struct content *content = context;

    (void)age_ms;
    assert_int_equal(kind, EVT_RECORD_SUBSCRIPTION);
    assert_int_equal(bucket, id % 7);
    assert_true(id < ROWS && record.n == 300);
    content->batch[id] = (unsigned)(unsigned char)record.p[0];
    content->n++;
    return HD_OK;
}

static struct sto_journal *
file_open(struct content *content, const char *name)
{
    const struct sto_journal_params params = { .path = name, .now = { 1000, 1000 } };
    const struct sto_journal_visitor visitor = { .visit = visit, .context = content };
    struct sto_journal *journal;
    char problem[256];
    enum hd_err err = HD_ENOMEM;

    for (unsigned tries = 0; err && tries < 3; tries++) {
        memset(content, 0, sizeof(*content));
        err = sto_journal_open(&params, problem, &journal);
        if (!err && (err = sto_journal_load(journal, &visitor, problem)))
            sto_journal_close(journal);
        assert_true(err == HD_OK || err == HD_ENOMEM || err == HD_EIO);
    }
    assert_int_equal(err, HD_OK);
    return journal;
}

/* Writes all records, and removes the one that has the batch's number. */
static enum hd_err
file_batch(struct sto_journal *journal, unsigned batch)
{
    char record[300];
    enum hd_err err = HD_OK;

    sto_journal_begin(journal);
    memset(record, (int)batch, sizeof(record));
    for (unsigned id = 0; !err && id < ROWS; id++)
        err = sto_journal_append(journal, EVT_RECORD_SUBSCRIPTION, id % 7, id,
                                 hd_slice(record, id == batch ? 0 : sizeof(record)),
                                 (struct sto_stamp){ 2000, 2000 });
    if (!err)
        err = sto_journal_commit(journal);
    if (err)
        sto_journal_rollback(journal);
    return err;
}

static void
assert_content(const struct content *content, unsigned batch)
{
    for (unsigned id = 0; id < ROWS; id++)
        assert_int_equal(content->batch[id], id == batch ? 0 : batch);
}

static void
file_once(unsigned batches)
{
    struct content content;
    struct sto_journal *journal = file_open(&content, path);
    bool done = false;

    assert_int_equal(content.n, 0);
    for (unsigned batch = 1; batch <= batches; batch++) {
        enum hd_err err = file_batch(journal, batch);
        if (err) { /* as before: whoever reads it now finds that */
            sto_journal_close(journal);
            journal = file_open(&content, path);
            if (batch > 1)
                assert_content(&content, batch - 1);
            err = file_batch(journal, batch);
        }
        assert_int_equal(err, HD_OK);
    }
    for (unsigned tries = 0; !done && tries < 50; tries++)
        if (sto_journal_backup(journal, copy, &done)) /* and it is made again from the beginning */
            assert_true(!done && access(copy, F_OK) != 0);
    assert_true(done);
    sto_journal_close(journal);
    test_alloc_pause(1); /* it is a file like the other */
    journal = file_open(&content, copy);
    assert_content(&content, batches);
    sto_journal_close(journal);
    test_alloc_pause(-1);
    journal = file_open(&content, path);
    assert_content(&content, batches);
    sto_journal_close(journal);
}

static unsigned
file_each_refused(unsigned batches)
{
    unsigned n = 0;

    folder_begin();
    for (bool more = true; more; n++) {
        refuse_begin(n);
        file_once(batches);
        more = refuse_end();
        file_remove(path);
        file_remove(copy);
    }
    folder_end();
    return n;
}

static void
each_allocation_of_the_file_is_refused_once(void **state)
{
    (void)state;
    assert_true(file_each_refused(3) > 3);
}

/* Those of SQLite's, whose way to files the log takes: what was committed is in the file, and what
 * was not is not. */
static void
allocations_of_sqlite_are_refused_once(void **state)
{
    (void)state;
    library_refuses = true;
    const unsigned n = file_each_refused(1);
    library_refuses = false;
    print_message("%u allocations\n", n);
    assert_true(n > 10);
}

/* alloc_scenario_test [PATTERN]: those whose name fits. */
int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_of_the_file_is_refused_once),
        cmocka_unit_test(allocations_of_sqlite_are_refused_once),
        cmocka_unit_test(each_allocation_of_an_evening_is_refused_once),
        cmocka_unit_test(each_allocation_of_a_night_is_refused_once),
        cmocka_unit_test(each_allocation_of_an_evening_with_a_file_is_refused_once),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, library_begin, NULL);
}
