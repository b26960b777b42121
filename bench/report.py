"""What bench/run.py found, as Markdown and plots, beside the budgets of the design."""
import datetime
import os
import platform
import subprocess

import plot
from contest import HERE, LIMIT_S, WINDOW

# What the budgets were set against: the bare loop of that machine, in microseconds.
WIRE_OF_BUDGETS = 4.6

# row, title, budget in us on that machine, column that has to keep it
ROWS = [
    ("notify-one-1000", "NOTIFY and its 200, 1,000 subscribers of one resource", 6, "memory"),
    ("notify-one-10000", "the same, 10,000 subscribers", 6, "memory"),
    ("notify-one-100000", "the same, 100,000 subscribers", 6, "memory"),
    ("notify-one-2", "10,000 of one resource, two shards on one core", 6.6, "memory"),
    ("notify-one-stock", "10,000 of one resource, stock receive buffer", 6, "memory"),
    ("notify-proxy", "10,000 of one resource, behind one next hop of 4 addresses", 2.5, "memory"),
    ("notify-spread", "NOTIFY, {subs} subscriptions on {resources} resources (a tenth of a PUBLISH included)", 6, "memory"),
    ("notify-spread-dead", "the same, {side} subscriptions, 2 % of the phones dead", 6, "memory"),
    ("notify-spread-stock", "the same, {side} subscriptions, stock receive buffer", 6, "memory"),
    ("subscribe", "SUBSCRIBE with its first NOTIFY", 16, "commit"),
    ("subscribe-digest", "the same with digest, {side}", 17, "commit"),
    ("subscribe-stock", "the same, stock receive buffer, {side}", 16, "memory"),
    ("refresh", "refresh with its NOTIFY", 14, "commit"),
    ("refresh-digest", "the same with digest, {side}", 15, "commit"),
    ("refresh-stock", "the same, stock receive buffer, {side}", 14, "memory"),
    ("publish", "PUBLISH modify, presence, nobody watches", 12, "commit"),
    ("publish-summary", "PUBLISH modify, message-summary", 12, "memory"),
    ("publish-opaque", "PUBLISH modify, opaque body of 560 octets", 12, "memory"),
    ("paced-subscribe", "SUBSCRIBE with its first NOTIFY, 1,000 a second", 120, "commit"),
    ("paced-refresh", "refresh with its NOTIFY, 1,000 a second", None, "commit"),
    ("paced-notify", "NOTIFY, 10,000 a second (a tenth of a PUBLISH included)", 8, "commit"),
]
COLUMNS = [("memory", "herald, memory"), ("async", "herald, async"), ("commit", "herald, commit"),
           ("kamailio", "Kamailio, memory"), ("kamailio-db", "Kamailio, write-through")]
# p50 and p99 in ms: column -> budget
LATENCY = {"async": (0.12, 0.4), "commit": (0.6, 3.0)}
PLOTTED = ["notify-one-10000", "notify-spread", "subscribe", "refresh", "publish"]


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
                break
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}"


def cell(line):
    if not line:
        return "-"
    if not line["count"]:
        return f"not done after {LIMIT_S} s"
    text = f"{line['cpu_us']:.1f} us"
    if line["label"] in ("memory", "async", "commit"):
        text += f" ({line['user_us']:.1f})"
    return text if line["done"] else text + f", not done after {LIMIT_S} s"


def verdict(value, budget):
    if value is None or budget is None:
        return ""
    return "kept" if value <= budget else f"**over by {100 * (value / budget - 1):.0f} %**"


class Report:
    def __init__(self, bench):
        self.b = bench
        self.wire = bench.best["wire"]["wire"]["cpu_us"]
        self.scale = self.wire / WIRE_OF_BUDGETS

    def at(self, column, key):
        return self.b.best.get(column, {}).get(key)

    def head(self, before):
        b = self.b
        now = datetime.datetime.now(datetime.timezone.utc)
        commit = command_output("git", "-C", HERE, "describe", "--always", "--dirty")
        lines = ["# Results of the benchmark", "",
                 f"{now:%Y-%m-%d %H:%M} UTC, `{b.args.command}`, commit {commit}, {machine()}. Load average {before:.1f} before and "
                 f"{os.getloadavg()[0]:.1f} after (the benchmark itself is 2)."]
        if b.args.note:
            lines += ["", b.args.note]
        lines += ["",
                  f"CPU time of the server's processes, all threads, user and system, per operation; in brackets what of it was "
                  f"in user mode. The least of {b.args.rounds} rounds for the main rows, in which the contestants take turns on "
                  f"one core while the load generator polls on the other. Phones are 1,024 source addresses (127.1.0.0/16), "
                  f"{WINDOW} operations are out at a time, documents are PIDF of about 560 octets (a NOTIFY of about 1.1 kB). "
                  "heraldd: `bench/herald.conf`, one shard, durability as the column says. Kamailio 5.6: "
                  "`bench/kamailio.cfg`, one process for requests, allocator fm; in memory `subs_db_mode` 0 and `publ_cache` 2, "
                  "write-through `subs_db_mode` 1 and `publ_cache` 1 on SQLite with a write-ahead log.", "",
                  f"Budgets are those of the design times {self.scale:.2f}: the bare socket loop, that sends 1.1 kB and receives "
                  f"0.3 kB and decides nothing, costs **{self.wire:.1f} us** here and {WIRE_OF_BUDGETS} us there. The column "
                  "that is compared with the budget is set in italics; \"wire\" is its ratio to the bare loop."]
        if b.skipped:
            lines += ["", "Left out for lack of time, or failed: " + "; ".join(sorted(set(b.skipped))) + "."]
        return lines

    def main_table(self):
        columns = [(c, title) for c, title in COLUMNS if c in self.b.best]
        lines = ["", "## CPU time per operation", "",
                 "| | " + " | ".join(t for _, t in columns) + " | budget here | | wire | Kamailio, memory / herald |",
                 "|---|" + "---:|" * len(columns) + "---:|---|---:|---:|"]
        for key, title, budget, judged in ROWS:
            found = {c: self.at(c, key) for c, _ in columns}
            if not any(found.values()):
                continue
            own, peer = found.get(judged), found.get("kamailio")
            value = own["cpu_us"] if own and own["count"] else None
            here = budget * self.scale if budget else None
            cells = [f"*{cell(found[c])}*" if c == judged and found[c] else cell(found[c]) for c, _ in columns]
            ratio = f"{peer['cpu_us'] / value:.1f}" if value and peer and peer["count"] else "-"
            text = f"{here:.1f} us" if here else "-"
            text += f" | {verdict(value, here)} | {value / self.wire:.1f} x" if value else " | |"
            lines.append(f"| {title.format(**self.b.size)} | " + " | ".join(cells) + f" | {text} | {ratio} |")
        return lines

    def latency_table(self):
        lines = ["", "## Time from request to NOTIFY", "",
                 "At 1,000 requests a second: PUBLISH until each of 10 subscribers has it (10,000 NOTIFY a second), SUBSCRIBE and "
                 "refresh until the answer and the NOTIFY are there; then SUBSCRIBE at half of the rate that was reached above. "
                 "The generator has a core of its own and looks every 0.2 ms; a request begins when it is due, however many are out. "
                 "Time in which the generator itself stood still (it slept for 0.2 ms and woke more than 2 ms later) is the machine's, "
                 "not the server's: it stands beside, and what is left of the p99 without it. One of two cores that polls would make "
                 "this machine stand for 4 to 7 ms in every 100 ms as soon as the disk is used.", "",
                 "| | row | a second | p50 | p99 | p99 without standstills | stood still | budget p50, p99 | |",
                 "|---|---|---:|---:|---:|---:|---:|---:|---|"]
        names = {"paced-notify": "PUBLISH to NOTIFY", "paced-subscribe": "SUBSCRIBE", "paced-refresh": "refresh",
                 "paced-half": "SUBSCRIBE at half load"}
        n = len(lines)
        for column, title in COLUMNS:
            for key, name in names.items():
                d = self.at(column, key)
                if not d:
                    continue
                half = (None, 5.0) if column == "commit" else None
                budget = LATENCY.get(column) if key == "paced-notify" else half if key == "paced-half" else None
                p50, p99, moving = (d[k] / 1000 for k in ("p50_us", "p99_us", "moving_p99_us"))
                stood = 100 * d["stood_ms"] / d["wall_ms"] if d["wall_ms"] else 0
                said = "" if not budget else ", ".join(f"{b} ms" for b in budget if b)
                kept = "" if not budget else verdict(max(p / b for p, b in zip((p50, moving), budget) if b), 1)
                lines.append(f"| {title} | {name} | {d['per_second']:.0f} | {p50:.2f} ms | {p99:.2f} ms | {moving:.2f} ms | {stood:.1f} % | {said} | "
                             f"{kept} |")
        d = self.b.disk
        if d:
            lines.append(f"| the disk alone | {d['octets'] // 1024} KiB written and synced | {d['per_second']:.0f} | "
                         f"{d['p50_us'] / 1000:.2f} ms | {d['p99_us'] / 1000:.2f} ms | | | | {100 * d['longer']:.1f} % above 5 ms |")
        return lines if len(lines) > n else []

    def store_table(self):
        lines = ["", "## What the commit before the answer costs", "",
                 "| | memory, a second | async, a second | commit, a second | commit / memory | while the machine ran | CPU, commit / memory |",
                 "|---|---:|---:|---:|---:|---:|---:|"]

        def running(d):
            return d["count"] / (d["wall_ms"] - d["stood_ms"])

        for key, title in (("subscribe", "SUBSCRIBE"), ("refresh", "refresh"), ("publish", "PUBLISH modify"),
                           ("subscribe-wide", "SUBSCRIBE, 1,024 out"), ("refresh-wide", "refresh, 1,024 out"),
                           ("publish-wide", "PUBLISH modify, 1,024 out")):
            row = [self.at(c, key) for c in ("memory", "async", "commit")]
            if row[0] and row[2]:
                rates = " | ".join(f"{d['per_second']:.0f}" if d else "-" for d in row)
                lines.append(f"| {title} | {rates} | {row[2]['per_second'] / row[0]['per_second']:.2f} | "
                             f"{running(row[2]) / running(row[0]):.2f} | {row[2]['cpu_us'] / row[0]['cpu_us']:.2f} |")
        return lines + ["", "The threads of the store share the one core with the shard. At least 0.70 is wanted. With 256 operations out at a "
                        "time the core waits for the disk as well; with 1,024, one for each phone, hardly. The generator polls here: \"while the "
                        "machine ran\" leaves out the time in which a turn of it, a fraction of a millisecond of work, took more than 2 ms."]

    def rest(self):
        b, lines = self.b, ["", "## The rest", "", "| | | budget here | |", "|---|---:|---:|---|"]
        if b.parse:
            here = 0.8 * self.scale * 1000
            count = f", {b.parse['instructions']:.0f} instructions" if "instructions" in b.parse else ""
            lines.append(f"| parse of a SUBSCRIBE of {b.parse['octets']} octets | {b.parse['ns']:.0f} ns{count} | {here:.0f} ns | "
                         f"{verdict(b.parse['ns'], here)} |")
        for (column, n, each), octets in sorted(b.memory.items(), key=lambda item: (item[0][1], -item[0][2], item[0][0])):
            budget = 480 if column in ("memory", "async", "commit") else None
            phones = f"{n // each:,} phones, " if each > 1 else "a phone for each, "
            lines.append(f"| memory per subscription, {n:,} on {n // 10:,} resources, each watcher distinct, {phones}documents apart: "
                         f"{dict(COLUMNS)[column]} | {octets:.0f} octets | {'480 octets' if budget else '-'} | "
                         f"{verdict(octets, budget)} |")
        r = b.restart
        for name, title, budget in (("warm", "after a clean stop, file in the page cache", 2.0),
                                    ("cold", "after a clean stop, file read from the disk", 4.0),
                                    ("killed", "after kill -9, file in the page cache", 2.0)):
            if name in r:
                wall, cpu = r[name]
                here = budget * self.scale * r["subs"] / 1000000
                lines.append(f"| start with {r['subs']:,} subscriptions and {r['docs']:,} documents until it answers, "
                             f"{title} | {wall:.2f} s, {cpu:.2f} s of CPU time | {here:.1f} s | {verdict(wall, here)} |")
        if r and r["subs"] < b.size["restart"]:
            lines.append(f"| (not with {b.size['restart']:,}: what else the machine did left no time to make them) | | | |")
        if "stop_s" in r:
            lines.append(f"| clean stop with them | {r['stop_s']:.2f} s | - | |")
            lines.append(f"| files of the store | {r['file'] / 1e6:.0f} MB | - | |")
        if "asked" in r:
            lines.append(f"| refreshes answered after the kill, of {r['asked']} | {r['answered']} | all | "
                         f"{'kept' if r['answered'] == r['asked'] else '**lost**'} |")
        return lines

    def details(self):
        lines = ["", "## Details", "", "Rates and what the generator itself cost, of the same rounds. Wall time depends on what "
                 "else runs.", "",
                 "| | row | per second | p50 | p99 | generator per operation | sent again | needless | failed or missing |",
                 "|---|---|---:|---:|---:|---:|---:|---:|---:|"]
        for column, rows in self.b.best.items():
            for key, d in rows.items():
                times = [f"{d[p] / 1000:.2f} ms" if d[p] else "-" for p in ("p50_us", "p99_us")]
                lines.append(f"| {column} | {key} | {d['per_second']:.0f} | {times[0]} | {times[1]} | {d['load_us']:.1f} us | "
                             f"{d['retransmitted'] + d['repeated']} | {d['needless']} | {d['failed'] + d['missing']} |")
        return lines

    def connections(self):
        if not self.b.connections:
            return []
        limits = {"tcp": 4, "ws": 4, "tls": 20, "wss": 20}
        lines = ["", "Connections that are open and idle (`bench/connections`), on one shard; memory is the process's, beside the kernel's.", "",
                 "| over | open | memory each | budget | CPU in a second without traffic | CPU per message, there and back |",
                 "|---|---:|---:|---:|---:|---:|"]
        for d in self.b.connections:
            lines.append(f"| {d['transport']} | {d['connections']:,} | {d['kib']:.2f} KiB | {limits[d['transport']]} KiB | "
                         f"{d['idle_us_per_s']:.0f} us | {d['message_us']:.1f} us |")
        return lines

    # --- plots ----------------------------------------------------------------------------------

    def value(self, column, key):
        d = self.at(column, key)
        return d["cpu_us"] if d and d["count"] else None

    def note(self, column, key):
        d = self.at(column, key)
        return ", not done" if d and not d["done"] else ""

    def bars_of(self, keys, columns, budget=True):
        rows = {key: row for key, *row in ROWS}
        groups = []
        for key in keys:
            title, limit, _ = rows[key]
            bars = [(series, self.value(c, key), self.note(c, key)) for c, series in columns]
            if budget and limit:
                bars.append(("budget", limit * self.scale, ""))
            groups.append((SHORT.get(key, title), bars))
        return groups

    def plots(self, folder):
        os.makedirs(folder, exist_ok=True)
        b, made = self.b, []
        all_columns = [("memory", "herald"), ("commit", "herald, commit"), ("kamailio", "Kamailio"),
                       ("kamailio-db", "Kamailio, write-through")]

        def draw(name, *args, **kwargs):
            if plot.bars(os.path.join(folder, name + ".svg"), *args, **kwargs):
                made.append((name, args[0]))

        draw("operations", "CPU time per operation", "microseconds", [("socket loop", [("wire", self.wire, "")])]
             + self.bars_of(PLOTTED, all_columns), log=True)
        draw("one-resource", "NOTIFY to the subscribers of one resource", "microseconds of CPU time for each",
             [("socket loop", [("wire", self.wire, "")])]
             + self.bars_of([f"notify-one-{n}" for n in (1000, 10000, 100000)], [all_columns[0], all_columns[2]]), log=True)
        groups = []
        for part in ("p50", "p99"):
            for i, (column, title) in enumerate(COLUMNS):
                d = self.at(column, "paced-notify")
                if d:
                    series = "Kamailio" if column == "kamailio" else "herald"
                    bars = [(series, d[part + "_us"] / 1000, "")]
                    if column in LATENCY:
                        bars.append(("budget", LATENCY[column][part == "p99"], ""))
                    groups.append((f"{part}, {title}", bars))
        draw("latency", "PUBLISH to NOTIFY at 10,000 NOTIFY a second", "milliseconds", groups)
        groups = []
        for (column, n, each), octets in sorted(b.memory.items(), key=lambda item: (item[0][1], -item[0][2], item[0][0])):
            series = "Kamailio" if column == "kamailio" else "herald"
            one = ", a phone each" if each == 1 else ""
            groups.append((f"{n:,}, {dict(COLUMNS)[column]}{one}", [(series, octets, "")]))
        if groups:
            groups.append(("at a million", [("budget", 480, "")]))
        draw("memory", "Memory per subscription", "octets", groups)
        return made


SHORT = {"notify-one-1000": "1,000 subscribers", "notify-one-10000": "NOTIFY, 10,000 subscribers",
         "notify-one-100000": "100,000 subscribers", "notify-spread": "NOTIFY, spread", "subscribe": "SUBSCRIBE and NOTIFY",
         "refresh": "refresh and NOTIFY", "publish": "PUBLISH modify"}


def write(bench, before):
    r = Report(bench)
    lines = r.head(before)
    if bench.args.plots:
        folder = os.path.relpath(bench.args.plots, os.path.dirname(os.path.abspath(bench.args.out)))
        lines += [""] + [f"![{title}]({folder}/{name}.svg)" for name, title in r.plots(bench.args.plots)]
    lines += r.main_table() + r.latency_table() + r.store_table() + r.connections() + r.rest() + r.details()
    with open(bench.args.out, "w") as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(lines))
