"""A reader of `/api/v1/events/stream`, written apart from Sluice: chunked answers and server-sent events off a socket.

A thread reads while the test goes on; `items` are what a browser would dispatch, `last_id` what it would resume by."""

import json
import re
import socket
import threading
import time

from report import wait_until
from serverutil import signed_in

PATH = "/api/v1/events/stream"


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status} {text[:300]}")
        self.status, self.text = status, text


class Item:
    def __init__(self, kind, data, identity):
        self.kind, self.data, self.id, self.at = kind, json.loads(data), identity, time.monotonic()


class EventStream:
    """`reads=False`: takes the head and then nothing, with as little room as the system gives."""

    def __init__(self, port, query="", headers=None, reads=True):
        self.items, self.kinds, self.last_id, self.comments = [], {}, None, []
        self.ended = self.is_whole = False
        self.lock = threading.Lock()
        self.socket = socket.socket()
        if not reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", port))
        fields = {"Host": "127.0.0.1", "Accept": "text/event-stream", **signed_in(port, headers)}
        head = f"GET {PATH}{query} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.socket.sendall(head.encode() + b"\r\n")
        self.file = self.socket.makefile("rb")
        self.status, self.headers = self.read_head()
        if self.status != 200:
            text = self.file.read(int(self.headers.get("content-length", 0))).decode()
            self.close()
            raise Refused(self.status, text)
        assert self.headers["content-type"] == "text/event-stream", self.headers
        assert self.headers["cache-control"] == "no-store", self.headers
        self.thread = threading.Thread(target=self.read, daemon=True)
        if reads:
            self.thread.start()

    def read_head(self):
        line = self.file.readline()
        headers = {}
        while (field := self.file.readline().strip()):
            name, _, value = field.decode().partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split(b" ")[1]), headers

    def read(self):
        kind, data, identity, rest = "message", [], None, b""
        try:
            while True:
                size = int(self.file.readline() or b"-1", 16)
                if size < 0:
                    break
                chunk = self.file.read(size)
                self.file.readline()
                if size == 0:
                    self.is_whole = True
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                with self.lock:
                    for line in lines:
                        kind, data, identity = self.take(line.decode(), kind, data, identity)
        except (OSError, ValueError):
            pass
        self.ended = True

    def take(self, line, kind, data, identity):
        """One line, as the standard has it."""
        if not line:
            self.last_id = identity or self.last_id
            if data:
                item = Item(kind, "\n".join(data), identity)
                self.items.append(item)
                self.kinds.setdefault(kind, []).append(item.data)
            return "message", [], None
        if line.startswith(":"):
            self.comments.append(time.monotonic())
            return kind, data, identity
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        assert name in ("id", "event", "data", "retry"), line
        if name == "event":
            kind = value
        elif name == "data":
            data = data + [value]
        elif name == "id":
            identity = value
        return kind, data, identity

    def of(self, kind):
        with self.lock:
            return list(self.kinds.get(kind, ()))

    def count(self, kind):
        with self.lock:
            return len(self.kinds.get(kind, ()))

    def events(self):
        return self.of("event")

    def wait(self, kind, count, seconds=15):
        wait_until(
            lambda: self.count(kind) >= count, seconds, lambda: f"{count} of {kind}, there are {self.count(kind)}")
        return self.of(kind)

    def begun(self):
        """It is among the readers: it has been told where it is."""
        wait_until(lambda: self.last_id, 10, "no word of where it begins")
        return self

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self.begun()

    def __exit__(self, *error):
        self.close()


def flood(gateway, path, count, name="f"):
    """Posts so many events over one connection, many under way at a time; returns when all are answered with 202."""
    with gateway.connect() as s:
        sent = answered = 0
        rest = b""
        while answered < count:
            parts = []
            while sent < count and sent - answered < 200:
                body = f'{{"name":"{name}","number":{sent}}}'.encode()
                parts.append(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)))
                parts.append(body)
                sent += 1
            if parts:
                s.sendall(b"".join(parts))
            more = s.recv(1 << 16)
            assert more, f"the connection ended after {answered} answers"
            rest += more
            found = re.findall(rb"HTTP/1\.1 (\d+)", rest)
            assert all(status == b"202" for status in found), set(found)
            answered += len(found)
            rest = rest[rest.rfind(b"HTTP/1.1 ") + 12:] if found else rest
