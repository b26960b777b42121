/* fuzz_pol_auth.c - a request is authenticated, by digest and on an open listener: who gets an
 * identity has shown what it takes, and each verdict comes with what the core needs to answer. */
#include "fuzz.h"

#include "policy/policy.h"

#define NOW_US UINT64_C(5000000000)

static const enum sip_digest_alg both[] = { SIP_DIGEST_SHA256, SIP_DIGEST_MD5 };
static const struct hd_slice domains[] = { { "example.test", 12 } };

/* The first octet says on what kind of listener it came. */
enum { OPEN = 1, STREAM = 2, NAT = 4 };

static const struct hd_slice realms[] = { { "example.test", 12 } };

static struct pol_book *
book_new(void)
{
    static const struct hd_hash_key key = { 5, 6 };
    struct pol_made made;
    struct pol_book *book = pol_book_new(&key), *next = NULL;

    pol_login_make(HD_LIT("alice"), realms[0], HD_LIT("wonder land"), &made);
    const struct pol_user user = pol_user_of(HD_LIT("alice"), &made, 1);
    FUZZ_CHECK(book && pol_book_with_user(book, &user, &next) == HD_OK);
    pol_book_unref(book);
    return next;
}

static void
check_verdict(struct pol_shard *shard, const struct evt_listener *listener, enum evt_auth auth,
              const struct evt_auth_result *result)
{
    const struct hd_slice key = hd_slice(result->identity.key, result->identity.key_len);

    FUZZ_CHECK((auth == EVT_AUTH_BAD) == (result->reason != NULL));
    FUZZ_CHECK((auth == EVT_AUTH_OK) == (key.n > 0));
    FUZZ_CHECK((auth == EVT_AUTH_OK && listener->authenticate) == result->has_count);
    FUZZ_CHECK(result->identity.authenticated == result->has_count);
    FUZZ_CHECK(listener->authenticate || auth == EVT_AUTH_OK || auth == EVT_AUTH_BAD);
    if (auth != EVT_AUTH_OK)
        return;
    FUZZ_CHECK(hd_slice_starts(key, HD_LIT("sip:")));
    if (!result->has_count)
        return;
    FUZZ_CHECK(hd_slice_eq(key, HD_LIT("sip:alice@example.test")));
    FUZZ_CHECK(pol_ops.count(shard, result->nonce_id, result->nc, NOW_US) == (result->nc > 0));
    FUZZ_CHECK(!pol_ops.count(shard, result->nonce_id, result->nc, NOW_US));
}

static void
authenticate(const struct sip_msg *msg, unsigned kind)
{
    uint64_t seed = 1;
    struct hd_addr own = { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = 4 };
    const struct evt_listener listener = {
        .transport = kind & STREAM ? HD_TCP : HD_UDP,
        .authenticate = !(kind & OPEN),
        .contact = kind & NAT ? HD_LIT("sip:herald@203.0.113.5:5080") : HD_LIT(""),
    };
    struct pol_settings settings = { .book = book_new(),
                                     .realms = realms,
                                     .n_realms = HD_ARRAY_LEN(realms),
                                     .algorithms = both,
                                     .n_algorithms = HD_ARRAY_LEN(both),
                                     .nonce_lifetime_s = 300 };
    const struct evt_config config = { .magic = EVT_CONFIG_MAGIC,
                                       .served = { domains, HD_ARRAY_LEN(domains), &own, 1 },
                                       .listeners = &listener,
                                       .n_listeners = 1,
                                       .policy = &settings };
    const struct hd_flow flow = { .transport = (uint8_t)listener.transport,
                                  .local = own,
                                  .remote = {
                                      .ip = { 198, 51, 100, 9 }, .port = 5062, .family = 4 } };
    struct pol_shard *shard =
        pol_shard_new(&(struct pol_shard_params){ .shards = 1,
                                                  .id_key = { 1, 2 },
                                                  .table_key = { 3, 4 },
                                                  .epoch = 7,
                                                  .max_windows = 4,
                                                  .entropy = hd_entropy_seeded,
                                                  .entropy_context = &seed });
    struct evt_auth_result result;
    FUZZ_CHECK(shard);
    const enum evt_auth auth =
        pol_ops.authenticate(shard, &config, msg, &flow, hd_slice(NULL, 0), NOW_US, &result);
    check_verdict(shard, &listener, auth, &result);
    pol_shard_free(shard);
    pol_book_unref(settings.book);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy, memory[SIP_MAX_HEADERS * sizeof(struct sip_header) + 4096];
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;

    if (size < 1 || size > 65535)
        return 0;
    const struct hd_slice input = fuzz_copy(data + 1, size - 1, &copy);
    hd_arena_init(&arena, memory, sizeof(memory));
    if (sip_msg_parse(input, false, &arena, &msg, &fault) == HD_OK && msg.request)
        authenticate(&msg, data[0]);
    free(copy);
    return 0;
}
