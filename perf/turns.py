"""Servers measured in turns: all of them run, one is loaded at a time, and a round gives each its turn. Whatever the
machine does for longer than a round falls on all; what falls on one turn alone is a round's noise.

Invariant: a turn counts only when (nearly) every answer is an event on disk, where the server can tell; a load that
repeats itself would be measured being answered from memory.
"""

import random
import time

from driver import StoppedLoad

KEPT_SHARE_MIN = 0.97
ATTEMPTS = 3
# What perf/gate measures: connections and body bytes; rounds, and seconds of each server in one.
EFFORTS = {
    "quick": {"cases": [(64, 1024)], "rounds": 12, "seconds": 2},
    "full": {"cases": [(64, 1024), (256, 1024), (64, 16_384)], "rounds": 24, "seconds": 2},
}
SLICE_SECONDS = 0.05
# Microseconds; wrk has no p999.
LATENCIES = ("p50", "p99", "p999", "max")


class NotComparable(Exception):
    """A turn that measures something else; the text says what, `server` whose it was."""

    def __init__(self, server, why):
        super().__init__(f"{server}: {why}")
        self.server = server


def check(server, done, kept):
    """Raises NotComparable unless (nearly) every answer was an event kept."""
    if done["refused"] or done["failed"]:
        raise NotComparable(server.name, f"{done['refused']} refused, {done['failed']} failed")
    if kept is not None:
        share = (server.kept() - kept) / max(done["answered"], 1)
        if share < KEPT_SHARE_MIN:
            raise NotComparable(server.name, f"{share:.0%} of the answers are events on disk")


def turn(server, load, connections, seconds, body):
    """{rate, cpu}: answers a second, and microseconds of processor time an answer."""
    kept = server.kept()
    before, started = server.cpu_nanos(), time.monotonic()
    done = load(server.url, connections=connections, seconds=seconds, body=body)
    used = server.cpu_nanos() - before
    check(server, done, kept)
    return {
        "rate": done["answeredPerSecond"],
        "cpu": used / 1e3 / max(done["answered"], 1),
        **{name: done["latency"].get(name) for name in LATENCIES},
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


def sliced_rounds(servers, count, connections=64, seconds=2, body=1024, progress=None):
    """[{name: {rate, cpu}}] for comparing processor time closely: in a round each server gets `seconds`, in slices of
    a twentieth of a second, turn about, so that a machine's mood falls on all of them alike. The first round is thrown
    away."""
    done = []
    for number in range(count + 1):
        for attempt in range(ATTEMPTS):
            try:
                one = sliced_round(servers, connections, seconds, body)
                break
            except NotComparable:
                if attempt == ATTEMPTS - 1:
                    raise
        if number:
            done.append(one)
            if progress:
                progress(number, one)
    return done


def sliced_round(servers, connections, seconds, body):
    kept = [server.kept() for server in servers]
    before = [server.cpu_nanos() for server in servers]
    loads, result = [], {}
    try:
        loads += [StoppedLoad(server, connections, body) for server in servers]
        for _ in range(max(1, round(seconds / SLICE_SECONDS))):
            # What a server still owes at the end of its slice falls into another's each time.
            for load in random.sample(loads, len(loads)):
                load.slice(SLICE_SECONDS)
        for server, load, known, used in zip(servers, loads, kept, before):
            done = load.finish()
            cpu = (server.cpu_nanos() - used) / 1e3 / max(done["answered"], 1)
            check(server, done, known)
            result[server.name] = {"rate": done["answeredPerSecond"], "cpu": cpu}
    finally:
        for load in loads:
            load.kill()
    return result
