#!/usr/bin/env python3
"""The tool by itself: command lines that are wrong, and daemons that answer what no daemon should."""
import json
import os
import socket
import subprocess
import tempfile
import threading

from broker import COMPLAINT, HERALD, PATIENCE_S, check, equal, run_tests

NOWHERE = ["--socket", "/nonexistent/herald.sock"]


def herald(*words, stdin=None):
    run = subprocess.run([HERALD, *words], capture_output=True, timeout=PATIENCE_S, check=False, input=stdin,
                         stdin=subprocess.DEVNULL if stdin is None else None)
    out, err = run.stdout.decode(), run.stderr.decode()  # what it says is UTF-8
    check(not COMPLAINT.search(err), words, err)
    return run.returncode, out, err


# --- command lines -----------------------------------------------------------------------------

MANY = [f"w{i}" for i in range(2000)]
WRONG = [  # words of the command line, words that must be said
    ((), "Usage"),
    (("frobnicate",), "there is no command"),
    (("sub",), "whose state?"),
    (("sub", "sip:a@b", "sip:c@d"), "one URI is enough"),
    (("sub", "sip:a@b", "--count", "0"), "not a number above 0"),
    (("sub", "sip:a@b", "--count", "4294967296"), "not a number above 0"),
    (("sub", "sip:a@b", "--expires", "soon"), "--expires"),
    (("sub", "sip:a@b", "--timeout", "0"), "--timeout"),
    (("sub", "sip:a@b", "--max-rate", "0"), "is no rate"),
    (("sub", "sip:a@b", "--min-rate", "100"), "is no rate"),
    (("sub", "sip:a@b", "--adaptive-min-rate", "often"), "is no rate"),
    (("sub", "sip:a@b", "--priority", "urgent"), "urgent"),
    (("sub", "sip:a@b", "--when", "x above 1", "--filter", "f"), "one of them is enough"),
    (("sub", "sip:a@b", "--package", "a\r\nb"), "control characters"),
    (("pub",), "whose state?"),
    (("pub", "sip:a@b"), "say what to publish"),
    (("pub", "sip:a@b", "--open", "--closed"), "say what to publish"),
    (("pub", "sip:a@b", "--voice", "1/0", "--note", "x"), "--note goes with"),
    (("pub", "sip:a@b", "--open", "--once", "--keep", "5s"), "--once goes with neither"),
    (("pub", "sip:a@b", "-p", "x-none", "--body", "x"), "which media type"),
    (("pub", "sip:a@b", "-p", "x-none", "--body", "x", "--type", "a/b\n"), "control characters"),
    (("pub", "sip:a@b", "sip:c@d", "--open"), "one URI is enough"),
    (("policy",), "policy --help"),
    (("policy", "allow", "alice"), "policy --help"),
    (("policy", "show", "a", "b"), "policy --help"),
    (("policy", "list", "add"), "policy --help"),
    (("policy", "transform", "set"), "policy --help"),
    (("policy", "frob", "a", "b"), "policy --help"),
    (("policy", "allow", "alice", *MANY), "too many of them"),
    (("policy", "allow", "alice", "bob", "--from", "yesterday"), "is no time"),
    (("policy", "allow", "alice", "bob", "--until", "2026-13-01"), "is no time"),
    (("policy", "transform", "set", "t", "--circle", "0m"), "is no length"),
    (("policy", "transform", "set", "t", "--circle", "1001km"), "is no length"),
    (("explain", "alice"), "explain --help"),
    (("user",), "user --help"),
    (("user", "add"), "user --help"),
    (("user", "frob", "alice"), "user --help"),
    (("user", "add", "a", *["--address=a"] * 200), "at most"),
    (("package",), "package --help"),
    (("subs", "a", "b"), "subs --help"),
    (("subs", "--limit", "0"), "not a number above 0"),
    (("pubs", "a", "b"), "pubs --help"),
    (("bindings", "a", "b"), "bindings --help"),
    (("watchers", "a", "b"), "watchers --help"),
    (("unregister",), "unregister --help"),
    (("unregister", "a", "--retry-after", "soon"), "is no duration"),
    (("audit", "a", "b"), "audit --help"),
    (("audit", "a", "--since", "5"), "is no age"),
    (("audit", "a", "--since", "5y"), "is no age"),
    (("resources", "a", "b"), "resources --help"),
    (("sick", "a", "b"), "sick --help"),
    (("sick", "--limit", "x"), "not a number above 0"),
    (("latency", "now"), "latency --help"),
    (("latency", "--last", "0"), "not a number above 0"),
    (("status", "now"), "status --help"),
    (("backup",), "backup --help"),
    (("token",), "token --help"),
    (("token", "list", "alice"), "token --help"),
    (("webhook", "add"), "webhook --help"),
    (("webhook", "frob", "x"), "webhook --help"),
    (("play",), "which file?"),
    (("play", "a.play", "--set", "nothing"), "NAME=VALUE"),
    (("trace",), "of whom?"),
    (("trace", "a", "b"), "too many words"),
    (("trace", "a", "--limit", "0"), "is not a number from 1"),
    (("trace", "a", "--follow", "--stable"), "leave --stable away"),
    (("trace", "a", "--follow", "--play", "f"), "leave --follow away"),
    (("ladder",), "which files?"),
    (("ladder", "nothing"), "NAME=FILE"),
    (("subs", *MANY), "too many words"),
]


def test_each_command_line_that_is_wrong_is_told_and_nothing_is_asked_for():
    problems = []
    for words, said in WRONG:
        code, out, err = herald(*words)
        if code != 2 or said not in err or out:
            problems.append(f"{' '.join(words)[:100]}: {code}, {err!r}, {out!r}")
    check(not problems, "\n  ".join(problems))


def test_help_and_the_version_are_no_mistakes():
    code, out, err = herald("help")
    check(code == 0 and "Usage: herald COMMAND" in out and not err, out, err)
    commands = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    check(len(commands) > 15, commands)
    for command in commands:
        code, out, err = herald("help", command)
        check(code == 0 and f"herald {command}" in out and not err, command, out, err)
    for word in ("--version", "-V"):
        code, out, _ = herald(word)
        check(code == 0 and out.startswith("herald "), out)


def test_nobody_there_has_an_exit_code_of_its_own():
    for words in (["status"], ["subs"], ["trace", "alice"], ["policy", "show"], ["user", "list"], ["token", "list"], ["latency"]):
        code, _, err = herald(*words, *NOWHERE)
        check(code == 4 and "is heraldd running?" in err, words, code, err)
    code, _, err = herald("status", "--socket", "/tmp/" + "x" * 200)
    check(code == 4 and "has at most" in err, code, err)


# --- daemons -----------------------------------------------------------------------------------


class Daemon:
    """An admin socket: who connects is sent these pieces when his line has come, and the connection is closed."""

    def __init__(self, *pieces):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-")
        self.path = os.path.join(self.folder.name, "sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.pieces, self.asked = pieces, []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        line, _ = self.listener.accept()
        data = b""
        while not data.endswith(b"\n") and self.pieces is not None:
            piece = line.recv(65536)
            if not piece:
                break
            data += piece
        self.asked.append(data)
        for piece in self.pieces or ():
            line.sendall(piece)
        line.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join(PATIENCE_S)
        self.listener.close()
        self.folder.cleanup()


def ask(pieces, *words):
    with Daemon(*pieces) as daemon:
        code, out, err = herald(*words, "--socket", daemon.path)
    return code, out, err, daemon.asked[0]


def test_an_answer_that_is_none_is_told():
    for pieces, said in (([], "closed the connection"), ([b'{"id":1,"result":'], "closed the connection"), ([b"\n"], "cannot be understood"),
                         ([b"nonsense\n"], "cannot be understood"), ([b"{}\n"], "cannot be understood"), ([b"[1]\n"], "cannot be understood"),
                         ([b'{"id":1,"error":7}\n'], "cannot be understood"), ([b'{"error":"no","error":"yes"}\n'], "cannot be understood"),
                         ([b'{"result":{"a":"\xff"}}\n'], "cannot be understood"), ([b"\0" * 100 + b"\n"], "cannot be understood")):
        code, out, err, _ = ask(pieces, "status")
        check(code == 1 and said in err and not out, pieces, code, out, err)


def test_an_error_is_shown_without_what_a_terminal_would_do():
    text = "no \x1b[2Jsuch \r\n\u202ething\u0085"
    code, out, err, asked = ask([json.dumps({"id": 1, "error": text}).encode() + b"\n"], "policy", "show", "alice")
    check(code == 1 and not out, code, out)
    check("no " in err and "such" in err and "thing" in err, err)
    check(not any(c in err for c in "\x1b\r\u202e\u0085"), repr(err))
    equal({k: v for k, v in json.loads(asked).items() if k != "limit"}, {"call": "policy-list", "id": 1, "resource": "alice"}, "what was asked")


def test_an_answer_may_come_in_any_pieces():
    answer = json.dumps({"id": 1, "result": {"users": [{"name": "alice"}, {"name": "b\u00f6b"}]}}, ensure_ascii=False).encode() + b"\n"
    for cut in (1, 3, 7):
        code, out, err, _ = ask([answer[i:i + cut] for i in range(0, len(answer), cut)], "user", "list", "--json")
        equal((code, err), (0, ""), "list")
        equal([u["name"] for u in json.loads(out)["users"]], ["alice", "b\u00f6b"], "users")


def test_rows_of_other_kinds_than_expected_are_shown_as_what_they_are():
    rows = [{"id": 7, "watcher": None, "resource": ["x"], "state": {"a": 1}, "expires_s": "soon"}, {}, {"resource": True}]
    for words, key in ((["subs"], "subs"), (["pubs"], "pubs"), (["bindings"], "bindings"), (["watchers", "alice"], "watchers"), (["audit", "alice"], "audit"),
                       (["policy", "show"], "rules"), (["user", "list"], "users"), (["package", "list"], "packages"), (["token", "list"], "tokens"),
                       (["webhook", "list"], "webhooks"), (["webhook", "dead"], "dead"), (["resources"], "resources")):
        for result in ({key: rows}, *([{key: []}, {key: "none"}, {}, [], 7] if key == "subs" else [])):
            code, _, err, _ = ask([json.dumps({"id": 1, "result": result}).encode() + b"\n"], *words)
            check(code in (0, 1), words, result, code, err)


if __name__ == "__main__":
    run_tests(globals())
