#!/usr/bin/env python3
"""The tool against the daemon, end to end; and what `make run` prints, as printed."""
import ctypes
import fcntl
import hashlib
import json
import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import tempfile
import time

from broker import HERALD, HERALDD, PATIENCE_S, ROOT, Background, Broker, Failed, check, equal, run_tests, until
from sip import Agent


def test_sub_shows_what_pub_publishes():
    with Broker(shards=2, users=("2001", "2002")) as broker:
        for transport in ([], ["--tcp"]):
            sub = broker.tool_start("sub", "sip:2001@127.0.0.1", "--package", "message-summary", *broker.login("2002"), *transport)
            sub.says("Messages-Waiting: no")
            pub = broker.tool_start("pub", "sip:2001@127.0.0.1", "--voice", "2/0", *broker.login("2001"), *transport)
            sub.says("Voice-Message: 2/0")
            equal(len(broker.pubs()), 1, "publications")
            pub.end()  # takes back what it published
            until(lambda: not broker.pubs(), "no publication is left")
            until(lambda s=sub: s.out().count("Messages-Waiting: no") == 2, "the lamp goes off")
            sub.end()  # unsubscribes
            until(lambda: not broker.subs(), "no subscription is left")


def test_sub_follows_one_call_and_ends_with_it():
    def calls(state):
        """Of bob's two calls the second is in this state."""
        return ('<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:bob@127.0.0.1">'
                '<dialog id="a" call-id="one@192.0.2.9" local-tag="t1" remote-tag="f1"><state>confirmed</state></dialog>'
                f'<dialog id="b" call-id="two@192.0.2.9" local-tag="t2" remote-tag="f2"><state>{state}</state></dialog></dialog-info>')

    with Broker(shards=2, users=("bob",)) as broker:
        bob, kind = Agent(broker, "bob"), "application/dialog-info+xml"
        etag = bob.publish(bob.aor, "dialog", kind, calls("early")).get("sip-etag")
        sub = broker.tool_start("sub", bob.aor, "--package", 'dialog;call-id="two@192.0.2.9";to-tag=t2;from-tag=f2', *broker.login("bob"))
        sub.says("<state>early</state>")
        bob.publish(bob.aor, "dialog", kind, calls("terminated"), etag)
        sub.says("<state>terminated</state>")
        sub.says("noresource")
        check("one@192.0.2.9" not in sub.out(), sub.out())
        until(lambda: not broker.subs(), "it ends with the call")
        sub.end(number=None, expect=1)  # the server ended it
        bob.close()


def test_sub_speaks_json_for_programs():
    with Broker(users=("alice",)) as broker:
        sub = broker.tool_start("sub", "sip:alice@127.0.0.1", "--json", *broker.login("alice"))
        until(lambda: sub.out().count("\n") >= 1, "a line")
        pub = broker.tool_start("pub", "sip:alice@127.0.0.1", "--open", "--note", "at my desk", *broker.login("alice"))
        until(lambda: "at my desk" in sub.out(), "the note")
        pub.end()
        out = sub.end()
        lines = [json.loads(line) for line in out.splitlines()]
        equal(lines[0]["state"], "active", lines[0])
        check(any("at my desk" in line.get("body", "") for line in lines), lines)
        equal(lines[-1]["state"], "terminated", "the last line")


def test_a_wrong_password_has_an_exit_code():
    with Broker(users=("alice",)) as broker:
        broker.tool("sub", "sip:alice@127.0.0.1", "--server", broker.server, "--user", "alice", "--password", "wrong", expect=None)
        check("401" in broker.last_error or "password" in broker.last_error.lower(), broker.last_error)
        status = subprocess.run([HERALD, "sub", "sip:alice@127.0.0.1", "--server", broker.server, "--user", "alice", "--password",
                                 "wrong"], capture_output=True, check=False, timeout=PATIENCE_S).returncode
        check(status not in (0, 2), "exit status", status)


def test_a_fetch_ends_by_itself():
    with Broker(users=("alice",)) as broker:
        out = broker.tool("sub", "sip:alice@127.0.0.1", "--fetch", *broker.login("alice"))
        check("presence" in out, out)


def test_users_rules_and_listings_through_the_tool():
    with Broker(shards=2, users=("alice",), allow=False) as broker:
        at = ["--socket", broker.socket_path]
        made = broker.tool("user", "add", "bob", *at)
        password = re.search(r"\b([a-z]{4}-[a-z]{4}-[a-z]{4}-[a-z]{4}-\d\d)\b", made).group(1)
        check("bob" in broker.tool("user", "list", *at))
        broker.passwords["bob"] = password
        broker.tool("sub", "sip:alice@127.0.0.1", "--fetch", *broker.login("bob"), expect=None)
        check("403" in broker.last_error or "not allowed" in broker.last_error.lower(), broker.last_error)
        broker.tool("policy", "allow", "alice", "bob", *at)
        check("bob" in broker.tool("policy", "show", "alice", *at))
        broker.tool("policy", "allow", "alice", "sip:*@127.0.0.1", *at)
        answer = broker.tool("policy", "test", "bob", "alice", "--package", "presence", *at)
        check(re.search(r"by rule +\d+: allow sip:bob@127.0.0.1 at", answer), answer)
        check(re.search(r"no more by +\d+: allow sip:\*@127.0.0.1 at", answer), answer)
        broker.tool("policy", "remove", "alice", "sip:*@127.0.0.1", *at)
        broker.tool("user", "add", "carol", "--address", "carol", "--address", "carla", *at)
        broker.tool("policy", "block", "carla", "sip:eve@127.0.0.1", *at)
        broker.tool("policy", "polite", "sip:*@127.0.0.1", "sip:mallory@127.0.0.1", *at)
        shown = broker.tool("policy", "show", "carol", *at)
        check("eve" in shown and "mallory" in shown and "bob" not in shown, shown)
        sub = broker.tool_start("sub", "sip:alice@127.0.0.1", *broker.login("bob"))
        sub.says("active")
        row = json.loads(broker.tool("subs", "--json", *at))["subs"][0]
        equal((row["watcher"], row["state"]), ("sip:bob@127.0.0.1", "active"))
        check("sip:bob@127.0.0.1" in broker.tool("subs", *at))
        broker.tool("policy", "block", "alice", "bob", *at)
        sub.says("rejected")
        sub.end(None, expect=None)
        pub = broker.tool_start("pub", "sip:alice@127.0.0.1", "--open", *broker.login("alice"))
        until(broker.pubs, "a publication")
        check("sip:alice@127.0.0.1" in broker.tool("pubs", *at))
        pub.end()
        status = json.loads(broker.tool("status", "--json", *at))
        equal(status["shards"], 2, "status")
        for words in (["status"], ["package", "list"], ["bindings"]):
            check(broker.tool(*words, *at), words)
        broker.tool("user", "remove", "bob", *at)
        check("bob" not in broker.tool("user", "list", *at))
        broker.tool("user", "remove", "bob", *at, expect=None)
        check("bob" in broker.last_error, broker.last_error)


def test_a_file_of_users_is_taken_whole_or_not_at_all():
    with Broker(shards=2, users=("alice",), allow=False, conf='publish "sip:*@127.0.0.1" {{ publishers = {{ anna }}  packages = {{ presence }} }}\n',
                authentication='realms = {{ "fleet.example" }}') as broker, tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        at = ["--socket", broker.socket_path]
        ha1 = hashlib.sha256(b"a1:fleet.example:secret").hexdigest()
        file.write(f"# from the old exchange\nanna password=wonder address=anna address=+4930\nanna realm=fleet.example username=a1 sha256={ha1}\n")
        file.flush()
        with open(file.name, "a", encoding="utf-8") as more:
            more.write("bob pasword=x\n")
        broker.tool("user", "import", file.name, *at, expect=None)
        check(f"{file.name}:4: an unknown key" in broker.last_error, broker.last_error)
        check("anna" not in broker.tool("user", "list", *at), "a part of it was taken")
        with open(file.name, "r+", encoding="utf-8") as more:
            text = more.read().replace("pasword", "password")
            more.seek(0)
            more.write(text)
        check("added 2 users, replaced 0" in broker.tool("user", "import", file.name, *at))
        broker.tool("user", "import", file.name, *at, expect=None)
        check("--replace" in broker.last_error or "replace" in broker.last_error, broker.last_error)
        check("added 0 users, replaced 2" in broker.tool("user", "import", file.name, "--replace", *at))
        broker.tool("user", "add", "eve", "--address", "+4930", *at, expect=None)
        check("another user's" in broker.last_error, broker.last_error)
        # By either address, and with either password, he is one; he may publish for alice.
        broker.passwords["anna"] = "wonder"
        broker.tool("policy", "allow", "alice", "sip:+4930@127.0.0.1", *at)
        sub = broker.tool_start("sub", "sip:alice@127.0.0.1", *broker.login("anna"))
        sub.says("active")
        equal(broker.subs()[0]["watcher"], "sip:anna@127.0.0.1", "the watcher")
        pub = broker.tool_start("pub", "sip:alice@127.0.0.1", "--open", *broker.login("anna"))
        until(broker.pubs, "a publication")
        pub.end()
        sub.end()
        users = {u["name"]: u for u in json.loads(broker.tool("user", "list", "--json", *at))["users"]}
        equal(users["anna"]["addresses"], ["sip:anna@127.0.0.1", "sip:+4930@127.0.0.1"], "addresses")
        equal([(x["realm"], x["username"]) for x in users["anna"]["logins"]][1], ("fleet.example", "a1"), "logins")


def test_the_tool_says_when_nobody_is_there():
    broker = Broker(start=False)
    for words in (["status", "--socket", "/nonexistent/herald.sock"], ["frobnicate"], ["sub"], ["sub", "http://x"]):
        broker.tool(*words, expect=None)
        check(broker.last_error.strip(), words, "says nothing")
    broker.folder.cleanup()


def test_pub_takes_lines_files_and_a_time_to_keep():
    with Broker(users=("alice",)) as broker:
        login, uri = broker.login("alice"), "sip:alice@127.0.0.1"
        sub = broker.tool_start("sub", uri, "--json", *login)
        sub.says("active")
        pub = Background([HERALD, "pub", uri, "-", "--json", *login], broker.folder.name, stdin=subprocess.PIPE)

        def line(text):
            pub.process.stdin.write(text.encode() + b"\n")
            pub.process.stdin.flush()

        line('open <"at" & desk>')
        sub.says("&lt;&quot;at&quot; &amp; desk&gt;")
        line("")  # says nothing
        line("closed")
        sub.says("<basic>closed</basic>")
        line(f'<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"{uri}\"><tuple id=\"own\"><status/></tuple></presence>')
        sub.says('id=\\"own\\"')
        pub.process.stdin.close()
        said = [json.loads(one) for one in pub.end(None).splitlines()]
        equal([one["done"] for one in said], ["publish", "modify", "modify", "remove"], said)
        equal(len({one.get("etag") for one in said}), 4, said)
        path = os.path.join(broker.folder.name, "body")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{uri}"><tuple id="file"><status/></tuple></presence>')
        broker.tool("pub", uri, "--file", path, "--keep", "1s", *login, "--verbose")
        check("removed" in broker.last_error, broker.last_error)
        sub.says('id=\\"file\\"')
        equal(broker.pubs(), [], "what was kept for a second")
        broker.tool("pub", uri, "--file", path, "--keep", "1s", "--leave", *login)
        equal(len(broker.pubs()), 1, "what is left")
        open(path, "w", encoding="utf-8").close()
        for words, said in ((["--file", path], "is empty"), (["--file", path + "-none"], "No such file"), (["--voice", "many"], "is not NEW/OLD"),
                            (["--body", ""], "needs a body")):
            broker.tool("pub", uri, *words, *login, expect=None)
            check(said in broker.last_error, words, broker.last_error)
        sub.end()


def test_pub_of_messages_waiting_takes_counts_by_the_line():
    with Broker(users=("alice",)) as broker:
        login, uri = broker.login("alice"), "sip:alice@127.0.0.1"
        sub = broker.tool_start("sub", uri, "-p", "message-summary", *login)
        sub.says("Messages-Waiting: no")
        broker.tool("pub", uri, "-p", "message-summary", "-", *login, stdin="2/5\n0/7\n")
        sub.says("Voice-Message: 0/7")
        equal(re.findall(r"Voice-Message: (\S+)", sub.out())[:2], ["2/5", "0/7"], "as they came")
        sub.end()


def test_sub_asks_for_conditions_and_rates_and_gives_up_in_time():
    stock = 'package "x-stock" {{ types = "application/json"  authorisation = allow  min_expires = 60  pace = 0s }}\n'
    with Broker(users=("alice",), conf=stock) as broker:
        login, uri = broker.login("alice"), "sip:alice@127.0.0.1"
        state = ["pub", uri, "-p", "x-stock", "--type", "application/json", "--once", *login]
        low = broker.tool_start("sub", uri, "-p", "x-stock", "--json", "--when", "count below 5 clear 8", "--expires", "5s", "--verbose", *login)
        low.says("the server wants at least 60 s")
        low.says("active")
        path = os.path.join(broker.folder.name, "filter.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"when": "count above 9 clear 8"}, file)
        high = broker.tool_start("sub", uri, "-p", "x-stock", "--filter", path, "--count", "2", *login)
        high.says("active")
        for count in (7, 3, 10):
            broker.tool(*state, "--body", json.dumps({"count": count}))
        high.says("fired: ")
        check('{"count": 10}' in high.end(None) and '{"count": 7}' not in high.out(), high.out())
        told = [json.loads(line) for line in low.end().splitlines()]
        equal([json.loads(line["body"]) for line in told if line.get("fired")], [{"count": 3}], told)
        out = broker.tool("sub", uri, "-p", "x-stock", "--json", "--max-rate", "0.5", "--min-rate", "0.01", "--once", *login)
        check(json.loads(out.splitlines()[0]).get("max_rate") == 0.5, out)
        broker.tool("sub", uri, "-p", "x-stock", "--count", "2", "--timeout", "1s", *login, expect=3)
        check("out of time after 1 s" in broker.last_error, broker.last_error)
        until(lambda: not [s for s in broker.subs() if s["state"] != "terminated"], "it has unsubscribed")


def test_what_sub_and_pub_recorded_is_one_ladder():
    with Broker(users=("alice", "bob")) as broker:
        folder, uri = broker.folder.name, "sip:alice@127.0.0.1"
        sub = broker.tool_start("sub", uri, *broker.login("bob"), "--trace-to", f"{folder}/sub", "--count", "2")
        sub.says("active")
        broker.tool("pub", uri, "--open", "--once", *broker.login("alice"), "--trace-to", f"{folder}/pub")
        sub.end(None)
        ladder = broker.tool("ladder", f"alice={folder}/pub", f"bob={folder}/sub", "--server", "broker")
        check(all(word in ladder for word in ("alice", "broker", "bob", "PUBLISH", "SUBSCRIBE", "NOTIFY", "401")), ladder)
        order = [ladder.index(word) for word in ("SUBSCRIBE", "PUBLISH")]
        equal(order, sorted(order), ladder)
        with open(f"{folder}/none", "w", encoding="utf-8") as file:
            file.write("this is no trace\n")
        for path, words in ((f"{folder}/none", "is no trace of herald"), (f"{folder}/missing", "No such file")):
            broker.tool("ladder", f"alice={path}", expect=1)
            check(words in broker.last_error, broker.last_error)


def test_rules_with_times_lists_and_transformations_through_the_tool():
    with Broker(users=("alice", "bob"), allow=False) as broker:
        at = ["--socket", broker.socket_path]

        def policy(*words, **more):
            return broker.tool("policy", *words, *at, **more)

        def decides(watcher, *words):
            return re.search(r"answer +(\S+)", policy("test", watcher, "alice", "-p", "presence", *words)).group(1)

        equal(decides("bob"), "block", "nothing is allowed yet")
        policy("list", "add", "friends", "bob", "--watcher", "carol")
        check("list friends: 3 members" in policy("list", "add", "friends", "dave"), "members")
        check("2 members" in policy("list", "remove", "friends", "dave"), "a member less")
        check("sip:carol@127.0.0.1" in policy("list", "show", "friends") and "friends" in policy("list"), "lists")
        policy("allow", "alice", "@friends", "--except", "carol", "--until", "2h")
        equal((decides("bob"), decides("carol")), ("allow", "block"), "those of the list but one")
        shown = policy("show", "alice")
        check("except sip:carol@127.0.0.1" in shown and "until 20" in shown, shown)
        policy("block", "alice", "bob", "--from", "2099-12-24T17:00:00+01:00")
        policy("block", "alice", "bob", "-p", "dialog", "--from", "2098-01-01")
        equal(decides("bob"), "allow", "what is not in force yet")
        policy("block", "alice", "bob", "--shadow")
        said = policy("test", "--watcher", "bob", "--resource", "alice", "-p", "presence")
        check("in shadow  block" in said and "answer     allow" in said, said)
        check("transformation far" in policy("transform", "set", "far", "--circle", "1km", "--civic", "city", "--provide", "services", "--provide", "note"))
        policy("transform", "set", "short", "--hide", "//note", "--hide", "/presence/@entity")
        policy("allow", "alice", "erin", "--transform", "short", "--proof", "digest")
        check("what is left by short" in policy("test", "erin", "alice", "-p", "presence", "--proof", "digest"), "the transformation")
        equal(decides("erin", "--anonymous"), "block", "who only says so")
        table = policy("transform")
        check(re.search(r"far +\S+ .*1000 +city", table) and "//note" in table, table)
        check("through short" in policy("show", "alice"), "a rule names it")
        policy("transform", "remove", "short", expect=None)
        policy("transform", "remove", "far")
        check("far" not in policy("transform", "show"), "it is removed")
        policy("publish", "alice", "bob")
        policy("remove", "alice", "bob", "--publish")
        for words in (["remove", "alice", "nobody"], ["allow", "sip:x@elsewhere.test", "bob"], ["allow", "alice", "@nobody"],
                      ["transform", "set", "bad", "--hide", "no path"], ["list", "remove", "nobody"]):
            policy(*words, expect=1)
            check(broker.last_error.strip(), words)


# --- make run --------------------------------------------------------------------------------------


def loopback_of_our_own():
    """A network of our own with nothing but loopback, where port 5060 is free; only root may have it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000):  # CLONE_NEWNET
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS
    return True


def port_is_free(port):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False


def test_the_three_commands_of_make_run_work_as_printed():
    if not loopback_of_our_own() and not port_is_free(5060):
        raise Failed("port 5060 is taken, and a network of our own needs root")
    broker = Broker(start=False)
    folder = broker.folder.name
    environment = dict(os.environ, LISTEN="127.0.0.1")
    run = Background([HERALDD, "-c", os.path.join(ROOT, "examples", "first.conf"), "--run-dir", "run", "--tool", HERALD],
                     folder, cwd=folder, env=environment)
    run.says("Try next")
    until(lambda: os.path.exists(os.path.join(folder, "run", "herald.sock")), "the admin socket")
    out = run.out()
    for words in ("UDP 127.0.0.1:5060", "TCP 127.0.0.1:5060", "TLS 127.0.0.1:5061", "WSS 127.0.0.1:5063", "http://127.0.0.1:8080/", "2001", "2002", "password"):
        check(words in out, words, "is not in\n", out)
    commands = re.findall(rf"^ +({re.escape(HERALD)} .*)$", out, re.M)
    equal(len(commands), 3, "commands that are printed")
    watch = Background(shlex.split(commands[0]), folder, cwd=folder)
    watch.says("Messages-Waiting: no")
    publish = Background(shlex.split(commands[1]), folder, cwd=folder)
    watch.says("Voice-Message: 2/0")
    listing = Background(shlex.split(commands[2]), folder, cwd=folder)
    listing.end(None)
    check("sip:2002@127.0.0.1" in listing.out() and "message-summary" in listing.out(), listing.out())
    publish.end()
    watch.end()
    run.end(signal.SIGTERM)
    # Passwords are shown once; the second start says what to do instead.
    again = Background([HERALDD, "-c", os.path.join(ROOT, "examples", "first.conf"), "--run-dir", "run", "--tool", HERALD],
                       folder, cwd=folder, env=environment)
    again.says("Try next")
    check(not re.search(r"password [a-z]{4}-", again.out()), again.out())
    again.end(signal.SIGTERM)
    broker.folder.cleanup()


if __name__ == "__main__":
    run_tests(globals())
