"""Servers measured in turns: all of them run, one is loaded at a time, and a round gives each its turn. Whatever the
machine does for longer than a round falls on all; what falls on one turn alone is a round's noise.

Invariant: a turn counts only when (nearly) every answer is an event on disk, where the server can tell; a load that
repeats itself would be measured being answered from memory.
"""

import random
import time

KEPT_SHARE_MIN = 0.97
ATTEMPTS = 3


class NotComparable(Exception):
    """A turn that measures something else; the text says what."""


def turn(server, load, connections, seconds, body):
    """{rate, cpu}: answers a second, and microseconds of processor time an answer."""
    kept = server.kept()
    before, started = server.cpu_nanos(), time.monotonic()
    done = load(server.url, connections=connections, seconds=seconds, body=body)
    used = server.cpu_nanos() - before
    if done["refused"] or done["failed"]:
        raise NotComparable(f"{server.name}: {done['refused']} refused, {done['failed']} failed")
    if kept is not None:
        share = (server.kept() - kept) / max(done["answered"], 1)
        if share < KEPT_SHARE_MIN:
            raise NotComparable(f"{server.name}: {share:.0%} of the answers are events on disk")
    return {
        "rate": done["answeredPerSecond"],
        "cpu": used / 1e3 / max(done["answered"], 1),
        "p50": done["latency"]["p50"],
        "p99": done["latency"]["p99"],
        "seconds": time.monotonic() - started,
    }


def rounds(servers, load, count, connections=64, seconds=1, body=1024, seed=1, progress=None):
    """[{name: turn}], in an order of its own each round; the first turn of each server is thrown away."""
    order = random.Random(seed)
    for server in servers:
        turn(server, load, connections, seconds, body)
    done = []
    for number in range(count):
        names = list(servers)
        order.shuffle(names)
        for attempt in range(ATTEMPTS):
            try:
                done.append({server.name: turn(server, load, connections, seconds, body) for server in names})
                break
            except NotComparable:
                if attempt == ATTEMPTS - 1:
                    raise
        if progress:
            progress(number + 1, done[-1])
    return done
