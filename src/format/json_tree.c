/* json_tree.c - reading JSON into a flat array.
 *
 * Invariants: a node stands behind its parent and before its next; nesting is counted, so the
 * recursion is bounded; no octet is looked at more than twice. */
#include "format/json_tree.h"

#include <stdlib.h>

#include "base/lit.h"
#include "base/slice.h"
#include "format/json.h"

#define POINTER_TOKEN_MOST 256 /* octets of one reference token */

struct reader {
    struct fmt_json_tree *tree;
    const char *begin, *at, *end;
    unsigned depth;
};

static enum hd_err
fail(struct reader *r, const char *reason)
{
    r->tree->reason = reason;
    r->tree->at = (size_t)(r->at - r->begin);
    return HD_ESYNTAX;
}

static void
skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'))
        r->at++;
}

static enum hd_err
node_new(struct reader *r, uint32_t *ret_index)
{
    struct fmt_json_tree *tree = r->tree;

    if (tree->n == FMT_JSON_NODES_MOST)
        return HD_EFULL;
    if (tree->n == tree->cap) {
        uint32_t cap = tree->cap ? tree->cap * 2 : 32;
        struct fmt_json_node *nodes = realloc(tree->nodes, cap * sizeof(*nodes));
        if (!nodes)
            return HD_ENOMEM;
        tree->nodes = nodes;
        tree->cap = cap;
    }
    tree->nodes[tree->n] = (struct fmt_json_node){ 0 };
    *ret_index = tree->n++;
    return HD_OK;
}

static bool
is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static enum hd_err
read_escape(struct reader *r)
{
    static const char one[] = "\"\\/bfnrt";

    if (++r->at == r->end)
        return fail(r, "JSON: the text ends too early");
    if (*r->at == 'u') {
        for (int i = 0; i < 4; i++)
            if (++r->at == r->end || !is_hex(*r->at))
                return fail(r, "JSON: an escape that is none");
    } else if (!memchr(one, *r->at, sizeof(one) - 1)) {
        return fail(r, "JSON: an escape that is none");
    }
    r->at++;
    return HD_OK;
}

static enum hd_err
read_string(struct reader *r, struct hd_slice *ret_text, bool *ret_escaped)
{
    const char *begin = ++r->at;
    bool escaped = false;

    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char)*r->at < ' ')
            return fail(r, "JSON: a control character in a string");
        if (*r->at == '\\') {
            enum hd_err err = read_escape(r);
            if (err)
                return err;
            escaped = true;
        } else {
            r->at++;
        }
    }
    if (r->at == r->end)
        return fail(r, "JSON: the text ends too early");
    *ret_text = hd_slice(begin, (size_t)(r->at - begin));
    *ret_escaped = escaped;
    r->at++;
    return HD_OK;
}

static bool
read_digits(struct reader *r)
{
    const char *begin = r->at;

    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at > begin;
}

/* number = [ minus ] int [ frac ] [ exp ] */
static enum hd_err
read_number(struct reader *r, struct fmt_json_node *node)
{
    const char *begin = r->at;

    r->at += *r->at == '-';
    const char *digits = r->at;
    if (!read_digits(r) || (*digits == '0' && r->at - digits > 1))
        return fail(r, "JSON: not a number");
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (!read_digits(r))
            return fail(r, "JSON: not a number");
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        if (r->at < r->end && (*r->at == '-' || *r->at == '+'))
            r->at++;
        if (!read_digits(r))
            return fail(r, "JSON: not a number");
    }
    node->kind = FMT_JSON_NUMBER;
    node->text = hd_slice(begin, (size_t)(r->at - begin));
    return HD_OK;
}

static enum hd_err
read_word(struct reader *r, struct fmt_json_node *node)
{
    static const struct {
        struct hd_slice word;
        uint8_t kind;
    } words[] = { { HD_LIT_INIT("null"), FMT_JSON_NULL },
                  { HD_LIT_INIT("true"), FMT_JSON_TRUE },
                  { HD_LIT_INIT("false"), FMT_JSON_FALSE } };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!hd_slice_starts(hd_slice(r->at, (size_t)(r->end - r->at)), words[i].word))
            continue;
        node->kind = words[i].kind;
        node->text = hd_slice(r->at, words[i].word.n);
        r->at += words[i].word.n;
        return HD_OK;
    }
    return fail(r, r->at == r->end ? "JSON: the text ends too early" : "JSON: not a value");
}

static enum hd_err read_value(struct reader *r, uint32_t *ret_index);

/* What stands between the brackets, commas and all. */
static enum hd_err
read_inside(struct reader *r, uint32_t parent, char close)
{
    uint32_t last = 0, index;
    enum hd_err err;

    r->at++;
    skip_blanks(r);
    if (r->at < r->end && *r->at == close) {
        r->at++;
        return HD_OK;
    }
    for (;;) {
        struct hd_slice key = { 0 };
        bool escaped = false;
        skip_blanks(r);
        if (close == '}') {
            if (r->at == r->end || *r->at != '"')
                return fail(r, "JSON: a name is missing");
            err = read_string(r, &key, &escaped);
            if (err)
                return err;
            skip_blanks(r);
            if (r->at == r->end || *r->at != ':')
                return fail(r, "JSON: a colon is missing");
            r->at++;
        }
        err = read_value(r, &index);
        if (err)
            return err;
        r->tree->nodes[index].key = key;
        r->tree->nodes[index].key_escaped = escaped;
        if (last)
            r->tree->nodes[last].next = index;
        else
            r->tree->nodes[parent].child = index;
        last = index;
        skip_blanks(r);
        if (r->at == r->end)
            return fail(r, "JSON: the text ends too early");
        if (*r->at == close)
            break;
        if (*r->at != ',')
            return fail(r, "JSON: a comma is missing");
        r->at++;
    }
    r->at++;
    return HD_OK;
}

static enum hd_err
read_value(struct reader *r, uint32_t *ret_index)
{
    uint32_t index;
    enum hd_err err = node_new(r, &index);

    if (err)
        return err;
    skip_blanks(r);
    const char *begin = r->at;
    char c = r->at < r->end ? *r->at : '\0';
    struct fmt_json_node *node = &r->tree->nodes[index];
    if (c == '{' || c == '[') {
        if (++r->depth > FMT_JSON_MAX_DEPTH)
            return fail(r, "JSON: nested too deeply");
        node->kind = c == '{' ? FMT_JSON_OBJECT : FMT_JSON_ARRAY;
        err = read_inside(r, index, c == '{' ? '}' : ']');
        r->tree->nodes[index].text = hd_slice(begin, (size_t)(r->at - begin));
        r->depth--;
    } else if (c == '"') {
        node->kind = FMT_JSON_STRING;
        err = read_string(r, &node->text, &node->escaped);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        err = read_number(r, node);
    } else {
        err = read_word(r, node);
    }
    *ret_index = index;
    return err;
}

enum hd_err
fmt_json_tree_read(struct fmt_json_tree *tree, struct hd_slice text)
{
    struct reader r = {
        .tree = tree, .begin = text.p, .at = text.p, .end = text.n ? text.p + text.n : text.p
    };
    uint32_t index;

    tree->n = 0;
    tree->reason = NULL;
    enum hd_err err = read_value(&r, &index);
    if (err)
        return err;
    skip_blanks(&r);
    return r.at == r.end ? HD_OK : fail(&r, "JSON: something behind the value");
}

void
fmt_json_tree_done(struct fmt_json_tree *tree)
{
    free(tree->nodes);
    *tree = (struct fmt_json_tree){ 0 };
}

/* --- looking around -------------------------------------------------------------------------- */

const struct fmt_json_node *
fmt_json_first(const struct fmt_json_tree *tree, const struct fmt_json_node *node)
{
    return node && node->child ? &tree->nodes[node->child] : NULL;
}

const struct fmt_json_node *
fmt_json_next(const struct fmt_json_tree *tree, const struct fmt_json_node *node)
{
    return node && node->next ? &tree->nodes[node->next] : NULL;
}

const struct fmt_json_node *
fmt_json_member(const struct fmt_json_tree *tree, const struct fmt_json_node *object,
                struct hd_slice name)
{
    if (!object || object->kind != FMT_JSON_OBJECT)
        return NULL;
    const struct fmt_json_node *node = fmt_json_first(tree, object);
    while (node && !fmt_json_text_eq(node->key, node->key_escaped, name))
        node = fmt_json_next(tree, node);
    return node;
}

const struct fmt_json_node *
fmt_json_element(const struct fmt_json_tree *tree, const struct fmt_json_node *array,
                 uint32_t index)
{
    if (!array || array->kind != FMT_JSON_ARRAY)
        return NULL;
    const struct fmt_json_node *node = fmt_json_first(tree, array);
    for (; node && index; index--)
        node = fmt_json_next(tree, node);
    return node;
}

/* --- strings --------------------------------------------------------------------------------- */

static unsigned
hex4(const char *p)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static size_t
put_utf8(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(first[n] | code);
    return n;
}

/* Takes the next character of a string that was read, as UTF-8; its octets. */
static size_t
take_char(struct hd_slice *s, char out[4])
{
    if (*s->p != '\\') {
        out[0] = *s->p;
        *s = hd_slice_from(*s, 1);
        return 1;
    }
    char c = s->p[1];
    if (c == 'u') {
        unsigned code = hex4(s->p + 2);
        *s = hd_slice_from(*s, 6);
        if (code >= 0xd800 && code < 0xdc00 && s->n >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
            code = 0x10000 + ((code - 0xd800) << 10) + ((hex4(s->p + 2) - 0xdc00) & 0x3ff);
            *s = hd_slice_from(*s, 6);
        }
        return put_utf8(code, out);
    }
    out[0] = (char)(c == 'b'   ? '\b'
                    : c == 'f' ? '\f'
                    : c == 'n' ? '\n'
                    : c == 'r' ? '\r'
                    : c == 't' ? '\t'
                               : c);
    *s = hd_slice_from(*s, 2);
    return 1;
}

bool
fmt_json_text_eq(struct hd_slice written, bool escaped, struct hd_slice text)
{
    char c[4];

    if (!escaped)
        return hd_slice_eq(written, text);
    while (written.n) {
        size_t n = take_char(&written, c);
        if (text.n < n || memcmp(text.p, c, n) != 0)
            return false;
        text = hd_slice_from(text, n);
    }
    return text.n == 0;
}

int
fmt_json_text_cmp(struct hd_slice a, bool a_escaped, struct hd_slice b, bool b_escaped)
{
    char x[4], y[4];
    size_t n_x = 0, n_y = 0, i = 0, k = 0;

    if (!a_escaped && !b_escaped)
        return hd_slice_cmp(a, b);
    for (;; i++, k++) {
        if (i == n_x) {
            n_x = a.n ? take_char(&a, x) : 0;
            i = 0;
        }
        if (k == n_y) {
            n_y = b.n ? take_char(&b, y) : 0;
            k = 0;
        }
        if (n_x == 0 || n_y == 0)
            return n_x ? 1 : n_y ? -1 : 0;
        if (x[i] != y[k])
            return (unsigned char)x[i] < (unsigned char)y[k] ? -1 : 1;
    }
}

enum hd_err
fmt_json_text(struct hd_slice written, bool escaped, char *memory, size_t cap,
              struct hd_slice *ret_text)
{
    size_t n = 0;
    char c[4];

    if (!escaped) {
        *ret_text = written;
        return HD_OK;
    }
    while (written.n) {
        size_t more = take_char(&written, c);
        if (more > cap - n)
            return HD_ENOSPC;
        memcpy(memory + n, c, more);
        n += more;
    }
    *ret_text = hd_slice(memory, n);
    return HD_OK;
}

/* --- pointers -------------------------------------------------------------------------------- */

bool
fmt_json_pointer_fits(struct hd_slice pointer)
{
    if (pointer.n && *pointer.p != '/')
        return false;
    for (size_t i = 0; i < pointer.n; i++)
        if (pointer.p[i] == '~' &&
            (i + 1 == pointer.n || (pointer.p[i + 1] != '0' && pointer.p[i + 1] != '1')))
            return false;
    return true;
}

/* RFC 6901 section 4: "~1" is "/", then "~0" is "~". */
static bool
token_decode(struct hd_slice token, char memory[POINTER_TOKEN_MOST], struct hd_slice *ret_name)
{
    size_t n = 0;

    if (token.n > POINTER_TOKEN_MOST)
        return false;
    for (size_t i = 0; i < token.n; i++) {
        char c = token.p[i];
        if (c == '~' && i + 1 < token.n)
            c = token.p[++i] == '1' ? '/' : '~';
        memory[n++] = c;
    }
    *ret_name = hd_slice(memory, n);
    return true;
}

const struct fmt_json_node *
fmt_json_pointer(const struct fmt_json_tree *tree, const struct fmt_json_node *node,
                 struct hd_slice pointer)
{
    char memory[POINTER_TOKEN_MOST];
    struct hd_slice name;
    uint32_t index;

    if (pointer.n && *pointer.p != '/')
        return NULL;
    while (node && pointer.n) {
        pointer = hd_slice_from(pointer, 1);
        size_t n = hd_slice_find(pointer, '/');
        struct hd_slice token = hd_slice(pointer.p, n);
        pointer = hd_slice_from(pointer, n);
        if (node->kind == FMT_JSON_ARRAY) {
            if (hd_slice_to_u32(token, &index) || (token.n > 1 && *token.p == '0'))
                return NULL;
            node = fmt_json_element(tree, node, index);
        } else {
            node = token_decode(token, memory, &name) ? fmt_json_member(tree, node, name) : NULL;
        }
    }
    return node;
}
