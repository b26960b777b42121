"""A WebSocket client for tests, as small as can be: it says what a test wants it to say, right or wrong (RFC 6455)."""
import base64
import hashlib
import os
import socket

from broker import PATIENCE_S, Failed, check

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocket:
    def __init__(self, server, tls=None, name=None, origin=None, protocol="sip", upgrade=True):
        self.socket = socket.create_connection(server, PATIENCE_S)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name or server[0])
        self.buffer = b""
        if upgrade:
            self.upgrade(server, origin, protocol)

    def upgrade(self, server, origin, protocol):
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET / HTTP/1.1\r\nHost: {server[0]}:{server[1]}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key.decode()}", f"Sec-WebSocket-Protocol: {protocol}", "Sec-WebSocket-Version: 13"]
        if origin:
            lines.append(f"Origin: {origin}")
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        head = self.http_head()
        check(head.startswith(b"HTTP/1.1 101 "), head)
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        check(b"Sec-WebSocket-Accept: " + accept in head and b"Sec-WebSocket-Protocol: sip" in head, head)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Failed("the connection was closed")
        self.buffer += data

    def http_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def frame(self, first, payload):
        mask, n = os.urandom(4), len(payload)
        length = bytes([0x80 | n]) if n < 126 else b"\xfe" + n.to_bytes(2, "big") if n < 65536 else b"\xff" + n.to_bytes(8, "big")
        self.socket.sendall(bytes([first]) + length + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(payload)))

    def _need(self, n):
        while len(self.buffer) < n:
            self.more()

    def read_frame(self):
        """The next frame: opcode with FIN, payload."""
        self._need(2)
        first, n, at = self.buffer[0], self.buffer[1], 2
        check(n < 128, "a server does not mask")
        if n >= 126:
            at = 4 if n == 126 else 10
            self._need(at)
            n = int.from_bytes(self.buffer[2:at], "big")
        self._need(at + n)
        payload, self.buffer = self.buffer[at:at + n], self.buffer[at + n:]
        return first, payload

    def close(self):
        self.socket.close()
