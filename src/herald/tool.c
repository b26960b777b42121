/* tool.c - small helpers of the commands. */
#include "herald/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/unit.h"
#include "herald/text.h"
#include "sip/header.h"
#include "sip/priority.h"

void
tool_problem(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("herald: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

bool
tool_priority(const char *text)
{
    struct hd_slice rest = hd_slice_str(text), item;
    bool good = false;

    while (sip_list_next(&rest, &item)) {
        good = sip_priority_is_value(item);
        if (!good)
            break;
    }
    if (!good || !text_is_line(text) || strlen(text) > TOOL_PRIORITY_MAX) {
        tool_problem("--priority: \"%s\" is no value of Resource-Priority (write esnet.1, or "
                     "ets.0,wps.0)",
                     text);
        return false;
    }
    return true;
}

bool
tool_seconds(const char *option, const char *text, uint32_t least_s, uint32_t *ret_s)
{
    uint64_t ms;
    enum hd_err err = hd_unit_ms(hd_slice_str(text), &ms);
    if (!err && ms % 1000 == 0 && ms / 1000 >= least_s && ms / 1000 <= INT32_MAX) {
        *ret_s = (uint32_t)(ms / 1000);
        return true;
    }
    tool_problem("%s: \"%s\" is not a duration of at least %us (write 60, 90s, 10m, 1h, 2d)",
                 option, text, (unsigned)least_s);
    return false;
}

void *
tool_alloc(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory) {
        tool_problem("out of memory");
        exit(TOOL_FAILED);
    }
    return memory;
}

char *
tool_file(const char *path, size_t max, size_t *ret_n)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "r");
    if (!file) {
        tool_problem("%s: %s", path, strerror(errno));
        return NULL;
    }
    char *text = tool_alloc(max + 1);
    size_t n = fread(text, 1, max + 1, file);
    const char *problem = ferror(file) ? strerror(errno) : n > max ? "too large" : NULL;
    if (!standard)
        fclose(file);
    if (problem) {
        tool_problem("%s: %s", path, problem);
        free(text);
        return NULL;
    }
    text[n < max ? n : max] = '\0';
    *ret_n = n;
    return text;
}

static char *
copy_of(struct hd_slice text)
{
    char *copy = tool_alloc(text.n + 1);

    if (text.n)
        memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

void
tool_host_port(const char *text, const char *usual_port, char **ret_host, char **ret_port)
{
    struct hd_slice host = hd_slice_str(text), port = hd_slice_str(usual_port);
    const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');

    if (colon && colon > bracket && (bracket || strchr(text, ':') == colon)) {
        host.n = (size_t)(colon - text);
        port = hd_slice_from(hd_slice_str(text), host.n + 1);
    }
    if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = hd_slice(host.p + 1, host.n - 2);
    *ret_host = copy_of(host);
    *ret_port = copy_of(port);
}
