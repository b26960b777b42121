"""The contestants of the benchmark, started one at a time on core 0, and the load generator on core 1."""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = 18060
SERVER = f"127.0.0.1:{PORT}"
WINDOW = 256
LIMIT_S = 60
USERS = 100  # as bench/digest.h has them
KAMAILIO_SCHEMA = "/usr/share/kamailio/db_sqlite"


class Failed(Exception):
    """A contestant that does not work; its rows stay empty."""


def port_taken():
    with open("/proc/net/udp") as f:
        return f":{PORT:04X} " in f.read()


def pin(core):
    return ["taskset", "-c", str(core)] if os.cpu_count() > 1 and shutil.which("taskset") else []


def has_kamailio(db=False):
    return bool(shutil.which("kamailio")) and os.path.isdir(KAMAILIO_SCHEMA if db else "/usr/share/kamailio/dbtext")


class Server:
    """A contestant; `with` starts and ends it and removes its folder."""

    def __init__(self, command, folder, after=None):
        self.command, self.folder, self.after = command, folder, after
        self.process = None

    def __enter__(self):
        try:
            self.start()
            if self.after:
                self.after(self)
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def start(self, limit_s=30, settle_s=0.5):
        """Seconds of wall time until its socket is open."""
        self.log = open(os.path.join(self.folder, "log"), "a")
        begun = time.monotonic()
        self.process = subprocess.Popen(pin(0) + self.command, stdout=self.log, stderr=subprocess.STDOUT)
        while time.monotonic() - begun < limit_s and self.process.poll() is None:
            if port_taken():
                took = time.monotonic() - begun
                time.sleep(settle_s)  # its other processes
                return took
            time.sleep(0.01)
        raise Failed(f"{self.command[0]} does not come up:\n" + open(self.log.name).read()[-2000:])

    def start_whole(self, limit_s=120):
        """Seconds until it answers: a socket may be bound while what was kept is still being read."""
        begun = time.monotonic()
        self.start(limit_s, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            s.settimeout(0.2)
            via = f"127.0.0.1:{s.getsockname()[1]}"
            for i in range(int(limit_s / 0.2)):
                s.sendto(f"OPTIONS sip:bench.test SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKwhole{i}\r\n"
                         f"From: <sip:bench@bench.test>;tag=1\r\nTo: <sip:bench.test>\r\nCall-ID: whole{i}@127.0.0.1\r\n"
                         "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode(), ("127.0.0.1", PORT))
                try:
                    s.recv(4096)
                    return time.monotonic() - begun
                except OSError:
                    continue
        raise Failed(f"{self.command[0]} does not answer")

    def stop(self, how, limit_s=60):
        """Seconds until it is gone."""
        begun = time.monotonic()
        if self.process:
            self.process.send_signal(how)
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
            self.log.close()
        took = time.monotonic() - begun
        while port_taken() and time.monotonic() - begun < limit_s + 5:
            time.sleep(0.05)
        return took

    def cpu_s(self):
        """CPU time of the process so far, of all its threads."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def herald_config(durability, shards, digest, stock):
    with open(os.path.join(HERE, "herald.conf")) as f:
        text = f.read()
    text = text.replace("shards = 1", f"shards = {shards}").replace("durability = memory", f"durability = {durability}")
    limits = []
    if stock:
        limits.append("receive_buffer = 0")
    if digest:
        users = ", ".join(f'"u{i}"' for i in range(USERS))
        text = text.replace("authentication = none", "authentication = digest")
        text = text.replace('package "presence" {', 'package "presence" { publishers = { ' + users + " } ")
        text += 'authentication { realm = "bench.test"  algorithms = { "MD5" } }\n'
        limits.append("subscriptions_per_watcher = 1000000")
    if limits:
        text += "limits { " + "  ".join(limits) + " }\n"
    return text


def add_users(build, server):
    for i in range(USERS):
        subprocess.run([os.path.join(build, "src/herald/herald"), "user", "add", f"u{i}", "--password", "bench", "--socket",
                        os.path.join(server.folder, "run/herald.sock")], check=True, stdout=subprocess.DEVNULL)


def make_herald(build, folder, durability, shards=1, digest=False, stock=False):
    path = os.path.join(folder, "herald.conf")
    with open(path, "w") as f:
        f.write(herald_config(durability, shards, digest, stock))
    return Server([os.path.join(build, "src/heraldd/heraldd"), "-c", path, "--run-dir", os.path.join(folder, "run")], folder,
                  (lambda server: add_users(build, server)) if digest else None)


def make_kamailio(folder, db):
    command = ["kamailio", "-DD", "-E", "-f", os.path.join(HERE, "kamailio.cfg"), "-x", "fm", "-m", "3072", "-M", "512",
               "-b", "4194304", "-A", "CHILDREN=1", "-Y", folder]
    if db:
        path = os.path.join(folder, "kamailio.sqlite")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=WAL")
        for part in ("standard", "presence"):
            with open(os.path.join(KAMAILIO_SCHEMA, f"{part}-create.sql")) as f:
                connection.executescript(f.read())
        connection.close()
        command += ["-A", "WITH_SQLITE", "-A", f'DB="sqlite:///{path}"', "-A", f'JOURNAL="{path}=WAL"']
    else:
        shutil.copytree("/usr/share/kamailio/dbtext/kamailio", os.path.join(folder, "db"))
        command += ["-A", f'DB="text://{folder}/db"']
    return Server(command, folder)


def make_server(build, column, **options):
    folder = tempfile.mkdtemp(prefix="herald-bench-")
    if column == "wire":
        return Server([os.path.join(build, "bench/wire"), SERVER], folder)
    if column.startswith("kamailio"):
        return make_kamailio(folder, column == "kamailio-db")
    return make_herald(build, folder, column, **options)


def load_command(build, pid, label, options, phases):
    return pin(1) + [os.path.join(build, "bench/load"), "--server", SERVER, "--pid", str(pid), "--label", label, "--window",
                     str(WINDOW), "--limit", str(LIMIT_S), *options, *phases]


def load(build, pid, label, options, phases):
    """Runs the generator; its lines."""
    run = subprocess.run(load_command(build, pid, label, options, phases), stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    for line in lines:
        if line.get("failed") or line.get("missing") or not line.get("done", True):
            print(f"bench: {label}, {line['phase']}: {json.dumps(line)}", file=sys.stderr)
    return lines


def forget_cached(folder):
    """The files of a folder have to be read from the disk the next time."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
