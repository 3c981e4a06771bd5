#!/usr/bin/env python3
"""One attack on an ingest port of this machine, for `perf/run attacks`: attackers.py KIND PORT SECONDS. Prints how
often it struck."""

import random
import socket
import sys
import threading
import time

POST = b"POST /in/open HTTP/1.1\r\nHost: x\r\n"


class Attack:
    def __init__(self, port, seconds):
        self.port, self.until, self.strikes, self.held = port, time.monotonic() + seconds, 0, []

    @property
    def goes_on(self):
        return time.monotonic() < self.until

    def connect(self, source=None):
        s = socket.socket()
        s.settimeout(2)
        try:
            if source:
                s.bind((source, 0))
            s.connect(("127.0.0.1", self.port))
        except OSError:
            s.close()
            time.sleep(0.001)
            return None
        return s

    def hold(self, count, beginning, trickle=b"", source=None):
        """So many connections at once, each with a beginning and then a byte now and then."""
        while self.goes_on:
            while len(self.held) < count and self.goes_on:
                s = self.connect(source and source())
                if s is None:
                    break
                try:
                    s.sendall(beginning)
                except OSError:
                    pass
                self.held.append(s)
                self.strikes += 1
            alive = []
            for s in self.held:
                try:
                    s.send(trickle or b"")
                    s.settimeout(0)
                    try:
                        alive += [s] if s.recv(65536) else []
                    except BlockingIOError:
                        alive.append(s)
                except OSError:
                    s.close()
            self.held = alive
            time.sleep(0.05)

    def slow_heads(self):
        self.hold(2000, POST + b"X-Slow: ", b"a")

    def slow_bodies(self):
        self.hold(2000, POST + b"Content-Length: 900000\r\n\r\n" + b"b" * 4000, b"b")

    def slow_readers(self):
        self.hold(200, (POST + b"Content-Length: 1\r\n\r\nx") * 500)

    def connections_of_one(self):
        self.churn(lambda: "127.0.0.9")

    def connections_of_many(self):
        self.churn(lambda: f"127.{random.randint(1, 250)}.{random.randint(0, 250)}.{random.randint(1, 250)}")

    def churn(self, source):
        while self.goes_on:
            s = self.connect(source())
            if s:
                self.strikes += 1
                self.held.append(s)
            if len(self.held) > 3000:
                self.held.pop(0).close()

    def pipelines(self):
        block = (POST + b"Content-Length: 1\r\n\r\nx") * 100
        while self.goes_on:
            s = self.connect()
            try:
                while s and self.goes_on:
                    s.sendall(block)
                    s.recv(65536)
                    self.strikes += 100
            except OSError:
                continue

    def bombs(self):
        deep = b"[" * 100_000
        texts = [
            POST + b"A: b\r\n" * 1000 + b"\r\n", POST + b"Content-Length: %d\r\n\r\n" % len(deep) + deep,
            POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n",
        ]
        while self.goes_on:
            s = self.connect()
            try:
                if s:
                    s.sendall(random.choice(texts))
                    s.recv(4096)
                    self.strikes += 1
                    s.close()
            except OSError:
                continue


KINDS = [
    "slow_heads", "slow_bodies", "slow_readers", "connections_of_one", "connections_of_many", "pipelines", "bombs"]


def main():
    kind, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    attack = Attack(port, seconds)
    threads = 1 if kind not in ("pipelines", "bombs") else 4
    running = [threading.Thread(target=getattr(attack, kind), daemon=True) for _ in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join(seconds + 5)
    print(attack.strikes)


if __name__ == "__main__":
    main()
