/* reg.c - the registrations of an address as packages see them, and who is told when they change.
 */
#include "event/reg.h"

#include "event/core.h"

/* The packages that show them: each with a keeper that wants to know. */
void
evt_reg_changed(struct evt_shard *shard, struct hd_slice key, bool news)
{
    const struct evt_config *config = shard->config;

    for (size_t i = 0; i < config->n_packages; i++) {
        const struct evt_keeper *keeper = config->packages[i]->keeper;
        if (!keeper || !keeper->registered)
            continue;
        struct evt_resource *resource = evt_resource_find(shard, key, config->packages[i]->name);
        if (resource && resource->kept && resource->kept->keeper->registered)
            resource->kept->keeper->registered(shard, resource, news);
    }
}

static void
visit_one(struct evt_shard *shard, const struct evt_account *account,
          const struct evt_binding *binding, bool over, evt_reg_visit_f visit, void *context)
{
    char pub[4 * SIP_KEY_MAX + EVT_PARAMS_MAX * 3], temp[SIP_KEY_MAX + 16];
    struct evt_reg_contact contact = {
        .id = binding->id,
        .contact = binding->contact,
        .call_id = binding->call_id,
        .params = binding->params,
        .event = evt_reg_event_name((enum evt_reg_event)binding->event),
        .over = over,
        .cseq = binding->cseq,
        .temp_cseq = binding->cseq,
        .retry_after_s = binding->retry_after_s,
        .q = binding->q,
    };
    struct sip_out out;
    size_t n;

    if (!over && binding->expires_at_ms > shard->now_ms)
        contact.expires_s = (uint32_t)((binding->expires_at_ms - shard->now_ms + 999) / 1000);
    contact.held_s = (uint32_t)(((int64_t)shard->now_ms - binding->since_ms) / 1000);
    sip_out_init(&out, pub, sizeof(pub));
    if (binding->instance.n)
        evt_gruu_public(&out, account->key, binding);
    if (binding->instance.n && sip_out_finish(&out, &n) == HD_OK)
        contact.pub_gruu = hd_slice(pub, n);
    sip_out_init(&out, temp, sizeof(temp));
    if (binding->gruu_nonce && !over)
        evt_gruu_temporary(shard, &out, account->key, binding);
    if (binding->gruu_nonce && !over && sip_out_finish(&out, &n) == HD_OK)
        contact.temp_gruu = hd_slice(temp, n);
    visit(context, &contact);
}

enum evt_reg_state
evt_reg_visit(struct evt_shard *shard, struct hd_slice key, evt_reg_visit_f visit, void *context)
{
    const struct evt_account *account = evt_account_find(shard, key);

    if (!account || (account->n == 0 && account->n_gone == 0))
        return EVT_REG_INIT;
    for (uint32_t i = 0; visit && i < account->n_gone; i++)
        visit_one(shard, account, &account->gone[i], true, visit, context);
    for (uint32_t i = 0; visit && i < account->n; i++)
        visit_one(shard, account, &account->bindings[i], false, visit, context);
    return account->n ? EVT_REG_ACTIVE : EVT_REG_TERMINATED;
}
