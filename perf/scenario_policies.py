"""The scenarios of what an endpoint's deliveries go by: what policies, a filter and a redaction take from the rate,
what waits behind an open breaker and how it comes out, and a tenant beside one that sends fifty times as much.
"""

import os
import shutil
import socket
import statistics
import threading
import time

import driver
from perfutil import fill, pinned
from report import wait_until
from scenario_delivery import FILL_SECONDS, LARGE, SECRET, Sink, delivered, filled
from scenario_endpoints import ROOM, call, sequence_of, spans_of
from servers import data_folder
from serverutil import Gateway, endpoint, open_source

# None of them holds anything back here: what is measured is what it costs to ask them.
POLICIES = {"ordered": {"key": "json:$.id"}, "rate": {"per_second": 1_000_000, "burst": 1000}, "breaker": True}
# Every event of `fill` meets it; the last condition is known at the end of the body alone.
FILTER = {"body": {"id": {"$startsWith": "f", "$neq": "f"}, "pad": {"$exist": True}, "absent": {"$exist": False}}}


# What a redaction finds in each body, a few dozen times in 4 KiB.
SECRETS = "mail alice@example.com from 10.20.30.40 with Bearer abcdefghijklmnopqrstuvwxyz012345 and words in between; "


# MARK: what a policy takes from the rate


def drained(what, outcome, name, events, policy, pad):
    """A full log to one endpoint that has this policy: (deliveries a second, processor microseconds of each)."""
    folder, sink = data_folder(), Sink()
    try:
        with sink:
            targets = [sink.endpoint("sink", concurrency=what["concurrency"], **policy)]
            total = filled(folder, targets, events, what["body"], pad)
            gateway = Gateway([open_source()], targets, folder=folder, log=LARGE, loops=1, wrapper=pinned("0", []))
            with gateway:
                # Deliveries begin before /ready is seen: what was done by then counts for neither side.
                started, cpu, before = time.monotonic(), gateway.cpu_seconds(), delivered(gateway)
                seconds = 60 + total / 1000
                wait_until(lambda: delivered(gateway) >= total, seconds, lambda: f"{delivered(gateway)} of {total}")
                seconds, cpu = time.monotonic() - started, gateway.cpu_seconds() - cpu
            outcome.check(f"{name}: the endpoint has all {total}", sink.end()["distinct"] == total)
        return (total - before) / seconds, cpu / max(total - before, 1) * 1e6
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compared(what, outcome, scale, name, policy, least, pad="x"):
    """The rate without the policy and with it, in turns; the share that is left, from the rounds' own pairs."""
    events, rates, used = max(1000, int(what["events"] * scale)), {}, {}
    for turn in range(what["rounds"]):
        for one in ("plain", name) if turn % 2 == 0 else (name, "plain"):
            rate, cpu = drained(what, outcome, one, events, policy if one == name else {}, pad)
            rates.setdefault(one, []).append(rate)
            used.setdefault(one, []).append(cpu)
    for one in ("plain", name):
        outcome.figure(f"{one}.rate", statistics.median(rates[one]), 0)
        outcome.figure(f"{one}.cpu", statistics.median(used[one]), 2)
    share = statistics.median(after / before for before, after in zip(rates["plain"], rates[name]))
    outcome.figure(f"{name}.share", share)
    if least is not None:
        outcome.check(f"{name}: at least {least} of the rate without", share >= least)
    return statistics.median(rates[name])


def policies(what, outcome, scale):
    compared(what, outcome, scale, "policies", POLICIES, 0.8)


def filtered(what, outcome, scale):
    compared(what, outcome, scale, "filter", {"filter": FILTER}, 0.7)


def redaction(what, outcome, scale):
    rate = compared(what, outcome, scale, "redaction", {"redact": True}, None, SECRETS)
    outcome.check("at least 10,000 redacted deliveries a second", rate >= 10_000)


# MARK: behind a breaker


class Refuser:
    """A listener that takes each connection, counts it and closes it without a word."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port, self.connections = self.listener.getsockname()[1], 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def breaker(what, outcome, scale):
    """Events for an endpoint that is down, until its breaker is open; what the waiting costs; then it comes back."""
    events, folder, refuser = max(1000, int(what["events"] * scale)), data_folder(), Refuser()
    ledgers = {name: os.path.join(folder, name) for name in ("dead", "alone", "waiting", "return")}
    settings = {"failures": 5, "cooldown": f"{what['cooldown']}s", "probes": 3}
    # Its first delivery must still be tried when the endpoint is back.
    retry = {"backoff": {"first": "500ms", "max": "1s", "attempts": 65}}
    url = f"http://127.0.0.1:{refuser.port}/hooks"
    dead = endpoint("dead", url, sources=["backlog"], ordered=True, breaker=settings, retry=retry)
    sources = [open_source("backlog"), {"name": "s0", "provider": "github", "secrets": [driver.SECRET]}]
    p99 = {}
    try:
        gateway = Gateway(sources, [dead], folder=folder, loops=1, wrapper=pinned("0", []), grace="1s", **ROOM)
        with gateway:
            p99["alone"] = beside(what, outcome, gateway, "alone", ledgers)
            number, waiting, seen = 0, 0, refuser.connections
            started = time.monotonic()
            while waiting < events:
                number += 1
                waiting += fill(gateway, FILL_SECONDS, path="/in/backlog", body=256, run=f"b{number}")[0]
            p99["waiting"] = beside(what, outcome, gateway, "waiting", ledgers)
            before, since = gateway.cpu_seconds(), time.monotonic()
            time.sleep(what["idle"])
            outcome.figure("events", waiting)
            outcome.figure("idle_share", (gateway.cpu_seconds() - before) / (time.monotonic() - since), 4)
            rounds = (time.monotonic() - started) / what["cooldown"] + 1
            outcome.figure("connections", refuser.connections - seen)
            outcome.figure("cooldowns", rounds, 1)
            outcome.check(
                "no more connections than failures and a probe each cooldown",
                refuser.connections <= settings["failures"] + rounds + 3,
            )
            refuser.close()
            with Sink("--ledger", ledgers["dead"], port=refuser.port) as sink:
                p99["return"] = beside(what, outcome, gateway, "return", ledgers)
                wait_until(lambda: delivered(gateway, endpoint="dead") >= waiting, 60 + waiting / 500, "the backlog")
                outcome.check(f"all {waiting} came", sink.end()["distinct"] >= waiting)
        came_in_order(outcome, ledgers["dead"])
        for name, value in p99.items():
            outcome.figure(f"{name}.p99_ms", value, 2)
        for name in ("waiting", "return"):
            outcome.figure(f"{name}.p99_ratio", p99[name] / p99["alone"])
            outcome.check(f"{name}: the other's p99 within 1.2 of alone", p99[name] <= 1.2 * p99["alone"])
        outcome.check("what waits takes at most 1 % of a core", outcome.figures["idle_share"] <= 0.01)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def came_in_order(outcome, ledger):
    """From the sink's ledger: each sequence once, upwards; and how the first seconds went."""
    with open(ledger) as file:
        rows = [line.split(" ", 3)[:3] for line in file]
    rows = [(int(at), sequence_of(identity)) for at, identity, status in rows if status.startswith("2")]
    sequences = [sequence for _, sequence in rows]
    outcome.check("they came in order, each once", sequences == sorted(set(sequences)))
    first = rows[0][0]
    for second in range(3):
        count = sum(1 for at, _ in rows if second <= (at - first) / 1e6 < second + 1)
        outcome.figure(f"second_{second}.deliveries", count)


def beside(what, outcome, gateway, name, ledgers):
    """The 99th percentile, in milliseconds, of another endpoint of the same gateway under a steady load."""
    with Sink("--ledger", ledgers[name]) as sink:
        url = f"http://127.0.0.1:{sink.port}/hooks"
        draft = {"name": name, "url": url, "secrets": [SECRET], "sources": ["s0"]}
        call(gateway, "POST", "/api/v1/endpoints", draft)
        sent = load(gateway, "s0", what["rate"], what["seconds"])
        wait_until(lambda: delivered(gateway, endpoint=name) >= sent, 120, f"{name}: the other's events")
        sink.end()
        call(gateway, "POST", f"/api/v1/endpoints/{name}/disable", None)
    spans = spans_of(ledgers[name], gateway.data)
    outcome.check(f"{name}: the other endpoint has all {sent}", len(spans) >= sent)
    return spans[int(len(spans) * 0.99)] / 1e3


# MARK: tenants


def fairness(what, outcome, scale):
    """The 99th percentile from receipt to the endpoint of a tenant that sends a little, alone and beside one that sends
    many times as much, in turns."""
    p99 = {"alone": [], "beside": []}
    for turn in range(what["rounds"]):
        for name in ("alone", "beside") if turn % 2 == 0 else ("beside", "alone"):
            p99[name].append(small_tenant(what, outcome, name, max(2, round(what["seconds"] * scale))))
    for name, found in p99.items():
        outcome.figure(f"{name}.p99_ms", statistics.median(found), 2)
    ratio = statistics.median(beside / alone for alone, beside in zip(p99["alone"], p99["beside"]))
    outcome.figure("beside.p99_ratio", ratio)
    outcome.check("the small tenant's p99 within twice of alone", ratio <= 2)


def small_tenant(what, outcome, name, seconds):
    folder = data_folder()
    ledger = os.path.join(folder, "ledger")
    sources = [
        {"name": one, "tenant": one, "path": f"/in/{one}", "provider": "github", "secrets": [driver.SECRET]}
        for one in ("small", "large")
    ]
    try:
        with Sink("--ledger", ledger) as small, Sink() as large:
            targets = [small.endpoint("small", tenant="small"), large.endpoint("large", tenant="large")]
            gateway = Gateway(sources, targets, folder=folder, loops=1, wrapper=pinned("0", []), grace="1s", **ROOM)
            with gateway:
                other = threading.Thread(
                    target=load, args=(gateway, "large", what["rate"] * what["times"], seconds), daemon=True)
                if name == "beside":
                    other.start()
                sent = load(gateway, "small", what["rate"], seconds)
                if name == "beside":
                    other.join()
                wait_until(lambda: delivered(gateway, endpoint="small/small") >= sent, 60, "the small tenant's events")
            small.end()
        spans = spans_of(ledger, gateway.data)
        outcome.check(f"{name}: the small tenant's endpoint has all {sent}", len(spans) >= sent)
        return spans[int(len(spans) * 0.99)] / 1e3
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load(gateway, source, rate, seconds):
    """A steady load on a source, 1 KiB each; how many were accepted."""
    arguments = ["--rate", rate, "--duration", f"{seconds}s", "--warmup", "0s", "--connections", 32]
    arguments += ["--size", "1KiB", "--provider", "github", "--secret", driver.SECRET]
    return driver.drive_load(f"http://127.0.0.1:{gateway.port}/in/{source}", arguments)["accepted"]


KINDS = {
    "fairness": (fairness, {"rate": 200, "times": 50, "seconds": 10, "rounds": 3}),
    "filter": (filtered, {"events": 200_000, "body": 1024, "concurrency": 64, "rounds": 3}),
    "policies": (policies, {"events": 100_000, "body": 1024, "concurrency": 64, "rounds": 3}),
    "redaction": (redaction, {"events": 100_000, "body": 4096, "concurrency": 64, "rounds": 1}),
    "breaker": (breaker, {"events": 1_000_000, "cooldown": 2, "rate": 1000, "seconds": 15, "idle": 10}),
}
