"""Load for a daemon that is killed: subscribers, publishers and phones that register, over UDP without a library between.

Each of them has at most one request under way and notes every answer.  When the daemon is gone, what was answered is what
must be there at the next start; what was not may be there or not, and is asked again with the same octets, as RFC 3261
wants it, and must then be answered as if nothing had happened.
"""
import os
import random
import re
import select
import signal
import socket
import time

from broker import PATIENCE_S, Failed, check, equal, until
from sip import Message, token

PACKAGE = "x-state"
CONF = 'package "x-state" {{ types = {{ "text/plain" }}  authorisation = allow  min_expires = 1  compose = latest }}\n' \
       'limits {{ expires_jitter = 0% }}\n'
DOMAIN = "127.0.0.1"
HOUR_S = 3600  # contacts outlive the test: whether they are refreshed is left to chance
KNOWN_S = 32  # an end is known for so long (64*T1); on a machine that is busy some of them are gone


class Request:
    """One request under way."""

    def __init__(self, owner, data, done):
        self.owner, self.data, self.done = owner, data, done
        self.branch = Message(data).branch
        self.sent = self.next = time.monotonic()
        self.interval = 0.5


class Line:
    """One socket, which many share as phones behind a small office do."""

    def __init__(self, world):
        self.world = world
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.at = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.open = {}  # branch -> Request

    def send(self, data):
        self.socket.sendto(data, self.world.server)

    def begin(self, request):
        self.open[request.branch] = request
        self.send(request.data)
        request.next = time.monotonic() + request.interval

    def hurry(self):
        """The daemon is there again: what was not answered is asked again at once, as if its time had come."""
        for request in self.open.values():
            request.interval, request.next = 0.5, 0

    def again(self, now):
        for request in self.open.values():
            if request.next <= now:
                request.interval = min(request.interval * 2, 4)
                request.next = now + request.interval
                self.send(request.data)

    def receive(self):
        """Everything that is there; whether there was something."""
        some = False
        while True:
            try:
                data = self.socket.recv(65536)
            except (BlockingIOError, ConnectionRefusedError):
                return some
            some = True
            message = Message(data)
            if message.method == "NOTIFY":
                self.world.notified(self, message)
            elif message.is_response and message.status >= 200:
                request = self.open.pop(message.branch, None)
                if request:
                    request.owner.busy = None
                    request.done(message)


class Owner:
    """Who has requests: one at a time."""

    def __init__(self, world):
        self.world, self.line = world, random.choice(world.lines)
        self.busy = None
        self.last = None  # (octets, answer, when it was asked first) of the newest that was answered
        self.history = []  # what happened, for a test that fails

    def ask(self, method, uri, rows, body="", to=None, call_id=None, tag=None, cseq=1, done=None):
        head = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {self.line.at};branch=z9hG4bK{token(16)};rport",
                "Max-Forwards: 70", f"From: <sip:{self.user}@{DOMAIN}>;tag={tag}", f"To: {to or f'<{uri}>'}",
                f"Call-ID: {call_id}", f"CSeq: {cseq} {method}", *rows, f"Content-Length: {len(body)}"]
        data = ("\r\n".join(head) + "\r\n\r\n" + body).encode()

        asked = time.monotonic()

        def answered(message):
            self.last = (data, message, asked)
            self.history.append(f"{time.monotonic():.3f} {message.status} to {method} CSeq {cseq} To-tag {message.to_tag}")
            done(message)

        self.history.append(f"{time.monotonic():.3f} {method} CSeq {cseq} {call_id} {to}")
        self.busy = Request(self, data, answered)
        self.line.begin(self.busy)

    def fine(self, message, what):
        check(message.status == 200, what, "was answered", message.start, "\n", self.world.story(), "\n", self.line.at, vars(self))


class Watcher(Owner):
    """A subscription, or what is left of one."""

    def __init__(self, world, resource, number):
        super().__init__(world)
        self.resource, self.user = resource, f"w{number}"
        self.forget()

    def forget(self):
        self.alive = False
        self.remote = None
        self.call_id, self.tag, self.cseq = token(20), token(), 0
        self.seen_cseq, self.body = 0, None
        self.seen_branches = set()
        self.last_notified = 0

    def subscribe(self, expires):
        self.cseq += 1
        to = f"<{self.resource.uri}>" + (f";tag={self.remote}" if self.remote else "")

        def done(message):
            self.fine(message, f"SUBSCRIBE ({'in' if self.remote else 'no'} dialog, expires {expires})")
            equal(message.expires, expires, "granted")
            if self.remote:
                equal(message.to_tag, self.remote, "To-tag")
            self.remote = message.to_tag
            self.target = re.search(r"<([^>]+)>", message.get("contact")).group(1)
            self.alive = expires > 0
            if not self.alive:
                self.world.ended.append((self.call_id, self.tag, self.remote, self.cseq, self.target, self))

        self.world.dialogs[self.call_id] = self
        self.ask("SUBSCRIBE", self.target if self.remote else self.resource.uri,
                 [f"Event: {PACKAGE}", f"Expires: {expires}", f"Contact: <sip:{self.user}@{self.line.at}>"],
                 to=to, call_id=self.call_id, tag=self.tag, cseq=self.cseq, done=done)

    def act(self):
        if not self.alive:
            self.forget()
            self.subscribe(600)
        elif random.random() < 0.15:
            self.subscribe(0)
        else:
            self.subscribe(random.choice((300, 600, 900)))

    def notified(self, message):
        """A NOTIFY of this dialog; a repetition is the same to the octet.  One of a dialog that is over says nothing any more."""
        if message.get("call-id") != self.call_id:
            return False
        cseq, branch = message.cseq, message.branch
        self.history.append(f"{time.monotonic():.3f} NOTIFY {cseq} {message.get('from')} {message.get('subscription-state')} {branch}")
        if branch in self.seen_branches:
            check(cseq <= self.seen_cseq, "one branch, two CSeq", message)
            return False
        check(cseq > self.seen_cseq, "CSeq does not grow: had", self.seen_cseq, "\n", message, self.world.story(),
              "\n".join(self.history[-12:] + self.world.history[-4:]))
        self.seen_cseq = cseq
        self.seen_branches.add(branch)
        self.body = message.body.decode()
        self.last_notified = time.monotonic()
        return True


class Publisher(Owner):
    """The one publication of a resource."""

    def __init__(self, world, number):
        super().__init__(world)
        self.user = f"r{number}"
        self.uri = f"sip:{self.user}@{DOMAIN}"
        self.etag, self.doc, self.n, self.cseq = None, None, 0, 0
        self.call_id, self.tag = token(20), token()

    def publish(self, expires=600, doc=None, etag=None):
        self.cseq += 1
        rows = [f"Event: {PACKAGE}", f"Expires: {expires}"]
        if etag:
            rows.append(f"SIP-If-Match: {etag}")
        if doc:
            rows.append("Content-Type: text/plain")

        def done(message):
            self.fine(message, f"PUBLISH ({'with ' + etag if etag else 'initial'}, expires {expires})")
            if expires == 0:
                self.world.removed.append((self, etag))
                self.etag = self.doc = None
                return
            self.etag = message.get("sip-etag")
            check(self.etag and self.etag != etag, "a new entity-tag", message)
            self.doc = doc or self.doc

        self.ask("PUBLISH", self.uri, rows, doc or "", call_id=self.call_id, tag=self.tag, cseq=self.cseq, done=done)

    def act(self):
        self.n += 1
        chance = random.random()
        if self.etag is None:
            self.publish(doc=self.text())
        elif chance < 0.1:
            self.publish(0, etag=self.etag)
        elif chance < 0.25:
            self.publish(900, etag=self.etag)
        else:
            self.publish(doc=self.text(), etag=self.etag)

    def text(self):
        return f"{self.user} {self.n} " + "x" * random.choice((0, 10, 200, 900))


class Phone(Owner):
    """A user who registers."""

    def __init__(self, world, number):
        super().__init__(world)
        self.user = f"r{number}"
        self.uri = f"sip:{DOMAIN}"
        self.call_id, self.tag, self.cseq = token(20), token(), 0
        self.contacts = {}  # URI -> when it was registered

    def contact(self, n):
        return f"sip:{self.user}-{n}@{self.line.at}"

    def register(self, contact, expires):
        self.cseq += 1

        def done(message):
            self.fine(message, "REGISTER")
            if expires:
                self.contacts[contact] = time.monotonic()
            else:
                self.contacts.pop(contact, None)
            equal(set(contacts_of(message)), set(self.contacts), self.told())

        self.ask("REGISTER", self.uri, [f"Contact: <{contact}>;expires={expires}"], to=f"<sip:{self.user}@{DOMAIN}>",
                 call_id=self.call_id, tag=self.tag, cseq=self.cseq, done=done)

    def act(self):
        contact = self.contact(random.randrange(3))
        self.register(contact, random.choice((0, HOUR_S, 2 * HOUR_S)) if contact in self.contacts else HOUR_S)

    def told(self):
        ages = {c: f"{time.monotonic() - at:.0f} s" for c, at in self.contacts.items()}
        return f"contacts of {self.user}, which were registered ago: {ages}\n" + "\n".join(self.history[-12:] + self.world.history[-4:])


def contacts_of(message):
    return [re.search(r"<([^>]+)>", v).group(1) for row in message.all("contact") for v in row.split(",")]


class World:
    """All of them, and the daemon that they talk to."""

    def __init__(self, broker, resources=25, watchers=50, phones=12, lines=8):
        self.broker = broker
        self.server = ("127.0.0.1", broker.lab)
        self.lines = [Line(self) for _ in range(lines)]
        self.publishers = [Publisher(self, i) for i in range(resources)]
        self.watchers = [Watcher(self, self.publishers[i % resources], i) for i in range(watchers)]
        self.phones = [Phone(self, i) for i in range(phones)]
        self.owners = self.publishers + self.watchers + self.phones
        self.dialogs = {}
        self.ended, self.removed = [], []  # since the last check
        self.answered = 0
        self.notices = 0
        self.on_notify = None
        self.kills, self.starts_killed = 0, 0
        self.checked = 0  # acknowledgements that were compared with what is there
        self.history = []

    def close(self):
        for line in self.lines:
            line.socket.close()

    def story(self):
        return f"after {self.kills} kills, {self.answered} answers, {self.notices} NOTIFYs\n" + self.broker.err()[-1500:]

    def notified(self, line, message):
        watcher = self.dialogs.get(message.get("call-id"))
        new = watcher.notified(message) if watcher else False
        self.notices += new
        if self.on_notify and new:
            self.on_notify(watcher, message)
        rows = [f"Via: {v}" for v in message.all("via")] + [f"{n}: {message.get(n)}" for n in ("from", "to", "call-id", "cseq")]
        line.send(("\r\n".join(["SIP/2.0 200 OK", *rows, "Content-Length: 0"]) + "\r\n\r\n").encode())

    def pump(self, wait_s):
        """Takes what comes within some time, or what is there."""
        select.select([l.socket for l in self.lines], [], [], wait_s)
        some = [line.receive() for line in self.lines]
        now = time.monotonic()
        for line in self.lines:
            line.again(now)
        return any(some)

    def pending(self):
        return [o for o in self.owners if o.busy]

    def settle(self, patience_s=PATIENCE_S):
        """Until all that was asked is answered."""
        end = time.monotonic() + patience_s
        while self.pending():
            check(time.monotonic() < end, "never answered:", self.pending()[0].busy.data, self.story())
            self.pump(0.05)

    def idle(self, for_s):
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            self.pump(min(0.05, max(0, end - time.monotonic())))

    def load(self, for_s, window=40):
        """Keeps so many requests under way for some time."""
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            free = [o for o in self.owners if not o.busy]
            room = window - (len(self.owners) - len(free))
            for owner in random.sample(free, min(max(room, 0), len(free))):
                owner.act()
                self.answered += 1
            self.pump(0.002)

    # --- the daemon's end and start --------------------------------------------------------------

    def kill(self):
        """Gone in this moment; what it has sent before has been sent."""
        self.history.append(f"{time.monotonic():.3f} kill")
        self.broker.process.send_signal(signal.SIGKILL)
        self.broker.process.wait()
        self.history.append(f"{time.monotonic():.3f} killed")
        self.kills += 1
        while self.pump(0):
            pass
        check("Sanitizer" not in self.broker.err() and "assertion" not in self.broker.err(), self.broker.err()[-3000:])

    def kill_while_it_starts(self, after_s):
        """It may not have read yet what is kept, or be at it, or have begun to serve."""
        self.broker.write(self.broker.text())
        self.broker.spawn()
        self.idle(after_s)
        self.broker.process.send_signal(signal.SIGKILL)
        self.broker.process.wait()
        self.starts_killed += 1
        while self.pump(0):
            pass

    def stop(self):
        self.broker.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + PATIENCE_S
        while self.broker.process.poll() is None:
            check(time.monotonic() < end, "does not end", self.story())
            self.pump(0.01)
        equal(self.broker.process.returncode, 0, "end of the daemon\n" + self.broker.err()[-3000:])
        while self.pump(0):
            pass

    def start(self):
        self.broker.write(self.broker.text())
        self.broker.spawn()
        until(lambda: self.broker.process.poll() is not None or self.broker.answers(), "the daemon answers again", pause_s=0.005)
        check(self.broker.process.poll() is None, "the daemon does not start\n" + self.broker.err()[-3000:])
        for line in self.lines:
            line.hurry()

    # --- what must be there ----------------------------------------------------------------------

    def check_repeated(self, share=1.0):
        """The newest request of each, said again, is answered as before."""
        for owner in self.owners:
            if owner.busy or not owner.last or random.random() > share:
                continue
            data, before, when = owner.last
            if before.expires == 0 and time.monotonic() - when > KNOWN_S / 2:
                continue
            self.checked += 1

            def done(message, owner=owner, data=data, before=before, when=when):
                owner.last = (data, before, when)
                if before.expires == 0 and time.monotonic() - when > KNOWN_S:
                    return
                same = ("sip-etag", "to", "contact") if not isinstance(owner, Phone) else ("to",)
                equal(message.status, before.status, f"a repeated request, {time.monotonic() - when:.1f} s old\n{before}\n{message}\n{self.story()}")
                for name in same:
                    equal(message.get(name), before.get(name), f"{name} of a repeated answer")
                if not isinstance(owner, Phone):
                    equal(message.expires, before.expires, "expires of a repeated answer")

            owner.busy = Request(owner, data, done)
            owner.line.begin(owner.busy)
        self.settle()

    def check_gone(self):
        """What was removed stays so."""
        checks = []
        for call_id, tag, remote, cseq, target, watcher in self.ended:
            asker = Owner(self)
            asker.line, asker.user = watcher.line, watcher.user
            asker.ask("SUBSCRIBE", target, [f"Event: {PACKAGE}", "Expires: 60", f"Contact: <sip:{watcher.user}@{asker.line.at}>"],
                      to=f"<{watcher.resource.uri}>;tag={remote}", call_id=call_id, tag=tag, cseq=cseq + 1000,
                      done=lambda m: equal(m.status, 481, f"a subscription that had ended\n{m}\n{self.story()}"))
            checks.append(asker)
        for publisher, etag in self.removed:
            asker = Owner(self)
            asker.line, asker.user = publisher.line, publisher.user
            asker.ask("PUBLISH", publisher.uri, [f"Event: {PACKAGE}", "Expires: 60", f"SIP-If-Match: {etag}"],
                      call_id=token(20), tag=token(), done=lambda m: equal(m.status, 412, f"a removed publication\n{self.story()}"))
            checks.append(asker)
        self.checked += len(checks)
        self.owners = self.owners + checks
        self.settle()
        self.owners = [o for o in self.owners if o not in checks]
        self.ended, self.removed = [], []

    def check_docs(self):
        """Each watcher refreshes in his dialog and is owed the state as it was acknowledged; so is who fetches."""
        waiting = {}
        for watcher in self.watchers:
            if watcher.alive:
                waiting[watcher] = watcher.seen_cseq
                watcher.subscribe(600)
        for publisher in self.publishers:
            fetch = Watcher(self, publisher, 999)
            fetch.subscribe(0)
            waiting[fetch] = 0
            self.owners.append(fetch)
        self.settle()
        end = time.monotonic() + PATIENCE_S
        while any(w.seen_cseq == before or w.body != (w.resource.doc or "") for w, before in waiting.items()):
            check(time.monotonic() < end, "not shown as acknowledged:",
                  [(w.resource.user, w.seen_cseq, before, w.body[:40] if w.body else w.body, w.resource.doc and w.resource.doc[:40])
                   for w, before in waiting.items() if w.seen_cseq == before or w.body != (w.resource.doc or "")], self.story())
            self.pump(0.05)
        self.checked += len(waiting)
        self.owners = [o for o in self.owners if not (isinstance(o, Watcher) and o.user == "w999")]
        self.ended = [e for e in self.ended if e[5].user != "w999"]

    def check_tags(self):
        """The entity-tag of the last answer is the one that counts."""
        for publisher in self.publishers:
            if publisher.etag:
                publisher.n += 1
                self.checked += 1
                publisher.publish(doc=publisher.text(), etag=publisher.etag)
        self.settle()

    def check_contacts(self):
        checks = []
        for phone in self.phones:
            asker = Owner(self)
            asker.line, asker.user = phone.line, phone.user

            def done(message, phone=phone):
                equal(message.status, 200, "a query of contacts")
                equal(set(contacts_of(message)), set(phone.contacts), f"{phone.told()}\n{self.story()}")

            asker.ask("REGISTER", phone.uri, [], to=f"<sip:{phone.user}@{DOMAIN}>", call_id=token(20), tag=token(), done=done)
            checks.append(asker)
        self.checked += len(checks)
        self.owners = self.owners + checks
        self.settle()
        self.owners = [o for o in self.owners if o not in checks]

    def check_all(self, share=0.5):
        self.settle()  # what was not answered is asked again, and now is
        self.check_repeated(share)
        self.check_contacts()
        self.check_docs()
        self.check_tags()
        self.check_gone()
