#!/usr/bin/env python3
"""Measures heraldd, Kamailio and the bare socket loop in turn on the same cores: bench/run.py --build BUILD

Each contestant gets one core and the load generator another.  CPU time of the contestant's processes per operation is the
figure; rounds are repeated and the least of each row counts, since what else runs on the machine can only add to it.
Writes bench/RESULTS.md."""
import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = 18060
SERVER = f"127.0.0.1:{PORT}"
WINDOW = 256
LIMIT_S = 60

# What the budgets of the design were set against: its machine's bare loop, in microseconds.
WIRE_OF_BUDGETS = 4.6

# key, title, budget in us on that machine (None: none)
ROWS = [
    ("wire", "send 1.1 kB and receive 0.3 kB, nothing else", None),
    ("notify-one", "NOTIFY and its 200, {one} subscribers of one resource", 6),
    ("notify-one-2", "the same on two shards, that share the core", 6.6),
    ("notify-spread", "NOTIFY and its 200, {subs} subscriptions on {resources} resources, the PUBLISH requests included", 6),
    ("subscribe", "SUBSCRIBE with its first NOTIFY", 16),
    ("refresh", "refresh with its NOTIFY", 14),
    ("publish", "PUBLISH modify, presence, nobody watches", 12),
    ("publish-summary", "PUBLISH modify, message-summary, nobody watches", 12),
    ("publish-opaque", "PUBLISH modify, opaque body of 560 octets, nobody watches", 12),
]


def size_of(quick):
    if quick:
        return {"one": 10000, "one_rounds": 4, "subs": 20000, "resources": 2000, "rounds": 2, "publish": 15000,
                "wire": 150000, "memory": 100000}
    return {"one": 10000, "one_rounds": 20, "subs": 100000, "resources": 10000, "rounds": 3, "publish": 100000,
            "wire": 500000, "memory": 1000000}


def plan(size, name):
    """(shards, options of the generator, its phases, the row that each is or None)"""
    one = ["--subs", str(size["one"]), "--resources", "1"]
    spread = ["--subs", str(size["subs"]), "--resources", str(size["resources"]), "--publishers", "1000"]
    publish = ["publish=1000", f"publish={size['publish']}"]
    rounds = max(1, size["one_rounds"] // 4) if name == "kamailio" else size["one_rounds"]
    todo = [
        (1, one, ["seed", "subscribe", f"fanout={rounds}"], [None, None, "notify-one"]),
        (1, spread, ["seed", "subscribe", "refresh", f"fanout={size['rounds']}", *publish],
         [None, "subscribe", "refresh", "notify-spread", None, "publish"]),
        (1, ["--subs", "1", "--package", "message-summary"], publish, [None, "publish-summary"]),
    ]
    if name == "herald":
        todo.append((1, ["--subs", "1", "--package", "x-bench"], publish, [None, "publish-opaque"]))
        todo.append((2, one, ["seed", "subscribe", f"fanout={rounds}"], [None, None, "notify-one-2"]))
    return todo


class Server:
    """A contestant on core 0; `with` starts and ends it."""

    def __init__(self, command, folder):
        self.command, self.folder = command, folder

    def __enter__(self):
        self.log = open(os.path.join(self.folder, "log"), "w")
        self.process = subprocess.Popen(pin(0) + self.command, stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(150):
            time.sleep(0.1)
            if self.process.poll() is not None:
                break
            if port_taken():
                time.sleep(0.5)  # its other processes
                return self.process.pid
        self.__exit__()
        sys.exit(f"bench: {self.command[0]} does not come up:\n" + open(self.log.name).read())

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        for _ in range(50):
            if not port_taken():
                break
            time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)


def port_taken():
    with open("/proc/net/udp") as f:
        return f":{PORT:04X} " in f.read()


def pin(core):
    return ["taskset", "-c", str(core)] if os.cpu_count() > 1 and shutil.which("taskset") else []


def make_server(build, name, shards=1):
    folder = tempfile.mkdtemp(prefix="herald-bench-")
    if name == "wire":
        return Server([os.path.join(build, "bench/wire"), SERVER], folder)
    if name == "herald":
        with open(os.path.join(HERE, "herald.conf")) as f:
            text = f.read().replace("shards = 1", f"shards = {shards}")
        with open(os.path.join(folder, "herald.conf"), "w") as f:
            f.write(text)
        return Server([os.path.join(build, "src/heraldd/heraldd"), "-c", f.name, "--run-dir",
                       os.path.join(folder, "run")], folder)
    shutil.copytree("/usr/share/kamailio/dbtext/kamailio", os.path.join(folder, "db"))
    return Server(["kamailio", "-DD", "-E", "-f", os.path.join(HERE, "kamailio.cfg"), "-x", "fm", "-m", "3072",
                   "-M", "512", "-b", "4194304", "-A", "CHILDREN=1", "-A", f'DBTEXT="text://{folder}/db"', "-Y",
                   folder], folder)


def load(build, pid, label, options, phases):
    """Runs the generator on core 1; its lines."""
    command = pin(1) + [os.path.join(build, "bench/load"), "--server", SERVER, "--pid", str(pid), "--label", label,
                        "--window", str(WINDOW), "--limit", str(LIMIT_S), *options, *phases]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def measure(build, name, size):
    """{row: line of the generator}"""
    rows = {}
    if name == "wire":
        with make_server(build, name) as pid:
            options = ["--subs", "1024", "--window", "1024"]  # so many that it never waits
            rows["wire"] = load(build, pid, name, options, [f"wire={size['wire']}"])[0]
        return rows
    for shards, options, phases, keys in plan(size, name):
        with make_server(build, name, shards) as pid:
            for key, line in zip(keys, load(build, pid, name, options, phases)):
                if key:
                    rows[key] = line
                if line.get("failed") or line.get("missing") or not line["done"]:
                    print(f"bench: {name}, {line['phase']}: {json.dumps(line)}", file=sys.stderr)
    return rows


def measure_memory(build, name, size):
    """(octets per subscription, octets before)"""
    n = size["memory"]
    with make_server(build, name) as pid:
        lines = load(build, pid, name, ["--subs", str(n), "--resources", str(n // 10), "--phones", str(n // 10)],
                     ["seed", "memory", "subscribe", "memory"])
    octets = [line["octets"] for line in lines if line["phase"] == "memory"]
    return (octets[1] - octets[0]) / n if len(octets) == 2 else None


def keep_best(best, name, rows):
    kept = best.setdefault(name, {})
    for key, line in rows.items():
        if key not in kept or (line["done"], -line["cpu_us"]) > (kept[key]["done"], -kept[key]["cpu_us"]):
            kept[key] = line


def command_output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine():
    model = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}"


def cell(line, wire):
    if not line:
        return "-"
    text = f"{line['cpu_us']:.1f} us"
    if line["label"] == "herald":
        text += f" ({line['user_us']:.1f} in user mode)"
    if not line["done"]:
        text += f" (not done after {LIMIT_S} s)"
    if wire and line["label"] != "wire":
        text += f", {line['cpu_us'] / wire:.1f} x"
    return text


def write_results(out, size, best, memory, args):
    wire = best["wire"]["wire"]["cpu_us"]
    names = [name for name in ("herald", "kamailio") if name in best]
    now = datetime.datetime.now(datetime.timezone.utc)
    lines = [
        "# Results of the benchmark", "",
        f"{now:%Y-%m-%d %H:%M} UTC, `{args.command}`, commit {command_output('git', '-C', HERE, 'describe', '--always', '--dirty')}, "
        f"{machine()}, load average {os.getloadavg()[0]:.1f}.", "",
        f"CPU time of the server's processes, user and system, per operation: the least of {args.rounds} rounds, in which the "
        "contestants take turns on one core while the load generator polls on the other. \"x\" is the ratio to the bare socket loop "
        "of the same run. Phones are 1,024 source addresses (127.1.0.0/16), "
        f"{WINDOW} operations are out at a time, documents are PIDF of about 560 octets (a NOTIFY of about 1.1 kB). "
        "heraldd: `bench/herald.conf`, one shard, memory store. "
        "Kamailio 5.6: `bench/kamailio.cfg`, one process for requests, in memory (`subs_db_mode` 0, `publ_cache` 2), allocator fm.", "",
        "| | " + " | ".join(names) + " | budget here |" + (" Kamailio / herald |" if len(names) > 1 else ""),
        "|---|" + "---:|" * (len(names) + 1 + (len(names) > 1)),
    ]
    for key, title, budget in ROWS:
        if key == "wire":
            lines.append(f"| {title} | {wire:.1f} us |" + " |" * (len(names) + (len(names) > 1)))
            continue
        row = [best[name].get(key) for name in names]
        text = f"| {title.format(**size)} | " + " | ".join(cell(r, wire) for r in row)
        text += f" | {budget * wire / WIRE_OF_BUDGETS:.1f} us |"
        if len(names) > 1:
            text += f" {row[1]['cpu_us'] / row[0]['cpu_us']:.1f} |" if row[0] and row[1] else " - |"
        lines.append(text)
    if memory:
        text = f"| memory per subscription, {size['memory']} on {size['memory'] // 10} resources, documents apart | "
        text += " | ".join(f"{memory[n]:.0f} octets" if memory.get(n) else "-" for n in names) + " | 480 octets |"
        if len(names) > 1:
            text += f" {memory['kamailio'] / memory['herald']:.1f} |" if all(memory.get(n) for n in names) else " - |"
        lines.append(text)
    lines += ["", "Budgets are those of the design, scaled by the bare socket loop (there 4.6 us).", "",
              "Rates, latencies and what the generator itself cost, of the same rounds. Wall time depends on what else runs.", "",
              "| | row | per second | p50 | p99 | generator per operation | sent again | needless | failed or missing |",
              "|---|---|---:|---:|---:|---:|---:|---:|---:|"]
    for name in best:
        for key, _, _ in ROWS:
            d = best[name].get(key)
            if d:
                times = [f"{d[p] / 1000:.1f} ms" if d[p] else "-" for p in ("p50_us", "p99_us")]
                lines.append(f"| {name} | {key} | {d['per_second']:.0f} | {times[0]} | {times[1]} | {d['load_us']:.1f} us | "
                             f"{d['retransmitted'] + d['repeated']} | {d['needless']} | {d['failed'] + d['missing']} |")
    with open(out, "w") as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--out", default=os.path.join(HERE, "RESULTS.md"))
    parser.add_argument("--only", default="herald,kamailio", help="contestants beside the bare loop")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--command", default="bench/run.py " + " ".join(sys.argv[1:]))
    args = parser.parse_args()
    if port_taken():
        sys.exit(f"bench: UDP port {PORT} is in use")
    size, best, memory = size_of(args.quick), {}, {}
    names = ["wire"] + args.only.split(",")
    if "kamailio" in names and not (shutil.which("kamailio") and os.path.isdir("/usr/share/kamailio/dbtext")):
        print("bench: Kamailio is not here (packages kamailio, kamailio-presence-modules): without it", file=sys.stderr)
        names.remove("kamailio")
    for i in range(args.rounds):
        for name in names:
            print(f"bench: round {i + 1} of {args.rounds}, {name}", file=sys.stderr)
            keep_best(best, "wire", measure(args.build, "wire", size))
            if name != "wire":
                keep_best(best, name, measure(args.build, name, size))
    if not args.no_memory:
        for name in names[1:]:
            print(f"bench: memory, {name}", file=sys.stderr)
            memory[name] = measure_memory(args.build, name, size)
    write_results(args.out, size, best, memory, args)


if __name__ == "__main__":
    main()
