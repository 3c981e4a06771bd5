#!/usr/bin/env python3
"""The benchmark gate: what it says of files, by its exit status, and the tree itself beside its baseline (perf/gate).

The tree fails here only when a figure is worse; a machine without a baseline builds an earlier tree and measures beside
that; what is too busy to tell passes as undecided.
"""

import json
import os
import subprocess
import sys
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report
from serverutil import ROOT, sluice

PERF = os.path.join(ROOT, "perf")
sys.path.insert(0, PERF)
import gate_power  # noqa: E402
import trees  # noqa: E402
from gatefiles import beside_itself  # noqa: E402


def rounds(folder, name, subject, effort="quick"):
    """A file of eight rounds around `subject`, by `sluice gate add`."""
    path = os.path.join(folder, name)
    for number in range(8):
        one = subject * (1 + 0.002 * number)
        flags = ["--figure", "a.rate", "--better", "higher", "--effort", effort]
        sluice("gate", "add", path, *flags, "--subject", one, "--yardstick", 8.0, check=0)
    return path


def changed(folder, path, name, change):
    with open(path) as file:
        value = json.load(file)
    change(value)
    other = os.path.join(folder, name)
    with open(other, "w") as file:
        json.dump(value, file)
    return other


def git_folder(folder):
    """A repository with a release, a commit on the main branch behind it, and one on a branch."""
    path = os.path.join(folder, "repository")
    os.makedirs(path)

    def git(*arguments):
        name = ["-c", "user.name=t", "-c", "user.email=t@t.invalid"]
        done = subprocess.run(["git", "-C", path, *name, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(text):
        with open(os.path.join(path, "Package.swift"), "w") as file:
            file.write(text)
        git("add", "-A")
        git("commit", "-qm", text)
        return git("rev-parse", "HEAD")

    git("init", "-q", "-b", "main")
    return path, git, commit


def two_trees(report, folder):
    with report.case("without a baseline: the last release, else the fork, else the commit before"):
        path, git, commit = git_folder(folder)
        usual, trees.ROOT = trees.ROOT, path
        try:
            first = commit("1")
            assert trees.usual_revision() is None
            second = commit("2")
            assert trees.usual_revision() == first
            git("checkout", "-qb", "work")
            commit("3")
            assert trees.usual_revision() == second
            assert not trees.is_same_source(trees.resolved("main")) and trees.is_same_source(trees.resolved("work"))
            git("tag", "v1.0.0", first)
            assert trees.usual_revision() == "v1.0.0"
        finally:
            trees.ROOT = usual
    with report.case("--against a commit that is not there: exit 2 and which"):
        done = perf_gate("--against", "no-such-commit")
        assert done.returncode == 2 and "`no-such-commit` is no commit" in done.stderr, done.stdout + done.stderr
    with report.case("two trees in turns: a planted slowdown is found, an unchanged tree is not flagged"):
        with open(gate_power.rounds_file("quick")) as file:
            value = json.load(file)
        shares = gate_power.judge(value, 20, gate_power.in_turns)
        assert shares["slow"] >= 0.95 and shares["base"] <= 0.05, shares
    with report.case("the other tree as the yardstick: 1 is the same, a fifth more is worse"):
        names = {"same.json": 0, "worse.json": 1}
        for name, status in names.items():
            path = rounds(folder, "turns-" + name, 8 / (1.25 if status else 1))
            with open(path) as file:
                run = json.load(file)
            other = os.path.join(folder, "other-" + name)
            with open(other, "w") as file:
                json.dump(beside_itself(run, "before"), file)
            sluice("gate", path, other, check=status)


def perf_gate(*arguments):
    """A routine run has no time to build a second tree; `SLUICE_ROUNDS=full` and whoever names a commit have."""
    command = [sys.executable, "-B", os.path.join(PERF, "gate"), *arguments]
    environment = dict(os.environ)
    if environment.get("SLUICE_ROUNDS") != "full":
        environment.setdefault("SLUICE_GATE_AGAINST", "none")
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def main():
    report = Report("gate")
    with tempfile.TemporaryDirectory(prefix="sluice-gate-") as folder:
        baseline = rounds(folder, "baseline.json", 100)
        with report.case("a run like its baseline is the same, exit 0"):
            done = sluice("gate", rounds(folder, "same.json", 100.1), baseline, "--json", check=0)
            assert json.loads(done.stdout)["verdict"] == "same", done.stdout
        with report.case("a slower one is worse, exit 1, with how much"):
            done = sluice("gate", rounds(folder, "slow.json", 80), baseline, "--json", check=1)
            figure = json.loads(done.stdout)["figures"][0]
            assert figure["verdict"] == "worse" and 23 < figure["slowerPercent"] < 27, done.stdout
        with report.case("a faster one is better, exit 0"):
            done = sluice("gate", rounds(folder, "fast.json", 130), baseline, check=0)
            assert done.stdout.startswith("better"), done.stdout
        refusals = {
            "other_machine_shape": changed(
                folder, baseline, "shape.json", lambda v: v["machine"].update(processorCount=64)
            ),
            "other_effort": changed(folder, baseline, "effort.json", lambda v: v.update(effort="full")),
            "unknown_figure": changed(folder, baseline, "figure.json", lambda v: v["figures"][0].update(name="b")),
            "newer_version": changed(folder, baseline, "version.json", lambda v: v.update(version=2)),
            "not_a_gate_file": changed(folder, baseline, "format.json", lambda v: v.update(format="other")),
            "damaged": changed(folder, baseline, "damaged.json", lambda v: v["figures"][0]["rounds"][0].pop("subject")),
            "unreadable": os.path.join(folder, "nothing.json"),
        }
        for problem, path in refusals.items():
            with report.case(f"{problem}: exit 2 and the reason"):
                done = sluice("gate", path, baseline, "--json", check=2)
                assert json.loads(done.stdout)["problem"] == problem, done.stdout
                assert done.stderr.startswith("sluice: "), done.stderr
        with report.case("a scenario with an unknown key is refused with its line"):
            code = "import sys; sys.path.insert(0, sys.argv[1]); import scenario; "
            code += "scenario.read(sys.argv[2], {'a': {'b': 1}})"
            path = os.path.join(folder, "x.yaml")
            with open(path, "w") as file:
                file.write("# Why?\nkind: a\nc: 1\n")
            done = subprocess.run([sys.executable, "-B", "-c", code, PERF, path], capture_output=True, text=True)
            assert "x.yaml:3: unknown key `c`" in done.stderr, done.stderr
        with report.case("every scenario of the tree can be read"):
            command = [sys.executable, "-B", os.path.join(PERF, "run"), "--list"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0 and len(done.stdout.splitlines()) >= 10, done.stdout + done.stderr
        two_trees(report, folder)
        with report.case("the tree is not slower than its baseline, or than the tree before") as notes:
            done = perf_gate()
            assert done.returncode == 0, (done.stdout + done.stderr)[-1500:]
            notes.append(done.stdout.strip().splitlines()[-1])
    report.finish()


if __name__ == "__main__":
    main()
