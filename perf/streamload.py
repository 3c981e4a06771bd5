"""Readers of `/api/v1/events/stream` or of the contract's stream, many in one process: what each is told, and whether
it is its tenant's, in order and whole. Beside the load on the processor of the load, so what they cost is kept small:
bytes are looked at once."""

import os
import re
import selectors
import socket
import threading
import time

from driver import LOAD_CPU
from serverutil import platform_key



class Own:
    """The gateway's own form. A tenant is known by its number."""

    path, begins, headers = "/api/v1/events/stream?kinds=event", b": \nid: ", ""
    item = re.compile(rb'"sequence":(\d+),.*"tenant_number":(\d+)')

    @staticmethod
    def sequence(text):
        return int(text)


class Contract:
    """The contract's, of events from the ingest port: their ids say where in the log they are."""

    path, begins, headers = "/v1/webhooks/events", b"event: ready\n", "X-Zen-Contract-Version: v1alpha1\r\n"
    item = re.compile(rb'id: ([0-9a-f-]{36})\nevent: webhook\.event\ndata: .*?"tenant_id":"([0-9a-f-]{36})"')

    @staticmethod
    def sequence(text):
        return int(text.replace(b"-", b""), 16) & (1 << 62) - 1


class Chunks:
    """The bytes that came in chunks, without what stands around them."""

    def __init__(self):
        self.raw, self.left = b"", 0

    def take(self, data):
        raw, parts, place = self.raw + data, [], 0
        while place < len(raw):
            if self.left == 0:
                end = raw.find(b"\r\n", place)
                if end < 0:
                    break
                # Behind a chunk stands an empty line.
                if end > place:
                    self.left = int(raw[place:end], 16)
                place = end + 2
                continue
            part = raw[place:place + self.left]
            parts.append(part)
            place += len(part)
            self.left -= len(part)
        self.raw = raw[place:]
        return b"".join(parts)


class Reader:
    """`reads` false: one that takes nothing, with as little room as the system gives."""

    def __init__(self, admin_port, tenant, reads=True, form=Own):
        self.form = form
        self.tenant, self.sequences, self.tenants = tenant, [], set()
        self.rest, self.ended, self.gaps, self.chunks = b"", False, 0, Chunks()
        self.socket = socket.socket()
        if not reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", admin_port))
        self.socket.settimeout(20)
        head = f"GET {form.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Tenant-Id: {tenant}\r\n{form.headers}"
        self.socket.sendall(f"{head}Authorization: Bearer {platform_key(admin_port)}\r\n\r\n".encode())

    def begun(self):
        """It is among the readers: the first words say where it begins."""
        while self.form.begins not in self.rest:
            more = self.socket.recv(1 << 16)
            assert more and b" 200 " in (self.rest + more)[:20], (self.rest + more)[:200]
            self.rest += more
        # What has come behind the head is looked at with what comes.
        self.rest = self.chunks.take(self.rest.partition(b"\r\n\r\n")[2])
        self.socket.setblocking(False)

    def take(self):
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return
        text, _, self.rest = (self.rest + self.chunks.take(data)).rpartition(b"\n\n")
        for found in self.form.item.finditer(text):
            self.sequences.append(self.form.sequence(found[1]))
            self.tenants.add(found[2])
        self.gaps += text.count(b"event: gap")

    def close(self):
        self.socket.close()


class Audience:
    """Readers of each tenant, and a thread that reads for them all."""

    def __init__(self, admin_port, tenants, each, form=Own):
        self.readers = [Reader(admin_port, tenant, form=form) for tenant in tenants for _ in range(each)]
        for reader in self.readers:
            reader.begun()
        self.selector = selectors.DefaultSelector()
        for reader in self.readers:
            self.selector.register(reader.socket, selectors.EVENT_READ, reader)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        if os.cpu_count() > 1:
            # Of this thread alone.
            os.sched_setaffinity(0, {int(LOAD_CPU)})
        while not self.is_over.is_set():
            for key, _ in self.selector.select(0.1):
                key.data.take()
                if key.data.ended:
                    self.selector.unregister(key.fileobj)
            # So that a reader is read when there is something to read, not for each item.
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.is_over.set()
        self.thread.join()
        for reader in self.readers:
            reader.close()

    def told(self):
        return sum(len(reader.sequences) for reader in self.readers)

    def has(self, count, seconds):
        """So many items came, within so long."""
        end = time.monotonic() + seconds
        while self.told() < count and time.monotonic() < end:
            time.sleep(0.05)
        return self.told() >= count

    def faults(self, events):
        """What is wrong with what they were told, a line each; `events`: of all tenants together."""
        found = []
        first = {}
        for reader in self.readers:
            who = f"a reader of {reader.tenant}"
            if reader.ended or reader.gaps:
                found.append(f"{who} was {'dropped' if reader.ended else 'told of a gap'}")
            if any(later <= former for former, later in zip(reader.sequences, reader.sequences[1:])):
                found.append(f"{who} was told out of order, or twice")
            if len(reader.tenants) > 1:
                found.append(f"{who} was told of tenants {sorted(reader.tenants)}")
            if first.setdefault(reader.tenant, reader).sequences != reader.sequences:
                found.append(f"{who} was told something else than another one")
        numbers = [tuple(reader.tenants) for reader in first.values()]
        if len(set(numbers)) != len(numbers):
            found.append("two tenants were told the same tenant's events")
        whole = sum(len(reader.sequences) for reader in first.values())
        if whole != events:
            found.append(f"all tenants together were told {whole} events of {events}")
        return found
