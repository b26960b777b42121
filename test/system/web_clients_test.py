#!/usr/bin/env python3
"""JsSIP and SIP.js (npm), in Node and in a headless Chromium (Debian: chromium), over WebSocket and secure WebSocket: they
register, subscribe, publish, are notified and end.  `make deps-test` fetches them; without, the test is skipped."""
import hashlib
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse

from broker import PATIENCE_S, Background, Broker, check, equal, run_tests, until
from ca import Authority

JS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "js")
STEPS = ["registered", "active", "NOTIFY neutral", "PUBLISH 200", "NOTIFY one", "unsubscribed", "unregistered", "done"]
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--enable-logging=stderr"]
LISTEN = 'listen "ws://127.0.0.1:{ws}" {{ }}\nlisten "wss://127.0.0.1:{wss}" {{ certificate = "%s"  key = "%s" }}\n'


class Web:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-web-")
        self.authority = Authority(self.folder.name)
        self.pair = self.authority.make("server")
        # JsSIP knows MD5 alone, and gives up at a challenge with another algorithm.
        self.broker = Broker(shards=2, conf=LISTEN % self.pair, ports=("ws", "wss"), users=("alice", "bob"), authentication='algorithms = {{ "MD5" }}')

    def url(self, kind):
        return f"{kind}://localhost:{self.broker.ports[kind]}"

    def config(self, stack, kind, user="alice"):
        return {"stack": stack, "url": self.url(kind), "user": user, "password": self.broker.passwords[user], "domain": "127.0.0.1"}

    def ended(self, out):
        """All steps were taken, and nothing is left behind."""
        lines = [line for line in out.splitlines() if line in STEPS]
        check(all(s in lines for s in STEPS) and lines[-1] == "done", out)
        until(lambda: not self.broker.admin("bindings")["bindings"], "nobody is registered")
        until(lambda: not [s for s in self.broker.subs() if s["state"] != "terminated"], "no subscription is left")
        check(len(self.broker.pubs()) >= 1, "what was published is left to expire")

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.broker.__exit__(*problem)
        self.folder.cleanup()


def in_node(stack):
    for kind in ("ws", "wss"):
        with Web() as web:
            c = web.config(stack, kind)
            run = subprocess.run(["node", os.path.join(JS, "node.mjs"), stack, c["url"], c["user"], c["password"], c["domain"]],
                                 env=dict(os.environ, NODE_EXTRA_CA_CERTS=web.authority.certificate), capture_output=True, text=True,
                                 timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL)
            equal(run.returncode, 0, run.stdout + run.stderr)
            web.ended(run.stdout)
            equal(web.broker.admin("status")["net"]["upgraded"], 1)


def test_jssip_in_node():
    in_node("jssip")


def test_sipjs_in_node():
    in_node("sipjs")


def fingerprint(certificate):
    """What Chromium calls a certificate's SPKI hash, so that it believes this one and no other."""
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, capture_output=True, check=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_both_in_a_browser():
    if not shutil.which("chromium"):
        print("chromium is not installed: skipped")
        return
    with Web() as web:
        page, script = os.path.join(web.folder.name, "page.html"), os.path.join(web.folder.name, "page.js")
        subprocess.run([os.path.join(JS, "node_modules", ".bin", "esbuild"), os.path.join(JS, "browser.mjs"), "--bundle", "--format=iife",
                        "--log-level=error", "--outfile=" + script], check=True, timeout=PATIENCE_S)
        with open(page, "w", encoding="ascii") as file:
            file.write('<!DOCTYPE html><meta charset="utf-8"><script src="page.js"></script>\n')
        for stack, kind, user in (("jssip", "ws", "alice"), ("sipjs", "wss", "bob")):
            address = "file://" + page + "#" + urllib.parse.quote(json.dumps(web.config(stack, kind, user)))
            profile = tempfile.mkdtemp(prefix="profile-", dir=web.folder.name)
            browser = Background([*CHROMIUM, "--ignore-certificate-errors-spki-list=" + fingerprint(web.pair[0]),
                                  "--user-data-dir=" + profile, address], web.folder.name, start_new_session=True)
            try:
                browser.says("peer: done")
                said = [line.split("peer: ")[1].split('"')[0] for line in browser.err().splitlines() if "peer: " in line]
                web.ended("\n".join(said))
            finally:
                os.killpg(browser.process.pid, signal.SIGKILL)
                browser.process.wait()
        equal(web.broker.admin("status")["net"]["upgraded"], 2)


if __name__ == "__main__":
    if not os.path.isdir(os.path.join(JS, "node_modules")) or not shutil.which("node"):
        print("the JavaScript stacks are not there (make deps-test)")
        sys.exit(77)
    run_tests(globals())
