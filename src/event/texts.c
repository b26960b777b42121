/* texts.c - the strings of a subscription, in one block in which nothing stands twice. */
#include <stdlib.h>

#include "event/core.h"

/* Where a string's end stands, the usual ones first: those that are empty behind the last one that
 * is not have none. */
static const uint8_t end_of[EVT_TEXT_COUNT] = {
    [EVT_TEXT_CALL_ID] = 0,  [EVT_TEXT_REMOTE] = 1, [EVT_TEXT_TARGET] = 2,
    [EVT_TEXT_ROUTE] = 3,    [EVT_TEXT_LOCAL] = 4,  [EVT_TEXT_REMOTE_TAG] = 5,
    [EVT_TEXT_EVENT_ID] = 6, [EVT_TEXT_WATCHER] = 7
};

static struct hd_slice
texts_at(const struct evt_texts *texts, unsigned at)
{
    const char *octets = (const char *)&texts->ends[texts->n];
    size_t begin = at ? texts->ends[at - 1] : 0;

    return hd_slice(octets + begin, texts->ends[at] - begin);
}

struct hd_slice
evt_texts_get(const struct evt_texts *texts, enum evt_text which)
{
    unsigned at = end_of[which];

    if (which == EVT_TEXT_REMOTE_TAG && texts->tag_n)
        return hd_slice(texts_at(texts, end_of[EVT_TEXT_REMOTE]).p + texts->tag_at, texts->tag_n);
    if (which == EVT_TEXT_WATCHER && texts->watcher_n)
        return hd_slice(texts_at(texts, end_of[EVT_TEXT_REMOTE]).p + texts->watcher_at,
                        texts->watcher_n);
    HD_ASSERT(which != EVT_TEXT_LOCAL || !texts->local_is_key);
    return at < texts->n ? texts_at(texts, at) : hd_slice((const char *)texts, 0);
}

struct hd_slice
evt_texts_local(const struct evt_texts *texts, const struct evt_mirror *mirror)
{
    if (!texts->local_is_key)
        return evt_texts_get(texts, EVT_TEXT_LOCAL);
    return hd_slice(mirror->key.p - 1, mirror->key.n + 2); /* the brackets stand around it */
}

void
evt_texts_all(const struct evt_texts *texts, const struct evt_mirror *mirror,
              struct hd_slice ret_pieces[EVT_TEXT_COUNT])
{
    for (int i = 0; i < EVT_TEXT_COUNT; i++)
        ret_pieces[i] = i == EVT_TEXT_LOCAL ? evt_texts_local(texts, mirror)
                                            : evt_texts_get(texts, (enum evt_text)i);
}

size_t
evt_texts_size(const struct evt_texts *texts)
{
    return texts->ends[texts->n - 1];
}

/* Where a short piece stands in another, with its length; false: nowhere, or too far in. */
static bool
texts_part(struct hd_slice whole, struct hd_slice part, uint16_t *ret_at, uint8_t *ret_n)
{
    const char *found;

    if (part.n == 0 || part.n > UINT8_MAX || part.n > whole.n)
        return false;
    found = whole.p + whole.n - part.n; /* a tag is as a rule the last thing that From says */
    if (memcmp(found, part.p, part.n) != 0)
        found = memmem(whole.p, whole.n, part.p, part.n);
    if (!found)
        return false;
    *ret_at = (uint16_t)(found - whole.p);
    *ret_n = (uint8_t)part.n;
    return true;
}

static bool
is_bracketed(struct hd_slice text, struct hd_slice key)
{
    return text.n == key.n + 2 && text.p[0] == '<' && text.p[text.n - 1] == '>' &&
           memcmp(text.p + 1, key.p, key.n) == 0;
}

struct evt_texts *
evt_texts_new(const struct hd_slice pieces[EVT_TEXT_COUNT], bool has_event_id, uint8_t proof,
              struct hd_slice key)
{
    struct hd_slice kept[EVT_TEXT_COUNT], remote = pieces[EVT_TEXT_REMOTE];
    struct evt_texts head = { .n = 1, .has_event_id = has_event_id, .proof = proof & 7u };
    struct evt_texts *texts;
    struct sip_out out;
    size_t total = 0;

    for (int i = 0; i < EVT_TEXT_COUNT; i++)
        kept[end_of[i]] = pieces[i];
    /* With folds in it the offsets would be others. */
    bool plain = remote.n <= UINT16_MAX && !memchr(remote.p, '\n', remote.n);
    if (plain && texts_part(remote, pieces[EVT_TEXT_REMOTE_TAG], &head.tag_at, &head.tag_n))
        kept[end_of[EVT_TEXT_REMOTE_TAG]].n = 0;
    if (plain && texts_part(remote, pieces[EVT_TEXT_WATCHER], &head.watcher_at, &head.watcher_n))
        kept[end_of[EVT_TEXT_WATCHER]].n = 0;
    head.local_is_key = is_bracketed(pieces[EVT_TEXT_LOCAL], key);
    if (head.local_is_key)
        kept[end_of[EVT_TEXT_LOCAL]].n = 0;
    for (unsigned i = 0; i < EVT_TEXT_COUNT; i++) {
        total += kept[i].n;
        if (kept[i].n)
            head.n = (uint8_t)(i + 1);
    }
    if (total > UINT16_MAX)
        return NULL;
    for (unsigned i = 0; i < EVT_TEXT_COUNT; i++)
        head.has_password = head.has_password || evt_rec_has_password(pieces[i]);
    texts = malloc(sizeof(head) + head.n * sizeof(head.ends[0]) + total);
    if (!texts)
        return NULL;
    memcpy(texts, &head, sizeof(head));
    sip_out_init(&out, (char *)&texts->ends[head.n], total);
    for (unsigned i = 0; i < head.n; i++) {
        /* The others are single words. */
        if (i == end_of[EVT_TEXT_LOCAL] || (i == end_of[EVT_TEXT_REMOTE] && !plain))
            sip_out_unfolded(&out, kept[i]);
        else
            sip_out_slice(&out, kept[i]);
        texts->ends[i] = (uint16_t)out.n;
    }
    return texts;
}
