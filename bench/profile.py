#!/usr/bin/env python3
"""Instructions of heraldd per operation, by function: bench/profile.py BUILD [OUT.md]

heraldd runs under callgrind; between two phases of bench/load its counts are dumped.  Counts of instructions do not move
with the load of the machine, but know nothing of the kernel and of cache misses."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = 25
SUBS, RESOURCES = 4000, 400
ONE = 300  # few enough to be answered in half a second under callgrind, or NOTIFYs are sent twice
LEAST = 1000  # phases of fewer operations prepare the next

# title, options, phases
RUNS = [
    ("SUBSCRIBE, first NOTIFY and its 200; refresh; NOTIFY spread; PUBLISH modify",
     ["--subs", str(SUBS), "--resources", str(RESOURCES), "--publishers", "500"],
     ["seed", "subscribe", "refresh", "fanout=3", "publish=500", "publish=5000"]),
    ("NOTIFY to subscribers of one resource",
     ["--subs", str(ONE), "--resources", "1"], ["seed", "subscribe", "fanout=60"]),
    ("PUBLISH modify of an opaque body",
     ["--subs", "1", "--package", "x-bench", "--publishers", "500"], ["publish=500", "publish=5000"]),
]


def wait_for_server(log):
    for _ in range(1200):
        time.sleep(0.1)
        with open("/proc/net/udp") as f:
            if ":468C " in f.read():  # 18060
                return
    sys.exit("profile: heraldd does not listen:\n" + open(log).read())


def dump(pid, folder, known):
    subprocess.run(["callgrind_control", "-d", str(pid)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    for _ in range(300):
        new = [f for f in os.listdir(folder) if f.startswith("cg.") and f not in known]
        if new:
            time.sleep(0.3)
            known.update(new)
            return os.path.join(folder, new[0])
        time.sleep(0.1)
    sys.exit("profile: callgrind wrote no dump")


def annotate(path, inclusive):
    """{function: instructions} and the total"""
    text = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=100", f"--inclusive={inclusive}", path],
                          check=True, capture_output=True, text=True).stdout
    total, sums, where = 0, {}, {}
    for line in text.splitlines():
        m = re.match(r"\s*([\d,]+)\s+\([\d. ]+%\)\s+(.*)", line)
        if not m or "events annotated" in m[2]:
            continue
        n = int(m[1].replace(",", ""))
        if "PROGRAM TOTALS" in m[2]:
            total = n
            continue
        # file:function [object]; what was inlined from a header counts for the function that it is in
        m = re.match(r"(.*?):([^:\[]+?)(?:'\d+)?(?: \([\d,]+x\))?(?: \[.*)?$", m[2])
        if not m:
            continue
        name = re.sub(r"\.(isra|part|constprop|cold)\.?\d*", "", m[2])
        file = re.sub(r"^.*/src/", "", m[1])
        if name not in where or file.endswith(".c"):
            where[name] = file if "/src/" in m[1] else ""
        sums[name] = sums.get(name, 0) + n if inclusive == "no" else max(sums.get(name, 0), n)
    return total, {(name, where[name]): n for name, n in sums.items()}


def table(path, count):
    """instructions per operation, and lines of the two tables"""
    total, own = annotate(path, "no")
    _, all_in = annotate(path, "yes")
    lines = []
    for title, sums in (("self", own), ("with what it calls", all_in)):
        lines += ["", f"| % | each | {title} | file |", "|---:|---:|---|---|"]
        # callgrind counts the frames that a dump cut through for the function and its callers alike
        rows = [row for row in sums.items() if sums is all_in or row[1] < 0.99 * total]
        rows = sorted(rows, key=lambda row: -row[1])[:TOP]
        lines += [f"| {100 * n / total:.1f} | {n / count:.0f} | {name} | {file} |" for (name, file), n in rows]
    return total / count, lines


def run(build, options, phases):
    folder = tempfile.mkdtemp(prefix="herald-profile-")
    log = os.path.join(folder, "log")
    server = subprocess.Popen(
        ["valgrind", "--tool=callgrind", "--dump-instr=no", f"--callgrind-out-file={folder}/cg",
         os.path.join(build, "src/heraldd/heraldd"), "-c", os.path.join(HERE, "herald.conf"), "--run-dir",
         os.path.join(folder, "run")], stdout=open(log, "w"), stderr=subprocess.STDOUT)
    try:
        wait_for_server(log)
        words = []
        for phase in phases:
            words += ["pause", phase]
        load = subprocess.Popen([os.path.join(build, "bench/load"), "--server", "127.0.0.1:18060", "--window", "16",
                                 *options, *words, "pause"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        known, last = set(), None
        for line in load.stdout:
            d = json.loads(line)
            if d["phase"] == "pause":
                path = dump(server.pid, folder, known)
                if last:
                    yield last, *table(path, last["count"])
                last = None
                load.stdin.write("\n")
                load.stdin.flush()
            else:
                last = d
        if load.wait():
            print(f"profile: the load generator gave up in {phases}", file=sys.stderr)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    build = sys.argv[1]
    out = open(sys.argv[2], "w") if len(sys.argv) > 2 else sys.stdout
    print("# Where the instructions go\n\nheraldd under callgrind, without the kernel; `make profile` writes this page.", file=out)
    for title, options, phases in RUNS:
        print(f"\n# {title}\n", file=out)
        for d, total, rows in run(build, options, phases):
            if d["count"] < LEAST:
                continue
            if d["repeated"] or d["retransmitted"]:
                print(f"profile: {d['phase']}: {d['repeated'] + d['retransmitted']} messages were sent again", file=sys.stderr)
            print(f"\n## {d['phase']} ({d['package']}): {total:.0f} instructions per operation "
                  f"({d['count']} operations, {d['notifies']} NOTIFYs)", file=out)
            print("\n".join(rows), file=out)
            out.flush()


if __name__ == "__main__":
    main()
