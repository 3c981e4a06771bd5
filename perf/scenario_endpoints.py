"""The scenarios of many endpoints: what the ones that get nothing cost the ones that do, and what an endpoint that
hangs takes from the others.
"""

import glob
import json
import os
import shutil
import statistics
import struct
import threading
import time

import driver
import hanging
from perfutil import pinned
from report import wait_until
from scenario_delivery import Sink, delivered
from servers import data_folder, processor_nanos
from serverutil import Gateway, StartFailed, endpoint, free_port, request

BATCH = 1000
# Subscribed to by the idle ones, sent by nobody.
IDLE_TYPE = "never.sent"
# Room for the largest turn. Retention is no part of the question.
ROOM = {"log": {"segment": "64MiB", "group": "16MiB"}, "dedup": {"entries": 1 << 20}}


class Refused(Exception):
    """The gateway did not take what a turn needs; the text is what it said."""


def call(gateway, method, path, value, timeout=120):
    """The JSON of an answer of the control API, without a body where `value` is None; Refused for anything but 2xx."""
    headers = {"Content-Type": "application/json", "X-Sluice-Request": "1"}
    body = None if value is None else json.dumps(value)
    status, _, answer = request(gateway.admin_port, path, body, headers, method, timeout=timeout)
    if not 200 <= status < 300:
        raise Refused(f"{method} {path}: {status} {answer[:300].decode('utf-8', 'replace')}")
    return json.loads(answer or b"{}")


def idle_endpoint(number, tenants):
    return {
        "name": f"idle-{number}",
        "tenant": f"tenant-{number % tenants}",
        "url": f"http://127.0.0.1:9999/idle/{number}",
        "types": [IDLE_TYPE],
    }


class Turn:
    """A gateway with `count` endpoints, ten of which (or all, when there are fewer) get what is sent."""

    def __init__(self, count, active, tenants, sink):
        self.count, self.tenants, self.folder = count, tenants, data_folder()
        self.active = min(count, active)
        sources = [
            {"name": f"s{n}", "provider": "github", "secrets": [driver.SECRET]} for n in range(active)
        ]
        # Each source's events go to one endpoint, whatever their number.
        wanted = [[f"s{n}" for n in range(active) if n % self.active == k] for k in range(self.active)]
        targets = [
            sink.endpoint(f"active-{k}", sources=names, concurrency=64) for k, names in enumerate(wanted)
        ]
        # A tenant exists once the configuration has named it: the first idle endpoint of each is there.
        self.named = min(tenants, count - self.active)
        targets += [idle_endpoint(n, tenants) for n in range(self.named)]
        self.gateway = Gateway(
            sources, targets, folder=self.folder, loops=1, wrapper=pinned("0", []), grace="5s", **ROOM
        )
        self.cpu, self.seconds = [], {}

    def start(self, seconds):
        started = time.monotonic()
        self.gateway.start(seconds)
        return time.monotonic() - started

    def fill(self):
        """Makes the rest of the idle ones, in lots; the seconds that took."""
        started = time.monotonic()
        idle = range(self.named, self.count - self.active)
        for first in range(0, len(idle), BATCH):
            lot = [idle_endpoint(n, self.tenants) for n in idle[first : first + BATCH]]
            call(self.gateway, "POST", "/api/v1/endpoints", {"endpoints": lot})
        return time.monotonic() - started

    def idle_share(self, seconds):
        before, started = processor_nanos(self.gateway.process.pid), time.monotonic()
        time.sleep(seconds)
        used = processor_nanos(self.gateway.process.pid) - before
        return used / 1e9 / (time.monotonic() - started)

    def load(self, rate, seconds, mix, meanwhile=None):
        """Microseconds of processor time an event, its delivery included; how many were accepted, and how many not."""
        before, used = delivered(self.gateway), processor_nanos(self.gateway.process.pid)
        arguments = ["--mix", mix, "--rate", rate, "--duration", f"{seconds}s", "--warmup", "0s"]
        arguments += ["--connections", 64]
        beside = threading.Thread(target=meanwhile) if meanwhile else None
        if beside:
            beside.start()
        done = driver.drive_load(f"http://127.0.0.1:{self.gateway.port}/", arguments)
        if beside:
            beside.join()
        wait_until(
            lambda: delivered(self.gateway) - before >= done["accepted"],
            30,
            lambda: f"{delivered(self.gateway) - before} of {done['accepted']} delivered",
        )
        used = processor_nanos(self.gateway.process.pid) - used
        lost = done["failed"] + done["refused"] + done["unsent"]
        return used / 1e3 / max(done["accepted"], 1), done["accepted"], lost

    def metrics_bytes(self):
        status, _, body = self.gateway.admin("/metrics")
        assert status == 200, status
        return len(body)

    def end(self):
        self.gateway.discard()
        shutil.rmtree(self.folder, ignore_errors=True)


def write_mix(folder, sources):
    path = os.path.join(folder, "mix.yaml")
    with open(path, "w") as file:
        file.write("traffic:\n")
        for n in range(sources):
            entry = f"name: s{n}, provider: github, type: push, secret: {driver.SECRET}, weight: 1, size: 1KiB"
            file.write(f"  - {{{entry}}}\n")
    return path


def many(what, outcome, scale):
    """All sizes stand ready at once, and are loaded in turns, so that the machine's mood falls on all alike."""
    counts = [max(1, int(count * min(1, scale))) if count > 1 else 1 for count in what["endpoints"]]
    counts = sorted(set(counts))
    tenants = max(1, int(what["tenants"] * min(1, scale)))
    seconds, idle = max(2, round(what["seconds"] * min(1, scale))), max(2, round(what["idle"] * min(1, scale)))
    turns, folder = [], data_folder()
    mix = write_mix(folder, what["active"])
    with Sink() as sink:
        try:
            for count in counts:
                turn = Turn(count, what["active"], tenants, sink)
                turns.append(turn)
                try:
                    prepare(turn, outcome)
                except (Refused, StartFailed) as why:
                    # The others still say something.
                    outcome.check(f"{count} endpoints are taken, and found again at a restart: {str(why)[:300]}", False)
                    turns.pop().end()
            for turn in turns:
                outcome.figure(f"{turn.count}.idle_share", turn.idle_share(idle), 4)
            for number in range(what["rounds"]):
                for turn in turns if number % 2 == 0 else reversed(turns):
                    used, sent, lost = turn.load(what["rate"], seconds, mix)
                    turn.cpu.append(used)
                    if lost:
                        outcome.check(f"{turn.count} endpoints: all of {sent + lost} events were accepted", False)
            for turn in turns:
                outcome.figure(f"{turn.count}.cpu", statistics.median(turn.cpu), 2)
                outcome.figure(f"{turn.count}.metrics_bytes", turn.metrics_bytes())
            for turn in turns:
                add_one(turn, what["rate"], seconds, mix, outcome)
            if turns:
                judge(turns, outcome)
        finally:
            for turn in turns:
                turn.end()
            shutil.rmtree(folder, ignore_errors=True)


def prepare(turn, outcome):
    """Made, stopped, and started again: only then is its memory that of a gateway which found them in its store."""
    turn.start(60)
    outcome.figure(f"{turn.count}.made_seconds", turn.fill(), 2)
    assert turn.gateway.stop(60) == 0, "it did not stop cleanly"
    turn.seconds["ready"] = turn.start(120)
    outcome.figure(f"{turn.count}.ready_seconds", turn.seconds["ready"], 2)
    # After its first looks at everything.
    time.sleep(1)
    turn.rss = turn.gateway.rss()
    outcome.figure(f"{turn.count}.rss_kib", turn.rss >> 10)


def add_one(turn, rate, seconds, mix, outcome):
    """One more endpoint while events come in; kept-alive connections are neither cut nor refused."""
    took = []

    def add():
        time.sleep(seconds / 3)
        for number in range(5):
            new = idle_endpoint(turn.count + number, turn.tenants)
            del new["tenant"]
            started = time.monotonic()
            call(turn.gateway, "POST", "/api/v1/endpoints", {**new, "name": f"late-{number}"})
            took.append(time.monotonic() - started)

    _, sent, lost = turn.load(rate, seconds, mix, meanwhile=add)
    assert took, "the endpoint was not taken"
    turn.seconds["added"] = statistics.median(took)
    outcome.figure(f"{turn.count}.added_ms", turn.seconds["added"] * 1e3, 1)
    outcome.figure(f"{turn.count}.added_ms_max", max(took) * 1e3, 1)
    outcome.check(f"{turn.count} endpoints: one added under load, none of {sent} events refused or cut", lost == 0)


def judge(turns, outcome):
    first, last = turns[0], turns[-1]
    ratio = statistics.median(late / early for early, late in zip(first.cpu, last.cpu))
    outcome.figure("ratio.cpu", ratio)
    if last.count > first.count:
        outcome.figure("bytes_an_idle_endpoint", (last.rss - first.rss) / (last.count - first.count), 0)
    outcome.check("processor time an event within 1.10 of the first turn's", ratio <= 1.10)
    outcome.check(
        "an idle endpoint takes at most 1 KiB",
        last.count == first.count or last.rss - first.rss <= 1024 * (last.count - first.count),
    )
    shares = [outcome.figures[f"{turn.count}.idle_share"] for turn in turns]
    outcome.check("idle takes at most 1 % of a core", max(shares) <= 0.01)
    outcome.check("ready within 10 s", max(turn.seconds["ready"] for turn in turns) <= 10)
    outcome.check("an endpoint is added within 50 ms", max(turn.seconds["added"] for turn in turns) <= 0.05)
    sizes = [outcome.figures[f"{turn.count}.metrics_bytes"] for turn in turns]
    outcome.check("/metrics has at most 256 KiB", max(sizes) <= 256 << 10)


# MARK: endpoints that hang


def isolation(what, outcome, scale):
    """How long a healthy endpoint waits beside ones that never answer, case by case; then its latency beside a dead and
    a slow one."""
    for key, name, case in hanging.CASES:
        with case() as (count, receiver):
            seconds = hanging.seconds_until(receiver, count, what["wait_seconds"])
            had = hanging.distinct(receiver)
        outcome.figure(f"{key}.seconds", seconds, 2)
        outcome.check(f"beside {name}: all {count} events within a second", had == count and seconds <= 1)
    latency(what, outcome, scale)


# As event ids have it.
CROCKFORD = {digit: value for value, digit in enumerate("0123456789abcdefghjkmnpqrstvwxyz")}


def sequence_of(event_id):
    number = 0
    for digit in event_id[-13:]:
        number = number << 5 | CROCKFORD[digit]
    return number


def received_micros(data):
    """{sequence: microseconds since 1970}, from the record headers (docs/log-format.md)."""
    times = {}
    for path in sorted(glob.glob(os.path.join(data, "log", "*.log"))):
        with open(path, "rb") as file:
            segment = file.read()
        at = 4096
        while at + 96 <= len(segment):
            if segment[at + 12] == 1:
                length, sequence, received = struct.unpack_from("<8xI4xQQ", segment, at)
                times[sequence] = received // 1000
                at += length
            elif at % 4096:
                # The end of a commit group.
                at = -(-at // 4096) * 4096
            else:
                break
    return times


def spans_of(ledger, data):
    """Microseconds from receipt to each arrival that a sink noted, sorted."""
    received, spans = received_micros(data), []
    with open(ledger) as file:
        for line in file:
            arrived, event_id = line.split(" ", 2)[:2]
            spans.append(int(arrived) - received[sequence_of(event_id)])
    return sorted(spans)


def latency(what, outcome, scale):
    """From receipt to the endpoint, over all healthy ones; alone and beside the bad ones, in turns."""
    events = max(1000, int(what["events"] * min(1, scale)))
    p99 = {"alone": [], "beside": []}
    for number in range(what["rounds"]):
        for name in ("alone", "beside") if number % 2 == 0 else ("beside", "alone"):
            p99[name].append(latency_run(what, outcome, name, events))
    for name, found in p99.items():
        outcome.figure(f"{name}.p99_ms", statistics.median(found), 2)
    ratio = statistics.median(beside / alone for alone, beside in zip(p99["alone"], p99["beside"]))
    outcome.figure("beside.p99_ratio", ratio)
    outcome.check("p99 of the healthy ones' latency within 1.2 of a run without the bad ones", ratio <= 1.2)


def latency_run(what, outcome, name, events):
    """The 99th percentile in milliseconds."""
    folder, nobody = data_folder(), free_port()
    ledger = os.path.join(folder, "ledger")
    try:
        with Sink("--ledger", ledger) as healthy, Sink("--delay", f"{what['delay_millis']}ms") as slow:
            names = [f"healthy-{n}" for n in range(what["healthy"])]
            targets = [healthy.endpoint(one) for one in names]
            if name == "beside":
                targets += [endpoint("dead", f"http://127.0.0.1:{nobody}/"), slow.endpoint("slow")]
            sources = [{"name": "s0", "provider": "github", "secrets": [driver.SECRET]}]
            gateway = Gateway(
                sources, targets, folder=folder, loops=1, wrapper=pinned("0", []), grace="1s", **ROOM
            )
            with gateway:
                arguments = ["--rate", what["rate"], "--duration", f"{max(1, round(events / what['rate']))}s"]
                arguments += ["--warmup", "0s", "--connections", 32, "--size", "1KiB"]
                arguments += ["--provider", "github", "--secret", driver.SECRET]
                done = driver.drive_load(f"http://127.0.0.1:{gateway.port}/in/s0", arguments)
                wanted = done["accepted"] * len(names)

                def had():
                    return sum(delivered(gateway, endpoint=one) for one in names)

                wait_until(lambda: had() >= wanted, 120, lambda: f"{had()} of {wanted}")
            healthy.end()
        spans = spans_of(ledger, gateway.data)
        outcome.check(f"{name}: the healthy endpoints have all {wanted}", len(spans) >= wanted)
        return spans[int(len(spans) * 0.99)] / 1e3
    finally:
        shutil.rmtree(folder, ignore_errors=True)


KINDS = {
    "many": (
        many,
        {
            "endpoints": [1, 1000, 10_000, 100_000],
            "active": 10,
            "tenants": 1000,
            "rate": 5000,
            "seconds": 10,
            "idle": 10,
            "rounds": 3,
        },
    ),
    "hanging": (
        isolation,
        {"events": 100_000, "rate": 1000, "healthy": 8, "delay_millis": 5000, "rounds": 1, "wait_seconds": 30},
    ),
}
