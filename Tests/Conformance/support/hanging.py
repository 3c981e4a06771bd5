"""Endpoints that hang, beside one that is healthy: each case a gateway, what the others hold, and the events that the
healthy one is to get. The suite `isolation` bounds its waiting, perf/scenarios/isolation.yaml measures it."""

import contextlib
import json
import signal
import time

from receiver import Receiver
from report import wait_until
from serverutil import Gateway, endpoint, open_source, read_answer
from silent import DeafSink, SilentSink

# What the silent ones have in hand does not end within the grace of a stop.
GRACE = "1s"
# `limits.body` is 1 MiB by default; what is around it goes beside.
LARGEST_DEFAULT_BODY = 1 << 20


def gateway_of(sources, endpoints, **keys):
    return Gateway(sources, endpoints, grace=GRACE, **keys)


def post_many(gateway, path, count):
    """Small events over one connection, pipelined; all must be kept."""
    with gateway.connect() as connection:
        connection.settimeout(30)
        rest, answered = b"", 0
        for start in range(0, count, 100):
            part = range(start, min(start + 100, count))
            requests = b""
            for number in part:
                body = json.dumps({"n": number, "at": time.time_ns()}).encode()
                head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
                requests += head.encode() + body
            connection.sendall(requests)
            for _ in part:
                status, _, body, rest = read_answer(connection, rest)
                assert status in (200, 202), f"{status} {body[:200]}"
                answered += 1
    return answered


def post_large(gateway, path, size):
    """One event whose body has this many bytes; it must be kept."""
    body = b'{"pad":"' + b"x" * (size - 10) + b'"}'
    status, _, answer = gateway.post(path, body)
    assert status in (200, 202), f"{status} {answer[:200]}"


def settled(value, seconds=0.3):
    """Returns when `value()` has not changed for so long."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.01)
        if value() != last:
            last, since = value(), time.monotonic()


def distinct(receiver):
    return len({delivery.id for delivery in receiver.snapshot()})


def seconds_until(receiver, count, bound):
    """Until the healthy endpoint has `count` different events; `bound` when it has not by then."""
    started = time.monotonic()
    while distinct(receiver) < count and time.monotonic() - started < bound:
        time.sleep(0.01)
    return time.monotonic() - started


@contextlib.contextmanager
def reload_case():
    """One endpoint at start, four more by a reload that nobody answers for. All cases yield how many events the
    healthy endpoint is to get, just sent, and its receiver."""
    with Receiver() as receiver, DeafSink() as deaf:
        with gateway_of([open_source()], [endpoint("healthy", receiver.url)]) as gateway:
            # In front of the list, so that whoever serves it in order comes to them first.
            gateway.endpoints[:0] = [endpoint(f"silent{n}", deaf.url(n)) for n in range(4)]
            gateway.write_configuration()
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "configuration reloaded" in gateway.output(), 10, lambda: gateway.output()[-300:])
            # One at a time, so that the healthy one's connection lies idle when the silent ones want more.
            for _ in range(20):
                post_many(gateway, "/in/test", 1)
                time.sleep(0.03)
            yield 20, receiver


@contextlib.contextmanager
def bodies_case(count, size):
    """`count` silent endpoints hold a body of `size` bytes each, or wait for memory for it."""
    with Receiver() as receiver, SilentSink() as silent:
        sources = [open_source("large", body="8MiB"), open_source("small")]
        endpoints = [endpoint("healthy", receiver.url, sources=["small"])]
        endpoints += [endpoint(f"silent{n}", silent.url(n), sources=["large"]) for n in range(count)]
        room = {"delivery": {"buffer": "64MiB"}, "log": {"group": "16MiB", "segment": "32MiB"}}
        with gateway_of(sources, endpoints, **room) as gateway:
            post_large(gateway, "/in/large", size)
            wait_until(lambda: silent.received >= size, 15, lambda: f"{silent.received} bytes")
            # They have what they can get hold of.
            settled(lambda: silent.received)
            post_many(gateway, "/in/small", 10)
            yield 10, receiver


@contextlib.contextmanager
def many_case(count):
    """`count` silent endpoints with the default concurrency; the healthy one is the last of the list."""
    with Receiver() as receiver, SilentSink() as silent:
        endpoints = [endpoint(f"silent{n}", silent.url(n)) for n in range(count)]
        with gateway_of([open_source()], [*endpoints, endpoint("healthy", receiver.url)]) as gateway:
            post_many(gateway, "/in/test", 20)
            yield 20, receiver


@contextlib.contextmanager
def wide_case(concurrency, events):
    """One silent endpoint that may have very much in flight, and has got it."""
    with Receiver() as receiver, SilentSink() as silent:
        endpoints = [
            endpoint("silent", silent.url("wide"), sources=["many"], concurrency=concurrency),
            endpoint("healthy", receiver.url, sources=["small"]),
        ]
        with gateway_of([open_source("many"), open_source("small")], endpoints) as gateway:
            post_many(gateway, "/in/many", events)
            wait_until(lambda: silent.connections >= 32, 15, lambda: f"{silent.connections} connections")
            post_many(gateway, "/in/small", 20)
            yield 20, receiver


# Key, what stands beside the healthy endpoint, the case.
CASES = [
    ("reload", "four silent endpoints that a reload added to the only one", reload_case),
    ("bodies_1mib", "34 silent endpoints with a body of 1 MiB each", lambda: bodies_case(34, LARGEST_DEFAULT_BODY)),
    ("bodies_5mb", "9 silent endpoints with a body of 5 MB each", lambda: bodies_case(9, 5_000_000)),
    ("many", "300 silent endpoints", lambda: many_case(300)),
    ("wide", "one silent endpoint with `concurrency: 4096`", lambda: wide_case(4096, 5000)),
]
