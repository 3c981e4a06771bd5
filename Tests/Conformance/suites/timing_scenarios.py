#!/usr/bin/env python3
"""Slow, silent, rude and numerous clients: the timing scenarios that concern plain HTTP, with time-outs of a
second or two so that they run in seconds. Pass lines are the configured limit and a margin for a busy machine."""

import resource
import socket
import struct
import threading
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from loadgen import Load
from report import Report, Skip, arguments, wait_until
from serverutil import Gateway, github_source, open_source, read_answer
from storeutil import events_in_log

HEAD, BODY, IDLE, SEND = 2.0, 3.0, 2.0, 2.0
LIMITS = {"head_time": "2s", "body_time": "3s", "idle_time": "2s", "send_time": "2s", "connections": 3000}
MARGIN = 2.5
POST = b"POST /in/test HTTP/1.1\r\nHost: localhost\r\n"


def until_closed(s, seconds, each=None, every=0.1):
    """Everything that came until the peer closed, and when that was; `each` bytes are sent meanwhile."""
    started, got, rude = time.monotonic(), b"", False
    while time.monotonic() - started < seconds:
        if each is not None and not rude:
            try:
                s.sendall(each)
            except OSError:
                rude = True
        s.settimeout(every)
        try:
            more = s.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return got, time.monotonic() - started
        if not more:
            return got, time.monotonic() - started
        got += more
    raise AssertionError(f"still open after {seconds} s; got {got[:80]!r}")


def kept(gateway):
    return gateway.metric_sum("sluice_events_total", outcome="accepted")


def slow_headers(gateway):
    s = gateway.connect()
    s.sendall(b"GET /in/test HTTP/1.1\r\nHost: localhost\r\n")
    got, seconds = until_closed(s, HEAD + MARGIN + 3, each=b"X")
    assert seconds <= HEAD + MARGIN, f"closed after {seconds:.1f} s; each byte extended it?"
    assert not got or got.startswith(b"HTTP/1.1 408"), got[:60]


def connect_silent(gateway):
    _, seconds = until_closed(gateway.connect(), HEAD + MARGIN + 3)
    assert seconds <= max(HEAD, IDLE) + MARGIN, f"closed after {seconds:.1f} s"


def slow_body(gateway, head, each):
    s = gateway.connect()
    s.sendall(head)
    got, seconds = until_closed(s, BODY + MARGIN + 3, each=each)
    assert got.startswith(b"HTTP/1.1 408"), f"answered {got[:60]!r}"
    assert seconds <= BODY + MARGIN, f"closed after {seconds:.1f} s"


def slow_read(gateway):
    before, requests = gateway.rss(), gateway.metric_sum("sluice_http_requests_total")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", gateway.port))
    s.settimeout(0.5)
    # More than the kernel keeps for both sides; what stops it can only be a server that has stopped reading.
    block, stalled, started = b"GET /in/test HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000, False, time.monotonic()
    for _ in range(1500):
        try:
            s.sendall(block)
        except TimeoutError:
            stalled = True
            break
        except OSError:
            break
    answered = gateway.metric_sum("sluice_http_requests_total") - requests
    assert stalled or answered < 100_000, f"it answered {answered:.0f} requests whose answers nobody reads"
    # The write time-out must end the connection: its end is seen as an error on sending.
    end = time.monotonic() + SEND + MARGIN + 20
    while time.monotonic() < end:
        try:
            s.send(b"G")
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        raise AssertionError("still open")
    grown = gateway.rss() - before
    assert grown < 4 << 20, f"RSS grew by {grown} bytes"
    return time.monotonic() - started


def keepalive_idle(gateway):
    s = gateway.connect()
    s.sendall(POST + b"Content-Length: 2\r\n\r\nok")
    status, _, _, rest = read_answer(s)
    assert status == 202 and not rest
    got, seconds = until_closed(s, IDLE + MARGIN + 3)
    assert got == b"", f"{got[:60]!r} before the close: some clients take it for the next answer"
    assert IDLE - 0.6 <= seconds <= IDLE + MARGIN, f"closed after {seconds:.1f} s"


def half_close(gateway):
    s = gateway.connect()
    s.sendall(POST + b"Content-Length: 5\r\n\r\nhello")
    s.shutdown(socket.SHUT_WR)
    status, *_ = read_answer(s)
    assert status == 202, status
    until_closed(s, IDLE + MARGIN)


def reset_in_body(gateway, count=10_000):
    before_sockets, before_memory, before_kept = gateway.socket_count(), gateway.rss(), kept(gateway)

    def some():
        for _ in range(count // 4):
            s = socket.create_connection(("127.0.0.1", gateway.port))
            s.sendall(POST + b"Content-Length: 100000\r\n\r\nhalf")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()

    threads = [threading.Thread(target=some) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    wait_until(
        lambda: gateway.socket_count() <= before_sockets,
        10,
        lambda: f"sockets {before_sockets} -> {gateway.socket_count()}",
    )
    grown = gateway.rss() - before_memory
    assert grown < 4 << 20, f"RSS grew by {grown} bytes"
    assert kept(gateway) == before_kept, "something was kept"


def lingering_close(gateway, tries=100):
    block = b"x" * 65536
    for number in range(tries):
        s = gateway.connect()
        s.sendall(POST + b"Content-Length: 99999999999\r\n\r\n")
        for _ in range(16):
            try:
                s.sendall(block)
            except OSError:
                break
        try:
            status, *_ = read_answer(s)
        except ConnectionResetError:
            raise AssertionError(f"try {number}: reset before the answer could be read") from None
        assert status == 413, f"try {number}: {status}"
        s.close()


def idle_flood(gateway, count=2000, requests=1000):
    # Twice the connections of most pools, and what a test machine's descriptor limit surely allows.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        raise Skip(f"descriptor limit {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 500)), hard))
    before = gateway.rss()
    idle = []
    try:
        for _ in range(count):
            idle.append(socket.create_connection(("127.0.0.1", gateway.port)))
        each = (gateway.rss() - before) / count
        good = gateway.connect()
        for number in range(requests):
            body = b"flood %d" % number
            good.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            status, *_ = read_answer(good)
            assert status == 202, f"request {number}: {status}"
        assert each <= 4096, f"{each:.0f} bytes an idle connection"
    finally:
        [s.close() for s in idle]
    return f"{each:.0f} B an idle connection"


def over_limit():
    limits = {**LIMITS, "connections": 200, "idle_time": "60s", "head_time": "60s"}
    with Gateway([open_source()], limits=limits, loops=1) as gateway:
        held = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(260)]
        wait_until(lambda: gateway.metric_sum("sluice_connections_open") >= 200, 10, "the gateway is not full")
        before, started = gateway.cpu_seconds(), time.monotonic()
        refused = 0
        for s in held:
            s.settimeout(0.01)
            try:
                answer = s.recv(4096)
                assert answer == b"" or b" 503 " in answer.split(b"\r\n")[0], answer[:60]
                refused += 1
            except TimeoutError:
                pass
            except OSError:
                refused += 1
        time.sleep(max(0, 1.5 - (time.monotonic() - started)))  # the span whose processor time is measured
        share = (gateway.cpu_seconds() - before) / (time.monotonic() - started)
        assert share < 0.2, f"{share:.0%} of a core while full"
        [s.close() for s in held]

        def answers():
            try:
                return gateway.post("/in/test", b"recovered")[0] == 202
            except OSError:
                return False

        wait_until(answers, 3, "an answer after the flood has gone")
        return f"{refused} of 60 surplus refused at once"


def no_descriptors():
    """Descriptors run out under load: accepting pauses or sheds, what was acknowledged stays."""
    limits = {**LIMITS, "connections": 2000, "idle_time": "60s", "head_time": "60s"}
    with Gateway([github_source(), open_source()], limits=limits, loops=1) as gateway:
        load = Load(gateway.port, "emfile", connections=2, window=2).start()
        load.wait_for(20)
        # The start makes sure of enough descriptors, so they are taken away behind its back.
        few = gateway.descriptor_count() + 50
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (few, few))
        held = []
        for _ in range(500):
            s = socket.socket()
            s.settimeout(0.02)
            try:
                s.connect(("127.0.0.1", gateway.port))
            except OSError:
                pass
            held.append(s)
        before = gateway.cpu_seconds()
        load.stop()
        time.sleep(1)  # the span whose processor time is measured
        share = gateway.cpu_seconds() - before
        assert gateway.process.poll() is None, "it ended"
        assert share < 0.5, f"{share:.0%} of a core while no descriptor is left"
        [s.close() for s in held]

        def answers():
            try:
                return gateway.post("/in/test", b"after")[0] == 202
            except OSError:
                return False

        wait_until(answers, 5, "an answer after the descriptors came back")
        assert gateway.stop() == 0
        lost = load.acknowledged_names() - set(events_in_log(gateway))
        assert load.acknowledged and not lost, f"{len(lost)} of {len(load.acknowledged)} acknowledged events lost"


def expect_silent(gateway):
    s = gateway.connect()
    s.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    started = time.monotonic()
    status, _, _, rest = read_answer(s)
    assert status == 100 and time.monotonic() - started < 1, status
    got, seconds = until_closed(s, BODY + MARGIN + 3)
    assert (rest + got).startswith(b"HTTP/1.1 408"), (rest + got)[:60]
    assert seconds <= BODY + MARGIN, f"closed after {seconds:.1f} s"


def empty_line_behind(gateway):
    """A stray CRLF behind a request begins no other: the connection is idle, and no 408 is owed."""
    s = gateway.connect()
    s.sendall(POST + b"Content-Length: 1\r\n\r\nx\r\n")
    assert read_answer(s)[0] == 202
    s.sendall(b"\r\n")
    got, seconds = until_closed(s, IDLE + MARGIN + 3)
    assert not got and seconds <= IDLE + MARGIN, f"{got[:60]!r} after {seconds:.1f} s"


def promised_bodies():
    """Heads that announce bodies take no room for them, and bodies that trickle in leave some for small requests."""
    limits = {**LIMITS, "head_time": "60s", "body_time": "60s", "assembly": "16MiB"}
    with Gateway([open_source()], limits=limits, loops=1) as gateway:
        head = POST + b"Content-Length: 1000000\r\n\r\n"

        def small_ones(when):
            statuses = [gateway.post("/in/test", b"%d" % index * 3000)[0] for index in range(10, 50)]
            assert set(statuses) == {202}, f"{when}: {sorted(statuses)}"

        waiting = [gateway.connect() for _ in range(600)]
        [s.sendall(head) for s in waiting]
        wait_until(lambda: gateway.metric_sum("sluice_connections_open") >= 600, 10, "all heads are there")
        small_ones("600 heads without bodies")
        for s in waiting:
            s.settimeout(0.05)
            try:
                s.sendall(b"b" * 100_000)
            except OSError:
                pass
        exhausted = lambda: gateway.metric_sum("sluice_ingest_memory_exhausted_total", memory="assembly")  # noqa: E731
        wait_until(lambda: exhausted() > 0, 20, "large ones are refused")
        small_ones("60 MB of unfinished bodies")
        [s.close() for s in waiting]


def main():
    options = arguments(__doc__, resets=10_000, idle=2000)
    report = Report("timing")
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    with Gateway([open_source()], limits=LIMITS) as gateway:
        gateway.post("/in/test", b"warm")
        scenarios = [
            ("slow-headers", lambda: slow_headers(gateway)),
            ("connect-silent", lambda: connect_silent(gateway)),
            ("slow-body", lambda: slow_body(gateway, POST + b"Content-Length: 1000\r\n\r\n", b"b")),
            ("slow-chunk", lambda: slow_body(gateway, chunked, b"1\r\nx\r\n")),
            ("slow-read", lambda: slow_read(gateway)),
            ("keepalive-idle", lambda: keepalive_idle(gateway)),
            ("half-close", lambda: half_close(gateway)),
            ("rst-mid-body", lambda: reset_in_body(gateway, options.resets)),
            ("lingering-close", lambda: lingering_close(gateway)),
            ("expect-silent", lambda: expect_silent(gateway)),
            ("empty-line-behind", lambda: empty_line_behind(gateway)),
        ]
        run_at_once(report, scenarios[:6] + scenarios[9:])
        for name, scenario in scenarios[6:9]:
            with report.case(name):
                scenario()
    slow = {**LIMITS, "idle_time": "60s", "head_time": "60s"}
    with Gateway([open_source()], limits={**slow, "connections": options.idle + 100}, loops=1) as gateway:
        with report.case("idle-flood") as notes:
            notes.append(idle_flood(gateway, options.idle))
    with report.case("conn-over-limit") as notes:
        notes.append(over_limit())
    with report.case("promised-bodies"):
        promised_bodies()
    with report.case("emfile"):
        no_descriptors()
    report.finish()


def run_at_once(report, scenarios):
    """They only wait, each on a connection of its own."""
    results = {}

    def run(name, scenario):
        try:
            scenario()
        except BaseException as error:
            results[name] = error
        else:
            results[name] = None

    threads = [threading.Thread(target=run, args=pair) for pair in scenarios]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for name, _ in scenarios:
        with report.case(name):
            if results[name] is not None:
                raise results[name]


if __name__ == "__main__":
    main()
