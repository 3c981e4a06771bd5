"""The scenarios of the control API: many tenants made by programs, listed, started again; and what ingest notices of a
busy API."""

import base64
import glob
import os
import shutil
import statistics
import threading
import time

import driver
from apiload import Caller, Connection, together
from servers import data_folder, processor_nanos
from serverutil import Gateway, endpoint, github_source

# Retention and delivery are no part of the questions; the endpoints get nothing.
ROOM = {"log": {"segment": "64MiB", "group": "16MiB"}}
MAKE_SECONDS, START_SECONDS = 60, 10
SECRET = "secret" * 4
PAGE = 1000


def new_gateway(folder):
    return Gateway(
        [github_source("s0", secret=driver.SECRET)], [endpoint("hook", "http://127.0.0.1:9999/", types=["never"])],
        folder=folder, grace="1s", **ROOM)


class Timed:
    """Seconds on the clock and of the gateway's processor time."""

    def __init__(self, gateway):
        self.pid = gateway.process.pid

    def __enter__(self):
        self.began, self.used = time.monotonic(), processor_nanos(self.pid)
        return self

    def __exit__(self, *error):
        self.wall = time.monotonic() - self.began
        self.cpu = (processor_nanos(self.pid) - self.used) / 1e9


def draft(tenant, number):
    return {
        "name": f"e{number}", "tenant": f"u{tenant}", "url": f"http://127.0.0.1:9999/{tenant}/{number}",
        "types": ["never"], "secrets": ["whsec_" + base64.b64encode(SECRET.encode()).decode()],
    }


def found_in(folder, secret):
    """Files of the store that have the secret, as bytes or as it was given."""
    found = []
    for path in glob.glob(os.path.join(folder, "store.sqlite*")):
        with open(path, "rb") as file:
            text = file.read()
        found += [path] if secret in text or base64.b64encode(secret) in text else []
    return found


def make(gateway, tenants, each, connections, at_once):
    """Each connection makes a tenant and then its endpoints, `at_once` in a call."""
    numbers, lock = iter(tenants), threading.Lock()

    def work(connection, _):
        while True:
            with lock:
                tenant = next(numbers, None)
            if tenant is None:
                return
            connection.call("POST", "/tenants", {"name": f"t{tenant}", "uid": f"u{tenant}"})
            for first in range(0, each, at_once):
                lot = [draft(tenant, number) for number in range(first, min(first + at_once, each))]
                connection.call("POST", "/endpoints", lot[0] if at_once == 1 else {"endpoints": lot})

    with Timed(gateway) as timed:
        together(gateway.admin_port, connections, work)
    return timed


def count_pages(gateway, path):
    connection, count, cursor = Connection(gateway.admin_port), 0, ""
    while cursor is not None:
        page = connection.call("GET", f"{path}?limit={PAGE}" + (f"&cursor={cursor}" if cursor else ""))
        count, cursor = count + len(page["items"]), page.get("next")
    return count


def tenants(what, outcome, scale):
    count, each = max(10, round(what["tenants"] * scale)), what["endpoints"]
    singles = max(5, round(what["single_tenants"] * scale))
    folder = data_folder()
    gateway = new_gateway(folder)
    try:
        gateway.start()
        # The same by a call for each endpoint first, of fewer: what a call costs.
        single = make(gateway, range(count, count + singles), each, what["connections"], 1)
        calls = singles * (each + 1)
        outcome.figure("single.calls_per_second", calls / single.wall, 0)
        outcome.figure("single.cpu_micros_a_call", single.cpu * 1e6 / calls, 0)
        made = make(gateway, range(count), each, what["connections"], each)
        outcome.figure("made.seconds", made.wall, 1)
        outcome.figure("made.cpu_seconds", made.cpu, 1)
        wanted = MAKE_SECONDS * max(1, count / 10_000)
        outcome.check(f"{count} tenants with {each} endpoints each made in {wanted:.0f} s", made.wall <= wanted)
        there = {"/tenants": count + singles + 1, "/endpoints": (count + singles) * each + 1}
        for path, number in there.items():
            with Timed(gateway) as listed:
                found = count_pages(gateway, path)
            outcome.figure(f"list{path.replace('/', '.')}.seconds", listed.wall, 2)
            outcome.check(f"all {number} of {path} are listed, page by page", found == number)
        outcome.check("it stops", gateway.stop(60) == 0)
        outcome.check("each endpoint's secret is sealed on disk", not found_in(gateway.data, SECRET.encode()))
        began = time.monotonic()
        gateway.start(120)
        seconds = time.monotonic() - began
        outcome.figure("start.seconds", seconds, 2)
        outcome.figure("start.cpu_seconds", processor_nanos(gateway.process.pid) / 1e9, 2)
        outcome.figure("resident_mib", gateway.rss() / (1 << 20), 0)
        outcome.check(f"started again in {START_SECONDS} s", seconds <= START_SECONDS)
        outcome.check("all of them are there", count_pages(gateway, "/endpoints") == there["/endpoints"])
    finally:
        gateway.discard()
        shutil.rmtree(folder, ignore_errors=True)


def ingest(gateway, what, seconds):
    arguments = ["--rate", what["rate"], "--duration", f"{seconds}s", "--warmup", "0s", "--connections", 64]
    arguments += ["--size", "1KiB", "--provider", "github", "--secret", driver.SECRET]
    arguments += ["--seed", next(driver.SEEDS)]
    return driver.drive_load(f"http://127.0.0.1:{gateway.port}/in/s0", arguments)


def called_cpu(summary):
    return summary["generator"]["cpuMicrosARequest"]


def busy(what, outcome, scale):
    seconds, rounds = max(2, round(what["seconds"] * scale)), max(1, round(what["rounds"] * scale))
    found = {"alone": [], "busy": []}
    calls = []
    folder = data_folder()
    try:
        with new_gateway(folder) as gateway:
            with Caller(gateway.admin_port, what["calls"], what["connections"], what["changes"]) as api:
                for number in range(rounds):
                    for name in ("alone", "busy") if number % 2 == 0 else ("busy", "alone"):
                        if name == "alone":
                            found[name].append(ingest(gateway, what, seconds))
                            continue
                        run, called = api.beside(seconds, lambda: ingest(gateway, what, seconds))
                        found[name].append(run)
                        calls.append(called)
        lost = [sum(one[part] for part in ("refused", "failed", "unsent")) for one in calls]
        outcome.check(f"every call was answered with 2xx: {sum(lost)} were not", sum(lost) == 0)
        rate = statistics.median(one["acceptedPerSecond"] for one in calls)
        outcome.figure("api.calls_per_second", rate, 0)
        outcome.figure("api.p99_ms", statistics.median(one["latency"]["p99"] for one in calls) / 1e3, 2)
        outcome.figure("api.caller_cpu_micros", statistics.median(called_cpu(one) for one in calls), 1)
        outcome.check(f"the API was as busy as asked, {what['calls']} calls/s", rate >= 0.95 * what["calls"])
        for name, runs in found.items():
            rate = statistics.median(one["acceptedPerSecond"] for one in runs)
            outcome.figure(f"{name}.accepted_per_second", rate, 0)
            outcome.figure(f"{name}.p99", statistics.median(one["latency"]["p99"] for one in runs), 0)
            lost = sum(one["failed"] + one["refused"] + one["unsent"] for one in runs)
            outcome.check(f"{name}: nothing refused, failed or unsent", lost == 0)
        pairs = list(zip(found["alone"], found["busy"]))
        rate = statistics.median(b["acceptedPerSecond"] / a["acceptedPerSecond"] for a, b in pairs)
        p99 = statistics.median(b["latency"]["p99"] / a["latency"]["p99"] for a, b in pairs)
        outcome.figure("busy.rate_ratio", rate)
        outcome.figure("busy.p99_ratio", p99)
        outcome.check("ingest beside a busy API at least 0.95 of ingest alone", rate >= 0.95)
        outcome.check("p99 beside a busy API within 1.2 of alone", p99 <= 1.2)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


KINDS = {
    "tenants": (tenants, {"tenants": 10_000, "endpoints": 10, "connections": 32, "single_tenants": 300}),
    "busy-api": (
        busy,
        {"rate": 10_000, "calls": 1000, "connections": 16, "changes": 20, "seconds": 10, "rounds": 6},
    ),
}
