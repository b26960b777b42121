#!/usr/bin/env python3
"""A phone behind a NAT that is emulated: two networks with nothing but loopback, and a translator with a foot in each that
forgets its bindings when it is told to.  Only root may have networks of his own; without, the test says so and passes."""
import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
import threading
import time
import zlib

from broker import Broker, check, equal, run_tests, until
from sip import PIDF, Agent, pidf

SERVER, OUTSIDE, PHONE = "192.0.2.1", "198.51.100.1", "10.0.0.5"
LIBC = ctypes.CDLL(None, use_errno=True)


def new_network(*addresses):
    """A network of our own with these addresses on its loopback; this thread is in it from now on.  False: not root."""
    if LIBC.unshare(0x40000000):  # CLONE_NEWNET
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i, address in enumerate(("127.0.0.1",) + addresses):
            name = b"lo" if i == 0 else b"lo:%d" % i
            fcntl.ioctl(s, 0x8916, struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address)))  # SIOCSIFADDR
            fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", name, 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
    return True


class Networks:
    """`outside` with the server and the translator's public side, where the program is; `inside` with the phone."""

    def __init__(self):
        self.good = new_network(SERVER, OUTSIDE)
        if not self.good:
            return
        self.outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        new_network(PHONE, SERVER)  # what is sent to the server there, the translator takes
        self.inside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.enter(self.outside)

    @staticmethod
    def enter(network):
        check(LIBC.setns(network, 0x40000000) == 0, "setns")

    def within(self, make):
        """Calls make in the inside network; sockets that it opens stay there."""
        self.enter(self.inside)
        try:
            return make()
        finally:
            self.enter(self.outside)


class Nat(threading.Thread):
    """Translates datagrams between inside sources and a port of the public address for each; who is not the server gets nothing in."""

    def __init__(self, networks, port):
        super().__init__(daemon=True)
        self.port, self.bindings, self.lost, self.lock = port, {}, 0, threading.Lock()
        self.within = networks.within(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.within.bind((SERVER, port))
        self.start()

    def binding(self, source):
        with self.lock:
            if source not in self.bindings:
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.bind((OUTSIDE, 0))
                self.bindings[source] = s
            return self.bindings[source]

    def forget(self):
        """The bindings time out: what comes for them is lost, and the next datagram from inside gets another port."""
        with self.lock:
            for s in self.bindings.values():
                s.close()
            self.bindings.clear()

    def public(self):
        with self.lock:
            return [s.getsockname() for s in self.bindings.values()]

    def run(self):
        while True:
            with self.lock:
                outer = {s: source for source, s in self.bindings.items()}
            try:
                for s in select.select([self.within, *outer], [], [], 0.02)[0]:
                    data, source = s.recvfrom(65536)
                    if s is self.within:
                        self.binding(source).sendto(data, (SERVER, self.port))
                    elif source == (SERVER, self.port):
                        self.within.sendto(data, outer[s])
            except (OSError, ValueError):
                continue  # a binding was forgotten meanwhile


def stun_request(fingerprint=True):
    head = struct.pack(">HHI12s", 1, 8 if fingerprint else 0, 0x2112A442, os.urandom(12))
    return head + (struct.pack(">HHI", 0x8028, 4, zlib.crc32(head) ^ 0x5354554E) if fingerprint else b"")


def mapped(agent):
    """Where the server sees the phone (RFC 5389 section 15.2)."""
    request = stun_request()
    agent.line.send(request)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([agent.line.socket], [], [], 1)[0]:
            agent.line.send(request)
            continue
        data = agent.line.socket.recv(2048)
        if data[:2] == b"\x01\x01" and data[8:20] == request[8:20]:
            equal(data[20:24], b"\x00\x20\x00\x08", "XOR-MAPPED-ADDRESS")
            port, address = struct.unpack(">HI", data[26:32])
            return socket.inet_ntoa(struct.pack(">I", address ^ 0x2112A442)), port ^ 0x2112
    raise AssertionError("no answer to STUN")


def test_a_phone_behind_a_nat_is_notified_as_long_as_its_flow_lives():
    networks = Networks()
    if not networks.good:
        print("networks of our own need root: skipped")
        return
    for keeps in (stun_request, lambda: b"\r\n\r\n"):
        with Broker(users=("alice", "bob"), conf='listen "udp://192.0.2.1:{nat}" {{ }}\n', ports=("nat",), shards=2) as broker:
            port = broker.ports["nat"]
            nat = Nat(networks, port)
            phone = networks.within(lambda b=broker, p=port: Agent(b, "bob", server=(SERVER, p), source=PHONE))
            phone.own_contact = f"<sip:bob@{phone.line.at()};ob>"  # where nobody outside can send
            alice = Agent(broker, "alice")
            sub = phone.subscribe(alice.aor)
            sub.notification()
            check(nat.public() and mapped(phone) == nat.public()[0], "what STUN says", nat.public())
            for word in ("one", "two"):
                alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, tuple_id=word), etag=None)
                check(word.encode() in sub.notification().body, word)
                phone.line.send(keeps())
            before = nat.public()[0]
            nat.forget()  # its binding was lost: the phone finds out, and refreshes on what is its flow now
            check(mapped(phone) != before, "another port")
            sub.send(600)
            sub.notification()
            alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, tuple_id="three"))
            check(b"three" in sub.notification().body, "three")
            until(lambda: broker.subs()[0]["health"] == "in-sync", "the flow is well")
            check(broker.admin("status")["net"]["stun"] >= 2, "STUN is counted")
            nat.forget()


if __name__ == "__main__":
    run_tests(globals())
    sys.exit(0)
