#!/usr/bin/env python3
"""Measures heraldd, Kamailio and the bare socket loop in turn on the same cores: bench/run.py --build BUILD

Each contestant gets one core and the load generator another.  CPU time of the contestant's processes per operation is the
figure; rounds are repeated and the least of each row counts, since what else runs on the machine can only add to it.
What does not fit into the time that --minutes gives is left out and named."""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import report
from contest import Failed, forget_cached, has_kamailio, load, load_command, make_server, port_taken

FULL = {"one": [1000, 10000, 100000], "one_notifies": 200000, "subs": 100000, "resources": 10000, "rounds": 3,
        "publish": 50000, "wire": 400000, "slow": 500, "paced": 5000, "memory": 100000, "many": 1000000, "restart": 1000000,
        "side": 20000, "connections": 15000}
QUICK = {"one": [10000], "one_notifies": 40000, "subs": 20000, "resources": 2000, "rounds": 2, "publish": 15000, "wire": 150000,
         "slow": 0, "paced": 2000, "memory": 0, "many": 0, "restart": 100000, "side": 10000, "connections": 1000}


class Bench:
    def __init__(self, args, size):
        self.args, self.size = args, size
        self.best = {}  # column -> row -> line of the generator
        self.memory = {}  # (column, subscriptions, of each phone) -> octets per subscription
        self.restart = {}
        self.parse = {}
        self.disk = {}
        self.connections = []
        self.skipped = []
        self.deadline = time.monotonic() + args.minutes * 60

    def step(self, title, seconds, function, *args, **kwargs):
        """Does it when there is time for it."""
        if time.monotonic() + seconds * (0.2 if self.args.quick else 1) > self.deadline:
            self.skipped.append(title)
            print(f"bench: no time for: {title}", file=sys.stderr)
            return
        begun = time.monotonic()
        try:
            function(*args, **kwargs)
        except (Failed, subprocess.SubprocessError, OSError, IndexError, KeyError) as problem:
            self.skipped.append(title)
            print(f"bench: {title}: {problem}", file=sys.stderr)
        print(f"bench: {title}: {time.monotonic() - begun:.0f} s", file=sys.stderr)

    def keep(self, column, key, line):
        kept = self.best.setdefault(column, {})
        if not key or not line.get("count") and line.get("done"):
            return

        def rank(d):
            return d["done"], -d["p99_us"] if key.startswith("paced") else -d["cpu_us"]

        if key not in kept or rank(line) > rank(kept[key]):
            kept[key] = line

    def measure(self, column, options, phases, **server):
        """phases: (phase of the generator, row that it is or None)."""
        with make_server(self.args.build, column, **server) as s:
            lines = load(self.args.build, s.pid, column, options, [phase for phase, _ in phases])
        keys = [key for phase, key in phases if not re.match("rate=|dead=", phase)]
        for key, line in zip(keys, lines):
            self.keep(column, key, line)

    # --- rows -----------------------------------------------------------------------------------

    def wire(self):
        # So many that it never waits.
        self.measure("wire", ["--subs", "1024", "--window", "1024"], [(f"wire={self.size['wire']}", "wire")])

    def one(self, column, n, key=None, most=None, options=(), phases=(), **server):
        rounds = max(2, (most or self.size["one_notifies"]) // n)
        self.measure(column, ["--subs", str(n), "--resources", "1", *options],
                     [("seed", None), ("subscribe", None), *phases, (f"fanout={rounds}", key or f"notify-one-{n}")], **server)

    def spread(self, column, suffix="", **server):
        size = self.size
        self.measure(column, ["--subs", str(size["subs"]), "--resources", str(size["resources"])],
                     [("seed", None), ("subscribe", "subscribe" + suffix), ("refresh", "refresh" + suffix),
                      (f"fanout={size['rounds']}", "notify-spread" + suffix), ("publish=1000", None),
                      (f"publish={size['publish']}", "publish" + suffix)], **server)

    def side(self, column, suffix, phases=(), options=(), **server):
        """The rows that change with a condition, with fewer subscriptions."""
        n = self.size["side"]
        self.measure(column, ["--subs", str(n), "--resources", str(n // 10), *options],
                     [("seed", None), ("subscribe", "subscribe" + suffix), ("refresh", "refresh" + suffix), *phases,
                      ("fanout=3", "notify-spread" + suffix)], **server)

    def paced(self, column):
        """1,000 requests a second; each PUBLISH is told to 10."""
        n = self.size["paced"]
        self.measure(column, ["--subs", str(n), "--resources", str(n // 10), "--rate", "1000", "--window", "8192"],
                     [("rate=0", None), ("seed", None), ("rate=1000", None), ("subscribe", "paced-subscribe"),
                      (f"refresh={n}", "paced-refresh"), (f"fanout={max(1, 40000 // n)}", "paced-notify")])

    def half_load(self, column):
        rate = int(self.at_best(column, "subscribe", "per_second") / 2)
        n = min(4 * rate, self.size["subs"])
        self.measure(column, ["--subs", str(n), "--resources", str(max(1, n // 10)), "--window", "8192"],
                     [("seed", None), (f"rate={rate}", None), ("subscribe", "paced-half")])

    def wide(self, column):
        """Four times as many operations out at a time: as many as there are phones."""
        n = self.size["side"]
        self.measure(column, ["--window", "1024", "--subs", str(n), "--resources", str(n // 10)],
                     [("seed", None), ("subscribe", "subscribe-wide"), ("refresh", "refresh-wide"), ("publish=2000", None),
                      (f"publish={self.size['publish']}", "publish-wide")])

    def disk_alone(self):
        program = os.path.join(self.args.build, "bench/disk")
        with tempfile.TemporaryDirectory(prefix="herald-bench-") as folder:
            self.disk = json.loads(subprocess.run([program, folder], check=True, capture_output=True, text=True).stdout)

    def publish(self, column, package, key):
        self.measure(column, ["--subs", "1", "--package", package],
                     [("publish=1000", None), (f"publish={self.size['publish']}", key)])

    def memory_of(self, column, n, each=10):
        """each: how many subscriptions a phone has."""
        with make_server(self.args.build, column) as s:
            lines = load(self.args.build, s.pid, column,
                         ["--subs", str(n), "--resources", str(n // 10), "--phones", str(n // each), "--limit", "150"],
                         ["seed", "memory", "subscribe", "memory"])
        self.take_memory(column, n, lines, each)

    def fill_of(self, seconds):
        """How many subscriptions a server with its store can be given in that time, up to what is wanted."""
        rate = self.at_best("commit", "subscribe", "per_second")
        n = min(self.size["restart"], int(rate * seconds))
        return max(n // 100000 * 100000, min(n, 100000))

    def at_best(self, column, key, figure):
        line = self.best.get(column, {}).get(key)
        if not line:
            raise Failed(f"no {key} of {column} to go by")
        return line[figure]

    def take_memory(self, column, n, lines, each=10):
        octets = [line["octets"] for line in lines if line["phase"] == "memory"]
        if len(octets) == 2 and all(line.get("done", True) for line in lines):
            self.memory[column, n, each] = (octets[1] - octets[0]) / n

    def restarts(self, n):
        """heraldd with its store, filled, stopped, killed, and asked again by the same phones."""
        with make_server(self.args.build, "commit") as s:
            command = load_command(self.args.build, s.pid, "commit",
                                   ["--subs", str(n), "--resources", str(n // 10), "--phones", str(n // 10), "--limit", "150"],
                                   ["seed", "memory", "subscribe", "memory", "pause", "refresh=20000"])
            phones = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                self.restart_all(s, n, phones)
            finally:
                phones.stdin.close()
                phones.wait()

    def restart_all(self, s, n, phones):
        lines = []
        for text in phones.stdout:
            lines.append(json.loads(text))
            if lines[-1]["phase"] == "pause":
                break
        if lines[-1]["phase"] != "pause":
            raise Failed("the phones gave up before the restart")
        self.take_memory("commit", n, lines[:-1])
        folder = os.path.join(s.folder, "run")
        into = self.restart
        into.update(subs=n, docs=n // 10)
        into["stop_s"] = s.stop(signal.SIGTERM)
        into["file"] = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
        for name, how, cold in (("warm", signal.SIGTERM, False), ("cold", signal.SIGKILL, True), ("killed", None, False)):
            if cold:
                forget_cached(folder)
            wall = s.start_whole()
            into[name] = (wall, s.cpu_s())
            if how is not None:
                time.sleep(2)
                s.stop(how)
        phones.stdin.write("\n")
        phones.stdin.flush()
        line = json.loads(phones.stdout.readline())
        into["asked"], into["answered"] = 20000, line["count"]
        if line["failed"] or line["missing"]:
            print(f"bench: after the restart: {json.dumps(line)}", file=sys.stderr)

    def parse_alone(self):
        program = os.path.join(self.args.build, "bench/parse")
        self.parse = json.loads(subprocess.run([program, "2000000"], check=True, capture_output=True, text=True).stdout)
        if not shutil.which("valgrind"):
            return
        counts = []
        for n in (1000, 2000):  # the difference leaves out what the program does once
            text = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, str(n)],
                                  check=True, capture_output=True, text=True).stderr
            counts.append(int(re.search(r"Collected : (\d+)", text)[1]))
        self.parse["instructions"] = (counts[1] - counts[0]) / 1000

    def connections_of(self, n):
        """What open connections cost, by transport: lines of bench/connections."""
        for transport in ("tcp", "tls", "ws", "wss"):
            run = subprocess.run([os.path.join(self.args.build, "bench/connections"), transport, str(n)], check=True,
                                 capture_output=True, text=True)
            self.connections += [json.loads(line) for line in run.stdout.splitlines()]

    # --- all ------------------------------------------------------------------------------------

    def herald_main(self):
        for n in self.size["one"]:
            self.step(f"memory, {n} of one resource", 15, self.one, "memory", n)
        for column in ("memory", "commit", "async"):
            self.step(f"{column}, spread load", 40, self.spread, column)
            self.step(f"{column}, 1,024 out", 10, self.wide, column)

    def herald_rest(self):
        size = self.size
        for column in ("commit", "async"):
            self.step(f"{column}, paced", 20, self.paced, column)
        for column in ("memory", "commit"):
            self.step(f"{column} at half load", 10, self.half_load, column)
        self.step("the disk alone", 5, self.disk_alone)
        self.step("commit, digest", 10, self.side, "commit", "-digest", options=["--digest"], digest=True)
        self.step("memory, two shards", 10, self.one, "memory", 10000, "notify-one-2", shards=2)
        self.step("memory, one next hop", 10, self.one, "memory", 10000, "notify-proxy", options=["--proxy"])
        self.step("memory, 2 % dead", 10, self.side, "memory", "-dead", phases=[("dead=2", None)])
        self.step("memory, stock receive buffer", 10, self.side, "memory", "-stock", stock=True)
        self.step("memory, stock receive buffer, one resource", 10, self.one, "memory", 10000, "notify-one-stock", stock=True)
        self.step("memory, message-summary", 10, self.publish, "memory", "message-summary", "publish-summary")
        self.step("memory, opaque", 10, self.publish, "memory", "x-bench", "publish-opaque")
        self.step("parse alone", 10, self.parse_alone)
        self.step(f"{size['connections']} connections", 60, self.connections_of, size["connections"])
        if size["memory"]:
            for column in ("memory", "commit"):
                self.step(f"{column}, memory of {size['memory']}", 15, self.memory_of, column, size["memory"])
            self.step(f"memory, {size['memory']} phones with one each", 15, self.memory_of, "memory", size["memory"], each=1)

    def kamailio(self):
        size = self.size
        self.step("kamailio, spread load", 50, self.spread, "kamailio")
        self.step("kamailio, 10000 of one resource", 25, self.one, "kamailio", 10000, most=30000)
        self.step("kamailio, message-summary", 10, self.publish, "kamailio", "message-summary", "publish-summary")

    def kamailio_rest(self):
        size = self.size
        if size["memory"]:
            self.step("kamailio, 1000 of one resource", 10, self.one, "kamailio", 1000, most=50000)
            self.step("kamailio, paced", 25, self.paced, "kamailio")
            self.step(f"kamailio, memory of {size['memory']}", 20, self.memory_of, "kamailio", size["memory"])
        if size["slow"] and has_kamailio(db=True):
            n = size["slow"]
            # Few at a time: it waits for the disk with each, and what is not answered in half a second is sent again.
            self.step("kamailio, write-through", 40, self.measure, "kamailio-db",
                      ["--subs", str(n), "--resources", str(n // 10), "--publishers", "50", "--window", "8", "--limit", "20"],
                      [("seed", None), ("subscribe", "subscribe"), ("refresh", "refresh"), ("publish=50", None),
                       (f"publish={n}", "publish")])
        if len(size["one"]) > 1:
            self.step("kamailio, 100000 of one resource", 130, self.one, "kamailio", 100000)

    def run(self):
        kamailio = has_kamailio() and "kamailio" in self.args.only.split(",")
        if not has_kamailio():
            print("bench: Kamailio is not here (packages kamailio, kamailio-presence-modules): without it", file=sys.stderr)
        for i in range(self.args.rounds):
            print(f"bench: round {i + 1} of {self.args.rounds}", file=sys.stderr)
            self.step("wire", 15, self.wire)
            self.herald_main()
            self.step("wire", 15, self.wire)
            if kamailio:
                self.kamailio()
            if i == 0:
                self.herald_rest()
                self.step("restart", 100, lambda: self.restarts(self.fill_of(100)))
                if kamailio:
                    self.kamailio_rest()
                if self.size["many"] and self.args.many_kamailio and kamailio:
                    self.step("kamailio, memory of 1000000", 150, self.memory_of, "kamailio", self.size["many"])
                self.step("wire", 15, self.wire)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true", help="fewer rows of fewer operations")
    parser.add_argument("--rounds", type=int, default=2, help="(2)")
    parser.add_argument("--minutes", type=float, default=14, help="what does not fit into them is left out (14)")
    parser.add_argument("--out", required=True, help="Markdown file")
    parser.add_argument("--plots", help="folder of the plots, beside --out; without: none")
    parser.add_argument("--only", default="kamailio", help="contestants beside heraldd")
    parser.add_argument("--many-kamailio", action="store_true", help="Kamailio's memory at a million as well")
    parser.add_argument("--command", default="bench/run.py " + " ".join(sys.argv[1:]))
    parser.add_argument("--note", default="", help="a sentence about this run")
    args = parser.parse_args()
    if port_taken():
        sys.exit("bench: UDP port 18060 is in use")
    bench = Bench(args, QUICK if args.quick else FULL)
    before = os.getloadavg()[0]
    bench.run()
    report.write(bench, before)


if __name__ == "__main__":
    main()
