#!/usr/bin/env python3
"""The torture messages of RFC 4475 and RFC 5118 against the daemon, octet for octet, over UDP and TCP, and the same faults in SUBSCRIBE,
PUBLISH and responses to NOTIFY."""
import os
import re
import select
import socket
import time

from broker import PATIENCE_S, ROOT, Broker, check, equal, run_tests, until
from sip import Agent, Message, Transport

DATA = os.path.join(ROOT, "test", "data", "torture")
DOMAINS = 'domains = {{ "127.0.0.1", "example.com", "company.com", "chair-dnrc.example.com", "example.net", "biloxi.example.com" }}\n'
CONF = DOMAINS + 'limits {{ failures_burst = 0 }}\n'
# An address of our own: answers go to the ports that the messages name in Via.
SOURCE = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.7"

# Name: status over UDP, and what happens on a stream: the same answer, another, "waits", "closes".  0: dropped and counted.  (dblreq is
# two requests on a stream; octets behind the second close it, perhaps before the store has kept what the first one asks for.)
RFC_4475 = {
    # 3.1.1 valid
    "wsinv": (405, "same"), "intmeth": (501, "same"), "esc01": (405, "same"), "escnull": (200, "same"), "esc02": (501, "same"),
    "lwsdisp": (200, "same"), "longreq": (405, "same"), "dblreq": (200, (200, 405, "closes")), "semiuri": (200, "same"), "transports": (200, "same"),
    "mpart01": (405, "same"), "unreason": (0, "same"), "noreason": (0, "same"),
    # 3.1.2 invalid
    "badinv01": (400, "same"), "clerr": (400, "waits"), "ncl": (400, "closes"), "scalar02": (400, "same"), "scalarlg": (0, "same"),
    "quotbal": (400, "same"), "ltgtruri": (400, "same"), "lwsruri": (400, "same"), "lwsstart": (400, "same"), "trws": (400, "same"),
    "escruri": (405, "same"), "baddate": (405, "same"), "regbadct": (400, "same"), "badaspec": (400, "same"), "baddn": (400, "same"),
    "badvers": (505, "same"), "mismatch01": (400, "same"), "mismatch02": (501, "same"), "bigcode": (0, "same"),
    # 3.2, 3.3, 3.4
    "badbranch": (200, "same"), "insuf": (400, "same"), "unkscm": (416, "same"), "novelsc": (416, "same"), "unksm2": (400, "same"),
    "bext01": (420, "same"), "invut": (405, "same"), "regaut01": (200, "same"), "multi01": (400, "same"), "mcl01": (400, "closes"),
    "bcast": (0, "same"), "zeromf": (200, "same"), "cparam01": (200, "same"), "cparam02": (200, "same"), "regescrt": (200, "same"),
    "sdp01": (405, "same"), "inv2543": (405, "closes"),
}
RFC_5118 = {
    "ipv6-good": 404, "ipv6-bad": 400, "port-ambiguous": 404, "port-unambiguous": 404, "via-received-param-with-delim": 405,
    "via-received-param-no-delim": 200, "ipv6-in-sdp": 405, "mult-ip-in-header": 405, "mult-ip-in-sdp": 405, "ipv4-mapped-ipv6": 405,
    "ipv6-bug-abnf-3-colons": 200, "ipv6-correct-abnf-2-colons": 200,
}


def read_4475(name):
    with open(os.path.join(DATA, "rfc4475", name + ".dat"), "rb") as file:
        return file.read()


def read_5118(name):
    """The archive has bare line feeds, two messages without their empty line, and a body that is too short: as the RFC prints them."""
    with open(os.path.join(DATA, "rfc5118", name), "rb") as file:
        data = file.read().replace(b"\n", b"\r\n")
    head, found, rest = data.partition(b"\r\n\r\n")
    head = head if found else head.rstrip(b"\r\n")
    n = int(re.search(rb"Content-Length: *(\d+)", head).group(1))
    return head + b"\r\n\r\n" + rest[:n] + b"\n" * (n - len(rest))


class Ears:
    """Sockets on the ports of our address that answers may go to (RFC 3261 18.2.2)."""

    def __init__(self, messages):
        ports = {5060}
        for data in messages:
            ports |= {int(p) for p in re.findall(rb"(?im)^(?:via|v)[^\r\n]*?:[ \t]*(\d{4,5})\b", data) if 1024 <= int(p) < 65536}
        self.sockets = []
        for port in sorted(ports):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((SOURCE, port))
            self.sockets.append(s)

    def send(self, data, server):
        self.sockets[0].sendto(data, server)

    def hear(self, timeout_s):
        ready = select.select(self.sockets, [], [], timeout_s)[0]
        return Message(ready[0].recv(65536)) if ready else None

    def close(self):
        for s in self.sockets:
            s.close()


def counted(broker):
    counters = broker.counters()
    return counters["malformed"] + counters["strays"]


def transaction(data):
    """What makes it (RFC 3261 17.2.3): several messages of RFC 5118 share it, so that a second would be answered as the first was."""
    return data.split(b" ", 1)[0], re.search(rb"branch=[^\s;,]+", data).group(0)


def apart(messages):
    """In groups without two of one transaction."""
    groups = []
    for name, data in messages.items():
        for group in groups:
            if transaction(data) not in {transaction(d) for d in group.values()}:
                group[name] = data
                break
        else:
            groups.append({name: data})
    return groups


def statuses(ears, broker, data, expected):
    """Sends one; the final status that comes, 0 when it was counted as dropped."""
    before = counted(broker)
    ears.send(data, ("127.0.0.1", broker.lab))
    if not expected:
        until(lambda: counted(broker) > before, "counted as dropped")
    end = time.monotonic() + (PATIENCE_S if expected else 0.05)
    while time.monotonic() < end:
        message = ears.hear(end - time.monotonic())
        if message:
            return message.status
    return 0


def test_rfc_4475_over_udp():
    messages = {name: read_4475(name) for name in RFC_4475}
    equal(sorted(f[:-4] for f in os.listdir(os.path.join(DATA, "rfc4475"))), sorted(RFC_4475), "messages")
    with Broker(shards=2, conf=CONF, lab=True) as broker:
        ears = Ears(messages.values())
        wrong = []
        for name, (status, _) in RFC_4475.items():
            got = statuses(ears, broker, messages[name], status)
            if got != status:
                wrong.append(f"{name}: {got}, not {status}")
        check(not wrong, wrong)
        ears.close()
        equal(Agent(broker, "alice", lab=True).ask("OPTIONS", "sip:127.0.0.1").status, 200, "OPTIONS at the end")


def test_rfc_5118_over_udp():
    wrong = []
    for messages in apart({name: read_5118(name) for name in RFC_5118}):
        with Broker(shards=2, conf=CONF, lab=True) as broker:
            ears = Ears(messages.values())
            for name, data in messages.items():
                got = statuses(ears, broker, data, RFC_5118[name])
                if got != RFC_5118[name]:
                    wrong.append(f"{name}: {got}, not {RFC_5118[name]}")
            ears.close()
    check(not wrong, wrong)


def on_a_stream(broker, data, expected, whole=True):
    """What a stream brings: the status, "closes", or "waits"."""
    line = Transport("tcp", ("127.0.0.1", broker.lab))
    before = counted(broker)
    # A request of ours behind it is answered as well, unless it was taken for its body, or the stream is closed.
    probe = Agent(broker, "probe", lab=True, kind="tcp")
    probe.line.close()
    probe.line = line
    try:
        for i in range(0, len(data), len(data) if whole else 7):  # whole, or in pieces that respect nothing
            line.send(data[i:i + (len(data) if whole else 7)])
        line.send(probe.build("OPTIONS", "sip:127.0.0.1", call_id="probe"))
    except OSError:
        pass  # it is closed already; what was said before that can be read
    wanted = set(expected) if isinstance(expected, tuple) else {expected}
    end, came, probed = time.monotonic() + 20, [], False
    while time.monotonic() < end and not (wanted & set(came) or (probed and not expected)):
        message = line.receive(0.5 if expected == "waits" else end - time.monotonic())
        if line.closed:
            break
        if message is None:
            break
        if message.get("call-id") == "probe":
            probed = True
        else:
            came.append(message.status)  # dblreq is two requests
    line.close()
    if wanted & set(came):
        return expected
    if came:
        return came[0]
    if line.closed:
        return expected if "closes" in wanted else "closes"
    return "waits" if not probed else 0 if counted(broker) > before else "nothing"


def test_rfc_4475_over_tcp():
    with Broker(shards=2, conf=CONF, lab=True) as broker:
        wrong = []
        for name, (status, stream) in RFC_4475.items():
            for whole in (True, False):
                expected = status if stream == "same" else stream
                got = on_a_stream(broker, read_4475(name), expected, whole)
                if got != expected and not (stream == "closes" and got == status):
                    wrong.append(f"{name}: {got}, not {expected}")
        check(not wrong, wrong)


def test_rfc_5118_over_tcp():
    wrong = []
    for messages in apart({name: read_5118(name) for name in RFC_5118}):
        with Broker(shards=2, conf=CONF, lab=True) as broker:
            for name, data in messages.items():
                got = on_a_stream(broker, data, RFC_5118[name])
                if got != RFC_5118[name]:
                    wrong.append(f"{name}: {got}, not {RFC_5118[name]}")
    check(not wrong, wrong)


# --- the same faults in requests that have state -------------------------------------------------

def carry(data, method):
    """A request of RFC 4475 as another method, with what that needs."""
    lines = data.split(b"\r\n", 1)
    words = lines[0].split(b" ")
    old, words[0] = words[0], method
    extra = b"\r\nEvent: presence\r\nExpires: 600\r\n"
    rest = re.sub(rb"(?im)^(cseq[ \t]*:\s*\d+\s+)" + re.escape(old) + rb"(?=\s*$)", rb"\g<1>" + method, lines[1])
    rest = re.sub(rb"(?im)^(event|o|expires)[ \t]*:.*\r\n", b"", rest)
    return b" ".join(words) + extra + rest


def test_faults_of_rfc_4475_are_the_same_in_subscribe_and_publish():
    with Broker(shards=2, conf=CONF, lab=True) as broker:
        names = [n for n, (status, _) in RFC_4475.items() if status in (400, 505, 416, 420) and not read_4475(n).startswith(b"SIP/")]
        check(len(names) >= 20, names)
        faults = {n: (RFC_4475[n][0], read_4475(n)) for n in names}
        faults["ipv6-bad"] = (RFC_5118["ipv6-bad"], read_5118("ipv6-bad"))
        messages = {(n, m): carry(faults[n][1], m) for n in faults for m in (b"SUBSCRIBE", b"PUBLISH")}
        ears = Ears(messages.values())
        wrong = []
        for (name, method), data in messages.items():
            status = faults[name][0]
            got = statuses(ears, broker, data, status)
            if name == "regbadct" and method == b"PUBLISH":
                status = 403  # its Contact is nobody's business then
            if got != status:
                wrong.append(f"{name} as {method.decode()}: {got}, not {status}")
        check(not wrong, wrong)
        equal(broker.subs() + broker.pubs(), [], "nothing is kept of them")
        ears.close()


# --- and in responses ----------------------------------------------------------------------------

def swap(old, new):
    return lambda data: re.sub(old, new, data, count=1)


GOOD, DROPPED, STRAY = "taken", "malformed", "stray"
RESPONSES = {
    "as it should be": (GOOD, lambda d: d),
    "no reason phrase": (GOOD, swap(rb" OK\r\n", b" \r\n")),
    "a reason phrase in Cyrillic": (GOOD, swap(rb" OK\r\n", b" \xd0\x9e\xd0\xba\r\n")),
    "compact and folded headers": (GOOD, lambda d: d.replace(b"\r\nFrom: ", b"\r\nf:\r\n ").replace(b"\r\nCall-ID: ", b"\r\ni :\t")),
    "unknown headers": (GOOD, swap(rb"\r\nCSeq", b"\r\nX-%41: \xff\x80\"\r\nCSeq")),
    "a Contact that is none": (GOOD, swap(rb"\r\nCSeq", b"\r\nContact: <<>>\r\nCSeq")),
    "no From": (GOOD, swap(rb"\r\nFrom: [^\r]*", b"")),
    "a status above all": (DROPPED, swap(rb"^SIP/2.0 200", b"SIP/2.0 4294967301")),
    "a status of two digits": (DROPPED, swap(rb"^SIP/2.0 200", b"SIP/2.0 20")),
    "another version": (DROPPED, swap(rb"^SIP/2.0", b"SIP/7.0")),
    "a CSeq above 2^31": (DROPPED, swap(rb"\r\nCSeq: \d+", b"\r\nCSeq: 36893488147419103232")),
    "a CSeq that is no number": (DROPPED, swap(rb"\r\nCSeq: \d+", b"\r\nCSeq: x")),
    "a CSeq of another method": (STRAY, swap(rb"(\r\nCSeq: \d+) NOTIFY", rb"\1 INVITE")),
    "two CSeqs": (DROPPED, swap(rb"\r\nCSeq", b"\r\nCSeq: 1 NOTIFY\r\nCSeq")),
    "no Via": (DROPPED, swap(rb"\r\nVia: [^\r]*", b"")),
    "two Vias": (STRAY, swap(rb"(\r\nVia: [^\r]*)", rb"\1\1")),
    "a Via of somebody else": (STRAY, swap(rb"(\r\nVia: SIP/2.0/UDP )[^;]*", rb"\g<1>192.0.2.9:5060")),
    "another branch": (STRAY, swap(rb";branch=z9hG4bK...", b";branch=z9hG4bKabc")),
    "no branch": (STRAY, swap(rb";branch=[^;\r]*", b"")),
    "a Content-Length that is too large": (DROPPED, swap(rb"Content-Length: 0", b"Content-Length: 7")),
    "a Content-Length below 0": (DROPPED, swap(rb"Content-Length: 0", b"Content-Length: -1")),
    "two Content-Lengths": (DROPPED, swap(rb"\r\nContent-Length: 0", b"\r\nContent-Length: 0\r\nl: 5")),
    "a bare line feed": (DROPPED, swap(rb"\r\nCSeq", b"\nCSeq")),
    "a NUL": (DROPPED, swap(rb"\r\nCSeq", b"\r\nX: \0\r\nCSeq")),
    "no empty line": (DROPPED, lambda d: d[:-2]),
    "a blank in front of it": (DROPPED, lambda d: b" " + d),
}


def response_of(agent, notify):
    kept, sent = agent.line.send, []
    agent.line.send = sent.append
    agent.reply(notify, 200)
    agent.line.send = kept
    return sent[0]


def test_faults_in_responses_to_notify():
    with Broker(shards=2, conf=CONF, lab=True) as broker:
        wrong = []
        for name, (fate, fault) in RESPONSES.items():
            alice = Agent(broker, "alice", lab=True)
            alice.answer = lambda message: None
            watch = alice.subscribe(alice.aor)
            notify = watch.notification()
            before = broker.counters()
            alice.line.send(fault(response_of(alice, notify)))

            def moved(name_of):
                return broker.counters()[name_of] - before[name_of]

            until(lambda: moved("notifies_answered") + moved("malformed") + moved("strays") > 0, name)
            got = GOOD if moved("notifies_answered") else DROPPED if moved("malformed") else STRAY
            if got != fate:
                wrong.append(f"{name}: {got}, not {fate}")
            alice.answer = lambda message: 200
            watch.send(0)
            alice.close()
        check(not wrong, wrong)


if __name__ == "__main__":
    run_tests(globals())
