"""A client of the HTTP face: digest, tokens, event streams, webhooks, and curl."""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import re
import socket
import subprocess
import threading
import time

from broker import PATIENCE_S, check, equal

SECTION = 'http "127.0.0.1:{web}" {{ %s }}\n'


def authorization(challenge, method, target, user, password, nc=1, cnonce="0a4f113b"):
    """An Authorization of a WWW-Authenticate of digest (RFC 7616)."""
    fields = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    kind = hashlib.sha256 if fields.get("algorithm") == "SHA-256" else hashlib.md5

    def h(text):
        return kind(text.encode()).hexdigest()

    response = h(":".join([h(f"{user}:{fields['realm']}:{password}"), fields["nonce"], f"{nc:08x}", cnonce, "auth", h(f"{method}:{target}")]))
    return (f'Digest username="{user}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", uri="{target}", '
            f'algorithm={fields.get("algorithm", "MD5")}, qop=auth, nc={nc:08x}, cnonce="{cnonce}", response="{response}"')


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def etag(self):
        return self.headers.get("ETag")

    def json(self):
        return json.loads(self.body)


class Web:
    """As a user with a password, or with a token."""

    def __init__(self, broker, user=None, token=None, port="web"):
        self.broker, self.user, self.token = broker, user, token
        self.port = broker.ports[port]
        self.challenge, self.nc = None, 0

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def credentials(self, method, target):
        if self.token:
            return {"Authorization": "Bearer " + self.token}
        if not self.user or not self.challenge:
            return {}
        self.nc += 1
        return {"Authorization": authorization(self.challenge, method, target, self.user, self.broker.passwords[self.user], self.nc)}

    def once(self, method, target, body=None, headers=(), connection=None):
        line = connection or self.connect()
        line.request(method, target, body=body, headers={**self.credentials(method, target), **dict(headers)})
        response = line.getresponse()
        if response.headers.get("Content-Type") == "text/event-stream" and response.status == 200:
            return response, line
        answer = Answer(response, response.read())
        line.close()
        challenges = [v for k, v in response.headers.items() if k == "WWW-Authenticate" and v.startswith("Digest")]
        if challenges:
            self.challenge, self.nc = challenges[0], 0
        return answer, line

    def ask(self, method, target, body=None, headers=(), expect=None):
        answer, _ = self.once(method, target, body, headers)
        if answer.status == 401 and self.user and expect != 401:
            answer, _ = self.once(method, target, body, headers)
        if expect is not None:
            equal(answer.status, expect, f"{method} {target}: {answer.body!r}")
        return answer

    def get(self, target, expect=200, **headers):
        return self.ask("GET", target, headers={k.replace("_", "-"): v for k, v in headers.items()}, expect=expect)

    def put(self, target, body, content_type="application/pidf+xml", expect=(200, 201), **headers):
        answer = self.ask("PUT", target, body, {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}})
        check(answer.status in (expect if isinstance(expect, tuple) else (expect,)), target, answer.status, answer.body)
        return answer

    def stream(self, target, last=None):
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        answer, line = self.once("GET", target, None, headers)
        if isinstance(answer, Answer) and answer.status == 401:
            answer, line = self.once("GET", target, None, headers)
        check(not isinstance(answer, Answer), target, getattr(answer, "status", ""), getattr(answer, "body", ""))
        return Stream(answer, line)


class Stream:
    """Events as they come: (name, data, id)."""

    def __init__(self, response, line):
        self.response, self.line, self.comments = response, line, []

    def event(self):
        name, data, identity = "message", [], None
        while True:
            line = self.response.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif line.startswith("id: "):
                identity = line[4:]
            elif not line and (data or identity):
                return name, "\n".join(data), identity

    def close(self):
        self.line.sock and self.line.sock.close()
        self.response.close()
        self.line.close()


def curl(*arguments):
    run = subprocess.run(["curl", "-sS", "--max-time", str(PATIENCE_S), *arguments], capture_output=True, text=True, check=False)
    equal(run.returncode, 0, run.stderr)
    return run.stdout


def raw(port, octets, timeout_s=PATIENCE_S):
    """What comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as line:
        line.sendall(octets)
        said = b""
        while True:
            try:
                piece = line.recv(65536)
            except ConnectionError:
                return said
            if not piece:
                return said
            said += piece


def drip(port, octets, pause_s, most_s):
    """Sends one octet after another; how many seconds until the other side had enough."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as line:
        for octet in octets:
            try:
                line.sendall(bytes([octet]))
                line.settimeout(pause_s)
                if not line.recv(1000):
                    return time.monotonic() - began
            except TimeoutError:
                pass
            except OSError:
                return time.monotonic() - began
            if time.monotonic() - began > most_s:
                return None
    return None


class Receiver:
    """Where webhooks are posted to: `answers` says how, one status after another (None: not at all), the last for ever."""

    def __init__(self, answers=(204,), port=0, retry_after=None):
        self.answers, self.got, self.at, self.closed = list(answers), [], [], threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                structured = self.headers.get("Content-Type", "").startswith("application/cloudevents+json")
                outer.at.append(time.monotonic())
                outer.got.append((dict(self.headers), json.loads(body) if structured else None, body))
                status = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if status is None:
                    outer.closed.wait(PATIENCE_S)
                    return
                self.send_response(status)
                if retry_after and status >= 400:
                    self.send_header("Retry-After", str(retry_after))
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{outer.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def data(self):
        return [event.get("data") for _, event, _ in self.got]

    def close(self):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()


def signature(secret, headers, body):
    text = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()
