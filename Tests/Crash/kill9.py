#!/usr/bin/env python3
"""SIGKILL at a random moment under load, restart, again and again over one data folder. Whatever was answered
2xx must be in the log and reach the sink; nothing may be there that was never sent; deliveries made twice are
counted, not forbidden. With --result FILE the counts are written there, for perf/publish."""

import json
import random
import shutil
import tempfile
import time

from crashutil import Promise
from loadgen import NAME, Load
from receiver import Receiver
from report import Report, arguments, wait_until
from serverutil import TINY_LIMITS, Gateway, endpoint, github_source


def names_at(receiver):
    """The load's name of each delivery, repetitions kept."""
    found = [NAME.search(d.body.decode("latin-1")) for d in receiver.snapshot()]
    return [match[0] for match in found if match]


def one_round(number, gateway, promise, randomness, checks):
    started = time.monotonic()
    gateway.start()
    ready = time.monotonic() - started
    load = Load(
        gateway.port,
        f"k{number}",
        connections=randomness.choice([2, 6, 12]),
        window=randomness.choice([1, 4, 16]),
        pad=randomness.choice([50, 400, 4000]),
    )
    load.start()
    time.sleep(randomness.uniform(0.05, 1.2))  # the moment of the kill is what a round varies
    gateway.kill()
    load.stop()
    promise.add(load)
    if checks:
        promise.check_log(gateway.data)
    return ready


def write(options, acknowledged, duplicates, slowest):
    """Only reached when nothing was lost and nothing invented: the assertions before it say so."""
    value = {
        "format": "sluice-kills",
        "version": 1,
        "command": f"Tests/Crash/kill9.py --rounds {options.rounds} --result {options.result}",
        "rounds": options.rounds,
        "acknowledged": acknowledged,
        "lost": 0,
        "invented": 0,
        "delivered_twice": duplicates,
        "slowest_start_seconds": round(slowest, 3),
    }
    with open(options.result, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def main():
    options = arguments(__doc__, rounds=5, seed=0, segment="2MiB", result="")
    seed = options.seed or random.randrange(1 << 30)
    randomness = random.Random(seed)
    report = Report("kill9")
    folder = tempfile.mkdtemp(prefix="sluice-kill9-")
    promise, slowest = Promise(), 0.0
    try:
        with Receiver() as receiver:
            retry = {"delays": ["100ms", "500ms"] + ["1s"] * 20, "jitter": 0.1}
            gateway = Gateway(
                [github_source()],
                [endpoint("sink", receiver.url, retry=retry)],
                folder=folder,
                log={"segment": options.segment, "group": "512KiB"},
                limits=TINY_LIMITS,
            )
            try:
                for number in range(options.rounds):
                    # What is lost stays lost, so a long run may look at every fifth round only, and at the end.
                    checks = options.rounds <= 10 or number % 5 == 4
                    with report.case(f"round {number + 1}, seed {seed}") as notes:
                        slowest = max(slowest, one_round(number, gateway, promise, randomness, checks))
                        notes.append(f"{len(promise.acknowledged)} acknowledged so far")
                with report.case("every acknowledged event reaches the sink") as notes:
                    count = len(promise.acknowledged)
                    assert count > 50 * options.rounds, f"only {count} acknowledged"
                    gateway.start()

                    def missing():
                        return promise.missing_at(names_at(receiver))

                    wait_until(lambda: not missing(), 60, lambda: f"{len(missing())} of {count} missing at the sink")
                    promise.check_sink(names_at(receiver))
                    assert gateway.stop() == 0
                    promise.check_log(gateway.data)
                    notes.append(f"{count} acknowledged, 0 lost, 0 invented, {promise.duplicates} delivered twice")
                    notes.append(f"slowest start {slowest:.2f} s")
                    if options.result:
                        write(options, count, promise.duplicates, slowest)
            finally:
                gateway.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report.finish()


if __name__ == "__main__":
    main()
