/* multipart.c - cutting a multipart body into its parts without copying (RFC 2046 section 5.1, RFC
 * 5621).
 *
 * The problem: where a part ends depends on text that the sender chose.  Invariants: a delimiter is
 * the boundary at the start of a line and nothing else on that line; a line that merely begins with
 * it is refused, since RFC 2046 section 5.1.1 lets one reader take it for a delimiter where another
 * sees content; the closing delimiter must be there, so a cut body is never taken for a whole one.
 * After a delimiter walk->rest begins right behind the boundary text. */
#include "sip/multipart.h"

#define BOUNDARY_MAX 70

static bool
is_bchar(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("'()+_,-./:=? ", c) != NULL);
}

/* boundary := 0*69<bchars> bcharsnospace */
static bool
is_boundary(struct hd_slice s)
{
    if (s.n == 0 || s.n > BOUNDARY_MAX || s.p[s.n - 1] == ' ')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_bchar(s.p[i]))
            return false;
    return true;
}

/* Whether s begins with "--" boundary. */
static bool
at_dash_boundary(struct hd_slice s, struct hd_slice boundary)
{
    return s.n >= boundary.n + 2 && s.p[0] == '-' && s.p[1] == '-' &&
           memcmp(s.p + 2, boundary.p, boundary.n) == 0;
}

/* memmem on a slice whose pointer may be NULL. */
static const char *
find_text(struct hd_slice s, struct hd_slice text)
{
    return s.p ? memmem(s.p, s.n, text.p, text.n) : NULL;
}

/* Offset of the CRLF of the next delimiter, or s.n when there is none. */
static size_t
find_delimiter(struct hd_slice s, struct hd_slice boundary)
{
    for (size_t at = 0; at < s.n;) {
        const char *hit = find_text(hd_slice_from(s, at), HD_LIT("\r\n--"));
        if (!hit)
            break;
        at = (size_t)(hit - s.p);
        if (at_dash_boundary(hd_slice_from(s, at + 2), boundary))
            return at;
        at += 2;
    }
    return s.n;
}

/* multipart-body := [preamble CRLF] dash-boundary transport-padding CRLF body-part *encapsulation
 * close-delimiter ... */
enum hd_err
sip_multipart_begin(struct hd_slice content_type, struct hd_slice body,
                    struct sip_multipart *ret_walk)
{
    struct sip_media media;
    struct hd_slice boundary = { 0 };
    size_t skip = 0;

    if (sip_media_parse(content_type, &media) || !hd_slice_ieq(media.type, HD_LIT("multipart")))
        return HD_ENOTSUP;
    if (!sip_param_find(media.params, HD_LIT("boundary"), &boundary))
        return HD_ESYNTAX;
    boundary = sip_unquote(boundary);
    if (!is_boundary(boundary))
        return HD_ESYNTAX;
    if (!at_dash_boundary(body, boundary)) {
        skip = find_delimiter(body, boundary);
        if (skip == body.n)
            return HD_ESYNTAX;
        skip += 2;
    }
    *ret_walk = (struct sip_multipart){
        .rest = hd_slice_from(body, skip + 2 + boundary.n),
        .boundary = boundary,
    };
    return HD_OK;
}

/* Cuts one header line with its folds, CRLF not included.  HD_ESYNTAX: a CR or LF that stands
 * alone. */
static enum hd_err
take_line(struct hd_slice *s, struct hd_slice *ret_line)
{
    size_t i = 0;
    for (; i < s->n; i++) {
        if (s->p[i] == '\0' || s->p[i] == '\n')
            return HD_ESYNTAX;
        if (s->p[i] != '\r')
            continue;
        if (i + 1 == s->n || s->p[i + 1] != '\n')
            return HD_ESYNTAX;
        if (i == 0 || i + 2 == s->n || (s->p[i + 2] != ' ' && s->p[i + 2] != '\t'))
            break;
        i++; /* a fold */
    }
    *ret_line = hd_slice(s->p, i);
    *s = hd_slice_from(*s, i + 2);
    return HD_OK;
}

static struct hd_slice
trim_folded(struct hd_slice s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
        s = hd_slice_from(s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r' ||
                   s.p[s.n - 1] == '\n'))
        s.n--;
    return s;
}

/* field-name ":" value; a name that we read must not come twice. */
static enum hd_err
read_field(struct hd_slice line, struct sip_part *part)
{
    const struct {
        struct hd_slice name;
        struct hd_slice *place;
    } known[] = {
        { HD_LIT("Content-Type"), &part->type },
        { HD_LIT("Content-Disposition"), &part->disposition },
        { HD_LIT("Content-ID"), &part->id },
        { HD_LIT("Content-Transfer-Encoding"), &part->encoding },
    };
    const size_t colon = hd_slice_find(line, ':');
    if (colon == 0 || colon == line.n)
        return HD_ESYNTAX;
    for (size_t i = 0; i < colon; i++)
        if (line.p[i] <= ' ' || line.p[i] >= 0x7f)
            return HD_ESYNTAX;
    for (size_t i = 0; i < HD_ARRAY_LEN(known); i++) {
        if (!hd_slice_ieq(hd_slice(line.p, colon), known[i].name))
            continue;
        if (known[i].place->p)
            return HD_ESYNTAX;
        *known[i].place = trim_folded(hd_slice_from(line, colon + 1));
    }
    return HD_OK;
}

/* body-part := MIME-part-headers [CRLF *OCTET] */
static enum hd_err
read_part(struct hd_slice content, struct sip_part *ret_part)
{
    struct sip_part part = { 0 };

    while (content.n) {
        struct hd_slice line = { 0 };
        /* The last line's CRLF belongs to the delimiter when the part has no body. */
        if (!find_text(content, HD_LIT("\r\n"))) {
            line = content;
            if (hd_slice_find(line, '\r') != line.n || hd_slice_find(line, '\n') != line.n ||
                hd_slice_find(line, '\0') != line.n)
                return HD_ESYNTAX;
            content = hd_slice_from(content, content.n);
        } else if (take_line(&content, &line)) {
            return HD_ESYNTAX;
        }
        if (line.n == 0)
            break;
        if (read_field(line, &part))
            return HD_ESYNTAX;
    }
    if (part.id.n >= 2 && part.id.p[0] == '<' && part.id.p[part.id.n - 1] == '>')
        part.id = hd_slice(part.id.p + 1, part.id.n - 2);
    part.body = content;
    *ret_part = part;
    return HD_OK;
}

/* transport-padding := *LWSP-char; what follows a delimiter's boundary up to and with its CRLF. */
static enum hd_err
skip_padding(struct hd_slice *s)
{
    size_t n = 0;
    while (n < s->n && (s->p[n] == ' ' || s->p[n] == '\t'))
        n++;
    if (s->n - n < 2 || s->p[n] != '\r' || s->p[n + 1] != '\n')
        return HD_ESYNTAX;
    *s = hd_slice_from(*s, n + 2);
    return HD_OK;
}

enum hd_err
sip_multipart_next(struct sip_multipart *walk, struct sip_part *ret_part)
{
    struct hd_slice rest = walk->rest;

    if (hd_slice_starts(rest, HD_LIT("--")))
        return walk->parts ? HD_ENOMATCH : HD_ESYNTAX; /* there is at least one part */
    if (skip_padding(&rest))
        return HD_ESYNTAX;
    if (walk->parts == SIP_MULTIPART_PARTS)
        return HD_EFULL;
    const size_t end = find_delimiter(rest, walk->boundary);
    if (end == rest.n)
        return HD_ESYNTAX;
    const enum hd_err err = read_part(hd_slice(rest.p, end), ret_part);
    if (err)
        return err;
    walk->rest = hd_slice_from(rest, end + 4 + walk->boundary.n);
    walk->parts++;
    return HD_OK;
}
