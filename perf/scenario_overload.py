"""Too much, measured: what is taken as more is offered than can be, and what others notice of each attack."""

import os
import subprocess
import sys

import attackers
import driver
from perfutil import HERE, pinned
from serverutil import github_source, open_source
from servers import Sluice

MEBIBYTE = 1 << 20


def load(server, rate, connections, seconds):
    arguments = ["--rate", rate, "--connections", connections, "--duration", f"{seconds}s"]
    arguments += ["--provider", "github", "--secret", driver.SECRET, "--size", "1KiB"]
    return driver.drive_load(server.url + "in/github", arguments)


def told(outcome, name, done):
    outcome.figure(f"{name}.accepted_per_second", done["acceptedPerSecond"], 0)
    for part in ("p50", "p99", "max"):
        outcome.figure(f"{name}.{part}_ms", done["latency"][part] / 1e3)


def overload(what, outcome, scale):
    """An open loop at multiples of what is taken at most; goodput, waits, refusals, memory."""
    seconds = max(1, round(what["seconds"] * scale))
    with Sluice(sources=[github_source(secret=driver.SECRET), open_source("open")]) as server:
        # A first run touches the memory that was reserved at start.
        load(server, what["ceiling"], what["connections"], seconds)
        peak = load(server, what["ceiling"], what["connections"], seconds)["acceptedPerSecond"]
        outcome.figure("peak.accepted_per_second", peak, 0)
        before = server.gateway.rss()
        goodput, kept = {}, 0
        for factor in what["factors"]:
            done = load(server, round(peak * factor), what["connections"], seconds)
            goodput[factor] = done["acceptedPerSecond"]
            told(outcome, f"x{factor}", done)
            kept += done["accepted"]
        # What its sender gave up waiting for may be kept all the same.
        outcome.check("whatever was accepted is kept", server.kept() >= kept)
        outcome.figure("goodput_at_most_of_peak", goodput[max(goodput)] / peak)
        outcome.figure("rss_growth_mib", (server.gateway.rss() - before) / MEBIBYTE, 1)


def attacks(what, outcome, scale):
    """Others' events at a fixed rate beside each attack, and alone right before it: disks have moods."""
    seconds = max(2, round(what["seconds"] * scale))
    limits = {"head_time": "5s", "body_time": "5s", "connections_per_address": what["connections_per_address"]}
    sources = [github_source(secret=driver.SECRET), open_source("open")]
    with Sluice(sources=sources, limits=limits) as server:
        load(server, what["rate"], what["connections"], seconds)
        before = server.gateway.rss()
        for kind in what["attacks"]:
            alone = load(server, what["rate"], what["connections"], seconds)
            outcome.figure(f"{kind}.alone_p99_ms", alone["latency"]["p99"] / 1e3)
            command = [os.path.join(HERE, "attackers.py"), kind, str(server.gateway.port), str(seconds + 1)]
            # It gives way to the others' load at once, which has the same processor: what they wait for is the gateway.
            attack = subprocess.Popen(
                pinned(driver.LOAD_CPU, ["chrt", "--idle", "0", sys.executable, *command]),
                stdout=subprocess.PIPE, text=True)
            done = load(server, what["rate"], what["connections"], seconds)
            told(outcome, kind, done)
            outcome.figure(f"{kind}.p99_of_alone", done["latency"]["p99"] / max(alone["latency"]["p99"], 1))
            outcome.figure(f"{kind}.strikes", int(attack.communicate(timeout=60)[0] or 0))
            outcome.check(f"{kind}: every event of others is accepted", done["accepted"] == done["sent"])
        outcome.figure("rss_growth_mib", (server.gateway.rss() - before) / MEBIBYTE, 1)


KINDS = {
    "overload": (
        overload, {"ceiling": 400_000, "connections": 256, "factors": [0.5, 1.0, 2.0, 4.0], "seconds": 5}),
    "attacks": (
        attacks,
        {"rate": 5000, "connections": 64, "seconds": 6, "connections_per_address": 0, "attacks": attackers.KINDS}),
}
