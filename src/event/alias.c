/* alias.c - connections by which their peers can be reached (RFC 5923).
 *
 * A proxy that comes by TLS with a certificate, and says "alias" in its Via, need not be connected
 * to.  Its connection belongs to the shard that accepted it, and whoever is notified through the
 * proxy may be on any.  So the owner tells all shards, and each keeps a copy of the table of
 * section
 * 5.  A next hop that is named takes the connection into its flow when it chooses a target
 * (named.c); from there on octets find their way as to any connection of another shard (evt_send).
 *
 * Invariant: that a connection is gone is always told, since the mails for it are made before
 * anybody hears of it.  Mailboxes keep their order, so that nobody hears of it too late. */
#include "event/alias.h"

#include <stdlib.h>

#include "event/core.h"

struct alias {
    uint64_t conn;
    uint64_t hash; /* of the address */
    struct hd_addr at;
    struct evt_mail_alias *ends; /* the owner's: to the others, when it is gone */
    struct hd_slice names;       /* heap */
};

void
evt_aliases_init(struct evt_shard *shard)
{
    hd_table_init(&shard->aliases.table, sizeof(struct alias), EVT_ALIASES_MAX);
    hd_map_init(&shard->aliases.by_conn);
    hd_map_init(&shard->aliases.by_addr);
}

static void
mails_free(struct evt_mail_alias *mails)
{
    while (mails) {
        struct evt_mail_alias *next = mails->next;
        free(mails);
        mails = next;
    }
}

static void
alias_free(struct alias *alias)
{
    mails_free(alias->ends);
    free((void *)(uintptr_t)alias->names.p);
}

void
evt_aliases_done(struct evt_shard *shard)
{
    struct evt_aliases *aliases = &shard->aliases;

    for (uint32_t i = 0; (i = hd_table_next(&aliases->table, i)) != HD_TABLE_NONE; i++)
        alias_free(hd_table_at(&aliases->table, i));
    hd_table_done(&aliases->table);
    hd_map_done(&aliases->by_conn);
    hd_map_done(&aliases->by_addr);
}

static uint32_t
index_of(const struct evt_aliases *aliases, uint64_t conn)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &aliases->by_conn, hd_hash_mix(conn, conn));
         i != HD_MAP_NONE; i = hd_map_more(&walk))
        if (((const struct alias *)hd_table_at(&aliases->table, i))->conn == conn)
            return i;
    return HD_MAP_NONE;
}

bool
evt_alias_has(const struct evt_shard *shard, uint64_t conn)
{
    return index_of(&shard->aliases, conn) != HD_MAP_NONE;
}

static bool
alias_add(struct evt_shard *shard, uint64_t conn, const struct hd_addr *at, struct hd_slice names,
          struct evt_mail_alias *ends)
{
    struct evt_aliases *aliases = &shard->aliases;
    const uint64_t hash = hd_addr_hash(&shard->keys.table, at, true);
    struct hd_handle handle;
    void *object;
    char *copy = hd_slice_strdup(names);

    if (!copy || hd_table_add(&aliases->table, &handle, &object)) {
        free(copy);
        return false;
    }
    if (hd_map_put(&aliases->by_conn, hd_hash_mix(conn, conn), handle.index))
        goto out_table;
    if (hd_map_put(&aliases->by_addr, hash, handle.index))
        goto out_conn;
    *(struct alias *)object = (struct alias){
        .conn = conn, .hash = hash, .at = *at, .ends = ends, .names = hd_slice(copy, names.n)
    };
    aliases->changes++;
    return true;
out_conn:
    hd_map_remove(&aliases->by_conn, hd_hash_mix(conn, conn), handle.index);
out_table:
    hd_table_remove(&aliases->table, handle.index);
    free(copy);
    return false;
}

/* --- what the owner says --------------------------------------------------------------------- */

/* A mail for each other shard; false: memory is short. */
static bool
mails_new(const struct evt_shard *shard, uint64_t conn, const struct hd_addr *at,
          struct hd_slice names, struct evt_mail_alias **ret_mails)
{
    struct evt_mail_alias *mails = NULL;

    for (unsigned i = 0; i < shard->count; i++) {
        if (i == shard->index)
            continue;
        struct evt_mail_alias *mail = malloc(sizeof(*mail) + names.n);
        if (!mail) {
            mails_free(mails);
            return false;
        }
        *mail = (struct evt_mail_alias){
            .next = mails, .to = i, .conn = conn, .at = *at, .n = names.n
        };
        if (names.n)
            memcpy(mail->names, names.p, names.n);
        mails = mail;
    }
    *ret_mails = mails;
    return true;
}

static void
mails_post(struct evt_shard *shard, struct evt_mail_alias *mails)
{
    while (mails) {
        struct evt_mail_alias *next = mails->next;
        evt_post(shard, mails->to, EVT_MAIL_ALIAS, &mails->mail);
        mails = next;
    }
}

void
evt_alias_note(struct evt_shard *shard, uint64_t conn, const struct hd_addr *at,
               struct hd_slice names)
{
    struct evt_mail_alias *begins = NULL, *ends = NULL;

    HD_ASSERT(names.n > 0);
    if (evt_alias_has(shard, conn))
        return;
    if (mails_new(shard, conn, at, names, &begins) &&
        mails_new(shard, conn, at, hd_slice(NULL, 0), &ends) &&
        alias_add(shard, conn, at, names, ends)) {
        mails_post(shard, begins);
        return;
    }
    EVT_COUNT(shard, caps_reached);
    mails_free(begins);
    mails_free(ends);
}

void
evt_alias_copy(struct evt_shard *shard, const struct evt_mail_alias *mail)
{
    if (!alias_add(shard, mail->conn, &mail->at, hd_slice(mail->names, mail->n), NULL))
        EVT_COUNT(shard, caps_reached); /* this shard opens a connection of its own */
}

void
evt_alias_end(struct evt_shard *shard, uint64_t conn)
{
    struct evt_aliases *aliases = &shard->aliases;
    const uint32_t index = index_of(aliases, conn);

    if (index == HD_MAP_NONE)
        return;
    struct alias *alias = hd_table_at(&aliases->table, index);
    mails_post(shard, alias->ends);
    alias->ends = NULL;
    hd_map_remove(&aliases->by_conn, hd_hash_mix(conn, conn), index);
    hd_map_remove(&aliases->by_addr, alias->hash, index);
    alias_free(alias);
    hd_table_remove(&aliases->table, index);
    aliases->changes++;
}

/* --- for who sends --------------------------------------------------------------------------- */

/* Section 8.2: the URI that was looked up has to name one of his identities, and to have led to the
 * address that he says. */
static bool
alias_fits(const struct alias *alias, const struct hd_addr *at, struct hd_slice host)
{
    struct hd_slice names = alias->names;

    while (names.n && hd_addr_eq(&alias->at, at))
        if (hd_slice_ieq(hd_slice_cut(&names, ' '), host))
            return true;
    return false;
}

uint64_t
evt_alias_find(const struct evt_shard *shard, const struct hd_addr *at, struct hd_slice host,
               uint64_t used)
{
    const struct evt_aliases *aliases = &shard->aliases;
    struct hd_map_walk walk;
    uint64_t found = 0;

    if (aliases->table.count == 0)
        return 0;
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    for (uint32_t i =
             hd_map_first(&walk, &aliases->by_addr, hd_addr_hash(&shard->keys.table, at, true));
         i != HD_MAP_NONE; i = hd_map_more(&walk)) {
        const struct alias *alias = hd_table_at(&aliases->table, i);
        if (!alias_fits(alias, at, host))
            continue;
        if (alias->conn == used)
            return used;
        found = alias->conn;
    }
    return found;
}
