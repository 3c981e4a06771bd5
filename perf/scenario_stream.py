"""The scenarios of those who watch: readers of the event stream, or of the contract's, beside ingest, in turns with
ingest alone."""

import concurrent.futures
import json
import os
import statistics
import tempfile
import time

import driver
from serverutil import github_source, request
from servers import Sluice
from streamload import Audience, Contract, Own, Reader

# A reader that takes nothing is dropped when its buffer is full, or after 15 s.
DROPPED_SECONDS = 30


def mix_of(folder, tenants):
    path = os.path.join(folder, "mix.yaml")
    with open(path, "w") as file:
        file.write("traffic:\n")
        for name in tenants:
            file.write(
                f"  - {{name: {name}, path: /in/{name}/in, provider: github, type: push, secret: {driver.SECRET}, "
                "weight: 1, size: 1KiB}\n")
    return path


class OwnLoad:
    """Github's events of all tenants, one load."""

    form = Own

    def __init__(self, server, folder, names, what):
        self.url, self.what, self.mix, self.tenants = server.url, what, mix_of(folder, names), names

    @staticmethod
    def source(name):
        return github_source("in", secret=driver.SECRET, tenant=name)

    def run(self, seconds):
        return driver.drive_load(self.url, [
            "--mix", self.mix, "--rate", self.what["rate"], "--duration", f"{seconds}s", "--warmup", "0s",
            "--connections", 64, "--seed", next(driver.SEEDS)])


class ContractLoad:
    """Events in the contract's envelope: a load for each tenant, which the envelope names."""

    form = Contract

    def __init__(self, server, folder, names, what):
        self.url, self.rate = server.url, what["rate"] / len(names)
        listed = json.loads(request(server.gateway.admin_port, "/api/v1/tenants?limit=100")[2])["items"]
        known = {one["name"]: one["tenant_id"] for one in listed}
        self.names, self.tenants = names, [known[name] for name in names]

    @staticmethod
    def source(name):
        return {"name": "in", "provider": "contract", "secrets": [driver.SECRET], "tenant": name}

    def one(self, name, tenant, seconds):
        return driver.drive_load(f"{self.url}in/{name}/in", [
            "--provider", "contract", "--header", f"X-Tenant-Id: {tenant}", "--secret", driver.SECRET, "--size", "1KiB",
            "--rate", self.rate, "--duration", f"{seconds}s", "--warmup", "0s", "--connections", 3,
            "--seed", next(driver.SEEDS)])

    def run(self, seconds):
        """Their sums; of the latencies the median and the worst."""
        with concurrent.futures.ThreadPoolExecutor(len(self.names)) as pool:
            all_of_it = list(pool.map(self.one, self.names, self.tenants, [seconds] * len(self.names)))
        said = {name: sum(one[name] for one in all_of_it)
                for name in ("accepted", "failed", "refused", "unsent", "acceptedPerSecond")}
        latencies = {part: [one["latency"][part] for one in all_of_it] for part in ("p50", "p99")}
        return {**said, "latency": {"p50": statistics.median(latencies["p50"]), "p99": max(latencies["p99"])}}


class Round:
    """One load, and what it took of the gateway's processor."""

    def __init__(self, server, load, seconds):
        used = server.cpu_nanos()
        self.said = load.run(seconds)
        self.cpu = (server.cpu_nanos() - used) / 1e3 / max(self.said["accepted"], 1)

    @property
    def lost(self):
        return self.said["failed"] + self.said["refused"] + self.said["unsent"]


def readers(what, outcome, scale, kind=OwnLoad):
    seconds, rounds = max(2, round(what["seconds"] * scale)), max(1, round(what["rounds"] * scale))
    names = [f"t{number}" for number in range(what["tenants"])]
    each = max(1, what["readers"] // len(names))
    found = {"alone": [], "read": []}
    with Sluice(sources=[kind.source(name) for name in names]) as server, \
            tempfile.TemporaryDirectory(prefix="sluice-stream-") as folder:
        load = kind(server, folder, names, what)
        Round(server, load, 1)
        for number in range(rounds):
            for name in ("alone", "read") if number % 2 == 0 else ("read", "alone"):
                if name == "alone":
                    found[name].append(Round(server, load, seconds))
                    continue
                before = server.kept()
                with Audience(server.gateway.admin_port, load.tenants, each, load.form) as audience:
                    found[name].append(Round(server, load, seconds))
                    events = server.kept() - before
                    outcome.check(f"all were told all, {events * each} items", audience.has(events * each, 30))
                    faults = audience.faults(events)
                    said = f": {faults[0]}" if faults else ""
                    outcome.check(f"each its tenant's events, in order and once{said}", not faults)
        conclude(what, outcome, found, each)
        stopped(what, outcome, server, load)


def contract_readers(what, outcome, scale):
    readers(what, outcome, scale, ContractLoad)


def conclude(what, outcome, found, each):
    for name, done in found.items():
        rate = statistics.median(one.said["acceptedPerSecond"] for one in done)
        outcome.figure(f"{name}.accepted_per_second", rate, 0)
        for part in ("p50", "p99"):
            outcome.figure(f"{name}.{part}", statistics.median(one.said["latency"][part] for one in done), 0)
        outcome.figure(f"{name}.cpu_micros_an_event", statistics.median(one.cpu for one in done), 1)
        outcome.check(f"{name}: nothing refused, failed or unsent", sum(one.lost for one in done) == 0)
    pairs = list(zip(found["alone"], found["read"]))
    ratio = statistics.median(b.said["acceptedPerSecond"] / a.said["acceptedPerSecond"] for a, b in pairs)
    p99 = statistics.median(b.said["latency"]["p99"] / a.said["latency"]["p99"] for a, b in pairs)
    outcome.figure("read.rate_ratio", ratio)
    outcome.figure("read.p99_ratio", p99)
    items = statistics.median(one.said["acceptedPerSecond"] for one in found["read"]) * each
    outcome.figure("read.items_per_second", items, 0)
    told = statistics.median((b.cpu - a.cpu) / each for a, b in pairs)
    outcome.figure("read.cpu_micros_an_item", told, 2)
    outcome.check("ingest beside the readers at least 0.95 of ingest alone", ratio >= 0.95)


def stopped(what, outcome, server, load):
    """Readers that take nothing, beside one that does."""
    gateway = server.gateway
    dropped = lambda: gateway.metric_sum("sluice_stream_dropped_total", reason="slow")  # noqa: E731
    before, kept = dropped(), server.kept()
    stuck = [Reader(gateway.admin_port, load.tenants[0], False, load.form) for _ in range(what["stopped"])]
    try:
        with Audience(gateway.admin_port, load.tenants, 1, load.form) as audience:
            end, began = time.monotonic() + DROPPED_SECONDS, time.monotonic()
            while dropped() - before < len(stuck) and time.monotonic() < end:
                Round(server, load, 2)
            outcome.figure("stopped.seconds", time.monotonic() - began, 1)
            outcome.check(f"{len(stuck)} readers that stopped were dropped", dropped() - before == len(stuck))
            events = server.kept() - kept
            faults = [] if audience.has(events, 30) and not audience.faults(events) else audience.faults(events)[:1]
            outcome.check(f"the others had all of it{': ' + faults[0] if faults else ''}", not faults)
    finally:
        for reader in stuck:
            reader.close()


DEFAULTS = {"rate": 5000, "tenants": 20, "readers": 200, "stopped": 5, "seconds": 5, "rounds": 5}
KINDS = {"readers": (readers, DEFAULTS), "contract-readers": (contract_readers, DEFAULTS)}
