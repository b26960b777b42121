#!/usr/bin/env python3
"""What an operator does: figures for monitoring, the watchdog, a backup and a restore from it."""
import ctypes
import os
import re
import socket
import time

from broker import ROOT, Broker, check, equal, run_tests, until
from openmetrics import WRONG, Wrong, parse
from sip import PIDF, Agent, pidf


# --- figures -----------------------------------------------------------------------------------


def metrics(broker):
    return parse(broker.tool("status", "--metrics", "--socket", broker.socket_path))


def test_the_reader_of_openmetrics_refuses_what_is_wrong():
    for text in WRONG:
        try:
            parse(text)
        except Wrong:
            continue
        check(False, "was taken:", repr(text))
    good = parse('# TYPE a counter\n# UNIT a seconds\na_total{x="y"} 1\n# EOF\n'.replace(" a", " a_seconds").replace("\na_", "\na_seconds_"))
    equal(good["a_seconds"].value(x="y"), 1)


def test_the_figures_are_openmetrics_and_agree_with_what_was_done():
    with Broker(shards=2, users=("alice", "bob")) as broker:
        before = metrics(broker)
        for name in ("herald_requests", "herald_subscriptions", "herald_notifies", "herald_mailbox_depth", "herald_sent_bytes"):
            equal({dict(labels)["shard"] for _, labels in before[name].samples}, {"0", "1"}, name)
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob")
        watch = bob.subscribe(alice.aor)
        watch.notification()
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor))
        watch.notification()
        until(lambda: metrics(broker)["herald_notifies_answered"].value() >= 2, "both NOTIFYs are answered")
        after = metrics(broker)
        equal(after["herald_subscriptions"].value(), 1, "subscriptions")
        equal(after["herald_publications"].value(), 1, "publications")
        equal(after["herald_users"].value(), 2, "users")
        equal(after["herald_requests_by_method"].value(method="SUBSCRIBE"), 2, "SUBSCRIBE and the one with credentials")
        check(after["herald_answers"].value(code="200") >= 2, "answers", after["herald_answers"].samples)
        check(after["herald_answers"].value(code="401") >= 2, "challenges", after["herald_answers"].samples)
        check(after["herald_uptime_seconds"].value() >= before["herald_uptime_seconds"].value() > 0, "time goes on")
        for name, family in after.items():
            check(family.help and family.type, name, "has no HELP or no TYPE")
            check(name.startswith("herald_"), name)
            if family.type != "counter":
                continue
            for key, value in before[name].samples.items():
                check(family.samples.get(key, -1) >= value, "a counter went back:", key, value, family.samples.get(key))
        version = [dict(labels)["version"] for _, labels in after["herald_build"].samples]
        equal(version, [broker.admin("status")["version"]])


def test_every_counter_and_gauge_of_the_core_is_a_figure():
    with open(os.path.join(ROOT, "src/event/counters.h"), encoding="utf-8") as file:
        rows = re.findall(r"^    X\((\w+),", file.read(), re.M)
    check(len(rows) > 30, "rows of counters.h", len(rows))
    with Broker() as broker:
        have = metrics(broker)
        status = broker.admin("status")
        for row in rows:
            family = have.get("herald_" + row)
            check(family, row, "is not shown")
            equal(family.type, "counter" if row in status["counters"] else "gauge", row)


# --- the watchdog ------------------------------------------------------------------------------


class Manager:
    """The service manager's end: what the daemon tells it."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def told(self, for_s):
        self.socket.settimeout(0.05)
        lines, end = [], time.monotonic() + for_s
        while time.monotonic() < end:
            try:
                lines += self.socket.recv(4096).decode().split("\n")
            except TimeoutError:
                pass
        return lines

    def wait(self, line):
        lines = []

        def come():
            lines.extend(self.told(0.1))
            return line in lines

        until(come, line)


def shard_thread(pid):
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as file:
            if file.read().strip() == "shard-0":
                return int(thread)
    raise AssertionError("there is no thread of shard 0")


SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # <sys/ptrace.h>


def test_the_watchdog_is_told_as_long_as_every_shard_answers():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    broker = Broker(shards=2, start=False)
    manager = Manager(broker.folder.name)
    os.environ["NOTIFY_SOCKET"] = manager.path
    os.environ["WATCHDOG_USEC"] = "200000"
    try:
        broker.start()
    finally:
        del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
    with broker:
        manager.wait("READY=1")
        manager.wait("WATCHDOG=1")
        manager.wait("WATCHDOG=1")
        thread = shard_thread(broker.process.pid)
        if libc.ptrace(SEIZE, thread, None, None) != 0:
            print("a thread cannot be stopped here: a shard that hangs is not tried")
            return
        libc.ptrace(INTERRUPT, thread, None, None)
        until(lambda: state_of(thread) == "t", "the shard stands still")
        manager.told(0.3)  # one may be on its way
        equal(manager.told(1.0), [], "told while a shard hangs")
        until(lambda: os.waitpid(thread, os.WNOHANG | 0x40000000)[0] == thread, "the stop is seen")  # __WALL
        equal(libc.ptrace(DETACH, thread, None, None), 0, "detach")
        manager.wait("WATCHDOG=1")


def state_of(thread):
    with open(f"/proc/{thread}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_nobody_is_told_when_the_watchdog_is_another_process_s():
    broker = Broker(start=False)
    manager = Manager(broker.folder.name)
    os.environ.update({"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    try:
        broker.start()
    finally:
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            del os.environ[name]
    with broker:
        manager.wait("READY=1")
        equal(manager.told(0.5), [], "told")


if __name__ == "__main__":
    run_tests(globals())
