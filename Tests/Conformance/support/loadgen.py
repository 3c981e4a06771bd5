"""Signed load from several connections that remembers, for each event, whether it was sent and whether it was
acknowledged.

An event's name (`ev-<run>-<n>`) is its delivery id and stands in its body, so that it can be found again in the
log and at the sink. Nothing is ever sent twice: a second copy anywhere is the gateway's doing."""

import hashlib
import hmac
import re
import socket
import threading
import time

from report import wait_until
from serverutil import read_answer

NAME = re.compile(r"ev-[0-9a-z]+-[0-9]+")


class Load:
    """`pause`: seconds between the windows of a connection."""

    def __init__(
        self, port, run, secret=b"test-secret", connections=8, path="/in/github", pad=200, window=8, pause=0.0
    ):
        self.port, self.run, self.secret, self.path, self.pad, self.window = port, run, secret, path, pad, window
        self.connections, self.pause = connections, pause
        self.sent, self.acknowledged, self.refused = set(), [], {}
        self.lock, self.stopping, self.counter = threading.Lock(), threading.Event(), 0
        self.threads = []

    def take_name(self):
        with self.lock:
            self.counter += 1
            name = f"ev-{self.run}-{self.counter}"
            self.sent.add(name)
            return name

    def message(self, name):
        body = (
            f'{{"id":"{name}","ref":"refs/heads/main","pad":"' + "x" * (self.pad * (len(name) % 3 + 1)) + '"}'
        ).encode()
        signature = hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"X-GitHub-Event: push\r\n"
            f"X-GitHub-Delivery: {name}\r\nX-Hub-Signature-256: sha256={signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def pump(self):
        """Keeps `window` requests in flight on one connection; a lost connection is opened again."""
        while not self.stopping.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    rest = b""
                    while not self.stopping.is_set():
                        names = [self.take_name() for _ in range(self.window)]
                        s.sendall(b"".join(map(self.message, names)))
                        for name in names:
                            status, _, _, rest = read_answer(s, rest)
                            if status is None:
                                raise ConnectionError("closed")
                            self.note(name, status)
                        if self.pause:
                            self.stopping.wait(self.pause)
            except OSError:
                if not self.stopping.is_set():
                    time.sleep(0.01)

    def note(self, name, status):
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        with self.lock:
            if 200 <= status < 300:
                self.acknowledged.append((now, name))
            else:
                self.refused[status] = self.refused.get(status, 0) + 1

    def start(self):
        self.threads = [threading.Thread(target=self.pump, daemon=True) for _ in range(self.connections)]
        [t.start() for t in self.threads]
        return self

    def stop(self):
        self.stopping.set()
        [t.join(10) for t in self.threads]
        return self

    def acknowledged_names(self):
        with self.lock:
            return {name for _, name in self.acknowledged}

    def wait_for(self, count, seconds=20):
        """Until so many events are acknowledged; then the load is well under way."""
        wait_until(lambda: len(self.acknowledged) >= count, seconds, lambda: f"{len(self.acknowledged)} acknowledged")
        return self
