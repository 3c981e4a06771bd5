#!/usr/bin/env python3
"""Too much, and from people who mean harm: a slow disk under a flood, connections from everywhere, bodies that trickle,
pipelines, heads, chunks and JSON that are bombs, keys that are meant to collide. Others are served meanwhile, what was
answered is kept, the process stays and its memory with it. How fast all that is, perf/run attacks says."""

import json
import os
import socket
import sys
import tempfile
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, Skip, arguments, wait_until
from serverutil import ROOT, Gateway, github_headers, github_source, open_source, read_answer, request
from storeutil import events_in_log

sys.path.insert(0, os.path.join(ROOT, "Tests", "Crash"))
from faultmount import FaultMount  # noqa: E402

POST = b"POST /in/test HTTP/1.1\r\nHost: x\r\n"


def head(path, body, *fields):
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Asker(threading.Thread):
    """One request over a connection of its own; `status` is None until it is answered."""

    def __init__(self, port, message):
        super().__init__(daemon=True)
        self.port, self.message, self.status, self.head, self.body = port, message, None, b"", b""

    def run(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as s:
                s.sendall(self.message)
                self.status, self.head, self.body, _ = read_answer(s)
        except OSError:
            pass


def retry_after(asker):
    lines = asker.head.decode("latin-1").lower().split("\r\n")
    found = [line.split(":")[1].strip() for line in lines if line.startswith("retry-after:")]
    assert len(found) == 1 and 1 <= int(found[0]) <= 60, asker.head
    return int(found[0])


def slow_disk():
    """A flood fills the group behind a commit that takes seconds. It is refused first, told when to come again, and
    who has little, or never comes again, is taken; all that was answered 2xx is in the log."""
    if not os.path.exists("/dev/fuse"):
        raise Skip("no /dev/fuse")
    with tempfile.TemporaryDirectory(prefix="sluice-overload-") as folder, FaultMount(folder) as mount:
        sources = [open_source("flood"), open_source("quiet"), github_source()]
        gateway = Gateway(
            sources, folder=folder, loops=1, limits={"body": "64KiB"},
            log={"segment": "4MiB", "group": "512KiB", "free_space": 0})
        gateway.data = os.path.join(mount.point, "data")
        with gateway:
            assert gateway.post("/in/quiet", b"before")[0] == 202
            mount.rule("fsync 0 SLOW3000 0 /log/")
            waiting = [Asker(gateway.port, head("/in/flood", b"ev-first-1" + b"x" * 100))]
            waiting[0].start()
            wait_until(lambda: mount.met()[0][2] > 0, 10, "the disk is slow")
            flood = [
                Asker(gateway.port, head("/in/flood", f"ev-f-{n} ".encode() + b"x" * 20_000)) for n in range(60)]
            for asker in flood:
                asker.start()
            wait_until(lambda: any(asker.status == 503 for asker in flood), 20, "the flood is not refused")
            quiet = [Asker(gateway.port, head("/in/quiet", b"ev-q-%d " % n + b"x" * 500)) for n in range(4)]
            body = json.dumps({"id": "ev-g-1", "pad": "x" * 20_000}).encode()
            fields = [f"{name}: {value}" for name, value in github_headers(body).items()]
            github = Asker(gateway.port, head("/in/github", body, *fields))
            # Nothing outside shows that they wait for the disk. GitHub's takes most of what is left: after theirs.
            for asker in [*quiet, github]:
                if asker is github:
                    time.sleep(0.5)
                asker.start()
            quiet.append(github)
            time.sleep(0.5)
            mount.clear()
            for asker in waiting + flood + quiet:
                asker.join(20)
            refused = [asker for asker in flood if asker.status == 503]
            assert {asker.status for asker in waiting + quiet} == {202}, [(asker.status, asker.body) for asker in quiet]
            assert {asker.status for asker in flood} == {202, 503}, [asker.status for asker in flood]
            assert len(refused) < 45, f"{len(refused)} of 60 refused: the group has room for twenty"
            for asker in refused:
                assert b"log_busy" in asker.body and retry_after(asker), asker.body
            kept = 1 + 60 - len(refused) + len(quiet)
        assert len(events_in_log(gateway)) == kept, (len(events_in_log(gateway)), kept)
        return f"{len(refused)} of 60 refused"


def connections_from_everywhere():
    """Every place is taken by people of a thousand addresses who say nothing: those who come get in all the same."""
    limits = {"connections": 300, "head_time": "10s", "idle_time": "20s"}
    with Gateway([open_source()], limits=limits, loops=1) as gateway:
        stop, attackers = threading.Event(), []

        def flood(first):
            held = []
            while not stop.is_set():
                s = socket.socket()
                s.settimeout(0.2)
                try:
                    s.bind((f"127.{first}.{len(held) // 250}.{len(held) % 250 + 1}", 0))
                    s.connect(("127.0.0.1", gateway.port))
                except OSError:
                    s.close()
                    continue
                held.append(s)
                if len(held) > 450:
                    held.pop(0).close()
                time.sleep(0.002)
            for s in held:
                s.close()

        for first in (1, 2):
            attackers.append(threading.Thread(target=flood, args=(first,), daemon=True))
            attackers[-1].start()
        try:
            full = lambda: gateway.metric_sum("sluice_connections_open") >= 285  # noqa: E731
            wait_until(full, 10, "the gateway is not full")
            hurried = lambda: gateway.metric_sum("sluice_connections_total", event="hurried")  # noqa: E731
            wait_until(hurried, 10, "nobody is hurried")
            answered = 0
            end = time.monotonic() + 30
            while answered < 10 and time.monotonic() < end:
                try:
                    answered += request(gateway.port, "/in/test", b"n%d" % answered, None, "POST", timeout=5)[0] == 202
                except OSError:
                    time.sleep(0.02)
            assert answered == 10, f"{answered} got in"
        finally:
            stop.set()
            for one in attackers:
                one.join(10)
        return f"{hurried():.0f} were hurried"


def connections_from_one_address():
    """One address gets what it may have, and another is not touched by it."""
    with Gateway([open_source()], limits={"connections_per_address": 20}, loops=1) as gateway:
        held = []
        for _ in range(30):
            s = socket.socket()
            s.bind(("127.0.0.5", 0))
            s.connect(("127.0.0.1", gateway.port))
            held.append(s)
        over = lambda: gateway.metric_sum("sluice_connections_total", event="over_address_limit")  # noqa: E731
        wait_until(lambda: over() == 10, 10, lambda: f"{over():.0f} refused")
        assert request(gateway.port, "/in/test", b"another", None, "POST")[0] == 202
        answered = 0
        for s in held:
            s.settimeout(2)
            try:
                s.sendall(head("/in/test", b"o%d" % answered))
                answered += read_answer(s)[0] == 202
            except OSError:
                pass
            s.close()
        assert answered == 20, f"{answered} of 30 were served"


def trickling_bodies():
    """All memory for requests is held by bodies that never end: they have a tenth of their time, and a large request of
    somebody else's finds room."""
    limits = {"assembly": "8MiB", "body": "1MiB", "body_time": "20s", "head_time": "20s"}
    with Gateway([open_source()], limits=limits, loops=1) as gateway:
        slow = [gateway.connect() for _ in range(500)]
        for s in slow:
            s.sendall(POST + b"Content-Length: 900000\r\n\r\n" + b"b" * 9000)
        exhausted = lambda: gateway.metric_sum("sluice_ingest_memory_exhausted_total", memory="assembly")  # noqa: E731
        wait_until(exhausted, 10, "memory is left")
        assert request(gateway.port, "/in/test", b"small", None, "POST")[0] == 202
        large = lambda: request(gateway.port, "/in/test", b"l" * 700_000, None, "POST")[0]  # noqa: E731

        def gets_in():
            try:
                return large() == 202
            except OSError:
                return False

        wait_until(gets_in, 15, "a large request finds no room")
        assert gateway.metric_sum("sluice_connections_total", event="hurried") > 0
        [s.close() for s in slow]


def bombs(report):
    """What is larger than it looks: each is answered by its rule, and leaves nothing behind."""
    deep = b"[" * 100_000 + b"]" * 100_000
    wide = b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}"
    doubled = b'{"type":"a"' + b',"type":"b"' * 50_000 + b"}"
    digits = b'{"type":' + b"9" * 900_000 + b"}"
    source = open_source(event={"type": "json:$.type"}, dedup={"key": "json:$.id"}, split="json:$.events")
    with Gateway([source, open_source("plain")], limits={"body": "1MiB"}, loops=1) as gateway:
        request(gateway.port, "/in/test", b'{"type":"warm"}', None, "POST")
        before = gateway.rss()
        for name, body in (("deep", deep), ("wide", wide), ("doubled", doubled), ("digits", digits)):
            with report.case(f"JSON: {name}"):
                assert request(gateway.port, "/in/test", body, None, "POST")[0] in (202, 400, 413), name
        with report.case("a pipeline of five hundred is answered in order, and one that nobody reads stops"):
            with gateway.connect() as s:
                block = b"".join(head("/in/plain", b"p%d" % n) for n in range(500))
                sender = threading.Thread(target=s.sendall, args=(block,), daemon=True)
                sender.start()
                rest, first = b"", []
                for _ in range(500):
                    status, _, body, rest = read_answer(s, rest)
                    assert status == 202
                    first.append(json.loads(body)["id"])
                sender.join(10)
                assert len(set(first)) == 500
        with report.case("heads: a thousand fields, a field of a mebibyte, a line without end"):
            for text in (
                POST + b"A: b\r\n" * 1000 + b"\r\n", POST + b"A: " + b"b" * (1 << 20) + b"\r\n\r\n",
                b"POST /in/" + b"t" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
            ):
                asker = Asker(gateway.port, text)
                asker.run()
                assert asker.status in (414, 431, None), asker.head
        with report.case("chunks: of one byte, with extensions, without end"):
            ones = POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
            extended = POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;a=" + b"b" * 100_000 + b"\r\nx\r\n0\r\n\r\n"
            endless = POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"x" * 65_535 + b"\r\n"
            for text, wanted in ((ones, (202,)), (extended, (400, 431)), (endless + endless[-65_543:] * 20, (413,))):
                asker = Asker(gateway.port, text)
                asker.run()
                assert asker.status in wanted, (text[:60], asker.head)
        with report.case("keys that look alike are events of their own, and no repetition passes"):
            keys = [b'{"id":"%s"}' % (bytes([97 + n % 26]) * (n // 26 + 1)) for n in range(500)]
            block = b"".join(head("/in/test", key) for key in keys + keys)
            with gateway.connect() as s:
                sender = threading.Thread(target=s.sendall, args=(block,), daemon=True)
                sender.start()
                rest, statuses = b"", []
                for _ in range(1000):
                    status, _, body, rest = read_answer(s, rest)
                    statuses.append(json.loads(body)["status"] if status == 202 else status)
            assert statuses[:500] == ["accepted"] * 500, [one for one in statuses[:500] if one != "accepted"][:3]
            assert statuses[500:] == ["duplicate"] * 500, [one for one in statuses[500:] if one != "duplicate"][:3]
        with report.case("nothing is left of all that") as notes:
            assert request(gateway.port, "/in/test", b'{"id":"after"}', None, "POST")[0] == 202
            grown = gateway.rss() - before
            # What touched memory that was reserved at start for the first time stays.
            assert grown < 64 << 20, f"RSS grew by {grown} bytes"
            wait_until(
                lambda: gateway.metric_sum("sluice_assembly_free_bytes") >= 32 << 20, 5, "memory has not come home")
            notes.append(f"RSS grew by {grown >> 20} MiB")


def main():
    options = arguments(__doc__, only="")
    report = Report("overload")
    for case in (slow_disk, connections_from_everywhere, connections_from_one_address, trickling_bodies):
        if not options.only or options.only == case.__name__:
            with report.case(case.__name__) as notes:
                said = case()
                notes += [said] if said else []
    if not options.only or options.only == "bombs":
        bombs(report)
    report.finish()


if __name__ == "__main__":
    main()
