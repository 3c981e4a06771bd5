"""The scenarios of the way in: beside the limit probe and the peers, in a storm, repeated, and as a published test."""

import os
import re
import statistics
import subprocess
import tempfile
import time

import driver
from keypair import KeyPair
from perfutil import HERE, pinned
from serverutil import github_source
import turns
from servers import PEERS, Sluice, Unavailable

# What a provider's stress test published: one gateway, 100 concurrent requests. Milliseconds.
PUBLISHED = {
    "closed": {"mean": 127.0, "p95": 310.0, "p99": 890.0},
    "at_once": {"mean": 127.0, "p95": 310.0, "p99": 890.0},
    "sustained": {"p99": 130.0},
}


def middle(done, name, what):
    return statistics.median(one[name][what] for one in done)


def beside(what, outcome, scale):
    """All servers in turns, for each number of connections and body size: processor time in slices, so that the
    machine's mood falls on all alike; rates and latencies in whole turns, which no stop interrupts."""
    seconds = max(1, round(what["seconds"] * scale))
    count = max(1, round(what["rounds"] * scale))
    for body in what["body"]:
        for connections in what["connections"]:
            servers = []
            try:
                for name in what["servers"]:
                    try:
                        servers.append(PEERS[name]().__enter__())
                    except Unavailable as reason:
                        outcome.note(f"{name}: {reason}")
                sliced = turns.sliced_rounds(servers, count, connections, seconds, body)
                whole = turns.rounds(servers, driver.drive_closed, count, connections, seconds, body)
            finally:
                for server in reversed(servers):
                    server.__exit__(None, None, None)
            case = f"{connections}x{body}"
            for server in servers:
                outcome.figure(f"{case}.{server.name}.cpu", middle(sliced, server.name, "cpu"), 2)
                for part in ("rate", *turns.LATENCIES):
                    outcome.figure(f"{case}.{server.name}.{part}", middle(whole, server.name, part), 0)
            first = servers[0].name
            for done, part in ((whole, "rate"), (sliced, "cpu"), (whole, "p50"), (whole, "p99")):
                ratio = statistics.median(one["sluice"][part] / one[first][part] for one in done)
                outcome.figure(f"{case}.ratio-to-{first}.{part}", ratio)
            outcome.check(f"{case}: every answer an event on disk, none refused", True)


def ordinary(what, outcome, scale):
    """A source with something more to check beside one without, in turns: rate and processor time of each request."""
    seconds, count = max(1, round(what["seconds"] * scale)), max(1, round(what["rounds"] * scale))
    first, second = what["servers"]
    with PEERS[first]() as plain, PEERS[second]() as other:
        for body in what["body"]:
            for connections in what["connections"]:
                done = turns.rounds([plain, other], driver.drive_closed, count, connections, seconds, body)
                case = f"{connections}x{body}"
                for server in (plain, other):
                    for part in ("rate", "cpu", "p50", "p99"):
                        outcome.figure(f"{case}.{server.name}.{part}", middle(done, server.name, part), 2)
                for part in ("rate", "cpu"):
                    ratio = statistics.median(one[other.name][part] / one[plain.name][part] for one in done)
                    outcome.figure(f"{case}.ratio.{part}", ratio)
                    if part == "rate":
                        outcome.check(f"{case}: at least {what['least']} of the rate", ratio >= what["least"])


def burst(what, outcome, scale):
    """Silence, then everybody at once, several times."""
    signed = driver.SignedRequests()
    seconds = max(1, round(what["seconds"] * scale))
    with Sluice() as server:
        worst, rates, refused, before = 0.0, [], 0, server.kept()
        answered = 0
        for _ in range(what["bursts"]):
            time.sleep(what["silence"] * min(1, scale))
            how = {"connections": what["connections"], "seconds": seconds, "body": what["body"]}
            done = driver.drive_wrk(signed, server.url, **how)
            worst = max(worst, done["latency"]["max"])
            rates.append(done["answeredPerSecond"])
            refused += done["refused"] + done["failed"]
            answered += done["accepted"]
        outcome.figure("rate", statistics.median(rates), 0)
        outcome.figure("slowest_answer_ms", worst / 1e3, 1)
        outcome.check("nobody was refused or disconnected", refused == 0)
        outcome.check("every answer is an event on disk", server.kept() - before >= answered)


def duplicates(what, outcome, scale):
    """The same requests again and again: each is kept once, and the repeats do not slow the fresh ones down."""
    signed = driver.SignedRequests()
    seconds = max(1, round(what["seconds"] * scale))
    with Sluice() as server:
        how = {"connections": what["connections"], "seconds": seconds, "body": what["body"]}
        fresh = driver.drive_wrk(signed, server.url, **how)
        before, used = server.kept(), server.cpu_nanos()
        storm = driver.drive_wrk(signed, server.url, **{**how, "seconds": max(1, seconds // 2)}, repeats=True)
        used = (server.cpu_nanos() - used) / 1e3 / max(storm["answered"], 1)
        kept = server.kept() - before
        outcome.figure("fresh.rate", fresh["answeredPerSecond"], 0)
        outcome.figure("repeated.rate", storm["answeredPerSecond"], 0)
        outcome.figure("repeated.cpu", used, 2)
        outcome.figure("repeated.kept_share", kept / max(storm["answered"], 1))
        outcome.check("every repeat is answered as received", storm["refused"] + storm["failed"] == 0)
        # A generator that is faster than before gets beyond what was sent then; those are no repeats.
        # What the first run did not get to is fresh.
        beyond = max(0, signed.count(what["body"]) - fresh["answered"])
        outcome.check("repeats leave no second event", kept <= beyond + what["connections"])


def mixed(what, outcome, scale):
    """The published stress test's loads with traffic of six providers: many at once, a burst, a sustained rate."""
    seconds = max(3, round(what["seconds"] * scale))
    mix = os.path.join(HERE, "mixes", what["mix"] + ".yaml")
    with open(mix) as file:
        entries = re.findall(r"name: (\S+), provider: (\S+), .*?secret: ([^,\s]+)", file.read())
    sources = [{"name": name, "provider": provider, "secrets": [secret]} for name, provider, secret in entries]
    loads = {
        "closed": ["--closed"],
        "at_once": ["--profile", f"burst:1s,10ms@{what['connections'] * 100}"],
        "burst": ["--profile", f"burst:{seconds}s,1s@{what['burst_rate']}", "--warmup", "0s"],
        "sustained": ["--rate", what["sustained_rate"]],
    }
    with Sluice(sources=sources) as server:
        for name, arguments in loads.items():
            arguments = ["--connections", what["connections"], "--duration", f"{2 * seconds}s", *arguments]
            done = driver.drive_load(server.url, ["--mix", mix, *arguments])
            outcome.figure(f"{name}.rate", done["answeredPerSecond"], 0)
            for part in ("mean", "p95", "p99", "max"):
                outcome.figure(f"{name}.{part}_ms", done["latency"][part] / 1e3)
            outcome.check(f"{name}: nothing failed, refused or accepted wrongly", is_exact(done))
            for part, published in PUBLISHED[name].items() if name in PUBLISHED else ():
                outcome.figure(f"published.{name}.{part}_ms", published)
                better = published / (done["latency"][part] / 1e3)
                outcome.figure(f"times_better.{name}.{part}", better, 0)
                outcome.check(f"{name}: {part} no slower than published", better >= 1)
    outcome.note(
        "published: 99.97 % success; here every request got the answer that it had to get, or the check fails"
    )


def is_exact(done):
    """`refused` has what was refused against the plan; the bad ones of the mix must be refused, all others accepted."""
    return done["refused"] + done["failed"] + done["unsent"] + done["wronglyAccepted"] == 0


FORGERY = """-- The same forged request again and again: nothing is kept of it that would make the next one cheaper.
wrk.method, wrk.body = "POST", os.getenv("FORGED_BODY")
"""


def flood(what, outcome, scale):
    """HMAC traffic at a fixed rate, alone and beside forgeries that only the verifier threads can refuse."""
    seconds = max(3, round(what["seconds"] * scale))
    with tempfile.TemporaryDirectory(prefix="sluice-flood-") as folder:
        key, script, forged = (
            KeyPair(folder),
            os.path.join(folder, "forgery.lua"),
            '{"type":1,"event":{"type":"FORGE"}}',
        )
        with open(script, "w") as file:
            file.write(FORGERY)
        with Sluice(sources=[github_source(secret=driver.SECRET), key.source()]) as server:
            arguments = ["--rate", what["rate"], "--connections", what["connections"], "--duration", f"{seconds}s"]
            arguments += ["--provider", "github", "--secret", driver.SECRET, "--size", "1KiB"]

            def load(name):
                done = driver.drive_load(server.url + "in/github", arguments)
                outcome.figure(f"{name}.rate", done["acceptedPerSecond"], 0)
                for part in ("p50", "p99", "max"):
                    outcome.figure(f"{name}.{part}_ms", done["latency"][part] / 1e3)
                outcome.check(f"{name}: every HMAC event is accepted", done["accepted"] == done["sent"])

            load("alone")
            command = ["wrk", "-t1", f"-c{what['flood_connections']}", f"-d{seconds + 3}s", "-s", script]
            for name, value in key.headers(forged.replace("FORGE", "TRUE").encode()).items():
                command += ["-H", f"{name}: {value}"]
            attack = subprocess.Popen(
                pinned(driver.LOAD_CPU, [*command, server.url + "in/costly"]),
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "FORGED_BODY": forged},
            )
            load("flooded")
            said = driver.wrk_summary(attack.communicate(timeout=60)[0], seconds)
            outcome.figure("flooded.forgeries_per_second", said["answeredPerSecond"], 0)
            outcome.check("no forgery is accepted", said["accepted"] == 0 and said["refused"] > 0)


KINDS = {
    "ingest": (
        beside,
        {"connections": [64], "body": [1024], "seconds": 4, "rounds": 3, "servers": ["probe-durable", "sluice"]},
    ),
    "ordinary": (
        ordinary,
        {
            "connections": [64], "body": [1024], "seconds": 2, "rounds": 5, "servers": ["sluice", "contract"],
            "least": 0.9,
        },
    ),
    "burst": (burst, {"connections": 512, "body": 1024, "seconds": 2, "silence": 5, "bursts": 4}),
    "duplicates": (duplicates, {"connections": 64, "body": 1024, "seconds": 8}),
    "flood": (flood, {"rate": 10000, "connections": 64, "flood_connections": 64, "seconds": 10}),
    "mixed": (
        mixed,
        {"connections": 100, "mix": "providers", "seconds": 10, "burst_rate": 500, "sustained_rate": 200},
    ),
}
