/* problem.c - lines about a configuration.
 *
 * A line is cut at HD_PROBLEM_TEXT octets and holds no control octets, whatever the file holds: it
 * goes to a terminal and into a log of lines. */
#include "heraldd/problem.h"

#include <stdarg.h>
#include <stdio.h>

void
hd_problem(struct hd_problems *problems, unsigned line, const char *format, ...)
{
    char text[HD_PROBLEM_TEXT];
    va_list args;
    size_t used;
    int n;

    if (line > 0)
        n = snprintf(text, sizeof(text), "%s:%u: ", problems->file, line);
    else
        n = snprintf(text, sizeof(text), "%s: ", problems->file);
    used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof(text)) {
        va_start(args, format);
        (void)vsnprintf(text + used, sizeof(text) - used, format, args);
        va_end(args);
    }
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    problems->count++;
    problems->tell(problems->context, text);
}
