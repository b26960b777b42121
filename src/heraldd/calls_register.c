/* calls_register.c - the call of the admin socket that ends registrations.
 *
 * Only the home shard of an address knows its contacts: all are asked, and that one's word is the
 * answer, which comes when the store has kept the change. */
#include <stdlib.h>

#include "heraldd/calls_core.h"

#define RETRY_MOST 86400

struct ending {
    struct hd_reply *reply;
    struct hd_key key;
    char *contact; /* empty: all */
    char event[16];
    uint32_t retry_after_s;
    unsigned shards;
    struct word {
        enum hd_err err; /* of the call */
        struct evt_operated did;
    } words[];
};

static void
run_ending(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
           uint64_t now_us)
{
    struct ending *ending = context;
    struct word *word = &ending->words[shard];

    (void)net;
    word->err = evt_shard_unregister(evt, hd_key_slice(&ending->key), hd_slice_str(ending->contact),
                                     hd_slice_str(ending->event), ending->retry_after_s, now_us,
                                     &word->did);
}

static void
answer_ending(const struct ending *ending)
{
    enum hd_err err = HD_ENOMATCH;
    uint32_t n = 0;

    for (unsigned i = 0; i < ending->shards; i++) {
        if (ending->words[i].err == HD_ENOMATCH)
            continue;
        err = ending->words[i].err ? ending->words[i].err : ending->words[i].did.err;
        n = ending->words[i].did.n;
    }
    switch (err) {
    case HD_OK:
        hd_reply_result(ending->reply, json_pack("{s:o, s:I, s:s}", "resource",
                                                 hd_json_slice(hd_key_slice(&ending->key)), "ended",
                                                 (json_int_t)n, "event", ending->event));
        break;
    case HD_ENOMATCH:
        hd_reply_error(ending->reply, "no such contact is registered there");
        break;
    case HD_EBUSY:
        hd_reply_error(ending->reply, "a REGISTER of that address is under way; try again");
        break;
    case HD_ESYNTAX:
        hd_reply_error(ending->reply,
                       "there is no such event; expected deactivated, probation or rejected");
        break;
    default:
        hd_reply_error(ending->reply, "%s", hd_err_text(err));
    }
}

static void
ending_free(struct ending *ending)
{
    free(ending->contact);
    free(ending);
}

static void
finish_ending(void *context)
{
    answer_ending(context);
    ending_free(context);
}

static const struct hd_sweep_ops ending_ops = { run_ending, finish_ending };

/* What the call says, or an answer that says what is wrong with it. */
static bool
read_ending(const struct hd_call *call, struct ending *ending)
{
    struct hd_slice event = hd_call_arg(call, "event"), contact = hd_call_arg(call, "contact");
    json_t *retry = json_object_get(call->args, "retry_after_s");

    if (!hd_call_resource(call, "resource", &ending->key))
        return false;
    if (!event.p)
        event = retry ? HD_LIT("probation") : HD_LIT("deactivated");
    if (event.n >= sizeof(ending->event)) {
        hd_reply_error(call->reply,
                       "there is no such event; expected deactivated, probation or rejected");
        return false;
    }
    memcpy(ending->event, event.p, event.n);
    if (retry && (json_integer_value(retry) < 0 || json_integer_value(retry) > RETRY_MOST ||
                  !hd_slice_eq(event, HD_LIT("probation")))) {
        hd_reply_error(call->reply, "retry_after_s; expected 0 to %d, with probation", RETRY_MOST);
        return false;
    }
    ending->retry_after_s = retry ? (uint32_t)json_integer_value(retry) : 0;
    ending->contact = hd_slice_strdup(contact.p ? contact : HD_LIT(""));
    if (!ending->contact)
        hd_reply_result(call->reply, NULL);
    return ending->contact != NULL;
}

static void
call_unregister(const struct hd_call *call)
{
    unsigned shards = hd_host_shards(call->daemon->host);
    struct ending *ending = calloc(1, sizeof(*ending) + shards * sizeof(ending->words[0]));

    if (!ending) {
        hd_reply_result(call->reply, NULL);
        return;
    }
    ending->reply = call->reply;
    ending->shards = shards;
    if (!read_ending(call, ending)) {
        ending_free(ending);
        return;
    }
    for (unsigned i = 0; i < shards; i++) /* one that is not asked any more says nothing */
        ending->words[i].err = HD_ENOMATCH;
    if (call->daemon->phase != HD_PHASE_RUNNING ||
        hd_host_sweep(call->daemon->host, &ending_ops, ending)) {
        hd_reply_error(call->reply, "the daemon is about to end");
        ending_free(ending);
    }
}

const struct hd_call_row *
hd_calls_register(size_t *ret_n)
{
    static const struct hd_call_row table[] = {
        { "unregister",
          call_unregister,
          { { "resource", JSON_STRING, true },
            { "contact", JSON_STRING, false },
            { "event", JSON_STRING, false },
            { "retry_after_s", JSON_INTEGER, false } } },
    };

    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
