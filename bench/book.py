#!/usr/bin/env python3
"""What many users and rules cost: bench/book.py BUILD [USERS [RULES]]

Writes a state folder with so many of them (100,000 unless said; `ninja -C BUILD bench/fill`), starts heraldd on it, and changes one at a time: time until the
command returns, CPU time of heraldd, and its memory.  A decision itself is measured by bench/judge."""
import atexit
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD, *COUNTS = sys.argv[1:]
USERS, RULES = [int(n) for n in COUNTS + ["100000"] * (2 - len(COUNTS))]
HERALDD = os.path.join(BUILD, "src/heraldd/heraldd")
CONF = 'domains = {{ "bench.test" }}\nlisten "udp://127.0.0.1:18070" {{ }}\nauthentication {{ realm = "bench" }}\n'


class Daemon:
    def __init__(self, folder):
        self.folder, self.socket_path = folder, folder + "/run/herald.sock"
        with open(folder + "/herald.conf", "w", encoding="utf-8") as file:
            file.write(CONF.format())
        begin = time.monotonic()
        self.process = subprocess.Popen([HERALDD, "-c", folder + "/herald.conf", "--run-dir", folder + "/run"],
                                        stdout=subprocess.DEVNULL)
        while True:
            try:
                self.call("status")
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit("book: heraldd does not start")
                time.sleep(0.01)
        self.start_s = time.monotonic() - begin

    def call(self, name, /, **arguments):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(self.socket_path)
            line.sendall(json.dumps({"id": 1, "call": name, **arguments}).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                data += line.recv(1 << 20)
        answer = json.loads(data)
        if "error" in answer:
            sys.exit(f"book: {name}: {answer['error']}")
        return answer["result"]

    def cpu_s(self):
        fields = open(f"/proc/{self.process.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self):
        for line in open(f"/proc/{self.process.pid}/status", encoding="ascii"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def timed(daemon, title, n, do):
    cpu, begin = daemon.cpu_s(), time.monotonic()
    for i in range(n):
        do(i)
    wall, cpu = (time.monotonic() - begin) / n, (daemon.cpu_s() - cpu) / n
    print(f"| {title} | {wall * 1000:.1f} ms | {cpu * 1000:.1f} ms |")


def main():
    with tempfile.TemporaryDirectory(prefix="herald-book-") as folder:
        empty = Daemon(folder)
        before = empty.memory_mib()
        empty.stop()
        subprocess.run([os.path.join(BUILD, "bench/fill"), folder + "/run", str(USERS), str(RULES)], check=True)
        size = os.path.getsize(folder + "/run/herald.db") / (1 << 20)
        daemon = Daemon(folder)
        atexit.register(daemon.process.kill)
        print(f"{USERS} users, {RULES} rules: herald.db has {size:.1f} MiB; the daemon starts in {daemon.start_s:.2f} s ({daemon.cpu_s():.2f} s of CPU), "
              f"{daemon.memory_mib() - before:.0f} MiB more than with none\n")
        print("| | until it returns | CPU |\n|---|---:|---:|")
        timed(daemon, "a rule is set", 10, lambda i: daemon.call("policy-block", resource="user000001", watcher=f"eve{i}"))
        timed(daemon, "a rule is removed", 10, lambda i: daemon.call("policy-remove", resource="user000001", watcher=f"eve{i}"))
        timed(daemon, "a user is added", 10, lambda i: daemon.call("user-add", name=f"new{i}", password="x"))
        lines = "".join(f"more{i:05} password=secret{i}\n" for i in range(1000))
        timed(daemon, "a thousand users are imported", 1, lambda i: daemon.call("user-import", text=lines))
        timed(daemon, "`policy test`", 50, lambda i: daemon.call("policy-test", resource="user000001", watcher="watcher000001"))
        timed(daemon, "`policy show` of a resource", 50, lambda i: daemon.call("policy-list", resource="user000001"))
        print(f"\n{daemon.memory_mib() - before:.0f} MiB after it")
        daemon.stop()


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
main()
