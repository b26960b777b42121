/* peers.c - names of peers by number, so that a flow can say with four octets whom its connection
 * is to reach; and a place for sessions.
 *
 * Invariant: a name lives as long as somebody holds its number: a next hop of the owner, or a
 * connection. */
#include "net/peers.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_OCTETS 255u

struct name {
    uint64_t hash;
    uint32_t refs;
    char *text;
};

void
net_names_init(struct net_names *names, const struct hd_hash_key *key)
{
    hd_table_init(&names->names, sizeof(struct name), HD_TABLE_NONE - 1);
    hd_map_init(&names->by_hash);
    names->key = *key;
}

void
net_names_done(struct net_names *names)
{
    for (uint32_t i = 0; (i = hd_table_next(&names->names, i)) != HD_TABLE_NONE; i++)
        free(((struct name *)hd_table_at(&names->names, i))->text);
    hd_table_done(&names->names);
    hd_map_done(&names->by_hash);
}

static struct name *
name_at(const struct net_names *names, uint32_t number)
{
    return number ? hd_table_at(&names->names, number - 1) : NULL;
}

static uint32_t
name_find(const struct net_names *names, uint64_t hash, const char *text)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &names->by_hash, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        const struct name *name = hd_table_at(&names->names, i);
        if (name && strcmp(name->text, text) == 0)
            return i + 1;
    }
    return 0;
}

static uint32_t
name_add(struct net_names *names, uint64_t hash, const char *text)
{
    uint32_t index;
    void *object;
    char *copy = strdup(text);

    if (!copy || hd_table_add_keyed(&names->names, &names->by_hash, hash, &index, &object)) {
        free(copy);
        return 0;
    }
    *(struct name *)object = (struct name){ .hash = hash, .text = copy };
    return index + 1;
}

uint32_t
net_names_get(struct net_names *names, struct hd_slice name)
{
    char text[NAME_MAX_OCTETS + 1];
    uint64_t hash;
    uint32_t number;

    if (name.n > 1 && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n > NAME_MAX_OCTETS || memchr(name.p, '\0', name.n))
        return 0;
    for (size_t i = 0; i < name.n; i++)
        text[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]);
    text[name.n] = '\0';
    hash = hd_hash(&names->key, hd_slice(text, name.n));
    number = name_find(names, hash, text);
    return net_names_ref(names, number ? number : name_add(names, hash, text));
}

uint32_t
net_names_ref(struct net_names *names, uint32_t number)
{
    struct name *name = name_at(names, number);

    if (!name)
        return 0;
    name->refs++;
    return number;
}

void
net_names_put(struct net_names *names, uint32_t number)
{
    struct name *name = name_at(names, number);

    if (!name || --name->refs > 0)
        return;
    (void)hd_map_remove(&names->by_hash, name->hash, number - 1);
    free(name->text);
    hd_table_remove(&names->names, number - 1);
}

const char *
net_names_text(const struct net_names *names, uint32_t number)
{
    const struct name *name = name_at(names, number);

    return name ? name->text : NULL;
}

/* --- sessions -------------------------------------------------------------------------------- */

void
net_sessions_put(struct net_sessions *sessions, uint64_t hash, SSL_SESSION *session)
{
    unsigned at = (unsigned)(hash % NET_SESSIONS);

    SSL_SESSION_free(sessions->kept[at].session);
    sessions->kept[at].hash = hash;
    sessions->kept[at].session = session;
}

SSL_SESSION *
net_sessions_take(struct net_sessions *sessions, uint64_t hash)
{
    unsigned at = (unsigned)(hash % NET_SESSIONS);
    SSL_SESSION *session = sessions->kept[at].session;

    if (!session || sessions->kept[at].hash != hash)
        return NULL;
    sessions->kept[at].session = NULL;
    return session;
}

void
net_sessions_clear(struct net_sessions *sessions)
{
    for (unsigned i = 0; i < NET_SESSIONS; i++)
        SSL_SESSION_free(sessions->kept[i].session);
    memset(sessions, 0, sizeof(*sessions));
}
