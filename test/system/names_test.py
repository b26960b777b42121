#!/usr/bin/env python3
"""Names of next hops against the tests' own name server: lookup, fail-over, and name servers that do nobody any good."""
import select
import socket
import ssl
import struct
import tempfile
import threading

from broker import PATIENCE_S, Broker, check, equal, free_port, run_tests, until
from ca import Authority
from sip import Agent, Message, PIDF, pidf, token

A, CNAME, AAAA, SRV, NAPTR = 1, 5, 28, 33, 35


def wire(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


class NameServer:
    """Answers over UDP from `records`: {(name, type): [data]}; `odd` names a way of its own for a name."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.records, self.odd, self.asked, self.alive = {}, {}, [], True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def srv(self, name, *targets):
        self.records[name, SRV] = [struct.pack("!HHH", priority, weight, port) + wire(target)
                                   for priority, weight, port, target in targets]

    def a(self, name, *addresses):
        self.records[name, A] = [socket.inet_aton(address) for address in addresses]

    def naptr(self, name, *rules):
        self.records[name, NAPTR] = [struct.pack("!HH", order, preference) + b"\1s" + bytes([len(service)]) + service.encode() +
                                     b"\0" + wire(replacement) for order, preference, service, replacement in rules]

    def _serve(self):
        while self.alive:
            try:
                data, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            try:
                self._answer(data, peer)
            except (IndexError, struct.error):
                continue

    def _answer(self, data, peer):
        at, labels = 12, []
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        name, kind = ".".join(labels).lower(), struct.unpack("!H", data[at + 1:at + 3])[0]
        question = data[12:at + 5]
        self.asked.append((name, kind))
        odd = self.odd.get(name)
        if odd == "silent":
            return
        if odd == "rubbish":
            self.socket.sendto(data[:2] + b"\x81\x80" + b"\xc0" * 60, peer)
            return
        if odd == "lies":  # of another question, and as if somebody else had asked
            other = wire("other.test") + question[-4:]
            body = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + socket.inet_aton("192.0.2.66")
            for ident, asked in ((data[:2], other), (bytes([data[0] ^ 1, data[1]]), question)):
                self.socket.sendto(ident + b"\x81\x80" + struct.pack("!HHHH", 1, 1, 0, 0) + asked + body, peer)
            return
        if odd == "loop":
            body = wire(name) + struct.pack("!HHIH", CNAME, 1, 60, len(wire(name))) + wire(name)
            self.socket.sendto(data[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, 1, 0, 0) + question + body, peer)
            return
        found = self.records.get((name, kind), [])
        known = any(n == name for n, _ in self.records)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(d)) + d for d in found)
        self.socket.sendto(data[:2] + (b"\x81\x80" if known else b"\x81\x83") +
                           struct.pack("!HHHH", 1, len(found), 0, 0) + question + body, peer)

    def close(self):
        self.alive = False
        self.socket.close()


class Scene:
    """A daemon with a name server, and the port of a phone that a name leads to."""

    def __init__(self, shards=1, timeout="5s"):
        self.dns = NameServer()
        self.broker = Broker(shards=shards, lab=True, conf='names {{ servers = {{ "127.0.0.1:%d" }}  timeout = "%s"  attempts = 2 }}\n'
                             % (self.dns.port, timeout))

    def __enter__(self):
        self.broker.__enter__()
        return self.broker, self.dns

    def __exit__(self, *what):
        try:
            if what[0] is None:
                self.broker.stop()
            return self.broker.__exit__(*what)
        finally:
            self.dns.close()


def port_of(agent):
    return int(agent.line.at().rsplit(":", 1)[1])


def test_a_contact_with_a_name_is_found_by_naptr_srv_and_address():
    with Scene(shards=2) as (broker, dns):
        phone, other = Agent(broker, "phone", lab=True), Agent(broker, "other", lab=True)
        dns.naptr("phones.test", (10, 10, "SIP+D2U", "_sip._udp.phones.test"))
        dns.srv("_sip._udp.phones.test", (10, 0, port_of(other), "host.phones.test"))
        dns.a("host.phones.test", "127.0.0.1")
        phone.own_contact = "<sip:phone@phones.test>"
        phone.subscribe("sip:bob@127.0.0.1")
        check(other.notification().start.startswith("NOTIFY sip:phone@phones.test "), "the NOTIFY goes where the name leads")
        check(("phones.test", NAPTR) in dns.asked, dns.asked)
        phone.quiet(0.2)


def test_a_target_that_is_dead_gives_way_to_the_next():
    with Scene() as (broker, dns):
        phone, living = Agent(broker, "phone", lab=True), Agent(broker, "living", lab=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
            dead.bind(("127.0.0.1", 0))
            dead_port = dead.getsockname()[1]
        # nobody listens there any more: the kernel says so
        dns.srv("_sip._udp.edge.test", (10, 0, dead_port, "host.test"), (20, 0, port_of(living), "host.test"))
        dns.a("host.test", "127.0.0.1")
        phone.own_contact = "<sip:phone@edge.test;transport=udp>"
        phone.subscribe("sip:phone@127.0.0.1")
        living.notification()
        phone.publish("sip:phone@127.0.0.1", "presence", PIDF, pidf("sip:phone@127.0.0.1"))
        check("<basic>open" in living.notification().body.decode(), "the newest state comes there too")
        until(lambda: broker.counters()["targets_failed"] >= 1, "the dead target is counted")


def test_a_stream_that_is_refused_gives_way_to_the_next():
    with Scene() as (broker, dns):
        phone = Agent(broker, "phone", lab=True)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as dead, \
                socket.socket(socket.AF_INET, socket.SOCK_STREAM) as living:
            dead.bind(("127.0.0.1", 0))  # bound and not listening: refused
            living.bind(("127.0.0.1", 0))
            living.listen()
            dns.srv("_sip._tcp.edge.test", (10, 0, dead.getsockname()[1], "host.test"), (20, 0, living.getsockname()[1], "host.test"))
            dns.a("host.test", "127.0.0.1")
            phone.own_contact = "<sip:phone@edge.test;transport=tcp>"
            phone.subscribe("sip:bob@127.0.0.1")
            living.settimeout(PATIENCE_S)
            connection, _ = living.accept()
            connection.settimeout(PATIENCE_S)
            check(connection.recv(65536).startswith(b"NOTIFY sip:phone@edge.test;transport=tcp "), "it comes to the next target")
            connection.close()


def test_name_servers_that_are_silent_or_talk_rubbish_hold_up_nobody():
    with Scene(timeout="200ms") as (broker, dns):
        dns.odd = {"silent.test": "silent", "rubbish.test": "rubbish", "loop.test": "loop", "lies.test": "lies"}
        phone, good = Agent(broker, "phone", lab=True), Agent(broker, "good", lab=True)
        dns.a("many.test", *["127.0.0.1"] * 1000)
        for name in list(dns.odd) + ["unknown.test", "many.test"]:
            phone.own_contact = f"<sip:phone@{name}:{port_of(phone)}>"
            sub = phone.subscribe("sip:bob@127.0.0.1")
            # others are served meanwhile
            good.subscribe("sip:bob@127.0.0.1").notification()
            # a subscriber who came straight is reached at his source when his name leads nowhere
            sub.notification()
        text = broker.admin("metrics")["text"] if "text" in broker.admin("metrics") else ""
        check("herald_names_queries_total" in text, "names are counted", text[:200])


def test_invalid_is_never_asked_for():
    with Scene() as (broker, dns):
        phone = Agent(broker, "phone", lab=True)
        phone.own_contact = "<sip:phone@x7f.invalid>"
        phone.subscribe("sip:bob@127.0.0.1").notification()
        equal(dns.asked, [], "nothing was asked for")


class Edge:
    """A server with TLS that answers each NOTIFY; `pair` is what it shows from now on."""

    def __init__(self, pair):
        self.pair, self.got, self.sessions, self.names = pair, [], [], []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.context = None
        self.ended, self.end = socket.socketpair()  # an octet at `end`: hang up
        self.show(pair)
        threading.Thread(target=self._serve, daemon=True).start()

    def show(self, pair):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.context.sni_callback = lambda s, name, context: self.names.append(name)

    def _serve(self):
        while True:
            try:
                raw, _ = self.socket.accept()
            except OSError:
                return
            try:
                line = self.context.wrap_socket(raw, server_side=True)
                self.sessions.append(line.session_reused)
                self._answer(line)
            except (OSError, ssl.SSLError):
                raw.close()

    def _answer(self, line):
        data = b""
        while True:
            if not line.pending() and self.ended in select.select([line, self.ended], [], [])[0]:
                self.ended.recv(1)
                line.unwrap().close()  # as TLS wants it, so that the session is good for another connection
                return
            piece = line.recv(65536)
            if not piece:
                return
            data += piece
            while b"\r\n\r\n" in data:
                head, rest = data.split(b"\r\n\r\n", 1)
                message = Message(head + b"\r\n\r\n")
                n = int(message.get("content-length"))
                if len(rest) < n:
                    break
                self.got.append(Message(head + b"\r\n\r\n" + rest[:n]))
                data = rest[n:]
                rows = [("Via", v) for v in message.all("via")] + [(k, message.get(k)) for k in ("From", "To", "Call-ID", "CSeq")]
                line.sendall(("SIP/2.0 200 OK\r\n" + "".join(f"{k}: {v}\r\n" for k, v in rows) + "Content-Length: 0\r\n\r\n").encode())

    def hang_up(self):
        """Closes the connection; by the thread that reads from it, two in one connection confuse TLS."""
        self.end.send(b".")

    def close(self):
        for end in (self.socket, self.ended, self.end):
            end.close()


def test_who_answers_by_tls_has_to_be_the_domain_that_was_looked_up():
    with tempfile.TemporaryDirectory(prefix="herald-ca-") as folder:
        authority = Authority(folder)
        right = authority.make("right", alts="DNS:edge.example.test")
        wrong = authority.make("wrong", alts="DNS:host1.example.test,DNS:evil.example.test,IP:127.0.0.1")
        edge, dns = Edge(wrong), NameServer()
        conf = 'names {{ servers = {{ "127.0.0.1:%d" }}  timeout = "5s"  attempts = 2 }}\ntls {{ ca = "%s" }}\n' \
               'limits {{ park_first = 1s  park_most = 1s }}\n' % (dns.port, authority.certificate)
        dns.srv("_sips._tcp.edge.example.test", (1, 1, edge.port, "host1.example.test"))
        dns.a("host1.example.test", "127.0.0.1")
        with Broker(lab=True, conf=conf) as broker:
            phone = Agent(broker, "bob", lab=True)
            phone.own_contact = "<sip:bob@edge.example.test;transport=tls>"
            sub = phone.subscribe("sip:bob@127.0.0.1")
            until(lambda: broker.admin("status")["net"]["unsecured"] >= 1, "the certificate of a host name is refused")
            equal(edge.got, [], "what the wrong one was told")
            edge.show(right)
            sub.send(600)
            until(lambda: edge.got, "the right one is notified")
            equal(set(edge.names), {"edge.example.test"}, "asked for by name")
            until(lambda: broker.subs()[0]["health"] == "in-sync", "nothing is under way")
            edge.hang_up()
            until(lambda: broker.admin("status")["net"]["streams_open"] == 0, "the connection is gone")
            heard = len(edge.got)
            phone.publish("sip:bob@127.0.0.1", "presence", PIDF, pidf("sip:bob@127.0.0.1"))
            sub.send(600)
            until(lambda: len(edge.got) > heard, "notified again")
            equal(edge.sessions[-2:], [False, True], "the session was taken up again")
            phone.close()
        dns.close()
        edge.close()


def test_an_edge_is_reached_by_the_connection_that_it_opened():
    with tempfile.TemporaryDirectory(prefix="herald-ca-") as folder:
        authority, dns, port = Authority(folder), NameServer(), free_port()  # nobody listens there
        dns.a("edge.example.test", "127.0.0.1")
        conf = authority.listen('verify_clients = optional  ca = "%s"  trusted_names = {{ "edge.example.test", "other.example.test" }}'
                                % authority.certificate)
        conf += 'names {{ servers = {{ "127.0.0.1:%d" }} }}\ntls {{ ca = "%s" }}\n' % (dns.port, authority.certificate)

        def proxy(name):
            """Who shows a certificate for name."""
            return Agent(broker, "bob", kind="tls", server=("127.0.0.1", broker.ports["tls"]),
                         tls=authority.client(authority.make(name, alts=f"DNS:{name}.example.test"), check_name=False))

        def subscribe(edge, alias):
            rows = [("Via", f"SIP/2.0/TLS edge.example.test:{port};branch=z9hG4bK{token()}{alias}"),
                    ("Via", "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKphone"),
                    ("Record-Route", f"<sip:edge.example.test:{port};transport=tls;lr>"),
                    ("P-Asserted-Identity", "<sip:bob@127.0.0.1>")]
            return edge.subscribe("sip:bob@127.0.0.1", headers=rows)

        with Broker(conf=conf, ports=("tls",), shards=3) as broker:
            for name, alias in (("edge", ""), ("other", ";alias")):  # who does not say so, or says what is not his
                edge = proxy(name)
                subscribe(edge, alias)
                until(lambda: all(s["health"] == "parked" for s in broker.subs()), "nobody is there")
                edge.quiet(0.2)
                edge.close()
            edge = proxy("edge")
            for _ in range(8):  # on whichever shard each of them is
                sub = subscribe(edge, ";alias")
                check("<basic>closed</basic>" in sub.notification().body.decode(), "the NOTIFY")
            equal(broker.admin("status")["net"]["streams_opened"], 0, "connections that herald opened")
            edge.close()
        dns.close()


def test_an_end_with_open_questions_is_clean():
    with Scene(timeout="5s") as (broker, dns):
        dns.odd = {"silent.test": "silent"}
        phone = Agent(broker, "phone", lab=True)
        phone.own_contact = "<sip:phone@silent.test>"
        phone.subscribe("sip:bob@127.0.0.1")
        until(lambda: dns.asked, "it is asked for")


if __name__ == "__main__":
    run_tests(globals())
