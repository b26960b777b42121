#!/usr/bin/env python3
"""The Debian package: built from a build, installed, run, upgraded, removed, installed again, purged.

    deb_test.py BUILD
All of it happens in an overlay of this machine's file system with namespaces of its own, which nothing survives: the machine
itself stays as it is, also when the test is killed.  It needs root; where that or anything else is missing it is skipped (77).
"""
import fcntl
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

from openmetrics import parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SKIP = 77
PATIENCE_S = 60
CONF = "/etc/herald/herald.conf"
STATE = "/var/lib/herald"
UNIT = "/usr/lib/systemd/system/herald.service"
ENABLED = "/etc/systemd/system/multi-user.target.wants/herald.service"


def skip(why):
    print("skipped:", why)
    sys.exit(SKIP)


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def run(*command, expect=0, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S * 3, check=False,
                          stdin=subprocess.DEVNULL, **more)
    if expect is not None:
        check(done.returncode == expect, " ".join(command), "ended with", done.returncode, "\n" + done.stdout + done.stderr)
    return done.stdout


def until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        check(time.monotonic() < end, "never so:", what)
        time.sleep(0.05)


# --- outside: the package, and a place to try it -----------------------------------------------


def outside(build):
    if os.geteuid() != 0:
        skip("needs root")
    for program in ("dpkg-deb", "dpkg", "unshare", "adduser", "deb-systemd-helper"):
        if not shutil.which(program):
            skip(f"needs {program}")
    if os.path.exists("/etc/herald") or os.path.exists(STATE):
        skip("herald is installed on this machine")
    if subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        skip("needs namespaces")
    with tempfile.TemporaryDirectory(prefix="herald-deb-") as folder:
        package = run(os.path.join(ROOT, "packaging/deb.sh"), build, folder).strip()
        check(os.path.isfile(package), "no package:", package)
        os.mkdir(folder + "/place")
        done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", sys.executable,
                               os.path.abspath(__file__), "--inside", folder], check=False)
    sys.exit(done.returncode)


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sh22x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS


def enter(folder):
    """Goes into an overlay of / that keeps its changes in memory; returns where the changes are."""
    place = folder + "/place"
    name = [f for f in os.listdir(folder) if f.endswith(".deb")][0]
    with open(os.path.join(folder, name), "rb") as file:
        package = file.read()
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "none", place)
    for sub in ("upper", "work", "root"):
        os.mkdir(f"{place}/{sub}")
    if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={place}/upper,workdir={place}/work",
                       place + "/root"], check=False).returncode:
        skip("needs overlay mounts")
    root = place + "/root"
    for sub in ("proc", "dev", "run", "tmp"):
        os.makedirs(f"{root}/{sub}", exist_ok=True)
    run("mount", "-t", "proc", "proc", root + "/proc")
    run("mount", "--rbind", "/dev", root + "/dev")
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "none", root + "/run")
    run("mount", "-t", "tmpfs", "-o", "mode=1777", "none", root + "/tmp")
    run("mount", "--rbind", place + "/upper", root + "/mnt")
    os.chroot(root)
    os.chdir("/")
    with open("/tmp/" + name, "wb") as file:
        file.write(package)
    loopback_up()
    if os.path.exists("/var/lib/man-db/auto-update"):
        os.unlink("/var/lib/man-db/auto-update")  # an index of all pages at every step would take most of the time
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return "/tmp/" + name


# --- inside ------------------------------------------------------------------------------------


def install(package):
    return run("dpkg", "--force-unsafe-io", "--force-confold", "-i", package)


def owner(path):
    at = os.stat(path)
    return run("stat", "-c", "%U:%G", path).strip(), stat.S_IMODE(at.st_mode)


def there(user="herald"):
    return subprocess.run(["getent", "passwd", user], check=False, stdout=subprocess.DEVNULL).returncode == 0


class Service:
    """Starts what the unit says, as the unit says it: there is no service manager in the place."""

    def __enter__(self):
        with open(UNIT, encoding="utf-8") as file:
            unit = file.read()
        command = re.search(r"^ExecStart=(.*)$", unit, re.M).group(1).split()
        user = re.search(r"^User=(.*)$", unit, re.M).group(1)
        os.makedirs("/run/herald", exist_ok=True)
        shutil.chown("/run/herald", user, user)
        self.log = open("/tmp/log", "ab")
        self.process = subprocess.Popen(command, user=user, group=user, extra_groups=[], umask=0o077, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, cwd="/")
        until(lambda: self.process.poll() is not None or
              subprocess.run(["herald", "status"], check=False, capture_output=True).returncode == 0, "the daemon answers")
        check(self.process.poll() is None, "the daemon did not start\n" + self.said())
        return self

    def said(self):
        with open("/tmp/log", encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        self.log.close()
        check(status == 0 or kind, "the daemon ended with", status, "\n" + self.said())
        check("Sanitizer" not in self.said(), self.said())


def test_it_installs(package):
    install(package)
    check(there(), "the user is not there")
    check(owner(STATE) == ("herald:herald", 0o700), STATE, owner(STATE))
    check(owner("/var/backups/herald") == ("herald:herald", 0o700), "backups", owner("/var/backups/herald"))
    check(owner(CONF) == ("root:root", 0o644), CONF, owner(CONF))
    check(os.path.islink(ENABLED), "the service does not start with the machine")
    run("heraldd", "--check", "-c", CONF)
    run("dpkg", "--verify", "herald")
    check(not run("dpkg", "--audit", "herald"), "dpkg is not content")
    if shutil.which("systemd-analyze"):
        run("systemd-analyze", "verify", "--man=no", UNIT)


def test_it_runs_as_its_user_and_keeps_what_it_is_told(_):
    with Service():
        out = run("herald", "user", "add", "2001")
        password = re.search(r"^password: (\S+)$", out, re.M).group(1)
        login = ["--server", "127.0.0.1:5060", "--user", "2001", "--password", password]
        run("herald", "pub", "sip:2001@127.0.0.1", "--voice", "2/0", "--once", "--leave", *login)
        out = run("herald", "sub", "sip:2001@127.0.0.1", "--package", "message-summary", "--fetch", *login)
        check("Voice-Message: 2/0" in out, out)
        check(parse(run("herald", "status", "--metrics"))["herald_users"].value() == 1, "users")
        check(owner("/run/herald/herald.sock") == ("herald:herald", 0o600), "the admin socket")
    with Service():
        check("sip:2001@127.0.0.1" in run("herald", "user", "list"), "the user is lost")
        check("message-summary" in run("herald", "pubs"), "the publication is lost\n" + run("herald", "pubs"))


def test_a_second_version_keeps_the_configuration_that_was_edited(package):
    with open(CONF, "a", encoding="utf-8") as file:
        file.write("# edited\n")
    install(package)
    with open(CONF, encoding="utf-8") as file:
        check(file.read().endswith("# edited\n"), "the edit is lost")
    with Service():
        check("sip:2001@127.0.0.1" in run("herald", "user", "list"), "the user is lost")


def test_removed_it_leaves_configuration_and_state(package):
    run("dpkg", "-r", "herald")
    for path in ("/usr/sbin/heraldd", "/usr/bin/herald", UNIT, "/usr/share/man/man8/heraldd.8.gz"):
        check(not os.path.exists(path), path, "was left")
    check(os.path.exists(CONF) and os.listdir(STATE), "what is the operator's is gone")
    install(package)
    check(os.path.islink(ENABLED), "the service does not start with the machine")
    with Service():
        check("sip:2001@127.0.0.1" in run("herald", "user", "list"), "the user is lost")


def test_purged_it_leaves_the_backups_and_nothing_else(package):
    os.mkdir("/var/backups/herald/monday")
    run("dpkg", "-P", "herald")
    check(os.path.isdir("/var/backups/herald/monday") and there(), "a backup and its owner are gone")
    os.rmdir("/var/backups/herald/monday")
    install(package)
    run("dpkg", "-P", "herald")
    check(not there(), "the user was left")
    # What was made anew since the beginning; removals show as character devices.
    left = []
    for folder, folders, files in os.walk("/mnt"):
        left += [os.path.join(folder, f) for f in folders + files if "herald" in f and
                 not stat.S_ISCHR(os.lstat(os.path.join(folder, f)).st_mode)]
    check(not left, "was left:", left)


def inside(folder):
    package = enter(folder)
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        print(f"[ RUN      ] {name[5:]}", flush=True)
        begin = time.monotonic()
        test(package)
        print(f"[       OK ] {name[5:]} ({time.monotonic() - begin:.1f} s)", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(sys.argv[2])
    else:
        outside(os.path.abspath(sys.argv[1]))
