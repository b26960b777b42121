#!/usr/bin/env python3
"""How the daemon starts, is changed and ends: configuration, signals, state folder, admin socket."""
import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import time

from broker import COMPLAINT, HERALDD, PATIENCE_S, Broker, Failed, check, equal, run_tests, until
from sip import PIDF, Agent, pidf

BAD_FILES = [  # text, the line that must be named, words that must be said
    ("shards = 0\n", 1, "auto or a number"),
    ("\n\nsharts = 2\n", 3, "sharts"),
    ('listen "udp://127.0.0.1:5060" {\n', 1, "not closed"),
    ('listen "sctp://127.0.0.1:5061" { }\n', 1, "udp://"),
    ('listen "udp://localhost:5060" { }\n', 1, "names are not looked up"),
    ('listen "udp://127.0.0.1:99999" { }\n', 1, "port"),
    ('\nlisten "udp://127.0.0.1" { authentication = maybe }\n', 2, "digest"),
    ('\nlisten "udp://127.0.0.1" { trusted = { "10.0.0.0/33" } }\n', 2, "10.0.0.0/33"),
    ("limits {\n max_body = 5 parsecs\n}\n", 2, "parsecs"),
    ("limits {\n max_body = 64parsecs\n}\n", 2, "size"),
    ("registrar {\n min_expires = tomorrow\n}\n", 2, "duration"),
    ("store { durability = sometimes }\n", 1, "memory"),
    ('package "x-a" { }\n', 1, "types"),
    ('package "presence" { authorisation = everybody }\n', 1, "allow"),
    ('package "x-a" { types = "a/b" }\npackage "x-a" { types = "a/b" }\n', 2, "line 1"),
    ('log { level = loud }\n', 1, "debug"),
    ('domains = { "UPPER.test" }\n', 1, "UPPER"),
    ('authentication { algorithms = { "MD4" } }\n', 1, "MD5"),
]


def daemon(*arguments):
    return subprocess.run([HERALDD, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                          stdin=subprocess.DEVNULL)


def test_each_mistake_in_a_configuration_is_named_and_nothing_starts():
    broker = Broker(start=False)
    path, problems = broker.conf_path, []
    for text, line, words in BAD_FILES:
        broker.write(text)
        for way in (["--check", "-c", path], ["-c", path, "--run-dir", broker.run_dir]):
            run = daemon(*way)
            said = run.stderr
            check(not COMPLAINT.search(said), said)
            if run.returncode != 1 or not re.search(rf"{re.escape(path)}:{line}: .*", said) or words not in said:
                problems.append(f"{text!r} with {way[0]}: {run.returncode}, {said!r}")
        check(not os.path.exists(broker.run_dir), "a state folder was made for a configuration that is wrong")
    broker.folder.cleanup()
    check(not problems, "\n  ".join(problems))


def test_every_mistake_of_a_file_is_told_at_once():
    broker = Broker(start=False)
    broker.write("shards = 0\nlimits {\n max_body = 1\n retry_after = never\n}\n")
    said = daemon("--check", "-c", broker.conf_path).stderr
    for line in (1, 3, 4):
        check(f"{broker.conf_path}:{line}: " in said, f"line {line} is not in", said)
    broker.folder.cleanup()


def test_a_good_configuration_is_said_to_be_one():
    broker = Broker(start=False, lab=True)
    broker.port, broker.lab = 16000, 16001
    broker.write(broker.text())
    run = daemon("--check", "-c", broker.conf_path)
    equal((run.returncode, run.stdout.strip()), (0, "OK"), run.stderr)
    run = daemon("--check")
    equal(run.returncode, 0, "the defaults")
    broker.folder.cleanup()


def test_a_file_that_is_not_there_and_a_wrong_option_are_told():
    run = daemon("-c", "/nonexistent/herald.conf")
    equal(run.returncode, 1)
    check("/nonexistent/herald.conf" in run.stderr, run.stderr)
    equal(daemon("--frobnicate").returncode, 2)
    equal(daemon("stray").returncode, 2)
    equal(daemon("--log-level", "loud").returncode, 2)


def test_an_address_that_is_taken_is_named():
    with Broker() as broker:
        other = Broker(start=False)
        other.port = broker.port
        other.write(other.text())
        run = daemon("-c", other.conf_path, "--run-dir", other.run_dir)
        equal(run.returncode, 1, run.stderr)
        check(f"127.0.0.1:{broker.port}" in run.stderr and "in use" in run.stderr, run.stderr)
        check(not COMPLAINT.search(run.stderr), run.stderr)
        other.folder.cleanup()


def test_a_good_configuration_is_taken_at_sighup():
    with Broker(users=("alice", "bob"), allow=False) as broker:
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob")
        bob.subscribe(alice.aor, expect=403)
        own = alice.subscribe(alice.aor)
        own.notification()
        version = broker.admin("status")["config_version"]
        broker.write(broker.text() + 'package "presence" { authorisation = allow  min_expires = 30  pace = 0s }\n'
                                     'package "x-new" { types = "text/plain"  authorisation = allow }\n')
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: broker.admin("status")["config_version"] > version, "the next version is in use")
        bob.subscribe(alice.aor, expires=30).notification()
        bob.subscribe(alice.aor, package="x-new").notification()
        equal(len(broker.subs(resource="alice")), 3, "what was there lives on")
        check("configuration read again" in broker.err(), broker.err())


def test_a_bad_configuration_is_refused_at_sighup_and_the_old_one_stays():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        good, version = broker.text(), broker.admin("status")["config_version"]
        for text, words in (("nonsense = 1\n", "nonsense"), (good + "limits {\n", "not closed"),
                            (good.replace(str(broker.port), "1"), "listen"), (good.replace("shards = 1", "shards = 2"), "shards")):
            broker.write(text)
            before = len(broker.err())
            broker.process.send_signal(signal.SIGHUP)
            until(lambda b=before: "the old one stays" in broker.err()[b:], "a line in the log")
            check(words in broker.err()[before:], broker.err()[before:], "does not name", words)
            equal(broker.admin("status")["config_version"], version, "version")
            alice.subscribe(alice.aor).notification()
        check("error" in broker.call("reload"), "the admin socket says so as well")
        broker.write(good)
        check(broker.admin("reload")["version"] > version, "and takes a good one")


MEMORY = "store {{ durability = memory }}\n"


def test_sigterm_tells_the_subscribers_of_a_store_in_memory_and_ends():
    with Broker(shards=2, users=("alice", "bob"), conf=MEMORY) as broker:
        agents = [Agent(broker, "alice"), Agent(broker, "bob"), Agent(broker, "bob", kind="tcp")]
        watches = [a.subscribe("sip:alice@127.0.0.1") for a in agents]
        for watch in watches:
            watch.notification()
        broker.process.send_signal(signal.SIGTERM)
        for watch in watches:
            state, params = watch.notification().substate()
            equal((state, params.get("reason")), ("terminated", "probation"), params)
            check(int(params["retry-after"]) > 0, params)
        equal(broker.process.wait(PATIENCE_S), 0, "status")
        check("drained" in broker.err() and "ended" in broker.err(), broker.err())
        broker.stop()


def test_while_it_drains_new_requests_are_told_to_come_later():
    with Broker(users=("alice",), conf=MEMORY) as broker:
        silent, alice = Agent(broker, "alice"), Agent(broker, "alice")
        silent.subscribe(silent.aor).notification()
        silent.answer = lambda message: None  # keeps the drain waiting
        alice.ask("OPTIONS", "sip:127.0.0.1")
        alice.subscribe(alice.aor, expires=0).notification()
        broker.process.send_signal(signal.SIGTERM)
        until(lambda: "draining" in broker.err(), "it drains")
        response = alice.subscribe(alice.aor, expect=503).response
        check(int(response.get("retry-after", "0").split()[0]) > 0, response)
        broker.stop(hurry=True)


def test_a_second_daemon_on_the_same_state_is_refused():
    with Broker(users=("alice",)) as broker:
        other = Broker(start=False)
        other.port = 16999 if broker.port != 16999 else 16998
        other.write(other.text())
        run = daemon("-c", other.conf_path, "--run-dir", broker.run_dir)
        equal(run.returncode, 1, run.stderr)
        check("another" in run.stderr or "in use" in run.stderr, run.stderr)
        alice = Agent(broker, "alice")
        alice.subscribe(alice.aor).notification()
        other.folder.cleanup()


def test_users_and_rules_are_there_after_a_crash():
    with Broker(users=("alice", "bob"), allow=False) as broker:
        broker.admin("policy-allow", resource="alice", watcher="bob")
        os.kill(broker.process.pid, signal.SIGKILL)
        broker.process.wait()
        broker.process = None
        broker.users = ()
        broker.start()  # the socket file of the dead daemon is in the way, and is replaced
        equal(sorted(u["name"] for u in broker.admin("user-list")["users"]), ["alice", "bob"], "users")
        Agent(broker, "bob").subscribe("sip:alice@127.0.0.1").notification()


def test_who_watched_whom_is_in_the_audit_trail_after_a_restart():
    with Broker(shards=2, users=("alice", "bob", "carol"), allow=False) as broker:
        broker.admin("policy-allow", resource="alice", watcher="bob")
        rule = broker.admin("policy-list", resource="alice")["rules"][0]["id"]
        watch = Agent(broker, "bob").subscribe("sip:alice@127.0.0.1")
        watch.notification()
        Agent(broker, "carol").subscribe("sip:alice@127.0.0.1", expect=403)
        row = broker.admin("watchers", resource="alice")["watchers"][0]
        equal((row["watcher"], row["package"], row["status"]), ("sip:bob@127.0.0.1", "presence", "active"), "watchers")
        check("sip:bob@127.0.0.1" in broker.tool("watchers", "alice", "--socket", broker.socket_path), "the tool shows it")
        broker.admin("policy-block", resource="alice", watcher="bob")
        watch.notification()
        until(lambda: len(broker.admin("audit", resource="alice")["audit"]) == 2, "both lines are kept")
        broker.stop(hurry=True)
        broker.users = ()
        broker.start()
        lines = broker.admin("audit", resource="alice", since_s=3600)["audit"]
        equal(broker.admin("audit", resource="alice", since_s=2**62)["audit"], lines, "an age beyond all clocks")
        equal([(line["what"], line["watcher"], line["package"], line["proof"]) for line in lines],
              [("ended", "sip:bob@127.0.0.1", "presence", "digest"), ("began", "sip:bob@127.0.0.1", "presence", "digest")],
              "newest first; who was refused watched nothing")
        equal(lines[1]["rule"], rule, "the rule that decided")
        check(lines[1]["address"].startswith("127.0.0.1:"), lines[1])
        equal(broker.admin("audit", resource="bob")["audit"], [], "of another resource")
        shown = broker.tool("audit", "alice", "--since", "1h", "--socket", broker.socket_path)
        check("began" in shown and "sip:bob@127.0.0.1" in shown, shown)
        equal(oct(stat.S_IMODE(os.stat(os.path.join(broker.run_dir, "audit.db")).st_mode)), oct(0o600), "audit.db")


def test_a_watcher_sees_himself_among_the_watchers_while_the_package_says_so():
    package = 'package "presence" {{ authorisation = owner  own_entry = %s  pace = 0s }}\n'
    with Broker(shards=2, users=("alice", "bob", "carol"), allow=False, conf=package % "yes") as broker:
        broker.admin("policy-allow", resource="alice", watcher="bob", package="presence")
        broker.admin("policy-polite", resource="alice", watcher="carol")
        own = {}
        for name in ("bob", "carol"):
            agent = Agent(broker, name)
            agent.subscribe("sip:alice@127.0.0.1").notification()
            own[name] = agent.subscribe("sip:alice@127.0.0.1", package="presence.winfo")
            body = own[name].notification().body.decode()
            equal(re.findall(r'status="(\w+)" event="(\w+)"[^>]*>([^<]*)</watcher>', body), [("active", "subscribe", f"sip:{name}@127.0.0.1")], body)
            agent.subscribe("sip:alice@127.0.0.1", package="presence.winfo.winfo", expect=403)
        until(lambda: [line["sees"] for line in broker.admin("audit", resource="alice")["audit"]].count("own") == 2, "the audit trail says so")
        check("sees his own entry" in broker.tool("trace", "alice", "--socket", broker.socket_path), "and so does a trace")
        broker.tool("policy", "block", "alice", "bob", "-p", "presence", "--shadow", "--socket", broker.socket_path)
        for command in (("policy", "test"), ("explain",)):
            said = broker.tool(*command, "bob", "alice", "-p", "presence.winfo", "--socket", broker.socket_path)
            for line in (r"answer +own-entry", r"because +his own entry, as he may watch", r"by rule +1: allow sip:bob@\S+ at sip:alice@\S+ in presence\n",
                         r"in shadow +block", r"by rule +3: block sip:bob@\S+ at sip:alice@\S+ in presence\n"):
                check(re.search(line, said), line, said)
        for watcher, told in (("bob", ["presence.winfo"]), ("dave", []), ("alice", [])):
            answers = broker.admin("policy-test", resource="alice", watcher=watcher)["answers"]
            equal([answer["package"] for answer in answers if ".winfo" in answer["package"]], told, f"where it is not for the owner alone: {watcher}")
        [rule] = [rule for rule in broker.admin("policy-list", resource="alice")["rules"] if rule.get("shadow")]
        equal(rule["hits"], 0, "what is there already is not counted")
        agent.subscribe("sip:alice@127.0.0.1", package="presence.winfo", expires=0).notification()
        [rule] = [rule for rule in broker.admin("policy-list", resource="alice")["rules"] if rule.get("shadow")]
        equal(rule["hits"], 0, "it is not about her")
        Agent(broker, "bob").subscribe("sip:alice@127.0.0.1", package="presence.winfo", expires=0).notification()
        [rule] = [rule for rule in broker.admin("policy-list", resource="alice")["rules"] if rule.get("shadow")]
        equal(rule["hits"], 1, "whom it would have refused")
        with open(broker.conf_path, encoding="utf-8") as file:
            conf = file.read()
        with open(broker.conf_path, "w", encoding="utf-8") as file:
            file.write(conf.replace("own_entry = yes", "own_entry = no"))
        broker.process.send_signal(signal.SIGHUP)
        for name in ("bob", "carol"):
            equal(own[name].notification().get("subscription-state"), "terminated;reason=rejected", name)
            own[name].agent.subscribe("sip:alice@127.0.0.1", package="presence.winfo", expect=403)


def test_the_admin_socket_answers_while_the_audit_trail_is_read():
    with Broker(users=("alice", "bob"), allow=True) as broker:
        Agent(broker, "bob").subscribe("sip:alice@127.0.0.1").notification()
        until(lambda: broker.admin("audit", resource="alice")["audit"], "the line is kept")
        trail = os.path.join(broker.run_dir, "audit.db")
        files = [trail + end for end in ("", "-wal", "-shm")]
        for path in files:
            os.rename(path, path + ".aside")
        os.mkfifo(trail)  # whoever opens it to read waits until somebody opens it to write
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE_S)
            s.connect(broker.socket_path)
            lines = s.makefile("r")
            for i in range(9):
                s.sendall(json.dumps({"id": i, "call": "audit"}).encode() + b"\n")
            refused = json.loads(lines.readline())
            check(refused["id"] == 8 and "8 readings" in refused["error"], "one runs, seven wait, and no more:", refused)
            check("result" in broker.call("status"), "another call is answered meanwhile")
            writer = os.open(trail, os.O_RDWR)
            answers = [json.loads(lines.readline()) for _ in range(8)]
            os.close(writer)
        equal([(a["id"], a.get("error")) for a in answers], [(i, "the audit trail cannot be read") for i in range(8)], "in line")
        for path in files:
            os.rename(path + ".aside", path)
        equal(len(broker.admin("audit", resource="alice")["audit"]), 1, "it is read again")


def thread_times(broker):
    """Nanoseconds on a processor, of the main thread and of the others together."""
    times = {}
    for thread in os.listdir(f"/proc/{broker.process.pid}/task"):
        with open(f"/proc/{broker.process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
            times[int(thread)] = int(file.read().split()[0])
    main = times.pop(broker.process.pid)
    return main, sum(times.values())


def test_a_long_audit_trail_is_written_by_another_thread_than_the_one_that_answers():
    """The share of the work that is the main thread's, which answers everybody else: it writes octets."""
    lines_n = 20000
    with Broker(users=("alice", "bob"), allow=True) as broker:
        Agent(broker, "bob").subscribe("sip:alice@127.0.0.1").notification()
        until(lambda: broker.admin("audit")["audit"], "the line is kept")
        [began] = broker.admin("audit")["audit"]
        broker.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(broker.run_dir, "audit.db"))) as file:
            columns = ", ".join(row[1] for row in file.execute("PRAGMA table_info(audit)"))
            [row] = file.execute(f"SELECT {columns} FROM audit").fetchall()
            file.executemany(f"INSERT INTO audit ({columns}) VALUES ({', '.join('?' * len(row))})", ((i, *row[1:]) for i in range(2, lines_n + 1)))
            file.commit()
        broker.start()
        for limit, more in ((lines_n, False), (lines_n - 1, True)):
            before = thread_times(broker)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(PATIENCE_S)
                s.connect(broker.socket_path)
                answers = s.makefile("r")
                s.sendall(json.dumps({"id": "many", "call": "audit", "limit": limit}).encode() + b'\n{"id": "now", "call": "status"}\n')
                equal(json.loads(answers.readline())["id"], "now", "meanwhile another call is answered")
                many = json.loads(answers.readline())
            main, others = (after - then for after, then in zip(thread_times(broker), before))
            equal((many["id"], len(many["result"]["audit"]), many["result"]["truncated"]), ("many", limit, more), "all that were asked for")
            equal({**many["result"]["audit"][-1], "id": 0}, {**began, "id": 0}, "each as it is alone")
            check(main * 3 < others, "the main thread", main, "and the others", others)


def test_who_waits_for_the_audit_trail_is_told_that_the_daemon_ends():
    with Broker() as broker:
        broker.stop()
        with contextlib.closing(sqlite3.connect(os.path.join(broker.run_dir, "audit.db"), isolation_level=None)) as file:
            file.execute("PRAGMA synchronous = OFF")
            file.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000)"
                         " INSERT INTO audit SELECT i, 1, 1, x'00' FROM n")  # to look through it takes a while
        broker.start()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE_S)
            s.connect(broker.socket_path)
            lines = s.makefile("r")
            s.sendall(b"".join(json.dumps({"id": i, "call": "audit"}).encode() + b"\n" for i in range(9)))
            equal(json.loads(lines.readline())["id"], 8, "eight run or wait")
            broker.stop()
            answers = [json.loads(line) for line in lines]
        equal([answer["id"] for answer in answers], list(range(8)), "each is answered")
        equal(answers[-1].get("error"), "the daemon is about to end")


def test_the_state_folder_and_the_socket_are_for_their_owner_alone():
    with Broker(users=("alice",)) as broker:
        for path, mode in ((broker.run_dir, 0o700), (broker.socket_path, 0o600),
                           (os.path.join(broker.run_dir, "herald.db"), 0o600)):
            equal(oct(stat.S_IMODE(os.stat(path).st_mode)), oct(mode), path)
        with open(os.path.join(broker.run_dir, "herald.db"), "rb") as file:
            check(b"secret-alice" not in file.read(), "a password is in the state file")


def test_a_damaged_state_file_is_named_and_left_as_it_is():
    with Broker(users=("alice",)) as broker:
        broker.stop()
        path = os.path.join(broker.run_dir, "herald.db")
        with open(path, "rb") as file:
            whole = file.read()
        for damaged in (whole[:len(whole) // 2], b"", b"x" * 100):
            with open(path, "wb") as file:
                file.write(damaged)
            run = daemon("-c", broker.conf_path, "--run-dir", broker.run_dir)
            equal(run.returncode, 1, run.stderr)
            check("herald.db" in run.stderr, run.stderr)
            with open(path, "rb") as file:
                equal(file.read(), damaged, "the file")
        with open(path, "wb") as file:
            file.write(whole)
        broker.users = ()
        broker.start()


def test_the_admin_socket_answers_every_call():
    stock = 'package "x-stock" {{ types = {{ "application/json" }}  repeat = 2500ms  sum = {{ "/stock" }}  max = {{ "/price" }} }}\n'
    with Broker(shards=2, users=("alice",), conf=stock) as broker:
        alice = Agent(broker, "alice")
        alice.subscribe(alice.aor).notification()
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor))
        made = broker.admin("user-add", name="carol")
        check(len(made["password"]) >= 12, made)
        check(broker.admin("user-add", name="carol", password="x")["replaced"])
        equal(sorted(u["name"] for u in broker.admin("user-list")["users"]), ["alice", "carol"])
        broker.admin("policy-allow", resource="alice", watcher="carol", package="presence")
        broker.admin("policy-block", resource="alice", watcher="*")
        equal(sorted((r["watcher"], r["action"]) for r in broker.admin("policy-list", resource="alice")["rules"]),
              [("*", "block"), ("sip:carol@127.0.0.1", "allow")], "rules")
        broker.admin("policy-remove", resource="alice", watcher="*")
        equal(len(broker.admin("policy-list")["rules"]), 1)
        broker.admin("user-remove", name="carol")
        packages = {p["name"]: p for p in broker.admin("package-list")["packages"]}
        check(packages.keys() >= {"presence", "message-summary"})
        equal((packages["x-stock"]["repeat_ms"], packages["x-stock"]["rules"]), (2500, ["sum /stock", "max /price"]), "x-stock")
        check("sum /stock" in broker.tool("package", "list", "--socket", broker.socket_path), "rules for people")
        row = broker.subs(resource="alice")[0]
        equal((row["resource"], row["package"], row["watcher"], row["state"]),
              (alice.aor, "presence", alice.aor, "active"), "subs")
        row = broker.pubs()[0]
        equal((row["resource"], row["type"], row["publisher"]), (alice.aor, PIDF, alice.aor), "pubs")
        equal(broker.admin("bindings"), {"bindings": [], "truncated": False})
        status = broker.admin("status")
        equal((status["pid"], status["shards"], len(status["per_shard"])), (broker.process.pid, 2, 2), "status")
        equal(status["gauges"]["subscriptions"], 1, "gauges")
        for name in status["counters"]:
            check(status["words"].get(name) or status["words"].get("counters", {}).get(name), name, "has no words")
        equal(broker.admin("log-level", level="debug")["level"], "debug")


def test_the_admin_socket_refuses_what_it_does_not_understand():
    with Broker(users=("alice",)) as broker:
        for call, arguments in (("frobnicate", {}), ("user-add", {}), ("user-add", {"name": 5}), ("user-add", {"name": ""}),
                                ("user-add", {"name": "a\nb"}), ("user-remove", {"name": "nobody"}), ("subs", {"limit": -1}),
                                ("subs", {"resource": "http://x"}), ("subs", {"x": 1}), ("policy-allow", {"resource": "alice"}),
                                ("policy-allow", {"resource": "sip:a@elsewhere.test", "watcher": "bob"}),
                                ("log-level", {"level": "loud"})):
            answer = broker.call(call, **arguments)
            check(answer.get("error"), call, arguments, answer)
            check("\n" not in answer["error"], answer)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE_S)
            s.connect(broker.socket_path)
            s.sendall(b'nonsense\n[]\n{"id":7}\n{"id":8,"call":"status"}\n')
            lines = b""
            while lines.count(b"\n") < 4:
                lines += s.recv(65536)
            answers = [json.loads(line) for line in lines.splitlines()]
            equal([(a["id"], "error" in a) for a in answers], [(None, True), (None, True), (7, True), (8, False)], "answers")
            try:
                for _ in range(65):
                    s.sendall(b"x" * (1 << 20))
                said = s.recv(1)
            except OSError:
                said = b""
            equal(said, b"", "a line without end closes the connection")
        equal(Agent(broker, "alice").ask("OPTIONS", "sip:127.0.0.1").status, 200)


def test_many_changes_of_rules_while_phones_subscribe():
    with Broker(shards=2, users=("alice", "bob"), allow=False) as broker:
        alice = "sip:alice@127.0.0.1"
        for i in range(20):
            broker.admin("policy-allow", resource="alice", watcher="bob")
            bob = Agent(broker, "bob", kind="udp" if i % 2 else "tcp")
            watch = bob.subscribe(alice)  # a policy command returns when every shard has the new version
            watch.notification()
            broker.admin("policy-block", resource="alice", watcher="bob")
            equal(watch.notification().substate()[1].get("reason"), "rejected", f"round {i}")
            bob.subscribe(alice, expect=403)
            bob.close()


def addresses():
    """Of loopback, those that no interface has by name among them, and of this machine on its network when it is on one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return {"127.0.0.1", "127.0.0.77", s.getsockname()[0]}
        except OSError:
            return {"127.0.0.1", "127.0.0.77"}


def test_a_listener_of_every_address_answers_on_each():
    conf = 'listen "udp://0.0.0.0:{lab}" {{ }}\n'
    with Broker(conf=conf, users=("alice",)) as broker:
        for address in addresses():
            alice = Agent(broker, "alice", server=(address, broker.lab), source=address, domain=address)
            watch = alice.subscribe(alice.aor)
            notify = watch.notification()
            check(address in notify.get("contact"), "NOTIFY comes from where the SUBSCRIBE went:", notify.get("contact"))
            watch.send(600)  # to that Contact
            watch.notification()
        equal({s["resource"] for s in broker.subs()}, {"sip:alice@127.0.0.1"}, "any address of ours means the same")


if __name__ == "__main__":
    run_tests(globals())
