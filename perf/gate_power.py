#!/usr/bin/env python3
"""Does the gate work? Builds the tree as it is and with a deliberate slowdown of the hot path (in a copy; the product
has no such thing), records rounds of both in turns, and lets `sluice gate` judge many runs resampled from them.

  perf/gate_power.py --record --effort quick    builds, records, judges; about 25 minutes, 10 of them measuring
  perf/gate_power.py                            judges the recorded rounds again, a minute

A resampled run takes a stretch of consecutive rounds, the baseline another one that does not overlap with it: what the
machine did at one time and not at the other is in the result. Recorded rounds: perf/results/gate-rounds-*.json.
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
import driver
import turns
from perfutil import HERE
from report import arguments
from serverutil import BINARY, ROOT
from servers import Sluice, probe

SLOWDOWN = {"quick": 0.20, "full": 0.10}
SECONDS = {"quick": 1, "full": 3}
# As many as perf/gate measures.
RUN_ROUNDS = {"quick": 12, "full": 24}
DETECTION_MIN, FALSE_ALARMS_MAX = 0.95, 0.02
FIGURES = [("rate", "higher", "answers/s"), ("cpu", "lower", "us/answer")]
PLACE = "Sources/FastPath/Loops/IngestLoop+Requests.swift"
BURN = """// Burns time on purpose, in a copy of the sources that nobody ships: what the gate must notice.
@inline(never) func slowdownBurn(_ seed: Int) -> Int {
    var value = UInt64(truncatingIfNeeded: seed) | 1
    for _ in 0..<{iterations} { value = value &* 0x9E37_79B9_7F4A_7C15 ^ value >> 29 }
    return Int(truncatingIfNeeded: value & 1)
}
"""
# Never true, which the compiler does not know.
HOOK = "\n        if slowdownBurn(slot) > 1 { return }"
HOOK_FUNCTION = r"mutating func setRoute\(_ slot: Int[^)]*\)[^{\n]*\{"


class Copy:
    """A copy of the sources that is built three times, each build's binary kept."""

    def __init__(self, folder):
        self.folder, self.tree = folder, os.path.join(folder, "tree")
        os.makedirs(self.tree)
        for name in ("Package.swift", "Sources", "Tests"):
            source = os.path.join(ROOT, name)
            copy = shutil.copytree if os.path.isdir(source) else shutil.copy
            copy(source, os.path.join(self.tree, name))
        resolved = os.path.join(ROOT, "Package.resolved")
        if os.path.exists(resolved):
            shutil.copy(resolved, self.tree)
        # What was fetched for this tree serves the copy too.
        for name in ("checkouts", "repositories", "workspace-state.json"):
            source, target = os.path.join(ROOT, ".build", name), os.path.join(self.tree, ".build", name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.exists(source):
                copy = shutil.copytree if os.path.isdir(source) else shutil.copy
                copy(source, target, **({"symlinks": True} if copy is shutil.copytree else {}))
        self.plain = open(os.path.join(self.tree, PLACE)).read()

    def build(self, name, iterations):
        text = self.plain
        burn = os.path.join(self.tree, os.path.dirname(PLACE), "SlowdownBurn.swift")
        if os.path.exists(burn):
            os.unlink(burn)
        if iterations:
            with open(burn, "w") as file:
                file.write(BURN.replace("{iterations}", str(iterations)))
            text = hooked(text)
        with open(os.path.join(self.tree, PLACE), "w") as file:
            file.write(text)
        print(f"building {name}", flush=True)
        done = subprocess.run(
            ["swift", "build", "-c", "release", "--product", "sluice"], cwd=self.tree, capture_output=True, text=True
        )
        if done.returncode != 0:
            sys.exit(f"{name} does not build: {done.stdout[-1500:]}{done.stderr[-500:]}")
        kept = os.path.join(self.folder, name)
        shutil.copy(os.path.join(self.tree, ".build", "release", "sluice"), kept)
        return kept


def hooked(text):
    """The source with the burn in the function through which each request passes once."""
    found = re.search(HOOK_FUNCTION, text)
    if not found:
        sys.exit(f"{PLACE} has changed: perf/gate_power.py does not find where a request passes")
    return text[: found.end()] + HOOK + text[found.end() :]


def measure(binaries, count, effort):
    """Rounds of the probe and each binary in turns: [{name: turn}]."""
    signed = driver.SignedRequests()

    def load(url, **how):
        return driver.drive_wrk(signed, url, **how)

    def show(number, one):
        said = "  ".join(f"{name} {turn['rate']:.0f}/s {turn['cpu']:.2f} us" for name, turn in one.items())
        print(f"{number:>4}  {said}", flush=True)

    servers = [Sluice(binary=path, name=name) for name, path in binaries.items()]
    entered = []
    try:
        for server in [probe(), *servers]:
            entered.append(server.__enter__())
        return turns.rounds(entered, load, count, 64, SECONDS[effort], 1024, progress=show)
    finally:
        for server in reversed(entered):
            server.__exit__(None, None, None)


def middle(rounds, name):
    values = sorted(one[name]["cpu"] / one["probe-durable"]["cpu"] for one in rounds)
    return values[len(values) // 2]


def record(options):
    folder = tempfile.mkdtemp(prefix="sluice-power-", dir=os.path.join(ROOT, ".build"))
    try:
        copy = Copy(folder)
        base = copy.build("base", 0)
        # What a thousand turns of the burn cost beside a request, then as many as the wanted share needs.
        trial = copy.build("trial", 1000)
        tried = measure({"base": base, "trial": trial}, options.calibration, options.effort)
        share = middle(tried, "trial") / middle(tried, "base") - 1
        iterations = max(1, round(1000 * SLOWDOWN[options.effort] / max(share, 0.01)))
        print(f"1000 turns cost {share:.1%} of a request; {iterations} are taken", flush=True)
        slow = copy.build("slow", iterations)
        rounds = measure({"base": base, "slow": slow}, options.rounds, options.effort)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    machine = json.loads(subprocess.run([BINARY, "gate", "machine", "--json"], capture_output=True, check=True).stdout)
    value = {
        "format": "sluice-gate-rounds/1",
        "effort": options.effort,
        "slowdown": SLOWDOWN[options.effort],
        "real_slowdown_cpu": middle(rounds, "slow") / middle(rounds, "base") - 1,
        "seconds": SECONDS[options.effort],
        "machine": machine,
        "rounds": [
            {name: {what: turn[what] for what, _, _ in FIGURES} for name, turn in one.items()} for one in rounds
        ],
    }
    path = os.path.join(HERE, "results", f"gate-rounds-{options.effort}.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(json.dumps(value, sort_keys=True).replace('{"base"', '\n{"base"') + "\n")
    return path


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
    """A run's rounds and a baseline's: two stretches that do not overlap, each resampled within itself."""
    half = len(rounds) // 2
    length = max(count, half // 2)
    first = numbers.randrange(0, half - length + 1)
    second = half + numbers.randrange(0, len(rounds) - half - length + 1)
    places = [first, second]
    numbers.shuffle(places)
    return [[numbers.choice(rounds[place : place + length]) for _ in range(count)] for place in places]


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
    options = arguments(__doc__, record=False, effort="quick", rounds=120, calibration=8, trials=100)
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
        with open(path, "w") as file:
            file.write(json.dumps(value, sort_keys=True).replace('{"base"', '\n{"base"') + "\n")
    if not files:
        sys.exit("perf/gate_power.py: no recorded rounds; --record makes them")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
