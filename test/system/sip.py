"""A small SIP user agent for tests: it says exactly what a test wants it to say, right or wrong."""
import hashlib
import random
import re
import select
import socket
import time

from broker import PATIENCE_S, Failed, check, equal
from web import WebSocket

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type",
           "o": "event", "u": "allow-events", "k": "supported", "e": "content-encoding"}


def token(n=10):
    return "".join(random.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(n))


class Message:
    """A parsed message; header names in lower case, in order."""

    def __init__(self, data):
        self.data = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        self.start = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((COMPACT.get(name, name), value.strip()))
        self.is_response = self.start.startswith("SIP/2.0 ")
        self.status = int(self.start.split(" ", 2)[1]) if self.is_response else 0
        self.reason = self.start.split(" ", 2)[2] if self.is_response else ""
        self.method = "" if self.is_response else self.start.split(" ", 1)[0]

    def all(self, name):
        return [v for n, v in self.headers if n == name.lower()]

    def get(self, name, default=""):
        values = self.all(name)
        return values[0] if values else default

    @property
    def branch(self):
        found = re.search(r";branch=([^;,\s]+)", self.get("via"))
        return found.group(1) if found else ""

    @property
    def cseq(self):
        return int(self.get("cseq").split()[0])

    @property
    def to_tag(self):
        found = re.search(r";tag=([^;\s]+)", self.get("to").split(">")[-1])
        return found.group(1) if found else ""

    @property
    def expires(self):
        return int(self.get("expires", "-1"))

    def substate(self):
        """("active", {"expires": "600"}) of Subscription-State."""
        state, *params = [p.strip() for p in self.get("subscription-state").split(";")]
        return state, dict(p.split("=", 1) if "=" in p else (p, "") for p in params)

    def __repr__(self):
        return self.data.decode("utf-8", "replace")


class Transport:
    """One socket to the broker."""

    def __init__(self, kind, server, source="127.0.0.1", tls=None, name=None):
        self.kind, self.server = kind, server  # tls: an ssl.SSLContext for kinds "tls" and "wss"
        self.buffer, self.closed, self.where = b"", False, None
        if kind in ("ws", "wss"):  # where a browser is cannot be known: RFC 7118 writes a name that leads nowhere
            self.web = WebSocket(server, tls, name)
            self.socket, self.where = self.web.socket, token(8) + ".invalid"
        else:
            self.socket = self._connect(source)
            if tls:
                self.socket = tls.wrap_socket(self.socket, server_hostname=name or server[0])
        self.host, self.port = self.socket.getsockname()[:2]

    def _connect(self, source):
        family = socket.AF_INET6 if ":" in self.server[0] else socket.AF_INET
        if family == socket.AF_INET6 and ":" not in source:
            source = "::1"
        line = socket.socket(family, socket.SOCK_DGRAM if self.kind == "udp" else socket.SOCK_STREAM)
        line.bind((source, 0))
        line.settimeout(PATIENCE_S)
        if self.kind != "udp":
            line.connect(self.server)
        return line

    def at(self):
        if self.where:
            return self.where
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def send(self, data):
        if self.kind == "udp":
            self.socket.sendto(data, self.server)
        elif self.kind in ("ws", "wss"):
            self.web.frame(0x81, data)
        else:
            self.socket.sendall(data)

    def receive(self, timeout_s=PATIENCE_S):
        """The next message, or None when nothing came in time or the connection is closed."""
        end = time.monotonic() + timeout_s
        while True:
            if self.kind in ("tcp", "tls"):
                message = self._take()
                if message:
                    return message
            left = end - time.monotonic()
            if left <= 0 or self.closed or not self._readable(left):
                return None
            if self.kind in ("ws", "wss"):
                message = self._frame()
                if message:
                    return message
                continue
            try:
                data = self.socket.recv(65536)
            except OSError:
                data = b""
            if self.kind == "udp":
                return Message(data)
            if not data:
                self.closed = True
            self.buffer += data

    def _frame(self):
        """The next message of a WebSocket, None for another frame or the end."""
        try:
            first, payload = self.web.read_frame()
        except (Failed, OSError):
            self.closed = True
            return None
        if first == 0x89:
            self.web.frame(0x8a, payload)
        return Message(payload) if first in (0x81, 0x82) and payload.strip(b"\r\n") else None

    def _readable(self, for_s):
        """Whether something can be read within a time; TLS may hold octets that the socket does not show any more."""
        if self.kind in ("ws", "wss") and self.web.buffer:
            return True
        return getattr(self.socket, "pending", lambda: 0)() or select.select([self.socket], [], [], for_s)[0]

    def _take(self):
        while self.buffer.startswith(b"\r\n"):
            self.pongs = getattr(self, "pongs", 0) + 1
            self.buffer = self.buffer[2:]
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
        check(length, "a message on a stream without Content-Length:", head)
        n = int(length.group(1))
        if len(rest) < n:
            return None
        self.buffer = rest[n:]
        return Message(head + b"\r\n\r\n" + rest[:n])

    def wait_closed(self, timeout_s=PATIENCE_S):
        end = time.monotonic() + timeout_s
        while not self.closed and time.monotonic() < end:
            self.receive(0.2)
        return self.closed

    def close(self):
        self.socket.close()


def digest(challenge, method, uri, user, password, nc=1, algorithm=None):
    """The Authorization value for a WWW-Authenticate value."""
    p = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    algorithm = algorithm or p.get("algorithm", "MD5")
    hash_ = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

    def h(text):
        return hash_(text.encode()).hexdigest()

    ha1, ha2 = h(f"{user}:{p['realm']}:{password}"), h(f"{method}:{uri}")
    base = f'Digest username="{user}", realm="{p["realm"]}", nonce="{p["nonce"]}", uri="{uri}", algorithm={algorithm}'
    if "qop" not in p:
        return base + ', response="' + h(":".join((ha1, p["nonce"], ha2))) + '"'
    cnonce = token()
    response = h(":".join((ha1, p["nonce"], f"{nc:08x}", cnonce, "auth", ha2)))
    return f'{base}, response="{response}", qop=auth, nc={nc:08x}, cnonce="{cnonce}"'


class Agent:
    """A user at a transport.  NOTIFY requests that come while it waits for something else are kept in `inbox`; each is answered
    as `answer(message)` says: a status, or None for no answer."""

    def __init__(self, broker, user, password=None, kind="udp", lab=False, server=None, source="127.0.0.1", domain="127.0.0.1",
                 tls=None, name=None):
        server = server or ("127.0.0.1", broker.lab if lab else broker.port)
        self.user, self.domain = user, domain
        self.password = password if password or lab or not broker else broker.passwords.get(user)
        self.line = Transport(kind, server, source, tls, name)
        self.inbox = []
        self.answer = lambda message: 200
        self.seen = set()
        self.duplicates = 0
        self.tag = token()
        self.call_id = token(16)
        self.cseq = random.randrange(1, 1000)
        self.challenge = None
        self.nc = 0
        self.own_contact = None  # what to say instead of where we are

    @property
    def aor(self):
        return f"sip:{self.user}@{self.domain}"

    @property
    def contact(self):
        kind = "ws" if self.line.kind == "wss" else self.line.kind
        return self.own_contact or f"<sip:{self.user}@{self.line.at()};transport={kind}>"

    def build(self, method, uri, headers=(), body=b"", to=None, branch=None, cseq=None, drop=(), call_id=None, tag=None):
        """The octets of a request; `headers` replace ours of the same name, `drop` leaves some out."""
        body = body.encode() if isinstance(body, str) else body
        cseq = self.cseq if cseq is None else cseq
        rows = [("Via", f"SIP/2.0/{self.line.kind.upper()} {self.line.at()};branch={branch or 'z9hG4bK' + token(16)};rport"),
                ("Max-Forwards", "70"), ("From", f"<{self.aor}>;tag={tag or self.tag}"), ("To", to or f"<{uri}>"),
                ("Call-ID", call_id or self.call_id), ("CSeq", f"{cseq} {method}")]
        if method in ("SUBSCRIBE", "REGISTER"):
            rows.append(("Contact", self.contact))
        own = {n.lower() for n, _ in headers}
        rows = [(n, v) for n, v in rows if n.lower() not in own and n.lower() not in {d.lower() for d in drop}]
        rows += list(headers)
        if "content-length" not in own and "content-length" not in {d.lower() for d in drop}:
            rows.append(("Content-Length", str(len(body))))
        head = f"{method} {uri} SIP/2.0\r\n" + "".join(f"{n}: {v}\r\n" for n, v in rows) + "\r\n"
        return head.encode("utf-8", "surrogateescape") + body

    def take(self, timeout_s=PATIENCE_S):
        """The next message that came; NOTIFYs are answered and kept."""
        message = self.line.receive(timeout_s)
        if message and message.method == "NOTIFY":
            key = (message.get("call-id"), message.branch)
            if key in self.seen:
                self.duplicates += 1
            else:
                self.seen.add(key)
                self.inbox.append(message)
            status = self.answer(message)
            if status:
                self.reply(message, status)
        return message

    def reply(self, request, status, headers=(), reason="Said By Test"):
        rows = [("Via", v) for v in request.all("via")]
        rows += [("From", request.get("from")), ("To", request.get("to")), ("Call-ID", request.get("call-id")),
                 ("CSeq", request.get("cseq")), ("Contact", self.contact)] + list(headers) + [("Content-Length", "0")]
        text = f"SIP/2.0 {status} {'OK' if status == 200 else reason}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in rows) + "\r\n"
        self.line.send(text.encode("utf-8", "surrogateescape"))

    def exchange(self, data, timeout_s=PATIENCE_S):
        """Sends a request and waits for its final response.  Over UDP it repeats it, later than Timer E does: loopback loses next
        to nothing, and what a daemon under load has not answered yet would be there twice for a test that counts."""
        request = Message(data)
        end, again = time.monotonic() + timeout_s, 4
        self.line.send(data)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise Failed("no answer to", request.start)
            wait = min(left, again) if self.line.kind == "udp" else left
            message = self.take(wait)
            if message is None:
                check(not self.line.closed, "the connection was closed instead of an answer to", request.start)
                if self.line.kind == "udp" and time.monotonic() < end:
                    again = min(again * 2, 16)
                    self.line.send(data)
                continue
            if message.is_response and message.branch == request.branch and message.status >= 200 and \
                    message.get("cseq") == request.get("cseq"):
                return message

    def ask(self, method, uri=None, headers=(), body=b"", **more):
        """A request with digest when it is asked for: the final response."""
        uri = uri or self.aor
        for attempt in range(3):
            extra = list(headers)
            if self.challenge and self.password:
                self.nc += 1
                extra.append(("Authorization", digest(self.challenge, method, uri, self.user, self.password, self.nc)))
            if "cseq" not in more or attempt:
                self.cseq += 1
                more["cseq"] = self.cseq
            response = self.exchange(self.build(method, uri, extra, body, **more))
            if response.status != 401 or not self.password:
                return response
            if self.challenge and "stale=true" not in response.get("www-authenticate").lower() and attempt:
                return response
            self.challenge, self.nc = response.get("www-authenticate"), 0
        return response

    def notification(self, timeout_s=PATIENCE_S):
        """The next NOTIFY."""
        end = time.monotonic() + timeout_s
        while not self.inbox:
            left = end - time.monotonic()
            check(left > 0, "no NOTIFY came")
            self.take(left)
        return self.inbox.pop(0)

    def quiet(self, for_s):
        """Nothing new comes for a while."""
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            self.take(end - time.monotonic())
        check(not self.inbox, "came although nothing was due:", self.inbox)

    # --- what most tests do --------------------------------------------------------------------

    def subscribe(self, resource, package="presence", expires=600, headers=(), **more):
        return Subscription(self, resource, package, expires, headers, **more)

    def publish(self, resource, package, content_type, body, etag=None, expires=600, expect=200, headers=()):
        rows = [("Event", package), ("Expires", str(expires))] + list(headers)
        if etag:
            rows.append(("SIP-If-Match", etag))
        if body:
            rows.append(("Content-Type", content_type))
        self.call_id, self.tag = token(16), token()
        response = self.ask("PUBLISH", resource, rows, body)
        equal(response.status, expect, f"PUBLISH: {response.reason}")
        return response

    def close(self):
        self.line.close()


class Subscription:
    """A dialog of SUBSCRIBE."""

    def __init__(self, agent, resource, package, expires, headers, expect=200):
        self.agent, self.resource, self.package = agent, resource, package
        self.call_id, self.tag, self.remote = token(16), token(), None
        self.target, self.routes = resource, []
        self.response = self.send(expires, headers, expect)

    def send(self, expires, headers=(), expect=200):
        rows = [("Event", self.package)] + ([("Expires", str(expires))] if expires is not None else []) + list(headers)
        rows += [("Route", route) for route in self.routes]
        to = f"<{self.resource}>" + (f";tag={self.remote}" if self.remote else "")
        response = self.agent.ask("SUBSCRIBE", self.target, rows, to=to, call_id=self.call_id, tag=self.tag)
        equal(response.status, expect, f"SUBSCRIBE: {response.reason}")
        if response.status == 200:
            if not self.remote:
                self.routes = [r.strip() for field in response.all("record-route") for r in field.split(",")][::-1]
            self.remote = response.to_tag
            self.target = re.search(r"<([^>]+)>", response.get("contact")).group(1)
        return response

    def notification(self, timeout_s=PATIENCE_S):
        """The next NOTIFY of this dialog."""
        end = time.monotonic() + timeout_s
        while True:
            for message in self.agent.inbox:
                if message.get("call-id") == self.call_id:
                    self.agent.inbox.remove(message)
                    return message
            left = end - time.monotonic()
            check(left > 0, "no NOTIFY came in dialog", self.call_id)
            self.agent.take(left)


def pidf(entity, basic="open", tuple_id="t1", note=""):
    note = f"<note>{note}</note>" if note else ""
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{entity}">'
            f'<tuple id="{tuple_id}"><status><basic>{basic}</basic></status>{note}</tuple></presence>\n')


PIDF = "application/pidf+xml"
MWI = "application/simple-message-summary"
