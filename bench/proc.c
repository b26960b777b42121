/* proc.c - see proc.h.
 *
 * CPU time is read from the processes' CPU clocks and not from /proc/PID/stat, which counts in
 * hundredths of a second.  On Linux a task also pays for the softirq work that its system calls
 * cause (unless the kernel has CONFIG_IRQ_TIME_ACCOUNTING), so on the loopback the sender of a
 * datagram pays for its way into the receiver's queue. */
#include "proc.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIDS_MAX 32768
#define LINE_SIZE 1024
#define FIELDS_TO_UTIME 11 /* from the state on */

struct pair {
    pid_t pid, parent;
};

/* The fields of /proc/PID/stat behind the name, which may hold anything; NULL when the process is
 * gone. */
static const char *
read_stat(pid_t pid, char line[LINE_SIZE])
{
    char path[64];
    const char *p;
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return NULL;
    n = fread(line, 1, LINE_SIZE - 1, f);
    (void)fclose(f);
    line[n] = '\0';
    p = strrchr(line, ')');
    return p && p[1] && p[2] ? p + 2 : NULL;
}

static pid_t
read_parent(pid_t pid)
{
    char line[LINE_SIZE];
    const char *p = read_stat(pid, line);

    return p && p[0] && p[1] ? (pid_t)strtol(p + 2, NULL, 10) : -1;
}

static unsigned
list_all(struct pair *all, unsigned most)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    unsigned n = 0;

    if (!dir)
        return 0;
    while (n < most && (entry = readdir(dir))) {
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 0)
            all[n++] = (struct pair){ (pid_t)pid, read_parent((pid_t)pid) };
    }
    (void)closedir(dir);
    return n;
}

static void
add(struct proc_tree *tree, pid_t pid)
{
    for (unsigned i = 0; i < tree->n; i++)
        if (tree->pid[i] == pid)
            return;
    if (tree->n == PROC_MAX || clock_getcpuclockid(pid, &tree->clock[tree->n]) != 0)
        return;
    tree->pid[tree->n++] = pid;
}

struct proc_tree
proc_tree(pid_t root)
{
    struct proc_tree tree = { 0 };
    struct pair *all = calloc(PIDS_MAX, sizeof(*all));
    unsigned n = all ? list_all(all, PIDS_MAX) : 0;

    if (root > 0)
        add(&tree, root);
    /* A child of one that was added is added behind it, and looked at in its turn. */
    for (unsigned t = 0; t < tree.n; t++)
        for (unsigned i = 0; i < n; i++)
            if (all[i].parent == tree.pid[t])
                add(&tree, all[i].pid);
    free(all);
    return tree;
}

uint64_t
proc_cpu_ns(const struct proc_tree *tree)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < tree->n; i++) {
        struct timespec t;
        if (clock_gettime(tree->clock[i], &t) == 0)
            sum += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    return sum;
}

struct proc_ticks
proc_ticks(const struct proc_tree *tree)
{
    struct proc_ticks sum = { 0 };

    for (unsigned i = 0; i < tree->n; i++) {
        char line[LINE_SIZE];
        const char *p = read_stat(tree->pid[i], line);
        char *rest;

        for (unsigned skip = 0; p && skip < FIELDS_TO_UTIME; skip++) {
            p = strchr(p, ' ');
            p = p ? p + 1 : NULL;
        }
        if (!p)
            continue;
        sum.user += strtoull(p, &rest, 10);
        sum.system += strtoull(rest, NULL, 10);
    }
    return sum;
}

static uint64_t
read_pss(pid_t pid)
{
    char path[64], line[256];
    uint64_t kib = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, "Pss:", 4) == 0)
            kib = strtoull(line + 4, NULL, 10);
    (void)fclose(f);
    return kib * 1024;
}

uint64_t
proc_memory(const struct proc_tree *tree)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < tree->n; i++)
        sum += read_pss(tree->pid[i]);
    return sum;
}
