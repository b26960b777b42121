#!/usr/bin/env python3
"""The tool as a person or a script uses it: exit codes, output, signals, standard input; against a SIP
server and a daemon's socket that this program plays.  Everything is on 127.0.0.1 and ::1, ports chosen
by the system.  Arguments: the path of herald."""
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

HERALD = sys.argv.pop(1)
TIME = 20


class Message:
    def __init__(self, octets):
        head, _, self.body = octets.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        self.first = lines[0]
        self.headers = [tuple(x.strip() for x in line.split(":", 1)) for line in lines[1:]]
        self.method = self.first.split(" ")[0]
        self.status = int(self.first.split(" ")[1]) if self.method == "SIP/2.0" else 0

    def __getitem__(self, name):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None


class Server:
    """One UDP socket; every request from the tool is handed to `script`, which may reply and notify."""

    def __init__(self, family=socket.AF_INET, host="127.0.0.1"):
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.sock.settimeout(TIME)
        port = self.sock.getsockname()[1]
        self.address = "[%s]:%d" % (host, port) if ":" in host else "%s:%d" % (host, port)
        self.branch = 0

    def close(self):
        self.sock.close()

    def receive(self):
        octets, self.peer = self.sock.recvfrom(65536)
        return Message(octets)

    def request(self, method):
        """The next request of that method; answers to NOTIFYs that come before are skipped."""
        while True:
            message = self.receive()
            if message.status == 0:
                assert message.method == method, message.first
                return message

    def answer_status(self):
        while True:
            message = self.receive()
            if message.status:
                return message.status

    def reply(self, request, status, *headers):
        to = request["To"] + ("" if "tag=" in request["To"] else ";tag=srv")
        lines = ["SIP/2.0 " + status, "Via: " + request["Via"], "From: " + request["From"], "To: " + to,
                 "Call-ID: " + request["Call-ID"], "CSeq: " + request["CSeq"], *headers,
                 "Content-Length: 0", "", ""]
        self.sock.sendto("\r\n".join(lines).encode(), self.peer)

    def notify(self, sub, cseq, state, body=b"", kind="text/plain"):
        self.branch += 1
        lines = ["NOTIFY sip:tool@127.0.0.1 SIP/2.0",
                 "Via: SIP/2.0/UDP %s;branch=z9hG4bKn%d" % (self.address, self.branch),
                 "Max-Forwards: 70", "From: " + sub["To"].split(";tag=")[0] + ";tag=srv", "To: " + sub["From"],
                 "Call-ID: " + sub["Call-ID"], "CSeq: %d NOTIFY" % cseq,
                 "Contact: <sip:%s>" % self.address, "Event: " + sub["Event"], "Subscription-State: " + state]
        if body:
            lines.append("Content-Type: " + kind)
        lines += ["Content-Length: %d" % len(body), "", ""]
        self.sock.sendto("\r\n".join(lines).encode() + body, self.peer)


class Tool:
    def __init__(self, *args, stdin=subprocess.DEVNULL, env=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}
        clean.update(env or {})
        self.process = subprocess.Popen([HERALD, *args], stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=clean)

    def end(self):
        self.out, self.err = (x.decode("utf-8", "surrogateescape")
                              for x in self.process.communicate(timeout=TIME * 3))
        return self.process.returncode

    def line(self):
        return self.process.stdout.readline().decode("utf-8", "surrogateescape")


def run(*args, env=None, stdin=subprocess.DEVNULL):
    tool = Tool(*args, env=env, stdin=stdin)
    return tool.end(), tool.out, tool.err


class Base(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)

    def tool(self, *args, **kw):
        tool = Tool(*args, "--server", self.server.address, **kw)
        self.addCleanup(self.reap, tool)
        return tool

    @staticmethod
    def reap(tool):
        if tool.process.poll() is None:
            tool.process.kill()
            tool.process.communicate()
        for pipe in (tool.process.stdout, tool.process.stderr, tool.process.stdin):
            if pipe:
                pipe.close()

    def subscribed(self, *args, state="active;expires=600", body=b"one"):
        tool = self.tool("sub", "sip:alice@example.test", *args)
        sub = self.server.request("SUBSCRIBE")
        self.server.reply(sub, "200 OK", "Expires: 600")
        self.server.notify(sub, 1, state, body)
        return tool, sub

    def unsubscribe(self, cseq, body=b""):
        sub = self.server.request("SUBSCRIBE")
        self.assertEqual(sub["Expires"], "0")
        self.server.reply(sub, "200 OK", "Expires: 0")
        self.server.notify(sub, cseq, "terminated;reason=timeout", body)


class Subscribing(Base):
    def test_ctrl_c_unsubscribes_and_shows_the_last_notification(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            tool, _ = self.subscribed()
            self.assertIn("active, 600 s left  text/plain", tool.line())
            tool.process.send_signal(number)
            self.unsubscribe(2, b"bye")
            self.assertEqual(tool.end(), 0)
            self.assertIn("terminated, timeout", tool.out)
            self.assertIn("bye", tool.out)

    def test_a_second_ctrl_c_ends_at_once(self):
        tool, _ = self.subscribed()
        tool.line()
        tool.process.send_signal(signal.SIGINT)
        self.server.request("SUBSCRIBE")
        tool.process.send_signal(signal.SIGINT)
        self.assertNotEqual(tool.end(), -signal.SIGINT)

    def test_once_prints_one_json_line(self):
        tool, _ = self.subscribed("--once", "--json", body="Gr\u00fc\u00dfe \u001b[2J".encode())
        self.unsubscribe(2, b"bye")
        self.assertEqual(tool.end(), 0, tool.err)
        lines = tool.out.splitlines()
        self.assertEqual(len(lines), 1)
        line = json.loads(lines[0])
        self.assertEqual((line["state"], line["expires"], line["cseq"], line["type"], line["body"]),
                         ("active", 600, 1, "text/plain", "Gr\u00fc\u00dfe \u001b[2J"))
        self.assertNotIn("\u001b", tool.out)

    def test_a_body_cannot_steer_the_terminal(self):
        tool, _ = self.subscribed("--once", body=b"a\r\n\x1b[31mred\x07\xff\xc2\x9b")
        self.unsubscribe(2)
        self.assertEqual(tool.end(), 0)
        self.assertIn("a\n\\x1b[31mred\\x07\\xff\\xc2\\x9b\n", tool.out)

    def test_a_fetch_ends_by_itself(self):
        tool = self.tool("sub", "sip:alice@example.test", "--fetch", "-p", "x-any;id=7", "-a", "a/b, c/d")
        sub = self.server.request("SUBSCRIBE")
        self.assertEqual((sub["Expires"], sub["Event"], sub["Accept"]), ("0", "x-any;id=7", "a/b, c/d"))
        self.server.reply(sub, "200 OK", "Expires: 0")
        self.server.notify(sub, 1, "terminated;reason=timeout", b"state")
        self.assertEqual(tool.end(), 0)
        self.assertIn("state", tool.out)

    def test_what_the_server_says_decides_the_exit_code(self):
        for status, headers, code, words in (
                ("403 Forbidden", (), 1, "refused with 403 Forbidden"),
                ("489 Bad Event", ("Allow-Events: presence, dialog",), 1, "presence, dialog"),
                ("401 Unauthorized", ('WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"',), 1,
                 "--user"),
                ("500 \x1b[31mNo", ("Retry-After: 7",), 1, "\\x1b[31mNo")):
            tool = self.tool("sub", "sip:alice@example.test")
            self.server.reply(self.server.request("SUBSCRIBE"), status, *headers)
            self.assertEqual(tool.end(), code)
            self.assertIn(words, tool.err)
            self.assertEqual(tool.out, "")

    def test_the_reasons_of_the_end_decide_the_exit_code(self):
        for reason, code in (("rejected", 1), ("noresource", 1), ("invariant", 0)):
            tool, _ = self.subscribed(state="terminated;reason=" + reason)
            self.assertEqual(tool.end(), code)
            self.assertIn(reason, tool.err)

    def test_deactivated_asks_again_with_a_new_call_id(self):
        tool, sub = self.subscribed("-n", "3")
        self.server.notify(sub, 2, "terminated;reason=deactivated")
        again = self.server.request("SUBSCRIBE")
        self.assertNotEqual(again["Call-ID"], sub["Call-ID"])
        self.assertNotIn("tag=", again["To"])
        self.server.reply(again, "200 OK", "Expires: 600")
        self.server.notify(again, 1, "active;expires=600", b"moved")
        self.unsubscribe(2)
        self.assertEqual(tool.end(), 0, tool.err)
        self.assertIn("moved", tool.out)

    def test_out_of_time_is_exit_code_3(self):
        tool = self.tool("sub", "sip:alice@example.test", "--timeout", "1", "-n", "2")
        sub = self.server.request("SUBSCRIBE")
        self.server.reply(sub, "200 OK", "Expires: 600")
        self.server.notify(sub, 1, "active;expires=600")
        self.unsubscribe(2)
        self.assertEqual(tool.end(), 3)
        tool = self.tool("sub", "sip:alice@example.test", "--timeout", "1")
        self.server.request("SUBSCRIBE")  # and never an answer
        self.assertEqual(tool.end(), 3)

    def test_time_that_is_up_after_a_notification_is_no_failure(self):
        tool, _ = self.subscribed("--timeout", "1")
        self.unsubscribe(2)
        self.assertEqual(tool.end(), 0, tool.err)

    def test_nobody_there_is_exit_code_4(self):
        for more in ((), ("--tcp",)):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                address = "127.0.0.1:%d" % free.getsockname()[1]
            code, _, err = run("sub", "sip:alice@example.test", "--server", address, "-t", "10", *more)
            self.assertEqual(code, 4)
            self.assertIn("cannot be reached", err)

    def test_a_reader_that_goes_away_ends_it(self):
        tool, sub = self.subscribed()
        tool.line()
        tool.process.stdout.close()
        self.server.notify(sub, 2, "active;expires=600", b"two")
        self.unsubscribe(3)
        tool.process.wait(TIME)
        tool.process.stdout = open(os.devnull, "rb")

    def test_the_password_file_is_used_and_sha256_preferred_as_offered(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("secret\nnot this\n")
            file.flush()
            tool = self.tool("sub", "sip:alice@example.test", "--fetch", "--user", "bob", "--password-file",
                             file.name)
            offer = ['WWW-Authenticate: Digest realm="r", nonce="n", algorithm=%s, qop="auth"' % x
                     for x in ("SHA-256", "MD5")]
            self.server.reply(self.server.request("SUBSCRIBE"), "401 Unauthorized", *offer)
            sub = self.server.request("SUBSCRIBE")
            given = dict(re.findall(r'(\w+)="?([^",]*)"?', sub["Authorization"]))
            digest = lambda text: hashlib.sha256(text.encode()).hexdigest()
            want = digest(":".join((digest("bob:r:secret"), "n", given["nc"], given["cnonce"], "auth",
                                    digest("SUBSCRIBE:" + given["uri"]))))
            self.assertEqual(given["response"], want)
            self.assertIn("<sip:bob@example.test>", sub["From"])
            self.server.reply(sub, "403 Enough")
            self.assertEqual(tool.end(), 1)

    def test_ipv6(self):
        try:
            self.server = Server(socket.AF_INET6, "::1")
        except OSError:
            self.skipTest("no IPv6 here")
        self.addCleanup(self.server.close)
        tool, sub = self.subscribed("--once")
        self.assertIn("[::1]:", sub["Via"])
        self.assertIn("@[::1]:", sub["Contact"])
        self.unsubscribe(2)
        self.assertEqual(tool.end(), 0, tool.err)

    def test_the_trace_names_every_message(self):
        tool, _ = self.subscribed("--once", "--trace")
        self.unsubscribe(2)
        self.assertEqual(tool.end(), 0)
        for words in ("-> %s  SUBSCRIBE sip:alice@example.test (CSeq" % self.server.address, "<- %s  200 OK",
                      "NOTIFY active;expires=600 (CSeq 1)", "NOTIFY terminated;reason=timeout (CSeq 2)"):
            self.assertIn(words.replace("%s", self.server.address), tool.err)


class Publishing(Base):
    def accept(self, tag, **expected):
        request = self.server.request("PUBLISH")
        for key, value in expected.items():
            self.assertEqual(request[key.replace("_", "-")], value)
        self.server.reply(request, "200 OK", "SIP-ETag: " + tag, "Expires: 600")
        return request

    def test_lines_of_standard_input_are_publications(self):
        tool = self.tool("pub", "sip:alice@example.test", "-p", "x-any", "--type", "text/x", "-",
                         stdin=subprocess.PIPE)
        tool.process.stdin.write(b"first\n\n  \nsecond\r\nlast without newline")
        tool.process.stdin.close()
        tool.process.stdin = None
        self.assertEqual(self.accept("a", SIP_If_Match=None, Content_Type="text/x").body, b"first")
        self.assertEqual(self.accept("b", SIP_If_Match="a").body, b"second")
        self.assertEqual(self.accept("c", SIP_If_Match="b").body, b"last without newline")
        self.assertEqual(self.accept("d", SIP_If_Match="c", Expires="0").body, b"")
        self.assertEqual(tool.end(), 0, tool.err)

    def test_a_refused_line_is_told_and_the_next_one_taken(self):
        tool = self.tool("pub", "sip:alice@example.test", "-p", "x-any", "--type", "text/x", "-",
                         stdin=subprocess.PIPE)
        tool.process.stdin.write(b"good\nbad\nbetter\n")
        tool.process.stdin.close()
        tool.process.stdin = None
        self.accept("a")
        self.server.reply(self.server.request("PUBLISH"), "415 No", "Accept: text/y")
        self.assertEqual(self.accept("b", SIP_If_Match="a").body, b"better")
        self.accept("c", Expires="0")
        self.assertEqual(tool.end(), 1)
        self.assertIn("text/y", tool.err)

    def test_lines_that_stand_for_documents(self):
        for package, line, words in (("presence", b"open at <home>\n", b"<note>at &lt;home&gt;</note>"),
                                     ("presence", b"closed\n", b"<basic>closed</basic>"),
                                     ("presence", b"opening\n", b"opening"),
                                     ("message-summary", b"2/5\n", b"Voice-Message: 2/5\r\n"),
                                     ("message-summary", b"0\n", b"Messages-Waiting: no\r\n"),
                                     ("message-summary", b"2/x\n", b"2/x")):
            tool = self.tool("pub", "sip:alice@example.test", "-p", package, "-", stdin=subprocess.PIPE)
            tool.process.stdin.write(line)
            tool.process.stdin.close()
            tool.process.stdin = None
            self.assertIn(words, self.accept("a").body)
            self.accept("b", Expires="0")
            self.assertEqual(tool.end(), 0, tool.err)

    def test_ctrl_c_removes_and_leave_does_not(self):
        for leave in (False, True):
            more = ("--leave",) if leave else ()
            tool = self.tool("pub", "sip:alice@example.test", "--open", "--json", *more)
            self.assertIn(b"<basic>open</basic>", self.accept("a").body)
            self.assertEqual(json.loads(tool.line()), {"done": "publish", "etag": "a", "expires": 600})
            tool.process.send_signal(signal.SIGINT)
            if not leave:
                self.accept("b", SIP_If_Match="a", Expires="0")
            self.assertEqual(tool.end(), 0, tool.err)
            self.assertEqual([json.loads(x) for x in tool.out.splitlines()],
                             [] if leave else [{"done": "remove"}])

    def test_once_leaves_it_and_keep_removes_it(self):
        tool = self.tool("pub", "sip:alice@example.test", "--voice", "2/0", "--once")
        self.assertEqual(self.accept("a", Event="message-summary").body,
                         b"Messages-Waiting: yes\r\nMessage-Account: sip:alice@example.test\r\n"
                         b"Voice-Message: 2/0\r\n")
        self.assertEqual(tool.end(), 0)
        tool = self.tool("pub", "sip:alice@example.test", "--body", "x", "--keep", "1")
        self.accept("a")
        self.accept("b", Expires="0")
        self.assertEqual(tool.end(), 0)

    def test_412_starts_anew_and_a_refusal_is_exit_code_1(self):
        tool = self.tool("pub", "sip:alice@example.test", "-p", "x-any", "--type", "text/x", "-",
                         stdin=subprocess.PIPE)
        tool.process.stdin.write(b"one\ntwo\n")
        tool.process.stdin.close()
        tool.process.stdin = None
        self.accept("a")
        self.server.reply(self.server.request("PUBLISH"), "412 Gone")
        self.assertEqual(self.accept("b", SIP_If_Match=None).body, b"two")
        self.accept("c", Expires="0")
        self.assertEqual(tool.end(), 0)
        tool = self.tool("pub", "sip:alice@example.test", "--open")
        self.server.reply(self.server.request("PUBLISH"), "403 No")
        self.assertEqual(tool.end(), 1)


class Stream:
    """One TCP connection of the tool's, or to it: frames messages by Content-Length."""

    def __init__(self, sock, address):
        self.sock = sock
        self.sock.settimeout(TIME)
        self.address = address
        self.rest = b""
        self.branch = 0

    def receive(self):
        while True:
            head, mark, body = self.rest.partition(b"\r\n\r\n")
            found = re.search(rb"(?im)^content-length:\s*(\d+)", head)
            if mark and found and len(body) >= int(found.group(1)):
                n = len(head) + 4 + int(found.group(1))
                message, self.rest = Message(self.rest[:n]), self.rest[n:]
                return message
            octets = self.sock.recv(65536)
            assert octets, "closed"
            self.rest += octets

    def write(self, octets):
        self.sock.sendall(octets)

    def reply(self, request, status, *headers):
        to = request["To"] + ("" if "tag=" in request["To"] else ";tag=srv")
        self.write("\r\n".join(["SIP/2.0 " + status, "Via: " + request["Via"], "From: " + request["From"],
                                "To: " + to, "Call-ID: " + request["Call-ID"], "CSeq: " + request["CSeq"], *headers,
                                "Content-Length: 0", "", ""]).encode())

    def notify(self, sub, cseq, state, body=b""):
        self.branch += 1
        lines = ["NOTIFY sip:tool@127.0.0.1 SIP/2.0",
                 "Via: SIP/2.0/TCP %s;branch=z9hG4bKs%d%d" % (self.address, id(self), self.branch),
                 "Max-Forwards: 70", "From: " + sub["To"].split(";tag=")[0] + ";tag=srv", "To: " + sub["From"],
                 "Call-ID: " + sub["Call-ID"], "CSeq: %d NOTIFY" % cseq,
                 "Contact: <sip:%s;transport=tcp>" % self.address, "Event: " + sub["Event"],
                 "Subscription-State: " + state, "Content-Type: text/plain", "Content-Length: %d" % len(body), "", ""]
        self.write("\r\n".join(lines).encode() + body)


class Streams(unittest.TestCase):
    def setUp(self):
        self.listener = socket.socket()
        self.addCleanup(self.listener.close)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.listener.settimeout(TIME)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def accept(self):
        sock, _ = self.listener.accept()
        self.addCleanup(sock.close)
        return Stream(sock, self.address)

    def tool(self, *args):
        tool = Tool(*args, "--server", self.address)
        self.addCleanup(Base.reap, tool)
        return tool

    def test_notifications_come_on_the_connection_of_the_subscribe(self):
        tool = self.tool("sub", "sip:alice@example.test", "--tcp", "--once")
        stream = self.accept()
        sub = stream.receive()
        self.assertIn("SIP/2.0/TCP", sub["Via"])
        self.assertIn(";transport=tcp", sub["Contact"])
        stream.reply(sub, "200 OK", "Expires: 600")
        stream.notify(sub, 1, "active;expires=600", b"in one piece")
        self.assertEqual(stream.receive().status, 200)
        last = stream.receive()
        self.assertEqual(last["Expires"], "0")
        stream.reply(last, "200 OK", "Expires: 0")
        stream.notify(last, 2, "terminated;reason=timeout")
        self.assertEqual(tool.end(), 0, tool.err)
        self.assertIn("in one piece", tool.out)

    def test_after_a_lost_connection_the_contact_is_reached_by_a_new_one(self):
        tool = self.tool("sub", "sip:alice@example.test", "--tcp", "-n", "2")
        stream = self.accept()
        sub = stream.receive()
        stream.reply(sub, "200 OK", "Expires: 600")
        stream.notify(sub, 1, "active;expires=600", b"before")
        self.assertEqual(stream.receive().status, 200)
        stream.sock.close()
        host, port = re.search(r"@([^:;>]+):(\d+)", sub["Contact"]).groups()
        with socket.create_connection((host, int(port)), TIME) as sock:
            back = Stream(sock, self.address)
            back.notify(sub, 2, "active;expires=600", b"after")
            self.assertEqual(back.receive().status, 200)
            again = self.accept()  # the tool has no connection to the server any more, and opens one
            last = again.receive()
            self.assertEqual(last["Expires"], "0")
            again.reply(last, "200 OK", "Expires: 0")
            again.notify(last, 3, "terminated;reason=timeout")
            self.assertEqual(tool.end(), 0, tool.err)
        self.assertIn("after", tool.out)

    def test_a_large_publication_goes_over_tcp(self):
        tool = self.tool("pub", "sip:alice@example.test", "--once", "--body", "x" * 2000)
        stream = self.accept()
        request = stream.receive()
        self.assertEqual((len(request.body), request.method), (2000, "PUBLISH"))
        stream.reply(request, "200 OK", "SIP-ETag: a", "Expires: 600")
        self.assertEqual(tool.end(), 0, tool.err)

    def test_a_large_publication_goes_over_udp_where_nobody_takes_tcp(self):
        server = Server()
        self.addCleanup(server.close)
        tool = Tool("pub", "sip:alice@example.test", "--once", "--body", "x" * 2000, "--server", server.address)
        self.addCleanup(Base.reap, tool)
        request = server.request("PUBLISH")
        self.assertIn("SIP/2.0/UDP", request["Via"])
        self.assertEqual(len(request.body), 2000)
        server.reply(request, "200 OK", "SIP-ETag: a", "Expires: 600")
        self.assertEqual(tool.end(), 0, tool.err)

    def test_a_connection_that_closes_without_an_answer_is_exit_code_4(self):
        tool = self.tool("sub", "sip:alice@example.test", "--tcp")
        stream = self.accept()
        stream.receive()
        stream.sock.close()
        self.assertEqual(tool.end(), 4)

    def test_a_stream_that_makes_no_sense_is_exit_code_4(self):
        tool = self.tool("sub", "sip:alice@example.test", "--tcp")
        stream = self.accept()
        stream.receive()
        stream.write(b"SIP/2.0 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n")
        self.assertEqual(tool.end(), 4)


class Daemon(threading.Thread):
    """A Unix socket that answers each line as it is told."""

    def __init__(self, path, answers):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen()
        self.answers = answers
        self.calls = []
        self.start()

    def run(self):
        for answer in self.answers:
            conn, _ = self.sock.accept()
            with conn, conn.makefile("rb") as lines:
                self.calls.append(json.loads(lines.readline()))
                conn.sendall(answer)
        self.sock.close()


class Administration(unittest.TestCase):
    def ask(self, answer, *args):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            if not isinstance(answer, bytes):
                answer = json.dumps({"id": 1, **answer}).encode() + b"\n"
            daemon = Daemon(path, [answer])
            code, out, err = run(*args, "--socket", path)
            daemon.join(TIME)
            return daemon.calls[0] if daemon.calls else None, code, out, err

    def test_calls_are_those_of_the_protocol(self):
        for args, call in (
                (("user", "add", "2001"), {"call": "user-add", "name": "2001"}),
                (("user", "add", "2001", "--password", "x"),
                 {"call": "user-add", "name": "2001", "password": "x"}),
                (("user", "remove", "2001"), {"call": "user-remove", "name": "2001"}),
                (("user", "list"), {"call": "user-list"}),
                (("policy", "allow", "a", "b"), {"call": "policy-allow", "resource": "a", "watcher": "b"}),
                (("policy", "block", "a", "b", "-p", "presence"),
                 {"call": "policy-block", "resource": "a", "watcher": "b", "package": "presence"}),
                (("policy", "remove", "a", "b"), {"call": "policy-remove", "resource": "a", "watcher": "b"}),
                (("policy", "show"), {"call": "policy-list"}),
                (("policy", "show", "a"), {"call": "policy-list", "resource": "a"}),
                (("policy", "polite", "*", "-w", "@press", "--except", "a", "--from", "2026-12-24T17:00:00+01:00",
                  "--until", "2026-12-24T16:00:01Z", "--shadow"),
                 {"call": "policy-polite", "resource": "*", "watcher": "@press", "except": ["a"], "shadow": True,
                  "from_s": 1798128000, "until_s": 1798128001}),
                (("policy", "confirm", "a", "b"), {"call": "policy-confirm", "resource": "a", "watcher": "b"}),
                (("policy", "publish", "sip:*@x", "--publisher", "f"),
                 {"call": "policy-publish", "resource": "sip:*@x", "watcher": "f"}),
                (("policy", "remove", "a", "b", "--publish"),
                 {"call": "policy-remove", "resource": "a", "watcher": "b", "publish": True}),
                (("policy", "list"), {"call": "policy-list-show"}),
                (("policy", "list", "show", "l"), {"call": "policy-list-show", "name": "l"}),
                (("policy", "list", "add", "l", "a", "b"),
                 {"call": "policy-list-add", "name": "l", "members": ["a", "b"]}),
                (("policy", "list", "remove", "l"), {"call": "policy-list-remove", "name": "l", "members": []}),
                (("policy", "test", "--watcher", "w", "--resource", "r", "--package", "p", "--anonymous"),
                 {"call": "policy-test", "watcher": "w", "resource": "r", "package": "p", "proof": ["from"]}),
                (("policy", "transform", "set", "t", "--hide", "/a", "--only", "//b", "--provide", "services",
                  "--circle", "1km", "--civic", "city"),
                 {"call": "policy-transform-set", "name": "t", "hide": ["/a"], "only": ["//b"],
                  "provide": ["services"], "circle_m": 1000, "civic": "city"}),
                (("policy", "transform", "remove", "t"), {"call": "policy-transform-remove", "name": "t"}),
                (("policy", "transform"), {"call": "policy-transform-show"}),
                (("policy", "allow", "a", "b", "--transform", "t"),
                 {"call": "policy-allow", "resource": "a", "watcher": "b", "transform": "t"}),
                (("explain", "w", "r", "-p", "dialog"),
                 {"call": "explain", "watcher": "w", "resource": "r", "package": "dialog"}),
                (("package", "list"), {"call": "package-list"}),
                (("subs", "a", "--limit", "5"), {"call": "subs", "resource": "a", "limit": 5}),
                (("pubs",), {"call": "pubs"}),
                (("bindings",), {"call": "bindings"}),
                (("status",), {"call": "status"})):
            asked, code, out, err = self.ask({"result": {"hello": 1}}, *args, "--json")
            self.assertEqual(asked, {"id": 1, **call})
            self.assertEqual(code, 0, err)
            self.assertEqual(json.loads(out), {"hello": 1})

    def test_a_table_shows_hostile_rows_harmlessly(self):
        row = {"resource": "sip:a@b", "package": "presence", "watcher": "sip:\u001b]0;x\u0007@c",
               "state": "active", "health": "in-sync", "expires_s": 9, "remote": "127.0.0.1:1"}
        _, code, out, err = self.ask({"result": {"subs": [row], "truncated": True}}, "subs")
        self.assertEqual(code, 0)
        self.assertIn("sip:\\x1b]0;x\\x07@c", out)
        self.assertNotIn("\u001b", out)
        self.assertIn("--limit", err)

    def test_errors_of_the_daemon_and_of_its_answer(self):
        for answer, code, words in (({"error": "there is no user nobody"}, 1, "there is no user nobody"),
                                    ({"error": "a\u001bb"}, 1, "a\\x1bb"),
                                    (b"nonsense\n", 1, "cannot be understood"),
                                    (b"", 1, "closed the connection"),
                                    ({}, 1, "cannot be understood")):
            _, got, out, err = self.ask(answer, "user", "remove", "nobody")
            self.assertEqual(got, code)
            self.assertIn(words, err)
            self.assertEqual(out, "")

    def test_no_daemon_is_exit_code_4(self):
        code, _, err = run("status", env={"HERALD_SOCKET": "/nonexistent/s"})
        self.assertEqual(code, 4)
        self.assertIn("/nonexistent/s", err)

    def test_a_made_up_password_is_printed(self):
        _, code, out, _ = self.ask({"result": {"name": "2001", "resource": "sip:2001@x", "replaced": False,
                                               "password": "bafe-kori"}}, "user", "add", "2001")
        self.assertEqual((code, out), (0, "added user sip:2001@x\npassword: bafe-kori\n"))


class CommandLine(unittest.TestCase):
    def test_wrong_words_are_exit_code_2(self):
        for args in ((), ("nothing",), ("sub",), ("sub", "a", "b"), ("sub", "sip:a@b", "--expires", "1x"),
                     ("sub", "sip:a@b", "--count", "0"), ("sub", "sip:a@b", "--package", "a\r\nb"), ("pub", "sip:a@b"),
                     ("pub", "sip:a@b", "--open", "--closed"), ("pub", "sip:a@b", "--voice", "x"),
                     ("pub", "sip:a@b", "--body", "x", "-p", "x-any"), ("pub", "sip:a@b", "--note", "x", "--body", "y"),
                     ("user",), ("user", "add"), ("user", "list", "x"), ("policy", "allow", "a"), ("subs", "a", "b"),
                     ("ladder",), ("ladder", "x"), ("sub", "sip:a@b", "--server", "x:y:")):
            code, out, err = run(*args)
            self.assertEqual((args, code), (args, 2))
            self.assertEqual(out, "")
            self.assertNotEqual(err, "")

    def test_help_is_there_for_every_command(self):
        code, out, _ = run("help")
        self.assertEqual(code, 0)
        commands = re.findall(r"^  (\w+) ", out, re.M)
        self.assertIn("sub", commands)
        for command in commands:
            for args in ((command, "--help"), ("help", command)):
                code, out, err = run(*args)
                self.assertEqual((args, code), (args, 0), err)
                self.assertIn("Usage: herald " + command, out)
        self.assertEqual(run("--version")[0], 0)


if __name__ == "__main__":
    unittest.main(verbosity=1)
