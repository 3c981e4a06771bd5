"""The scenarios of the way out and of the log: fan-out, a slow endpoint beside a fast one, a backlog, a restart, a long
run. Every one ends with a count of what the sinks have against what was acknowledged.
"""

import json
import shutil
import signal
import subprocess
import time

from perfutil import fill, pinned
from report import wait_until
from servers import data_folder
from serverutil import BINARY, Gateway, die_with_parent, endpoint, free_port, open_source

SECRET = "whsec_" + "A" * 32
LARGE = {"segment": "256MiB", "group": "16MiB"}
FILL_SECONDS = 2


class Sink:
    """`sluice sink` on the load's processor; what it saw when the context has ended."""

    def __init__(self, *arguments, port=None):
        self.port, self.arguments, self.seen = port or free_port(), arguments, {}

    def __enter__(self):
        command = [BINARY, "sink", "--listen", f"127.0.0.1:{self.port}", "--json", *self.arguments]
        self.process = subprocess.Popen(
            pinned("1", command),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=die_with_parent,
        )
        return self

    def end(self):
        """{'distinct', 'duplicates', …}."""
        self.process.send_signal(signal.SIGINT)
        self.seen = json.loads(self.process.communicate(timeout=30)[0])
        return self.seen

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def endpoint(self, name, **more):
        return endpoint(name, f"http://127.0.0.1:{self.port}/hooks", secret=SECRET, **more)


def filled(folder, targets, events, body, pad="x", **keys):
    """A log with at least `events` events that nobody has had yet; how many they are (more than were answered: the
    generator leaves out what was in flight when it stopped)."""
    waiting = [{**target, "disabled": True} for target in targets]
    with Gateway([open_source()], waiting, folder=folder, log=LARGE, loops=1, **keys) as gateway:
        total, number = 0, 0
        while total < events:
            number += 1
            total += fill(gateway, FILL_SECONDS, body=body, run=f"f{number}", pad=pad)[0]
    return log_stats(gateway.data)["records"]


def log_stats(data):
    done = subprocess.run([BINARY, "log", "stats", data, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def delivered(gateway, **labels):
    return gateway.metric_sum("sluice_delivery_events_total", outcome="delivered", **labels)


def drain(what, outcome, scale):
    """A full log, its endpoints enabled: how fast does everything reach all of them?"""
    events, folder = max(1000, int(what["events"] * scale)), data_folder()
    sinks = [Sink() for _ in range(what["endpoints"])]
    try:
        for sink in sinks:
            sink.__enter__()
        targets = [sink.endpoint(f"sink{n}", concurrency=what["concurrency"]) for n, sink in enumerate(sinks)]
        total = filled(folder, targets, events, what["body"])
        wanted = total * len(sinks)
        gateway = Gateway([open_source()], targets, folder=folder, log=LARGE, loops=1, wrapper=pinned("0", []))
        with gateway:
            # Deliveries begin before /ready is seen: what was done by then counts for neither side.
            started, used, before = time.monotonic(), gateway.cpu_seconds(), delivered(gateway)
            seconds = 60 + wanted / 1000
            wait_until(lambda: delivered(gateway) >= wanted, seconds, lambda: f"{delivered(gateway)} of {wanted}")
            seconds, used, count = time.monotonic() - started, gateway.cpu_seconds() - used, wanted - before
            outcome.figure("events", total)
            outcome.figure("deliveries", wanted)
            outcome.figure("rate", count / seconds, 0)
            outcome.figure("cpu", used / max(count, 1) * 1e6, 2)
            outcome.figure("rss_mib", gateway.rss() >> 20)
        for sink in sinks:
            seen = sink.end()
            outcome.check(f"an endpoint has all {total} events", seen["distinct"] == total)
    finally:
        for sink in sinks:
            sink.__exit__(None, None, None)
        shutil.rmtree(folder, ignore_errors=True)


def isolation(what, outcome, scale):
    """The fast endpoint's rate alone, and beside one that takes its time; the second must not be seen in the first."""
    events, rates = max(1000, int(what["events"] * scale)), {}
    for name in ("alone", "beside_slow"):
        folder = data_folder()
        fast, slow = Sink(), Sink("--delay", f"{what['delay_millis']}ms")
        try:
            with fast, slow:
                targets = [fast.endpoint("fast", concurrency=what["concurrency"])]
                if name != "alone":
                    targets.append(slow.endpoint("slow", concurrency=4))
                total = filled(folder, targets, events, what["body"])
                gateway = Gateway([open_source()], targets, folder=folder, log=LARGE, loops=1, wrapper=pinned("0", []))
                # What the slow one has in hand may not end within the grace of a stop.
                gateway.keys["grace"] = "3s"
                with gateway:
                    started, before = time.monotonic(), delivered(gateway, endpoint="fast")
                    wait_until(lambda: delivered(gateway, endpoint="fast") >= total, 600, "the fast endpoint's events")
                    rates[name] = (total - before) / (time.monotonic() - started)
                outcome.check(f"{name}: the fast endpoint has all {total}", fast.end()["distinct"] == total)
                slow.end()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        outcome.figure(f"{name}.rate", rates[name], 0)
    outcome.figure("beside_slow.share", rates["beside_slow"] / rates["alone"])


def recovery(what, outcome, scale):
    """Killed with a full log: how long until it is ready, and is everything there?"""
    events, folder = max(1000, int(what["events"] * scale)), data_folder()
    dedup = {"entries": what["dedup_entries"]}
    try:
        total = filled(folder, [], events, what["body"], dedup=dedup)
        gateway = Gateway([open_source()], folder=folder, log=LARGE, loops=1, dedup=dedup, expect_clean=False)
        with gateway:
            extra = fill(gateway, 1, body=what["body"], run="last")[0]
            gateway.kill()
            started = time.monotonic()
            gateway.start(600)
            seconds = time.monotonic() - started
            outcome.figure("events", total + extra)
            outcome.figure("ready_seconds", seconds)
            outcome.figure("events_a_second", (total + extra) / seconds, 0)
            gateway.stop()
        stats = log_stats(gateway.data)
        outcome.figure("log_mib", stats["segmentBytes"] >> 20)
        outcome.check("every acknowledged event is in the log", stats["records"] >= total + extra)
        outcome.check("the log is sound", stats["damages"] == 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def soak(what, outcome, scale):
    """Millions of events through a bounded history: does memory stay where it was?"""
    events, samples, total, number = max(1000, int(what["events"] * scale)), [], 0, 0
    log = {"segment": "64MiB", "group": "8MiB", "retention": {"size": "512MiB"}}
    with Gateway([open_source()], loops=1, log=log, dedup={"entries": 1 << 20}) as gateway:
        before, started = gateway.cpu_seconds(), time.monotonic()
        time.sleep(max(1, what["idle"] * min(1, scale)))
        outcome.figure("idle_share", (gateway.cpu_seconds() - before) / (time.monotonic() - started), 4)
        while total < events or len(samples) < 4:
            number += 1
            total += fill(gateway, max(1, round(10 * min(1, scale))), body=what["body"], run=f"s{number}")[0]
            samples.append(gateway.rss())
        kept = gateway.metric_sum("sluice_events_total", outcome="accepted")
        outcome.figure("events", total)
        outcome.figure("rss_mib", samples[-1] >> 20)
        outcome.figure("rss_growth_kib", (samples[-1] - samples[2]) >> 10)
        outcome.check("every answer is a kept event", kept >= total)
        outcome.check("memory grew by less than 5 %", samples[-1] <= 1.05 * samples[2])


KINDS = {
    "drain": (drain, {"events": 200_000, "body": 1024, "endpoints": 1, "concurrency": 64}),
    "isolation": (isolation, {"events": 100_000, "body": 1024, "delay_millis": 2000, "concurrency": 64}),
    "recovery": (recovery, {"events": 5_000_000, "body": 1024, "dedup_entries": 8_388_608}),
    "soak": (soak, {"events": 10_000_000, "body": 300, "idle": 10}),
}
