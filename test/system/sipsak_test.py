#!/usr/bin/env python3
"""sipsak (Debian: sipsak), what operators ping with: OPTIONS, and a phone that is registered and unregistered, with digest."""
import subprocess

from broker import PATIENCE_S, Broker, check, equal, run_tests

MD5 = 'algorithms = {{ "MD5" }}'  # it knows no other


def sipsak(*arguments):
    """Runs it to its end; its exit code is 0 for a 200."""
    run = subprocess.run(["sipsak", "-vv", *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return run.returncode, run.stdout + run.stderr


def test_sipsak_pings_with_options():
    with Broker() as broker:
        for uri in (f"sip:127.0.0.1:{broker.port}", f"sip:anybody@127.0.0.1:{broker.port}"):
            status, out = sipsak("-s", uri)
            check(status == 0 and "200 OK" in out, uri, status, out)
            check("Allow-Events: presence" in out, out)


def test_sipsak_registers_and_unregisters():
    with Broker(users=("alice",), authentication=MD5) as broker:
        uri = f"sip:alice@127.0.0.1:{broker.port}"
        contact = "sip:alice@127.0.0.1:16999"
        status, out = sipsak("-U", "-C", contact, "-x", "60", "-u", "alice", "-a", broker.passwords["alice"], "-s", uri)
        check(status == 0, status, out)
        bindings = broker.admin("bindings")["bindings"]
        equal([(b["resource"], b["contact"]) for b in bindings], [("sip:alice@127.0.0.1", contact)], out)
        status, out = sipsak("-U", "-C", "empty", "-u", "alice", "-a", broker.passwords["alice"], "-s", uri)
        check(status == 0, status, out)
        status, out = sipsak("-U", "-C", contact, "-x", "0", "-u", "alice", "-a", "wrong", "-s", uri)
        check(status != 0, "with a wrong password", status, out)
        equal(len(broker.admin("bindings")["bindings"]), 1, "bindings")


if __name__ == "__main__":
    run_tests(globals())
