#!/usr/bin/env python3
"""The bundle: it is small, needs nothing of the system but the C library, and perf/scaling in it measures."""

import json
import os
import re
import shutil
import subprocess
import tempfile

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, Skip, one_line
from serverutil import ROOT, free_port

BYTES_MAX = 60 << 20
OF_LIBC = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def made(folder):
    """A bundle of this build, in `folder`."""
    path = os.path.join(folder, "bundle")
    command = [os.path.join(ROOT, "scripts", "bundle.sh"), path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    if "no static libraries" in done.stderr:
        raise Skip(one_line(done.stderr))
    assert done.returncode == 0, (done.stdout + done.stderr)[-1000:]
    return path


def size(path):
    files = (os.path.join(root, name) for root, _, names in os.walk(path) for name in names)
    return sum(os.path.getsize(file) for file in files)


def needed(path):
    done = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True)
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", done.stdout))


def run(command, **options):
    """With nothing of this environment."""
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, **options)


def bare_system(bundle, folder):
    """A root with the bundle, the C library and a place for /proc, and nothing else."""
    root = os.path.join(folder, "root")
    shutil.copytree(bundle, os.path.join(root, "bundle"), symlinks=True)
    for name in os.listdir(os.path.join(bundle, "lib", "libc")):
        for place in ("lib64", "lib"):
            os.makedirs(os.path.join(root, place), exist_ok=True)
            shutil.copy(os.path.join(bundle, "lib", "libc", name), os.path.join(root, place))
    os.makedirs(os.path.join(root, "proc"))
    return root


def main():
    report = Report("bundle")
    with tempfile.TemporaryDirectory(prefix="sluice-bundle-", dir=os.path.join(ROOT, ".build")) as folder:
        bundle = None
        with report.case("it is made from the release build, 60 MiB at most, with an archive") as notes:
            bundle = made(folder)
            assert size(bundle) <= BYTES_MAX, size(bundle)
            assert os.path.getsize(bundle + ".tar.gz") < size(bundle)
            notes.append(f"{size(bundle) >> 20} MiB")
        if bundle:
            checks(report, bundle, folder)
    report.finish()


def checks(report, bundle, folder):
    program = os.path.join(bundle, "sluice")
    with report.case("what it needs is in it, or is the C library"):
        own = set(os.listdir(os.path.join(bundle, "lib")))
        for path in [program, *(os.path.join(bundle, "lib", name) for name in own if ".so" in name)]:
            missing = needed(path) - own - OF_LIBC
            assert not missing, (path, missing)
    with report.case("it runs in a root with nothing but itself and the C library"):
        inside = "mount --rbind /proc \"$0/proc\" && exec \"$(command -v chroot || echo /usr/sbin/chroot)\" \"$0\" "
        done = run(["unshare", "--mount", "sh", "-c", inside + "/bundle/sluice providers show github",
                    bare_system(bundle, folder)])
        if done.returncode != 0 and re.search(r"unshare: |mount: .*denied", done.stderr):
            raise Skip(f"needs a mount of its own: {one_line(done.stderr)}")
        assert done.returncode == 0 and "GitHub" in done.stdout, done.stdout[-300:] + done.stderr
    with report.case("with the C library of the bundle it is the same program"):
        versions = {run([os.path.join(bundle, name), "--version"]).stdout for name in ("sluice", "sluice-own-libc")}
        assert len(versions) == 1 and re.match(r"\d+\.\d+\.\d+", versions.pop())
    with report.case("its multi-buffer library, of which it has the hashes alone, computes what OpenSSL does"):
        # The kernel, the disk and the limits are this machine's, and may be poor.
        done = run([program, "doctor", "--json"], cwd=folder)
        rows = [row for row in json.loads(done.stdout)["findings"] if row["what"] == "verifier"]
        assert rows and all(row["verdict"] == "ok" for row in rows), rows
    with report.case("it says a date and a decimal as the other build does"):
        # What ICU's data would be asked for.
        line = ["gate", "add", "r.json", "--figure", "a", "--better", "lower", "--subject", "1.5", "--yardstick", "3"]
        assert run([program, *line], cwd=folder).returncode == 0
        with open(os.path.join(folder, "r.json")) as file:
            value = json.load(file)
        assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", value["date"]), value["date"]
        assert value["figures"][0]["rounds"][0]["subject"] == 1.5
        nobody = f"http://127.0.0.1:{free_port()}/x"
        done = run([program, "send", "--provider", "github", "--secret", "s", "--url", nobody])
        assert "connection refused" in done.stderr, done.stderr
    with report.case("perf/scaling measures one loop, and leaves nothing behind") as notes:
        place = os.path.join(folder, "place")
        os.makedirs(place)
        line = ["sh", os.path.join(bundle, "perf", "scaling"), "--seconds", "1", "--loops", "1", "--json"]
        done = run(line, cwd=place)
        assert done.returncode == 0, (done.stdout + done.stderr)[-600:]
        value = json.loads(done.stdout)
        assert [row["server"] for row in value["rows"]] == ["probe", "sluice"], value
        for row in value["rows"]:
            assert row["ratePerSecond"] > 100 and row["cpuMicrosAnEvent"] > 0 and row["p99Micros"] > 0, row
            assert row["refused"] == 0 == row["failed"], row
        assert value["rows"][1]["ratioToOneLoop"] == 1 and os.listdir(place) == [], value
        notes.append(f"{value['rows'][1]['ratePerSecond']:.0f}/s")
    with report.case("perf/scaling without a folder to write to, or with a wrong word: status 2"):
        for words in (["--data", "/nowhere"], ["--loops", "two"], ["--nonsense"]):
            done = run(["sh", os.path.join(bundle, "perf", "scaling"), *words])
            assert done.returncode == 2 and done.stderr.startswith(("perf/scaling: ", "mktemp")), done.stderr


if __name__ == "__main__":
    main()
