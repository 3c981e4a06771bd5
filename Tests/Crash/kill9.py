#!/usr/bin/env python3
"""SIGKILL at a random moment under load, restart, again and again over one data folder. Whatever was answered
2xx must be in the log and reach its sinks; nothing may be there that was never sent; deliveries made twice are
counted, not forbidden.

One endpoint is fast. Another is slow over sixteen connections, fails a fifth of the time, is away for every third
round and comes back: what is out with it when the process dies has no order, which a fast one never shows. With
`--retention SIZE` the log keeps no more than that of what nobody needs, so that whole segments go between kills.
With --result FILE the counts are written there, for perf/publish."""

import json
import os
import random
import re
import shutil
import tempfile
import threading
import time

from crashutil import Promise
from loadgen import NAME, Load
from receiver import Receiver, Reset
from report import Report, arguments, wait_until
from serverutil import TINY_LIMITS, Gateway, endpoint, github_source

RETRY = {"delays": ["100ms", "500ms"] + ["1s"] * 60, "jitter": 0.1}


class Sinks:
    """What the endpoints answer, and what each of them has taken; by the last part of the path."""

    def __init__(self, seed):
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.is_away = self.is_healthy = False
        self.taken = {"fast": [], "slow": []}
        self.failed_count = 0

    def answer(self, delivery, number):
        place = delivery.path.rsplit("/", 1)[1]
        name = NAME.search(delivery.body.decode("latin-1"))[0]
        if place == "slow":
            with self.lock:
                chance, nap, is_away = self.random.random(), self.random.uniform(0.05, 0.15), self.is_away
            if not self.is_healthy:
                if is_away:
                    raise Reset
                time.sleep(nap)
                if chance < 0.2:
                    with self.lock:
                        self.failed_count += 1
                    return 503
        with self.lock:
            self.taken[place].append(name)
        return 204

    def names(self, place):
        with self.lock:
            return list(self.taken[place])


class Trial:
    """One data folder, its gateway, its sinks, and what was promised by each source."""

    def __init__(self, folder, receiver, sinks, randomness, options):
        base = receiver.url.rsplit("/", 1)[0]
        log = {"segment": options.segment, "group": "512KiB"}
        if options.retention:
            log["retention"] = {"size": options.retention}
        self.sinks, self.random, self.keeps_all = sinks, randomness, not options.retention
        self.fast, self.slow = Promise(), Promise()
        self.gateway = Gateway(
            [github_source("fast"), github_source("slow")],
            [
                endpoint("fast", f"{base}/fast", sources=["fast"], retry=RETRY),
                endpoint("slow", f"{base}/slow", sources=["slow"], retry=RETRY, concurrency=16),
            ],
            folder=folder, log=log, limits=TINY_LIMITS,
        )

    def round(self, number, checks):
        self.sinks.is_away = number % 3 == 2
        started = time.monotonic()
        self.gateway.start()
        ready = time.monotonic() - started
        fast = Load(
            self.gateway.port, f"f{number}", path="/in/fast",
            connections=self.random.choice([2, 6, 12]), window=self.random.choice([1, 4, 16]),
            pad=self.random.choice([50, 400, 4000]),
        ).start()
        slow = Load(self.gateway.port, f"s{number}", path="/in/slow", connections=2, window=2, pause=0.03).start()
        # The moment of the kill is what a round varies; retention looks every five seconds.
        time.sleep(self.random.uniform(0.05, 1.2) if self.keeps_all else self.random.uniform(4, 8))
        self.gateway.kill()
        for promise, load in ((self.fast, fast), (self.slow, slow)):
            load.stop()
            promise.add(load)
        if checks:
            self.check_log()
        return ready

    def check_log(self):
        """Where the log may forget what nobody needs any more, the sinks alone can tell."""
        if self.keeps_all:
            self.whole().check_log(self.gateway.data)

    def first_segment(self):
        """The number of the first event that the log still has."""
        names = os.listdir(os.path.join(self.gateway.data, "log"))
        return min(int(name[:-4]) for name in names if re.fullmatch(r"[0-9]+\.log", name))

    def whole(self):
        both = Promise()
        both.sent = self.fast.sent | self.slow.sent
        both.acknowledged = self.fast.acknowledged | self.slow.acknowledged
        return both

    def check_sinks(self):
        """Returns how many were delivered twice."""
        self.sinks.is_away, self.sinks.is_healthy = False, True

        def missing():
            return {name: len(promise.missing_at(self.sinks.names(name)))
                    for name, promise in (("fast", self.fast), ("slow", self.slow))}

        if any(missing().values()):
            wait_until(lambda: not any(missing().values()), 60, lambda: f"missing at the sinks: {missing()}")
        self.fast.check_sink(self.sinks.names("fast"))
        self.slow.check_sink(self.sinks.names("slow"))
        return self.fast.duplicates + self.slow.duplicates


def write(options, trial, duplicates, slowest):
    """Only reached when nothing was lost and nothing invented: the assertions before it say so."""
    value = {
        "format": "sluice-kills",
        "version": 1,
        "command": f"Tests/Crash/kill9.py --rounds {options.rounds} --result {options.result}",
        "rounds": options.rounds,
        "acknowledged": len(trial.fast.acknowledged) + len(trial.slow.acknowledged),
        "acknowledged_slow": len(trial.slow.acknowledged),
        "failed_by_the_slow_sink": trial.sinks.failed_count,
        "lost": 0,
        "invented": 0,
        "delivered_twice": duplicates,
        "slowest_start_seconds": round(slowest, 3),
    }
    with open(options.result, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def run(report, options, seed, trial):
    slowest = 0.0
    for number in range(options.rounds):
        # What is lost stays lost, so a long run may look now and then only, and at the end.
        every = 1 if options.rounds <= 10 else 5 if options.rounds <= 100 else 250
        with report.case(f"round {number + 1}, seed {seed}") as notes:
            slowest = max(slowest, trial.round(number, number % every == every - 1))
            notes.append(f"{len(trial.fast.acknowledged)} and {len(trial.slow.acknowledged)} acknowledged so far")
    with report.case("every acknowledged event reaches its sink") as notes:
        count = len(trial.fast.acknowledged) + len(trial.slow.acknowledged)
        assert count > 50 * options.rounds, f"only {count} acknowledged"
        assert len(trial.slow.acknowledged) > 5 * options.rounds and trial.sinks.failed_count > 0, "not slow enough"
        trial.gateway.start()
        duplicates = trial.check_sinks()
        assert trial.gateway.stop() == 0
        trial.check_log()
        if options.retention:
            assert trial.first_segment() > 1, "no segment has gone"
        notes.append(f"{count} acknowledged, 0 lost, 0 invented, {duplicates} delivered twice")
        notes.append(f"slowest start {slowest:.2f} s")
        if options.result:
            write(options, trial, duplicates, slowest)


def main():
    options = arguments(__doc__, rounds=5, seed=0, segment="2MiB", retention="", result="")
    seed = options.seed or random.randrange(1 << 30)
    report = Report("kill9")
    folder = tempfile.mkdtemp(prefix="sluice-kill9-")
    sinks = Sinks(seed)
    try:
        with Receiver(sinks.answer, keeps=False) as receiver:
            trial = Trial(folder, receiver, sinks, random.Random(seed), options)
            try:
                run(report, options, seed, trial)
            finally:
                trial.gateway.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
