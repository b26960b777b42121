/* play_text.h - text of scenario files: variables, templates, patterns, words.
 *
 * A template is text with {name} for a variable and the escapes \r \n \t \\ \{ \* \xHH.
 * A pattern is a template in which * stands for any run of octets, and a {name} that is not set yet
 * captures what stands at its place (at least one octet, as few as possible); when it is set, its
 * value must stand there. Pure.  Thread: any, one at a time.  Memory: copies, given back by the
 * done functions. */
#ifndef HERALD_PLAY_TEXT_H
#define HERALD_PLAY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/str.h"

struct play_var {
    struct play_var *next;
    char *name, *value;
    size_t name_len, value_len;
};
struct play_vars {
    struct play_var *first;
    /* Asked for names that were not set here ("alice.addr"); may be NULL.  The value is borrowed
     * until the next call. */
    bool (*more)(void *context, struct hd_slice name, struct hd_slice *ret_value);
    void *context;
};
void play_vars_done(struct play_vars *vars);
/** Sets or replaces.  HD_ENOMEM. */
HD_NODISCARD enum hd_err play_vars_set(struct play_vars *vars, struct hd_slice name,
                                       struct hd_slice value);
void play_vars_unset(struct play_vars *vars, struct hd_slice name);
/** False when it is not set. */
bool play_vars_find(const struct play_vars *vars, struct hd_slice name, struct hd_slice *ret_value);

/**
 * Appends the octets of a template.
 * @param ret_name  HD_ENOMATCH: the variable that is not set, a part of the template
 * @return HD_OK; HD_ENOMATCH; HD_ESYNTAX a brace without its partner or an escape that is none;
 * HD_ENOMEM
 */
HD_NODISCARD enum hd_err play_expand(const struct play_vars *vars, struct hd_slice text,
                                     struct hd_str *out, struct hd_slice *ret_name);
/**
 * Whether the whole of text fits the pattern; captures are set when it does.
 * @return HD_OK; HD_ENOMATCH; HD_ESYNTAX the pattern cannot be read; HD_ENOMEM
 */
HD_NODISCARD enum hd_err play_match(struct play_vars *vars, struct hd_slice pattern,
                                    struct hd_slice text);

/**
 * Splits a line at blanks; "several words" in quotes are one (no escapes inside), and a word that
 * begins with # ends the line.
 * @return how many words, or max + 1 when there are more, or 0 with *ret_open true for a quote that
 * is not closed
 */
unsigned play_words(struct hd_slice line, struct hd_slice *ret_words, unsigned max, bool *ret_open);
/** "500ms", "32s", "5m", "1h" in milliseconds.  HD_ESYNTAX; HD_ERANGE. */
HD_NODISCARD enum hd_err play_duration(struct hd_slice word, uint64_t *ret_ms);

#endif
