/* oracle.h - what a parser read of one message, and how a program with another parser is asked.
 *
 * Other parsers run as programs of their own: their names collide with ours, and they may die of
 * broken input.  A program gets messages on standard input, each as a struct message, and writes a
 * struct view for each to standard output. */
#ifndef HD_TEST_ORACLE_H
#define HD_TEST_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 4096
#define TEXT_MAX 300

struct message {
    char text[MESSAGE_MAX];
    size_t n;
};

/* What one parser read, without pointers. */
struct text {
    unsigned short n;
    bool there;
    char p[TEXT_MAX];
};

struct view {
    bool ran, ok, request;
    unsigned status;
    struct text method, user, host, call_id, cseq_method, from_tag, to_tag, via_host, branch,
        package, event_id;
    unsigned port, via_port;
    unsigned long cseq;
    bool has_expires, has_length;
    unsigned long expires, length;
    size_t body_n;
};

static inline void
text_set(struct text *text, const char *p, size_t n)
{
    text->there = p != NULL;
    text->n = (unsigned short)(p ? (n < TEXT_MAX ? n : TEXT_MAX) : 0);
    if (text->n)
        memcpy(text->p, p, text->n);
}

static inline void
text_string(struct text *text, const char *string)
{
    text_set(text, string, string ? strlen(string) : 0);
}

/** Reads messages to the end of standard input and answers each; what the library prints goes
 * nowhere. */
static inline int
oracle_main(void (*read_message)(const struct message *in, struct view *view))
{
    static struct message in;
    static struct view view;
    FILE *out = fdopen(dup(STDOUT_FILENO), "wb");
    if (!out || !freopen("/dev/null", "w", stdout))
        return 1;
    while (fread(&in, sizeof(in), 1, stdin) == 1) {
        memset(&view, 0, sizeof(view));
        read_message(&in, &view);
        view.ran = true;
        if (fwrite(&view, sizeof(view), 1, out) != 1 || fflush(out) != 0)
            return 1;
    }
    return 0;
}

#endif
