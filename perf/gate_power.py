#!/usr/bin/env python3
"""Does the gate work? Builds a copy of the tree with a deliberate slowdown of the hot path (the product has no such
thing), records rounds of it, burning and not, and lets `sluice gate` judge many runs taken from them.

  perf/gate_power.py --record    builds, records for both efforts, judges; about 45 minutes
  perf/gate_power.py             judges the recorded rounds again, a minute

A run is a stretch of consecutive rounds, its baseline another one that does not overlap with it, from the other half of
the recording, before which all servers were started again: what the machine did at one time and not at the other is in
the result. A run has all the cases and figures of perf/gate; one figure that is worse makes it worse. The slowdown is
so many nanoseconds a request, set to be 20 (quick) and 10 % (full) at 64 connections and bodies of 1 KiB.

A run of perf/gate --against is a stretch too, in which the burning build is the subject of each round and the other one
its yardstick, as that command measures them. Of an unchanged tree it is harder than there, where both are loaded in the
same twentieths of a second: the two sides are the same build in one round and in the next.
Recorded rounds: perf/results/gate-rounds-*.json.
Exit status: 1 when the gate misses its goals (detection 95 %, false alarms 2 %).
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import trees
import turns
from gatefiles import beside_itself, timed_figures
from perfutil import HERE, machine
from report import arguments
from serverutil import BINARY, ROOT
from servers import Sluice, probe

SLOWDOWN = {"quick": 0.20, "full": 0.10}
DETECTION_MIN, FALSE_ALARMS_MAX = 0.95, 0.02
PLACE = "Sources/FastPath/Ingest/IngestLoop+Requests.swift"
BURN = """// Burns time on purpose, in a copy of the sources that nobody ships: what the gate must notice.
import Foundation

let slowdownTurns = Int(ProcessInfo.processInfo.environment["SLOWDOWN_TURNS"] ?? "0") ?? 0
@inline(never) func slowdownBurn(_ seed: Int) -> Int {
    var value = UInt64(truncatingIfNeeded: seed) | 1
    for _ in 0..<slowdownTurns { value = value &* 0x9E37_79B9_7F4A_7C15 ^ value >> 29 }
    return Int(truncatingIfNeeded: value & 1)
}
"""
# Never true, which the compiler does not know.
HOOK = "\n        if slowdownBurn(slot) > 1 { return }"
HOOK_FUNCTION = r"mutating func setRoute\(_ slot: Int[^)]*\)[^{\n]*\{"


def build_slowed(folder):
    """The path of a `sluice` of this tree that burns SLOWDOWN_TURNS turns at each request."""
    for name in ("Package.swift", "Sources", "Tests"):
        source = os.path.join(ROOT, name)
        copy = shutil.copytree if os.path.isdir(source) else shutil.copy
        copy(source, os.path.join(folder, name))
    trees.copy_fetched(folder)
    place = os.path.join(folder, PLACE)
    with open(os.path.join(os.path.dirname(place), "SlowdownBurn.swift"), "w") as file:
        file.write(BURN)
    with open(place) as file:
        text = hooked(file.read())
    with open(place, "w") as file:
        file.write(text)
    print("building the copy that burns", flush=True)
    try:
        return trees.build(folder, "the copy")
    except trees.NoSuchTree as reason:
        sys.exit(str(reason))


def hooked(text):
    """The source with the burn in the function through which each request passes once."""
    found = re.search(HOOK_FUNCTION, text)
    if not found:
        sys.exit(f"{PLACE} has changed: perf/gate_power.py does not find where a request passes")
    return text[: found.end()] + HOOK + text[found.end() :]


def measure(builds, count, case):
    """Rounds of the probe and each build: [{name: {rate, cpu}}]. `builds`: {name: (binary, turns of the burn)}."""

    def show(number, one):
        said = "  ".join(f"{name} {turn['rate']:.0f}/s {turn['cpu']:.2f} us" for name, turn in one.items())
        print(f"{number:>4}  {said}", flush=True)

    servers = [
        Sluice(binary=path, name=name, environment={"SLOWDOWN_TURNS": str(burnt)})
        for name, (path, burnt) in builds.items()
    ]
    connections, body = case
    entered = []
    try:
        for server in [probe(), *servers]:
            entered.append(server.__enter__())
        return turns.sliced_rounds(entered, count, connections, body=body, progress=show)
    finally:
        for server in reversed(entered):
            server.__exit__(None, None, None)


def middle(rounds, name):
    values = sorted(one[name]["cpu"] / one["probe-durable"]["cpu"] for one in rounds)
    return values[len(values) // 2]


def slowdown(rounds, name):
    return middle(rounds, name) / middle(rounds, "base") - 1


def calibrated(burning, count):
    """{effort: turns of the burn}, corrected twice by what the guess cost."""
    case = turns.EFFORTS["quick"]["cases"][0]
    guess = {effort: round(5000 * part) for effort, part in SLOWDOWN.items()}
    for _ in range(2):
        # The same binary throughout, so that its layout is no part of the difference.
        tried = measure(
            {"base": (burning, 0), **{name: (burning, burnt) for name, burnt in guess.items()}}, count, case
        )
        costs = {effort: slowdown(tried, effort) for effort in guess}
        print("  ".join(f"{guess[effort]} turns cost {cost:.1%}" for effort, cost in costs.items()), flush=True)
        guess = {
            effort: max(1, round(guess[effort] * SLOWDOWN[effort] / max(cost, 0.01)))
            for effort, cost in costs.items()
        }
    return guess


def record(options):
    folder = tempfile.mkdtemp(prefix="sluice-power-", dir=os.path.join(ROOT, ".build"))
    recorded = {effort: [] for effort in SLOWDOWN}
    try:
        burning = options.binary or build_slowed(folder)
        burnt = calibrated(burning, options.calibration)
        cases = sorted({case for effort in SLOWDOWN for case in turns.EFFORTS[effort]["cases"]})
        for case in cases:
            efforts = [effort for effort in SLOWDOWN if case in turns.EFFORTS[effort]["cases"]]
            builds = {"base": (burning, 0), **{effort: (burning, burnt[effort]) for effort in efforts}}
            rounds = [one for _ in range(2) for one in measure(builds, options.rounds // 2, case)]
            for effort in efforts:
                names = {"probe-durable": "probe-durable", "base": "base", effort: "slow"}
                recorded[effort].append(
                    {
                        "case": "{}x{}".format(*case),
                        "real_slowdown_cpu": slowdown(rounds, effort),
                        "rounds": [{new: one[old] for old, new in names.items()} for one in rounds],
                    }
                )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for effort, part in SLOWDOWN.items():
        value = {
            "format": "sluice-gate-rounds/2",
            "effort": effort,
            "slowdown": part,
            "machine": machine(),
            "cases": recorded[effort],
        }
        save(value, rounds_file(effort))


def rounds_file(effort):
    return os.path.join(HERE, "results", f"gate-rounds-{effort}.json")


def save(value, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(json.dumps(value, sort_keys=True).replace('{"base"', '\n{"base"') + "\n")


def run_file(value, taken, build, pairs):
    """`taken`: {case: rounds}; `pairs(rounds, what)`: the subject and the yardstick of each."""
    figures = [
        one
        for case, rounds in taken.items()
        for one in timed_figures(case, lambda what: pairs(rounds, what))
    ]
    about = {"format": "sluice-gate", "version": 1, "effort": value["effort"], "machine": value["machine"]}
    return {**about, "commit": build, "date": "", "command": "perf/gate_power.py", "figures": figures}


def stretches(rounds, count, numbers):
    """A run's rounds and a baseline's: consecutive ones, each from its own half of the recording."""
    half = len(rounds) // 2
    places = [numbers.randrange(0, half - count + 1), half + numbers.randrange(0, len(rounds) - half - count + 1)]
    numbers.shuffle(places)
    return [rounds[place : place + count] for place in places]


def with_baseline(value, taken, build):
    """The two files of a comparison with a recorded baseline. `taken`: {case: a run's rounds and a baseline's}."""

    def file(place, name):
        rounds = {case: pair[place] for case, pair in taken.items()}
        return run_file(
            value, rounds, name, lambda rounds, what: [(one[name][what], one["probe-durable"][what]) for one in rounds]
        )

    return [file(0, build), file(1, "base")]


def in_turns(value, taken, build):
    """The two files of a comparison as perf/gate --against makes it."""

    def pairs(halves, what):
        rounds, others = halves
        if build == "slow":
            return [(one["slow"][what], one["base"][what]) for one in rounds]
        neighbours = [pair for side in (rounds, others) for pair in zip(side[::2], side[1::2])]
        return [(new["base"][what], old["base"][what]) for new, old in neighbours]

    run = run_file(value, taken, build, pairs)
    return [run, beside_itself(run, "base")]


def judge(value, trials, files):
    """{'slow': share called worse, 'base': share called worse}, as `sluice gate` says of what `files` makes."""
    numbers, worse = random.Random(7), {}
    count = turns.EFFORTS[value["effort"]]["rounds"]
    with tempfile.TemporaryDirectory(prefix="sluice-power-") as folder:
        paths = [os.path.join(folder, name) for name in ("run.json", "baseline.json")]
        for name in ("slow", "base"):
            worse[name] = 0
            for _ in range(trials):
                taken = {one["case"]: stretches(one["rounds"], count, numbers) for one in value["cases"]}
                for path, content in zip(paths, files(value, taken, name)):
                    with open(path, "w") as file:
                        json.dump(content, file)
                done = subprocess.run([BINARY, "gate", *paths, "--json"], capture_output=True, text=True)
                if done.returncode not in (0, 1):
                    sys.exit(f"sluice gate: {done.stderr}")
                worse[name] += done.returncode
    return {name: count / trials for name, count in worse.items()}


def main():
    options = arguments(__doc__, record=False, binary="", rounds=96, calibration=8, trials=100)
    least = 2 * max(effort["rounds"] for effort in turns.EFFORTS.values())
    if options.rounds < least:
        sys.exit(f"perf/gate_power.py: --rounds {options.rounds}: a run and its baseline take {least}")
    if options.record:
        record(options)
    good = True
    efforts = [effort for effort in SLOWDOWN if os.path.exists(rounds_file(effort))]
    for effort in efforts:
        with open(rounds_file(effort)) as file:
            value = json.load(file)
        real = ", ".join(f"{one['real_slowdown_cpu']:.1%} at {one['case']}" for one in value["cases"])
        for key, files in [("judged", with_baseline), ("judged_against", in_turns)]:
            shares = judge(value, options.trials, files)
            is_good = shares["slow"] >= DETECTION_MIN and shares["base"] <= FALSE_ALARMS_MAX
            good = good and is_good
            print(
                f"{effort}, {'two trees in turns' if files is in_turns else 'beside a baseline'}: "
                f"a slowdown of {real} found in {shares['slow']:.0%}, "
                f"false alarms in {shares['base']:.0%} of {options.trials} runs: "
                + ("as wanted" if is_good else "NOT as wanted")
            )
            value[key] = {"trials": options.trials, "detection": shares["slow"], "false_alarms": shares["base"]}
        save(value, rounds_file(effort))
    if not efforts:
        sys.exit("perf/gate_power.py: no recorded rounds; --record makes them")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
