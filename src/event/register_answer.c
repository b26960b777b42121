/* register_answer.c - the 200 to a REGISTER: all contacts of the address of record as they are now,
 * and what the phone has to know besides (RFC 3261 section 10.3 step 8, RFC 3327, RFC 5626, RFC
 * 5627).  A repetition gets the same, with the time that is left by then. */
#include "event/binding.h"
#include "event/core.h"

static void
out_q(struct sip_out *out, uint16_t q)
{
    static const char digit[] = "0123456789";
    char text[3] = { digit[q / 100], digit[q / 10 % 10], digit[q % 10] };

    sip_out_lit(out, ";q=0.");
    sip_out_slice(out, hd_slice(text, sizeof(text)));
}

/* RFC 5627 section 5.2 */
static void
out_gruus(const struct evt_shard *shard, struct sip_out *out, const struct evt_account *account,
          const struct evt_binding *binding)
{
    sip_out_lit(out, ";pub-gruu=\"");
    evt_gruu_public(out, account->key, binding);
    sip_out_char(out, '"');
    if (!binding->gruu_nonce)
        return;
    sip_out_lit(out, ";temp-gruu=\"");
    evt_gruu_temporary(shard, out, account->key, binding);
    sip_out_char(out, '"');
}

/* RFC 3261 10.3 step 8: for phones without a clock. */
static void
out_date(const struct evt_shard *shard, struct sip_out *out)
{
    const uint64_t seconds =
        shard->ports.wall_s ? shard->ports.wall_s(shard->ports.wall_context) : 0;

    if (!seconds)
        return;
    sip_out_lit(out, "Date: ");
    sip_out_date(out, seconds);
    sip_out_crlf(out);
}

/* RFC 3261 10.3 step 8: all current bindings with the time that each has left. */
void
evt_answer_register(struct evt_shard *shard, struct evt_reply *reply,
                    const struct evt_account *account, const struct evt_wishes *wishes)
{
    for (uint32_t i = 0; account && i < account->n; i++) {
        const struct evt_binding *binding = &account->bindings[i];
        if (binding->expires_at_ms <= shard->now_ms)
            continue;
        sip_out_lit(&reply->out, "Contact: <");
        sip_out_slice(&reply->out, binding->contact);
        sip_out_char(&reply->out, '>');
        sip_out_slice(&reply->out, binding->params);
        if (wishes->gruu && binding->instance.n)
            out_gruus(shard, &reply->out, account, binding);
        sip_out_lit(&reply->out, ";expires=");
        sip_out_u64(&reply->out, (binding->expires_at_ms - shard->now_ms + 999) / 1000);
        if (binding->q < 1000)
            out_q(&reply->out, binding->q);
        sip_out_crlf(&reply->out);
    }
    out_date(shard, &reply->out);
    if (wishes->path.n) /* RFC 3327 section 5.3 */
        sip_out_header(&reply->out, HD_LIT("Path"), wishes->path);
    if (wishes->flow && wishes->outbound) { /* RFC 5626 section 6 */
        sip_out_lit(&reply->out, "Require: outbound\r\n");
        if (shard->config->registrar.flow_timer_s)
            sip_out_header_u32(&reply->out, HD_LIT("Flow-Timer"),
                               shard->config->registrar.flow_timer_s);
    }
    evt_reply_send(shard, reply);
}

static bool
supports(const struct sip_msg *msg, struct hd_slice tag)
{
    struct sip_walk walk = { 0 };
    struct hd_slice item;

    while (sip_msg_walk(msg, SIP_HDR_SUPPORTED, &walk, &item))
        if (hd_slice_ieq(item, tag))
            return true;
    walk = (struct sip_walk){ 0 };
    while (sip_msg_walk(msg, SIP_HDR_REQUIRE, &walk, &item))
        if (hd_slice_ieq(item, tag))
            return true;
    return false;
}

/* path: room for it. False: answered with 400. */
bool
evt_wishes_read(struct evt_shard *shard, struct evt_request *request, char path[EVT_PATH_MAX],
                struct evt_wishes *wishes)
{
    size_t n;

    *wishes = (struct evt_wishes){ .gruu = supports(request->msg, HD_LIT("gruu")),
                                   .outbound = supports(request->msg, HD_LIT("outbound")) };
    if (evt_path_read(request->msg, path, &n)) {
        evt_refuse(shard, request, 400, HD_LIT("Malformed Path"));
        return false;
    }
    wishes->path = hd_slice(path, n);
    return true;
}

/* What a repetition is answered depends on the same things. */
static bool
has_flow(const struct evt_account *account, uint64_t txn)
{
    for (uint32_t i = 0; account && i < account->n; i++)
        if (account->bindings[i].txn == txn && account->bindings[i].reg_id)
            return true;
    return false;
}

void
evt_answer_again(struct evt_shard *shard, struct evt_request *request,
                 const struct evt_account *account)
{
    char path[EVT_PATH_MAX];
    struct evt_wishes wishes;
    struct evt_reply reply;

    if (!evt_wishes_read(shard, request, path, &wishes))
        return;
    wishes.flow = has_flow(account, request->txn);
    if (!sip_msg_has(request->msg, SIP_HDR_CONTACT))
        wishes.path = hd_slice(NULL, 0);
    if (evt_reply_begin(shard, request, 200, HD_LIT("OK"), hd_slice(NULL, 0), &reply))
        evt_answer_register(shard, &reply, account, &wishes);
}
