#!/usr/bin/env python3
"""Does the gate work? Builds a copy of the tree with a deliberate slowdown of the hot path (the product has no such
thing), records rounds of it and of the tree itself, and lets `sluice gate` judge many runs taken from them.

  perf/gate_power.py --record    builds, records for both efforts, judges; about 25 minutes
  perf/gate_power.py             judges the recorded rounds again, a minute

A run is a stretch of consecutive rounds, its baseline another one that does not overlap with it, from the other half of
the recording, before which all servers were started anew: what the machine did at one time and not at the other is in
the result. Judged is the first case of perf/gate, 64 connections and bodies of 1 KiB: two figures of a full run's six.
Recorded rounds: perf/results/gate-rounds-*.json.
Exit status: 1 when the gate misses its goals (detection 95 %, false alarms 2 %).
"""

import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import turns
from perfutil import HERE, machine
from report import arguments
from serverutil import BINARY, ROOT
from servers import Sluice, probe

SLOWDOWN = {"quick": 0.20, "full": 0.10}
SECONDS = 2
# As many as perf/gate measures.
RUN_ROUNDS = {"quick": 12, "full": 24}
DETECTION_MIN, FALSE_ALARMS_MAX = 0.95, 0.02
FIGURES = [("rate", "higher", "answers/s"), ("cpu", "lower", "us/answer")]
PLACE = "Sources/FastPath/Loops/IngestLoop+Requests.swift"
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
    resolved = os.path.join(ROOT, "Package.resolved")
    if os.path.exists(resolved):
        shutil.copy(resolved, folder)
    # What was fetched for this tree serves the copy too.
    for name in ("checkouts", "repositories", "artifacts", "workspace-state.json"):
        source, target = os.path.join(ROOT, ".build", name), os.path.join(folder, ".build", name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True)
        elif os.path.exists(source):
            shutil.copy(source, target)
    place = os.path.join(folder, PLACE)
    with open(os.path.join(os.path.dirname(place), "SlowdownBurn.swift"), "w") as file:
        file.write(BURN)
    with open(place) as file:
        text = hooked(file.read())
    with open(place, "w") as file:
        file.write(text)
    print("building the copy that burns", flush=True)
    command = ["swift", "build", "-c", "release", "--product", "sluice"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the copy does not build: {done.stdout[-1500:]}{done.stderr[-500:]}")
    return os.path.join(folder, ".build", "release", "sluice")


def hooked(text):
    """The source with the burn in the function through which each request passes once."""
    found = re.search(HOOK_FUNCTION, text)
    if not found:
        sys.exit(f"{PLACE} has changed: perf/gate_power.py does not find where a request passes")
    return text[: found.end()] + HOOK + text[found.end() :]


def measure(builds, count):
    """Rounds of the probe and each build: [{name: {rate, cpu}}]. `builds`: {name: (binary, turns of the burn)}."""

    def show(number, one):
        said = "  ".join(f"{name} {turn['rate']:.0f}/s {turn['cpu']:.2f} us" for name, turn in one.items())
        print(f"{number:>4}  {said}", flush=True)

    servers = [
        Sluice(binary=path, name=name, environment={"SLOWDOWN_TURNS": str(burnt)})
        for name, (path, burnt) in builds.items()
    ]
    entered = []
    try:
        for server in [probe(), *servers]:
            entered.append(server.__enter__())
        return turns.sliced_rounds(entered, count, 64, SECONDS, 1024, progress=show)
    finally:
        for server in reversed(entered):
            server.__exit__(None, None, None)


def middle(rounds, name):
    values = sorted(one[name]["cpu"] / one["probe-durable"]["cpu"] for one in rounds)
    return values[len(values) // 2]


def record(options):
    folder = tempfile.mkdtemp(prefix="sluice-power-", dir=os.path.join(ROOT, ".build"))
    try:
        burning = options.binary or build_slowed(folder)
        # The same binary throughout, so that its layout is no part of the difference.
        tried = measure({"base": (burning, 0), "trial": (burning, 1000)}, options.calibration)
        share = middle(tried, "trial") / middle(tried, "base") - 1
        burnt = {effort: max(1, round(1000 * part / max(share, 0.01))) for effort, part in SLOWDOWN.items()}
        print(f"1000 turns cost {share:.1%} of a request; taken are {burnt}", flush=True)
        builds = {"base": (burning, 0), **{effort: (burning, turns) for effort, turns in burnt.items()}}
        halves = [measure(builds, options.rounds // 2) for _ in range(2)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rounds = halves[0] + halves[1]
    for effort, part in SLOWDOWN.items():
        names = {"probe-durable": "probe-durable", "base": "base", effort: "slow"}
        value = {
            "format": "sluice-gate-rounds/1",
            "effort": effort,
            "slowdown": part,
            "real_slowdown_cpu": middle(rounds, effort) / middle(rounds, "base") - 1,
            "seconds": SECONDS,
            "machine": machine(),
            "rounds": [{new: one[old] for old, new in names.items()} for one in rounds],
        }
        save(value, os.path.join(HERE, "results", f"gate-rounds-{effort}.json"))


def save(value, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(json.dumps(value, sort_keys=True).replace('{"base"', '\n{"base"') + "\n")


def run_file(value, rounds, name):
    figures = [
        {
            "name": f"ingest.{what}",
            "kind": "ratio",
            "better": better,
            "unit": unit,
            "rounds": [{"subject": one[name][what], "yardstick": one["probe-durable"][what]} for one in rounds],
        }
        for what, better, unit in FIGURES
    ]
    about = {"format": "sluice-gate", "version": 1, "effort": value["effort"], "machine": value["machine"]}
    return {**about, "commit": name, "date": "", "command": "perf/gate_power.py", "figures": figures}


def stretches(rounds, count, numbers):
    """A run's rounds and a baseline's: consecutive ones, each from its own half of the recording."""
    half = len(rounds) // 2
    places = [numbers.randrange(0, half - count + 1), half + numbers.randrange(0, len(rounds) - half - count + 1)]
    numbers.shuffle(places)
    return [rounds[place : place + count] for place in places]


def judge(value, trials):
    """{'slow': share called worse, 'base': share called worse}, as `sluice gate` says."""
    numbers, worse = random.Random(7), {}
    with tempfile.TemporaryDirectory(prefix="sluice-power-") as folder:
        paths = [os.path.join(folder, name) for name in ("run.json", "baseline.json")]
        for name in ("slow", "base"):
            worse[name] = 0
            for _ in range(trials):
                taken = stretches(value["rounds"], RUN_ROUNDS[value["effort"]], numbers)
                for path, rounds, build in zip(paths, taken, (name, "base")):
                    with open(path, "w") as file:
                        json.dump(run_file(value, rounds, build), file)
                done = subprocess.run([BINARY, "gate", *paths, "--json"], capture_output=True, text=True)
                if done.returncode not in (0, 1):
                    sys.exit(f"sluice gate: {done.stderr}")
                worse[name] += done.returncode
    return {name: count / trials for name, count in worse.items()}


def main():
    options = arguments(__doc__, record=False, binary="", rounds=120, calibration=8, trials=100)
    if options.record:
        record(options)
    good = True
    files = sorted(glob.glob(os.path.join(HERE, "results", "gate-rounds-*.json")))
    for path in files:
        with open(path) as file:
            value = json.load(file)
        shares = judge(value, options.trials)
        is_good = shares["slow"] >= DETECTION_MIN and shares["base"] <= FALSE_ALARMS_MAX
        good = good and is_good
        print(
            f"{value['effort']}: a slowdown of {value['real_slowdown_cpu']:.1%} found in {shares['slow']:.0%}, "
            f"false alarms in {shares['base']:.0%} of {options.trials} runs: "
            + ("as wanted" if is_good else "NOT as wanted")
        )
        value["judged"] = {"trials": options.trials, "detection": shares["slow"], "false_alarms": shares["base"]}
        save(value, path)
    if not files:
        sys.exit("perf/gate_power.py: no recorded rounds; --record makes them")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
