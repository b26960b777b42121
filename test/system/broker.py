"""The real heraldd for one test: its configuration, its start and end, its admin socket, and the tool.

Everything is in a folder of its own and on loopback; what a sanitizer says, or an end that is not clean, fails the test.
The build's programs come from the environment: HERALDD and HERALD.
"""
import collections
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

HERALDD = os.environ.get("HERALDD", "")
HERALD = os.environ.get("HERALD", "")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE_S = 90  # for what takes milliseconds: how long a machine under load may take

COMPLAINT = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:|assertion failed")


class Failed(Exception):
    """What a test says when it does not hold."""


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(str(w) for w in what))


def equal(got, expected, what=""):
    check(got == expected, f"{what}: got {got!r}, expected {expected!r}")


def until(condition, what, patience_s=PATIENCE_S, pause_s=0.02):
    """Waits for something to become true and returns it."""
    end = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, "never so:", what)
        time.sleep(pause_s)


GIVEN = collections.deque(maxlen=100)  # a socket for each port that this program was given and may not have bound yet


def reserved(port):
    """Ours among all tests that run on this machine: a name that one process has, and that ends with it."""
    mine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mine.bind(f"\0herald-test-port-{port}")
    except OSError:
        mine.close()
        return None
    return mine


def free_port(family=socket.AF_INET, host="127.0.0.1"):
    """A port of our range that is free for UDP and TCP, and that no test was given before."""
    for _ in range(1000):
        port = random.randrange(16000, 17000)
        mine = reserved(port)
        if not mine:
            continue
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as u, socket.socket(family, socket.SOCK_STREAM) as t:
                u.bind((host, port))
                t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                t.bind((host, port))
        except OSError:
            mine.close()
            continue
        if len(GIVEN) == GIVEN.maxlen:
            GIVEN.popleft().close()
        GIVEN.append(mine)
        return port
    raise Failed("no free port from 16000 to 16999")


class Broker:
    """with Broker(...) as broker: ...   `listen` holds more sections; {port} and {lab} in texts are replaced."""

    LAB = 'listen "udp://127.0.0.1:{lab}" {{ authentication = none  trusted = {{ "127.0.0.0/8" }} }}\n' \
          'listen "tcp://127.0.0.1:{lab}" {{ authentication = none  trusted = {{ "127.0.0.0/8" }} }}\n'

    def __init__(self, shards=1, conf="", lab=False, users=(), allow=True, start=True, authentication="", ports=()):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-")
        self.process = None
        self.shards, self.extra, self.with_lab, self.users, self.allow = shards, conf, lab, users, allow
        self.authentication = authentication
        self.ports = dict.fromkeys(ports, 0)  # further ports, {name} in conf
        self.out_path = os.path.join(self.folder.name, "out")
        self.err_path = os.path.join(self.folder.name, "err")
        self.run_dir = os.path.join(self.folder.name, "run")
        self.conf_path = os.path.join(self.folder.name, "herald.conf")
        self.passwords = {}
        self.port = self.lab = 0
        self.expect_exit = 0
        if start:
            self.start()

    def text(self):
        text = f"shards = {self.shards}\n"
        text += 'listen "udp://127.0.0.1:{port}" {{ }}\nlisten "tcp://127.0.0.1:{port}" {{ }}\n'
        if self.with_lab:
            text += self.LAB
        text += 'authentication {{ realm = "herald" ' + self.authentication + ' }}\n'
        if self.allow and 'package "presence"' not in self.extra:
            text += 'package "presence" {{ authorisation = allow  min_expires = 1  pace = 0s }}\n'
        if self.allow and 'package "message-summary"' not in self.extra:
            text += 'package "message-summary" {{ authorisation = allow  min_expires = 1  pace = 0s }}\n'
        return (text + self.extra).format(port=self.port, lab=self.lab, **self.ports)

    def write(self, text):
        with open(self.conf_path, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, attempts=5):
        for attempt in range(attempts):
            if not self.port or attempt:
                self.port, self.lab = free_port(), free_port()
                self.ports = {name: free_port() for name in self.ports}
            self.write(self.text())
            self.spawn()
            try:
                until(lambda: self.process.poll() is not None or self.answers(), "the daemon answers")
            except Failed:
                self.process.kill()
                raise Failed("the daemon does not answer\n" + self.err()) from None
            if self.process.poll() is None:
                break
            check(attempt + 1 < attempts and "in use" in self.err(), "the daemon did not start\n" + self.err())
        for name in self.users:
            self.passwords[name] = self.admin("user-add", name=name, password="secret-" + name)["name"] and "secret-" + name
        return self

    def spawn(self, *more):
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.process = subprocess.Popen([HERALDD, "-c", self.conf_path, "--run-dir", self.run_dir, *more],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def answers(self):
        try:
            return bool(self.admin("status"))
        except (OSError, Failed):
            return False

    def out(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def err(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    # --- the admin socket and the tool ---------------------------------------------------------

    @property
    def socket_path(self):
        return os.path.join(self.run_dir, "herald.sock")

    def call(self, call, **arguments):
        """One call; the whole answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE_S)
            s.connect(self.socket_path)
            s.sendall(json.dumps({"id": 1, "call": call, **arguments}).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                piece = s.recv(1 << 20)
                check(piece, f"{call}: the admin socket was closed")
                data += piece
        return json.loads(data)

    def admin(self, call, **arguments):
        answer = self.call(call, **arguments)
        check("result" in answer, f"{call}: {answer.get('error')}")
        return answer["result"]

    def subs(self, **arguments):
        return self.admin("subs", **arguments)["subs"]

    def pubs(self, **arguments):
        return self.admin("pubs", **arguments)["pubs"]

    def counters(self):
        return self.admin("status")["counters"]

    def tool(self, *arguments, expect=0, stdin=None):
        """Runs `herald ARGUMENT...` to its end; its standard output."""
        run = subprocess.run([HERALD, *arguments], input=stdin, capture_output=True, text=True, timeout=PATIENCE_S * 2,
                             check=False, stdin=subprocess.DEVNULL if stdin is None else None)
        self.last_error = run.stderr
        check(not COMPLAINT.search(run.stderr), "herald", arguments, run.stderr)
        if expect is not None:
            check(run.returncode == expect, "herald", arguments, "ended with", run.returncode, run.stdout, run.stderr)
        return run.stdout

    def tool_start(self, *arguments):
        return Background([HERALD, *arguments], self.folder.name)

    @property
    def server(self):
        return f"127.0.0.1:{self.port}"

    def login(self, name):
        """The tool's options of a user."""
        return ["--server", self.server, "--user", name, "--password", self.passwords[name]]

    # --- the end -------------------------------------------------------------------------------

    def stop(self, number=signal.SIGTERM, expect=0, patience_s=PATIENCE_S, hurry=False):
        """Ends the daemon; in a hurry a second signal spares the wait for subscribers that do not answer any more."""
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
        if hurry:
            try:
                self.process.wait(0.3)
            except subprocess.TimeoutExpired:
                self.process.send_signal(number)
        try:
            status = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("the daemon did not end\n" + self.err()) from None
        finally:
            self.process = None
        err = self.err()
        check(not COMPLAINT.search(err), "a sanitizer complains:\n" + err)
        # In a hurry the second signal may come when its handler is gone already.
        late = hurry and status == -number and "msg=drained" in err
        check(status == expect or late, f"the daemon ended with {status}, expected {expect}\n" + err)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if self.process:
                self.stop(hurry=True)
        except Failed:
            if kind is None:
                raise
            traceback.print_exc()
        finally:
            if kind is not None:
                print("--- the daemon's log:\n" + self.err()[-6000:], file=sys.stderr)
            self.folder.cleanup()


class Background:
    """A program that runs beside the test; its output can be looked at while it runs."""

    running = []  # those that a test that failed leaves behind are ended after it

    def __init__(self, command, folder, **more):
        self.command = command
        self.out_file = tempfile.NamedTemporaryFile(dir=folder, prefix="out-", delete=False)
        self.err_file = tempfile.NamedTemporaryFile(dir=folder, prefix="err-", delete=False)
        # What it leaves among temporary files goes with the folder.
        environment = dict(more.pop("env", os.environ), TMPDIR=folder)
        self.process = subprocess.Popen(command, stdin=more.pop("stdin", subprocess.DEVNULL), stdout=self.out_file,
                                        stderr=self.err_file, env=environment, **more)
        Background.running.append(self.process)

    def _read(self, file):
        with open(file.name, encoding="utf-8", errors="replace") as text:
            return text.read()

    def out(self):
        return self._read(self.out_file)

    def err(self):
        return self._read(self.err_file)

    def says(self, words, patience_s=PATIENCE_S):
        """Waits until the output has the words; a pattern when it is one."""
        find = words.search if hasattr(words, "search") else lambda text: words in text
        try:
            until(lambda: find(self.out() + self.err()) or self.process.poll() is not None, words, patience_s)
        except Failed:
            pass
        check(find(self.out() + self.err()), self.command, "never said", words, "\n" + self.out() + self.err())
        return self.out()

    def end(self, number=signal.SIGINT, expect=0, patience_s=PATIENCE_S):
        if self.process.poll() is None and number is not None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"{self.command} did not end\n{self.out()}{self.err()}") from None
        check(not COMPLAINT.search(self.err()), self.command, self.err())
        if expect is not None:
            check(status == expect, self.command, "ended with", status, "\n" + self.out() + self.err())
        return self.out()


def end_leftovers():
    for process in Background.running:
        if process.poll() is None:
            process.kill()
            process.wait()
    Background.running.clear()


def run_tests(scope):
    """Runs every test_ function of a module, says how each went, and exits; words on the command line narrow it."""
    words = sys.argv[1:]
    tests = [(n, f) for n, f in scope.items() if n.startswith("test_") and callable(f)]
    tests = [(n, f) for n, f in tests if not words or any(w in n for w in words)]
    passed, failed = 0, []
    for name, test in tests:
        begin = time.monotonic()
        print(f"[ RUN      ] {name[5:]}", flush=True)
        try:
            test()
        except Exception as problem:  # pylint: disable=broad-except
            failed.append(name[5:])
            if isinstance(problem, Failed):
                frame = traceback.extract_tb(problem.__traceback__)
                place = [f for f in frame if os.path.basename(f.filename) != "broker.py"] or frame
                print(f"{os.path.basename(place[-1].filename)}:{place[-1].lineno}: {problem}")
            else:
                traceback.print_exc(file=sys.stdout)
            print(f"[  FAILED  ] {name[5:]}", flush=True)
        else:
            passed += 1
            print(f"[       OK ] {name[5:]} ({time.monotonic() - begin:.1f} s)", flush=True)
        end_leftovers()
    # As cmocka sums up.
    print(f"[  PASSED  ] {passed} test(s).")
    if failed:
        print(f"[  FAILED  ] {len(failed)} test(s), listed below:\n  " + "\n  ".join(failed))
    sys.exit(1 if failed or not passed else 0)
