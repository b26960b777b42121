#!/usr/bin/env python3
"""What an operator does: figures for monitoring, the watchdog, a backup and a restore from it."""
import ctypes
import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import stat
import subprocess
import time

from broker import HERALD, ROOT, Broker, check, equal, run_tests, until
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
        alice, bob = Agent(broker, "alice", kind="tcp"), Agent(broker, "bob", kind="tcp")  # where nothing is repeated
        watch = bob.subscribe(alice.aor)
        watch.notification()
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor))
        watch.notification()
        until(lambda: metrics(broker)["herald_notifies_answered"].value() >= 2, "both NOTIFYs are answered")
        after = metrics(broker)
        equal(after["herald_subscriptions"].value(), 1, "subscriptions")
        equal(after["herald_publications"].value(), 1, "publications")
        equal(after["herald_package_subscriptions"].value(package="presence"), 1, "subscriptions by package")
        equal(after["herald_package_publications"].value(package="presence"), 1, "publications by package")
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
        version = [dict(labels)["version"] for _, labels in after["herald_build_info"].samples]
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
        until(lambda: not manager.told(1.0), "nothing is told while a shard hangs, but for what was on its way")
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


# --- backup ------------------------------------------------------------------------------------


def restore(broker, copy):
    """What doc/operating.md says: stop, put the copy where the state folder was, start."""
    broker.stop()
    shutil.rmtree(broker.run_dir)
    shutil.copytree(copy, broker.run_dir)
    broker.users = ()
    broker.start(attempts=1)


def test_a_daemon_that_starts_on_a_backup_goes_on_from_there():
    with Broker(shards=2, users=("alice", "bob", "carol")) as broker:
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob")
        broker.tool("policy", "block", "alice", "carol", "--socket", broker.socket_path)
        watch = bob.subscribe(alice.aor)
        watch.notification()
        etag = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="before")).get("SIP-ETag")
        check("before" in str(watch.notification().body), "the publication is shown")
        folder = os.path.join(broker.folder.name, "copy")
        out = broker.tool("backup", folder, "--socket", broker.socket_path)
        check(folder in out and "octets" in out, out)
        equal(sorted(os.listdir(folder)), ["audit.db", "herald.db", "live-0.log"], "files of the copy")
        for path, mode in ((folder, 0o700), (folder + "/herald.db", 0o600), (folder + "/audit.db", 0o600), (folder + "/live-0.log", 0o600)):
            equal(stat.S_IMODE(os.stat(path).st_mode), mode, path)
        # What comes after it is not in it.
        later = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, tuple_id="t2")).get("SIP-ETag")
        watch.notification()
        broker.admin("user-remove", name="carol")
        restore(broker, folder)
        equal([(s["watcher"], s["state"]) for s in broker.subs()], [("sip:bob@127.0.0.1", "active")], "subscriptions")
        equal([p["etag"] for p in broker.pubs()], [etag], "publications")
        equal(sorted(u["name"] for u in broker.admin("user-list")["users"]), ["alice", "bob", "carol"], "users")
        equal(len(broker.admin("policy-list")["rules"]), 1, "rules")
        check("sip:bob@127.0.0.1" in str(broker.admin("audit", resource="alice")["audit"]), "who watched whom")
        check(metrics(broker)["herald_store_live_records"].value() >= 2, "what was restored is counted")
        status = broker.tool("status", "--socket", broker.socket_path)
        check(re.search(r"store +commit\n +\d+ records, a commit takes \d+ us\n", status), status)
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="after"), etag=later, expect=412)
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="after"), etag=etag)
        until(lambda: "after" in str(watch.notification().body), "the subscriber of before is told")


def test_a_backup_is_made_while_the_broker_works():
    with Broker(shards=2, users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        etag, copies = None, []
        for i in range(12):
            etag = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note=f"note {i}"), etag=etag).get("SIP-ETag")
            if i % 4 == 0:
                copies.append((f"{broker.folder.name}/copy-{i}", broker.tool_start(
                    "backup", f"{broker.folder.name}/copy-{i}", "--socket", broker.socket_path)))
        made = []
        for folder, copy in copies:
            copy.end(None, expect=None)
            if copy.process.returncode == 0:
                made.append(folder)
                continue
            check("another backup is being made" in copy.err(), copy.err())
            check(not os.path.exists(folder), folder, "was left")
        restore(broker, made[-1])
        equal(len(broker.pubs()), 1, "publications")


def test_a_daemon_that_ends_gives_a_backup_up_or_finishes_it():
    with Broker(users=("alice",)) as broker:
        for i in range(6):
            folder = f"{broker.folder.name}/copy-{i}"
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.connect(broker.socket_path)
                s.sendall(json.dumps({"id": 1, "call": "backup", "folder": folder}).encode() + b"\n")
                until(lambda f=folder: os.path.exists(f), "it has begun")
                broker.stop()
                whole = b"result" in s.recv(65536)
            have = sorted(os.listdir(folder)) if os.path.exists(folder) else []
            equal(have, ["audit.db", "herald.db", "live-0.log"] if whole else [], "files")
            broker.users = ()
            broker.start(attempts=1)


def test_a_backup_that_cannot_be_leaves_nothing():
    with Broker(users=("alice",)) as broker:
        top = broker.folder.name
        os.mkdir(top + "/full")
        with open(top + "/full/precious", "w", encoding="utf-8") as file:
            file.write("mine")
        with open(top + "/file", "w", encoding="utf-8") as file:
            file.write("mine")
        os.symlink("full", top + "/link")
        before = sorted(os.listdir(top))
        for folder, words in ((top + "/full", "there is something in it"), (top + "/file", "file"), (top + "/link", "link"),
                              (top + "/missing/copy", "No such file"), (broker.run_dir, "there is something in it"),
                              ("copy", "from the root"), ("", "from the root"), (top + "/nul\0", "NUL")):
            answer = broker.call("backup", folder=folder)
            check(words in answer.get("error", ""), folder, answer)
        equal(sorted(os.listdir(top)), before, "files")
        equal(os.listdir(top + "/full"), ["precious"], "the folder that was full")
        check("folder is missing" in broker.call("backup")["error"], "a call without folder")
        os.mkdir(top + "/empty")
        broker.admin("backup", folder=top + "/empty")
        equal(sorted(os.listdir(top + "/empty")), ["audit.db", "herald.db", "live-0.log"], "an empty folder is taken")


def test_a_backup_that_fails_names_the_file_that_could_not_be_copied():
    with Broker(users=("alice",)) as broker:
        trail = sqlite3.connect(broker.run_dir + "/audit.db")
        trail.execute("CREATE TABLE pad AS SELECT zeroblob(4000000)")
        trail.commit()
        trail.close()
        folder = broker.folder.name + "/copy"
        for most, file in ((2000000, "audit.db"), (0, "live-0.log")):
            resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
            error = broker.call("backup", folder=folder).get("error", "")
            check(f"{folder}/{file}: it could not be copied" in error, error)
            check(not os.path.exists(folder), folder, "was left")
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        broker.admin("backup", folder=folder)


def test_a_path_is_the_tool_s_and_a_store_in_memory_is_told():
    with Broker(users=("alice",), conf="store {{ durability = memory }}\n") as broker:
        run = subprocess.run([HERALD, "backup", "copy", "--socket", broker.socket_path], cwd=broker.folder.name, check=False,
                             capture_output=True, text=True, timeout=60)
        equal(run.returncode, 0, run.stderr)
        check("memory" in run.stdout, run.stdout)
        check(re.search(r"store +memory\n", broker.tool("status", "--socket", broker.socket_path)), "status")
        equal(os.listdir(broker.folder.name + "/copy"), ["herald.db"], "files")


if __name__ == "__main__":
    run_tests(globals())
