/* proc.h - what a server has used: the CPU time and the memory of a process and of all its
 * descendants. */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define PROC_MAX 64

struct proc_tree {
    unsigned n;
    pid_t pid[PROC_MAX];
    clockid_t clock[PROC_MAX];
};

/** The process and its descendants as they are now; n is 0 when there is none.  Those above
 * PROC_MAX are left out. */
struct proc_tree proc_tree(pid_t root);
/** CPU time of all threads of all of them, user and system, in nanoseconds, exact at the moment of
 * the call. */
uint64_t proc_cpu_ns(const struct proc_tree *tree);
/**
 * The part of the CPU time that was spent in user mode, of two readings of it; the kernel tells
 * them apart by the clock's tick, so it means something from some hundred milliseconds on.
 */
struct proc_ticks {
    uint64_t user, system;
};
struct proc_ticks proc_ticks(const struct proc_tree *tree);
/** Memory in octets, shared pages divided among those who share them (Pss). */
uint64_t proc_memory(const struct proc_tree *tree);

#endif
