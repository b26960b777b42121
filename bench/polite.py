#!/usr/bin/env python3
"""Whether a politely blocked watcher can tell it by the time that herald takes: bench/polite.py BUILD

Counts the instructions of the core (callgrind, the laboratory of doc/scenarios.md) for a refresh, a fetch and their NOTIFYs: of a
watcher who is politely blocked from a resource whose state lives, and of one who may see an idle resource.  That both get the same
octets is test/rights_test.py's business."""
import os
import re
import subprocess
import sys
import tempfile

RUNNER = os.path.join(sys.argv[1], "test/scenario_runner")
FEW, MANY = 5, 25  # the difference of two runs leaves out what happens once
PIDF = ('<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.test"><tuple id="t"><status><basic>open</basic></status>'
        '</tuple></presence>')
PACKAGES = {"presence": ("application/pidf+xml", PIDF), "x-json": ("application/json", '{"reading":17}'), "x-state": ("text/plain", "busy")}
EVENTS = [*PACKAGES, "x-state.winfo"]  # the last: his own entry among the watchers
HEAD = """config
    domains = { "example.test" }
    listen "udp://192.0.2.1:5060" { authentication = none  trusted = { "192.0.2.0/24" } }
    package "presence" { authorisation = owner  pace = 0s }
    package "x-json" { types = { "application/json" }  authorisation = owner }
    package "x-state" { types = { "text/plain" }  authorisation = owner  own_entry = yes }
actor bob udp 192.0.2.20:5060
actor eve udp 192.0.2.66:5060
eve answers 200
"""


def scenario(event, polite, n):
    package = event.removesuffix(".winfo")
    kind, body = PACKAGES[package]
    text = HEAD
    if polite:
        text += f"bob > PUBLISH sip:bob@example.test\n    Event: {package}\n    Content-Type: {kind}\n    |{body}\nbob < 200\n"
    text += f"wait 6s\nrule {'polite-block' if polite else 'allow'} sip:eve@example.test sip:bob@example.test {package}\n"
    ask = f"eve > SUBSCRIBE sip:bob@example.test as %s\n    Event: {event}\n    Expires: %d\neve < 200\nwait 5s\n"
    refresh = "eve > SUBSCRIBE in w\n    Expires: 3600\neve < 200\nwait 5s\n"
    return text + ask % ("w", 3600) + f"repeat {n}\n" + refresh + ask % ("f", 0) + "end\n"


def instructions(event, polite, n):
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/one.play", "w", encoding="utf-8") as file:
            file.write(scenario(event, polite, n))
        core = [f"--toggle-collect=evt_shard_{part}" for part in ("receive", "turn", "drain")]
        run = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", *core, RUNNER, "-s", "1", folder + "/one.play"],
                             capture_output=True, text=True, check=False)
        if run.returncode:
            sys.exit(run.stdout + run.stderr)
        with open(folder + "/out", encoding="utf-8") as file:
            return int(re.search(r"^summary: (\d+)", file.read(), re.M).group(1))


print("| package | politely blocked | an idle resource | difference |\n|---|---:|---:|---:|")
for name in EVENTS:
    blocked, idle = ((instructions(name, polite, MANY) - instructions(name, polite, FEW)) / (MANY - FEW) for polite in (True, False))
    print(f"| {name} | {blocked:.0f} | {idle:.0f} | {(blocked - idle) / idle * 100:+.2f} % |")
